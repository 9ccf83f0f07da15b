/*
 * tenants.h - what the keys of a workspace spend together.
 *
 * One scope for each workspace that has a key in use, without a limit, for as long as the process.
 * That of keys in none, "", has only what own accounts took.
 */
#ifndef ACCOUNT_TENANTS_H
#define ACCOUNT_TENANTS_H

#include <pthread.h>
#include "account/account.h"

struct tenants { pthread_mutex_t lock; void *tree; };

void tenants_init(struct tenants *t);
void tenants_release(struct tenants *t);
struct scope *tenants_find(struct tenants *t, const char *workspace);	/* NULL: no memory */
/* At the start, before there are readers: what one of its keys has spent; then all of it is loaded, as of wall_ms. */
bool tenants_add(struct tenants *t, const char *workspace, const struct spending *charge, const struct spending *own);	/* false: no memory */
void tenants_load(struct tenants *t, int64_t wall_ms);

#endif
