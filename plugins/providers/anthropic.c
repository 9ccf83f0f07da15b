/*
 * anthropic - the Messages API, version 2023-06-01.
 *
 *	POST /v1/messages	x-api-key; system apart, turns that alternate, max_tokens required
 *	200		{"content":[blocks],"stop_reason","usage"}, or events: message_start,
 *			content_block_start, _delta, _stop, message_delta, message_stop; ping; error
 *	not 200		{"type":"error","error":{"type","message"}}
 *
 * input_tokens leaves out what the cache gave and took, output_tokens has the thinking in it.
 * Thinking goes out as reasoning "anthropic-claude-v1" with signatures, and comes back
 * from reasoning_details unchanged and first in its message.  Quirks of a model:
 *
 *	path, stream_path	"/v1/messages"; {model} in it is the model's name, {x} the row's option x
 *	models_path	"/v1/models?limit=1000"
 *	auth		"x-api-key"; "bearer"; "sigv4"; "entra" or "google", with scope
 *	beta		value of anthropic-beta; a list goes into the body as anthropic_beta
 *	version_in_body	"bedrock-2023-05-31", "vertex-2023-10-16": said there and not in a header; the model is in the path
 *	stream_in_body	false: a stream is asked for by its path alone, and comes as AWS's event stream
 *	urls		false: takes no address of an image or document, only its bytes, which the gateway fetches
 *	thinking	"budget": enabled with budget_tokens; "adaptive"; "none"
 *	thinking_default	true: thinks unless told not to
 *	efforts		words of output_config.effort; absent: it has none
 *	sampling	"any"; "one": temperature or top_p, not both; "none"
 *	structured	"native": output_config.format; "tool": a forced tool gives the JSON
 *
 * The row's max_output is max_tokens where the client gave none.  Its first message must be
 * the user's: where it is not, a user message "." is put before it.
 */
#include "anthropic_limits.h"
#include "anthropic_request.h"
#include "bedrock_errors.h"

struct answer {			/* the state of one answer */
	struct mg_usage usage;
	enum { B_OTHER, B_TEXT, B_THINKING, B_TOOL, B_JSON } block;
	uint32_t tools, thoughts;	/* blocks of each kind so far */
	bool args, json_tool, json_used, ended, metering;
	char word[48];			/* stop_reason */
	size_t word_len;
};

static int chat_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);
	const struct mg_str *body;
	struct mg_str version = h->text(c, mg_quirk(c, "version_in_body"));
	bool streamed = h->kind(mg_asked(c, "stream")) == MG_TRUE && mg_quirk(c, "stream_path").doc;
	struct plan p = { 0 };
	size_t n;
	int rc;

	plan_request(c, &p);
	((struct answer *)c->state)->json_tool = p.json_tool;
	h->open(w, NULL, '{');
	h->put(w, "anthropic_version", version);
	if (!version.at)
		h->put(w, "model", h->text(c, h->get(h->endpoint(c), "model")));
	h->put_int(w, "max_tokens", (int64_t)p.max_tokens);
	rc = put_tools(c, w, &p);
	if (!rc)
		rc = put_system(c, w);
	if (!rc)
		rc = put_messages(c, w);
	if (rc)
		return rc;
	put_thinking(c, w, &p);
	put_output(c, w, &p);
	put_sampling(c, w, &p);
	put_stop(c, w);
	put_others(c, w);
	h->close(w);
	body = h->pieces(w, &n);
	if (!body)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), mg_path(c, streamed ? "stream_path" : "path", MG_STR("/v1/messages")), body, n };
	return MG_OK;
}

static int authorize(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	int rc = mg_quirk(c, "version_in_body").doc ? MG_OK : h->header(c, "anthropic-version", MG_STR("2023-06-01"));

	if (!rc)
		rc = h->header(c, "anthropic-beta", h->text(c, mg_quirk(c, "beta")));
	if (!rc && h->kind(mg_quirk(c, "stream_in_body")) == MG_FALSE && h->kind(mg_asked(c, "stream")) == MG_TRUE)
		rc = h->header(c, "Accept", MG_STR("application/vnd.amazon.eventstream"));
	return rc ? rc : mg_authorize(c, "x-api-key");
}

