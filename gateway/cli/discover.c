/*
 * discover.c - moongate provider discover: what an upstream says that it serves,
 * asked through its own plugin, beside what the configuration has of it.
 */
#include "base/log.h"
#include "catalog/slug.h"
#include "catalog/token.h"
#include "cli/remote.h"
#include "cli/table.h"
#include "net/frame.h"
#include "plugin/call.h"
#include "plugin/sigv4.h"

enum { POOL_MAX = 256 << 20, ANSWER_MAX = 64 << 20, WAIT_S = 30, PAGES_MAX = 100 };

struct asked {
	const struct cli *c;
	const struct catalog *cat;
	const struct provider *p;
	struct slugs *slugs;
	struct pool *pool;
	struct call call;
	struct mg_writer w;		/* the table's rows */
	struct buf rows, answer;
	size_t n;
};

static const struct column columns[] = {
	{ "model", "MODEL", CELL_TEXT }, { "slug", "SLUG", CELL_TEXT }, { "configured", "CONFIGURED", CELL_TEXT }, { NULL, NULL, CELL_TEXT } };

/* The endpoint that is this model at this provider; NULL: it is not configured. */
static const struct endpoint *endpoint_of(const struct asked *a, struct mg_str model)
{
	for (size_t i = 0; i < a->cat->n_endpoints; i++)
		if (a->cat->endpoints[i].provider == a->p && mg_is(model, a->cat->endpoints[i].upstream_model))
			return &a->cat->endpoints[i];
	return NULL;
}

static int on_model(void *arg, const struct mg_event *e)
{
	struct asked *a = arg;
	const struct endpoint *known = e->kind == MG_EV_MODEL ? endpoint_of(a, e->id) : NULL;
	struct mg_str region, slug;

	if (e->kind != MG_EV_MODEL || !e->id.at)
		return MG_OK;
	slug = slug_of(a->slugs, a->pool, e->id, a->p->slug, &region);
	json_open(&a->w, NULL, '{');
	json_put(&a->w, "model", e->id);
	if (known)
		json_put_text(&a->w, "slug", known->model->slug);
	else
		json_put(&a->w, "slug", slug);
	json_put_text(&a->w, "configured", !known ? "no" : known->priced ? "yes" : "without a price");
	json_put_raw(&a->w, "upstream", e->extra);
	json_close(&a->w);
	a->n++;
	return MG_OK;
}

/* ------------------------------------------------ one exchange, by the plugin's rules */

static size_t on_body(char *at, size_t size, size_t n, void *arg)
{
	struct asked *a = arg;

	buf_put(&a->answer, at, size * n);
	return a->answer.failed ? 0 : size * n;
}

static struct mg_str no_header(void *arg, const char *header)
{
	(void)arg;
	(void)header;
	return (struct mg_str){ 0 };
}

static struct curl_slist *headers_of(const struct asked *a)
{
	struct curl_slist *all = NULL;

	for (size_t i = 0; i < a->call.n_headers; i++)
		all = curl_slist_append(all, pool_dup(a->pool, a->call.headers[i]).at);
	return all;
}

/* Below base_url; or a full URL at its own host, or at that of the service's control plane: bedrock for bedrock-runtime. */
static struct mg_str url_of(struct asked *a, const struct mg_http *out)
{
	struct mg_str query = a->call.url_query, none = { NULL, 0 }, tail = pool_dup(a->pool, out->path), control;
	const char *scheme = a->p->plain_http ? "http://" : "https://", *runtime = strstr(a->p->host, "-runtime"), *host;
	size_t len = strlen(scheme);

