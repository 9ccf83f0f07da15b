/*
 * sim/tools.h - which of the offered tools the message asks for, and with what.
 */
#ifndef SIM_TOOLS_H
#define SIM_TOOLS_H

#include "schema.h"

enum { CALLS = 16, TOOLS = 64, CLEAR = 3 };

struct planned { struct mg_str name, arguments; };
struct plan { struct planned calls[CALLS]; size_t n; bool unknown; };

/* Words that say nothing about a tool. */
static bool weak(struct mg_str w)
{
	static const char *const words[] = { "get", "set", "the", "for", "and", "tool", "function", "this", "that", "with", "from", "use", "used", "using",
		"call", "current", "currently", "given", "find", "make", "return", "returns", "value", "name", "number", "one", "two", "what", "your",
		"user", "some", "about", "into", "when", "will", "should", "data", "information", "info", "run", "do", "does", "you", "are", "result", "test" };

	for (size_t i = 0; i < COUNT(words); i++)
		if (same(w, TEXT(words[i])))
			return true;
	return w.len < 3;
}

/* "cities" finds "city", "calculator" finds "calculate": by their stems. */
static bool alike(struct mg_str text, struct mg_str w)
{
	size_t stem = w.len > 7 ? w.len - 3 : w.len > 4 ? w.len - 1 : w.len;
	struct mg_str left = text, other;

	while ((other = word(&left)).len)
		if (other.len >= stem && !strncasecmp(other.at, w.at, stem) && other.len <= w.len + 3)
			return true;
	return false;
}

static int fit(const struct ask *a, struct draw *d, struct mg_view f)
{
	struct mg_str name = text_of(a, f, "name"), about = text_of(a, f, "description"), words = spoken(d, name), w, left = a->last;
	char line[SUM_MAX];
	int n = 0, described = 0;

	if (find(a->last, name, 0) != SIZE_MAX)
		return 100;
	if (sum_find(&left, line) && (has(words, "calculator|calculate|math|evaluate|compute|arithmetic")
			|| (strchr(line, '+') && has(words, "add|adder|sum|plus")) || (strchr(line, '*') && has(words, "multiply|multiplication|product|times"))
			|| (strchr(line, '-') && has(words, "subtract|minus")) || (strchr(line, '/') && has(words, "divide|division"))))
		n += CLEAR;
	for (left = words; (w = word(&left)).len;)
		n += !weak(w) && alike(a->last, w) ? CLEAR : 0;
	for (left = about; (w = word(&left)).len && described < 8;)
		described += w.len > 3 && !weak(w) && alike(a->last, w);
	return n + described + described / 2;
}

/* The one required member that a place or a thing fits into, if there is just one. */
static bool takes_many(struct draw *d, struct mg_view schema, bool *numeric)
{
	const struct mg_host *h = d->a->c->host;
	size_t strings = 0, numbers = 0;

	for (struct mg_view v = h->at(h->get(schema, "properties"), 0); h->kind(v); v = h->next(v)) {
		struct mg_view of = resolved(d, v);
		struct mg_str type = type_of(d, of);

		if (!listed(d, h->get(schema, "required"), h->name(v)) || h->get(of, "enum").doc)
			continue;
		strings += mg_is(type, "string");
		numbers += mg_is(type, "integer") || mg_is(type, "number");
	}
	*numeric = !strings && numbers == 1;
	return strings == 1 || *numeric;
}

static void plan_one(const struct ask *a, struct plan *p, struct mg_view f, struct mg_str target, uint64_t *used)
{
	struct mg_view schema = member(a, f, "parameters");
	struct draw d = { .a = a, .root = schema, .from = a->last, .target = target, .used = used ? *used : 0 };
	struct text out = { .c = a->c };

	if (p->n == CALLS)
		return;
	if (a->c->host->kind(schema) == MG_OBJECT)
		value(&d, schema, MG_STR(""), 0, &out);
	if (!out.len || out.at[0] != '{') {
		out.len = 0;
		say(&out, "{}");
	}
	if (used)
		*used = d.used;
	p->calls[p->n++] = (struct planned){ text_of(a, f, "name"), whole(&out) };
}

/* One call, or one for each place, quotation or number that the message lists. */
static void plan_tool(const struct ask *a, struct plan *p, struct mg_view f, bool parallel)
{
	struct draw d = { .a = a, .root = member(a, f, "parameters") };
	struct mg_str to[PLACES], left = a->last, q;
	size_t n = 0;
	uint64_t used = 0;
	bool numeric = false;

	if (parallel && takes_many(&d, d.root, &numeric) && !numeric) {
		while (n < PLACES && (q = quoted(&left)).len)
			to[n++] = q;
		if (n < 2)
			n = places(a->last, to);
	}
	for (size_t i = 0; numeric && i < a->last.len; i++) {
		size_t len;

		if (number_at(a->last, i, &len)) {
			n++;
			i += len;
		}
	}
	if (n < 2)
		plan_one(a, p, f, (struct mg_str){ 0 }, NULL);
	else
		for (size_t i = 0; i < n; i++)
			plan_one(a, p, f, numeric ? (struct mg_str){ 0 } : to[i], &used);
}

static struct mg_view function_at(const struct ask *a, struct mg_view tool)
{
	return a->c->host->kind(member(a, tool, "function")) == MG_OBJECT ? member(a, tool, "function") : (struct mg_view){ 0 };
}

/* All that the message asks for; with `must`, the best one even without a reason. */
static void plan_all(const struct ask *a, struct plan *p, struct mg_str only, bool must, bool parallel)
{
	const struct mg_host *h = a->c->host;
	struct draw d = { .a = a };
	struct mg_view best = { 0 };
	int most = -1, n = 0;

	for (struct mg_view t = h->at(h->get(a->body, "tools"), 0); h->kind(t) && n < TOOLS; t = h->next(t), n++) {
		struct mg_view f = function_at(a, t);
		struct mg_str name = text_of(a, f, "name");
		int fits;

		if (!f.doc || !name.at || (only.at && (only.len != name.len || memcmp(only.at, name.at, name.len))))
			continue;
		fits = fit(a, &d, f);
		if (fits > most) {
			most = fits;
			best = f;
		}
		if (fits >= CLEAR && !only.at)
			plan_tool(a, p, f, parallel);
	}
	p->unknown = only.at && !best.doc;
	if (!p->n && best.doc && (must || only.at))
		plan_tool(a, p, best, parallel);
}

/* What to call now.  In sequence, where calls side by side are not allowed. */
static struct plan plan(const struct ask *a)
{
	const struct mg_host *h = a->c->host;
	struct mg_view choice = h->get(a->body, "tool_choice");
	struct mg_str word = h->text(a->c, choice), only = text_of(a, h->get(choice, "function"), "name");
	bool must = mg_is(word, "required") || mg_is(word, "any"), parallel = h->kind(h->get(a->body, "parallel_tool_calls")) != MG_FALSE;
	struct plan p = { .n = 0 };
	size_t from = a->n_results;

	if (!only.at)
		only = text_of(a, choice, "name");
	if (mg_is(word, "none") || !h->get(a->body, "tools").doc)
		return p;
	plan_all(a, &p, only, must, true);
	if (!from && parallel)
		return p;
	/* after results: only what is missing, unless a call is demanded */
	if (from < p.n && !parallel)
		p.calls[0] = p.calls[from];
	else if (!(must || only.at) || !p.n)
		p.n = 0;
	p.n = p.n ? 1 : 0;
	return p;
}

#endif
