/*
 * gemini_answer.h - the answering half of gemini.c: a chunk's candidate into
 * events; usage, grounding, the end.
 */
#ifndef GEMINI_ANSWER_H
#define GEMINI_ANSWER_H

#include <stdio.h>

#include "gemini_parts.h"

struct answer {			/* the state of one answer */
	uint32_t calls, images, items;	/* items: of reasoning_details */
	size_t text, from;	/* bytes of text so far; where the part that is open began */
	uint64_t searches;
	bool started, thinking, wide, ended, sounds;	/* wide: not all of the text is ASCII */
	uint64_t told[64];	/* sources, so that none is told twice: chunks repeat them */
	unsigned n_told;
	char id[72], word[48];	/* responseId; finishReason or blockReason */
	bool blocked;
};

static struct mg_str kept(const char *text)
{
	return (struct mg_str){ text, strlen(text) };
}

static void keep(char *to, size_t size, struct mg_str s)
{
	if (s.len)
		snprintf(to, size, "%.*s", (int)(s.len < size ? s.len : size - 1), s.at);
}

/* ----------------------------------------------------------------- usage */

/* Modalities come as words, or as numbers where a client's library asked so. */
static uint64_t of_modality(struct mg_call *c, struct mg_view list, const char *word, const char *number)
{
	const struct mg_host *h = c->host;
	uint64_t n = 0;

	for (struct mg_view v = h->at(list, 0); h->kind(list) == MG_ARRAY && h->kind(v); v = h->next(v)) {
		struct mg_str m = h->text(c, h->get(v, "modality"));

		if (mg_is(m, word) || mg_is(m, number))
			h->count(h->get(v, "tokenCount"), &n);
	}
	return n;
}

static uint64_t take(uint64_t *from, uint64_t part)
{
	part = part < *from ? part : *from;
	*from -= part;
	return part;
}

/* The prompt has what the cache gave in it, the candidates leave the thoughts out.  False: nothing was counted. */
static bool measured(struct mg_call *c, struct mg_view u, struct mg_usage *m)
{
	const struct mg_host *h = c->host;
	struct mg_view in = h->get(u, "promptTokensDetails"), cache = h->get(u, "cacheTokensDetails");
	uint64_t tools = 0, image, cached_image = of_modality(c, cache, "IMAGE", "2");

	if (!h->count(h->get(u, "promptTokenCount"), &m->input) && !h->get(u, "totalTokenCount").doc)
		return false;		/* early chunks of Vertex say only how they travelled */
	h->count(h->get(u, "toolUsePromptTokenCount"), &tools);
	m->input += tools;
	h->count(h->get(u, "cachedContentTokenCount"), &m->cached);
	m->cached = take(&m->input, m->cached);
	m->audio_cached = take(&m->cached, of_modality(c, cache, "AUDIO", "4"));
	m->audio_in = of_modality(c, in, "AUDIO", "4");
	m->audio_in = take(&m->input, m->audio_in > m->audio_cached ? m->audio_in - m->audio_cached : 0);
	image = of_modality(c, in, "IMAGE", "2");
	m->image_tokens = take(&m->input, image > cached_image ? image - cached_image : 0);
	h->count(h->get(u, "candidatesTokenCount"), &m->output);
	h->count(h->get(u, "thoughtsTokenCount"), &m->reasoning);
	m->audio_out = take(&m->output, of_modality(c, h->get(u, "candidatesTokensDetails"), "AUDIO", "4"));
	return true;
}

static int usage(struct mg_call *c, struct mg_view u)
{
	struct answer *a = c->state;
	struct mg_usage m = { .size = sizeof(m), .requests = 1, .cost_nusd = -1, .searches = a->searches, .images_out = a->images };

	return measured(c, u, &m) ? c->host->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m)) : MG_OK;
}

/* ----------------------------------------------------------------- parts */

static int thought(struct mg_call *c, struct mg_str data)
{
	struct answer *a = c->state;

	a->thinking = true;
	return data.len ? c->host->emit(c, MG_EVENT(MG_EV_REASONING, .index = a->items, .data = data, .name = google)) : MG_OK;
}

