/*
 * server_parts.h - what the files of the server share; nobody else includes it.
 *
 *	group	the daemons that serve one certificate, or plain HTTP
 *	shard	one libmicrohttpd daemon; run once a turn, and only when marked
 *	door	one listening socket
 *	conn	one client's connection; its state is plain, for one thread sees it
 *	req	one request, from its first line until its owner and MHD are done
 */
#ifndef NET_SERVER_PARTS_H
#define NET_SERVER_PARTS_H

#include <microhttpd.h>
#include <sys/socket.h>
#include "base/buf.h"
#include "net/guard.h"
#include "net/server.h"

struct shard {
	struct server *server;
	struct MHD_Daemon *mhd;
	struct watch watch;	/* the daemon's epoll */
	struct timer again;	/* TLS: look again in a millisecond */
	struct shard *next_dirty;
	bool dirty, tls;
	unsigned conns, fresh;	/* fresh: without a first request */
	uint64_t runs;		/* how often MHD has looked at it */
	uint64_t empty_ms;	/* since when it is without connections */
};

struct group {
	struct group *next;
	char *cert, *key;	/* NULL: plain */
	unsigned n;
	bool retired;		/* a newer certificate took its place: ends with its last connection */
	struct shard *shards;
};

struct door {
	struct door *next;
	struct server *server;
	struct group *group;
	struct watch watch;
	struct timer rest;	/* out of descriptors: wait before the next accept */
	bool admin, local;	/* local: a unix socket */
};

enum { SEND_BUFFER = 64 * 1024 };	/* bytes of a socket: the kernel's megabytes would hide a slow reader (R19) */
enum phase { CONN_NEW, CONN_IDLE, CONN_HEAD, CONN_BODY, CONN_ANSWER };

struct conn {
	struct conn *prev, *next;
	struct server *server;
	struct shard *shard;
	struct MHD_Connection *mhd;
	struct req *req;
	struct watch watch;	/* EPOLLRDHUP (R18) */
	struct timer timer;	/* fires at due_ms or before, see deadline.c */
	uint64_t due_ms, body_end_ms, progress;
	uint64_t answered;	/* the shard's run in which the last answer was through */
	enum phase phase;
	bool suspended, left, admin, local, counted;
	bool shut;		/* shutdown() was called */
	bool corked;		/* is in the server's list of those */
	struct conn *next_corked;
	uint64_t who;		/* its place in the count per address */
	char client[46];
};

struct req {
	struct http_request pub;	/* first: a pub is its req */
	struct conn *conn;	/* NULL: MHD is done with it */
	struct req *next_ended;
	struct buf body, out;
	size_t out_at;		/* of out: what MHD has taken */
	struct guard_body shape;
	struct MHD_Response *response;	/* made, not yet queued */
	int status;
	bool head_seen, body_seen, swallow, old;	/* old: HTTP/1.0 */
	bool replied;		/* the owner has started its answer */
	bool finished;		/* ... and is done with it */
	bool stream, aborted, queued, high, listed;
	struct { struct req *prev, *next; bool on; } left;	/* its client did, its owner works on */
	struct { struct req *prev, *next; char *at; size_t len; bool on, done; } idle;	/* see idle.c */
};

struct server {
	struct loop *loop;
	struct server_limits limits;
	struct server_events on;
	void *ctx;
	struct turn turn, late;
	struct group *groups;
	struct door *doors;
	struct conn *conns, *adding;	/* adding: on its way through MHD_add_connection() */
	struct shard *dirty;
	struct conn *corked;
	struct req *idle, *left;
	struct timer idle_look, kept_until, empty_look;
	bool empty_due;
	struct buf kept_body;
	struct req *ended, **ended_last;
	_Atomic size_t n_conns;		/* /metrics adds up those of all workers */
	size_t n_reqs;
	bool draining, running;
};

/* shard.c */
struct group *group_for(struct server *s, const char *cert, const char *key, struct err *err);
void group_retire(struct server *s, struct group *g);
void groups_free(struct server *s);
struct shard *group_emptiest(struct group *g);
void shard_mark(struct shard *sh);
void shard_left(struct shard *sh);	/* its last connection has */
void shards_look(struct timer *t);
void shards_run(struct turn *t);
void server_late(struct turn *t);

/* conn.c */
void conn_open(struct door *d, int fd, const struct sockaddr *addr, socklen_t len);
void conn_notify(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code);
void conn_suspend(struct conn *c);
void conn_resume(struct conn *c);
void conn_cork(struct conn *c);
void conns_uncork(struct server *s);
int conn_fd(const struct conn *c);
void conn_condemn(struct conn *c);

/* deadline.c */
void conn_due(struct conn *c, uint64_t after_ms);
void conn_phase(struct conn *c, enum phase phase);
void conn_deadline(struct timer *t);
void conn_cut(struct conn *c);

/* limits.c: the counts of R9 are of the process */
bool address_enter(const struct sockaddr *addr, unsigned per_ip, unsigned all, uint64_t *who, bool *counted);
void address_leave(uint64_t who, bool counted);

/* listener.c */
int door_open(struct server *s, const struct listener *l, struct group *g, struct err *err);
void doors_close(struct server *s);

/* handler.c: libmicrohttpd's callbacks */
void *handle_target(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result handle_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
	const char *version, const char *data, size_t *size, void **context);
void handle_completed(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode how);
void req_ended(struct req *q);		/* to be told at the end of the turn */
void reqs_tell(struct server *s);
ssize_t req_read(void *cls, uint64_t pos, char *at, size_t max);

/* body.c */
void body_put(struct req *q, const char *data, size_t len);
void body_release(struct req *q);
void body_forget(struct timer *t);

/* idle.c */
void idle_note(struct req *q, char *at, size_t len);	/* it waits, and MHD has given so much room */
void idle_forget(struct req *q);
void idle_look(struct timer *t);

/* refusal.c: the answers that go around the handler */
enum { REFUSAL_ID = 48, REFUSAL_BODY = 512, REFUSAL_TEXT = 1024 };
void refusal_id(char out[static REFUSAL_ID]);
const char *refusal_words(unsigned status);
size_t refusal_body(char out[static REFUSAL_BODY], unsigned status, const char *why);	/* the envelope; its length */
size_t refusal_text(char out[static REFUSAL_TEXT], const char *more, unsigned status, const char *why);
void refusal_send(const struct conn *c, unsigned status, const char *why);

/* answer.c */
void req_refuse(struct req *q, int status, const char *why);

#endif
