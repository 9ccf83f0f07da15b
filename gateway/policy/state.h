/*
 * state.h - one lua_State of one bundle on one worker: what the sources of this
 * floor share with each other, and with replay and author above; nobody else sees it.
 */
#ifndef POLICY_STATE_H
#define POLICY_STATE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>
#include "base/buf.h"
#include "policy/policy.h"

enum hook { HOOK_ADMIT, HOOK_RETAIN, HOOK_RESOLVE, HOOK_FILTER, HOOK_RANK, HOOK_PLAN, HOOK_SHAPE, HOOK_ON_ERROR,
	HOOK_PRICE, HOOK_OBSERVE, HOOK_COUNT, HOOK_NONE = HOOK_COUNT };
extern const char *const hook_names[HOOK_COUNT];
enum scope_kind { IN_GUARD, IN_DEFAULT, IN_ORG, IN_WORKSPACE, IN_KEY, IN_REQUEST, IN_COUNT };
extern const char *const scope_names[IN_COUNT];
enum { ENTRIES_MAX = 64, SCORES_MAX = 16, LOOSE_MAX = 16, TREE_BYTES = 64, STICKY_MAX_S = 30 * 86400, SETUP_FUEL = 1000000, SETUP_BYTES = 8 << 20, CACHED_MAX = 500, TOLD_MAX = 256, FILE_MAX = 256 << 10, BUNDLE_MAX = 2 << 20, ALL_BPS = 10000, STRING_MAX = 64 << 10, NAME_BYTES = 64, SCOPE_BYTES = 80 };

/* A file of a bundle; the text is never changed. */
struct source { char *name, *text; size_t len; bool own; };	/* "or_ranking.lua"; own: not from the base */
/* Of a version on all workers: how many of its hook calls failed.  circuit.c */
struct circuit { _Atomic uint64_t calls, failures, requests, since_ms; _Atomic unsigned in_row; atomic_flag opening; atomic_bool open;
	char why[200]; /* once it is open */ };
struct guard { char name[NAME_BYTES]; bool kept; };	/* kept: by a bundle that is older than it, below guards/ */
struct bundle {
	struct source *files; size_t n_files;
	struct guard *guards; size_t n_guards;	/* that stand in its guard chain; bundle_try() finds them */
	json_t *routers;		/* what its policies list: {slug, name, description, models, scope, id}; bundle_try() asks them */
	bool shipped;			/* a base alone, as this release has it */
	long max_stale_s;		/* 0: no limit */
	struct circuit circuit;
	char hash[65];
	int refs;
};
const struct source *bundle_file(const struct bundle *b, const char *name);	/* without ".lua" */
void bundle_place(const struct source *f, char *out, size_t size);	/* below its version's folder: "base/or_ranking.lua" */
int guards_take(const struct policy_state *s, struct bundle *b);	/* chain.c; MG_ENOMEM */
int routers_take(struct policy_state *s, struct bundle *b);	/* listing.c; -1 and s->error */

/* One line of bundle.lua's lists: a policy with its parameters. */
enum { COUNTERS_MAX = 8 };
struct entry {
	char name[NAME_BYTES], scope_id[SCOPE_BYTES];	/* a key's id has 64 digits */
	enum scope_kind scope;
	unsigned share_bps;		/* of the keys */
	char tree[TREE_BYTES];		/* where its files lie: "", or of a kept guard "guards/", "guards/guards/" ... */
	bool shadow, open, fails_own;	/* open: a failing admit lets pass; fails_own: its own line says so or not */
	bool waits;			/* it speaks of lookup(): admit and resolve run where they can wait */
	int my;				/* registry: what setup gave, read-only */
	int decl;			/* registry: the policy's own table */
	int with;			/* registry: the parameters that its line gives, or LUA_NOREF */
	int fn[HOOK_COUNT], when[HOOK_COUNT];	/* registry, or LUA_NOREF; when: does an endpoint concern the hook? */
	unsigned char args[HOOK_COUNT];	/* how many it takes */
	struct score { char name[24]; int fn; } scores[8]; size_t n_scores, score_at;	/* where its own begin in cached.score */
	struct memo *memo[HOOK_COUNT];	/* NULL: its answers are not remembered */
	struct limit *limits; size_t n_limits;
	struct counted { char name[NAME_BYTES]; int64_t window_ms; } counters[COUNTERS_MAX]; size_t n_counters;	/* window_ms: 0: it counts on */
	uint64_t sticky_s;		/* a plan for every session: who answers it is remembered for so long; 0: none */
	char at[HOOK_COUNT][NAME_BYTES + 16];	/* "or_eligibility.lua:41" */
	signed char order[HOOK_COUNT];	/* -1 first, 1 last */
	bool active;			/* for the request at hand */
};

