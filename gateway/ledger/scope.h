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

struct scope;
struct scope *scope_new(const char *kind, const char *id);	/* "key", its hash; "balance", ""; NULL: no memory */
void scope_free(struct scope *s);
const char *scope_kind(const struct scope *s);
const char *scope_id(const struct scope *s);
void scope_limit(struct scope *s, int64_t limit_nusd, int window);	/* enum window; takes effect for later holds */
void scope_load(struct scope *s, int64_t total, int64_t daily, int64_t weekly, int64_t monthly, int64_t wall_ms);	/* at start */
void scope_post(struct scope *s, int64_t nusd, int64_t wall_ms);	/* a charge that nobody held, of a history that is told again; below zero: taken back */
/* nUSD; limit and posted: of the limit's window; held: all that is open. */
struct scope_facts { int64_t limit, posted, held, total, daily, weekly, monthly; enum window window; };
void scope_read(const struct scope *s, int64_t wall_ms, struct scope_facts *out);

/* All or nothing over n scopes (R42).  MG_EDENIED: which says who refused. */
struct hold { struct scope *scopes[4]; int64_t window[4]; size_t n; int64_t nusd; bool open; };
int hold_take(struct hold *h, struct scope *const *scopes, size_t n, int64_t nusd, int64_t wall_ms, struct scope **which);
int hold_raise(struct hold *h, int64_t nusd, struct scope **which);	/* to at least nusd; refused: unchanged */
/* Exactly once (R41): the second call is a no-op and returns false.  charge may pass the hold (R51). */
bool hold_settle(struct hold *h, int64_t charge_nusd);
/* Posted once, it is given back in the windows of its time, as far as they are still known. */
void scope_refund(struct scope *s, int64_t nusd, int64_t wall_ms);

#endif
