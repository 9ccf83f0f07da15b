/*
 * server.h - HTTP to clients: libmicrohttpd daemons on a worker's loop, behind
 * the guard (R1-R16).
 *
 * A request's life, all on one thread:
 *
 *	head(r)		the head passed the guard.  Reply now (the body is then
 *			not read, R11), or set r->body_max and return.
 *	body(r)		the whole body is in r->body.  Reply now or later.
 *	drained(r)	a streamed answer's buffer fell below the low-water mark.
 *	gone(r)		the client left before the answer was whole; what is written
 *			from now on is dropped.  Comes at most once.
 *	ended(r)	always, once, last: r and its pool end when it returns.  Once
 *			body() was told, r stays until the owner has replied or
 *			http_stream_end()ed, gone or not; before it, ended follows gone.
 *			Never told from inside a call to this module.
 *
 * A reply may be made from any callback of the same loop.
 */
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include "base/pool.h"
#include "net/loop.h"

struct server;
struct http_request;

struct http_header { const char *name; struct mg_str value; };	/* CR, LF, NUL are refused (R15): the header is left out */

struct server_events {
	void (*head)(struct http_request *r);
	void (*body)(struct http_request *r);
	void (*drained)(struct http_request *r);
	void (*gone)(struct http_request *r);
	void (*ended)(struct http_request *r);
};

struct http_request {
	struct mg_str method, target;	/* target: raw, as routed and authorised (R6) */
	struct mg_str path, query;	/* parts of target; query without '?', absent when there is none */
	struct mg_str body;
	size_t body_max;		/* bytes; larger: 413 (R7) */
	size_t pool_budget;		/* bytes */
	struct pool *pool;
	struct server *server;
	void *owner;			/* whoever answers */
	char client[46];		/* its address, text */
	bool admin;			/* came in on a listener that may serve /ui/ and /api/admin/ (R82) */
	bool gone;
	uint64_t began_us;		/* monotonic, first byte of the head as seen */
	size_t body_seen, bytes_out;
	int status;			/* of the answer; 0: none yet */
};

struct server_limits {
	size_t header_bytes, body_bytes;		/* R4, R7 */
	uint64_t head_ms, body_ms, keepalive_ms, stall_ms;	/* R8, R19 */
	uint64_t room_kept_ms;				/* of the last large body, for the next one */
	unsigned connections, connections_per_ip;	/* R9; of this process */
	unsigned daemons;				/* shards */
	bool half_close;				/* R18 */
	/* Paths, ended by NULL, below which a segment may be a name with an encoded slash in it
	 * (R6): it stays one segment, as it came.  NULL: nowhere. */
	const char *const *slugs;
};

/* One listening socket of one worker; SO_REUSEPORT for addresses, one shared
 * descriptor for unix sockets.  at: "127.0.0.1:8080", "[::1]:0", "unix:/run/x.sock".
 * cert, key: PEM texts, or NULL for plain HTTP. */
struct listener { const char *at; const char *cert, *key; bool admin; int fd; };
int listener_open(struct listener *l, struct err *err);		/* binds and listens: sets fd */
void listener_name(const struct listener *l, char out[static 128]);	/* "127.0.0.1:43211": the real port */
int listener_certificate(const struct listener *l, struct err *err);	/* cert and key: can they be used, today? */

/* Proves on a self-request that MHD is one whose traps are guarded (R3); once a process. */
int server_self_check(struct err *err);

struct server *server_new(struct loop *loop, const struct server_limits *limits, const struct server_events *events,
	void *ctx, struct err *err);
void *server_ctx(struct server *s);
int server_listen(struct server *s, const struct listener *l, struct err *err);
	/* adds a socket, and closes it in the end; the fd of one that is there: a new certificate */
size_t server_connections(const struct server *s);
/* R91: 1. stop_accept: backlog emptied, sockets closed, answers say Connection: close;
 * 2. cut: ends what is still open with END_WITH_ERROR; 3. idle() is true; 4. free. */
void server_stop_accept(struct server *s);
/* Every request that is not ended; fn may reply. */
void server_each(struct server *s, void (*fn)(struct http_request *r));
void server_cut(struct server *s);
bool server_idle(const struct server *s);
void server_free(struct server *s);

struct mg_str http_header(const struct http_request *r, const char *name);	/* case-insensitive; absent */
struct mg_str http_query(struct http_request *r, const char *name);	/* percent-decoded, in the pool; absent */

/* A whole answer.  headers end with name NULL; body is copied. */
void http_reply(struct http_request *r, int status, const struct http_header *headers, struct mg_str body);

/* A streamed one (chunked, kept alive).  stream_write copies and never blocks;
 * it returns the bytes buffered: above STREAM_HIGH the caller pauses its source until drained(). */
enum { STREAM_HIGH = 192 * 1024, STREAM_LOW = 64 * 1024 };
void http_stream(struct http_request *r, int status, const struct http_header *headers);
size_t http_stream_write(struct http_request *r, const void *at, size_t len);
void http_stream_end(struct http_request *r);		/* clean end */
void http_stream_abort(struct http_request *r);		/* the client must see a cut body (R20) */

#endif
