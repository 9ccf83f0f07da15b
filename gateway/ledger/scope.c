#include "ledger/scope.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { CELLS = 2 };	/* the newest window and the one before: a hold may straddle, a clock may step */
#define DAY_MS INT64_C(86400000)
#define NEVER INT64_MIN

struct cell { int64_t id; struct amount posted, held; };
struct scope {
	pthread_mutex_t lock;
	int64_t limit;
	enum window window;		/* of the limit */
	bool counts_own;		/* ... which has own accounts in, too */
	struct cell cells[WINDOWS][CELLS];
	const char *kind;
	char *id;
};

/* ---- windows */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Months since year 0 and days since 1970, both ways, in the calendar whose years
 * begin in March (so that the leap day is the last).  gmtime_r() would take a lock. */
static int64_t month_of(int64_t day)
{
	int64_t z = day + 719468, era = floor_div(z, 146097), of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);

	return (era * 400 + year) * 12 + (5 * of_year + 2) / 153 + 2;
}

static int64_t first_day(int64_t month)
{
	int64_t m = month - 2, y = floor_div(m, 12), era = floor_div(y, 400), year = y - era * 400;

	return era * 146097 + year * 365 + year / 4 - year / 100 + (153 * (m - y * 12) + 2) / 5 - 719468;
}

int64_t window_id(enum window w, int64_t wall_ms)
{
	switch (w) {
	case WINDOW_DAILY:
		return floor_div(wall_ms, DAY_MS);
	case WINDOW_WEEKLY:
		return floor_div(floor_div(wall_ms, DAY_MS) + 3, 7);	/* 1970-01-01 was a Thursday */
	case WINDOW_MONTHLY:
		return month_of(floor_div(wall_ms, DAY_MS));
	default:
		return 0;
	}
}

static int64_t start_of(enum window w, int64_t id)
{
	switch (w) {
	case WINDOW_DAILY: return id * DAY_MS;
	case WINDOW_WEEKLY: return (id * 7 - 3) * DAY_MS;
	case WINDOW_MONTHLY: return first_day(id) * DAY_MS;
	default: return 0;
	}
}

int64_t window_start(enum window w, int64_t wall_ms)
{
	return start_of(w, window_id(w, wall_ms));
}

/* Never around the end: there it stays (R39). */
static int64_t plus(int64_t a, int64_t b)
{
	int64_t sum;

	if (!__builtin_add_overflow(a, b, &sum))
		return sum;
	return b > 0 ? INT64_MAX : INT64_MIN;
}

/* ---- a scope */

struct scope *scope_new(const char *kind, const char *id)
{
	struct scope *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->kind = kind;
	s->id = strdup(id);
	if (!s->id) {
		free(s);
		return NULL;
	}
	s->limit = SCOPE_NO_LIMIT;
	pthread_mutex_init(&s->lock, NULL);
	for (int w = 0; w < WINDOWS; w++)
		for (int c = 0; c < CELLS; c++)
			s->cells[w][c].id = NEVER;
	return s;
}

void scope_free(struct scope *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s->id);
	free(s);
}

const char *scope_kind(const struct scope *s)
{
	return s->kind;
}

const char *scope_id(const struct scope *s)
{
	return s->id;
}

static void lock(const struct scope *s)
{
	pthread_mutex_lock((pthread_mutex_t *)&s->lock);
}

static void unlock(const struct scope *s)
{
	pthread_mutex_unlock((pthread_mutex_t *)&s->lock);
}

void scope_limit(struct scope *s, int64_t limit_nusd, int window)
{
	assert(window >= 0 && window < WINDOWS);
	lock(s);
	s->limit = limit_nusd < 0 ? SCOPE_NO_LIMIT : limit_nusd;
	s->window = (enum window)window;
	unlock(s);
}

void scope_limit_own(struct scope *s, bool counts)
{
	lock(s);
	s->counts_own = counts;
	unlock(s);
}

