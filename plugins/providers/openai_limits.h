/*
 * openai_limits.h - what OpenAI's headers say about the rate, for openai.c and
 * responses.c: how many requests and tokens are left, and until when.
 */
#ifndef OPENAI_LIMITS_H
#define OPENAI_LIMITS_H

#include <stdio.h>

#include "moongate.h"

/* "6m0s", "2m59.56s", "20ms": milliseconds. */
static uint64_t duration_ms(struct mg_str s)
{
	uint64_t sum = 0, n = 0, unit = 1000;	/* n: thousandths */
	bool point = false;

	for (size_t i = 0; i < s.len; i++) {
		char ch = s.at[i];

		if (ch == '.') {
			point = true;
		} else if (ch >= '0' && ch <= '9' && n < UINT32_MAX) {
			n = point ? n + (uint64_t)(ch - '0') * (unit /= 10) : n * 10 + (uint64_t)(ch - '0') * 1000;
		} else if (ch == 'm' && i + 1 < s.len && s.at[i + 1] == 's') {
			return sum + n / 1000;
		} else {
			sum += ch == 'h' ? n * 3600 : ch == 'm' ? n * 60 : ch == 's' ? n : 0;
			n = 0;
			unit = 1000;
			point = false;
		}
	}
	return sum;
}

static int limits(struct mg_call *c)
{
	static const char *const names[] = { "requests", "tokens" };
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	for (size_t i = 0; i < 2 && !rc; i++) {
		struct mg_writer *w = h->writer(c);
		struct mg_str left, all;
		char name[48];

		snprintf(name, sizeof(name), "x-ratelimit-remaining-%s", names[i]);
		left = h->answer(c, name);
		snprintf(name, sizeof(name), "x-ratelimit-limit-%s", names[i]);
		all = h->answer(c, name);
		if (!left.at)
			continue;
		snprintf(name, sizeof(name), "x-ratelimit-reset-%s", names[i]);
		h->open(w, NULL, '{');
		h->put(w, "remaining", left);
		h->put(w, "limit", all);
		h->close(w);
		rc = h->emit(c, MG_EVENT(MG_EV_LIMIT, .name = { names[i], strlen(names[i]) }, .extra = h->written(w),
			.reset_ms = duration_ms(h->answer(c, name))));
	}
	return rc;
}

#endif
