#include "account/account.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "account/table.h"
#include "base/clock.h"
#include "base/json.h"

enum { TOKEN_MAX = 203, MANAGEMENT_MIN = 20 };	/* sk- and 200 more (R77); characters that nobody guesses */

struct accounts {
	struct store *store;
	struct table table;
	pthread_mutex_t changing;	/* one change at a time */
	struct scope *balance, *operators, *apart;	/* operators: of the configured management key; apart: see accounts_apart() */
	bool credits, has_management, has_here;
	unsigned char management[HASH_BYTES], here[HASH_BYTES];	/* configured; of commands beside the gateway */
	_Atomic(int64_t) bought;
};

/* ---- a key's text in the store */

static json_t *key_json(const struct key_facts *k)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:I, s:I, s:i}", "name", k->name, "label", k->label,
		"creator", k->creator, "workspace", k->workspace, "external_user", k->external_user, "org", k->org, "labels", k->labels, "management", k->management,
		"disabled", k->disabled, "include_byok", k->include_byok, "updated_ms", (json_int_t)k->updated_ms,
		"expires_ms", (json_int_t)k->expires_ms, "limit_nusd", (json_int_t)k->limit_nusd, "reset", (int)k->reset);
}

static void read_text(struct pool *p, struct mg_view o, const char *name, char *out, size_t size)
{
	struct mg_view v = json_get(o, name);
	struct mg_str text = json_text(p, v);
	size_t n = text.len < size ? text.len : size - 1;

	if (json_kind(v) != MG_STRING)
		n = 0;
	memcpy(out, text.at ? text.at : "", n);
	out[n] = '\0';
}

/* -1 is the only number below zero: no limit. */
static int64_t read_int(struct mg_view o, const char *name, int64_t def)
{
	uint64_t n;

	return json_count(json_get(o, name), &n) ? (int64_t)n : def;
}

static bool is_true(struct mg_view o, const char *name)
{
	return json_kind(json_get(o, name)) == MG_TRUE;
}

bool label_next(const char **lines, struct mg_str *name, struct mg_str *value)
{
	const char *at = *lines;
	size_t len = strcspn(at, "\n"), n = strcspn(at, "=");

	if (n >= len)
		return false;
	*name = (struct mg_str){ at, n };
	*value = (struct mg_str){ at + n + 1, len - n - 1 };
	*lines = at + len + (at[len] == '\n');
	return true;
}

bool key_read(struct pool *p, const struct mg_store_key *row, struct key_facts *k)
{
	struct mg_view o = { 0 };
	int64_t reset;

	if (json_parse(p, (struct mg_str){ row->json, strlen(row->json) }, &o, NULL) || json_kind(o) != MG_OBJECT ||
			strlen(row->hash) != SHA256_HEX)
		return false;
	reset = read_int(o, "reset", WINDOW_TOTAL);
	k->created_ms = row->created_ms;
	k->deleted = row->deleted;
	k->reset = (enum window)reset;
	k->updated_ms = read_int(o, "updated_ms", 0);
	k->expires_ms = read_int(o, "expires_ms", 0);
	k->limit_nusd = read_int(o, "limit_nusd", -1);
	k->management = is_true(o, "management");
	k->disabled = is_true(o, "disabled");
	k->include_byok = is_true(o, "include_byok");
	memcpy(k->hash, row->hash, SHA256_HEX + 1);
	read_text(p, o, "name", k->name, sizeof(k->name));
	read_text(p, o, "label", k->label, sizeof(k->label));
	read_text(p, o, "creator", k->creator, sizeof(k->creator));
	read_text(p, o, "workspace", k->workspace, sizeof(k->workspace));
	read_text(p, o, "external_user", k->external_user, sizeof(k->external_user));
	read_text(p, o, "org", k->org, sizeof(k->org));
	read_text(p, o, "labels", k->labels, sizeof(k->labels));
	return reset < WINDOWS;
}

/* ---- start: keys, then what they have spent, then what was bought */

struct load { struct accounts *a; int rc; struct err *err; };

