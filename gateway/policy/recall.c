/*
 * A kept decision, told in full: record.c leaves out what goes without saying.
 */
#include "base/json.h"
#include "policy/policy.h"

struct telling { struct mg_writer w; struct pool *pool; };

static void put_as_is(struct telling *t, const char *name, struct mg_view v)
{
	json_put_raw(&t->w, name, json_raw(v));		/* absent: nothing */
}

/* The members of an object, as they are called there. */
static void put_members(struct telling *t, struct mg_view object)
{
	for (struct mg_view v = json_at(object, 0); json_kind(v) != MG_ABSENT; v = json_next(v))
		put_as_is(t, pool_dup(t->pool, json_name(v)).at, v);
}

static void put_or(struct telling *t, const char *name, struct mg_view v, const char *otherwise)
{
	json_put_raw(&t->w, name, json_kind(v) != MG_ABSENT ? json_raw(v) : (struct mg_str){ otherwise, strlen(otherwise) });
}

static bool is_true(struct mg_view v)
{
	return json_kind(v) == MG_TRUE;
}

/* ---- what was asked */

static void put_key(struct telling *t, struct mg_view kept, const char *hash)
{
	json_open(&t->w, "key", '{');
	json_put_text(&t->w, "id", hash ? hash : "");
	put_or(t, "org", json_get(kept, "org"), "\"\"");
	put_or(t, "workspace", json_get(kept, "workspace"), "\"\"");
	json_close(&t->w);
}

static void put_prefs(struct telling *t, struct mg_view kept)
{
	static const char *const words[] = { "no_fallbacks", "require_parameters", "deny_data_collection", "zdr", "distillable", "partition" };

	json_open(&t->w, "prefs", '{');
	json_put_bool(&t->w, "allow_fallbacks", !is_true(json_get(kept, "no_fallbacks")));
	json_put_bool(&t->w, "require_parameters", is_true(json_get(kept, "require_parameters")));
	json_put_text(&t->w, "data_collection", is_true(json_get(kept, "deny_data_collection")) ? "deny" : "allow");
	json_put_bool(&t->w, "zdr", is_true(json_get(kept, "zdr")));
	json_put_bool(&t->w, "distillable", is_true(json_get(kept, "distillable")));
	put_or(t, "partition", json_get(kept, "partition"), "\"model\"");
	for (struct mg_view v = json_at(kept, 0); json_kind(v) != MG_ABSENT; v = json_next(v)) {
		bool said = false;

		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			said |= mg_is(json_name(v), words[i]);
		if (!said)
			put_as_is(t, pool_dup(t->pool, json_name(v)).at, v);
	}
	json_close(&t->w);
}

static void put_asked(struct telling *t, struct mg_view kept, const struct mg_store_decision *row)
{
	struct mg_view tokens = json_get(kept, "tokens"), models = json_get(kept, "models");

	json_put_text(&t->w, "id", row->generation_id);
	json_put_int(&t->w, "at_ms", row->at_ms);
	put_as_is(t, "seed", json_get(kept, "seed"));
	put_as_is(t, "api", json_get(kept, "api"));
	put_as_is(t, "bundle", json_get(kept, "bundle"));
	put_as_is(t, "model", json_get(kept, "model"));
	put_as_is(t, "variant", json_get(kept, "variant"));
	if (json_kind(models) != MG_ABSENT) {
		put_as_is(t, "models", models);
	} else {
		json_open(&t->w, "models", '[');
		put_as_is(t, NULL, json_get(kept, "model"));
		json_close(&t->w);
	}
	put_key(t, kept, row->key_hash);
	put_as_is(t, "data_class", json_get(kept, "data_class"));
	put_or(t, "params", json_get(kept, "params"), "[]");
	put_prefs(t, json_get(kept, "prefs"));
	put_or(t, "prompt_tokens", json_at(tokens, 0), "0");
	put_or(t, "max_tokens", json_at(tokens, 1), "0");
}

/* ---- candidates */

struct told { struct mg_str id, model, provider, tag; uint64_t rank; };

/* The texts of its id; before: the one in front of it, or NULL. */
static void read_id(struct pool *p, struct mg_view kept, struct mg_view more, const struct told *before, struct told *c)
{
	struct mg_str id = json_text(p, json_at(kept, 0));
	const char *at;

	if (before && id.len && id.at[0] == '@')
		id = pool_print(p, "%.*s%.*s", (int)before->model.len, before->model.at, (int)id.len, id.at);
	at = id.at ? memrchr(id.at, '@', id.len) : NULL;
	at = at ? at : id.at + id.len;
	c->id = id;
	c->model = (struct mg_str){ id.at, (size_t)(at - id.at) };
	c->tag = at < id.at + id.len ? (struct mg_str){ at + 1, id.len - c->model.len - 1 } : (struct mg_str){ "", 0 };
	if (json_kind(json_get(more, "model")) == MG_STRING)
		c->model = json_text(p, json_get(more, "model"));
	if (json_kind(json_get(more, "tag")) == MG_STRING)
		c->tag = json_text(p, json_get(more, "tag"));
	c->provider = c->tag;
	if (json_kind(json_get(more, "provider")) == MG_STRING)
		c->provider = json_text(p, json_get(more, "provider"));
}

