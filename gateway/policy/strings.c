/*
 * string.*, without patterns: everything here is linear in its input (R63).
 */
#include <ctype.h>
#include <lualib.h>
#include "policy/state.h"

static int s_len(lua_State *L)
{
	size_t n;

	luaL_checklstring(L, 1, &n);
	lua_pushinteger(L, (lua_Integer)n);
	return 1;
}

static int change_case(lua_State *L, int (*to)(int))
{
	size_t n;
	const char *s = luaL_checklstring(L, 1, &n);
	luaL_Buffer b;
	char *at;

	burn(L, n / 8);
	at = luaL_buffinitsize(L, &b, n);
	for (size_t i = 0; i < n; i++)
		at[i] = (unsigned char)s[i] < 0x80 ? (char)to((unsigned char)s[i]) : s[i];
	luaL_pushresultsize(&b, n);
	return 1;
}

static int s_lower(lua_State *L) { return change_case(L, tolower); }
static int s_upper(lua_State *L) { return change_case(L, toupper); }

static bool starts(const char *s, size_t n, const char *p, size_t m)
{
	return m <= n && !memcmp(s, p, m);
}

static int s_starts(lua_State *L)
{
	size_t n, m;
	const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &m);

	lua_pushboolean(L, starts(s, n, p, m));
	return 1;
}

static int s_ends(lua_State *L)
{
	size_t n, m;
	const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &m);

	lua_pushboolean(L, m <= n && !memcmp(s + n - m, p, m));
	return 1;
}

static int s_has(lua_State *L)
{
	size_t n, m;
	const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &m);

	burn(L, n / 8 + 1);
	lua_pushboolean(L, !m || memmem(s, n, p, m) != NULL);
	return 1;
}

static int s_rep(lua_State *L)
{
	size_t n;
	const char *s = luaL_checklstring(L, 1, &n);
	lua_Integer times = luaL_checkinteger(L, 2);
	luaL_Buffer b;

	if (times > 0 && n && (lua_Unsigned)times > STRING_MAX / n)
		return luaL_error(L, "string.rep: result over 64 KiB");
	if (times <= 0 || !n) {
		lua_pushliteral(L, "");
		return 1;
	}
	burn(L, n * (size_t)times / 8);
	luaL_buffinit(L, &b);
	for (lua_Integer i = 0; i < times; i++)
		luaL_addlstring(&b, s, n);
	luaL_pushresult(&b);
	return 1;
}

static int s_split(lua_State *L)
{
	size_t n, m;
	const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &m);
	lua_Integer i = 0;

	luaL_argcheck(L, m > 0, 2, "the separator is empty");
	burn(L, n / 8 + 1);
	lua_newtable(L);
	for (;;) {
		const char *hit = memmem(s, n, p, m);

		lua_pushlstring(L, s, hit ? (size_t)(hit - s) : n);
		lua_rawseti(L, -2, ++i);
		if (!hit)
			return 1;
		burn(L, 4);
		n -= (size_t)(hit - s) + m;
		s = hit + m;
	}
}

int format_push(lua_State *L, lua_CFunction format)
{
	size_t n;
	const char *f = luaL_checklstring(L, 1, &n);

	burn(L, n / 8 + 1);
	luaL_argcheck(L, n <= STRING_MAX, 1, "format over 64 KiB");
	for (const char *at = f; (at = memchr(at, '%', n - (size_t)(at - f))); at++) {
		at += 1 + strspn(at + 1, "-+ #0123456789.");
		if (*at == 'p' || *at == 'a' || *at == 'A' || *at == 'q')
			return luaL_error(L, "string.format: '%%%c' is not available", *at);
		if (!*at)
			break;
	}
	for (int i = 2; i <= lua_gettop(L); i++)
		if (lua_type(L, i) > LUA_TSTRING || lua_type(L, i) == LUA_TLIGHTUSERDATA) {
			plain_text(L, i);
			lua_replace(L, i);
		}
	format(L);	/* not called by Lua, so that its errors name the policy's line */
	burn(L, lua_rawlen(L, -1) / 8);
	return 1;
}

static int s_format(lua_State *L) { return format_push(L, lua_tocfunction(L, lua_upvalueindex(1))); }

void strings_open(lua_State *L, int names)
{
	static const luaL_Reg fns[] = { { "len", s_len }, { "lower", s_lower }, { "upper", s_upper }, { "starts", s_starts },
		{ "ends", s_ends }, { "has", s_has }, { "rep", s_rep }, { "split", s_split }, { NULL, NULL } };

	lua_pushcfunction(L, luaopen_string);	/* sets the strings' metatable, which is replaced below */
	lua_call(L, 0, 1);
	lua_newtable(L);
	luaL_setfuncs(L, fns, 0);
	lua_getfield(L, -2, "sub");
	lua_setfield(L, -2, "sub");
	lua_getfield(L, -2, "byte");
	lua_setfield(L, -2, "byte");
	lua_getfield(L, -2, "format");
	lua_pushcclosure(L, s_format, 1);
	lua_setfield(L, -2, "format");
	proxy_push(L, SIGHT_PLAIN);
	lua_pushliteral(L, "");
	lua_newtable(L);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lua_pop(L, 1);
	lua_setfield(L, names, "string");
	lua_pop(L, 1);
}
