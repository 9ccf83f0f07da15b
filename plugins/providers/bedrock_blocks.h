/*
 * bedrock_blocks.h - the canonical parts of a message as Converse's blocks:
 * text, images, documents, video, sound, thoughts, calls of tools, results.
 */
#ifndef BEDROCK_BLOCKS_H
#define BEDROCK_BLOCKS_H

#include <strings.h>

#include "moongate_chat.h"

/* Whose model it is; Converse is one for all of them, but for what it hands on. */
enum family { F_OTHER, F_ANTHROPIC, F_NOVA, F_OPENAI, F_MISTRAL };

/* What the request turned out to be. */
struct plan {
	enum family family;
	uint64_t budget;		/* 0: no thinking by budget */
	bool adaptive, off, thinks;
	bool json_tool;			/* the schema is asked for as a forced tool, "json" */
	bool tools;			/* the history needs toolConfig */
	unsigned documents;		/* so far: each has a name of its own */
	struct mg_reasoning wish;
};

static enum family family_of(struct mg_call *c)
{
	static const struct { const char *word, *in; enum family family; } known[] = {
		{ "anthropic", "anthropic.", F_ANTHROPIC }, { "nova", "amazon.nova", F_NOVA },
		{ "openai", "openai.", F_OPENAI }, { "mistral", "mistral.", F_MISTRAL },
	};
	struct mg_str said = c->host->text(c, mg_quirk(c, "family"));
	struct mg_str model = c->host->text(c, c->host->get(c->host->endpoint(c), "model"));

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (said.at ? mg_is(said, known[i].word) : model.at && memmem(model.at, model.len, known[i].in, strlen(known[i].in)))
			return known[i].family;
	return F_OTHER;
}

static struct mg_str thought_format(enum family f)
{
	return f == F_ANTHROPIC ? MG_STR("anthropic-claude-v1") : MG_STR("unknown");
}

/* ----------------------------------------------------------------- media */

enum { MEDIA_IMAGE, MEDIA_DOCUMENT, MEDIA_VIDEO, MEDIA_AUDIO };
static const char *const media_names[] = { "image", "document", "video", "audio" };

/* By media type, by the end of a name, by the first bytes. */
static const struct { const char *format, *type, *magic; int kind; } formats[] = {
	{ "png", "image/png", "\x89PNG", MEDIA_IMAGE }, { "jpeg", "image/jpeg", "\xff\xd8\xff", MEDIA_IMAGE },
	{ "jpeg", "image/jpg", NULL, MEDIA_IMAGE }, { "gif", "image/gif", "GIF8", MEDIA_IMAGE },
	{ "webp", "image/webp", "RIFF", MEDIA_IMAGE }, { "pdf", "application/pdf", "%PDF", MEDIA_DOCUMENT },
	{ "csv", "text/csv", NULL, MEDIA_DOCUMENT }, { "html", "text/html", NULL, MEDIA_DOCUMENT },
	{ "md", "text/markdown", NULL, MEDIA_DOCUMENT }, { "txt", "text/plain", NULL, MEDIA_DOCUMENT },
	{ "doc", "application/msword", NULL, MEDIA_DOCUMENT }, { "xls", "application/vnd.ms-excel", NULL, MEDIA_DOCUMENT },
	{ "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", NULL, MEDIA_DOCUMENT },
	{ "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", NULL, MEDIA_DOCUMENT },
	{ "mp4", "video/mp4", NULL, MEDIA_VIDEO }, { "mov", "video/quicktime", NULL, MEDIA_VIDEO },
	{ "mkv", "video/x-matroska", NULL, MEDIA_VIDEO }, { "webm", "video/webm", "\x1a\x45\xdf\xa3", MEDIA_VIDEO },
	{ "flv", "video/x-flv", "FLV", MEDIA_VIDEO }, { "mpeg", "video/mpeg", NULL, MEDIA_VIDEO },
	{ "wmv", "video/x-ms-wmv", NULL, MEDIA_VIDEO }, { "three_gp", "video/3gpp", NULL, MEDIA_VIDEO },
};
enum { FORMATS = sizeof(formats) / sizeof(formats[0]) };

