/*
 * send.c - what is sent: the request as policies shape it for an endpoint, and the
 * plugin's as HTTP, where it goes, with which headers, and how long it may take.
 */
#include "base/clock.h"
#include "plugin/sigv4.h"
#include "relay/attempt_parts.h"

enum { SHAPED_MAX = sizeof((struct shape){ 0 }.edits) / sizeof(struct shape_edit), TIER_EDITS = 2, USER_EDITS = 2 };

static bool is_edited(const struct json_edit *edits, size_t n, const char *name)
{
	while (n)
		if (!strcmp(edits[--n].name, name))
			return true;
	return false;
}

/* What is asked of the upstream is the endpoint's own tier, whose price is charged: the client's word for it chose among
 * endpoints, and where none of that tier was to be had it would be served, and billed to us, by another's price.  What a
 * policy says stays. */
static size_t set_tier(const struct attempt *a, struct json_edit *edits, size_t n)
{
	static const char *const members[TIER_EDITS] = { "service_tier", "speed" };
	bool base = !strcmp(a->endpoint->tier, "default");

	if (a->relay->surface->op != MG_CHAT)
		return n;
	for (size_t i = 0; i < TIER_EDITS; i++) {
		struct mg_view asked = json_get(a->relay->asked, members[i]);
		bool other = json_kind(asked) == MG_STRING && !json_is(asked, "default") && !json_is(asked, "auto") && !json_is(asked, "standard");

		if ((base ? other : i == 0 || other) && !is_edited(edits, n, members[i]))
			edits[n++] = (struct json_edit){ members[i], base || i ? (struct mg_str){ 0 } : pool_print(a->pool, "\"%s\"", a->endpoint->tier) };
	}
	return n;
}

/* An upstream may tell end users apart, and not who they are (E29): it gets a hash under the installation's key, another
 * one in each workspace.  What a policy says stays. */
static size_t set_user(const struct attempt *a, struct json_edit *edits, size_t n)
{
	static const char *const members[USER_EDITS] = { "user", "safety_identifier" };
	struct relay *r = a->relay;

	for (size_t i = 0; i < USER_EDITS; i++) {
		struct mg_str said = json_text(a->pool, json_get(r->asked, members[i]));
		char hash[65];

		if (!said.len || json_kind(json_get(r->asked, members[i])) != MG_STRING || is_edited(edits, n, members[i]))
			continue;
		seal_hash(&r->w->gw->seal, pool_print(a->pool, "user %s %.*s", r->key->workspace, (int)said.len, said.at), hash);
		edits[n++] = (struct json_edit){ members[i], pool_print(a->pool, "\"u-%.32s\"", hash) };
	}
	return n;
}

/* The canonical request for this endpoint, as the policies' shape hook leaves it. */
int attempt_shape(struct attempt *a, struct mg_view *out, struct err *err)
{
	struct relay *r = a->relay;
	struct shape shape = { 0 };
	struct json_edit edits[SHAPED_MAX + TIER_EDITS + USER_EDITS];
	struct buf *text;
	size_t n;

	*out = r->asked;
	if (!policy_shape(r->policy->state, &r->d, a->endpoint, &shape))
		return fail(err, MG_EDENIED, "a policy failed for this endpoint");
	for (n = 0; n < shape.n; n++)
		edits[n] = (struct json_edit){ pool_dup(a->pool, shape.edits[n].name).at, shape.edits[n].value };
	n = set_user(a, edits, set_tier(a, edits, n));
	if (!n)
		return MG_OK;
	text = pool_alloc(a->pool, sizeof(*text));
	if (!text)
		return fail(err, MG_ENOMEM, "no memory for the request");
	buf_init(text, POOL_BUDGET);
	json_splice(r->asked, edits, n, text);
	if (text->failed || pool_defer(a->pool, (void (*)(void *))buf_release, text) != MG_OK)
		return fail(err, MG_ENOMEM, "no memory for the request");
	return json_parse(a->pool, buf_view(text), out, err);
}

/* Is it the provider's own host, or one of quirk hosts: ".example.com" is any below it? */
static bool own_host(const struct attempt *a, struct mg_str url)
{
	const struct provider *p = a->endpoint->provider;
	const char *scheme = p->plain_http ? "http://" : "https://", *at = url.at + strlen(scheme);
	struct mg_view hosts = json_get(json_get(a->endpoint->row, "quirks"), "hosts");
	size_t len = 0;

	if (url.len <= strlen(scheme) || memcmp(url.at, scheme, strlen(scheme)) != 0)
		return false;
	while (at + len < url.at + url.len && !strchr("/?#", at[len]))
		len++;
	if (p->host && len == strlen(p->host) && !memcmp(at, p->host, len))
		return true;
	for (struct mg_view v = json_at(hosts, 0); json_kind(hosts) == MG_ARRAY && json_kind(v); v = json_next(v)) {
		struct mg_str s = json_text(a->pool, v);

		if (s.len && (s.at[0] == '.' ? len > s.len && !memchr(at, '@', len) : len == s.len) && !memcmp(at + len - s.len, s.at, s.len))
			return true;
	}
	return false;
}

