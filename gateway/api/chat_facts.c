/*
 * chat_facts.c - a chat request as policies see it: names, numbers and counts,
 * never text.
 */
#include "base/crypto.h"
#include "api/chat.h"

enum { BYTES_PER_TOKEN = 3, TOKENS_PER_MESSAGE = 8, TOKENS_PER_IMAGE = 1600, TOKENS_PER_FILE = 4000 };	/* on the safe side */

/* ------------------------------------------------ lists and words */

static int word_list(struct pool *pool, struct mg_view list, const char *name, struct words *out, struct err *err)
{
	size_t n = json_len(list), i = 0;
	struct mg_str *at;

	*out = (struct words){ 0 };
	if (json_kind(list) <= MG_NULL)
		return MG_OK;
	if (json_kind(list) != MG_ARRAY)
		return fail(err, MG_EINVAL, "%s: must be an array of strings", name);
	at = pool_alloc(pool, (n + 1) * sizeof(*at));
	if (!at)
		return fail(err, MG_ENOMEM, "no memory for the request");
	for (struct mg_view v = json_at(list, 0); v.doc; v = json_next(v)) {
		if (json_kind(v) != MG_STRING)
			return fail(err, MG_EINVAL, "%s[%zu]: must be a string", name, i);
		at[i] = json_text(pool, v);
		if (at[i].len && memchr(at[i].at, '\0', at[i].len))
			return fail(err, MG_EINVAL, "%s[%zu]: must not have \\u0000 in it", name, i);
		i++;
	}
	*out = (struct words){ at, n };
	return MG_OK;
}

static int flag(struct mg_view object, const char *member, const char *path, bool *out, struct err *err)
{
	enum mg_kind kind = json_kind(json_get(object, member));

	if (kind > MG_NULL && kind != MG_TRUE && kind != MG_FALSE)
		return fail(err, MG_EINVAL, "%s: must be a boolean", path);
	if (kind > MG_NULL)
		*out = kind == MG_TRUE;
	return MG_OK;
}

/* A number, or a decimal in a string; for comparing only. */
static int number(struct pool *pool, struct mg_view v, const char *path, struct number *out, struct err *err)
{
	struct mg_str text = json_text(pool, v);
	char copy[64], *end;

	if (json_kind(v) <= MG_NULL)
		return MG_OK;
	if (!text.at || !text.len || text.len >= sizeof(copy))
		return fail(err, MG_EINVAL, "%s: must be a number", path);
	memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	out->n = strtod(copy, &end);
	out->set = true;
	if (*end || out->n < 0)
		return fail(err, MG_EINVAL, "%s: must be a number, not below 0", path);
	return MG_OK;
}

/* A number means p50. */
static int percentiles(struct pool *pool, struct mg_view v, const char *path, struct number out[4], struct err *err)
{
	static const char *const names[] = { "p50", "p75", "p90", "p99" };
	int rc = MG_OK;

	if (json_kind(v) != MG_OBJECT)
		return number(pool, v, path, &out[0], err);
	for (size_t i = 0; i < 4 && !rc; i++)
		rc = number(pool, json_get(v, names[i]), path, &out[i], err);
	return rc;
}

/* ------------------------------------------------ the provider object */

static int sort_of(struct pool *pool, struct mg_view sort, struct prefs *p, struct err *err)
{
	static const char *const keys[] = { "price", "throughput", "latency", "exacto" };
	struct mg_view by = json_kind(sort) == MG_OBJECT ? json_get(sort, "by") : sort;

	if (json_kind(sort) == MG_OBJECT && json_kind(json_get(sort, "partition")) == MG_STRING) {
		p->partition = json_text(pool, json_get(sort, "partition"));
		if (!mg_is(p->partition, "model") && !mg_is(p->partition, "none"))
			return fail(err, MG_EINVAL, "provider.sort.partition: must be model or none");
	}
	if (json_kind(by) <= MG_NULL)
		return MG_OK;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_is(by, keys[i])) {
			p->sort_by = json_text(pool, by);
			return MG_OK;
		}
	return fail(err, MG_EINVAL, "provider.sort: must be price, throughput, latency or exacto");
}

static int quantizations(struct words list, struct err *err)
{
	static const char *const levels[] = { "int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32", "unknown" };

	for (size_t i = 0, k; i < list.n; i++) {
		for (k = 0; k < sizeof(levels) / sizeof(levels[0]) && !mg_is(list.at[i], levels[k]); )
			k++;
		if (k == sizeof(levels) / sizeof(levels[0]))
			return fail(err, MG_EINVAL, "provider.quantizations[%zu]: must be int4, int8, fp4, mxfp4, nvfp4, fp6, fp8, mxfp8, fp16, bf16, fp32 or unknown", i);
	}
	return MG_OK;
}

