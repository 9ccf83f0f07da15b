#include "account/wire.h"

#include <pthread.h>

#include "base/clock.h"
#include "ledger/store_rig.h"
#include "tap.h"

static struct store *store;
static struct accounts *keys;
static const struct mg_plugin *plugin;
static const char management[] = "sk-management-0123456789abcdef";

static bool up(bool credits)
{
	struct err err = { 0 };

	store = store_open(plugin, rig_dir, false, NULL, &err);
	keys = store ? accounts_new(store, management, credits, &err) : NULL;
	if (!keys)
		printf("# %s\n", err.msg);
	return keys;
}

static void down(void)
{
	accounts_free(keys);
	store_close(store);
}

static struct mg_str str(const char *s)
{
	return (struct mg_str){ s, strlen(s) };
}

/* ---- who is it? */

static void test_find(void)
{
	struct key_facts k = { .name = "A", .limit_nusd = 5000, .reset = WINDOW_DAILY, .workspace = "w1",
		.creator = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }, found;
	struct err err = { 0 };
	char plain[80], huge[4096], hash[65];
	static const struct { const char *name, *key; } strangers[] = {
		{ "an unknown key", "sk-or-v1-0000000000000000000000000000000000000000000000000000000000000000" },
		{ "an empty one", "" }, { "SQL", "sk-or-v1-' OR '1'='1 -- 0123456789" }, { "too short", "sk-0123" },
		{ "not ours", "pk-or-v1-0000000000000000000000000000000000000000000000000000000000000000" },
	};

	ok(!accounts_create(keys, &k, plain, &err) && strlen(plain) == 73 && !strncmp(plain, "sk-or-v1-", 9), "a key is made");
	sha256_hex(plain, strlen(plain), hash);
	ok(!strcmp(hash, k.hash) && !strncmp(k.label, plain, 12) && !strncmp(k.label + 12, "...", 3) &&
		!strcmp(k.label + 15, plain + 69) && k.scope, "known by its SHA-256, shown by a label");
	ok(!accounts_find(keys, str(plain), &found, &err) && !strcmp(found.name, "A") && found.limit_nusd == 5000 &&
		found.reset == WINDOW_DAILY && !strcmp(found.workspace, "w1") && strlen(found.creator) == 64 && found.scope == k.scope, "and found, always with the same scope");
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
		ok(accounts_find(keys, str(strangers[i].key), &found, &err) == MG_EDENIED && !strcmp(err.msg, "User not found."), strangers[i].name);
	memset(huge, 'a', sizeof(huge));
	ok(accounts_find(keys, (struct mg_str){ huge, sizeof(huge) }, &found, &err) == MG_EDENIED, "one that is huge");
	ok(accounts_find(keys, (struct mg_str){ NULL, 0 }, &found, &err) == MG_EDENIED, "none");
	ok(!accounts_find(keys, str(management), &found, &err) && found.management && found.scope, "the configured management key needs no store");
	accounts_key_here(keys, huge);
	ok(!accounts_find(keys, str(huge), &found, &err) && found.management && found.scope && !strcmp(found.name, "this machine"), "one for the commands of this machine, too");
	ok(accounts_select(keys, &(struct key_filter){ .disabled = true }, 0, 1, &found, NULL) == 1 && !strcmp(found.name, "A"), "which is in no list of keys");

	k.disabled = true;
	ok(!accounts_update(keys, &k, &err) && accounts_find(keys, str(plain), &found, &err) == MG_EDENIED &&
		!strcmp(err.msg, "API key is disabled"), "a disabled key is told so, at once");
	k.disabled = false;
	k.expires_ms = 1000;
	ok(!accounts_update(keys, &k, &err) && accounts_find(keys, str(plain), &found, &err) == MG_EDENIED &&
		!strcmp(err.msg, "API key has expired"), "and an expired one");
	k.expires_ms = INT64_C(253402300799999);	/* the end of the year 9999 */
	k.limit_nusd = 10;
	k.created_ms = 5;
	ok(!accounts_update(keys, &k, &err) && !accounts_find(keys, str(plain), &found, &err) && found.expires_ms == k.expires_ms &&
		found.created_ms > INT64_C(1600000000000) && found.updated_ms >= found.created_ms, "its times are kept to the millisecond; it stays as old as it is");
	ok(hold_take(&(struct hold){ .n = 0 }, &k.scope, 1, charged(11), clock_wall_ms(), NULL) == MG_EDENIED, "a new limit holds from the next hold on");
	ok(!accounts_delete(keys, k.hash, &err) && accounts_find(keys, str(plain), &found, &err) == MG_EDENIED &&
		!strcmp(err.msg, "User not found."), "a deleted key is unknown");
	ok(accounts_update(keys, &k, &err) == MG_EINVAL && accounts_delete(keys, k.hash, &err) == MG_EINVAL, "and does not come back");
	ok(accounts_count(keys) == 0 && accounts_select(keys, &(struct key_filter){ .deleted = true, .disabled = true }, 0, 1, &found, NULL) == 1 && !strcmp(found.hash, k.hash), "only who asks sees it");
}

