/*
 * failure.c - what a client is told when there is no answer: kinds of failure
 * to HTTP status and words (tables F1 to F3 of the wire's specification).
 */
#include "base/log.h"
#include "relay/relay.h"

enum { RAW_MAX = 1000 };	/* bytes of an upstream's own words that a client sees (R95) */

static const struct { int status; const char *error_type; bool retryable; } kinds[] = {
	[MG_E_UPSTREAM]		= { 502, "provider_unavailable", true },
	[MG_E_CONNECT]		= { 502, "provider_unavailable", true },
	[MG_E_TIMEOUT]		= { 504, "timeout", true },
	[MG_E_RATE_LIMITED]	= { 429, "rate_limit_exceeded", true },
	[MG_E_OVERLOADED]	= { 503, "provider_overloaded", true },
	[MG_E_SERVER]		= { 502, "provider_unavailable", true },
	[MG_E_AUTH]		= { 502, "provider_unavailable", false },	/* our credential, not the client's (R76) */
	[MG_E_QUOTA]		= { 502, "provider_unavailable", false },
	[MG_E_BAD_REQUEST]	= { 400, "invalid_request", false },
	[MG_E_CONTEXT_LENGTH]	= { 400, "context_length_exceeded", false },
	[MG_E_MODERATION]	= { 400, "content_policy_violation", false },
	[MG_E_NOT_FOUND]	= { 404, "not_found", false },
	[MG_E_CANCELLED]	= { 499, "unmapped", false },
};

/* Of what an upstream finds wrong with a request F1 has finer words: by its code, else by its status. */
static const struct { const char *code; int said, status; const char *error_type; } finer[] = {
	{ "string_above_max_length", 0, 400, "string_too_long" }, { "string_too_long", 0, 400, "string_too_long" },
	{ "invalid_prompt", 0, 400, "invalid_prompt" }, { "invalid_image", 0, 400, "invalid_image" },
	{ "invalid_image_url", 0, 400, "invalid_image" }, { "invalid_base64_image", 0, 400, "invalid_image" },
	{ "image_parse_error", 0, 400, "invalid_image" }, { "empty_image_file", 0, 400, "invalid_image" },
	{ "image_too_large", 0, 400, "image_too_large" }, { "image_file_too_large", 0, 400, "image_too_large" },
	{ "image_too_small", 0, 400, "image_too_small" }, { "invalid_image_format", 0, 400, "unsupported_image_format" },
	{ "unsupported_image_media_type", 0, 400, "unsupported_image_format" }, { "unsupported_image_format", 0, 400, "unsupported_image_format" },
	{ "failed_to_download_image", 0, 400, "image_download_failed" }, { "image_download_failed", 0, 400, "image_download_failed" },
	{ "image_file_not_found", 0, 404, "image_not_found" }, { "image_not_found", 0, 404, "image_not_found" },
	{ NULL, 413, 413, "payload_too_large" }, { NULL, 422, 422, "unprocessable" },
};

static void refine(struct refusal *out, const struct mg_failure *f, int status)
{
	for (size_t i = 0; i < sizeof(finer) / sizeof(finer[0]); i++)
		if (finer[i].code ? mg_is(f->code, finer[i].code) : finer[i].said == status) {
			out->status = finer[i].status;
			out->error_type = finer[i].error_type;
			return;
		}
}

/* An upstream's words: redacted, cut at a character's border. */
static const char *raw_words(struct pool *pool, struct mg_str said)
{
	size_t len = said.len < RAW_MAX ? said.len : RAW_MAX;
	struct mg_str copy;

	if (!said.at || !said.len)
		return NULL;
	while (len < said.len && len > 0 && ((unsigned char)said.at[len] & 0xC0) == 0x80)
		len--;
	copy = pool_dup(pool, (struct mg_str){ said.at, len });
	if (copy.at)
		log_redact((char *)(uintptr_t)copy.at);
	return copy.at;
}

void refusal_of_failure(struct relay *r, const struct endpoint *e, const struct mg_failure *f, int status, struct refusal *out)
{
	size_t kind = f->kind < sizeof(kinds) / sizeof(kinds[0]) ? f->kind : MG_E_UPSTREAM;

	*out = (struct refusal){
		.status = kinds[kind].status, .error_type = kinds[kind].error_type, .retryable = kinds[kind].retryable,
		.retry_after_s = f->retry_after_ms / 1000 + (f->retry_after_ms % 1000 != 0), .retry_after_ms = f->retry_after_ms,
		.provider_name = e->provider->name, .is_byok = e->provider->own.seq > 0, .raw = raw_words(r->pool, f->message),
		.provider_code = raw_words(r->pool, f->code),
	};
	if (f->kind == MG_E_OVERLOADED && status == 529)
		out->status = 529;
	if (f->kind == MG_E_BAD_REQUEST)
		refine(out, f, status);
	snprintf(out->message, sizeof(out->message), "Provider returned error");
	if (f->kind == MG_E_BAD_REQUEST && !status && out->raw)	/* our own translation refused it, before the wire */
		snprintf(out->message, sizeof(out->message), "%s", out->raw);
}

