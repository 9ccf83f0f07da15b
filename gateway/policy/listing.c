/*
 * listing.c - what GET /models shows of the models that policies answer for: a
 * router is in no catalogue.  Each policy says it once, when its bundle is
 * tried; whether anything stands behind it is the catalogue's of the moment.
 */
#include "policy/state.h"

enum { ROUTERS_MAX = 64, SLUG_MAX = 256 };

static bool text_at(lua_State *L, int i, const char *name, bool needed)
{
	int type = lua_getfield(L, i, name);

	lua_pop(L, 1);
	return type == LUA_TSTRING || (type == LUA_TNIL && !needed);
}

/* The names of the table on top; NULL: it is something else. */
static json_t *names_of(lua_State *L)
{
	int list = lua_gettop(L);
	json_t *out = table_at(L, list) ? json_array() : NULL;

	for (lua_Integer i = 1, n = out ? luaL_len(L, list) : 0; i <= n; i++) {
		json_t *name = lua_geti(L, list, i) == LUA_TSTRING ? json_string(lua_tostring(L, -1)) : NULL;

		lua_pop(L, 1);
		if (name && !json_array_append_new(out, name))
			continue;
		json_decref(out);
		return NULL;
	}
	return out;
}

/* { name, description, models } on top, for the slug below it. */
static int take_row(struct policy_state *s, const struct entry *e, json_t *all)
{
	static const char *const keys[] = { "name", "description", "models", NULL };
	lua_State *L = s->L;
	int row = lua_gettop(L);
	const char *slug = lua_type(L, row - 1) == LUA_TSTRING ? lua_tostring(L, row - 1) : NULL, *about;
	json_t *models, *out;

	if (!slug || !strchr(slug, '/') || strlen(slug) > SLUG_MAX || json_array_size(all) == ROUTERS_MAX)
		return refuse(s, "%s.lua: lists: each row stands under the name of a model, such as \"acme/best\"; at most %d", e->name, ROUTERS_MAX);
	if (!lua_istable(L, row) || !text_at(L, row, "name", true) || !text_at(L, row, "description", false))
		return refuse(s, "%s.lua: lists: %s: it is { name = \"...\", description = \"...\", models = { ... } }", e->name, slug);
	lua_pushnil(L);
	while (lua_next(L, row)) {
		if (lua_type(L, -2) != LUA_TSTRING || !is_one_of(lua_tostring(L, -2), keys))
			return refuse(s, "%s.lua: lists: %s: known members are name, description, models", e->name, slug);
		lua_pop(L, 1);
	}
	lua_getfield(L, row, "models");
	models = names_of(L);
	if (!models)
		return refuse(s, "%s.lua: lists: %s: models must be a list of names", e->name, slug);
	lua_getfield(L, row, "name");
	about = lua_getfield(L, row, "description") == LUA_TSTRING ? lua_tostring(L, -1) : "";
	out = json_pack("{s:s, s:s, s:s, s:o, s:s, s:s}", "slug", slug, "name", lua_tostring(L, -2), "description", about, "models", models,
		"scope", scope_names[e->scope], "id", e->scope_id);
	lua_settop(L, row);
	return out && !json_array_append_new(all, out) ? 0 : refuse(s, "%s.lua: lists: no memory, or no UTF-8", e->name);
}

/* What lists(my) of one line gives. */
static int take_lists(struct policy_state *s, const struct entry *e, json_t *all)
{
	lua_State *L = s->L;
	int top = lua_gettop(L), rc = 0;

	lua_rawgeti(L, LUA_REGISTRYINDEX, e->decl);
	if (lua_getfield(L, top + 1, "lists") == LUA_TNIL) {
		lua_settop(L, top);
		return 0;
	}
	if (!lua_isfunction(L, -1))
		return refuse(s, "%s.lua: lists must be a function (my)", e->name);
	lua_rawgeti(L, LUA_REGISTRYINDEX, e->my);
	if (sandbox_call(s, 1, 1, SETUP_FUEL, SETUP_BYTES))
		return -1;
	if (!lua_istable(L, -1))
		return refuse(s, "%s.lua: lists must return a table of rows by the name of a model", e->name);
	lua_pushnil(L);
	while (!rc && lua_next(L, top + 2)) {
		rc = take_row(s, e, all);
		lua_settop(L, top + 3);
	}
	lua_settop(L, top);
	return rc;
}

/* A line in shadow decides nothing; one for some of the keys, or that a request must name, is promised to nobody. */
int routers_take(struct policy_state *s, struct bundle *b)
{
	int rc = 0;

	json_decref(b->routers);
	b->routers = json_array();
	if (!b->routers)
		return refuse(s, "no memory");
	for (size_t i = 0; i < s->n_entries && !rc; i++)
		if (!s->entries[i].shadow && s->entries[i].share_bps == ALL_BPS && s->entries[i].scope != IN_REQUEST)
			rc = take_lists(s, &s->entries[i], b->routers);
	return rc;
}

static bool concerns_key(const json_t *row, const char *org, const char *workspace, const char *key)
{
	const char *scope = json_string_value(json_object_get(row, "scope")), *id = json_string_value(json_object_get(row, "id"));

	if (!strcmp(scope, scope_names[IN_ORG]))
		return !strcmp(id, org);
	if (!strcmp(scope, scope_names[IN_WORKSPACE]))
		return !strcmp(id, workspace);
	return strcmp(scope, scope_names[IN_KEY]) || !strcmp(id, key);
}

/* They stand in the order of their scopes: the narrowest one takes the place of the others. */
size_t bundle_routers(const struct bundle *b, const char *org, const char *workspace, const char *key, const json_t **out, size_t max)
{
	size_t n = 0, i;
	json_t *row;

	json_array_foreach(b->routers, i, row) {
		size_t k = 0;

		if (!concerns_key(row, org, workspace, key))
			continue;
		while (k < n && strcmp(json_string_value(json_object_get(out[k], "slug")), json_string_value(json_object_get(row, "slug"))))
			k++;
		if (k < max)
			out[k] = row;
		n += k == n && n < max;
	}
	return n;
}
