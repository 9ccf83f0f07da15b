/*
 * openai_messages.h - the messages of a request for openai.c, part by part where a
 * quirk wants it, byte for byte where none does.
 */
#ifndef OPENAI_MESSAGES_H
#define OPENAI_MESSAGES_H

#include "openai_request.h"

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

/* Quirk prefix: an answer that is begun, and is to go on, has to say so. */
static bool begins_answer(struct mg_call *c, struct mg_view m)
{
	const struct mg_host *h = c->host;

	return !h->kind(h->next(m)) && h->kind(mg_quirk(c, "prefix")) == MG_TRUE && mg_role_is(c, m, "assistant") &&
		!h->kind(h->at(h->get(m, "tool_calls"), 0)) && !h->get(m, "prefix").doc;
}

static int put_message(struct mg_call *c, struct mg_writer *w, struct mg_view m, struct mg_str missing)
{
	const struct mg_host *h = c->host;
	struct mg_str thought = { NULL, 0 };
	bool begins = begins_answer(c, m), plain = !begins && (!missing.at || !mg_role_is(c, m, "assistant"));
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
	if (begins)
		put_bool(c, w, "prefix", true);
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
