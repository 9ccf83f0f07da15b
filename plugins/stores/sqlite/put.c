/*
 * put.c - rows in.
 *
 * Some things are gathered in memory until the transaction ends, because most of them need no
 * statement of their own then: an intent whose generation comes in the same transaction was
 * never open; a key's charges of a day are one sum; so is what all its generations post.
 */
#include <stdlib.h>
#include <string.h>

#include "parts.h"

enum { GATHERED = 1024, LEAVING = 16 };	/* then they are written: as much as a group has */

struct intent { uint64_t hash; size_t text; int64_t hold_nusd, at_ms; };	/* text: generation_id, attempt_id, key_hash, endpoint */
struct total { uint64_t hash; size_t text; int64_t day, nusd, own_nusd; };	/* text: key_hash */
struct leaving { int64_t until_s, first, last; };
struct gathered {
	struct intent intents[GATHERED];
	struct total totals[GATHERED];
	struct leaving leaving[LEAVING];
	size_t n_intents, n_totals, n_leaving;
	int64_t first, last, posted[3];		/* generations whose charge, cost and loss are still to be posted; first 0: none */
	char *texts;
	size_t len, size;
	int64_t open;		/* rows in the table of intents; below 0: to be counted */
	int64_t minute;		/* the last of its table; below 0: to be read */
};

struct gathered *gathered_new(void)
{
	struct gathered *g = calloc(1, sizeof(*g));

	if (g)
		g->open = g->minute = -1;
	return g;
}

void gathered_free(struct gathered *g)
{
	if (g)
		free(g->texts);
	free(g);
}

uint64_t hash_of(const char *t)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325), word;
	size_t len = strlen(t);

	for (; len >= 8; len -= 8, t += 8) {
		memcpy(&word, t, 8);
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	for (; *t; t++)
		h = (h ^ (unsigned char)*t) * UINT64_C(0x100000001b3);
	return h;
}

static bool keep(struct gathered *g, const char *t)
{
	size_t n = strlen(t) + 1;

	if (n > g->size - g->len) {
		size_t size = (g->size + n) * 2;
		char *more = realloc(g->texts, size);

		if (!more)
			return false;
		g->texts = more;
		g->size = size;
	}
	memcpy(g->texts + g->len, t, n);
	g->len += n;
	return true;
}

/* ---- the end of the transaction */

static int write_intents(struct store *s, struct gathered *g, char why[256])
{
	sqlite3_stmt *q = s->ready[S_INTENT];
	int rc = MG_OK;

	for (size_t i = 0; i < g->n_intents && !rc; i++) {
		const char *t = g->texts + g->intents[i].text;

		for (int n = 1; n <= 4; n++, t += strlen(t) + 1)
			text(q, n, t);
		sqlite3_bind_int64(q, 5, g->intents[i].hold_nusd);
		sqlite3_bind_int64(q, 6, g->intents[i].at_ms);
		rc = run(s, q, why);
		if (!rc && g->open >= 0)
			g->open += sqlite3_changes(s->db);
	}
	return rc;
}

static int write_totals(struct store *s, struct gathered *g, char why[256])
{
	sqlite3_stmt *q = s->ready[S_TOTAL];
	int rc = MG_OK;

	for (size_t i = 0; i < g->n_totals && !rc; i++) {
		text(q, 1, g->texts + g->totals[i].text);
		sqlite3_bind_int64(q, 2, g->totals[i].day);
		sqlite3_bind_int64(q, 3, g->totals[i].nusd);
		sqlite3_bind_int64(q, 4, g->totals[i].own_nusd);
		rc = run(s, q, why);
	}
	return rc;
}

static int move(struct store *s, int64_t first, int64_t last, int64_t credit, enum account debit, enum account from, int64_t nusd, char why[256])
{
	sqlite3_stmt *q = s->ready[S_ENTRY];

	if (!nusd)
		return MG_OK;
	sqlite3_clear_bindings(q);
	if (first) {
		sqlite3_bind_int64(q, 1, first);
		sqlite3_bind_int64(q, 2, last);
	} else {
		sqlite3_bind_int64(q, 3, credit);
	}
	sqlite3_bind_int(q, 4, (int)debit);
	sqlite3_bind_int(q, 5, (int)from);
	sqlite3_bind_int64(q, 6, nusd);
	return run(s, q, why);
}