static int request(struct mg_call *c, struct mg_http *out)
{
	int rc = chat_request(c, out);

	return rc ? rc : authorize(c);
}

static struct mg_str models_path(struct mg_call *c)
{
	return mg_path(c, "models_path", MG_STR("/v1/models?limit=1000"));
}

static int models_request(struct mg_call *c, struct mg_http *out)
{
	*out = (struct mg_http){ .size = sizeof(*out), .method = MG_STR("GET"), .path = models_path(c) };
	return authorize(c);
}

/* ---------------------------------------------------------------- errors */

static const struct { const char *type; enum mg_error kind; bool retryable; } types[] = {
	{ "invalid_request_error", MG_E_BAD_REQUEST, false }, { "request_too_large", MG_E_BAD_REQUEST, false },
	{ "authentication_error", MG_E_AUTH, true }, { "permission_error", MG_E_AUTH, true },
	{ "billing_error", MG_E_QUOTA, true }, { "not_found_error", MG_E_NOT_FOUND, true },
	{ "conflict_error", MG_E_UPSTREAM, true }, { "rate_limit_error", MG_E_RATE_LIMITED, true },
	{ "api_error", MG_E_SERVER, true }, { "timeout_error", MG_E_TIMEOUT, true },
	{ "overloaded_error", MG_E_OVERLOADED, true },
};

/* For answers that are not the service's own: a proxy's, a CDN's. */
static const struct { int status; enum mg_error kind; bool retryable; } statuses[] = {
	{ 400, MG_E_BAD_REQUEST, false }, { 401, MG_E_AUTH, true }, { 402, MG_E_QUOTA, true }, { 403, MG_E_AUTH, true },
	{ 404, MG_E_NOT_FOUND, true }, { 408, MG_E_TIMEOUT, true }, { 409, MG_E_UPSTREAM, true },
	{ 413, MG_E_BAD_REQUEST, false }, { 422, MG_E_BAD_REQUEST, false }, { 429, MG_E_RATE_LIMITED, true },
	{ 503, MG_E_OVERLOADED, true }, { 504, MG_E_TIMEOUT, true }, { 524, MG_E_TIMEOUT, true }, { 529, MG_E_OVERLOADED, true },
};

static bool says(struct mg_str s, const char *word)
{
	return s.at && memmem(s.at, s.len, word, strlen(word));
}

static void judge(struct mg_call *c, struct mg_view j, int status, struct mg_failure *out)
{
	const struct mg_host *h = c->host;
	struct mg_view e = h->get(j, "error");
	struct mg_str detail = h->text(c, h->get(h->get(e, "details"), "error_code"));

	out->kind = status >= 500 ? MG_E_SERVER : MG_E_UPSTREAM;
	out->retryable = status >= 500 || status < 400;
	out->code = h->text(c, h->get(e, h->get(e, "type").doc ? "type" : "status"));	/* status: of Google's front end */
	out->message = h->text(c, h->get(e, "message"));
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status) {
			out->kind = statuses[i].kind;
			out->retryable = statuses[i].retryable;
		}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (mg_is(out->code, types[i].type)) {
			out->kind = types[i].kind;
			out->retryable = types[i].retryable;
		}
	if (out->kind == MG_E_BAD_REQUEST && (says(out->message, "prompt is too long") || says(out->message, "context window"))) {
		out->kind = MG_E_CONTEXT_LENGTH;
		out->retryable = true;		/* a larger model takes it */
	}
	if (says(out->message, "credit balance") || says(detail, "spend_limit_reached")) {
		out->kind = MG_E_QUOTA;		/* the money is gone: no waiting helps, another key does */
		out->retryable = true;
	}
	if (mg_is(h->answer(c, "x-should-retry"), "true"))
		out->retryable = true;
}

static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	if (!c->host->get(body->json, "error").doc && aws_is_exception(c, body))
		return aws_failure(c, body, out);
	judge(c, body->json, c->host->status(c), out);
	return MG_OK;
}

/* ----------------------------------------------------------------- usage */

