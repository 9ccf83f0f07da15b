/*
 * sim/reason.h - thinking aloud, and a signature that only this text has.
 */
#ifndef SIM_REASON_H
#define SIM_REASON_H

#include "moongate_chat.h"
#include "script.h"

enum { SIGNATURE = 40 };

static void sign(struct mg_str text, char out[static SIGNATURE])
{
	snprintf(out, SIGNATURE, "sim-%016llx%016llx", (unsigned long long)hash(0x9e3779b97f4a7c15u, text),
		(unsigned long long)hash(0xc2b2ae3d27d4eb4fu, text));
}

/* What came back signed must be what was signed.  Clients send the pieces of one
 * text joined or one by one.  The index of the wrong message, or -1. */
static long forged(const struct ask *a)
{
	const struct mg_host *h = a->c->host;
	long at = 0;

	for (struct mg_view m = h->at(a->messages, 0); h->kind(m); m = h->next(m), at++) {
		struct text all = { .c = a->c };

		for (struct mg_view v = h->at(h->get(m, "reasoning_details"), 0); h->kind(v); v = h->next(v)) {
			struct mg_str mark = text_of(a, v, "signature"), format = text_of(a, v, "format");
			char right[SIGNATURE];

			if (!mg_is(text_of(a, v, "type"), "reasoning.text") || (format.at && !mg_is(format, "unknown")))
				continue;	/* another vendor's */
			put(&all, text_of(a, v, "text"));
			if (!mark.at)
				continue;
			sign(whole(&all), right);
			if (!mg_is(mark, right))
				return at;
			all.len = 0;
		}
	}
	return -1;
}

/* The thoughts for an effort, within `room` tokens; empty where none are asked for. */
static struct mg_str thoughts(const struct ask *a, const struct mg_reasoning *want, uint64_t room)
{
	static const char *const steps[] = { "First I read what is asked.", "Then I look at what was said before.", "I check what came with it.",
		"A short and plain answer is best.", "I make sure that nothing is left out.", "Now I can answer." };
	unsigned rank = mg_reasoning_rank(want, mg_max_tokens(a->c));
	struct text t = { .c = a->c };

	if (!want->asked)
		return MG_STR("");
	say(&t, "The user wrote: \"");
	put(&t, cut(a->last, 80));
	say(&t, "\".");
	for (size_t i = 0; i < (size_t)rank * 2; i++) {
		say(&t, " ");
		say(&t, steps[i % COUNT(steps)]);
	}
	if (want->tokens && want->tokens < room)
		room = want->tokens;
	return cut(whole(&t), room < SIZE_MAX / 4 ? 4 * room : SIZE_MAX);
}

static void reason(struct script *s, struct mg_str text)
{
	struct mg_str left = text;
	char mark[SIGNATURE];

	sign(text, mark);
	while (left.len) {
		struct mg_str p = piece(&left, 0);

		line(s, "reasoning", tokens(p.len));
		with(s, "data", p);
		with(s, "name", MG_STR("unknown"));
		line_end(s);
		s->first_end = s->first_end ? s->first_end : s->out.len;
	}
	line(s, "reasoning", 0);
	with(s, "name", MG_STR("unknown"));
	say(&s->out, ",\"extra\":{\"signature\":");
	quote(&s->out, TEXT(mark));
	say(&s->out, "}");
	line_end(s);
}

#endif
