/*
 * policy_check(): a bundle opens, every policy in it loads and names nothing
 * that is not there, and every hook of the chain runs over endpoints that are
 * unusual: free, without a price, with an unknown data policy, none at all.
 * Plus moongate.d.lua.
 */
#include "policy/state.h"

struct report { void (*say)(void *, const char *); void *arg; int problems; };

static void problem(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void problem(struct report *r, const char *fmt, ...)
{
	char text[500];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	r->problems++;
	r->say(r->arg, text);
}

/* ---- a small world */

enum { PROBES = 20 };
struct probe { struct model model; struct provider providers[PROBES]; struct endpoint endpoints[PROBES]; char names[PROBES][16]; };

static void probe_fill(struct probe *p)
{
	static char slug[] = "probe/model", *const tiers[] = { (char *)"default", (char *)"priority", (char *)"flex", (char *)"default" };

	p->model = (struct model){ .slug = slug, .canonical = slug, .name = slug };
	for (size_t i = 0; i < PROBES; i++) {
		struct endpoint *e = &p->endpoints[i];

		snprintf(p->names[i], sizeof(p->names[i]), "probe-%zu", i);
		p->providers[i] = (struct provider){ .slug = p->names[i], .name = p->names[i],
			.data = { .known = i % 3 != 0, .trains = i % 4 == 1, .retains = i % 2, .zdr = i % 2 == 0, .retention_days = i % 5 ? (int)i : -1 } };
		*e = (struct endpoint){ .id = p->names[i], .model = &p->model, .provider = &p->providers[i], .tag = p->names[i], .tier = tiers[i % 4],
			.region = (char *)(i % 2 ? "eu" : ""), .quantization = (char *)"unknown", .free = i % 7 == 3, .priced = i % 6 != 5, .index = i };
		if (e->priced && i % 7 != 3)
			e->rates.pusd[RATE_PROMPT] = e->rates.pusd[RATE_COMPLETION] = (int64_t)i * 100000;
	}
}

static void ask(struct decision *d, struct pool *pool, struct probe *p, size_t n, unsigned round)
{
	static const struct mg_str models[] = { { "probe/model", 11 } }, words[] = { { "tools", 5 }, { "probe-1", 7 } };
	static const struct mg_str variants[] = { { "", 0 }, { "nitro", 5 }, { "floor", 5 }, { "free", 4 }, { "exacto", 6 } };

	decision_init(d, pool);
	d->facts.id = MG_STR("check");
	d->facts.api = MG_STR("chat");
	d->facts.model = models[0];
	d->facts.models = (struct words){ models, 1 };
	d->facts.variant = variants[round % 5];
	d->facts.now_ms = 1767787200000;
	d->facts.seed = round;
	d->facts.key.id = MG_STR("check");
	if (round % 2)
		d->facts.params = (struct words){ words, 1 };
	if (round % 3 == 1)
		d->facts.prefs.order = (struct words){ words + 1, 1 };
	d->facts.prefs.zdr = round % 4 == 3;
	d->facts.session = round % 5 == 4 ? MG_STR("s") : MG_STR("");
	d->candidates = pool_alloc(pool, sizeof(*d->candidates) * (n + 1));
	d->order = pool_alloc(pool, sizeof(*d->order) * (n + 1));
	for (d->n = 0; d->candidates && d->order && d->n < n; d->n++)
		d->candidates[d->n] = (struct candidate){ .endpoint = &p->endpoints[d->n],
			.live = { .outage_ago_ms = d->n % 3 ? INT64_MAX : 1000, .samples = d->n % 4 * 100, .uptime_30m = 1 } };
}

static void life(struct policy_state *s, struct decision *d, struct probe *p)
{
	struct mg_usage usage = { .size = sizeof(usage), .input = 1000, .cached = 10, .output = 100, .requests = 1 };
	struct attempt_error e = { .kind = MG_E_SERVER, .endpoint = &p->endpoints[0], .n = 1, .tries_here = 1, .retryable = true };
	struct outcome o = { .status = 200, .usage = &usage };
	struct denial no;
	struct action a;
	struct shape shape;
	struct bill bill;

	policy_admit(s, d, &no);
	policy_retain(s, d);
	policy_resolve(s, d, &no);
	route_listed(s, d, &no);
	policy_plan(s, d);
	for (e.kind = MG_E_UPSTREAM; e.kind <= MG_E_CANCELLED; e.kind++)
		policy_on_error(s, d, &e, d->order, d->n_order, &a);
	for (size_t i = 0; i < d->n_order; i++) {
		policy_shape(s, d, d->order[i]->endpoint, &shape);
		policy_price(s, d, d->order[i]->endpoint, &usage, i % 2, &bill);
		o.endpoint = d->order[i]->endpoint;
		o.bill = &bill;
	}
	policy_observe(s, d, &o);
}

/* The same failure is told once. */
static void tell_errors(struct report *r, const struct decision *d, char told[static 400])
{
	for (const struct note *n = d->notes; n; n = n->next)
		if (!strncmp(n->text, "error: ", 7) && strncmp(n->text, told, 399)) {
			snprintf(told, 400, "%s", n->text);
			problem(r, "%s of %s: %s", n->hook, n->by, n->text + 7);
		}
}

static void probe_hooks(struct report *r, struct bundle *b)
{
	static const size_t sizes[] = { 0, 1, 3, PROBES };
	struct policy_state *s = policy_state_new(b, NULL);
	struct probe *p = calloc(1, sizeof(*p));
	char told[400] = "";

	if (s && p) {
		s->shared = shared_new();	/* limits of a check are nobody's */
		s->testing = true;		/* so it is freed with the state */
		lua_newtable(s->L);
		s->scratch = luaL_ref(s->L, LUA_REGISTRYINDEX);
		probe_fill(p);
	}
	for (unsigned round = 0; s && s->shared && p && round < 40; round++) {
		struct pool *pool = pool_new(8 << 20);
		struct decision d;

		if (!pool)
			break;
		ask(&d, pool, p, sizes[round % 4], round);
		life(s, &d, p);
		tell_errors(r, &d, told);
		pool_free(pool);
	}
	policy_state_free(s);
	free(p);
}

/* ---- every file of its own */

static bool ends(const char *name, const char *tail)
{
	size_t n = strlen(name), m = strlen(tail);

	return n > m && !strcmp(name + n - m, tail);
}

/* Files that are in no list are loaded with their defaults: they may be wrong, too. */
static void load_rest(struct report *r, struct bundle *b, struct policy_state *s)
{
	char name[NAME_BYTES], test[NAME_BYTES + 8];

	for (size_t i = 0; i < b->n_files; i++) {
		const struct source *f = &b->files[i];

		if (!f->own || !strcmp(f->name, "bundle.lua") || ends(f->name, "_test.lua"))
			continue;
		r->problems += names_scan(s, f, r->say, r->arg);
		snprintf(name, sizeof(name), "%.*s", (int)strlen(f->name) - 4, f->name);
		if (policy_load(s, name, 0)) {
			if (!strstr(s->error, "it must return policy") || !strstr(f->text, "return library"))
				problem(r, "%s", s->error);
			continue;
		}
		lua_settop(s->L, 0);
		snprintf(test, sizeof(test), "%s_test", name);
		if (!bundle_file(b, test))
			problem(r, "%s.lua has no %s.lua beside it", name, test);
	}
}

int bundle_check(struct bundle *b, void (*say)(void *arg, const char *line), void *arg)
{
	struct report r = { say, arg, 0 };
	struct err why = { 0, "" };
	struct policy_state *s = policy_state_new(b, &why);

	if (!s) {
		problem(&r, "%s", why.msg);
		return r.problems;
	}
	load_rest(&r, b, s);
	policy_state_free(s);
	probe_hooks(&r, b);
	return r.problems;
}

int policy_check(const char *dir, const char *base_dir, void (*say)(void *arg, const char *line), void *arg, struct err *err)
{
	struct bundle *b;
	int rc = bundle_read(dir, base_dir, &b, err);

	if (rc)
		return rc;
	rc = bundle_check(b, say, arg);
	bundle_unref(b);
	return rc;
}

void policy_types(void (*say)(void *arg, const char *line), void *arg)
{
	static const char *const before[] = { "---@meta moongate", "-- Generated by `moongate policy types`. Units are in the names.", "",
		"---@alias Money integer   amount in nUSD (1e-9 USD)", "---@alias Rate integer    pUSD per unit (1e-12 USD); 1 USD per 1M tokens = 1000000", NULL };
	static const char *const after[] = { "", "---@class Pcts", "---@field p50 number", "---@field p75 number", "---@field p90 number", "---@field p99 number",
		"", "---@class DataPolicy", "---@field known boolean  false: treat as trains and retains", "---@field trains boolean", "---@field retains boolean",
		"---@field retention_days? integer", "---@field zdr boolean", "---@field logs_region string",
		"", "---@alias Sink \"log\"|\"record\"|\"decision\"|\"trace\"|\"cache\"|\"batch\"|\"file\"",
		"---@class Keep  of several policies' answers the less of each field; of sinks those in all",
		"---@field store \"none\"|\"metadata\"|\"hashed\"|\"full\"  none: the billing row alone; no sink takes content yet, so full keeps what hashed does",
		"---@field ttl_s? integer  then labels and decision are removed, the billing row stays; 30 days; 0: as none",
		"---@field cache? boolean  may a cache have the answer; false", "---@field sinks? Sink[]  where it may be kept; all",
		"", "---@class Policy", "---@field name string", "---@field api 1", "---@field version? string", "---@field doc? string", "---@field params? table",
		"---@field setup? fun(p:table):table",
		"---@field memo? table<string,string|string[]>  by hook: the members of req that its answer depends on, such as \"variant\", \"prefs\", \"key.org\"",
		"---@field when? table<string,fun(ep:Endpoint,my:table):boolean>  by hook: does the endpoint concern it? asked once",
		"---@field scores? table<string,fun(ep:Endpoint,my:table):number>  numbers of an endpoint, for rank.by and rank.pick",
		"---@field limits? {reason:string,of:string[],most:fun(ep:Endpoint,my:table):number}[]  sums of req that drop above a number of the endpoint", "---@field admit? fun(req:Request,my:table):table|true",
		"---@field retain? fun(req:Request,my:table):Keep", "---@field resolve? fun(req:Request,my:table):table?",
		"---@field filter? fun(req:Request,ep:Endpoint,my:table):boolean,string?", "---@field rank? fun(req:Request,eps:Endpoint[],my:table):Endpoint[]",
		"---@field plan? fun(req:Request,eps:Endpoint[],my:table):table?", "---@field shape? fun(req:Request,ep:Endpoint,my:table):table?",
		"---@field on_error? fun(req:Request,err:table,rest:Endpoint[],my:table):table?",
		"---@field price? fun(req:Request,ep:Endpoint,usage:Usage,bill:table,my:table):table", "---@field observe? fun(req:Request,outcome:table,my:table)",
		"", "---@param p Policy", "---@return Policy", "function policy(p) end", NULL };

	for (size_t i = 0; before[i]; i++)
		say(arg, before[i]);
	types_say(say, arg);
	for (size_t i = 0; after[i]; i++)
		say(arg, after[i]);
}