/* Members that are there overwrite: message_delta brings totals, and not all of them. */
static int usage(struct mg_call *c, struct mg_view u)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_usage *m = &a->usage;
	uint64_t output = m->output + m->reasoning, written = m->cache_write + m->cache_write_1h;

	if (h->kind(u) != MG_OBJECT)
		return MG_OK;
	m->size = sizeof(*m);
	m->requests = 1;
	m->cost_nusd = -1;
	h->count(h->get(u, "input_tokens"), &m->input);
	h->count(h->get(u, "cache_read_input_tokens"), &m->cached);
	h->count(h->get(u, "cache_creation_input_tokens"), &written);
	h->count(h->get(h->get(u, "cache_creation"), "ephemeral_1h_input_tokens"), &m->cache_write_1h);
	m->cache_write_1h = m->cache_write_1h < written ? m->cache_write_1h : written;
	m->cache_write = written - m->cache_write_1h;
	h->count(h->get(u, "output_tokens"), &output);
	h->count(h->get(h->get(u, "output_tokens_details"), "thinking_tokens"), &m->reasoning);
	m->reasoning = m->reasoning < output ? m->reasoning : output;
	m->output = output - m->reasoning;
	h->count(h->get(h->get(u, "server_tool_use"), "web_search_requests"), &m->searches);
	return h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = m));
}

/* ---------------------------------------------------------------- blocks */

static const struct mg_str claude = { "anthropic-claude-v1", 19 };

static int text(struct mg_call *c, struct mg_str data)
{
	return data.len ? c->host->emit(c, MG_EVENT(MG_EV_TEXT, .data = data)) : MG_OK;
}

static int thought(struct mg_call *c, struct mg_str data, const char *type, const char *member, struct mg_view v)
{
	const struct mg_host *h = c->host;
	const struct answer *a = c->state;
	struct mg_writer *w = h->writer(c);
	struct mg_str extra = { NULL, 0 };

	if (member && mg_no_text(c, v))
		return MG_OK;
	if (!member && !data.len)
		return MG_OK;
	if (member) {
		h->open(w, NULL, '{');
		h->put(w, "type", (struct mg_str){ type, strlen(type) });
		h->put_raw(w, member, h->raw(v));
		h->close(w);
		extra = h->written(w);
	}
	return h->emit(c, MG_EVENT(MG_EV_REASONING, .index = a->thoughts - 1, .data = data, .name = claude, .extra = extra));
}

static int arguments(struct mg_call *c, struct mg_str data)
{
	struct answer *a = c->state;

	if (!data.len)
		return MG_OK;
	a->args = true;
	if (a->block == B_JSON)
		return text(c, data);
	return c->host->emit(c, MG_EVENT(MG_EV_TOOL_ARGS, .index = a->tools - 1, .data = data));
}

/* A source on the web as the client knows it; others have no canonical shape. */
static int citation(struct mg_call *c, struct mg_view v)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);

	if (!mg_is(h->text(c, h->get(v, "type")), "web_search_result_location"))
		return MG_OK;
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("url_citation"));
	h->open(w, "url_citation", '{');
	h->put_raw(w, "url", h->raw(h->get(v, "url")));
	h->put_raw(w, "title", h->raw(h->get(v, "title")));
	h->put_raw(w, "content", h->raw(h->get(v, "cited_text")));
	h->close(w);
	h->close(w);
	return h->emit(c, MG_EVENT(MG_EV_ANNOTATION, .extra = h->written(w)));
}

static int begin_tool(struct mg_call *c, struct mg_view b)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_str name = h->text(c, h->get(b, "name"));

	a->args = false;
	if (a->json_tool && mg_is(name, "json")) {
		a->block = B_JSON;
		a->json_used = true;
		return MG_OK;
	}
	a->block = B_TOOL;
	return h->emit(c, MG_EVENT(MG_EV_TOOL_BEGIN, .index = a->tools++, .id = h->text(c, h->get(b, "id")), .name = name));
}

