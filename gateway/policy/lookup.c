/*
 * lookup(name, arg, fallback): a policy asks a service that the configuration
 * names.  It can say what to ask, never whom: the argument goes as a JSON body,
 * or as the one member of the query that is declared.  What came is kept for
 * its ttl, for all workers; each reading is a fact of the decision.
 */
#include <math.h>
#include <pthread.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "policy/state.h"

enum { ARG_MAX_BYTES = 4096, ARG_DEPTH = 8, ANSWER_DEPTH = 16, SHARDS = 16, SLOTS = 64, PLACES = 8 };

/* ---- what is asked, as JSON */

static void put(lua_State *L, struct buf *b, int i, int depth);

static void put_number(lua_State *L, struct buf *b, int i)
{
	char text[40];

	if (lua_isinteger(L, i)) {
		buf_print(b, "%lld", (long long)lua_tointeger(L, i));
		return;
	}
	if (!isfinite(lua_tonumber(L, i)))
		luaL_error(L, "lookup: the argument has a number that JSON cannot say");
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, lua_tonumber(L, i));
		if (strtod(text, NULL) == lua_tonumber(L, i))
			break;
	}
	buf_text(b, text);
}

/* The table on top, and its keys in order above it. */
static void put_members(lua_State *L, struct buf *b, int depth)
{
	int at = lua_gettop(L);
	unsigned types;
	lua_Integer n = keys_of(L, at, &types);

	if (types & ~(1u << LUA_TSTRING))
		luaL_error(L, "lookup: the argument has a table that is neither a list nor has only names");
	keys_sort(L, at + 1, n);
	buf_put(b, "{", 1);
	for (lua_Integer k = 1; k <= n; k++) {
		lua_rawgeti(L, at + 1, k);
		if (k > 1)
			buf_put(b, ",", 1);
		json_quote(b, (struct mg_str){ lua_tostring(L, -1), lua_rawlen(L, -1) });
		buf_put(b, ":", 1);
		lua_rawget(L, at);
		put(L, b, lua_gettop(L), depth);
		lua_settop(L, at + 1);
	}
	buf_put(b, "}", 1);
	lua_settop(L, at);
}

static void put_table(lua_State *L, struct buf *b, int i, int depth)
{
	lua_Integer n;

	if (depth > ARG_DEPTH)
		luaL_error(L, "lookup: the argument is nested more than %d deep", ARG_DEPTH);
	luaL_checkstack(L, 12, "lookup");
	bare_push(L, i);
	n = (lua_Integer)lua_rawlen(L, -1);
	if (n) {
		buf_put(b, "[", 1);
		for (lua_Integer k = 1; k <= n; k++) {
			if (k > 1)
				buf_put(b, ",", 1);
			burn(L, 2);
			lua_rawgeti(L, -1, k);
			put(L, b, lua_gettop(L), depth);
			lua_pop(L, 1);
		}
		buf_put(b, "]", 1);
	} else {
		put_members(L, b, depth);
	}
	lua_pop(L, 1);
}

/* b is on the stack of the caller: nothing is lost when this raises. */
static void put(lua_State *L, struct buf *b, int i, int depth)
{
	if (b->failed)
		luaL_error(L, "lookup: the argument is longer than %d bytes", ARG_MAX_BYTES);
	switch (lua_type(L, i)) {
	case LUA_TNIL:
		buf_text(b, "null");
		break;
	case LUA_TBOOLEAN:
		buf_text(b, lua_toboolean(L, i) ? "true" : "false");
		break;
	case LUA_TNUMBER:
		put_number(L, b, i);
		break;
	case LUA_TSTRING:
		burn(L, lua_rawlen(L, i) / 8);
		json_quote(b, (struct mg_str){ lua_tostring(L, i), lua_rawlen(L, i) });
		break;
	case LUA_TTABLE:
	case LUA_TUSERDATA:
		put_table(L, b, i, depth + 1);
		break;
	default:
		luaL_error(L, "lookup: a %s cannot be sent", kind_name(L, i));
	}
}

/* ---- what comes back */

/* A list with null in it has no length in Lua. */
static bool sayable(const json_t *v, int depth)
{
	const char *name;
	json_t *part;
	size_t i;

	if (depth > ANSWER_DEPTH)
		return false;
	json_array_foreach(v, i, part)
		if (json_is_null(part) || !sayable(part, depth + 1))
			return false;
	json_object_foreach((json_t *)(uintptr_t)v, name, part)
		if (!sayable(part, depth + 1))
			return false;
	return true;
}

static void decref(void *v) { json_decref(v); }

json_t *answer_read(struct pool *p, struct mg_str text, const char **error)
{
	json_t *v = text.len <= ANSWER_MAX ? json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL) : NULL;

	*error = text.len > ANSWER_MAX ? "too_large" : "json";
	if (!v || pool_defer(p, decref, v) != MG_OK || !sayable(v, 0))
		return NULL;
	*error = NULL;
	return v;
}

