/* The catalogue: what is built, what is refused, and how clients read it. */
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/live.h"
#include "catalog/wire.h"
#include "tap.h"

static char path[64] = "/tmp/catalog_test.XXXXXX.lua";

/* plugins NULL: dialects are taken as they are written. */
static struct catalog *built(const char *text, struct config *conf, const struct catalog *previous, struct err *err)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
	*err = (struct err){ 0, "" };
	return config_load(conf, path, err) ? NULL : catalog_new(conf, NULL, previous, err);
}

#define P "providers = { p = { dialect = 'openai', base_url = 'https://api.p.example/v1/', data = { trains = false, retains = false, zdr = true }," \
	" quirks = { a = 1, b = { x = 1 } } }, q = { dialect = 'openai', base_url = 'http://10.0.0.1:8000', region = 'eu', max_in_flight = 4 } }"
#define ONE "{ endpoints = { { provider = 'p', price = { input = 1, output = 2 } } } }"

static const struct { const char *claim, *text, *wants[2]; } bad[] = {
	{ "an unknown provider gets a suggestion", "return { providers = { groqq = { dialect = 'openai', base_url = 'https://x' } },\n models = { ['a/b'] = {\n endpoints = { { provider = 'groq' } } } } }",
	  { "3: models[\"a/b\"].endpoints[1].provider: 'groq' is not among the providers", "did you mean 'groqq'?" } },
	{ "a dialect is needed", "return { providers = { acme = { base_url = 'https://x' } } }", { "providers.acme.dialect: is required", "dialect = \"openai\"" } },
	{ "an address is needed", "return { providers = { acme = { dialect = 'openai' } } }", { "providers.acme.base_url: is required" } },
	{ "a scheme is needed", "return { providers = { acme = { dialect = 'openai', base_url = 'ftp://x' } } }", { "neither https:// nor http://" } },
	{ "no user in the address", "return { providers = { acme = { dialect = 'openai', base_url = 'https://u:p@x' } } }", { "no user, query or fragment", "api_key" } },
	{ "an address with a name that nobody says", "return { providers = { acme = { dialect = 'openai', base_url = 'https://{region}.x' } } }", { "providers.acme.region: is required", "{region}" } },
	{ "a name that is no part of an address", "return { providers = { acme = { dialect = 'openai', base_url = 'https://{a}.x', options = { a = 'x/y' } } } }", { "providers.acme.a: 'x/y' does not fit" } },
	{ "AWS's keys without a region", "return { dev = true, providers = { acme = { dialect = 'openai', base_url = 'http://h', aws = { access_key_id = 'a', secret_access_key = 'b' } } } }",
	  { "providers.acme.region: is required" } },
	{ "the gateway's own headers", "return { providers = { acme = { dialect = 'openai', base_url = 'https://x', headers = { Authorization = 'x' } } } }", { "'Authorization' is set by the gateway" } },
	{ "a header with a line break", "return { providers = { acme = { dialect = 'openai', base_url = 'https://x', headers = { ['x-a'] = 'a\\r\\nb' } } } }", { "control character" } },
	{ "more headers than there is room for", "local h = {} for i = 1, 21 do h['x-' .. i] = 'a' end return { providers = { acme = { dialect = 'openai', base_url = 'https://x', headers = h } } }", { "providers.acme.headers: has more than 20" } },
	{ "an account without a key", "return { dev = true, providers = { acme = { dialect = 'openai', base_url = 'https://x', byok = { { api_key = 'a' }, { fallback = true } } } } }",
	  { "providers.acme.byok[2].api_key: is required", "the customer's" } },
	{ "an account that is last and takes the place of what is before it", "return { dev = true, providers = { acme = { dialect = 'openai', base_url = 'https://x', byok = { { api_key = 'a', fallback = true, always = true } } } } }",
	  { "providers.acme.byok: an account that shared capacity comes before cannot take its place always" } },
	{ "a model without endpoints", "return { " P ", models = { ['a/b'] = {} } }", { "models[\"a/b\"].endpoints: is required" } },
	{ "a price without a rate", "return { " P ", models = { ['a/b'] = { endpoints = { { provider = 'p', price = {} } } } } }", { "endpoints[1].price: names no rate", "input = 0" } },
	{ "an override without a condition", "return { " P ", models = { ['a/b'] = { endpoints = { { provider = 'p', price = { input = 1, overrides = { { input = 2 } } } } } } } }",
	  { "price.overrides[1]: needs a condition and a rate" } },
	{ "an hour that is none", "return { " P ", models = { ['a/b'] = { endpoints = { { provider = 'p', price = { input = 1, overrides = { { utc_start = '25:00', utc_end = '05:00', input = 2 } } } } } } } }",
	  { "as HH:MM" } },
	{ "a variant in a slug", "return { " P ", models = { ['a/b:free'] = " ONE " } }", { "a slug has no ':'", "free = true" } },
	{ "a star inside a slug", "return { " P ", models = { ['a/*b'] = " ONE " } }", { "is no slug" } },
	{ "an alias of a wildcard", "return { " P ", models = { ['a/*'] = " ONE ", b = { alias_of = 'a/*' } } }", { "is no single model" } },
	{ "a slug with a space", "return { " P ", models = { ['a/b c'] = " ONE " } }", { "is no slug" } },
	{ "aliases in a circle", "return { " P ", models = { a = { alias_of = 'b' }, b = { alias_of = 'a' } } }", { "alias_of: goes round in a circle" } },
	{ "an alias of nothing", "return { " P ", models = { ['a/large'] = " ONE ", x = { alias_of = 'a/larg' } } }", { "alias_of: 'a/larg' is no model", "did you mean 'a/large'?" } },
	{ "a name that is taken", "return { " P ", models = { ['a/b'] = " ONE ", ['a/c'] = { aliases = { 'a/b' }, endpoints = { { provider = 'p' } } } } }", { "'a/b' means 'a/b' already" } },
};

