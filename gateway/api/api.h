/*
 * api.h - surfaces and management endpoints: who may call what, and the
 * answers that are no answers.
 */
#ifndef API_API_H
#define API_API_H

#include "relay/relay.h"

/* What one call needs; lives in the request's pool. */
struct api_call {
	struct http_request *http;
	struct worker *w;
	struct key_facts key;		/* hash "" where the route is public and no key came */
	struct mg_str args[3];		/* what the stars of the route's path matched, raw */
	const char *route;		/* for metrics: the pattern */
	struct mg_str request_id;	/* the client's own, if it is a sane one; else absent */
	uint64_t auth_us, body_us;	/* what authorising took; when the body was there */
	struct relay *relay;		/* a generation runs; NULL else */
	void (*run)(struct api_call *c);	/* once the body is there */
};

extern const struct server_events api_events;

struct mg_str api_credential(const struct http_request *r);	/* of Authorization, with or without Bearer, else of x-api-key; absent: none */

/* ---- browsers: an allow-list of origins (cors = { origins = {...} }) */
bool cors_preflight(struct http_request *r);	/* true: OPTIONS, answered */
size_t cors_headers(struct http_request *r, struct http_header out[4]);	/* how many it wrote */

/* ---- answers.  headers end with a NULL name; those of every answer are added, CORS where it is allowed. */
struct mg_str api_traceparent(const struct http_request *h);	/* the client's; absent: none, or a wrong one */
struct mg_str api_request_id(const struct http_request *h);	/* the client's; absent: none, or none that may be repeated */
void api_send(struct http_request *r, int status, const struct http_header *headers, struct mg_str body);
void api_stream(struct http_request *r, int status, const struct http_header *headers);
void api_json(struct http_request *r, int status, struct mg_str json);
void api_reply(struct http_request *r, int status, const char *type, struct mg_str body);
/* The envelope of A4.1. */
void api_error(struct http_request *r, int status, const char *error_type, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The store does not take or give it: 503, and the operator is told why. */
void api_store_failed(struct http_request *r, const struct err *why);
void api_refuse(struct http_request *r, const struct refusal *why, struct relay *relay);
/* {"code":..,"message":..,"metadata":{..}} as member `name`, for in-stream errors, too. */
void error_object(struct mg_writer *w, const char *name, const struct refusal *why, struct relay *relay);
/* The router metadata member, where the client asked for it (E20). */
void metadata_member(struct mg_writer *w, struct relay *relay, bool selected);
/* The usage object of B1.5. */
void money_member(struct mg_writer *w, const char *name, int64_t nusd);	/* USD, exactly */
void usage_member(struct mg_writer *w, const char *name, const struct mg_usage *u, const struct bill *bill);
const char *finish_name(enum mg_finish f);	/* NULL: none */

/* ---- work that may wait: the store, the disk.  One thread, in order; and one for changes of the gateway. */
struct job { void (*work)(struct job *j); void (*done)(struct job *j);	/* done: on the worker's loop; no loop: not called */
	struct loop *loop; struct job *next; };
int background_start(struct err *err);
void background_stop(void);		/* finishes what is queued */
void background_end_changes(void);	/* the same of changes, which need workers that turn */
void background_run(struct job *j);
bool background_change(struct job *j);	/* false: the gateway stops, nothing is changed any more */

/* ---- one function a route, by file */
void chat_completions(struct api_call *c);
void models_list(struct api_call *c);
void models_count(struct api_call *c);
void models_endpoints(struct api_call *c);
void model_get(struct api_call *c);
void model_retrieve(struct api_call *c);	/* as OpenAI's clients ask for it */
void providers_list(struct api_call *c);
void endpoints_zdr(struct api_call *c);
void generation_get(struct api_call *c);
void generation_key(struct api_call *c);
void decision_get(struct api_call *c);
void decision_ask(struct api_call *c);
void rate_generations(struct api_call *c);
void key_self(struct api_call *c);
void keys_list(struct api_call *c);
void keys_create(struct api_call *c);
void keys_get(struct api_call *c);
void keys_update(struct api_call *c);
void keys_delete(struct api_call *c);
void credits_get(struct api_call *c);
void credits_coinbase(struct api_call *c);	/* gone: 410 */
void credits_add(struct api_call *c);
void admin_reload(struct api_call *c);
void policies_list(struct api_call *c);
void policies_publish(struct api_call *c);
void policies_rollback(struct api_call *c);
void health_live(struct api_call *c);
void health_ready(struct api_call *c);
void version_get(struct api_call *c);
void metrics_get(struct api_call *c);
void root_head(struct api_call *c);

/* ---- a worker of the process, wired */
/* How many clients at once, of all workers; 0: err says what is missing. */
unsigned worker_connections(const struct config *conf, unsigned workers, struct err *err);
/* All are prepared before the first is started: /metrics looks into each. */
int worker_prepare(struct worker *w, const struct config *conf, const struct listener *listeners, size_t n, struct err *err);
int worker_start(struct worker *w, struct err *err);
void worker_look(struct worker *w);	/* from the main thread: there is a newer snapshot; an idle worker would not notice */
void worker_drain(struct worker *w, uint64_t grace_ms);	/* from the main thread; returns at once; what is left then gets an error event */
struct bundle *bundle_now(struct worker *w);	/* that is live; a reference */
void worker_join(struct worker *w);
void worker_free(struct worker *w);		/* after the join */

#endif
