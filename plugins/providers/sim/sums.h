/*
 * sim/sums.h - arithmetic and counting.
 */
#ifndef SIM_SUMS_H
#define SIM_SUMS_H

#include "ask.h"

enum { SUM_MAX = 256 };

struct sum { const char *at; bool bad; unsigned depth; };

static double sum_expr(struct sum *s);

static double sum_atom(struct sum *s)
{
	char *end;
	double v;

	while (*s->at == ' ')
		s->at++;
	if (*s->at == '-') {
		s->at++;
		return -sum_atom(s);
	}
	if (*s->at == '(' && ++s->depth < 32) {
		s->at++;
		v = sum_expr(s);
		s->bad |= *s->at != ')';
		s->at += *s->at == ')';
		s->depth--;
		return v;
	}
	s->bad |= !digit(*s->at);
	v = strtod(s->at, &end);
	s->at = end;
	return v;
}

static char sum_op(struct sum *s)
{
	while (*s->at == ' ')
		s->at++;
	return *s->at;
}

static double sum_power(struct sum *s)
{
	double v = sum_atom(s), by, all = 1;

	if (sum_op(s) != '^')
		return v;
	s->at++;
	by = sum_atom(s);
	for (s->bad |= by < 0 || by > 64; !s->bad && by >= 1; by--)
		all *= v;
	return all;
}

static double sum_term(struct sum *s)
{
	double v = sum_power(s), by;

	for (char op = sum_op(s); !s->bad && (op == '*' || op == '/' || op == '%'); op = sum_op(s)) {
		s->at++;
		by = sum_power(s);
		if (op == '*') {
			v *= by;
		} else if (by == 0) {
			s->bad = true;
		} else {
			double times = v / by;

			v = op == '/' ? times : times < 1e15 && times > -1e15 ? v - by * (double)(long long)times : 0;
		}
	}
	return v;
}

static double sum_expr(struct sum *s)
{
	double v = sum_term(s);

	for (char op = sum_op(s); !s->bad && (op == '+' || op == '-'); op = sum_op(s)) {
		s->at++;
		v += op == '+' ? sum_term(s) : -sum_term(s);
	}
	return v;
}

/* Words and signs of arithmetic as + - * / ^ %; 0: none here.  *len: what was read. */
static char operator(struct mg_str s, size_t *len)
{
	static const struct { const char *words; char op; } known[] = {
		{ "+", '+' }, { "plus ", '+' }, { "added to ", '+' }, { "-", '-' }, { "\xe2\x88\x92", '-' }, { "minus ", '-' },
		{ "**", '^' }, { "*", '*' }, { "x ", '*' }, { "\xc3\x97", '*' }, { "times ", '*' }, { "multiplied by ", '*' },
		{ "/", '/' }, { "\xc3\xb7", '/' }, { "divided by ", '/' }, { "over ", '/' }, { "^", '^' }, { "to the power of ", '^' },
		{ "%", '%' }, { "mod ", '%' }, { "modulo ", '%' } };

	for (size_t i = 0; i < COUNT(known); i++)
		if (starts(s, known[i].words)) {
			*len = strlen(known[i].words);
			return known[i].op;
		}
	return 0;
}

/* The first run of numbers and operators, in signs; takes it off s. */
static bool sum_find(struct mg_str *s, char out[static SUM_MAX])
{
	size_t n = 0, ops = 0, len, i;

	for (i = 0; i < s->len && n < SUM_MAX - 2; i++) {
		char ch = s->at[i], op;
		bool number = n && (digit(out[n - 1]) || out[n - 1] == ')');

		if (digit(ch) && !(i && letter(s->at[i - 1]) && !n) && !(n && space(s->at[i - 1]) && digit(out[n - 1]))) {
			out[n++] = ch;
		} else if (ch == '.' && n && digit(out[n - 1]) && i + 1 < s->len && digit(s->at[i + 1])) {
			out[n++] = ch;
		} else if (ch == ',' && n && digit(out[n - 1]) && i + 3 < s->len && digit(s->at[i + 1]) && digit(s->at[i + 2]) && digit(s->at[i + 3])) {
			continue;	/* 1,000 */
		} else if (n && space(ch)) {
			continue;
		} else if (number && (op = operator(part(*s, i, s->len), &len))) {
			out[n++] = op;
			ops++;
			i += len - 1;
		} else if ((ch == '(' && !number) || (ch == ')' && n) || (ch == '-' && !number && i + 1 < s->len && digit(s->at[i + 1]))) {
			out[n++] = ch;
		} else if (n && ops && number) {
			break;
		} else {
			n = ops = 0;
		}
	}
	while (n && !digit(out[n - 1]) && out[n - 1] != ')')
		n--;
	out[n] = '\0';
	for (ops = 0, len = 1; len < n; len++)
		ops += !digit(out[len]) && out[len] != '.' && out[len] != '(' && out[len] != ')';
	*s = ops ? part(*s, i, s->len) : (struct mg_str){ 0 };
	return ops > 0;
}

static bool sum(const struct ask *a, struct text *out)
{
	char line[SUM_MAX];
	struct mg_str left = a->last;
	struct sum s = { .at = line };
	double v;

	if (!sum_find(&left, line))
		return false;
	/* "2024-01-15" and "24/7" are no sums, unless asked for */
	if (!has(a->last, "what is|what's|calculate|compute|how much|solve|evaluate|result|equals|sum|add|math")
			&& !memchr(a->last.at, '=', a->last.len) && !memchr(a->last.at, '?', a->last.len)
			&& !digit(trim(a->last, "").at[0]))
		return false;
	v = sum_expr(&s);
	if (s.bad || *s.at) {
		if (!strchr(line, '/') || *s.at == ')')
			return false;
		print(out, "%s is not defined.", line);
		return true;
	}
	if (has(a->last, "only the number|just the number|number only|only a number|just a number|only the answer|just the answer|only the result|single number|only with the number|nothing else"))
		print(out, "%.12g", v);
	else
		print(out, "%s = %.12g", line, v);
	return true;
}

/* "count to 5", "from 1 to 10", "count down from 3". */
static bool count(const struct ask *a, struct text *out)
{
	struct mg_str rest = a->last;
	const char *between = has(a->last, "line|lines|newline") ? "\n" : has(a->last, "space|spaces") ? " " : ", ";
	bool down = has(a->last, "down|backwards|backward|reverse");
	long from = down ? 10 : 1, to = down ? 1 : 0, n;
	struct mg_str b = behind(rest, "to|through|until|up to"), f = behind(rest, "from|numbers|between");

	if (!has(a->last, "count|counting|numbers|integers"))
		return false;
	if (f.at && number_here(f, &n))
		from = n;
	for (; b.at && !number_here(b, &to); b = behind(b, "to|through|until"))
		;
	if (!b.at && f.at && (b = behind(f, "and|-")).at)
		number_here(b, &to);
	if ((!b.at && !down) || (!b.at && !f.at && !number_here(behind(rest, "down from"), &from)) || labs(to - from) > 5000)
		return false;
	for (long i = from, step = to < from ? -1 : 1;; i += step) {
		print(out, "%ld%s", i, i == to ? "" : between);
		if (i == to)
			return true;
	}
}

#endif