#define BY "options = { %s host = { by = 'location', eu = 'aiplatform.eu.example', ['else'] = '{location}-a.example' } }"
#define ADDRESS "return { dev = true, providers = { p = { dialect = 'openai', base_url = 'https://{host}/v1/{project}/x', " BY " %s } }, models = { a = " ONE " } }"

/* Names in an address: options, what one of them stands for, the key file's project. */
static void addresses(void)
{
	static const struct { const char *claim, *options, *more, *url, *why; } rows[] = {
		{ "an option's case", "location = 'eu', project = 'q',", "", "https://aiplatform.eu.example/v1/q/x", NULL },
		{ "any other case", "location = 'us-1', project = 'q',", "", "https://us-1-a.example/v1/q/x", NULL },
		{ "no option", "project = 'q',", "", NULL, "providers.p.location: is required" },
		{ "the key file's project", "location = 'eu',", ", google = { credentials = '{\"type\":\"authorized_user\",\"client_id\":\"a\",\"client_secret\":\"b\",\"refresh_token\":\"c\",\"project_id\":\"k\"}' }",
		  "https://aiplatform.eu.example/v1/k/x", NULL },
		{ "no project anywhere", "location = 'eu',", "", NULL, "providers.p.project: is required" },
		{ "an address inside an option", "location = 'eu', project = 'x/../y',", "", NULL, "does not fit into base_url" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[2000];
		struct config conf;
		struct err err;
		struct catalog *c;

		snprintf(text, sizeof(text), ADDRESS, rows[i].options, rows[i].more);
		c = built(text, &conf, NULL, &err);
		ok(rows[i].url ? c && !strcmp(c->providers[0].base_url, rows[i].url) : !c && strstr(err.msg, rows[i].why), rows[i].claim);
		if (*err.msg && rows[i].url)
			printf("# %s\n", err.msg);
		catalog_free(c);
		config_release(&conf);
	}
}

static void refusals(void)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct config conf;
		struct err err;
		struct catalog *c = built(bad[i].text, &conf, NULL, &err);
		bool good = !c && strstr(err.msg, bad[i].wants[0]) && (!bad[i].wants[1] || strstr(err.msg, bad[i].wants[1]));

		ok(good, bad[i].claim);
		if (!good)
			printf("# %s\n", err.msg);
		catalog_free(c);
		config_release(&conf);
	}
}

