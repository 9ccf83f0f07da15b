/* status.c - moongate status, reload: how a running gateway is, and a new configuration for it. */
#include <time.h>
#include "base/json.h"
#include "cli/remote.h"
#include "cli/table.h"

enum { BODY_MAX = 32 << 20, RELOAD_WAIT_MS = 15000 };

static const struct column facts[] = {
	{ "url", "gateway", CELL_TEXT }, { "status", "status", CELL_TEXT }, { "reasons", "reasons", CELL_TEXT }, { "version", "version", CELL_TEXT },
	{ "commit", "commit", CELL_TEXT }, { "in_flight", "requests in flight", CELL_TEXT }, { "connections", "connections", CELL_TEXT },
	{ "store_queue", "rows waiting", CELL_TEXT }, { "credentials", "credentials", CELL_TEXT }, { "last_reload_ok", "last reload took", CELL_TEXT }, { NULL, NULL, CELL_TEXT } };

static int get(struct remote *r, const char *path, struct buf *out)
{
	buf_reset(out);
	return remote_call(r, "GET", path, (struct mg_str){ 0 }, out);
}

/* The sum of a metric's series without labels; -1: it is not there. */
static int64_t metric(const struct buf *page, const char *name)
{
	size_t len = strlen(name);
	const char *at = page->at, *end = page->at + page->len;

	while (at && at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));

		if (!eol)
			return -1;
		if ((size_t)(eol - at) > len + 1 && !memcmp(at, name, len) && at[len] == ' ')
			return strtoll(at + len + 1, NULL, 10);
		at = eol + 1;
	}
	return -1;
}

static void put_metric(struct mg_writer *w, const char *member, const struct buf *page, const char *name)
{
	int64_t n = metric(page, name);

	if (n < 0)
		json_put_null(w, member);
	else
		json_put_int(w, member, n);
}

/* "vertex 58 min", "bedrock failing, 3 min left": of what is exchanged for access tokens and temporary keys. */
static void put_credentials(struct mg_writer *w, const struct buf *page)
{
	static const char left_of[] = "moongate_credential_seconds{provider=\"", failing[] = "moongate_credential_failing{provider=\"%.*s\"} 1\n";
	const char *at = page->at, *end = page->at + page->len;
	char text[256], line[160];

	json_open(w, "credentials", '[');
	while (at && (at = memmem(at, (size_t)(end - at), left_of, sizeof(left_of) - 1))) {
		const char *quote;
		long long left;
		size_t len;
		bool bad;

		at += sizeof(left_of) - 1;
		quote = memchr(at, '"', (size_t)(end - at));
		if (!quote || end - quote < 5)
			break;
		len = (size_t)(quote - at);
		left = strtoll(quote + 3, NULL, 10) / 60;
		snprintf(line, sizeof(line), failing, (int)(len < 64 ? len : 64), at);
		bad = memmem(page->at, page->len, line, strlen(line));
		snprintf(text, sizeof(text), "%.*s %s%lld min%s", (int)(len < 64 ? len : 64), at, bad ? "failing, " : "", left, bad ? " left" : "");
		json_put_text(w, NULL, text);
	}
	json_close(w);
}

static int gather(struct remote *r, struct mg_writer *w, struct pool *p, bool *ready)
{
	struct mg_view view;
	struct buf body;
	int rc;

	buf_init(&body, BODY_MAX);
	r->quiet = true;	/* 503 is an answer here */
	rc = get(r, "/readyz", &body);
	if (rc != EXIT_UNREACHABLE && json_parse(p, pool_dup(p, buf_view(&body)), &view, NULL) == MG_OK
			&& json_kind(json_get(view, "status")) == MG_STRING) {
		*ready = rc == EXIT_OK;
		json_put(w, "status", json_text(p, json_get(view, "status")));
		json_put_raw(w, "reasons", json_raw(json_get(view, "reasons")));
		rc = get(r, "/version", &body);
		if (!rc && json_parse(p, pool_dup(p, buf_view(&body)), &view, NULL) == MG_OK) {
			json_put(w, "version", json_text(p, json_get(view, "version")));
			json_put(w, "commit", json_text(p, json_get(view, "commit")));
		}
		if (!rc && get(r, "/metrics", &body) == EXIT_OK) {
			put_metric(w, "in_flight", &body, "moongate_http_requests_in_flight");
			put_metric(w, "connections", &body, "moongate_connections");
			put_metric(w, "store_queue", &body, "moongate_store_queue_length");
			put_credentials(w, &body);
			json_put_bool(w, "last_reload_ok", metric(&body, "moongate_config_last_reload_successful") == 1);
		}
	} else if (rc != EXIT_UNREACHABLE) {
		rc = cli_say(EXIT_FAILED, "what answers at %s is no gateway", r->url);
	}
	buf_release(&body);
	return rc;
}

