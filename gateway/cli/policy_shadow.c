/* policy_shadow.c - moongate policy shadow: what policies in shadow would have changed, from the kept decisions. */
#include <jansson.h>
#include "base/clock.h"
#include "cli/local.h"
#include "cli/table.h"

enum { BODY_MAX = 16 << 20, HOW = 5 };
struct tally { json_t *groups; int64_t decisions; };	/* groups by "policy hook" */

static void add(json_t *o, const char *name, int64_t n)
{
	json_object_set_new(o, name, json_integer(json_integer_value(json_object_get(o, name)) + n));
}

static json_t *group_for(struct tally *t, const char *policy, const char *hook)
{
	char key[160];
	json_t *g;

	snprintf(key, sizeof(key), "%s %s", policy, hook);
	g = json_object_get(t->groups, key);
	if (g)
		return g;
	g = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:{}}", "policy", policy, "hook", hook, "requests", 0, "otherwise", 0, "asked", 0,
		"differed", 0, "failed", 0, "charge_nusd", 0, "differences");
	return g && json_object_set_new(t->groups, key, g) == 0 ? g : NULL;
}

/* [hook, policy, asked, differed, failed, charge_nusd, what, how often, what ...] */
static void take_row(struct tally *t, json_t *row)
{
	const char *hook = json_string_value(json_array_get(row, 0)), *policy = json_string_value(json_array_get(row, 1));
	int64_t differed = json_integer_value(json_array_get(row, 3));
	json_t *g = hook && policy ? group_for(t, policy, hook) : NULL, *what;

	if (!g)
		return;
	add(g, "requests", 1);
	add(g, "otherwise", differed > 0);
	add(g, "asked", json_integer_value(json_array_get(row, 2)));
	add(g, "differed", differed);
	add(g, "failed", json_integer_value(json_array_get(row, 4)));
	add(g, "charge_nusd", json_integer_value(json_array_get(row, 5)));
	for (size_t i = 6; (what = json_array_get(row, i)) && json_is_string(what); i += 2)
		add(json_object_get(g, "differences"), json_string_value(what), json_integer_value(json_array_get(row, i + 1)));
}

static bool on_decision(void *arg, const void *at)
{
	const struct mg_store_decision *row = at;
	struct tally *t = arg;
	json_t *kept, *one;
	size_t i;

	t->decisions++;
	if (!strstr(row->json, "\"shadow\":["))
		return true;
	kept = json_loads(row->json, 0, NULL);
	json_array_foreach(json_object_get(kept, "shadow"), i, one)
		take_row(t, one);
	json_decref(kept);
	return true;
}

/* ------------------------------------------------ the answer */

static const char *most_of(json_t *differences, int64_t *n)
{
	const char *name, *most = NULL;
	json_t *count;

	*n = 0;
	json_object_foreach(differences, name, count)
		if (json_integer_value(count) > *n) {
			*n = json_integer_value(count);
			most = name;
		}
	return most;
}

/* The most frequent ones, as a list and as text; what is in differences is used up. */
static void describe(json_t *g)
{
	json_t *counts = json_deep_copy(json_object_get(g, "differences")), *list = json_array();
	int64_t n, nusd = json_integer_value(json_object_get(g, "charge_nusd"));
	char how[400] = "";
	const char *name;
	size_t len = 0;

	for (size_t i = 0; counts && (name = most_of(counts, &n)); i++) {
		if (i < HOW && len < sizeof(how) - 1)
			len += (size_t)snprintf(how + len, sizeof(how) - len, "%s%s %lld", i ? ", " : "", name, (long long)n);
		json_array_append_new(list, json_pack("{s:s, s:I}", "what", name, "count", (json_int_t)n));
		json_object_del(counts, name);
	}
	if (nusd && len < sizeof(how) - 1)
		snprintf(how + len, sizeof(how) - len, "; $%+.6f in all", (double)nusd / 1e9);
	json_object_set_new(g, "differences", list);
	json_object_set_new(g, "how", json_string(how));
	json_decref(counts);
}

static int print(const struct cli *c, struct tally *t)
{
	static const struct column columns[] = { { "policy", "POLICY", CELL_TEXT }, { "hook", "HOOK", CELL_TEXT }, { "requests", "REQUESTS", CELL_NUMBER },
		{ "otherwise", "OTHERWISE", CELL_NUMBER }, { "failed", "FAILED", CELL_NUMBER }, { "how", "HOW", CELL_TEXT }, { NULL, NULL, CELL_TEXT } };
	json_t *all = json_pack("{s:[], s:I}", "data", "decisions", (json_int_t)t->decisions), *g;
	const char *name;
	char *text;
	int rc;

	json_object_foreach(t->groups, name, g) {
		describe(g);
		json_array_append(json_object_get(all, "data"), g);
	}
	text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	if (!text)
		return cli_say(EXIT_FAILED, "no memory for the answer");
	rc = table_list(c, (struct mg_str){ text, strlen(text) }, columns);
	if (!rc && c->output == OUTPUT_TABLE)
		cli_note("%lld decisions%s\n", (long long)t->decisions, json_object_size(t->groups) ? "" :
			"; none of them met a policy in shadow\nhint: mode = \"shadow\" in a line of bundle.lua");
	free(text);
	return rc;
}

int policy_shadow_run(int argc, char **argv)
{
	struct tally t = { json_object(), 0 };
	struct local l = { .ops = NULL };
	int64_t since = 0;
	struct cli c;
	int rc = cli_begin(&c, "policy shadow", argc, argv, 0, 0);

	rc = rc ? rc : cli_duration(&c, "--since", "1d", &since);
	rc = rc ? rc : local_store(&l, &c);
	rc = rc ? rc : local_rows(&l, MG_ROW_DECISION, NULL, clock_wall_ms() - since, on_decision, &t);
	rc = rc ? rc : print(&c, &t);
	json_decref(t.groups);
	local_close(&l);
	return rc;
}
