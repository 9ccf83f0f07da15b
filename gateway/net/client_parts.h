/*
 * client_parts.h - what the files of the client share; nobody else includes it.
 *
 *	multi	one CURLM: its sockets, its timer, and what must wait until
 *		libcurl is out of its callbacks
 *	place	a parsed URL, kept for the next exchange to it
 */
#ifndef NET_CLIENT_PARTS_H
#define NET_CLIENT_PARTS_H

#include <curl/curl.h>
#include "net/client.h"

/* An easy handle that nobody uses, and the kind of exchange that its options are set for; 0: it was reset. */
struct spare { CURL *easy; unsigned kind; };

struct multi {
	struct client *client;
	CURLM *curl;		/* NULL: it is not needed */
	struct timer timer;
	struct sock *socks;
	struct exchange *later;	/* cancelled, started or resumed inside a callback */
	struct spare *spare;	/* to use again */
	unsigned running, n_spare;
	unsigned busy;		/* depth of calls into libcurl that may call back */
	CURL *sweeper;		/* see sweep.c; NULL: no sweep runs */
	uint64_t used_ms;	/* when an exchange ended here; 0: nothing is kept */
};

enum { PLACES = 256 };	/* of a client: URLs kept parsed */
struct place { CURLU *url; char *text, *host; unsigned users; bool plain; };	/* host: the header; NULL: libcurl's */

struct client {
	struct loop *loop;
	CURLSH *share;
	struct timer work;	/* zero: run what waits in the lists for later */
	struct timer sweep;
	unsigned keep_s, swept;		/* swept: how far this round is */
	struct exchange *all;
	unsigned n, cached;		/* multis; connections that one of them keeps */
	struct place *places;
	struct name *names;	/* that are looked up: lookup.c */
	struct multi multis[];
};

struct exchange {
	struct exchange *prev, *next;		/* of the client */
	struct exchange *next_later, *next_waiting;
	struct name *name;			/* it looks it up, or waits for who does */
	struct multi *multi;
	CURL *easy;
	struct place *place;
	bool own_place;				/* its slot of the cache was taken */
	struct exchange_events on;
	void *owner;
	char *headers;				/* all of them, in one node */
	struct curl_slist list[5];
	unsigned nodes;				/* of the list */
	unsigned kind;				/* what the handle may be used for next; 0: only after a reset */
	char *joined;				/* a small body of several pieces, until the answer's head */
	const struct mg_str *body;
	size_t pieces, piece, piece_at;
	uint64_t body_len, uploaded;
	uint64_t headers_ms, idle_ms, connect_ms, total_ms;
	uint64_t began_us, began_ms, connected_ms, last_ms, connect_us, tls_us;
	struct timer timer;
	size_t bytes, max_bytes;
	int status;
	unsigned phase;
	bool listed, added, start, cancelled, resume, paused, ended;
	bool foreign, refused, too_large, headed;
	bool done;		/* libcurl said so */
	bool waits;		/* it was stopped, since another one looks up its name */
	bool spared;		/* by a deadline that came late */
	bool kept, stale;	/* on a connection that was used before; which had ended */
	char *error;		/* CURL_ERROR_SIZE bytes, where TLS may have something to say; else NULL */
};

/* options.c */
int exchange_setup(struct exchange *x, const struct exchange_conf *conf, struct err *err);
void exchange_unset(CURL *easy);	/* takes off it what belongs to one exchange */
struct place *place_for(struct client *c, const char *url, bool *own, struct err *err);
void place_drop(struct place *p, bool own);
void places_free(struct client *c);

/* events.c: what libcurl calls for one exchange */
size_t transfer_header(char *at, size_t size, size_t n, void *arg);
size_t transfer_data(char *at, size_t size, size_t n, void *arg);
size_t transfer_read(char *at, size_t size, size_t n, void *arg);
int transfer_seek(void *arg, curl_off_t offset, int origin);
int transfer_connected(void *arg, char *ip, char *local_ip, int port, int local_port);
bool exchange_out_on_kept(const struct exchange *x);	/* some of the request has left, on a connection that was used before */
curl_socket_t transfer_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a);

/* lookup.c */
int names_new(struct client *c);
void names_free(struct client *c);
int transfer_lookup(void *state, void *reserved, void *exchange);	/* libcurl does not know the name; not 0: do not look */
bool lookup_waits(struct exchange *x);		/* of one that has ended, and is off its multi: it was stopped, and goes on by itself */
void lookup_missing(struct exchange *x);	/* its name was not found */
void lookup_leave(struct exchange *x);

/* timeouts.c */
void exchange_deadline(struct timer *t);
void exchange_arm(struct exchange *x);

/* sweep.c */
enum { SWEEP_KEEP_S = 118 };	/* below the idle limit of common upstreams (R25) */
void sweep_note(struct multi *m);
void sweep_over(struct multi *m);
void sweep_due(struct timer *t);

/* giveup.c */
void exchange_give_up(struct exchange *x);	/* takes it off its multi */

/* client.c */
void exchange_over(struct exchange *x, int how, const char *why);
void exchange_again(struct exchange *x);	/* of one that is on no multi: it starts once libcurl is out of its callbacks */
void multi_close(struct multi *m);	/* of one without exchanges: until it is used again */

#endif