static int write_entries(struct store *s, struct gathered *g, char why[256])
{
	int rc = move(s, g->first, g->last, 0, BALANCE, SALES, g->posted[0], why);

	rc = rc ? rc : move(s, g->first, g->last, 0, UPSTREAM, PAYABLE, g->posted[1], why);
	rc = rc ? rc : move(s, g->first, g->last, 0, LOSS, PAYABLE, g->posted[2], why);
	g->first = g->last = 0;
	memset(g->posted, 0, sizeof(g->posted));
	return rc;
}

static int write_leaving(struct store *s, struct gathered *g, char why[256])
{
	sqlite3_stmt *q = s->ready[S_LEAVING];
	int rc = MG_OK;

	for (size_t i = 0; i < g->n_leaving && !rc; i++) {
		sqlite3_bind_int64(q, 1, g->leaving[i].until_s);
		sqlite3_bind_int64(q, 2, g->leaving[i].first);
		sqlite3_bind_int64(q, 3, g->leaving[i].last);
		rc = run(s, q, why);
	}
	g->n_leaving = 0;
	return rc;
}

static void forget(struct gathered *g)
{
	g->n_intents = g->n_totals = g->n_leaving = g->len = 0;
	g->first = g->last = 0;
	memset(g->posted, 0, sizeof(g->posted));
}

/* After an error nothing is kept for a second try: the transaction can only be rolled back. */
int gathered_write(struct store *s, char why[256])
{
	struct gathered *g = s->gathered;
	int rc;

	if (!g || (!g->n_intents && !g->first))
		return MG_OK;
	rc = write_intents(s, g, why);
	rc = rc ? rc : write_totals(s, g, why);
	rc = rc ? rc : write_entries(s, g, why);
	rc = rc ? rc : write_leaving(s, g, why);
	forget(g);
	return rc;
}

void gathered_forget(struct store *s)
{
	if (!s->gathered)
		return;
	forget(s->gathered);
	s->gathered->open = s->gathered->minute = -1;
}

/* ---- intents */

static int put_intent(struct store *s, const struct mg_store_intent *i, char why[256])
{
	struct gathered *g = s->gathered;
	struct intent *one = &g->intents[g->n_intents];
	int rc;

	if (i->hold_nusd < 0 || i->hold_nusd > MONEY_MAX || i->at_ms < 0)
		return say(why, MG_EINVAL, "attempt %.80s: hold or time out of bounds", i->attempt_id);
	if (g->n_intents == GATHERED) {
		rc = gathered_write(s, why);
		if (rc)
			return rc;
		one = g->intents;
	}
	*one = (struct intent){ hash_of(i->generation_id), g->len, i->hold_nusd, i->at_ms };
	if (!keep(g, i->generation_id) || !keep(g, i->attempt_id) || !keep(g, or_empty(i->key_hash)) || !keep(g, or_empty(i->endpoint)))
		return say(why, MG_ENOMEM, "no memory for an intent");
	g->n_intents++;
	return MG_OK;
}

/* Those of the table too, unless there are none: then nobody need look. */
static int resolve(struct store *s, const char *generation_id, char why[256])
{
	struct gathered *g = s->gathered;
	uint64_t hash = hash_of(generation_id);
	int rc;

	for (size_t i = g->n_intents; i-- > 0; )
		if (g->intents[i].hash == hash && !strcmp(g->texts + g->intents[i].text, generation_id))
			g->intents[i] = g->intents[--g->n_intents];
	if (g->open < 0)
		g->open = number(s, "SELECT count(*) FROM intents", -1);
	if (!g->open)
		return MG_OK;
	text(s->ready[S_RESOLVE], 1, generation_id);
	rc = run(s, s->ready[S_RESOLVE], why);
	if (!rc && g->open > 0)
		g->open -= sqlite3_changes(s->db);
	return rc;
}

/* ---- money */

static bool sound(int64_t nusd)
{
	return nusd >= 0 && nusd <= MONEY_MAX;
}

static int64_t own_of(const struct mg_store_generation *g)
{
	return MG_HAS(g, own_nusd) ? g->own_nusd : 0;
}

static int post(struct store *s, int64_t id, const struct mg_store_generation *row, char why[256])
{
	const int64_t nusd[3] = { row->charge_nusd, row->cost_nusd, row->loss_nusd };
	struct gathered *g = s->gathered;
	int rc = MG_OK;

	for (int i = 0; i < 3 && !rc; i++)	/* each is at most MONEY_MAX: no sum of two overflows */
		if (!sound(g->posted[i] + nusd[i]))
			rc = write_entries(s, g, why);
	for (int i = 0; i < 3; i++)
		g->posted[i] += nusd[i];
	g->first = g->first ? g->first : id;
	g->last = id;
	return rc;
}

