/*
 * rating.h - price, run again for the generations whose price policy failed.
 *
 * They were charged the list price.  What the policies of a bundle say now of the same
 * request, endpoint and usage, which their records have, is what they are charged from
 * then on: never more than it was, and once for each generation.
 */
#ifndef REPLAY_RATING_H
#define REPLAY_RATING_H

#include "policy/policy.h"
#include "store/store.h"

struct rating {
	int64_t since_ms;		/* Unix; of generations that began then or later */
	bool dry_run;			/* nothing is written */
	/* What is given back to a key is in the store; at_ms: when the generation counts.  NULL: nobody asks. */
	void (*refunded)(void *arg, const char *key_hash, int64_t nusd, int64_t at_ms);
	void *arg;
};

/* Waits for the disk: for a background thread or the CLI.  A few generations a transaction, so that others are served
 * meanwhile, and a crash leaves whole ones.  out: {"data":[{"id":..,"charged":..,"rated":..,"refund":..,"why":..}, ..],
 * "rated":n,"not_rated":n,"refund":..,"dry_run":..}, of data the first 1000; amounts in USD. */
int rating_run(struct store *store, struct bundle *b, const struct rating *how, struct buf *out, struct err *err);

#endif
