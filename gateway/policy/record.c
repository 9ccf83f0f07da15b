/*
 * A decision as JSON text, for the store: all that the policies could read of it,
 * so that it can be decided again, and what they said.
 *
 *	{"seed":7,"api":"chat","model":"openai/gpt-4o","params":["max_tokens"],"feat":[45,64,2,1],
 *	 "candidates":[["0c3c6d5cbf5e423d",1],["96a3be3cf272e017",2,[1,40,420]]],"plan":{...},
 *	 "bundle":"0c3c6d5cbf5e423d","spent":[224,19784]}
 *
 * Members of the request are called as in req, and are there when they are not empty, false or 0; its id, time and
 * key are those of the row.  models, prefs: as resolve left them; asked: as they came, where that is another thing.
 * feat: the values of its table, which grows at its end alone, up to the last that is not 0.  keep is there when it is not
 * the usual one.  What is the session's name, in plan and reads, is 0.  Candidates: seen.c.  From "notes" on it is about the run, and no part of what is decided;
 * there drawn, where a ranking drew: from the first routing's first choice and others, how likely that choice was, 0: another was drawn.
 */
#include "base/digits.h"
#include "policy/record.h"

enum { BUNDLE_DIGITS = 16 };	/* of its hash: as good as all 64 to tell it from others */

/* ---- values */

void put_int(struct buf *b, int64_t n)
{
	char digits[DIGITS_MAX], *end = digits + sizeof(digits), *at = number_before(end, n);

	put(b, at, (size_t)(end - at));
}

/* Live facts are whole millionths; a price cut may be anything. */
void put_decimal(struct buf *b, double x)
{
	int64_t n = x > -9e9 && x < 9e9 ? (int64_t)(x * 1e6 + (x < 0 ? -0.5 : 0.5)) : 0;
	char places[7] = { '.' };
	int len = 6;

	if ((double)n / 1e6 != x) {
		buf_print(b, "%.17g", x);
		return;
	}
	if (n < 0)
		LIT(b, "-");
	n = n < 0 ? -n : n;
	put_int(b, n / 1000000);
	n %= 1000000;
	if (!n)
		return;
	for (int i = 6; i > 0; i--, n /= 10)
		places[i] = (char)('0' + n % 10);
	while (places[len] == '0')
		len--;
	put(b, places, (size_t)len + 1);
}

static void put_list(struct buf *b, const struct words *w)
{
	LIT(b, "[");
	for (size_t i = 0; i < w->n; i++) {
		if (i)
			LIT(b, ",");
		put_quoted(b, w->at[i]);
	}
	LIT(b, "]");
}

void close_at(struct buf *b, size_t start, size_t first, char bracket)
{
	if (b->failed)
		return;
	if (b->len == first) {
		b->len = start;
		return;
	}
	b->at[first] = bracket;
	put(b, bracket == '{' ? "}" : "]", 1);
}

static void put_text(struct buf *b, const char *name, struct mg_str s)
{
	if (!s.at || !s.len)
		return;
	put_name(b, name);
	put_quoted(b, s);
}

static void put_count(struct buf *b, const char *name, uint64_t n)
{
	if (!n)
		return;
	put_name(b, name);
	put_int(b, n < INT64_MAX ? (int64_t)n : INT64_MAX);
}

static void put_true(struct buf *b, const char *name, bool yes)
{
	if (!yes)
		return;
	put_name(b, name);
	LIT(b, "true");
}

/* ---- the request */

/* All of a kind, those that were not given as null; but what came to be after the first four is left out then. */
static void put_numbers(struct buf *b, const struct number *at, size_t n)
{
	while (n > 4 && !at[n - 1].set)
		n--;
	LIT(b, "[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			LIT(b, ",");
		if (at[i].set)
			put_decimal(b, at[i].n);
		else
			LIT(b, "null");
	}
	LIT(b, "]");
}

static void put_value(struct buf *b, const struct field *f, const void *at)
{
	switch (f->kind) {
	case K_STR: put_quoted(b, *(const struct mg_str *)at); break;
	case K_U64: case K_I64: put_int(b, *(const int64_t *)at); break;
	case K_BOOL: case K_DENY: put(b, *(const bool *)at ? "true" : "false", 5 - *(const bool *)at); break;
	case K_WORDS: case K_SET: case K_PAIRS: put_list(b, at); break;
	default: put_numbers(b, at, numbers_of(f));
	}
}

