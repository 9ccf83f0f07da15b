/*
 * rank.*: new lists from lists of endpoints; whatever is equal keeps its order.
 */
#include <math.h>
#include "policy/state.h"

static lua_Integer length(lua_State *L, int i)
{
	lua_Integer n;

	luaL_argcheck(L, table_at(L, i), i, "list expected");
	n = luaL_len(L, i);
	luaL_argcheck(L, n >= 0 && n <= 100000, i, "list of more than 100000");
	burn(L, (size_t)n);
	return n;
}

static double call_number(lua_State *L, int fn, int list, lua_Integer i, double missing)
{
	double x = missing;

	lua_pushvalue(L, fn);
	lua_geti(L, list, i);
	lua_call(L, 1, 1);
	if (!lua_isnil(L, -1)) {
		int number;

		x = lua_tonumberx(L, -1, &number);
		if (!number)
			luaL_error(L, "a number expected from the function, got %s", kind_name(L, -1));
	}
	lua_pop(L, 1);
	return x;
}

struct keyed { double key; int at; };

static int up(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key || (x->key == x->key && y->key != y->key) ? -1 : 1;	/* NaN last */
	return x->at - y->at;
}

static int down(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;

	if (x->key != y->key)
		return x->key > y->key || (x->key == x->key && y->key != y->key) ? -1 : 1;
	return x->at - y->at;
}

/* by(eps, key, dir): without a key an endpoint comes last. */
static int by(lua_State *L)
{
	lua_Integer n = length(L, 1);
	bool desc = lua_isstring(L, 3) && !strcmp(lua_tostring(L, 3), "desc");
	struct keyed *keys;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 3);
	keys = lua_newuserdatauv(L, sizeof(*keys) * (size_t)n + 1, 0);	/* collected whatever the function raises */
	for (lua_Integer i = 0; i < n; i++)
		keys[i] = (struct keyed){ call_number(L, 2, 1, i + 1, desc ? -INFINITY : INFINITY), (int)i };
	burn(L, (size_t)n * 4);
	qsort(keys, (size_t)n, sizeof(*keys), desc ? down : up);
	lua_createtable(L, (int)n, 0);
	for (lua_Integer i = 0; i < n; i++) {
		lua_geti(L, 1, keys[i].at + 1);
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}

/* Leaves the two lists on the stack: with, without. */
static void parted(lua_State *L)
{
	lua_Integer n = length(L, 1), yes = 0, no = 0;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_createtable(L, (int)n, 0);
	lua_createtable(L, 0, 0);
	for (lua_Integer i = 1; i <= n; i++) {
		bool in;

		lua_geti(L, 1, i);
		lua_pushvalue(L, 2);
		lua_pushvalue(L, -2);
		lua_call(L, 1, 1);
		in = lua_toboolean(L, -1);
		lua_pop(L, 1);
		lua_rawseti(L, in ? 3 : 4, in ? ++yes : ++no);
	}
}

static int split(lua_State *L)
{
	parted(L);
	return 2;
}

static void append(lua_State *L, int from, int to)
{
	lua_Integer n = length(L, from), at = (lua_Integer)lua_rawlen(L, to);

	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, from, i);
		lua_rawseti(L, to, ++at);
	}
}

static int join(lua_State *L)
{
	int n = lua_gettop(L);

	luaL_checkstack(L, 4, "rank.join");
	lua_newtable(L);
	for (int i = 1; i <= n; i++)
		append(L, i, n + 1);
	return 1;
}

static int first(lua_State *L)
{
	parted(L);
	append(L, 4, 3);
	lua_settop(L, 3);
	return 1;
}

static int last(lua_State *L)
{
	parted(L);
	append(L, 3, 4);
	return 1;
}

/* pick(eps, weight, u): the index of a weighted draw. */
static int pick(lua_State *L)
{
	lua_Integer n = length(L, 1);
	double u = luaL_checknumber(L, 3), sum = 0, x, *weights;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	luaL_argcheck(L, n > 0, 1, "the list is empty");
	weights = lua_newuserdatauv(L, sizeof(*weights) * (size_t)n, 0);
	for (lua_Integer i = 0; i < n; i++) {
		weights[i] = call_number(L, 2, 1, i + 1, 0);
		if (!(weights[i] >= 0) || isinf(weights[i]))
			return luaL_error(L, "rank.pick: a weight is negative or not finite");
		sum += weights[i];
	}
	x = u * sum;
	for (lua_Integer i = 0; i < n; i++) {
		x -= weights[i];
		if (x < 0) {
			lua_pushinteger(L, i + 1);
			return 1;
		}
	}
	lua_pushinteger(L, n);
	return 1;
}

/* groups(eps, key): a list of lists, in the order in which keys are first seen. */
static int groups(lua_State *L)
{
	lua_Integer n = length(L, 1), count = 0;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_newtable(L);	/* 3: the answer */
	lua_newtable(L);	/* 4: key -> list */
	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, 1, i);
		lua_pushvalue(L, 2);
		lua_pushvalue(L, -2);
		lua_call(L, 1, 1);
		if (lua_isnil(L, -1))
			return luaL_error(L, "rank.groups: no key for item %d", (int)i);
		lua_pushvalue(L, -1);
		if (lua_rawget(L, 4) == LUA_TNIL) {
			lua_pop(L, 1);
			lua_newtable(L);
			lua_pushvalue(L, -1);
			lua_rawseti(L, 3, ++count);
			lua_pushvalue(L, -2);
			lua_pushvalue(L, -2);
			lua_rawset(L, 4);
		}
		lua_pushvalue(L, -3);
		lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
		lua_settop(L, 4);
	}
	lua_settop(L, 3);
	return 1;
}

void ranking_open(lua_State *L, int names)
{
	static const luaL_Reg fns[] = { { "by", by }, { "split", split }, { "join", join }, { "first", first }, { "last", last },
		{ "pick", pick }, { "groups", groups }, { NULL, NULL } };

	group_open(L, names, "rank", fns);
}
