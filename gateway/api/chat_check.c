/*
 * chat_check.c - is it a chat completion request?  One table of members with
 * their types and ranges (B1.1 of the wire's specification); what is not in the
 * table is carried, not judged.
 */
#include <math.h>
#include "api/chat.h"

enum type { BOOL = 1, INT = 2, NUM = 4, STR = 8, ARR = 16, OBJ = 32, NIL = 64 };

struct member { const char *name; unsigned types; double lo, hi; };

static const struct member members[] = {
	{ "model", STR, 1, 256 },
	{ "models", ARR | NIL, 0, 32 },
	{ "messages", ARR, 1, 100000 },
	{ "route", STR | NIL, 0, 16 },
	{ "provider", OBJ | NIL, 0, 0 },
	{ "plugins", ARR | NIL, 0, 64 },
	{ "preset", STR | NIL, 0, 256 },
	{ "stream", BOOL | NIL, 0, 0 },
	{ "stream_options", OBJ | NIL, 0, 0 },
	{ "usage", OBJ | NIL, 0, 0 },
	{ "max_tokens", INT | NIL, 1, 1e9 },
	{ "max_completion_tokens", INT | NIL, 1, 1e9 },
	{ "n", INT | NIL, 1, 1 },
	{ "temperature", NUM | NIL, 0, 2 },
	{ "top_p", NUM | NIL, 0, 1 },
	{ "top_k", INT | NIL, 0, 1e9 },
	{ "min_p", NUM | NIL, 0, 1 },
	{ "top_a", NUM | NIL, 0, 1 },
	{ "frequency_penalty", NUM | NIL, -2, 2 },
	{ "presence_penalty", NUM | NIL, -2, 2 },
	{ "repetition_penalty", NUM | NIL, 0, 2 },
	{ "seed", INT | NIL, -9.3e18, 9.3e18 },
	{ "stop", STR | ARR | NIL, 0, 16 },
	{ "logit_bias", OBJ | NIL, 0, 0 },
	{ "logprobs", BOOL | NIL, 0, 0 },
	{ "top_logprobs", INT | NIL, 0, 20 },
	{ "response_format", OBJ | NIL, 0, 0 },
	{ "tools", ARR | NIL, 0, 1024 },
	{ "tool_choice", STR | OBJ | NIL, 0, 64 },
	{ "parallel_tool_calls", BOOL | NIL, 0, 0 },
	{ "reasoning", OBJ | NIL, 0, 0 },
	{ "reasoning_effort", STR | NIL, 0, 16 },
	{ "include_reasoning", BOOL | NIL, 0, 0 },
	{ "verbosity", STR | NIL, 0, 16 },
	{ "prediction", OBJ | NIL, 0, 0 },
	{ "modalities", ARR | NIL, 0, 8 },
	{ "audio", OBJ | NIL, 0, 0 },
	{ "service_tier", STR | NIL, 0, 32 },
	{ "prompt_cache_key", STR | NIL, 0, 1024 },
	{ "session_id", STR | NIL, 0, 256 },
	{ "user", STR | NIL, 0, 256 },
	{ "metadata", OBJ | NIL, 0, 0 },
	{ "trace", OBJ | NIL, 0, 0 },
	{ "debug", OBJ | NIL, 0, 0 },
	{ "transforms", ARR | NIL, 0, 16 },
	{ "policy", STR | NIL, 0, 128 },
};

static bool whole(struct mg_str n)
{
	for (size_t i = n.len && n.at[0] == '-'; i < n.len; i++)
		if (n.at[i] < '0' || n.at[i] > '9')
			return false;
	return n.len > 0;
}

static unsigned type_of(struct mg_view v)
{
	switch (json_kind(v)) {
	case MG_TRUE:
	case MG_FALSE:
		return BOOL;
	case MG_NUMBER:
		return whole(json_raw(v)) ? INT | NUM : NUM;
	case MG_STRING:
		return STR;
	case MG_ARRAY:
		return ARR;
	case MG_OBJECT:
		return OBJ;
	default:
		return NIL;
	}
}

static void type_words(unsigned types, char *out, size_t size)
{
	static const struct { unsigned type; const char *word; } words[] = { { BOOL, "a boolean" }, { INT, "an integer" },
		{ NUM, "a number" }, { STR, "a string" }, { ARR, "an array" }, { OBJ, "an object" }, { NIL, "null" } };
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && len < size; i++)
		if (types & words[i].type)
			len += (size_t)snprintf(out + len, size - len, "%s%s", len ? " or " : "", words[i].word);
}

