/* server.c - the server as a whole: made, opened, drained, ended. */
#include "net/server_parts.h"

#include <signal.h>

enum { DRAIN_IDLE_MS = 1000, LAST_ROUNDS = 8 };

static void no_request(struct http_request *r)
{
	(void)r;
}

struct server *server_new(struct loop *loop, const struct server_limits *limits, const struct server_events *events,
	void *ctx, struct err *err)
{
	struct server *s;

	if (guard_library(err))
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s) {
		fail(err, MG_ENOMEM, "no memory for the server");
		return NULL;
	}
	s->loop = loop;
	s->limits = *limits;
	if (!s->limits.daemons)
		s->limits.daemons = 1;
	s->on = *events;
	s->on.drained = s->on.drained ? s->on.drained : no_request;
	s->on.gone = s->on.gone ? s->on.gone : no_request;
	s->on.ended = s->on.ended ? s->on.ended : no_request;
	s->on.head = s->on.head ? s->on.head : no_request;
	s->ctx = ctx;
	s->ended_last = &s->ended;
	s->turn.run = shards_run;
	s->idle_look.fire = idle_look;
	s->kept_until.fire = body_forget;
	s->empty_look.fire = shards_look;
	s->late = (struct turn){ .run = server_late, .late = true };
	signal(SIGPIPE, SIG_IGN);	/* GnuTLS and OpenSSL write without MSG_NOSIGNAL */
	loop_turn(loop, &s->turn);
	loop_turn(loop, &s->late);
	return s;
}

void *server_ctx(struct server *s)
{
	return s->ctx;
}

int server_listen(struct server *s, const struct listener *l, struct err *err)
{
	struct group *g;

	if (s->draining)
		return fail(err, MG_EDENIED, "the server ends");
	g = group_for(s, l->cert, l->key, err);
	return g ? door_open(s, l, g, err) : MG_EINVAL;
}

size_t server_connections(const struct server *s)
{
	return s->n_conns;
}

void server_stop_accept(struct server *s)
{
	s->draining = true;
	doors_close(s);
	for (struct conn *c = s->conns; c; c = c->next)
		if (c->phase == CONN_IDLE || c->phase == CONN_NEW)
			conn_due(c, DRAIN_IDLE_MS);
}

void server_each(struct server *s, void (*fn)(struct http_request *r))
{
	for (struct conn *c = s->conns; c; c = c->next)
		if (c->req && c->req->body_seen && !c->req->finished)
			fn(&c->req->pub);
	for (struct req *q = s->left; q; q = q->left.next)	/* one that ends here is freed at the end of the turn */
		if (!q->finished)
			fn(&q->pub);
}

void server_cut(struct server *s)
{
	for (struct conn *c = s->conns; c; c = c->next) {
		if (c->req)
			c->req->aborted = true;
		conn_cut(c);
	}
}

bool server_idle(const struct server *s)
{
	return !s->n_conns && !s->n_reqs;
}

/* MHD_stop_daemon() aborts the process when a connection is suspended (R91). */
void server_free(struct server *s)
{
	if (!s)
		return;
	doors_close(s);
	server_cut(s);
	for (int i = 0; i < LAST_ROUNDS && s->n_conns; i++)
		shards_run(&s->turn);
	groups_free(s);
	reqs_tell(s);
	loop_unturn(s->loop, &s->turn);
	loop_unturn(s->loop, &s->late);
	loop_timer_clear(s->loop, &s->idle_look);
	loop_timer_clear(s->loop, &s->kept_until);
	loop_timer_clear(s->loop, &s->empty_look);
	buf_release(&s->kept_body);
	free(s);
}
