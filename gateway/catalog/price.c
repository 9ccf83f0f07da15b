/* price.c - the rates of an endpoint at a moment; what a usage comes to by them is said by policy/billing.c. */
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
