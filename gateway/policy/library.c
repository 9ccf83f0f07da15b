/*
 * The language as policies have it: base, math and table.  Everything is linear
 * in what it reads, and pays for it: a helper that could run long burns fuel
 * before it does.
 */
#include <lualib.h>
#include "policy/state.h"

/* ---- base */

static int l_assert(lua_State *L)
{
	if (lua_toboolean(L, 1))
		return lua_gettop(L);
	luaL_checkany(L, 1);
	lua_remove(L, 1);
	lua_pushliteral(L, "assertion failed!");
	lua_settop(L, 1);
	return lua_error(L);
}

static int l_error(lua_State *L)
{
	int level = (int)luaL_optinteger(L, 2, 1);

	lua_settop(L, 1);
	if (lua_type(L, 1) == LUA_TSTRING && level > 0) {
		luaL_where(L, level);
		lua_insert(L, 1);
		lua_concat(L, 2);
	}
	return lua_error(L);
}

static int each_index(lua_State *L)
{
	lua_Integer i = luaL_checkinteger(L, 2) + 1;

	lua_pushinteger(L, i);
	return lua_geti(L, 1, i) == LUA_TNIL ? 1 : 2;
}

static int l_ipairs(lua_State *L)
{
	luaL_argcheck(L, table_at(L, 1), 1, "table expected");
	lua_pushcfunction(L, each_index);
	lua_pushvalue(L, 1);
	lua_pushinteger(L, 0);
	return 3;
}

static int each_pair(lua_State *L)
{
	lua_Integer i = lua_tointeger(L, lua_upvalueindex(3)) + 1;

	lua_pushinteger(L, i);
	lua_replace(L, lua_upvalueindex(3));
	if (lua_rawgeti(L, lua_upvalueindex(1), i) == LUA_TNIL)
		return 1;
	lua_pushvalue(L, -1);
	lua_rawget(L, lua_upvalueindex(2));
	return 2;
}

static int l_pairs(lua_State *L)
{
	keys_push(L, "pairs");
	lua_pushvalue(L, 2);
	lua_pushvalue(L, 1);
	lua_pushinteger(L, 0);
	lua_pushcclosure(L, each_pair, 3);
	return 1;
}

static int l_type(lua_State *L)
{
	luaL_checkany(L, 1);
	lua_pushstring(L, kind_name(L, 1));
	return 1;
}

/* No addresses: they differ from one run to the next. */
void plain_text(lua_State *L, int i)
{
	switch (lua_type(L, i)) {
	case LUA_TNIL: case LUA_TBOOLEAN: case LUA_TNUMBER: case LUA_TSTRING:
		luaL_tolstring(L, i, NULL);
		break;
	default:
		lua_pushstring(L, kind_name(L, i));
	}
}

static int l_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	plain_text(L, 1);
	return 1;
}

static int l_select(lua_State *L)
{
	int n = lua_gettop(L);
	lua_Integer i;

	if (lua_type(L, 1) == LUA_TSTRING && *lua_tostring(L, 1) == '#') {
		lua_pushinteger(L, n - 1);
		return 1;
	}
	i = luaL_checkinteger(L, 1);
	if (i < 0)
		i = n + i;
	luaL_argcheck(L, i >= 1, 1, "index out of range");
	return i >= n ? 0 : n - (int)i;
}

static int l_tonumber(lua_State *L)
{
	const char *text;
	size_t len;

	if (lua_type(L, 1) == LUA_TNUMBER) {
		lua_settop(L, 1);
		return 1;
	}
	text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &len) : NULL;
	if (!text || lua_stringtonumber(L, text) != len + 1)
		lua_pushnil(L);
	return 1;
}

static int l_policy(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_pushvalue(L, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, "declared");
	return 1;
}

/* ---- math: the library's own functions, without the random ones */

static void pick(lua_State *L, int names, const char *group, lua_CFunction open, const char *const *want)
{
	lua_pushcfunction(L, open);
	lua_call(L, 0, 1);
	lua_newtable(L);
	for (; *want; want++) {
		lua_getfield(L, -2, *want);
		lua_setfield(L, -2, *want);
	}
	proxy_push(L, SIGHT_PLAIN);
	lua_setfield(L, names, group);
	lua_pop(L, 1);
}

/* ---- table: the library's, behind a meter: one call may move a whole table */

static int metered(lua_State *L)
{
	lua_CFunction f = lua_tocfunction(L, lua_upvalueindex(1));
	lua_Integer weight = lua_tointeger(L, lua_upvalueindex(2));

	luaL_argcheck(L, table_at(L, 1), 1, "table expected");
	burn(L, (size_t)luaL_len(L, 1) * (size_t)weight / 4 + 1);
	return f(L);
}

