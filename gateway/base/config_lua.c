/*
 * The configuration as Lua: an environment with nothing in it but env, file,
 * include, secret and the pure libraries, fuel and memory counted.
 *
 * What cannot be fetched becomes a marker instead of an error, because only the
 * one who places it in the tree knows which member is missing.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <math.h>
#include "base/config_part.h"
#include "base/crypto.h"

enum { FUEL = 10000000, FUEL_STEP = 1000, MEMORY = 16 << 20, INCLUDES = 8 };

struct marker { int line; char file[200], why[160], hint[120]; };

struct box {
	struct reading *r;
	size_t memory, asked;
	long fuel;
	int includes;
	bool failed;		/* r->err says why already */
};

static struct box *box_of(lua_State *L)
{
	return *(struct box **)lua_getextraspace(L);
}

static void *limited(void *arg, void *at, size_t was, size_t want)
{
	struct box *b = arg;
	void *to;

	if (!at)
		was = 0;
	if (!want) {
		free(at);
		b->memory -= was;
		return NULL;
	}
	if (want > was && b->memory + (want - was) > MEMORY)
		return NULL;
	to = realloc(at, want);
	if (to)
		b->memory = b->memory - was + want;
	return to;
}

static void on_fuel(lua_State *L, lua_Debug *ar)
{
	struct box *b = box_of(L);

	b->fuel -= FUEL_STEP;
	if (b->fuel > 0)
		return;
	lua_sethook(L, on_fuel, LUA_MASKCOUNT, 1);	/* nothing runs on after this */
	luaL_error(L, "more than %d instructions: does a loop never end?", FUEL);
}

/* ---- env, file, secret, include */

static int marker_concat(lua_State *L)
{
	struct marker *m = luaL_testudata(L, 1, "missing");

	if (!m)
		m = luaL_checkudata(L, 2, "missing");
	return luaL_error(L, "%s\nhint: %s", m->why, m->hint);
}

static int push_marker(lua_State *L, const struct fetch_failure *no)
{
	struct marker *m = lua_newuserdatauv(L, sizeof(*m), 0);
	lua_Debug ar;

	memset(m, 0, sizeof(*m));
	snprintf(m->why, sizeof(m->why), "%s", no->why);
	snprintf(m->hint, sizeof(m->hint), "%s", no->hint);
	if (lua_getstack(L, 1, &ar) && lua_getinfo(L, "Sl", &ar)) {
		m->line = ar.currentline;
		snprintf(m->file, sizeof(m->file), "%s", *ar.source == '@' ? ar.source + 1 : ar.short_src);
	}
	if (luaL_newmetatable(L, "missing")) {
		lua_pushcfunction(L, marker_concat);
		lua_setfield(L, -2, "__concat");
		lua_pushboolean(L, 0);
		lua_setfield(L, -2, "__metatable");
	}
	lua_setmetatable(L, -2);
	return 1;
}

static int push_fetched(lua_State *L, char *text, const struct fetch_failure *no)
{
	if (!text)
		return push_marker(L, no);
	json_object_set_new_nocheck(box_of(L)->r->fetched, text, json_true());
	lua_pushstring(L, text);	/* a failure here ends the load; the text leaks once */
	wipe(text, strlen(text));
	free(text);
	return 1;
}

static int lua_env(lua_State *L)
{
	struct fetch_failure no = { "", "" };
	const char *name = luaL_checkstring(L, 1), *fallback = luaL_optstring(L, 2, NULL);

	if (fallback && !getenv(name))
		return lua_pushvalue(L, 2), 1;
	return push_fetched(L, fetch_env(name, fallback, &no), &no);
}

static int lua_file(lua_State *L)
{
	struct fetch_failure no = { "", "" };

	return push_fetched(L, fetch_file(luaL_checkstring(L, 1), box_of(L)->r->dir, &no), &no);
}

static int lua_secret(lua_State *L)
{
	struct fetch_failure no = { "", "" };

	snprintf(no.why, sizeof(no.why), "no plugin reads '%s'", luaL_checkstring(L, 1));
	snprintf(no.hint, sizeof(no.hint), "use env \"NAME\", or file \"P\" and let the vault's agent write it");
	return push_marker(L, &no);
}

static int run_text(lua_State *L, const char *path, const char *text, size_t len);
static void push_json(lua_State *L, const json_t *v);

