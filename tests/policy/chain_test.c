/* bundle.lua: which policies run for whom, with which parameters; what fail and limits mean; budgets. */
#include "base/log.h"
#include "tap.h"
#include "world.h"

/* Says its name and parameter wherever it runs. */
#define SAYS(name) "return policy { name = \"" name "\", api = 1, params = { n = { type = \"integer\", default = 0 } }, resolve = function(req, my) note(\"" name "%d\", my.n) end }"

static bool open_bundle(struct world *w, const char *p, const char *q, const char *bundle)
{
	world_init(w);
	world_endpoint(w, 0, "a", 1, 1);
	world_file(w, "p.lua", p);
	world_file(w, "q.lua", q);
	return world_open(w, bundle);
}

static bool noted(const struct decision *d, const char *word)
{
	for (const struct note *n = d->notes; n; n = n->next)
		if (strstr(n->text, word))
			return true;
	return false;
}

/* ---- scopes */

#define SCOPES "return { policies = {" \
	" guard = { { use = \"p\", with = { n = 1 } } }," \
	" default = { { use = \"q\", with = { n = 1 } } }," \
	" org = { org_7 = { { use = \"q\", with = { n = 2 } } } }," \
	" workspace = { ws_7 = { { use = \"q\", with = { n = 3 } }, { use = \"p\", with = { n = 9 } } } }," \
	" key = { key_7 = { { use = \"q\", with = { n = 4 } } } }," \
	" request = { allow = { \"q\" } } } }"

static const struct { const char *org, *workspace, *key, *policy, *says; } whom[] = {
	{ "", "", "", "", "p1 q1 " }, { "org_8", "ws_8", "key_8", "r", "p1 q1 " },
	{ "org_7", "", "", "", "p1 q2 " }, { "org_7", "ws_7", "", "", "p1 q3 " }, { "org_7", "ws_7", "key_7", "", "p1 q4 " },
	{ "", "", "key_7", "", "p1 q4 " }, { "org_7", "ws_7", "key_7", "q", "p1 q0 " }, { "", "", "", "q", "p1 q0 " }, { "", "", "", "p", "p1 q1 " },
};

static void scopes(void)
{
	struct world w;
	struct denial no;
	char said[64], claim[120];

	if (!open_bundle(&w, SAYS("p"), SAYS("q"), SCOPES)) {
		printf("# %s\n", w.err.msg);
		abort();
	}
	for (size_t i = 0; i < sizeof(whom) / sizeof(whom[0]); i++) {
		struct decision *d = world_ask(&w);

		d->facts.key.org = word_of(whom[i].org);
		d->facts.key.workspace = word_of(whom[i].workspace);
		d->facts.key.id = word_of(whom[i].key);
		d->facts.policy = word_of(whom[i].policy);
		policy_resolve(w.state, d, &no);
		*said = '\0';
		for (const struct note *n = d->notes; n; n = n->next)
			snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s ", n->text);
		snprintf(claim, sizeof(claim), "org '%s' workspace '%s' key '%s' policy '%s': %s", whom[i].org, whom[i].workspace, whom[i].key, whom[i].policy, whom[i].says);
		if (strcmp(said, whom[i].says))
			printf("# %s\n", said);
		ok(!strcmp(said, whom[i].says), claim);
	}
	ok(policy_may_be_named(w.state, MG_STR("q")) && !policy_may_be_named(w.state, MG_STR("p")) && !policy_may_be_named(w.state, MG_STR("")), "a request may name what request.allow has");
	world_release(&w);
}

/* ---- parameters */

#define PARAMS(spec) "return policy { name = \"p\", api = 1, params = { x = " spec " }, resolve = function(req, my) note(\"%s\", my.x) end }"
#define WITH(x) "return { policies = { default = { { use = \"p\", with = { " x " } } } } }"

