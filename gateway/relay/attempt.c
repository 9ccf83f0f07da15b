/*
 * attempt.c - one try at one endpoint: the plugin's request on the wire, its
 * answer cut into frames, its events to the relay.
 *
 * It is sent once the upstream's gate lets it in (R36), and is inside until it ends:
 * in exactly one of relay_attempt_done(), relay_attempt_failed() and attempt_cancel();
 * its memory goes with that.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "catalog/gate.h"
#include "catalog/token.h"
#include "net/frame.h"
#include "relay/attempt_parts.h"

enum {
	FRAME_MAX = 32 * 1024 * 1024,		/* bytes of one frame: an image may come in one */
	ERROR_MAX = 64 * 1024,			/* bytes of an error body that are read */
	LINE_LONG_MS = 1000,			/* when to ask again, of whom even the line had no place for */
};

static const char *op_name(enum mg_op op)
{
	return op == MG_CHAT ? "chat" : "other";
}

/* The rest of it: its memory. */
static struct pool *attempt_close(struct attempt *a)
{
	struct relay *r = a->relay;

	metric_add(M_PLUGIN_CALLS, 1, METRIC_LABELS(a->endpoint->provider->plugin->name, op_name(r->surface->op), a->result));
	loop_timer_clear(r->w->loop, &a->quiet);
	if (a->place)
		gate_give_up(a->place);
	if (a->token)
		token_give_up(a->token);
	if (a->inside) {
		gate_leave(a->endpoint->provider->gate);
		metric_add(M_UPSTREAM_IN_FLIGHT, -1, METRIC_LABELS(a->endpoint->provider->slug));
	}
	if (a->x && !a->closed)
		exchange_cancel(a->x);
	if (a->lo && !a->closed)
		loopback_cancel(a->lo);
	if (a->framed)
		framer_release(&a->framer);
	buf_release(&a->error);
	if (r->now == a)
		r->now = NULL;
	return a->pool;		/* a is in it */
}

static void attempt_free(struct attempt *a)
{
	pool_free(attempt_close(a));
}

/* ------------------------------------------------ how it ends */

static const char *phase_of(const struct attempt *a)
{
	if (a->relay->committed)
		return "stream";
	return a->call.status ? "first_token" : "headers";
}

static void attempt_fail(struct attempt *a, const struct mg_failure *f, const char *phase)
{
	a->result = "failed";
	relay_attempt_failed(a->relay, a, f, phase);
	attempt_free(a);
}

/* A failure that no HTTP answer explains. */
static void attempt_break(struct attempt *a, enum mg_error kind, const char *why, const char *phase)
{
	attempt_fail(a, &(struct mg_failure){ .size = sizeof(struct mg_failure), .kind = kind, .retryable = true,
		.message = { why, strlen(why) } }, phase);
}

static void attempt_end(struct attempt *a)
{
	a->result = "ok";
	relay_attempt_done(a->relay, a);
	attempt_free(a);
}

/* The feed stopped: by an error of the upstream, by ours, or because it was enough. */
static void attempt_stopped(struct attempt *a, const struct err *err)
{
	if (a->failure.size) {
		attempt_fail(a, &a->failure, phase_of(a));
	} else if (a->relay->full) {
		a->result = "ok";
		relay_attempt_filled(a->relay, a);
		attempt_free(a);
	} else {
		attempt_break(a, MG_E_UPSTREAM, a->call.err.msg[0] ? a->call.err.msg : err->msg, phase_of(a));
	}
}

/* ------------------------------------------------ what the plugin says */

/* What ends the wait for the first output (R29): some upstreams send their id and the
 * prompt's usage at once, and then think for minutes. */
static bool is_output(enum mg_event_kind kind)
{
	return kind != MG_EV_START && kind != MG_EV_LIMIT && kind != MG_EV_USAGE && kind != MG_EV_FINISH;
}

