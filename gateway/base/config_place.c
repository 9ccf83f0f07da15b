/* Places and errors: which file and line a member came from. */
#include <ctype.h>
#include <stdarg.h>
#include "base/config_part.h"

static bool plain_name(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '_')
			return false;
	return true;
}

static void place_add(struct place *p, const char *before, const char *text, const char *after)
{
	int n = snprintf(p->text + p->len, sizeof(p->text) - p->len, "%s%s%s", before, text, after);

	p->len += n > 0 ? (size_t)n : 0;
	if (p->len >= sizeof(p->text))
		p->len = sizeof(p->text) - 1;
}

size_t place_down(struct place *p, const char *name)
{
	size_t len = p->len;

	if (plain_name(name))
		place_add(p, len ? "." : "", name, "");
	else
		place_add(p, "[\"", name, "\"]");
	return len;
}

size_t place_item(struct place *p, size_t index)
{
	size_t len = p->len;
	char n[24];

	snprintf(n, sizeof(n), "%zu", index + 1);
	place_add(p, "[", n, "]");
	return len;
}

void place_up(struct place *p, size_t len)
{
	p->len = len;
	p->text[len] = 0;
}

/* The line of the deepest literal that holds the place, and how deep that is. */
static int line_of(const struct source *s, const char *place, size_t *depth)
{
	size_t skip = strlen(s->prefix);
	char at[512];

	*depth = 0;
	if (strncmp(place, s->prefix, skip) != 0)
		return 0;
	snprintf(at, sizeof(at), "%s", place + skip + (skip && place[skip] == '.'));
	for (;;) {
		json_t *line = json_object_get(s->lines, at);
		size_t n = strlen(at);

		if (line || !n) {
			*depth = line ? n + skip + 1 : 0;
			return line ? (int)json_integer_value(line) : 0;
		}
		while (n && at[n - 1] != '.' && at[n - 1] != '[')
			n--;
		at[n ? n - 1 : 0] = 0;
	}
}

int config_fail(struct reading *r, const char *place, const char *hint, const char *fmt, ...)
{
	const struct source *best = NULL;
	char reason[200], where[300] = "";
	size_t deepest = 0, depth;
	int line = 0, at;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	for (size_t i = r->n; i-- > 0;) {
		at = line_of(&r->sources[i], place, &depth);
		if (!best || depth > deepest) {
			best = &r->sources[i];
			deepest = depth;
			line = at;
		}
	}
	if (best && line)
		snprintf(where, sizeof(where), "%s:%d: ", best->name, line);
	else if (r->n)
		snprintf(where, sizeof(where), "%s: ", r->sources[0].name);
	return fail(r->err, MG_EINVAL, "%s%.100s%s%s%s%s", where, place, *place ? ": " : "", reason,
		hint ? "\nhint: " : "", hint ? hint : "");
}

/* ---- for later: the lines of all files as one table */

json_t *config_origins(const struct reading *r)
{
	json_t *all = json_object(), *line;
	const char *place;

	for (size_t i = 0; i < r->n; i++) {
		const struct source *s = &r->sources[i];

		json_object_foreach(s->lines, place, line) {
			char key[800];

			snprintf(key, sizeof(key), "%s%s%s", s->prefix, *s->prefix && *place != '[' ? "." : "", place);
			json_object_set_new(all, key, json_sprintf("%s:%d", s->name, (int)json_integer_value(line)));
		}
	}
	return all;
}

int config_blame(const struct config *c, struct err *err, const char *place, const char *hint, const char *fmt, ...)
{
	const char *origin = NULL;
	char reason[200], at[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	snprintf(at, sizeof(at), "%s", place);
	for (size_t n = strlen(at); n && !(origin = json_string_value(json_object_get(c->origins, at)));) {
		while (n && at[n - 1] != '.' && at[n - 1] != '[')
			n--;
		n -= n > 0;
		at[n] = 0;
	}
	return fail(err, MG_EINVAL, "%s%s%.100s: %s%s%s", origin ? origin : c->path, origin || *c->path ? ": " : "", place, reason,
		hint ? "\nhint: " : "", hint ? hint : "");
}
