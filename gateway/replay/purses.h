/*
 * purses.h - what keys would have spent by now, and all of them together, in a backtest.
 *
 * Windows turn with the time of what is spent.  Of one thread.
 */
#ifndef REPLAY_PURSES_H
#define REPLAY_PURSES_H

#include "ledger/scope.h"

struct purses;
struct purses *purses_new(void);	/* NULL: no memory */
void purses_free(struct purses *p);

/* Of a key, by its hash; "": of all.  One that was not met yet has no limit and has spent nothing.  NULL: no memory. */
struct scope *purses_find(struct purses *p, const char *key);
/* From the key's purse and from that of all. */
void purses_spend(struct purses *p, const char *key, struct amount a, int64_t at_ms);

#endif
