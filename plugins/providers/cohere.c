/*
 * cohere - chat, embeddings and rerank of Cohere's v2 API.
 *
 *	chat_path, embed_path, rerank_path, models_path	"/v2/chat", "/v2/embed", "/v2/rerank", "/v1/models"
 *
 * Text beside tool calls is a plan there, and comes back as text.  Tokens are
 * those that the model saw; billed_units are another count, for searches alone.
 */
#include "cohere_request.h"

struct answer { bool ended, called, argued, spoke; };

static struct mg_writer *begin_body(struct mg_call *c)
{
	struct mg_writer *w = c->host->writer(c);

	c->host->open(w, NULL, '{');
	c->host->put(w, "model", c->host->text(c, c->host->get(c->host->endpoint(c), "model")));
	return w;
}

static int chat_request(struct mg_call *c, struct mg_http *out)
{
	struct mg_writer *w = begin_body(c);
	int rc = put_messages(c, w);

	if (!rc)
		rc = put_tools(c, w);
	if (rc)
		return rc;
	put_members(c, w);
	c->host->put_raw(w, "stream", c->host->kind(mg_asked(c, "stream")) == MG_TRUE ? MG_STR("true") : MG_STR("false"));
	c->host->close(w);
	return mg_post(c, w, mg_path(c, "chat_path", MG_STR("/v2/chat")), out);
}

/* One text, or a list of them. */
static int put_texts(struct mg_call *c, struct mg_writer *w, struct mg_view input)
{
	const struct mg_host *h = c->host;
	struct mg_view first = h->at(input, 0);

	if (h->kind(input) == MG_STRING) {
		h->open(w, "texts", '[');
		h->put_raw(w, NULL, h->raw(input));
		h->close(w);
		return MG_OK;
	}
	if (h->kind(first) == MG_NUMBER || h->kind(first) == MG_ARRAY)
		return h->fail(c, MG_EINVAL, "input: this upstream takes text, no token ids");
	h->put_raw(w, h->kind(first) == MG_OBJECT ? "inputs" : "texts", h->raw(input));
	return MG_OK;
}

static int embed_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = begin_body(c);
	struct mg_str kind = h->text(c, mg_asked(c, "input_type"));
	int rc = put_texts(c, w, mg_asked(c, "input"));

	if (rc)
		return rc;
	h->put(w, "input_type", !kind.at ? MG_STR("search_document") : mg_is(kind, "query") ? MG_STR("search_query") :
		mg_is(kind, "document") ? MG_STR("search_document") : kind);
	h->put_raw(w, "embedding_types", MG_STR("[\"float\"]"));
	h->put_raw(w, "output_dimension", h->raw(mg_asked(c, "dimensions")));
	h->put_raw(w, "truncate", h->raw(mg_asked(c, "truncate")));
	h->close(w);
	return mg_post(c, w, mg_path(c, "embed_path", MG_STR("/v2/embed")), out);
}

static int rerank_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = begin_body(c);

	h->put_raw(w, "query", h->raw(mg_asked(c, "query")));
	h->open(w, "documents", '[');
	for (struct mg_view v = h->at(mg_asked(c, "documents"), 0); h->kind(v); v = h->next(v))
		h->put_raw(w, NULL, h->kind(v) == MG_OBJECT ? h->raw(h->get(v, "text")) : h->raw(v));
	h->close(w);
	h->put_raw(w, "top_n", h->raw(mg_asked(c, "top_n")));
	h->put_raw(w, "max_tokens_per_doc", h->raw(mg_asked(c, "max_tokens_per_doc")));
	h->close(w);
	return mg_post(c, w, mg_path(c, "rerank_path", MG_STR("/v2/rerank")), out);
}

static struct mg_str models_path(struct mg_call *c)
{
	return mg_path(c, "models_path", MG_STR("/v1/models?page_size=1000"));
}

static int models_request(struct mg_call *c, struct mg_http *out)
{
	*out = (struct mg_http){ .size = sizeof(*out), .method = MG_STR("GET"), .path = models_path(c) };
	return mg_authorize(c, NULL);
}

