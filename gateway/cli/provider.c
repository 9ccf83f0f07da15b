/*
 * provider.c - moongate provider list, test.
 *
 * A test goes step by step: the name, the connection, TLS, an access token or
 * temporary keys where the credential is exchanged, from this machine; then one small request through the gateway, held to this provider, which
 * shows whether its key is taken, when the first token comes, and the cost.
 */
#include <stdio.h>
#include "base/clock.h"
#include "catalog/token.h"
#include "cli/remote.h"
#include "cli/table.h"

enum { BODY_MAX = 16 << 20, CONNECT_S = 10, ANSWER_TOKENS = 16 };

static const struct column columns[] = {
	{ "slug", "PROVIDER", CELL_TEXT }, { "name", "NAME", CELL_TEXT }, { "dialect", "DIALECT", CELL_TEXT }, { "base_url", "URL", CELL_TEXT },
	{ "key", "KEY", CELL_TEXT }, { "endpoints", "ENDPOINTS", CELL_NUMBER }, { "data", "DATA", CELL_TEXT }, { NULL, NULL, CELL_TEXT } };

/* ------------------------------------------------ list */

static const char *data_word(const struct data_policy *d)
{
	return !d->known ? "unknown" : d->zdr ? "zdr" : d->trains ? "trains" : d->retains ? "retains" : "none kept";
}

static void put_provider(struct mg_writer *w, const struct catalog *cat, const struct provider *p)
{
	int64_t n = 0;

	for (size_t i = 0; i < cat->n_endpoints; i++)
		n += cat->endpoints[i].provider == p;
	json_open(w, NULL, '{');
	json_put_text(w, "slug", p->slug);
	json_put_text(w, "name", p->name);
	json_put_text(w, "dialect", p->dialect);
	json_put_text(w, "base_url", p->base_url);
	json_put_text(w, "key", p->secret ? "set" : "none");
	json_put_int(w, "endpoints", n);
	json_put_text(w, "data", data_word(&p->data));
	json_close(w);
}

/* What needs only a key to be used. */
static void put_known(struct mg_writer *w, const struct local *l)
{
	json_t *known = config_known(l->conf.tree), *p;
	const char *slug;
	char key[80];

	json_object_foreach(known, slug, p) {
		const char *env = json_string_value(json_object_get(p, "env")), *how = json_string_value(json_object_get(json_object_get(p, "quirks"), "auth"));

		if (catalog_provider(l->catalog, (struct mg_str){ slug, strlen(slug) }))
			continue;
		snprintf(key, sizeof(key), "set %s", env ? env : how && !strcmp(how, "google") ? "google" : "api_key");
		json_open(w, NULL, '{');
		json_put_text(w, "slug", slug);
		json_put_text(w, "name", json_string_value(json_object_get(p, "name")));
		json_put_text(w, "dialect", json_string_value(json_object_get(p, "dialect")));
		json_put_text(w, "base_url", json_string_value(json_object_get(p, "base_url")));
		json_put_text(w, "key", key);
		json_put_int(w, "endpoints", 0);
		json_put_text(w, "data", NULL);
		json_close(w);
	}
	json_decref(known);
}

int provider_list_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct mg_writer w;
	struct buf out;
	struct cli c;
	int rc = cli_begin(&c, "provider list", argc, argv, 0, 0);

	rc = rc ? rc : local_catalog(&l, &c);
	if (!rc) {
		buf_init(&out, BODY_MAX);
		json_writer_init(&w, &out);
		json_open(&w, NULL, '{');
		json_open(&w, "data", '[');
		for (size_t i = 0; i < l.catalog->n_providers; i++)
			put_provider(&w, l.catalog, &l.catalog->providers[i]);
		if (cli_switch(&c, "--known"))
			put_known(&w, &l);
		json_close(&w);
		json_close(&w);
		rc = table_list(&c, buf_view(&out), columns);
		buf_release(&out);
	}
	local_close(&l);
	return rc;
}

/* ------------------------------------------------ test: the wire */

