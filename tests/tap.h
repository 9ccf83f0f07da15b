/* tap.h - the whole harness: ok(), and tap_done() at the end of main.  What failed is said on stderr,
 * too: prove keeps stdout to itself. */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdbool.h>
#include <stdio.h>

static int tap_n, tap_bad;

#define ok(cond, name) \
	((cond) ? (void)printf("ok %d - %s\n", ++tap_n, name) : \
	 (tap_bad++, (void)printf("not ok %d - %s\n", ++tap_n, name), \
	  (void)fprintf(stderr, "# not ok %d - %s\n# %s:%d: %s\n", tap_n, name, __FILE__, __LINE__, #cond)))
#define tap_done() (printf("1..%d\n", tap_n), tap_bad != 0)

#endif
