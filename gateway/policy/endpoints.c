/*
 * Endpoints as policies see them: a table that is built once in a catalogue and
 * a state, since nothing in it changes, but for `live`, of which the fields that
 * policies read are kept right.
 */
#include "base/json.h"
#include "policy/fields.h"

static void make_cred(lua_State *L, const void *thing)
{
	lua_pushstring(L, ((const struct endpoint *)thing)->provider->own.seq ? "byok" : "shared");
}

static void make_byok(lua_State *L, const void *thing)
{
	const struct own_key *own = &((const struct endpoint *)thing)->provider->own;

	lua_createtable(L, 0, 3);
	lua_pushinteger(L, own->seq);
	lua_setfield(L, -2, "seq");
	lua_pushstring(L, !own->seq ? "" : own->fallback ? "fallback" : "prioritized");
	lua_setfield(L, -2, "section");
	lua_pushboolean(L, own->always);
	lua_setfield(L, -2, "always");
	record_close(L, "ep.byok", NULL);
	proxy_push(L, SIGHT_PLAIN);
}

/* An account of a customer's own is nobody's in particular where it does not say whose. */
static void make_private(lua_State *L, const void *thing)
{
	const struct endpoint *e = thing;

	lua_pushboolean(L, e->private && (e->private_to || !e->provider->own.seq));
}

static void make_model(lua_State *L, const void *thing) { lua_pushstring(L, ((const struct endpoint *)thing)->model->slug); }
static void make_provider(lua_State *L, const void *thing) { lua_pushstring(L, ((const struct endpoint *)thing)->provider->slug); }
static void make_params_known(lua_State *L, const void *thing) { lua_pushboolean(L, ((const struct endpoint *)thing)->params != NULL); }

/* The strings of a JSON array, as a set. */
static void push_names(lua_State *L, const json_t *list)
{
	size_t i;
	json_t *name;

	lua_newtable(L);
	json_array_foreach(list, i, name) {
		if (!json_is_string(name))
			continue;
		lua_pushboolean(L, 1);
		lua_setfield(L, -2, json_string_value(name));
	}
	proxy_push(L, SIGHT_PLAIN);
}

static void make_params(lua_State *L, const void *thing) { push_names(L, ((const struct endpoint *)thing)->params); }
static void make_private_to(lua_State *L, const void *thing) { push_names(L, ((const struct endpoint *)thing)->private_to); }

static void make_data(lua_State *L, const void *thing)
{
	static const char *const lacks[] = { "retention_days", NULL };
	const struct data_policy *p = &((const struct endpoint *)thing)->provider->data;

	lua_createtable(L, 0, 6);
	lua_pushboolean(L, p->known);
	lua_setfield(L, -2, "known");
	lua_pushboolean(L, p->trains);
	lua_setfield(L, -2, "trains");
	lua_pushboolean(L, p->retains);
	lua_setfield(L, -2, "retains");
	lua_pushboolean(L, p->zdr);
	lua_setfield(L, -2, "zdr");
	if (p->retention_days >= 0) {
		lua_pushinteger(L, p->retention_days);
		lua_setfield(L, -2, "retention_days");
	}
	lua_pushstring(L, p->region);
	lua_setfield(L, -2, "logs_region");
	record_close(L, "ep.data", lacks);
	proxy_push(L, SIGHT_PLAIN);
}

/* Units: USD per million tokens or characters, USD per anything else. */
static double usd_of(enum rate r, int64_t pusd)
{
	bool each = r == RATE_IMAGE || r == RATE_SEARCH || r == RATE_REQUEST || r == RATE_SECOND;

	return (double)pusd / (each ? 1e12 : 1e6);	/* for comparing, never for charging */
}

static void make_usd(lua_State *L, const void *thing)
{
	const struct endpoint *e = thing;

	lua_createtable(L, 0, RATE_COUNT);
	for (enum rate r = 0; r < RATE_COUNT; r++) {
		lua_pushnumber(L, usd_of(r, e->rates.pusd[r]));
		lua_setfield(L, -2, rate_names[r]);
	}
	record_close(L, "ep.usd", NULL);
	proxy_push(L, SIGHT_PLAIN);
}

static void rates_in(lua_State *L, const struct rates *rates)
{
	for (enum rate r = 0; r < RATE_COUNT; r++) {
		lua_pushinteger(L, rates->pusd[r]);
		lua_setfield(L, -2, rate_names[r]);
	}
}