	if (!tail.at)
		return none;
	if (*tail.at == '/')
		return pool_print(a->pool, "%s%s%s%.*s", a->p->base_url, tail.at, !query.at ? "" : strchr(tail.at, '?') ? "&" : "?", (int)query.len, query.at ? query.at : "");
	control = pool_print(a->pool, "%.*s%s", runtime ? (int)(runtime - a->p->host) : 0, a->p->host, runtime ? runtime + 8 : "");
	host = strncmp(tail.at, scheme, len) ? "" : tail.at + len;
	len = strcspn(host, "/?#");
	if (!len || ((len != strlen(a->p->host) || memcmp(host, a->p->host, len)) && (!control.at || len != control.len || memcmp(host, control.at, len))))
		return none;
	return tail;
}

static int exchange(struct asked *a, const struct mg_http *out, long *status)
{
	struct mg_str url = url_of(a, out), said = json_text(a->pool, json_get(json_get(a->call.endpoint, "options"), "region"));
	CURL *easy = curl_easy_init();
	struct curl_slist *headers;
	char why[CURL_ERROR_SIZE] = "";
	struct err err = { 0 };
	CURLcode code;

	if (!easy || !url.at) {
		curl_easy_cleanup(easy);
		return cli_say(EXIT_FAILED, url.at ? "no memory for a request" : "the plugin named another host than %s's", a->p->slug);
	}
	if (sigv4_call(&a->call, url, out, said, json_text(a->pool, json_get(a->call.endpoint, "region")), time(NULL), &err) != MG_OK) {
		curl_easy_cleanup(easy);
		return cli_say(EXIT_DENIED, "%s: %s", a->p->slug, err.msg);
	}
	headers = headers_of(a);
	curl_easy_setopt(easy, CURLOPT_URL, url.at);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, pool_dup(a->pool, out->method).at);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)WAIT_S);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
	if (a->p->ca)
		curl_easy_setopt(easy, CURLOPT_CAINFO, a->p->ca);
	code = curl_easy_perform(easy);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(easy);
	return code ? cli_say(EXIT_UNREACHABLE, "%s: %s", a->p->base_url, why[0] ? why : curl_easy_strerror(code)) : EXIT_OK;
}

/* Some repeat the key that they refuse. */
static void hide(char *text, const char *secret)
{
	char *at = secret && *secret ? strstr(text, secret) : NULL;

	if (at)
		memset(at, '*', strlen(secret));
	log_redact(text);
}

static int refused(struct asked *a, long status)
{
	struct mg_failure f = { .size = sizeof(f) };
	char said[200];

	a->call.status = (int)status;
	call_failure(&a->call, MG_JSON, buf_view(&a->answer), &f);
	snprintf(said, sizeof(said), "%.*s", (int)(f.message.len < sizeof(said) ? f.message.len : sizeof(said) - 1), f.message.at ? f.message.at : "");
	hide(said, a->p->secret);
	return cli_say(status == 401 || status == 403 ? EXIT_DENIED : EXIT_PROBLEMS, "%s answers %ld: %s", a->p->slug, status, said);
}

/* The row that the plugin reads: of no model, but with the provider's quirks and options. */
static int row_of(struct asked *a, struct mg_view *row)
{
	json_t *fields = json_pack("{s:s, s:s, s:s, s:O*, s:O*}", "model", "", "provider", a->p->slug, "base_url", a->p->base_url,
		"quirks", json_object_get(a->p->row, "quirks"), "options", json_object_get(a->p->row, "options"));
	char *text = json_dumps(fields, JSON_COMPACT);
	struct mg_str copy = pool_dup(a->pool, (struct mg_str){ text, text ? strlen(text) : 0 });

	free(text);
	json_decref(fields);
	return json_parse(a->pool, copy, row, NULL);
}

/* The access token that the credential stands for, or AWS's keys. */
static int authorize(struct asked *a)
{
	struct err err = { 0 };
	struct mg_str value;

	if (!a->call.scope)
		return EXIT_OK;
	if (token_now(a->p->token, a->call.scope, a->pool, &value, &err) != MG_OK || token_use(a->p->token, &a->call, value, &err) != MG_OK)
		return cli_say(EXIT_DENIED, "%s: %s", a->p->slug, err.msg);
	return EXIT_OK;
}