static const char shop[] = "return { " P ",\n models = {"
	"['a/large'] = { name = 'A: Large', created = 1700000000, context_length = 1000, aliases = { 'large' }, canonical = 'a/large-2024', description = 'd',"
	"  modalities = { input = { 'text', 'image' }, output = { 'text' } },"
	"  endpoints = { { provider = 'q', model = 'L', price = { input = 3, output = 6, cache_read = 0.3 }, tier = 'priority', params = { 'tools', 'seed' } },"
	"  { provider = 'p', price = { input = 0.15, output = 0.6, request = 0.001, overrides = { { min_prompt_tokens = 200001, input = 0.3 } } }, params = { 'tools', 'top_p' },"
	"    max_output = 500, quirks = { b = { y = 2 } } } } },"
	"['b/vec'] = { modalities = { input = { 'text' }, output = { 'embeddings' } }, endpoints = { { provider = 'p', price = { input = 0.02 } } } },"
	"['b/own'] = { endpoints = { { provider = 'p', private_to = { 'ws_7' } } } }, ['b/none'] = { endpoints = { { provider = 'p' }, { provider = 'p', model = 'x' } } },"
	"latest = { alias_of = 'newest' }, newest = { alias_of = 'a/large' } } }";

static struct model *find(const struct catalog *c, const char *name)
{
	return catalog_model(c, (struct mg_str){ name, strlen(name) });
}

static void building(const struct catalog *c)
{
	struct model *m = find(c, "a/large");
	struct endpoint *e = m->endpoints[1];

	ok(c->n_models == 4 && c->n_endpoints == 6 && c->n_providers == 2, "all of it, aliases are no models");
	ok(find(c, "large") == m && find(c, "a/large-2024") == m && find(c, "latest") == m && !find(c, "a/larg"), "slug, alias, canonical slug and chains find the model");
	ok(!strcmp(m->endpoints[0]->id, "a/large@q/eu/priority") && !strcmp(e->tag, "p") && !strcmp(e->upstream_model, "large"), "tags and upstream names");
	ok(!strcmp(find(c, "b/none")->endpoints[1]->id, "b/none@p#2"), "ids are unique");
	ok(e->rates.pusd[RATE_PROMPT] == 150000 && e->rates.pusd[RATE_CACHE_READ] == 150000 && e->rates.pusd[RATE_REASONING] == 600000
		&& e->rates.pusd[RATE_REQUEST] == 1000000000, "rates are complete: what is not said inherits");
	ok(e->overrides[0].rates.pusd[RATE_CACHE_READ] == 300000 && !(e->overrides[0].given & (1u << RATE_COMPLETION)), "in an override, too");
	ok(m->endpoints[0]->rates.pusd[RATE_CACHE_READ] == 300000 && !find(c, "b/none")->endpoints[0]->priced, "what is said is kept; no price is none");
	ok(json_is(json_get(e->row, "model"), "large") && mg_is(json_raw(json_get(e->row, "quirks")), "{\"a\":1,\"b\":{\"x\":1,\"y\":2}}")
		&& mg_is(json_raw(json_get(e->row, "max_output")), "500"), "the plugin's row: quirks are laid over the provider's");
	ok(!strcmp(e->provider->base_url, "https://api.p.example/v1") && !strcmp(e->provider->host, "api.p.example") && !e->provider->plain_http
		&& m->endpoints[0]->provider->plain_http && !strcmp(m->endpoints[0]->provider->host, "10.0.0.1:8000"), "address and host");
	ok(e->provider->data.known && e->provider->data.zdr && !m->endpoints[0]->provider->data.known, "who states facts is known");
	ok(find(c, "b/own")->endpoints[0]->private && !strcmp(json_string_value(json_array_get(find(c, "b/own")->endpoints[0]->private_to, 0)), "ws_7"),
		"who names those that may use it makes it private");
	ok(e->provider->connect_ms == 3000 && e->provider->idle_ms == 90000, "timeouts come from limits");
}

