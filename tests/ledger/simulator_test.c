/*
 * simulator_test - the ledger under a thousand random lives (R61).
 *
 * Scopes, journal, group commit, replay and recovery are the real ones.  The
 * store is a table in memory that fails when the dice say so; the process
 * "dies" by forgetting everything but the files; the clock steps.  A model of a
 * few lines says what must be true after each step.
 *
 *	simulator_test			all seeds
 *	simulator_test SEED		one of them
 */
#include <fcntl.h>

#include "base/log.h"
#include "ledger/recovery.h"
#include "ledger/scope.h"
#include "ledger/store_rig.h"
#include "store/parts.h"
#include "tap.h"

enum { KEYS = 3, OPEN = 12, STEPS = 120, ROWS = 512, SEEDS = 1000 };
#define LIMIT INT64_C(1000)
#define DAY INT64_C(86400000)

/* ---- dice */

static uint64_t dice;

static unsigned roll(unsigned n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)((dice >> 11) % n);
}

/* ---- a store in memory: committed rows, and those of the open transaction */

struct row { char gen[24], key[8]; int64_t hold, charge, own, loss, at_ms; bool settled; };
struct table { struct row rows[ROWS]; size_t n; };
static struct table disk, work;
static unsigned trouble;		/* one call in so many fails; 0: none */

static bool unlucky(void)
{
	return trouble && !roll(trouble);
}

static int m_begin(void *h, char why[256])
{
	snprintf(why, 256, "no luck");
	memcpy(work.rows, disk.rows, disk.n * sizeof(disk.rows[0]));
	work.n = disk.n;
	return unlucky() ? MG_ENOMEM : MG_OK;
}

/* Sometimes it is on the disk and the answer is lost. */
static int m_commit(void *h, char why[256])
{
	bool fails = unlucky();

	snprintf(why, 256, "no luck");
	if (fails && roll(2))
		return MG_ENOMEM;
	memcpy(disk.rows, work.rows, work.n * sizeof(work.rows[0]));
	disk.n = work.n;
	return fails ? MG_ENOMEM : MG_OK;
}

static void m_rollback(void *h)
{
	work.n = 0;
}

static struct row *row_of(struct table *t, const char *gen)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->rows[i].gen, gen))
			return &t->rows[i];
	return NULL;
}

static int m_put(void *h, enum mg_store_row kind, const void *row, char why[256])
{
	const struct mg_store_intent *i = row;
	const struct mg_store_generation *g = row;
	const char *gen = kind == MG_ROW_INTENT ? i->generation_id : g->generation_id;
	struct row *r = row_of(&work, gen);

	snprintf(why, 256, "no luck");
	if (unlucky())
		return MG_ENOMEM;
	if (!r) {
		if (work.n == ROWS)
			abort();
		r = &work.rows[work.n++];
		*r = (struct row){ .hold = 0 };
		snprintf(r->gen, sizeof(r->gen), "%s", gen);
		snprintf(r->key, sizeof(r->key), "%s", kind == MG_ROW_INTENT ? i->key_hash : g->key_hash);
	}
	if (r->settled)
		return MG_OK;
	if (kind == MG_ROW_INTENT) {
		r->hold = i->hold_nusd > r->hold ? i->hold_nusd : r->hold;
		r->at_ms = i->at_ms;
		return MG_OK;
	}
	r->settled = true;
	r->charge = g->charge_nusd;
	r->own = g->own_nusd;
	r->loss = g->loss_nusd;
	r->at_ms = g->at_ms;
	return MG_OK;
}

static int m_each(void *h, enum mg_store_row kind, const char *where, int64_t since_ms, size_t limit,
	bool (*fn)(void *arg, const void *row), void *arg, char why[256])
{
	size_t n = 0;

	for (size_t i = 0; i < work.n && (!limit || n < limit); i++) {
		const struct row *r = &work.rows[i];

		if (r->settled)
			continue;
		n++;
		if (!fn(arg, &(struct mg_store_intent){ sizeof(struct mg_store_intent), r->gen, r->gen, r->key, "e", r->hold, r->at_ms }))
			break;
	}
	return MG_OK;
}

static const struct mg_store memory = { .size = sizeof(memory), .begin = m_begin, .commit = m_commit, .rollback = m_rollback,
	.put = m_put, .each = m_each };

/* ---- the process: what a crash takes with it */

static struct store *store;
static struct journal *journal;
static struct scope *scopes[KEYS];
static struct request { struct hold hold; int key; char gen[24]; } requests[OPEN];
static int64_t now;

/* ---- the model: what was acknowledged, and must be true for ever */

struct fact { char gen[24]; int key; int64_t charge, own, at_ms, held; bool settled; };
static struct { struct fact facts[ROWS]; size_t n; } model;

