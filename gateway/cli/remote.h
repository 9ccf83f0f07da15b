/*
 * remote.h - asking a running gateway, over HTTP.
 *
 * Where: --url, $MOONGATE_URL, $OPENROUTER_BASE_URL, where the gateway of the
 * data directory says that it listens, or where the configuration does.  With
 * which key: --key-file, then the environment, then what the configuration and
 * the data directory have.
 *
 * Each call returns EXIT_OK or has said why not and returns the status to end
 * with: 4 it does not answer, 5 the key is not enough, 6 there is no such thing.
 */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include <curl/curl.h>
#include "base/buf.h"
#include "cli/local.h"

enum credential { NO_KEY, ANY_KEY, MANAGEMENT_KEY };

/* more: headers for what is asked next, as lines of name=value; borrowed, NULL: none. */
struct remote { CURL *easy; const char *more; char url[512], socket[256], key[256]; enum credential credential; int64_t timeout_ms; bool quiet; long status; /* of the last answer */ };

/* l: an open configuration is used, and one that is not open is looked for; it may fail to load. */
int remote_open(struct remote *r, const struct cli *c, struct local *l, enum credential credential);
/* For what a gateway does while it runs, and the command itself on the store while none does, and none is named: then
 * l->accounts is there; else the gateway is asked, with a management key.  Both are to be closed in any case. */
int remote_or_here(struct remote *r, const struct cli *c, struct local *l);
void remote_close(struct remote *r);
/* The user said where: --url or $MOONGATE_URL. */
bool remote_named(const struct cli *c);
/* Or the gateway of this machine has secrets that this shell has not: it can tell what is configured. */
bool remote_knows(const struct cli *c, const struct local *l);
/* One is there, and there is a key for it; l: with its configuration.  Says nothing, waits a second at most. */
bool remote_answers(const struct cli *c, const struct local *l, enum credential credential);
/* The key alone; "" where there is none. */
void remote_key(const struct cli *c, const struct local *l, enum credential credential, char out[256]);

/* path: "/api/v1/keys".  body: JSON, absent for none.  out gets the answer's body, whatever the status. */
int remote_call(struct remote *r, const char *method, const char *path, struct mg_str body, struct buf *out);
/* What the command's first argument names, in one call: path ends where the name goes. */
int remote_one(const struct cli *c, struct local *l, enum credential credential, const char *path, struct buf *out);
/* A POST whose answer comes as server-sent events; EXIT_OK only when it came to its end.  130: interrupted. */
int remote_stream(struct remote *r, const char *path, struct mg_str body,
	int (*on_frame)(void *arg, struct mg_str event, struct mg_str data), void *arg);
/* A query's value, percent-encoded, at the end of out. */
void remote_escape(struct buf *out, const char *text);

#endif
