/*
 * relay.h - one request's life: route, hold, attempt, fail over, stream,
 * cancel, settle.
 *
 *	relay_start() -> route -> hold -> attempt -> ... -> settle -> surface->finish()
 *	                              ^        |
 *	                              +-- next-+   while nothing reached the client
 *
 * The surface turns canonical events into its own wire.  It is called in this
 * order: begin, event*, then exactly one of finish (all is well) or broken (after
 * begin); or refused, alone, when nothing was sent yet.  The record is in the
 * journal before finish and broken are called (R43), so the last chunk is honest.
 */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include "ledger/generation.h"
#include "net/loopback.h"
#include "plugin/call.h"
#include "policy/metadata.h"
#include "relay/gateway.h"

enum { ATTEMPTS_MAX = 6, ATTEMPT_ID = 64, OUTPUT_BYTES_A_TOKEN = 4 };

struct relay;

/* An answer that is no answer: status and the wire's words. */
struct refusal {
	int status;
	char message[400];
	const char *error_type;		/* F1: "rate_limit_exceeded"; NULL: none */
	const char *availability;	/* F2: "no_endpoints"; NULL: none */
	const char *excluded;		/* excluded_by of F2: words, with blanks between; NULL: none */
	bool retryable;
	unsigned retry_after_s;		/* 0: not said */
	uint64_t retry_after_ms;	/* the same, exactly; 0: as above */
	bool limited;			/* a limit of this gateway was hit (A3) ... */
	uint64_t limit;			/* ... which is this; 0: not said */
	const char *limit_source;	/* whose money was not enough: "openrouter_key_limit", "openrouter_credits"; NULL: it was not that */
	int64_t limit_nusd, spend_nusd, resets_ms;	/* of a key's limit; resets_ms: Unix, 0: never */
	/* what a provider said, redacted and cut; absent: it was not a provider */
	const char *provider_name, *provider_code, *raw;
	bool is_byok;			/* ... at an account of the customer's own */
	bool previous;			/* add previous_errors from the relay's attempts */
	struct mg_str allow;		/* of a 405: the methods that there are; else absent */
};

/* The last chunk's facts. */
struct closing { enum mg_finish finish; struct mg_str native; const struct mg_usage *usage; const struct bill *bill; };

struct surface {
	const char *api;		/* facts.api: "chat" */
	enum mg_op op;
	const char *api_type;		/* of the generation record: "completions" */
	void (*begin)(struct relay *r);
	void (*event)(struct relay *r, const struct mg_event *e);
	/* Pass-through, of frames in the surface's own dialect: the bytes of output in one, and
	 * the frame to the client.  NULL: the surface has none. */
	uint64_t (*weigh)(struct mg_view frame);
	void (*pass)(struct relay *r, struct mg_view frame);
	void (*comment)(struct relay *r);	/* a sign of life, in a stream; NULL: the wire has none */
	void (*reset)(struct relay *r);		/* forget what was gathered: another attempt follows */
	void (*debug)(struct relay *r, struct mg_str upstream_body);	/* E21; NULL: never */
	void (*finish)(struct relay *r, const struct closing *c);
	void (*broken)(struct relay *r, const struct closing *c, const struct refusal *why);
	void (*refused)(struct relay *r, const struct refusal *why);
};

struct attempt;

/* What became of an attempt; status 0: no HTTP answer came. */
struct tried { const struct endpoint *endpoint; int status; bool ok, hedge, lost; enum mg_error kind; struct mg_str code; uint64_t ms;
	bool sent; int64_t sent_ms; uint64_t bytes; };	/* sent_ms: Unix; bytes: of the body, that have left; if it was sent */

/* What an attempt cost that did not win. */
struct loss { int64_t nusd; enum usage_source source; };

struct race;

struct relay {
	struct worker *w;
	struct http_request *http;	/* its pool is ours */
	struct pool *pool;
	struct snapshot *snap;
	struct pinned_policy *policy;
	const struct key_facts *key;	/* in the same pool */
	const struct surface *surface;
	const char *route;		/* that the client asked for: a literal of the table of routes */
	void *state;			/* the surface's */
	struct mg_view request;		/* canonical */
	struct mg_view asked;		/* the same as the next attempt's upstream takes it; inline.h */
	struct inlined *inlined;	/* what was fetched for it; NULL: nothing */
	struct asking *asking;		/* for a policy that waits; NULL: none */
	bool stream;
	bool metadata, echo;		/* X-OpenRouter-Metadata: enabled; debug.echo_upstream_body */
	bool translate;			/* no pass-through: something is left out of the answer */
	struct decision d;
	struct hold hold;
	char id[40];			/* gen-... */
	int64_t created_ms;		/* Unix */
	uint64_t began_us, first_us;	/* first_us: the first output event; 0: none yet */