static int on_emit(void *arg, const struct mg_event *e)
{
	struct attempt *a = arg;

	if (e->kind == MG_EV_ERROR && e->failure) {
		a->failure = *e->failure;
		a->failure.message = pool_dup(a->pool, e->failure->message);
		a->failure.code = pool_dup(a->pool, e->failure->code);
		a->failure.size = sizeof(a->failure);
		return MG_EPROTO;	/* stops the feed; on_data tells it from a plugin's own refusal by .size */
	}
	if (e->kind == MG_EV_LIMIT) {
		attempt_note_limit(a, e);
		return MG_OK;
	}
	if (e->kind == MG_EV_FINISH && a->x)
		exchange_ending(a->x);
	if (!a->relay->first_us && is_output(e->kind))
		loop_timer_clear(a->relay->w->loop, &a->quiet);
	relay_event(a->relay, a, e);
	return MG_OK;
}

static struct mg_str answer_header(void *arg, const char *name)
{
	struct attempt *a = arg;

	if (a->lo)
		return loopback_header(a->lo, name);
	return a->x ? exchange_header(a->x, name) : (struct mg_str){ 0 };
}

static void on_pass(void *arg, struct mg_view frame)
{
	struct attempt *a = arg;
	bool waits = !a->relay->first_us;

	relay_pass(a->relay, a, frame);
	if (waits && a->relay->first_us)
		loop_timer_clear(a->relay->w->loop, &a->quiet);
}

static int on_frame(void *arg, struct mg_str event, struct mg_str data)
{
	struct attempt *a = arg;

	int rc = a->pass ? call_meter(&a->call, a->framer.framing, event, data, on_pass, a) : call_frame(&a->call, a->framer.framing, event, data);

	return rc || !a->relay->full || a->call.finished ? rc : MG_EDENIED;	/* that is not paid for: the feed stops */
}

/* ------------------------------------------------ what the wire says */

static bool is_type(struct mg_str v, const char *type)
{
	return v.at && v.len >= strlen(type) && !strncasecmp(v.at, type, strlen(type));
}

/* Framing follows what came, where that is plain: some upstreams stream to
 * those who did not ask, and answer a stream's request with one JSON text. */
static enum mg_framing framing_of(struct attempt *a)
{
	const struct mg_operation *op = a->call.op;
	struct mg_str type = answer_header(a, "content-type");

	if (op->stream == MG_SSE && is_type(type, "text/event-stream"))
		return MG_SSE;
	if (is_type(type, "application/vnd.amazon.eventstream"))	/* a dialect of SSE, spoken by way of AWS */
		return MG_EVENTSTREAM;
	if (op->plain == MG_JSON && is_type(type, "application/json"))
		return MG_JSON;
	return a->relay->stream ? op->stream : op->plain;
}

static void attempt_head(struct attempt *a, int status)
{
	a->call.status = status;
	if (status < 200 || status > 299)
		return;
	framer_init(&a->framer, framing_of(a), a->relay->stream ? FRAME_MAX : ANSWER_MAX, on_frame, a);
	a->framed = true;
	if (a->relay->stream == (a->framer.framing == MG_JSON))
		a->pass = false;	/* not of the shape that was asked for */
}

/* false: it is paused.  Behind true the attempt may be gone. */
static bool attempt_data(struct attempt *a, const char *at, size_t len)
{
	struct err err = { 0 };

	if (a->paused)
		return false;
	if (!a->framed) {
		buf_put(&a->error, at, len);	/* what is too much is left out */
		return true;
	}
	if (framer_feed(&a->framer, at, len, &err) != MG_OK)
		attempt_stopped(a, &err);
	return true;
}

static void attempt_send_again(struct attempt *a);
static int attempt_authorized(struct attempt *a, struct err *err);

/* AWS says 403, or 400, for what is over. */
static bool says_no(struct attempt *a)
{
	struct mg_failure f = { .size = sizeof(f) };

	if (a->call.status == 401 || !a->call.sign || (a->call.status != 403 && a->call.status != 400))
		return a->call.status == 401;
	call_failure(&a->call, MG_JSON, buf_view(&a->error), &f);
	return f.code.len >= 12 && (!memcmp(f.code.at, "ExpiredToken", 12) || mg_is(f.code, "UnrecognizedClientException"));
}

