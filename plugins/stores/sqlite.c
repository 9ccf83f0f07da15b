/*
 * sqlite - the embedded store: one file, one writer.
 *
 *	keys		hash -> the key as the gateway wrote it
 *	intents		holds that no generation has resolved yet
 *	generations	what each attempt came to; attempt_id is unique (R43)
 *	credits		what was bought; external_id is unique (R51)
 *	entries		double entry: debits above zero, credits below, each movement sums to zero (R50)
 *	totals		charges by key and UTC day: derived, and checked by the audit
 *	decisions	what policy explain replays
 *
 * WAL with synchronous=FULL: a commit that returned is on the disk (R96).  The
 * writer holds an flock on "<path>.lock" (R103); readers need none.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moongate_store.h"
#include "sqlite_schema.h"

#define APPLICATION_ID 0x4d474154	/* "MGAT" */
#define DAY_MS INT64_C(86400000)
#define MONEY_MAX INT64_C(1000000000000000000)	/* a billion dollars: no row is larger */
#define CHECK_MAX (INT64_C(1) << 30)		/* quick_check reads everything: only up to here at start */

enum { SCHEMA = sizeof(migrations) / sizeof(migrations[0]) };

enum statement { S_BEGIN, S_COMMIT, S_KEY, S_INTENT, S_RESOLVE, S_GENERATION, S_CREDIT, S_ENTRY, S_TOTAL, S_DECISION, STATEMENTS };
static const char *const statements[STATEMENTS] = {
	[S_BEGIN] = "BEGIN IMMEDIATE",
	[S_COMMIT] = "COMMIT",
	[S_KEY] = "INSERT INTO keys(hash,json,created_ms,deleted) VALUES(?1,?2,?3,?4)"
		" ON CONFLICT(hash) DO UPDATE SET json=excluded.json, deleted=excluded.deleted",
	/* a replayed journal may bring the intent after its generation: then it is none */
	[S_INTENT] = "INSERT OR IGNORE INTO intents(attempt_id,generation_id,key_hash,endpoint,hold_nusd,at_ms)"
		" SELECT ?1,?2,?3,?4,?5,?6 WHERE NOT EXISTS(SELECT 1 FROM generations WHERE generation_id=?2)",
	[S_RESOLVE] = "DELETE FROM intents WHERE generation_id=?1",
	[S_GENERATION] = "INSERT INTO generations(attempt_id,generation_id,key_hash,model,provider,charge_nusd,cost_nusd,"
		"loss_nusd,at_ms,delivered,json) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11) ON CONFLICT(attempt_id) DO NOTHING",
	[S_CREDIT] = "INSERT INTO credits(external_id,nusd,at_ms) VALUES(?1,?2,?3) ON CONFLICT(external_id) DO NOTHING",
	[S_ENTRY] = "INSERT INTO entries(generation,credit,account,nusd) VALUES(?1,?2,?3,?4)",
	[S_TOTAL] = "INSERT INTO totals(key_hash,day,nusd) VALUES(?1,?2,?3)"
		" ON CONFLICT(key_hash,day) DO UPDATE SET nusd=nusd+excluded.nusd",
	[S_DECISION] = "INSERT INTO decisions(generation_id,at_ms,json) VALUES(?1,?2,?3) ON CONFLICT(generation_id) DO NOTHING",
};

struct store { sqlite3 *db; int lock; bool read_only; sqlite3_stmt *ready[STATEMENTS]; };

/* ---- errors */

static int say(char why[256], int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int say(char why[256], int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, 256, fmt, ap);
	va_end(ap);
	return rc;
}

static int sick(sqlite3 *db, char why[256])
{
	int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
	int rc = MG_ENOMEM;

	switch (code & 0xff) {
	case SQLITE_CONSTRAINT: case SQLITE_MISMATCH: case SQLITE_TOOBIG: case SQLITE_RANGE:
		rc = MG_EINVAL;
		break;
	case SQLITE_CORRUPT: case SQLITE_NOTADB:
		rc = MG_EPROTO;
		break;
	case SQLITE_IOERR:
		/* after a failed sync nobody knows what the disk has (R99) */
		if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC)
			rc = MG_EPROTO;
		break;
	}
	return say(why, rc, "sqlite: %s (%d)", db ? sqlite3_errmsg(db) : "no memory", code);
}

