/* lookup(): hooks that wait, several at once on one state; what they are given, and what stays behind. */
#include "base/log.h"
#include "tap.h"
#include "world.h"

#define BUNDLE "return { policies = { default = { { use = \"p\" }, { use = \"q\" } } } }"
#define CONF "{\"policy\": {\"lookups\": {\"who\": {\"url\": \"http://x/%s\", \"timeout\": %d, \"ttl\": %d}, \"other\": {\"url\": \"http://y/\", \"timeout\": 200, \"ttl\": 0}}}}"

static const char plain[] = "return policy { name = \"q\", api = 1, resolve = function(req) return { strategy = req.session } end }";

struct rig { struct world w; json_t *conf; };

static bool rig_open(struct rig *g, const char *p, const char *url, int timeout, int ttl)
{
	char text[300];

	world_init(&g->w);
	world_endpoint(&g->w, 0, "a", 1, 1);
	world_file(&g->w, "p.lua", p);
	world_file(&g->w, "q.lua", plain);
	snprintf(text, sizeof(text), CONF, url, timeout, ttl);
	g->conf = json_loads(text, 0, NULL);
	return world_open(&g->w, BUNDLE);
}

static void rig_close(struct rig *g)
{
	json_decref(g->conf);
	world_release(&g->w);
}

struct one { struct pool *pool; struct decision d; struct denial no; };

static struct decision *one_open(struct one *o, struct rig *g, const char *session)
{
	static const struct mg_str models[] = { { "acme/large", 10 } };
	struct decision *d = &o->d;

	o->pool = pool_new(1 << 20);
	decision_init(d, o->pool);
	d->conf = g->conf;
	d->facts.id = MG_STR("gen-1");
	d->facts.model = models[0];
	d->facts.models = (struct words){ models, 1 };
	d->facts.key.id = MG_STR("key_1");
	d->facts.session = word_of(session);
	d->facts.now_ms = 1767787200000;
	return d;
}

static bool strategy_is(const struct one *o, const char *word) { return o->d.strategy && !strcmp(o->d.strategy, word); }

static bool noted(const struct decision *d, const char *word)
{
	for (const struct note *n = d->notes; n; n = n->next)
		if (strstr(n->text, word))
			return true;
	return false;
}

static void answer(struct rig *g, struct one *o, const char *text, const char *error)
{
	policy_answer(&o->d, text ? word_of(text) : (struct mg_str){ 0 }, error);
}

/* q runs last and says the session: so what p said is in models and notes. */
#define ASKS "return policy { name = \"p\", api = 1, resolve = function(req)\n" \
	" local prefs, before = req.prefs, req.session\n" \
	" local v, e = lookup(\"who\", { session = req.session, n = 1.5, l = { 1, \"x\" } }, \"none\")\n" \
	" note(\"%s %s %s %s %s\", before, req.session, v, e, prefs.zdr)\n" \
	" return { models = { \"m/\" .. v } }\nend }"

