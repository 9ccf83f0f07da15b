/* What is known of providers without being configured, laid under what is. */
#include <time.h>
#include "catalog/build.h"
#include "catalog/shelf.h"

const char *text_of(const json_t *row, const char *member)
{
	return json_string_value(json_object_get(row, member));
}

int64_t int_of(const json_t *row, const char *member, int64_t otherwise)
{
	json_t *v = json_object_get(row, member);

	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

const char *nth_name(const void *object, size_t i)
{
	void *at = json_object_iter((json_t *)object);

	while (at && i--)
		at = json_object_iter_next((json_t *)object, at);
	return at ? json_object_iter_key(at) : NULL;
}

json_t *laid_over(json_t *under, json_t *over)
{
	json_t *out = under ? json_deep_copy(under) : json_object(), *item, *mine;
	const char *name;

	json_object_foreach(over, name, item) {
		mine = json_object_get(out, name);
		if (json_is_object(mine) && json_is_object(item))
			json_object_set_new(out, name, laid_over(mine, item));
		else
			json_object_set(out, name, item);
	}
	return out;
}

/* What is known of a provider holds for its own servers: elsewhere prompts go somewhere else. */
static json_t *under(json_t *known, json_t *said)
{
	const char *home = text_of(known, "base_url"), *here = text_of(said, "base_url");
	json_t *row = json_deep_copy(known), *data = json_object_get(row, "data");

	json_object_del(row, "env");
	if (here && home && strcmp(here, home) != 0)
		json_object_del(row, "data");
	else if (data && !json_object_get(data, "known"))
		json_object_set_new(data, "known", json_true());
	return row;
}

void build_data_facts(json_t *row, const json_t *said)
{
	json_t *data = json_object_get(row, "data"), *said_data = json_object_get(said, "data");

	/* An agreement on zero retention overrules what is known in general. */
	if (json_is_true(json_object_get(said_data, "zdr")) && !json_object_get(said_data, "retains")) {
		json_object_set_new(data, "retains", json_false());
		json_object_set_new(data, "retention_days", json_integer(0));
	}
	/* Who states facts stands for them. */
	if (said_data && !json_object_get(said_data, "known"))
		json_object_set_new(data, "known", json_true());
}

static void add_provider(struct build *b, const char *slug, json_t *said)
{
	json_t *known = json_object_get(b->known, slug), *base = known ? under(known, said) : NULL, *row = laid_over(base, said);

	build_data_facts(row, said);
	json_object_set_new(b->providers, slug, row);
	json_decref(base);
}

static bool mentioned(json_t *models, const char *slug)
{
	const char *name;
	json_t *model, *e;
	size_t i;

	json_object_foreach(models, name, model)
		json_array_foreach(json_object_get(model, "endpoints"), i, e)
			if (text_of(e, "provider") && !strcmp(text_of(e, "provider"), slug))
				return true;
	return false;
}

static json_t *known_endpoint(const char *slug, const json_t *m)
{
	static const char *const same[] = { "model", "context_length", "max_output", "params", "quirks", "options", "region" };
	json_t *e = json_pack("{s:s, s:s, s:s}", "provider", slug, "quantization", "unknown", "tier", "default");
	json_t *price = json_object_get(m, "price"), *tiers = json_object_get(m, "tiers");

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (json_object_get(m, same[i]))
			json_object_set(e, same[i], json_object_get(m, same[i]));
	if (price) {
		price = json_copy(price);
		if (tiers)
			json_object_set(price, "overrides", tiers);
		json_object_set_new(e, "price", price);
	}
	return e;
}

/* The request members that stand behind what a model can; the rest is said by every model. */
static const struct { const char *can, *members[20]; } abilities[] = {
	{ NULL, { "max_tokens", "max_completion_tokens", "stop", "seed", "user", "metadata", "modalities", "audio", "image_config", "prediction",
		"prompt_cache_key", "prompt_cache_options", "cache_control", "service_tier", "web_search_options", "x_search_filter" } },
	{ "sampling", { "temperature", "top_p", "top_k", "min_p", "top_a", "frequency_penalty", "presence_penalty", "repetition_penalty",
		"logit_bias", "logprobs", "top_logprobs" } },
	{ "tools", { "tools", "tool_choice", "parallel_tool_calls" } },
	{ "structured_outputs", { "response_format", "structured_outputs" } },
	{ "reasoning", { "reasoning", "include_reasoning", "reasoning_effort", "verbosity" } },
};

static bool listed(json_t *list, const char *word)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (json_string_value(v) && !strcmp(json_string_value(v), word))
			return true;
	return false;
}

/* A row of a file in the shape of a known model: params from what it can, and today's price. */
static void complete(json_t *row, const char *today)
{
	json_t *can = json_object_get(row, "can"), *efforts = json_object_get(row, "efforts"), *params, *price;

	if (can && !json_object_get(row, "params")) {
		params = json_array();
		for (size_t i = 0; i < sizeof(abilities) / sizeof(abilities[0]); i++)
			for (size_t k = 0; abilities[i].members[k] && (!abilities[i].can || listed(can, abilities[i].can)); k++)
				json_array_append_new(params, json_string(abilities[i].members[k]));
		json_object_set_new(row, "params", params);
	}
	if (efforts && !json_object_get(row, "reasoning"))
		json_object_set_new(row, "reasoning", json_pack("{s:O}", "supported_efforts", efforts));
	price = json_object_get(row, "price");
	if (!json_is_array(price))
		return;
	price = json_incref(shelf_price(row, today));
	json_object_del(row, "price");
	json_object_del(price, "since");
	json_object_del(price, "source");
	if (price)
		json_object_set_new(row, "price", price);
}

