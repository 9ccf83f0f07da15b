/*
 * import.c - moongate model import: another's catalogue into the files of ours.
 *
 * What was taken, what was passed over and why, and every price that changed is
 * said; --dry-run says it and writes nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "catalog/import.h"
#include "catalog/shelf.h"
#include "cli/local.h"
#include "cli/table.h"

enum { SOURCE_MAX = 64 << 20, POOL_MAX = 512 << 20, SHOWN = 40 /* changed prices, without --json */ };

struct job {
	const struct cli *c;
	struct local l;
	struct pool *pool;
	struct slugs *slugs;
	json_t *providers;		/* providers.json */
	json_t *files;			/* provider -> its rows */
	json_t *counts;			/* provider -> {"new","changed","same","skipped"} */
	json_t *skipped;		/* why -> how many */
	json_t *changes;		/* "provider", "model", "before", "after" */
	const char *source, *since;
	char into[600];
	int rc;
};

static void count(json_t *in, const char *what)
{
	json_object_set_new(in, what, json_integer(json_integer_value(json_object_get(in, what)) + 1));
}

static json_t *counts_of(struct job *j, const char *provider)
{
	json_t *row = json_object_get(j->counts, provider);

	if (!row) {
		row = json_pack("{s:s, s:i, s:i, s:i, s:i}", "provider", provider, "new", 0, "changed", 0, "same", 0, "skipped", 0);
		json_object_set_new(j->counts, provider, row);
	}
	return row;
}

/* ------------------------------------------------ the files as they are */

static bool file_of(const struct job *j, const char *dir, const char *provider, char out[800])
{
	(void)j;
	snprintf(out, 800, "%s/%s.jsonl", dir, provider);
	return access(out, R_OK) == 0;
}

/* Its own file, or the shipped one while it has none. */
static json_t *rows_of(struct job *j, const char *provider)
{
	json_t *rows = json_object_get(j->files, provider);
	struct err err = { 0 };
	char path[800], shipped[600];

	if (rows)
		return rows;
	snprintf(shipped, sizeof(shipped), "%s/models", j->l.places.catalog);
	if (!file_of(j, j->into, provider, path))
		file_of(j, shipped, provider, path);
	if (shelf_read(path, &rows, &err) != MG_OK) {
		j->rc = cli_fail(EXIT_CONFIG, &err);
		rows = json_array();
	}
	json_object_set_new(j->files, provider, rows);
	return rows;
}

/* OpenRouter's slugs are the names that others are looked up among; rows keep the slug that they have. */
static void learn(struct job *j)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows_of(j, "openrouter"), i, row) {
		json_t *id = json_object_get(row, "id");

		slugs_add(j->slugs, (struct mg_str){ json_string_value(id), json_string_length(id) });
	}
}

/* ------------------------------------------------ row by row */

static void on_skip(void *arg, const char *provider, struct mg_str model, const char *why)
{
	struct job *j = arg;

	(void)model;
	count(j->skipped, why);
	if (json_object_get(j->providers, provider))
		count(counts_of(j, provider), "skipped");
}

static void on_row(void *arg, const struct import_row *row)
{
	static const char *const words[] = { [SHELF_SAME] = "same", [SHELF_NEW] = "new", [SHELF_CHANGED] = "changed" };
	struct job *j = arg;
	struct buf line;
	json_t *ours, *before = NULL, *price;
	enum shelved did;

	buf_init(&line, 1 << 20);
	import_row_write(&line, row, j->source, j->since);
	ours = json_loadb(line.at, line.len, 0, NULL);
	buf_release(&line);
	if (!ours) {
		on_skip(j, row->provider, row->model, "a row that cannot be written");
		return;
	}
	if (shelf_twin(rows_of(j, row->provider), ours)) {
		on_skip(j, row->provider, row->model, "another name of a row that is there");
		json_decref(ours);
		return;
	}
	did = shelf_put(rows_of(j, row->provider), ours, &before);
	price = json_array_get(json_object_get(ours, "price"), 0);
	count(counts_of(j, row->provider), words[did]);
	if (did == SHELF_CHANGED && before && !json_equal(before, price))
		json_array_append_new(j->changes, json_pack("{s:s, s:s, s:O, s:O}", "provider", row->provider, "model", pool_dup(j->pool, row->model).at,
			"before", before, "after", price));
	json_decref(before);
	json_decref(ours);
}

/* ------------------------------------------------ what is said */

static void put_rate(struct buf *out, const json_t *price)
{
	const char *in = json_string_value(json_object_get(price, "input")), *answer = json_string_value(json_object_get(price, "output"));

	buf_print(out, "%s/%s", in ? in : "-", answer ? answer : "-");
}

static void say_changes(const struct job *j)
{
	struct buf line;
	json_t *change;
	size_t i;

	json_array_foreach(j->changes, i, change) {
		if (i == SHOWN) {
			printf("... and %zu more: --json has them all\n", json_array_size(j->changes) - i);
			break;
		}
		buf_init(&line, 4096);
		buf_print(&line, "%s %s: ", json_string_value(json_object_get(change, "provider")), json_string_value(json_object_get(change, "model")));
		put_rate(&line, json_object_get(change, "before"));
		buf_text(&line, " -> ");
		put_rate(&line, json_object_get(change, "after"));
		printf("%.*s USD/M in/out\n", (int)line.len, line.at);
		buf_release(&line);
	}
}

