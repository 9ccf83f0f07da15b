/*
 * routes.c - one table: path, method, who may call it, and what runs.  What is
 * not in the table does not exist; deny is the default.
 */
#include <strings.h>
#include "base/clock.h"
#include "api/api.h"

enum { SMALL = 1024 * 1024, BUNDLE = 4 * 1024 * 1024, POOL_EXTRA = 8 * 1024 * 1024 };	/* bytes */

enum access { PUBLIC, KEY, INFERENCE, MANAGEMENT };	/* KEY: any valid key; INFERENCE: not a management key (A2) */

struct route {
	const char *method, *path;	/* below /api/v1 unless it begins with '!': then from the root; '*' is one segment */
	enum access access;
	size_t body_max;		/* bytes; 0: the listener's limit for calls to models */
	void (*run)(struct api_call *c);
};

static const struct route routes[] = {	/* ended by a NULL method */
	{ "POST",   "/chat/completions",	INFERENCE, 0, chat_completions },
	{ "GET",    "/models",			PUBLIC, SMALL, models_list },
	{ "GET",    "/models/user",		KEY, SMALL, models_list },
	{ "GET",    "/models/count",		PUBLIC, SMALL, models_count },
	{ "GET",    "/models/*/*/endpoints",	PUBLIC, SMALL, models_endpoints },
	{ "GET",    "/models/*",		PUBLIC, SMALL, model_retrieve },
	{ "GET",    "/models/*/*",		PUBLIC, SMALL, model_retrieve },
	{ "GET",    "/model/*/*",		PUBLIC, SMALL, model_get },
	{ "GET",    "/endpoints/zdr",		PUBLIC, SMALL, endpoints_zdr },
	{ "GET",    "/providers",		PUBLIC, SMALL, providers_list },
	{ "GET",    "/generation",		KEY, SMALL, generation_get },
	{ "GET",    "/generation/key",		PUBLIC, SMALL, generation_key },
	{ "GET",    "/key",			KEY, SMALL, key_self },
	{ "GET",    "/auth/key",		KEY, SMALL, key_self },
	{ "GET",    "/keys",			MANAGEMENT, SMALL, keys_list },
	{ "POST",   "/keys",			MANAGEMENT, SMALL, keys_create },
	{ "GET",    "/keys/*",			MANAGEMENT, SMALL, keys_get },
	{ "PATCH",  "/keys/*",			MANAGEMENT, SMALL, keys_update },
	{ "DELETE", "/keys/*",			MANAGEMENT, SMALL, keys_delete },
	{ "GET",    "/credits",			MANAGEMENT, SMALL, credits_get },
	{ "POST",   "/credits/coinbase",	PUBLIC, SMALL, credits_coinbase },
	{ "POST",   "!/api/admin/credits",	MANAGEMENT, SMALL, credits_add },
	{ "GET",    "!/api/admin/decision",	MANAGEMENT, SMALL, decision_get },
	{ "POST",   "!/api/admin/decision",	MANAGEMENT, 0, decision_ask },
	{ "POST",   "!/api/admin/reload",	MANAGEMENT, SMALL, admin_reload },
	{ "POST",   "!/api/admin/rate",		MANAGEMENT, SMALL, rate_generations },
	{ "GET",    "!/api/admin/policies",	MANAGEMENT, SMALL, policies_list },
	{ "POST",   "!/api/admin/policies/publish", MANAGEMENT, BUNDLE, policies_publish },
	{ "POST",   "!/api/admin/policies/rollback", MANAGEMENT, SMALL, policies_rollback },
	{ "GET",    "!/livez",			PUBLIC, SMALL, health_live },
	{ "GET",    "!/readyz",			PUBLIC, SMALL, health_ready },
	{ "GET",    "!/healthz",		PUBLIC, SMALL, health_ready },
	{ "GET",    "!/health",			PUBLIC, SMALL, health_ready },
	{ "GET",    "!/health/liveliness",	PUBLIC, SMALL, health_live },
	{ "GET",    "!/health/readiness",	PUBLIC, SMALL, health_ready },
	{ "GET",    "!/version",		PUBLIC, SMALL, version_get },
	{ "GET",    "!/metrics",		PUBLIC, SMALL, metrics_get },
	{ "HEAD",   "!/",			PUBLIC, SMALL, root_head },
	{ "HEAD",   "!/api",			PUBLIC, SMALL, root_head },
	{ "HEAD",   "!/v1",			PUBLIC, SMALL, root_head },
	{ "HEAD",   "!/api/v1",			PUBLIC, SMALL, root_head },
	{ NULL, NULL, PUBLIC, 0, NULL },
};

