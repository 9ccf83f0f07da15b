/* store_sql.h - past the store: what somebody with a shell and the file could do to it. */
#ifndef TESTS_STORE_SQL_H
#define TESTS_STORE_SQL_H

#include <sqlite3.h>

#include "ledger/store_rig.h"

static char sql_said[4096];

static inline int sql_row(void *arg, int n, char **cells, char **names)
{
	size_t len = strlen(sql_said);

	for (int i = 0; i < n && len < sizeof(sql_said); i++)
		len += (size_t)snprintf(sql_said + len, sizeof(sql_said) - len, "%s%s", cells[i] ? cells[i] : "", i + 1 < n ? "|" : "\n");
	return 0;
}

/* The rows that text gives, a line each, and what it failed with. */
static inline const char *rig_sql(const char *name, const char *text)
{
	sqlite3 *db = NULL;
	char *why = NULL;

	sql_said[0] = '\0';
	if (sqlite3_open(rig_path(name), &db) == SQLITE_OK)
		sqlite3_exec(db, text, sql_row, NULL, &why);
	if (why || sqlite3_errcode(db))
		snprintf(sql_said + strlen(sql_said), sizeof(sql_said) - strlen(sql_said), "%s", why ? why : sqlite3_errmsg(db));
	sqlite3_free(why);
	sqlite3_close(db);
	return sql_said;
}

#endif
