/*
 * table.h - keys by hash: 256 shards, read without a lock.
 *
 * An entry never changes: a change puts another in its place, waits until
 * nobody reads the shard any more, and frees the old one.  A reader is there
 * for the time of one look-up, so the wait is short.  What a key spends
 * outlives its entries: the purse, whose scope is made at the first use.
 */
#ifndef ACCOUNT_TABLE_H
#define ACCOUNT_TABLE_H

#include "account/account.h"

enum { SHARDS = 256, HASH_BYTES = 32 };

struct purse { _Atomic(struct scope *) scope; struct key_usage at_start; };
struct entry {
	unsigned char hash[HASH_BYTES];
	struct purse *purse;
	int64_t created_ms, updated_ms, expires_ms, limit_nusd;
	bool management, disabled, deleted, include_byok;
	uint8_t reset;
	char texts[];			/* name, label, creator, workspace, external_user */
};

struct slots { size_t size, used; struct entry *at[]; };	/* size: a power of two */
struct shard { _Atomic(struct slots *) slots; atomic_uint readers; };
struct table { struct shard shards[SHARDS]; int64_t loaded_ms; };

int table_init(struct table *t);
void table_release(struct table *t);		/* entries, purses, scopes */

/* Makes an entry; purse NULL: a new one. */
struct entry *entry_new(const struct key_facts *k, struct purse *purse);
/* Before there are readers.  The same hash twice: the first stays.  MG_ENOMEM frees e. */
int table_load(struct table *t, struct entry *e);
/* Puts e in, in place of one with its hash; one caller at a time. */
int table_change(struct table *t, struct entry *e);

/* A copy of the entry, with its scope; false: none. */
bool table_find(struct table *t, const unsigned char hash[HASH_BYTES], struct key_facts *out);
/* While nobody changes the table. */
const struct entry *table_entry(struct table *t, const unsigned char hash[HASH_BYTES]);
void table_each(struct table *t, void (*fn)(void *arg, const struct entry *e), void *arg);

bool hash_bytes(const char *hex, unsigned char out[HASH_BYTES]);	/* false: not 64 lowercase hex digits */
/* Facts of an entry; the scope is made when it is not there yet.  False: no memory. */
bool entry_facts(const struct table *t, const struct entry *e, struct key_facts *out);

#endif