/* Behind a thought, the next item is another one. */
static void thought_over(struct answer *a)
{
	a->items += a->thinking;
	a->thinking = false;
}

/* id: of the call, or the range of the text that it belongs to; absent: all the text so far. */
static int signature(struct mg_call *c, struct mg_view part, struct mg_str id)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_view v = h->get(part, "thoughtSignature");
	struct mg_writer *w;

	if (empty_text(c, v))
		return MG_OK;
	thought_over(a);
	w = h->writer(c);
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("reasoning.encrypted"));
	h->put_raw(w, "data", h->raw(v));
	h->put(w, "id", id);
	h->close(w);
	return h->emit(c, MG_EVENT(MG_EV_REASONING, .index = a->items++, .name = google, .extra = h->written(w)));
}

static int text(struct mg_call *c, struct mg_str data)
{
	struct answer *a = c->state;

	thought_over(a);
	for (size_t i = 0; i < data.len && !a->wide; i++)
		a->wide = (unsigned char)data.at[i] >= 0x80;
	a->text += data.len;
	return data.len ? c->host->emit(c, MG_EVENT(MG_EV_TEXT, .data = data)) : MG_OK;
}

static int text_part(struct mg_call *c, struct mg_view part)
{
	struct answer *a = c->state;
	struct mg_str data = c->host->text(c, c->host->get(part, "text"));
	char range[64];
	int rc;

	if (!data.len)		/* an empty one with a signature is a part of its own */
		a->from = a->text;
	rc = text(c, data);
	if (rc || empty_text(c, c->host->get(part, "thoughtSignature")))
		return rc;
	snprintf(range, sizeof(range), "text:%zu:%zu", a->from, a->text);
	rc = signature(c, part, !a->from && a->text ? (struct mg_str){ NULL, 0 } : kept(range));
	a->from = a->text;
	return rc;
}

/* JSON without the blanks between its parts; numbers and order stay. */
static struct mg_str compact(struct mg_call *c, struct mg_str s)
{
	char *out = c->host->alloc(c, s.len + 1);
	bool quoted = false;
	size_t n = 0;

	for (size_t i = 0; out && i < s.len; i++) {
		if (!quoted && strchr(" \t\r\n", s.at[i]))
			continue;
		out[n++] = s.at[i];
		if (quoted && s.at[i] == '\\' && i + 1 < s.len)
			out[n++] = s.at[++i];
		else if (s.at[i] == '"')
			quoted = !quoted;
	}
	return (struct mg_str){ out, out ? n : 0 };
}

/* A call is whole in its part; models before 3 give it no id. */
static int call(struct mg_call *c, struct mg_view part)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_view fn = h->get(part, "functionCall"), args = h->get(fn, "args");
	struct mg_str id = h->text(c, h->get(fn, "id")), data = h->kind(args) == MG_OBJECT ? compact(c, h->raw(args)) : MG_STR("{}");
	char made[128];
	uint32_t index = a->calls++;
	int rc;

	if (!data.at)
		return h->fail(c, MG_ENOMEM, "no memory for a call's arguments");
	snprintf(made, sizeof(made), "call_%s%s%u", a->id, *a->id ? "_" : "", index);
	if (!id.len)
		id = kept(made);
	thought_over(a);
	rc = signature(c, part, id);
	if (!rc)
		rc = h->emit(c, MG_EVENT(MG_EV_TOOL_BEGIN, .index = index, .id = id, .name = h->text(c, h->get(fn, "name"))));
	if (!rc)
		rc = h->emit(c, MG_EVENT(MG_EV_TOOL_ARGS, .index = index, .data = data));
	return rc ? rc : h->emit(c, MG_EVENT(MG_EV_TOOL_END, .index = index));
}

static void put_number(char *at, uint32_t n, unsigned octets)
{
	for (unsigned i = 0; i < octets; i++)
		at[i] = (char)(n >> 8 * i & 0xff);
}

/* Sound comes as bare samples, "audio/L16;codec=pcm;rate=24000"; who asked for a file gets its
 * head before the first of them.  A stream's length is not known when it begins: the greatest. */
