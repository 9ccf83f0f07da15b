/*
 * moongate_chat.h - what several chat dialects need alike: lists in the
 * endpoint's quirks, and the client's wish for reasoning.
 *
 * Only over the host's table, so a plugin that includes it depends on nothing.
 */
#ifndef MOONGATE_CHAT_H
#define MOONGATE_CHAT_H

#include "moongate.h"

/* The words of a reasoning effort, least first, and their share of max_tokens in percent. */
static const struct { const char *word; unsigned percent; } mg_efforts[] = {
	{ "none", 0 }, { "minimal", 10 }, { "low", 20 }, { "medium", 50 }, { "high", 80 }, { "xhigh", 95 }, { "max", 95 },
};
enum { MG_EFFORTS = sizeof(mg_efforts) / sizeof(mg_efforts[0]), MG_EFFORT_MEDIUM = 3 };

/* What the client asked for; neither asked nor off: it said nothing. */
struct mg_reasoning { bool asked, off, hidden; struct mg_str effort; uint64_t tokens; };

static inline struct mg_view mg_quirk(struct mg_call *c, const char *name)
{
	return c->host->get(c->quirks, name);
}

static inline bool mg_quirk_is(struct mg_call *c, const char *name, const char *word)
{
	return mg_is(c->host->text(c, mg_quirk(c, name)), word);
}

/* A member of what the client asked for. */
static inline struct mg_view mg_asked(struct mg_call *c, const char *member)
{
	return c->host->get(c->host->request(c), member);
}

/* With a NUL behind it, for the calls that take a name. */
static inline const char *mg_terminated(struct mg_call *c, struct mg_str s)
{
	char *out = c->host->alloc(c, s.len + 1);

	if (out && s.len)
		memcpy(out, s.at, s.len);
	return out ? out : "";
}

/* Percent-encoded, for a path or a query: at most 3 * text.len bytes; how many they were. */
static inline size_t mg_escape(char *out, struct mg_str text)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t k = 0; k < text.len; k++) {
		unsigned char ch = (unsigned char)text.at[k];
		bool plain = (ch | 0x20) >= 'a' && (ch | 0x20) <= 'z';

		if (plain || (ch >= '0' && ch <= '9') || ch == '-' || ch == '.' || ch == '_' || ch == '~') {
			out[n++] = (char)ch;
		} else {
			out[n++] = '%';
			out[n++] = hex[ch >> 4];
			out[n++] = hex[ch & 15];
		}
	}
	return n;
}

/* Where a request goes: the quirk's path, or the usual one; {model} and {name} of the row's options, escaped. */
static inline struct mg_str mg_path(struct mg_call *c, const char *quirk, struct mg_str usual)
{
	const struct mg_host *h = c->host;
	struct mg_str path = h->text(c, mg_quirk(c, quirk)), part;
	size_t n = 0, room;
	char *out;

	path = path.at ? path : usual;
	if (!path.len || !memchr(path.at, '{', path.len))
		return path;
	room = path.len + 8192;
	out = h->alloc(c, room);
	for (size_t i = 0; out && i < path.len; i++) {
		const char *end = path.at[i] == '{' ? memchr(path.at + i, '}', path.len - i) : NULL;

		if (!end) {
			out[n++] = path.at[i];
			continue;
		}
		part = (struct mg_str){ path.at + i + 1, (size_t)(end - path.at) - i - 1 };
		part = h->text(c, h->get(mg_is(part, "model") ? h->endpoint(c) : h->get(h->endpoint(c), "options"), mg_terminated(c, part)));
		i = (size_t)(end - path.at);
		if (n + 3 * part.len > room - path.len)
			part.len = (room - path.len - n) / 3;
		n += mg_escape(out + n, part);
	}
	return (struct mg_str){ out, out ? n : 0 };
}

/* Whom a token is for: the quirk's word, or the usual one. */
static inline const char *mg_scope(struct mg_call *c, const char *usual)
{
	struct mg_str scope = c->host->text(c, mg_quirk(c, "scope"));

	return scope.at ? mg_terminated(c, scope) : usual;
}

/* Quirk "auth": "bearer"; "none"; "sigv4" (AWS); "entra" (Azure) or "google", with quirk "scope"; or the header
 * that takes the key bare.  usual: the header where nothing is said; NULL: bearer. */