/* ---- the API's words */

static struct pool *pool;
static struct buf out;
static struct err why;

static struct mg_view body(const char *json)
{
	struct mg_view v = { NULL, 0 };

	buf_reset(&out);
	why = (struct err){ 0 };
	json_parse(pool, str(json), &v, &why);
	return v;
}

static bool says(const char *part)
{
	buf_put(&out, "", 1);
	if (out.at && strstr(out.at, part))
		return true;
	printf("# no '%s' in %s\n", part, out.at ? out.at : "");
	return false;
}

static const struct { const char *name, *body, *error; } bodies[] = {
	{ "a name is needed", "{}", "name: is required" },
	{ "and not empty", "{\"name\":\"\"}", "name: must be a string that is not empty" },
	{ "a name is a string", "{\"name\":7}", "name: must be a string" },
	{ "without NUL", "{\"name\":\"a\\u0000b\"}", "name: must be without NUL" },
	{ "a limit is a number", "{\"name\":\"a\",\"limit\":\"5\"}", "limit: must be null, or an amount" },
	{ "not below zero", "{\"name\":\"a\",\"limit\":-1}", "limit: must be null, or an amount" },
	{ "of at most nine decimals", "{\"name\":\"a\",\"limit\":0.0000000001}", "limit: must be null, or an amount" },
	{ "a reset is one of three", "{\"name\":\"a\",\"limit_reset\":\"hourly\"}", "limit_reset: must be daily, weekly, monthly or null" },
	{ "a flag is a flag", "{\"name\":\"a\",\"include_byok_in_limit\":1}", "include_byok_in_limit: must be true or false" },
	{ "a time is in UTC", "{\"name\":\"a\",\"expires_at\":\"2099-01-01T00:00:00+02:00\"}", "expires_at: must be null, or a time in UTC" },
	{ "with seconds", "{\"name\":\"a\",\"expires_at\":\"2099-01-01T00:00Z\"}", "expires_at: must be null, or a time in UTC" },
	{ "that exists", "{\"name\":\"a\",\"expires_at\":\"2099-02-30T00:00:00Z\"}", "expires_at: must be null, or a time in UTC" },
	{ "and is to come", "{\"name\":\"a\",\"expires_at\":\"2020-01-01T00:00:00Z\"}", "expires_at: must be in the future" },
	{ "an external user is named", "{\"name\":\"a\",\"external\":{}}", "external.user: is required" },
	{ "disabled is a flag", "{\"name\":\"a\",\"disabled\":\"yes\"}", "disabled: must be true or false" },
	{ "a body is an object", "[]", "the body must be a JSON object" },
};

static void test_bodies(void)
{
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		int rc = wire_key_create(keys, body(bodies[i].body), "", &out, &why);

		if (!strstr(why.msg, bodies[i].error))
			printf("# %s\n", why.msg);
		ok(rc == MG_EINVAL && strstr(why.msg, bodies[i].error), bodies[i].name);
	}
	ok(accounts_count(keys) == 0, "none of them made a key");
}

static const struct { const char *name, *body, *error; } fixed[] = {
	{ "a key stays in its workspace", "{\"workspace_id\":\"w2\"}", "workspace_id: cannot be changed" },
	{ "and in its organization", "{\"organization_id\":\"o2\"}", "organization_id: cannot be changed" },
	{ "whoever made it", "{\"creator_user_id\":null}", "creator_user_id: cannot be changed" },
	{ "and whoever it is for", "{\"external\":{\"user\":\"x\"}}", "external.user: cannot be changed" },
};