static bool broken(const char *what)
{
	printf("# %s\n", what);
	return false;
}

static int64_t spent(int key, bool today)
{
	int64_t sum = 0;

	for (size_t i = 0; i < model.n; i++)
		if (model.facts[i].key == key && (!today || window_id(WINDOW_DAILY, model.facts[i].at_ms) == window_id(WINDOW_DAILY, now)))
			sum += model.facts[i].charge;
	return sum;
}

static int64_t own(int key)
{
	int64_t sum = 0;

	for (size_t i = 0; i < model.n; i++)
		if (model.facts[i].key == key)
			sum += model.facts[i].own;
	return sum;
}

/* The limit of the last key has customers' own accounts in. */
static int64_t counted(int key, struct amount a)
{
	return key == KEYS - 1 ? a.all : a.charge;
}

static int64_t held(int key)
{
	int64_t sum = 0;

	for (int i = 0; i < OPEN; i++)
		if (requests[i].hold.open && requests[i].key == key)
			sum += counted(key, requests[i].hold.held);
	return sum;
}

static bool same(void)
{
	for (int k = 0; k < KEYS; k++) {
		struct scope_facts f;

		scope_read(scopes[k], now, &f);
		if (f.charged.total != spent(k, false) || f.own.total != own(k) || f.held != held(k))
			return broken("a scope and the model differ");
		if (k == 0 && f.charged.daily != spent(k, true))
			return broken("a day's spending is wrong");
		if (k && f.posted + f.held > f.limit)
			return broken("a limit was passed");
	}
	return true;
}

/* All that is acknowledged is on the disk, once, and nothing else was charged. */
static bool kept(void)
{
	size_t settled = 0;

	for (size_t i = 0; i < model.n; i++) {
		const struct fact *f = &model.facts[i];
		const struct row *r = row_of(&disk, f->gen);

		if (!r || (f->settled && (!r->settled || r->charge != f->charge || r->own != f->own || r->at_ms != f->at_ms)))
			return broken("an acknowledged entry is lost or wrong");
		if (!f->settled && r->settled && r->charge)
			return broken("what nobody saw finish was charged");
		if (!f->settled && r->settled && r->loss < f->held)
			return broken("less is lost than all attempts were held for");
		settled += r->settled;
	}
	for (size_t i = 0; i < disk.n; i++)
		settled -= disk.rows[i].settled;
	return !settled || broken("something was settled that was never asked for");
}

/* ---- start, work, die */

static bool start(void)
{
	struct recovered r = { 0, 0 };
	struct err err;
	size_t rows = 0, before = 1;

	store = calloc(1, sizeof(*store));
	store->ops = &memory;
	store->wake = -1;
	atomic_store(&store->sleep, AWAKE);
	snprintf(store->dir, sizeof(store->dir), "%s", rig_dir);
	buf_init(&store->bytes, 1 << 23);
	for (int tries = 0; carry_left(store, &rows, &err); tries++)
		if (tries == 3)
			trouble = 0;	/* a store that fails at the start: the operator mends it, and tries again */
	while (r.generations != before) {
		before = r.generations;
		memory.begin(NULL, err.msg);
		if (ledger_recover_some(&memory, NULL, &r, &err) || memory.commit(NULL, err.msg))
			before = (size_t)-1;
		trouble = before == (size_t)-1 && !roll(4) ? 0 : trouble;
	}
	for (int k = 0; k < KEYS; k++) {
		scopes[k] = scope_new("key", "k");
		scope_load(scopes[k], &(struct spending){ .total = spent(k, false), .daily = spent(k, true) }, &(struct spending){ .total = own(k) }, now);
		scope_limit(scopes[k], k ? LIMIT * 4 : LIMIT, k ? WINDOW_TOTAL : WINDOW_DAILY);
		scope_limit_own(scopes[k], k == KEYS - 1);
	}
	journal = store_journal(store, 0, &err);
	return journal && kept();
}

static void die(bool torn)
{
	static const char half[] = "MGJ1\x40\0\0\0????\2\0\0\0 and then the light went out";

	if (torn) {
		struct segment *s = &journal->segments[journal->active];

		if (pwrite(s->fd, half, 1 + roll(sizeof(half)), (off_t)atomic_load(&s->written)) < 0)
			abort();
	}
	journal_free(journal, false);
	buf_release(&store->bytes);
	free(store);
	for (int k = 0; k < KEYS; k++)
		scope_free(scopes[k]);
	memset(requests, 0, sizeof(requests));
}

