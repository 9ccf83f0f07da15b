/*
 * openai_answer.h - the answer half of openai.c: messages and deltas into
 * canonical events.  A whole answer is read as one large delta.
 */
#ifndef OPENAI_ANSWER_H
#define OPENAI_ANSWER_H

#include "openai_limits.h"
#include "openai_tools.h"

static int usage(struct mg_call *c, struct mg_view u);
static int usage_with(struct mg_call *c, struct mg_view u, uint64_t cached);
static int error_inside(struct mg_call *c, const struct mg_frame *f, struct mg_view first);

/* ------------------------------------------- <think> at the begin of content */

/* How many bytes at the end of s may begin word. */
static size_t begun(struct mg_str s, const char *word)
{
	size_t n = strlen(word) - 1;

	for (n = n < s.len ? n : s.len; n; n--)
		if (!memcmp(s.at + s.len - n, word, n))
			break;
	return n;
}

static struct mg_str behind(struct mg_str s, size_t n)
{
	for (s.at += n, s.len -= n; s.len && (*s.at == '\n' || *s.at == ' ' || *s.at == '\r'); s.at++)
		s.len--;
	return s;
}

static int think(struct mg_call *c, const struct choice *ch, struct mg_str text)
{
	static const char open[] = "<think>", close[] = "</think>";
	struct chat *st = c->state;
	const char *end;
	size_t keep;
	int rc;

	if (st->held.len)
		text = copied(c, st->held, text);
	st->held = (struct mg_str){ NULL, 0 };
	if (st->think == THINK_MAYBE) {
		struct mg_str rest = behind(text, 0);

		if (rest.len < sizeof(open) - 1 && !memcmp(rest.at, open, rest.len)) {
			st->held = copied(c, text, st->held);
			return MG_OK;
		}
		st->think = rest.len && !memcmp(rest.at, open, sizeof(open) - 1) ? THINK_IN : THINK_OVER;
		if (st->think == THINK_IN)
			text = behind(rest, sizeof(open) - 1);
	}
	if (st->think == THINK_OVER)
		return say(c, ch, MG_EV_TEXT, text);
	end = text.len ? memmem(text.at, text.len, close, sizeof(close) - 1) : NULL;
	if (!end) {
		keep = begun(text, close);
		st->held = copied(c, (struct mg_str){ text.at + text.len - keep, keep }, st->held);
		return say(c, ch, MG_EV_REASONING, (struct mg_str){ text.at, text.len - keep });
	}
	st->think = THINK_OVER;
	rc = say(c, ch, MG_EV_REASONING, (struct mg_str){ text.at, (size_t)(end - text.at) });
	return rc ? rc : say(c, ch, MG_EV_TEXT, behind(text, (size_t)(end - text.at) + sizeof(close) - 1));
}

/* The answer ended inside what looked like a tag. */
static int think_end(struct mg_call *c)
{
	struct chat *st = c->state;

	return say(c, st->choices, st->think == THINK_IN ? MG_EV_REASONING : MG_EV_TEXT, st->held);
}

/* ------------------------------------------------------------- the parts */

/* Is it said already by text, index and format alone? */
static bool bare(struct mg_call *c, struct mg_view item)
{
	const struct mg_host *h = c->host;
	struct mg_str type = h->text(c, h->get(item, "type"));

	return (!type.at || mg_is(type, "reasoning.text")) && !h->text(c, h->get(item, "signature")).len &&
		!h->text(c, h->get(item, "id")).len;
}

