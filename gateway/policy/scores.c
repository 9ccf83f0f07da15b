/*
 * Scores: numbers of an endpoint that no request changes, which a policy names
 * (`scores = { price = function(ep, my) ... end }`), and rank.by and rank.pick
 * look up.  Worked out once in a catalogue and a state.
 */
#include "policy/state.h"

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

		if (!*name || strlen(name) >= sizeof(score->name) || !lua_isfunction(L, -1))
			return refuse(s, "%s.lua: scores.%s: it holds functions (ep, my) by short names", e->name, name);
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

static double work_out(lua_State *L, struct policy_state *s, struct cached *c, int item, unsigned i)
{
	const struct score *score = &s->entry->scores[i];
	bool impure = s->impure;
	double x;
	int rc;

	s->impure = false;
	live_hide(s, c);
	lua_rawgeti(L, LUA_REGISTRYINDEX, score->fn);
	lua_pushvalue(L, item);
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->entry->my);
	rc = lua_pcall(L, 2, 1, 0);
	live_unhide(s, c);
	if (!rc && !s->impure)
		c->scored |= 1u << (s->entry->score_at + i);
	s->impure |= impure;
	if (rc)
		lua_error(L);
	x = number_of(L, score->name);
	c->score[s->entry->score_at + i] = x;
	return x;
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

	if (!s->entry)
		return in_test(L, item, name);
	c = p && p->kind == SIGHT_ENDPOINT ? endpoint_cached(s, p->endpoint) : NULL;
	if (c && c->scored & 1u << (s->entry->score_at + (unsigned)i))
		return c->score[s->entry->score_at + (unsigned)i];
	if (c)
		return work_out(L, s, c, item, (unsigned)i);
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->entry->scores[i].fn);	/* of an older catalogue */
	return call(L, item, s->entry->my, name);
}
