/*
 * cors.c - browsers may call from the origins that the configuration names,
 * and from no others: cors = { origins = { "https://chat.example" } }.
 */
#include <strings.h>
#include "api/api.h"

static bool allowed(struct http_request *h, struct mg_str origin)
{
	struct worker *w = server_ctx(h->server);
	struct snapshot *snap = snapshot_pin(w->gw->snapshots, w->n);
	json_t *origins = json_object_get(json_object_get(snap->conf.tree, "cors"), "origins"), *one;
	bool found = false;
	size_t i;

	json_array_foreach(origins, i, one)
		if (json_is_string(one) && (mg_is(origin, json_string_value(one)) || !strcmp(json_string_value(one), "*")))
			found = true;
	snapshot_unpin(w->gw->snapshots, w->n, snap);
	return found && !(h->path.len >= 10 && !memcmp(h->path.at, "/api/admin", 10));	/* never there (R82) */
}

size_t cors_headers(struct http_request *r, struct http_header out[4])
{
	struct mg_str origin = http_header(r, "Origin");

	if (!origin.at || !allowed(r, origin))
		return 0;
	out[0] = (struct http_header){ "Access-Control-Allow-Origin", origin };
	out[1] = (struct http_header){ "Vary", MG_STR("Origin") };
	out[2] = (struct http_header){ "Access-Control-Expose-Headers", MG_STR("X-Generation-Id, X-Request-Id, Retry-After, Retry-After-Ms, "
		"X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Server-Timing, X-Moongate-Provider, X-Moongate-Attempts") };
	return 3;
}

bool cors_preflight(struct http_request *r)
{
	struct http_header headers[] = {
		{ "Access-Control-Allow-Methods", MG_STR("GET, POST, PATCH, DELETE, OPTIONS") },
		{ "Access-Control-Allow-Headers", MG_STR("Authorization, Content-Type, HTTP-Referer, X-Title, X-OpenRouter-Title, "
			"X-OpenRouter-Categories, X-OpenRouter-Metadata, x-session-id, x-moongate-policy, x-moongate-data-class, x-api-key, x-request-id, x-stainless-*") },
		{ "Access-Control-Max-Age", MG_STR("600") },
		{ NULL, { 0 } },
	};
	struct mg_str asked = http_header(r, "Access-Control-Request-Headers");

	if (!mg_is(r->method, "OPTIONS"))
		return false;
	if (asked.at)
		headers[1].value = asked;	/* any header will do from an origin that is allowed */
	api_send(r, 204, headers, (struct mg_str){ "", 0 });
	return true;
}
