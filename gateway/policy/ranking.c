/*
 * rank.*: new lists from lists of endpoints (sort and lead: the list itself);
 * whatever is equal keeps its order.
 */
#include <math.h>
#include "policy/columns.h"

/* A key for each of the first n items: in few, or where there are more in memory on top of the stack. */
static struct keyed *measure_keys(lua_State *L, const struct ruler *r, lua_Integer n, double missing, struct keyed few[static FEW])
{
	struct keyed *keys = few;

	if (n > FEW)
		keys = lua_newuserdatauv(L, sizeof(*keys) * (size_t)n, 0);	/* collected whatever the function raises */
	measure(L, r, n, missing, &keys->key, sizeof(*keys) / sizeof(double));	/* every second double of them */
	for (lua_Integer i = 0; i < n; i++)
		keys[i].at = (int)i;
	return keys;
}

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

/* A handful, mostly in order already. */
static void sort(struct keyed *keys, size_t n, int (*compare)(const void *, const void *))
{
	if (n > FEW) {
		qsort(keys, n, sizeof(*keys), compare);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		struct keyed moved = keys[i];
		size_t k = i;

		for (; k && compare(&keys[k - 1], &moved) > 0; k--)
			keys[k] = keys[k - 1];
		keys[k] = moved;
	}
}

/* The items of the list at 1, in this order, into the table at to, which may be the same. */
static void place(lua_State *L, const struct keyed *keys, lua_Integer n, int to)
{
	luaL_checkstack(L, (int)n + 4, "too many to sort");
	for (lua_Integer i = 0; i < n; i++)
		lua_geti(L, 1, keys[i].at + 1);
	for (lua_Integer i = n; i > 0; i--)
		lua_rawseti(L, to, i);
}

/* The list at 1 in the order of the keys, into the table at to, which may be the same. */
static void order_by(lua_State *L, int to)
{
	lua_Integer n = list_length(L, 1);
	static const char *const dirs[] = { "asc", "desc", NULL };
	bool desc = luaL_checkoption(L, 3, "asc", dirs) == 1;
	struct ruler r = ruler_at(L, 2, 1);
	struct keyed few[FEW], *keys;
	int top = lua_gettop(L);

	keys = measure_keys(L, &r, n, desc ? -INFINITY : INFINITY, few);
	burn(L, (size_t)n * 4);
	sort(keys, (size_t)n, desc ? down : up);
	place(L, keys, n, to);
	lua_settop(L, top);
}

/* by(eps, key, dir): key is what measures an endpoint, see columns.h; without a key an endpoint comes last. */
static int by(lua_State *L)
{
	lua_settop(L, 3);
	lua_createtable(L, (int)list_length(L, 1), 0);
	order_by(L, 4);
	return 1;
}

/* sort(eps, key, dir): the same, in place. */
static int sort_in_place(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 3);
	order_by(L, 1);
	lua_settop(L, 1);
	return 1;
}

/* (eps, predicate, arg): leaves the two lists at 4 and 5, with and without. */
static void parted(lua_State *L)
{
	lua_Integer n = list_length(L, 1), yes = 0, no = 0;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 3);
	lua_createtable(L, (int)n, 0);
	lua_createtable(L, 0, 0);
	for (lua_Integer i = 1; i <= n; i++) {
		bool in;

		lua_geti(L, 1, i);
		lua_pushvalue(L, 2);
		lua_pushvalue(L, -2);
		lua_pushvalue(L, 3);
		lua_call(L, 2, 1);
		in = lua_toboolean(L, -1);
		lua_pop(L, 1);
		lua_rawseti(L, in ? 4 : 5, in ? ++yes : ++no);
	}
}

static int split(lua_State *L)
{
	parted(L);
	return 2;
}

static void append(lua_State *L, int from, int to)
{
	lua_Integer n = list_length(L, from), at = n ? (lua_Integer)lua_rawlen(L, to) : 0;

	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, from, i);
		lua_rawseti(L, to, ++at);
	}
}

static int join(lua_State *L)
{
	int n = lua_gettop(L);

	luaL_checkstack(L, 4, "rank.join");
	lua_createtable(L, n ? (int)list_length(L, 1) : 0, 0);
	for (int i = 1; i <= n; i++)
		append(L, i, n + 1);
	return 1;
}

static int first(lua_State *L)
{
	parted(L);
	append(L, 5, 4);
	lua_settop(L, 4);
	return 1;
}

static int last(lua_State *L)
{
	parted(L);
	append(L, 4, 5);
	return 1;
}

/* Where x lies when the keys are laid end to end. */
static lua_Integer drawn_at(const struct keyed *keys, lua_Integer n, double x)
{
	lua_Integer at = 0;

	for (x -= keys[0].key; x >= 0 && at + 1 < n;)
		x -= keys[++at].key;
	return at;
}