static void test_wire(void)
{
	struct key_facts k;
	struct hold h;
	int64_t now = clock_wall_ms();

	ok(!wire_key_create(keys, body("{\"name\":\"Team \\u00e4\",\"limit\":50,\"limit_reset\":\"monthly\",\"expires_at\":\"2099-12-31T23:59:59Z\"}"),
		"me", &out, &why) && says("\"limit\":50,\"limit_remaining\":50,\"limit_reset\":\"monthly\"") &&
		says("\"expires_at\":\"2099-12-31T23:59:59") && says("\"updated_at\":null") && says("\"creator_user_id\":\"me\"") &&
		says("\"key\":\"sk-or-v1-"), "POST /keys");
	accounts_select(keys, &(struct key_filter){ .disabled = true }, 0, 1, &k, NULL);
	ok(!hold_take(&h, &k.scope, 1, charged(2000000000), now, NULL) && hold_settle(&h, charged(1500000001)), "something is spent");
	buf_reset(&out);
	ok(!wire_own_key(keys, &k, now, &out, &why) && says("\"usage\":1.500000001,") && says("\"limit_remaining\":48.499999999,") &&
		says("\"is_management_key\":false") && says("\"rate_limit\":{\"requests\":-1"), "GET /key, to the last digit");
	ok(!wire_key_update(keys, k.hash, body("{\"name\":\"B\",\"limit\":1}"), &out, &why) && says("\"limit_remaining\":0,") &&
		says("\"limit_reset\":\"monthly\"") && says("\"name\":\"B\""), "PATCH /keys/{hash} changes what is named");
	ok(!wire_key_update(keys, k.hash, body("{\"limit\":0.30000000000000004}"), &out, &why) && says("\"limit\":0.3,"), "a limit that doubles were added up for is meant as it is printed");
	ok(!wire_key_update(keys, k.hash, body("{\"limit\":1e2}"), &out, &why) && says("\"limit\":100,") &&
		!wire_key_update(keys, k.hash, body("{\"limit\":0.00000000051}"), &out, &why) && says("\"limit\":0.000000001,"), "to the nearest nanodollar");
	ok(!wire_key_update(keys, k.hash, body("{\"expires_at\":\"2098-01-02T03:04:05Z\",\"workspace_id\":null,\"creator_user_id\":\"me\"}"), &out, &why) &&
		says("\"expires_at\":\"2098-01-02T03:04:05.000Z\""), "when it expires can be changed, too; and what is said again as it is may be");
	ok(wire_key_update(keys, k.hash, body("{\"expires_at\":\"2020-01-01T00:00:00Z\"}"), &out, &why) == MG_EINVAL && strstr(why.msg, "expires_at: must be in the future"), "not into the past");
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		ok(wire_key_update(keys, k.hash, body(fixed[i].body), &out, &why) == MG_EINVAL && strstr(why.msg, fixed[i].error), fixed[i].name);
	ok(!wire_key_update(keys, k.hash, body("{\"limit\":null,\"limit_reset\":null,\"disabled\":true}"), &out, &why) &&
		says("\"limit\":null,\"limit_remaining\":null,\"limit_reset\":null"), "and null takes a limit away");
	buf_reset(&out);
	ok(!wire_keys(keys, &(struct keys_query){ .offset = MG_STR("0") }, now, &out, &why) && says("\"data\":[]"), "GET /keys leaves disabled ones out");
	buf_reset(&out);
	ok(!wire_keys(keys, &(struct keys_query){ .include_disabled = MG_STR("true") }, now, &out, &why) && says("\"total_count\":1"), "unless asked");
	ok(wire_keys(keys, &(struct keys_query){ .offset = MG_STR("-1") }, now, &out, &why) == MG_EINVAL && strstr(why.msg, "offset"), "a bad offset is named");
	buf_reset(&out);
	ok(!wire_key_delete(keys, k.hash, &out, &why) && says("{\"deleted\":true}"), "DELETE /keys/{hash}");
	ok(wire_key(keys, k.hash, now, &out, &why) == MG_EDENIED && wire_key(keys, "zz", now, &out, &why) == MG_EDENIED, "then there is none");
	buf_reset(&out);
	ok(!wire_key_create(keys, body("{\"name\":\"off\",\"disabled\":true}"), "", &out, &why) && says("\"disabled\":true"), "a key may be made that is off");
	snprintf(k.hash, sizeof(k.hash), "%.64s", strstr(out.at, "\"hash\":\"") + 8);
	buf_reset(&out);
	ok(!wire_key_delete(keys, k.hash, &out, &why), "and deleted");
}

