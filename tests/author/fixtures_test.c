/* What a test's fixtures take and give: the members that requests and endpoints have, and no others. */
#include "author/tools.h"
#include "policy/world.h"
#include "tap.h"

static const struct { const char *claim, *body, *why; } cases[] = {
	{ "as they are", "t.eq(t.ep { data = { zdr = false } }.data.zdr, false)", NULL },
	{ "one more of an endpoint's data", "t.ep { data = { zrd = false } }", "p_test.lua:2: ep.data has no member 'zrd'; did you mean 'zdr'?" },
	{ "one more of an endpoint", "t.ep { proveder = \"a\" }", "p_test.lua:2: ep has no member 'proveder'; did you mean 'provider'?" },
	{ "one more of a rate", "t.ep { rate = { input = 1 } }", "p_test.lua:2: ep.rate has no member 'input'" },
	{ "a percentile more", "t.ep { live = { ttft_ms = { p95 = 1 } } }", "ep.live.ttft_ms has no member 'p95'" },
	{ "one more of a request", "t.req { modells = {} }", "p_test.lua:2: req has no member 'modells'; did you mean 'models'?" },
	{ "one more of its preferences", "t.req { prefs = { data_colection = \"deny\" } }", "p_test.lua:2: req.prefs has no member 'data_colection'; did you mean 'data_collection'?" },
	{ "one more of a usage", "t.usage { prompt = 5 }", "p_test.lua:2: usage has no member 'prompt'" },
	{ "one more of a failure", "t.err { code = 529 }", "p_test.lua:2: err has no member 'code'" },
	{ "one that is read", "local e = t.ep {} t.ok(e.data.zrd == nil)", "p_test.lua:2: ep.data has no member 'zrd'; did you mean 'zdr'?" },
	{ "one that is written", "local e = t.ep {} e.live.sample = 5", "p_test.lua:2: ep.live has no member 'sample'; did you mean 'samples'?" },
	{ "one that is taken away and put back", "local e = t.ep {} e.data.retention_days = nil t.eq(e.data.retention_days, nil) e.data.retention_days = 3 t.eq(e.data.retention_days, 3)", NULL },
	{ "names that anybody may choose", "t.eq(t.req { labels = { team = \"blue\" }, key = { labels = { x = \"y\" } }, params = { tools = true } }.labels.team, \"blue\")", NULL },
	{ "what a policy resolved", "local r = t.resolve({ use(\"p\") }, t.req {}) t.eq(r.prefs.zdr, true) t.ok(r.prefs.zrd == nil)", "req.prefs has no member 'zrd'" },
	{ "records that differ", "t.eq(t.usage {}, t.usage { input = 5 })", "p_test.lua:2: value: got" },
	{ "a record and a table with more", "t.eq(t.usage {}, { other = 5 })", "p_test.lua:2: value: got" },
	{ "a table with more and a record", "t.eq({ other = 5 }, t.usage {})", "p_test.lua:2: value: got" },
};

static void fixture(size_t i)
{
	struct world w;
	struct policy_state *s;
	struct test_run r = { 0 };
	char text[600];
	bool right = false;

	world_init(&w);
	snprintf(text, sizeof(text), "test(\"x\", function(t)\n  %s end)\n", cases[i].body);
	world_file(&w, "p.lua", "return policy { name = \"p\", api = 1, resolve = function(req) return { prefs = { zdr = true } } end }\n");
	world_file(&w, "p_test.lua", text);
	if (world_open(&w, "return { policies = { default = { { use = \"p\" } } } }") && (s = tests_open(w.bundle, &w.err))) {
		int rc = tests_run(s, bundle_file(w.bundle, "p_test"), TEST_FUEL, &r);

		right = !rc && r.n == 1 && (cases[i].why ? !r.at[0].ok && strstr(r.at[0].what, cases[i].why) : r.at[0].ok);
		if (!right)
			printf("# %s%s\n", rc ? s->error : "", r.n ? r.at[0].what : "");
		free(r.at);
		policy_state_free(s);
	}
	ok(right, cases[i].claim);
	world_release(&w);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		fixture(i);
	return tap_done();
}
