/*
 * lex.h - a Lua text as tokens, for tools that change or look at its source.
 * Comments and blanks are passed over; whether it is a program is the compiler's to say.
 */
#ifndef AUTHOR_LEX_H
#define AUTHOR_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum lexeme_kind { LEX_END, LEX_WORD, LEX_NUMBER, LEX_STRING, LEX_OTHER };
struct lexeme { enum lexeme_kind kind; const char *at; size_t len; int line; };
struct lexer { const char *at, *end; int line; };

void lex_begin(struct lexer *l, const char *text, size_t len);
struct lexeme lex_next(struct lexer *l);			/* LEX_END at the end, again and again */
bool lexeme_is(const struct lexeme *t, const char *text);	/* a word or an operator, never a string */
/* What a string's quotes hold, as written: escapes stay. */
struct lexeme lexeme_inside(const struct lexeme *t);

#endif