/* Every full userdata of a state is one of these: a read-only sight of a table. */
enum sight { SIGHT_PLAIN, SIGHT_ENDPOINT, SIGHT_MIRROR, SIGHT_LIVE, SIGHT_VIEW, SIGHT_COLUMN };
struct proxy { enum sight kind; unsigned mark; const struct endpoint *endpoint; struct mirror *mirror; uint64_t route; };
struct live_sight { struct proxy head; unsigned wanted; struct live_facts facts; };

/* One table that shows a C struct, each time another one: request.c. */
enum { KEPT_BYTES = 94, MIRROR_MAX = 24 };
struct kept { short len; char text[KEPT_BYTES]; };	/* what the table shows, as bytes; len -1: too long to compare */
struct mirror { const char *called; const struct field *fields; const void *thing; int raw, eye; uint64_t wanted; struct kept kept[MIRROR_MAX]; };

struct cached { const struct endpoint *endpoint; int eye, live_raw; uint64_t used; struct live_sight *live;
	uint64_t owner;		/* the decision that a loose one is of; 0: the catalogue's */
	double score[SCORES_MAX]; unsigned scored;	/* a bit per score: it is known */
	uint64_t asked[HOOK_COUNT], concerned[HOOK_COUNT];	/* a bit per entry: what its `when` said */
	char hash[17]; bool told;	/* as records name it; the store has what that stands for */
	struct buf numbers; struct live_facts numbers_of; };	/* the text of what the rings said */

struct shared;
struct field;

/* What a call has of its fuel and memory; it goes on counting after a wait. */
struct spent { long fuel, fuel_max; size_t bytes, bytes_max; };

/* A hook that waits: waiting.c. */
enum { HOOK_WAITS = 1, LOOKUPS_MAX = 2, LOOKUPS_US = 250000, IDLE_MAX = 8, WAITING_MAX = 256, ANSWER_MAX = 16 << 10 };
struct waiting {
	struct entry *entry; enum hook hook;
	lua_State *co; int ref;
	uint64_t life;			/* of the state that the coroutine is of */
	struct spent spent;
	unsigned looked;		/* lookups of this call */
	bool resumed;
	struct question question; const char *name; struct mg_str key;	/* key: of what is kept */
	uint64_t asked_us;
	json_t *answer; const char *error;	/* one of them, once it is there; the pool's */
};

/* Of the calls of a hook the dearest: instructions, and bytes that were handed out. */
struct cost { unsigned calls; long fuel; size_t bytes; };

struct policy_state {
	lua_State *L;
	struct bundle *bundle;
	size_t heap, heap_max, spent, spent_max;	/* bytes live; handed out in this call */
	bool metered, starved, long_string;	/* starved: out of memory; cleaned before the next request; long_string: why it was said to be */
	unsigned steps; uint64_t cpu_us;	/* of the call at hand: looks at the clock, and its first */
	long fuel, fuel_max, request_fuel;
	size_t hook_bytes;		/* that a call may hand out */
	uint64_t wall_us;		/* a call that takes longer is told of */

	struct entry *entries; size_t n_entries, n_scores;
	unsigned char chain[HOOK_COUNT][ENTRIES_MAX]; size_t n_chain[HOOK_COUNT];
	char request_allow[16][NAME_BYTES]; size_t n_request_allow;