static bool ends_in(struct mg_str name, const char *format)
{
	size_t len = strlen(format);

	return name.len > len && name.at[name.len - len - 1] == '.' && !strncasecmp(name.at + name.len - len, format, len);
}

static int format_of(struct mg_str type, struct mg_str name, struct mg_str bytes)
{
	for (int i = 0; i < FORMATS; i++)
		if (mg_is(type, formats[i].type))
			return i;
	for (int i = 0; i < FORMATS && bytes.at; i++)
		if (formats[i].magic && bytes.len > 4 && !memcmp(bytes.at, formats[i].magic, strlen(formats[i].magic)))
			return i;
	for (int i = 0; i < FORMATS; i++)
		if (ends_in(name, formats[i].format))
			return i;
	return -1;
}

/* Is it base64 as the service wants it, so that nothing has to be done? */
static bool is_base64(struct mg_str s)
{
	size_t i = 0;

	while (i < s.len && ((s.at[i] >= '/' && s.at[i] <= '9') || s.at[i] == '+' || ((s.at[i] | 0x20) >= 'a' && (s.at[i] | 0x20) <= 'z')))
		i++;
	return s.len && s.len % 4 == 0 && (i == s.len || (s.len - i <= 2 && !memcmp(s.at + i, "==", s.len - i)));
}

/* The bytes of a data: URL, or those that the core fetched; s3:// stays where it lies. */
static int put_media(struct mg_call *c, struct mg_writer *w, struct mg_view url, struct mg_str filename, const char *member, struct plan *p)
{
	const struct mg_host *h = c->host;
	struct mg_str text = h->text(c, url), type = { NULL, 0 }, data = { NULL, 0 }, bytes = { NULL, 0 };
	bool s3 = text.len > 5 && !memcmp(text.at, "s3://", 5);
	char name[40];
	int f;

	if (!text.len)
		return h->fail(c, MG_EINVAL, "messages[].content[].%s: missing; give a data: URL", member);
	if (!mg_data_url(text, &type, &data) || !is_base64(data))
		bytes = s3 ? bytes : h->blob(c, url);
	f = format_of(type, filename.at ? filename : text, bytes);
	if (!s3 && !data.at && !bytes.at)
		return h->fail(c, MG_EINVAL, "messages[].content[].%s: this upstream takes no URL; give a data: URL", member);
	if (f < 0)
		return h->fail(c, MG_EINVAL, "messages[].content[].%s: its type is not one that this upstream takes", member);
	h->open(w, NULL, '{');
	h->open(w, media_names[formats[f].kind], '{');
	h->put(w, "format", (struct mg_str){ formats[f].format, strlen(formats[f].format) });
	if (formats[f].kind == MEDIA_DOCUMENT)	/* a name that says nothing: the model reads it */
		h->put(w, "name", (struct mg_str){ name, (size_t)snprintf(name, sizeof(name), "Document %u", ++p->documents) });
	h->open(w, "source", '{');
	if (s3) {
		h->open(w, "s3Location", '{');
		h->put(w, "uri", text);
		h->close(w);
	} else {
		h->put(w, "bytes", bytes.at ? mg_base64(c, bytes) : data);
	}
	h->close(w);
	h->close(w);
	h->close(w);
	return MG_OK;
}

static int put_audio(struct mg_call *c, struct mg_writer *w, struct mg_view audio)
{
	const struct mg_host *h = c->host;
	struct mg_str bytes = h->blob(c, h->get(audio, "data"));

	if (!bytes.at)
		return h->fail(c, MG_EINVAL, "messages[].content[].input_audio.data: missing, or not base64");
	h->open(w, NULL, '{');
	h->open(w, "audio", '{');
	h->put(w, "format", h->text(c, h->get(audio, "format")));
	h->open(w, "source", '{');
	h->put(w, "bytes", mg_base64(c, bytes));
	h->close(w);
	h->close(w);
	h->close(w);
	return MG_OK;
}

/* ----------------------------------------------------------------- parts */

