/* Policies in shadow: what they would have changed is recorded, and nothing is changed, whatever they do. */
#include "tap.h"
#include "world.h"

/* How p is: its hook, its body; what the record says of it: how often it was asked, would differ, and how. */
static const struct { const char *name, *hook, *body, *what; unsigned asked, differed; } cases[] = {
	{ "admit", "admit", "function(req) return deny { status = 429, code = \"slow_down\", message = \"later\" } end", "deny 429 slow_down", 1, 1 },
	{ "admit that agrees", "admit", "function(req) return true end", NULL, 1, 0 },
	{ "retain", "retain", "function(req) return { store = \"none\", ttl_s = 0, cache = false } end", "store none", 1, 1 },
	{ "retain that agrees", "retain", "function(req) return { store = \"metadata\", ttl_s = 2592000, cache = false } end", NULL, 1, 0 },
	{ "resolve: models", "resolve", "function(req) return { models = { \"acme/small\" }, note = \"small\" } end", "model acme/small", 1, 1 },
	{ "resolve: preferences", "resolve", "function(req) return { prefs = { zdr = true } } end", "prefs", 1, 1 },
	{ "resolve: a denial", "resolve", "function(req) return deny { status = 403, code = \"no\", message = \"no\" } end", "deny 403 no", 1, 1 },
	{ "resolve: nothing", "resolve", "function(req) return nil end", NULL, 1, 0 },
	{ "filter", "filter", "function(req, ep) if ep.provider == \"b\" then return false, \"region\" end return true end", "drop region", 3, 1 },
	{ "rank", "rank", "function(req, eps) return rank.by(eps, function(e) return -e.usd.prompt end) end", "first acme/large@c", 1, 1 },
	{ "rank that drops", "rank", "function(req, eps) return { eps[1] } end", "fewer behind the first", 1, 1 },
	{ "rank that drops all", "rank", "function(req, eps) return {} end", "none left", 1, 1 },
	{ "rank that agrees", "rank", "function(req, eps) return eps end", NULL, 1, 0 },
	{ "plan", "plan", "function(req, eps) return { ttft_timeout_ms = 100 } end", "ttft_timeout_ms", 1, 1 },
	{ "shape", "shape", "function(req, ep) return { set = { store = false } } end", "set store", 1, 1 },
	{ "shape that drops", "shape", "function(req, ep) return { drop = { \"user\" } } end", "drop user", 1, 1 },
	{ "on_error", "on_error", "function(req, err, rest) return act.stop() end", "stop", 1, 1 },
	{ "on_error without an opinion", "on_error", "function(req, err, rest) return nil end", NULL, 1, 0 },
	{ "price", "price", "function(req, ep, u, bill) return money.flat(bill, \"fee\", 1000, \"charge\") end", "charge more", 1, 1 },
	{ "observe", "observe", "function(req, o) counter.add(\"seen\", \"x\") end", NULL, 1, 0 },
	{ "admit that counts", "admit", "function(req) local ok = limit.take(\"l\", \"x\", { max = 2, per_s = 60 }) if ok then return true end "
		"return deny { status = 429, code = \"full\", message = \"full\" } end", NULL, 1, 0 },
};

static const char *const faults[] = {
	"function() error(\"broken\") end", "function() while true do end end", "function() return 42 end", "function() return nil end",
	"function() local t = {} while true do t[#t + 1] = { t } end end", "function() return {} end", "function() local s = \"x\" while true do s = s .. s end end",
};
static const char *const hooks[] = { "admit", "retain", "resolve", "filter", "rank", "plan", "shape", "on_error", "price", "observe" };

static const char other[] = "return policy { name = \"q\", api = 1, admit = function(req) local ok = limit.take(\"l\", \"x\", { max = 100, per_s = 60 })\n"
	"  return ok end,\n"
	"  plan = function(req) return { sticky = { key = \"s\", ttl_s = 5 }, deadline_ms = counter.get(\"seen\", \"x\") } end }\n";

static void write_policy(struct world *w, const char *hook, const char *body)
{
	char text[800];

	snprintf(text, sizeof(text), "return policy { name = \"p\", api = 1, %s = %s }\n", hook, body);
	world_file(w, "p.lua", text);
	world_file(w, "q.lua", other);
}

static struct mg_usage usage = { .size = sizeof(usage), .input = 600, .output = 200, .requests = 1 };

