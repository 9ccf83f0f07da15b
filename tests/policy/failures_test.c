/* Every way to fail in every hook: what the request gets, that it is counted and told, and that the next one is fine. */
#include "base/log.h"
#include "tap.h"
#include "world.h"

enum { RAISE, LOOP, ALLOCATE, WRONG, NONSENSE, NOTHING, KINDS };
static const char *const kinds[KINDS] = { "raises", "loops", "allocates", "returns a number", "returns nonsense", "returns nil" };
static const char *const codes[KINDS] = { "error(\"broken\")", "while true do end", "local t = {} for i = 1, 1e7 do t[i] = {} end", "return 7",
	"return { deny = 1, models = 1, store = 1, lines = 1, action = 1, hedge = 1, set = 1, drop = 1, ttl_s = {} }", "return nil" };

/* p fails in that hook; q is good in all of them, and runs behind it. */
static const char good[] = "return policy { name = \"q\", api = 1,\n"
	" admit = function() return true end, retain = function() return { store = \"metadata\", ttl_s = 60, cache = true } end,\n"
	" resolve = function() return { strategy = \"q\" } end, filter = function(req, ep) return ep.tag ~= \"c\", \"no\" end,\n"
	" rank = function(req, eps) return { eps[2], eps[1] } end, plan = function() return { max_attempts = 2 } end, shape = function() return { set = { seed = 1 } } end,\n"
	" on_error = function() return act.stop() end, price = function(req, ep, u, bill) return money.flat(bill, \"q\", 5) end, observe = function() counter.add(\"q\", \"seen\", 1) end }";

struct seen {
	bool admitted, resolved, routed, shaped, priced;
	struct denial denied, unrouted;
	struct decision *d;
	struct shape shape;
	struct action action;
	struct bill bill;
	unsigned after[HOOK_COUNT];	/* errors after each hook */
};

/* A request's whole life. */
static void live(struct world *w, struct seen *s)
{
	struct mg_usage u = { .size = sizeof(u), .input = 1000 };
	struct decision *d = s->d = world_ask(w);
	struct denial no;

	s->admitted = policy_admit(w->state, d, &s->denied);
	s->after[HOOK_ADMIT] = d->errors;
	policy_retain(w->state, d);
	s->after[HOOK_RETAIN] = d->errors;
	s->resolved = policy_resolve(w->state, d, &no);
	s->after[HOOK_RESOLVE] = d->errors;
	s->routed = world_route(w, &s->unrouted);
	policy_plan(w->state, d);
	s->shaped = policy_shape(w->state, d, &w->endpoints[0], &s->shape);
	policy_on_error(w->state, d, &(struct attempt_error){ .kind = MG_E_SERVER, .endpoint = &w->endpoints[0] }, d->order, d->n_order, &s->action);
	s->priced = !policy_price(w->state, d, &w->endpoints[0], &u, false, &s->bill);
	policy_observe(w->state, d, &(struct outcome){ .status = 200 });
}

/* What p's hook means when all is well: as if it were not there, but for q's filter. */
static bool as_if_absent(const struct seen *s)
{
	const struct decision *d = s->d;

	return s->admitted && d->keep.store == KEEP_METADATA && d->keep.ttl_s == 60 && d->keep.cache && s->resolved && d->strategy && !strcmp(d->strategy, "q") &&
		s->routed && d->n_order == 2 && !strcmp(d->order[0]->endpoint->tag, "b") && d->plan.attempts == 2 && s->shaped && s->shape.n == 1 &&
		s->action.what == ACT_STOP && s->priced && s->bill.charge_nusd == 5 && !s->bill.needs_rating;
}

/* Everything but what this hook's failure takes away. */
static bool outcome(enum hook h, struct seen *s)
{
	struct decision *d = s->d;

	switch (h) {
	case HOOK_ADMIT:	/* closed */
		if (s->admitted || s->denied.status != 503 || strcmp(s->denied.code, "policy_error"))
			return false;
		s->admitted = true;
		break;
	case HOOK_RETAIN:	/* nothing is kept */
		if (d->keep.store != KEEP_NONE || d->keep.ttl_s || d->keep.cache)
			return false;
		d->keep = (struct keep){ .store = KEEP_METADATA, .ttl_s = 60, .cache = true };
		break;
	case HOOK_FILTER:	/* no endpoint, and it is the policies' fault */
		if (s->routed || d->n_order || s->unrouted.status != 503 || strcmp(s->unrouted.code, "policy_error") || !d->policy_error)
			return false;
		for (size_t i = 0; i < d->n; i++)
			if (!d->candidates[i].dropped || strcmp(d->candidates[i].dropped, "policy_error"))
				return false;
		return s->admitted && s->resolved && s->shaped;
	case HOOK_SHAPE:	/* this endpoint is skipped */
		if (s->shaped)
			return false;
		s->shaped = true;
		s->shape.n = 1;
		break;
	case HOOK_PRICE:	/* list price, to be rated again */
		if (!s->priced || !s->bill.needs_rating || s->bill.charge_nusd != 1000000)
			return false;
		s->bill.charge_nusd = 5;
		s->bill.needs_rating = false;
		break;
	default:		/* skipped: the order, the plan, the next opinion stay */
		break;
	}
	return as_if_absent(s);
}

