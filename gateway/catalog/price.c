/* List prices: each bucket once, 128-bit sums, one rounding. */
#include "base/money.h"
#include "catalog/catalog.h"

const char *const rate_names[RATE_COUNT] = { "prompt", "completion", "cache_read", "cache_write", "cache_write_1h", "reasoning",
	"image_tokens", "audio_in", "audio_cache", "audio_out", "image", "search", "request", "character", "second" };

uint64_t usage_prompt_tokens(const struct mg_usage *u)
{
	const uint64_t parts[] = { u->input, u->cached, u->cache_write, u->cache_write_1h, u->image_tokens, u->audio_in, u->audio_cached };
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (__builtin_add_overflow(sum, parts[i], &sum))
			return UINT64_MAX;
	return sum;
}

static bool applies(const struct rate_override *o, uint64_t prompt_tokens, int minute)
{
	if (prompt_tokens < o->min_prompt_tokens)
		return false;
	if (o->utc_start < 0)
		return true;
	if (o->utc_start <= o->utc_end)
		return minute >= o->utc_start && minute < o->utc_end;
	return minute >= o->utc_start || minute < o->utc_end;
}

void endpoint_rates(const struct endpoint *e, uint64_t prompt_tokens, int64_t at_ms, struct rates *out)
{
	int minute = (int)((at_ms < 0 ? 0 : at_ms) / 60000 % 1440);

	*out = e->rates;
	for (size_t i = 0; i < e->n_overrides; i++) {
		const struct rate_override *o = &e->overrides[i];

		if (!applies(o, prompt_tokens, minute))
			continue;
		for (int k = 0; k < RATE_COUNT; k++)
			if (o->given & (1u << k))
				out->pusd[k] = o->rates.pusd[k];
	}
}

int endpoint_price(const struct endpoint *e, const struct mg_usage *u, int64_t at_ms, struct priced *out, struct err *err)
{
	const struct { uint64_t qty; enum rate rate; int part; } lines[] = {
		{ u->input, RATE_PROMPT, 0 }, { u->cached, RATE_CACHE_READ, 0 },
		{ u->cache_write, RATE_CACHE_WRITE, 0 }, { u->cache_write_1h, RATE_CACHE_WRITE_1H, 0 },
		{ u->image_tokens, RATE_IMAGE_TOKENS, 0 }, { u->audio_in, RATE_AUDIO_IN, 0 }, { u->audio_cached, RATE_AUDIO_CACHE, 0 },
		{ u->output, RATE_COMPLETION, 1 }, { u->reasoning, RATE_REASONING, 1 }, { u->audio_out, RATE_AUDIO_OUT, 1 },
		{ u->images_out, RATE_IMAGE, 2 }, { u->searches, RATE_SEARCH, 2 }, { u->requests, RATE_REQUEST, 2 },
		{ u->characters, RATE_CHARACTER, 2 }, { u->seconds, RATE_SECOND, 2 },
	};
	money_sum parts[3] = { 0, 0, 0 };
	struct rates rates;

	if (!e->priced)
		return fail(err, MG_EDENIED, "%s has no price\nhint: give the endpoint one, price = { input = 0, output = 0 } where it costs nothing", e->id);
	endpoint_rates(e, usage_prompt_tokens(u), at_ms, &rates);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (money_add(&parts[lines[i].part], lines[i].qty, rates.pusd[lines[i].rate]))
			return fail(err, MG_EINVAL, "%s: %llu units of %s are no amount that can be priced", e->id,
				(unsigned long long)lines[i].qty, rate_names[lines[i].rate]);
	*out = (struct priced){ .nusd = money_round(parts[0] + parts[1] + parts[2]),
		.prompt_nusd = money_round(parts[0]), .completion_nusd = money_round(parts[1]) };
	return MG_OK;
}