/* A token may be taken back before its time: it is dropped, and another one asked for, once. */
static bool token_refused(struct attempt *a)
{
	struct err err = { 0 };

	if (!a->call.token.at || a->renewed || !says_no(a))
		return false;
	a->renewed = true;
	token_drop(a->endpoint->provider->token, a->call.scope, a->call.token);
	buf_reset(&a->error);
	attempt_over_with(a);
	a->call.status = 0;
	if (attempt_authorized(a, &err) != MG_OK)
		attempt_break(a, MG_E_AUTH, err.msg, "connect");
	return true;
}

static void attempt_answered(struct attempt *a)
{
	struct mg_failure f = { .size = sizeof(f) };
	struct err err = { 0 };

	if (!a->framed && token_refused(a))
		return;
	if (!a->framed) {
		call_failure(&a->call, MG_JSON, buf_view(&a->error), &f);
		attempt_fail(a, &f, "headers");
	} else if (framer_end(&a->framer, &err) != MG_OK && (!a->call.finished || a->failure.size)) {	/* a whole answer may be an error */
		attempt_stopped(a, &err);
	} else if (a->call.follows) {
		attempt_send_again(a);
	} else if (call_finish(&a->call) != MG_OK) {
		attempt_break(a, MG_E_UPSTREAM, a->call.err.msg[0] ? a->call.err.msg : "answer cut short", phase_of(a));
	} else {
		attempt_end(a);
	}
}

/* Behind its last word nothing is lost, however the connection ends: some leave it open. */
static bool said_all(struct attempt *a)
{
	return a->framed && a->call.finished && call_finish(&a->call) == MG_OK;
}

static void attempt_over(struct attempt *a, const struct exchange_result *how)
{
	a->stale = how->stale;
	if (how->connect_us)
		metric_observe_us(M_UPSTREAM_CONNECT, how->connect_us, METRIC_LABELS(a->endpoint->provider->slug));
	if (how->tls_us)
		metric_observe_us(M_UPSTREAM_TLS, how->tls_us, METRIC_LABELS(a->endpoint->provider->slug));
	if (how->how == EXCHANGE_DONE)
		attempt_answered(a);
	else if (said_all(a))
		attempt_end(a);
	else if (how->how == EXCHANGE_CONNECT)
		attempt_break(a, MG_E_CONNECT, how->why, "connect");
	else if (how->how == EXCHANGE_TIMEOUT)
		attempt_break(a, MG_E_TIMEOUT, how->why, how->phase == PHASE_CONNECT ? "connect" : phase_of(a));
	else
		attempt_break(a, MG_E_UPSTREAM, how->why, phase_of(a));
}

static void on_quiet(struct timer *t)
{
	struct attempt *a = loop_owner(t, struct attempt, quiet);

	if (!a->inside) {
		metric_add(M_RATE_LIMITED, 1, METRIC_LABELS("upstream_places"));
		attempt_fail(a, &(struct mg_failure){ .size = sizeof(struct mg_failure), .kind = MG_E_RATE_LIMITED, .retryable = true,
			.retry_after_ms = LINE_LONG_MS, .message = MG_STR("all places at this provider are taken") }, "queue");
	} else if (a->waiting) {
		attempt_send_again(a);
	} else {
		attempt_break(a, MG_E_TIMEOUT, "no output in time", "first_token");
	}
}

static void on_exchange_head(void *owner, struct exchange *x, int status)
{
	attempt_head(owner, status);
}

static bool on_exchange_data(void *owner, struct exchange *x, const char *at, size_t len)
{
	return attempt_data(owner, at, len);
}

static void on_exchange_end(void *owner, struct exchange *x, const struct exchange_result *how)
{
	struct attempt *a = owner;

	a->closed = true;
	attempt_over(a, how);
}

const struct exchange_events attempt_exchange_events = { on_exchange_head, on_exchange_data, on_exchange_end };

