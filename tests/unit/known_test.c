/* The shipped catalogue: rows that load, quirks that a dialect explains, prices that say where they are from. */
#include <dirent.h>
#include <sys/stat.h>
#include "catalog/shelf.h"
#include "tap.h"

#define LETTERS "_abcdefghijklmnopqrstuvwxyz"

static char source[65536];

/* The words above the first #include of a dialect: there its quirks are explained. */
static bool read_about(const char *dialect)
{
	char path[160];
	FILE *f;
	char *code;

	snprintf(path, sizeof(path), "plugins/providers/%s.c", dialect);
	f = fopen(path, "r");
	source[f ? fread(source, 1, sizeof(source) - 1, f) : 0] = '\0';
	if (f)
		fclose(f);
	code = strstr(source, "#include");
	if (code)
		*code = '\0';
	return f != NULL;
}

static bool explained(const char *quirk)
{
	size_t len = strlen(quirk);

	for (const char *at = strstr(source, quirk); at; at = strstr(at + 1, quirk))
		if ((at == source || !strchr(LETTERS, at[-1])) && !strchr(LETTERS, at[len]))
			return true;
	return false;
}

/* true: all of them are; else says which is not. */
static bool all_explained(const char *slug, const char *dialect, json_t *quirks)
{
	const char *name;
	json_t *value;

	read_about(dialect);
	json_object_foreach(quirks, name, value)
		if (!explained(name)) {
			printf("# %s: quirk '%s' is explained nowhere in plugins/providers/%s.c\n", slug, name, dialect);
			return false;
		}
	return true;
}

static bool decimal(json_t *v)
{
	const char *s = json_string_value(v);

	return s && *s && strspn(s, "0123456789.") == strlen(s);
}

static bool good_price(json_t *price)
{
	const char *name, *since = json_string_value(json_object_get(price, "since"));
	json_t *v;

	if (!since || strlen(since) != 10 || !json_string_length(json_object_get(price, "source")))
		return false;
	json_object_foreach(price, name, v)
		if (strcmp(name, "since") && strcmp(name, "source") && strcmp(name, "overrides") && !decimal(v))
			return false;
	return true;
}

static bool good_rows(json_t *rows, const char *file, const char *dialect)
{
	json_t *row, *price;
	size_t i, k;

	json_array_foreach(rows, i, row) {
		if (!all_explained(file, dialect, json_object_get(row, "quirks")))
			return false;
		json_array_foreach(json_object_get(row, "price"), k, price)
			if (!good_price(price)) {
				printf("# %s: a price of %s has no day, no source, or a number that is no decimal text\n", file,
					json_string_value(json_object_get(row, "id")));
				return false;
			}
	}
	return true;
}

static void providers(json_t *known)
{
	const char *slug;
	json_t *row;
	unsigned addresses = 0, dialects = 0, quirks = 0, data = 0;

	json_object_foreach(known, slug, row) {
		const char *dialect = json_string_value(json_object_get(row, "dialect")), *url = json_string_value(json_object_get(row, "base_url"));

		addresses += url && !strncmp(url, "http", 4);
		data += json_is_object(json_object_get(row, "data")) && json_string_length(json_object_get(row, "source"))
			+ json_string_length(json_object_get(row, "privacy_url")) > 0;
		if (dialect && read_about(dialect) && json_string_length(json_object_get(row, "name")))
			dialects++;
		else
			printf("# %s: dialect '%s' has no plugin\n", slug, dialect ? dialect : "(none)");
		quirks += all_explained(slug, dialect ? dialect : "", json_object_get(row, "quirks"));
	}
	ok(json_object_size(known) >= 150 && addresses >= 100, "providers enough, most with their address");
	ok(dialects == json_object_size(known), "each has a name, and a dialect that there is");
	ok(quirks == json_object_size(known), "each quirk is explained by its dialect");
	ok(data == json_object_size(known), "each says what is known of its data policy, and where from");
}

static void models(json_t *known)
{
	DIR *dir = opendir("sdk/catalog/models");
	unsigned files = 0, good = 0;
	struct err err;
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char path[400], slug[200];
		const char *dialect;
		json_t *rows = NULL;

		if (e->d_name[0] == '.')
			continue;
		files++;
		snprintf(path, sizeof(path), "sdk/catalog/models/%.190s", e->d_name);
		snprintf(slug, sizeof(slug), "%.*s", (int)(strlen(e->d_name) - 6), e->d_name);
		dialect = json_string_value(json_object_get(json_object_get(known, slug), "dialect"));
		if (!dialect)
			printf("# %s: no such provider\n", slug);
		else if (shelf_read(path, &rows, &err) != MG_OK)
			printf("# %s\n", err.msg);
		else
			good += good_rows(rows, e->d_name, dialect);
		json_decref(rows);
	}
	if (dir)
		closedir(dir);
	ok(files >= 100, "models of at least 100 providers");
	ok(good == files, "each file belongs to a provider; its quirks are explained, its prices are decimals with day and source");
}

int main(void)
{
	json_t *known = json_load_file("sdk/catalog/providers.json", JSON_REJECT_DUPLICATES, NULL);

	ok(known != NULL, "providers.json is JSON without doubles (run at the top of the repository)");
	providers(known);
	models(known);
	json_decref(known);
	return tap_done();
}
