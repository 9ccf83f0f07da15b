/*
 * A decision as JSON text, for the store: what was asked, what every candidate
 * looked like and why it was dropped.  It is written for each generation, so
 * nothing is built first: text goes straight into a buffer that the state
 * keeps, and what an endpoint's part never changes is printed once.
 */
#include "base/json.h"
#include "base/utf8.h"
#include "policy/state.h"

/* A hundred small pieces to a record: where there is room already, no call. */
static inline void put(struct buf *b, const char *at, size_t len)
{
	if (b->failed || len > b->size - b->len) {
		buf_put(b, at, len);
		return;
	}
	memcpy(b->at + b->len, at, len);
	b->len += len;
}

#define LIT(b, text) put(b, text, sizeof(text) - 1)

static void number(struct buf *b, int64_t n)
{
	uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
	char text[24];
	size_t at = sizeof(text);

	if (left < 10 && n >= 0) {
		text[0] = (char)('0' + left);
		put(b, text, 1);
		return;
	}
	do
		text[--at] = (char)('0' + left % 10);
	while (left /= 10);
	if (n < 0)
		text[--at] = '-';
	put(b, text + at, sizeof(text) - at);
}

/* Three places are enough for milliseconds, tokens a second and shares. */
static void decimal(struct buf *b, double x)
{
	int64_t n = x > -9e14 && x < 9e14 ? (int64_t)(x * 1000 + (x < 0 ? -0.5 : 0.5)) : 0;
	char places[4] = { '.' };

	if (!n) {
		LIT(b, "0");
		return;
	}
	if (n < 0)
		LIT(b, "-");
	n = n < 0 ? -n : n;
	number(b, n / 1000);
	n %= 1000;
	if (!n)
		return;
	for (int i = 3; i > 0; i--, n /= 10)
		places[i] = (char)('0' + n % 10);
	put(b, places, places[3] != '0' ? 4 : places[2] != '0' ? 3 : 2);
}

/* Of a price cut, which may be smaller than that. */
static void fraction(struct buf *b, double x)
{
	buf_print(b, "%.17g", x);
}

static void text(struct buf *b, struct mg_str s)
{
	if (s.len && utf8_plain((const unsigned char *)s.at, s.len) < s.len) {
		json_quote(b, s);
		return;
	}
	LIT(b, "\"");
	if (s.len)
		put(b, s.at, s.len);
	LIT(b, "\"");
}

static void words(struct buf *b, const char *word)
{
	text(b, (struct mg_str){ word, word ? strlen(word) : 0 });
}

static void truth(struct buf *b, bool yes)
{
	if (yes)
		LIT(b, "true");
	else
		LIT(b, "false");
}

static void list(struct buf *b, const struct words *w)
{
	LIT(b, "[");
	for (size_t i = 0; i < w->n; i++) {
		if (i)
			LIT(b, ",");
		text(b, w->at[i]);
	}
	LIT(b, "]");
}

/* A comma, a name and its colon; name is `"name":` already. */
static void member(struct buf *b, const char *name)
{
	LIT(b, ",");
	buf_text(b, name);
}

static void put_list(struct buf *b, const char *name, const struct words *w)
{
	if (!w->n)
		return;
	member(b, name);
	list(b, w);
}

static void put_text(struct buf *b, const char *name, struct mg_str s)
{
	if (!s.at || !s.len)
		return;
	member(b, name);
	text(b, s);
}

static void put_cut(struct buf *b, const char *name, const struct number *n)
{
	if (!n->set)
		return;
	member(b, name);
	fraction(b, n->n);
}

static void put_count(struct buf *b, const char *name, uint64_t n)
{
	if (!n)
		return;
	member(b, name);
	number(b, n < INT64_MAX ? (int64_t)n : INT64_MAX);
}

