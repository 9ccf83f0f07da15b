#include "store/store.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "ledger/generation.h"
#include "ledger/recovery.h"
#include "ledger/store_sql.h"
#include "store/record.h"
#include "tap.h"

static const struct mg_plugin *plugin;

static struct mg_store_intent an_intent(const char *gen, const char *attempt, int64_t hold)
{
	return (struct mg_store_intent){ sizeof(struct mg_store_intent), attempt, gen, RIG_KEY, "acme/m", hold, 1000 };
}

/* ---- the plugin */

static bool on_generation(void *arg, const void *row)
{
	*(int64_t *)arg += ((const struct mg_store_generation *)row)->charge_nusd;
	return true;
}

struct seen { size_t n, letters; };

static bool on_seen(void *arg, const void *row)
{
	struct seen *s = arg;

	s->n++;
	s->letters += strlen(((const struct mg_store_generation *)row)->model);
	return true;
}

static bool on_nothing(void *arg, const void *row)
{
	ok(false, "no row");
	return false;
}

static bool on_endpoint(void *arg, const void *row)
{
	const struct mg_store_endpoint *e = row;
	struct seen *s = arg;

	s->n++;
	s->letters += strlen(e->json);
	return true;
}

static bool on_own(void *arg, const void *row)
{
	*(int64_t *)arg += ((const struct mg_store_generation *)row)->own_nusd;
	return true;
}

static bool on_decided(void *arg, const void *row)
{
	struct seen *s = arg;

	s->n++;
	s->letters += strlen(((const struct mg_store_decision *)row)->key_hash);
	return true;
}

static void test_rows(void)
{
	const struct mg_store *ops = plugin->store;
	struct mg_store_generation g = rig_generation("g1", "g1-1", 40);
	struct mg_store_intent i = an_intent("g1", "g1-1", 100);
	struct mg_store_credit c = { sizeof(c), "pay-1", 500, 1000 };
	struct mg_store_sums s;
	const int64_t since[3] = { 0, 86400000, 0 };
	void *h = rig_open("a.db", false);
	int64_t charged = 0;
	char many[32];

	ok(h, "a store is made where there was none");
	ok(!rig_put(h, MG_ROW_INTENT, &i) && rig_count(ops, h, MG_ROW_INTENT, NULL) == 1, "an intent is open");
	ok(!rig_put(h, MG_ROW_GENERATION, &g) && !rig_count(ops, h, MG_ROW_INTENT, NULL), "its generation resolves it");
	g.charge_nusd = 999;
	ok(!rig_put(h, MG_ROW_GENERATION, &g) && !rig_put(h, MG_ROW_INTENT, &i), "both a second time: no error");
	ops->each(h, MG_ROW_GENERATION, "g1", 0, 0, on_generation, &charged, rig_why);
	ok(charged == 40 && !rig_count(ops, h, MG_ROW_INTENT, NULL), "and no change");
	i = an_intent("g1", "g1-2", 100);
	ok(!rig_put(h, MG_ROW_INTENT, &i) && !rig_count(ops, h, MG_ROW_INTENT, NULL), "nor does another attempt of it open a hold");
	ok(!rig_put(h, MG_ROW_CREDIT, &c) && !rig_put(h, MG_ROW_CREDIT, &c) && rig_count(ops, h, MG_ROW_CREDIT, NULL) == 1,
		"a payment that is told twice is one");
	g = rig_generation("g2", "g2-1", -1);
	ok(rig_put(h, MG_ROW_GENERATION, &g) == MG_EINVAL, "a negative charge is refused");
	g = rig_generation("g2", "g3-1", 1);
	ok(rig_put(h, MG_ROW_GENERATION, &g) == MG_EINVAL && strstr(rig_why, "does not begin with"), "an attempt of another generation, too");
	g = rig_generation("g2", "g2-1", INT64_MAX);
	ok(rig_put(h, MG_ROW_GENERATION, &g) == MG_EINVAL, "and one that no bill can be");
	g = rig_generation("g3", "g3-1", 2);
	g.at_ms = 86400000;
	rig_put(h, MG_ROW_GENERATION, &g);
	ok(!ops->sums(h, RIG_KEY, since, &s, rig_why) && s.total == 42 && s.daily == 42 && s.weekly == 2, "sums in all and since a midnight");
	ok(!ops->sums(h, "nobody", since, &s, rig_why) && !s.total, "of a key without charges: none");
	for (int rc = ops->begin(h, rig_why), n = 0; !rc && n < 20; n++) {
		snprintf(many, sizeof(many), "huge-%d", n);
		g = rig_generation(many, many, INT64_C(1000000000000000000));
		rc = ops->put(h, MG_ROW_GENERATION, &g, rig_why);
	}
	ok(ops->commit(h, rig_why), "a day that sums to more than is counted is not taken for a small one");
	ops->rollback(h);
	ok(ops->audit(h, rig_finding, NULL, rig_why) == 0, "the audit finds nothing");
	ok(!ops->backup(h, rig_path("copy.db"), rig_why) && ops->backup(h, rig_path("copy.db"), rig_why) == MG_EINVAL, "a backup, never over a file");
	ops->close(h);
	h = rig_open("copy.db", true);
	ok(h && rig_count(ops, h, MG_ROW_GENERATION, RIG_KEY) == 2 && !ops->audit(h, rig_finding, NULL, rig_why), "the copy has it all");
	ok(h && ops->begin(h, rig_why) == MG_EDENIED, "who reads does not write");
	ops->close(h);
}

