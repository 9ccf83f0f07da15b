/* The way into an upstream: who is inside, who waits, who may try again. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "catalog/gate.h"
#include "tap.h"

static struct loop *loop;
static char story[64];
static size_t told;

static void tell(void *owner)
{
	story[told++] = *(const char *)owner;
	story[told] = 0;
}

static void stop(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

/* What was posted until now is run. */
static void turn(void)
{
	struct timer t = { .fire = stop };

	loop_timer_set(loop, &t, 1);
	loop_run(loop);
}

static enum gate_answer enter(struct gate *g, unsigned limit, const char *who, struct waiter **place)
{
	return gate_enter(g, limit, loop, tell, (void *)(uintptr_t)who, place);
}

static void lining_up(void)
{
	struct gate *g = gate_new();
	struct waiter *a, *b, *c, *more[64];
	unsigned n = 0;

	told = 0;
	story[0] = 0;
	for (int i = 0; i < 100; i++)
		n += enter(g, 0, "x", &a) == GATE_IN;
	ok(n == 100 && !gate_full(g, 0) && gate_inside(g) == 100, "without a limit everybody is inside");
	for (int i = 0; i < 100; i++)
		gate_leave(g);
	ok(enter(g, 2, "x", &a) == GATE_IN && enter(g, 2, "x", &a) == GATE_IN && gate_full(g, 2), "two fit, and then it is full");
	ok(enter(g, 2, "a", &a) == GATE_WAIT && enter(g, 2, "b", &b) == GATE_WAIT && enter(g, 2, "c", &c) == GATE_WAIT && gate_waiting(g) == 3, "three stand in line");
	turn();
	ok(!told, "nobody is called while it is full");
	gate_leave(g);
	ok(gate_inside(g) == 2 && gate_waiting(g) == 2, "who leaves makes room for the first");
	turn();
	ok(!strcmp(story, "a"), "who is told so on the loop");
	gate_give_up(b);
	gate_leave(g);
	turn();
	ok(!strcmp(story, "ac") && gate_inside(g) == 2 && !gate_waiting(g), "who gave up is passed over");
	ok(enter(g, 2, "d", &a) == GATE_WAIT, "one more");
	gate_leave(g);
	gate_give_up(a);
	turn();
	ok(!strcmp(story, "ac") && gate_inside(g) == 1, "who gives up on its way in gives the place back");
	gate_leave(g);
	ok(enter(g, 1, "x", &a) == GATE_IN, "one inside");
	for (n = 0; n < 64 && enter(g, 1, "m", &more[n]) == GATE_WAIT; n++)
		;
	ok(n == 16 && gate_waiting(g) == 16, "the line is bounded");
	while (n)
		gate_give_up(more[--n]);
	ok(!gate_waiting(g), "and empty again");
	ok(enter(g, 1, "e", &a) == GATE_WAIT && enter(g, 3, "f", &b) == GATE_WAIT, "a limit that a reload has raised");
	turn();
	ok(gate_inside(g) == 1, "does not let anybody pass the first in line");
	gate_leave(g);
	turn();
	ok(!strcmp(story, "acef") && gate_inside(g) == 2, "and holds when it is one's turn");
	gate_leave(g);
	gate_leave(g);
	gate_unref(g);
}

static void trying_again(void)
{
	struct gate *g = gate_new();
	uint64_t now = 1000000;
	unsigned n = 0;

	while (n < 100 && gate_may_retry(g, now)) {
		gate_count(g, true, now);
		n++;
	}
	ok(n == 3, "three retries, whatever the traffic");
	for (int i = 0; i < 200; i++)
		gate_count(g, false, now);
	while (n < 100 && gate_may_retry(g, now)) {
		gate_count(g, true, now);
		n++;
	}
	ok(n == 20, "a tenth of 200 requests");
	ok(!gate_may_retry(g, now + 10000), "half of both count in the next interval");
	ok(gate_may_retry(g, now + 30000), "later they are forgotten");
	for (int i = 0; i < 200000; i++)
		gate_count(g, false, now + 30000);
	ok(gate_may_retry(g, now + 30000), "more than fit a count");
	gate_unref(g);
}

