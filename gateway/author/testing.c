/*
 * policy_test(): each *_test.lua in three states that live at once, so that
 * their tables hash differently; a test passes when it passes in all three,
 * and an outcome that differs between them is a failure of its own.
 */
#include <lualib.h>
#include "author/tools.h"

enum { STATES = 3, TEST_BYTES = 512 << 20, HOOK_TEST_FUEL = 500000, USES_MAX = 64 };

static struct test_run *run_of(lua_State *L)
{
	struct test_run *r;

	lua_getfield(L, LUA_REGISTRYINDEX, "run");
	r = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return r;
}

/* report(title, ok, what) */
static int l_report(lua_State *L)
{
	struct test_run *r = run_of(L);
	struct test_result *v;

	if (r->n == r->size) {
		struct test_result *more = realloc(r->at, (r->size * 2 + 16) * sizeof(*more));

		if (!more)
			return luaL_error(L, "no memory");
		r->at = more;
		r->size = r->size * 2 + 16;
	}
	v = &r->at[r->n++];
	*v = (struct test_result){ .ok = lua_toboolean(L, 2) };
	snprintf(v->title, sizeof(v->title), "%s", luaL_checkstring(L, 1));
	snprintf(v->what, sizeof(v->what), "%s", luaL_checkstring(L, 3));
	return v->ok || !r->strict ? 0 : luaL_error(L, "a test failed");
}

/* Each test begins with nothing shared. */
static int l_fresh(lua_State *L)
{
	static const char *const groups[] = { "sticky", "budget", "lookups" };
	struct policy_state *s = state_of(L);
	struct shared *sh = shared_new();

	if (sh) {
		shared_free(s->shared);
		s->shared = sh;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->scratch);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		lua_newtable(L);
		lua_setfield(L, -2, groups[i]);
	}
	return 0;
}

static int64_t now_of(lua_State *L, int64_t otherwise)
{
	int64_t now = otherwise;

	if (table_at(L, 1)) {
		if (lua_getfield(L, 1, "now_ms") == LUA_TNUMBER)
			now = lua_tointeger(L, -1);
		lua_pop(L, 1);
	}
	return now;
}

/* nearest(word, set): which of its names may be meant, or nil. */
static int l_nearest(lua_State *L)
{
	luaL_checktype(L, 2, LUA_TTABLE);
	lua_pushstring(L, keys_nearest(L, 2, luaL_checkstring(L, 1)));
	return 1;
}

/* A ranking may change its list, which is its own in the gateway; a test goes on using what it gave. */
static void list_of_its_own(lua_State *L, int i)
{
	lua_Integer n = lua_istable(L, i) ? (lua_Integer)lua_rawlen(L, i) : 0;

	if (!n)
		return;
	lua_createtable(L, (int)n, 0);
	for (lua_Integer k = 1; k <= n; k++) {
		lua_rawgeti(L, i, k);
		lua_rawseti(L, -2, k);
	}
	lua_replace(L, i);
}

/* P.hook(...): the function, with my behind the arguments and a hook's rights and fuel. Upvalues: fn, my, hook, scores. */
static int l_hook(lua_State *L)
{
	struct policy_state *s = state_of(L);
	enum hook before = s->hook;
	long fuel = s->fuel;
	int n = lua_gettop(L), rc;

	s->now_ms = now_of(L, s->now_ms);
	s->hook = (enum hook)lua_tointeger(L, lua_upvalueindex(3));
	if (s->hook == HOOK_RANK)
		list_of_its_own(L, 2);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_pushvalue(L, lua_upvalueindex(2));
	lua_pushvalue(L, lua_upvalueindex(4));
	lua_setfield(L, LUA_REGISTRYINDEX, "scores");
	lua_pushvalue(L, lua_upvalueindex(2));
	lua_setfield(L, LUA_REGISTRYINDEX, "scores my");
	s->fuel = HOOK_TEST_FUEL;
	rc = lua_pcall(L, n + 1, LUA_MULTRET, 0);
	s->fuel = fuel - (HOOK_TEST_FUEL - s->fuel);
	s->hook = before;
	return rc ? lua_error(L) : lua_gettop(L);
}