/* ------------------------------------------------ finding */

/* Matches segment by segment; a star takes one segment that is not empty. */
static bool matches(const char *pattern, struct mg_str path, struct mg_str args[3])
{
	const char *at = path.at, *end = path.at + path.len;
	size_t n = 0;

	while (*pattern) {
		if (*pattern == '*') {
			const char *slash = memchr(at, '/', (size_t)(end - at));

			if (!slash)
				slash = end;
			if (slash == at || n == 3)
				return false;
			args[n++] = (struct mg_str){ at, (size_t)(slash - at) };
			at = slash;
			pattern++;
		} else if (at == end || *at++ != *pattern++) {
			return false;
		}
	}
	return at == end;
}

static bool strip(struct mg_str *path, const char *prefix)
{
	size_t len = strlen(prefix);

	if (path->len <= len || memcmp(path->at, prefix, len) || path->at[len] != '/')
		return false;
	path->at += len;
	path->len -= len;
	return true;
}

/* NULL: there is no such path, or allow says with which methods there is one. */
static const struct route *find(struct mg_str method, struct mg_str path, struct mg_str args[3], struct buf *allow)
{
	struct mg_str below = path;
	bool versioned = strip(&below, "/api/v1") || strip(&below, "/v1");

	for (const struct route *r = routes; r->method; r++) {
		bool root = r->path[0] == '!';

		if (!root && !versioned)
			continue;
		if (!matches(root ? r->path + 1 : r->path, root ? path : below, args))
			continue;
		if (mg_is(method, r->method) || (mg_is(method, "HEAD") && !strcmp(r->method, "GET")))
			return r;
		if (!memmem(allow->at, allow->len, r->method, strlen(r->method)))
			buf_print(allow, "%s%s, ", r->method, !strcmp(r->method, "GET") ? ", HEAD" : "");
	}
	if (allow->len)
		buf_text(allow, "OPTIONS");
	return NULL;
}

/* ------------------------------------------------ who calls */

struct mg_str api_credential(const struct http_request *r)
{
	struct mg_str v = http_header(r, "Authorization");

	if (v.len > 7 && !strncasecmp(v.at, "Bearer ", 7))
		return (struct mg_str){ v.at + 7, v.len - 7 };
	return v.at ? v : http_header(r, "x-api-key");
}

/* true: go on; else it has been answered. */
static bool authorise(struct api_call *c, enum access access)
{
	struct mg_str key = api_credential(c->http);
	struct err err = { 0 };

	if (access == PUBLIC && !key.at)
		return true;
	if (!key.at) {
		api_error(c->http, 401, "authentication", "Missing Authentication header");
		return false;
	}
	if (accounts_find(c->w->gw->accounts, key, &c->key, &err) != MG_OK) {
		memset(&c->key, 0, sizeof(c->key));	/* of one that is disabled or has expired it knows all */
		if (access == PUBLIC)
			return true;
		api_error(c->http, 401, "authentication", "%s", err.msg);
		return false;
	}
	if (access == MANAGEMENT && !c->key.management) {
		api_error(c->http, 403, "permission_denied", "Only management keys can perform this operation");
		return false;
	}
	if (access == INFERENCE && c->key.management) {
		api_error(c->http, 403, "permission_denied", "Management keys cannot call models; create an API key with POST /api/v1/keys");
		return false;
	}
	return true;
}

