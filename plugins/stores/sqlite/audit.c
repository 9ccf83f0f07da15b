/*
 * audit.c - is it all true?  And a copy to put in its place.
 *
 * Each question answers with one line for each thing that is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parts.h"

#define CHECK_MAX (INT64_C(1) << 30)	/* at start the pages of a file of up to so much are read, */
#define AUDIT_MAX (INT64_C(1) << 26)	/* and up to so much also what they say: a start takes less than a second */

static const char *const questions[] = {
	"SELECT 'file: '||quick_check FROM pragma_quick_check WHERE quick_check<>'ok'",
	"SELECT 'entry '||id||': of a credit that is not there' FROM entries e"
	" WHERE credit IS NOT NULL AND NOT EXISTS(SELECT 1 FROM credits WHERE id=e.credit)",
	/* in two parts: all debits come before the credits, and their sum may be more than sum() counts */
	"SELECT 'entries: debits and credits differ by '||(large*1000000000+small)||' nUSD' FROM"
	" (SELECT sum(nusd/1000000000) large, sum(nusd%1000000000) small FROM ledger) WHERE large*1000000000+small<>0",
	"SELECT 'entry '||id||': generation rows '||first||' to '||last||' sum to '||coalesce(n,0)||' nUSD, posted '||nusd FROM"
	" (SELECT *, CASE WHEN debited=1 AND credited=2 THEN (SELECT sum(charge_nusd) FROM generations WHERE id BETWEEN first AND last)"
	" WHEN debited=3 AND credited=4 THEN (SELECT sum(cost_nusd) FROM generations WHERE id BETWEEN first AND last)"
	" WHEN debited=5 AND credited=4 THEN (SELECT sum(loss_nusd) FROM generations WHERE id BETWEEN first AND last) END n"
	" FROM entries WHERE first IS NOT NULL) WHERE nusd IS NOT n",
	"SELECT 'generations: charged '||charge||', cost '||cost||', loss '||loss||' nUSD, posted '||p1||', '||p2||', '||p3 FROM"
	" (SELECT coalesce(sum(charge_nusd),0) charge, coalesce(sum(cost_nusd),0) cost, coalesce(sum(loss_nusd),0) loss FROM generations),"
	" (SELECT coalesce(sum(nusd) FILTER (WHERE debited=1),0) p1, coalesce(sum(nusd) FILTER (WHERE debited=3),0) p2,"
	" coalesce(sum(nusd) FILTER (WHERE debited=5),0) p3 FROM entries WHERE first IS NOT NULL)"
	" WHERE charge<>p1 OR cost<>p2 OR loss<>p3",
	"SELECT 'credit '||c.external_id||': '||c.nusd||' nUSD, posted '||coalesce(e.n,0) FROM credits c"
	" LEFT JOIN (SELECT credit, coalesce(sum(nusd) FILTER (WHERE debited=6),0)-coalesce(sum(nusd) FILTER (WHERE credited=6),0) n"
	" FROM entries WHERE credit IS NOT NULL GROUP BY credit) e ON e.credit=c.id WHERE c.nusd<>coalesce(e.n,0)",
	"SELECT 'generation '||generation_id||': delivered '||sum(delivered)||' times, charged '||sum(charge_nusd>0)||' times'"
	" FROM generations GROUP BY generation_id HAVING sum(delivered)>1 OR sum(charge_nusd>0)>1",
	"SELECT 'attempt '||i.attempt_id||': settled, and its hold is still open' FROM intents i"
	" WHERE EXISTS(SELECT 1 FROM generations g WHERE g.generation_id=i.generation_id)",
	"SELECT 'key '||key_hash||', day '||day||': own accounts took '||sum(n)||' nUSD too many or too few' FROM"
	" (SELECT key_hash, at_ms/86400000 day, own_nusd n FROM generations JOIN parties USING(party) WHERE own_nusd<>0 UNION ALL"
	" SELECT key_hash, day, -own_nusd FROM totals WHERE own_nusd<>0) GROUP BY key_hash, day HAVING sum(n)<>0",
	"SELECT 'key '||key_hash||', day '||day||': charges sum to '||sum(n)||' nUSD too many or too few' FROM"
	" (SELECT key_hash, at_ms/86400000 day, charge_nusd n FROM generations JOIN parties USING(party) UNION ALL"
	" SELECT key_hash, at_ms/86400000, -refund_nusd FROM adjustments JOIN generations USING(id) JOIN parties USING(party) UNION ALL SELECT key_hash, day, -nusd FROM totals)"
	" GROUP BY key_hash, day HAVING sum(n)<>0",
	"SELECT 'adjustment of '||generation||': of no settled generation, or more than it was charged' FROM adjustments a"
	" WHERE NOT EXISTS(SELECT 1 FROM generations WHERE id=a.id AND generation_id=a.generation AND charge_nusd>=a.refund_nusd)",
	"SELECT 'adjustment of '||generation||': '||count(*)||' times' FROM adjustments GROUP BY generation HAVING count(*)>1",
	"SELECT 'adjustment of '||generation||': it is still to be rated' FROM adjustments WHERE id IN (SELECT id FROM unrated)",
	"SELECT 'attempt '||generation_id||attempt||': of a party that is not there' FROM generations"
	" WHERE party NOT IN (SELECT party FROM parties)",
	"SELECT 'attempt '||generation_id||attempt||': not found by its time' FROM generations"
	" WHERE coalesce(id<(SELECT first FROM minutes WHERE minute>=at_ms/60000 ORDER BY minute LIMIT 1), 1)",
	"SELECT 'attempt '||generation_id||attempt||': money that is no integer' FROM generations WHERE typeof(charge_nusd)<>'integer'"
	" OR typeof(cost_nusd)<>'integer' OR typeof(loss_nusd)<>'integer' OR typeof(own_nusd)<>'integer'",
	"WITH kept(t) AS (VALUES('entries'),('generations'),('parties'),('credits'),('adjustments')), deeds(d) AS (VALUES('_update'),('_delete'))"
	" SELECT 'trigger '||t||d||': is not there' FROM kept, deeds WHERE NOT EXISTS"
	" (SELECT 1 FROM sqlite_master WHERE type='trigger' AND name=t||d AND tbl_name=t)",
};
enum { QUESTIONS = sizeof(questions) / sizeof(questions[0]) };