	struct attempt *now;		/* it runs, and of several (race.c) the one that spoke last */
	struct race *race;		/* NULL: no hedge is planned */
	struct timer step;		/* runs the next attempt, outside callbacks */
	struct timer beat;		/* a comment for a client that waits (R18) */
	uint64_t alive_ms, wrote_ms;	/* between comments, 0: there are none; last output */
	size_t next;			/* in d.order */
	struct tried *tried;		/* grows as attempts end: most requests have one */
	unsigned n_tried, n_intents;	/* n_intents: in the journal; some of those did not begin */
	const struct refusal *last;	/* why the last attempt failed; NULL: none did */
	enum mg_error last_kind;
	const struct endpoint *endpoint;	/* the winner */
	const char *refused;		/* the word for why, if it was; static */
	struct mg_str upstream_id;
	bool admitted, opened, committed, ended, cancelled, settled, full;	/* opened: the 200 is out; committed: so is output */
	const struct provider *unattended;	/* of a stream whose client left, and that is read to its end: gone.c; else NULL */
	uint64_t output_bytes;		/* delivered, for counting what nobody reported (R44) */
	uint64_t output_max;		/* of a stream: past so many it is full (max_charge_nusd of the plan) */
	int64_t loss_nusd;		/* attempts that failed and cost something (R47) */
	struct mg_usage usage; bool usage_reported, usage_doubted;	/* doubted: more was reported than is believed */
	enum mg_finish finish; struct mg_str native;
	uint64_t started_us, sent_us;	/* when the relay began, and the first attempt was sent; 0: not yet */
	uint64_t settled_us; int status; const char *outcome; int64_t charge_nusd; uint64_t overhead_us;	/* once it is settled */
	uint64_t translate_us, relay_us;	/* own time: making upstream requests; all else up to sent_us */
	struct { struct confided referer, title, agent, request_id, user, session, traceparent; } client;
	const char *name;		/* by which logs name it: the client's request id where they may, else id */
};

/* r: zeroed, in http's pool, with w, http, pool, key, surface, request, stream and d.facts
 * filled by the surface.  From here on the relay answers, sooner or later. */
void relay_start(struct relay *r);
void relay_gone(struct relay *r);	/* the client left; gone.c */
void relay_drained(struct relay *r);	/* its buffer has room again */
void relay_cut(struct relay *r);	/* the drain's deadline: end it with an error event */
void relay_release(struct relay *r);	/* from http's ended(): pins and timers go; memory with the pool */

/* ---- between the relay's own files */
struct candidate *choice_next(struct relay *r);	/* NULL: nobody is left */
void choice_count(const struct relay *r, const struct endpoint *e);	/* it is tried now */
bool choice_may(const struct relay *r, const struct candidate *c);	/* by the bounds of attempts and retries */
struct candidate *choice_take(struct relay *r, size_t i);	/* the i-th of d.order is tried now; those before it keep their order behind it */
unsigned choice_tries(const struct relay *r, const struct endpoint *e);	/* of this request, there */
bool choice_again(struct relay *r, const struct endpoint *e);	/* it is tried next once more, if it may be */
void choice_tried_last(struct relay *r);	/* of an order that was made anew (R32) */
unsigned choice_most(const struct relay *r);
unsigned choice_most_per_model(const struct relay *r);
struct attempt *attempt_start(struct relay *r, const struct candidate *c, struct err *err);	/* NULL: it could not begin */
void attempt_cancel(struct attempt *a);		/* closes the upstream now */
struct pool *attempt_lose(struct attempt *a);	/* the same, but its memory: the caller's, to free when the loop has turned */
void attempt_pause(struct attempt *a);		/* no more data until attempt_resume() */
void attempt_resume(struct attempt *a);
const struct endpoint *attempt_endpoint(const struct attempt *a);
int attempt_status(const struct attempt *a);	/* HTTP; 0: no answer yet */
uint64_t attempt_began_us(const struct attempt *a);	/* when it was sent; before that, when it was made */
uint64_t attempt_us(const struct attempt *a);		/* since then */
void attempt_told(const struct attempt *a, struct tried *t);	/* what of the request went upstream */
bool attempt_stale(const struct attempt *a);	/* it ended with a kept connection, before an answer began */
bool attempt_sent(const struct attempt *a);	/* false: it stands in line, nothing went upstream */
void relay_event(struct relay *r, struct attempt *a, const struct mg_event *e);
void relay_pass(struct relay *r, struct attempt *a, struct mg_view frame);
void relay_attempt_done(struct relay *r, struct attempt *a);
void relay_attempt_filled(struct relay *r, struct attempt *a);
void relay_attempt_failed(struct relay *r, struct attempt *a, const struct mg_failure *f, const char *phase);

