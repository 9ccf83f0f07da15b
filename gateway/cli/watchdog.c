/*
 * watchdog.c - a worker that does not turn serves nobody, and nothing calls it back: a
 * plugin that waits, a disk that hangs.  The process ends, so that its supervisor starts
 * another; what the journal has is settled there.  A turn of many requests may take long
 * where the disk is slow: whoever has written goes on.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "cli/serving.h"

enum { STUCK_MS = 10000, LOOK_COUNTS_MS = 1500 };

/* However long ago the last look was: a machine that slept is no worker that hangs. */
static uint64_t since_last(struct watchdog *d)
{
	uint64_t now_ms = clock_ms(), gone = d->last_ms ? now_ms - d->last_ms : 0;

	d->last_ms = now_ms;
	return gone < LOOK_COUNTS_MS ? gone : LOOK_COUNTS_MS;
}

void watchdog_look(struct watchdog *d, const struct gateway *gw)
{
	uint64_t gone_ms = since_last(d);

	for (unsigned i = 0; i < gw->n_workers; i++) {
		uint64_t turn = loop_turns(gw->workers[i].loop);

		d->of[i].stuck_ms = turn & 1 && turn == d->of[i].turn ? d->of[i].stuck_ms + gone_ms : 0;
		d->of[i].turn = turn;
		if (d->of[i].stuck_ms < STUCK_MS)
			continue;
		log_at(LOG_ERROR, EV_STUCK, NULL, LOG_N("worker", i), LOG_N("ms", d->of[i].stuck_ms));
		fprintf(stderr, "moongate: worker %u has not turned for %d s: the process ends\n"
			"hint: a plugin that waits, or a disk that does not answer\n", i, STUCK_MS / 1000);
		abort();
	}
}
