/*
 * anthropic_request.h - the request half of anthropic.c: turns that alternate,
 * tools, thinking within its rules, and what else the service takes.
 */
#ifndef ANTHROPIC_REQUEST_H
#define ANTHROPIC_REQUEST_H

#include "anthropic_blocks.h"

enum { BUDGET_MIN = 1024, BUDGET_MAX = 128000, MAX_TOKENS = 4096 };

/* What the request turned out to be. */
struct plan {
	uint64_t max_tokens, budget;	/* budget: 0: no thinking by budget */
	bool adaptive, off, thinks;	/* off: thinking is said to be disabled */
	bool json_tool;			/* the schema is asked for as a forced tool, "json" */
	struct mg_reasoning wish;
};

/* -------------------------------------------------------------- messages */

/* Would the message give a block? */
static bool says_something(struct mg_call *c, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct mg_view content = h->get(m, "content");

	if (mg_role_is(c, m, "tool") || h->kind(h->at(h->get(m, "tool_calls"), 0)))
		return true;
	for (struct mg_view v = h->at(h->get(m, "reasoning_details"), 0); h->kind(v); v = h->next(v))
		if (is_thought(c, v))
			return true;
	if (h->kind(content) != MG_ARRAY)
		return !mg_no_text(c, content);
	for (struct mg_view v = h->at(content, 0); h->kind(v); v = h->next(v))
		if (!mg_is(h->text(c, h->get(v, "type")), "text") || !mg_no_text(c, h->get(v, "text")))
			return true;
	return false;
}

/* One turn: the run of messages [m, end) of one side; results of tools come first. */
static int put_turn(struct mg_call *c, struct mg_writer *w, struct mg_view m, size_t n, bool assistant, bool last)
{
	const struct mg_host *h = c->host;
	struct mg_view v = m;
	int rc = MG_OK;

	h->open(w, NULL, '{');
	h->put(w, "role", assistant ? MG_STR("assistant") : MG_STR("user"));
	h->open(w, "content", '[');
	for (size_t i = 0; i < n && !rc; i++, v = h->next(v)) {
		if (assistant)
			rc = put_assistant(c, w, v, last && i == n - 1);
		else if (mg_role_is(c, v, "tool"))
			rc = put_tool_result(c, w, v);
	}
	v = m;
	for (size_t i = 0; i < n && !rc && !assistant; i++, v = h->next(v))
		if (!mg_role_is(c, v, "tool"))
			rc = put_content(c, w, h->get(v, "content"), false);
	h->close(w);
	h->close(w);
	return rc;
}

static int put_messages(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view m = h->at(mg_asked(c, "messages"), 0);
	bool first = true;
	int rc = MG_OK;

	while (h->kind(m) && mg_is_system(c, m))
		m = h->next(m);		/* those are in "system" */
	h->open(w, "messages", '[');
	while (h->kind(m) && !rc) {
		bool assistant = mg_role_is(c, m, "assistant"), any = false;
		struct mg_view end = m;
		size_t n = 0;

		for (; h->kind(end) && mg_role_is(c, end, "assistant") == assistant; end = h->next(end), n++)
			any = any || says_something(c, end);
		if (any && first && assistant) {	/* the user has the first word */
			h->open(w, NULL, '{');
			h->put(w, "role", MG_STR("user"));
			h->put(w, "content", MG_STR("."));
			h->close(w);
		}
		if (any)
			rc = put_turn(c, w, m, n, assistant, !h->kind(end));
		first = first && !any;
		m = end;
	}
	h->close(w);
	return rc;
}

/* Leading system and developer messages; and how JSON is asked for where there is no schema. */
static int put_system(struct mg_call *c, struct mg_writer *w)
{
	static const char json_only[] = "Answer with one JSON object and nothing else: no prose, no code fence.";
	const struct mg_host *h = c->host;
	struct mg_view m = h->at(mg_asked(c, "messages"), 0);
	bool json = mg_is(h->text(c, h->get(mg_asked(c, "response_format"), "type")), "json_object"), any = json;
	int rc = MG_OK;

	for (struct mg_view v = m; h->kind(v) && mg_is_system(c, v); v = h->next(v))
		any = any || says_something(c, v);
	if (!any)
		return MG_OK;
	h->open(w, "system", '[');
	for (; h->kind(m) && mg_is_system(c, m) && !rc; m = h->next(m))
		rc = put_content(c, w, h->get(m, "content"), false);
	if (json)
		put_text(c, w, MG_STR(json_only), (struct mg_view){ NULL, 0 });
	h->close(w);
	return rc;
}

