/* What may be kept: the gate, and what becomes of what was kept when its time is up. */
#include <fcntl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "ledger/store_rig.h"
#include "store/store.h"
#include "tap.h"

#define KEY "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
#define DAY_MS INT64_C(86400000)
static const struct mg_plugin *plugin;
static char why[256];

/* ---- the gate */

static const struct keep usual = { KEEP_METADATA, 60, false, ALL_SINKS };

static void test_gate(void)
{
	static const struct { struct keep k; enum sink s; enum keep_level most; const char *what; } rows[] = {
		{ { KEEP_NONE, 60, true, ALL_SINKS }, SINK_LOG, KEEP_NONE, "none: not in the log" },
		{ { KEEP_NONE, 60, true, ALL_SINKS }, SINK_RECORD, KEEP_NONE, "none: not in the record" },
		{ { KEEP_METADATA, 60, false, ALL_SINKS }, SINK_RECORD, KEEP_METADATA, "metadata: in the record" },
		{ { KEEP_METADATA, 60, false, 1 << SINK_LOG }, SINK_RECORD, KEEP_NONE, "not into a sink that is not named" },
		{ { KEEP_METADATA, 60, false, 1 << SINK_LOG }, SINK_LOG, KEEP_METADATA, "into one that is" },
		{ { KEEP_METADATA, 60, false, 0 }, SINK_LOG, KEEP_NONE, "no sinks, nothing" },
		{ { KEEP_METADATA, 0, false, ALL_SINKS }, SINK_RECORD, KEEP_NONE, "for no time is not at all" },
		{ { KEEP_HASHED, 60, false, ALL_SINKS }, SINK_LOG, KEEP_METADATA, "hashed: no more than names in the log" },
		{ { KEEP_HASHED, 60, false, ALL_SINKS }, SINK_RECORD, KEEP_HASHED, "a hash in the record" },
		{ { KEEP_FULL, 60, true, ALL_SINKS }, SINK_RECORD, KEEP_HASHED, "full: still a hash, a record is for no content" },
		{ { KEEP_FULL, 60, true, ALL_SINKS }, SINK_DECISION, KEEP_METADATA, "nor is a decision" },
		{ { KEEP_FULL, 60, true, ALL_SINKS }, SINK_CACHE, KEEP_NONE, "no content goes into a cache that is not there" },
		{ { KEEP_FULL, 60, true, ALL_SINKS }, SINK_TRACE, KEEP_NONE, "nor into a trace" },
		{ { KEEP_FULL, 60, true, ALL_SINKS }, SINK_BATCH, KEEP_NONE, "nor a batch" },
		{ { KEEP_FULL, 60, true, ALL_SINKS }, SINK_FILE, KEEP_NONE, "nor a file" },
	};
	struct permit p;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool right = true;

		p = keep_permit(&rows[i].k, rows[i].s, 1000);
		for (enum keep_level l = KEEP_NONE; l < KEEP_LEVELS; l++)
			right &= permits(p, rows[i].s, l) == (l != KEEP_NONE && l <= rows[i].most);
		for (enum sink s = 0; s < SINKS; s++)
			right &= s == rows[i].s || !permits(p, s, KEEP_METADATA);
		ok(right && (!p.level || p.until_ms == 61000), rows[i].what);
	}
	p = keep_permit(&(struct keep){ KEEP_FULL, UINT64_MAX, true, ALL_SINKS }, SINK_LOG, 1000);
	ok(p.until_ms == INT64_MAX, "the longest time has no end");
	ok(!permits((struct permit){ 0 }, SINK_LOG, KEEP_METADATA), "a permit that nobody gave permits nothing");
}

static void test_tighten(void)
{
	struct keep k = { KEEP_FULL, 100, true, 1 << SINK_LOG | 1 << SINK_RECORD }, other = { KEEP_HASHED, 200, false, 1 << SINK_RECORD | 1 << SINK_CACHE };

	keep_tighten(&k, &other);
	ok(k.store == KEEP_HASHED && k.ttl_s == 100 && !k.cache && k.sinks == 1 << SINK_RECORD, "of two the less, field by field; of sinks those in both");
	other = k;
	keep_tighten(&k, &other);
	ok(!memcmp(&k, &other, sizeof(k)), "once more changes nothing");
}

