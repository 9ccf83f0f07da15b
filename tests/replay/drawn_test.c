/* Draws: what a record says of them, and what a backtest makes of it without a model. */
#include <math.h>
#include "policy/world.h"
#include "replay/backtest.h"
#include "tap.h"

enum { DECISIONS = 2000 };
static const char *const names[] = { "p", "q", "r" };
static const int64_t charges[] = { 100, 200, 400 };	/* nUSD, of each; and ten times as many ms */

#define DRAWS(sharpness, label) "local drawn = rank.draw(eps, 'usd.prompt', " sharpness ", rand(req, '" label "'))"
#define QUOTE(version, body) "return policy { name = 'p', api = 1, version = '" version "', rank = function(req, eps) " body " end }"

static const char draws[] = QUOTE("1", DRAWS("1", "d") " return drawn"), plain[] = "return { policies = { default = { { use = 'p' } } } }";
static const char evenly[] = QUOTE("2", DRAWS("0", "d") " return drawn"), evenly_else[] = QUOTE("3", DRAWS("0", "other") " return drawn");
static const char dearest[] = QUOTE("4", "return rank.by(eps, 'usd.prompt', 'desc')");
static const char q_first[] = QUOTE("5", DRAWS("1", "d") " return rank.first(drawn, function(e) return e.provider == 'q' end)");
static const char picks[] = QUOTE("6", "return rank.lead(eps, rank.pick(eps, function(e) return e.usd.prompt end, rand(req, 'd')))");
static const char last[] = QUOTE("7", DRAWS("1", "d") " return rank.last(drawn, function(e) return e.id == drawn[1].id end)");
static const char others[] = QUOTE("10", "return rank.join({ eps[2] }, rank.draw({ eps[1], eps[3] }, 'usd.prompt', 1, rand(req, 'd')))");
static const char some[] = QUOTE("11", "return rank.last(rank.join(rank.draw({ eps[1], eps[3] }, 'usd.prompt', 1, rand(req, 'd')), { eps[2] }), function(e) return e.provider == 'p' end)");
static const char twice[] = QUOTE("8", DRAWS("1", "d") " return rank.join(rank.draw({ drawn[1], drawn[2] }, 'usd.prompt', 0, rand(req, 'e')), { drawn[3] })");
static const char breaks[] = QUOTE("9", DRAWS("1", "d") " if drawn[1].provider == 'r' then error('no') end return drawn");

static void open_world(struct world *w, const char *policy, const char *bundle)
{
	world_init(w);
	world_file(w, "p.lua", policy);
	world_file(w, "q.lua", "return policy { name = 'q', api = 1, rank = function(req, eps) return rank.draw(eps, 'usd.prompt', 0, rand(req, 'shadow')) end }");
	for (int i = 0; i < 3; i++)
		world_endpoint(w, 0, names[i], (double)(1 << i), (double)(1 << i));
	if (!world_open(w, bundle)) {
		printf("# %s\n", w->err.msg);
		abort();
	}
}

/* A decision's record. */
static const char *decided(struct world *w, uint64_t seed)
{
	struct decision *d = world_ask(w);
	struct denial no;

	d->facts.seed = seed;
	policy_retain(w->state, d);
	if (policy_admit(w->state, d, &no) && policy_resolve(w->state, d, &no) && world_route(w, &no))
		policy_plan(w->state, d);
	return pool_dup(w->pool, word_of(decision_record(w->state, d, world_tell, w))).at;
}

static int first_of(const struct world *w)
{
	return (int)(w->d.order[0]->endpoint - w->endpoints);
}

/* What the record says; -1: nothing. */
static double said(const char *record)
{
	const char *at = strstr(record, ",\"drawn\":");

	return at ? strtod(at + 9, NULL) : -1;
}