/* What customers' own accounts took, beside the charges: by key and day, once. */
static void test_own(void)
{
	const struct mg_store *ops = plugin->store;
	struct mg_store_generation g[] = { rig_generation("o1", "o1-1", 0), rig_generation("o2", "o2-1", 5), rig_generation("o3", "o3-1", 7), rig_generation("o4", "o4-1", 0) };
	const int64_t since[3] = { 0, 86400000, 172800000 };
	struct mg_store_sums s = { .total = -1 }, all = { .total = -1 };
	void *h = rig_open("own.db", false);
	bool good = h;

	g[0].own_nusd = 100;
	g[1].own_nusd = 20;
	g[3].own_nusd = 1000;
	g[1].at_ms = g[2].at_ms = 86400000;
	g[3].key_hash = "another";
	ops->begin(h, rig_why);
	for (size_t i = 0; i < sizeof(g) / sizeof(g[0]); i++)
		good = good && !ops->put(h, MG_ROW_GENERATION, &g[i], rig_why);
	good = good && !ops->put(h, MG_ROW_GENERATION, &g[0], rig_why) && !ops->commit(h, rig_why) && !rig_put(h, MG_ROW_GENERATION, &g[0]);
	ok(good && !ops->sums(h, RIG_KEY, since, &s, rig_why) && s.total == 12 && s.own_total == 120 && s.own_daily == 120 && s.own_weekly == 20 && !s.own_monthly,
		"what own accounts took is summed for itself, also where nothing was charged");
	ok(!ops->sums(h, NULL, since, &all, rig_why) && all.own_total == 1120 && all.total == 12, "and of all keys");
	all.own_total = 0;
	ops->each(h, MG_ROW_GENERATION, "o1", 0, 0, on_own, &all.own_total, rig_why);
	ok(all.own_total == 100, "a row has it back");
	g[0] = rig_generation("o5", "o5-1", 1);
	g[0].own_nusd = -1;
	ok(rig_put(h, MG_ROW_GENERATION, &g[0]) == MG_EINVAL, "below zero it is refused");
	ok(!ops->audit(h, rig_finding, NULL, rig_why), "the audit agrees");
	ops->close(h);
	ok(strstr(rig_sql("own.db", "UPDATE generations SET own_nusd=1"), "never changes"), "and nobody changes it");
}

/* A journal tells it, and reads what was written before there was any. */
static void test_own_journalled(void)
{
	struct mg_store_generation g = rig_generation("j1", "j1-1", 3);
	enum mg_store_row kind;
	union record_row row;
	size_t sizes[4];
	bool same = true;
	struct buf b;

	buf_init(&b, 1 << 12);
	for (int i = 0; i < 4; i++) {
		buf_reset(&b);
		g.needs_rating = i & 1;
		g.own_nusd = i & 2 ? 77 : 0;
		record_settle(&b, &g);
		sizes[i] = b.len;
		same &= record_read(b.at, b.len, &kind, &row) == (int64_t)b.len && kind == MG_ROW_GENERATION && row.generation.needs_rating == (i & 1) &&
			row.generation.own_nusd == g.own_nusd && row.generation.charge_nusd == 3;
	}
	ok(same && sizes[1] == sizes[0] + 8 && sizes[2] == sizes[0] + 16 && sizes[3] == sizes[2], "in the journal it is said where there is some");
	buf_release(&b);
}

