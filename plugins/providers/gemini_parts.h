/*
 * gemini_parts.h - the canonical parts of a message as the service's parts:
 * text, octets and addresses, calls with their signatures, results.
 */
#ifndef GEMINI_PARTS_H
#define GEMINI_PARTS_H

#include "moongate_chat.h"

enum { AHEAD = 64 };	/* signatures of other parts that are looked past */

static const struct mg_str google = { "google-gemini-v1", 16 };

static bool role_is(struct mg_call *c, struct mg_view m, const char *role)
{
	return mg_is(c->host->text(c, c->host->get(m, "role")), role);
}

static bool is_system(struct mg_call *c, struct mg_view m)
{
	return role_is(c, m, "system") || role_is(c, m, "developer");
}

static bool empty_text(struct mg_call *c, struct mg_view v)
{
	return c->host->kind(v) != MG_STRING || !c->host->text(c, v).len;
}

static bool begins(struct mg_str s, const char *word)
{
	size_t n = strlen(word);

	return s.at && s.len >= n && !memcmp(s.at, word, n);
}

static bool has(struct mg_str s, const char *word)
{
	return s.at && memmem(s.at, s.len, word, strlen(word));
}

static bool same_text(struct mg_str a, struct mg_str b)
{
	return a.at && b.at && a.len == b.len && !memcmp(a.at, b.at, a.len);
}

/* ---------------------------------------------------------------- family */

/* How a model thinks: its quirk, or what its name says: gemini-2.5-.. by budget, from 3 on by level. */
struct family { bool budget, level, pro; unsigned minor; };

static struct family family_of(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	struct mg_str m = h->text(c, h->get(h->endpoint(c), "model")), how = h->text(c, mg_quirk(c, "thinking"));
	bool named = begins(m, "gemini-") && m.len > 9 && m.at[7] >= '1' && m.at[7] <= '9';
	struct family f = { .pro = has(m, "-pro") };

	if (named && m.len > 9 && m.at[8] == '.')
		f.minor = (unsigned)(m.at[9] - '0');
	f.level = how.at ? mg_is(how, "level") : named ? m.at[7] >= '3' : has(m, "-latest");
	f.budget = how.at ? mg_is(how, "budget") : named && m.at[7] == '2' && f.minor >= 5 && !has(m, "-tts") && !has(m, "-image");
	return f;
}

/* ---------------------------------------------------------------- octets */

/* "data:image/png;base64,iVBOR..": its type and what is behind the comma. */
static bool data_url(struct mg_str url, struct mg_str *type, struct mg_str *data)
{
	const char *comma = begins(url, "data:") ? memchr(url.at, ',', url.len) : NULL;
	const char *end;

	if (!comma)
		return false;
	end = memchr(url.at, ';', (size_t)(comma - url.at));
	*type = (struct mg_str){ url.at + 5, (size_t)((end ? end : comma) - url.at) - 5 };
	*data = (struct mg_str){ comma + 1, url.len - (size_t)(comma + 1 - url.at) };
	if (mg_is(*type, "image/jpg"))
		*type = MG_STR("image/jpeg");
	return end && comma - end >= 7 && !memcmp(comma - 7, ";base64", 7);
}

/* The service wants a type with an address. */
static struct mg_str type_of_address(struct mg_str url, struct mg_str otherwise)
{
	static const struct { const char *end, *type; } known[] = {
		{ ".png", "image/png" }, { ".jpg", "image/jpeg" }, { ".jpeg", "image/jpeg" }, { ".webp", "image/webp" },
		{ ".gif", "image/gif" }, { ".heic", "image/heic" }, { ".pdf", "application/pdf" }, { ".txt", "text/plain" },
		{ ".csv", "text/csv" }, { ".html", "text/html" }, { ".mp4", "video/mp4" }, { ".mov", "video/quicktime" },
		{ ".webm", "video/webm" }, { ".mpeg", "video/mpeg" }, { ".mp3", "audio/mp3" }, { ".wav", "audio/wav" },
	};
	const char *mark = memchr(url.at, '?', url.len);
	size_t len = mark ? (size_t)(mark - url.at) : url.len;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t n = strlen(known[i].end);

		if (len > n && !memcmp(url.at + len - n, known[i].end, n))
			return (struct mg_str){ known[i].type, strlen(known[i].type) };
	}
	return otherwise;
}

static const struct mg_str unsigned_ = { NULL, 0 };

