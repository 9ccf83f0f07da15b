/*
 * sim/prose.h - an answer in words to whatever is asked.
 */
#ifndef SIM_PROSE_H
#define SIM_PROSE_H

#include "places.h"
#include "png.h"
#include "recall.h"
#include "sums.h"

enum { WORDS = 24, LONG = 120, WORDS_MAX = 50000 };

/* What it is about, four words at most. */
static struct mg_str topic(const struct ask *a)
{
	struct mg_str t = behind(a->last, "about|explain|describe|summarize|regarding|on|of"), left, w;
	size_t n = 0;

	for (left = t; n < 4 && (w = word(&left)).len; n++) {
		if (w.at > t.at && strchr(".,;:?!\n\"", w.at[-1]))
			break;
		t.len = (size_t)(w.at + w.len - t.at);
	}
	t = trim(t, ".,;:?!\"'");
	return n && t.len ? t : MG_STR("this");
}

/* Deterministic sentences: exactly n words, or whole sentences of about n. */
static void prose(const struct ask *a, struct text *out, long n, bool exact)
{
	static const char *const lines[] = {
		"There is more to %s than meets the eye", "Most people meet %s early and think about it late",
		"The simple part of %s is easy to state and hard to keep", "A careful look at %s begins with what can be measured",
		"What holds for small cases of %s tends to hold for large ones", "Those who work with %s every day value patience over speed",
		"Good questions about %s are worth more than quick answers", "In practice %s rewards those who write things down",
		"One clear example of %s teaches more than ten rules", "The history of %s is a series of small steps",
		"Every part of %s has a reason that somebody once found", "It helps to see %s from far away and then from near" };
	struct mg_str about = topic(a);
	size_t at = a->seed % COUNT(lines), step = 5;

	for (long i = 0; i < n && i < WORDS_MAX && !out->failed; at += step) {
		const char *line = lines[at % COUNT(lines)], *slot = strstr(line, "%s");
		struct text one = { .c = a->c };
		struct mg_str left, w;

		put(&one, (struct mg_str){ line, (size_t)(slot - line) });
		put(&one, about);
		say(&one, slot + 2);
		if (one.failed)
			return;
		for (left = whole(&one); (w = word(&left)).len && (!exact || i < n); i++) {
			say(out, out->len && !space(out->at[out->len - 1]) ? " " : "");
			put(out, w);
		}
		say(out, ".");
	}
}

static bool greet(const struct ask *a, struct text *out)
{
	struct mg_str left = a->last, w = word(&left);

	if (!w.len || a->last.len > 40 || !(same(w, MG_STR("hi")) || same(w, MG_STR("hello")) || same(w, MG_STR("hey"))))
		return false;
	say(out, "Hello! How can I help you today?");
	return true;
}

static bool yes(const struct ask *a, struct text *out)
{
	if (has(a->last, "yes or no|yes/no"))
		say(out, "Yes.");
	else if (has(a->last, "true or false"))
		say(out, "True.");
	else if (has(a->last, "sky") && has(a->last, "color|colour"))
		say(out, "The sky is blue.");
	else
		return false;
	return true;
}

