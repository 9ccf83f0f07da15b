/*
 * openai_request.h - the request half of openai.c: the members of the canonical
 * request with what the gateway alone understands taken out, and each quirk put
 * to work.  What is not known here goes through byte for byte.  The messages:
 * openai_messages.h.
 */
#ifndef OPENAI_REQUEST_H
#define OPENAI_REQUEST_H

#include "moongate_chat.h"

/* For the gateway; quirk "keep" lets some through. */
static const char *const gateway_only[] = { "models", "route", "provider", "plugins", "preset", "transforms", "session_id",
	"usage", "debug", "trace", "policy", "cache_control", "stop_server_tools_when", "max_tool_calls", NULL };
/* Written by functions of their own. */
static const char *const own[] = { "model", "messages", "max_tokens", "max_completion_tokens", "reasoning", "reasoning_effort",
	"include_reasoning", "stream_options", "stop", "tools", "tool_choice", "logprobs", "top_logprobs", NULL };
static const char *const message_only[] = { "annotations", "images", "model", NULL };
static const char *const thoughts[] = { "reasoning", "reasoning_content", "reasoning_details", NULL };

static bool one_of(struct mg_str s, const char *const *words)
{
	while (*words && !mg_is(s, *words))
		words++;
	return *words;
}

static bool quirk_is(struct mg_call *c, const char *name, const char *word)
{
	return mg_is(c->host->text(c, mg_quirk(c, name)), word);
}

static bool kept(struct mg_call *c, struct mg_str name)
{
	return mg_listed(c, mg_quirk(c, "keep"), name);
}

static const char *terminated(struct mg_call *c, struct mg_str s)
{
	char *out = c->host->alloc(c, s.len + 1);

	if (out)
		memcpy(out, s.at, s.len);
	return out ? out : "";
}

/* May the upstream see this member of the body? */
static bool taken(struct mg_call *c, const char *name)
{
	struct mg_str s = { name, strlen(name) };
	struct mg_view only = mg_quirk(c, "only");

	return !mg_listed(c, mg_quirk(c, "drop"), s) && (!only.doc || mg_listed(c, only, s));
}

static bool passes(struct mg_call *c, struct mg_str name)
{
	return !one_of(name, own) && (!one_of(name, gateway_only) || kept(c, name));
}

static void put_bool(struct mg_call *c, struct mg_writer *w, const char *name, bool b)
{
	c->host->put_raw(w, name, b ? MG_STR("true") : MG_STR("false"));
}

/* --------------------------------------------------- members of the body */

/* {"type":"json","value":SCHEMA}, where the upstream has it so. */
static bool put_schema(struct mg_call *c, struct mg_writer *w, struct mg_view format)
{
	const struct mg_host *h = c->host;
	struct mg_view schema = h->get(h->get(format, "json_schema"), "schema");

	if (!schema.doc || !quirk_is(c, "schema", "value"))
		return false;
	h->open(w, "response_format", '{');
	h->put(w, "type", MG_STR("json"));
	h->put_raw(w, "value", h->raw(schema));
	h->close(w);
	return true;
}

static void put_members(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view rename = mg_quirk(c, "rename");

	for (struct mg_view m = h->at(h->request(c), 0); h->kind(m); m = h->next(m)) {
		const char *name = passes(c, h->name(m)) ? terminated(c, h->name(m)) : NULL;
		struct mg_str other;

		if (!name)
			continue;
		other = h->text(c, h->get(rename, name));
		if (other.at)
			name = terminated(c, other);
		if (taken(c, name) && !(mg_is(h->name(m), "response_format") && put_schema(c, w, m)))
			h->put_raw(w, name, h->raw(m));
	}
}