/* For the range only; the text itself goes on untouched (R13). */
static double number_of(struct mg_view v)
{
	struct mg_str raw = json_raw(v);
	char text[64];

	if (raw.len >= sizeof(text))
		return INFINITY;
	memcpy(text, raw.at, raw.len);
	text[raw.len] = '\0';
	return strtod(text, NULL);
}

static int check_range(struct mg_view v, const struct member *m, struct err *err)
{
	double n;

	switch (json_kind(v)) {
	case MG_NUMBER:
		n = number_of(v);
		if (m->lo == m->hi && n != m->lo)
			return fail(err, MG_EINVAL, "%s: must be %g", m->name, m->lo);
		if (n < m->lo || n > m->hi)
			return fail(err, MG_EINVAL, "%s: must be between %g and %g", m->name, m->lo, m->hi);
		return MG_OK;
	case MG_STRING:
		if (!(m->types & ARR) && m->hi > 0 && (json_raw(v).len - 2 < m->lo || json_raw(v).len - 2 > m->hi))
			return fail(err, MG_EINVAL, "%s: must have %g to %g bytes", m->name, m->lo, m->hi);
		return MG_OK;
	case MG_ARRAY:
		if (m->hi > 0 && ((double)json_len(v) < m->lo || (double)json_len(v) > m->hi))
			return fail(err, MG_EINVAL, "%s: must have %g to %g items", m->name, m->lo, m->hi);
		return MG_OK;
	default:
		return MG_OK;
	}
}

static int check_member(struct mg_view request, const struct member *m, struct err *err)
{
	struct mg_view v = json_get(request, m->name);
	char want[96];

	if (json_kind(v) == MG_ABSENT)
		return MG_OK;
	if (!(type_of(v) & m->types)) {
		type_words(m->types & ~(unsigned)NIL, want, sizeof(want));
		return fail(err, MG_EINVAL, "%s: must be %s", m->name, want);
	}
	return check_range(v, m, err);
}

static bool one_of(struct mg_view v, const char *const *words)
{
	for (; *words; words++)
		if (json_is(v, *words))
			return true;
	return false;
}

static int check_parts(struct mg_view content, size_t i, struct err *err)
{
	size_t k = 0;

	for (struct mg_view part = json_at(content, 0); part.doc; part = json_next(part), k++) {
		if (json_kind(part) != MG_OBJECT || json_kind(json_get(part, "type")) != MG_STRING)
			return fail(err, MG_EINVAL, "messages[%zu].content[%zu]: must be an object with a 'type'", i, k);
		if (json_is(json_get(part, "type"), "text") && json_kind(json_get(part, "text")) != MG_STRING)
			return fail(err, MG_EINVAL, "messages[%zu].content[%zu].text: must be a string", i, k);
		if (json_is(json_get(part, "type"), "image_url")
			&& json_kind(json_get(json_get(part, "image_url"), "url")) != MG_STRING)
			return fail(err, MG_EINVAL, "messages[%zu].content[%zu].image_url.url: must be a string", i, k);
	}
	return MG_OK;
}

static int check_tool_calls(struct mg_view calls, size_t i, struct err *err)
{
	size_t k = 0;

	if (json_kind(calls) != MG_ARRAY && json_kind(calls) > MG_NULL)
		return fail(err, MG_EINVAL, "messages[%zu].tool_calls: must be an array", i);
	for (struct mg_view call = json_at(calls, 0); call.doc; call = json_next(call), k++)
		if (json_kind(json_get(call, "id")) != MG_STRING || json_kind(json_get(json_get(call, "function"), "name")) != MG_STRING
			|| json_kind(json_get(json_get(call, "function"), "arguments")) != MG_STRING)
			return fail(err, MG_EINVAL, "messages[%zu].tool_calls[%zu]: must have 'id', 'function.name' and 'function.arguments'",
				i, k);
	return MG_OK;
}

