/*
 * moongate.h - all that a plugin may know about the gateway.
 *
 * A plugin is a shared object with one exported symbol, written for it by
 * MG_PLUGIN().  A provider plugin is a translator: the canonical request in,
 * upstream bytes out; upstream frames in, canonical events out.  It opens no
 * socket, never blocks, keeps no globals, and sees only its own call.
 *
 * Memory	What host->alloc returns lives until the attempt ends; nobody frees
 *		it.  A mg_str or mg_view is borrowed for as long: the request for
 *		the whole attempt, a frame until the callback returns.
 * Errors	A callback returns MG_OK or a negative mg_rc; host->fail says why.
 * ABI		Members are appended, never moved or removed within a major;
 *		`size` says how much of a struct its author knew.
 * Shapes	The canonical request is the chat completion request (or the
 *		embeddings, rerank, image, speech, transcription request) of
 *		OpenRouter's public API; `extra` of an event holds JSON in the
 *		shapes of its answers.
 *
 *	2.0	mg_operation.model_at is gone: a surface knows where its own frames name the model
 *	1.2	mg_call.quirks
 *	1.1	mg_host.pieces; mg_store.expire, .expired
 *	1.0	first release
 */
#ifndef MOONGATE_H
#define MOONGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MG_MAGIC 0x4d474154u	/* "MGAT" */
#define MG_ABI_MAJOR 2		/* another major is refused, and so is a newer minor than the host's */
#define MG_ABI_MINOR 0		/* +1 for each append */
#define MG_HAS(s, m) ((s)->size >= offsetof(__typeof__(*(s)), m) + sizeof((s)->m))	/* is the other side new enough? */
#define MG_ENTRY "mg_plugin_entry"	/* the one exported symbol: const struct mg_plugin *(void), written by MG_PLUGIN(...) */
#define MG_EVENT(k, ...) (&(struct mg_event){ .size = sizeof(struct mg_event), .kind = (k), __VA_ARGS__ })
enum mg_rc { MG_OK = 0, MG_EINVAL = -1, MG_ENOMEM = -2, MG_EPROTO = -3, MG_EDENIED = -4 };
enum mg_kind { MG_ABSENT, MG_NULL, MG_FALSE, MG_TRUE, MG_NUMBER, MG_STRING, MG_ARRAY, MG_OBJECT };
enum mg_op { MG_CHAT, MG_EMBEDDINGS, MG_RERANK, MG_IMAGE, MG_SPEECH, MG_TRANSCRIPTION, MG_MODERATION, MG_VIDEO, MG_MODELS };
enum mg_framing { MG_RAW, MG_JSON, MG_SSE, MG_NDJSON, MG_EVENTSTREAM };	/* how the core cuts an answer into frames */
enum mg_auth { MG_BEARER, MG_HEADER, MG_QUERY, MG_SIGV4, MG_GOOGLE, MG_ENTRA };	/* arg: its word (NULL: "Bearer"), its name, its name, service, scope, scope */
enum mg_finish { MG_NONE, MG_STOP, MG_LENGTH, MG_TOOL_CALLS, MG_CONTENT_FILTER, MG_FAILED };
enum mg_error {	MG_E_UPSTREAM, MG_E_CONNECT, MG_E_TIMEOUT, MG_E_RATE_LIMITED, MG_E_OVERLOADED, MG_E_SERVER, MG_E_AUTH, MG_E_QUOTA,
	MG_E_BAD_REQUEST, MG_E_CONTEXT_LENGTH, MG_E_MODERATION, MG_E_NOT_FOUND, MG_E_CANCELLED };	/* err.kind of policy-api.md */
