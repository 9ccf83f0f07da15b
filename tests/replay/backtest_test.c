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

/* A candidate over decisions of what is live. */
struct trial { struct protects protects; struct shelf *shelf; struct tester *t; const struct backtest *b; struct made m; };

/* live has made a decision: what its endpoints are called is told with it. */
static void begin(struct trial *x, struct world *live, struct world *candidate, const char *org)
{
	*x = (struct trial){ .t = NULL };
	if (protects_add(&x->protects, live->bundle, &live->err) || protects_add(&x->protects, candidate->bundle, &live->err) ||
			shelf_open(&world_store, live, NULL, 0, &x->shelf, &live->err) ||
			!(x->t = tester_new(candidate->bundle, &x->protects, x->shelf, NULL, org, &live->err))) {
		printf("# %s\n", live->err.msg);
		abort();
	}
	x->b = tester_result(x->t);
}

static void end(struct trial *x)
{
	tester_free(x->t);
	shelf_free(x->shelf);
}

/* 1,000 tokens in, 200 of them cached, 500 out: at 1 USD per million and a tenth for the cached ones, 1,320,000 nUSD. */
static struct tested came_of(struct made *m, const char *decision, int64_t charge, int64_t ms)
{
	snprintf(m->id, sizeof(m->id), "gen-1");
	snprintf(m->json, sizeof(m->json), "{\"provider_name\":\"P\",\"numbers\":[1000,500,1000,500,0,200,0,0,0,0,0,0,%lld,900,null,0,%lld,0,null]}", (long long)ms, (long long)charge);
	m->row = (struct mg_store_generation){ .size = sizeof(m->row), .generation_id = m->id, .key_hash = "key_1", .charge_nusd = charge, .cost_nusd = charge,
		.at_ms = 1767787200000, .delivered = true, .json = m->json };
	return (struct tested){ { sizeof(struct mg_store_decision), m->id, m->row.at_ms, decision, "key_1", 0 }, &m->row };
}

static void take(struct trial *x, const char *decision, int64_t charge, int64_t ms)
{
	const struct tested row = came_of(&x->m, decision, charge, ms);

	tester_take(x->t, &row);
}

/* One decision alone. */
static void take_one(struct trial *x, struct world *live, struct world *candidate, const char *decision, int64_t charge, int64_t ms)
{
	begin(x, live, candidate, NULL);
	take(x, decision, charge, ms);
}

#define RANK(key) "rank = function(req, eps) return rank.by(eps, function(e) return " key " end) end"
static const char cheap[] = "return policy { name = 'p', api = 1, version = '1', " RANK("e.usd.prompt") " }";
static const char dear[] = "return policy { name = 'p', api = 1, version = '2', " RANK("-e.usd.prompt") " }";

static void test_same(void)
{
	struct world live;
	struct trial x;

	open_world(&live, cheap, plain);
	take_one(&x, &live, &live, decided(&live, false, 0), 1320000, 80);
	ok(x.b->decisions == 1 && x.b->measured == 1 && !x.b->estimated && x.b->own == 1 && x.b->same == 1, "the same first choice: measured, and identical");
	ok(x.b->measured_nusd == 1320000 && x.b->live.charge_nusd == 1320000 && x.b->candidate.charge_nusd == 1320000 && x.b->candidate.cost_nusd == 1320000, "its charge is what it was");
	ok(x.b->n_providers == 1 && !strcmp(x.b->providers[0].name, "p") && x.b->providers[0].live == 1 && x.b->providers[0].candidate == 1, "its provider");
	ok(x.b->live.n_ms == 1 && x.b->live.first_ms[0] == 80 && x.b->candidate.first_ms[0] == 80, "and its time to first token");
	end(&x);
	world_release(&live);
}