	struct decision *d;		/* the decision whose hook runs */
	uint64_t stamp;			/* whose facts req holds */
	enum hook hook;
	const struct entry *entry;
	int64_t now_ms;
	int env, test_env;	/* registry */
	const struct proxy *empty;	/* the sight of the empty table */
	struct mirror req, prefs, key, feat, usage;
	uint64_t used[32];		/* the counts that usage shows */
	struct cached *cache; size_t n_cache;
	struct cached loose[LOOSE_MAX]; size_t n_loose;	/* endpoints that are not in the catalogue */
	uint64_t chosen;		/* the decision whose policies are active */
	uint64_t owner;			/* the decision at hand, whose loose ones count */
	uint16_t *slot; size_t n_slot;	/* endpoint index -> cache + 1 */
	uint64_t version, ticks, routes;
	const struct catalog *catalog; const struct endpoint *endpoints;	/* the last one that was routed in; never read after that */

	bool shadows;			/* some entries are in shadow */
	long max_stale_s;
	bool scoped;			/* some entries are for an org, a workspace, a key or a request alone */
	unsigned calls; bool fine; uint64_t failed;	/* for the circuit: not yet told; the last one did not fail; the last decision with one that did */
	struct cost *costs;		/* while somebody asks: what hooks take, by entry and hook; mistakes are told, too */
	const char *read_of, *read;	/* what a run that is to be remembered has read and must not: "key", "org" */
	bool impure;			/* what runs has read something that a remembered verdict must not depend on */
	bool remembers;			/* false in a test of it: nothing is remembered */
	int live_view;			/* registry: see live_hide() */
	bool again;			/* the same hook once more: it is told the same, and changes nothing */
	unsigned n_draws; bool drew_all; struct lot **lots_end;	/* of the rankings that run; from all that were left; replaying: where the next one is kept */
	const struct forced *forced;	/* replaying: how one of them is to come out; NULL: as it does */
	bool tracing; int line; char file[NAME_BYTES + 8];	/* where the function returned */
	struct why { char *code, *by; } *reasons; size_t n_reasons;	/* that remembered verdicts name */
	uint64_t life;			/* how often it was built anew, see recover() */
	struct { lua_State *co; int ref; } idle[IDLE_MAX]; unsigned n_idle, n_waiting;	/* coroutines */
	unsigned looked;		/* lookups of the call at hand */
	uint64_t slow_ms;		/* when a slow call was logged last */
	struct waiting *waiting;	/* whose coroutine runs; NULL: none */
	bool testing;
	int scratch;			/* registry: what t.state() gives */
	struct shared *shared;
	char tree[TREE_BYTES];		/* of what is being loaded: see struct entry */
	struct buf reading;		/* a question and its answer */
	struct buf record;		/* of the last decision that was written */
	uint64_t told[TOLD_MAX];	/* endpoints of single requests that the store has: hashes of their hashes */
	bool replaying;			/* nothing is logged, and what it shares is its own */
	bool strayed;			/* replaying: asked what its record does not know, or is a matter of what was spent before */
	char error[400];		/* of the last call that failed */
	char wrong[240];		/* with the last answer */
};

/* ---- sandbox.c */
struct policy_state *state_of(lua_State *L);
int sandbox_open(struct policy_state *s);
/* Calls what lies under n_args arguments: 0, or -1 with s->error, nothing left on the stack. */
int sandbox_call(struct policy_state *s, int n_args, int n_results, long fuel, size_t bytes);
/* The same on a coroutine: what lies under n_args arguments, or where it yielded.  0 with one result on the
 * state's stack; HOOK_WAITS; or -1 with s->error, and co to be reset. */
