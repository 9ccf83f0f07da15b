/* log.c - moongate log tail, show: generation records, newest last.  They hold no content. */
#include "base/clock.h"
#include "cli/remote.h"
#include "cli/table.h"
#include "ledger/generation.h"

enum { BODY_MAX = 256 << 20, TAIL_MAX = 3000 };
#define HOUR_MS INT64_C(3600000)

static const struct column columns[] = {
	{ "created_at", "TIME (UTC)", CELL_TIME }, { "id", "ID", CELL_TEXT }, { "key_hash", "KEY", CELL_HASH }, { "model", "MODEL", CELL_TEXT },
	{ "provider_name", "PROVIDER", CELL_TEXT }, { "native_tokens_prompt", "IN", CELL_NUMBER }, { "native_tokens_completion", "OUT", CELL_NUMBER },
	{ "usage", "COST $", CELL_NUMBER }, { "latency", "FIRST ms", CELL_NUMBER }, { "generation_time", "ALL ms", CELL_NUMBER },
	{ "finish_reason", "FINISH", CELL_TEXT }, { NULL, NULL, CELL_TEXT } };
static const struct column facts[] = {
	{ "id", "id", CELL_TEXT }, { "created_at", "time (UTC)", CELL_TIME }, { "model", "model", CELL_TEXT },
	{ "provider_name", "provider", CELL_TEXT }, { "upstream_id", "upstream id", CELL_TEXT }, { "api_type", "api", CELL_TEXT },
	{ "streamed", "streamed", CELL_TEXT }, { "cancelled", "cancelled", CELL_TEXT }, { "finish_reason", "finish", CELL_TEXT },
	{ "native_finish_reason", "native finish", CELL_TEXT }, { "native_tokens_prompt", "prompt tokens", CELL_TEXT },
	{ "native_tokens_cached", "  cached", CELL_TEXT }, { "native_tokens_completion", "completion tokens", CELL_TEXT },
	{ "native_tokens_reasoning", "  reasoning", CELL_TEXT }, { "usage", "charged, USD", CELL_TEXT }, { "cache_discount", "cache discount", CELL_TEXT },
	{ "latency", "first token, ms", CELL_TEXT }, { "generation_time", "generation, ms", CELL_TEXT },
	{ "session_id", "session", CELL_TEXT }, { "external_user", "external user", CELL_TEXT }, { "user_agent", "user agent", CELL_TEXT },
	{ NULL, NULL, CELL_TEXT } };
static const struct column attempts[] = {
	{ "provider_name", "ATTEMPT AT", CELL_TEXT }, { "endpoint_id", "ENDPOINT", CELL_TEXT }, { "status", "STATUS", CELL_NUMBER },
	{ "latency", "ms", CELL_NUMBER }, { NULL, NULL, CELL_TEXT } };

/* ------------------------------------------------ tail */

/* The last n rows, as texts in a ring. */
struct tail { char **rows; size_t n, seen; };

/* The record with the key that paid, which the wire does not tell. */
static char *row_text(const struct mg_store_generation *g)
{
	struct pool *p = pool_new(4 << 20);
	struct mg_view all = { 0 };
	struct buf answer, out, hash;
	char *text = NULL;

	buf_init(&answer, 1 << 20);
	buf_init(&out, 1 << 20);
	buf_init(&hash, 256);
	json_quote(&hash, (struct mg_str){ g->key_hash, strlen(g->key_hash) });
	if (p && generation_answer(g, NULL, &answer, NULL) == MG_OK && json_parse(p, buf_view(&answer), &all, NULL) == MG_OK) {
		struct json_edit edit = { "key_hash", buf_view(&hash) };

		json_splice(json_get(all, "data"), &edit, 1, &out);
		if (!out.failed)
			text = strndup(out.at, out.len);
	}
	buf_release(&hash);
	buf_release(&out);
	buf_release(&answer);
	pool_free(p);
	return text;
}

static bool on_row(void *arg, const void *row)
{
	struct tail *t = arg;
	char **slot = &t->rows[t->seen % t->n];
	char *text = row_text(row);

	if (text) {
		free(*slot);
		*slot = text;
		t->seen++;
	}
	return true;
}

static void forget(struct tail *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->rows[i]);
		t->rows[i] = NULL;
	}
	t->seen = 0;
}

/* Of an hour, a day, a month, ever: until there are enough, so that the end of a long history is cheap. */
static int read_tail(struct local *l, struct tail *t, const char *key)
{
	static const int64_t spans[] = { HOUR_MS, 24 * HOUR_MS, 30 * 24 * HOUR_MS, 0 };
	int64_t now = clock_wall_ms();
	int rc = EXIT_OK;

	for (size_t i = 0; !rc && i < sizeof(spans) / sizeof(spans[0]) && t->seen < t->n; i++) {
		forget(t);
		rc = local_rows(l, MG_ROW_GENERATION, key, spans[i] ? now - spans[i] : 0, on_row, t);
	}
	return rc;
}

static int print_tail(const struct cli *c, struct tail *t)
{
	size_t n = t->seen < t->n ? t->seen : t->n;
	struct buf out;
	int rc;

	buf_init(&out, BODY_MAX);
	buf_text(&out, "{\"data\":[");
	for (size_t i = 0; i < n; i++) {
		buf_text(&out, i ? "," : "");
		buf_text(&out, t->rows[(t->seen - n + i) % t->n]);
	}
	buf_text(&out, "]}");
	rc = table_list(c, buf_view(&out), columns);
	buf_release(&out);
	return rc;
}

int log_tail_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct tail t = { NULL, 0, 0 };
	struct cli c;
	long n = 0;
	int rc = cli_begin(&c, "log tail", argc, argv, 0, 0);

	rc = rc ? rc : cli_number(&c, "-n", 20, 1, TAIL_MAX, &n);
	rc = rc ? rc : local_store(&l, &c);
	if (!rc) {
		t.n = (size_t)n;
		t.rows = calloc(t.n, sizeof(*t.rows));
		rc = t.rows ? read_tail(&l, &t, cli_option(&c, "--key")) : cli_say(EXIT_FAILED, "no memory for %ld rows", n);
		rc = rc ? rc : print_tail(&c, &t);
		if (t.rows)
			forget(&t);
		free(t.rows);
	}
	local_close(&l);
	return rc;
}

/* ------------------------------------------------ show */

static void print_attempts(const struct cli *c, struct mg_str body)
{
	struct pool *p = pool_new(16 << 20);
	struct mg_view all, list = { 0 };
	struct buf out;

	if (p && json_parse(p, body, &all, NULL) == MG_OK)
		list = json_get(json_get(all, "data"), "provider_responses");
	if (json_kind(list) == MG_ARRAY) {
		buf_init(&out, 1 << 20);
		buf_text(&out, "{\"data\":");
		buf_str(&out, json_raw(list));
		buf_text(&out, "}");
		putchar('\n');
		table_list(c, buf_view(&out), attempts);
		buf_release(&out);
	}
	pool_free(p);
}

int log_show_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct buf out;
	struct cli c;
	int rc = cli_begin(&c, "log show", argc, argv, 1, 1);

	if (rc)
		return rc;
	buf_init(&out, 4 << 20);
	rc = remote_named(&c) ? remote_one(&c, &l, ANY_KEY, "/api/v1/generation?id=", &out) : local_generation(&l, &c, NULL, &out);
	rc = rc ? rc : table_one(&c, buf_view(&out), facts);
	if (!rc && c.output == OUTPUT_TABLE)
		print_attempts(&c, buf_view(&out));
	buf_release(&out);
	local_close(&l);
	return rc;
}
