#include <search.h>
#include <stdlib.h>
#include <string.h>
#include "replay/purses.h"

struct purses { void *tree; };

struct purses *purses_new(void)
{
	return calloc(1, sizeof(struct purses));
}

static void free_scope(void *at)
{
	scope_free(at);
}

void purses_free(struct purses *p)
{
	if (p)
		tdestroy(p->tree, free_scope);
	free(p);
}

static int is_scope(const void *key, const void *at)
{
	return strcmp(key, scope_id(at));
}

static int by_id(const void *a, const void *b)
{
	return strcmp(scope_id(a), scope_id(b));
}

struct scope *purses_find(struct purses *p, const char *key)
{
	void *const *at = tfind(key, &p->tree, is_scope);
	struct scope *s = at ? *at : scope_new(*key ? "key" : "balance", key);

	if (at || !s)
		return s;
	if (tsearch(s, &p->tree, by_id))
		return s;
	scope_free(s);
	return NULL;
}

void purses_spend(struct purses *p, const char *key, struct amount a, int64_t at_ms)
{
	struct scope *own = purses_find(p, key), *all = purses_find(p, "");

	if (own)
		scope_post(own, a, at_ms);
	if (all && own != all)
		scope_post(all, a, at_ms);
}