/* ------------------------------------------------ the server's events */

static void refuse_path(struct http_request *h, struct mg_str allow)
{
	struct refusal why = { .status = 405, .error_type = "invalid_request", .allow = allow };

	if (!allow.len) {
		api_error(h, 404, "not_found", "Not found");
		return;
	}
	snprintf(why.message, sizeof(why.message), "Method not allowed: this path has %.*s", (int)allow.len, allow.at);
	api_refuse(h, &why, NULL);
}

static void on_head(struct http_request *h)
{
	struct worker *w = server_ctx(h->server);
	struct api_call *c;
	const struct route *route;
	char methods[64];
	struct buf allow = buf_on(methods, sizeof(methods));
	uint64_t began_us;

	metric_add(M_HTTP_IN_FLIGHT, 1, METRIC_PLAIN);
	c = pool_alloc(h->pool, sizeof(*c));
	if (!c) {
		api_error(h, 503, "server", "No memory for the request");
		return;
	}
	*c = (struct api_call){ .http = h, .w = w, .route = "other", .request_id = api_request_id(h) };
	h->owner = c;
	if (cors_preflight(h))
		return;
	route = find(h->method, h->path, c->args, &allow);
	if (!route) {
		refuse_path(h, buf_view(&allow));
		return;
	}
	c->route = route->path;
	if (!strncmp(route->path, "!/api/admin/", 12) && !h->admin) {	/* R82 */
		api_error(h, 404, "not_found", "Not found");
		return;
	}
	began_us = clock_us();
	if (!authorise(c, route->access))
		return;
	c->auth_us = clock_us() - began_us;
	if (route->body_max)
		h->body_max = route->body_max;
	h->pool_budget = h->body_max * 4 + POOL_EXTRA;
	c->run = route->run;
}

static void on_body(struct http_request *h)
{
	struct api_call *c = h->owner;

	c->body_us = clock_us();
	c->run(c);
}

static struct relay *running(struct http_request *h)
{
	struct api_call *c = h->owner;

	return c ? c->relay : NULL;
}

static void on_drained(struct http_request *h)
{
	struct relay *r = running(h);

	if (r)
		relay_drained(r);
}

static void on_gone(struct http_request *h)
{
	struct relay *r = running(h);

	if (r)
		relay_gone(r);
}

/* The gateway's own time on one generation, by what it was spent on. */
static void overhead(const struct api_call *c, const struct relay *r)
{
	const struct { const char *stage; uint64_t us; } stages[] = {
		{ "parse", r->started_us > c->body_us ? r->started_us - c->body_us : 0 }, { "auth", c->auth_us },
		{ "policy", r->d.lua_us }, { "translate", r->translate_us }, { "relay", r->relay_us },
	};

	for (size_t i = 0; r->started_us && i < (r->sent_us ? 5 : 3); i++)
		metric_observe_us(M_OVERHEAD, stages[i].us, METRIC_LABELS(stages[i].stage));
}

static void on_ended(struct http_request *h)
{
	struct api_call *c = h->owner;
	const char *route = c ? c->route : "other";
	char method[8], code[8];
	struct buf of_method = buf_on(method, sizeof(method)), of_code = buf_on(code, sizeof(code));

	if (c && c->relay) {
		overhead(c, c->relay);
		relay_release(c->relay);
	}
	buf_put(&of_method, h->method.at, h->method.len < sizeof(method) ? h->method.len : sizeof(method) - 1);
	buf_put(&of_method, "", 1);
	buf_number(&of_code, h->status > 0 ? (uint64_t)h->status : 0);
	buf_put(&of_code, "", 1);
	metric_add(M_HTTP_IN_FLIGHT, -1, METRIC_PLAIN);
	metric_add(M_HTTP_REQUESTS, 1, METRIC_LABELS(route, method, code));
	metric_observe_us(M_HTTP_DURATION, clock_us() - h->began_us, METRIC_LABELS(route));
}

const struct server_events api_events = { on_head, on_body, on_drained, on_gone, on_ended };
