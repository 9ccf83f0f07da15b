/*
 * anthropic_blocks.h - the canonical parts of a message as the service's
 * blocks: text, images, documents, thinking, calls of tools and their results.
 */
#ifndef ANTHROPIC_BLOCKS_H
#define ANTHROPIC_BLOCKS_H

#include "moongate_chat.h"

/* ---------------------------------------------------------------- blocks */

static void put_text(struct mg_call *c, struct mg_writer *w, struct mg_str text, struct mg_view cache)
{
	c->host->open(w, NULL, '{');
	c->host->put(w, "type", MG_STR("text"));
	c->host->put(w, "text", text);
	c->host->put_raw(w, "cache_control", c->host->raw(cache));
	c->host->close(w);
}

static bool data_url(struct mg_str url, struct mg_str *type, struct mg_str *data)
{
	if (!mg_data_url(url, type, data))
		return false;
	if (mg_is(*type, "image/jpg"))
		*type = MG_STR("image/jpeg");
	return true;
}

static void put_source(struct mg_call *c, struct mg_writer *w, struct mg_view url)
{
	const struct mg_host *h = c->host;
	struct mg_str type, data, text = h->text(c, url);

	h->open(w, "source", '{');
	if (!data_url(text, &type, &data)) {
		h->put(w, "type", MG_STR("url"));
		h->put_raw(w, "url", h->raw(url));
	} else if (type.len > 5 && !memcmp(type.at, "text/", 5)) {
		h->put(w, "type", MG_STR("text"));
		h->put(w, "media_type", MG_STR("text/plain"));
		h->put(w, "data", h->blob(c, url));
	} else {
		h->put(w, "type", MG_STR("base64"));
		h->put(w, "media_type", type);
		h->put(w, "data", data);
	}
	h->close(w);
}

/* An address, where bytes alone are taken. */
static bool is_address(struct mg_call *c, struct mg_view url)
{
	struct mg_str type, data;

	return c->host->kind(mg_quirk(c, "urls")) == MG_FALSE && !mg_no_text(c, url) && !data_url(c->host->text(c, url), &type, &data);
}

static int put_image(struct mg_call *c, struct mg_writer *w, struct mg_view part)
{
	const struct mg_host *h = c->host;
	struct mg_view url = h->get(h->get(part, "image_url"), "url");

	if (mg_no_text(c, url))
		return h->fail(c, MG_EINVAL, "messages[].content[].image_url.url: missing; give a data: or https URL");
	if (is_address(c, url))
		return h->fail(c, MG_EINVAL, "messages[].content[].image_url.url: this upstream takes no URL; give a data: URL");
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("image"));
	put_source(c, w, url);
	h->put_raw(w, "cache_control", h->raw(h->get(part, "cache_control")));
	h->close(w);
	return MG_OK;
}

static int put_document(struct mg_call *c, struct mg_writer *w, struct mg_view part)
{
	const struct mg_host *h = c->host;
	struct mg_view file = h->get(part, "file"), data = h->get(file, "file_data");
	struct mg_str type, rest;

	if (mg_no_text(c, data) && mg_no_text(c, h->get(file, "file_id")))
		return h->fail(c, MG_EINVAL, "messages[].content[].file.file_data: missing; give a data: or https URL");
	if (is_address(c, data))
		return h->fail(c, MG_EINVAL, "messages[].content[].file.file_data: this upstream takes no URL; give a data: URL");
	h->open(w, NULL, '{');
	if (data_url(h->text(c, data), &type, &rest) && type.len > 6 && !memcmp(type.at, "image/", 6)) {
		h->put(w, "type", MG_STR("image"));
		put_source(c, w, data);
		h->close(w);
		return MG_OK;
	}
	h->put(w, "type", MG_STR("document"));
	if (!mg_no_text(c, data)) {
		put_source(c, w, data);
	} else {
		h->open(w, "source", '{');
		h->put(w, "type", MG_STR("file"));
		h->put_raw(w, "file_id", h->raw(h->get(file, "file_id")));
		h->close(w);
	}
	h->put(w, "title", h->text(c, h->get(file, "filename")));
	h->put_raw(w, "cache_control", h->raw(h->get(part, "cache_control")));
	h->close(w);
	return MG_OK;
}

/* What only this service has: its tools' calls and results, its containers' files.  They go back as they came. */
static bool is_own_block(struct mg_str type)
{
	static const char *const own[] = { "thinking", "redacted_thinking", "server_tool_use", "mcp_tool_use", "container_upload", "search_result" };
	static const char result[] = "_tool_result";
	size_t len = sizeof(result) - 1;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (mg_is(type, own[i]))
			return true;
	return type.len > len && !memcmp(type.at + type.len - len, result, len);
}

static int put_part(struct mg_call *c, struct mg_writer *w, struct mg_view part)
{
	const struct mg_host *h = c->host;
	struct mg_str type = h->text(c, h->get(part, "type")), text = h->text(c, h->get(part, "text"));

	if (mg_is(type, "text") || mg_is(type, "refusal")) {
		if (!text.at)
			text = h->text(c, h->get(part, "refusal"));
		if (text.len)		/* an empty block is refused */
			put_text(c, w, text, h->get(part, "cache_control"));
		return MG_OK;
	}
	if (mg_is(type, "image_url"))
		return put_image(c, w, part);
	if (mg_is(type, "file"))
		return put_document(c, w, part);
	if (mg_is(type, "input_audio") || mg_is(type, "video_url") || mg_is(type, "input_video"))
		return h->fail(c, MG_EINVAL, "messages[].content[].type: this upstream takes no %.*s", (int)type.len, type.at);
	if (!is_own_block(type))
		return h->fail(c, MG_EINVAL, "messages[].content[].type: not a kind of content that is known here");
	h->put_raw(w, NULL, h->raw(part));
	return MG_OK;
}

