/*
 * bundle.lua: which policies run where, in which order, with which parameters;
 * and which of them are for the request at hand.
 */
#include <limits.h>
#include "base/crypto.h"
#include "policy/state.h"

const char *const scope_names[IN_COUNT] = { "guard", "default", "org", "workspace", "key", "request" };

static const char *text_field(lua_State *L, int i, const char *name)
{
	const char *text;

	lua_getfield(L, i, name);
	text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
	lua_pop(L, 1);
	return text;	/* the table keeps it alive */
}

/* when[hook], or none. */
static int take_when(lua_State *L, int decl, const char *hook)
{
	int ref = LUA_NOREF;

	if (lua_getfield(L, decl, "when") == LUA_TTABLE && lua_getfield(L, -1, hook) == LUA_TFUNCTION)
		ref = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_settop(L, decl);
	return ref;
}

static void take_hooks(struct policy_state *s, struct entry *e, int decl)
{
	lua_State *L = s->L;

	for (int h = 0; h < HOOK_COUNT; h++) {
		lua_Debug ar;

		e->fn[h] = e->when[h] = LUA_NOREF;
		snprintf(e->at[h], sizeof(e->at[h]), "%s.lua", e->name);
		if (lua_getfield(L, decl, hook_names[h]) != LUA_TFUNCTION) {
			lua_pop(L, 1);
			continue;
		}
		lua_pushvalue(L, -1);
		lua_getinfo(L, ">Su", &ar);
		e->args[h] = ar.isvararg ? UCHAR_MAX : ar.nparams;
		snprintf(e->at[h], sizeof(e->at[h]), "%.*s:%d", NAME_BYTES, ar.short_src, ar.linedefined);
		e->fn[h] = luaL_ref(L, LUA_REGISTRYINDEX);
		e->when[h] = take_when(L, decl, hook_names[h]);
	}
}

/* sticky = { ttl_s = 600 } */
static int take_sticky(struct policy_state *s, struct entry *e, int decl)
{
	lua_State *L = s->L;
	lua_Integer n = 0;
	bool whole = false;

	if (lua_getfield(L, decl, "sticky") != LUA_TNIL) {
		if (table_at(L, -1)) {
			lua_getfield(L, -1, "ttl_s");
			whole = lua_isinteger(L, -1);
			n = lua_tointeger(L, -1);
		}
		if (!whole || n < 1 || n > STICKY_MAX_S)
			return refuse(s, "%s.lua: sticky must be a table such as { ttl_s = 600 }, 1..%d seconds", e->name, STICKY_MAX_S);
		e->sticky_s = (uint64_t)n;
	}
	lua_settop(L, decl);
	return 0;
}

/* order = { price = "first" } */
static int take_order(struct policy_state *s, struct entry *e, int line)
{
	lua_State *L = s->L;

	if (lua_getfield(L, line, "order") == LUA_TNIL) {
		lua_pop(L, 1);
		return 0;
	}
	if (!lua_istable(L, -1))
		return refuse(s, "bundle.lua: %s: order must be a table such as { price = \"first\" }", e->name);
	for (int h = 0; h < HOOK_COUNT; h++) {
		const char *word = text_field(L, lua_gettop(L), hook_names[h]);

		if (word && strcmp(word, "first") && strcmp(word, "last"))
			return refuse(s, "bundle.lua: %s: order.%s must be \"first\" or \"last\"", e->name, hook_names[h]);
		e->order[h] = !word ? 0 : *word == 'f' ? -1 : 1;
	}
	lua_pop(L, 1);
	return 0;
}

