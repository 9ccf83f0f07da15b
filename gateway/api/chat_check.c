/*
 * chat_check.c - is it a chat completion request?  One table of members with
 * their types and ranges (B1.1 of the wire's specification); what is not in the
 * table is carried, not judged.
 */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include "api/chat.h"

enum type { BOOL = 1, INT = 2, NUM = 4, STR = 8, ARR = 16, OBJ = 32, NIL = 64, MUST = 128 };

struct member {
	const char *name;
	unsigned types;
	double lo, hi;			/* of a number, a string's bytes, an array's items; both 0: any */
	const char *const *words;	/* a string is one of these */
	const struct member *inner;	/* what an object has; ended by a NULL name */
	const struct member *items;	/* what an array holds; its name is "" */
};

#define M(word, ...) { .name = word, .types = __VA_ARGS__ }
#define WORDS(...) .words = (const char *const[]){ __VA_ARGS__, NULL }
#define INNER(...) .inner = (const struct member[]){ __VA_ARGS__, { .name = NULL } }
#define ITEMS(...) .items = &(const struct member)M("", __VA_ARGS__)
#define FROM(least, most) .lo = least, .hi = most
#define EFFORTS WORDS("max", "xhigh", "high", "medium", "low", "minimal", "none")

static const struct member members[] = {
	M("model", STR | NIL, FROM(1, 256)),
	M("models", ARR | NIL, FROM(0, 32)),
	M("messages", ARR, FROM(1, 100000)),
	M("route", STR | NIL, WORDS("fallback", "sort")),
	M("provider", OBJ | NIL, INNER(M("options", OBJ | NIL))),
	M("plugins", ARR | NIL, FROM(0, 64), ITEMS(OBJ, INNER(M("id", STR | MUST, FROM(1, 256)), M("enabled", BOOL | NIL)))),
	M("preset", STR | NIL, FROM(0, 256)),
	M("stream", BOOL | NIL),
	M("stream_options", OBJ | NIL),
	M("usage", OBJ | NIL),
	M("max_tokens", INT | NIL, FROM(1, 1e9)),
	M("max_completion_tokens", INT | NIL, FROM(1, 1e9)),
	M("n", INT | NIL, FROM(1, 1)),
	M("temperature", NUM | NIL, FROM(0, 2)),
	M("top_p", NUM | NIL, FROM(0, 1)),
	M("top_k", INT | NIL, FROM(0, 1e9)),
	M("min_p", NUM | NIL, FROM(0, 1)),
	M("top_a", NUM | NIL, FROM(0, 1)),
	M("frequency_penalty", NUM | NIL, FROM(-2, 2)),
	M("presence_penalty", NUM | NIL, FROM(-2, 2)),
	M("repetition_penalty", NUM | NIL, FROM(0, 2)),
	M("seed", INT | NIL, FROM(-9.3e18, 9.3e18)),
	M("stop", STR | ARR | NIL, FROM(0, 16), ITEMS(STR)),
	M("logit_bias", OBJ | NIL),
	M("logprobs", BOOL | NIL),
	M("top_logprobs", INT | NIL, FROM(0, 20)),
	M("response_format", OBJ | NIL, INNER(M("type", STR | MUST, WORDS("text", "json_object", "json_schema", "grammar", "python")))),
	M("tools", ARR | NIL, FROM(0, 1024)),
	M("tool_choice", STR | OBJ | NIL, WORDS("none", "auto", "required"), INNER(M("type", STR | MUST, FROM(1, 128)))),
	M("parallel_tool_calls", BOOL | NIL),
	M("max_tool_calls", INT | NIL, FROM(1, 30)),
	M("stop_server_tools_when", ARR | NIL, FROM(1, 64), ITEMS(OBJ)),
	M("reasoning", OBJ | NIL, INNER(M("effort", STR | NIL, EFFORTS), M("max_tokens", INT | NIL, FROM(0, 1e9)),
		M("exclude", BOOL | NIL), M("enabled", BOOL | NIL), M("summary", STR | NIL, WORDS("auto", "concise", "detailed")),
		M("context", STR | NIL, WORDS("auto", "all_turns", "current_turn")), M("mode", STR | NIL, WORDS("standard", "pro")))),
	M("reasoning_effort", STR | NIL, EFFORTS),
	M("include_reasoning", BOOL | NIL),
	M("verbosity", STR | NIL, WORDS("low", "medium", "high", "xhigh", "max")),
	M("prediction", OBJ | NIL, INNER(M("type", STR, WORDS("content")), M("content", STR | ARR))),
	M("modalities", ARR | NIL, FROM(0, 8), ITEMS(STR)),
	M("audio", OBJ | NIL, INNER(M("format", STR))),
	M("image_config", OBJ | NIL),
	M("web_search_options", OBJ | NIL),
	M("x_search_filter", OBJ | NIL),
	M("service_tier", STR | NIL, WORDS("auto", "default", "flex", "priority", "fast", "scale")),
	M("cache_control", OBJ | NIL, INNER(M("type", STR, WORDS("ephemeral")), M("ttl", STR | NIL, WORDS("5m", "1h")))),
	M("prompt_cache_key", STR | NIL, FROM(0, 1024)),
	M("prompt_cache_options", OBJ | NIL),
	M("session_id", STR | NIL, FROM(0, 256)),
	M("user", STR | NIL, FROM(0, 256)),
	M("metadata", OBJ | NIL),
	M("trace", OBJ | NIL),
	M("debug", OBJ | NIL, INNER(M("echo_upstream_body", BOOL | NIL))),
	M("transforms", ARR | NIL, FROM(0, 16), ITEMS(STR)),
	M("policy", STR | NIL, FROM(0, 128)),
};