/* One of reasoning_details: its text as data, what else it has as extra. */
static int detail(struct mg_call *c, const struct choice *ch, struct mg_view item)
{
	static const char *const carried[] = { "type", "id", "signature", "data", "index" };
	const struct mg_host *h = c->host;
	struct mg_str text = h->text(c, h->get(item, "text")), extra = { NULL, 0 };
	struct mg_writer *w = h->writer(c);
	uint64_t index = 0;

	if (!text.at)
		text = h->text(c, h->get(item, "summary"));
	if (bare(c, item) && !text.len)
		return MG_OK;
	h->count(h->get(item, "index"), &index);
	h->open(w, NULL, '{');
	for (size_t i = 0; i < sizeof(carried) / sizeof(carried[0]); i++)
		if (h->kind(h->get(item, carried[i])) != MG_NULL)
			h->put_raw(w, carried[i], h->raw(h->get(item, carried[i])));
	h->close(w);
	if (!bare(c, item))
		extra = h->written(w);
	return h->emit(c, MG_EVENT(MG_EV_REASONING, .choice = ch->index, .index = (uint32_t)index, .data = text,
		.name = h->text(c, h->get(item, "format")), .extra = extra));
}

static int reasoning(struct mg_call *c, const struct choice *ch, struct mg_view d)
{
	static const char *const usual[] = { "reasoning", "reasoning_content", "reasoning_text" };
	const struct mg_host *h = c->host;
	struct mg_view list = mg_quirk(c, "reasoning_in"), v = h->at(h->get(d, "reasoning_details"), 0);
	struct mg_str text = { NULL, 0 };
	int rc = MG_OK;

	if (h->kind(v) == MG_OBJECT) {
		for (; h->kind(v) && !rc; v = h->next(v))
			rc = detail(c, ch, v);
		return rc;
	}
	if (h->kind(list) == MG_ARRAY)		/* the first that says something: some servers send two */
		for (v = h->at(list, 0); h->kind(v) && !text.len; v = h->next(v))
			text = h->text(c, h->get(d, terminated(c, h->text(c, v))));
	for (size_t i = 0; h->kind(list) != MG_ARRAY && i < 3 && !text.len; i++)
		text = h->text(c, h->get(d, usual[i]));
	return say(c, ch, MG_EV_REASONING, text);
}

static int image(struct mg_call *c, const struct choice *ch, uint32_t index, struct mg_view url)
{
	const struct mg_host *h = c->host;
	struct mg_str at = h->text(c, url), type = { NULL, 0 };
	struct mg_writer *w = h->writer(c);
	const char *end = at.len > 5 ? memchr(at.at, ';', at.len) : NULL;

	if (!at.at)
		return MG_OK;
	if (end && !memcmp(at.at, "data:", 5))
		type = (struct mg_str){ at.at + 5, (size_t)(end - at.at) - 5 };
	if (type.at)
		return h->emit(c, MG_EVENT(MG_EV_IMAGE, .choice = ch->index, .index = index, .name = type, .data = h->blob(c, url)));
	h->open(w, NULL, '{');
	h->put(w, "url", at);
	h->close(w);
	return h->emit(c, MG_EVENT(MG_EV_IMAGE, .choice = ch->index, .index = index, .extra = h->written(w)));
}

/* Content is text, or chunks of it (Mistral), thinking among them. */
static int content(struct mg_call *c, const struct choice *ch, struct mg_view v)
{
	const struct mg_host *h = c->host;
	const struct chat *st = c->state;
	int rc = MG_OK;

	if (h->kind(v) == MG_STRING)
		return st->think == THINK_OVER ? say(c, ch, MG_EV_TEXT, h->text(c, v)) : think(c, ch, h->text(c, v));
	if (h->kind(v) != MG_ARRAY)
		return MG_OK;
	for (v = h->at(v, 0); h->kind(v) && !rc; v = h->next(v)) {
		struct mg_view url = h->get(v, "image_url"), t = h->at(h->get(v, "thinking"), 0);

		rc = say(c, ch, MG_EV_TEXT, h->text(c, h->get(v, "text")));
		for (; h->kind(t) && !rc; t = h->next(t))
			rc = say(c, ch, MG_EV_REASONING, h->text(c, h->get(t, "text")));
		if (url.doc && !rc)
			rc = image(c, ch, 0, h->kind(url) == MG_OBJECT ? h->get(url, "url") : url);
	}
	return rc;
}

