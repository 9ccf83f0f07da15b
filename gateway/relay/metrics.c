/*
 * metrics.c - one open table of series, found by hash, never removed; a count
 * is one relaxed atomic addition.
 */
#include <dirent.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "relay/metrics.h"

enum { SLOTS = 8192, SERIES_MAX = 500, LABELS_MAX = 4, BUCKETS = 15, LABEL_BYTES = 120 };
enum type { COUNTER, COUNTER_NUSD, GAUGE, GAUGE_US, HISTOGRAM };

static const struct { const char *name, *help, *labels; enum type type; } table[] = {
#define X(id, name, type, help, labels) { name, help, labels, type },
	METRICS(X)
#undef X
};

static const double bounds[BUCKETS] = { .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300 };
static const double short_bounds[BUCKETS] = { 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, .01, .025, .05, .1, 1, 10 };

struct series {
	enum metric metric;
	char labels[LABELS_MAX][LABEL_BYTES];
	_Atomic int64_t value;			/* of a histogram: the count */
	_Atomic uint64_t sum_us;
	_Atomic uint64_t buckets[];		/* BUCKETS, of a histogram only */
};

static _Atomic(struct series *) slots[SLOTS];
static _Atomic unsigned used[METRIC_COUNT];
static _Atomic uint64_t dropped;

static const double *bounds_of(enum metric m)
{
	return m == M_OVERHEAD || m == M_POLICY_DURATION || m == M_STORE_WRITE || m == M_UPSTREAM_CONNECT || m == M_UPSTREAM_TLS ? short_bounds : bounds;
}

static bool same(const struct series *s, enum metric m, const char *const *labels)
{
	if (s->metric != m)
		return false;
	for (size_t i = 0; labels[i] && i < LABELS_MAX; i++)
		if (strncmp(s->labels[i], labels[i], LABEL_BYTES - 1))
			return false;
	return true;
}

static struct series *series_new(enum metric m, const char *const *labels)
{
	size_t extra = table[m].type == HISTOGRAM ? BUCKETS * sizeof(uint64_t) : 0;
	struct series *s = calloc(1, sizeof(*s) + extra);

	if (!s)
		return NULL;
	s->metric = m;
	for (size_t i = 0; labels[i] && i < LABELS_MAX; i++)
		snprintf(s->labels[i], LABEL_BYTES, "%s", labels[i]);
	return s;
}

static uint64_t hash_of(enum metric m, const char *const *labels)
{
	uint64_t h = (uint64_t)m + 1;

	for (size_t i = 0; labels[i] && i < LABELS_MAX; i++)
		h = hash64(labels[i], strnlen(labels[i], LABEL_BYTES - 1), h);
	return h;
}

/* NULL: too many label sets, or no memory. */
static struct series *look_up(enum metric m, const char *const *labels)
{
	uint64_t h = hash_of(m, labels);
	struct series *fresh = NULL;

	for (unsigned i = 0; i < SLOTS; i++) {
		_Atomic(struct series *) *slot = &slots[(h + i) % SLOTS];
		struct series *s = atomic_load_explicit(slot, memory_order_acquire);

		if (!s) {
			if (!fresh && (atomic_load(&used[m]) >= SERIES_MAX || !(fresh = series_new(m, labels))))
				break;
			if (atomic_compare_exchange_strong(slot, &s, fresh)) {
				atomic_fetch_add(&used[m], 1);
				return fresh;
			}
		}
		if (same(s, m, labels)) {
			free(fresh);
			return s;
		}
	}
	free(fresh);
	atomic_fetch_add(&dropped, 1);
	return NULL;
}

/* Labels are mostly the same few strings at the same few places: so many series are found
 * again by where their labels lie, and by a look at what these say now. */
enum { NEAR = 1024 };
static _Thread_local struct series *near_by[NEAR];

static struct series *find(enum metric m, const char *const *labels)
{
	uint64_t where = ((uint64_t)m + 1) * 0x9e3779b97f4a7c15u;	/* of two metrics the labels may lie close together */
	struct series **at;

	for (size_t i = 0; labels[i]; i++)
		where = (where ^ (uintptr_t)labels[i]) * 0x9e3779b97f4a7c15u, where ^= where >> 29;
	at = &near_by[(where >> 32) % NEAR];
	if (!*at || !same(*at, m, labels))
		*at = look_up(m, labels);
	return *at;
}

void metric_add(enum metric m, int64_t n, const char *const *labels)
{
	struct series *s = find(m, labels);

	if (s)
		atomic_fetch_add_explicit(&s->value, n, memory_order_relaxed);
}

void metric_set(enum metric m, int64_t n, const char *const *labels)
{
	struct series *s = find(m, labels);

	if (s)
		atomic_store_explicit(&s->value, n, memory_order_relaxed);
}

void metric_observe_us(enum metric m, uint64_t us, const char *const *labels)
{
	struct series *s = find(m, labels);
	const double *at = bounds_of(m);
	unsigned i = 0;

	if (!s)
		return;
	while (i < BUCKETS && (double)us > at[i] * 1e6)
		i++;
	if (i < BUCKETS)
		atomic_fetch_add_explicit(&s->buckets[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->sum_us, us, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->value, 1, memory_order_relaxed);
}

/* ------------------------------------------------ print */

static void put_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			buf_put(out, "\\", 1);
		if (*text == '\n')
			buf_text(out, "\\n");
		else
			buf_put(out, text, 1);
	}
}

