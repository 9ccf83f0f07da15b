/* Other people's catalogues: what each source calls what; import.h. */
#include <ctype.h>
#include <time.h>
#include "catalog/import.h"

struct reading {
	enum import_source from;
	struct pool *pool;
	const json_t *providers;
	struct slugs *slugs;
	const struct import_sink *sink;
};

int import_source(const char *word)
{
	static const char *const words[] = { "models.dev", "litellm", "openrouter" };

	for (int i = 0; i < 3; i++)
		if (!strcmp(word, words[i]))
			return i;
	return -1;
}

/* ------------------------------------------------ small things that all of them say */

static bool yes(struct mg_view object, const char *member)
{
	return json_kind(json_get(object, member)) == MG_TRUE;
}

/* "2026-03-05" or "2026-03" as Unix seconds; 0: neither. */
static int64_t date_of(struct mg_str s)
{
	struct tm t = { .tm_mday = 1 };
	char text[11];

	if (s.len != 7 && s.len != 10)
		return 0;
	memcpy(text, s.at, s.len);
	text[s.len] = '\0';
	if (sscanf(text, "%4d-%2d-%2d", &t.tm_year, &t.tm_mon, &t.tm_mday) < 2)
		return 0;
	t.tm_year -= 1900;
	t.tm_mon--;
	return timegm(&t);
}

static unsigned words_in(struct mg_view list, const char *const *words, const unsigned *bits)
{
	unsigned got = 0;

	for (struct mg_view v = json_at(list, 0); v.doc; v = json_next(v))
		for (size_t i = 0; words[i]; i++)
			if (json_is(v, words[i]))
				got |= bits[i];
	return got;
}

static unsigned goes_in(struct mg_view list)
{
	static const char *const words[] = { "text", "image", "pdf", "file", "audio", "video", NULL };
	static const unsigned bits[] = { IN_TEXT, IN_IMAGE, IN_FILE, IN_FILE, IN_AUDIO, IN_VIDEO };

	return words_in(list, words, bits);
}

static unsigned comes_out(struct mg_view list)
{
	static const char *const words[] = { "text", "image", "audio", "video", "embeddings", "rerank", "speech", "transcription", NULL };
	static const unsigned bits[] = { IN_TEXT, IN_IMAGE, IN_AUDIO, IN_VIDEO, OUT_EMBEDDINGS, OUT_RERANK, OUT_SPEECH, OUT_TRANSCRIPTION };

	return words_in(list, words, bits);
}

/* Which member of the source is which rate of ours, and how far its point is moved. */
enum { FRACTION = 6 /* digits of USD per million that are whole picodollars per token */, FRACTION_EACH = 9 };
struct rate_word { const char *member; enum rate rate; int places; };

static void read_rates(const struct reading *r, struct mg_view from, const struct rate_word *words, struct mg_str price[RATE_COUNT])
{
	for (; words->member; words++) {
		struct mg_view v = json_get(from, words->member);

		if (!price[words->rate].at && (json_kind(v) == MG_NUMBER || json_kind(v) == MG_STRING))
			price[words->rate] = decimal_shift(r->pool, json_text(r->pool, v), words->places,
				words->rate == RATE_IMAGE || words->rate == RATE_SEARCH || words->rate == RATE_REQUEST || words->rate == RATE_SECOND
					? FRACTION_EACH : FRACTION);
	}
}

/* Our provider that calls itself `name` in the source; NULL: we have none. */
static const char *provider_of(const struct reading *r, const char *member, struct mg_str name)
{
	const char *slug, *theirs;
	json_t *row;

	json_object_foreach((json_t *)(uintptr_t)r->providers, slug, row) {
		theirs = json_string_value(json_object_get(row, member));
		if (theirs && mg_is(name, theirs))
			return slug;
	}
	return NULL;
}

/* "x:thinking", "x:free": another way to call x.  "...-v1:0" is a version. */
static bool variant(struct mg_str model)
{
	const char *colon = model.at ? memrchr(model.at, ':', model.len) : NULL;

	return colon && colon + 1 < model.at + model.len && isalpha((unsigned char)colon[1]) && !(model.len > 3 && !memcmp(model.at, "hf:", 3));
}

