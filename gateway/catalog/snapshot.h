/*
 * snapshot.h - configuration and catalogue of one moment, immutable.
 *
 * One is current; each worker owns one reference to the one it last saw, and
 * counts its requests' pins on a counter of its own, so that nothing shared is
 * touched on a request's path.  The last reference frees it, on the thread
 * that calls snapshots_reap().
 */
#ifndef CATALOG_SNAPSHOT_H
#define CATALOG_SNAPSHOT_H

#include "catalog/catalog.h"

enum { WORKERS_MAX = 64 };

struct snapshot { struct config conf; struct catalog *catalog; uint64_t epoch; void *bundle; /* opaque: policy's */ void (*bundle_free)(void *);
	unsigned *sharers; struct pins *pins; /* snapshot.c's */ };

/* Owns conf, catalogue and bundle from now on; NULL: no memory, and nothing is taken. */
struct snapshot *snapshot_new(struct config *conf, struct catalog *catalog, void *bundle, void (*bundle_free)(void *));
/* The same configuration and catalogue with another bundle.  By the publishing thread. */
struct snapshot *snapshot_with(const struct snapshot *like, void *bundle);
void snapshot_free(struct snapshot *snap);	/* one that was not published; NULL is fine */

struct snapshots;	/* the coordinator */
struct snapshots *snapshots_new(unsigned workers);
void snapshots_free(struct snapshots *s);
/* Makes it current; s owns it from now on.  Any one thread but the workers. */
void snapshots_publish(struct snapshots *s, struct snapshot *next);
struct snapshot *snapshots_current(struct snapshots *s);	/* of the publishing thread */
/* Frees what no worker holds any more; called by the main thread now and then, and after each publish. */
size_t snapshots_reap(struct snapshots *s);		/* how many are still alive */

/* Worker side: looked at once a loop turn; pins are plain. */
/* Takes notice of a newer one without pinning it: once a loop turn, so that a
 * worker without requests does not keep old ones alive.  Good until the next look. */
const struct snapshot *snapshot_look(struct snapshots *s, unsigned worker);
struct snapshot *snapshot_pin(struct snapshots *s, unsigned worker);
void snapshot_unpin(struct snapshots *s, unsigned worker, struct snapshot *snap);

#endif
