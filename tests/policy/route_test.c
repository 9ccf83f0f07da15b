/* The shipped chain over endpoints by hand: order, drops, denials, bills, records. */
#include "base/clock.h"
#include "policy/metadata.h"
#include "tap.h"
#include "world.h"

static const struct candidate *named(const struct world *w, const char *provider)
{
	for (size_t i = 0; i < w->d.n; i++)
		if (!strcmp(w->d.candidates[i].endpoint->provider->slug, provider))
			return &w->d.candidates[i];
	return NULL;
}

static void three(struct world *w)
{
	world_endpoint(w, 0, "a", 1, 1);
	world_endpoint(w, 0, "b", 2, 2);
	world_endpoint(w, 0, "c", 3, 3);
}

static void sorting(struct world *w)
{
	struct denial no;
	struct decision *d = world_ask(w);

	d->facts.prefs.sort_by = MG_STR("price");
	ok(policy_admit(w->state, d, &no) && policy_resolve(w->state, d, &no) && world_route(w, &no), "a plain request is routed");
	ok(d->n_order == 3 && d->order[0]->endpoint == &w->endpoints[0] && d->order[0]->rank == 1 && d->order[2]->rank == 3, "sort by price");
	ok(!d->errors && d->fuel > 0 && d->fuel < 10000, "without an error, for little fuel");
	d = world_ask(w);
	d->facts.prefs.order = (struct words){ (struct mg_str[]){ MG_STR("c") }, 1 };
	d->facts.prefs.allow_fallbacks = false;
	ok(world_route(w, &no) && d->n_order == 1 && !strcmp(d->order[0]->endpoint->tag, "c"), "order without fallbacks");
	ok(!strcmp(named(w, "a")->dropped, "unranked") && strstr(named(w, "a")->by, "or_ranking.lua:"), "who was left out, and by which line");
}

static void balance(struct world *w)
{
	struct denial no;
	unsigned first[3] = { 0 };

	for (unsigned i = 0; i < 2000; i++) {
		struct decision *d = world_ask(w);

		d->facts.seed = i * 7919;
		world_route(w, &no);
		first[d->order[0]->endpoint->index]++;
	}
	/* 1 : 1/4 : 1/9 of 2000 = 1469 : 367 : 163 */
	ok(first[0] > 1400 && first[0] < 1540 && first[1] > 310 && first[1] < 430 && first[2] > 110 && first[2] < 220, "drawn by inverse square of price");
}

static void denied(struct world *w)
{
	struct denial no;
	struct decision *d = world_ask(w);

	w->providers[0].data.zdr = w->providers[1].data.zdr = w->providers[2].data.zdr = false;
	policy_state_free(w->state);	/* facts of a provider are read once a catalogue */
	w->state = policy_state_new(w->bundle, &w->err);
	d->facts.prefs.zdr = true;
	ok(!world_route(w, &no) && no.status == 404 && !strcmp(no.code, "privacy_restricted") &&
		!strcmp(no.message, "No endpoints found matching your data policy (zdr 3)"), "nothing left: 404, the reason, the count");
	ok(strstr(no.by, "or_eligibility.lua:") == no.by, "the line that said so");
	w->providers[0].data.zdr = w->providers[1].data.zdr = w->providers[2].data.zdr = true;
}

static void money(struct world *w)
{
	struct decision *d = world_ask(w);
	struct mg_usage u = { .size = sizeof(u), .input = 600, .cached = 400, .output = 200, .requests = 1 };
	struct bill bill;

	ok(!policy_price(w->state, d, &w->endpoints[0], &u, false, &bill) && bill.cost_nusd == 840000 && bill.charge_nusd == 840000 &&
		bill.prompt_nusd == 640000 && bill.completion_nusd == 200000 && !bill.needs_rating, "the bill, to the nano-dollar");
	w->endpoints[0].priced = false;
	ok(policy_price(w->state, d, &w->endpoints[0], &u, false, &bill) == -1, "no price, no bill");
	w->endpoints[0].priced = true;
}

/* A markup of an operator's own, behind the shipped policy which has nothing to say of a plain endpoint. */
static void fees(void)
{
	struct mg_usage u = { .size = sizeof(u), .input = 600, .cached = 400, .output = 200, .requests = 1 };
	struct bill bill;
	struct world w;

	world_init(&w);
	three(&w);
	world_file(&w, "p.lua", "return policy { name = \"p\", api = 1, price = function(req, ep, u, bill)\n"
		"  return money.flat(bill, \"fee\", money.bps(money.sum(bill, \"cost\"), 1000), \"charge\") end }\n");
	ok(world_open(&w, "return { base = \"openrouter\", policies = { org = { org_1 = { { use = \"p\" } } } } }\n") &&
		!policy_price(w.state, world_ask(&w), &w.endpoints[0], &u, false, &bill) && bill.cost_nusd == 840000 && bill.charge_nusd == 924000,
		"a fee comes on top of the list price, which needs no line of its own");
	world_release(&w);
}