/* share_bps = 500: for one key in twenty, always the same ones. */
static int take_share(struct policy_state *s, struct entry *e, int line)
{
	lua_State *L = s->L;
	lua_Integer bps;
	int type = lua_getfield(L, line, "share_bps");

	bps = lua_tointeger(L, -1);
	if (type != LUA_TNIL && (!lua_isinteger(L, -1) || bps < 0 || bps > ALL_BPS))
		return refuse(s, "bundle.lua: %s: share_bps is a whole number, 0..10000: so many of 10000 keys", e->name);
	if (type != LUA_TNIL && e->scope == IN_GUARD)
		return refuse(s, "bundle.lua: %s: a guard policy is for every key: it has no share_bps", e->name);
	e->share_bps = type == LUA_TNIL ? ALL_BPS : (unsigned)bps;
	lua_pop(L, 1);
	return 0;
}

/* fail = { admit = "open" }, at index i: 1, 0, or -1 and s->error.  What protects cannot be weakened. */
static int open_word(struct policy_state *s, const char *where, int i)
{
	lua_State *L = s->L;
	int open = 0;

	if (!lua_istable(L, i))
		return refuse(s, "bundle.lua: %s: fail must be a table such as { admit = \"open\" }", where);
	lua_pushnil(L);
	while (lua_next(L, i)) {
		const char *hook = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "(not a name)";
		const char *word = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";

		if (strcmp(hook, "admit") && strcmp(hook, "filter") && strcmp(hook, "retain") && strcmp(hook, "shape"))
			return refuse(s, "bundle.lua: %s: fail.%s: it is for admit, filter, retain and shape", where, hook);
		if (strcmp(word, "open") && strcmp(word, "closed"))
			return refuse(s, "bundle.lua: %s: fail.%s must be \"open\" or \"closed\"", where, hook);
		if (*word == 'o' && strcmp(hook, "admit"))
			return refuse(s, "bundle.lua: %s: fail.%s is always \"closed\": a failure there must not let through what it protects", where, hook);
		open |= *word == 'o';
		lua_pop(L, 1);
	}
	return open;
}

/* A line's own word counts before the bundle's. */
static int take_failing(struct policy_state *s, struct entry *e, int line)
{
	lua_State *L = s->L;
	int open = 0;

	if (lua_getfield(L, line, "fail") != LUA_TNIL) {
		open = open_word(s, e->name, lua_gettop(L));
		if (open > 0 && e->scope == IN_GUARD)
			return refuse(s, "bundle.lua: %s: a guard policy always fails closed", e->name);
		e->fails_own = true;
		e->open = open > 0;
	}
	lua_pop(L, 1);
	return open < 0 ? -1 : 0;
}

/* A guard that a kept version brings stands in front of the bundle's own of that name. */
static bool guarded(const struct policy_state *s, const char *use)
{
	for (size_t i = 0; i < s->n_entries; i++)
		if (s->entries[i].tree[0] && strcmp(s->entries[i].tree, s->tree) && !strcmp(s->entries[i].name, use))
			return true;
	return false;
}

