/*
 * policy_backtest.c - moongate policy backtest: what another bundle would have made of the kept decisions.
 *
 * One thread reads the store, beside whoever writes it; the others decide, each with a
 * state of its own.
 */
#include <pthread.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "cli/backtest_report.h"
#include "cli/local.h"

enum { BATCH = 128, THREADS_MAX = 64, QUEUE_EACH = 4, BATCH_BYTES = 64 << 20, TEXTS = 4 };

struct row { size_t text; int64_t at_ms, charge_nusd, cost_nusd; bool generation, delivered; };	/* text: id, key, decision, json */
struct batch { struct batch *next; struct buf texts; struct row rows[BATCH]; size_t n; };

struct work {
	const struct cli *c;
	struct local local;
	struct bundle *candidate;
	struct protects protects;
	struct shelf *shelf;
	int64_t since_ms, began_ms;
	double sample;
	const char *org;
	pthread_mutex_t lock;
	pthread_cond_t more, room;
	struct batch *first, **last, *filling;
	size_t n_queued, most, n_threads;
	bool over, bar;
	int64_t shown_ms;
	uint64_t seen;
	struct tester *testers[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
};

/* ------------------------------------------------ the threads that decide */

static void take_batch(struct tester *t, const struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct row *r = &b->rows[i];
		const char *id = b->texts.at + r->text, *key = id + strlen(id) + 1, *decision = key + strlen(key) + 1, *json = decision + strlen(decision) + 1;
		const struct mg_store_generation g = { .size = sizeof(g), .generation_id = id, .key_hash = key, .charge_nusd = r->charge_nusd,
			.cost_nusd = r->cost_nusd, .at_ms = r->at_ms, .delivered = r->delivered, .json = json };

		tester_take(t, &(struct tested){ { sizeof(struct mg_store_decision), id, r->at_ms, decision, key, 0 }, r->generation ? &g : NULL });
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
		buf_release(&b->texts);
		free(b);
	}
	pool_thread_end();
	return NULL;
}

/* ------------------------------------------------ the thread that reads */

static void queue(struct work *w)
{
	struct batch *b = w->filling;

	w->filling = NULL;
	if (!b)
		return;
	pthread_mutex_lock(&w->lock);
	while (w->n_queued >= w->most)
		pthread_cond_wait(&w->room, &w->lock);
	*w->last = b;
	w->last = &b->next;
	w->n_queued++;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}

/* The same generations in each run. */
static bool sampled(const struct work *w, const char *id)
{
	return w->sample >= 1 || (double)(hash64(id, strlen(id), 29) >> 11) / (double)(UINT64_C(1) << 53) < w->sample;
}

static bool keep_row(struct work *w, struct row row, const char *const texts[TEXTS])
{
	struct batch *b = w->filling;

	if (!b) {
		b = w->filling = calloc(1, sizeof(*b));
		if (!b)
			return false;
		buf_init(&b->texts, BATCH_BYTES);
	}
	row.text = b->texts.len;
	for (int i = 0; i < TEXTS; i++)
		buf_put(&b->texts, texts[i] ? texts[i] : "", (texts[i] ? strlen(texts[i]) : 0) + 1);
	if (b->texts.failed)
		return false;
	b->rows[b->n++] = row;
	if (b->n == BATCH || b->texts.len > BATCH_BYTES / 2)
		queue(w);
	return true;
}

/* How far through the time that is asked for. */
static void show(struct work *w, int64_t at_ms)
{
	int64_t now = clock_wall_ms();
	int part = w->began_ms > w->since_ms ? (int)((at_ms - w->since_ms) * 40 / (w->began_ms - w->since_ms)) : 40;

	if (!w->bar || (now < w->shown_ms + 100 && at_ms < w->began_ms))
		return;
	w->shown_ms = now;
	part = part < 0 ? 0 : part > 40 ? 40 : part;
	fprintf(stderr, "\r[%.*s%*s] %llu decisions", part, "########################################", 40 - part, "", (unsigned long long)w->seen);
}

static bool on_generation(void *arg, const void *at)
{
	const struct mg_store_generation *g = at;
	struct work *w = arg;

	show(w, g->at_ms);
	if (!g->decision || !*g->decision || g->at_ms > w->began_ms || !sampled(w, g->generation_id))
		return true;
	w->seen++;
	return keep_row(w, (struct row){ 0, g->at_ms, g->charge_nusd, g->cost_nusd, true, g->delivered },
		(const char *const[TEXTS]){ g->generation_id, g->key_hash, g->decision, g->json });
}

static bool on_refused(void *arg, const void *at)
{
	const struct mg_store_decision *d = at;
	struct work *w = arg;

	if (d->at_ms > w->began_ms || !sampled(w, d->generation_id))
		return true;
	w->seen++;
	return keep_row(w, (struct row){ 0, d->at_ms, 0, 0, false, false }, (const char *const[TEXTS]){ d->generation_id, d->key_hash, d->json, NULL });
}

static int read_all(struct work *w)
{
	int rc = local_rows(&w->local, MG_ROW_GENERATION, NULL, w->since_ms, on_generation, w);

	rc = rc ? rc : local_rows(&w->local, MG_ROW_REFUSED, NULL, w->since_ms, on_refused, w);
	queue(w);
	show(w, w->began_ms);
	if (w->bar)
		fputs("\n", stderr);
	return rc;
}

static int run(struct work *w)
{
	struct thread threads[THREADS_MAX];
	size_t started = 0;
	int rc;

	for (; started < w->n_threads; started++) {
		threads[started] = (struct thread){ w, started };
		if (pthread_create(&w->threads[started], NULL, decide, &threads[started]))
			break;
	}
	rc = started ? read_all(w) : cli_say(EXIT_FAILED, "cannot start a thread");
	pthread_mutex_lock(&w->lock);
	w->over = true;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (size_t i = 0; i < started; i++)
		pthread_join(w->threads[i], NULL);
	return rc;
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
	const char *dir = cli_option(w->c, "--candidate"), *live = json_string_value(json_object_get(json_object_get(w->local.conf.tree, "policy"), "bundle"));
	struct bundle *b = NULL;
	struct err err = { 0 };

	policy_shared_init();
	if (bundle_open(dir, w->local.places.policies, &w->candidate, &err) || protects_add(&w->protects, w->candidate, &err))
		return cli_fail(EXIT_CONFIG, &err);
	if (bundle_open(live, w->local.places.policies, &b, &err) || protects_add(&w->protects, b, &err)) {
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
	int rc = sample_of(w->c, &w->sample);

	if (!rc && !cli_option(w->c, "--candidate"))
		rc = cli_say(EXIT_USAGE, "policy backtest: --candidate is missing\nhint: moongate policy backtest --candidate policies --since 7d");
	rc = rc ? rc : cli_duration(w->c, "--since", "7d", &since);
	rc = rc ? rc : local_catalog(&w->local, w->c);
	rc = rc ? rc : local_store(&w->local, w->c);
	w->org = cli_option(w->c, "--org");
	w->bar = isatty(STDERR_FILENO) && w->c->output == OUTPUT_TABLE;
	w->began_ms = clock_wall_ms();
	w->since_ms = w->began_ms - since;
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
	rc = rc ? rc : backtest_report(w->c, &sum, bundle_hash(w->candidate), gates);
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