static void test_record(void)
{
	static const double burdens[] = { 4.0 / 7, 2.0 / 7, 1.0 / 7 }, weights[] = { 1.0 / 7, 2.0 / 7, 4.0 / 7 };
	static const char shadowed[] = "return { policies = { default = { { use = 'p' }, { use = 'q', mode = 'shadow' } } } }";
	struct world w;
	bool right = true, met[3] = { false };

	open_world(&w, draws, plain);
	for (uint64_t seed = 1; seed < 50; seed++) {
		double p = said(decided(&w, seed));

		right &= fabs(p - burdens[first_of(&w)]) < 1e-6;
		met[first_of(&w)] = true;
	}
	ok(right && met[0] && met[1] && met[2], "rank.draw: how likely the first choice was");
	world_release(&w);
	open_world(&w, picks, plain);
	for (uint64_t seed = right = 1; seed < 50; seed++)
		right &= fabs(said(decided(&w, seed)) - weights[first_of(&w)]) < 1e-6;
	ok(right, "rank.pick: the same");
	world_release(&w);
	open_world(&w, last, plain);
	for (uint64_t seed = right = 1; seed < 50; seed++)
		right &= said(decided(&w, seed)) == 0;
	ok(right, "who was drawn does not come first: 0");
	world_release(&w);
	open_world(&w, others, plain);
	ok(said(decided(&w, 1)) == -1, "others are drawn, behind it: nothing is said");
	world_release(&w);
	open_world(&w, some, plain);
	for (uint64_t seed = right = 1; seed < 50; seed++) {
		double p = said(decided(&w, seed));

		right &= first_of(&w) == 2 && (p == 0 || fabs(p - 0.2) < 1e-6);
	}
	ok(right, "drawn from some: of those it is told");
	world_release(&w);
	open_world(&w, twice, plain);
	for (uint64_t seed = right = 1; seed < 50; seed++)
		right &= said(decided(&w, seed)) == 0.5;
	ok(right, "drawn twice: the last draw counts");
	world_release(&w);
	open_world(&w, dearest, shadowed);
	ok(said(decided(&w, 1)) == -1, "nobody drew, but for a policy in shadow: nothing is said");
	world_release(&w);
	open_world(&w, draws, shadowed);
	decided(&w, 1);
	ok(fabs(said(decided(&w, 1)) - burdens[first_of(&w)]) < 1e-6, "and what is in shadow changes nothing of what is said");
	world_release(&w);
}

static void on_line(void *arg, const char *text)
{
	*(bool *)arg |= strstr(text, "the first choice was drawn, with a probability of 0.") != NULL;
}

static void test_told(void)
{
	bool said_so = false;
	struct world w;
	json_t *all;

	open_world(&w, draws, plain);
	decided(&w, 1);
	all = world_recall(&w, &w.d);
	ok(fabs(json_number_value(json_object_get(all, "drawn")) - (first_of(&w) == 0 ? 4 : first_of(&w) == 1 ? 2 : 1) / 7.0) < 1e-6, "explain tells it");
	decision_text(all, on_line, &said_so);
	ok(said_so, "in words, too");
	json_decref(all);
	world_release(&w);
}

struct made { struct mg_store_generation row; char json[200]; };

static void take(struct tester *t, const struct world *live, const char *record, struct made *m)
{
	int64_t charge = charges[first_of(live)];

	snprintf(m->json, sizeof(m->json), "{\"provider_name\":\"P\",\"numbers\":[1000,500,1000,500,0,200,0,0,0,0,0,0,%lld,900,null,0,%lld,0,null]}",
		(long long)charge * 10, (long long)charge);
	m->row = (struct mg_store_generation){ .size = sizeof(m->row), .generation_id = "gen-1", .key_hash = "key_1", .charge_nusd = charge, .cost_nusd = charge,
		.at_ms = 1767787200000, .delivered = true, .json = m->json };
	tester_take(t, &(struct tested){ { sizeof(struct mg_store_decision), "gen-1", m->row.at_ms, record, "key_1", 0 }, &m->row });
}

