/*
 * worker.c - one worker, wired: loop, server, client, journal, policy states.
 */
#include <signal.h>
#include <sys/resource.h>
#include "api/api.h"

/* ------------------------------------------------ start */

static size_t member(const json_t *limits, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(limits, name));

	return n > 0 ? (size_t)n : 0;
}

/* Official clients ask for /models/author%2Fslug. */
static const char *const slugs[] = { "/api/v1/models/", "/v1/models/", NULL };

/* What the descriptors bear: a connection and its upstream are two, a shard is a multi
 * (two) and its daemons (one each), a worker six besides, and some stay for everything
 * else (R9).  Each answer that goes on costs its daemon a walk over all connections that
 * wait in it: with four daemons for each multi a walk is over 35 of 9,000 streams. */
enum { FDS_SPARE = 512, FDS_WORKER = 6, DAEMONS = 4, FDS_SHARD = 2 + DAEMONS, SHARDS_MIN = 8, SHARDS_MAX = 64, SHARD_STREAMS = 128 };

unsigned worker_connections(const struct config *conf, unsigned workers, struct err *err)
{
	size_t asked = member(json_object_get(conf->tree, "limits"), "connections");
	size_t taken = FDS_SPARE + (size_t)workers * (FDS_WORKER + FDS_SHARD * SHARDS_MAX), most;
	struct rlimit fds = { .rlim_cur = 0 };

	getrlimit(RLIMIT_NOFILE, &fds);
	most = fds.rlim_cur > 4000000 ? 4000000 : (size_t)fds.rlim_cur;
	if (most < taken * 2)	/* few: then there are fewer shards, too */
		taken = FDS_SPARE + (size_t)workers * (FDS_WORKER + FDS_SHARD * SHARDS_MIN);
	most = most > taken + 64 ? (most - taken) / 2 : 32;
	if (asked <= most)
		return asked ? (unsigned)asked : (unsigned)most;
	fail(err, MG_EINVAL, "limits.connections: %zu take %zu open files, %llu are allowed\nhint: raise the limit (ulimit -n, LimitNOFILE=)",
		asked, asked * 2 + taken, (unsigned long long)fds.rlim_cur);
	return 0;
}

static struct server_limits limits_of(const struct config *conf, unsigned workers, unsigned connections)
{
	const json_t *l = json_object_get(conf->tree, "limits");
	unsigned shards = connections / workers / SHARD_STREAMS;

	return (struct server_limits){
		.header_bytes = member(l, "header"), .body_bytes = member(l, "body"),
		.head_ms = 10000, .body_ms = 60000, .keepalive_ms = 60000, .room_kept_ms = 30000,
		.stall_ms = member(l, "stall") ? member(l, "stall") : 60000,
		.connections = connections, .connections_per_ip = (unsigned)member(l, "connections_per_ip"),
		.daemons = DAEMONS * (shards < SHARDS_MIN ? SHARDS_MIN : shards > SHARDS_MAX ? SHARDS_MAX : shards),
		.slugs = slugs,
		.half_close = json_is_true(json_object_get(l, "half_close")),
	};
}

/* A worker without requests lets old snapshots and bundles go, too. */
static void on_turn(struct turn *t)
{
	struct worker *w = loop_owner(t, struct worker, turn);
	const struct snapshot *now = snapshot_look(w->gw->snapshots, w->n);

	if (now->bundle != w->policies->bundle)
		worker_turn_policy(w, now->bundle);
}

static void look_here(void *arg)
{
	(void)arg;	/* the turn that runs this looks */
}

void worker_look(struct worker *w)
{
	loop_post(w->loop, look_here, w);
}

static void *run(void *arg)
{
	struct worker *w = arg;

	loop_run(w->loop);
	return NULL;
}

int worker_start(struct worker *w, struct err *err)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);	/* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc ? fail(err, MG_ENOMEM, "cannot start worker %u", w->n) : MG_OK;
}

int worker_prepare(struct worker *w, const struct config *conf, const struct listener *listeners, size_t n, struct err *err)
{
	unsigned connections = worker_connections(conf, w->gw->n_workers, err);
	struct server_limits limits = limits_of(conf, w->gw->n_workers, connections);
	int rc;

	if (!connections)
		return err->rc;
	w->loop = loop_new(err);
	w->journal = w->loop ? store_journal(w->gw->store, w->n, err) : NULL;
	w->client = w->journal ? client_new(w->loop, limits.daemons / DAEMONS, limits.connections, err) : NULL;
	w->server = w->client ? server_new(w->loop, &limits, &api_events, w, err) : NULL;
	if (!w->server)
		return err->rc ? err->rc : MG_ENOMEM;
	if (worker_first_policy(w, err) != MG_OK)
		return err->rc;
	client_keep(w->client, (unsigned)(member(json_object_get(conf->tree, "limits"), "upstream_idle") / 1000));
	for (size_t i = 0; i < n; i++) {
		rc = server_listen(w->server, &listeners[i], err);
		if (rc)
			return rc;
	}
	w->turn = (struct turn){ .run = on_turn, .late = true };
	loop_turn(w->loop, &w->turn);
	return MG_OK;
}

/* ------------------------------------------------ stop (R91) */

static void cut_request(struct http_request *h)
{
	struct api_call *c = h->owner;

	if (c && c->relay)
		relay_cut(c->relay);
}

struct draining { struct timer tick; struct worker *w; uint64_t deadline_ms; bool cut; };

static void on_tick(struct timer *t)
{
	struct draining *d = loop_owner(t, struct draining, tick);
	struct worker *w = d->w;

	if (server_idle(w->server)) {
		free(d);
		loop_stop(w->loop);
		return;
	}
	if (!d->cut && loop_now_ms(w->loop) >= d->deadline_ms) {
		d->cut = true;
		server_each(w->server, cut_request);
		d->deadline_ms += 1000;
	} else if (d->cut && loop_now_ms(w->loop) >= d->deadline_ms) {
		server_each(w->server, cut_request);	/* a body may have come since */
		server_cut(w->server);
	}
	loop_timer_set(w->loop, t, 20);
}

struct drain_order { struct worker *w; uint64_t grace_ms; };

static void drain_here(void *arg)
{
	struct drain_order *o = arg;
	struct worker *w = o->w;
	struct draining *d = calloc(1, sizeof(*d));

	server_stop_accept(w->server);
	if (!d) {
		loop_stop(w->loop);
	} else {
		*d = (struct draining){ .tick.fire = on_tick, .w = w, .deadline_ms = loop_now_ms(w->loop) + o->grace_ms };
		loop_timer_set(w->loop, &d->tick, 0);
	}
	free(o);
}

void worker_drain(struct worker *w, uint64_t grace_ms)
{
	struct drain_order *o = calloc(1, sizeof(*o));

	if (!o || (*o = (struct drain_order){ w, grace_ms }, loop_post(w->loop, drain_here, o) != MG_OK))
		loop_stop(w->loop);
}

void worker_join(struct worker *w)
{
	pthread_join(w->thread, NULL);
}

void worker_free(struct worker *w)
{
	server_free(w->server);
	client_free(w->client);
	worker_free_policies(w);
	buf_release(&w->out);
	loop_free(w->loop);
}
