/*
 * Policies in shadow: once a hook's answer stands, each of them is asked what
 * its own would be, and what would have been different is remembered for the
 * record.  It decides nothing: it sees copies, has fuel of its own, and what it
 * counts is counted apart (shared.c).
 */
#include "policy/state.h"

#define EACH_SHADOW(s, h, e) EACH_ENTRY(s, h, e) if (e->shadow)

/* Its row in the record; NULL: no memory, so it is not told. */
static struct shadowed *row_of(struct decision *d, const struct entry *e, enum hook h)
{
	struct shadowed **at = &d->shadowed;

	while (*at && ((*at)->hook != hook_names[h] || strcmp((*at)->by, e->name)))
		at = &(*at)->next;
	if (!*at && (*at = pool_alloc(d->pool, sizeof(**at))))
		**at = (struct shadowed){ .hook = hook_names[h], .by = pool_dup(d->pool, (struct mg_str){ e->name, strlen(e->name) }).at };
	if (*at && !(*at)->by)
		(*at)->by = "";
	return *at;
}

void shadow_failed(struct decision *d, const struct entry *e, enum hook h)
{
	struct shadowed *row = row_of(d, e, h);

	if (row)
		row->failed++;
}

static void agrees(struct decision *d, const struct entry *e, enum hook h)
{
	struct shadowed *row = row_of(d, e, h);

	if (row)
		row->asked++;
}

