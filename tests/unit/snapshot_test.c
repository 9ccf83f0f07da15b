/* Snapshots: what is pinned stays, what nobody can reach goes. */
#include <pthread.h>
#include <stdatomic.h>
#include "catalog/snapshot.h"
#include "tap.h"

static _Atomic int freed;

/* Wiped when freed, so that a reader of a dead one would notice; ASan and TSan do as well. */
static void bundle_gone(void *p)
{
	*(uint64_t *)p = 0;
	free(p);
	atomic_fetch_add(&freed, 1);
}

static struct snapshot *made(void)
{
	struct config conf = { .path = "" };
	uint64_t *magic = malloc(sizeof(*magic));

	*magic = 0x6d6f6f6e;
	return snapshot_new(&conf, NULL, magic, bundle_gone);
}

static void in_turn(void)
{
	struct snapshots *s = snapshots_new(2);
	struct snapshot *a, *b;

	ok(!snapshot_pin(s, 0), "before the first there is nothing to pin");
	snapshots_publish(s, made());
	a = snapshot_pin(s, 0);
	ok(a == snapshots_current(s) && a->epoch == 1 && snapshot_pin(s, 0) == a, "pinned twice");
	snapshots_publish(s, made());
	ok(snapshots_reap(s) == 2, "a pinned one stays");
	b = snapshot_pin(s, 0);
	ok(b != a && b->epoch == 2, "the next request sees the new one");
	snapshot_unpin(s, 0, a);
	snapshot_look(s, 1);
	ok(snapshots_reap(s) == 2, "one pin is left");
	snapshot_unpin(s, 0, a);
	ok(snapshots_reap(s) == 1, "the last pin lets it go");
	snapshots_publish(s, made());
	snapshots_publish(s, made());
	ok(snapshots_reap(s) == 3, "a worker that has not looked may still take any");
	snapshot_look(s, 0);
	snapshot_look(s, 1);
	ok(snapshots_reap(s) == 2, "both have looked: what is between goes, what is pinned stays");
	snapshot_unpin(s, 0, b);
	ok(snapshots_reap(s) == 1, "only the current one");
	snapshots_free(s);
	ok(atomic_load(&freed) == 4, "each is freed once");
}

enum { WORKERS = 3, RELOADS = 1000 };
static _Atomic bool stop;
static _Atomic int wrong;
struct worker { struct snapshots *s; unsigned n; };

static void *works(void *arg)
{
	struct worker *w = arg;
	struct snapshot *held[4] = { NULL };

	for (unsigned i = 0; !atomic_load(&stop); i++) {
		struct snapshot **at = &held[i % 4];

		if (*at) {
			if (*(uint64_t *)(*at)->bundle != 0x6d6f6f6e)
				atomic_fetch_add(&wrong, 1);
			snapshot_unpin(w->s, w->n, *at);
		}
		*at = snapshot_pin(w->s, w->n);
	}
	for (int i = 0; i < 4; i++)
		if (held[i])
			snapshot_unpin(w->s, w->n, held[i]);
	snapshot_look(w->s, w->n);
	return NULL;
}

static void at_once(void)
{
	struct snapshots *s = snapshots_new(WORKERS);
	struct worker w[WORKERS];
	pthread_t t[WORKERS];

	atomic_store(&freed, 0);
	snapshots_publish(s, made());
	for (unsigned i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ s, i };
		pthread_create(&t[i], NULL, works, &w[i]);
	}
	for (int i = 1; i < RELOADS; i++) {
		snapshots_publish(s, made());
		snapshots_reap(s);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	ok(!atomic_load(&wrong), "no worker ever reads one that is gone");
	ok(snapshots_reap(s) == 1 && atomic_load(&freed) == RELOADS - 1, "after a thousand reloads one is left");
	snapshots_free(s);
}

int main(void)
{
	in_turn();
	at_once();
	return tap_done();
}
