/* Health of an endpoint, told as stories in time. */
#include <pthread.h>
#include "catalog/live.h"
#include "tap.h"

static uint64_t now = 1000000;

static void attempt(struct live *l, bool ok_, enum mg_error kind)
{
	struct live_outcome o = { .ok = ok_, .counts = true, .kind = kind, .ttft_us = 200000, .total_us = 1200000, .output_tokens = 100,
		.input_tokens = 1000, .cached_tokens = 250 };

	live_begin(l, now);
	live_end(l, &o, now);
}

static struct live_facts facts(struct live *l)
{
	struct live_facts f;

	live_read(l, now, &f);
	return f;
}

static bool near(double a, double b)
{
	return a > b * 0.88 && a < b * 1.12;
}

static void counting(void)
{
	struct live *l = live_new();
	struct live_facts f = facts(l);
	struct live_pcts ttft, tput;

	ok(f.outage_ago_ms == INT64_MAX && f.uptime_30m == 1 && !f.samples && f.ttft_ms.p50 == 0 && !f.breaker, "fresh: nothing is known");
	for (int i = 0; i < 30; i++)
		attempt(l, true, 0);
	attempt(l, false, MG_E_SERVER);
	attempt(l, false, MG_E_RATE_LIMITED);
	attempt(l, false, MG_E_BAD_REQUEST);
	now += 600;
	f = facts(l);
	ok(f.samples == 31 && near(f.error_rate, 1.0 / 31) && near(f.rate_429, 1.0 / 32), "a caller's mistake counts for nothing, a limit apart");
	ok(near(f.ttft_ms.p50, 200) && near(f.latency_ms.p99, 1200) && near(f.tput_tps.p90, 100), "percentiles within a bin");
	ok(near(f.cache_hit, 0.25) && f.inflight == 0, "cached part of the prompts");
	live_begin(l, now);
	ok(facts(l).inflight == 1, "in flight at once");
	now += 301000;
	f = facts(l);
	ok(!f.samples && f.ttft_ms.p50 == 0 && near(f.uptime_30m, 30.0 / 31), "after five minutes rates are forgotten, uptime is not");
	live_last_30m(l, now, &ttft, &tput);
	ok(near(ttft.p50, 200) && near(tput.p50, 100), "nor are the percentiles of half an hour");
	now += 1900000;
	f = facts(l);
	ok(f.uptime_30m == 1 && !f.samples_30m && near(f.uptime_1d, 30.0 / 31) && f.samples_1d == 31, "after thirty minutes that is, too; the day is not");
	live_last_30m(l, now, &ttft, &tput);
	ok(ttft.p50 == 0 && tput.p50 == 0, "nor are there percentiles");
	now += 86400000;
	f = facts(l);
	ok(f.uptime_1d == 1 && !f.samples_1d, "after a day all of it");
	live_unref(l);
}

static void breaking(void)
{
	struct live *l = live_new();
	struct live_outcome limited = { .kind = MG_E_RATE_LIMITED, .counts = true, .retry_after_ms = 7000 };
	struct live_outcome own = { .kind = MG_E_AUTH, .counts = false };
	struct live_outcome gone = { .cancelled = true, .kind = MG_E_CANCELLED };
	int64_t first;

	for (int i = 0; i < 20; i++) {
		live_begin(l, now);
		live_end(l, &own, now);
	}
	ok(live_allow(l, now) && !facts(l).samples, "somebody's own bad key never opens it");
	live_begin(l, now);
	live_end(l, &limited, now);
	ok(live_allow(l, now) && facts(l).cooldown_ms == 7000, "Retry-After is a cool-down, the breaker stays closed");
	attempt(l, false, MG_E_SERVER);
	attempt(l, false, MG_E_TIMEOUT);
	ok(facts(l).outage_ago_ms == INT64_MAX, "two failures are no outage");
	attempt(l, false, MG_E_CONNECT);
	now += 100;
	ok(facts(l).outage_ago_ms == 100 && live_allow(l, now), "three are, and it may still be tried");
	attempt(l, false, MG_E_SERVER);
	attempt(l, false, MG_E_SERVER);
	first = facts(l).cooldown_ms;
	ok(!live_allow(l, now) && facts(l).breaker == 2 && first >= 5000, "five open the breaker");
	now += 10000;
	ok(facts(l).breaker == 1 && live_allow(l, now) && !live_allow(l, now), "after the cool-down one probe goes, not a herd");
	live_begin(l, now);
	live_end(l, &gone, now);
	ok(live_allow(l, now), "a probe that was cancelled makes room for another");
	attempt(l, false, MG_E_SERVER);
	ok(!live_allow(l, now) && facts(l).cooldown_ms >= 10000, "a probe that fails opens it for longer");
	now += 30000;
	ok(live_allow(l, now), "again one probe");
	attempt(l, true, 0);
	ok(live_allow(l, now) && live_allow(l, now) && !facts(l).breaker, "a probe that works closes it");
	attempt(l, false, MG_E_SERVER);
	ok(live_allow(l, now), "what was before is forgiven");
	live_unref(l);
}

static void late(struct live *l, bool slow)
{
	live_begin(l, now);
	live_end(l, &(struct live_outcome){ .ok = true, .counts = true, .slow = slow, .ttft_us = 90000000, .total_us = 91000000 }, now);
}

static void dragging(void)
{
	struct live *l = live_new();

	for (int i = 0; i < 4; i++)
		late(l, true);
	ok(live_allow(l, now) && !facts(l).breaker, "four late answers");
	late(l, true);
	ok(!live_allow(l, now) && facts(l).breaker == 2 && facts(l).outage_ago_ms == 0, "five open the breaker, though all were good");
	now += 10000;
	ok(live_allow(l, now), "one probe");
	late(l, true);
	ok(!live_allow(l, now) && facts(l).breaker == 2, "late again: open for longer");
	now += 30000;
	ok(live_allow(l, now) && !live_allow(l, now), "the next probe");
	live_unallow(l);
	ok(live_allow(l, now), "that is not sent makes room for another");
	late(l, false);
	ok(!facts(l).breaker, "in time: closed");
	for (int i = 0; i < 20; i++)
		late(l, i % 2);
	ok(!facts(l).breaker, "every second one late: not yet");
	live_unref(l);
}

enum { THREADS = 4, TIMES = 20000 };

static void *hammer(void *arg)
{
	struct live_outcome o = { .ok = true, .counts = true, .ttft_us = 1000, .total_us = 9000, .output_tokens = 5 };
	struct live_facts f;

	for (uint64_t i = 0; i < TIMES; i++) {
		live_begin(arg, 5000000 + i / 4);
		live_end(arg, &o, 5000000 + i / 4);
		live_allow(arg, 5000000 + i / 4);
		if (i % 64 == 0)
			live_read(arg, 5000000 + i / 4, &f);
	}
	return NULL;
}

static void together(void)
{
	struct live *l = live_new();
	struct live_facts f;
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, hammer, l);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	live_read(l, 5000000 + TIMES / 4 + 1000, &f);
	ok(f.inflight == 0 && f.samples > THREADS * TIMES * 99 / 100 && f.samples <= THREADS * TIMES, "threads count together");
	live_unref(l);
}

int main(void)
{
	counting();
	breaking();
	dragging();
	together();
	return tap_done();
}
