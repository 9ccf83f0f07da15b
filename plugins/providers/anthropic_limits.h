/*
 * anthropic_limits.h - what the headers say about the rate: how much is left of each
 * kind, and when all of it is there again, as a time by the server's own clock.
 */
#ifndef ANTHROPIC_LIMITS_H
#define ANTHROPIC_LIMITS_H

#include <stdio.h>
#include <time.h>

#include "moongate_chat.h"

static time_t time_of(struct mg_str s, const char *format)
{
	struct tm tm = { .tm_mday = 1 };
	char text[40];

	snprintf(text, sizeof(text), "%.*s", (int)(s.len < sizeof(text) ? s.len : 0), s.at ? s.at : "");
	return strptime(text, format, &tm) ? timegm(&tm) : 0;
}

/* Without a date of the answer there is no clock to go by. */
static uint64_t until_ms(struct mg_str reset, struct mg_str date)
{
	time_t then = time_of(reset, "%Y-%m-%dT%H:%M:%S"), now = time_of(date, "%a, %d %b %Y %H:%M:%S GMT");

	return now && then > now && then - now < 86400 ? (uint64_t)(then - now) * 1000 : 0;
}

static int limits(struct mg_call *c)
{
	static const struct { const char *name, *left, *all, *reset; } kinds[] = {
#define KIND(k) { #k, "anthropic-ratelimit-" #k "-remaining", "anthropic-ratelimit-" #k "-limit", "anthropic-ratelimit-" #k "-reset" }
		KIND(requests), KIND(tokens), KIND(input-tokens), KIND(output-tokens)
#undef KIND
	};
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !rc; i++) {
		struct mg_str left = h->answer(c, kinds[i].left);

		if (!left.at)
			continue;
		rc = mg_limit(c, kinds[i].name, left, h->answer(c, kinds[i].all), until_ms(h->answer(c, kinds[i].reset), h->answer(c, "date")));
	}
	return rc;
}

#endif
