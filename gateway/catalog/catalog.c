/* The catalogue as a whole: models, their names, and who serves them. */
#include <ctype.h>
#include <stdatomic.h>
#include "base/crypto.h"
#include "catalog/wire.h"
#include "catalog/build.h"
#include "catalog/gate.h"
#include "catalog/live.h"
#include "catalog/token.h"

enum { ALIASES = 16 };	/* in a row */

char *build_text(struct build *b, const char *text)
{
	return text ? (char *)pool_dup(b->c->pool, (struct mg_str){ text, strlen(text) }).at : NULL;
}

static int blame(struct build *b, const char *slug, const char *member, const char *hint, const char *why, const char *what)
{
	char at[400];

	snprintf(at, sizeof(at), "models[\"%.300s\"]%s%s", slug, *member ? "." : "", member);
	return config_blame(b->conf, b->err, at, hint, why, what);
}

static int check_slug(struct build *b, const char *slug)
{
	if (strchr(slug, ':'))
		return blame(b, slug, "", "variants are asked for by clients; for :free set free = true on an endpoint", "a slug has no ':'%s", "");
	for (const char *p = slug; *p && strcmp(p, "/*"); p++)
		if (!isalnum((unsigned char)*p) && !strchr("-_./~", *p))
			return blame(b, slug, "", "letters, digits, - _ . / ~, or \"author/*\" for whatever is asked for below it", "'%.200s' is no slug", slug);
	if (!*slug || *slug == '/' || strlen(slug) > 200 || slug[strlen(slug) - 1] == '/' || strstr(slug, "//"))
		return blame(b, slug, "", "\"author/name\"", "'%.200s' is no slug", slug);
	return MG_OK;
}

/* ---- models */

static const char *const shown[] = { "modalities", "tokenizer", "instruct_type", "default_parameters", "reasoning", "hugging_face_id",
	"knowledge_cutoff", "expiration_date", "supported_voices", "moderated", "categories", "benchmarks" };

static int model(struct build *b, const char *slug, json_t *row)
{
	struct catalog *c = b->c;
	struct model *m = &c->models[c->n_models++];
	json_t *e, *list = json_object_get(row, "endpoints");
	size_t i;
	int rc;

	m->slug = build_text(b, slug);
	m->label = m->slug;
	m->wild = slug[strlen(slug) - 1] == '*';
	if (m->wild)
		c->wild[c->n_wild++] = m;
	m->canonical = build_text(b, text_of(row, "canonical") ? text_of(row, "canonical") : slug);
	m->name = build_text(b, text_of(row, "name") ? text_of(row, "name") : slug);
	m->description = build_text(b, text_of(row, "description") ? text_of(row, "description") : "");
	m->created = int_of(row, "created", 0);
	m->context_length = (uint64_t)int_of(row, "context_length", 0);
	m->max_output = (uint64_t)int_of(row, "max_output", 0);
	m->row = json_object();
	m->endpoints = pool_alloc(c->pool, (build_endpoints_at_most(b, list) + 1) * sizeof(*m->endpoints));
	if (!m->slug || !m->canonical || !m->name || !m->description || !m->endpoints)
		return fail(b->err, MG_ENOMEM, "no memory for the catalogue");
	for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (json_object_get(row, shown[i]))
			json_object_set(m->row, shown[i], json_object_get(row, shown[i]));
	m->mute = !model_takes(m, "output", MG_STR("text")) && !model_takes(m, "output", MG_STR("image")) && !model_takes(m, "output", MG_STR("audio"));
	json_array_foreach(list, i, e) {
		struct endpoint *at = &c->endpoints[c->n_endpoints];

		rc = build_endpoint(b, m, i, e);
		if (rc)
			return rc;
		for (struct endpoint *each = at; each < &c->endpoints[c->n_endpoints]; each++)
			m->endpoints[m->n_endpoints++] = each;
		if (at->context_length > m->context_length)
			m->context_length = at->context_length;
		if (at->max_output > m->max_output)
			m->max_output = at->max_output;
	}
	return MG_OK;
}