static bool ask(struct request *q)
{
	int64_t nusd = roll(400);
	struct amount a = { nusd, nusd + (roll(2) ? roll(300) : 0) };
	struct fact *f = &model.facts[model.n];

	if (model.n == ROWS)
		return true;
	q->key = (int)roll(KEYS);
	if (hold_take(&q->hold, &scopes[q->key], 1, a, now, NULL)) {
		struct scope_facts s;

		scope_read(scopes[q->key], now, &s);
		return s.limit < (q->key ? s.posted + held(q->key) : s.charged.daily + s.held) + counted(q->key, a) || broken("refused, and it would fit");
	}
	snprintf(q->gen, sizeof(q->gen), "g%zu", model.n);
	if (journal_intent(journal, &(struct mg_store_intent){ sizeof(struct mg_store_intent), q->gen, q->gen, (char[]){ (char)('a' + q->key), 0 },
			"e", nusd, now }, NULL)) {
		hold_settle(&q->hold, charged(0));
		return true;
	}
	*f = (struct fact){ .key = q->key, .at_ms = now, .held = nusd };
	snprintf(f->gen, sizeof(f->gen), "%s", q->gen);
	model.n++;
	return true;
}

static struct fact *fact_of(const struct request *q)
{
	return &model.facts[strtol(q->gen + 1, NULL, 10)];
}

/* A hedge: both are held before the second one's intent is written. */
static bool beside(struct request *q)
{
	struct fact *f = fact_of(q);
	char id[32];

	if (hold_raise(&q->hold, (struct amount){ q->hold.held.charge + roll(200), q->hold.held.all + 200 }, NULL))
		return true;
	snprintf(id, sizeof(id), "%s-2", q->gen);
	if (!journal_intent(journal, &(struct mg_store_intent){ sizeof(struct mg_store_intent), id, q->gen, (char[]){ (char)('a' + q->key), 0 },
			"other", q->hold.held.charge, f->at_ms }, NULL))
		f->held = q->hold.held.charge;
	return true;
}

static bool finish(struct request *q)
{
	struct fact *f = fact_of(q);
	int64_t charge = q->hold.held.charge ? roll((unsigned)q->hold.held.charge) : 0;

	if (!roll(4) && hold_raise(&q->hold, charged(q->hold.held.charge + roll(100)), NULL) == MG_OK)
		charge = q->hold.held.charge;
	f->own = roll((unsigned)(q->hold.held.all - charge) + 1);
	if (!hold_settle(&q->hold, (struct amount){ charge, charge + f->own }) || hold_settle(&q->hold, charged(999)))
		return broken("a hold that does not resolve once");
	f->charge = charge;
	f->settled = true;
	return !journal_settle(journal, &(struct mg_store_generation){ .size = sizeof(struct mg_store_generation), .attempt_id = q->gen,
		.generation_id = q->gen, .key_hash = (char[]){ (char)('a' + q->key), 0 }, .model = "m", .provider = "p",
		.charge_nusd = charge, .at_ms = f->at_ms, .delivered = true, .json = "{}", .own_nusd = f->own }, rig_permit(SINK_RECORD), rig_permit(SINK_DECISION), NULL) || broken("not journalled");
}

static bool step(void)
{
	struct request *q = &requests[roll(OPEN)];
	struct err err;
	size_t rows;

	switch (roll(16)) {
	case 0:
		die(roll(2));
		return start();
	case 1: case 2: case 3:
		carry_group(store, &rows, &err);
		return true;
	case 4:
		now += (int64_t)roll(3) * DAY / 2;
		return true;
	case 5:
		trouble = roll(3) ? 0 : 2 + roll(12);
		return true;
	case 6: case 7:
		return q->hold.open ? beside(q) : ask(q);
	default:
		return q->hold.open ? finish(q) : ask(q);
	}
}

static bool life(uint64_t seed)
{
	bool good;

	dice = seed * 0x9e3779b97f4a7c15u + 1;
	disk.n = work.n = model.n = 0;
	now = 20778 * DAY + (int64_t)roll(86400000);
	trouble = 0;
	rig_empty(rig_dir);
	good = start();
	for (int i = 0; i < STEPS && good; i++)
		good = step() && same();
	if (good) {
		die(false);
		trouble = 0;
		good = start();
	}
	die(false);
	return good;
}

int main(int argc, char **argv)
{
	uint64_t from = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, to = argc > 1 ? from : SEEDS, seed;
	bool good = true;

	snprintf(rig_dir, sizeof(rig_dir), "%.60s/moongate-sim-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(rig_dir))
		return 99;
	log_max = LOG_ERROR;
	for (seed = from; seed <= to && good; seed++)
		good = life(seed);
	if (!good)
		printf("# seed %llu: run simulator_test %llu\n", (unsigned long long)seed - 1, (unsigned long long)seed - 1);
	ok(good, "a thousand lives: no limit passed, nothing acknowledged lost, nothing charged twice");
	rig_clean();
	return tap_done();
}
