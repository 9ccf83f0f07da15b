/*
 * health.c - what a load balancer, a supervisor and Prometheus ask.
 */
#include "api/api.h"
#include "author/versions.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "catalog/gate.h"
#include "catalog/live.h"
#include "catalog/token.h"

enum { METRICS_MAX = 16 * 1024 * 1024 };	/* bytes */

void health_live(struct api_call *c)
{
	api_json(c->http, 200, (struct mg_str)MG_STR("{\"status\":\"ok\"}"));
}

static size_t usable_endpoints(struct worker *w)
{
	struct snapshot *snap = snapshot_pin(w->gw->snapshots, w->n);
	size_t n = snap->catalog->n_endpoints;

	snapshot_unpin(w->gw->snapshots, w->n, snap);
	return n;
}

/* Where operators ask: what is live, since when, and what was not to be. */
static void policy_member(struct mg_writer *w, struct gateway *gw)
{
	struct versions_state now;

	versions_now(gw->versions, &now);
	json_open(w, "policy", '{');
	json_put_text(w, "version", now.live);
	json_put_text(w, "how", now.how);
	json_put_text(w, "from", now.from);
	json_put_int(w, "live_s", (clock_wall_ms() - gw->policy_since_ms) / 1000);
	json_put_int(w, "source_age_s", (clock_wall_ms() - gw->source_seen_ms) / 1000);
	json_put_text(w, "last_failure", now.failure[0] ? now.failure : NULL);
	json_close(w);
}

void health_ready(struct api_call *c)
{
	struct gateway *gw = c->w->gw;
	bool draining = atomic_load(&gw->draining), store = store_healthy(gw->store), endpoints = usable_endpoints(c->w) > 0;
	bool stale = atomic_load(&gw->policy_stale), ready = !draining && store && endpoints && !stale;
	struct buf out;
	struct mg_writer w;

	buf_init(&out, 8192);
	json_writer_init(&w, &out);
	json_open(&w, NULL, '{');
	json_put_text(&w, "status", ready ? "ok" : "unavailable");
	json_open(&w, "reasons", '[');
	if (draining)
		json_put(&w, NULL, (struct mg_str)MG_STR("draining"));
	if (!store)
		json_put(&w, NULL, (struct mg_str)MG_STR("the store cannot commit"));
	if (!endpoints)
		json_put(&w, NULL, (struct mg_str)MG_STR("no endpoint is configured"));
	if (stale)
		json_put(&w, NULL, (struct mg_str)MG_STR("the policies' folder has been away for too long"));
	json_close(&w);
	if (c->http->admin && http_query(c->http, "verbose").at)
		policy_member(&w, gw);
	json_close(&w);
	api_json(c->http, ready ? 200 : 503, buf_view(&out));
	buf_release(&out);
}

void version_get(struct api_call *c)
{
	struct buf out;
	struct mg_writer w;

	buf_init(&out, 1024);
	json_writer_init(&w, &out);
	json_open(&w, NULL, '{');
	json_put_text(&w, "name", "moongate");
	json_put_text(&w, "version", VERSION);
	json_put_text(&w, "commit", COMMIT);
	json_open(&w, "plugin_abi", '{');
	json_put_int(&w, "major", MG_ABI_MAJOR);
	json_put_int(&w, "minor", MG_ABI_MINOR);
	json_close(&w);
	json_put_int(&w, "policy_api", 1);
	json_put_text(&w, "api", "v1");
	json_close(&w);
	api_json(c->http, 200, buf_view(&out));
	buf_release(&out);
}

/* Of the endpoints of a model at one provider the worst speaks; of those never asked, none. */
static void circuits(const struct model *m, uint64_t now_ms)
{
	for (size_t i = 0; i < m->n_endpoints; i++) {
		const struct provider *p = m->endpoints[i]->provider;
		int worst = -1;

		for (size_t k = 0; k < m->n_endpoints; k++) {
			int state = live_breaker(m->endpoints[k]->live, now_ms);

			if (m->endpoints[k]->provider == p && state > worst)
				worst = state;
		}
		if (worst >= 0)
			metric_set(M_CIRCUIT, worst, METRIC_LABELS(p->slug, m->slug));
	}
}

