/* Endpoints: one model at one provider, and the row that its plugin reads. */
#include "catalog/build.h"
#include "catalog/live.h"

static int no_memory(struct build *b)
{
	return fail(b->err, MG_ENOMEM, "no memory for the catalogue");
}

static char *printed(struct build *b, struct mg_str s)
{
	(void)b;
	return (char *)s.at;
}

/* "provider/region/tier", without what is not said. */
static char *tag(struct build *b, const struct endpoint *e, const json_t *row)
{
	const char *said = text_of(row, "tag");
	bool tier = strcmp(e->tier, "default") != 0;

	if (said)
		return build_text(b, said);
	return printed(b, pool_print(b->c->pool, "%s%s%s%s%s", e->provider->slug, *e->region ? "/" : "", e->region,
		tier ? "/" : "", tier ? e->tier : ""));
}

static char *unique_id(struct build *b, const struct endpoint *e)
{
	struct mg_str id = pool_print(b->c->pool, "%s@%s", e->model->slug, e->tag);

	for (unsigned n = 2; id.at && json_object_get(b->ids, id.at); n++)
		id = pool_print(b->c->pool, "%s@%s#%u", e->model->slug, e->tag, n);
	if (id.at)
		json_object_set_new(b->ids, id.at, json_true());
	return (char *)id.at;
}

static int plugin_row(struct build *b, struct endpoint *e, const json_t *row)
{
	json_t *quirks = laid_over(json_object_get(e->provider->row, "quirks"), json_object_get(row, "quirks"));
	json_t *options = laid_over(json_object_get(e->provider->row, "options"), json_object_get(row, "options"));
	json_t *headers = json_object_get(e->provider->row, "headers");
	json_t *out = json_pack("{s:s, s:s, s:o, s:o, s:O*}", "model", e->upstream_model, "provider", e->provider->slug,
		"quirks", quirks, "options", options, "headers", headers);
	struct err why = { 0, "" };
	struct mg_str text;
	char *dump;

	if (e->max_output)
		json_object_set_new(out, "max_output", json_integer((json_int_t)e->max_output));
	if (e->context_length)
		json_object_set_new(out, "context_length", json_integer((json_int_t)e->context_length));
	dump = json_dumps(out, JSON_COMPACT | JSON_SORT_KEYS);	/* a Lua table has no order */
	json_decref(out);
	text = pool_dup(b->c->pool, (struct mg_str){ dump, dump ? strlen(dump) : 0 });
	free(dump);
	if (!text.at)
		return no_memory(b);
	if (json_parse(b->c->pool, text, &e->row, &why))
		return fail(b->err, MG_EINVAL, "%s: quirks or options: %s", e->id, why.msg);
	return MG_OK;
}

/* Health is the endpoint's over reloads; who is new starts without a history. */
static struct live *health(struct build *b, const char *id)
{
	json_t *at = json_object_get(b->health, id);

	return at ? live_ref(b->previous->endpoints[json_integer_value(at)].live) : live_new();
}

static struct provider *served_by(struct build *b, const json_t *row, const char *place)
{
	const char *slug = text_of(row, "provider"), *like = config_nearest(slug, nth_name, b->providers);
	struct provider *p = catalog_provider(b->c, (struct mg_str){ slug, strlen(slug) });
	char at[560], hint[160];

	if (p)
		return p;
	snprintf(at, sizeof(at), "%s.provider", place);
	snprintf(hint, sizeof(hint), like ? "did you mean '%s'?" : "add it: providers = { %.60s = { ... } }", like ? like : slug);
	config_blame(b->conf, b->err, at, hint, "'%.60s' is not among the providers", slug);
	return NULL;
}

static const char *last_part(const char *slug)
{
	const char *slash = strrchr(slug, '/');

	return slash ? slash + 1 : slug;
}

static const char *or(const char *a, const char *b)
{
	return a ? a : b;
}

/* ---- at accounts of customers */

size_t build_endpoints_at_most(const struct build *b, const json_t *list)
{
	size_t i, n = 0;
	json_t *row;

	json_array_foreach(list, i, row) {
		const char *slug = text_of(row, "provider");
		const struct provider *p = slug ? catalog_provider(b->c, (struct mg_str){ slug, strlen(slug) }) : NULL;

		n += 1 + (p ? p->n_keyed : 0);
	}
	return n;
}