static void test_confided(void)
{
	struct confided c = { MG_STR("somebody") };
	struct pool *pool = pool_new(1 << 16);
	struct permit p = keep_permit(&usual, SINK_LOG, 0);

	ok(mg_is(confided_to(p, c), "somebody") && !strcmp(confided_words(p, c, pool), "somebody"), "what a client said is there for who may have it");
	p = keep_permit(&(struct keep){ 0 }, SINK_LOG, 0);
	ok(!confided_to(p, c).at && !confided_words(p, c, pool), "and for nobody else");
	pool_free(pool);
}

/* ---- the store */

struct seen { unsigned rows, labels, decisions; };

static bool on_generation(void *arg, const void *row)
{
	const struct mg_store_generation *g = row;
	struct seen *s = arg;

	s->rows++;
	s->labels += *g->labels != 0;
	s->decisions += *g->decision != 0;
	return true;
}

static bool on_decision(void *arg, const void *row)
{
	(void)row;
	++*(unsigned *)arg;
	return true;
}

static int count(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	*(struct seen *)arg = (struct seen){ 0 };
	return ops->each(handle, MG_ROW_GENERATION, NULL, 0, 0, on_generation, arg, why);
}

static bool on_disk(const char *name, const char *text)
{
	FILE *f = fopen(rig_path(name), "re");
	static char all[4 << 20];
	size_t n = f ? fread(all, 1, sizeof(all), f) : 0;

	if (f)
		fclose(f);
	return n && memmem(all, n, text, strlen(text));
}

static bool anywhere(const char *text)
{
	static const char *const names[] = { "moongate.db", "moongate.db-wal", "journal-0-0", "journal-0-1" };
	bool found = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		found |= on_disk(names[i], text);
	return found;
}

static int put_rows(void *h, int n, int64_t at_ms, int64_t until_ms)
{
	const struct mg_store *ops = plugin->store;
	static int made;
	char gen[32], attempt[40], labels[64], decision[64];
	int rc = ops->begin(h, why);

	for (int i = 0; i < n && !rc; i++) {
		snprintf(gen, sizeof(gen), "gen-%d", ++made);
		snprintf(attempt, sizeof(attempt), "%s-1", gen);
		snprintf(labels, sizeof(labels), "{\"session_id\":\"label-%d\"}", made);
		snprintf(decision, sizeof(decision), "{\"decided\":%d}", made);
		rc = ops->put(h, MG_ROW_GENERATION, &(struct mg_store_generation){ .size = sizeof(struct mg_store_generation), .attempt_id = attempt,
			.generation_id = gen, .key_hash = KEY, .model = "m", .provider = "p", .charge_nusd = 1, .at_ms = at_ms, .json = "{}",
			.decision = decision, .labels = labels, .until_ms = until_ms }, why);
	}
	return rc ? rc : ops->commit(h, why);
}

static int expire_at(void *h, int64_t now_ms, int rows)
{
	const struct mg_store *ops = plugin->store;
	int n = ops->begin(h, why);

	n = n ? n : ops->expire(h, now_ms, rows, why);
	return n < 0 || ops->commit(h, why) ? -1 : n;
}

static struct seen seen_in(void *h)
{
	struct seen s = { 0 };

	plugin->store->each(h, MG_ROW_GENERATION, NULL, 0, 0, on_generation, &s, why);
	return s;
}

static void a_finding(void *arg, const char *text)
{
	(void)arg;
	printf("# %s\n", text);
}

