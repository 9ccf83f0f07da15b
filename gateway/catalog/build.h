/*
 * build.h - the parts of building a catalogue; seen by nobody else.
 */
#ifndef CATALOG_BUILD_H
#define CATALOG_BUILD_H

#include "base/pool.h"
#include "catalog/catalog.h"

struct build {
	const struct config *conf;
	const struct registry *plugins;	/* NULL: dialects are not looked up */
	const struct catalog *previous;
	json_t *known;			/* may be NULL */
	json_t *providers;		/* slug -> the configured row laid over the known one */
	json_t *models;			/* slug -> row with its endpoints, the known ones included */
	json_t *ids;			/* endpoint ids in use */
	json_t *health;			/* id -> index in previous->endpoints */
	struct catalog *c;
	struct err *err;
};

/* known.c: fills providers and models. */
int build_known(struct build *b);
void build_data_facts(json_t *row, const json_t *said);		/* said was laid over row: whoever states facts stands for them */
/* rates.c: price: a checked price object.  place: of that object. */
int build_rates(struct build *b, struct endpoint *e, const json_t *price, const char *place);
/* providers.c */
int build_providers(struct build *b);
/* endpoints.c: appends to c->endpoints, which has room, and behind it a copy for each account of a customer's own. */
int build_endpoint(struct build *b, struct model *m, size_t n, const json_t *row);
size_t build_endpoints_at_most(const struct build *b, const json_t *list);	/* of a model's rows */
/* index.c: names; 0, or MG_EINVAL with *other when the name means another model already. */
int index_new(struct catalog *c, size_t names);
int index_add(struct catalog *c, const char *name, struct model *m, struct model **other);
struct model *index_find(const struct catalog *c, struct mg_str name);
void index_free(struct catalog *c);

/* latest.c */
struct model *latest_find(const struct catalog *c, struct mg_str name);	/* of "~author/family-latest"; NULL: none */

char *build_text(struct build *b, const char *text);	/* in the catalogue's pool; NULL: NULL */
const char *text_of(const json_t *row, const char *member);
int64_t int_of(const json_t *row, const char *member, int64_t otherwise);
/* A new object: over laid over under, objects inside merged; either may be NULL. */
json_t *laid_over(json_t *under, json_t *over);
/* Name of the i-th member of an object, for config_nearest(). */
const char *nth_name(const void *object, size_t i);

#endif
