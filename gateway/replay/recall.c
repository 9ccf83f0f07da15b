/*
 * A kept decision, told in full: record.c leaves out what goes without saying, and names
 * endpoints by a hash.
 */
#include "replay/copy.h"
#include "replay/recall.h"
#include "replay/replay.h"

struct telling { struct mg_writer w; struct pool *pool; struct mg_view all;	/* the record, as JSON */
	const struct recorded *r; const struct shelf *shelf; };

static void put_view(struct telling *t, const char *name, struct mg_view v, const char *otherwise)
{
	json_put_raw(&t->w, name, json_kind(v) != MG_ABSENT ? json_raw(v) : (struct mg_str){ otherwise, otherwise ? strlen(otherwise) : 0 });
}

static void put_said(struct telling *t, const char *name, struct mg_str s)
{
	if (s.len)
		json_put(&t->w, name, s);
}

static void put_strings(struct telling *t, const char *name, const struct words *w)
{
	json_open(&t->w, name, '[');
	for (size_t i = 0; i < w->n; i++)
		json_put(&t->w, NULL, w->at[i]);
	json_close(&t->w);
}

static void put_number(struct telling *t, const char *name, double x)
{
	char room[40];
	struct buf b = buf_on(room, sizeof(room));

	put_decimal(&b, x);
	json_put_raw(&t->w, name, buf_view(&b));
}

/* ---- what was asked */

static void put_labels(struct telling *t, const struct words *w)
{
	json_open(&t->w, "labels", '{');
	for (size_t i = 0; i + 1 < w->n; i += 2)
		json_put(&t->w, pool_dup(t->pool, w->at[i]).at, w->at[i + 1]);
	json_close(&t->w);
}

static void put_key(struct telling *t, const struct facts *f)
{
	json_open(&t->w, "key", '{');
	json_put(&t->w, "id", f->key.id);
	json_put(&t->w, "org", f->key.org.at ? f->key.org : (struct mg_str){ "", 0 });
	json_put(&t->w, "workspace", f->key.workspace.at ? f->key.workspace : (struct mg_str){ "", 0 });
	put_said(t, "user", f->key.user);
	put_said(t, "plan", f->key.plan);
	if (f->key.labels.n)
		put_labels(t, &f->key.labels);
	if (f->key.credits_bought_nusd)
		json_put_int(&t->w, "credits_bought_nusd", f->key.credits_bought_nusd);
	json_close(&t->w);
}

static void put_lists(struct telling *t, const struct prefs *p)
{
	const struct { const char *name; const struct words *at; } lists[] = { { "order", &p->order }, { "only", &p->only },
		{ "ignore", &p->ignore }, { "quantizations", &p->quantizations }, { "guards", &p->guards } };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (lists[i].at->n)
			put_strings(t, lists[i].name, lists[i].at);
}

static void put_cuts(struct telling *t, const struct prefs *p)
{
	static const char *const prices[] = { "max_prompt", "max_completion", "max_request", "max_image", "max_audio" };
	const struct number *price[] = { &p->max_prompt, &p->max_completion, &p->max_request, &p->max_image, &p->max_audio };
	char name[40];

	for (size_t i = 0; i < sizeof(prices) / sizeof(prices[0]); i++)
		if (price[i]->set)
			put_number(t, prices[i], price[i]->n);
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "max_latency_%s_s", pct_names[i]);
		if (p->latency_s[i].set)
			put_number(t, name, p->latency_s[i].n);
		snprintf(name, sizeof(name), "min_throughput_%s_tps", pct_names[i]);
		if (p->throughput_tps[i].set)
			put_number(t, name, p->throughput_tps[i].n);
	}
}

static void put_prefs(struct telling *t, const struct prefs *p)
{
	json_open(&t->w, "prefs", '{');
	json_put_bool(&t->w, "allow_fallbacks", p->allow_fallbacks);
	json_put_bool(&t->w, "require_parameters", p->require_parameters);
	json_put_text(&t->w, "data_collection", p->deny_data_collection ? "deny" : "allow");
	json_put_bool(&t->w, "zdr", p->zdr);
	json_put_bool(&t->w, "distillable", p->distillable);
	json_put(&t->w, "partition", p->partition.len ? p->partition : (struct mg_str)MG_STR("model"));
	put_lists(t, p);
	put_said(t, "sort_by", p->sort_by);
	put_said(t, "service_tier", p->service_tier);
	put_cuts(t, p);
	json_close(&t->w);
}

static bool same_words(const struct words *a, const struct words *b)
{
	return a->at == b->at && a->n == b->n;	/* where nothing else was said */
}