void attempt_loop_head(void *owner, int status)
{
	attempt_head(owner, status);
}

bool attempt_loop_data(void *owner, const char *at, size_t len)
{
	return attempt_data(owner, at, len);
}

void attempt_loop_end(void *owner, const struct exchange_result *how)
{
	struct attempt *a = owner;

	a->closed = true;
	attempt_over(a, how);
}

/* ------------------------------------------------ how it begins */

/* The endpoint speaks the surface's own dialect, its row allows it, and nothing has to be left out. */
static bool may_pass(const struct attempt *a)
{
	const struct mg_operation *op = a->call.op;
	struct mg_view quirk = json_get(json_get(a->endpoint->row, "quirks"), "pass_through");

	return a->relay->surface->pass && !a->relay->translate && op->surface && op->meter
		&& !strcmp(op->surface, a->relay->surface->api) && json_kind(quirk) == MG_TRUE;
}

static void attempt_send_again(struct attempt *a)
{
	uint64_t left_ms = attempt_time_left_ms(a);
	struct err err = { 0 };

	attempt_over_with(a);
	if (!a->waiting && a->call.follow_ms) {
		a->waiting = true;
		loop_timer_set(a->relay->w->loop, &a->quiet, a->call.follow_ms < left_ms ? a->call.follow_ms : left_ms);
		return;
	}
	a->waiting = false;
	a->http = a->call.follow;
	a->call.follows = false;
	a->call.status = 0;
	framer_release(&a->framer);
	a->framed = false;
	if (attempt_transmit(a, &err) != MG_OK)
		attempt_break(a, MG_E_UPSTREAM, err.msg, "headers");
	else if (!a->relay->first_us)
		loop_timer_set(a->relay->w->loop, &a->quiet,
			or_else(a->relay->d.plan.first_output_ms, a->endpoint->provider->first_output_ms));
}

/* ------------------------------------------------ the token */

static void on_token(void *owner, const char *why)
{
	struct attempt *a = owner;
	struct err err = { 0 };

	a->token = NULL;
	if (why)
		attempt_break(a, MG_E_AUTH, why, "connect");
	else if (attempt_authorized(a, &err) != MG_OK)
		attempt_break(a, MG_E_UPSTREAM, err.msg, "headers");
}

/* Sends at once, or when the token is there that the credential stands for. */
static int attempt_authorized(struct attempt *a, struct err *err)
{
	struct token *t = a->endpoint->provider->token;
	struct worker *w = a->relay->w;
	struct mg_str value;

	if (!a->call.scope || !t)
		return attempt_transmit(a, err);
	value = token_value(t, a->call.scope, w->client, a->pool);
	if (!value.at) {
		a->token = token_wait(t, a->call.scope, w->loop, w->client, on_token, a);
		return a->token ? MG_OK : fail(err, MG_ENOMEM, "no memory to wait for an access token");
	}
	return token_use(t, &a->call, value, err) ? err->rc : attempt_transmit(a, err);
}

/* ------------------------------------------------ the gate */

static uint64_t patience_ms(const struct attempt *a)
{
	uint64_t first = or_else(a->relay->d.plan.first_output_ms, a->endpoint->provider->first_output_ms), left = attempt_time_left_ms(a);

	return first < left ? first : left;
}

static uint64_t own_time_us(const struct relay *r)
{
	uint64_t all = r->sent_us - r->started_us, told = r->d.lua_us + r->translate_us;

	return all > told ? all - told : 0;
}

static int attempt_send(struct attempt *a, uint64_t now_us, struct err *err)
{
	struct relay *r = a->relay;
	int rc;

	a->inside = true;
	metric_add(M_UPSTREAM_IN_FLIGHT, 1, METRIC_LABELS(a->endpoint->provider->slug));
	a->began_us = now_us;
	if (!r->sent_us) {
		r->sent_us = now_us;
		r->relay_us = own_time_us(r);
	}
	if (r->echo && a->http.pieces && r->surface->debug)
		r->surface->debug(r, pool_join(a->pool, a->http.body, a->http.pieces));
	rc = attempt_authorized(a, err);
	if (!rc)
		loop_timer_set(r->w->loop, &a->quiet, or_else(r->d.plan.first_output_ms, a->endpoint->provider->first_output_ms));
	return rc;
}

