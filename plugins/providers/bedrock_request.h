/*
 * bedrock_request.h - the request half of bedrock.c: turns that alternate,
 * tools, thinking in each family's own words, and what else Converse takes.
 */
#ifndef BEDROCK_REQUEST_H
#define BEDROCK_REQUEST_H

#include <stdio.h>

#include "bedrock_blocks.h"

enum { BUDGET_MIN = 1024, BUDGET_MAX = 128000, MAX_TOKENS = 4096 };

/* ------------------------------------------------------------------ plan */

static struct mg_view schema_of(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	struct mg_view f = mg_asked(c, "response_format");

	return mg_is(h->text(c, h->get(f, "type")), "json_schema") ? h->get(f, "json_schema") : (struct mg_view){ NULL, 0 };
}

static bool forced(struct mg_call *c)
{
	struct mg_view choice = mg_asked(c, "tool_choice");

	return c->host->kind(choice) == MG_OBJECT || mg_is(c->host->text(c, choice), "required");
}

/* A tool loop whose thoughts did not come back goes on without: a thinking model would refuse it. */
static bool loop_without_thoughts(struct mg_call *c, enum family f)
{
	const struct mg_host *h = c->host;
	bool lost = false;

	for (struct mg_view m = h->at(mg_asked(c, "messages"), 0); h->kind(m); m = h->next(m)) {
		if (mg_role_is(c, m, "user"))
			lost = false;
		if (!h->kind(h->at(h->get(m, "tool_calls"), 0)))
			continue;
		lost = true;
		for (struct mg_view v = h->at(h->get(m, "reasoning_details"), 0); h->kind(v); v = h->next(v))
			if (is_thought(c, v, f))
				lost = false;
	}
	return lost;
}

static uint64_t budget_of(const struct plan *p, uint64_t max)
{
	uint64_t b = p->wish.tokens;

	if (!b)
		b = (max < INT64_MAX / 100 ? max : INT64_MAX / 100) * mg_efforts[mg_reasoning_rank(&p->wish, max)].percent / 100;
	b = b < BUDGET_MIN ? BUDGET_MIN : b > BUDGET_MAX ? BUDGET_MAX : b;
	if (b >= max)
		b = max - 1;
	return b < BUDGET_MIN ? 0 : b;		/* no room to think */
}

static void plan_request(struct mg_call *c, struct plan *p)
{
	const struct mg_host *h = c->host;
	uint64_t max = mg_max_tokens(c);

	p->family = family_of(c);
	p->wish = mg_reasoning(c);
	p->json_tool = schema_of(c).doc && mg_quirk_is(c, "structured", "tool");
	p->off = p->wish.off && h->kind(mg_quirk(c, "thinking_default")) == MG_TRUE;
	for (struct mg_view m = h->at(mg_asked(c, "messages"), 0); h->kind(m); m = h->next(m))
		p->tools = p->tools || mg_role_is(c, m, "tool") || h->kind(h->at(h->get(m, "tool_calls"), 0));
	if (p->family != F_ANTHROPIC || !p->wish.asked || mg_quirk_is(c, "thinking", "none") || loop_without_thoughts(c, p->family))
		return;
	if (!max && !h->count(h->get(h->endpoint(c), "max_output"), &max))
		max = MAX_TOKENS;
	p->adaptive = mg_quirk_is(c, "thinking", "adaptive") && !p->json_tool;
	if (!p->adaptive && !p->json_tool && !forced(c))
		p->budget = budget_of(p, max);
	p->thinks = p->adaptive || p->budget;
}

/* -------------------------------------------------------------- messages */

/* Would the message give a block? */
static bool says_something(struct mg_call *c, struct mg_view m, enum family f)
{
	const struct mg_host *h = c->host;
	struct mg_view content = h->get(m, "content");

	if (mg_role_is(c, m, "tool") || h->kind(h->at(h->get(m, "tool_calls"), 0)))
		return true;
	for (struct mg_view v = h->at(h->get(m, "reasoning_details"), 0); h->kind(v); v = h->next(v))
		if (is_thought(c, v, f))
			return true;
	if (h->kind(content) != MG_ARRAY)
		return !mg_no_text(c, content);
	for (struct mg_view v = h->at(content, 0); h->kind(v); v = h->next(v))
		if (!mg_is(h->text(c, h->get(v, "type")), "text") || !mg_no_text(c, h->get(v, "text")))
			return true;
	return false;
}