static int take_entry(struct policy_state *s, int line, enum scope_kind scope, const char *id)
{
	static const char *const keys[] = { "use", "with", "mode", "order", "share_bps", "fail", NULL };
	lua_State *L = s->L;
	struct entry *e = &s->entries[s->n_entries];
	const char *use, *mode;
	int with = 0;

	if (!lua_istable(L, line) || !(use = text_field(L, line, "use")) || strlen(use) >= NAME_BYTES - 4)
		return refuse(s, "bundle.lua: policies.%s: each line is { use = \"name\", with = { ... } }", scope_names[scope]);
	if (s->n_entries == ENTRIES_MAX)
		return refuse(s, "bundle.lua: more than %d lines of policies", ENTRIES_MAX);
	lua_pushnil(L);
	while (lua_next(L, line)) {
		if (lua_type(L, -2) != LUA_TSTRING || !is_one_of(lua_tostring(L, -2), keys))
			return refuse(s, "bundle.lua: %s: unknown member '%s'; known are use, with, mode, order, share_bps, fail", use,
				lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "(not a name)");
		lua_pop(L, 1);
	}
	if (scope == IN_GUARD && guarded(s, use))
		return 0;
	*e = (struct entry){ .scope = scope, .active = true };
	snprintf(e->tree, sizeof(e->tree), "%s", s->tree);
	snprintf(e->name, sizeof(e->name), "%s", use);
	snprintf(e->scope_id, sizeof(e->scope_id), "%s", id);
	mode = text_field(L, line, "mode");
	if (mode && strcmp(mode, "shadow") && strcmp(mode, "live"))
		return refuse(s, "bundle.lua: %s: mode must be \"live\" or \"shadow\"", use);
	e->shadow = mode && *mode == 's';
	e->waits = lookup_named(s->bundle, e->name);
	if (take_order(s, e, line) || take_share(s, e, line) || take_failing(s, e, line))
		return -1;
	if (lua_getfield(L, line, "with") == LUA_TTABLE)
		with = lua_gettop(L);
	else if (!lua_isnil(L, -1))
		return refuse(s, "bundle.lua: %s: with must be a table", use);
	if (policy_load(s, use, with))
		return -1;
	e->my = luaL_ref(L, LUA_REGISTRYINDEX);
	e->with = LUA_NOREF;
	if (with) {
		lua_pushvalue(L, with);
		e->with = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	take_hooks(s, e, lua_gettop(L));
	s->n_entries++;		/* from here on the entry's own memory is the state's to free */
	if (memo_open(s, e, lua_gettop(L)) || scores_take(s, e, lua_gettop(L)) || limits_take(s, e, lua_gettop(L)) || counters_take(s, e, lua_gettop(L)) || take_sticky(s, e, lua_gettop(L)))
		return -1;
	e->decl = luaL_ref(L, LUA_REGISTRYINDEX);
	s->scoped |= scope > IN_DEFAULT || e->share_bps < ALL_BPS;
	s->shadows |= e->shadow;
	return 0;
}

/* The list on top. */
static int take_list(struct policy_state *s, enum scope_kind scope, const char *id)
{
	lua_State *L = s->L;
	int list = lua_gettop(L);
	lua_Integer n;

	if (!lua_istable(L, list))
		return refuse(s, "bundle.lua: policies.%s must be a list", scope_names[scope]);
	n = luaL_len(L, list);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_geti(L, list, i);
		if (take_entry(s, list + 1, scope, id))
			return -1;
		lua_settop(L, list);
	}
	return 0;
}

/* org = { org_7 = { ... } }, on top. */
static int take_map(struct policy_state *s, enum scope_kind scope)
{
	lua_State *L = s->L;
	int map = lua_gettop(L);

	if (!lua_istable(L, map))
		return refuse(s, "bundle.lua: policies.%s must be a table of lists by id", scope_names[scope]);
	lua_pushnil(L);
	while (lua_next(L, map)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			return refuse(s, "bundle.lua: policies.%s: each list needs an id", scope_names[scope]);
		if (lua_rawlen(L, -2) >= SCOPE_BYTES)
			return refuse(s, "bundle.lua: policies.%s: '%.90s' is too long for an id", scope_names[scope], lua_tostring(L, -2));
		if (take_list(s, scope, lua_tostring(L, -2)))
			return -1;
		lua_settop(L, map + 1);
	}
	return 0;
}

/* request = { allow = { "name" } }, on top: what a request may name. */
static int take_request(struct policy_state *s)
{
	lua_State *L = s->L;
	int at = lua_gettop(L);
	lua_Integer n;

	if (!lua_istable(L, at) || (lua_getfield(L, at, "allow") != LUA_TTABLE && !lua_isnil(L, -1)))
		return refuse(s, "bundle.lua: policies.request must be { allow = { \"name\" } }");
	n = lua_istable(L, -1) ? luaL_len(L, -1) : 0;
	for (lua_Integer i = 1; i <= n; i++) {
		lua_newtable(L);
		lua_geti(L, at + 1, i);
		lua_setfield(L, -2, "use");
		if (take_entry(s, lua_gettop(L), IN_REQUEST, ""))
			return -1;
		lua_settop(L, at + 1);
	}
	return 0;
}

