/* Attacks on the sandbox, and what each hook's failure means. */
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "tap.h"
#include "world.h"

#ifdef SANITIZED
enum { PATIENCE_MS = 5000 };
#else
enum { PATIENCE_MS = 300 };
#endif
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
	{ "an error that is nil", "error()", "nil" },
	{ "an error that is a function", "error(note)", "function" },
	{ "the strings' metatable, as a member", "return (\"\").__index.len and true", "index a nil value" },
	{ "the strings' table, as an object", "local s = string s.len = nil", "read-only" },
	{ "a name by an expression", "return _ENV[\"pca\" .. \"ll\"]", "unknown name 'pcall'" },
	{ "an environment of its own has nothing more", "local _ENV = { } return load(\"x\")", "global 'load'" },
	{ "a constant environment", "local _ENV <const> = { } return load(\"x\")", "load" },
	{ "writing through an environment of its own", "local e = _ENV local _ENV = { e = e } e.string = nil", "global write" },
	{ "the environment as an answer", "return _ENV", "filter must return" },
	{ "a goto around closures", "local t = {} ::again:: local x = #t t[#t + 1] = function() x = x + 1 return x end goto again", "" },
	{ "a comparison that raises", "table.sort({ 3, 2, 1 }, function() error(\"mine\") end)", "mine" },
	{ "a comparison that loops", "table.sort({ 3, 2, 1 }, function() while true do end end)", "fuel" },
	{ "a comparison that sorts", "local function f() table.sort({ 2, 1 }, f) end f()", "" },
	{ "a comparison that grows the list", "local t = { 3, 2, 1 } table.sort(t, function(a, b) t[#t + 1] = 1 return a < b end) while true do end", "fuel" },
	{ "a comparison that is no function", "table.sort({ 3, 2, 1 }, 7)", "function expected" },
	{ "a key function that raises", "rank.by({ ep, ep }, function() error(\"mine\") end)", "mine" },
	{ "a weight that is no number", "rank.pick({ ep, ep }, function() return 0/0 end, 0.5) rank.pick({ ep }, function() return {} end, 0.5)", "" },
	{ "recursion through helpers", "local function f(x) return rank.by({ x, x }, f) end f(ep)", "" },
	{ "recursion through split", "local function f(x) rank.split({ x }, f) end f(ep)", "" },
	{ "deep nesting of calls", "local function f(n) return n == 0 and 1 or (f(n - 1)) end f(1e6)", "" },
	{ "a string that is joined from many", "local s = (\"x\"):rep(60000) s = s .. s .. s .. s .. s .. s .. s", "" },
	{ "comparing long strings", "local s = (\"x\"):rep(30000) local a, b = s .. s .. 1, s .. s .. 2 while true do local _ = a < b end", "" },
	{ "equal long strings", "local s = (\"x\"):rep(30000) local a, b = s .. s .. 1, s .. s .. 1 while true do local _ = a == b end", "" },
	{ "long strings as keys", "local t, s = {}, (\"x\"):rep(60000) for i = 1, 1e5 do t[s .. i] = 1 end", "" },
	{ "string.format with a wide field", "return string.format(\"%99999d\", 1) ~= \"\"", "invalid conversion" },
	{ "string.format with too many digits", "return string.format(\"%.1000f\", 1) ~= \"\"", "invalid conversion" },
	{ "string.format with a long text, again and again", "local s = (\"x\"):rep(60000) while true do string.format(\"%s\", s) end", "" },
	{ "string.format without arguments", "return string.format(\"%s%s%s%s\") ~= \"\"", "bad argument" },
	{ "concat from far away", "table.concat({}, \"x\", 1, math.maxinteger)", "invalid value" },
	{ "concat to the last integer", "table.concat({ 1 }, \"x\", math.maxinteger - 1, math.maxinteger)", "invalid value" },
	{ "insert far away", "table.insert({}, math.maxinteger, 1)", "out of bounds" },
	{ "insert below", "table.insert({}, -math.maxinteger, 1)", "out of bounds" },
	{ "insert into what has no end", "local t = { [math.maxinteger] = 1 } table.insert(t, 1, 1) error(\"x\")", "" },
	{ "remove far away", "table.remove({ 1 }, math.maxinteger)", "out of bounds" },
	{ "unpack at the edges", "table.unpack({}, -math.maxinteger - 1, math.maxinteger)", "200" },
	{ "byte of everything", "local s = (\"x\"):rep(65536) for i = 1, 1e5 do s:byte(1, -1) end", "" },
	{ "sub again and again", "local s = (\"x\"):rep(65536) while true do s:sub(2, -1) end", "" },
	{ "case again and again", "local s = (\"x\"):rep(65536) while true do s:upper() end", "" },
	{ "split into many", "local s = (\"x,\"):rep(30000) while true do s:split(\",\") end", "" },
	{ "a glob of many stars", "while true do glob.match((\"*a\"):rep(1000), (\"a\"):rep(60000)) end", "fuel" },
	{ "a hash of much", "local s = (\"x\"):rep(65536) while true do hash.u32(s) end", "fuel" },
	{ "pairs of much", "local t = {} for i = 1, 20000 do t[i] = i end while true do pairs(t) end", "" },
	{ "a close variable with a sight", "local x <close> = ep", "non-closable" },
	{ "a for with a closing value", "for i in note, nil, nil, ep do end", "" },
	{ "too many results", "return (\"x\"):byte(1, -1), table.unpack({}, 1, 200)", "filter must return" },
	{ "select from below", "select(-3, 1)", "out of range" },
	{ "a deny of numbers", "deny { status = 1e308, code = 1, message = {} }", "deny{} needs" },
	{ "a library in a hook", "use_lib(\"p\")", "" },
	{ "a policy in a hook", "return policy({ 1 })", "filter must return" },
	{ "an order of addresses", "local t = {} for i = 1, 9 do t[{}] = i end for k, v in pairs(t) do return v > 4 end", "a key is a table, which has no order" },
	{ "an order of functions", "local t = {} for i = 1, 9 do t[function() return i end] = i end return #set.list(t) > 0", "a key is a function, which has no order" },
	{ "a format that fails, in a note", "note(\"%d\", 0.5)", "p.lua:1: bad argument #2 to 'note'" },
	{ "a format that fails", "return (\"%d\"):format({}) and true", "p.lua:1: bad argument #1 to 'format'" },
	{ "its own parameters", "my.x = 1", "my" },
};

