/*
 * money.*: bills in integers.  A rate is pUSD per unit, an amount nUSD; a
 * line keeps pUSD, and what is rounded is the sum, once.
 */
#include "policy/state.h"

static lua_Integer whole(lua_State *L, int i, const char *what)
{
	if (!lua_isinteger(L, i))
		luaL_error(L, "%s must be an integer, not %s", what, lua_isnumber(L, i) ? "a fraction" : kind_name(L, i));
	return lua_tointeger(L, i);
}

/* The lines of the bill at 1, on top; their count. */
static lua_Integer lines(lua_State *L)
{
	luaL_argcheck(L, table_at(L, 1), 1, "bill expected");
	lua_getfield(L, 1, "lines");
	if (!table_at(L, -1))
		luaL_error(L, "the bill has no lines");
	return luaL_len(L, -1);
}

static void add(lua_State *L, const char *code, lua_Integer qty, lua_Integer rate, lua_Integer pusd, const char *side)
{
	lua_Integer n = lines(L);

	lua_createtable(L, 0, 5);
	lua_pushstring(L, code);
	lua_setfield(L, -2, "code");
	lua_pushinteger(L, qty);
	lua_setfield(L, -2, "qty");
	lua_pushinteger(L, rate);
	lua_setfield(L, -2, "rate_pusd");
	lua_pushinteger(L, pusd);
	lua_setfield(L, -2, "pusd");
	lua_pushstring(L, side);
	lua_setfield(L, -2, "side");
	lua_seti(L, -2, n + 1);
	lua_settop(L, 1);
}

static int line(lua_State *L)
{
	const char *code = luaL_checkstring(L, 2), *side = luaL_optstring(L, 5, "cost");
	lua_Integer qty, rate, pusd;

	if (lua_isinteger(L, 3) && lua_tointeger(L, 3) == 0) {
		lua_settop(L, 1);
		return 1;
	}
	qty = whole(L, 3, "money.line: the quantity");
	rate = whole(L, 4, "money.line: the rate");
	if (__builtin_mul_overflow(qty, rate, &pusd))
		return luaL_error(L, "money.line: '%s' overflows", code);
	add(L, code, qty, rate, pusd, side);
	return 1;
}

static int flat(lua_State *L)
{
	const char *code = luaL_checkstring(L, 2), *side = luaL_optstring(L, 4, "charge");
	lua_Integer pusd;

	if (__builtin_mul_overflow(whole(L, 3, "money.flat: the amount"), (lua_Integer)1000, &pusd))
		return luaL_error(L, "money.flat: '%s' overflows", code);
	add(L, code, 1, pusd, pusd, side);
	return 1;
}

static int sum(lua_State *L)
{
	const char *side = luaL_checkstring(L, 2);
	lua_Integer n = lines(L), pusd;
	__int128 total = 0;
	int at = lua_gettop(L);

	burn(L, (size_t)n * 4);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, at, i);
		lua_getfield(L, -1, "side");
		lua_getfield(L, -2, "pusd");
		if (lua_type(L, -2) == LUA_TSTRING && !strcmp(lua_tostring(L, -2), side)) {
			pusd = whole(L, -1, "money.sum: pusd");
			total += pusd;
		}
		lua_settop(L, at);
	}
	total = total < 0 ? -((500 - total) / 1000) : (total + 500) / 1000;
	if (total > INT64_MAX || total < INT64_MIN)
		return luaL_error(L, "money.sum: overflow");
	lua_pushinteger(L, (lua_Integer)total);
	return 1;
}

static int bps(lua_State *L)
{
	__int128 x = (__int128)whole(L, 1, "money.bps: the amount") * whole(L, 2, "money.bps: the share");

	x = x < 0 ? -((5000 - x) / 10000) : (x + 5000) / 10000;
	if (x > INT64_MAX || x < INT64_MIN)
		return luaL_error(L, "money.bps: overflow");
	lua_pushinteger(L, (lua_Integer)x);
	return 1;
}

/* A parameter in USD as an amount: 0.15 is 150000000 nUSD, rounded to the nearest. */
static int usd(lua_State *L)
{
	lua_Number x = luaL_checknumber(L, 1) * 1e9;

	if (!(x > -9.2e18 && x < 9.2e18))
		return luaL_error(L, "money.usd: out of range");
	lua_pushinteger(L, (lua_Integer)(x < 0 ? x - 0.5 : x + 0.5));
	return 1;
}

static int fmt(lua_State *L)
{
	lua_Integer n = whole(L, 1, "money.fmt: the amount");
	__int128 micro = ((__int128)(n < 0 ? -(__int128)n : n) + 500) / 1000;
	char text[48];

	snprintf(text, sizeof(text), "%s$%lld.%06lld", n < 0 && micro ? "-" : "", (long long)(micro / 1000000), (long long)(micro % 1000000));
	lua_pushstring(L, text);
	return 1;
}

