/* List prices: each bucket once, tiers, hours, one rounding. */
#include "policy/state.h"
#include "tap.h"

enum { MINUTE = 60000 };

static const struct {
	const char *claim;
	struct mg_usage u;
	int minute;
	int64_t nusd, prompt, completion;
} rows[] = {
	{ "nothing costs nothing", { 0 }, 0, 0, 0, 0 },
	{ "each bucket once", { .input = 600, .cached = 400, .output = 200, .reasoning = 50 }, 600, 1390000, 640000, 750000 },
	{ "units besides tokens", { .images_out = 2, .searches = 3, .requests = 1 }, 600, 2 * 10000000 + 3 * 4000000 + 500000, 0, 0 },
	{ "half a nano-dollar rounds up", { .characters = 1 }, 600, 8, 0, 0 },
	{ "rounded once, not a line at a time", { .characters = 1, .seconds = 1 }, 600, 15, 0, 0 },
	{ "just below the tier", { .input = 199999 }, 600, 199999000, 199999000, 0 },
	{ "from the threshold on all tokens cost more", { .input = 100000, .cached = 100000, .output = 10 }, 600, 200000000 + 20000000 + 60000, 220000000, 60000 },
	{ "the night is cheaper", { .input = 1000 }, 1400, 500000, 500000, 0 },
	{ "across midnight", { .input = 1000 }, 100, 500000, 500000, 0 },
	{ "until it ends", { .input = 1000 }, 300, 1000000, 1000000, 0 },
	{ "a later override wins rate by rate", { .input = 200000, .output = 1000 }, 1400, 100000000 + 6000000, 100000000, 6000000 },
};

static struct rate_override overrides[2] = {
	{ .min_prompt_tokens = 200000, .utc_start = -1, .utc_end = -1,
	  .rates = { { [RATE_PROMPT] = 2000000, [RATE_CACHE_READ] = 200000, [RATE_COMPLETION] = 6000000 } },
	  .given = 1u << RATE_PROMPT | 1u << RATE_CACHE_READ | 1u << RATE_COMPLETION },
	{ .utc_start = 1380, .utc_end = 300, .rates = { { [RATE_PROMPT] = 500000 } }, .given = 1u << RATE_PROMPT },
};
static const struct endpoint e = { .id = (char *)"a/b@c", .priced = true, .overrides = overrides, .n_overrides = 2,
	.rates = { { [RATE_PROMPT] = 1000000, [RATE_COMPLETION] = 3000000, [RATE_CACHE_READ] = 100000, [RATE_REASONING] = 3000000,
		[RATE_IMAGE] = 10000000000, [RATE_SEARCH] = 4000000000, [RATE_REQUEST] = 500000000, [RATE_CHARACTER] = 7500, [RATE_SECOND] = 7500 } } };

int main(void)
{
	struct mg_usage huge = { .input = UINT64_MAX, .cached = UINT64_MAX };
	struct bill b;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		list_price(&e, &rows[i].u, 1767744000000 + rows[i].minute * (int64_t)MINUTE, &b);
		ok(b.cost_nusd == rows[i].nusd && b.charge_nusd == rows[i].nusd && b.prompt_nusd == rows[i].prompt && b.completion_nusd == rows[i].completion,
			rows[i].claim);
	}
	ok(usage_prompt_tokens(&huge) == UINT64_MAX, "a sum beyond 64 bits stays at the end");
	list_price(&e, &huge, 0, &b);
	ok(b.cost_nusd == MONEY_MOST && b.charge_nusd == MONEY_MOST, "an absurd amount stays at the most that one generation costs");
	return tap_done();
}
