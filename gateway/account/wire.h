/*
 * wire.h - keys and credits as the management API tells them.
 *
 * Each function appends one whole answer body to out, or gives MG_EINVAL with
 * words that name the member (400), MG_EDENIED when there is no such key (404),
 * MG_ENOMEM or MG_EPROTO when the store does not take it (503).  Those that
 * change something wait for the disk: never call them on a worker.
 */
#ifndef ACCOUNT_WIRE_H
#define ACCOUNT_WIRE_H

#include "account/account.h"
#include "base/json.h"

enum { WIRE_KEYS_PAGE = 100 };

/* Reads, without waiting. */
int wire_credits(struct accounts *a, struct buf *out, struct err *err);			/* GET /credits */
int wire_own_key(struct accounts *a, const struct key_facts *k, int64_t wall_ms, struct buf *out, struct err *err);	/* GET /key */
int wire_key(struct accounts *a, const char *hash, int64_t wall_ms, struct buf *out, struct err *err);	/* GET /keys/{hash} */
/* GET /keys: the values of the query, absent where they are not given. */
struct keys_query { struct mg_str offset, include_disabled, workspace_id; };
int wire_keys(struct accounts *a, const struct keys_query *q, int64_t wall_ms, struct buf *out, struct err *err);

/* Changes.  creator: the hash or id of who asks; "" for none. */
int wire_key_create(struct accounts *a, struct mg_view body, const char *creator, struct buf *out, struct err *err);	/* 201 */
int wire_key_update(struct accounts *a, const char *hash, struct mg_view body, struct buf *out, struct err *err);
int wire_key_delete(struct accounts *a, const char *hash, struct buf *out, struct err *err);
/* {"amount":50,"id":"invoice-17"}: USD that were paid, or below zero given back; once for an id. */
int wire_credit(struct accounts *a, struct mg_view body, struct buf *out, struct err *err);	/* 201 */

/* "labels":{"team":"blue"}, of lines as struct key_facts has them. */
void wire_labels(struct mg_writer *w, const char *lines);

#endif