static void test_estimates(void)
{
	static const struct { int64_t ms, then; const char *what; } quantiles[] = { { 50, 150, "below the median" }, { 150, 450, "between the median and p75" },
		{ 400, 1200, "at p90" }, { 2000, 6000, "above p99" } };
	struct world live, candidate;
	struct trial x;

	open_world(&live, cheap, plain);
	open_world(&candidate, dear, plain);
	decided(&live, false, 0);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		take_one(&x, &live, &candidate, decided(&live, false, 0), 1320000, quantiles[i].ms);
		ok(x.b->candidate.n_ms == 1 && x.b->candidate.first_ms[0] == quantiles[i].then, quantiles[i].what);
		end(&x);
	}
	take_one(&x, &live, &candidate, decided(&live, false, 0), 1320000, 80);
	ok(x.b->estimated == 1 && !x.b->measured && !x.b->own && x.b->was_nusd == 1320000 && x.b->would_nusd == 5280000 && x.b->candidate.charge_nusd == 5280000,
		"another first choice: the usage at its rates");
	ok(x.b->n_providers == 2 && !strcmp(x.b->providers[1].name, "r") && x.b->providers[1].candidate == 1 && !x.b->providers[1].live, "the mix of providers");
	end(&x);
	world_release(&live);
	world_release(&candidate);
}

