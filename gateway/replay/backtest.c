/*
 * backtest.c - a recorded decision beside the one that another bundle makes of it.
 */
#include <stdlib.h>
#include "base/crypto.h"
#include "ledger/generation.h"
#include "replay/backtest.h"

struct tester {
	struct replay *replay;
	const struct protects *protects;
	const char *org;
	struct purses *purses;		/* NULL: in no order */
	bool wants_order;
	struct backtest sum;
};

/* What became of the first place of a decision: nothing, where it was refused or no endpoint was left. */
struct first { const struct endpoint *endpoint; const struct live_facts *live; };

/* ---- whose "no" protects */

int protects_add(struct protects *p, struct bundle *b, struct err *err)
{
	struct policy_state *s = policy_state_for_replay(b, err);

	if (!s)
		return err->rc;
	for (size_t i = 0; i < s->n_entries; i++) {
		size_t k = 0;

		if (s->entries[i].scope != IN_GUARD || s->entries[i].shadow)
			continue;
		while (k < p->n && strcmp(p->names[k], s->entries[i].name))
			k++;
		if (k == p->n && p->n < PROTECTS_MAX)
			snprintf(p->names[p->n++], sizeof(p->names[0]), "%s", s->entries[i].name);
	}
	policy_state_free(s);
	return MG_OK;
}

/* by: "data_classes.lua:41".  Of what is no guard, what clients ask for themselves. */
static bool protects(const struct protects *p, struct mg_str why, struct mg_str by)
{
	static const char *const asked[] = { "zdr", "data_collection", "private" };
	size_t len;

	for (size_t i = 0; i < p->n; i++) {
		len = strlen(p->names[i]);
		if (by.len > len + 4 && !memcmp(by.at, p->names[i], len) && !memcmp(by.at + len, ".lua", 4))
			return true;
	}
	for (size_t i = 0; by.len && i < sizeof(asked) / sizeof(asked[0]); i++)
		if (mg_is(why, asked[i]))
			return true;
	return false;
}

static struct mg_str text_of(const char *s)
{
	return (struct mg_str){ s ? s : "", s ? strlen(s) : 0 };
}

/* ---- first choices */

static struct first first_then(const struct recorded *r)
{
	const struct listed *l = &r->routings[0];

	for (size_t i = 0; i < l->n; i++)
		if (l->at[i].rank == 1)
			return (struct first){ l->at[i].endpoint, &l->at[i].live };
	return (struct first){ NULL, NULL };
}

static const struct candidate *candidates_of(const struct decision *d, size_t *n)
{
	*n = d->routings ? d->routings->n : d->n;
	return d->routings ? d->routings->candidates : d->candidates;
}

static struct first first_now(const struct decision *d)
{
	size_t n;
	const struct candidate *list = candidates_of(d, &n);

	for (size_t i = 0; i < n; i++)
		if (list[i].rank == 1)
			return (struct first){ list[i].endpoint, &list[i].live };
	return (struct first){ NULL, NULL };
}

static bool same_place(const struct first *a, const struct first *b)
{
	return a->endpoint == b->endpoint || (a->endpoint && b->endpoint && !strcmp(a->endpoint->id, b->endpoint->id));
}

/* ---- protection: each column by the other's filters, since its own let it pass */

static bool forbidden_now(const struct tester *t, const struct decision *d, const struct endpoint *e)
{
	size_t n;
	const struct candidate *list = candidates_of(d, &n);

	for (size_t i = 0; i < n; i++)
		if (list[i].endpoint == e && list[i].dropped && !list[i].rank)
			return protects(t->protects, text_of(list[i].dropped), text_of(list[i].by));
	return false;
}

static bool forbidden_then(const struct tester *t, const struct recorded *r, const struct endpoint *e)
{
	const struct listed *l = &r->routings[0];

	for (size_t i = 0; i < l->n; i++)
		if (l->at[i].endpoint == e && l->at[i].dropped.len && !l->at[i].rank)
			return protects(t->protects, l->at[i].dropped, l->at[i].by);
	return false;
}

static bool keeps_more(const struct keep *a, const struct keep *b)
{
	return a->store > b->store || (a->store > KEEP_NONE && a->ttl_s > b->ttl_s) || (a->cache && !b->cache);
}

