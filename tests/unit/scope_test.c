#include "ledger/scope.h"

#include <pthread.h>

#include "tap.h"

#define DAY INT64_C(86400000)
#define AT(days, ms) ((days) * DAY + (ms))

/* Days since 1970: 2024-02-28 is 19781, 2024-02-29 19782, 2026-11-21 (a Saturday) 20778. */
static const struct { const char *name; enum window w; int64_t at, start, end; } windows[] = {
	{ "a day ends at midnight UTC", WINDOW_DAILY, AT(20778, DAY - 1), AT(20778, 0), AT(20779, 0) },
	{ "and the next begins there", WINDOW_DAILY, AT(20779, 0), AT(20779, 0), AT(20780, 0) },
	{ "a week begins on Monday", WINDOW_WEEKLY, AT(20780, 0), AT(20780, 0), AT(20787, 0) },
	{ "Sunday is its last day", WINDOW_WEEKLY, AT(20779, DAY - 1), AT(20773, 0), AT(20780, 0) },
	{ "the leap day is in February", WINDOW_MONTHLY, AT(19782, DAY - 1), AT(19754, 0), AT(19783, 0) },
	{ "March follows", WINDOW_MONTHLY, AT(19783, 0), AT(19783, 0), AT(19814, 0) },
	{ "a year ends", WINDOW_MONTHLY, AT(20453, DAY - 1), AT(20423, 0), AT(20454, 0) },
	{ "1970 began on a Thursday", WINDOW_WEEKLY, 0, AT(-3, 0), AT(4, 0) },
	{ "before 1970 too", WINDOW_MONTHLY, AT(-1, 0), AT(-31, 0), AT(0, 0) },
	{ "2000 was a leap year", WINDOW_MONTHLY, AT(11016, 0), AT(10988, 0), AT(11017, 0) },
	{ "2100 is none", WINDOW_MONTHLY, AT(47540, 0), AT(47513, 0), AT(47541, 0) },
};

static void test_windows(void)
{
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
		ok(window_start(windows[i].w, windows[i].at) == windows[i].start &&
			window_start(windows[i].w, windows[i].end) == windows[i].end && window_start(windows[i].w, windows[i].end - 1) == windows[i].start,
			windows[i].name);
}

/* A story: letters act on one scope with a limit of 10, at a time that d and w move by a day and a week, D back by a day.
 *	h take 4, H take 8, x take 8 and be refused, r raise to 6, R raise to 11 and be refused
 *	s settle for 3, S settle for 12 (more than was held), v void, 2 settle again: a no-op
 *	p post 6 that nobody held, P take them back
 *	0 take nothing, z take nothing and be refused */
static const struct { const char *name; int window; const char *story; int64_t posted, held, total; } stories[] = {
	{ "what is held counts", WINDOW_TOTAL, "hhx", 0, 8, 0 },
	{ "what is settled counts", WINDOW_TOTAL, "Hshx", 3, 4, 3 },
	{ "a void gives all back", WINDOW_TOTAL, "HvH", 0, 8, 0 },
	{ "a hold resolves once", WINDOW_TOTAL, "hs22", 3, 0, 3 },
	{ "a raise fits or changes nothing", WINDOW_TOTAL, "hrRxv", 0, 0, 0 },
	{ "a charge above the hold is charged, and nothing more is given", WINDOW_TOTAL, "hSxz", 12, 0, 12 },
	{ "a call that costs nothing fits below the limit", WINDOW_TOTAL, "Hs0v", 3, 0, 3 },
	{ "a new day is a new limit", WINDOW_DAILY, "Hsvhs" "h" "d" "H", 0, 12, 6 },
	{ "a hold counts in its own day", WINDOW_DAILY, "H" "d" "sH", 0, 8, 3 },
	{ "a week later", WINDOW_WEEKLY, "Hs" "d" "hx" "w" "H", 0, 12, 3 },
	{ "yesterday comes again: what was spent is spent", WINDOW_DAILY, "HshsD" "Hs" "d" "x", 6, 0, 9 },
	{ "the clock steps back: no new window", WINDOW_DAILY, "hs" "d" "hs" "D" "hshx" "v", 6, 0, 9 },
	{ "a history that is told again", WINDOW_DAILY, "hs" "p" "x" "P" "h" "d" "pppz", 18, 4, 21 },
	{ "further back than is known: the oldest known one", WINDOW_DAILY, "hs" "d" "hs" "DDDD" "hs" "hx", 6, 4, 9 },
};

