/*
 * attempt_parts.h - what the files of an attempt share; for nobody else.
 */
#ifndef RELAY_ATTEMPT_PARTS_H
#define RELAY_ATTEMPT_PARTS_H

#include "net/frame.h"
#include "relay/relay.h"

enum { ANSWER_MAX = 64 * 1024 * 1024,	/* bytes of a whole answer (R28) */
	POOL_BUDGET = 96 * 1024 * 1024,	/* bytes: a large image twice, as base64 and as bytes */
	POOL_FIRST = 2560 };		/* most take 2.3 KB */

struct attempt {
	struct relay *relay;
	const struct endpoint *endpoint;
	struct pool *pool;
	struct call call;
	struct framer framer;
	struct exchange *x;
	struct loopback *lo;
	struct timer quiet;		/* no output yet (R29), a place in line, or the pause before a follow-up */
	struct waiter *place;		/* in the line; NULL: none */
	struct token_waiter *token;	/* an access token is on its way; NULL: none */
	bool renewed;			/* it was refused once, and another one was got */
	bool inside;			/* of the gate */
	const char *result;		/* for metrics */
	struct mg_http http;
	struct mg_failure failure;
	struct buf error;		/* the body of an answer that is not 2xx */
	uint64_t began_us;		/* sent; before that: made */
	uint64_t sent;			/* bytes of the body that went up in exchanges before this one */
	bool under_way;			/* the first of them began */
	bool pass;			/* frames go to the client as they are */
	bool paused, framed, waiting;
	bool closed;			/* the exchange said its end: nothing to cancel */
	bool stale;			/* ... and it may never have reached anybody */
};

/* send.c */
int attempt_shape(struct attempt *a, struct mg_view *out, struct err *err);	/* the canonical request as the policies' shape hook leaves it */
int attempt_transmit(struct attempt *a, struct err *err);	/* a->http on the wire, or in the loopback */
void attempt_over_with(struct attempt *a);	/* its exchange: another one follows */
uint64_t attempt_time_left_ms(const struct attempt *a);	/* of what the request's attempts share */
static inline uint64_t or_else(uint64_t first, uint64_t second) { return first ? first : second; }	/* 0: not said */

/* limit.c: MG_EV_LIMIT, into the endpoint's health. */
void attempt_note_limit(struct attempt *a, const struct mg_event *e);
/* attempt.c: what comes back. */
extern const struct exchange_events attempt_exchange_events;
void attempt_loop_head(void *owner, int status);
bool attempt_loop_data(void *owner, const char *at, size_t len);
void attempt_loop_end(void *owner, const struct exchange_result *how);

#endif
