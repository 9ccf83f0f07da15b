/* A tree as it was read, against the table of members: what comes out is complete and in base units. */
#include <math.h>
#include <unistd.h>
#include "base/config_part.h"
#include "base/money.h"

static json_t *check(struct reading *r, const struct member *m, json_t *v, struct place *at);

/* ---- suggestions */

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein; words longer than the row are far apart anyway. */
static size_t distance(const char *a, const char *b)
{
	size_t row[65], n = strlen(b), diagonal, was;

	if (n > 64 || strlen(a) > 64)
		return 99;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; *a; a++, i++) {
		diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			was = row[j];
			row[j] = least(row[j] + 1, row[j - 1] + 1, diagonal + (*a != b[j - 1]));
			diagonal = was;
		}
	}
	return row[n];
}

const char *config_nearest(const char *word, const char *(*candidate)(const void *arg, size_t i), const void *arg)
{
	const char *best = NULL, *c;
	size_t least_so_far = strlen(word) / 3 + 2, d;

	for (size_t i = 0; (c = candidate(arg, i)); i++) {
		d = distance(word, c);
		if (d < least_so_far) {
			least_so_far = d;
			best = c;
		}
	}
	return best;
}

static const char *member_at(const void *arg, size_t i)
{
	return ((const struct member *)arg)[i].name;
}

/* ---- single values */

static int wrong(struct reading *r, const struct place *at, json_t *v, const char *wanted, const char *hint)
{
	static const char *const names[] = { "a table", "a list", "a string", "a number", "a number", "true", "false", "null" };

	return config_fail(r, at->text, hint, "%s, not %s", wanted, names[json_typeof(v)]);
}

/* "1.5h" times the unit's factor. */
static bool with_unit(const char *s, const char *const *units, const int64_t *factors, int64_t *out)
{
	char *end;
	double n = strtod(s, &end);

	if (end == s || *s == '-' || *s == '+' || !isfinite(n) || strspn(s, "0123456789.") != (size_t)(end - s))
		return false;
	for (size_t i = 0; units[i]; i++) {
		if (strcmp(end, units[i]) != 0)
			continue;
		n *= (double)factors[i];
		if (n >= 9e15)
			return false;
		*out = (int64_t)llround(n);
		return true;
	}
	return false;
}

static json_t *in_range(struct reading *r, const struct member *m, int64_t n, const struct place *at)
{
	if ((m->min || m->max) && (n < m->min || (m->max && n > m->max) || n < 0)
			&& !(m->kind == M_DURATION && n == 0 && m->fallback && !strcmp(m->fallback, "0"))) {
		const char *unit = m->kind == M_DURATION ? " ms" : m->kind == M_SIZE ? " bytes" : "";

		config_fail(r, at->text, NULL, "%lld%s is out of range, %lld to %lld%s", (long long)n, unit,
			(long long)m->min, (long long)m->max, unit);
		return NULL;
	}
	return json_integer(n);
}

static json_t *measured(struct reading *r, const struct member *m, json_t *v, const struct place *at)
{
	static const char *const times[] = { "ms", "s", "m", "h", "d", NULL };
	static const int64_t ms[] = { 1, 1000, 60000, 3600000, 86400000 };
	static const char *const sizes[] = { "B", "KiB", "MiB", "GiB", NULL };
	static const int64_t bytes[] = { 1, 1 << 10, 1 << 20, 1 << 30 };
	bool time = m->kind == M_DURATION;
	int64_t n;

	if (json_is_integer(v) && (!time || !json_integer_value(v)))
		return in_range(r, m, json_integer_value(v), at);
	if (json_is_string(v) && with_unit(json_string_value(v), time ? times : sizes, time ? ms : bytes, &n))
		return in_range(r, m, n, at);
	config_fail(r, at->text, time ? "write \"250ms\", \"30s\", \"5m\", \"24h\" or \"7d\"" : "write \"6KiB\", \"32MiB\" or a number of bytes",
		json_is_string(v) ? "'%.40s' is no %s" : "%.40sis no %s", json_is_string(v) ? json_string_value(v) : "", time ? "duration" : "size");
	return NULL;
}

/* The shortest text that reads back as the same number: 0.15 stays 0.15. */
static json_t *price(struct reading *r, json_t *v, const struct place *at)
{
	struct err why = { 0, "" };
	char text[64];
	const char *s = text;
	int64_t pusd;

	if (json_is_string(v))
		s = json_string_value(v);
	else if (json_is_integer(v))
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v)) {
		for (int digits = 15; digits <= 17; digits++) {
			snprintf(text, sizeof(text), "%.*g", digits, json_real_value(v));
			if (strtod(text, NULL) == json_real_value(v))
				break;
		}
	} else {
		wrong(r, at, v, "a price in USD", "a number, or a string such as \"0.15\"");
		return NULL;
	}
	if (money_parse((struct mg_str){ s, strlen(s) }, 6, &pusd, &why)) {
		config_fail(r, at->text, "USD per million tokens, with at most 6 decimals", "%s", why.msg);
		return NULL;
	}
	return json_string(s);
}

