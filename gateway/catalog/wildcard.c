/*
 * Wildcards: a model whose slug is vllm/ and a star stands for every name below vllm/ that the
 * catalogue does not know.  Who asks for one gets a model of that name, made for
 * the request alone, whose endpoints forward the rest of the name.
 */
#include <ctype.h>
#include "catalog/build.h"

enum { NAME_MAX_BYTES = 200 };

/* An upstream's own name: tags behind a colon are part of it. */
static bool good_name(struct mg_str s)
{
	if (!s.len || s.len > NAME_MAX_BYTES || s.at[0] == '/' || s.at[s.len - 1] == '/')
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char next = i + 1 < s.len ? s.at[i + 1] : 0;

		if (!isalnum((unsigned char)s.at[i]) && !memchr("-_./~:@+", s.at[i], 8))
			return false;
		if ((s.at[i] == '/' || s.at[i] == '.') && next == s.at[i])
			return false;
	}
	return true;
}

const struct model *catalog_wildcard(const struct catalog *c, struct mg_str slug)
{
	const struct model *best = NULL;
	size_t longest = 0;

	for (size_t i = 0; slug.at && i < c->n_wild; i++) {
		const char *pattern = c->wild[i]->slug;
		size_t len = strlen(pattern) - 1;	/* without the star */

		if (slug.len > len && len > longest && !memcmp(slug.at, pattern, len)) {
			best = c->wild[i];
			longest = len;
		}
	}
	return best && good_name((struct mg_str){ slug.at + longest, slug.len - longest }) ? best : NULL;
}

/* The pattern's star is the rest of the name. */
static char *forwarded(const char *pattern, const char *rest, struct pool *pool)
{
	const char *star = strchr(pattern, '*');

	if (!star)
		return (char *)pool_dup(pool, (struct mg_str){ pattern, strlen(pattern) }).at;
	return (char *)pool_print(pool, "%.*s%s%s", (int)(star - pattern), pattern, rest, star + 1).at;
}

static int row_for(const struct endpoint *wild, const char *upstream_model, struct pool *pool, struct mg_view *row)
{
	struct json_edit model = { "model", pool_print(pool, "\"%s\"", upstream_model) };	/* nothing to escape in it */
	struct buf text;
	struct mg_str copy;

	buf_init(&text, SIZE_MAX);
	json_splice(wild->row, &model, 1, &text);
	copy = text.failed ? (struct mg_str){ 0 } : pool_dup(pool, buf_view(&text));
	buf_release(&text);
	return copy.at && model.value.at ? json_parse(pool, copy, row, NULL) : MG_ENOMEM;
}

static struct endpoint *endpoint_for(const struct endpoint *wild, struct model *m, const char *rest, struct pool *pool)
{
	struct endpoint *e = pool_alloc(pool, sizeof(*e));

	if (!e)
		return NULL;
	*e = *wild;
	e->model = m;
	e->index = SIZE_MAX;		/* not in the catalogue's list */
	e->id = (char *)pool_print(pool, "%s%s", m->slug, wild->id + strlen(wild->model->slug)).at;
	e->upstream_model = forwarded(wild->upstream_model, rest, pool);
	if (!e->id || !e->upstream_model || row_for(wild, e->upstream_model, pool, &e->row) != MG_OK)
		return NULL;
	return e;
}

struct model *catalog_find(const struct catalog *c, struct mg_str slug, struct pool *pool)
{
	struct model *m = catalog_model(c, slug);
	const struct model *wild = m ? NULL : catalog_wildcard(c, slug);

	if (!wild)
		return m;
	m = pool_alloc(pool, sizeof(*m));
	if (!m)
		return NULL;
	*m = *wild;
	m->wild = false;
	m->slug = m->canonical = m->name = (char *)pool_dup(pool, slug).at;
	m->endpoints = pool_alloc(pool, wild->n_endpoints * sizeof(*m->endpoints));
	if (!m->slug || !m->endpoints)
		return NULL;
	for (size_t i = 0; i < wild->n_endpoints; i++) {
		m->endpoints[i] = endpoint_for(wild->endpoints[i], m, m->slug + strlen(wild->slug) - 1, pool);
		if (!m->endpoints[i])
			return NULL;
	}
	return m;
}
