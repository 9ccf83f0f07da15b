/*
 * sim/text.h - bytes that grow in the attempt's memory, and the few questions
 * that sim asks of words.  Letters are compared without case, in ASCII.
 */
#ifndef SIM_TEXT_H
#define SIM_TEXT_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "moongate.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TEXT(s) ((struct mg_str){ (s), strlen(s) })

struct sim { bool ended, starved; };	/* the finish event came; memory ran out somewhere */

/* Errors stick: `failed` here, and `starved` for the attempt, looked at once, at the end. */
struct text { struct mg_call *c; char *at; size_t len, size; bool failed; };

static void put(struct text *t, struct mg_str s)
{
	if (t->len + s.len >= t->size && !t->failed) {
		size_t size = 2 * (t->len + s.len) + 256;
		char *more = t->c->host->alloc(t->c, size);

		if (more && t->len)
			memcpy(more, t->at, t->len);
		if (!more)
			t->len = 0;
		t->failed = !more;
		((struct sim *)t->c->state)->starved |= !more;
		t->at = more;
		t->size = size;
	}
	if (t->failed || !s.len)
		return;
	memcpy(t->at + t->len, s.at, s.len);
	t->len += s.len;
	t->at[t->len] = '\0';
}

static void say(struct text *t, const char *s)
{
	put(t, TEXT(s));
}

__attribute__((format(printf, 2, 3)))
static void print(struct text *t, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	say(t, line);
}

static struct mg_str whole(const struct text *t)
{
	return (struct mg_str){ t->len ? t->at : "", t->len };
}

/* A JSON string, quotes and all. */
static void quote(struct text *t, struct mg_str s)
{
	size_t from = 0;

	say(t, "\"");
	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.at[i];

		if (ch >= 0x20 && ch != '"' && ch != '\\')
			continue;
		put(t, (struct mg_str){ s.at + from, i - from });
		if (ch >= 0x20)
			print(t, "\\%c", ch);
		else
			print(t, "\\u%04x", ch);
		from = i + 1;
	}
	if (from < s.len)	/* also no text at all: then there is nothing to point into */
		put(t, (struct mg_str){ s.at + from, s.len - from });
	say(t, "\"");
}

static struct mg_str part(struct mg_str s, size_t from, size_t to)
{
	from = from < s.len ? from : s.len;
	to = to < s.len ? to : s.len;
	return (struct mg_str){ s.at ? s.at + from : "", to > from ? to - from : 0 };
}

static bool letter(char ch)	/* of a word; all that is not ASCII counts */
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch & 0x80);
}

static bool digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

static bool capital(char ch)
{
	return (ch >= 'A' && ch <= 'Z') || (ch & 0x80);
}

static bool space(char ch)
{
	return ch == ' ' || ch == '\n' || ch == '\t' || ch == '\r';
}

static struct mg_str trim(struct mg_str s, const char *also)
{
	while (s.len && (space(s.at[0]) || strchr(also, s.at[0])))
		s = part(s, 1, s.len);
	while (s.len && (space(s.at[s.len - 1]) || strchr(also, s.at[s.len - 1])))
		s.len--;
	return s;
}

static bool same(struct mg_str a, struct mg_str b)
{
	return a.len == b.len && !strncasecmp(a.at, b.at, a.len);
}

static bool starts(struct mg_str s, const char *word)
{
	return s.len >= strlen(word) && !strncasecmp(s.at, word, strlen(word));
}

/* Where needle begins at or behind `from`, on word boundaries; SIZE_MAX. */
static size_t find(struct mg_str s, struct mg_str needle, size_t from)
{
	if (!needle.len)
		return SIZE_MAX;
	for (size_t i = from; i + needle.len <= s.len; i++) {
		size_t end = i + needle.len;

		if (strncasecmp(s.at + i, needle.at, needle.len))
			continue;
		if (i && letter(needle.at[0]) && (letter(s.at[i - 1]) || digit(s.at[i - 1])) && !(needle.at[0] & 0x80))
			continue;
		if (end < s.len && letter(needle.at[needle.len - 1]) && letter(s.at[end]) && !(s.at[end] & 0x80))
			continue;
		return i;
	}
	return SIZE_MAX;
}

