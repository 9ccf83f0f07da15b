/*
 * openai_limits.h - what OpenAI's headers say about the rate, and Mistral's, for
 * openai.c and responses.c: how many requests and tokens are left, and until when.
 */
#ifndef OPENAI_LIMITS_H
#define OPENAI_LIMITS_H

#include "moongate_chat.h"

/* "6m0s", "2m59.56s", "20ms"; bare seconds, "49": milliseconds. */
static uint64_t duration_ms(struct mg_str s)
{
	uint64_t sum = 0, n = 0, unit = 1000;	/* n: thousandths */
	bool point = false;

	for (size_t i = 0; i < s.len; i++) {
		char ch = s.at[i];

		if (ch == '.') {
			point = true;
		} else if (ch >= '0' && ch <= '9') {
			n = n >= UINT32_MAX ? n : point ? n + (uint64_t)(ch - '0') * (unit /= 10) : n * 10 + (uint64_t)(ch - '0') * 1000;
		} else if (ch == 'm' && i + 1 < s.len && s.at[i + 1] == 's') {
			return sum + n / 1000;
		} else {
			sum += ch == 'h' ? n * 3600 : ch == 'm' ? n * 60 : ch == 's' ? n : 0;
			n = 0;
			unit = 1000;
			point = false;
		}
	}
	return n < 86400000 ? sum + n : sum;	/* else it is a time, and no duration */
}

static int limits(struct mg_call *c)
{
	static const struct { const char *name, *left, *all, *reset; } kinds[] = {
		{ "requests", "x-ratelimit-remaining-requests", "x-ratelimit-limit-requests", "x-ratelimit-reset-requests" },
		{ "tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-limit-tokens", "x-ratelimit-reset-tokens" },
		{ "tokens", "ratelimitbysize-remaining", "ratelimitbysize-limit", "ratelimitbysize-reset" },
	};
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !rc; i++) {
		struct mg_str left = h->answer(c, kinds[i].left);

		if (!left.at)
			continue;
		rc = mg_limit(c, kinds[i].name, left, h->answer(c, kinds[i].all), duration_ms(h->answer(c, kinds[i].reset)));
	}
	return rc;
}

#endif
