/*
 * What a hook is asked about: the request and the usage.  Each has one table
 * in a state, for ever: a field that no policy ever read is not in it; one that
 * was is kept right from then on, and most are as they were in the request before.
 */
#include "policy/fields.h"

struct used { struct mg_usage usage; uint64_t prompt_total; bool estimated; };

const struct field prefs_fields[] = {
	FIELD("order", K_WORDS, AT(prefs, order), WORDS, "provider slugs"),
	FIELD("only", K_WORDS, AT(prefs, only), WORDS, ""),
	FIELD("ignore", K_WORDS, AT(prefs, ignore), WORDS, ""),
	FIELD("quantizations", K_WORDS, AT(prefs, quantizations), WORDS, "int4 int8 fp4 fp6 fp8 fp16 bf16 fp32 unknown"),
	FIELD("allow_fallbacks", K_BOOL, AT(prefs, allow_fallbacks), "boolean", ""),
	FIELD("require_parameters", K_BOOL, AT(prefs, require_parameters), "boolean", ""),
	FIELD("data_collection", K_DENY, AT(prefs, deny_data_collection), "\"allow\"|\"deny\"", ""),
	FIELD("zdr", K_BOOL, AT(prefs, zdr), "boolean", ""),
	FIELD("distillable", K_BOOL, AT(prefs, distillable), "boolean", "enforce_distillable_text"),
	FIELD("sort_by", K_STR, AT(prefs, sort_by), "\"\"|\"price\"|\"throughput\"|\"latency\"|\"exacto\"", "", .otherwise = ""),
	FIELD("partition", K_STR, AT(prefs, partition), "\"model\"|\"none\"", "", .otherwise = "model"),
	FIELD("max_price", K_PRICES, AT(prefs, max_prompt), "{prompt?:number,completion?:number,request?:number,image?:number,audio?:number}", "USD per 1M tokens; USD per request, image, audio token"),
	FIELD("max_latency_s", K_CUTS, AT(prefs, latency_s), "table<\"p50\"|\"p75\"|\"p90\"|\"p99\",number>", "seconds to first token"),
	FIELD("min_throughput_tps", K_CUTS, AT(prefs, throughput_tps), "table<\"p50\"|\"p75\"|\"p90\"|\"p99\",number>", "tokens per second"),
	FIELD("service_tier", K_STR, AT(prefs, service_tier), "\"\"|\"default\"|\"priority\"|\"flex\"", ""),
	FIELD("guards", K_WORDS, AT(prefs, guards), WORDS, "of content guardrails: there are none yet, so it is empty, and resolve may not ask for one"),
	FIELD("none", K_USUAL, 0, "boolean", "nothing is asked for: every other member is as it is by default"), { 0 } };
const struct field key_fields[] = {
	FIELD("id", K_STR, AT(facts, key.id), "string", ""),
	FIELD("org", K_STR, AT(facts, key.org), "string", ""),
	FIELD("workspace", K_STR, AT(facts, key.workspace), "string", ""),
	FIELD("user", K_STR, AT(facts, key.user), "string", "end user or member id, \"\" if none"),
	FIELD("plan", K_STR, AT(facts, key.plan), "string", "its label 'plan'"),
	FIELD("labels", K_PAIRS, AT(facts, key.labels), "table<string,string>", "what whoever manages keys has written on it"),
	FIELD("credits_bought_nusd", K_I64, AT(facts, key.credits_bought_nusd), "Money", "lifetime"), { 0 } };
const struct field feat_fields[] = {
	FIELD("prompt_tokens", K_U64, AT(features, prompt_tokens), "integer", "estimate"),
	FIELD("max_tokens", K_U64, AT(features, max_tokens), "integer", "requested; 0: not said"),
	FIELD("messages", K_U64, AT(features, messages), "integer", ""),
	FIELD("turns", K_U64, AT(features, turns), "integer", "user messages"),
	FIELD("images", K_U64, AT(features, images), "integer", ""),
	FIELD("audio_s", K_U64, AT(features, audio_s), "integer", "seconds"),
	FIELD("files", K_U64, AT(features, files), "integer", ""),
	FIELD("tools", K_U64, AT(features, tools), "integer", "tools offered"),
	FIELD("json_schema", K_BOOL, AT(features, json_schema), "boolean", ""),
	FIELD("code_blocks", K_U64, AT(features, code_blocks), "integer", ""),
	FIELD("user_chars", K_U64, AT(features, user_chars), "integer", "length of the last user message"),
	FIELD("reasoning", K_STR, AT(features, reasoning), "\"none\"|\"minimal\"|\"low\"|\"medium\"|\"high\"|\"xhigh\"|\"max\"", "", .otherwise = "none"), { 0 } };