/* A policy's code is free text; those the wire knows get their names. */
static void refusal_of_denial(const struct denial *no, struct refusal *out)
{
	static const struct { int status; const char *error_type; } known[] = {
		{ 400, "invalid_request" }, { 401, "authentication" }, { 402, "payment_required" },
		{ 403, "permission_denied" }, { 404, "not_found" }, { 429, "rate_limit_exceeded" },
		{ 503, "provider_overloaded" },
	};
	static const char *const availability[] = { "model_not_found", "wrong_endpoint", "no_endpoints", "model_deprecated",
		"model_unavailable_upstream", "capacity_exhausted", "temporarily_unavailable", "region_restricted",
		"privacy_restricted", "constraint_filtered", "free_variant_ended" };

	*out = (struct refusal){ .status = no->status, .retry_after_s = no->retry_after_s };
	snprintf(out->message, sizeof(out->message), "%s", no->message);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].status == no->status)
			out->error_type = known[i].error_type;
	for (size_t i = 0; i < sizeof(availability) / sizeof(availability[0]); i++)
		if (!strcmp(availability[i], no->code))
			out->availability = availability[i];
	out->excluded = no->excluded[0] ? no->excluded : NULL;
	out->limited = no->status == 429;
	out->limit = no->limit;
	out->retryable = no->status == 429 || no->status == 503;
}

void refusal_of_policy(struct relay *r, const char *hook, struct refusal *out)
{
	struct denial no;

	policy_failed(&r->d, hook, &no);
	refusal_of_denial(&no, out);
	out->error_type = "server";
}

/* ------------------------------------------------ the ends */

static void relay_refuse(struct relay *r, const struct refusal *why, const char *outcome)
{
	if (r->ended)
		return;
	r->refused = why->availability ? why->availability : why->error_type;
	relay_settle(r, why->status, outcome);
	r->ended = true;
	r->surface->refused(r, why);
}

void refuse_denied(struct relay *r, const struct denial *no)
{
	struct refusal why;

	refusal_of_denial(no, &why);
	if (why.limited)
		metric_add(M_RATE_LIMITED, 1, METRIC_LABELS("policy"));
	relay_refuse(r, &why, no->status >= 500 ? "moongate_error" : no->status == 400 ? "client_error" : "blocked");
}

/* When the limit's window turns; 0: it has none. */
static int64_t resets_ms(enum window w, int64_t now_ms)
{
	static const int64_t longest_days[WINDOWS] = { 0, 1, 7, 31 };

	return w == WINDOW_TOTAL ? 0 : window_start(w, window_start(w, now_ms) + longest_days[w] * 86400000);
}

/* Which scope refused: the key's limit is 403, the balance 402. */
void refuse_money(struct relay *r, const struct scope *scope)
{
	static const char *const windows[] = { "total", "daily", "weekly", "monthly" };
	struct refusal why = { .status = 402, .error_type = "payment_required", .limit_source = "openrouter_credits" };
	struct scope_facts f;

	if (scope && !strcmp(scope_kind(scope), "key")) {
		scope_read(scope, r->created_ms, &f);
		why = (struct refusal){ .status = 403, .error_type = "permission_denied", .limit_source = "openrouter_key_limit",
			.limit_nusd = f.limit, .spend_nusd = f.posted, .resets_ms = resets_ms(f.window, r->created_ms) };
		snprintf(why.message, sizeof(why.message), "Key limit exceeded (%s limit). Manage it with the key's management API",
			windows[r->key->reset]);
	} else {
		snprintf(why.message, sizeof(why.message), "Insufficient credits. Add more, or ask for fewer max_tokens");
	}
	relay_refuse(r, &why, "blocked");
}

void refuse_store(struct relay *r, const struct err *err)
{
	struct refusal why = { .status = 503, .error_type = "server", .retryable = true, .retry_after_s = 1 };

	snprintf(why.message, sizeof(why.message), "Service temporarily unavailable");
	log_at(LOG_ERROR, EV_STORE_ERROR, r->name, LOG_S("why", err->msg));
	relay_refuse(r, &why, "moongate_error");
}

void relay_remember(struct relay *r, const struct refusal *why)
{
	static const struct refusal wordless = { .status = 503, .error_type = "server", .message = "No provider answered" };
	struct refusal *kept = pool_alloc(r->pool, sizeof(*kept));

	if (kept)
		*kept = *why;
	r->last = kept ? kept : &wordless;
}

/* Every attempt failed: the last failure speaks, the others are listed. */
void refuse_upstreams(struct relay *r)
{
	struct refusal why = r->last ? *r->last : (struct refusal){ .status = 0 };

	if (!r->last) {
		why = (struct refusal){ .status = 503, .error_type = "provider_overloaded", .availability = "temporarily_unavailable",
			.retryable = true, .retry_after_s = 1 };
		snprintf(why.message, sizeof(why.message), "All providers for %.*s are unavailable at the moment",
			(int)r->d.facts.model.len, r->d.facts.model.at);
	}
	why.previous = r->n_tried > 1;
	if (why.status == 429) {
		why.availability = "capacity_exhausted";
		for (unsigned i = 0; i < r->n_tried; i++)
			if (r->tried[i].kind != MG_E_RATE_LIMITED)
				why.availability = NULL;
	}
	if (why.status == 503 || why.status == 529)
		why.availability = "temporarily_unavailable";
	relay_refuse(r, &why, r->last_kind == MG_E_TIMEOUT ? "timeout" : why.status == 400 || r->last_kind == MG_E_BAD_REQUEST ? "client_error" : "upstream_error");
}