void billing_open(lua_State *L, int names)
{
	static const luaL_Reg fns[] = { { "line", line }, { "flat", flat }, { "sum", sum }, { "bps", bps }, { "usd", usd }, { "fmt", fmt }, { NULL, NULL } };

	group_open(L, names, "money", fns);
}

/* ---- back in C */

enum part { OTHER, PROMPT, COMPLETION, PARTS };
static const struct { const char *code; size_t at; enum rate rate; enum part part; } buckets[] = {
#define BUCKET(member, rate, part) { #member, offsetof(struct mg_usage, member), rate, part }
	BUCKET(input, RATE_PROMPT, PROMPT), BUCKET(cached, RATE_CACHE_READ, PROMPT), BUCKET(cache_write, RATE_CACHE_WRITE, PROMPT),
	BUCKET(cache_write_1h, RATE_CACHE_WRITE_1H, PROMPT), BUCKET(image_tokens, RATE_IMAGE_TOKENS, PROMPT),
	BUCKET(audio_in, RATE_AUDIO_IN, PROMPT), BUCKET(audio_cached, RATE_AUDIO_CACHE, PROMPT),
	BUCKET(output, RATE_COMPLETION, COMPLETION), BUCKET(reasoning, RATE_REASONING, COMPLETION), BUCKET(audio_out, RATE_AUDIO_OUT, COMPLETION),
	BUCKET(images_out, RATE_IMAGE, OTHER), BUCKET(searches, RATE_SEARCH, OTHER), BUCKET(requests, RATE_REQUEST, OTHER),
	BUCKET(characters, RATE_CHARACTER, OTHER), BUCKET(seconds, RATE_SECOND, OTHER),
#undef BUCKET
};
enum { BUCKETS = sizeof(buckets) / sizeof(buckets[0]) };

/* The _tier of each, too. */
static enum part part_of(const char *code)
{
	for (size_t i = 0; i < BUCKETS; i++)
		if (!strncmp(code, buckets[i].code, strlen(buckets[i].code)))
			return buckets[i].part;
	return OTHER;
}

static int64_t rounded(money_sum pusd)
{
	int64_t nusd = pusd <= 0 ? 0 : money_round(pusd);	/* nobody is paid for asking */

	return nusd < MONEY_MOST ? nusd : MONEY_MOST;
}

static void add_up(struct bill *b)
{
	money_sum cost = 0, own = 0, charge = 0, parts[PARTS] = { 0 };

	for (size_t i = 0; i < b->n; i++) {
		const struct bill_line *l = &b->lines[i];

		if (l->side == SIDE_CHARGE) {
			charge += l->pusd;
			continue;
		}
		if (l->side == SIDE_CUSTOMER)
			own += l->pusd;
		else
			cost += l->pusd;
		parts[part_of(l->code)] += l->pusd;
	}
	b->cost_nusd = rounded(cost);
	b->own_nusd = rounded(own);
	b->charge_nusd = rounded(charge);
	b->prompt_nusd = rounded(parts[PROMPT]);
	b->completion_nusd = rounded(parts[COMPLETION]);
}

static const char *const sides[] = { [SIDE_COST] = "cost", [SIDE_CHARGE] = "charge", [SIDE_CUSTOMER] = "customer_paid" };

static int side_named(const char *word)
{
	for (int i = SIDE_COST; i <= SIDE_CUSTOMER; i++)
		if (!strcmp(word, sides[i]))
			return i;
	return -1;
}

static int line_read(lua_State *L, struct decision *d, struct bill *out)
{
	struct bill_line *l = &out->lines[out->n];
	const char *side;
	struct mg_str code;
	int kind;

	lua_getfield(L, -1, "code");
	lua_getfield(L, -2, "qty");
	lua_getfield(L, -3, "rate_pusd");
	lua_getfield(L, -4, "pusd");
	lua_getfield(L, -5, "side");
	if (lua_type(L, -5) != LUA_TSTRING || !lua_isinteger(L, -4) || !lua_isinteger(L, -3) || !lua_isinteger(L, -2) || lua_type(L, -1) != LUA_TSTRING)
		return answer_odd(L, "line %zu of the bill: code and side must be strings, qty, rate_pusd and pusd whole numbers", out->n + 1);
	side = lua_tostring(L, -1);
	if (lua_tointeger(L, -4) < 0)
		return answer_odd(L, "line %zu of the bill: qty is below 0; for a discount let the rate or the amount be", out->n + 1);
	kind = side_named(side);
	if (kind < 0)
		return answer_odd(L, "line %zu of the bill: there is no side '%.40s', but cost, charge and customer_paid", out->n + 1, side);
	code = pool_dup(d->pool, (struct mg_str){ lua_tostring(L, -5), lua_rawlen(L, -5) });
	if (!code.at)
		return -1;
	*l = (struct bill_line){ code.at, (uint64_t)lua_tointeger(L, -4), lua_tointeger(L, -3), lua_tointeger(L, -2), kind };
	out->n++;
	return 0;
}

