/* Attacks on the sandbox, and what each hook's failure means. */
#include "base/clock.h"
#include "base/log.h"
#include "tap.h"
#include "world.h"

#define BUNDLE "return { policies = { default = { { use = \"p\" } } }, base = nil }"
#define POLICY(body) "return policy { name = \"p\", api = 1, " body " }"
#define FILTER(code) POLICY("filter = function(req, ep) " code " end")

static bool open_with(struct world *w, const char *policy)
{
	world_init(w);
	world_endpoint(w, 0, "a", 1, 1);
	world_endpoint(w, 0, "b", 2, 2);
	world_file(w, "p.lua", policy);
	return world_open(w, BUNDLE);
}

/* Each runs in a filter; the word is in the note that its failure leaves. */
static const struct attack { const char *name, *code, *word; } attacks[] = {
	{ "an endless loop", "while true do end", "fuel" },
	{ "a loop without a body", "for i = 1, 1e18 do end return true", "fuel" },
	{ "endless recursion", "local function f() return f() end f()", "fuel" },
	{ "deep recursion", "local function f() return 1 + f() end f()", "" },
	{ "pcall", "pcall(function() end)", "unknown name 'pcall'" },
	{ "xpcall", "xpcall(function() end)", "unknown name 'xpcall'" },
	{ "coroutines", "coroutine.wrap(function() end)", "unknown name 'coroutine'" },
	{ "setmetatable", "setmetatable({}, {})", "unknown name 'setmetatable'" },
	{ "getmetatable", "getmetatable('').__index = nil", "unknown name 'getmetatable'" },
	{ "load", "load('return 1')", "unknown name 'load'" },
	{ "require", "require('os')", "unknown name 'require'" },
	{ "os", "os.exit()", "unknown name 'os'" },
	{ "io", "io.open('/etc/passwd')", "unknown name 'io'" },
	{ "debug", "debug.sethook()", "unknown name 'debug'" },
	{ "rawset", "rawset(ep, 'tag', 'x')", "unknown name 'rawset'" },
	{ "next", "next(ep)", "unknown name 'next'" },
	{ "collectgarbage", "collectgarbage('stop')", "unknown name 'collectgarbage'" },
	{ "_G", "_G.x = 1", "unknown name '_G'" },
	{ "patterns", "('a'):rep(2000):find('.-.-.-.-b')", "nil value" },
	{ "gsub", "string.gsub('a', 'a', 'b')", "nil value" },
	{ "string.dump", "string.dump(function() end)", "nil value" },
	{ "table.move", "table.move({}, 1, 1e8, 2)", "nil value" },
	{ "math.random", "return math.random() < 1", "nil value" },
	{ "a global", "x = 1", "global write 'x'" },
	{ "a library's function", "string.len = nil", "read-only" },
	{ "a method of strings", "('').len = nil", "index" },
	{ "an endpoint", "ep.tag = 'x'", "read-only" },
	{ "a nested table of an endpoint", "ep.usd.prompt = 0", "read-only" },
	{ "live facts", "ep.live.samples = 0", "read-only" },
	{ "the request", "req.prefs.zdr = false", "read-only" },
	{ "a list of the request", "table.insert(req.models, 'x')", "read-only" },
	{ "the environment", "_ENV.policy = nil", "global write" },
	{ "doubling a string", "local s = 'x' while true do s = s .. s end", "" },
	{ "a million tables", "local t = {} for i = 1, 1e6 do t[i] = {} end", "" },
	{ "string.rep of 1 GiB", "('x'):rep(1 << 30)", "64 KiB" },
	{ "string.rep that overflows", "('xx'):rep(math.maxinteger)", "64 KiB" },
	{ "plain search without end", "local s = ('a'):rep(65536) while true do s:has('b') end", "fuel" },
	{ "unpack", "table.unpack({}, 1, 1e7)", "200" },
	{ "unpack that overflows", "table.unpack({}, math.maxinteger - 5, -math.maxinteger)  table.unpack({}, -math.maxinteger, math.maxinteger)", "200" },
	{ "table.concat of much", "local s, t = ('a'):rep(65536), {} for i = 1, 300 do t[i] = s end table.concat(t)", "" },
	{ "insert at the front", "local t = {} for i = 1, 1e5 do table.insert(t, 1, i) end", "fuel" },
	{ "an address", "return string.format('%p', ep) ~= ''", "not available" },
	{ "writing in a pure hook", "limit.take('a', 'b', { max = 1, per_s = 1 })", "not allowed in hook 'filter'" },
	{ "a counter in a pure hook", "counter.add('a', 'b', 1)", "not allowed in hook 'filter'" },
	{ "lookup in a pure hook", "lookup('x', {}, nil)", "only in admit and resolve" },
	{ "close variables", "local x <close> = nil while true do end", "fuel" },
	{ "sort with a bad order", "local t = {} for i = 1, 50 do t[i] = i % 7 end table.sort(t, function() return true end)", "" },
	{ "goto", "::again:: goto again", "fuel" },
	{ "an error that is a table", "error({})", "table" },
	{ "an error that is an endpoint", "error(ep)", "table" },
};