static int models(struct build *b)
{
	struct catalog *c = b->c;
	size_t n = 0, names = 0;
	const char *slug;
	json_t *row;
	int rc;

	json_object_foreach(b->models, slug, row) {
		rc = check_slug(b, slug);
		if (rc)
			return rc;
		if (!text_of(row, "alias_of") && !json_array_size(json_object_get(row, "endpoints")))
			return blame(b, slug, "endpoints", "{ { provider = \"...\", price = { ... } } }, or alias_of = \"another/model\"", "is required%s", "");
		if (text_of(row, "alias_of") && json_array_size(json_object_get(row, "endpoints")))
			return blame(b, slug, "alias_of", NULL, "has endpoints of its own%s", "");
		n += build_endpoints_at_most(b, json_object_get(row, "endpoints"));
		names += 2 + json_array_size(json_object_get(row, "aliases"));
	}
	c->models = calloc(json_object_size(b->models) + 1, sizeof(*c->models));
	c->endpoints = calloc(n + 1, sizeof(*c->endpoints));
	c->wild = calloc(json_object_size(b->models) + 1, sizeof(*c->wild));
	if (!c->models || !c->endpoints || !c->wild || index_new(c, names))
		return fail(b->err, MG_ENOMEM, "no memory for the catalogue");
	json_object_foreach(b->models, slug, row) {
		rc = text_of(row, "alias_of") ? MG_OK : model(b, slug, row);
		if (rc)
			return rc;
	}
	return MG_OK;
}

/* ---- names */

static int taken(struct build *b, const char *slug, const char *member, const char *name, const struct model *other)
{
	char what[260];

	snprintf(what, sizeof(what), "'%.100s' means '%.100s' already", name, other->slug);
	return blame(b, slug, member, "a name means one model", "%s", what);
}

/* alias_of chains end at a model, or they are wrong. */
static int follow(struct build *b, const char *slug, json_t *row, struct model **out)
{
	const char *to = text_of(row, "alias_of");
	char what[260], hint[160];

	for (int i = 0; i < ALIASES; i++) {
		json_t *next = json_object_get(b->models, to);

		if (!next) {
			const char *like = config_nearest(to, nth_name, b->models);

			snprintf(hint, sizeof(hint), like ? "did you mean '%s'?" : "name one of models", like);
			return blame(b, slug, "alias_of", hint, "'%.100s' is no model", to);
		}
		if (!text_of(next, "alias_of")) {
			*out = index_find(b->c, (struct mg_str){ to, strlen(to) });
			if ((*out)->wild)
				return blame(b, slug, "alias_of", "name one of those that it stands for", "'%.100s' is no single model", to);
			return MG_OK;
		}
		to = text_of(next, "alias_of");
	}
	snprintf(what, sizeof(what), "goes round in a circle by way of '%.100s'", to);
	return blame(b, slug, "alias_of", "let it end at a model that has endpoints", "%s", what);
}

static int aliases(struct build *b, const char *slug, json_t *row, struct model *m)
{
	struct model *other;
	json_t *alias;
	size_t i;

	json_array_foreach(json_object_get(row, "aliases"), i, alias) {
		char *name = build_text(b, json_string_value(alias));

		if (!name)
			return fail(b->err, MG_ENOMEM, "no memory for the catalogue");
		if (index_add(b->c, name, m, &other))
			return taken(b, slug, "aliases", name, other);
	}
	return MG_OK;
}

static int names(struct build *b)
{
	struct catalog *c = b->c;
	struct model *m, *other;
	const char *slug;
	json_t *row;
	int rc;

	for (size_t i = 0; i < c->n_models; i++)
		index_add(c, c->models[i].slug, &c->models[i], &other);
	json_object_foreach(b->models, slug, row) {
		m = index_find(c, (struct mg_str){ slug, strlen(slug) });
		if (text_of(row, "alias_of")) {
			rc = follow(b, slug, row, &m);
			if (!rc && index_add(c, build_text(b, slug), m, &other))
				rc = taken(b, slug, "alias_of", slug, other);
			if (rc)
				return rc;
		}
		rc = aliases(b, slug, row, m);
		if (rc)
			return rc;
	}
	/* Last, because a slug and an alias are meant; versions of one model may share this name. */
	for (size_t i = 0; i < c->n_models; i++)
		index_add(c, c->models[i].canonical, &c->models[i], &other);
	return MG_OK;
}

