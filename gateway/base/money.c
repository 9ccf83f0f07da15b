#include "base/money.h"

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Appends a digit; false when the number leaves 63 bits. */
static bool shift_in(int64_t *n, int d)
{
	int64_t next;

	if (__builtin_mul_overflow(*n, (int64_t)10, &next) || __builtin_add_overflow(next, (int64_t)d, &next))
		return false;
	*n = next;
	return true;
}

/* Reads "e-6" at *i; the exponent is checked to be small. */
static bool exponent(struct mg_str s, size_t *i, int *out)
{
	bool minus = false;
	int n = 0;
	size_t start;

	if (*i == s.len || (s.at[*i] != 'e' && s.at[*i] != 'E'))
		return true;
	if (++*i < s.len && (s.at[*i] == '+' || s.at[*i] == '-'))
		minus = s.at[(*i)++] == '-';
	for (start = *i; *i < s.len && digit(s.at[*i]); ++*i) {
		if (n < 1000)
			n = n * 10 + (s.at[*i] - '0');
	}
	*out = minus ? -n : n;
	return *i > start;
}

static int bad(struct err *err, struct mg_str s, const char *why)
{
	return fail(err, MG_EINVAL, "'%.*s' %s", s.len < 40 ? (int)s.len : 40, s.at ? s.at : "", why);
}

/* The digits are taken one by one at their power of ten; zeros at either end
 * are free, so that 0.1500 and 1e3 are what they look like. */
int money_parse(struct mg_str s, unsigned scale, int64_t *out, struct err *err)
{
	size_t i = 0, first, last, point, end;
	int64_t n = 0;
	int exp = 0;
	long power;

	if (s.len && s.at && s.at[0] == '-')
		return bad(err, s, "is negative");
	while (i < s.len && digit(s.at[i]))
		i++;
	point = i;
	if (i < s.len && s.at[i] == '.')
		for (i++; i < s.len && digit(s.at[i]); i++)
			;
	end = i;
	if (!point || end == point + 1 || !exponent(s, &i, &exp) || i != s.len)
		return bad(err, s, "is no decimal number");
	for (first = 0; first < end && (s.at[first] == '0' || s.at[first] == '.'); first++)
		;
	for (last = end; last > first && (s.at[last - 1] == '0' || s.at[last - 1] == '.'); last--)
		;
	for (i = first; i < last; i++)
		if (s.at[i] != '.' && !shift_in(&n, s.at[i] - '0'))
			return bad(err, s, "has too many digits");
	/* The last digit stands at 10^power of the unit asked for. */
	power = last <= point ? (long)(point - last) : -(long)(last - point - 1);
	power += exp + (long)scale;
	if (n && power < 0)
		return bad(err, s, "is finer than the smallest unit");
	for (; n && power > 0; power--)
		if (!shift_in(&n, 0))
			return bad(err, s, "is too large");
	*out = n;
	return MG_OK;
}

int money_add(money_sum *sum, uint64_t qty, int64_t rate_pusd)
{
	money_sum more;

	if (__builtin_mul_overflow((money_sum)qty, (money_sum)rate_pusd, &more) ||
	    __builtin_add_overflow(*sum, more, &more))
		return MG_EINVAL;
	*sum = more;
	return MG_OK;
}

int64_t money_round(money_sum pusd)
{
	money_sum whole, rest;

	if (pusd == (int64_t)pusd) {	/* as almost all are: to divide twice as many bits is a call */
		int64_t few = (int64_t)pusd, left = few % 1000;

		return few / 1000 + (left >= 500) - (left <= -500);
	}
	whole = pusd / 1000;
	rest = pusd % 1000;
	if (rest >= 500)
		whole++;
	else if (rest <= -500)
		whole--;
	if (whole > INT64_MAX)
		return INT64_MAX;
	return whole < -INT64_MAX ? -INT64_MAX : (int64_t)whole;
}

void money_text(struct buf *b, int64_t amount, unsigned scale)
{
	uint64_t n = amount < 0 ? 0 - (uint64_t)amount : (uint64_t)amount;
	char text[64];
	size_t at = sizeof(text);

	if (scale > 40)
		scale = 40;
	for (; scale && n % 10 == 0; scale--)	/* zeros at the end of a fraction are not written */
		n /= 10;
	if (scale) {
		for (; scale; scale--, n /= 10)
			text[--at] = (char)('0' + n % 10);
		text[--at] = '.';
	}
	do
		text[--at] = (char)('0' + n % 10);
	while (n /= 10);
	if (amount < 0)
		text[--at] = '-';
	buf_put(b, text + at, sizeof(text) - at);
}
