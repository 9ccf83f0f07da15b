/*
 * What a shape changes of the request's parameters: a short list of them, as JSON.
 */
#include "policy/state.h"

static const char *const may_shape[] = { "max_tokens", "temperature", "reasoning", "verbosity", "service_tier", "store", "user",
	"metadata", "seed", "stop", "logit_bias", "parallel_tool_calls", NULL };

static json_t *to_json(lua_State *L, int i, int depth);

static json_t *list_json(lua_State *L, int i, lua_Integer n, int depth)
{
	json_t *list = json_array();

	for (lua_Integer k = 1; list && k <= n; k++) {
		json_t *item;

		lua_rawgeti(L, i, k);
		item = to_json(L, lua_gettop(L), depth + 1);
		lua_pop(L, 1);
		if (!item || json_array_append_new(list, item)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *object_json(lua_State *L, int i, int depth)
{
	json_t *object = json_object();

	lua_pushnil(L);
	while (object && lua_next(L, i)) {
		json_t *value = lua_type(L, -2) == LUA_TSTRING ? to_json(L, lua_gettop(L), depth + 1) : NULL;

		if (!value || json_object_set_new(object, lua_tostring(L, -2), value)) {
			lua_pop(L, 2);
			json_decref(object);
			return NULL;
		}
		lua_pop(L, 1);
	}
	return object;
}

static json_t *to_json(lua_State *L, int i, int depth)
{
	json_t *out = NULL;

	if (depth > 8 || !lua_checkstack(L, 8))
		return NULL;
	switch (lua_type(L, i)) {
	case LUA_TBOOLEAN: return json_boolean(lua_toboolean(L, i));
	case LUA_TSTRING: return json_stringn(lua_tostring(L, i), lua_rawlen(L, i));
	case LUA_TNUMBER: return lua_isinteger(L, i) ? json_integer(lua_tointeger(L, i)) : json_real(lua_tonumber(L, i));
	case LUA_TUSERDATA:
		bare_push(L, i);
		out = to_json(L, lua_gettop(L), depth);
		lua_pop(L, 1);
		return out;
	case LUA_TTABLE:
		return lua_rawlen(L, i) ? list_json(L, i, (lua_Integer)lua_rawlen(L, i), depth) : object_json(L, i, depth);
	default: return NULL;
	}
}

static struct mg_str json_of(lua_State *L, int i, struct pool *p)
{
	json_t *value = to_json(L, i, 0);
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;
	struct mg_str out = { NULL, 0 };

	if (text)
		out = pool_dup(p, (struct mg_str){ text, strlen(text) });
	free(text);
	json_decref(value);
	return out;
}

/* A later policy's word about a member takes the place of an earlier one's. */
static int edit(struct shape *out, struct pool *p, const char *name, struct mg_str value)
{
	size_t i = 0;

	while (i < out->n && !mg_is(out->edits[i].name, name))
		i++;
	if (i == sizeof(out->edits) / sizeof(out->edits[0]))
		return -1;
	out->edits[i].name = pool_dup(p, (struct mg_str){ name, strlen(name) });
	out->edits[i].value = value;
	if (i == out->n)
		out->n++;
	return out->edits[i].name.at ? 0 : -1;
}

static int sets_read(lua_State *L, int i, struct decision *d, struct shape *out)
{
	int rc = 0;

	lua_pushnil(L);
	while (!rc && lua_next(L, i)) {
		const char *name = lua_tostring(L, -2);		/* one of may_shape */
		struct mg_str value = json_of(L, lua_gettop(L), d->pool);

		rc = value.at ? edit(out, d->pool, name, value) : answer_odd(L, "set.%s is nothing that JSON can say, or nested more than 8 deep", name);
		lua_pop(L, rc ? 2 : 1);
	}
	return rc;
}

static int by_name(const void *a, const void *b)
{
	const struct mg_str *x = &((const struct shape_edit *)a)->name, *y = &((const struct shape_edit *)b)->name;

	return strcmp(x->at ? x->at : "", y->at ? y->at : "");
}

static int drops_read(lua_State *L, int i, struct decision *d, struct shape *out)
{
	struct words drops = { NULL, 0 };
	bool given;
	int rc = words_named(L, i, "drop", d->pool, &drops, &given);

	for (size_t k = 0; !rc && k < drops.n; k++)
		rc = is_one_of(drops.at[k].at, may_shape) ? edit(out, d->pool, drops.at[k].at, (struct mg_str){ NULL, 0 })
			: answer_odd(L, "drop has '%.60s', which no shape may change", drops.at[k].at);
	return rc;
}

int shape_read(lua_State *L, int i, struct decision *d, struct shape *out)
{
	static const char *const members[] = { "set", "drop", NULL };
	int top = lua_gettop(L), rc;

	answer_begin(state_of(L));
	if (!lua_istable(L, i))
		return -1;
	rc = answer_only(L, i, "what shape returns", members);
	if (!rc && answer_field(L, i, "set") != LUA_TNIL) {
		if (!lua_istable(L, -1))
			rc = answer_odd(L, "set must be a table of parameters");
		else if (!answer_only(L, lua_gettop(L), "what shape may set", may_shape))
			rc = sets_read(L, lua_gettop(L), d, out);
		else
			rc = -1;
	}
	if (!rc)
		rc = drops_read(L, i, d, out);
	qsort(out->edits, out->n, sizeof(out->edits[0]), by_name);	/* a table has no order of its own */
	lua_settop(L, top);
	return rc;
}
