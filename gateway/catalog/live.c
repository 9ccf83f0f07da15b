/*
 * Rings of buckets, each with the number of its interval: whoever finds an old
 * one clears it.  A sample that comes while another thread clears is dropped;
 * that is rarer than one in a million and costs a count, never a wait.
 */
#include <math.h>
#include <stdatomic.h>
#include "base/crypto.h"
#include "catalog/live.h"

enum { SPAN_MS = 10000, SPANS = 30, LONG_MS = 300000, LONGS = 6, MINUTE_MS = 60000, MINUTES = 30, HOUR_MS = 3600000, HOURS = 24,
	BINS = 80, BINS_PER_OCTAVE = 4,	/* 1 to 2^20: ms, tokens per second; a bin is 19 % wide */
	TRIP = 5, OUTAGE = 3,		/* failures in 10 to 20 s, and at least half of the attempts; slow ones: four fifths */
	COOL_MS = 5000, COOL_MAX_MS = 60000, RETRY_AFTER_MAX_MS = 60000, PROBE_MS = 60000 };

enum { OK, ERROR, LIMITED, PROMPT, CACHED, COUNTERS };
enum { TTFT, LATENCY, TPUT, HISTOGRAMS };

struct span { _Atomic uint64_t number; _Atomic uint64_t count[COUNTERS]; _Atomic uint32_t bin[HISTOGRAMS][BINS]; };
/* Adding up the rings costs microseconds, and routing reads every candidate: so it is done twice a second. */
enum { SUM_MS = 500 };
enum { S_ERRORS, S_LIMITED, S_CACHED, S_SAMPLES, S_UPTIME, S_SAMPLES_30M, S_UPTIME_1D, S_SAMPLES_1D, S_PCTS, SUMS = S_PCTS + 4 * 3 };

struct tally { _Atomic uint64_t number; _Atomic uint32_t count[2]; };

struct live {
	_Atomic unsigned refs;
	_Atomic int64_t inflight;
	_Atomic bool asked;				/* ever */
	_Atomic uint64_t outage_at, cooldown_until;	/* monotonic ms; 0: never */
	_Atomic uint64_t open_until, probe_at;		/* 0: closed; nobody probes */
	_Atomic unsigned openings;			/* in a row */
	_Atomic uint64_t recent, dragging;		/* number << 32 | attempts << 16 | failures, or slow ones */
	_Atomic uint64_t summed_at;			/* monotonic ms + 1; 0: never */
	_Atomic double sums[SUMS];			/* what the rings said then */
	struct span spans[SPANS];
	struct span longs[LONGS];			/* half an hour, of times alone */
	struct tally minutes[MINUTES], hours[HOURS];
};

#define GET(x) atomic_load_explicit(&(x), memory_order_relaxed)
#define PUT(x, v) atomic_store_explicit(&(x), (v), memory_order_relaxed)
#define ADD(x, v) ((void)atomic_fetch_add_explicit(&(x), (v), memory_order_relaxed))

static const uint64_t CLEARING = UINT64_MAX;

struct live *live_new(void)
{
	struct live *l = calloc(1, sizeof(*l));

	if (l)
		atomic_init(&l->refs, 1);
	return l;
}

struct live *live_ref(struct live *l)
{
	if (l)
		ADD(l->refs, 1);
	return l;
}

void live_unref(struct live *l)
{
	if (l && atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) == 1)
		free(l);
}

/* ---- rings.  Intervals are counted from 1, so that 0 is a bucket never used. */

/* True: the bucket is of interval n, or of a later one. */
static bool claim(_Atomic uint64_t *number, uint64_t n, void (*clear)(void *), void *bucket)
{
	uint64_t was = atomic_load_explicit(number, memory_order_acquire);

	if (was == CLEARING)
		return false;
	if (was >= n)
		return true;
	if (!atomic_compare_exchange_strong_explicit(number, &was, CLEARING, memory_order_acq_rel, memory_order_relaxed))
		return false;
	clear(bucket);
	atomic_store_explicit(number, n, memory_order_release);
	return true;
}

