/*
 * policy_check(): a bundle opens, every policy in it loads, names nothing that is
 * not there and remembers nothing, and every hook runs over what probes.c draws,
 * for little fuel.
 */
#include "author/lex.h"
#include "author/tools.h"
#include "base/crypto.h"

enum { SAID_MAX = 200 };
struct report { void (*say)(void *, const char *); void *arg; int problems; uint64_t told[SAID_MAX]; size_t n_told; };

/* The same is told once. */
static bool told(struct report *r, const char *text)
{
	uint64_t hash = hash64(text, strlen(text), 3);

	for (size_t i = 0; i < r->n_told; i++)
		if (r->told[i] == hash)
			return true;
	if (r->n_told < SAID_MAX)
		r->told[r->n_told++] = hash;
	return false;
}

static void problem(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void problem(struct report *r, const char *fmt, ...)
{
	char text[500];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (told(r, text))
		return;
	r->problems++;
	r->say(r->arg, text);
}

/* ---- every file of its own */

static bool ends(const char *name, const char *tail)
{
	size_t n = strlen(name), m = strlen(tail);

	return n > m && !strcmp(name + n - m, tail);
}

static bool is_policy(const struct source *f)
{
	return f->own && strcmp(f->name, "bundle.lua") && !ends(f->name, "_test.lua") && !strstr(f->text, "return library");
}

static void name_of(const struct source *f, char out[static NAME_BYTES])
{
	snprintf(out, NAME_BYTES, "%.*s", (int)strlen(f->name) - 4, f->name);
}

static struct entry *entry_named(struct policy_state *s, const char *name)
{
	for (size_t i = 0; i < s->n_entries; i++)
		if (!strcmp(s->entries[i].name, name))
			return &s->entries[i];
	return NULL;
}

/* deny{ ... } with a text that is put together: what is in it may be a client's words, and goes to the client and the log. */
static void scan_denials(struct report *r, const struct source *f)
{
	struct lexeme t;
	struct lexer l;
	int depth = 0;		/* of brackets since deny */

	lex_begin(&l, f->text, f->len);
	while ((t = lex_next(&l)).kind != LEX_END) {
		if (!depth && !lexeme_is(&t, "deny"))
			continue;
		if (!depth) {
			t = lex_next(&l);
			depth = lexeme_is(&t, "{") || lexeme_is(&t, "(");
		} else if (lexeme_is(&t, "{") || lexeme_is(&t, "(") || lexeme_is(&t, "[")) {
			depth++;
		} else if (lexeme_is(&t, "}") || lexeme_is(&t, ")") || lexeme_is(&t, "]")) {
			depth--;
		} else if (lexeme_is(&t, "..") || lexeme_is(&t, "format")) {
			problem(r, "%s:%d: deny{} puts a text together: its message is a constant, without anything of the request", f->name, t.line);
		}
	}
}

/* The policy's declaration is on top; false: it does not load. */
static bool push_declaration(struct report *r, struct policy_state *s, const char *name)
{
	struct entry *e = entry_named(s, name);

	if (e) {
		lua_rawgeti(s->L, LUA_REGISTRYINDEX, e->decl);
		return true;
	}
	/* In no list: with its defaults, and behind the others when hooks are tried. */
	if (!chain_add(s, name)) {
		lua_rawgeti(s->L, LUA_REGISTRYINDEX, entry_named(s, name)->decl);
		return true;
	}
	if (!strstr(s->error, "' is required"))
		problem(r, "%s", s->error);
	return false;
}

static void check_file(struct report *r, struct bundle *b, struct policy_state *s, const struct source *f)
{
	char name[NAME_BYTES], test[NAME_BYTES + 8];
	int top = lua_gettop(s->L);

	name_of(f, name);
	if (push_declaration(r, s, name))
		r->problems += hooks_scan(s, -1, r->say, r->arg);
	lua_settop(s->L, top);
	snprintf(test, sizeof(test), "%s_test", name);
	if (!bundle_file(b, test))
		problem(r, "%s.lua has no %s.lua beside it", name, test);
}

static void check_files(struct report *r, struct bundle *b, struct policy_state *s)
{
	for (size_t i = 0; i < b->n_files; i++) {
		const struct source *f = &b->files[i];

		if (!f->own || !strcmp(f->name, "bundle.lua") || ends(f->name, "_test.lua"))
			continue;
		r->problems += names_scan(s, f, r->say, r->arg);
		scan_denials(r, f);
		if (is_policy(f))
			check_file(r, b, s, f);
	}
}

/* ---- every hook */

/* Where the hook begins: what it returns has no line of its own. */
static const char *begins(struct policy_state *s, const struct note *note)
{
	for (int h = 0; h < HOOK_COUNT; h++)
		if (!strcmp(hook_names[h], note->hook))
			EACH_ENTRY(s, h, e)
				if (!strcmp(e->name, note->by))
					return e->at[h];
	return "";
}

static void tell_errors(struct report *r, struct policy_state *s, const struct decision *d, size_t n)
{
	for (const struct note *note = d->notes; note; note = note->next) {
		const char *at = strstr(note->text, ".lua:") ? "" : begins(s, note);

		if (!strncmp(note->text, "error: ", 7))
			problem(r, "%s of %s%s: %s%s%s%s", note->hook, note->by, n == PROBES_MAX ? ", with 200 candidates" : "", note->text + 7,
				*at ? " (" : "", at, *at ? ")" : "");
	}
}

static void live(struct report *r, struct policy_state *s, struct probes *p, size_t n, unsigned round)
{
	struct pool *pool = pool_new(16 << 20);
	struct decision d;

	if (!pool)
		return;
	probes_live(p, s, &d, pool, n, round);
	tell_errors(r, s, &d, n);
	pool_free(pool);
}

/* Everybody, live, whatever the scope: a mistake is one in shadow, too. */
static void everybody(struct policy_state *s)
{
	s->scoped = s->shadows = false;
	for (size_t i = 0; i < s->n_entries; i++) {
		s->entries[i].shadow = false;
		s->entries[i].active = true;
	}
}

static void check_hooks(struct report *r, struct bundle *b, struct policy_state *s)
{
	static const size_t sizes[] = { 0, 1, 3, 20 };
	struct cost *costs = calloc(ENTRIES_MAX * HOOK_COUNT, sizeof(*costs));
	struct probes *p = probes_new(b);

	if (p && costs) {
		everybody(s);
		s->costs = costs;
		probes_begin(p, s);
		for (unsigned round = 0; s->shared && round < probes_rounds(p); round++)
			live(r, s, p, sizes[round % 4], round);
		for (unsigned round = 10; s->shared && round < 14; round++)
			live(r, s, p, PROBES_MAX, round);
		s->costs = NULL;
	}
	probes_free(p);
	free(costs);
}

int bundle_check(struct bundle *b, void (*say)(void *arg, const char *line), void *arg)
{
	struct report r = { .say = say, .arg = arg };
	struct err why = { 0, "" };
	struct policy_state *s = policy_state_new(b, &why);

	if (!s) {
		problem(&r, "%s", why.msg);
		return r.problems;
	}
	check_files(&r, b, s);
	check_hooks(&r, b, s);
	policy_state_free(s);
	return r.problems;
}

int policy_check(const char *dir, const char *base_dir, void (*say)(void *arg, const char *line), void *arg, struct err *err)
{
	struct bundle *b;
	int rc = bundle_read(dir, base_dir, &b, err);

	if (rc)
		return rc;
	rc = bundle_check(b, say, arg);
	bundle_unref(b);
	return rc;
}
