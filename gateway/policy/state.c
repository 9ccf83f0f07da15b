/*
 * A state's life, and the one way in which a hook is called.
 */
#include <stdatomic.h>
#include "base/clock.h"
#include "base/log.h"
#include "policy/state.h"

/* In instructions; a helper's work counts, too. */
const long hook_fuel[HOOK_COUNT] = { 50000, 10000, 50000, 2000, 300000, 20000, 10000, 20000, 50000, 50000 };
enum { RECORD_BYTES = 1 << 20, READING_BYTES = 128 << 10 };

static int state_fill(struct policy_state *s, struct err *err)
{
	s->request_fuel = 1000000;
	s->hook_bytes = 1 << 20;
	s->wall_us = 5000;
	s->hook = HOOK_NONE;
	s->live_view = LUA_NOREF;
	s->remembers = true;
	buf_init(&s->record, RECORD_BYTES);
	buf_init(&s->reading, READING_BYTES);
	s->cache = calloc(CACHED_MAX, sizeof(*s->cache));
	s->entries = calloc(ENTRIES_MAX, sizeof(*s->entries));
	if (!s->shared)
		s->shared = shared_process();
	if (!s->cache || !s->entries || !s->shared || sandbox_open(s))
		return fail(err, MG_ENOMEM, "no memory for a policy state");
	if (chain_build(s, err))
		return -1;
	s->shadows &= !s->replaying;
	return 0;
}

static void entry_free(struct entry *e)
{
	for (int h = 0; h < HOOK_COUNT; h++)
		memo_free(e->memo[h]);
	free(e->limits);
}

static void state_empty(struct policy_state *s)
{
	if (s->L)
		lua_close(s->L);
	for (size_t i = 0; i < s->n_cache; i++)
		buf_release(&s->cache[i].numbers);
	for (size_t i = 0; i < LOOSE_MAX; i++)
		buf_release(&s->loose[i].numbers);
	buf_release(&s->record);
	buf_release(&s->reading);
	memo_forget(s);
	free(s->reasons);
	for (size_t i = 0; i < s->n_entries; i++)
		entry_free(&s->entries[i]);
	free(s->cache);
	free(s->entries);
	free(s->slot);
}

/* shared: its own, given away; of a state that serves requests none. */
static struct policy_state *state_new(struct bundle *b, bool testing, bool replaying, struct shared *shared, struct err *err)
{
	struct policy_state *s = calloc(1, sizeof(*s));

	if (!s || ((testing || replaying) && !shared)) {
		fail(err, MG_ENOMEM, "no memory for a policy state");
		shared_free(shared);
		free(s);
		return NULL;
	}
	s->testing = testing;
	s->replaying = replaying;
	s->shared = shared;
	s->bundle = bundle_ref(b);
	if (state_fill(s, err)) {
		policy_state_free(s);
		return NULL;
	}
	return s;
}

struct policy_state *policy_state_new(struct bundle *b, struct err *err)
{
	return state_new(b, false, false, NULL, err);
}

/* With what tests may name besides, and shared state of its own. */
struct policy_state *policy_state_for_tests(struct bundle *b, struct err *err)
{
	return state_new(b, true, false, shared_new(), err);
}

struct policy_state *policy_state_for_replay(struct bundle *b, struct err *err)
{
	return state_new(b, false, true, shared_new(), err);
}

struct policy_state *policy_state_apart(struct bundle *b, struct err *err)
{
	return state_new(b, false, true, shared_copy(shared_process()), err);
}

void policy_state_free(struct policy_state *s)
{
	if (!s)
		return;
	state_empty(s);
	if (s->testing || s->replaying)
		shared_free(s->shared);
	bundle_unref(s->bundle);
	free(s);
}

size_t policy_state_heap(const struct policy_state *s)
{
	return s->heap;
}

/* After a hook ran out of memory: a collection, or where that is not enough a new state (R64). */
static void recover(struct policy_state *s)
{
	struct policy_state fresh = { .bundle = s->bundle, .shared = s->shared, .testing = s->testing, .replaying = s->replaying, .life = s->life + 1 };
	struct err err;

	s->starved = false;
	lua_gc(s->L, LUA_GCCOLLECT);
	if (s->heap < s->heap_max / 4 * 3)
		return;
	/* The allocator's argument is the state itself, so it is filled in place. */
	state_empty(s);
	*s = fresh;
	if (state_fill(s, &err)) {
		fprintf(stderr, "policy: %s\n", err.msg);
		abort();	/* it was built from the same text before */
	}
}

void decision_init(struct decision *d, struct pool *pool)
{
	static _Atomic uint64_t stamps = 1;

	*d = (struct decision){ .pool = pool, .notes_end = &d->notes, .readings_end = &d->readings, .failures_end = &d->failures,
		.routings_end = &d->routings,
		.stamp = atomic_fetch_add_explicit(&stamps, 1, memory_order_relaxed) << 8 };
	d->facts.prefs = prefs_none;
}

void decision_denied(struct decision *d, enum hook h, const struct denial *no)
{
	struct mg_str code = pool_dup(d->pool, (struct mg_str){ no->code, strlen(no->code) }), by = pool_dup(d->pool, (struct mg_str){ no->by, strlen(no->by) });

	if (code.at && by.at)
		d->refused = (struct refused){ hook_names[h], code.at, by.at, no->status };
}

void decision_asked(struct decision *d, const struct facts *before)
{
	struct asked *a = d->asked ? NULL : pool_alloc(d->pool, sizeof(*a));

	if (!a)
		return;
	*a = (struct asked){ before->models, before->prefs };
	d->asked = a;
}

