/*
 * A decision as a record, and the record as text: every candidate, and which
 * line of which policy dropped it.
 */
#include <inttypes.h>
#include "base/buf.h"
#include "base/clock.h"
#include "policy/state.h"

static json_t *text_json(struct mg_str s)
{
	json_t *out = s.at ? json_stringn(s.at, s.len) : json_string("");

	return out ? out : json_string("(not UTF-8)");
}

static json_t *words_json(const struct words *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->n; i++)
		json_array_append_new(list, text_json(w->at[i]));
	return list;
}

static void put_words(json_t *o, const char *name, const struct words *w)
{
	if (w->n)
		json_object_set_new(o, name, words_json(w));
}

static void put_number(json_t *o, const char *name, const struct number *n)
{
	if (n->set)
		json_object_set_new(o, name, json_real(n->n));
}

static void put_text(json_t *o, const char *name, struct mg_str s)
{
	if (s.at && s.len)
		json_object_set_new(o, name, text_json(s));
}

static json_t *prefs_json(const struct prefs *p)
{
	static const char *const cuts[4] = { "p50", "p75", "p90", "p99" };
	json_t *o = json_object();
	char name[32];

	put_words(o, "order", &p->order);
	put_words(o, "only", &p->only);
	put_words(o, "ignore", &p->ignore);
	put_words(o, "quantizations", &p->quantizations);
	put_words(o, "guards", &p->guards);
	json_object_set_new(o, "allow_fallbacks", json_boolean(p->allow_fallbacks));
	json_object_set_new(o, "require_parameters", json_boolean(p->require_parameters));
	json_object_set_new(o, "data_collection", json_string(p->deny_data_collection ? "deny" : "allow"));
	json_object_set_new(o, "zdr", json_boolean(p->zdr));
	json_object_set_new(o, "distillable", json_boolean(p->distillable));
	put_text(o, "sort_by", p->sort_by);
	put_text(o, "partition", p->partition);
	put_text(o, "service_tier", p->service_tier);
	put_number(o, "max_prompt", &p->max_prompt);
	put_number(o, "max_completion", &p->max_completion);
	put_number(o, "max_request", &p->max_request);
	put_number(o, "max_image", &p->max_image);
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "max_latency_%s_s", cuts[i]);
		put_number(o, name, &p->latency_s[i]);
		snprintf(name, sizeof(name), "min_throughput_%s_tps", cuts[i]);
		put_number(o, name, &p->throughput_tps[i]);
	}
	return o;
}

static json_t *candidate_json(const struct candidate *c)
{
	const struct endpoint *e = c->endpoint;
	const struct live_facts *l = &c->live;
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:i}", "endpoint", e->id, "model", e->model->slug, "provider", e->provider->slug,
		"tag", e->tag, "rank", (int)c->rank);

	if (c->dropped)
		json_object_set_new(o, "dropped", json_string(c->dropped));
	if (c->by)
		json_object_set_new(o, "by", json_string(c->by));
	json_object_set_new(o, "prompt_pusd", json_integer(e->rates.pusd[RATE_PROMPT]));
	json_object_set_new(o, "completion_pusd", json_integer(e->rates.pusd[RATE_COMPLETION]));
	if (l->outage_ago_ms != INT64_MAX)
		json_object_set_new(o, "outage_ago_ms", json_integer(l->outage_ago_ms));
	if (l->cooldown_ms)
		json_object_set_new(o, "cooldown_ms", json_integer(l->cooldown_ms));
	json_object_set_new(o, "samples", json_integer((json_int_t)l->samples));
	json_object_set_new(o, "ttft_p50_ms", json_real(l->ttft_ms.p50));
	json_object_set_new(o, "throughput_p50_tps", json_real(l->tput_tps.p50));
	return o;
}