static void clear_span(void *bucket)
{
	struct span *s = bucket;

	for (int i = 0; i < COUNTERS; i++)
		PUT(s->count[i], 0);
	for (int h = 0; h < HISTOGRAMS; h++)
		for (int i = 0; i < BINS; i++)
			PUT(s->bin[h][i], 0);
}

static void clear_tally(void *bucket)
{
	struct tally *t = bucket;

	PUT(t->count[OK], 0);
	PUT(t->count[ERROR], 0);
}

static struct span *span_now(struct span *ring, uint64_t size, uint64_t every_ms, uint64_t now_ms)
{
	uint64_t n = now_ms / every_ms + 1;
	struct span *s = &ring[n % size];

	return claim(&s->number, n, clear_span, s) ? s : NULL;
}

/* One more that was ok or not, in a ring of size intervals of every_ms. */
static void tally(struct tally *ring, uint64_t size, uint64_t every_ms, uint64_t now_ms, bool good)
{
	uint64_t n = now_ms / every_ms + 1;
	struct tally *t = &ring[n % size];

	if (claim(&t->number, n, clear_tally, t))
		ADD(t->count[good ? OK : ERROR], 1);
}

static void sample(struct span *const s[2], int histogram, double value)
{
	double place = value > 1 ? log2(value) * BINS_PER_OCTAVE : 0;
	int bin = place < BINS ? (int)place : BINS - 1;

	for (int i = 0; i < 2; i++)
		if (s[i])
			ADD(s[i]->bin[histogram][bin], 1);
}

/* ---- the breaker: closed --TRIP failures--> open --cool-down--> one probe --> closed, or open for longer */

static void open_breaker(struct live *l, uint64_t now_ms)
{
	unsigned n = atomic_fetch_add_explicit(&l->openings, 1, memory_order_relaxed);
	uint64_t cool = (uint64_t)COOL_MS << (n < 5 ? n : 5);
	uint64_t seed[2] = { now_ms, (uintptr_t)l };

	if (cool > COOL_MAX_MS)
		cool = COOL_MAX_MS;
	cool += hash64(seed, sizeof(seed), n) % (cool / 4);	/* not all endpoints at once */
	PUT(l->outage_at, now_ms + 1);
	PUT(l->probe_at, 0);
	PUT(l->open_until, now_ms + cool);
}

static void close_breaker(struct live *l)
{
	PUT(l->recent, 0);
	PUT(l->dragging, 0);
	PUT(l->openings, 0);
	PUT(l->probe_at, 0);
	PUT(l->open_until, 0);
}

/* Counts one attempt in the last 10 s plus half of what was before; the new counts. */
static void recently(_Atomic uint64_t *at, bool failed, uint64_t now_ms, unsigned *attempts, unsigned *failures)
{
	uint64_t was = GET(*at), next, number = (now_ms / SPAN_MS + 1) & UINT32_MAX;

	do {
		uint64_t age = (number - (was >> 32)) & UINT32_MAX;

		*attempts = (unsigned)(was >> 16 & 0xffff) >> (age > 1 ? 16 : age);
		*failures = (unsigned)(was & 0xffff) >> (age > 1 ? 16 : age);
		if (*attempts == 0xffff) {
			*attempts /= 2;
			*failures /= 2;
		}
		*attempts += 1;
		*failures += failed;
		next = number << 32 | (uint64_t)*attempts << 16 | *failures;
	} while (!atomic_compare_exchange_weak_explicit(at, &was, next, memory_order_relaxed, memory_order_relaxed));
}

/* Too many answers that came late: as good as none, to those who wait. */
static void judge_pace(struct live *l, bool slow, uint64_t now_ms)
{
	unsigned attempts, late;

	if (!slow && !GET(l->dragging))
		return;
	recently(&l->dragging, slow, now_ms, &attempts, &late);
	if (slow && late >= TRIP && late * 5 >= attempts * 4)
		open_breaker(l, now_ms);
}