/* Those of the row, and models, which are told apart. */
static bool elsewhere(unsigned base, const struct field *f)
{
	return (base == OF_REQ && (f->at == AT(facts, id) || f->at == AT(facts, now_ms) || f->at == AT(facts, models))) ||
		(base == OF_KEY && f->at == AT(facts, key.id));
}

/* Members that are not as in a blank one, as those of an object; names of req, prefs ... are those of policies. */
static void put_fields(struct buf *b, unsigned base, const struct facts *facts)
{
	static const struct facts blank = { .prefs.allow_fallbacks = true, .listed = true };
	const char *thing = base_of(facts, base), *none = base_of(&blank, base);

	for (const struct field *f = parts[base].fields; f->name; f++) {
		if (field_usual(f, thing + f->at, none + f->at) || elsewhere(base, f))
			continue;
		LIT(b, ",\"");
		buf_text(b, f->name);
		LIT(b, "\":");
		put_value(b, f, thing + f->at);
	}
}

/* All values up to the last that is not the usual one. */
static void put_feat(struct buf *b, const struct features *f)
{
	static const struct features blank;
	size_t start = b->len, end = start;

	LIT(b, ",\"feat\":");
	for (const struct field *of = feat_fields; of->name; of++) {
		const char *at = (const char *)f + of->at;

		put(b, of > feat_fields ? "," : "[", 1);
		if (field_usual(of, at, (const char *)&blank + of->at)) {
			LIT(b, "0");
		} else {
			put_value(b, of, at);
			end = b->len;
		}
	}
	if (b->failed)
		return;
	b->len = end;
	if (end > start)
		LIT(b, "]");
}

static void put_part(struct buf *b, unsigned base, const struct facts *f)
{
	size_t start = b->len, first;

	if (base == OF_PREFS && prefs_usual(&f->prefs))
		return;
	LIT(b, ",\"");
	buf_text(b, parts[base].name);
	LIT(b, "\":");
	first = b->len;
	put_fields(b, base, f);
	close_at(b, start, first, '{');
}

static bool same_text(struct mg_str a, struct mg_str b)
{
	return a.len == b.len && (!a.len || !memcmp(a.at, b.at, a.len));
}

static bool same_words(const struct words *a, const struct words *b)
{
	for (size_t i = 0; a->n == b->n && i < a->n; i++)
		if (a->at[i].len != b->at[i].len || memcmp(a->at[i].at, b->at[i].at, a->at[i].len))
			return false;
	return a->n == b->n;
}

/* How the client's own words were, where policies or the catalogue changed them; prefs: where those are, in b. */
static void put_asked(struct buf *b, const struct decision *d, size_t prefs, size_t prefs_len)
{
	struct facts before = { .prefs = d->asked->prefs };
	size_t start = b->len, first, at;

	LIT(b, ",\"asked\":");
	first = b->len;
	if (!same_words(&d->asked->models, &d->facts.models)) {
		put_name(b, "\"models\":");
		put_list(b, &d->asked->models);
	}
	at = b->len;
	put_part(b, OF_PREFS, &before);
	if (!b->failed && b->len - at == prefs_len && !memcmp(b->at + at, b->at + prefs, prefs_len))
		b->len = at;
	else if (b->len == at)
		LIT(b, ",\"prefs\":{}");
	close_at(b, start, first, '{');
}

static void put_request(struct buf *b, const struct decision *d)
{
	const struct facts *f = &d->facts;
	const struct words only = { &f->model, 1 };
	size_t prefs, prefs_len;

	put_fields(b, OF_REQ, f);
	if (!same_words(&f->models, &only)) {
		LIT(b, ",\"models\":");
		put_list(b, &f->models);
	}
	prefs = b->len;
	put_part(b, OF_PREFS, f);
	prefs_len = b->len - prefs;
	put_part(b, OF_KEY, f);
	put_feat(b, &f->feat);
	if (d->asked)
		put_asked(b, d, prefs, prefs_len);
	if (d->aliases.n) {
		put_name(b, "\"aliases\":");
		put_list(b, &d->aliases);
	}
}

/* ---- what was decided */

/* The order is that of the ranks, unless an attempt has changed it. */
static void put_order(struct buf *b, const struct decision *d)
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
		put_int(b, d->order[i] - d->candidates);
	}
	LIT(b, "]");
}