/* ---- across a start */

static int spend(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	const struct key_facts *k = arg;
	struct mg_store_generation g = { .size = sizeof(g), .attempt_id = "g-1", .generation_id = "g", .key_hash = k->hash, .model = "m",
		.provider = "p", .charge_nusd = 7, .at_ms = clock_wall_ms(), .json = "{}", .own_nusd = 3 };
	char words[256];

	return ops->put(handle, MG_ROW_GENERATION, &g, words);
}

static void test_restart(void)
{
	struct key_facts k = { .name = "kept", .limit_nusd = 10 }, found;
	struct scope_facts f;
	char plain[80];
	bool large = true;

	accounts_create(keys, &k, plain, NULL);
	store_run(store, spend, &k, NULL);
	ok(!accounts_credit(keys, "pay-1", 100, NULL, NULL) && !accounts_credit(keys, "pay-1", 100, NULL, NULL) && accounts_bought(keys) == 100,
		"credit is bought once for each payment");
	down();
	ok(up(true) && !accounts_find(keys, str(plain), &found, NULL) && !strcmp(found.name, "kept"), "a key survives a restart");
	scope_read(found.scope, clock_wall_ms(), &f);
	ok(f.charged.total == 7 && f.charged.daily == 7 && f.charged.weekly == 7 && f.charged.monthly == 7, "and what it has spent");
	ok(hold_take(&(struct hold){ .n = 0 }, &found.scope, 1, charged(4), clock_wall_ms(), NULL) == MG_EDENIED, "which counts against its limit");
	ok(f.posted == 7 && f.own.total == 3 && f.own.daily == 3 && f.own.weekly == 3 && f.own.monthly == 3, "and what its own accounts took, which does not");
	buf_reset(&out);
	ok(!wire_key_update(keys, found.hash, body("{\"include_byok_in_limit\":true}"), &out, &why) && says("\"usage\":0.000000007,") && says("\"limit_remaining\":0,") &&
		says("\"include_byok_in_limit\":true") && says("\"byok_usage\":0.000000003,\"byok_usage_daily\":0.000000003,\"byok_usage_weekly\":0.000000003,\"byok_usage_monthly\":0.000000003,"),
		"unless the limit is to have it in");
	ok(hold_take(&(struct hold){ .n = 0 }, &found.scope, 1, charged(1), clock_wall_ms(), NULL) == MG_EDENIED, "and then nothing is left");
	scope_read(accounts_apart(keys), clock_wall_ms(), &f);
	ok(f.own.monthly == 3 && !f.charged.total, "of keys in no workspace it is counted, too");
	scope_read(accounts_balance(keys), clock_wall_ms(), &f);
	ok(f.limit == 100 && f.posted == 7 && f.own.total == 3, "and against the balance");
	buf_reset(&out);
	ok(!wire_credits(keys, &out, &why) && says("{\"data\":{\"total_credits\":0.0000001,\"total_usage\":0.000000007}}"), "GET /credits");
	ok(!accounts_credit(keys, "refund-1", -100, NULL, NULL) && accounts_bought(keys) == 0, "credit can be taken back");
	ok(hold_take(&(struct hold){ .n = 0 }, (struct scope *[]){ accounts_balance(keys) }, 1, charged(0), clock_wall_ms(), NULL) == MG_EDENIED,
		"below zero nothing is given, not even for free");
	for (int i = 0; i < 9; i++) {
		snprintf(plain, sizeof(plain), "large-%d", i);
		large = large && !accounts_credit(keys, plain, INT64_C(1000000000000000000), NULL, NULL);
	}
	ok(large && accounts_credit(keys, "large-9", INT64_C(1000000000000000000), NULL, &why) == MG_EINVAL && strstr(why.msg, "9.2") &&
		accounts_bought(keys) == INT64_C(9000000000000000000), "credit that does not fit into the sum is refused");
	down();
	ok(up(true) && accounts_bought(keys) == INT64_C(9000000000000000000), "and after a restart it is the same");
	accounts_credit(keys, "large-back-1", -INT64_C(1000000000000000000), NULL, NULL);
}

