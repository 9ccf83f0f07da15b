/*
 * openai - chat completions, embeddings and the model list of OpenAI, and of
 * the many servers that speak alike.  How one of them differs is data: its
 * quirks, members of the provider's row, where a model's own quirks win.
 *
 *	path, embeddings_path, models_path	"/chat/completions", "/embeddings", "/models"; {model} in it is the
 *			model's name, {x} the row's option x
 *	auth		"bearer"; "none"; "sigv4"; "entra", "google", with scope; or the header that takes the key bare
 *	max_tokens	name of the limit: "max_tokens"; "max_completion_tokens"; "as_given": both untouched
 *	reasoning_out	how reasoning is asked for, one or a list: "reasoning_effort"; "thinking" {type};
 *			"reasoning" (OpenRouter's object); "reasoning_enabled" reasoning{enabled};
 *			"enable_thinking"; "chat_template_kwargs" {enable_thinking}; "disable_reasoning"; "none"
 *	efforts		words it takes for reasoning_effort; the nearest is sent
 *	reasoning_in	where its text comes, in order: ["reasoning", "reasoning_content", "reasoning_text"]
 *	reasoning_history	earlier reasoning in messages: dropped; "reasoning" or "reasoning_content"
 *			as text; "thinking": a chunk of the content; "as_given"
 *	reasoning_missing	what stands for a thought that is not there, where calls want one: " "
 *	think_tags	true: content may begin with <think>...</think>, which is reasoning
 *	content		"string" or "array": the only form of content it takes; any
 *	developer_role	true: knows the role; else it becomes "system"
 *	file		"file" {file_data: data URL}; "document_url", "file_url"; "as_given"; "refuse"
 *	audio		"string": input_audio is bare base64
 *	stop		"array": never a string
 *	tool_choice	"required": knows no named one; the named tool is offered alone, and required
 *	logprobs	"number": how many, in the place of logprobs and top_logprobs
 *	prefix		true: an assistant's message at the end is begun, and has to say so
 *	schema		"value": response_format has the schema itself there (TGI)
 *	tool_id_length	ids of tool calls are so many letters and digits; others are mapped
 *	stream_usage	"option": asks with stream_options; "always": comes unasked, and the member is refused
 *	rename, set, stream_set, tools_set	{"seed": "random_seed"}; members to add where the client gave none; when streaming; with tools
 *	drop, only	members of the body that must not be sent; the only ones that may
 *	drop_in_messages	the same for members of messages
 *	input_type	how embeddings are told what a text is for: {"name": "task", "search_query": "retrieval.query"}
 *	rerank_path, images_path, speech_path, transcriptions_path, moderations_path; top_n	openai_media.h
 *	prompt		true: the model continues a text: /completions, openai_prompt.h
 *	pass_through	true: its frames are canonical but for names, and may be copied to a chat client
 *	keep		members that are the gateway's elsewhere, but this upstream's too: "cache_control", "provider"
 *
 * The reader needs no quirk for where usage stands (top level, x_groq, a choice), how cached
 * tokens are called, whether completion_tokens has the reasoning in it (total_tokens tells), missing
 * indices and ids of tool calls, content in chunks, errors in any of their shapes, [DONE] or none.
 */
#include <stdio.h>
#include <stdlib.h>

#include "openai_messages.h"
#include "openai_prompt.h"
#include "openai_answer.h"
#include "openai_media.h"

/* ------------------------------------------------------------ the request */

static int chat_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);
	bool prompt = by_prompt(c);
	int rc;

	h->open(w, NULL, '{');
	h->put(w, "model", h->text(c, h->get(h->endpoint(c), "model")));
	rc = prompt ? put_prompt(c, w) : put_messages(c, w);
	if (rc)
		return rc;
	put_members(c, w);
	put_stop(c, w);
	put_logprobs(c, w);
	if (prompt) {
		put_prompt_limit(c, w);
	} else {
		put_limit(c, w);
		put_reasoning(c, w);
		put_tools(c, w);
	}
	put_set(c, w, "set");
	put_stream(c, w);
	h->close(w);
	return mg_post(c, w, mg_path(c, "path", prompt ? MG_STR("/completions") : MG_STR("/chat/completions")), out);
}

/* What a text is for: kept as it is, said in the quirk's words, or not said. */
static void put_input_type(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view quirk = mg_quirk(c, "input_type");
	struct mg_str type = h->text(c, mg_asked(c, "input_type")), name = h->text(c, h->get(quirk, "name")), word;

	if (kept(c, MG_STR("input_type")))
		h->put(w, "input_type", type);
	if (!type.at || !name.at)
		return;
	type = mg_is(type, "query") ? MG_STR("search_query") : mg_is(type, "document") ? MG_STR("search_document") : type;
	word = h->text(c, h->get(quirk, terminated(c, type)));
	h->put(w, terminated(c, name), word);
}

