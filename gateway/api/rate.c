/*
 * rate.c - POST /api/admin/rate: price is run again where it failed, for management keys.
 * It may take long, so it runs where changes of the gateway do.
 */
#include "api/api.h"
#include "author/versions.h"
#include "base/log.h"
#include "replay/rating.h"

enum { ANSWER_MAX = 16 << 20 };

struct order { struct job job; struct api_call *c; struct bundle *bundle; struct rating how; char version[72]; struct buf out; struct err err; int rc; };

static void refunded(void *arg, const char *key_hash, int64_t nusd, int64_t at_ms)
{
	accounts_refund(arg, key_hash, nusd, at_ms);
}

static void work(struct job *job)
{
	struct order *o = loop_owner(job, struct order, job);
	struct gateway *gw = o->c->w->gw;
	struct bundle *older = o->version[0] ? versions_bundle(gw->versions, o->bundle, o->version) : NULL;

	if (o->version[0] && !older)
		o->rc = fail(&o->err, MG_EDENIED, "no version of the policies begins with '%.64s', or two do", o->version);
	else
		o->rc = rating_run(gw->store, older ? older : o->bundle, &o->how, &o->out, &o->err);
	bundle_unref(older);
}

static void done(struct job *job)
{
	struct order *o = loop_owner(job, struct order, job);
	struct http_request *h = o->c->http;

	if (o->rc == MG_OK) {
		log_at(LOG_INFO, EV_AUDIT, NULL, LOG_S("action", o->how.dry_run ? "rate_dry_run" : "rate"), LOG_S("target", o->version[0] ? o->version : bundle_hash(o->bundle)),
			LOG_S("actor", o->c->key.label), LOG_S("ip", h->client));
		api_json(h, 200, buf_view(&o->out));
	} else if (o->rc == MG_EINVAL) {
		api_error(h, 400, "invalid_request", "%s", o->err.msg);
	} else if (o->rc == MG_EDENIED) {
		api_error(h, 404, "not_found", "%s", o->err.msg);
	} else {
		api_store_failed(h, &o->err);
	}
	buf_release(&o->out);
	bundle_unref(o->bundle);
}

static int member(struct order *o, struct mg_view v, struct err *err)
{
	struct mg_str name = json_name(v), text;
	uint64_t since;

	if (mg_is(name, "since_ms")) {
		if (!json_count(v, &since))
			return fail(err, MG_EINVAL, "since_ms: must be a time in Unix milliseconds");
		o->how.since_ms = (int64_t)since;
	} else if (mg_is(name, "dry_run")) {
		if (json_kind(v) != MG_TRUE && json_kind(v) != MG_FALSE)
			return fail(err, MG_EINVAL, "dry_run: must be true or false");
		o->how.dry_run = json_kind(v) == MG_TRUE;
	} else if (mg_is(name, "version")) {
		text = json_text(o->c->http->pool, v);
		if (json_kind(v) != MG_STRING || !text.len || text.len >= sizeof(o->version))
			return fail(err, MG_EINVAL, "version: must be the beginning of a version's hash");
		snprintf(o->version, sizeof(o->version), "%.*s", (int)text.len, text.at);
	} else {
		return fail(err, MG_EINVAL, "unknown member '%.*s'\nhint: since_ms, dry_run and version are known", name.len > 60 ? 60 : (int)name.len, name.at);
	}
	return MG_OK;
}

static int read_body(struct order *o, struct err *err)
{
	struct mg_view body = { 0 };
	int rc = json_parse(o->c->http->pool, o->c->http->body, &body, err);

	if (!rc && json_kind(body) != MG_OBJECT)
		rc = fail(err, MG_EINVAL, "the body must be a JSON object");
	for (struct mg_view v = rc ? body : json_at(body, 0); !rc && json_kind(v); v = json_next(v))
		rc = member(o, v, err);
	return rc;
}

void rate_generations(struct api_call *c)
{
	struct order *o = pool_alloc(c->http->pool, sizeof(*o));
	struct err err = { 0 };

	if (!o) {
		api_error(c->http, 503, "server", "No memory for the request");
		return;
	}
	*o = (struct order){ .job = { work, done, c->w->loop, NULL }, .c = c, .how = { .refunded = refunded, .arg = c->w->gw->accounts } };
	if (read_body(o, &err)) {
		api_error(c->http, 400, "invalid_request", "%s", err.msg);
		return;
	}
	o->bundle = bundle_now(c->w);
	buf_init(&o->out, ANSWER_MAX);
	if (background_change(&o->job))
		return;
	bundle_unref(o->bundle);
	api_error(c->http, 503, "server", "The gateway is stopping");
}
