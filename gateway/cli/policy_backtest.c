/*
 * policy_backtest.c - moongate policy backtest: what another bundle would have made of the kept decisions.
 *
 * One thread reads the store, beside whoever writes it; the others decide, each with a
 * state of its own.
 */
#include <pthread.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli/backtest_order.h"
#include "cli/backtest_report.h"

enum { THREADS_MAX = 64, QUEUE_EACH = 4 };

struct work {
	const struct cli *c;
	struct local local;
	struct bundle *candidate;
	struct protects protects;
	struct shelf *shelf;
	struct rows rows;
	const char *org;
	pthread_mutex_t lock;
	pthread_cond_t more, room;
	struct batch *first, **last;
	size_t n_queued, most, n_threads;
	bool over, ordered;
	struct tester *testers[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
};

/* ------------------------------------------------ the threads that decide */

static void take_batch(struct tester *t, const struct batch *b)
{
	struct mg_store_generation g;
	struct tested row;

	for (size_t i = 0; i < b->n; i++) {
		row = batch_row(b, i, &g);
		tester_take(t, &row);
	}
}

static struct batch *next_batch(struct work *w)
{
	struct batch *b;

	pthread_mutex_lock(&w->lock);
	while (!w->first && !w->over)
		pthread_cond_wait(&w->more, &w->lock);
	b = w->first;
	if (b) {
		w->first = b->next;
		if (!w->first)
			w->last = &w->first;
		w->n_queued--;
		pthread_cond_signal(&w->room);
	}
	pthread_mutex_unlock(&w->lock);
	return b;
}

struct thread { struct work *w; size_t n; };

static void *decide(void *arg)
{
	struct thread *t = arg;
	struct batch *b;

	while ((b = next_batch(t->w))) {
		take_batch(t->w->testers[t->n], b);
		batch_free(b);
	}
	return NULL;
}

/* ------------------------------------------------ the thread that reads */

static bool queue(void *arg, struct batch *b)
{
	struct work *w = arg;

	pthread_mutex_lock(&w->lock);
	while (w->n_queued >= w->most)
		pthread_cond_wait(&w->room, &w->lock);
	*w->last = b;
	w->last = &b->next;
	w->n_queued++;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
	return true;
}

static int run_threads(struct work *w)
{
	struct thread threads[THREADS_MAX];
	struct rows rows = w->rows;
	size_t started = 0;
	int rc;

	rows.full = queue;
	rows.arg = w;
	for (; started < w->n_threads; started++) {
		threads[started] = (struct thread){ w, started };
		if (pthread_create(&w->threads[started], NULL, decide, &threads[started]))
			break;
	}
	rc = started ? rows_read(&rows) : cli_say(EXIT_FAILED, "cannot start a thread");
	pthread_mutex_lock(&w->lock);
	w->over = true;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (size_t i = 0; i < started; i++)
		pthread_join(w->threads[i], NULL);
	return rc;
}

/* Once more, where what was asked is a matter of the decisions before: that is the exception, and known afterwards. */
static int run(struct work *w)
{
	struct rows rows = w->rows;
	struct err err = { 0 };
	int rc = run_threads(w);

	for (size_t i = 0; i < w->n_threads; i++)
		w->ordered |= tester_wants_order(w->testers[i]);
	if (rc || !w->ordered)
		return rc;
	while (w->n_threads)
		tester_free(w->testers[--w->n_threads]);
	w->testers[0] = tester_new(w->candidate, &w->protects, w->shelf, w->local.catalog, w->org, &err);
	if (!w->testers[0])
		return cli_fail(EXIT_CONFIG, &err);
	w->n_threads = 1;
	return backtest_in_order(&rows, w->testers[0]);
}

/* ------------------------------------------------ what it needs */

/* 0.1 is a tenth. */
static int sample_of(const struct cli *c, double *out)
{
	const char *text = cli_option(c, "--sample");
	char *end;

	*out = text ? strtod(text, &end) : 1;
	if (text && (*end || !(*out > 0) || *out > 1))
		return cli_say(EXIT_USAGE, "policy backtest: --sample: '%.40s' is no part\nhint: above 0 and up to 1, such as 0.1", text);
	return EXIT_OK;
}

/* Whose guards count: the candidate's, and those that are live. */
static int bundles_open(struct work *w)
{
	const char *dir = cli_option(w->c, "--candidate");
	struct bundle *b = NULL;
	struct err err = { 0 };

	policy_shared_init();
	if (bundle_open(dir, w->local.places.policies, &w->candidate, &err) || protects_add(&w->protects, w->candidate, &err))
		return cli_fail(EXIT_CONFIG, &err);
	if (local_policies(&w->local, &b, &err) || protects_add(&w->protects, b, &err)) {
		bundle_unref(b);
		return cli_fail(EXIT_CONFIG, &err);
	}
	bundle_unref(b);
	return EXIT_OK;
}

static int testers_open(struct work *w)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct err err = { 0 };

