/*
 * responses_request.h - the request half of responses.c: messages as input
 * items, thoughts before what they led to, and members by other names.
 */
#ifndef RESPONSES_REQUEST_H
#define RESPONSES_REQUEST_H

#include "moongate_chat.h"

/* ----------------------------------------------------------------- parts */

static void put_typed(struct mg_call *c, struct mg_writer *w, const char *type, const char *member, struct mg_str text)
{
	const struct mg_host *h = c->host;

	h->open(w, NULL, '{');
	h->put(w, "type", (struct mg_str){ type, strlen(type) });
	h->put(w, member, text);
	h->close(w);
}

static int put_image(struct mg_call *c, struct mg_writer *w, struct mg_view image)
{
	const struct mg_host *h = c->host;
	struct mg_str detail = h->text(c, h->get(image, "detail"));

	if (mg_no_text(c, h->get(image, "url")))
		return h->fail(c, MG_EINVAL, "messages[].content[].image_url.url: missing; give a data: or https URL");
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("input_image"));
	h->put_raw(w, "image_url", h->raw(h->get(image, "url")));
	h->put(w, "detail", detail.at ? detail : MG_STR("auto"));
	h->close(w);
	return MG_OK;
}

static int put_file(struct mg_call *c, struct mg_writer *w, struct mg_view file)
{
	const struct mg_host *h = c->host;
	struct mg_view data = h->get(file, "file_data");
	struct mg_str text = h->text(c, data);
	bool url = text.len > 4 && !memcmp(text.at, "http", 4);

	if (!text.len && mg_no_text(c, h->get(file, "file_id")))
		return h->fail(c, MG_EINVAL, "messages[].content[].file.file_data: missing; give a data: or https URL");
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("input_file"));
	if (text.len && !url)
		h->put(w, "filename", h->kind(h->get(file, "filename")) == MG_STRING ? h->text(c, h->get(file, "filename")) : MG_STR("file"));
	if (text.len)
		h->put_raw(w, url ? "file_url" : "file_data", h->raw(data));
	else
		h->put_raw(w, "file_id", h->raw(h->get(file, "file_id")));
	h->close(w);
	return MG_OK;
}

static int put_part(struct mg_call *c, struct mg_writer *w, struct mg_view part)
{
	const struct mg_host *h = c->host;
	struct mg_str type = h->text(c, h->get(part, "type"));

	if (mg_is(type, "image_url"))
		return put_image(c, w, h->get(part, "image_url"));
	if (mg_is(type, "file"))
		return put_file(c, w, h->get(part, "file"));
	if (mg_is(type, "text")) {
		put_typed(c, w, "input_text", "text", h->text(c, h->get(part, "text")));
		return MG_OK;
	}
	if (!mg_is(type, "input_audio"))
		return h->fail(c, MG_EINVAL, "messages[].content[].type: this upstream takes no %.*s", (int)(type.len < 40 ? type.len : 40), type.at ? type.at : "part without one");
	h->open(w, NULL, '{');
	h->put(w, "type", type);
	h->put_raw(w, "input_audio", h->raw(h->get(part, "input_audio")));
	h->close(w);
	return MG_OK;
}

static int put_parts(struct mg_call *c, struct mg_writer *w, const char *member, struct mg_view content)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	h->open(w, member, '[');
	if (h->kind(content) == MG_STRING)
		put_typed(c, w, "input_text", "text", h->text(c, content));
	for (struct mg_view v = h->at(content, 0); h->kind(content) == MG_ARRAY && h->kind(v) && !rc; v = h->next(v))
		rc = put_part(c, w, v);
	h->close(w);
	return rc;
}

/* ---------------------------------------------------------- an assistant */

/* An assistant's message on its way to items: thoughts, words and calls take turns, in the order
 * in which they came.  A thought's index is its place among them. */
struct turn { struct mg_view message, call, thought; uint64_t place; bool worded; };

static struct mg_str format_of(struct mg_call *c)
{
	static const char *const others[] = { "azure", "xai", "bedrock", "meta" };
	struct mg_str said = c->host->text(c, mg_quirk(c, "format")), slug = c->host->text(c, c->host->get(c->host->endpoint(c), "provider"));
	static const struct mg_str formats[] = { { "azure-openai-responses-v1", 25 }, { "xai-responses-v1", 16 },
		{ "bedrock-openai-responses-v1", 27 }, { "meta-responses-v1", 17 } };

	for (size_t i = 0; i < 4 && !said.at && slug.at; i++)
		if (memmem(slug.at, slug.len, others[i], strlen(others[i])))
			return formats[i];	/* none of them can read another's */
	return said.at ? said : MG_STR("openai-responses-v1");
}

