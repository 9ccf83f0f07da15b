/*
 * error.c - answers that carry no answer: the error envelope of the wire's
 * section A4, and the plain replies around it.
 */
#include <stdarg.h>
#include "base/clock.h"
#include "base/log.h"
#include "api/api.h"

enum { ERROR_BODY_MAX = 64 * 1024 };

void api_reply(struct http_request *r, int status, const char *type, struct mg_str body)
{
	struct http_header headers[] = {
		{ "Content-Type", { type, strlen(type) } },
		{ "Cache-Control", MG_STR("no-store") },
		{ NULL, { 0 } },
	};

	api_send(r, status, headers, body);
}

void api_json(struct http_request *r, int status, struct mg_str json)
{
	api_reply(r, status, "application/json", json);
}

/* Of a limit of our own: how many, and when it may be tried again, as Unix ms (A3). */
struct limit_texts { char limit[24], reset[24]; };

static void limit_texts(const struct refusal *why, struct limit_texts *out)
{
	snprintf(out->limit, sizeof(out->limit), "%llu", (unsigned long long)why->limit);
	snprintf(out->reset, sizeof(out->reset), "%lld", (long long)clock_wall_ms() + (long long)why->retry_after_s * 1000);
}

static struct http_header text_header(const char *name, const char *value)
{
	return (struct http_header){ name, { value, strlen(value) } };
}

static void previous_errors(struct mg_writer *w, const struct relay *r)
{
	json_open(w, "previous_errors", '[');
	for (unsigned i = 0; i < r->n_tried; i++) {
		const struct tried *t = &r->tried[i];

		if (t->ok)
			continue;
		json_open(w, NULL, '{');
		json_put_text(w, "provider", t->endpoint->provider->slug);
		json_put_text(w, "code", error_kind_name(t->kind));
		json_put_int(w, "status", t->status);
		json_close(w);
	}
	json_close(w);
}

/* What the client asked for, not what a policy or the catalogue made of it; the first with its variant. */
static void requested_models(struct mg_writer *w, const struct decision *d)
{
	const struct words *models = d->asked ? &d->asked->models : &d->facts.models;

	json_open(w, "requested_models", '[');
	for (size_t i = 0; i < models->n; i++)
		json_put(w, NULL, i || !d->facts.model.at ? models->at[i] : d->facts.model);
	json_close(w);
}

/* Of those that were asked in vain, each once. */
static void affected_providers(struct mg_writer *w, const struct relay *r)
{
	if (!r->n_tried)
		return;
	json_open(w, "affected_providers", '[');
	for (unsigned i = 0, k; i < r->n_tried; i++) {
		for (k = 0; k < i && r->tried[k].endpoint->provider != r->tried[i].endpoint->provider; )
			k++;
		if (k == i)
			json_put_text(w, NULL, r->tried[i].endpoint->provider->slug);
	}
	json_close(w);
}

static void excluded_by(struct mg_writer *w, const char *words)
{
	if (!words)
		return;
	json_open(w, "excluded_by", '[');
	for (size_t len; (len = strcspn(words, " ")); words += len + (words[len] == ' '))
		json_put(w, NULL, (struct mg_str){ words, len });
	json_close(w);
}

static void availability(struct mg_writer *w, const struct refusal *why, const struct relay *r)
{
	json_open(w, "availability", '{');
	json_put_text(w, "code", why->availability);
	json_put_bool(w, "retryable", why->retryable);
	if (why->retry_after_s)
		json_put_int(w, "retry_after", why->retry_after_s);
	requested_models(w, &r->d);
	affected_providers(w, r);
	excluded_by(w, why->excluded);
	json_put_text(w, "docs_url", "https://openrouter.ai/docs/api-reference/errors");
	json_close(w);
}

static void limit_source(struct mg_writer *w, const struct refusal *why)
{
	char at[32];

	json_put_text(w, "limit_source", why->limit_source);
	if (strcmp(why->limit_source, "openrouter_key_limit")) {
		json_put_null(w, "provider_name");
		return;
	}
	json_put_text(w, "scope", "key");
	money_member(w, "limit_usd", why->limit_nusd);
	money_member(w, "spend_usd", why->spend_nusd);
	if (why->resets_ms) {
		clock_rfc3339(why->resets_ms, at);
		json_put_text(w, "resets_at", at);
	} else {
		json_put_null(w, "resets_at");
	}
}