/* ---------------------------------------------------------- usage, errors */

static uint64_t count(struct mg_call *c, struct mg_view o, const char *member)
{
	uint64_t n = 0;

	c->host->count(c->host->get(o, member), &n);
	return n;
}

static int usage(struct mg_call *c, struct mg_view u)
{
	struct mg_view tokens = c->host->get(u, "tokens"), billed = c->host->get(u, "billed_units");
	struct mg_usage m = { .size = sizeof(m), .requests = 1, .cost_nusd = -1 };

	if (!tokens.doc && !billed.doc)
		return MG_OK;
	m.input = count(c, tokens.doc ? tokens : billed, "input_tokens");
	m.output = count(c, tokens.doc ? tokens : billed, "output_tokens");
	m.cached = count(c, u, "cached_tokens");
	if (m.cached > m.input)
		m.cached = m.input;
	m.input -= m.cached;
	m.image_tokens = count(c, billed, "image_tokens");
	m.searches = count(c, billed, "search_units");
	return c->host->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m));
}

static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	static const struct { int status; enum mg_error kind; bool retryable; } rows[] = {
		{ 400, MG_E_BAD_REQUEST, false }, { 401, MG_E_AUTH, true }, { 402, MG_E_QUOTA, true }, { 403, MG_E_AUTH, true },
		{ 404, MG_E_NOT_FOUND, true }, { 422, MG_E_BAD_REQUEST, false }, { 429, MG_E_RATE_LIMITED, true }, { 498, MG_E_MODERATION, false },
		{ 499, MG_E_CANCELLED, false }, { 501, MG_E_BAD_REQUEST, false }, { 503, MG_E_OVERLOADED, true }, { 504, MG_E_TIMEOUT, true } };
	const struct mg_host *h = c->host;
	int status = h->status(c);

	out->message = h->text(c, h->get(body->json, "message"));
	out->kind = status >= 500 ? MG_E_SERVER : MG_E_UPSTREAM;
	out->retryable = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == status) {
			out->kind = rows[i].kind;
			out->retryable = rows[i].retryable;
		}
	if (status == 400 && out->message.at && (memmem(out->message.at, out->message.len, "too many tokens", 15)
		|| memmem(out->message.at, out->message.len, "context length", 14))) {
		out->kind = MG_E_CONTEXT_LENGTH;
		out->retryable = true;
	}
	if (status == 429 && out->message.at && memmem(out->message.at, out->message.len, "month", 5))
		out->kind = MG_E_QUOTA;		/* a trial key's, gone until the next month */
	return MG_OK;
}

/* -------------------------------------------------------------- the answer */

static int text(struct mg_call *c, enum mg_event_kind kind, struct mg_str s)
{
	return s.len ? c->host->emit(c, MG_EVENT(kind, .data = s)) : MG_OK;
}

static int content(struct mg_call *c, struct mg_view part)
{
	const struct mg_host *h = c->host;
	int rc = text(c, MG_EV_REASONING, h->text(c, h->get(part, "thinking")));

	((struct answer *)c->state)->spoke = true;
	return rc ? rc : text(c, MG_EV_TEXT, h->text(c, h->get(part, "text")));
}

static int call_begin(struct mg_call *c, uint32_t index, struct mg_view call)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_view fn = h->get(call, "function");
	struct mg_str args = h->text(c, h->get(fn, "arguments"));
	int rc = h->emit(c, MG_EVENT(MG_EV_TOOL_BEGIN, .index = index, .id = h->text(c, h->get(call, "id")), .name = h->text(c, h->get(fn, "name"))));

	a->called = true;
	a->argued = args.len > 0;
	return rc || !args.len ? rc : h->emit(c, MG_EVENT(MG_EV_TOOL_ARGS, .index = index, .data = args));
}

/* A call without arguments has no delta: it is an empty object. */
static int call_end(struct mg_call *c, uint32_t index)
{
	struct answer *a = c->state;
	int rc = a->argued ? MG_OK : c->host->emit(c, MG_EVENT(MG_EV_TOOL_ARGS, .index = index, .data = MG_STR("{}")));

	return rc ? rc : c->host->emit(c, MG_EVENT(MG_EV_TOOL_END, .index = index));
}

