/*
 * The hooks but for routing: each asks the chain, reads the answers, and knows
 * what a failure means.
 */
#include "base/log.h"
#include "policy/state.h"

const char *const error_kinds[ERROR_KINDS] = { "upstream", "connect", "timeout", "rate_limited", "overloaded", "server", "auth", "quota",
	"bad_request", "context_length", "moderation", "not_found", "cancelled" };

/* It is known that this hook has nothing to say. */
static bool silent(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h)
{
	return e->memo[h] && memo_look(s, d, e->memo[h], 0) == KEEPS;
}

static void asked_push(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h)
{
	hook_push(s, e, h);
	if (e->memo[h] && s->remembers)
		memo_view(s, e->memo[h]);
	else
		req_push(s, d);
}

/* admit and resolve, which may wait, and then go on where they were. */
static int ask(struct policy_state *s, struct decision *d, struct entry *e, enum hook h)
{
	if (d->waits)
		return hook_go_on(s, d);
	asked_push(s, d, e, h);
	return e->waits && d->conf ? hook_start(s, d, e, h) : hook_call(s, d, e, h, 1, 1);
}

/* Not this one: it has nothing to say, or it is not the one that waited. */
static bool passed_by(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h)
{
	return d->waits ? d->waits->entry != e : silent(s, d, e, h);
}

/* It had nothing to say. */
static void remember_silence(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h)
{
	if (e->memo[h])
		memo_keep(s, d, e->memo[h], 0, KEEPS);
}

void policy_failed(const struct decision *d, const char *hook, struct denial *no)
{
	*no = (struct denial){ .status = 503, .code = "policy_error" };
	snprintf(no->message, sizeof(no->message), "A policy failed in its hook '%s' (request %.*s)", hook, (int)d->facts.id.len, d->facts.id.at ? d->facts.id.at : "");
}

bool policy_admit(struct policy_state *s, struct decision *d, struct denial *no)
{
	static const struct denial broken = { .status = 503, .code = "policy_error" };
	bool admitted = true;

	hook_begin(s, d);
	if (hook_lost(s, d)) {
		policy_failed(d, "admit", no);
		return false;
	}
	EACH_ENTRY(s, HOOK_ADMIT, e) {
		struct denial said = broken;
		bool ok = false;
		int rc;

		if (e->shadow || passed_by(s, d, e, HOOK_ADMIT))
			continue;
		rc = ask(s, d, e, HOOK_ADMIT);
		if (rc == HOOK_WAITS)
			return false;
		if (rc) {
			ok = e->open;
		} else {
			ok = lua_isboolean(s->L, -1) && lua_toboolean(s->L, -1);
			if (ok)
				remember_silence(s, d, e, HOOK_ADMIT);
			if (!ok && denial_read(s->L, lua_gettop(s->L), &said)) {
				hook_failed(s, d, e, HOOK_ADMIT, "admit must return true or deny{}");
				ok = e->open;
			}
			lua_pop(s->L, 1);
		}
		if (ok)
			continue;
		if (!*said.message)
			policy_failed(d, "admit", &said);
		hook_note(d, HOOK_ADMIT, e, "%d %s: %s", said.status, said.code, said.message);
		if (!admitted)
			continue;	/* the first denial is the answer; all are noted */
		admitted = false;
		d->denied = true;
		snprintf(said.by, sizeof(said.by), "%s", e->at[HOOK_ADMIT]);
		*no = said;
		decision_denied(d, HOOK_ADMIT, no);
	}
	if (s->shadows && admitted)
		shadow_admit(s, d);
	return admitted;
}

void keep_answer(struct policy_state *s, struct decision *d, const struct entry *e, struct keep *out)
{
	*out = keep_usual;
	if (hook_call(s, d, e, HOOK_RETAIN, 1, 1)) {
		*out = keep_nothing;
		return;
	}
	if (keep_read(s->L, lua_gettop(s->L), d->pool, out)) {
		hook_failed(s, d, e, HOOK_RETAIN, answer_wrong(s, "retain must return {store, ttl_s, cache, sinks}"));
		*out = keep_nothing;
	}
	lua_pop(s->L, 1);
}

/* The first word takes the place of the default; after it, the strictest. */
void keep_narrow(struct keep *all, bool said, const struct keep *one)
{
	if (said)
		keep_tighten(all, one);
	else
		*all = *one;
}