static int prefs_lists(struct pool *pool, struct mg_view v, struct prefs *p, struct err *err)
{
	int rc = word_list(pool, json_get(v, "order"), "provider.order", &p->order, err);

	if (!rc)
		rc = word_list(pool, json_get(v, "only"), "provider.only", &p->only, err);
	if (!rc)
		rc = word_list(pool, json_get(v, "ignore"), "provider.ignore", &p->ignore, err);
	if (!rc)
		rc = word_list(pool, json_get(v, "quantizations"), "provider.quantizations", &p->quantizations, err);
	return rc ? rc : quantizations(p->quantizations, err);
}

static int prefs_flags(struct mg_view v, struct prefs *p, struct err *err)
{
	struct mg_view collect = json_get(v, "data_collection");
	int rc = flag(v, "allow_fallbacks", "provider.allow_fallbacks", &p->allow_fallbacks, err);

	if (!rc)
		rc = flag(v, "require_parameters", "provider.require_parameters", &p->require_parameters, err);
	if (!rc)
		rc = flag(v, "zdr", "provider.zdr", &p->zdr, err);
	if (!rc)
		rc = flag(v, "enforce_distillable_text", "provider.enforce_distillable_text", &p->distillable, err);
	if (!rc && json_kind(collect) > MG_NULL && !json_is(collect, "allow") && !json_is(collect, "deny"))
		rc = fail(err, MG_EINVAL, "provider.data_collection: must be allow or deny");
	p->deny_data_collection = json_is(collect, "deny");
	return rc;
}

static int prefs_numbers(struct pool *pool, struct mg_view v, struct prefs *p, struct err *err)
{
	struct mg_view max = json_get(v, "max_price");
	int rc = MG_OK;

	if (json_kind(max) > MG_NULL && json_kind(max) != MG_OBJECT)
		return fail(err, MG_EINVAL, "provider.max_price: must be an object");
	rc = number(pool, json_get(max, "prompt"), "provider.max_price.prompt", &p->max_prompt, err);
	if (!rc)
		rc = number(pool, json_get(max, "completion"), "provider.max_price.completion", &p->max_completion, err);
	if (!rc)
		rc = number(pool, json_get(max, "request"), "provider.max_price.request", &p->max_request, err);
	if (!rc)
		rc = number(pool, json_get(max, "image"), "provider.max_price.image", &p->max_image, err);
	if (!rc)
		rc = number(pool, json_get(max, "audio"), "provider.max_price.audio", &p->max_audio, err);
	if (!rc)
		rc = percentiles(pool, json_get(v, "preferred_max_latency"), "provider.preferred_max_latency", p->latency_s, err);
	if (!rc)
		rc = percentiles(pool, json_get(v, "preferred_min_throughput"), "provider.preferred_min_throughput",
			p->throughput_tps, err);
	return rc;
}

static int prefs_of(struct pool *pool, struct mg_view request, struct prefs *p, struct err *err)
{
	struct mg_view v = json_get(request, "provider");
	int rc;

	*p = prefs_none;
	p->service_tier = json_text(pool, json_get(request, "service_tier"));
	if (!p->service_tier.at || mg_is(p->service_tier, "auto"))
		p->service_tier = prefs_none.service_tier;
	if (mg_is(p->service_tier, "fast"))
		p->service_tier = (struct mg_str)MG_STR("priority");
	if (json_is(json_get(request, "route"), "sort"))
		p->partition = (struct mg_str)MG_STR("none");
	if (!v.doc)
		return MG_OK;		/* as most */
	rc = prefs_lists(pool, v, p, err);
	if (!rc)
		rc = prefs_flags(v, p, err);
	if (!rc)
		rc = prefs_numbers(pool, v, p, err);
	if (!rc)
		rc = sort_of(pool, json_get(v, "sort"), p, err);
	return rc;
}

/* ------------------------------------------------ models and variants */

/* A model that the catalogue has under its whole name (acme/m:free) keeps it, as do
 * those that a wildcard forwards;
 * else what stands behind the last colon is a variant (A7).  :online, which may stand behind
 * another one, is short for a plugin, and no way to route. */
static struct mg_str without_variant(const struct catalog *c, struct mg_str slug, struct mg_str *variant, bool *online)
{
	const char *colon = memrchr(slug.at, ':', slug.len);
	struct mg_str before;

