#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "catalog/gate.h"

enum { LINE_TIMES = 4, LINE_LEAST = 16,			/* places in the line for each one inside, and at least */
	SPAN_MS = 10000, RETRY_PART = 10, RETRY_LEAST = 3, HEDGES_SAVED = 10 };

struct waiter {
	struct gate *gate;
	unsigned limit;
	struct loop *loop;
	void (*in)(void *owner);
	void *owner;
	bool granted;		/* it is inside and on its way to the loop */
	bool given_up;		/* meanwhile: the loop's thread alone reads and writes it */
	struct waiter *next, *prev;
};

struct gate {
	_Atomic unsigned refs;
	_Atomic unsigned inside, waiting;
	_Atomic uint64_t recent;		/* number of the interval << 32 | requests << 16 | retries */
	_Atomic uint64_t asked, paid;		/* requests ever; of them in hundredths, what hedges have used up */
	pthread_mutex_t lock;			/* of the line */
	struct waiter *first, *last;
};

struct gate *gate_new(void)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	atomic_init(&g->refs, 1);
	pthread_mutex_init(&g->lock, NULL);
	return g;
}

struct gate *gate_ref(struct gate *g)
{
	if (g)
		atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
	return g;
}

void gate_unref(struct gate *g)
{
	if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
		return;
	pthread_mutex_destroy(&g->lock);
	free(g);
}

unsigned gate_inside(const struct gate *g)
{
	return atomic_load(&g->inside);
}

unsigned gate_waiting(const struct gate *g)
{
	return atomic_load(&g->waiting);
}

/* ---- the line */

static bool step_in(struct gate *g, unsigned limit)
{
	unsigned n = atomic_load(&g->inside);

	do {
		if (limit && n >= limit)
			return false;
	} while (!atomic_compare_exchange_weak(&g->inside, &n, n + 1));
	return true;
}

static void join(struct gate *g, struct waiter *w)
{
	w->prev = g->last;
	if (g->last)
		g->last->next = w;
	else
		g->first = w;
	g->last = w;
}

static void step_out(struct gate *g, struct waiter *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		g->first = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		g->last = w->prev;
	atomic_fetch_sub(&g->waiting, 1);
}

static void waiter_free(struct waiter *w)
{
	gate_unref(w->gate);
	free(w);
}

static void called(void *arg)
{
	struct waiter *w = arg;
	void (*in)(void *) = w->in;
	void *owner = w->owner;

	if (w->given_up) {		/* between the grant and now */
		gate_leave(w->gate);
		in = NULL;
	}
	waiter_free(w);
	if (in)
		in(owner);
}

/* Lets in who fits, from the front.  Under the lock, so that nobody gives up meanwhile. */
static void call_in(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	while (g->first && step_in(g, g->first->limit)) {
		struct waiter *w = g->first;

		step_out(g, w);
		w->granted = true;
		if (loop_post(w->loop, called, w) == MG_OK)
			continue;
		w->granted = false;	/* no memory to say so: back to the front, until the next one leaves */
		atomic_fetch_sub(&g->inside, 1);
		w->prev = NULL;
		w->next = g->first;
		if (g->first)
			g->first->prev = w;
		else
			g->last = w;
		g->first = w;
		atomic_fetch_add(&g->waiting, 1);
		break;
	}
	pthread_mutex_unlock(&g->lock);
}

static unsigned line_max(unsigned limit)
{
	return limit > LINE_LEAST / LINE_TIMES ? limit * LINE_TIMES : LINE_LEAST;
}

bool gate_full(const struct gate *g, unsigned limit)
{
	return limit && (atomic_load(&g->inside) >= limit || atomic_load(&g->waiting) > 0);
}

static enum gate_answer line_up(struct gate *g, struct waiter *w)
{
	enum gate_answer answer = GATE_WAIT;

