/*
 * sim/recall.h - what it is told to say, and what it was told before.
 */
#ifndef SIM_RECALL_H
#define SIM_RECALL_H

#include "ask.h"

/* Behind the words that ask for an echo, only where a sentence begins. */
static struct mg_str ordered(struct mg_str s)
{
	static const char *const lead[] = { "please", "now", "then", "just", "only", "can you", "could you", "simply", "always", "you must", "you should" };
	static const char *const orders[] = { "repeat after me", "repeat back", "repeat", "reply only with", "respond only with", "answer only with",
		"reply exactly with", "respond exactly with", "reply with", "respond with", "answer with", "reply exactly", "respond exactly",
		"answer exactly", "reply only", "reply", "say", "echo back", "echo", "output", "print", "return" };
	static const char *const fill[] = { "exactly", "only", "just", "back", "the single word", "the exact word", "the exact words", "the exact text", "the exact phrase", "the word", "the words",
		"the phrase", "the text", "the string", "the sentence", "the following", "this", "text", "sentence", "with", "to me", "after me", "one word" };
	bool ordered = false;

	for (size_t i = 0; i < COUNT(lead); i++)
		if (starts(s, lead[i]) && s.len > strlen(lead[i]) && !letter(s.at[strlen(lead[i])])) {
			s = trim(part(s, strlen(lead[i]), s.len), ",");
			i = SIZE_MAX;	/* once more from the first */
		}
	for (size_t i = 0; i < COUNT(orders) && !ordered; i++)
		if (starts(s, orders[i]) && s.len > strlen(orders[i]) && !letter(s.at[strlen(orders[i])])) {
			s = trim(part(s, strlen(orders[i]), s.len), ":,");
			ordered = true;
		}
	for (size_t i = 0; ordered && i < COUNT(fill); i++)
		if (starts(s, fill[i]) && s.len > strlen(fill[i]) && !letter(s.at[strlen(fill[i])])) {
			s = trim(part(s, strlen(fill[i]), s.len), ":,");
			i = SIZE_MAX;
		}
	return ordered ? s : (struct mg_str){ 0 };
}

/* "hello in exactly 3 words", "hello 3 times". */
static bool shaped(struct mg_str s, struct text *out)
{
	static const char *const more[] = { "there", "friend", "and", "welcome", "to", "you", "all", "today" };
	struct mg_str rest = behind(s, "in exactly|in just|in only|in");
	struct mg_str what = s, one;
	long n, i = 0, had;

	if (rest.at && number_here(rest, &n) && has(rest, "words|word")) {
		what.len = (size_t)(rest.at - s.at);
		what = part(what, 0, find(what, MG_STR("in"), 0));
		for (one = word(&what); one.len && i < n; i++, one = word(&what)) {
			say(out, i ? " " : "");
			put(out, one);
		}
		for (had = i; i < n && i < 200; i++)
			print(out, "%s%s", i ? " " : "", more[(size_t)(i - had) % COUNT(more)]);
		return true;
	}
	for (size_t at = 0; at < s.len; at++)
		if ((!at || space(s.at[at - 1])) && number_here(part(s, at, s.len), &n) && n > 0 && n <= 1000) {
			rest = part(s, at, s.len);
			word(&rest);
			if (!starts(trim(rest, ""), "times"))
				continue;
			what = trim(part(s, 0, at), "'\"`,");
			for (; i < n; i++) {
				say(out, i ? " " : "");
				put(out, what);
			}
			return true;
		}
	return false;
}

static bool echo_one(struct mg_str s, struct mg_str all, struct text *out)
{
	static const char *const vague[] = { "a ", "an ", "your ", "the ", "in ", "yes or no", "something", "anything", "how ", "what", "why",
		"which", "who", "whether", "valid ", "json", "as ", "if ", "me ", "it ", "nothing", "briefly", "no ", "one ", "1-", "exactly one", "short" };
	static const char *const tails[] = { " and nothing else", ", nothing else", " nothing else", " and only that", " and no other text",
		" without any other text", " only", " please", " to me", " for me" };
	struct mg_str rest = ordered(s), in = rest, q;

	if (!rest.len)
		return false;
	q = quoted(&in);
	if (q.len && q.at < rest.at + 4) {
		put(out, q);
		return true;
	}
	for (size_t i = 0; i < COUNT(vague); i++)
		if (starts(rest, vague[i]))
			return false;
	if (shaped(rest, out))
		return true;
	/* "Repeat: X" means all of X, be it several sentences. */
	if (rest.at > s.at && memchr(s.at, ':', (size_t)(rest.at - s.at)))
		rest.len = (size_t)(all.at + all.len - rest.at);
	for (size_t i = 0; i < COUNT(tails); i++) {
		size_t at = find(rest, TEXT(tails[i]), 0);

		if (at != SIZE_MAX && at + strlen(tails[i]) + 1 >= rest.len)
			rest = part(rest, 0, at);
	}
	put(out, trim(rest, ""));
	return out->len > 0;
}

