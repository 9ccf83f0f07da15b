/*
 * limits: a filter that needs no call.  The sum of some whole numbers of the
 * request may not exceed a number of the endpoint, which is worked out once:
 *
 *	{ reason = "context", of = { "feat.prompt_tokens", "feat.max_tokens" }, most = function(ep, my) return ep.context_length end }
 */
#include "policy/fields.h"

enum { LIMITS_MAX = 8, OF_MAX = 4 };
struct limit { char reason[32], by[NAME_BYTES + 24]; struct part of[OF_MAX]; size_t n; unsigned score;
	uint64_t sum, stamp; };		/* of the decision at hand */

/* The list at the top: what is added up. */
static int of_take(struct policy_state *s, struct entry *e, struct limit *l)
{
	lua_State *L = s->L;
	int at = lua_gettop(L);

	for (lua_Integer i = 1; lua_istable(L, at) && lua_geti(L, at, i) != LUA_TNIL; i++) {
		struct part *p = &l->of[l->n];

		if (l->n == OF_MAX || lua_type(L, -1) != LUA_TSTRING || part_named(lua_tostring(L, -1), p) || p->field->kind != K_U64)
			return refuse(s, "%s.lua: limits: of lists up to %d whole numbers of req, such as \"feat.prompt_tokens\"", e->name, OF_MAX);
		l->n++;
		lua_settop(L, at);
	}
	return l->n ? 0 : refuse(s, "%s.lua: limits: each has a list `of` names such as \"feat.prompt_tokens\"", e->name);
}

/* The line at index at. */
static int limit_take(struct policy_state *s, struct entry *e, int at)
{
	lua_State *L = s->L;
	struct limit *l = &e->limits[e->n_limits];
	struct score *score = &e->scores[e->n_scores];
	lua_Debug ar;

	if (!lua_istable(L, at) || lua_getfield(L, at, "reason") != LUA_TSTRING || lua_rawlen(L, -1) >= sizeof(l->reason))
		return refuse(s, "%s.lua: limits: each is { reason = \"short\", of = { names }, most = function(ep, my) ... end }", e->name);
	snprintf(l->reason, sizeof(l->reason), "%s", lua_tostring(L, -1));
	lua_getfield(L, at, "of");
	if (of_take(s, e, l))
		return -1;
	if (lua_getfield(L, at, "most") != LUA_TFUNCTION)
		return refuse(s, "%s.lua: limits: '%s' has no function most(ep, my)", e->name, l->reason);
	if (e->n_scores == sizeof(e->scores) / sizeof(e->scores[0]) || s->n_scores == SCORES_MAX)
		return refuse(s, "%s.lua: more scores and limits than a bundle may have (%d)", e->name, SCORES_MAX);
	lua_pushvalue(L, -1);
	lua_getinfo(L, ">S", &ar);
	snprintf(l->by, sizeof(l->by), "%.*s:%d", NAME_BYTES, ar.short_src, ar.linedefined);
	snprintf(score->name, sizeof(score->name), "(limit)");
	score->fn = luaL_ref(L, LUA_REGISTRYINDEX);
	l->score = (unsigned)e->n_scores++;
	s->n_scores++;
	e->n_limits++;
	return 0;
}

int limits_take(struct policy_state *s, struct entry *e, int decl)
{
	lua_State *L = s->L;
	int type = lua_getfield(L, decl, "limits");

	if (type != LUA_TNIL && type != LUA_TTABLE)
		return refuse(s, "%s.lua: limits must be a list", e->name);
	for (lua_Integer i = 1; type == LUA_TTABLE && lua_geti(L, decl + 1, i) != LUA_TNIL; i++) {
		if (i > LIMITS_MAX || (!e->limits && !(e->limits = calloc(LIMITS_MAX, sizeof(*e->limits)))))
			return refuse(s, "%s.lua: more than %d limits", e->name, LIMITS_MAX);
		if (limit_take(s, e, decl + 2))
			return -1;
		lua_settop(L, decl + 1);
	}
	lua_settop(L, decl);
	return 0;
}

