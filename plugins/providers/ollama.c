/*
 * ollama - Ollama's own API: /api/chat and /api/embed, NDJSON.
 *
 *	think	"effort": takes low, medium and high; else true and false
 *	options of the row	num_ctx, keep_alive and whatever else stands in "ollama": a longer prompt than num_ctx is
 *			cut at the front without a word there, so it is sent whenever the row knows a context_length
 *
 * Content is one string, images stand beside it; a call's arguments are an
 * object; there is no tool_choice.
 */
#include <stdio.h>
#include "moongate_chat.h"

struct answer { bool ended, called; uint32_t calls; };

/* -------------------------------------------------------------- messages */

static int put_images(struct mg_call *c, struct mg_writer *w, struct mg_view content)
{
	const struct mg_host *h = c->host;
	bool open = false;

	for (struct mg_view part = h->at(content, 0); h->kind(part); part = h->next(part)) {
		struct mg_str type = h->text(c, h->get(part, "type")), media, data;

		if (mg_is(type, "text"))
			continue;
		if (!mg_is(type, "image_url"))
			return h->fail(c, MG_EINVAL, "messages[].content[].type: this upstream takes no %.*s", (int)type.len, type.at ? type.at : "");
		if (!mg_data_url(h->text(c, h->get(h->get(part, "image_url"), "url")), &media, &data))
			data = mg_base64(c, h->blob(c, h->get(h->get(part, "image_url"), "url")));
		if (!data.at || !data.len)
			return h->fail(c, MG_EINVAL, "messages[].content[].image_url.url: this upstream takes no URL; give a data: URL");
		if (!open)
			h->open(w, "images", '[');
		open = true;
		h->put(w, NULL, data);
	}
	if (open)
		h->close(w);
	return MG_OK;
}

static int put_calls(struct mg_call *c, struct mg_writer *w, struct mg_view calls)
{
	const struct mg_host *h = c->host;

	if (!h->kind(h->at(calls, 0)))
		return MG_OK;
	h->open(w, "tool_calls", '[');
	for (struct mg_view v = h->at(calls, 0); h->kind(v); v = h->next(v)) {
		struct mg_view fn = h->get(v, "function");
		struct mg_str text = h->text(c, h->get(fn, "arguments"));
		struct mg_view args = h->parse(c, text.len ? text : MG_STR("{}"));

		if (h->kind(args) != MG_OBJECT)
			return h->fail(c, MG_EINVAL, "messages[].tool_calls[].function.arguments: not the text of a JSON object");
		h->open(w, NULL, '{');
		h->put_raw(w, "id", h->raw(h->get(v, "id")));
		h->open(w, "function", '{');
		h->put_raw(w, "name", h->raw(h->get(fn, "name")));
		h->put_raw(w, "arguments", h->raw(args));
		h->close(w);
		h->close(w);
	}
	h->close(w);
	return MG_OK;
}

/* The name of the call that a result answers: older servers know nothing else of it. */
static struct mg_str called_name(struct mg_call *c, struct mg_str id)
{
	const struct mg_host *h = c->host;

	for (struct mg_view m = h->at(mg_asked(c, "messages"), 0); h->kind(m); m = h->next(m))
		for (struct mg_view v = h->at(h->get(m, "tool_calls"), 0); h->kind(v); v = h->next(v)) {
			struct mg_str other = h->text(c, h->get(v, "id"));

			if (id.at && other.len == id.len && !memcmp(other.at, id.at, id.len))
				return h->text(c, h->get(h->get(v, "function"), "name"));
		}
	return (struct mg_str){ NULL, 0 };
}

