/*
 * race.c - hedged requests: where the first output is late, another endpoint is
 * asked beside the first one, and whoever says something first answers.
 *
 *	one runs --after_ms--> two run --first output--> its attempt goes on, alone
 *	                           |
 *	                           +-- one fails --> the other goes on; it too: on_error
 *
 * Whoever else handles a request knows one attempt, r->now, and what that one
 * said.  While several run, race_turn() puts aside what the others said, so that
 * whoever speaks is r->now.  Nothing has reached the client then: the first
 * output ends the race.
 *
 * A hedge asks of the same order as a fallback, so of endpoints that passed the
 * filters, and what it may cost is held before it begins (R40).  The client pays
 * the winner; what the others cost is our own loss (R47).
 */
#include "base/clock.h"
#include "base/log.h"
#include "catalog/gate.h"
#include "relay/inline.h"

enum { LANES = 3 };			/* the first, and the two that a plan may ask for */
#define LIMITED_MOST 0.1		/* share of 429 from which on an upstream is not asked for more than it must */

struct lane { struct attempt *a; bool hedge; struct amount held; const struct endpoint *endpoint; struct mg_str upstream_id, native;
	struct mg_usage usage; bool usage_reported; enum mg_finish finish; };

struct race {
	struct relay *r;
	struct timer late;
	struct lane lanes[LANES]; unsigned n;	/* who runs, from the first hedge on; of r->now what it said is in the relay */
	unsigned hedges;			/* that began */
	bool won;				/* by a hedge */
	bool waits;				/* for what the hedge's request points to */
	struct pool *lost[LANES]; unsigned n_lost;	/* a loser's memory: libcurl may read its request until the loop turns */
};

/* ------------------------------------------------ who speaks */

static struct lane *lane_of(const struct relay *r, const struct attempt *a)
{
	struct race *q = r->race;

	for (unsigned i = 0; q && i < q->n; i++)
		if (q->lanes[i].a == a)
			return &q->lanes[i];
	return NULL;
}

static void put_aside(const struct relay *r, struct lane *l)
{
	l->endpoint = r->endpoint;
	l->upstream_id = r->upstream_id;
	l->native = r->native;
	l->usage = r->usage;
	l->usage_reported = r->usage_reported;
	l->finish = r->finish;
}

static void take_up(struct relay *r, const struct lane *l)
{
	r->now = l->a;
	r->endpoint = l->endpoint;
	r->upstream_id = l->upstream_id;
	r->native = l->native;
	r->usage = l->usage;
	r->usage_reported = l->usage_reported;
	r->finish = l->finish;
}

void race_turn(struct relay *r, struct attempt *a)
{
	struct lane *was = lane_of(r, r->now), *now = lane_of(r, a);

	if (!now || now == was)
		return;
	if (was)
		put_aside(r, was);
	take_up(r, now);
}

static void leave(struct race *q, struct lane *l)
{
	memmove(l, l + 1, (size_t)(&q->lanes[--q->n] - l) * sizeof(*l));
}

/* ------------------------------------------------ what others ask */

static const struct endpoint *running(const struct relay *r, unsigned i)
{
	const struct race *q = r->race;

	return attempt_endpoint(q && q->n ? q->lanes[i].a : r->now);
}

unsigned race_running(const struct relay *r)
{
	return r->race && r->race->n ? r->race->n : r->now != NULL;
}

bool race_at(const struct relay *r, const struct provider *p)
{
	bool found = false;

	for (unsigned i = 0; i < race_running(r); i++)
		found |= running(r, i)->provider->gate == p->gate;	/* whosever account it is */
	return found;
}

unsigned race_on(const struct relay *r, const struct model *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < race_running(r); i++)
		n += running(r, i)->model == m;
	return n;
}

bool race_hedged(const struct relay *r)
{
	return r->race && r->race->hedges;
}

bool race_is_hedge(const struct relay *r, const struct attempt *a)
{
	const struct lane *l = lane_of(r, a);

	return l ? l->hedge : r->race && r->race->won;
}

/* ------------------------------------------------ how it ends */

static void count(const char *result)
{
	metric_add(M_HEDGES, 1, METRIC_LABELS(result));
}

