/*
 * A record, read back.  backtest reads them by the hundred thousand, and they are our own:
 * so each is walked through once, from left to right, and nothing is built of it but what
 * a decision needs.
 */
#include "replay/recorded.h"
#include "replay/scan.h"

struct reader { struct scan s; struct recorded *out; struct facts after; struct mg_str asked, before; bool models_said; struct mg_str session; /* with its quotes */ };

static void take_numbers(struct scan *s, struct number *at, size_t n)
{
	scan_expect(s, '[');
	for (size_t i = 0; i < n && (i < 4 || (s->at < s->end && *s->at == ',')); i++) {
		if (i)
			scan_expect(s, ',');
		if (s->at < s->end && *s->at == 'n')
			scan_span(s);
		else
			at[i] = (struct number){ true, scan_decimal(s) };
	}
	scan_expect(s, ']');
}

/* ---- the request */

static void take_value(struct scan *s, const struct field *f, char *at)
{
	switch (f->kind) {
	case K_STR: *(struct mg_str *)at = scan_string(s); break;
	case K_U64: case K_I64: *(int64_t *)at = scan_whole(s); break;
	case K_BOOL: case K_DENY: *(bool *)at = scan_truth(s); break;
	case K_WORDS: case K_SET: case K_PAIRS: *(struct words *)at = scan_words(s); break;
	case K_CUTS: case K_PRICES: take_numbers(s, (struct number *)at, numbers_of(f)); break;
	default: scan_span(s);
	}
}

/* They stand in the order of their table: the next one is looked for behind the last. */
static const struct field *next_field(const struct field *all, const struct field *from, struct mg_str name)
{
	for (const struct field *f = from; f->name; f++)
		if (f->name[0] == name.at[0] && mg_is(name, f->name))
			return f;
	for (const struct field *f = all; f < from; f++)
		if (f->name[0] == name.at[0] && mg_is(name, f->name))
			return f;
	return NULL;
}

static void take_part(struct scan *s, unsigned base, struct facts *to)
{
	const struct field *all = parts[base].fields, *from = all, *f;
	char *thing = (char *)(uintptr_t)base_of(to, base);
	struct mg_str name;

	scan_expect(s, '{');
	for (bool first = true; (name = scan_member(s, first)).at; first = false) {
		f = name.len ? next_field(all, from, name) : NULL;
		if (!f) {
			scan_span(s);	/* of a later gateway */
			continue;
		}
		take_value(s, f, thing + f->at);
		from = f + 1;
	}
}

/* By their places in the table. */
static void take_feat(struct scan *s, struct features *to)
{
	const struct field *f = feat_fields;

	scan_expect(s, '[');
	for (bool first = true; !s->bad && !scan_is(s, ']'); first = false) {
		if (!first)
			scan_expect(s, ',');
		if (!f->name || (s->at < s->end && *s->at == '0')) {
			scan_span(s);
		} else {
			take_value(s, f, (char *)to + f->at);
		}
		f += f->name != NULL;
	}
}

/* ---- candidates */

static void take_live(struct scan *s, struct live_facts *l)
{
	double all[LIVE_NUMBERS] = { [LIVE_NUMBERS - 1] = 1 };
	int n = 0;

	scan_expect(s, '[');
	l->inflight = (uint64_t)scan_whole(s);
	while (scan_is(s, ',') && n < LIVE_NUMBERS)
		all[n++] = scan_decimal(s);
	scan_expect(s, ']');
	live_numbers(all, l);
}

static void take_rest(struct scan *s, struct seen *c)
{
	struct mg_str name;

	scan_expect(s, '{');
	for (bool first = true; (name = scan_member(s, first)).at; first = false) {
		if (mg_is(name, "dropped"))
			c->dropped = scan_string(s);
		else if (mg_is(name, "by"))
			c->by = scan_string(s);
		else if (mg_is(name, "outage_ago_ms"))
			c->live.outage_ago_ms = scan_whole(s);
		else if (mg_is(name, "cooldown_ms"))
			c->live.cooldown_ms = scan_whole(s);
		else if (mg_is(name, "breaker"))
			c->live.breaker = (int)scan_whole(s);
		else
			scan_span(s);
	}
}

