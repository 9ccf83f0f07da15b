/*
 * Scores: numbers of an endpoint that no request changes, which a policy names
 * (`scores = { price = function(ep, my) ... end }`), and rank.by and rank.pick
 * look up.  Worked out once in a catalogue and a state.
 */
#include "policy/state.h"

enum { SCORE_FUEL = 2000, SCORE_BYTES = 64 << 10 };

int scores_take(struct policy_state *s, struct entry *e, int decl)
{
	lua_State *L = s->L;
	int type = lua_getfield(L, decl, "scores");

	e->score_at = s->n_scores;
	if (type != LUA_TNIL && type != LUA_TTABLE)
		return refuse(s, "%s.lua: scores must be a table of functions (ep, my)", e->name);
	if (type == LUA_TTABLE)
		lua_pushnil(L);
	while (type == LUA_TTABLE && lua_next(L, decl + 1)) {
		struct score *score = &e->scores[e->n_scores];
		const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";

		if (!*name || strchr(name, '.') || strlen(name) >= sizeof(score->name) || !lua_isfunction(L, -1))
			return refuse(s, "%s.lua: scores.%s: it holds functions (ep, my) by short names without a dot", e->name, name);
		if (e->n_scores == sizeof(e->scores) / sizeof(e->scores[0]) || s->n_scores == SCORES_MAX)
			return refuse(s, "%s.lua: more than %d scores", e->name, s->n_scores == SCORES_MAX ? SCORES_MAX : (int)e->n_scores);
		snprintf(score->name, sizeof(score->name), "%s", name);
		score->fn = luaL_ref(L, LUA_REGISTRYINDEX);
		e->n_scores++;
		s->n_scores++;
	}
	lua_settop(L, decl);
	return 0;
}

static double number_of(lua_State *L, const char *name)
{
	int number;
	double x = lua_tonumberx(L, -1, &number);

	if (!number)
		luaL_error(L, "score '%s' must be a number, not %s", name, kind_name(L, -1));
	lua_pop(L, 1);
	return x;
}

/* What lies on top is called with the item and my. */
static double call(lua_State *L, int item, int my, const char *name)
{
	lua_pushvalue(L, item);
	lua_rawgeti(L, LUA_REGISTRYINDEX, my);
	lua_call(L, 2, 1);
	return number_of(L, name);
}

/* A test's own endpoints change as the test likes: nothing is kept. */
static double in_test(lua_State *L, int item, const char *name)
{
	lua_getfield(L, LUA_REGISTRYINDEX, "scores");
	if (!lua_istable(L, -1) || lua_getfield(L, -1, name) != LUA_TFUNCTION)
		luaL_error(L, "the policy has no score '%s'", name);
	lua_remove(L, -2);
	lua_pushvalue(L, item);
	lua_getfield(L, LUA_REGISTRYINDEX, "scores my");
	lua_call(L, 2, 1);
	return number_of(L, name);
}

/* The number on top, or what became of it. */
static int taken(struct policy_state *s, const struct entry *e, unsigned i, double *out)
{
	int number;

	*out = lua_tonumberx(s->L, -1, &number);
	lua_pop(s->L, 1);
	return number ? 0 : refuse(s, "score '%s' must be a number", e->scores[i].name);
}

int score_known(struct policy_state *s, const struct entry *e, struct cached *c, unsigned i, double *out)
{
	bool impure = s->impure;
	int rc;

	s->impure = false;
	live_hide(s, c);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, e->scores[i].fn);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, c->eye);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, e->my);
	rc = sandbox_call(s, 2, 1, SCORE_FUEL, SCORE_BYTES);
	live_unhide(s, c);
	if (!rc)
		rc = taken(s, e, i, out);
	if (!rc && !s->impure) {
		c->score[e->score_at + i] = *out;
		c->scored |= 1u << (e->score_at + i);
	}
	s->impure |= impure;
	return rc;
}

int score_once(struct policy_state *s, const struct entry *e, const struct candidate *c, unsigned i, double *out)
{
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, e->scores[i].fn);
	endpoint_push(s, c->endpoint, &c->live);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, e->my);
	return sandbox_call(s, 2, 1, SCORE_FUEL, SCORE_BYTES) ? -1 : taken(s, e, i, out);
}

int score_named(lua_State *L, const char *name)
{
	const struct entry *e = state_of(L)->entry;

	for (unsigned i = 0; e && i < e->n_scores; i++)
		if (!strcmp(e->scores[i].name, name))
			return (int)i;
	return e ? luaL_error(L, "the policy has no score '%s'", name) : 0;
}

double score_of(lua_State *L, int item, const char *name, int i)
{
	struct policy_state *s = state_of(L);
	struct proxy *p = proxy_at(L, item);
	struct cached *c;
	double x;

	if (!s->entry)
		return in_test(L, item, name);
	c = p && p->kind == SIGHT_ENDPOINT ? endpoint_cached(s, p->endpoint) : NULL;
	if (c && c->scored & 1u << (s->entry->score_at + (unsigned)i))
		return c->score[s->entry->score_at + (unsigned)i];
	if (c) {
		if (score_known(s, s->entry, c, (unsigned)i, &x))
			luaL_error(L, "%s", s->error);
		return x;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->entry->scores[i].fn);	/* of an older catalogue */
	return call(L, item, s->entry->my, name);
}
