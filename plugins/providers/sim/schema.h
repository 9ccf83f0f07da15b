/*
 * sim/schema.h - a JSON value for a JSON Schema, drawn from a message where it
 * says anything of use.
 */
#ifndef SIM_SCHEMA_H
#define SIM_SCHEMA_H

#include "pattern.h"
#include "places.h"
#include "scalar.h"
#include "sums.h"

enum { DEEP = 6, DEEPEST = 24 };	/* from DEEP on: only what must be there */

static void value(struct draw *d, struct mg_view schema, struct mg_str name, unsigned depth, struct text *out);

/* Behind $ref, as far as it goes. */
static struct mg_view resolved(struct draw *d, struct mg_view schema)
{
	const struct mg_host *h = d->a->c->host;

	for (int i = 0; i < 16; i++) {
		struct mg_str ref = h->text(d->a->c, h->get(schema, "$ref"));
		struct mg_view v = d->root;

		if (!ref.at || !starts(ref, "#"))
			return schema;
		for (ref = part(ref, 1, ref.len); ref.len && v.doc;) {
			const char *slash = memchr(ref.at + 1, '/', ref.len - 1);
			size_t end = slash ? (size_t)(slash - ref.at) : ref.len;
			struct text step = { .c = d->a->c };

			put(&step, part(ref, 1, end));
			v = h->get(v, step.len ? step.at : "");
			ref = part(ref, end, ref.len);
		}
		schema = v;
	}
	return schema;
}

/* "type" may be a list; null only when nothing else is. */
static struct mg_str type_of(struct draw *d, struct mg_view schema)
{
	const struct mg_host *h = d->a->c->host;
	struct mg_view v = h->get(schema, "type");
	struct mg_str type = h->text(d->a->c, v);

	for (v = h->kind(v) == MG_ARRAY ? h->at(v, 0) : (struct mg_view){ 0 }; h->kind(v); v = h->next(v))
		if (!type.at || mg_is(type, "null"))
			type = h->text(d->a->c, v);
	if (type.at)
		return type;
	if (h->kind(h->get(schema, "properties")) == MG_OBJECT || h->kind(h->get(schema, "allOf")) == MG_ARRAY)
		return MG_STR("object");
	if (h->get(schema, "items").doc || h->get(schema, "prefixItems").doc)
		return MG_STR("array");
	return h->get(schema, "minimum").doc || h->get(schema, "maximum").doc ? MG_STR("number") : MG_STR("string");
}

static bool mentioned(struct draw *d, struct mg_view v)
{
	struct mg_str s = d->a->c->host->text(d->a->c, v);
	struct text words = { .c = d->a->c };

	if (!s.len)
		return false;
	for (size_t i = 0; i < s.len; i++)	/* "in_progress" is said as "in progress" */
		put(&words, s.at[i] == '_' || s.at[i] == '-' ? MG_STR(" ") : part(s, i, i + 1));
	return find(d->from, s, 0) != SIZE_MAX || find(d->from, whole(&words), 0) != SIZE_MAX;
}

/* The value of an enum that the message names, else the first. */
static struct mg_view chosen(struct draw *d, struct mg_view values)
{
	const struct mg_host *h = d->a->c->host;

	for (struct mg_view v = h->at(values, 0); h->kind(v); v = h->next(v))
		if (mentioned(d, v))
			return v;
	return h->at(values, 0);
}

/* How much the message speaks for this alternative of anyOf. */
static int appeal(struct draw *d, struct mg_view schema, unsigned depth)
{
	const struct mg_host *h = d->a->c->host;
	struct mg_view s = resolved(d, schema), v;
	struct mg_str type = type_of(d, s);
	int n = mg_is(type, "null") ? -1 : 1;

	if (depth >= DEEP && (mg_is(type, "object") || mg_is(type, "array")))
		n = -2;
	n += 4 * mentioned(d, h->get(s, "const"));
	for (v = h->at(h->get(s, "enum"), 0); h->kind(v); v = h->next(v))
		n += 2 * mentioned(d, v);
	for (v = h->at(h->get(s, "properties"), 0); h->kind(v); v = h->next(v))
		n += 4 * mentioned(d, h->get(v, "const")) + (find(d->from, h->name(v), 0) != SIZE_MAX);
	return n;
}

