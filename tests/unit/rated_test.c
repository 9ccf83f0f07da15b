/* Prices that are run again, in the store: what waits, adjustments, sums, the audit. */
#include <signal.h>

#include "ledger/store_sql.h"
#include "tap.h"

static const struct mg_plugin *plugin;

static bool on_adjustment(void *arg, const void *row)
{
	const struct mg_store_adjustment *a = row;

	*(int64_t *)arg += a->refund_nusd + (strcmp(a->generation_id, "gen-r1") ? 1000000 : 0);
	return true;
}

static bool on_count(void *arg, const void *row)
{
	++*(size_t *)arg;
	return true;
}

static bool on_rated(void *arg, const void *row)
{
	const struct mg_store_generation *g = row;

	return *(bool *)arg = g->rated_ms == 7000 && g->charge_nusd == 60 && g->cost_nusd == 50 && !strcmp(g->attempt_id, "gen-r1-1");
}

static size_t unrated(void *h, const char *id, int64_t since_ms)
{
	size_t n = 0;

	return plugin->store->each(h, MG_ROW_UNRATED, id, since_ms, 0, on_count, &n, rig_why) ? 999 : n;
}

static int adjust(void *h, const char *id, int64_t nusd)
{
	return rig_put(h, MG_ROW_ADJUSTMENT, &(struct mg_store_adjustment){ sizeof(struct mg_store_adjustment), id, nusd, 7000 });
}

static void test_rated(void)
{
	static const int64_t since[3] = { 0, 0, 86400000 };
	struct mg_store_generation first = rig_generation("gen-r1", "gen-r1-1", 100), second = rig_generation("gen-r2", "gen-r2-1", 30),
		plain = rig_generation("gen-r3", "gen-r3-1", 5);
	struct mg_store_sums sums;
	void *h = rig_open("rated.db", false);
	int64_t refunds = 0;
	bool good = false;

	first.needs_rating = second.needs_rating = true;
	second.at_ms = 90000000;	/* of the next day */
	ok(h && !rig_put(h, MG_ROW_GENERATION, &first) && !rig_put(h, MG_ROW_GENERATION, &second) && !rig_put(h, MG_ROW_GENERATION, &plain), "two of three are to be rated");
	if (!h)
		return;
	ok(unrated(h, NULL, 0) == 2 && unrated(h, NULL, 80000000) == 1 && unrated(h, "gen-r1", 0) == 1 && !unrated(h, "gen-r3", 0), "by id and time");
	ok(adjust(h, "gen-r1", 101) == MG_EINVAL && adjust(h, "gen-r1", -1) == MG_EINVAL, "never above the charge, never below nothing");
	ok(adjust(h, "gen-r3", 1) == MG_EINVAL && strstr(rig_why, "not to be rated") && adjust(h, "gen-none", 1) == MG_EINVAL, "nothing that did not wait for it");
	ok(unrated(h, NULL, 0) == 2 && !plugin->store->sums(h, RIG_KEY, since, &sums, rig_why) && sums.total == 135, "what is refused changes nothing");
	ok(!adjust(h, "gen-r1", 40) && !adjust(h, "gen-r1", 40) && !adjust(h, "gen-r1", 7), "an adjustment, and the second time is no error");
	ok(!plugin->store->sums(h, RIG_KEY, since, &sums, rig_why) && sums.total == 95 && sums.daily == 95 && sums.monthly == 30, "it counts once, on its generation's day");
	ok(!plugin->store->each(h, MG_ROW_ADJUSTMENT, NULL, 0, 0, on_adjustment, &refunds, rig_why) && refunds == 40, "and is read back");
	ok(!plugin->store->each(h, MG_ROW_GENERATION, "gen-r1", 0, 0, on_rated, &good, rig_why) && good, "the generation's charge is what is left");
	ok(unrated(h, NULL, 0) == 1 && !adjust(h, "gen-r2", 0) && !unrated(h, NULL, 0), "no difference is a rating, too");
	plugin->store->close(h);
	ok(!rig_audited(plugin->store, "rated.db"), "the audit is clean");
	ok(strstr(rig_sql("rated.db", "SELECT sum(nusd), group_concat(account) FROM ledger WHERE nusd IN (40,-40)"), "0|sales,balance"), "both sides are in the ledger");
	ok(strstr(rig_sql("rated.db", "UPDATE adjustments SET refund_nusd=1"), "never change") && strstr(rig_sql("rated.db", "DELETE FROM adjustments"), "never go"), "it stays as it is");
	ok(strstr(rig_sql("rated.db", "INSERT INTO adjustments VALUES(99,'gen-r1',1,1)"), "UNIQUE"), "there is one for a generation");
	rig_sql("rated.db", "INSERT INTO adjustments VALUES(3,'gen-r3',6,1)");
	ok(rig_audited(plugin->store, "rated.db") == 2, "one above the charge: found, and that the day's total does not have it");
	rig_sql("rated.db", "INSERT INTO adjustments VALUES(99,'gen-99',0,1)");
	ok(rig_audited(plugin->store, "rated.db") == 3, "and one of nothing");
}