static int put_message(struct mg_call *c, struct mg_writer *w, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct mg_view content = h->get(m, "content");
	bool list = h->kind(content) == MG_ARRAY;
	struct mg_str text = list ? mg_joined(c, content, "text", "\n") : h->text(c, content), thought = mg_thoughts(c, m);
	int rc = MG_OK;

	h->open(w, NULL, '{');
	h->put(w, "role", mg_is_system(c, m) ? MG_STR("system") : h->text(c, h->get(m, "role")));
	h->put(w, "content", text.at ? text : MG_STR(""));
	if (list)
		rc = put_images(c, w, content);
	if (mg_role_is(c, m, "tool")) {
		h->put(w, "tool_name", called_name(c, h->text(c, h->get(m, "tool_call_id"))));
		h->put_raw(w, "tool_call_id", h->raw(h->get(m, "tool_call_id")));
	}
	if (thought.len)
		h->put(w, "thinking", thought);
	if (!rc)
		rc = put_calls(c, w, h->get(m, "tool_calls"));
	h->close(w);
	return rc;
}

/* --------------------------------------------------- members of the body */

static void put_options(struct mg_call *c, struct mg_writer *w)
{
	static const struct { const char *asked, *name; } same[] = { { "temperature", "temperature" }, { "top_k", "top_k" }, { "top_p", "top_p" },
		{ "min_p", "min_p" }, { "seed", "seed" }, { "repetition_penalty", "repeat_penalty" }, { "presence_penalty", "presence_penalty" },
		{ "frequency_penalty", "frequency_penalty" } };
	const struct mg_host *h = c->host;
	struct mg_view own = h->get(h->get(h->endpoint(c), "options"), "ollama"), stop = mg_asked(c, "stop");
	uint64_t most = mg_max_tokens(c), context = 0;

	h->open(w, "options", '{');
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (h->kind(mg_asked(c, same[i].asked)) == MG_NUMBER)
			h->put_raw(w, same[i].name, h->raw(mg_asked(c, same[i].asked)));
	if (most)
		h->put_int(w, "num_predict", (int64_t)most);
	if (h->kind(stop) == MG_ARRAY) {
		h->put_raw(w, "stop", h->raw(stop));
	} else if (h->kind(stop) == MG_STRING) {
		h->open(w, "stop", '[');
		h->put_raw(w, NULL, h->raw(stop));
		h->close(w);
	}
	if (!h->get(own, "num_ctx").doc && h->count(h->get(h->endpoint(c), "context_length"), &context))
		h->put_int(w, "num_ctx", (int64_t)context);
	for (struct mg_view v = h->at(own, 0); h->kind(v); v = h->next(v))
		if (!mg_is(h->name(v), "keep_alive"))
			h->put_raw(w, mg_terminated(c, h->name(v)), h->raw(v));
	h->close(w);
	h->put_raw(w, "keep_alive", h->raw(h->get(own, "keep_alive")));
}

static void put_format(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view format = mg_asked(c, "response_format");

	if (mg_is(h->text(c, h->get(format, "type")), "json_object"))
		h->put(w, "format", MG_STR("json"));
	h->put_raw(w, "format", h->raw(h->get(h->get(format, "json_schema"), "schema")));
}

static void put_think(struct mg_call *c, struct mg_writer *w)
{
	static const char *const words[] = { "low", "low", "low", "medium", "high", "high", "high" };
	struct mg_reasoning r = mg_reasoning(c);
	const char *word;

	if (!r.asked && !r.off)
		return;
	if (r.off || !mg_quirk_is(c, "think", "effort")) {
		c->host->put_raw(w, "think", r.off ? MG_STR("false") : MG_STR("true"));
		return;
	}
	word = words[mg_reasoning_rank(&r, mg_max_tokens(c))];
	c->host->put(w, "think", (struct mg_str){ word, strlen(word) });
}

/* None of them may be called where the client says so; that one must be is beyond this upstream. */
static int put_tools(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view tools = mg_asked(c, "tools");

	if (!h->kind(h->at(tools, 0)) || mg_is(h->text(c, mg_asked(c, "tool_choice")), "none"))
		return MG_OK;
	for (struct mg_view v = h->at(tools, 0); h->kind(v); v = h->next(v))
		if (!mg_is(h->text(c, h->get(v, "type")), "function"))
			return h->fail(c, MG_EINVAL, "tools[].type: not one that this upstream knows; use \"function\"");
	h->put_raw(w, "tools", h->raw(tools));
	return MG_OK;
}