static int report(struct job *j)
{
	static const struct column columns[] = { { "provider", "PROVIDER", CELL_TEXT }, { "new", "NEW", CELL_NUMBER },
		{ "changed", "CHANGED", CELL_NUMBER }, { "same", "SAME", CELL_NUMBER }, { "skipped", "SKIPPED", CELL_NUMBER }, { NULL, NULL, CELL_TEXT } };
	json_t *all = json_pack("{s:[], s:O, s:O}", "data", "skipped", j->skipped, "changed_prices", j->changes), *row, *n;
	const char *name;
	char *text;
	int rc;

	json_object_foreach(j->counts, name, row)
		json_array_append(json_object_get(all, "data"), row);
	text = json_dumps(all, JSON_COMPACT);
	rc = table_list(j->c, (struct mg_str){ text ? text : "{}", text ? strlen(text) : 2 }, columns);
	if (j->c->output == OUTPUT_TABLE) {
		putchar('\n');
		json_object_foreach(j->skipped, name, n)
			printf("skipped %" JSON_INTEGER_FORMAT ": %s\n", json_integer_value(n), name);
		say_changes(j);
		printf(cli_switch(j->c, "--dry-run") ? "nothing is written: --dry-run\n" : "written to %s; 'moongate reload' makes a running gateway read it\n", j->into);
	}
	free(text);
	json_decref(all);
	return rc;
}

/* ------------------------------------------------ */

static int write_files(struct job *j)
{
	const char *provider;
	struct err err = { 0 };
	json_t *n;
	char path[800];

	for (char *slash = strchr(j->into + 1, '/'); ; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(j->into, 0755) && errno != EEXIST)
			return cli_say(EXIT_FAILED, "%s cannot be made: %m", j->into);
		if (!slash)
			break;
		*slash = '/';
	}
	json_object_foreach(j->counts, provider, n) {
		if (!json_integer_value(json_object_get(n, "new")) && !json_integer_value(json_object_get(n, "changed")))
			continue;
		snprintf(path, sizeof(path), "%s/%s.jsonl", j->into, provider);
		if (shelf_write(path, json_object_get(j->files, provider), &err) != MG_OK)
			return cli_fail(EXIT_FAILED, &err);
	}
	return EXIT_OK;
}

static int read_source(struct job *j, int from, const char *path)
{
	struct import_sink sink = { on_row, on_skip, j };
	FILE *f = fopen(path, "re");
	struct err err = { 0 };
	struct buf text;
	char part[65536];
	size_t n;
	int rc;

	if (!f)
		return cli_say(EXIT_NOT_FOUND, "%s: %m", path);
	buf_init(&text, SOURCE_MAX);
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_put(&text, part, n);
	fclose(f);
	rc = text.failed ? fail(&err, MG_EINVAL, "is larger than %d MiB", SOURCE_MAX >> 20)
		: import_read((enum import_source)from, j->pool, buf_view(&text), j->providers, j->slugs, &sink, &err);
	buf_release(&text);
	return rc ? cli_say(EXIT_CONFIG, "%s: %s", path, err.msg) : j->rc;
}

static bool is_day(const char *s)
{
	unsigned y, m, d;
	char end;

	return strlen(s) == 10 && sscanf(s, "%4u-%2u-%2u%c", &y, &m, &d, &end) == 3 && m >= 1 && m <= 12 && d >= 1 && d <= 31;
}

static int run(struct job *j)
{
	const char *from = cli_option(j->c, "--from"), *into = cli_option(j->c, "--into"), *since = cli_option(j->c, "--since");
	const char *label = cli_option(j->c, "--label");
	time_t now = time(NULL);
	struct tm utc;
	char today[32];
	int source = from ? import_source(from) : -1, rc;

	if (source < 0)
		return cli_say(EXIT_USAGE, "--from: %s\nhint: models.dev, litellm or openrouter", from ? "no such source" : "which source?");
	if (since && !is_day(since))
		return cli_say(EXIT_USAGE, "--since: '%.20s' is no day\nhint: write 2026-11-21", since);
	strftime(today, sizeof(today), "%Y-%m-%d", gmtime_r(&now, &utc));
	j->since = since ? since : today;
	j->source = label ? label : from;
	rc = local_config(&j->l, j->c);
	if (rc)
		return rc;
	if (into)
		snprintf(j->into, sizeof(j->into), "%s", into);
	else
		snprintf(j->into, sizeof(j->into), "%s/catalog/models", j->l.data_dir);
	j->providers = config_known(j->l.conf.tree);
	if (!j->providers)
		return cli_say(EXIT_CONFIG, "providers.json is not found below %s", j->l.places.catalog);
	learn(j);
	rc = j->rc ? j->rc : read_source(j, source, j->c->argv[0]);
	if (!rc && !cli_switch(j->c, "--dry-run"))
		rc = write_files(j);
	return rc ? rc : report(j);
}

int model_import_run(int argc, char **argv)
{
	struct cli c;
	struct job j = { .c = &c, .pool = pool_new(POOL_MAX), .slugs = slugs_new(), .files = json_object(), .counts = json_object(),
		.skipped = json_object(), .changes = json_array() };
	int rc = cli_begin(&c, "model import", argc, argv, 1, 1);

	rc = rc ? rc : run(&j);
	local_close(&j.l);
	json_decref(j.providers);
	json_decref(j.files);
	json_decref(j.counts);
	json_decref(j.skipped);
	json_decref(j.changes);
	slugs_free(j.slugs);
	pool_free(j.pool);
	return rc;
}
