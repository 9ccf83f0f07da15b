/*
 * giveup.c - an exchange that ends before its answer does, on a connection that others use, too.
 *
 * libcurl 7.88 resets the stream of a transfer that is removed, but leaves the frame in
 * its buffer until something else goes out on that connection: an upstream went on
 * generating for a client that had left.  So a neighbour on the same connection is
 * nudged, which flushes; where there is none the connection is closed.
 */
#include "net/client_parts.h"

static long port_of(const struct exchange *x)
{
	long port = 0;

	curl_easy_getinfo(x->easy, CURLINFO_LOCAL_PORT, &port);
	return port;
}

static struct exchange *neighbour(const struct exchange *x, long port)
{
	for (struct exchange *y = x->multi->client->all; y; y = y->next)
		if (y != x && y->multi == x->multi && y->added && !y->done && !y->paused && !y->place->plain &&
		    y->phase != PHASE_CONNECT && port_of(y) == port)
			return y;
	return NULL;
}

void exchange_give_up(struct exchange *x)
{
	bool shared = !x->done && x->phase != PHASE_CONNECT && !x->place->plain;
	struct multi *m = x->multi;
	long port = shared ? port_of(x) : 0;
	struct exchange *y;

	m->busy++;
	if (shared)
		curl_easy_setopt(x->easy, CURLOPT_FORBID_REUSE, 1L);	/* heeded when nobody else is on it */
	curl_multi_remove_handle(m->curl, x->easy);
	y = shared && port ? neighbour(x, port) : NULL;
	if (y) {	/* each change of a pause writes what is in the buffer */
		curl_easy_pause(y->easy, CURLPAUSE_SEND);
		curl_easy_pause(y->easy, CURLPAUSE_CONT);
	}
	m->busy--;
}
