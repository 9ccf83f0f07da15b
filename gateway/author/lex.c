/* A Lua text as tokens. */
#include <ctype.h>
#include <string.h>
#include "author/lex.h"

void lex_begin(struct lexer *l, const char *text, size_t len)
{
	*l = (struct lexer){ text, text + len, 1 };
}

static int peek(const struct lexer *l, size_t i)
{
	return i < (size_t)(l->end - l->at) ? (unsigned char)l->at[i] : 0;
}

static void skip(struct lexer *l, size_t n)
{
	for (; n && l->at < l->end; n--)
		l->line += *l->at++ == '\n';
}

/* [[ or [==[ here: how many bytes to the end of what it opens; 0: it opens nothing. */
static size_t long_bracket(const struct lexer *l)
{
	size_t level = 0, i;

	if (peek(l, 0) != '[')
		return 0;
	while (peek(l, 1 + level) == '=')
		level++;
	if (peek(l, 1 + level) != '[')
		return 0;
	for (i = 2 + level; i < (size_t)(l->end - l->at); i++) {
		size_t k = 0;

		if (l->at[i] != ']')
			continue;
		while (k < level && peek(l, i + 1 + k) == '=')
			k++;
		if (k == level && peek(l, i + 1 + level) == ']')
			return i + 2 + level;
	}
	return i;
}

static void skip_blank(struct lexer *l)
{
	while (l->at < l->end) {
		size_t n = 0;

		if (isspace(peek(l, 0))) {
			skip(l, 1);
			continue;
		}
		if (peek(l, 0) != '-' || peek(l, 1) != '-')
			return;
		skip(l, 2);
		n = long_bracket(l);
		if (!n)
			while (l->at + n < l->end && l->at[n] != '\n')
				n++;
		skip(l, n);
	}
}

static size_t quoted(const struct lexer *l)
{
	int quote = peek(l, 0);
	size_t i = 1, left = (size_t)(l->end - l->at);

	while (i < left && l->at[i] != quote && l->at[i] != '\n')
		i += l->at[i] == '\\' ? 2 : 1;
	return i < left ? i + 1 : left;
}

static size_t number(const struct lexer *l)
{
	bool hex = peek(l, 0) == '0' && (peek(l, 1) | 32) == 'x';
	size_t i = hex ? 2 : 0;

	for (;; i++) {
		int c = peek(l, i);

		if ((c == '+' || c == '-') && i && (peek(l, i - 1) | 32) == (hex ? 'p' : 'e'))
			continue;
		if (!isalnum(c) && !(c == '.' && peek(l, i + 1) != '.'))
			return i;
	}
}

static size_t operator(const struct lexer *l)
{
	static const char *const all[] = { "...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>", NULL };

	for (size_t i = 0; all[i]; i++)
		if (strlen(all[i]) <= (size_t)(l->end - l->at) && !strncmp(l->at, all[i], strlen(all[i])))
			return strlen(all[i]);
	return 1;
}

struct lexeme lex_next(struct lexer *l)
{
	struct lexeme t = { LEX_END, NULL, 0, 0 };
	int c;

	skip_blank(l);
	t.at = l->at;
	t.line = l->line;
	c = peek(l, 0);
	if (l->at == l->end)
		return t;
	if (isalpha(c) || c == '_') {
		t.kind = LEX_WORD;
		while (isalnum(peek(l, t.len)) || peek(l, t.len) == '_')
			t.len++;
	} else if (isdigit(c) || (c == '.' && isdigit(peek(l, 1)))) {
		t.kind = LEX_NUMBER;
		t.len = number(l);
	} else if (c == '"' || c == '\'') {
		t.kind = LEX_STRING;
		t.len = quoted(l);
	} else {
		t.len = long_bracket(l);
		t.kind = t.len ? LEX_STRING : LEX_OTHER;
		if (!t.len)
			t.len = operator(l);
	}
	skip(l, t.len);
	return t;
}

bool lexeme_is(const struct lexeme *t, const char *text)
{
	return (t->kind == LEX_WORD || t->kind == LEX_OTHER) && t->len == strlen(text) && !memcmp(t->at, text, t->len);
}

struct lexeme lexeme_inside(const struct lexeme *t)
{
	struct lexeme in = *t;
	size_t edge = 1;

	while (*t->at == '[' && edge < t->len && t->at[edge] == '=')
		edge++;
	if (*t->at == '[')
		edge++;
	in.at += edge;
	in.len = t->len > 2 * edge ? t->len - 2 * edge : 0;
	return in;
}
