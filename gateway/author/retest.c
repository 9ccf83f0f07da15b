/* decision_as_test(): a kept decision as the text of a test: what was asked, what the endpoints were like, what came of it. */
#include "author/tools.h"
#include "replay/copy.h"
#include "replay/recorded.h"

/* ---- fixtures: what is not as in the plain one */

static bool same_text(lua_State *L, int a, int b)
{
	struct buf one, two;
	bool same;

	buf_init(&one, 1 << 20);
	buf_init(&two, 1 << 20);
	lua_text(L, a, &one, 0);
	lua_text(L, b, &two, 0);
	same = one.len == two.len && !memcmp(one.at, two.at, one.len);
	buf_release(&one);
	buf_release(&two);
	return same;
}

/* "name = value" of each member of the object at i that is not so in the table at plain; skip: a name, or NULL. */
static void put_differences(lua_State *L, int i, int plain, const char *skip, struct buf *b)
{
	const char *comma = " ";
	int keys, top = lua_gettop(L);
	lua_Integer n;

	bare_push(L, i);
	n = keys_sorted(L, top + 1);
	keys = lua_gettop(L);
	buf_text(b, "{");
	for (lua_Integer k = 1; k <= n; k++, lua_settop(L, keys)) {
		const char *name = lua_rawgeti(L, keys, k) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;

		if (!name || (skip && !strcmp(name, skip)))
			continue;
		lua_getfield(L, i, name);
		lua_pushstring(L, name);
		lua_rawget(L, plain);
		if (same_text(L, keys + 2, keys + 3))
			continue;
		buf_print(b, "%s%s = ", comma, name);
		comma = ", ";
		if (table_at(L, keys + 2) && lua_istable(L, keys + 3) && lua_next(L, (lua_pushnil(L), keys + 3))) {
			lua_pop(L, 2);
			put_differences(L, keys + 2, keys + 3, strcmp(name, "prefs") ? NULL : "none", b);	/* which follows from the others */
		} else {
			lua_text(L, keys + 2, b, 0);
		}
	}
	buf_text(b, " }");
	lua_settop(L, top);
}

/* t.fixtures[name] is pushed. */
static int push_fixture(lua_State *L, const char *name)
{
	lua_getfield(L, LUA_REGISTRYINDEX, "t");
	lua_getfield(L, -1, "fixtures");
	lua_getfield(L, -1, name);
	lua_replace(L, -3);
	lua_pop(L, 1);
	return lua_gettop(L);
}

/* ---- the test */

static void put_use(struct policy_state *s, const struct entry *e, struct buf *b, const char **comma)
{
	buf_print(b, "%s use(\"%s\"", *comma, e->name);
	*comma = ",";
	if (e->with != LUA_NOREF) {
		buf_text(b, ", ");
		lua_rawgeti(s->L, LUA_REGISTRYINDEX, e->with);
		lua_text(s->L, lua_gettop(s->L), b, 0);
		lua_pop(s->L, 1);
	}
	buf_text(b, ")");
}

/* Those that filter alone, then those that rank, in their order. */
static void put_chain(struct policy_state *s, struct buf *b)
{
	const char *comma = "";

	buf_text(b, "local chain = {");
	EACH_ENTRY(s, HOOK_FILTER, e)
		if (!e->shadow && e->fn[HOOK_RANK] == LUA_NOREF)
			put_use(s, e, b, &comma);
	EACH_ENTRY(s, HOOK_RANK, e)
		if (!e->shadow)
			put_use(s, e, b, &comma);
	buf_text(b, " }\n");
}

static void put_endpoint(struct policy_state *s, const struct seen *c, const struct endpoint *e, struct buf *b)
{
	lua_State *L = s->L;
	int plain = push_fixture(L, "ep"), at = plain + 1;

	endpoint_push(s, e, &c->live);
	buf_text(b, "    t.ep ");
	put_differences(L, at, plain, "rate", b);	/* t.ep works it out from usd */
	buf_text(b, ",\n");
	lua_settop(L, plain - 1);
}

/* Who answered a conversation before is known as it was then. */
static void put_readings(const struct recorded *r, struct buf *b)
{
	for (const struct consulted *c = r->given; c; c = c->next) {
		if (!strcmp(c->function, "sticky.get") && !mg_is(c->said, "null"))
			buf_print(b, "  t.state().sticky[%.*s] = %.*s\n", (int)c->asked.len, c->asked.at, (int)c->said.len, c->said.at);
		else if (strcmp(c->function, "sticky.get"))
			buf_print(b, "  -- %s(%.*s) was %.*s\n", c->function, (int)c->asked.len, c->asked.at, (int)c->said.len, c->said.at);
	}
}