static void test_failures(void)
{
	struct world live, candidate;
	struct trial x;

	open_world(&live, cheap, plain);
	open_world(&candidate, dear, plain);
	for (int sure = 0; sure < 2; sure++) {
		take_one(&x, &live, &candidate, decided(&live, !sure, sure), 1320000, 80);
		ok(x.b->live.failed == !sure && x.b->candidate.failed == (unsigned)sure && x.b->avoided == !sure && x.b->caused == (unsigned)sure,
			sure ? "a failure that another choice would cause" : "and one that it would avoid");
		end(&x);
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
	struct mg_store_decision refused = { .size = sizeof(refused), .generation_id = "gen-1", .at_ms = 1767787200000, .key_hash = "key_1" };
	struct world live, candidate, strict, closed;
	struct trial x;

	open_world(&live, cheap, guarded);
	open_world(&candidate, forbids, guarded);
	open_world(&strict, forbids_all, guarded);
	open_world(&closed, denies, guarded);
	take_one(&x, &live, &candidate, decided(&live, false, 0), 1320000, 80);
	ok(x.b->live.violations == 1 && !x.b->candidate.violations && x.b->live.kept_more == 1 && !x.b->candidate.kept_more, "what is live does what the candidate forbids");
	end(&x);
	take_one(&x, &candidate, &live, decided(&candidate, false, 0), 2640000, 80);
	ok(!x.b->live.violations && x.b->candidate.violations == 1 && !x.b->live.kept_more && x.b->candidate.kept_more == 1, "and the other way round");
	end(&x);
	take_one(&x, &live, &strict, decided(&live, false, 0), 1320000, 80);
	ok(!x.b->live.empty && x.b->candidate.empty == 1 && x.b->estimated == 1 && !x.b->would_nusd && !x.b->candidate.charge_nusd, "an empty list: nothing is charged");
	end(&x);
	take_one(&x, &live, &closed, decided(&live, false, 0), 1320000, 80);
	ok(x.b->candidate.refused == 1 && !x.b->candidate.empty && !x.b->live.refused, "a refusal is no empty list");
	end(&x);
	refused.json = decided(&closed, false, 0);
	begin(&x, &closed, &live, NULL);
	tester_take(x.t, &(struct tested){ refused, NULL });
	ok(x.b->live.refused == 1 && x.b->decisions == 1 && !x.b->unreadable && !x.b->live.charge_nusd, "one that was refused, and nothing came of it");
	end(&x);
	world_release(&live);
	world_release(&candidate);
	world_release(&strict);
	world_release(&closed);
}

static void test_sums(void)
{
	struct world live;
	struct trial x;
	struct backtest sum = { .decisions = 0 };
	struct err err;

	open_world(&live, cheap, plain);
	decided(&live, false, 0);
	begin(&x, &live, &live, NULL);
	for (int i = 1; i <= 100; i++)
		take(&x, decided(&live, false, 0), 10, i);
	take(&x, "{\"model\":\"x\"", 10, 100);
	for (int i = 0; i < 2; i++)
		backtest_add(&sum, x.b, &err);
	ok(sum.decisions == 202 && sum.unreadable == 2 && sum.measured == 200 && sum.live.charge_nusd == 2000 && sum.providers[0].live == 200, "two results in one");
	ok(tally_percentile(&sum.live, 50) == 50 && tally_percentile(&sum.live, 90) == 90 && tally_percentile(&sum.candidate, 99) == 99, "percentiles over both");
	backtest_release(&sum);
	end(&x);
	begin(&x, &live, &live, "org_2");
	take(&x, decided(&live, false, 0), 10, 1);
	ok(!x.b->decisions, "another organization's are left out");
	end(&x);
	world_release(&live);
}

/* Each a minute after the one before it. */
static void take_some(struct trial *x, struct world *live, int n)
{
	struct tested row;

	for (int i = 0; i < n; i++) {
		row = came_of(&x->m, decided(live, false, 0), 1320000, 80);
		row.decision.at_ms = x->m.row.at_ms += i * 60000;
		tester_take(x->t, &row);
	}
}

static void test_limits(void)
{
	static const char limited[] = "return policy { name = 'p', api = 1, version = '6', admit = function(req) local ok = limit.take('mine', req.key.id, { max = 2, per_s = 150 })"
		" if not ok then return deny { status = 429, code = 'slow', message = 'wait' } end counter.add('n', req.key.id, 1) return true end,"
		" rank = function(req, eps) if counter.get('n', req.key.id) >= 3 then return rank.by(eps, function(e) return -e.usd.prompt end) end return eps end }";
	struct world live, candidate;
	struct trial x;

	open_world(&live, cheap, plain);
	open_world(&candidate, limited, plain);
	decided(&live, false, 0);
	begin(&x, &live, &candidate, NULL);
	ok(!tester_wants_order(x.t), "nothing was asked");
	take_some(&x, &live, 5);		/* taken, taken, refused, taken in the next window, taken */
	ok(tester_wants_order(x.t), "a limit that nobody asked for then: their order matters");
	ok(x.b->candidate.refused == 1, "it takes from itself, by the decisions' own time");
	ok(x.b->estimated == 3 && x.b->measured == 2, "and a counter counts what was let in");
	end(&x);
	decided(&candidate, false, 0);
	begin(&x, &candidate, &candidate, NULL);
	take_some(&x, &candidate, 3);
	ok(x.b->own == 3 && x.b->same == 3 && !tester_wants_order(x.t), "what this very bundle was told, it is told again");
	end(&x);
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
	struct trial x;

	open_world(&cheapest, cheap, plain);
	open_world(&asking, spent, plain);
	open_world(&candidate, spends, plain);
	for (int i = 0; i < 2; i++) {
		decided(lives[i], false, 0);
		begin(&x, lives[i], &candidate, NULL);
		purses = purses_new();
		scope_limit(purses_find(purses, "key_1"), 10000000, WINDOW_TOTAL);
		scope_post(purses_find(purses, "key_1"), charged(1000000), 1767787200000);
		tester_in_order(x.t, purses);
		take_some(&x, lives[i], 5);	/* 9.0, 3.72, -1.56 ... millions are left, at 5.28 each while there are any */
		scope_read(purses_find(purses, "key_1"), 1767787200000, &f);
		ok(x.b->estimated == 2 && x.b->measured == 3 && x.b->candidate.charge_nusd == 2 * 5280000 + 3 * 1320000,
			i ? "also where a budget was asked for, and was none" : "what the candidate spends is what it has less");
		ok(f.posted == 1000000 + x.b->candidate.charge_nusd && tester_wants_order(x.t), "from the key's purse");
		scope_read(purses_find(purses, ""), 1767787200000, &f);
		ok(f.posted == x.b->candidate.charge_nusd, "and from that of all");
		end(&x);
		purses_free(purses);
	}
	decided(&candidate, false, 0);
	begin(&x, &candidate, &candidate, NULL);
	purses = purses_new();
	scope_limit(purses_find(purses, "key_1"), 10000000, WINDOW_TOTAL);
	tester_in_order(x.t, purses);
	take_some(&x, &candidate, 2);
	ok(x.b->own == 2 && x.b->same == 2 && !tester_wants_order(x.t), "its own decisions read what they read");
	end(&x);
	purses_free(purses);
	decided(&cheapest, false, 0);
	begin(&x, &cheapest, &candidate, "org_2");
	purses = purses_new();
	tester_in_order(x.t, purses);
	take_some(&x, &cheapest, 2);
	scope_read(purses_find(purses, ""), 1767787200000, &f);
	ok(!x.b->decisions && f.posted == 2 * 1320000, "what another organization did is spent as it was");
	end(&x);
	purses_free(purses);
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