static bool add_to(struct total *t, int64_t nusd, int64_t own_nusd)
{
	int64_t sum, own_sum;

	if (__builtin_add_overflow(t->nusd, nusd, &sum) || __builtin_add_overflow(t->own_nusd, own_nusd, &own_sum))
		return false;
	t->nusd = sum;
	t->own_nusd = own_sum;
	return true;
}

static int add_total(struct store *s, const struct mg_store_generation *row, char why[256])
{
	struct gathered *g = s->gathered;
	const char *key = or_empty(row->key_hash);
	int64_t day = row->at_ms / DAY_MS, own = own_of(row);
	uint64_t hash = hash_of(key);
	size_t i = 0;
	int rc;

	for (; i < g->n_totals; i++)
		if (g->totals[i].hash == hash && g->totals[i].day == day && !strcmp(g->texts + g->totals[i].text, key) &&
				add_to(&g->totals[i], row->charge_nusd, own))
			return MG_OK;
	if (i == GATHERED) {
		rc = gathered_write(s, why);
		if (rc)
			return rc;
		i = 0;
	}
	g->totals[i] = (struct total){ hash, g->len, day, row->charge_nusd, own };
	if (!keep(g, key))
		return say(why, MG_ENOMEM, "no memory for a total");
	g->n_totals = i + 1;
	return MG_OK;
}

/* The first row of a minute, or of a later one. */
static int mark_minute(struct store *s, int64_t at_ms, int64_t id, char why[256])
{
	struct gathered *g = s->gathered;
	sqlite3_stmt *q = s->ready[S_MINUTE];
	int64_t minute = at_ms / MINUTE_MS;

	if (g->minute < 0)
		g->minute = number(s, "SELECT coalesce(max(minute),-1) FROM minutes", -1);
	if (minute <= g->minute)
		return MG_OK;
	g->minute = minute;
	sqlite3_bind_int64(q, 1, minute);
	sqlite3_bind_int64(q, 2, id);
	return run(s, q, why);
}

/* When labels and decision go, in seconds, so that many go together: to the second what is kept for
 * minutes, to the minute what is kept longer.  0: they stay. */
static int64_t until_s(const struct mg_store_generation *g)
{
	bool stays = !MG_HAS(g, until_ms) || g->until_ms <= 0 || g->until_ms == INT64_MAX;
	int64_t step = g->until_ms - g->at_ms > 10 * MINUTE_MS ? 60 : 1;

	return stays ? 0 : ((g->until_ms - 1) / (step * 1000) + 1) * step;
}

static int mark_leaving(struct store *s, int64_t second, int64_t id, char why[256])
{
	struct gathered *g = s->gathered;
	size_t i = 0;
	int rc;

	while (i < g->n_leaving && g->leaving[i].until_s != second)
		i++;
	if (i == LEAVING) {
		rc = write_leaving(s, g, why);
		if (rc)
			return rc;
		i = 0;
	}
	if (i == g->n_leaving) {
		g->leaving[i] = (struct leaving){ second, id, id };
		g->n_leaving++;
	}
	g->leaving[i].last = id;
	return MG_OK;
}

static void text_or_null(sqlite3_stmt *q, int i, const char *t)
{
	if (t && *t)
		text(q, i, t);
	else
		sqlite3_bind_null(q, i);
}

