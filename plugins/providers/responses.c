/*
 * responses - OpenAI's Responses API as an upstream; Azure, xAI and others speak it, too.
 *
 *	POST /responses	{"model","instructions","input":[items],"store":false,"include":["reasoning.encrypted_content"]}
 *	200		{"id","status","output":[items],"usage"}, or events: response.created,
 *			response.output_item.added, .._text.delta, .._item.done, response.completed; error
 *	not 200		{"error":{"message","type","code"}}, of Azure's front {"statusCode","message"}
 *
 * Nothing is kept at the upstream: thoughts go out as reasoning with a summary and with what
 * is encrypted, and come back from reasoning_details.  Their index is their place among the
 * items, so that thoughts and calls take the same turns when they come back.  There is no stop,
 * seed, n, penalty or logit_bias: those are left out.  Quirks, of a model where it says so:
 *
 *	path, models_path	"/responses", "/models"; {model} in it is the model's name, {x} the row's option x
 *	auth		"bearer"; "none"; "sigv4"; "entra", with scope; or the header that takes the key bare
 *	format		of its thoughts in reasoning_details: "azure-openai-responses-v1" for a provider called
 *			azure and so on, else "openai-responses-v1"
 *	reasoning_out	"none": it does not think, and refuses to be asked
 *	efforts		words it takes for reasoning.effort; the nearest is sent
 *	summary		"auto"; "detailed"; "none": summaries are not asked for
 *	drop		members of the body that must not be sent
 *	set, stream_set	members to add where the client gave none; when streaming
 */
#include "responses_answer.h"

static int chat_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);
	const struct mg_str *body;
	size_t n;
	int rc;

	h->open(w, NULL, '{');
	h->put(w, "model", h->text(c, h->get(h->endpoint(c), "model")));
	rc = put_input(c, w);
	if (!rc)
		rc = put_tools(c, w);
	if (rc)
		return rc;
	put_choice(c, w);
	put_reasoning(c, w);
	put_text(c, w);
	put_include(c, w);
	put_others(c, w);
	h->close(w);
	body = h->pieces(w, &n);
	if (!body)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), mg_path(c, "path", MG_STR("/responses")), body, n };
	return mg_authorize(c, NULL);
}

static int models_request(struct mg_call *c, struct mg_http *out)
{
	*out = (struct mg_http){ .size = sizeof(*out), .method = MG_STR("GET"), .path = mg_path(c, "models_path", MG_STR("/models")) };
	return mg_authorize(c, NULL);
}

/* ---------------------------------------------------------------- errors */

/* Words of codes and types, and of messages; the telling ones first. */
static const struct { const char *word; enum mg_error kind; bool retryable; } told[] = {
	{ "context_length", MG_E_CONTEXT_LENGTH, true }, { "context window", MG_E_CONTEXT_LENGTH, true },
	{ "maximum context length", MG_E_CONTEXT_LENGTH, true }, { "insufficient_quota", MG_E_QUOTA, true },
	{ "content_filter", MG_E_MODERATION, false }, { "content_policy", MG_E_MODERATION, false },
	{ "bio_policy", MG_E_MODERATION, false }, { "cyber_policy", MG_E_MODERATION, false },
	{ "invalid_prompt", MG_E_MODERATION, false }, { "invalid_api_key", MG_E_AUTH, true },
	{ "ncorrect API key", MG_E_AUTH, true }, { "model_not_found", MG_E_NOT_FOUND, true },
	{ "DeploymentNotFound", MG_E_NOT_FOUND, true }, { "rate_limit", MG_E_RATE_LIMITED, true },
	{ "too_many_requests", MG_E_RATE_LIMITED, true }, { "overloaded", MG_E_OVERLOADED, true },
	{ "vector_store_timeout", MG_E_TIMEOUT, true }, { "data_residency", MG_E_NOT_FOUND, true },
	{ "server_error", MG_E_SERVER, true }, { "image", MG_E_BAD_REQUEST, false }, { "invalid_request", MG_E_BAD_REQUEST, false },
};
static const struct { int status; enum mg_error kind; bool retryable; } statuses[] = {
	{ 400, MG_E_BAD_REQUEST, false }, { 401, MG_E_AUTH, true }, { 402, MG_E_QUOTA, true }, { 403, MG_E_AUTH, true },
	{ 404, MG_E_NOT_FOUND, true }, { 408, MG_E_TIMEOUT, true }, { 409, MG_E_UPSTREAM, true }, { 413, MG_E_BAD_REQUEST, false },
	{ 422, MG_E_BAD_REQUEST, false }, { 424, MG_E_SERVER, true }, { 429, MG_E_RATE_LIMITED, true }, { 503, MG_E_OVERLOADED, true },
	{ 504, MG_E_TIMEOUT, true }, { 529, MG_E_OVERLOADED, true },
};