static void put_octets(struct mg_call *c, struct mg_writer *w, struct mg_str type, struct mg_str data, struct mg_str signature)
{
	c->host->open(w, NULL, '{');
	c->host->open(w, "inlineData", '{');
	c->host->put(w, "mimeType", type);
	c->host->put(w, "data", data);
	c->host->close(w);
	c->host->put(w, "thoughtSignature", signature);
	c->host->close(w);
}

/* Quirk urls: false, or how those addresses begin that are taken; where it is absent, all are. */
static bool takes_address(struct mg_call *c, struct mg_str url)
{
	const struct mg_host *h = c->host;
	struct mg_view urls = mg_quirk(c, "urls");

	for (struct mg_view v = h->at(urls, 0); h->kind(urls) == MG_ARRAY && h->kind(v); v = h->next(v)) {
		struct mg_str s = h->text(c, v);

		if (s.at && s.len <= url.len && !memcmp(s.at, url.at, s.len))
			return true;
	}
	return h->kind(urls) != MG_ARRAY && h->kind(urls) != MG_FALSE;
}

/* A data: URL or an address; where: the member, for the message. */
static int put_media(struct mg_call *c, struct mg_writer *w, struct mg_view v, const char *where, struct mg_str usual, struct mg_str signature)
{
	const struct mg_host *h = c->host;
	struct mg_str url = h->text(c, v), type, data;

	if (empty_text(c, v))
		return h->fail(c, MG_EINVAL, "messages[].content[].%s: missing; give a data: or https URL", where);
	if (data_url(url, &type, &data)) {
		put_octets(c, w, type.len ? type : usual, data, signature);
		return MG_OK;
	}
	if (begins(url, "data:"))
		return h->fail(c, MG_EINVAL, "messages[].content[].%s: a data: URL that is not base64", where);
	if (!takes_address(c, url))
		return h->fail(c, MG_EINVAL, "messages[].content[].%s: this upstream fetches no URL; give a data: URL", where);
	h->open(w, NULL, '{');
	h->open(w, "fileData", '{');
	h->put(w, "fileUri", url);
	h->put(w, "mimeType", type_of_address(url, usual));
	h->close(w);
	h->close(w);
	return MG_OK;
}

static int put_audio(struct mg_call *c, struct mg_writer *w, struct mg_view audio)
{
	const struct mg_host *h = c->host;
	static const struct { const char *format, *type; } known[] = {
		{ "wav", "audio/wav" }, { "mp3", "audio/mp3" }, { "aiff", "audio/aiff" }, { "aac", "audio/aac" }, { "ogg", "audio/ogg" },
		{ "flac", "audio/flac" }, { "m4a", "audio/m4a" }, { "pcm16", "audio/pcm" }, { "pcm24", "audio/pcm" },
	};
	struct mg_str format = h->text(c, h->get(audio, "format")), data = h->text(c, h->get(audio, "data")), type;

	if (data_url(data, &type, &data)) {
		put_octets(c, w, type, data, unsigned_);
		return MG_OK;
	}
	for (size_t i = 0; data.len && i < sizeof(known) / sizeof(known[0]); i++)
		if (mg_is(format, known[i].format)) {
			put_octets(c, w, (struct mg_str){ known[i].type, strlen(known[i].type) }, data, unsigned_);
			return MG_OK;
		}
	return h->fail(c, MG_EINVAL, "messages[].content[].input_audio: needs data, and a format: wav, mp3, aiff, aac, ogg, flac, m4a or pcm16");
}

/* ----------------------------------------------------------------- parts */

static void put_text(struct mg_call *c, struct mg_writer *w, struct mg_str text, struct mg_str signature)
{
	c->host->open(w, NULL, '{');
	c->host->put(w, "text", text);
	c->host->put(w, "thoughtSignature", signature);
	c->host->close(w);
}

static struct mg_str text_of_part(struct mg_call *c, struct mg_view part)
{
	struct mg_str text = c->host->text(c, c->host->get(part, "text"));

	return text.at ? text : c->host->text(c, c->host->get(part, "refusal"));
}

static bool is_text(struct mg_call *c, struct mg_view part)
{
	struct mg_str type = c->host->text(c, c->host->get(part, "type"));

	return mg_is(type, "text") || mg_is(type, "refusal");
}

