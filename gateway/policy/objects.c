/*
 * What policies see: plain tables behind read-only sights, described by one
 * set of tables, which also writes moongate.d.lua.  An endpoint's table is
 * built once per catalogue and state; the request's is filled again for
 * whichever decision runs a hook.
 */
#include "base/json.h"
#include "policy/state.h"

enum kind { K_STR, K_CSTR, K_U64, K_SIZE, K_I64, K_INT, K_BOOL, K_NUMBER, K_WORDS, K_SET, K_PAIRS, K_KNOWN, K_MAKE, K_LATER };
struct field {
	const char *name;
	enum kind kind;
	size_t at;
	const char *type, *about;	/* for editors */
	const char *otherwise;		/* of a text that is absent or empty */
	void (*make)(lua_State *L, const void *thing);
};

const char *const error_kinds[ERROR_KINDS] = { "upstream", "connect", "timeout", "rate_limited", "overloaded", "server", "auth", "quota",
	"bad_request", "context_length", "moderation", "not_found", "cancelled" };

#define AT(type, member) offsetof(struct type, member)

/* ---- makers */

static void push_text(lua_State *L, struct mg_str s, const char *otherwise)
{
	if (s.at && (s.len || !otherwise))
		lua_pushlstring(L, s.at, s.len);
	else
		lua_pushstring(L, otherwise ? otherwise : "");
}

static void empty(lua_State *L)
{
	lua_getfield(L, LUA_REGISTRYINDEX, "empty");
}

static void push_words(lua_State *L, const struct words *w)
{
	if (!w->n) {
		empty(L);
		return;
	}
	lua_createtable(L, (int)w->n, 0);
	for (size_t i = 0; i < w->n; i++) {
		push_text(L, w->at[i], NULL);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	proxy_push(L, SIGHT_PLAIN);
}

static void push_set(lua_State *L, const struct words *w)
{
	if (!w->n) {
		empty(L);
		return;
	}
	lua_createtable(L, 0, (int)w->n);
	for (size_t i = 0; i < w->n; i++) {
		push_text(L, w->at[i], NULL);
		lua_pushboolean(L, 1);
		lua_rawset(L, -3);
	}
	proxy_push(L, SIGHT_PLAIN);
}

static void push_pairs(lua_State *L, const struct words *w)
{
	if (w->n < 2) {
		empty(L);
		return;
	}
	lua_createtable(L, 0, (int)w->n / 2);
	for (size_t i = 0; i + 1 < w->n; i += 2) {
		push_text(L, w->at[i], NULL);
		push_text(L, w->at[i + 1], NULL);
		lua_rawset(L, -3);
	}
	proxy_push(L, SIGHT_PLAIN);
}

static void number_in(lua_State *L, const char *name, const struct number *n)
{
	if (n->set) {
		lua_pushnumber(L, n->n);
		lua_setfield(L, -2, name);
	}
}

static void make_max_price(lua_State *L, const void *thing)
{
	const struct prefs *p = thing;

	if (!p->max_prompt.set && !p->max_completion.set && !p->max_request.set && !p->max_image.set) {
		empty(L);
		return;
	}
	lua_newtable(L);
	number_in(L, "prompt", &p->max_prompt);
	number_in(L, "completion", &p->max_completion);
	number_in(L, "request", &p->max_request);
	number_in(L, "image", &p->max_image);
	proxy_push(L, SIGHT_PLAIN);
}

static const char *const pct_names[4] = { "p50", "p75", "p90", "p99" };

static void push_cuts(lua_State *L, const struct number cuts[4])
{
	if (!cuts[0].set && !cuts[1].set && !cuts[2].set && !cuts[3].set) {
		empty(L);
		return;
	}
	lua_newtable(L);
	for (size_t i = 0; i < 4; i++)
		number_in(L, pct_names[i], &cuts[i]);
	proxy_push(L, SIGHT_PLAIN);
}

static void make_latency(lua_State *L, const void *thing) { push_cuts(L, ((const struct prefs *)thing)->latency_s); }
static void make_throughput(lua_State *L, const void *thing) { push_cuts(L, ((const struct prefs *)thing)->throughput_tps); }

static void make_collection(lua_State *L, const void *thing)
{
	lua_pushstring(L, ((const struct prefs *)thing)->deny_data_collection ? "deny" : "allow");
}

static void make_empty(lua_State *L, const void *thing) { empty(L); }

static void make_shared(lua_State *L, const void *thing) { lua_pushliteral(L, "shared"); }

static void make_byok(lua_State *L, const void *thing)
{
	lua_createtable(L, 0, 3);
	lua_pushinteger(L, 0);
	lua_setfield(L, -2, "seq");
	lua_pushliteral(L, "");
	lua_setfield(L, -2, "section");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "always");
	proxy_push(L, SIGHT_PLAIN);
}

