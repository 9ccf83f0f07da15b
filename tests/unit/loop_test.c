/* loop_test.c - timers in order, posts from other threads, watches that go away. */
#include "net/loop.h"
#include "base/clock.h"
#include "tap.h"

#include <pthread.h>
#include <unistd.h>

enum { MANY = 500, POSTS = 1000, POSTERS = 4 };

static struct loop *loop;
static struct timer many[MANY], last;
static uint64_t late;
static unsigned fired, out_of_order, posted;
static uint64_t newest;

static void on_many(struct timer *t)
{
	fired++;
	if (t->due_ms < newest)
		out_of_order++;
	newest = t->due_ms;
	if (loop_now_ms(loop) < t->due_ms)
		out_of_order++;
	if (loop_now_ms(loop) - t->due_ms > late)
		late = loop_now_ms(loop) - t->due_ms;
}

static void on_last(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

static void turn_for(uint64_t ms)
{
	last.fire = on_last;
	loop_timer_set(loop, &last, ms);
	loop_run(loop);
}

static void timers(void)
{
	unsigned cleared = 0;

	srand(7);
	for (int i = 0; i < MANY; i++) {
		many[i].fire = on_many;
		loop_timer_set(loop, &many[i], (uint64_t)(rand() % 40));
	}
	for (int i = 0; i < MANY; i += 3)	/* set again, earlier or later */
		loop_timer_set(loop, &many[i], (uint64_t)(rand() % 40));
	for (int i = 0; i < MANY; i += 7) {
		loop_timer_clear(loop, &many[i]);
		loop_timer_clear(loop, &many[i]);
		cleared++;
	}
	turn_for(80);
	ok(fired == MANY - cleared, "each timer fires once, cleared ones do not");
	ok(!out_of_order, "in order, and never early");
	for (int i = 0; i < MANY; i++)
		if (many[i].slot)
			fired = 0;
	ok(fired, "a timer that fired is unset");
}

static unsigned again;

static void on_again(struct timer *t)
{
	again++;
	loop_timer_set(loop, t, 0);
}

static void zero_timer(void)
{
	static struct timer t = { .fire = on_again };

	loop_timer_set(loop, &t, 0);
	for (int i = 0; again < 2 && i < 100; i++)	/* where five ms pass before the first turn it has one */
		turn_for(5);
	ok(again > 1, "a timer that sets itself to now does not keep the loop from others");
	loop_timer_clear(loop, &t);
}

static void on_post(void *arg)
{
	(void)arg;
	if (++posted == POSTS * POSTERS)
		loop_stop(loop);
}

static void *poster(void *arg)
{
	(void)arg;
	for (int i = 0; i < POSTS; i++)
		loop_post(loop, on_post, NULL);
	return NULL;
}

static void posts(void)
{
	pthread_t t[POSTERS];

	for (int i = 0; i < POSTERS; i++)
		pthread_create(&t[i], NULL, poster, NULL);
	loop_run(loop);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(t[i], NULL);
	ok(posted == POSTS * POSTERS, "posts from several threads all run");
}

static struct watch pair[2];
static unsigned events;

static void on_pair(struct watch *w, uint32_t e)
{
	(void)e;
	events++;
	loop_unwatch(loop, &pair[w == &pair[0]]);	/* the other, which is in the same batch */
	loop_unwatch(loop, w);
	loop_stop(loop);
}

static void watches(void)
{
	int p[2][2];

	for (int i = 0; i < 2; i++) {
		if (pipe(p[i]) || write(p[i][1], "x", 1) != 1)
			return;
		pair[i] = (struct watch){ .fd = p[i][0], .ready = on_pair };
		loop_watch(loop, &pair[i], EPOLLIN);
	}
	loop_run(loop);
	ok(events == 1, "what was unwatched gets no event, not even of the same turn");
	ok(!pair[0].on && !pair[1].on, "... and knows it");
	for (int i = 0; i < 2; i++) {
		close(p[i][0]);
		close(p[i][1]);
	}
}

static unsigned turns;

static void on_turn(struct turn *t)
{
	(void)t;
	if (++turns < 3)
		loop_soon(loop);
}

static void soon(void)
{
	static struct turn t = { .run = on_turn };
	uint64_t from = loop_now_ms(loop);	/* what timers count from */

	loop_turn(loop, &t);
	turn_for(30);
	ok(turns >= 3 && turns < 8 && clock_ms() - from >= 30, "soon is one turn without a wait, not a spin");
	loop_unturn(loop, &t);
	turns = 0;
	turn_for(1);
	ok(!turns, "a turn taken off runs no more");
}

static char order[16];

static void note_order(char c)
{
	size_t n = strlen(order);

	if (n + 1 < sizeof(order))
		order[n] = c;
}

static void on_first(struct timer *t)
{
	(void)t;
	note_order('a');
	loop_prompt(loop);
}

static void on_second(struct timer *t)
{
	(void)t;
	note_order('b');
}

static void on_early(struct turn *t)
{
	(void)t;
	note_order('t');
	loop_due(loop);
}

static void on_late(struct turn *t)
{
	(void)t;
	note_order('l');
}

static void prompt(void)
{
	struct timer first = { .fire = on_first }, second = { .fire = on_second };
	struct turn behind = { .run = on_late, .late = true }, early = { .run = on_early };

	loop_turn(loop, &behind);
	loop_turn(loop, &early);
	loop_timer_set(loop, &first, 0);
	loop_timer_set(loop, &second, 0);
	memset(order, 0, sizeof(order));
	turn_for(1);
	ok(!strncmp(order, "atbtl", 5), "what is waited for runs before the next callback, what nobody waits for last");
	printf("# %s\n", order);
	loop_unturn(loop, &behind);
	loop_unturn(loop, &early);
}

static void slow(struct timer *t)
{
	uint64_t from = clock_us();

	(void)t;
	while (clock_us() - from < 3000)
		;
}

static void longest(void)
{
	struct timer t = { .fire = slow };

	loop_callback_max_us(loop);
	loop_timer_set(loop, &t, 0);
	turn_for(10);
	ok(loop_callback_max_us(loop) >= 3000, "the longest callback is told (R88)");
	ok(!loop_callback_max_us(loop), "... once");
}

static uint64_t steps[2];

static void many_things(struct timer *t)
{
	(void)t;
	steps[0] = loop_turns(loop);
	loop_step(loop);
	steps[1] = loop_turns(loop);
}

static void goes_on(void)
{
	struct timer t = { .fire = many_things };

	loop_timer_set(loop, &t, 0);
	turn_for(1);
	ok((steps[0] & 1) && (steps[1] & 1) && steps[0] != steps[1], "a turn that does one thing after the other is told from one that hangs");
	ok(!(loop_turns(loop) & 1), "... and from a wait");
}

int main(void)
{
	struct err err = { 0, "" };

	loop = loop_new(&err);
	if (!loop)
		return 1;
	timers();
	zero_timer();
	posts();
	watches();
	soon();
	prompt();
	longest();
	goes_on();
	loop_free(loop);
	return tap_done();
}
