#include "account/key_body.h"
#include "account/wire.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/money.h"

enum { CREDIT_ID = 160 };
#define CREDIT_MAX INT64_C(1000000000000000)	/* nUSD, a million USD at once: more is a slip */

/* ---- values */

static void put_usd(struct mg_writer *w, const char *name, int64_t nusd)
{
	struct buf text;

	buf_init(&text, 64);
	money_text(&text, nusd, 9);
	json_put_raw(w, name, buf_view(&text));
	buf_release(&text);
}

static void put_usd_or_null(struct mg_writer *w, const char *name, int64_t nusd, bool given)
{
	if (given)
		put_usd(w, name, nusd);
	else
		json_put_null(w, name);
}

static void put_time_or_null(struct mg_writer *w, const char *name, int64_t wall_ms)
{
	char text[32];

	if (wall_ms)
		clock_rfc3339(wall_ms, text);
	json_put_text(w, name, wall_ms ? text : NULL);
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

/* ---- answers */

/* Four members: name, name_daily ... */
static void put_spent(struct mg_writer *w, const char *name, const struct spending *s)
{
	const struct { const char *window; int64_t nusd; } all[] = { { "", s->total }, { "_daily", s->daily }, { "_weekly", s->weekly },
		{ "_monthly", s->monthly } };
	char member[32];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(member, sizeof(member), "%s%s", name, all[i].window);
		put_usd(w, member, all[i].nusd);
	}
}

static void put_spending(struct mg_writer *w, const struct key_facts *k, int64_t wall_ms)
{
	struct scope_facts f;
	int64_t left;

	scope_read(k->scope, wall_ms, &f);
	left = f.limit - f.posted;
	put_usd_or_null(w, "limit", k->limit_nusd, k->limit_nusd >= 0);
	put_usd_or_null(w, "limit_remaining", left > 0 ? left : 0, k->limit_nusd >= 0);
	json_put_text(w, "limit_reset", reset_names[k->reset]);
	json_put_bool(w, "include_byok_in_limit", k->include_byok);
	put_spent(w, "usage", &f.charged);
	put_spent(w, "byok_usage", &f.own);
}

void wire_labels(struct mg_writer *w, const char *lines)
{
	struct mg_str name, value;

	json_open(w, "labels", '{');
	while (label_next(&lines, &name, &value)) {
		char text[LABELS_BYTES];

		snprintf(text, sizeof(text), "%.*s", (int)name.len, name.at);
		json_put(w, text, value);
	}
	json_close(w);
}

static void put_key(struct mg_writer *w, const char *name, const struct key_facts *k, int64_t wall_ms)
{
	json_open(w, name, '{');
	json_put_text(w, "hash", k->hash);
	json_put_text(w, "name", k->name);
	json_put_text(w, "label", k->label);
	json_put_bool(w, "disabled", k->disabled);
	put_spending(w, k, wall_ms);
	put_time_or_null(w, "created_at", k->created_ms);
	put_time_or_null(w, "updated_at", k->updated_ms);
	put_time_or_null(w, "expires_at", k->expires_ms);
	json_put_text(w, "creator_user_id", or_null(k->creator));
	json_put_text(w, "workspace_id", k->workspace);
	if (*k->org)
		json_put_text(w, "organization_id", k->org);
	json_put_text(w, "external_user", or_null(k->external_user));
	if (*k->labels)
		wire_labels(w, k->labels);
	json_close(w);
}

static int written(struct mg_writer *w, struct err *err)
{
	json_close(w);
	return json_written(w).at ? MG_OK : fail(err, MG_ENOMEM, "no memory for the answer");
}

static struct mg_writer begin(struct buf *out)
{
	struct mg_writer w;

	json_writer_init(&w, out);
	json_open(&w, NULL, '{');
	return w;
}

int wire_credits(struct accounts *a, struct buf *out, struct err *err)
{
	struct mg_writer w = begin(out);
	struct scope_facts f;

	scope_read(accounts_balance(a), clock_wall_ms(), &f);
	json_open(&w, "data", '{');
	put_usd(&w, "total_credits", accounts_bought(a));
	put_usd(&w, "total_usage", f.charged.total);
	json_close(&w);
	return written(&w, err);
}

