/* bundle_diff(): what another bundle would change: its files, which policies run where, with which parameters, in which order. */
#include "author/tools.h"

enum { LABEL = 400 };
struct page { void (*say)(void *, const char *); void *arg; int n; };

static void say(struct page *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct page *p, const char *fmt, ...)
{
	char line[1200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	p->n++;
	p->say(p->arg, line);
}

/* ---- values, as they are written in Lua */

static void put_string(struct buf *b, const char *s, size_t n)
{
	buf_text(b, "\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			buf_put(b, "\\", 1);
		if (c < ' ')
			buf_print(b, "\\%03u", c);
		else
			buf_put(b, s + i, 1);
	}
	buf_text(b, "\"");
}

static bool is_name(const char *s, size_t n)
{
	size_t same = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");

	return n && same == n && !strchr("0123456789", *s);
}

/* The members of the table at i, numbers first, each in its order; its list part without keys. */
static void put_members(lua_State *L, int i, struct buf *b, int depth)
{
	lua_Integer n = keys_sorted(L, i), list = (lua_Integer)lua_rawlen(L, i);
	int keys = lua_gettop(L);

	for (lua_Integer k = 1; k <= n; k++) {
		buf_text(b, k > 1 ? ", " : " ");
		lua_rawgeti(L, keys, k);
		if (lua_type(L, -1) == LUA_TSTRING && is_name(lua_tostring(L, -1), lua_rawlen(L, -1))) {
			buf_print(b, "%s = ", lua_tostring(L, -1));
		} else if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1 || lua_tointeger(L, -1) > list) {
			buf_text(b, "[");
			lua_text(L, lua_gettop(L), b, depth + 1);
			buf_text(b, "] = ");
		}
		lua_rawget(L, i);
		lua_text(L, lua_gettop(L), b, depth + 1);
		lua_settop(L, keys);
	}
	buf_text(b, n ? " }" : "}");
	lua_settop(L, keys - 1);
}

void lua_text(lua_State *L, int i, struct buf *b, int depth)
{
	if (depth > 16 || !lua_checkstack(L, 10)) {
		buf_text(b, "{ ... }");
		return;
	}
	switch (lua_type(L, i)) {
	case LUA_TSTRING: put_string(b, lua_tostring(L, i), lua_rawlen(L, i)); return;
	case LUA_TUSERDATA: case LUA_TTABLE:
		bare_push(L, i);
		buf_text(b, "{");
		put_members(L, lua_gettop(L), b, depth);
		lua_pop(L, 1);
		return;
	default:
		luaL_tolstring(L, i, NULL);
		buf_put(b, lua_tostring(L, -1), lua_rawlen(L, -1));
		lua_pop(L, 1);
	}
}

/* ---- files */

static const struct source *file_of(const struct bundle *b, const char *name)
{
	for (size_t i = 0; i < b->n_files; i++)
		if (!strcmp(b->files[i].name, name))
			return &b->files[i];
	return NULL;
}

static size_t count_lines(const struct source *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->len; i++)
		n += f->text[i] == '\n';
	return n;
}

/* How many lines of a are nowhere in b. */
static size_t lines_only_in(const struct source *a, const struct source *b)
{
	size_t n = 0;

	for (const char *at = a->text; *at;) {
		size_t len = strcspn(at, "\n");
		bool found = false;

		for (const char *to = b->text; *to && !found; to += strcspn(to, "\n"), to += *to == '\n')
			found = strcspn(to, "\n") == len && !memcmp(to, at, len);
		n += !found;
		at += len;
		at += *at == '\n';
	}
	return n;
}

static void files(struct page *p, const struct bundle *a, const struct bundle *b)
{
	for (size_t i = 0; i < a->n_files; i++) {
		const struct source *f = &a->files[i], *other = file_of(b, f->name);

		if (!other)
			say(p, "file    - %s", f->name);
		else if (f->len != other->len || memcmp(f->text, other->text, f->len))
			say(p, "file    ~ %s: %zu lines gone, %zu new", f->name, lines_only_in(f, other), lines_only_in(other, f));
	}
	for (size_t i = 0; i < b->n_files; i++)
		if (!file_of(a, b->files[i].name))
			say(p, "file    + %s: %zu lines", b->files[i].name, count_lines(&b->files[i]));
}

/* ---- policies */

/* "org org_7 latency_slo" */
static void label(const struct entry *e, char *out, size_t size)
{
	snprintf(out, size, "%s%s%s %s%s", scope_names[e->scope], *e->scope_id ? " " : "", e->scope_id, e->tree, e->name);
}

static const struct entry *entry_like(const struct policy_state *s, const struct entry *like)
{
	for (size_t i = 0; i < s->n_entries; i++) {
		const struct entry *e = &s->entries[i];

		if (e->scope == like->scope && !strcmp(e->scope_id, like->scope_id) && !strcmp(e->name, like->name) && !strcmp(e->tree, like->tree))
			return e;
	}
	return NULL;
}