/* ----------------------------------------------------------------- tools */

static int put_tool(struct mg_call *c, struct mg_writer *w, struct mg_view tool)
{
	const struct mg_host *h = c->host;
	struct mg_view fn = h->get(tool, "function"), schema = h->get(fn, "parameters");
	struct mg_str type = h->text(c, h->get(tool, "type"));

	if (!mg_is(type, "function")) {
		if (!type.len || memchr(type.at, ':', type.len))
			return h->fail(c, MG_EINVAL, "tools[].type: not one that this upstream knows; use \"function\"");
		h->put_raw(w, NULL, h->raw(tool));	/* the service's own: web_search_20250305, .. */
		return MG_OK;
	}
	h->open(w, NULL, '{');
	h->put_raw(w, "name", h->raw(h->get(fn, "name")));
	h->put(w, "description", h->text(c, h->get(fn, "description")));
	h->put_raw(w, "input_schema", h->kind(h->get(schema, "type")) ? h->raw(schema) : MG_STR("{\"type\":\"object\",\"properties\":{}}"));
	if (h->kind(h->get(fn, "strict")) == MG_TRUE && !mg_quirk_is(c, "structured", "tool"))
		h->put_raw(w, "strict", MG_STR("true"));
	h->put_raw(w, "cache_control", h->raw(h->get(tool, "cache_control").doc ? h->get(tool, "cache_control") : h->get(fn, "cache_control")));
	h->close(w);
	return MG_OK;
}

/* A history with tool calls needs tools, even where the client gave none any more. */
static bool put_remembered(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_str names[32];
	size_t n = mg_called(c, names, 32), i;

	if (!n)
		return false;
	h->open(w, "tools", '[');
	for (i = 0; i < n; i++) {
		h->open(w, NULL, '{');
		h->put(w, "name", names[i]);
		h->put_raw(w, "input_schema", MG_STR("{\"type\":\"object\",\"properties\":{}}"));
		h->close(w);
	}
	h->close(w);
	h->put_raw(w, "tool_choice", MG_STR("{\"type\":\"none\"}"));
	return true;
}

static struct mg_view schema_of(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	struct mg_view f = mg_asked(c, "response_format");

	if (!mg_is(h->text(c, h->get(f, "type")), "json_schema"))
		return (struct mg_view){ NULL, 0 };
	return h->get(h->get(f, "json_schema"), "schema");
}

static bool forced(struct mg_call *c)
{
	struct mg_view choice = mg_asked(c, "tool_choice");

	return c->host->kind(choice) == MG_OBJECT || mg_is(c->host->text(c, choice), "required");
}

static void put_tool_choice(struct mg_call *c, struct mg_writer *w, const struct plan *p, bool others)
{
	const struct mg_host *h = c->host;
	struct mg_view choice = mg_asked(c, "tool_choice"), name = h->get(h->get(choice, "function"), "name");
	struct mg_str word = h->text(c, choice);
	bool single = h->kind(mg_asked(c, "parallel_tool_calls")) == MG_FALSE && !mg_is(word, "none");

	if (!choice.doc && !single && !p->json_tool)
		return;
	h->open(w, "tool_choice", '{');
	if (p->json_tool && !others) {
		h->put(w, "type", MG_STR("tool"));
		h->put(w, "name", MG_STR("json"));
	} else if (name.doc) {
		h->put(w, "type", MG_STR("tool"));
		h->put_raw(w, "name", h->raw(name));
	} else {
		h->put(w, "type", p->json_tool || mg_is(word, "required") ? MG_STR("any") : mg_is(word, "none") ? MG_STR("none") : MG_STR("auto"));
	}
	if (single)
		h->put_raw(w, "disable_parallel_tool_use", MG_STR("true"));
	h->close(w);
}