static void take_candidate(struct scan *s, struct seen *c)
{
	*c = (struct seen){ .live = { .outage_ago_ms = INT64_MAX, .uptime_30m = 1 } };
	scan_expect(s, '[');
	c->hash = scan_string(s);
	scan_expect(s, ',');
	c->rank = (unsigned)scan_whole(s);
	while (!s->bad && scan_is(s, ','))
		if (s->at < s->end && *s->at == '[')
			take_live(s, &c->live);
		else
			take_rest(s, c);
	scan_expect(s, ']');
}

static void take_list(struct scan *s, struct listed *out)
{
	struct seen *more;
	size_t size = 0;

	scan_expect(s, '[');
	while (!s->bad && !scan_is(s, ']')) {
		if (out->n)
			scan_expect(s, ',');
		if (out->n == size) {
			size = size ? size * 4 : 8;
			more = pool_alloc(s->pool, size * sizeof(*more));
			s->bad |= !more;
			if (!more)
				return;
			if (out->n)
				memcpy(more, out->at, out->n * sizeof(*more));
			out->at = more;
		}
		take_candidate(s, &out->at[out->n++]);
	}
}

static unsigned count_items(struct scan s)
{
	unsigned n = 0;

	scan_expect(&s, '[');
	while (!s.bad && !scan_is(&s, ']')) {
		if (n++)
			scan_expect(&s, ',');
		scan_span(&s);
	}
	return n;
}

static struct scan within(struct reader *r, struct mg_str text)
{
	return (struct scan){ text.at, text.at + text.len, false, r->s.pool };
}

/* Those before come before the last. */
static void take_routings(struct reader *r)
{
	struct recorded *out = r->out;
	struct scan before = within(r, r->before);
	size_t n = r->before.len ? count_items(before) : 0, i = 0;

	out->routings = pool_alloc(r->s.pool, (n + 1) * sizeof(*out->routings));
	if (!out->routings) {
		r->s.bad = true;
		return;
	}
	out->n_routings = n + 1;
	if (n)
		scan_expect(&before, '[');
	for (; i < n && !before.bad; i++) {
		if (i)
			scan_expect(&before, ',');
		scan_expect(&before, '[');
		out->routings[i].models = scan_words(&before);
		scan_expect(&before, ',');
		take_list(&before, &out->routings[i]);
		scan_expect(&before, ']');
	}
	take_list(&r->s, &out->routings[n]);
	r->s.bad |= before.bad;
}

/* ---- failures and readings */

static enum mg_error kind_of(struct mg_view v)
{
	for (int i = 0; i < ERROR_KINDS; i++)
		if (json_is(v, error_kinds[i]))
			return (enum mg_error)i;
	return MG_E_UPSTREAM;
}

static uint64_t number_in(struct mg_view object, const char *name)
{
	uint64_t n = 0;

	json_count(json_get(object, name), &n);
	return n;
}

static const char *word_in(struct pool *p, struct mg_view object, const char *name)
{
	return pool_dup(p, json_text(p, json_get(object, name))).at;
}

static void take_action(struct pool *p, struct mg_view o, struct action *a)
{
	for (int i = 0; i < 4; i++)
		if (json_is(json_get(o, "action"), action_names[i]))
			a->what = i;
	a->skip = json_is(json_get(o, "skip"), "model") ? SKIP_MODEL : json_is(json_get(o, "skip"), "provider") ? SKIP_PROVIDER : SKIP_NOTHING;
	a->after_ms = number_in(o, "after_ms");
	a->model = json_text(p, json_get(o, "model"));
}