int bill_read(lua_State *L, int i, struct decision *d, struct bill *out)
{
	int top = lua_gettop(L), rc = 0;
	lua_Integer n;

	*out = (struct bill){ 0 };
	if (!lua_istable(L, i))
		return -1;
	lua_getfield(L, i, "lines");
	n = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : -1;
	if (n < 0)
		rc = -1;
	else if (n > (lua_Integer)(sizeof(out->lines) / sizeof(out->lines[0])))
		rc = answer_odd(L, "a bill has %zu lines at most", sizeof(out->lines) / sizeof(out->lines[0]));
	for (lua_Integer k = 1; !rc && k <= n; k++) {
		lua_rawgeti(L, top + 1, k);
		rc = lua_istable(L, -1) ? line_read(L, d, out) : -1;
		lua_settop(L, top + 1);
	}
	lua_settop(L, top);
	add_up(out);
	return rc;
}

void bill_push(lua_State *L, const struct bill *b)
{
	lua_createtable(L, 0, 1);
	lua_createtable(L, (int)b->n, 0);
	for (size_t i = 0; i < b->n; i++) {
		const struct bill_line *l = &b->lines[i];

		lua_createtable(L, 0, 5);
		lua_pushstring(L, l->code);
		lua_setfield(L, -2, "code");
		lua_pushinteger(L, l->qty < INT64_MAX ? (lua_Integer)l->qty : INT64_MAX);
		lua_setfield(L, -2, "qty");
		lua_pushinteger(L, l->rate_pusd);
		lua_setfield(L, -2, "rate_pusd");
		lua_pushinteger(L, l->pusd < INT64_MAX ? (lua_Integer)l->pusd : INT64_MAX);
		lua_setfield(L, -2, "pusd");
		lua_pushstring(L, sides[l->side]);
		lua_setfield(L, -2, "side");
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_setfield(L, -2, "lines");
}

/* The table on top becomes one with the same members. */
static void flat_copy(lua_State *L)
{
	int from = lua_gettop(L);

	lua_newtable(L);
	lua_pushnil(L);
	while (lua_istable(L, from) && lua_next(L, from)) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, from + 1);
	}
	lua_remove(L, from);
}

void bill_copy(lua_State *L, int i)
{
	int copy = lua_gettop(L) + 1;
	lua_Integer n;

	lua_pushvalue(L, i);
	flat_copy(L);
	lua_getfield(L, copy, "lines");
	flat_copy(L);
	n = (lua_Integer)lua_rawlen(L, -1);
	for (lua_Integer k = 1; k <= n; k++) {
		lua_rawgeti(L, copy + 1, k);
		flat_copy(L);
		lua_rawseti(L, copy + 1, k);
	}
	lua_setfield(L, copy, "lines");
}

/* ---- list price, for when no policy says one */

static uint64_t bucket(const struct mg_usage *u, size_t i)
{
	uint64_t n;

	memcpy(&n, (const char *)u + buckets[i].at, sizeof(n));
	return n;
}

/* The charge is the cost, line by line. */
void list_price(const struct endpoint *e, const struct mg_usage *u, int64_t at_ms, struct bill *out)
{
	money_sum all = 0, parts[PARTS] = { 0 };
	struct rates rates;
	size_t n = 0;

	bill_clear(out);
	endpoint_rates(e, usage_prompt_tokens(u), at_ms, &rates);
	for (size_t i = 0; i < BUCKETS; i++) {
		struct bill_line *l = &out->lines[n];
		uint64_t qty = bucket(u, i);

		if (!qty)
			continue;
		*l = (struct bill_line){ buckets[i].code, qty, rates.pusd[buckets[i].rate], 0, SIDE_COST };
		if (money_add(&l->pusd, qty, l->rate_pusd))
			l->pusd = (money_sum)INT64_MAX * 1000;
		parts[buckets[i].part] += l->pusd;
		all += l->pusd;
		n++;
	}
	memcpy(out->lines + n, out->lines, n * sizeof(out->lines[0]));
	for (size_t i = n; i < 2 * n; i++)
		out->lines[i].side = SIDE_CHARGE;
	out->n = 2 * n;
	out->cost_nusd = out->charge_nusd = rounded(all);
	out->prompt_nusd = rounded(parts[PROMPT]);
	out->completion_nusd = rounded(parts[COMPLETION]);
}

/* At an account of the customer's: what the upstream takes is nothing that we pay, and nothing that we may charge. */
void bill_own(struct bill *b, bool listed)
{
	b->is_byok = true;
	b->own_nusd += b->cost_nusd;
	b->cost_nusd = 0;
	if (listed)
		b->charge_nusd = 0;
}
