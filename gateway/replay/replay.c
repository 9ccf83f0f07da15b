/*
 * replay.c - the hooks of a request's life, once more, with what the record says they read.
 */
#include <stdlib.h>
#include "replay/replay.h"

struct replay {
	struct policy_state *state;
	const struct shelf *shelf;
	const struct catalog *now;
	struct purses *purses;
	struct pool *pool;
	const char *text;		/* the record; borrowed for one decision */
	struct recorded record;
	struct decision d;
	size_t routing;			/* of the record's: where candidates come from */
};

enum { POOL_BYTES = 4 << 20 };

struct replay *replay_new(struct bundle *b, const struct shelf *shelf, const struct catalog *now, struct err *err)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (!r) {
		fail(err, MG_ENOMEM, "no memory for a replay");
		return NULL;
	}
	r->shelf = shelf;
	r->now = now;
	r->state = policy_state_for_replay(b, err);
	if (!r->state) {
		free(r);
		return NULL;
	}
	return r;
}

void replay_free(struct replay *r)
{
	if (!r)
		return;
	policy_state_free(r->state);
	pool_free(r->pool);
	free(r);
}

void replay_purses(struct replay *r, struct purses *p) { r->purses = p; }
bool replay_own(const struct replay *r) { return !strncmp(r->record.bundle, bundle_hash(r->state->bundle), ENDPOINT_DIGITS); }
bool replay_strayed(const struct replay *r) { return r->state->strayed && !replay_own(r); }
struct decision *replay_decision(struct replay *r) { return &r->d; }
const struct recorded *replay_recorded(const struct replay *r) { return &r->record; }
struct policy_state *replay_state(struct replay *r) { return r->state; }

/* ---- candidates, as they were */

static struct mg_str slug_of(const struct recorded *rec, struct mg_str name)
{
	for (size_t i = 0; i + 1 < rec->aliases.n; i += 2)
		if (rec->aliases.at[i].len == name.len && !memcmp(rec->aliases.at[i].at, name.at, name.len))
			return rec->aliases.at[i + 1];
	return name;
}

static bool listed(const struct listed *l, struct mg_str slug)
{
	for (size_t i = 0; i < l->models.n; i++)
		if (l->models.at[i].len == slug.len && !memcmp(l->models.at[i].at, slug.at, slug.len))
			return true;
	return false;
}

/* Those of the slug, in their order; NULL: the record knows nothing of that model. */
static struct model *model_then(const struct listed *l, struct mg_str slug, struct pool *p)
{
	struct model *m = pool_alloc(p, sizeof(*m));
	struct endpoint **list = pool_alloc(p, (l->n + 1) * sizeof(*list));
	size_t n = 0;

	if (!m || !list)
		return NULL;
	for (size_t i = 0; i < l->n; i++) {
		const struct endpoint *e = l->at[i].endpoint;

		if (e && mg_is(slug, e->model->slug))
			list[n++] = (struct endpoint *)(uintptr_t)e;
	}
	if (!n && !listed(l, slug))
		return NULL;
	*m = (struct model){ .slug = n ? list[0]->model->slug : (char *)(uintptr_t)pool_dup(p, slug).at, .endpoints = list, .n_endpoints = n };
	m->canonical = m->name = m->slug;
	return m->slug ? m : NULL;
}

/* In this routing, in any other, else as it is now. */
static struct model *find_model(void *arg, struct mg_str name, struct pool *p)
{
	struct replay *r = arg;
	struct mg_str slug = slug_of(&r->record, name);
	bool routed = !r->record.refused.hook || !strcmp(r->record.refused.hook, hook_names[HOOK_FILTER]);	/* else it has no candidates */
	struct model *m = routed ? model_then(&r->record.routings[r->routing], slug, p) : NULL;

	for (size_t i = 0; routed && !m && i < r->record.n_routings; i++)
		if (i != r->routing)
			m = model_then(&r->record.routings[i], slug, p);
	return m || !r->now ? m : catalog_find(r->now, name, p);
}

