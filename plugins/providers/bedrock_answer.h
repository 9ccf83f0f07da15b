/*
 * bedrock_answer.h - the answer half of bedrock.c: Converse's blocks, whole or
 * in pieces, into canonical events.
 */
#ifndef BEDROCK_ANSWER_H
#define BEDROCK_ANSWER_H

#include "bedrock_blocks.h"

enum { UNKNOWN = 1, TOOLS_MAX = 1024 };

struct tool { struct tool *next; uint64_t block; uint32_t index; bool args, json, over; };
struct answer {			/* the state of one answer */
	struct mg_usage usage;
	struct tool *tools, *last;
	enum family family;
	uint64_t block;			/* the thought that is under way, its block and one: 0 is none */
	uint32_t n_tools, thoughts, images;
	bool started, json_tool, json_used, ended;
	char image[8], word[48];	/* a picture's format; stopReason */
	size_t word_len;
};

/* ----------------------------------------------------------------- usage */

static int usage(struct mg_call *c, struct mg_view u)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_usage *m = &a->usage;
	uint64_t total = 0, written = 0, hour = 0;

	if (h->kind(u) != MG_OBJECT)
		return MG_OK;
	*m = (struct mg_usage){ .size = sizeof(*m), .requests = 1, .cost_nusd = -1 };
	h->count(h->get(u, "inputTokens"), &m->input);
	h->count(h->get(u, "outputTokens"), &m->output);
	if (!h->count(h->get(u, "cacheReadInputTokens"), &m->cached))	/* both names, once */
		h->count(h->get(u, "cacheReadInputTokenCount"), &m->cached);
	if (!h->count(h->get(u, "cacheWriteInputTokens"), &written))
		h->count(h->get(u, "cacheWriteInputTokenCount"), &written);
	for (struct mg_view v = h->at(h->get(u, "cacheDetails"), 0); h->kind(v); v = h->next(v))
		if (mg_is(h->text(c, h->get(v, "ttl")), "1h"))
			h->count(h->get(v, "inputTokens"), &hour);
	h->count(h->get(u, "totalTokens"), &total);
	if (m->cached + written && total == m->input + m->output && m->input >= m->cached + written)
		m->input -= m->cached + written;	/* this family counts them in */
	m->cache_write_1h = hour < written ? hour : written;
	m->cache_write = written - m->cache_write_1h;
	return h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = m));
}

/* ---------------------------------------------------------------- blocks */

static int text(struct mg_call *c, struct mg_str data)
{
	return data.len ? c->host->emit(c, MG_EVENT(MG_EV_TEXT, .data = data)) : MG_OK;
}

static int thought(struct mg_call *c, struct mg_str data, const char *type, const char *member, struct mg_str value)
{
	const struct mg_host *h = c->host;
	const struct answer *a = c->state;
	struct mg_writer *w = h->writer(c);
	struct mg_str extra = { NULL, 0 };

	if (member ? !value.len : !data.len)
		return MG_OK;
	if (member) {
		h->open(w, NULL, '{');
		h->put(w, "type", (struct mg_str){ type, strlen(type) });
		h->put(w, member, value);
		h->close(w);
		extra = h->written(w);
	}
	return h->emit(c, MG_EVENT(MG_EV_REASONING, .index = a->thoughts - 1, .data = data, .name = thought_format(a->family), .extra = extra));
}

/* Claude's own API gives the bytes as the text that they are. */
static struct mg_str redacted(struct mg_call *c, struct mg_view v)
{
	const struct answer *a = c->state;
	struct mg_str plain = a->family == F_ANTHROPIC ? c->host->blob(c, v) : (struct mg_str){ NULL, 0 };

	for (size_t i = 0; i < plain.len; i++)
		if (plain.at[i] < ' ' || plain.at[i] > '~')
			return c->host->text(c, v);
	return plain.len ? plain : c->host->text(c, v);
}

/* reasoningText is an object in a whole answer, its members stand alone in a stream. */
static int reasoning(struct mg_call *c, struct mg_view r)
{
	const struct mg_host *h = c->host;
	struct mg_view from = h->get(r, "reasoningText").doc ? h->get(r, "reasoningText") : r;
	int rc = thought(c, h->text(c, h->get(from, "text")), NULL, NULL, (struct mg_str){ NULL, 0 });

	if (!rc)
		rc = thought(c, (struct mg_str){ NULL, 0 }, "reasoning.text", "signature", h->text(c, h->get(from, "signature")));
	if (!rc && h->kind(h->get(r, "redactedContent")) == MG_STRING)
		rc = thought(c, (struct mg_str){ NULL, 0 }, "reasoning.encrypted", "data", redacted(c, h->get(r, "redactedContent")));
	return rc;
}

