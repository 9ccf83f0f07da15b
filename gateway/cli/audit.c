/* audit.c - moongate audit: reads the ledger, beside a running gateway or without one. */
#include <stdio.h>
#include "base/money.h"
#include "cli/local.h"
#include "cli/table.h"

static void on_finding(void *arg, const char *text)
{
	report_line(arg, text);
}

struct counted { int64_t rows; money_sum charged; };

static bool count(void *arg, const void *row)
{
	const struct mg_store_generation *g = row;
	struct counted *n = arg;

	n->rows++;
	n->charged += g->charge_nusd;
	return true;
}

static bool count_rows(void *arg, const void *row)
{
	++*(int64_t *)arg;
	return true;
}

static int audit(struct local *l, struct report *r)
{
	struct counted generations = { 0, 0 };
	int64_t credits = 0, open = 0;
	struct buf usd;
	char why[256] = "";
	int found, rc = local_rows(l, MG_ROW_GENERATION, NULL, 0, count, &generations);

	rc = rc ? rc : local_rows(l, MG_ROW_CREDIT, NULL, 0, count_rows, &credits);
	rc = rc ? rc : local_rows(l, MG_ROW_INTENT, NULL, 0, count_rows, &open);
	if (rc)
		return rc;
	found = l->ops->audit(l->store, on_finding, r, why);
	if (found < 0) {
		report_end(r, 0);
		return cli_say(EXIT_FAILED, "the audit could not end: %s", why);
	}
	buf_init(&usd, 64);
	money_text(&usd, generations.charged > INT64_MAX ? INT64_MAX : (int64_t)generations.charged, 9);
	if (r->c->output == OUTPUT_TABLE)
		printf("%s: %lld generations that charged $%.*s, %lld credits, %lld holds open\n"
			"checked: the file's pages, debits against credits, one settlement and one adjustment a generation, totals a key and day\n%s: %d finding%s\n",
			l->db, (long long)generations.rows, (int)usd.len, usd.at, (long long)credits, (long long)open,
			found ? "not clean" : "clean", found, found == 1 ? "" : "s");
	buf_release(&usd);
	return report_end(r, found);
}

int audit_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct report report;
	struct cli c;
	int rc = cli_begin(&c, "audit", argc, argv, 0, 0);

	rc = rc ? rc : local_store(&l, &c);
	if (!rc) {
		report_begin(&report, &c);
		rc = audit(&l, &report);
		buf_release(&report.lines);
	}
	local_close(&l);
	return rc;
}