/* Of one that has not said what it used the prompt is assumed: an upstream reads it until the connection is closed. */
static void part_with(struct relay *r, struct attempt *a, const char *result)
{
	const struct endpoint *e = attempt_endpoint(a), *other = attempt_endpoint(r->now);
	struct attempt *stays = r->now;
	struct race *q = r->race;
	struct loss loss;

	race_turn(r, a);
	tried_cancelled(r, a, result);
	loss = relay_lose(r, e, attempt_sent(a));
	decision_note(&r->d, "hedge", e->id, "%s: %s goes on; it cost %lld nUSD, %s", result, other->id, (long long)loss.nusd, usage_source_name(loss.source));
	if (lane_of(r, a)->hedge)
		count(result);
	leave(q, lane_of(r, a));
	take_up(r, lane_of(r, stays));
	if (q->n_lost < LANES)
		q->lost[q->n_lost++] = attempt_lose(a);
	else
		attempt_cancel(a);
	loop_timer_set(r->w->loop, &q->late, 0);
}

/* r->now goes on alone. */
static void alone(struct relay *r, const char *result)
{
	struct race *q = r->race;

	for (unsigned i = q->n; i-- > 0;)
		if (q->lanes[i].a != r->now)
			part_with(r, q->lanes[i].a, result);
}

void race_won(struct relay *r)
{
	struct race *q = r->race;

	if (!q->n)
		return;
	q->won = lane_of(r, r->now)->hedge;
	alone(r, "lost");
	if (q->won)
		count("won");
	q->n = 0;
	if (q->waits)
		inline_stop(r);
	q->waits = false;
}

bool race_goes_on(struct relay *r, struct attempt *a, const char *result)
{
	struct lane *l = lane_of(r, a);

	if (!l)
		return false;
	if (l->hedge)
		count(result);
	leave(r->race, l);
	if (r->race->n)
		take_up(r, &r->race->lanes[0]);
	return r->race->n;
}

void race_narrow(struct relay *r)
{
	struct race *q = r->race;

	for (unsigned i = 0; i < q->n; i++)
		if (attempt_sent(q->lanes[i].a)) {
			race_turn(r, q->lanes[i].a);
			break;
		}
	alone(r, "cancelled");
}

void race_drained(struct relay *r)
{
	for (unsigned i = 0; i < r->race->n; i++)
		attempt_resume(r->race->lanes[i].a);
}

static void free_lost(struct race *q)
{
	while (q->n_lost)
		pool_free(q->lost[--q->n_lost]);
}

void race_release(struct relay *r)
{
	struct race *q = r->race;

	loop_timer_clear(r->w->loop, &q->late);
	for (; q->n; q->n--)
		attempt_cancel(q->lanes[q->n - 1].a);
	free_lost(q);
}

/* ------------------------------------------------ how it begins */

static bool limited(const struct endpoint *e)
{
	struct live_facts f;

	live_read(e->live, clock_ms(), &f);
	return f.rate_429 >= LIMITED_MOST;
}

/* NULL: it may be asked, for that.  Else why not; "waits": something is fetched for it first. */
static const char *unfit(struct race *q, struct candidate *c, struct amount first, struct amount *a)
{
	const struct endpoint *e = c->endpoint;
	struct relay *r = q->r;
	struct err err;
	int rc;

	if (gate_full(e->provider->gate, e->provider->max_in_flight) || limited(e))
		return "busy";
	if (hold_estimate(r, e, a) != MG_OK || !hold_pays_prompt(r, e) ||
	    (money_sum)a->charge * 100 > (money_sum)first.charge * r->snap->catalog->hedge_price_percent)
		return "price";
	rc = inline_for(r, e, &err);
	if (rc)
		return rc == INLINE_WAITS ? "waits" : "nobody";
	return live_allow(e->live, clock_ms()) ? NULL : "busy";
}

/* In the policies' order, another provider before another endpoint of the same.  Its place in it, where it stays until
 * a hedge begins there; or n_order, and why. */
static size_t pick(struct race *q, struct amount first, struct amount *a, const char **why)
{
	struct relay *r = q->r;

	*why = "nobody";
	for (int same = 0; same < 2; same++)
		for (size_t i = r->next; i < r->d.n_order; i++) {
			if (race_at(r, r->d.order[i]->endpoint->provider) != same || !choice_may(r, r->d.order[i]))
				continue;
			*why = unfit(q, r->d.order[i], first, a);
			if (!*why)
				return i;
			if (!strcmp(*why, "waits"))
				return r->d.n_order;
		}
	return r->d.n_order;
}