/* With which parameters tests use what, for whoever asked: the registry's "uses". */
static void remember_use(lua_State *L)
{
	lua_Integer n;

	if (lua_getfield(L, LUA_REGISTRYINDEX, "uses") != LUA_TTABLE || (n = luaL_len(L, -1)) >= USES_MAX) {
		lua_pop(L, 1);
		return;
	}
	lua_createtable(L, 0, 2);
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "name");
	lua_pushvalue(L, 2);
	lua_setfield(L, -2, "with");
	lua_seti(L, -2, n + 1);
	lua_pop(L, 1);
}

/* use(name, with) */
static int l_use(lua_State *L)
{
	struct policy_state *s = state_of(L);
	const char *name = luaL_checkstring(L, 1);
	int with = lua_istable(L, 2) ? 2 : 0, decl;

	lua_settop(L, 2);
	remember_use(L);
	if (policy_load(s, name, with))
		return luaL_error(L, "%s", s->error);
	decl = lua_gettop(L) - 1;
	lua_newtable(L);
	for (int h = 0; h < HOOK_COUNT; h++) {
		if (lua_getfield(L, decl, hook_names[h]) != LUA_TFUNCTION) {
			lua_pop(L, 1);
			continue;
		}
		lua_pushvalue(L, decl + 1);
		lua_pushinteger(L, h);
		lua_getfield(L, decl, "scores");
		lua_pushcclosure(L, l_hook, 4);
		lua_setfield(L, -2, hook_names[h]);
	}
	lua_getfield(L, -1, hook_names[HOOK_FILTER]);
	limits_wrap(L, decl, decl + 1);
	lua_setfield(L, -2, hook_names[HOOK_FILTER]);
	lua_pushvalue(L, decl);
	lua_setfield(L, -2, "decl");
	lua_pushvalue(L, decl + 1);
	lua_setfield(L, -2, "my");
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "name");
	return 1;
}


void lines_load(lua_State *L, const char *const *lines, const char *name)
{
	luaL_Buffer text;

	luaL_buffinit(L, &text);
	for (; *lines; lines++)
		luaL_addstring(&text, *lines);
	luaL_pushresult(&text);
	if (luaL_loadbufferx(L, lua_tostring(L, -1), lua_rawlen(L, -1), name, "t"))
		lua_error(L);
	lua_remove(L, -2);
}

/* The prelude's world: the real pcall and next, and our own string, table and math. */
static int prepare(lua_State *L)
{
	static const luaL_Reg own[] = { { "report", l_report }, { "fresh", l_fresh }, { "nearest", l_nearest }, { "use", l_use }, { NULL, NULL } };
	static const char *const ours[] = { "string", "table", "math", NULL }, *const lent[] = { "type", "kind", "tostring", "text", "pairs", "pairs", NULL };
	struct policy_state *s = state_of(L);
	int names;

	lua_getfield(L, LUA_REGISTRYINDEX, "test_names");
	names = lua_gettop(L);
	lua_pushcfunction(L, luaopen_base);
	lua_call(L, 0, 1);	/* the globals, which no policy sees */
	for (int i = 0; ours[i]; i++) {
		lua_getfield(L, names, ours[i]);
		lua_setfield(L, -2, ours[i]);
	}
	lines_load(L, policy_prelude, "=prelude");
	lua_newtable(L);
	for (int i = 0; lent[i]; i += 2) {
		lua_getfield(L, names, lent[i]);
		lua_setfield(L, -2, lent[i + 1]);
	}
	luaL_setfuncs(L, own, 0);
	lua_newtable(L);
	lua_pushvalue(L, -1);
	s->scratch = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_setfield(L, -2, "scratch");
	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, "host");
	lua_call(L, 1, 2);
	lua_setfield(L, names, "test");
	lua_setfield(L, LUA_REGISTRYINDEX, "t");
	lua_pushcfunction(L, l_use);
	lua_setfield(L, names, "use");
	return 0;
}

int tests_run(struct policy_state *s, const struct source *f, long fuel, struct test_run *r)
{
	int rc;

	r->n = 0;
	lua_pushlightuserdata(s->L, r);
	lua_setfield(s->L, LUA_REGISTRYINDEX, "run");
	s->hook = HOOK_NONE;
	rc = sandbox_load(s, f->text, f->len, f->name, s->test_env);
	rc = rc ? rc : sandbox_call(s, 0, 0, fuel, TEST_BYTES);
	r->fuel = s->fuel_max - s->fuel;
	r->failed = rc != 0;
	return rc;
}

