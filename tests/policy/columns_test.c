/* Numbers of many endpoints at a time, where the gateway runs a policy: the same as by hand, and never those of before. */
#include "tap.h"
#include "world.h"

static const char policy[] = "local function near(a, b) return math.abs(a - b) < 1e-9 * (math.abs(b) + 1) end\n"
	"return policy { name = \"p\", api = 1,\n"
	" scores = { price = function(ep) return ep.usd.prompt end, lately = function(ep) return rank.most({ ep }, \"live.samples\") end },\n"
	" rank = function(req, eps)\n"
	"  local first = rank.smooth(eps, 20, nil, \"live.ttft_ms.p50\")\n"
	"  local n, all = 0, 0\n"
	"  for _, e in ipairs(eps) do n, all = n + e.live.samples, all + e.live.samples * e.live.ttft_ms.p50 end\n"
	"  local burden = rank.product(eps, \"price\", 1, first, 0.5, \"usd.completion\", -2)\n"
	"  for i, e in ipairs(eps) do\n"
	"   local s, x = e.live.samples, e.live.ttft_ms.p50\n"
	"   assert(near(first[i], (s * x + 20 * all / n) / (s + 20)), \"smooth\")\n"
	"   assert(near(burden[i], e.usd.prompt * first[i] ^ 0.5 * e.usd.completion ^ -2), \"product\")\n"
	"   assert(near(rank.sum(eps, \"price\", 2, \"live.uptime_30m\", -1)[i], e.usd.prompt * 2 - e.live.uptime_30m), \"sum\")\n"
	"  end\n"
	"  assert(rank.least(eps, \"live.samples\") == eps[1].live.samples and rank.least(eps, \"lately\") == eps[1].live.samples, \"an old number\")\n"
	"  assert(#burden == #eps and burden[0] == nil and burden[#eps + 1] == nil, \"a column is a list\")\n"
	"  return rank.draw(eps, burden, 2, 0)\n"
	" end }\n";

static bool open_with(struct world *w, const char *text, unsigned endpoints)
{
	static char tags[32][8];

	world_init(w);
	for (unsigned i = 0; i < endpoints; i++) {
		snprintf(tags[i], sizeof(tags[i]), "e%u", i);
		world_endpoint(w, 0, tags[i], 1 + i, 1 + i);
	}
	world_file(w, "p.lua", text);
	world_file(w, "p_test.lua", "test(\"none\", function(t) t.ok(true) end)\n");
	return world_open(w, "return { policies = { default = { { use = \"p\" } } } }");
}

static void by_hand(unsigned endpoints)
{
	struct world w;
	struct denial no;

	ok(open_with(&w, policy, endpoints), "a ranking over columns opens");
	for (unsigned round = 1; w.state && round <= 3; round++) {
		struct decision *d = world_ask(&w);

		w.samples = 10 * round;
		w.ttft = 100.0 * round;
		ok(world_route(&w, &no) && !d->errors && d->n_order == endpoints, "what changed since is read anew");
		/* price / completion ^ 2: the dearest has the least */
		ok(d->order[0]->endpoint == &w.endpoints[endpoints - 1] && d->order[endpoints - 1]->endpoint == &w.endpoints[0], "the least burden is first");
	}
	if (!w.state)
		printf("# %s\n", w.err.msg);
	world_release(&w);
}

/* ---- who is stable, and who answered the session last */

static bool noted(const struct decision *d, const char *text)
{
	const struct note *n = d->notes;

	while (n && strcmp(n->text, text))
		n = n->next;
	if (!n)
		printf("# not noted: %s; but: %s\n", text, d->notes ? d->notes->text : "nothing");
	return n != NULL;
}

static void kept_apart(unsigned endpoints)
{
	static const char text[] = "return policy { name = \"p\", api = 1, rank = function(req, eps)\n"
		" local good, bad = rank.stable(eps, 30000)\n"
		" note(\"%d stable, %s, %s\", #good, good == eps and \"all\" or \"some\", bad and bad[1].tag or \"nobody else\")\n"
		" note(\"last: %s\", tostring(sticky.at(req.session, eps)))\n"
		" return bad and rank.join(bad, good) or good\n end }\n";
	static const struct { int64_t outage_ago_ms; bool some; } cases[] = { { 0, false }, { 30001, false }, { 30000, true }, { 1, true }, { 40000, false } };
	char all[60], some[60];
	struct world w;
	struct denial no;

	if (!open_with(&w, text, endpoints))
		abort();
	w.session = "s";
	snprintf(all, sizeof(all), "%u stable, all, nobody else", endpoints);
	snprintf(some, sizeof(some), "%u stable, some, e1", (endpoints + 1) / 2);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct decision *d = world_ask(&w);

		w.outage_ago_ms = cases[i].outage_ago_ms;
		ok(world_route(&w, &no) && !d->errors && noted(d, cases[i].some ? some : all), "an outage within the window sets apart");
		ok(d->order[0]->endpoint == &w.endpoints[cases[i].some], "and the lists hold who they should");
	}
	ok(noted(&w.d, "last: nil"), "nobody answered the session");
	world_ask(&w);
	sticky_put(w.state->shared, w.d.facts.key.id, "s", 1, w.endpoints[1].id, 60);
	ok(world_route(&w, &no) && noted(&w.d, "last: 2") && w.d.n_readings == 1 && !strcmp(w.d.readings->function, "sticky.get"), "who did is found in the list, and that it was read is kept");
	world_ask(&w);
	sticky_put(w.state->shared, w.d.facts.key.id, "s", 1, "elsewhere", 60);
	ok(world_route(&w, &no) && noted(&w.d, "last: nil"), "who is not in the list is nowhere");
	world_release(&w);
}

/* ---- nothing is asked for */

static void asks_nothing(void)
{
	static const char text[] = "return policy { name = \"p\", api = 1, rank = function(req, eps) note(\"%s\", tostring(req.prefs.none)) return eps end }\n";
	struct world w;
	struct denial no;

	if (!open_with(&w, text, 2))
		abort();
	for (int i = 0; i < 8; i++) {
		struct prefs *p = &world_ask(&w)->facts.prefs;

		switch (i) {
		case 0: case 2: break;
		case 1: p->zdr = true; break;
		case 3: p->partition = MG_STR("model"); p->sort_by = MG_STR(""); break;
		case 4: p->partition = MG_STR("none"); break;
		case 5: p->allow_fallbacks = false; break;
		case 6: p->throughput_tps[3] = (struct number){ true, 0 }; break;
		case 7: p->guards = (struct words){ &(struct mg_str)MG_STR("g"), 1 }; break;
		}
		ok(world_route(&w, &no) && noted(&w.d, i % 2 == 0 && i < 3 ? "true" : i == 3 ? "true" : "false"), "prefs.none, while each member has its turn");
	}
	world_release(&w);
}

int main(void)
{
	kept_apart(3);
	kept_apart(32);
	asks_nothing();
	by_hand(1);
	by_hand(3);
	by_hand(32);
	return tap_done();
}