/* A block begins, with what it has already: all of it in a whole answer. */
static int begin(struct mg_call *c, struct mg_view b, bool whole)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_str type = h->text(c, h->get(b, "type"));
	int rc = MG_OK;

	a->block = B_OTHER;
	if (mg_is(type, "text")) {
		a->block = B_TEXT;
		rc = text(c, h->text(c, h->get(b, "text")));
		for (struct mg_view v = h->at(h->get(b, "citations"), 0); h->kind(v) && !rc; v = h->next(v))
			rc = citation(c, v);
	} else if (mg_is(type, "thinking")) {
		a->block = B_THINKING;
		a->thoughts++;
		rc = thought(c, h->text(c, h->get(b, "thinking")), NULL, NULL, b);
		if (!rc)
			rc = thought(c, (struct mg_str){ NULL, 0 }, "reasoning.text", "signature", h->get(b, "signature"));
	} else if (mg_is(type, "redacted_thinking")) {
		a->thoughts++;
		rc = thought(c, (struct mg_str){ NULL, 0 }, "reasoning.encrypted", "data", h->get(b, "data"));
	} else if (mg_is(type, "tool_use")) {
		rc = begin_tool(c, b);
		if (!rc && whole)
			rc = arguments(c, h->raw(h->get(b, "input")));
	}
	return rc;
}

static int delta(struct mg_call *c, struct mg_view d)
{
	const struct mg_host *h = c->host;
	const struct answer *a = c->state;
	struct mg_str type = h->text(c, h->get(d, "type"));

	if (mg_is(type, "text_delta"))
		return text(c, h->text(c, h->get(d, "text")));
	if (mg_is(type, "thinking_delta") && a->block == B_THINKING)
		return thought(c, h->text(c, h->get(d, "thinking")), NULL, NULL, d);
	if (mg_is(type, "signature_delta") && a->block == B_THINKING)
		return thought(c, (struct mg_str){ NULL, 0 }, "reasoning.text", "signature", h->get(d, "signature"));
	if (mg_is(type, "input_json_delta") && (a->block == B_TOOL || a->block == B_JSON))
		return arguments(c, h->text(c, h->get(d, "partial_json")));
	if (mg_is(type, "citations_delta"))
		return citation(c, h->get(d, "citation"));
	return MG_OK;		/* of server tools, and what comes later */
}

static int end(struct mg_call *c)
{
	struct answer *a = c->state;
	int rc = MG_OK;

	if ((a->block == B_TOOL || a->block == B_JSON) && !a->args)
		rc = arguments(c, MG_STR("{}"));	/* a call without arguments sends none */
	if (!rc && a->block == B_TOOL)
		rc = c->host->emit(c, MG_EVENT(MG_EV_TOOL_END, .index = a->tools - 1));
	a->block = B_OTHER;
	return rc;
}

/* ---------------------------------------------------------------- frames */

static void stopped(struct mg_call *c, struct mg_view from)
{
	struct answer *a = c->state;
	struct mg_str s = c->host->text(c, c->host->get(from, "stop_reason"));

	if (!s.len)
		return;
	a->word_len = s.len < sizeof(a->word) ? s.len : sizeof(a->word);
	memcpy(a->word, s.at, a->word_len);
}

static int conclude(struct mg_call *c)
{
	static const struct { const char *word; enum mg_finish finish; } words[] = {
		{ "max_tokens", MG_LENGTH }, { "model_context_window_exceeded", MG_LENGTH },
		{ "tool_use", MG_TOOL_CALLS }, { "refusal", MG_CONTENT_FILTER },
	};
	struct answer *a = c->state;
	struct mg_str word = { a->word, a->word_len };
	enum mg_finish finish = MG_STOP;	/* end_turn, stop_sequence, pause_turn */

	if (a->ended)
		return MG_OK;
	if (!word.len)
		return c->host->fail(c, MG_EPROTO, "the answer ended without a stop reason");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (mg_is(word, words[i].word))
			finish = words[i].finish;
	if (finish == MG_TOOL_CALLS && a->json_used && !a->tools)
		finish = MG_STOP;
	a->ended = true;
	return c->host->emit(c, MG_EVENT(MG_EV_FINISH, .finish = finish, .name = word));
}

