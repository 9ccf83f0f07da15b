/*
 * table.h - keys by hash: 256 shards, read without a lock.
 *
 * An entry never changes: a change puts another in its place, waits until
 * nobody reads the shard any more, and frees the old one.  A reader is there
 * for the time of one look-up, so the wait is short.  What a key spends
 * outlives its entries: the purse, made at the first use, as is its scope.
 *
 * Most keys of many are asked for rarely: those of the start lie one behind the
 * other, with their texts and without padding, and have neither of the two.
 */
#ifndef ACCOUNT_TABLE_H
#define ACCOUNT_TABLE_H

#include "account/tenants.h"

enum { SHARDS = 256, HASH_BYTES = 32, TIME_BYTES = 6 };	/* milliseconds for 8900 years */

struct purse { _Atomic(struct scope *) scope, tenant; struct spending at_start; };
struct entry {
	unsigned char hash[HASH_BYTES];
	_Atomic(struct purse *) purse;
	int64_t limit_nusd;
	unsigned char created_ms[TIME_BYTES], updated_ms[TIME_BYTES], expires_ms[TIME_BYTES];
	unsigned char management : 1, disabled : 1, deleted : 1, include_byok : 1;
	unsigned char loaded : 1;	/* in a block: not to be freed */
	unsigned char reset : 3;
	char texts[];			/* name, label, creator, workspace, external_user, org, labels */
};

struct slots { size_t size, used; struct entry *at[]; };	/* size: a power of two */
struct shard { _Atomic(struct slots *) slots; atomic_uint readers; };
struct block { struct block *next; char at[]; };
struct table { struct shard shards[SHARDS]; struct tenants tenants; int64_t loaded_ms; struct block *blocks; size_t used; };	/* used: of the first block */

int table_init(struct table *t);
void table_release(struct table *t);		/* entries, purses, scopes */

/* Before there are readers.  The same hash twice: the first stays.  MG_EINVAL: that is no hash. */
int table_load(struct table *t, const struct key_facts *k);
/* An entry for table_change(), to be freed if that fails; purse: of the one before it, or NULL. */
struct entry *entry_new(const struct key_facts *k, struct purse *purse);
/* Puts e in, in place of one with its hash; one caller at a time. */
int table_change(struct table *t, struct entry *e);

/* A copy of the entry, with its scope; false: none. */
bool table_find(struct table *t, const unsigned char hash[HASH_BYTES], struct key_facts *out);
/* While nobody changes the table. */
struct entry *table_entry(struct table *t, const unsigned char hash[HASH_BYTES]);
void table_each(struct table *t, void (*fn)(void *arg, struct entry *e), void *arg);

bool hash_bytes(const char *hex, unsigned char out[HASH_BYTES]);	/* false: not 64 lowercase hex digits */
const char *entry_workspace(const struct entry *e);	/* "": it is in none */
int64_t entry_time(const unsigned char at[TIME_BYTES]);
struct purse *entry_purse(struct entry *e);	/* NULL: no memory */
/* Of one that used own accounts before the start: its scope is made now, since few do.  False: no memory. */
bool entry_own(struct table *t, struct entry *e, const struct spending *own);
/* Facts of an entry; the scope is made when it is not there yet.  False: no memory. */
bool entry_facts(struct table *t, struct entry *e, struct key_facts *out);

#endif
