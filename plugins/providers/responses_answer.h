/*
 * responses_answer.h - the answer half of responses.c: output items, whole or
 * growing, into canonical events.
 *
 * What a delta did not bring is taken from the item's end, and what that did
 * not bring from the last event, which has the whole answer: servers differ in
 * which of the three they send.
 */
#ifndef RESPONSES_ANSWER_H
#define RESPONSES_ANSWER_H

#include "openai_limits.h"
#include "responses_request.h"

enum { ITEMS_MAX = 4096 };
enum item_kind { I_OTHER, I_MESSAGE, I_THOUGHT, I_CALL, I_IMAGE };

struct item {
	struct item *next;
	uint64_t at;			/* output_index */
	enum item_kind kind;
	uint32_t index;			/* of the tool call; of the thought: its place among what goes back */
	uint64_t summary;		/* the part of it that is under way */
	size_t sent, annotations;	/* bytes of text or arguments; annotations */
	bool over;
	struct mg_str id;
};
struct answer {			/* the state of one answer */
	struct item *items, *last;
	uint32_t n_items, n_places, n_calls, n_images;
	uint64_t searches;
	bool started, ended, metering;
};

static const struct mg_str nothing;

/* ----------------------------------------------------------------- items */

static enum item_kind kind_of(struct mg_str type)
{
	return mg_is(type, "message") ? I_MESSAGE : mg_is(type, "reasoning") ? I_THOUGHT : mg_is(type, "function_call") ? I_CALL :
		mg_is(type, "image_generation_call") ? I_IMAGE : I_OTHER;
}

static struct item *item_at(const struct answer *a, uint64_t at)
{
	struct item *i = a->items;

	while (i && i->at != at)
		i = i->next;
	return i;
}

static struct item *item_new(struct mg_call *c, uint64_t at)
{
	struct answer *a = c->state;
	struct item *i = a->n_items < ITEMS_MAX ? c->host->alloc(c, sizeof(*i)) : NULL;

	if (!i)
		return NULL;
	i->at = at;
	a->n_items++;
	if (a->last)
		a->last->next = i;
	else
		a->items = i;
	return a->last = i;
}

/* Now it is known what the item is. */
static int item_named(struct mg_call *c, struct item *i, struct mg_view v)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_str id = h->text(c, h->get(v, "id"));
	char *copy = h->alloc(c, id.len + 1);

	if (copy && id.len)
		memcpy(copy, id.at, id.len);
	i->id = (struct mg_str){ copy, copy ? id.len : 0 };
	i->kind = kind_of(h->text(c, h->get(v, "type")));
	if (i->kind == I_MESSAGE || i->kind == I_THOUGHT || i->kind == I_CALL)
		i->index = a->n_places++;
	if (i->kind != I_CALL)
		return MG_OK;
	i->index = a->n_calls++;
	return a->metering ? MG_OK : h->emit(c, MG_EVENT(MG_EV_TOOL_BEGIN, .index = i->index,
		.id = h->text(c, h->get(v, mg_no_text(c, h->get(v, "call_id")) ? "id" : "call_id")), .name = h->text(c, h->get(v, "name"))));
}

/* The item at a place of the output; v: what is known of it, which may be nothing. */
static int item_of(struct mg_call *c, uint64_t at, struct mg_view v, struct item **out)
{
	struct item *i = item_at(c->state, at);

	if (!i)
		i = item_new(c, at);
	if (!i)
		return c->host->fail(c, MG_EPROTO, "more than %d items in one answer", ITEMS_MAX);
	*out = i;
	return i->kind == I_OTHER && v.doc ? item_named(c, i, v) : MG_OK;
}

/* ---------------------------------------------------------------- deltas */

static int say(struct mg_call *c, struct item *i, enum mg_event_kind kind, struct mg_str data)
{
	if (!data.len)
		return MG_OK;
	i->sent += data.len;
	return c->host->emit(c, MG_EVENT(kind, .index = i->index, .data = data));
}

/* What the deltas have not brought of a whole text. */
static int say_rest(struct mg_call *c, struct item *i, enum mg_event_kind kind, struct mg_str all)
{
	if (all.len <= i->sent)
		return MG_OK;
	return say(c, i, kind, (struct mg_str){ all.at + i->sent, all.len - i->sent });
}

