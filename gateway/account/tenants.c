#include "account/tenants.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

struct tenant { struct scope *scope; struct spending charge, own; };	/* at the start */

void tenants_init(struct tenants *t)
{
	*t = (struct tenants){ .tree = NULL };
	pthread_mutex_init(&t->lock, NULL);
}

static void drop(void *at)
{
	struct tenant *one = at;

	scope_free(one->scope);
	free(one);
}

void tenants_release(struct tenants *t)
{
	tdestroy(t->tree, drop);
	pthread_mutex_destroy(&t->lock);
}

static int is_named(const void *name, const void *at)
{
	return strcmp(name, scope_id(((const struct tenant *)at)->scope));
}

static int by_name(const void *a, const void *b)
{
	return is_named(scope_id(((const struct tenant *)a)->scope), b);
}

static struct tenant *find(struct tenants *t, const char *workspace)
{
	void *const *at = tfind(workspace, &t->tree, is_named);
	struct tenant *one = at ? *at : calloc(1, sizeof(*one));

	if (at || !one)
		return one;
	one->scope = scope_new("workspace", workspace);
	if (one->scope && tsearch(one, &t->tree, by_name))
		return one;
	drop(one);
	return NULL;
}

struct scope *tenants_find(struct tenants *t, const char *workspace)
{
	struct tenant *one;

	pthread_mutex_lock(&t->lock);
	one = find(t, workspace);
	pthread_mutex_unlock(&t->lock);
	return one ? one->scope : NULL;
}

static void add(struct spending *to, const struct spending *s)
{
	to->total += s->total;
	to->daily += s->daily;
	to->weekly += s->weekly;
	to->monthly += s->monthly;
}

bool tenants_add(struct tenants *t, const char *workspace, const struct spending *charge, const struct spending *own)
{
	struct tenant *one = find(t, workspace);

	if (!one)
		return false;
	add(&one->charge, charge);
	add(&one->own, own);
	return true;
}

static void load(const void *at, VISIT turn, void *wall_ms)
{
	const struct tenant *one = *(const struct tenant *const *)at;

	if (turn == postorder || turn == leaf)
		scope_load(one->scope, &one->charge, &one->own, *(const int64_t *)wall_ms);
}

void tenants_load(struct tenants *t, int64_t wall_ms)
{
	twalk_r(t->tree, load, &wall_ms);
}