static struct mg_str wav(struct mg_call *c, struct mg_str type, struct mg_str samples)
{
	const char *mark = memmem(type.at, type.len, "rate=", 5), *end = type.at + type.len;
	bool stream = c->host->kind(mg_asked(c, "stream")) == MG_TRUE;
	uint32_t rate = 0, len = stream || samples.len > UINT32_MAX - 36 ? UINT32_MAX - 36 : (uint32_t)samples.len;
	char *out = c->host->alloc(c, samples.len + 44);

	for (mark = mark ? mark + 5 : end; mark < end && *mark >= '0' && *mark <= '9' && rate < 1000000; mark++)
		rate = rate * 10 + (uint32_t)(*mark - '0');
	rate = rate ? rate : 24000;
	if (!out)
		return (struct mg_str){ NULL, 0 };
	memcpy(out, "RIFF....WAVEfmt ", 16);
	put_number(out + 4, len + 36, 4);
	put_number(out + 16, 16, 4);
	put_number(out + 20, 1, 2);		/* PCM */
	put_number(out + 22, 1, 2);		/* one channel */
	put_number(out + 24, rate, 4);
	put_number(out + 28, rate * 2, 4);
	put_number(out + 32, 2, 2);
	put_number(out + 34, 16, 2);
	memcpy(out + 36, "data", 4);
	put_number(out + 40, len, 4);
	if (samples.len)
		memcpy(out + 44, samples.at, samples.len);
	return (struct mg_str){ out, samples.len + 44 };
}

static int sound(struct mg_call *c, struct mg_str type, struct mg_str bytes)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;

	if (begins(type, "audio/L16") && mg_is(h->text(c, h->get(mg_asked(c, "audio"), "format")), "wav")) {
		bytes = a->sounds ? bytes : wav(c, type, bytes);
		type = MG_STR("audio/wav");
	}
	a->sounds = true;
	if (!bytes.at)
		return h->fail(c, MG_ENOMEM, "no memory for sound");
	return h->emit(c, MG_EVENT(MG_EV_AUDIO, .data = bytes, .name = type));
}

/* Made images and sound; a draft inside the thoughts is none. */
static int octets(struct mg_call *c, struct mg_view part)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_view data = h->get(part, "inlineData");
	struct mg_str type = h->text(c, h->get(data, "mimeType")), bytes = h->blob(c, h->get(data, "data"));
	char id[24];
	int rc;

	if (!bytes.at)
		return h->fail(c, MG_EPROTO, "an image or sound that is not base64");
	thought_over(a);
	snprintf(id, sizeof(id), "image:%u", a->images);
	rc = signature(c, part, kept(id));
	if (rc)
		return rc;
	if (begins(type, "audio/"))
		return sound(c, type, bytes);
	return h->emit(c, MG_EVENT(MG_EV_IMAGE, .index = a->images++, .data = bytes, .name = type));
}

/* What the service ran itself, readable. */
static int fenced(struct mg_call *c, const char *before, struct mg_view v)
{
	int rc = empty_text(c, v) ? MG_OK : text(c, kept(before));

	if (!rc && !empty_text(c, v))
		rc = text(c, c->host->text(c, v));
	return rc || empty_text(c, v) ? rc : text(c, MG_STR("\n```\n"));
}

static int part(struct mg_call *c, struct mg_view p)
{
	const struct mg_host *h = c->host;

	if (h->kind(h->get(p, "thought")) == MG_TRUE) {
		int rc = thought(c, h->text(c, h->get(p, "text")));

		return rc ? rc : signature(c, p, MG_STR("thought"));
	}
	if (h->get(p, "functionCall").doc)
		return call(c, p);
	if (h->get(p, "inlineData").doc)
		return octets(c, p);
	if (h->get(p, "executableCode").doc)
		return fenced(c, "\n```python\n", h->get(h->get(p, "executableCode"), "code"));
	if (h->get(p, "codeExecutionResult").doc)
		return fenced(c, "\n```\n", h->get(h->get(p, "codeExecutionResult"), "output"));
	return h->get(p, "text").doc ? text_part(c, p) : MG_OK;	/* the service's own calls and their results */
}

