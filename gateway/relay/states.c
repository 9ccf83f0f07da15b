/*
 * states.c - the lua_States of a worker, one for each bundle that a request of
 * its own pins or the next one gets; and how all workers get a new one, or none.
 *
 * A state is made where there is time, on the thread for changes; a worker only
 * links it in.  It is a worker's alone from then on.
 */
#include <pthread.h>
#include "relay/gateway.h"

/* ------------------------------------------------ how many there are */

/* A version goes when its last state does: as a series of the metrics it would stay. */
static struct { pthread_mutex_t lock; size_t n, size; struct { char version[13]; unsigned states; } *at; } counts = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void count(const struct bundle *b, bool more)
{
	size_t i = 0;

	pthread_mutex_lock(&counts.lock);
	while (i < counts.n && strncmp(counts.at[i].version, bundle_hash(b), 12))
		i++;
	if (i == counts.n && counts.n == counts.size) {
		void *grown = realloc(counts.at, (counts.size * 2 + 4) * sizeof(*counts.at));

		if (grown) {
			counts.at = grown;
			counts.size = counts.size * 2 + 4;
		}
	}
	if (i == counts.n && counts.n < counts.size && more) {
		snprintf(counts.at[i].version, sizeof(counts.at[i].version), "%.12s", bundle_hash(b));
		counts.at[i].states = 0;
		counts.n++;
	}
	if (i < counts.n)
		counts.at[i].states += more ? 1 : -1u;
	if (i < counts.n && !counts.at[i].states)
		counts.at[i] = counts.at[--counts.n];
	pthread_mutex_unlock(&counts.lock);
}

size_t policy_versions_alive(struct buf *out)
{
	size_t n;

	pthread_mutex_lock(&counts.lock);
	n = counts.n;
	for (size_t i = 0; out && i < n; i++)
		metric_print(out, M_POLICY_STATES, counts.at[i].states, METRIC_LABELS(counts.at[i].version), i == 0);
	pthread_mutex_unlock(&counts.lock);
	return n;
}

/* ------------------------------------------------ of one worker */

static void policy_drop(struct pinned_policy *p)
{
	count(p->bundle, false);
	policy_state_free(p->state);
	bundle_unref(p->bundle);
	free(p);
}

/* What is not the first ends with its last request. */
static void drop_unpinned(struct worker *w)
{
	struct pinned_policy **at = &w->policies->next, *p;

	while ((p = *at)) {
		if (p->pins || p->offered) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		policy_drop(p);
	}
}

/* New requests get this one from here on.  They are offered in order, and each is behind those
 * after it: what lies behind was offered before, and its time is over. */
void worker_turn_policy(struct worker *w, const struct bundle *bundle)
{
	struct pinned_policy **at = &w->policies, *p;

	while ((*at)->bundle != bundle)
		at = &(*at)->next;
	for (p = *at; p; p = p->next)
		p->offered = false;
	p = *at;
	*at = p->next;
	p->next = w->policies;
	w->policies = p;
	drop_unpinned(w);
}

struct pinned_policy *worker_pin_policy(struct worker *w, const struct snapshot *snap)
{
	struct pinned_policy *p = w->policies;

	while (p->bundle != snap->bundle)
		p = p->next;
	p->pins++;
	return p;
}

void worker_unpin_policy(struct worker *w, struct pinned_policy *p)
{
	if (!--p->pins)
		drop_unpinned(w);
}

void worker_free_policies(struct worker *w)
{
	while (w->policies) {
		struct pinned_policy *p = w->policies;

		w->policies = p->next;
		policy_drop(p);
	}
}

static struct pinned_policy *policy_make(struct bundle *b, struct err *err)
{
	struct pinned_policy *p = calloc(1, sizeof(*p));

	if (!p) {
		fail(err, MG_ENOMEM, "no memory for a policy state");
		return NULL;
	}
	p->state = policy_state_new(b, err);
	if (!p->state) {
		free(p);
		return NULL;
	}
	p->bundle = bundle_ref(b);
	count(b, true);
	p->offered = true;
	return p;
}

int worker_first_policy(struct worker *w, struct err *err)
{
	w->policies = policy_make(snapshots_current(w->gw->snapshots)->bundle, err);
	if (!w->policies)
		return err->rc;
	w->policies->offered = false;
	return MG_OK;
}

/* ------------------------------------------------ a change, on all of them */

struct offer { struct worker *w; struct pinned_policy *policy; struct bundle *bundle; struct offers *all; };
struct offers { pthread_mutex_t lock; pthread_cond_t taken; unsigned waiting; struct offer of[WORKERS_MAX]; };

/* Behind the first, which stays what new requests get. */
static void take_here(void *arg)
{
	struct offer *o = arg;
	struct offers *all = o->all;

	o->policy->next = o->w->policies->next;
	o->w->policies->next = o->policy;
	pthread_mutex_lock(&all->lock);
	all->waiting--;
	pthread_cond_signal(&all->taken);
	pthread_mutex_unlock(&all->lock);
}

/* It was not to be. */
static void leave_here(void *arg)
{
	struct offer *o = arg;
	struct pinned_policy **at = &o->w->policies->next;

	while (*at && (*at)->bundle != o->bundle)
		at = &(*at)->next;
	o->policy = *at;
	if (o->policy) {
		*at = o->policy->next;
		policy_drop(o->policy);
	}
	pthread_mutex_lock(&o->all->lock);
	o->all->waiting--;
	pthread_cond_signal(&o->all->taken);
	pthread_mutex_unlock(&o->all->lock);
}

/* On the first n workers; the number of those that ran it. */
static unsigned everywhere(struct offers *all, unsigned n, void (*fn)(void *))
{
	unsigned ran = 0;

	for (unsigned i = 0; i < n; i++) {
		pthread_mutex_lock(&all->lock);
		all->waiting++;
		pthread_mutex_unlock(&all->lock);
		if (loop_post(all->of[i].w->loop, fn, &all->of[i]) == MG_OK) {
			ran++;
			continue;
		}
		pthread_mutex_lock(&all->lock);
		all->waiting--;
		pthread_mutex_unlock(&all->lock);
		break;
	}
	pthread_mutex_lock(&all->lock);
	while (all->waiting)
		pthread_cond_wait(&all->taken, &all->lock);
	pthread_mutex_unlock(&all->lock);
	return ran;
}

int workers_offer(struct gateway *gw, struct bundle *b, struct err *err)
{
	struct offers all = { .lock = PTHREAD_MUTEX_INITIALIZER, .taken = PTHREAD_COND_INITIALIZER };
	unsigned made = 0, taken = 0;

	for (; made < gw->n_workers; made++) {
		all.of[made] = (struct offer){ &gw->workers[made], policy_make(b, err), b, &all };
		if (!all.of[made].policy)
			break;
	}
	if (made == gw->n_workers) {
		taken = everywhere(&all, made, take_here);
		if (taken == made)
			return MG_OK;
		fail(err, MG_ENOMEM, "worker %u cannot take another policy state", taken);
	}
	everywhere(&all, taken, leave_here);
	for (unsigned i = taken; i < made; i++)
		policy_drop(all.of[i].policy);
	return err->rc;
}

void workers_withdraw(struct gateway *gw, struct bundle *b)
{
	struct offers all = { .lock = PTHREAD_MUTEX_INITIALIZER, .taken = PTHREAD_COND_INITIALIZER };

	for (unsigned i = 0; i < gw->n_workers; i++)
		all.of[i] = (struct offer){ &gw->workers[i], NULL, b, &all };
	everywhere(&all, gw->n_workers, leave_here);
}