static int audio(struct mg_call *c, const struct choice *ch, struct mg_view v)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w;

	if (h->kind(v) != MG_OBJECT)
		return MG_OK;
	w = h->writer(c);
	h->open(w, NULL, '{');
	h->put_raw(w, "id", h->raw(h->get(v, "id")));
	h->put_raw(w, "transcript", h->raw(h->get(v, "transcript")));
	h->put_raw(w, "expires_at", h->raw(h->get(v, "expires_at")));
	h->close(w);
	return h->emit(c, MG_EVENT(MG_EV_AUDIO, .choice = ch->index, .data = h->blob(c, h->get(v, "data")), .extra = h->written(w)));
}

/* ---------------------------------------------------- a choice, a frame */

static int choice_of(struct mg_call *c, struct mg_view v, struct choice **out)
{
	struct chat *st = c->state;
	struct choice **at = &st->choices;
	uint64_t index = 0;

	c->host->count(c->host->get(v, "index"), &index);
	while (*at && (*at)->index != index)
		at = &(*at)->next;
	if (!*at) {
		if (index >= CHOICES_MAX || !(*at = c->host->alloc(c, sizeof(**at))))
			return c->host->fail(c, MG_EPROTO, "choices[].index: above %d", CHOICES_MAX - 1);
		(*at)->index = (uint32_t)index;
	}
	*out = *at;
	return MG_OK;
}

static void keep_word(struct word *w, struct mg_str s)
{
	if (!s.len)
		return;		/* a later null does not take it back */
	w->len = s.len < sizeof(w->at) ? s.len : sizeof(w->at);
	memcpy(w->at, s.at, w->len);
}

static int extras(struct mg_call *c, const struct choice *ch, struct mg_view list, enum mg_event_kind kind)
{
	const struct mg_host *h = c->host;
	uint32_t i = 0;
	int rc = MG_OK;

	for (struct mg_view v = h->at(list, 0); h->kind(list) == MG_ARRAY && h->kind(v) && !rc; v = h->next(v), i++)
		rc = kind == MG_EV_IMAGE ? image(c, ch, i, h->get(h->get(v, "image_url"), "url"))
			: h->emit(c, MG_EVENT(kind, .choice = ch->index, .index = i, .extra = h->raw(v)));
	return rc;
}

static int delta(struct mg_call *c, struct choice *ch, struct mg_view d)
{
	const struct mg_host *h = c->host;
	int rc = reasoning(c, ch, d);

	if (!rc)
		rc = content(c, ch, h->get(d, "content"));
	if (!rc)
		rc = say(c, ch, MG_EV_REFUSAL, h->text(c, h->get(d, "refusal")));
	if (!rc)
		rc = extras(c, ch, h->get(d, "images"), MG_EV_IMAGE);
	if (!rc)
		rc = extras(c, ch, h->get(d, "annotations"), MG_EV_ANNOTATION);
	return rc ? rc : audio(c, ch, h->get(d, "audio"));
}

/* A member that brings something, besides the role. */
static bool says_anything(struct mg_call *c, struct mg_view d)
{
	const struct mg_host *h = c->host;

	for (struct mg_view m = h->at(d, 0); h->kind(m); m = h->next(m))
		if (!mg_is(h->name(m), "role") && (h->kind(m) == MG_STRING ? h->raw(m).len > 2 : h->kind(m) == MG_ARRAY ? h->at(m, 0).doc != NULL : h->kind(m) == MG_OBJECT))
			return true;
	return false;
}

