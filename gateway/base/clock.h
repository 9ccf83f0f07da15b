/*
 * clock.h - durations from the monotonic clock, wall time only for display,
 * windows and ids (R53).
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_ms(void);	/* monotonic */
uint64_t clock_us(void);	/* monotonic */
int64_t clock_wall_ms(void);	/* Unix time */
/* RFC 3339 UTC with milliseconds, "2026-11-21T14:03:11.042Z"; needs 25 bytes. */
void clock_rfc3339(int64_t wall_ms, char out[static 32]);

#endif