enum mg_event_kind {	/* which members of mg_event count is said behind each; deltas are UTF-8, never cut inside a character */
	MG_EV_START,					/* id, name: the upstream's id and model */
	MG_EV_TEXT, MG_EV_REFUSAL,			/* data: a delta */
	MG_EV_REASONING,				/* data: a delta; name: format; extra: signature, encrypted data, as JSON */
	MG_EV_TOOL_BEGIN, MG_EV_TOOL_ARGS, MG_EV_TOOL_END,	/* index; id, name; data: a delta of the arguments' JSON text */
	MG_EV_IMAGE, MG_EV_AUDIO,			/* data: bytes, not base64; name: media type; extra: transcript, size */
	MG_EV_ANNOTATION, MG_EV_LOGPROBS,		/* extra: JSON in the canonical shape */
	MG_EV_VECTOR, MG_EV_SCORE, MG_EV_VERDICT,	/* embedding, rerank, moderation: index of the input; extra: JSON */
	MG_EV_SEGMENT,					/* transcription: data; extra: start, end, words, speaker */
	MG_EV_JOB, MG_EV_MODEL, MG_EV_LIMIT,		/* video: id, name: state; models: id, extra; rate limit: name, extra, reset_ms */
	MG_EV_USAGE, MG_EV_FINISH, MG_EV_ERROR };	/* usage: totals so far, the last counts; finish, name: native word; failure */
struct mg_str { const char *at; size_t len; };		/* borrowed, not NUL-terminated; .at is NULL when absent */
struct mg_view { const void *doc; uint32_t node; };	/* a value in a parsed JSON text; .doc is NULL when absent */
struct mg_usage { size_t size;	/* disjoint: nothing is counted twice; tokens, where no other unit is named */
	uint64_t input, cached, cache_write, cache_write_1h, image_tokens, audio_in, audio_cached, output, reasoning, audio_out;
	uint64_t images_out, searches, requests, characters, seconds;	/* counts; seconds of media, rounded up */
	int64_t cost_nusd;	/* what the upstream says it charged, nanodollars; -1: it does not say */ };
struct mg_failure {
	size_t size; enum mg_error kind;
	bool retryable;			/* may the same request succeed at another endpoint, or here later? */
	uint32_t retry_after_ms;	/* 0: not said */
	struct mg_str code, message;	/* the upstream's own words; the core redacts them */ };
struct mg_event {
	size_t size; enum mg_event_kind kind;
	uint32_t choice, index;		/* which of n answers; which tool call, block or input, from 0 */
	struct mg_str id, name, data, extra;
	const struct mg_usage *usage; const struct mg_failure *failure; enum mg_finish finish;
	uint64_t reset_ms;	/* MG_EV_LIMIT: until the limit is full again; 0: not said */ };
struct mg_http { size_t size;	/* the upstream request; its headers through host->header and host->auth */
	struct mg_str method, path;	/* path and query below the provider's base URL; a full URL only to a host that its row names */
	const struct mg_str *body; size_t pieces;	/* sent in order, not copied: 20 MB of audio stay where they are */ };
struct mg_frame { size_t size;
	enum mg_framing framing;	/* what came: a JSON error body may answer a streamed call */
	struct mg_str event, data;	/* SSE event or :event-type; the bytes, and a NUL behind them */
	struct mg_view json;		/* data, parsed; absent where it is not JSON */ };
struct mg_call {		/* one attempt */
	const struct mg_host *host;
	void *state;			/* op->state_size zeroed bytes, the plugin's */
	struct mg_view quirks;		/* of the catalogue row: asked for again and again */ };