static int check_message(struct mg_view m, size_t i, struct err *err)
{
	static const char *const roles[] = { "system", "developer", "user", "assistant", "tool", "function", NULL };
	struct mg_view role = json_get(m, "role"), content = json_get(m, "content");
	int rc;

	if (json_kind(m) != MG_OBJECT)
		return fail(err, MG_EINVAL, "messages[%zu]: must be an object", i);
	if (!one_of(role, roles))
		return fail(err, MG_EINVAL, "messages[%zu].role: must be system, developer, user, assistant or tool", i);
	if (json_is(role, "tool") && json_kind(json_get(m, "tool_call_id")) != MG_STRING)
		return fail(err, MG_EINVAL, "messages[%zu].tool_call_id: a tool message must have one", i);
	switch (json_kind(content)) {
	case MG_STRING:
		break;
	case MG_ARRAY:
		rc = check_parts(content, i, err);
		if (rc)
			return rc;
		break;
	case MG_ABSENT:
	case MG_NULL:
		if (json_is(role, "assistant"))
			break;
		return fail(err, MG_EINVAL, "messages[%zu].content: is missing", i);
	default:
		return fail(err, MG_EINVAL, "messages[%zu].content: must be a string or an array of parts", i);
	}
	return check_tool_calls(json_get(m, "tool_calls"), i, err);
}

static int check_messages(struct mg_view request, struct err *err)
{
	struct mg_view messages = json_get(request, "messages");
	size_t i = 0;
	int rc = MG_OK;

	if (json_kind(messages) == MG_ABSENT)
		return fail(err, MG_EINVAL, "messages: is missing");
	for (struct mg_view m = json_at(messages, 0); m.doc && !rc; m = json_next(m), i++)
		rc = check_message(m, i, err);
	return rc;
}

static int check_tools(struct mg_view request, struct err *err)
{
	size_t i = 0;

	for (struct mg_view t = json_at(json_get(request, "tools"), 0); t.doc; t = json_next(t), i++) {
		if (json_kind(json_get(t, "type")) != MG_STRING)
			return fail(err, MG_EINVAL, "tools[%zu].type: must be a string", i);
		if (json_is(json_get(t, "type"), "function") && json_kind(json_get(json_get(t, "function"), "name")) != MG_STRING)
			return fail(err, MG_EINVAL, "tools[%zu].function.name: must be a string", i);
	}
	return MG_OK;
}

static int check_words(struct mg_view request, struct err *err)
{
	static const char *const efforts[] = { "max", "xhigh", "high", "medium", "low", "minimal", "none", NULL };
	static const char *const formats[] = { "text", "json_object", "json_schema", "grammar", "python", NULL };
	static const char *const choices[] = { "none", "auto", "required", NULL };
	struct mg_view effort = json_get(request, "reasoning_effort"), choice = json_get(request, "tool_choice");
	struct mg_view inner = json_get(json_get(request, "reasoning"), "effort"), format = json_get(request, "response_format");

	if (json_kind(effort) == MG_STRING && !one_of(effort, efforts))
		return fail(err, MG_EINVAL, "reasoning_effort: must be max, xhigh, high, medium, low, minimal or none");
	if (json_kind(inner) > MG_NULL && !one_of(inner, efforts))
		return fail(err, MG_EINVAL, "reasoning.effort: must be max, xhigh, high, medium, low, minimal or none");
	if (json_kind(inner) == MG_STRING && json_kind(json_get(json_get(request, "reasoning"), "max_tokens")) == MG_NUMBER)
		return fail(err, MG_EINVAL, "reasoning: give 'effort' or 'max_tokens', not both");
	if (json_kind(format) == MG_OBJECT && !one_of(json_get(format, "type"), formats))
		return fail(err, MG_EINVAL, "response_format.type: must be text, json_object, json_schema, grammar or python");
	if (json_is(json_get(format, "type"), "json_schema") && json_kind(json_get(format, "json_schema")) != MG_OBJECT)
		return fail(err, MG_EINVAL, "response_format.json_schema: must be an object");
	if (json_kind(choice) == MG_STRING && !one_of(choice, choices))
		return fail(err, MG_EINVAL, "tool_choice: must be none, auto, required or an object");
	return MG_OK;
}

int chat_check(struct mg_view request, struct err *err)
{
	int rc;

	if (json_kind(request) != MG_OBJECT)
		return fail(err, MG_EINVAL, "the request must be a JSON object");
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		rc = check_member(request, &members[i], err);
		if (rc)
			return rc;
	}
	rc = check_messages(request, err);
	if (!rc)
		rc = check_tools(request, err);
	if (!rc)
		rc = check_words(request, err);
	return rc;
}
