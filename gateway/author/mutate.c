/*
 * policy_mutate(): a policy's tests, tested.  One token of a policy is changed at
 * a time and its tests run again; a change that none of them notices is told.
 * In a filter or in what is retained, one that lets more through or keeps more is
 * a failure, found by asking both versions about generated requests and endpoints.
 *
 * The same text gives the same changes in the same order, and each run has fuel by
 * what the unchanged one took, so that a change that loops costs little.
 */
#include <errno.h>
#include "author/lex.h"
#include "author/tools.h"
#include "policy/fields.h"

enum { CHANGES_MAX = 1500, WORDS_MAX = 300, MORE_FUEL = 2000000, PROBE_FUEL = 2000000000, PROBE_BYTES = 1 << 30 };

struct change { size_t at, len; int line; char from[32], to[40]; };
struct mutation {
	void (*say)(void *, const char *); void *arg;
	struct policy_state *s;
	struct bundle *bundle;
	struct source *file; char name[NAME_BYTES];
	const struct source *tests[32]; long fuel[32]; size_t n_tests;
	struct change *changes; size_t n_changes, n_possible;
	bool guards;		/* it has a filter, or says what is kept */
	int prober;		/* registry */
	size_t n_files, noticed, wider, problems, all, all_noticed;
	struct test_run run;
};

static void tell(struct mutation *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct mutation *m, const char *fmt, ...)
{
	char text[900];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	m->say(m->arg, text);
}

/* ---- what may be changed */

static void add(struct mutation *m, const struct lexeme *t, const char *text, const char *to)
{
	struct change *c = &m->changes[m->n_changes];

	m->n_possible++;
	if (m->n_changes == CHANGES_MAX)
		return;
	*c = (struct change){ .at = (size_t)(t->at - text), .len = t->len, .line = t->line };
	snprintf(c->from, sizeof(c->from), "%.*s", (int)t->len, t->at);
	snprintf(c->to, sizeof(c->to), "%s", to);
	m->n_changes++;
}

static void add_number(struct mutation *m, const struct lexeme *t, const char *text, int by)
{
	char word[40], to[40], *end;
	long long n;

	if (t->len >= sizeof(word))
		return;
	snprintf(word, sizeof(word), "%.*s", (int)t->len, t->at);
	errno = 0;
	n = strtoll(word, &end, 0);
	if (!*end && !errno && n < INT32_MAX)
		snprintf(to, sizeof(to), n + by < 0 ? "(%lld)" : "%lld", n + by);
	else
		snprintf(to, sizeof(to), "(%.14g + 0.0)", strtod(word, NULL) + by);
	add(m, t, text, to);
}

/* Behind one of these a minus is a sign. */
static bool is_operand(const struct lexeme *t)
{
	return t->kind == LEX_NUMBER || t->kind == LEX_STRING || lexeme_is(t, ")") || lexeme_is(t, "]") || lexeme_is(t, "}") ||
		(t->kind == LEX_WORD && !lexeme_is(t, "return") && !lexeme_is(t, "and") && !lexeme_is(t, "or") && !lexeme_is(t, "not"));
}

static void find_changes(struct mutation *m)
{
	static const struct { const char *from, *to; } swaps[] = { { "<", "<=" }, { "<=", "<" }, { ">", ">=" }, { ">=", ">" }, { "==", "~=" }, { "~=", "==" },
		{ "and", "or" }, { "or", "and" }, { "true", "false" }, { "false", "true" }, { "not", "" }, { "+", "-" } };
	struct lexeme before = { LEX_END, "", 0, 0 }, t;
	const char *text = m->file->text;
	struct lexer l;

	m->n_changes = m->n_possible = 0;
	lex_begin(&l, text, m->file->len);
	for (t = lex_next(&l); t.kind != LEX_END; before = t, t = lex_next(&l)) {
		if (t.kind == LEX_NUMBER) {
			add_number(m, &t, text, 1);
			add_number(m, &t, text, -1);
		}
		if (lexeme_is(&t, "-") && is_operand(&before))
			add(m, &t, text, "+");
		for (size_t i = 0; i < sizeof(swaps) / sizeof(swaps[0]); i++)
			if (lexeme_is(&t, swaps[i].from))
				add(m, &t, text, swaps[i].to);
	}
}

/* ---- a run of the tests */

/* Libraries that were read are read again. */
static void forget_libraries(struct mutation *m)
{
	lua_newtable(m->s->L);
	lua_setfield(m->s->L, LUA_REGISTRYINDEX, "libraries");
}

static bool mentions(const struct source *test, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strstr(test->text, name); at; at = strstr(at + 1, name))
		if (at > test->text && (at[-1] == '"' || at[-1] == '\'') && at[len] == at[-1])
			return true;
	return false;
}