static void on_place(void *owner)
{
	struct attempt *a = owner;
	struct err err = { 0 };

	a->place = NULL;
	if (attempt_send(a, clock_us(), &err) != MG_OK)
		attempt_break(a, MG_E_UPSTREAM, err.msg, "headers");
}

/* At once, or when it is its turn; in a line that is full there is none. */
static int attempt_enter(struct attempt *a, uint64_t now_us, struct err *err)
{
	const struct provider *p = a->endpoint->provider;
	struct relay *r = a->relay;

	switch (gate_enter(p->gate, p->max_in_flight, r->w->loop, on_place, a, &a->place)) {
	case GATE_IN:
		return attempt_send(a, now_us, err);
	case GATE_WAIT:
		loop_timer_set(r->w->loop, &a->quiet, patience_ms(a));
		return MG_OK;
	default:
		loop_timer_set(r->w->loop, &a->quiet, 0);
		return MG_OK;
	}
}

bool attempt_stale(const struct attempt *a)
{
	return a->stale;
}

bool attempt_sent(const struct attempt *a)
{
	return a->inside;
}

/* ------------------------------------------------ start and stop */

struct attempt *attempt_start(struct relay *r, const struct candidate *c, struct err *err)
{
	const struct provider *p = c->endpoint->provider;
	struct pool *pool = pool_new_for(POOL_BUDGET, POOL_FIRST);
	struct attempt *a = pool ? pool_alloc(pool, sizeof(*a)) : NULL;
	struct mg_view request;
	uint64_t now_us;
	int rc;

	if (!a || !decision_passed(&r->d, c)) {	/* whatever led here: nothing goes where the filters did not look */
		pool_free(pool);
		fail(err, a ? MG_EDENIED : MG_ENOMEM, a ? "the filters have not let this endpoint pass" : "no memory for the attempt");
		return NULL;
	}
	*a = (struct attempt){ .relay = r, .endpoint = c->endpoint, .pool = pool, .quiet.fire = on_quiet, .began_us = clock_us(),
		.result = "refused" };
	buf_init(&a->error, ERROR_MAX);
	rc = attempt_shape(a, &request, err);
	if (!rc)
		rc = call_init(&a->call, pool, p->plugin, r->surface->op, r->stream, request, c->endpoint->row, p->secret);
	if (rc)
		goto failed;
	a->call.emit = on_emit;
	a->call.answer = answer_header;
	a->call.arg = a;
	a->pass = may_pass(a);
	rc = call_request(&a->call, &a->http);
	if (rc) {
		fail(err, rc, "%s", a->call.err.msg);
		goto failed;
	}
	r->now = a;
	now_us = clock_us();
	r->translate_us += now_us - a->began_us;
	rc = attempt_enter(a, now_us, err);
	if (rc)
		goto failed;
	return a;
failed:
	err->rc = rc;
	attempt_free(a);
	return NULL;
}

void attempt_cancel(struct attempt *a)
{
	a->result = "cancelled";
	attempt_free(a);
}

struct pool *attempt_lose(struct attempt *a)
{
	a->result = "cancelled";
	return attempt_close(a);
}

void attempt_pause(struct attempt *a)
{
	a->paused = true;
}

void attempt_resume(struct attempt *a)
{
	if (!a->paused)
		return;
	a->paused = false;
	if (a->x)
		exchange_resume(a->x);
	else if (a->lo)
		loopback_resume(a->lo);
}

const struct endpoint *attempt_endpoint(const struct attempt *a)
{
	return a->endpoint;
}

int attempt_status(const struct attempt *a)
{
	return a->call.status;
}

uint64_t attempt_began_us(const struct attempt *a)
{
	return a->began_us;
}

uint64_t attempt_us(const struct attempt *a)
{
	return clock_us() - a->began_us;
}