int status_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct remote r = { .easy = NULL };
	struct pool *p = pool_new(BODY_MAX);
	struct mg_writer w;
	bool ready = false;
	struct buf out;
	struct cli c;
	int rc = cli_begin(&c, "status", argc, argv, 0, 0);

	buf_init(&out, BODY_MAX);
	rc = rc ? rc : remote_open(&r, &c, &l, NO_KEY);
	if (!rc) {
		json_writer_init(&w, &out);
		json_open(&w, NULL, '{');
		json_open(&w, "data", '{');
		json_put_text(&w, "url", r.socket[0] ? r.socket : r.url);
		rc = p ? gather(&r, &w, p, &ready) : cli_say(EXIT_FAILED, "no memory for the answer");
		json_close(&w);
		json_close(&w);
	}
	rc = rc ? rc : table_one(&c, buf_view(&out), facts);
	pool_free(p);
	buf_release(&out);
	remote_close(&r);
	local_close(&l);
	return rc ? rc : ready ? EXIT_OK : EXIT_FAILED;
}

/* ------------------------------------------------ reload */

/* Until the time of the last reload changes, or the second in which we asked is over:
 * a gateway that reloaded twice within one second tells the same time. */
static int wait_reload(const struct cli *c, struct remote *r, int64_t before, int64_t asked, struct buf *body)
{
	struct timespec step = { 0, 100 * 1000 * 1000 };
	int64_t at = before;

	for (int waited = 0; waited < RELOAD_WAIT_MS && (at == before || at < asked - 1); waited += 100) {
		int rc;

		nanosleep(&step, NULL);
		rc = get(r, "/metrics", body);
		if (rc)
			return rc;
		at = metric(body, "moongate_config_last_reload_timestamp_seconds");
	}
	if (at == before)
		return cli_say(EXIT_RETRY, "the gateway has not reloaded after %d s\nhint: its log says why", RELOAD_WAIT_MS / 1000);
	if (metric(body, "moongate_config_last_reload_successful") != 1)
		return cli_say(EXIT_CONFIG, "the new configuration was refused; the old one goes on\nhint: 'moongate config check' says what is wrong");
	return table_done(c, "reloaded", DONE("status", "reloaded"));
}

int reload_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct remote r = { .easy = NULL };
	int64_t before = -1;
	struct buf body;
	struct cli c;
	int rc = cli_begin(&c, "reload", argc, argv, 0, 0);

	buf_init(&body, BODY_MAX);
	rc = rc ? rc : remote_open(&r, &c, &l, MANAGEMENT_KEY);
	rc = rc ? rc : get(&r, "/metrics", &body);
	if (!rc) {
		before = metric(&body, "moongate_config_last_reload_timestamp_seconds");
		if (before >= (int64_t)time(NULL))	/* the one before was in this second */
			nanosleep(&(struct timespec){ 1, 0 }, NULL);
		buf_reset(&body);
		rc = remote_call(&r, "POST", "/api/admin/reload", (struct mg_str){ 0 }, &body);
	}
	rc = rc ? rc : wait_reload(&c, &r, before, (int64_t)time(NULL), &body);
	buf_release(&body);
	remote_close(&r);
	local_close(&l);
	return rc;
}