static int thought(struct mg_call *c, struct item *i, const char *type, struct mg_str text, struct mg_str data)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);

	if (!text.len && !data.len)
		return MG_OK;
	i->sent += text.len;
	h->open(w, NULL, '{');
	h->put(w, "type", (struct mg_str){ type, strlen(type) });
	if (i->id.len)
		h->put(w, "id", i->id);
	h->put(w, "data", data);
	h->close(w);
	return h->emit(c, MG_EVENT(MG_EV_REASONING, .index = i->index, .data = text, .name = format_of(c), .extra = h->written(w)));
}

static int summary(struct mg_call *c, struct item *i, uint64_t part, struct mg_str text)
{
	int rc = MG_OK;

	if (part != i->summary && i->sent)
		rc = thought(c, i, "reasoning.summary", MG_STR("\n\n"), nothing);
	i->summary = part;
	return rc ? rc : thought(c, i, "reasoning.summary", text, nothing);
}

/* Sources on the web as the client knows them; files of the service have no canonical shape. */
static int annotation(struct mg_call *c, struct item *i, struct mg_view v)
{
	static const char *const carried[] = { "url", "title", "start_index", "end_index" };
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);

	i->annotations++;
	if (!mg_is(h->text(c, h->get(v, "type")), "url_citation"))
		return MG_OK;
	h->open(w, NULL, '{');
	h->put(w, "type", MG_STR("url_citation"));
	h->open(w, "url_citation", '{');
	for (size_t k = 0; k < sizeof(carried) / sizeof(carried[0]); k++)
		h->put_raw(w, carried[k], h->raw(h->get(v, carried[k])));
	h->close(w);
	h->close(w);
	return h->emit(c, MG_EVENT(MG_EV_ANNOTATION, .extra = h->written(w)));
}

static int logprobs(struct mg_call *c, struct mg_view list)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);

	if (!h->kind(h->at(list, 0)))
		return MG_OK;
	h->open(w, NULL, '{');
	h->put_raw(w, "content", h->raw(list));
	h->close(w);
	return h->emit(c, MG_EVENT(MG_EV_LOGPROBS, .extra = h->written(w)));
}

/* ---------------------------------------------------------- whole items */

static int message(struct mg_call *c, struct item *i, struct mg_view v)
{
	const struct mg_host *h = c->host;
	size_t before = 0, seen = 0, sent = i->sent;	/* by all parts */
	int rc = MG_OK;

	for (struct mg_view p = h->at(h->get(v, "content"), 0); h->kind(p) && !rc; p = h->next(p)) {
		bool refused = mg_is(h->text(c, h->get(p, "type")), "refusal");
		struct mg_str text = h->text(c, h->get(p, refused ? "refusal" : "text"));
		size_t had = sent > before ? sent - before : 0;

		had = had < text.len ? had : text.len;
		before += text.len;
		if (had < text.len)
			rc = say(c, i, refused ? MG_EV_REFUSAL : MG_EV_TEXT, (struct mg_str){ text.at + had, text.len - had });
		if (!rc && !had)
			rc = logprobs(c, h->get(p, "logprobs"));
		for (struct mg_view n = h->at(h->get(p, "annotations"), 0); h->kind(n) && !rc; n = h->next(n))
			if (++seen > i->annotations)
				rc = annotation(c, i, n);
	}
	return rc;
}

static int reasoning(struct mg_call *c, struct item *i, struct mg_view v)
{
	const struct mg_host *h = c->host;
	struct mg_str text = mg_joined(c, h->get(v, "summary"), "text", "\n\n"), data = h->text(c, h->get(v, "encrypted_content"));
	int rc = MG_OK;

	if (!i->sent && text.len)
		rc = thought(c, i, "reasoning.summary", text, nothing);
	else if (!i->sent)
		rc = thought(c, i, "reasoning.text", mg_joined(c, h->get(v, "content"), "text", ""), nothing);
	return rc ? rc : thought(c, i, "reasoning.encrypted", nothing, data);
}