/* ---- statements */

static int run(struct store *s, sqlite3_stmt *q, char why[256])
{
	int code = sqlite3_step(q), rc = code == SQLITE_DONE || code == SQLITE_ROW ? MG_OK : sick(s->db, why);

	sqlite3_reset(q);
	return rc;
}

static int exec(struct store *s, const char *sql, char why[256])
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? MG_OK : sick(s->db, why);
}

static sqlite3_stmt *query(struct store *s, const char *sql, char why[256])
{
	sqlite3_stmt *q = NULL;

	if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) != SQLITE_OK)
		sick(s->db, why);
	return q;
}

static void text(sqlite3_stmt *q, int i, const char *t)
{
	sqlite3_bind_text(q, i, t ? t : "", -1, SQLITE_STATIC);	/* until the next bind: run() comes before */
}

static const char *column(sqlite3_stmt *q, int i)
{
	const char *t = (const char *)sqlite3_column_text(q, i);

	return t ? t : "";
}

/* The one integer that sql gives; def when it gives none. */
static int64_t number(struct store *s, const char *sql, int64_t def)
{
	char why[256];
	sqlite3_stmt *q = query(s, sql, why);

	if (q && sqlite3_step(q) == SQLITE_ROW)
		def = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return def;
}

/* ---- open and close */

static void shut(void *handle)
{
	struct store *s = handle;

	if (!s)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->ready[i]);
	sqlite3_close(s->db);
	if (s->lock >= 0)
		close(s->lock);
	free(s);
}

static int lock(struct store *s, const char *path, char why[256])
{
	char name[4096], pid[32] = "";
	ssize_t n;

	if ((size_t)snprintf(name, sizeof(name), "%s.lock", path) >= sizeof(name))
		return say(why, MG_EINVAL, "the store's path is too long");
	s->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0)
		return say(why, MG_EINVAL, "cannot open '%.150s': %s", name, strerror(errno));
	if (flock(s->lock, LOCK_EX | LOCK_NB)) {
		n = pread(s->lock, pid, sizeof(pid) - 1, 0);
		pid[n > 0 ? n : 0] = '\0';
		return say(why, MG_EDENIED, "'%.120s' is in use by another process (pid %s)\n"
			"hint: stop it, or give this one its own data_dir", path, pid[0] ? pid : "unknown");
	}
	n = snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	if (ftruncate(s->lock, 0) || pwrite(s->lock, pid, (size_t)n, 0) != n)
		return say(why, MG_ENOMEM, "cannot write '%.150s': %s", name, strerror(errno));
	return MG_OK;
}

static int migrate(struct store *s, const char *path, char why[256])
{
	int64_t id = number(s, "PRAGMA application_id", -1), version = number(s, "PRAGMA user_version", -1);
	char stamp[80];
	int rc = MG_OK;

	if (id < 0 || version < 0)
		return sick(s->db, why);
	if (id != APPLICATION_ID && (id || version || number(s, "SELECT count(*) FROM sqlite_schema", 1)))
		return say(why, MG_EINVAL, "'%.150s' is no store of this gateway", path);
	if (version > SCHEMA)
		return say(why, MG_EINVAL, "'%.120s' has schema %d, this version knows %d\nhint: run the newer version, or restore a backup",
			path, (int)version, SCHEMA);
	if (s->read_only && version < SCHEMA)
		return say(why, MG_EINVAL, "'%.120s' has schema %d, this version wants %d\nhint: start the gateway once",
			path, (int)version, SCHEMA);
	for (; version < SCHEMA && !rc; version++) {
		snprintf(stamp, sizeof(stamp), "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", APPLICATION_ID, (int)version + 1);
		rc = exec(s, "BEGIN IMMEDIATE", why);
		rc = rc ? rc : exec(s, migrations[version], why);
		rc = rc ? rc : exec(s, stamp, why);
		if (rc)
			sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	}
	return rc;
}