/* Until all have spoken nothing is kept: also what they log themselves. */
void policy_retain(struct policy_state *s, struct decision *d)
{
	struct keep all = keep_usual;

	hook_begin(s, d);
	EACH_ENTRY(s, HOOK_RETAIN, e) {
		struct keep one;

		if (e->shadow)
			continue;
		hook_push(s, e, HOOK_RETAIN);
		req_push(s, d);
		keep_answer(s, d, e, &one);
		keep_narrow(&all, d->keep_said, &one);
		d->keep_said = true;
	}
	d->keep = all;
	if (s->shadows)
		shadow_retain(s, d);
}

/* ---- resolve */

const char *const resolve_gives = "resolve must return nil, {models, prefs, strategy, note} or deny{}";

static int models_take(struct policy_state *s, struct decision *d, int at)
{
	struct words models = d->facts.models;
	int rc = 0;

	if (answer_field(s->L, at, "models") != LUA_TNIL)
		rc = words_read(s->L, lua_gettop(s->L), d->pool, &models) || !models.n ? -1 : 0;
	lua_pop(s->L, 1);
	if (rc)
		answer_odd(s->L, "models must be a list of slugs, one at least");
	if (!rc && models.at != d->facts.models.at) {
		d->facts.models = models;
		d->resolved = true;
	}
	return rc;
}

static const char *text_of(struct policy_state *s, struct decision *d, int at, const char *name)
{
	const char *out = NULL;

	if (answer_field(s->L, at, name) == LUA_TSTRING)
		out = pool_dup(d->pool, (struct mg_str){ lua_tostring(s->L, -1), lua_rawlen(s->L, -1) }).at;
	lua_pop(s->L, 1);
	return out;
}

int resolution_read(struct policy_state *s, struct decision *d, int at)
{
	static const char *const members[] = { "models", "prefs", "strategy", "note", NULL };
	struct facts before = d->facts;
	bool resolved = d->resolved;
	int rc;

	answer_begin(s);
	rc = !table_at(s->L, at) || answer_only(s->L, at, "what resolve returns", members) ? -1 : models_take(s, d, at);
	if (!rc && answer_field(s->L, at, "prefs") != LUA_TNIL)
		rc = prefs_tighten(s->L, lua_gettop(s->L), d);
	lua_settop(s->L, at);
	if (!rc)
		return 0;
	d->facts = before;
	d->resolved = resolved;
	return -1;
}

static int resolution_take(struct policy_state *s, struct decision *d, const struct entry *e, int at)
{
	struct facts before = d->facts;
	const char *note, *strategy;

	if (resolution_read(s, d, at))
		return -1;
	decision_asked(d, &before);
	note = text_of(s, d, at, "note");
	strategy = text_of(s, d, at, "strategy");
	if (strategy)
		d->strategy = strategy;
	hook_note(d, HOOK_RESOLVE, e, "%s", note ? note : "changed");
	d->stamp++;	/* what req shows is old now */
	return 0;
}

bool policy_resolve(struct policy_state *s, struct decision *d, struct denial *no)
{
	hook_begin(s, d);
	if (hook_lost(s, d))
		return true;
	EACH_ENTRY(s, HOOK_RESOLVE, e) {
		int at, rc;

		if (e->shadow || passed_by(s, d, e, HOOK_RESOLVE))
			continue;
		rc = ask(s, d, e, HOOK_RESOLVE);
		if (rc == HOOK_WAITS)
			return false;
		if (rc)
			continue;
		at = lua_gettop(s->L);
		if (lua_isnil(s->L, at))
			remember_silence(s, d, e, HOOK_RESOLVE);
		if (!lua_isnil(s->L, at) && !denial_read(s->L, at, no)) {
			snprintf(no->by, sizeof(no->by), "%s", e->at[HOOK_RESOLVE]);
			hook_note(d, HOOK_RESOLVE, e, "%d %s: %s", no->status, no->code, no->message);
			decision_denied(d, HOOK_RESOLVE, no);
			lua_settop(s->L, at - 1);
			return false;
		}
		if (!lua_isnil(s->L, at) && resolution_take(s, d, e, at))
			hook_failed(s, d, e, HOOK_RESOLVE, answer_wrong(s, resolve_gives));
		lua_settop(s->L, at - 1);
	}
	if (s->shadows)
		shadow_resolve(s, d);
	return true;
}

