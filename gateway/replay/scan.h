/*
 * scan.h - one walk through a record, from left to right: values as record.c puts them,
 * without a space between them.  What is not there, or is another thing, makes it bad.
 */
#ifndef REPLAY_SCAN_H
#define REPLAY_SCAN_H

#include "policy/policy.h"

struct scan { const char *at, *end; bool bad; struct pool *pool; };

static inline bool scan_is(struct scan *s, char c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

static inline void scan_expect(struct scan *s, char c)
{
	s->bad |= !scan_is(s, c);
}

struct mg_str scan_quoted(struct scan *s);	/* with its quotes */
struct mg_str scan_string(struct scan *s);	/* unescaped */
const char *scan_word(struct scan *s);		/* the same, copied, with a NUL behind it */
int64_t scan_whole(struct scan *s);
double scan_decimal(struct scan *s);
bool scan_truth(struct scan *s);
struct mg_str scan_span(struct scan *s);	/* any value, as its text */
struct words scan_words(struct scan *s);
/* The next member of an object that is begun: its name; absent: that was the last. */
struct mg_str scan_member(struct scan *s, bool first);

#endif