/* Newest first: "hgfedcba". */
static bool in_order(const char *names)
{
	static const struct key_filter workspace = { .workspace = "order" };
	struct key_facts found[8];
	size_t n = accounts_select(keys, &workspace, 0, 8, found, NULL);

	for (size_t i = 0; i < n; i++)
		if (found[i].name[0] != names[i])
			return false;
	return n == strlen(names);
}

static void test_order(void)
{
	struct key_facts k = { .limit_nusd = -1, .workspace = "order" }, first;
	char plain[80];

	for (char name = 'a'; name <= 'h'; name++) {
		int64_t now = clock_wall_ms();

		while (clock_wall_ms() == now)
			;
		k.name[0] = name;
		accounts_create(keys, &k, plain, NULL);
		if (name == 'a')
			first = k;
	}
	ok(in_order("hgfedcba"), "keys are listed newest first");
	ok(!accounts_update(keys, &first, NULL) && in_order("hgfedcba"), "one that was changed stays where it was");
	down();
	ok(up(true) && in_order("hgfedcba"), "and all of them after a restart");
}

/* ---- readers never wait, and never see half a key */

static struct race { char plain[80]; atomic_bool stop; atomic_ulong seen, wrong; } race;

static void *reads(void *arg)
{
	struct key_facts k;

	while (!atomic_load(&race.stop)) {
		if (accounts_find(keys, str(race.plain), &k, NULL) || k.name[0] != k.workspace[0] || strlen(k.name) != strlen(k.workspace))
			atomic_fetch_add(&race.wrong, 1);
		atomic_fetch_add(&race.seen, 1);
	}
	return NULL;
}

static void test_race(void)
{
	struct key_facts k = { .name = "a", .workspace = "a", .limit_nusd = -1 };
	pthread_t threads[3];

	accounts_create(keys, &k, race.plain, NULL);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, reads, NULL);
	for (int i = 0; i < 100; i++) {
		int len = 1 + i % 40;

		memset(k.name, 'a' + i % 26, (size_t)len);
		memset(k.workspace, 'a' + i % 26, (size_t)len);
		k.name[len] = k.workspace[len] = '\0';
		accounts_update(keys, &k, NULL);
	}
	while (!atomic_load(&race.seen))
		;
	atomic_store(&race.stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ok(!atomic_load(&race.wrong), "100 changes under three readers: each look-up sees one whole key");
}

static int64_t spent_by(const struct scope *s)
{
	struct scope_facts f;

	scope_read(s, clock_wall_ms(), &f);
	return f.charged.monthly;
}

static void test_tenants(void)
{
	struct key_facts one = { .name = "one", .workspace = "w9", .limit_nusd = -1 }, two = { .name = "two", .workspace = "w9", .limit_nusd = -1 },
		other = { .name = "other", .workspace = "w8", .limit_nusd = -1 }, none = { .name = "none", .limit_nusd = -1 };
	struct key_facts *all[] = { &one, &two, &other, &none };
	struct scope *which = NULL;
	struct hold h;
	char plain[80];
	bool made = true;

	for (int i = 0; i < 4; i++)
		made &= accounts_create(keys, all[i], plain, NULL) == MG_OK && accounts_get(keys, all[i]->hash, all[i]) == MG_OK;
	ok(made && one.tenant && one.tenant == two.tenant && other.tenant && other.tenant != one.tenant && !none.tenant, "the keys of a workspace have one purse more, together");
	made = hold_take(&h, (struct scope *[]){ one.scope, one.tenant }, 2, charged(100), clock_wall_ms(), &which) == MG_OK && hold_settle(&h, charged(90));
	ok(made && spent_by(two.tenant) == 90 && !spent_by(two.scope) && !spent_by(other.tenant), "what one of them spends is in it");
	accounts_refund(keys, one.hash, 40, clock_wall_ms());
	accounts_refund(keys, none.hash, 0, clock_wall_ms());
	ok(spent_by(two.tenant) == 50 && spent_by(one.scope) == 50, "what is given back to one of them is out of it");
}

int main(void)
{
	plugin = rig_start();
	pool = pool_new(4 << 20);
	buf_init(&out, 1 << 20);
	if (up(false)) {
		test_find();
		test_bodies();
		test_wire();
		test_restart();
	test_order();
		test_tenants();
		test_race();
		down();
	}
	buf_release(&out);
	pool_free(pool);
	rig_clean();
	return tap_done();
}
