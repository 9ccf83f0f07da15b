/*
 * recovery.h - holds that a killed process left open (R43, R44).
 *
 * Such a generation was on its way when the process died.  No settlement means
 * that the last chunk never left, so no client saw it finish; what was delivered
 * before, nobody knows any more.  The client is charged nothing; the hold, the
 * most it can have cost us, is booked as our own loss, and the record says
 * "cancelled" with usage_source "estimated".  It is settled thereby: a second
 * recovery changes nothing.
 */
#ifndef LEDGER_RECOVERY_H
#define LEDGER_RECOVERY_H

#include "store/store.h"

struct recovered { size_t generations; int64_t loss_nusd; };
/* After store_open(), before the first request. */
int ledger_recover(struct store *store, struct recovered *out, struct err *err);
/* One batch of it, inside the caller's transaction; adds to out.  Until it adds nothing. */
int ledger_recover_some(const struct mg_store *ops, void *handle, struct recovered *out, struct err *err);

#endif