	if (!colon || catalog_model(c, slug) || catalog_wildcard(c, slug))
		return slug;
	before = (struct mg_str){ slug.at, (size_t)(colon - slug.at) };
	*variant = (struct mg_str){ colon + 1, (size_t)(slug.at + slug.len - colon - 1) };
	if (!mg_is(*variant, "online"))
		return before;
	*variant = (struct mg_str)MG_STR("");
	*online = true;
	return without_variant(c, before, variant, online);
}

static bool same(struct mg_str a, struct mg_str b)
{
	return a.len == b.len && !memcmp(a.at, b.at, a.len);
}

/* Each slug once; and slug, variant, slug, variant ... of all that were asked for. */
struct naming { const struct catalog *catalog; struct mg_str *slugs, *pairs; size_t n_slugs, n_pairs; bool online; };

static void model_add(struct naming *names, struct mg_str name)
{
	struct mg_str variant = MG_STR(""), slug = without_variant(names->catalog, name, &variant, &names->online);
	const struct model *m = catalog_model(names->catalog, slug);

	names->pairs[names->n_pairs++] = m ? (struct mg_str){ m->slug, strlen(m->slug) } : slug;
	names->pairs[names->n_pairs++] = variant;
	for (size_t i = 0; i < names->n_slugs; i++)
		if (same(names->slugs[i], slug))
			return;
	names->slugs[names->n_slugs++] = slug;
}

/* Where all have the same variant, that says it. */
static void asked_differently(struct facts *f, const struct naming *names)
{
	f->variant = names->pairs[1];
	for (size_t i = 3; i < names->n_pairs; i += 2)
		if (!same(names->pairs[i], f->variant))
			f->variants = (struct words){ names->pairs, names->n_pairs };
}

static int models_of(struct pool *pool, const struct catalog *c, struct mg_view request, struct facts *f, bool *online, struct err *err)
{
	struct naming names = { .catalog = c };
	struct words list;
	struct mg_str first = json_text(pool, json_get(request, "model"));
	int rc = word_list(pool, json_get(request, "models"), "models", &list, err);

	if (rc)
		return rc;
	if (!first.at && !list.n)
		return fail(err, MG_EINVAL, "model: is missing; GET /api/v1/models lists them");
	names.slugs = pool_alloc(pool, 3 * (list.n + 1) * sizeof(*names.slugs));
	if (!names.slugs)
		return fail(err, MG_ENOMEM, "no memory for the request");
	names.pairs = names.slugs + list.n + 1;
	if (first.at)
		model_add(&names, first);
	for (size_t i = 0; i < list.n; i++)
		model_add(&names, list.at[i]);
	f->model = first.at ? first : list.at[0];
	f->models = (struct words){ names.slugs, names.n_slugs };
	f->listed = catalog_model(c, names.slugs[0]) || catalog_wildcard(c, names.slugs[0]);
	asked_differently(f, &names);
	*online |= names.online;
	return MG_OK;
}

/* ------------------------------------------------ plugins */

/* Those that are not switched off, each once. */
static int plugins_of(struct pool *pool, struct mg_view request, bool online, struct facts *f, struct err *err)
{
	struct mg_view list = json_get(request, "plugins");
	struct mg_str *at;

	if (!list.doc && !online)
		return MG_OK;		/* as most */
	at = pool_alloc(pool, (json_len(list) + 1) * sizeof(*at));
	if (!at)
		return fail(err, MG_ENOMEM, "no memory for the request");
	f->plugins = (struct words){ at, 0 };
	if (online)
		at[f->plugins.n++] = (struct mg_str)MG_STR("web");
	for (struct mg_view v = json_at(list, 0); v.doc; v = json_next(v)) {
		struct mg_str id = json_text(pool, json_get(v, "id"));
		bool known = json_kind(json_get(v, "enabled")) == MG_FALSE;

		for (size_t i = 0; i < f->plugins.n; i++)
			known |= same(id, at[i]);
		if (!known)
			at[f->plugins.n++] = id;
	}
	return MG_OK;
}

static int patterns(struct pool *pool, struct mg_view plugin, const char *member, struct words *out, struct err *err)
{
	enum { PATTERNS = 1024, PATTERN_BYTES = 1024, ALL_BYTES = 65536 };
	size_t all = 0;
	char name[40];
	int rc;

	snprintf(name, sizeof(name), "plugins: %s", member);
	rc = word_list(pool, json_get(plugin, member), name, out, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < out->n; i++) {
		all += out->at[i].len;
		if (out->at[i].len > PATTERN_BYTES)
			return fail(err, MG_EINVAL, "%s[%zu]: must have at most %d characters", name, i, PATTERN_BYTES);
	}
	if (out->n > PATTERNS || all > ALL_BYTES)
		return fail(err, MG_EINVAL, "%s: must have at most %d patterns of %d characters together", name, PATTERNS, ALL_BYTES);
	return MG_OK;
}

