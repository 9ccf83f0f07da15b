/*
 * headers.c - what every answer carries beside its own headers: the request's
 * id, who answered after how many tries, where the time went, and CORS.
 */
#include <strings.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "api/api.h"

enum { HEADERS_MAX = 16, ADDED_MAX = 12, REQUEST_ID_MAX = 128, TIMING_MAX = 128 };

struct list { struct http_header at[HEADERS_MAX + ADDED_MAX]; size_t n, own; };	/* own: the caller's, which win */

/* R15: a client's own id if it is a sane one. */
struct mg_str api_request_id(const struct http_request *h)
{
	struct mg_str id = http_header(h, "X-Request-Id");

	if (!id.len || id.len > REQUEST_ID_MAX)
		return (struct mg_str){ 0 };
	for (size_t i = 0; i < id.len; i++)
		if (id.at[i] <= ' ' || id.at[i] > '~')
			return (struct mg_str){ 0 };
	return id;
}

/* W3C: version, trace, parent, flags, in small hex; neither id is all zeros. */
struct mg_str api_traceparent(const struct http_request *h)
{
	static const char shape[] = "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
	struct mg_str t = http_header(h, "traceparent");

	if (t.len != sizeof(shape) - 1 || !memcmp(t.at, "ff", 2))
		return (struct mg_str){ 0 };
	for (size_t i = 0; i < t.len; i++)
		if (shape[i] == 'x' ? !strchr("0123456789abcdef", t.at[i]) || !t.at[i] : t.at[i] != '-')
			return (struct mg_str){ 0 };
	if (strspn(t.at + 3, "0") >= 32 || strspn(t.at + 36, "0") >= 16)
		return (struct mg_str){ 0 };
	return t;
}

static void add(struct list *l, const char *name, struct mg_str value)
{
	for (size_t i = 0; i < l->own; i++)
		if (!strcasecmp(l->at[i].name, name))
			return;
	if (value.len)
		l->at[l->n++] = (struct http_header){ name, value };
}

static struct mg_str fresh_id(struct pool *pool)
{
	char id[40];

	id_generation(id);
	return pool_join(pool, (struct mg_str[]){ MG_STR("req-"), { id + 4, strlen(id + 4) } }, 2);
}

/* "parse;dur=0.250": milliseconds. */
static void put_timing(struct buf *out, const char *what, uint64_t us)
{
	char part[4] = { '.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10), (char)('0' + us % 10) };

	buf_text(out, what);
	buf_text(out, ";dur=");
	buf_number(out, us / 1000);
	buf_put(out, part, sizeof(part));
}

static void add_timing(struct list *l, struct http_request *h, const struct api_call *c, const struct relay *r)
{
	uint64_t parse_us = c->body_us && r->started_us > c->body_us ? r->started_us - c->body_us : 0;
	uint64_t upstream_us = r->sent_us ? clock_us() - r->sent_us : 0;

	char *room = pool_alloc(h->pool, TIMING_MAX);
	struct buf text = buf_on(room, room ? TIMING_MAX : 0);

	put_timing(&text, "parse", parse_us);
	put_timing(&text, ", policy", r->d.lua_us);
	put_timing(&text, ", upstream", upstream_us);
	add(l, "Server-Timing", buf_view(&text));
}

static struct mg_str attempts_of(struct http_request *h, const struct relay *r)
{
	enum { MOST = 24 };
	char *room = pool_alloc(h->pool, MOST);
	struct buf text = buf_on(room, room ? MOST : 0);

	buf_number(&text, r->n_tried + (r->now && attempt_sent(r->now)));
	return buf_view(&text);
}

static void add_relay(struct list *l, struct http_request *h, const struct api_call *c, const struct relay *r)
{
	const struct endpoint *e = r->endpoint;

	add(l, "X-Generation-Id", (struct mg_str){ r->id, strlen(r->id) });
	if (e)
		add(l, "X-Moongate-Provider", (struct mg_str){ e->provider->slug, strlen(e->provider->slug) });
	add(l, "X-Moongate-Attempts", attempts_of(h, r));
	add_timing(l, h, c, r);
}

static void collect(struct list *l, struct http_request *h, const struct http_header *own)
{
	const struct api_call *c = h->owner;
	struct mg_str id = c ? c->request_id : (struct mg_str){ 0 };

	l->n = 0;
	for (; own && own->name && l->n < HEADERS_MAX; own++)
		l->at[l->n++] = *own;
	l->own = l->n;
	if (!id.at && c && c->relay)
		id = (struct mg_str){ c->relay->id, strlen(c->relay->id) };
	add(l, "X-Request-Id", id.at ? id : fresh_id(h->pool));
	if (c && c->relay)
		add_relay(l, h, c, c->relay);
	l->n += cors_headers(h, l->at + l->n);
	l->at[l->n] = (struct http_header){ NULL, { 0 } };
}

void api_send(struct http_request *r, int status, const struct http_header *headers, struct mg_str body)
{
	struct list all;

	collect(&all, r, headers);
	http_reply(r, status, all.at, body);
}

void api_stream(struct http_request *r, int status, const struct http_header *headers)
{
	struct list all;

	collect(&all, r, headers);
	http_stream(r, status, all.at);
}