/* Those from the first on; one reading transaction: a writer beside us must not look like a fault. */
static int ask(struct store *s, size_t first, mg_store_finding *finding, void *arg, char why[256])
{
	int found = 0, rc = exec(s, "BEGIN", why), code;

	for (size_t i = first; i < QUESTIONS && !rc; i++) {
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
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return rc ? rc : found;
}

int audit(void *handle, mg_store_finding *finding, void *arg, char why[256])
{
	return ask(handle, 0, finding, arg, why);
}

/* ---- at start (R100) */

static void first_one(void *arg, const char *finding)
{
	char *first = arg;

	if (!*first)
		snprintf(first, 100, "%s", finding);
}

static int pages(struct store *s, const char *path, char why[256])
{
	sqlite3_stmt *q = query(s, "PRAGMA quick_check(1)", why);
	int rc = MG_OK;

	if (!q || sqlite3_step(q) != SQLITE_ROW)
		rc = sick(s->db, why);
	else if (strcmp(column(q, 0), "ok"))
		rc = say(why, MG_EPROTO, "'%.100s' is damaged: %.80s\nhint: moongate restore, from a backup", path, column(q, 0));
	sqlite3_finalize(q);
	return rc;
}

int whole(struct store *s, const char *path, char why[256])
{
	int64_t size = number(s, "SELECT page_count*page_size FROM pragma_page_count, pragma_page_size", 0);
	char first[100] = "";
	int rc = size <= CHECK_MAX ? pages(s, path, why) : MG_OK;	/* moongate audit still reads it all */

	if (rc || size > AUDIT_MAX)
		return rc;
	rc = ask(s, 1, first_one, first, why);
	if (rc > 0)
		rc = say(why, MG_EPROTO, "'%.60s': the audit finds %d things wrong, such as: %s\nhint: moongate audit; moongate restore",
			path, rc, first);
	return rc;
}

/* ---- backup */

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

int backup(void *handle, const char *path, char why[256])
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

