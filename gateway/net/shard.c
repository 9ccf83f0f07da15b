/* shard.c - the daemons: started per certificate, run when something happened. */
#include "net/server_parts.h"

#include "base/buf.h"

#define TLS_VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

enum { ROUNDS = 8, EMPTY_MS = 1000, HANDSHAKE_LOOK_MS = 1, TLS_PART = 4 };	/* of the daemons: each one with TLS parses the certificate, at each renewal */

void shard_mark(struct shard *sh)
{
	struct server *s = sh->server;

	if (!s->running)	/* else the run sees to it */
		loop_soon(s->loop);
	if (sh->dirty)
		return;
	sh->dirty = true;
	sh->next_dirty = s->dirty;
	s->dirty = sh;
}

static void shard_ready(struct watch *w, uint32_t events)
{
	(void)events;
	shard_mark(loop_owner(w, struct shard, watch));
}

static void shard_again(struct timer *t)
{
	shard_mark(loop_owner(t, struct shard, again));
}

/* GnuTLS may hold bytes that epoll cannot see: a timeout of 0 means run again.
 * But an unfinished handshake says 0 for ever, so while a connection without a
 * first request is there, again means in a millisecond. */
static void shard_run(struct shard *sh)
{
	MHD_UNSIGNED_LONG_LONG wait;

	sh->runs++;
	MHD_run(sh->mhd);
	if (MHD_get_timeout(sh->mhd, &wait) != MHD_YES || wait)
		return;
	if (sh->tls && sh->fresh)
		loop_timer_set(sh->server->loop, &sh->again, HANDSHAKE_LOOK_MS);
	else
		shard_mark(sh);
}

static void run_marked(struct server *s)
{
	struct shard *sh = s->dirty;

	s->dirty = NULL;
	while (sh) {
		struct shard *next = sh->next_dirty;

		sh->dirty = false;
		shard_run(sh);
		loop_due(s->loop);	/* what it has for an upstream does not wait for the other shards */
		sh = next;
	}
}

void shards_run(struct turn *t)
{
	struct server *s = loop_owner(t, struct server, turn);

	s->running = true;
	for (int i = 0; s->dirty && i < ROUNDS; i++)
		run_marked(s);
	conns_uncork(s);
	s->running = false;
	if (s->dirty)
		loop_soon(s->loop);
}

static struct MHD_Daemon *daemon_new(struct server *s, struct shard *sh, const struct group *g)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, g->cert },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, g->key },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_VERSIONS },
		{ MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };

	/* Guessing that a socket is ready saves an epoll turn; with TLS it spins. */
	flags |= g->cert ? MHD_USE_TLS : MHD_USE_TURBO;
	return MHD_start_daemon(flags, 0, NULL, NULL, handle_request, sh,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, s->limits.header_bytes * 2,
		MHD_OPTION_CONNECTION_LIMIT, s->limits.connections ? s->limits.connections : 1000000,
		MHD_OPTION_CONNECTION_TIMEOUT, 0u,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
#if MHD_VERSION >= 0x00097600
		MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1,
#else
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
#endif
		MHD_OPTION_NOTIFY_CONNECTION, conn_notify, sh,
		MHD_OPTION_NOTIFY_COMPLETED, handle_completed, sh,
		MHD_OPTION_URI_LOG_CALLBACK, handle_target, sh,
		MHD_OPTION_ARRAY, g->cert ? tls : none,
		MHD_OPTION_END);
}

