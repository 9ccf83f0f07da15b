/*
 * From a file to a policy: its declaration is checked, its parameters completed,
 * its setup run.
 */
#include "base/config.h"
#include "policy/state.h"

const char *const hook_names[HOOK_COUNT] = { "admit", "retain", "resolve", "filter", "rank", "plan", "shape", "on_error", "price", "observe" };

int refuse(struct policy_state *s, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(s->error, sizeof(s->error), fmt, args);
	va_end(args);
	return -1;
}

/* ---- libraries */

static int l_library(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	freeze(L);
	return 1;
}

const struct source *source_of(const struct policy_state *s, const char *name)
{
	char path[NAME_BYTES * 2];

	snprintf(path, sizeof(path), "%s%s", s->entry ? s->entry->tree : s->tree, name);
	return bundle_file(s->bundle, path);
}

/* use_lib "name": another file of the bundle; there is no search path. */
static int l_use_lib(lua_State *L)
{
	struct policy_state *s = state_of(L);
	const char *name = luaL_checkstring(L, 1);
	const struct source *f;
	char file[NAME_BYTES];

	luaL_argcheck(L, strlen(name) < NAME_BYTES - 5, 1, "the name is too long");
	lua_getfield(L, LUA_REGISTRYINDEX, "libraries");
	f = source_of(s, name);
	if (!f)
		return luaL_error(L, "use_lib: no file '%s.lua' in the bundle", name);
	if (lua_getfield(L, -1, f->name) == LUA_TBOOLEAN)
		return luaL_error(L, "use_lib: '%s' uses itself", name);
	if (!lua_isnil(L, -1))
		return 1;
	lua_pop(L, 1);
	lua_pushboolean(L, 1);
	lua_setfield(L, -2, f->name);
	snprintf(file, sizeof(file), "%s.lua", name);
	if (sandbox_load(s, f->text, f->len, file, s->env))
		return luaL_error(L, "%s", s->error);
	lua_call(L, 0, 1);
	if (!proxy_at(L, -1))
		return luaL_error(L, "%s: it must return library { ... }", file);
	lua_pushvalue(L, -1);
	lua_setfield(L, -3, f->name);
	return 1;
}

void loader_open(lua_State *L, int names)
{
	lua_pushcfunction(L, l_library);
	lua_setfield(L, names, "library");
	lua_pushcfunction(L, l_use_lib);
	lua_setfield(L, names, "use_lib");
	lua_newtable(L);
	lua_setfield(L, LUA_REGISTRYINDEX, "libraries");
}

/* ---- one policy */

bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

static bool is_hook(const char *word)
{
	for (int h = 0; h < HOOK_COUNT; h++)
		if (!strcmp(word, hook_names[h]))
			return true;
	return false;
}

/* when = { price = function(ep, my) ... end }: of the hooks that are about endpoints. */
static int check_when(struct policy_state *s, const char *name, int decl)
{
	static const char *const able[] = { "filter", "rank", "shape", "price", NULL };
	lua_State *L = s->L;
	int type = lua_getfield(L, decl, "when"), rc = 0;

	if (type == LUA_TNIL) {
		lua_pop(L, 1);
		return 0;
	}
	if (type != LUA_TTABLE)
		return refuse(s, "%s.lua: when must be a table of functions by hook", name);
	lua_pushnil(L);
	while (!rc && lua_next(L, decl + 1)) {
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "(not a name)";

		if (!is_one_of(key, able) || !lua_isfunction(L, -1))
			rc = refuse(s, "%s.lua: when.%s: it holds functions (ep, my) for filter, rank, shape and price", name, key);
		else
			lua_pop(L, 1);
	}
	lua_settop(L, decl);
	return rc;
}

