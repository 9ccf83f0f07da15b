/*
 * A record, read back: backtest reads a hundred thousand of them a second, so each member
 * is looked at once, in its turn.
 */
#include <stdlib.h>
#include "policy/recorded.h"

struct reader { struct pool *pool; struct recorded *out; struct facts after; bool models_said; };

/* ---- values */

static struct mg_str text_of(struct reader *r, struct mg_view v)
{
	struct mg_str t = json_kind(v) == MG_STRING ? json_text(r->pool, v) : (struct mg_str){ "", 0 };

	return t.at ? t : (struct mg_str){ "", 0 };
}

/* With a NUL behind it. */
static const char *word_of(struct reader *r, struct mg_view v)
{
	const char *at = pool_dup(r->pool, text_of(r, v)).at;

	return at ? at : "";
}

/* Whole millionths and whole numbers: as they were, bit by bit; others by the library. */
static double decimal(struct mg_view v)
{
	static const double tens[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9 };
	struct mg_str raw = json_raw(v);
	size_t i = raw.len && raw.at[0] == '-', places = 0;
	bool below = i, point = false;
	int64_t n = 0;
	char copy[40];

	for (; i < raw.len && raw.len < 16; i++) {
		if (raw.at[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (raw.at[i] < '0' || raw.at[i] > '9' || places > 8)
			break;
		n = n * 10 + (raw.at[i] - '0');
		places += point;
	}
	if (i == raw.len && raw.len)
		return (double)(below ? -n : n) / tens[places];
	if (json_kind(v) != MG_NUMBER || raw.len >= sizeof(copy))
		return 0;
	memcpy(copy, raw.at, raw.len);
	copy[raw.len] = '\0';
	return strtod(copy, NULL);
}

static int64_t whole(struct mg_view v)
{
	struct mg_str raw = json_raw(v);
	bool below = raw.len && raw.at[0] == '-';
	uint64_t n = 0;

	if (json_kind(v) != MG_NUMBER)
		return 0;
	for (size_t i = below; i < raw.len && raw.at[i] >= '0' && raw.at[i] <= '9'; i++)
		n = n * 10 + (uint64_t)(raw.at[i] - '0');
	return (int64_t)(below ? 0 - n : n);
}

static struct words words_of(struct reader *r, struct mg_view list)
{
	size_t n = json_len(list), i = 0;
	struct mg_str *at = n ? pool_alloc(r->pool, n * sizeof(*at)) : NULL;

	for (struct mg_view v = json_at(list, 0); at && i < n; v = json_next(v))
		at[i++] = text_of(r, v);
	return (struct words){ at, i };
}

static void four_of(struct mg_view list, struct number *at)
{
	struct mg_view v = json_at(list, 0);

	for (int i = 0; i < 4; i++, v = json_next(v))
		if (json_kind(v) == MG_NUMBER)
			at[i] = (struct number){ true, decimal(v) };
}

/* ---- the request */

static void take_value(struct reader *r, const struct field *f, char *at, struct mg_view v)
{
	switch (f->kind) {
	case K_STR: *(struct mg_str *)at = text_of(r, v); break;
	case K_U64: case K_SIZE: case K_I64: *(int64_t *)at = whole(v); break;
	case K_BOOL: case K_DENY: *(bool *)at = json_kind(v) == MG_TRUE; break;
	case K_WORDS: case K_SET: case K_PAIRS: *(struct words *)at = words_of(r, v); break;
	case K_CUTS: case K_PRICES: four_of(v, (struct number *)at); break;
	default: break;
	}
}

/* They stand in the order of their table: the next one is looked for behind the last. */
static const struct field *next_field(const struct field *all, const struct field *from, struct mg_str name)
{
	for (const struct field *f = from; f->name; f++)
		if (mg_is(name, f->name))
			return f;
	for (const struct field *f = all; f < from; f++)
		if (mg_is(name, f->name))
			return f;
	return NULL;
}

static void take_part(struct reader *r, unsigned base, struct facts *to, struct mg_view object)
{
	const struct field *all = parts[base].fields, *from = all, *f;
	char *thing = (char *)(uintptr_t)base_of(to, base);

	for (struct mg_view v = json_at(object, 0); json_kind(v) != MG_ABSENT; v = json_next(v)) {
		f = next_field(all, from, json_name(v));
		if (!f)
			continue;	/* of a later gateway */
		take_value(r, f, thing + f->at, v);
		from = f + 1;
	}
}

/* ---- candidates */

static void take_live(struct mg_view list, struct live_facts *l)
{
	double all[LIVE_NUMBERS] = { [LIVE_NUMBERS - 1] = 1 };
	struct mg_view v = json_at(list, 0);
	int n = 0;

	l->inflight = (uint64_t)whole(v);
	for (v = json_next(v); json_kind(v) == MG_NUMBER && n < LIVE_NUMBERS; v = json_next(v))
		all[n++] = decimal(v);
	live_numbers(all, l);
}

static void take_rest(struct reader *r, struct mg_view object, struct seen *c)
{
	for (struct mg_view v = json_at(object, 0); json_kind(v) != MG_ABSENT; v = json_next(v)) {
		struct mg_str name = json_name(v);

		if (mg_is(name, "dropped"))
			c->dropped = text_of(r, v);
		else if (mg_is(name, "by"))
			c->by = text_of(r, v);
		else if (mg_is(name, "outage_ago_ms"))
			c->live.outage_ago_ms = whole(v);
		else if (mg_is(name, "cooldown_ms"))
			c->live.cooldown_ms = whole(v);
		else if (mg_is(name, "breaker"))
			c->live.breaker = (int)whole(v);
	}
}

static int take_list(struct reader *r, struct mg_view list, struct listed *out, struct err *err)
{
	size_t n = json_len(list), i = 0;

	out->at = pool_alloc(r->pool, (n + 1) * sizeof(*out->at));
	if (!out->at)
		return fail(err, MG_ENOMEM, "no memory for a decision");
	for (struct mg_view one = json_at(list, 0); i < n; one = json_next(one), i++) {
		struct seen *c = &out->at[i];
		struct mg_view id = json_at(one, 0), rank = json_next(id);

		c->live = (struct live_facts){ .outage_ago_ms = INT64_MAX, .uptime_30m = 1 };
		if (json_kind(id) != MG_STRING || json_kind(rank) != MG_NUMBER)
			return fail(err, MG_EPROTO, "a kept decision has a candidate without an id");
		c->hash = text_of(r, id);
		c->rank = (unsigned)whole(rank);
		for (struct mg_view v = json_next(rank); json_kind(v) != MG_ABSENT; v = json_next(v))
			if (json_kind(v) == MG_ARRAY)
				take_live(v, &c->live);
			else if (json_kind(v) == MG_OBJECT)
				take_rest(r, v, c);
	}
	out->n = n;
	return MG_OK;
}

static int take_routings(struct reader *r, struct err *err)
{
	struct recorded *out = r->out;
	size_t before = json_len(out->view.before), i = 0;
	int rc = MG_OK;

	out->n_routings = before + 1;
	out->routings = pool_alloc(r->pool, out->n_routings * sizeof(*out->routings));
	if (!out->routings)
		return fail(err, MG_ENOMEM, "no memory for a decision");
	for (struct mg_view v = json_at(out->view.before, 0); !rc && i < before; v = json_next(v), i++) {
		out->routings[i].models = words_of(r, json_at(v, 0));
		rc = take_list(r, json_at(v, 1), &out->routings[i], err);
	}
	out->routings[i].models = r->after.models;
	return rc ? rc : take_list(r, out->view.candidates, &out->routings[i], err);
}

/* ---- failures and readings */

static enum mg_error kind_of(struct mg_view v)
{
	for (int i = 0; i < ERROR_KINDS; i++)
		if (json_is(v, error_kinds[i]))
			return (enum mg_error)i;
	return MG_E_UPSTREAM;
}

static void take_action(struct reader *r, struct mg_view object, struct action *a)
{
	for (int i = 0; i < 4; i++)
		if (json_is(json_get(object, "action"), action_names[i]))
			a->what = i;
	a->skip = json_is(json_get(object, "skip"), "model") ? SKIP_MODEL : json_is(json_get(object, "skip"), "provider") ? SKIP_PROVIDER : SKIP_NOTHING;
	a->after_ms = (uint64_t)whole(json_get(object, "after_ms"));
	a->model = text_of(r, json_get(object, "model"));
}

static void take_failure(struct reader *r, struct mg_view o, struct failed *f)
{
	struct mg_view rest = json_get(o, "rest");
	unsigned *at = pool_alloc(r->pool, (json_len(rest) + 1) * sizeof(*at));

	f->error = (struct attempt_error){ .kind = kind_of(json_get(o, "kind")), .status = (int)whole(json_get(o, "status")),
		.retryable = json_kind(json_get(o, "retryable")) == MG_TRUE, .n = (unsigned)whole(json_get(o, "n")),
		.tries_here = (unsigned)whole(json_get(o, "tries_here")), .retry_after_ms = (uint32_t)whole(json_get(o, "retry_after_ms")),
		.bytes_sent = (uint64_t)whole(json_get(o, "bytes_sent")), .elapsed_ms = (uint64_t)whole(json_get(o, "elapsed_ms")),
		.deadline_ms = (uint64_t)whole(json_get(o, "deadline_ms")) };
	if (json_kind(json_get(o, "phase")) == MG_STRING)
		f->error.phase = word_of(r, json_get(o, "phase"));
	f->routing = (unsigned)whole(json_get(o, "routing"));
	f->candidate = (unsigned)whole(json_get(o, "candidate"));
	for (struct mg_view v = json_at(rest, 0); at && json_kind(v) != MG_ABSENT; v = json_next(v))
		at[f->n_rest++] = (unsigned)whole(v);
	f->rest = at;
	f->by = json_kind(json_get(o, "by")) == MG_STRING ? word_of(r, json_get(o, "by")) : NULL;
	take_action(r, o, &f->action);
}

static void take_failures(struct reader *r, struct mg_view list)
{
	struct failed **end = &r->out->failures;

	for (struct mg_view v = json_at(list, 0); json_kind(v) != MG_ABSENT; v = json_next(v)) {
		*end = pool_alloc(r->pool, sizeof(**end));
		if (!*end)
			return;
		take_failure(r, v, *end);
		end = &(*end)->next;
	}
}

/* What is between the brackets. */
static struct mg_str inside(struct mg_view list)
{
	struct mg_str raw = json_raw(list);

	return raw.len >= 2 ? (struct mg_str){ raw.at + 1, raw.len - 2 } : (struct mg_str){ "", 0 };
}

static void take_readings(struct reader *r, struct mg_view list)
{
	struct consulted **end = &r->out->given;

	for (struct mg_view v = json_at(list, 0); json_kind(v) != MG_ABSENT; v = json_next(v)) {
		struct mg_view asked = json_at(v, 1);

		*end = pool_alloc(r->pool, sizeof(**end));
		if (!*end)
			return;
		(*end)->function = word_of(r, json_at(v, 0));
		(*end)->asked = inside(asked);
		(*end)->said = inside(json_next(asked));
		end = &(*end)->next;
	}
}

/* ---- all of it */

static void take_asked(struct reader *r, struct mg_view object)
{
	struct mg_view models = json_get(object, "models"), prefs = json_get(object, "prefs");

	if (json_kind(models) != MG_ABSENT)
		r->out->facts.models = words_of(r, models);
	if (json_kind(prefs) != MG_ABSENT) {
		r->out->facts.prefs = (struct prefs){ .allow_fallbacks = true };
		take_part(r, OF_PREFS, &r->out->facts, prefs);
	}
}

/* Those that are no member of req. */
static bool take_other(struct reader *r, struct mg_view v, struct mg_view *asked)
{
	struct recorded *o = r->out;
	const struct { const char *name; struct mg_view *to; } views[] = { { "candidates", &o->view.candidates }, { "plan", &o->view.plan },
		{ "keep", &o->view.keep }, { "bundle", &o->view.bundle }, { "spent", &o->view.spent }, { "asked", asked },
		{ "before", &o->view.before }, { "order", &o->view.order }, { "strategy", &o->view.strategy }, { "denied", &o->view.denied },
		{ "failures", &o->view.failures }, { "notes", &o->view.notes }, { "shadow", &o->view.shadow }, { "errors", &o->view.errors },
		{ "policy_error", &o->view.policy_error } };
	struct mg_str name = json_name(v);

	for (unsigned base = OF_PREFS; base < BASES; base++)
		if (mg_is(name, parts[base].name)) {
			take_part(r, base, &r->after, v);
			return true;
		}
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if (mg_is(name, views[i].name)) {
			*views[i].to = v;
			return true;
		}
	if (mg_is(name, "models")) {
		r->after.models = words_of(r, v);
		r->models_said = true;
	} else if (mg_is(name, "aliases")) {
		o->aliases = words_of(r, v);
	} else if (mg_is(name, "reads")) {
		take_readings(r, v);
	} else {
		return false;
	}
	return true;
}

static void take_members(struct reader *r, struct mg_view all, struct mg_view *asked)
{
	const struct field *f = req_fields;

	for (struct mg_view v = json_at(all, 0); json_kind(v) != MG_ABSENT; v = json_next(v)) {
		const struct field *found = next_field(req_fields, f, json_name(v));

		if (found && found->kind != K_LATER && found->at != AT(facts, models)) {
			take_value(r, found, (char *)&r->after + found->at, v);
			f = found + 1;
		} else {
			take_other(r, v, asked);
		}
	}
}

/* Where the part about the run begins. */
size_t recorded_decided(struct mg_str text)
{
	static const char *const run[] = { ",\"notes\":", ",\"reads\":", ",\"shadow\":", ",\"errors\":", ",\"bundle\":" };
	size_t least = text.len;

	for (size_t i = 0; i < sizeof(run) / sizeof(run[0]); i++) {
		const char *at = memmem(text.at, least, run[i], strlen(run[i]));

		least = at ? (size_t)(at - text.at) : least;
	}
	return least;
}

int recorded_read(struct pool *p, const struct mg_store_decision *row, struct recorded *out, struct err *err)
{
	struct mg_str text = { row->json, strlen(row->json) };
	struct reader r = { .pool = p, .out = out, .after = { .prefs.allow_fallbacks = true, .listed = true } };
	struct mg_view all, asked = { 0 };
	int rc = json_parse(p, text, &all, err);

	*out = (struct recorded){ .n_routings = 0 };
	if (rc)
		return rc;
	if (json_kind(all) != MG_OBJECT)
		return fail(err, MG_EPROTO, "a kept decision is no object");
	take_members(&r, all, &asked);
	if (!r.models_said) {
		struct mg_str *one = pool_alloc(p, sizeof(*one));

		if (!one)
			return fail(err, MG_ENOMEM, "no memory for a decision");
		*one = r.after.model;
		r.after.models = (struct words){ one, 1 };
	}
	r.after.id = (struct mg_str){ row->generation_id, strlen(row->generation_id) };
	r.after.now_ms = row->at_ms;
	r.after.key.id = (struct mg_str){ row->key_hash ? row->key_hash : "", row->key_hash ? strlen(row->key_hash) : 0 };
	out->facts = r.after;
	out->models = r.after.models;
	out->prefs = r.after.prefs;
	if (json_kind(asked) != MG_ABSENT)
		take_asked(&r, asked);
	take_failures(&r, out->view.failures);
	if (json_kind(out->view.denied) == MG_ARRAY)
		out->refused = (struct refused){ word_of(&r, json_at(out->view.denied, 0)), word_of(&r, json_at(out->view.denied, 2)),
			word_of(&r, json_at(out->view.denied, 3)), (int)whole(json_at(out->view.denied, 1)) };
	out->decided = recorded_decided(text);
	return take_routings(&r, err);
}