static inline int mg_authorize(struct mg_call *c, const char *usual)
{
	const struct mg_host *h = c->host;
	struct mg_str how = h->text(c, mg_quirk(c, "auth"));

	if (mg_is(how, "none"))
		return MG_OK;
	if (mg_is(how, "sigv4"))
		return h->auth(c, MG_SIGV4, "bedrock");
	if (mg_is(how, "entra"))
		return h->auth(c, MG_ENTRA, mg_scope(c, "https://cognitiveservices.azure.com/.default"));
	if (mg_is(how, "google"))
		return h->auth(c, MG_GOOGLE, mg_scope(c, "https://www.googleapis.com/auth/cloud-platform"));
	if (mg_is(how, "bearer") || (!how.at && !usual))
		return h->auth(c, MG_BEARER, NULL);
	return h->auth(c, MG_HEADER, how.at ? mg_terminated(c, how) : usual);
}

/* Is word in the list, which may also be one string? */
static inline bool mg_listed(struct mg_call *c, struct mg_view list, struct mg_str word)
{
	const struct mg_host *h = c->host;
	struct mg_view v = h->kind(list) == MG_ARRAY ? h->at(list, 0) : list;

	for (; h->kind(v); v = h->next(v)) {
		struct mg_str s = h->text(c, v);

		if (s.at && s.len == word.len && !memcmp(s.at, word.at, s.len))
			return true;
		if (h->kind(list) != MG_ARRAY)
			break;
	}
	return false;
}

static inline unsigned mg_effort_rank(struct mg_str word)
{
	for (unsigned i = 0; i < MG_EFFORTS; i++)
		if (mg_is(word, mg_efforts[i].word))
			return i;
	return MG_EFFORT_MEDIUM;	/* "default" and the like */
}

/* The word of the endpoint's list that is nearest to rank, of two the lesser;
 * "none" only for itself.  No list: the word of the rank; absent: none fits. */
static inline struct mg_str mg_effort_near(struct mg_call *c, struct mg_view list, unsigned rank)
{
	const struct mg_host *h = c->host;
	struct mg_str best = { NULL, 0 };
	unsigned far = MG_EFFORTS;

	if (h->kind(list) != MG_ARRAY)
		return (struct mg_str){ mg_efforts[rank].word, strlen(mg_efforts[rank].word) };
	for (struct mg_view v = h->at(list, 0); h->kind(v); v = h->next(v)) {
		struct mg_str word = h->text(c, v);
		unsigned r = mg_effort_rank(word), d = r > rank ? r - rank : rank - r;

		if (word.at && d < far && (r == 0) == (rank == 0)) {
			best = word;
			far = d;
		}
	}
	return best;
}

static inline struct mg_reasoning mg_reasoning(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	struct mg_view ask = h->request(c), r = h->get(ask, "reasoning");
	enum mg_kind enabled = h->kind(h->get(r, "enabled"));
	struct mg_reasoning t = { .effort = h->text(c, h->get(r, "effort")) };

	if (!t.effort.at)
		t.effort = h->text(c, h->get(ask, "reasoning_effort"));
	h->count(h->get(r, "max_tokens"), &t.tokens);
	t.hidden = h->kind(h->get(r, "exclude")) == MG_TRUE || h->kind(h->get(ask, "include_reasoning")) == MG_FALSE;
	t.off = mg_is(t.effort, "none") || enabled == MG_FALSE;
	t.asked = !t.off && (t.effort.at || t.tokens || enabled == MG_TRUE);
	return t;
}

/* Its effort as a rank: a budget becomes the effort with the nearest share of max_tokens. */
static inline unsigned mg_reasoning_rank(const struct mg_reasoning *t, uint64_t max_tokens)
{
	uint64_t percent;

	if (t->off)
		return 0;
	if (t->effort.at || !t->tokens || !max_tokens)
		return t->effort.at ? mg_effort_rank(t->effort) : MG_EFFORT_MEDIUM;
	percent = t->tokens < max_tokens ? (t->tokens < UINT64_MAX / 100 ? t->tokens * 100 / max_tokens : 100) : 100;
	return percent <= 15 ? 1 : percent <= 35 ? 2 : percent <= 65 ? 3 : percent <= 87 ? 4 : 5;
}

/* max_completion_tokens, or max_tokens; 0: the client gave none. */
static inline uint64_t mg_max_tokens(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	uint64_t n = 0;

	if (!h->count(h->get(h->request(c), "max_completion_tokens"), &n))
		h->count(h->get(h->request(c), "max_tokens"), &n);
	return n;
}

/* -------------------------------------------------------------- messages */

static inline bool mg_role_is(struct mg_call *c, struct mg_view message, const char *role)
{
	return mg_is(c->host->text(c, c->host->get(message, "role")), role);
}

