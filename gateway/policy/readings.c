/*
 * What policies read besides the request and its endpoints: limits, counters, budgets,
 * who answered last, lookups.  Each answer is kept with its question, so that the decision
 * can be made again; then it is given back, to the same question, in the same order.
 */
#include "policy/record.h"

enum { READINGS_MAX = 500 };

/* ---- values: none of these is a table; what is no value is null */

static void put_lua(lua_State *L, struct buf *b, int i)
{
	size_t len;
	const char *text;

	switch (lua_type(L, i)) {
	case LUA_TBOOLEAN: buf_text(b, lua_toboolean(L, i) ? "true" : "false"); break;
	case LUA_TSTRING:
		text = lua_tolstring(L, i, &len);
		put_quoted(b, (struct mg_str){ text, len });
		break;
	case LUA_TNUMBER:
		if (lua_isinteger(L, i))
			put_int(b, lua_tointeger(L, i));
		else
			buf_print(b, "%.17g", lua_tonumber(L, i));
		break;
	default: LIT(b, "null");
	}
}

static void put_values(lua_State *L, struct buf *b, int first, int n)
{
	for (int i = 0; i < n; i++) {
		if (i)
			LIT(b, ",");
		put_lua(L, b, first + i);
	}
}

static void push_json(lua_State *L, struct pool *p, struct mg_view v)
{
	struct mg_str text;

	switch (json_kind(v)) {
	case MG_TRUE: case MG_FALSE: lua_pushboolean(L, json_kind(v) == MG_TRUE); break;
	case MG_STRING:
		text = json_text(p, v);
		lua_pushlstring(L, text.at ? text.at : "", text.len);
		break;
	case MG_NUMBER:
		text = pool_dup(p, json_raw(v));
		if (!text.at || !lua_stringtonumber(L, text.at))
			lua_pushnil(L);
		break;
	default: lua_pushnil(L);
	}
}

/* ---- keeping and giving back */

static bool same(const struct consulted *r, const char *function, struct mg_str asked)
{
	return !strcmp(r->function, function) && r->asked.len == asked.len && !memcmp(r->asked.at, asked.at, asked.len);
}

static struct consulted *find(struct consulted *list, const char *function, struct mg_str asked, bool last)
{
	struct consulted *found = NULL;

	for (struct consulted *r = list; r; r = r->next)
		if (same(r, function, asked) && (last || !r->given)) {
			found = r;
			if (!last)
				break;
		}
	return found;
}

static int push_said(lua_State *L, struct pool *p, const struct consulted *r)
{
	struct mg_view all;
	struct err err;
	struct mg_str text = pool_print(p, "[%.*s]", (int)r->said.len, r->said.at);
	int n = 0;

	if (!text.at || json_parse(p, text, &all, &err))
		return luaL_error(L, "no memory for a reading");
	for (struct mg_view v = json_at(all, 0); json_kind(v) != MG_ABSENT; v = json_next(v), n++)
		push_json(L, p, v);
	return n;
}

static void keep(struct decision *d, const char *function, struct mg_str asked, struct mg_str said)
{
	struct consulted *r = d->n_readings < READINGS_MAX ? pool_alloc(d->pool, sizeof(*r)) : NULL;

	asked = pool_dup(d->pool, asked);
	said = pool_dup(d->pool, said);
	if (!r || !asked.at || !said.at)
		return;
	d->n_readings++;
	*r = (struct consulted){ .function = function, .asked = asked, .said = said };
	*d->readings_end = r;
	d->readings_end = &r->next;
}

/* Nobody's decision; observe and policies in shadow decide nothing. */
static struct decision *deciding(struct policy_state *s)
{
	return s->testing || s->hook == HOOK_OBSERVE || s->hook == HOOK_NONE || (s->entry && s->entry->shadow) ? NULL : s->d;
}

/* What came before decides these: a record knows the answer to what was asked then, and as things went then. */
static bool of_history(const char *function)
{
	return !strncmp(function, "limit.", 6) || !strncmp(function, "counter.", 8) || !strncmp(function, "budget.", 7);
}

/* What is spent is not what it was: a purse tells it. */
static bool purse_tells(const struct decision *d, const char *function, struct mg_str asked)
{
	static const char *const elsewhere[] = { "\"byok_list\"", "\"workspace\"" };
	bool told = d->purse && !strncmp(function, "budget.", 7);

	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		told &= asked.len < strlen(elsewhere[i]) || memcmp(asked.at, elsewhere[i], strlen(elsewhere[i])) != 0;
	return told;
}

static struct consulted *find_given(struct policy_state *s, struct decision *d, const char *function, struct mg_str asked)
{
	struct consulted *r = d->given && !purse_tells(d, function, asked) ? find(d->given, function, asked, false) : NULL;

	if (r)
		r->given = true;
	s->strayed |= s->replaying && of_history(function) && (!r || !strncmp(function, "budget.", 7));
	return r;
}

int reading(lua_State *L, const char *function, int n_asked, lua_CFunction live)
{
	struct policy_state *s = state_of(L);
	struct decision *d = deciding(s);
	struct consulted *before = NULL;
	struct buf *b = &s->reading;
	struct mg_str asked;
	size_t len;
	int n, top;

	s->impure = true;
	s->read_of = "";
	s->read = function;
	if (!d)
		return live(L);
	buf_reset(b);
	put_values(L, b, 1, n_asked);
	len = b->len;
	asked = (struct mg_str){ b->at, len };
	if (b->failed)
		return luaL_error(L, "%s: what is asked is too long", function);
	if (s->again)
		before = find(d->readings, function, asked, true);
	else if (d->given || s->replaying)
		before = find_given(s, d, function, asked);
	n = before ? push_said(L, d->pool, before) : live(L);
	if (s->again)
		return n;
	top = lua_gettop(L);
	put_values(L, b, top - n + 1, n);
	if (!b->failed)
		keep(d, function, (struct mg_str){ b->at, len }, (struct mg_str){ b->at + len, b->len - len });
	return n;
}

/* The name as a string, and the rest. */
static struct mg_str named(struct policy_state *s, const char *name, struct mg_str arg)
{
	buf_reset(&s->reading);
	put_word(&s->reading, name);
	LIT(&s->reading, ",");
	put(&s->reading, arg.at, arg.len);
	return s->reading.failed ? (struct mg_str){ 0 } : buf_view(&s->reading);
}

void reading_note(struct policy_state *s, const char *function, const char *name, struct mg_str arg, struct mg_str said)
{
	struct decision *d = deciding(s);
	struct mg_str asked = named(s, name, arg);

	if (d && asked.at)
		keep(d, function, asked, said);
}

struct mg_str reading_given(struct policy_state *s, const char *function, const char *name, struct mg_str arg)
{
	struct decision *d = deciding(s);
	struct mg_str asked = named(s, name, arg);
	struct consulted *r = d && asked.at ? find(d->given, function, asked, false) : NULL;

	if (!r)
		return (struct mg_str){ 0 };
	r->given = true;
	return r->said;
}
