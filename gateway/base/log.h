/*
 * log.h - one line a fact: an event of the table below, and named fields.
 *
 * Written as JSON, or as key=value for a terminal; ts, level and msg are added.
 * A prompt, an answer or a key is never logged, at any level; what looks like a
 * credential is redacted at the sink all the same (R85).  A failure is logged
 * once, by whoever handles it; whoever passes it up stays silent.  Never
 * blocks: a pipe that is full drops the line and counts it.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"

#define LOG_EVENTS(X) \
	X(START, "start", "the gateway starts") \
	X(READY, "ready", "requests are answered") \
	X(STOP, "stop", "the gateway stops") \
	X(CONFIG_LOADED, "config_loaded", "a configuration took effect") \
	X(CONFIG_REFUSED, "config_refused", "the old configuration stays") \
	X(CONFIG_UNREAD, "config_unread", "what this member asks for is not done") \
	X(PLUGIN_LOADED, "plugin_loaded", "a plugin was loaded") \
	X(PLUGIN_REFUSED, "plugin_refused", "a plugin was not loaded") \
	X(BUNDLE_LOADED, "bundle_loaded", "a policy bundle took effect") \
	X(BUNDLE_UNTRIED, "bundle_untried", "no recent decision could be read for a policy bundle to make again") \
	X(BUNDLE_REFUSED, "bundle_refused", "the policies that are live stay") \
	X(POLICY_CIRCUIT, "policy_circuit", "a version's hooks fail too often") \
	X(POLICY_VERSIONS, "policy_versions", "many versions are still in use") \
	X(POLICY_STALE, "policy_stale", "the bundle's folder has been away for too long") \
	X(POLICY_ERROR, "policy_error", "a policy hook failed") \
	X(POLICY_SLOW, "policy_slow", "a policy hook took long") \
	X(POLICY_LOG, "policy_log", "a policy says") \
	X(GENERATION, "generation", "a request was answered") \
	X(UPSTREAM_RETRY, "upstream_retry", "another attempt follows") \
	X(UPSTREAM_HEDGE, "upstream_hedge", "output is late: another endpoint is asked, too") \
	X(UPSTREAM_FAILED, "upstream_failed", "an attempt failed") \
	X(USAGE_DOUBTED, "usage_doubted", "an upstream says that it used more than is believed") \
	X(CREDENTIAL_FAILED, "credential_failed", "no access token, no temporary keys; what there was before is used until its end") \
	X(STORE_ERROR, "store_error", "the store refused a group") \
	X(LEDGER_RECOVERED, "ledger_recovered", "the journal was replayed") \
	X(AUDIT, "audit", "a management change") \
	X(STUCK, "stuck", "a worker does not turn: the process ends") \
	X(INTERNAL, "internal", "something that should not happen")

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
#define X(id, name, about) EV_##id,
enum log_event { LOG_EVENTS(X) LOG_EVENT_COUNT };
#undef X

/* key: as JSON has it, with comma, quotes and colon, so that a line takes it in one piece; key_len: of the name in it. */
struct log_field { const char *key; size_t key_len; const char *text; int64_t number; enum { LOG_TEXT, LOG_WORD, LOG_JSON } form; };	/* text, unless NULL */
#define LOG_KEY(k)	",\"" k "\":", sizeof(k) - 1
static inline const char *log_text(const char *s) { return s ? s : ""; }	/* a function: (array) ? ... would warn */
#define LOG_S(k, s)	{ LOG_KEY(k), log_text(s), 0, LOG_TEXT }
#define LOG_W(k, s)	{ LOG_KEY(k), log_text(s), 0, LOG_WORD }	/* a word that this program made, of letters, digits, - _ . / alone */
#define LOG_J(k, s)	{ LOG_KEY(k), log_text(s), 0, LOG_JSON }	/* a value that this program wrote, of such words and numbers */
#define LOG_N(k, n)	{ LOG_KEY(k), NULL, (int64_t)(n), LOG_TEXT }

#define LOG_FIELDS(...)	((const struct log_field[]){ __VA_ARGS__, { NULL, 0, NULL, 0, LOG_TEXT } })	/* ended by one without a key */

extern enum log_level log_max;

/* fd: borrowed; json: else key=value. */
void log_open(int fd, bool json, enum log_level max);
/* A file, made where there is none and appended to; MG_EINVAL: it cannot be. */
int log_open_file(const char *path, bool json, enum log_level max, struct err *err);
/* Whoever turns logs moved it away: the same path once more.  MG_EINVAL: the old one stays.  Without a file nothing happens. */
int log_reopen(struct err *err);
uint64_t log_dropped(void);
/* From now on the lines of this thread that are no warnings wait for log_flush(), a few together, or for
 * a line that does not wait: then they go out before it.  false: no more, and what waits is written. */
void log_gather(bool on);
void log_flush(void);	/* what waits, of all threads */
void log_write(enum log_level lvl, enum log_event ev, const char *request_id, const struct log_field *fields);
/* Credentials in text (sk-..., Bearer ..., AIza..., AKIA..., key=..., JWTs) become ***; in place. */
void log_redact(char *text);

/* The fields are not evaluated when the log is quieter than lvl. */
#define log_at(lvl, ev, request_id, ...) \
	((lvl) <= log_max ? log_write(lvl, ev, request_id, LOG_FIELDS(__VA_ARGS__)) : (void)0)

#endif
