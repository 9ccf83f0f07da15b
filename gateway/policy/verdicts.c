/*
 * What a policy says of one endpoint, and how little is asked for it: `when`
 * says once in a catalogue whether the endpoint concerns a hook at all, limits
 * are compared without a call, and a filter's verdict may be remembered.
 */
#include "policy/state.h"

enum { WHEN_FUEL = 2000, REASON_BYTES = 64 };

/* `live` of the endpoint at hand: upvalue 1 is the sight itself. */
static int live_index(lua_State *L)
{
	struct policy_state *s = state_of(L);

	s->impure = true;
	s->read_of = "ep";
	s->read = "live";
	lua_getfield(L, LUA_REGISTRYINDEX, "live of");
	lua_pushvalue(L, 2);
	lua_gettable(L, -2);
	return 1;
}

void live_hide(struct policy_state *s, const struct cached *c)
{
	lua_State *L = s->L;

	lua_rawgeti(L, LUA_REGISTRYINDEX, c->eye);
	luaL_getmetafield(L, -1, "__index");
	lua_getfield(L, -1, "live");
	lua_setfield(L, LUA_REGISTRYINDEX, "live of");
	if (s->live_view == LUA_NOREF) {
		view_make(L, live_index, NULL, 0, NULL);
		s->live_view = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->live_view);
	lua_setfield(L, -2, "live");
	lua_pop(L, 2);
}

void live_unhide(struct policy_state *s, const struct cached *c)
{
	lua_State *L = s->L;

	lua_rawgeti(L, LUA_REGISTRYINDEX, c->eye);
	luaL_getmetafield(L, -1, "__index");
	lua_getfield(L, LUA_REGISTRYINDEX, "live of");
	lua_setfield(L, -2, "live");
	lua_pop(L, 2);
	lua_pushboolean(L, 0);	/* a view that was kept shows nothing any more */
	lua_setfield(L, LUA_REGISTRYINDEX, "live of");
}

/* ---- when */

bool concerns(struct policy_state *s, struct decision *d, struct entry *e, enum hook h, const struct endpoint *endpoint)
{
	uint64_t bit = 1ull << (e - s->entries);
	struct cached *c;
	bool yes = true, failed;

	if (e->when[h] == LUA_NOREF || !(c = endpoint_cached(s, endpoint)))
		return true;
	if (c->asked[h] & bit)
		return c->concerned[h] & bit;
	s->impure = false;
	live_hide(s, c);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, e->when[h]);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, c->eye);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, e->my);
	s->hook = h;
	failed = sandbox_call(s, 2, 1, WHEN_FUEL, 64 << 10);
	s->hook = HOOK_NONE;
	live_unhide(s, c);
	if (failed) {
		hook_failed(s, d, e, h, s->error);	/* so it does concern it */
		return true;
	}
	yes = lua_toboolean(s->L, -1);
	lua_pop(s->L, 1);
	if (s->impure) {
		hook_failed(s, d, e, h, "when may depend on what does not change alone: neither live nor shared state");
		return true;
	}
	c->asked[h] |= bit;
	if (yes)
		c->concerned[h] |= bit;
	return yes;
}

/* ---- verdicts */

static const char *dup(struct decision *d, const char *text)
{
	const char *copy = pool_dup(d->pool, (struct mg_str){ text, strlen(text) }).at;

	return copy ? copy : "";
}

static int ask(struct policy_state *s, struct decision *d, struct entry *e, const struct candidate *c, bool remember)
{
	hook_push(s, e, HOOK_FILTER);
	if (remember)
		memo_view(s, e->memo[HOOK_FILTER]);
	else
		req_push(s, d);
	endpoint_push(s, c->endpoint, &c->live);
	return hook_call(s, d, e, HOOK_FILTER, 2, 2);
}

/* The filter said no: it is asked again, to see at which line.  Only its first answer counts. */
static const char *line_of(struct policy_state *s, struct decision *d, struct entry *e, const struct candidate *c)
{
	bool impure = s->impure;
	char text[NAME_BYTES + 24];

	s->line = 0;
	s->again = s->tracing = true;
	if (!ask(s, d, e, c, false))
		lua_pop(s->L, 2);
	s->again = s->tracing = false;
	s->impure = impure;
	if (!s->line)
		return dup(d, e->at[HOOK_FILTER]);
	snprintf(text, sizeof(text), "%s:%d", s->file, s->line);
	return dup(d, text);
}

/* The reason on top, as clients and records read it. */
static const char *reason(const struct policy_state *s, struct decision *d)
{
	char code[REASON_BYTES];
	size_t len;
	const char *text = lua_type(s->L, -1) == LUA_TSTRING ? lua_tolstring(s->L, -1, &len) : NULL;

	if (!text)
		return "filtered";
	words_plain(text, len, code, sizeof(code));
	return dup(d, code);
}

static struct verdict run(struct policy_state *s, struct decision *d, struct entry *e, const struct candidate *c, bool remember)
{
	lua_State *L = s->L;
	struct verdict v = { "policy_error", dup(d, e->at[HOOK_FILTER]) };

	if (ask(s, d, e, c, remember)) {
		s->impure = true;
		return v;
	}
	if (!lua_isboolean(L, -2)) {	/* a forgotten `return true` must be loud */
		hook_failed(s, d, e, HOOK_FILTER, "filter must return true or false, not something else");
		s->impure = true;
	} else if (lua_toboolean(L, -2)) {
		v = (struct verdict){ NULL, NULL };
	} else {
		v.why = reason(s, d);
		v.by = line_of(s, d, e, c);
	}
	lua_pop(L, 2);
	return v;
}

/* In the table of endpoints, where what is known of it is; NULL: of an older catalogue. */
struct cached *candidate_known(struct policy_state *s, const struct candidate *c)
{
	struct cached *k = endpoint_cached(s, c->endpoint);

	if (k)
		return k;
	endpoint_push(s, c->endpoint, &c->live);
	lua_pop(s->L, 1);
	return endpoint_cached(s, c->endpoint);
}

struct verdict verdict_of(struct policy_state *s, struct decision *d, struct entry *e, const struct candidate *c)
{
	struct memo *m = e->memo[HOOK_FILTER];
	unsigned kept = UNASKED;
	struct cached *k = m || e->n_limits || e->when[HOOK_FILTER] != LUA_NOREF ? candidate_known(s, c) : NULL;
	struct verdict v = { NULL, NULL };

	if (k && k->owner)
		m = NULL;	/* by its number it is another one */
	if (m && k)
		kept = memo_look(s, d, m, c->endpoint->index);
	if (e->n_limits && (v = limit_of(s, d, e, c, k)).why)
		return v;
	if (e->fn[HOOK_FILTER] == LUA_NOREF || (kept == KEEPS && k))
		return v;
	if (kept >= REASON && k)
		return (struct verdict){ dup(d, s->reasons[kept - REASON].code), dup(d, s->reasons[kept - REASON].by) };
	if (!concerns(s, d, e, HOOK_FILTER, c->endpoint))
		return v;
	if (!m || !k || !s->remembers)
		return run(s, d, e, c, false);
	live_hide(s, k);
	v = run(s, d, e, c, true);
	live_unhide(s, k);
	if (!s->impure)
		memo_keep(s, d, m, c->endpoint->index, v.why ? reason_number(s, &v) : KEEPS);
	else
		memo_false(s, d, e);
	return v;
}
