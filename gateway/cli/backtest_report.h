/*
 * backtest_report.h - the result of a backtest, for people and for pipelines; and what a pipeline
 * may ask of it.
 */
#ifndef CLI_BACKTEST_REPORT_H
#define CLI_BACKTEST_REPORT_H

#include "cli/cli.h"
#include "replay/backtest.h"

/* Percents that a charge and the 90th percentile of the time to first token may rise by; below 0: no such gate. */
struct gates { double cost, p90; bool violations, empty; };
int gates_read(const struct cli *c, struct gates *out);	/* EXIT_OK, or EXIT_USAGE and said */

/* in_order: limits and budgets were told again.  Sorts b's times.  EXIT_PROBLEMS: a gate is shut. */
int backtest_report(const struct cli *c, struct backtest *b, const char *bundle, bool in_order, const struct gates *g);

#endif