/* What a transaction gathers is there for who reads in it, and gone with it. */
static void test_one_transaction(void)
{
	const struct mg_store *ops = plugin->store;
	struct mg_store_intent i = an_intent("t1", "t1-1", 100), later = an_intent("t2", "t2-1", 100);
	struct mg_store_generation g = rig_generation("t1", "t1-2", 40);
	const int64_t since[3] = { 0, 0, 0 };
	struct mg_store_sums s = { .total = -1 };
	void *h = rig_open("t.db", false);
	bool good;

	ops->begin(h, rig_why);
	good = !ops->put(h, MG_ROW_INTENT, &i, rig_why) && !ops->put(h, MG_ROW_INTENT, &later, rig_why);
	ok(good && rig_count(ops, h, MG_ROW_INTENT, NULL) == 2, "an intent is seen before the commit");
	good = !ops->put(h, MG_ROW_GENERATION, &g, rig_why) && !ops->sums(h, RIG_KEY, since, &s, rig_why);
	ok(good && s.total == 40 && rig_count(ops, h, MG_ROW_INTENT, NULL) == 1, "a charge, too; another attempt resolves it");
	ops->rollback(h);
	ok(!rig_count(ops, h, MG_ROW_INTENT, NULL) && !ops->sums(h, RIG_KEY, since, &s, rig_why) && !s.total, "a rollback leaves nothing of it");
	ops->begin(h, rig_why);
	good = !ops->put(h, MG_ROW_INTENT, &i, rig_why) && !ops->put(h, MG_ROW_GENERATION, &g, rig_why) && !ops->put(h, MG_ROW_INTENT, &later, rig_why);
	ok(good && !ops->commit(h, rig_why) && rig_count(ops, h, MG_ROW_INTENT, NULL) == 1, "one that is resolved at once is never open");
	g = rig_generation("t2", "t2-1", 2);
	ok(!rig_put(h, MG_ROW_GENERATION, &g) && !rig_count(ops, h, MG_ROW_INTENT, NULL), "the other one is resolved later");
	ok(!ops->sums(h, RIG_KEY, since, &s, rig_why) && s.total == 42 && !ops->audit(h, rig_finding, NULL, rig_why), "and all adds up");
	ops->begin(h, rig_why);
	for (int n = 0; n < 4000 && good; n++) {
		char gen[32], attempt[40], key[32];

		snprintf(gen, sizeof(gen), "many-%d", n);
		snprintf(attempt, sizeof(attempt), "%s-1", gen);
		snprintf(key, sizeof(key), "key-%d", n % 1400);
		i = an_intent(gen, attempt, 1);
		g = rig_generation(gen, attempt, 3);
		g.key_hash = key;
		good = !ops->put(h, MG_ROW_INTENT, &i, rig_why) && (n % 3 == 0 || !ops->put(h, MG_ROW_GENERATION, &g, rig_why));
	}
	ok(good && !ops->commit(h, rig_why) && rig_count(ops, h, MG_ROW_INTENT, NULL) == 1334 && !ops->audit(h, rig_finding, NULL, rig_why) &&
		!ops->sums(h, "key-1", since, &s, rig_why) && s.total == 6, "of more than it gathers at a time nothing is lost");
	ops->close(h);
}

/* What came late, or when a clock was wrong, is found by its time all the same. */
static void test_times(void)
{
	const struct mg_store *ops = plugin->store;
	static const int64_t at_s[] = { 1000, 1001, 1100, 1055, 9000000, 1200, 1201, 1050 };
	void *h = rig_open("times.db", false);
	bool good = true;

	for (int n = 0; n < 8; n++) {
		char gen[16], attempt[20];
		struct mg_store_generation g = rig_generation(gen, attempt, 1);

		snprintf(gen, sizeof(gen), "at%d", n);
		snprintf(attempt, sizeof(attempt), "at%d-1", n);
		g.at_ms = at_s[n] * 1000;
		good &= !rig_put(h, MG_ROW_GENERATION, &g);
	}
	for (int64_t since = 0; good && since < 1300; since++) {
		struct seen seen = { 0, 0 };
		size_t n = 0;

		for (int i = 0; i < 8; i++)
			n += at_s[i] >= since;
		good = !ops->each(h, MG_ROW_GENERATION, since % 2 ? NULL : RIG_KEY, since * 1000, 0, on_seen, &seen, rig_why) && seen.n == n;
	}
	ok(good, "rows since a time: all that are, and no others");
	ok(!ops->each(h, MG_ROW_GENERATION, NULL, 9000001000, 0, on_nothing, NULL, rig_why) && !ops->audit(h, rig_finding, NULL, rig_why), "after the last there is none");
	ops->close(h);
}