/* gone.c */
void gone_answered(struct relay *r);	/* the answer to a client that left: none */
void gone_release(struct relay *r);

/* tried.c: the books of attempts. */
void tried_add(struct relay *r, const struct attempt *a, const struct tried *t);
void tried_failed(struct relay *r, struct attempt *a, const struct mg_failure *f);
void tried_cancelled(struct relay *r, struct attempt *a, const char *why);	/* the caller ends it */
int tried_intent(struct relay *r, const struct endpoint *e, struct err *err);	/* of the next attempt, into the journal (R43) */
bool tried_launch(struct relay *r, struct candidate *c, struct err *err);	/* as r->now; false: it could not begin */

/* race.c: hedges.  All but race_arm() and race_running() only where r->race is. */
void race_arm(struct relay *r);			/* r->now has begun, alone: it may be late */
void race_turn(struct relay *r, struct attempt *a);	/* a speaks: it is r->now, with what it said before */
void race_won(struct relay *r);			/* r->now brings the first output: the others are cancelled */
bool race_goes_on(struct relay *r, struct attempt *a, const char *result);	/* a has ended without output; true: another one runs, as r->now */
void race_narrow(struct relay *r);		/* one goes on, one that was sent if there is any */
void race_drained(struct relay *r);		/* whoever was paused goes on */
void race_step(struct relay *r);		/* what a hedge waited for may be there */
void race_release(struct relay *r);
unsigned race_running(const struct relay *r);
bool race_at(const struct relay *r, const struct provider *p);		/* does one run at that upstream? */
unsigned race_on(const struct relay *r, const struct model *m);		/* how many run on it */
bool race_hedged(const struct relay *r);	/* did a hedge begin? */
bool race_is_hedge(const struct relay *r, const struct attempt *a);

void refusal_of_policy(struct relay *r, const char *hook, struct refusal *out);	/* a hook failed, and nothing is left */
void refusal_of_failure(struct relay *r, const struct endpoint *e, const struct mg_failure *f, int status, struct refusal *out);

/* What refuse_upstreams() will say; kept in the pool. */
void relay_remember(struct relay *r, const struct refusal *why);

/* Ends without an answer: settled, and the client told; once. */
void refuse_denied(struct relay *r, const struct denial *no);
void refuse_money(struct relay *r, const struct scope *scope);		/* the scope that had too little */
void refuse_store(struct relay *r, const struct err *err);
void refuse_upstreams(struct relay *r);		/* every attempt failed, or none could begin */

/* false: the request is refused, or a policy waits for an answer (d.waits): r->step comes once it is there. */
bool relay_decide(struct relay *r);
void lookup_stop(struct relay *r);		/* nobody waits any more */

void relay_log(struct relay *r);		/* the access line, when all has been delivered */

/* "gen-...-2": of the n-th attempt that had an intent, from 1. */
const char *relay_attempt_id(const struct relay *r, unsigned n, char out[static ATTEMPT_ID]);
uint64_t relay_deadline_ms(const struct relay *r, const struct provider *p);	/* for all of the request, counted from its begin */
bool relay_has_time(const struct relay *r);
/* The estimate that is held: prompt as counted, output to the limit. */
void relay_estimate(const struct relay *r, const struct endpoint *e, struct mg_usage *out);
int hold_estimate(struct relay *r, const struct endpoint *e, struct amount *a);	/* its price; MG_EINVAL: none is known (R49) */
/* The first attempt takes the hold, a dearer one raises it to that, before any byte goes upstream.  false: which refused. */
bool hold_for(struct relay *r, struct amount a, struct scope **which);
bool hold_pays_prompt(struct relay *r, const struct endpoint *e);	/* false: the prompt alone passes max_charge_nusd of the plan */
uint64_t hold_output_max(struct relay *r);	/* bytes of output that the plan pays for; UINT64_MAX: any */
/* What an attempt cost that did not win, from its usage: before that is forgotten.  prompt: it was read, if nothing else is known. */
struct loss relay_lose(struct relay *r, const struct endpoint *e, bool prompt);
/* Bills the winner, ends the hold, writes the record.  Once. */
void relay_settle(struct relay *r, int status, const char *outcome);

#endif
