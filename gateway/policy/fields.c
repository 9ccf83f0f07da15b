/*
 * A C struct, field by field, as Lua values; and as the text that editors load.
 */
#include "base/config.h"
#include "policy/fields.h"

const char *const pct_names[] = { "p50", "p75", "p90", "p99", NULL }, *const price_names[] = { "prompt", "completion", "request", "image", "audio", NULL };
enum { PERCENTILES = 4, PRICES = 5 };
_Static_assert(offsetof(struct prefs, max_audio) == offsetof(struct prefs, max_prompt) + (PRICES - 1) * sizeof(struct number), "prices in a row");

static void push_text(lua_State *L, struct mg_str s, const char *otherwise)
{
	if (s.at && (s.len || !otherwise))
		lua_pushlstring(L, s.at, s.len);
	else
		lua_pushstring(L, otherwise ? otherwise : "");
}

static void empty_push(lua_State *L)
{
	lua_getfield(L, LUA_REGISTRYINDEX, "empty");
}

static void push_words(lua_State *L, const struct words *w)
{
	if (!w->n) {
		empty_push(L);
		return;
	}
	lua_createtable(L, (int)w->n, 0);
	for (size_t i = 0; i < w->n; i++) {
		push_text(L, w->at[i], NULL);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	proxy_push(L, SIGHT_PLAIN);
}

static void push_set(lua_State *L, const struct words *w)
{
	if (!w->n) {
		empty_push(L);
		return;
	}
	lua_createtable(L, 0, (int)w->n);
	for (size_t i = 0; i < w->n; i++) {
		push_text(L, w->at[i], NULL);
		lua_pushboolean(L, 1);
		lua_rawset(L, -3);
	}
	proxy_push(L, SIGHT_PLAIN);
}

static void push_pairs(lua_State *L, const struct words *w)
{
	if (w->n < 2) {
		empty_push(L);
		return;
	}
	lua_createtable(L, 0, (int)w->n / 2);
	for (size_t i = 0; i + 1 < w->n; i += 2) {
		push_text(L, w->at[i], NULL);
		push_text(L, w->at[i + 1], NULL);
		lua_rawset(L, -3);
	}
	proxy_push(L, SIGHT_PLAIN);
}

static void number_in(lua_State *L, const char *name, const struct number *n)
{
	if (n->set) {
		lua_pushnumber(L, n->n);
		lua_setfield(L, -2, name);
	}
}

size_t numbers_of(const struct field *f)
{
	return f->kind == K_PRICES ? PRICES : PERCENTILES;
}

static bool none_set(const struct number *at, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any |= at[i].set;
	return !any;
}

static void push_numbers(lua_State *L, const struct number *at, size_t n, const char *const *names)
{
	if (none_set(at, n)) {
		empty_push(L);
		return;
	}
	lua_createtable(L, 0, (int)n);
	for (size_t i = 0; i < n; i++)
		number_in(L, names[i], &at[i]);
	proxy_push(L, SIGHT_PLAIN);
}

static lua_Integer clamp(uint64_t n)
{
	return n < INT64_MAX ? (lua_Integer)n : INT64_MAX;
}

void field_push(lua_State *L, const struct field *f, const void *thing)
{
	const void *at = (const char *)thing + f->at;
	uint64_t n;

	switch (f->kind) {
	case K_STR: push_text(L, *(const struct mg_str *)at, f->otherwise); break;
	case K_CSTR: {
		const char *text = *(char *const *)at;

		lua_pushstring(L, text && *text ? text : f->otherwise ? f->otherwise : "");
		break;
	}
	case K_U64: lua_pushinteger(L, clamp(*(const uint64_t *)at)); break;
	case K_I64: lua_pushinteger(L, *(const int64_t *)at); break;
	case K_INT: lua_pushinteger(L, *(const int *)at); break;
	case K_BOOL: lua_pushboolean(L, *(const bool *)at); break;
	case K_NUMBER: lua_pushnumber(L, *(const double *)at); break;
	case K_WORDS: push_words(L, at); break;
	case K_SET: push_set(L, at); break;
	case K_PAIRS: push_pairs(L, at); break;
	case K_DENY: lua_pushstring(L, *(const bool *)at ? "deny" : "allow"); break;
	case K_CUTS: push_numbers(L, at, PERCENTILES, pct_names); break;
	case K_PRICES: push_numbers(L, at, PRICES, price_names); break;
	case K_KNOWN:
		n = *(const uint64_t *)at;
		lua_pushinteger(L, n ? clamp(n) : INT64_MAX);
		break;
	case K_USUAL: lua_pushboolean(L, prefs_usual(at)); break;
	case K_MAKE: f->make(L, thing); break;
	case K_LATER: lua_pushnil(L); break;
	}
}

void fields_set(lua_State *L, const struct field *f, const void *thing)
{
	for (; f->name; f++) {
		if (f->kind == K_LATER)
			continue;
		field_push(L, f, thing);
		lua_setfield(L, -2, f->name);
	}
}

const struct field *field_named(const struct field *f, const char *name)
{
	while (f->name && strcmp(f->name, name))
		f++;
	return f->name ? f : NULL;
}

void fields_names(const struct field *f, const char **out, size_t max)
{
	const char **end = out + max;

	for (; f->name && out < end; f++)
		if (f->kind != K_USUAL)
			*out++ = f->name;
	*out = NULL;
}

static const char *nth_name(const void *arg, size_t i)
{
	return ((const struct field *)arg)[i].name;
}

static int missing(lua_State *L, const char *of, const char *name, const char *like)
{
	char short_name[61], hint[MEANT_BYTES];

	words_plain(name, strlen(name), short_name, sizeof(short_name));
	return luaL_error(L, "%s has no member '%s'%s", of, short_name, meant(like, hint));
}

int field_missing(lua_State *L, const char *of, const struct field *fields, const char *name)
{
	return missing(L, of, name, config_nearest(name, nth_name, fields));
}

/* Upvalues: what it is, and what it may lack. */
static int on_missing(lua_State *L)
{
	const char *const *lacks = lua_touserdata(L, lua_upvalueindex(2));
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;

	if (!name || (lacks && is_one_of(name, lacks)))
		return 0;
	return missing(L, lua_tostring(L, lua_upvalueindex(1)), name, keys_nearest(L, 1, name));
}

void record_close(lua_State *L, const char *what, const char *const *lacks)
{
	char key[60];

	snprintf(key, sizeof(key), "closed %s", what);
	if (luaL_newmetatable(L, key)) {
		lua_pushstring(L, what);
		lua_pushlightuserdata(L, (void *)lacks);
		lua_pushcclosure(L, on_missing, 2);
		lua_setfield(L, -2, "__index");
	}
	lua_setmetatable(L, -2);
}

bool field_usual(const struct field *f, const void *at, const void *blank)
{
	const struct mg_str *s = at;

	switch (f->kind) {
	case K_STR: return !s->at || !s->len || (f->otherwise && mg_is(*s, f->otherwise));
	case K_U64: case K_I64: return !*(const uint64_t *)at;
	case K_BOOL: case K_DENY: return *(const bool *)at == *(const bool *)blank;
	case K_WORDS: case K_SET: case K_PAIRS: return !((const struct words *)at)->n;
	case K_CUTS: case K_PRICES: return none_set(at, numbers_of(f));
	default: return true;
	}
}

/* ---- as bytes */

static int image_text(struct mg_str s, char *out, size_t size)
{
	uint16_t len = s.at ? (uint16_t)s.len : 0;

	if (s.len > UINT16_MAX || s.len + sizeof(len) > size)
		return -1;
	memcpy(out, &len, sizeof(len));
	if (len)
		memcpy(out + sizeof(len), s.at, len);
	return (int)(len + sizeof(len));
}

static int image_words(const struct words *w, char *out, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < w->n; i++) {
		int n = image_text(w->at[i], out + len, size - len);

		if (n < 0)
			return -1;
		len += (size_t)n;
	}
	return (int)len;
}