static bool on_key(void *arg, const void *row)
{
	struct load *l = arg;
	const struct mg_store_key *key = row;
	struct pool *p = pool_new(1 << 20);
	struct key_facts k;

	/* a key that cannot be read must not be a key without a limit */
	if (!p || !key_read(p, key, &k))
		l->rc = fail(l->err, MG_EPROTO, "key %.16s...: its row in the store cannot be read", key->hash);
	else if (table_load(&l->a->table, &k))
		l->rc = fail(l->err, MG_ENOMEM, "key %.16s...: not a SHA-256, or no memory", key->hash);
	pool_free(p);
	return !l->rc;
}

struct spending sums_charged(const struct mg_store_sums *s)
{
	return (struct spending){ s->total, s->daily, s->weekly, s->monthly };
}

struct spending sums_own(const struct mg_store_sums *s)
{
	return MG_HAS(s, own_monthly) ? (struct spending){ s->own_total, s->own_daily, s->own_weekly, s->own_monthly } : (struct spending){ 0 };
}

static bool begin_with(struct table *t, struct entry *e, const struct spending *charge, const struct spending *own)
{
	struct purse *p = entry_purse(e);
	const char *workspace = entry_workspace(e);

	if (!p)
		return false;
	p->at_start = *charge;
	if (own->total && !entry_own(t, e, own))
		return false;
	if (*workspace)
		return tenants_add(&t->tenants, workspace, charge, own);
	return !own->total || tenants_add(&t->tenants, "", &(struct spending){ 0 }, own);
}

static void on_sums(void *arg, const char *key_hash, const struct mg_store_sums *s)
{
	struct load *l = arg;
	unsigned char hash[HASH_BYTES];
	struct entry *e = hash_bytes(key_hash, hash) ? table_entry(&l->a->table, hash) : NULL;
	struct spending charge = sums_charged(s), own = sums_own(s);

	if (e && !begin_with(&l->a->table, e, &charge, &own))
		l->rc = fail(l->err, MG_ENOMEM, "no memory for the keys");
}

static bool on_credit(void *arg, const void *row)
{
	struct load *l = arg;

	atomic_fetch_add(&l->a->bought, ((const struct mg_store_credit *)row)->nusd);
	return true;
}

static int load(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	struct load *l = arg;
	struct accounts *a = l->a;
	int64_t now = a->table.loaded_ms;
	const int64_t since[3] = { window_start(WINDOW_DAILY, now), window_start(WINDOW_WEEKLY, now), window_start(WINDOW_MONTHLY, now) };
	struct mg_store_sums all = { .size = sizeof(all) };
	struct spending charge, own;
	char why[256] = "";
	int rc = ops->each(handle, MG_ROW_KEY, NULL, 0, 0, on_key, l, why);

	if (l->rc)
		return l->rc;
	rc = rc ? rc : ops->sums_each(handle, since, on_sums, l, why);
	if (l->rc)
		return l->rc;
	rc = rc ? rc : ops->each(handle, MG_ROW_CREDIT, NULL, 0, 0, on_credit, l, why);
	rc = rc ? rc : ops->sums(handle, NULL, since, &all, why);
	if (rc)
		return fail(err, rc, "%s", why);
	tenants_load(&a->table.tenants, now);
	charge = sums_charged(&all);
	own = sums_own(&all);
	scope_load(a->balance, &charge, &own, now);
	return MG_OK;
}

static void set_balance(struct accounts *a)
{
	int64_t bought = atomic_load(&a->bought);

	if (a->credits)
		scope_limit(a->balance, bought > 0 ? bought : 0, WINDOW_TOTAL);
}

struct accounts *accounts_new(struct store *store, const char *management_key, bool credits, struct err *err)
{
	struct accounts *a = calloc(1, sizeof(*a));
	struct load l = { a, MG_OK, NULL };
	struct err why = { 0 };
	int rc;