static void make_model(lua_State *L, const void *thing) { lua_pushstring(L, ((const struct endpoint *)thing)->model->slug); }
static void make_provider(lua_State *L, const void *thing) { lua_pushstring(L, ((const struct endpoint *)thing)->provider->slug); }
static void make_params_known(lua_State *L, const void *thing) { lua_pushboolean(L, ((const struct endpoint *)thing)->params != NULL); }

static void make_params(lua_State *L, const void *thing)
{
	const struct endpoint *e = thing;
	size_t i;
	json_t *name;

	lua_newtable(L);
	json_array_foreach(e->params, i, name) {
		if (!json_is_string(name))
			continue;
		lua_pushboolean(L, 1);
		lua_setfield(L, -2, json_string_value(name));
	}
	proxy_push(L, SIGHT_PLAIN);
}

static void make_data(lua_State *L, const void *thing)
{
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
	freeze(L);
}

/* ---- the tables */

#define F(n, k, where, t, words, ...) { .name = n, .kind = k, .at = where, .type = t, .about = words, __VA_ARGS__ }
#define WORDS "string[]"
#define SET "table<string,boolean>"
static const struct field prefs_fields[] = {
	F("order", K_WORDS, AT(prefs, order), WORDS, "provider slugs"),
	F("only", K_WORDS, AT(prefs, only), WORDS, ""),
	F("ignore", K_WORDS, AT(prefs, ignore), WORDS, ""),
	F("quantizations", K_WORDS, AT(prefs, quantizations), WORDS, "int4 int8 fp4 fp6 fp8 fp16 bf16 fp32 unknown"),
	F("allow_fallbacks", K_BOOL, AT(prefs, allow_fallbacks), "boolean", ""),
	F("require_parameters", K_BOOL, AT(prefs, require_parameters), "boolean", ""),
	F("data_collection", K_MAKE, 0, "\"allow\"|\"deny\"", "", .make = make_collection),
	F("zdr", K_BOOL, AT(prefs, zdr), "boolean", ""),
	F("distillable", K_BOOL, AT(prefs, distillable), "boolean", "enforce_distillable_text"),
	F("sort_by", K_STR, AT(prefs, sort_by), "\"\"|\"price\"|\"throughput\"|\"latency\"|\"exacto\"", "", .otherwise = ""),
	F("partition", K_STR, AT(prefs, partition), "\"model\"|\"none\"", "", .otherwise = "model"),
	F("max_price", K_MAKE, 0, "{prompt?:number,completion?:number,request?:number,image?:number}", "USD per 1M tokens; USD per request, image", .make = make_max_price),
	F("max_latency_s", K_MAKE, 0, "table<\"p50\"|\"p75\"|\"p90\"|\"p99\",number>", "seconds to first token", .make = make_latency),
	F("min_throughput_tps", K_MAKE, 0, "table<\"p50\"|\"p75\"|\"p90\"|\"p99\",number>", "tokens per second", .make = make_throughput),
	F("service_tier", K_STR, AT(prefs, service_tier), "\"\"|\"default\"|\"priority\"|\"flex\"", ""),
	F("guards", K_WORDS, AT(prefs, guards), WORDS, "names of content guardrails to run"), { 0 } };
static const struct field key_fields[] = {
	F("id", K_STR, AT(facts, key.id), "string", ""),
	F("org", K_STR, AT(facts, key.org), "string", ""),
	F("workspace", K_STR, AT(facts, key.workspace), "string", ""),
	F("user", K_STR, AT(facts, key.user), "string", "end user or member id, \"\" if none"),
	F("plan", K_STR, AT(facts, key.plan), "string", ""),
	F("labels", K_MAKE, 0, "table<string,string>", "", .make = make_empty),
	F("credits_bought_nusd", K_I64, AT(facts, key.credits_bought_nusd), "Money", "lifetime"), { 0 } };