static bool has(struct mg_str s, const char *words)	/* "a|b c|d": any of them */
{
	while (words) {
		const char *bar = strchr(words, '|');

		if (find(s, (struct mg_str){ words, bar ? (size_t)(bar - words) : strlen(words) }, 0) != SIZE_MAX)
			return true;
		words = bar ? bar + 1 : NULL;
	}
	return false;
}

/* What is behind the first of "a|b|c" that is there, else absent. */
static struct mg_str behind(struct mg_str s, const char *words)
{
	while (words) {
		const char *bar = strchr(words, '|');
		struct mg_str w = { words, bar ? (size_t)(bar - words) : strlen(words) };
		size_t at = find(s, w, 0);

		if (at != SIZE_MAX)
			return part(s, at + w.len, s.len);
		words = bar ? bar + 1 : NULL;
	}
	return (struct mg_str){ 0 };
}

/* The next word of letters and digits; takes it off s; empty at the end. */
static struct mg_str word(struct mg_str *s)
{
	size_t from = 0, to;

	while (from < s->len && !letter(s->at[from]) && !digit(s->at[from]))
		from++;
	for (to = from; to < s->len && (letter(s->at[to]) || digit(s->at[to]) || (s->at[to] == '\'' && to + 1 < s->len && letter(s->at[to + 1]))); to++)
		;
	struct mg_str w = part(*s, from, to);

	*s = part(*s, to, s->len);
	return w;
}

/* The next sentence, without its end; takes it off s. */
static struct mg_str sentence(struct mg_str *s)
{
	size_t to = 0;

	while (to < s->len && s->at[to] != '\n'
			&& !(strchr(".!?", s->at[to]) && (to + 1 == s->len || space(s->at[to + 1]))))
		to++;
	struct mg_str one = part(*s, 0, to + (to < s->len && s->at[to] == '?'));

	*s = part(*s, to + 1, s->len);
	return trim(one, "");
}

/* The text between the next pair of quotes of any kind; takes it off s. */
static struct mg_str quoted(struct mg_str *s)
{
	static const struct { const char *open, *close; } kinds[] = {
		{ "\"", "\"" }, { "`", "`" }, { "'", "'" }, { "\xe2\x80\x9c", "\xe2\x80\x9d" }, { "\xe2\x80\x98", "\xe2\x80\x99" }, { "\xc2\xab", "\xc2\xbb" } };

	for (size_t i = 0; i < s->len; i++)
		for (size_t k = 0; k < COUNT(kinds); k++) {
			struct mg_str rest = part(*s, i, s->len);
			const char *end;

			if (!starts(rest, kinds[k].open) || (i && letter(s->at[i - 1]) && kinds[k].open[0] == '\''))
				continue;
			rest = part(rest, strlen(kinds[k].open), rest.len);
			end = memmem(rest.at, rest.len, kinds[k].close, strlen(kinds[k].close));
			if (!end || end == rest.at)
				continue;
			rest.len = (size_t)(end - rest.at);
			*s = part(*s, (size_t)(end - s->at) + strlen(kinds[k].close), s->len);
			return rest;
		}
	*s = (struct mg_str){ 0 };
	return *s;
}

/* A number in digits or, up to twenty, in a word, at the beginning of s. */
static bool number_here(struct mg_str s, long *n)
{
	static const char *const names[] = { "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
		"eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty" };
	struct mg_str w = word(&s);

	if (w.len && w.len < 10 && digit(w.at[0])) {
		*n = strtol(w.at, NULL, 10);
		return true;
	}
	for (size_t i = 0; i < COUNT(names); i++)
		if (same(w, TEXT(names[i]))) {
			*n = (long)i;
			return true;
		}
	return false;
}

static uint64_t hash(uint64_t h, struct mg_str s)	/* FNV-1a */
{
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.at[i]) * 0x100000001b3u;
	return h ^ (h >> 29);
}

/* About four bytes a token. */
static uint64_t tokens(size_t bytes)
{
	return (bytes + 3) / 4;
}

/* s without the character that a cut at len would split. */
static struct mg_str cut(struct mg_str s, size_t len)
{
	if (len >= s.len)
		return s;
	while (len && (s.at[len] & 0xc0) == 0x80)
		len--;
	return part(s, 0, len);
}

#endif
