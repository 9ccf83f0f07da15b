/*
 * running.h - what a running gateway leaves in its data directory for commands
 * on the same machine: where it listens, whatever --listen or port 0 made of
 * that, and a management key that is good as long as it runs.  Two lines, for
 * its own user alone (0600): who may read it may change the store as well.
 */
#ifndef CLI_RUNNING_H
#define CLI_RUNNING_H

#include "cli/listeners.h"

struct running { char url[300], key[80]; };	/* "http://127.0.0.1:8080", "unix:/run/moongate/api.sock" */

/* DATA_DIR/running, in the place of what an earlier one left.  ls: open.  Errors name the file. */
int running_write(const char *data_dir, const struct listeners *ls, const char *key, struct err *err);
void running_remove(const char *data_dir);
/* False: no gateway has left anything that this user may read.  One that was killed leaves it, too. */
bool running_read(const char *data_dir, struct running *out);

/* "http://127.0.0.1:8080" of what a gateway listens on: an address of all interfaces is asked at loopback. */
void listening_url(const char *at, bool tls, char *out, size_t size);

#endif