static int put_tools(struct mg_call *c, struct mg_writer *w, const struct plan *p)
{
	const struct mg_host *h = c->host;
	struct mg_view tool = h->at(mg_asked(c, "tools"), 0);
	bool others = h->kind(tool);
	int rc = MG_OK;

	if (!others && !p->json_tool) {
		put_remembered(c, w);
		return MG_OK;
	}
	h->open(w, "tools", '[');
	for (; h->kind(tool) && !rc; tool = h->next(tool))
		rc = put_tool(c, w, tool);
	if (p->json_tool) {
		h->open(w, NULL, '{');
		h->put(w, "name", MG_STR("json"));
		h->put(w, "description", MG_STR("Give the final answer, as its input."));
		h->put_raw(w, "input_schema", h->raw(schema_of(c)));
		h->close(w);
	}
	h->close(w);
	put_tool_choice(c, w, p, others);
	return rc;
}

/* -------------------------------------------------------------- thinking */

/* Inside a tool loop the last assistant turn must begin with its thinking; a
 * client that did not send it back goes on without. */
static bool loop_without_thoughts(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	struct mg_view last = { NULL, 0 };
	bool tool = false;

	for (struct mg_view m = h->at(mg_asked(c, "messages"), 0); h->kind(m); m = h->next(m)) {
		if (mg_role_is(c, m, "assistant"))
			last = m;
		tool = mg_role_is(c, m, "tool");
	}
	if (!tool)
		return false;
	for (struct mg_view v = h->at(h->get(last, "reasoning_details"), 0); h->kind(v); v = h->next(v))
		if (is_thought(c, v))
			return false;
	return true;
}

static uint64_t budget_of(const struct plan *p)
{
	uint64_t b = p->wish.tokens;

	if (!b)
		b = p->max_tokens / 100 * mg_efforts[mg_reasoning_rank(&p->wish, p->max_tokens)].percent;
	b = b < BUDGET_MIN ? BUDGET_MIN : b > BUDGET_MAX ? BUDGET_MAX : b;
	if (b >= p->max_tokens)
		b = p->max_tokens - 1;
	return b < BUDGET_MIN ? 0 : b;		/* no room to think */
}

static void plan_request(struct mg_call *c, struct plan *p)
{
	const struct mg_host *h = c->host;

	p->wish = mg_reasoning(c);
	p->max_tokens = mg_max_tokens(c);
	if (!p->max_tokens)
		h->count(h->get(h->endpoint(c), "max_output"), &p->max_tokens);
	if (!p->max_tokens)
		p->max_tokens = MAX_TOKENS;
	p->json_tool = schema_of(c).doc && mg_quirk_is(c, "structured", "tool");
	p->off = p->wish.off && h->kind(mg_quirk(c, "thinking_default")) == MG_TRUE;
	if (!p->wish.asked || mg_quirk_is(c, "thinking", "none") || loop_without_thoughts(c))
		return;
	p->adaptive = mg_quirk_is(c, "thinking", "adaptive") && !(p->json_tool);
	if (!p->adaptive && !p->json_tool && !forced(c))
		p->budget = budget_of(p);
	p->thinks = p->adaptive || p->budget;
}

static void put_thinking(struct mg_call *c, struct mg_writer *w, const struct plan *p)
{
	const struct mg_host *h = c->host;

	if (!p->thinks && !p->off) {
		h->put_raw(w, "thinking", h->raw(mg_asked(c, "thinking")));	/* the client's own */
		return;
	}
	h->open(w, "thinking", '{');
	h->put(w, "type", !p->thinks ? MG_STR("disabled") : p->adaptive ? MG_STR("adaptive") : MG_STR("enabled"));
	if (p->budget)
		h->put_int(w, "budget_tokens", (int64_t)p->budget);
	if (p->adaptive)
		h->put(w, "display", p->wish.hidden ? MG_STR("omitted") : MG_STR("summarized"));
	h->close(w);
}