static int error(struct mg_call *c, struct mg_view j)
{
	struct mg_failure out = { .size = sizeof(out) };

	judge(c, j, 200, &out);
	((struct answer *)c->state)->ended = true;
	return c->host->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &out));
}

static int exception(struct mg_call *c, const struct mg_frame *f)
{
	struct mg_failure out = { .size = sizeof(out) };

	aws_failure(c, f, &out);
	((struct answer *)c->state)->ended = true;
	return c->host->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &out));
}

static int start(struct mg_call *c, struct mg_view m)
{
	const struct mg_host *h = c->host;
	int rc = limits(c);

	if (rc || ((struct answer *)c->state)->metering)
		return rc;
	return h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(m, "id")), .name = h->text(c, h->get(m, "model"))));
}

static int whole(struct mg_call *c, struct mg_view m)
{
	const struct mg_host *h = c->host;
	bool metering = ((struct answer *)c->state)->metering;
	int rc = start(c, m);

	for (struct mg_view b = h->at(h->get(m, "content"), 0); h->kind(b) && !rc && !metering; b = h->next(b)) {
		rc = begin(c, b, true);
		if (!rc)
			rc = end(c);
	}
	if (!rc)
		rc = usage(c, h->get(m, "usage"));
	stopped(c, m);
	return rc ? rc : conclude(c);
}

static int event(struct mg_call *c, struct mg_view j)
{
	const struct mg_host *h = c->host;
	const struct answer *a = c->state;
	struct mg_str type = h->text(c, h->get(j, "type"));
	int rc = MG_OK;

	if (!type.at)
		return h->fail(c, MG_EPROTO, "a piece of the answer without a type");
	if (mg_is(type, "error"))
		return error(c, j);
	if (mg_is(type, "message"))
		return whole(c, j);
	if (mg_is(type, "message_start")) {
		rc = start(c, h->get(j, "message"));
		return rc ? rc : usage(c, h->get(h->get(j, "message"), "usage"));
	}
	if (mg_is(type, "message_delta")) {
		stopped(c, h->get(j, "delta"));
		return usage(c, h->get(j, "usage"));
	}
	if (mg_is(type, "message_stop"))
		return conclude(c);
	if (a->metering)
		return MG_OK;
	if (mg_is(type, "content_block_start"))
		return begin(c, h->get(j, "content_block"), false);
	if (mg_is(type, "content_block_delta"))
		return delta(c, h->get(j, "delta"));
	return mg_is(type, "content_block_stop") ? end(c) : MG_OK;	/* ping, and what comes later */
}

static int frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;

	if (f->framing != MG_EVENTSTREAM)
		return event(c, f->json);
	if (mg_is(f->event, "chunk"))		/* {"bytes":"base64 of an event"} */
		return event(c, h->parse(c, h->blob(c, h->get(f->json, "bytes"))));
	return aws_is_exception(c, f) ? exception(c, f) : MG_OK;
}

static int meter(struct mg_call *c, const struct mg_frame *f)
{
	((struct answer *)c->state)->metering = true;
	return frame(c, f);
}

static int models_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	int rc = mg_models(c, h->get(f->json, "data"), "id", "data");

	if (rc || h->kind(h->get(f->json, "has_more")) != MG_TRUE)
		return rc;
	return mg_next_page(c, models_path(c), "after_id", h->text(c, h->get(f->json, "last_id")));
}

static const struct mg_operation chat = {
	.size = sizeof(chat), .state_size = sizeof(struct answer),
	.op = MG_CHAT, .plain = MG_JSON, .stream = MG_SSE,
	.request = request, .frame = frame, .finish = conclude,
	.surface = "messages", .meter = meter,
};
static const struct mg_operation models = {
	.size = sizeof(models), .op = MG_MODELS, .plain = MG_JSON, .stream = MG_JSON,
	.request = models_request, .frame = models_frame,
};
static const struct mg_operation *const ops[] = { &chat, &models, NULL };
static const struct mg_provider anthropic = { .size = sizeof(anthropic), .ops = ops, .failure = failure };

MG_PLUGIN(.name = "anthropic", .version = "1.0.0", .about = "Anthropic's Messages API", .provider = &anthropic)
