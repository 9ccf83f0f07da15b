#include "account/key_body.h"

#include <ctype.h>
#include <time.h>

#include "base/clock.h"
#include "base/money.h"
#include "catalog/import.h"

enum { LABEL_NAME_MAX = 40, LABEL_VALUE_MAX = 128 };
const char *const reset_names[WINDOWS] = { NULL, "daily", "weekly", "monthly" };

/* ---- times */

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

/* "2027-12-31T23:59:59Z": UTC, with seconds; fractions are allowed.  False: it is not. */
static bool utc(struct mg_str s, int64_t *wall_ms)
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

/* ---- each member reads itself, if it is there */

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

/* To the nearest nUSD: who adds up doubles sends 0.30000000000000004.  But what is not nothing does not become it. */
static bool read_usd(struct body *b, struct mg_view v, int64_t *nusd)
{
	struct mg_str text = json_kind(v) == MG_NUMBER ? decimal_shift(b->pool, json_raw(v), 0, 9) : (struct mg_str){ 0 };
	int64_t exact;

	return text.at && !money_parse(text, 9, nusd, NULL) && (*nusd || !money_parse(json_raw(v), 9, &exact, NULL));
}

static int read_limit(struct body *b)
{
	struct mg_view v = json_get(b->at, "limit");

	if (json_kind(v) == MG_NULL)
		b->k->limit_nusd = -1;
	if (json_kind(v) == MG_ABSENT || json_kind(v) == MG_NULL)
		return MG_OK;
	if (!read_usd(b, v, &b->k->limit_nusd))
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
		if (json_is(v, reset_names[w])) {
			b->k->reset = w;
			return MG_OK;
		}
	return wrong(b, "limit_reset", "daily, weekly, monthly or null");
}

static int read_expires(struct body *b)
{
	struct mg_view v = json_get(b->at, "expires_at");
	int64_t before_ms = b->k->expires_ms;

	if (json_kind(v) == MG_NULL)
		b->k->expires_ms = 0;
	if (json_kind(v) == MG_ABSENT || json_kind(v) == MG_NULL)
		return MG_OK;
	if (json_kind(v) != MG_STRING || !utc(json_text(b->pool, v), &b->k->expires_ms))
		return wrong(b, "expires_at", "null, or a time in UTC with seconds, like 2027-12-31T23:59:59Z");
	if (b->k->expires_ms != before_ms && b->k->expires_ms <= clock_wall_ms())
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

/* What policies and records go by is said once; said again, it is no error. */
static int stays(struct body *b, struct mg_view v, const char *member, const char *is)
{
	if (json_kind(v) == MG_ABSENT || json_is(v, is) || (json_kind(v) == MG_NULL && !*is))
		return MG_OK;
	return fail(b->err, MG_EINVAL, "%s: cannot be changed; make another key", member);
}

static int read_change(struct body *b)
{
	const struct key_facts *k = b->k;
	int rc = stays(b, json_get(b->at, "workspace_id"), "workspace_id", k->workspace);

	rc = rc ? rc : stays(b, json_get(b->at, "organization_id"), "organization_id", k->org);
	rc = rc ? rc : stays(b, json_get(b->at, "creator_user_id"), "creator_user_id", k->creator);
	return rc ? rc : stays(b, json_get(json_get(b->at, "external"), "user"), "external.user", k->external_user);
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
	rc = rc ? rc : read_expires(b);
	if (rc || !b->creating)
		return rc ? rc : read_change(b);
	rc = read_external(b);
	rc = rc ? rc : optional_text(b, "organization_id", b->k->org, sizeof(b->k->org));
	rc = rc ? rc : optional_text(b, "workspace_id", b->k->workspace, sizeof(b->k->workspace));
	return rc ? rc : optional_text(b, "creator_user_id", b->k->creator, sizeof(b->k->creator));
}

/* In a pool of its own: what is read here is copied into the facts. */
int key_body_read(struct mg_view body, struct key_facts *k, bool creating, struct err *err)
{
	struct body b = { body, pool_new(64 << 10), k, creating, err };
	int rc = b.pool ? read_body(&b) : fail(err, MG_ENOMEM, "no memory for a key");

	pool_free(b.pool);
	return rc;
}