/* One turn: the run of n messages from m of one side; results of tools come first. */
static int put_turn(struct mg_call *c, struct mg_writer *w, struct mg_view m, size_t n, bool assistant, bool last, struct plan *p)
{
	const struct mg_host *h = c->host;
	struct mg_view v = m;
	int rc = MG_OK;

	h->open(w, NULL, '{');
	h->put(w, "role", assistant ? MG_STR("assistant") : MG_STR("user"));
	h->open(w, "content", '[');
	for (size_t i = 0; i < n && !rc; i++, v = h->next(v)) {
		if (assistant)
			rc = put_assistant(c, w, v, last && i == n - 1, p);
		else if (mg_role_is(c, v, "tool"))
			rc = put_tool_result(c, w, v, p);
	}
	v = m;
	for (size_t i = 0; i < n && !rc && !assistant; i++, v = h->next(v)) {
		if (mg_role_is(c, v, "tool"))
			continue;
		rc = put_content(c, w, h->get(v, "content"), false, p);
		if (lacks_words(c, h->get(v, "content")))
			put_text(c, w, MG_STR("."));
	}
	h->close(w);
	h->close(w);
	return rc;
}

static void put_first(struct mg_call *c, struct mg_writer *w)
{
	c->host->open(w, NULL, '{');	/* the user has the first word */
	c->host->put(w, "role", MG_STR("user"));
	c->host->open(w, "content", '[');
	put_text(c, w, MG_STR("."));
	c->host->close(w);
	c->host->close(w);
}

static int put_messages(struct mg_call *c, struct mg_writer *w, struct plan *p)
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
			any = any || says_something(c, end, p->family);
		if (any && first && assistant)
			put_first(c, w);
		if (any)
			rc = put_turn(c, w, m, n, assistant, !h->kind(end), p);
		first = first && !any;
		m = end;
	}
	h->close(w);
	return rc;
}

/* Leading system and developer messages; and how JSON is asked for where there is no schema. */
static int put_system(struct mg_call *c, struct mg_writer *w, struct plan *p)
{
	static const char json_only[] = "Answer with one JSON object and nothing else: no prose, no code fence.";
	const struct mg_host *h = c->host;
	struct mg_view m = h->at(mg_asked(c, "messages"), 0);
	bool json = mg_is(h->text(c, h->get(mg_asked(c, "response_format"), "type")), "json_object"), any = json;
	int rc = MG_OK;

	for (struct mg_view v = m; h->kind(v) && mg_is_system(c, v); v = h->next(v))
		any = any || says_something(c, v, p->family);
	if (!any)
		return MG_OK;
	h->open(w, "system", '[');
	for (; h->kind(m) && mg_is_system(c, m) && !rc; m = h->next(m))
		rc = put_content(c, w, h->get(m, "content"), false, p);
	if (json)
		put_text(c, w, MG_STR(json_only));
	h->close(w);
	return rc;
}

/* ----------------------------------------------------------------- tools */

static void put_spec(struct mg_call *c, struct mg_writer *w, struct mg_str name, struct mg_str about, struct mg_str schema, bool strict)
{
	const struct mg_host *h = c->host;

	h->open(w, NULL, '{');
	h->open(w, "toolSpec", '{');
	h->put(w, "name", name);
	if (about.len)
		h->put(w, "description", about);
	h->open(w, "inputSchema", '{');
	h->put_raw(w, "json", schema);
	h->close(w);
	if (strict)
		h->put_raw(w, "strict", MG_STR("true"));
	h->close(w);
	h->close(w);
}

static const struct mg_str no_members = { "{\"type\":\"object\",\"properties\":{}}", 33 };