/* A line as it comes. */
static void step(struct report *said, const char *name, bool good, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void step(struct report *said, const char *name, bool good, const char *fmt, ...)
{
	char text[512], line[560];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	snprintf(line, sizeof(line), "%-12s %-5s %s", name, good ? "ok" : "FAIL", text);
	report_line(said, line);
	fflush(stdout);
}

static double since(CURL *easy, CURLINFO what, curl_off_t *before)
{
	curl_off_t us = 0;
	double ms;

	curl_easy_getinfo(easy, what, &us);
	ms = us > *before ? (double)(us - *before) / 1000 : 0;
	*before = us > *before ? us : *before;
	return ms;
}

static const char *failed_step(CURLcode code)
{
	return code == CURLE_COULDNT_RESOLVE_HOST ? "resolve" : code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
		code == CURLE_SSL_CACERT_BADFILE ? "tls" : "connect";
}

/* As far as TLS; nothing is asked and no key goes out. */
static int test_wire(struct report *said, const struct provider *p)
{
	CURL *easy = curl_easy_init();
	curl_off_t at = 0;
	char why[CURL_ERROR_SIZE] = "", *ip = NULL;
	CURLcode code;
	double ms;

	if (!easy)
		return cli_say(EXIT_FAILED, "no memory for a request");
	curl_easy_setopt(easy, CURLOPT_URL, p->base_url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
	if (p->ca)
		curl_easy_setopt(easy, CURLOPT_CAINFO, p->ca);
	code = curl_easy_perform(easy);
	if (code) {
		step(said, failed_step(code), false, "%s", why[0] ? why : curl_easy_strerror(code));
	} else {
		step(said, "resolve", true, "%.1f ms", since(easy, CURLINFO_NAMELOOKUP_TIME_T, &at));
		ms = since(easy, CURLINFO_CONNECT_TIME_T, &at);
		curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &ip);
		step(said, "connect", true, "%.1f ms to %s", ms, ip ? ip : "?");
		if (!p->plain_http)
			step(said, "tls", true, "%.1f ms", since(easy, CURLINFO_APPCONNECT_TIME_T, &at));
	}
	curl_easy_cleanup(easy);
	return code ? EXIT_PROBLEMS : EXIT_OK;
}

/* Of a credential that is exchanged: the exchange, from this machine and with this environment. */
static int test_credential(struct report *said, const struct provider *p)
{
	struct pool *pool = pool_new(BODY_MAX);
	uint64_t began = clock_us();
	struct token_state state;
	struct err err = { 0 };
	struct mg_str value;
	char about[80];
	int rc;

	if (!pool)
		return cli_say(EXIT_FAILED, "no memory for a request");
	rc = token_now(p->token, "", pool, &value, &err);
	token_about(p->token, about, sizeof(about));
	token_state(p->token, &state);
	if (rc)
		step(said, "credential", false, "%s: %s", about, err.msg);
	else
		step(said, "credential", true, "%.1f ms, %s, good for %lld s", (double)(clock_us() - began) / 1000, about, (long long)state.left_s);
	pool_free(pool);
	return rc ? EXIT_DENIED : EXIT_OK;
}

/* ------------------------------------------------ test: one request */

struct probe { uint64_t began, first; char cost[40], why[300]; bool done; };

static int on_frame(void *arg, struct mg_str event, struct mg_str data)
{
	struct pool *p = pool_new(BODY_MAX);
	struct probe *t = arg;
	struct mg_view all = { 0 }, delta;
	struct mg_str cost, why;

	if (mg_is(data, "[DONE]"))
		t->done = true;
	if (p && json_parse(p, data, &all, NULL) == MG_OK) {
		delta = json_get(json_at(json_get(all, "choices"), 0), "delta");
		if (!t->first && (json_text(p, json_get(delta, "content")).len || json_text(p, json_get(delta, "reasoning")).len))
			t->first = clock_us();
		cost = json_text(p, json_get(json_get(all, "usage"), "cost"));
		why = json_text(p, json_get(json_get(all, "error"), "message"));
		if (cost.at)
			snprintf(t->cost, sizeof(t->cost), "%.*s", (int)cost.len, cost.at);
		if (why.at)
			snprintf(t->why, sizeof(t->why), "%.*s", (int)(why.len > 280 ? 280 : why.len), why.at);
	}
	pool_free(p);
	return MG_OK;
}

/* The first endpoint at this provider that answers in text. */
static const struct model *model_at(const struct catalog *cat, const struct provider *p, const char *said)
{
	for (size_t i = 0; i < cat->n_endpoints; i++) {
		const struct endpoint *e = &cat->endpoints[i];
		json_t *outputs = json_object_get(json_object_get(e->model->row, "modalities"), "output");
		const char *first = json_string_value(json_array_get(outputs, 0));

		if (e->provider == p && (said ? !strcmp(e->model->slug, said) : !first || !strcmp(first, "text")))
			return e->model;
	}
	return NULL;
}

static int test_request(struct report *said, struct remote *r, const struct provider *p, const struct model *m)
{
	struct probe t = { .began = clock_us() };
	struct mg_writer w;
	struct buf body;
	int rc;

	buf_init(&body, 65536);
	json_writer_init(&w, &body);
	json_open(&w, NULL, '{');
	json_put_text(&w, "model", m->slug);
	json_put_raw(&w, "messages", (struct mg_str)MG_STR("[{\"role\":\"user\",\"content\":\"Say hello.\"}]"));
	json_put_int(&w, "max_tokens", ANSWER_TOKENS);
	json_put_bool(&w, "stream", true);
	json_open(&w, "provider", '{');
	json_open(&w, "only", '[');
	json_put_text(&w, NULL, p->slug);
	json_close(&w);
	json_put_bool(&w, "allow_fallbacks", false);
	json_close(&w);
	json_close(&w);
	rc = remote_stream(r, "/api/v1/chat/completions", buf_view(&body), on_frame, &t);
	buf_release(&body);
	if (rc || t.why[0] || !t.done) {
		step(said, "request", false, "%s: %s", m->slug, t.why[0] ? t.why : rc ? "see above" : "the answer broke off");
		return rc == EXIT_UNREACHABLE || rc == EXIT_DENIED ? rc : EXIT_PROBLEMS;
	}
	step(said, "auth", true, "%s", p->secret ? "the key is taken" : "no key is configured, and none is asked for");
	if (t.first)
		step(said, "first token", true, "%.1f ms, %s", (double)(t.first - t.began) / 1000, m->slug);
	step(said, "answer", true, "%.1f ms, $%s", (double)(clock_us() - t.began) / 1000, t.cost[0] ? t.cost : "?");
	return EXIT_OK;
}

int provider_test_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct remote r = { .easy = NULL };
	const struct provider *p = NULL;
	const struct model *m = NULL;
	struct report said;
	struct cli c;
	int rc = cli_begin(&c, "provider test", argc, argv, 1, 1);

	if (rc)
		return rc;
	report_begin(&said, &c);
	rc = local_catalog(&l, &c);
	if (!rc) {
		p = catalog_provider(l.catalog, (struct mg_str){ c.argv[0], strlen(c.argv[0]) });
		if (!p)
			rc = cli_say(EXIT_NOT_FOUND, "no provider '%.80s' is configured\nhint: 'moongate provider list --known' shows them", c.argv[0]);
	}
	if (!rc && !strncmp(p->base_url, "http", 4))
		rc = test_wire(&said, p);
	if (!rc && p->token)
		rc = test_credential(&said, p);
	if (!rc) {
		m = model_at(l.catalog, p, cli_option(&c, "--model"));
		if (!m)
			rc = cli_say(EXIT_NOT_FOUND, "provider '%s' has no such model to ask\nhint: --model SLUG names one", p->slug);
	}
	rc = rc ? rc : remote_open(&r, &c, &l, ANY_KEY);
	rc = rc ? rc : test_request(&said, &r, p, m);
	if (p)
		report_end(&said, rc != EXIT_OK);
	buf_release(&said.lines);
	remote_close(&r);
	local_close(&l);
	return rc;
}
