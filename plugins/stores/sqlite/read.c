/* read.c - rows and sums out. */
#include <stdio.h>
#include <string.h>

#include "parts.h"

union row { struct mg_store_key key; struct mg_store_intent intent; struct mg_store_generation generation;
	struct mg_store_credit credit; struct mg_store_decision decision; struct mg_store_endpoint endpoint; struct mg_store_adjustment adjustment; };

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
	case MG_ROW_UNRATED:
		r->generation = (struct mg_store_generation){ sizeof(r->generation), column(q, 0), column(q, 1), column(q, 2),
			column(q, 3), column(q, 4), sqlite3_column_int64(q, 5), sqlite3_column_int64(q, 6),
			sqlite3_column_int64(q, 7), sqlite3_column_int64(q, 8), sqlite3_column_int(q, 9), column(q, 10), column(q, 11), column(q, 12),
			sqlite3_column_int64(q, 13) * 1000, false, sqlite3_column_int64(q, 14), sqlite3_column_int64(q, 15) };
		break;
	case MG_ROW_CREDIT:
		r->credit = (struct mg_store_credit){ sizeof(r->credit), column(q, 0), sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2) };
		break;
	case MG_ROW_DECISION:
	case MG_ROW_REFUSED:
		r->decision = (struct mg_store_decision){ sizeof(r->decision), column(q, 0), sqlite3_column_int64(q, 1), column(q, 2), column(q, 3),
			sqlite3_column_int64(q, 4) };
		break;
	case MG_ROW_ENDPOINT:
		r->endpoint = (struct mg_store_endpoint){ sizeof(r->endpoint), column(q, 0), column(q, 1) };
		break;
	case MG_ROW_ADJUSTMENT:
		r->adjustment = (struct mg_store_adjustment){ sizeof(r->adjustment), column(q, 0), sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2) };
		break;
	}
}

/* Of a key: 64 hex digits.  No generation has such an id. */
static bool is_hash(const char *where)
{
	return strspn(where, "0123456789abcdef") == 64 && !where[64];
}

int each(void *handle, enum mg_store_row kind, const char *where, int64_t since_ms, size_t limit,
	bool (*fn)(void *arg, const void *row), void *arg, char why[256])
{
	static const struct { const char *select, *match, *time, *order; } sql[] = {
		[MG_ROW_KEY] = { "hash,json,created_ms,deleted FROM keys", "hash=?1", "created_ms", "hash" },
		[MG_ROW_INTENT] = { "attempt_id,generation_id,key_hash,endpoint,hold_nusd,at_ms FROM intents",
			"generation_id=?1", "at_ms", "generation_id, attempt_id" },
		[MG_ROW_GENERATION] = { "generation_id||attempt,generation_id,key_hash,model,provider,charge_nusd-coalesce(refund_nusd,0),cost_nusd,loss_nusd,"
			"at_ms,delivered,json,decision,labels,until_s,coalesce(rated_ms,0),own_nusd"
			" FROM generations JOIN parties USING(party) LEFT JOIN adjustments USING(id)", "generation_id=?1", "at_ms", "id" },
		[MG_ROW_CREDIT] = { "external_id,nusd,at_ms FROM credits", "external_id=?1", "at_ms", "id" },
		[MG_ROW_DECISION] = { "generation_id,at_ms,json,key_hash,until_ms FROM decided", "generation_id=?1", "at_ms", "at_ms" },
		[MG_ROW_ENDPOINT] = { "hash,json FROM endpoints", "hash=?1", "?2", "hash" },
		[MG_ROW_REFUSED] = { "generation_id,at_ms,json,key_hash,until_ms FROM decisions", "generation_id=?1", "at_ms", "id" },
		[MG_ROW_ADJUSTMENT] = { "generation,refund_nusd,rated_ms FROM adjustments", "generation=?1", "rated_ms", "id" },
		[MG_ROW_UNRATED] = { "generation_id||attempt,generation_id,key_hash,model,provider,charge_nusd,cost_nusd,loss_nusd,"
			"at_ms,delivered,json,decision,labels,until_s,0,own_nusd FROM unrated JOIN generations USING(id) JOIN parties USING(party)",
			"generation_id=?1", "at_ms", "id" },
	};
	static const char from_minute[] = " AND id>=(SELECT first FROM minutes WHERE minute>=?2/60000 ORDER BY minute LIMIT 1)";
	struct store *s = handle;
	char words[768];
	sqlite3_stmt *q;
	union row row;
	bool by_key = (kind == MG_ROW_INTENT || kind == MG_ROW_GENERATION) && where && is_hash(where);
	int code, rc;

	if ((unsigned)kind >= sizeof(sql) / sizeof(sql[0]))
		return say(why, MG_EINVAL, "rows of unknown kind %d", (int)kind);
	rc = gathered_write(s, why);
	if (rc)
		return rc;
	snprintf(words, sizeof(words), "SELECT %s WHERE %s AND %s>=?2%s ORDER BY %s LIMIT ?3", sql[kind].select,
		by_key ? "key_hash=?1" : where ? sql[kind].match : "?1 IS NULL", sql[kind].time,
		kind == MG_ROW_GENERATION && (!where || by_key) ? from_minute : "", sql[kind].order);
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
	if (!where && !limit)
		sqlite3_db_release_memory(s->db);	/* pages of a pass through all of it are asked for no more */
	return rc;
}

