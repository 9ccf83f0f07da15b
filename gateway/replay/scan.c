#include <stdlib.h>
#include "base/json.h"
#include "replay/scan.h"

struct mg_str scan_quoted(struct scan *s)
{
	const char *from = s->at, *p = s->at;

	scan_expect(s, '"');
	while (!s->bad && (p = memchr(p + 1, '"', (size_t)(s->end - p - 1))) != NULL) {
		size_t slashes = 0;

		while (p[-1 - (ptrdiff_t)slashes] == '\\')
			slashes++;
		if (slashes % 2 == 0)
			break;
	}
	s->bad |= !p;
	if (s->bad)
		return (struct mg_str){ "", 0 };
	s->at = p + 1;
	return (struct mg_str){ from, (size_t)(s->at - from) };
}

struct mg_str scan_string(struct scan *s)
{
	struct mg_str raw = scan_quoted(s), t = { "", 0 };
	struct mg_view v;
	struct err err;

	if (s->bad)
		return t;
	if (!memchr(raw.at, '\\', raw.len))
		return (struct mg_str){ raw.at + 1, raw.len - 2 };
	if (json_parse(s->pool, raw, &v, &err) == MG_OK)
		t = json_text(s->pool, v);
	s->bad |= !t.at;
	return t.at ? t : (struct mg_str){ "", 0 };
}

const char *scan_word(struct scan *s)
{
	const char *at = pool_dup(s->pool, scan_string(s)).at;

	return at ? at : "";
}

int64_t scan_whole(struct scan *s)
{
	bool below = scan_is(s, '-');
	uint64_t n = 0;
	const char *from = s->at;

	for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
		n = n * 10 + (uint64_t)(*s->at - '0');
	s->bad |= s->at == from;
	return (int64_t)(below ? 0 - n : n);
}

static double by_library(struct scan *s, const char *from)
{
	char copy[48], *end;
	size_t len = 0;
	double x;

	while (from + len < s->end && len < sizeof(copy) - 1 && strchr("+-.eE0123456789", from[len])) {
		copy[len] = from[len];
		len++;
	}
	copy[len] = '\0';
	x = strtod(copy, &end);
	s->bad |= end == copy;
	s->at = from + (end - copy);
	return x;
}

/* Whole numbers and millionths are a quotient of two whole numbers, so that they are as they were, bit by bit. */
double scan_decimal(struct scan *s)
{
	static const double tens[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6 };
	const char *from = s->at, *point = NULL;
	bool below = scan_is(s, '-');
	int64_t n = 0;

	for (; s->at < s->end; s->at++) {
		if (*s->at >= '0' && *s->at <= '9')
			n = n * 10 + (*s->at - '0');
		else if (*s->at == '.' && !point)
			point = s->at;
		else
			break;
		if (s->at - from > 14)
			return by_library(s, from);
	}
	if ((s->at < s->end && (*s->at | 32) == 'e') || (point && s->at - point > 7) || s->at == from + below)
		return by_library(s, from);
	return (double)(below ? -n : n) / tens[point ? s->at - point - 1 : 0];
}

bool scan_truth(struct scan *s)
{
	bool yes = scan_is(s, 't');

	if (!yes)
		scan_expect(s, 'f');
	s->at += s->end - s->at < (yes ? 3 : 4) ? 0 : yes ? 3 : 4;
	return yes;
}

struct mg_str scan_span(struct scan *s)
{
	const char *from = s->at;
	unsigned depth = 0;

	do {
		if (s->at == s->end) {
			s->bad = true;
			break;
		}
		if (*s->at == '"') {
			scan_quoted(s);
			continue;
		}
		depth += *s->at == '[' || *s->at == '{';
		depth -= depth && (*s->at == ']' || *s->at == '}');
		s->at++;
	} while (!s->bad && (depth || (s->at < s->end && !strchr(",]}:", *s->at))));
	return (struct mg_str){ from, (size_t)(s->at - from) };
}

struct words scan_words(struct scan *s)
{
	struct mg_str few[16], *at = few, *more;
	size_t n = 0, size = 16;

	scan_expect(s, '[');
	while (!s->bad && !scan_is(s, ']')) {
		if (n)
			scan_expect(s, ',');
		if (n == size) {
			more = pool_alloc(s->pool, size * 2 * sizeof(*more));
			if (!more)
				break;
			at = memcpy(more, at, n * sizeof(*at));
			size *= 2;
		}
		at[n++] = scan_string(s);
	}
	if (at == few && n) {
		at = pool_alloc(s->pool, n * sizeof(*at));
		n = at ? n : 0;
		if (n)
			memcpy(at, few, n * sizeof(*at));
	}
	return (struct words){ n ? at : NULL, n };
}

struct mg_str scan_member(struct scan *s, bool first)
{
	struct mg_str raw;

	if (s->bad || scan_is(s, '}'))
		return (struct mg_str){ NULL, 0 };
	if (!first)
		scan_expect(s, ',');
	raw = scan_quoted(s);
	scan_expect(s, ':');
	return s->bad ? (struct mg_str){ NULL, 0 } : (struct mg_str){ raw.at + 1, raw.len - 2 };
}
