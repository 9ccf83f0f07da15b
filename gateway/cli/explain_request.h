/*
 * explain_request.h - what would become of a request: decided as a gateway with this configuration would, and not sent.
 */
#ifndef CLI_EXPLAIN_REQUEST_H
#define CLI_EXPLAIN_REQUEST_H

#include "base/buf.h"
#include "cli/local.h"

/* {"data":{...}} of the chat request in the file, as explain tells a kept one; nothing is known of how endpoints do.  An exit status. */
int explain_request(struct local *l, const struct cli *c, const char *file, struct buf *out);

#endif
