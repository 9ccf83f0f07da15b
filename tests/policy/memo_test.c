/* What is kept between requests: never an answer that another request would get. */
#include "base/log.h"
#include "policy/fields.h"
#include "tap.h"
#include "world.h"

#define BUNDLE "return { policies = { default = { { use = \"p\" } } }, base = nil }"
#define POLICY(body) "return policy { name = \"p\", api = 1, " body " }"

static struct catalog catalog;

/* A state that knows its catalogue, so that endpoints are remembered. */
static bool opened(struct world *w, const char *policy)
{
	if (policy)
		world_file(w, "p.lua", policy);
	if (!world_open(w, policy ? BUNDLE : NULL)) {
		printf("# %s\n", w->err.msg);
		return false;
	}
	catalog = (struct catalog){ .endpoints = w->endpoints, .n_endpoints = w->n, .version = 1 };
	endpoints_reset(w->state, &catalog);
	return true;
}

static bool open_with(struct world *w, const char *policy)
{
	world_init(w);
	world_endpoint(w, 0, "a", 1, 1);
	world_endpoint(w, 0, "b", 2, 2);
	return opened(w, policy);
}

/* ---- the shipped chain, remembering and not, over requests by chance */

static uint64_t chance_seed = 42;

static unsigned chance(unsigned n)
{
	chance_seed = chance_seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(chance_seed >> 33) % n;
}

static void endpoints_by_chance(struct world *w)
{
	static char names[12][4], *const tiers[] = { (char *)"default", (char *)"default", (char *)"priority", (char *)"flex" };
	static char *const levels[] = { (char *)"bf16", (char *)"fp8", (char *)"mxfp4", (char *)"unknown" };

	for (unsigned i = 0; i < 12; i++) {
		struct endpoint *e;

		snprintf(names[i], sizeof(names[i]), "p%u", i);
		e = world_endpoint(w, 0, names[i], 1 + chance(5), 1 + chance(9));
		e->tier = tiers[chance(4)];
		e->quantization = levels[chance(4)];
		e->provider->data = (struct data_policy){ .known = chance(4), .trains = chance(2), .retains = chance(2), .zdr = chance(2) };
		e->free = !chance(5);
		e->private = !chance(5);
		if (chance(2))
			e->private_to = json_pack("[s, s]", "org_1", "ws_2");
		e->distillable = chance(2);
		e->priced = chance(6);
		e->context_length = 1000u << chance(4);
		e->max_output = chance(3) ? 500u << chance(3) : 0;
		e->params = chance(3) ? json_pack("[s]", chance(2) ? "tools" : "seed") : NULL;
	}
}

static struct words words_by_chance(const struct mg_str *all, unsigned n)
{
	unsigned from = chance(n + 1), len = chance(3) ? 0 : chance(3);

	return (struct words){ all + from, from + len <= n ? len : n - from };
}

static void facts_by_chance(struct facts *f)
{
	static const struct mg_str slugs[] = { { "p1", 2 }, { "p2", 2 }, { "p3", 2 }, { "p4", 2 }, { "p5", 2 }, { "none", 4 } },
		levels[] = { { "bf16", 4 }, { "fp8", 3 }, { "fp4", 3 } }, params[] = { { "tools", 5 }, { "seed", 4 }, { "verbosity", 9 } },
		variants[] = { { "", 0 }, { "", 0 }, { "nitro", 5 }, { "floor", 5 }, { "free", 4 } }, sorts[] = { { "", 0 }, { "", 0 }, { "price", 5 }, { "latency", 7 } },
		tiers[] = { { "", 0 }, { "flex", 4 }, { "priority", 8 } }, orgs[] = { { "org_1", 5 }, { "org_2", 5 }, { "", 0 } },
		spaces[] = { { "ws_1", 4 }, { "ws_2", 4 } }, sessions[] = { { "", 0 }, { "s1", 2 }, { "s2", 2 } };
	struct prefs *p = &f->prefs;

	f->seed = chance(1000);
	f->variant = variants[chance(5)];
	f->session = sessions[chance(3)];
	f->params = words_by_chance(params, 3);
	f->key.org = orgs[chance(3)];
	f->key.workspace = spaces[chance(2)];
	f->feat.prompt_tokens = chance(9000);
	f->feat.max_tokens = chance(3) ? chance(2500) : 0;
	p->only = words_by_chance(slugs, 6);
	p->ignore = words_by_chance(slugs, 6);
	p->order = words_by_chance(slugs, 6);
	p->quantizations = words_by_chance(levels, 3);
	p->sort_by = sorts[chance(4)];
	p->service_tier = tiers[chance(3)];
	p->allow_fallbacks = chance(4);
	p->require_parameters = !chance(3);
	p->zdr = !chance(4);
	p->deny_data_collection = !chance(4);
	p->distillable = !chance(6);
	p->max_prompt = (struct number){ !chance(3), chance(5) };
	p->max_completion = (struct number){ !chance(5), chance(9) };
	p->latency_s[2] = (struct number){ !chance(4), chance(3) };
}