static int put_part(struct mg_call *c, struct mg_writer *w, struct mg_view part)
{
	const struct mg_host *h = c->host;
	struct mg_str type = h->text(c, h->get(part, "type")), text = text_of_part(c, part);
	struct mg_view file = h->get(part, "file"), video = h->get(part, "video_url");

	if (is_text(c, part)) {
		if (text.len)
			put_text(c, w, text, unsigned_);
		return MG_OK;
	}
	if (mg_is(type, "image_url"))
		return put_media(c, w, h->get(h->get(part, "image_url"), "url"), "image_url.url", MG_STR("image/jpeg"), unsigned_);
	if (mg_is(type, "file"))
		return put_media(c, w, h->get(file, !empty_text(c, h->get(file, "file_data")) ? "file_data" : "file_id"), "file.file_data",
			MG_STR("application/pdf"), unsigned_);
	if (mg_is(type, "video_url") || mg_is(type, "input_video"))
		return put_media(c, w, h->get(video.doc ? video : h->get(part, "input_video"), "url"), "video_url.url", MG_STR("video/mp4"), unsigned_);
	if (mg_is(type, "input_audio"))
		return put_audio(c, w, h->get(part, "input_audio"));
	return h->fail(c, MG_EINVAL, "messages[].content[].type: not a kind of content that is known here");
}

/* A string or an array of parts, into the open array. */
static int put_content(struct mg_call *c, struct mg_writer *w, struct mg_view content, bool texts, bool media)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	if (h->kind(content) == MG_STRING && texts && h->text(c, content).len)
		put_text(c, w, h->text(c, content), unsigned_);
	for (struct mg_view v = h->at(content, 0); h->kind(content) == MG_ARRAY && h->kind(v) && !rc; v = h->next(v))
		if (is_text(c, v) ? texts : media)
			rc = put_part(c, w, v);
	return rc;
}

/* The texts of the items [from, end), one behind the other. */
static struct mg_str joined_until(struct mg_call *c, struct mg_view from, struct mg_view end)
{
	const struct mg_host *h = c->host;
	char *out = NULL;
	size_t len = 0;

	for (int pass = 0; pass < 2; pass++) {
		len = 0;
		for (struct mg_view v = from; h->kind(v) && v.node != end.node; v = h->next(v)) {
			struct mg_str s = text_of_part(c, v);

			if (out && s.len)
				memcpy(out + len, s.at, s.len);
			len += s.len;
		}
		if (!out && !(out = h->alloc(c, len + 1)))
			return (struct mg_str){ NULL, 0 };
	}
	return (struct mg_str){ out, len };
}

/* The texts of a content; absent where it has none. */
static struct mg_str joined(struct mg_call *c, struct mg_view content)
{
	if (c->host->kind(content) == MG_STRING)
		return c->host->text(c, content);
	if (c->host->kind(content) != MG_ARRAY)
		return (struct mg_str){ NULL, 0 };
	return joined_until(c, c->host->at(content, 0), (struct mg_view){ NULL, UINT32_MAX });
}

/* ------------------------------------------------------------ signatures */

static bool is_signature(struct mg_call *c, struct mg_view item)
{
	const struct mg_host *h = c->host;
	struct mg_str format = h->text(c, h->get(item, "format"));

	return !empty_text(c, h->get(item, "data")) && (!format.at || mg_is(format, "google-gemini-v1"));
}

/* Under its id in reasoning_details, which are in the order of the parts.  *at: where to look
 * on, so that long lists are read once. */
static struct mg_str signature_of(struct mg_call *c, struct mg_str id, struct mg_view *at)
{
	const struct mg_host *h = c->host;
	unsigned ahead = 0;

	while (h->kind(*at) && !is_signature(c, *at))
		*at = h->next(*at);
	for (struct mg_view v = *at; h->kind(v) && ahead < AHEAD; v = h->next(v), ahead++)
		if (is_signature(c, v) && same_text(h->text(c, h->get(v, "id")), id)) {
			*at = h->next(v);
			return h->text(c, h->get(v, "data"));
		}
	return unsigned_;
}

static bool digits(struct mg_str *s, size_t *out)
{
	size_t n = 0, i = 0;

	for (; i < s->len && i < 9 && s->at[i] >= '0' && s->at[i] <= '9'; i++)
		n = n * 10 + (size_t)(s->at[i] - '0');
	*out = n;
	*s = (struct mg_str){ s->at + i, s->len - i };
	return i > 0;
}

/* Which text was signed: "text:FROM:TO", in bytes; no id: all that is there so far. */
static bool signed_range(struct mg_call *c, struct mg_view item, struct mg_str text, size_t done, size_t *from, size_t *to)
{
	struct mg_view v = c->host->get(item, "id");
	struct mg_str id = c->host->text(c, v);

	*from = done;
	*to = text.len;
	if (!id.at)
		return is_signature(c, item);
	if (!is_signature(c, item) || !begins(id, "text:"))
		return false;
	id = (struct mg_str){ id.at + 5, id.len - 5 };
	if (!digits(&id, from) || !id.len || *id.at != ':')
		return false;
	id = (struct mg_str){ id.at + 1, id.len - 1 };
	if (!digits(&id, to) || *from < done || *to < *from || *to > text.len) {
		*from = done;		/* the text is another now: the signature stays behind it */
		*to = text.len;
	}
	return true;
}

