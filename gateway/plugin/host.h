/*
 * host.h - between call.c, which runs a plugin's callbacks, and host.c, which
 * answers what the plugin asks for while one runs.
 */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include "plugin/call.h"

enum { IN_REQUEST = 1, IN_FRAME, IN_METER, IN_FINISH, IN_FAILURE };	/* call.inside */

extern const struct mg_host call_host;

int http_check(struct call *c, const struct mg_http *h);
/* The upstream's words made the pool's, where they are text, and cut; a kind that nobody knows is MG_E_UPSTREAM. */
void failure_words(struct call *c, struct mg_failure *f);
uint32_t retry_after(struct call *c);	/* ms, from the answer's headers; 0: not said */
struct pool *pool_for_json(size_t len);	/* for a text that is parsed and soon forgotten */
bool text_whole(struct mg_str s);

#endif