static void put_asked(struct telling *t)
{
	const struct recorded *r = t->r;
	const struct facts *f = &r->facts;

	json_put(&t->w, "id", f->id);
	json_put_int(&t->w, "at_ms", f->now_ms);
	json_put_int(&t->w, "seed", (int64_t)f->seed);
	put_said(t, "api", f->api);
	put_view(t, "bundle", json_get(t->all, "bundle"), NULL);
	if (f->stream)
		json_put_bool(&t->w, "stream", true);
	json_put(&t->w, "model", f->model.at ? f->model : (struct mg_str){ "", 0 });
	put_said(t, "variant", f->variant);
	if (f->variants.n)
		put_strings(t, "variants", &f->variants);
	if (f->plugins.n)
		put_strings(t, "plugins", &f->plugins);
	if (!same_words(&f->models, &r->models))
		put_strings(t, "asked_models", &f->models);
	put_strings(t, "models", &r->models);
	put_key(t, f);
	put_said(t, "session", f->session);
	put_said(t, "data_class", f->data_class);
	put_said(t, "policy", f->policy);
	if (f->labels.n)
		put_labels(t, &f->labels);
	put_strings(t, "params", &f->params);
	put_prefs(t, &r->prefs);
	json_put_int(&t->w, "prompt_tokens", (int64_t)f->feat.prompt_tokens);
	json_put_int(&t->w, "max_tokens", (int64_t)f->feat.max_tokens);
}

/* ---- candidates */

static void put_live_said(struct telling *t, const struct live_facts *l)
{
	if (l->outage_ago_ms != INT64_MAX)
		json_put_int(&t->w, "outage_ago_ms", l->outage_ago_ms);
	if (l->cooldown_ms)
		json_put_int(&t->w, "cooldown_ms", l->cooldown_ms);
	if (l->error_rate > 0)
		put_number(t, "error_rate", l->error_rate);
	if (l->inflight)
		json_put_int(&t->w, "inflight", (int64_t)l->inflight);
	if (l->breaker)
		json_put_int(&t->w, "breaker", l->breaker);
}

static void put_candidate(struct telling *t, const struct seen *c)
{
	const struct endpoint *e = shelf_find(t->shelf, c->hash);

	json_open(&t->w, NULL, '{');
	if (e) {
		json_put_text(&t->w, "endpoint", e->id);
		json_put_text(&t->w, "model", e->model->slug);
		json_put_text(&t->w, "provider", e->provider->slug);
		json_put_text(&t->w, "tag", e->tag);
		json_put_int(&t->w, "prompt_pusd", e->rates.pusd[RATE_PROMPT]);
		json_put_int(&t->w, "completion_pusd", e->rates.pusd[RATE_COMPLETION]);
	} else {
		json_put(&t->w, "endpoint", c->hash);	/* it alone is left */
	}
	json_put_int(&t->w, "rank", c->rank);
	json_put_int(&t->w, "samples", (int64_t)c->live.samples);
	put_number(t, "ttft_p50_ms", c->live.ttft_ms.p50);
	put_number(t, "throughput_p50_tps", c->live.tput_tps.p50);
	put_said(t, "dropped", c->dropped);
	put_said(t, "by", c->by);
	put_live_said(t, &c->live);
	json_close(&t->w);
}

static void put_id(struct telling *t, const struct seen *c)
{
	const struct endpoint *e = shelf_find(t->shelf, c->hash);

	json_put(&t->w, NULL, e ? (struct mg_str){ e->id, strlen(e->id) } : c->hash);
}

static void put_order(struct telling *t, const struct listed *l)
{
	struct mg_view said = json_get(t->all, "order");
	uint64_t i;

	json_open(&t->w, "order", '[');
	for (struct mg_view v = json_at(said, 0); json_kind(v) != MG_ABSENT; v = json_next(v))
		if (json_count(v, &i) && i < l->n)
			put_id(t, &l->at[i]);
	for (unsigned rank = 1; json_kind(said) == MG_ABSENT && rank <= l->n; rank++)
		for (i = 0; i < l->n; i++)
			if (l->at[i].rank == rank)
				put_id(t, &l->at[i]);
	json_close(&t->w);
}

static void put_routings(struct telling *t)
{
	const struct recorded *r = t->r;
	const struct listed *last = &r->routings[r->n_routings - 1];

	if (r->n_routings > 1)
		json_open(&t->w, "before", '[');
	for (const struct listed *l = r->routings; l < last; l++) {
		json_open(&t->w, NULL, '{');
		put_strings(t, "models", &l->models);
		json_open(&t->w, "candidates", '[');
		for (size_t i = 0; i < l->n; i++)
			put_candidate(t, &l->at[i]);
		json_close(&t->w);
		json_close(&t->w);
	}
	if (r->n_routings > 1)
		json_close(&t->w);
	json_open(&t->w, "candidates", '[');
	for (size_t i = 0; i < last->n; i++)
		put_candidate(t, &last->at[i]);
	json_close(&t->w);
	put_order(t, last);
	if (r->drawn.ppm)
		put_number(t, "drawn", (double)r->drawn.ppm / 1e6);
	put_view(t, "strategy", json_get(t->all, "strategy"), NULL);
}

