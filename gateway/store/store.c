#include "store/parts.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/record.h"

enum { RETRY_MIN_MS = 50, RETRY_MAX_MS = 1000 };

/* ---- waking */

static void wake(struct store *s)
{
	uint64_t one = 1;
	ssize_t n = write(s->wake, &one, sizeof(one));

	(void)n;	/* it can only fail by being full, and then it wakes too */
}

void store_rows_pushed(struct store *s)
{
	int state = atomic_load(&s->sleep);

	if ((state == ASLEEP || (state == GATHERING && atomic_load(&s->pending) >= GROUP_ROWS)) &&
	    atomic_compare_exchange_strong(&s->sleep, &state, AWAKE))
		wake(s);
}

static void nap(struct store *s, int ms)
{
	struct pollfd p = { s->wake, POLLIN, 0 };
	uint64_t n;
	ssize_t got;

	if (poll(&p, 1, ms) > 0) {
		got = read(s->wake, &n, sizeof(n));
		(void)got;
	}
}

static bool called(struct store *s)
{
	bool yes;

	pthread_mutex_lock(&s->lock);
	yes = s->jobs || s->stop;
	pthread_mutex_unlock(&s->lock);
	return yes;
}

static int until_retry(const struct store *s)
{
	uint64_t now = clock_ms();

	if (!s->retry_at || atomic_load(&s->broken))
		return -1;
	return now < s->retry_at ? (int)(s->retry_at - now) : 0;
}

/* Until it tries again, or looks what is kept no longer. */
static int until_due(const struct store *s)
{
	uint64_t now = clock_ms();

	if (s->retry_at || atomic_load(&s->broken))
		return until_retry(s);
	return now < s->sweep_at ? (int)(s->sweep_at - now) : 0;
}

/* Until there is something to do; then a little more, so that a group gathers: no request waits
 * for it, and each commit syncs the file. */
static void wait_for_work(struct store *s)
{
	bool stuck = s->retry_at || atomic_load(&s->broken);

	atomic_store(&s->sleep, ASLEEP);
	if (!called(s) && (stuck || !atomic_load(&s->pending)))
		nap(s, until_due(s));
	atomic_store(&s->sleep, GATHERING);
	if (!called(s) && !stuck && atomic_load(&s->pending) < GROUP_ROWS)
		nap(s, GATHER_MS);
	atomic_store(&s->sleep, AWAKE);
}

/* ---- the thread */

static void break_store(struct store *s)
{
	if (!atomic_exchange(&s->broken, true))
		log_at(LOG_ERROR, EV_STORE_ERROR, NULL, LOG_S("error", "the store is broken: no request is taken until a restart"));
}

static void group_failed(struct store *s, const struct err *err)
{
	if (err->rc == MG_EPROTO)
		break_store(s);		/* before anything else: money is not safe here */
	if (atomic_exchange(&s->healthy, false))
		log_at(LOG_ERROR, EV_STORE_ERROR, NULL, LOG_S("error", err->msg), LOG_N("pending", atomic_load(&s->pending)));
	if (carry_sync(s))
		break_store(s);
	s->retry_ms = s->retry_ms ? s->retry_ms * 2 : RETRY_MIN_MS;
	if (s->retry_ms > RETRY_MAX_MS)
		s->retry_ms = RETRY_MAX_MS;
	s->retry_at = clock_ms() + s->retry_ms;
}

static void group_done(struct store *s)
{
	s->retry_at = s->retry_ms = 0;
	if (!atomic_exchange(&s->healthy, true))
		log_at(LOG_WARN, EV_STORE_ERROR, NULL, LOG_S("recovered", "groups are committed again"));
}

/* All that was published before, in groups; what comes meanwhile, once it is a group: else a busy worker's rows would each
 * have a commit of their own.  False: the store does not take it. */
static bool carry(struct store *s)
{
	struct err err = { 0 };
	size_t rows;

	for (size_t due = atomic_load(&s->pending); due || atomic_load(&s->pending) >= GROUP_ROWS; due -= rows < due ? rows : due) {
		if (atomic_load(&s->broken))
			return false;
		if (carry_group(s, &rows, &err)) {
			group_failed(s, &err);
			return false;
		}
		atomic_fetch_sub(&s->pending, rows);
		group_done(s);
		if (!rows)
			break;
	}
	return true;
}