static bool says(struct mg_str s, const char *word)
{
	return s.at && memmem(s.at, s.len, word, strlen(word));
}

static void judge(struct mg_call *c, struct mg_view e, int status, struct mg_failure *out)
{
	const struct mg_host *h = c->host;
	struct mg_str type = h->text(c, h->get(e, "type"));

	out->message = h->text(c, h->kind(e) == MG_STRING ? e : h->get(e, "message"));
	out->code = h->text(c, h->get(e, "code"));
	if (!out->code.at && !mg_is(type, "error"))
		out->code = type;
	out->kind = status >= 500 ? MG_E_SERVER : MG_E_UPSTREAM;
	out->retryable = status >= 500 || status < 400;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status) {
			out->kind = statuses[i].kind;
			out->retryable = statuses[i].retryable;
		}
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		bool coarse = told[i].kind == MG_E_BAD_REQUEST || told[i].kind == MG_E_SERVER;

		if ((coarse && status >= 400) || (!says(out->code, told[i].word) && !says(type, told[i].word) &&
		    !(status >= 400 && status < 500 && says(out->message, told[i].word))))
			continue;
		out->kind = told[i].kind;
		out->retryable = told[i].retryable;
		break;
	}
	if (mg_is(h->answer(c, "x-should-retry"), "true"))
		out->retryable = true;
}

static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	struct mg_view e = c->host->get(body->json, "error");

	judge(c, c->host->kind(e) > MG_NULL ? e : body->json, c->host->status(c), out);
	return MG_OK;
}

static int failed(struct mg_call *c, struct mg_view e)
{
	struct mg_failure out = { .size = sizeof(out) };

	judge(c, e, 200, &out);
	if (!out.message.len)
		out.message = MG_STR("the upstream gave up on its answer");
	((struct answer *)c->state)->ended = true;
	return c->host->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &out));
}

/* ---------------------------------------------------------------- frames */

static int conclude(struct mg_call *c, struct mg_view r)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_str status = h->text(c, h->get(r, "status")), why = h->text(c, h->get(h->get(r, "incomplete_details"), "reason"));
	enum mg_finish finish = a->n_calls ? MG_TOOL_CALLS : MG_STOP;

	if (mg_is(status, "incomplete"))
		finish = mg_is(why, "content_filter") ? MG_CONTENT_FILTER : MG_LENGTH;
	a->ended = true;
	return h->emit(c, MG_EVENT(MG_EV_FINISH, .finish = finish, .name = why.len ? why : status));
}

/* The whole answer: alone, or behind its stream, where it brings what is still missing. */
static int whole(struct mg_call *c, struct mg_view r)
{
	const struct mg_host *h = c->host;
	const struct answer *a = c->state;
	struct mg_str status = h->text(c, h->get(r, "status"));
	uint64_t at = 0;
	int rc;

	if (h->kind(h->get(r, "error")) > MG_NULL || mg_is(status, "failed") || mg_is(status, "cancelled"))
		return failed(c, h->get(r, "error"));
	if ((h->kind(h->get(r, "output")) != MG_ARRAY && !a->n_items) || mg_is(status, "in_progress") || mg_is(status, "queued"))
		return h->fail(c, MG_EPROTO, "an answer without output[], or not finished");
	rc = start(c, r);
	for (struct mg_view v = h->at(h->get(r, "output"), 0); h->kind(v) && !rc; v = h->next(v))
		rc = item_done(c, at++, v);
	if (!rc)
		rc = calls_end(c);
	if (!rc)
		rc = usage(c, h->get(r, "usage"));
	return rc ? rc : conclude(c, r);
}

