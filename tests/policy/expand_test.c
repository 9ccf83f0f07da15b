/* policy_route() over a real catalogue: names, aliases, several models, a catalogue that is replaced. */
#include "base/log.h"
#include "policy/shop.h"
#include "tap.h"
#include "world.h"

#define GOODS(price) "return { providers = { p = { dialect = 'openai', base_url = 'https://p.example' }, q = { dialect = 'openai', base_url = 'https://q.example' } }," \
	"models = { ['a/large'] = { canonical = 'a/large-1', endpoints = { { provider = 'p', price = { input = " price ", output = 1 } }, { provider = 'q', price = { input = 2, output = 1 } } } }," \
	"['a/small'] = { endpoints = { { provider = 'q', price = { input = 0.1, output = 0.1 } } } }," \
	"['any/*'] = { endpoints = { { provider = 'p', model = '*', price = { input = " price ", output = 1 } }, { provider = 'q', model = '*', price = { input = 2, output = 1 } } } }," \
	"['a/own'] = { endpoints = { { provider = 'p', price = { input = 1, output = 1 }, private_to = { 'ws_1' } } } }," \
	"big = { alias_of = 'a/large' } } }"

static struct decision *ask(struct world *w, const struct mg_str *models, size_t n)
{
	struct decision *d = world_ask(w);

	d->facts.model = models[0];
	d->facts.models = (struct words){ models, n };
	d->facts.prefs.sort_by = MG_STR("price");
	return d;
}

static const char *ids(const struct decision *d)
{
	static char text[400];
	size_t len = 0;

	*text = '\0';
	for (size_t i = 0; i < d->n_order && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "", d->order[i]->endpoint->id);
	return text;
}

static void names(struct world *w, const struct catalog *c)
{
	static const struct mg_str large[] = { { "a/large", 7 }, { "a/small", 7 }, { "big", 3 } }, alias[] = { { "big", 3 } }, no_such[] = { { "a/huge", 6 } },
		canonical[] = { { "a/large-1", 9 } };
	struct denial no;
	struct decision *d = ask(w, large, 1);

	ok(policy_route(w->state, d, c, &no) && d->n == 2 && !strcmp(ids(d), "a/large@p a/large@q") && !d->alias && d->order[0]->rank == 1, "a model's endpoints, best first");
	ok(d->candidates[0].live.outage_ago_ms == INT64_MAX && d->candidates[0].live.uptime_30m == 1, "each with its health");
	d = ask(w, large, 3);
	ok(policy_route(w->state, d, c, &no) && d->n == 3 && !strcmp(ids(d), "a/large@p a/large@q a/small@q") && d->facts.models.n == 2,
		"several models in turn; one that is named twice counts once");
	d = ask(w, large, 3);
	d->facts.prefs.partition = MG_STR("none");
	ok(policy_route(w->state, d, c, &no) && !strcmp(ids(d), "a/small@q a/large@p a/large@q"), "partition none: the models mixed");
	d = ask(w, alias, 1);
	ok(policy_route(w->state, d, c, &no) && d->alias && d->facts.models.n == 1 && mg_is(d->facts.models.at[0], "a/large"), "an alias becomes its model");
	d = ask(w, canonical, 1);
	ok(policy_route(w->state, d, c, &no) && !d->alias && !strcmp(ids(d), "a/large@p a/large@q"), "a canonical slug is no alias");
	d = ask(w, no_such, 1);
	ok(!policy_route(w->state, d, c, &no) && no.status == 400 && !strcmp(no.code, "model_not_found") && strstr(no.message, "a/huge") && !d->n_order, "no such model: 400, with its name");
	d = ask(w, no_such, 1);
	d->resolved = true;
	ok(!policy_route(w->state, d, c, &no) && no.status == 404 && !strstr(no.message, "a/huge"), "a policy that chose none that there is: 404, which names none");
	d = ask(w, (struct mg_str[]){ no_such[0], large[0] }, 2);
	d->resolved = true;
	ok(policy_route(w->state, d, c, &no) && d->n == 2, "a policy may name more than is configured");
	d = ask(w, large, 1);
	d->facts.models.n = 0;
	ok(!policy_route(w->state, d, c, &no) && no.status == 400, "no model at all: 400");
}