static void run_job(struct store *s, struct job *job)
{
	const struct mg_store *ops = atomic_load(&s->broken) ? &s->reading : s->ops;
	struct err err = { 0 };
	char why[256] = "";
	int rc = s->ops->begin(s->handle, why), ended;

	if (rc) {
		rc = fail(&err, rc, "%s", why);
	} else {
		rc = job->fn(ops, s->handle, job->arg, &err);
		if (rc >= 0) {
			ended = s->ops->commit(s->handle, why);
			if (ended)
				rc = fail(&err, ended, "%s", why);
		}
		if (rc < 0)
			s->ops->rollback(s->handle);
	}
	if (rc == MG_EPROTO)
		group_failed(s, &err);
	job->done(job->arg, rc, &err);
}

static struct job *take_jobs(struct store *s, bool *stop)
{
	struct job *jobs;

	pthread_mutex_lock(&s->lock);
	jobs = s->jobs;
	s->jobs = NULL;
	s->last_job = &s->jobs;
	s->n_jobs = 0;
	*stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return jobs;
}

static void run_jobs(struct store *s, struct job *job)
{
	for (struct job *next; job; job = next) {
		next = job->next;
		run_job(s, job);
		free(job);
	}
}

static void *store_thread(void *arg)
{
	struct store *s = arg;

	for (;;) {
		bool stop, carried;
		struct job *jobs = take_jobs(s, &stop);	/* before the rows: each sees all that was published before it */

		carried = (s->retry_at && until_retry(s) > 0 && !stop) ? false : carry(s);
		if (jobs) {
			run_jobs(s, jobs);
			continue;
		}
		if (stop && (!carried || !atomic_load(&s->pending)))
			return NULL;
		if (carried && clock_ms() >= s->sweep_at)
			sweep(s);
		wait_for_work(s);
	}
}

/* ---- jobs */

int store_post(struct store *s, int (*fn)(const struct mg_store *ops, void *handle, void *arg, struct err *err), void *arg,
	void (*done)(void *arg, int rc, const struct err *err))
{
	struct job *job = malloc(sizeof(*job));

	if (!job)
		return MG_ENOMEM;
	*job = (struct job){ NULL, fn, done, arg };
	pthread_mutex_lock(&s->lock);
	*s->last_job = job;
	s->last_job = &job->next;
	s->n_jobs++;
	pthread_mutex_unlock(&s->lock);
	wake(s);
	return MG_OK;
}

struct waiter {
	int (*fn)(const struct mg_store *ops, void *handle, void *arg, struct err *err);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool done;
	int rc;
	struct err err;
};

static int wait_run(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	struct waiter *w = arg;

	return w->fn(ops, handle, w->arg, err);
}

static void wait_done(void *arg, int rc, const struct err *err)
{
	struct waiter *w = arg;

	pthread_mutex_lock(&w->lock);
	w->rc = rc;
	w->err = *err;
	w->done = true;
	pthread_cond_signal(&w->over);
	pthread_mutex_unlock(&w->lock);
}

int store_run(struct store *s, int (*fn)(const struct mg_store *ops, void *handle, void *arg, struct err *err), void *arg, struct err *err)
{
	struct waiter w = { .fn = fn, .arg = arg };
	int rc;

	assert(!pthread_equal(pthread_self(), s->thread));
	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.over, NULL);
	rc = store_post(s, wait_run, &w, wait_done);
	if (rc) {
		fail(&w.err, rc, "no memory for a job of the store");
	} else {
		pthread_mutex_lock(&w.lock);
		while (!w.done)
			pthread_cond_wait(&w.over, &w.lock);
		pthread_mutex_unlock(&w.lock);
		rc = w.rc;
	}
	pthread_cond_destroy(&w.over);
	pthread_mutex_destroy(&w.lock);
	if (rc < 0 && err)
		*err = w.err;
	return rc;
}