/* Members of a quirk's object, where the client gave none itself. */
static void put_set(struct mg_call *c, struct mg_writer *w, const char *quirk)
{
	const struct mg_host *h = c->host;

	for (struct mg_view m = h->at(mg_quirk(c, quirk), 0); h->kind(m); m = h->next(m)) {
		const char *name = terminated(c, h->name(m));

		if (!h->kind(h->get(h->request(c), name)) || !passes(c, h->name(m)))
			h->put_raw(w, name, h->raw(m));
	}
}

static void put_limit(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view a = h->get(h->request(c), "max_completion_tokens"), b = h->get(h->request(c), "max_tokens");
	struct mg_str called = h->text(c, mg_quirk(c, "max_tokens"));

	if (mg_is(called, "as_given")) {
		h->put_raw(w, "max_completion_tokens", h->raw(a));
		h->put_raw(w, "max_tokens", h->raw(b));
		return;
	}
	h->put_raw(w, mg_is(called, "max_completion_tokens") ? "max_completion_tokens" : "max_tokens",
		h->raw(h->kind(a) == MG_NUMBER ? a : h->kind(b) == MG_NUMBER ? b : (struct mg_view){ NULL, 0 }));
}

static void put_nested(struct mg_call *c, struct mg_writer *w, const char *outer, const char *name, bool on)
{
	if (c->host->kind(c->host->get(c->host->request(c), outer)) && passes(c, (struct mg_str){ outer, strlen(outer) }))
		return;		/* the client spoke the upstream's own word */
	c->host->open(w, outer, '{');
	put_bool(c, w, name, on);
	c->host->close(w);
}

static void put_effort(struct mg_call *c, struct mg_writer *w, const struct mg_reasoning *t)
{
	struct mg_view list = mg_quirk(c, "efforts");

	if (t->effort.at && (!list.doc || mg_listed(c, list, t->effort)))
		c->host->put(w, "reasoning_effort", t->effort);
	else
		c->host->put(w, "reasoning_effort", mg_effort_near(c, list, mg_reasoning_rank(t, mg_max_tokens(c))));
}

static void put_reasoning_as(struct mg_call *c, struct mg_writer *w, struct mg_str way, const struct mg_reasoning *t)
{
	const struct mg_host *h = c->host;

	if (mg_is(way, "reasoning")) {
		for (size_t i = 4; i < 7; i++)		/* reasoning, reasoning_effort, include_reasoning */
			h->put_raw(w, own[i], h->raw(h->get(h->request(c), own[i])));
	} else if (!t->asked && !t->off) {
		return;
	} else if (mg_is(way, "reasoning_effort")) {
		put_effort(c, w, t);
	} else if (mg_is(way, "thinking")) {
		if (h->kind(h->get(h->request(c), "thinking")))
			return;
		h->open(w, "thinking", '{');
		h->put(w, "type", t->off ? MG_STR("disabled") : MG_STR("enabled"));
		h->close(w);
	} else if (mg_is(way, "reasoning_enabled")) {
		put_nested(c, w, "reasoning", "enabled", !t->off);
	} else if (mg_is(way, "chat_template_kwargs")) {
		put_nested(c, w, "chat_template_kwargs", "enable_thinking", !t->off);
	} else if (mg_is(way, "enable_thinking") && !h->kind(h->get(h->request(c), "enable_thinking"))) {
		put_bool(c, w, "enable_thinking", !t->off);
		if (t->tokens)
			h->put_int(w, "thinking_budget", (int64_t)t->tokens);
	} else if (mg_is(way, "disable_reasoning") && !h->kind(h->get(h->request(c), "disable_reasoning"))) {
		put_bool(c, w, "disable_reasoning", t->off);
	}
}

static void put_reasoning(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_reasoning t = mg_reasoning(c);
	struct mg_view ways = mg_quirk(c, "reasoning_out");

	if (h->kind(ways) != MG_ARRAY) {
		put_reasoning_as(c, w, ways.doc ? h->text(c, ways) : MG_STR("reasoning_effort"), &t);
		return;
	}
	for (struct mg_view v = h->at(ways, 0); h->kind(v); v = h->next(v))
		put_reasoning_as(c, w, h->text(c, v), &t);
}

