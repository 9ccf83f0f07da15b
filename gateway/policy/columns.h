/*
 * columns.h - numbers of a list of endpoints: what ranks them, and columns.
 */
#ifndef POLICY_COLUMNS_H
#define POLICY_COLUMNS_H

#include "policy/fields.h"

/* Of rank.*: what a policy sees as a list of numbers that it cannot change. */
struct column { struct proxy head; lua_Integer n; double x[]; };
void columns_open(lua_State *L);
/* A function of an item, a name of one of the policy's scores or of a member ("usd.prompt"), a table by item, a list of numbers, or a column. */
enum ruler_kind { RULER_CALL, RULER_SCORE, RULER_MEMBER, RULER_TABLE, RULER_LIST, RULER_COLUMN };
struct ruler { enum ruler_kind kind; const char *name; int at, list, score; const struct entry *entry; const struct field *live; int pct; const struct column *column; };

enum { FEW = 32 };	/* that need no memory of their own */
lua_Integer list_length(lua_State *L, int i);	/* burns fuel for it; raises */
struct ruler ruler_at(lua_State *L, int at, int list);	/* of the value at `at`, for the list at `list`; raises */
/* A number for each of the first n items; missing where there is none.  Into every step-th place of out. */
void measure(lua_State *L, const struct ruler *r, lua_Integer n, double missing, double *out, size_t step);
double power(double x, double p);

int rank_sum(lua_State *L);
int rank_product(lua_State *L);
int rank_clamp(lua_State *L);
int rank_least(lua_State *L);
int rank_most(lua_State *L);
int rank_smooth(lua_State *L);
int rank_stable(lua_State *L);

#endif