static int put_given(struct mg_call *c, struct mg_writer *w, const struct plan *p)
{
	const struct mg_host *h = c->host;

	for (struct mg_view t = h->at(mg_asked(c, "tools"), 0); h->kind(t); t = h->next(t)) {
		struct mg_view fn = h->get(t, "function"), schema = h->get(fn, "parameters");

		if (!mg_is(h->text(c, h->get(t, "type")), "function"))
			return h->fail(c, MG_EINVAL, "tools[].type: not one that this upstream knows; use \"function\"");
		put_spec(c, w, h->text(c, h->get(fn, "name")), h->text(c, h->get(fn, "description")),
			h->kind(h->get(schema, "type")) ? h->raw(schema) : no_members,
			h->kind(h->get(fn, "strict")) == MG_TRUE && !mg_quirk_is(c, "structured", "tool"));
		if (p->family == F_ANTHROPIC)
			put_cache(c, w, h->get(t, "cache_control").doc ? h->get(t, "cache_control") : h->get(fn, "cache_control"), p);
	}
	return MG_OK;
}

/* A history with tool calls needs tools, even where the client gave none any more. */
static void put_remembered(struct mg_call *c, struct mg_writer *w)
{
	struct mg_str names[32];
	size_t n = mg_called(c, names, 32), i;

	for (i = 0; i < n; i++)
		put_spec(c, w, names[i], (struct mg_str){ NULL, 0 }, no_members, false);
	if (!n)		/* results without their calls */
		put_spec(c, w, MG_STR("none"), (struct mg_str){ NULL, 0 }, no_members, false);
}

static void put_choice(struct mg_call *c, struct mg_writer *w, const struct plan *p)
{
	const struct mg_host *h = c->host;
	struct mg_view choice = mg_asked(c, "tool_choice");
	struct mg_str word = h->text(c, choice), name = h->text(c, h->get(h->get(choice, "function"), "name"));
	bool forces = p->family == F_ANTHROPIC || p->family == F_NOVA || p->family == F_MISTRAL || h->kind(mg_quirk(c, "forces_tools")) == MG_TRUE;

	if (p->json_tool)
		name = MG_STR("json");
	if (!name.len && !mg_is(word, "auto") && !(forces && mg_is(word, "required")))
		return;		/* there is no "none" */
	h->open(w, "toolChoice", '{');
	h->open(w, name.len && forces ? "tool" : mg_is(word, "required") ? "any" : "auto", '{');
	if (name.len && forces)
		h->put(w, "name", name);
	h->close(w);
	h->close(w);
}

static int put_tools(struct mg_call *c, struct mg_writer *w, const struct plan *p)
{
	const struct mg_host *h = c->host;
	bool given = h->kind(h->at(mg_asked(c, "tools"), 0)), none = mg_is(h->text(c, mg_asked(c, "tool_choice")), "none");
	int rc = MG_OK;

	if (!p->json_tool && !p->tools && (!given || none))
		return MG_OK;
	h->open(w, "toolConfig", '{');
	h->open(w, "tools", '[');
	if (given)
		rc = put_given(c, w, p);
	else if (p->tools)
		put_remembered(c, w);
	if (p->json_tool)
		put_spec(c, w, MG_STR("json"), MG_STR("Give the final answer, as its input."), h->raw(h->get(schema_of(c), "schema")), false);
	h->close(w);
	if (given || p->json_tool)
		put_choice(c, w, p);
	h->close(w);
	return rc;
}

/* ------------------------------------------ what goes through to the model */

static void put_effort(struct mg_call *c, struct mg_writer *w, const struct plan *p, const char *name)
{
	struct mg_view list = mg_quirk(c, "efforts");

	if (p->wish.asked || p->wish.off)
		c->host->put(w, name, mg_effort_near(c, list, mg_reasoning_rank(&p->wish, mg_max_tokens(c))));
}