static json_t *secret(struct reading *r, json_t *v, const struct place *at)
{
	if (!json_is_string(v)) {
		wrong(r, at, v, "a secret", "use env \"NAME\" or file \"P\"");
		return NULL;
	}
	if (!r->dev && *json_string_value(v) && !json_object_get(r->fetched, json_string_value(v))) {
		config_fail(r, at->text, "use env \"NAME\" or file \"P\"; dev = true allows it on a developer's machine",
			"a secret is written in the configuration");
		return NULL;
	}
	return json_incref(v);
}

static json_t *a_word(struct reading *r, const struct member *m, json_t *v, const struct place *at)
{
	const char *s = json_string_value(v), *w = m->words;
	char hint[200];

	for (size_t len; s && *w; w += len + (w[len] == '|')) {
		len = strcspn(w, "|");
		if (strlen(s) == len && !strncmp(s, w, len))
			return json_incref(v);
	}
	snprintf(hint, sizeof(hint), "one of %s", m->words);
	for (char *p = hint; *p; p++)
		if (*p == '|')
			*p = ' ';
	config_fail(r, at->text, hint, "'%.40s' is unknown here", s ? s : "(no string)");
	return NULL;
}

static json_t *path(struct reading *r, json_t *v)
{
	const char *s = json_string_value(v);

	if (*s == '/' || !*s || !*r->dir)
		return json_incref(v);
	return json_sprintf("%s/%s", r->dir, s);
}

/* ---- listeners */

static bool loopback(const char *at)
{
	return !strncmp(at, "unix:", 5) || !strncmp(at, "127.", 4) || !strncmp(at, "[::1]", 5) || !strncmp(at, "localhost:", 10);
}