/* {a="x",b="y"}, with more behind: le of a bucket. */
static void put_labels(struct buf *out, const struct series *s, const char *more)
{
	const char *name = table[s->metric].labels;
	bool any = false;

	for (size_t i = 0; *name && i < LABELS_MAX; i++) {
		size_t len = strcspn(name, ",");

		buf_print(out, "%s%.*s=\"", any ? "," : "{", (int)len, name);
		put_escaped(out, s->labels[i]);
		buf_text(out, "\"");
		any = true;
		name += len + (name[len] == ',');
	}
	if (more)
		buf_print(out, "%s%s", any ? "," : "{", more);
	if (any || more)
		buf_text(out, "}");
}

static void put_histogram(struct buf *out, const struct series *s)
{
	const char *name = table[s->metric].name;
	uint64_t sum = 0;
	char le[48];

	for (unsigned i = 0; i < BUCKETS; i++) {
		sum += atomic_load(&s->buckets[i]);
		snprintf(le, sizeof(le), "le=\"%g\"", bounds_of(s->metric)[i]);
		buf_print(out, "%s_bucket", name);
		put_labels(out, s, le);
		buf_print(out, " %llu\n", (unsigned long long)sum);
	}
	buf_print(out, "%s_bucket", name);
	put_labels(out, s, "le=\"+Inf\"");
	buf_print(out, " %lld\n%s_sum", (long long)atomic_load(&s->value), name);
	put_labels(out, s, NULL);
	buf_print(out, " %.6f\n%s_count", (double)atomic_load(&s->sum_us) / 1e6, name);
	put_labels(out, s, NULL);
	buf_print(out, " %lld\n", (long long)atomic_load(&s->value));
}

static void put_series(struct buf *out, const struct series *s)
{
	int64_t v = atomic_load(&s->value);

	if (table[s->metric].type == HISTOGRAM) {
		put_histogram(out, s);
		return;
	}
	buf_text(out, table[s->metric].name);
	put_labels(out, s, NULL);
	if (table[s->metric].type == COUNTER_NUSD)
		buf_print(out, " %lld.%09lld\n", (long long)(v / 1000000000), (long long)(v % 1000000000));
	else if (table[s->metric].type == GAUGE_US)
		buf_print(out, " %.6f\n", (double)v / 1e6);
	else
		buf_print(out, " %lld\n", (long long)v);
}

static void put_plain(struct buf *out, const char *name, const char *type, const char *help, double value)
{
	buf_print(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name, value);
}

static unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n > 3 ? n - 3 : 0;	/* not ".", "..", and the one that reads this */
}

/* Unix time: the kernel counts ticks since it began itself. */
static double process_start(void)
{
	unsigned long long ticks = 0;
	double up = 0;
	FILE *f = fopen("/proc/self/stat", "re");

	if (f && fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &ticks) != 1)
		ticks = 0;
	if (f)
		fclose(f);
	f = fopen("/proc/uptime", "re");
	if (f && fscanf(f, "%lf", &up) != 1)
		up = 0;
	if (f)
		fclose(f);
	return (double)(clock_wall_ms() / 1000) - up + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static void put_process(struct buf *out)
{
	struct rusage u;
	struct rlimit fds = { 0 };
	long all = 0, pages = 0, page = sysconf(_SC_PAGESIZE);
	FILE *f = fopen("/proc/self/statm", "re");

	if (f) {
		if (fscanf(f, "%ld %ld", &all, &pages) != 2)
			pages = 0;
		fclose(f);
	}
	getrusage(RUSAGE_SELF, &u);
	getrlimit(RLIMIT_NOFILE, &fds);
	put_plain(out, "process_cpu_seconds_total", "counter", "User and system time.",
		(double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	put_plain(out, "process_resident_memory_bytes", "gauge", "Memory in use.", (double)pages * (double)page);
	put_plain(out, "process_virtual_memory_bytes", "gauge", "Address space.", (double)all * (double)page);
	put_plain(out, "process_open_fds", "gauge", "Open file descriptors.", open_files());
	put_plain(out, "process_max_fds", "gauge", "File descriptors that may be open.", (double)fds.rlim_cur);
	put_plain(out, "process_start_time_seconds", "gauge", "Unix time of the start.", process_start());
}

static void put_head(struct buf *out, enum metric m)
{
	static const char *const words[] = { "counter", "counter", "gauge", "gauge", "histogram" };

	buf_print(out, "# HELP %s %s\n# TYPE %s %s\n", table[m].name, table[m].help, table[m].name, words[table[m].type]);
}

void metric_print(struct buf *out, enum metric m, int64_t n, const char *const *labels, bool first)
{
	struct series s = { .metric = m, .value = n };

	for (size_t i = 0; labels[i] && i < LABELS_MAX; i++)
		snprintf(s.labels[i], LABEL_BYTES, "%s", labels[i]);
	if (first)
		put_head(out, m);
	put_series(out, &s);
}

void metrics_print(struct buf *out)
{
	for (unsigned m = 0; m < METRIC_COUNT; m++) {
		if (!atomic_load(&used[m]))
			continue;
		put_head(out, (enum metric)m);
		for (unsigned i = 0; i < SLOTS; i++) {
			struct series *s = atomic_load(&slots[i]);

			if (s && s->metric == (enum metric)m)
				put_series(out, s);
		}
	}
	put_plain(out, "moongate_metrics_dropped_series_total", "counter", "Counts that found no place: too many label sets.",
		(double)atomic_load(&dropped));
	put_process(out);
}
