/*
 * grant.h - what is asked of a token server, for each kind of credential that
 * is not a key: of Google a service account, a user's refresh token or the
 * metadata server; of Microsoft Entra a client's secret, a federated token or
 * the managed identity; of AWS what aws.h finds.
 *
 * The credential is one JSON text with a "type"; Google's key files are such
 * texts, the others are made of a provider's row.
 *
 *	grant_begin() -> [exchange -> grant_answered()] ... until value is there
 */
#ifndef CATALOG_GRANT_H
#define CATALOG_GRANT_H

#include <jansson.h>
#include <time.h>
#include "base/err.h"
#include "base/pool.h"

enum { GRANT_HEADERS = 4 };

/* One exchange, or the end of them; in the pool. */
struct grant {
	const char *asked;		/* of whom, for messages */
	bool near;			/* on this machine, or the next: it answers soon or not at all */
	const char *method, *url;
	struct mg_str headers[GRANT_HEADERS], body;
	size_t n_headers;
	struct mg_str value;		/* nothing more is to be asked: an access token, or AWS's id:key:session token */
	uint64_t life_s;		/* of the value, from now on */
	size_t link; unsigned step;	/* AWS: how far it came, and what it was given there */
	struct mg_str given;
};

/* The credential of a row's google or entra; NULL: it has neither.  *member: which, for messages. */
json_t *grant_of_row(const json_t *row, const char **member);
/* Is it one that grant_begin() knows, with all that its type needs? */
int grant_check(const json_t *credential, struct err *err);
/* The first exchange.  Reads the file of a federated token, which its owner renews. */
int grant_begin(struct pool *p, const json_t *credential, const char *scope, time_t now, struct grant *g, struct err *err);
/* What it gave: the value, or the next exchange.  Otherwise err says why, without a secret. */
int grant_answered(struct pool *p, const json_t *credential, time_t now, int status, struct mg_str answer, struct grant *g, struct err *err);

/* What the kinds share. */
enum { GRANT_LIFE_MAX_S = 86400 };
const char *grant_text(const json_t *o, const char *member, const char *otherwise);	/* "" is otherwise, too */
struct mg_str grant_escaped(struct pool *p, const char *s);	/* for forms; absent: no memory */
int grant_file(struct pool *p, const char *path, struct mg_str *out, struct err *err);	/* a token that its owner renews there */
bool grant_printable(const char *s);		/* fit for a header: no blank, no control character, something */
/* The server's word for its no, where it is one: descriptions may quote what was sent. */
int grant_refused(const struct grant *g, int status, const char *word, struct err *err);

#endif
