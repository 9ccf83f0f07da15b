/*
 * Numbers of endpoints, a list of them at a time: what rank.* orders by, and
 * columns, lists of numbers with one for each endpoint.  A ranking that weighs
 * measurements is some calls over all, not some hundred steps for each.
 */
#include <math.h>
#include "policy/columns.h"

lua_Integer list_length(lua_State *L, int i)
{
	lua_Integer n;

	luaL_argcheck(L, table_at(L, i), i, "list expected");
	n = lua_istable(L, i) ? (lua_Integer)lua_rawlen(L, i) : luaL_len(L, i);
	luaL_argcheck(L, n >= 0 && n <= 100000, i, "list of more than 100000");
	burn(L, (size_t)n);
	return n;
}

/* ---- a column, of which one is made for each call: a block of numbers, without a table */

static struct column *column_at(lua_State *L, int i)
{
	struct proxy *p = proxy_at(L, i);

	return p && p->kind == SIGHT_COLUMN ? (struct column *)p : NULL;
}

static struct column *column_push(lua_State *L, lua_Integer n)
{
	struct column *c = lua_newuserdatauv(L, sizeof(*c) + sizeof(c->x[0]) * (size_t)n, 0);

	c->head = (struct proxy){ .kind = SIGHT_COLUMN };
	c->n = n;
	luaL_setmetatable(L, "column");
	return c;
}

void column_bare(lua_State *L, const struct proxy *p)
{
	const struct column *c = (const struct column *)p;

	lua_createtable(L, (int)c->n, 0);
	for (lua_Integer i = 0; i < c->n; i++) {
		lua_pushnumber(L, c->x[i]);
		lua_rawseti(L, -2, i + 1);
	}
}

static int column_index(lua_State *L)
{
	const struct column *c = column_at(L, 1);
	lua_Integer i = lua_isinteger(L, 2) ? lua_tointeger(L, 2) : 0;

	if (!c || i < 1 || i > c->n)
		return 0;
	lua_pushnumber(L, c->x[i - 1]);
	return 1;
}

static int column_len(lua_State *L)
{
	const struct column *c = column_at(L, 1);

	lua_pushinteger(L, c ? c->n : 0);
	return 1;
}

static int column_set(lua_State *L)
{
	return luaL_error(L, "read-only: a column is changed by rank.clamp alone");
}

void columns_open(lua_State *L)
{
	static const luaL_Reg meta[] = { { "__index", column_index }, { "__len", column_len }, { "__newindex", column_set }, { NULL, NULL } };

	luaL_newmetatable(L, "column");
	luaL_setfuncs(L, meta, 0);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}

/* ---- what ranks an item */

/* "live.ttft_ms.p50": live_fields have it, so that it is read without a table. */
static void live_named(lua_State *L, struct ruler *r)
{
	const char *at = r->name + 5, *dot = strchr(at, '.');
	size_t len = dot ? (size_t)(dot - at) : strlen(at);

	r->live = live_fields;
	while (r->live->name && (strncmp(r->live->name, at, len) || r->live->name[len]))
		r->live++;
	while (dot && r->pct < 4 && strcmp(dot + 1, pct_names[r->pct]))
		r->pct++;
	if (!r->live->name || (r->live->kind == K_MAKE) != (dot != NULL) || r->pct == 4)
		luaL_error(L, "an endpoint has no number '%s'", r->name);
}

struct ruler ruler_at(lua_State *L, int at, int list)
{
	struct ruler r = { .kind = RULER_CALL, .at = at, .list = list, .entry = state_of(L)->entry };
	int top = lua_gettop(L);

	if (lua_type(L, at) == LUA_TSTRING) {
		r.name = lua_tostring(L, at);
		r.kind = strchr(r.name, '.') ? RULER_MEMBER : RULER_SCORE;
		if (r.kind == RULER_SCORE)
			r.score = score_named(L, r.name);
		else if (!strncmp(r.name, "live.", 5))
			live_named(L, &r);
		return r;
	}
	r.column = column_at(L, at);
	if (r.column)
		r.kind = RULER_COLUMN;
	else if (!lua_istable(L, at))
		luaL_checktype(L, at, LUA_TFUNCTION);
	else
		r.kind = lua_rawgeti(L, at, 1) == LUA_TNIL ? RULER_TABLE : RULER_LIST;
	lua_settop(L, top);
	if (r.kind >= RULER_LIST && luaL_len(L, at) != luaL_len(L, list))
		luaL_error(L, "a column of %d numbers for a list of %d", (int)luaL_len(L, at), (int)luaL_len(L, list));
	return r;
}

