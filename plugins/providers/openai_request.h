/*
 * openai_request.h - the request half of openai.c: the canonical request with
 * what the gateway alone understands taken out, and each quirk put to work.
 * What is not known here goes through byte for byte.
 */
#ifndef OPENAI_REQUEST_H
#define OPENAI_REQUEST_H

#include "moongate_chat.h"

/* For the gateway; quirk "keep" lets some through. */
static const char *const gateway_only[] = { "models", "route", "provider", "plugins", "preset", "transforms", "session_id",
	"usage", "debug", "trace", "policy", "cache_control", "stop_server_tools_when", "max_tool_calls", NULL };
/* Written by functions of their own. */
static const char *const own[] = { "model", "messages", "max_tokens", "max_completion_tokens", "reasoning", "reasoning_effort",
	"include_reasoning", "stream_options", "stop", "tools", NULL };
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

static void put_tools(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view tools = h->get(h->request(c), "tools");

	if (!tools.doc || !taken(c, "tools"))
		return;
	if (h->kind(tools) != MG_ARRAY || kept(c, MG_STR("cache_control"))) {
		h->put_raw(w, "tools", h->raw(tools));
		return;
	}
	h->open(w, "tools", '[');
	for (struct mg_view t = h->at(tools, 0); h->kind(t); t = h->next(t))
		put_without(c, w, t, "cache_control");
	h->close(w);
}

/* -------------------------------------------------------------- messages */

/* Quirk tool_id_length: an id that is not so many letters and digits becomes
 * so many, the same ones wherever it stands. */
static struct mg_str tool_id(struct mg_call *c, struct mg_str id)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	uint64_t want = 0, hash = 14695981039346656037u;
	size_t plain = 0;
	char *out;

	c->host->count(mg_quirk(c, "tool_id_length"), &want);
	while (plain < id.len && ((id.at[plain] >= '0' && id.at[plain] <= '9') ||
	       ((id.at[plain] | 0x20) >= 'a' && (id.at[plain] | 0x20) <= 'z')))
		plain++;
	if (!want || want > 64 || !id.at || (plain == id.len && id.len == want))
		return id;
	out = c->host->alloc(c, want);
	for (size_t i = 0; i < id.len; i++)
		hash = (hash ^ (unsigned char)id.at[i]) * 1099511628211u;
	for (size_t i = 0; out && i < want; i++) {
		out[i] = digits[hash % 36];
		hash = hash / 36 ^ (hash << 32) * 31;
	}
	return (struct mg_str){ out, want };
}

static void put_tool_calls(struct mg_call *c, struct mg_writer *w, struct mg_view call)
{
	const struct mg_host *h = c->host;

	if (!h->kind(call))
		return;		/* an empty list is refused */
	h->open(w, "tool_calls", '[');
	for (; h->kind(call); call = h->next(call)) {
		h->open(w, NULL, '{');
		for (struct mg_view m = h->at(call, 0); h->kind(m); m = h->next(m)) {
			if (mg_is(h->name(m), "id"))
				h->put(w, "id", tool_id(c, h->text(c, m)));
			else if (!mg_is(h->name(m), "index"))
				h->put_raw(w, terminated(c, h->name(m)), h->raw(m));
		}
		h->close(w);
	}
	h->close(w);
}

/* Does this part need a hand? */
static bool part_plain(struct mg_call *c, struct mg_view part)
{
	const struct mg_host *h = c->host;
	struct mg_str type = h->text(c, h->get(part, "type"));

	if (h->get(part, "cache_control").doc && !kept(c, MG_STR("cache_control")))
		return false;
	if (mg_is(type, "image_url"))
		return !mg_is(h->text(c, h->get(h->get(part, "image_url"), "detail")), "original");
	return mg_is(type, "text") || (mg_is(type, "file") && quirk_is(c, "file", "as_given")) ||
		(!mg_is(type, "file") && !(mg_is(type, "input_audio") && quirk_is(c, "audio", "string")));
}

static int put_file(struct mg_call *c, struct mg_writer *w, struct mg_view part)
{
	const struct mg_host *h = c->host;
	struct mg_view file = h->get(part, "file");
	struct mg_str data = h->text(c, h->get(file, "file_data")), how = h->text(c, mg_quirk(c, "file"));

	if (mg_is(how, "refuse"))
		return h->fail(c, MG_EINVAL, "messages[].content[].file: this upstream takes no files");
	if (mg_is(how, "document_url") || mg_is(how, "file_url")) {
		if (!data.at)
			return h->fail(c, MG_EINVAL, "messages[].content[].file.file_data: missing; give a data: or https URL");
		h->open(w, NULL, '{');
		h->put(w, "type", how);
		if (mg_is(how, "document_url")) {
			h->put(w, "document_url", data);
			h->put(w, "document_name", h->text(c, h->get(file, "filename")));
		} else {
			h->open(w, "file_url", '{');
			h->put(w, "url", data);
			h->close(w);
		}
		h->close(w);
		return MG_OK;
	}
	if (data.len > 4 && !memcmp(data.at, "http", 4))
		return h->fail(c, MG_EINVAL, "messages[].content[].file.file_data: this upstream takes no URL; give a data: URL");
	put_without(c, w, part, "cache_control");
	return MG_OK;
}