static int whole(struct store *s, const char *path, char why[256])
{
	sqlite3_stmt *q;
	int rc = MG_OK;

	if (number(s, "SELECT page_count*page_size FROM pragma_page_count, pragma_page_size", 0) > CHECK_MAX)
		return MG_OK;	/* the audit still reads it all */
	q = query(s, "PRAGMA quick_check(1)", why);
	if (!q || sqlite3_step(q) != SQLITE_ROW)
		rc = sick(s->db, why);
	else if (strcmp(column(q, 0), "ok"))
		rc = say(why, MG_EPROTO, "'%.100s' is damaged: %.80s\nhint: moongate restore, from a backup", path, column(q, 0));
	sqlite3_finalize(q);
	return rc;
}

static int settings(struct store *s, char why[256])
{
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_timeout(s->db, 5000);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	if (s->read_only)
		return exec(s, "PRAGMA trusted_schema=OFF; PRAGMA query_only=ON", why);
	return exec(s, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
		"PRAGMA trusted_schema=OFF; PRAGMA journal_size_limit=67108864", why);
}

static int begin_with(struct store *s, const char *path, char why[256])
{
	int flags = s->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, rc, fd;

	rc = s->read_only ? MG_OK : lock(s, path, why);
	if (rc)
		return rc;
	/* sqlite would make it readable for all */
	fd = open(path, s->read_only ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return say(why, MG_EINVAL, "cannot open '%.150s': %s", path, strerror(errno));
	close(fd);
	if (sqlite3_open_v2(path, &s->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL) != SQLITE_OK)
		return sick(s->db, why);
	rc = settings(s, why);
	rc = rc ? rc : migrate(s, path, why);
	if (!rc && !s->read_only)
		rc = whole(s, path, why);
	for (int i = 0; i < STATEMENTS && !rc && !s->read_only; i++)
		if (sqlite3_prepare_v3(s->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &s->ready[i], NULL) != SQLITE_OK)
			rc = sick(s->db, why);
	return rc;
}

static int open_store(const char *path, bool read_only, void **handle, char why[256])
{
	struct store *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return say(why, MG_ENOMEM, "no memory");
	s->lock = -1;
	s->read_only = read_only;
	rc = begin_with(s, path, why);
	if (rc)
		shut(s);
	else
		*handle = s;
	return rc;
}

/* ---- rows in */

static int begin(void *handle, char why[256])
{
	struct store *s = handle;

	if (s->read_only)
		return say(why, MG_EDENIED, "the store is open for reading only");
	return run(s, s->ready[S_BEGIN], why);
}

static void rollback(void *handle)
{
	struct store *s = handle;

	if (!sqlite3_get_autocommit(s->db))	/* some errors have rolled back already */
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

static int commit(void *handle, char why[256])
{
	struct store *s = handle;

	if (sqlite3_get_autocommit(s->db))
		return say(why, MG_ENOMEM, "sqlite: the transaction was rolled back");
	return run(s, s->ready[S_COMMIT], why);
}

/* One movement: nusd from the one account to the other. */
static int move(struct store *s, int64_t generation, int64_t credit, const char *debit, const char *from, int64_t nusd, char why[256])
{
	sqlite3_stmt *q = s->ready[S_ENTRY];

	for (int side = 0; nusd && side < 2; side++) {
		int rc;

		sqlite3_clear_bindings(q);
		sqlite3_bind_int64(q, generation ? 1 : 2, generation ? generation : credit);
		text(q, 3, side ? from : debit);
		sqlite3_bind_int64(q, 4, side ? -nusd : nusd);
		rc = run(s, q, why);
		if (rc)
			return rc;
	}
	return MG_OK;
}

static int put_key(struct store *s, const struct mg_store_key *k, char why[256])
{
	sqlite3_stmt *q = s->ready[S_KEY];

	text(q, 1, k->hash);
	text(q, 2, k->json);
	sqlite3_bind_int64(q, 3, k->created_ms);
	sqlite3_bind_int(q, 4, k->deleted);
	return run(s, q, why);
}

static int put_intent(struct store *s, const struct mg_store_intent *i, char why[256])
{
	sqlite3_stmt *q = s->ready[S_INTENT];

	if (i->hold_nusd < 0 || i->hold_nusd > MONEY_MAX || i->at_ms < 0)
		return say(why, MG_EINVAL, "attempt %.80s: hold or time out of bounds", i->attempt_id);
	text(q, 1, i->attempt_id);
	text(q, 2, i->generation_id);
	text(q, 3, i->key_hash);
	text(q, 4, i->endpoint);
	sqlite3_bind_int64(q, 5, i->hold_nusd);
	sqlite3_bind_int64(q, 6, i->at_ms);
	return run(s, q, why);
}

static bool sound(int64_t nusd)
{
	return nusd >= 0 && nusd <= MONEY_MAX;
}

static int add_total(struct store *s, const struct mg_store_generation *g, char why[256])
{
	sqlite3_stmt *q = s->ready[S_TOTAL];

	text(q, 1, g->key_hash);
	sqlite3_bind_int64(q, 2, g->at_ms / DAY_MS);
	sqlite3_bind_int64(q, 3, g->charge_nusd);
	return run(s, q, why);
}

static int put_generation(struct store *s, const struct mg_store_generation *g, char why[256])
{
	sqlite3_stmt *q = s->ready[S_GENERATION];
	const char *texts[] = { g->attempt_id, g->generation_id, g->key_hash, g->model, g->provider };
	const int64_t numbers[] = { g->charge_nusd, g->cost_nusd, g->loss_nusd, g->at_ms, g->delivered };
	int64_t id;
	int rc;

	if (!sound(g->charge_nusd) || !sound(g->cost_nusd) || !sound(g->loss_nusd) || g->at_ms < 0)
		return say(why, MG_EINVAL, "attempt %.80s: amount or time out of bounds", g->attempt_id);
	for (int i = 0; i < 5; i++) {
		text(q, 1 + i, texts[i]);
		sqlite3_bind_int64(q, 6 + i, numbers[i]);
	}
	text(q, 11, g->json);
	rc = run(s, q, why);
	if (rc || !sqlite3_changes(s->db))
		return rc;	/* settled before: the second time changes nothing */
	id = sqlite3_last_insert_rowid(s->db);
	rc = move(s, id, 0, "balance", "sales", g->charge_nusd, why);
	rc = rc ? rc : move(s, id, 0, "upstream", "payable", g->cost_nusd, why);
	rc = rc ? rc : move(s, id, 0, "loss", "payable", g->loss_nusd, why);
	if (!rc && g->charge_nusd)
		rc = add_total(s, g, why);
	text(s->ready[S_RESOLVE], 1, g->generation_id);
	return rc ? rc : run(s, s->ready[S_RESOLVE], why);
}

static int put_credit(struct store *s, const struct mg_store_credit *c, char why[256])
{
	sqlite3_stmt *q = s->ready[S_CREDIT];
	int rc;

	if (c->nusd < -MONEY_MAX || c->nusd > MONEY_MAX || !c->nusd)
		return say(why, MG_EINVAL, "credit %.80s: amount out of bounds", c->external_id);
	text(q, 1, c->external_id);
	sqlite3_bind_int64(q, 2, c->nusd);
	sqlite3_bind_int64(q, 3, c->at_ms);
	rc = run(s, q, why);
	if (rc || !sqlite3_changes(s->db))
		return rc;	/* the same payment, told again */
	return move(s, 0, sqlite3_last_insert_rowid(s->db), "bank", "balance", c->nusd, why);
}

static int put_decision(struct store *s, const struct mg_store_decision *d, char why[256])
{
	sqlite3_stmt *q = s->ready[S_DECISION];

	text(q, 1, d->generation_id);
	sqlite3_bind_int64(q, 2, d->at_ms);
	text(q, 3, d->json);
	return run(s, q, why);
}

static int put(void *handle, enum mg_store_row kind, const void *row, char why[256])
{
	switch (kind) {
	case MG_ROW_KEY: return put_key(handle, row, why);
	case MG_ROW_INTENT: return put_intent(handle, row, why);
	case MG_ROW_GENERATION: return put_generation(handle, row, why);
	case MG_ROW_CREDIT: return put_credit(handle, row, why);
	case MG_ROW_DECISION: return put_decision(handle, row, why);
	}
	return say(why, MG_EINVAL, "a row of unknown kind %d", (int)kind);
}

/* ---- rows out */

union row { struct mg_store_key key; struct mg_store_intent intent; struct mg_store_generation generation;
	struct mg_store_credit credit; struct mg_store_decision decision; };

static void read_row(sqlite3_stmt *q, enum mg_store_row kind, union row *r)
{
	switch (kind) {
	case MG_ROW_KEY:
		r->key = (struct mg_store_key){ sizeof(r->key), column(q, 0), column(q, 1),
			sqlite3_column_int64(q, 2), sqlite3_column_int(q, 3) };
		break;
	case MG_ROW_INTENT:
		r->intent = (struct mg_store_intent){ sizeof(r->intent), column(q, 0), column(q, 1), column(q, 2), column(q, 3),
			sqlite3_column_int64(q, 4), sqlite3_column_int64(q, 5) };
		break;
	case MG_ROW_GENERATION:
		r->generation = (struct mg_store_generation){ sizeof(r->generation), column(q, 0), column(q, 1), column(q, 2),
			column(q, 3), column(q, 4), sqlite3_column_int64(q, 5), sqlite3_column_int64(q, 6),
			sqlite3_column_int64(q, 7), sqlite3_column_int64(q, 8), sqlite3_column_int(q, 9), column(q, 10) };
		break;
	case MG_ROW_CREDIT:
		r->credit = (struct mg_store_credit){ sizeof(r->credit), column(q, 0), sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2) };
		break;
	case MG_ROW_DECISION:
		r->decision = (struct mg_store_decision){ sizeof(r->decision), column(q, 0), sqlite3_column_int64(q, 1), column(q, 2) };
		break;
	}
}

static int each(void *handle, enum mg_store_row kind, const char *where, int64_t since_ms, size_t limit,
	bool (*fn)(void *arg, const void *row), void *arg, char why[256])
{
	static const struct { const char *select, *match, *time, *order; } sql[] = {
		[MG_ROW_KEY] = { "hash,json,created_ms,deleted FROM keys", "hash=?1", "created_ms", "created_ms DESC, hash" },
		[MG_ROW_INTENT] = { "attempt_id,generation_id,key_hash,endpoint,hold_nusd,at_ms FROM intents",
			"(generation_id=?1 OR key_hash=?1)", "at_ms", "generation_id, attempt_id" },
		[MG_ROW_GENERATION] = { "attempt_id,generation_id,key_hash,model,provider,charge_nusd,cost_nusd,loss_nusd,at_ms,"
			"delivered,json FROM generations", "(generation_id=?1 OR key_hash=?1)", "at_ms", "at_ms, id" },
		[MG_ROW_CREDIT] = { "external_id,nusd,at_ms FROM credits", "external_id=?1", "at_ms", "at_ms, id" },
		[MG_ROW_DECISION] = { "generation_id,at_ms,json FROM decisions", "generation_id=?1", "at_ms", "at_ms" },
	};
	struct store *s = handle;
	char words[512];
	sqlite3_stmt *q;
	union row row;
	int code, rc = MG_OK;

	if ((unsigned)kind >= sizeof(sql) / sizeof(sql[0]))
		return say(why, MG_EINVAL, "rows of unknown kind %d", (int)kind);
	snprintf(words, sizeof(words), "SELECT %s WHERE %s AND %s>=?2 ORDER BY %s LIMIT ?3", sql[kind].select,
		where ? sql[kind].match : "?1 IS NULL", sql[kind].time, sql[kind].order);
	q = query(s, words, why);
	if (!q)
		return sick(s->db, why);
	if (where)
		text(q, 1, where);
	sqlite3_bind_int64(q, 2, since_ms);
	sqlite3_bind_int64(q, 3, limit && limit < INT32_MAX ? (int64_t)limit : -1);
	while ((code = sqlite3_step(q)) == SQLITE_ROW) {
		read_row(q, kind, &row);
		if (!fn(arg, &row))
			break;
	}
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		rc = sick(s->db, why);
	sqlite3_finalize(q);
	return rc;
}

#define SUMS "coalesce(sum(nusd),0)," \
	"coalesce(sum(nusd) FILTER (WHERE day>=?1),0),coalesce(sum(nusd) FILTER (WHERE day>=?2),0)," \
	"coalesce(sum(nusd) FILTER (WHERE day>=?3),0)"

static void read_sums(sqlite3_stmt *q, struct mg_store_sums *out)
{
	*out = (struct mg_store_sums){ sizeof(*out), sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1),
		sqlite3_column_int64(q, 2), sqlite3_column_int64(q, 3) };
}

