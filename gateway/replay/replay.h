/*
 * replay.h - decisions made again, from their records.
 *
 * The code is that of live requests, with any bundle; what the decision read then, it
 * reads again: the request, the endpoints, their live facts, limits, counters, lookups.
 * A replay is of one thread; the shelf may be shared.
 */
#ifndef REPLAY_REPLAY_H
#define REPLAY_REPLAY_H

#include "replay/purses.h"
#include "replay/recorded.h"

struct replay;
/* now: models that a record does not have are looked for there, and nothing is known of how they do; may be NULL. */
struct replay *replay_new(struct bundle *b, const struct shelf *shelf, const struct catalog *now, struct err *err);
void replay_free(struct replay *r);
/* From here on budgets are what is in these, but where this very bundle decided: what it read then. */
void replay_purses(struct replay *r, struct purses *p);

/* One decision, again: valid until the next.  MG_EINVAL: the record cannot be read, or an endpoint of it is not kept. */
int replay_decide(struct replay *r, const struct mg_store_decision *row, struct err *err);
/* Reads the record, and decides nothing. */
int replay_read(struct replay *r, const struct mg_store_decision *row, struct err *err);
/* Of the last one: this very bundle decided it. */
bool replay_own(const struct replay *r);
/* And it read a limit, a counter or a budget that depends on what other decisions would have been. */
bool replay_strayed(const struct replay *r);
struct decision *replay_decision(struct replay *r);	/* whoever goes on with it may change it */
const struct recorded *replay_recorded(const struct replay *r);
struct policy_state *replay_state(struct replay *r);
/* How likely it was that this endpoint came first: 0 or 1, where no ranking drew; else over all that the draw could have
 * come to.  Whatever else is drawn, by another label, stays as it was.  chance.c */
double replay_chance(struct replay *r, const struct endpoint *e);
/* Is it decided as it was, to the last byte? */
bool replay_same(struct replay *r);
/* What is not, line by line; how many lines. */
size_t replay_differences(struct replay *r, void (*say)(void *arg, const char *line), void *arg);

#endif