int sandbox_resume(struct policy_state *s, lua_State *co, int n_args, struct spent *spent);
void burn(lua_State *L, size_t n);
/* Replaces the table on top by its read-only sight. */
struct proxy *proxy_push(lua_State *L, enum sight kind);
struct proxy *proxy_sized(lua_State *L, enum sight kind, size_t size);	/* zeroed behind the head */
/* Pushes the table that i is or shows; whole, whatever of it was read before. */
void bare_push(lua_State *L, int i);
void freeze(lua_State *L);		/* the same, with every table inside */
struct proxy *proxy_at(lua_State *L, int i);	/* NULL: something else */
bool table_at(lua_State *L, int i);	/* a table, or the sight of one */
/* Compiles text (never bytecode) in the environment env and leaves the function; else -1 and s->error. */
int sandbox_load(struct policy_state *s, const char *text, size_t len, const char *name, int env);
void library_open(lua_State *L, int names);	/* base, math, table, string */
void terms_open(lua_State *L, int names);	/* set, glob, slug, hash, time, act, deny, rand */
void strings_open(lua_State *L, int names);
int format_push(lua_State *L, lua_CFunction format);	/* string.format of all arguments, by Lua's own; raises as the function that runs */
void plain_text(lua_State *L, int i);	/* pushes it without an address */
void ranking_open(lua_State *L, int names);
void column_bare(lua_State *L, const struct proxy *p);	/* columns.c: pushes a table of its numbers */
void billing_open(lua_State *L, int names);
void shared_open(lua_State *L, int names);	/* limit, counter, sticky */
void budgets_open(lua_State *L, int names);
void notes_open(lua_State *L, int names);
void loader_open(lua_State *L, int names);
void group_open(lua_State *L, int names, const char *group, const luaL_Reg *fns);
const char *kind_name(lua_State *L, int i);	/* what type() says */

/* ---- keys.c */
/* Pushes a list of the keys of the raw table at i, for fuel; how many, and of which types: bits by LUA_T.... */
lua_Integer keys_of(lua_State *L, int i, unsigned *types);
void keys_sort(lua_State *L, int at, lua_Integer n);	/* the list at `at`: numbers before strings before booleans, each in its order */
lua_Integer keys_sorted(lua_State *L, int i);		/* both */
/* The table at 1, as it is, stays there, with its keys in order at 2, and nothing above; raises for whom there is none. */
void keys_push(lua_State *L, const char *function);
const char *keys_nearest(lua_State *L, int i, const char *word);	/* the name in the raw table at i that is most like word; NULL: none is */
enum { MEANT_BYTES = 96 };
const char *meant(const char *like, char out[static MEANT_BYTES]);	/* "; did you mean 'like'?", or "" */

/* ---- request.c */
void objects_open(struct policy_state *s);
void req_push(struct policy_state *s, struct decision *d);
void usage_push(struct policy_state *s, const struct mg_usage *u, bool estimated);
void mirror_complete(lua_State *L, struct mirror *m);

/* ---- endpoints.c */
void endpoint_push(struct policy_state *s, const struct endpoint *e, const struct live_facts *live);
struct cached *endpoint_cached(struct policy_state *s, const struct endpoint *e);	/* NULL: not seen in this catalogue */
void endpoints_reset(struct policy_state *s, const struct catalog *c);
void live_complete(lua_State *L, struct live_sight *l);

/* ---- fields.c */
void types_say(void (*say)(void *arg, const char *line), void *arg);
extern const char *const error_kinds[];	/* by enum mg_error */
enum { ERROR_KINDS = MG_E_CANCELLED + 1 };

/* ---- memo.c: answers that are known for the values of some members of the request */
enum { UNASKED = 0, KEEPS = 1, REASON = 2 };	/* a verdict; KEEPS: nothing to say; from REASON on: s->reasons */
struct verdict { const char *why, *by; };	/* why NULL: it may serve */
int memo_open(struct policy_state *s, struct entry *e, int decl);	/* `memo` of the declaration at decl; -1 and s->error */
void memo_free(struct memo *m);
void memo_forget(struct policy_state *s);	/* with the catalogue */
unsigned memo_look(struct policy_state *s, struct decision *d, struct memo *m, size_t at);
void memo_keep(struct policy_state *s, struct decision *d, struct memo *m, size_t at, unsigned verdict);	/* unless the run was impure */
void memo_view(struct policy_state *s, const struct memo *m);	/* pushes req, for a run whose answer may be kept */
unsigned reason_number(struct policy_state *s, const struct verdict *v);	/* UNASKED: there are too many */
/* A sight that tells who reads it; index: a closure's function with arg and base as its upvalues. */
void view_make(lua_State *L, lua_CFunction index, void *arg, unsigned base, struct mirror *of);