/* ---- what was decided */

static void put_shadow(struct telling *t, struct mg_view row)
{
	static const char *const names[] = { "hook", "by", "asked", "differed", "failed", "charge_nusd" };
	struct mg_view v = json_at(row, 0);

	json_open(&t->w, NULL, '{');
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++, v = json_next(v))
		put_view(t, names[i], v, i < 2 ? "\"\"" : "0");
	json_open(&t->w, "differences", '[');
	for (; json_kind(v) == MG_STRING; v = json_next(json_next(v))) {
		json_open(&t->w, NULL, '{');
		put_view(t, "what", v, NULL);
		put_view(t, "count", json_next(v), "1");
		json_close(&t->w);
	}
	json_close(&t->w);
	json_close(&t->w);
}

static void put_denied(struct telling *t, const struct refused *no)
{
	if (!no->hook)
		return;
	json_open(&t->w, "denied", '{');
	json_put_text(&t->w, "hook", no->hook);
	json_put_int(&t->w, "status", no->status);
	json_put_text(&t->w, "code", no->code);
	json_put_text(&t->w, "by", no->by);
	json_close(&t->w);
}

static void put_failure(struct telling *t, const struct failed *f)
{
	const struct listed *l = f->routing < t->r->n_routings ? &t->r->routings[f->routing] : NULL;
	const struct endpoint *e = l && f->candidate < l->n ? shelf_find(t->shelf, l->at[f->candidate].hash) : NULL;

	json_open(&t->w, NULL, '{');
	json_put_text(&t->w, "endpoint", e ? e->id : "");
	json_put_int(&t->w, "status", f->error.status);
	json_put_text(&t->w, "kind", error_kinds[f->error.kind]);
	json_put_text(&t->w, "phase", f->error.phase ? f->error.phase : "headers");
	json_put_int(&t->w, "elapsed_ms", (int64_t)f->error.elapsed_ms);
	json_put_text(&t->w, "action", action_names[f->action.what]);
	if (f->action.skip)
		json_put_text(&t->w, "skip", f->action.skip == SKIP_MODEL ? "model" : "provider");
	if (f->action.after_ms)
		json_put_int(&t->w, "after_ms", (int64_t)f->action.after_ms);
	put_said(t, "model", f->action.model);
	if (f->by)
		json_put_text(&t->w, "by", f->by);
	json_close(&t->w);
}

static void put_failures(struct telling *t)
{
	if (!t->r->failures)
		return;
	json_open(&t->w, "attempts", '[');
	for (const struct failed *f = t->r->failures; f; f = f->next)
		put_failure(t, f);
	json_close(&t->w);
}

static void put_readings(struct telling *t)
{
	if (!t->r->given)
		return;
	json_open(&t->w, "reads", '[');
	for (const struct consulted *c = t->r->given; c; c = c->next) {
		json_open(&t->w, NULL, '{');
		json_put_text(&t->w, "function", c->function);
		json_put_raw(&t->w, "asked", pool_print(t->pool, "[%.*s]", (int)c->asked.len, c->asked.at));
		json_put_raw(&t->w, "said", pool_print(t->pool, "[%.*s]", (int)c->said.len, c->said.at));
		json_close(&t->w);
	}
	json_close(&t->w);
}

static void put_notes(struct telling *t, struct mg_view list)
{
	json_open(&t->w, "notes", '[');
	for (struct mg_view n = json_at(list, 0); json_kind(n) != MG_ABSENT; n = json_next(n)) {
		json_open(&t->w, NULL, '{');
		put_view(t, "hook", json_at(n, 0), "\"\"");
		put_view(t, "by", json_at(n, 1), "\"\"");
		put_view(t, "text", json_at(n, 2), "\"\"");
		json_close(&t->w);
	}
	json_close(&t->w);
}

static void put_plan(struct telling *t, struct mg_view plan)
{
	json_open(&t->w, "plan", '{');
	for (struct mg_view v = json_at(plan, 0); json_kind(v) != MG_ABSENT; v = json_next(v)) {
		const char *name = pool_dup(t->pool, json_name(v)).at;

		if (json_kind(v) == MG_NUMBER && !strcmp(name, "sticky_key"))
			json_put(&t->w, name, t->r->facts.session);
		else
			put_view(t, name, v, NULL);
	}
	json_close(&t->w);
}

