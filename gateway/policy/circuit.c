/*
 * A version that fails where the one before did not is soon found out: 20 calls
 * of its hooks in a row failed, or more than 1 % of the last 200 or more.  And they
 * are of five requests or more: a strange one, whose every candidate makes a filter
 * fail, is no reason to change what all others get.
 *
 * A call that does not fail touches nothing that is shared but to read it.
 */
#include "base/clock.h"
#include "policy/state.h"

enum { IN_ROW = 20, ENOUGH = 200, REQUESTS = 5, WINDOW_MS = 60000, BATCH = 64 };

static void tell(struct policy_state *s)
{
	atomic_fetch_add_explicit(&s->bundle->circuit.calls, s->calls, memory_order_relaxed);
	s->calls = 0;
}

/* Whether the call before this one was fine is known only now: its answer may have been nonsense. */
void circuit_call(struct policy_state *s)
{
	struct circuit *c = &s->bundle->circuit;

	if (s->fine && atomic_load_explicit(&c->in_row, memory_order_relaxed))
		atomic_store_explicit(&c->in_row, 0, memory_order_relaxed);
	s->fine = true;
	if (++s->calls >= BATCH)
		tell(s);
}

/* A version that did well for a month is judged by what it does now; one that is
 * seldom called keeps what was counted until it is enough. */
static void turn_window(struct circuit *c)
{
	uint64_t now = clock_ms(), since = atomic_load(&c->since_ms);

	if (now - since < WINDOW_MS || (since && atomic_load(&c->calls) < ENOUGH))
		return;
	if (!atomic_compare_exchange_strong(&c->since_ms, &since, now))
		return;
	if (since) {
		atomic_store(&c->calls, 0);
		atomic_store(&c->failures, 0);
		atomic_store(&c->requests, 0);
	}
}

/* "or_ranking.lua:41" of the error's text; the rest of it may be made of the request. */
static void place_of(const char *what, const char *hook, char *out, size_t size)
{
	size_t n = strcspn(what, ":");

	if (what[n] == ':' && strspn(what + n + 1, "0123456789") && n > 4 && !memcmp(what + n - 4, ".lua", 4) && n < size - 16)
		snprintf(out, size, "%.*s", (int)(n + 1 + strspn(what + n + 1, "0123456789")), what);
	else
		snprintf(out, size, "%s", hook);
}

void circuit_failed(struct policy_state *s, const struct entry *e, enum hook h, const char *what)
{
	struct circuit *c = &s->bundle->circuit;
	uint64_t calls, failures;
	char place[NAME_BYTES + 24];
	unsigned in_row;

	s->fine = false;
	if (s->testing || e->shadow || atomic_load(&c->open))
		return;
	turn_window(c);
	tell(s);
	if (s->failed != s->owner)
		atomic_fetch_add(&c->requests, 1);
	s->failed = s->owner;
	in_row = atomic_fetch_add(&c->in_row, 1) + 1;
	failures = atomic_fetch_add(&c->failures, 1) + 1;
	calls = atomic_load(&c->calls);
	if (atomic_load(&c->requests) < REQUESTS || (in_row < IN_ROW && (calls < ENOUGH || failures * 100 <= calls)))
		return;
	if (atomic_flag_test_and_set(&c->opening))
		return;
	place_of(what, e->at[h], place, sizeof(place));
	snprintf(c->why, sizeof(c->why), in_row >= IN_ROW ? "%u hook calls failed in a row, the last one of %s at %s" :
		"%u hook calls failed, more than 1 %%, the last one of %s at %s", in_row >= IN_ROW ? in_row : (unsigned)failures, hook_names[h], place);
	atomic_store(&c->open, true);
}

const char *bundle_tripped(const struct bundle *b)
{
	return atomic_load(&b->circuit.open) ? b->circuit.why : NULL;
}