static const struct cell *find(const struct scope *s, enum window w, int64_t id)
{
	for (int c = 0; c < CELLS; c++)
		if (s->cells[w][c].id == id)
			return &s->cells[w][c];
	return NULL;
}

/* The cell of a window, made by forgetting the older one. */
static struct cell *turn(struct scope *s, enum window w, int64_t id)
{
	struct cell *c = (struct cell *)find(s, w, id), *two = s->cells[w];

	if (c)
		return c;
	c = two[0].id <= two[1].id ? &two[0] : &two[1];
	*c = (struct cell){ .id = id };
	return c;
}

/* A clock behind both windows that we know would find an empty one, and spend
 * again what was spent: such a hold counts in the older of the two. */
static int64_t not_before(const struct scope *s, int64_t wall_ms)
{
	for (enum window w = WINDOW_DAILY; w < WINDOWS; w++) {
		const struct cell *two = s->cells[w];
		int64_t older = two[0].id < two[1].id ? two[0].id : two[1].id;

		if (older != NEVER && window_id(w, wall_ms) < older)
			wall_ms = start_of(w, older);
	}
	return wall_ms;
}

static void add(struct amount *to, struct amount a)
{
	to->charge = plus(to->charge, a.charge);
	to->all = plus(to->all, a.all);
}

static struct amount minus(struct amount a)
{
	return (struct amount){ -a.charge, -a.all };
}

/* What of it counts against the limit. */
static int64_t counted(const struct scope *s, struct amount a)
{
	return s->counts_own ? a.all : a.charge;
}

void scope_load(struct scope *s, const struct spending *charge, const struct spending *own, int64_t wall_ms)
{
	const struct amount posted[WINDOWS] = { { charge->total, charge->total + own->total }, { charge->daily, charge->daily + own->daily },
		{ charge->weekly, charge->weekly + own->weekly }, { charge->monthly, charge->monthly + own->monthly } };

	lock(s);
	for (enum window w = 0; w < WINDOWS; w++)
		turn(s, w, window_id(w, wall_ms))->posted = posted[w];
	unlock(s);
}

void scope_post(struct scope *s, struct amount a, int64_t wall_ms)
{
	lock(s);
	wall_ms = not_before(s, wall_ms);
	for (enum window w = 0; w < WINDOWS; w++)
		add(&turn(s, w, window_id(w, wall_ms))->posted, a);
	unlock(s);
}

static struct amount posted_in(const struct scope *s, enum window w, int64_t wall_ms)
{
	const struct cell *c = find(s, w, window_id(w, wall_ms));

	return c ? c->posted : charged(0);
}

void scope_read(const struct scope *s, int64_t wall_ms, struct scope_facts *out)
{
	struct amount in[WINDOWS];
	const struct cell *all;

	lock(s);
	wall_ms = not_before(s, wall_ms);
	all = find(s, WINDOW_TOTAL, 0);
	for (enum window w = 0; w < WINDOWS; w++)
		in[w] = posted_in(s, w, wall_ms);
	*out = (struct scope_facts){ .limit = s->limit, .window = s->window, .posted = counted(s, in[s->window]),
		.held = all ? counted(s, all->held) : 0,
		.charged = { in[WINDOW_TOTAL].charge, in[WINDOW_DAILY].charge, in[WINDOW_WEEKLY].charge, in[WINDOW_MONTHLY].charge } };
	out->own = (struct spending){ in[WINDOW_TOTAL].all - out->charged.total, in[WINDOW_DAILY].all - out->charged.daily,
		in[WINDOW_WEEKLY].all - out->charged.weekly, in[WINDOW_MONTHLY].all - out->charged.monthly };
	unlock(s);
}

/* ---- holds: the scopes are locked by address, so that no two wait for each other */