static const char wide[] = "return { " P ", models = { ['v/*'] = { context_length = 9, endpoints = { { provider = 'p', price = { input = 1 } }, { provider = 'q', model = 'own/*-x', price = { input = 1 } },"
	" { provider = 'q', model = 'fixed', price = { input = 1 } } } }, ['v/deep/*'] = " ONE ", ['v/known'] = " ONE " } }";

static void wildcards(void)
{
	static const struct { const char *slug, *upstream, *id; } rows[] = {
		{ "v/one", "one", "v/one@p" }, { "v/a/b", "a/b", "v/a/b@p" }, { "v/llama3:8b", "llama3:8b", "v/llama3:8b@p" },
		{ "v/deep/x", "x", "v/deep/x@p" }, { "v/known", "known", "v/known@p" },
		{ "v/*", NULL, NULL }, { "v/", NULL, NULL }, { "v", NULL, NULL }, { "w/x", NULL, NULL }, { "v/a b", NULL, NULL }, { "v/a\"b", NULL, NULL },
		{ "v/a//b", NULL, NULL }, { "v/../b", NULL, NULL }, { "v//b", NULL, NULL }, { "v/b/", NULL, NULL } };
	struct pool *pool = pool_new(1 << 20);
	struct config conf;
	struct err err;
	struct catalog *c = built(wide, &conf, NULL, &err);
	struct model *m;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		m = catalog_find(c, (struct mg_str){ rows[i].slug, strlen(rows[i].slug) }, pool);
		ok(rows[i].id ? m && !strcmp(m->slug, rows[i].slug) && !strcmp(m->endpoints[0]->upstream_model, rows[i].upstream) && !strcmp(m->endpoints[0]->id, rows[i].id)
			&& json_is(json_get(m->endpoints[0]->row, "model"), rows[i].upstream) : !m, rows[i].slug);
	}
	m = catalog_find(c, (struct mg_str)MG_STR("v/one"), pool);
	ok(!strcmp(m->endpoints[1]->upstream_model, "own/one-x") && !strcmp(m->endpoints[1]->id, "v/one@q/eu") && !strcmp(m->endpoints[2]->upstream_model, "fixed")
		&& !strcmp(m->endpoints[2]->id, "v/one@q/eu#2"), "a star in the upstream's name, or none");
	ok(m->endpoints[0]->model == m && m->context_length == 9 && !m->wild && !strcmp(m->label, "v/*") && m->endpoints[0]->live, "else as the wildcard, by whose name it is counted");
	pool_free(pool);
	catalog_free(c);
	config_release(&conf);
}

static bool holds(struct buf *b, const char *part);

/* ---- accounts of customers' own */

static const char accounts[] = "return { dev = true, providers = { p = { dialect = 'openai', base_url = 'https://api.p.example/v1', api_key = 'shared', options = { a = 1, b = 1 },"
	" data = { retains = true, retention_days = 30 }, byok = { { api_key = 'one', private_to = { 'ws_1', 'ws_2' }, options = { b = 2 } },"
	" { api_key = 'two', fallback = true, models = { 'a/sm*' }, base_url = 'https://two.example', data = { zdr = true } }, { api_key = 'three', always = true, models = { 'a/large' } } } } },"
	" models = { ['a/large'] = { endpoints = { { provider = 'p', price = { input = 1 }, params = { 'tools' } } } }, ['a/small'] = { endpoints = { { provider = 'p', price = { input = 1 }, private_to = { 'ws_2', 'ws_3' } } } },"
	" ['a/none'] = { endpoints = { { provider = 'p', price = { input = 1 }, private = true } } }, ['w/*'] = { endpoints = { { provider = 'p', price = { input = 1 } } } } } }";

static bool is_private_to(const struct endpoint *e, const char *ids)
{
	char *all = e->private_to ? json_dumps(e->private_to, JSON_COMPACT) : NULL;
	bool same = all && !strcmp(all, ids);

	free(all);
	return same;
}