/* Who asked which model of whom is kept once; a rollback takes the new ones with it. */
static void test_parties(void)
{
	const struct mg_store *ops = plugin->store;
	struct mg_store_generation g = rig_generation("p1", "p1-1", 1);
	struct mg_store_decision alone = { sizeof(alone), "p0", 5, "{\"alone\":1}", RIG_KEY, 0 };
	struct seen seen = { 0, 0 };
	void *h = rig_open("p.db", false);
	char longer[300];
	bool good;

	g.decision = "{\"with\":1}";
	good = !ops->begin(h, rig_why) && !ops->put(h, MG_ROW_GENERATION, &g, rig_why);
	ops->rollback(h);
	g.model = "other";
	good = good && !rig_put(h, MG_ROW_GENERATION, &g);
	memset(longer, 'm', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	for (int n = 2; n < 6 && good; n++) {
		char gen[16], attempt[20];

		snprintf(gen, sizeof(gen), "p%d", n);
		snprintf(attempt, sizeof(attempt), "p%d-1", n);
		g = rig_generation(gen, attempt, 1);
		g.model = n % 2 ? longer : "m";
		good = !rig_put(h, MG_ROW_GENERATION, &g);
	}
	good = good && !rig_put(h, MG_ROW_DECISION, &alone);
	ok(good && !ops->each(h, MG_ROW_GENERATION, NULL, 0, 0, on_seen, &seen, rig_why) && seen.n == 5 && seen.letters == 5 + 299 + 1 + 299 + 1,
		"each row has its own model's name, also after a rollback");
	seen = (struct seen){ 0, 0 };
	ok(!ops->each(h, MG_ROW_DECISION, NULL, 0, 0, on_decided, &seen, rig_why) && seen.n == 2 && seen.letters == 2 * 64,
		"decisions: a generation's, and one that has none; both have their key");
	ok(!ops->each(h, MG_ROW_DECISION, "p1", 0, 0, on_decided, &seen, rig_why) && seen.n == 3 && !ops->audit(h, rig_finding, NULL, rig_why), "by its id");
	ok(rig_count(ops, h, MG_ROW_REFUSED, NULL) == 1 && rig_put(h, MG_ROW_REFUSED, &alone) == MG_EINVAL, "and that one for itself, which is only read so");
	for (int n = 0; n < 2; n++)	/* the second is another text of the same hash: the first one stays */
		good = good && !rig_put(h, MG_ROW_ENDPOINT, &(struct mg_store_endpoint){ sizeof(struct mg_store_endpoint), "00aa", n ? "{\"n\":1}" : "{}" });
	good = good && !rig_put(h, MG_ROW_ENDPOINT, &(struct mg_store_endpoint){ sizeof(struct mg_store_endpoint), "00ab", "{}" });
	seen = (struct seen){ 0, 0 };
	ok(good && !ops->each(h, MG_ROW_ENDPOINT, "00aa", 0, 0, on_endpoint, &seen, rig_why) && seen.n == 1 && seen.letters == 2 &&
		rig_count(ops, h, MG_ROW_ENDPOINT, NULL) == 2, "what decisions name by a hash is there once, as it was first");
	ops->close(h);
}

static void test_tampering(void)
{
	void *h;

	ok(strstr(rig_sql("a.db", "UPDATE entries SET nusd=1"), "entries never change"), "no entry can be changed");
	ok(strstr(rig_sql("a.db", "DELETE FROM entries"), "entries never go"), "nor taken away");
	ok(strstr(rig_sql("a.db", "UPDATE generations SET charge_nusd=0"), "never changes"), "nor a settled charge");
	ok(strstr(rig_sql("a.db", "INSERT INTO entries(first,last,debited,credited,nusd) VALUES(1,1,1,2,1.5)"), "cannot store REAL"), "money is an integer");
	ok(strstr(rig_sql("a.db", "INSERT INTO entries(first,last,debited,credited,nusd) VALUES(1,1,2,2,1)"), "CHECK"), "a movement has two sides");
	ok(strstr(rig_sql("a.db", "SELECT sum(nusd), group_concat(account) FROM ledger WHERE first=1"), "0|balance,upstream,loss,sales,payable,payable"),
		"and both can be read");
	rig_sql("a.db", "INSERT INTO entries(first,last,debited,credited,nusd) VALUES(1,1,1,2,40)");
	ok(rig_audited(plugin->store, "a.db") == 1, "a charge that is posted twice is found");
	rig_sql("a.db", "INSERT INTO entries(first,last,debited,credited,nusd) VALUES(99,99,1,2,7)");
	ok(rig_audited(plugin->store, "a.db") == 2, "and one of nothing");
	h = rig_open("a.db", false);
	ok(!h && strstr(rig_why, "finds 2 things wrong, such as: entry") && strstr(rig_why, "hint: moongate audit"), "then it is not opened for money (R100)");
	rig_sql("copy.db", "UPDATE totals SET nusd=nusd+1 WHERE day=0");
	ok(rig_audited(plugin->store, "copy.db") == 1, "a total that is off by one nanodollar: found");
	rig_sql("copy.db", "UPDATE totals SET nusd=nusd-1 WHERE day=0; UPDATE minutes SET first=first+1 WHERE minute=0");
	ok(rig_audited(plugin->store, "copy.db") == 1, "a row that its time does not find: found");
	rig_sql("copy.db", "PRAGMA user_version=99");
	h = rig_open("copy.db", false);
	ok(!h && strstr(rig_why, "schema 99") && strstr(rig_why, "hint: run the version that made it"), "a newer schema is refused, in words");
	rig_sql("copy.db", "PRAGMA user_version=4");
	h = rig_open("copy.db", false);
	ok(!h && strstr(rig_why, "schema 4") && strstr(rig_why, "hint: move it away"), "one too old to be brought up, too, with what can be done");
	rig_sql("other.db", "CREATE TABLE t(x)");
	ok(!rig_open("other.db", false) && strstr(rig_why, "no store of this gateway"), "and somebody else's database");
}

/* ---- journal and thread */

static struct store *started(size_t *replayed)
{
	struct err err = { 0 };
	struct store *s = store_open(plugin, rig_dir, false, replayed, &err);

	if (!s)
		printf("# %s\n", err.msg);
	return s;
}

struct counts { size_t intents, generations, decisions, endpoints; int findings; };

static int count_all(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	struct counts *c = arg;

	c->intents = rig_count(ops, handle, MG_ROW_INTENT, NULL);
	c->generations = rig_count(ops, handle, MG_ROW_GENERATION, NULL);
	c->decisions = rig_count(ops, handle, MG_ROW_DECISION, NULL);
	c->endpoints = rig_count(ops, handle, MG_ROW_ENDPOINT, NULL);
	c->findings = 0;
	return MG_OK;
}

static int and_fail(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	struct mg_store_generation g = rig_generation("undone", "undone-1", 5);

	ops->put(handle, MG_ROW_GENERATION, &g, rig_why);
	return fail(err, MG_EPROTO - 10, "changed my mind");
}

static _Atomic(uint64_t) committed_us;

static void on_committed(uint64_t us)
{
	atomic_store(&committed_us, us);
}

static void test_thread(void)
{
	struct err err = { 0 };
	struct counts c;
	size_t replayed = 9;
	struct store *s = started(&replayed);
	struct journal *j = s ? store_journal(s, 0, &err) : NULL;
	char gen[32], attempt[40];

	ok(s && j && !replayed && !store_journal(s, 0, NULL), "one journal a worker");
	store_on_commit(s, on_committed);
	for (int i = 0; i < 1000; i++) {
		snprintf(gen, sizeof(gen), "gen-%d", i);
		snprintf(attempt, sizeof(attempt), "%s-1", gen);
		struct mg_store_intent in = an_intent(gen, attempt, 10);
		struct mg_store_generation g = rig_generation(gen, attempt, 10);

		if (journal_intent(j, &in, &err) || (i % 2 && journal_settle(j, &g, rig_permit(SINK_RECORD), rig_permit(SINK_DECISION), &err)))
			break;
		journal_note(j, &(struct mg_store_decision){ sizeof(struct mg_store_decision), gen, 1000, "{}", RIG_KEY, 0 },
			rig_permit(SINK_DECISION));
		if (i % 100 == 0 && journal_endpoint(j, &(struct mg_store_endpoint){ sizeof(struct mg_store_endpoint), i ? "00ab" : "00aa", "{}" }, &err))
			break;
	}
	ok(!store_run(s, count_all, &c, &err) && c.intents == 500 && c.generations == 500 && c.decisions == 1000 && c.endpoints == 2,
		"a job sees all that was journalled before it");
	ok(!journal_bytes(j) && !store_queue_length(s) && store_healthy(s) && atomic_load(&committed_us), "then nothing waits");
	ok(store_run(s, and_fail, NULL, &err) == MG_EPROTO - 10 && !strcmp(err.msg, "changed my mind"), "a job that fails says why");
	ok(!store_run(s, count_all, &c, &err) && c.generations == 500, "and is undone");
	store_close(s);
	ok(access(rig_path("journal-0-0"), F_OK), "a clean end leaves no journal");
}

/* The bill goes in, however much there would be to say about it. */
static void test_large(void)
{
	struct err err = { 0 };
	struct counts before, c;
	struct store *s = started(NULL);
	struct journal *j = s ? store_journal(s, 0, &err) : NULL;
	struct mg_store_intent in = an_intent("gen-large", "gen-large-1", 10);
	struct mg_store_generation g = rig_generation("gen-large", "gen-large-1", 10);
	char *decision = malloc(5 << 20);

	memset(decision, 'x', 5 << 20);
	decision[(5 << 20) - 1] = '\0';
	g.decision = decision;
	ok(j && !store_run(s, count_all, &before, &err) && !journal_intent(j, &in, &err) &&
		!journal_settle(j, &g, rig_permit(SINK_RECORD), rig_permit(SINK_DECISION), &err) && !store_run(s, count_all, &c, &err) &&
		c.generations == before.generations + 1 && c.intents == before.intents && c.decisions == before.decisions, "a decision larger than an entry: the bill without it");
	free(decision);
	store_close(s);
}

static void test_recovery(void)
{
	struct err err = { 0 };
	struct recovered r;
	struct counts c;
	struct store *s = started(NULL);

	ok(!ledger_recover(s, &r, &err) && r.generations == 500 && r.loss_nusd == 5000, "holds that were left open are settled as a loss");
	ok(!store_run(s, count_all, &c, &err) && !c.intents && c.generations == 1000, "each generation has its row");
	ok(!ledger_recover(s, &r, &err) && !r.generations, "once");
	store_close(s);
}

/* More attempts than are looked at together: a generation's are settled as one, with the most that was held for it. */
static void test_recovery_attempts(void)
{
	enum { GENERATIONS = 300, ATTEMPTS = 3 };
	struct err err = { 0 };
	struct recovered r;
	struct counts before, c;
	struct store *s = started(NULL);
	struct journal *j = s ? store_journal(s, 0, &err) : NULL;
	char gen[32], attempt[40];
	bool in = j && !store_run(s, count_all, &before, &err);

	for (int i = 0; i < GENERATIONS * ATTEMPTS && in; i++) {
		snprintf(gen, sizeof(gen), "gen-tries-%03d", i / ATTEMPTS);
		snprintf(attempt, sizeof(attempt), "%s-%d", gen, 8 + i % ATTEMPTS);	/* 8, 9, 10 */
		struct mg_store_intent one = an_intent(gen, attempt, 10 * (1 + i % ATTEMPTS));

		in = !journal_intent(j, &one, &err);
	}
	ok(in && !ledger_recover(s, &r, &err) && r.generations == GENERATIONS && r.loss_nusd == GENERATIONS * 10 * ATTEMPTS,
		"generations of several attempts: one loss each, of the highest hold");
	ok(!store_run(s, count_all, &c, &err) && !c.intents && c.generations == before.generations + GENERATIONS, "and one row");
	store_close(s);
}

/* A journal as a killed process leaves it. */
static void leave(const char *name, const struct buf *b, size_t len, size_t hole)
{
	int fd = open(rig_path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (hole)
		b->at[hole] ^= 0x40;
	if (write(fd, b->at, len) != (ssize_t)len)
		printf("# short write\n");
	close(fd);
}

static void test_replay(void)
{
	static const struct { const char *name; size_t cut, hole, rows; } cases[] = {
		{ "a whole journal", 0, 0, 3 },
		{ "a torn end costs the last entry only", 1, 0, 2 },
		{ "a torn end inside a header", 999, 0, 2 },
		{ "a torn middle costs that entry only", 0, 1, 2 },
	};
	struct err err = { 0 };
	struct buf b;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t ends[3], replayed = 99, cut;
		struct counts c, before;
		struct store *s = started(NULL);

		store_run(s, count_all, &before, &err);
		store_close(s);
		buf_init(&b, 1 << 20);
		for (int n = 0; n < 3; n++) {
			char gen[32], attempt[40];

			snprintf(gen, sizeof(gen), "r%zu-%d", i, n);
			snprintf(attempt, sizeof(attempt), "%s-1", gen);
			struct mg_store_generation g = rig_generation(gen, attempt, 1);

			record_settle(&b, &g);
			ends[n] = b.len;
		}
		cut = cases[i].cut == 999 ? b.len - ends[1] - 5 : cases[i].cut;
		leave("journal-7-1", &b, b.len - cut, cases[i].hole ? ends[0] + 40 : 0);
		s = started(&replayed);
		ok(s && replayed == cases[i].rows && !store_run(s, count_all, &c, &err) &&
			c.generations == before.generations + cases[i].rows && access(rig_path("journal-7-1"), F_OK), cases[i].name);
		store_close(s);
		buf_release(&b);
	}
}

static void test_refused(void)
{
	struct err err = { 0 };
	struct store *s = started(NULL);
	struct journal *j = store_journal(s, 3, &err);
	struct mg_store_generation bad = rig_generation("bad", "bad-1", -5), good = rig_generation("good", "good-1", 5);
	struct counts c, before;

	store_run(s, count_all, &before, &err);
	journal_settle(j, &bad, rig_permit(SINK_RECORD), rig_permit(SINK_DECISION), &err);
	journal_settle(j, &good, rig_permit(SINK_RECORD), rig_permit(SINK_DECISION), &err);
	ok(!store_run(s, count_all, &c, &err) && c.generations == before.generations + 1 && store_healthy(s),
		"a row that the store will never take holds up nothing");
	ok(!access(rig_path("refused.journal"), F_OK), "and is kept aside");
	store_close(s);
}

static void test_second(void)
{
	struct err err = { 0 };
	struct store *s = started(NULL), *second = store_open(plugin, rig_dir, false, NULL, &err);
	void *reader = rig_open("moongate.db", true);

	ok(!second && err.rc == MG_EDENIED && strstr(err.msg, "in use by another process"), "a second writer is refused, in words (R103)");
	ok(reader, "a reader is not");
	plugin->store->close(reader);
	store_close(s);
	ok(rig_audited(plugin->store, "moongate.db") == 0, "the audit is clean");
}

/* ---- the record */

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* Both of its texts, into the row; how long the first is. */
static size_t kept(const struct generation *g, struct buf *b, struct mg_store_generation *row)
{
	struct err err = { 0 };
	size_t len;

	buf_reset(b);
	if (generation_write(g, b, &err))
		return 0;
	len = b->len;
	buf_put(b, "", 1);
	generation_labels(g, rig_permit(SINK_RECORD), b);
	buf_put(b, "", 1);
	row->json = b->at;
	row->labels = b->at + len + 1;
	return len;
}

/* What goes without saying, what is null in its place, and what is something else. */
static void test_usual(struct pool *p, struct buf *b)
{
	static const struct { const char *finish, *native, *api, *tier, *model, *provider, *endpoint; enum usage_source source; size_t most; } cases[] = {
		{ "stop", "stop", "completions", "default", "m", "One", "m@one", USAGE_REPORTED, 200 },
		{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, USAGE_NONE, 300 },
		{ "stop", NULL, "completions", "flex", "m/x", "Two", "m/x@one", USAGE_COUNTED, 300 },
		{ NULL, "end_turn", "embeddings", NULL, "other", "One", "odd", USAGE_ESTIMATED, 300 },
		{ "length", "max", "completions", "default", "m", NULL, "m", USAGE_REPORTED, 300 },
	};
	struct mg_store_generation row = rig_generation("gen-1", "gen-1-1", 1);
	struct generation g, back;
	struct err err = { 0 };
	bool good = true;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct attempt_record tried = { .provider_name = cases[i].provider, .endpoint_id = cases[i].endpoint, .model_permaslug = cases[i].model, .status = 200, .latency = 7 };

		generation_init(&g);
		g.id = g.request_id = "gen-1";
		g.model = "m";
		g.provider_name = "One";
		g.finish_reason = cases[i].finish;
		g.native_finish_reason = cases[i].native;
		g.api_type = cases[i].api;
		g.service_tier = cases[i].tier;
		g.usage_source = cases[i].source;
		g.attempts = &tried;
		g.n_attempts = 1;
		good &= kept(&g, b, &row) - 1 < cases[i].most;
		good &= !generation_read(&row, p, &back, &err) && same_text(back.finish_reason, g.finish_reason) && back.usage_source == g.usage_source &&
			same_text(back.native_finish_reason, g.native_finish_reason) && same_text(back.api_type, g.api_type) &&
			same_text(back.service_tier, g.service_tier) && same_text(back.attempts[0].model_permaslug, tried.model_permaslug) &&
			same_text(back.attempts[0].provider_name, tried.provider_name) && same_text(back.attempts[0].endpoint_id, tried.endpoint_id);
		if (!good)
			printf("# %zu: %s\n", i, b->at);
	}
	ok(good, "what goes without saying comes back, and so does what is null in its place");
}

