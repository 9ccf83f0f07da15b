/*
 * wire.h - the catalogue as clients read it: GET /models and what belongs to
 * it.  Prices are exact decimal strings, USD per token or unit.
 */
#ifndef CATALOG_WIRE_H
#define CATALOG_WIRE_H

#include "catalog/catalog.h"

/* What somebody measured, and a row of the configuration says. */
enum model_index { INDEX_INTELLIGENCE, INDEX_CODING, INDEX_AGENTIC, INDEX_TOOL_SUCCESS, INDEX_ARENA, INDEX_COUNT };

/* Strings are borrowed until the answer is written; "" or absent: not asked for. */
struct model_query {
	struct mg_str output_modalities, input_modalities, supported_parameters, sort, q, arch, authors, providers, region, category;
	uint64_t offset, limit, context;	/* limit 0: all */
	int64_t min_price, max_price, min_output_price, max_output_price;	/* pUSD per token; -1: any */
	int64_t min_age_days, max_age_days;	/* -1: any */
	struct { bool set; double min, max; } index[INDEX_COUNT];	/* set: what is not measured is out */
	int distillable;			/* -1: any */
	bool zdr, rss;				/* rss: a feed is wanted */
	bool paged;				/* an offset was given: a page of 500 where no limit was */
	const struct routers *routers;		/* that are listed, too; NULL: none are */
	struct buf *rest;			/* what links.next repeats */
};

/* Models that policies answer for, made for one answer. */
enum { ROUTERS_SHOWN = 64 };
struct routers { struct model at[ROUTERS_SHOWN]; size_t n; };
/* One more, of {"slug","name","description","models":[...]}, unless the catalogue has none of its models, or one of its name. */
void routers_add(struct routers *r, struct pool *pool, const struct catalog *c, const json_t *row);
void routers_release(struct routers *r);
/* rest: kept by the caller, empty. */
void model_query_init(struct model_query *q, struct buf *rest);
/* One parameter of the query, decoded.  What is unknown is passed over; MG_EINVAL names the parameter. */
int model_query_set(struct model_query *q, struct mg_str name, struct mg_str value, struct err *err);

/* {"data":[...],"total_count":n,"links":{...}}; now_ms: Unix time; mono_ms: for what live health sorts. */
void wire_models(struct buf *out, const struct catalog *c, const struct model_query *q, int64_t now_ms, uint64_t mono_ms);
/* The same rows as an RSS 2.0 feed. */
void wire_feed(struct buf *out, const struct catalog *c, const struct model_query *q, int64_t now_ms, uint64_t mono_ms);
void wire_count(struct buf *out, const struct catalog *c, const struct model_query *q, int64_t now_ms);
/* False: there is no such model.  The slug may carry a variant.  r: NULL: no routers. */
bool wire_model(struct buf *out, const struct catalog *c, const struct routers *r, struct mg_str slug);
/* The same without an envelope, and with the members that OpenAI's models have: what its clients retrieve. */
bool wire_model_openai(struct buf *out, const struct catalog *c, const struct routers *r, struct mg_str slug);
/* live: the caller has credentials and sees latency and throughput.  A router has none of its own. */
bool wire_endpoints(struct buf *out, const struct catalog *c, const struct routers *r, struct mg_str slug, bool live, uint64_t mono_ms);
void wire_zdr(struct buf *out, const struct catalog *c, bool live, uint64_t mono_ms);
void wire_providers(struct buf *out, const struct catalog *c);

/* wire.c: the rows that are meant, in order; to be freed.  NULL: no memory. */
struct wire_face { const struct model *m; bool free; };	/* model:free has a row of its own */
struct wire_row { struct wire_face face; double key; };
struct wire_row *wire_rows(const struct catalog *c, const struct model_query *q, int64_t now_ms, uint64_t mono_ms, size_t *n);

/* wire_filter.c */
const char *model_tokenizer(const struct model *m);	/* the row's, or that of its author's models (F5); "Other" */
bool model_index(const struct model *m, enum model_index which, double *out);	/* false: nobody measured it */
/* A model is listed as it is, for the endpoints that cost something, and as model:free for those that do not. */
bool model_matches(const struct model *m, bool free, const struct model_query *q, int64_t now_ms);
/* The endpoint whose price and limits stand for it: the cheapest of the default tier; NULL: it is not to be seen. */
const struct endpoint *model_front(const struct model *m, bool free);
/* Modalities of one side; text where not said. */
bool model_takes(const struct model *m, const char *side, struct mg_str word);
/* A parameter that some endpoint supports. */
bool model_supports(const struct model *m, struct mg_str param);

#endif