static int auto_router(struct pool *pool, struct mg_view request, struct facts *f, struct err *err)
{
	static const char *const tiers[] = { "low", "medium", "high", "xhigh", "max" };
	struct mg_view v = json_at(json_get(request, "plugins"), 0), tier;
	int rc;

	while (v.doc && !json_is(json_get(v, "id"), "auto-router"))
		v = json_next(v);
	if (!v.doc || json_kind(json_get(v, "enabled")) == MG_FALSE)
		return MG_OK;
	rc = patterns(pool, v, "allowed_models", &f->auto_allowed, err);
	if (!rc)
		rc = patterns(pool, v, "excluded_models", &f->auto_excluded, err);
	tier = json_get(v, "cost_tier");
	if (rc || json_kind(tier) <= MG_NULL)
		return rc;
	for (size_t i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++)
		if (json_is(tier, tiers[i])) {
			f->auto_tier = (struct mg_str){ tiers[i], strlen(tiers[i]) };
			return MG_OK;
		}
	return fail(err, MG_EINVAL, "plugins: cost_tier: must be low, medium, high, xhigh or max");
}

/* ------------------------------------------------ features */

static void count_text(struct features *f, struct mg_str raw, bool user)
{
	const char *at = raw.at, *end = raw.at + raw.len;

	f->prompt_tokens += raw.len / BYTES_PER_TOKEN + 1;
	if (user)
		f->user_chars += raw.len >= 2 ? raw.len - 2 : 0;
	/* memchr looks at 32 bytes at a time, memmem at one */
	while (at && end - at >= 3 && (at = memchr(at, '`', (size_t)(end - at - 2))) != NULL) {
		bool fence = at[1] == '`' && at[2] == '`';

		f->code_blocks += fence;
		at += fence ? 3 : 1;
	}
}

static void count_part(struct features *f, struct mg_view part, bool user)
{
	struct mg_view type = json_get(part, "type");

	if (json_is(type, "text")) {
		count_text(f, json_raw(json_get(part, "text")), user);
	} else if (json_is(type, "image_url")) {
		f->images++;
		f->prompt_tokens += TOKENS_PER_IMAGE;
	} else if (json_is(type, "input_audio")) {
		uint64_t bytes = json_raw(json_get(json_get(part, "input_audio"), "data")).len * 3 / 4;

		f->audio_s += bytes / 16000 + 1;	/* of compressed speech at 128 kbit/s */
		f->prompt_tokens += bytes / 160;
	} else {
		f->files++;
		f->prompt_tokens += TOKENS_PER_FILE;
	}
}

static void count_message(struct features *f, struct mg_view m)
{
	struct mg_view content = json_get(m, "content");
	bool user = json_is(json_get(m, "role"), "user");

	f->messages++;
	f->prompt_tokens += TOKENS_PER_MESSAGE;
	if (user) {
		f->turns++;
		f->user_chars = 0;
	}
	if (json_kind(content) == MG_STRING)
		count_text(f, json_raw(content), user);
	for (struct mg_view part = json_at(json_kind(content) == MG_ARRAY ? content : (struct mg_view){ 0 }, 0); part.doc;
			part = json_next(part))
		count_part(f, part, user);
	count_text(f, json_raw(json_get(m, "tool_calls")), false);
	count_text(f, json_raw(json_get(m, "reasoning_details")), false);
}

static struct mg_str effort_of(struct pool *pool, struct mg_view request)
{
	struct mg_view reasoning = json_get(request, "reasoning");
	struct mg_str word = json_text(pool, json_get(reasoning, "effort"));

	if (!word.at)
		word = json_text(pool, json_get(request, "reasoning_effort"));
	if (word.at)
		return word;
	if (json_kind(json_get(reasoning, "enabled")) == MG_TRUE || json_kind(json_get(reasoning, "max_tokens")) == MG_NUMBER
		|| json_kind(json_get(request, "include_reasoning")) == MG_TRUE)
		return (struct mg_str)MG_STR("medium");
	return (struct mg_str)MG_STR("none");
}

