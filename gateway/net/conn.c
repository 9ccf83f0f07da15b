/* conn.c - one client's connection: from accept to the CLOSED notification. */
#include "net/server_parts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

int conn_fd(const struct conn *c)
{
	return c->watch.fd;
}

void conn_suspend(struct conn *c)
{
	if (c->suspended)
		return;
	c->suspended = true;
	MHD_suspend_connection(c->mhd);
}

void conn_resume(struct conn *c)
{
	if (!c->suspended)
		return;
	c->suspended = false;
	MHD_resume_connection(c->mhd);
	shard_mark(c->shard);
}

/* MHD sends head, chunks and the last chunk each by itself.  What one turn has for a
 * client goes out as one packet: it is waked once, and the kernel's work is done once. */
void conn_cork(struct conn *c)
{
	int on = 1;

	if (c->corked || c->local || setsockopt(c->watch.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)))
		return;
	c->corked = true;
	c->next_corked = c->server->corked;
	c->server->corked = c;
}

void conns_uncork(struct server *s)
{
	int off = 0;

	for (struct conn *c = s->corked; c; c = c->next_corked) {
		c->corked = false;
		setsockopt(c->watch.fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
	}
	s->corked = NULL;
}

static void forget_cork(struct conn *c)
{
	struct conn **at = &c->server->corked;

	while (c->corked && *at != c)
		at = &(*at)->next_corked;
	if (c->corked)
		*at = c->next_corked;
}

/* With TURBO, MHD 0.9.75 forgets a connection that ends inside a callback: it
 * is on no list that is looked at, until a client's event that may never come.
 * Those with a timeout of their own are looked at in each run. */
void conn_condemn(struct conn *c)
{
	MHD_set_connection_option(c->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 1u);
	shard_mark(c->shard);
}

/* While it is suspended MHD does not look at the socket: this does (R18). */
static void conn_event(struct watch *w, uint32_t events)
{
	struct conn *c = loop_owner(w, struct conn, watch);

	if (!(events & (EPOLLHUP | EPOLLERR)) && c->server->limits.half_close)
		return;
	c->left = true;
	conn_resume(c);
}

static void address_text(struct conn *c, const struct sockaddr *addr)
{
	const void *at = NULL;

	if (addr->sa_family == AF_INET)
		at = &((const struct sockaddr_in *)(const void *)addr)->sin_addr;
	else if (addr->sa_family == AF_INET6)
		at = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
	if (!at || !inet_ntop(addr->sa_family, at, c->client, sizeof(c->client)))
		snprintf(c->client, sizeof(c->client), "unix");
}

static void link_conn(struct conn *c)
{
	struct server *s = c->server;

	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	s->n_conns++;
}

static void conn_free(struct conn *c)
{
	struct server *s = c->server;

	loop_timer_clear(s->loop, &c->timer);
	loop_unwatch(s->loop, &c->watch);
	forget_cork(c);
	address_leave(c->who, c->counted);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->n_conns--;
	free(c);
}

/* Says no without libmicrohttpd.  What the client has sent is read first: a
 * close() over unread bytes is a reset, and would take the answer with it. */
static void turn_away(const struct door *d, int fd)
{
	char junk[4096], text[REFUSAL_TEXT];
	size_t len = refusal_text(text, "Retry-After: 1\r\n", 503, "too many connections; retry");

	if (!d->group->cert && recv(fd, junk, sizeof(junk), MSG_DONTWAIT) != 0)
		(void)!send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(fd, SHUT_WR);
	close(fd);
}

static struct conn *conn_new(struct door *d, int fd, const struct sockaddr *addr)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->server = d->server;
	c->shard = group_emptiest(d->group);
	c->watch = (struct watch){ .fd = fd, .ready = conn_event };
	c->timer.fire = conn_deadline;
	c->admin = d->admin;
	c->local = d->local;
	address_text(c, addr);
	return c;
}

void conn_open(struct door *d, int fd, const struct sockaddr *addr, socklen_t len)
{
	struct server *s = d->server;
	int size = SEND_BUFFER;
	uint64_t who;
	bool counted;
	struct conn *c;

	if (!address_enter(addr, s->limits.connections_per_ip, s->limits.connections, &who, &counted)) {
		turn_away(d, fd);
		return;
	}
	c = conn_new(d, fd, addr);
	if (!c) {
		address_leave(who, counted);
		turn_away(d, fd);
		return;
	}
	c->who = who;
	c->counted = counted;
	if (d->local)	/* others have it from their listening socket */
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	link_conn(c);
	s->adding = c;
	/* On failure it has closed fd, and told CLOSED if it had told STARTED. */
	if (MHD_add_connection(c->shard->mhd, fd, addr, len) != MHD_YES && s->adding)
		conn_free(c);
	else
		shard_mark(c->shard);
	s->adding = NULL;
}

static void started(struct server *s, struct MHD_Connection *mhd, void **context)
{
	struct conn *c = s->adding;

	s->adding = NULL;
	*context = c;
	c->mhd = mhd;
	c->shard->conns++;
	c->shard->fresh++;
	c->phase = CONN_NEW;
	conn_due(c, s->limits.head_ms);
	/* Edge-triggered and without EPOLLIN: costs nothing per request. */
	loop_watch(s->loop, &c->watch, EPOLLRDHUP | EPOLLET);
}

/* A first line without a blank ("GET") libmicrohttpd ends a connection over, and says nothing.  With
 * TURBO the socket is still open for writing here.  What came is read first, see turn_away().  Behind
 * an answer it may be that the connection was to be closed: that is done in the same run. */
static void answer_junk(const struct conn *c)
{
	bool waited = c->phase == CONN_IDLE && c->answered != c->shard->runs;
	char junk[4096];

	if ((c->phase != CONN_NEW && !waited) || c->left || c->shard->tls || c->server->draining)
		return;
	if (recv(conn_fd(c), junk, sizeof(junk), MSG_DONTWAIT) != 0)	/* 0: the client ended it */
		refusal_send(c, 400, refusal_words(400));
}

static void closed(struct conn *c)
{
	answer_junk(c);
	c->shard->conns--;
	if (c->phase == CONN_NEW)
		c->shard->fresh--;
	if (!c->shard->conns)
		shard_left(c->shard);
	if (c->req)
		c->req->conn = NULL;
	conn_free(c);
}

void conn_notify(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct shard *sh = cls;

	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		started(sh->server, mhd, context);
	else if (*context)
		closed(*context);
}
