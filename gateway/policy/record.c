/*
 * A decision as JSON text, for the store: what was asked, what every candidate
 * looked like and why it was dropped.  One is written for each generation and few
 * are read, so nothing is built first, what an endpoint's part never changes is
 * printed once, and nothing is said that goes without saying: recall.c says it.
 *
 *	{"seed":7,"api":"chat","bundle":"0c3c6d5cbf5e423d","model":"openai/gpt-4o","params":["max_tokens"],"tokens":[45,64],
 *	 "candidates":[["openai/gpt-4o@azure",1000000,2000000,1],["@openai",1000000,2000000,2,12,420,61.5]],
 *	 "plan":{...},"keep":["metadata",2592000],"spent":[224,19784]}
 *
 * A candidate: its id (from the @ on, when the model is that of the one before), the prices of a
 * prompt and a completion token, an object of what else its id does not tell, its rank, then, if
 * there are samples, their number, ttft_p50_ms and throughput_p50_tps, and an object of the rest.
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

enum { BUNDLE_DIGITS = 16 };	/* of its hash: as good as all 64 to tell it from others */

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

static void put_true(struct buf *b, const char *name, bool yes)
{
	if (!yes)
		return;
	member(b, name);
	LIT(b, "true");
}

/* The first member's comma becomes the brace; nothing at all where there is none. */
static void close_object(struct buf *b, size_t start, size_t first)
{
	if (b->failed)
		return;
	if (b->len == first) {
		b->len = start;
		return;
	}
	b->at[first] = '{';
	LIT(b, "}");
}

static void prefs(struct buf *b, const struct prefs *p)
{
	size_t start = b->len, first;

	LIT(b, ",\"prefs\":");
	first = b->len;
	put_true(b, "\"no_fallbacks\":", !p->allow_fallbacks);
	put_true(b, "\"require_parameters\":", p->require_parameters);
	put_true(b, "\"deny_data_collection\":", p->deny_data_collection);
	put_true(b, "\"zdr\":", p->zdr);
	put_true(b, "\"distillable\":", p->distillable);
	put_list(b, "\"order\":", &p->order);
	put_list(b, "\"only\":", &p->only);
	put_list(b, "\"ignore\":", &p->ignore);
	put_list(b, "\"quantizations\":", &p->quantizations);
	put_list(b, "\"guards\":", &p->guards);
	put_text(b, "\"sort_by\":", p->sort_by);
	if (!mg_is(p->partition, "model")) {
		member(b, "\"partition\":");
		text(b, p->partition);
	}
	put_text(b, "\"service_tier\":", p->service_tier);
	cuts(b, p);
	close_object(b, start, first);
}

static bool only_model(const struct facts *f)
{
	return f->models.n == 1 && f->models.at[0].len == f->model.len && !memcmp(f->models.at[0].at, f->model.at, f->model.len);
}

/* Its id, time and key are those of the row. */
static void asked(struct buf *b, const struct facts *f, const char *bundle)
{
	LIT(b, "{\"seed\":");
	number(b, (int64_t)f->seed);
	LIT(b, ",\"api\":");
	text(b, f->api);
	LIT(b, ",\"bundle\":\"");
	put(b, bundle, BUNDLE_DIGITS);
	LIT(b, "\",\"model\":");
	text(b, f->model);
	put_text(b, "\"variant\":", f->variant);
	if (!only_model(f)) {
		LIT(b, ",\"models\":");
		list(b, &f->models);
	}
	put_text(b, "\"org\":", f->key.org);
	put_text(b, "\"workspace\":", f->key.workspace);
	put_text(b, "\"data_class\":", f->data_class);
	put_list(b, "\"params\":", &f->params);
	put_list(b, "\"auto_allowed\":", &f->auto_allowed);
	put_list(b, "\"auto_excluded\":", &f->auto_excluded);
	put_text(b, "\"auto_tier\":", f->auto_tier);
	put_true(b, "\"unlisted\":", !f->listed);
	prefs(b, &f->prefs);
	LIT(b, ",\"tokens\":[");
	number(b, (int64_t)f->feat.prompt_tokens);
	LIT(b, ",");
	number(b, (int64_t)f->feat.max_tokens);
	LIT(b, "]");
}

