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
#include "base/seal.h"
#include "catalog/snapshot.h"
#include "net/client.h"
#include "net/server.h"
#include "policy/policy.h"
#include "relay/metrics.h"
#include "store/store.h"

struct publication;
struct gateway {
	struct registry *plugins;
	struct snapshots *snapshots;
	struct store *store;
	struct accounts *accounts;
	struct seal seal;			/* the installation's key, of data_dir */
	struct worker *workers;
	unsigned n_workers;
	atomic_bool draining;
	atomic_uint unattended;			/* streams that are read to their end for nobody */
	atomic_bool reload_wanted;		/* an API call asked for it; the main thread has it done */
	struct versions *versions;		/* of the policies */
	/* Makes a bundle live, on the thread for changes; reload.c.  MG_EINVAL: it does not pass;
	 * MG_EDENIED: no such version; MG_EPROTO: it lacks guards of the live one. */
	int (*publish)(struct gateway *gw, struct publication *p, struct err *err);
	int64_t started_ms;			/* Unix */
	_Atomic int64_t policy_since_ms, source_seen_ms;	/* Unix; since when the live bundle is; when its folder was last there */
	atomic_bool policy_stale;		/* that folder has been away for longer than its bundle allows */
	char data_dir[512], base_policies[512];
};

/* What an operator wants live: a bundle, or a version that is kept. */
struct publication {
	struct bundle *bundle;			/* NULL: go back to `version`, "" for the one before */
	char version[72], from[256], by[128];
	bool drop_guards;			/* also where it lacks some */
	char live[72];				/* what is live then */
};

/* A bundle's lua_State on one worker.  Offered: for a snapshot that is yet to come.  Freed with its
 * last pin, once it is not what new requests get. */
struct pinned_policy { struct bundle *bundle; struct policy_state *state; unsigned pins; bool offered; struct pinned_policy *next; };

struct worker {
	unsigned n;
	struct gateway *gw;
	pthread_t thread;
	struct loop *loop;
	struct server *server;
	struct client *client;
	struct journal *journal;
	struct pinned_policy *policies;		/* the first: what new requests get */
	struct turn turn;			/* looks for a newer snapshot */
	struct timer late;			/* settlements that the journal had no room for */
	unsigned running;			/* generations that are not ended */
	/* Used within one callback, by whoever is in it: thousands of streams wait, one works. */
	struct bill bill;			/* of the generation that is settled now */
	struct buf out;				/* a chunk, or an answer, on its way to the client */
};

/* ---- states.c */
/* The state of the snapshot's bundle: each worker has one before the snapshot is published. */
struct pinned_policy *worker_pin_policy(struct worker *w, const struct snapshot *snap);
void worker_unpin_policy(struct worker *w, struct pinned_policy *p);
/* Phase one of a change: a state of b for each worker, made here and taken over there, so that
 * the next snapshot finds it.  All have one when this returns MG_OK; none has one otherwise. */
int workers_offer(struct gateway *gw, struct bundle *b, struct err *err);
void workers_withdraw(struct gateway *gw, struct bundle *b);	/* it was offered, but no snapshot has it */
int worker_first_policy(struct worker *w, struct err *err);
void worker_turn_policy(struct worker *w, const struct bundle *bundle);	/* new requests get this one, which was offered */
void worker_free_policies(struct worker *w);
/* Versions with a state; out: NULL, or gets the metric's lines. */
size_t policy_versions_alive(struct buf *out);

#endif
