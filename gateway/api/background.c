/*
 * background.c - one thread for what may wait; workers never do (R88).
 */
#include <pthread.h>
#include "api/api.h"

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job *first, **last;
	bool stopping;
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static void finished(void *arg)
{
	struct job *j = arg;

	j->done(j);
}

static struct job *take(void)
{
	struct job *j;

	pthread_mutex_lock(&queue.lock);
	while (!queue.first && !queue.stopping)
		pthread_cond_wait(&queue.more, &queue.lock);
	j = queue.first;
	if (j) {
		queue.first = j->next;
		if (!queue.first)
			queue.last = &queue.first;
	}
	pthread_mutex_unlock(&queue.lock);
	return j;
}

static void *run(void *arg)
{
	for (struct job *j; (j = take()) != NULL;) {
		j->work(j);
		loop_post(j->loop, finished, j);
	}
	return NULL;
}

int background_start(struct err *err)
{
	queue.last = &queue.first;
	queue.stopping = false;
	if (pthread_create(&queue.thread, NULL, run, NULL))
		return fail(err, MG_ENOMEM, "cannot start the background thread");
	return MG_OK;
}

void background_stop(void)
{
	pthread_mutex_lock(&queue.lock);
	queue.stopping = true;
	pthread_cond_signal(&queue.more);
	pthread_mutex_unlock(&queue.lock);
	pthread_join(queue.thread, NULL);
}

void background_run(struct job *j)
{
	j->next = NULL;
	pthread_mutex_lock(&queue.lock);
	*queue.last = j;
	queue.last = &j->next;
	pthread_cond_signal(&queue.more);
	pthread_mutex_unlock(&queue.lock);
}