/* ---- plan, shape, on_error */

void candidates_push(struct policy_state *s, struct candidate *const *list, size_t n)
{
	lua_createtable(s->L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		endpoint_push(s, list[i]->endpoint, &list[i]->live);
		lua_rawseti(s->L, -2, (lua_Integer)i + 1);
	}
}

int plan_take(struct policy_state *s, struct decision *d, const struct entry *e)
{
	int rc = plan_read(s->L, lua_gettop(s->L), d);

	if (rc)
		hook_failed(s, d, e, HOOK_PLAN, answer_wrong(s, "plan must return nil or a plan"));
	return rc;
}

void plan_session(struct decision *d, const struct entry *e)
{
	if (!e->sticky_s || !d->facts.session.len)
		return;
	d->plan.sticky_key = d->facts.session;
	d->plan.sticky_ttl_s = e->sticky_s;
}

void policy_plan(struct policy_state *s, struct decision *d)
{
	hook_begin(s, d);
	EACH_ENTRY(s, HOOK_PLAN, e) {
		if (e->shadow)
			continue;
		plan_session(d, e);
		if (e->fn[HOOK_PLAN] == LUA_NOREF || silent(s, d, e, HOOK_PLAN))
			continue;
		asked_push(s, d, e, HOOK_PLAN);
		if (e->args[HOOK_PLAN] > 1)
			candidates_push(s, d->order, d->n_order);
		else
			lua_pushnil(s->L);	/* nobody looks at it */
		if (hook_call(s, d, e, HOOK_PLAN, 2, 1))
			continue;
		if (lua_isnil(s->L, -1))
			remember_silence(s, d, e, HOOK_PLAN);
		else
			plan_take(s, d, e);
		lua_pop(s->L, 1);
	}
	if (s->shadows)
		shadow_plan(s, d);
}

bool policy_shape(struct policy_state *s, struct decision *d, const struct endpoint *endpoint, struct shape *out)
{
	bool ok = true;

	*out = (struct shape){ .n = 0 };
	hook_begin(s, d);
	EACH_ENTRY(s, HOOK_SHAPE, e) {
		if (e->shadow || !ok || !concerns(s, d, e, HOOK_SHAPE, endpoint))
			continue;
		hook_push(s, e, HOOK_SHAPE);
		req_push(s, d);
		endpoint_push(s, endpoint, NULL);
		if (hook_call(s, d, e, HOOK_SHAPE, 2, 1)) {
			ok = false;	/* it may carry store=false */
			continue;
		}
		if (!lua_isnil(s->L, -1) && shape_read(s->L, lua_gettop(s->L), d, out)) {
			hook_failed(s, d, e, HOOK_SHAPE, answer_wrong(s, "shape must return nil or { set = {}, drop = {} }"));
			ok = false;
		}
		lua_pop(s->L, 1);
	}
	if (!ok)
		d->unshaped = endpoint;
	if (s->shadows && ok)
		shadow_shape(s, d, endpoint, out);
	return ok;
}

static void integer_in(lua_State *L, const char *name, uint64_t n)
{
	lua_pushinteger(L, n < INT64_MAX ? (lua_Integer)n : INT64_MAX);
	lua_setfield(L, -2, name);
}

void failure_push(lua_State *L, const struct attempt_error *e)
{
	lua_createtable(L, 0, 12);
	integer_in(L, "n", e->n);
	integer_in(L, "tries_here", e->tries_here);
	integer_in(L, "status", (uint64_t)(e->status > 0 ? e->status : 0));
	integer_in(L, "retry_after_ms", e->retry_after_ms);
	integer_in(L, "bytes_sent", e->bytes_sent);
	integer_in(L, "elapsed_ms", e->elapsed_ms);
	integer_in(L, "deadline_ms", e->deadline_ms ? e->deadline_ms : INT64_MAX);
	lua_pushstring(L, error_kinds[(unsigned)e->kind < ERROR_KINDS ? e->kind : MG_E_UPSTREAM]);
	lua_setfield(L, -2, "kind");
	lua_pushstring(L, e->phase ? e->phase : "headers");
	lua_setfield(L, -2, "phase");
	lua_pushboolean(L, e->retryable);
	lua_setfield(L, -2, "retryable");
	record_close(L, "err", NULL);
	proxy_push(L, SIGHT_PLAIN);
}

