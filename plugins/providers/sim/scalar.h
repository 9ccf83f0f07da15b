/*
 * sim/scalar.h - numbers of a schema, and strings of a known format, from the
 * message where it has one that fits.
 */
#ifndef SIM_SCALAR_H
#define SIM_SCALAR_H

#include "ask.h"

struct draw {
	const struct ask *a;
	struct mg_view root;		/* what "#/..." counts from */
	struct mg_str from;		/* the message */
	struct mg_str target;		/* for the first free string: the place or thing of this call */
	uint64_t used;			/* which numbers of the message are taken, one bit each */
	size_t quotes;			/* how many of its quotations are taken */
	bool all;			/* optional members, too */
};

/* ------------------------------------------------ numbers */

static bool number_at(struct mg_str s, size_t i, size_t *len)
{
	size_t to = i;

	if (!digit(s.at[i]) || (i && (digit(s.at[i - 1]) || letter(s.at[i - 1]) || s.at[i - 1] == '.' || s.at[i - 1] == '_')))
		return false;
	while (to < s.len && (digit(s.at[to]) || (s.at[to] == '.' && to + 1 < s.len && digit(s.at[to + 1]))))
		to++;
	*len = to - i;
	return true;
}

/* The number that stands by the member's name ("age 30", "30 years"), else the next one. */
static bool number(struct draw *d, struct mg_str name, double *n)
{
	static const struct { const char *name, *units; } units[] = {
		{ "age", "years|year-old|years old|y/o|," }, { "price", "dollars|euros|usd|eur" }, { "temperature", "degrees" } };
	struct mg_str s = d->from, w, left = name;
	size_t at = SIZE_MAX, len, bit = 0, best = SIZE_MAX, best_bit = 0, far = SIZE_MAX;

	while ((w = word(&left)).len && at == SIZE_MAX)
		at = w.len > 1 ? find(s, w, 0) : SIZE_MAX;
	for (size_t i = 0; i < s.len && bit < 64; i++) {
		size_t away;

		if (!number_at(s, i, &len))
			continue;
		away = at == SIZE_MAX ? 0 : i > at ? i - at : 2 * (at - i);
		for (size_t k = 0; k < COUNT(units); k++)
			if (has(name, units[k].name) && has(part(s, i + len, i + len + 8), units[k].units))
				away = 0;
		if (!(d->used & (uint64_t)1 << bit) && away < far) {
			far = away;
			best = i;
			best_bit = bit;
		}
		bit++;
		i += len - 1;
	}
	if (best == SIZE_MAX)
		return false;
	d->used |= (uint64_t)1 << best_bit;
	*n = strtod(s.at + best, NULL);
	if (best && s.at[best - 1] == '-' && (best == 1 || space(s.at[best - 2]) || s.at[best - 2] == '('))
		*n = -*n;
	return true;
}

static bool bound(struct draw *d, struct mg_view schema, const char *name, double *out)
{
	const struct mg_host *h = d->a->c->host;
	struct mg_view v = h->get(schema, name);
	struct mg_str s = h->kind(v) == MG_NUMBER ? h->raw(v) : (struct mg_str){ 0 };
	char digits[40];

	if (!s.at || s.len >= sizeof(digits))
		return false;
	memcpy(digits, s.at, s.len);
	digits[s.len] = '\0';
	*out = strtod(digits, NULL);
	return true;
}

static void put_number(struct draw *d, struct mg_view schema, struct mg_str name, bool integer, struct text *out)
{
	double n = integer ? 1 : has(name, "score|confidence|probability|ratio") ? 0.5 : 1, b, step;

	if (!number(d, name, &n))
		bound(d, schema, "minimum", &n);
	if (bound(d, schema, "minimum", &b) && n < b)
		n = b;
	if (bound(d, schema, "exclusiveMinimum", &b) && n <= b)
		n = integer ? b + 1 : b + 0.5;
	if (bound(d, schema, "maximum", &b) && n > b)
		n = b;
	if (bound(d, schema, "exclusiveMaximum", &b) && n >= b)
		n = integer ? b - 1 : b - 0.5;
	if (bound(d, schema, "multipleOf", &step) && step > 0 && n / step < 1e15 && n / step > -1e15) {
		double times = (double)(long long)(n / step);

		n = step * (times * step < n && bound(d, schema, "minimum", &b) && times * step < b ? times + 1 : times);
	}
	if (integer && n < 1e15 && n > -1e15)
		print(out, "%lld", (long long)n);
	else
		print(out, "%.15g", n);
}

/* ------------------------------------------------ strings of a format */

static bool spaceless(struct mg_str s, const char *marks, struct mg_str *out)
{
	while (s.len) {
		size_t to = 0;

		while (to < s.len && !space(s.at[to]))
			to++;
		struct mg_str w = trim(part(s, 0, to), ".,;:!?\"'()<>");

		for (const char *m = marks; w.len && memchr(w.at, *m, w.len); m++)
			if (!m[1]) {
				*out = w;
				return true;
			}
		s = part(s, to + 1, s.len);
	}
	return false;
}

static bool date_in(struct mg_str s, struct mg_str *out)
{
	for (size_t i = 0; i + 10 <= s.len; i++)
		if (digit(s.at[i]) && digit(s.at[i + 3]) && s.at[i + 4] == '-' && digit(s.at[i + 5]) && s.at[i + 7] == '-' && digit(s.at[i + 9])) {
			*out = part(s, i, i + 10);
			return true;
		}
	return false;
}

static struct mg_str formatted(struct draw *d, struct mg_str format)
{
	static const struct { const char *format, *value; } known[] = {
		{ "date-time", "2025-01-15T09:30:00Z" }, { "date", "2025-01-15" }, { "time", "09:30:00Z" }, { "duration", "PT1H" },
		{ "email", "someone@example.com" }, { "idn-email", "someone@example.com" }, { "hostname", "example.com" },
		{ "idn-hostname", "example.com" }, { "ipv4", "192.0.2.1" }, { "ipv6", "2001:db8::1" }, { "uri", "https://example.com/" },
		{ "url", "https://example.com/" }, { "iri", "https://example.com/" }, { "uri-reference", "/example" },
		{ "uuid", "123e4567-e89b-42d3-a456-426614174000" }, { "json-pointer", "/example" }, { "regex", "^a$" }, { "byte", "c2lt" } };
	struct mg_str found;

	if ((mg_is(format, "email") && spaceless(d->from, "@.", &found)) || (mg_is(format, "date") && date_in(d->from, &found))
			|| ((mg_is(format, "uri") || mg_is(format, "url")) && spaceless(d->from, ":/", &found)))
		return found;
	for (size_t i = 0; i < COUNT(known); i++)
		if (mg_is(format, known[i].format))
			return TEXT(known[i].value);
	return (struct mg_str){ 0 };
}

#endif