struct mg_host {	/* the core's side; calls that may fail return MG_OK or a negative mg_rc: hand it on */
	size_t size;
	void *(*alloc)(struct mg_call *c, size_t len);		/* zeroed, ends with the attempt, nobody frees it; NULL: none left */
	int (*fail)(struct mg_call *c, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));	/* says why, returns rc */
	struct mg_view (*request)(struct mg_call *c);		/* the canonical request of this operation */
	struct mg_view (*endpoint)(struct mg_call *c);		/* the catalogue row: model, quirks, options; no secret */
	struct mg_view (*parse)(struct mg_call *c, struct mg_str json);		/* JSON inside JSON */
	enum mg_kind (*kind)(struct mg_view v);
	struct mg_view (*get)(struct mg_view v, const char *member);	/* of absent: absent, so chains need no checks */
	struct mg_view (*at)(struct mg_view v, size_t i);	/* i-th item or member, O(i): walk with next */
	struct mg_view (*next)(struct mg_view v);
	struct mg_str (*name)(struct mg_view v);		/* a member's */
	struct mg_str (*text)(struct mg_call *c, struct mg_view v);	/* a string unescaped, a number as written; else absent */
	struct mg_str (*raw)(struct mg_view v);			/* the bytes as they came */
	bool (*count)(struct mg_view v, uint64_t *n);		/* a whole number from 0 on; else false, and *n stays */
	struct mg_str (*blob)(struct mg_call *c, struct mg_view v);	/* bytes behind base64, a data: URL or an uploaded part */
	struct mg_writer *(*writer)(struct mg_call *c);		/* a JSON text in the pool; its errors stick until written() */
	void (*open)(struct mg_writer *w, const char *name, char bracket);	/* '{' or '['; name: NULL at the top and in arrays */
	void (*close)(struct mg_writer *w);
	void (*put)(struct mg_writer *w, const char *name, struct mg_str text);	/* escaped; absent: writes nothing */
	void (*put_raw)(struct mg_writer *w, const char *name, struct mg_str json);	/* byte for byte; absent: writes nothing */
	void (*put_int)(struct mg_writer *w, const char *name, int64_t n);
	struct mg_str (*written)(struct mg_writer *w);		/* absent: no memory left, or brackets do not match */
	int (*header)(struct mg_call *c, const char *name, struct mg_str value);	/* CR, LF, NUL are refused (R15) */
	int (*auth)(struct mg_call *c, enum mg_auth how, const char *arg);	/* the core adds the secret behind the plugin's back */
	int (*status)(struct mg_call *c);			/* HTTP status of the answer; 0 before it */
	struct mg_str (*answer)(struct mg_call *c, const char *header);
	int (*emit)(struct mg_call *c, const struct mg_event *e);	/* reads e before it returns */
	int (*follow)(struct mg_call *c, const struct mg_http *next, uint32_t after_ms);	/* one more exchange: upload, poll; path is copied */
	/* Instead of written(), for mg_http: large values of the request are not copied (put, put_raw), but pieces of
	 * their own; n: how many.  NULL: as written(). */
	const struct mg_str *(*pieces)(struct mg_writer *w, size_t *n);
};
enum { MG_OP_INLINE = 1 };	/* https URLs in the request are data: URLs when it is asked, fetched (R37); quirk "urls" wins */
struct mg_operation {		/* callbacks return MG_OK or a negative mg_rc */
	size_t size, state_size; enum mg_op op; enum mg_framing plain, stream; unsigned flags;
	int (*request)(struct mg_call *c, struct mg_http *out);		/* first, once */
	int (*frame)(struct mg_call *c, const struct mg_frame *f);	/* whole ones, in order; RAW: as they arrive */
	int (*finish)(struct mg_call *c);				/* clean end of a 2xx: was the answer complete? */
	const char *surface;	/* pass-through: "chat", "messages", "responses", whose frames these are already; NULL: never */
	int (*meter)(struct mg_call *c, const struct mg_frame *f);	/* pass-through: usage, limit, finish and error events only */ };
struct mg_provider { size_t size;
	const struct mg_operation *const *ops;	/* ended by NULL; more come without a new ABI */
	int (*failure)(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out);	/* not 2xx, or a failed frame; pure */ };
struct mg_store;
struct mg_plugin {
	uint32_t magic; uint16_t major, minor; size_t size;
	const char *name, *version, *about;	/* [a-z0-9-]+, the dialect in the configuration; SemVer; one line */
	const struct mg_provider *provider; const struct mg_store *store;	/* one of the two; the latter: sdk/moongate_store.h */ };

/* What may be a constant: MG_STR("POST"). */
#define MG_STR(literal)	((struct mg_str){ (literal), sizeof(literal) - 1 })

static inline bool mg_is(struct mg_str s, const char *word)
{
	return s.at && strlen(word) == s.len && !memcmp(s.at, word, s.len);
}

/* Defines the plugin's one exported symbol; the arguments are designated
 * initializers of struct mg_plugin from `name` on. */
#define MG_PLUGIN(...)							\
	__attribute__((visibility("default")))				\
	const struct mg_plugin *mg_plugin_entry(void);			\
	const struct mg_plugin *mg_plugin_entry(void)			\
	{								\
		static const struct mg_plugin self = {			\
			.magic = MG_MAGIC, .major = MG_ABI_MAJOR,	\
			.minor = MG_ABI_MINOR,				\
			.size = sizeof(struct mg_plugin), __VA_ARGS__ };	\
		return &self;						\
	}

#endif