static void lock_all(const struct hold *h)
{
	const struct scope *sorted[4];

	for (size_t i = 0; i < h->n; i++) {
		size_t at = i;

		for (; at > 0 && (uintptr_t)sorted[at - 1] > (uintptr_t)h->scopes[i]; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = h->scopes[i];
	}
	for (size_t i = 0; i < h->n; i++)
		lock(sorted[i]);
}

static void unlock_all(const struct hold *h)
{
	for (size_t i = 0; i < h->n; i++)
		unlock(h->scopes[i]);
}

/* Below it stays what is posted and held in all, limit or not: so no sum of holds comes to the end. */
#define COUNTED (INT64_MAX - 1)

/* May more be held?  Also nothing more: who is above the limit gets nothing, free or not (R51). */
static bool fits(const struct scope *s, int64_t wall_ms, struct amount more)
{
	const struct cell *all = find(s, WINDOW_TOTAL, 0), *c;

	if (all && plus(plus(all->posted.all, all->held.all), more.all) > COUNTED)
		return false;
	if (s->limit == SCOPE_NO_LIMIT)
		return true;
	c = find(s, s->window, window_id(s->window, wall_ms));
	return plus(c ? plus(counted(s, c->posted), counted(s, c->held)) : 0, counted(s, more)) <= s->limit;
}

static int refused(const struct hold *h, struct amount more, struct scope **which)
{
	for (size_t i = 0; i < h->n; i++)
		if (!fits(h->scopes[i], h->window[i], more)) {
			if (which)
				*which = h->scopes[i];
			return MG_EDENIED;
		}
	return MG_OK;
}

static void hold_more(const struct hold *h, struct amount more)
{
	for (size_t i = 0; i < h->n; i++)
		for (enum window w = 0; w < WINDOWS; w++)
			add(&turn(h->scopes[i], w, window_id(w, h->window[i]))->held, more);
}

int hold_take(struct hold *h, struct scope *const *scopes, size_t n, struct amount a, int64_t wall_ms, struct scope **which)
{
	int rc;

	assert(n <= 4 && a.charge >= 0 && a.all >= a.charge);
	*h = (struct hold){ .n = n, .held = a };
	memcpy(h->scopes, scopes, n * sizeof(*scopes));
	lock_all(h);
	for (size_t i = 0; i < n; i++)
		h->window[i] = not_before(scopes[i], wall_ms);
	rc = refused(h, a, which);
	if (!rc)
		hold_more(h, a);
	unlock_all(h);
	h->open = !rc;
	return rc;
}

/* A window that is gone has no limit any more; what is left of it is not touched. */
static void change(const struct hold *h, struct amount held, struct amount posted)
{
	for (size_t i = 0; i < h->n; i++)
		for (enum window w = 0; w < WINDOWS; w++) {
			struct cell *c = (struct cell *)find(h->scopes[i], w, window_id(w, h->window[i]));

			if (c) {
				add(&c->held, held);
				add(&c->posted, posted);
			}
		}
}

int hold_raise(struct hold *h, struct amount a, struct scope **which)
{
	struct amount more = { a.charge > h->held.charge ? a.charge - h->held.charge : 0, a.all > h->held.all ? a.all - h->held.all : 0 };
	int rc;

	assert(h->open);
	if (!more.charge && !more.all)
		return MG_OK;
	lock_all(h);
	rc = refused(h, more, which);
	if (!rc)
		change(h, more, charged(0));
	unlock_all(h);
	if (!rc)
		add(&h->held, more);
	return rc;
}

bool hold_settle(struct hold *h, struct amount a)
{
	assert(a.charge >= 0 && a.all >= a.charge);
	if (!h->open)
		return false;
	h->open = false;
	lock_all(h);
	change(h, minus(h->held), a);
	unlock_all(h);
	return true;
}

void scope_refund(struct scope *s, int64_t nusd, int64_t wall_ms)
{
	assert(nusd >= 0);
	lock(s);
	for (enum window w = 0; w < WINDOWS; w++) {
		struct cell *c = (struct cell *)find(s, w, window_id(w, wall_ms));

		if (c)
			add(&c->posted, minus(charged(nusd)));
	}
	unlock(s);
}