static int embeddings_request(struct mg_call *c, struct mg_http *out)
{
	static const char *const typed[] = { "input_type", NULL };
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);

	h->open(w, NULL, '{');
	h->put(w, "model", h->text(c, h->get(h->endpoint(c), "model")));
	put_others(c, w, typed);
	put_input_type(c, w);
	h->close(w);
	return mg_post(c, w, mg_path(c, "embeddings_path", MG_STR("/embeddings")), out);
}

static int models_request(struct mg_call *c, struct mg_http *out)
{
	*out = (struct mg_http){ .size = sizeof(*out), .method = MG_STR("GET"),
		.path = mg_path(c, "models_path", MG_STR("/models")) };
	return mg_authorize(c, NULL);
}

/* ----------------------------------------------------------------- usage */

static uint64_t count_of(struct mg_call *c, struct mg_view o, const char *member)
{
	uint64_t n = 0;

	c->host->count(c->host->get(o, member), &n);
	return n;
}

/* Decimal text times 10^shift, half rounded up; -1: not such a number. */
static int64_t scaled(struct mg_str s, int shift)
{
	int64_t n = 0;
	int point = 0;
	size_t i = 0;

	for (; i < s.len && s.at[i] != 'e' && s.at[i] != 'E'; i++) {
		if (s.at[i] == '.' && !point) {
			point = 1;
		} else if (s.at[i] < '0' || s.at[i] > '9') {
			return -1;
		} else if (n < INT64_MAX / 100) {
			n = n * 10 + (s.at[i] - '0');
			shift -= point;
		} else {
			shift += !point;
		}
	}
	if (i < s.len) {
		char text[8] = "";

		snprintf(text, sizeof(text), "%.*s", (int)(s.len - i - 1), s.at + i + 1);
		shift += (int)strtol(text, NULL, 10);
	}
	for (; shift > 0 && n; shift--) {
		if (n > INT64_MAX / 10)
			return -1;
		n *= 10;
	}
	for (; shift < -1 && n; shift++)
		n /= 10;
	return shift < 0 ? (n + 5) / 10 : n;
}

static int64_t cost_of(struct mg_call *c, struct mg_view u)
{
	const struct mg_host *h = c->host;
	struct mg_view cost = h->get(u, "cost");

	if (h->kind(cost) == MG_OBJECT)
		cost = h->get(cost, "total_cost");
	if (h->kind(cost) == MG_NUMBER)
		return scaled(h->text(c, cost), 9);
	if (h->get(u, "cost_in_usd_ticks").doc)		/* 1e-10 USD */
		return scaled(h->text(c, h->get(u, "cost_in_usd_ticks")), -1);
	return -1;
}

static uint64_t cached_of(struct mg_call *c, struct mg_view u, struct mg_view prompt)
{
	static const char *const names[] = { "cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens" };
	uint64_t n = count_of(c, prompt, "cached_tokens");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !n; i++)
		n = count_of(c, u, names[i]);
	return n;
}

static uint64_t less(uint64_t *from, uint64_t part)
{
	if (part > *from)
		part = *from;
	*from -= part;
	return part;
}

/* cached: what is told of them elsewhere. */
static int usage_with(struct mg_call *c, struct mg_view u, uint64_t cached)
{
	struct mg_view prompt, completion;
	struct mg_usage m = { .size = sizeof(m), .requests = 1 };
	uint64_t total;

	if (c->host->kind(u) != MG_OBJECT)	/* most frames of a stream have none */
		return MG_OK;
	prompt = c->host->get(u, "prompt_tokens_details");
	completion = c->host->get(u, "completion_tokens_details");
	m.cost_nusd = cost_of(c, u);
	total = count_of(c, u, "total_tokens");
	m.input = count_of(c, u, "prompt_tokens");
	m.output = count_of(c, u, "completion_tokens");
	if (!m.input && !m.output)
		m.input = total;		/* vectors and ranks: some say nothing else */
	m.reasoning = count_of(c, completion, "reasoning_tokens");
	if (!m.reasoning)
		m.reasoning = count_of(c, u, "reasoning_tokens");
	if (m.reasoning > m.output || (total && total >= m.input && total - m.input == m.output + m.reasoning))
		m.output += m.reasoning;	/* theirs leaves it out */
	m.cached = cached_of(c, u, prompt);
	if (!m.cached)
		m.cached = cached;
	if (m.cached <= m.input)		/* else theirs leaves it out */
		m.input -= m.cached;
	m.cache_write = count_of(c, prompt, "cache_write_tokens");
	if (!m.cache_write)
		m.cache_write = count_of(c, prompt, "cache_creation_input_tokens");
	m.cache_write = less(&m.input, m.cache_write);
	m.audio_in = less(&m.input, count_of(c, prompt, "audio_tokens"));
	m.reasoning = less(&m.output, m.reasoning);
	m.audio_out = less(&m.output, count_of(c, completion, "audio_tokens"));
	m.searches = count_of(c, c->host->get(u, "server_tool_use"), "web_search_requests");
	if (!m.searches)
		m.searches = count_of(c, u, "num_search_queries");
	return c->host->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m));
}