/* On top; nil: missing. */
static double number_on_top(lua_State *L, const char *from, double missing)
{
	double x = missing;

	if (!lua_isnil(L, -1)) {
		int number;

		x = lua_tonumberx(L, -1, &number);
		if (!number)
			luaL_error(L, "a number expected from the %s, got %s", from, kind_name(L, -1));
	}
	lua_pop(L, 1);
	return x;
}

static double live_number(const struct ruler *r, const struct live_facts *facts)
{
	const char *at = (const char *)facts + r->live->at;
	const struct live_pcts *p = (const void *)at;

	switch (r->live->kind) {
	case K_NUMBER: return *(const double *)(const void *)at;
	case K_INT: return *(const int *)(const void *)at;
	case K_I64: return (double)*(const int64_t *)(const void *)at;
	case K_U64: return (double)*(const uint64_t *)(const void *)at;
	default: return r->pct == 0 ? p->p50 : r->pct == 1 ? p->p75 : r->pct == 2 ? p->p90 : p->p99;
	}
}

/* The item on top is replaced by what its name leads to. */
static void walk(lua_State *L, const char *name)
{
	const char *whole = name;

	while (table_at(L, -1)) {
		size_t len = strcspn(name, ".");

		lua_pushlstring(L, name, len);
		lua_gettable(L, -2);
		lua_remove(L, -2);
		if (!name[len])
			break;
		name += len + 1;
	}
	if (lua_type(L, -1) != LUA_TNUMBER)	/* a slip must be loud: for what may be missing there are functions */
		luaL_error(L, "an endpoint has no number '%s'", whole);
}

/* One of the state's endpoints, on top; NULL: something else, such as a test's own table. */
static struct cached *known(lua_State *L)
{
	const struct proxy *p = lua_touserdata(L, -1);

	return p && p->kind == SIGHT_ENDPOINT ? endpoint_cached(state_of(L), p->endpoint) : NULL;
}

/* What changes is read: what depends on it must not be remembered. */
static void live_noticed(struct policy_state *s)
{
	s->impure = true;
	s->read_of = "ep";
	s->read = "live";
}

static double one(lua_State *L, const struct ruler *r, lua_Integer i, double missing)
{
	double x;

	switch (r->kind) {
	case RULER_LIST:
		lua_rawgeti(L, r->at, i);
		return number_on_top(L, "column", missing);
	case RULER_TABLE:
		lua_geti(L, r->list, i);
		lua_rawget(L, r->at);
		return number_on_top(L, "table", missing);
	case RULER_MEMBER:
		lua_geti(L, r->list, i);
		walk(L, r->name);
		return number_on_top(L, r->name, missing);
	case RULER_SCORE:
		lua_geti(L, r->list, i);
		x = score_of(L, lua_gettop(L), r->name, r->score);
		lua_pop(L, 1);
		return x;
	case RULER_COLUMN:
		return r->column->x[i - 1];
	case RULER_CALL:
		break;
	}
	lua_pushvalue(L, r->at);
	lua_geti(L, r->list, i);
	lua_call(L, 1, 1);
	return number_on_top(L, "function", missing);
}

/* Without a call or a table of Lua's; false: not to be had so. */
static bool at_once(lua_State *L, const struct ruler *r, lua_Integer i, double *out)
{
	unsigned bit = r->kind == RULER_SCORE && r->entry ? (unsigned)r->entry->score_at + (unsigned)r->score : 0;
	const struct cached *c;
	int number;

	if (r->kind == RULER_COLUMN) {
		*out = r->column->x[i - 1];
		return true;
	}
	if (r->kind == RULER_LIST) {
		lua_rawgeti(L, r->at, i);
		*out = lua_tonumberx(L, -1, &number);
		return number;
	}
	lua_geti(L, r->list, i);
	c = known(L);
	if (!c || (!r->live && !(c->scored & 1u << bit)))
		return false;
	*out = r->live ? live_number(r, &c->live->facts) : c->score[bit];
	return true;
}

