/*
 * budget.*: the account's, read only.  What is held for requests that run counts as spent.
 */
#include "policy/state.h"

struct budget { int64_t limit, spent; };	/* nUSD; limit -1: none */

/* One that a test sets. */
static struct budget scratch_budget(lua_State *L, const char *scope, const char *id)
{
	struct budget b = { -1, 0 };

	lua_pushfstring(L, "%s:%s", scope, id);
	scratch_push(L, "budget", lua_tostring(L, -1));
	if (lua_istable(L, -1)) {
		lua_getfield(L, -1, "limit");
		lua_getfield(L, -2, "spent");
		b.limit = luaL_optinteger(L, -2, -1);
		b.spent = luaL_checkinteger(L, -1);
	}
	return b;
}

static struct budget budget_of(const struct scope *scope, int64_t now_ms)
{
	struct scope_facts f;

	if (!scope)
		return (struct budget){ -1, 0 };
	scope_read(scope, now_ms, &f);
	return f.limit < 0 ? (struct budget){ -1, f.charged.monthly + f.held } : (struct budget){ f.limit, f.posted + f.held };
}

/* Whoever is in none has "". */
static bool is_own(struct mg_str workspace, const char *id)
{
	return workspace.len ? mg_is(workspace, id) : !*id;
}

/* At list price, of a workspace's own accounts in this month. */
static int64_t own_list(const struct decision *d, int64_t now_ms)
{
	struct scope_facts f = { 0 };

	if (d->own_purse)
		scope_read(d->own_purse, now_ms, &f);
	return f.own.monthly;
}

/* (scope, id): "key" and the request's own key, "workspace" and the request's own, "org": the credits that all keys share. */
static struct budget budget(lua_State *L)
{
	static const char *const known[] = { "key", "org", "workspace", "byok_list", NULL };
	struct policy_state *s = state_of(L);
	const char *scope = luaL_checkstring(L, 1), *id = luaL_checkstring(L, 2);
	const struct decision *d = s->d;

	if (!is_one_of(scope, known))
		luaL_error(L, "budget: '%s' is no scope; there are key, org, workspace and byok_list", scope);
	if (s->testing || !d)
		return scratch_budget(L, scope, id);
	if (!strcmp(scope, "key") && !mg_is(d->facts.key.id, id))
		luaL_error(L, "budget: of keys only the request's own is known: req.key.id");
	if ((!strcmp(scope, "workspace") || !strcmp(scope, "byok_list")) && !is_own(d->facts.key.workspace, id))
		luaL_error(L, "budget: of workspaces only the request's own is known: req.key.workspace");
	return budget_of(!strcmp(scope, "key") ? d->purse : !strcmp(scope, "org") ? d->balance : !strcmp(scope, "workspace") ? d->tenant : NULL, s->now_ms);
}

static int left_now(lua_State *L)
{
	struct budget b = budget(L);

	if (b.limit < 0)
		lua_pushnil(L);
	else
		lua_pushinteger(L, b.limit - b.spent);
	return 1;
}

static int used_now(lua_State *L)
{
	struct budget b = budget(L);

	lua_pushinteger(L, b.limit > 0 ? (lua_Integer)((__int128)b.spent * 10000 / b.limit) : b.limit == 0 ? 10000 : 0);
	return 1;
}

static int spent_now(lua_State *L)
{
	struct policy_state *s = state_of(L);
	struct budget b = budget(L);

	if (!s->testing && s->d && !strcmp(lua_tostring(L, 1), "byok_list"))
		b.spent = own_list(s->d, s->now_ms);
	lua_pushinteger(L, b.spent);
	return 1;
}

/* Of a scope and its id. */
static int budget_read(lua_State *L, const char *function, lua_CFunction now)
{
	luaL_checkstring(L, 1);
	luaL_checkstring(L, 2);
	return reading(L, function, 2, now);
}

static int budget_left(lua_State *L) { return budget_read(L, "budget.left_nusd", left_now); }
static int budget_used(lua_State *L) { return budget_read(L, "budget.used_bps", used_now); }
static int budget_spent(lua_State *L) { return budget_read(L, "budget.spent_nusd", spent_now); }

void budgets_open(lua_State *L, int names)
{
	static const luaL_Reg fns[] = { { "left_nusd", budget_left }, { "used_bps", budget_used }, { "spent_nusd", budget_spent }, { NULL, NULL } };

	group_open(L, names, "budget", fns);
}
