/*
 * scope.h - one limit on spending, exact at any concurrency.
 *
 * posted + held never passes limit: a hold is one compare-and-swap (R40).  A
 * window (day, week, month in UTC) is part of the scope: it turns when the
 * first hold of a new window comes, and a hold settles in its own (R52).
 */
#ifndef LEDGER_SCOPE_H
#define LEDGER_SCOPE_H

#include <stdatomic.h>
#include "moongate.h"

enum { SCOPE_NO_LIMIT = -1 };

struct scope;
struct scope *scope_new(const char *kind, const char *id);	/* "key", its hash; "balance", "" */
void scope_free(struct scope *s);
const char *scope_kind(const struct scope *s);
const char *scope_id(const struct scope *s);
void scope_limit(struct scope *s, int64_t limit_nusd, int window);	/* enum window; takes effect for later holds */
void scope_load(struct scope *s, int64_t total, int64_t daily, int64_t weekly, int64_t monthly, int64_t wall_ms);	/* at start */
struct scope_facts { int64_t limit, posted, held, total, daily, weekly, monthly; };	/* nUSD; posted: in the limit's window */
void scope_read(const struct scope *s, int64_t wall_ms, struct scope_facts *out);

/* All or nothing over n scopes, in the given (fixed) order (R42).  MG_EDENIED: which says who refused. */
struct hold { struct scope *scopes[4]; int64_t window[4]; size_t n; int64_t nusd; int64_t wall_ms; bool open; };
int hold_take(struct hold *h, struct scope *const *scopes, size_t n, int64_t nusd, int64_t wall_ms, struct scope **which);
int hold_raise(struct hold *h, int64_t nusd, struct scope **which);	/* to at least nusd; refused: unchanged */
/* Exactly once (R41): the second call is a no-op and returns false.  charge may pass the hold (R51). */
bool hold_settle(struct hold *h, int64_t charge_nusd);
static inline bool hold_void(struct hold *h) { return hold_settle(h, 0); }

#endif
