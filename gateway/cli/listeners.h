/*
 * listeners.h - the sockets that clients connect to: read from the
 * configuration, opened once per worker, their certificates renewed by a reload.
 */
#ifndef CLI_LISTENERS_H
#define CLI_LISTENERS_H

#include <jansson.h>
#include "relay/gateway.h"

enum { LISTENERS_MAX = 16 };

struct listeners {
	struct listener row[LISTENERS_MAX];		/* with texts of their own */
	char name[LISTENERS_MAX][128];			/* with the real port, once open */
	int fd[WORKERS_MAX][LISTENERS_MAX];		/* the workers' servers close them */
	size_t n;
};

/* only: an address of the command line instead of the list; NULL: none.
 * Reads certificates and keys, and says what is wrong with them. */
int listeners_read(struct listeners *ls, json_t *list, const char *only, struct err *err);
void listeners_release(struct listeners *ls);
/* Opens those of one worker, in order: each has a socket of its own on the same
 * address; the first one's port counts where port 0 was asked for. */
int listeners_open(struct listeners *ls, unsigned worker, struct listener own[LISTENERS_MAX], struct err *err);
/* New connections get next's certificates; false: its addresses differ, which takes a restart. */
bool listeners_renew(struct listeners *ls, struct listeners *next, struct gateway *gw);
/* Socket files go before the sockets do: whoever serves the path next makes a new one. */
void listeners_unlink(const struct listeners *ls);

#endif
