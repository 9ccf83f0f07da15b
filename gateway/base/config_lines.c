/*
 * Lua and jansson do not say on which line a member was written, so the text
 * is walked once more: only literal tables that hang on the returned one count,
 * what a function or a loop makes is found by the nearest literal around it.
 */
#include <ctype.h>
#include "base/config_part.h"

enum token { T_END, T_NAME, T_STRING, T_OPEN, T_CLOSE, T_SET, T_COMMA, T_OTHER };
struct frame { size_t up, items; bool named, closed; };	/* closed: nothing below it is recorded */

struct scan {
	struct reading *r;
	struct source *s;
	const char *at;
	bool json;
	int line, blocks, depth, parens;
	char word[256];
	struct place place;
	struct frame frames[CONFIG_DEPTH];
};

/* [[...]] and [==[...]==]; at stands on the first bracket. */
static bool long_bracket(struct scan *t)
{
	const char *p = t->at + 1;
	size_t level = 0;

	while (*p == '=')
		p++, level++;
	if (*p != '[')
		return false;
	for (p++; *p; p++) {
		t->line += *p == '\n';
		if (*p == ']' && strspn(p + 1, "=") == level && p[1 + level] == ']') {
			p += level + 2;
			break;
		}
	}
	t->at = p;
	return true;
}

static void skip_space(struct scan *t)
{
	for (;; t->at++) {
		if (!t->json && t->at[0] == '-' && t->at[1] == '-') {
			t->at += 2;
			if (*t->at == '[' && long_bracket(t)) {
				t->at--;
				continue;
			}
			t->at += strcspn(t->at, "\n");
		}
		if (!isspace((unsigned char)*t->at))
			return;
		t->line += *t->at == '\n';
	}
}

static enum token string(struct scan *t)
{
	char quote = *t->at++;
	size_t n = 0;

	for (; *t->at && *t->at != quote; t->at++) {
		if (*t->at == '\\' && t->at[1])
			t->at++;
		t->line += *t->at == '\n';
		if (n + 1 < sizeof(t->word))
			t->word[n++] = *t->at;
	}
	t->word[n] = 0;
	t->at += *t->at != 0;
	return T_STRING;
}

static enum token word(struct scan *t)
{
	static const char *const opens[] = { "function", "if", "do", "repeat" };
	size_t n = 0;

	for (; isalnum((unsigned char)*t->at) || *t->at == '_'; t->at++)
		if (n + 1 < sizeof(t->word))
			t->word[n++] = *t->at;
	t->word[n] = 0;
	for (size_t i = 0; i < sizeof(opens) / sizeof(opens[0]); i++)
		t->blocks += !strcmp(t->word, opens[i]);
	t->blocks -= !strcmp(t->word, "end") || !strcmp(t->word, "until");
	return T_NAME;
}

static enum token next(struct scan *t)
{
	skip_space(t);
	if (isalpha((unsigned char)*t->at) || *t->at == '_')
		return word(t);
	switch (*t->at) {
	case 0:
		return T_END;
	case '"':
	case '\'':
		return string(t);
	case '[':
		if (t->json)
			return t->at++, T_OPEN;
		if (long_bracket(t))
			return T_OTHER;
		t->at++;
		skip_space(t);
		if (*t->at != '"' && *t->at != '\'')
			return T_OTHER;
		string(t);
		skip_space(t);
		t->at += *t->at == ']';
		return T_STRING;
	case ']':
		return t->at++, t->json ? T_CLOSE : T_OTHER;
	case '{':
		return t->at++, T_OPEN;
	case '}':
		return t->at++, T_CLOSE;
	case ',':
	case ';':
		return t->at++, T_COMMA;
	case ':':
		return t->at++, t->json ? T_SET : T_OTHER;
	case '=':
		t->at++;
		if (*t->at == '=')
			return t->at++, T_OTHER;
		return t->json ? T_OTHER : T_SET;
	case '(':
		t->parens++;
		return t->at++, T_OTHER;
	case ')':
		t->parens--;
		return t->at++, T_OTHER;
	case '~':
	case '<':
	case '>':
		t->at += 1 + (t->at[1] == '=');
		return T_OTHER;
	default:
		return t->at++, T_OTHER;
	}
}

static int record(struct scan *t)
{
	json_t *before = json_object_get(t->s->lines, t->place.text);

	if (before)
		return fail(t->r->err, MG_EINVAL, "%s:%d: %s: given twice, first on line %d\nhint: keep one of them",
			t->s->name, t->line, t->place.text, (int)json_integer_value(before));
	json_object_set_new(t->s->lines, t->place.text, json_integer(t->line));
	return MG_OK;
}

/* A table begins.  It belongs to the tree when a member's value is just that. */
static int push(struct scan *t, enum token before, bool named)
{
	struct frame *f = &t->frames[t->depth], *up = t->depth ? f - 1 : NULL;
	bool value = before == T_SET || before == T_COMMA || before == T_OPEN;
	int rc = MG_OK;

	*f = (struct frame){ .up = t->place.len, .named = named };
	f->closed = up ? up->closed || t->parens || !value : !(t->json || (before == T_NAME && !t->blocks));
	if (up && !f->closed && !named) {
		f->up = place_item(&t->place, up->items);
		rc = record(t);
	}
	t->depth++;
	return rc;
}

static void pop(struct scan *t)
{
	if (!t->depth)
		return;
	t->depth--;
	if (!t->frames[t->depth].named)
		place_up(&t->place, t->frames[t->depth].up);
}

static int walk(struct scan *t)
{
	enum token before = T_OTHER, now;
	bool named = false, root = t->json;
	size_t named_up = 0;
	char word_before[sizeof(t->word)] = "";
	int rc;

	for (; (now = next(t)) != T_END; before = now) {
		struct frame *top = t->depth ? &t->frames[t->depth - 1] : NULL;

		if (now == T_SET && top && !top->closed && !t->parens && !named
				&& (before == T_NAME || before == T_STRING)) {
			named_up = place_down(&t->place, word_before);
			named = true;
			rc = record(t);
			if (rc)
				return rc;
		} else if (now == T_OPEN) {
			if (t->depth == CONFIG_DEPTH)
				return MG_OK;
			root = t->json || !strcmp(word_before, "return");
			rc = push(t, !t->depth && !root ? T_OTHER : before, named);
			if (rc)
				return rc;
			if (named)
				t->frames[t->depth - 1].up = named_up;
			named = false;
		} else if (now == T_COMMA || now == T_CLOSE) {
			if (named)
				place_up(&t->place, named_up);
			else if (now == T_COMMA && top && !t->parens)
				top->items++;
			named = false;
			if (now == T_CLOSE) {
				bool was = t->depth && t->frames[t->depth - 1].named;

				pop(t);
				named = was;
				named_up = t->frames[t->depth].up;
			}
		}
		snprintf(word_before, sizeof(word_before), "%s", now == T_NAME || now == T_STRING ? t->word : "");
	}
	return MG_OK;
}

int source_scan(struct reading *r, const char *name, const char *text, bool json)
{
	struct scan t = { .r = r, .at = text, .json = json, .line = 1 };

	if (r->n == SOURCES_MAX)
		return fail(r->err, MG_EINVAL, "%s: more than %d files", name, SOURCES_MAX);
	t.s = &r->sources[r->n++];
	*t.s = (struct source){ .lines = json_object() };
	snprintf(t.s->name, sizeof(t.s->name), "%s", name);
	return walk(&t);
}
