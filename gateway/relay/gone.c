/*
 * gone.c - the client left before its answer was whole (R45).
 *
 * An unstreamed answer is made anyway, and billed in full.  Of a stream the upstream is
 * closed at once, and what was produced is billed; unless its provider bills all of it
 * anyway (on_cancel = "finish"): then it is unattended, which is to be read to its end
 * for the usage that comes there, while the output is counted and dropped.  Only what was
 * sent goes on, of several attempts one, and nothing new begins behind it.
 */
#include "relay/inline.h"

static bool take_place(struct relay *r)
{
	json_int_t most = json_integer_value(json_object_get(json_object_get(r->snap->conf.tree, "limits"), "unattended"));
	atomic_uint *n = &r->w->gw->unattended;

	if (atomic_fetch_add(n, 1) < most)
		return true;
	atomic_fetch_sub(n, 1);
	return false;
}

static bool goes_on(struct relay *r)
{
	return r->now && attempt_sent(r->now) && (!r->stream || (attempt_endpoint(r->now)->provider->finish_cancelled && take_place(r)));
}

static void count(struct relay *r, int n)
{
	metric_add(M_UPSTREAM_UNATTENDED, n, METRIC_LABELS(r->unattended->slug));
}

static void read_on(struct relay *r)
{
	r->unattended = attempt_endpoint(r->now)->provider;
	r->committed = true;	/* whatever becomes of it, nobody else is asked */
	if (r->race)
		race_won(r);
	loop_timer_clear(r->w->loop, &r->beat);
	count(r, 1);
	attempt_resume(r->now);		/* it may have waited for its reader */
}

static void stop(struct relay *r)
{
	struct attempt *a = r->now;

	if (a) {
		tried_cancelled(r, a, "cancelled");
		if (r->race)
			race_goes_on(r, a, "cancelled");
		attempt_cancel(a);
	}
	inline_stop(r);
	lookup_stop(r);
	loop_timer_clear(r->w->loop, &r->step);
	relay_settle(r, 499, "cancelled");
	r->ended = true;
	gone_answered(r);
}

void relay_gone(struct relay *r)
{
	if (r->ended)
		return;
	r->cancelled = true;
	if (r->race)
		race_narrow(r);
	if (!goes_on(r))
		stop(r);
	else if (r->stream)
		read_on(r);
}

void gone_answered(struct relay *r)
{
	if (r->opened)
		http_stream_abort(r->http);
	else
		http_reply(r->http, 499, NULL, (struct mg_str){ "", 0 });
}

void gone_release(struct relay *r)
{
	if (!r->unattended)
		return;
	count(r, -1);
	atomic_fetch_sub(&r->w->gw->unattended, 1);
}