/* ---- candidates */

static void put_words(struct buf *b, const char *name, const char *word)
{
	member(b, name);
	words(b, word);
}

/* What a catalogue says of it; the bracket stays open.  The id, quoted, is first. */
static void endpoint(struct buf *b, const struct endpoint *e)
{
	const char *at = strrchr(e->id, '@');
	size_t slug = strlen(e->model->slug), start;

	words(b, e->id);
	LIT(b, ",");
	number(b, e->rates.pusd[RATE_PROMPT]);
	LIT(b, ",");
	number(b, e->rates.pusd[RATE_COMPLETION]);
	start = b->len;
	LIT(b, ",");
	if (!at || (size_t)(at - e->id) != slug || memcmp(e->id, e->model->slug, slug))
		put_words(b, "\"model\":", e->model->slug);
	if (!at || strcmp(at + 1, e->tag))
		put_words(b, "\"tag\":", e->tag);
	if (strcmp(e->provider->slug, e->tag))
		put_words(b, "\"provider\":", e->provider->slug);
	close_object(b, start, start + 1);
}

/* From the @ on where the one before is of the same model. */
static void put_printed(struct buf *b, struct mg_str said, const struct endpoint *e, const struct endpoint *before)
{
	size_t slug = before && before->model == e->model ? strlen(e->model->slug) : 0;

	if (slug && said.len > slug + 1 && said.at[slug + 1] == '@' && !memcmp(said.at + 1, e->model->slug, slug)) {
		LIT(b, "\"");
		said.at += slug + 1;
		said.len -= slug + 1;
	}
	put(b, said.at, said.len);
}

static void printed(struct policy_state *s, struct buf *b, const struct endpoint *e, const struct endpoint *before)
{
	struct cached *c = endpoint_cached(s, e);

	if (!c) {
		endpoint(b, e);		/* whole: that is right, too */
		return;
	}
	if (!c->printed.at) {
		buf_init(&c->printed, 4096);
		endpoint(&c->printed, e);
	}
	put_printed(b, buf_view(&c->printed), e, before);
}

static void samples(struct buf *b, const struct live_facts *l)
{
	if (!l->samples && l->ttft_ms.p50 == 0 && l->tput_tps.p50 == 0)
		return;
	LIT(b, ",");
	number(b, (int64_t)l->samples);
	LIT(b, ",");
	decimal(b, l->ttft_ms.p50);
	LIT(b, ",");
	decimal(b, l->tput_tps.p50);
}

static void rest(struct buf *b, const struct candidate *c)
{
	const struct live_facts *l = &c->live;
	size_t start = b->len;

	LIT(b, ",");
	if (c->dropped)
		put_words(b, "\"dropped\":", c->dropped);
	if (c->by)
		put_words(b, "\"by\":", c->by);
	if (l->outage_ago_ms != INT64_MAX) {
		member(b, "\"outage_ago_ms\":");
		number(b, l->outage_ago_ms);
	}
	put_count(b, "\"cooldown_ms\":", l->cooldown_ms > 0 ? (uint64_t)l->cooldown_ms : 0);
	if (l->error_rate > 0) {
		member(b, "\"error_rate\":");
		decimal(b, l->error_rate);
	}
	close_object(b, start, start + 1);
}

/* The order is that of the ranks, unless an attempt has changed it. */
static void order(struct buf *b, const struct decision *d)
{
	size_t ranked = 0;
	bool same = true;

	for (size_t i = 0; i < d->n; i++)
		ranked += d->candidates[i].rank > 0;
	for (size_t i = 0; i < d->n_order; i++)
		same &= d->order[i]->rank == i + 1;
	if (same && ranked == d->n_order)
		return;
	LIT(b, ",\"order\":[");
	for (size_t i = 0; i < d->n_order; i++) {
		if (i)
			LIT(b, ",");
		number(b, d->order[i] - d->candidates);
	}
	LIT(b, "]");
}

