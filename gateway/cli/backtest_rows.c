#include <stdlib.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "cli/backtest_rows.h"
#include "replay/copy.h"

enum { BATCH_BYTES = 64 << 20 };

void batch_free(struct batch *b)
{
	if (b)
		buf_release(&b->texts);
	free(b);
}

struct tested batch_row(const struct batch *b, size_t i, struct mg_store_generation *g)
{
	const struct row *r = &b->rows[i];
	const struct mg_store_decision d = copy_row(b->texts.at + r->copy, r->at_ms);

	*g = (struct mg_store_generation){ .size = sizeof(*g), .generation_id = d.generation_id, .key_hash = d.key_hash, .charge_nusd = r->charge_nusd,
		.cost_nusd = r->cost_nusd, .own_nusd = r->own_nusd, .at_ms = r->at_ms, .delivered = r->delivered, .json = d.json + strlen(d.json) + 1 };
	return (struct tested){ d, r->generation ? g : NULL };
}

static bool hand_on(struct rows *r)
{
	struct batch *b = r->filling;

	r->filling = NULL;
	return !b || r->full(r->arg, b);
}

static bool sampled(const struct rows *r, const char *id)
{
	return r->sample >= 1 || (double)(hash64(id, strlen(id), 29) >> 11) / (double)(UINT64_C(1) << 53) < r->sample;
}

static bool keep_row(struct rows *r, struct row row, const char *id, const char *key, const char *decision, const char *json)
{
	struct batch *b = r->filling;

	if (!b) {
		b = r->filling = calloc(1, sizeof(*b));
		if (!b)
			return false;
		buf_init(&b->texts, BATCH_BYTES);
	}
	row.copy = b->texts.len;
	copy_put(&b->texts, id, key, decision);
	buf_put(&b->texts, json, strlen(json) + 1);
	if (b->texts.failed)
		return false;
	b->rows[b->n++] = row;
	return (b->n < BATCH && b->texts.len <= BATCH_BYTES / 2) || hand_on(r);
}

/* How far through the time that is asked for. */
static void show(struct rows *r, int64_t at_ms)
{
	int64_t now = clock_wall_ms();
	int part = r->until_ms > r->since_ms ? (int)((at_ms - r->since_ms) * 40 / (r->until_ms - r->since_ms)) : 40;

	if (!r->bar || (now < r->shown_ms + 100 && at_ms < r->until_ms))
		return;
	r->shown_ms = now;
	part = part < 0 ? 0 : part > 40 ? 40 : part;
	fprintf(stderr, "\r[%.*s%*s] %llu decisions", part, "########################################", 40 - part, "", (unsigned long long)r->seen);
}

static bool on_generation(void *arg, const void *at)
{
	const struct mg_store_generation *g = at;
	struct rows *r = arg;
	bool decided = g->decision && *g->decision && sampled(r, g->generation_id);
	struct amount spent = tested_amount(g);

	show(r, g->at_ms);
	if (r->charged)
		r->charged(r->arg, g->key_hash, spent);
	if (g->at_ms > r->until_ms || (!decided && !r->charges))
		return true;
	r->seen += decided;
	return keep_row(r, (struct row){ 0, g->at_ms, g->charge_nusd, g->cost_nusd, spent.all - spent.charge, true, g->delivered },
		g->generation_id, g->key_hash, decided ? g->decision : NULL, decided && g->json ? g->json : "");
}

static bool on_refused(void *arg, const void *at)
{
	const struct mg_store_decision *d = at;
	struct rows *r = arg;

	if (d->at_ms > r->until_ms || !sampled(r, d->generation_id))
		return true;
	r->seen++;
	return keep_row(r, (struct row){ 0, d->at_ms, 0, 0, 0, false, false }, d->generation_id, d->key_hash, d->json, "");
}

int rows_read(struct rows *r)
{
	int rc = local_rows(r->local, MG_ROW_GENERATION, NULL, r->since_ms, on_generation, r);

	rc = rc ? rc : local_rows(r->local, MG_ROW_REFUSED, NULL, r->since_ms, on_refused, r);
	hand_on(r);
	show(r, r->until_ms);
	if (r->bar)
		fputs("\n", stderr);
	return rc;
}
