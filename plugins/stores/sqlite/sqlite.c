/*
 * sqlite - the embedded store: one file, one writer.
 *
 *	keys		hash -> the key as the gateway wrote it
 *	intents		holds that no generation has resolved yet
 *	parties		who asked which model of whom
 *	generations	what each came to, and its decision; attempt_id is unique (R43)
 *	minutes		the first generation of each, or of a later one
 *	leaving		which generations lose labels and decision when
 *	unrated		generations whose price is to be run again
 *	adjustments	what came of it: once for a generation
 *	credits		what was bought; external_id is unique (R51)
 *	entries		double entry: a row is a movement from one account to another (R50),
 *			of a payment, or of the generations of one transaction
 *	totals		charges, and what own accounts took, by key and UTC day: derived, and checked by the audit
 *	decisions	of requests without a generation: what policy explain replays
 *	endpoints	what policies saw of them, by its hash, which decisions name
 *
 * WAL with synchronous=FULL: a commit that returned is on the disk (R96).  The
 * writer holds an flock on "<path>.lock" (R103); readers need none.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parts.h"
#include "schema.h"

#define APPLICATION_ID 0x4d474154	/* "MGAT" */

static const char *const statements[STATEMENTS] = {
	[S_BEGIN] = "BEGIN IMMEDIATE",
	[S_COMMIT] = "COMMIT",
	[S_KEY] = "INSERT INTO keys(hash,json,created_ms,deleted) VALUES(?1,?2,?3,?4)"
		" ON CONFLICT(hash) DO UPDATE SET json=excluded.json, deleted=excluded.deleted",
	/* a replayed journal may bring the intent after its generation: then it is none */
	[S_INTENT] = "INSERT OR IGNORE INTO intents(generation_id,attempt_id,key_hash,endpoint,hold_nusd,at_ms)"
		" SELECT ?1,?2,?3,?4,?5,?6 WHERE NOT EXISTS(SELECT 1 FROM generations WHERE generation_id=?1)",
	[S_RESOLVE] = "DELETE FROM intents WHERE generation_id=?1",
	[S_FIND_PARTY] = "SELECT party FROM parties WHERE key_hash=?1 AND model=?2 AND provider=?3",
	[S_PARTY] = "INSERT INTO parties(key_hash,model,provider) VALUES(?1,?2,?3)",
	[S_GENERATION] = "INSERT INTO generations(generation_id,attempt,party,charge_nusd,cost_nusd,loss_nusd,at_ms,delivered,json,decision,labels,until_s,own_nusd)"
		" VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13) ON CONFLICT(generation_id,attempt) DO NOTHING",
	[S_MINUTE] = "INSERT INTO minutes(minute,first) VALUES(?1,?2)",
	[S_CREDIT] = "INSERT INTO credits(external_id,nusd,at_ms) VALUES(?1,?2,?3) ON CONFLICT(external_id) DO NOTHING",
	[S_ENTRY] = "INSERT INTO entries(first,last,credit,debited,credited,nusd) VALUES(?1,?2,?3,?4,?5,?6)",
	[S_TOTAL] = "INSERT INTO totals(key_hash,day,nusd,own_nusd) VALUES(?1,?2,?3,?4)"
		" ON CONFLICT(key_hash,day) DO UPDATE SET nusd=nusd+excluded.nusd, own_nusd=own_nusd+excluded.own_nusd",
	[S_DECISION] = "INSERT INTO decisions(generation_id,at_ms,key_hash,json,until_ms) VALUES(?1,?2,?3,?4,?5) ON CONFLICT(generation_id) DO NOTHING",
	[S_LEAVING] = "INSERT INTO leaving(until_s,first,last) VALUES(?1,?2,?3)"
		" ON CONFLICT(until_s) DO UPDATE SET first=min(first,excluded.first), last=max(last,excluded.last)",
	[S_ENDPOINT] = "INSERT INTO endpoints(hash,json) VALUES(?1,?2) ON CONFLICT(hash) DO NOTHING",
};

/* ---- errors */

int say(char why[256], int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, 256, fmt, ap);
	va_end(ap);
	return rc;
}

int sick(sqlite3 *db, char why[256])
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

int run(struct store *s, sqlite3_stmt *q, char why[256])
{
	int code = sqlite3_step(q), rc = code == SQLITE_DONE || code == SQLITE_ROW ? MG_OK : sick(s->db, why);

	sqlite3_reset(q);
	return rc;
}

int exec(struct store *s, const char *sql, char why[256])
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? MG_OK : sick(s->db, why);
}

sqlite3_stmt *query(struct store *s, const char *sql, char why[256])
{
	sqlite3_stmt *q = NULL;

	if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) != SQLITE_OK)
		sick(s->db, why);
	return q;
}

void text(sqlite3_stmt *q, int i, const char *t)
{
	sqlite3_bind_text(q, i, t ? t : "", -1, SQLITE_STATIC);	/* until the next bind: run() comes before */
}