/* --------------------------------------------------------------- sources */

static bool told_before(struct answer *a, struct mg_str url, struct mg_str text, uint64_t end)
{
	uint64_t hash = 14695981039346656037u ^ end;

	for (size_t i = 0; i < url.len + text.len; i++)
		hash = (hash ^ (unsigned char)(i < url.len ? url.at[i] : text.at[i - url.len])) * 1099511628211u;
	for (unsigned i = 0; i < a->n_told; i++)
		if (a->told[i] == hash)
			return true;
	if (a->n_told < sizeof(a->told) / sizeof(a->told[0]))
		a->told[a->n_told++] = hash;
	return false;
}

/* The service counts bytes, clients count characters: places are told where both are one. */
static int citation(struct mg_call *c, struct mg_str url, struct mg_str title, struct mg_view place)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_writer *w;
	uint64_t start = 0, end = 0;
	bool placed = h->count(h->get(place, "endIndex"), &end);

	if (!url.len || told_before(a, url, h->text(c, h->get(place, "text")), end))
		return MG_OK;
	w = h->writer(c);
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("url_citation"));
	h->open(w, "url_citation", '{');
	h->put(w, "url", url);
	h->put(w, "title", title.at ? title : MG_STR(""));
	h->put(w, "content", h->text(c, h->get(place, "text")));
	if (placed && !a->wide) {
		h->count(h->get(place, "startIndex"), &start);
		h->put_int(w, "start_index", (int64_t)start);
		h->put_int(w, "end_index", (int64_t)end);
	}
	h->close(w);
	h->close(w);
	return h->emit(c, MG_EVENT(MG_EV_ANNOTATION, .extra = h->written(w)));
}

static int chunk_citation(struct mg_call *c, struct mg_view chunk, struct mg_view place)
{
	const struct mg_host *h = c->host;
	struct mg_view web = h->get(chunk, "web");

	if (!web.doc)
		web = h->get(chunk, h->get(chunk, "maps").doc ? "maps" : "retrievedContext");
	return citation(c, h->text(c, h->get(web, "uri")), h->text(c, h->get(web, "title")), place);
}

static int grounding(struct mg_call *c, struct mg_view g)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_view chunks = h->get(g, "groundingChunks"), supports = h->get(g, "groundingSupports"), queries = h->get(g, "webSearchQueries");
	uint64_t i, searches = 0;
	int rc = MG_OK;

	for (struct mg_view q = h->at(queries, 0); h->kind(q); q = h->next(q))
		searches += !empty_text(c, q);
	if (searches)		/* before 3 the prompt is charged, from then on each query */
		a->searches = family_of(c).level ? searches : 1;
	for (struct mg_view s = h->at(supports, 0); h->kind(s) && !rc; s = h->next(s))
		for (struct mg_view n = h->at(h->get(s, "groundingChunkIndices"), 0); h->kind(n) && !rc; n = h->next(n))
			if (h->count(n, &i))
				rc = chunk_citation(c, h->at(chunks, (size_t)i), h->get(s, "segment"));
	for (struct mg_view v = h->at(chunks, 0); !h->kind(h->at(supports, 0)) && h->kind(v) && !rc; v = h->next(v))
		rc = chunk_citation(c, v, (struct mg_view){ NULL, 0 });
	return rc;
}

static int recited(struct mg_call *c, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct mg_view list = h->get(m, "citationSources").doc ? h->get(m, "citationSources") : h->get(m, "citations");
	int rc = MG_OK;

	for (struct mg_view v = h->at(list, 0); h->kind(v) && !rc; v = h->next(v))
		rc = citation(c, h->text(c, h->get(v, "uri")), h->text(c, h->get(v, "title")), v);
	return rc;
}

static void put_logprob(struct mg_call *c, struct mg_writer *w, struct mg_view v)
{
	c->host->put(w, "token", c->host->text(c, c->host->get(v, "token")));
	c->host->put_raw(w, "logprob", c->host->raw(c->host->get(v, "logProbability")));
}