void hook_begin(struct policy_state *s, struct decision *d)
{
	if (s->starved)
		recover(s);
	s->now_ms = d->facts.now_ms;
	if (s->chosen != d->stamp >> 8)
		chain_choose(s, d);	/* by the key, which no hook changes */
	s->d = d;
	s->owner = s->chosen = d->stamp >> 8;
}

void hook_push(struct policy_state *s, const struct entry *e, enum hook h)
{
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, e->fn[h]);
}

static void add_note(struct decision *d, const char *hook, const char *by, const char *fmt, va_list args)
{
	struct note *note = pool_alloc(d->pool, sizeof(*note));
	char text[256];
	struct mg_str kept;

	vsnprintf(text, sizeof(text), fmt, args);
	kept = pool_dup(d->pool, (struct mg_str){ text, strlen(text) });
	if (!note || !kept.at)
		return;
	*note = (struct note){ hook, pool_dup(d->pool, (struct mg_str){ by, strlen(by) }).at, kept.at, NULL };
	*d->notes_end = note;
	d->notes_end = &note->next;
}

void hook_note(struct decision *d, enum hook h, const struct entry *e, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_note(d, hook_names[h], e->name, fmt, args);
	va_end(args);
}

void decision_note(struct decision *d, const char *hook, const char *by, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_note(d, hook, by, fmt, args);
	va_end(args);
}

/* What a policy raises may have a client's words in it; where it did, has none: "eu_only.lua:12". */
static const char *sayable(const struct policy_state *s, const struct decision *d, const char *what)
{
	const char *line = strstr(what, ".lua:");
	size_t n = line ? (size_t)(line - what) + 5 : 0;

	if (what != s->error || permits(keep_permit(&d->keep, SINK_LOG, 0), SINK_LOG, KEEP_METADATA))
		return what;
	n += strspn(what + n, "0123456789");
	return n ? pool_dup(d->pool, (struct mg_str){ what, n }).at : "";
}

void hook_failed(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h, const char *what)
{
	struct mg_str id = pool_dup(d->pool, d->facts.id);

	if (e->shadow)
		shadow_failed(d, e, h);
	else
		d->errors++;
	hook_note(d, h, e, "%serror: %s", e->shadow ? "shadow: " : "", what);
	if (!s->replaying)
		circuit_failed(s, e, h, what);
	if (!s->testing && !s->replaying)
		log_at(LOG_WARN, EV_POLICY_ERROR, id.at, LOG_S("policy", e->at[h]), LOG_S("hook", hook_names[h]), LOG_S("error", sayable(s, d, what)));
}

/* A policy in shadow has a request's fuel of its own: it may loop, and nobody notices. */
static long *fuel_of(struct decision *d, const struct entry *e)
{
	return e->shadow ? &d->shadow_fuel : &d->fuel;
}

long fuel_for(const struct policy_state *s, const struct decision *d, const struct entry *e, enum hook h)
{
	long left = s->request_fuel - (e->shadow ? d->shadow_fuel : d->fuel);

	return hook_fuel[h] < left ? hook_fuel[h] : left;
}

bool hook_enter(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h, int n_args)
{
	if (*fuel_of(d, e) >= s->request_fuel) {
		lua_pop(s->L, n_args + 1);
		hook_failed(s, d, e, h, "the request's fuel is exhausted");
		return false;
	}
	if (!s->replaying)
		circuit_call(s);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, e->my);
	s->hook = h;
	s->entry = e;
	s->impure = false;
	s->read = NULL;
	s->looked = 0;
	return true;
}

/* An alarm, no limit: fuel is the same for the same request, time is not.  Logged once a second. */
static void hook_slow(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h, uint64_t took_us)
{
	uint64_t now_ms = clock_ms();

	hook_note(d, h, e, "slow: %llu us", (unsigned long long)took_us);
	if (s->testing || now_ms - s->slow_ms < 1000)
		return;
	s->slow_ms = now_ms;
	log_at(LOG_WARN, EV_POLICY_SLOW, pool_dup(d->pool, d->facts.id).at, LOG_S("policy", e->at[h]), LOG_S("hook", hook_names[h]), LOG_N("us", took_us));
}

static void cost_take(struct cost *c, long fuel, size_t bytes)
{
	c->calls++;
	c->fuel = fuel > c->fuel ? fuel : c->fuel;
	c->bytes = bytes > c->bytes ? bytes : c->bytes;
}

int hook_leave(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h, int rc, long fuel, uint64_t began_us)
{
	uint64_t took = clock_us() - began_us;

	s->hook = HOOK_NONE;
	s->entry = NULL;
	*fuel_of(d, e) += fuel;
	d->lua_us += took;
	if (s->costs)
		cost_take(&s->costs[(e - s->entries) * HOOK_COUNT + h], fuel, s->spent);
	if (rc < 0)
		hook_failed(s, d, e, h, s->error);
	else if (took > s->wall_us && !s->replaying)
		hook_slow(s, d, e, h, took);
	return rc;
}

/* -1: it failed, which is noted; nothing is left on the stack then. */
int hook_call(struct policy_state *s, struct decision *d, const struct entry *e, enum hook h, int n_args, int n_results)
{
	uint64_t began = clock_us();
	int rc;

	if (!hook_enter(s, d, e, h, n_args))
		return -1;
	rc = sandbox_call(s, n_args + 1, n_results, fuel_for(s, d, e, h), s->hook_bytes);
	return hook_leave(s, d, e, h, rc, s->fuel_max - s->fuel, began);
}