static void take_failure(struct pool *p, struct mg_view o, struct failed *f)
{
	struct mg_view rest = json_get(o, "rest");
	unsigned *at = pool_alloc(p, (json_len(rest) + 1) * sizeof(*at));
	uint64_t n;

	f->error = (struct attempt_error){ .kind = kind_of(json_get(o, "kind")), .status = (int)number_in(o, "status"),
		.retryable = json_kind(json_get(o, "retryable")) == MG_TRUE, .n = (unsigned)number_in(o, "n"),
		.tries_here = (unsigned)number_in(o, "tries_here"), .retry_after_ms = (uint32_t)number_in(o, "retry_after_ms"),
		.bytes_sent = number_in(o, "bytes_sent"), .elapsed_ms = number_in(o, "elapsed_ms"), .deadline_ms = number_in(o, "deadline_ms"),
		.phase = word_in(p, o, "phase") };
	f->routing = (unsigned)number_in(o, "routing");
	f->candidate = (unsigned)number_in(o, "candidate");
	for (struct mg_view v = json_at(rest, 0); at && json_count(v, &n); v = json_next(v))
		at[f->n_rest++] = (unsigned)n;
	f->rest = at;
	f->by = word_in(p, o, "by");
	take_action(p, o, &f->action);
}

static void take_failures(struct reader *r)
{
	struct failed **end = &r->out->failures;
	struct mg_view list;
	struct err err;

	r->s.bad |= json_parse(r->s.pool, scan_span(&r->s), &list, &err) != MG_OK;
	for (struct mg_view v = json_at(list, 0); !r->s.bad && json_kind(v) != MG_ABSENT; v = json_next(v)) {
		*end = pool_alloc(r->s.pool, sizeof(**end));
		if (!*end)
			return;
		take_failure(r->s.pool, v, *end);
		end = &(*end)->next;
	}
}

/* What is between the brackets. */
static struct mg_str inside(struct scan *s)
{
	struct mg_str raw = scan_span(s);

	s->bad |= raw.len < 2 || raw.at[0] != '[';
	return s->bad ? (struct mg_str){ "", 0 } : (struct mg_str){ raw.at + 1, raw.len - 2 };
}

static void take_readings(struct reader *r)
{
	struct consulted **end = &r->out->given;
	struct scan *s = &r->s;

	scan_expect(s, '[');
	for (bool first = true; !s->bad && !scan_is(s, ']'); first = false) {
		if (!first)
			scan_expect(s, ',');
		*end = pool_alloc(s->pool, sizeof(**end));
		if (!*end)
			return;
		scan_expect(s, '[');
		(*end)->function = scan_word(s);
		scan_expect(s, ',');
		(*end)->asked = scan_is(s, '0') ? r->session : inside(s);
		scan_expect(s, ',');
		(*end)->said = inside(s);
		scan_expect(s, ']');
		end = &(*end)->next;
	}
}

static void take_denied(struct scan *s, struct refused *no)
{
	scan_expect(s, '[');
	no->hook = scan_word(s);
	scan_expect(s, ',');
	no->status = (int)scan_whole(s);
	scan_expect(s, ',');
	no->code = scan_word(s);
	scan_expect(s, ',');
	no->by = scan_word(s);
	scan_expect(s, ']');
}

static void take_keep(struct scan *s, struct keep *k)
{
	struct mg_str level;

	scan_expect(s, '[');
	level = scan_string(s);
	for (enum keep_level i = KEEP_NONE; i < KEEP_LEVELS; i++)
		if (mg_is(level, keep_names[i]))
			k->store = i;
	scan_expect(s, ',');
	k->ttl_s = (uint64_t)scan_whole(s);
	if (scan_is(s, ','))
		k->cache = scan_truth(s);
	while (scan_is(s, ','))
		scan_span(s);
	scan_expect(s, ']');
}

/* ---- all of it */