static bool noted(const struct decision *d, const char *word)
{
	for (const struct note *n = d->notes; n; n = n->next)
		if (!strncmp(n->text, "error: ", 7) && strstr(n->text, word))
			return true;
	return false;
}

static void attack(const struct attack *a)
{
	struct world w;
	struct denial no;
	char source[600], claim[160];
	uint64_t began;
	bool closed;

	snprintf(source, sizeof(source), FILTER("%s"), a->code);
	snprintf(claim, sizeof(claim), "%s: stopped, and the candidate is dropped", a->name);
	if (!open_with(&w, source)) {
		printf("# %s\n", w.err.msg);
		ok(false, claim);
		world_release(&w);
		return;
	}
	world_ask(&w);
	began = clock_ms();
	closed = !world_route(&w, &no) && no.status == 503 && !strcmp(no.code, "policy_error") && noted(&w.d, a->word);
	if (!closed)
		for (const struct note *n = w.d.notes; n; n = n->next)
			printf("# %s\n", n->text);
	ok(closed && clock_ms() - began < 2000, claim);
	world_release(&w);
}

/* ---- refused when a bundle is opened */

static const struct { const char *name, *policy, *word; } bad[] = {
	{ "bytecode", "\x1bLua", "compiled Lua" },
	{ "bad syntax", "return policy {", "p.lua:1" },
	{ "an unknown field", POLICY("filtre = function() end"), "unknown field 'filtre'" },
	{ "another API", "return policy { name = \"p\", api = 2 }", "api = 1" },
	{ "another name", "return policy { name = \"q\", api = 1 }", "name = \"p\"" },
	{ "a hook that is no function", POLICY("rank = 1"), "must be a function" },
	{ "no policy", "return {}", "must return policy" },
	{ "a required param", POLICY("params = { n = { type = \"integer\" } }"), "'n' is required" },
	{ "a param's type", POLICY("params = { n = { type = \"integer\", default = \"x\" } }"), "must be integer" },
	{ "a setup that fails", POLICY("setup = function() error(\"no good\") end"), "no good" },
	{ "a setup that loops", POLICY("setup = function() while true do end end"), "fuel" },
	{ "a file that loops", "while true do end", "fuel" },
	{ "a global at load", "x = 1", "global write" },
	{ "itself as a library", "use_lib \"p\"", "uses itself" },
};

static void refused(size_t i)
{
	struct world w;
	char claim[120];

	snprintf(claim, sizeof(claim), "%s: the bundle is refused, and told why", bad[i].name);
	if (open_with(&w, bad[i].policy) || !strstr(w.err.msg, bad[i].word)) {
		printf("# %s\n", w.err.msg);
		ok(false, claim);
	} else {
		ok(true, claim);
	}
	world_release(&w);
}

/* ---- what a failure of each hook means */

static const char *const failures[] = { "error(\"x\")", "while true do end", "return 7", "return \"x\"", "local t = {} for i = 1, 1e7 do t[i] = {} end",
	"return { deny = 1, models = 1, store = 1, lines = 1, action = 1, hedge = 1, set = 1 }" };