/* Where a member is: plugins, plugins[0] or reasoning; outer NULL: in the request itself. */
struct at { const char *outer; long index; };

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
	uint64_t n;

	if (json_count(v, &n))
		return (double)n;
	if (raw.len >= sizeof(text))
		return INFINITY;
	memcpy(text, raw.at, raw.len);
	text[raw.len] = '\0';
	return strtod(text, NULL);
}

/* "plugins[0].id: " and what is wrong with it. */
static int bad(struct err *err, const struct at *at, const char *name, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static int bad(struct err *err, const struct at *at, const char *name, const char *fmt, ...)
{
	char index[24] = "", why[192];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	if (at->index >= 0)
		snprintf(index, sizeof(index), "[%ld]", at->index);
	return fail(err, MG_EINVAL, "%s%s%s%s: %s", at->outer ? at->outer : "", index, at->outer && *name ? "." : "", name, why);
}

static int check_words(struct mg_view v, const struct member *m, const struct at *at, struct err *err)
{
	char list[128] = "";
	size_t len = 0;

	for (size_t i = 0; m->words[i]; i++) {
		if (json_is(v, m->words[i]))
			return MG_OK;
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", !i ? "" : m->words[i + 1] ? ", " : " or ", m->words[i]);
	}
	return bad(err, at, m->name, "must be %s%s", list, m->types & OBJ ? ", or an object" : "");
}

static int check_inner(struct mg_view v, const struct member *m, struct at at, struct err *err);

static int check_items(struct mg_view v, const struct member *m, struct err *err)
{
	struct at at = { m->name, 0 };
	int rc = MG_OK;

	for (struct mg_view item = json_at(v, 0); m->items && item.doc && !rc; item = json_next(item), at.index++)
		rc = check_inner(item, m->items, at, err);
	return rc;
}

static int check_members_of(struct mg_view v, const struct member *m, const struct at *at, struct err *err)
{
	struct at here = at->outer ? *at : (struct at){ m->name, -1 };
	int rc = MG_OK;

	for (const struct member *i = m->inner; i && i->name && !rc; i++) {
		struct mg_view inner = json_get(v, i->name);

		if (json_kind(inner) != MG_ABSENT)
			rc = check_inner(inner, i, here, err);
		else if (i->types & MUST)
			rc = bad(err, &here, i->name, "is missing");
	}
	return rc;
}

/* \u0000 is carried in content; in what the gateway itself reads it would be the end (R12).  raw: with its quotes and escapes. */
static bool has_nul(struct mg_str raw)
{
	const char *end = raw.at + raw.len;

	for (const char *at = raw.at; at && (at = memchr(at, '\\', (size_t)(end - at))); at += 2)
		if (end - at > 6 && !memcmp(at + 1, "u0000", 5))
			return true;
	return false;
}

static int check_range(struct mg_view v, const struct member *m, const struct at *at, struct err *err)
{
	bool any = m->lo == 0 && m->hi == 0;
	double n;

	switch (json_kind(v)) {
	case MG_NUMBER:
		n = any ? 0 : number_of(v);
		if (m->lo == m->hi && n != m->lo)
			return bad(err, at, m->name, "must be %.0f", m->lo);
		if (n < m->lo || n > m->hi)
			return bad(err, at, m->name, "must be between %.0f and %.0f", m->lo, m->hi);
		return MG_OK;
	case MG_STRING:
		if (m->words)
			return check_words(v, m, at, err);
		if (!(m->types & ARR) && !any && has_nul(json_raw(v)))
			return bad(err, at, m->name, "must not have \\u0000 in it");
		if (!(m->types & ARR) && !any && (json_raw(v).len - 2 < m->lo || json_raw(v).len - 2 > m->hi))
			return bad(err, at, m->name, "must have %.0f to %.0f bytes", m->lo, m->hi);
		return MG_OK;
	case MG_ARRAY:
		if (!any && ((double)json_len(v) < m->lo || (double)json_len(v) > m->hi))
			return bad(err, at, m->name, "must have %.0f to %.0f items", m->lo, m->hi);
		return check_items(v, m, err);
	case MG_OBJECT:
		return check_members_of(v, m, at, err);
	default:
		return MG_OK;
	}
}

static int check_inner(struct mg_view v, const struct member *m, struct at at, struct err *err)
{
	char want[96];

	if (type_of(v) & m->types)
		return check_range(v, m, &at, err);
	type_words(m->types & ~(unsigned)NIL, want, sizeof(want));
	return bad(err, &at, m->name, "must be %s", want);
}

/* NULL: not judged. */
static const struct member *member_of(struct mg_str name)
{
	for (size_t i = 0; name.len && i < sizeof(members) / sizeof(members[0]); i++)
		if (members[i].name[0] == name.at[0] && mg_is(name, members[i].name))
			return &members[i];
	return NULL;
}

/* A request has few of them: they are looked up in the table, not the reverse. */
static int check_members(struct mg_view request, struct err *err)
{
	int rc = MG_OK;

	for (struct mg_view v = json_at(request, 0); v.doc && !rc; v = json_next(v)) {
		const struct member *m = member_of(json_name(v));

		if (m)
			rc = check_inner(v, m, (struct at){ NULL, -1 }, err);
	}
	return rc;
}

static bool one_of(struct mg_view v, const char *const *words)
{
	for (; *words; words++)
		if (json_is(v, *words))
			return true;
	return false;
}

/* What a part cannot do without: one member, or a member of one. */
static const struct { const char *type, *member, *inner; } parts[] = {
	{ "text", "text", NULL }, { "image_url", "image_url", "url" }, { "input_audio", "input_audio", "data" },
	{ "input_audio", "input_audio", "format" }, { "video_url", "video_url", "url" },
};

static int check_part(struct mg_view part, size_t i, size_t k, struct err *err)
{
	struct mg_view type = json_get(part, "type"), v;

	if (json_kind(part) != MG_OBJECT || json_kind(type) != MG_STRING)
		return fail(err, MG_EINVAL, "messages[%zu].content[%zu]: must be an object with a 'type'", i, k);
	for (size_t n = 0; n < sizeof(parts) / sizeof(parts[0]); n++) {
		if (!json_is(type, parts[n].type))
			continue;
		v = json_get(part, parts[n].member);
		if (json_kind(parts[n].inner ? json_get(v, parts[n].inner) : v) != MG_STRING)
			return fail(err, MG_EINVAL, "messages[%zu].content[%zu].%s%s%s: must be a string", i, k, parts[n].member,
				parts[n].inner ? "." : "", parts[n].inner ? parts[n].inner : "");
	}
	v = json_get(part, "file");
	if (json_is(type, "file") && json_kind(json_get(v, "file_data")) != MG_STRING && json_kind(json_get(v, "file_id")) != MG_STRING)
		return fail(err, MG_EINVAL, "messages[%zu].content[%zu].file: must have 'file_data' or 'file_id'", i, k);
	return MG_OK;
}

static int check_parts(struct mg_view content, size_t i, struct err *err)
{
	size_t k = 0;

	for (struct mg_view part = json_at(content, 0); part.doc; part = json_next(part), k++)
		if (check_part(part, i, k, err) != MG_OK)
			return MG_EINVAL;
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

static int check_choice(struct mg_view choice, struct err *err)
{
	if (json_is(json_get(choice, "type"), "function") && json_kind(json_get(json_get(choice, "function"), "name")) != MG_STRING)
		return fail(err, MG_EINVAL, "tool_choice.function.name: must be a string");
	return MG_OK;
}

static int check_bias(struct mg_view bias, struct err *err)
{
	for (struct mg_view v = json_at(bias, 0); v.doc; v = json_next(v))
		if (json_kind(v) != MG_NUMBER || fabs(number_of(v)) > 100)
			return fail(err, MG_EINVAL, "logit_bias.%.*s: must be a number between -100 and 100",
				(int)(json_name(v).len < 64 ? json_name(v).len : 64), json_name(v).at);
	return MG_OK;
}

/* 16 pairs of short strings: it goes to upstreams and traces as it is. */
static int check_metadata(struct mg_view metadata, struct err *err)
{
	if (json_len(metadata) > 16)
		return fail(err, MG_EINVAL, "metadata: must have at most 16 members");
	for (struct mg_view v = json_at(metadata, 0); v.doc; v = json_next(v)) {
		struct mg_str name = json_name(v);

		if (name.len > 64 || memchr(name.at, '[', name.len) || memchr(name.at, ']', name.len))
			return fail(err, MG_EINVAL, "metadata: a name has at most 64 bytes and no brackets");
		if (json_kind(v) != MG_STRING || json_raw(v).len - 2 > 512)
			return fail(err, MG_EINVAL, "metadata.%.*s: must be a string of at most 512 bytes", (int)name.len, name.at);
		if (has_nul(json_raw(v)))
			return fail(err, MG_EINVAL, "metadata.%.*s: must not have \\u0000 in it", (int)name.len, name.at);
	}
	return MG_OK;
}

static int check_schema(struct mg_view format, struct err *err)
{
	struct mg_view schema = json_get(format, "json_schema"), name = json_get(schema, "name");
	struct mg_str word = json_raw(name);

	if (!json_is(json_get(format, "type"), "json_schema"))
		return MG_OK;
	if (json_kind(schema) != MG_OBJECT)
		return fail(err, MG_EINVAL, "response_format.json_schema: must be an object");
	if (json_kind(name) != MG_STRING || word.len < 3 || word.len > 66)
		return fail(err, MG_EINVAL, "response_format.json_schema.name: must be a string of 1 to 64 characters");
	for (size_t i = 1; i + 1 < word.len; i++)
		if (!isalnum((unsigned char)word.at[i]) && word.at[i] != '_' && word.at[i] != '-')
			return fail(err, MG_EINVAL, "response_format.json_schema.name: may have letters, digits, '_' and '-'");
	return MG_OK;
}

/* What one member says, another may not. */
static int check_pairs(struct mg_view request, struct err *err)
{
	struct mg_view reasoning = json_get(request, "reasoning"), outer = json_get(request, "reasoning_effort");
	struct mg_str a = json_raw(outer), b = json_raw(json_get(reasoning, "effort"));

	if (json_kind(outer) == MG_STRING && b.at && (a.len != b.len || memcmp(a.at, b.at, a.len)))
		return fail(err, MG_EINVAL, "reasoning_effort: says something else than reasoning.effort; give one of them");
	if (json_kind(json_get(request, "preset")) == MG_STRING)
		return fail(err, MG_EINVAL, "preset: this gateway has none of that name");
	if (json_kind(json_get(reasoning, "effort")) == MG_STRING && json_kind(json_get(reasoning, "max_tokens")) == MG_NUMBER)
		return fail(err, MG_EINVAL, "reasoning: give 'effort' or 'max_tokens', not both");
	return MG_OK;
}

int chat_check(struct mg_view request, struct err *err)
{
	int rc;

	if (json_kind(request) != MG_OBJECT)
		return fail(err, MG_EINVAL, "the request must be a JSON object");
	rc = check_members(request, err);
	if (!rc)
		rc = check_messages(request, err);
	if (!rc)
		rc = check_tools(request, err);
	if (!rc)
		rc = check_choice(json_get(request, "tool_choice"), err);
	if (!rc)
		rc = check_bias(json_get(request, "logit_bias"), err);
	if (!rc)
		rc = check_schema(json_get(request, "response_format"), err);
	if (!rc)
		rc = check_metadata(json_get(request, "metadata"), err);
	if (!rc)
		rc = check_pairs(request, err);
	return rc;
}