static void own_accounts(void)
{
	struct config conf, again;
	struct err err;
	struct catalog *c = built(accounts, &conf, NULL, &err), *later;
	struct model *large = find(c, "a/large"), *small = find(c, "a/small"), *none = find(c, "a/none");
	struct endpoint *one = large->endpoints[1], *three = large->endpoints[2];
	struct pool *pool = pool_new(1 << 20);
	struct buf out;

	ok(large->n_endpoints == 3 && !large->endpoints[0]->provider->own.seq && one->provider->own.seq == 1 && three->provider->own.seq == 3, "an endpoint once for each account that is for its model");
	ok(!strcmp(one->id, "a/large@p#byok1") && !strcmp(one->tag, "p") && one->provider->slug == c->providers[0].keyed[0].slug && !strcmp(one->provider->secret, "one")
		&& one->rates.pusd[RATE_PROMPT] == 1000000 && json_array_size(one->params) == 1 && one->live != large->endpoints[0]->live, "the same, but for id, account and health");
	ok(is_private_to(one, "[\"ws_1\",\"ws_2\"]") && !three->private_to && one->private && three->private && !large->endpoints[0]->private, "whose it is; clients see none of them");
	ok(small->n_endpoints == 3 && is_private_to(small->endpoints[1], "[\"ws_2\"]") && is_private_to(small->endpoints[2], "[\"ws_2\",\"ws_3\"]"), "of a private endpoint: who may use both");
	ok(none->n_endpoints == 2 && is_private_to(none->endpoints[1], "[]"), "of one that is nobody's: nobody");
	ok(three->provider->own.always && !three->provider->own.fallback && small->endpoints[2]->provider->own.fallback, "always and fallback");
	ok(mg_is(json_raw(json_get(one->row, "options")), "{\"a\":1,\"b\":2}"), "its options are laid over the provider's");
	ok(!strcmp(small->endpoints[2]->provider->host, "two.example") && small->endpoints[2]->provider->data.zdr && !one->provider->data.zdr, "its own address, and what is agreed for it alone");
	ok(one->provider->gate == c->providers[0].gate && c->n_providers == 1, "the provider's places are shared, and it is one provider");
	ok(catalog_find(c, (struct mg_str)MG_STR("w/x"), pool)->n_endpoints == 2 && !strcmp(catalog_find(c, (struct mg_str)MG_STR("w/x"), pool)->endpoints[1]->id, "w/x@p#byok1"), "below a wildcard, too");
	buf_init(&out, 1 << 20);
	ok(wire_endpoints(&out, c, NULL, MG_STR("a/large"), true, 1000) && holds(&out, "\"tag\":\"p\"") && !memmem(out.at, out.len, "byok", 4), "the list of endpoints names none");
	buf_release(&out);
	later = built(accounts, &again, c, &err);
	ok(later && find(later, "a/large")->endpoints[1]->live == one->live, "health lives on over a reload");
	pool_free(pool);
	catalog_free(c);
	catalog_free(later);
	config_release(&conf);
	config_release(&again);
}

static bool holds(struct buf *b, const char *part)
{
	bool yes = strstr((buf_put(b, "", 1), b->at), part) != NULL;

	if (!yes)
		printf("# no %s in %.1500s\n", part, b->at);
	b->len--;
	return yes;
}

