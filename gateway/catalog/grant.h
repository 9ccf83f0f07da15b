/*
 * grant.h - what is asked of a token server, for each kind of credential that
 * is not a key: of Google a service account, a user's refresh token or the
 * metadata server; of Microsoft Entra a client's secret, a federated token or
 * the managed identity.
 *
 * The credential is one JSON text with a "type"; Google's key files are such
 * texts, the others are made of a provider's row.
 */
#ifndef CATALOG_GRANT_H
#define CATALOG_GRANT_H

#include <jansson.h>
#include <time.h>
#include "base/err.h"
#include "base/pool.h"

enum { GRANT_HEADERS = 2 };

struct grant {
	const char *method, *url;
	struct mg_str headers[GRANT_HEADERS], body;
	size_t n_headers;
};

/* The credential of a row's google or entra; NULL: it has neither.  *member: which, for messages. */
json_t *grant_of_row(const json_t *row, const char **member);
/* Is it one that grant_make() knows, with all that its type needs? */
int grant_check(const json_t *credential, struct err *err);
/* In the pool.  Reads the file of a federated token, which its owner renews. */
int grant_make(struct pool *p, const json_t *credential, const char *scope, time_t now, struct grant *out, struct err *err);

#endif
