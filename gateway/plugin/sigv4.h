/*
 * sigv4.h - AWS Signature Version 4: what makes a request AWS's own.
 *
 * A plugin asks for it with auth(MG_SIGV4, service); the core signs when the
 * request is sent, each time it is sent, for the signature covers the host, the
 * time and the whole body.  A credential is "id:key", or "id:key:session token".
 */
#ifndef PLUGIN_SIGV4_H
#define PLUGIN_SIGV4_H

#include <time.h>

#include "base/err.h"
#include "base/pool.h"
#include "plugin/call.h"

struct sigv4_who { struct mg_str id, key, token, region, service; };	/* token: absent where there is none */
struct sigv4_what {
	struct mg_str method, url;		/* url: as it goes over the wire, escapes and all */
	const struct mg_str *headers; size_t n_headers;	/* "name: value"; host, content-* and x-amz* are signed */
	const struct mg_str *body; size_t pieces;
};
enum { SIGV4_ADDED = 3 };		/* headers at most: the date, the token, the signature */

/* False: the credential is none of a pair; AWS's API keys are bearer tokens. */
bool sigv4_pair(struct mg_str secret, struct sigv4_who *who);
/* "bedrock-runtime.eu-west-1.amazonaws.com": "eu-west-1"; absent where the host does not tell. */
struct mg_str sigv4_region(struct mg_str host);
/* The headers to add, *n of them; hash, where not NULL, is given the canonical request's hash. */
int sigv4(struct pool *p, const struct sigv4_who *who, const struct sigv4_what *what, time_t now,
	struct mg_str out[static SIGV4_ADDED], size_t *n, char *hash);
/* Signs the call where its plugin asked for it; what an earlier sending added goes first.
 * region: what the options say, before what the address does; tag: the row's, behind both, may be empty.
 * MG_EDENIED: the configuration does not say enough. */
int sigv4_call(struct call *c, struct mg_str url, const struct mg_http *http, struct mg_str region, struct mg_str tag, time_t now, struct err *err);

#endif
