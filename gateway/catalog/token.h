/*
 * token.h - access tokens that are got from a token server before a request
 * goes out (Google, Microsoft Entra): one credential of a provider, shared by
 * all workers and kept over reloads.
 *
 * One exchange runs at a time for each scope; who needs the token meanwhile
 * waits for it.  A token is used until a minute before its end.
 */
#ifndef CATALOG_TOKEN_H
#define CATALOG_TOKEN_H

#include "base/pool.h"
#include "net/client.h"

struct token;		/* a credential and the tokens that it gave */
struct token_waiter;

/* credential: a JSON text that grant.h knows.  NULL: err says why. */
struct token *token_new(const char *credential, struct err *err);
struct token *token_ref(struct token *t);
void token_unref(struct token *t);		/* wiped with the last one */
bool token_is(const struct token *t, const char *credential);

/* "Authorization: Bearer ..." in the pool; absent: there is none that is fresh. */
struct mg_str token_header(struct token *t, const char *scope, struct pool *p);
/* Calls ready(owner, why) on the loop, later and once: NULL: token_header() has it; else why there is
 * none, without a secret in it.  NULL: no memory.  The exchange runs on client, if none runs yet. */
struct token_waiter *token_wait(struct token *t, const char *scope, struct loop *loop, struct client *client,
	void (*ready)(void *owner, const char *why), void *owner);
void token_give_up(struct token_waiter *w);	/* on the loop of token_wait(); ready() is not called any more */
/* For commands: waits on a loop of its own.  MG_EDENIED: err says why there is none. */
int token_now(struct token *t, const char *scope, struct pool *p, struct mg_str *header, struct err *err);
/* The upstream refused it: not to be used again. */
void token_drop(struct token *t, const char *scope, struct mg_str header);

#endif