static bool inside_character(struct mg_str s, size_t at)
{
	return at < s.len && ((unsigned char)s.at[at] & 0xc0) == 0x80;
}

/* An assistant's text in the parts that it was signed in. */
static void put_signed_text(struct mg_call *c, struct mg_writer *w, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct mg_str text = joined(c, h->get(m, "content"));
	size_t done = 0, from, to;

	for (struct mg_view v = h->at(h->get(m, "reasoning_details"), 0); h->kind(v); v = h->next(v)) {
		if (!signed_range(c, v, text, done, &from, &to) || inside_character(text, from) || inside_character(text, to))
			continue;
		if (from > done)
			put_text(c, w, (struct mg_str){ text.at + done, from - done }, unsigned_);
		put_text(c, w, (struct mg_str){ text.at ? text.at + from : "", to - from }, h->text(c, h->get(v, "data")));
		done = to;
	}
	if (text.len > done)
		put_text(c, w, (struct mg_str){ text.at + done, text.len - done }, unsigned_);
}

/* ----------------------------------------------------- calls and results */

static int put_call(struct mg_call *c, struct mg_writer *w, struct mg_view call, struct mg_str signature, bool first)
{
	const struct mg_host *h = c->host;
	struct mg_view extra = h->get(h->get(call, "extra_content"), "google");	/* of the service's OpenAI mode */
	struct mg_view fn = h->get(call, "function"), given = h->get(fn, "arguments"), object;
	struct mg_str args = h->kind(given) == MG_OBJECT ? h->raw(given) : h->text(c, given);

	object = h->parse(c, args.len ? args : MG_STR("{}"));
	if (h->kind(object) != MG_OBJECT)
		return h->fail(c, MG_EINVAL, "messages[].tool_calls[].function.arguments: not the text of a JSON object");
	if (!signature.len)
		signature = h->text(c, h->get(extra, "thought_signature"));
	if (!signature.len && first && family_of(c).level)
		signature = MG_STR("skip_thought_signature_validator");	/* of another model's: refused without one */
	h->open(w, NULL, '{');
	h->open(w, "functionCall", '{');
	if (!mg_quirk_is(c, "call_ids", "drop"))
		h->put(w, "id", h->text(c, h->get(call, "id")));
	h->put_raw(w, "name", h->raw(h->get(fn, "name")));
	h->put_raw(w, "args", h->raw(object));
	h->close(w);
	h->put(w, "thoughtSignature", signature);
	h->close(w);
	return MG_OK;
}

static int put_result_media(struct mg_call *c, struct mg_writer *w, struct mg_view content, bool level)
{
	int rc;

	if (c->host->kind(content) != MG_ARRAY)
		return MG_OK;
	if (level)
		c->host->open(w, "parts", '[');
	rc = put_content(c, w, content, false, true);
	if (level)
		c->host->close(w);
	return rc;
}

/* An object as it is, anything else as {"result": text}.  Images: inside from 3 on, behind it before. */
static int put_result(struct mg_call *c, struct mg_writer *w, struct mg_view m, struct mg_str name)
{
	const struct mg_host *h = c->host;
	struct mg_view content = h->get(m, "content"), object;
	struct mg_str text = joined(c, content);
	bool level = family_of(c).level, failed = h->kind(h->get(m, "is_error")) == MG_TRUE;
	int rc = MG_OK;

	object = h->parse(c, text);
	h->open(w, NULL, '{');
	h->open(w, "functionResponse", '{');
	if (!mg_quirk_is(c, "call_ids", "drop"))
		h->put(w, "id", h->text(c, h->get(m, "tool_call_id")));
	h->put(w, "name", name);
	if (h->kind(object) == MG_OBJECT && !failed) {
		h->put_raw(w, "response", h->raw(object));
	} else {
		h->open(w, "response", '{');
		h->put(w, failed ? "error" : "result", text.at ? text : MG_STR(""));
		h->close(w);
	}
	if (level)
		rc = put_result_media(c, w, content, true);
	h->close(w);
	h->close(w);
	return rc || level ? rc : put_result_media(c, w, content, false);
}

#endif
