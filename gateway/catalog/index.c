/* Name -> model: open addressing, made once, at most half full. */
#include "base/crypto.h"
#include "catalog/build.h"

struct entry { const char *name; size_t len; struct model *model; };
struct index { size_t mask; struct entry at[]; };

int index_new(struct catalog *c, size_t names)
{
	size_t size = 16;
	struct index *ix;

	while (size < names * 2 + 2)
		size *= 2;
	ix = calloc(1, sizeof(*ix) + size * sizeof(ix->at[0]));
	if (!ix)
		return MG_ENOMEM;
	ix->mask = size - 1;
	c->index = ix;
	return MG_OK;
}

/* Where the name is, or the free place where it belongs. */
static struct entry *place(struct index *ix, const char *name, size_t len)
{
	size_t i = hash64(name, len, 0) & ix->mask;

	while (ix->at[i].name && (ix->at[i].len != len || memcmp(ix->at[i].name, name, len) != 0))
		i = (i + 1) & ix->mask;
	return &ix->at[i];
}

int index_add(struct catalog *c, const char *name, struct model *m, struct model **other)
{
	struct entry *e = place(c->index, name, strlen(name));

	if (e->name) {
		*other = e->model;
		return e->model == m ? MG_OK : MG_EINVAL;
	}
	*e = (struct entry){ name, strlen(name), m };
	return MG_OK;
}

struct model *index_find(const struct catalog *c, struct mg_str name)
{
	return c->index && name.at ? place(c->index, name.at, name.len)->model : NULL;
}

void index_free(struct catalog *c)
{
	free(c->index);
	c->index = NULL;
}