	if (management_key && *management_key && strlen(management_key) < MANAGEMENT_MIN) {
		fail(err, MG_EINVAL, "management_key: has less than %d characters\nhint: echo sk-management-$(openssl rand -hex 24) makes one", MANAGEMENT_MIN);
		free(a);
		return NULL;
	}
	if (!a || table_init(&a->table)) {
		free(a);
		fail(err, MG_ENOMEM, "no memory for the keys");
		return NULL;
	}
	pthread_mutex_init(&a->changing, NULL);
	a->store = store;
	a->credits = credits;
	a->table.loaded_ms = clock_wall_ms();
	a->balance = scope_new("balance", "");
	a->operators = scope_new("key", "management");
	a->apart = tenants_find(&a->table.tenants, "");
	if (management_key && *management_key) {
		a->has_management = true;
		sha256(management_key, strlen(management_key), a->management);
	}
	l.err = &why;
	rc = a->balance && a->operators && a->apart ? store_run(store, load, &l, &why) : fail(&why, MG_ENOMEM, "no memory for the keys");
	if (rc) {
		if (err)
			*err = why;
		accounts_free(a);
		return NULL;
	}
	set_balance(a);
	malloc_trim(0);		/* reading the store took some, once */
	return a;
}

void accounts_free(struct accounts *a)
{
	if (!a)
		return;
	table_release(&a->table);
	scope_free(a->balance);
	scope_free(a->operators);
	pthread_mutex_destroy(&a->changing);
	free(a);
}

/* ---- who is it? */

static bool looks_like_a_key(struct mg_str key)
{
	static const bool allowed[256] = { ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['_'] = true, ['-'] = true };
	bool all = true;

	if (key.len < 23 || key.len > TOKEN_MAX || memcmp(key.at, "sk-", 3))
		return false;
	for (size_t i = 3; i < key.len; i++)
		all &= allowed[(unsigned char)key.at[i]];
	return all;
}

static int find_management(struct accounts *a, const char *name, const unsigned char hash[HASH_BYTES], struct key_facts *out)
{
	*out = (struct key_facts){ .label = "management", .management = true, .limit_nusd = -1, .scope = a->operators };
	snprintf(out->name, sizeof(out->name), "%s", name);
	for (int i = 0; i < HASH_BYTES; i++)
		snprintf(out->hash + 2 * i, 3, "%02x", hash[i]);
	return MG_OK;
}

int accounts_find(struct accounts *a, struct mg_str key, struct key_facts *out, struct err *err)
{
	unsigned char hash[HASH_BYTES];
	bool found;

	if (!key.at || key.len > 256)
		return fail(err, MG_EDENIED, "User not found.");
	sha256(key.at, key.len, hash);
	if (a->has_management && same_bytes(hash, a->management, HASH_BYTES))
		return find_management(a, "configured", a->management, out);
	found = looks_like_a_key(key) && table_find(&a->table, hash, out);
	if (!found && a->has_here && same_bytes(hash, a->here, HASH_BYTES))
		return find_management(a, "this machine", a->here, out);
	if (!found || out->deleted)
		return fail(err, MG_EDENIED, "User not found.");
	if (out->disabled)
		return fail(err, MG_EDENIED, "API key is disabled");
	if (out->expires_ms && out->expires_ms <= clock_wall_ms())
		return fail(err, MG_EDENIED, "API key has expired");
	return MG_OK;
}

int accounts_get(struct accounts *a, const char *hash, struct key_facts *out)
{
	unsigned char bytes[HASH_BYTES];

	return hash && hash_bytes(hash, bytes) && table_find(&a->table, bytes, out) ? MG_OK : MG_EINVAL;
}

/* ---- changes: the store first, then memory */

static int put_key(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	char why[256] = "";
	int rc = ops->put(handle, MG_ROW_KEY, arg, why);

	return rc ? fail(err, rc, "%s", why) : MG_OK;
}

static int keep(struct accounts *a, const struct key_facts *k, struct err *err)
{
	json_t *o = key_json(k);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	struct mg_store_key row = { sizeof(row), k->hash, text, k->created_ms, k->deleted };
	int rc = text ? store_run(a->store, put_key, &row, err) : fail(err, MG_EINVAL, "a key's name and texts must be UTF-8");

	json_decref(o);
	free(text);
	return rc;
}