static int shard_start(struct server *s, struct shard *sh, const struct group *g, struct err *err)
{
	const union MHD_DaemonInfo *info;

	sh->server = s;
	sh->tls = g->cert != NULL;
	sh->again.fire = shard_again;
	sh->watch.ready = shard_ready;
	sh->mhd = daemon_new(s, sh, g);
	if (!sh->mhd)
		return fail(err, MG_EDENIED, g->cert ? "TLS: the certificate and the key cannot be used; "
			"hint: both must be PEM, and belong together" : "libmicrohttpd does not start");
	info = MHD_get_daemon_info(sh->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return fail(err, MG_EDENIED, "libmicrohttpd was built without epoll");
	sh->watch.fd = info->epoll_fd;
	if (loop_watch(s->loop, &sh->watch, EPOLLIN))
		return fail(err, MG_EDENIED, "cannot watch a libmicrohttpd daemon");
	return MG_OK;
}

static void shard_stop(struct shard *sh)
{
	struct shard **at;

	if (!sh->server)
		return;
	for (at = &sh->server->dirty; *at; at = &(*at)->next_dirty)
		if (*at == sh) {
			*at = sh->next_dirty;
			break;
		}
	loop_timer_clear(sh->server->loop, &sh->again);
	loop_unwatch(sh->server->loop, &sh->watch);
	if (sh->mhd)
		MHD_stop_daemon(sh->mhd);
}

static void shard_reset(struct shard *sh)
{
	shard_stop(sh);
	*sh = (struct shard){ .server = NULL };
}

static void group_free(struct group *g)
{
	for (unsigned i = 0; i < g->n; i++)
		shard_stop(&g->shards[i]);
	if (g->key)
		explicit_bzero(g->key, strlen(g->key));
	free(g->cert);
	free(g->key);
	free(g->shards);
	free(g);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static struct group *group_new(struct server *s, const char *cert, const char *key, struct err *err)
{
	struct group *g = calloc(1, sizeof(*g));

	if (!g)
		goto no_memory;
	g->shards = calloc(s->limits.daemons, sizeof(*g->shards));
	g->cert = cert ? strdup(cert) : NULL;
	g->key = key ? strdup(key) : NULL;
	if (!g->shards || (cert && !g->cert) || (key && !g->key))
		goto no_memory;
	g->n = cert ? (s->limits.daemons + TLS_PART - 1) / TLS_PART : s->limits.daemons;
	if (shard_start(s, &g->shards[0], g, err)) {
		group_free(g);
		return NULL;
	}
	g->next = s->groups;
	s->groups = g;
	return g;
no_memory:
	if (g)
		group_free(g);
	fail(err, MG_ENOMEM, "no memory for the server");
	return NULL;
}

struct group *group_for(struct server *s, const char *cert, const char *key, struct err *err)
{
	if (!cert != !key) {
		fail(err, MG_EINVAL, "TLS needs both a certificate and a key");
		return NULL;
	}
	for (struct group *g = s->groups; g; g = g->next)
		if (!g->retired && same_text(g->cert, cert) && same_text(g->key, key))
			return g;
	return group_new(s, cert, key, err);
}

/* A group without a door takes no new connections. */
void group_retire(struct server *s, struct group *g)
{
	for (struct door *d = s->doors; d; d = d->next)
		if (d->group == g)
			return;
	g->retired = true;
}

static unsigned group_conns(const struct group *g)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->n; i++)
		n += g->shards[i].conns;
	return n;
}

static void free_retired(struct server *s)
{
	for (struct group **at = &s->groups; *at;) {
		struct group *g = *at;

		if (!g->retired || group_conns(g)) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		group_free(g);
	}
}

void shard_left(struct shard *sh)
{
	struct server *s = sh->server;

	sh->empty_ms = loop_now_ms(s->loop);
	if (!s->empty_look.slot)
		loop_timer_set(s->loop, &s->empty_look, EMPTY_MS);
}

/* The stop comes late in the turn: no run of the shards is under way then. */
void shards_look(struct timer *t)
{
	loop_owner(t, struct server, empty_look)->empty_due = true;
}

/* All but a group's first, as they were started. */
static void stop_empty(struct server *s)
{
	uint64_t now = loop_now_ms(s->loop);

	s->empty_due = false;
	for (struct group *g = s->groups; g; g = g->next)
		for (unsigned i = 1; i < g->n; i++) {
			struct shard *sh = &g->shards[i];

			if (!sh->mhd || sh->conns)
				continue;
			if (now - sh->empty_ms >= EMPTY_MS)
				shard_reset(sh);
			else
				loop_timer_set(s->loop, &s->empty_look, EMPTY_MS);
		}
}

void server_late(struct turn *t)
{
	struct server *s = loop_owner(t, struct server, late);

	reqs_tell(s);
	free_retired(s);
	if (s->empty_due)
		stop_empty(s);
}

void groups_free(struct server *s)
{
	while (s->groups) {
		struct group *g = s->groups;

		s->groups = g->next;
		group_free(g);
	}
}

static bool start_another(struct group *g, struct shard *sh)
{
	struct err err = { 0 };
	bool fine = shard_start(g->shards[0].server, sh, g, &err) == MG_OK;

	if (fine)
		shard_left(sh);
	else
		shard_reset(sh);
	return fine;
}

/* The others start when there are connections for them: one is 10 KB and a descriptor. */
struct shard *group_emptiest(struct group *g)
{
	struct shard *best = &g->shards[0];

	for (unsigned i = 1; i < g->n && best->conns; i++) {
		struct shard *sh = &g->shards[i];

		if ((sh->mhd || start_another(g, sh)) && sh->conns < best->conns)
			best = sh;
	}
	return best;
}