static int chat_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);
	int rc = MG_OK;

	h->open(w, NULL, '{');
	h->put(w, "model", h->text(c, h->get(h->endpoint(c), "model")));
	h->open(w, "messages", '[');
	for (struct mg_view m = h->at(mg_asked(c, "messages"), 0); h->kind(m) && !rc; m = h->next(m))
		rc = put_message(c, w, m);
	h->close(w);
	if (!rc)
		rc = put_tools(c, w);
	if (rc)
		return rc;
	put_options(c, w);
	put_format(c, w);
	put_think(c, w);
	h->put_raw(w, "stream", h->kind(mg_asked(c, "stream")) == MG_TRUE ? MG_STR("true") : MG_STR("false"));
	h->close(w);
	return mg_post(c, w, MG_STR("/api/chat"), out);
}

static int embed_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);
	struct mg_view input = mg_asked(c, "input");

	if (h->kind(h->at(input, 0)) && h->kind(h->at(input, 0)) != MG_STRING)
		return h->fail(c, MG_EINVAL, "input: this upstream takes text alone");
	h->open(w, NULL, '{');
	h->put(w, "model", h->text(c, h->get(h->endpoint(c), "model")));
	h->put_raw(w, "input", h->raw(input));
	h->put_raw(w, "dimensions", h->raw(mg_asked(c, "dimensions")));
	h->close(w);
	return mg_post(c, w, MG_STR("/api/embed"), out);
}

static int models_request(struct mg_call *c, struct mg_http *out)
{
	*out = (struct mg_http){ .size = sizeof(*out), .method = MG_STR("GET"), .path = MG_STR("/api/tags") };
	return mg_authorize(c, NULL);
}

/* ---------------------------------------------------------------- answers */

static void judge(struct mg_call *c, struct mg_view j, int status, struct mg_failure *out)
{
	const struct mg_host *h = c->host;

	out->message = h->text(c, h->get(j, "error"));
	if (!out->message.at)
		out->message = h->text(c, h->get(h->get(j, "error"), "message"));
	out->kind = status == 400 ? MG_E_BAD_REQUEST : status == 401 || status == 403 ? MG_E_AUTH : status == 404 ? MG_E_NOT_FOUND :
		status == 429 ? MG_E_RATE_LIMITED : status == 503 ? MG_E_OVERLOADED : MG_E_SERVER;
	out->retryable = status != 400;
}

static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	judge(c, body->json, c->host->status(c), out);
	return MG_OK;
}

/* Ids that are made are not those of an earlier turn. */
static size_t calls_before(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	size_t n = 0;

	for (struct mg_view m = h->at(mg_asked(c, "messages"), 0); h->kind(m); m = h->next(m))
		for (struct mg_view v = h->at(h->get(m, "tool_calls"), 0); h->kind(v); v = h->next(v))
			n++;
	return n;
}

static int call(struct mg_call *c, struct mg_view v)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_view fn = h->get(v, "function"), args = h->get(fn, "arguments");
	struct mg_str id = h->text(c, h->get(v, "id"));
	char *made = NULL;
	int rc;

	if (!id.len) {		/* older servers name none */
		made = h->alloc(c, 24);
		id = (struct mg_str){ made, made ? (size_t)snprintf(made, 24, "call_%zu", calls_before(c) + a->calls) : 0 };
	}
	rc = h->emit(c, MG_EVENT(MG_EV_TOOL_BEGIN, .index = a->calls, .id = id, .name = h->text(c, h->get(fn, "name"))));
	if (!rc)
		rc = h->emit(c, MG_EVENT(MG_EV_TOOL_ARGS, .index = a->calls, .data = h->kind(args) == MG_OBJECT ? h->raw(args) : MG_STR("{}")));
	if (!rc)
		rc = h->emit(c, MG_EVENT(MG_EV_TOOL_END, .index = a->calls));
	a->calls++;
	return rc;
}