/* What is a member's null is not there. */
static void push(lua_State *L, const json_t *v)
{
	const char *name;
	json_t *part;
	size_t i;

	luaL_checkstack(L, 4, "lookup");
	burn(L, 4);
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		lua_createtable(L, 0, (int)json_object_size(v));
		json_object_foreach((json_t *)(uintptr_t)v, name, part) {
			push(L, part);
			lua_setfield(L, -2, name);
		}
		break;
	case JSON_ARRAY:
		lua_createtable(L, (int)json_array_size(v), 0);
		json_array_foreach(v, i, part) {
			push(L, part);
			lua_rawseti(L, -2, (lua_Integer)i + 1);
		}
		break;
	case JSON_STRING:
		lua_pushlstring(L, json_string_value(v), json_string_length(v));
		break;
	case JSON_INTEGER:
		lua_pushinteger(L, json_integer_value(v));
		break;
	case JSON_REAL:
		lua_pushnumber(L, json_real_value(v));
		break;
	case JSON_NULL:
		lua_pushnil(L);
		break;
	default:
		lua_pushboolean(L, json_is_true(v));
	}
}

/* ---- answers that are kept: one a process; what is oldest in its places gives way */

struct kept_answer { uint64_t hash, until_ms; size_t key, len; char *text; };	/* text: the key, then what was said */
static struct { pthread_mutex_t lock; struct kept_answer slots[SLOTS]; } kept[SHARDS] = { [0 ... SHARDS - 1] = { .lock = PTHREAD_MUTEX_INITIALIZER } };

static const char *word(const json_t *call, const char *name)
{
	const char *text = json_string_value(json_object_get(call, name));

	return text ? text : "";
}

/* Another URL is another service. */
static struct mg_str key_of(struct pool *p, const struct question *q)
{
	return pool_print(p, "%s\n%s\n%.*s", word(q->call, "method"), word(q->call, "url"), (int)q->arg.len, q->arg.at);
}

static struct mg_str kept_find(struct pool *p, struct mg_str key)
{
	uint64_t hash = hash64(key.at, key.len, 3), now = clock_ms();
	struct mg_str out = { 0 };

	pthread_mutex_lock(&kept[hash % SHARDS].lock);
	for (size_t i = 0; i < PLACES; i++) {
		struct kept_answer *a = &kept[hash % SHARDS].slots[((hash >> 8) + i) % SLOTS];

		if (a->text && a->hash == hash && a->until_ms > now && a->key == key.len && !memcmp(a->text, key.at, key.len))
			out = pool_dup(p, (struct mg_str){ a->text + a->key, a->len });
	}
	pthread_mutex_unlock(&kept[hash % SHARDS].lock);
	return out;
}

static void kept_put(struct mg_str key, struct mg_str text, uint64_t ttl_ms)
{
	uint64_t hash = hash64(key.at, key.len, 3);
	char *copy = malloc(key.len + text.len + 1);
	struct kept_answer *first = NULL;

	if (!copy)
		return;
	memcpy(copy, key.at, key.len);
	memcpy(copy + key.len, text.at, text.len);
	pthread_mutex_lock(&kept[hash % SHARDS].lock);
	for (size_t i = 0; i < PLACES; i++) {
		struct kept_answer *a = &kept[hash % SHARDS].slots[((hash >> 8) + i) % SLOTS];

		if (a->text && a->hash == hash && a->key == key.len && !memcmp(a->text, key.at, key.len)) {
			first = a;
			break;
		}
		if (!first || a->until_ms < first->until_ms)
			first = a;
	}
	free(first->text);
	*first = (struct kept_answer){ hash, clock_ms() + ttl_ms, key.len, text.len, copy };
	pthread_mutex_unlock(&kept[hash % SHARDS].lock);
}

void answer_keep(const struct waiting *w, struct mg_str text)
{
	json_int_t ttl_ms = json_integer_value(json_object_get(w->question.call, "ttl"));

	if (ttl_ms > 0 && w->key.at)
		kept_put(w->key, text, (uint64_t)ttl_ms);
}

/* ---- lookup() */

static int told(lua_State *L, const char *name, struct mg_str arg, const json_t *v, const char *error, const char *how)
{
	struct policy_state *s = state_of(L);
	char *text = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	struct mg_str value = text ? pool_print(s->d->pool, "{\"is\":%s}", text) : pool_print(s->d->pool, "{\"error\":\"%s\"}", error);

	free(text);
	if (value.at)
		reading_note(s, "lookup", name, arg, value);
	hook_note(s->d, s->hook, s->entry, "lookup %s: %s", name, error ? error : how);
	if (!error) {
		push(L, v);
		return 1;
	}
	lua_pushvalue(L, 3);
	lua_pushstring(L, error);
	return 2;
}

