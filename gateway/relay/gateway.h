/*
 * gateway.h - what the whole process shares, and what one worker owns.
 *
 * A worker is one thread: its loop, its server and client, its journal, and a
 * lua_State for each bundle version that a request of its own still pins.  A
 * request lives and dies on one worker.
 */
#ifndef RELAY_GATEWAY_H
#define RELAY_GATEWAY_H

#include <pthread.h>
#include <stdatomic.h>
#include "account/account.h"
#include "catalog/snapshot.h"
#include "net/client.h"
#include "net/server.h"
#include "policy/policy.h"
#include "relay/metrics.h"
#include "store/store.h"

struct gateway {
	struct registry *plugins;
	struct snapshots *snapshots;
	struct store *store;
	struct accounts *accounts;
	struct worker *workers;
	unsigned n_workers;
	atomic_bool draining;
	atomic_bool reload_wanted;		/* an API call asked for it; the main thread does it */
	int64_t started_ms;			/* Unix */
	_Atomic int64_t policy_since_ms;	/* Unix; since when the active bundle is */
	char data_dir[512], base_policies[512];
};

/* A bundle's lua_State on one worker; freed with its last pin when newer ones exist. */
struct pinned_policy { struct bundle *bundle; struct policy_state *state; unsigned pins; struct pinned_policy *next; };

struct worker {
	unsigned n;
	struct gateway *gw;
	pthread_t thread;
	struct loop *loop;
	struct server *server;
	struct client *client;
	struct journal *journal;
	struct pinned_policy *policies;
	struct turn turn;			/* looks for a newer snapshot */
	unsigned running;			/* generations that are not ended */
	/* Used within one callback, by whoever is in it: thousands of streams wait, one works. */
	struct bill bill;			/* of the generation that is settled now */
	struct buf out;				/* a chunk, or an answer, on its way to the client */
};

/* The state of the snapshot's bundle; NULL: err says why (the caller answers 503). */
struct pinned_policy *worker_pin_policy(struct worker *w, const struct snapshot *snap, struct err *err);
void worker_unpin_policy(struct worker *w, struct pinned_policy *p);

#endif