/* Those that are no member of req. */
static void take_other(struct reader *r, struct mg_str name)
{
	struct scan *s = &r->s;

	if (mg_is(name, "prefs")) {
		take_part(s, OF_PREFS, &r->after);
	} else if (mg_is(name, "key")) {
		take_part(s, OF_KEY, &r->after);
	} else if (mg_is(name, "feat")) {
		take_feat(s, &r->after.feat);
	} else if (mg_is(name, "candidates")) {
		take_routings(r);
	} else if (mg_is(name, "models")) {
		r->after.models = scan_words(s);
		r->models_said = true;
	} else if (mg_is(name, "asked")) {
		r->asked = scan_span(s);
	} else if (mg_is(name, "aliases")) {
		r->out->aliases = scan_words(s);
	} else if (mg_is(name, "before")) {
		r->before = scan_span(s);
	} else if (mg_is(name, "failures")) {
		take_failures(r);
	} else if (mg_is(name, "reads")) {
		take_readings(r);
	} else if (mg_is(name, "keep")) {
		take_keep(s, &r->out->keep);
	} else if (mg_is(name, "bundle")) {
		struct mg_str hash = scan_string(s);

		snprintf(r->out->bundle, sizeof(r->out->bundle), "%.*s", (int)hash.len, hash.at);
	} else if (mg_is(name, "errors")) {
		r->out->errors = (uint64_t)scan_whole(s);
	} else if (mg_is(name, "drawn")) {
		r->out->drawn = (struct drawn){ true, (uint32_t)(scan_decimal(s) * 1e6 + 0.5) };
	} else if (mg_is(name, "denied")) {
		take_denied(s, &r->out->refused);
	} else {
		scan_span(s);
	}
}

static void take_members(struct reader *r)
{
	const struct field *f = req_fields;
	struct scan *s = &r->s;
	struct mg_str name;

	scan_expect(s, '{');
	for (bool first = true; (name = scan_member(s, first)).at; first = false) {
		const struct field *found = name.len ? next_field(req_fields, f, name) : NULL;

		if (found && found->kind != K_LATER && found->at != AT(facts, models)) {
			if (found->at == AT(facts, session))
				r->session = scan_quoted(&(struct scan){ s->at, s->end, false, s->pool });
			take_value(s, found, (char *)&r->after + found->at);
			f = found + 1;
		} else {
			take_other(r, name);
		}
	}
	s->bad |= s->at != s->end;
}

static void take_asked(struct reader *r)
{
	struct scan s = within(r, r->asked);
	struct mg_str name;

	scan_expect(&s, '{');
	for (bool first = true; (name = scan_member(&s, first)).at; first = false) {
		if (mg_is(name, "models")) {
			r->out->facts.models = scan_words(&s);
		} else if (mg_is(name, "prefs")) {
			r->out->facts.prefs = prefs_none;
			take_part(&s, OF_PREFS, &r->out->facts);
		} else {
			scan_span(&s);
		}
	}
	r->s.bad |= s.bad;
}

/* Where the part about the run begins. */
size_t recorded_decided(struct mg_str text)
{
	static const char *const run[] = { ",\"notes\":", ",\"reads\":", ",\"shadow\":", ",\"errors\":", ",\"drawn\":", ",\"bundle\":" };
	size_t least = text.len;

	for (size_t i = 0; i < sizeof(run) / sizeof(run[0]); i++) {
		const char *at = memmem(text.at, least, run[i], strlen(run[i]));

		least = at ? (size_t)(at - text.at) : least;
	}
	return least;
}

int recorded_read(struct pool *p, const struct mg_store_decision *row, struct recorded *out, struct err *err)
{
	struct reader r = { .s = { row->json, row->json + strlen(row->json), false, p }, .out = out,
		.after = { .prefs.allow_fallbacks = true, .listed = true } };
	struct mg_str *one = pool_alloc(p, sizeof(*one));

	*out = (struct recorded){ .keep = { .store = KEEP_METADATA, .ttl_s = KEEP_USUAL_S } };
	if (!one)
		return fail(err, MG_ENOMEM, "no memory for a decision");
	take_members(&r);
	*one = r.after.model;
	if (!r.models_said)
		r.after.models = (struct words){ one, 1 };
	r.after.id = (struct mg_str){ row->generation_id, strlen(row->generation_id) };
	r.after.now_ms = row->at_ms;
	r.after.key.id = (struct mg_str){ row->key_hash ? row->key_hash : "", row->key_hash ? strlen(row->key_hash) : 0 };
	out->facts = r.after;
	out->models = r.after.models;
	out->prefs = r.after.prefs;
	if (r.asked.len)
		take_asked(&r);
	r.s.bad |= !out->n_routings;
	if (!r.s.bad)
		out->routings[out->n_routings - 1].models = r.after.models;
	return r.s.bad ? fail(err, MG_EINVAL, "a kept decision is damaged, at its byte %zu", (size_t)(r.s.at - row->json)) : MG_OK;
}
