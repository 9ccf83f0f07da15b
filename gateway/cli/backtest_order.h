/*
 * backtest_order.h - a backtest in the order of time: where the candidate asks for limits, counters or
 * budgets otherwise than it was asked then, what it does now depends on what it would have done before.
 */
#ifndef CLI_BACKTEST_ORDER_H
#define CLI_BACKTEST_ORDER_H

#include "cli/backtest_rows.h"

/* All rows of r through t, one after the other; they are held in memory meanwhile.  r: full, charged, charges and arg
 * are set here.  Purses begin with what the store says was spent before, under the limits that keys have now.
 * An exit status. */
int backtest_in_order(struct rows *r, struct tester *t);

#endif