static void metadata(struct mg_writer *w, const struct refusal *why, const struct relay *r)
{
	json_open(w, "metadata", '{');
	if (why->error_type)
		json_put_text(w, "error_type", why->error_type);
	if (why->provider_name) {
		if (why->provider_code && why->provider_code[0] && why->status != 500)
			json_put_text(w, "provider_code", why->provider_code);
		if (why->raw)
			json_put_text(w, "raw", why->raw);
		json_put_text(w, "provider_name", why->provider_name);
		json_put_bool(w, "is_byok", why->is_byok);
	}
	if (why->limit_source)
		limit_source(w, why);
	if (why->limited) {
		struct limit_texts l;

		limit_texts(why, &l);
		json_open(w, "headers", '{');
		if (why->limit)
			json_put_text(w, "X-RateLimit-Limit", l.limit);
		json_put_text(w, "X-RateLimit-Remaining", "0");
		json_put_text(w, "X-RateLimit-Reset", l.reset);
		json_close(w);
		json_put_null(w, "provider_name");
	}
	if (why->previous && r)
		previous_errors(w, r);
	json_close(w);
}

void error_object(struct mg_writer *w, const char *name, const struct refusal *why, struct relay *r)
{
	json_open(w, name, '{');
	json_put_int(w, "code", why->status);
	json_put_text(w, "message", why->message);
	if (why->availability && r) {
		if (why->error_type)
			json_put_text(w, "error_type", why->error_type);
		json_put_int(w, "http_status", why->status);
		availability(w, why, r);
	}
	if (why->error_type || why->provider_name)
		metadata(w, why, r);
	json_close(w);
}

void api_refuse(struct http_request *r, const struct refusal *why, struct relay *relay)
{
	struct buf body;
	struct mg_writer w;
	struct limit_texts limit;
	char seconds[16], ms[24];
	struct http_header headers[10] = { { "Content-Type", MG_STR("application/json") }, { "Cache-Control", MG_STR("no-store") } };
	size_t n = 2;

	buf_init(&body, ERROR_BODY_MAX);
	json_writer_init(&w, &body);
	json_open(&w, NULL, '{');
	error_object(&w, "error", why, relay);
	json_put_null(&w, "user_id");
	if (relay && why->status != 500 && relay->d.n)
		metadata_member(&w, relay, false);
	json_close(&w);
	if (relay)
		headers[n++] = text_header("X-Generation-Id", relay->id);
	if (why->retry_after_s) {
		snprintf(seconds, sizeof(seconds), "%u", why->retry_after_s);
		snprintf(ms, sizeof(ms), "%llu", (unsigned long long)(why->retry_after_ms ? why->retry_after_ms : why->retry_after_s * 1000ull));
		headers[n++] = text_header("Retry-After", seconds);
		headers[n++] = text_header("Retry-After-Ms", ms);
	}
	if (why->limited) {
		limit_texts(why, &limit);
		if (why->limit)
			headers[n++] = text_header("X-RateLimit-Limit", limit.limit);
		headers[n++] = text_header("X-RateLimit-Remaining", "0");
		headers[n++] = text_header("X-RateLimit-Reset", limit.reset);
	}
	if (why->allow.len)
		headers[n++] = (struct http_header){ "Allow", why->allow };
	if (why->status == 401)
		headers[n++] = (struct http_header){ "WWW-Authenticate", MG_STR("Bearer") };
	api_send(r, why->status, headers, buf_view(&body));
	buf_release(&body);
}

void api_error(struct http_request *r, int status, const char *error_type, const char *fmt, ...)
{
	struct refusal why = { .status = status, .error_type = error_type };
	va_list args;

	va_start(args, fmt);
	vsnprintf(why.message, sizeof(why.message), fmt, args);
	va_end(args);
	api_refuse(r, &why, NULL);
}

void api_store_failed(struct http_request *r, const struct err *why)
{
	log_at(LOG_ERROR, EV_STORE_ERROR, NULL, LOG_S("why", why->msg));
	api_refuse(r, &(struct refusal){ .status = 503, .error_type = "server", .retryable = true, .retry_after_s = 1,
		.message = "Service temporarily unavailable" }, NULL);
}
