/*
 * chat.h - the chat completions surface, in its parts.
 */
#ifndef API_CHAT_H
#define API_CHAT_H

#include "api/api.h"

extern const struct surface chat_surface;

/* Makes r->state.  MG_ENOMEM. */
int chat_answer_init(struct relay *r, bool exclude_reasoning);

/* ---- pass-through: chat_pass.c */
struct pass { struct mg_str id, model, provider, created; };	/* JSON texts; zeroed at first */
uint64_t chat_weigh(struct mg_view frame);	/* bytes of output in it; 0: nothing that a client waits for */
void chat_pass_chunk(struct relay *r, struct pass *p, struct mg_view frame, struct buf *out);
void chat_pass_whole(struct relay *r, struct pass *p, struct mg_view answer, const struct closing *c, struct buf *out);

/* Every member that is there has its type and range (R14): MG_EINVAL names the member. */
int chat_check(struct mg_view request, struct err *err);

/* The request as policies see it; strings in the pool.  MG_EINVAL names the member. */
int chat_facts(struct pool *pool, const struct catalog *catalog, struct mg_view request, struct facts *out, struct err *err);
/* Its headers, of a request that was made or of one that is supposed; name: in any case; absent: it has none. */
struct headers { struct mg_str (*get)(const void *of, const char *name); const void *of; };
struct headers headers_of(const struct http_request *h);
/* labels.c: req.labels, as the configuration says where they are; h: NULL: without headers.  MG_EINVAL: one cannot be taken whole. */
int request_labels(struct pool *pool, const json_t *conf, const struct headers *h, struct mg_view request, struct facts *f, struct err *err);
/* What else a header says: the policy that is asked for, a class of data that the key's own may be raised to, the session. */
void request_words(const struct headers *h, struct mg_view request, struct facts *f);
struct words labels_read(struct pool *pool, const char *lines);	/* of name=value, as struct key_facts has them */
void key_labels(struct pool *pool, const char *lines, struct facts *f);	/* req.key.labels and plan */
void facts_of_key(struct pool *pool, const struct key_facts *key, struct accounts *accounts, struct facts *f);	/* req.key, but for its user */

/* What would become of the request, as `policy explain` tells a kept one, appended: it is decided, not sent, and nothing is held or taken.
 * s: a state apart.  key: whose it would be, of these accounts; NULL: nobody's.  h: its headers.  MG_EINVAL names the member. */
struct supposed { const struct catalog *catalog; const json_t *conf; struct headers h; const struct key_facts *key; struct accounts *accounts; };
int chat_explain(struct pool *pool, struct policy_state *s, const struct supposed *of, struct mg_view request, struct buf *out, struct err *err);

#endif
