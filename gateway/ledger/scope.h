/*
 * scope.h - one limit on spending, exact at any concurrency.
 *
 * posted + held never passes limit: a hold is checked and taken in one step
 * over all its scopes, under their locks (R40).  So no half of a hold is ever
 * seen, and nobody is refused because of one that is then given back (R42).
 *
 * A scope counts in all, and by UTC day, week (from Monday) and month.  A
 * window turns when the first hold of a new one comes; a hold counts in the
 * windows of its own time to the end (R52), also while the clock jumps by a
 * window and back (R53).
 *
 * Beside what is charged it counts what went by way of customers' own accounts,
 * at list price; a limit may have that in.
 */
#ifndef LEDGER_SCOPE_H
#define LEDGER_SCOPE_H

#include <stdatomic.h>
#include "moongate.h"

enum { SCOPE_NO_LIMIT = -1 };
enum window { WINDOW_TOTAL, WINDOW_DAILY, WINDOW_WEEKLY, WINDOW_MONTHLY, WINDOWS };

/* Windows are numbered; the number and the first moment of the one that holds wall_ms. */
int64_t window_id(enum window w, int64_t wall_ms);
int64_t window_start(enum window w, int64_t wall_ms);

/* nUSD.  all: with what customers' own accounts take; never below charge. */
struct amount { int64_t charge, all; };
static inline struct amount charged(int64_t nusd)	/* ... which is nothing */
{
	return (struct amount){ nusd, nusd };
}

struct scope;
struct scope *scope_new(const char *kind, const char *id);	/* "key", its hash; "balance", ""; NULL: no memory */
void scope_free(struct scope *s);
const char *scope_kind(const struct scope *s);
const char *scope_id(const struct scope *s);
void scope_limit(struct scope *s, int64_t limit_nusd, int window);	/* enum window; takes effect for later holds */
void scope_limit_own(struct scope *s, bool counts);	/* whether the limit is one for own accounts, too; not, unless it is said */
/* At start: what was charged by then, and what own accounts took, in all and in the windows of wall_ms. */
struct spending { int64_t total, daily, weekly, monthly; };
void scope_load(struct scope *s, const struct spending *charge, const struct spending *own, int64_t wall_ms);
void scope_post(struct scope *s, struct amount a, int64_t wall_ms);	/* what nobody held, of a history that is told again; below zero: taken back */
/* nUSD; limit, and posted and held against it: of the limit's window, and all that is open. */
struct scope_facts { int64_t limit, posted, held; struct spending charged, own; enum window window; };
void scope_read(const struct scope *s, int64_t wall_ms, struct scope_facts *out);

/* All or nothing over n scopes (R42).  MG_EDENIED: which says who refused. */
struct hold { struct scope *scopes[4]; int64_t window[4]; size_t n; struct amount held; bool open; };
int hold_take(struct hold *h, struct scope *const *scopes, size_t n, struct amount a, int64_t wall_ms, struct scope **which);
int hold_raise(struct hold *h, struct amount a, struct scope **which);	/* to at least that, either of the two; refused: unchanged */
/* Exactly once (R41): the second call is a no-op and returns false.  It may pass the hold (R51). */
bool hold_settle(struct hold *h, struct amount a);
/* Posted once, it is given back in the windows of its time, as far as they are still known. */
void scope_refund(struct scope *s, int64_t nusd, int64_t wall_ms);

#endif
