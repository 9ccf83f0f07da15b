/*
 * sim/places.h - countries, capitals, and the places that a message names.
 */
#ifndef SIM_PLACES_H
#define SIM_PLACES_H

#include "ask.h"

enum { PLACES = 8 };

static const struct { const char *country, *capital; } capitals[] = {
	{ "France", "Paris" }, { "Germany", "Berlin" }, { "Italy", "Rome" }, { "Spain", "Madrid" }, { "Portugal", "Lisbon" },
	{ "England", "London" }, { "the United Kingdom", "London" }, { "UK", "London" }, { "Ireland", "Dublin" }, { "Japan", "Tokyo" },
	{ "China", "Beijing" }, { "India", "New Delhi" }, { "Canada", "Ottawa" }, { "Australia", "Canberra" }, { "Brazil", "Brasilia" },
	{ "Argentina", "Buenos Aires" }, { "Mexico", "Mexico City" }, { "the United States", "Washington, D.C." }, { "USA", "Washington, D.C." },
	{ "Russia", "Moscow" }, { "Egypt", "Cairo" }, { "Kenya", "Nairobi" }, { "Norway", "Oslo" }, { "Sweden", "Stockholm" },
	{ "Denmark", "Copenhagen" }, { "Finland", "Helsinki" }, { "Poland", "Warsaw" }, { "Austria", "Vienna" }, { "Switzerland", "Bern" },
	{ "Netherlands", "Amsterdam" }, { "Belgium", "Brussels" }, { "Greece", "Athens" }, { "Turkey", "Ankara" }, { "South Korea", "Seoul" } };

static bool country(struct mg_str s)
{
	for (size_t i = 0; i < COUNT(capitals); i++)
		if (same(s, TEXT(capitals[i].country)))
			return true;
	return s.len >= 2 && s.len <= 3 && capital(s.at[0]) && capital(s.at[1]);	/* CA, USA */
}

static bool capital_of(const struct ask *a, struct text *out)
{
	struct mg_str of = behind(a->last, "capital of|capital city of");

	for (size_t i = 0; of.at && i < COUNT(capitals); i++)
		if (starts(trim(of, ""), capitals[i].country)) {
			print(out, "The capital of %s is %s.", capitals[i].country, capitals[i].capital);
			return true;
		}
	return false;
}

/* Words that begin with a capital, side by side, at the beginning of s. */
static struct mg_str proper(struct mg_str s)
{
	size_t end = 0;

	for (size_t i = 0; i < s.len && capital(s.at[i]);) {
		while (i < s.len && (letter(s.at[i]) || digit(s.at[i]) || s.at[i] == '-'
				|| (s.at[i] == '.' && i + 1 < s.len && !space(s.at[i + 1]))
				|| (s.at[i] == '.' && i == 2 && s.at[0] == 'S')
				|| (s.at[i] == '\'' && i + 1 < s.len && capital(s.at[i + 1]))))
			i++;
		end = i;
		if (i + 1 >= s.len || s.at[i] != ' ')
			break;
		i++;
	}
	return part(s, 0, end);
}

/* "in Paris, London and San Francisco, CA"; how many.  A comma before a country
 * joins, and a comma alone does, too: "Paris, Texas". */
static size_t places(struct mg_str s, struct mg_str out[static PLACES])
{
	struct mg_str p = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < s.len && !p.len; i++)
		if ((!i || !letter(s.at[i - 1])) && (starts(part(s, i, s.len), "in ") || starts(part(s, i, s.len), "for ")
				|| starts(part(s, i, s.len), "at ") || starts(part(s, i, s.len), "of ")
				|| starts(part(s, i, s.len), "to ") || starts(part(s, i, s.len), "from ") || starts(part(s, i, s.len), "between "))) {
			s = part(s, i, s.len);
			s = part(s, (size_t)((const char *)memchr(s.at, ' ', s.len) - s.at) + 1, s.len);
			i = 0;
			if (starts(s, "the "))
				s = part(s, 4, s.len);
			p = proper(s);
		}
	while (p.len && n < PLACES) {
		out[n++] = p;
		s = part(s, p.len, s.len);
		bool comma = starts(s, ",");

		s = trim(part(s, comma, s.len), "");
		if (starts(s, "and ") || starts(s, "or ") || starts(s, "vs ") || starts(s, "& "))
			s = part(s, (size_t)((const char *)memchr(s.at, ' ', s.len) - s.at) + 1, s.len);
		else if (!comma)
			break;
		if (starts(s, "in "))
			s = part(s, 3, s.len);
		p = proper(s);
		if (p.len && comma && country(p)) {
			out[n - 1].len = (size_t)(p.at + p.len - out[n - 1].at);
			s = part(s, p.len, s.len);
			s = trim(s, ",");
			if (starts(s, "and "))
				s = part(s, 4, s.len);
			p = proper(s);
		}
	}
	return n;
}

#endif
