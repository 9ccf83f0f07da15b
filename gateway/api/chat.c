/*
 * chat.c - POST /chat/completions: from a body to a relay.
 */
#include "base/clock.h"
#include "base/crypto.h"
#include "api/chat.h"

static bool enabled(struct mg_str header)
{
	return header.len == 7 && !strncasecmp(header.at, "enabled", 7);
}

static struct confided header(const struct http_request *h, const char *name, const char *otherwise)
{
	struct mg_str v = http_header(h, name);

	return (struct confided){ v.at || !otherwise ? v : http_header(h, otherwise) };
}

static void client_of(struct relay *r, struct mg_view request)
{
	const struct http_request *h = r->http;

	r->client.referer = header(h, "HTTP-Referer", "Referer");
	r->client.title = header(h, "X-OpenRouter-Title", "X-Title");
	r->client.agent = header(h, "User-Agent", NULL);
	r->client.request_id.in_confidence = ((const struct api_call *)h->owner)->request_id;
	r->client.traceparent.in_confidence = api_traceparent(h);
	r->client.user.in_confidence = json_text(r->pool, json_get(request, "user"));
	r->client.session.in_confidence = json_text(r->pool, json_get(request, "session_id"));
	if (!r->client.session.in_confidence.at)
		r->client.session = header(h, "x-session-id", NULL);
}

static struct relay *relay_of(struct api_call *c, struct mg_view request)
{
	struct relay *r = pool_alloc(c->http->pool, sizeof(*r));
	struct mg_view reasoning = json_get(request, "reasoning");

	if (!r)
		return NULL;
	r->w = c->w;		/* one by one: it is zeroed already, and large */
	r->http = c->http;
	r->pool = c->http->pool;
	r->key = &c->key;
	r->surface = &chat_surface;
	r->route = c->route;
	r->request = request;
	r->created_ms = clock_wall_ms();
	r->began_us = c->http->began_us;
	id_generation(r->id);
	r->name = r->id;
	decision_init(&r->d, r->pool);
	r->metadata = enabled(http_header(c->http, "X-OpenRouter-Metadata"))
		|| enabled(http_header(c->http, "X-OpenRouter-Experimental-Metadata"));
	r->echo = json_kind(json_get(json_get(request, "debug"), "echo_upstream_body")) == MG_TRUE;
	client_of(r, request);
	r->translate = json_kind(json_get(reasoning, "exclude")) == MG_TRUE
		|| json_kind(json_get(request, "include_reasoning")) == MG_FALSE;
	if (chat_answer_init(r, r->translate) != MG_OK)
		return NULL;
	return r;
}

/* `prompt` is the older word for one user message (B1.1). */
static int with_messages(struct pool *pool, struct mg_view *request, struct err *err)
{
	struct mg_str prompt = json_raw(json_get(*request, "prompt"));
	struct json_edit edits[2] = { { "prompt", { 0 } }, { "messages", { 0 } } };
	struct buf text;
	struct mg_str copy;

	if (json_kind(json_get(*request, "messages")) != MG_ABSENT || json_kind(json_get(*request, "prompt")) != MG_STRING)
		return MG_OK;
	edits[1].value = pool_print(pool, "[{\"role\":\"user\",\"content\":%.*s}]", (int)prompt.len, prompt.at);
	buf_init(&text, SIZE_MAX);
	json_splice(*request, edits, 2, &text);
	copy = text.failed ? (struct mg_str){ 0 } : pool_dup(pool, buf_view(&text));
	buf_release(&text);
	if (!copy.at)
		return fail(err, MG_ENOMEM, "no memory for the request");
	return json_parse(pool, copy, request, err);
}

void chat_completions(struct api_call *c)
{
	struct http_request *h = c->http;
	const struct headers headers = headers_of(h);
	struct snapshot *snap;
	struct mg_view request;
	struct err err = { 0 };
	struct relay *r;
	int rc = json_parse(h->pool, h->body, &request, &err);

	if (!rc)
		rc = with_messages(h->pool, &request, &err);
	if (!rc)
		rc = chat_check(request, &err);
	if (rc) {
		api_error(h, rc == MG_ENOMEM ? 503 : 400, rc == MG_ENOMEM ? "server" : "invalid_request", "%s", err.msg);
		return;
	}
	r = relay_of(c, request);
	if (!r) {
		api_error(h, 503, "server", "No memory for the request");
		return;
	}
	snap = snapshot_pin(c->w->gw->snapshots, c->w->n);
	rc = chat_facts(r->pool, snap->catalog, request, &r->d.facts, &err);
	if (!rc)
		rc = request_labels(r->pool, snap->conf.tree, &headers, request, &r->d.facts, &err);
	snapshot_unpin(c->w->gw->snapshots, c->w->n, snap);
	if (rc) {
		api_error(h, rc == MG_ENOMEM ? 503 : 400, "invalid_request", "%s", err.msg);
		return;
	}
	r->d.facts.id = (struct mg_str){ r->id, strlen(r->id) };
	r->d.facts.now_ms = r->created_ms;
	r->d.facts.seed = random_number() >> 12;	/* fits a Lua float, and JSON */
	facts_of_key(r->pool, r->key, c->w->gw->accounts, &r->d.facts);
	r->d.facts.key.user = r->client.user.in_confidence.at ? r->client.user.in_confidence : (struct mg_str)MG_STR("");
	request_words(&headers, request, &r->d.facts);
	r->stream = r->d.facts.stream;
	c->relay = r;
	relay_start(r);
}
