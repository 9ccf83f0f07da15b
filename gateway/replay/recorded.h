/*
 * recorded.h - a decision's record (record.c), read back.
 *
 * Everything is of the pool, or borrowed from the record's text, which must stay.
 */
#ifndef REPLAY_RECORDED_H
#define REPLAY_RECORDED_H

#include "policy/record.h"

struct seen { const struct endpoint *endpoint; /* whoever has a shelf sets it; NULL: it is not there */ struct mg_str hash; unsigned rank; struct live_facts live; struct mg_str dropped, by; };
struct listed { struct words models; struct seen *at; size_t n; };	/* one routing */
struct recorded {
	struct facts facts;			/* as they came */
	struct words models; struct prefs prefs;	/* as they were in the end */
	struct words aliases;			/* name, slug ... */
	struct listed *routings; size_t n_routings;	/* the last is the one that stands */
	struct failed *failures;
	struct consulted *given;
	struct refused refused;
	struct keep keep;			/* without its sinks */
	struct drawn drawn;
	uint64_t errors;			/* hooks that failed */
	char bundle[ENDPOINT_DIGITS + 1];	/* the first digits of its hash */
};
/* MG_EINVAL: that is no record; MG_ENOMEM. */
size_t recorded_decided(struct mg_str text);	/* bytes of a record, up to what is about the run */
int recorded_read(struct pool *p, const struct mg_store_decision *row, struct recorded *out, struct err *err);

/* ---- shelf.c: endpoints, built again from what was kept of them; by the hash that records name them by */
struct shelf;
/* hashes: only those; n 0: all that the store has.  MG_EINVAL: one of them is no such text. */
int shelf_open(const struct mg_store *ops, void *handle, const struct mg_str *hashes, size_t n, struct shelf **out, struct err *err);
int shelf_of(const struct mg_store *ops, void *handle, struct pool *p, const struct recorded *r, struct shelf **out, struct err *err);	/* those that it names */
void shelf_free(struct shelf *s);
const struct endpoint *shelf_find(const struct shelf *s, struct mg_str hash);	/* NULL: it is not there */
const struct catalog *shelf_catalog(const struct shelf *s);	/* its endpoints alone */

#endif