static void waiting(void)
{
	struct rig g;
	struct one o[5];
	bool waits = true, right = true;
	char claim[80];

	if (!rig_open(&g, ASKS, "waiting", 200, 0))
		abort();
	for (int i = 0; i < 5; i++) {
		snprintf(claim, sizeof(claim), "s%d", i);
		one_open(&o[i], &g, strdup(claim));
		o[i].d.facts.prefs.zdr = i % 2;
		waits &= !policy_resolve(g.w.state, &o[i].d, &o[i].no) && o[i].d.waits;
	}
	ok(waits && g.w.state->n_waiting == 5 && lua_gettop(g.w.state->L) == 0, "five requests wait on one state, and nothing is on its stack");
	ok(mg_is(policy_question(&o[3].d)->arg, "{\"l\":[1,\"x\"],\"n\":1.5,\"session\":\"s3\"}") && policy_question(&o[3].d)->ms == 200,
		"each asks with its own argument, members in order, and for as long as is configured");
	for (int i = 4; i >= 0; i--) {
		snprintf(claim, sizeof(claim), "\"a%d\"", i);
		answer(&g, &o[i], claim, NULL);
		right &= policy_resolve(g.w.state, &o[i].d, &o[i].no) && !o[i].d.waits && o[i].d.facts.models.n == 1;
		snprintf(claim, sizeof(claim), "m/a%d", i);
		right &= mg_is(o[i].d.facts.models.at[0], claim) && strategy_is(&o[i], o[i].d.facts.session.at);
		snprintf(claim, sizeof(claim), "s%d s%d a%d nil %s", i, i, i, i % 2 ? "true" : "false");
		right &= noted(&o[i].d, claim);
	}
	ok(right, "answered in another order: each goes on with its own answer and its own req, and the policies behind it run");
	ok(o[2].d.readings && !strcmp(o[2].d.readings->function, "lookup") && mg_is(o[2].d.readings->said, "{\"is\":\"a2\"}") &&
		mg_is(o[2].d.readings->asked, "\"who\",{\"l\":[1,\"x\"],\"n\":1.5,\"session\":\"s2\"}") && !o[2].d.readings->next, "what was read is a fact of the decision");
	ok(g.w.state->n_waiting == 0 && g.w.state->n_idle == 5 && lua_gettop(g.w.state->L) == 0, "the coroutines are kept for others");
	for (int i = 0; i < 5; i++) {
		free((void *)(uintptr_t)o[i].d.facts.session.at);
		pool_free(o[i].pool);
	}
	rig_close(&g);
}

/* What comes, and what v and e are then; NULL: nothing came, and error says why. */
static const struct { const char *text, *error, *value, *why; } answers[] = {
	{ "\"x\"", NULL, "x", "nil" }, { "7", NULL, "7", "nil" }, { "1.5", NULL, "1.5", "nil" }, { "true", NULL, "true", "nil" },
	{ "{\"v\":[{\"n\":null}]}", NULL, "table", "nil" }, { "null", NULL, "nil", "nil" },
	{ "", NULL, "none", "json" }, { "{", NULL, "none", "json" }, { "[1,null]", NULL, "none", "json" }, { "{\"a\":1,\"a\":2}", NULL, "none", "json" },
	{ "[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", NULL, "none", "json" }, { "99999999999999999999", NULL, "none", "json" }, { "1e999", NULL, "none", "json" },
	{ "<html>", NULL, "none", "json" }, { "\"\\u0000\"", NULL, "none", "json" },
	{ NULL, "timeout", "none", "timeout" }, { NULL, "status", "none", "status" }, { NULL, "unreachable", "none", "unreachable" },
};

static void values(void)
{
	static char large[20000];
	struct rig g;
	struct one o;
	char claim[160];

	if (!rig_open(&g, "return policy { name = \"p\", api = 1, resolve = function(req) local v, e = lookup(\"who\", nil, \"none\") note(\"%s|%s\", tostring(v), tostring(e)) end }",
			"values", 200, 0))
		abort();
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		one_open(&o, &g, "s");
		policy_resolve(g.w.state, &o.d, &o.no);
		answer(&g, &o, answers[i].text, answers[i].error);
		policy_resolve(g.w.state, &o.d, &o.no);
		snprintf(claim, sizeof(claim), "%s|%s", answers[i].value, answers[i].why);
		if (!noted(&o.d, claim))
			printf("# want %s\n", claim);
		ok(noted(&o.d, claim) && !o.d.errors, answers[i].text ? answers[i].text : answers[i].error);
		pool_free(o.pool);
	}
	memset(large, '1', sizeof(large) - 1);
	one_open(&o, &g, "s");
	policy_resolve(g.w.state, &o.d, &o.no);
	answer(&g, &o, large, NULL);
	policy_resolve(g.w.state, &o.d, &o.no);
	ok(noted(&o.d, "none|too_large"), "an answer that is too large");
	pool_free(o.pool);
	rig_close(&g);
}