static int usage(struct mg_call *c, struct mg_view u)
{
	return usage_with(c, u, 0);
}

/* ---------------------------------------------------------------- errors */

/* Words of codes, types and messages, the telling ones first. */
static const struct { const char *word; enum mg_error kind; bool retryable; } told[] = {
	{ "context_length", MG_E_CONTEXT_LENGTH, true }, { "exceed_context_size", MG_E_CONTEXT_LENGTH, true },
	{ "maximum context length", MG_E_CONTEXT_LENGTH, true }, { "`max_new_tokens` must be", MG_E_CONTEXT_LENGTH, true }, { "insufficient_quota", MG_E_QUOTA, true },
	{ "exceeded_current_quota", MG_E_QUOTA, true }, { "nsufficient balance", MG_E_QUOTA, true },
	{ "billing", MG_E_QUOTA, true }, { "content_filter", MG_E_MODERATION, false },
	{ "content_policy", MG_E_MODERATION, false }, { "violates usage guidelines", MG_E_MODERATION, false }, { "data_inspection_failed", MG_E_MODERATION, false },
	{ "invalid_api_key", MG_E_AUTH, true }, { "ncorrect API key", MG_E_AUTH, true },
	{ "authentication", MG_E_AUTH, true }, { "model_not_found", MG_E_NOT_FOUND, true },
	{ "tool_use_failed", MG_E_UPSTREAM, true }, { "engine_overloaded", MG_E_OVERLOADED, true },
	{ "overloaded", MG_E_OVERLOADED, true }, { "queue_exceeded", MG_E_OVERLOADED, true },
	{ "rate_limit", MG_E_RATE_LIMITED, true }, { "too_many_requests", MG_E_RATE_LIMITED, true },
	{ "unavailable_error", MG_E_OVERLOADED, true }, { "insufficient_system_resource", MG_E_OVERLOADED, true },
	{ "server_error", MG_E_SERVER, true }, { "invalid_request", MG_E_BAD_REQUEST, false },
};

static const struct { int status; enum mg_error kind; bool retryable; } statuses[] = {
	{ 400, MG_E_BAD_REQUEST, false }, { 401, MG_E_AUTH, true }, { 402, MG_E_QUOTA, true }, { 403, MG_E_AUTH, true },
	{ 404, MG_E_NOT_FOUND, true }, { 408, MG_E_TIMEOUT, true }, { 409, MG_E_UPSTREAM, true },
	{ 412, MG_E_AUTH, true }, { 413, MG_E_BAD_REQUEST, false }, { 422, MG_E_BAD_REQUEST, false },
	{ 424, MG_E_SERVER, true }, { 429, MG_E_RATE_LIMITED, true }, { 498, MG_E_OVERLOADED, true },
	{ 503, MG_E_OVERLOADED, true }, { 504, MG_E_TIMEOUT, true }, { 524, MG_E_TIMEOUT, true },
	{ 529, MG_E_OVERLOADED, true },
};

static bool says(struct mg_str s, const char *word)
{
	return s.at && memmem(s.at, s.len, word, strlen(word));
}

/* {"error":{..}}, {"error":"text","code" or "error_type"}, {"errors":[{..}]}, {"message","type","code"}, {"detail"}, {"base_resp":{..}} */
static void error_words(struct mg_call *c, struct mg_view j, struct mg_str *type, struct mg_failure *out)
{
	const struct mg_host *h = c->host;
	struct mg_view e = h->get(j, "error"), base = h->get(j, "base_resp"), detail;

	if (!e.doc && h->get(h->get(h->at(h->get(j, "choices"), 0), "error"), "message").doc)
		e = h->get(h->at(h->get(j, "choices"), 0), "error");
	if (!e.doc)
		e = h->at(h->get(j, "errors"), 0);
	if (h->kind(e) != MG_OBJECT) {
		out->message = h->text(c, e);
		e = j;
	}
	out->code = h->text(c, h->get(e, "code"));
	*type = h->text(c, h->get(e, h->get(e, "error_type").doc ? "error_type" : "type"));
	if (!out->message.at)
		out->message = h->text(c, h->get(e, "message"));
	if (!out->message.at && base.doc) {
		out->code = h->text(c, h->get(base, "status_code"));
		out->message = h->text(c, h->get(base, "status_msg"));
	}
	detail = h->get(j, "detail").doc ? h->get(j, "detail") : h->get(h->get(e, "message"), "detail");
	if (!out->message.at)
		out->message = h->text(c, h->kind(detail) == MG_ARRAY ? h->get(h->at(detail, 0), "msg") : detail);
	if (!out->code.at)
		out->code = *type;
}