static void judge(struct live *l, bool failed, bool slow, uint64_t now_ms)
{
	uint64_t until = GET(l->open_until);
	unsigned attempts, failures;

	if (until && now_ms < until)
		return;		/* an attempt from before it opened */
	if (until) {
		if (failed || slow)
			open_breaker(l, now_ms);
		else
			close_breaker(l);
		return;
	}
	recently(&l->recent, failed, now_ms, &attempts, &failures);
	if (!failed)
		judge_pace(l, slow, now_ms);
	if (!failed || failures * 2 < attempts)
		return;
	if (failures >= OUTAGE)
		PUT(l->outage_at, now_ms + 1);
	if (failures >= TRIP)
		open_breaker(l, now_ms);
}

bool live_allow(struct live *l, uint64_t now_ms)
{
	uint64_t until = GET(l->open_until), probe;

	if (!until)
		return true;
	if (now_ms < until)
		return false;
	probe = GET(l->probe_at);
	if (probe && now_ms < probe + PROBE_MS)
		return false;
	return atomic_compare_exchange_strong_explicit(&l->probe_at, &probe, now_ms ? now_ms : 1,
		memory_order_relaxed, memory_order_relaxed);
}

void live_unallow(struct live *l)
{
	PUT(l->probe_at, 0);
}

/* ---- attempts */

void live_begin(struct live *l, uint64_t now_ms)
{
	(void)now_ms;
	ADD(l->inflight, 1);
	if (!GET(l->asked))
		PUT(l->asked, true);
}

static bool callers_fault(enum mg_error kind)
{
	return kind == MG_E_BAD_REQUEST || kind == MG_E_CONTEXT_LENGTH || kind == MG_E_MODERATION || kind == MG_E_CANCELLED;
}

static void measure(struct span *const s[2], const struct live_outcome *o)
{
	uint64_t writing_us = o->total_us > o->ttft_us ? o->total_us - o->ttft_us : 0;

	if (o->ttft_us)
		sample(s, TTFT, (double)o->ttft_us / 1e3);
	if (o->total_us)
		sample(s, LATENCY, (double)o->total_us / 1e3);
	if (o->output_tokens > 1 && writing_us)
		sample(s, TPUT, (double)o->output_tokens * 1e6 / (double)writing_us);
	if (!s[0])
		return;
	ADD(s[0]->count[PROMPT], o->input_tokens);
	ADD(s[0]->count[CACHED], o->cached_tokens);
}

void live_end(struct live *l, const struct live_outcome *o, uint64_t now_ms)
{
	bool limited = !o->ok && o->kind == MG_E_RATE_LIMITED;
	struct span *s = span_now(l->spans, SPANS, SPAN_MS, now_ms);

	ADD(l->inflight, -1);
	if (!o->ok && o->retry_after_ms && o->counts) {
		uint64_t wait = o->retry_after_ms < RETRY_AFTER_MAX_MS ? o->retry_after_ms : RETRY_AFTER_MAX_MS;

		PUT(l->cooldown_until, now_ms + wait);
	}
	if (o->cancelled || (!o->ok && (!o->counts || callers_fault(o->kind)))) {
		PUT(l->probe_at, 0);	/* it told nothing: the next one may try */
		return;
	}
	if (s)
		ADD(s->count[limited ? LIMITED : o->ok ? OK : ERROR], 1);
	if (o->ok)
		measure((struct span *const[2]){ s, span_now(l->longs, LONGS, LONG_MS, now_ms) }, o);
	if (limited) {
		PUT(l->probe_at, 0);
		return;
	}
	tally(l->minutes, MINUTES, MINUTE_MS, now_ms, o->ok);
	tally(l->hours, HOURS, HOUR_MS, now_ms, o->ok);
	judge(l, !o->ok, o->slow, now_ms);
}

void live_exhausted(struct live *l, uint64_t wait_ms, uint64_t now_ms)
{
	uint64_t until = now_ms + (wait_ms < RETRY_AFTER_MAX_MS ? wait_ms : RETRY_AFTER_MAX_MS);

	if (until > GET(l->cooldown_until))
		PUT(l->cooldown_until, until);
}