static int put_generation(struct store *s, const struct mg_store_generation *g, char why[256])
{
	sqlite3_stmt *q = s->ready[S_GENERATION];
	size_t same = strlen(g->generation_id);
	int64_t party, id, leaves = until_s(g);
	int rc;

	if (!sound(g->charge_nusd) || !sound(g->cost_nusd) || !sound(g->loss_nusd) || !sound(own_of(g)) || g->at_ms < 0)
		return say(why, MG_EINVAL, "attempt %.80s: amount or time out of bounds", g->attempt_id);
	if (strncmp(g->attempt_id, g->generation_id, same))
		return say(why, MG_EINVAL, "attempt %.80s: does not begin with its generation's id, %.80s", g->attempt_id, g->generation_id);
	party = party_of(s, g, why);
	if (party < 0)
		return (int)party;
	const int64_t numbers[] = { party, g->charge_nusd, g->cost_nusd, g->loss_nusd, g->at_ms, g->delivered };
	text(q, 1, g->generation_id);
	text(q, 2, g->attempt_id + same);
	for (int i = 0; i < 6; i++)
		sqlite3_bind_int64(q, 3 + i, numbers[i]);
	text(q, 9, g->json);
	text_or_null(q, 10, MG_HAS(g, decision) ? g->decision : NULL);
	text_or_null(q, 11, MG_HAS(g, labels) ? g->labels : NULL);
	if (leaves)
		sqlite3_bind_int64(q, 12, leaves);
	else
		sqlite3_bind_null(q, 12);
	sqlite3_bind_int64(q, 13, own_of(g));
	rc = run(s, q, why);
	if (rc || !sqlite3_changes(s->db))
		return rc;	/* settled before: the second time changes nothing */
	id = sqlite3_last_insert_rowid(s->db);
	rc = mark_minute(s, g->at_ms, id, why);
	rc = rc || !leaves ? rc : mark_leaving(s, leaves, id, why);
	rc = rc || !MG_HAS(g, needs_rating) || !g->needs_rating ? rc : mark_unrated(s, id, why);
	rc = rc ? rc : post(s, id, g, why);
	if (!rc && (g->charge_nusd || own_of(g)))
		rc = add_total(s, g, why);
	return rc ? rc : resolve(s, g->generation_id, why);
}

static int put_credit(struct store *s, const struct mg_store_credit *c, char why[256])
{
	sqlite3_stmt *q = s->ready[S_CREDIT];
	int64_t id;
	int rc;

	if (c->nusd < -MONEY_MAX || c->nusd > MONEY_MAX || !c->nusd)
		return say(why, MG_EINVAL, "credit %.80s: amount out of bounds", c->external_id);
	text(q, 1, c->external_id);
	sqlite3_bind_int64(q, 2, c->nusd);
	sqlite3_bind_int64(q, 3, c->at_ms);
	rc = run(s, q, why);
	if (rc || !sqlite3_changes(s->db))
		return rc;	/* the same payment, told again */
	id = sqlite3_last_insert_rowid(s->db);
	return c->nusd > 0 ? move(s, 0, 0, id, BANK, BALANCE, c->nusd, why) : move(s, 0, 0, id, BALANCE, BANK, -c->nusd, why);
}

/* ---- the rest */

static int put_key(struct store *s, const struct mg_store_key *k, char why[256])
{
	sqlite3_stmt *q = s->ready[S_KEY];

	text(q, 1, k->hash);
	text(q, 2, k->json);
	sqlite3_bind_int64(q, 3, k->created_ms);
	sqlite3_bind_int(q, 4, k->deleted);
	return run(s, q, why);
}

static int put_decision(struct store *s, const struct mg_store_decision *d, char why[256])
{
	sqlite3_stmt *q = s->ready[S_DECISION];

	text(q, 1, d->generation_id);
	sqlite3_bind_int64(q, 2, d->at_ms);
	text(q, 3, MG_HAS(d, key_hash) ? d->key_hash : "");
	text(q, 4, d->json);
	if (MG_HAS(d, until_ms) && d->until_ms > 0 && d->until_ms != INT64_MAX)
		sqlite3_bind_int64(q, 5, d->until_ms);
	else
		sqlite3_bind_null(q, 5);
	return run(s, q, why);
}

static int put_endpoint(struct store *s, const struct mg_store_endpoint *e, char why[256])
{
	text(s->ready[S_ENDPOINT], 1, e->hash);
	text(s->ready[S_ENDPOINT], 2, e->json);
	return run(s, s->ready[S_ENDPOINT], why);
}

int put(void *handle, enum mg_store_row kind, const void *row, char why[256])
{
	switch (kind) {
	case MG_ROW_KEY: return put_key(handle, row, why);
	case MG_ROW_INTENT: return put_intent(handle, row, why);
	case MG_ROW_GENERATION: return put_generation(handle, row, why);
	case MG_ROW_CREDIT: return put_credit(handle, row, why);
	case MG_ROW_DECISION: return put_decision(handle, row, why);
	case MG_ROW_ENDPOINT: return put_endpoint(handle, row, why);
	case MG_ROW_ADJUSTMENT: return put_adjustment(handle, row, why);
	case MG_ROW_REFUSED: break;	/* put as MG_ROW_DECISION */
	case MG_ROW_UNRATED: break;	/* put as MG_ROW_GENERATION */
	}
	return say(why, MG_EINVAL, "a row of unknown kind %d", (int)kind);
}
