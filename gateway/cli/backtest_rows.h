/*
 * backtest_rows.h - the kept decisions with what came of each, out of the store, in batches.
 */
#ifndef CLI_BACKTEST_ROWS_H
#define CLI_BACKTEST_ROWS_H

#include "base/buf.h"
#include "cli/local.h"
#include "replay/backtest.h"

enum { BATCH = 128 };
struct row { size_t copy; int64_t at_ms, charge_nusd, cost_nusd, own_nusd; bool generation, delivered; };	/* copy: where it is in texts; the generation's json is behind it */
struct batch { struct batch *next; struct buf texts; struct row rows[BATCH]; size_t n; };
void batch_free(struct batch *b);
struct tested batch_row(const struct batch *b, size_t i, struct mg_store_generation *g);	/* g: room for what came of it; borrows */

struct rows {
	struct local *local;
	int64_t since_ms, until_ms;
	double sample;			/* of the generations; the same in each run */
	bool charges;			/* what is no decision, or not in the sample, too: without a decision */
	bool bar;			/* tell how far it is */
	bool (*full)(void *arg, struct batch *b);	/* takes the batch; false: no more */
	/* Every generation since then, also those that full() gets nothing of; may be NULL. */
	void (*charged)(void *arg, const char *key_hash, struct amount a);
	void *arg;
	struct batch *filling;
	int64_t shown_ms;
	uint64_t seen;
};
int rows_read(struct rows *r);	/* an exit status; it has said why */

#endif