static const struct { const char *p, *bundle, *error; } params[] = {
	{ PARAMS("{ type = \"integer\", default = 1 }"), WITH("x = 7"), NULL },
	{ PARAMS("{ type = \"integer\", default = 1 }"), WITH("x = 7.5"), "p: param 'x' must be integer, not a number with a fraction" },
	{ PARAMS("{ type = \"integer\", default = 1 }"), WITH("x = \"7\""), "p: param 'x' must be integer, not string" },
	{ PARAMS("{ type = \"number\", default = 1 }"), WITH("x = 7"), NULL },
	{ PARAMS("{ type = \"number\", default = 1 }"), WITH("x = true"), "must be number, not boolean" },
	{ PARAMS("{ type = \"string\", default = \"\" }"), WITH("x = \"7\""), NULL },
	{ PARAMS("{ type = \"string\", default = \"\" }"), WITH("x = 7"), "must be string, not number" },
	{ PARAMS("{ type = \"boolean\", default = true }"), WITH("x = false"), NULL },
	{ PARAMS("{ type = \"boolean\", default = true }"), WITH("x = \"false\""), "must be boolean, not string" },
	{ PARAMS("{ type = \"map\", default = {} }"), WITH("x = { a = { b = 1 } }"), NULL },
	{ PARAMS("{ type = \"map\", default = {} }"), WITH("x = 1"), "must be map, not number" },
	{ PARAMS("{ type = \"string[]\", default = {} }"), WITH("x = { \"a\", \"b\" }"), NULL },
	{ PARAMS("{ type = \"string[]\", default = {} }"), WITH("x = {}"), NULL },
	{ PARAMS("{ type = \"string[]\", default = {} }"), WITH("x = { \"a\", 1 }"), "must be string[], not a table" },
	{ PARAMS("{ type = \"string[]\", default = {} }"), WITH("x = { a = \"b\" }"), "must be string[], not a table" },
	{ PARAMS("{ type = \"string[]\", default = {} }"), WITH("x = \"a\""), "must be string[], not string" },
	{ PARAMS("{ type = \"integer\" }"), WITH(""), "p: param 'x' is required" },
	{ PARAMS("{ type = \"integer\", default = 1 }"), WITH("y = 1"), "p: unknown param 'y'; did you mean 'x'?" },
	{ PARAMS("{ type = \"integer\", defualt = 1 }"), WITH("x = 1"), "p.lua: param 'x': unknown member 'defualt'" },
	{ PARAMS("{ type = \"int\", default = 1 }"), WITH(""), "type must be integer, number, string, boolean, map or string[]" },
	{ PARAMS("7"), WITH(""), "p.lua: param 'x' must be { type" },
	{ PARAMS("{ type = \"integer\", default = 1 }"), WITH("x = 7 } , wiht = {"), "unknown member 'wiht'" },
	{ "return policy { name = \"p\", api = 1, params = { x = { type = \"integer\", default = 1 } }, setup = function(p) assert(p.x < 5, \"x must be below 5\") return p end }",
		WITH("x = 7"), "p.lua: setup: x must be below 5" },
	{ "return policy { name = \"p\", api = 1, params = { x = { type = \"integer\", default = 1 } }, setup = function(p) p.x = 2 return p end }",
		WITH("x = 7"), "read-only" },
};

static void parameters(void)
{
	struct world w;

	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
		bool good = open_bundle(&w, params[i].p, SAYS("q"), params[i].bundle);

		if (!good)
			printf("# %s\n", w.err.msg);
		ok(params[i].error ? !good && strstr(w.err.msg, params[i].error) : good, params[i].error ? params[i].error : params[i].bundle);
		world_release(&w);
	}
}

/* ---- fail and limits, as they are written */

#define FAILS "return policy { name = \"p\", api = 1, admit = function() error(\"x\") end }"
static const struct { const char *bundle, *error; bool admits; } failing[] = {
	{ "return { policies = { default = { { use = \"p\" } } } }", NULL, false },
	{ "return { policies = { default = { { use = \"p\" } } }, fail = { admit = \"open\" } }", NULL, true },
	{ "return { policies = { default = { { use = \"p\", fail = { admit = \"open\" } } } } }", NULL, true },
	{ "return { policies = { default = { { use = \"p\", fail = { admit = \"closed\" } } } }, fail = { admit = \"open\" } }", NULL, false },
	{ "return { policies = { guard = { { use = \"p\" } } }, fail = { admit = \"open\" } }", NULL, false },
	{ "return { policies = { guard = { { use = \"p\", fail = { admit = \"open\" } } } } }", "a guard policy always fails closed", false },
	{ "return { policies = { default = { { use = \"p\" } } }, fail = { filter = \"open\" } }", "fail.filter is always \"closed\"", false },
	{ "return { policies = { default = { { use = \"p\" } } }, fail = { retain = \"open\" } }", "fail.retain is always \"closed\"", false },
	{ "return { policies = { default = { { use = \"p\", fail = { shape = \"open\" } } } } }", "p: fail.shape is always \"closed\"", false },
	{ "return { policies = { default = { { use = \"p\" } } }, fail = { rank = \"open\" } }", "fail.rank: it is for admit", false },
	{ "return { policies = { default = { { use = \"p\" } } }, fail = { admit = \"opne\" } }", "must be \"open\" or \"closed\"", false },
	{ "return { policies = { default = { { use = \"p\" } } }, fail = \"open\" }", "fail must be a table", false },
	{ "return { policies = { default = { { use = \"p\" } } }, fail = { filter = \"closed\", retain = \"closed\", shape = \"closed\" } }", NULL, false },
	{ "return { limits = { heap = 16 } }", "limits.heap: known are", false }, { "return { limits = { heap_mib = 1.5 } }", "limits.heap_mib is a whole number, 4..1024", false },
	{ "return { limits = { heap_mib = 3 } }", "limits.heap_mib", false }, { "return { limits = { request_fuel = \"1\" } }", "limits.request_fuel", false },
	{ "return { limits = { hook_alloc_mib = 0 } }", "limits.hook_alloc_mib", false }, { "return { limits = { wall_ms = 0 } }", "limits.wall_ms", false },
	{ "return { limits = 7 }", "limits must be a table", false },
};

