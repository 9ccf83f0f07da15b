/*
 * sim/ask.h - what the request asks: its last question, what was said before,
 * what came with it.
 */
#ifndef SIM_ASK_H
#define SIM_ASK_H

#include "text.h"

enum { ASK_RESULTS = 32, SEEN = 8 };

struct ask {
	struct mg_call *c;
	struct mg_view body, messages;
	struct mg_str orders, last;	/* all instructions; the text of the last user message */
	size_t n, last_at;		/* messages; which one `last` is */
	size_t images, files, sounds, films;	/* in the last user message, or else in earlier ones */
	struct mg_view seen[SEEN];	/* their parts, the first few */
	size_t n_seen;
	struct { struct mg_str name, text; } results[ASK_RESULTS];	/* of tools, behind the last question */
	size_t n_results;
	uint64_t seed, input, image_tokens;
};

static struct mg_view member(const struct ask *a, struct mg_view v, const char *name)
{
	return a->c->host->get(v, name);
}

static struct mg_str text_of(const struct ask *a, struct mg_view v, const char *name)
{
	return a->c->host->text(a->c, a->c->host->get(v, name));
}

static bool is_true(const struct ask *a, struct mg_view v, const char *name)
{
	return a->c->host->kind(a->c->host->get(v, name)) == MG_TRUE;
}

/* Content: a string, or the text of its parts. */
static struct mg_str content(const struct ask *a, struct mg_view message)
{
	const struct mg_host *h = a->c->host;
	struct mg_view v = h->get(message, "content");
	struct text all = { .c = a->c };

	if (h->kind(v) != MG_ARRAY)
		return h->kind(v) == MG_STRING ? h->text(a->c, v) : MG_STR("");
	for (v = h->at(v, 0); h->kind(v); v = h->next(v)) {
		struct mg_str t = text_of(a, v, "text");

		if (!t.at)
			continue;
		if (all.len)
			say(&all, "\n");
		put(&all, t);
	}
	return whole(&all);
}

static void look(struct ask *a, struct mg_view message)
{
	const struct mg_host *h = a->c->host;
	struct mg_view v = h->get(message, "content");

	if (h->kind(v) != MG_ARRAY)
		return;
	for (v = h->at(v, 0); h->kind(v); v = h->next(v)) {
		struct mg_str type = text_of(a, v, "type");
		size_t *n = mg_is(type, "image_url") ? &a->images : mg_is(type, "file") ? &a->files
			: mg_is(type, "input_audio") ? &a->sounds
			: mg_is(type, "video_url") || mg_is(type, "input_video") ? &a->films : NULL;

		if (!n)
			continue;
		++*n;
		if (a->n_seen < SEEN)
			a->seen[a->n_seen++] = v;
		a->image_tokens += n == &a->images ? 85 : 0;
		a->input += n == &a->images ? 0 : 64;
	}
}

/* The name of the tool that a result answers, from the call before it. */
static struct mg_str tool_of(const struct ask *a, struct mg_str id)
{
	const struct mg_host *h = a->c->host;

	for (struct mg_view m = h->at(a->messages, 0); h->kind(m); m = h->next(m))
		for (struct mg_view t = h->at(h->get(m, "tool_calls"), 0); h->kind(t); t = h->next(t)) {
			struct mg_str had = text_of(a, t, "id");

			if (id.at && had.at && had.len == id.len && !memcmp(had.at, id.at, id.len))
				return text_of(a, h->get(t, "function"), "name");
		}
	return (struct mg_str){ 0 };
}

static void note(struct ask *a, struct mg_view m, size_t at)
{
	const struct mg_host *h = a->c->host;
	struct mg_str role = text_of(a, m, "role"), text = content(a, m);

	a->input += tokens(text.len) + tokens(h->raw(h->get(m, "tool_calls")).len) + 3;
	look(a, m);
	if (mg_is(role, "system") || mg_is(role, "developer")) {
		struct text all = { .c = a->c };

		put(&all, a->orders);
		say(&all, all.len ? "\n" : "");
		put(&all, text);
		a->orders = whole(&all);
	} else if (mg_is(role, "user")) {
		a->last = text;
		a->last_at = at;
		a->n_results = 0;
	} else if (mg_is(role, "tool") && a->n_results < ASK_RESULTS) {
		struct mg_str name = text_of(a, m, "name");

		a->results[a->n_results].name = name.at ? name : tool_of(a, text_of(a, m, "tool_call_id"));
		a->results[a->n_results++].text = text;
	}
}

static int ask_read(struct ask *a, struct mg_call *c)
{
	const struct mg_host *h = c->host;

	*a = (struct ask){ .c = c, .body = h->request(c), .last = MG_STR(""), .orders = MG_STR("") };
	a->messages = h->get(a->body, "messages");
	a->seed = hash(hash(0xcbf29ce484222325u, h->raw(h->get(a->body, "messages"))), h->raw(h->endpoint(c)));
	a->seed = hash(a->seed, h->raw(h->get(a->body, "seed")));
	for (struct mg_view m = h->at(a->messages, 0); h->kind(m); m = h->next(m))
		note(a, m, a->n++);
	if (!a->n && h->kind(h->get(a->body, "prompt")) == MG_STRING) {
		a->last = text_of(a, a->body, "prompt");
		a->input += tokens(a->last.len);
	} else if (!a->n) {
		return h->fail(c, MG_EINVAL, "messages: at least one is needed");
	}
	if (!a->last.len && !a->images && !a->files)
		a->last = a->orders;
	a->input += tokens(h->raw(h->get(a->body, "tools")).len) + tokens(h->raw(h->get(a->body, "response_format")).len);
	return MG_OK;
}

/* What user or system said in message i; empty for others. */
static struct mg_str said(const struct ask *a, size_t i)
{
	struct mg_view m = a->c->host->at(a->messages, i);
	struct mg_str role = text_of(a, m, "role");

	return mg_is(role, "user") || mg_is(role, "system") || mg_is(role, "developer") ? content(a, m) : MG_STR("");
}

#endif
