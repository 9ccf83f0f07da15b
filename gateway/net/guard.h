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
	uint64_t names;			/* the bits of the headers' names */
};

/* A bit of 64 for a header's name, in capitals or not: a head keeps those of its own, so that
 * most headers it does not have are not looked for. */
static inline uint64_t guard_name_bit(const char *name, size_t len)
{
	return UINT64_C(1) << ((len ? (name[0] & 0x1fu) * 7 + (name[len - 1] & 0x1fu) * 3 + (unsigned)len : 0) & 63);
}

/* 0, or the status to refuse with; then *why is a constant text for the client. */
int guard_check(struct MHD_Connection *mhd, const struct guard_head *head, struct guard_body *body, const char **why);

/* Can this libmicrohttpd's receive buffer be walked, or does it refuse bare LF itself (R3)? */
int guard_library(struct err *err);

#endif
