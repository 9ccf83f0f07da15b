#include "base/money.h"
#include "tap.h"

static const struct { const char *text; unsigned scale; int64_t n; const char *again; } exact[] = {
	{ "0.15", 6, 150000, "0.15" }, { "15", 6, 15000000, "15" }, { "0.00000015", 12, 150000, "0.00000015" }, { "1e-6", 12, 1000000, "0.000001" },
	{ "0", 12, 0, "0" }, { "0.000", 6, 0, "0" }, { "0e50", 6, 0, "0" }, { "1.50", 9, 1500000000, "1.5" }, { "00012", 0, 12, "12" }, { "1E3", 0, 1000, "1000" },
	{ "1.5e+2", 0, 150, "150" }, { "0.000000000001", 12, 1, "0.000000000001" }, { "1.000000000000000000000", 0, 1, "1" }, { "120e-1", 0, 12, "12" },
	{ "9223372.036854775807", 12, INT64_MAX, "9223372.036854775807" }, { "9223372036.854775807", 9, INT64_MAX, "9223372036.854775807" },
	{ "0.1", 1, 1, "0.1" }, { "1000000", 6, 1000000000000, "1000000" },
};
static const struct { const char *text; unsigned scale; const char *why; } refused[] = {
	{ "", 6, "no decimal" }, { ".", 6, "no decimal" }, { ".5", 6, "no decimal" }, { "5.", 6, "no decimal" }, { "1e", 6, "no decimal" }, { "1e+", 6, "no decimal" },
	{ "-1", 6, "negative" }, { "-0", 6, "negative" }, { "+1", 6, "no decimal" }, { " 1", 6, "no decimal" }, { "1 ", 6, "no decimal" }, { "1,5", 6, "no decimal" },
	{ "1.2.3", 6, "no decimal" }, { "0x10", 6, "no decimal" }, { "NaN", 6, "no decimal" }, { "inf", 6, "no decimal" }, { "$1", 6, "no decimal" },
	{ "0.0000001", 6, "finer" }, { "1e-13", 12, "finer" }, { "1.5", 0, "finer" }, { "1e-99999999999", 12, "finer" },
	{ "9223372.036854775808", 12, "too" }, { "99999999999999999999", 0, "too" }, { "1e19", 0, "too large" }, { "1e999999999999", 0, "too large" }, { "1e18", 1, "too large" },
};
static const struct { money_sum in; int64_t out; const char *name; } rounds[] = {
	{ 0, 0, "0" }, { 499, 0, "499" }, { 500, 1, "500" }, { 501, 1, "501" }, { 1499, 1, "1499" }, { 1500, 2, "1500" }, { 2500, 3, "2500, not to even" },
	{ -499, 0, "-499" }, { -500, -1, "-500, away from zero" }, { -1500, -2, "-1500" }, { (money_sum)INT64_MAX * 1000, INT64_MAX, "the largest" },
	{ (money_sum)INT64_MAX * 1000 + 500, INT64_MAX, "beyond the largest saturates" }, { (money_sum)INT64_MAX * 5000, INT64_MAX, "far beyond saturates" },
};

static bool again(struct buf *b, int64_t n, unsigned scale, const char *text)
{
	buf_reset(b);
	money_text(b, n, scale);
	return mg_is(buf_view(b), text);
}

static void sums(void)
{
	const money_sum max = (money_sum)(((unsigned __int128)1 << 127) - 1);
	money_sum sum = 0;

	ok(!money_add(&sum, UINT64_C(1) << 40, 9000000000000) && sum == ((money_sum)9000000000000 << 40), "2^40 tokens at the dearest rate fit");
	sum = 0;
	for (int i = 0; i < 1000; i++)
		money_add(&sum, 1, 1);
	ok(money_round(sum) == 1, "a thousand picodollars are one nanodollar: nothing is lost on the way");
	sum = max - 5;
	ok(money_add(&sum, 6, 1) == MG_EINVAL && sum == max - 5, "a sum that overflows stays");
	ok(!money_add(&sum, 5, 1) && sum == max, "up to the last one");
	sum = 0;
	ok(!money_add(&sum, UINT64_MAX, INT64_MAX) && sum == (money_sum)UINT64_MAX * INT64_MAX, "the largest product is exact");
	ok(!money_add(&sum, 1, -1000) && sum == (money_sum)UINT64_MAX * INT64_MAX - 1000, "a discount is subtracted");
}

int main(void)
{
	struct buf b;
	struct err err;
	char name[120];

	buf_init(&b, 100);
	for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
		int64_t n = -1;
		int rc = money_parse((struct mg_str){ exact[i].text, strlen(exact[i].text) }, exact[i].scale, &n, &err);

		snprintf(name, sizeof(name), "%s times 10^%u, and back", exact[i].text, exact[i].scale);
		ok(!rc && n == exact[i].n && again(&b, n, exact[i].scale, exact[i].again), name);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		int64_t n = -7;
		int rc = money_parse((struct mg_str){ refused[i].text, strlen(refused[i].text) }, refused[i].scale, &n, &err);

		snprintf(name, sizeof(name), "'%s' times 10^%u is refused", refused[i].text, refused[i].scale);
		ok(rc == MG_EINVAL && n == -7 && strstr(err.msg, refused[i].why), name);
	}
	ok(money_parse((struct mg_str){ NULL, 0 }, 6, &(int64_t){ 0 }, &err) == MG_EINVAL, "absent is refused");
	for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
		snprintf(name, sizeof(name), "rounds %s", rounds[i].name);
		ok(money_round(rounds[i].in) == rounds[i].out, name);
	}
	ok(again(&b, 140000, 9, "0.00014") && again(&b, -1500000000, 9, "-1.5") && again(&b, INT64_MIN, 9, "-9223372036.854775808"), "amounts as text");
	sums();
	buf_release(&b);
	return tap_done();
}