static const struct field feat_fields[] = {
	F("prompt_tokens", K_U64, AT(features, prompt_tokens), "integer", "estimate"),
	F("max_tokens", K_U64, AT(features, max_tokens), "integer", "requested; 0: not said"),
	F("messages", K_U64, AT(features, messages), "integer", ""),
	F("turns", K_U64, AT(features, turns), "integer", "user messages"),
	F("images", K_U64, AT(features, images), "integer", ""),
	F("audio_s", K_U64, AT(features, audio_s), "integer", "seconds"),
	F("files", K_U64, AT(features, files), "integer", ""),
	F("tools", K_U64, AT(features, tools), "integer", "tools offered"),
	F("json_schema", K_BOOL, AT(features, json_schema), "boolean", ""),
	F("code_blocks", K_U64, AT(features, code_blocks), "integer", ""),
	F("user_chars", K_U64, AT(features, user_chars), "integer", "length of the last user message"),
	F("reasoning", K_STR, AT(features, reasoning), "\"none\"|\"minimal\"|\"low\"|\"medium\"|\"high\"|\"xhigh\"|\"max\"", "", .otherwise = "none"),
	F("lang", K_STR, AT(features, lang), "string", "ISO 639-1 guess, \"\" if unsure"), { 0 } };
static const struct field req_fields[] = {
	F("id", K_STR, AT(facts, id), "string", ""),
	F("now_ms", K_I64, AT(facts, now_ms), "integer", "Unix time of arrival, ms; frozen for the whole request"),
	F("seed", K_U64, AT(facts, seed), "integer", "seed of rand(), kept in the decision record"),
	F("api", K_STR, AT(facts, api), "\"chat\"|\"responses\"|\"messages\"|\"completions\"|\"embeddings\"|\"rerank\"|\"images\"|\"speech\"|\"transcription\"|\"moderation\"|\"video\"", ""),
	F("stream", K_BOOL, AT(facts, stream), "boolean", ""),
	F("model", K_STR, AT(facts, model), "string", "as the client sent it"),
	F("models", K_WORDS, AT(facts, models), WORDS, "slugs, in order, variants removed"),
	F("variant", K_STR, AT(facts, variant), "string", "\"\" nitro floor free exacto"),
	F("session", K_STR, AT(facts, session), "string", "session_id, prompt_cache_key or hash of the first messages; \"\" if none"),
	F("data_class", K_STR, AT(facts, data_class), "string", ""),
	F("policy", K_STR, AT(facts, policy), "string", "requested policy name, \"\" if none"),
	F("labels", K_PAIRS, AT(facts, labels), "table<string,string>", "allow-listed headers and metadata"),
	F("params", K_SET, AT(facts, params), SET, "names of the parameters in use"),
	F("prefs", K_LATER, 0, "Prefs", ""),
	F("key", K_LATER, 0, "KeyInfo", ""),
	F("feat", K_LATER, 0, "Features", ""), { 0 } };
static const struct field endpoint_fields[] = {
	F("id", K_CSTR, AT(endpoint, id), "string", "stable"),
	F("model", K_MAKE, 0, "string", "", .make = make_model),
	F("provider", K_MAKE, 0, "string", "base slug", .make = make_provider),
	F("tag", K_CSTR, AT(endpoint, tag), "string", "full slug, e.g. \"google-vertex/us-east5\""),
	F("tier", K_CSTR, AT(endpoint, tier), "\"default\"|\"priority\"|\"flex\"", "", .otherwise = "default"),
	F("region", K_CSTR, AT(endpoint, region), "string", ""),
	F("quantization", K_CSTR, AT(endpoint, quantization), "string", "", .otherwise = "unknown"),
	F("context_length", K_KNOWN, AT(endpoint, context_length), "integer", "tokens; math.maxinteger: unknown"),
	F("max_output", K_KNOWN, AT(endpoint, max_output), "integer", "tokens; math.maxinteger: unknown"),
	F("params", K_MAKE, 0, SET, "supported parameters", .make = make_params),
	F("params_known", K_MAKE, 0, "boolean", "false: nobody said which; all are passed on", .make = make_params_known),
	F("private", K_BOOL, AT(endpoint, private), "boolean", ""),
	F("private_to", K_MAKE, 0, SET, "org ids", .make = make_empty),
	F("free", K_BOOL, AT(endpoint, free), "boolean", ""),
	F("distillable", K_BOOL, AT(endpoint, distillable), "boolean", ""),
	F("priced", K_BOOL, AT(endpoint, priced), "boolean", "a price was given"),
	F("cred", K_MAKE, 0, "\"shared\"|\"byok\"", "", .make = make_shared),
	F("byok", K_MAKE, 0, "{seq:integer,section:\"\"|\"prioritized\"|\"fallback\",always:boolean}", "", .make = make_byok),
	F("data", K_MAKE, 0, "DataPolicy", "", .make = make_data),
	F("usd", K_MAKE, 0, "Usd", "", .make = make_usd),
	F("rate", K_MAKE, 0, "Rates", "", .make = make_rate),
	F("live", K_LATER, 0, "Live", ""), { 0 } };
