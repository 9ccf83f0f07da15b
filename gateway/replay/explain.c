/*
 * A decision's record as text for people: every candidate, and which line of
 * which policy dropped it.
 */
#include <inttypes.h>
#include "base/clock.h"
#include "policy/state.h"
#include "replay/recall.h"

struct page { void (*line)(void *, const char *); void *arg; };

static void say(struct page *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct page *p, const char *fmt, ...)
{
	char text[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	p->line(p->arg, text);
}

static const char *word(json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? text : "";
}

static int64_t count(json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static void join(json_t *list, char *out, size_t size)
{
	size_t i, len = 0;
	json_t *item;

	*out = '\0';
	json_array_foreach(list, i, item) {
		int n = snprintf(out + len, size - len, "%s%s", i ? ", " : "", json_string_value(item) ? json_string_value(item) : "");

		if (n < 0 || (size_t)n >= size - len)
			return;
		len += (size_t)n;
	}
}

/* The drops of one reason: how many, why, who said so, and which, as many lines as they take. */
static void drops_of(struct page *p, json_t *candidates, const char *reason, const char *by)
{
	char names[300] = "", head[120];
	size_t i, len = 0, n = 0;
	json_t *c;

	json_array_foreach(candidates, i, c)
		n += !strcmp(word(c, "dropped"), reason) && !strcmp(word(c, "by"), by);
	snprintf(head, sizeof(head), "%5zu  %-18s %-28s", n, reason, by);
	json_array_foreach(candidates, i, c) {
		const char *name = word(c, "endpoint");

		if (strcmp(word(c, "dropped"), reason) || strcmp(word(c, "by"), by))
			continue;
		if (len && len + strlen(name) + 3 > 120) {
			say(p, "           %s %s,", head, names);
			snprintf(head, sizeof(head), "%-54s", "");
			len = 0;
		}
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%.150s", len ? ", " : "", name);
	}
	say(p, "           %s %s", head, names);
}

static void drops(struct page *p, json_t *candidates)
{
	size_t i, k;
	json_t *c, *earlier;

	json_array_foreach(candidates, i, c) {
		bool first = json_object_get(c, "dropped") != NULL;

		for (k = 0; first && k < i; k++) {
			earlier = json_array_get(candidates, k);
			if (!strcmp(word(earlier, "dropped"), word(c, "dropped")) && !strcmp(word(earlier, "by"), word(c, "by")))
				first = false;
		}
		if (first)
			drops_of(p, candidates, word(c, "dropped"), word(c, "by"));
	}
}

static json_t *find(json_t *candidates, const char *endpoint)
{
	size_t i;
	json_t *c;

	json_array_foreach(candidates, i, c)
		if (!strcmp(word(c, "endpoint"), endpoint))
			return c;
	return NULL;
}

static void ranking(struct page *p, json_t *order, json_t *candidates)
{
	size_t i;
	json_t *name;

	json_array_foreach(order, i, name) {
		json_t *c = find(candidates, json_string_value(name));
		char health[80] = "";

		if (json_object_get(c, "outage_ago_ms"))
			snprintf(health, sizeof(health), "  outage %" PRId64 " s ago", count(c, "outage_ago_ms") / 1000);
		say(p, "           %5zu  %-40s $%.3f/$%.3f per 1M%s", i + 1, json_string_value(name), (double)count(c, "prompt_pusd") / 1e6,
			(double)count(c, "completion_pusd") / 1e6, health);
	}
}

static void notes_of(struct page *p, json_t *notes)
{
	size_t i;
	json_t *n;

	json_array_foreach(notes, i, n)
		say(p, "%-10s %-16s %s", word(n, "hook"), word(n, "by"), word(n, "text"));
}

/* What policies in shadow would have changed. */
static void shadows(struct page *p, json_t *list)
{
	size_t i, k;
	json_t *row, *one;

	json_array_foreach(list, i, row) {
		char what[300] = "";
		size_t len = 0;

		json_array_foreach(json_object_get(row, "differences"), k, one) {
			int n = snprintf(what + len, sizeof(what) - len, "%s%s (%" PRId64 ")", len ? ", " : ": ", word(one, "what"), count(one, "count"));

			len = n < 0 || (size_t)n >= sizeof(what) - len ? sizeof(what) - 1 : len + (size_t)n;
		}
		say(p, "shadow     %-16s %s asked %" PRId64 ", otherwise %" PRId64 ", failed %" PRId64 "%s", word(row, "by"), word(row, "hook"), count(row, "asked"),
			count(row, "differed"), count(row, "failed"), what);
	}
}

static void denied(struct page *p, json_t *no)
{
	if (no)
		say(p, "%-10s %-16s %" PRId64 " %s", word(no, "hook"), word(no, "by"), count(no, "status"), word(no, "code"));
}

/* Models whose turn came before the last one's. */
static void before(struct page *p, json_t *list)
{
	size_t i;
	json_t *one;
	char models[400];

	json_array_foreach(list, i, one) {
		json_t *candidates = json_object_get(one, "candidates");

		join(json_object_get(one, "models"), models, sizeof(models));
		say(p, "before     %s: %zu candidates", models, json_array_size(candidates));
		drops(p, candidates);
	}
}

/* Is it the same, decided again? */
static void again(struct page *p, json_t *a)
{
	size_t i;
	json_t *line;

	if (!a)
		return;
	if (!json_is_true(json_object_get(a, "at_hand")))
		say(p, "again      bundle %.12s is not at hand any more", word(a, "bundle"));
	else if (json_is_true(json_object_get(a, "same")))
		say(p, "again      the same, decided with bundle %.12s", word(a, "bundle"));
	else
		say(p, "again      not the same, decided with bundle %.12s:", word(a, "bundle"));
	json_array_foreach(json_object_get(a, "differences"), i, line)
		say(p, "           %s", json_string_value(line) ? json_string_value(line) : "");
}

static void attempts(struct page *p, json_t *list)
{
	size_t i;
	json_t *a;

	json_array_foreach(list, i, a)
		say(p, "attempt %-2zu %-40s %" PRId64 " %s after %" PRId64 " ms -> %s%s%s", i + 1, word(a, "endpoint"), count(a, "status"), word(a, "kind"),
			count(a, "elapsed_ms"), *word(a, "by") ? word(a, "by") : "nobody said", *word(a, "by") ? ": " : ", ", word(a, "action"));
}

void decision_text(json_t *record, void (*line)(void *arg, const char *text), void *arg)
{
	struct page p = { line, arg };
	json_t *candidates = json_object_get(record, "candidates"), *order = json_object_get(record, "order"),
		*key = json_object_get(record, "key"), *keep = json_object_get(record, "keep");
	char models[400], at[32], plan[400], *text;

	clock_rfc3339(count(record, "at_ms"), at);
	join(json_object_get(record, "models"), models, sizeof(models));
	say(&p, "%s  %s  key=%s org=%s  class=%s  bundle %.12s", word(record, "id"), at, word(key, "id"), word(key, "org"),
		*word(record, "data_class") ? word(record, "data_class") : "-", word(record, "bundle"));
	say(&p, "retain     store=%s ttl=%" PRId64 "s cache=%s", word(keep, "store"), count(keep, "ttl_s"), json_is_true(json_object_get(keep, "cache")) ? "yes" : "no");
	say(&p, "resolve    %s%s%s -> %s", word(record, "model"), *word(record, "variant") ? ":" : "", word(record, "variant"), models);
	notes_of(&p, json_object_get(record, "notes"));
	denied(&p, json_object_get(record, "denied"));
	before(&p, json_object_get(record, "before"));
	say(&p, "candidates %zu -> %zu", json_array_size(candidates), json_array_size(order));
	drops(&p, candidates);
	say(&p, "rank");
	ranking(&p, order, candidates);
	if (json_object_get(record, "drawn"))
		say(&p, "           the first choice was drawn, with a probability of %.6g", json_number_value(json_object_get(record, "drawn")));
	text = json_dumps(json_object_get(record, "plan"), JSON_COMPACT);
	snprintf(plan, sizeof(plan), "%s", text ? text : "{}");
	free(text);
	say(&p, "plan       %s", plan);
	attempts(&p, json_object_get(record, "attempts"));
	shadows(&p, json_object_get(record, "shadow"));
	say(&p, "fuel       %" PRId64 "    lua %" PRId64 " us    errors %" PRId64, count(record, "fuel"), count(record, "lua_us"), count(record, "errors"));
	again(&p, json_object_get(record, "again"));
}
