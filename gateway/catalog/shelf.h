/*
 * shelf.h - the catalogue's files: models/<provider>.jsonl, one row a line.
 *
 * A row's prices are a list by date, so that a price of the past stays with its
 * source, and one of the future waits for its day:
 *
 *	{"id":"openai/gpt-oss-120b","model":"openai/gpt-oss-120b","can":["tools"],
 *	 "price":[{"since":"2026-07-02","source":"models.dev","input":"0.15","output":"0.6"}]}
 *
 * What a person wrote into a row and no source says (params, quirks) stays when
 * a source is read again.
 */
#ifndef CATALOG_SHELF_H
#define CATALOG_SHELF_H

#include <jansson.h>
#include <stdbool.h>
#include "base/err.h"

enum shelved { SHELF_SAME, SHELF_NEW, SHELF_CHANGED };
enum { PRICES_KEPT = 8 };	/* of a row, the newest */

/* The rows of a file, an array; MG_EINVAL names file and line.  A file that is not there has none. */
int shelf_read(const char *path, json_t **rows, struct err *err);
/* In place of the file, or not at all; sorted by id, model, region. */
int shelf_write(const char *path, json_t *rows, struct err *err);
/* Lays `row` over the one of the same model and region; *before: a new
 * reference to that one's price so far, or NULL. */
enum shelved shelf_put(json_t *rows, json_t *row, json_t **before);
/* Another name of a model that is there: same slug, region and price. */
bool shelf_twin(json_t *rows, const json_t *like);
/* The price that holds on a day, "2026-11-21"; NULL: none yet.  A borrowed reference. */
json_t *shelf_price(const json_t *row, const char *day);

#endif
