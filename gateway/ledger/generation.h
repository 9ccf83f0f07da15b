/*
 * generation.h - the record of one generation, as it is kept and as GET /generation tells it.
 *
 * It holds no content.  Amounts are nanodollars, durations milliseconds.  What
 * is unknown is NULL, or UNKNOWN for a number, and is null on the wire.
 */
#ifndef LEDGER_GENERATION_H
#define LEDGER_GENERATION_H

#include "base/buf.h"
#include "base/err.h"
#include "base/keep.h"
#include "base/pool.h"
#include "base/seal.h"
#include "catalog/catalog.h"
#include "moongate_store.h"

#define UNKNOWN INT64_MIN

/* Where the usage that was billed came from (R44). */
enum usage_source { USAGE_NONE, USAGE_REPORTED, USAGE_COUNTED, USAGE_ESTIMATED };
const char *usage_source_name(enum usage_source u);

/* One attempt, in the order they ended.  id: only when it is read.  hedge: begun beside another one; lost: another one was first.
 * data: what was known of the provider's then; NULL: nothing is known of it, as of what a crash left.  sent_ms: Unix, when the
 * request was sent, UNKNOWN: it was not; bytes: of it. */
struct attempt_record { const char *id, *provider_name, *endpoint_id, *model_permaslug; int status; int64_t latency; bool is_byok, hedge, lost;
	const struct data_policy *data; const char *region, *outcome; int64_t sent_ms, bytes; };

struct generation {
	/* identity */
	const char *id, *upstream_id, *request_id, *session_id, *api_type;	/* api_type: "completions", "embeddings", ... */
	int64_t created_ms;
	/* routing */
	const char *model, *provider_name, *router, *preset_id, *service_tier, *workspace_id, *data_region;
	bool is_byok;
	bool needs_rating;		/* a price policy failed: this is the list price */
	bool needs_reconcile;		/* the upstream says that it used more than is believed: its bill will be another */
	int64_t rated_ms;		/* Unix; when price was run again, and usage_nusd is what is left of the charge; 0: it was not */
	const struct mg_usage *to_rate;		/* with needs_rating: what price is run with again ... */
	const char *rate_endpoint;		/* ... and the endpoint's id */
	const char *bundle;			/* of policies: the first digits of its hash */
	struct keep keep;			/* what was decided of its retention */
	/* outcome */
	bool streamed, cancelled;
	const char *finish_reason, *native_finish_reason;
	enum usage_source usage_source;
	/* counts */
	int64_t tokens_prompt, tokens_completion;
	int64_t native_prompt, native_completion, native_reasoning, native_cached, native_images;
	int64_t media_prompt, audio_prompt, media_completion, search_results, fetches;
	const char *web_search_engine;
	/* money: usage is what the key was charged, upstream what the upstream took for a key of the caller's own */
	int64_t usage_nusd, upstream_nusd, cache_discount_nusd;	/* the last two: UNKNOWN for null */
	/* timing */
	int64_t latency, generation_time, moderation_latency;
	const struct attempt_record *attempts;
	size_t n_attempts;
	const char *response_cache_source_id;
	/* client */
	const char *asked_hash;			/* of the request as it came, under the installation's key; a label */
	int64_t app_id;
	const char *origin, *http_referer, *user_agent, *external_user;
};

/* All unknown; created_ms and the rest 0. */
void generation_init(struct generation *g);

/* The billing part of what the store keeps beside the rest of its row: the row has id, model and time.  MG_ENOMEM. */
int generation_write(const struct generation *g, struct buf *out, struct err *err);
/* The labels: who asked, in a client's words and the upstream's.  Without the permit, or where there are none: nothing. */
void generation_labels(const struct generation *g, struct permit record, struct buf *out);
/* Its numbers alone, and quickly; the rest as generation_init() leaves it. */
int generation_counts(const struct mg_store_generation *row, struct generation *g, struct err *err);
/* What the store kept, with texts in the pool or in the row; labels that are gone are unknown.  MG_EINVAL: that is no such text. */
int generation_read(const struct mg_store_generation *row, struct pool *p, struct generation *g, struct err *err);
/* {"data":{...}} of GET /generation, from what the store kept; seal: with its receipt (receipt.h), NULL: without. */
int generation_answer(const struct mg_store_generation *row, const struct seal *seal, struct buf *out, struct err *err);

#endif