static void failing_over(struct world *w)
{
	struct denial no;
	struct decision *d = world_ask(w);
	struct attempt_error e = { .kind = MG_E_SERVER, .status = 500, .n = 1, .tries_here = 1, .retryable = true };
	struct action a;

	world_route(w, &no);
	e.endpoint = d->order[0]->endpoint;
	policy_on_error(w->state, d, &e, d->order + 1, 2, &a);
	ok(a.what == ACT_NEXT && a.skip == SKIP_NOTHING, "a server error goes on");
	e.kind = MG_E_AUTH;
	policy_on_error(w->state, d, &e, d->order + 1, 2, &a);
	ok(a.what == ACT_NEXT && a.skip == SKIP_PROVIDER, "a refused credential skips its provider");
	e.kind = MG_E_BAD_REQUEST;
	policy_on_error(w->state, d, &e, d->order + 1, 2, &a);
	ok(a.what == ACT_NEXT && a.skip == SKIP_MODEL, "a bad request goes to another model");
}

static void sessions(struct world *w)
{
	struct denial no;
	struct outcome o = { .status = 200, .endpoint = &w->endpoints[2] };
	unsigned kept = 0;

	for (unsigned i = 0; i < 20; i++) {
		struct decision *d = world_ask(w);

		d->facts.seed = i;
		d->facts.session = MG_STR("talk");
		world_route(w, &no);
		policy_plan(w->state, d);
		policy_observe(w->state, d, &o);
		kept += i && d->order[0]->endpoint == &w->endpoints[2];
	}
	ok(kept == 19, "a conversation stays where its cache is");
	world_ask(w)->facts.session = MG_STR("talk");
	w->d.facts.key.id = MG_STR("key_2");
	w->d.facts.seed = 1;
	world_route(w, &no);
	ok(w->d.order[0]->endpoint != &w->endpoints[2], "another key's session of that name is another one");
}

static void variants(struct world *w)
{
	struct denial no;
	struct decision *d = world_ask(w);

	d->facts.variant = MG_STR("floor");
	policy_resolve(w->state, d, &no);
	ok(mg_is(d->facts.prefs.sort_by, "price") && mg_is(d->facts.prefs.service_tier, "flex"), ":floor");
	d = world_ask(w);
	d->facts.variant = MG_STR("free");
	ok(policy_admit(w->state, d, &no) && policy_resolve(w->state, d, &no) && !world_route(w, &no) && no.status == 404, ":free finds no free endpoint");
}

static void find_drop(void *arg, const char *line)
{
	*(bool *)arg |= strstr(line, "not_free") && strstr(line, "or_eligibility.lua:");
}

static void records(struct world *w)
{
	json_t *record = world_recall(w, &w->d);
	struct metadata m = { .generation_ms = -1 };
	struct mg_writer *out = json_writer(w->pool);
	struct mg_str text;
	bool found = false;

	decision_text(record, find_drop, &found);
	ok(found, "explain names the line that dropped");
	json_decref(record);
	metadata_write(out, NULL, &w->d, &m);
	text = json_written(out);
	ok(text.at && memmem(text.at, text.len, "\"strategy\":\"direct\"", 19) && memmem(text.at, text.len, "\"total\":3", 9) &&
		!memmem(text.at, text.len, "not_free", 8), "a client's metadata count, and name no reason");
}

static void speed(void)
{
	struct world w;
	struct denial no;
	uint64_t began, best = UINT64_MAX;

	world_init(&w);
	for (int i = 0; i < 20; i++) {
		static char names[20][4];

		snprintf(names[i], 4, "p%d", i);
		world_endpoint(&w, 0, names[i], 1 + i % 5, 2 + i % 3);
	}
	if (!world_open(&w, NULL)) {
		printf("# %s\n", w.err.msg);
		abort();
	}
	struct catalog c = { .endpoints = w.endpoints, .n_endpoints = w.n, .version = 1 };

	endpoints_reset(w.state, &c);
	for (int round = 0; round < 30; round++) {
		began = clock_us();
		for (int i = 0; i < 50; i++) {
			struct decision *d = world_ask(&w);

			policy_admit(w.state, d, &no);
			policy_resolve(w.state, d, &no);
			world_route(&w, &no);
			policy_plan(w.state, d);
		}
		if (clock_us() - began < best)
			best = clock_us() - began;
	}
	printf("# 20 candidates: %.1f us, fuel %ld, heap %zu KiB\n", (double)best / 50, w.d.fuel, policy_state_heap(w.state) >> 10);
#ifdef SANITIZED
	ok(best > 0, "20 candidates are routed");
#else
	ok(best / 50 < 400, "20 candidates are routed in well under a millisecond");
#endif
	world_release(&w);
}

int main(void)
{
	struct world w;

	world_init(&w);
	three(&w);
	ok(world_open(&w, NULL), "the shipped bundle opens");
	if (!w.state) {
		printf("# %s\n", w.err.msg);
		return 1;
	}
	sorting(&w);
	balance(&w);
	denied(&w);
	money(&w);
	fees();
	failing_over(&w);
	sessions(&w);
	variants(&w);
	records(&w);
	world_release(&w);
	speed();
	return tap_done();
}
