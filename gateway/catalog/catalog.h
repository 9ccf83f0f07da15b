/*
 * catalog.h - models, endpoints, providers and prices, as configured: built
 * once, never changed, part of the snapshot that a request pins.
 */
#ifndef CATALOG_CATALOG_H
#define CATALOG_CATALOG_H

#include <jansson.h>
#include "base/config.h"
#include "base/err.h"
#include "base/json.h"
#include "plugin/registry.h"

/* pUSD per unit; complete: a rate that inherits is filled in at load. */
enum rate { RATE_PROMPT, RATE_COMPLETION, RATE_CACHE_READ, RATE_CACHE_WRITE, RATE_CACHE_WRITE_1H, RATE_REASONING,
	RATE_IMAGE_TOKENS, RATE_AUDIO_IN, RATE_AUDIO_CACHE, RATE_AUDIO_OUT, RATE_IMAGE, RATE_SEARCH, RATE_REQUEST,
	RATE_CHARACTER, RATE_SECOND, RATE_COUNT };
extern const char *const rate_names[RATE_COUNT];	/* "prompt", ...: the names policies use */
struct rates { int64_t pusd[RATE_COUNT]; };
/* Instead of the base rates for requests of at least min_prompt_tokens, or between two UTC minutes of the day. */
struct rate_override { uint64_t min_prompt_tokens; int utc_start, utc_end; /* minutes; -1: none; a window may cross midnight */
	struct rates rates; uint32_t given; /* bit n: rates.pusd[n] replaces; later overrides win rate by rate */ };

struct data_policy { bool known, trains, retains, zdr; int retention_days; /* -1: unknown */ char region[32]; };

struct token;	/* token.h: of a credential that is no key */
struct gate;	/* gate.h: who is inside, and who retries */
struct live;	/* live.h: health and latency of an endpoint, counted while it works */

/* An account that a customer has with the provider itself (bring your own key). */
struct own_key { unsigned seq; /* from 1, in the provider's list; 0: the gateway's own account */ bool fallback, always; };

struct provider {
	char *slug, *name;		/* "openai", "OpenAI" */
	char *base_url, *dialect;
	const struct mg_plugin *plugin;
	char *secret;			/* NULL: none; wiped when the catalogue ends */
	struct token *token;		/* NULL: the secret itself is sent; kept over reloads, by slug */
	bool plain_http;		/* base_url is http:// */
	char *ca;			/* file of certificates; NULL: the system's */
	char *host;			/* of base_url; the only one that full URLs may name */
	unsigned max_in_flight;		/* 0: no limit */
	bool finish_cancelled;		/* it bills in full what is cancelled: read to the end */
	struct gate *gate;		/* kept over reloads, by slug */
	struct data_policy data;
	struct own_key own;
	struct provider *keyed; size_t n_keyed;		/* copies of this one, with the customers' accounts */
	json_t *private_to, *only_models;		/* of such a copy: who may use it, and for which; NULL: everybody, all */
	char *privacy_url, *terms_url, *status_url, *headquarters;	/* NULL: unknown */
	json_t *row;			/* quirks, options, headers: what plugins see through endpoint() */
	uint64_t connect_ms, first_output_ms, slow_ms, idle_ms, total_ms;	/* slow_ms: output that begins later is bad for its health */
};

struct endpoint {
	char *id;			/* stable: "<model>@<tag>" */
	struct model *model;
	struct provider *provider;
	char *upstream_model;		/* what the provider calls it */
	char *tag;			/* full slug: "google-vertex/us-east5"; provider's slug where there is no region */
	char *tier, *region, *quantization;	/* "default", "", "unknown" where not said */
	uint64_t context_length, max_output;	/* tokens; 0: unknown */
	json_t *params;			/* array of supported parameter names; NULL: not known, all are passed on */
	json_t *private_to;		/* array of ids of organizations, workspaces, keys; NULL: nobody, or at a customer's account everybody */
	bool free, private, distillable, priced;	/* private: clients see it nowhere; priced: a price was given (R49) */
	struct rates rates;
	struct rate_override *overrides; size_t n_overrides;
	struct live *live;		/* kept over reloads, by id */
	struct mg_view row;		/* parsed JSON that plugins see: {"model","provider","quirks","options"} */
	size_t index;			/* in catalog.endpoints */
};

struct model {
	char *slug, *canonical, *name, *description;	/* "acme/large"; canonical: slug where not said */
	const char *label;		/* in metrics: of all that a wildcard stands for, the wildcard */
	bool wild;			/* vllm/ and a star: nobody's own name */
	bool mute;			/* gives neither text, pictures nor sound: nobody chats with it */
	bool router;			/* a policy's: endpoints are those that may answer, and who knows its price */
	int64_t created;		/* Unix seconds */
	uint64_t context_length, max_output;
	json_t *row;			/* modalities, tokenizer, supported parameters ...: for /models */
	struct endpoint **endpoints; size_t n_endpoints;
};

struct catalog {
	struct model *models; size_t n_models;
	struct provider *providers; size_t n_providers;
	struct endpoint *endpoints; size_t n_endpoints;
	struct model **wild; size_t n_wild;
	struct pool *pool;		/* parsed rows */
	void *index;			/* slug, canonical or alias -> model */
	unsigned attempts, attempts_per_model;	/* the most that a request may make (R32) */
	unsigned hedge_percent, hedge_price_percent;	/* of the requests to a provider; of the first attempt's price */
	uint64_t version;		/* 1, 2, ... of this process */
	int64_t changes_ms;		/* Unix: a price that is known already begins to hold; 0: none does */
};

/* Builds the whole of it or says file, member and hint.  previous: live health is taken over; may be NULL. */
struct catalog *catalog_new(const struct config *conf, const struct registry *plugins, const struct catalog *previous, struct err *err);
void catalog_free(struct catalog *c);
/* slug without variants; a canonical slug or an alias finds the model, too, and "~author/family-latest" the newest; NULL. */
struct model *catalog_model(const struct catalog *c, struct mg_str slug);
/* The same, or what only a wildcard covers: made in the pool, with endpoints that forward the
 * rest of the name; it borrows from the catalogue.  Below a wildcard names have no variants. */
struct model *catalog_find(const struct catalog *c, struct mg_str slug, struct pool *pool);
const struct model *catalog_wildcard(const struct catalog *c, struct mg_str slug);	/* that covers it; NULL: none */
struct provider *catalog_provider(const struct catalog *c, struct mg_str slug);

bool list_has(const json_t *list, const char *word);	/* of strings; NULL has none */

/* The rates that count for a prompt of so many tokens; at_ms: Unix time of the reservation. */
void endpoint_rates(const struct endpoint *e, uint64_t prompt_tokens, int64_t at_ms, struct rates *out);
uint64_t usage_prompt_tokens(const struct mg_usage *u);	/* the sum of the seven buckets of input; saturates */

#endif