/* When the next price that waits for its day begins to hold. */
static void note_change(struct catalog *c, const json_t *row, const char *today)
{
	json_t *list = json_object_get(row, "price"), *price;
	size_t i;

	json_array_foreach(list, i, price) {
		const char *since = text_of(price, "since");
		struct tm day = { .tm_mday = 1 };
		int64_t at;

		if (!since || strcmp(since, today) <= 0 || sscanf(since, "%4d-%2d-%2d", &day.tm_year, &day.tm_mon, &day.tm_mday) != 3)
			continue;
		day.tm_year -= 1900;
		day.tm_mon--;
		at = (int64_t)timegm(&day) * 1000;
		if (!c->changes_ms || at < c->changes_ms)
			c->changes_ms = at;
	}
}

/* The models that are known of a provider: a new reference; NULL: none. */
static json_t *models_of(struct build *b, const char *slug)
{
	json_t *rows, *row;
	time_t now = time(NULL);
	char file[160], path[1200], today[16];
	struct tm utc;
	size_t i;

	snprintf(file, sizeof(file), "models/%.120s.jsonl", slug);
	if (!config_catalog(b->conf->tree, file, path, sizeof(path)))
		return NULL;
	if (shelf_read(path, &rows, b->err) != MG_OK)
		return NULL;
	strftime(today, sizeof(today), "%Y-%m-%d", gmtime_r(&now, &utc));
	json_array_foreach(rows, i, row) {
		note_change(b->c, row, today);
		complete(row, today);
	}
	return rows;
}

/* What the configuration says of this endpoint lies over what is known of it. */
static bool fill_in(json_t *row, const char *id, const char *slug, json_t *known)
{
	const char *last = strrchr(id, '/') ? strrchr(id, '/') + 1 : id;
	json_t *e, *list = json_object_get(row, "endpoints");
	bool found = false;
	size_t i;

	json_array_foreach(list, i, e) {
		const char *provider = text_of(e, "provider"), *model = text_of(e, "model"), *region = text_of(e, "region");
		const char *here = text_of(known, "region");

		if (!provider || strcmp(provider, slug) || strcmp(model ? model : last, text_of(known, "model"))
			|| strcmp(region ? region : "", here ? here : ""))
			continue;
		json_array_set_new(list, i, laid_over(known, e));
		found = true;
	}
	return found;
}

/* whole: the model is offered though the configuration does not name it. */
static void add_known_model(struct build *b, const char *slug, json_t *m, bool whole)
{
	static const char *const same[] = { "name", "description", "created", "context_length", "max_output", "modalities", "tokenizer",
		"reasoning", "knowledge_cutoff", "hugging_face_id", "default_parameters" };
	const char *id = text_of(m, "id");
	json_t *row = id ? json_object_get(b->models, id) : NULL, *e;

	if (!id || (!row && !whole) || (row && json_object_get(row, "alias_of")))
		return;
	e = known_endpoint(slug, m);
	if (!row) {
		row = json_object();
		json_object_set_new(b->models, id, row);
	}
	if (!fill_in(row, id, slug, e) && whole) {
		if (!json_object_get(row, "endpoints"))
			json_object_set_new(row, "endpoints", json_array());
		json_array_append(json_object_get(row, "endpoints"), e);
	}
	json_decref(e);
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (!json_object_get(row, same[i]) && json_object_get(m, same[i]))
			json_object_set(row, same[i], json_object_get(m, same[i]));
}

static void drop_hidden(json_t *models)
{
	const char *slug;
	json_t *row;
	void *next;

	json_object_foreach_safe(models, next, slug, row)
		if (json_is_true(json_object_get(row, "hidden")))
			json_object_del(models, slug);
}

int build_known(struct build *b)
{
	json_t *said = json_object_get(b->conf->tree, "models"), *row, *m, *all;
	const char *slug;
	size_t i;

	b->providers = json_object();
	b->models = json_deep_copy(said);
	if (!b->models || !b->providers)
		return fail(b->err, MG_ENOMEM, "no memory for the catalogue");
	json_object_foreach(json_object_get(b->conf->tree, "providers"), slug, row) {
		json_t *wanted = json_object_get(row, "models");
		bool named = mentioned(said, slug), whole = wanted ? json_is_true(wanted) : !named;

		add_provider(b, slug, row);
		if (!whole && !named)
			continue;
		all = models_of(b, slug);
		if (!all && b->err->rc)
			return b->err->rc;
		json_array_foreach(all, i, m)
			add_known_model(b, slug, m, whole);
		json_decref(all);
	}
	drop_hidden(b->models);
	return MG_OK;
}
