/*
 * metadata.h - `openrouter_metadata`: what a client may know of a decision.
 *
 * Names of policies and reasons stay inside; a candidate that a filter dropped
 * is counted, never named.
 */
#ifndef POLICY_METADATA_H
#define POLICY_METADATA_H

#include "base/json.h"
#include "policy/policy.h"

/* provider: the display name; status 0: no HTTP answer came. */
struct router_attempt { const char *provider, *model; int status; };
struct metadata {
	const struct router_attempt *attempts; size_t n_attempts;
	const struct endpoint *selected;	/* NULL: none, as in every error */
	const char *region;			/* of the gateway; NULL: not said */
	bool is_byok;
	int64_t generation_ms;			/* -1: not known yet */
};
/* Writes the object as member `name` (NULL at the top). */
void metadata_write(struct mg_writer *w, const char *name, const struct decision *d, const struct metadata *m);

#endif
