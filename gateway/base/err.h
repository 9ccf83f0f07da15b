/*
 * err.h - one reason, made where it happened and handed up untouched.
 *
 *	return fail(err, MG_EPROTO, "answer cut short");
 *
 * The text is for the person who can act on it: it names the member, the file
 * or the limit.  It never holds content or a secret.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "moongate.h"

struct err { int rc; char msg[240]; };

/* Records the reason (cut at 239 bytes) and returns rc.  err may be NULL. */
int fail(struct err *err, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