/* A string or an array of parts, as blocks of the open array. */
static int put_content(struct mg_call *c, struct mg_writer *w, struct mg_view content, bool prefill)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	if (h->kind(content) == MG_STRING) {
		struct mg_str text = h->text(c, content);

		while (prefill && text.len && strchr(" \t\r\n", text.at[text.len - 1]))
			text.len--;	/* refused at the end of a prefill */
		if (text.len)
			put_text(c, w, text, (struct mg_view){ NULL, 0 });
		return MG_OK;
	}
	for (struct mg_view v = h->at(content, 0); h->kind(content) == MG_ARRAY && h->kind(v) && !rc; v = h->next(v))
		rc = put_part(c, w, v);
	return rc;
}

/* ---------------------------------------------------------- an assistant */

/* Ids of other vendors: what is not [a-zA-Z0-9_-] becomes _, in call and result alike. */
static struct mg_str tool_id(struct mg_call *c, struct mg_view v)
{
	struct mg_str id = c->host->text(c, v);
	char *out = c->host->alloc(c, id.len + 1);

	for (size_t i = 0; out && i < id.len; i++) {
		char ch = id.at[i];
		bool plain = (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') || ch == '_' || ch == '-';

		out[i] = plain ? ch : '_';
	}
	return out && id.len ? (struct mg_str){ out, id.len } : MG_STR("_");
}

/* Is the item one of ours, whole enough to go back? */
static bool is_thought(struct mg_call *c, struct mg_view item)
{
	const struct mg_host *h = c->host;
	struct mg_str format = h->text(c, h->get(item, "format"));

	if (format.at && !mg_is(format, "anthropic-claude-v1"))
		return false;
	return !mg_no_text(c, h->get(item, "signature")) || !mg_no_text(c, h->get(item, "data"));
}

static bool same(struct mg_call *c, struct mg_view a, struct mg_view b, const char *member)
{
	struct mg_str x = c->host->raw(c->host->get(a, member)), y = c->host->raw(c->host->get(b, member));

	return x.len == y.len && (!x.len || !memcmp(x.at, y.at, x.len));
}

static void put_thoughts(struct mg_call *c, struct mg_writer *w, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct mg_view from = { NULL, 0 };	/* where the block began */

	for (struct mg_view v = h->at(h->get(m, "reasoning_details"), 0); h->kind(v); v = h->next(v)) {
		bool redacted = !h->get(v, "signature").doc || h->kind(h->get(v, "data")) == MG_STRING;

		if (!from.doc || !h->get(v, "index").doc || !same(c, from, v, "index") || !same(c, from, v, "format"))
			from = v;
		if (!is_thought(c, v))
			continue;
		h->open(w, NULL, '{');
		h->put(w, "type", redacted ? MG_STR("redacted_thinking") : MG_STR("thinking"));
		if (redacted) {
			h->put_raw(w, "data", h->raw(h->get(v, "data")));
		} else {
			h->put_raw(w, "thinking", mg_thought(c, from, v, "text"));
			h->put_raw(w, "signature", h->raw(h->get(v, "signature")));
		}
		h->close(w);
		from = (struct mg_view){ NULL, 0 };
	}
}

static int put_tool_use(struct mg_call *c, struct mg_writer *w, struct mg_view call)
{
	const struct mg_host *h = c->host;
	struct mg_view fn = h->get(call, "function"), given = h->get(fn, "arguments");
	struct mg_str args = h->kind(given) == MG_OBJECT ? h->raw(given) : h->text(c, given);

	if (!args.len)
		args = MG_STR("{}");
	if (h->kind(h->parse(c, args)) != MG_OBJECT)
		return h->fail(c, MG_EINVAL, "messages[].tool_calls[].function.arguments: not the text of a JSON object");
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("tool_use"));
	h->put(w, "id", tool_id(c, h->get(call, "id")));
	h->put_raw(w, "name", h->raw(h->get(fn, "name")));
	h->put_raw(w, "input", h->raw(h->parse(c, args)));
	h->put_raw(w, "cache_control", h->raw(h->get(call, "cache_control")));
	h->close(w);
	return MG_OK;
}

static int put_assistant(struct mg_call *c, struct mg_writer *w, struct mg_view m, bool last)
{
	const struct mg_host *h = c->host;
	struct mg_view call = h->at(h->get(m, "tool_calls"), 0);
	int rc;

	put_thoughts(c, w, m);
	rc = put_content(c, w, h->get(m, "content"), last && !h->kind(call));
	for (; h->kind(call) && !rc; call = h->next(call))
		rc = put_tool_use(c, w, call);
	return rc;
}

static int put_tool_result(struct mg_call *c, struct mg_writer *w, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct mg_view content = h->get(m, "content");
	int rc = MG_OK;

	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("tool_result"));
	h->put(w, "tool_use_id", tool_id(c, h->get(m, "tool_call_id")));
	if (h->kind(content) == MG_STRING) {
		h->put_raw(w, "content", h->raw(content));
	} else {
		h->open(w, "content", '[');
		rc = put_content(c, w, content, false);
		h->close(w);
	}
	h->put_raw(w, "is_error", h->raw(h->get(m, "is_error")));
	h->put_raw(w, "cache_control", h->raw(h->get(m, "cache_control")));
	h->close(w);
	return rc;
}

#endif