const struct field req_fields[] = {
	FIELD("id", K_STR, AT(facts, id), "string", ""),
	FIELD("now_ms", K_I64, AT(facts, now_ms), "integer", "Unix time of arrival, ms; frozen for the whole request"),
	FIELD("seed", K_U64, AT(facts, seed), "integer", "seed of rand(), kept in the decision record"),
	FIELD("api", K_STR, AT(facts, api), "\"chat\"|\"responses\"|\"messages\"|\"completions\"|\"embeddings\"|\"rerank\"|\"images\"|\"speech\"|\"transcription\"|\"moderation\"|\"video\"", ""),
	FIELD("stream", K_BOOL, AT(facts, stream), "boolean", ""),
	FIELD("model", K_STR, AT(facts, model), "string", "as the client sent it"),
	FIELD("models", K_WORDS, AT(facts, models), WORDS, "slugs, in order, variants removed"),
	FIELD("variant", K_STR, AT(facts, variant), "string", "of the first: \"\" nitro floor free exacto"),
	FIELD("variants", K_WORDS, AT(facts, variants), WORDS, "slug, variant, slug, variant ... as they were asked for, where the variants differ; else empty"),
	FIELD("plugins", K_WORDS, AT(facts, plugins), WORDS, "ids of the plugins that are asked for; :online behind a model asks for \"web\""),
	FIELD("session", K_STR, AT(facts, session), "string", "session_id, prompt_cache_key or hash of the first messages; \"\" if none"),
	FIELD("data_class", K_STR, AT(facts, data_class), "string", ""),
	FIELD("policy", K_STR, AT(facts, policy), "string", "requested policy name, \"\" if none"),
	FIELD("labels", K_PAIRS, AT(facts, labels), "table<string,string>", "headers and metadata that policy.labels of the configuration names"),
	FIELD("params", K_SET, AT(facts, params), SET, "names of the parameters in use"),
	FIELD("listed", K_BOOL, AT(facts, listed), "boolean", "the catalogue has the first of models"),
	FIELD("auto_allowed", K_WORDS, AT(facts, auto_allowed), WORDS, "of the auto-router plugin: patterns of models"),
	FIELD("auto_excluded", K_WORDS, AT(facts, auto_excluded), WORDS, ""),
	FIELD("auto_tier", K_STR, AT(facts, auto_tier), "\"\"|\"low\"|\"medium\"|\"high\"|\"xhigh\"|\"max\"", "its cost_tier", .otherwise = ""),
	FIELD("prefs", K_LATER, 0, "Prefs", ""),
	FIELD("key", K_LATER, 0, "KeyInfo", ""),
	FIELD("feat", K_LATER, 0, "Features", ""), { 0 } };
#define TOKENS(member, about_) FIELD(#member, K_U64, AT(used, usage.member), "integer", about_)
const struct field usage_fields[] = {
	TOKENS(input, "uncached text tokens"), TOKENS(cached, ""), TOKENS(cache_write, "default lifetime"), TOKENS(cache_write_1h, ""),
	TOKENS(image_tokens, ""), TOKENS(audio_in, ""), TOKENS(audio_cached, ""), TOKENS(output, "visible text tokens"), TOKENS(reasoning, ""),
	TOKENS(audio_out, ""), TOKENS(images_out, ""), TOKENS(searches, ""), TOKENS(requests, ""), TOKENS(characters, "of speech input"),
	TOKENS(seconds, "of audio or video, rounded up"),
	FIELD("prompt_total", K_U64, AT(used, prompt_total), "integer", "sum of the seven input buckets; selects the tier"),
	FIELD("estimated", K_BOOL, AT(used, estimated), "boolean", "true before the call"), { 0 } };

const struct base_fields parts[BASES] = { { "", "req", req_fields }, { "prefs", "req.prefs", prefs_fields }, { "key", "req.key", key_fields },
	{ "feat", "req.feat", feat_fields } };

const void *base_of(const struct facts *f, unsigned base)
{
	return base == OF_PREFS ? (const void *)&f->prefs : base == OF_FEAT ? (const void *)&f->feat : f;
}

int part_named(const char *name, struct part *out)
{
	const char *dot = strchr(name, '.');
	size_t len = dot ? (size_t)(dot - name) : 0;

	*out = (struct part){ NULL, OF_REQ };
	for (unsigned base = OF_REQ; base < BASES && !out->field; base++)
		if (len == strlen(parts[base].name) && !strncmp(parts[base].name, name, len))
			*out = (struct part){ field_named(parts[base].fields, dot ? dot + 1 : name), (unsigned char)base };
	return out->field && out->field->kind != K_LATER ? 0 : -1;
}

const struct prefs prefs_none = { .allow_fallbacks = true };