static int take_scope(struct policy_state *s, enum scope_kind scope)
{
	if (scope == IN_GUARD || scope == IN_DEFAULT)
		return take_list(s, scope, "");
	return scope == IN_REQUEST ? take_request(s) : take_map(s, scope);
}

/* limits = { heap_mib = 16 ... } */
static int take_limits(struct policy_state *s, int tree)
{
	static const struct { const char *name; lua_Integer least, most; } known[] = {
		{ "heap_mib", 4, 1024 }, { "hook_alloc_mib", 1, 64 }, { "request_fuel", 10000, 100000000 }, { "wall_ms", 1, 10000 } };
	enum { KNOWN = sizeof(known) / sizeof(known[0]) };
	lua_Integer n[KNOWN] = { (lua_Integer)(s->heap_max >> 20), (lua_Integer)(s->hook_bytes >> 20), s->request_fuel, (lua_Integer)(s->wall_us / 1000) };
	lua_State *L = s->L;
	int type = lua_getfield(L, tree, "limits");

	if (type != LUA_TNIL && type != LUA_TTABLE)
		return refuse(s, "bundle.lua: limits must be a table such as { heap_mib = 16 }");
	if (type == LUA_TTABLE)
		lua_pushnil(L);
	while (type == LUA_TTABLE && lua_next(L, -2)) {
		const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "(not a name)";
		size_t i = 0;

		while (i < KNOWN && strcmp(known[i].name, name))
			i++;
		if (i == KNOWN)
			return refuse(s, "bundle.lua: limits.%s: known are heap_mib, hook_alloc_mib, request_fuel, wall_ms", name);
		if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < known[i].least || lua_tointeger(L, -1) > known[i].most)
			return refuse(s, "bundle.lua: limits.%s is a whole number, %lld..%lld", name, (long long)known[i].least, (long long)known[i].most);
		n[i] = lua_tointeger(L, -1);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	s->heap_max = (size_t)n[0] << 20;
	s->hook_bytes = (size_t)n[1] << 20;
	s->request_fuel = (long)n[2];
	s->wall_us = (uint64_t)n[3] * 1000;
	return 0;
}

static int take_fail(struct policy_state *s, int tree)
{
	int open = 0;

	if (lua_getfield(s->L, tree, "fail") != LUA_TNIL)
		open = open_word(s, "all", lua_gettop(s->L));
	for (size_t i = 0; i < s->n_entries && open >= 0; i++)
		if (!s->entries[i].fails_own)
			s->entries[i].open = open && s->entries[i].scope != IN_GUARD;
	lua_pop(s->L, 1);
	return open < 0 ? -1 : 0;
}

/* Leaves what bundle.lua returns, or nil where there is none. */
static int run_tree(struct policy_state *s, const char *name)
{
	static const char *const keys[] = { "base", "policies", "limits", "fail", "answers", "excluded_by", "max_stale_s", "doc", NULL };
	const struct source *f = source_of(s, name);
	lua_State *L = s->L;

	if (!f) {
		lua_pushnil(L);
		return 0;
	}
	if (sandbox_load(s, f->text, f->len, "bundle.lua", s->env) || sandbox_call(s, 0, 1, SETUP_FUEL, SETUP_BYTES))
		return -1;
	if (!lua_istable(L, -1))
		return refuse(s, "bundle.lua: it must return a table");
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		if (lua_type(L, -2) != LUA_TSTRING || !is_one_of(lua_tostring(L, -2), keys))
			return refuse(s, "bundle.lua: unknown member '%s'; known are base, policies, limits, fail, answers, excluded_by",
				lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "(not a name)");
		lua_pop(L, 1);
	}
	return 0;
}

static int take_stale(struct policy_state *s, int tree)
{
	lua_Integer n;

	if (lua_getfield(s->L, tree, "max_stale_s") != LUA_TNIL) {
		n = lua_isinteger(s->L, -1) ? lua_tointeger(s->L, -1) : -1;
		if (n < 0 || n > 30 * 86400)
			return refuse(s, "bundle.lua: max_stale_s must be a whole number of seconds, 0..2592000");
		s->max_stale_s = (long)n;
	}
	lua_pop(s->L, 1);
	return 0;
}