/* "response.output_text.delta" and the like; i is its item. */
static int growing(struct mg_call *c, struct mg_str type, struct item *i, struct mg_view j)
{
	const struct mg_host *h = c->host;
	struct mg_str delta = h->text(c, h->get(j, "delta"));
	uint64_t part = 0;
	int rc;

	h->count(h->get(j, "summary_index"), &part);
	if (mg_is(type, "output_text.delta")) {
		rc = say(c, i, MG_EV_TEXT, delta);
		return rc ? rc : logprobs(c, h->get(j, "logprobs"));
	}
	if (mg_is(type, "refusal.delta"))
		return say(c, i, MG_EV_REFUSAL, delta);
	if (mg_is(type, "output_text.annotation.added"))
		return annotation(c, i, h->get(j, "annotation"));
	if (mg_is(type, "reasoning_summary_text.delta"))
		return summary(c, i, part, delta);
	if (mg_is(type, "reasoning_text.delta"))
		return thought(c, i, "reasoning.text", delta, nothing);
	if (i->kind == I_CALL && mg_is(type, "function_call_arguments.delta"))
		return say(c, i, MG_EV_TOOL_ARGS, delta);
	if (i->kind == I_CALL && mg_is(type, "function_call_arguments.done"))
		return say_rest(c, i, MG_EV_TOOL_ARGS, h->text(c, h->get(j, "arguments")));
	return MG_OK;		/* progress of the service's own tools, ends of parts, what comes later */
}

static int item_event(struct mg_call *c, struct mg_str type, struct mg_view j)
{
	const struct mg_host *h = c->host;
	const struct answer *a = c->state;
	struct item *i = NULL;
	uint64_t at = 0;
	int rc;

	if (!h->count(h->get(j, "output_index"), &at))
		return MG_OK;
	if (mg_is(type, "output_item.done"))
		return item_done(c, at, h->get(j, "item"));
	if (mg_is(type, "output_item.added"))
		return item_of(c, at, h->get(j, "item"), &i);
	rc = item_of(c, at, h->get(j, "item"), &i);
	return rc || a->metering || i->over ? rc : growing(c, type, i, j);
}

static int chat_frame(struct mg_call *c, const struct mg_frame *f)
{
	static const char ours[] = "response.";
	const struct mg_host *h = c->host;
	const struct answer *a = c->state;
	struct mg_view r = h->get(f->json, "response");
	struct mg_str type = h->text(c, h->get(f->json, "type"));

	if (a->ended || mg_is(f->data, "[DONE]"))
		return MG_OK;
	if (f->framing == MG_JSON)
		return whole(c, f->json);
	if (!f->json.doc)
		return h->fail(c, MG_EPROTO, "a piece of the answer is not JSON");
	if (mg_is(type, "error") || (!type.at && h->kind(h->get(f->json, "error")) > MG_NULL))
		return failed(c, h->kind(h->get(f->json, "error")) > MG_NULL ? h->get(f->json, "error") : f->json);
	if (type.len < sizeof(ours) || memcmp(type.at, ours, sizeof(ours) - 1))
		return MG_OK;		/* keepalive */
	type = (struct mg_str){ type.at + sizeof(ours) - 1, type.len - sizeof(ours) + 1 };
	if (mg_is(type, "created") || mg_is(type, "in_progress") || mg_is(type, "queued"))
		return start(c, r);
	if (mg_is(type, "failed"))
		return failed(c, h->get(r, "error"));
	if (mg_is(type, "completed") || mg_is(type, "incomplete") || mg_is(type, "done"))
		return whole(c, r);
	return item_event(c, type, f->json);
}

static int chat_finish(struct mg_call *c)
{
	const struct answer *a = c->state;

	return a->ended ? MG_OK : c->host->fail(c, MG_EPROTO, "the answer ended without its last event");
}

static int chat_meter(struct mg_call *c, const struct mg_frame *f)
{
	((struct answer *)c->state)->metering = true;
	return chat_frame(c, f);
}

static int models_frame(struct mg_call *c, const struct mg_frame *f)
{
	return mg_models(c, c->host->get(f->json, "data"), "id", "data");
}

static const struct mg_operation chat = {
	.size = sizeof(chat), .state_size = sizeof(struct answer),
	.op = MG_CHAT, .plain = MG_JSON, .stream = MG_SSE,
	.request = chat_request, .frame = chat_frame, .finish = chat_finish,
	.surface = "responses", .meter = chat_meter,
};
static const struct mg_operation models = {
	.size = sizeof(models), .op = MG_MODELS, .plain = MG_JSON, .stream = MG_JSON,
	.request = models_request, .frame = models_frame,
};
static const struct mg_operation *const ops[] = { &chat, &models, NULL };
static const struct mg_provider responses = { .size = sizeof(responses), .ops = ops, .failure = failure };

MG_PLUGIN(.name = "responses", .version = "1.0.0", .about = "OpenAI's Responses API, and servers that speak alike", .provider = &responses)