static void put_routings(struct policy_state *s, struct buf *b, const struct decision *d, endpoint_teller *tell, void *arg)
{
	size_t start = b->len, first;

	LIT(b, ",\"before\":");
	first = b->len;
	for (const struct routing *r = d->routings; r; r = r->next) {
		LIT(b, ",[");
		put_list(b, &r->models);
		LIT(b, ",");
		put_candidates(s, b, r->candidates, r->n, tell, arg);
		LIT(b, "]");
	}
	close_at(b, start, first, '[');
	LIT(b, ",\"candidates\":");
	put_candidates(s, b, d->candidates, d->n, tell, arg);
	put_order(b, d);
}

static void put_plan(struct buf *b, const struct plan *p, struct mg_str session)
{
	size_t start = b->len, first;

	LIT(b, ",\"plan\":");
	first = b->len;
	put_count(b, "\"deadline_ms\":", p->deadline_ms);
	put_count(b, "\"connect_timeout_ms\":", p->connect_ms);
	put_count(b, "\"ttft_timeout_ms\":", p->first_output_ms);
	put_count(b, "\"idle_timeout_ms\":", p->idle_ms);
	put_count(b, "\"max_attempts\":", p->attempts);
	put_count(b, "\"max_attempts_per_model\":", p->attempts_per_model);
	put_count(b, "\"hedge_after_ms\":", p->hedge_after_ms);
	put_count(b, "\"hedge_extra\":", p->hedge_extra);
	put_count(b, "\"max_charge_nusd\":", p->max_charge_nusd > 0 ? (uint64_t)p->max_charge_nusd : 0);
	if (p->sticky_key.len && same_text(p->sticky_key, session))
		LIT(b, ",\"sticky_key\":0");
	else
		put_text(b, "\"sticky_key\":", p->sticky_key);
	put_count(b, "\"sticky_ttl_s\":", p->sticky_ttl_s);
	close_at(b, start, first, '{');
}

static void put_keep(struct buf *b, const struct keep *k)
{
	if (k->store == KEEP_METADATA && k->ttl_s == KEEP_USUAL_S && !k->cache && k->sinks == ALL_SINKS)
		return;
	LIT(b, ",\"keep\":");
	keep_write(k, b);
}

static void put_denied(struct buf *b, const struct refused *no)
{
	LIT(b, ",\"denied\":[");
	put_word(b, no->hook);
	LIT(b, ",");
	put_int(b, no->status);
	LIT(b, ",");
	put_word(b, no->code);
	LIT(b, ",");
	put_word(b, no->by);
	LIT(b, "]");
}

/* ---- failures: rare, so their members have names */

static void put_rest(struct buf *b, const struct failed *f)
{
	LIT(b, ",\"rest\":[");
	for (size_t i = 0; i < f->n_rest; i++) {
		if (i)
			LIT(b, ",");
		put_int(b, f->rest[i]);
	}
	LIT(b, "]");
}

static void put_failure(struct buf *b, const struct failed *f)
{
	const struct attempt_error *e = &f->error;
	size_t first;

	LIT(b, ",");
	first = b->len;
	put_count(b, "\"routing\":", f->routing);
	put_count(b, "\"candidate\":", f->candidate);
	put_name(b, "\"kind\":");
	put_word(b, error_kinds[(unsigned)e->kind < ERROR_KINDS ? e->kind : MG_E_UPSTREAM]);
	put_text(b, "\"phase\":", (struct mg_str){ e->phase, e->phase ? strlen(e->phase) : 0 });
	put_count(b, "\"status\":", e->status > 0 ? (uint64_t)e->status : 0);
	put_true(b, "\"retryable\":", e->retryable);
	put_count(b, "\"n\":", e->n);
	put_count(b, "\"tries_here\":", e->tries_here);
	put_count(b, "\"retry_after_ms\":", e->retry_after_ms);
	put_count(b, "\"bytes_sent\":", e->bytes_sent);
	put_count(b, "\"elapsed_ms\":", e->elapsed_ms);
	put_count(b, "\"deadline_ms\":", e->deadline_ms);
	put_rest(b, f);
	put_name(b, "\"action\":");
	put_word(b, action_names[f->action.what]);
	if (f->action.skip) {
		put_name(b, "\"skip\":");
		put_word(b, f->action.skip == SKIP_MODEL ? "model" : "provider");
	}
	put_count(b, "\"after_ms\":", f->action.after_ms);
	put_text(b, "\"model\":", f->action.model);
	put_text(b, "\"by\":", (struct mg_str){ f->by, f->by ? strlen(f->by) : 0 });
	close_at(b, first, first, '{');
}