static bool act(char letter, struct scope *s, struct hold *h, int64_t *now)
{
	switch (letter) {
	case 'h': case 'H': return !hold_take(h, &s, 1, charged(letter == 'h' ? 4 : 8), *now, NULL);
	case 'x': return hold_take(&(struct hold){ .n = 0 }, &s, 1, charged(8), *now, NULL) == MG_EDENIED;
	case '0': return !hold_take(h, &s, 1, charged(0), *now, NULL);
	case 'z': return hold_take(&(struct hold){ .n = 0 }, &s, 1, charged(0), *now, NULL) == MG_EDENIED;
	case 'r': return !hold_raise(h, charged(6), NULL);
	case 'R': return hold_raise(h, charged(11), NULL) == MG_EDENIED && h->held.charge == 6;
	case 's': return hold_settle(h, charged(3));
	case 'S': return hold_settle(h, charged(12));
	case 'v': return hold_settle(h, charged(0)) || true;
	case '2': return !hold_settle(h, charged(3));
	case 'p': scope_post(s, charged(6), *now); return true;
	case 'P': scope_post(s, charged(-6), *now); return true;
	case 'd': *now += DAY; return true;
	case 'D': *now -= DAY; return true;
	case 'w': *now += 7 * DAY; return true;
	}
	return false;
}

static void test_stories(void)
{
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		struct scope *s = scope_new("key", "k");
		struct hold h = { .n = 0 };
		struct scope_facts f;
		int64_t now = AT(20774, 0);	/* a Tuesday */
		const char *at = stories[i].story;

		scope_limit(s, 10, stories[i].window);
		while (*at && act(*at, s, &h, &now))
			at++;
		scope_read(s, now, &f);
		if (*at || f.posted != stories[i].posted || f.held != stories[i].held || f.charged.total != stories[i].total)
			printf("# stopped at '%s': posted %lld, held %lld, total %lld\n", at, (long long)f.posted, (long long)f.held, (long long)f.charged.total);
		ok(!*at && f.posted == stories[i].posted && f.held == stories[i].held && f.charged.total == stories[i].total, stories[i].name);
		scope_free(s);
	}
}

/* Amounts at the end of what is counted, whether there is a limit or not. */
static void test_ends(void)
{
	struct scope *s = scope_new("key", "k");
	struct hold a, b, c;
	struct scope_facts f;

	ok(!hold_take(&a, &s, 1, charged(INT64_MAX / 2), 0, NULL) && !hold_take(&b, &s, 1, charged(INT64_MAX / 2), 0, NULL) &&
		hold_take(&c, &s, 1, charged(INT64_MAX / 2), 0, NULL) == MG_EDENIED && hold_raise(&a, charged(INT64_MAX - 1), NULL) == MG_EDENIED,
		"without a limit: what does not fit into the sum is refused");
	scope_read(s, 0, &f);
	ok(f.held == INT64_MAX - 1, "and changes nothing");
	hold_settle(&a, charged(INT64_MAX - 10));
	hold_settle(&b, charged(INT64_MAX - 10));
	scope_post(s, charged(INT64_MAX), 0);
	scope_read(s, 0, &f);
	ok(!f.held && f.posted == INT64_MAX && f.charged.daily == INT64_MAX, "charges that do not fit stay at the end, and never begin anew below zero");
	ok(hold_take(&c, &s, 1, charged(1), 0, NULL) == MG_EDENIED, "nothing more fits");
	scope_limit(s, 10, WINDOW_TOTAL);
	ok(hold_take(&c, &s, 1, charged(0), 0, NULL) == MG_EDENIED, "above a limit");
	scope_free(s);
}