static void name_it(const struct reading *r, struct import_row *row)
{
	if (variant(row->model)) {
		r->sink->skip(r->sink->arg, row->provider, row->model, "a variant of another row");
		return;
	}
	row->slug = slug_of(r->slugs, r->pool, row->model, row->provider, &row->region);
	r->sink->row(r->sink->arg, row);
}

static void skip(const struct reading *r, const char *provider, struct mg_str model, const char *why)
{
	r->sink->skip(r->sink->arg, provider, model, why);
}

/* ------------------------------------------------ models.dev */

static const struct rate_word dev_rates[] = {
	{ "input", RATE_PROMPT, 0 }, { "output", RATE_COMPLETION, 0 }, { "cache_read", RATE_CACHE_READ, 0 }, { "cached_input", RATE_CACHE_READ, 0 },
	{ "cache_input", RATE_CACHE_READ, 0 }, { "cache_write", RATE_CACHE_WRITE, 0 }, { "cached_write", RATE_CACHE_WRITE, 0 },
	{ "reasoning", RATE_REASONING, 0 }, { "input_audio", RATE_AUDIO_IN, 0 }, { "output_audio", RATE_AUDIO_OUT, 0 }, { NULL, 0, 0 } };

static struct mg_str dev_efforts(struct mg_view options)
{
	for (struct mg_view v = json_at(options, 0); v.doc; v = json_next(v))
		if (json_is(json_get(v, "type"), "effort"))
			return json_raw(json_get(v, "values"));
	return (struct mg_str){ 0 };
}

static void dev_tiers(const struct reading *r, struct mg_view tiers, struct import_row *row)
{
	for (struct mg_view t = json_at(tiers, 0); t.doc && row->n_tiers < IMPORT_TIERS; t = json_next(t)) {
		uint64_t *from = &row->tiers[row->n_tiers].min_prompt_tokens;

		if (!json_count(json_get(json_get(t, "tier"), "size"), from))
			continue;
		++*from;		/* up to the size the base price holds */
		read_rates(r, t, dev_rates, row->tiers[row->n_tiers++].price);
	}
}

static void dev_model(const struct reading *r, const char *provider, struct mg_view m, struct mg_view their)
{
	struct mg_view limit = json_get(m, "limit"), modes = json_get(m, "modalities"), other = json_get(json_get(m, "provider"), "npm");
	struct mg_view theirs = json_get(their, "npm");
	struct import_row row = { .provider = provider, .model = json_text(r->pool, json_get(m, "id")),
		.name = json_text(r->pool, json_get(m, "name")), .cutoff = json_text(r->pool, json_get(m, "knowledge")),
		.created = date_of(json_text(r->pool, json_get(m, "release_date"))), .in = goes_in(json_get(modes, "input")),
		.out = comes_out(json_get(modes, "output")), .efforts = dev_efforts(json_get(m, "reasoning_options")) };

	if (json_is(json_get(m, "status"), "deprecated")) {
		skip(r, provider, row.model, "deprecated");
		return;
	}
	if (other.doc && (json_raw(other).len != json_raw(theirs).len || memcmp(json_raw(other).at, json_raw(theirs).at, json_raw(other).len))) {
		skip(r, provider, row.model, "served in another dialect than the provider's");
		return;
	}
	json_count(json_get(limit, "context"), &row.context_length);
	json_count(json_get(limit, "output"), &row.max_output);
	row.can = (yes(m, "tool_call") ? CAN_TOOLS : 0) | (yes(m, "structured_output") ? CAN_SCHEMA : 0)
		| (yes(m, "reasoning") ? CAN_REASON : 0) | (json_kind(json_get(m, "temperature")) == MG_FALSE ? 0 : CAN_SAMPLE);
	read_rates(r, json_get(m, "cost"), dev_rates, row.price);
	dev_tiers(r, json_get(json_get(m, "cost"), "tiers"), &row);
	name_it(r, &row);
}

/* Slugs of OpenRouter are the names that everybody else's are looked up among. */
static void learn_slugs(const struct reading *r, struct mg_view models)
{
	for (struct mg_view m = json_at(models, 0); m.doc; m = json_next(m)) {
		struct mg_str id = json_text(r->pool, json_get(m, "id"));

		if (id.at && !memchr(id.at, ':', id.len))
			slugs_add(r->slugs, id);
	}
}