bool prefs_usual(const struct prefs *p)
{
	if (!memcmp(p, &prefs_none, sizeof(*p)))	/* by far the most; what says the same in another way is looked at */
		return true;
	for (const struct field *f = prefs_fields; f->name; f++)
		if (!field_usual(f, (const char *)p + f->at, (const char *)&prefs_none + f->at))
			return false;
	return true;
}

/* ---- mirrors */

static void keep_image(struct mirror *m, int i)
{
	struct kept *k = &m->kept[i];

	k->len = (short)field_image(&m->fields[i], m->thing, k->text, sizeof(k->text));
}

static void fill(lua_State *L, struct mirror *m, int i)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, m->raw);
	field_push(L, &m->fields[i], m->thing);
	lua_setfield(L, -2, m->fields[i].name);
	lua_pop(L, 1);
	keep_image(m, i);
	m->wanted |= 1ull << i;
}

/* The first time that anybody reads this field. */
static int on_absent(lua_State *L)
{
	struct mirror *m = lua_touserdata(L, lua_upvalueindex(1));
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
	const struct field *f = field_named(m->fields, name);

	if (!f && lua_type(L, 2) == LUA_TSTRING)
		return field_missing(L, m->called, m->fields, name);
	if (!f || f->kind == K_LATER || !m->thing)
		return 0;
	fill(L, m, (int)(f - m->fields));
	lua_settop(L, 2);
	lua_rawget(L, 1);
	return 1;
}

void mirror_complete(lua_State *L, struct mirror *m)
{
	for (int i = 0; m->thing && m->fields[i].name; i++)
		if (m->fields[i].kind != K_LATER && !(m->wanted & 1ull << i))
			fill(L, m, i);
}

/* Leaves the sight. */
static void mirror_open(lua_State *L, struct mirror *m, const char *called, const struct field *fields)
{
	*m = (struct mirror){ .called = called, .fields = fields };
	lua_createtable(L, 0, 20);
	lua_createtable(L, 0, 1);
	lua_pushlightuserdata(L, m);
	lua_pushcclosure(L, on_absent, 1);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
	lua_pushvalue(L, -1);
	m->raw = luaL_ref(L, LUA_REGISTRYINDEX);
	proxy_push(L, SIGHT_MIRROR)->mirror = m;
	lua_pushvalue(L, -1);
	m->eye = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void mirror_show(lua_State *L, struct mirror *m, const void *thing)
{
	m->thing = thing;
	for (uint64_t left = m->wanted; left; left &= left - 1) {
		int i = __builtin_ctzll(left), n;
		struct kept *k = &m->kept[i];
		char now[KEPT_BYTES];

		n = field_image(&m->fields[i], thing, now, sizeof(now));
		if (n >= 0 && n == k->len && !memcmp(now, k->text, (size_t)n))
			continue;
		k->len = (short)n;
		if (n > 0)
			memcpy(k->text, now, (size_t)n);
		lua_rawgeti(L, LUA_REGISTRYINDEX, m->raw);
		field_push(L, &m->fields[i], thing);
		lua_setfield(L, -2, m->fields[i].name);
		lua_pop(L, 1);
	}
}

/* ---- the request */

void objects_open(struct policy_state *s)
{
	struct mirror *const of[BASES] = { &s->req, &s->prefs, &s->key, &s->feat };
	lua_State *L = s->L;

	lua_newtable(L);
	s->empty = proxy_push(L, SIGHT_PLAIN);
	lua_setfield(L, LUA_REGISTRYINDEX, "empty");
	mirror_open(L, &s->usage, "usage", usage_fields);
	mirror_open(L, &s->req, parts[OF_REQ].called, req_fields);
	lua_pop(L, 2);
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->req.raw);
	for (unsigned base = OF_PREFS; base < BASES; base++) {
		mirror_open(L, of[base], parts[base].called, parts[base].fields);
		lua_setfield(L, -2, parts[base].name);
	}
	lua_pop(L, 1);
}

void req_push(struct policy_state *s, struct decision *d)
{
	lua_State *L = s->L;

	if (s->stamp != d->stamp) {
		mirror_show(L, &s->req, &d->facts);
		mirror_show(L, &s->prefs, &d->facts.prefs);
		mirror_show(L, &s->key, &d->facts);
		mirror_show(L, &s->feat, &d->facts.feat);
		s->stamp = d->stamp;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->req.eye);
}

/* It shows these counts until the next call. */
void usage_push(struct policy_state *s, const struct mg_usage *u, bool estimated)
{
	struct used *used = (struct used *)s->used;

	_Static_assert(sizeof(*used) <= sizeof(s->used), "room for the counts");
	*used = (struct used){ *u, usage_prompt_tokens(u), estimated };
	mirror_show(s->L, &s->usage, used);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->usage.eye);
}
