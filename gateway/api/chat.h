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

/* What would become of the request, as `policy explain` tells a kept one, appended: it is decided, not sent, and nothing is held or taken.
 * s: a state apart.  key: whose it would be, of these accounts; NULL: nobody's.  MG_EINVAL names the member. */
int chat_explain(struct pool *pool, struct policy_state *s, const struct catalog *catalog, struct mg_view request,
	const struct key_facts *key, struct accounts *accounts, struct buf *out, struct err *err);

#endif
