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

static void by_hand(unsigned endpoints)
{
	static char tags[32][8];
	struct world w;
	struct denial no;

	world_init(&w);
	for (unsigned i = 0; i < endpoints; i++) {
		snprintf(tags[i], sizeof(tags[i]), "e%u", i);
		world_endpoint(&w, 0, tags[i], 1 + i, 1 + i);
	}
	world_file(&w, "p.lua", policy);
	world_file(&w, "p_test.lua", "test(\"none\", function(t) t.ok(true) end)\n");
	ok(world_open(&w, "return { policies = { default = { { use = \"p\" } } } }"), "a ranking over columns opens");
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

int main(void)
{
	by_hand(1);
	by_hand(3);
	by_hand(32);
	return tap_done();
}
