/*
 * copy.h - a row of a decision, copied out of the store: what the store shows is gone behind the callback.
 *
 * A copy is three texts, one behind the other, each with its NUL: the id, the key's hash, the record.
 */
#ifndef REPLAY_COPY_H
#define REPLAY_COPY_H

#include "base/buf.h"
#include "base/err.h"
#include "moongate_store.h"

/* Appends one; key_hash and json may be NULL, and are "" then.  texts->failed: there was no room. */
void copy_put(struct buf *texts, const char *id, const char *key_hash, const char *json);
/* The copy as a row again, which borrows it. */
struct mg_store_decision copy_row(const char *copy, int64_t at_ms);

/* The decision of a generation, in texts, which is to be released in any case; 1, 0: none is kept of it, or a negative mg_rc. */
int copy_find(const struct mg_store *ops, void *handle, const char *id, struct buf *texts, struct mg_store_decision *out, struct err *err);

#endif
