/*
 * deadline.c - what a client may take its time for (R8, R19).
 *
 *	NEW	head_ms		from accept, handshake included, to the first head
 *	IDLE	keepalive_ms	from an answer to the next request's first line
 *	HEAD	head_ms		from the first line to the end of the head
 *	BODY	body_ms		in all, and 1 KiB/s over each head_ms
 *	ANSWER	stall_ms	without a byte taken, while there are bytes to take
 *
 * The timer is lazy: a later deadline is only noted, and the timer, when it
 * fires early, is set again.  So a request costs no work on the timers.
 *
 * Past a deadline the socket is shut down, never closed, where a request began
 * with a 408 before: MHD sees the end, and its CLOSED notification takes the connection out.
 */
#include "net/server_parts.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>

void conn_due(struct conn *c, uint64_t after_ms)
{
	struct loop *l = c->server->loop;

	c->due_ms = loop_now_ms(l) + after_ms;
	if (!c->timer.slot || c->timer.due_ms > c->due_ms)
		loop_timer_set(l, &c->timer, after_ms);
}

/* Of a request that did not come whole in time nothing has been answered; of one that was refused, has. */
static void late(struct conn *c)
{
	struct req *q = c->req;

	if (q && !q->queued && !q->replied && !c->left) {
		q->pub.status = 408;
		refusal_send(c, 408, refusal_words(408));
	}
	conn_cut(c);
}

void conn_cut(struct conn *c)
{
	c->left = true;
	if (!c->shut)
		shutdown(conn_fd(c), SHUT_RDWR);
	c->shut = true;
	conn_resume(c);
	/* MHD does not look at the socket again by itself once it was idle. */
	shard_mark(c->shard);
}

/* A number that changes when the client takes bytes. */
static uint64_t taken(const struct conn *c)
{
	struct tcp_info info = { .tcpi_state = 0 };
	socklen_t len = sizeof(info);
	int queued = 0;

	if (!c->local && !getsockopt(conn_fd(c), IPPROTO_TCP, TCP_INFO, &info, &len))
		return info.tcpi_bytes_acked;
	ioctl(conn_fd(c), SIOCOUTQ, &queued);
	return (uint64_t)queued + (c->req ? c->req->out_at + c->req->pub.bytes_out : 0);
}

static void body_check(struct conn *c)
{
	const struct server_limits *l = &c->server->limits;
	uint64_t now = loop_now_ms(c->server->loop), seen = c->req ? c->req->pub.body_seen : 0;
	uint64_t left = c->body_end_ms > now ? c->body_end_ms - now : 0;

	if (!left || seen - c->progress < l->head_ms * 1024 / 1000) {
		late(c);
		return;
	}
	c->progress = seen;
	conn_due(c, left < l->head_ms ? left : l->head_ms);
}

static void answer_check(struct conn *c)
{
	const struct req *q = c->req;
	bool pending = !c->suspended && q && q->queued;
	uint64_t now = pending ? taken(c) : 0;

	if (pending && c->progress == now) {
		conn_cut(c);
		return;
	}
	c->progress = now;
	conn_due(c, c->server->limits.stall_ms);
}

void conn_deadline(struct timer *t)
{
	struct conn *c = loop_owner(t, struct conn, timer);
	uint64_t now = loop_now_ms(c->server->loop);

	if (now < c->due_ms)
		loop_timer_set(c->server->loop, t, c->due_ms - now);
	else if (c->phase == CONN_BODY)
		body_check(c);
	else if (c->phase == CONN_ANSWER)
		answer_check(c);
	else if (c->phase == CONN_HEAD)
		late(c);
	else
		conn_cut(c);
}

void conn_phase(struct conn *c, enum phase phase)
{
	const struct server_limits *l = &c->server->limits;
	uint64_t now = loop_now_ms(c->server->loop);

	if (c->phase == CONN_NEW && phase != CONN_NEW)
		c->shard->fresh--;
	c->phase = phase;
	c->progress = 0;
	switch (phase) {
	case CONN_NEW:
	case CONN_HEAD:
		if (c->due_ms > now + l->head_ms)	/* a first line must not buy more time */
			conn_due(c, l->head_ms);
		break;
	case CONN_IDLE:
		conn_due(c, l->keepalive_ms);
		break;
	case CONN_BODY:
		c->body_end_ms = now + l->body_ms;
		conn_due(c, l->body_ms < l->head_ms ? l->body_ms : l->head_ms);
		break;
	case CONN_ANSWER:
		conn_due(c, l->stall_ms);
		break;
	}
}