/* ---- open and close */

static int refuse_put(void *handle, enum mg_store_row kind, const void *row, char why[256])
{
	snprintf(why, 256, "the store is broken and is only read until a restart");
	return MG_EPROTO;
}

/* With the folders above it, as far as they are missing. */
static int make_folder(const char *dir)
{
	char path[4096];

	if (strlen(dir) >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	snprintf(path, sizeof(path), "%s", dir);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return mkdir(path, 0700) && errno != EEXIST ? -1 : 0;
}

static int open_files(struct store *s, size_t *replayed, struct err *err)
{
	char path[4200], why[256] = "";
	int rc;

	if (make_folder(s->dir))
		return fail(err, MG_EINVAL, "cannot make data_dir '%.150s': %s\nhint: make it for this user, or name another data_dir", s->dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/moongate.db", s->dir);
	rc = s->ops->open(path, false, &s->handle, why);
	if (rc)
		return fail(err, rc, "%s", why);
	rc = carry_left(s, replayed, err);
	if (rc)
		return rc;
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0)
		return fail(err, MG_ENOMEM, "cannot make an eventfd: %s", strerror(errno));
	if (pthread_create(&s->thread, NULL, store_thread, s))
		return fail(err, MG_ENOMEM, "cannot start the store thread");
	return MG_OK;
}

static void release(struct store *s)
{
	if (s->handle)
		s->ops->close(s->handle);
	if (s->wake >= 0)
		close(s->wake);
	buf_release(&s->bytes);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct store *store_open(const struct mg_plugin *plugin, const char *data_dir, bool power, size_t *replayed, struct err *err)
{
	struct store *s;
	size_t rows = 0;

	if (!plugin->store || !MG_HAS(plugin->store, expired) || strlen(data_dir) >= sizeof(s->dir) - 32) {
		fail(err, MG_EINVAL, plugin->store ? "plugin '%s' is too old for this gateway, or data_dir is too long" :
			"plugin '%s' is no store", plugin->name);
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		fail(err, MG_ENOMEM, "no memory for the store");
		return NULL;
	}
	s->ops = plugin->store;
	s->reading = *plugin->store;
	s->reading.put = refuse_put;
	s->power = power;
	s->wake = -1;
	s->last_job = &s->jobs;
	atomic_store(&s->healthy, true);
	snprintf(s->dir, sizeof(s->dir), "%s", data_dir);
	pthread_mutex_init(&s->lock, NULL);
	buf_init(&s->bytes, 2 * RECORD_MAX);
	if (open_files(s, &rows, err)) {
		release(s);
		return NULL;
	}
	if (replayed)
		*replayed = rows;
	return s;
}

void store_close(struct store *s)
{
	bool all;

	if (!s)
		return;
	for (int i = 0; i < JOURNALS; i++) {
		struct journal *j = atomic_load(&s->journals[i]);
		struct err err = { 0 };

		if (j && journal_flush(j, &err))
			log_at(LOG_ERROR, EV_STORE_ERROR, NULL, LOG_S("error", err.msg), LOG_N("settlements_lost", j->unwritten_rows));
	}
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_mutex_unlock(&s->lock);
	wake(s);
	pthread_join(s->thread, NULL);
	all = !atomic_load(&s->pending);
	for (int i = 0; i < JOURNALS; i++) {
		struct journal *j = atomic_load(&s->journals[i]);

		if (j)
			journal_free(j, all && !j->unwritten.len);
	}
	release(s);
}

bool store_healthy(const struct store *s)
{
	return atomic_load(&s->healthy) && !atomic_load(&s->broken);
}

size_t store_queue_length(const struct store *s)
{
	size_t jobs;

	pthread_mutex_lock((pthread_mutex_t *)&s->lock);
	jobs = s->n_jobs;
	pthread_mutex_unlock((pthread_mutex_t *)&s->lock);
	return atomic_load(&s->pending) + jobs;
}

void store_on_commit(struct store *s, void (*committed)(uint64_t us))
{
	s->committed = committed;
}

uint64_t store_expired(const struct store *s)
{
	return atomic_load(&s->expired);
}