/* The last run of the filter read what its memo does not name: that is told, while somebody asks. */
void memo_false(struct policy_state *s, struct decision *d, const struct entry *e);
/* Raises, where it is read: a mistyped condition of a filter must not be one that never holds. */
int field_missing(lua_State *L, const char *of, const struct field *fields, const char *name);
/* Whoever reads what the raw table on top has not, is told so in the same way; but nil of what it may lack. */
void record_close(lua_State *L, const char *what, const char *const *lacks);

/* ---- verdicts.c */
struct cached *candidate_known(struct policy_state *s, const struct candidate *c);	/* makes it known; NULL: it cannot be */
/* Does this endpoint concern the hook?  Asked once in a catalogue. */
bool concerns(struct policy_state *s, struct decision *d, struct entry *e, enum hook h, const struct endpoint *endpoint);
struct verdict verdict_of(struct policy_state *s, struct decision *d, struct entry *e, const struct candidate *c);
/* From here on the endpoint's `live` tells on who reads it (impure). */
void live_hide(struct policy_state *s, const struct cached *c);
void live_unhide(struct policy_state *s, const struct cached *c);

/* ---- scores.c */
int scores_take(struct policy_state *s, struct entry *e, int decl);
int score_named(lua_State *L, const char *name);	/* of the policy that runs; raises */
double score_of(lua_State *L, int item, const char *name, int i);
/* Works one out, of an endpoint that is known and remembers it, or of any other: -1 and s->error. */
int score_known(struct policy_state *s, const struct entry *e, struct cached *c, unsigned i, double *out);
int score_once(struct policy_state *s, const struct entry *e, const struct candidate *c, unsigned i, double *out);

/* ---- limits.c */
int limits_take(struct policy_state *s, struct entry *e, int decl);
int counters_take(struct policy_state *s, struct entry *e, int decl);
struct verdict limit_of(struct policy_state *s, struct decision *d, struct entry *e, const struct candidate *c, struct cached *k);	/* k: it, or NULL */
/* In a test: replaces the filter on top, or nil, by a function that compares first; decl and my: its upvalues. */
void limits_wrap(lua_State *L, int decl, int my);