/* A parameter as it is in force: given, or by default. */
static void param_text(struct policy_state *s, const struct entry *e, const char *name, struct buf *b)
{
	lua_State *L = s->L;
	int top = lua_gettop(L);

	buf_reset(b);
	lua_pushnil(L);
	if (e->with != LUA_NOREF) {
		lua_rawgeti(L, LUA_REGISTRYINDEX, e->with);
		lua_getfield(L, -1, name);
	}
	if (lua_isnil(L, -1)) {
		lua_rawgeti(L, LUA_REGISTRYINDEX, e->decl);
		if (lua_getfield(L, -1, "params") == LUA_TTABLE && lua_getfield(L, -1, name) == LUA_TTABLE)
			lua_getfield(L, -1, "default");
		else
			lua_pushnil(L);
	}
	lua_text(L, lua_gettop(L), b, 0);
	buf_put(b, "", 1);
	lua_settop(L, top);
}

/* Every parameter that `of` declares and other does not, or that both do and that is not the same. */
static void params(struct page *p, struct policy_state *sa, const struct entry *a, struct policy_state *sb, const struct entry *b, bool back)
{
	struct policy_state *s = back ? sb : sa;
	char where[LABEL];
	struct buf one, two;
	lua_State *L = s->L;
	int top = lua_gettop(L);

	label(a, where, sizeof(where));
	buf_init(&one, 1 << 20);
	buf_init(&two, 1 << 20);
	lua_rawgeti(L, LUA_REGISTRYINDEX, (back ? b : a)->decl);
	if (lua_getfield(L, -1, "params") == LUA_TTABLE) {
		lua_pushnil(L);
		while (lua_next(L, top + 2)) {
			const char *name = lua_tostring(L, -2);

			param_text(sa, a, name, &one);
			param_text(sb, b, name, &two);
			/* what both declare is told the first time */
			if (!one.failed && !two.failed && strcmp(one.at, two.at) && (!back || !strcmp(one.at, "nil")))
				say(p, "param   ~ %s: %s %.400s -> %.400s", where, name, one.at, two.at);
			lua_pop(L, 1);
		}
	}
	lua_settop(L, top);
	buf_release(&one);
	buf_release(&two);
}

static void modes(struct page *p, const struct entry *a, const struct entry *b)
{
	char where[LABEL];

	label(a, where, sizeof(where));
	if (a->shadow != b->shadow)
		say(p, "mode    ~ %s: %s -> %s", where, a->shadow ? "shadow" : "live", b->shadow ? "shadow" : "live");
	if (a->share_bps != b->share_bps)
		say(p, "share   ~ %s: %u -> %u of 10000 keys", where, a->share_bps, b->share_bps);
	if (a->open != b->open)
		say(p, "fail    ~ %s: admit %s -> %s", where, a->open ? "open" : "closed", b->open ? "open" : "closed");
}

static void policies(struct page *p, struct policy_state *a, struct policy_state *b)
{
	char where[LABEL];

	for (size_t i = 0; i < a->n_entries; i++) {
		const struct entry *e = &a->entries[i], *other = entry_like(b, e);

		label(e, where, sizeof(where));
		if (!other) {
			say(p, "policy  - %s", where);
			continue;
		}
		params(p, a, e, b, other, false);
		params(p, a, e, b, other, true);
		modes(p, e, other);
	}
	for (size_t i = 0; i < b->n_entries; i++)
		if (!entry_like(a, &b->entries[i])) {
			label(&b->entries[i], where, sizeof(where));
			say(p, "policy  + %s%s", where, b->entries[i].shadow ? " (shadow)" : "");
		}
}

/* ---- the chain of each hook, as a request meets it */

static void chain_text(const struct policy_state *s, int h, char *out, size_t size)
{
	size_t len = 0;

	*out = '\0';
	for (size_t i = 0; i < s->n_chain[h] && len < size - 1; i++) {
		const struct entry *e = &s->entries[s->chain[h][i]];
		int n = snprintf(out + len, size - len, "%s%s%s%s%s%s", i ? ", " : "", e->name, e->scope > IN_DEFAULT || e->scope == IN_GUARD ? " (" : "",
			e->scope == IN_DEFAULT ? "" : *e->scope_id ? e->scope_id : scope_names[e->scope], e->scope == IN_DEFAULT ? "" : ")", e->shadow ? " (shadow)" : "");

		len = n < 0 || (size_t)n >= size - len ? size - 1 : len + (size_t)n;
	}
}

static void chains(struct page *p, const struct policy_state *a, const struct policy_state *b)
{
	char one[500], two[500];

	for (int h = 0; h < HOOK_COUNT; h++) {
		chain_text(a, h, one, sizeof(one));
		chain_text(b, h, two, sizeof(two));
		if (strcmp(one, two))
			say(p, "chain   ~ %s: %s -> %s", hook_names[h], *one ? one : "none", *two ? two : "none");
	}
}

int bundle_diff(struct bundle *a, struct bundle *b, void (*tell)(void *arg, const char *line), void *arg, struct err *err)
{
	struct page p = { tell, arg, 0 };
	struct policy_state *sa = policy_state_new(a, err), *sb = sa ? policy_state_new(b, err) : NULL;

	if (sb) {
		files(&p, a, b);
		policies(&p, sa, sb);
		chains(&p, sa, sb);
	}
	policy_state_free(sa);
	policy_state_free(sb);
	return sb ? p.n : MG_EINVAL;
}