#define SUMS_OF(column) "coalesce(sum(" column "),0)," \
	"coalesce(sum(" column ") FILTER (WHERE day>=?1),0),coalesce(sum(" column ") FILTER (WHERE day>=?2),0)," \
	"coalesce(sum(" column ") FILTER (WHERE day>=?3),0)"
#define SUMS SUMS_OF("nusd") "," SUMS_OF("own_nusd")

static void read_sums(sqlite3_stmt *q, struct mg_store_sums *out)
{
	*out = (struct mg_store_sums){ sizeof(*out), sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1),
		sqlite3_column_int64(q, 2), sqlite3_column_int64(q, 3), sqlite3_column_int64(q, 4), sqlite3_column_int64(q, 5),
		sqlite3_column_int64(q, 6), sqlite3_column_int64(q, 7) };
}

static sqlite3_stmt *sums_query(struct store *s, const char *sql, const int64_t since_ms[3], char why[256])
{
	sqlite3_stmt *q = query(s, sql, why);

	for (int i = 0; q && i < 3; i++)
		sqlite3_bind_int64(q, 1 + i, since_ms[i] / DAY_MS);
	return q;
}

int sums(void *handle, const char *key_hash, const int64_t since_ms[3], struct mg_store_sums *out, char why[256])
{
	struct store *s = handle;
	sqlite3_stmt *q = sums_query(s, key_hash ? "SELECT " SUMS " FROM totals WHERE key_hash=?4" : "SELECT " SUMS " FROM totals",
		since_ms, why);
	int rc = gathered_write(s, why);

	if (!q)
		return sick(s->db, why);
	if (key_hash)
		text(q, 4, key_hash);
	if (!rc && sqlite3_step(q) == SQLITE_ROW)
		read_sums(q, out);
	else
		rc = rc ? rc : sick(s->db, why);
	sqlite3_finalize(q);
	return rc;
}

int sums_each(void *handle, const int64_t since_ms[3],
	void (*fn)(void *arg, const char *key_hash, const struct mg_store_sums *s), void *arg, char why[256])
{
	struct store *s = handle;
	sqlite3_stmt *q = sums_query(s, "SELECT " SUMS ",key_hash FROM totals GROUP BY key_hash", since_ms, why);
	struct mg_store_sums one;
	int code = SQLITE_DONE, rc = gathered_write(s, why);

	if (!q)
		return sick(s->db, why);
	while (!rc && (code = sqlite3_step(q)) == SQLITE_ROW) {
		read_sums(q, &one);
		fn(arg, column(q, 8), &one);
	}
	if (code != SQLITE_DONE)
		rc = sick(s->db, why);
	sqlite3_finalize(q);
	return rc;
}

