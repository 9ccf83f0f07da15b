/*
 * choice.c - which endpoint is tried next: the policies' order, less what may
 * not be asked now.
 */
#include "catalog/gate.h"
#include "relay/relay.h"

static unsigned tries_of_model(const struct relay *r, const struct model *m)
{
	unsigned n = race_on(r, m);

	for (unsigned i = 0; i < r->n_tried; i++)
		n += r->tried[i].endpoint->model == m;
	return n;
}

unsigned choice_tries(const struct relay *r, const struct endpoint *e)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_tried; i++)
		n += r->tried[i].endpoint == e;
	return n;
}

/* A plan may ask for less than is configured (R32). */
static unsigned at_most(unsigned wish, unsigned limit)
{
	return wish && wish < limit ? wish : limit;
}

unsigned choice_most(const struct relay *r)
{
	return at_most(r->d.plan.attempts, r->snap->catalog->attempts);
}

unsigned choice_most_per_model(const struct relay *r)
{
	return at_most(r->d.plan.attempts_per_model, r->snap->catalog->attempts_per_model);
}

static bool tried_before(const struct relay *r, const struct provider *p)
{
	for (unsigned i = 0; i < r->n_tried; i++)
		if (r->tried[i].endpoint->provider == p)
			return true;
	return race_at(r, p);
}

/* A further try at the same upstream is a retry, of which it bears few (R33). */
static bool may_try(const struct relay *r, const struct provider *p)
{
	return !tried_before(r, p) || gate_may_retry(p->gate, loop_now_ms(r->w->loop));
}

void choice_count(const struct relay *r, const struct endpoint *e)
{
	gate_count(e->provider->gate, tried_before(r, e->provider), loop_now_ms(r->w->loop));
}

bool choice_may(const struct relay *r, const struct candidate *c)
{
	return !c->dropped && tries_of_model(r, c->endpoint->model) < choice_most_per_model(r) && may_try(r, c->endpoint->provider);
}

struct candidate *choice_take(struct relay *r, size_t i)
{
	struct candidate **order = r->d.order, *c = order[i];

	memmove(order + r->next + 1, order + r->next, (i - r->next) * sizeof(*order));
	order[r->next++] = c;
	return c;
}

bool choice_again(struct relay *r, const struct endpoint *e)
{
	size_t i = r->next;

	while (i > 0 && r->d.order[i - 1]->endpoint != e)
		i--;
	if (!i || tries_of_model(r, e->model) >= choice_most_per_model(r))
		return false;
	for (; i < r->next; i++) {
		struct candidate *c = r->d.order[i - 1];

		r->d.order[i - 1] = r->d.order[i];
		r->d.order[i] = c;
	}
	r->next--;
	return true;
}

void choice_tried_last(struct relay *r)
{
	struct candidate **order = r->d.order;
	size_t n = r->d.n_order;

	for (size_t i = 0, left = n; left > 0; left--) {
		struct candidate *c = order[i];

		if (!choice_tries(r, c->endpoint)) {
			i++;
			continue;
		}
		memmove(order + i, order + i + 1, (n - i - 1) * sizeof(*order));
		order[n - 1] = c;
	}
}

/* The next endpoint that a breaker lets through and that has a place; else one to
 * stand in line for (R36); and if breakers hold all of them, the first all the
 * same: better a try than a refusal nobody checked (R34). */
struct candidate *choice_next(struct relay *r)
{
	uint64_t now_ms = loop_now_ms(r->w->loop);
	size_t full = SIZE_MAX, held = SIZE_MAX;

	for (size_t i = r->next; i < r->d.n_order; i++) {
		struct candidate *c = r->d.order[i];

		if (!choice_may(r, c))
			continue;
		if (gate_full(c->endpoint->provider->gate, c->endpoint->provider->max_in_flight))
			full = full == SIZE_MAX ? i : full;
		else if (live_allow(c->endpoint->live, now_ms))
			return choice_take(r, i);
		else if (held == SIZE_MAX)
			held = i;
	}
	if (full != SIZE_MAX)
		return choice_take(r, full);
	return held == SIZE_MAX || r->n_tried ? NULL : choice_take(r, held);
}
