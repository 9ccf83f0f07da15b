/*
 * account.h - API keys and what they may spend.
 *
 * The store keeps only a key's SHA-256 (R77); memory keeps the same, in shards.
 * A request copies the facts it needs when it is authenticated and pins
 * nothing; a change is visible to the next request.  Scopes (a key's limit,
 * the credit balance) live as long as the process: a hold points to them.
 */
#ifndef ACCOUNT_ACCOUNT_H
#define ACCOUNT_ACCOUNT_H

#include <jansson.h>
#include "base/crypto.h"
#include "base/err.h"
#include "base/pool.h"
#include "ledger/scope.h"
#include "store/store.h"

enum { LABELS_BYTES = 320 };
struct key_facts {			/* a copy: no pointer into the table but scope */
	char hash[SHA256_HEX + 1];
	char name[128], label[32], creator[SHA256_HEX + 1], workspace[64], external_user[64], org[64], labels[LABELS_BYTES];	/* labels: "team=blue\nplan=gold", for policies */
	bool management, disabled, deleted, include_byok;
	int64_t created_ms, updated_ms, expires_ms;	/* Unix; 0: never */
	int64_t limit_nusd;		/* -1: none */
	enum window reset;
	struct scope *scope;		/* never NULL */
	struct scope *tenant;		/* of all keys of its workspace; NULL: it is in none */
};

/* The next of such labels, at the beginning of *lines, which is moved behind it; false: there is none. */
bool label_next(const char **lines, struct mg_str *name, struct mg_str *value);

/* Of the store's sums: what was charged, and what own accounts took. */
struct spending sums_charged(const struct mg_store_sums *s);
struct spending sums_own(const struct mg_store_sums *s);

/* A key's row; p: for the time of the call.  Its scope is not set.  False: it cannot be read. */
bool key_read(struct pool *p, const struct mg_store_key *row, struct key_facts *k);

struct accounts;
/* Reads all keys from the store.  management_key: the configured one, "" or NULL: none; MG_EINVAL for one that is short. */
struct accounts *accounts_new(struct store *store, const char *management_key, bool credits, struct err *err);
void accounts_free(struct accounts *a);
/* Before the first request: a management key that nobody has configured, good as long as the accounts
 * are open; it is in no store, and in no list of keys.  plain: 80 bytes. */
void accounts_key_here(struct accounts *a, char plain[static 80]);

/* Checks syntax, then looks up by hash, in constant work.  MG_EDENIED with the wire's
 * words in err ("User not found.", "API key is disabled", "API key has expired"), and no store access. */
int accounts_find(struct accounts *a, struct mg_str key, struct key_facts *out, struct err *err);
int accounts_get(struct accounts *a, const char *hash, struct key_facts *out);	/* MG_EINVAL: none */

/* Changes are in the store before they return; background thread or CLI only: they wait for the disk.
 * plain: the key itself, shown once, 80 bytes. */
int accounts_create(struct accounts *a, struct key_facts *in_out, char plain[static 80], struct err *err);
int accounts_update(struct accounts *a, const struct key_facts *k, struct err *err);	/* by k->hash */
int accounts_delete(struct accounts *a, const char *hash, struct err *err);
/* Newest first; workspace NULL: of all.  total: how many there are without offset and max; may be NULL. */
struct key_filter { bool deleted, disabled; const char *workspace; };	/* what is listed besides the usable ones */
size_t accounts_select(struct accounts *a, const struct key_filter *f, size_t offset, size_t max, struct key_facts *out, size_t *total);
size_t accounts_count(struct accounts *a);	/* those not deleted */

/* What own accounts took for keys that are in no workspace: posted, never held. */
struct scope *accounts_apart(struct accounts *a);
struct scope *accounts_balance(struct accounts *a);	/* the credit balance; its limit is what was bought, or none when credits are off */
/* Bought (or, below zero, taken back) credit, once for each external_id; waits for the disk.
 * applied: NULL, or whether it was new. */
int accounts_credit(struct accounts *a, const char *external_id, int64_t nusd, bool *applied, struct err *err);
int64_t accounts_bought(struct accounts *a);
/* A charge of the key that was made at at_ms (Unix) was nusd too high, and the store says so already. */
void accounts_refund(struct accounts *a, const char *hash, int64_t nusd, int64_t at_ms);

#endif
