/*
 * guard.h - what libmicrohttpd lets through and we do not (R1-R7).
 *
 * One look at the head of a request, before anything acts on it.  A refusal
 * closes the connection: whoever sends such bytes may have hidden more of them.
 */
#ifndef NET_GUARD_H
#define NET_GUARD_H

#include <microhttpd.h>
#include "base/err.h"

struct guard_head {
	const char *method, *version;	/* as the access handler got them: pointers into the receive buffer */
	struct mg_str target;		/* raw, from the URI log callback */
	size_t max_bytes;		/* of the whole head (R4) */
	const char *const *slugs;	/* server_limits.slugs */
};

struct guard_body {
	bool chunked, declared;		/* neither: no body */
	uint64_t len;			/* when declared */
};

/* 0, or the status to refuse with; then *why is a constant text for the client. */
int guard_check(struct MHD_Connection *mhd, const struct guard_head *head, struct guard_body *body, const char **why);

/* Can this libmicrohttpd's receive buffer be walked, or does it refuse bare LF itself (R3)? */
int guard_library(struct err *err);

#endif
