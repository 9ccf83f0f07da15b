/*
 * client.h - HTTP to upstreams: sharded libcurl multis on a worker's loop.
 *
 * One exchange is one request to one upstream.  Events, on the loop's thread:
 *
 *	head(x, status)		the status line and headers are there
 *	data(x, at, len)	body bytes, decoded from their transfer coding; false: pause me
 *				(the same bytes come again after exchange_resume())
 *	end(x, how)		always, once, last, unless exchange_cancel() came first
 *
 * exchange_cancel() closes the upstream's connection at once and calls nothing.
 * No exchange is sent twice: libcurl's own repeat on a dead connection is stopped,
 * and told as stale (R32).  x is free after end() returns or exchange_cancel() does.  Every easy handle
 * is set up by one function (R25-R30): no redirects, no cookies, no environment.
 */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include "base/pool.h"
#include "net/loop.h"

struct client;
struct exchange;

struct exchange_result {
	enum {
		EXCHANGE_DONE,		/* a whole answer, whatever its status */
		EXCHANGE_CONNECT,	/* no connection: name, route, refused, TLS */
		EXCHANGE_TIMEOUT,	/* of connect, headers, idle or total; phase says where */
		EXCHANGE_CUT,		/* the connection ended before the answer did */
		EXCHANGE_TOO_LARGE,	/* max_bytes */
		EXCHANGE_REFUSED,	/* by us: an address that a foreign URL may not reach */
		EXCHANGE_BROKEN		/* not HTTP, or no memory */
	} how;
	enum { PHASE_CONNECT, PHASE_HEADERS, PHASE_BODY } phase;	/* how far it came */
	char why[120];		/* curl's words, no URL */
	bool stale;			/* CUT: a kept connection ended before the answer began; the request may or may not have been seen */
	uint64_t connect_us, tls_us;	/* of a new connection: name and TCP, then TLS; 0: it was a kept one, or none */
	uint64_t total_us;
};

struct exchange_events {
	void (*head)(void *owner, struct exchange *x, int status);
	bool (*data)(void *owner, struct exchange *x, const char *at, size_t len);
	void (*end)(void *owner, struct exchange *x, const struct exchange_result *result);
};

struct exchange_conf {
	const char *method, *url;	/* copied */
	const struct mg_str *headers;	/* "name: value" each; copied */
	size_t n_headers;
	const struct mg_str *body;	/* pieces, borrowed until the end; NULL: none */
	size_t pieces;
	uint64_t connect_ms, headers_ms, idle_ms, total_ms;	/* headers_ms: to the first byte; 0: none */
	size_t max_bytes;		/* of the decoded answer */
	bool stream;			/* a stream: own shard, small buffer */
	bool plain_http;		/* http:// allowed for this upstream */
	const char *ca_file;		/* NULL: the system's */
	bool foreign;			/* the URL came with a request: public addresses only, a connection of its own (R37) */
};

struct client *client_new(struct loop *loop, unsigned shards, unsigned max_connections, struct err *err);
/* Connections that nobody uses are closed after so long (118 s unless said), looked for all the while. */
void client_keep(struct client *c, unsigned seconds);
void client_free(struct client *c);	/* cancels what runs */

/* NULL: err says why, no event comes. */
struct exchange *exchange_start(struct client *c, const struct exchange_conf *conf,
	const struct exchange_events *events, void *owner, struct err *err);
void exchange_cancel(struct exchange *x);
void exchange_resume(struct exchange *x);
/* What has come is all that was asked for: the end is waited for, but not for as long as more would be. */
void exchange_ending(struct exchange *x);
/* A header of the answer, while the exchange lives; absent. */
struct mg_str exchange_header(struct exchange *x, const char *name);
uint64_t exchange_sent(struct exchange *x);	/* bytes of the body that have left, while it lives */

#endif