/* Of several times that are mixed, each when it is due, and not before. */
static void test_expire(void)
{
	const struct mg_store *ops = plugin->store;
	void *h = NULL;
	struct seen s;
	unsigned left = 0;
	int n, total = 0;

	if (ops->open(rig_path("expire.db"), false, &h, why)) {
		ok(false, why);
		return;
	}
	for (int i = 0; i < 10; i++)
		if (put_rows(h, 30, 1000 + i, DAY_MS) || put_rows(h, 20, 1000 + i, 7 * DAY_MS) || put_rows(h, 10, 1000 + i, 0) || put_rows(h, 5, 1000 + i, 2500))
			break;
	s = seen_in(h);
	ok(s.rows == 650 && s.labels == 650 && s.decisions == 650, "650 rows with labels, to go at four times");
	ok(expire_at(h, 2400, 1000) == 0 && seen_in(h).labels == 650, "not before their time");
	expire_at(h, 3000, 1000);
	ok(seen_in(h).labels == 600, "what is kept for seconds goes to the second");
	for (n = 100; n == 100; total += n) {
		left = seen_in(h).labels;
		n = expire_at(h, DAY_MS + 60000, 100);
		if (n < 0 || left - seen_in(h).labels > 100)
			break;
	}
	s = seen_in(h);
	ok(s.labels == 300 && s.decisions == 300 && s.rows == 650, "a day later those of a day have gone, and no row with them");
	ok(total >= 300 && n >= 0 && n < 100, "in steps of at most a hundred rows");
	expire_at(h, 400 * DAY_MS, 10000);
	ok(seen_in(h).labels == 100 && expire_at(h, 4000 * DAY_MS, 10000) == 0, "those without an end stay");
	ok(ops->audit(h, a_finding, NULL, why) == 0, "the ledger is as it was");
	ops->close(h);
}

static bool while_read(void *writer, const void *row)
{
	(void)row;
	ok(plugin->store->expired(writer, why) == MG_ENOMEM, "while somebody reads the log stays, and nobody waits for that");
	return false;
}

static void test_wiped(void)
{
	const struct mg_store *ops = plugin->store;
	char big[20000];
	void *h = NULL, *reader = NULL;

	memset(big, 'x', sizeof(big));
	memcpy(big, "{\"first-marker\":\"", 17);
	memcpy(big + sizeof(big) - 17, "last-marker\"}", 14);
	if (ops->open(rig_path("moongate.db"), false, &h, why) || ops->begin(h, why)) {
		ok(false, why);
		return;
	}
	for (int i = 0; i < 3; i++)
		ops->put(h, MG_ROW_GENERATION, &(struct mg_store_generation){ .size = sizeof(struct mg_store_generation), .attempt_id = (char[]){ 'w', (char)('0' + i), 0 },
			.generation_id = "w", .key_hash = KEY, .model = "m", .provider = "p", .at_ms = 1000, .json = "{}", .decision = big,
			.labels = "{\"user\":\"label-marker\"}", .until_ms = 2000 }, why);
	ops->put(h, MG_ROW_DECISION, &(struct mg_store_decision){ sizeof(struct mg_store_decision), "refused", 1000, "{\"refused-marker\":1}", KEY, 2000 }, why);
	ops->commit(h, why);
	ok(anywhere("first-marker") && anywhere("last-marker") && anywhere("label-marker") && anywhere("refused-marker"), "they are on the disk");
	ok(!ops->open(rig_path("moongate.db"), true, &reader, why) && expire_at(h, 60000, 100) == 4, "and expire");
	ops->each(reader, MG_ROW_GENERATION, NULL, 0, 0, while_read, h, why);
	ops->close(reader);
	ok(!ops->expired(h, why), "then it is cut");
	ok(!anywhere("first-marker") && !anywhere("last-marker") && !anywhere("label-marker") && !anywhere("refused-marker"),
		"then not one byte of them is in the file, nor in its log");
	ok(on_disk("moongate.db", KEY), "the billing rows are");
	ops->close(h);
}

/* ---- by itself */