static void failures(void)
{
	struct world w;
	struct denial no;

	for (size_t i = 0; i < sizeof(failing) / sizeof(failing[0]); i++) {
		bool good = open_bundle(&w, FAILS, SAYS("q"), failing[i].bundle);

		if (failing[i].error && !good)
			printf("# %s\n", w.err.msg);
		ok(failing[i].error ? !good && strstr(w.err.msg, failing[i].error) : good && policy_admit(w.state, world_ask(&w), &no) == failing[i].admits, failing[i].bundle);
		world_release(&w);
	}
}

/* ---- limits, as they hold: what each bundle lets a policy do, by its note */

#define LIMITED(limits) "return { policies = { default = { { use = \"p\" }, { use = \"q\" } } }, limits = { " limits " } }"
#define RESOLVES(code) "local kept = {} return policy { name = \"p\", api = 1, resolve = function(req) " code " end }"
#define ALLOCATES "local t = {} for i = 1, 30 do t[i] = (\"x\"):rep(10000) .. i end note(\"done\")"

static bool said_after(const char *code, const char *limits, const char *word, int rounds)
{
	struct world w;
	struct denial no;
	char bundle[300], source[500];
	bool good, said = false;

	snprintf(bundle, sizeof(bundle), LIMITED("%s"), limits);
	snprintf(source, sizeof(source), RESOLVES("%s"), code);
	good = open_bundle(&w, source, SAYS("q"), bundle);
	for (int i = 0; good && !said && i < rounds; i++) {
		policy_resolve(w.state, world_ask(&w), &no);
		said = noted(&w.d, word);
	}
	world_release(&w);
	return said;
}

static void limits(void)
{
	struct world w;
	struct denial no;

	ok(said_after(ALLOCATES, "", "out of memory", 1), "more than 1 MiB in one call");
	ok(said_after(ALLOCATES, "hook_alloc_mib = 8", "done", 1), "hook_alloc_mib allows it");
	ok(said_after("for i = 1, 3e4 do end note(\"done\")", "", "done", 1), "30,000 steps");
	ok(said_after("for i = 1, 3e4 do end note(\"done\")", "request_fuel = 10000", "fuel exhausted", 1), "request_fuel stops it");
	ok(said_after("for i = 1, 3e4 do end note(\"done\")", "wall_ms = 10000", "done", 1) && !said_after("for i = 1, 100 do end", "wall_ms = 10000", "slow", 1), "what is quick is not told of");
	ok(said_after("for i = 1, 20 do kept[#kept + 1] = (\"x\"):rep(10000) .. #kept end note(\"%d\", #kept)", "heap_mib = 4", "out of memory", 22), "heap_mib: what a policy hoards");
	ok(!said_after("for i = 1, 20 do kept[#kept + 1] = (\"x\"):rep(10000) .. #kept end note(\"%d\", #kept)", "heap_mib = 64", "out of memory", 22), "heap_mib: as far as it allows");
	if (!open_bundle(&w, RESOLVES("for i = 1, 4000 do end"), SAYS("q"), LIMITED("wall_ms = 7")))
		abort();
	ok(w.state->wall_us == 7000, "wall_ms is taken");
	w.state->wall_us = 2;
	world_ask(&w);
	ok(policy_resolve(w.state, &w.d, &no) && noted(&w.d, "slow: ") && !w.d.errors, "what takes longer is noted, and goes on");
	world_release(&w);
	/* All hooks of a request together. */
	if (!open_bundle(&w, "return policy { name = \"p\", api = 1, resolve = function() for i = 1, 8000 do end end, admit = function() for i = 1, 8000 do end return true end }",
			"return policy { name = \"q\", api = 1, resolve = function() note(\"it ran\") end }", LIMITED("request_fuel = 12000")))
		abort();
	world_ask(&w);
	ok(policy_admit(w.state, &w.d, &no) && policy_resolve(w.state, &w.d, &no) && w.d.errors >= 1 && noted(&w.d, "fuel") && w.d.fuel <= 12200 && !noted(&w.d, "it ran"),
		"request_fuel is for all hooks together");
	world_release(&w);
}

