/*
 * latest.c - "~anthropic/claude-opus-latest": the newest model of a family that clients may see.
 *
 * Of the family is who has its words in their order, and beside them versions alone: claude-opus-4.5 and
 * claude-4.1-opus, not claude-opus-4-fast.  A model that somebody named so is found before this is asked.
 */
#include <ctype.h>
#include "catalog/build.h"

#define LAST "-latest"

static struct mg_str next_word(const char **at, const char *end)
{
	const char *from = *at, *dash = memchr(from, '-', (size_t)(end - from));

	*at = dash ? dash + 1 : end;
	return (struct mg_str){ from, (size_t)((dash ? dash : end) - from) };
}

/* "4.5", "20260101", "v3", "preview" */
static bool is_version(struct mg_str w)
{
	size_t i = w.len > 1 && w.at[0] == 'v';

	return (i < w.len && isdigit((unsigned char)w.at[i])) || mg_is(w, "preview");
}

static bool is_of(const char *name, struct mg_str family)
{
	const char *end = name + strlen(name), *wanted = family.at, *last = family.at + family.len;
	struct mg_str want = next_word(&wanted, last);
	bool all = false;

	while (name < end) {
		struct mg_str w = next_word(&name, end);

		if (!all && w.len == want.len && !memcmp(w.at, want.at, w.len)) {
			all = wanted == last;
			want = next_word(&wanted, last);
		} else if (!is_version(w)) {
			return false;
		}
	}
	return all;
}

static bool visible(const struct model *m)
{
	for (size_t i = 0; i < m->n_endpoints; i++)
		if (!m->endpoints[i]->private)
			return true;
	return false;
}

struct model *latest_find(const struct catalog *c, struct mg_str name)
{
	size_t last = sizeof(LAST) - 1;
	const char *slash = name.len ? memchr(name.at, '/', name.len) : NULL;
	struct mg_str author, family;
	struct model *best = NULL;

	if (!slash || name.at[0] != '~' || name.len <= last || memcmp(name.at + name.len - last, LAST, last)
		|| slash + 1 >= name.at + name.len - last)
		return NULL;
	author = (struct mg_str){ name.at + 1, (size_t)(slash - name.at) };	/* with the slash */
	family = (struct mg_str){ slash + 1, (size_t)(name.at + name.len - last - slash - 1) };
	for (size_t i = 0; i < c->n_models; i++) {
		struct model *m = &c->models[i];

		if (!m->wild && !strncmp(m->slug, author.at, author.len) && (!best || m->created > best->created)
			&& is_of(m->slug + author.len, family) && visible(m))
			best = m;
	}
	return best;
}
