#include <stdlib.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "cli/backtest_rows.h"

enum { BATCH_BYTES = 64 << 20, TEXTS = 4 };

void batch_free(struct batch *b)
{
	if (b)
		buf_release(&b->texts);
	free(b);
}

struct tested batch_row(const struct batch *b, size_t i, struct mg_store_generation *g)
{
	const struct row *r = &b->rows[i];
	const char *id = b->texts.at + r->text, *key = id + strlen(id) + 1, *decision = key + strlen(key) + 1, *json = decision + strlen(decision) + 1;

	*g = (struct mg_store_generation){ .size = sizeof(*g), .generation_id = id, .key_hash = key, .charge_nusd = r->charge_nusd,
		.cost_nusd = r->cost_nusd, .at_ms = r->at_ms, .delivered = r->delivered, .json = json };
	return (struct tested){ { sizeof(struct mg_store_decision), id, r->at_ms, decision, key, 0 }, r->generation ? g : NULL };
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

static bool keep_row(struct rows *r, struct row row, const char *const texts[TEXTS])
{
	struct batch *b = r->filling;

	if (!b) {
		b = r->filling = calloc(1, sizeof(*b));
		if (!b)
			return false;
		buf_init(&b->texts, BATCH_BYTES);
	}
	row.text = b->texts.len;
	for (int i = 0; i < TEXTS; i++)
		buf_put(&b->texts, texts[i] ? texts[i] : "", (texts[i] ? strlen(texts[i]) : 0) + 1);
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

	show(r, g->at_ms);
	if (r->charged)
		r->charged(r->arg, g->key_hash, g->charge_nusd);
	if (g->at_ms > r->until_ms || (!decided && !r->charges))
		return true;
	r->seen += decided;
	return keep_row(r, (struct row){ 0, g->at_ms, g->charge_nusd, g->cost_nusd, true, g->delivered },
		(const char *const[TEXTS]){ g->generation_id, g->key_hash, decided ? g->decision : NULL, decided ? g->json : NULL });
}

static bool on_refused(void *arg, const void *at)
{
	const struct mg_store_decision *d = at;
	struct rows *r = arg;

	if (d->at_ms > r->until_ms || !sampled(r, d->generation_id))
		return true;
	r->seen++;
	return keep_row(r, (struct row){ 0, d->at_ms, 0, 0, false, false }, (const char *const[TEXTS]){ d->generation_id, d->key_hash, d->json, NULL });
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