static void cuts(struct buf *b, const struct prefs *p)
{
	static const char *const latency[4] = { "\"max_latency_p50_s\":", "\"max_latency_p75_s\":", "\"max_latency_p90_s\":", "\"max_latency_p99_s\":" };
	static const char *const tput[4] = { "\"min_throughput_p50_tps\":", "\"min_throughput_p75_tps\":", "\"min_throughput_p90_tps\":",
		"\"min_throughput_p99_tps\":" };

	put_cut(b, "\"max_prompt\":", &p->max_prompt);
	put_cut(b, "\"max_completion\":", &p->max_completion);
	put_cut(b, "\"max_request\":", &p->max_request);
	put_cut(b, "\"max_image\":", &p->max_image);
	for (int i = 0; i < 4; i++) {
		put_cut(b, latency[i], &p->latency_s[i]);
		put_cut(b, tput[i], &p->throughput_tps[i]);
	}
}

static void prefs(struct buf *b, const struct prefs *p)
{
	LIT(b, ",\"prefs\":{\"allow_fallbacks\":");
	truth(b, p->allow_fallbacks);
	LIT(b, ",\"require_parameters\":");
	truth(b, p->require_parameters);
	LIT(b, ",\"data_collection\":");
	buf_text(b, p->deny_data_collection ? "\"deny\"" : "\"allow\"");
	LIT(b, ",\"zdr\":");
	truth(b, p->zdr);
	LIT(b, ",\"distillable\":");
	truth(b, p->distillable);
	put_list(b, "\"order\":", &p->order);
	put_list(b, "\"only\":", &p->only);
	put_list(b, "\"ignore\":", &p->ignore);
	put_list(b, "\"quantizations\":", &p->quantizations);
	put_list(b, "\"guards\":", &p->guards);
	put_text(b, "\"sort_by\":", p->sort_by);
	put_text(b, "\"partition\":", p->partition);
	put_text(b, "\"service_tier\":", p->service_tier);
	cuts(b, p);
	LIT(b, "}");
}

static void asked(struct buf *b, const struct facts *f, const char *bundle)
{
	LIT(b, "{\"id\":");
	text(b, f->id);
	LIT(b, ",\"at_ms\":");
	number(b, f->now_ms);
	LIT(b, ",\"seed\":");
	number(b, (int64_t)f->seed);
	LIT(b, ",\"api\":");
	text(b, f->api);
	LIT(b, ",\"bundle\":\"");
	buf_text(b, bundle);
	LIT(b, "\",\"model\":");
	text(b, f->model);
	put_text(b, "\"variant\":", f->variant);
	LIT(b, ",\"models\":");
	list(b, &f->models);
	LIT(b, ",\"key\":{\"id\":");
	text(b, f->key.id);
	LIT(b, ",\"org\":");
	text(b, f->key.org);
	LIT(b, ",\"workspace\":");
	text(b, f->key.workspace);
	LIT(b, "}");
	put_text(b, "\"data_class\":", f->data_class);
	LIT(b, ",\"params\":");
	list(b, &f->params);
	prefs(b, &f->prefs);
	LIT(b, ",\"prompt_tokens\":");
	number(b, (int64_t)f->feat.prompt_tokens);
	LIT(b, ",\"max_tokens\":");
	number(b, (int64_t)f->feat.max_tokens);
}

/* ---- candidates */

/* What a catalogue says of it; the brace stays open.  The id, quoted, is first. */
static void endpoint(struct buf *b, const struct endpoint *e)
{
	words(b, e->id);
	LIT(b, ",\"model\":");
	words(b, e->model->slug);
	LIT(b, ",\"provider\":");
	words(b, e->provider->slug);
	LIT(b, ",\"tag\":");
	words(b, e->tag);
	LIT(b, ",\"prompt_pusd\":");
	number(b, e->rates.pusd[RATE_PROMPT]);
	LIT(b, ",\"completion_pusd\":");
	number(b, e->rates.pusd[RATE_COMPLETION]);
}

static void printed(struct policy_state *s, struct buf *b, const struct endpoint *e)
{
	struct cached *c = endpoint_cached(s, e);

	if (!c) {
		endpoint(b, e);
		return;
	}
	if (!c->printed.at) {
		buf_init(&c->printed, 4096);
		endpoint(&c->printed, e);
	}
	put(b, c->printed.at, c->printed.len);
}