enum { THREADS = 3, TIMES = 3000, LIMIT = 2 };
static struct gate *shared;
static _Atomic int inside, most;

struct racer { struct loop *loop; struct waiter *place; unsigned left; bool done; };

static void next(struct racer *r);

static void out(struct racer *r)
{
	atomic_fetch_sub(&inside, 1);
	gate_leave(shared);
	r->left--;
}

static void in(void *owner)
{
	struct racer *r = owner;
	int n = atomic_fetch_add(&inside, 1) + 1, seen = atomic_load(&most);

	while (n > seen && !atomic_compare_exchange_weak(&most, &seen, n))
		;
	r->place = NULL;
	out(r);
	next(r);
}

/* Every seventh gives up, at a moment that is nobody's choice. */
static void next(struct racer *r)
{
	while (r->left) {
		switch (gate_enter(shared, LIMIT, r->loop, in, r, &r->place)) {
		case GATE_IN:
			atomic_fetch_add(&inside, 1);
			out(r);
			break;
		case GATE_WAIT:
			if (r->left % 7)
				return;
			gate_give_up(r->place);
			r->left--;
			break;
		default:
			r->left--;
		}
	}
	loop_stop(r->loop);
}

static unsigned hedges(struct gate *g, unsigned percent)
{
	unsigned n = 0;

	while (n < 1000 && gate_hedge(g, percent))
		n++;
	return n;
}

static void hedging(void)
{
	struct gate *g = gate_new();
	unsigned n = 0;

	ok(!gate_hedge(g, 100) && !gate_hedge(g, 0), "without a request there is no share");
	for (int i = 0; i < 1000; i++) {
		gate_count(g, false, 1);
		n += gate_hedge(g, 7);
	}
	ok(n == 69, "7 % of 1,000 requests at most");
	for (int i = 0; i < 19; i++)
		gate_count(g, false, 1);
	gate_count(g, true, 1);
	ok(hedges(g, 5) <= 1, "a retry is no request");
	for (int i = 0; i < 100000; i++)
		gate_count(g, false, 1);
	ok(hedges(g, 5) == 10, "of what nobody used ten are saved up");
	for (int i = 0; i < 12; i++)
		gate_count(g, false, 1);
	ok(hedges(g, 0) == 0 && hedges(g, 50) == 6, "another share counts from now on");
	gate_unref(g);
}

static void go(void *arg)
{
	next(arg);
}

static void *race(void *arg)
{
	struct racer *r = arg;

	loop_post(r->loop, go, r);
	loop_run(r->loop);
	return NULL;
}

static void settled(struct racer *r)
{
	struct timer t = { .fire = stop };

	loop = r->loop;		/* those who gave up on their way in */
	loop_timer_set(loop, &t, 1);
	loop_run(loop);
}

static void together(void)
{
	struct racer racers[THREADS];
	pthread_t t[THREADS];

	shared = gate_new();
	for (int i = 0; i < THREADS; i++) {
		racers[i] = (struct racer){ .loop = loop_new(NULL), .left = TIMES };
		pthread_create(&t[i], NULL, race, &racers[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < THREADS; i++)
		settled(&racers[i]);
	ok(most <= LIMIT && !gate_inside(shared) && !gate_waiting(shared), "threads: never more than the limit, and nobody is forgotten");
	for (int i = 0; i < THREADS; i++)
		loop_free(racers[i].loop);
	gate_unref(shared);
}

int main(void)
{
	struct loop *own = loop_new(NULL);

	loop = own;
	lining_up();
	trying_again();
	hedging();
	together();
	loop_free(own);
	return tap_done();
}