static struct mg_view alternative(struct draw *d, struct mg_view list, unsigned depth)
{
	const struct mg_host *h = d->a->c->host;
	struct mg_view best = h->at(list, 0);

	for (struct mg_view v = h->next(best); h->kind(v); v = h->next(v))
		if (appeal(d, v, depth) > appeal(d, best, depth))
			best = v;
	return best;
}

/* ------------------------------------------------ strings */

static struct mg_str to_stop(struct mg_str s)	/* up to the end of the clause */
{
	size_t to = 0;

	while (to < s.len && !strchr(",;?!\n\"", s.at[to]) && !(s.at[to] == '.' && (to + 1 == s.len || space(s.at[to + 1])))
			&& !starts(part(s, to, s.len), " and ") && !starts(part(s, to, s.len), " with ") && !starts(part(s, to, s.len), " who ")
			&& !starts(part(s, to, s.len), " is ") && !starts(part(s, to, s.len), " in ") && !starts(part(s, to, s.len), " using "))
		to++;
	return trim(part(s, 0, to), ":'");
}

/* A person: names side by side, that open no sentence by chance. */
static struct mg_str person(struct mg_str s)
{
	static const char *const no[] = { "What", "The", "Create", "Extract", "Please", "Use", "Tell", "Call", "How", "Who", "Where", "When", "Is",
		"Get", "Give", "Add", "Make", "Find", "Write", "Generate", "I", "My", "A", "An", "Can", "Could", "Return", "Parse", "Set", "Send", "JSON" };
	struct mg_str named = behind(s, "named|called|name is|name:|i am|i'm|customer|user|to|for"), p;

	named = trim(named, " '\"");
	if (named.len && (p = proper(named)).len)
		return p;
	for (size_t i = 0; i < s.len; i++) {
		bool stop = false;

		if ((i && letter(s.at[i - 1])) || !(p = proper(part(s, i, s.len))).len)
			continue;
		for (size_t k = 0; k < COUNT(no); k++)
			stop |= starts(p, no[k]) && (p.len == strlen(no[k]) || p.at[strlen(no[k])] == ' ' || p.at[strlen(no[k])] == '\'');
		if (!stop)
			return p;
	}
	return (struct mg_str){ 0 };
}

/* The member's name as words: "firstName", "first_name" -> "first name". */
static struct mg_str spoken(struct draw *d, struct mg_str name)
{
	struct text t = { .c = d->a->c };

	for (size_t i = 0; i < name.len; i++) {
		char low[2] = { name.at[i] };

		if (low[0] == '_' || low[0] == '-') {
			say(&t, " ");
			continue;
		}
		if (i && low[0] >= 'A' && low[0] <= 'Z' && name.at[i - 1] >= 'a')
			say(&t, " ");
		if (low[0] >= 'A' && low[0] <= 'Z')
			low[0] = (char)(low[0] - 'A' + 'a');
		say(&t, low);
	}
	return whole(&t);
}

/* "title: X", "the title is X", "title=X", "set the title to X". */
static struct mg_str assigned(struct mg_str s, struct mg_str name)
{
	static const char *const signs[] = { ":", "=", " is ", " to ", " of ", " as ", " '", " \"", " `" };
	size_t at = find(s, name, 0);
	struct mg_str rest, q;

	if (at == SIZE_MAX)
		return (struct mg_str){ 0 };
	rest = part(s, at + name.len, s.len);
	for (size_t i = 0; i < COUNT(signs); i++)
		if (starts(rest, signs[i])) {
			rest = trim(part(rest, strlen(signs[i]) - (i > 5), rest.len), "");
			q = rest;
			q = quoted(&q);
			return q.len && q.at <= rest.at + 3 ? q : to_stop(rest);
		}
	return (struct mg_str){ 0 };
}

