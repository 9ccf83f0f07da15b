/*
 * A state is built from nothing: no library is opened into it and nothing is
 * taken away afterwards (R62).  What a policy can name is in one table, behind
 * a read-only sight that is its environment.
 */
#include <time.h>
#include "policy/state.h"

/* A finer count costs the same as a coarse one: the VM traps on each instruction anyway. */
enum { FUEL_STEP = 100, LOOK_STEPS = 50, WALL_HARD = 20, HEAP_BYTES = 16 << 20, FREEZE_DEPTH = 32 };

struct policy_state *state_of(lua_State *L)
{
	return *(struct policy_state **)lua_getextraspace(L);
}

/* For nothing, an object's type comes in place of its old size.  One instruction compares or
 * joins strings of any length, so that their length is what bounds it. */
static bool too_long(const void *at, size_t old, size_t size)
{
	return !at && old == LUA_TSTRING && size > STRING_MAX + 64;
}

/* Caps what is live and, in a hook, what was handed out since it began. */
static void *allocate(void *arg, void *at, size_t old, size_t size)
{
	struct policy_state *s = arg;

	if (s->metered && too_long(at, old, size)) {
		s->long_string = true;
		return NULL;
	}
	if (!at)
		old = 0;	/* it is a type's number then */
	if (!size) {
		free(at);
		s->heap -= old;
		return NULL;
	}
	if (size > old) {
		size_t more = size - old;

		/* The host's own objects are bounded elsewhere, and an error outside of a call would be the end. */
		if (s->metered && (s->heap + more > s->heap_max || s->spent + more > s->spent_max))
			return NULL;
		s->spent += more;
	}
	void *to = realloc(at, size);

	if (to)
		s->heap += size - old;
	return to;
}

/* The outermost function is about to return: from where? */
static void on_return(lua_State *L, lua_Debug *ar)
{
	struct policy_state *s = state_of(L);
	lua_Debug caller;

	if (lua_getstack(L, 1, &caller) || !lua_getinfo(L, "Sl", ar) || ar->currentline <= 0)
		return;
	s->line = ar->currentline;
	snprintf(s->file, sizeof(s->file), "%s", ar->short_src);
}

/* Fuel ends what runs long, the same each time; this ends what spends it on the dearest of instructions.  The
 * thread's own time counts, so that a busy machine is no reason. */
static bool past_time(struct policy_state *s)
{
	struct timespec now;
	uint64_t us;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	if (!s->cpu_us)
		s->cpu_us = us;		/* of the first look */
	return us - s->cpu_us > s->wall_us * WALL_HARD;
}

static void on_event(lua_State *L, lua_Debug *ar)
{
	struct policy_state *s = state_of(L);
	bool late;

	if (ar->event == LUA_HOOKRET) {
		on_return(L, ar);
		return;
	}
	s->fuel -= lua_gethookcount(L);
	if (s->fuel > 0 && ++s->steps % LOOK_STEPS)
		return;
	if (s->fuel > 0 && (s->testing || !past_time(s)))
		return;
	late = s->fuel > 0;
	s->fuel = late ? 0 : s->fuel;
	lua_sethook(L, on_event, LUA_MASKCOUNT, 1);	/* nothing can run on after this */
	luaL_error(L, late ? "time is up" : "fuel exhausted");
}

/* A helper's own work, by the same counter: hooks do not run inside C (R63). */
void burn(lua_State *L, size_t n)
{
	struct policy_state *s = state_of(L);

	s->fuel -= n < (size_t)s->fuel_max ? (long)n : s->fuel_max;
	if (s->metered && s->fuel <= 0) {
		lua_sethook(L, on_event, LUA_MASKCOUNT, 1);
		luaL_error(L, "fuel exhausted");
	}
}

/* error{...}: only text may leave a policy. */
static void keep_error(struct policy_state *s, lua_State *L, int rc)
{
	const char *text = lua_tostring(L, -1);

	if (rc == LUA_ERRMEM)
		s->starved = !s->long_string;
	if (rc == LUA_ERRMEM || text)
		snprintf(s->error, sizeof(s->error), "%s", rc != LUA_ERRMEM ? text : s->long_string ? "a string over 64 KiB" : "out of memory");
	else
		snprintf(s->error, sizeof(s->error), "(error object is a %s value)", kind_name(L, -1));
	s->long_string = false;
}