static void test_record(void)
{
	struct generation g, back;
	struct buf b, answer, none;
	struct err err = { 0 };
	struct pool *p = pool_new(1 << 20);
	struct attempt_record tried[] = { { .provider_name = "Azure", .endpoint_id = "azure/m", .status = 429, .latency = 80 },
		{ .provider_name = "Open\"AI", .endpoint_id = "openai/m", .model_permaslug = "m-1", .status = 200, .latency = 420, .is_byok = true } };
	struct mg_store_generation row = rig_generation("gen-1", "gen-1-2", 140000);

	generation_init(&g);
	g.usage_nusd = 140000;
	g.native_prompt = 7;
	g.cache_discount_nusd = -5;
	g.attempts = tried;
	g.n_attempts = 2;
	g.latency = 420;
	g.streamed = g.needs_rating = g.needs_reconcile = true;
	g.is_byok = true;
	g.user_agent = "\xc3\xa9\n";
	g.usage_source = USAGE_COUNTED;
	buf_init(&b, 1 << 16);
	buf_init(&answer, 1 << 16);
	ok(kept(&g, &b, &row) - 1 < 350, "a record is written, briefly");
	g.to_rate = &(struct mg_usage){ .size = sizeof(struct mg_usage), .input = 7, .cache_write_1h = 3, .seconds = 9 };
	g.rate_endpoint = "openai/m@o";
	kept(&g, &b, &row);
	ok(!generation_answer(&row, NULL, &answer, &err), "and answered");
	buf_put(&answer, "", 1);
	ok(strstr(answer.at, "{\"data\":{\"id\":\"gen-1\"") == answer.at && strstr(answer.at, "\"total_cost\":0.00014,") &&
		strstr(answer.at, "\"moderation_latency\":null") && strstr(answer.at, "\"status\":429") && !strstr(answer.at, "usage_source"),
		"with the members of the API, exact money, null for the unknown, and nothing of our own");
	ok(strstr(answer.at, "\"created_at\":\"1970-01-01T00:00:01.000Z\",\"model\":\"m\"") && strstr(answer.at, "\"id\":\"gen-1-2\",\"endpoint_id\":\"openai/m\""),
		"and what the row knows");
	ok(!generation_read(&row, p, &back, &err) && back.native_prompt == 7 && back.native_completion == UNKNOWN && back.cache_discount_nusd == -5 &&
		back.streamed && !back.cancelled && back.is_byok && back.needs_rating && back.needs_reconcile &&
		back.to_rate && back.to_rate->input == 7 && !back.to_rate->cached && back.to_rate->cache_write_1h == 3 && back.to_rate->seconds == 9 && !strcmp(back.rate_endpoint, "openai/m@o") && back.usage_source == USAGE_COUNTED && !strcmp(back.user_agent, g.user_agent) &&
		back.n_attempts == 2 && !strcmp(back.attempts[1].provider_name, "Open\"AI") && back.attempts[1].is_byok && !back.attempts[0].is_byok &&
		!back.attempts[0].model_permaslug && back.attempts[0].latency == 80, "all of it comes back as it was");
	ok(!back.request_id, "a request without an id of its own has none");
	row.rated_ms = 5000;
	row.charge_nusd = 120000;
	ok(!generation_read(&row, p, &back, &err) && !back.needs_rating && back.rated_ms == 5000 && back.usage_nusd == 120000, "rated again, it is what is left of the charge");
	row.rated_ms = 0;
	row.charge_nusd = 140000;
	row.labels = NULL;
	ok(!generation_read(&row, p, &back, &err) && back.native_prompt == 7 && !back.user_agent && back.n_attempts == 2,
		"without its labels the billing part is whole");
	buf_init(&none, 4096);
	generation_labels(&g, (struct permit){ 0 }, &none);
	generation_labels(&g, rig_permit(SINK_DECISION), &none);
	ok(!none.len, "labels are not written without the permit for records");
	buf_release(&none);
	for (int n = 0; n < 2; n++) {
		g.id = "gen-1";
		g.request_id = n ? "theirs" : "gen-1";
		kept(&g, &b, &row);
		ok(!generation_read(&row, p, &back, &err) && back.request_id && !strcmp(back.request_id, g.request_id) &&
			!!strstr(row.labels, g.request_id) == n && !strstr(row.json, "theirs"),
			n ? "and theirs is said" : "the generation's goes without saying");
	}
	test_usual(p, &b);
	row.json = "{\"x\":1}";
	ok(generation_answer(&row, NULL, &answer, &err) == MG_EINVAL, "what is no record is an error");
	row.json = "{";
	ok(generation_answer(&row, NULL, &answer, &err) < 0, "what is no JSON, too");
	pool_free(p);
	buf_release(&b);
	buf_release(&answer);
}

/* A journal is read by whatever processor comes next. */
static void test_crc(void)
{
	unsigned char bytes[300];
	bool same = true;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + i / 3);
	for (size_t at = 0; at < 9; at++)
		for (size_t len = 0; len + at <= sizeof(bytes); len++)
			same &= record_crc((uint32_t)len, bytes + at, len, false) == record_crc((uint32_t)len, bytes + at, len, true);
	ok(same && record_crc(0, "123456789", 9, false) == 0xe3069283 && record_crc(0, "123456789", 9, true) == 0xe3069283,
		"the checksum is CRC-32C, by table and by instruction");
}

int main(void)
{
	test_crc();
	plugin = rig_start();
	test_rows();
	test_own();
	test_own_journalled();
	test_one_transaction();
	test_times();
	test_parties();
	test_tampering();
	test_thread();
	test_recovery();
	test_recovery_attempts();
	test_large();
	test_replay();
	test_refused();
	test_second();
	test_record();
	rig_clean();
	return tap_done();
}