/* A source on the web as the client knows it; others have no canonical shape. */
static int citation(struct mg_call *c, struct mg_view v)
{
	const struct mg_host *h = c->host;
	struct mg_view url = h->get(h->get(h->get(v, "location"), "web"), "url");
	struct mg_writer *w = h->writer(c);

	if (mg_no_text(c, url))
		return MG_OK;
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("url_citation"));
	h->open(w, "url_citation", '{');
	h->put_raw(w, "url", h->raw(url));
	h->put_raw(w, "title", h->raw(h->get(v, "title")));
	h->put_raw(w, "content", h->raw(h->get(h->at(h->get(v, "sourceContent"), 0), "text")));
	h->close(w);
	h->close(w);
	return h->emit(c, MG_EVENT(MG_EV_ANNOTATION, .extra = h->written(w)));
}

static int picture(struct mg_call *c, struct mg_str format, struct mg_view source)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_str bytes = h->blob(c, h->get(source, "bytes"));
	char type[24];
	int n = snprintf(type, sizeof(type), "image/%.*s", (int)(format.len < 8 ? format.len : 8), format.at ? format.at : "");

	if (!bytes.len)
		return MG_OK;
	return h->emit(c, MG_EVENT(MG_EV_IMAGE, .index = a->images++, .name = { type, (size_t)n }, .data = bytes));
}

/* ------------------------------------------------------------ tool calls */

static int arguments(struct mg_call *c, struct tool *t, struct mg_str data)
{
	if (!data.len)
		return MG_OK;
	t->args = true;
	if (t->json)
		return text(c, data);
	return c->host->emit(c, MG_EVENT(MG_EV_TOOL_ARGS, .index = t->index, .data = data));
}

static int tool_begin(struct mg_call *c, uint64_t block, struct mg_view use, struct tool **out)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_str name = h->text(c, h->get(use, "name"));
	struct tool *t;

	*out = NULL;
	if (mg_is(h->text(c, h->get(use, "type")), "server_tool_use"))
		return MG_OK;		/* the service calls and answers it itself */
	t = a->n_tools < TOOLS_MAX ? h->alloc(c, sizeof(*t)) : NULL;
	if (!t)
		return h->fail(c, MG_EPROTO, "more than %d tool calls in one answer", TOOLS_MAX);
	*t = (struct tool){ .block = block, .index = a->n_tools, .json = a->json_tool && mg_is(name, "json") };
	if (a->last)
		a->last->next = t;
	else
		a->tools = t;
	a->last = *out = t;
	if (t->json) {
		a->json_used = true;
		return MG_OK;
	}
	a->n_tools++;
	return h->emit(c, MG_EVENT(MG_EV_TOOL_BEGIN, .index = t->index, .id = h->text(c, h->get(use, "toolUseId")), .name = name));
}

static int tool_end(struct mg_call *c, struct tool *t)
{
	int rc = MG_OK;

	if (!t || t->over)
		return MG_OK;
	t->over = true;
	if (!t->args)
		rc = arguments(c, t, MG_STR("{}"));	/* a call without arguments sends none */
	return rc || t->json ? rc : c->host->emit(c, MG_EVENT(MG_EV_TOOL_END, .index = t->index));
}

static struct tool *tool_at(const struct answer *a, uint64_t block)
{
	struct tool *t = a->tools;

	while (t && t->block != block)
		t = t->next;
	return t;
}

/* --------------------------------------------------------------- the end */

static void stopped(struct mg_call *c, struct mg_view from)
{
	struct answer *a = c->state;
	struct mg_str s = c->host->text(c, c->host->get(from, "stopReason"));

	if (!s.len)
		return;
	a->word_len = s.len < sizeof(a->word) ? s.len : sizeof(a->word);
	memcpy(a->word, s.at, a->word_len);
}

static int conclude(struct mg_call *c)
{
	static const struct { const char *word; enum mg_finish finish; } words[] = {
		{ "max_tokens", MG_LENGTH }, { "model_context_window_exceeded", MG_LENGTH }, { "tool_use", MG_TOOL_CALLS },
		{ "guardrail_intervened", MG_CONTENT_FILTER }, { "content_filtered", MG_CONTENT_FILTER },
		{ "malformed_tool_use", MG_FAILED }, { "malformed_model_output", MG_FAILED },
	};
	struct answer *a = c->state;
	struct mg_str word = { a->word, a->word_len };
	struct mg_failure broke = { .size = sizeof(broke), .kind = MG_E_UPSTREAM, .retryable = true, .code = word,
		.message = MG_STR("the model's answer was malformed") };
	enum mg_finish finish = MG_STOP;	/* end_turn, stop_sequence */
	int rc = MG_OK;

	if (a->ended)
		return MG_OK;
	if (!word.len)
		return c->host->fail(c, MG_EPROTO, "the answer ended without a stop reason");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (mg_is(word, words[i].word))
			finish = words[i].finish;
	if (finish == MG_TOOL_CALLS && !a->n_tools)
		finish = MG_STOP;	/* the forced "json", or the service's own */
	for (struct tool *t = a->tools; t && !rc; t = t->next)
		rc = tool_end(c, t);
	a->ended = true;
	if (rc)
		return rc;
	if (finish == MG_FAILED)
		return c->host->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &broke));
	return c->host->emit(c, MG_EVENT(MG_EV_FINISH, .finish = finish, .name = word));
}

