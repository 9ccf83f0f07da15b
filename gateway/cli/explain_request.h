/*
 * explain_request.h - what would become of a request: decided by the gateway that runs, or where none answers as one with this configuration would; not sent.
 */
#ifndef CLI_EXPLAIN_REQUEST_H
#define CLI_EXPLAIN_REQUEST_H

#include "base/buf.h"
#include "cli/local.h"

/* {"data":{...}} of the chat request in the file, as explain tells a kept one.  Where no gateway is asked nothing is known of how endpoints do.
 * An exit status. */
int explain_request(struct local *l, const struct cli *c, const char *file, struct buf *out);

#endif