static void override_push(lua_State *L, const struct rate_override *o)
{
	lua_createtable(L, 0, 4);
	if (o->min_prompt_tokens) {
		lua_pushinteger(L, (lua_Integer)o->min_prompt_tokens - 1);	/* policies ask for more than */
		lua_setfield(L, -2, "min_prompt_tokens");
	}
	if (o->utc_start >= 0 && o->utc_end >= 0) {
		lua_pushinteger(L, o->utc_start);
		lua_setfield(L, -2, "utc_start");
		lua_pushinteger(L, o->utc_end);
		lua_setfield(L, -2, "utc_end");
	}
	lua_createtable(L, 0, RATE_COUNT);
	for (enum rate r = 0; r < RATE_COUNT; r++)
		if (o->given & (1u << r)) {
			lua_pushinteger(L, o->rates.pusd[r]);
			lua_setfield(L, -2, rate_names[r]);
		}
	lua_setfield(L, -2, "rates");
}

static void make_rate(lua_State *L, const void *thing)
{
	const struct endpoint *e = thing;

	lua_createtable(L, 0, RATE_COUNT + 1);
	rates_in(L, &e->rates);
	lua_createtable(L, (int)e->n_overrides, 0);
	for (size_t i = 0; i < e->n_overrides; i++) {
		override_push(L, &e->overrides[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_setfield(L, -2, "overrides");
	record_close(L, "ep.rate", NULL);
	freeze(L);
}

const struct field endpoint_fields[] = {
	FIELD("id", K_CSTR, AT(endpoint, id), "string", "stable"),
	FIELD("model", K_MAKE, 0, "string", "", .make = make_model),
	FIELD("provider", K_MAKE, 0, "string", "base slug", .make = make_provider),
	FIELD("tag", K_CSTR, AT(endpoint, tag), "string", "full slug, e.g. \"google-vertex/us-east5\""),
	FIELD("tier", K_CSTR, AT(endpoint, tier), "\"default\"|\"priority\"|\"flex\"", "", .otherwise = "default"),
	FIELD("region", K_CSTR, AT(endpoint, region), "string", ""),
	FIELD("quantization", K_CSTR, AT(endpoint, quantization), "string", "", .otherwise = "unknown"),
	FIELD("context_length", K_KNOWN, AT(endpoint, context_length), "integer", "tokens; math.maxinteger: unknown"),
	FIELD("max_output", K_KNOWN, AT(endpoint, max_output), "integer", "tokens; math.maxinteger: unknown"),
	FIELD("params", K_MAKE, 0, SET, "supported parameters", .make = make_params),
	FIELD("params_known", K_MAKE, 0, "boolean", "false: nobody said which; all are passed on", .make = make_params_known),
	FIELD("private", K_MAKE, 0, "boolean", "for those in private_to only", .make = make_private),
	FIELD("private_to", K_MAKE, 0, SET, "ids of organizations, workspaces and keys", .make = make_private_to),
	FIELD("free", K_BOOL, AT(endpoint, free), "boolean", ""),
	FIELD("distillable", K_BOOL, AT(endpoint, distillable), "boolean", ""),
	FIELD("priced", K_BOOL, AT(endpoint, priced), "boolean", "a price was given"),
	FIELD("cred", K_MAKE, 0, "\"shared\"|\"byok\"", "byok: an account that a customer has with the provider itself", .make = make_cred),
	FIELD("byok", K_MAKE, 0, "{seq:integer,section:\"\"|\"prioritized\"|\"fallback\",always:boolean}", "which one; seq: from 1, in the provider's list", .make = make_byok),
	FIELD("data", K_MAKE, 0, "DataPolicy", "", .make = make_data),
	FIELD("usd", K_MAKE, 0, "Usd", "", .make = make_usd),
	FIELD("rate", K_MAKE, 0, "Rates", "", .make = make_rate),
	FIELD("live", K_LATER, 0, "Live", ""), { 0 } };
/* ---- live */

static size_t live_size(const struct field *f)
{
	return f->kind == K_INT ? sizeof(int) : f->kind == K_MAKE ? sizeof(struct live_pcts) : sizeof(int64_t);
}

/* The four numbers of the raw table on top. */
static void pcts_set(lua_State *L, const struct live_pcts *p)
{
	const double v[4] = { p->p50, p->p75, p->p90, p->p99 };

	for (int i = 0; i < 4; i++) {
		lua_pushnumber(L, v[i]);
		lua_setfield(L, -2, pct_names[i]);
	}
}

static void pcts_make(lua_State *L, const struct live_pcts *p, const char *what)
{
	lua_createtable(L, 0, 4);
	pcts_set(L, p);
	record_close(L, what, NULL);
	proxy_push(L, SIGHT_PLAIN);
}

static void make_ttft(lua_State *L, const void *thing) { pcts_make(L, &((const struct live_facts *)thing)->ttft_ms, "ep.live.ttft_ms"); }
static void make_total(lua_State *L, const void *thing) { pcts_make(L, &((const struct live_facts *)thing)->latency_ms, "ep.live.latency_ms"); }
static void make_tput(lua_State *L, const void *thing) { pcts_make(L, &((const struct live_facts *)thing)->tput_tps, "ep.live.tput_tps"); }

const struct field live_fields[] = {
	FIELD("outage_ago_ms", K_I64, AT(live_facts, outage_ago_ms), "integer", "since the last significant outage; math.maxinteger if never"),
	FIELD("cooldown_ms", K_I64, AT(live_facts, cooldown_ms), "integer", "rest of a cool-down; 0 if none"),
	FIELD("error_rate", K_NUMBER, AT(live_facts, error_rate), "number", "0..1"),
	FIELD("rate_429", K_NUMBER, AT(live_facts, rate_429), "number", "0..1"),
	FIELD("cache_hit", K_NUMBER, AT(live_facts, cache_hit), "number", "0..1 of prompt tokens"),
	FIELD("inflight", K_U64, AT(live_facts, inflight), "integer", ""),
	FIELD("samples", K_U64, AT(live_facts, samples), "integer", ""),
	FIELD("uptime_30m", K_NUMBER, AT(live_facts, uptime_30m), "number", "0..1"),
	FIELD("breaker", K_INT, AT(live_facts, breaker), "integer", "0 closed, 1 half open, 2 open"),
	FIELD("ttft_ms", K_MAKE, AT(live_facts, ttft_ms), "Pcts", "", .make = make_ttft), FIELD("latency_ms", K_MAKE, AT(live_facts, latency_ms), "Pcts", "", .make = make_total),
	FIELD("tput_tps", K_MAKE, AT(live_facts, tput_tps), "Pcts", "output tokens per second; p90: 90 % of requests are at least this fast", .make = make_tput), { 0 } };

/* The raw table is on top. */
static void live_fill(lua_State *L, struct live_sight *l, int i)
{
	field_push(L, &live_fields[i], &l->facts);
	lua_setfield(L, -2, live_fields[i].name);
	l->wanted |= 1u << i;
}

/* The first time that anybody reads this field of this endpoint. */
static int on_absent(lua_State *L)
{
	struct live_sight *l = lua_touserdata(L, lua_upvalueindex(1));
	const struct field *f = field_named(live_fields, lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "");

	if (!f)
		return lua_type(L, 2) == LUA_TSTRING ? field_missing(L, "ep.live", live_fields, lua_tostring(L, 2)) : 0;
	lua_settop(L, 1);
	live_fill(L, l, (int)(f - live_fields));
	lua_getfield(L, 1, f->name);
	return 1;
}

/* The raw table is on top. */
void live_complete(lua_State *L, struct live_sight *l)
{
	for (int i = 0; live_fields[i].name; i++)
		if (!(l->wanted & 1u << i))
			live_fill(L, l, i);
}

/* Only what was read once, and has changed. */
static void live_show(lua_State *L, struct live_sight *l, int raw, const struct live_facts *now)
{
	struct live_facts before = l->facts;

	l->facts = *now;
	lua_rawgeti(L, LUA_REGISTRYINDEX, raw);
	for (unsigned left = l->wanted; left; left &= left - 1) {
		const struct field *f = &live_fields[__builtin_ctz(left)];

		if (!memcmp((const char *)now + f->at, (const char *)&before + f->at, live_size(f)))
			continue;
		if (f->kind == K_MAKE) {
			lua_getfield(L, -1, f->name);
			luaL_getmetafield(L, -1, "__index");
			pcts_set(L, (const void *)((const char *)now + f->at));
			lua_pop(L, 2);
			continue;
		}
		field_push(L, f, now);
		lua_setfield(L, -2, f->name);
	}
	lua_pop(L, 1);
}

/* Leaves the sight; raw: a reference to the table that it shows. */
static struct live_sight *live_make(lua_State *L, const struct live_facts *facts, int *raw)
{
	struct live_sight *l;
	int table;

	lua_createtable(L, 0, 4);
	table = lua_gettop(L);
	lua_pushvalue(L, table);
	l = (struct live_sight *)proxy_sized(L, SIGHT_LIVE, sizeof(*l));
	l->facts = *facts;
	lua_createtable(L, 0, 1);
	lua_pushvalue(L, table + 1);
	lua_pushcclosure(L, on_absent, 1);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, table);
	lua_insert(L, table);
	if (raw)
		*raw = luaL_ref(L, LUA_REGISTRYINDEX);
	else
		lua_pop(L, 1);
	return l;
}

/* ---- the cache */

static int on_unknown(lua_State *L)
{
	return lua_type(L, 2) == LUA_TSTRING ? field_missing(L, "ep", endpoint_fields, lua_tostring(L, 2)) : 0;
}

static void endpoint_close(lua_State *L)
{
	if (luaL_newmetatable(L, "closed ep")) {
		lua_pushcfunction(L, on_unknown);
		lua_setfield(L, -2, "__index");
	}
	lua_setmetatable(L, -2);
}

/* Leaves the sight. */
static struct live_sight *endpoint_make(lua_State *L, const struct endpoint *e, const struct live_facts *live, int *live_raw)
{
	struct live_sight *l;

	lua_createtable(L, 0, 24);
	fields_set(L, endpoint_fields, e);
	l = live_make(L, live, live_raw);
	lua_setfield(L, -2, "live");
	endpoint_close(L);
	proxy_push(L, SIGHT_ENDPOINT)->endpoint = e;
	return l;
}

static void forget(struct policy_state *s, struct cached *c)
{
	if (!c->endpoint)
		return;
	luaL_unref(s->L, LUA_REGISTRYINDEX, c->eye);
	luaL_unref(s->L, LUA_REGISTRYINDEX, c->live_raw);
	buf_release(&c->numbers);
	*c = (struct cached){ .endpoint = NULL };
}

void endpoints_reset(struct policy_state *s, const struct catalog *c)
{
	for (size_t i = 0; i < s->n_cache; i++)
		forget(s, &s->cache[i]);
	for (size_t i = 0; i < LOOSE_MAX; i++)
		forget(s, &s->loose[i]);
	s->n_cache = 0;
	memo_forget(s);
	free(s->slot);
	s->slot = calloc(c->n_endpoints ? c->n_endpoints : 1, sizeof(*s->slot));
	s->n_slot = s->slot ? c->n_endpoints : 0;
	s->version = c->version;
	s->catalog = c;
	s->endpoints = c->endpoints;
	lua_gc(s->L, LUA_GCCOLLECT);	/* once a catalogue, not bit by bit */
}

/* Compared only: that catalogue may have gone since, where a request of an older one still runs. */
static bool in_catalog(const struct policy_state *s, const struct endpoint *e)
{
	return e->index < s->n_slot && s->endpoints && &s->endpoints[e->index] == e;
}

/* One that is made for a request, or of a catalogue before this one, is remembered for that request. */
static struct cached *loose_find(struct policy_state *s, const struct endpoint *e)
{
	for (size_t i = 0; s->owner && i < LOOSE_MAX; i++)
		if (s->loose[i].endpoint == e && s->loose[i].owner == s->owner)
			return &s->loose[i];
	return NULL;
}

struct cached *endpoint_cached(struct policy_state *s, const struct endpoint *e)
{
	uint16_t at = e->index < s->n_slot ? s->slot[e->index] : 0;

	if (at && s->cache[at - 1].endpoint == e)
		return &s->cache[at - 1];
	return in_catalog(s, e) ? NULL : loose_find(s, e);
}

/* A free place, or that of the endpoint which was not seen for longest. */
static struct cached *cached_place(struct policy_state *s)
{
	struct cached *oldest = &s->cache[0];

	if (s->n_cache < CACHED_MAX)
		return &s->cache[s->n_cache++];
	for (size_t i = 1; i < s->n_cache; i++)
		if (s->cache[i].used < oldest->used)
			oldest = &s->cache[i];
	s->slot[oldest->endpoint->index] = 0;
	forget(s, oldest);
	return oldest;
}

void endpoint_push(struct policy_state *s, const struct endpoint *e, const struct live_facts *live)
{
	static const struct live_facts nothing = { .outage_ago_ms = INT64_MAX, .uptime_30m = 1 };
	lua_State *L = s->L;
	struct cached *c = endpoint_cached(s, e);
	struct live_sight *l;
	int live_raw, eye;
	bool known;

	if (c) {
		c->used = ++s->ticks;
		if (live && memcmp(&c->live->facts, live, sizeof(*live)))
			live_show(L, c->live, c->live_raw, live);
		lua_rawgeti(L, LUA_REGISTRYINDEX, c->eye);
		return;
	}
	known = in_catalog(s, e);
	if (known ? !live : !s->owner) {
		endpoint_make(L, e, live ? live : &nothing, NULL);
		return;
	}
	l = endpoint_make(L, e, live ? live : &nothing, &live_raw);
	lua_pushvalue(L, -1);
	eye = luaL_ref(L, LUA_REGISTRYINDEX);
	c = known ? cached_place(s) : &s->loose[s->n_loose++ % LOOSE_MAX];	/* after all that may raise */
	if (!known)
		forget(s, c);
	*c = (struct cached){ .endpoint = e, .eye = eye, .live_raw = live_raw, .live = l, .used = ++s->ticks,
		.owner = known ? 0 : s->owner };
	if (known)
		s->slot[e->index] = (uint16_t)(c - s->cache + 1);
}