static bool is_library(const struct source *f)
{
	return strstr(f->text, "return library") != NULL;
}

/* Of a library all, since any policy may use it. */
static void find_tests(struct mutation *m)
{
	bool library = is_library(m->file);
	const struct bundle *b = m->bundle;
	char own[NAME_BYTES + 16];

	snprintf(own, sizeof(own), "%s_test.lua", m->name);
	m->n_tests = 0;
	for (int others = 0; others <= 1; others++)
		for (size_t i = 0; i < b->n_files && m->n_tests < sizeof(m->tests) / sizeof(m->tests[0]); i++)
			if (is_test_file(&b->files[i]) && (strcmp(b->files[i].name, own) != 0) == others && (!others || library || mentions(&b->files[i], m->name)))
				m->tests[m->n_tests++] = &b->files[i];
}

static int passes(struct mutation *m, size_t i, long fuel)
{
	struct test_run *r = &m->run;

	if (tests_run(m->s, m->tests[i], fuel, r))
		return false;
	for (size_t k = 0; k < r->n; k++)
		if (!r->at[k].ok)
			return false;
	return true;
}

static bool noticed(struct mutation *m)
{
	forget_libraries(m);
	for (size_t i = 0; i < m->n_tests; i++)
		if (!passes(m, i, m->fuel[i] * 4 + MORE_FUEL))
			return true;
	return false;
}

/* ---- the prober */

static void list_words(lua_State *L, const struct field *f)
{
	lua_Integer n = 0;

	lua_newtable(L);
	for (const char *at = strchr(f->type, '"'), *end; at && (end = strchr(at + 1, '"')); at = strchr(end + 1, '"')) {
		lua_pushlstring(L, at + 1, (size_t)(end - at - 1));
		lua_rawseti(L, -2, ++n);
	}
	if (n)
		lua_setfield(L, -2, f->name);
	else
		lua_pop(L, 1);
}

/* host.shapes and host.words: how a field's value looks, by its name, as editors are told. */
static void describe_fields(lua_State *L)
{
	static const struct { const char *type, *shape; } shapes[] = { { WORDS, "list" }, { SET, "set" }, { "table<string,string>", "pairs" },
		{ "{prompt?:number", "prices" }, { "table<\"p50\"", "cuts" } };
	const struct field *const all[] = { req_fields, prefs_fields, key_fields, feat_fields, endpoint_fields, live_fields };

	lua_newtable(L);
	lua_newtable(L);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (const struct field *f = all[i]; f->name; f++) {
			bool shaped = false;

			for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]) && !shaped; k++)
				if ((shaped = !strncmp(f->type, shapes[k].type, strlen(shapes[k].type)))) {
					lua_pushstring(L, shapes[k].shape);
					lua_setfield(L, -3, f->name);
				}
			if (!shaped)
				list_words(L, f);
		}
	lua_setfield(L, -3, "words");
	lua_setfield(L, -2, "shapes");
}

/* A text, and what it is made of where it is one of "name=value" or "eu-*". */
static void add_word(lua_State *L, int list, const char *at, size_t len)
{
	const char *equal = memchr(at, '=', len), *star = memchr(at, '*', len);

	if (lua_rawlen(L, list) >= WORDS_MAX || len > 60)
		return;
	lua_pushlstring(L, at, len);
	lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
	if (equal) {
		add_word(L, list, at, (size_t)(equal - at));
		add_word(L, list, equal + 1, len - (size_t)(equal + 1 - at));
	} else if (star) {
		lua_pushlstring(L, at, (size_t)(star - at));
		lua_pushliteral(L, "x");
		lua_concat(L, 2);
		lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
	}
}

/* The words and numbers of a text, behind those that are there; and names of members, such as a label's. */
static void add_literals(lua_State *L, int strings, int numbers, const struct source *f)
{
	struct lexeme t, in, before = { LEX_END, "", 0, 0 };
	struct lexer l;

	lex_begin(&l, f->text, f->len);
	for (; (t = lex_next(&l)).kind != LEX_END; before = t) {
		if (t.kind == LEX_WORD && lexeme_is(&before, ".")) {
			add_word(L, strings, t.at, t.len);
		} else if (t.kind == LEX_STRING) {
			in = lexeme_inside(&t);
			add_word(L, strings, in.at, in.len);
		} else if (t.kind == LEX_NUMBER && lua_rawlen(L, numbers) < WORDS_MAX) {
			lua_pushlstring(L, t.at, t.len);
			if (lua_stringtonumber(L, lua_tostring(L, -1))) {
				lua_rawseti(L, numbers, (lua_Integer)lua_rawlen(L, numbers) + 1);
			}
			lua_pop(L, 1);
		}
	}
}