	pthread_mutex_lock(&g->lock);
	if (atomic_fetch_add(&g->waiting, 1) >= line_max(w->limit)) {
		atomic_fetch_sub(&g->waiting, 1);
		answer = GATE_LONG;
	} else {
		join(g, w);
	}
	pthread_mutex_unlock(&g->lock);
	return answer;
}

enum gate_answer gate_enter(struct gate *g, unsigned limit, struct loop *loop, void (*in)(void *owner), void *owner, struct waiter **place)
{
	struct waiter *w;

	if (!gate_full(g, limit) && step_in(g, limit))
		return GATE_IN;
	w = calloc(1, sizeof(*w));
	if (!w)
		return GATE_LONG;
	*w = (struct waiter){ .gate = gate_ref(g), .limit = limit, .loop = loop, .in = in, .owner = owner };
	if (line_up(g, w) == GATE_LONG) {
		waiter_free(w);
		return GATE_LONG;
	}
	*place = w;
	call_in(g);		/* who left before it stood in line called nobody */
	return GATE_WAIT;
}

void gate_leave(struct gate *g)
{
	atomic_fetch_sub(&g->inside, 1);
	if (atomic_load(&g->waiting) > 0)
		call_in(g);
}

void gate_give_up(struct waiter *w)
{
	struct gate *g = w->gate;
	bool granted;

	pthread_mutex_lock(&g->lock);
	granted = w->granted;
	if (!granted)
		step_out(g, w);
	pthread_mutex_unlock(&g->lock);
	if (granted)
		w->given_up = true;	/* called() comes to this same thread */
	else
		waiter_free(w);
}

/* ---- retries */

/* What was counted in the last whole or begun interval, and half of the one before. */
static void counted(uint64_t was, uint64_t number, unsigned *requests, unsigned *retries)
{
	uint64_t age = (number - (was >> 32)) & UINT32_MAX;

	*requests = (unsigned)(was >> 16 & 0xffff) >> (age > 1 ? 16 : age);
	*retries = (unsigned)(was & 0xffff) >> (age > 1 ? 16 : age);
}

static uint64_t number_of(uint64_t now_ms)
{
	return (now_ms / SPAN_MS + 1) & UINT32_MAX;
}

/* A hedge uses up the requests that give it its share; what nobody used is forgotten but for a little. */
bool gate_hedge(struct gate *g, unsigned percent)
{
	uint64_t all = atomic_load_explicit(&g->asked, memory_order_relaxed) * 100, was = atomic_load(&g->paid), price, next;

	if (!percent)
		return false;
	price = (10000 + percent - 1) / percent;
	do {
		next = all > HEDGES_SAVED * price && was < all - HEDGES_SAVED * price ? all - HEDGES_SAVED * price : was;
		next += price;
		if (next > all)
			return false;
	} while (!atomic_compare_exchange_weak(&g->paid, &was, next));
	return true;
}

void gate_count(struct gate *g, bool retry, uint64_t now_ms)
{
	uint64_t was = atomic_load_explicit(&g->recent, memory_order_relaxed), number = number_of(now_ms), next;

	do {
		unsigned requests, retries;

		counted(was, number, &requests, &retries);
		if (requests >= 0xffff || retries >= 0xffff) {
			requests /= 2;
			retries /= 2;
		}
		requests += !retry;
		retries += retry;
		next = number << 32 | (uint64_t)requests << 16 | retries;
	} while (!atomic_compare_exchange_weak_explicit(&g->recent, &was, next, memory_order_relaxed, memory_order_relaxed));
	if (!retry)
		atomic_fetch_add_explicit(&g->asked, 1, memory_order_relaxed);
}

bool gate_may_retry(const struct gate *g, uint64_t now_ms)
{
	unsigned requests, retries;

	counted(atomic_load_explicit(&g->recent, memory_order_relaxed), number_of(now_ms), &requests, &retries);
	return retries < RETRY_LEAST || retries < requests / RETRY_PART;
}