/* A request's whole life; what came of it, as text. */
static void live(struct world *w, char out[static 2000])
{
	struct attempt_error e = { .kind = MG_E_SERVER, .status = 500, .n = 1, .tries_here = 1, .retryable = true };
	struct denial no = { .status = 0 };
	struct decision *d = world_ask(w);
	struct shape shape;
	struct action a;
	struct bill bill;
	bool admitted = policy_admit(w->state, d, &no), resolved, routed;
	size_t len;

	policy_retain(w->state, d);
	resolved = policy_resolve(w->state, d, &no);
	routed = world_route(w, &no);
	policy_plan(w->state, d);
	len = (size_t)snprintf(out, 2000, "%d%d%d %s keep %d %zu %d, %zu models %.*s zdr %d, plan %zu %zu %.*s,", admitted, resolved, routed, no.code, (int)d->keep.store,
		(size_t)d->keep.ttl_s, d->keep.cache, d->facts.models.n, (int)d->facts.models.at[0].len, d->facts.models.at[0].at, d->facts.prefs.zdr,
		(size_t)d->plan.deadline_ms, (size_t)d->plan.first_output_ms, (int)d->plan.sticky_key.len, d->plan.sticky_key.at);
	for (size_t i = 0; i < d->n_order; i++)
		len += (size_t)snprintf(out + len, 2000 - len, " %u %s", d->order[i]->rank, d->order[i]->endpoint->id);
	e.endpoint = d->order[0]->endpoint;
	policy_on_error(w->state, d, &e, d->order + 1, d->n_order - 1, &a);
	routed = policy_shape(w->state, d, e.endpoint, &shape);
	policy_price(w->state, d, e.endpoint, &usage, false, &bill);
	policy_observe(w->state, d, &(struct outcome){ .status = 200, .endpoint = e.endpoint, .usage = &usage, .bill = &bill });
	snprintf(out + len, 2000 - len, ", then %d %d %zu, shape %d %zu, %zu lines %zu %zu %d, errors %u", (int)a.what, (int)a.skip, (size_t)a.after_ms, routed,
		shape.n, bill.n, (size_t)bill.cost_nusd, (size_t)bill.charge_nusd, bill.needs_rating, d->errors);
}

static void bundle_of(char out[static 400], const char *p)
{
	snprintf(out, 400, "return { base = \"openrouter\", policies = { org = { org_1 = { %s{ use = \"q\" } } } } }\n", p);
}

static void begin(struct world *w, bool shadow)
{
	char bundle[400];

	world_init(w);
	world_endpoint(w, 0, "a", 1, 1);
	world_endpoint(w, 0, "b", 2, 2);
	world_endpoint(w, 0, "c", 3, 3);
	bundle_of(bundle, shadow ? "{ use = \"p\", mode = \"shadow\" }, " : "");
	world_file(w, "bundle.lua", bundle);
}

static void open_it(struct world *w)
{
	if (bundle_open(w->dir, "policies", &w->bundle, &w->err) || !(w->state = policy_state_new(w->bundle, &w->err))) {
		printf("# %s\n", w->err.msg);
		abort();
	}
	/* facts of this world alone: what is shared is not the process's */
	w->state->shared = shared_new();
}

static void end(struct world *w)
{
	shared_free(w->state->shared);
	world_release(w);
}

static void plain(char out[static 2000])
{
	struct world w;

	begin(&w, false);
	write_policy(&w, "plan", "function() return nil end");
	open_it(&w);
	live(&w, out);
	end(&w);
}

static const struct shadowed *row_of(const struct decision *d, const char *hook)
{
	const struct shadowed *row = d->shadowed;

	while (row && (strcmp(row->hook, hook) || strcmp(row->by, "p")))
		row = row->next;
	return row;
}

static void tells(size_t i, const char *want)
{
	const struct shadowed *row;
	char got[2000], claim[160];
	struct world w;

	begin(&w, true);
	write_policy(&w, cases[i].hook, cases[i].body);
	open_it(&w);
	live(&w, got);
	row = row_of(&w.d, cases[i].hook);
	snprintf(claim, sizeof(claim), "%s: changes nothing", cases[i].name);
	ok(!strcmp(got, want), claim);
	if (strcmp(got, want))
		printf("# got  %s\n# want %s\n", got, want);
	snprintf(claim, sizeof(claim), "%s: asked %u, otherwise %u: %s", cases[i].name, cases[i].asked, cases[i].differed, cases[i].what ? cases[i].what : "-");
	ok(row && row->asked == cases[i].asked && row->differed == cases[i].differed && !row->failed &&
		(cases[i].what ? row->n_kinds == 1 && !strcmp(row->kinds[0].what, cases[i].what) : !row->n_kinds), claim);
	if (row)
		printf("# asked %u differed %u failed %u %s\n", row->asked, row->differed, row->failed, row->n_kinds ? row->kinds[0].what : "");
	end(&w);
}

static void sticks(void)
{
	static const struct { const char *session; unsigned differed; } cases_of[] = { { "talk", 1 }, { NULL, 0 } };
	char got[2000], want[2000];

	for (size_t i = 0; i < 2; i++) {
		const struct shadowed *row;
		struct world w;

		for (int shadow = 0; shadow < 2; shadow++) {
			begin(&w, shadow);
			write_policy(&w, "sticky", "{ ttl_s = 60 }");
			open_it(&w);
			w.session = cases_of[i].session;
			live(&w, shadow ? got : want);
			if (!shadow)
				end(&w);
		}
		row = row_of(&w.d, "plan");
		ok(!strcmp(got, want) && row && row->asked == 1 && row->differed == cases_of[i].differed && !row->failed, "sticky in shadow is compared, and changes nothing");
		end(&w);
	}
}