static void differs(struct decision *d, const struct entry *e, enum hook h, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void differs(struct decision *d, const struct entry *e, enum hook h, const char *fmt, ...)
{
	struct shadowed *row = row_of(d, e, h);
	char text[120];
	size_t i = 0;
	va_list args;

	if (!row)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	row->asked++;
	row->differed++;
	while (i < row->n_kinds && strcmp(row->kinds[i].what, text))
		i++;
	if (i == SHADOW_KINDS)
		return;		/* it is counted all the same */
	if (i == row->n_kinds) {
		row->kinds[i].what = pool_dup(d->pool, (struct mg_str){ text, strlen(text) }).at;
		row->n_kinds += row->kinds[i].what != NULL;
	}
	if (i < row->n_kinds)
		row->kinds[i].n++;
}

/* ---- before there are candidates */

static void ask(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h)
{
	hook_push(s, e, h);
	req_push(s, d);
}

void shadow_admit(struct policy_state *s, struct decision *d)
{
	EACH_SHADOW(s, HOOK_ADMIT, e) {
		struct denial no = { .status = 503, .code = "policy_error" };
		bool ok;

		ask(s, d, e, HOOK_ADMIT);
		if (hook_call(s, d, e, HOOK_ADMIT, 1, 1)) {
			differs(d, e, HOOK_ADMIT, "deny 503 policy_error");
			continue;
		}
		ok = lua_isboolean(s->L, -1) && lua_toboolean(s->L, -1);
		if (!ok && denial_read(s->L, lua_gettop(s->L), &no))
			hook_failed(s, d, e, HOOK_ADMIT, "admit must return true or deny{}");
		lua_pop(s->L, 1);
		if (ok)
			agrees(d, e, HOOK_ADMIT);
		else
			differs(d, e, HOOK_ADMIT, "deny %d %s", no.status, no.code);
	}
}

void shadow_retain(struct policy_state *s, struct decision *d)
{
	EACH_SHADOW(s, HOOK_RETAIN, e) {
		struct keep said, then = d->keep;

		ask(s, d, e, HOOK_RETAIN);
		keep_answer(s, d, e, &said);
		keep_narrow(&then, d->keep_said, &said);
		if (d->keep.store != then.store)
			differs(d, e, HOOK_RETAIN, "store %s", keep_names[then.store]);
		else if (d->keep.ttl_s != then.ttl_s)
			differs(d, e, HOOK_RETAIN, "ttl_s");
		else if (d->keep.cache != then.cache)
			differs(d, e, HOOK_RETAIN, "cache");
		else if (d->keep.sinks != then.sinks)
			differs(d, e, HOOK_RETAIN, "sinks");
		else
			agrees(d, e, HOOK_RETAIN);
	}
}

/* The parts of a resolution that would not be as they are now. */
static void compare_facts(struct decision *d, const struct entry *e, const struct facts *now)
{
	const struct words *a = &now->models, *b = &d->facts.models;
	bool models = a->n != b->n;

	for (size_t i = 0; !models && i < a->n; i++)
		models = a->at[i].len != b->at[i].len || memcmp(a->at[i].at, b->at[i].at, a->at[i].len);
	if (models)
		differs(d, e, HOOK_RESOLVE, "model %.*s", (int)(b->at[0].len < 90 ? b->at[0].len : 90), b->at[0].at);
	else if (memcmp(&now->prefs, &d->facts.prefs, sizeof(now->prefs)))
		differs(d, e, HOOK_RESOLVE, "prefs");
	else
		agrees(d, e, HOOK_RESOLVE);
}

void shadow_resolve(struct policy_state *s, struct decision *d)
{
	EACH_SHADOW(s, HOOK_RESOLVE, e) {
		struct facts now = d->facts;
		bool resolved = d->resolved;
		struct denial no;
		int at;

		ask(s, d, e, HOOK_RESOLVE);
		if (hook_call(s, d, e, HOOK_RESOLVE, 1, 1))
			continue;
		at = lua_gettop(s->L);
		if (lua_isnil(s->L, at))
			agrees(d, e, HOOK_RESOLVE);
		else if (!denial_read(s->L, at, &no))
			differs(d, e, HOOK_RESOLVE, "deny %d %s", no.status, no.code);
		else if (!resolution_read(s, d, at))
			compare_facts(d, e, &now);
		else
			hook_failed(s, d, e, HOOK_RESOLVE, answer_wrong(s, resolve_gives));
		lua_settop(s->L, at - 1);
		d->facts = now;
		d->resolved = resolved;
	}
}

/* ---- over candidates */

/* One that everybody lets pass. */
void shadow_filter(struct policy_state *s, struct decision *d, const struct candidate *c)
{
	EACH_SHADOW(s, HOOK_FILTER, e) {
		struct verdict v = verdict_of(s, d, e, c);

		if (v.why)
			differs(d, e, HOOK_FILTER, "drop %s", v.why);
		else
			agrees(d, e, HOOK_FILTER);
	}
}

static void compare_order(struct decision *d, const struct entry *e, struct candidate *const *next, size_t n)
{
	bool same = n == d->n_order;

	for (size_t i = 0; same && i < n; i++)
		same = next[i] == d->order[i];
	if (same)
		agrees(d, e, HOOK_RANK);
	else if (!n)
		differs(d, e, HOOK_RANK, "none left");
	else if (next[0] != d->order[0])
		differs(d, e, HOOK_RANK, "first %s", next[0]->endpoint->id);
	else
		differs(d, e, HOOK_RANK, n < d->n_order ? "fewer behind the first" : "another order behind the first");
}

void shadow_rank(struct policy_state *s, struct decision *d)
{
	struct candidate **next = d->n_order ? pool_alloc(d->pool, sizeof(*next) * (d->n_order + 1)) : NULL;

	if (!next)
		return;
	EACH_SHADOW(s, HOOK_RANK, e) {
		size_t n;

		ask(s, d, e, HOOK_RANK);
		order_push(s, d);
		if (hook_call(s, d, e, HOOK_RANK, 2, 1))
			continue;
		if (order_read(s, d, next, &n))
			hook_failed(s, d, e, HOOK_RANK, "rank must return endpoints of its list, each at most once");
		else
			compare_order(d, e, next, n);
		lua_pop(s->L, 1);
	}
}

void shadow_plan(struct policy_state *s, struct decision *d)
{
	static const struct { const char *name; size_t at, size; } members[] = {
#define MEMBER(name, member) { name, offsetof(struct plan, member), sizeof(((struct plan *)0)->member) }
		MEMBER("deadline_ms", deadline_ms), MEMBER("connect_timeout_ms", connect_ms), MEMBER("ttft_timeout_ms", first_output_ms),
		MEMBER("idle_timeout_ms", idle_ms), MEMBER("max_attempts", attempts), MEMBER("max_attempts_per_model", attempts_per_model),
		MEMBER("hedge", hedge_after_ms), MEMBER("hedge", hedge_extra), MEMBER("sticky", sticky_ttl_s), MEMBER("sticky", sticky_key.len),
		MEMBER("max_charge_nusd", max_charge_nusd) };

	EACH_SHADOW(s, HOOK_PLAN, e) {
		struct plan now = d->plan;
		size_t i = 0, n = sizeof(members) / sizeof(members[0]);
		int top = lua_gettop(s->L);

		plan_session(d, e);
		if (e->fn[HOOK_PLAN] != LUA_NOREF) {
			ask(s, d, e, HOOK_PLAN);
			candidates_push(s, d->order, d->n_order);
			if (hook_call(s, d, e, HOOK_PLAN, 2, 1) || (!lua_isnil(s->L, -1) && plan_take(s, d, e)))
				i = n + 1;
		}
		while (i < n && !memcmp((char *)&now + members[i].at, (char *)&d->plan + members[i].at, members[i].size))
			i++;
		if (i < n)
			differs(d, e, HOOK_PLAN, "%s", members[i].name);
		else if (i == n)
			agrees(d, e, HOOK_PLAN);
		d->plan = now;
		lua_settop(s->L, top);
	}
}

/* ---- at an attempt */

/* Values may be the client's words: only names are told. */
static void compare_shape(struct decision *d, const struct entry *e, const struct shape *now, const struct shape *then)
{
	for (size_t i = 0; i < then->n; i++) {
		const struct mg_str name = then->edits[i].name, value = then->edits[i].value;
		size_t k = 0;

		while (k < now->n && (now->edits[k].name.len != name.len || memcmp(now->edits[k].name.at, name.at, name.len)))
			k++;
		if (k < now->n && now->edits[k].value.len == value.len && !now->edits[k].value.at == !value.at &&
		    (!value.at || !memcmp(now->edits[k].value.at, value.at, value.len)))
			continue;
		differs(d, e, HOOK_SHAPE, "%s %.*s", value.at ? "set" : "drop", (int)name.len, name.at);
		return;
	}
	agrees(d, e, HOOK_SHAPE);
}

void shadow_shape(struct policy_state *s, struct decision *d, const struct endpoint *endpoint, const struct shape *now)
{
	EACH_SHADOW(s, HOOK_SHAPE, e) {
		struct shape then = *now;

		if (!concerns(s, d, e, HOOK_SHAPE, endpoint))
			continue;
		ask(s, d, e, HOOK_SHAPE);
		endpoint_push(s, endpoint, NULL);
		if (hook_call(s, d, e, HOOK_SHAPE, 2, 1)) {
			differs(d, e, HOOK_SHAPE, "skip the endpoint");
			continue;
		}
		if (!lua_isnil(s->L, -1) && shape_read(s->L, lua_gettop(s->L), d, &then)) {
			hook_failed(s, d, e, HOOK_SHAPE, answer_wrong(s, "shape must return nil or { set = {}, drop = {} }"));
			differs(d, e, HOOK_SHAPE, "skip the endpoint");
		} else {
			compare_shape(d, e, now, &then);
		}
		lua_pop(s->L, 1);
	}
}

void shadow_on_error(struct policy_state *s, struct decision *d, const struct attempt_error *err,
	struct candidate *const *rest, size_t n, const struct action *now)
{
	EACH_SHADOW(s, HOOK_ON_ERROR, e) {
		struct action a = { 0 };

		ask(s, d, e, HOOK_ON_ERROR);
		failure_push(s->L, err);
		candidates_push(s, rest, n);
		if (hook_call(s, d, e, HOOK_ON_ERROR, 3, 1))
			continue;
		if (lua_isnil(s->L, -1))
			agrees(d, e, HOOK_ON_ERROR);
		else if (action_read(s->L, lua_gettop(s->L), d->pool, &a))
			hook_failed(s, d, e, HOOK_ON_ERROR, answer_wrong(s, "on_error must return an action of act, or nil"));
		else if (a.what != now->what || a.skip != now->skip || (a.what == ACT_RETRY && a.after_ms != now->after_ms))
			differs(d, e, HOOK_ON_ERROR, "%s%s", action_names[a.what], skip_names[a.skip]);
		else
			agrees(d, e, HOOK_ON_ERROR);
		lua_pop(s->L, 1);
	}
}

/* ---- what it costs */

static void compare_bill(struct decision *d, const struct entry *e, const struct bill *now, const struct bill *then)
{
	struct shadowed *row;

	if (then->charge_nusd == now->charge_nusd) {
		agrees(d, e, HOOK_PRICE);
		return;
	}
	differs(d, e, HOOK_PRICE, then->charge_nusd > now->charge_nusd ? "charge more" : "charge less");
	row = row_of(d, e, HOOK_PRICE);
	if (row)
		row->charge_nusd += then->charge_nusd - now->charge_nusd;
}

/* The bill as it stands is on top; empty where nobody has a word, and now is the list price. */
void shadow_price(struct policy_state *s, struct decision *d, const struct endpoint *endpoint, const struct mg_usage *u, const struct bill *now)
{
	int at = lua_gettop(s->L);

	EACH_SHADOW(s, HOOK_PRICE, e) {
		struct bill then;

		if (!concerns(s, d, e, HOOK_PRICE, endpoint) || bill_read(s->L, at, d, &then))
			continue;
		bill_copy(s->L, at);
		if (!price_step(s, d, e, endpoint, u, false, &then))
			compare_bill(d, e, now, &then);
		lua_settop(s->L, at);
	}
}

void shadow_observe(struct policy_state *s, struct decision *d, const struct outcome *o)
{
	EACH_SHADOW(s, HOOK_OBSERVE, e) {
		ask(s, d, e, HOOK_OBSERVE);
		outcome_push(s, o);
		if (!hook_call(s, d, e, HOOK_OBSERVE, 2, 0))
			agrees(d, e, HOOK_OBSERVE);
	}
}