/* Is the second of the two on top to be before the first?  Both are gone then. */
static bool comes_before(lua_State *L, bool by)
{
	bool before;

	if (by) {
		lua_pushvalue(L, 2);
		lua_insert(L, -3);
		lua_insert(L, -2);
		lua_call(L, 2, 1);
		before = lua_toboolean(L, -1);
		lua_pop(L, 1);
		return before;
	}
	before = lua_compare(L, -1, -2, LUA_OPLT);
	lua_pop(L, 2);
	return before;
}

/* [lo, mid) and [mid, hi) of the table at 3 become one in the table at 4. */
static void merge_runs(lua_State *L, bool by, lua_Integer lo, lua_Integer mid, lua_Integer hi)
{
	lua_Integer a = lo, b = mid;

	for (lua_Integer i = lo; i < hi; i++) {
		bool right = a >= mid;

		if (!right && b < hi) {
			lua_rawgeti(L, 3, a);
			lua_rawgeti(L, 3, b);
			right = comes_before(L, by);
		}
		lua_rawgeti(L, 3, right ? b++ : a++);
		lua_rawseti(L, 4, i);
	}
}

/* The library's own draws its pivots by the clock where a list is long, so that what is equal came out in any
 * order, for any fuel.  This one is stable, and the same each time. */
static int l_sort(lua_State *L)
{
	lua_Integer n;
	bool by;

	luaL_argcheck(L, table_at(L, 1), 1, "table expected");
	n = luaL_len(L, 1);
	by = !lua_isnoneornil(L, 2);
	if (by)
		luaL_checktype(L, 2, LUA_TFUNCTION);
	burn(L, (size_t)n * 8 + 1);
	lua_settop(L, 2);
	lua_createtable(L, n < 1000 ? (int)n : 1000, 0);
	lua_createtable(L, n < 1000 ? (int)n : 1000, 0);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, 1, i);
		lua_rawseti(L, 3, i);
	}
	for (lua_Integer w = 1; w < n; w *= 2) {
		for (lua_Integer lo = 1; lo <= n; lo += 2 * w)
			merge_runs(L, by, lo, lo + w < n + 1 ? lo + w : n + 1, lo + 2 * w < n + 1 ? lo + 2 * w : n + 1);
		lua_insert(L, 3);	/* from and to change places */
	}
	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, 3, i);
		lua_seti(L, 1, i);
	}
	return 0;
}

static int l_unpack(lua_State *L)
{
	lua_Integer from = luaL_optinteger(L, 2, 1), to;

	luaL_argcheck(L, table_at(L, 1), 1, "table expected");
	to = luaL_opt(L, luaL_checkinteger, 3, luaL_len(L, 1));
	if (from > to)
		return 0;
	if ((lua_Unsigned)to - (lua_Unsigned)from >= 200)
		return luaL_error(L, "table.unpack: more than 200 values");
	luaL_checkstack(L, 210, "table.unpack");
	for (lua_Integer i = from; i < to; i++)
		lua_geti(L, 1, i);
	lua_geti(L, 1, to);
	return (int)(to - from) + 1;
}

static void table_library(lua_State *L, int names)
{
	static const struct { const char *name; int weight; } want[] = {
		{ "concat", 1 }, { "insert", 1 }, { "remove", 1 } };

	lua_pushcfunction(L, luaopen_table);
	lua_call(L, 0, 1);
	lua_newtable(L);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		lua_getfield(L, -2, want[i].name);
		lua_pushinteger(L, want[i].weight);
		lua_pushcclosure(L, metered, 2);
		lua_setfield(L, -2, want[i].name);
	}
	lua_pushcfunction(L, l_sort);
	lua_setfield(L, -2, "sort");
	lua_pushcfunction(L, l_unpack);
	lua_setfield(L, -2, "unpack");
	proxy_push(L, SIGHT_PLAIN);
	lua_setfield(L, names, "table");
	lua_pop(L, 1);
}

void library_open(lua_State *L, int names)
{
	static const luaL_Reg base[] = { { "assert", l_assert }, { "error", l_error }, { "ipairs", l_ipairs }, { "pairs", l_pairs },
		{ "select", l_select }, { "tonumber", l_tonumber }, { "tostring", l_tostring }, { "type", l_type },
		{ "policy", l_policy }, { NULL, NULL } };
	static const char *const maths[] = { "abs", "ceil", "floor", "huge", "log", "max", "maxinteger", "min", "sqrt", "tointeger", "type", NULL };

	lua_pushvalue(L, names);
	luaL_setfuncs(L, base, 0);
	lua_pop(L, 1);
	pick(L, names, "math", luaopen_math, maths);
	table_library(L, names);
	strings_open(L, names);
}
