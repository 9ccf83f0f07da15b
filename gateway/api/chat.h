/*
 * chat.h - the chat completions surface, in its parts.
 */
#ifndef API_CHAT_H
#define API_CHAT_H

#include "api/api.h"

extern const struct surface chat_surface;

/* Makes r->state.  MG_ENOMEM. */
int chat_answer_init(struct relay *r, bool exclude_reasoning);

/* Every member that is there has its type and range (R14): MG_EINVAL names the member. */
int chat_check(struct mg_view request, struct err *err);

/* The request as policies see it; strings in the pool.  MG_EINVAL names the member. */
int chat_facts(struct pool *pool, const struct catalog *catalog, struct mg_view request, struct facts *out, struct err *err);

#endif