static const struct field live_fields[] = {
	F("outage_ago_ms", K_I64, AT(live_facts, outage_ago_ms), "integer", "since the last significant outage; math.maxinteger if never"),
	F("cooldown_ms", K_I64, AT(live_facts, cooldown_ms), "integer", "rest of a cool-down; 0 if none"),
	F("error_rate", K_NUMBER, AT(live_facts, error_rate), "number", "0..1"),
	F("rate_429", K_NUMBER, AT(live_facts, rate_429), "number", "0..1"),
	F("cache_hit", K_NUMBER, AT(live_facts, cache_hit), "number", "0..1 of prompt tokens"),
	F("inflight", K_U64, AT(live_facts, inflight), "integer", ""),
	F("samples", K_U64, AT(live_facts, samples), "integer", ""),
	F("uptime_30m", K_NUMBER, AT(live_facts, uptime_30m), "number", "0..1"),
	F("breaker", K_INT, AT(live_facts, breaker), "integer", "0 closed, 1 half open, 2 open"),
	F("ttft_ms", K_LATER, 0, "Pcts", ""), F("latency_ms", K_LATER, 0, "Pcts", ""),
	F("tput_tps", K_LATER, 0, "Pcts", "output tokens per second; p90: 90 % of requests are at least this fast"), { 0 } };
#define TOKENS(member, about_) F(#member, K_U64, AT(mg_usage, member), "integer", about_)
static const struct field usage_fields[] = {
	TOKENS(input, "uncached text tokens"), TOKENS(cached, ""), TOKENS(cache_write, "default lifetime"), TOKENS(cache_write_1h, ""),
	TOKENS(image_tokens, ""), TOKENS(audio_in, ""), TOKENS(audio_cached, ""), TOKENS(output, "visible text tokens"), TOKENS(reasoning, ""),
	TOKENS(audio_out, ""), TOKENS(images_out, ""), TOKENS(searches, ""), TOKENS(requests, ""), TOKENS(characters, "of speech input"),
	TOKENS(seconds, "of audio or video, rounded up"),
	F("prompt_total", K_LATER, 0, "integer", "sum of the seven input buckets; selects the tier"),
	F("estimated", K_LATER, 0, "boolean", "true before the call"), { 0 } };

static lua_Integer clamp(uint64_t n)
{
	return n < INT64_MAX ? (lua_Integer)n : INT64_MAX;
}

static void field_push(lua_State *L, const struct field *f, const void *thing)
{
	const void *at = (const char *)thing + f->at;
	uint64_t n;

	switch (f->kind) {
	case K_STR: push_text(L, *(const struct mg_str *)at, f->otherwise); break;
	case K_CSTR: {
		const char *text = *(char *const *)at;

		lua_pushstring(L, text && *text ? text : f->otherwise ? f->otherwise : "");
		break;
	}
	case K_U64: lua_pushinteger(L, clamp(*(const uint64_t *)at)); break;
	case K_SIZE: lua_pushinteger(L, clamp(*(const size_t *)at)); break;
	case K_I64: lua_pushinteger(L, *(const int64_t *)at); break;
	case K_INT: lua_pushinteger(L, *(const int *)at); break;
	case K_BOOL: lua_pushboolean(L, *(const bool *)at); break;
	case K_NUMBER: lua_pushnumber(L, *(const double *)at); break;
	case K_WORDS: push_words(L, at); break;
	case K_SET: push_set(L, at); break;
	case K_PAIRS: push_pairs(L, at); break;
	case K_KNOWN:
		n = *(const uint64_t *)at;
		lua_pushinteger(L, n ? clamp(n) : INT64_MAX);
		break;
	case K_MAKE: f->make(L, thing); break;
	case K_LATER: lua_pushnil(L); break;
	}
}

/* Sets the fields of the raw table on top. */
static void fields_set(lua_State *L, const struct field *f, const void *thing)
{
	for (; f->name; f++) {
		if (f->kind == K_LATER)
			continue;
		field_push(L, f, thing);
		lua_setfield(L, -2, f->name);
	}
}

/* ---- the request */

