/*
 * policy.h - Lua policies: facts in, decisions out.
 *
 * A bundle is the immutable text of its files, shared; a state is one lua_State
 * of one bundle on one worker.  Each request makes one decision, in its pool,
 * which the hooks fill and which remembers what each of them said: it is what
 * `policy explain` and the router metadata print.  A hook that raises, loops or
 * answers nonsense has the outcome of the table in policies' documentation: filters
 * closed, ranking skipped, list price; nothing here fails a request by itself.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <jansson.h>
#include "base/err.h"
#include "base/keep.h"
#include "base/pool.h"
#include "base/money.h"
#include "moongate_store.h"
#include "catalog/live.h"
#include "ledger/scope.h"
#include "catalog/snapshot.h"

/* ---- the request, as policies see it (req); strings are borrowed from its pool */
struct words { const struct mg_str *at; size_t n; };
struct number { bool set; double n; };
struct prefs {				/* the `provider` object */
	struct words order, only, ignore, quantizations, guards;
	bool allow_fallbacks, require_parameters, deny_data_collection, zdr, distillable;
	struct mg_str sort_by, partition, service_tier;		/* "", "price" ...; "model", "none"; "default" ... */
	struct number max_prompt, max_completion, max_request, max_image, max_audio;	/* USD per million tokens; USD */
	struct number latency_s[4], throughput_tps[4];		/* p50 p75 p90 p99 */
};
extern const struct prefs prefs_none;	/* of who asks for nothing */
struct features { uint64_t prompt_tokens, max_tokens, messages, turns, images, audio_s, files, tools, code_blocks, user_chars;
	bool json_schema; struct mg_str reasoning; };
struct facts {
	struct mg_str id, api, model, variant, session, data_class, policy;
	struct words models;		/* in order, as sent, variants removed */
	struct words variants;		/* slug, variant, slug, variant ...: where the variants differ; else none */
	struct words params;		/* names of the members in use that an endpoint may or may not support */
	struct words plugins;		/* ids of those that are asked for; a model's :online asks for "web" */
	struct words labels;		/* name, value, name, value ... */
	struct words auto_allowed, auto_excluded;	/* of the auto-router plugin: patterns of models, where somebody else chooses */
	struct mg_str auto_tier;	/* "low", "medium", "high", "xhigh", "max"; "": not said */
	bool listed;			/* the catalogue has the first of models */
	int64_t now_ms; uint64_t seed;
	bool stream;
	struct prefs prefs;
	struct { struct mg_str id, org, workspace, user, plan; struct words labels; int64_t credits_bought_nusd; } key;
	struct features feat;
};

/* ---- what the hooks decide */
struct candidate {
	const struct endpoint *endpoint;
	struct live_facts live;
	const char *dropped;		/* why, or NULL: it is in the order */
	const char *by;			/* "or_eligibility.lua:41" */
	unsigned rank;			/* 1 is first; 0: not ranked */
	uint32_t drawn_ppm;		/* how likely the last draw was that came to it, in millionths; 0: none did */
	bool passed;			/* every filter said yes; routing.c alone sets it */
	bool lot;			/* a draw could have come to it */
};
struct denial { int status; unsigned retry_after_s; uint64_t limit; /* that was hit; 0: none is said */ char code[64], message[200], by[96];
	char excluded[160]; };	/* where filters left nothing: what they went by, in the bundle's words, with blanks between */
struct plan { uint64_t deadline_ms, connect_ms, first_output_ms, idle_ms; unsigned attempts, attempts_per_model;
	uint64_t hedge_after_ms; unsigned hedge_extra; struct mg_str sticky_key; uint64_t sticky_ttl_s; int64_t max_charge_nusd; };	/* 0: not said */
struct attempt_error { const struct endpoint *endpoint; enum mg_error kind; int status; bool retryable; unsigned n, tries_here;
	const char *phase; uint32_t retry_after_ms; uint64_t bytes_sent, elapsed_ms, deadline_ms; };
struct action { enum { ACT_NEXT, ACT_RETRY, ACT_MODEL, ACT_STOP } what; enum { SKIP_NOTHING, SKIP_MODEL, SKIP_PROVIDER } skip;
	uint64_t after_ms; struct mg_str model; };
struct bill_line { const char *code; uint64_t qty; int64_t rate_pusd; money_sum pusd; enum { SIDE_COST, SIDE_CHARGE, SIDE_CUSTOMER } side; };
/* cost: what the upstream takes of us; own: what it takes of the customer, at an account of his (is_byok);
 * prompt and completion: parts of either. */
struct bill { size_t n; int64_t cost_nusd, own_nusd, charge_nusd, prompt_nusd, completion_nusd; bool needs_rating, is_byok; struct bill_line lines[48]; };
/* Lines are only read below n: zeroing them, too, costs more than the whole bill. */
static inline void bill_clear(struct bill *b) { memset(b, 0, offsetof(struct bill, lines)); }
/* What is held for it, and posted. */
static inline struct amount bill_amount(const struct bill *b) { return (struct amount){ b->charge_nusd, b->charge_nusd + b->own_nusd }; }
struct outcome { int status; const char *kind; const struct endpoint *endpoint; unsigned attempts;
	uint64_t ttft_ms, latency_ms; const struct mg_usage *usage; const struct bill *bill; bool hedged, sticky_hit; };