static int put_part(struct mg_call *c, struct mg_writer *w, struct mg_view part)
{
	const struct mg_host *h = c->host;
	struct mg_str type = h->text(c, h->get(part, "type"));

	if (part_plain(c, part)) {
		h->put_raw(w, NULL, h->raw(part));
		return MG_OK;
	}
	if (mg_is(type, "file"))
		return put_file(c, w, part);
	if (mg_is(type, "image_url")) {
		h->open(w, NULL, '{');
		h->put(w, "type", type);
		h->open(w, "image_url", '{');
		h->put_raw(w, "url", h->raw(h->get(h->get(part, "image_url"), "url")));
		if (mg_is(h->text(c, h->get(h->get(part, "image_url"), "detail")), "original"))
			h->put(w, "detail", MG_STR("high"));
		else
			h->put_raw(w, "detail", h->raw(h->get(h->get(part, "image_url"), "detail")));
		h->close(w);
		h->close(w);
	} else if (mg_is(type, "input_audio") && quirk_is(c, "audio", "string")) {
		h->open(w, NULL, '{');
		h->put(w, "type", type);
		h->put_raw(w, "input_audio", h->raw(h->get(h->get(part, "input_audio"), "data")));
		h->close(w);
	} else {
		put_without(c, w, part, "cache_control");
	}
	return MG_OK;
}

static int put_flat(struct mg_call *c, struct mg_writer *w, struct mg_view content)
{
	const struct mg_host *h = c->host;
	struct mg_str text = mg_joined(c, content, "text", "\n");

	for (struct mg_view v = h->at(content, 0); h->kind(v); v = h->next(v))
		if (!mg_is(h->text(c, h->get(v, "type")), "text"))
			return h->fail(c, MG_EINVAL, "messages[].content[].type: this upstream takes text only");
	h->put(w, "content", text.at ? text : MG_STR(""));
	return MG_OK;
}

static int put_content(struct mg_call *c, struct mg_writer *w, struct mg_view content)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	if (h->kind(content) == MG_ARRAY && quirk_is(c, "content", "string"))
		return put_flat(c, w, content);
	if (h->kind(content) == MG_STRING && quirk_is(c, "content", "array")) {
		h->open(w, "content", '[');
		h->open(w, NULL, '{');
		h->put(w, "type", MG_STR("text"));
		h->put_raw(w, "text", h->raw(content));
		h->close(w);
		h->close(w);
		return MG_OK;
	}
	if (h->kind(content) != MG_ARRAY) {
		h->put_raw(w, "content", h->raw(content));
		return MG_OK;
	}
	h->open(w, "content", '[');
	for (struct mg_view v = h->at(content, 0); h->kind(v) && !rc; v = h->next(v))
		rc = put_part(c, w, v);
	h->close(w);
	return rc;
}

/* What the model thought in earlier turns, where the upstream wants it back; missing: what stands for it. */
static void put_history(struct mg_call *c, struct mg_writer *w, struct mg_view m, struct mg_str missing)
{
	struct mg_str how = c->host->text(c, mg_quirk(c, "reasoning_history")), text = mg_thoughts(c, m);

	if (mg_is(how, "reasoning") || mg_is(how, "reasoning_content"))
		c->host->put(w, terminated(c, how), text.len ? text : mg_role_is(c, m, "assistant") ? missing : text);
}

/* Quirk reasoning_missing: in a conversation with calls the upstream wants a thought in every
 * answer, also in those that another model gave, or a client that keeps none. */
static struct mg_str missing_of(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	struct mg_str missing = h->text(c, mg_quirk(c, "reasoning_missing"));

	if (!missing.len || mg_reasoning(c).off)
		return (struct mg_str){ NULL, 0 };
	for (struct mg_view m = h->at(mg_asked(c, "messages"), 0); h->kind(m); m = h->next(m))
		if (h->kind(h->at(h->get(m, "tool_calls"), 0)))
			return missing;
	return (struct mg_str){ NULL, 0 };
}

/* A thought that is a chunk of the content; a model that does not think takes none. */
static struct mg_str chunk_of(struct mg_call *c, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct mg_view params = h->get(h->endpoint(c), "params");

	if (!quirk_is(c, "reasoning_history", "thinking") || !mg_role_is(c, m, "assistant") ||
	    (params.doc && !mg_listed(c, params, MG_STR("reasoning"))))
		return (struct mg_str){ NULL, 0 };
	return mg_thoughts(c, m);
}