/* One page of it, and the plugin's word for where the next one is. */
static int page(struct asked *a, const struct mg_http *out)
{
	long status = 0;
	int rc;

	buf_reset(&a->answer);
	a->call.follows = false;
	rc = exchange(a, out, &status);
	if (rc)
		return rc;
	if (status < 200 || status > 299)
		return refused(a, status);
	a->call.status = (int)status;
	buf_put(&a->answer, "", 1);
	a->answer.len--;
	if (call_frame(&a->call, MG_JSON, (struct mg_str){ 0 }, buf_view(&a->answer)) != MG_OK)
		return cli_say(EXIT_PROBLEMS, "%s: %s", a->p->slug, a->call.err.msg);
	return EXIT_OK;
}

static int ask(struct asked *a)
{
	struct mg_view nothing = { 0 }, row = { 0 };
	struct mg_http out = { .size = sizeof(out) };
	int rc = json_parse(a->pool, (struct mg_str)MG_STR("{}"), &nothing, NULL);

	rc = rc ? rc : row_of(a, &row);
	rc = rc ? rc : call_init(&a->call, a->pool, a->p->plugin, MG_MODELS, false, nothing, row, a->p->secret);
	if (rc)
		return cli_say(EXIT_PROBLEMS, "the dialect '%s' has no list of models to ask for", a->p->dialect);
	a->call.emit = on_model;
	a->call.answer = no_header;
	a->call.arg = a;
	rc = call_request(&a->call, &out);
	if (rc)
		return cli_say(EXIT_FAILED, "%s: %s", a->p->slug, a->call.err.msg);
	rc = authorize(a);
	if (!rc)
		rc = page(a, &out);
	for (unsigned n = 1; !rc && a->call.follows && n < PAGES_MAX; n++) {
		out = a->call.follow;
		rc = page(a, &out);
	}
	return rc;
}

static void learn(struct asked *a)
{
	for (size_t i = 0; i < a->cat->n_models; i++)
		slugs_add(a->slugs, (struct mg_str){ a->cat->models[i].slug, strlen(a->cat->models[i].slug) });
}

static int discover(struct asked *a)
{
	int rc;

	learn(a);
	json_writer_init(&a->w, &a->rows);
	json_open(&a->w, NULL, '{');
	json_open(&a->w, "data", '[');
	rc = ask(a);
	json_close(&a->w);
	json_close(&a->w);
	if (!rc)
		rc = table_list(a->c, buf_view(&a->rows), columns);
	if (!rc && a->c->output == OUTPUT_TABLE)
		printf("\n%zu models; add one: models = { [\"SLUG\"] = { endpoints = { { provider = \"%s\", model = \"MODEL\", price = ... } } } }\n", a->n, a->p->slug);
	return rc;
}

int provider_discover_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct cli c;
	struct asked a = { .c = &c, .slugs = slugs_new(), .pool = pool_new(POOL_MAX) };
	int rc = cli_begin(&c, "provider discover", argc, argv, 1, 1);

	buf_init(&a.rows, ANSWER_MAX);
	buf_init(&a.answer, ANSWER_MAX);
	rc = rc ? rc : local_catalog(&l, &c);
	if (!rc) {
		a.cat = l.catalog;
		a.p = catalog_provider(l.catalog, (struct mg_str){ c.argv[0], strlen(c.argv[0]) });
		if (!a.p)
			rc = cli_say(EXIT_NOT_FOUND, "no provider '%.80s' is configured\nhint: 'moongate provider list --known' shows them", c.argv[0]);
		else if (strncmp(a.p->base_url, "http", 4))
			rc = cli_say(EXIT_PROBLEMS, "%s has no network to ask: it is simulated", a.p->slug);
	}
	rc = rc ? rc : discover(&a);
	buf_release(&a.rows);
	buf_release(&a.answer);
	slugs_free(a.slugs);
	pool_free(a.pool);
	local_close(&l);
	return rc;
}