/* ---- budgets */

static const char reads[] = "return policy { name = \"p\", api = 1, admit = function(req)\n"
	" note(\"key %s %s %s\", tostring(budget.left_nusd(\"key\", req.key.id)), budget.used_bps(\"key\", req.key.id), budget.spent_nusd(\"key\", req.key.id))\n"
	" note(\"org %s %s %s\", tostring(budget.left_nusd(\"org\", req.key.org)), budget.used_bps(\"org\", req.key.org), budget.spent_nusd(\"org\", req.key.org))\n"
	" note(\"own %s %s\", tostring(budget.left_nusd(\"byok_list\", req.key.workspace)), budget.spent_nusd(\"byok_list\", req.key.workspace))\n"
	" return true end }";

static struct scope *own_purse;

static bool budgets_are(struct world *w, struct scope *purse, struct scope *balance, const char *key, const char *org)
{
	struct decision *d = world_ask(w);
	struct denial no;
	bool good;

	d->purse = purse;
	d->balance = balance;
	d->own_purse = own_purse;
	good = policy_admit(w->state, d, &no) && noted(d, key) && noted(d, org);
	for (const struct note *n = good ? NULL : d->notes; n; n = n->next)
		printf("# %s\n", n->text);
	return good;
}

static bool raises(const char *call, const char *word)
{
	struct world w;
	struct denial no;
	char source[300];
	bool good;

	snprintf(source, sizeof(source), "return policy { name = \"p\", api = 1, admit = function(req) %s return true end }", call);
	good = open_bundle(&w, source, SAYS("q"), "return { policies = { default = { { use = \"p\" } } } }") && !policy_admit(w.state, world_ask(&w), &no) && noted(&w.d, word);
	world_release(&w);
	return good;
}

static void budgets(void)
{
	struct scope *purse = scope_new("key", "key_1"), *balance = scope_new("balance", ""), *which;
	struct hold h = { .n = 0 };
	struct world w;

	if (!open_bundle(&w, reads, SAYS("q"), "return { policies = { default = { { use = \"p\" } } } }"))
		abort();
	ok(budgets_are(&w, NULL, NULL, "key nil 0 0", "org nil 0 0"), "no account");
	ok(budgets_are(&w, purse, balance, "key nil 0 0", "org nil 0 0"), "no limit");
	scope_load(purse, &(struct spending){ 5000, 1000, 2000, 3000 }, &(struct spending){ 500, 100, 200, 300 }, 1767787200000);
	ok(budgets_are(&w, purse, balance, "key nil 0 3000", "org nil 0 0"), "no limit: spent in this month");
	scope_limit(purse, 10000, WINDOW_TOTAL);
	scope_limit(balance, 40000, WINDOW_TOTAL);
	ok(budgets_are(&w, purse, balance, "key 5000 5000 5000", "org 40000 0 0"), "a limit, and what is left of it");
	scope_limit_own(purse, true);
	ok(budgets_are(&w, purse, balance, "key 4500 5500 5500", "own nil 0"), "of one that has own accounts in, less");
	scope_limit_own(purse, false);
	own_purse = purse;
	ok(budgets_are(&w, purse, balance, "key 5000 5000 5000", "own nil 300"), "what own accounts took this month, of the purse that counts it");
	own_purse = NULL;
	scope_limit(purse, 10000, WINDOW_DAILY);
	ok(budgets_are(&w, purse, balance, "key 9000 1000 1000", "org 40000 0 0"), "in the limit's own window");
	hold_take(&h, (struct scope *[]){ purse, balance }, 2, charged(500), 1767787200000, &which);
	ok(budgets_are(&w, purse, balance, "key 8500 1500 1500", "org 39500 125 500"), "what is held counts as spent");
	hold_settle(&h, charged(200));
	ok(budgets_are(&w, purse, balance, "key 8800 1200 1200", "org 39800 50 200"), "and then what it cost");
	scope_limit(purse, 0, WINDOW_TOTAL);
	ok(budgets_are(&w, purse, balance, "key -5200 10000 5200", "org 39800 50 200"), "a limit of nothing is used up");
	world_release(&w);
	ok(raises("budget.left_nusd(\"team\", \"x\")", "'team' is no scope"), "a scope that there is not");
	ok(raises("budget.left_nusd(\"key\", \"other\")", "only the request's own"), "another key's");
	ok(raises("budget.spent_nusd(\"byok_list\", \"other\")", "only the request's own"), "another workspace's own accounts");
	scope_free(purse);
	scope_free(balance);
}

int main(void)
{
	log_max = LOG_ERROR;
	scopes();
	parameters();
	failures();
	limits();
	budgets();
	return tap_done();
}
