/*
 * policy_route(): candidates from the catalogue, every one through every
 * filter, the survivors through every ranking.  Nothing reaches an endpoint in
 * another way.
 */
#include "base/clock.h"
#include "policy/state.h"

static const char *dup(struct decision *d, const char *text)
{
	const char *copy = pool_dup(d->pool, (struct mg_str){ text, strlen(text) }).at;

	return copy ? copy : "";
}

static void answer(struct denial *no, int status, const char *code, const char *by, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
static void answer(struct denial *no, int status, const char *code, const char *by, const char *fmt, ...)
{
	va_list args;

	*no = (struct denial){ .status = status };
	snprintf(no->code, sizeof(no->code), "%s", code);
	snprintf(no->by, sizeof(no->by), "%s", by);
	va_start(args, fmt);
	vsnprintf(no->message, sizeof(no->message), fmt, args);
	va_end(args);
}

/* ---- candidates */

static bool seen(const struct mg_str *models, size_t n, const char *slug)
{
	for (size_t i = 0; i < n; i++)
		if (mg_is(models[i], slug))
			return true;
	return false;
}

/* A name that is no slug; two entries each. */
static void alias_keep(struct decision *d, struct mg_str name, const char *slug)
{
	struct mg_str *more = mg_is(name, slug) ? NULL : pool_alloc(d->pool, (d->aliases.n + 2) * sizeof(*more));

	if (!more)
		return;
	if (d->aliases.n)
		memcpy(more, d->aliases.at, d->aliases.n * sizeof(*more));
	more[d->aliases.n] = name;
	more[d->aliases.n + 1] = (struct mg_str){ slug, strlen(slug) };
	d->aliases = (struct words){ more, d->aliases.n + 2 };
}

/* Names become slugs of the catalogue; -1: the client named one that is not there. */
static int find_models(struct decision *d, const struct origin *from, struct model **out, size_t *n, struct denial *no)
{
	struct words *asked = &d->facts.models;
	struct mg_str *slugs = pool_alloc(d->pool, sizeof(*slugs) * (asked->n + 1));

	*n = 0;
	if (!slugs)
		return -1;
	for (size_t i = 0; i < asked->n; i++) {
		struct model *m = from->model(from->arg, asked->at[i], d->pool);

		if (!m && !d->resolved) {
			struct mg_str name = i ? asked->at[i] : d->facts.model;		/* the first as it was sent, with its variant */

			answer(no, 400, "model_not_found", "", "%.*s is not a valid model ID", (int)name.len, name.at ? name.at : "");
			return -1;
		}
		if (m && m->mute && mg_is(d->facts.api, "chat")) {
			if (d->resolved)
				continue;
			answer(no, 400, "wrong_endpoint", "", "%.100s is no model for chat completions: it gives no text (model)", m->slug);
			return -1;
		}
		if (m)
			alias_keep(d, asked->at[i], m->slug);
		if (!m || seen(slugs, *n, m->slug))
			continue;	/* a policy may name more than is configured */
		d->alias |= !mg_is(asked->at[i], m->slug) && !mg_is(asked->at[i], m->canonical);
		out[*n] = m;
		slugs[(*n)++] = (struct mg_str){ m->slug, strlen(m->slug) };
	}
	if (!*n && d->resolved) {	/* the client named a router, not these */
		answer(no, 404, "no_endpoints", "", "No models match your request and model restrictions");
		return -1;
	}
	if (!*n) {
		answer(no, 400, "model_not_found", "", "%.*s is not a valid model ID", (int)d->facts.model.len, d->facts.model.at ? d->facts.model.at : "");
		return -1;
	}
	if (d->aliases.n || *n < asked->n)
		decision_asked(d, &d->facts);
	*asked = (struct words){ slugs, *n };
	return 0;
}

static int expand(struct decision *d, const struct origin *from, struct denial *no)
{
	struct model **models = pool_alloc(d->pool, sizeof(*models) * (d->facts.models.n + 1));
	size_t n_models, total = 0;

	if (!models || find_models(d, from, models, &n_models, no))
		return -1;
	for (size_t i = 0; i < n_models; i++)
		total += models[i]->n_endpoints;
	d->candidates = pool_alloc(d->pool, sizeof(*d->candidates) * (total + 1));
	d->order = pool_alloc(d->pool, sizeof(*d->order) * (total + 1));
	if (!d->candidates || !d->order)
		return -1;
	for (size_t i = 0; i < n_models; i++)
		for (size_t k = 0; k < models[i]->n_endpoints; k++) {
			struct candidate *cand = &d->candidates[d->n++];

			cand->endpoint = models[i]->endpoints[k];
			cand->live = (struct live_facts){ .outage_ago_ms = INT64_MAX, .uptime_30m = 1 };
			from->live(from->arg, cand->endpoint, &cand->live);
		}
	return 0;
}

struct here { const struct catalog *catalog; uint64_t now_ms; };

static struct model *model_here(void *arg, struct mg_str name, struct pool *pool)
{
	const struct here *h = arg;

	return catalog_find(h->catalog, name, pool);
}

static void live_here(void *arg, const struct endpoint *e, struct live_facts *out)
{
	const struct here *h = arg;

	if (e->live)
		live_read(e->live, h->now_ms, out);
}

/* ---- filters: any "no" or error drops */

static void filter(struct policy_state *s, struct decision *d, struct candidate *c)
{
	for (size_t i = 0; i < s->n_chain[HOOK_FILTER] && !c->dropped; i++) {
		struct entry *e = &s->entries[s->chain[HOOK_FILTER][i]];
		struct verdict v = e->active && !e->shadow ? verdict_of(s, d, e, c) : (struct verdict){ NULL, NULL };

		c->dropped = v.why;
		c->by = v.why ? v.by : NULL;
	}
	c->passed = !c->dropped;
	if (s->shadows && !c->dropped)
		shadow_filter(s, d, c);
}

bool decision_passed(const struct decision *d, const struct candidate *c)
{
	return d->candidates && c >= d->candidates && c < d->candidates + d->n && c->passed && c->rank;
}

/* Its sight remembers which candidate it is, so that a ranking can be read back. */
static void candidate_push(struct policy_state *s, const struct decision *d, const struct candidate *c)
{
	struct proxy *p;

	endpoint_push(s, c->endpoint, &c->live);
	p = proxy_at(s->L, -1);
	p->mark = (unsigned)(c - d->candidates);
	p->route = s->routes;
}

static void filter_all(struct policy_state *s, struct decision *d)
{
	for (size_t i = 0; i < d->n; i++) {
		struct candidate *c = &d->candidates[i];

		filter(s, d, c);
		if (!c->dropped)
			d->order[d->n_order++] = c;
	}
}

/* ---- rankings: a permutation of what is left, or fewer */

void order_push(struct policy_state *s, const struct decision *d)
{
	lua_createtable(s->L, (int)d->n_order, 0);
	for (size_t i = 0; i < d->n_order; i++) {
		candidate_push(s, d, d->order[i]);
		lua_rawseti(s->L, -2, (lua_Integer)i + 1);
	}
}

int order_read(struct policy_state *s, struct decision *d, struct candidate **next, size_t *n)
{
	lua_State *L = s->L;
	size_t len;

	if (!lua_istable(L, -1))
		return -1;
	len = lua_rawlen(L, -1);
	if (len > d->n_order)
		return -1;
	lua_pushnil(L);
	if (!len && lua_next(L, -2)) {	/* a table, but no list */
		lua_pop(L, 2);
		return -1;
	}
	if (len)
		lua_pop(L, 1);
	for (size_t i = 0; i < d->n_order; i++)
		d->order[i]->rank = 0;
	*n = 0;
	for (size_t i = 0; i < len; i++) {
		struct proxy *p;
		struct candidate *c;

		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		p = proxy_at(L, -1);
		lua_pop(L, 1);
		if (!p || p->kind != SIGHT_ENDPOINT || p->route != s->routes || p->mark >= d->n)
			return -1;
		c = &d->candidates[p->mark];
		if (c->dropped || c->rank)
			return -1;
		c->rank = (unsigned)++*n;
		next[*n - 1] = c;
	}
	return 0;
}

static void order_take(struct decision *d, const struct entry *e, struct candidate **next, size_t n)
{
	for (size_t i = 0; i < d->n_order; i++)
		if (!d->order[i]->rank) {
			d->order[i]->dropped = "unranked";
			d->order[i]->by = dup(d, e->at[HOOK_RANK]);
		}
	if (n)
		memcpy(d->order, next, n * sizeof(*next));
	d->n_order = n;
}

/* A ranking that says `when` is about lists with such an endpoint in them. */
static bool list_concerns(struct policy_state *s, struct decision *d, struct entry *e)
{
	if (e->when[HOOK_RANK] == LUA_NOREF)
		return true;
	for (size_t i = 0; i < d->n_order; i++)
		if (!candidate_known(s, d->order[i]) || concerns(s, d, e, HOOK_RANK, d->order[i]->endpoint))
			return true;
	return false;
}

static void rank_each(struct policy_state *s, struct decision *d)
{
	struct candidate **next = pool_alloc(d->pool, sizeof(*next) * (d->n_order + 1));

	s->n_draws = 0;
	s->drew_all = false;
	for (size_t i = 0; next && i < s->n_chain[HOOK_RANK] && d->n_order; i++) {
		struct entry *e = &s->entries[s->chain[HOOK_RANK][i]];
		size_t n;

		if (!e->active || e->shadow || !list_concerns(s, d, e))
			continue;
		hook_push(s, e, HOOK_RANK);
		req_push(s, d);
		order_push(s, d);
		if (hook_call(s, d, e, HOOK_RANK, 2, 1))
			continue;	/* the order stays */
		if (order_read(s, d, next, &n))
			hook_failed(s, d, e, HOOK_RANK, "rank must return endpoints of its list, each at most once");
		else
			order_take(d, e, next, n);
		lua_pop(s->L, 1);
	}
}

static void rank_all(struct policy_state *s, struct decision *d)
{
	struct lot *later = NULL;

	s->lots_end = d->routings ? &later : &d->lots;	/* what is asked of draws is asked of first choices */
	rank_each(s, d);
	if (!d->routings && d->n_order)
		d->drawn = (struct drawn){ s->drew_all || d->order[0]->lot, d->order[0]->drawn_ppm };
	if (s->shadows)
		shadow_rank(s, d);
	for (size_t i = 0; i < d->n_order; i++)
		d->order[i]->rank = (unsigned)i + 1;
}

void rank_forced(struct policy_state *s, struct decision *d, const struct forced *f)
{
	int top;

	hook_begin(s, d);
	top = lua_gettop(s->L);
	s->routes++;
	d->n_order = 0;
	for (size_t i = 0; i < d->n; i++) {
		d->candidates[i].rank = 0;
		if (!d->candidates[i].passed)
			continue;
		d->candidates[i].dropped = NULL;
		d->order[d->n_order++] = &d->candidates[i];
	}
	s->again = true;
	s->forced = f;
	rank_each(s, d);
	s->forced = NULL;
	s->again = false;
	lua_settop(s->L, top);
}

/* ---- nothing is left */

struct reason { const char *code, *by; unsigned n; };

static size_t count_reasons(const struct decision *d, struct reason *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++) {
		const struct candidate *c = &d->candidates[i];
		size_t k = 0;

		if (!c->dropped)
			continue;
		while (k < n && strcmp(out[k].code, c->dropped))
			k++;
		if (k == max)
			continue;
		if (k == n)
			out[n++] = (struct reason){ c->dropped, c->by ? c->by : "", 0 };
		out[k].n++;
	}
	return n;
}

