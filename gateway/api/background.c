/*
 * background.c - two threads for what may wait; workers never do (R88).  One is
 * for the store, in order; the other for changes of the gateway itself, which may
 * take seconds and are one after the other, too.
 */
#include <pthread.h>
#include "api/api.h"

struct queue {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job *first, **last;
	bool stopping;
};
static struct queue store = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
static struct queue changes = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static void finished(void *arg)
{
	struct job *j = arg;

	j->done(j);
}

static struct job *take(struct queue *q)
{
	struct job *j;

	pthread_mutex_lock(&q->lock);
	while (!q->first && !q->stopping)
		pthread_cond_wait(&q->more, &q->lock);
	j = q->first;
	if (j) {
		q->first = j->next;
		if (!q->first)
			q->last = &q->first;
	}
	pthread_mutex_unlock(&q->lock);
	return j;
}

static void *run(void *arg)
{
	for (struct job *j; (j = take(arg)) != NULL;) {
		struct loop *loop = j->loop;	/* without one the job is its maker's again once the work is done */

		j->work(j);
		if (loop)
			loop_post(loop, finished, j);
	}
	return NULL;
}

static int queue_start(struct queue *q, struct err *err)
{
	q->last = &q->first;
	q->stopping = false;
	if (pthread_create(&q->thread, NULL, run, q))
		return fail(err, MG_ENOMEM, "cannot start a background thread");
	return MG_OK;
}

static void queue_stop(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stopping = true;
	pthread_cond_signal(&q->more);
	pthread_mutex_unlock(&q->lock);
	pthread_join(q->thread, NULL);
}

static bool queue_put(struct queue *q, struct job *j)
{
	bool taken;

	j->next = NULL;
	pthread_mutex_lock(&q->lock);
	taken = !q->stopping;
	if (taken) {
		*q->last = j;
		q->last = &j->next;
		pthread_cond_signal(&q->more);
	}
	pthread_mutex_unlock(&q->lock);
	return taken;
}

int background_start(struct err *err)
{
	int rc = queue_start(&store, err);

	return rc ? rc : queue_start(&changes, err);
}

void background_end_changes(void)
{
	queue_stop(&changes);
}

void background_stop(void)
{
	queue_stop(&store);
}

void background_run(struct job *j)
{
	queue_put(&store, j);
}

bool background_change(struct job *j)
{
	return queue_put(&changes, j);
}