/* Light userdata: the mutation.  What the tests will use and ask is remembered from here on. */
static int probe_begin(lua_State *L)
{
	struct mutation *m = lua_touserdata(L, 1);
	int host;

	lua_getfield(L, LUA_REGISTRYINDEX, "host");
	host = lua_gettop(L);
	describe_fields(L);
	lua_pushstring(L, m->name);
	lua_setfield(L, host, "name");
	lua_newtable(L);
	lua_newtable(L);
	add_literals(L, host + 1, host + 2, m->file);
	for (size_t i = 0; i < m->n_tests; i++)
		add_literals(L, host + 1, host + 2, m->tests[i]);
	lua_setfield(L, host, "numbers");
	lua_setfield(L, host, "strings");
	lua_newtable(L);
	lua_newtable(L);
	add_literals(L, host + 1, host + 2, m->file);
	lua_setfield(L, host, "own");
	lua_setfield(L, host, "own_words");
	lua_newtable(L);
	lua_newtable(L);
	lua_setfield(L, -2, "req");
	lua_newtable(L);
	lua_setfield(L, -2, "ep");
	lua_setfield(L, host, "seen");
	lua_newtable(L);
	lua_setfield(L, LUA_REGISTRYINDEX, "uses");
	lines_load(L, policy_prober, "=prober");
	lua_pushvalue(L, host);
	lua_getfield(L, LUA_REGISTRYINDEX, "t");
	lua_call(L, 2, 1);
	m->prober = luaL_ref(L, LUA_REGISTRYINDEX);
	return 0;
}

static int probe_open(struct mutation *m)
{
	lua_State *L = m->s->L;
	int rc;

	lua_rawgeti(L, LUA_REGISTRYINDEX, m->prober);
	lua_getfield(L, -1, "open");
	lua_remove(L, -2);
	lua_getfield(L, LUA_REGISTRYINDEX, "uses");
	lua_pushnil(L);
	lua_setfield(L, LUA_REGISTRYINDEX, "uses");
	m->s->hook = HOOK_NONE;
	rc = sandbox_call(m->s, 1, 0, PROBE_FUEL, PROBE_BYTES);
	return rc;
}

/* How the text as it is now lets more through than the original; false: in no way that was found. */
static bool wider(struct mutation *m, char out[static 500])
{
	lua_State *L = m->s->L;
	bool yes;

	forget_libraries(m);
	lua_rawgeti(L, LUA_REGISTRYINDEX, m->prober);
	lua_getfield(L, -1, "compare");
	lua_remove(L, -2);
	m->s->hook = HOOK_NONE;
	if (sandbox_call(m->s, 0, 1, PROBE_FUEL, PROBE_BYTES))
		return false;	/* what fails lets nothing through */
	yes = lua_type(L, -1) == LUA_TSTRING;
	snprintf(out, 500, "%s", yes ? lua_tostring(L, -1) : "");
	lua_pop(L, 1);
	return yes;
}

/* ---- one file */

/* The text with the change, for the caller to free. */
static char *changed(const struct source *f, const struct change *c, size_t *len)
{
	size_t n = strlen(c->to);
	char *text = malloc(f->len - c->len + n + 3);

	if (!text)
		return NULL;
	memcpy(text, f->text, c->at);
	memcpy(text + c->at, c->to, n);
	*len = c->at + n;
	memcpy(text + *len, f->text + c->at + c->len, f->len - c->at - c->len + 1);
	*len += f->len - c->at - c->len;
	return text;
}

static void try_change(struct mutation *m, const struct change *c)
{
	struct source *f = m->file;
	char *original = f->text, *text, how[500];
	size_t len = f->len, n;

	text = changed(f, c, &n);
	if (!text)
		return;
	f->text = text;
	f->len = n;
	if (noticed(m)) {
		m->noticed++;
	} else if (m->guards && wider(m, how)) {
		m->wider++;
		tell(m, "# %s:%d: '%s' to '%s' is not noticed, and %s", f->name, c->line, c->from, c->to, how);
	} else {
		tell(m, "# %s:%d: '%s' to '%s' is not noticed", f->name, c->line, c->from, *c->to ? c->to : "nothing");
	}
	f->text = original;
	f->len = len;
	free(text);
}

static bool was_read(struct mutation *m)
{
	bool yes;

	lua_getfield(m->s->L, LUA_REGISTRYINDEX, "libraries");
	yes = lua_getfield(m->s->L, -1, m->name) != LUA_TNIL;
	lua_pop(m->s->L, 2);
	return yes;
}