static struct mg_str drawn(struct draw *d, struct mg_str name)
{
	struct mg_str s = d->from, left = s, q = { 0 }, to[PLACES];
	char line[SUM_MAX];

	if (d->target.at) {
		q = d->target;
		d->target = (struct mg_str){ 0 };
		return q;
	}
	if ((q = assigned(s, name)).len)
		return q;
	if (has(name, "location|city|place|destination|origin|country|town|address|region|where") && places(s, to))
		return to[0];
	if (has(name, "expression|equation|formula|calculation") && sum_find(&left, line)) {
		struct text t = { .c = d->a->c };

		say(&t, line);
		return whole(&t);
	}
	left = s;
	for (size_t i = 0; i <= d->quotes && (i == 0 || q.len); i++)
		q = quoted(&left);
	if (q.len) {
		d->quotes++;
		return q;
	}
	if (has(name, "date|day|when|time")) {
		static const char *const days[] = { "today", "tomorrow", "tonight", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday" };

		if (date_in(s, &q))
			return q;
		for (size_t i = 0; i < COUNT(days); i++)
			if (has(s, days[i]))
				return TEXT(days[i]);
	}
	if (has(name, "email") && spaceless(s, "@.", &q))
		return q;
	if (has(name, "url|uri|link") && spaceless(s, ":/", &q))
		return q;
	if (has(name, "name|person|customer|user|author|recipient|symbol|ticker") && (q = person(s)).len)
		return q;
	if (has(name, "location|city|place|country") && (q = person(s)).len)
		return q;
	if (has(name, "query|search|topic|subject|term|keyword|q") && (q = to_stop(behind(s, "about|for|of|on"))).len)
		return q;
	if (has(name, "query|q|text|message|input|question|prompt|content|task|instruction|request") && s.len)
		return cut(trim(s, ""), 400);
	return (struct mg_str){ 0 };
}

/* At least min and at most max characters. */
static void put_sized(struct draw *d, struct mg_view schema, struct mg_str s, struct text *out)
{
	const struct mg_host *h = d->a->c->host;
	uint64_t min = 0, max = UINT64_MAX;
	struct text t = { .c = d->a->c };

	h->count(h->get(schema, "minLength"), &min);
	h->count(h->get(schema, "maxLength"), &max);
	put(&t, s.len > max ? cut(s, max) : s);
	for (min = min < 100000 ? min : 100000; t.len < min && !t.failed;)
		say(&t, "x");
	quote(out, whole(&t));
}

static void put_string(struct draw *d, struct mg_view schema, struct mg_str name, struct text *out)
{
	const struct mg_host *h = d->a->c->host;
	struct mg_str pattern = h->text(d->a->c, h->get(schema, "pattern")), format = h->text(d->a->c, h->get(schema, "format"));
	struct mg_str s = formatted(d, format), label = spoken(d, name);
	struct text made = { .c = d->a->c };

	if (pattern.at && !s.at) {
		pattern_make(pattern, &made);
		s = whole(&made);
	} else if (!s.at && !(s = drawn(d, label)).len) {
		struct mg_str about = behind(d->from, "about|regarding");

		put(&made, label.len ? label : MG_STR("text"));
		if (about.at && (about = to_stop(about)).len) {
			say(&made, " about ");
			put(&made, cut(about, 80));
		}
		s = whole(&made);
	}
	put_sized(d, schema, s, out);
}

/* ------------------------------------------------ what holds others */

static bool listed(struct draw *d, struct mg_view list, struct mg_str name)
{
	const struct mg_host *h = d->a->c->host;

	for (struct mg_view v = h->at(list, 0); h->kind(v); v = h->next(v)) {
		struct mg_str s = h->text(d->a->c, v);

		if (s.at && s.len == name.len && !memcmp(s.at, name.at, s.len))
			return true;
	}
	return false;
}

/* Is an optional member worth giving: does the message name it, or a value of it? */
static bool wanted(struct draw *d, struct mg_view schema, struct mg_str name)
{
	const struct mg_host *h = d->a->c->host;
	struct mg_view v = resolved(d, schema);

	if (find(d->from, spoken(d, name), 0) != SIZE_MAX)
		return true;
	for (v = h->at(h->get(v, "enum"), 0); h->kind(v); v = h->next(v))
		if (mentioned(d, v))
			return true;
	return false;
}

static void members(struct draw *d, struct mg_view schema, unsigned depth, size_t *n, struct text *out)
{
	const struct mg_host *h = d->a->c->host;
	struct mg_view required, v;

	schema = resolved(d, schema);
	required = h->get(schema, "required");
	for (v = h->at(h->get(schema, "properties"), 0); h->kind(v); v = h->next(v)) {
		if (!listed(d, required, h->name(v)) && (!d->all || depth >= DEEP) && !wanted(d, v, h->name(v)))
			continue;
		say(out, (*n)++ ? "," : "");
		quote(out, h->name(v));
		say(out, ":");
		value(d, v, h->name(v), depth + 1, out);
	}
	for (v = h->at(required, 0); h->kind(v); v = h->next(v)) {	/* required, but nowhere described */
		struct mg_str name = h->text(d->a->c, v);
		struct text z = { .c = d->a->c };

		put(&z, name);
		if (!name.at || z.failed || h->get(h->get(schema, "properties"), z.len ? z.at : "").doc)
			continue;
		say(out, (*n)++ ? "," : "");
		quote(out, name);
		say(out, ":");
		value(d, h->get(schema, "additionalProperties"), name, depth + 1, out);
	}
	if (depth < DEEPEST)
		for (v = h->at(h->get(schema, "allOf"), 0); h->kind(v); v = h->next(v))
			members(d, v, depth + 1, n, out);
}

static void put_object(struct draw *d, struct mg_view schema, unsigned depth, struct text *out)
{
	const struct mg_host *h = d->a->c->host;
	struct mg_view more = h->get(schema, "additionalProperties");
	uint64_t min = 0;
	size_t n = 0;

	say(out, "{");
	members(d, schema, depth, &n, out);
	h->count(h->get(schema, "minProperties"), &min);
	if (!n && h->kind(more) == MG_OBJECT && depth < DEEP && !min)
		min = 1;
	for (size_t k = n; k < min && k < 100; k++) {
		print(out, "%s\"key%zu\":", n++ ? "," : "", k + 1);
		value(d, more, MG_STR("value"), depth + 1, out);
	}
	say(out, "}");
}

/* "apples, bananas and cherries": how many things the message lists, one of them. */
static struct mg_str thing(struct mg_str s, size_t i, size_t *n)
{
	struct mg_str list = behind(s, "list|are|is|of|buy|with|include|including|:"), one = { 0 };
	size_t from = 0, at;