static void candidates(struct policy_state *s, struct buf *b, const struct decision *d)
{
	const struct endpoint *before = NULL;

	LIT(b, ",\"candidates\":[");
	for (size_t i = 0; i < d->n; i++) {
		const struct candidate *c = &d->candidates[i];

		put(b, ",[" + !i, 2 - !i);
		printed(s, b, c->endpoint, before);
		LIT(b, ",");
		number(b, c->rank);
		samples(b, &c->live);
		rest(b, c);
		LIT(b, "]");
		before = c->endpoint;
	}
	LIT(b, "]");
	order(b, d);
}

/* ---- what was decided */

static void plan(struct buf *b, const struct plan *p)
{
	size_t start = b->len, first;

	LIT(b, ",\"plan\":");
	first = b->len;
	put_count(b, "\"deadline_ms\":", p->deadline_ms);
	put_count(b, "\"connect_timeout_ms\":", p->connect_ms);
	put_count(b, "\"ttft_timeout_ms\":", p->first_output_ms);
	put_count(b, "\"idle_timeout_ms\":", p->idle_ms);
	put_count(b, "\"max_attempts\":", p->attempts);
	put_count(b, "\"hedge_after_ms\":", p->hedge_after_ms);
	put_count(b, "\"max_charge_nusd\":", p->max_charge_nusd > 0 ? (uint64_t)p->max_charge_nusd : 0);
	put_text(b, "\"sticky_key\":", p->sticky_key);
	close_object(b, start, first);
}

static void keep(struct buf *b, const struct keep *k)
{
	bool all = k->sinks == ALL_SINKS, first = true;

	LIT(b, ",\"keep\":[");
	words(b, keep_names[k->store]);
	LIT(b, ",");
	number(b, k->ttl_s < INT64_MAX ? (int64_t)k->ttl_s : INT64_MAX);
	if (k->cache || !all)
		buf_text(b, k->cache ? ",true" : ",false");
	for (enum sink s = 0; s < SINKS && !all; s++)
		if (k->sinks >> s & 1) {
			buf_text(b, first ? ",[" : ",");
			words(b, sink_names[s]);
			first = false;
		}
	if (!all)
		buf_text(b, first ? ",[]" : "]");
	LIT(b, "]");
}

static void notes(struct buf *b, const struct decision *d)
{
	if (!d->notes)
		return;
	LIT(b, ",\"notes\":[");
	for (const struct note *n = d->notes; n; n = n->next) {
		put(b, ",[" + (n == d->notes), 2 - (n == d->notes));
		words(b, n->hook);
		LIT(b, ",");
		words(b, n->by);
		LIT(b, ",");
		words(b, n->text);
		LIT(b, "]");
	}
	LIT(b, "]");
}

/* [hook, policy, asked, differed, failed, charge_nusd, what, how often, what ...] */
static void shadows(struct buf *b, const struct decision *d)
{
	if (!d->shadowed)
		return;
	LIT(b, ",\"shadow\":[");
	for (const struct shadowed *w = d->shadowed; w; w = w->next) {
		const int64_t counts[] = { w->asked, w->differed, w->failed, w->charge_nusd };

		put(b, ",[" + (w == d->shadowed), 2 - (w == d->shadowed));
		words(b, w->hook);
		LIT(b, ",");
		words(b, w->by);
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			LIT(b, ",");
			number(b, counts[i]);
		}
		for (size_t i = 0; i < w->n_kinds; i++) {
			LIT(b, ",");
			words(b, w->kinds[i].what);
			LIT(b, ",");
			number(b, w->kinds[i].n);
		}
		LIT(b, "]");
	}
	LIT(b, "]");
}

const char *decision_record(struct policy_state *s, const struct decision *d)
{
	struct buf *b = &s->record;

	buf_reset(b);
	s->owner = d->stamp >> 8;
	asked(b, &d->facts, bundle_hash(s->bundle));
	candidates(s, b, d);
	plan(b, &d->plan);
	keep(b, &d->keep);
	notes(b, d);
	shadows(b, d);
	put_true(b, "\"policy_error\":", d->policy_error);
	put_count(b, "\"errors\":", d->errors);
	LIT(b, ",\"spent\":[");
	number(b, d->fuel);
	LIT(b, ",");
	number(b, (int64_t)d->lua_us);
	LIT(b, "]");
	buf_put(b, "}", 2);	/* and a NUL */
	return b->failed ? NULL : b->at;
}
