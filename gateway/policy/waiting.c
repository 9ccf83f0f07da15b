/*
 * A hook that waits.  admit and resolve of a policy that speaks of lookup()
 * run on a coroutine; when it yields, the decision keeps it, other decisions
 * use the state meanwhile, and the same hook is called again with the answer.
 * What the coroutine holds of the request is right when it goes on: req shows
 * the decision at hand, and what was taken out of it is never changed.
 */
#include "base/clock.h"
#include "policy/state.h"

/* ---- coroutines.  A few that came to their end are kept.  One that failed is not: where its
 * fuel ended it was in the count hook, and in 5.4 no hook would ever run in it again. */

static void co_take(struct policy_state *s, struct waiting *w)
{
	w->life = s->life;
	if (s->n_idle) {
		w->co = s->idle[--s->n_idle].co;
		w->ref = s->idle[s->n_idle].ref;
		return;
	}
	w->co = lua_newthread(s->L);
	w->ref = luaL_ref(s->L, LUA_REGISTRYINDEX);
}

static void co_give(struct policy_state *s, struct waiting *w, bool whole)
{
	if (whole)
		lua_settop(w->co, 0);
	else
		lua_resetthread(w->co);
	if (!whole || s->n_idle == IDLE_MAX) {
		luaL_unref(s->L, LUA_REGISTRYINDEX, w->ref);
		return;
	}
	s->idle[s->n_idle].co = w->co;
	s->idle[s->n_idle++].ref = w->ref;
}

/* ---- runs */

/* n_args of what is on the coroutine, and under them on its first run the function. */
static int run(struct policy_state *s, struct decision *d, struct waiting *w, int n_args)
{
	uint64_t began = clock_us();
	long fuel = w->spent.fuel;
	int rc;

	s->looked = w->looked;
	s->impure = w->resumed;
	s->waiting = w;
	rc = sandbox_resume(s, w->co, n_args, &w->spent);
	s->waiting = NULL;
	w->looked = s->looked;
	d->waits = rc == HOOK_WAITS ? w : NULL;
	if (rc == HOOK_WAITS) {
		w->asked_us = clock_us();
		w->answer = NULL;
		w->error = NULL;
		s->n_waiting++;
	} else {
		co_give(s, w, !rc);
	}
	return hook_leave(s, d, w->entry, w->hook, rc, fuel - w->spent.fuel, began);
}

int hook_start(struct policy_state *s, struct decision *d, struct entry *e, enum hook h)
{
	struct waiting *w = pool_alloc(d->pool, sizeof(*w));

	if (!w)
		return hook_call(s, d, e, h, 1, 1);
	if (!hook_enter(s, d, e, h, 1))
		return -1;
	w->entry = e;
	w->hook = h;
	w->spent = (struct spent){ fuel_for(s, d, e, h), fuel_for(s, d, e, h), 0, s->hook_bytes };
	co_take(s, w);
	lua_xmove(s->L, w->co, 3);
	return run(s, d, w, 2);
}

int hook_go_on(struct policy_state *s, struct decision *d)
{
	struct waiting *w = d->waits;

	s->n_waiting--;
	w->resumed = true;
	s->hook = w->hook;
	s->entry = w->entry;
	req_push(s, d);		/* meanwhile it showed others */
	lua_pop(s->L, 1);
	return run(s, d, w, 0);
}

bool hook_lost(struct policy_state *s, struct decision *d)
{
	struct note *note;

	if (!d->waits || d->waits->life == s->life)
		return false;
	note = pool_alloc(d->pool, sizeof(*note));
	if (note) {
		*note = (struct note){ hook_names[d->waits->hook], "", "error: the policies' memory was full while it waited", NULL };
		*d->notes_end = note;
		d->notes_end = &note->next;
	}
	d->errors++;
	d->waits = NULL;
	return true;
}

/* ---- for whoever asks */

const struct question *policy_question(const struct decision *d)
{
	return &d->waits->question;
}

void policy_answer(struct decision *d, struct mg_str text, const char *error)
{
	struct waiting *w = d->waits;

	d->waited_us[w->hook == HOOK_RESOLVE] += clock_us() - w->asked_us;
	w->error = error;
	if (text.at)
		w->answer = answer_read(d->pool, text, &w->error);
	if (w->answer)
		answer_keep(w, text);
}

void policy_abandon(struct policy_state *s, struct decision *d)
{
	struct waiting *w = d->waits;

	d->waits = NULL;
	if (!w || w->life != s->life)
		return;
	s->n_waiting--;
	co_give(s, w, false);
}