/* Pushes tree.policies[scope], or nil. */
static bool push_scope(lua_State *L, int tree, enum scope_kind scope)
{
	if (!lua_istable(L, tree) || lua_getfield(L, tree, "policies") != LUA_TTABLE)
		return false;
	return lua_getfield(L, -1, scope_names[scope]) != LUA_TNIL;
}

/* Both bundles' texts by reason: answers, excluded_by. */
static int take_texts(struct policy_state *s, int own, int base, const char *member)
{
	lua_State *L = s->L;

	lua_newtable(L);
	for (int i = 0; i < 2; i++) {
		int tree = i ? own : base;

		lua_settop(L, base + 1);
		if (!lua_istable(L, tree) || lua_getfield(L, tree, member) != LUA_TTABLE)
			continue;
		lua_pushnil(L);
		while (lua_next(L, -2)) {
			if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
				return refuse(s, "bundle.lua: %s are texts by reason", member);
			lua_pushvalue(L, -2);
			lua_insert(L, -2);
			lua_rawset(L, base + 1);
		}
	}
	lua_settop(L, base + 1);
	lua_setfield(L, LUA_REGISTRYINDEX, member);
	return 0;
}

/* What limits and sticky declare belongs to a hook, too. */
static bool takes_part(const struct entry *e, int h)
{
	return e->fn[h] != LUA_NOREF || (h == HOOK_FILTER && e->n_limits) || (h == HOOK_PLAN && e->sticky_s);
}

/* Hooks in the order in which they run; on_error asks the narrowest scope first. */
static void sort_hooks(struct policy_state *s)
{
	for (int h = 0; h < HOOK_COUNT; h++) {
		for (int turn = -1; turn <= 1; turn++)
			for (int scope = 0; scope < IN_COUNT; scope++)
				for (size_t i = 0; i < s->n_entries; i++) {
					const struct entry *e = &s->entries[i];
					enum scope_kind wanted = h == HOOK_ON_ERROR ? IN_COUNT - 1 - scope : scope;

					if (takes_part(e, h) && e->scope == wanted && e->order[h] == turn)
						s->chain[h][s->n_chain[h]++] = (unsigned char)i;
				}
	}
}

/* Leaves what the two say. */
static int run_trees(struct policy_state *s)
{
	int rc = run_tree(s, "bundle");

	return rc ? rc : run_tree(s, "base/bundle");
}

/* What stands below guards/ was there when this bundle was gone back to, and has more
 * guards: they all go on.  The same version may have been given some itself. */
static int take_kept(struct policy_state *s)
{
	lua_State *L = s->L;
	int own = lua_gettop(L) + 1, base = own + 1, rc = 0;
	size_t len = strlen(s->tree);

	if (len + 8 > sizeof(s->tree))	/* bundle_read_kept() reads no deeper */
		return refuse(s, "guards are kept from too many older bundles\nhint: publish a bundle that has them itself");
	memcpy(s->tree + len, "guards/", 8);
	if (source_of(s, "bundle")) {
		rc = run_trees(s);
		if (!rc && (push_scope(L, own, IN_GUARD) || (lua_settop(L, base), push_scope(L, base, IN_GUARD))))
			rc = take_list(s, IN_GUARD, "");
		rc = rc ? rc : (lua_settop(L, own - 1), take_kept(s));
	}
	s->tree[len] = '\0';
	return rc;
}