/* A 200 with an error in it: its code may be a status. */
static int status_inside(struct mg_call *c, struct mg_view j, struct mg_str code)
{
	static const struct { const char *code; int status; } minimax[] = {
		{ "1002", 429 }, { "1004", 401 }, { "1008", 402 }, { "1039", 429 }, { "2013", 400 } };
	uint64_t n = 0;

	if (!c->host->count(c->host->get(c->host->get(j, "error"), "status_code"), &n) && code.at && code.len == 3)
		for (size_t i = 0; i < 3; i++)
			n = n * 10 + (uint64_t)(code.at[i] - '0');
	for (size_t i = 0; c->host->get(j, "base_resp").doc && i < sizeof(minimax) / sizeof(minimax[0]); i++)
		if (mg_is(code, minimax[i].code))
			n = (uint64_t)minimax[i].status;
	return n >= 400 && n < 600 ? (int)n : 200;
}

static void judge(struct mg_call *c, struct mg_view j, int status, struct mg_failure *out)
{
	struct mg_str type = { NULL, 0 };

	error_words(c, j, &type, out);
	if (status < 400)
		status = status_inside(c, j, out->code);
	out->kind = status >= 500 ? MG_E_SERVER : MG_E_UPSTREAM;
	out->retryable = status >= 500 || status < 400;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status) {
			out->kind = statuses[i].kind;
			out->retryable = statuses[i].retryable;
		}
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		bool coarse = told[i].kind == MG_E_BAD_REQUEST || told[i].kind == MG_E_SERVER;

		if (coarse && status >= 400)
			continue;	/* the status says more */
		if (says(out->code, told[i].word) || says(type, told[i].word) ||
		    (status >= 400 && status < 500 && says(out->message, told[i].word))) {
			out->kind = told[i].kind;
			out->retryable = told[i].retryable;
			break;
		}
	}
	if (c->host->kind(c->host->get(c->host->get(c->host->get(j, "error"), "metadata"), "reasons")) == MG_ARRAY) {
		out->kind = MG_E_MODERATION;	/* OpenRouter's, at 403 */
		out->retryable = false;
	}
	if (mg_is(c->host->answer(c, "x-should-retry"), "true"))
		out->retryable = true;
}

static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	judge(c, body->json, c->host->status(c), out);
	return MG_OK;
}

/* 1: the frame was an error, and it has been said; first: of its choices. */
static int error_inside(struct mg_call *c, const struct mg_frame *f, struct mg_view first)
{
	const struct mg_host *h = c->host;
	struct mg_view j = f->json, e = h->get(j, "error");
	struct mg_failure out = { .size = sizeof(out) };
	uint64_t base = 0;
	int rc;

	h->count(h->get(h->get(j, "base_resp"), "status_code"), &base);
	if (h->kind(e) <= MG_FALSE && !base && !mg_is(f->event, "error") && !mg_is(h->text(c, h->get(j, "object")), "error") &&
	    !h->get(h->get(first, "error"), "message").doc)
		return 0;
	judge(c, j, 200, &out);
	((struct chat *)c->state)->ended = true;
	rc = h->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &out));
	return rc ? rc : 1;
}

/* ------------------------------------------------------------ the plugin */

static const struct mg_operation chat = {
	.size = sizeof(chat), .state_size = sizeof(struct chat),
	.op = MG_CHAT, .plain = MG_JSON, .stream = MG_SSE,
	.request = chat_request, .frame = chat_frame, .finish = chat_finish,
	.surface = "chat", .meter = chat_meter,
};
static const struct mg_operation embeddings = {
	.size = sizeof(embeddings), .op = MG_EMBEDDINGS, .plain = MG_JSON, .stream = MG_JSON,
	.request = embeddings_request, .frame = embeddings_frame,
};
static const struct mg_operation models = {
	.size = sizeof(models), .op = MG_MODELS, .plain = MG_JSON, .stream = MG_JSON,
	.request = models_request, .frame = models_frame,
};
static const struct mg_operation *const ops[] = { &chat, &embeddings, &rerank, &images, &speech, &transcription, &moderation, &models, NULL };
static const struct mg_provider openai = { .size = sizeof(openai), .ops = ops, .failure = failure };

MG_PLUGIN(.name = "openai", .version = "1.0.0", .about = "OpenAI chat completions, and all who speak alike", .provider = &openai)
