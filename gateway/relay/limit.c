/* limit.c - what an answer says of its upstream's limits: where nothing is left, others are better for a while. */
#include <stdlib.h>
#include "base/clock.h"
#include "catalog/live.h"
#include "relay/attempt_parts.h"

/* Of what headers say; some say a word.  A quote stands behind it. */
static bool number(struct mg_str s, uint64_t *n)
{
	if (!s.len || *s.at < '0' || *s.at > '9')
		return false;
	*n = strtoull(s.at, NULL, 10);
	return true;
}

/* {"remaining":"0","limit":"500"}: of what comes back by and by, a hundredth, or what one takes, is there sooner. */
void attempt_note_limit(struct attempt *a, const struct mg_event *e)
{
	struct mg_view v = { NULL, 0 };
	uint64_t left, all = 0;

	if (!e->reset_ms || json_parse(a->pool, e->extra, &v, NULL) != MG_OK)
		return;
	number(json_text(a->pool, json_get(v, "limit")), &all);
	if (number(json_text(a->pool, json_get(v, "remaining")), &left) && !left)
		live_exhausted(a->endpoint->live, e->reset_ms / (all && all < 100 ? all : 100), clock_ms());
}