int guards_take(const struct policy_state *s, struct bundle *b)
{
	b->guards = calloc(s->n_entries + 1, sizeof(*b->guards));
	if (!b->guards)
		return MG_ENOMEM;
	for (size_t i = 0; i < s->n_entries; i++) {
		const struct entry *e = &s->entries[i];
		struct guard *g = &b->guards[b->n_guards];

		if (e->scope != IN_GUARD || e->shadow)
			continue;
		snprintf(g->name, sizeof(g->name), "%s", e->name);
		g->kept = e->tree[0] != '\0';
		b->n_guards++;
	}
	b->max_stale_s = s->max_stale_s;
	return 0;
}

int chain_build(struct policy_state *s, struct err *err)
{
	lua_State *L = s->L;
	int own = lua_gettop(L) + 1, base = own + 1, rc;

	rc = take_kept(s);
	rc = rc ? rc : run_trees(s);
	for (int scope = 0; !rc && scope < IN_COUNT; scope++) {
		if (push_scope(L, own, scope) || (lua_settop(L, base), push_scope(L, base, scope)))
			rc = take_scope(s, scope);
		lua_settop(L, base);
	}
	if (!rc && lua_istable(L, own))
		rc = take_limits(s, own) || take_fail(s, own) || take_stale(s, own) ? -1 : 0;
	if (!rc)
		rc = take_texts(s, own, base, "answers") || take_texts(s, own, base, "excluded_by") ? -1 : 0;
	if (rc)
		return fail(err, MG_EINVAL, "%s", s->error);
	lua_settop(L, own - 1);
	sort_hooks(s);
	return 0;
}

int chain_add(struct policy_state *s, const char *name)
{
	int top = lua_gettop(s->L), rc;

	lua_newtable(s->L);
	lua_pushstring(s->L, name);
	lua_setfield(s->L, -2, "use");
	rc = take_entry(s, top + 1, IN_DEFAULT, "");
	lua_settop(s->L, top);
	if (rc)
		return rc;
	memset(s->n_chain, 0, sizeof(s->n_chain));
	sort_hooks(s);
	return 0;
}

/* By the key, so that nobody changes sides between two requests; and whoever is in a small share is in a larger one. */
static bool in_share(const struct entry *e, const struct facts *f)
{
	uint64_t name = hash64(e->name, strlen(e->name), 17);

	return e->share_bps == ALL_BPS || hash64(f->key.id.at ? f->key.id.at : "", f->key.id.len, name) % ALL_BPS < e->share_bps;
}

static bool in_scope(const struct entry *e, const struct facts *f)
{
	if (!in_share(e, f))
		return false;
	switch (e->scope) {
	case IN_ORG: return mg_is(f->key.org, e->scope_id);
	case IN_WORKSPACE: return mg_is(f->key.workspace, e->scope_id);
	case IN_KEY: return mg_is(f->key.id, e->scope_id);
	case IN_REQUEST: return mg_is(f->policy, e->name);
	default: return true;
	}
}

/* A name runs once: a narrower scope takes the place of a wider one, but never of a guard. */
void chain_choose(struct policy_state *s, const struct decision *d)
{
	if (!s->scoped)
		return;		/* everything is active for everybody */
	for (size_t i = 0; i < s->n_entries; i++) {
		struct entry *e = &s->entries[i];

		e->active = in_scope(e, &d->facts);
		if (!e->active || e->scope <= IN_DEFAULT)
			continue;
		for (size_t k = 0; k < i; k++) {
			struct entry *wider = &s->entries[k];

			if (!wider->active || strcmp(wider->name, e->name))
				continue;
			if (wider->scope == IN_GUARD)
				e->active = false;
			else
				wider->active = false;
		}
	}
}

bool policy_may_be_named(const struct policy_state *s, struct mg_str name)
{
	for (size_t i = 0; i < s->n_entries; i++)
		if (s->entries[i].scope == IN_REQUEST && mg_is(name, s->entries[i].name))
			return true;
	return false;
}

const char *text_for(struct policy_state *s, const char *member, const char *reason)
{
	const char *text;

	lua_getfield(s->L, LUA_REGISTRYINDEX, member);
	text = text_field(s->L, lua_gettop(s->L), reason);
	lua_pop(s->L, 1);
	return text;
}
