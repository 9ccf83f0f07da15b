/* rating.c - from the store a generation, of its record a bill, and back into the store what is left of the charge. */
#include "replay/rating.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "base/money.h"
#include "ledger/generation.h"
#include "replay/replay.h"

enum { ID_MAX = 72, BATCH = 16, LISTED = 1000, TEXTS_MAX = 256 << 20, RECORD_BYTES = 1 << 20 };

struct rater {
	struct bundle *bundle;
	const struct rating *how;
	struct shelf *shelf;		/* the store thread's, as the replay */
	struct replay *replay;
	struct buf ids;			/* ID_MAX bytes each */
	size_t n, at;
	struct buf rows;		/* what is said of each */
	size_t listed, rated, not_rated;
	money_sum refund;		/* nUSD */
};

/* ---- one generation */

struct one { struct rater *r; bool found; char why[200], key_hash[SHA256_HEX + 1]; int64_t charge_nusd, rated_nusd, at_ms; };

static const struct endpoint *endpoint_of(const struct recorded *rec, const char *id)
{
	for (size_t i = rec->n_routings; i-- > 0; )
		for (size_t k = 0; k < rec->routings[i].n; k++) {
			const struct endpoint *e = rec->routings[i].at[k].endpoint;

			if (e && !strcmp(e->id, id))
				return e;
		}
	return NULL;
}

static void price(struct one *o, const struct mg_store_generation *row, const struct generation *g)
{
	struct replay *replay = o->r->replay;
	const struct mg_store_decision d = { sizeof(d), row->generation_id, row->at_ms, row->decision, row->key_hash, 0 };
	const struct endpoint *e;
	struct bill bill = { .n = 0 };
	struct err err = { 0 };

	if (replay_decide(replay, &d, &err)) {
		snprintf(o->why, sizeof(o->why), "%.190s", err.msg);
		return;
	}
	e = endpoint_of(replay_recorded(replay), g->rate_endpoint);
	if (!e || policy_price(replay_state(replay), replay_decision(replay), e, g->to_rate, false, &bill) != MG_OK)
		snprintf(o->why, sizeof(o->why), e ? "its endpoint has no price" : "its decision does not have its endpoint");
	else if (bill.needs_rating)
		snprintf(o->why, sizeof(o->why), "a price policy fails");
	else	/* what was promised is what it was charged at most */
		o->rated_nusd = bill.charge_nusd < row->charge_nusd ? bill.charge_nusd : row->charge_nusd;
}

static bool on_row(void *arg, const void *at)
{
	const struct mg_store_generation *row = at;
	struct one *o = arg;
	struct pool *p = pool_new(RECORD_BYTES);
	struct err err = { 0 };
	struct generation g;

	o->found = true;
	o->charge_nusd = row->charge_nusd;
	o->at_ms = row->at_ms;
	snprintf(o->key_hash, sizeof(o->key_hash), "%s", row->key_hash);
	if (!p || generation_read(row, p, &g, &err))
		snprintf(o->why, sizeof(o->why), "%.190s", p ? err.msg : "no memory");
	else if (!row->charge_nusd)
		o->rated_nusd = 0;	/* nothing can be given back */
	else if (!g.to_rate || !g.rate_endpoint)
		snprintf(o->why, sizeof(o->why), "its usage is not kept");
	else if (!row->decision || !*row->decision)
		snprintf(o->why, sizeof(o->why), "its decision is not kept");
	else
		price(o, row, &g);
	pool_free(p);
	return false;
}

static void put_usd(struct mg_writer *w, const char *name, int64_t nusd)
{
	char room[64];
	struct buf text = buf_on(room, sizeof(room));

	money_text(&text, nusd, 9);
	json_put_raw(w, name, buf_view(&text));
}

static void tell(struct rater *r, const struct one *o, const char *id)
{
	struct mg_writer w;

	if (r->listed++ >= LISTED)
		return;
	if (r->rows.len)
		buf_text(&r->rows, ",");
	json_writer_init(&w, &r->rows);
	json_open(&w, NULL, '{');
	json_put_text(&w, "id", id);
	put_usd(&w, "charged", o->charge_nusd);
	if (o->why[0])
		json_put_null(&w, "rated");
	else
		put_usd(&w, "rated", o->rated_nusd);
	put_usd(&w, "refund", o->why[0] ? 0 : o->charge_nusd - o->rated_nusd);
	json_put_text(&w, "why", o->why[0] ? o->why : NULL);
	json_close(&w);
}