/* ---- all of it */

static int build(struct build *b)
{
	int rc = build_known(b);

	if (!rc)
		rc = build_providers(b);
	if (!rc)
		rc = models(b);
	return rc ? rc : names(b);
}

static void bounds(struct catalog *c, const struct config *conf)
{
	const json_t *limits = json_object_get(conf->tree, "limits");

	c->attempts = (unsigned)json_integer_value(json_object_get(limits, "attempts"));
	c->attempts_per_model = (unsigned)json_integer_value(json_object_get(limits, "attempts_per_model"));
	c->hedge_percent = (unsigned)json_integer_value(json_object_get(limits, "hedge_percent"));
	c->hedge_price_percent = (unsigned)json_integer_value(json_object_get(limits, "hedge_price_percent"));
}

static json_t *by_id(const struct catalog *previous)
{
	json_t *out = json_object();

	for (size_t i = 0; previous && i < previous->n_endpoints; i++)
		json_object_set_new(out, previous->endpoints[i].id, json_integer((json_int_t)i));
	return out;
}

struct catalog *catalog_new(const struct config *conf, const struct registry *plugins, const struct catalog *previous, struct err *err)
{
	static _Atomic uint64_t version;
	struct build b = { .conf = conf, .plugins = plugins, .previous = previous, .err = err };
	int rc;

	b.c = calloc(1, sizeof(*b.c));
	if (b.c)
		b.c->pool = pool_new((size_t)1 << 30);
	if (!b.c || !b.c->pool) {
		fail(err, MG_ENOMEM, "no memory for the catalogue");
		free(b.c);
		return NULL;
	}
	bounds(b.c, conf);
	b.known = config_known(conf->tree);
	b.ids = json_object();
	b.health = by_id(previous);
	rc = build(&b);
	json_decref(b.known);
	json_decref(b.ids);
	json_decref(b.health);
	json_decref(b.providers);
	json_decref(b.models);
	if (rc) {
		catalog_free(b.c);
		return NULL;
	}
	b.c->version = atomic_fetch_add(&version, 1) + 1;
	return b.c;
}

static void provider_release(struct provider *p)
{
	for (size_t i = 0; i < p->n_keyed; i++)
		provider_release(&p->keyed[i]);
	free(p->keyed);
	if (p->secret)
		wipe(p->secret, strlen(p->secret));
	free(p->secret);
	json_decref(p->row);
	json_decref(p->private_to);
	json_decref(p->only_models);
	gate_unref(p->gate);
	token_unref(p->token);
}

void catalog_free(struct catalog *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_endpoints; i++) {
		json_decref(c->endpoints[i].params);
		json_decref(c->endpoints[i].private_to);
		live_unref(c->endpoints[i].live);
	}
	for (size_t i = 0; i < c->n_models; i++)
		json_decref(c->models[i].row);
	for (size_t i = 0; i < c->n_providers; i++)
		provider_release(&c->providers[i]);
	index_free(c);
	free(c->models);
	free(c->wild);
	free(c->endpoints);
	free(c->providers);
	pool_free(c->pool);
	free(c);
}

struct model *catalog_model(const struct catalog *c, struct mg_str slug)
{
	struct model *m = index_find(c, slug);

	if (!m && slug.len && slug.at[0] == '~')
		return latest_find(c, slug);
	return m && m->wild ? NULL : m;
}

struct provider *catalog_provider(const struct catalog *c, struct mg_str slug)
{
	for (size_t i = 0; i < c->n_providers; i++)
		if (mg_is(slug, c->providers[i].slug))
			return &c->providers[i];
	return NULL;
}