/* Of those that have been used. */
static void credentials(const struct provider *p)
{
	struct token_state state;

	if (!p->token)
		return;
	token_state(p->token, &state);
	if (!state.used)
		return;
	metric_set(M_CREDENTIAL_LEFT, state.left_s, METRIC_LABELS(p->slug));
	metric_set(M_CREDENTIAL_FAILING, state.why[0] != 0, METRIC_LABELS(p->slug));
}

static void upstreams(struct worker *w)
{
	struct snapshot *snap = snapshot_pin(w->gw->snapshots, w->n);
	const struct catalog *c = snap->catalog;
	uint64_t now_ms = clock_ms();

	for (size_t i = 0; i < c->n_providers; i++) {
		const struct provider *p = &c->providers[i];

		credentials(p);
		if (!p->max_in_flight)
			continue;
		metric_set(M_UPSTREAM_LIMIT, p->max_in_flight, METRIC_LABELS(p->slug));
		metric_set(M_UPSTREAM_WAITING, gate_waiting(p->gate), METRIC_LABELS(p->slug));
	}
	for (size_t i = 0; i < c->n_models; i++)
		circuits(&c->models[i], now_ms);
	snapshot_unpin(w->gw->snapshots, w->n, snap);
}

static void gauges(struct gateway *gw)
{
	size_t connections = 0, bytes = 0;
	uint64_t callback_us = 0;

	for (unsigned i = 0; i < gw->n_workers; i++) {
		uint64_t us = loop_callback_max_us(gw->workers[i].loop);

		connections += server_connections(gw->workers[i].server);
		bytes += journal_bytes(gw->workers[i].journal);
		callback_us = us > callback_us ? us : callback_us;
	}
	metric_set(M_CONNECTIONS, (int64_t)connections, METRIC_PLAIN);
	metric_set(M_JOURNAL_BYTES, (int64_t)bytes, METRIC_PLAIN);
	metric_set(M_CALLBACK_MAX, (int64_t)callback_us, METRIC_PLAIN);
	metric_set(M_STORE_QUEUE, (int64_t)store_queue_length(gw->store), METRIC_PLAIN);
	metric_set(M_STORE_EXPIRED, (int64_t)store_expired(gw->store), METRIC_PLAIN);
	metric_set(M_LOG_DROPPED, (int64_t)log_dropped(), METRIC_PLAIN);
	metric_set(M_POLICY_AGE, (clock_wall_ms() - gw->policy_since_ms) / 1000, METRIC_PLAIN);
}

/* In constant time: the texts' hashes are compared. */
static bool is_token(struct mg_str said, const char *token)
{
	unsigned char a[32], b[32];

	sha256(said.at, said.len, a);
	sha256(token, strlen(token), b);
	return same_bytes(a, b, sizeof(a));
}

static bool may_scrape(struct api_call *c)
{
	struct mg_str said = api_credential(c->http);
	struct snapshot *snap = snapshot_pin(c->w->gw->snapshots, c->w->n);
	json_t *metrics = json_object_get(json_object_get(snap->conf.tree, "telemetry"), "metrics");
	const char *token = json_string_value(json_object_get(metrics, "token"));
	bool may = !token || !*token || c->key.management || (said.at && is_token(said, token));

	snapshot_unpin(c->w->gw->snapshots, c->w->n, snap);
	return may;
}

void metrics_get(struct api_call *c)
{
	struct buf out;

	if (!may_scrape(c)) {
		api_error(c->http, 401, "authentication", "/metrics asks for telemetry.metrics.token of the configuration, as a bearer token");
		return;
	}
	gauges(c->w->gw);
	upstreams(c->w);
	buf_init(&out, METRICS_MAX);
	metrics_print(&out);
	policy_versions_alive(&out);
	api_reply(c->http, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&out));
	buf_release(&out);
}

void root_head(struct api_call *c)
{
	api_json(c->http, 200, (struct mg_str)MG_STR("{\"name\":\"moongate\"}"));
}

/* The main thread reloads; `moongate reload` then reads the metric that says how it went. */
void admin_reload(struct api_call *c)
{
	atomic_store(&c->w->gw->reload_wanted, true);
	api_json(c->http, 202, (struct mg_str)MG_STR("{\"status\":\"reloading\"}"));
}