static int answered(lua_State *L, int status, lua_KContext unused)
{
	const struct waiting *w = state_of(L)->waiting;

	(void)status;
	(void)unused;
	lua_settop(L, 3);
	return told(L, w->name, w->question.arg, w->answer, w->error, "answered");
}

static uint64_t patience_ms(const struct policy_state *s, const json_t *call)
{
	uint64_t waited_us = s->d->waited_us[s->hook == HOOK_RESOLVE], ms = (uint64_t)json_integer_value(json_object_get(call, "timeout"));
	uint64_t left_ms = waited_us < LOOKUPS_US ? (LOOKUPS_US - waited_us) / 1000 : 0;

	return ms < left_ms ? ms : left_ms;
}

/* When the decision is made again: {"is":...} or {"error":"..."}, as told() put it down. */
static int told_again(lua_State *L, const char *name, struct mg_str arg, struct mg_str said)
{
	json_t *then = json_loadb(said.at, said.len, 0, NULL), *is = json_object_get(then, "is");
	const char *error = json_string_value(json_object_get(then, "error"));

	if (!then || pool_defer(state_of(L)->d->pool, decref, then) != MG_OK)
		return luaL_error(L, "no memory");
	return told(L, name, arg, is, is ? NULL : error ? error : "json", "answered");
}

static int ask(lua_State *L, const char *name, struct mg_str arg)
{
	struct policy_state *s = state_of(L);
	struct decision *d = s->d;
	const json_t *call = json_object_get(json_object_get(json_object_get(d->conf, "policy"), "lookups"), name);
	struct question q = { call, arg, 0 };
	struct mg_str key, text;
	const char *error;
	json_t *v;

	key = reading_given(s, "lookup", name, arg);
	if (key.at)
		return told_again(L, name, arg, key);
	if (!call)
		return told(L, name, arg, NULL, "unconfigured", NULL);
	key = key_of(d->pool, &q);
	text = key.at ? kept_find(d->pool, key) : key;
	v = text.at ? answer_read(d->pool, text, &error) : NULL;
	if (v)
		return told(L, name, arg, v, NULL, "kept");
	if (s->entry->shadow || d->denied || s->n_waiting >= WAITING_MAX)
		return told(L, name, arg, NULL, s->entry->shadow ? "shadow" : d->denied ? "denied" : "busy", NULL);
	q.ms = patience_ms(s, call);
	if (!q.ms)
		return told(L, name, arg, NULL, "timeout", NULL);
	if (!s->waiting || !lua_isyieldable(L))
		return luaL_error(L, "lookup: call it by its name, and not within a function that another one calls, such as a comparison of table.sort");
	s->waiting->question = q;
	s->waiting->key = key;
	s->waiting->name = pool_dup(d->pool, (struct mg_str){ name, strlen(name) }).at;
	return lua_yieldk(L, 0, 0, answered);
}

static int l_lookup(lua_State *L)
{
	struct policy_state *s = state_of(L);
	const char *name = luaL_checkstring(L, 1);
	char text[ARG_MAX_BYTES];
	struct buf b = buf_on(text, sizeof(text));
	struct mg_str arg;

	s->impure = true;
	if (s->hook != HOOK_ADMIT && s->hook != HOOK_RESOLVE)
		return luaL_error(L, "lookup() may be used only in admit and resolve");
	if (lua_gettop(L) < 3)
		return luaL_error(L, "lookup: a third argument is needed: what to go on with when there is no answer");
	if (++s->looked > LOOKUPS_MAX && !s->testing)
		return luaL_error(L, "lookup: more than %d in one hook", LOOKUPS_MAX);
	lua_settop(L, 3);
	put(L, &b, 2, 0);
	if (b.failed)
		return luaL_error(L, "lookup: the argument is longer than %d bytes", ARG_MAX_BYTES);
	if (s->testing || !s->d || !s->entry) {
		scratch_push(L, "lookups", name);
		if (!lua_isnil(L, -1))
			return 1;
		lua_pushvalue(L, 3);
		lua_pushliteral(L, "timeout");
		return 2;
	}
	arg = pool_dup(s->d->pool, buf_view(&b));
	return arg.at ? ask(L, name, arg) : luaL_error(L, "no memory");
}

void lookup_open(lua_State *L, int names)
{
	lua_pushcfunction(L, l_lookup);
	lua_setfield(L, names, "lookup");
}

static bool speaks_of(const struct source *f) { return strstr(f->text, "lookup") != NULL; }

bool lookup_named(const struct bundle *b, const char *name)
{
	const struct source *own = bundle_file(b, name);

	if (own && speaks_of(own))
		return true;
	for (size_t i = 0; i < b->n_files; i++)
		if (strstr(b->files[i].text, "library") && speaks_of(&b->files[i]))
			return true;
	return false;
}