/* ---- bundle.c: files; loader.c: what they declare; chain.c: which run */
int bundle_read_kept(const char *dir, struct bundle **out, struct err *err);	/* a version's folder: author/versions.h */
const struct source *source_of(const struct policy_state *s, const char *name);	/* in the tree that is being loaded, or runs */
int refuse(struct policy_state *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool is_one_of(const char *word, const char *const *list);
int chain_build(struct policy_state *s, struct err *err);
/* Loads a policy with the parameters at index with (0: none) and leaves decl and my; -1 and s->error. */
int policy_load(struct policy_state *s, const char *name, int with);
/* A file that no list names, with its parameters' defaults, behind the others: for tools. */
int chain_add(struct policy_state *s, const char *name);
void chain_choose(struct policy_state *s, const struct decision *d);	/* sets active */
const char *text_for(struct policy_state *s, const char *member, const char *reason);	/* of bundle.lua's answers or excluded_by; NULL: none */

/* ---- state.c */
struct policy_state *policy_state_for_tests(struct bundle *b, struct err *err);
struct policy_state *policy_state_for_replay(struct bundle *b, struct err *err);	/* shares nothing, logs nothing */
void decision_denied(struct decision *d, enum hook h, const struct denial *no);
/* Something of the request is changed; how it came is kept the first time. */
void decision_asked(struct decision *d, const struct facts *before);
void hook_begin(struct policy_state *s, struct decision *d);	/* the request's facts and chain are current from here on */
/* Pushes the function of e; after its arguments, hook_call(). */
void hook_push(struct policy_state *s, const struct entry *e, enum hook h);
int hook_call(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h, int n_args, int n_results);
long fuel_for(const struct policy_state *s, const struct decision *d, const struct entry *e, enum hook h);	/* its own, or what the request has left */
/* Around a call: false, and the function with its n_args is off the stack: the request's fuel is gone; else my is behind them. */
bool hook_enter(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h, int n_args);
int hook_leave(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h, int rc, long fuel, uint64_t began_us);
void hook_failed(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h, const char *what);
void hook_note(struct decision *d, enum hook h, const struct entry *e, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* for each active entry that has the hook */
#define EACH_ENTRY(s, h, e) \
	for (size_t at_##e = 0; at_##e < (s)->n_chain[h]; at_##e++) \
		for (struct entry *e = &(s)->entries[(s)->chain[h][at_##e]]; e && e->active; e = NULL)

/* ---- hooks.c */
void failure_push(lua_State *L, const struct attempt_error *e);
void outcome_push(struct policy_state *s, const struct outcome *o);
void candidates_push(struct policy_state *s, struct candidate *const *list, size_t n);
extern const char *const action_names[4], *const skip_names[3];	/* by what and skip of an action; a comma before the latter */
/* After the question is pushed: what it says of keeping; nothing at all where it fails. */
void keep_answer(struct policy_state *s, struct decision *d, const struct entry *e, struct keep *out);
void keep_narrow(struct keep *all, bool said, const struct keep *one);	/* said: somebody did, before */
extern const char *const resolve_gives;
int resolution_read(struct policy_state *s, struct decision *d, int at);	/* into d's facts; -1: nonsense, nothing is changed */
/* The bill on top is replaced by the next one, and stays where it fails. */
int price_step(struct policy_state *s, struct decision *d, const struct entry *e, const struct endpoint *endpoint,
	const struct mg_usage *u, bool estimated, struct bill *bill);

/* ---- shadow.c: after a hook's answer stands, what policies in shadow would have said */
void shadow_failed(struct decision *d, const struct entry *e, enum hook h);
void shadow_admit(struct policy_state *s, struct decision *d);
void shadow_retain(struct policy_state *s, struct decision *d);
void shadow_resolve(struct policy_state *s, struct decision *d);
void shadow_filter(struct policy_state *s, struct decision *d, const struct candidate *c);
void shadow_rank(struct policy_state *s, struct decision *d);
void shadow_plan(struct policy_state *s, struct decision *d);
void shadow_shape(struct policy_state *s, struct decision *d, const struct endpoint *endpoint, const struct shape *now);
void shadow_on_error(struct policy_state *s, struct decision *d, const struct attempt_error *err,
	struct candidate *const *rest, size_t n, const struct action *now);
void shadow_price(struct policy_state *s, struct decision *d, const struct endpoint *endpoint, const struct mg_usage *u, const struct bill *now);
void shadow_observe(struct policy_state *s, struct decision *d, const struct outcome *o);
/* ---- waiting.c */
/* The function with its argument is on the stack: as hook_call(), but it may wait: HOOK_WAITS, and d->waits. */
int hook_start(struct policy_state *s, struct decision *d, struct entry *e, enum hook h);
int hook_go_on(struct policy_state *s, struct decision *d);	/* d->waits, with its answer */
bool hook_lost(struct policy_state *s, struct decision *d);	/* its state is gone: told, and d->waits with it */

/* ---- lookup.c */
void lookup_open(lua_State *L, int names);
bool lookup_named(const struct bundle *b, const char *name);	/* may that policy call it? */
/* Any of what a service may say; NULL: error is "json". */
json_t *answer_read(struct pool *p, struct mg_str text, const char **error);
void answer_keep(const struct waiting *w, struct mg_str text);
/* ---- circuit.c: before each call, and when it turned out to have failed */
void circuit_call(struct policy_state *s);
void circuit_failed(struct policy_state *s, const struct entry *e, enum hook h, const char *what);

/* ---- draws.c: which one a draw comes to; for rank.pick and rank.draw */
struct lot { size_t n; unsigned chosen; struct chance { unsigned candidate; double p; } *at; struct lot *next; };
struct forced { unsigned draw, candidate; };	/* the draw's number, from 0 */
struct keyed { double key; int at; };
/* keys: weights of the items, from 0, of the list at 1; at: the key that was drawn; returns the one that stands. */
lua_Integer draw_settle(lua_State *L, const struct keyed *keys, lua_Integer n, double sum, lua_Integer at);

/* ---- routing.c */
/* The rankings of all that passed, once more, with one draw as it is forced to come out.  Of a replay; d is a copy, with candidates of its own. */
void rank_forced(struct policy_state *s, struct decision *d, const struct forced *f);
void order_push(struct policy_state *s, const struct decision *d);
/* The list on top into next: -1 when it holds anything that it was not given, or the same twice. */
int order_read(struct policy_state *s, struct decision *d, struct candidate **next, size_t *n);
/* Filters and ranks d->candidates, which are filled in; d->order has room for as many. */
bool route_listed(struct policy_state *s, struct decision *d, struct denial *no);
/* Where candidates come from: a model by a name that it has, or NULL; and what is known of its endpoints, else as it is. */
struct origin { struct model *(*model)(void *arg, struct mg_str name, struct pool *p);
	void (*live)(void *arg, const struct endpoint *e, struct live_facts *out); void *arg; const struct catalog *catalog; };
bool route_from(struct policy_state *s, struct decision *d, const struct origin *from, struct denial *no);
bool reroute_from(struct policy_state *s, struct decision *d, const struct origin *from, struct mg_str model, struct denial *no);

/* ---- billing.c */
/* Reads the bill at index i of the stack; -1: nonsense. */
int bill_read(lua_State *L, int i, struct decision *d, struct bill *out);
void bill_push(lua_State *L, const struct bill *b);
void bill_copy(lua_State *L, int i);	/* pushes one that shares no table with it */
void bill_own(struct bill *b, bool listed);	/* listed: no policy priced it */
void list_price(const struct endpoint *e, const struct mg_usage *u, int64_t at_ms, struct bill *out);
extern const long hook_fuel[HOOK_COUNT];

/* ---- readings.c */
/* What `live` answers to the first n_asked arguments; or, when a decision is made again, what it answered then. */
int reading(lua_State *L, const char *function, int n_asked, lua_CFunction live);
/* The same for what is asked with a name and JSON: that this was said, and what was said then; absent: nothing. */
void reading_note(struct policy_state *s, const char *function, const char *name, struct mg_str arg, struct mg_str said);
struct mg_str reading_given(struct policy_state *s, const char *function, const char *name, struct mg_str arg);

/* ---- shared.c */
void scratch_push(lua_State *L, const char *group, const char *key);	/* in a test: t.state()[group][key], or nil */
struct shared *shared_new(void);
struct shared *shared_copy(struct shared *from);	/* others may be at it */
void shared_free(struct shared *sh);
struct shared *shared_process(void);
enum { VALUE_BYTES = 200 };	/* with the NUL */
bool sticky_find(struct shared *sh, struct mg_str owner, const char *key, size_t len, char out[static VALUE_BYTES]);
void sticky_put(struct shared *sh, struct mg_str owner, const char *key, size_t len, const char *value, uint64_t ttl_s);

/* ---- answers.c: what hooks give back, at index i of the stack; -1: nonsense */
void answer_begin(struct policy_state *s);
int answer_odd(lua_State *L, const char *fmt, ...) __attribute__((format(printf, 2, 3)));	/* -1; of an answer the first one is told */
int answer_only(lua_State *L, int i, const char *what, const char *const *names);	/* -1: the table at i has another member, too */
const char *answer_wrong(struct policy_state *s, const char *otherwise);	/* what is odd; until the next call */
int answer_field(lua_State *L, int i, const char *name);	/* its type; the value is on top */
int prefs_tighten(lua_State *L, int i, struct decision *d);
int words_read(lua_State *L, int i, struct pool *p, struct words *out);
int words_named(lua_State *L, int i, const char *name, struct pool *p, struct words *out, bool *given);
void words_plain(const char *text, size_t len, char *out, size_t size);	/* one line of UTF-8, whatever text is */
int plan_read(lua_State *L, int i, struct decision *d);
void plan_session(struct decision *d, const struct entry *e);	/* hooks.c: what e->sticky_s says */
int plan_take(struct policy_state *s, struct decision *d, const struct entry *e);	/* hooks.c: the plan on top; -1: it is none, which is noted */
int shape_read(lua_State *L, int i, struct decision *d, struct shape *out);	/* shapes.c */
int keep_read(lua_State *L, int i, struct pool *p, struct keep *out);	/* what is not said stays as it is there */
int denial_read(lua_State *L, int i, struct denial *out);	/* 0 only for a deny{} */
int action_read(lua_State *L, int i, struct pool *p, struct action *out);

#endif