enum { RAW_REQ, RAW_PREFS, RAW_KEY, RAW_FEAT };

void objects_open(struct policy_state *s)
{
	static const char *const parts[] = { NULL, "prefs", "key", "feat" };
	lua_State *L = s->L;

	lua_newtable(L);
	proxy_push(L, SIGHT_PLAIN);
	lua_setfield(L, LUA_REGISTRYINDEX, "empty");
	lua_createtable(L, 0, 20);
	for (int i = RAW_PREFS; i <= RAW_FEAT; i++) {
		lua_createtable(L, 0, 20);
		lua_pushvalue(L, -1);
		s->req_raw[i] = luaL_ref(L, LUA_REGISTRYINDEX);
		proxy_push(L, SIGHT_PLAIN);
		lua_setfield(L, -2, parts[i]);
	}
	lua_pushvalue(L, -1);
	s->req_raw[RAW_REQ] = luaL_ref(L, LUA_REGISTRYINDEX);
	proxy_push(L, SIGHT_REQ);
	s->req = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void part_set(struct policy_state *s, int raw, const struct field *fields, const void *thing)
{
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->req_raw[raw]);
	fields_set(s->L, fields, thing);
	lua_pop(s->L, 1);
}

void req_push(struct policy_state *s, struct decision *d)
{
	if (s->stamp != d->stamp) {
		part_set(s, RAW_REQ, req_fields, &d->facts);
		part_set(s, RAW_PREFS, prefs_fields, &d->facts.prefs);
		part_set(s, RAW_KEY, key_fields, &d->facts);
		part_set(s, RAW_FEAT, feat_fields, &d->facts.feat);
		s->stamp = d->stamp;
	}
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->req);
}

/* ---- endpoints */

static void pcts_set(lua_State *L, const char *name, const struct live_pcts *p)
{
	const double v[4] = { p->p50, p->p75, p->p90, p->p99 };

	if (lua_getfield(L, -1, name) == LUA_TUSERDATA) {
		luaL_getmetafield(L, -1, "__index");
		lua_remove(L, -2);
	} else {
		lua_pop(L, 1);
		lua_createtable(L, 0, 4);
		lua_pushvalue(L, -1);
		proxy_push(L, SIGHT_PLAIN);
		lua_setfield(L, -3, name);
	}
	for (int i = 0; i < 4; i++) {
		lua_pushnumber(L, v[i]);
		lua_setfield(L, -2, pct_names[i]);
	}
	lua_pop(L, 1);
}

/* Only what changed: most of it has not, from one request to the next. */
static void live_set(lua_State *L, const struct live_facts *now, const struct live_facts *before)
{
#define CHANGED(member) (!before || memcmp(&now->member, &before->member, sizeof(now->member)))
	for (const struct field *f = live_fields; f->name; f++) {
		size_t len = f->kind == K_INT ? sizeof(int) : sizeof(int64_t);

		if (f->kind == K_LATER || (before && !memcmp((const char *)now + f->at, (const char *)before + f->at, len)))
			continue;
		field_push(L, f, now);
		lua_setfield(L, -2, f->name);
	}
	if (CHANGED(ttft_ms))
		pcts_set(L, "ttft_ms", &now->ttft_ms);
	if (CHANGED(latency_ms))
		pcts_set(L, "latency_ms", &now->latency_ms);
	if (CHANGED(tput_tps))
		pcts_set(L, "tput_tps", &now->tput_tps);
#undef CHANGED
}