static bool is_ours(struct mg_call *c, struct mg_view item)
{
	struct mg_str format = c->host->text(c, c->host->get(item, "format")), ours = format_of(c);

	return !format.at || (format.len == ours.len && !memcmp(format.at, ours.at, ours.len));
}

static bool same(struct mg_call *c, struct mg_view a, struct mg_view b, const char *member)
{
	struct mg_str x = c->host->raw(c->host->get(a, member)), y = c->host->raw(c->host->get(b, member));

	return x.len && x.len == y.len && !memcmp(x.at, y.at, x.len);
}

static bool same_thought(struct mg_call *c, struct mg_view a, struct mg_view b)
{
	bool named = !mg_no_text(c, c->host->get(a, "id")) && !mg_no_text(c, c->host->get(b, "id"));

	return is_ours(c, b) && same(c, a, b, named ? "id" : "index");
}

static void put_summary(struct mg_call *c, struct mg_writer *w, struct mg_view from, struct mg_view last)
{
	const struct mg_host *h = c->host;
	struct mg_str text = mg_thought(c, from, last, "summary");

	h->open(w, "summary", '[');
	if (text.len > 2) {
		h->open(w, NULL, '{');
		h->put(w, "type", MG_STR("summary_text"));
		h->put_raw(w, "text", text);
		h->close(w);
	}
	h->close(w);
}

/* One item of all pieces with one index.  Without what is encrypted the upstream could not
 * know it again: it keeps nothing. */
static void put_thought(struct mg_call *c, struct mg_writer *w, struct turn *t)
{
	const struct mg_host *h = c->host;
	struct mg_view from = t->thought, last = from, data = { NULL, 0 }, id = data;

	for (struct mg_view v = from; h->kind(v) && (v.node == from.node || same_thought(c, from, v)); v = h->next(v)) {
		if (!mg_no_text(c, h->get(v, "data")))
			data = h->get(v, "data");
		if (!mg_no_text(c, h->get(v, "id")))
			id = h->get(v, "id");
		last = v;
	}
	t->thought = h->next(last);
	if (!data.doc || !is_ours(c, from))
		return;
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("reasoning"));
	h->put_raw(w, "id", h->raw(id));
	put_summary(c, w, from, last);
	h->put_raw(w, "encrypted_content", h->raw(data));
	h->close(w);
	t->place++;
}

static void put_words(struct mg_call *c, struct mg_writer *w, struct mg_view content)
{
	const struct mg_host *h = c->host;
	struct mg_view first = h->kind(content) == MG_ARRAY ? h->at(content, 0) : content;

	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("message"));
	h->put(w, "role", MG_STR("assistant"));
	h->open(w, "content", '[');
	for (struct mg_view v = first; h->kind(v); v = h->next(v)) {
		bool refused = h->get(v, "refusal").doc;
		struct mg_str text = h->text(c, h->kind(v) == MG_STRING ? v : h->get(v, refused ? "refusal" : "text"));

		if (text.at && refused) {
			put_typed(c, w, "refusal", "refusal", text);
		} else if (text.at) {
			h->open(w, NULL, '{');
			h->put(w, "type", MG_STR("output_text"));
			h->put(w, "text", text);
			h->open(w, "annotations", '[');
			h->close(w);
			h->close(w);
		}
		if (h->kind(content) != MG_ARRAY)
			break;
	}
	h->close(w);
	h->close(w);
}

static void put_call(struct mg_call *c, struct mg_writer *w, struct mg_view call)
{
	const struct mg_host *h = c->host;
	struct mg_view fn = h->get(call, "function"), args = h->get(fn, "arguments");

	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("function_call"));
	h->put_raw(w, "call_id", h->raw(h->get(call, "id")));
	h->put_raw(w, "name", h->raw(h->get(fn, "name")));
	h->put(w, "arguments", h->kind(args) == MG_OBJECT ? h->raw(args) : mg_no_text(c, args) ? MG_STR("{}") : h->text(c, args));
	h->close(w);
}

/* What is not a thought, one item; false: there is none left. */
static bool put_output(struct mg_call *c, struct mg_writer *w, struct turn *t)
{
	const struct mg_host *h = c->host;
	struct mg_view content = h->get(t->message, "content");
	bool words = h->kind(content) == MG_ARRAY ? h->kind(h->at(content, 0)) : !mg_no_text(c, content);

	t->place++;
	if (!t->worded && words)
		put_words(c, w, content);
	else if (h->kind(t->call))
		put_call(c, w, t->call);
	else
		return false;
	if (t->worded || !words)
		t->call = h->next(t->call);
	t->worded = true;
	return true;
}