static void owners(struct world *w, const struct catalog *c)
{
	static const struct mg_str own[] = { { "a/own", 5 } };
	struct denial no;

	for (int i = 0; i < 4; i++) {
		struct decision *d = ask(w, own, 1);
		bool mine = i % 2;

		d->facts.key.workspace = mine ? MG_STR("ws_1") : MG_STR("ws_2");
		ok(policy_route(w->state, d, c, &no) == mine, mine ? "a private endpoint for whom it is private to" : "and for nobody else");
	}
}

/* A wildcard's endpoints are made for each request: what is remembered of one is of that request. */
static void wild(struct world *w, const struct catalog *c)
{
	char names[6][16];
	struct denial no;
	bool good = true;
	json_t *record;

	for (unsigned i = 0; i < 40; i++) {
		char *name = names[i % 6];
		struct mg_str one;
		struct decision *d;

		snprintf(name, sizeof(names[0]), "any/m%u", i * 7 % 40);
		one = word_of(name);
		d = ask(w, &one, 1);
		good &= policy_route(w->state, d, c, &no) && d->n_order == 2 && !strncmp(d->order[0]->endpoint->id, name, strlen(name)) &&
			!strcmp(d->order[0]->endpoint->provider->slug, "p") && mg_is(d->facts.models.at[0], name) && !d->errors;
		record = world_recall(w, d);
		good &= !strcmp(json_string_value(json_object_get(json_array_get(json_object_get(record, "candidates"), 0), "model")), name);
		json_decref(record);
	}
	ok(good, "a wildcard's models, one after the other: each its own endpoints");
}

/* A reload: the same addresses of nothing, other prices; what is remembered is of the catalogue. */
static void replaced(struct world *w, struct catalog *first)
{
	static const struct mg_str large[] = { { "a/large", 7 } };
	struct catalog *second = shop(GOODS("3"), first);
	struct mg_usage u = { .size = sizeof(u), .input = 1000000 };
	struct denial no;
	struct bill bill;
	struct decision *d = ask(w, large, 1), *old;
	struct endpoint *before;

	policy_route(w->state, d, first, &no);
	before = first->models[0].endpoints[0];
	old = ask(w, large, 1);
	ok(second && policy_route(w->state, old, second, &no) && !strcmp(ids(old), "a/large@q a/large@p"), "another catalogue: its prices");
	ok(!policy_price(w->state, old, old->order[1]->endpoint, &u, false, &bill) && bill.cost_nusd == 3000000000, "and its bills");
	ok(!policy_price(w->state, old, before, &u, false, &bill) && bill.cost_nusd > 0, "a request that began before is billed by the old one");
	d = ask(w, large, 1);
	ok(policy_route(w->state, d, first, &no) && !strcmp(ids(d), "a/large@p a/large@q"), "and may route by it still");
	catalog_free(second);
}

/* Who may begin an attempt. */
static void passes(struct world *w, const struct catalog *c)
{
	static const struct mg_str large[] = { { "a/large", 7 } }, own[] = { { "a/own", 5 } };
	struct decision *d = ask(w, large, 1);
	struct candidate copy, *before;
	struct denial no;

	ok(!decision_passed(d, &copy), "before a route nobody");
	ok(policy_route(w->state, d, c, &no) && decision_passed(d, d->order[0]) && decision_passed(d, d->order[1]), "what the filters let pass may have the request");
	copy = *d->order[0];
	ok(!decision_passed(d, &copy), "what looks the same may not");
	d->order[1]->rank = 0;
	ok(!decision_passed(d, d->order[1]), "nor what no ranking has left");
	before = d->order[0];
	d->facts.models = (struct words){ own, 1 };
	d->facts.key.workspace = MG_STR("ws_2");
	ok(!policy_route(w->state, d, c, &no) && !decision_passed(d, before), "nor what an earlier route of the same request had");
	ok(d->n == 1 && !decision_passed(d, &d->candidates[0]), "nor what is dropped");
	d->candidates[0].dropped = NULL;
	d->candidates[0].rank = 1;
	ok(!decision_passed(d, &d->candidates[0]), "also when somebody has put it into the order");
}

int main(void)
{
	struct world w;
	struct catalog *c;

	log_max = LOG_ERROR;
	world_init(&w);
	c = shop(GOODS("1"), NULL);
	if (!c || !world_open(&w, NULL)) {
		printf("# %s\n", w.err.msg);
		return 1;
	}
	names(&w, c);
	owners(&w, c);
	wild(&w, c);
	replaced(&w, c);
	passes(&w, c);
	world_release(&w);
	catalog_free(c);
	return tap_done();
}
