/* moongate.d.lua says what there is, and nothing else: functions, members of objects, what tests get. */
#include "author/tools.h"
#include "policy/fields.h"
#include "policy/world.h"
#include "tap.h"

struct text { char at[128 << 10]; size_t len; };

static void keep(void *arg, const char *line)
{
	struct text *t = arg;

	t->len += (size_t)snprintf(t->at + t->len, sizeof(t->at) - t->len, "%s\n", line);
}

/* Is there a line that begins with what is printed, and goes on with one of ends? */
static bool has(const struct text *t, const char *ends, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static bool has(const struct text *t, const char *ends, const char *fmt, ...)
{
	char want[160] = "\n";
	va_list args;

	va_start(args, fmt);
	vsnprintf(want + 1, sizeof(want) - 1, fmt, args);
	va_end(args);
	for (const char *at = strstr(t->at, want); at; at = strstr(at + 1, want))
		if (strchr(ends, at[strlen(want)]))
			return true;
	return false;
}

static unsigned bad;

static void missing(const char *what, const char *name)
{
	bad++;
	printf("# %s: %s\n", what, name);
}

/* ---- functions: the table on top, under prefix */
static size_t declared_names(const struct text *t, lua_State *L, const char *prefix)
{
	char name[100];
	size_t n = 0;

	lua_pushnil(L);
	while (lua_next(L, -2)) {
		snprintf(name, sizeof(name), "%s%s", prefix, lua_tostring(L, -2));
		if (proxy_at(L, -1)) {
			if (!has(t, " ", "%s =", name))
				missing("a group without a declaration", name);
			snprintf(name, sizeof(name), "%s.", lua_tostring(L, -2));
			luaL_getmetafield(L, -1, "__index");
			n += declared_names(t, L, name);
			lua_pop(L, 1);
		} else if (lua_isfunction(L, -1) ? !has(t, ")abcdefghijklmnopqrstuvwxyz.", "function %s(", name) : !has(t, " ", "%s =", name)) {
			missing("no declaration", name);
		} else if (lua_isfunction(L, -1) && has(t, "\n", "---@param ... any\n---@return any\nfunction %s(...) end", name)) {
			missing("no signature", name);
		} else {
			n++;
		}
		lua_pop(L, 1);
	}
	return n;
}

/* Every "function a.b(" and "a.b = " of the text is in the environment at index env. */
static size_t live_names(const struct text *t, lua_State *L, int env)
{
	size_t n = 0;

	for (const char *line = t->at; *line; line = strchr(line, '\n') + 1) {
		bool function = !strncmp(line, "function ", 9);
		char name[100];
		size_t len;

		if (*line == '-' || *line == '\n')
			continue;
		len = strcspn(line + (function ? 9 : 0), "( =");
		snprintf(name, sizeof(name), "%.*s", (int)len, line + (function ? 9 : 0));
		lua_pushvalue(L, env);
		for (char *save = NULL, *part = strtok_r(name, ".", &save); part; part = strtok_r(NULL, ".", &save)) {
			if (proxy_at(L, -1) && luaL_getmetafield(L, -1, "__index"))
				lua_remove(L, -2);
			lua_pushstring(L, part);
			lua_rawget(L, -2);
			lua_remove(L, -2);
		}
		if (lua_isnil(L, -1) && strncmp(line, "function use(", 13) && strncmp(line, "function test(", 14))
			missing("declared, but not there", name);
		n++;
		lua_pop(L, 1);
	}
	return n;
}

/* ---- objects */

static const char *class_of(const struct text *t, const char *name)
{
	char want[80];
	const char *at;

	snprintf(want, sizeof(want), "\n---@class %s", name);
	for (at = strstr(t->at, want); at && !strchr(" \n", at[strlen(want)]); at = strstr(at + 1, want))
		;
	return at ? strchr(at + 1, '\n') + 1 : NULL;
}

static bool field_in(const char *class, const char *name)
{
	size_t len = strlen(name);

	for (; class && !strncmp(class, "---@field ", 10); class = strchr(class, '\n') + 1)
		if (!strncmp(class + 10, name, len) && strchr(" ?", class[10 + len]))
			return true;
	return false;
}

/* The object on top, raw or a sight: its members are those of the class; what is marked with ? may be missing. */
static void object(const struct text *t, lua_State *L, const char *class_name)
{
	const char *class = class_of(t, class_name);
	char name[80], claim[120];
	unsigned before = bad;

	bare_push(L, -1);
	if (!class)
		missing("no class", class_name);
	lua_pushnil(L);
	while (class && lua_next(L, -2)) {
		if (lua_type(L, -2) == LUA_TSTRING && !field_in(class, lua_tostring(L, -2)))
			missing(class_name, lua_tostring(L, -2));
		lua_pop(L, 1);
	}
	for (; class && !strncmp(class, "---@field ", 10); class = strchr(class, '\n') + 1) {
		size_t len = strcspn(class + 10, " ?");

		snprintf(name, sizeof(name), "%.*s", (int)len, class + 10);
		lua_getfield(L, -2, name);
		if (lua_isnil(L, -1) && class[10 + len] != '?') {
			printf("# declared, but not there: %s.%s\n", class_name, name);
			bad++;
		}
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	snprintf(claim, sizeof(claim), "%s: declared as it is, both ways", class_name);
	ok(bad == before, claim);
}

static void member(const struct text *t, lua_State *L, const char *name, const char *class)
{
	lua_getfield(L, -1, name);
	object(t, L, class);
	lua_pop(L, 1);
}

static void objects(const struct text *t)
{
	struct mg_usage usage = { .size = sizeof(usage), .input = 1 };
	struct attempt_error error = { .kind = MG_E_SERVER };
	struct bill bill = { .n = 1, .lines = { { "input", 1, 1, 1, SIDE_COST } } };
	struct world w;
	lua_State *L;

	world_init(&w);
	world_endpoint(&w, 0, "a", 1, 1);
	if (!world_open(&w, NULL))
		abort();
	L = w.state->L;
	world_ask(&w);
	hook_begin(w.state, &w.d);
	req_push(w.state, &w.d);
	object(t, L, "Request");
	member(t, L, "prefs", "Prefs");
	member(t, L, "key", "KeyInfo");
	member(t, L, "feat", "Features");
	endpoint_push(w.state, &w.endpoints[0], NULL);
	object(t, L, "Endpoint");
	member(t, L, "live", "Live");
	member(t, L, "data", "DataPolicy");
	member(t, L, "usd", "Usd");
	member(t, L, "rate", "Rates");
	lua_getfield(L, -1, "live");
	member(t, L, "ttft_ms", "Pcts");
	usage_push(w.state, &usage, true);
	object(t, L, "Usage");
	failure_push(L, &error);
	object(t, L, "Failure");
	outcome_push(w.state, &(struct outcome){ .status = 200, .endpoint = &w.endpoints[0], .usage = &usage, .bill = &bill });
	object(t, L, "Outcome");
	bill_push(L, &bill);
	object(t, L, "Bill");
	lua_getfield(L, -1, "lines");
	lua_rawgeti(L, -1, 1);
	object(t, L, "Line");
	lua_settop(L, 0);
	world_release(&w);
}

/* A policy with every field that the class has is loaded; hooks have the words of hook_names. */
static void policy_class(const struct text *t)
{
	static const char *const fields[] = { "name", "api", "version", "doc", "params", "counters", "setup", "memo", "when", "scores", "limits", "sticky", "lists", NULL };
	const char *class = class_of(t, "Policy");
	unsigned before = bad;

	for (int h = 0; h < HOOK_COUNT; h++)
		if (!field_in(class, hook_names[h]))
			missing("Policy", hook_names[h]);
	for (size_t i = 0; fields[i]; i++)
		if (!field_in(class, fields[i]))
			missing("Policy", fields[i]);
	for (; class && !strncmp(class, "---@field ", 10); class = strchr(class, '\n') + 1) {
		char name[40];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(class + 10, " ?"), class + 10);
		if (!is_one_of(name, fields) && !is_one_of(name, (const char *const[]){ hook_names[0], hook_names[1], hook_names[2], hook_names[3], hook_names[4],
			hook_names[5], hook_names[6], hook_names[7], hook_names[8], hook_names[9], NULL }))
			missing("declared, but no field of a policy", name);
	}
	ok(bad == before, "Policy: every hook and field, and no other");
}

int main(void)
{
	static struct text t;
	struct bundle *b;
	struct policy_state *s;
	struct err err = { 0, "" };
	size_t declared, live;

	keep(&t, "");
	policy_types(keep, &t);
	if (bundle_read(NULL, "policies", &b, &err) || !(s = tests_open(b, &err))) {
		printf("# %s\n", err.msg);
		return 1;
	}
	ok(luaL_loadbufferx(s->L, t.at, t.len, "types", "t") == LUA_OK, "it is Lua");
	lua_settop(s->L, 0);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->env);
	luaL_getmetafield(s->L, -1, "__index");
	declared = declared_names(&t, s->L, "");
	printf("# %zu functions and values\n", declared);
	ok(!bad && declared > 70, "what a policy can name is declared, with how it is called");
	live = live_names(&t, s->L, 2);
	ok(!bad && live > declared, "and what is declared is there");
	lua_settop(s->L, 0);
	lua_getfield(s->L, LUA_REGISTRYINDEX, "t");
	object(&t, s->L, "Test");
	lua_settop(s->L, 0);
	policy_class(&t);
	objects(&t);
	policy_state_free(s);
	bundle_unref(b);
	return tap_done();
}