/* As the n-th: what takes less goes before it. */
static void keep_test(struct mutation *m, size_t n, const struct source *test, long fuel)
{
	for (; n && m->fuel[n - 1] > fuel; n--) {
		m->tests[n] = m->tests[n - 1];
		m->fuel[n] = m->fuel[n - 1];
	}
	m->tests[n] = test;
	m->fuel[n] = fuel;
}

/* The tests as they are, with what they take.  False: there is nothing to compare with, which is said. */
static bool baseline(struct mutation *m)
{
	bool library = is_library(m->file);
	size_t n = 0;

	for (size_t i = 0; i < m->n_tests; i++) {
		forget_libraries(m);
		if (!passes(m, i, TEST_FUEL)) {
			tell(m, "not ok %zu - %s: the tests of %s fail without a change", m->n_files, m->file->name, m->tests[i]->name);
			return false;
		}
		if (library && !was_read(m))
			continue;
		keep_test(m, n++, m->tests[i], m->run.fuel);
	}
	m->n_tests = n;
	if (!n)
		tell(m, "not ok %zu - %s: no test runs it", m->n_files, m->file->name);
	return n > 0;
}

static bool has_guard(struct mutation *m)
{
	lua_State *L = m->s->L;
	int top = lua_gettop(L);
	bool yes;

	if (policy_load(m->s, m->name, 0)) {
		yes = strstr(m->file->text, "filter") || strstr(m->file->text, "retain");	/* a parameter has no default */
	} else {
		lua_getfield(L, top + 1, "filter");
		lua_getfield(L, top + 1, "retain");
		lua_getfield(L, top + 1, "limits");
		yes = !lua_isnil(L, -1) || !lua_isnil(L, -2) || !lua_isnil(L, -3);
	}
	lua_settop(L, top);
	return yes;
}

static void file(struct mutation *m)
{
	lua_State *L = m->s->L;
	bool fine;

	m->n_files++;
	m->noticed = m->wider = 0;
	find_tests(m);
	m->guards = has_guard(m);
	lua_pushcfunction(L, probe_begin);
	lua_pushlightuserdata(L, m);
	fine = !lua_pcall(L, 1, 0, 0);
	if (!fine)
		lua_pop(L, 1);
	fine = fine && baseline(m) && !probe_open(m);
	m->problems += !fine;
	if (!fine)
		return;
	find_changes(m);
	for (size_t i = 0; i < m->n_changes; i++)
		try_change(m, &m->changes[i]);
	luaL_unref(L, LUA_REGISTRYINDEX, m->prober);
	lua_gc(L, LUA_GCCOLLECT);
	tell(m, "%sok %zu - %s: %zu changes, %zu noticed, %zu not", m->wider ? "not " : "", m->n_files, m->file->name, m->n_changes, m->noticed,
		m->n_changes - m->noticed);
	if (m->wider)
		tell(m, "# %zu of them let more through or keep more: add tests that tell them apart", m->wider);
	if (m->n_possible > m->n_changes)
		tell(m, "# %zu more were not tried: the file is long", m->n_possible - m->n_changes);
	m->problems += m->wider;
	m->all += m->n_changes;
	m->all_noticed += m->noticed;
}

static bool is_policy(const struct source *f)
{
	return f->own && !is_test_file(f) && strcmp(f->name, "bundle.lua");
}

int policy_mutate(const char *dir, const char *base_dir, const char *only, void (*say)(void *arg, const char *line), void *arg, struct err *err)
{
	struct mutation m = { .say = say, .arg = arg, .run = { .strict = true } };
	int rc = bundle_read(dir, base_dir, &m.bundle, err);

	m.changes = calloc(CHANGES_MAX, sizeof(*m.changes));
	if (!rc && !m.changes)
		rc = fail(err, MG_ENOMEM, "no memory");
	for (size_t i = 0; !rc && i < m.bundle->n_files; i++) {
		m.file = &m.bundle->files[i];
		if (!is_policy(m.file) || (only && !strstr(m.file->name, only)))
			continue;
		snprintf(m.name, sizeof(m.name), "%.*s", (int)strlen(m.file->name) - 4, m.file->name);
		m.s = tests_open(m.bundle, err);	/* one for each file: what it draws depends on nothing else */
		if (!m.s)
			rc = MG_EINVAL;
		else
			file(&m);
		policy_state_free(m.s);
	}
	free(m.changes);
	free(m.run.at);
	bundle_unref(m.bundle);
	if (!rc && only && !m.n_files)
		rc = fail(err, MG_EINVAL, "no policy has '%.60s' in its name", only);
	if (rc)
		return rc;
	tell(&m, "# %zu changes in all, %zu noticed", m.all, m.all_noticed);
	tell(&m, "1..%zu", m.n_files);
	return (int)m.problems;
}
