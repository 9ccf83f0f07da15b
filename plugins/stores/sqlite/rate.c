/*
 * rate.c - prices that were run again: an adjustment takes its generation off the list of those that
 * wait for it, and what is given back off the total of the day on which the generation counts.
 */
#include <stdio.h>

#include "parts.h"

struct charged { int64_t id, charge_nusd, at_ms; char key_hash[80]; };

static sqlite3_stmt *numbered(struct store *s, const char *sql, const char *t, const int64_t *n, int count, char why[256])
{
	sqlite3_stmt *q = query(s, sql, why);

	if (q && t)
		text(q, 1, t);
	for (int i = 0; q && i < count; i++)
		sqlite3_bind_int64(q, 2 + i, n[i]);
	return q;
}

static int once(struct store *s, const char *sql, const char *t, const int64_t *n, int count, char why[256])
{
	sqlite3_stmt *q = numbered(s, sql, t, n, count, why);
	int rc = q ? run(s, q, why) : sick(s->db, why);

	sqlite3_finalize(q);
	return rc;
}

int mark_unrated(struct store *s, int64_t id, char why[256])
{
	return once(s, "INSERT INTO unrated(id) VALUES(?2)", NULL, &id, 1, why);
}

/* 1: it waits; 0: it has been adjusted. */
static int find(struct store *s, const char *generation_id, struct charged *out, char why[256])
{
	sqlite3_stmt *q = numbered(s, "SELECT id, charge_nusd, at_ms, key_hash FROM generations JOIN parties USING(party) WHERE generation_id=?1"
		" AND id IN (SELECT id FROM unrated) AND NOT EXISTS(SELECT 1 FROM adjustments WHERE generation=?1)"
		" ORDER BY charge_nusd DESC LIMIT 1", generation_id, NULL, 0, why);
	int code = q ? sqlite3_step(q) : SQLITE_ERROR, rc = code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? MG_OK : sick(s->db, why);

	if (rc == 1) {
		*out = (struct charged){ sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2), "" };
		snprintf(out->key_hash, sizeof(out->key_hash), "%s", column(q, 3));
	}
	sqlite3_finalize(q);
	if (rc)
		return rc;
	q = numbered(s, "SELECT 1 FROM adjustments WHERE generation=?1", generation_id, NULL, 0, why);
	code = q ? sqlite3_step(q) : SQLITE_ERROR;
	rc = code == SQLITE_ROW ? MG_OK : code == SQLITE_DONE ? say(why, MG_EINVAL, "generation %.80s: is not to be rated", generation_id) : sick(s->db, why);
	sqlite3_finalize(q);
	return rc;
}

static int give_back(struct store *s, const struct charged *c, int64_t nusd, char why[256])
{
	int rc = once(s, "UPDATE totals SET nusd=nusd-?3 WHERE key_hash=?1 AND day=?2", c->key_hash, (const int64_t[]){ c->at_ms / DAY_MS, nusd }, 2, why);

	if (!rc && sqlite3_changes(s->db) != 1)
		return say(why, MG_EPROTO, "there is no total of the day of an adjustment");
	return rc;
}

int put_adjustment(struct store *s, const struct mg_store_adjustment *a, char why[256])
{
	struct charged c;
	int rc = gathered_write(s, why);	/* its generation's total among them */

	rc = rc ? rc : find(s, a->generation_id, &c, why);
	if (rc <= 0)
		return rc;
	if (a->refund_nusd < 0 || a->refund_nusd > c.charge_nusd || a->rated_ms <= 0)
		return say(why, MG_EINVAL, "adjustment of %.80s: amount or time out of bounds", a->generation_id);
	rc = once(s, "INSERT INTO adjustments(id,generation,refund_nusd,rated_ms) VALUES(?2,?1,?3,?4)", a->generation_id,
		(const int64_t[]){ c.id, a->refund_nusd, a->rated_ms }, 3, why);
	rc = rc ? rc : once(s, "DELETE FROM unrated WHERE id IN (SELECT id FROM generations WHERE generation_id=?1)", a->generation_id, NULL, 0, why);
	return rc || !a->refund_nusd ? rc : give_back(s, &c, a->refund_nusd, why);
}
