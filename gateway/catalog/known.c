/* What is known of providers without being configured, laid under what is. */
#include "catalog/build.h"

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

	json_object_del(row, "models");
	json_object_del(row, "env");
	if (here && home && strcmp(here, home) != 0)
		json_object_del(row, "data");
	else if (data && !json_object_get(data, "known"))
		json_object_set_new(data, "known", json_true());
	return row;
}

static void add_provider(struct build *b, const char *slug, json_t *said)
{
	json_t *known = json_object_get(b->known, slug), *base = known ? under(known, said) : NULL, *row = laid_over(base, said);
	json_t *data = json_object_get(row, "data"), *said_data = json_object_get(said, "data");

	/* An agreement on zero retention overrules what is known in general. */
	if (json_is_true(json_object_get(said_data, "zdr")) && !json_object_get(said_data, "retains")) {
		json_object_set_new(data, "retains", json_false());
		json_object_set_new(data, "retention_days", json_integer(0));
	}
	/* Who states facts stands for them. */
	if (said_data && !json_object_get(said_data, "known"))
		json_object_set_new(data, "known", json_true());
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
	static const char *const same[] = { "model", "context_length", "max_output", "params", "quirks", "options" };
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

static void add_known_model(struct build *b, const char *slug, json_t *m)
{
	static const char *const same[] = { "name", "description", "created", "context_length", "max_output", "modalities", "tokenizer",
		"reasoning", "knowledge_cutoff", "hugging_face_id", "default_parameters" };
	const char *id = text_of(m, "id");
	json_t *row = id ? json_object_get(b->models, id) : NULL;

	if (!id || (row && json_object_get(row, "alias_of")))
		return;
	if (!row) {
		row = json_object();
		json_object_set_new(b->models, id, row);
	}
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (!json_object_get(row, same[i]) && json_object_get(m, same[i]))
			json_object_set(row, same[i], json_object_get(m, same[i]));
	if (!json_object_get(row, "endpoints"))
		json_object_set_new(row, "endpoints", json_array());
	json_array_append_new(json_object_get(row, "endpoints"), known_endpoint(slug, m));
}

int build_known(struct build *b)
{
	json_t *said = json_object_get(b->conf->tree, "models"), *row, *m;
	const char *slug;
	size_t i;

	b->providers = json_object();
	b->models = json_deep_copy(said);
	if (!b->models || !b->providers)
		return fail(b->err, MG_ENOMEM, "no memory for the catalogue");
	json_object_foreach(json_object_get(b->conf->tree, "providers"), slug, row) {
		json_t *wanted = json_object_get(row, "models");

		add_provider(b, slug, row);
		if (wanted ? !json_is_true(wanted) : mentioned(said, slug))
			continue;
		json_array_foreach(json_object_get(json_object_get(b->known, slug), "models"), i, m)
			add_known_model(b, slug, m);
	}
	return MG_OK;
}