/* "name three colours": one a line, or behind commas. */
static bool list(const struct ask *a, struct text *out)
{
	static const struct { const char *what, *items[12]; } known[] = {
		{ "primary color|primary colors|primary colours", { "red", "blue", "yellow" } },
		{ "color|colors|colour|colours", { "red", "blue", "green", "yellow", "orange", "purple", "brown", "pink", "black", "white", "grey" } },
		{ "fruit|fruits", { "apple", "banana", "cherry", "orange", "pear", "grape", "mango", "peach", "plum", "kiwi" } },
		{ "animal|animals", { "cat", "dog", "horse", "lion", "elephant", "otter", "fox", "owl", "whale", "bear" } },
		{ "planet|planets", { "Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune" } },
		{ "city|cities", { "Paris", "London", "Tokyo", "Berlin", "Rome", "Madrid", "Oslo", "Cairo", "Lima", "Seoul" } },
		{ "country|countries", { "France", "Japan", "Brazil", "Kenya", "Canada", "India", "Norway", "Egypt", "Peru", "Spain" } },
		{ "day|days", { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" } },
		{ "language|languages", { "Python", "C", "JavaScript", "Rust", "Go", "Java", "Lua", "Ruby", "Haskell", "Swift" } },
	};
	struct mg_str rest = behind(a->last, "list|name|give me|tell me|suggest|write");
	struct mg_str numbered = rest, noun;
	bool commas = has(a->last, "comma|commas|comma-separated");
	long n = 0;

	if (!rest.at)
		return false;
	for (noun = word(&numbered); noun.len && !number_here(noun, &n); noun = word(&numbered))
		;
	for (size_t i = 0; i < COUNT(known); i++) {
		if (!has(rest, known[i].what))
			continue;
		if (!noun.len)
			n = 5;
		for (long k = 0; k < n && k < (long)COUNT(known[i].items) && known[i].items[k]; k++)
			if (commas)
				print(out, "%s%s", k ? ", " : "", known[i].items[k]);
			else
				print(out, "%s%ld. %s", k ? "\n" : "", k + 1, known[i].items[k]);
		return out->len > 0;
	}
	noun = trim(part(numbered, 0, 40), "");
	if (n < 1 || n > 100 || !noun.len || has(noun, "word|words|sentence|sentences|paragraph|paragraphs|line|lines"))
		return false;
	noun = word(&noun);
	for (long k = 1; k <= n; k++) {
		print(out, "%s%ld. ", k > 1 ? "\n" : "", k);
		put(out, noun);
		print(out, " number %ld", k);
	}
	return true;
}

/* "write 500 words", "a 200-word essay", "in three sentences". */
static bool measured(const struct ask *a, struct text *out)
{
	struct mg_str s = a->last, rest, unit;
	long n;

	for (size_t i = 0; i < s.len; i++) {
		if ((i && (letter(s.at[i - 1]) || digit(s.at[i - 1]))) || !number_here(part(s, i, s.len), &n) || n < 1 || (!letter(s.at[i]) && !digit(s.at[i])))
			continue;
		rest = part(s, i, s.len);
		word(&rest);
		unit = word(&rest);
		if (starts(unit, "word"))
			prose(a, out, n, true);
		else if (starts(unit, "sentence"))
			for (long k = 0; k < n && k < 500; k++)
				prose(&(struct ask){ .c = a->c, .last = a->last, .seed = a->seed + (uint64_t)k * 5 }, out, 1, false);
		else if (starts(unit, "paragraph"))
			for (long k = 0; k < n && k < 100; k++) {
				say(out, k ? "\n\n" : "");
				prose(&(struct ask){ .c = a->c, .last = a->last, .seed = a->seed + (uint64_t)k }, out, 40, false);
			}
		else
			continue;
		return true;
	}
	return false;
}

static void see_image(const struct ask *a, struct mg_view v, struct text *out)
{
	struct mg_view url = member(a, member(a, v, "image_url"), "url");
	struct mg_str bytes;
	struct png p;

	if (!url.doc)
		url = member(a, v, "image_url");
	bytes = a->c->host->blob(a->c, url);
	if (!bytes.at) {
		say(out, "an image behind a link");
	} else if (png_read(a->c, bytes, &p)) {
		print(out, "a PNG image of %u x %u pixels", p.width, p.height);
		if (p.colour)
			print(out, ", mostly %s", p.colour);
	} else {
		print(out, "an image of %zu bytes", bytes.len);
	}
}

/* What came with the question. */
static bool see(const struct ask *a, struct text *out)
{
	static const struct { size_t offset; const char *one, *many; } kinds[] = {
		{ offsetof(struct ask, images), "image", "images" }, { offsetof(struct ask, files), "file", "files" },
		{ offsetof(struct ask, sounds), "audio clip", "audio clips" }, { offsetof(struct ask, films), "video", "videos" } };
	size_t n;

	if (!a->n_seen)
		return false;
	say(out, "I see ");
	for (size_t i = 0, any = 0; i < COUNT(kinds); i++) {
		memcpy(&n, (const char *)a + kinds[i].offset, sizeof(n));
		if (n)
			print(out, "%s%zu %s", any++ ? " and " : "", n, n == 1 ? kinds[i].one : kinds[i].many);
	}
	for (size_t i = 0; i < a->n_seen; i++) {
		struct mg_str type = text_of(a, a->seen[i], "type"), name = text_of(a, member(a, a->seen[i], "file"), "filename");

		if (mg_is(type, "image_url") || name.at)
			say(out, i ? "; " : ": ");
		if (mg_is(type, "image_url"))
			see_image(a, a->seen[i], out);
		else if (name.at)
			put(out, name);
	}
	say(out, ".");
	return true;
}

static bool results(const struct ask *a, struct text *out)
{
	for (size_t i = 0; i < a->n_results; i++) {
		say(out, i ? "\n" : "");
		if (a->results[i].name.at) {
			say(out, "The result of ");
			put(out, a->results[i].name);
			say(out, " is: ");
		}
		put(out, a->results[i].text);
	}
	return a->n_results > 0;
}

static void wander(const struct ask *a, struct text *out)
{
	uint64_t n = has(a->last, "story|essay|explain|poem|detail|detailed|article|long|describe") ? LONG : WORDS;

	a->c->host->count(member(a, member(a, a->c->host->endpoint(a->c), "options"), "words"), &n);
	if (a->last.len) {
		say(out, "You wrote: \"");
		put(out, cut(a->last, 200));
		say(out, "\". ");
	}
	prose(a, out, n < WORDS_MAX ? (long)n : WORDS_MAX, false);
}

/* The first of these that knows an answer gives it. */
static struct mg_str answer(const struct ask *a)
{
	static bool (*const ways[])(const struct ask *a, struct text *out) = {
		results, see, echo, recall, sum, count, capital_of, yes, list, measured, greet };
	struct mg_str fixed = text_of(a, member(a, a->c->host->endpoint(a->c), "options"), "answer");
	struct text out = { .c = a->c };
	bool loud = has(a->last, "uppercase|all caps|capital letters") || has(a->orders, "uppercase|all caps|capital letters");

	if (fixed.at)
		return fixed;
	if (has(a->orders, "pirate"))
		say(&out, "Arr, matey! ");
	for (size_t i = 0, begun = out.len; i < COUNT(ways) && out.len == begun; i++)
		ways[i](a, &out);
	if (out.len <= strlen("Arr, matey! ") && (!out.len || out.at[out.len - 1] == ' '))
		wander(a, &out);
	for (size_t i = 0; loud && i < out.len; i++)
		if (out.at[i] >= 'a' && out.at[i] <= 'z')
			out.at[i] = (char)(out.at[i] - 'a' + 'A');
	return whole(&out);
}

#endif