/* pick(eps, weight, u): the index of a weighted draw. */
static int pick(lua_State *L)
{
	lua_Integer n = list_length(L, 1);
	double u = luaL_checknumber(L, 3), sum = 0;
	struct ruler r = ruler_at(L, 2, 1);
	struct keyed few[FEW], *keys;

	luaL_argcheck(L, n > 0, 1, "the list is empty");
	keys = measure_keys(L, &r, n, 0, few);
	for (lua_Integer i = 0; i < n; i++) {
		if (!(keys[i].key >= 0) || isinf(keys[i].key))
			return luaL_error(L, "rank.pick: a weight is negative or not finite");
		sum += keys[i].key;
	}
	lua_pushinteger(L, draw_settle(L, keys, n, sum, drawn_at(keys, n, u * sum)) + 1);
	return 1;
}

/* lead(eps, i): moves the i-th to the front, in place. */
static int lead(lua_State *L)
{
	lua_Integer n = list_length(L, 1), at = luaL_checkinteger(L, 2);

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argcheck(L, at >= 1 && at <= n, 2, "no such item");
	lua_rawgeti(L, 1, at);
	for (; at > 1; at--) {
		lua_rawgeti(L, 1, at - 1);
		lua_rawseti(L, 1, at);
	}
	lua_rawseti(L, 1, 1);
	lua_settop(L, 1);
	return 1;
}

/* Keys, the least first, become weights, and a weighted draw of them comes to the front. */
static void draw_first(lua_State *L, struct keyed *keys, lua_Integer n, double sharpness, double u)
{
	double best = keys[0].key, sum = 0;
	struct keyed drawn;
	lua_Integer at;

	for (lua_Integer i = 0; i < n; i++)
		sum += keys[i].key = power(best / keys[i].key, sharpness);
	at = draw_settle(L, keys, n, sum, drawn_at(keys, n, u * sum));
	drawn = keys[at];
	memmove(keys + 1, keys, sizeof(*keys) * (size_t)at);
	keys[0] = drawn;
}

/* (eps, burden, sharpness, u): into the table at to, which may be the list itself. */
static void draw_to(lua_State *L, int to)
{
	lua_Integer n = list_length(L, 1);
	double sharpness = luaL_checknumber(L, 3), u = luaL_checknumber(L, 4);
	struct ruler r = ruler_at(L, 2, 1);
	struct keyed few[FEW], *keys;

	luaL_argcheck(L, sharpness >= 0 && sharpness <= 1000, 3, "0 to 1000 expected");
	keys = measure_keys(L, &r, n, 0, few);
	for (lua_Integer i = 0; i < n; i++)
		if (!(keys[i].key > 0))
			luaL_error(L, "rank.draw: item %d has no burden above 0", (int)i + 1);
	burn(L, (size_t)n * 4);
	sort(keys, (size_t)n, up);
	if (n > 0 && isinf(keys[0].key))
		luaL_error(L, "rank.draw: no burden is finite");
	if (n > 1)
		draw_first(L, keys, n, sharpness, u);
	place(L, keys, n, to);
}

/* draw(eps, burden, sharpness, u): a new list. */
static int draw(lua_State *L)
{
	lua_settop(L, 4);
	lua_createtable(L, (int)list_length(L, 1), 0);
	draw_to(L, 5);
	lua_settop(L, 5);
	return 1;
}

/* elect(eps, burden, sharpness, u): the same, in place. */
static int elect(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 4);
	draw_to(L, 1);
	lua_settop(L, 1);
	return 1;
}

/* all(eps, predicate, arg): does it hold for each? */
static int all(lua_State *L)
{
	lua_Integer n = list_length(L, 1);
	bool yes = true;

	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 3);
	for (lua_Integer i = 1; yes && i <= n; i++) {
		lua_pushvalue(L, 2);
		lua_geti(L, 1, i);
		lua_pushvalue(L, 3);
		lua_call(L, 2, 1);
		yes = lua_toboolean(L, -1);
		lua_pop(L, 1);
	}
	lua_pushboolean(L, yes);
	return 1;
}

/* groups(eps, key): a list of lists, in the order in which keys are first seen. */
static int groups(lua_State *L)
{
	lua_Integer n = list_length(L, 1), count = 0;

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
		{ "pick", pick }, { "lead", lead }, { "all", all }, { "sort", sort_in_place }, { "groups", groups },
		{ "draw", draw }, { "elect", elect }, { "sum", rank_sum }, { "product", rank_product }, { "clamp", rank_clamp }, { "smooth", rank_smooth },
		{ "least", rank_least }, { "most", rank_most }, { "stable", rank_stable }, { NULL, NULL } };

	columns_open(L);
	group_open(L, names, "rank", fns);
}