static int change(struct accounts *a, const struct key_facts *k, struct purse *purse, struct err *err)
{
	struct entry *e = entry_new(k, purse);
	struct scope *s;
	int rc;

	if (!e)
		return fail(err, MG_ENOMEM, "no memory for a key");
	rc = keep(a, k, err);
	if (!rc && table_change(&a->table, e))
		rc = fail(err, MG_ENOMEM, "no memory for a key: it changes at the next start");
	if (rc) {
		free(e);
		return rc;
	}
	/* nobody reads the old entry any more, so no scope can be made with its limit */
	s = purse ? atomic_load(&purse->scope) : NULL;
	if (s) {
		scope_limit(s, k->limit_nusd, k->reset);
		scope_limit_own(s, k->include_byok);
	}
	return MG_OK;
}

static void make_key(char plain[static 80])
{
	unsigned char secret[32];
	size_t at = (size_t)snprintf(plain, 80, "sk-or-v1-");

	random_bytes(secret, sizeof(secret));
	for (size_t i = 0; i < sizeof(secret); i++)
		at += (size_t)snprintf(plain + at, 80 - at, "%02x", secret[i]);
	wipe(secret, sizeof(secret));
}

void accounts_key_here(struct accounts *a, char plain[static 80])
{
	make_key(plain);
	sha256(plain, strlen(plain), a->here);
	a->has_here = true;
}

int accounts_create(struct accounts *a, struct key_facts *in_out, char plain[static 80], struct err *err)
{
	struct key_facts *k = in_out;
	int rc;

	make_key(plain);
	sha256_hex(plain, strlen(plain), k->hash);
	snprintf(k->label, sizeof(k->label), "%.12s...%s", plain, plain + strlen(plain) - 4);
	k->created_ms = clock_wall_ms();
	k->updated_ms = 0;
	k->deleted = false;
	if (k->limit_nusd < 0)
		k->limit_nusd = -1;
	pthread_mutex_lock(&a->changing);
	rc = change(a, k, NULL, err);
	pthread_mutex_unlock(&a->changing);
	if (!rc && accounts_get(a, k->hash, k))
		rc = fail(err, MG_ENOMEM, "no memory for a key");
	if (rc)
		wipe(plain, 80);
	return rc;
}

int accounts_update(struct accounts *a, const struct key_facts *k, struct err *err)
{
	struct key_facts next = *k;
	unsigned char hash[HASH_BYTES];
	struct entry *before;
	struct purse *purse;
	int rc;

	pthread_mutex_lock(&a->changing);
	before = hash_bytes(k->hash, hash) ? table_entry(&a->table, hash) : NULL;
	if (!before || (before->deleted && !k->deleted)) {	/* a change must not bring it back */
		rc = fail(err, MG_EINVAL, "no key has this hash");
	} else {
		next.created_ms = entry_time(before->created_ms);
		next.updated_ms = clock_wall_ms();
		if (next.limit_nusd < 0)
			next.limit_nusd = -1;
		purse = entry_purse(before);	/* made now, for both: whoever has the old one must not make another */
		rc = purse ? change(a, &next, purse, err) : fail(err, MG_ENOMEM, "no memory for a key");
	}
	pthread_mutex_unlock(&a->changing);
	return rc;
}

int accounts_delete(struct accounts *a, const char *hash, struct err *err)
{
	struct key_facts k;

	if (accounts_get(a, hash, &k) || k.deleted)
		return fail(err, MG_EINVAL, "no key has this hash");
	k.deleted = true;
	return accounts_update(a, &k, err);
}

/* ---- lists */

struct listing { const struct key_filter *f; struct entry **at; size_t n, size; bool failed; };

