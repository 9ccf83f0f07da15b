/*
 * The keys of tables, in an order that is the same in every state: a table's own differs
 * between them (R66 of replay).  And which of them a mistyped one may mean.
 */
#include "base/config.h"
#include "policy/state.h"

enum { ORDERED = 1u << LUA_TNUMBER | 1u << LUA_TSTRING | 1u << LUA_TBOOLEAN };

lua_Integer keys_of(lua_State *L, int i, unsigned *types)
{
	lua_Integer n = 0;
	int list;

	*types = 0;
	lua_newtable(L);
	list = lua_gettop(L);
	lua_pushnil(L);
	while (lua_next(L, i)) {
		*types |= 1u << lua_type(L, -2);
		lua_pop(L, 1);
		lua_pushvalue(L, -1);
		lua_rawseti(L, list, ++n);
		burn(L, 8);
	}
	return n;
}

/* Numbers before strings before booleans, each in its order. */
static bool key_before(lua_State *L, int a, int b)
{
	int ta = lua_type(L, a), tb = lua_type(L, b);

	if (ta != tb)
		return ta == LUA_TNUMBER || (ta == LUA_TSTRING && tb == LUA_TBOOLEAN);
	return ta == LUA_TBOOLEAN ? lua_toboolean(L, a) < lua_toboolean(L, b) : lua_compare(L, a, b, LUA_OPLT);
}

/* Merges the keys at [lo, mid) and [mid, hi) of table `at` through table `by`. */
static void merge_keys(lua_State *L, int at, int by, lua_Integer lo, lua_Integer mid, lua_Integer hi)
{
	lua_Integer a = lo, b = mid;

	for (lua_Integer i = lo; i < hi; i++) {
		bool right = a >= mid;

		if (!right && b < hi) {
			lua_rawgeti(L, at, b);
			lua_rawgeti(L, at, a);
			right = key_before(L, -2, -1);
			lua_pop(L, 2);
		}
		lua_rawgeti(L, at, right ? b++ : a++);
		lua_rawseti(L, by, i);
	}
	for (lua_Integer i = lo; i < hi; i++) {
		lua_rawgeti(L, by, i);
		lua_rawseti(L, at, i);
	}
}

/* Bottom-up, so that the C stack stays flat. */
void keys_sort(lua_State *L, int at, lua_Integer n)
{
	if (n < 2)
		return;
	lua_createtable(L, (int)n, 0);
	for (lua_Integer w = 1; w < n; w *= 2)
		for (lua_Integer lo = 1; lo + w <= n; lo += 2 * w)
			merge_keys(L, at, lua_gettop(L), lo, lo + w, lo + 2 * w <= n + 1 ? lo + 2 * w : n + 1);
	lua_pop(L, 1);
}

lua_Integer keys_sorted(lua_State *L, int i)
{
	unsigned types;
	lua_Integer n = keys_of(L, i, &types);

	keys_sort(L, lua_gettop(L), n);
	return n;
}

/* What is a key by its address alone has no order that is the same in another state. */
static void no_order(lua_State *L, const char *function)
{
	int type;

	for (lua_Integer i = 1; (type = lua_rawgeti(L, 2, i)) != LUA_TNIL; i++) {
		if (!(ORDERED & 1u << type))
			luaL_error(L, "%s: a key is a %s, which has no order; use its id or name", function, kind_name(L, -1));
		lua_pop(L, 1);
	}
}

void keys_push(lua_State *L, const char *function)
{
	lua_Integer n;
	unsigned types;

	luaL_argcheck(L, table_at(L, 1), 1, "table expected");
	bare_push(L, 1);
	lua_replace(L, 1);
	lua_settop(L, 1);
	n = keys_of(L, 1, &types);
	if (types & ~ORDERED)
		no_order(L, function);
	keys_sort(L, 2, n);
}

/* ---- which one is meant? */

static const char *nth(const void *arg, size_t i)
{
	lua_State *L = (lua_State *)arg;	/* the list is on top */
	const char *name = lua_rawgeti(L, -1, (lua_Integer)i + 1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;

	lua_pop(L, 1);
	return name;
}

const char *keys_nearest(lua_State *L, int i, const char *word)
{
	const char *like;

	keys_sorted(L, i);
	like = config_nearest(word, nth, L);
	lua_pop(L, 1);
	return like;
}

const char *meant(const char *like, char out[static MEANT_BYTES])
{
	if (like)
		snprintf(out, MEANT_BYTES, "; did you mean '%.60s'?", like);
	else
		*out = '\0';
	return out;
}