static void read_models_dev(const struct reading *r, struct mg_view doc)
{
	learn_slugs(r, json_get(json_get(doc, "openrouter"), "models"));
	for (struct mg_view p = json_at(doc, 0); p.doc; p = json_next(p)) {
		const char *provider = provider_of(r, "models_dev", json_name(p));

		for (struct mg_view m = json_at(json_get(p, "models"), 0); m.doc; m = json_next(m))
			if (provider)
				dev_model(r, provider, m, p);
			else
				skip(r, pool_dup(r->pool, json_name(p)).at, json_text(r->pool, json_get(m, "id")), "a provider that is not known here");
	}
}

/* ------------------------------------------------ LiteLLM */

static const struct rate_word lite_rates[] = {
	{ "input_cost_per_token", RATE_PROMPT, 6 }, { "output_cost_per_token", RATE_COMPLETION, 6 },
	{ "cache_read_input_token_cost", RATE_CACHE_READ, 6 }, { "cache_creation_input_token_cost", RATE_CACHE_WRITE, 6 },
	{ "cache_creation_input_token_cost_above_1hr", RATE_CACHE_WRITE_1H, 6 }, { "output_cost_per_reasoning_token", RATE_REASONING, 6 },
	{ "input_cost_per_audio_token", RATE_AUDIO_IN, 6 }, { "output_cost_per_audio_token", RATE_AUDIO_OUT, 6 },
	{ "output_cost_per_image", RATE_IMAGE, 0 }, { "input_cost_per_query", RATE_REQUEST, 0 },
	{ "input_cost_per_character", RATE_CHARACTER, 6 }, { "input_cost_per_second", RATE_SECOND, 0 }, { NULL, 0, 0 } };
static const struct rate_word lite_200k[] = {
	{ "input_cost_per_token_above_200k_tokens", RATE_PROMPT, 6 }, { "output_cost_per_token_above_200k_tokens", RATE_COMPLETION, 6 },
	{ "cache_read_input_token_cost_above_200k_tokens", RATE_CACHE_READ, 6 },
	{ "cache_creation_input_token_cost_above_200k_tokens", RATE_CACHE_WRITE, 6 }, { NULL, 0, 0 } };

static unsigned lite_out(struct mg_view m)
{
	static const struct { const char *mode; unsigned out; } modes[] = { { "chat", IN_TEXT }, { "completion", IN_TEXT },
		{ "responses", IN_TEXT }, { "embedding", OUT_EMBEDDINGS }, { "rerank", OUT_RERANK }, { "image_generation", IN_IMAGE },
		{ "audio_speech", OUT_SPEECH }, { "audio_transcription", OUT_TRANSCRIPTION }, { "video_generation", IN_VIDEO } };

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (json_is(json_get(m, "mode"), modes[i].mode))
			return modes[i].out | (yes(m, "supports_audio_output") ? IN_AUDIO : 0);
	return 0;
}

static void lite_model(const struct reading *r, struct mg_view m)
{
	struct mg_str theirs = json_text(r->pool, json_get(m, "litellm_provider")), key = json_name(m);
	const char *provider = theirs.at ? provider_of(r, "litellm", theirs) : NULL;
	struct import_row row = { .provider = provider, .model = pool_dup(r->pool, key), .out = lite_out(m) };

	if (mg_is(key, "sample_spec"))
		return;
	if (!provider || !row.out) {
		skip(r, theirs.at ? theirs.at : "", row.model, provider ? "a mode that is not known here" : "a provider that is not known here");
		return;
	}
	if (key.len > theirs.len && !memcmp(key.at, theirs.at, theirs.len) && key.at[theirs.len] == '/')
		row.model = pool_dup(r->pool, (struct mg_str){ key.at + theirs.len + 1, key.len - theirs.len - 1 });
	if (!json_count(json_get(m, "max_input_tokens"), &row.context_length))
		json_count(json_get(m, "max_tokens"), &row.context_length);
	json_count(json_get(m, "max_output_tokens"), &row.max_output);
	row.in = IN_TEXT | (yes(m, "supports_vision") ? IN_IMAGE : 0) | (yes(m, "supports_pdf_input") ? IN_FILE : 0)
		| (yes(m, "supports_audio_input") ? IN_AUDIO : 0) | (yes(m, "supports_video_input") ? IN_VIDEO : 0);
	row.can = CAN_SAMPLE | (yes(m, "supports_function_calling") ? CAN_TOOLS : 0) | (yes(m, "supports_response_schema") ? CAN_SCHEMA : 0)
		| (yes(m, "supports_reasoning") ? CAN_REASON : 0);
	read_rates(r, m, lite_rates, row.price);
	read_rates(r, m, lite_200k, row.tiers[0].price);
	row.tiers[0].min_prompt_tokens = 200001;
	row.n_tiers = row.tiers[0].price[RATE_PROMPT].at ? 1 : 0;
	for (int k = 0; k < RATE_COUNT; k++)
		if (row.price[k].at) {
			name_it(r, &row);
			return;
		}
	skip(r, provider, row.model, "no price");
}

