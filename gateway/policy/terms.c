/*
 * What policies talk about: sets and globs, provider slugs, stable draws, the
 * hour, denials and actions.
 */
#include <math.h>
#include "base/digits.h"
#include "policy/state.h"

/* ---- set */

static int set_of(lua_State *L)
{
	lua_Integer n;

	lua_settop(L, 1);
	lua_newtable(L);
	if (!table_at(L, 1))
		return 1;
	n = luaL_len(L, 1);
	burn(L, (size_t)n);
	for (lua_Integer i = 1; i <= n; i++) {
		if (lua_geti(L, 1, i) == LUA_TNIL) {
			lua_pop(L, 1);
			continue;
		}
		lua_pushboolean(L, 1);
		lua_rawset(L, 2);
	}
	return 1;
}

static void bare(lua_State *L)
{
	luaL_argcheck(L, table_at(L, 1), 1, "table expected");
	bare_push(L, 1);
	lua_replace(L, 1);
	lua_settop(L, 1);
}

static int set_any(lua_State *L)
{
	if (lua_touserdata(L, 1) == state_of(L)->empty && lua_touserdata(L, 1)) {	/* by far the most common */
		lua_pushboolean(L, 0);
		return 1;
	}
	bare(L);
	lua_pushnil(L);
	lua_pushboolean(L, lua_next(L, 1));
	return 1;
}

static int set_list(lua_State *L)
{
	keys_push(L, "set.list");
	return 1;
}

/* ---- glob: '*' only; greedy from the left is enough, so it is linear */

static bool starts(const char *s, size_t n, const char *p, size_t m)
{
	return m <= n && !memcmp(s, p, m);
}

static bool glob_match(const char *p, size_t m, const char *s, size_t n)
{
	const char *star = memchr(p, '*', m);

	if (!star)
		return m == n && !memcmp(p, s, n);
	if (!starts(s, n, p, (size_t)(star - p)))
		return false;
	n -= (size_t)(star - p);
	s += star - p;
	for (;;) {
		const char *part = star + 1, *hit;
		size_t rest = m - (size_t)(part - p);
		const char *next = memchr(part, '*', rest);
		size_t len = next ? (size_t)(next - part) : rest;

		if (!next)
			return len <= n && !memcmp(s + n - len, part, len);
		hit = len ? memmem(s, n, part, len) : s;
		if (!hit)
			return false;
		n -= (size_t)(hit - s) + len;
		s = hit + len;
		star = next;
	}
}

static int l_glob_match(lua_State *L)
{
	size_t m, n;
	const char *p = luaL_checklstring(L, 1, &m), *s = luaL_checklstring(L, 2, &n);

	burn(L, (n + m) / 8 + 1);
	lua_pushboolean(L, glob_match(p, m, s, n));
	return 1;
}

static int l_glob_any(lua_State *L)
{
	size_t n, m;
	const char *s = luaL_checklstring(L, 2, &n), *p;
	lua_Integer count;

	luaL_argcheck(L, table_at(L, 1), 1, "table expected");
	count = luaL_len(L, 1);
	for (lua_Integer i = 1; i <= count; i++) {
		lua_geti(L, 1, i);
		p = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &m) : NULL;
		burn(L, 2 + (p ? (n + m) / 8 : 0));
		if (p && glob_match(p, m, s, n)) {
			lua_pushboolean(L, 1);
			return 1;
		}
		lua_pop(L, 1);
	}
	lua_pushboolean(L, 0);
	return 1;
}

/* ---- slug: a base slug means every region, but no service tier */

struct slugs { const char *tag, *provider, *tier, *name; };

static const char *field_text(lua_State *L, int i, const char *name)
{
	lua_getfield(L, i, name);
	return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";	/* the table keeps it alive */
}

static void slugs_of(lua_State *L, int i, struct slugs *out)
{
	struct proxy *p = proxy_at(L, i);

	if (p && p->endpoint) {
		const struct endpoint *e = p->endpoint;

		*out = (struct slugs){ e->tag, e->provider->slug, e->tier, e->provider->name };
		return;
	}
	luaL_argcheck(L, table_at(L, i), i, "endpoint expected");
	out->tag = field_text(L, i, "tag");
	out->provider = field_text(L, i, "provider");
	out->tier = field_text(L, i, "tier");
	out->name = "";
	lua_pop(L, 3);
}