struct tap { void (*say)(void *, const char *); void *arg; int n, bad; };

static void tap(struct tap *t, bool ok, const char *file, const char *title, const char *why)
{
	char line[800];

	snprintf(line, sizeof(line), "%sok %d - %.*s: %s", ok ? "" : "not ", ++t->n, (int)(strlen(file) - 4), file, title);
	t->say(t->arg, line);
	if (ok)
		return;
	t->bad++;
	snprintf(line, sizeof(line), "# %s", why);
	t->say(t->arg, line);
}

static void compare(struct tap *t, const char *file, const struct test_run runs[STATES])
{
	for (size_t i = 0; i < runs[0].n; i++) {
		const struct test_result *v = &runs[0].at[i];
		bool same = true;

		for (int k = 1; k < STATES; k++)
			same &= i < runs[k].n && runs[k].at[i].ok == v->ok && !strcmp(runs[k].at[i].title, v->title) &&
				!strcmp(runs[k].at[i].what, v->what);
		tap(t, v->ok && same, file, v->title, same ? v->what : "the outcome differs between states: it depends on the order of a table");
	}
}

static void test_file(struct tap *t, struct policy_state *const states[STATES], const struct source *f)
{
	struct test_run runs[STATES] = { 0 };

	for (int k = 0; k < STATES; k++)
		tests_run(states[k], f, TEST_FUEL, &runs[k]);
	compare(t, f->name, runs);
	if (runs[0].failed)
		tap(t, false, f->name, "the file runs", states[0]->error);
	else if (!runs[0].n)
		tap(t, false, f->name, "the file has tests", "test(\"name\", function(t) ... end) was not called");
	for (int k = 0; k < STATES; k++)
		free(runs[k].at);
}

bool is_test_file(const struct source *f)
{
	size_t n = strlen(f->name);

	return f->own && n > 9 && !strcmp(f->name + n - 9, "_test.lua");
}

struct policy_state *tests_open(struct bundle *b, struct err *err)
{
	struct policy_state *s = policy_state_for_tests(b, err);

	if (!s)
		return NULL;
	s->heap_max = 128 << 20;
	lua_pushcfunction(s->L, prepare);
	if (!lua_pcall(s->L, 0, 0, 0))
		return s;
	fail(err, MG_EINVAL, "prelude: %s", lua_tostring(s->L, -1));
	policy_state_free(s);
	return NULL;
}

static int states_open(struct policy_state *states[STATES], struct bundle *b, struct err *err)
{
	for (int k = 0; k < STATES; k++)
		if (!(states[k] = tests_open(b, err)))
			return MG_EINVAL;
	return 0;
}

int bundle_test(struct bundle *b, const char *only, void (*say)(void *arg, const char *line), void *arg, struct err *err)
{
	struct policy_state *states[STATES] = { NULL };
	struct tap t = { say, arg, 0, 0 };
	char plan[40];
	int rc = states_open(states, b, err);

	for (size_t i = 0; !rc && i < b->n_files; i++)
		if (is_test_file(&b->files[i]) && (!only || strstr(b->files[i].name, only)))
			test_file(&t, states, &b->files[i]);
	for (int k = 0; k < STATES; k++)
		policy_state_free(states[k]);
	if (!rc && only && !t.n)	/* a misspelt name in a pipeline is no test that passes */
		rc = fail(err, MG_EINVAL, "no file of tests has '%.60s' in its name", only);
	if (rc)
		return rc;
	snprintf(plan, sizeof(plan), "1..%d", t.n);
	say(arg, plan);
	return t.bad;
}

int policy_test(const char *dir, const char *base_dir, const char *only, void (*say)(void *arg, const char *line), void *arg, struct err *err)
{
	struct bundle *b;
	int rc = bundle_read(dir, base_dir, &b, err);

	if (rc)
		return rc;
	rc = bundle_test(b, only, say, arg, err);
	bundle_unref(b);
	return rc;
}