static void put_text(struct mg_call *c, struct mg_writer *w, struct mg_str text)
{
	c->host->open(w, NULL, '{');
	c->host->put(w, "text", text);
	c->host->close(w);
}

/* What is cached ends here. */
static void put_cache(struct mg_call *c, struct mg_writer *w, struct mg_view mark, const struct plan *p)
{
	const struct mg_host *h = c->host;

	if (h->kind(mark) != MG_OBJECT || (p->family != F_ANTHROPIC && p->family != F_NOVA) || h->kind(mg_quirk(c, "cache")) == MG_FALSE)
		return;
	h->open(w, NULL, '{');
	h->open(w, "cachePoint", '{');
	h->put(w, "type", MG_STR("default"));
	if (p->family == F_ANTHROPIC)
		h->put_raw(w, "ttl", h->raw(h->get(mark, "ttl")));
	h->close(w);
	h->close(w);
}

static int put_part(struct mg_call *c, struct mg_writer *w, struct mg_view part, struct plan *p)
{
	static const struct { const char *type, *member; } media[] = {
		{ "image_url", "image_url.url" }, { "video_url", "video_url.url" }, { "input_video", "input_video.url" } };
	const struct mg_host *h = c->host;
	struct mg_str type = h->text(c, h->get(part, "type")), text = h->text(c, h->get(part, "text"));
	struct mg_view file = h->get(part, "file");
	int rc = MG_OK;

	if (mg_is(type, "refusal"))
		text = h->text(c, h->get(part, "refusal"));
	if (mg_is(type, "text") || mg_is(type, "refusal")) {
		if (!text.len)
			return MG_OK;		/* an empty block is refused */
		put_text(c, w, text);
	} else if (mg_is(type, "file")) {
		rc = put_media(c, w, h->get(file, "file_data"), h->text(c, h->get(file, "filename")), "file.file_data", p);
	} else if (mg_is(type, "input_audio")) {
		rc = put_audio(c, w, h->get(part, "input_audio"));
	} else {
		size_t i = 0;

		while (i < 3 && !mg_is(type, media[i].type))
			i++;
		if (i == 3)
			return h->fail(c, MG_EINVAL, "messages[].content[].type: not a kind of content that is known here");
		rc = put_media(c, w, h->get(h->get(part, media[i].type), "url"), (struct mg_str){ NULL, 0 }, media[i].member, p);
	}
	put_cache(c, w, h->get(part, "cache_control"), p);
	return rc;
}

/* A string or an array of parts, as blocks of the open array. */
static int put_content(struct mg_call *c, struct mg_writer *w, struct mg_view content, bool prefill, struct plan *p)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	if (h->kind(content) == MG_STRING) {
		struct mg_str text = h->text(c, content);

		while (prefill && text.len && strchr(" \t\r\n", text.at[text.len - 1]))
			text.len--;
		if (text.len)
			put_text(c, w, text);
		return MG_OK;
	}
	for (struct mg_view v = h->at(content, 0); h->kind(content) == MG_ARRAY && h->kind(v) && !rc; v = h->next(v))
		rc = put_part(c, w, v, p);
	return rc;
}

/* A document, and no word with it: the service wants one. */
static bool lacks_words(struct mg_call *c, struct mg_view content)
{
	const struct mg_host *h = c->host;
	bool file = false;

	for (struct mg_view v = h->at(content, 0); h->kind(content) == MG_ARRAY && h->kind(v); v = h->next(v)) {
		if (mg_is(h->text(c, h->get(v, "type")), "text") && !mg_no_text(c, h->get(v, "text")))
			return false;
		file = file || mg_is(h->text(c, h->get(v, "type")), "file");
	}
	return file;
}

/* ---------------------------------------------------------- an assistant */

/* Ids of other vendors: [a-zA-Z0-9_-]{1,64}, in call and result alike. */
static struct mg_str tool_id(struct mg_call *c, struct mg_view v)
{
	struct mg_str id = c->host->text(c, v);
	char *out;

