/*
 * gemini - Google's generateContent, at AI Studio and at Vertex.
 *
 *	POST /models/M:generateContent	:streamGenerateContent?alt=sse; x-goog-api-key, or a token of a service account
 *	200		{"candidates":[{"content":{"parts"},"finishReason"}],"usageMetadata"}; a stream's events are the same
 *	not 200		{"error":{"code","message","status","details"}}, or that in an array
 *
 * The prompt's count has the cached tokens in it, the candidates' leaves the thoughts out.  Thoughts go
 * out as reasoning "google-gemini-v1"; a signature is an item reasoning.encrypted of its own, whose id
 * says to which part it belongs: the call's id, "text:FROM:TO" in bytes of the text, none for all the
 * text so far, "image:N", "thought".  It goes back on the same part.  Of what the service searched or
 * fetched itself the sources are told; its own calls are not.  Quirks of a model:
 *
 *	path, stream_path	"/models/{model}:generateContent", "/models/{model}:streamGenerateContent?alt=sse"
 *	auth		"x-goog-api-key"; "bearer"; "google": a token of a service account
 *	thinking	"budget": thinkingBudget; "level": thinkingLevel, from 3 on; "none"; where not said, the name tells
 *	efforts		words of thinkingLevel
 *	budget_min, budget_max	of thinkingBudget; a least one above 0 cannot be off
 *	schema		"openapi": parameters and responseSchema in the subset of older models
 *	call_ids	"drop": functionCall.id is not known there
 *	urls		how those addresses begin that it takes: ["https://youtu.be/"]; false: none.  Of the others the
 *			gateway fetches the bytes
 *	tier		"header": the service tier goes into Vertex's header
 *	user_label	name of the label that takes the client's user
 *	embeddings_path	as embeddings says
 *	embeddings	"batch"; "predict" (Vertex); "single": embedContent
 *	embeddings_batch	inputs of one exchange, 100
 *	images		"predict": Imagen, which its name tells, too; images_path "/models/{model}:predict"
 *	models_path	"/models?pageSize=1000"
 *
 * Options of a row go along as they are: safetySettings, cachedContent, labels; Imagen's parameters.
 */
#include "gemini_request.h"
#include "gemini_answer.h"
#include "gemini_embed.h"
#include "gemini_media.h"

static int chat_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);
	const struct mg_str *body;
	size_t n;
	bool stream = h->kind(mg_asked(c, "stream")) == MG_TRUE;
	int rc;

	h->open(w, NULL, '{');
	rc = put_contents(c, w);
	if (!rc)
		rc = put_tools(c, w);
	if (!rc)
		rc = put_generation(c, w);
	if (!rc)
		rc = put_others(c, w);
	if (rc)
		return rc;
	h->close(w);
	body = h->pieces(w, &n);
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), stream ?
		mg_path(c, "stream_path", MG_STR("/models/{model}:streamGenerateContent?alt=sse")) : mg_path(c, "path", MG_STR("/models/{model}:generateContent")), body, n };
	if (!body || !out->path.at)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	return mg_authorize(c, "x-goog-api-key");
}

/* ---------------------------------------------------------------- errors */

static const struct { const char *status; int code; enum mg_error kind; bool retryable; } kinds[] = {
	{ "INVALID_ARGUMENT", 400, MG_E_BAD_REQUEST, false }, { "OUT_OF_RANGE", 400, MG_E_BAD_REQUEST, false },
	{ "FAILED_PRECONDITION", 400, MG_E_AUTH, true },	/* billing, region: the account's, not the request's */
	{ "UNAUTHENTICATED", 401, MG_E_AUTH, true }, { "PERMISSION_DENIED", 403, MG_E_AUTH, true },
	{ "NOT_FOUND", 404, MG_E_NOT_FOUND, true }, { "", 408, MG_E_TIMEOUT, true }, { "", 413, MG_E_BAD_REQUEST, false },
	{ "RESOURCE_EXHAUSTED", 429, MG_E_RATE_LIMITED, true }, { "CANCELLED", 499, MG_E_CANCELLED, false },
	{ "INTERNAL", 500, MG_E_SERVER, true }, { "UNKNOWN", 500, MG_E_SERVER, true }, { "", 502, MG_E_SERVER, true },
	{ "UNAVAILABLE", 503, MG_E_OVERLOADED, true }, { "DEADLINE_EXCEEDED", 504, MG_E_TIMEOUT, true },
};

/* "37s", "0.5s" */
static uint32_t milliseconds(struct mg_str s)
{
	uint64_t n = 0, unit = 1000;
	bool point = false;

	for (size_t i = 0; i < s.len && n < 86400000; i++) {
		if (s.at[i] == '.' && !point) {
			point = true;
		} else if (s.at[i] < '0' || s.at[i] > '9') {
			break;
		} else if (point) {
			unit /= 10;
			n += (uint64_t)(s.at[i] - '0') * unit;
		} else {
			n = n * 10 + (uint64_t)(s.at[i] - '0') * 1000;
		}
	}
	return n < 86400000 ? (uint32_t)n : 86400000;
}

