/* Decimals moved by powers of ten as text: a price is never a double. */
#include <ctype.h>
#include <stdlib.h>
#include "catalog/import.h"

enum { DIGITS = 64, EXPONENT = 40 };

/* Keeps so many digits behind the point, half up: who printed a double wrote 0.8999999999999999 and meant 0.9. */
static size_t rounded(char *digits, size_t first, size_t n, long *point, unsigned fraction)
{
	long keep = *point + (long)fraction;
	size_t i;

	if (keep < 0)
		return first;
	if (first + (size_t)keep >= n)
		return n;
	n = i = first + (size_t)keep;
	if (digits[n] < '5')
		return n;
	while (i > first && digits[i - 1] == '9')
		digits[--i] = '0';
	if (i > first) {
		digits[i - 1]++;
		return n;
	}
	digits[first] = '1';		/* nines alone: the zeros behind it are dropped */
	++*point;
	return first + 1;
}

/* The digits of 12.50e-3 are 1250; *point: how many of them stand before the point. */
static bool take_apart(struct mg_str from, char digits[DIGITS], size_t *n, long *point)
{
	size_t i = 0;
	bool dot = false;
	char exponent[8] = "";

	*n = 0;
	*point = 0;
	for (; i < from.len && (isdigit((unsigned char)from.at[i]) || (from.at[i] == '.' && !dot)); i++) {
		if (from.at[i] == '.') {
			dot = true;
			continue;
		}
		if (*n == DIGITS)
			return false;
		digits[(*n)++] = from.at[i];
		*point += !dot;
	}
	if (!*n)
		return false;
	if (i == from.len)
		return true;
	if ((from.at[i] != 'e' && from.at[i] != 'E') || from.len - i - 1 >= sizeof(exponent) || i + 1 == from.len)
		return false;
	memcpy(exponent, from.at + i + 1, from.len - i - 1);
	for (const char *c = exponent + (*exponent == '-' || *exponent == '+'); *c; c++)
		if (!isdigit((unsigned char)*c))
			return false;
	*point += strtol(exponent, NULL, 10);
	return labs(*point) <= EXPONENT;
}

struct mg_str decimal_shift(struct pool *p, struct mg_str decimal, int places, unsigned fraction)
{
	char digits[DIGITS + 1], out[DIGITS + 2 * EXPONENT + 8];
	size_t n, first = 0, len = 0;
	long point;

	if (!decimal.at || !take_apart(decimal, digits, &n, &point))
		return (struct mg_str){ 0 };
	point += places;
	while (first < n && digits[first] == '0') {
		first++;
		point--;
	}
	n = rounded(digits, first, n, &point, fraction);
	while (n > first && digits[n - 1] == '0')
		n--;
	if (first == n)
		return pool_print(p, "0");
	if (point <= 0)
		out[len++] = '0';
	for (long i = 0; i < point; i++)
		out[len++] = first + (size_t)i < n ? digits[first + (size_t)i] : '0';
	if (point < (long)(n - first)) {
		out[len++] = '.';
		for (long i = point; i < 0; i++)
			out[len++] = '0';
		for (long i = point > 0 ? point : 0; first + (size_t)i < n; i++)
			out[len++] = digits[first + (size_t)i];
	}
	return pool_dup(p, (struct mg_str){ out, len });
}