static int check_fields(struct policy_state *s, const char *name, int decl)
{
	static const char *const keys[] = { "name", "api", "version", "doc", "params", "counters", "setup", "memo", "when", "scores", "limits", "sticky", "lists", NULL };
	lua_State *L = s->L;
	int rc = 0;

	lua_pushnil(L);
	while (!rc && lua_next(L, decl)) {
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;

		if (!key || (!is_one_of(key, keys) && !is_hook(key)))
			rc = refuse(s, "%s.lua: unknown field '%s'", name, key ? key : "(not a name)");
		else if ((is_hook(key) || !strcmp(key, "setup")) && !lua_isfunction(L, -1))
			rc = refuse(s, "%s.lua: '%s' must be a function", name, key);
		lua_settop(L, rc ? decl : lua_gettop(L) - 1);
	}
	if (rc)
		return rc;
	if (lua_getfield(L, decl, "api") != LUA_TNUMBER || lua_tointeger(L, -1) != 1)
		return refuse(s, "%s.lua: api = 1 expected", name);
	if (lua_getfield(L, decl, "name") != LUA_TSTRING || strcmp(lua_tostring(L, -1), name))
		return refuse(s, "%s.lua: name = \"%s\" expected, as the file is called", name, name);
	lua_pop(L, 2);
	return check_when(s, name, decl);
}

/* A list of that type, without anything besides. */
static bool all_of(lua_State *L, int i, int type)
{
	lua_Integer n = luaL_len(L, i), count = 0;

	bare_push(L, i);
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		count++;
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	if (count != n)
		return false;
	for (lua_Integer k = 1; k <= n; k++) {
		bool ok = lua_geti(L, i, k) == type;

		lua_pop(L, 1);
		if (!ok)
			return false;
	}
	return true;
}

/* What the value on top is, in the words of params. */
static const char *param_kind(lua_State *L)
{
	return lua_type(L, -1) == LUA_TNUMBER && !lua_isinteger(L, -1) ? "a number with a fraction" : lua_istable(L, -1) ? "a table" : kind_name(L, -1);
}

/* { type = "integer", default = 1, doc = "..." }: nothing else, so that a slip does not make a parameter required. */
static int check_spec(struct policy_state *s, const char *name, const char *param, int spec)
{
	static const char *const keys[] = { "type", "default", "doc", NULL };
	lua_State *L = s->L;

	if (!lua_istable(L, spec))
		return refuse(s, "%s.lua: param '%s' must be { type = \"integer\", default = 1, doc = \"...\" }", name, param);
	lua_pushnil(L);
	while (lua_next(L, spec)) {
		if (lua_type(L, -2) != LUA_TSTRING || !is_one_of(lua_tostring(L, -2), keys))
			return refuse(s, "%s.lua: param '%s': unknown member '%s'; known are type, default, doc", name, param,
				lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "(not a name)");
		lua_pop(L, 1);
	}
	return 0;
}

/* Does the value on top have that type? */
static bool fits(lua_State *L, const char *type)
{
	int i = lua_gettop(L);

	if (!strcmp(type, "integer"))
		return lua_isinteger(L, i);
	if (!strcmp(type, "number"))
		return lua_type(L, i) == LUA_TNUMBER;
	if (!strcmp(type, "string"))
		return lua_type(L, i) == LUA_TSTRING;
	if (!strcmp(type, "boolean"))
		return lua_isboolean(L, i);
	if (!strcmp(type, "map"))
		return table_at(L, i);
	return !strcmp(type, "string[]") && table_at(L, i) && all_of(L, i, LUA_TSTRING);
}

static int set_param(struct policy_state *s, const char *name, int spec, int with, int out)
{
	static const char *const types[] = { "integer", "number", "string", "boolean", "map", "string[]", NULL };
	lua_State *L = s->L;
	const char *key = lua_tostring(L, spec - 1), *type;

	if (check_spec(s, name, key, spec))
		return -1;
	if (lua_getfield(L, spec, "type") != LUA_TSTRING || !is_one_of(lua_tostring(L, -1), types))
		return refuse(s, "%s.lua: param '%s': type must be integer, number, string, boolean, map or string[]", name, key);
	type = lua_tostring(L, -1);
	if (!with || lua_getfield(L, with, key) == LUA_TNIL)
		lua_getfield(L, spec, "default");
	if (lua_isnil(L, -1))
		return refuse(s, "%s: param '%s' is required", name, key);
	if (!fits(L, type))
		return refuse(s, "%s: param '%s' must be %s, not %s", name, key, type, param_kind(L));
	lua_setfield(L, out, key);
	return 0;
}

static int unknown_param(struct policy_state *s, const char *name, int params, const char *param)
{
	char hint[MEANT_BYTES];

	return refuse(s, "%s: unknown param '%s'%s", name, param, meant(keys_nearest(s->L, params, param), hint));
}