/* Runs resolve to its end, each question answered with v0, v1 ...; their number. */
static int through(struct rig *g, struct one *o, const char *session)
{
	char text[16];
	int n = 0;

	one_open(o, g, session);
	while (!policy_resolve(g->w.state, &o->d, &o->no) && o->d.waits && n < 9) {
		snprintf(text, sizeof(text), "\"v%d\"", n++);
		answer(g, o, text, NULL);
	}
	return n;
}

#define RESOLVE(body) "return policy { name = \"p\", api = 1, resolve = function(req, my) " body " end }"

/* What each raises; "": nothing. */
static const struct { const char *claim, *p, *error; int asked; } calls[] = {
	{ "two lookups in one hook", RESOLVE("note(\"%s %s\", lookup(\"who\", 1, 0), lookup(\"other\", 2, 0))"), "", 2 },
	{ "a third is refused", RESOLVE("lookup(\"who\", 1, 0) lookup(\"other\", 2, 0) lookup(\"who\", 3, 0)"), "more than 2 in one hook", 2 },
	{ "without a fallback", RESOLVE("lookup(\"who\", 1)"), "third argument", 0 },
	{ "nil is a fallback, when it is said", RESOLVE("lookup(\"who\", 1, nil)"), "", 1 },
	{ "a name that is not configured gives the fallback", RESOLVE("local v, e = lookup(\"nobody\", 1, 5) note(\"%s %s\", v, e) if v ~= 5 or e ~= \"unconfigured\" then error(\"no\") end"), "", 0 },
	{ "within a comparison", RESOLVE("table.sort({ 3, 1, 2 }, function(a, b) return lookup(\"who\", a, 0) == b end)"), "not within a function", 0 },
	{ "an argument that is a function", RESOLVE("lookup(\"who\", lookup, 0)"), "cannot be sent", 0 },
	{ "an argument that is too long", RESOLVE("lookup(\"who\", (\"x\"):rep(5000), 0)"), "longer than", 0 },
	{ "an argument that contains itself", RESOLVE("local t = {} t.t = t lookup(\"who\", t, 0)"), "nested more than", 0 },
	{ "an argument with mixed keys", RESOLVE("lookup(\"who\", { a = 1, [true] = 2 }, 0)"), "has only names", 0 },
	{ "not a number", RESOLVE("lookup(\"who\", 0/0, 0)"), "JSON cannot say", 0 },
	{ "part of req is an argument", RESOLVE("lookup(\"who\", req.feat, 0)"), "", 1 },
	{ "fuel counts over the wait", RESOLVE("for i = 1, 1e4 do end lookup(\"who\", 1, 0) for i = 1, 1e6 do end"), "fuel", 1 },
	{ "an endless loop, without a lookup", RESOLVE("if req.session == \"\" then lookup(\"who\", 1, 0) end while true do end"), "fuel", 0 },
	{ "memory counts over the wait", RESOLVE("local t = {} for i = 1, 10 do t[i] = (\"x\"):rep(10000) .. i end lookup(\"who\", 1, 0) for i = 11, 30 do t[i] = (\"x\"):rep(10000) .. i end"), "memory", 1 },
	{ "an error behind the wait", RESOLVE("lookup(\"who\", 1, 0) error(\"behind\")"), "behind", 1 },
	{ "nonsense behind the wait", RESOLVE("lookup(\"who\", 1, 0) return 7"), "resolve must return", 1 },
	{ "by another name it cannot wait, and says so", "local l = _ENV[\"look\" .. \"up\"] return policy { name = \"p\", api = 1, resolve = function() l(\"who\", 1, 0) end }", "call it by its name", 0 },
};