/* ---- reading */

struct sums { uint64_t count[COUNTERS]; uint64_t bin[HISTOGRAMS][BINS], n[HISTOGRAMS]; };

static void add_span(struct sums *sum, const struct span *s)
{
	for (int i = 0; i < COUNTERS; i++)
		sum->count[i] += GET(s->count[i]);
	for (int h = 0; h < HISTOGRAMS; h++)
		for (int i = 0; i < BINS; i++) {
			uint32_t n = GET(s->bin[h][i]);

			sum->bin[h][i] += n;
			sum->n[h] += n;
		}
}

/* A bin is 19 % wide: of its middle three digits are said, so that a record of what policies saw is short, and exact. */
static double said(double x)
{
	return x >= 100 ? rint(x) : x >= 10 ? rint(x * 10) / 10 : rint(x * 100) / 100;
}

/* The middle of the bin that holds the part of the samples, from below. */
static double percentile(const struct sums *sum, int histogram, double part)
{
	double want = part * (double)sum->n[histogram];
	uint64_t seen = 0;

	for (int i = 0; i < BINS; i++) {
		seen += sum->bin[histogram][i];
		if (seen && (double)seen >= want)
			return said(exp2((i + 0.5) / BINS_PER_OCTAVE));
	}
	return 0;
}

static struct live_pcts percentiles(const struct sums *sum, int h)
{
	if (!sum->n[h])
		return (struct live_pcts){ 0, 0, 0, 0 };
	if (h == TPUT)	/* p90: 90 % are at least this fast */
		return (struct live_pcts){ percentile(sum, h, .5), percentile(sum, h, .25), percentile(sum, h, .1), percentile(sum, h, .01) };
	return (struct live_pcts){ percentile(sum, h, .5), percentile(sum, h, .75), percentile(sum, h, .9), percentile(sum, h, .99) };
}

static double uptime(const struct tally *ring, uint64_t size, uint64_t every_ms, uint64_t now_ms, uint64_t *samples)
{
	uint64_t n = now_ms / every_ms + 1, good = 0, bad = 0;

	for (uint64_t i = 0; i < size; i++) {
		uint64_t number = atomic_load_explicit(&ring[i].number, memory_order_acquire);

		if (number == CLEARING || !number || number > n || number + size <= n)
			continue;
		good += GET(ring[i].count[OK]);
		bad += GET(ring[i].count[ERROR]);
	}
	*samples = good + bad;
	return good + bad ? rint((double)good * 1e6 / (double)(good + bad)) / 1e6 : 1;
}

static int64_t rest(uint64_t until, uint64_t now_ms)
{
	return until > now_ms ? (int64_t)(until - now_ms) : 0;
}

static double share(uint64_t part, uint64_t all)	/* in millionths */
{
	return !all ? 0 : part >= all ? 1 : rint((double)part * 1e6 / (double)all) / 1e6;
}

static void keep_pcts(struct live *l, int h, struct live_pcts p)
{
	_Atomic double *to = &l->sums[S_PCTS + 4 * h];

	PUT(to[0], p.p50);
	PUT(to[1], p.p75);
	PUT(to[2], p.p90);
	PUT(to[3], p.p99);
}

static struct live_pcts kept_pcts(const struct live *l, int h)
{
	const _Atomic double *at = &l->sums[S_PCTS + 4 * h];

	return (struct live_pcts){ GET(at[0]), GET(at[1]), GET(at[2]), GET(at[3]) };
}

static void add_ring(struct sums *sum, const struct span *ring, uint64_t size, uint64_t every_ms, uint64_t now_ms)
{
	uint64_t n = now_ms / every_ms + 1;

	memset(sum, 0, sizeof(*sum));
	for (uint64_t i = 0; i < size; i++) {
		uint64_t number = atomic_load_explicit(&ring[i].number, memory_order_acquire);

		if (number != CLEARING && number && number <= n && number + size > n)
			add_span(sum, &ring[i]);
	}
}