static bool noted(const struct decision *d, const char *word)
{
	for (const struct note *n = d->notes; n; n = n->next)
		if (!strncmp(n->text, "error: ", 7) && strstr(n->text, word))
			return true;
	return false;
}

static uint64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
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
	began = cpu_ms();
	closed = !world_route(&w, &no) && no.status == 503 && !strcmp(no.code, "policy_error") && noted(&w.d, a->word);
	if (!closed)
		for (const struct note *n = w.d.notes; n; n = n->next)
			printf("# %s\n", n->text);
	ok(closed && cpu_ms() - began < 2000, claim);
	world_release(&w);
}

/* The same where there is fuel for 150 times as much, and memory to go with it. */
static void attack_rank(const struct attack *a)
{
	struct world w;
	struct denial no;
	char source[700], claim[160];
	uint64_t began;
	bool kept;

	snprintf(source, sizeof(source), POLICY("rank = function(req, eps, my) local ep = eps[1]; %s end"), a->code);
	snprintf(claim, sizeof(claim), "%s: stopped in a ranking, too, in time, and the order stays", a->name);
	if (!open_with(&w, source)) {
		printf("# %s\n", w.err.msg);
		ok(false, claim);
		world_release(&w);
		return;
	}
	world_ask(&w);
	began = cpu_ms();
	kept = world_route(&w, &no) && w.d.n_order == 2 && w.d.order[0]->endpoint == &w.endpoints[0] && w.d.errors == 1 && noted(&w.d, "");
	if (cpu_ms() - began > 20)
		for (const struct note *n = w.d.notes; n; n = n->next)
			printf("# %llu ms: %s\n", (unsigned long long)(cpu_ms() - began), n->text);
	ok(kept && cpu_ms() - began < PATIENCE_MS && policy_state_heap(w.state) < (17 << 20), claim);
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
	{ "lists that is no function", POLICY("lists = {}"), "lists must be a function" },
	{ "lists that gives no table", POLICY("lists = function() end"), "lists must return a table" },
	{ "a row under no model's name", POLICY("lists = function() return { best = { name = \"B\", models = {} } } end"), "such as \"acme/best\"" },
	{ "a row without a name", POLICY("lists = function() return { [\"a/b\"] = { models = {} } } end"), "lists: a/b: it is" },
	{ "a row with another member", POLICY("lists = function() return { [\"a/b\"] = { name = \"B\", modles = {} } } end"), "known members are name, description, models" },
	{ "a row without models", POLICY("lists = function() return { [\"a/b\"] = { name = \"B\", models = { 7 } } } end"), "models must be a list" },
	{ "lists that loops", POLICY("lists = function() while true do end end"), "fuel" },
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

/* ---- what clients read of a policy's words */

static void denied(const char *given, unsigned after_s, const char *claim)
{
	struct world w;
	struct denial no;
	char source[400];

	snprintf(source, sizeof(source), POLICY("resolve = function(req) return deny { status = 429, code = \"c\", message = \"m\", %s } end"), given);
	ok(open_with(&w, source) && world_ask(&w) && !policy_resolve(w.state, &w.d, &no) && no.status == 429 && no.retry_after_s == after_s, claim);
	world_release(&w);
}

static void words(void)
{
	struct world w;
	struct denial no;

	denied("retry_after_s = 1.2", 2, "a fraction of a second denies, and is rounded up");
	denied("retry_after_s = -5", 0, "a time that is past denies");
	denied("retry_after_s = -0.5", 0, "a time that is just past denies");
	denied("retry_after_s = math.huge", 86400 * 31, "a time without end denies");
	denied("retry_after_s = math.maxinteger, limit = -1", 86400 * 31, "a limit below 0 denies");
	ok(open_with(&w, POLICY("admit = function() return deny { status = 403, code = \"c\\r\\nd\\0e\", message = \"\\xff\\xc3\\xa9 \\n\" .. (\"\\xc3\\xa9\"):rep(200) } end")) && world_ask(&w) &&
		!policy_admit(w.state, &w.d, &no) && !strcmp(no.code, "c  d e") && !strncmp(no.message, "?\xc3\xa9  \xc3\xa9", 7) && strlen(no.message) == 199,
		"a denial's words are one line of whole characters");
	world_release(&w);
	ok(open_with(&w, FILTER("return false, \"no\\n\\xff\" .. (\"x\"):rep(1000)")) && world_ask(&w) && !world_route(&w, &no) && !strncmp(no.message, "No endpoints", 12) &&
		!strchr(no.message, '\n') && !strchr(no.message, '\xff') && strlen(w.d.candidates[0].dropped) == 63 && !strncmp(w.d.candidates[0].dropped, "no ?x", 5),
		"a filter's reason is short, and one line");
	world_release(&w);
}

/* ---- answers that are objects of ours: they are read where no error may be raised */

static const char *const kept[] = { "ep.live", "ep.live.ttft_ms", "ep", "req", "req.prefs", "req.models", "_ENV", "string", "ep.usd", "my" };
static const char *const answers[] = { "up", "{ up }", "{ prefs = up }", "{ models = up }", "{ prefs = { only = up, max_price = up, max_latency_s = up, zdr = up } }", "{ set = up, drop = up }", "{ set = { metadata = up } }",
	"{ set = { metadata = { up, { up } } } }", "{ sticky = up }", "{ hedge = up }", "{ sticky = { key = up } }", "{ store = up, ttl_s = up, sinks = up }", "{ store = \"none\", sinks = up }", "{ lines = up }", "{ lines = { up } }",
	"{ action = up }", "{ action = \"next\", skip = up }", "{ action = \"model\", model = up }", "{ deny = true, status = up, code = up, message = up }", "{ note = up, strategy = up }" };

static void ours(const char *memo, const char *object)
{
	struct catalog c = { .version = 1 };
	struct world w;
	bool good = true;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct mg_usage u = { .size = sizeof(u), .input = 1000 };
		struct denial no;
		struct action a;
		struct shape shape;
		struct bill bill;
		char source[1200];

		snprintf(source, sizeof(source), "local up local function f() return %s end return policy { name = \"p\", api = 1, %s setup = function() return { x = { 1 } } end,\n"
			"filter = function(req, ep, my) up = %s return true end, resolve = f, admit = f, retain = f, plan = f, shape = f, on_error = f, price = f, rank = f, observe = f }", answers[i], memo, object);
		if (!open_with(&w, source)) {
			printf("# %s\n", w.err.msg);
			abort();
		}
		c.endpoints = w.endpoints;
		c.n_endpoints = w.n;
		endpoints_reset(w.state, &c);
		for (int round = 0; round < 2; round++) {
			world_ask(&w);
			w.d.facts.variant = round ? MG_STR("x") : MG_STR("");
			policy_admit(w.state, &w.d, &no);
			policy_retain(w.state, &w.d);
			policy_resolve(w.state, &w.d, &no);
			good &= world_route(&w, &no) && w.d.n_order >= 1;	/* one that ep alone is in is a ranking */
			policy_plan(w.state, &w.d);
			policy_shape(w.state, &w.d, &w.endpoints[0], &shape);
			policy_on_error(w.state, &w.d, &(struct attempt_error){ .kind = MG_E_SERVER }, w.d.order, w.d.n_order, &a);
			policy_price(w.state, &w.d, &w.endpoints[0], &u, false, &bill);
			policy_observe(w.state, &w.d, &(struct outcome){ .status = 200 });
			good &= lua_gettop(w.state->L) == 0;
		}
		world_release(&w);
	}
	ok(good, object);
}