/* At most 128 visible characters, which go into the ledger; made where none is given. */
static int credit_id(struct mg_view v, char out[static CREDIT_ID], struct err *err)
{
	struct mg_str raw = json_raw(v);
	char id[40];

	id_generation(id);
	snprintf(out, CREDIT_ID, "credit-%s", id + 4);
	if (json_kind(v) <= MG_NULL)
		return MG_OK;
	for (size_t i = 1; json_kind(v) == MG_STRING && i + 1 < raw.len; i++)
		if (raw.at[i] <= ' ' || raw.at[i] > '~' || raw.at[i] == '\\')
			return fail(err, MG_EINVAL, "id: may have letters, digits and signs, no blanks");
	if (json_kind(v) != MG_STRING || raw.len < 3 || raw.len > 130)
		return fail(err, MG_EINVAL, "id: must be a string of 1 to 128 characters, such as the number of an invoice");
	snprintf(out, CREDIT_ID, "%.*s", (int)raw.len - 2, raw.at + 1);
	return MG_OK;
}

int wire_credit(struct accounts *a, struct mg_view body, struct buf *out, struct err *err)
{
	struct mg_view v = json_get(body, "amount");
	struct mg_str text = json_raw(v);
	bool back = text.len && text.at[0] == '-', applied = false;
	struct scope_facts f;
	struct mg_writer w;
	char id[CREDIT_ID];
	int64_t nusd;
	int rc;

	text = back ? (struct mg_str){ text.at + 1, text.len - 1 } : text;
	if (json_kind(v) != MG_NUMBER || money_parse(text, 9, &nusd, NULL) || !nusd)
		return fail(err, MG_EINVAL, "amount: must be USD that were paid, or below zero given back, with at most 9 decimals");
	if (nusd > CREDIT_MAX)
		return fail(err, MG_EINVAL, "amount: must be at most a million USD at once");
	rc = credit_id(json_get(body, "id"), id, err);
	rc = rc ? rc : accounts_credit(a, id, back ? -nusd : nusd, &applied, err);
	if (rc)
		return rc == MG_EINVAL ? rc : MG_EPROTO;
	scope_read(accounts_balance(a), clock_wall_ms(), &f);
	w = begin(out);
	json_open(&w, "data", '{');
	json_put_text(&w, "id", id);
	json_put_bool(&w, "applied", applied);
	put_usd(&w, "total_credits", accounts_bought(a));
	put_usd(&w, "total_usage", f.charged.total);
	json_close(&w);
	return written(&w, err);
}

int wire_own_key(struct accounts *a, const struct key_facts *k, int64_t wall_ms, struct buf *out, struct err *err)
{
	struct mg_writer w = begin(out);

	json_open(&w, "data", '{');
	json_put_text(&w, "label", k->label);
	json_put_text(&w, "creator_user_id", or_null(k->creator));
	put_spending(&w, k, wall_ms);
	json_put_bool(&w, "is_free_tier", accounts_bought(a) <= 0);
	json_put_bool(&w, "is_management_key", k->management);
	json_put_bool(&w, "is_provisioning_key", k->management);
	put_time_or_null(&w, "expires_at", k->expires_ms);
	json_put_text(&w, "workspace_id", or_null(k->workspace));
	json_put_text(&w, "organization_id", or_null(k->org));
	/* free models are not rationed here; clients want a number, and look whether some is left */
	json_open(&w, "free_model_daily_requests", '{');
	json_put_int(&w, "limit", INT32_MAX);
	json_put_int(&w, "used", 0);
	json_put_int(&w, "remaining", INT32_MAX);
	json_close(&w);
	json_open(&w, "allowed_data_regions", '[');
	json_put_text(&w, NULL, "global");
	json_close(&w);
	json_open(&w, "rate_limit", '{');
	json_put_int(&w, "requests", -1);
	json_put_text(&w, "interval", "10s");
	json_put_text(&w, "note", "This field is deprecated and safe to ignore.");
	json_close(&w);
	json_close(&w);
	return written(&w, err);
}