static void put_claude(struct mg_call *c, struct mg_writer *w, const struct plan *p)
{
	const struct mg_host *h = c->host;
	struct mg_str top_k = h->text(c, mg_asked(c, "top_k"));

	if (p->thinks || p->off) {
		h->open(w, "thinking", '{');
		h->put(w, "type", !p->thinks ? MG_STR("disabled") : p->adaptive ? MG_STR("adaptive") : MG_STR("enabled"));
		if (p->budget)
			h->put_int(w, "budget_tokens", (int64_t)p->budget);
		if (p->adaptive)
			h->put(w, "display", p->wish.hidden ? MG_STR("omitted") : MG_STR("summarized"));
		h->close(w);
	} else {
		h->put_raw(w, "thinking", h->raw(mg_asked(c, "thinking")));	/* the client's own */
	}
	if (p->thinks && mg_quirk(c, "efforts").doc) {
		h->open(w, "output_config", '{');
		put_effort(c, w, p, "effort");
		h->close(w);
	}
	if (top_k.len && !mg_is(top_k, "0") && !p->thinks && !mg_quirk_is(c, "sampling", "none"))
		h->put_raw(w, "top_k", top_k);
	if (h->kind(mg_asked(c, "parallel_tool_calls")) == MG_FALSE && !forced(c) && !p->json_tool && h->kind(h->at(mg_asked(c, "tools"), 0)))
		h->put_raw(w, "tool_choice", MG_STR("{\"type\":\"auto\",\"disable_parallel_tool_use\":true}"));
	h->put_raw(w, "anthropic_beta", h->raw(mg_quirk(c, "beta")));
}

static void put_nova(struct mg_call *c, struct mg_writer *w, const struct plan *p)
{
	const struct mg_host *h = c->host;
	struct mg_view top_k = mg_asked(c, "top_k");

	if (h->kind(top_k) == MG_NUMBER) {
		h->open(w, "inferenceConfig", '{');
		h->put_raw(w, "topK", h->raw(top_k));
		h->close(w);
	}
	if (!mg_quirk_is(c, "thinking", "nova") || (!p->wish.asked && !p->wish.off))
		return;
	h->open(w, "reasoningConfig", '{');
	h->put(w, "type", p->wish.off ? MG_STR("disabled") : MG_STR("enabled"));
	if (p->wish.asked)
		put_effort(c, w, p, "maxReasoningEffort");
	h->close(w);
}

static struct mg_view additional(struct mg_call *c, const struct plan *p)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);

	h->open(w, NULL, '{');
	if (p->family == F_ANTHROPIC)
		put_claude(c, w, p);
	else if (p->family == F_NOVA)
		put_nova(c, w, p);
	else if (p->family == F_OPENAI && !mg_quirk_is(c, "thinking", "none"))
		put_effort(c, w, p, "reasoning_effort");
	h->close(w);
	return h->parse(c, h->written(w));
}

/* Members of ours, then those that the client or the row names in the service's own words. */
static void put_additional(struct mg_call *c, struct mg_writer *w, const struct plan *p)
{
	static const char member[] = "additionalModelRequestFields";
	const struct mg_host *h = c->host;
	struct mg_view from[3] = { additional(c, p), mg_asked(c, member), h->get(h->get(h->endpoint(c), "options"), member) };
	bool open = false;

	for (size_t i = 0; i < 3; i++)
		for (struct mg_view v = h->at(from[i], 0); h->kind(from[i]) == MG_OBJECT && h->kind(v); v = h->next(v)) {
			const char *name = mg_terminated(c, h->name(v));

			if ((i > 0 && h->get(from[0], name).doc) || (i > 1 && h->get(from[1], name).doc))
				continue;
			if (!open)
				h->open(w, member, '{');
			open = true;
			h->put_raw(w, name, h->raw(v));
		}
	if (open)
		h->close(w);
}

/* ------------------------------------------------------------- the rest */