static void audit(struct tester *t, const struct recorded *r, const struct decision *d, const struct first *then, const struct first *now)
{
	t->sum.live.violations += then->endpoint && forbidden_now(t, d, then->endpoint);
	t->sum.candidate.violations += now->endpoint && forbidden_then(t, r, now->endpoint);
	t->sum.live.kept_more += keeps_more(&r->keep, &d->keep);
	t->sum.candidate.kept_more += keeps_more(&d->keep, &r->keep);
}

/* ---- what came of it, and what would have */

static void add_ms(struct tally *c, int64_t ms)
{
	if (ms < 0)
		return;
	if (c->n_ms == c->size_ms) {
		size_t size = c->size_ms * 2 + 1024;
		uint32_t *more = realloc(c->first_ms, size * sizeof(*more));

		if (!more)
			return;
		c->first_ms = more;
		c->size_ms = size;
	}
	c->first_ms[c->n_ms++] = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* The same quantile of another distribution; as it was where nothing is known of one of them. */
static int64_t same_quantile(int64_t ms, const struct live_facts *from, const struct live_facts *to)
{
	const double a[4] = { from->ttft_ms.p50, from->ttft_ms.p75, from->ttft_ms.p90, from->ttft_ms.p99 },
		b[4] = { to->ttft_ms.p50, to->ttft_ms.p75, to->ttft_ms.p90, to->ttft_ms.p99 };
	double x = (double)ms;

	if (ms < 0 || a[0] <= 0 || b[0] <= 0)
		return ms;
	if (x <= a[0])
		return (int64_t)(b[0] * x / a[0]);
	for (int i = 0; i < 3; i++)
		if (x <= a[i + 1])
			return (int64_t)(b[i] + (b[i + 1] - b[i]) * (x - a[i]) / (a[i + 1] - a[i]));
	return (int64_t)(b[3] * x / a[3]);
}

static bool draw_fails(const struct facts *f, const struct live_facts *l)
{
	return (double)(hash64(&f->seed, sizeof(f->seed), 17) >> 11) / (double)(UINT64_C(1) << 53) < l->error_rate;
}

static struct mg_usage usage_of(const struct generation *g)
{
	const int64_t prompt = g->native_prompt > 0 ? g->native_prompt : 0, cached = g->native_cached > 0 && g->native_cached <= prompt ? g->native_cached : 0,
		completion = g->native_completion > 0 ? g->native_completion : 0,
		reasoning = g->native_reasoning > 0 && g->native_reasoning <= completion ? g->native_reasoning : 0;

	return (struct mg_usage){ .size = sizeof(struct mg_usage), .input = (uint64_t)(prompt - cached), .cached = (uint64_t)cached,
		.output = (uint64_t)(completion - reasoning), .reasoning = (uint64_t)reasoning, .images_out = g->native_images > 0 ? (uint64_t)g->native_images : 0,
		.searches = g->search_results > 0 ? (uint64_t)g->search_results : 0, .requests = 1, .cost_nusd = -1 };
}

struct amount tested_amount(const struct mg_store_generation *g)
{
	return (struct amount){ g->charge_nusd, g->charge_nusd + (MG_HAS(g, own_nusd) ? g->own_nusd : 0) };
}

/* These three return what is charged, and what an own account takes. */
static struct amount measured(struct tester *t, const struct mg_store_generation *row, const struct generation *g, bool failed)
{
	struct backtest *b = &t->sum;

	b->measured++;
	b->measured_nusd += row->charge_nusd;
	b->candidate.charge_nusd += row->charge_nusd;
	b->candidate.cost_nusd += row->cost_nusd;
	b->candidate.failed += failed;
	add_ms(&b->candidate, g->latency);
	return tested_amount(row);
}

static struct amount estimated(struct tester *t, const struct mg_store_generation *row, const struct generation *g, const struct first *then,
	const struct first *now, bool failed)
{
	struct backtest *b = &t->sum;
	struct decision *d = replay_decision(t->replay);
	struct mg_usage usage = usage_of(g);
	struct bill bill = { .n = 0 };
	bool fails = now->endpoint && draw_fails(&d->facts, now->live);

	b->estimated++;
	b->was_nusd += row->charge_nusd;
	b->models += then->endpoint && now->endpoint && strcmp(then->endpoint->model->slug, now->endpoint->model->slug);
	b->avoided += failed && !fails;
	b->caused += !failed && fails;
	b->candidate.failed += fails;
	if (!now->endpoint)
		return charged(0);	/* nothing would have been asked of anybody */
	add_ms(&b->candidate, then->live ? same_quantile(g->latency, then->live, now->live) : g->latency);
	if (!row->delivered || policy_price(replay_state(t->replay), d, now->endpoint, &usage, false, &bill) != MG_OK)
		return charged(0);
	b->would_nusd += bill.charge_nusd;
	b->candidate.charge_nusd += bill.charge_nusd;
	b->candidate.cost_nusd += bill.cost_nusd;
	return bill_amount(&bill);
}

/* ---- the same without a model, where live drew */

static void weigh(struct weighed *w, uint64_t weight, int64_t x)
{
	w->n++;
	w->sum += x;
	w->weights += weight;
	w->squares += (unsigned __int128)weight * weight;
	w->weighed += (__int128)x * (__int128)weight;
}

static void weigh_outcome(struct tester *t, const struct drawn *then, const struct endpoint *e, int64_t charge_nusd, int64_t first_ms)
{
	uint64_t weight = e && then->ppm ? (uint64_t)(replay_chance(t->replay, e) * 1e12 / (double)then->ppm + 0.5) : 0;

	weigh(&t->sum.charge_nusd, weight, charge_nusd);
	if (first_ms >= 0)
		weigh(&t->sum.first_ms, weight, first_ms);
}

static struct amount outcome(struct tester *t, const struct recorded *r, const struct mg_store_generation *row, const struct first *then, const struct first *now)
{
	bool failed = r->failures != NULL;
	struct generation g;
	struct err err;

	if (generation_counts(row, &g, &err))
		generation_init(&g);
	t->sum.live.charge_nusd += row->charge_nusd;
	t->sum.live.cost_nusd += row->cost_nusd;
	t->sum.live.failed += failed;
	add_ms(&t->sum.live, g.latency);
	if (r->drawn.any)
		weigh_outcome(t, &r->drawn, then->endpoint, row->charge_nusd, g.latency);
	return same_place(then, now) ? measured(t, row, &g, failed) : estimated(t, row, &g, then, now, failed);
}

/* ---- one decision */

static size_t provider_at(struct backtest *b, const char *name)
{
	size_t i = 0;

	while (i < b->n_providers && strcmp(b->providers[i].name, name))
		i++;
	if (i == b->n_providers && i < PROVIDERS_MAX)
		snprintf(b->providers[b->n_providers++].name, sizeof(b->providers[0].name), "%s", name);
	return i < PROVIDERS_MAX ? i : PROVIDERS_MAX - 1;
}

static void count_sides(struct backtest *b, const struct refused *then, const struct refused *now, const struct first *a, const struct first *z)
{
	bool empty_then = then->hook && !strcmp(then->hook, hook_names[HOOK_FILTER]), empty_now = now->hook && !strcmp(now->hook, hook_names[HOOK_FILTER]);

	b->live.empty += empty_then;
	b->live.refused += then->hook && !empty_then;
	b->candidate.empty += empty_now || (!now->hook && !z->endpoint);
	b->candidate.refused += now->hook && !empty_now;
	if (a->endpoint)
		b->providers[provider_at(b, a->endpoint->provider->slug)].live++;
	if (z->endpoint)
		b->providers[provider_at(b, z->endpoint->provider->slug)].candidate++;
}

/* What the candidate charges, and its own accounts take. */
static struct amount compare(struct tester *t, const struct tested *row)
{
	const struct recorded *r = replay_recorded(t->replay);
	const struct decision *d = replay_decision(t->replay);
	struct backtest *b = &t->sum;
	struct first then = first_then(r), now = first_now(d);
	struct amount spent = charged(0);

	t->wants_order |= replay_strayed(t->replay);
	count_sides(b, &r->refused, &d->refused, &then, &now);
	audit(t, r, d, &then, &now);
	if (row->generation) {
		spent = outcome(t, r, row->generation, &then, &now);
	} else if (same_place(&then, &now)) {
		b->measured++;
	} else {
		b->estimated++;
	}
	if (replay_own(t->replay)) {
		b->own++;
		b->same += replay_same(t->replay);
	}
	return spent;
}

static bool asked_for(struct tester *t, const struct mg_store_decision *row)
{
	struct err err;

	return !t->org || replay_read(t->replay, row, &err) || mg_is(replay_recorded(t->replay)->facts.key.org, t->org);
}

void tester_take(struct tester *t, const struct tested *row)
{
	struct amount spent = row->generation ? tested_amount(row->generation) : charged(0);
	struct err err;

	if (asked_for(t, &row->decision)) {
		t->sum.decisions++;
		if (replay_decide(t->replay, &row->decision, &err))
			t->sum.unreadable++;
		else
			spent = compare(t, row);
	}
	if (t->purses)
		purses_spend(t->purses, row->decision.key_hash, spent, row->decision.at_ms);
}

void tester_in_order(struct tester *t, struct purses *p)
{
	t->purses = p;
	replay_purses(t->replay, p);
}

bool tester_wants_order(const struct tester *t)
{
	return t->wants_order;
}

struct tester *tester_new(struct bundle *candidate, const struct protects *p, const struct shelf *shelf, const struct catalog *now, const char *org, struct err *err)
{
	struct tester *t = calloc(1, sizeof(*t));

	if (!t) {
		fail(err, MG_ENOMEM, "no memory for a backtest");
		return NULL;
	}
	t->protects = p;
	t->org = org;
	t->replay = replay_new(candidate, shelf, now, err);
	if (!t->replay) {
		free(t);
		return NULL;
	}
	return t;
}

void tester_free(struct tester *t)
{
	if (!t)
		return;
	replay_free(t->replay);
	backtest_release(&t->sum);
	free(t);
}

const struct backtest *tester_result(const struct tester *t)
{
	return &t->sum;
}

/* ---- sums */

static int add_tally(struct tally *sum, const struct tally *one, struct err *err)
{
	size_t n = sum->n_ms + one->n_ms;
	uint32_t *more = realloc(sum->first_ms, (n + 1) * sizeof(*more));

	if (!more)
		return fail(err, MG_ENOMEM, "no memory for a backtest");
	if (one->n_ms)
		memcpy(more + sum->n_ms, one->first_ms, one->n_ms * sizeof(*more));
	sum->first_ms = more;
	sum->n_ms = sum->size_ms = n;
	sum->refused += one->refused;
	sum->empty += one->empty;
	sum->failed += one->failed;
	sum->violations += one->violations;
	sum->kept_more += one->kept_more;
	sum->charge_nusd += one->charge_nusd;
	sum->cost_nusd += one->cost_nusd;
	return MG_OK;
}

static void add_weighed(struct weighed *sum, const struct weighed *one)
{
	sum->n += one->n;
	sum->sum += one->sum;
	sum->weights += one->weights;
	sum->squares += one->squares;
	sum->weighed += one->weighed;
}

int backtest_add(struct backtest *sum, const struct backtest *one, struct err *err)
{
	uint64_t *const to[] = { &sum->decisions, &sum->unreadable, &sum->measured, &sum->estimated, &sum->models, &sum->avoided, &sum->caused, &sum->own, &sum->same };
	const uint64_t from[] = { one->decisions, one->unreadable, one->measured, one->estimated, one->models, one->avoided, one->caused, one->own, one->same };
	int rc;

	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++)
		*to[i] += from[i];
	sum->measured_nusd += one->measured_nusd;
	sum->was_nusd += one->was_nusd;
	sum->would_nusd += one->would_nusd;
	for (size_t i = 0; i < one->n_providers; i++) {
		size_t at = provider_at(sum, one->providers[i].name);

		sum->providers[at].live += one->providers[i].live;
		sum->providers[at].candidate += one->providers[i].candidate;
	}
	add_weighed(&sum->charge_nusd, &one->charge_nusd);
	add_weighed(&sum->first_ms, &one->first_ms);
	rc = add_tally(&sum->live, &one->live, err);
	return rc ? rc : add_tally(&sum->candidate, &one->candidate, err);
}

void backtest_release(struct backtest *b)
{
	free(b->live.first_ms);
	free(b->candidate.first_ms);
	b->live.first_ms = b->candidate.first_ms = NULL;
}

double weighed_size(const struct weighed *w)
{
	return w->squares ? (double)w->weights * (double)w->weights / (double)w->squares : 0;
}

double weighed_live(const struct weighed *w)
{
	return w->n ? (double)w->sum / (double)w->n : 0;
}

double weighed_candidate(const struct weighed *w)
{
	return w->weights ? (double)w->weighed / (double)w->weights : 0;
}

double weighed_weight(const struct weighed *w)
{
	return w->n ? (double)w->weights / (double)w->n / 1e6 : 0;
}

static int by_size(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

uint32_t tally_percentile(struct tally *c, unsigned percent)
{
	if (!c->n_ms)
		return 0;
	qsort(c->first_ms, c->n_ms, sizeof(*c->first_ms), by_size);
	return c->first_ms[(c->n_ms - 1) * percent / 100];
}
