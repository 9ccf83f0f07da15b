/*
 * openai_tools.h - what openai.c knows of one answer while it comes, and its
 * tool calls: pieces that belong together, however their server names them.
 */
#ifndef OPENAI_TOOLS_H
#define OPENAI_TOOLS_H

#include <stdio.h>

#include "moongate_chat.h"

enum { CHOICES_MAX = 128, TOOLS_MAX = 1024, WORD_MAX = 48 };

struct word { char at[WORD_MAX]; size_t len; };
struct choice { struct choice *next; uint32_t index, n_tools; struct word finish, native; };
struct tool { struct tool *next; struct choice *of; uint64_t upstream; uint32_t index; bool args; struct mg_str id; };
struct chat {			/* the state of one answer */
	struct choice *choices;
	struct tool *tools, *last;
	uint32_t n_choices, n_tools;
	bool started, ended, cited, metering, whole;
	struct mg_str id;
	enum { THINK_OVER, THINK_MAYBE, THINK_IN } think;
	struct mg_str held;	/* what may be the begin of a tag */
};

static struct mg_str copied(struct mg_call *c, struct mg_str a, struct mg_str b)
{
	char *at = c->host->alloc(c, a.len + b.len + 1);

	if (at && a.len)
		memcpy(at, a.at, a.len);
	if (at && b.len)
		memcpy(at + a.len, b.at, b.len);
	return (struct mg_str){ at, at ? a.len + b.len : 0 };
}

/* A delta of text, unless there is nothing in it. */
static int say(struct mg_call *c, const struct choice *ch, enum mg_event_kind kind, struct mg_str text)
{
	if (!text.len)
		return MG_OK;
	return c->host->emit(c, MG_EVENT(kind, .choice = ch->index, .data = text,
		.name = kind == MG_EV_REASONING ? MG_STR("unknown") : (struct mg_str){ NULL, 0 }));
}

/* ------------------------------------------------------------ tool calls */

static bool same(struct mg_str a, struct mg_str b)
{
	return a.len == b.len && a.len && !memcmp(a.at, b.at, a.len);
}

/* The call that a piece belongs to; NULL: it begins a new one.  Keyed by index;
 * by id, or as the last one, where there is none. */
static struct tool *tool_known(const struct chat *st, const struct choice *ch, bool has_index, uint64_t index,
	struct mg_str id, bool named)
{
	struct tool *found = NULL;

	if (st->whole)
		return NULL;
	for (struct tool *t = st->tools; t; t = t->next)
		if (t->of == ch && (has_index ? t->upstream == index : id.len ? same(t->id, id) : true))
			found = t;
	if (found && named && id.len && !same(found->id, id))
		return NULL;		/* all calls at index 0, told apart by id */
	if (found && !has_index && !id.len && named)
		return NULL;
	return found;
}

/* An id for a call that came without: of the answer's id and the call's place. */
static struct mg_str tool_made_id(struct mg_call *c, uint32_t index)
{
	const struct chat *st = c->state;
	struct mg_str tail = st->id;
	char text[64];
	int n;

	if (tail.len > 24)
		tail = (struct mg_str){ tail.at + tail.len - 24, 24 };
	n = snprintf(text, sizeof(text), "call_%.*s_%u", (int)tail.len, tail.at ? tail.at : "", index);
	return copied(c, (struct mg_str){ text, (size_t)n }, (struct mg_str){ NULL, 0 });
}

static int tool_new(struct mg_call *c, struct choice *ch, uint64_t upstream, struct mg_str id, struct mg_str name,
	struct tool **out)
{
	struct chat *st = c->state;
	struct tool *t = st->n_tools < TOOLS_MAX ? c->host->alloc(c, sizeof(*t)) : NULL;

	if (!t)
		return c->host->fail(c, MG_EPROTO, "more than %d tool calls in one answer", TOOLS_MAX);
	*t = (struct tool){ .of = ch, .upstream = upstream, .index = ch->n_tools++ };
	t->id = id.len ? copied(c, id, (struct mg_str){ NULL, 0 }) : tool_made_id(c, t->index);
	if (st->last)
		st->last->next = t;
	else
		st->tools = t;
	st->last = *out = t;
	st->n_tools++;
	return c->host->emit(c, MG_EVENT(MG_EV_TOOL_BEGIN, .choice = ch->index, .index = t->index, .id = t->id, .name = name));
}

static int tool_piece(struct mg_call *c, struct choice *ch, struct mg_view call, struct mg_view fn)
{
	const struct mg_host *h = c->host;
	struct mg_str id = h->text(c, h->get(call, "id")), name = h->text(c, h->get(fn, "name"));
	struct mg_view args = h->get(fn, "arguments");
	struct mg_str data = h->kind(args) == MG_OBJECT ? h->raw(args) : h->text(c, args);
	uint64_t upstream = UINT64_MAX;
	bool has_index = h->count(h->get(call, "index"), &upstream);
	struct tool *t = tool_known(c->state, ch, has_index, upstream, id, name.len);
	int rc = t ? MG_OK : tool_new(c, ch, upstream, id, name, &t);

	if (rc || !data.len)
		return rc;
	t->args = true;
	return h->emit(c, MG_EVENT(MG_EV_TOOL_ARGS, .choice = ch->index, .index = t->index, .data = data));
}

static int tools(struct mg_call *c, struct choice *ch, struct mg_view d)
{
	const struct mg_host *h = c->host;
	struct mg_view list = h->get(d, "tool_calls"), v = h->at(list, 0), old = h->get(d, "function_call");
	int rc = MG_OK;

	if (h->kind(list) == MG_OBJECT) {	/* an older TGI streams one call as itself */
		v = (struct mg_view){ NULL, 0 };
		old = list;
	}

	if (((struct chat *)c->state)->metering) {
		ch->n_tools += h->kind(v) == MG_OBJECT || h->kind(old) == MG_OBJECT;
		return MG_OK;
	}
	for (; h->kind(v) && !rc; v = h->next(v)) {
		bool custom = h->get(v, "custom").doc;

		rc = tool_piece(c, ch, v, h->get(v, custom ? "custom" : "function"));
	}
	if (rc || h->kind(old) != MG_OBJECT)
		return rc;
	return h->get(old, "function").doc ? tool_piece(c, ch, old, h->get(old, "function")) : tool_piece(c, ch, d, old);
}

static int tool_ends(struct mg_call *c)
{
	const struct chat *st = c->state;
	int rc = MG_OK;

	for (const struct tool *t = st->tools; t && !rc; t = t->next) {
		if (!t->args)		/* no arguments are {} */
			rc = c->host->emit(c, MG_EVENT(MG_EV_TOOL_ARGS, .choice = t->of->index, .index = t->index, .data = MG_STR("{}")));
		if (!rc)
			rc = c->host->emit(c, MG_EVENT(MG_EV_TOOL_END, .choice = t->of->index, .index = t->index));
	}
	return rc;
}

#endif
