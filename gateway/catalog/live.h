/*
 * live.h - how an endpoint does: outages, errors, latency, throughput, what is
 * in flight.  Counted with atomics by every worker over a sliding window of
 * 5 minutes in buckets of 10 s, so nothing ever walks a history; read as a struct.
 */
#ifndef CATALOG_LIVE_H
#define CATALOG_LIVE_H

#include "moongate.h"

struct live;
struct live_pcts { double p50, p75, p90, p99; };	/* whole millionths */
struct live_facts {
	int64_t outage_ago_ms;		/* INT64_MAX: never */
	int64_t cooldown_ms;		/* rest of a cool-down; 0: none */
	double error_rate, rate_429, cache_hit;	/* 0..1, whole millionths */
	uint64_t inflight, samples;
	struct live_pcts ttft_ms, latency_ms, tput_tps;	/* tput: p90 = 90 % are at least this fast */
	double uptime_30m, uptime_1d;	/* 0..1; 1 without samples */
	uint64_t samples_30m, samples_1d;
	int breaker;			/* 0 closed, 1 half open, 2 open */
};

struct live *live_new(void);
struct live *live_ref(struct live *l);
void live_unref(struct live *l);

/* now_ms: monotonic.  An attempt begins and ends exactly once.  Rates and percentiles
 * are added up twice a second; in flight, cool-down, outage and breaker are exact. */
void live_begin(struct live *l, uint64_t now_ms);
struct live_outcome { bool ok, cancelled, counts; /* counts: false for a caller's mistake (400, a bad own key) */
	bool slow;	/* ok, but later than this endpoint may take: too many open the breaker, too */
	enum mg_error kind; uint32_t retry_after_ms; /* input_tokens: the whole prompt, cached ones included */
	 uint64_t ttft_us, total_us, output_tokens, input_tokens, cached_tokens; };
void live_end(struct live *l, const struct live_outcome *o, uint64_t now_ms);
/* The upstream says that its limit is used up: nothing more for so long, as far as others can answer. */
void live_exhausted(struct live *l, uint64_t wait_ms, uint64_t now_ms);
/* R34: may a request be sent?  An open breaker lets one probe through after its cool-down. */
bool live_allow(struct live *l, uint64_t now_ms);
void live_unallow(struct live *l);	/* what was allowed is not sent after all */
void live_read(const struct live *l, uint64_t now_ms, struct live_facts *out);
/* Added up now, for those who look at a page: zeros without samples. */
void live_last_30m(const struct live *l, uint64_t now_ms, struct live_pcts *ttft_ms, struct live_pcts *tput_tps);
int live_breaker(const struct live *l, uint64_t now_ms);	/* 0 closed, 1 half open, 2 open; -1: it was never asked */

#endif