static void survives(const char *hook, const char *want)
{
	char got[2000], claim[160];
	unsigned bad = 0, failed = 0;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct world w;

		begin(&w, true);
		write_policy(&w, hook, faults[i]);
		open_it(&w);
		live(&w, got);
		if (strcmp(got, want)) {
			bad++;
			printf("# %s\n# got  %s\n# want %s\n", faults[i], got, want);
		}
		failed += row_of(&w.d, hook) && row_of(&w.d, hook)->failed;
		live(&w, got);		/* the state is as good as before */
		bad += strcmp(got, want) != 0;
		end(&w);
	}
	snprintf(claim, sizeof(claim), "%s: whatever it does, nothing is changed, and failures are counted", hook);
	ok(!bad && failed >= 4, claim);
}

static void records(void)
{
	char got[2000];
	json_t *record, *row;
	struct world w;

	begin(&w, true);
	write_policy(&w, cases[8].hook, cases[8].body);
	open_it(&w);
	live(&w, got);
	record = world_recall(&w, &w.d);
	row = json_array_get(json_object_get(record, "shadow"), 0);
	ok(row && !strcmp(json_string_value(json_object_get(row, "hook")), "filter") && !strcmp(json_string_value(json_object_get(row, "by")), "p") &&
		json_integer_value(json_object_get(row, "asked")) == 3 && json_integer_value(json_object_get(row, "differed")) == 1 &&
		!strcmp(json_string_value(json_object_get(json_array_get(json_object_get(row, "differences"), 0), "what")), "drop region"), "the record has it, member by member");
	json_decref(record);
	end(&w);
}

/* What a policy in shadow counts is its own: its limit fills up, nobody else's does. */
static void counts(void)
{
	const struct shadowed *row;
	char got[2000];
	struct world w;

	begin(&w, true);
	write_policy(&w, "admit", cases[20].body);
	open_it(&w);
	for (int i = 0; i < 3; i++)
		live(&w, got);
	row = row_of(&w.d, "admit");
	ok(row && row->differed == 1 && !strcmp(row->kinds[0].what, "deny 429 full"), "limit.take in shadow: the third of two would be denied");
	ok(!strncmp(got, "111 ", 4), "while the same limit, live, has room");
	end(&w);
}

static bool live_for(struct world *w, const char *key)
{
	world_ask(w)->facts.key.id = word_of(key);
	policy_plan(w->state, &w->d);
	return w->d.plan.first_output_ms == 100;
}

static unsigned keys_in(unsigned bps, bool in[static 4000], bool *nested, bool *steady)
{
	char bundle[200], key[24];
	struct world w;
	unsigned n = 0;

	world_init(&w);
	snprintf(bundle, sizeof(bundle), "return { policies = { default = { { use = \"p\", share_bps = %u } } } }\n", bps);
	write_policy(&w, "plan", "function() return { ttft_timeout_ms = 100 } end");
	world_file(&w, "bundle.lua", bundle);
	open_it(&w);
	for (unsigned i = 0; i < 4000; i++) {
		bool now;

		snprintf(key, sizeof(key), "key_%u", i);
		now = live_for(&w, key);
		*steady &= now == live_for(&w, key);
		*nested &= !in[i] || now;
		in[i] = now;
		n += now;
	}
	end(&w);
	return n;
}

static void shares(void)
{
	static bool in[4000];
	bool nested = true, steady = true;
	unsigned none = keys_in(0, in, &nested, &steady), few = keys_in(500, in, &nested, &steady), half = keys_in(5000, in, &nested, &steady),
		all = keys_in(10000, in, &nested, &steady);

	printf("# of 4000 keys: %u %u %u %u\n", none, few, half, all);
	ok(none == 0 && few > 140 && few < 260 && half > 1880 && half < 2120 && all == 4000, "share_bps: so many of 10000 keys");
	ok(steady && nested, "the same keys each time, and a larger share keeps those of a smaller one");
}

static void refused(const char *bundle, const char *why, const char *claim)
{
	struct world w;

	world_init(&w);
	write_policy(&w, "plan", "function() return nil end");
	ok(!world_open(&w, bundle) && strstr(w.err.msg, why), claim);
	if (!strstr(w.err.msg, why))
		printf("# %s\n", w.err.msg);
	world_release(&w);
}

int main(void)
{
	char want[2000];

	plain(want);
	printf("# %s\n", want);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tells(i, want);
	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
		survives(hooks[i], want);
	sticks();
	records();
	counts();
	shares();
	refused("return { policies = { guard = { { use = \"p\", share_bps = 500 } } } }\n", "guard policy", "a guard has no share");
	refused("return { policies = { default = { { use = \"p\", share_bps = 10001 } } } }\n", "0..10000", "a share is 0..10000");
	return tap_done();
}