static bool echo(const struct ask *a, struct text *out)
{
	struct mg_str left = a->last;

	while (left.len)
		if (echo_one(sentence(&left), a->last, out))
			return true;
	if (!has(a->orders, "always|only|exactly"))
		return false;
	for (left = a->orders; left.len;) {
		struct mg_str s = sentence(&left), q = s;

		if (has(s, "always|only|exactly") && quoted(&q).len && echo_one(s, a->orders, out))
			return true;
	}
	return false;
}

/* "my favourite colour is blue": the words between owner and verb, all asked for? */
static bool told(struct mg_str s, struct mg_str question, struct text *out)
{
	struct mg_str np = behind(s, "my|our|the"), value, w;
	size_t is = SIZE_MAX, len = 0;
	static const char *const verbs[] = { "is", "are", "was", "=" };
	bool any = false;

	for (size_t i = 0; np.at && i < COUNT(verbs); i++) {
		size_t at = find(np, TEXT(verbs[i]), 0);

		if (at < is) {
			is = at;
			len = strlen(verbs[i]);
		}
	}
	if (is == SIZE_MAX)
		return false;
	value = trim(part(np, is + len, np.len), ",:;.!'\"");
	np = trim(part(np, 0, is), "");
	for (struct mg_str left = np; (w = word(&left)).len; any = true)
		if (find(question, w, 0) == SIZE_MAX)
			return false;
	if (!any || !value.len)
		return false;
	say(out, "Your ");
	put(out, np);
	say(out, " is ");
	put(out, value);
	say(out, ".");
	return true;
}

/* "I am Bob", "I'm Bob", "call me Bob". */
static bool named(struct mg_str s, struct text *out)
{
	struct mg_str rest = behind(s, "my name's|call me|i'm|i am|this is");
	struct mg_str name = word(&rest);

	if (!name.len || !capital(name.at[0]))
		return false;
	say(out, "Your name is ");
	put(out, name);
	say(out, ".");
	return true;
}

/* "I live in Oslo", asked by "where do I live?" */
static bool did(struct mg_str s, struct mg_str question, struct text *out)
{
	struct mg_str asked = behind(question, "do i|did i|am i|can i|have i"), mine = behind(s, "i");
	struct mg_str verb = word(&asked), first = mine;

	first = word(&first);
	if (!verb.len || !same(verb, first))
		return false;
	say(out, "You ");
	put(out, trim(mine, ".!"));
	say(out, ".");
	return true;
}

static bool quote_said(struct mg_str s, struct text *out)
{
	say(out, "You said: \"");
	put(out, cut(s, 400));
	say(out, "\"");
	return true;
}

static bool question(struct mg_str s)
{
	return memchr(s.at, '?', s.len) || has(s, "what|who|which|where|tell me|remind me|recall|remember");
}

static bool recall(const struct ask *a, struct text *out)
{
	struct mg_str q = a->last;
	bool name = has(q, "my name|who am i");
	size_t back = 0;

	if (!question(q))
		return false;
	for (size_t i = a->last_at + 1; i-- > 0;)
		for (struct mg_str left = said(a, i); left.len;) {
			struct mg_str s = sentence(&left);

			if (!s.len || memchr(s.at, '?', s.len) || same(s, q))
				continue;
			if (told(s, q, out) || (name && named(s, out)) || (i < a->last_at && did(s, q, out)))
				return true;
		}
	if (!has(q, "remember|earlier|previous|previously|before|did i|i said|i asked|i told|just said|just told|first message|last message"))
		return false;
	for (size_t i = a->last_at; i-- > 0;)
		if (has(said(a, i), "remember|keep in mind|note that|do not forget"))
			return quote_said(said(a, i), out);
	for (size_t i = a->last_at; i-- > 0; back = i)
		if (said(a, i).len && !has(q, "first"))
			return quote_said(said(a, i), out);
	return a->last_at && said(a, back).len && quote_said(said(a, back), out);
}

#endif
