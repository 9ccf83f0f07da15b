/*
 * sim/pattern.h - a short text for a regular expression, by its usual parts:
 * literals, classes, groups, alternatives (the first), counts (the least).
 */
#ifndef SIM_PATTERN_H
#define SIM_PATTERN_H

#include "text.h"

struct pattern { struct mg_str s; size_t at; unsigned depth; };

static void pattern_group(struct pattern *p, struct text *out);

/* One of \d, \w, \s or the character itself. */
static char escaped(char ch)
{
	return ch == 'd' ? '1' : ch == 'w' ? 'a' : ch == 's' ? ' ' : ch == 'n' ? '\n' : ch == 't' ? '\t' : ch == 'D' || ch == 'W' || ch == 'S' ? '-' : ch;
}

static char class_one(struct pattern *p)
{
	bool not = false, in[128] = { false };
	size_t end = p->at + 1;
	char ch = 'a';

	if (end < p->s.len && p->s.at[end] == '^') {
		not = true;
		end++;
	}
	for (bool first = true; end < p->s.len && (first || p->s.at[end] != ']'); end++) {
		char from = p->s.at[end], to = from;

		if (from == '\\' && end + 1 < p->s.len) {
			from = to = escaped(p->s.at[++end]);
			if (p->s.at[end] == 'd')
				for (char k = '0'; k <= '9'; k++)
					in[(int)k] = true;
		} else if (end + 2 < p->s.len && p->s.at[end + 1] == '-' && p->s.at[end + 2] != ']') {
			to = p->s.at[end += 2];
		}
		if (first)
			ch = from;
		first = false;
		for (int k = from; from >= 0 && k <= to; k++)
			in[k] = true;
	}
	p->at = end + 1;
	if (not)
		for (ch = 'a'; ch < 'z' && in[(int)ch]; ch++)
			;
	return ch;
}

/* {n}, {n,m}, +, *, ? behind an atom: its least count. */
static size_t least(struct pattern *p)
{
	char ch = p->at < p->s.len ? p->s.at[p->at] : '\0';
	size_t n = 1;

	if (ch == '*' || ch == '?') {
		n = 0;
	} else if (ch == '{' && p->at + 1 < p->s.len && digit(p->s.at[p->at + 1])) {
		n = strtoul(p->s.at + p->at + 1, NULL, 10);
		while (p->at < p->s.len && p->s.at[p->at] != '}')
			p->at++;
	} else if (ch != '+') {
		return 1;
	}
	p->at++;
	if (p->at < p->s.len && p->s.at[p->at] == '?')
		p->at++;
	return n < 1000 ? n : 1000;
}

/* To the end of this group, past its other alternatives. */
static void pattern_skip(struct pattern *p)
{
	for (int open = 0; p->at < p->s.len; p->at++) {
		char ch = p->s.at[p->at];

		if (ch == '\\')
			p->at++;
		else if (ch == '[')
			while (p->at + 1 < p->s.len && p->s.at[p->at] != ']')
				p->at++;
		else if (ch == '(')
			open++;
		else if (ch == ')' && !open--)
			return;
	}
}

static void pattern_atom(struct pattern *p, struct text *out)
{
	struct text one = { .c = out->c };
	char ch = p->s.at[p->at], lit[2] = { ch };

	if (ch == '(') {
		p->at++;
		if (starts(part(p->s, p->at, p->s.len), "?:"))
			p->at += 2;
		pattern_group(p, &one);
		p->at += p->at < p->s.len;
	} else if (ch == '[') {
		lit[0] = class_one(p);
		say(&one, lit);
	} else if (ch == '\\' && p->at + 1 < p->s.len) {
		lit[0] = escaped(p->s.at[p->at + 1]);
		p->at += 2;
		if (lit[0] != 'b')	/* a word's edge */
			say(&one, lit);
	} else {
		p->at++;
		lit[0] = ch == '.' ? 'a' : ch;
		if (ch != '^' && ch != '$')
			say(&one, lit);
	}
	for (size_t n = least(p); n && out->len < 10000; n--)
		put(out, whole(&one));
}

static void pattern_group(struct pattern *p, struct text *out)
{
	if (++p->depth > 32)
		p->at = p->s.len;
	while (p->at < p->s.len && p->s.at[p->at] != ')' && p->s.at[p->at] != '|')
		pattern_atom(p, out);
	if (p->at < p->s.len && p->s.at[p->at] == '|')
		pattern_skip(p);
	p->depth--;
}

static void pattern_make(struct mg_str pattern, struct text *out)
{
	struct pattern p = { .s = pattern };

	pattern_group(&p, out);
}

#endif