/* What the schemas before this one have stays, and gets what has come since. */
#define TO_6 "DROP TRIGGER generations_update; ALTER TABLE generations DROP COLUMN own_nusd; ALTER TABLE totals DROP COLUMN own_nusd;" \
	"CREATE TRIGGER generations_update BEFORE UPDATE OF charge_nusd ON generations BEGIN SELECT RAISE(ABORT,'a settled generation never changes'); END; PRAGMA user_version=6"
static const struct { const char *name, *file, *sql, *version; } olders[] = {
	{ "one of schema 5 is not only read", "older5.db", TO_6 "; DROP VIEW ledger; DROP TABLE unrated; DROP TABLE adjustments; PRAGMA user_version=5;"
		"CREATE VIEW ledger AS SELECT e.id, first, last, credit, name account, nusd FROM entries e JOIN accounts a ON a.id=debited", "has schema 5" },
	{ "nor one of schema 6", "older6.db", TO_6, "has schema 6" },
};

static void test_older(void)
{
	static const int64_t since[3] = { 0, 0, 0 };
	struct mg_store_sums sums = { .own_total = -1 };

	for (size_t i = 0; i < sizeof(olders) / sizeof(olders[0]); i++) {
		const char *file = olders[i].file;
		struct mg_store_generation g = rig_generation("gen-o1", "gen-o1-1", 100);
		void *h = rig_open(file, false);

		ok(h && !rig_put(h, MG_ROW_GENERATION, &g), "a store");
		if (!h)
			return;
		plugin->store->close(h);
		rig_sql(file, olders[i].sql);
		ok(!rig_open(file, true) && strstr(rig_why, olders[i].version), olders[i].name);
		h = rig_open(file, false);
		g = rig_generation("gen-o2", "gen-o2-1", 50);
		g.needs_rating = true;
		g.own_nusd = 9;
		ok(h && !rig_put(h, MG_ROW_GENERATION, &g) && !adjust(h, "gen-o2", 20), "but opened for writing it is brought up");
		ok(h && !plugin->store->sums(h, RIG_KEY, since, &sums, rig_why) && sums.total == 130 && sums.own_total == 9, "and counts what it could not");
		plugin->store->close(h);
		ok(strstr(rig_sql(file, "UPDATE generations SET own_nusd=0"), "never changes"), "for good");
		ok(!rig_audited(plugin->store, file), "with all that it had");
	}
}

/* One is committed, of the next one the process sees no end. */
static void rate_and_die(void)
{
	const struct mg_store *ops = plugin->store;
	const struct mg_store_adjustment a = { sizeof(a), "gen-k2", 20, 7000 };
	void *h = rig_open("killed.db", false);

	if (h && !adjust(h, "gen-k1", 10) && !ops->begin(h, rig_why) && !ops->put(h, MG_ROW_ADJUSTMENT, &a, rig_why))
		raise(SIGKILL);
	_exit(1);
}

static void test_killed(void)
{
	static const int64_t since[3] = { 0, 0, 0 };
	struct mg_store_sums sums = { 0 };
	void *h = rig_open("killed.db", false);
	int status = 0;
	pid_t pid;

	for (int i = 1; h && i <= 2; i++) {
		struct mg_store_generation g = rig_generation(i == 1 ? "gen-k1" : "gen-k2", i == 1 ? "gen-k1-1" : "gen-k2-1", 100);

		g.needs_rating = true;
		rig_put(h, MG_ROW_GENERATION, &g);
	}
	if (h)
		plugin->store->close(h);
	fflush(stdout);
	pid = fork();
	if (!pid)
		rate_and_die();
	waitpid(pid, &status, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !rig_audited(plugin->store, "killed.db"), "killed between the row and its commit: the audit is clean");
	h = rig_open("killed.db", false);
	ok(h && !plugin->store->sums(h, RIG_KEY, since, &sums, rig_why) && sums.total == 190 && unrated(h, NULL, 0) == 1, "the one before is whole, of the other there is nothing");
	ok(h && !adjust(h, "gen-k1", 10) && !adjust(h, "gen-k2", 20) && !plugin->store->sums(h, RIG_KEY, since, &sums, rig_why) && sums.total == 170, "a second run does the rest");
	if (h)
		plugin->store->close(h);
	ok(!rig_audited(plugin->store, "killed.db"), "and the audit is clean");
}

int main(void)
{
	plugin = rig_start();
	test_rated();
	test_older();
	test_killed();
	rig_clean();
	return tap_done();
}
