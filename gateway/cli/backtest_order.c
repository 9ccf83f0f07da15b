#include <stdlib.h>
#include "cli/backtest_order.h"

enum { KEY_BYTES = 1 << 20 };
static const size_t memory_max = (size_t)4 << 30;	/* bytes of records: some millions */

struct place { int64_t at_ms; const char *id; const struct batch *batch; size_t row; };
struct course {
	struct rows *rows;
	struct purses *purses;
	struct batch *first, **last;
	size_t n, bytes;
	bool too_many;
};

/* ------------------------------------------------ purses */

static bool on_key(void *arg, const void *row)
{
	const struct mg_store_key *key = row;
	struct course *c = arg;
	struct pool *p = pool_new(KEY_BYTES);
	struct scope *own = purses_find(c->purses, key->hash);
	struct key_facts k;

	if (p && own && key_read(p, key, &k)) {
		scope_limit(own, k.limit_nusd, k.reset);
		scope_limit_own(own, k.include_byok);
	}
	pool_free(p);
	return own != NULL;
}

static bool on_credit(void *arg, const void *row)
{
	*(int64_t *)arg += ((const struct mg_store_credit *)row)->nusd;
	return true;
}

static void load(struct scope *s, const struct mg_store_sums *sums, int64_t at_ms)
{
	const struct spending charge = sums_charged(sums), own = sums_own(sums);

	if (s)
		scope_load(s, &charge, &own, at_ms);
}

static void on_sums(void *arg, const char *key_hash, const struct mg_store_sums *s)
{
	struct course *c = arg;

	load(purses_find(c->purses, key_hash), s, c->rows->since_ms);
}

/* All that was spent to this day; what came since is taken back as it is read. */
static int purses_fill(struct course *c)
{
	const int64_t at = c->rows->since_ms, since[3] = { window_start(WINDOW_DAILY, at), window_start(WINDOW_WEEKLY, at), window_start(WINDOW_MONTHLY, at) };
	struct mg_store_sums all = { .size = sizeof(all) };
	struct local *l = c->rows->local;
	struct scope *balance = purses_find(c->purses, "");
	int64_t bought = 0;
	char why[256] = "";
	int rc = local_rows(l, MG_ROW_KEY, NULL, 0, on_key, c);

	rc = rc ? rc : local_rows(l, MG_ROW_CREDIT, NULL, 0, on_credit, &bought);
	if (rc)
		return rc;
	if (l->ops->sums_each(l->store, since, on_sums, c, why) || l->ops->sums(l->store, NULL, since, &all, why))
		return cli_say(EXIT_FAILED, "%s", why);
	load(balance, &all, at);
	if (balance && json_is_true(json_object_get(json_object_get(l->conf.tree, "credits"), "enabled")))
		scope_limit(balance, bought > 0 ? bought : 0, WINDOW_TOTAL);
	return balance ? EXIT_OK : cli_say(EXIT_FAILED, "no memory for a backtest");
}

static void take_back(void *arg, const char *key_hash, struct amount a)
{
	struct course *c = arg;

	purses_spend(c->purses, key_hash, (struct amount){ -a.charge, -a.all }, c->rows->since_ms);
}

/* ------------------------------------------------ rows */

static bool hold(void *arg, struct batch *b)
{
	struct course *c = arg;

	*c->last = b;
	c->last = &b->next;
	c->n += b->n;
	c->bytes += sizeof(*b) + b->texts.len;
	c->too_many = c->bytes > memory_max;
	return !c->too_many;
}

/* What came in the same millisecond: by the id, so that each run is the same. */
static int by_time(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->at_ms != y->at_ms ? (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms) : strcmp(x->id, y->id);
}

static int take_all(struct course *c, struct tester *t)
{
	struct place *all = malloc((c->n + 1) * sizeof(*all));
	struct mg_store_generation g;
	struct tested row;
	size_t n = 0;

	if (!all)
		return cli_say(EXIT_FAILED, "no memory for a backtest");
	for (const struct batch *b = c->first; b; b = b->next)
		for (size_t i = 0; i < b->n; i++)
			all[n++] = (struct place){ b->rows[i].at_ms, b->texts.at + b->rows[i].copy, b, i };
	qsort(all, n, sizeof(*all), by_time);
	for (size_t i = 0; i < n; i++) {
		row = batch_row(all[i].batch, all[i].row, &g);
		if (*row.decision.json)
			tester_take(t, &row);
		else
			purses_spend(c->purses, g.key_hash, tested_amount(&g), g.at_ms);
	}
	free(all);
	return EXIT_OK;
}

int backtest_in_order(struct rows *r, struct tester *t)
{
	struct course c = { .rows = r, .purses = purses_new(), .last = &c.first };
	struct batch *next;
	int rc = c.purses ? purses_fill(&c) : cli_say(EXIT_FAILED, "no memory for a backtest");

	r->full = hold;
	r->charged = take_back;
	r->charges = true;
	r->arg = &c;
	tester_in_order(t, c.purses);
	rc = rc ? rc : rows_read(r);
	if (c.too_many)
		rc = cli_say(EXIT_FAILED, "too many decisions: those of limits and budgets have to be in memory in the order of their time\n"
			"hint: --sample 0.1, or a shorter --since");
	rc = rc ? rc : take_all(&c, t);
	for (struct batch *b = c.first; b; b = next) {
		next = b->next;
		batch_free(b);
	}
	tester_in_order(t, NULL);
	purses_free(c.purses);
	return rc;
}