/* Most codes of an answer are a 404; these are not (F2). */
static int status_of(const char *code)
{
	static const struct { const char *code; int status; } others[] = { { "region_restricted", 403 }, { "model_not_found", 400 },
		{ "wrong_endpoint", 400 }, { "capacity_exhausted", 429 }, { "temporarily_unavailable", 503 } };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(code, others[i].code))
			return others[i].status;
	return 404;
}

/* The bundle's word for each reason, once. */
static void excluded_by(struct policy_state *s, const struct reason *reasons, size_t n, struct denial *no)
{
	size_t len = 0, size = sizeof(no->excluded);

	for (size_t i = 0; i < n; i++) {
		const char *word = text_for(s, "excluded_by", reasons[i].code);
		char part[sizeof(no->excluded) + 2], all[sizeof(no->excluded) + 2];

		snprintf(part, sizeof(part), " %s ", word ? word : "");
		snprintf(all, sizeof(all), " %s ", no->excluded);
		if (word && !strstr(all, part) && len + strlen(word) + 2 < size)
			len += (size_t)snprintf(no->excluded + len, size - len, "%s%s", len ? " " : "", word);
	}
}

/* "code: message" of the bundle's answers, then what dropped how many: never which. */
static void nothing_left(struct policy_state *s, struct decision *d, struct denial *no)
{
	struct reason reasons[16], *most = NULL;
	size_t n = count_reasons(d, reasons, 16), len;
	const char *text = NULL, *message;
	char code[64] = "no_endpoints";

	for (size_t i = 0; i < n; i++)
		if (!most || reasons[i].n > most->n)
			most = &reasons[i];
	d->policy_error = n == 1 && !strcmp(most->code, "policy_error");
	if (d->policy_error) {
		policy_failed(d, hook_names[HOOK_FILTER], no);
		snprintf(no->by, sizeof(no->by), "%s", most->by);
		return;
	}
	if (most)
		text = text_for(s, "answers", most->code);
	if (!text && most)
		text = text_for(s, "answers", "otherwise");
	message = text ? strstr(text, ": ") : NULL;
	if (message)
		snprintf(code, sizeof(code), "%.*s", (int)(message - text), text);
	if (message)
		answer(no, status_of(code), code, most->by, "%s", message + 2);
	else
		answer(no, 404, code, most ? most->by : "", "No endpoints found for %.*s", (int)d->facts.model.len, d->facts.model.at ? d->facts.model.at : "");
	excluded_by(s, reasons, n, no);
	for (size_t i = 0; i < n; i++) {
		len = strlen(no->message);
		snprintf(no->message + len, sizeof(no->message) - len, "%s%s %u%s", i ? ", " : " (", reasons[i].code, reasons[i].n, i + 1 == n ? ")" : "");
	}
}

