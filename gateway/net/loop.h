/*
 * loop.h - one thread's epoll, timers and wake-ups.
 *
 * All calls but loop_post(), loop_stop() and loop_turns() belong to the thread that runs the
 * loop.  A callback never waits; when it frees its owner, that is the last
 * thing it does.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include "base/err.h"

struct loop;

/* Lives inside its owner; zero it, set fd and ready, then loop_watch(). */
struct watch { int fd; void (*ready)(struct watch *w, uint32_t events); bool on; };
#define loop_owner(w, type, member) ((type *)(void *)((char *)(w) - offsetof(type, member)))

/* Lives inside its owner, too; unset while slot is 0. */
struct timer { void (*fire)(struct timer *t); uint64_t due_ms; size_t slot; };

/* Work that every turn ends with, before the next wait (MHD_run of dirty daemons); late: what nobody
 * waits for, behind all else. */
struct turn { void (*run)(struct turn *t); bool late; struct turn *next; };

struct loop *loop_new(struct err *err);
void loop_free(struct loop *l);
void loop_run(struct loop *l);		/* until loop_stop() */
void loop_stop(struct loop *l);		/* from any thread */
uint64_t loop_now_ms(const struct loop *l);	/* monotonic, read once a turn */

int loop_watch(struct loop *l, struct watch *w, uint32_t events);	/* adds or changes */
void loop_unwatch(struct loop *l, struct watch *w);	/* no event of this turn reaches it any more */
void loop_timer_set(struct loop *l, struct timer *t, uint64_t after_ms);	/* sets again, too */
void loop_timer_clear(struct loop *l, struct timer *t);
void loop_turn(struct loop *l, struct turn *t);		/* until loop_unturn() */
void loop_unturn(struct loop *l, struct turn *t);	/* not from within a turn */
void loop_soon(struct loop *l);		/* do not wait in this turn: somebody has more to do */
void loop_prompt(struct loop *l);	/* run the turns (not the late ones) behind this callback, unless much else came with it: what it made is waited for */
void loop_due(struct loop *l);		/* from within a turn: runs the timers that are due, unless much else came */

/* Runs fn(arg) on the loop's thread, soon and in order.  From any thread. */
int loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

uint64_t loop_turns(const struct loop *l);	/* from any thread; odd: in the midst of one, even: it waits; the same as before: it has not gone on */
void loop_step(struct loop *l);		/* what may take long is done, and there is more of it in this turn: it goes on */
uint64_t loop_callback_max_us(struct loop *l);	/* longest callback since the last call (R88) */

#endif
