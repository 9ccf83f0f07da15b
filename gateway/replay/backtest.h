/*
 * backtest.h - what another bundle would have made of recorded decisions.
 *
 * What is measured and what is estimated are kept apart.  Where the first choice stays the same, what came of it counts
 * as it was.  Where it is another one: the usage that there was at the other's rates, by the bundle's own price hook;
 * the time to first token of the same quantile there; a failure where a draw, with the decision's own seed, is below the
 * other's error rate.  Quality is not in a record: another model is counted, and not judged.
 *
 * Where the live policies drew their first choice, what came of it also tells of the candidate, and no model is needed: it
 * counts as often as the candidate comes to that choice for each time that live does (inverse propensity), by the
 * probability in the record.  How much there is behind such a mean says its effective sample size.  What follows a first
 * attempt that failed is live's doing.
 *
 * A limit, a counter or a budget that is asked for as it was answers as it did.  Asked for otherwise it is told again,
 * and that needs all decisions in the order of their time, in one tester: limits and counters begin empty, budgets are
 * what is in the purses that it is given, and what the candidate would have charged is spent from them.
 *
 * A tester is of one thread; their results are added up.
 */
#ifndef REPLAY_BACKTEST_H
#define REPLAY_BACKTEST_H

#include "replay/replay.h"

/* One decision and what came of it.  generation NULL: it was refused, and nothing came. */
struct tested { struct mg_store_decision decision; const struct mg_store_generation *generation; };
/* What it took from purses: the charge, and the customer's own account.  g may be of an older store. */
struct amount tested_amount(const struct mg_store_generation *g);

enum { PROVIDERS_MAX = 200, PROTECTS_MAX = 96 };
struct tally {			/* of live, and of the candidate */
	uint64_t refused, empty, failed;	/* failed: the first attempt */
	uint64_t violations, kept_more;		/* a first choice that either bundle's protection forbids; kept more than either allows */
	int64_t charge_nusd, cost_nusd;
	uint32_t *first_ms; size_t n_ms, size_ms;	/* to first token */
};
/* Weights in millionths; whole numbers, so that the order in which they are added up does not matter. */
struct weighed { uint64_t n; __int128 sum; unsigned __int128 weights, squares; __int128 weighed; };
struct backtest {
	uint64_t decisions, unreadable;
	uint64_t measured, estimated, models;	/* models: of the estimated, those with another model */
	int64_t measured_nusd, was_nusd, would_nusd;	/* charges: of the measured; of the estimated, as they were and as they would be */
	uint64_t avoided, caused;		/* failures of the first attempt */
	uint64_t own, same;			/* that this very bundle decided; those of them that came out the same to the last byte */
	struct weighed charge_nusd, first_ms;	/* of those whose first choice live drew; n, sum: all of them, as they were */
	struct tally live, candidate;
	struct provider_mix { char name[64]; uint64_t live, candidate; } providers[PROVIDERS_MAX]; size_t n_providers;	/* by first choice */
};

/* Names of policies whose "no" protects: the guards of both bundles. */
struct protects { char names[PROTECTS_MAX][64]; size_t n; };
int protects_add(struct protects *p, struct bundle *b, struct err *err);

struct tester;
/* org: only of that one; NULL: of all. */
struct tester *tester_new(struct bundle *candidate, const struct protects *p, const struct shelf *shelf, const struct catalog *now, const char *org, struct err *err);
void tester_free(struct tester *t);
void tester_take(struct tester *t, const struct tested *row);
/* Decisions come in the order of their time; p: what was spent before the first of them.  Borrowed. */
void tester_in_order(struct tester *t, struct purses *p);
/* Any of them asked what only their order can answer. */
bool tester_wants_order(const struct tester *t);
const struct backtest *tester_result(const struct tester *t);

/* Into the sum; MG_ENOMEM. */
int backtest_add(struct backtest *sum, const struct backtest *one, struct err *err);
void backtest_release(struct backtest *b);
/* Of how many alike the weighed mean would be as sure: (sum of weights)^2 / sum of their squares; 0: there is no such mean. */
double weighed_size(const struct weighed *w);
double weighed_live(const struct weighed *w);		/* the mean as it was */
double weighed_candidate(const struct weighed *w);	/* and as it would be */
double weighed_weight(const struct weighed *w);		/* the mean weight: 1, but for chance, where live may draw all that the candidate chooses */
/* Milliseconds that so many percent are at most; 0: there are none.  Sorts. */
uint32_t tally_percentile(struct tally *c, unsigned percent);

#endif
