#include "account/tenants.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

struct tenant { struct scope *scope; struct key_usage at_start; };

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

bool tenants_add(struct tenants *t, const char *workspace, const struct key_usage *u)
{
	struct tenant *one = find(t, workspace);

	if (!one)
		return false;
	one->at_start.total += u->total;
	one->at_start.daily += u->daily;
	one->at_start.weekly += u->weekly;
	one->at_start.monthly += u->monthly;
	return true;
}

static void load(const void *at, VISIT turn, void *wall_ms)
{
	const struct tenant *one = *(const struct tenant *const *)at;
	const struct key_usage *u = &one->at_start;

	if (turn == postorder || turn == leaf)
		scope_load(one->scope, u->total, u->daily, u->weekly, u->monthly, *(const int64_t *)wall_ms);
}

void tenants_load(struct tenants *t, int64_t wall_ms)
{
	twalk_r(t->tree, load, &wall_ms);
}