static void health(struct buf *b, const struct live_facts *l)
{
	if (l->outage_ago_ms != INT64_MAX) {
		LIT(b, ",\"outage_ago_ms\":");
		number(b, l->outage_ago_ms);
	}
	put_count(b, "\"cooldown_ms\":", l->cooldown_ms > 0 ? (uint64_t)l->cooldown_ms : 0);
	LIT(b, ",\"samples\":");
	number(b, (int64_t)l->samples);
	LIT(b, ",\"ttft_p50_ms\":");
	decimal(b, l->ttft_ms.p50);
	LIT(b, ",\"throughput_p50_tps\":");
	decimal(b, l->tput_tps.p50);
	if (l->error_rate > 0) {
		LIT(b, ",\"error_rate\":");
		decimal(b, l->error_rate);
	}
}

static void candidates(struct policy_state *s, struct buf *b, const struct decision *d)
{
	LIT(b, ",\"candidates\":[");
	for (size_t i = 0; i < d->n; i++) {
		const struct candidate *c = &d->candidates[i];

		put(b, ",{\"endpoint\":" + !i, 13 - !i);
		printed(s, b, c->endpoint);
		LIT(b, ",\"rank\":");
		number(b, c->rank);
		if (c->dropped) {
			LIT(b, ",\"dropped\":");
			words(b, c->dropped);
		}
		if (c->by) {
			LIT(b, ",\"by\":");
			words(b, c->by);
		}
		health(b, &c->live);
		LIT(b, "}");
	}
	LIT(b, "],\"order\":[");
	for (size_t i = 0; i < d->n_order; i++) {
		if (i)
			LIT(b, ",");
		words(b, d->order[i]->endpoint->id);
	}
	LIT(b, "]");
}

/* ---- what was decided */

static void plan(struct buf *b, const struct plan *p)
{
	size_t at;

	LIT(b, ",\"plan\":");
	at = b->len;
	put_count(b, "\"deadline_ms\":", p->deadline_ms);
	put_count(b, "\"connect_timeout_ms\":", p->connect_ms);
	put_count(b, "\"ttft_timeout_ms\":", p->first_output_ms);
	put_count(b, "\"idle_timeout_ms\":", p->idle_ms);
	put_count(b, "\"max_attempts\":", p->attempts);
	put_count(b, "\"hedge_after_ms\":", p->hedge_after_ms);
	put_count(b, "\"max_charge_nusd\":", p->max_charge_nusd > 0 ? (uint64_t)p->max_charge_nusd : 0);
	put_text(b, "\"sticky_key\":", p->sticky_key);
	if (b->len == at)
		LIT(b, "{");
	else if (!b->failed)
		b->at[at] = '{';	/* the first comma's place */
	LIT(b, "}");
}

static void notes(struct buf *b, const struct decision *d)
{
	LIT(b, ",\"notes\":[");
	for (const struct note *n = d->notes; n; n = n->next) {
		if (n != d->notes)
			LIT(b, ",");
		LIT(b, "{\"hook\":");
		words(b, n->hook);
		LIT(b, ",\"by\":");
		words(b, n->by);
		LIT(b, ",\"text\":");
		words(b, n->text);
		LIT(b, "}");
	}
	LIT(b, "]");
}

const char *decision_record(struct policy_state *s, const struct decision *d)
{
	static const char *const stores[] = { "none", "metadata", "hashed", "full" };
	struct buf *b = &s->record;

	buf_reset(b);
	s->owner = d->stamp >> 8;
	asked(b, &d->facts, bundle_hash(s->bundle));
	candidates(s, b, d);
	plan(b, &d->plan);
	LIT(b, ",\"keep\":{\"store\":");
	words(b, stores[d->keep.store]);
	LIT(b, ",\"ttl_s\":");
	number(b, d->keep.ttl_s < INT64_MAX ? (int64_t)d->keep.ttl_s : INT64_MAX);
	LIT(b, ",\"cache\":");
	truth(b, d->keep.cache);
	LIT(b, "}");
	notes(b, d);
	LIT(b, ",\"policy_error\":");
	truth(b, d->policy_error);
	LIT(b, ",\"errors\":");
	number(b, d->errors);
	LIT(b, ",\"fuel\":");
	number(b, d->fuel);
	LIT(b, ",\"lua_us\":");
	number(b, (int64_t)d->lua_us);
	buf_put(b, "}", 2);	/* and a NUL */
	return b->failed ? NULL : b->at;
}