static void put_assistant(struct mg_call *c, struct mg_writer *w, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct turn t = { .message = m, .call = h->at(h->get(m, "tool_calls"), 0), .thought = h->at(h->get(m, "reasoning_details"), 0) };

	while (h->kind(t.thought)) {
		uint64_t place = 0;

		h->count(h->get(t.thought, "index"), &place);
		if (is_ours(c, t.thought))
			while (t.place && t.place < place && put_output(c, w, &t))
				;
		put_thought(c, w, &t);
	}
	while (put_output(c, w, &t))
		;
}

/* -------------------------------------------------------------- messages */

/* The system's first words are the instructions, where they are plain text. */
static bool is_instructions(struct mg_call *c, struct mg_view m)
{
	return mg_is_system(c, m) && c->host->kind(c->host->get(m, "content")) == MG_STRING;
}

static int put_message(struct mg_call *c, struct mg_writer *w, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct mg_view content = h->get(m, "content");
	int rc;

	if (mg_role_is(c, m, "assistant")) {
		put_assistant(c, w, m);
		return MG_OK;
	}
	h->open(w, NULL, '{');
	if (mg_role_is(c, m, "tool")) {
		h->put(w, "type", MG_STR("function_call_output"));
		h->put_raw(w, "call_id", h->raw(h->get(m, "tool_call_id")));
		if (h->kind(content) != MG_ARRAY)
			h->put(w, "output", h->kind(content) == MG_STRING ? h->text(c, content) : MG_STR(""));
		rc = h->kind(content) == MG_ARRAY ? put_parts(c, w, "output", content) : MG_OK;
	} else {
		h->put(w, "role", mg_is_system(c, m) ? MG_STR("developer") : MG_STR("user"));
		rc = put_parts(c, w, "content", content);
	}
	h->close(w);
	return rc;
}

static int put_input(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view m = h->at(mg_asked(c, "messages"), 0);
	int rc = MG_OK;

	if (h->kind(mg_asked(c, "messages")) != MG_ARRAY)
		return h->fail(c, MG_EINVAL, "messages: missing, or not an array");
	if (is_instructions(c, m)) {
		h->put_raw(w, "instructions", h->raw(h->get(m, "content")));
		m = h->next(m);
	}
	h->open(w, "input", '[');
	for (; h->kind(m) && !rc; m = h->next(m))
		rc = put_message(c, w, m);
	h->close(w);
	return rc;
}

/* ----------------------------------------------------------------- tools */

/* Members of an object beside the type: flat here, one deeper at the client. */
static void put_flat(struct mg_call *c, struct mg_writer *w, const char *type, struct mg_view from)
{
	const struct mg_host *h = c->host;

	h->put(w, "type", (struct mg_str){ type, strlen(type) });
	for (struct mg_view v = h->at(from, 0); h->kind(from) == MG_OBJECT && h->kind(v); v = h->next(v))
		if (!mg_is(h->name(v), "type") && !mg_is(h->name(v), "cache_control") && h->kind(v) != MG_NULL)
			h->put_raw(w, mg_terminated(c, h->name(v)), h->raw(v));
}

static int put_tools(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view t = h->at(mg_asked(c, "tools"), 0);

	if (!h->kind(t))
		return MG_OK;
	h->open(w, "tools", '[');
	for (; h->kind(t); t = h->next(t)) {
		struct mg_str type = h->text(c, h->get(t, "type"));
		struct mg_view fn = h->get(t, "function");

		if (!mg_is(type, "function")) {
			if (!type.len || memchr(type.at, ':', type.len))
				return h->fail(c, MG_EINVAL, "tools[].type: not one that this upstream knows; use \"function\"");
			h->put_raw(w, NULL, h->raw(t));		/* the service's own: web_search, .. */
			continue;
		}
		h->open(w, NULL, '{');
		put_flat(c, w, "function", fn);
		if (h->kind(h->get(fn, "parameters")) <= MG_NULL)
			h->put_raw(w, "parameters", MG_STR("{\"type\":\"object\",\"properties\":{}}"));
		if (h->kind(h->get(fn, "strict")) <= MG_NULL)	/* else it would be */
			h->put_raw(w, "strict", MG_STR("false"));
		h->close(w);
	}
	h->close(w);
	return MG_OK;
}

static void put_choice(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view choice = mg_asked(c, "tool_choice"), allowed = h->get(choice, "allowed_tools");

	if (h->kind(choice) != MG_OBJECT || (!allowed.doc && !h->get(choice, "function").doc)) {
		h->put_raw(w, "tool_choice", h->raw(choice));
		return;
	}
	h->open(w, "tool_choice", '{');
	if (!allowed.doc) {
		put_flat(c, w, "function", h->get(choice, "function"));
		h->close(w);
		return;
	}
	h->put(w, "type", MG_STR("allowed_tools"));
	h->put_raw(w, "mode", h->raw(h->get(allowed, "mode")));
	h->open(w, "tools", '[');
	for (struct mg_view v = h->at(h->get(allowed, "tools"), 0); h->kind(v); v = h->next(v)) {
		h->open(w, NULL, '{');
		put_flat(c, w, "function", h->get(v, "function"));
		h->close(w);
	}
	h->close(w);
	h->close(w);
}