/* Leaves the sight; live: a reference to the raw table that it shows, or none wanted. */
static void endpoint_make(lua_State *L, const struct endpoint *e, const struct live_facts *live, int *live_ref)
{
	lua_createtable(L, 0, 24);
	fields_set(L, endpoint_fields, e);
	lua_createtable(L, 0, 12);
	live_set(L, live, NULL);
	if (live_ref) {
		lua_pushvalue(L, -1);
		*live_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	proxy_push(L, SIGHT_PLAIN);
	lua_setfield(L, -2, "live");
	proxy_push(L, SIGHT_ENDPOINT)->endpoint = e;
}

void endpoints_reset(struct policy_state *s, const struct catalog *c)
{
	for (size_t i = 0; i < s->n_cache; i++) {
		luaL_unref(s->L, LUA_REGISTRYINDEX, s->cache[i].eye);
		luaL_unref(s->L, LUA_REGISTRYINDEX, s->cache[i].live);
		buf_release(&s->cache[i].printed);
	}
	s->n_cache = 0;
	free(s->slot);
	s->slot = calloc(c->n_endpoints ? c->n_endpoints : 1, sizeof(*s->slot));
	s->n_slot = s->slot ? c->n_endpoints : 0;
	s->version = c->version;
	s->catalog = c;
	lua_gc(s->L, LUA_GCCOLLECT);	/* once a catalogue, not bit by bit */
}

struct cached *endpoint_cached(struct policy_state *s, const struct endpoint *e)
{
	uint16_t at = e->index < s->n_slot ? s->slot[e->index] : 0;

	return at && s->cache[at - 1].endpoint == e ? &s->cache[at - 1] : NULL;
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
	luaL_unref(s->L, LUA_REGISTRYINDEX, oldest->eye);
	luaL_unref(s->L, LUA_REGISTRYINDEX, oldest->live);
	buf_release(&oldest->printed);
	s->slot[oldest->endpoint->index] = 0;
	return oldest;
}

void endpoint_push(struct policy_state *s, const struct endpoint *e, const struct live_facts *live)
{
	static const struct live_facts nothing = { .outage_ago_ms = INT64_MAX, .uptime_30m = 1 };
	lua_State *L = s->L;
	struct cached *c = endpoint_cached(s, e);
	int live_ref, eye;

	if (c) {
		c->used = ++s->ticks;
		if (live && memcmp(&c->facts, live, sizeof(*live))) {
			lua_rawgeti(L, LUA_REGISTRYINDEX, c->live);
			live_set(L, live, &c->facts);
			lua_pop(L, 1);
			c->facts = *live;
		}
		lua_rawgeti(L, LUA_REGISTRYINDEX, c->eye);
		return;
	}
	if (!live || e->index >= s->n_slot || !s->catalog || &s->catalog->endpoints[e->index] != e) {
		endpoint_make(L, e, live ? live : &nothing, NULL);	/* of an older catalogue */
		return;
	}
	endpoint_make(L, e, live, &live_ref);
	lua_pushvalue(L, -1);
	eye = luaL_ref(L, LUA_REGISTRYINDEX);
	c = cached_place(s);	/* after all that may raise */
	*c = (struct cached){ .endpoint = e, .eye = eye, .live = live_ref, .used = ++s->ticks, .facts = *live };
	s->slot[e->index] = (uint16_t)(c - s->cache + 1);
}

void usage_push(lua_State *L, const struct mg_usage *u, bool estimated)
{
	uint64_t prompt = u->input + u->cached + u->cache_write + u->cache_write_1h + u->image_tokens + u->audio_in + u->audio_cached;

	lua_createtable(L, 0, 20);
	fields_set(L, usage_fields, u);
	lua_pushinteger(L, clamp(prompt));
	lua_setfield(L, -2, "prompt_total");
	lua_pushboolean(L, estimated);
	lua_setfield(L, -2, "estimated");
	proxy_push(L, SIGHT_PLAIN);
}

/* ---- moongate.d.lua */

static void class_say(const char *name, const struct field *f, void (*say)(void *, const char *), void *arg)
{
	char line[400];

	snprintf(line, sizeof(line), "\n---@class %s", name);
	say(arg, line);
	for (; f->name; f++) {
		snprintf(line, sizeof(line), "---@field %s %s%s%s", f->name, f->type, *f->about ? "  " : "", f->about);
		say(arg, line);
	}
}

static void rates_say(const char *name, const char *type, void (*say)(void *, const char *), void *arg)
{
	char line[120];

	snprintf(line, sizeof(line), "\n---@class %s", name);
	say(arg, line);
	for (enum rate r = 0; r < RATE_COUNT; r++) {
		snprintf(line, sizeof(line), "---@field %s %s", rate_names[r], type);
		say(arg, line);
	}
}

void types_say(void (*say)(void *arg, const char *line), void *arg)
{
	class_say("Prefs", prefs_fields, say, arg);
	class_say("KeyInfo", key_fields, say, arg);
	class_say("Features", feat_fields, say, arg);
	class_say("Request", req_fields, say, arg);
	class_say("Endpoint", endpoint_fields, say, arg);
	class_say("Live", live_fields, say, arg);
	class_say("Usage", usage_fields, say, arg);
	rates_say("Usd", "number", say, arg);
	rates_say("Rates", "Rate", say, arg);
	say(arg, "---@field overrides {min_prompt_tokens?:integer,utc_start?:integer,utc_end?:integer,rates:table<string,Rate>}[]");
}