static void put_expected(const struct listed *l, const struct shelf *shelf, struct buf *b)
{
	const char *comma = " ";

	buf_text(b, "  t.eq(ids, {");
	for (unsigned rank = 1; rank <= l->n; rank++)
		for (size_t i = 0; i < l->n; i++)
			if (l->at[i].rank == rank) {
				buf_print(b, "%s\"%s\"", comma, shelf_find(shelf, l->at[i].hash)->id);
				comma = ", ";
			}
	buf_text(b, " })\n");
	for (size_t i = 0; i < l->n; i++) {
		const struct seen *c = &l->at[i];
		size_t by = c->by.at ? strcspn(c->by.at, ".:") : 0;

		if (c->dropped.at && !mg_is(c->dropped, "unranked") && by <= c->by.len)
			buf_print(b, "  t.eq(dropped[\"%s\"], \"%.*s:%.*s\")\n", shelf_find(shelf, c->hash)->id, (int)by, c->by.at, (int)c->dropped.len, c->dropped.at);
	}
}

static int put_test(struct policy_state *s, struct decision *d, const struct recorded *r, const struct shelf *shelf, struct buf *b, struct err *err)
{
	const struct listed *l = r->n_routings ? &r->routings[r->n_routings - 1] : NULL;
	int plain;

	for (size_t i = 0; l && i < l->n; i++)
		if (!shelf_find(shelf, l->at[i].hash))
			return fail(err, MG_EPROTO, "what its endpoints were like is not kept any more");
	if (!l || !l->n)
		return fail(err, MG_EINVAL, "it was denied before there were candidates: there is nothing to route");
	d->facts = r->facts;
	d->facts.models = r->models;	/* as the policies left them */
	d->facts.prefs = r->prefs;
	hook_begin(s, d);
	buf_print(b, "-- From %.*s: what was routed then is routed the same way.\n", (int)r->facts.id.len, r->facts.id.at);
	put_chain(s, b);
	buf_print(b, "test(\"as %.*s\", function(t)\n", (int)r->facts.id.len, r->facts.id.at);
	put_readings(r, b);
	plain = push_fixture(s->L, "req");
	req_push(s, d);
	buf_text(b, "  local req = t.req ");
	put_differences(s->L, plain + 1, plain, NULL, b);
	buf_text(b, "\n  req.u = nil -- rand() draws as it did\n  local eps = {\n");
	lua_settop(s->L, plain - 1);
	for (size_t i = 0; i < l->n; i++)
		put_endpoint(s, &l->at[i], shelf_find(shelf, l->at[i].hash), b);
	buf_text(b, "  }\n  local order, dropped = t.route(chain, req, eps)\n  local ids = {}\n  for i, e in ipairs(order) do ids[i] = e.id end\n");
	put_expected(l, shelf, b);
	buf_text(b, "end)\n");
	return b->failed ? fail(err, MG_ENOMEM, "no memory for a test") : 0;
}

static int tell(const struct mg_store *ops, void *handle, const struct mg_store_decision *row, struct bundle *b, struct buf *out, struct err *err)
{
	struct pool *pool = pool_new(16 << 20);
	struct policy_state *s = tests_open(b, err);
	struct shelf *shelf = NULL;
	struct recorded r;
	struct decision d;
	int rc = !s ? MG_EINVAL : pool ? recorded_read(pool, row, &r, err) : fail(err, MG_ENOMEM, "no memory for a test");

	rc = rc ? rc : shelf_of(ops, handle, pool, &r, &shelf, err);
	if (!rc) {
		decision_init(&d, pool);
		rc = put_test(s, &d, &r, shelf, out, err);
	}
	shelf_free(shelf);
	policy_state_free(s);
	pool_free(pool);
	return rc;
}

int decision_as_test(const struct mg_store *ops, void *handle, const char *id, struct bundle *b, struct buf *out, struct err *err)
{
	struct mg_store_decision row;
	struct buf texts;
	int rc, found;

	found = copy_find(ops, handle, id, &texts, &row, err);
	rc = found == 1 ? tell(ops, handle, &row, b, out, err) : 0;
	buf_release(&texts);
	return rc ? rc : found;
}