static void find_live(void *arg, const struct endpoint *e, struct live_facts *out)
{
	struct replay *r = arg;

	for (size_t i = 0; i < r->record.n_routings; i++) {
		const struct listed *l = &r->record.routings[(r->routing + i) % r->record.n_routings];

		for (size_t k = 0; k < l->n; k++)
			if (l->at[k].endpoint == e) {
				*out = l->at[k].live;
				return;
			}
	}
}

/* What attempts took out of the order afterwards was no policy's doing. */
static void leave_out(const struct replay *r, const struct listed *l, struct candidate *list, size_t n)
{
	for (size_t i = 0; i < n && i < l->n; i++)
		if (l->at[i].dropped.at && !l->at[i].by.at && list[i].rank && !list[i].dropped && l->at[i].endpoint == list[i].endpoint)
			list[i].dropped = pool_dup(r->pool, l->at[i].dropped).at;
}

/* ---- failures, as long as they can have come about in the same way */

static bool same_place(const struct replay *r, const struct failed *f)
{
	const struct listed *l = &r->record.routings[r->routing];

	if (f->routing != r->routing || r->d.n != l->n || f->candidate >= r->d.n)
		return false;
	for (size_t i = 0; i < f->n_rest; i++)
		if (f->rest[i] >= r->d.n)
			return false;
	for (size_t i = 0; i < l->n; i++)
		if (l->at[i].endpoint != r->d.candidates[i].endpoint)
			return false;
	return true;
}

static bool fail_again(struct replay *r, const struct failed *f, const struct origin *from)
{
	struct candidate **rest = pool_alloc(r->pool, (f->n_rest + 1) * sizeof(*rest));
	struct attempt_error error = f->error;
	struct denial no = { 0 };
	struct action act;

	if (!rest || !same_place(r, f))
		return false;
	for (size_t i = 0; i < f->n_rest; i++)
		rest[i] = &r->d.candidates[f->rest[i]];
	error.endpoint = r->d.candidates[f->candidate].endpoint;
	policy_on_error(r->state, &r->d, &error, rest, f->n_rest, &act);
	if (act.what != ACT_MODEL)
		return act.what != ACT_STOP;
	if (r->routing + 1 < r->record.n_routings)
		r->routing++;
	return reroute_from(r->state, &r->d, from, act.model, &no);
}

/* ---- one decision */

static int all_there(struct replay *r, struct err *err)
{
	for (size_t i = 0; i < r->record.n_routings; i++)
		for (size_t k = 0; k < r->record.routings[i].n; k++) {
			struct seen *c = &r->record.routings[i].at[k];

			c->endpoint = shelf_find(r->shelf, c->hash);
			if (!c->endpoint)
				return fail(err, MG_EINVAL, "the store does not have endpoint %.*s, which the decision names", (int)c->hash.len, c->hash.at);
		}
	return MG_OK;
}

int replay_read(struct replay *r, const struct mg_store_decision *row, struct err *err)
{
	int rc;

	pool_free(r->pool);
	r->pool = pool_new(POOL_BYTES);
	r->text = row->json;
	r->routing = 0;
	rc = r->pool ? recorded_read(r->pool, row, &r->record, err) : fail(err, MG_ENOMEM, "no memory for a decision");
	return rc ? rc : all_there(r, err);
}

static void decide(struct replay *r)
{
	struct origin from = { find_model, find_live, r, shelf_catalog(r->shelf) };
	struct decision *d = &r->d;
	struct denial no = { 0 };

	policy_retain(r->state, d);
	if (!policy_admit(r->state, d, &no))
		return;
	if (!policy_resolve(r->state, d, &no) || !route_from(r->state, d, &from, &no))
		return;
	policy_plan(r->state, d);
	for (const struct failed *f = r->record.failures; f && fail_again(r, f, &from); f = f->next)
		;
}

