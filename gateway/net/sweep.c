/*
 * sweep.c - closes kept connections that nobody uses, or that have ended.
 *
 * libcurl looks at them only when a transfer starts on the same multi, which for
 * most of many multis is never again once a burst is over.  So now and then a
 * transfer starts that cannot go anywhere: libcurl clears up, asks for a socket,
 * gets none, and is done, all in one turn and without the network.
 */
#include "net/client_parts.h"

enum { PARTS = 4, STEP_MS = 2 };	/* parts of the time that connections are kept: one is between sweeps */

static curl_socket_t no_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	(void)arg, (void)purpose, (void)a;
	return CURL_SOCKET_BAD;
}

static void sweep(struct multi *m)
{
	CURL *e = m->sweeper = curl_easy_init();

	if (!e)
		return;
	curl_easy_setopt(e, CURLOPT_URL, "http://127.0.0.1/");
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, no_socket);
	curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)m->client->keep_s);
	m->busy++;
	if (curl_multi_add_handle(m->curl, e) != CURLM_OK)
		sweep_over(m);
	m->busy--;
}

void sweep_over(struct multi *m)
{
	if (!m->sweeper)
		return;
	curl_multi_remove_handle(m->curl, m->sweeper);
	curl_easy_cleanup(m->sweeper);
	m->sweeper = NULL;
}

static uint64_t pause_ms(const struct client *c)
{
	return c->keep_s * 1000u / PARTS < 1000 ? 1000 : c->keep_s * 1000u / PARTS;
}

static bool any_used(const struct client *c)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->multis[i].used_ms)
			return true;
	return false;
}

/* A multi is swept until nothing that its last exchange left can be there; one
 * after the other, for closing a thousand connections would hold up a turn (R88).
 * libcurl counts whole seconds, of which there must be more than keep_s, and looks
 * once in a second: the last sweep may be the one that it leaves out.  With nothing
 * left to do the multi is closed, and its memory and handles are given back. */
void sweep_due(struct timer *t)
{
	struct client *c = loop_owner(t, struct client, sweep);
	uint64_t now = loop_now_ms(c->loop), gone = (c->keep_s + UINT64_C(2)) * 1000;

	while (c->swept < c->n && !c->multis[c->swept].used_ms)
		c->swept++;
	if (c->swept < c->n) {
		struct multi *m = &c->multis[c->swept++];

		if (now - m->used_ms > gone)
			m->used_ms = 0;
		if (!m->used_ms && !m->running)
			multi_close(m);
		else if (!m->sweeper)
			sweep(m);
		loop_timer_set(c->loop, t, STEP_MS);
		return;
	}
	c->swept = 0;
	if (any_used(c))
		loop_timer_set(c->loop, t, pause_ms(c));
}

void sweep_note(struct multi *m)
{
	struct client *c = m->client;

	m->used_ms = loop_now_ms(c->loop) | 1;
	if (!c->sweep.slot)
		loop_timer_set(c->loop, &c->sweep, pause_ms(c));
}

void client_keep(struct client *c, unsigned seconds)
{
	c->keep_s = seconds ? seconds : SWEEP_KEEP_S;
	if (c->sweep.slot)
		loop_timer_set(c->loop, &c->sweep, pause_ms(c));
}