static void put_inference(struct mg_call *c, struct mg_writer *w, const struct plan *p)
{
	const struct mg_host *h = c->host;
	struct mg_view t = mg_asked(c, "temperature"), top_p = mg_asked(c, "top_p"), stop = mg_asked(c, "stop");
	bool sampling = !p->thinks && !mg_quirk_is(c, "sampling", "none");
	bool warm = sampling && h->kind(t) == MG_NUMBER, cut = sampling && h->kind(top_p) == MG_NUMBER && !(warm && mg_quirk_is(c, "sampling", "one"));
	uint64_t max = mg_max_tokens(c);

	if (!max && !warm && !cut && h->kind(stop) <= MG_NULL)
		return;
	h->open(w, "inferenceConfig", '{');
	if (max)
		h->put_int(w, "maxTokens", (int64_t)max);
	if (warm)		/* 0..1 here, 0..2 at the client */
		h->put_raw(w, "temperature", h->raw(t).len && h->raw(t).at[0] >= '1' ? MG_STR("1") : h->raw(t));
	if (cut)
		h->put_raw(w, "topP", h->raw(top_p));
	if (h->kind(stop) == MG_ARRAY)
		h->put_raw(w, "stopSequences", h->raw(stop));
	if (h->kind(stop) == MG_STRING) {
		h->open(w, "stopSequences", '[');
		h->put_raw(w, NULL, h->raw(stop));
		h->close(w);
	}
	h->close(w);
}

static void put_output(struct mg_call *c, struct mg_writer *w, const struct plan *p)
{
	const struct mg_host *h = c->host;
	struct mg_view schema = schema_of(c);

	if (!schema.doc || p->json_tool)
		return;
	h->open(w, "outputConfig", '{');
	h->open(w, "textFormat", '{');
	h->put(w, "type", MG_STR("json_schema"));
	h->open(w, "structure", '{');
	h->open(w, "jsonSchema", '{');
	h->put(w, "schema", h->raw(h->get(schema, "schema")));	/* JSON as a string */
	h->put(w, "name", h->text(c, h->get(schema, "name")));
	h->put(w, "description", h->text(c, h->get(schema, "description")));
	for (size_t i = 0; i < 4; i++)
		h->close(w);
}

/* What may be a key or a value of requestMetadata. */
static bool is_label(struct mg_str s)
{
	size_t i = 0;

	while (i < s.len && ((s.at[i] >= '0' && s.at[i] <= '9') || ((s.at[i] | 0x20) >= 'a' && (s.at[i] | 0x20) <= 'z') ||
	       (s.at[i] && strchr(" :_@$#=/+,-.", s.at[i]))))
		i++;
	return s.at && i == s.len && s.len <= 256;
}

static void put_metadata(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view given = mg_asked(c, "metadata");
	struct mg_str user = h->text(c, mg_asked(c, "user"));
	bool open = false;

	for (struct mg_view v = h->at(given, 0); h->kind(given) == MG_OBJECT && h->kind(v); v = h->next(v)) {
		struct mg_str text = h->text(c, v);

		if (!h->name(v).len || !is_label(h->name(v)) || h->kind(v) != MG_STRING || !is_label(text))
			continue;
		if (!open)
			h->open(w, "requestMetadata", '{');
		open = true;
		h->put(w, mg_terminated(c, h->name(v)), text);
	}
	if (user.len && is_label(user) && !h->get(given, "user").doc) {
		if (!open)
			h->open(w, "requestMetadata", '{');
		open = true;
		h->put(w, "user", user);
	}
	if (open)
		h->close(w);
}

/* In the service's own words: of the client, else of the row. */
static void put_others(struct mg_call *c, struct mg_writer *w)
{
	static const char *const as_given[] = { "guardrailConfig", "performanceConfig", "additionalModelResponseFieldPaths", "promptVariables" };
	const struct mg_host *h = c->host;
	struct mg_str tier = h->text(c, mg_asked(c, "service_tier"));

	for (size_t i = 0; i < sizeof(as_given) / sizeof(as_given[0]); i++) {
		struct mg_view v = mg_asked(c, as_given[i]);

		h->put_raw(w, as_given[i], h->raw(v.doc ? v : h->get(h->get(h->endpoint(c), "options"), as_given[i])));
	}
	if (mg_is(tier, "default") || mg_is(tier, "flex") || mg_is(tier, "priority") || mg_is(tier, "reserved")) {
		h->open(w, "serviceTier", '{');
		h->put(w, "type", tier);
		h->close(w);
	}
	put_metadata(c, w);
}

#endif