/* A source with an address is a citation that clients understand. */
static int citation(struct mg_call *c, struct mg_view cite)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	for (struct mg_view s = h->at(h->get(cite, "sources"), 0); h->kind(s) && !rc; s = h->next(s)) {
		struct mg_view d = h->get(s, "document");
		struct mg_writer *w = h->writer(c);

		if (!h->text(c, h->get(d, "url")).len)
			continue;
		h->open(w, NULL, '{');
		h->put(w, "type", MG_STR("url_citation"));
		h->open(w, "url_citation", '{');
		h->put_raw(w, "url", h->raw(h->get(d, "url")));
		h->put_raw(w, "title", h->raw(h->get(d, "title")));
		h->put_raw(w, "content", h->raw(h->get(cite, "text")));
		h->put_raw(w, "start_index", h->raw(h->get(cite, "start")));
		h->put_raw(w, "end_index", h->raw(h->get(cite, "end")));
		h->close(w);
		h->close(w);
		rc = h->emit(c, MG_EVENT(MG_EV_ANNOTATION, .extra = h->written(w)));
	}
	return rc;
}

static int conclude(struct mg_call *c, struct mg_view end)
{
	static const struct { const char *word; enum mg_finish finish; } words[] = { { "COMPLETE", MG_STOP }, { "STOP_SEQUENCE", MG_STOP },
		{ "MAX_TOKENS", MG_LENGTH }, { "TOOL_CALL", MG_TOOL_CALLS }, { "ERROR_TOXIC", MG_CONTENT_FILTER }, { "ERROR_LIMIT", MG_LENGTH } };
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_str word = h->text(c, h->get(end, "finish_reason")), why = h->text(c, h->get(end, "error"));
	struct mg_failure out = { .size = sizeof(out), .kind = MG_E_SERVER, .retryable = true, .code = word, .message = why.at ? why : word };
	int rc = usage(c, h->get(end, "usage"));

	if (rc || a->ended)
		return rc;
	a->ended = true;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (mg_is(word, words[i].word))
			return h->emit(c, MG_EVENT(MG_EV_FINISH, .finish = words[i].finish, .name = word));
	if (!word.at)
		return h->fail(c, MG_EPROTO, "the answer ended without a finish_reason");
	return h->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &out));
}

static int whole(struct mg_call *c, struct mg_view j)
{
	const struct mg_host *h = c->host;
	struct mg_view m = h->get(j, "message"), parts = h->get(m, "content");
	uint32_t index = 0;
	int rc = h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(j, "id"))));

	if (!rc)
		rc = text(c, h->kind(h->at(parts, 0)) ? MG_EV_REASONING : MG_EV_TEXT, h->text(c, h->get(m, "tool_plan")));
	for (struct mg_view v = h->at(parts, 0); h->kind(v) && !rc; v = h->next(v))
		rc = content(c, v);
	for (struct mg_view v = h->at(h->get(m, "tool_calls"), 0); h->kind(v) && !rc; v = h->next(v), index++) {
		rc = call_begin(c, index, v);
		if (!rc)
			rc = call_end(c, index);
	}
	for (struct mg_view v = h->at(h->get(m, "citations"), 0); h->kind(v) && !rc; v = h->next(v))
		rc = citation(c, v);
	return rc ? rc : conclude(c, j);
}