/* --------------------------------------------------- whole and in pieces */

static int start(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;

	if (a->started)
		return MG_OK;
	a->started = true;
	return h->emit(c, MG_EVENT(MG_EV_START, .id = h->answer(c, "x-amzn-requestid"), .name = h->text(c, h->get(h->endpoint(c), "model"))));
}

static int block(struct mg_call *c, uint64_t i, struct mg_view b)
{
	const struct mg_host *h = c->host;
	struct mg_view use = h->get(b, "toolUse"), cited = h->get(b, "citationsContent");
	struct tool *t = NULL;
	int rc = text(c, h->text(c, h->get(b, "text")));

	if (h->get(b, "reasoningContent").doc) {
		((struct answer *)c->state)->thoughts++;
		rc = reasoning(c, h->get(b, "reasoningContent"));
	}
	if (use.doc && !rc) {
		rc = tool_begin(c, i, use, &t);
		if (!rc && t)
			rc = arguments(c, t, h->raw(h->get(use, "input")));
		if (!rc)
			rc = tool_end(c, t);
	}
	for (struct mg_view v = h->at(h->get(cited, "content"), 0); h->kind(v) && !rc; v = h->next(v))
		rc = text(c, h->text(c, h->get(v, "text")));
	for (struct mg_view v = h->at(h->get(cited, "citations"), 0); h->kind(v) && !rc; v = h->next(v))
		rc = citation(c, v);
	if (h->get(b, "image").doc && !rc)
		rc = picture(c, h->text(c, h->get(h->get(b, "image"), "format")), h->get(h->get(b, "image"), "source"));
	return rc;
}

static int whole(struct mg_call *c, struct mg_view j)
{
	const struct mg_host *h = c->host;
	struct mg_view content = h->get(h->get(h->get(j, "output"), "message"), "content");
	uint64_t i = 0;
	int rc = start(c);

	for (struct mg_view b = h->at(content, 0); h->kind(b) && !rc; b = h->next(b))
		rc = block(c, i++, b);
	if (!rc)
		rc = usage(c, h->get(j, "usage"));
	stopped(c, j);
	return rc ? rc : conclude(c);
}

static int begun(struct mg_call *c, uint64_t i, struct mg_view s)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_str format = h->text(c, h->get(h->get(s, "image"), "format"));
	struct tool *t;

	snprintf(a->image, sizeof(a->image), "%.*s", (int)format.len, format.at ? format.at : "");
	return h->get(s, "toolUse").doc ? tool_begin(c, i, h->get(s, "toolUse"), &t) : MG_OK;
}

static int delta(struct mg_call *c, uint64_t i, struct mg_view d)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct tool *t = tool_at(a, i);

	if (h->get(d, "text").doc)
		return text(c, h->text(c, h->get(d, "text")));
	if (h->get(d, "toolUse").doc)
		return t ? arguments(c, t, h->text(c, h->get(h->get(d, "toolUse"), "input"))) : MG_OK;
	if (h->get(d, "citation").doc)
		return citation(c, h->get(d, "citation"));
	if (h->get(d, "image").doc)
		return picture(c, (struct mg_str){ a->image, strlen(a->image) }, h->get(h->get(d, "image"), "source"));
	if (!h->get(d, "reasoningContent").doc)
		return MG_OK;		/* toolResult of the service's own tools, and what comes later */
	if (a->block != i + 1) {	/* text and thoughts begin without a contentBlockStart */
		a->block = i + 1;
		a->thoughts++;
	}
	return reasoning(c, h->get(d, "reasoningContent"));
}

/* UNKNOWN: not an event of an answer. */
static int event_of(struct mg_call *c, struct mg_str event, struct mg_view j)
{
	const struct mg_host *h = c->host;
	uint64_t i = 0;
	int rc;

	h->count(h->get(j, "contentBlockIndex"), &i);
	if (mg_is(event, "messageStart"))
		return start(c);
	if (mg_is(event, "contentBlockStart"))
		return begun(c, i, h->get(j, "start"));
	if (mg_is(event, "contentBlockDelta"))
		return delta(c, i, h->get(j, "delta"));
	if (mg_is(event, "contentBlockStop"))
		return tool_end(c, tool_at(c->state, i));
	if (mg_is(event, "messageStop")) {
		stopped(c, j);
		return MG_OK;		/* usage comes behind it */
	}
	if (!mg_is(event, "metadata"))
		return UNKNOWN;
	rc = usage(c, h->get(j, "usage"));
	return rc ? rc : conclude(c);
}

#endif
