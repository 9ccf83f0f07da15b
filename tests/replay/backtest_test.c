/* What a backtest counts, measures and estimates, to the last nanodollar. */
#include "policy/world.h"
#include "replay/backtest.h"
#include "tap.h"

enum { P, Q, R };

static const char plain[] = "return { policies = { default = { { use = 'p' } } } }";
static const char guarded[] = "return { policies = { guard = { { use = 'p' } } } }";

/* A world whose policy p.lua says who comes first; of three endpoints, p, q, r, at 1, 2 and 4 USD per million tokens. */
static void open_world(struct world *w, const char *policy, const char *bundle)
{
	static const char *const names[] = { "p", "q", "r" };
	static const double usd[] = { 1, 2, 4 };

	world_init(w);
	world_file(w, "p.lua", policy);
	for (int i = 0; i < 3; i++)
		world_endpoint(w, 0, names[i], usd[i], usd[i]);
	if (!world_open(w, bundle)) {
		printf("# %s\n", w->err.msg);
		abort();
	}
}

struct made { struct mg_store_generation row; char json[200], id[40]; };

/* A decision of w, kept; ms: to the first token; failed: at the first attempt, then the second answered. */
static const char *decided(struct world *w, bool failed, double error_rate)
{
	struct decision *d = world_ask(w);
	struct denial no;

	d->candidates = NULL;
	policy_retain(w->state, d);
	if (!policy_admit(w->state, d, &no))
		return pool_dup(w->pool, word_of(decision_record(w->state, d, world_tell, w))).at;
	policy_resolve(w->state, d, &no);
	d->n = w->n;
	d->candidates = pool_alloc(w->pool, sizeof(*d->candidates) * (w->n + 1));
	d->order = pool_alloc(w->pool, sizeof(*d->order) * (w->n + 1));
	for (size_t i = 0; i < w->n; i++)
		d->candidates[i] = (struct candidate){ .endpoint = &w->endpoints[i], .live = { .outage_ago_ms = INT64_MAX, .uptime_30m = 1, .samples = 50,
			.ttft_ms = { 100 * (double)(i + 1), 200 * (double)(i + 1), 400 * (double)(i + 1), 1000 * (double)(i + 1) }, .error_rate = i ? error_rate : 0 } };
	if (route_listed(w->state, d, &no)) {
		policy_plan(w->state, d);
		if (failed) {
			struct action act;

			policy_on_error(w->state, d, &(struct attempt_error){ .endpoint = d->order[0]->endpoint, .kind = MG_E_SERVER, .status = 500, .n = 1, .tries_here = 1 },
				d->order + 1, d->n_order - 1, &act);
		}
	}
	return pool_dup(w->pool, word_of(decision_record(w->state, d, world_tell, w))).at;
}

/* 1,000 tokens in, 200 of them cached, 500 out: at 1 USD per million and a tenth for the cached ones, 1,320,000 nUSD. */
static struct tested came_of(struct made *m, const char *decision, int64_t charge, int64_t ms, bool delivered)
{
	snprintf(m->id, sizeof(m->id), "gen-1");
	snprintf(m->json, sizeof(m->json), "{\"provider_name\":\"P\",\"numbers\":[1000,500,1000,500,0,200,0,0,0,0,0,0,%lld,900,null,0,%lld,0,null]}", (long long)ms, (long long)charge);
	m->row = (struct mg_store_generation){ .size = sizeof(m->row), .generation_id = m->id, .key_hash = "key_1", .charge_nusd = charge, .cost_nusd = charge,
		.at_ms = 1767787200000, .delivered = delivered, .json = m->json };
	return (struct tested){ { sizeof(struct mg_store_decision), m->id, m->row.at_ms, decision, "key_1", 0 }, &m->row };
}

static struct tester *tester_of(struct world *live, struct world *candidate, struct protects *p, struct shelf **shelf, const char *org)
{
	struct tester *t;

	*p = (struct protects){ .n = 0 };
	if (protects_add(p, live->bundle, &live->err) || protects_add(p, candidate->bundle, &live->err) ||
			shelf_open(&world_store, live, NULL, 0, shelf, &live->err) ||
			!(t = tester_new(candidate->bundle, p, *shelf, NULL, org, &live->err))) {
		printf("# %s\n", live->err.msg);
		abort();
	}
	return t;
}

#define RANK(key) "rank = function(req, eps) return rank.by(eps, function(e) return " key " end) end"
static const char cheap[] = "return policy { name = 'p', api = 1, version = '1', " RANK("e.usd.prompt") " }";
static const char dear[] = "return policy { name = 'p', api = 1, version = '2', " RANK("-e.usd.prompt") " }";

