/*
 * idle.c - a stream that waits gives back the pages that nothing is in.
 *
 * libmicrohttpd hands what is left of a connection's pool to the reader of the answer, to
 * be filled, and has written zeros all over it before: 10 KB are resident for events of
 * a few hundred bytes.  While the reader has said that there is nothing, what is there is
 * nobody's; without its pages it reads as zeros.  Not at once: a short answer would pay for
 * it twice.
 */
#include "net/server_parts.h"

#include <sys/mman.h>
#include <unistd.h>

enum { IDLE_MS = 250, STEP_MS = 1, PART = 64 };	/* so many in one turn: each is a system call (R88) */

void idle_note(struct req *q, char *at, size_t len)
{
	struct server *s = q->pub.server;

	q->idle.at = at;
	q->idle.len = len;
	if (q->idle.on || q->idle.done)
		return;
	q->idle.on = true;
	q->idle.prev = NULL;
	q->idle.next = s->idle;
	if (s->idle)
		s->idle->idle.prev = q;
	s->idle = q;
	if (!s->idle_look.slot)
		loop_timer_set(s->loop, &s->idle_look, IDLE_MS);
}

void idle_forget(struct req *q)
{
	if (!q->idle.on)
		return;
	q->idle.on = false;
	if (q->idle.prev)
		q->idle.prev->idle.next = q->idle.next;
	else
		q->pub.server->idle = q->idle.next;
	if (q->idle.next)
		q->idle.next->idle.prev = q->idle.prev;
}

/* Whole pages in it: those at its ends are shared with others. */
static void give_back(char *at, size_t len)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)at + page - 1) & ~(page - 1), to = ((uintptr_t)at + len) & ~(page - 1);

	if (to > from)
		madvise((void *)from, to - from, MADV_DONTNEED);
}

/* Suspended means that the reader was the last to be asked, and that nothing is on its way to the client. */
void idle_look(struct timer *t)
{
	struct server *s = loop_owner(t, struct server, idle_look);
	struct req *q = s->idle, *next;
	int n = 0;

	for (; q && n < PART; q = next) {
		next = q->idle.next;
		if (q->conn && (!q->conn->suspended || q->out.len))
			continue;
		idle_forget(q);
		q->idle.done = true;
		if (q->conn)
			give_back(q->idle.at, q->idle.len);
		n++;
	}
	if (s->idle)
		loop_timer_set(s->loop, t, q ? STEP_MS : IDLE_MS);
}