static void calling(void)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct rig g;
		struct one o;
		bool good;
		int n;

		if (!rig_open(&g, calls[i].p, "calling", 200, 0)) {
			printf("# %s\n", g.w.err.msg);
			ok(false, calls[i].claim);
			rig_close(&g);
			continue;
		}
		n = through(&g, &o, "s");
		good = n == calls[i].asked && strategy_is(&o, "s") && !o.d.waits && (*calls[i].error ? o.d.errors == 1 && noted(&o.d, calls[i].error) : !o.d.errors);
		for (const struct note *at = good ? NULL : o.d.notes; at; at = at->next)
			printf("# asked %d: %s\n", n, at->text);
		pool_free(o.pool);
		/* The next one is stopped in the same way. */
		good &= through(&g, &o, "again") == calls[i].asked && strategy_is(&o, "again") && (*calls[i].error ? o.d.errors == 1 && noted(&o.d, calls[i].error) : !o.d.errors);
		ok(good && lua_gettop(g.w.state->L) == 0 && g.w.state->n_waiting == 0 && g.w.state->n_idle <= 1, calls[i].claim);
		pool_free(o.pool);
		rig_close(&g);
	}
}

static void time_together(void)
{
	struct rig g;
	struct one o;
	uint64_t second;

	if (!rig_open(&g, RESOLVE("lookup(\"who\", 1, 0) lookup(\"other\", 2, 0)"), "time", 250, 0))
		abort();
	one_open(&o, &g, "s");
	policy_resolve(g.w.state, &o.d, &o.no);
	o.d.waits->asked_us -= 180000;
	answer(&g, &o, "1", NULL);
	policy_resolve(g.w.state, &o.d, &o.no);
	second = o.d.waits ? policy_question(&o.d)->ms : 0;
	ok(second > 0 && second <= 70, "what the first took, the second has less");
	o.d.waits->asked_us -= 250000;
	answer(&g, &o, NULL, "timeout");
	ok(policy_resolve(g.w.state, &o.d, &o.no) && !o.d.errors, "and the hook ends");
	pool_free(o.pool);
	one_open(&o, &g, "s");
	o.d.waited_us[1] = 250000;
	ok(policy_resolve(g.w.state, &o.d, &o.no) && noted(&o.d, "lookup who: timeout") && noted(&o.d, "lookup other: timeout"), "with no time left nobody is asked");
	pool_free(o.pool);
	rig_close(&g);
}

static void kept(void)
{
	struct rig g;
	struct one o;

	if (!rig_open(&g, ASKS, "kept", 200, 60000))
		abort();
	ok(through(&g, &o, "s") == 1, "the first time it is asked");
	pool_free(o.pool);
	ok(through(&g, &o, "s") == 0 && noted(&o.d, "lookup who: kept") && mg_is(o.d.facts.models.at[0], "m/v0"), "the same argument again: the answer is kept");
	ok(o.d.readings && mg_is(o.d.readings->said, "{\"is\":\"v0\"}"), "and a fact of this decision, too");
	pool_free(o.pool);
	ok(through(&g, &o, "t") == 1, "another argument is another question");
	pool_free(o.pool);
	for (int i = 0; i < 3000; i++) {
		char session[16];

		snprintf(session, sizeof(session), "many%d", i);
		one_open(&o, &g, session);
		policy_resolve(g.w.state, &o.d, &o.no);
		answer(&g, &o, "1", NULL);
		policy_resolve(g.w.state, &o.d, &o.no);
		pool_free(o.pool);
	}
	ok(through(&g, &o, "many2999") == 0, "many: the newest is there");
	pool_free(o.pool);
	rig_close(&g);
	if (!rig_open(&g, ASKS, "kept/elsewhere", 200, 60000))
		abort();
	ok(through(&g, &o, "s") == 1, "another URL is another service");
	pool_free(o.pool);
	rig_close(&g);
}

