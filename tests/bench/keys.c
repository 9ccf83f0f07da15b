/*
 * keys.c - many keys at once, written into the store of a gateway that is stopped.
 *
 *	keys DATABASE N
 *
 * As the gateway writes them; nobody knows the keys whose hashes these are.
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int run(sqlite3 *db, const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &why) == SQLITE_OK)
		return 0;
	fprintf(stderr, "keys: %s\n", why);
	return 1;
}

static int insert(sqlite3 *db, unsigned n)
{
	sqlite3_stmt *row;
	char hash[65], json[512];

	if (sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO keys VALUES(?,?,1760000000000,0)", -1, &row, NULL) != SQLITE_OK)
		return 1;
	for (unsigned i = 0; i < n; i++) {
		uint64_t mixed = (i + 1) * 0x9e3779b97f4a7c15u;

		snprintf(hash, sizeof(hash), "%016llx%016llx%016llx%016x", (unsigned long long)mixed,
			(unsigned long long)mixed * 0xbf58476d1ce4e5b9u, (unsigned long long)mixed * 0x94d049bb133111ebu, i);
		snprintf(json, sizeof(json), "{\"name\":\"bench %u\",\"label\":\"sk-or-v1-%03x...%03x\",\"creator\":\"\",\"workspace\":\"\","
			"\"external_user\":\"\",\"management\":false,\"disabled\":false,\"include_byok\":false,\"updated_ms\":1760000000000,"
			"\"expires_ms\":0,\"limit_nusd\":100000000000,\"reset\":0}", i, i & 0xfff, i >> 12 & 0xfff);
		sqlite3_bind_text(row, 1, hash, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(row, 2, json, -1, SQLITE_TRANSIENT);
		if (sqlite3_step(row) != SQLITE_DONE)
			return 1;
		sqlite3_reset(row);
	}
	return sqlite3_finalize(row) != SQLITE_OK;
}

int main(int argc, char **argv)
{
	sqlite3 *db = NULL;

	if (argc != 3) {
		fprintf(stderr, "usage: keys DATABASE N\n");
		return 2;
	}
	if (sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK || run(db, "BEGIN") ||
			insert(db, (unsigned)strtoul(argv[2], NULL, 10)) || run(db, "COMMIT")) {
		fprintf(stderr, "keys: %s: %s\n", argv[1], sqlite3_errmsg(db));
		return 1;
	}
	return sqlite3_close(db) != SQLITE_OK;
}