static void put_decided(struct telling *t)
{
	const struct recorded *r = t->r;
	struct mg_view keep = json_get(t->all, "keep");
	bool usual = json_kind(keep) == MG_ABSENT;

	put_denied(t, &r->refused);
	put_plan(t, json_get(t->all, "plan"));
	put_failures(t);
	json_open(&t->w, "keep", '{');
	put_view(t, "store", json_at(keep, 0), usual ? "\"metadata\"" : "\"none\"");
	put_view(t, "ttl_s", json_at(keep, 1), usual ? "2592000" : "0");
	json_put_bool(&t->w, "cache", json_kind(json_at(keep, 2)) == MG_TRUE);
	put_view(t, "sinks", json_at(keep, 3), NULL);	/* none: all of them */
	json_close(&t->w);
	put_notes(t, json_get(t->all, "notes"));
	if (json_kind(json_get(t->all, "shadow")) != MG_ABSENT) {
		json_open(&t->w, "shadow", '[');
		for (struct mg_view v = json_at(json_get(t->all, "shadow"), 0); json_kind(v) != MG_ABSENT; v = json_next(v))
			put_shadow(t, v);
		json_close(&t->w);
	}
	put_readings(t);
	json_put_bool(&t->w, "policy_error", json_kind(json_get(t->all, "policy_error")) == MG_TRUE);
	put_view(t, "errors", json_get(t->all, "errors"), "0");
	put_view(t, "fuel", json_at(json_get(t->all, "spent"), 0), "0");
	put_view(t, "lua_us", json_at(json_get(t->all, "spent"), 1), "0");
}

/* ---- again */

static void put_line(void *arg, const char *line)
{
	json_put_text(arg, NULL, line);
}

static void put_differences(struct telling *t, struct bundle *b, const struct mg_store_decision *row)
{
	struct err err = { 0 };
	struct replay *replay = replay_new(b, t->shelf, NULL, &err);
	int rc = replay ? replay_decide(replay, row, &err) : err.rc;

	json_put_bool(&t->w, "same", !rc && replay_same(replay));
	json_open(&t->w, "differences", '[');
	if (rc)
		json_put_text(&t->w, NULL, err.msg);
	else
		replay_differences(replay, put_line, &t->w);
	json_close(&t->w);
	replay_free(replay);
}

/* With the same bundle, if it is at hand. */
static void put_again(struct telling *t, const struct bundles *bundles, const struct mg_store_decision *row)
{
	struct bundle *b = bundles->find(bundles->arg, t->r->bundle);

	json_open(&t->w, "again", '{');
	json_put_text(&t->w, "bundle", t->r->bundle);
	json_put_bool(&t->w, "at_hand", b != NULL);
	if (b)
		put_differences(t, b, row);
	json_close(&t->w);
	bundle_unref(b);
}

/* ---- from the store */

static int tell(struct telling *t, const struct mg_store_decision *row, const struct bundles *bundles, struct buf *out, struct err *err)
{
	int rc = json_parse(t->pool, (struct mg_str){ row->json, strlen(row->json) }, &t->all, err);

	if (rc)
		return rc;
	json_writer_init(&t->w, out);
	json_open(&t->w, NULL, '{');
	put_asked(t);
	put_routings(t);
	put_decided(t);
	if (bundles)
		put_again(t, bundles, row);
	json_close(&t->w);
	return json_written(&t->w).at ? MG_OK : fail(err, MG_ENOMEM, "no memory for a decision");
}

int decision_recall(const struct mg_store *ops, void *handle, const struct mg_store_decision *row, const struct bundles *bundles,
	struct buf *out, struct err *err)
{
	struct pool *pool = pool_new(16 << 20);
	struct shelf *shelf = NULL;
	struct recorded r;
	int rc = pool ? recorded_read(pool, row, &r, err) : fail(err, MG_ENOMEM, "no memory for a decision");

	rc = rc ? rc : shelf_of(ops, handle, pool, &r, &shelf, err);
	rc = rc ? rc : tell(&(struct telling){ .pool = pool, .shelf = shelf, .r = &r }, row, bundles, out, err);
	shelf_free(shelf);
	pool_free(pool);
	return rc;
}

int decision_find(const struct mg_store *ops, void *handle, const char *id, const struct bundles *bundles, struct buf *out, struct err *err)
{
	struct mg_store_decision row;
	struct buf texts;
	int rc, found;

	found = copy_find(ops, handle, id, &texts, &row, err);
	rc = found == 1 ? decision_recall(ops, handle, &row, bundles, out, err) : 0;
	buf_release(&texts);
	return rc ? rc : found;
}
