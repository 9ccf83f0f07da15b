/*
 * bedrock - AWS Bedrock: Converse and ConverseStream, and InvokeModel for vectors.
 *
 *	POST /model/{id}/converse		200: {"output":{"message":{"content":[blocks]}},"stopReason","usage"}
 *	POST /model/{id}/converse-stream	200: event stream: messageStart, contentBlockStart, -Delta, -Stop,
 *						messageStop, metadata; an exception instead of any of them
 *	POST /model/{id}/invoke			Titan's and Cohere's vectors
 *	not 200					{"message"}, its type in x-amzn-errortype or "__type"
 *
 * A request is signed (SigV4) or carries an API key, as the credential is.  inputTokens leaves
 * out what the cache gave and took, unless totalTokens says otherwise.  Thoughts of Claude go out
 * as "anthropic-claude-v1" with signatures, and come back from reasoning_details, first in their
 * message.  Claude's own API by way of InvokeModel is the anthropic dialect with quirks.
 *
 * Quirks of a model:
 *
 *	family		"anthropic", "nova", "openai", "mistral"; else its id tells
 *	thinking	Claude: "budget"; "adaptive"; "none".  Nova 2: "nova"
 *	thinking_default	true: thinks unless told not to
 *	efforts		words of the effort that it takes
 *	sampling	"any"; "one": temperature or top_p, not both; "none"
 *	structured	"native": outputConfig; "tool": a forced tool gives the JSON
 *	forces_tools	true: takes toolChoice any and tool; Claude, Nova and Mistral do
 *	cache		false: takes no cachePoint
 *	beta		list for anthropic_beta
 *	invoke		"nova": InvokeModel with Nova's body instead of Converse
 *
 * Options, as the service calls them: guardrailConfig, performanceConfig, promptVariables,
 * additionalModelRequestFields, additionalModelResponseFieldPaths.
 */
#include "bedrock_request.h"
#include "bedrock_answer.h"
#include "bedrock_embed.h"

/* "/model/" id suffix: what is not unreserved in the id is escaped, also the slashes of an ARN. */
static struct mg_str path_of(struct mg_call *c, const char *suffix)
{
	const struct mg_host *h = c->host;
	struct mg_str id = h->text(c, h->get(h->endpoint(c), "model"));
	char *out = h->alloc(c, 3 * id.len + strlen(suffix) + 16);
	size_t n = 7;

	if (!out)
		return (struct mg_str){ NULL, 0 };
	memcpy(out, "/model/", 7);
	for (size_t i = 0; i < id.len; i++) {
		char ch = id.at[i];

		if ((ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') || (ch && strchr("-._~", ch)))
			out[n++] = ch;
		else
			n += (size_t)snprintf(out + n, 4, "%%%02X", (unsigned char)ch);
	}
	memcpy(out + n, suffix, strlen(suffix));
	return (struct mg_str){ out, n + strlen(suffix) };
}

static int chat_body(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct plan p = { .documents = 0 };
	int rc;

	plan_request(c, &p);
	((struct answer *)c->state)->json_tool = p.json_tool;
	((struct answer *)c->state)->family = p.family;
	h->open(w, NULL, '{');
	if (mg_quirk_is(c, "invoke", "nova"))
		h->put(w, "schemaVersion", MG_STR("messages-v1"));
	rc = put_system(c, w, &p);
	if (!rc)
		rc = put_messages(c, w, &p);
	if (!rc)
		rc = put_tools(c, w, &p);
	if (rc)
		return rc;
	put_inference(c, w, &p);
	put_additional(c, w, &p);
	put_output(c, w, &p);
	put_others(c, w);
	h->close(w);
	return MG_OK;
}

static int chat_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	bool streamed = h->kind(mg_asked(c, "stream")) == MG_TRUE, invoke = mg_quirk_is(c, "invoke", "nova");
	struct mg_str *body = h->alloc(c, sizeof(*body)), path = path_of(c, invoke ?
		streamed ? "/invoke-with-response-stream" : "/invoke" : streamed ? "/converse-stream" : "/converse");
	struct mg_writer *w = h->writer(c);
	int rc = chat_body(c, w);

	if (!rc && streamed)
		rc = h->header(c, "Accept", MG_STR("application/vnd.amazon.eventstream"));
	if (rc)
		return rc;
	if (!body || !path.at || !(*body = h->written(w)).at)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), path, body, 1 };
	return h->auth(c, MG_SIGV4, "bedrock");
}

static int embed_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	int rc = embed_body(c, path_of(c, "/invoke"), out);

	return rc ? rc : h->auth(c, MG_SIGV4, "bedrock");
}

/* ---------------------------------------------------------------- errors */

/* As exceptions in HTTP and, with a small first letter, in a stream. */
static const struct { const char *type; enum mg_error kind; bool retryable; } types[] = {
	{ "ValidationException", MG_E_BAD_REQUEST, false }, { "AccessDeniedException", MG_E_AUTH, true },
	{ "UnrecognizedClientException", MG_E_AUTH, true }, { "InvalidSignatureException", MG_E_AUTH, true },
	{ "ExpiredTokenException", MG_E_AUTH, true }, { "MissingAuthenticationTokenException", MG_E_AUTH, true },
	{ "ResourceNotFoundException", MG_E_NOT_FOUND, true }, { "ModelTimeoutException", MG_E_TIMEOUT, true },
	{ "ConflictException", MG_E_UPSTREAM, false }, { "ServiceQuotaExceededException", MG_E_QUOTA, true },
	{ "ModelErrorException", MG_E_SERVER, true }, { "ModelStreamErrorException", MG_E_SERVER, true },
	{ "ThrottlingException", MG_E_RATE_LIMITED, true }, { "ModelNotReadyException", MG_E_OVERLOADED, true },
	{ "InternalServerException", MG_E_SERVER, true }, { "ServiceUnavailableException", MG_E_OVERLOADED, true },
};

