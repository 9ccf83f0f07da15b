/*
 * recall.h - a decision that was kept, told in full, for people and their programs.
 */
#ifndef REPLAY_RECALL_H
#define REPLAY_RECALL_H

#include "policy/policy.h"

/* Bundles that are at hand, by the first digits of their hash: a reference, or NULL. */
struct bundles { struct bundle *(*find)(void *arg, const char *digits); void *arg; };
/* From its row the whole of it, as JSON text, appended: for `policy explain`.  Where the bundle that decided is at hand it is
 * decided again, and told whether the same comes out; bundles NULL: nothing of that.  MG_EINVAL: that is no such record. */
int decision_recall(const struct mg_store *ops, void *handle, const struct mg_store_decision *row, const struct bundles *bundles,
	struct buf *out, struct err *err);
/* Of a generation; 1, 0: none is kept of it, or a negative mg_rc. */
int decision_find(const struct mg_store *ops, void *handle, const char *id, const struct bundles *bundles, struct buf *out, struct err *err);
/* The text of `moongate policy explain`, from the whole. */
void decision_text(json_t *record, void (*line)(void *arg, const char *text), void *arg);

#endif