	if (id.len > 64)
		id = (struct mg_str){ id.at + id.len - 64, 64 };	/* it is the ends that differ */
	out = c->host->alloc(c, id.len + 1);
	for (size_t i = 0; out && i < id.len; i++) {
		char ch = id.at[i];
		bool plain = (ch >= '0' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') || ch == '_' || ch == '-';

		out[i] = plain ? ch : '_';
	}
	return out && id.len ? (struct mg_str){ out, id.len } : MG_STR("_");
}

/* Is the item this family's, whole enough to go back? */
static bool is_thought(struct mg_call *c, struct mg_view item, enum family f)
{
	const struct mg_host *h = c->host;
	struct mg_str format = h->text(c, h->get(item, "format")), ours = thought_format(f);

	if (format.at && (format.len != ours.len || memcmp(format.at, ours.at, ours.len)))
		return false;
	return !mg_no_text(c, h->get(item, "signature")) || !mg_no_text(c, h->get(item, "data"));
}

static bool same(struct mg_call *c, struct mg_view a, struct mg_view b, const char *member)
{
	struct mg_str x = c->host->raw(c->host->get(a, member)), y = c->host->raw(c->host->get(b, member));

	return x.len == y.len && (!x.len || !memcmp(x.at, y.at, x.len));
}

static void put_thoughts(struct mg_call *c, struct mg_writer *w, struct mg_view m, enum family f)
{
	const struct mg_host *h = c->host;
	struct mg_view from = { NULL, 0 };	/* where the block began */

	for (struct mg_view v = h->at(h->get(m, "reasoning_details"), 0); h->kind(v); v = h->next(v)) {
		struct mg_view data = h->get(v, "data");

		if (!from.doc || !h->get(v, "index").doc || !same(c, from, v, "index") || !same(c, from, v, "format"))
			from = v;
		if (!is_thought(c, v, f))
			continue;
		h->open(w, NULL, '{');
		h->open(w, "reasoningContent", '{');
		if (h->kind(data) == MG_STRING) {	/* bytes here; with Claude those of the text that its own API gives */
			h->put(w, "redactedContent", f == F_ANTHROPIC ? mg_base64(c, h->text(c, data)) : h->text(c, data));
		} else {
			h->open(w, "reasoningText", '{');
			h->put_raw(w, "text", mg_thought(c, from, v, "text"));
			h->put_raw(w, "signature", h->raw(h->get(v, "signature")));
			h->close(w);
		}
		h->close(w);
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
	h->open(w, "toolUse", '{');
	h->put(w, "toolUseId", tool_id(c, h->get(call, "id")));
	h->put_raw(w, "name", h->raw(h->get(fn, "name")));
	h->put_raw(w, "input", h->raw(h->parse(c, args)));
	h->close(w);
	h->close(w);
	return MG_OK;
}

static int put_assistant(struct mg_call *c, struct mg_writer *w, struct mg_view m, bool last, struct plan *p)
{
	const struct mg_host *h = c->host;
	struct mg_view call = h->at(h->get(m, "tool_calls"), 0);
	int rc;

	put_thoughts(c, w, m, p->family);
	rc = put_content(c, w, h->get(m, "content"), last && !h->kind(call), p);
	for (; h->kind(call) && !rc; call = h->next(call))
		rc = put_tool_use(c, w, call);
	return rc;
}

static int put_tool_result(struct mg_call *c, struct mg_writer *w, struct mg_view m, struct plan *p)
{
	const struct mg_host *h = c->host;
	struct mg_view content = h->get(m, "content");
	int rc;

	h->open(w, NULL, '{');
	h->open(w, "toolResult", '{');
	h->put(w, "toolUseId", tool_id(c, h->get(m, "tool_call_id")));
	h->open(w, "content", '[');
	rc = put_content(c, w, content, false, p);
	if (h->kind(content) != MG_ARRAY && mg_no_text(c, content))
		put_text(c, w, MG_STR("."));		/* no text is refused */
	h->close(w);
	if (p->family == F_ANTHROPIC || p->family == F_NOVA)
		h->put(w, "status", h->kind(h->get(m, "is_error")) == MG_TRUE ? MG_STR("error") : MG_STR("success"));
	h->close(w);
	h->close(w);
	put_cache(c, w, h->get(m, "cache_control"), p);
	return rc;
}

#endif