bool route_listed(struct policy_state *s, struct decision *d, struct denial *no)
{
	int top;

	hook_begin(s, d);
	top = lua_gettop(s->L);
	s->routes++;
	d->n_order = 0;
	filter_all(s, d);
	rank_all(s, d);
	lua_settop(s->L, top);
	if (d->n_order)
		return true;
	nothing_left(s, d, no);
	decision_denied(d, HOOK_FILTER, no);
	return false;
}

/* Another model takes the place of these. */
static void routing_keep(struct decision *d)
{
	struct routing *r = d->n ? pool_alloc(d->pool, sizeof(*r)) : NULL;

	if (!r)
		return;
	*r = (struct routing){ d->facts.models, d->candidates, d->n, d->order, d->n_order, NULL };
	*d->routings_end = r;
	d->routings_end = &r->next;
	d->n_routings++;
}

bool route_from(struct policy_state *s, struct decision *d, const struct origin *from, struct denial *no)
{
	d->candidates = NULL;
	d->order = NULL;
	d->n = d->n_order = 0;
	if (!d->resolved && !d->facts.models.n) {
		answer(no, 400, "model_not_found", "", "No models provided");
		return false;
	}
	*no = (struct denial){ .status = 503 };
	if (expand(d, from, no)) {
		if (no->status == 503)
			answer(no, 503, "policy_error", "", "The request is too large to route");
		return false;
	}
	d->stamp++;	/* models are slugs now: req is filled again */
	hook_begin(s, d);
	if (s->catalog != from->catalog || s->version != from->catalog->version)
		endpoints_reset(s, from->catalog);
	return route_listed(s, d, no);
}

bool policy_route(struct policy_state *s, struct decision *d, const struct catalog *c, struct denial *no)
{
	struct here here = { c, clock_ms() };

	return route_from(s, d, &(struct origin){ model_here, live_here, &here, c }, no);
}

bool reroute_from(struct policy_state *s, struct decision *d, const struct origin *from, struct mg_str model, struct denial *no)
{
	struct mg_str *models = pool_alloc(d->pool, sizeof(*models));

	if (!models)
		return false;
	routing_keep(d);
	decision_asked(d, &d->facts);
	*models = pool_dup(d->pool, model);
	d->facts.models = (struct words){ models, 1 };
	return route_from(s, d, from, no);
}

bool policy_reroute(struct policy_state *s, struct decision *d, const struct catalog *c, struct mg_str model, struct denial *no)
{
	struct here here = { c, clock_ms() };

	return reroute_from(s, d, &(struct origin){ model_here, live_here, &here, c }, model, no);
}