static void put_failures(struct buf *b, const struct decision *d)
{
	size_t start = b->len, first;

	LIT(b, ",\"failures\":");
	first = b->len;
	for (const struct failed *f = d->failures; f; f = f->next)
		put_failure(b, f);
	close_at(b, start, first, '[');
}

/* ---- what was read on the way, and the run */

static void put_readings(struct buf *b, const struct decision *d)
{
	size_t start = b->len, first;

	LIT(b, ",\"reads\":");
	first = b->len;
	for (const struct consulted *r = d->readings; r; r = r->next) {
		LIT(b, ",[");
		put_word(b, r->function);
		if (r->asked.len == d->facts.session.len + 2 && d->facts.session.len && !memcmp(r->asked.at + 1, d->facts.session.at, d->facts.session.len)) {
			LIT(b, ",0,[");
		} else {
			LIT(b, ",[");
			put(b, r->asked.at, r->asked.len);
			LIT(b, "],[");
		}
		put(b, r->said.at, r->said.len);
		LIT(b, "]]");
	}
	close_at(b, start, first, '[');
}

static void put_notes(struct buf *b, const struct decision *d)
{
	if (!d->notes)
		return;
	LIT(b, ",\"notes\":[");
	for (const struct note *n = d->notes; n; n = n->next) {
		put(b, ",[" + (n == d->notes), 2 - (n == d->notes));
		put_word(b, n->hook);
		LIT(b, ",");
		put_word(b, n->by);
		LIT(b, ",");
		put_word(b, n->text);
		LIT(b, "]");
	}
	LIT(b, "]");
}

/* [hook, policy, asked, differed, failed, charge_nusd, what, how often, what ...] */
static void put_shadows(struct buf *b, const struct decision *d)
{
	if (!d->shadowed)
		return;
	LIT(b, ",\"shadow\":[");
	for (const struct shadowed *w = d->shadowed; w; w = w->next) {
		const int64_t counts[] = { w->asked, w->differed, w->failed, w->charge_nusd };

		put(b, ",[" + (w == d->shadowed), 2 - (w == d->shadowed));
		put_word(b, w->hook);
		LIT(b, ",");
		put_word(b, w->by);
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			LIT(b, ",");
			put_int(b, counts[i]);
		}
		for (size_t i = 0; i < w->n_kinds; i++) {
			LIT(b, ",");
			put_word(b, w->kinds[i].what);
			LIT(b, ",");
			put_int(b, w->kinds[i].n);
		}
		LIT(b, "]");
	}
	LIT(b, "]");
}

static void put_run(struct buf *b, const struct decision *d, const char *bundle)
{
	put_notes(b, d);
	put_readings(b, d);
	put_shadows(b, d);
	put_count(b, "\"errors\":", d->errors);
	if (d->drawn.any) {
		LIT(b, ",\"drawn\":");
		put_decimal(b, (double)d->drawn.ppm / 1e6);
	}
	LIT(b, ",\"bundle\":\"");
	put(b, bundle, BUNDLE_DIGITS);
	LIT(b, "\",\"spent\":[");
	put_int(b, d->fuel);
	LIT(b, ",");
	put_int(b, (int64_t)d->lua_us);
	LIT(b, "]");
}

const char *decision_record(struct policy_state *s, const struct decision *d, endpoint_teller *tell, void *arg)
{
	struct buf *b = &s->record;

	buf_reset(b);
	s->owner = d->stamp >> 8;
	put_request(b, d);
	put_routings(s, b, d, tell, arg);
	put_plan(b, &d->plan, d->facts.session);
	put_keep(b, &d->keep);
	if (d->strategy)
		put_text(b, "\"strategy\":", (struct mg_str){ d->strategy, strlen(d->strategy) });
	if (d->refused.hook)
		put_denied(b, &d->refused);
	if (d->failures)
		put_failures(b, d);
	put_true(b, "\"policy_error\":", d->policy_error);
	put_run(b, d, bundle_hash(s->bundle));
	close_at(b, 0, 0, '{');
	buf_put(b, "", 1);
	return b->failed ? NULL : b->at;
}