void measure(lua_State *L, const struct ruler *r, lua_Integer n, double missing, double *out, size_t step)
{
	bool quick = r->kind >= RULER_LIST || r->live || (r->kind == RULER_SCORE && r->entry);
	int top = lua_gettop(L);

	if (r->live)
		live_noticed(state_of(L));
	for (lua_Integer i = 0; i < n; i++, out += step) {
		if (quick && at_once(L, r, i + 1, out)) {
			if (i % 8 == 7)		/* not each time: it costs as much as the rest */
				lua_settop(L, top);
			continue;
		}
		lua_settop(L, top);
		*out = one(L, r, i + 1, missing);
	}
	lua_settop(L, top);
}

/* Each has one. */
static void measured(lua_State *L, const struct ruler *r, lua_Integer n, double *out)
{
	measure(L, r, n, NAN, out, 1);
	for (lua_Integer i = 0; i < n; i++)
		if (isnan(out[i]))
			luaL_error(L, "there is no number for item %d", (int)i + 1);
}

/* Room for n numbers: few, or on top of the stack. */
static double *room(lua_State *L, double *few, lua_Integer n)
{
	return n > FEW ? lua_newuserdatauv(L, sizeof(*few) * (size_t)n, 0) : few;
}

/* ---- new columns */

double power(double x, double p)
{
	double y = 1;

	if (p == 1)
		return x;
	if (p == 0.5)
		return sqrt(x);
	if (p == -0.5)
		return 1 / sqrt(x);
	if (!(fabs(p) <= 8) || p != (int)p)
		return pow(x, p);
	for (int i = abs((int)p); i > 0; i--)
		y *= x;
	return p < 0 ? 1 / y : y;
}

/* Into all, for what is measured at `at` or a number, and how it counts behind it. */
static void fold_in(lua_State *L, int at, bool product, double *own, struct column *all)
{
	double count = luaL_checknumber(L, at + 1), constant = lua_tonumber(L, at);
	const struct column *c = column_at(L, at);
	const double *x = c && c->n == all->n ? c->x : own;

	burn(L, (size_t)all->n);
	if (lua_type(L, at) == LUA_TNUMBER) {
		for (lua_Integer i = 0; i < all->n; i++)
			own[i] = constant;
	} else if (x == own) {
		struct ruler r = ruler_at(L, at, 1);

		measured(L, &r, all->n, own);
	}
	for (lua_Integer i = 0; i < all->n; i++)
		all->x[i] = product ? all->x[i] * power(x[i], count) : all->x[i] + x[i] * count;
}

static int fold(lua_State *L, bool product)
{
	lua_Integer n = list_length(L, 1);
	int top = lua_gettop(L);
	double few[FEW], *own;
	struct column *all;

	luaL_argcheck(L, top >= 3 && top % 2 && top < 40, top, "pairs of what counts and how much expected");
	own = room(L, few, n);
	all = column_push(L, n);
	for (lua_Integer i = 0; i < n; i++)
		all->x[i] = product ? 1 : 0;
	for (int at = 2; at < top; at += 2)
		fold_in(L, at, product, own, all);
	return 1;
}

/* sum(eps, what, weight, ...) */
int rank_sum(lua_State *L) { return fold(L, false); }
/* product(eps, what, power, ...) */
int rank_product(lua_State *L) { return fold(L, true); }

/* clamp(column, least, most): the column itself. */
int rank_clamp(lua_State *L)
{
	struct column *c = column_at(L, 1);
	double least = luaL_checknumber(L, 2), most = luaL_optnumber(L, 3, INFINITY);

	luaL_argcheck(L, c, 1, "a column expected, such as rank.sum gives");
	burn(L, (size_t)c->n);
	for (lua_Integer i = 0; i < c->n; i++)
		c->x[i] = c->x[i] < least ? least : c->x[i] > most ? most : c->x[i];
	lua_settop(L, 1);
	return 1;
}

static int extreme(lua_State *L, double sign)
{
	lua_Integer n = list_length(L, 1);
	struct ruler r = ruler_at(L, 2, 1);
	double few[FEW], *x = room(L, few, n), best = INFINITY;

	measured(L, &r, n, x);
	for (lua_Integer i = 0; i < n; i++)
		best = sign * x[i] < best ? sign * x[i] : best;
	lua_pushnumber(L, sign * best);
	return 1;
}

int rank_least(lua_State *L) { return extreme(L, 1); }
int rank_most(lua_State *L) { return extreme(L, -1); }

/* What live says of each; false: some are none of the state's. */
static bool facts_of(lua_State *L, int list, lua_Integer n, const struct live_facts **out)
{
	int top = lua_gettop(L);

	for (lua_Integer i = 0; i < n; i++) {
		const struct cached *c;

		lua_geti(L, list, i + 1);
		c = known(L);
		if (!c || i % 8 == 7)
			lua_settop(L, top);
		if (!c)
			return false;
		out[i] = &c->live->facts;
	}
	lua_settop(L, top);
	live_noticed(state_of(L));
	return true;
}