/* So many decisions of one bundle, and what another's would have been; old: records do not say how likely they were. */
static void backtested(const char *live_text, const char *candidate_text, bool old, struct backtest *out)
{
	struct world live, candidate;
	struct protects p = { .n = 0 };
	struct shelf *shelf = NULL;
	struct tester *t = NULL;
	struct made m;

	open_world(&live, live_text, plain);
	open_world(&candidate, candidate_text, plain);
	decided(&live, 1);
	if (shelf_open(&world_store, &live, NULL, 0, &shelf, &live.err) || !(t = tester_new(candidate.bundle, &p, shelf, NULL, NULL, &live.err))) {
		printf("# %s\n", live.err.msg);
		abort();
	}
	for (uint64_t seed = 1; seed <= DECISIONS; seed++) {
		char *record = strdup(decided(&live, seed)), *at = strstr(record, ",\"drawn\":"), *end = at ? strchr(at + 1, ',') : NULL;

		if (old && at)
			memmove(at, end, strlen(end) + 1);
		take(t, &live, record, &m);
		free(record);
	}
	*out = (struct backtest){ .decisions = 0 };
	backtest_add(out, tester_result(t), &live.err);
	backtest_release(out);
	tester_free(t);
	shelf_free(shelf);
	world_release(&live);
	world_release(&candidate);
}

static bool near(double x, double y, double part)
{
	return fabs(x - y) <= part * y;
}

static void test_means(void)
{
	static const double live = (400 + 400 + 400) / 7.0, even = 700 / 3.0;
	struct backtest b;

	backtested(draws, draws, false, &b);
	ok(b.charge_nusd.n == DECISIONS && near(weighed_live(&b.charge_nusd), live, .05) && near(weighed_candidate(&b.charge_nusd), weighed_live(&b.charge_nusd), 1e-4),
		"the same bundle: the same mean");
	ok(near(weighed_size(&b.charge_nusd), DECISIONS, 1e-6) && near(weighed_weight(&b.charge_nusd), 1, 1e-5), "each counts as one");
	ok(near(weighed_candidate(&b.first_ms), weighed_live(&b.first_ms), 1e-4) && b.first_ms.n == DECISIONS, "also of the time to first token");
	backtested(draws, evenly, false, &b);
	ok(near(weighed_candidate(&b.charge_nusd), even, .05) && near(weighed_weight(&b.charge_nusd), 1, .05), "a candidate that draws otherwise, by the same number");
	ok(near(weighed_candidate(&b.first_ms), even * 10, .05), "the first token");
	ok(weighed_size(&b.charge_nusd) < DECISIONS * .8 && weighed_size(&b.charge_nusd) > DECISIONS * .5, "there is less behind it: 63 % of the decisions");
	backtested(draws, evenly_else, false, &b);
	ok(near(weighed_candidate(&b.charge_nusd), even, .05), "by another number: the same");
	backtested(picks, picks, false, &b);
	ok(near(weighed_size(&b.charge_nusd), DECISIONS, 1e-6) && near(weighed_weight(&b.charge_nusd), 1, 1e-5), "by rank.pick: each counts as one");
	backtested(draws, dearest, false, &b);
	ok(fabs(weighed_candidate(&b.charge_nusd) - 400) < 1e-6 && near(weighed_size(&b.charge_nusd), DECISIONS / 7.0, .15) && near(weighed_weight(&b.charge_nusd), 1, .15),
		"a candidate that always takes the dearest: those count where it was drawn");
	backtested(draws, q_first, false, &b);
	ok(fabs(weighed_candidate(&b.charge_nusd) - 200) < 1e-6 && near(weighed_weight(&b.charge_nusd), 1, .1), "one that draws, and has another go first whatever it draws");
	backtested(q_first, q_first, false, &b);
	ok(fabs(weighed_candidate(&b.charge_nusd) - 200) < 1e-6 && b.charge_nusd.n == DECISIONS && near(weighed_weight(&b.charge_nusd), 1, .1), "where that is live, too");
	backtested(draws, breaks, false, &b);
	ok(near(weighed_candidate(&b.charge_nusd), (5 * 100 + 2 * 200) / 7.0, .05), "a ranking that fails for one draw: what its failure leads to");
	backtested(dearest, draws, false, &b);
	ok(!b.charge_nusd.n && !b.first_ms.n && weighed_size(&b.charge_nusd) == 0, "live did not draw: there is no such mean");
	backtested(draws, draws, true, &b);
	ok(b.decisions == DECISIONS && !b.unreadable && !b.charge_nusd.n, "records that do not say it are read");
	ok(b.own == DECISIONS && b.same == DECISIONS, "and are the same, decided again");
}

int main(void)
{
	policy_shared_init();
	test_record();
	test_told();
	test_means();
	return tap_done();
}