const char *const action_names[4] = { "next", "retry", "model", "stop" }, *const skip_names[3] = { "", ", skip model", ", skip provider" };

static void describe(struct decision *d, const struct entry *e, const struct attempt_error *err, const struct action *a)
{
	hook_note(d, HOOK_ON_ERROR, e, "%s at %s -> %s%s", error_kinds[(unsigned)err->kind < ERROR_KINDS ? err->kind : MG_E_UPSTREAM],
		err->endpoint ? err->endpoint->id : "?", action_names[a->what], skip_names[a->skip]);
}

/* Whatever happens to the list afterwards. */
static struct failed *failure_keep(struct decision *d, const struct attempt_error *e, struct candidate *const *rest, size_t n)
{
	struct failed *f = pool_alloc(d->pool, sizeof(*f));
	unsigned *at = pool_alloc(d->pool, (n + 1) * sizeof(*at));

	if (!f || !at)
		return NULL;
	for (size_t i = 0; i < n; i++)
		at[i] = (unsigned)(rest[i] - d->candidates);
	*f = (struct failed){ .error = *e, .routing = d->n_routings, .rest = at, .n_rest = n };
	while (f->candidate < d->n && d->candidates[f->candidate].endpoint != e->endpoint)
		f->candidate++;
	*d->failures_end = f;
	d->failures_end = &f->next;
	return f;
}

/* First opinion wins.  Nobody's: the next endpoint, or the end. */
void policy_on_error(struct policy_state *s, struct decision *d, const struct attempt_error *err,
	struct candidate *const *rest, size_t n, struct action *out)
{
	struct failed *kept = failure_keep(d, err, rest, n);
	bool said = false;

	*out = (struct action){ .what = n ? ACT_NEXT : ACT_STOP };
	hook_begin(s, d);
	EACH_ENTRY(s, HOOK_ON_ERROR, e) {
		struct action a = { 0 };

		if (e->shadow || said)
			continue;
		hook_push(s, e, HOOK_ON_ERROR);
		req_push(s, d);
		failure_push(s->L, err);
		candidates_push(s, rest, n);
		if (hook_call(s, d, e, HOOK_ON_ERROR, 3, 1))
			continue;
		if (!lua_isnil(s->L, -1)) {
			said = !action_read(s->L, lua_gettop(s->L), d->pool, &a);
			if (!said)
				hook_failed(s, d, e, HOOK_ON_ERROR, answer_wrong(s, "on_error must return an action of act, or nil"));
		}
		lua_pop(s->L, 1);
		if (!said)
			continue;
		*out = a;
		if (kept)
			kept->by = pool_dup(d->pool, (struct mg_str){ e->name, strlen(e->name) }).at;
		describe(d, e, err, &a);
	}
	if (kept)
		kept->action = *out;
	if (s->shadows)
		shadow_on_error(s, d, err, rest, n, out);
}

/* ---- price and observe */

/* Lines are appended, and an earlier line may change its side alone. */
static bool appended(const struct bill *before, const struct bill *after)
{
	if (after->n < before->n)
		return false;
	for (size_t i = 0; i < before->n; i++)
		if (strcmp(before->lines[i].code, after->lines[i].code) || before->lines[i].pusd != after->lines[i].pusd)
			return false;
	return true;
}

int price_step(struct policy_state *s, struct decision *d, const struct entry *e, const struct endpoint *endpoint,
	const struct mg_usage *u, bool estimated, struct bill *bill)
{
	lua_State *L = s->L;
	int at = lua_gettop(L);
	struct bill now;

	hook_push(s, e, HOOK_PRICE);
	req_push(s, d);
	endpoint_push(s, endpoint, NULL);
	usage_push(s, u, estimated);
	lua_pushvalue(L, at);
	if (hook_call(s, d, e, HOOK_PRICE, 4, 1))
		return -1;
	answer_begin(s);
	if (bill_read(L, at + 1, d, &now) || !appended(bill, &now)) {
		hook_failed(s, d, e, HOOK_PRICE, answer_wrong(s, "price must return the bill, with lines appended only"));
		return -1;
	}
	lua_replace(L, at);
	*bill = now;
	return 0;
}