static void put_text(struct mg_call *c, struct mg_writer *w, struct mg_str text)
{
	c->host->open(w, NULL, '{');
	c->host->put(w, "type", MG_STR("text"));
	c->host->put(w, "text", text);
	c->host->close(w);
}

static int put_chunks(struct mg_call *c, struct mg_writer *w, struct mg_str thought, struct mg_view content)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	h->open(w, "content", '[');
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("thinking"));
	h->open(w, "thinking", '[');
	put_text(c, w, thought);
	h->close(w);
	h->close(w);
	if (h->kind(content) == MG_STRING && h->text(c, content).len)
		put_text(c, w, h->text(c, content));
	for (struct mg_view v = h->at(content, 0); h->kind(content) == MG_ARRAY && h->kind(v) && !rc; v = h->next(v))
		rc = put_part(c, w, v);
	h->close(w);
	return rc;
}

/* Calls as they were made: no ids to map, no members of an answer alone. */
static bool calls_plain(struct mg_call *c, struct mg_view call)
{
	const struct mg_host *h = c->host;

	if (!h->kind(call) || mg_quirk(c, "tool_id_length").doc)
		return false;
	for (; h->kind(call); call = h->next(call))
		if (h->get(call, "index").doc)
			return false;
	return true;
}

static bool member_plain(struct mg_call *c, struct mg_view v)
{
	const struct mg_host *h = c->host;
	struct mg_str name = h->name(v);

	if (mg_is(name, "role"))
		return !mg_is(h->text(c, v), "developer") || h->kind(mg_quirk(c, "developer_role")) == MG_TRUE;
	if (mg_is(name, "tool_calls"))
		return h->kind(v) == MG_NULL || calls_plain(c, h->at(v, 0));
	if (mg_is(name, "tool_call_id"))
		return !mg_quirk(c, "tool_id_length").doc;
	if (mg_is(name, "refusal"))
		return h->kind(v) != MG_NULL;
	if (mg_is(name, "content")) {
		if (mg_quirk(c, "content").doc)
			return false;
		for (struct mg_view part = h->at(v, 0); h->kind(v) == MG_ARRAY && h->kind(part); part = h->next(part))
			if (!part_plain(c, part))
				return false;
		return true;
	}
	if (one_of(name, thoughts))
		return quirk_is(c, "reasoning_history", "as_given");
	return (!one_of(name, message_only) || kept(c, name)) && !mg_listed(c, mg_quirk(c, "drop_in_messages"), name);
}

static int put_member(struct mg_call *c, struct mg_writer *w, struct mg_view v)
{
	const struct mg_host *h = c->host;
	struct mg_str name = h->name(v);

	if (member_plain(c, v))
		h->put_raw(w, terminated(c, name), h->raw(v));
	else if (mg_is(name, "role"))
		h->put(w, "role", MG_STR("system"));
	else if (mg_is(name, "tool_calls"))
		put_tool_calls(c, w, h->at(v, 0));
	else if (mg_is(name, "tool_call_id"))
		h->put(w, "tool_call_id", tool_id(c, h->text(c, v)));
	else if (mg_is(name, "content"))
		return put_content(c, w, v);
	return MG_OK;		/* the others are not for the upstream */
}

static int put_message(struct mg_call *c, struct mg_writer *w, struct mg_view m, struct mg_str missing)
{
	const struct mg_host *h = c->host;
	struct mg_str thought = { NULL, 0 };
	bool plain = !missing.at || !mg_role_is(c, m, "assistant");
	int rc = MG_OK;

	for (struct mg_view v = h->at(m, 0); h->kind(v) && plain; v = h->next(v))
		plain = member_plain(c, v);
	if (plain) {
		h->put_raw(w, NULL, h->raw(m));
		return MG_OK;
	}
	thought = chunk_of(c, m);
	h->open(w, NULL, '{');
	for (struct mg_view v = h->at(m, 0); h->kind(v) && !rc; v = h->next(v))
		if (!thought.len || !mg_is(h->name(v), "content"))
			rc = put_member(c, w, v);
	if (thought.len && !rc)
		rc = put_chunks(c, w, thought, h->get(m, "content"));
	if (!quirk_is(c, "reasoning_history", "as_given"))
		put_history(c, w, m, missing);
	h->close(w);
	return rc;
}

static int put_messages(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view messages = h->get(h->request(c), "messages");
	struct mg_str missing = missing_of(c);
	int rc = MG_OK;

	if (h->kind(messages) != MG_ARRAY)
		return h->fail(c, MG_EINVAL, "messages: missing, or not an array");
	h->open(w, "messages", '[');
	for (struct mg_view m = h->at(messages, 0); h->kind(m) && !rc; m = h->next(m))
		rc = put_message(c, w, m, missing);
	h->close(w);
	return rc;
}

#endif
