#include "ledger/receipt.h"

#include "base/clock.h"

#define EXACT INT64_C(9007199254740991)	/* more is another number to some who read it */

/* ---- the payload, in canonical form: members in the order of their names */

static void put_time(struct mg_writer *w, const char *name, int64_t wall_ms)
{
	char text[32];

	if (wall_ms == UNKNOWN) {
		json_put_null(w, name);
		return;
	}
	clock_rfc3339(wall_ms, text);
	json_put_text(w, name, text);
}

static void put_whole(struct mg_writer *w, const char *name, int64_t n)
{
	if (n == UNKNOWN)
		json_put_null(w, name);
	else
		json_put_int(w, name, n < EXACT ? n : EXACT);
}

static void put_policy(struct mg_writer *w, const struct data_policy *d)
{
	if (!d) {
		json_put_null(w, "data_policy");
		return;
	}
	json_open(w, "data_policy", '{');
	json_put_bool(w, "known", d->known);
	json_put_text(w, "logs_region", d->region);
	json_put_bool(w, "retains", d->retains);
	put_whole(w, "retention_days", d->retention_days >= 0 ? d->retention_days : UNKNOWN);
	json_put_bool(w, "trains", d->trains);
	json_put_bool(w, "zdr", d->zdr);
	json_close(w);
}

static void put_attempt(struct mg_writer *w, const struct attempt_record *a, const char *model)
{
	json_open(w, NULL, '{');
	json_put_text(w, "attempt_id", a->id);
	put_whole(w, "bytes_sent", a->bytes);
	put_policy(w, a->data);
	json_put_text(w, "endpoint", a->endpoint_id);
	json_put_bool(w, "is_byok", a->is_byok);
	json_put_text(w, "model", a->model_permaslug ? a->model_permaslug : model);
	json_put_text(w, "outcome", a->data ? a->outcome : NULL);
	json_put_text(w, "provider", a->provider_name);
	json_put_text(w, "region", a->region ? a->region : "");
	put_time(w, "sent_at", a->sent_ms);
	put_whole(w, "status", a->status ? a->status : UNKNOWN);
	json_close(w);
}

static void put_retention(struct mg_writer *w, const struct keep *k)
{
	static const enum sink sorted[SINKS] = { SINK_BATCH, SINK_CACHE, SINK_DECISION, SINK_FILE, SINK_LOG, SINK_RECORD, SINK_TRACE };

	json_open(w, "retention", '{');
	json_put_bool(w, "cache", k->cache);
	json_open(w, "sinks", '[');
	for (int i = 0; i < SINKS; i++)
		if (k->sinks >> sorted[i] & 1)
			json_put_text(w, NULL, sink_names[sorted[i]]);
	json_close(w);
	json_put_text(w, "store", keep_names[k->store]);
	put_whole(w, "ttl_s", k->ttl_s < INT64_MAX ? (int64_t)k->ttl_s : INT64_MAX);
	json_close(w);
}

static struct mg_str payload(const struct generation *g, const char *key_hash, struct pool *p)
{
	struct mg_writer *w = json_writer(p);

	if (!w)
		return (struct mg_str){ NULL, 0 };
	json_open(w, NULL, '{');
	json_open(w, "attempts", '[');
	for (size_t i = 0; i < g->n_attempts; i++)
		put_attempt(w, &g->attempts[i], g->model);
	json_close(w);
	json_put_text(w, "bundle", g->bundle);
	put_time(w, "created_at", g->created_ms);
	json_put_text(w, "generation_id", g->id);
	json_put_text(w, "key_hash", key_hash);
	json_put_text(w, "model", g->model ? g->model : "");
	json_put_text(w, "request_hash", g->asked_hash);
	put_retention(w, &g->keep);
	json_put_text(w, "type", "moongate-receipt-1");
	json_close(w);
	return json_written(w);
}

