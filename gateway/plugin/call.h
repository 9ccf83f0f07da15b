/*
 * call.h - the host's side of one attempt: what a plugin sees behind
 * struct mg_call, and the checks on what it does (R70).
 *
 *	call_init() -> call_request() -> [exchange] -> call_frame(), or call_meter() ...
 *		-> call_finish(), or call_failure() when the status is not 2xx
 *
 * Everything is in the attempt's pool.  Used by the relay and by the SDK's rig.
 */
#ifndef PLUGIN_CALL_H
#define PLUGIN_CALL_H

#include "base/json.h"
#include "base/pool.h"

enum { CALL_HEADERS = 32,
	/* What a plugin may that does not know where to stop (R70).  Bytes of one callback's events, for a whole answer and for
	 * a frame of a stream, whatever little is in each; tool calls of an answer; exchanges that follow with hardly a wait,
	 * which a list of a hundred pages is, too. */
	CALL_ANSWER = 96 << 20, CALL_FRAME = 48 << 20, CALL_EVENT = 256, CALL_TOOLS = 1024, CALL_HURRIED = 128, CALL_HURRY_MS = 100 };

struct call {
	struct mg_call mg;		/* first: the plugin holds a pointer to it */
	struct pool *pool;		/* borrowed */
	const struct mg_plugin *plugin;
	const struct mg_operation *op;
	struct mg_view request, endpoint;
	const char *secret;		/* the credential; NULL: none.  Never shown to the plugin */
	bool streamed;
	unsigned inside;		/* which callback is running; 0: none */
	/* what the plugin asked for */
	struct mg_str headers[CALL_HEADERS];	/* "name: value", the secret's included */
	size_t n_headers;
	struct mg_str url_query;	/* "key=..." of MG_QUERY, to append */
	const char *scope;		/* a token is got for it before it is sent; "": the credential's own; NULL: none is needed */
	struct mg_str token; size_t token_at;	/* what the token server gave, and its header, from 1; 0: it is none */
	const char *sign; size_t n_signed;	/* AWS service to sign for when it is sent; headers that signing added last */
	struct err err;			/* why the last callback failed */
	struct mg_http follow; uint32_t follow_ms; bool follows;
	unsigned hurried;		/* exchanges that followed with less than CALL_HURRY_MS between */
	/* the answer */
	int status;
	struct mg_str (*answer)(void *arg, const char *header);
	int (*emit)(void *arg, const struct mg_event *e);	/* the host's consumer; < 0 stops the callback */
	void *arg;			/* of answer and emit */
	size_t said, say_max;		/* bytes that this callback has emitted, and may */
	int refused;			/* an event of this callback was not taken: it has failed, whatever it returns */
	bool finished;			/* a FINISH or ERROR event was emitted */
	bool failed;			/* it was an ERROR: what comes behind it is dropped */
	struct mg_writer no_writer;	/* what writer() gives when there is no memory: takes nothing */
};

const struct mg_operation *plugin_operation(const struct mg_plugin *p, enum mg_op op);	/* NULL: it cannot */
/* MG_EINVAL: the plugin has no such operation; MG_ENOMEM. */
int call_init(struct call *c, struct pool *pool, const struct mg_plugin *plugin, enum mg_op op, bool streamed,
	struct mg_view request, struct mg_view endpoint, const char *secret);
/* The upstream request.  A body without a Content-Type header is given application/json. */
int call_request(struct call *c, struct mg_http *out);
/* One whole frame of a 2xx answer; MG_EPROTO and friends: c->err says why. */
int call_frame(struct call *c, enum mg_framing framing, struct mg_str event, struct mg_str data);
/* Pass-through: the plugin reads usage, finish and errors; then the parsed frame goes to
 * pass (NULL: to nobody), unless the plugin refused it.  A view of a whole answer (MG_JSON)
 * lives as long as the pool, if its text does. */
int call_meter(struct call *c, enum mg_framing framing, struct mg_str event, struct mg_str data,
	void (*pass)(void *arg, struct mg_view frame), void *arg);
int call_finish(struct call *c);
/* Not 2xx, or a frame that failed.  Always fills out: a plugin's refusal or nonsense gives MG_E_UPSTREAM by status. */
void call_failure(struct call *c, enum mg_framing framing, struct mg_str body, struct mg_failure *out);

bool call_has_header(const struct call *c, const char *name);	/* capitals or not */
const char *error_kind_name(enum mg_error kind);	/* "rate_limited": err.kind of policies */

#endif