static void fails(const char *code)
{
	struct world w;
	struct denial no;
	struct action a;
	struct shape shape;
	struct bill bill;
	struct mg_usage u = { .size = sizeof(u), .input = 1000 };
	struct attempt_error e = { .kind = MG_E_SERVER };
	struct outcome o = { .status = 200 };
	static const char *const hooks[] = { "admit", "retain", "resolve", "rank", "plan", "shape", "on_error", "price", "observe" };
	char source[2400] = "return policy { name = \"p\", api = 1", claim[160];
	struct decision *d;
	size_t len = strlen(source);

	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
		len += (size_t)snprintf(source + len, sizeof(source) - len, ", %s = function() %s end", hooks[i], code);
	snprintf(source + len, sizeof(source) - len, " }");
	if (!open_with(&w, source)) {
		printf("# %s\n", w.err.msg);
		ok(false, code);
		world_release(&w);
		return;
	}
	d = world_ask(&w);
#define CLAIM(cond, text) do { snprintf(claim, sizeof(claim), "%s: %.60s", text, code); ok(cond, claim); } while (0)
	CLAIM(!policy_admit(w.state, d, &no) && no.status == 503 && !strcmp(no.code, "policy_error"), "admit is closed");
	policy_retain(w.state, d);
	CLAIM(d->keep.store == KEEP_NONE && !d->keep.ttl_s && !d->keep.cache, "retain keeps nothing");
	CLAIM(policy_resolve(w.state, d, &no) && d->facts.models.n == 1 && !d->resolved, "resolve changes nothing");
	CLAIM(world_route(&w, &no) && d->n_order == 2 && d->order[0]->endpoint == &w.endpoints[0], "rank is skipped");
	policy_plan(w.state, d);
	CLAIM(!d->plan.attempts && !d->plan.hedge_after_ms, "plan is skipped");
	CLAIM(!policy_shape(w.state, d, &w.endpoints[0], &shape), "shape skips the attempt");
	policy_on_error(w.state, d, &e, d->order, 2, &a);
	CLAIM(a.what == ACT_NEXT, "on_error is skipped");
	CLAIM(!policy_price(w.state, d, &w.endpoints[0], &u, false, &bill) && bill.needs_rating && bill.charge_nusd == 1000000, "price is list price, to be rated again");
	policy_observe(w.state, d, &o);
	CLAIM(lua_gettop(w.state->L) == 0, "nothing is left on the stack");
	world_release(&w);
}

static void starved(void)
{
	struct world w;
	struct denial no;
	bool good = true;

	/* A policy's own state cannot grow for ever: my is read-only, a local of the file is not. */
	if (open_with(&w, "local hoard = {} return policy { name = \"p\", api = 1, filter = function(req, ep) "
		"for i = 1, 40 do hoard[#hoard + 1] = (\"x\"):rep(20000) .. #hoard end return true end }")) {
		for (int i = 0; i < 200; i++) {
			world_ask(&w);
			world_route(&w, &no);
			good &= policy_state_heap(w.state) < 20 << 20;
		}
		world_ask(&w);
		ok(good, "a hoarding policy meets the cap, and the state comes back fresh");
	} else {
		ok(false, w.err.msg);
	}
	world_release(&w);
}

static void nonsense_rank(void)
{
	static const char *const bodies[] = { "return { eps[1], eps[1] }", "return { req }", "return { eps[1], {} }", "return { eps[1], eps[2], eps[1] }", "return eps[1]" };

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct world w;
		struct denial no;
		char source[300];

		snprintf(source, sizeof(source), POLICY("rank = function(req, eps) %s end"), bodies[i]);
		ok(open_with(&w, source) && world_ask(&w) && world_route(&w, &no) && w.d.n_order == 2 && w.d.errors == 1 &&
			w.d.order[0]->endpoint == &w.endpoints[0], bodies[i]);
		world_release(&w);
	}
}

static void empty_rank(void)
{
	struct world w;
	struct denial no;

	ok(open_with(&w, POLICY("rank = function() return {} end")) && world_ask(&w) && !world_route(&w, &no) && no.status == 404 &&
		!strcmp(no.code, "no_endpoints") && strstr(no.message, "(unranked 2)"), "an empty ranking leaves nothing");
	world_release(&w);
}

int main(void)
{
	log_max = LOG_ERROR;
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		attack(&attacks[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(i);
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		fails(failures[i]);
	nonsense_rank();
	empty_rank();
	starved();
	return tap_done();
}