static int lua_include(lua_State *L)
{
	struct box *b = box_of(L);
	const char *name = luaL_checkstring(L, 1), *dot = strrchr(name, '.');
	struct fetch_failure no = { "", "" };
	char path[600], *text;
	size_t len;
	json_t *tree;

	if (b->includes >= INCLUDES)
		return luaL_error(L, "include: nested deeper than %d", INCLUDES);
	snprintf(path, sizeof(path), "%s%s%s", *name == '/' ? "" : b->r->dir,
		*name == '/' || !*b->r->dir ? "" : "/", name);
	text = read_whole(path, CONFIG_BYTES, &len, &no);
	if (!text)
		return luaL_error(L, "include: %s\nhint: %s", no.why, no.hint);
	b->includes++;
	if (dot && !strcmp(dot, ".json")) {
		tree = config_read_json(b->r, path, text, len);
		free(text);
		if (!tree) {
			b->failed = true;
			return luaL_error(L, "include");
		}
		push_json(L, tree);
		json_decref(tree);
	} else if (run_text(L, path, text, len)) {
		return lua_error(L);
	}
	b->includes--;
	return 1;
}

static void push_json(lua_State *L, const json_t *v)
{
	const char *name;
	json_t *item;
	size_t i;

	luaL_checkstack(L, 4, "include");
	if (json_is_string(v))
		lua_pushlstring(L, json_string_value(v), json_string_length(v));
	else if (json_is_integer(v))
		lua_pushinteger(L, json_integer_value(v));
	else if (json_is_real(v))
		lua_pushnumber(L, json_real_value(v));
	else if (json_is_boolean(v))
		lua_pushboolean(L, json_is_true(v));
	else if (json_is_array(v) || json_is_object(v))
		lua_newtable(L);
	else
		lua_pushnil(L);
	json_array_foreach((json_t *)v, i, item) {
		push_json(L, item);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	json_object_foreach((json_t *)v, name, item) {
		push_json(L, item);
		lua_setfield(L, -2, name);
	}
}

/* Runs a chunk in the registry's environment; what it returned, or the message, is on the stack.  Frees text. */
static int run_text(lua_State *L, const char *path, const char *text, size_t len)
{
	struct box *b = box_of(L);
	char chunk[620];
	size_t mine = b->r->n;
	int rc;

	snprintf(chunk, sizeof(chunk), "@%s", path);
	rc = luaL_loadbufferx(L, text, len, chunk, "t");
	if (rc == LUA_OK && source_scan(b->r, path, text, false)) {
		b->failed = true;
		lua_pushliteral(L, "scan");
		rc = LUA_ERRRUN;
	}
	free((char *)text);
	if (rc != LUA_OK)
		return rc;
	lua_getfield(L, LUA_REGISTRYINDEX, "config.env");
	lua_setupvalue(L, -2, 1);
	rc = lua_pcall(L, 0, 1, 0);
	if (rc == LUA_OK)
		b->r->sources[mine].root = lua_topointer(L, -1);
	return rc;
}

/* ---- the environment */

static void copy_library(lua_State *L, const char *name, lua_CFunction open, const char *const *without)
{
	luaL_requiref(L, name, open, 0);
	for (; *without; without++) {
		lua_pushnil(L);
		lua_setfield(L, -2, *without);
	}
	lua_setfield(L, -2, name);
}

static int set_up(lua_State *L)
{
	static const char *const base[] = { "assert", "error", "ipairs", "next", "pairs", "select", "tonumber",
		"tostring", "type", NULL };
	static const char *const no_string[] = { "dump", NULL }, *const no_math[] = { "random", "randomseed", NULL },
		*const all[] = { NULL };
	static const luaL_Reg ours[] = { { "env", lua_env }, { "file", lua_file }, { "secret", lua_secret },
		{ "include", lua_include }, { NULL, NULL } };

	lua_newtable(L);
	luaL_requiref(L, "_G", luaopen_base, 0);
	for (size_t i = 0; base[i]; i++) {
		lua_getfield(L, -1, base[i]);
		lua_setfield(L, -3, base[i]);
	}
	lua_pop(L, 1);
	copy_library(L, "string", luaopen_string, no_string);
	copy_library(L, "table", luaopen_table, all);
	copy_library(L, "math", luaopen_math, no_math);
	luaL_setfuncs(L, ours, 0);
	lua_setfield(L, LUA_REGISTRYINDEX, "config.env");
	return 0;
}

/* ---- the tree.  Nothing here allocates in Lua, so nothing can raise. */

static json_t *to_json(lua_State *L, struct place *at, int depth);

static json_t *not_there(struct reading *r, lua_State *L, const struct place *at)
{
	const struct marker *m = lua_touserdata(L, -1);
	char from[220];

	if (lua_rawlen(L, -1) != sizeof(*m))
		return config_fail(r, at->text, NULL, "is no value"), NULL;
	snprintf(from, sizeof(from), "%s:%d", m->file, m->line);
	return config_absent(r, at->text, from, m->why, m->hint);
}

static json_t *list(lua_State *L, struct place *at, int depth, size_t n)
{
	json_t *out = json_array(), *item;

	for (size_t i = 0; i < n; i++) {
		size_t up = place_item(at, i);

		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		item = to_json(L, at, depth + 1);
		lua_pop(L, 1);
		if (!item || json_array_append_new(out, item)) {
			json_decref(out);
			return NULL;
		}
		place_up(at, up);
	}
	return out;
}

static json_t *mixed(struct reading *r, const struct place *at)
{
	config_fail(r, at->text, "a list has items only, a table has names only", "mixes list items and named members");
	return NULL;
}

static json_t *map(lua_State *L, struct place *at, int depth)
{
	struct reading *r = box_of(L)->r;
	json_t *out = json_object(), *item;

	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
		size_t up = name ? place_down(at, name) : 0;

		item = name ? to_json(L, at, depth + 1) : mixed(r, at);
		if (item && json_object_set_new(out, name, item)) {
			config_fail(r, at->text, NULL, "the name is not UTF-8");
			item = NULL;
		}
		if (!item) {
			lua_pop(L, 2);
			json_decref(out);
			return NULL;
		}
		place_up(at, up);
	}
	return out;
}