/* With the i-th of the order. */
static bool begin(struct race *q, size_t i, struct amount a)
{
	const struct endpoint *e = q->r->d.order[i]->endpoint;
	struct lane *was = lane_of(q->r, q->r->now);
	struct relay *r = q->r;
	struct err err = { 0 };

	put_aside(r, was);
	take_up(r, &(struct lane){ .endpoint = e });
	if (tried_intent(r, e, &err) == MG_OK && tried_launch(r, choice_take(r, i), &err)) {
		q->lanes[q->n++] = (struct lane){ .a = r->now, .hedge = true, .held = a };
		return true;
	}
	log_at(LOG_WARN, EV_UPSTREAM_FAILED, r->name, LOG_S("endpoint", e->id), LOG_S("why", err.msg));
	live_unallow(e->live);
	take_up(r, was);
	return false;
}

/* NULL: it began.  Else why not. */
static const char *hedge(struct race *q)
{
	struct relay *r = q->r;
	const struct endpoint *first = running(r, 0);
	struct amount one, more, all;
	const char *why;
	size_t i;

	if (limited(first))
		return "busy";
	if (r->n_tried + race_running(r) >= choice_most(r))
		return "attempts";
	if (hold_estimate(r, first, &one) != MG_OK)
		return "price";
	if (!q->n)
		q->lanes[q->n++] = (struct lane){ .a = r->now, .held = one };
	i = pick(q, one, &more, &why);
	if (why)
		return why;
	all = more;
	for (size_t k = 0; k < q->n; k++)
		all = (struct amount){ all.charge + q->lanes[k].held.charge, all.all + q->lanes[k].held.all };
	if (!q->hedges && !gate_hedge(first->provider->gate, r->snap->catalog->hedge_percent))
		why = "share";
	else if (!hold_for(r, all, NULL))
		why = "budget";
	if (why) {
		live_unallow(r->d.order[i]->endpoint->live);
		return why;
	}
	return begin(q, i, more) ? NULL : "failed";
}

static void try_hedge(struct race *q)
{
	struct relay *r = q->r;
	const char *why = hedge(q);

	q->waits = why && !strcmp(why, "waits");
	if (q->waits)
		return;
	if (why) {
		count(why);
		decision_note(&r->d, "hedge", running(r, 0)->id, "late, and none: %s", why);
		return;
	}
	q->hedges++;
	decision_note(&r->d, "hedge", r->endpoint->id, "began %llu ms behind %s", (unsigned long long)attempt_us(q->lanes[0].a) / 1000, running(r, 0)->id);
	log_at(LOG_INFO, EV_UPSTREAM_HEDGE, r->name, LOG_S("endpoint", r->endpoint->id), LOG_S("behind", running(r, 0)->id));
	if (q->hedges < r->d.plan.hedge_extra)
		loop_timer_set(r->w->loop, &q->late, r->d.plan.hedge_after_ms);
}

/* Nobody waits for it any more, or nothing new is to begin. */
static bool over(const struct relay *r)
{
	return r->ended || r->cancelled || r->first_us || !r->now || !relay_has_time(r) || atomic_load(&r->w->gw->draining);
}

/* Whoever stands in line for a place at its upstream has not begun to be late. */
static void on_late(struct timer *t)
{
	struct race *q = loop_owner(t, struct race, late);
	struct relay *r = q->r;
	const struct attempt *last = q->n ? q->lanes[q->n - 1].a : r->now;
	uint64_t after_ms = r->d.plan.hedge_after_ms, us;

	free_lost(q);
	if (over(r) || q->hedges >= r->d.plan.hedge_extra)
		return;
	us = attempt_sent(last) ? attempt_us(last) : 0;
	if (us + 1000 < after_ms * 1000)
		loop_timer_set(r->w->loop, t, after_ms - us / 1000);
	else
		try_hedge(q);
}

void race_step(struct relay *r)
{
	if (r->race && r->race->waits && !over(r))
		try_hedge(r->race);
}

void race_arm(struct relay *r)
{
	struct race *q = r->race ? r->race : pool_alloc(r->pool, sizeof(*q));

	if (!q)
		return;
	r->race = q;
	q->r = r;
	q->won = false;
	q->late.fire = on_late;
	loop_timer_set(r->w->loop, &q->late, r->d.plan.hedge_after_ms);
}
