/*
 * parts.h - what the files of this plugin share.
 *
 *	sqlite.c	open, close, transactions
 *	put.c		rows in; what a transaction gathers until its end
 *	rate.c		prices that were run again
 *	party.c		a number for who asked which model of whom
 *	read.c		rows and sums out
 *	expire.c	labels and decisions whose time is up
 *	audit.c		is it all true? and the backup
 */
#ifndef SQLITE_PARTS_H
#define SQLITE_PARTS_H

#include <sqlite3.h>

#include "moongate_store.h"

#define DAY_MS INT64_C(86400000)
#define MINUTE_MS INT64_C(60000)
enum { BUSY_MS = 5000 };
#define MONEY_MAX INT64_C(1000000000000000000)	/* a billion dollars: no row is larger */

enum statement { S_BEGIN, S_COMMIT, S_KEY, S_INTENT, S_RESOLVE, S_FIND_PARTY, S_PARTY, S_GENERATION, S_MINUTE, S_CREDIT, S_ENTRY, S_TOTAL, S_DECISION, S_ENDPOINT, S_LEAVING, STATEMENTS };

/* By number in the entries; names for people are in the table of that name. */
enum account { BALANCE = 1, SALES, UPSTREAM, PAYABLE, LOSS, BANK };

struct gathered;
struct parties;
struct store { sqlite3 *db; int lock; bool read_only; sqlite3_stmt *ready[STATEMENTS]; struct gathered *gathered; struct parties *parties; };

/* sqlite.c */
int say(char why[256], int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int sick(sqlite3 *db, char why[256]);		/* the error of the last call, as an mg_rc */
int run(struct store *s, sqlite3_stmt *q, char why[256]);	/* a statement without rows */
int exec(struct store *s, const char *sql, char why[256]);
sqlite3_stmt *query(struct store *s, const char *sql, char why[256]);
void text(sqlite3_stmt *q, int i, const char *t);	/* borrowed until the statement has run */
const char *column(sqlite3_stmt *q, int i);
int64_t number(struct store *s, const char *sql, int64_t def);	/* the one integer that sql gives */

static inline const char *or_empty(const char *t)
{
	return t ? t : "";
}

/* put.c */
uint64_t hash_of(const char *t);
struct gathered *gathered_new(void);
void gathered_free(struct gathered *g);
void gathered_forget(struct store *s);			/* the transaction is rolled back */
int gathered_write(struct store *s, char why[256]);	/* before the commit, and before anything is read */
int put(void *handle, enum mg_store_row kind, const void *row, char why[256]);

/* rate.c */
int mark_unrated(struct store *s, int64_t id, char why[256]);
int put_adjustment(struct store *s, const struct mg_store_adjustment *a, char why[256]);

/* party.c */
struct parties *parties_new(void);
void parties_free(struct parties *p);
void parties_forget(struct parties *p);			/* the transaction is rolled back, and who came with it */
int64_t party_of(struct store *s, const struct mg_store_generation *g, char why[256]);	/* its number, or a negative mg_rc */

/* read.c */
int each(void *handle, enum mg_store_row kind, const char *where, int64_t since_ms, size_t limit,
	bool (*fn)(void *arg, const void *row), void *arg, char why[256]);
int sums(void *handle, const char *key_hash, const int64_t since_ms[3], struct mg_store_sums *out, char why[256]);
int sums_each(void *handle, const int64_t since_ms[3],
	void (*fn)(void *arg, const char *key_hash, const struct mg_store_sums *s), void *arg, char why[256]);

/* expire.c */
int expire(void *handle, int64_t now_ms, int rows, char why[256]);
int expired(void *handle, char why[256]);

/* audit.c */
int audit(void *handle, mg_store_finding *finding, void *arg, char why[256]);
int whole(struct store *s, const char *path, char why[256]);	/* at start: as much of it as is quick */
int backup(void *handle, const char *path, char why[256]);

#endif
