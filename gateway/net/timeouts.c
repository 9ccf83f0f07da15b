/*
 * timeouts.c - how long an upstream may take (R29).
 *
 *	connect		from the start to the first byte of the request
 *	headers		from there to the head of the answer; an upload that moves
 *			starts it again
 *	idle		between bytes of the answer; not while we paused it; short
 *			behind its last word, for some upstreams leave the connection open
 *	total		everything
 *
 * The timer is lazy: bytes only note the time, and the timer looks at it when
 * it fires.  Where it fires late the loop was not there to see what came: the
 * exchange has that time once more, but for the total, which is promised.
 */
#include "net/client_parts.h"

enum { LONG_UPLOAD = 64 * 1024 /* bytes */, ENDING_MS = 2000 };

static uint64_t due_of(const struct exchange *x)
{
	uint64_t due = UINT64_MAX;

	if (x->phase == PHASE_CONNECT && x->connect_ms)
		due = x->began_ms + x->connect_ms;
	if (x->phase == PHASE_HEADERS && x->headers_ms)
		due = x->connected_ms + x->headers_ms;
	if (x->phase == PHASE_BODY && x->idle_ms && !x->paused)
		due = x->last_ms + x->idle_ms;
	if (x->total_ms && x->began_ms + x->total_ms < due)
		due = x->began_ms + x->total_ms;
	return due;
}

void exchange_arm(struct exchange *x)
{
	struct loop *l = x->multi->client->loop;
	uint64_t due = due_of(x), now = loop_now_ms(l);

	if (due == UINT64_MAX)
		return;
	if (!x->timer.slot || x->timer.due_ms > due)
		loop_timer_set(l, &x->timer, due > now ? due - now : 0);
}

void exchange_ending(struct exchange *x)
{
	if (x->ended || (x->idle_ms && x->idle_ms <= ENDING_MS))
		return;
	x->idle_ms = ENDING_MS;
	exchange_arm(x);
}

static bool still_uploading(struct exchange *x)
{
	curl_off_t n = 0;

	if (x->phase != PHASE_HEADERS || x->body_len < LONG_UPLOAD)
		return false;
	curl_easy_getinfo(x->easy, CURLINFO_SIZE_UPLOAD_T, &n);
	if (n <= 0 || (uint64_t)n == x->uploaded)
		return false;
	x->uploaded = (uint64_t)n;
	x->connected_ms = loop_now_ms(x->multi->client->loop);
	return true;
}

void exchange_deadline(struct timer *t)
{
	static const char *const why[] = { "no connection in time", "no answer in time", "the answer stopped" };
	struct exchange *x = loop_owner(t, struct exchange, timer);
	struct loop *l = x->multi->client->loop;
	uint64_t now = loop_now_ms(l), late = now - t->due_ms;
	bool total = x->total_ms && now >= x->began_ms + x->total_ms;

	if (due_of(x) > now || (!total && still_uploading(x))) {
		exchange_arm(x);
	} else if (!total && late && !x->spared) {
		x->spared = true;
		loop_timer_set(l, t, late);
	} else {
		exchange_over(x, EXCHANGE_TIMEOUT, total ? "it took too long in all" : why[x->phase]);
	}
}