static void meter(struct policy_state *s, lua_State *L, bool on)
{
	s->metered = on;
	s->steps = 0;
	s->cpu_us = 0;
	if (on)		/* restarts the count, too */
		lua_sethook(L, on_event, s->tracing ? LUA_MASKCOUNT | LUA_MASKRET : LUA_MASKCOUNT, s->costs ? 1 : FUEL_STEP);
	else
		lua_sethook(L, NULL, 0, 0);
}

int sandbox_call(struct policy_state *s, int n_args, int n_results, long fuel, size_t bytes)
{
	lua_State *L = s->L;
	bool outer = !s->metered;
	int rc;

	if (outer) {
		s->fuel = s->fuel_max = fuel;
		s->spent = 0;
		s->spent_max = bytes;
		meter(s, L, true);
	}
	rc = lua_pcall(L, n_args, n_results, 0);
	if (outer)
		meter(s, L, false);
	if (!rc)
		return 0;
	keep_error(s, L, rc);
	lua_pop(L, 1);
	return -1;
}

int sandbox_resume(struct policy_state *s, lua_State *co, int n_args, struct spent *spent)
{
	int rc, n;

	s->fuel = spent->fuel;
	s->fuel_max = spent->fuel_max;
	s->spent = spent->bytes;
	s->spent_max = spent->bytes_max;
	meter(s, co, true);
	meter(s, s->L, true);	/* scores and the like run there */
	rc = lua_resume(co, s->L, n_args, &n);
	meter(s, s->L, false);
	meter(s, co, false);
	spent->fuel = s->fuel;
	spent->bytes = s->spent;
	if (rc == LUA_OK) {
		lua_settop(co, lua_gettop(co) - n + 1);	/* one result, whatever there is */
		lua_xmove(co, s->L, 1);
		return 0;
	}
	if (rc == LUA_YIELD)
		return HOOK_WAITS;
	keep_error(s, co, rc);
	return -1;
}

/* ---- read-only sights */

static int refuse_write(lua_State *L)
{
	return luaL_error(L, "read-only: cannot set '%s'", lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : kind_name(L, 2));
}

static int sight_len(lua_State *L)
{
	if (!luaL_getmetafield(L, 1, "__index"))
		return 0;
	lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
	return 1;
}

struct proxy *proxy_sized(lua_State *L, enum sight kind, size_t size)
{
	struct proxy *p = lua_newuserdatauv(L, size, 0);

	memset(p, 0, size);
	p->kind = kind;
	lua_createtable(L, 0, 4);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, refuse_write);
	lua_setfield(L, -2, "__newindex");
	lua_pushcfunction(L, sight_len);
	lua_setfield(L, -2, "__len");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lua_remove(L, -2);
	return p;
}

struct proxy *proxy_push(lua_State *L, enum sight kind)
{
	return proxy_sized(L, kind, sizeof(struct proxy));
}

struct proxy *proxy_at(lua_State *L, int i)
{
	return lua_type(L, i) == LUA_TUSERDATA ? lua_touserdata(L, i) : NULL;
}

bool table_at(lua_State *L, int i)
{
	return lua_istable(L, i) || proxy_at(L, i);
}

/* Raises where a policy runs.  An answer is read outside of any call, where an error would be the end: it is empty then. */
static void view_over(lua_State *L)
{
	if (state_of(L)->metered)
		luaL_error(L, "this view of an endpoint's live is over");
	lua_pop(L, 1);
	lua_newtable(L);
}

void bare_push(lua_State *L, int i)
{
	struct proxy *p = proxy_at(L, i);

	if (!p) {
		lua_pushvalue(L, i);
		return;
	}
	if (p->kind == SIGHT_VIEW) {	/* a part of it cannot be told from the whole */
		struct policy_state *s = state_of(L);

		s->impure = true;
		if (p->mirror)
			lua_rawgeti(L, LUA_REGISTRYINDEX, p->mirror->eye);
		else if (lua_getfield(L, LUA_REGISTRYINDEX, "live of") != LUA_TUSERDATA)
			view_over(L);
		bare_push(L, lua_gettop(L));
		lua_remove(L, -2);
		return;
	}
	if (p->kind == SIGHT_COLUMN) {
		column_bare(L, p);
		return;
	}
	luaL_getmetafield(L, i, "__index");
	if (p->kind == SIGHT_MIRROR)
		mirror_complete(L, p->mirror);
	else if (p->kind == SIGHT_LIVE)
		live_complete(L, (struct live_sight *)p);
}

