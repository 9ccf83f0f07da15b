/* cohere_request.h - the request half of cohere.c: messages and members in Cohere's words. */
#ifndef COHERE_REQUEST_H
#define COHERE_REQUEST_H

#include <stdio.h>
#include <stdlib.h>
#include "moongate_chat.h"

/* -------------------------------------------------------------- messages */

static int put_part(struct mg_call *c, struct mg_writer *w, struct mg_view part)
{
	const struct mg_host *h = c->host;
	struct mg_str type = h->text(c, h->get(part, "type"));

	if (mg_is(type, "text")) {
		h->open(w, NULL, '{');
		h->put(w, "type", type);
		h->put_raw(w, "text", h->raw(h->get(part, "text")));
		h->close(w);
		return MG_OK;
	}
	if (!mg_is(type, "image_url"))
		return h->fail(c, MG_EINVAL, "messages[].content[].type: this upstream takes no %.*s", (int)type.len, type.at ? type.at : "");
	h->open(w, NULL, '{');
	h->put(w, "type", type);
	h->put_raw(w, "image_url", h->raw(h->get(part, "image_url")));
	h->close(w);
	return MG_OK;
}

static int put_content(struct mg_call *c, struct mg_writer *w, struct mg_view content)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	if (h->kind(content) != MG_ARRAY) {
		h->put_raw(w, "content", h->kind(content) == MG_STRING ? h->raw(content) : MG_STR("\"\""));
		return MG_OK;
	}
	h->open(w, "content", '[');
	for (struct mg_view part = h->at(content, 0); h->kind(part) && !rc; part = h->next(part))
		rc = put_part(c, w, part);
	h->close(w);
	return rc;
}

static struct mg_str words_of(struct mg_call *c, struct mg_view content)
{
	return c->host->kind(content) == MG_ARRAY ? mg_joined(c, content, "text", "") : c->host->text(c, content);
}

static void put_calls(struct mg_call *c, struct mg_writer *w, struct mg_view calls)
{
	const struct mg_host *h = c->host;

	h->open(w, "tool_calls", '[');
	for (struct mg_view v = h->at(calls, 0); h->kind(v); v = h->next(v)) {
		h->open(w, NULL, '{');
		h->put_raw(w, "id", h->raw(h->get(v, "id")));
		h->put(w, "type", MG_STR("function"));
		h->open(w, "function", '{');
		h->put_raw(w, "name", h->raw(h->get(h->get(v, "function"), "name")));
		h->put_raw(w, "arguments", h->raw(h->get(h->get(v, "function"), "arguments")));
		h->close(w);
		h->close(w);
	}
	h->close(w);
}

/* Text beside calls is a plan: content and tool_calls exclude each other. */
static void put_assistant(struct mg_call *c, struct mg_writer *w, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct mg_view calls = h->get(m, "tool_calls");
	struct mg_str text = words_of(c, h->get(m, "content")), thought = mg_thoughts(c, m);

	if (h->kind(h->at(calls, 0))) {
		if (text.len || thought.len)
			h->put(w, "tool_plan", text.len ? text : thought);
		put_calls(c, w, calls);
		return;
	}
	if (!thought.len) {
		h->put(w, "content", text.at ? text : MG_STR(""));
		return;
	}
	h->open(w, "content", '[');
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("thinking"));
	h->put(w, "thinking", thought);
	h->close(w);
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("text"));
	h->put(w, "text", text.at ? text : MG_STR(""));
	h->close(w);
	h->close(w);
}

static int put_message(struct mg_call *c, struct mg_writer *w, struct mg_view m)
{
	const struct mg_host *h = c->host;
	bool tool = mg_role_is(c, m, "tool");
	struct mg_str said = tool ? words_of(c, h->get(m, "content")) : (struct mg_str){ NULL, 0 };
	int rc = MG_OK;

	h->open(w, NULL, '{');
	h->put(w, "role", mg_is_system(c, m) ? MG_STR("system") : h->text(c, h->get(m, "role")));
	if (mg_role_is(c, m, "assistant")) {
		put_assistant(c, w, m);
	} else if (tool) {
		h->put_raw(w, "tool_call_id", h->raw(h->get(m, "tool_call_id")));
		h->put(w, "content", said.at ? said : MG_STR(""));
	} else {
		rc = put_content(c, w, h->get(m, "content"));
	}
	h->close(w);
	return rc;
}

static int put_messages(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	h->open(w, "messages", '[');
	for (struct mg_view m = h->at(mg_asked(c, "messages"), 0); h->kind(m) && !rc; m = h->next(m))
		rc = put_message(c, w, m);
	h->close(w);
	return rc;
}

/* ----------------------------------------------------------------- tools */