static int image(struct mg_call *c, struct item *i, struct mg_view v)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_str bytes = h->blob(c, h->get(v, "result")), format = h->text(c, h->get(v, "output_format"));
	char type[24];
	int n = format.len && format.len < 12 ? snprintf(type, sizeof(type), "image/%.*s", (int)format.len, format.at) : 0;

	if (!bytes.len)
		return MG_OK;
	return h->emit(c, MG_EVENT(MG_EV_IMAGE, .index = a->n_images++, .data = bytes,
		.name = mg_media_type((struct mg_str){ type, (size_t)n }, (struct mg_str)MG_STR("image/png"))));
}

static int call(struct mg_call *c, struct item *i, struct mg_view v)
{
	const struct mg_host *h = c->host;
	int rc = say_rest(c, i, MG_EV_TOOL_ARGS, h->text(c, h->get(v, "arguments")));

	if (!rc && !i->sent)
		rc = say(c, i, MG_EV_TOOL_ARGS, MG_STR("{}"));
	return rc ? rc : h->emit(c, MG_EVENT(MG_EV_TOOL_END, .index = i->index));
}

/* An item at its end: whatever of it has not been said. */
static int item_done(struct mg_call *c, uint64_t at, struct mg_view v)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	struct mg_str action = h->text(c, h->get(h->get(v, "action"), "type"));
	struct item *i = NULL;
	int rc = item_of(c, at, v, &i);

	if (rc || i->over)
		return rc;
	i->over = true;
	if (mg_is(h->text(c, h->get(v, "type")), "web_search_call") && (!action.at || mg_is(action, "search")))
		a->searches++;
	if (a->metering)
		return MG_OK;
	switch (i->kind) {
	case I_MESSAGE:
		return message(c, i, v);
	case I_THOUGHT:
		return reasoning(c, i, v);
	case I_CALL:
		return call(c, i, v);
	case I_IMAGE:
		return image(c, i, v);
	case I_OTHER:
		break;		/* the service's own tools */
	}
	return MG_OK;
}

/* Calls whose end nothing said. */
static int calls_end(struct mg_call *c)
{
	struct answer *a = c->state;
	int rc = MG_OK;

	for (struct item *i = a->items; i && !rc && !a->metering; i = i->next)
		if (i->kind == I_CALL && !i->over) {
			i->over = true;
			rc = call(c, i, (struct mg_view){ NULL, 0 });
		}
	return rc;
}

/* ----------------------------------------------------------------- usage */

static uint64_t part_of(struct mg_call *c, uint64_t *from, struct mg_view details, const char *member)
{
	uint64_t n = 0;

	c->host->count(c->host->get(details, member), &n);
	n = n < *from ? n : *from;
	*from -= n;
	return n;
}

static int usage(struct mg_call *c, struct mg_view u)
{
	const struct mg_host *h = c->host;
	const struct answer *a = c->state;
	struct mg_view in = h->get(u, "input_tokens_details"), out = h->get(u, "output_tokens_details");
	struct mg_usage m = { .size = sizeof(m), .requests = 1, .cost_nusd = -1, .searches = a->searches };
	uint64_t ticks = 0;

	if (h->kind(u) != MG_OBJECT)
		return MG_OK;
	h->count(h->get(u, "input_tokens"), &m.input);
	h->count(h->get(u, "output_tokens"), &m.output);
	m.cached = part_of(c, &m.input, in, "cached_tokens");
	m.cache_write = part_of(c, &m.input, in, "cache_write_tokens");
	m.audio_in = part_of(c, &m.input, in, "audio_tokens");
	m.reasoning = part_of(c, &m.output, out, "reasoning_tokens");
	m.audio_out = part_of(c, &m.output, out, "audio_tokens");
	if (h->count(h->get(u, "cost_in_usd_ticks"), &ticks))		/* xAI's: 1e-10 USD */
		m.cost_nusd = (int64_t)(ticks / 10 + (ticks % 10 >= 5));
	return h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m));
}

static int start(struct mg_call *c, struct mg_view r)
{
	const struct mg_host *h = c->host;
	struct answer *a = c->state;
	int rc;

	if (a->started)
		return MG_OK;
	a->started = true;
	rc = a->metering ? MG_OK : h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(r, "id")), .name = h->text(c, h->get(r, "model"))));
	return rc ? rc : limits(c);
}

#endif