static sqlite3_stmt *sums_query(struct store *s, const char *sql, const int64_t since_ms[3], char why[256])
{
	sqlite3_stmt *q = query(s, sql, why);

	for (int i = 0; q && i < 3; i++)
		sqlite3_bind_int64(q, 1 + i, since_ms[i] / DAY_MS);
	return q;
}

static int sums(void *handle, const char *key_hash, const int64_t since_ms[3], struct mg_store_sums *out, char why[256])
{
	struct store *s = handle;
	sqlite3_stmt *q = sums_query(s, key_hash ? "SELECT " SUMS " FROM totals WHERE key_hash=?4" : "SELECT " SUMS " FROM totals",
		since_ms, why);
	int rc = MG_OK;

	if (!q)
		return sick(s->db, why);
	if (key_hash)
		text(q, 4, key_hash);
	if (sqlite3_step(q) == SQLITE_ROW)
		read_sums(q, out);
	else
		rc = sick(s->db, why);
	sqlite3_finalize(q);
	return rc;
}

static int sums_each(void *handle, const int64_t since_ms[3],
	void (*fn)(void *arg, const char *key_hash, const struct mg_store_sums *s), void *arg, char why[256])
{
	struct store *s = handle;
	sqlite3_stmt *q = sums_query(s, "SELECT " SUMS ",key_hash FROM totals GROUP BY key_hash", since_ms, why);
	struct mg_store_sums one;
	int code, rc = MG_OK;

	if (!q)
		return sick(s->db, why);
	while ((code = sqlite3_step(q)) == SQLITE_ROW) {
		read_sums(q, &one);
		fn(arg, column(q, 4), &one);
	}
	if (code != SQLITE_DONE)
		rc = sick(s->db, why);
	sqlite3_finalize(q);
	return rc;
}