struct outcome_of { const char *dropped[32], *by[32]; size_t order[32], n; bool denied; };

static void decide(struct world *w, struct policy_state *s, const struct facts *f, struct outcome_of *out)
{
	struct policy_state *own = w->state;
	struct denial no;
	struct decision *d = world_ask(w);

	d->facts = *f;
	w->state = s;
	*out = (struct outcome_of){ .denied = !policy_admit(s, d, &no) || !policy_resolve(s, d, &no) };
	world_route(w, &no);
	policy_plan(s, d);
	for (size_t i = 0; i < d->n; i++) {
		out->dropped[i] = d->candidates[i].dropped ? strdup(d->candidates[i].dropped) : NULL;
		out->by[i] = d->candidates[i].by ? strdup(d->candidates[i].by) : NULL;
	}
	for (size_t i = 0; i < d->n_order; i++)
		out->order[out->n++] = (size_t)(d->order[i] - d->candidates);
	out->denied |= d->errors > 0;
	w->state = own;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_outcome(const struct outcome_of *a, const struct outcome_of *b, size_t n)
{
	bool same = a->n == b->n && a->denied == b->denied && !memcmp(a->order, b->order, a->n * sizeof(*a->order));

	for (size_t i = 0; i < n; i++)
		same &= same_text(a->dropped[i], b->dropped[i]) && same_text(a->by[i], b->by[i]);
	return same;
}

static void outcome_free(struct outcome_of *o)
{
	for (size_t i = 0; i < 32; i++) {
		free((char *)o->dropped[i]);
		free((char *)o->by[i]);
	}
}

static void by_chance(void)
{
	struct world w;
	struct policy_state *plain;
	struct facts f;
	unsigned same = 0, kept = 0, rounds = 3000;

	world_init(&w);
	endpoints_by_chance(&w);
	if (!opened(&w, NULL))
		abort();
	plain = policy_state_new(w.bundle, &w.err);
	plain->remembers = false;
	endpoints_reset(plain, &catalog);
	f = world_ask(&w)->facts;
	for (unsigned i = 0; i < rounds; i++) {
		struct outcome_of a, b;

		if (chance(3))	/* else the same once more, and one member of it may change */
			facts_by_chance(&f);
		else
			f.prefs.zdr ^= chance(2);
		decide(&w, w.state, &f, &a);
		decide(&w, plain, &f, &b);
		same += same_outcome(&a, &b, w.n);
		kept += a.n;
		outcome_free(&a);
		outcome_free(&b);
	}
	ok(same == rounds && kept > 500, "3000 requests by chance: with what is remembered, the same drops, lines and order as without");
	policy_state_free(plain);
	for (size_t i = 0; i < w.n; i++) {
		json_decref(w.endpoints[i].params);
		json_decref(w.endpoints[i].private_to);
	}
	world_release(&w);
}

/* ---- what a request shows is its own */

#define SHOW "local function show(v) if type(v) ~= \"table\" then return tostring(v) end local o = {} " \
	"for k, x in pairs(v) do o[#o + 1] = tostring(k) .. \"=\" .. show(x) end return \"{\" .. table.concat(o, \",\") .. \"}\" end "
#define PICK "local names = { \"variant\", \"session\", \"seed\", \"model\" } " \
	"local function some(req) local o = {} for i, k in ipairs(names) do if req.seed % 7 ~= i then o[#o + 1] = tostring(req[k]) end end " \
	"return table.concat(o, \" \") .. tostring(req.prefs.sort_by) .. show(req.prefs.only) .. show(req.params) .. tostring(req.feat.prompt_tokens) end "

static void shows(const char *claim, const char *code)
{
	struct world w, fresh;
	struct denial no;
	struct facts f;
	unsigned same = 0, rounds = 150;

	if (!open_with(&w, code) || !open_with(&fresh, code))
		abort();
	f = world_ask(&w)->facts;
	for (unsigned i = 0; i < rounds; i++) {
		struct decision *d = world_ask(&w), *e = world_ask(&fresh);

		facts_by_chance(&f);
		f.prefs.throughput_tps[1] = (struct number){ chance(2), chance(4) };
		f.stream = chance(2);
		d->facts = e->facts = f;
		policy_state_free(fresh.state);
		fresh.state = policy_state_new(fresh.bundle, &fresh.err);
		policy_resolve(w.state, d, &no);
		policy_resolve(fresh.state, e, &no);
		same += d->strategy && e->strategy && !strcmp(d->strategy, e->strategy);
	}
	ok(same == rounds, claim);
	world_release(&w);
	world_release(&fresh);
}

/* ---- policies that say less than they read */

static const struct { const char *claim, *code; } liars[] = {
	{ "a member that memo does not name", "memo = { filter = \"variant\" }, filter = function(req, ep) if req.key.org == \"org_2\" then return false, \"no\" end return true end" },
	{ "one of a part that memo names another of", "memo = { filter = \"key.id\" }, filter = function(req, ep) return req.key.org ~= \"org_2\", \"no\" end" },
	{ "all of a table", "memo = { filter = \"variant\" }, filter = function(req, ep) for k, v in pairs(req.key) do if v == \"org_2\" then return false, \"no\" end end return true end" },
	{ "live facts", "memo = { filter = \"variant\" }, filter = function(req, ep) return ep.live.samples < 500, \"no\" end" },
	{ "nested live facts", "memo = { filter = \"variant\" }, filter = function(req, ep) return ep.live.ttft_ms.p50 < 500, \"no\" end" },
	{ "chance", "memo = { filter = \"variant\" }, filter = function(req, ep) return rand(req, \"x\") < 0.999, \"no\" end" },
	{ "a counter", "memo = { filter = \"variant\" }, filter = function(req, ep) return counter.get(\"c\", \"k\") < 1, \"no\" end" },
	{ "a condition before it", "memo = { filter = \"variant\" }, filter = function(req, ep) local k = req.key if req.variant == \"\" and k.org == \"org_2\" then return false, \"no\" end return true end" },
	{ "an admit of another member", "memo = { admit = \"variant\" }, admit = function(req) if req.key.org == \"org_2\" then return deny { status = 429, code = \"no\", message = \"no\" } end return true end" },
	{ "an admit that counts", "memo = { admit = \"variant\" }, admit = function(req) local ok = limit.take(\"l\", \"k\", { max = 1, per_s = 60 }) "
		"if ok then return true end return deny { status = 429, code = \"no\", message = \"no\" } end" },
};

static void truth(size_t i)
{
	struct world w;
	struct denial no;
	struct decision *d;
	char source[500], claim[160];
	bool first, second;

	snprintf(source, sizeof(source), POLICY("observe = function() counter.add(\"c\", \"k\", 1) end, %s"), liars[i].code);
	snprintf(claim, sizeof(claim), "read, but not named: %s; the second answer is its own", liars[i].claim);
	if (!open_with(&w, source)) {
		ok(false, claim);
		world_release(&w);
		return;
	}
	w.state->shared = shared_new();
	d = world_ask(&w);
	first = policy_admit(w.state, d, &no) && world_route(&w, &no) && d->n_order == 2;
	policy_observe(w.state, d, &(struct outcome){ .status = 200 });
	d = world_ask(&w);
	d->facts.key.org = MG_STR("org_2");
	for (d->facts.seed = 2; i == 5 && d->facts.seed < 100000; d->facts.seed++) {	/* one that is drawn */
		w.state->remembers = false;
		d->stamp++;
		if (!world_route(&w, &no))
			break;
	}
	w.state->remembers = true;
	d->stamp++;
	w.samples = 1000;
	w.ttft = 900;
	second = policy_admit(w.state, d, &no) && world_route(&w, &no);
	ok(first && !second && !d->errors, claim);
	shared_free(w.state->shared);
	world_release(&w);
}

/* ---- that it is kept at all; when; scores; limits */

static void kept(void)
{
	struct world w;
	struct denial no;
	struct decision *d;
	char variant[8];
	long first;

	if (!open_with(&w, POLICY("memo = { filter = { \"variant\", \"prefs\" }, resolve = \"variant\" }, resolve = function(req) if req.variant == \"x\" then return { strategy = \"x\" } end end,\n"
		"filter = function(req, ep)\n local n = 0\n for i = 1, 300 do n = n + i end\n if req.prefs.zdr and\n ep.tag == \"a\" then\n return false, \"no\"\n end\n return true end")))
		abort();
	d = world_ask(&w);
	policy_resolve(w.state, d, &no);
	world_route(&w, &no);
	first = d->fuel;
	d = world_ask(&w);
	policy_resolve(w.state, d, &no);
	world_route(&w, &no);
	ok(first > 500 && d->fuel == 0 && d->n_order == 2, "the same values: no policy runs");
	d = world_ask(&w);
	d->facts.prefs.zdr = true;
	world_route(&w, &no);
	ok(d->fuel > 500 && d->n_order == 1 && !strcmp(d->candidates[0].by, "p.lua:7"), "another value: it runs, and its line is that of the return");
	d = world_ask(&w);
	d->facts.prefs.zdr = true;
	world_route(&w, &no);
	ok(d->fuel == 0 && d->n_order == 1 && !strcmp(d->candidates[0].dropped, "no") && !strcmp(d->candidates[0].by, "p.lua:7"), "kept with its reason and line");
	d = world_ask(&w);
	d->facts.variant = MG_STR("x");
	policy_resolve(w.state, d, &no);
	ok(d->strategy && !strcmp(d->strategy, "x"), "a resolve that had nothing to say has, for another value");
	endpoints_reset(w.state, &catalog);
	d = world_ask(&w);
	world_route(&w, &no);
	ok(d->fuel > 500, "with a catalogue its verdicts go");
	for (int i = 0; i < 500; i++) {	/* more values than are kept */
		d = world_ask(&w);
		snprintf(variant, sizeof(variant), "v%d", i);
		d->facts.variant = word_of(variant);
		d->facts.prefs.zdr = i % 2;
		if (!world_route(&w, &no) || d->n_order != 2u - (unsigned)i % 2)
			break;
	}
	ok(d->n_order == 1 && mg_is(d->facts.variant, "v499"), "more values than there is room for: each its own verdict");
	world_release(&w);
}

static void concerned(void)
{
	struct world w;
	struct denial no;
	struct decision *d;
	struct mg_usage u = { .size = sizeof(u), .input = 1000 };
	struct bill a, b;

	if (!open_with(&w, POLICY("when = { filter = function(ep) return ep.tag == \"b\" end, price = function(ep, my) return ep.tag == \"b\" end },"
		"filter = function(req, ep) return ep.tag ~= \"b\", \"b\" end, price = function(req, ep, usage, bill) return money.flat(bill, \"x\", 7) end")))
		abort();
	d = world_ask(&w);
	world_route(&w, &no);
	ok(d->n_order == 1 && !strcmp(d->candidates[1].dropped, "b") && !d->candidates[0].dropped, "when: only the endpoints that concern a filter are asked");
	ok(!policy_price(w.state, d, &w.endpoints[0], &u, false, &a) && !policy_price(w.state, d, &w.endpoints[1], &u, false, &b) &&
		a.cost_nusd == 1000000 && a.charge_nusd == 1000000 && b.charge_nusd == 7 && !a.needs_rating, "without a policy for it: list price");
	world_release(&w);
	if (!open_with(&w, POLICY("when = { filter = function(ep) return ep.live.samples > 500 end }, filter = function(req, ep) return false, \"x\" end")))
		abort();
	d = world_ask(&w);
	log_max = LOG_ERROR;
	ok(!world_route(&w, &no) && d->errors, "a when that reads what changes concerns everything, loudly");
	world_release(&w);
	for (int in = 0; in < 2; in++) {
		if (!open_with(&w, in ? POLICY("when = { rank = function(ep) return ep.tag == \"b\" end }, rank = function(req, eps) return { eps[2], eps[1] } end")
				: POLICY("when = { rank = function(ep) return ep.tag == \"nobody\" end }, rank = function(req, eps) error(\"asked\") end")))
			abort();
		d = world_ask(&w);
		ok(world_route(&w, &no) && !d->errors && d->order[in] == &d->candidates[0], in ? "a ranking is asked of lists with an endpoint that concerns it"
			: "and of no others");
		world_release(&w);
	}
}

static void scored(void)
{
	struct world w;
	struct denial no;
	struct decision *d;

	if (!open_with(&w, POLICY("scores = { dear = function(ep, my) return ep.usd.prompt end, busy = function(ep) return ep.live.samples end },"
		"limits = { { reason = \"long\", of = { \"feat.prompt_tokens\" }, most = function(ep) return ep.tag == \"a\" and 1500 or 3000 end } },"
		"rank = function(req, eps) return rank.by(eps, req.variant == \"\" and \"dear\" or \"busy\", \"desc\") end")))
		abort();
	d = world_ask(&w);
	ok(world_route(&w, &no) && d->n_order == 2 && d->order[0]->endpoint == &w.endpoints[1], "by a score");
	d = world_ask(&w);
	d->facts.feat.prompt_tokens = 1500;
	ok(world_route(&w, &no) && d->n_order == 2, "a limit holds what is exactly at it");
	d = world_ask(&w);
	d->facts.feat.prompt_tokens = 1501;
	ok(world_route(&w, &no) && d->n_order == 1 && !strcmp(d->candidates[0].dropped, "long") && !strncmp(d->candidates[0].by, "p.lua:", 6), "and drops above it");
	w.state->cache[0].live->facts.samples = 1;	/* as a later request would find it */
	d = world_ask(&w);
	d->facts.variant = MG_STR("x");
	ok(world_route(&w, &no) && !d->errors, "a score that reads live is worked out each time");
	world_release(&w);
}

/* ---- sticky: a plan without a call */

static void stuck(void)
{
	struct world w;
	struct decision *d;

	if (!open_with(&w, POLICY("sticky = { ttl_s = 60 }")))
		abort();
	d = world_ask(&w);
	policy_plan(w.state, d);
	ok(!d->plan.sticky_key.len && !d->plan.sticky_ttl_s && !d->fuel, "without a session there is nothing to remember");
	w.session = "s1";
	d = world_ask(&w);
	policy_plan(w.state, d);
	ok(mg_is(d->plan.sticky_key, "s1") && d->plan.sticky_ttl_s == 60 && !d->fuel, "a session's name and time, and no policy runs");
	world_release(&w);
	if (!open_with(&w, POLICY("sticky = { ttl_s = 60 }, plan = function(req) return { sticky = { key = 'own', ttl_s = 7 } } end")))
		abort();
	w.session = "s1";
	d = world_ask(&w);
	policy_plan(w.state, d);
	ok(mg_is(d->plan.sticky_key, "own") && d->plan.sticky_ttl_s == 7, "what the plan itself says counts");
	world_release(&w);
}

/* ---- refused when a bundle is opened */

static const struct { const char *policy, *word; } bad[] = {
	{ POLICY("memo = { filter = \"nonsense\" }, filter = function() return true end"), "no member of req" },
	{ POLICY("memo = { filter = {} }, filter = function() return true end"), "no member of req" },
	{ POLICY("memo = { rank = \"variant\" }"), "memo.rank" },
	{ POLICY("memo = { plan = \"variant\" }, plan = function(req, eps) end"), "looks at the endpoints" },
	{ POLICY("when = { plan = function() end }"), "when.plan" },
	{ POLICY("when = { price = true }"), "when.price" },
	{ POLICY("scores = { price = 7 }"), "scores.price" },
	{ POLICY("limits = { { reason = \"x\", of = { \"variant\" }, most = function() return 1 end } }"), "whole numbers" },
	{ POLICY("limits = { { reason = \"x\", of = { \"feat.images\" } } }"), "no function most" },
	{ POLICY("limits = { 7 }"), "each is" },
	{ POLICY("sticky = 600"), "sticky must be a table" }, { POLICY("sticky = {}"), "ttl_s = 600" },
	{ POLICY("sticky = { ttl_s = 0 }"), "1..2592000" }, { POLICY("sticky = { ttl_s = 2592001 }"), "1..2592000" }, { POLICY("sticky = { ttl_s = 1.5 }"), "1..2592000" },
};

int main(void)
{
	log_max = LOG_ERROR;
	by_chance();
	shows("all of a request, read in a state that had others before", SHOW POLICY("resolve = function(req) return { strategy = show(req) } end"));
	shows("some of it, not the same each time", SHOW PICK POLICY("resolve = function(req) return { strategy = some(req) } end"));
	for (size_t i = 0; i < sizeof(liars) / sizeof(liars[0]); i++)
		truth(i);
	kept();
	concerned();
	scored();
	stuck();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct world w;
		char claim[120];

		world_init(&w);
		world_file(&w, "p.lua", bad[i].policy);
		snprintf(claim, sizeof(claim), "refused, and told why: %s", bad[i].word);
		ok(!world_open(&w, BUNDLE) && strstr(w.err.msg, bad[i].word), claim);
		world_release(&w);
	}
	return tap_done();
}