int policy_price(struct policy_state *s, struct decision *d, const struct endpoint *endpoint, const struct mg_usage *u, bool estimated, struct bill *bill)
{
	int top = lua_gettop(s->L), rc = 0;
	bool asked = false, listed = false;

	bill_clear(bill);
	if (!endpoint->priced)
		return -1;
	hook_begin(s, d);
	EACH_ENTRY(s, HOOK_PRICE, e) {
		if (e->shadow || rc)
			continue;
		if (!concerns(s, d, e, HOOK_PRICE, endpoint)) {
			listed = true;
			continue;
		}
		if (!asked && listed)	/* whom it does not concern leaves the list price to the next */
			list_price(endpoint, u, d->facts.now_ms, bill);
		if (!asked)
			bill_push(s->L, bill);
		asked = true;
		rc = price_step(s, d, e, endpoint, u, estimated, bill);
	}
	if (rc || !asked || !bill->n) {		/* a bill without a line is nobody's word that it is free */
		list_price(endpoint, u, d->facts.now_ms, bill);
		bill->needs_rating = rc != 0;
	}
	if (s->shadows && !rc && !estimated) {
		if (!asked)
			bill_push(s->L, listed ? bill : &(struct bill){ .n = 0 });
		shadow_price(s, d, endpoint, u, bill);
	}
	lua_settop(s->L, top);
	if (endpoint->provider->own.seq)
		bill_own(bill, rc || !asked);
	return 0;
}

void outcome_push(struct policy_state *s, const struct outcome *o)
{
	static const char *const lacks[] = { "endpoint", "usage", "bill", NULL };
	lua_State *L = s->L;

	lua_createtable(L, 0, 12);
	integer_in(L, "status", (uint64_t)(o->status > 0 ? o->status : 0));
	integer_in(L, "attempts", o->attempts);
	integer_in(L, "ttft_ms", o->ttft_ms);
	integer_in(L, "latency_ms", o->latency_ms);
	lua_pushstring(L, o->kind ? o->kind : "");
	lua_setfield(L, -2, "kind");
	lua_pushboolean(L, o->hedged);
	lua_setfield(L, -2, "hedged");
	lua_pushboolean(L, o->sticky_hit);
	lua_setfield(L, -2, "sticky_hit");
	if (o->endpoint) {
		endpoint_push(s, o->endpoint, NULL);
		lua_setfield(L, -2, "endpoint");
	}
	if (o->usage) {
		usage_push(s, o->usage, false);
		lua_setfield(L, -2, "usage");
	}
	if (o->bill) {
		lua_createtable(L, 0, 2);
		lua_pushinteger(L, o->bill->cost_nusd);
		lua_setfield(L, -2, "cost_nusd");
		lua_pushinteger(L, o->bill->charge_nusd);
		lua_setfield(L, -2, "charge_nusd");
		record_close(L, "outcome.bill", NULL);
		lua_setfield(L, -2, "bill");
	}
	record_close(L, "outcome", lacks);
	freeze(L);
}

/* It was there before that this one answers. */
static bool stuck(struct policy_state *s, const struct decision *d, const struct outcome *o)
{
	const struct mg_str key = d->plan.sticky_key;
	char value[VALUE_BYTES];

	return key.at && key.len && o->endpoint && sticky_find(s->shared, d->facts.key.id, key.at, key.len, value) && !strcmp(value, o->endpoint->id);
}

/* Who answered is remembered for the next turn, where a plan asked for it. */
static void remember(struct policy_state *s, const struct decision *d, const struct outcome *o)
{
	const struct mg_str key = d->plan.sticky_key;

	if (key.at && key.len && o->endpoint && o->status >= 200 && o->status <= 299)
		sticky_put(s->shared, d->facts.key.id, key.at, key.len, o->endpoint->id, d->plan.sticky_ttl_s);
}

void policy_observe(struct policy_state *s, struct decision *d, const struct outcome *told)
{
	struct outcome copy = *told, *o = &copy;

	hook_begin(s, d);
	if (s->n_chain[HOOK_OBSERVE])
		o->sticky_hit = stuck(s, d, o);
	remember(s, d, o);
	EACH_ENTRY(s, HOOK_OBSERVE, e) {
		if (e->shadow)
			continue;
		hook_push(s, e, HOOK_OBSERVE);
		req_push(s, d);
		outcome_push(s, o);
		hook_call(s, d, e, HOOK_OBSERVE, 2, 0);
	}
	if (s->shadows)
		shadow_observe(s, d, o);
}
