/*
 * sweep.c - what is kept no longer: labels and decisions whose time is up (policies' retain says
 * for how long).  The billing row stays.
 */
#include "store/parts.h"

#include "base/clock.h"
#include "base/log.h"

enum { SWEEP_MS = 5000, SWEEP_ROWS = 256 };	/* rows: of one transaction, so that no group waits for long */

static int remove_some(struct store *s, char why[256])
{
	int rc = s->ops->begin(s->handle, why), n;

	if (rc)
		return rc;
	n = s->ops->expire(s->handle, clock_wall_ms(), SWEEP_ROWS, why);
	rc = n > 0 ? s->ops->commit(s->handle, why) : n;
	if (rc || !n)
		s->ops->rollback(s->handle);
	return rc ? rc : n;
}

/* The journals have it, too, and what the store writes beside its file. */
static void remove_copies(struct store *s, char why[256])
{
	for (int i = 0; i < JOURNALS; i++) {
		struct journal *j = atomic_load(&s->journals[i]);

		if (j)
			journal_wipe(j);
	}
	if (s->swept)
		s->swept = s->ops->expired(s->handle, why) != MG_OK;	/* else the next time */
}

void sweep(struct store *s)
{
	char why[256] = "";
	int n = remove_some(s, why);

	if (n < 0)
		log_at(LOG_ERROR, EV_STORE_ERROR, NULL, LOG_S("error", why), LOG_S("job", "expire"));
	if (n > 0) {
		atomic_fetch_add(&s->expired, (uint64_t)n);
		s->swept = true;
	}
	if (n == SWEEP_ROWS)
		return;		/* there is more: after what came meanwhile */
	remove_copies(s, why);
	s->sweep_at = clock_ms() + SWEEP_MS;
}