const char *column(sqlite3_stmt *q, int i)
{
	const char *t = (const char *)sqlite3_column_text(q, i);

	return t ? t : "";
}

int64_t number(struct store *s, const char *sql, int64_t def)
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
	gathered_free(s->gathered);
	parties_free(s->parties);
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
		return say(why, MG_EINVAL, "cannot open '%.150s': %s%s", name, strerror(errno), errno != EACCES ? ""
			: "\nhint: data_dir is another user's: be that one (sudo -u), or name another data_dir");
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

/* What another schema's file needs. */
static int other_schema(const char *path, int64_t version, char why[256])
{
	const char *hint = "run the version that made it, or restore a backup";

	if (version >= OLDEST && version < SCHEMA)
		hint = "the next 'moongate serve' brings it up to that";
	else if (version < OLDEST)
		hint = "move it away, or name another data_dir: a new one is made";
	return say(why, MG_EINVAL, "'%.100s' has schema %d, this version wants %d\nhint: %s", path, (int)version, SCHEMA, hint);
}

/* A new file gets the tables, one of an earlier schema what has come since; any other must have just these. */
static int tables(struct store *s, const char *path, char why[256])
{
	int64_t id = number(s, "PRAGMA application_id", -1), version = number(s, "PRAGMA user_version", -1), from = OLDEST;
	char stamp[80];
	int rc;

	if (id < 0 || version < 0)
		return sick(s->db, why);
	if (id == APPLICATION_ID && version == SCHEMA)
		return MG_OK;
	if (id == APPLICATION_ID && (version < OLDEST || version > SCHEMA || s->read_only))
		return other_schema(path, version, why);
	if (id != APPLICATION_ID && (id || version || s->read_only || number(s, "SELECT count(*) FROM sqlite_schema", 1)))
		return say(why, MG_EINVAL, "'%.150s' is no store of this gateway", path);
	snprintf(stamp, sizeof(stamp), "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", APPLICATION_ID, SCHEMA);
	rc = exec(s, "BEGIN IMMEDIATE", why);
	if (id == APPLICATION_ID)
		from = version;
	else
		rc = rc ? rc : exec(s, schema, why);
	for (; !rc && from < SCHEMA; from++)
		rc = exec(s, schema_steps[from - OLDEST], why);
	rc = rc ? rc : exec(s, stamp, why);
	if (rc)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

/* Before the first connection of the process: nobody asks how much memory there is in use, and
 * counting takes a lock for each piece. */
static void frugal(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int settings(struct store *s, char why[256])
{
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_timeout(s->db, BUSY_MS);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	if (s->read_only)
		return exec(s, "PRAGMA trusted_schema=OFF; PRAGMA query_only=ON", why);
	/* FAST: no page keeps what was moved to another; expire() wipes freed pages, too, which distributions do always */
	return exec(s, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA secure_delete=FAST;"
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
	rc = rc ? rc : tables(s, path, why);
	if (!rc && !s->read_only)
		rc = whole(s, path, why);
	for (int i = 0; i < STATEMENTS && !rc && !s->read_only; i++)
		if (sqlite3_prepare_v3(s->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &s->ready[i], NULL) != SQLITE_OK)
			rc = sick(s->db, why);
	return rc;
}

static int open_store(const char *path, bool read_only, void **handle, char why[256])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct store *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return say(why, MG_ENOMEM, "no memory");
	pthread_once(&once, frugal);
	s->lock = -1;
	s->read_only = read_only;
	s->gathered = read_only ? NULL : gathered_new();
	s->parties = read_only ? NULL : parties_new();
	rc = read_only || (s->gathered && s->parties) ? begin_with(s, path, why) : say(why, MG_ENOMEM, "no memory");
	if (rc)
		shut(s);
	else
		*handle = s;
	return rc;
}

/* ---- transactions */

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

	gathered_forget(s);
	parties_forget(s->parties);
	if (!sqlite3_get_autocommit(s->db))	/* some errors have rolled back already */
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

static int commit(void *handle, char why[256])
{
	struct store *s = handle;

	int rc;

	if (sqlite3_get_autocommit(s->db))
		return say(why, MG_ENOMEM, "sqlite: the transaction was rolled back");
	rc = gathered_write(s, why);
	return rc ? rc : run(s, s->ready[S_COMMIT], why);
}

static const struct mg_store sqlite = {
	.size = sizeof(sqlite), .open = open_store, .close = shut, .begin = begin, .commit = commit, .rollback = rollback,
	.put = put, .each = each, .sums = sums, .audit = audit, .backup = backup, .sums_each = sums_each,
	.expire = expire, .expired = expired,
};

MG_PLUGIN(.name = "sqlite", .version = "1.0.0", .about = "the embedded store: one SQLite file", .store = &sqlite)
