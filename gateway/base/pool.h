/*
 * pool.h - memory and clean-up that end with the request.
 *
 * The rule of ownership: what belongs to a request comes from its pool and is
 * never freed alone.  What outlives a request comes from malloc and is owned
 * by exactly one struct with an S_free().  There is no third kind.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "moongate.h"

struct pool;

/* budget: bytes that pool_alloc() may give out in all.  NULL: no memory. */
struct pool *pool_new(size_t budget);
/* The same with room for `first` bytes at once, for what is known to take as many: nothing is left over between pieces. */
struct pool *pool_new_for(size_t budget, size_t first);

/* Zeroed, aligned for anything.  NULL when the budget or the system is out. */
void *pool_alloc(struct pool *p, size_t len);

/* What is left of the budget: the ceiling for a buffer that belongs to the same request. */
size_t pool_left(const struct pool *p);

/* A copy with a NUL behind it; absent in or no memory: absent out. */
struct mg_str pool_dup(struct pool *p, struct mg_str s);

/* One behind the other, or formatted, with a NUL behind it; absent when there is no memory. */
struct mg_str pool_join(struct pool *p, const struct mg_str *parts, size_t n);
struct mg_str pool_print(struct pool *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Run fn(arg) when the pool is freed, last deferred first.  Returns MG_ENOMEM
 * and has already run fn(arg) when it cannot be remembered: never a leak. */
int pool_defer(struct pool *p, void (*fn)(void *arg), void *arg);

void pool_free(struct pool *p);		/* NULL is fine */

#endif
