/* The catalogue's files, line by line; shelf.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/shelf.h"

static const char *word(const json_t *row, const char *member)
{
	const char *s = json_string_value(json_object_get(row, member));

	return s ? s : "";
}

int shelf_read(const char *path, json_t **rows, struct err *err)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	json_error_t why;
	int rc = MG_OK;

	*rows = json_array();
	for (unsigned n = 1; f && !rc && getline(&line, &size, f) > 0; n++) {
		json_t *row = json_loads(line, JSON_REJECT_DUPLICATES, &why);

		if (json_is_object(row) && *word(row, "id") && *word(row, "model"))
			json_array_append(*rows, row);
		else
			rc = fail(err, MG_EINVAL, "%s:%u: %s", path, n, row ? "a row needs 'id' and 'model'" : why.text);
		json_decref(row);
	}
	free(line);
	if (f)
		fclose(f);
	if (rc) {
		json_decref(*rows);
		*rows = NULL;
	}
	return rc;
}

static int by_name(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int order = strcmp(word(x, "id"), word(y, "id"));

	order = order ? order : strcmp(word(x, "model"), word(y, "model"));
	return order ? order : strcmp(word(x, "region"), word(y, "region"));
}

int shelf_write(const char *path, json_t *rows, struct err *err)
{
	size_t n = json_array_size(rows), i;
	json_t **sorted = calloc(n + 1, sizeof(json_t *)), *row;
	char next[1100];
	FILE *f;
	bool good;

	snprintf(next, sizeof(next), "%s.next", path);
	f = fopen(next, "we");
	if (!f || !sorted) {
		free(sorted);
		if (f)
			fclose(f);
		return fail(err, MG_EINVAL, "%s cannot be written: %m", next);
	}
	json_array_foreach(rows, i, row)
		sorted[i] = row;
	qsort(sorted, n, sizeof(*sorted), by_name);
	for (i = 0; i < n; i++) {
		json_dumpf(sorted[i], f, JSON_COMPACT | JSON_PRESERVE_ORDER);
		fputc('\n', f);
	}
	free(sorted);
	good = !ferror(f) && !fflush(f) && !fsync(fileno(f));
	good = !fclose(f) && good && !rename(next, path);
	if (good)
		return MG_OK;
	unlink(next);
	return fail(err, MG_EINVAL, "%s cannot be written: %m", path);
}

/* ------------------------------------------------ prices by date */

json_t *shelf_price(const json_t *row, const char *day)
{
	json_t *list = json_object_get(row, "price"), *price, *best = NULL;
	size_t i;

	json_array_foreach(list, i, price)
		if (strcmp(word(price, "since"), day) <= 0 && (!best || strcmp(word(price, "since"), word(best, "since")) >= 0))
			best = price;
	return best;
}

static bool same_price(const json_t *a, const json_t *b)
{
	if (!a || !b)
		return false;

	json_t *x = json_copy((json_t *)(uintptr_t)a), *y = json_copy((json_t *)(uintptr_t)b);
	bool same;

	for (const char *const *m = (const char *const[]){ "since", "source", NULL }; *m; m++) {
		json_object_del(x, *m);
		json_object_del(y, *m);
	}
	same = json_equal(x, y);
	json_decref(x);
	json_decref(y);
	return same;
}

/* true: it is another than on its day so far. */
static bool add_price(json_t *old, json_t *price, json_t **before)
{
	json_t *list = json_object_get(old, "price"), *row;
	size_t i;

	if (!json_is_array(list)) {
		list = json_array();
		json_object_set_new(old, "price", list);
	}
	*before = json_incref(shelf_price(old, word(price, "since")));
	if (*before && same_price(*before, price))
		return false;
	json_array_foreach(list, i, row)
		if (!strcmp(word(row, "since"), word(price, "since"))) {
			json_array_set(list, i, price);
			return true;
		}
	json_array_append(list, price);
	while (json_array_size(list) > PRICES_KEPT)
		json_array_remove(list, 0);
	return true;
}

static json_t *find(json_t *rows, const json_t *like)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (!strcmp(word(row, "model"), word(like, "model")) && !strcmp(word(row, "region"), word(like, "region")))
			return row;
	return NULL;
}

bool shelf_twin(json_t *rows, const json_t *like)
{
	json_t *row, *price = json_array_get(json_object_get(like, "price"), 0);
	size_t i;

	json_array_foreach(rows, i, row)
		if (!strcmp(word(row, "id"), word(like, "id")) && !strcmp(word(row, "region"), word(like, "region"))
			&& strcmp(word(row, "model"), word(like, "model")) && price
			&& same_price(json_array_get(json_object_get(row, "price"), json_array_size(json_object_get(row, "price")) - 1), price))
			return true;
	return false;
}

enum shelved shelf_put(json_t *rows, json_t *row, json_t **before)
{
	json_t *old = find(rows, row), *value;
	bool changed = false;
	const char *name;

	*before = NULL;
	if (!old) {
		json_array_append(rows, row);
		return SHELF_NEW;
	}
	json_object_foreach(row, name, value) {
		if (!strcmp(name, "price") || !strcmp(name, "id") || json_equal(json_object_get(old, name), value)
			|| !strcmp(name, "source")
			|| (!strcmp(name, "can") && json_object_get(old, "params")))	/* a person knew better */
			continue;
		json_object_set(old, name, value);
		changed = true;
	}
	if (changed && json_object_get(row, "source") && !json_object_get(old, "price"))	/* prices say their own */
		json_object_set(old, "source", json_object_get(row, "source"));
	value = json_array_get(json_object_get(row, "price"), 0);
	if (value && add_price(old, value, before))
		changed = true;
	return changed ? SHELF_CHANGED : SHELF_SAME;
}
