/* credits.c - moongate credits show, add: the balance that requests are paid from, where credits are on. */
#include "account/wire.h"
#include "base/money.h"
#include "cli/remote.h"
#include "cli/table.h"

enum { BODY_MAX = 1 << 20 };

static const struct column shown[] = { { "total_credits", "paid in, USD", CELL_TEXT }, { "total_usage", "used, USD", CELL_TEXT }, { NULL, NULL, CELL_TEXT } };
static const struct column added[] = { { "id", "id", CELL_TEXT }, { "applied", "applied", CELL_TEXT }, { "total_credits", "paid in, USD", CELL_TEXT },
	{ "total_usage", "used, USD", CELL_TEXT }, { NULL, NULL, CELL_TEXT } };

/* On the store itself while no gateway runs, else over HTTP; both give the same body. */
static int exchange(const struct cli *c, struct mg_view body, struct mg_str text, struct buf *out)
{
	struct local l = { .ops = NULL };
	struct remote r = { .easy = NULL };
	struct err err = { 0 };
	int rc = remote_or_here(&r, c, &l);

	if (!rc && !l.accounts)
		rc = remote_call(&r, text.at ? "POST" : "GET", text.at ? "/api/admin/credits" : "/api/v1/credits", text, out);
	else if (!rc)
		rc = local_status(text.at ? wire_credit(l.accounts, body, out, &err) : wire_credits(l.accounts, out, &err), &err);
	remote_close(&r);
	local_close(&l);
	return rc;
}

int credits_show_run(int argc, char **argv)
{
	struct buf out;
	struct cli c;
	int rc = cli_begin(&c, "credits show", argc, argv, 0, 0);

	buf_init(&out, BODY_MAX);
	rc = rc ? rc : exchange(&c, (struct mg_view){ 0 }, (struct mg_str){ 0 }, &out);
	rc = rc ? rc : table_one(&c, buf_view(&out), shown);
	buf_release(&out);
	return rc;
}

/* {"amount":50,"id":"invoice-17"} in the pool. */
static int body_of(const struct cli *c, struct pool *p, struct mg_view *body, struct mg_str *text)
{
	const char *usd = c->argv[0], *digits = usd + (usd[0] == '-');
	struct mg_writer *w = json_writer(p);
	int64_t nusd;
	bool good = w && !money_parse((struct mg_str){ digits, strlen(digits) }, 9, &nusd, NULL);

	if (good) {
		json_open(w, NULL, '{');
		json_put_raw(w, "amount", (struct mg_str){ usd, strlen(usd) });
		if (cli_option(c, "--id"))
			json_put_text(w, "id", cli_option(c, "--id"));
		json_close(w);
		*text = json_written(w);
		good = text->at && json_parse(p, *text, body, NULL) == MG_OK;
	}
	return good ? EXIT_OK : cli_say(EXIT_USAGE, "credits add: '%.60s' is no amount in USD\nhint: 50, 12.50; -12.50 behind -- gives back", usd);
}

int credits_add_run(int argc, char **argv)
{
	struct pool *p = pool_new(BODY_MAX);
	struct mg_view body = { 0 };
	struct mg_str text;
	struct buf out;
	struct cli c;
	int rc = cli_begin(&c, "credits add", argc, argv, 1, 1);

	buf_init(&out, BODY_MAX);
	rc = rc ? rc : p ? body_of(&c, p, &body, &text) : cli_say(EXIT_FAILED, "no memory for the request");
	rc = rc ? rc : exchange(&c, body, text, &out);
	rc = rc ? rc : table_one(&c, buf_view(&out), added);
	buf_release(&out);
	pool_free(p);
	return rc;
}
