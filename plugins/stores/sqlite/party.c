/*
 * party.c - a number for who asked which model of whom.
 *
 * A generation's row has it in place of the three names.  The last of each are remembered, so that
 * most requests look nowhere; what is remembered is compared as a whole, for it says who pays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

enum { REMEMBERED = 512, NAMES_MAX = 256 };	/* longer names are looked up each time */

struct party { int64_t number; char names[NAMES_MAX]; };	/* key_hash, model, provider; number 0: nobody */
struct parties { struct party at[REMEMBERED]; };

struct parties *parties_new(void)
{
	return calloc(1, sizeof(struct parties));
}

void parties_free(struct parties *p)
{
	free(p);
}

void parties_forget(struct parties *p)
{
	for (int i = 0; p && i < REMEMBERED; i++)
		p->at[i].number = 0;
}

static bool same(const char *at, const char *const names[3])
{
	for (int i = 0; i < 3; i++) {
		if (strcmp(at, names[i]))
			return false;
		at += strlen(at) + 1;
	}
	return true;
}

static void remember(struct party *p, int64_t number, const char *const names[3])
{
	size_t at = 0;

	p->number = 0;
	for (int i = 0; i < 3; i++) {
		size_t len = strlen(names[i]) + 1;

		if (len > NAMES_MAX - at)
			return;
		memcpy(p->names + at, names[i], len);
		at += len;
	}
	p->number = number;
}

static void name(sqlite3_stmt *q, const char *const names[3])
{
	for (int i = 0; i < 3; i++)
		text(q, 1 + i, names[i]);
}

static int64_t look_up(struct store *s, const char *const names[3], char why[256])
{
	sqlite3_stmt *q = s->ready[S_FIND_PARTY];
	int64_t number;
	int code, rc;

	name(q, names);
	code = sqlite3_step(q);
	number = code == SQLITE_ROW ? sqlite3_column_int64(q, 0) : code == SQLITE_DONE ? 0 : sick(s->db, why);
	sqlite3_reset(q);
	if (number)
		return number;
	name(s->ready[S_PARTY], names);
	rc = run(s, s->ready[S_PARTY], why);
	return rc ? rc : sqlite3_last_insert_rowid(s->db);
}

int64_t party_of(struct store *s, const struct mg_store_generation *g, char why[256])
{
	const char *const names[3] = { or_empty(g->key_hash), or_empty(g->model), or_empty(g->provider) };
	struct party *p = &s->parties->at[(hash_of(names[0]) ^ hash_of(names[1]) >> 8 ^ hash_of(names[2]) >> 16) % REMEMBERED];
	int64_t number;

	if (p->number && same(p->names, names))
		return p->number;
	number = look_up(s, names, why);
	if (number > 0)
		remember(p, number, names);
	return number;
}
