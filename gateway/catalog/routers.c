/* A policy's model as a row of the list: what those can that may answer for it. */
#include "catalog/wire.h"

/* What a side of its modalities has, and `all` has not yet; text where it does not say. */
static void add_side(json_t *all, const struct model *m, const char *side)
{
	json_t *list = json_object_get(json_object_get(m->row, "modalities"), side), *v;
	size_t i;

	if (!json_array_size(list) && !list_has(all, "text"))
		json_array_append_new(all, json_string("text"));
	json_array_foreach(list, i, v)
		if (!list_has(all, json_string_value(v)))
			json_array_append(all, v);
}

/* Its endpoints that are asked where nobody says :free. */
static void add_endpoints(struct model *r, const struct model *m)
{
	for (size_t i = 0; i < m->n_endpoints; i++)
		if (!m->endpoints[i]->private && !m->endpoints[i]->free)
			r->endpoints[r->n_endpoints++] = m->endpoints[i];
}

/* The models of `row` that are there, each once, with their endpoints; false: no memory. */
static bool gather(struct model *r, struct pool *pool, const struct catalog *c, const json_t *row)
{
	json_t *names = json_object_get(row, "models"), *name, *in = json_array(), *out = json_array();
	size_t most = 0, i;

	json_array_foreach(names, i, name) {
		const struct model *m = catalog_model(c, (struct mg_str){ json_string_value(name), json_string_length(name) });

		most += m ? m->n_endpoints : 0;
	}
	r->row = json_pack("{s:s, s:{s:o, s:o}}", "tokenizer", "Router", "modalities", "input", in, "output", out);
	r->endpoints = pool_alloc(pool, (most + 1) * sizeof(*r->endpoints));
	if (!r->row || !r->endpoints)
		return false;
	json_array_foreach(names, i, name) {
		const struct model *m = catalog_model(c, (struct mg_str){ json_string_value(name), json_string_length(name) });

		if (!m || !model_front(m, false))
			continue;
		add_endpoints(r, m);
		add_side(in, m, "input");
		add_side(out, m, "output");
		r->context_length = m->context_length > r->context_length ? m->context_length : r->context_length;
	}
	return true;
}

static char *text_of(const json_t *row, const char *name)
{
	return (char *)(uintptr_t)json_string_value(json_object_get(row, name));
}

void routers_add(struct routers *r, struct pool *pool, const struct catalog *c, const json_t *row)
{
	struct model *m = &r->at[r->n];
	char *slug = text_of(row, "slug");

	if (r->n == ROUTERS_SHOWN || catalog_model(c, (struct mg_str){ slug, strlen(slug) }))
		return;
	*m = (struct model){ .slug = slug, .canonical = slug, .name = text_of(row, "name"), .description = text_of(row, "description"), .router = true };
	if (gather(m, pool, c, row) && m->n_endpoints)
		r->n++;
	else
		json_decref(m->row);
}

void routers_release(struct routers *r)
{
	while (r->n)
		json_decref(r->at[--r->n].row);
}
