/*
 * gate.h - the way into one upstream, shared by all workers: how many requests
 * may be inside at once (R36), and how many of them may be retries (R33).
 *
 * Who finds the gate full stands in line, first come first served; the line is
 * bounded, and its places end with gate_give_up().  Without a limit nothing
 * here takes a lock; with one, only a full gate does.
 */
#ifndef CATALOG_GATE_H
#define CATALOG_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include "net/loop.h"

struct gate;
struct waiter;		/* a place in the line */

struct gate *gate_new(void);
struct gate *gate_ref(struct gate *g);
void gate_unref(struct gate *g);

/* limit: of the caller's snapshot; 0: none. */
bool gate_full(const struct gate *g, unsigned limit);
/* GATE_IN: inside, until gate_leave().  GATE_WAIT: in(owner) is called on the loop
 * once it is inside; *place is the caller's until then.  GATE_LONG: the line is full. */
enum gate_answer { GATE_IN, GATE_WAIT, GATE_LONG };
enum gate_answer gate_enter(struct gate *g, unsigned limit, struct loop *loop, void (*in)(void *owner), void *owner, struct waiter **place);
void gate_leave(struct gate *g);
void gate_give_up(struct waiter *place);	/* on the loop of gate_enter(); in() is not called any more */
unsigned gate_inside(const struct gate *g);
unsigned gate_waiting(const struct gate *g);

/* Retries stay below a tenth of the requests of the last 10 to 20 s, or 3.  A retry is
 * a further attempt of one request at the same upstream; another upstream is none. */
void gate_count(struct gate *g, bool retry, uint64_t now_ms);
/* May one more request that has begun here ask elsewhere, too?  At most percent of those that were counted
 * do, exactly, and of what is left unused no more than the last ten are saved up. */
bool gate_hedge(struct gate *g, unsigned percent);
bool gate_may_retry(const struct gate *g, uint64_t now_ms);

#endif
