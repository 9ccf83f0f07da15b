/*
 * chance.c - how likely the replayed decision was to have an endpoint come first.
 *
 * The draw is made again with each of its lots, and the rankings behind it run on: whatever
 * they make of it, a session's endpoint that goes before all others, say, is counted as it is.
 */
#include "replay/replay.h"

static size_t first_of(const struct candidate *list, size_t n)
{
	size_t i = 0;

	while (i < n && list[i].rank != 1)
		i++;
	return i;
}

static bool is(const struct endpoint *a, const struct endpoint *b)
{
	return a == b || !strcmp(a->id, b->id);
}

/* The draw that came to who is first; else the last one, which may have decided it all the same. */
static const struct lot *deciding(const struct decision *d, size_t first, unsigned *number)
{
	const struct lot *found = NULL;
	unsigned n = 0;

	for (const struct lot *l = d->lots; l; l = l->next, n++)
		if (!found || l->chosen == first || found->chosen != first) {
			found = l;
			*number = n;
		}
	return found;
}

/* The first routing of d, to be ranked again and again. */
static bool copy(const struct decision *d, struct decision *out)
{
	const struct routing *r = d->routings;

	*out = *d;
	out->n = r ? r->n : d->n;
	out->candidates = pool_alloc(d->pool, (out->n + 1) * sizeof(*out->candidates));
	out->order = pool_alloc(d->pool, (out->n + 1) * sizeof(*out->order));
	if (!out->candidates || !out->order)
		return false;
	memcpy(out->candidates, r ? r->candidates : d->candidates, out->n * sizeof(*out->candidates));
	if (r)
		out->facts.models = r->models;
	out->routings = NULL;
	out->stamp++;		/* the models may be others than those that req shows */
	out->notes = NULL;
	out->notes_end = &out->notes;
	return true;
}

double replay_chance(struct replay *r, const struct endpoint *e)
{
	struct decision *d = replay_decision(r), again;
	const struct candidate *list = d->routings ? d->routings->candidates : d->candidates;
	size_t n = d->routings ? d->routings->n : d->n, first = first_of(list, n);
	unsigned number = 0;
	const struct lot *lot = deciding(d, first, &number);
	double sum = 0;

	if (!lot)
		return first < n && is(list[first].endpoint, e);
	if (!copy(d, &again))
		return 0;
	for (size_t i = 0; i < lot->n; i++) {
		const struct forced f = { number, lot->at[i].candidate };
		const struct endpoint *came = first < n ? list[first].endpoint : NULL;

		if (f.candidate != lot->chosen) {
			again.fuel = 0;
			rank_forced(replay_state(r), &again, &f);
			came = again.n_order ? again.order[0]->endpoint : NULL;
		}
		if (came && is(came, e))
			sum += lot->at[i].p;
	}
	hook_begin(replay_state(r), d);
	return sum;
}