static const struct { int status; enum mg_error kind; bool retryable; } statuses[] = {
	{ 400, MG_E_BAD_REQUEST, false }, { 401, MG_E_AUTH, true }, { 403, MG_E_AUTH, true }, { 404, MG_E_NOT_FOUND, true },
	{ 408, MG_E_TIMEOUT, true }, { 413, MG_E_BAD_REQUEST, false }, { 424, MG_E_SERVER, true },
	{ 429, MG_E_RATE_LIMITED, true }, { 503, MG_E_OVERLOADED, true }, { 504, MG_E_TIMEOUT, true },
};

/* A refusal that is about this endpoint, not about the request: others may take it. */
static const struct { const char *words; enum mg_error kind; } told[] = {
	{ "nput is too long", MG_E_CONTEXT_LENGTH }, { "too many input tokens", MG_E_CONTEXT_LENGTH },
	{ "prompt is too long", MG_E_CONTEXT_LENGTH }, { "context window", MG_E_CONTEXT_LENGTH },
	{ "maximum tokens you requested exceeds", MG_E_CONTEXT_LENGTH },
	{ "model identifier is invalid", MG_E_NOT_FOUND }, { "on-demand throughput isn", MG_E_NOT_FOUND },
	{ "security token", MG_E_AUTH },
};

/* "ValidationException:http://internal..", "com.amazon#ValidationException" */
static struct mg_str type_of(struct mg_call *c, const struct mg_frame *f)
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

static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	const struct mg_host *h = c->host;
	int status = h->status(c);

	out->code = type_of(c, body);
	out->message = h->text(c, h->get(body->json, "message"));
	if (!out->message.at)
		out->message = h->text(c, h->get(body->json, "Message"));
	out->kind = status >= 500 ? MG_E_SERVER : MG_E_UPSTREAM;
	out->retryable = status >= 500 || status < 400;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status) {
			out->kind = statuses[i].kind;
			out->retryable = statuses[i].retryable;
		}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (out->code.len == strlen(types[i].type) && !strncasecmp(out->code.at, types[i].type, out->code.len)) {
			out->kind = types[i].kind;
			out->retryable = types[i].retryable;
		}
	for (size_t i = 0; out->kind == MG_E_BAD_REQUEST && i < sizeof(told) / sizeof(told[0]); i++)
		if (out->message.at && memmem(out->message.at, out->message.len, told[i].words, strlen(told[i].words))) {
			out->kind = told[i].kind;
			out->retryable = true;
		}
	return MG_OK;
}

/* Whatever is no event of an answer, and has words, is why there is none. */
static int exception(struct mg_call *c, const struct mg_frame *f)
{
	struct mg_failure out = { .size = sizeof(out) };

	if (!c->host->get(f->json, "message").doc && !(f->event.len > 9 && !memcmp(f->event.at + f->event.len - 9, "Exception", 9)))
		return MG_OK;		/* what comes later */
	failure(c, f, &out);
	((struct answer *)c->state)->ended = true;
	return c->host->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &out));
}

/* ---------------------------------------------------------------- frames */

static int chat_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view inner = f->json;
	struct mg_str event = f->event;
	int rc;

	if (f->framing == MG_JSON)
		return whole(c, f->json);
	if (mg_is(event, "chunk")) {		/* InvokeModel's: {"bytes":"base64 of {\"messageStart\":{..}}"} */
		inner = h->at(h->parse(c, h->blob(c, h->get(f->json, "bytes"))), 0);
		event = h->name(inner);
	}
	if (!inner.doc)
		return h->fail(c, MG_EPROTO, "a piece of the answer is not JSON");
	rc = event_of(c, event, inner);
	return rc == UNKNOWN ? exception(c, f) : rc;
}

static const struct mg_operation chat = {
	.size = sizeof(chat), .state_size = sizeof(struct answer), .flags = MG_OP_INLINE,
	.op = MG_CHAT, .plain = MG_JSON, .stream = MG_EVENTSTREAM,
	.request = chat_request, .frame = chat_frame, .finish = conclude,
};
static const struct mg_operation embeddings = {
	.size = sizeof(embeddings), .state_size = sizeof(struct embed),
	.op = MG_EMBEDDINGS, .plain = MG_JSON, .stream = MG_JSON,
	.request = embed_request, .frame = embed_frame,
};
static const struct mg_operation *const ops[] = { &chat, &embeddings, NULL };
static const struct mg_provider bedrock = { .size = sizeof(bedrock), .ops = ops, .failure = failure };

MG_PLUGIN(.name = "bedrock", .version = "1.0.0", .about = "AWS Bedrock: Converse, and vectors by InvokeModel", .provider = &bedrock)