static void test_same(void)
{
	struct world live;
	struct protects p;
	struct shelf *shelf = NULL;
	struct tester *t;
	struct made m;
	struct tested row;
	const struct backtest *b;

	open_world(&live, cheap, plain);
	row = came_of(&m, decided(&live, false, 0), 1320000, 80, true);
	t = tester_of(&live, &live, &p, &shelf, NULL);
	tester_take(t, &row);
	b = tester_result(t);
	ok(b->decisions == 1 && b->measured == 1 && !b->estimated && b->own == 1 && b->same == 1, "the same first choice: measured, and identical");
	ok(b->measured_nusd == 1320000 && b->live.charge_nusd == 1320000 && b->candidate.charge_nusd == 1320000 && b->candidate.cost_nusd == 1320000, "its charge is what it was");
	ok(b->n_providers == 1 && !strcmp(b->providers[0].name, "p") && b->providers[0].live == 1 && b->providers[0].candidate == 1, "its provider");
	ok(b->live.n_ms == 1 && b->live.first_ms[0] == 80 && b->candidate.first_ms[0] == 80, "and its time to first token");
	tester_free(t);
	shelf_free(shelf);
	world_release(&live);
}

static void test_estimates(void)
{
	static const struct { int64_t ms, then; const char *what; } quantiles[] = { { 50, 150, "below the median" }, { 150, 450, "between the median and p75" },
		{ 400, 1200, "at p90" }, { 2000, 6000, "above p99" } };
	struct world live, candidate;
	struct protects p;
	struct shelf *shelf = NULL;
	struct tester *t;
	struct made m;
	struct tested row;
	const struct backtest *b;

	open_world(&live, cheap, plain);
	open_world(&candidate, dear, plain);
	decided(&live, false, 0);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		row = came_of(&m, decided(&live, false, 0), 1320000, quantiles[i].ms, true);
		t = tester_of(&live, &candidate, &p, &shelf, NULL);
		tester_take(t, &row);
		b = tester_result(t);
		ok(b->candidate.n_ms == 1 && b->candidate.first_ms[0] == quantiles[i].then, quantiles[i].what);
		tester_free(t);
		shelf_free(shelf);
		shelf = NULL;
	}
	row = came_of(&m, decided(&live, false, 0), 1320000, 80, true);
	t = tester_of(&live, &candidate, &p, &shelf, NULL);
	tester_take(t, &row);
	b = tester_result(t);
	ok(b->estimated == 1 && !b->measured && !b->own && b->was_nusd == 1320000 && b->would_nusd == 5280000 && b->candidate.charge_nusd == 5280000,
		"another first choice: the usage at its rates");
	ok(b->n_providers == 2 && !strcmp(b->providers[1].name, "r") && b->providers[1].candidate == 1 && !b->providers[1].live, "the mix of providers");
	tester_free(t);
	shelf_free(shelf);
	world_release(&live);
	world_release(&candidate);
}

static void test_failures(void)
{
	struct world live, candidate;
	struct protects p;
	struct shelf *shelf = NULL;
	struct tester *t;
	struct made m;
	struct tested row;
	const struct backtest *b;

	open_world(&live, cheap, plain);
	open_world(&candidate, dear, plain);
	for (int sure = 0; sure < 2; sure++) {
		row = came_of(&m, decided(&live, !sure, sure), 1320000, 80, true);
		t = tester_of(&live, &candidate, &p, &shelf, NULL);
		tester_take(t, &row);
		b = tester_result(t);
		ok(b->live.failed == !sure && b->candidate.failed == (unsigned)sure && b->avoided == !sure && b->caused == (unsigned)sure,
			sure ? "a failure that another choice would cause" : "and one that it would avoid");
		tester_free(t);
		shelf_free(shelf);
		shelf = NULL;
	}
	world_release(&live);
	world_release(&candidate);
}

