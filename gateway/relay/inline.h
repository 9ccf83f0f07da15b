/*
 * inline.h - addresses in a request as their bytes, for an upstream that takes
 * bytes alone (MG_OP_INLINE, or quirk urls of its row).
 *
 *	relay_next() -> inline_for() -> [exchanges] -> step -> relay_next() ...
 *
 * Whoever writes a request names the address, so nothing is trusted (R37): https
 * on 443 to public addresses, no redirect, no credential, a connection of its
 * own; few, not large, not for long; and one text for all that cannot be reached.
 * What was fetched serves every attempt of the request.
 */
#ifndef RELAY_INLINE_H
#define RELAY_INLINE_H

#include "relay/relay.h"

struct candidate;
enum { INLINE_WAITS = 1 };

/* MG_OK: r->asked is the request for this endpoint.  INLINE_WAITS: r->step comes when all is there.
 * MG_EINVAL: the endpoint cannot be asked; err names the member. */
int inline_for(struct relay *r, const struct endpoint *e, struct err *err);
void inline_stop(struct relay *r);	/* what runs is given up */

#endif