/* ---- what is said of things has no address in it, and my is nobody's to change */

static void leaks(void)
{
	static const char say[] = "note(\"%s %s %s %s %s %s\", tostring(note), tostring({}), tostring(req), tostring(eps[1]), string.format(\"%s\", string), tostring(function() end))";
	struct world w;
	struct denial no;
	char source[600];
	bool clean = true;

	snprintf(source, sizeof(source), POLICY("rank = function(req, eps) %s return eps end"), say);
	ok(open_with(&w, source) && world_ask(&w) && world_route(&w, &no) && !w.d.errors, "things as text");
	for (const struct note *n = w.d.notes; n; n = n->next)
		clean &= !strstr(n->text, "0x") && !strcmp(n->text, "function table table table table function");
	ok(clean && w.d.notes, "no address in them");
	world_release(&w);
	ok(open_with(&w, POLICY("setup = function() return { list = { 1 }, map = { a = {} } } end, rank = function(req, eps, my) if req.seed == 1 then my.list[2] = 2 end if req.seed == 2 then table.insert(my.list, 2) end "
		"if req.seed == 3 then my.map.a.b = 1 end if req.seed == 4 then my.x = 1 end note(\"%d %s %s\", #my.list, tostring(my.map.a.b), tostring(my.x)) return eps end")), "my with tables");
	for (uint64_t seed = 1; seed <= 5; seed++) {
		world_ask(&w);
		w.d.facts.seed = seed;
		world_route(&w, &no);
		ok(seed < 5 ? w.d.errors == 1 && noted(&w.d, "read-only") : !w.d.errors && !strcmp(w.d.notes->text, "1 nil nil"), seed < 5 ? "is not written by one request" : "and is as it was for the next");
	}
	world_release(&w);
}