int receipt_put(struct mg_writer *w, const char *name, const struct generation *g, const char *key_hash, const struct seal *seal,
	struct pool *p, struct err *err)
{
	struct mg_str text = payload(g, key_hash, p);
	char signature[SEAL_SIGNATURE_TEXT + 1], id[SEAL_ID + 1];
	unsigned char public[SEAL_PUBLIC];
	int rc = text.at ? seal_sign(seal, text, signature, err) : fail(err, MG_ENOMEM, "no memory for a receipt");

	rc = rc ? rc : seal_public(seal, public, err);
	if (rc)
		return rc;
	seal_id(public, id);
	json_open(w, name, '{');
	json_put_text(w, "alg", "Ed25519");
	json_put_text(w, "key_id", id);
	json_put_raw(w, "payload", text);
	json_put_text(w, "signature", signature);
	json_close(w);
	return MG_OK;
}

/* ---- is it true? */

static void canonical(struct buf *out, struct mg_view v, struct pool *p);

static int by_name(const void *a, const void *b)
{
	struct mg_str x = json_name(*(const struct mg_view *)a), y = json_name(*(const struct mg_view *)b);
	int order = memcmp(x.at, y.at, x.len < y.len ? x.len : y.len);

	return order ? order : (x.len > y.len) - (x.len < y.len);
}

static void members(struct buf *out, struct mg_view object, struct pool *p)
{
	size_t n = json_len(object), i = 0;
	struct mg_view *all = pool_alloc(p, (n + 1) * sizeof(*all));

	if (!all) {
		out->failed = true;
		return;
	}
	for (struct mg_view v = json_at(object, 0); i < n; v = json_next(v))
		all[i++] = v;
	qsort(all, n, sizeof(*all), by_name);
	buf_put(out, "{", 1);
	for (i = 0; i < n; i++) {
		buf_text(out, i ? "," : "");
		json_quote(out, json_name(all[i]));
		buf_put(out, ":", 1);
		canonical(out, all[i], p);
	}
	buf_put(out, "}", 1);
}

/* However it was laid out on its way.  Numbers are whole here: as they stand. */
static void canonical(struct buf *out, struct mg_view v, struct pool *p)
{
	const char *before = "[";

	switch (json_kind(v)) {
	case MG_OBJECT:
		members(out, v, p);
		return;
	case MG_ARRAY:
		for (struct mg_view item = json_at(v, 0); json_kind(item) != MG_ABSENT; item = json_next(item), before = ",") {
			buf_text(out, before);
			canonical(out, item, p);
		}
		buf_text(out, json_len(v) ? "]" : "[]");
		return;
	case MG_STRING:
		json_quote(out, json_text(p, v));
		return;
	default:
		buf_str(out, json_raw(v));
	}
}

int receipt_verify(struct mg_str json, const unsigned char public[static SEAL_PUBLIC], struct pool *p, struct err *err)
{
	struct mg_view all, receipt;
	struct buf text;
	bool good;
	int rc = json_parse(p, json, &all, err);

	if (rc)
		return rc;
	receipt = json_kind(json_get(all, "data")) == MG_OBJECT ? json_get(all, "data") : all;
	receipt = json_kind(json_get(receipt, "receipt")) == MG_OBJECT ? json_get(receipt, "receipt") : receipt;
	if (!json_is(json_get(receipt, "alg"), "Ed25519") || json_kind(json_get(receipt, "payload")) != MG_OBJECT ||
	    json_kind(json_get(receipt, "signature")) != MG_STRING)
		return fail(err, MG_EINVAL, "this is no receipt: it needs alg, payload and signature");
	buf_init(&text, 16 << 20);
	canonical(&text, json_get(receipt, "payload"), p);
	good = !text.failed && seal_verify(public, buf_view(&text), json_text(p, json_get(receipt, "signature")));
	buf_release(&text);
	return good ? MG_OK : fail(err, MG_EDENIED, "the signature does not match: it was changed, or another installation's key has signed it");
}