static int image_numbers(const struct number *at, size_t n, char *out, size_t size)
{
	size_t len = 1;

	if (size < 1 + n * sizeof(double))
		return -1;
	*out = 0;
	for (size_t i = 0; i < n; i++)
		if (at[i].set) {
			*out = (char)(*out | 1 << i);
			memcpy(out + len, &at[i].n, sizeof(double));
			len += sizeof(double);
		}
	return (int)len;
}

int field_image(const struct field *f, const void *thing, char *out, size_t size)
{
	const void *at = (const char *)thing + f->at;

	switch (f->kind) {
	case K_U64: case K_I64: case K_NUMBER: case K_KNOWN:
		if (size < 8)
			return -1;
		memcpy(out, at, 8);
		return 8;
	case K_BOOL: case K_DENY:
		if (!size)
			return -1;
		*out = *(const bool *)at;
		return 1;
	case K_USUAL:
		if (!size)
			return -1;
		*out = prefs_usual(at);
		return 1;
	case K_STR: return image_text(*(const struct mg_str *)at, out, size);
	case K_WORDS: case K_SET: case K_PAIRS: return image_words(at, out, size);
	case K_CUTS: case K_PRICES: return image_numbers(at, numbers_of(f), out, size);
	default: return -1;
	}
}

/* ---- moongate.d.lua */

static void class_say(const char *name, const struct field *f, void (*say)(void *, const char *), void *arg)
{
	char line[400];

	snprintf(line, sizeof(line), "\n---@class %s", name);
	say(arg, line);
	for (; f->name; f++) {
		snprintf(line, sizeof(line), "---@field %s %s%s%s", f->name, f->type, *f->about ? "  " : "", f->about);
		say(arg, line);
	}
}

static void rates_say(const char *name, const char *type, void (*say)(void *, const char *), void *arg)
{
	char line[120];

	snprintf(line, sizeof(line), "\n---@class %s", name);
	say(arg, line);
	for (enum rate r = 0; r < RATE_COUNT; r++) {
		snprintf(line, sizeof(line), "---@field %s %s", rate_names[r], type);
		say(arg, line);
	}
}

void types_say(void (*say)(void *arg, const char *line), void *arg)
{
	class_say("Prefs", prefs_fields, say, arg);
	class_say("KeyInfo", key_fields, say, arg);
	class_say("Features", feat_fields, say, arg);
	class_say("Request", req_fields, say, arg);
	class_say("Endpoint", endpoint_fields, say, arg);
	class_say("Live", live_fields, say, arg);
	class_say("Usage", usage_fields, say, arg);
	rates_say("Usd", "number", say, arg);
	rates_say("Rates", "Rate", say, arg);
	say(arg, "---@field overrides {min_prompt_tokens?:integer,utc_start?:integer,utc_end?:integer,rates:table<string,Rate>}[]");
}
