/*
 * Draws of the rankings: how likely was whom they came to?  That alone is kept of a
 * request, since of what came of it one can then tell what another bundle's draws would
 * have led to.  A replay also keeps the other lots, and can make a draw come out as it likes.
 */
#include <math.h>
#include "policy/columns.h"

/* Item i, from 0, of the list at 1; NULL: no candidate of the decision at hand. */
static struct candidate *candidate_at(lua_State *L, struct policy_state *s, int i)
{
	const struct proxy *p;

	lua_geti(L, 1, i + 1);
	p = proxy_at(L, -1);
	lua_pop(L, 1);
	if (!p || p->kind != SIGHT_ENDPOINT || p->route != s->routes || p->mark >= s->d->n)
		return NULL;
	return &s->d->candidates[p->mark];
}

static void keep_lot(lua_State *L, struct policy_state *s, const struct keyed *keys, lua_Integer n, double sum, const struct candidate *chosen)
{
	struct lot *lot = pool_alloc(s->d->pool, sizeof(*lot));
	const struct candidate *c;

	if (lot)
		lot->at = pool_alloc(s->d->pool, sizeof(*lot->at) * (size_t)n);
	if (!lot || !lot->at)
		return;
	lot->chosen = (unsigned)(chosen - s->d->candidates);
	for (lua_Integer i = 0; i < n; i++)
		if ((c = candidate_at(L, s, keys[i].at)))
			lot->at[lot->n++] = (struct chance){ (unsigned)(c - s->d->candidates), keys[i].key / sum };
	*s->lots_end = lot;
	s->lots_end = &lot->next;
}

static lua_Integer force(lua_State *L, struct policy_state *s, const struct keyed *keys, lua_Integer n, lua_Integer at)
{
	for (lua_Integer i = 0; s->n_draws == s->forced->draw && i < n; i++)
		if (candidate_at(L, s, keys[i].at) == &s->d->candidates[s->forced->candidate])
			return i;
	return at;
}

/* Mostly a draw is from all that are left. */
static void mark(lua_State *L, struct policy_state *s, const struct keyed *keys, lua_Integer n)
{
	struct candidate *c;

	s->drew_all |= (size_t)n == s->d->n_order;
	for (lua_Integer i = 0; !s->drew_all && i < n; i++)
		if ((c = candidate_at(L, s, keys[i].at)))
			c->lot = true;
}

static uint32_t ppm(double p)
{
	uint32_t n = (uint32_t)(p * 1e6 + 0.5);

	return n ? n : 1;
}

lua_Integer draw_settle(lua_State *L, const struct keyed *keys, lua_Integer n, double sum, lua_Integer at)
{
	struct policy_state *s = state_of(L);
	struct candidate *c;

	if (s->hook != HOOK_RANK || !s->d || s->entry->shadow || n < 2 || !(sum > 0) || isinf(sum))
		return at;
	if (s->forced)
		at = force(L, s, keys, n, at);
	c = candidate_at(L, s, keys[at].at);
	if (!c)
		return at;
	c->drawn_ppm = ppm(keys[at].key / sum);
	if (s->replaying && !s->forced)
		keep_lot(L, s, keys, n, sum, c);
	mark(L, s, keys, n);
	s->n_draws++;
	return at;
}