/* The library's sort draws by the clock where a list is long. */
static void sorting(void)
{
#define SORTS "rank = function(req, eps) local t = {} for i = 1, 500 do t[i] = { k = (i * 7919) % 10, i = i } end local n = 0 table.sort(t, function(a, b) n = n + 1 return a.k < b.k end) " \
		"local h, stable = 0, true for i = 1, 500 do h = (h * 31 + t[i].i) % 1000003 stable = stable and (i == 1 or t[i - 1].k < t[i].k or (t[i - 1].k == t[i].k and t[i - 1].i < t[i].i)) end " \
		"local s = { 3, 1, 2, 10, 5 } table.sort(s) note(\"%d %d %s %s\", n, h, tostring(stable), table.concat(s, \" \")) return eps end"
	struct world w;
	struct denial no;
	char first[200] = "";
	bool same = true;

	for (int i = 0; i < 6; i++) {
		if (!open_with(&w, POLICY(SORTS)) || !world_ask(&w) || !world_route(&w, &no) || !w.d.notes)
			same = false;
		else if (!i)
			snprintf(first, sizeof(first), "%s", w.d.notes->text);
		else
			same &= !strcmp(first, w.d.notes->text);
		world_release(&w);
	}
	ok(same && strstr(first, "true 1 2 3 5 10"), "table.sort is stable, and asks as often each time");
}

int main(void)
{
	log_max = LOG_ERROR;
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		attack(&attacks[i]);
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		attack_rank(&attacks[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(i);
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		fails(failures[i]);
	nonsense_rank();
	empty_rank();
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		ours("", kept[i]);
		ours("memo = { filter = \"variant\" },", kept[i]);
	}
	leaks();
	words();
	sorting();
	starved();
	return tap_done();
}
