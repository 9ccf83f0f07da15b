/*
 * body.c - a request's body, gathered piece by piece.
 *
 * The kernel clears each page that it gives: for 20 MB that takes as long as checking
 * them, and several times that where it has to ask its own host.  Who sends images sends
 * them again with the next turn of the talk, so the room of the last one is kept for it;
 * the kernel may have it sooner, if it needs it.
 */
#include "net/server_parts.h"

enum { PART = 128 * 1024, LARGE = 1024 * 1024 };	/* bytes */

/* In one step, and not for a promise alone: some of it has come. */
static void room_for_all(struct req *q)
{
	struct buf *kept = &q->pub.server->kept_body, had = q->body;

	if (kept->size < q->shape.len) {
		buf_more(&q->body, q->shape.len - q->body.len);
		return;
	}
	q->body = *kept;
	*kept = (struct buf){ .at = NULL };
	q->body.max = had.max;
	q->body.len = 0;
	buf_str(&q->body, buf_view(&had));
	buf_release(&had);
}

void body_put(struct req *q, const char *data, size_t len)
{
	if (!q->body.max)
		buf_init(&q->body, q->pub.body_max);
	if (q->body.len >= PART && q->shape.declared && q->shape.len > q->body.size)
		room_for_all(q);
	buf_put(&q->body, data, len);
}

void body_release(struct req *q)
{
	struct server *s = q->pub.server;

	if (q->body.size < LARGE || q->body.size < s->kept_body.size) {
		buf_release(&q->body);
		return;
	}
	buf_release(&s->kept_body);
	s->kept_body = q->body;
	q->body = (struct buf){ .at = NULL };
	buf_lend(&s->kept_body);
	loop_timer_set(s->loop, &s->kept_until, s->limits.room_kept_ms);
}

void body_forget(struct timer *t)
{
	buf_release(&loop_owner(t, struct server, kept_until)->kept_body);
}