static bool settle(struct journal *j, const char *gen, const char *labels, const char *decision, struct keep k)
{
	char attempt[40];
	int64_t now = clock_wall_ms();
	struct permit record = keep_permit(&k, SINK_RECORD, now), decided = keep_permit(&k, SINK_DECISION, now);

	snprintf(attempt, sizeof(attempt), "%s-1", gen);
	return !journal_settle(j, &(struct mg_store_generation){ .size = sizeof(struct mg_store_generation), .attempt_id = attempt, .generation_id = gen,
		.key_hash = KEY, .model = "m", .provider = "p", .charge_nusd = 1, .at_ms = now, .json = "{}", .labels = labels, .decision = decision },
		record, decided, NULL);
}

static void note(struct journal *j, const char *gen, const char *text, struct keep k)
{
	journal_note(j, &(struct mg_store_decision){ sizeof(struct mg_store_decision), gen, 1000, text, KEY, 0 },
		keep_permit(&k, SINK_DECISION, clock_wall_ms()));
}

static int count_decisions(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	*(unsigned *)arg = 0;
	return ops->each(handle, MG_ROW_DECISION, NULL, 0, 0, on_decision, arg, why);
}

static bool until(bool (*is)(struct store *s), struct store *s)
{
	for (int i = 0; i < 3000; i++) {
		if (is(s))
			return true;
		usleep(5000);
	}
	return false;
}

static bool one_left(struct store *s)
{
	struct seen seen;

	return !store_run(s, count, &seen, NULL) && seen.labels == 1 && !anywhere("brief-marker");
}

static void test_thread(void)
{
	struct err err = { 0 };
	struct store *s = store_open(plugin, rig_path(""), false, NULL, &err);
	struct journal *j = s ? store_journal(s, 0, &err) : NULL;
	const struct keep nothing = { 0 }, brief = { KEEP_METADATA, 1, false, ALL_SINKS }, unnamed = { KEEP_METADATA, 60, false, 1 << SINK_LOG };
	struct seen seen;
	unsigned decisions;

	ok(j && settle(j, "t1", "none-marker", "none-marker", nothing) && settle(j, "t2", "sink-marker", "sink-marker", unnamed) &&
		settle(j, "t3", "brief-marker", "brief-marker", brief) && settle(j, "t4", "long-marker", "long-marker", usual), err.msg[0] ? err.msg : "rows are journalled");
	note(j, "n1", "none-marker", nothing);
	note(j, "n2", "long-marker", usual);
	ok(!store_run(s, count, &seen, &err) && seen.rows == 7 && !store_run(s, count_decisions, &decisions, &err) && decisions == seen.decisions + 1,
		"each is billed, a decision that may not be kept is not there");
	ok(!anywhere("none-marker") && !anywhere("sink-marker"), "without a permit nothing gets as far as the journal");
	ok(anywhere("long-marker"), "with one it does");
	ok(until(one_left, s), "what is kept for a second goes by itself, and from the journal, too; what is kept longer stays");
	ok(store_expired(s) >= 1, "which is counted");
	store_close(s);
}

/* As after kill -9: what was wiped is no damage, and what came behind it is there. */
static void test_wiped_journal(void)
{
	struct seen seen;
	struct store *s;
	size_t replayed = 0;
	pid_t child;

	fflush(stdout);	/* what was said so far is said once */
	child = fork();
	if (!child) {
		s = store_open(plugin, rig_path(""), false, NULL, NULL);
		struct journal *j = store_journal(s, 0, NULL);

		settle(j, "k1", "{}", "", (struct keep){ KEEP_METADATA, 1, false, ALL_SINKS });
		while (!on_disk("journal-0-0", "k1-1"))
			usleep(1000);
		while (on_disk("journal-0-0", "k1-1"))
			usleep(5000);
		settle(j, "k2", "{}", "", usual);
		_exit(0);	/* nothing is closed */
	}
	waitpid(child, NULL, 0);
	s = store_open(plugin, rig_path(""), false, &replayed, NULL);
	ok(s && !store_run(s, count, &seen, NULL) && seen.rows == 9, "a journal that was wiped in front is replayed from there");
	store_close(s);
}

int main(void)
{
	plugin = rig_start();
	test_gate();
	test_tighten();
	test_confided();
	test_expire();
	test_wiped();
	test_thread();
	test_wiped_journal();
	rig_clean();
	return tap_done();
}