static void test_several(void)
{
	struct scope *key = scope_new("key", "k"), *balance = scope_new("balance", ""), *both[] = { key, balance }, *which = NULL;
	struct scope_facts f;
	struct hold h;

	scope_limit(key, 100, WINDOW_TOTAL);
	scope_limit(balance, 10, WINDOW_TOTAL);
	ok(hold_take(&h, both, 2, charged(20), 0, &which) == MG_EDENIED && which == balance && !h.open, "the scope that refuses is named");
	scope_read(key, 0, &f);
	ok(!f.held, "and nothing is left held in the others");
	ok(!hold_take(&h, both, 2, charged(10), 0, &which) && hold_settle(&h, charged(7)), "both or none");
	scope_read(balance, 0, &f);
	ok(f.posted == 7 && !f.held && f.limit == 10, "a charge is posted in each");
	scope_limit(balance, SCOPE_NO_LIMIT, WINDOW_TOTAL);
	ok(!hold_take(&h, &balance, 1, charged(INT64_MAX / 2), 0, NULL) && hold_settle(&h, charged(0)), "no limit is no limit");
	scope_limit(balance, INT64_MAX, WINDOW_TOTAL);
	ok(hold_take(&h, &balance, 1, charged(INT64_MAX), 0, NULL) == MG_EDENIED, "a sum that does not fit is refused");
	test_ends();
	scope_load(key, &(struct spending){ 99, 1, 2, 3 }, &(struct spending){ 7, 4, 5, 6 }, AT(20774, 0));
	scope_limit(key, 100, WINDOW_TOTAL);
	scope_read(key, AT(20774, 5), &f);
	ok(f.charged.total == 99 && f.charged.daily == 1 && f.charged.weekly == 2 && f.charged.monthly == 3, "what was spent before the start is known");
	scope_read(key, AT(20775, 0), &f);
	ok(f.charged.total == 99 && !f.charged.daily && f.charged.weekly == 2, "a window that is over reads as empty, without a hold");
	ok(hold_take(&h, &key, 1, charged(2), AT(20774, 5), NULL) == MG_EDENIED, "and it counts");
	scope_refund(key, 1, AT(20773, 5));
	scope_read(key, AT(20774, 5), &f);
	ok(f.charged.total == 98 && f.charged.daily == 1 && f.charged.weekly == 1 && f.charged.monthly == 2, "what is given back counts in the windows of its own time");
	ok(!hold_take(&h, &key, 1, charged(2), AT(20774, 5), NULL) && hold_settle(&h, charged(0)), "and can be spent at once");
	scope_free(key);
	scope_free(balance);
}