static int rate_one(struct rater *r, const struct mg_store *ops, void *handle, const char *id, struct one *o, struct err *err)
{
	struct mg_store_adjustment a = { sizeof(a), id, 0, clock_wall_ms() };
	char why[256] = "";
	int rc;

	*o = (struct one){ .r = r };
	rc = ops->each(handle, MG_ROW_UNRATED, id, 0, 1, on_row, o, why);
	if (!rc && o->found && !o->why[0] && !r->how->dry_run) {
		a.refund_nusd = o->charge_nusd - o->rated_nusd;
		rc = ops->put(handle, MG_ROW_ADJUSTMENT, &a, why);
	}
	if (rc)
		return fail(err, rc, "%s", why);
	if (!o->found)
		return MG_OK;		/* somebody else was faster */
	r->rated += !o->why[0];
	r->not_rated += o->why[0] != 0;
	r->refund += o->why[0] ? 0 : o->charge_nusd - o->rated_nusd;
	tell(r, o, id);
	return MG_OK;
}

/* ---- on the store thread */

static bool on_id(void *arg, const void *at)
{
	const struct mg_store_generation *row = at;
	struct rater *r = arg;
	char id[ID_MAX] = "";

	snprintf(id, sizeof(id), "%s", row->generation_id);
	buf_put(&r->ids, id, sizeof(id));
	r->n += !r->ids.failed;
	return !r->ids.failed;
}

static int begin(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	struct rater *r = arg;
	char why[256] = "";
	int rc = ops->each(handle, MG_ROW_UNRATED, NULL, r->how->since_ms, 0, on_id, r, why);

	if (rc || r->ids.failed)
		return fail(err, rc ? rc : MG_ENOMEM, "%s", rc ? why : "too many generations at once\nhint: --since takes the last ones alone");
	if (!r->n)
		return MG_OK;
	rc = shelf_open(ops, handle, NULL, 0, &r->shelf, err);
	if (rc)
		return rc;
	r->replay = replay_new(r->bundle, r->shelf, NULL, err);
	return r->replay ? MG_OK : err->rc;
}

struct batch { struct rater *r; struct one done[BATCH]; size_t n; };

static int some(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	struct batch *b = arg;
	struct rater *r = b->r;
	int rc = MG_OK;

	for (; !rc && b->n < BATCH && r->at + b->n < r->n; b->n++)
		rc = rate_one(r, ops, handle, r->ids.at + (r->at + b->n) * ID_MAX, &b->done[b->n], err);
	return rc;
}

static int end(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	struct rater *r = arg;

	replay_free(r->replay);
	shelf_free(r->shelf);
	return MG_OK;
}

/* ---- all of it */

static int batch(struct store *store, struct rater *r, struct err *err)
{
	struct batch b = { .r = r };
	int rc = store_run(store, some, &b, err);

	for (size_t i = 0; !rc && i < b.n && r->how->refunded && !r->how->dry_run; i++)
		if (b.done[i].found && !b.done[i].why[0] && b.done[i].charge_nusd > b.done[i].rated_nusd)
			r->how->refunded(r->how->arg, b.done[i].key_hash, b.done[i].charge_nusd - b.done[i].rated_nusd, b.done[i].at_ms);
	r->at += b.n;
	return rc;
}

static int report(const struct rater *r, struct buf *out, struct err *err)
{
	buf_text(out, "{\"data\":[");
	buf_str(out, buf_view(&r->rows));
	buf_print(out, "],\"rated\":%zu,\"not_rated\":%zu,\"refund\":", r->rated, r->not_rated);
	money_text(out, r->refund > INT64_MAX ? INT64_MAX : (int64_t)r->refund, 9);
	buf_print(out, ",\"dry_run\":%s}", r->how->dry_run ? "true" : "false");
	return out->failed || r->rows.failed ? fail(err, MG_ENOMEM, "no memory for an answer") : MG_OK;
}

int rating_run(struct store *store, struct bundle *b, const struct rating *how, struct buf *out, struct err *err)
{
	struct rater r = { .bundle = b, .how = how };
	int rc;

	buf_init(&r.ids, TEXTS_MAX);
	buf_init(&r.rows, TEXTS_MAX);
	rc = store_run(store, begin, &r, err);
	while (!rc && r.at < r.n)
		rc = batch(store, &r, err);
	store_run(store, end, &r, NULL);
	rc = rc ? rc : report(&r, out, err);
	buf_release(&r.ids);
	buf_release(&r.rows);
	return rc;
}