static inline bool mg_is_system(struct mg_call *c, struct mg_view message)
{
	return mg_role_is(c, message, "system") || mg_role_is(c, message, "developer");
}

static inline bool mg_no_text(struct mg_call *c, struct mg_view v)
{
	return c->host->kind(v) != MG_STRING || !c->host->text(c, v).len;
}

/* "data:image/png;base64,iVBOR..": its type, and what is behind the comma. */
static inline bool mg_data_url(struct mg_str url, struct mg_str *type, struct mg_str *data)
{
	const char *comma = url.len > 5 && !memcmp(url.at, "data:", 5) ? memchr(url.at, ',', url.len) : NULL, *end;

	if (!comma)
		return false;
	end = memchr(url.at, ';', (size_t)(comma - url.at));
	*type = (struct mg_str){ url.at + 5, (size_t)((end ? end : comma) - url.at) - 5 };
	*data = (struct mg_str){ comma + 1, url.len - (size_t)(comma + 1 - url.at) };
	return true;
}

/* "audio/mpeg; rate=1" is audio/mpeg; what is no media type is the usual one. */
static inline struct mg_str mg_media_type(struct mg_str said, struct mg_str usual)
{
	size_t n = 0;

	while (n < said.len && (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/.+-", said.at[n]) && said.at[n]))
		n++;
	return n > 2 && n < 64 && memchr(said.at, '/', n) && (n == said.len || said.at[n] == ';') ? (struct mg_str){ said.at, n } : usual;
}

static inline struct mg_str mg_base64(struct mg_call *c, struct mg_str bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *at = (const unsigned char *)bytes.at;
	char *out = bytes.at ? c->host->alloc(c, bytes.len / 3 * 4 + 5) : NULL;
	size_t n = 0;

	for (size_t i = 0; out && i < bytes.len; i += 3) {
		unsigned long v = (unsigned long)at[i] << 16 | (i + 1 < bytes.len ? (unsigned long)at[i + 1] << 8 : 0) |
			(i + 2 < bytes.len ? at[i + 2] : 0);

		out[n++] = digits[v >> 18 & 63];
		out[n++] = digits[v >> 12 & 63];
		out[n++] = i + 1 < bytes.len ? digits[v >> 6 & 63] : '=';
		out[n++] = i + 2 < bytes.len ? digits[v & 63] : '=';
	}
	return (struct mg_str){ out, n };
}

/* All text of an array of objects, with sep between two of them; absent where there is none. */
static inline struct mg_str mg_joined(struct mg_call *c, struct mg_view list, const char *member, const char *sep)
{
	const struct mg_host *h = c->host;
	char *at = NULL;
	size_t len = 0;

	for (int pass = 0; pass < 2; pass++) {
		len = 0;
		for (struct mg_view v = h->at(list, 0); h->kind(list) == MG_ARRAY && h->kind(v); v = h->next(v)) {
			struct mg_str s = h->text(c, h->get(v, member));

			if (!s.len)
				continue;
			if (at && len)
				memcpy(at + len, sep, strlen(sep));
			len += len ? strlen(sep) : 0;
			if (at)
				memcpy(at + len, s.at, s.len);
			len += s.len;
		}
		if (!pass && (!len || !(at = h->alloc(c, len))))
			return (struct mg_str){ NULL, 0 };
	}
	return (struct mg_str){ at, len };
}

/* What an assistant thought, as text: a client sends back the whole of it, or the pieces that came. */
static inline struct mg_str mg_thoughts(struct mg_call *c, struct mg_view message)
{
	const struct mg_host *h = c->host;
	struct mg_str text = h->text(c, h->get(message, "reasoning"));

	if (!text.len)
		text = h->text(c, h->get(message, "reasoning_content"));
	return text.len ? text : mg_joined(c, h->get(message, "reasoning_details"), "text", "");
}

/* The text of a thought as JSON: reasoning_details from the first to the last of its pieces.
 * Who read a stream sends the pieces back, and only the last of them is signed. */
static inline struct mg_str mg_thought(struct mg_call *c, struct mg_view from, struct mg_view last, const char *member)
{
	const struct mg_host *h = c->host;
	char *out = NULL;
	size_t len = 0;

	for (int pass = 0; pass < 2; pass++) {
		len = 1;
		for (struct mg_view v = from, end = h->next(last); h->kind(v) && v.node != end.node; v = h->next(v)) {
			struct mg_str s = h->kind(h->get(v, member)) == MG_STRING ? h->raw(h->get(v, member)) : MG_STR("\"\"");

			if (out)
				memcpy(out + len, s.at + 1, s.len - 2);
			len += s.len - 2;
		}
		if (!out && !(out = c->host->alloc(c, len + 1)))
			return (struct mg_str){ NULL, 0 };
	}
	out[0] = out[len] = '"';
	return (struct mg_str){ out, len + 1 };
}

/* ------------------------------------------------------- request, answer */

/* A POST of what was written, with the provider's usual credential. */
static inline int mg_post(struct mg_call *c, struct mg_writer *w, struct mg_str path, struct mg_http *out)
{
	size_t n;
	const struct mg_str *body = c->host->pieces(w, &n);

	if (!body)
		return c->host->fail(c, MG_ENOMEM, "no memory for the request");
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), path, body, n };
	return mg_authorize(c, NULL);
}