/* A key whose limit has own accounts in, and a balance that has not: of each hold 1 is charged. */
static void test_own(void)
{
	const struct amount eight = { 1, 8 }, one = { 1, 1 };
	struct scope *key = scope_new("key", "k"), *balance = scope_new("balance", ""), *both[] = { key, balance }, *which = NULL;
	struct hold h, more;
	struct scope_facts f;

	scope_limit(key, 10, WINDOW_DAILY);
	scope_limit_own(key, true);
	scope_limit(balance, 10, WINDOW_TOTAL);
	ok(!hold_take(&h, both, 2, eight, AT(20774, 0), &which) && hold_take(&more, both, 2, eight, AT(20774, 0), &which) == MG_EDENIED && which == key,
		"what an own account may take is held, too");
	ok(!hold_take(&more, both, 2, one, AT(20774, 0), &which) && hold_raise(&more, (struct amount){ 1, 3 }, &which) == MG_EDENIED && which == key &&
		!hold_raise(&more, (struct amount){ 1, 2 }, NULL) && more.held.charge == 1 && more.held.all == 2, "and raised as far as it fits");
	scope_read(key, AT(20774, 0), &f);
	ok(f.held == 10 && !f.posted, "all of it counts in the one");
	scope_read(balance, AT(20774, 0), &f);
	ok(f.held == 2 && !f.posted, "what is charged in the other");
	ok(hold_settle(&h, eight) && hold_settle(&more, one), "both settle");
	scope_read(key, AT(20774, 0), &f);
	ok(f.posted == 9 && !f.held && f.charged.total == 2 && f.charged.monthly == 2 && f.own.total == 7 && f.own.daily == 7 && f.own.weekly == 7 && f.own.monthly == 7,
		"each is told for itself, and their sum is what counts");
	scope_read(balance, AT(20774, 0), &f);
	ok(f.posted == 2 && f.charged.total == 2 && f.own.total == 7, "or one of them");
	scope_read(key, AT(20780, 0), &f);
	ok(!f.posted && f.own.total == 7 && !f.own.daily && !f.own.weekly && f.own.monthly == 7, "their windows are those of what is charged");
	ok(hold_take(&h, &key, 1, (struct amount){ 0, 2 }, AT(20774, 9), NULL) == MG_EDENIED, "the limit is used up");
	scope_limit_own(key, false);
	ok(!hold_take(&h, &key, 1, (struct amount){ 8, 90 }, AT(20774, 9), NULL) && hold_raise(&h, (struct amount){ 9, 90 }, NULL) == MG_EDENIED && hold_settle(&h, charged(0)),
		"not where it has them no more, from the next hold on");
	ok(!hold_take(&h, &key, 1, (struct amount){ 0, 6 }, AT(20774, 9), NULL) && !hold_raise(&h, charged(4), NULL) && h.held.charge == 4 && h.held.all == 6 &&
		hold_settle(&h, charged(4)), "of an own account and another one the dearer is held, once");
	scope_post(key, (struct amount){ 0, 5 }, AT(20774, 9));
	scope_read(key, AT(20774, 9), &f);
	ok(f.posted == 6 && f.own.daily == 12 && f.charged.daily == 6, "what nobody held is posted the same way");
	scope_load(key, &(struct spending){ 4, 3, 2, 1 }, &(struct spending){ 40, 30, 20, 10 }, AT(20774, 9));
	scope_limit_own(key, true);
	scope_read(key, AT(20774, 9), &f);
	ok(f.posted == 33 && f.own.total == 40 && f.own.daily == 30 && f.own.weekly == 20 && f.own.monthly == 10 && f.charged.weekly == 2, "and known from before the start");
	scope_free(key);
	scope_free(balance);
}

/* ---- 200 at once for a limit that pays for 10 */

enum { THREADS = 8, EACH = 25, ROUNDS = 20 };
struct crowd { struct scope *scopes[2]; pthread_barrier_t start; atomic_int taken; struct hold holds[THREADS * EACH]; };
struct one { struct crowd *c; int n; bool backwards; };

static void *take_all(void *arg)
{
	struct one *o = arg;
	struct scope *order[2] = { o->c->scopes[o->backwards], o->c->scopes[!o->backwards] };

	pthread_barrier_wait(&o->c->start);
	for (int i = 0; i < EACH; i++) {
		struct hold *h = &o->c->holds[o->n * EACH + i];

		if (!hold_take(h, order, 2, charged(1000), 0, NULL))
			atomic_fetch_add(&o->c->taken, 1);
	}
	return NULL;
}

static int crowd_round(struct crowd *c)
{
	pthread_t threads[THREADS];
	struct one ones[THREADS];

	atomic_store(&c->taken, 0);
	pthread_barrier_init(&c->start, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		ones[i] = (struct one){ c, i, i % 2 };
		pthread_create(&threads[i], NULL, take_all, &ones[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&c->start);
	return atomic_load(&c->taken);
}

static void test_crowd(void)
{
	static struct crowd c;
	bool ten = true, back = true;

	c.scopes[0] = scope_new("key", "k");
	c.scopes[1] = scope_new("balance", "");
	scope_limit(c.scopes[0], 10 * 1000, WINDOW_DAILY);
	for (int round = 0; round < ROUNDS; round++) {
		struct scope_facts f;

		ten &= crowd_round(&c) == 10;
		for (int i = 0; i < THREADS * EACH; i++)
			hold_settle(&c.holds[i], charged(0));
		scope_read(c.scopes[0], 0, &f);
		back &= !f.held && !f.posted;
	}
	ok(ten, "200 holds at once against a limit for 10: exactly 10, each time, in whatever order scopes are named");
	ok(back, "and all of it comes back");
	scope_free(c.scopes[0]);
	scope_free(c.scopes[1]);
}

int main(void)
{
	test_windows();
	test_stories();
	test_several();
	test_own();
	test_crowd();
	return tap_done();
}
