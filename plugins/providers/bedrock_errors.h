/*
 * bedrock_errors.h - AWS's exceptions, over HTTP and in an event stream, for
 * bedrock.c and for anthropic.c where it goes by way of InvokeModel.
 */
#ifndef BEDROCK_ERRORS_H
#define BEDROCK_ERRORS_H

#include <strings.h>

#include "moongate.h"

/* As exceptions in HTTP and, with a small first letter, in a stream. */
static const struct { const char *type; enum mg_error kind; bool retryable; } aws_types[] = {
	{ "ValidationException", MG_E_BAD_REQUEST, false }, { "AccessDeniedException", MG_E_AUTH, true },
	{ "UnrecognizedClientException", MG_E_AUTH, true }, { "InvalidSignatureException", MG_E_AUTH, true },
	{ "ExpiredTokenException", MG_E_AUTH, true }, { "MissingAuthenticationTokenException", MG_E_AUTH, true },
	{ "ResourceNotFoundException", MG_E_NOT_FOUND, true }, { "ModelTimeoutException", MG_E_TIMEOUT, true },
	{ "ConflictException", MG_E_UPSTREAM, false }, { "ServiceQuotaExceededException", MG_E_QUOTA, true },
	{ "ModelErrorException", MG_E_SERVER, true }, { "ModelStreamErrorException", MG_E_SERVER, true },
	{ "ThrottlingException", MG_E_RATE_LIMITED, true }, { "ModelNotReadyException", MG_E_OVERLOADED, true },
	{ "InternalServerException", MG_E_SERVER, true }, { "ServiceUnavailableException", MG_E_OVERLOADED, true },
};

static const struct { int status; enum mg_error kind; bool retryable; } aws_statuses[] = {
	{ 400, MG_E_BAD_REQUEST, false }, { 401, MG_E_AUTH, true }, { 403, MG_E_AUTH, true }, { 404, MG_E_NOT_FOUND, true },
	{ 408, MG_E_TIMEOUT, true }, { 413, MG_E_BAD_REQUEST, false }, { 424, MG_E_SERVER, true },
	{ 429, MG_E_RATE_LIMITED, true }, { 503, MG_E_OVERLOADED, true }, { 504, MG_E_TIMEOUT, true },
};

/* A refusal that is about this endpoint, not about the request: others may take it. */
static const struct { const char *words; enum mg_error kind; } aws_told[] = {
	{ "nput is too long", MG_E_CONTEXT_LENGTH }, { "too many input tokens", MG_E_CONTEXT_LENGTH },
	{ "prompt is too long", MG_E_CONTEXT_LENGTH }, { "context window", MG_E_CONTEXT_LENGTH },
	{ "maximum tokens you requested exceeds", MG_E_CONTEXT_LENGTH },
	{ "model identifier is invalid", MG_E_NOT_FOUND }, { "on-demand throughput isn", MG_E_NOT_FOUND },
	{ "security token", MG_E_AUTH },
};

/* "ValidationException:http://internal..", "com.amazon#ValidationException" */
static struct mg_str aws_type(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_str s = h->status(c) >= 400 ? h->answer(c, "x-amzn-errortype") : f->event;
	const char *mark;

	if (!s.len)
		s = h->text(c, h->get(f->json, "__type"));
	mark = s.len ? memchr(s.at, '#', s.len) : NULL;
	if (mark)
		s = (struct mg_str){ mark + 1, s.len - (size_t)(mark + 1 - s.at) };
	mark = s.len ? memchr(s.at, ':', s.len) : NULL;
	return mark ? (struct mg_str){ s.at, (size_t)(mark - s.at) } : s;
}

static int aws_failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	const struct mg_host *h = c->host;
	int status = h->status(c);
	const char *mark;

	out->code = aws_type(c, body);
	out->message = h->text(c, h->get(body->json, "message"));
	if (!out->message.at)
		out->message = h->text(c, h->get(body->json, "Message"));
	mark = out->message.len ? memchr(out->message.at, '\n', out->message.len) : NULL;
	if (mark)		/* behind it a wrong signature's request is repeated, session token and all */
		out->message.len = (size_t)(mark - out->message.at);
	out->kind = status >= 500 ? MG_E_SERVER : MG_E_UPSTREAM;
	out->retryable = status >= 500 || status < 400;
	for (size_t i = 0; i < sizeof(aws_statuses) / sizeof(aws_statuses[0]); i++)
		if (aws_statuses[i].status == status) {
			out->kind = aws_statuses[i].kind;
			out->retryable = aws_statuses[i].retryable;
		}
	for (size_t i = 0; i < sizeof(aws_types) / sizeof(aws_types[0]); i++)
		if (out->code.len == strlen(aws_types[i].type) && !strncasecmp(out->code.at, aws_types[i].type, out->code.len)) {
			out->kind = aws_types[i].kind;
			out->retryable = aws_types[i].retryable;
		}
	for (size_t i = 0; out->kind == MG_E_BAD_REQUEST && i < sizeof(aws_told) / sizeof(aws_told[0]); i++)
		if (out->message.at && memmem(out->message.at, out->message.len, aws_told[i].words, strlen(aws_told[i].words))) {
			out->kind = aws_told[i].kind;
			out->retryable = true;
		}
	return MG_OK;
}

/* A frame with words that is no event of an answer. */
static bool aws_is_exception(struct mg_call *c, const struct mg_frame *f)
{
	return c->host->get(f->json, "message").doc || (f->event.len > 9 && !memcmp(f->event.at + f->event.len - 9, "Exception", 9));
}

#endif