static bool wanted(const struct key_filter *f, const struct entry *e)
{
	const char *workspace = e->texts;

	for (int i = 0; i < 3; i++)	/* behind name, label, creator */
		workspace += strlen(workspace) + 1;
	return (f->deleted || !e->deleted) && (f->disabled || !e->disabled) && (!f->workspace || !strcmp(f->workspace, workspace));
}

static void on_entry(void *arg, struct entry *e)
{
	struct listing *l = arg;

	if (!wanted(l->f, e))
		return;
	if (l->n == l->size) {
		size_t size = l->size ? l->size * 2 : 256;
		struct entry **more = realloc(l->at, size * sizeof(*more));

		if (!more) {
			l->failed = true;
			return;
		}
		l->at = more;
		l->size = size;
	}
	l->at[l->n++] = e;
}

static int newest_first(const void *a, const void *b)
{
	const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
	int64_t x_ms = entry_time(x->created_ms), y_ms = entry_time(y->created_ms);

	if (x_ms != y_ms)
		return x_ms < y_ms ? 1 : -1;
	return memcmp(x->hash, y->hash, HASH_BYTES);
}

size_t accounts_select(struct accounts *a, const struct key_filter *f, size_t offset, size_t max, struct key_facts *out, size_t *total)
{
	struct listing l = { .f = f };
	size_t n = 0;

	pthread_mutex_lock(&a->changing);
	table_each(&a->table, on_entry, &l);
	if (l.n && max)
		qsort(l.at, l.n, sizeof(l.at[0]), newest_first);
	for (size_t i = offset; i < l.n && n < max && !l.failed; i++)
		n += entry_facts(&a->table, l.at[i], &out[n]);
	pthread_mutex_unlock(&a->changing);
	free(l.at);
	if (total)
		*total = l.n;
	return n;
}

size_t accounts_count(struct accounts *a)
{
	size_t total;

	accounts_select(a, &(struct key_filter){ .disabled = true }, 0, 0, NULL, &total);
	return total;
}

/* ---- money */

struct scope *accounts_balance(struct accounts *a)
{
	return a->balance;
}

struct scope *accounts_apart(struct accounts *a)
{
	return a->apart;
}

int64_t accounts_bought(struct accounts *a)
{
	return atomic_load(&a->bought);
}

struct bought { struct mg_store_credit row; bool known; };

static bool on_known(void *arg, const void *row)
{
	*(bool *)arg = true;
	return false;
}

static int put_credit(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	struct bought *b = arg;
	char why[256] = "";
	int rc = ops->each(handle, MG_ROW_CREDIT, b->row.external_id, 0, 1, on_known, &b->known, why);

	rc = rc || b->known ? rc : ops->put(handle, MG_ROW_CREDIT, &b->row, why);
	return rc ? fail(err, rc, "%s", why) : MG_OK;
}

int accounts_credit(struct accounts *a, const char *external_id, int64_t nusd, bool *applied, struct err *err)
{
	struct bought b = { { sizeof(b.row), external_id, nusd, clock_wall_ms() }, false };
	int rc;

	int64_t sum;

	pthread_mutex_lock(&a->changing);
	if (__builtin_add_overflow(atomic_load(&a->bought), nusd, &sum))
		rc = fail(err, MG_EINVAL, "there would be more credit than is counted: at most 9.2 billion USD in all");
	else
		rc = store_run(a->store, put_credit, &b, err);
	if (!rc && !b.known) {
		atomic_fetch_add(&a->bought, nusd);
		set_balance(a);
	}
	pthread_mutex_unlock(&a->changing);
	if (applied)
		*applied = !b.known;
	return rc;
}

void accounts_refund(struct accounts *a, const char *hash, int64_t nusd, int64_t at_ms)
{
	unsigned char bytes[HASH_BYTES];
	struct key_facts k;

	if (a->balance)
		scope_refund(a->balance, nusd, at_ms);
	if (hash_bytes(hash, bytes) && table_find(&a->table, bytes, &k)) {
		scope_refund(k.scope, nusd, at_ms);
		if (k.tenant)
			scope_refund(k.tenant, nusd, at_ms);
	}
}