/* By the member's name. */
static double live_of(lua_State *L, lua_Integer i, const char *name)
{
	lua_geti(L, 1, i);
	walk(L, name);
	return number_on_top(L, name, 0);
}

static bool is_stable(lua_State *L, lua_Integer i, double window_ms)
{
	const struct cached *c;

	lua_geti(L, 1, i);
	c = known(L);
	lua_pop(L, 1);
	if (c)
		return (double)c->live->facts.outage_ago_ms > window_ms && c->live->facts.cooldown_ms <= 0;
	return live_of(L, i, "live.outage_ago_ms") > window_ms && live_of(L, i, "live.cooldown_ms") <= 0;
}

/* stable(eps, window_ms): those without an outage in so long and without a cool-down, and the others; all of them: the list itself, alone. */
int rank_stable(lua_State *L)
{
	lua_Integer n = list_length(L, 1), i = 1, yes = 0, no = 0;
	double window_ms = luaL_checknumber(L, 2);

	lua_settop(L, 2);
	live_noticed(state_of(L));
	while (i <= n && is_stable(L, i, window_ms))
		i++;
	if (i > n) {
		lua_settop(L, 1);
		return 1;
	}
	burn(L, (size_t)n);
	lua_createtable(L, (int)n, 0);
	lua_createtable(L, (int)n, 0);
	for (i = 1; i <= n; i++) {
		bool in = is_stable(L, i, window_ms);

		lua_geti(L, 1, i);
		lua_rawseti(L, in ? 3 : 4, in ? ++yes : ++no);
	}
	return 2;
}

struct smoothing { const struct live_facts **facts; double *samples, prior, toward; lua_Integer n; bool average, known; };

/* The number named at `at`, as a column: who was not asked often enough is taken to be as the others are. */
static void smooth_push(lua_State *L, struct smoothing *m, int at)
{
	struct ruler of = ruler_at(L, at, 1);
	double count = 0, sum = 0, toward = m->toward, *x;
	bool pct;

	luaL_argcheck(L, of.live, at, "a number of live expected, such as \"live.ttft_ms.p50\"");
	pct = of.live->kind == K_MAKE;		/* 0: it was not measured */
	x = column_push(L, m->n)->x;
	if (!m->known)
		measured(L, &of, m->n, x);
	for (lua_Integer i = 0; i < m->n; i++) {
		if (m->known)
			x[i] = live_number(&of, m->facts[i]);
		if (pct && !(x[i] > 0))
			continue;
		count += m->samples[i];
		sum += m->samples[i] * x[i];
	}
	if (m->average)
		toward = count > 0 ? sum / count : pct ? 1 : 0;
	for (lua_Integer i = 0; i < m->n; i++) {
		double samples = pct && !(x[i] > 0) ? 0 : m->samples[i];

		x[i] = (samples * x[i] + m->prior * toward) / (samples + m->prior);
	}
}

/* smooth(eps, prior, toward, live, ...): a column for each name. */
int rank_smooth(lua_State *L)
{
	const struct live_facts *facts[FEW];
	double few[FEW];
	struct smoothing m = { facts, .prior = luaL_checknumber(L, 2), .toward = luaL_optnumber(L, 3, 0), .n = list_length(L, 1), .average = lua_isnil(L, 3) };
	int top = lua_gettop(L);
	struct ruler by;

	luaL_argcheck(L, m.prior > 0 && m.prior < INFINITY, 2, "it must be above 0");
	luaL_argcheck(L, top > 3 && top < 16, top, "one to twelve names expected");
	burn(L, (size_t)m.n * (size_t)top);
	m.samples = room(L, few, m.n);
	m.known = m.n <= FEW && facts_of(L, 1, m.n, facts);
	lua_pushliteral(L, "live.samples");
	by = ruler_at(L, lua_gettop(L), 1);
	if (!m.known)
		measured(L, &by, m.n, m.samples);
	for (lua_Integer i = 0; m.known && i < m.n; i++)
		m.samples[i] = live_number(&by, facts[i]);
	luaL_checkstack(L, top + 20, "rank.smooth");
	for (int at = 4; at <= top; at++)
		smooth_push(L, &m, at);
	return top - 3;
}