static void freeze_to(lua_State *L, int depth)
{
	if (!lua_istable(L, -1))
		return;
	if (depth > FREEZE_DEPTH)
		luaL_error(L, "tables are nested more than %d deep", FREEZE_DEPTH);
	luaL_checkstack(L, 8, "tables are nested too deep");
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		if (!lua_istable(L, -1)) {
			lua_pop(L, 1);
			continue;
		}
		freeze_to(L, depth + 1);
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, -4);	/* an assignment to a field that is there: next stays valid */
	}
	proxy_push(L, SIGHT_PLAIN);
}

void freeze(lua_State *L)
{
	freeze_to(L, 0);
}

const char *kind_name(lua_State *L, int i)
{
	return proxy_at(L, i) ? "table" : luaL_typename(L, i);
}

/* ---- environment */

/* As above: the environment may be a hook's answer. */
static int unknown_name(lua_State *L)
{
	if (!state_of(L)->metered)
		return 0;
	return luaL_error(L, "unknown name '%s'", lua_tostring(L, 2) ? lua_tostring(L, 2) : kind_name(L, 2));
}

static int global_write(lua_State *L)
{
	return luaL_error(L, "global write '%s' (use 'local')", lua_tostring(L, 2) ? lua_tostring(L, 2) : kind_name(L, 2));
}

/* The names on top become an environment: what is not there is an error that names it. */
static void environment(lua_State *L)
{
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, unknown_name);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
	proxy_push(L, SIGHT_PLAIN);
	lua_getmetatable(L, -1);
	lua_pushcfunction(L, global_write);
	lua_setfield(L, -2, "__newindex");
	lua_pop(L, 1);
}

void group_open(lua_State *L, int names, const char *group, const luaL_Reg *fns)
{
	lua_newtable(L);
	luaL_setfuncs(L, fns, 0);
	proxy_push(L, SIGHT_PLAIN);
	lua_setfield(L, names, group);
}

int sandbox_load(struct policy_state *s, const char *text, size_t len, const char *name, int env)
{
	lua_State *L = s->L;
	char chunk[NAME_BYTES + 2];
	int rc;

	snprintf(chunk, sizeof(chunk), "=%s", name);
	rc = luaL_loadbufferx(L, text, len, chunk, "t");
	if (rc) {
		keep_error(s, L, rc);
		lua_pop(L, 1);
		return strncmp(s->error, "attempt to load", 15) ? -1 : refuse(s, "%s: it is compiled Lua, which is not read: only text is", name);
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, env);
	lua_setupvalue(L, -2, 1);
	return 0;
}

static int fill(lua_State *L)
{
	struct policy_state *s = state_of(L);

	lua_newtable(L);
	library_open(L, 1);
	terms_open(L, 1);
	ranking_open(L, 1);
	billing_open(L, 1);
	shared_open(L, 1);
	budgets_open(L, 1);
	lookup_open(L, 1);
	notes_open(L, 1);
	loader_open(L, 1);
	if (s->testing) {
		lua_newtable(L);	/* the same names, and the tests' own: filled by who runs them */
		lua_pushnil(L);
		while (lua_next(L, 1)) {
			lua_pushvalue(L, -2);
			lua_insert(L, -2);
			lua_rawset(L, -4);
		}
		lua_setfield(L, LUA_REGISTRYINDEX, "test_names");
		lua_getfield(L, LUA_REGISTRYINDEX, "test_names");
		environment(L);
		s->test_env = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	lua_settop(L, 1);
	environment(L);
	s->env = luaL_ref(L, LUA_REGISTRYINDEX);
	objects_open(s);
	return 0;
}

static int panicked(lua_State *L)
{
	fprintf(stderr, "lua: %s\n", lua_tostring(L, -1) ? lua_tostring(L, -1) : "unprotected error");
	return 0;	/* aborts */
}

int sandbox_open(struct policy_state *s)
{
	s->heap_max = HEAP_BYTES;
	s->L = lua_newstate(allocate, s);
	if (!s->L)
		return -1;
	*(struct policy_state **)lua_getextraspace(s->L) = s;
	lua_atpanic(s->L, panicked);
	/* A young collection costs what came since the last one, and little besides: so many, each short.
	 * While the heap grows there are whole ones: before a quarter more has come, not twice as much. */
	lua_gc(s->L, LUA_GCINC, 125, 0, 0);
	lua_gc(s->L, LUA_GCGEN, 4, 100);
	lua_pushcfunction(s->L, fill);
	if (lua_pcall(s->L, 0, 0, 0)) {
		keep_error(s, s->L, LUA_ERRRUN);
		lua_close(s->L);
		s->L = NULL;
		return -1;
	}
	return 0;
}