static bool slug_match(const char *want, const struct slugs *e)
{
	if (!strcmp(want, e->tag))
		return true;
	return !strcmp(e->tier, "default") && (!strcmp(want, e->provider) || (*e->name && !strcmp(want, e->name)));
}

static int l_slug_match(lua_State *L)
{
	struct slugs e;

	slugs_of(L, 2, &e);
	lua_pushboolean(L, slug_match(luaL_checkstring(L, 1), &e));
	return 1;
}

static int l_slug_any(lua_State *L)
{
	struct slugs e;
	lua_Integer n = table_at(L, 1) ? luaL_len(L, 1) : 0;

	if (!n) {	/* by far the most common */
		lua_pushboolean(L, 0);
		return 1;
	}
	slugs_of(L, 2, &e);
	burn(L, (size_t)n);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, 1, i);
		if (lua_type(L, -1) == LUA_TSTRING && slug_match(lua_tostring(L, -1), &e)) {
			lua_pushboolean(L, 1);
			lua_pushinteger(L, i);
			return 2;
		}
		lua_pop(L, 1);
	}
	lua_pushboolean(L, 0);
	return 1;
}

/* ---- hash: stable over processes and versions, so that a canary stays who it is */

static uint32_t fnv(uint32_t h, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * 16777619u;
	return h;
}

static uint32_t mix(uint32_t h)
{
	h = (h ^ h >> 16) * 0x85ebca6bu;
	h = (h ^ h >> 13) * 0xc2b2ae35u;
	return h ^ h >> 16;
}

static int l_hash_u32(lua_State *L)
{
	size_t n;
	const char *s = luaL_checklstring(L, 1, &n);

	burn(L, n / 8);
	lua_pushinteger(L, mix(fnv(2166136261u, s, n)));
	return 1;
}

static int l_hash_bps(lua_State *L)
{
	size_t n;
	const char *s = luaL_checklstring(L, 1, &n);

	burn(L, n / 8);
	lua_pushinteger(L, mix(fnv(2166136261u, s, n)) % 10000);
	return 1;
}

/* The seed counts as its decimal digits. */
static int rand_push(lua_State *L, uint64_t seed, const char *label, size_t n)
{
	char digits[DIGITS_MAX], *end = digits + sizeof(digits), *at = digits_before(end, seed < INT64_MAX ? seed : INT64_MAX);

	lua_pushnumber(L, mix(fnv(fnv(fnv(2166136261u, at, (size_t)(end - at)), "|", 1), label, n)) / 4294967296.0);
	return 1;
}

/* 0 <= x < 1, the same for the same request and label; a test may pin it with req.u. */
static int l_rand(lua_State *L)
{
	struct policy_state *s = state_of(L);
	struct proxy *p = proxy_at(L, 1);
	size_t n, m;
	const char *label = luaL_checklstring(L, 2, &n), *seed;
	uint32_t h;

	luaL_argcheck(L, table_at(L, 1), 1, "request expected");
	if (p && p->mirror == &s->req && s->d) {
		if (p->kind == SIGHT_VIEW) {
			s->impure = true;
			s->read_of = "";
			s->read = "rand()";
		}
		return rand_push(L, s->d->facts.seed, label, n);
	}
	if (lua_getfield(L, 1, "u") == LUA_TNUMBER)
		return 1;
	lua_getfield(L, 1, "seed");
	seed = luaL_tolstring(L, -1, &m);
	h = fnv(fnv(fnv(2166136261u, seed, m), "|", 1), label, n);
	lua_pushnumber(L, mix(h) / 4294967296.0);
	return 1;
}

/* ---- time and actions */

static int utc(lua_State *L, lua_Integer ms)
{
	lua_Integer s = ms / 1000 - (ms % 1000 < 0), day = s / 86400 - (s % 86400 < 0);

	lua_createtable(L, 0, 2);
	lua_pushinteger(L, ((day + 4) % 7 + 7) % 7);
	lua_setfield(L, -2, "weekday");		/* 0 is Sunday */
	lua_pushinteger(L, (s - day * 86400) / 60);
	lua_setfield(L, -2, "minute");
	return 1;
}

static int l_utc(lua_State *L) { return utc(L, luaL_checkinteger(L, 1)); }

static int l_local(lua_State *L)
{
	return utc(L, luaL_checkinteger(L, 1) + luaL_checkinteger(L, 2) * 60000);
}