static bool address(const char *at)
{
	const char *colon = strrchr(at, ':');
	char *end;
	long port;

	if (!strncmp(at, "unix:", 5))
		return at[5] == '/' && strlen(at + 5) < 108;
	if (!colon || colon == at || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return false;
	port = strtol(colon + 1, &end, 10);
	return port <= 65535 && (at[0] == '[' ? colon[-1] == ']' : !memchr(at, ':', (size_t)(colon - at)));
}

static json_t *listener(struct reading *r, const struct member *m, json_t *v, struct place *at)
{
	struct member each = { .name = "listener", .kind = M_OBJECT, .sub = m->sub };
	json_t *plain = json_is_string(v) ? json_pack("{s:O}", "at", v) : json_incref(v), *out = check(r, &each, plain, at);
	const char *where = json_string_value(json_object_get(out, "at"));

	json_decref(plain);
	if (!out)
		return NULL;
	if (!address(where)) {
		config_fail(r, at->text, "\"127.0.0.1:8080\", \"[::]:443\" or \"unix:/run/moongate/api.sock\"", "'%.60s' is no address", where);
		json_decref(out);
		return NULL;
	}
	if (!json_object_get(out, "admin"))
		json_object_set_new(out, "admin", json_boolean(loopback(where)));
	return out;
}

static json_t *listeners(struct reading *r, const struct member *m, json_t *v, struct place *at)
{
	json_t *out = json_array(), *list = json_is_array(v) ? json_incref(v) : json_pack("[O]", v), *item, *done;
	size_t i, up;

	json_array_foreach(list, i, item) {
		up = json_is_array(v) ? place_item(at, i) : at->len;
		done = listener(r, m, item, at);
		if (!done || json_array_append_new(out, done)) {
			json_decref(out);
			out = NULL;
			break;
		}
		place_up(at, up);
	}
	json_decref(list);
	if (out && !json_array_size(out)) {
		config_fail(r, at->text, "name an address, such as \"127.0.0.1:8080\"", "nothing to listen on");
		json_decref(out);
		return NULL;
	}
	return out;
}

/* ---- tables and lists */

static json_t *unknown(struct reading *r, const struct member *m, const char *name, struct place *at)
{
	const char *like = config_nearest(name, member_at, m->sub);
	char hint[200];

	if (like)
		snprintf(hint, sizeof(hint), "did you mean '%s'?", like);
	else
		snprintf(hint, sizeof(hint), "a name that begins with x_ is ignored");
	place_down(at, name);
	config_fail(r, at->text, hint, "is no known member");
	return NULL;
}

/* A member that is not there: its default, or NULL; *bad when it must be there. */
static json_t *absent(struct reading *r, const struct member *m, struct place *at, bool *bad)
{
	json_t *v, *done;

	*bad = m->required;
	if (m->required)
		config_fail(r, at->text, m->doc, "is required");
	if (m->required || !m->fallback)
		return NULL;
	v = json_loads(m->fallback, JSON_DECODE_ANY, NULL);
	done = check(r, m, v, at);
	*bad = !done;
	json_decref(v);
	return done;
}

/* In the order of the table, whatever the order of the text. */
static json_t *object(struct reading *r, const struct member *m, json_t *v, struct place *at)
{
	json_t *out, *item, *done;
	const char *name;
	bool bad = false;

	json_object_foreach(v, name, item)
		if (strncmp(name, "x_", 2) != 0 && !member_find(m, name))
			return unknown(r, m, name, at);
	out = json_object();
	for (const struct member *s = m->sub; s->name; s++) {
		size_t up = place_down(at, s->name);

		item = json_object_get(v, s->name);
		done = item ? check(r, s, item, at) : absent(r, s, at, &bad);
		if (bad || (item && !done)) {
			json_decref(out);
			return NULL;
		}
		if (done)
			json_object_set_new(out, s->name, done);
		place_up(at, up);
	}
	return out;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* By name: a Lua table has no order, and two loads of one file must agree. */
static json_t *map(struct reading *r, const struct member *m, json_t *v, struct place *at)
{
	size_t n = 0, count = json_object_size(v);
	const char **names = calloc(count + 1, sizeof(*names)), *name;
	json_t *out = names ? json_object() : NULL, *item, *done;

	if (!names)
		return fail(r->err, MG_ENOMEM, "no memory for the configuration"), NULL;
	json_object_foreach(v, name, item)
		names[n++] = name;
	qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n; i++) {
		size_t up = place_down(at, names[i]);

		done = check(r, m->sub, json_object_get(v, names[i]), at);
		if (!done) {
			json_decref(out);
			out = NULL;
			break;
		}
		json_object_set_new(out, names[i], done);
		place_up(at, up);
	}
	free(names);
	return out;
}

static json_t *list(struct reading *r, const struct member *m, json_t *v, struct place *at)
{
	json_t *out = json_array(), *item, *done;
	size_t i;

	json_array_foreach(v, i, item) {
		size_t up = place_item(at, i);

		done = check(r, m->sub, item, at);
		if (!done) {
			json_decref(out);
			return NULL;
		}
		json_array_append_new(out, done);
		place_up(at, up);
	}
	return out;
}

/* What could not be fetched: no secret where one is looked for, else the error that it would have been. */
static json_t *not_here(struct reading *r, const struct member *m, const char *why)
{
	if (!*r->missing)
		snprintf(r->missing, sizeof(r->missing), "%s", why);
	if (m->kind == M_SECRET)
		return json_string("");
	fail(r->err, MG_EINVAL, "%s", why);
	return NULL;
}

static json_t *check(struct reading *r, const struct member *m, json_t *v, struct place *at)
{
	const char *absent = json_is_null(v) ? json_string_value(json_object_get(r->absent, at->text)) : NULL;

	if (m->later && (json_is_true(v) || json_string_length(v)))
		json_object_set_new(r->unread, at->text, json_string(m->later));
	if (absent)
		return not_here(r, m, absent);
	switch (m->kind) {
	case M_STRING:
		return json_is_string(v) ? json_incref(v) : (wrong(r, at, v, "a string is expected", m->doc), NULL);
	case M_PATH:
		return json_is_string(v) ? path(r, v) : (wrong(r, at, v, "a path is expected", m->doc), NULL);
	case M_BOOL:
		if (m->refused && json_is_true(v))
			return config_fail(r, at->text, m->doc, "%s", m->later), NULL;
		return json_is_boolean(v) ? json_incref(v) : (wrong(r, at, v, "true or false is expected", m->doc), NULL);
	case M_INT:
		if (json_is_integer(v))
			return in_range(r, m, json_integer_value(v), at);
		wrong(r, at, v, "a whole number is expected", m->doc);
		return NULL;
	case M_DURATION:
	case M_SIZE:
		return measured(r, m, v, at);
	case M_PRICE:
		return price(r, v, at);
	case M_SECRET:
		return secret(r, v, at);
	case M_WORD:
		return a_word(r, m, v, at);
	case M_LISTEN:
		return listeners(r, m, v, at);
	case M_ANY:
		return json_is_object(v) ? json_incref(v) : json_is_array(v) && !json_array_size(v) ? json_object()
			: (wrong(r, at, v, "a table is expected", m->doc), NULL);
	case M_LIST:	/* an empty Lua table is both */
		if (json_is_array(v) || (json_is_object(v) && !json_object_size(v)))
			return list(r, m, v, at);
		wrong(r, at, v, "a list is expected", m->doc);
		return NULL;
	case M_MAP:
	case M_OBJECT:
		if (json_is_object(v) || (json_is_array(v) && !json_array_size(v)))
			return m->kind == M_MAP ? map(r, m, v, at) : object(r, m, v, at);
		wrong(r, at, v, "a table is expected", m->doc);
		return NULL;
	}
	return NULL;
}

json_t *config_check(struct reading *r, json_t *raw)
{
	struct place at = { "", 0 };

	r->dev = json_is_true(json_object_get(raw, "dev"));
	return check(r, &config_root, raw, &at);
}
