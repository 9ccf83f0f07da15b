/*
 * smoke.h - decisions of the last hour, which a bundle makes again before it goes live.
 *
 * Tests know what their author thought of; these are what clients sent.  That other decisions
 * come out is what a new bundle is for; that a hook fails where none failed then is a mistake.
 */
#ifndef AUTHOR_SMOKE_H
#define AUTHOR_SMOKE_H

#include "policy/policy.h"
#include "store/store.h"

enum { SMOKE_DECISIONS = 200, SMOKE_SPAN_MS = 3600 * 1000, SMOKE_MS = 2000 };

/* Copied out of the store, so that it is free again; from all of the hour, where there are more. */
struct recent;
/* Some ms, on the store's thread.  now: models that a decision does not know are looked for there; borrowed, may be NULL.
 * *out NULL: none is kept. */
int recent_read(const struct mg_store *ops, void *handle, const struct catalog *now, struct recent **out, struct err *err);
/* The same from another thread, which waits; never from a worker. */
int recent_of(struct store *store, const struct catalog *now, struct recent **out, struct err *err);
size_t recent_count(const struct recent *r);	/* decisions */
void recent_free(struct recent *r);

/* b was tried.  No longer than most_ms (and one decision): what could not be made by then says nothing.  r NULL: nothing is
 * made.  MG_EINVAL: "p.lua:12: ...", with a hint; never what a policy raised, which may have a client's words in it. */
int bundle_smoke(struct bundle *b, const struct recent *r, uint64_t most_ms, struct err *err);

#endif