static int piece(struct mg_call *c, struct mg_view j)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_view m = h->get(h->get(j, "delta"), "message"), call = h->get(m, "tool_calls");
	struct mg_str type = h->text(c, h->get(j, "type")), args;
	uint64_t index = count(c, j, "index");

	if (!type.at)
		return h->fail(c, MG_EPROTO, "a piece of the answer without a type");
	if (mg_is(type, "message-start"))
		return h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(j, "id"))));
	if (mg_is(type, "content-start") || mg_is(type, "content-delta"))
		return content(c, h->get(m, "content"));
	if (mg_is(type, "tool-plan-delta"))
		return text(c, a->spoke ? MG_EV_REASONING : MG_EV_TEXT, h->text(c, h->get(m, "tool_plan")));
	if (mg_is(type, "tool-call-start"))
		return call_begin(c, (uint32_t)index, call);
	if (mg_is(type, "tool-call-delta")) {
		args = h->text(c, h->get(h->get(call, "function"), "arguments"));
		a->argued = a->argued || args.len;
		return args.len ? h->emit(c, MG_EVENT(MG_EV_TOOL_ARGS, .index = (uint32_t)index, .data = args)) : MG_OK;
	}
	if (mg_is(type, "tool-call-end"))
		return call_end(c, (uint32_t)index);
	if (mg_is(type, "citation-start"))
		return citation(c, h->get(m, "citations"));
	return mg_is(type, "message-end") ? conclude(c, h->get(j, "delta")) : MG_OK;
}

static int chat_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct answer *a = c->state;

	if (a->ended || mg_is(f->data, "[DONE]"))
		return MG_OK;
	if (!f->json.doc)
		return c->host->fail(c, MG_EPROTO, "a piece of the answer is not JSON");
	return f->framing == MG_JSON ? whole(c, f->json) : piece(c, f->json);
}

static int chat_finish(struct mg_call *c)
{
	return ((struct answer *)c->state)->ended ? MG_OK : c->host->fail(c, MG_EPROTO, "the answer ended without a finish_reason");
}

static int embed_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view list = h->get(h->get(f->json, "embeddings"), "float");
	uint32_t i = 0;
	int rc = h->kind(list) == MG_ARRAY ? h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(f->json, "id"))))
		: h->fail(c, MG_EPROTO, "an answer without embeddings.float");

	for (struct mg_view v = h->at(list, 0); h->kind(v) && !rc; v = h->next(v))
		rc = h->emit(c, MG_EVENT(MG_EV_VECTOR, .index = i++, .extra = h->raw(v)));
	return rc ? rc : usage(c, h->get(f->json, "meta"));
}

static int rerank_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view list = h->get(f->json, "results");
	int rc = h->kind(list) == MG_ARRAY ? h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(f->json, "id"))))
		: h->fail(c, MG_EPROTO, "an answer without results[]");

	for (struct mg_view v = h->at(list, 0); h->kind(v) && !rc; v = h->next(v))
		rc = h->emit(c, MG_EVENT(MG_EV_SCORE, .index = (uint32_t)count(c, v, "index"), .extra = h->raw(h->get(v, "relevance_score"))));
	return rc ? rc : usage(c, h->get(f->json, "meta"));
}

static int models_frame(struct mg_call *c, const struct mg_frame *f)
{
	int rc = mg_models(c, c->host->get(f->json, "models"), "name", "models");

	return rc ? rc : mg_next_page(c, models_path(c), "page_token", c->host->text(c, c->host->get(f->json, "next_page_token")));
}

static const struct mg_operation chat = { .size = sizeof(chat), .state_size = sizeof(struct answer), .op = MG_CHAT, .plain = MG_JSON,
	.stream = MG_SSE, .request = chat_request, .frame = chat_frame, .finish = chat_finish };
static const struct mg_operation embeddings = { .size = sizeof(embeddings), .op = MG_EMBEDDINGS, .plain = MG_JSON, .stream = MG_JSON,
	.request = embed_request, .frame = embed_frame };
static const struct mg_operation rerank = { .size = sizeof(rerank), .op = MG_RERANK, .plain = MG_JSON, .stream = MG_JSON,
	.request = rerank_request, .frame = rerank_frame };
static const struct mg_operation models = { .size = sizeof(models), .op = MG_MODELS, .plain = MG_JSON, .stream = MG_JSON,
	.request = models_request, .frame = models_frame };
static const struct mg_operation *const ops[] = { &chat, &embeddings, &rerank, &models, NULL };
static const struct mg_provider cohere = { .size = sizeof(cohere), .ops = ops, .failure = failure };

MG_PLUGIN(.name = "cohere", .version = "1.0.0", .about = "Cohere v2: chat, embeddings, rerank", .provider = &cohere)