/* The names of all functions that earlier messages call, each once; how many, at most `most`. */
static inline size_t mg_called(struct mg_call *c, struct mg_str *names, size_t most)
{
	const struct mg_host *h = c->host;
	size_t n = 0, i;

	for (struct mg_view m = h->at(mg_asked(c, "messages"), 0); h->kind(m); m = h->next(m))
		for (struct mg_view v = h->at(h->get(m, "tool_calls"), 0); h->kind(v) && n < most; v = h->next(v)) {
			struct mg_str name = h->text(c, h->get(h->get(v, "function"), "name"));

			for (i = 0; i < n && (names[i].len != name.len || memcmp(names[i].at, name.at, name.len)); i++)
				;
			if (name.at && i == n)
				names[n++] = name;
		}
	return n;
}

/* A list of models, each named by a member of its own; what: the list's name, for who misses it. */
static inline int mg_models(struct mg_call *c, struct mg_view list, const char *member, const char *what)
{
	const struct mg_host *h = c->host;
	int rc = h->kind(list) == MG_ARRAY ? MG_OK : h->fail(c, MG_EPROTO, "an answer without %s[]", what);

	for (struct mg_view v = h->at(list, 0); h->kind(list) == MG_ARRAY && h->kind(v) && !rc; v = h->next(v))
		rc = h->emit(c, MG_EVENT(MG_EV_MODEL, .id = h->text(c, h->get(v, member)), .extra = h->raw(v)));
	return rc;
}

/* The list's next page: of its path, and the token that names the page; without one there is none. */
static inline int mg_next_page(struct mg_call *c, struct mg_str path, const char *name, struct mg_str token)
{
	struct mg_http next = { .size = sizeof(next), .method = MG_STR("GET") };
	size_t n = path.len, len = strlen(name);
	char *out;

	if (!token.len)
		return MG_OK;
	out = c->host->alloc(c, n + len + 3 * token.len + 2);
	if (!out || !n)
		return c->host->fail(c, MG_ENOMEM, "no memory for a list's next page");
	memcpy(out, path.at, n);
	out[n++] = memchr(path.at, '?', path.len) ? '&' : '?';
	memcpy(out + n, name, len);
	n += len;
	out[n++] = '=';
	n += mg_escape(out + n, token);
	next.path = (struct mg_str){ out, n };
	return c->host->follow(c, &next, 0);
}

/* What speech is billed by: characters, not bytes. */
static inline uint64_t mg_characters(struct mg_str text)
{
	uint64_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += ((unsigned char)text.at[i] & 0xC0) != 0x80;
	return n;
}

/* What sounds are billed by: the seconds of a decimal, of which one that is begun counts. */
static inline uint64_t mg_seconds(struct mg_str s)
{
	uint64_t n = 0;
	size_t i = 0;

	for (; i < s.len && s.at[i] >= '0' && s.at[i] <= '9' && n < UINT32_MAX; i++)
		n = n * 10 + (uint64_t)(s.at[i] - '0');
	for (i += i < s.len; i < s.len; i++)
		if (s.at[i] != '0')
			return n + 1;
	return n;
}

/* MG_EV_LIMIT: of the kind `name` ("requests", "tokens" ...) so much is left, as the headers say it;
 * reset_ms: until all of it is there again, 0: not said. */
static inline int mg_limit(struct mg_call *c, const char *name, struct mg_str left, struct mg_str all, uint64_t reset_ms)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);

	h->open(w, NULL, '{');
	h->put(w, "remaining", left);
	h->put(w, "limit", all);
	h->close(w);
	return h->emit(c, MG_EVENT(MG_EV_LIMIT, .name = { name, strlen(name) }, .extra = h->written(w), .reset_ms = reset_ms));
}

#endif
