/*
 * A worker can only come to hold what is current when it looks, and it says
 * with `seen` how far it has looked.  So what is older than every worker's
 * `seen`, and held by none, can be reached by nobody any more.
 */
#include <assert.h>
#include <stdatomic.h>
#include "catalog/snapshot.h"

/* One cache line a worker: count is the worker's alone, held is what it tells the reaper. */
struct pin { _Alignas(64) size_t count; atomic_bool held; };
struct pins { struct snapshot *next; struct pin of[]; };

struct slot { _Alignas(64) _Atomic uint64_t seen; struct snapshot *last; };

struct snapshots {
	_Atomic(struct snapshot *) current;
	uint64_t epoch;
	unsigned workers;
	struct snapshot *all;		/* newest first */
	struct slot slots[WORKERS_MAX];
};

struct snapshots *snapshots_new(unsigned workers)
{
	struct snapshots *s = workers && workers <= WORKERS_MAX ? aligned_alloc(64, sizeof(*s)) : NULL;

	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->workers = workers;
	return s;
}

struct snapshot *snapshot_new(struct config *conf, struct catalog *catalog, void *bundle, void (*bundle_free)(void *))
{
	struct snapshot *snap = calloc(1, sizeof(*snap));

	if (!snap)
		return NULL;
	*snap = (struct snapshot){ .conf = *conf, .catalog = catalog, .bundle = bundle, .bundle_free = bundle_free,
		.sharers = calloc(1, sizeof(*snap->sharers)) };
	if (!snap->sharers) {
		free(snap);
		return NULL;
	}
	*snap->sharers = 1;
	return snap;
}

struct snapshot *snapshot_with(const struct snapshot *like, void *bundle)
{
	struct snapshot *snap = malloc(sizeof(*snap));

	if (!snap)
		return NULL;
	*snap = *like;
	snap->bundle = bundle;
	snap->pins = NULL;
	++*snap->sharers;
	return snap;
}

void snapshot_free(struct snapshot *snap)
{
	if (!snap)
		return;
	if (snap->bundle && snap->bundle_free)
		snap->bundle_free(snap->bundle);
	if (!--*snap->sharers) {
		catalog_free(snap->catalog);
		config_release(&snap->conf);
		free(snap->sharers);
	}
	free(snap->pins);
	free(snap);
}

void snapshots_free(struct snapshots *s)
{
	struct snapshot *next;

	if (!s)
		return;
	for (struct snapshot *at = s->all; at; at = next) {
		next = at->pins->next;
		snapshot_free(at);
	}
	free(s);
}

void snapshots_publish(struct snapshots *s, struct snapshot *next)
{
	size_t size = sizeof(struct pins) + s->workers * sizeof(struct pin);

	size = (size + 63) / 64 * 64;
	next->pins = aligned_alloc(64, size);
	if (!next->pins)
		abort();	/* a few kilobytes at a reload: there is no way on without them */
	memset(next->pins, 0, size);
	next->epoch = ++s->epoch;
	next->pins->next = s->all;
	s->all = next;
	atomic_store_explicit(&s->current, next, memory_order_release);
}

struct snapshot *snapshots_current(struct snapshots *s)
{
	return s->all;
}

static bool reachable(struct snapshots *s, struct snapshot *snap)
{
	for (unsigned i = 0; i < s->workers; i++) {
		if (atomic_load_explicit(&s->slots[i].seen, memory_order_acquire) <= snap->epoch)
			return true;
		if (atomic_load_explicit(&snap->pins->of[i].held, memory_order_acquire))
			return true;
	}
	return false;
}

size_t snapshots_reap(struct snapshots *s)
{
	struct snapshot **at = &s->all;
	size_t alive = 0;

	while (*at) {
		struct snapshot *snap = *at;

		if (snap == s->all || reachable(s, snap)) {
			alive++;
			at = &snap->pins->next;
			continue;
		}
		*at = snap->pins->next;
		snapshot_free(snap);
	}
	return alive;
}

static struct snapshot *look(struct snapshots *s, unsigned worker)
{
	struct slot *slot = &s->slots[worker];
	struct snapshot *now = atomic_load_explicit(&s->current, memory_order_acquire);

	if (now == slot->last || !now)
		return now;
	slot->last = now;
	/* Behind the line above every pin of older ones has its `held` set already. */
	atomic_store_explicit(&slot->seen, now->epoch, memory_order_release);
	return now;
}

const struct snapshot *snapshot_look(struct snapshots *s, unsigned worker)
{
	return look(s, worker);
}

struct snapshot *snapshot_pin(struct snapshots *s, unsigned worker)
{
	struct snapshot *snap = look(s, worker);
	struct pin *pin;

	if (!snap)
		return NULL;
	pin = &snap->pins->of[worker];
	if (!pin->count++)
		atomic_store_explicit(&pin->held, true, memory_order_release);
	return snap;
}

void snapshot_unpin(struct snapshots *s, unsigned worker, struct snapshot *snap)
{
	struct pin *pin = &snap->pins->of[worker];

	assert(pin->count);
	if (!--pin->count)	/* the last touch: from here on it may be gone */
		atomic_store_explicit(&pin->held, false, memory_order_release);
}
