/*
 * models.c - the catalogue over HTTP: /models and its relatives.  What may be
 * asked is the catalogue's business; here is only the query and the envelope.
 */
#include <strings.h>
#include "base/clock.h"
#include "catalog/wire.h"
#include "api/api.h"

enum { ANSWER_MAX = 64 * 1024 * 1024, QUERY_MAX = 8192 };	/* bytes */

struct reading {
	struct snapshot *snap;
	struct buf out, rest;
	struct model_query query;
	struct routers routers;
};

/* What the policies for this caller answer for. */
static void routers_of(struct api_call *c, struct reading *rd)
{
	const json_t *rows[ROUTERS_SHOWN];
	size_t n = bundle_routers(rd->snap->bundle, c->key.org, c->key.workspace, c->key.hash, rows, ROUTERS_SHOWN);

	rd->routers.n = 0;
	for (size_t i = 0; i < n; i++)
		routers_add(&rd->routers, c->http->pool, rd->snap->catalog, rows[i]);
}

static void begin(struct api_call *c, struct reading *rd)
{
	rd->snap = snapshot_pin(c->w->gw->snapshots, c->w->n);
	buf_init(&rd->out, ANSWER_MAX);
	buf_init(&rd->rest, QUERY_MAX);
	model_query_init(&rd->query, &rd->rest);
	routers_of(c, rd);
	rd->query.routers = &rd->routers;
}

static void end(struct api_call *c, struct reading *rd)
{
	routers_release(&rd->routers);
	snapshot_unpin(c->w->gw->snapshots, c->w->n, rd->snap);
	buf_release(&rd->out);
	buf_release(&rd->rest);
}

/* Each parameter, decoded; false: it has been answered. */
static bool query(struct api_call *c, struct reading *rd)
{
	struct mg_str left = c->http->query;
	struct err err = { 0 };

	while (left.len) {
		const char *amp = memchr(left.at, '&', left.len);
		size_t len = amp ? (size_t)(amp - left.at) : left.len;
		const char *equals = memchr(left.at, '=', len);
		struct mg_str name = pool_dup(c->http->pool, (struct mg_str){ left.at, equals ? (size_t)(equals - left.at) : len });
		struct mg_str value = name.at ? http_query(c->http, name.at) : (struct mg_str){ 0 };

		if (value.at && model_query_set(&rd->query, name, value, &err) != MG_OK) {
			api_error(c->http, 400, "invalid_request", "%s", err.msg);
			return false;
		}
		left.at += len + (amp != NULL);
		left.len -= len + (amp != NULL);
	}
	return true;
}

/* "author/slug", of one segment or two, where a colon or the slash may be escaped. */
static struct mg_str slug_of(struct api_call *c)
{
	struct mg_str raw = pool_print(c->http->pool, "%.*s%s%.*s", (int)c->args[0].len, c->args[0].at, c->args[1].at ? "/" : "",
		(int)c->args[1].len, c->args[1].at ? c->args[1].at : "");
	char *to = (char *)(uintptr_t)raw.at;
	size_t n = 0;

	for (size_t i = 0; i < raw.len; i++) {
		bool colon = raw.len - i > 2 && !strncasecmp(raw.at + i, "%3a", 3), slash = raw.len - i > 2 && !strncasecmp(raw.at + i, "%2f", 3);

		to[n++] = colon ? ':' : slash ? '/' : raw.at[i];
		i += colon || slash ? 2 : 0;
	}
	raw.len = n;
	return raw;
}

static void answer(struct api_call *c, struct reading *rd, bool found, struct mg_str slug)
{
	if (found)
		api_json(c->http, 200, buf_view(&rd->out));
	else
		api_error(c->http, 404, "not_found", "Model '%.*s' not found", (int)(slug.len < 128 ? slug.len : 128), slug.at);
	end(c, rd);
}

static void list(struct api_call *c, struct reading *rd)
{
	if (rd->query.rss)
		wire_feed(&rd->out, rd->snap->catalog, &rd->query, clock_wall_ms(), clock_ms());
	else
		wire_models(&rd->out, rd->snap->catalog, &rd->query, clock_wall_ms(), clock_ms());
	api_reply(c->http, 200, rd->query.rss ? "application/rss+xml; charset=utf-8" : "application/json", buf_view(&rd->out));
}

void models_list(struct api_call *c)
{
	struct reading rd;

	begin(c, &rd);
	if (query(c, &rd))
		list(c, &rd);
	end(c, &rd);
}

void models_count(struct api_call *c)
{
	struct reading rd;

	begin(c, &rd);
	if (query(c, &rd)) {
		wire_count(&rd.out, rd.snap->catalog, &rd.query, clock_wall_ms());
		api_json(c->http, 200, buf_view(&rd.out));
	}
	end(c, &rd);
}

void models_endpoints(struct api_call *c)
{
	struct mg_str slug = slug_of(c);
	struct reading rd;

	begin(c, &rd);
	answer(c, &rd, wire_endpoints(&rd.out, rd.snap->catalog, &rd.routers, slug, c->key.hash[0] != '\0', clock_ms()), slug);
}

void model_get(struct api_call *c)
{
	struct mg_str slug = slug_of(c);
	struct reading rd;

	begin(c, &rd);
	answer(c, &rd, wire_model(&rd.out, rd.snap->catalog, &rd.routers, slug), slug);
}

void model_retrieve(struct api_call *c)
{
	struct mg_str slug = slug_of(c);
	struct reading rd;

	begin(c, &rd);
	answer(c, &rd, wire_model_openai(&rd.out, rd.snap->catalog, &rd.routers, slug), slug);
}

void endpoints_zdr(struct api_call *c)
{
	struct reading rd;

	begin(c, &rd);
	wire_zdr(&rd.out, rd.snap->catalog, c->key.hash[0] != '\0', clock_ms());
	answer(c, &rd, true, (struct mg_str){ "", 0 });
}

void providers_list(struct api_call *c)
{
	struct reading rd;

	begin(c, &rd);
	wire_providers(&rd.out, rd.snap->catalog);
	answer(c, &rd, true, (struct mg_str){ "", 0 });
}
