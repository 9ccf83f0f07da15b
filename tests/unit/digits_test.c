/* Whole numbers as text: as printf has them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/digits.h"
#include "tap.h"

static bool same(uint64_t n)
{
	char got[DIGITS_MAX + 1] = "", want[32];
	char *end = got + DIGITS_MAX;
	bool as_unsigned, as_signed;

	*end = '\0';
	snprintf(want, sizeof(want), "%" PRIu64, n);
	as_unsigned = !strcmp(digits_before(end, n), want);
	snprintf(want, sizeof(want), "%" PRId64, (int64_t)n);
	as_signed = !strcmp(number_before(end, (int64_t)n), want);
	if (!as_unsigned || !as_signed)
		printf("# %" PRIu64 "\n", n);
	return as_unsigned && as_signed;
}

int main(void)
{
	uint64_t power = 1;
	bool all = true;

	for (uint64_t n = 0; n < 12000; n++)
		all &= same(n) && same(0 - n);
	ok(all, "small numbers, and small ones below 0");
	all = true;
	for (int i = 0; i < 20; i++, power *= 10)
		all &= same(power - 1) && same(power) && same(power + 1) && same(0 - power) && same(1 - power);
	ok(all, "around each power of ten");
	ok(same(INT64_MAX) && same((uint64_t)INT64_MIN) && same(UINT64_MAX), "the largest, and the least");
	return tap_done();
}