static void wire(const struct catalog *c)
{
	static const struct { const char *claim, *name, *value; size_t n; } filters[] = {
		{ "text is the default", "q", "", 2 }, { "all modalities", "output_modalities", "all", 3 }, { "embeddings", "output_modalities", "embeddings", 1 },
		{ "input must be all of the list", "input_modalities", "text,image", 1 }, { "search", "q", "LARGE", 1 }, { "author", "model_authors", "a", 1 },
		{ "provider", "providers", "q", 1 }, { "region", "region", "eu", 1 }, { "context", "context", "1000", 1 },
		{ "maximum price", "max_price", "0.1", 1 }, { "minimum price", "min_price", "0.15", 1 }, { "zdr", "zdr", "true", 2 },
		{ "parameters", "supported_parameters", "tools,top_p", 2 }, { "unknown parameters are passed over", "nonsense", "x", 2 } };
	struct buf out, rest;
	struct model_query q;
	struct err err;
	char want[64];

	buf_init(&out, 1 << 20);
	buf_init(&rest, 1 << 10);
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		buf_reset(&out);
		model_query_init(&q, &rest);
		model_query_set(&q, (struct mg_str){ filters[i].name, strlen(filters[i].name) }, (struct mg_str){ filters[i].value, strlen(filters[i].value) }, &err);
		wire_count(&out, c, &q, 1800000000000);
		snprintf(want, sizeof(want), "{\"data\":{\"count\":%zu}}", filters[i].n);
		ok(holds(&out, want), filters[i].claim);
	}
	ok(model_query_set(&q, MG_STR("limit"), MG_STR("0"), &err) && strstr(err.msg, "limit") && model_query_set(&q, MG_STR("sort"), MG_STR("x"), &err),
		"a bad value names its parameter");
	buf_reset(&out);
	buf_reset(&rest);
	model_query_init(&q, &rest);
	model_query_set(&q, MG_STR("limit"), MG_STR("1"), &err);
	model_query_set(&q, MG_STR("sort"), MG_STR("newest"), &err);
	wire_models(&out, c, &q, 1800000000000, 1000);
	ok(holds(&out, "\"total_count\":2,\"links\":{\"next\":\"/api/v1/models?offset=1&limit=1&sort=newest\"}") && holds(&out, "{\"data\":[{\"id\":\"a/large\""), "pages");
	ok(holds(&out, "\"pricing\":{\"prompt\":\"0.00000015\",\"completion\":\"0.0000006\",\"request\":\"0.001\"") && holds(&out, "\"min_prompt_tokens\":200000,")
		&& holds(&out, "\"modality\":\"text+image->text\"") && holds(&out, "\"supported_parameters\":[\"top_p\",\"seed\",\"tools\"]"), "exact prices of the cheapest endpoint");
	buf_reset(&out);
	ok(wire_model(&out, c, NULL, MG_STR("latest:nitro")) && holds(&out, "{\"data\":{\"id\":\"a/large\"") && !wire_model(&out, c, NULL, MG_STR("b/own")), "a variant is cut, a private model is hidden");
	buf_reset(&out);
	ok(wire_endpoints(&out, c, NULL, MG_STR("a/large"), true, 1000) && holds(&out, "\"tag\":\"q/eu/priority\"") && holds(&out, "\"uptime_last_30m\":null"), "endpoints");
	buf_reset(&out);
	wire_providers(&out, c);
	ok(holds(&out, "{\"name\":\"p\",\"slug\":\"p\",\"privacy_policy_url\":null"), "providers");
	buf_release(&out);
	buf_release(&rest);
}

static void reload(void)
{
	struct config ca, cb;
	struct err err;
	struct catalog *a = built(shop, &ca, NULL, &err), *b;
	struct live *was = find(a, "a/large")->endpoints[1]->live;

	live_begin(was, 1);
	b = built("return { " P ", models = { ['a/large'] = " ONE " } }", &cb, a, &err);
	catalog_free(a);
	ok(b && find(b, "a/large")->endpoints[0]->live == was && b->version > 1, "health lives on over a reload, by id");
	catalog_free(b);
	config_release(&ca);
	config_release(&cb);
}

