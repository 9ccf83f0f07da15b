/* policy check: each mistake that it finds, and where; and that what is right is left alone. */
#include "author/author.h"
#include "policy/world.h"
#include "tap.h"

struct said { char text[32 << 10]; size_t len; };

static void keep(void *arg, const char *line)
{
	struct said *s = arg;

	s->len += (size_t)snprintf(s->text + s->len, sizeof(s->text) - s->len, "%s\n", line);
}

#define P(body) "return policy { name = \"p\", api = 1,\n" body " }\n"
static const char test_file[] = "test(\"x\", function(t) t.ok(true) end)\n";

/* What p.lua is, and what is said of it; NULL: nothing.  bundle NULL: it is in no list. */
static const struct { const char *name, *policy, *says, *bundle; } cases[] = {
	{ "nothing is wrong", P("filter = function(req, ep) return true end"), NULL, NULL },
	{ "syntax", "return policy { name = \"p\" api = 1 }\n", "p.lua:1: ", NULL },
	{ "bytecode", "\x1bLua\x54", "p.lua: it is compiled Lua, which is not read", NULL },
	{ "an unknown name", P("filter = function(req, ep) return os ~= nil end"), "p.lua:2: unknown name 'os'", NULL },
	{ "an unknown member of a library", P("filter = function(req, ep) return ranking.by ~= nil or rank.bye == 1 end"), "p.lua:2: unknown name 'rank.bye'", NULL },
	{ "a global write", P("filter = function(req, ep)\n  seen = true\n  return true end"), "p.lua:3: global write 'seen' (use 'local')", NULL },
	{ "an unknown hook or field", P("fliter = function(req, ep) return true end"), "p.lua: unknown field 'fliter'", NULL },
	{ "a hook that is no function", P("filter = true"), "p.lua: 'filter' must be a function", NULL },
	{ "a parameter's type", P("params = { n = { type = \"float\" } }, filter = function() return true end"), "param 'n': type must be integer", NULL },
	{ "a parameter's default", P("params = { n = { type = \"integer\", default = \"5\" } }, filter = function() return true end"), "param 'n' must be integer, not string", NULL },
	{ "a parameter that is not declared", P("filter = function() return true end"), "p: unknown param 'm'",
	  "return { policies = { default = { { use = \"p\", with = { m = 1 } } } } }\n" },
	{ "a parameter that must be given, and is", P("params = { n = { type = \"integer\" } }, filter = function(req, ep, my) return my.n == 5 end"), NULL,
	  "return { policies = { default = { { use = \"p\", with = { n = 5 } } } } }\n" },
	{ "a parameter that must be given, of a file in no list", P("params = { n = { type = \"integer\" } }, filter = function(req, ep, my) return true end"), NULL, NULL },
	{ "setup that fails", P("setup = function(p) assert(false, \"no such class\") end, filter = function() return true end"), "no such class", NULL },
	{ "setup that does not end", P("setup = function(p) while true do end end"), "fuel exhausted", NULL },
	{ "setup that reads what is not there", P("setup = function(p) return { t = io.open(\"/etc/passwd\") } end"), "p.lua:2: unknown name 'io'", NULL },
	{ "a member of req that is not there", P("filter = function(req, ep) return req.data_clas ~= \"x\" end"), "req has no member 'data_clas'; did you mean 'data_class'?", NULL },
	{ "a member of req.feat that is not there", P("rank = function(req, eps) return req.feat.tool == 1 and {} or eps end"), "req.feat has no member 'tool'; did you mean 'tools'?", NULL },
	{ "a member of ep that is not there", P("filter = function(req, ep) return ep.regoin ~= \"us\" end"), "ep has no member 'regoin'; did you mean 'region'?", NULL },
	{ "a member of ep.data that is not there", P("filter = function(req, ep)\n  if ep.data.trans then return false, \"trains\" end\n  return true end"), "filter of p: p.lua:3: ep.data has no member 'trans'; did you mean 'trains'?", NULL },
	{ "what ep.data may lack", P("filter = function(req, ep) return (ep.data.retention_days or 1) < 9 end"), NULL, NULL },
	{ "a member of ep.live that is not there", P("rank = function(req, eps) return rank.by(eps, function(e) return e.live.ttft.p50 end) end"), "ep.live has no member 'ttft'", NULL },
	{ "a percentile that is not there", P("rank = function(req, eps) return rank.by(eps, function(e) return e.live.ttft_ms.p95 end) end"), "ep.live.ttft_ms has no member 'p95'; did you mean 'p75'?", NULL },
	{ "a price that is not there", P("rank = function(req, eps) return rank.by(eps, function(e) return e.usd.promt end) end"), "ep.usd has no member 'promt'; did you mean 'prompt'?", NULL },
	{ "a rate that is not there", P("price = function(req, ep, u, bill) return money.line(bill, \"x\", u.input, ep.rate.input or 0) end"), "ep.rate has no member 'input'", NULL },
	{ "a count that is not there", P("price = function(req, ep, u, bill) return money.line(bill, \"x\", u.prompt_tokens or 0, 1) end"), "usage has no member 'prompt_tokens'", NULL },
	{ "a member of err that is not there", P("on_error = function(req, err) if err.code == 529 then return act.stop() end end"), "err has no member 'code'", NULL },
	{ "a member of outcome that is not there", P("observe = function(req, o) if o.state == 5 then log.info(\"x\") end end"), "outcome has no member 'state'; did you mean 'status'?", NULL },
	{ "a parameter that is not declared, where it is read", P("params = { share = { type = \"integer\", default = 5 } }, rank = function(req, eps, my) return my.shares and eps or eps end"),
	  "rank of p: p.lua:2: params has no member 'shares'; did you mean 'share'?", NULL },
	{ "a parameter that setup reads", P("params = { share = { type = \"integer\", default = 5 } }, setup = function(p) return { x = p.shares } end"), "p.lua:2: params has no member 'shares'", NULL },
	{ "what setup gave not", P("setup = function(p) return { } end, rank = function(req, eps, my) return my.x and {} or eps end"), NULL, NULL },
	{ "admit's answer", P("admit = function(req) return nil end"), "admit of p: admit must return true or deny{} (p.lua:2)", NULL },
	{ "what a limit is", P("admit = function(req) limit.take(\"a\", \"b\", { mx = 1, per_s = 1 }) return true end"), "admit of p: p.lua:2: limit.take: max must be a whole number", NULL },
	{ "how much of it is taken", P("admit = function(req) limit.take(\"a\", \"b\", { max = 1, per_s = 1, n = \"x\" }) return true end"), "p.lua:2: limit.take: n must be a whole number", NULL },
	{ "retain's answer", P("retain = function(req) return { store = \"some\" } end"), "retain of p: store must be \"none\", \"metadata\", \"hashed\" or \"full\"", NULL },
	{ "a member that retain does not know", P("retain = function(req) return { store = \"metadata\", sink = { \"log\" } } end"),
	  "retain of p: what retain returns has no member 'sink'; did you mean 'sinks'?", NULL },
	{ "a sink that there is not", P("retain = function(req) return { store = \"metadata\", sinks = { \"logs\" } } end"), "retain of p: sinks has no 'logs'", NULL },
	{ "a time below 0", P("retain = function(req) return { store = \"metadata\", ttl_s = -1 } end"), "retain of p: ttl_s must be a whole number from 0 on", NULL },
	{ "a protection under a wrong name", P("resolve = function(req) return { prefs = { data_colection = \"deny\" } } end"),
	  "resolve of p: prefs has no member 'data_colection'; did you mean 'data_collection'?", NULL },
	{ "a protection that is another word", P("resolve = function(req) return { prefs = { data_collection = \"denied\" } } end"),
	  "resolve of p: data_collection must be one of \"allow\", \"deny\"", NULL },
	{ "a member that resolve does not know", P("resolve = function(req) return { modells = req.models } end"),
	  "resolve of p: what resolve returns has no member 'modells'; did you mean 'models'?", NULL },
	{ "a guardrail that nobody runs", P("resolve = function(req) return { prefs = { guards = { \"pii\" } } } end"), "resolve of p: prefs.guards: this gateway has no content guardrails", NULL },
	{ "a price below 0", P("resolve = function(req) return { prefs = { max_price = { prompt = -1 } } } end"), "resolve of p: max_price.prompt must be a number from 0 on", NULL },
	{ "a price by another name", P("resolve = function(req) return { prefs = { max_price = { input = 1 } } } end"), "resolve of p: max_price has no member 'input'", NULL },
	{ "models that are none", P("resolve = function(req) return { models = {} } end"), "resolve of p: models must be a list of slugs, one at least", NULL },
	{ "a timing by another name", P("plan = function(req) return { dedline_ms = 5 } end"), "plan of p: plan has no member 'dedline_ms'; did you mean 'deadline_ms'?", NULL },
	{ "a timing that is a fraction", P("plan = function(req) return { max_attempts = 1, deadline_ms = 1.5 } end"), "plan of p: plan.deadline_ms must be a whole number from 0 on", NULL },
	{ "a hedge by another name", P("plan = function(req) return { hedge = { after = 5 } } end"), "plan of p: plan.hedge has no member 'after'", NULL },
	{ "an action that skips what there is not", P("on_error = function(req, err) return act.next { skip = \"endpoint\" } end"), "on_error of p: skip must be one of \"model\", \"provider\"", NULL },
	{ "an action by another name", P("on_error = function(req, err) return act.next { skp = \"model\" } end"), "on_error of p: p.lua:2: act.next{} has no member 'skp'; did you mean 'skip'?", NULL },
	{ "a denial by another name", P("admit = function(req) return deny { status = 403, code = \"c\", message = \"m\", retry_after = 5 } end"),
	  "admit of p: p.lua:2: deny{} has no member 'retry_after'; did you mean 'retry_after_s'?", NULL },
	{ "a bill with too many lines", P("price = function(req, ep, u, bill) for i = 1, 60 do money.flat(bill, \"x\", 1) end return bill end"), "price of p: a bill has 48 lines at most", NULL },
	{ "a line with less than nothing", P("price = function(req, ep, u, bill) return money.line(bill, \"x\", -1, 1) end"), "of the bill: qty is below 0", NULL },
	{ "an order that is neither", P("rank = function(req, eps) return rank.by(eps, \"usd.prompt\", \"descending\") end"), "invalid option 'descending'", NULL },
	{ "a number in a format", P("rank = function(req, eps)\n  note(\"%d\", 1.5)\n  return eps end"), "rank of p: p.lua:3: bad argument #2 to 'note'", NULL },
	{ "an order of what has none", P("rank = function(req, eps)\n  local of = {}\n  for _, e in ipairs(eps) do of[e] = 1 end\n  for e in pairs(of) do note(e.id) end\n  return eps end"),
	  "rank of p: p.lua:5: pairs: a key is a table, which has no order; use its id or name", NULL },
	{ "resolve's answer", P("resolve = function(req) return \"acme/small\" end"), "resolve of p: resolve must return nil", NULL },
	{ "filter's answer, under a label that only the policy knows", P("filter = function(req, ep)\n  if req.labels.residency == \"eu\" then return ep.region == \"eu\" or nil end\n"
	  "  return true end"), "filter of p: filter must return true or false", NULL },
	{ "filter's answer, of an unknown data policy", P("filter = function(req, ep)\n  if ep.data.known then return true end end"), "filter of p: filter must return true or false", NULL },
	{ "a price of zero", P("filter = function(req, ep) return 1 // math.tointeger(ep.usd.prompt * 10) >= 0 end"), "filter of p: p.lua:2: attempt to ", NULL },
	{ "rank's answer", P("rank = function(req, eps) return eps[1] end"), "rank of p: rank must return endpoints of its list", NULL },
	{ "plan's answer to an empty list", P("plan = function(req, eps) return { ttft_timeout_ms = math.floor(eps[1].live.ttft_ms.p50) } end"), "plan of p: p.lua:2: attempt to index a nil value", NULL },
	{ "shape's answer", P("shape = function(req, ep) return { set = { messages = {} } } end"), "shape of p: what shape may set has no member 'messages'", NULL },
	{ "a parameter that no shape drops", P("shape = function(req, ep) return { drop = { \"tools\" } } end"), "shape of p: drop has 'tools', which no shape may change", NULL },
	{ "a parameter that is no JSON", P("shape = function(req, ep) return { set = { temperature = 0/0 } } end"), "shape of p: set.temperature is nothing that JSON can say", NULL },
	{ "on_error's answer, for one kind of failure", P("on_error = function(req, err) if err.kind == \"quota\" then return \"stop\" end end"), "on_error of p: on_error must return an action", NULL },
	{ "price's answer", P("price = function(req, ep, u, bill) return nil end"), "price of p: price must return the bill", NULL },
	{ "observe that fails", P("observe = function(req, o) counter.add(\"n\", o.endpoint.provider.slug) end"), "observe of p: ", NULL },
	{ "a false memo", P("memo = { filter = \"data_class\" }, filter = function(req, ep) return req.data_class ~= \"x\" or req.key.org ~= \"y\" end"),
	  "filter of p: memo.filter does not name key.org, which the filter reads", NULL },
	{ "a memo over what changes", P("memo = { filter = \"data_class\" }, filter = function(req, ep) return ep.live.error_rate < 0.5 end"),
	  "filter of p: memo.filter does not name ep.live, which the filter reads", NULL },
	{ "a memo over what others change", P("memo = { filter = \"data_class\" }, filter = function(req, ep) return counter.get(\"n\", ep.id) == 0 end"),
	  "filter of p: memo.filter does not name counter.get, which the filter reads", NULL },
	{ "a true memo", P("memo = { filter = { \"data_class\", \"key.org\" } }, filter = function(req, ep) return req.data_class ~= \"x\" or req.key.org ~= \"y\" end"), NULL, NULL },
	{ "fuel over 200 candidates", P("rank = function(req, eps)\n  for i = 1, #eps do for k = 1, #eps do for m = 1, 4 do local x = eps[i] == eps[k] end end end\n  return eps end"),
	  "rank of p, with 200 candidates: fuel exhausted", NULL },
	{ "limit.take in a filter", P("filter = function(req, ep)\n  if req.labels.never == \"met by a test of this kind, by design\" then return limit.take(\"l\", ep.id, { max = 1, per_s = 1 }) end\n"
	  "  return true end"), "p.lua:3: filter uses limit.take: only admit and observe may write", NULL },
	{ "counter.add behind two functions", "local function note_it(ep)\n  counter.add(\"n\", ep.id)\nend\nlocal function maybe(ep) if ep.id == \"-\" then note_it(ep) end end\n"
	  P("rank = function(req, eps) for _, e in ipairs(eps) do maybe(e) end return eps end"), "p.lua:2: rank uses counter.add: only admit and observe may write", NULL },
	{ "limit.take under another name", "local take = limit.take\n" P("plan = function(req) if req.id == \"-\" then take(\"l\", \"k\", { max = 1, per_s = 1 }) end end"),
	  "plan uses limit.take: only admit and observe may write", NULL },
	{ "its library under another name", "local l = limit\n" P("plan = function(req) if req.id == \"-\" then l.take(\"l\", \"k\", { max = 1, per_s = 1 }) end end"),
	  "p.lua:3: plan uses limit.take: only admit and observe may write", NULL },
	{ "lookup in a ranking", P("rank = function(req, eps)\n  if req.id == \"-\" then lookup(\"who\", 1, 0) end\n  return eps end"), "p.lua:3: rank uses lookup: only admit and resolve may wait", NULL },
	{ "lookup under another name, behind a function", "local ask = lookup\nlocal function who(x) return ask(\"who\", x, 0) end\n" P("filter = function(req, ep) return ep.id ~= \"-\" or who(1) == 0 end"),
	  "filter uses lookup: only admit and resolve may wait", NULL },
	{ "lookup in observe", P("observe = function(req) if req.id == \"-\" then lookup(\"who\", 1, 0) end end"), "observe uses lookup: only admit and resolve may wait", NULL },
	{ "lookup where it may", P("admit = function(req) return lookup(\"who\", 1, true) and true end, resolve = function(req) lookup(\"who\", 1, 0) end"), NULL, NULL },
	{ "limit.take where it may", P("admit = function(req) return limit.take(\"l\", req.key.id, { max = 1000, per_s = 1 }) end"), NULL, NULL },
	{ "a text that is put together in deny", P("admit = function(req)\n  if req.model == \"\" then return deny { status = 403, code = \"no\",\n    message = \"not \" .. req.model } end\n  return true end"),
	  "p.lua:4: deny{} puts a text together", NULL },
	{ "or formatted", P("admit = function(req)\n  if req.model == \"\" then return deny { status = 403, code = \"no\", message = string.format(\"not %s\", req.model) } end\n  return true end"),
	  "p.lua:3: deny{} puts a text together", NULL },
	{ "a concatenation elsewhere", P("admit = function(req)\n  local k = \"a\" .. req.model\n  if k == \"\" then return deny { status = 403, code = \"no\", message = \"a .. b\" } end\n  return true end"), NULL, NULL },
	{ "a hook that assigns a local of the file", "local last\n" P("filter = function(req, ep)\n  last = ep.id\n  return true end"),
	  "p.lua:4: filter assigns 'last', which is outside of it", NULL },
	{ "from a function inside", "local n = 0\n" P("rank = function(req, eps)\n  return rank.by(eps, function(e)\n    n = n + 1\n    return n end) end"),
	  "p.lua:5: rank assigns 'n', which is outside of it", NULL },
	{ "a local of its own, from a function inside", P("rank = function(req, eps)\n  local n = 0\n  return rank.by(eps, function(e)\n    n = n + 1\n    return n end) end"), NULL, NULL },
	{ "a local of the file, when it is read", "local n = 0\nfor i = 1, 3 do n = n + i end\n" P("filter = function(req, ep) return n == 6 end"), NULL, NULL },
};

static int check(const char *policy, const char *bundle, const char *tests, struct said *out)
{
	struct world w;
	int bad;

	world_init(&w);
	world_file(&w, "bundle.lua", bundle ? bundle : "return { policies = { default = {} } }\n");
	world_file(&w, "p.lua", policy);
	if (tests)
		world_file(&w, "p_test.lua", tests);
	out->len = 0;
	*out->text = '\0';
	bad = policy_check(w.dir, "policies", keep, out, &w.err);
	if (bad < 0)
		printf("# %s\n", w.err.msg);
	world_release(&w);
	return bad;
}

int main(void)
{
	static struct said out;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int bad = check(cases[i].policy, cases[i].bundle, test_file, &out);
		bool fine = cases[i].says ? bad > 0 && strstr(out.text, cases[i].says) : bad == 0;

		ok(fine, cases[i].name);
		if (!fine)
			printf("# %d\n%s", bad, out.text);
	}
	ok(check(cases[0].policy, NULL, NULL, &out) == 1 && strstr(out.text, "p.lua has no p_test.lua beside it"), "no tests");
	ok(check(cases[6].policy, "return { policies = { shadow = {} } }\n", test_file, &out) > 0, "the bundle that says so itself");
	return tap_done();
}