/* Leaves the parameters: declared ones, given or by default. */
static int fill_params(struct policy_state *s, const char *name, int decl, int with)
{
	lua_State *L = s->L;
	int out, params, rc = 0;

	lua_newtable(L);
	out = lua_gettop(L);
	lua_getfield(L, decl, "params");
	params = lua_gettop(L);
	if (!lua_istable(L, params)) {
		lua_pop(L, 1);
		lua_newtable(L);
	}
	lua_pushnil(L);
	while (!rc && lua_next(L, params)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			return refuse(s, "%s.lua: params must be named", name);
		rc = set_param(s, name, lua_gettop(L), with, out);
		if (!rc)
			lua_settop(L, params + 1);
	}
	if (rc)
		return rc;
	if (with) {
		lua_pushnil(L);
		while (lua_next(L, with)) {
			lua_pushvalue(L, -2);
			if (lua_type(L, -1) != LUA_TSTRING || lua_rawget(L, params) == LUA_TNIL)
				return unknown_param(s, name, params, lua_type(L, -3) == LUA_TSTRING ? lua_tostring(L, -3) : "(not a name)");
			lua_pop(L, 2);
		}
	}
	lua_settop(L, out);
	return 0;
}

static int freeze_top(lua_State *L)
{
	freeze(L);
	return 1;
}

/* All that are declared are there. */
static int params_freeze(lua_State *L)
{
	record_close(L, "params", NULL);
	return freeze_top(L);
}

/* assert(x, "words") has no line of its own. */
static int setup_failed(struct policy_state *s, const char *name)
{
	char why[sizeof(s->error)];

	if (strstr(s->error, ".lua:"))
		return -1;
	snprintf(why, sizeof(why), "%s", s->error);
	return refuse(s, "%s.lua: setup: %.*s", name, 300, why);
}

/* my: what setup gives, else the parameters themselves; read-only either way. */
static int set_up(struct policy_state *s, const char *name, int decl)
{
	lua_State *L = s->L;
	int params = lua_gettop(L);

	lua_pushcfunction(L, params_freeze);
	lua_insert(L, params);
	if (sandbox_call(s, 1, 1, SETUP_FUEL, SETUP_BYTES))
		return -1;
	if (lua_getfield(L, decl, "setup") == LUA_TNIL) {
		lua_pop(L, 1);
		return 0;
	}
	lua_insert(L, params);
	if (sandbox_call(s, 1, 1, SETUP_FUEL, SETUP_BYTES))
		return setup_failed(s, name);
	lua_pushcfunction(L, freeze_top);
	lua_insert(L, params);
	return sandbox_call(s, 1, 1, SETUP_FUEL, SETUP_BYTES);
}

static int load_policy(struct policy_state *s, const char *name, int with)
{
	const struct source *f = source_of(s, name);
	lua_State *L = s->L;
	char file[NAME_BYTES + 8];
	int decl;

	if (!f)
		return refuse(s, "no file '%s.lua' in the bundle", name);
	snprintf(file, sizeof(file), "%s.lua", name);
	lua_pushnil(L);
	lua_setfield(L, LUA_REGISTRYINDEX, "declared");
	if (sandbox_load(s, f->text, f->len, file, s->env) || sandbox_call(s, 0, 1, SETUP_FUEL, SETUP_BYTES))
		return -1;
	decl = lua_gettop(L);
	lua_getfield(L, LUA_REGISTRYINDEX, "declared");
	if (!lua_istable(L, decl) || !lua_rawequal(L, decl, -1))
		return refuse(s, "%s: it must return policy { ... }", file);
	lua_pop(L, 1);
	if (check_fields(s, name, decl) || fill_params(s, name, decl, with))
		return -1;
	return set_up(s, name, decl);
}

int policy_load(struct policy_state *s, const char *name, int with)
{
	enum hook hook = s->hook;
	int top = lua_gettop(s->L), rc;

	if (!lua_checkstack(s->L, 40))
		return refuse(s, "no memory");
	s->hook = HOOK_NONE;
	rc = load_policy(s, name, with);
	s->hook = hook;
	if (rc)
		lua_settop(s->L, top);
	return rc;
}