/* What details[] add: a bad key with status 400, how long to wait, a day's quota that is used up. */
static void judge_details(struct mg_call *c, struct mg_view details, struct mg_failure *out)
{
	const struct mg_host *h = c->host;

	for (struct mg_view d = h->at(details, 0); h->kind(details) == MG_ARRAY && h->kind(d); d = h->next(d)) {
		if (mg_is(h->text(c, h->get(d, "reason")), "API_KEY_INVALID")) {
			out->kind = MG_E_AUTH;
			out->retryable = true;
		}
		if (h->get(d, "retryDelay").doc)
			out->retry_after_ms = milliseconds(h->text(c, h->get(d, "retryDelay")));
		for (struct mg_view v = h->at(h->get(d, "violations"), 0); h->kind(v); v = h->next(v))
			if (has(h->text(c, h->get(v, "quotaId")), "PerDay"))
				out->kind = MG_E_QUOTA;
	}
	if (out->kind == MG_E_QUOTA)
		out->retry_after_ms = 0;
}

static void judge(struct mg_call *c, struct mg_view j, int status, struct mg_failure *out)
{
	const struct mg_host *h = c->host;
	struct mg_view e = h->get(h->kind(j) == MG_ARRAY ? h->at(j, 0) : j, "error");
	uint64_t code = 0;
	bool known = false;

	out->code = h->text(c, h->get(e, "status"));
	out->message = h->text(c, h->get(e, "message"));
	if (status < 400 && h->count(h->get(e, "code"), &code) && code >= 400 && code < 600)
		status = (int)code;
	out->kind = status >= 500 ? MG_E_SERVER : MG_E_UPSTREAM;
	out->retryable = status >= 500 || status < 400;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !known; i++) {
		known = out->code.len && mg_is(out->code, kinds[i].status);
		if (known || status == kinds[i].code) {
			out->kind = kinds[i].kind;
			out->retryable = kinds[i].retryable;
			if (!known && status == 400)
				break;
		}
	}
	if (out->kind == MG_E_BAD_REQUEST && (has(out->message, "exceeds the maximum number of tokens") || has(out->message, "input token count"))) {
		out->kind = MG_E_CONTEXT_LENGTH;
		out->retryable = true;		/* a larger model takes it */
	}
	if (out->kind == MG_E_BAD_REQUEST && has(out->message, "API key not valid")) {
		out->kind = MG_E_AUTH;
		out->retryable = true;
	}
	judge_details(c, h->get(e, "details"), out);
}

static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	judge(c, body->json, c->host->status(c), out);
	return MG_OK;
}

/* ---------------------------------------------------------------- frames */

static int start(struct mg_call *c, struct mg_view j)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;

	if (a->started)
		return MG_OK;
	a->started = true;
	keep(a->id, sizeof(a->id), h->text(c, h->get(j, "responseId")));
	return h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(j, "responseId")), .name = h->text(c, h->get(j, "modelVersion"))));
}

static int chunk(struct mg_call *c, struct mg_view j)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_view first = h->at(h->get(j, "candidates"), 0), block = h->get(h->get(j, "promptFeedback"), "blockReason");
	struct mg_failure out = { .size = sizeof(out) };
	int rc;

	if (h->kind(h->get(j, "error")) > MG_NULL) {
		judge(c, j, 200, &out);
		a->ended = true;
		return h->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &out));
	}
	if (h->kind(j) != MG_OBJECT)
		return h->fail(c, MG_EPROTO, "a piece of the answer that is no object");
	rc = start(c, j);
	if (!rc)
		rc = candidate(c, first);
	if (!rc)
		rc = usage(c, h->get(j, "usageMetadata"));
	if (block.doc && !h->kind(first)) {
		a->blocked = true;
		keep(a->word, sizeof(a->word), h->text(c, block));
	}
	return rc;
}

/* Without alt=sse a stream is one array. */
static int frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view v = h->at(f->json, 0);
	int rc = MG_OK;

	if (h->kind(f->json) != MG_ARRAY)
		return chunk(c, f->json);
	for (; h->kind(v) && !rc && !((struct answer *)c->state)->ended; v = h->next(v))
		rc = chunk(c, v);
	return rc;
}

static const struct mg_operation chat = {
	.size = sizeof(chat), .state_size = sizeof(struct answer),
	.op = MG_CHAT, .plain = MG_JSON, .stream = MG_SSE,
	.request = chat_request, .frame = frame, .finish = conclude,
};
static const struct mg_operation embeddings = {
	.size = sizeof(embeddings), .state_size = sizeof(struct vectors),
	.op = MG_EMBEDDINGS, .plain = MG_JSON, .stream = MG_JSON,
	.request = embed_request, .frame = embed_frame,
};
static const struct mg_operation models = {
	.size = sizeof(models), .op = MG_MODELS, .plain = MG_JSON, .stream = MG_JSON,
	.request = models_request, .frame = models_frame,
};
static const struct mg_operation image = {
	.size = sizeof(image), .state_size = sizeof(struct media), .flags = MG_OP_INLINE,
	.op = MG_IMAGE, .plain = MG_JSON, .stream = MG_JSON,
	.request = image_request, .frame = image_frame,
};
static const struct mg_operation speech = {
	.size = sizeof(speech), .state_size = sizeof(struct media),
	.op = MG_SPEECH, .plain = MG_JSON, .stream = MG_JSON,
	.request = speech_request, .frame = speech_frame,
};
static const struct mg_operation *const ops[] = { &chat, &embeddings, &image, &speech, &models, NULL };
static const struct mg_provider gemini = { .size = sizeof(gemini), .ops = ops, .failure = failure };

MG_PLUGIN(.name = "gemini", .version = "1.0.0", .about = "Google's Gemini API, at AI Studio and Vertex", .provider = &gemini)