static json_t *plan_json(const struct plan *p)
{
	json_t *o = json_object();

	if (p->deadline_ms)
		json_object_set_new(o, "deadline_ms", json_integer((json_int_t)p->deadline_ms));
	if (p->connect_ms)
		json_object_set_new(o, "connect_timeout_ms", json_integer((json_int_t)p->connect_ms));
	if (p->first_output_ms)
		json_object_set_new(o, "ttft_timeout_ms", json_integer((json_int_t)p->first_output_ms));
	if (p->idle_ms)
		json_object_set_new(o, "idle_timeout_ms", json_integer((json_int_t)p->idle_ms));
	if (p->attempts)
		json_object_set_new(o, "max_attempts", json_integer(p->attempts));
	if (p->hedge_after_ms)
		json_object_set_new(o, "hedge_after_ms", json_integer((json_int_t)p->hedge_after_ms));
	if (p->max_charge_nusd)
		json_object_set_new(o, "max_charge_nusd", json_integer(p->max_charge_nusd));
	put_text(o, "sticky_key", p->sticky_key);
	return o;
}

json_t *decision_json(const struct decision *d, const struct bundle *b)
{
	static const char *const stores[] = { "none", "metadata", "hashed", "full" };
	const struct facts *f = &d->facts;
	json_t *o = json_object(), *list = json_array(), *order = json_array(), *notes = json_array();

	json_object_set_new(o, "id", text_json(f->id));
	json_object_set_new(o, "at_ms", json_integer(f->now_ms));
	json_object_set_new(o, "seed", json_integer((json_int_t)f->seed));
	json_object_set_new(o, "api", text_json(f->api));
	json_object_set_new(o, "bundle", json_string(b ? bundle_hash(b) : ""));
	json_object_set_new(o, "model", text_json(f->model));
	put_text(o, "variant", f->variant);
	json_object_set_new(o, "models", words_json(&f->models));
	json_object_set_new(o, "key", json_pack("{s:o, s:o, s:o}", "id", text_json(f->key.id), "org", text_json(f->key.org), "workspace", text_json(f->key.workspace)));
	put_text(o, "data_class", f->data_class);
	json_object_set_new(o, "params", words_json(&f->params));
	json_object_set_new(o, "prefs", prefs_json(&f->prefs));
	json_object_set_new(o, "prompt_tokens", json_integer((json_int_t)f->feat.prompt_tokens));
	json_object_set_new(o, "max_tokens", json_integer((json_int_t)f->feat.max_tokens));
	for (size_t i = 0; i < d->n; i++)
		json_array_append_new(list, candidate_json(&d->candidates[i]));
	for (size_t i = 0; i < d->n_order; i++)
		json_array_append_new(order, json_string(d->order[i]->endpoint->id));
	for (const struct note *n = d->notes; n; n = n->next)
		json_array_append_new(notes, json_pack("{s:s, s:s*, s:s}", "hook", n->hook, "by", n->by ? n->by : "", "text", n->text));
	json_object_set_new(o, "candidates", list);
	json_object_set_new(o, "order", order);
	json_object_set_new(o, "plan", plan_json(&d->plan));
	json_object_set_new(o, "keep", json_pack("{s:s, s:I, s:b}", "store", stores[d->keep.store], "ttl_s", (json_int_t)d->keep.ttl_s, "cache", d->keep.cache));
	json_object_set_new(o, "notes", notes);
	json_object_set_new(o, "policy_error", json_boolean(d->policy_error));
	json_object_set_new(o, "errors", json_integer(d->errors));
	json_object_set_new(o, "fuel", json_integer(d->fuel));
	json_object_set_new(o, "lua_us", json_integer((json_int_t)d->lua_us));
	return o;
}

/* ---- text */

struct page { void (*line)(void *, const char *); void *arg; };