/* What a policy in shadow would have said, for each of its hooks.  Counts are calls, or candidates of a filter. */
enum { SHADOW_KINDS = 6 };
struct shadowed { const char *hook, *by; unsigned asked, differed, failed; int64_t charge_nusd;	/* of all bills, above what was charged */
	struct { const char *what; unsigned n; } kinds[SHADOW_KINDS]; size_t n_kinds; struct shadowed *next; };
/* What admit or resolve waits for: a call that the configuration names. */
struct question { const json_t *call; struct mg_str arg; uint64_t ms; };	/* arg: JSON, or what the query's member is to be; ms: at most */

/* What decided, besides the request: it is written down as it is read, so that the same can be decided again. */
struct consulted { const char *function; struct mg_str asked, said;	/* JSON, without the brackets */
	bool given; struct consulted *next; };
/* A failure, as on_error saw it, and what followed. */
struct failed { struct attempt_error error; unsigned candidate, routing; const unsigned *rest; size_t n_rest;
	struct action action; const char *by; struct failed *next; };
/* Candidates that another model's took the place of. */
struct routing { struct words models; struct candidate *candidates; size_t n; struct candidate **order; size_t n_order; struct routing *next; };
struct asked { struct words models; struct prefs prefs; };

struct decision {
	struct pool *pool;
	struct facts facts;		/* filled by the caller before the first hook; resolve changes models and prefs */
	struct candidate *candidates; size_t n;	/* every one that was looked at, in catalogue order, per model in turn */
	struct candidate **order; size_t n_order;	/* survivors, best first */
	struct plan plan;
	struct keep keep;		/* nothing before policy_retain() */
	bool policy_error;		/* errors alone emptied the list */
	struct drawn { bool any; uint32_t ppm; } drawn;	/* any: the first routing's first choice was one of those that were drawn from; ppm 0: another was drawn */
	struct lot *lots;		/* of a replay: those draws */
	const struct endpoint *unshaped;	/* the last one that a failing shape skipped; NULL: none */
	struct note { const char *hook, *by, *text; struct note *next; } *notes, **notes_end;	/* note(...), and each policy's own line */
	struct shadowed *shadowed;	/* in the order in which they ran */
	uint64_t lua_us; long fuel, shadow_fuel;
	const json_t *conf;		/* the configuration, for lookup(); NULL: nobody is asked, it gives its fallback */
	struct scope *purse, *tenant, *balance;	/* for budget.*: of the key, of its workspace, and the credits; NULL: none */
	struct scope *own_purse;	/* ... and where the workspace's own accounts are counted, also those of none */
	struct waiting *waits;		/* admit or resolve waits: see policy_question() */
	uint64_t waited_us[2];		/* by admit and resolve, for answers */
	const char *strategy;		/* what resolve said: "auto" ...; NULL: nothing */
	unsigned errors;		/* hooks that failed */
	const struct asked *asked;	/* what the policies and the catalogue's aliases changed, as it was; NULL: nothing */
	struct words aliases;		/* name, slug, name, slug ...: models that were asked for by another name */
	struct refused { const char *hook, *code, *by; int status; } refused;	/* hook NULL: it was not */
	struct routing *routings, **routings_end; unsigned n_routings;
	struct failed *failures, **failures_end;
	struct consulted *readings, **readings_end, *given; unsigned n_readings;	/* given: of the record, when it is decided again */
	bool alias, resolved, keep_said, denied;		/* a model was named by an alias; a policy chose the models; admit said no */
	uint64_t stamp;			/* of this decision, for the states' caches; decision_init() */
};
void decision_init(struct decision *d, struct pool *pool);
/* A line of the record that no policy says; hook is a constant, by is copied. */
void decision_note(struct decision *d, const char *hook, const char *by, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* ---- bundles and states */
struct bundle;
/* dir: the operator's, or NULL for the base alone; base_dir: where the shipped
 * bundles lie (a folder that has openrouter/).  Reads everything, compiles, runs
 * each setup().  err: "or_ranking.lua:12: ...". */
int bundle_open(const char *dir, const char *base_dir, struct bundle **out, struct err *err);
int bundle_read(const char *dir, const char *base_dir, struct bundle **out, struct err *err);	/* files only: nothing runs */
int bundle_try(struct bundle *b, struct err *err);	/* what is missing to bundle_open() */
/* The same of an operator's own files, "name.lua" each; none: the base alone.  Texts are copied. */
struct bundle_text { const char *name; struct mg_str text; };
int bundle_make(const struct bundle_text *own, size_t n, const char *base_dir, struct bundle **out, struct err *err);
/* Each own file, until fn returns false. */
void bundle_each(const struct bundle *b, bool (*fn)(void *arg, const char *name, struct mg_str text), void *arg);
struct bundle *bundle_ref(struct bundle *b);
void bundle_unref(struct bundle *b);
/* The models that its policies answer for, to whom belongs to these ("": to none): {"slug","name","description","models":[...]}.
 * The bundle was opened; rows are its. */
size_t bundle_routers(const struct bundle *b, const char *org, const char *workspace, const char *key, const json_t **out, size_t max);
const char *bundle_hash(const struct bundle *b);	/* 64 hex digits */
long bundle_max_stale_s(const struct bundle *b);	/* how long its folder may be away; 0: for ever */
/* Both were opened: guards of `of` that b has not; names gets them, with commas, cut to size. */
bool bundle_lacks_guards(const struct bundle *b, const struct bundle *of, char *names, size_t size);
/* b, and above its own the guards of `of` with all that they use, under guards/: to be tried. */
int bundle_with_guards(const struct bundle *b, const struct bundle *of, struct bundle **out, struct err *err);
/* Why it should not go on: too many of its hook calls failed (circuit.c).  NULL: it may.  Any thread. */
const char *bundle_tripped(const struct bundle *b);

struct policy_state;
struct policy_state *policy_state_new(struct bundle *b, struct err *err);
/* Of requests that nobody made: with a copy of what the others share, which takes from nobody, and logs nothing.  Any thread. */
struct policy_state *policy_state_apart(struct bundle *b, struct err *err);
void policy_state_free(struct policy_state *s);
size_t policy_state_heap(const struct policy_state *s);	/* bytes */
bool policy_may_be_named(const struct policy_state *s, struct mg_str name);	/* by a request: it is in request.allow */

/* ---- the hooks, in the order of a request's life */
/* admit and resolve may wait where conf is set: false and d->waits.  Then this is asked, answered, and the same hook called again. */
const struct question *policy_question(const struct decision *d);
void policy_answer(struct decision *d, struct mg_str text, const char *error);	/* text absent: error says why */
void policy_abandon(struct policy_state *s, struct decision *d);	/* the request ends; nothing happens where nobody waits */
int policy_conf_check(const json_t *conf, struct err *err);	/* of the whole configuration: policy.lookups and labels */
const char *label_member(const char *source);	/* of one of policy.labels: the member of metadata that it is; NULL: the header of that name */

/* What a client is told of a hook that failed: which, and by which name the log has the rest of it; never the line. */
void policy_failed(const struct decision *d, const char *hook, struct denial *no);
bool policy_admit(struct policy_state *s, struct decision *d, struct denial *no);	/* false: no says why */
void policy_retain(struct policy_state *s, struct decision *d);
bool policy_resolve(struct policy_state *s, struct decision *d, struct denial *no);
/* Expands facts.models from the catalogue, filters, ranks: fills candidates and order.  False: nothing
 * is left; no holds the answer (404 with reasons by count, 503 policy_error, 400 unknown model). */
bool policy_route(struct policy_state *s, struct decision *d, const struct catalog *c, struct denial *no);
/* May content of this request go there?  Only to what came through all filters as they answered last: whoever
 * begins an attempt asks, so that no way to an endpoint, whoever writes it, leads around them. */
bool decision_passed(const struct decision *d, const struct candidate *c);
/* The same with another model, as on_error said. */
bool policy_reroute(struct policy_state *s, struct decision *d, const struct catalog *c, struct mg_str model, struct denial *no);
void policy_plan(struct policy_state *s, struct decision *d);
/* members of the canonical request to set (JSON text) or drop at this attempt; false: skip the endpoint. */
struct shape { struct shape_edit { struct mg_str name, value; } edits[16]; size_t n; };	/* value absent: drop */
bool policy_shape(struct policy_state *s, struct decision *d, const struct endpoint *e, struct shape *out);
/* rest: what could follow.  ACT_MODEL: the caller routes again. */
void policy_on_error(struct policy_state *s, struct decision *d, const struct attempt_error *e,
	struct candidate *const *rest, size_t n, struct action *out);
/* estimated: before the call.  Always fills bill; -1 only when the endpoint has no price (R49). */
int policy_price(struct policy_state *s, struct decision *d, const struct endpoint *e, const struct mg_usage *u, bool estimated, struct bill *bill);
void policy_observe(struct policy_state *s, struct decision *d, const struct outcome *o);

/* ---- the record */
/* The record as the store keeps it: the state's, until the next one.  NULL: no memory.  It names endpoints by a hash;
 * what the store may not have yet is told first, and again if tell() says that it was not kept. */
typedef bool endpoint_teller(void *arg, const struct mg_store_endpoint *row);
const char *decision_record(struct policy_state *s, const struct decision *d, endpoint_teller *tell, void *arg);

/* Whatever a policy shares over requests and workers (limits, counters, sticky): one a process. */
void policy_shared_init(void);

#endif