static void known(void)
{
	struct config conf;
	struct err err;
	struct catalog *c = built("return { dev = true, providers = { openai = { api_key = 'k' }, vllm = { base_url = 'http://10.0.0.9:8000/v1' } } }", &conf, NULL, &err);
	struct model *m = c ? find(c, "openai/gpt-4o-mini") : NULL;
	struct provider *v = c ? catalog_provider(c, MG_STR("vllm")) : NULL;

	ok(m && m->endpoints[0]->rates.pusd[RATE_PROMPT] == 150000 && m->endpoints[0]->rates.pusd[RATE_CACHE_READ] == 75000
		&& !strcmp(m->endpoints[0]->provider->base_url, "https://api.openai.com/v1"), "a known provider brings address, models and prices");
	ok(v && !strcmp(v->base_url, "http://10.0.0.9:8000/v1") && !v->data.known, "elsewhere its data policy is not known");
	catalog_free(c);
	config_release(&conf);
	c = built("return { dev = true, providers = { openai = { api_key = 'k' } }, models = { ['x/y'] = { endpoints = { { provider = 'openai' } } } } }", &conf, NULL, &err);
	ok(c && c->n_models == 1, "who names one model means that one");
	catalog_free(c);
	config_release(&conf);
	c = built("return { dev = true, providers = { openai = { api_key = 'k', models = true } }, models = { ['openai/gpt-4o-mini'] = { hidden = true },"
		" ['openai/gpt-4.1'] = { name = 'Ours', endpoints = { { provider = 'openai', price = { output = 9 } } } } } }", &conf, NULL, &err);
	m = c ? find(c, "openai/gpt-4.1") : NULL;
	ok(m && m->n_endpoints == 1 && m->endpoints[0]->rates.pusd[RATE_PROMPT] == 2000000 && m->endpoints[0]->rates.pusd[RATE_COMPLETION] == 9000000
		&& !strcmp(m->name, "Ours") && m->context_length > 1000000, "what the configuration says of a known endpoint lies over it");
	ok(c && c->changes_ms == 0, "no price waits for its day");
	ok(c && !find(c, "openai/gpt-4o-mini") && find(c, "openai/gpt-4o"), "a hidden model is not offered, its neighbours are");
	catalog_free(c);
	config_release(&conf);
	c = built("return { dev = true, providers = { openai = { api_key = 'k' } }, models = { ['openai/gpt-4.1'] = { endpoints = { { provider = 'openai' } } } } }", &conf, NULL, &err);
	m = c ? find(c, "openai/gpt-4.1") : NULL;
	ok(c && c->n_models == 1 && m && m->endpoints[0]->priced, "an endpoint that is named alone has its known price");
	catalog_free(c);
	config_release(&conf);
}

/* An operator's own file, below data_dir, with a price that waits for its day. */
static void dated(void)
{
	char dir[] = "/tmp/catalog_dated.XXXXXX", text[400], file[120];
	struct config conf;
	struct err err;
	struct catalog *c;
	struct model *m;
	FILE *f;

	if (!mkdtemp(dir))
		return;
	snprintf(text, sizeof(text), "%s/catalog", dir);
	mkdir(text, 0700);
	snprintf(text, sizeof(text), "%s/catalog/models", dir);
	mkdir(text, 0700);
	snprintf(file, sizeof(file), "%s/catalog/models/groq.jsonl", dir);
	f = fopen(file, "w");
	fputs("{\"id\":\"a/b\",\"model\":\"b\",\"price\":[{\"since\":\"2020-01-01\",\"source\":\"s\",\"input\":\"1\",\"output\":\"1\"},"
		"{\"since\":\"2099-01-02\",\"source\":\"s\",\"input\":\"2\",\"output\":\"2\"},{\"since\":\"2099-03-01\",\"source\":\"s\",\"input\":\"3\"}]}\n", f);
	fclose(f);
	snprintf(text, sizeof(text), "return { dev = true, data_dir = '%s', providers = { groq = { api_key = 'k' } } }", dir);
	c = built(text, &conf, NULL, &err);
	m = c ? find(c, "a/b") : NULL;
	ok(c && c->n_models == 1, "the operator's file stands in for the shipped one");
	ok(m && m->endpoints[0]->rates.pusd[RATE_PROMPT] == 1000000, "today's price holds");
	ok(c && c->changes_ms == INT64_C(4070995200000), "the day of the next one is known: the gateway reloads then");
	catalog_free(c);
	config_release(&conf);
	unlink(file);
	for (const char *const *below = (const char *const[]){ "/catalog/models", "/catalog", "", NULL }; *below; below++) {
		snprintf(text, sizeof(text), "%s%s", dir, *below);
		rmdir(text);
	}
}

int main(void)
{
	struct config conf;
	struct err err;
	struct catalog *c;
	int fd = mkstemps(path, 4);

	if (fd < 0)
		return 1;
	close(fd);
	refusals();
	addresses();
	c = built(shop, &conf, NULL, &err);
	ok(c != NULL, "the whole is built");
	if (!c)
		printf("# %s\n", err.msg);
	if (c) {
		building(c);
		wildcards();
		wire(c);
	}
	catalog_free(c);
	config_release(&conf);
	reload();
	own_accounts();
	known();
	dated();
	unlink(path);
	return tap_done();
}