static uint64_t add_up(const struct limit *l, const struct facts *f)
{
	uint64_t sum = 0, n;

	for (size_t i = 0; i < l->n; i++) {
		memcpy(&n, (const char *)base_of(f, l->of[i].base) + l->of[i].field->at, sizeof(n));
		if (__builtin_add_overflow(sum, n, &sum))
			return UINT64_MAX;
	}
	return sum;
}

/* The same for each endpoint. */
static uint64_t sum_of(struct limit *l, const struct decision *d)
{
	if (l->stamp != d->stamp) {
		l->sum = add_up(l, &d->facts);
		l->stamp = d->stamp;
	}
	return l->sum;
}

static const char *dup(struct decision *d, const char *text)
{
	const char *copy = pool_dup(d->pool, (struct mg_str){ text, strlen(text) }).at;

	return copy ? copy : "";
}

struct verdict limit_of(struct policy_state *s, struct decision *d, struct entry *e, const struct candidate *c, struct cached *k)
{
	for (size_t i = 0; i < e->n_limits; i++) {
		struct limit *l = &e->limits[i];
		double most;

		if (k && k->scored & 1u << (e->score_at + l->score)) {
			most = k->score[e->score_at + l->score];
		} else if (k ? score_known(s, e, k, l->score, &most) : score_once(s, e, c, l->score, &most)) {
			hook_failed(s, d, e, HOOK_FILTER, s->error);
			return (struct verdict){ "policy_error", dup(d, l->by) };
		}
		if (!((double)sum_of(l, d) <= most))
			return (struct verdict){ dup(d, l->reason), dup(d, l->by) };
	}
	return (struct verdict){ NULL, NULL };
}

/* ---- in tests, where a request is a plain table */

static double test_number(lua_State *L, const char *name)
{
	const char *dot = strchr(name, '.');
	double n;

	if (dot) {
		lua_pushlstring(L, name, (size_t)(dot - name));
		lua_gettable(L, 1);
		lua_getfield(L, -1, dot + 1);
	} else {
		lua_getfield(L, 1, name);
	}
	n = luaL_checknumber(L, -1);
	lua_pop(L, dot ? 2 : 1);
	return n;
}

/* Upvalues: the list, my, the filter or nil.  Arguments: req, ep. */
static int filter_in_test(lua_State *L)
{
	lua_settop(L, 2);
	for (lua_Integer i = 1; lua_geti(L, lua_upvalueindex(1), i) != LUA_TNIL; i++) {
		double sum = 0, most;

		lua_getfield(L, 3, "of");
		for (lua_Integer k = 1; lua_geti(L, 4, k) != LUA_TNIL; k++) {
			sum += test_number(L, luaL_checkstring(L, -1));
			lua_settop(L, 4);
		}
		lua_getfield(L, 3, "most");
		lua_pushvalue(L, 2);
		lua_pushvalue(L, lua_upvalueindex(2));
		lua_call(L, 2, 1);
		most = luaL_checknumber(L, -1);
		if (!(sum <= most)) {
			lua_pushboolean(L, 0);
			lua_getfield(L, 3, "reason");
			return 2;
		}
		lua_settop(L, 2);
	}
	lua_pushboolean(L, 1);
	if (lua_isnil(L, lua_upvalueindex(3)))
		return 1;
	lua_settop(L, 2);
	lua_pushvalue(L, lua_upvalueindex(3));
	lua_insert(L, 1);
	lua_call(L, 2, 2);
	return 2;
}

void limits_wrap(lua_State *L, int decl, int my)
{
	int filter = lua_gettop(L);

	if (lua_getfield(L, decl, "limits") != LUA_TTABLE) {
		lua_settop(L, filter);
		return;
	}
	lua_pushvalue(L, my);
	lua_pushvalue(L, filter);
	lua_pushcclosure(L, filter_in_test, 3);
	lua_replace(L, filter);
}