/* "openai/gpt-5", or what stands before a star. */
static bool is_for(const struct provider *keyed, const char *slug)
{
	json_t *v;
	size_t i;

	if (!keyed->only_models)
		return true;
	json_array_foreach(keyed->only_models, i, v) {
		const char *want = json_string_value(v), *star = strchr(want, '*');

		if (star ? !strncmp(want, slug, (size_t)(star - want)) : !strcmp(want, slug))
			return true;
	}
	return false;
}

bool list_has(const json_t *list, const char *word)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (!strcmp(json_string_value(v), word))
			return true;
	return false;
}

/* Who may use a private endpoint and the account, too; NULL: everybody. */
static json_t *both(json_t *a, json_t *b)
{
	json_t *out, *v;
	size_t i;

	if (!a || !b)
		return json_incref(a ? a : b);
	out = json_array();
	json_array_foreach(a, i, v)
		if (list_has(b, json_string_value(v)))
			json_array_append(out, v);
	return out;
}

static int own_copy(struct build *b, const struct endpoint *shared, struct provider *keyed, const json_t *row)
{
	struct catalog *c = b->c;
	struct endpoint *e = &c->endpoints[c->n_endpoints];
	json_t *nobody = shared->private && !shared->private_to ? json_array() : NULL;

	*e = *shared;
	e->index = c->n_endpoints;
	e->provider = keyed;
	e->private = true;
	e->params = json_incref(shared->params);
	e->private_to = nobody ? nobody : both(shared->private_to, keyed->private_to);
	e->id = (char *)pool_print(c->pool, "%s#byok%u", shared->id, keyed->own.seq).at;
	e->live = e->id ? health(b, e->id) : NULL;
	c->n_endpoints++;
	return e->live ? plugin_row(b, e, row) : no_memory(b);
}

static int own_copies(struct build *b, const struct endpoint *shared, const json_t *row)
{
	struct provider *p = shared->provider;
	int rc = MG_OK;

	for (size_t i = 0; !rc && i < p->n_keyed; i++)
		if (is_for(&p->keyed[i], shared->model->slug))
			rc = own_copy(b, shared, &p->keyed[i], row);
	return rc;
}

int build_endpoint(struct build *b, struct model *m, size_t n, const json_t *row)
{
	struct catalog *c = b->c;
	struct endpoint *e = &c->endpoints[c->n_endpoints];
	char place[480], price[500];
	int rc;

	snprintf(place, sizeof(place), "models[\"%.300s\"].endpoints[%zu]", m->slug, n + 1);
	e->model = m;
	e->index = c->n_endpoints;
	e->provider = served_by(b, row, place);
	if (!e->provider)
		return MG_EINVAL;
	e->upstream_model = build_text(b, or(text_of(row, "model"), last_part(m->slug)));
	e->tier = build_text(b, or(text_of(row, "tier"), "default"));
	e->region = build_text(b, or(text_of(row, "region"), or(text_of(json_object_get(b->providers, e->provider->slug), "region"), "")));
	e->quantization = build_text(b, or(text_of(row, "quantization"), "unknown"));
	if (!e->upstream_model || !e->tier || !e->region || !e->quantization || !(e->tag = tag(b, e, row)) || !(e->id = unique_id(b, e)))
		return no_memory(b);
	e->context_length = (uint64_t)int_of(row, "context_length", (int64_t)m->context_length);
	e->max_output = (uint64_t)int_of(row, "max_output", (int64_t)m->max_output);
	e->params = json_incref(json_object_get(row, "params"));
	e->free = json_is_true(json_object_get(row, "free"));
	e->private_to = json_incref(json_object_get(row, "private_to"));
	e->private = e->private_to || json_is_true(json_object_get(row, "private"));
	e->distillable = json_is_true(json_object_get(row, "distillable"));
	e->live = health(b, e->id);
	c->n_endpoints++;	/* from here on catalog_free() owns what is in it */
	snprintf(price, sizeof(price), "%s.price", place);
	rc = build_rates(b, e, json_object_get(row, "price"), price);
	if (!rc && !e->live)
		rc = no_memory(b);
	if (!rc)
		rc = plugin_row(b, e, row);
	return rc ? rc : own_copies(b, e, row);
}