static int choice(struct mg_call *c, struct mg_view v)
{
	const struct mg_host *h = c->host;
	const struct chat *st = c->state;
	struct mg_view d = h->get(v, "delta");
	struct choice *ch = NULL;
	int rc = choice_of(c, v, &ch);

	if (h->kind(d) != MG_OBJECT)
		d = h->get(v, "message");
	if (!rc && !st->metering)
		rc = h->kind(d) != MG_OBJECT && h->kind(h->get(v, "text")) == MG_STRING ? say(c, ch, MG_EV_TEXT, h->text(c, h->get(v, "text"))) : delta(c, ch, d);	/* text: /completions */
	if (!rc)
		rc = tools(c, ch, d);
	if (!rc && !st->metering && h->kind(h->get(v, "logprobs")) == MG_OBJECT)
		rc = h->emit(c, MG_EVENT(MG_EV_LOGPROBS, .choice = ch->index, .extra = h->raw(h->get(v, "logprobs"))));
	if (rc)
		return rc;
	if (st->whole && !h->text(c, h->get(v, "finish_reason")).len && !h->text(c, h->get(v, "text")).len && !says_anything(c, d))
		return h->fail(c, MG_EPROTO, "an empty answer without a finish reason");
	keep_word(&ch->finish, h->text(c, h->get(v, "finish_reason")));
	keep_word(&ch->native, h->text(c, h->get(v, "native_finish_reason")));
	return usage(c, h->get(v, "usage"));
}

/* Perplexity and xAI give sources beside the text, in every chunk or in the last: once is enough. */
static int citations(struct mg_call *c, struct mg_view j)
{
	const struct mg_host *h = c->host;
	struct chat *st = c->state;
	struct mg_view v = h->at(h->get(j, "search_results"), 0);
	int rc = MG_OK;

	if (st->cited || st->metering || !st->choices || !st->choices->finish.len)
		return MG_OK;
	if (!h->kind(v))
		v = h->at(h->get(j, "citations"), 0);
	for (; h->kind(v) && !rc; v = h->next(v)) {
		struct mg_writer *w = h->writer(c);

		h->open(w, NULL, '{');
		h->put(w, "type", MG_STR("url_citation"));
		h->open(w, "url_citation", '{');
		h->put_raw(w, "url", h->raw(h->kind(v) == MG_STRING ? v : h->get(v, "url")));
		h->put_raw(w, "title", h->raw(h->get(v, "title")));
		h->put_raw(w, "content", h->raw(h->get(v, "snippet")));
		h->put_int(w, "start_index", 0);
		h->put_int(w, "end_index", 0);
		h->close(w);
		h->close(w);
		st->cited = true;
		rc = h->emit(c, MG_EVENT(MG_EV_ANNOTATION, .extra = h->written(w)));
	}
	return rc;
}

static int start(struct mg_call *c, struct mg_view j)
{
	const struct mg_host *h = c->host;
	struct chat *st = c->state;
	int rc;

	if (st->started)
		return MG_OK;
	st->started = true;
	st->id = copied(c, h->text(c, h->get(j, "id")), (struct mg_str){ NULL, 0 });
	if (h->kind(mg_quirk(c, "think_tags")) == MG_TRUE)
		st->think = THINK_MAYBE;
	rc = st->metering ? MG_OK : h->emit(c, MG_EVENT(MG_EV_START, .id = st->id, .name = h->text(c, h->get(j, "model"))));
	return rc ? rc : limits(c);
}

/* --------------------------------------------------------------- the end */

static enum mg_finish meaning(const struct choice *ch)
{
	static const struct { const char *word; enum mg_finish finish; } words[] = {
		{ "length", MG_LENGTH }, { "max_tokens", MG_LENGTH }, { "model_length", MG_LENGTH },
		{ "model_context_window_exceeded", MG_LENGTH }, { "tool_calls", MG_TOOL_CALLS },
		{ "tool_call", MG_TOOL_CALLS }, { "tool_use", MG_TOOL_CALLS }, { "function_call", MG_TOOL_CALLS },
		{ "content_filter", MG_CONTENT_FILTER }, { "sensitive", MG_CONTENT_FILTER }, { "error", MG_FAILED },
		{ "insufficient_system_resource", MG_FAILED }, { "network_error", MG_FAILED },
	};
	struct mg_str word = { ch->finish.at, ch->finish.len };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && !mg_is(word, "stop"); i++)	/* as most are */
		if (mg_is(word, words[i].word))
			return words[i].finish;
	return ch->n_tools ? MG_TOOL_CALLS : MG_STOP;	/* some say stop behind tool calls */
}