static int logprobs(struct mg_call *c, struct mg_view l)
{
	const struct mg_host *h = c->host;
	struct mg_view top = h->at(h->get(l, "topCandidates"), 0), chosen = h->at(h->get(l, "chosenCandidates"), 0);
	struct mg_writer *w;

	if (!h->kind(chosen))
		return MG_OK;
	w = h->writer(c);
	h->open(w, NULL, '{');
	h->open(w, "content", '[');
	for (; h->kind(chosen); chosen = h->next(chosen), top = h->next(top)) {
		h->open(w, NULL, '{');
		put_logprob(c, w, chosen);
		h->open(w, "top_logprobs", '[');
		for (struct mg_view v = h->at(h->get(top, "candidates"), 0); h->kind(v); v = h->next(v)) {
			h->open(w, NULL, '{');
			put_logprob(c, w, v);
			h->close(w);
		}
		h->close(w);
		h->close(w);
	}
	h->close(w);
	h->close(w);
	return h->emit(c, MG_EVENT(MG_EV_LOGPROBS, .extra = h->written(w)));
}

/* --------------------------------------------------------------- the end */

/* The numbers are those of the service's enumeration, for clients that ask for them. */
static const struct { const char *word, *number; enum mg_finish finish; } words[] = {
	{ "STOP", "1", MG_STOP }, { "MAX_TOKENS", "2", MG_LENGTH }, { "SAFETY", "3", MG_CONTENT_FILTER }, { "RECITATION", "4", MG_CONTENT_FILTER },
	{ "OTHER", "5", MG_FAILED }, { "BLOCKLIST", "6", MG_CONTENT_FILTER }, { "PROHIBITED_CONTENT", "7", MG_CONTENT_FILTER },
	{ "SPII", "8", MG_CONTENT_FILTER }, { "MALFORMED_FUNCTION_CALL", "9", MG_FAILED }, { "LANGUAGE", "", MG_CONTENT_FILTER },
	{ "IMAGE_SAFETY", "", MG_CONTENT_FILTER }, { "IMAGE_PROHIBITED_CONTENT", "", MG_CONTENT_FILTER },
	{ "IMAGE_RECITATION", "", MG_CONTENT_FILTER }, { "UNEXPECTED_TOOL_CALL", "", MG_FAILED }, { "TOO_MANY_TOOL_CALLS", "", MG_FAILED },
	{ "NO_IMAGE", "", MG_FAILED }, { "IMAGE_OTHER", "", MG_FAILED }, { "MISSING_THOUGHT_SIGNATURE", "", MG_FAILED },
};

static int candidate(struct mg_call *c, struct mg_view v)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_view parts = h->get(h->get(v, "content"), "parts");
	int rc = MG_OK;

	for (struct mg_view p = h->at(parts, 0); h->kind(p) && !rc; p = h->next(p))
		rc = part(c, p);
	if (!rc)
		rc = logprobs(c, h->get(v, "logprobsResult"));
	if (!rc)
		rc = grounding(c, h->get(v, "groundingMetadata"));
	if (!rc)
		rc = recited(c, h->get(v, "citationMetadata"));
	keep(a->word, sizeof(a->word), h->text(c, h->get(v, "finishReason")));
	return rc;
}

/* At the end and not before: some models say STOP in each chunk. */
static int conclude(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_failure out = { .size = sizeof(out), .kind = MG_E_UPSTREAM, .retryable = true, .code = kept(a->word),
		.message = MG_STR("the upstream gave up on its answer") };
	enum mg_finish finish = a->blocked ? MG_CONTENT_FILTER : MG_STOP;

	if (a->ended)
		return MG_OK;
	if (!*a->word)
		return h->fail(c, MG_EPROTO, "the answer ended without a finish reason");
	a->ended = true;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && !a->blocked; i++)
		if (mg_is(kept(a->word), words[i].word) || mg_is(kept(a->word), words[i].number))
			finish = words[i].finish;
	if (finish == MG_FAILED)
		return h->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &out));
	if (finish == MG_STOP && a->calls)
		finish = MG_TOOL_CALLS;
	return h->emit(c, MG_EVENT(MG_EV_FINISH, .finish = finish, .name = kept(a->word)));
}

#endif