static void put_candidate(struct telling *t, struct mg_view kept, const struct told *before, struct told *c)
{
	struct mg_view prompt = json_at(kept, 1), completion = json_next(prompt), more = json_next(completion), rank = more, v;
	static const char *const numbers[] = { "samples", "ttft_p50_ms", "throughput_p50_tps" };

	if (json_kind(more) == MG_OBJECT)
		rank = json_next(more);
	read_id(t->pool, kept, more, before, c);
	json_count(rank, &c->rank);
	json_open(&t->w, NULL, '{');
	json_put(&t->w, "endpoint", c->id);
	json_put(&t->w, "model", c->model);
	json_put(&t->w, "provider", c->provider);
	json_put(&t->w, "tag", c->tag);
	put_as_is(t, "prompt_pusd", prompt);
	put_as_is(t, "completion_pusd", completion);
	put_as_is(t, "rank", rank);
	v = json_next(rank);
	for (int i = 0; i < 3; i++) {
		bool said = json_kind(v) == MG_NUMBER;

		put_or(t, numbers[i], said ? v : (struct mg_view){ 0 }, "0");
		v = said ? json_next(v) : v;
	}
	put_members(t, v);
	json_close(&t->w);
}

static void put_order(struct telling *t, struct mg_view said, const struct told *all, size_t n)
{
	uint64_t i;

	json_open(&t->w, "order", '[');
	for (struct mg_view v = json_at(said, 0); json_kind(v) != MG_ABSENT; v = json_next(v))
		if (json_count(v, &i) && i < n)
			json_put(&t->w, NULL, all[i].id);
	for (uint64_t rank = 1; json_kind(said) == MG_ABSENT && rank <= n; rank++)
		for (i = 0; i < n; i++)
			if (all[i].rank == rank)
				json_put(&t->w, NULL, all[i].id);
	json_close(&t->w);
}

static int put_candidates(struct telling *t, struct mg_view kept, struct err *err)
{
	struct mg_view list = json_get(kept, "candidates"), v = json_at(list, 0);
	size_t n = json_len(list);
	struct told *all = pool_alloc(t->pool, (n + 1) * sizeof(*all));

	if (!all)
		return fail(err, MG_ENOMEM, "no memory for a decision");
	json_open(&t->w, "candidates", '[');
	for (size_t i = 0; i < n; i++, v = json_next(v)) {
		all[i] = (struct told){ .rank = 0 };
		if (json_kind(json_at(v, 0)) != MG_STRING)
			return fail(err, MG_EPROTO, "a kept decision has a candidate without an id");
		put_candidate(t, v, i ? &all[i - 1] : NULL, &all[i]);
	}
	json_close(&t->w);
	put_order(t, json_get(kept, "order"), all, n);
	return MG_OK;
}

/* ---- what was decided */

static void put_shadow(struct telling *t, struct mg_view row)
{
	static const char *const names[] = { "hook", "by", "asked", "differed", "failed", "charge_nusd" };
	struct mg_view v = json_at(row, 0);

	json_open(&t->w, NULL, '{');
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++, v = json_next(v))
		put_or(t, names[i], v, i < 2 ? "\"\"" : "0");
	json_open(&t->w, "differences", '[');
	for (; json_kind(v) == MG_STRING; v = json_next(json_next(v))) {
		json_open(&t->w, NULL, '{');
		put_as_is(t, "what", v);
		put_or(t, "count", json_next(v), "1");
		json_close(&t->w);
	}
	json_close(&t->w);
	json_close(&t->w);
}

static void put_shadows(struct telling *t, struct mg_view list)
{
	json_open(&t->w, "shadow", '[');
	for (struct mg_view v = json_at(list, 0); json_kind(v) != MG_ABSENT; v = json_next(v))
		put_shadow(t, v);
	json_close(&t->w);
}

static void put_decided(struct telling *t, struct mg_view kept)
{
	struct mg_view keep = json_get(kept, "keep"), spent = json_get(kept, "spent");

	put_or(t, "plan", json_get(kept, "plan"), "{}");
	json_open(&t->w, "keep", '{');
	put_or(t, "store", json_at(keep, 0), "\"none\"");
	put_or(t, "ttl_s", json_at(keep, 1), "0");
	json_put_bool(&t->w, "cache", is_true(json_at(keep, 2)));
	put_as_is(t, "sinks", json_at(keep, 3));	/* none: all of them */
	json_close(&t->w);
	json_open(&t->w, "notes", '[');
	for (struct mg_view n = json_at(json_get(kept, "notes"), 0); json_kind(n) != MG_ABSENT; n = json_next(n)) {
		json_open(&t->w, NULL, '{');
		put_or(t, "hook", json_at(n, 0), "\"\"");
		put_or(t, "by", json_at(n, 1), "\"\"");
		put_or(t, "text", json_at(n, 2), "\"\"");
		json_close(&t->w);
	}
	json_close(&t->w);
	if (json_kind(json_get(kept, "shadow")) != MG_ABSENT)
		put_shadows(t, json_get(kept, "shadow"));
	json_put_bool(&t->w, "policy_error", is_true(json_get(kept, "policy_error")));
	put_or(t, "errors", json_get(kept, "errors"), "0");
	put_or(t, "fuel", json_at(spent, 0), "0");
	put_or(t, "lua_us", json_at(spent, 1), "0");
}

int decision_recall(const struct mg_store_decision *row, struct buf *out, struct err *err)
{
	struct telling t = { .pool = pool_new(4 << 20) };
	struct mg_view kept = { 0 };
	int rc = t.pool ? json_parse(t.pool, (struct mg_str){ row->json, strlen(row->json) }, &kept, err) : fail(err, MG_ENOMEM, "no memory for a decision");

	if (!rc) {
		json_writer_init(&t.w, out);
		json_open(&t.w, NULL, '{');
		put_asked(&t, kept, row);
		rc = put_candidates(&t, kept, err);
	}
	if (!rc) {
		put_decided(&t, kept);
		json_close(&t.w);
		if (!json_written(&t.w).at)
			rc = fail(err, MG_ENOMEM, "no memory for a decision");
	}
	pool_free(t.pool);
	return rc;
}