static int action(lua_State *L, const char *what)
{
	lua_createtable(L, 0, 2);
	lua_pushstring(L, what);
	lua_setfield(L, -2, "action");
	return 1;
}

static int act_next(lua_State *L)
{
	static const char *const members[] = { "skip", NULL };

	lua_settop(L, 1);
	luaL_argcheck(L, lua_isnil(L, 1) || table_at(L, 1), 1, "nothing, or a table such as { skip = \"provider\" } expected");
	action(L, "next");
	if (lua_isnil(L, 1))
		return 1;
	answer_begin(state_of(L));
	if (answer_only(L, 1, "act.next{}", members))
		return luaL_error(L, "%s", answer_wrong(state_of(L), ""));
	lua_getfield(L, 1, "skip");
	lua_setfield(L, 2, "skip");
	return 1;
}

static int act_retry(lua_State *L)
{
	lua_Integer ms = luaL_optinteger(L, 1, 0);

	action(L, "retry");
	lua_pushinteger(L, ms);
	lua_setfield(L, -2, "delay_ms");
	return 1;
}

static int act_model(lua_State *L)
{
	luaL_checkstring(L, 1);
	action(L, "model");
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "model");
	return 1;
}

static int act_stop(lua_State *L) { return action(L, "stop"); }

/* A number that was worked out may be a fraction, or below 0 by a moment: it is no reason to let the request pass. */
static void whole(lua_State *L, const char *name)
{
	double x;

	if (lua_getfield(L, 1, name) != LUA_TNIL && !lua_isinteger(L, -1)) {
		x = lua_type(L, -1) == LUA_TNUMBER ? ceil(lua_tonumber(L, -1)) : NAN;
		if (isnan(x))
			luaL_error(L, "deny{}: %s must be a number", name);
		lua_pushinteger(L, x < 0 ? 0 : x < INT32_MAX ? (lua_Integer)x : INT32_MAX);
		lua_setfield(L, 1, name);
	} else if (lua_tointeger(L, -1) < 0) {
		lua_pushinteger(L, 0);
		lua_setfield(L, 1, name);
	}
	lua_settop(L, 1);
}

static int l_deny(lua_State *L)
{
	static const char *const members[] = { "status", "code", "message", "retry_after_s", "limit", "deny", NULL };
	lua_Integer status;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	answer_begin(state_of(L));
	if (answer_only(L, 1, "deny{}", members))
		return luaL_error(L, "%s", answer_wrong(state_of(L), ""));
	lua_getfield(L, 1, "status");
	lua_getfield(L, 1, "code");
	lua_getfield(L, 1, "message");
	status = lua_tointeger(L, -3);
	if (status < 400 || status > 599 || lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
		return luaL_error(L, "deny{} needs status (400..599), code, message");
	lua_settop(L, 1);
	whole(L, "retry_after_s");
	whole(L, "limit");
	lua_pushboolean(L, 1);
	lua_setfield(L, 1, "deny");
	return 1;
}

void terms_open(lua_State *L, int names)
{
	static const luaL_Reg base[] = { { "deny", l_deny }, { "rand", l_rand }, { NULL, NULL } };
	static const luaL_Reg sets[] = { { "of", set_of }, { "any", set_any }, { "list", set_list }, { NULL, NULL } };
	static const luaL_Reg globs[] = { { "match", l_glob_match }, { "any", l_glob_any }, { NULL, NULL } };
	static const luaL_Reg slugs[] = { { "match", l_slug_match }, { "any", l_slug_any }, { NULL, NULL } };
	static const luaL_Reg hashes[] = { { "u32", l_hash_u32 }, { "bps", l_hash_bps }, { NULL, NULL } };
	static const luaL_Reg times[] = { { "utc", l_utc }, { "local_", l_local }, { NULL, NULL } };
	static const luaL_Reg acts[] = { { "next", act_next }, { "retry", act_retry }, { "model", act_model }, { "stop", act_stop }, { NULL, NULL } };

	lua_pushvalue(L, names);
	luaL_setfuncs(L, base, 0);
	lua_pop(L, 1);
	group_open(L, names, "set", sets);
	group_open(L, names, "glob", globs);
	group_open(L, names, "slug", slugs);
	group_open(L, names, "hash", hashes);
	group_open(L, names, "time", times);
	group_open(L, names, "act", acts);
}