static void put_stream(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view given;

	if (h->kind(h->get(h->request(c), "stream")) != MG_TRUE)
		return;
	given = h->get(h->request(c), "stream_options");
	put_set(c, w, "stream_set");
	if (quirk_is(c, "stream_usage", "always") || !taken(c, "stream_options"))
		return;
	h->open(w, "stream_options", '{');
	for (struct mg_view m = h->at(given, 0); h->kind(m); m = h->next(m))
		if (!mg_is(h->name(m), "include_usage"))
			h->put_raw(w, terminated(c, h->name(m)), h->raw(m));
	put_bool(c, w, "include_usage", true);
	h->close(w);
}

static void put_stop(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view stop = h->get(h->request(c), "stop");

	if (!stop.doc || !taken(c, "stop"))
		return;
	if (h->kind(stop) != MG_STRING || !quirk_is(c, "stop", "array")) {
		h->put_raw(w, "stop", h->raw(stop));
		return;
	}
	h->open(w, "stop", '[');
	h->put_raw(w, NULL, h->raw(stop));
	h->close(w);
}

/* An object without one of its members. */
static void put_without(struct mg_call *c, struct mg_writer *w, struct mg_view o, const char *member)
{
	const struct mg_host *h = c->host;

	if (!h->get(o, member).doc) {
		h->put_raw(w, NULL, h->raw(o));
		return;
	}
	h->open(w, NULL, '{');
	for (struct mg_view m = h->at(o, 0); h->kind(m); m = h->next(m))
		if (!mg_is(h->name(m), member))
			h->put_raw(w, terminated(c, h->name(m)), h->raw(m));
	h->close(w);
}

/* Quirk tool_choice: the one tool that must be called, where the upstream knows no names; else absent. */
static struct mg_str only_tool(struct mg_call *c)
{
	struct mg_view choice = mg_asked(c, "tool_choice");

	if (c->host->kind(choice) != MG_OBJECT || !quirk_is(c, "tool_choice", "required"))
		return (struct mg_str){ NULL, 0 };
	return c->host->text(c, c->host->get(c->host->get(choice, "function"), "name"));
}

static void put_tools(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view tools = h->get(h->request(c), "tools");
	struct mg_str only = only_tool(c);

	if (taken(c, "tool_choice")) {
		if (only.at)
			h->put(w, "tool_choice", MG_STR("required"));
		else
			h->put_raw(w, "tool_choice", h->raw(mg_asked(c, "tool_choice")));
	}
	if (!tools.doc || !taken(c, "tools"))
		return;
	put_set(c, w, "tools_set");
	if (h->kind(tools) != MG_ARRAY || (kept(c, MG_STR("cache_control")) && !only.at)) {
		h->put_raw(w, "tools", h->raw(tools));
		return;
	}
	h->open(w, "tools", '[');
	for (struct mg_view t = h->at(tools, 0); h->kind(t); t = h->next(t)) {
		struct mg_str name = h->text(c, h->get(h->get(t, "function"), "name"));

		if (!only.at || (name.len == only.len && !memcmp(name.at, only.at, only.len)))
			put_without(c, w, t, "cache_control");
	}
	h->close(w);
}

/* Quirk logprobs: "number": how many, in the place of yes and how many. */
static void put_logprobs(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view yes = mg_asked(c, "logprobs"), top = mg_asked(c, "top_logprobs");
	uint64_t n = 0;

	if (quirk_is(c, "logprobs", "number")) {
		h->count(top, &n);
		if (h->kind(yes) == MG_TRUE)
			h->put_int(w, "logprobs", n ? (int64_t)n : 1);
		return;
	}
	if (taken(c, "logprobs"))
		h->put_raw(w, "logprobs", h->raw(yes));
	if (taken(c, "top_logprobs"))
		h->put_raw(w, "top_logprobs", h->raw(top));
}

#endif
