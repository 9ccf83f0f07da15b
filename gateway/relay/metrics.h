/*
 * metrics.h - counters, gauges and histograms, counted with atomics by every
 * worker, printed as Prometheus text.
 *
 * Labels are few and bounded: no key, user, session or content.  At most 500
 * label sets a metric; what comes after is counted in
 * moongate_metrics_dropped_series_total.
 */
#ifndef RELAY_METRICS_H
#define RELAY_METRICS_H

#include "base/buf.h"

/* id, name, type, help, label names */
#define METRICS(X) \
	X(HTTP_REQUESTS, "moongate_http_requests_total", COUNTER, "Requests answered.", "route,method,code") \
	X(HTTP_DURATION, "moongate_http_request_duration_seconds", HISTOGRAM, "From the head of a request to the end of its answer.", "route") \
	X(HTTP_IN_FLIGHT, "moongate_http_requests_in_flight", GAUGE, "Requests that are not ended.", "") \
	X(CONNECTIONS, "moongate_connections", GAUGE, "Open client connections.", "") \
	X(GENERATIONS, "moongate_generations_total", COUNTER, "Generations by how they ended.", "model,provider,outcome") \
	X(GENERATION_DURATION, "moongate_generation_duration_seconds", HISTOGRAM, "A whole generation.", "model,provider,stream") \
	X(TTFT, "moongate_time_to_first_token_seconds", HISTOGRAM, "To the first output event.", "model,provider") \
	X(TPOT, "moongate_time_per_output_token_seconds", HISTOGRAM, "Between output tokens, mean of a generation.", "model,provider") \
	X(OVERHEAD, "moongate_overhead_seconds", HISTOGRAM, "The gateway's own time.", "stage") \
	X(TOKENS, "moongate_tokens_total", COUNTER, "Tokens by kind.", "model,provider,kind") \
	X(COST, "moongate_cost_usd_total", COUNTER_NUSD, "Charged, in US dollars.", "model,provider") \
	X(ATTEMPTS, "moongate_upstream_attempts_total", COUNTER, "Attempts at upstreams.", "provider,result,reason") \
	X(FALLBACKS, "moongate_fallbacks_total", COUNTER, "Attempts that another one followed.", "model,from,to,reason") \
	X(HEDGES, "moongate_hedges_total", COUNTER, "Hedges by how they ended, and those that did not begin by why.", "result") \
	X(UPSTREAM_IN_FLIGHT, "moongate_upstream_in_flight", GAUGE, "Attempts under way.", "provider") \
	X(UPSTREAM_UNATTENDED, "moongate_upstream_unattended", GAUGE, "Of them the streams whose clients left, and that are read to their end.", "provider") \
	X(UPSTREAM_LIMIT, "moongate_upstream_limit", GAUGE, "Attempts that may be under way at once.", "provider") \
	X(UPSTREAM_WAITING, "moongate_upstream_waiting", GAUGE, "Requests in line for a place.", "provider") \
	X(CREDENTIAL_LEFT, "moongate_credential_seconds", GAUGE, "Until the access token or the temporary keys are used no more; 0: there are none.", "provider") \
	X(CREDENTIAL_FAILING, "moongate_credential_failing", GAUGE, "1: the last exchange for them failed.", "provider") \
	X(UPSTREAM_CONNECT, "moongate_upstream_connect_seconds", HISTOGRAM, "Name and TCP, of new connections.", "provider") \
	X(UPSTREAM_TLS, "moongate_upstream_tls_seconds", HISTOGRAM, "TLS handshakes, of new connections.", "provider") \
	X(CIRCUIT, "moongate_circuit_state", GAUGE, "0 closed, 1 half open, 2 open.", "provider,model") \
	X(POLICY_DURATION, "moongate_policy_duration_seconds", HISTOGRAM, "Time in policies, a request.", "policy") \
	X(POLICY_AGE, "moongate_policy_active_age_seconds", GAUGE, "Since the active bundle took effect.", "") \
	X(POLICY_STATES, "moongate_policy_states", GAUGE, "Lua states that live, by the bundle's hash.", "version") \
	X(POLICY_RELOADS, "moongate_policy_reloads_total", COUNTER, "Bundles that were to go live.", "how,result") \
	X(POLICY_TRIPS, "moongate_policy_circuit_trips_total", COUNTER, "Versions whose hooks failed too often.", "result") \
	X(POLICY_ERRORS, "moongate_policy_errors_total", COUNTER, "Hooks that failed.", "kind") \
	X(NEEDS_RATING, "moongate_needs_rating_total", COUNTER, "Generations at the list price, since a price policy failed.", "") \
	X(USAGE_DOUBTED, "moongate_usage_doubted_total", COUNTER, "Generations whose upstream says that it used more than is believed.", "provider") \
	X(STORE_WRITE, "moongate_store_write_seconds", HISTOGRAM, "One group committed.", "") \
	X(STORE_QUEUE, "moongate_store_queue_length", GAUGE, "Rows that wait for the store.", "") \
	X(STORE_EXPIRED, "moongate_store_expired_total", COUNTER, "Rows looked at whose labels and decision went when their time was up.", "") \
	X(JOURNAL_BYTES, "moongate_journal_bytes", GAUGE, "Journal not yet carried into the store.", "") \
	X(LOG_DROPPED, "moongate_log_dropped_total", COUNTER, "Log lines that could not be written.", "") \
	X(CALLBACK_MAX, "moongate_callback_seconds_max", GAUGE_US, "Longest callback of a loop since the last scrape.", "") \
	X(RELOAD_OK, "moongate_config_last_reload_successful", GAUGE, "1: the last reload took effect.", "") \
	X(RELOAD_AT, "moongate_config_last_reload_timestamp_seconds", GAUGE, "Unix time of the last reload.", "") \
	X(PLUGIN_CALLS, "moongate_plugin_calls_total", COUNTER, "Calls that a plugin carried, by how they ended.", "plugin,op,result") \
	X(PLUGIN_INFO, "moongate_plugin_info", GAUGE, "Loaded plugins.", "plugin,version,abi") \
	X(BUILD_INFO, "moongate_build_info", GAUGE, "This build.", "version,commit") \
	X(START_TIME, "moongate_start_time_seconds", GAUGE, "Unix time of the start.", "") \
	X(RATE_LIMITED, "moongate_rate_limited_total", COUNTER, "Requests refused by a limit.", "kind")

#define X(id, name, type, help, labels) M_##id,
enum metric { METRICS(X) METRIC_COUNT };
#undef X

/* The label values, in the table's order, ended by NULL.  Any thread. */
void metric_add(enum metric m, int64_t n, const char *const *labels);
void metric_set(enum metric m, int64_t n, const char *const *labels);
void metric_observe_us(enum metric m, uint64_t us, const char *const *labels);
#define METRIC_LABELS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define METRIC_PLAIN ((const char *const[]){ NULL })

/* One value of a metric whose label sets come and go, and are kept elsewhere; first: with its head. */
void metric_print(struct buf *out, enum metric m, int64_t n, const char *const *labels, bool first);
/* Everything that has a value yet, and process_*. */
void metrics_print(struct buf *out);

#endif