/* Effort and schema live in one object. */
static void put_output(struct mg_call *c, struct mg_writer *w, const struct plan *p)
{
	const struct mg_host *h = c->host;
	struct mg_str word = h->text(c, mg_asked(c, "verbosity")), effort = { NULL, 0 };
	struct mg_view list = mg_quirk(c, "efforts"), schema = schema_of(c);

	if (list.doc && p->thinks)
		effort = mg_effort_near(c, list, mg_reasoning_rank(&p->wish, p->max_tokens));
	else if (list.doc && word.at)
		effort = mg_effort_near(c, list, mg_effort_rank(word));
	if (p->json_tool)
		schema = (struct mg_view){ NULL, 0 };
	if (!effort.at && !schema.doc)
		return;
	h->open(w, "output_config", '{');
	h->put(w, "effort", effort);
	if (schema.doc) {
		h->open(w, "format", '{');
		h->put(w, "type", MG_STR("json_schema"));
		h->put_raw(w, "schema", h->raw(schema));
		h->close(w);
	}
	h->close(w);
}

/* ------------------------------------------------------------- the rest */

static void put_sampling(struct mg_call *c, struct mg_writer *w, const struct plan *p)
{
	const struct mg_host *h = c->host;
	struct mg_view t = mg_asked(c, "temperature"), top_p = mg_asked(c, "top_p");
	struct mg_str text = h->text(c, t);

	if (p->thinks || mg_quirk_is(c, "sampling", "none"))
		return;		/* with thinking only the defaults are taken */
	if (h->kind(t) == MG_NUMBER)	/* 0..1 here, 0..2 at the client */
		h->put_raw(w, "temperature", text.len && text.at[0] >= '1' ? MG_STR("1") : h->raw(t));
	if (h->kind(top_p) == MG_NUMBER && !(h->kind(t) == MG_NUMBER && mg_quirk_is(c, "sampling", "one")))
		h->put_raw(w, "top_p", h->raw(top_p));
	if (h->kind(mg_asked(c, "top_k")) == MG_NUMBER && !mg_is(h->text(c, mg_asked(c, "top_k")), "0"))
		h->put_raw(w, "top_k", h->raw(mg_asked(c, "top_k")));
}

static void put_stop(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view stop = mg_asked(c, "stop");

	if (h->kind(stop) == MG_ARRAY)
		h->put_raw(w, "stop_sequences", h->raw(stop));
	if (h->kind(stop) != MG_STRING)
		return;
	h->open(w, "stop_sequences", '[');
	h->put_raw(w, NULL, h->raw(stop));
	h->close(w);
}

static void put_others(struct mg_call *c, struct mg_writer *w)
{
	static const char *const as_given[] = { "cache_control", "container", "context_management", "inference_geo",
		"mcp_servers", "speed" };
	const struct mg_host *h = c->host;
	struct mg_str tier = h->text(c, mg_asked(c, "service_tier")), user = h->text(c, mg_asked(c, "user"));

	for (size_t i = 0; i < sizeof(as_given) / sizeof(as_given[0]); i++)
		h->put_raw(w, as_given[i], h->raw(mg_asked(c, as_given[i])));
	if (h->kind(mg_quirk(c, "stream_in_body")) != MG_FALSE)
		h->put_raw(w, "stream", h->raw(mg_asked(c, "stream")));
	if (h->kind(mg_quirk(c, "beta")) == MG_ARRAY)
		h->put_raw(w, "anthropic_beta", h->raw(mg_quirk(c, "beta")));
	if (mg_is(tier, "auto") || mg_is(tier, "standard_only") || mg_is(tier, "default"))
		h->put(w, "service_tier", mg_is(tier, "default") ? MG_STR("standard_only") : tier);
	else if ((mg_is(tier, "fast") || mg_is(tier, "priority")) && !mg_asked(c, "speed").doc)
		h->put(w, "speed", MG_STR("fast"));
	if (!user.at)
		user = h->text(c, h->get(mg_asked(c, "metadata"), "user_id"));
	if (user.at) {
		h->open(w, "metadata", '{');
		h->put(w, "user_id", user);
		h->close(w);
	}
}

#endif
