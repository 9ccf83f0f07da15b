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
	return c->host->get(c->host->get(c->host->endpoint(c), "quirks"), name);
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

#endif