static void leaving(void)
{
	struct rig g;
	struct one o[WAITING_MAX + 1];
	size_t before = 0, n = 0;

	if (!rig_open(&g, ASKS, "leaving", 200, 0))
		abort();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 20; i++) {
			one_open(&o[i], &g, "s");
			policy_resolve(g.w.state, &o[i].d, &o[i].no);
		}
		for (int i = 0; i < 20; i++) {
			policy_abandon(g.w.state, &o[i].d);
			policy_abandon(g.w.state, &o[i].d);
			pool_free(o[i].pool);
		}
		lua_gc(g.w.state->L, LUA_GCCOLLECT);
		before = round ? before : policy_state_heap(g.w.state);
	}
	ok(g.w.state->n_waiting == 0 && g.w.state->n_idle == 0 && policy_state_heap(g.w.state) <= before, "requests that end while they wait leave nothing behind");
	for (int i = 0; i <= WAITING_MAX; i++) {
		one_open(&o[i], &g, "s");
		n += !policy_resolve(g.w.state, &o[i].d, &o[i].no);
	}
	ok(n == WAITING_MAX && noted(&o[WAITING_MAX].d, "lookup who: busy"), "more than there is room for: the fallback");
	for (int i = 0; i <= WAITING_MAX; i++) {
		policy_abandon(g.w.state, &o[i].d);
		pool_free(o[i].pool);
	}
	rig_close(&g);
}

#define ADMITS "return policy { name = \"p\", api = 1, admit = function(req)\n" \
	" if req.session == \"hoard\" then local t = {} for i = 1, 100 do hoard[#hoard + 1] = (\"x\"):rep(10000) .. #hoard end return true end\n" \
	" local v, e = lookup(\"who\", 1, \"no\")\n" \
	" if v == \"raise\" then error(\"raised\") end\n" \
	" return v == \"yes\" or deny { status = 429, code = \"said_no\", message = \"no\" }\nend }"

static void admitting(void)
{
	struct rig g;
	struct one o, h;

	if (!rig_open(&g, "local hoard = {}\n" ADMITS, "admitting", 200, 0))
		abort();
	one_open(&o, &g, "s");
	ok(!policy_admit(g.w.state, &o.d, &o.no) && o.d.waits, "admit waits");
	answer(&g, &o, "\"yes\"", NULL);
	ok(policy_admit(g.w.state, &o.d, &o.no), "and admits");
	pool_free(o.pool);
	one_open(&o, &g, "s");
	policy_admit(g.w.state, &o.d, &o.no);
	answer(&g, &o, NULL, "timeout");
	ok(!policy_admit(g.w.state, &o.d, &o.no) && !o.d.waits && o.no.status == 429, "or denies, by its fallback");
	pool_free(o.pool);
	one_open(&o, &g, "s");
	policy_admit(g.w.state, &o.d, &o.no);
	answer(&g, &o, "\"raise\"", NULL);
	ok(!policy_admit(g.w.state, &o.d, &o.no) && o.no.status == 503 && !strcmp(o.no.code, "policy_error"), "an error behind the wait is closed");
	pool_free(o.pool);
	one_open(&o, &g, "s");
	o.d.denied = true;
	ok(!policy_admit(g.w.state, &o.d, &o.no) && !o.d.waits && noted(&o.d, "lookup who: denied"), "what is denied already waits for nothing");
	pool_free(o.pool);
	/* The state is built anew while one waits. */
	one_open(&o, &g, "s");
	policy_admit(g.w.state, &o.d, &o.no);
	for (int i = 0; i < 200 && g.w.state->life == o.d.waits->life; i++) {
		one_open(&h, &g, "hoard");
		policy_admit(g.w.state, &h.d, &h.no);
		pool_free(h.pool);
	}
	answer(&g, &o, "\"yes\"", NULL);
	ok(o.d.waits && g.w.state->life != o.d.waits->life && !policy_admit(g.w.state, &o.d, &o.no) && o.no.status == 503 && !o.d.waits && o.d.errors == 1,
		"a state that was full and built anew: who waited there is refused");
	pool_free(o.pool);
	rig_close(&g);
}