static int find(struct accounts *a, const char *hash, struct key_facts *k, struct err *err)
{
	return accounts_get(a, hash, k) || k->deleted ? fail(err, MG_EDENIED, "API key not found") : MG_OK;
}

static int answer_key(const struct key_facts *k, const char *plain, int64_t wall_ms, struct buf *out, struct err *err)
{
	struct mg_writer w = begin(out);

	put_key(&w, "data", k, wall_ms);
	if (plain)
		json_put_text(&w, "key", plain);
	return written(&w, err);
}

int wire_key(struct accounts *a, const char *hash, int64_t wall_ms, struct buf *out, struct err *err)
{
	struct key_facts k;
	int rc = find(a, hash, &k, err);

	return rc ? rc : answer_key(&k, NULL, wall_ms, out, err);
}

static int offset_of(struct mg_str s, size_t *offset, struct err *err)
{
	*offset = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9' || i >= 9)
			return fail(err, MG_EINVAL, "offset: must be a whole number from 0 on");
		*offset = *offset * 10 + (size_t)(s.at[i] - '0');
	}
	return s.at && !s.len ? fail(err, MG_EINVAL, "offset: must be a whole number from 0 on") : MG_OK;
}

int wire_keys(struct accounts *a, const struct keys_query *q, int64_t wall_ms, struct buf *out, struct err *err)
{
	char workspace[64];
	struct key_filter f = { .disabled = mg_is(q->include_disabled, "true") };
	struct key_facts *page;
	struct mg_writer w;
	size_t offset, n, total;
	int rc = offset_of(q->offset, &offset, err);

	if (rc)
		return rc;
	if (q->include_disabled.at && !f.disabled && !mg_is(q->include_disabled, "false"))
		return fail(err, MG_EINVAL, "include_disabled: must be true or false");
	if (q->workspace_id.at) {
		if (q->workspace_id.len >= sizeof(workspace))
			return fail(err, MG_EINVAL, "workspace_id: too long");
		snprintf(workspace, sizeof(workspace), "%.*s", (int)q->workspace_id.len, q->workspace_id.at);
		f.workspace = workspace;
	}
	page = calloc(WIRE_KEYS_PAGE, sizeof(*page));
	if (!page)
		return fail(err, MG_ENOMEM, "no memory for the answer");
	n = accounts_select(a, &f, offset, WIRE_KEYS_PAGE, page, &total);
	w = begin(out);
	json_open(&w, "data", '[');
	for (size_t i = 0; i < n; i++)
		put_key(&w, NULL, &page[i], wall_ms);
	json_close(&w);
	json_put_int(&w, "total_count", (int64_t)total);
	free(page);
	return written(&w, err);
}

int wire_key_create(struct accounts *a, struct mg_view body, const char *creator, struct buf *out, struct err *err)
{
	struct key_facts k = { .limit_nusd = -1 };
	char plain[80];
	int rc;

	snprintf(k.creator, sizeof(k.creator), "%s", creator);
	rc = key_body_read(body, &k, true, err);
	rc = rc ? rc : accounts_create(a, &k, plain, err);
	if (rc)
		return rc;
	rc = answer_key(&k, plain, clock_wall_ms(), out, err);
	wipe(plain, sizeof(plain));
	return rc;
}

int wire_key_update(struct accounts *a, const char *hash, struct mg_view body, struct buf *out, struct err *err)
{
	struct key_facts k;
	int rc = find(a, hash, &k, err);

	rc = rc ? rc : key_body_read(body, &k, false, err);
	rc = rc ? rc : accounts_update(a, &k, err);
	return rc ? rc : wire_key(a, hash, clock_wall_ms(), out, err);
}

int wire_key_delete(struct accounts *a, const char *hash, struct buf *out, struct err *err)
{
	struct key_facts k;
	struct mg_writer w;
	int rc = find(a, hash, &k, err);

	rc = rc ? rc : accounts_delete(a, hash, err);
	if (rc)
		return rc;
	w = begin(out);
	json_put_bool(&w, "deleted", true);
	return written(&w, err);
}