static int put_tool(struct mg_call *c, struct mg_writer *w, struct mg_view tool, bool *strict)
{
	const struct mg_host *h = c->host;
	struct mg_view fn = h->get(tool, "function");

	if (!mg_is(h->text(c, h->get(tool, "type")), "function"))
		return h->fail(c, MG_EINVAL, "tools[].type: not one that this upstream knows; use \"function\"");
	*strict = *strict || h->kind(h->get(fn, "strict")) == MG_TRUE;
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("function"));
	h->open(w, "function", '{');
	h->put_raw(w, "name", h->raw(h->get(fn, "name")));
	h->put_raw(w, "description", h->raw(h->get(fn, "description")));
	h->put_raw(w, "parameters", h->get(fn, "parameters").doc ? h->raw(h->get(fn, "parameters")) : MG_STR("{\"type\":\"object\",\"properties\":{}}"));
	h->close(w);
	h->close(w);
	return MG_OK;
}

/* A named tool is the only one that is offered, and one must be called. */
static int put_tools(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view choice = mg_asked(c, "tool_choice"), tools = mg_asked(c, "tools");
	struct mg_str only = h->text(c, h->get(h->get(choice, "function"), "name")), word = h->text(c, choice);
	bool strict = false;
	int rc = MG_OK;

	if (!h->kind(h->at(tools, 0)))
		return MG_OK;
	h->open(w, "tools", '[');
	for (struct mg_view v = h->at(tools, 0); h->kind(v) && !rc; v = h->next(v)) {
		struct mg_str name = h->text(c, h->get(h->get(v, "function"), "name"));

		if (!only.at || (name.len == only.len && !memcmp(name.at, only.at, only.len)))
			rc = put_tool(c, w, v, &strict);
	}
	h->close(w);
	if (strict)
		h->put_raw(w, "strict_tools", MG_STR("true"));
	if (only.at || mg_is(word, "required"))
		h->put(w, "tool_choice", MG_STR("REQUIRED"));
	else if (mg_is(word, "none"))
		h->put(w, "tool_choice", MG_STR("NONE"));
	return rc;
}

/* --------------------------------------------------- members of the body */

/* Sampling that is out of its range is cut to size, as the digits stand. */
static void put_bounded(struct mg_call *c, struct mg_writer *w, const char *asked, const char *name, double most, struct mg_str as)
{
	const struct mg_host *h = c->host;
	struct mg_str n = h->raw(mg_asked(c, asked));
	char text[40];

	if (h->kind(mg_asked(c, asked)) != MG_NUMBER)
		return;
	snprintf(text, sizeof(text), "%.*s", (int)(n.len < sizeof(text) ? n.len : sizeof(text) - 1), n.at);
	h->put_raw(w, name, strtod(text, NULL) > most ? as : n);
}

static void put_stop(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view stop = mg_asked(c, "stop");

	if (h->kind(stop) == MG_ARRAY) {
		h->put_raw(w, "stop_sequences", h->raw(stop));
	} else if (h->kind(stop) == MG_STRING) {
		h->open(w, "stop_sequences", '[');
		h->put(w, NULL, h->text(c, stop));
		h->close(w);
	}
}

static void put_format(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view format = mg_asked(c, "response_format");
	struct mg_str type = h->text(c, h->get(format, "type"));

	if (!mg_is(type, "json_schema") && !mg_is(type, "json_object"))
		return;
	h->open(w, "response_format", '{');
	h->put(w, "type", MG_STR("json_object"));
	h->put_raw(w, "json_schema", h->raw(h->get(h->get(format, "json_schema"), "schema")));
	h->close(w);
}

static void put_thinking(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_reasoning r = mg_reasoning(c);

	if (!r.asked && !r.off)
		return;
	h->open(w, "thinking", '{');
	h->put(w, "type", r.off ? MG_STR("disabled") : MG_STR("enabled"));
	if (r.tokens && !r.off)
		h->put_int(w, "token_budget", (int64_t)r.tokens);
	h->close(w);
}

/* Names that are the same on both sides, and Cohere's own, which the client may give. */
static void put_members(struct mg_call *c, struct mg_writer *w)
{
	static const char *const same[] = { "seed", "frequency_penalty", "presence_penalty", "logprobs", "documents", "citation_options",
		"safety_mode", "priority", "strict_tools", NULL };
	const struct mg_host *h = c->host;
	uint64_t most = mg_max_tokens(c);

	if (most)
		h->put_int(w, "max_tokens", (int64_t)most);
	put_bounded(c, w, "temperature", "temperature", 1.0, MG_STR("1"));
	put_bounded(c, w, "top_p", "p", 0.99, MG_STR("0.99"));
	put_bounded(c, w, "top_k", "k", 500.0, MG_STR("500"));
	for (size_t i = 0; same[i]; i++)
		if (h->kind(mg_asked(c, same[i])) > MG_NULL)
			h->put_raw(w, same[i], h->raw(mg_asked(c, same[i])));
	put_stop(c, w);
	put_format(c, w);
	put_thinking(c, w);
}

#endif