static void test_protection(void)
{
	static const char forbids[] = "return policy { name = 'p', api = 1, version = '3', filter = function(req, ep) if ep.provider == 'p' then return false, 'class' end return true end,"
		" retain = function(req) return { store = 'none', ttl_s = 0 } end, " RANK("e.usd.prompt") " }";
	static const char forbids_all[] = "return policy { name = 'p', api = 1, version = '4', filter = function(req, ep) return false, 'never' end }";
	static const char denies[] = "return policy { name = 'p', api = 1, version = '5', admit = function(req) return deny { status = 403, code = 'no', message = 'no' } end }";
	struct world live, candidate, strict, closed;
	struct protects p;
	struct shelf *shelf = NULL;
	struct tester *t;
	struct made m;
	struct tested row;
	const struct backtest *b;

	open_world(&live, cheap, guarded);
	open_world(&candidate, forbids, guarded);
	open_world(&strict, forbids_all, guarded);
	open_world(&closed, denies, guarded);
	row = came_of(&m, decided(&live, false, 0), 1320000, 80, true);
	t = tester_of(&live, &candidate, &p, &shelf, NULL);
	tester_take(t, &row);
	b = tester_result(t);
	ok(b->live.violations == 1 && !b->candidate.violations && b->live.kept_more == 1 && !b->candidate.kept_more, "what is live does what the candidate forbids");
	tester_free(t);
	shelf_free(shelf);
	shelf = NULL;
	row = came_of(&m, decided(&candidate, false, 0), 2640000, 80, true);
	t = tester_of(&candidate, &live, &p, &shelf, NULL);
	tester_take(t, &row);
	b = tester_result(t);
	ok(!b->live.violations && b->candidate.violations == 1 && !b->live.kept_more && b->candidate.kept_more == 1, "and the other way round");
	tester_free(t);
	shelf_free(shelf);
	shelf = NULL;
	row = came_of(&m, decided(&live, false, 0), 1320000, 80, true);
	t = tester_of(&live, &strict, &p, &shelf, NULL);
	tester_take(t, &row);
	b = tester_result(t);
	ok(!b->live.empty && b->candidate.empty == 1 && b->estimated == 1 && !b->would_nusd && !b->candidate.charge_nusd, "an empty list: nothing is charged");
	tester_free(t);
	shelf_free(shelf);
	shelf = NULL;
	t = tester_of(&live, &closed, &p, &shelf, NULL);
	tester_take(t, &row);
	b = tester_result(t);
	ok(b->candidate.refused == 1 && !b->candidate.empty && !b->live.refused, "a refusal is no empty list");
	tester_free(t);
	shelf_free(shelf);
	shelf = NULL;
	row = (struct tested){ row.decision, NULL };
	row.decision.json = decided(&closed, false, 0);
	t = tester_of(&closed, &live, &p, &shelf, NULL);
	tester_take(t, &row);
	b = tester_result(t);
	ok(b->live.refused == 1 && b->decisions == 1 && !b->unreadable && !b->live.charge_nusd, "one that was refused, and nothing came of it");
	tester_free(t);
	shelf_free(shelf);
	world_release(&live);
	world_release(&candidate);
	world_release(&strict);
	world_release(&closed);
}

static void test_sums(void)
{
	struct world live;
	struct protects p;
	struct shelf *shelf = NULL;
	struct tester *t;
	struct made m;
	struct tested row;
	struct backtest sum = { .decisions = 0 };
	struct err err;

	open_world(&live, cheap, plain);
	decided(&live, false, 0);
	t = tester_of(&live, &live, &p, &shelf, NULL);
	for (int i = 1; i <= 100; i++) {
		row = came_of(&m, decided(&live, false, 0), 10, i, true);
		tester_take(t, &row);
	}
	row.decision.json = "{\"model\":\"x\"";
	tester_take(t, &row);
	for (int i = 0; i < 2; i++)
		backtest_add(&sum, tester_result(t), &err);
	ok(sum.decisions == 202 && sum.unreadable == 2 && sum.measured == 200 && sum.live.charge_nusd == 2000 && sum.providers[0].live == 200, "two results in one");
	ok(column_percentile(&sum.live, 50) == 50 && column_percentile(&sum.live, 90) == 90 && column_percentile(&sum.candidate, 99) == 99, "percentiles over both");
	backtest_release(&sum);
	tester_free(t);
	shelf_free(shelf);
	shelf = NULL;
	t = tester_of(&live, &live, &p, &shelf, "org_2");
	row = came_of(&m, decided(&live, false, 0), 10, 1, true);
	tester_take(t, &row);
	ok(!tester_result(t)->decisions, "another organization's are left out");
	tester_free(t);
	shelf_free(shelf);
	world_release(&live);
}

/* Each a minute after the one before it. */
static void take_some(struct world *live, struct tester *t, struct made *m, int n)
{
	struct tested row;

	for (int i = 0; i < n; i++) {
		row = came_of(m, decided(live, false, 0), 1320000, 80, true);
		row.decision.at_ms = m->row.at_ms += i * 60000;
		tester_take(t, &row);
	}
}

