/*
 * token.h - credentials that are exchanged before a request goes out: access
 * tokens of Google and Microsoft Entra, temporary keys of AWS.  One credential
 * of a provider, shared by all workers and kept over reloads.
 *
 * One exchange runs at a time for each scope; who needs the token meanwhile
 * waits for it.  A token is used until a minute before its end; some minutes
 * earlier the next request begins to renew it and does not wait.
 */
#ifndef CATALOG_TOKEN_H
#define CATALOG_TOKEN_H

#include "base/pool.h"
#include "net/client.h"
#include "plugin/call.h"

enum { TOKEN_WHY = 200 };

struct token;		/* a credential and the tokens that it gave */
struct token_waiter;

/* owner: the provider, for the log; credential: a JSON text that grant.h knows.  NULL: err says why. */
struct token *token_new(const char *owner, const char *credential, struct err *err);
struct token *token_ref(struct token *t);
void token_unref(struct token *t);		/* wiped with the last one */
bool token_is(const struct token *t, const char *credential);
bool token_signs(const struct token *t);	/* AWS's: its value signs requests, and is never sent itself */

/* In the pool: an access token, or AWS's id:key:session token; absent: there is none that is fresh.
 * client: renews it in the background when it is time; NULL: does not. */
struct mg_str token_value(struct token *t, const char *scope, struct client *client, struct pool *p);
/* Calls ready(owner, why) on the loop, later and once: NULL: token_value() has it; else why there is
 * none, without a secret in it.  NULL: no memory.  The exchange runs on client, if none runs yet. */
struct token_waiter *token_wait(struct token *t, const char *scope, struct loop *loop, struct client *client,
	void (*ready)(void *owner, const char *why), void *owner);
void token_give_up(struct token_waiter *w);	/* on the loop of token_wait(); ready() is not called any more */
/* For commands: waits on a loop of its own.  MG_EDENIED: err says why there is none. */
int token_now(struct token *t, const char *scope, struct pool *p, struct mg_str *value, struct err *err);
/* The value goes with the call: as a header, or for its signature.  Once more: instead of the former. */
int token_use(const struct token *t, struct call *c, struct mg_str value, struct err *err);
/* The upstream refused it: not to be used again. */
void token_drop(struct token *t, const char *scope, struct mg_str value);

void token_about(const struct token *t, char *out, size_t size);	/* "service_account", "instance + role": its kind */
/* left_s: until it is used no more; why: the last exchange failed, else "". */
struct token_state { bool used; int64_t left_s; char why[TOKEN_WHY]; };
void token_state(struct token *t, struct token_state *out);

#endif
