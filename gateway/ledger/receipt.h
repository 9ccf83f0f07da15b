/*
 * receipt.h - who was sent a request: signed, so that it can be shown to others.
 *
 *	{"alg":"Ed25519","key_id":"0c3c6d5cbf5e423d","payload":{...},"signature":"..."}
 *
 * The signature is of the payload's bytes in the canonical form of RFC 8785 (members by name, no
 * white space, whole numbers), which is how it is written here.  Every attempt is in it, those that
 * failed as well: what was sent (bytes_sent of the body, null where that is not known), when, to whom,
 * under which data policy as it was known then; and what was decided of retention, by which policies.
 * No content and no label; with `store = "hashed"` a hash of the request that only this installation can make.
 */
#ifndef LEDGER_RECEIPT_H
#define LEDGER_RECEIPT_H

#include "base/json.h"
#include "ledger/generation.h"

/* As member `name`. */
int receipt_put(struct mg_writer *w, const char *name, const struct generation *g, const char *key_hash, const struct seal *seal,
	struct pool *p, struct err *err);
/* The receipt, or a record or an answer that has it, is whole and by that key.  MG_EINVAL: it is none; MG_EDENIED: it is not. */
int receipt_verify(struct mg_str json, const unsigned char public[static SEAL_PUBLIC], struct pool *p, struct err *err);

#endif