/* ------------------------------------------------ OpenRouter */

static const struct rate_word or_rates[] = {
	{ "prompt", RATE_PROMPT, 6 }, { "completion", RATE_COMPLETION, 6 }, { "input_cache_read", RATE_CACHE_READ, 6 },
	{ "input_cache_write", RATE_CACHE_WRITE, 6 }, { "internal_reasoning", RATE_REASONING, 6 }, { "audio", RATE_AUDIO_IN, 6 },
	{ "request", RATE_REQUEST, 0 }, { "web_search", RATE_SEARCH, 0 }, { NULL, 0, 0 } };

static void or_model(const struct reading *r, const char *provider, struct mg_view m)
{
	static const char *const members[] = { "tools", "structured_outputs", "reasoning", "temperature", NULL };
	static const unsigned bits[] = { CAN_TOOLS, CAN_SCHEMA, CAN_REASON, CAN_SAMPLE };
	struct mg_view shape = json_get(m, "architecture"), top = json_get(m, "top_provider"), price = json_get(m, "pricing");
	uint64_t created = 0;
	struct import_row row = { .provider = provider, .model = json_text(r->pool, json_get(m, "id")),
		.name = json_text(r->pool, json_get(m, "name")), .in = goes_in(json_get(shape, "input_modalities")),
		.out = comes_out(json_get(shape, "output_modalities")),
		.can = words_in(json_get(m, "supported_parameters"), members, bits) };

	row.slug = row.model;
	row.region = pool_print(r->pool, "%s", "");
	json_count(json_get(m, "created"), &created);
	row.created = (int64_t)created;
	json_count(json_get(m, "context_length"), &row.context_length);
	json_count(json_get(top, "max_completion_tokens"), &row.max_output);
	read_rates(r, price, or_rates, row.price);
	if (!row.model.at || memchr(row.model.at, ':', row.model.len))
		skip(r, provider, row.model, "a variant of another row");
	else if (!row.price[RATE_PROMPT].at)
		skip(r, provider, row.model, "no price, or one that varies");
	else
		r->sink->row(r->sink->arg, &row);
}

/* ------------------------------------------------ */

int import_read(enum import_source from, struct pool *p, struct mg_str text, const json_t *providers, struct slugs *slugs,
	const struct import_sink *sink, struct err *err)
{
	struct reading r = { .from = from, .pool = p, .providers = providers, .slugs = slugs, .sink = sink };
	struct mg_view doc, list;
	int rc = json_parse_large(p, text, JSON_VALUES_LARGE, &doc, err);	/* models.dev has 150,000 today, and grows */

	if (rc)
		return rc;
	list = json_get(doc, "data");
	if (json_kind(doc) != MG_OBJECT || (from == IMPORT_OPENROUTER && json_kind(list) != MG_ARRAY))
		return fail(err, MG_EINVAL, from == IMPORT_OPENROUTER ? "data: must be a list of models" : "must be an object of %s",
			from == IMPORT_MODELS_DEV ? "providers" : "models");
	if (from == IMPORT_MODELS_DEV)
		read_models_dev(&r, doc);
	for (struct mg_view m = json_at(doc, 0); m.doc && from == IMPORT_LITELLM; m = json_next(m))
		lite_model(&r, m);
	for (struct mg_view m = json_at(list, 0); m.doc && from == IMPORT_OPENROUTER; m = json_next(m))
		or_model(&r, "openrouter", m);
	return MG_OK;
}
