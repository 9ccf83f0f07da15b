#include "account/wire.h"

#include <ctype.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/money.h"

enum { LABEL_NAME_MAX = 40, LABEL_VALUE_MAX = 128, CREDIT_ID = 160 };
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

static const char *const resets[WINDOWS] = { NULL, "daily", "weekly", "monthly" };

static int digits(const char *at, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (at[i] < '0' || at[i] > '9')
			return -1;
		value = value * 10 + at[i] - '0';
	}
	return value;
}

static size_t fraction(struct mg_str s, size_t at, int *ms)
{
	int scale = 100;

	*ms = 0;
	if (at >= s.len || s.at[at] != '.')
		return at;
	for (at++; at < s.len && s.at[at] >= '0' && s.at[at] <= '9'; at++, scale /= 10)
		*ms += (s.at[at] - '0') * scale;
	return scale == 100 ? 0 : at;	/* a point and no digit: nothing fits behind */
}

bool wire_time(struct mg_str s, int64_t *wall_ms)
{
	static const char shape[] = "0000-00-00T00:00:00";
	struct tm tm = { 0 }, back;
	time_t seconds;
	size_t at;
	int ms;

	if (!s.at || s.len < sizeof(shape))
		return false;
	for (size_t i = 0; i < sizeof(shape) - 1; i++)
		if (shape[i] == '0' ? s.at[i] < '0' || s.at[i] > '9' : s.at[i] != shape[i])
			return false;
	at = fraction(s, sizeof(shape) - 1, &ms);
	if (!mg_is((struct mg_str){ s.at + at, s.len - at }, "Z") && !mg_is((struct mg_str){ s.at + at, s.len - at }, "+00:00"))
		return false;
	tm.tm_year = digits(s.at, 4) - 1900;
	tm.tm_mon = digits(s.at + 5, 2) - 1;
	tm.tm_mday = digits(s.at + 8, 2);
	tm.tm_hour = digits(s.at + 11, 2);
	tm.tm_min = digits(s.at + 14, 2);
	tm.tm_sec = digits(s.at + 17, 2);
	back = tm;
	seconds = timegm(&back);
	*wall_ms = (int64_t)seconds * 1000 + ms;
	/* timegm() takes February 30 for March 2 */
	return back.tm_year == tm.tm_year && back.tm_mon == tm.tm_mon && back.tm_mday == tm.tm_mday && back.tm_hour == tm.tm_hour &&
		back.tm_min == tm.tm_min && back.tm_sec == tm.tm_sec;
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
	json_put_text(w, "limit_reset", resets[k->reset]);
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

/* ---- bodies: each member reads itself, if it is there */

struct body { struct mg_view at; struct pool *pool; struct key_facts *k; bool creating; struct err *err; };

static int wrong(struct body *b, const char *member, const char *must)
{
	return fail(b->err, MG_EINVAL, "%s: must be %s", member, must);
}

static int text_of(struct body *b, struct mg_view v, const char *member, char *out, size_t size)
{
	struct mg_str s = json_text(b->pool, v);

	if (json_kind(v) != MG_STRING || !s.at)
		return wrong(b, member, "a string");
	if (memchr(s.at, '\0', s.len))
		return wrong(b, member, "without NUL");
	if (s.len >= size)
		return fail(b->err, MG_EINVAL, "%s: longer than %zu bytes", member, size - 1);
	memcpy(out, s.at, s.len);
	out[s.len] = '\0';
	return MG_OK;
}

/* null empties a text that may be empty */
static int optional_text(struct body *b, const char *member, char *out, size_t size)
{
	struct mg_view v = json_get(b->at, member);

	if (json_kind(v) == MG_ABSENT)
		return MG_OK;
	if (json_kind(v) == MG_NULL) {
		*out = '\0';
		return MG_OK;
	}
	return text_of(b, v, member, out, size);
}

static int flag(struct body *b, const char *member, bool *out)
{
	enum mg_kind kind = json_kind(json_get(b->at, member));

	if (kind == MG_TRUE || kind == MG_FALSE)
		*out = kind == MG_TRUE;
	else if (kind != MG_ABSENT)
		return wrong(b, member, "true or false");
	return MG_OK;
}

static int read_name(struct body *b)
{
	struct mg_view v = json_get(b->at, "name");
	int rc;

	if (json_kind(v) == MG_ABSENT && !b->creating)
		return MG_OK;
	if (json_kind(v) == MG_ABSENT)
		return fail(b->err, MG_EINVAL, "name: is required");
	rc = text_of(b, v, "name", b->k->name, sizeof(b->k->name));
	return rc || b->k->name[0] ? rc : wrong(b, "name", "a string that is not empty");
}

static int read_limit(struct body *b)
{
	struct mg_view v = json_get(b->at, "limit");

	if (json_kind(v) == MG_NULL)
		b->k->limit_nusd = -1;
	if (json_kind(v) == MG_ABSENT || json_kind(v) == MG_NULL)
		return MG_OK;
	if (json_kind(v) != MG_NUMBER || money_parse(json_raw(v), 9, &b->k->limit_nusd, NULL))
		return wrong(b, "limit", "null, or an amount in USD from 0 on with at most 9 decimals");
	return MG_OK;
}

static int read_reset(struct body *b)
{
	struct mg_view v = json_get(b->at, "limit_reset");

	if (json_kind(v) == MG_ABSENT)
		return MG_OK;
	if (json_kind(v) == MG_NULL) {
		b->k->reset = WINDOW_TOTAL;
		return MG_OK;
	}
	for (enum window w = WINDOW_DAILY; w < WINDOWS; w++)
		if (json_is(v, resets[w])) {
			b->k->reset = w;
			return MG_OK;
		}
	return wrong(b, "limit_reset", "daily, weekly, monthly or null");
}

static int read_expires(struct body *b)
{
	struct mg_view v = json_get(b->at, "expires_at");

	if (json_kind(v) == MG_NULL)
		b->k->expires_ms = 0;
	if (json_kind(v) == MG_ABSENT || json_kind(v) == MG_NULL)
		return MG_OK;
	if (json_kind(v) != MG_STRING || !wire_time(json_text(b->pool, v), &b->k->expires_ms))
		return wrong(b, "expires_at", "null, or a time in UTC with seconds, like 2027-12-31T23:59:59Z");
	if (b->k->expires_ms <= clock_wall_ms())
		return wrong(b, "expires_at", "in the future");
	return MG_OK;
}

static int read_external(struct body *b)
{
	struct mg_view v = json_get(b->at, "external");

	if (json_kind(v) == MG_ABSENT || json_kind(v) == MG_NULL)
		return MG_OK;
	if (json_kind(v) != MG_OBJECT)
		return wrong(b, "external", "an object");
	if (json_kind(json_get(v, "user")) == MG_ABSENT)
		return fail(b->err, MG_EINVAL, "external.user: is required");
	return text_of(b, json_get(v, "user"), "external.user", b->k->external_user, sizeof(b->k->external_user));
}

static int one_label(struct body *b, struct mg_view v, struct buf *out)
{
	struct mg_str name = json_name(v), value = json_text(b->pool, v);
	bool plain = name.at && name.len && name.len <= LABEL_NAME_MAX;

	for (size_t i = 0; plain && i < name.len; i++)
		plain = isalnum((unsigned char)name.at[i]) || memchr("_.-", name.at[i], 3);
	if (!plain)
		return fail(b->err, MG_EINVAL, "labels: a name has 1 to %d letters, digits or any of _ . -", LABEL_NAME_MAX);
	if (json_kind(v) != MG_STRING || !value.at || value.len > LABEL_VALUE_MAX)
		return fail(b->err, MG_EINVAL, "labels.%.*s: must be a string of at most %d bytes", (int)name.len, name.at, LABEL_VALUE_MAX);
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.at[i] < ' ')
			return fail(b->err, MG_EINVAL, "labels.%.*s: must have no control characters", (int)name.len, name.at);
	buf_print(out, "%s%.*s=%.*s", out->len ? "\n" : "", (int)name.len, name.at, (int)value.len, value.at);
	return MG_OK;
}