static void sum_up(struct live *l, uint64_t now_ms)
{
	struct sums sum;
	uint64_t samples;

	add_ring(&sum, l->spans, SPANS, SPAN_MS, now_ms);
	PUT(l->sums[S_ERRORS], share(sum.count[ERROR], sum.count[OK] + sum.count[ERROR]));
	PUT(l->sums[S_LIMITED], share(sum.count[LIMITED], sum.count[OK] + sum.count[ERROR] + sum.count[LIMITED]));
	PUT(l->sums[S_CACHED], share(sum.count[CACHED], sum.count[PROMPT]));
	PUT(l->sums[S_SAMPLES], (double)(sum.count[OK] + sum.count[ERROR]));
	PUT(l->sums[S_UPTIME], uptime(l->minutes, MINUTES, MINUTE_MS, now_ms, &samples));
	PUT(l->sums[S_SAMPLES_30M], (double)samples);
	PUT(l->sums[S_UPTIME_1D], uptime(l->hours, HOURS, HOUR_MS, now_ms, &samples));
	PUT(l->sums[S_SAMPLES_1D], (double)samples);
	for (int h = 0; h < HISTOGRAMS; h++)
		keep_pcts(l, h, percentiles(&sum, h));
}

/* One thread adds up; the others take what is there, which is half a second old at most. */
static void refresh(struct live *l, uint64_t now_ms)
{
	uint64_t was = GET(l->summed_at);

	if (was && now_ms + 1 < was + SUM_MS)
		return;
	if (!was)	/* nothing is there yet: whoever needs it adds up */
		sum_up(l, now_ms);
	if (atomic_compare_exchange_strong_explicit(&l->summed_at, &was, now_ms + 1, memory_order_relaxed, memory_order_relaxed) && was)
		sum_up(l, now_ms);
}

void live_read(const struct live *const_live, uint64_t now_ms, struct live_facts *out)
{
	struct live *l = (struct live *)const_live;	/* but for what it remembers of itself */
	uint64_t outage = GET(l->outage_at), open = GET(l->open_until);
	int64_t inflight = GET(l->inflight), cool = rest(GET(l->cooldown_until), now_ms);

	refresh(l, now_ms);
	*out = (struct live_facts){
		.outage_ago_ms = !outage ? INT64_MAX : outage - 1 >= now_ms ? 0 : (int64_t)(now_ms - (outage - 1)),
		.cooldown_ms = rest(open, now_ms) > cool ? rest(open, now_ms) : cool,
		.error_rate = GET(l->sums[S_ERRORS]), .rate_429 = GET(l->sums[S_LIMITED]), .cache_hit = GET(l->sums[S_CACHED]),
		.inflight = inflight > 0 ? (uint64_t)inflight : 0,
		.samples = (uint64_t)GET(l->sums[S_SAMPLES]),
		.ttft_ms = kept_pcts(l, TTFT), .latency_ms = kept_pcts(l, LATENCY), .tput_tps = kept_pcts(l, TPUT),
		.uptime_30m = GET(l->sums[S_UPTIME]), .uptime_1d = GET(l->sums[S_UPTIME_1D]),
		.samples_30m = (uint64_t)GET(l->sums[S_SAMPLES_30M]), .samples_1d = (uint64_t)GET(l->sums[S_SAMPLES_1D]),
		.breaker = !open ? 0 : now_ms < open ? 2 : 1,
	};
}

void live_last_30m(const struct live *l, uint64_t now_ms, struct live_pcts *ttft_ms, struct live_pcts *tput_tps)
{
	struct sums sum;

	add_ring(&sum, l->longs, LONGS, LONG_MS, now_ms);
	*ttft_ms = percentiles(&sum, TTFT);
	*tput_tps = percentiles(&sum, TPUT);
}

int live_breaker(const struct live *l, uint64_t now_ms)
{
	uint64_t open = GET(l->open_until);

	return !GET(l->asked) ? -1 : !open ? 0 : now_ms < open ? 2 : 1;
}