static int conclude_choice(struct mg_call *c, const struct choice *ch)
{
	static const struct mg_failure broke = { .size = sizeof(broke), .kind = MG_E_OVERLOADED, .retryable = true,
		.message = { "the upstream gave up on its answer", 34 } };
	const struct chat *st = c->state;
	const struct word *w = ch->native.len ? &ch->native : &ch->finish;
	enum mg_finish finish = meaning(ch);

	if (!ch->finish.len && !st->whole)
		return c->host->fail(c, MG_EPROTO, "the answer ended without a finish reason");
	if (finish == MG_FAILED)
		return c->host->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &broke));
	return c->host->emit(c, MG_EVENT(MG_EV_FINISH, .choice = ch->index, .finish = finish,
		.name = { w->len ? w->at : NULL, w->len }));
}

/* At [DONE], at the end of a whole answer, or at the end of the bytes. */
static int conclude(struct mg_call *c)
{
	struct chat *st = c->state;
	int rc = MG_OK;

	if (st->ended)
		return MG_OK;
	if (!st->choices)
		return c->host->fail(c, MG_EPROTO, "an answer without choices");
	if (st->held.len && !st->metering)
		rc = think_end(c);
	if (!rc)
		rc = tool_ends(c);
	for (const struct choice *ch = st->choices; ch && !rc; ch = ch->next)
		rc = conclude_choice(c, ch);
	st->ended = !rc;
	return rc;
}

static int chat_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct chat *st = c->state;
	struct mg_view j = f->json, first = h->at(h->get(j, "choices"), 0), u;
	uint64_t cached = 0;
	int rc;

	if (st->ended)			/* whatever comes behind the end (R22) */
		return MG_OK;
	if (mg_is(f->data, "[DONE]"))
		return conclude(c);
	if (!j.doc)
		return h->fail(c, MG_EPROTO, "a piece of the answer is not JSON");
	rc = error_inside(c, f, first);
	if (rc)
		return rc < 0 ? rc : MG_OK;
	st->whole = f->framing == MG_JSON;
	rc = start(c, j);
	for (struct mg_view v = first; h->kind(v) && !rc; v = h->next(v))
		rc = choice(c, v);
	if (!rc)
		rc = citations(c, j);
	u = h->get(h->kind(h->get(j, "usage")) == MG_OBJECT ? j : h->get(j, "x_groq"), "usage");
	if (!rc && h->kind(u) == MG_OBJECT) {
		h->count(h->get(h->get(j, "timings"), "cache_n"), &cached);	/* llama.cpp */
		rc = usage_with(c, u, cached);
	}
	return rc || !st->whole ? rc : conclude(c);
}

static int chat_meter(struct mg_call *c, const struct mg_frame *f)
{
	((struct chat *)c->state)->metering = true;
	return chat_frame(c, f);
}

static int chat_finish(struct mg_call *c)
{
	return conclude(c);
}

static int embeddings_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	uint64_t i = 0;
	int rc;

	if (h->kind(h->get(f->json, "data")) != MG_ARRAY)
		return h->fail(c, MG_EPROTO, "an answer without data[]");
	rc = h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(f->json, "id")), .name = h->text(c, h->get(f->json, "model"))));
	for (struct mg_view v = h->at(h->get(f->json, "data"), 0); h->kind(v) && !rc; v = h->next(v), i++) {
		h->count(h->get(v, "index"), &i);
		rc = h->emit(c, MG_EVENT(MG_EV_VECTOR, .index = (uint32_t)i, .extra = h->raw(h->get(v, "embedding"))));
	}
	return rc ? rc : usage(c, h->get(f->json, "usage"));
}

/* {"data":[..]}, or a bare array (Together). */
static int models_frame(struct mg_call *c, const struct mg_frame *f)
{
	return mg_models(c, c->host->kind(f->json) == MG_ARRAY ? f->json : c->host->get(f->json, "data"), "id", "data");
}

#endif