static json_t *table(lua_State *L, struct place *at, int depth)
{
	struct reading *r = box_of(L)->r;
	size_t n = lua_rawlen(L, -1), members = 0;

	for (size_t i = 0; i < r->n; i++)
		if (r->sources[i].root == lua_topointer(L, -1))
			snprintf(r->sources[i].prefix, sizeof(r->sources[i].prefix), "%.255s", at->text);
	if (depth > CONFIG_DEPTH || !lua_checkstack(L, 8)) {
		config_fail(r, at->text, "does a table hold itself?", "nested deeper than %d", CONFIG_DEPTH);
		return NULL;
	}
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		members++;
	if (n && members != n)
		return mixed(r, at);
	return n ? list(L, at, depth, n) : map(L, at, depth);
}

static json_t *to_json(lua_State *L, struct place *at, int depth)
{
	struct reading *r = box_of(L)->r;
	json_t *out = NULL;
	size_t len;
	const char *s;

	switch (lua_type(L, -1)) {
	case LUA_TTABLE:
		return table(L, at, depth);
	case LUA_TBOOLEAN:
		return json_boolean(lua_toboolean(L, -1));
	case LUA_TSTRING:
		s = lua_tolstring(L, -1, &len);
		out = json_stringn(s, len);
		break;
	case LUA_TNUMBER:
		out = lua_isinteger(L, -1) ? json_integer(lua_tointeger(L, -1)) : json_real(lua_tonumber(L, -1));
		break;
	case LUA_TUSERDATA:
		return not_there(r, L, at);
	default:
		break;
	}
	if (!out)
		config_fail(r, at->text, NULL, "a %s that is no valid value", lua_typename(L, lua_type(L, -1)));
	return out;
}

static json_t *result(lua_State *L, const char *path)
{
	struct place at = { "", 0 };

	if (!lua_istable(L, -1)) {
		fail(box_of(L)->r->err, MG_EINVAL, "%s: returns %s instead of a table\nhint: begin with: return {", path,
			luaL_typename(L, -1));
		return NULL;
	}
	return to_json(L, &at, 0);
}

json_t *config_read_lua(struct reading *r, const char *path, const char *text, size_t len)
{
	struct box box = { .r = r, .fuel = FUEL };
	lua_State *L = lua_newstate(limited, &box);
	char *copy = malloc(len + 1);
	json_t *out = NULL;

	if (!L || !copy) {
		fail(r->err, MG_ENOMEM, "%s: no memory", path);
		goto end;
	}
	memcpy(copy, text, len);
	copy[len] = 0;
	*(struct box **)lua_getextraspace(L) = &box;
	lua_pushcfunction(L, set_up);
	if (lua_pcall(L, 0, 0, 0) == LUA_OK) {
		lua_sethook(L, on_fuel, LUA_MASKCOUNT, FUEL_STEP);
		if (run_text(L, path, copy, len) == LUA_OK)
			out = result(L, path);
		else if (!box.failed)
			fail(r->err, MG_EINVAL, "%s", lua_tostring(L, -1) ? lua_tostring(L, -1) : "no reason given");
		copy = NULL;
	}
end:
	free(copy);
	if (L)
		lua_close(L);
	return out;
}