static void elsewhere(void)
{
	static const char *const hooks[] = { "retain", "filter", "rank", "plan", "shape", "on_error", "price", "observe" };
	char source[300], claim[80];
	struct one o;
	struct rig g;

	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		struct denial no;
		struct action a;
		struct shape shape;
		struct bill bill;
		struct mg_usage u = { .size = sizeof(u), .input = 10 };

		snprintf(source, sizeof(source), "return policy { name = \"p\", api = 1, %s = function() lookup(\"who\", 1, 0) end }", hooks[i]);
		snprintf(claim, sizeof(claim), "%s cannot look up", hooks[i]);
		if (!rig_open(&g, source, "elsewhere", 200, 0))
			abort();
		world_ask(&g.w);
		g.w.d.conf = g.conf;
		policy_retain(g.w.state, &g.w.d);
		world_route(&g.w, &no);
		policy_plan(g.w.state, &g.w.d);
		policy_shape(g.w.state, &g.w.d, &g.w.endpoints[0], &shape);
		policy_on_error(g.w.state, &g.w.d, &(struct attempt_error){ .kind = MG_E_SERVER }, g.w.d.order, g.w.d.n_order, &a);
		policy_price(g.w.state, &g.w.d, &g.w.endpoints[0], &u, false, &bill);
		policy_observe(g.w.state, &g.w.d, &(struct outcome){ .status = 200 });
		ok(g.w.d.errors == 1 && noted(&g.w.d, "only in admit and resolve") && !g.w.d.waits, claim);
		rig_close(&g);
	}
	if (!rig_open(&g, ASKS, "nobody", 200, 0))
		abort();
	one_open(&o, &g, "s")->conf = NULL;
	ok(policy_resolve(g.w.state, &o.d, &o.no) && mg_is(o.d.facts.models.at[0], "m/none") && noted(&o.d, "unconfigured"), "where nobody can be asked: the fallback");
	pool_free(o.pool);
	rig_close(&g);
}

static const struct { const char *call, *word; } bad[] = {
	{ "{\"url\": \"ftp://x/\"}", "neither https:// nor http://" }, { "{\"url\": \"http://x\"}", "host and a path" }, { "{\"url\": \"http://me:you@x/\"}", "no user" },
	{ "{\"url\": \"http://x/#a\"}", "no fragment" }, { "{\"url\": \"http://x/a b\"}", "host and a path" }, { "{\"url\": \"http://x/\", \"query\": \"a&b\"}", "query" },
	{ "{\"url\": \"http://x/\", \"headers\": {\"A B\": \"1\"}}", "no name of a header" }, { "{\"url\": \"http://x/\", \"headers\": {\"A\": \"1\\r\\nB: 2\"}}", "one line" },
};

static void configured(void)
{
	char text[300];
	json_t *conf;
	struct err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "{\"policy\": {\"lookups\": {\"who\": %s}}}", bad[i].call);
		conf = json_loads(text, 0, NULL);
		ok(conf && policy_conf_check(conf, &err) == MG_EINVAL && strstr(err.msg, "policy.lookups.who") && strstr(err.msg, bad[i].word), bad[i].call);
		json_decref(conf);
	}
	conf = json_loads("{\"policy\": {\"lookups\": {\"who\": {\"url\": \"https://x/y?z=1\", \"headers\": {\"Authorization\": \"Bearer 1\"}}}}}", 0, NULL);
	ok(policy_conf_check(conf, &err) == MG_OK, "a good one");
	json_decref(conf);
}

int main(void)
{
	log_max = LOG_ERROR;
	waiting();
	values();
	calling();
	time_together();
	kept();
	leaving();
	admitting();
	elsewhere();
	configured();
	return tap_done();
}