static int conclude(struct mg_call *c, struct mg_view j)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_str word = h->text(c, h->get(j, "done_reason"));
	struct mg_usage m = { .size = sizeof(m), .requests = 1, .cost_nusd = -1 };
	int rc;

	h->count(h->get(j, "prompt_eval_count"), &m.input);	/* absent: all of it was cached */
	h->count(h->get(j, "eval_count"), &m.output);
	rc = h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m));
	a->ended = true;
	return rc ? rc : h->emit(c, MG_EVENT(MG_EV_FINISH, .finish = a->calls ? MG_TOOL_CALLS : mg_is(word, "length") ? MG_LENGTH : MG_STOP,
		.name = word.at ? word : MG_STR("stop")));
}

static int chat_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_view m = h->get(f->json, "message");
	struct mg_str thought = h->text(c, h->get(m, "thinking")), said = h->text(c, h->get(m, "content"));
	int rc = MG_OK;

	if (a->ended)
		return MG_OK;
	if (h->kind(f->json) != MG_OBJECT)
		return h->fail(c, MG_EPROTO, "a line of the answer is not a JSON object");
	if (h->get(f->json, "error").doc) {
		struct mg_failure out = { .size = sizeof(out) };

		judge(c, f->json, 500, &out);
		a->ended = true;
		return h->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &out));
	}
	if (!a->called)
		rc = h->emit(c, MG_EVENT(MG_EV_START, .name = h->text(c, h->get(f->json, "model"))));
	a->called = true;
	if (!rc && thought.len)
		rc = h->emit(c, MG_EVENT(MG_EV_REASONING, .data = thought));
	if (!rc && said.len)
		rc = h->emit(c, MG_EVENT(MG_EV_TEXT, .data = said));
	for (struct mg_view v = h->at(h->get(m, "tool_calls"), 0); h->kind(v) && !rc; v = h->next(v))
		rc = call(c, v);
	return rc || h->kind(h->get(f->json, "done")) != MG_TRUE ? rc : conclude(c, f->json);
}

static int chat_finish(struct mg_call *c)
{
	return ((struct answer *)c->state)->ended ? MG_OK : c->host->fail(c, MG_EPROTO, "the answer ended before it was done");
}

static int embed_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view list = h->get(f->json, "embeddings");
	struct mg_usage m = { .size = sizeof(m), .requests = 1, .cost_nusd = -1 };
	uint32_t i = 0;
	int rc = h->kind(list) == MG_ARRAY ? h->emit(c, MG_EVENT(MG_EV_START, .name = h->text(c, h->get(f->json, "model"))))
		: h->fail(c, MG_EPROTO, "an answer without embeddings[]");

	for (struct mg_view v = h->at(list, 0); h->kind(v) && !rc; v = h->next(v))
		rc = h->emit(c, MG_EVENT(MG_EV_VECTOR, .index = i++, .extra = h->raw(v)));
	h->count(h->get(f->json, "prompt_eval_count"), &m.input);
	return rc ? rc : h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m));
}

static int models_frame(struct mg_call *c, const struct mg_frame *f)
{
	return mg_models(c, c->host->get(f->json, "models"), "name", "models");
}

static const struct mg_operation chat = { .size = sizeof(chat), .state_size = sizeof(struct answer), .op = MG_CHAT, .plain = MG_JSON,
	.stream = MG_NDJSON, .flags = MG_OP_INLINE, .request = chat_request, .frame = chat_frame, .finish = chat_finish };
static const struct mg_operation embeddings = { .size = sizeof(embeddings), .op = MG_EMBEDDINGS, .plain = MG_JSON, .stream = MG_JSON,
	.request = embed_request, .frame = embed_frame };
static const struct mg_operation models = { .size = sizeof(models), .op = MG_MODELS, .plain = MG_JSON, .stream = MG_JSON,
	.request = models_request, .frame = models_frame };
static const struct mg_operation *const ops[] = { &chat, &embeddings, &models, NULL };
static const struct mg_provider ollama = { .size = sizeof(ollama), .ops = ops, .failure = failure };

MG_PLUGIN(.name = "ollama", .version = "1.0.0", .about = "Ollama's own API: chat and embeddings", .provider = &ollama)