static void features_of(struct pool *pool, struct mg_view request, struct features *f)
{
	struct mg_view schema = json_get(json_get(request, "response_format"), "type");

	*f = (struct features){ 0 };
	for (struct mg_view m = json_at(json_get(request, "messages"), 0); m.doc; m = json_next(m))
		count_message(f, m);
	f->tools = json_len(json_get(request, "tools"));
	f->prompt_tokens += json_raw(json_get(request, "tools")).len / BYTES_PER_TOKEN;
	f->json_schema = json_is(schema, "json_schema");
	f->reasoning = effort_of(pool, request);
	if (!json_count(json_get(request, "max_completion_tokens"), &f->max_tokens))
		json_count(json_get(request, "max_tokens"), &f->max_tokens);
}

/* ------------------------------------------------ parameters in use */

static int params_of(struct pool *pool, struct mg_view request, struct facts *f, struct err *err)
{
	static const char *const names[] = { "temperature", "top_p", "top_k", "min_p", "top_a", "frequency_penalty",
		"presence_penalty", "repetition_penalty", "max_tokens", "max_completion_tokens", "logit_bias", "logprobs",
		"top_logprobs", "prediction", "seed", "response_format", "stop", "tools", "tool_choice", "parallel_tool_calls",
		"include_reasoning", "reasoning", "reasoning_effort", "web_search_options", "verbosity" };
	enum { NAMES = sizeof(names) / sizeof(names[0]) };
	struct mg_str name, *at = pool_alloc(pool, (NAMES + 1) * sizeof(*at));
	size_t n = 0;

	if (!at)
		return fail(err, MG_ENOMEM, "no memory for the request");
	for (struct mg_view v = json_at(request, 0); v.doc; v = json_next(v)) {
		name = json_name(v);
		if (!name.len || json_kind(v) <= MG_NULL)
			continue;
		for (size_t i = 0; i < NAMES; i++)
			if (names[i][0] == name.at[0] && mg_is(name, names[i]))
				at[n++] = (struct mg_str){ names[i], name.len };
	}
	if (f->feat.json_schema)
		at[n++] = (struct mg_str)MG_STR("structured_outputs");
	f->params = (struct words){ at, n };
	return MG_OK;
}

/* Of a message with an image in it the ends will do: it is for finding the same endpoint again. */
static uint64_t hash_ends(struct mg_str s, uint64_t seed)
{
	enum { END = 16 * 1024 };

	if (s.len <= 2 * END)
		return hash64(s.at, s.len, seed);
	return hash64(s.at + s.len - END, END, hash64(s.at, END, seed ^ s.len));
}

/* "h-" and 16 hex digits. */
static struct mg_str hash_text(struct pool *pool, uint64_t hash)
{
	static const char digit[] = "0123456789abcdef";
	char text[18] = "h-";

	for (size_t i = sizeof(text); i > 2; hash >>= 4)
		text[--i] = digit[hash & 15];
	return pool_dup(pool, (struct mg_str){ text, sizeof(text) });
}

/* Without a name of its own a conversation is known by its first messages (E8). */
static struct mg_str session_of(struct pool *pool, struct mg_view request)
{
	struct mg_str id = json_text(pool, json_get(request, "session_id"));
	uint64_t hash = 0;
	bool spoken = false;

	if (!id.at)
		id = json_text(pool, json_get(request, "prompt_cache_key"));
	if (id.at)
		return id;
	for (struct mg_view m = json_at(json_get(request, "messages"), 0); m.doc && !spoken; m = json_next(m)) {
		struct mg_str raw = json_raw(m);

		spoken = !json_is(json_get(m, "role"), "system") && !json_is(json_get(m, "role"), "developer");
		hash = hash_ends(raw, hash);
	}
	return hash_text(pool, hash);
}

int chat_facts(struct pool *pool, const struct catalog *catalog, struct mg_view request, struct facts *out, struct err *err)
{
	bool online = false;
	int rc = models_of(pool, catalog, request, out, &online, err);

	if (!rc)
		rc = plugins_of(pool, request, online, out, err);
	if (!rc)
		rc = auto_router(pool, request, out, err);
	if (!rc)
		rc = prefs_of(pool, request, &out->prefs, err);
	if (rc)
		return rc;
	features_of(pool, request, &out->feat);
	out->api = (struct mg_str)MG_STR("chat");
	out->stream = json_kind(json_get(request, "stream")) == MG_TRUE;
	out->session = session_of(pool, request);
	out->data_class = (struct mg_str)MG_STR("");
	out->policy = json_text(pool, json_get(request, "policy"));
	if (!out->policy.at)
		out->policy = (struct mg_str)MG_STR("");
	return params_of(pool, request, out, err);
}