static void say(struct page *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct page *p, const char *fmt, ...)
{
	char text[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	p->line(p->arg, text);
}

static const char *word(json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? text : "";
}

static int64_t count(json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static void join(json_t *list, char *out, size_t size)
{
	size_t i, len = 0;
	json_t *item;

	*out = '\0';
	json_array_foreach(list, i, item) {
		int n = snprintf(out + len, size - len, "%s%s", i ? ", " : "", json_string_value(item) ? json_string_value(item) : "");

		if (n < 0 || (size_t)n >= size - len)
			return;
		len += (size_t)n;
	}
}

/* The drops of one reason: how many, why, who said so, which. */
static void drops_of(struct page *p, json_t *candidates, const char *reason, const char *by)
{
	char names[300] = "";
	size_t i, len = 0, n = 0;
	json_t *c;

	json_array_foreach(candidates, i, c) {
		int wrote;

		if (strcmp(word(c, "dropped"), reason) || strcmp(word(c, "by"), by))
			continue;
		n++;
		if (len + 8 >= sizeof(names))
			continue;
		wrote = snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "", word(c, "endpoint"));
		len = wrote < 0 || (size_t)wrote >= sizeof(names) - len ? sizeof(names) - 1 : len + (size_t)wrote;
	}
	say(p, "           %5zu  %-18s %-28s %s%s", n, reason, by, names, len == sizeof(names) - 1 ? " ..." : "");
}

static void drops(struct page *p, json_t *candidates)
{
	size_t i, k;
	json_t *c, *earlier;

	json_array_foreach(candidates, i, c) {
		bool first = json_object_get(c, "dropped") != NULL;

		for (k = 0; first && k < i; k++) {
			earlier = json_array_get(candidates, k);
			if (!strcmp(word(earlier, "dropped"), word(c, "dropped")) && !strcmp(word(earlier, "by"), word(c, "by")))
				first = false;
		}
		if (first)
			drops_of(p, candidates, word(c, "dropped"), word(c, "by"));
	}
}

static json_t *find(json_t *candidates, const char *endpoint)
{
	size_t i;
	json_t *c;

	json_array_foreach(candidates, i, c)
		if (!strcmp(word(c, "endpoint"), endpoint))
			return c;
	return NULL;
}

static void ranking(struct page *p, json_t *order, json_t *candidates)
{
	size_t i;
	json_t *name;

	json_array_foreach(order, i, name) {
		json_t *c = find(candidates, json_string_value(name));
		char health[80] = "";

		if (json_object_get(c, "outage_ago_ms"))
			snprintf(health, sizeof(health), "  outage %" PRId64 " s ago", count(c, "outage_ago_ms") / 1000);
		say(p, "           %5zu  %-40s $%.3f/$%.3f per 1M%s", i + 1, json_string_value(name), (double)count(c, "prompt_pusd") / 1e6,
			(double)count(c, "completion_pusd") / 1e6, health);
	}
}

static void notes_of(struct page *p, json_t *notes)
{
	size_t i;
	json_t *n;

	json_array_foreach(notes, i, n)
		say(p, "%-10s %-16s %s", word(n, "hook"), word(n, "by"), word(n, "text"));
}

static void attempts(struct page *p, json_t *list)
{
	size_t i;
	json_t *a;

	json_array_foreach(list, i, a)
		say(p, "attempt %-2zu %-40s %" PRId64 " %s", i + 1, word(a, "endpoint"), count(a, "status"), word(a, "kind"));
}

void decision_text(json_t *record, void (*line)(void *arg, const char *text), void *arg)
{
	struct page p = { line, arg };
	json_t *candidates = json_object_get(record, "candidates"), *order = json_object_get(record, "order"),
		*key = json_object_get(record, "key"), *keep = json_object_get(record, "keep");
	char models[400], at[32], plan[400], *text;

	clock_rfc3339(count(record, "at_ms"), at);
	join(json_object_get(record, "models"), models, sizeof(models));
	say(&p, "%s  %s  key=%s org=%s  class=%s  bundle %.12s", word(record, "id"), at, word(key, "id"), word(key, "org"),
		*word(record, "data_class") ? word(record, "data_class") : "-", word(record, "bundle"));
	say(&p, "retain     store=%s ttl=%" PRId64 "s cache=%s", word(keep, "store"), count(keep, "ttl_s"), json_is_true(json_object_get(keep, "cache")) ? "yes" : "no");
	say(&p, "resolve    %s%s%s -> %s", word(record, "model"), *word(record, "variant") ? ":" : "", word(record, "variant"), models);
	notes_of(&p, json_object_get(record, "notes"));
	say(&p, "candidates %zu -> %zu", json_array_size(candidates), json_array_size(order));
	drops(&p, candidates);
	say(&p, "rank");
	ranking(&p, order, candidates);
	text = json_dumps(json_object_get(record, "plan"), JSON_COMPACT);
	snprintf(plan, sizeof(plan), "%s", text ? text : "{}");
	free(text);
	say(&p, "plan       %s", plan);
	attempts(&p, json_object_get(record, "attempts"));
	say(&p, "fuel       %" PRId64 "    lua %" PRId64 " us    errors %" PRId64, count(record, "fuel"), count(record, "lua_us"), count(record, "errors"));
}
