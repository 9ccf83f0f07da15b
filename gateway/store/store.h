/*
 * store.h - the store thread: what must last goes through here.
 *
 * Workers never wait.  They append to their journal (journal.h), which is
 * durable against kill -9 at once, and the store thread carries journal
 * entries into the store in groups of 1024 or 25 ms, then cuts the journal.
 * Everything else is a job: a function that runs on the store thread.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/err.h"
#include "base/keep.h"
#include "moongate_store.h"

struct store;
struct journal;

/* Opens (lock file, quick check), replays the journals of data_dir, starts the thread.
 * data_dir is made with mode 0700; the plugin gets "<data_dir>/moongate.db".
 * power: an entry is on the disk, not only in the file, when the journal says so: its worker waits for the sync,
 * twice a request, and so do all its other requests.  That is asked for in the configuration (ledger.durable), for
 * disks that sync in a moment: the one exception to a worker that never waits (R88), since neither the attempt nor the
 * last chunk may go out before, and the requests beside it wait for syncs of the same disk anyway.
 * replayed: entries carried over; may be NULL. */
struct store *store_open(const struct mg_plugin *plugin, const char *data_dir, bool power, size_t *replayed, struct err *err);
void store_close(struct store *s);	/* behind the last worker: commits what is queued, then ends the thread */

/* Runs fn on the store thread, in its own transaction, behind all that the journals
 * hold by then; rolled back when fn returns less than 0.  MG_EPROTO is the store's word alone, that it is
 * damaged, and ends the writing: a row that fn cannot read is MG_EINVAL.  From any thread but the
 * store's; waits for it.  Never from a worker: use store_post there. */
int store_run(struct store *s, int (*fn)(const struct mg_store *ops, void *handle, void *arg, struct err *err), void *arg, struct err *err);
/* The same without waiting: done(arg, rc) is called on the store thread. */
int store_post(struct store *s, int (*fn)(const struct mg_store *ops, void *handle, void *arg, struct err *err), void *arg,
	void (*done)(void *arg, int rc, const struct err *err));

bool store_healthy(const struct store *s);	/* false: groups cannot be committed (R58) */
size_t store_queue_length(const struct store *s);
uint64_t store_expired(const struct store *s);		/* rows whose time was up and that were removed, since the start */
void store_on_commit(struct store *s, void (*committed)(uint64_t us));	/* of each group, on the store thread */

/* One worker's journal: a file that only this worker writes. */
struct journal *store_journal(struct store *s, unsigned worker, struct err *err);
/* In the file when it returns: one write().  MG_ENOMEM: the journal is full or failing; refuse the request (R58, R59).
 * A settlement still finds room where intents are refused; one that cannot be written
 * is kept in memory and tried again, and only a crash before that leaves its intent open.
 * Labels and decision go in with their permit alone, and where there is room for them in one entry (4 MiB); they go when
 * the first of the two ends. */
int journal_intent(struct journal *j, const struct mg_store_intent *i, struct err *err);
int journal_settle(struct journal *j, const struct mg_store_generation *g, struct permit record, struct permit decision, struct err *err);
int journal_flush(struct journal *j, struct err *err);		/* settlements that wait in memory go into the file now; store_close() does that, too */
/* What decisions name by its hash: before the first one that does. */
int journal_endpoint(struct journal *j, const struct mg_store_endpoint *e, struct err *err);
/* Best effort, not durable at once: decision records. */
void journal_note(struct journal *j, const struct mg_store_decision *d, struct permit decision);
size_t journal_bytes(const struct journal *j);	/* not yet in the store */

#endif
