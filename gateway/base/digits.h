/*
 * digits.h - whole numbers as decimal text, for writers that have room already.
 */
#ifndef BASE_DIGITS_H
#define BASE_DIGITS_H

#include <stdint.h>

enum { DIGITS_MAX = 20 };	/* of a number, with its sign */

/* Written so that they end before `end`; where they begin.  No NUL. */
char *digits_before(char *end, uint64_t n);
char *number_before(char *end, int64_t n);

#endif