static void test_limits(void)
{
	static const char limited[] = "return policy { name = 'p', api = 1, version = '6', admit = function(req) local ok = limit.take('mine', req.key.id, { max = 2, per_s = 150 })"
		" if not ok then return deny { status = 429, code = 'slow', message = 'wait' } end counter.add('n', req.key.id, 1) return true end,"
		" rank = function(req, eps) if counter.get('n', req.key.id) >= 3 then return rank.by(eps, function(e) return -e.usd.prompt end) end return eps end }";
	struct world live, candidate;
	struct protects p;
	struct shelf *shelf = NULL;
	struct tester *t;
	struct made m;
	const struct backtest *b;

	open_world(&live, cheap, plain);
	open_world(&candidate, limited, plain);
	decided(&live, false, 0);
	t = tester_of(&live, &candidate, &p, &shelf, NULL);
	ok(!tester_wants_order(t), "nothing was asked");
	take_some(&live, t, &m, 5);		/* taken, taken, refused, taken in the next window, taken */
	b = tester_result(t);
	ok(tester_wants_order(t), "a limit that nobody asked for then: their order matters");
	ok(b->candidate.refused == 1, "it takes from itself, by the decisions' own time");
	ok(b->estimated == 3 && b->measured == 2, "and a counter counts what was let in");
	tester_free(t);
	shelf_free(shelf);
	shelf = NULL;
	decided(&candidate, false, 0);
	t = tester_of(&candidate, &candidate, &p, &shelf, NULL);
	take_some(&candidate, t, &m, 3);
	b = tester_result(t);
	ok(b->own == 3 && b->same == 3 && !tester_wants_order(t), "what this very bundle was told, it is told again");
	tester_free(t);
	shelf_free(shelf);
	world_release(&live);
	world_release(&candidate);
}

/* Dearest first as long as money is there. */
#define SPENDS(version) "return policy { name = 'p', api = 1, version = '" version "', rank = function(req, eps) local left = budget.left_nusd('key', req.key.id)" \
	" if left and left > 0 then return rank.by(eps, function(e) return -e.usd.prompt end) end return rank.by(eps, function(e) return e.usd.prompt end) end }"

static void test_budgets(void)
{
	static const char spends[] = SPENDS("7"), spent[] = SPENDS("8");	/* which differ in their hash alone */
	struct world cheapest, candidate, asking, *const lives[] = { &cheapest, &asking };
	struct purses *purses;
	struct scope_facts f;
	struct protects p;
	struct shelf *shelf = NULL;
	struct tester *t;
	struct made m;
	const struct backtest *b;

	open_world(&cheapest, cheap, plain);
	open_world(&asking, spent, plain);
	open_world(&candidate, spends, plain);
	for (int i = 0; i < 2; i++) {
		decided(lives[i], false, 0);
		t = tester_of(lives[i], &candidate, &p, &shelf, NULL);
		purses = purses_new();
		scope_limit(purses_find(purses, "key_1"), 10000000, WINDOW_TOTAL);
		scope_post(purses_find(purses, "key_1"), 1000000, 1767787200000);
		tester_in_order(t, purses);
		take_some(lives[i], t, &m, 5);	/* 9.0, 3.72, -1.56 ... millions are left, at 5.28 each while there are any */
		b = tester_result(t);
		scope_read(purses_find(purses, "key_1"), 1767787200000, &f);
		ok(b->estimated == 2 && b->measured == 3 && b->candidate.charge_nusd == 2 * 5280000 + 3 * 1320000,
			i ? "also where a budget was asked for, and was none" : "what the candidate spends is what it has less");
		ok(f.posted == 1000000 + b->candidate.charge_nusd && tester_wants_order(t), "from the key's purse");
		scope_read(purses_find(purses, ""), 1767787200000, &f);
		ok(f.posted == b->candidate.charge_nusd, "and from that of all");
		tester_free(t);
		purses_free(purses);
		shelf_free(shelf);
		shelf = NULL;
	}
	decided(&candidate, false, 0);
	t = tester_of(&candidate, &candidate, &p, &shelf, NULL);
	purses = purses_new();
	scope_limit(purses_find(purses, "key_1"), 10000000, WINDOW_TOTAL);
	tester_in_order(t, purses);
	take_some(&candidate, t, &m, 2);
	b = tester_result(t);
	ok(b->own == 2 && b->same == 2 && !tester_wants_order(t), "its own decisions read what they read");
	tester_free(t);
	purses_free(purses);
	shelf_free(shelf);
	shelf = NULL;
	decided(&cheapest, false, 0);
	t = tester_of(&cheapest, &candidate, &p, &shelf, "org_2");
	purses = purses_new();
	tester_in_order(t, purses);
	take_some(&cheapest, t, &m, 2);
	scope_read(purses_find(purses, ""), 1767787200000, &f);
	ok(!tester_result(t)->decisions && f.posted == 2 * 1320000, "what another organization did is spent as it was");
	tester_free(t);
	purses_free(purses);
	shelf_free(shelf);
	world_release(&cheapest);
	world_release(&asking);
	world_release(&candidate);
}

int main(void)
{
	policy_shared_init();
	test_same();
	test_estimates();
	test_failures();
	test_protection();
	test_sums();
	test_limits();
	test_budgets();
	return tap_done();
}
