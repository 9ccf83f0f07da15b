/*
 * expire.c - labels and decisions whose time is up.
 *
 * What is removed is wiped: the bytes are overwritten where they stood, and the write-ahead log,
 * which has them too, is carried into the file and cut.
 */
#include <stdio.h>

#include "parts.h"

static sqlite3_stmt *numbered(struct store *s, const char *sql, const int64_t *n, int count, char why[256])
{
	sqlite3_stmt *q = query(s, sql, why);

	for (int i = 0; q && i < count; i++)
		sqlite3_bind_int64(q, 1 + i, n[i]);
	return q;
}

static int once(struct store *s, const char *sql, const int64_t *n, int count, char why[256])
{
	sqlite3_stmt *q = numbered(s, sql, n, count, why);
	int rc = q ? run(s, q, why) : sick(s->db, why);

	sqlite3_finalize(q);
	return rc;
}

/* Of one run as many as are asked for; the run begins behind them then, or is at its end.  How many. */
static int64_t leave(struct store *s, int64_t second, int64_t first, int64_t last, int rows, char why[256])
{
	bool all = last - first < rows;
	int64_t to = all ? last : first + rows - 1;
	int rc = once(s, "UPDATE generations SET labels=NULL, decision=NULL, until_s=NULL WHERE id BETWEEN ?1 AND ?2 AND until_s<=?3",
		(const int64_t[]){ first, to, second }, 3, why);

	if (!rc && all)
		rc = once(s, "DELETE FROM leaving WHERE until_s=?1", &second, 1, why);
	else if (!rc)
		rc = once(s, "UPDATE leaving SET first=?2 WHERE until_s=?1", (const int64_t[]){ second, to + 1 }, 2, why);
	return rc ? rc : to - first + 1;
}

static int64_t leave_first(struct store *s, int64_t now_s, int rows, char why[256])
{
	sqlite3_stmt *q = numbered(s, "SELECT until_s,first,last FROM leaving WHERE until_s<=?1 ORDER BY until_s LIMIT 1", &now_s, 1, why);
	int64_t second, first, last;
	int code = q ? sqlite3_step(q) : SQLITE_ERROR;

	if (code != SQLITE_ROW) {
		int rc = code == SQLITE_DONE ? MG_OK : sick(s->db, why);

		sqlite3_finalize(q);
		return rc;
	}
	second = sqlite3_column_int64(q, 0);
	first = sqlite3_column_int64(q, 1);
	last = sqlite3_column_int64(q, 2);
	sqlite3_finalize(q);
	return leave(s, second, first, last, rows, why);
}

static int64_t decisions_leave(struct store *s, int64_t now_ms, int rows, char why[256])
{
	int rc = once(s, "DELETE FROM decisions WHERE id IN (SELECT id FROM decisions WHERE until_ms<=?1 ORDER BY until_ms LIMIT ?2)",
		(const int64_t[]){ now_ms, rows }, 2, why);

	return rc ? rc : sqlite3_changes(s->db);
}

int expire(void *handle, int64_t now_ms, int rows, char why[256])
{
	struct store *s = handle;
	int64_t done = 0, n = 1;
	int rc = gathered_write(s, why);

	rc = rc ? rc : exec(s, "PRAGMA secure_delete=ON", why);
	if (rc)
		return rc;
	while (n > 0 && done < rows) {
		n = leave_first(s, now_ms / 1000, rows - (int)done, why);
		done += n > 0 ? n : 0;
	}
	if (n >= 0 && done < rows)
		n = decisions_leave(s, now_ms, rows - (int)done, why);
	if (n > 0 && done < rows)
		done += n;
	rc = exec(s, "PRAGMA secure_delete=FAST", n < 0 ? (char[256]){ 0 } : why);
	return n < 0 ? (int)n : rc ? rc : (int)done;
}

int expired(void *handle, char why[256])
{
	struct store *s = handle;
	int code;

	/* A reader beside us keeps a part of the log: then the next time, and nobody waits for it. */
	sqlite3_busy_timeout(s->db, 0);
	code = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(s->db, BUSY_MS);
	return code == SQLITE_OK ? MG_OK : sick(s->db, why);
}
