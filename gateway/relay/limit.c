/* limit.c - what an answer says of its upstream's limits: where nothing is left, others are better for a while. */
#include <stdlib.h>
#include "base/clock.h"
#include "catalog/live.h"
#include "relay/attempt_parts.h"

/* {"remaining":"0","limit":"500"}: of what comes back by and by, a hundredth, or what one takes, is there sooner. */
void attempt_note_limit(struct attempt *a, const struct mg_event *e)
{
	struct mg_view v = { NULL, 0 };
	struct mg_str left, all;
	uint64_t n;

	if (!e->reset_ms || json_parse(a->pool, e->extra, &v, NULL) != MG_OK)
		return;
	left = json_text(a->pool, json_get(v, "remaining"));
	all = json_text(a->pool, json_get(v, "limit"));
	n = all.at ? strtoull(all.at, NULL, 10) : 0;
	if (left.at && !strtoull(left.at, NULL, 10))
		live_exhausted(a->endpoint->live, e->reset_ms / (n && n < 100 ? n : 100), clock_ms());
}