/* ------------------------------------------------------------- the rest */

static void put_text(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view format = mg_asked(c, "response_format"), verbosity = mg_asked(c, "verbosity");
	struct mg_str type = h->text(c, h->get(format, "type"));

	if (!type.at && h->kind(verbosity) != MG_STRING)
		return;
	h->open(w, "text", '{');
	if (type.at) {
		h->open(w, "format", '{');
		if (mg_is(type, "json_schema"))
			put_flat(c, w, "json_schema", h->get(format, "json_schema"));
		else
			h->put(w, "type", type);
		h->close(w);
	}
	if (h->kind(verbosity) == MG_STRING)
		h->put_raw(w, "verbosity", h->raw(verbosity));
	h->close(w);
}

static bool thinks(struct mg_call *c)
{
	return !mg_quirk_is(c, "reasoning_out", "none");
}

static void put_reasoning(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_reasoning r = mg_reasoning(c);
	struct mg_str way = h->text(c, mg_quirk(c, "summary")), effort = { NULL, 0 };
	struct mg_view said = h->get(mg_asked(c, "reasoning"), "summary"), efforts = mg_quirk(c, "efforts");

	if ((!r.asked && !r.off && h->kind(said) != MG_STRING) || !thinks(c))
		return;
	if (r.effort.at && (!efforts.doc || mg_listed(c, efforts, r.effort)))
		effort = r.effort;
	else if (r.asked || r.off)
		effort = mg_effort_near(c, efforts, mg_reasoning_rank(&r, mg_max_tokens(c)));
	if (r.off && !effort.at)
		return;		/* a model that cannot be told so */
	h->open(w, "reasoning", '{');
	h->put(w, "effort", effort);
	if (!r.off && !r.hidden && !mg_is(way, "none"))
		h->put(w, "summary", h->kind(said) == MG_STRING ? h->text(c, said) : way.at ? way : MG_STR("auto"));
	h->close(w);
}

/* Nothing is kept there: what the model thought comes along, encrypted. */
static void put_include(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	bool logprobs = h->kind(mg_asked(c, "logprobs")) == MG_TRUE;

	if (!h->get(mg_quirk(c, "set"), "store").doc)
		h->put_raw(w, "store", MG_STR("false"));
	if (logprobs)
		h->put_raw(w, "top_logprobs", h->raw(mg_asked(c, "top_logprobs")));
	if (!logprobs && !thinks(c))
		return;
	h->open(w, "include", '[');
	if (thinks(c))
		h->put(w, NULL, MG_STR("reasoning.encrypted_content"));
	if (logprobs)
		h->put(w, NULL, MG_STR("message.output_text.logprobs"));
	h->close(w);
}

/* The members of a quirk's object, where the client gave none itself. */
static void put_set(struct mg_call *c, struct mg_writer *w, const char *quirk)
{
	const struct mg_host *h = c->host;

	for (struct mg_view m = h->at(mg_quirk(c, quirk), 0); h->kind(m); m = h->next(m))
		if (!h->kind(mg_asked(c, mg_terminated(c, h->name(m)))) && !(mg_is(h->name(m), "max_output_tokens") && mg_max_tokens(c)))
			h->put_raw(w, mg_terminated(c, h->name(m)), h->raw(m));
}

static void put_others(struct mg_call *c, struct mg_writer *w)
{
	static const char *const as_given[] = { "temperature", "top_p", "parallel_tool_calls", "metadata", "service_tier", "user",
		"safety_identifier", "prompt_cache_key", "prompt_cache_retention", "truncation" };
	const struct mg_host *h = c->host;
	uint64_t max = mg_max_tokens(c);

	for (size_t i = 0; i < sizeof(as_given) / sizeof(as_given[0]); i++) {
		struct mg_view v = mg_asked(c, as_given[i]);

		if (h->kind(v) > MG_NULL && !mg_listed(c, mg_quirk(c, "drop"), (struct mg_str){ as_given[i], strlen(as_given[i]) }))
			h->put_raw(w, as_given[i], h->raw(v));
	}
	if (max)
		h->put_int(w, "max_output_tokens", (int64_t)max);
	put_set(c, w, "set");
	if (h->kind(mg_asked(c, "stream")) == MG_TRUE) {
		h->put_raw(w, "stream", MG_STR("true"));
		put_set(c, w, "stream_set");
	}
}

#endif