/* base_url + path, or a full URL to a host that its row names. */
static struct mg_str url_of(struct attempt *a)
{
	const struct provider *p = a->endpoint->provider;
	struct mg_str path = a->http.path, query = a->call.url_query;
	const char *mark = memchr(path.at, '?', path.len) ? "&" : "?";

	if (path.len && path.at[0] == '/')
		return pool_join(a->pool, (struct mg_str[]){ { p->base_url, strlen(p->base_url) }, path, { mark, 1 }, query },
			query.at ? 4 : 2);
	if (own_host(a, path))
		return pool_dup(a->pool, path);
	return (struct mg_str){ 0 };
}

static void add_header(struct call *c, const char *name, const char *value)
{
	if (c->n_headers < CALL_HEADERS && !call_has_header(c, name))
		c->headers[c->n_headers++] = pool_join(c->pool,
			(struct mg_str[]){ { name, strlen(name) }, MG_STR(": "), { value, strlen(value) } }, 3);
}

/* What the provider's row adds: headers = { ["x-team"] = "blue" }. */
static void add_row_headers(struct attempt *a)
{
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(a->endpoint->provider->row, "headers"), name, value)
		if (json_is_string(value))
			add_header(&a->call, name, json_string_value(value));
}

/* Of the time that all attempts of the request share (R32). */
uint64_t attempt_time_left_ms(const struct attempt *a)
{
	uint64_t all = relay_deadline_ms(a->relay, a->endpoint->provider);
	uint64_t now_ms = loop_now_ms(a->relay->w->loop), began_ms = a->relay->began_us / 1000;
	uint64_t gone = now_ms > began_ms ? now_ms - began_ms : 0;	/* it may have begun in this turn of the loop */

	return gone < all ? all - gone : 1;
}

int attempt_transmit(struct attempt *a, struct err *err)
{
	const struct provider *p = a->endpoint->provider;
	const struct plan *plan = &a->relay->d.plan;
	const struct mg_str parent = a->relay->client.traceparent.in_confidence;
	struct mg_str url;

	if (!strncmp(p->base_url, "sim:", 4)) {
		struct mg_str body = a->http.pieces == 1 ? a->http.body[0] : pool_join(a->pool, a->http.body, a->http.pieces);

		if (!body.at)
			return fail(err, MG_EPROTO, "a sim: provider answers with a body");
		a->lo = loopback_start(a->relay->w->loop, body, a->relay->stream, attempt_loop_head, attempt_loop_data, attempt_loop_end, a);
		if (!a->lo)
			return fail(err, MG_ENOMEM, "no memory for the answer");
		a->under_way = true;
		a->sent += body.len;
		loopback_limits(a->lo, 0, or_else(plan->idle_ms, p->idle_ms), attempt_time_left_ms(a));
		return MG_OK;
	}
	url = url_of(a);
	if (!url.at)
		return fail(err, MG_EPROTO, "the plugin named another host than provider '%s'", p->slug);
	if (a->http.pieces)
		add_header(&a->call, "Content-Type", "application/json");
	add_header(&a->call, "Accept", a->relay->stream ? "text/event-stream, application/json" : "application/json");
	add_header(&a->call, "User-Agent", "moongate/" VERSION);
	add_row_headers(a);
	if (parent.at && json_kind(json_get(json_get(a->endpoint->row, "options"), "traceparent")) == MG_TRUE)
		add_header(&a->call, "traceparent", parent.at);	/* our caller's span is the upstream's parent */
	if (sigv4_call(&a->call, url, &a->http, json_text(a->pool, json_get(json_get(a->endpoint->row, "options"), "region")), (struct mg_str){ a->endpoint->region, strlen(a->endpoint->region) }, time(NULL), err))
		return err->rc;
	struct exchange_conf conf = {
		.method = pool_dup(a->pool, a->http.method).at, .url = url.at, .headers = a->call.headers, .n_headers = a->call.n_headers,
		.body = a->http.body, .pieces = a->http.pieces,
		.connect_ms = or_else(plan->connect_ms, p->connect_ms), .idle_ms = or_else(plan->idle_ms, p->idle_ms),
		.total_ms = attempt_time_left_ms(a), .max_bytes = a->relay->stream ? SIZE_MAX : ANSWER_MAX,
		.stream = a->relay->stream, .plain_http = p->plain_http, .ca_file = p->ca,
	};
	a->x = exchange_start(a->relay->w->client, &conf, &attempt_exchange_events, a, err);
	a->under_way |= a->x != NULL;
	return a->x ? MG_OK : MG_EINVAL;
}

void attempt_over_with(struct attempt *a)
{
	if (a->x)
		a->sent += exchange_sent(a->x);
	a->x = NULL;
	a->lo = NULL;
	a->closed = false;
}

void attempt_told(const struct attempt *a, struct tried *t)
{
	t->sent = a->under_way;
	t->bytes = a->sent + (a->x ? exchange_sent(a->x) : 0);
	t->sent_ms = a->relay->created_ms + (int64_t)((a->began_us - a->relay->began_us) / 1000);
}