/* nil is an answer, in these. */
static bool fine(enum hook h, int kind)
{
	return h == HOOK_OBSERVE ? kind >= WRONG : kind == NOTHING && (h == HOOK_RESOLVE || h == HOOK_PLAN || h == HOOK_SHAPE || h == HOOK_ON_ERROR);
}

static bool told(const struct decision *d, enum hook h)
{
	for (const struct note *n = d->notes; n; n = n->next)
		if (!strncmp(n->text, "error: ", 7) && !strcmp(n->hook, hook_names[h]) && !strcmp(n->by, "p"))
			return true;
	return false;
}

static void cell(enum hook h, int kind)
{
	struct world w;
	struct seen s = { .admitted = false }, next = { .admitted = false };
	char source[500], claim[100];
	bool right, again;

	world_init(&w);
	world_endpoint(&w, 0, "a", 1, 1);
	world_endpoint(&w, 0, "b", 2, 2);
	world_endpoint(&w, 0, "c", 3, 3);
	/* Once: the next request finds the state as it was. */
	snprintf(source, sizeof(source), "return policy { name = \"p\", api = 1, %s = function(req) if req.session == \"fails\" then %s end %s end }", hook_names[h], codes[kind],
		h == HOOK_ADMIT || h == HOOK_FILTER ? "return true" : h == HOOK_RETAIN ? "return { store = \"full\", ttl_s = 900, cache = true }" : "return nil");
	if (h == HOOK_RANK)
		snprintf(source, sizeof(source), "return policy { name = \"p\", api = 1, rank = function(req, eps) if req.session == \"fails\" then %s end return eps end }", codes[kind]);
	if (h == HOOK_PRICE)
		snprintf(source, sizeof(source), "return policy { name = \"p\", api = 1, price = function(req, ep, u, bill) if req.session == \"fails\" then %s end return bill end }", codes[kind]);
	world_file(&w, "p.lua", source);
	world_file(&w, "q.lua", good);
	snprintf(claim, sizeof(claim), "%s that %s", hook_names[h], kinds[kind]);
	if (!world_open(&w, "return { policies = { default = { { use = \"p\" }, { use = \"q\" } } } }")) {
		printf("# %s\n", w.err.msg);
		ok(false, claim);
		world_release(&w);
		return;
	}
	live(&w, &next);
	again = as_if_absent(&next) && !next.d->errors;
	w.session = "fails";
	live(&w, &s);
	w.session = NULL;
	right = fine(h, kind) ? as_if_absent(&s) && !s.d->errors : s.d->errors >= 1 && told(s.d, h) && outcome(h, &s);
	if (!right)
		for (const struct note *n = s.d->notes; n; n = n->next)
			printf("# %s %s: %s\n", n->hook, n->by, n->text);
	ok(right && again && lua_gettop(w.state->L) == 0, claim);
	live(&w, &next);
	snprintf(claim, sizeof(claim), "%s that %s: the next request is as before", hook_names[h], kinds[kind]);
	ok(as_if_absent(&next) && !next.d->errors, claim);
	world_release(&w);
}

/* Functions that are no hooks, but are asked within them. */
static const struct { const char *claim, *p; bool routed; } helpers[] = {
	{ "a `when` that raises: the filter is asked", "when = { filter = function() error(\"x\") end }, filter = function(req, ep) return ep.tag == \"a\", \"no\" end", true },
	{ "a score that raises drops nothing by itself, but its filter fails", "scores = { s = function() error(\"x\") end }, rank = function(req, eps) return rank.by(eps, \"s\") end", true },
	{ "a limit that raises drops the endpoint", "limits = { { reason = \"r\", of = { \"feat.images\" }, most = function() error(\"x\") end } }", false },
	{ "a limit that is no number drops the endpoint", "limits = { { reason = \"r\", of = { \"feat.images\" }, most = function() return {} end } }", false },
	{ "a limit that loops drops the endpoint", "limits = { { reason = \"r\", of = { \"feat.images\" }, most = function() while true do end end } }", false },
};

static void within(size_t i)
{
	struct world w;
	struct denial no;
	char source[400];
	bool routed;

	world_init(&w);
	world_endpoint(&w, 0, "a", 1, 1);
	snprintf(source, sizeof(source), "return policy { name = \"p\", api = 1, %s }", helpers[i].p);
	world_file(&w, "p.lua", source);
	if (!world_open(&w, "return { policies = { default = { { use = \"p\" } } } }")) {
		printf("# %s\n", w.err.msg);
		ok(false, helpers[i].claim);
	} else {
		world_ask(&w);
		routed = world_route(&w, &no);
		ok(routed == helpers[i].routed && w.d.errors && (routed || no.status == 503) && lua_gettop(w.state->L) == 0, helpers[i].claim);
	}
	world_release(&w);
}

int main(void)
{
	log_max = LOG_ERROR;
	for (int h = 0; h < HOOK_COUNT; h++)
		for (int kind = 0; kind < KINDS; kind++)
			cell((enum hook)h, kind);
	for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++)
		within(i);
	return tap_done();
}