/* Those that are given take the place of all before. */
static int read_labels(struct body *b)
{
	struct mg_view all = json_get(b->at, "labels");
	char room[LABELS_BYTES];
	struct buf out = buf_on(room, sizeof(room) - 1);
	int rc = MG_OK;

	if (json_kind(all) == MG_ABSENT)
		return MG_OK;
	if (json_kind(all) != MG_NULL && json_kind(all) != MG_OBJECT)
		return wrong(b, "labels", "an object of strings, such as {\"team\":\"blue\"}");
	for (struct mg_view v = json_at(all, 0); !rc && json_kind(all) == MG_OBJECT && json_kind(v) != MG_ABSENT; v = json_next(v))
		rc = one_label(b, v, &out);
	if (!rc && out.failed)
		rc = fail(b->err, MG_EINVAL, "labels: are longer than %d bytes together", LABELS_BYTES - 1);
	if (!rc)
		snprintf(b->k->labels, sizeof(b->k->labels), "%.*s", (int)out.len, out.len ? out.at : "");
	return rc;
}

static int read_body(struct body *b)
{
	int rc;

	if (json_kind(b->at) != MG_OBJECT)
		return fail(b->err, MG_EINVAL, "the body must be a JSON object");
	rc = read_name(b);
	rc = rc ? rc : read_limit(b);
	rc = rc ? rc : read_reset(b);
	rc = rc ? rc : flag(b, "include_byok_in_limit", &b->k->include_byok);
	rc = rc ? rc : flag(b, "disabled", &b->k->disabled);
	rc = rc ? rc : read_labels(b);
	if (rc || !b->creating)
		return rc;
	rc = read_expires(b);
	rc = rc ? rc : read_external(b);
	rc = rc ? rc : optional_text(b, "organization_id", b->k->org, sizeof(b->k->org));
	rc = rc ? rc : optional_text(b, "workspace_id", b->k->workspace, sizeof(b->k->workspace));
	return rc ? rc : optional_text(b, "creator_user_id", b->k->creator, sizeof(b->k->creator));
}

/* In a pool of its own: what is read here is copied into the facts. */
static int read_facts(struct mg_view body, struct key_facts *k, bool creating, struct err *err)
{
	struct body b = { body, pool_new(64 << 10), k, creating, err };
	int rc = b.pool ? read_body(&b) : fail(err, MG_ENOMEM, "no memory for a key");

	pool_free(b.pool);
	return rc;
}

int wire_key_create(struct accounts *a, struct mg_view body, const char *creator, struct buf *out, struct err *err)
{
	struct key_facts k = { .limit_nusd = -1 };
	char plain[80];
	int rc;

	snprintf(k.creator, sizeof(k.creator), "%s", creator);
	rc = read_facts(body, &k, true, err);
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

	rc = rc ? rc : read_facts(body, &k, false, err);
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