int replay_decide(struct replay *r, const struct mg_store_decision *row, struct err *err)
{
	const struct routing *before;
	size_t i = 0;
	int rc = replay_read(r, row, err);

	if (rc)
		return rc;
	decision_init(&r->d, r->pool);
	r->d.facts = r->record.facts;
	r->d.given = r->record.given;
	if (r->purses && !replay_own(r)) {
		r->d.purse = purses_find(r->purses, row->key_hash);
		r->d.balance = purses_find(r->purses, "");
	}
	r->state->strayed = false;
	decide(r);
	for (before = r->d.routings; before && i + 1 < r->record.n_routings; before = before->next, i++)
		leave_out(r, &r->record.routings[i], before->candidates, before->n);
	if (i < r->record.n_routings)
		leave_out(r, &r->record.routings[i], r->d.candidates, r->d.n);
	return MG_OK;
}

/* ---- is it the same? */

static const char *again_text(struct replay *r, size_t *len)
{
	const char *text = decision_record(r->state, &r->d, NULL, NULL);

	*len = text ? recorded_decided((struct mg_str){ text, strlen(text) }) : 0;
	return text;
}

bool replay_same(struct replay *r)
{
	size_t len;
	const char *text = again_text(r, &len);

	return text && len == recorded_decided((struct mg_str){ r->text, strlen(r->text) }) && !memcmp(text, r->text, len);
}

struct telling { void (*say)(void *, const char *); void *arg; size_t n; };

static void differ(struct telling *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void differ(struct telling *t, const char *fmt, ...)
{
	char line[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	t->n++;
	t->say(t->arg, line);
}

static void fate(char out[static 160], unsigned rank, const char *dropped, const char *by)
{
	if (dropped && by && *by)
		snprintf(out, 160, "dropped by %.60s: %.60s", by, dropped);
	else if (rank)
		snprintf(out, 160, "place %u", rank);
	else
		snprintf(out, 160, "not ranked");
}

static void compare_candidate(struct replay *r, struct telling *t, const struct seen *then, const struct candidate *now)
{
	const char *dropped = then->dropped.at ? pool_dup(r->pool, then->dropped).at : NULL, *by = then->by.at ? pool_dup(r->pool, then->by).at : NULL;
	const struct endpoint *e = then->endpoint;
	char was[160], is[160];

	fate(was, then->rank, dropped, by);
	fate(is, now->rank, now->dropped, now->by);
	if (!e || now->endpoint != e)
		differ(t, "%s: %s, now %s in its place: %s", e ? e->id : "?", was, now->endpoint->id, is);
	else if (strcmp(was, is))
		differ(t, "%s: %s, now %s", e->id, was, is);
}

/* A member of both, as its text. */
static void compare_member(struct telling *t, const char *name, struct mg_view then, struct mg_view now)
{
	struct mg_str a = json_raw(then), b = json_raw(now);

	if (a.len != b.len || (a.len && memcmp(a.at, b.at, a.len)))
		differ(t, "%s: %.*s, now %.*s", name, a.len ? (int)a.len : 4, a.len ? a.at : "none", b.len ? (int)b.len : 4, b.len ? b.at : "none");
}

static void compare_members(struct telling *t, struct mg_view then, struct mg_view now)
{
	static const char *const names[] = { "denied", "models", "prefs", "order", "plan", "keep", "strategy", "failures", "policy_error" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		compare_member(t, names[i], json_get(then, names[i]), json_get(now, names[i]));
}

size_t replay_differences(struct replay *r, void (*say)(void *arg, const char *line), void *arg)
{
	const struct listed *l = &r->record.routings[r->record.n_routings - 1];
	struct telling t = { say, arg, 0 };
	struct mg_view then, now;
	struct err err;
	size_t len;
	const char *text;

	if (replay_same(r))
		return 0;
	text = again_text(r, &len);
	for (size_t i = 0; i < l->n && i < r->d.n; i++)
		compare_candidate(r, &t, &l->at[i], &r->d.candidates[i]);
	if (l->n != r->d.n)
		differ(&t, "candidates: %zu, now %zu", l->n, r->d.n);
	if (text && !json_parse(r->pool, (struct mg_str){ r->text, strlen(r->text) }, &then, &err) &&
			!json_parse(r->pool, (struct mg_str){ text, strlen(text) }, &now, &err))
		compare_members(&t, then, now);
	if (!t.n)
		differ(&t, "what the request was routed by before another model's turn came");
	return t.n;
}