/* ---- audit and backup */

static int audit(void *handle, mg_store_finding *finding, void *arg, char why[256])
{
	struct store *s = handle;
	int found = 0, rc = MG_OK, code;

	/* one reading transaction: a writer beside us must not look like a fault */
	rc = exec(s, "BEGIN", why);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]) && !rc; i++) {
		sqlite3_stmt *q = query(s, questions[i], why);

		if (!q) {
			rc = sick(s->db, why);
			break;
		}
		while ((code = sqlite3_step(q)) == SQLITE_ROW) {
			finding(arg, column(q, 0));
			found++;
		}
		if (code != SQLITE_DONE)
			rc = sick(s->db, why);
		sqlite3_finalize(q);
	}
	rollback(s);
	return rc ? rc : found;
}

static int copy(sqlite3 *from, sqlite3 *to, char why[256])
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	int code;

	if (!b)
		return sick(to, why);
	do {	/* a writer beside us makes a page-wise copy start again: take it whole */
		code = sqlite3_backup_step(b, -1);
		if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
			sqlite3_sleep(20);
	} while (code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_LOCKED);
	sqlite3_backup_finish(b);
	return code == SQLITE_DONE ? MG_OK : sick(to, why);
}

static int backup(void *handle, const char *path, char why[256])
{
	struct store *s = handle;
	sqlite3 *to = NULL;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), rc;

	if (fd < 0)
		return say(why, MG_EINVAL, "cannot make '%.150s': %s", path, strerror(errno));
	rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK ? MG_OK : sick(to, why);
	rc = rc ? rc : copy(s->db, to, why);
	/* one file, to be carried away as it is */
	if (!rc && sqlite3_exec(to, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL) != SQLITE_OK)
		rc = sick(to, why);
	sqlite3_close(to);
	if (!rc && fsync(fd))
		rc = say(why, MG_ENOMEM, "cannot sync '%.150s': %s", path, strerror(errno));
	close(fd);
	if (rc)
		unlink(path);
	return rc;
}

static const struct mg_store sqlite = {
	.size = sizeof(sqlite), .open = open_store, .close = shut, .begin = begin, .commit = commit, .rollback = rollback,
	.put = put, .each = each, .sums = sums, .audit = audit, .backup = backup, .sums_each = sums_each,
};

MG_PLUGIN(.name = "sqlite", .version = "1.0.0", .about = "the embedded store: one SQLite file", .store = &sqlite)
