/*
 * keys.c - keys and credits.  What changes the store waits for the disk, so it
 * runs in the background; what only reads is answered at once.
 */
#include "account/wire.h"
#include "base/clock.h"
#include "base/log.h"
#include "api/api.h"

enum { BODY_MAX = 16 * 1024 * 1024 };	/* bytes of an answer: a page of keys is far below */

/* What a wire function says, as an answer. */
static void answer(struct http_request *h, int rc, int status, struct buf *out, const struct err *err)
{
	switch (rc) {
	case MG_OK:
		api_json(h, status, buf_view(out));
		break;
	case MG_EINVAL:
		api_error(h, 400, "invalid_request", "%s", err->msg);
		break;
	case MG_EDENIED:
		api_error(h, 404, "not_found", "%s", err->msg);
		break;
	default:
		api_store_failed(h, err);
	}
	buf_release(out);
}

/* ------------------------------------------------ reads */

void key_self(struct api_call *c)
{
	struct buf out;
	struct err err = { 0 };

	buf_init(&out, BODY_MAX);
	answer(c->http, wire_own_key(c->w->gw->accounts, &c->key, clock_wall_ms(), &out, &err), 200, &out, &err);
}

void credits_get(struct api_call *c)
{
	struct buf out;
	struct err err = { 0 };

	buf_init(&out, BODY_MAX);
	answer(c->http, wire_credits(c->w->gw->accounts, &out, &err), 200, &out, &err);
}

void credits_coinbase(struct api_call *c)
{
	api_error(c->http, 410, "invalid_request", "This way to pay is gone; whoever runs this gateway adds credits with 'moongate credits add'");
}

void keys_list(struct api_call *c)
{
	struct keys_query q = { http_query(c->http, "offset"), http_query(c->http, "include_disabled"), http_query(c->http, "workspace_id") };
	struct buf out;
	struct err err = { 0 };

	buf_init(&out, BODY_MAX);
	answer(c->http, wire_keys(c->w->gw->accounts, &q, clock_wall_ms(), &out, &err), 200, &out, &err);
}

/* The path's hash; "" when it cannot be one. */
static const char *hash_of(struct api_call *c)
{
	struct mg_str hash = c->args[0].len == SHA256_HEX ? pool_dup(c->http->pool, c->args[0]) : (struct mg_str){ 0 };

	return hash.at ? hash.at : "";
}

void keys_get(struct api_call *c)
{
	struct buf out;
	struct err err = { 0 };

	buf_init(&out, BODY_MAX);
	answer(c->http, wire_key(c->w->gw->accounts, hash_of(c), clock_wall_ms(), &out, &err), 200, &out, &err);
}

/* ------------------------------------------------ changes */

struct change {
	struct job job;
	struct api_call *c;
	struct mg_view body;
	const char *hash, *action;
	int (*run)(struct change *j);
	int status, rc;
	struct buf out;
	struct err err;
};

static int run_create(struct change *j)
{
	return wire_key_create(j->c->w->gw->accounts, j->body, j->c->key.hash, &j->out, &j->err);
}

static int run_update(struct change *j)
{
	return wire_key_update(j->c->w->gw->accounts, j->hash, j->body, &j->out, &j->err);
}

static int run_delete(struct change *j)
{
	return wire_key_delete(j->c->w->gw->accounts, j->hash, &j->out, &j->err);
}

static int run_credit(struct change *j)
{
	return wire_credit(j->c->w->gw->accounts, j->body, &j->out, &j->err);
}

static void change_work(struct job *job)
{
	struct change *j = loop_owner(job, struct change, job);

	j->rc = j->run(j);
}

/* The key that it was about: named in the path, or the one that was made. */
static const char *target(const struct change *j)
{
	struct mg_view all;
	struct mg_str hash = { NULL, 0 };

	if (j->run != run_create)
		return j->hash;
	if (json_parse(j->c->http->pool, buf_view(&j->out), &all, NULL) == MG_OK)
		hash = json_text(j->c->http->pool, json_get(json_get(all, "data"), "hash"));
	return hash.at ? pool_print(j->c->http->pool, "%.*s", (int)hash.len, hash.at).at : "";
}

static void change_done(struct job *job)
{
	struct change *j = loop_owner(job, struct change, job);

	if (j->rc == MG_OK)
		log_at(LOG_INFO, EV_AUDIT, NULL, LOG_S("action", j->action), LOG_S("target", target(j)), LOG_S("actor", j->c->key.label),
			LOG_S("ip", j->c->http->client));
	answer(j->c->http, j->rc, j->status, &j->out, &j->err);
}

static void change(struct api_call *c, const char *action, int status, bool body, int (*run)(struct change *))
{
	struct change *j = pool_alloc(c->http->pool, sizeof(*j));
	struct err err = { 0 };

	if (!j) {
		api_error(c->http, 503, "server", "No memory for the request");
		return;
	}
	*j = (struct change){ .job = { change_work, change_done, c->w->loop, NULL }, .c = c, .hash = hash_of(c), .action = action,
		.run = run, .status = status };
	buf_init(&j->out, BODY_MAX);
	if (body && json_parse(c->http->pool, c->http->body, &j->body, &err) != MG_OK) {
		api_error(c->http, 400, "invalid_request", "%s", err.msg);
		return;
	}
	background_run(&j->job);
}

void keys_create(struct api_call *c)
{
	change(c, "key_create", 201, true, run_create);
}

void keys_update(struct api_call *c)
{
	change(c, "key_update", 200, true, run_update);
}

void keys_delete(struct api_call *c)
{
	change(c, "key_delete", 200, false, run_delete);
}

void credits_add(struct api_call *c)
{
	change(c, "credit_add", 201, true, run_credit);
}