	list = list.at ? sentence(&list) : list;
	*n = 0;
	if (!list.at || !memchr(list.at, ',', list.len))
		return one;
	for (at = 0; at <= list.len; at++)
		if (at == list.len || list.at[at] == ',' || starts(part(list, at, list.len), " and ") || starts(part(list, at, list.len), ", and ")) {
			struct mg_str item = trim(part(list, from, at), ",:");

			if (starts(item, "and "))
				item = part(item, 4, item.len);
			if (item.len && (*n)++ == i)
				one = item;
			from = at + (at < list.len && list.at[at] == ' ' ? 5 : 1);
			at = from ? from - 1 : 0;
		}
	return one;
}

static void put_array(struct draw *d, struct mg_view schema, struct mg_str name, unsigned depth, struct text *out)
{
	const struct mg_host *h = d->a->c->host;
	struct mg_view items = h->get(schema, "items"), first = h->at(h->get(schema, "prefixItems"), 0), of = resolved(d, items);
	uint64_t min = depth >= DEEP ? 0 : 1, max = UINT64_MAX, n = 0;
	size_t things = 0;
	long asked;

	h->count(h->get(schema, "minItems"), &min);
	h->count(h->get(schema, "maxItems"), &max);
	thing(d->from, 0, &things);
	if (mg_is(type_of(d, of), "string") && !h->get(of, "enum").doc && things > min && depth < DEEP)
		min = things;
	else
		things = 0;
	if (!things && d->all && depth < 3 && !first.doc)	/* "three steps" */
		for (size_t i = 0; i < d->from.len; i++)
			if ((!i || space(d->from.at[i - 1])) && number_here(part(d->from, i, d->from.len), &asked) && asked > (long)min && asked <= 10) {
				struct mg_str rest = part(d->from, i, d->from.len), unit;

				word(&rest);
				unit = word(&rest);
				if (unit.len > 2 && name.len >= unit.len - 1 && !strncasecmp(unit.at, name.at, unit.len - 1))
					min = (uint64_t)asked;
			}
	say(out, "[");
	for (; h->kind(first) && n < 100; first = h->next(first))
		value(d, first, name, depth + 1, (say(out, n++ ? "," : ""), out));
	for (; n < min && n < max && n < 1000; n++) {
		say(out, n ? "," : "");
		if (things) {
			size_t total;

			quote(out, thing(d->from, n, &total));
			continue;
		}
		if (n && !strncmp(type_of(d, of).at, "string", 6) && !h->get(of, "enum").doc && !h->get(of, "pattern").doc && !h->get(of, "format").doc) {
			struct text item = { .c = d->a->c };	/* unique, whatever comes */

			put(&item, spoken(d, name));
			print(&item, " %llu", (unsigned long long)n + 1);
			quote(out, whole(&item));
			continue;
		}
		if (n && is_true(d->a, schema, "uniqueItems") && h->get(of, "enum").doc) {
			put(out, h->raw(h->at(h->get(of, "enum"), n)));
			continue;
		}
		value(d, items, name, depth + 1, out);
	}
	say(out, "]");
}

static void value(struct draw *d, struct mg_view schema, struct mg_str name, unsigned depth, struct text *out)
{
	const struct mg_host *h = d->a->c->host;
	struct mg_view v = resolved(d, schema), list;
	struct mg_str type;

	for (int i = 0; i < 8 && (list = h->get(v, "anyOf"), h->kind(list) == MG_ARRAY || (list = h->get(v, "oneOf"), h->kind(list) == MG_ARRAY)); i++)
		v = resolved(d, alternative(d, list, depth));
	list = h->get(v, "allOf");
	if (h->kind(list) == MG_ARRAY && !h->get(v, "type").doc && !h->get(h->at(list, 0), "properties").doc && h->kind(h->next(h->at(list, 0))) == MG_ABSENT)
		v = resolved(d, h->at(list, 0));
	if (depth > DEEPEST) {
		say(out, "null");
		return;
	}
	type = type_of(d, v);
	if (h->get(v, "const").doc)
		put(out, h->raw(h->get(v, "const")));
	else if (h->kind(h->get(v, "enum")) == MG_ARRAY)
		put(out, h->raw(chosen(d, h->get(v, "enum"))));
	else if (mg_is(type, "object"))
		put_object(d, v, depth, out);
	else if (mg_is(type, "array"))
		put_array(d, v, name, depth, out);
	else if (mg_is(type, "integer") || mg_is(type, "number"))
		put_number(d, v, name, mg_is(type, "integer"), out);
	else if (mg_is(type, "boolean"))
		say(out, has(d->from, "false|not|no|without|disabled|off") ? "false" : "true");
	else if (mg_is(type, "null"))
		say(out, "null");
	else
		put_string(d, v, name, out);
}

#endif
