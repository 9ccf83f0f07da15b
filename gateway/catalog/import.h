/*
 * import.h - other people's catalogues, read as rows of ours.
 *
 *	models.dev	api.json: by provider; USD per million tokens
 *	litellm		model_prices_and_context_window.json: one list; USD per token
 *	openrouter	the answer of /api/v1/models: one provider; USD per token
 *
 * Prices stay decimals, digit by digit: no double is between the source and the row.
 */
#ifndef CATALOG_IMPORT_H
#define CATALOG_IMPORT_H

#include "base/json.h"
#include "catalog/catalog.h"
#include "catalog/slug.h"

enum import_source { IMPORT_MODELS_DEV, IMPORT_LITELLM, IMPORT_OPENROUTER };
enum { IMPORT_TIERS = 4 };

/* What a model can: bits, and the request members that each stands for. */
enum { CAN_TOOLS = 1, CAN_SCHEMA = 2, CAN_REASON = 4, CAN_SAMPLE = 8, CAN_ALL = 16 };
/* What goes in or comes out. */
enum { IN_TEXT = 1, IN_IMAGE = 2, IN_FILE = 4, IN_AUDIO = 8, IN_VIDEO = 16, OUT_EMBEDDINGS = 32, OUT_RERANK = 64, OUT_SPEECH = 128,
	OUT_TRANSCRIPTION = 256 };

/* Absent members: the source does not say.  Borrowed from the pool of the reading. */
struct import_row {
	const char *provider;		/* our slug */
	struct mg_str slug, model, name, region, cutoff;
	int64_t created;		/* Unix seconds; 0: not said */
	uint64_t context_length, max_output;
	unsigned in, out, can;
	struct mg_str efforts;		/* a JSON array of words */
	struct mg_str price[RATE_COUNT];	/* USD per million tokens or each, as config.lua writes them */
	struct { uint64_t min_prompt_tokens; struct mg_str price[RATE_COUNT]; } tiers[IMPORT_TIERS];
	unsigned n_tiers;
};

struct import_sink {
	void (*row)(void *arg, const struct import_row *row);
	void (*skip)(void *arg, const char *provider, struct mg_str model, const char *why);	/* why: a constant */
	void *arg;
};

/* "models.dev", "litellm", "openrouter"; -1: none of them. */
int import_source(const char *word);
/* providers: providers.json, whose rows name themselves in the source ("models_dev", "litellm"). */
int import_read(enum import_source from, struct pool *p, struct mg_str text, const json_t *providers, struct slugs *slugs,
	const struct import_sink *sink, struct err *err);

/* ---- rows in a file: one JSON object a line, first what it is */
/* source: "models.dev f3fc692"; since: "2026-07-02", from when the price holds. */
void import_row_write(struct buf *out, const struct import_row *row, const char *source, const char *since);
const char *rate_name(int rate);	/* rates.c: "cache_read" */
/* A decimal times 10^places: "2.5e-06", 6 is "2.5"; exact to `fraction` digits behind the point, half up
 * behind them.  Absent: no decimal, or below zero. */
struct mg_str decimal_shift(struct pool *p, struct mg_str decimal, int places, unsigned fraction);

#endif