	w->n_threads = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (size_t)cores;
	w->most = w->n_threads * QUEUE_EACH;
	if (shelf_open(w->local.ops, w->local.store, NULL, 0, &w->shelf, &err))
		return cli_fail(EXIT_FAILED, &err);
	for (size_t i = 0; i < w->n_threads; i++) {
		w->testers[i] = tester_new(w->candidate, &w->protects, w->shelf, w->local.catalog, w->org, &err);
		if (!w->testers[i])
			return cli_fail(EXIT_CONFIG, &err);
	}
	return EXIT_OK;
}

static int work_open(struct work *w)
{
	int64_t since = 0;
	int rc = sample_of(w->c, &w->rows.sample);

	if (!rc && !cli_option(w->c, "--candidate"))
		rc = cli_say(EXIT_USAGE, "policy backtest: --candidate is missing\nhint: moongate policy backtest --candidate policies --since 7d");
	rc = rc ? rc : cli_duration(w->c, "--since", "7d", &since);
	rc = rc ? rc : local_catalog(&w->local, w->c);
	rc = rc ? rc : local_store(&w->local, w->c);
	w->org = cli_option(w->c, "--org");
	w->rows.local = &w->local;
	w->rows.bar = isatty(STDERR_FILENO) && w->c->output == OUTPUT_TABLE;
	w->rows.until_ms = clock_wall_ms();
	w->rows.since_ms = w->rows.until_ms - since;
	rc = rc ? rc : bundles_open(w);
	return rc ? rc : testers_open(w);
}

static int report(struct work *w, const struct gates *gates)
{
	struct backtest sum = { .decisions = 0 };
	struct err err = { 0 };
	int rc = EXIT_OK;

	for (size_t i = 0; i < w->n_threads && !rc; i++)
		if (backtest_add(&sum, tester_result(w->testers[i]), &err))
			rc = cli_fail(EXIT_FAILED, &err);
	rc = rc ? rc : backtest_report(w->c, &sum, bundle_hash(w->candidate), w->ordered, gates);
	backtest_release(&sum);
	return rc;
}

int policy_backtest_run(int argc, char **argv)
{
	struct work w = { .last = &w.first, .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .room = PTHREAD_COND_INITIALIZER };
	struct gates gates;
	struct cli c;
	int rc = cli_begin(&c, "policy backtest", argc, argv, 0, 0);

	if (rc)
		return rc;
	w.c = &c;
	rc = gates_read(&c, &gates);
	rc = rc ? rc : work_open(&w);
	rc = rc ? rc : run(&w);
	rc = rc ? rc : report(&w, &gates);
	for (size_t i = 0; i < w.n_threads; i++)
		tester_free(w.testers[i]);
	shelf_free(w.shelf);
	bundle_unref(w.candidate);
	local_close(&w.local);
	return rc;
}
