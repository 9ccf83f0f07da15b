/*
 * key.c - moongate key ...: on the store itself while no gateway runs, so that
 * an operator can make the first key; else over HTTP with the management key.
 * Both give the same bodies.
 */
#include <unistd.h>
#include "account/wire.h"
#include "base/clock.h"
#include "base/money.h"
#include "cli/remote.h"
#include "cli/table.h"

enum { BODY_MAX = 64 << 20, KEYS_MAX = 100000 };

static const struct column columns[] = {
	{ "name", "NAME", CELL_TEXT }, { "hash", "HASH", CELL_HASH }, { "label", "KEY", CELL_TEXT }, { "disabled", "DISABLED", CELL_TEXT },
	{ "limit", "LIMIT $", CELL_NUMBER }, { "limit_reset", "RESET", CELL_TEXT }, { "limit_remaining", "LEFT $", CELL_NUMBER },
	{ "usage", "USED $", CELL_NUMBER }, { "created_at", "CREATED", CELL_TIME }, { "expires_at", "EXPIRES", CELL_TIME },
	{ NULL, NULL, CELL_TEXT } };
static const struct column facts[] = {
	{ "name", "name", CELL_TEXT }, { "hash", "hash", CELL_TEXT }, { "label", "key", CELL_TEXT }, { "disabled", "disabled", CELL_TEXT },
	{ "limit", "limit, USD", CELL_TEXT }, { "limit_reset", "limit reset", CELL_TEXT }, { "limit_remaining", "limit left", CELL_TEXT },
	{ "usage", "used, USD", CELL_TEXT }, { "usage_daily", "  today", CELL_TEXT }, { "usage_weekly", "  this week", CELL_TEXT },
	{ "usage_monthly", "  this month", CELL_TEXT }, { "byok_usage", "own accounts, USD", CELL_TEXT },
	{ "byok_usage_monthly", "  this month", CELL_TEXT }, { "include_byok_in_limit", "  in the limit", CELL_TEXT },
	{ "organization_id", "organization", CELL_TEXT }, { "workspace_id", "workspace", CELL_TEXT },
	{ "external_user", "external user", CELL_TEXT },
	{ "created_at", "created", CELL_TIME }, { "updated_at", "updated", CELL_TIME }, { "expires_at", "expires", CELL_TIME },
	{ NULL, NULL, CELL_TEXT } };

/* ------------------------------------------------ which of the two */

struct keys { const struct cli *c; struct local local; struct remote remote; struct pool *pool; };

static int keys_open(struct keys *k, const struct cli *c)
{
	*k = (struct keys){ .c = c, .pool = pool_new(BODY_MAX) };
	if (!k->pool)
		return cli_say(EXIT_FAILED, "no memory for keys");
	return remote_or_here(&k->remote, c, &k->local);
}

static int keys_close(struct keys *k, int rc)
{
	remote_close(&k->remote);
	local_close(&k->local);
	pool_free(k->pool);
	return rc;
}

static const char *path_of(struct keys *k, const char *hash)
{
	struct mg_str path = pool_print(k->pool, "/api/v1/keys/%s", hash);

	return path.at ? path.at : "/api/v1/keys/";
}

static int page(struct keys *k, size_t offset, bool disabled, struct buf *out)
{
	char number[24], path[80];
	struct err err = { 0 };
	struct keys_query q = { { number, 0 }, { disabled ? "true" : "false", disabled ? 4 : 5 }, { 0 } };

	q.offset.len = (size_t)snprintf(number, sizeof(number), "%zu", offset);
	if (k->local.accounts)
		return local_status(wire_keys(k->local.accounts, &q, clock_wall_ms(), out, &err), &err);
	snprintf(path, sizeof(path), "/api/v1/keys?offset=%zu&include_disabled=%s", offset, disabled ? "true" : "false");
	return remote_call(&k->remote, "GET", path, (struct mg_str){ 0 }, out);
}

/* All pages as one body. */
static int all_keys(struct keys *k, bool disabled, struct buf *out)
{
	size_t n = 0, got = WIRE_KEYS_PAGE;

	buf_text(out, "{\"data\":[");
	while (got == WIRE_KEYS_PAGE && n < KEYS_MAX) {
		struct mg_view all = { 0 };
		struct err err = { 0 };
		struct buf body;
		int rc;

		buf_init(&body, BODY_MAX);
		rc = page(k, n, disabled, &body);
		if (!rc && json_parse(k->pool, pool_dup(k->pool, buf_view(&body)), &all, &err) != MG_OK)
			rc = cli_fail(EXIT_FAILED, &err);
		buf_release(&body);
		if (rc)
			return rc;
		got = json_len(json_get(all, "data"));
		for (struct mg_view v = json_at(json_get(all, "data"), 0); json_kind(v); v = json_next(v)) {
			if (n++)
				buf_text(out, ",");
			buf_str(out, json_raw(v));
		}
	}
	buf_print(out, "],\"total_count\":%zu}", n);
	return EXIT_OK;
}

static bool is_hash(const char *text)
{
	return strlen(text) == SHA256_HEX && strspn(text, "0123456789abcdef") == SHA256_HEX;
}

/* A hash, the beginning of one, or a name. */
static int find_key(struct keys *k, const char *said, char hash[SHA256_HEX + 1])
{
	struct mg_view all;
	struct buf body;
	size_t found = 0, len = strlen(said);
	int rc;

	snprintf(hash, SHA256_HEX + 1, "%s", said);
	if (is_hash(said))
		return EXIT_OK;
	buf_init(&body, BODY_MAX);
	rc = all_keys(k, true, &body);
	if (!rc && json_parse(k->pool, buf_view(&body), &all, NULL) != MG_OK)
		rc = cli_say(EXIT_FAILED, "there are too many keys to look for one by name\nhint: give its whole hash");
	for (struct mg_view v = rc ? (struct mg_view){ 0 } : json_at(json_get(all, "data"), 0); json_kind(v); v = json_next(v)) {
		struct mg_str h = json_text(k->pool, json_get(v, "hash"));

		if (json_is(json_get(v, "name"), said) || (len >= 6 && h.len == SHA256_HEX && !strncmp(h.at, said, len))) {
			snprintf(hash, SHA256_HEX + 1, "%.*s", (int)h.len, h.at);
			found++;
		}
	}
	buf_release(&body);
	if (!rc && !found)
		rc = cli_say(EXIT_NOT_FOUND, "no key has the name or hash '%.80s'\nhint: 'moongate key list' shows them", said);
	else if (!rc && found > 1)
		rc = cli_say(EXIT_CONFLICT, "%zu keys are meant by '%.80s'\nhint: give the hash", found, said);
	return rc;
}

/* ------------------------------------------------ bodies */

static int usd(const struct cli *c, struct mg_writer *w, const char *text)
{
	struct err err = { 0 };
	struct buf amount;
	int64_t nusd;

	if (!strcmp(text, "none")) {
		json_put_null(w, "limit");
		return EXIT_OK;
	}
	if (money_parse((struct mg_str){ text, strlen(text) }, 9, &nusd, &err) != MG_OK)
		return cli_say(EXIT_USAGE, "%s: --limit: must be an amount in USD such as 25 or 0.50, or none", c->command->name);
	buf_init(&amount, 64);
	money_text(&amount, nusd, 9);
	json_put_raw(w, "limit", buf_view(&amount));
	buf_release(&amount);
	return EXIT_OK;
}

static void put_named(struct mg_writer *w, const char *name, const char *text)
{
	if (text)
		json_put_text(w, name, text);
}

/* --labels "": none any more. */
static int put_labels(const struct cli *c, struct mg_writer *w)
{
	char labels[LABELS_BYTES];
	int rc = cli_labels(c, "--labels", labels);

	if (!rc && cli_option(c, "--labels"))
		wire_labels(w, labels);
	return rc;
}

static int write_body(const struct cli *c, const char *name, struct buf *out)
{
	const char *limit = cli_option(c, "--limit"), *reset = cli_option(c, "--reset"), *expires = cli_option(c, "--expires");
	const char *user = cli_option(c, "--external-user");
	struct mg_writer w;
	int rc;

	json_writer_init(&w, out);
	json_open(&w, NULL, '{');
	if (name)
		json_put_text(&w, "name", name);
	rc = limit ? usd(c, &w, limit) : EXIT_OK;
	if (reset)
		json_put_text(&w, "limit_reset", strcmp(reset, "none") ? reset : NULL);
	if (expires)
		json_put_text(&w, "expires_at", strcmp(expires, "none") ? expires : NULL);
	if (user) {
		json_open(&w, "external", '{');
		json_put_text(&w, "user", user);
		json_close(&w);
	}
	put_named(&w, "organization_id", cli_option(c, "--org"));
	put_named(&w, "workspace_id", cli_option(c, "--workspace"));
	rc = rc ? rc : put_labels(c, &w);
	if (cli_switch(c, "--include-byok") || cli_switch(c, "--exclude-byok"))
		json_put_bool(&w, "include_byok_in_limit", cli_switch(c, "--include-byok"));
	if (cli_switch(c, "--disable") || cli_switch(c, "--enable"))
		json_put_bool(&w, "disabled", cli_switch(c, "--disable"));
	json_close(&w);
	return rc;
}

static int parse_body(struct keys *k, struct buf *body, struct mg_view *out)
{
	struct err err = { 0 };

	return json_parse(k->pool, buf_view(body), out, &err) == MG_OK ? EXIT_OK : cli_fail(EXIT_USAGE, &err);
}

/* ------------------------------------------------ create */

/* A management key is made on the machine alone: over HTTP one could make itself others. */
static int make_management(struct keys *k, struct mg_str body)
{
	struct mg_view all = { 0 };
	struct key_facts facts_of;
	struct err err = { 0 };
	struct mg_str hash;

	if (json_parse(k->pool, body, &all, &err) != MG_OK)
		return cli_fail(EXIT_FAILED, &err);
	hash = pool_dup(k->pool, json_text(k->pool, json_get(json_get(all, "data"), "hash")));
	if (!hash.at || accounts_get(k->local.accounts, hash.at, &facts_of) != MG_OK)
		return cli_say(EXIT_FAILED, "the new key is not there");
	facts_of.management = true;
	return local_status(accounts_update(k->local.accounts, &facts_of, &err), &err);
}

static int send_create(struct keys *k, struct buf *body, struct buf *out)
{
	bool management = cli_switch(k->c, "--management");
	struct err err = { 0 };
	struct mg_view view;
	int rc;

	if (!k->local.accounts && management)
		return cli_say(EXIT_CONFLICT, "a management key is made while no gateway runs\n"
			"hint: stop it first, or set management_key = env \"MOONGATE_MANAGEMENT_KEY\" in the configuration");
	if (!k->local.accounts)
		return remote_call(&k->remote, "POST", "/api/v1/keys", buf_view(body), out);
	rc = parse_body(k, body, &view);
	if (!rc)
		rc = local_status(wire_key_create(k->local.accounts, view, "", out, &err), &err);
	return rc || !management ? rc : make_management(k, buf_view(out));
}

/* The key alone on stdout, for $(...); what it is, on stderr. */
static int show_created(struct keys *k, struct mg_str body)
{
	struct mg_view all;
	struct mg_str key, name, hash;

	if (k->c->output != OUTPUT_TABLE)
		return table_one(k->c, body, facts);
	if (json_parse(k->pool, body, &all, NULL) != MG_OK)
		return cli_say(EXIT_FAILED, "the gateway's answer is no JSON");
	key = json_text(k->pool, json_get(all, "key"));
	name = json_text(k->pool, json_get(json_get(all, "data"), "name"));
	hash = json_text(k->pool, json_get(json_get(all, "data"), "hash"));
	if (!key.at || !name.at || !hash.at)
		return cli_say(EXIT_FAILED, "the gateway's answer has no key");
	cli_note("made %skey '%.*s', hash %.12s; it is shown this once:\n", cli_switch(k->c, "--management") ? "management " : "",
		(int)name.len, name.at, hash.at);
	fflush(stderr);
	printf("%.*s\n", (int)key.len, key.at);
	return EXIT_OK;
}

int key_create_run(int argc, char **argv)
{
	struct buf body, out;
	struct keys k;
	struct cli c;
	int rc = cli_begin(&c, "key create", argc, argv, 1, 1);

	if (rc)
		return rc;
	buf_init(&body, BODY_MAX);
	buf_init(&out, BODY_MAX);
	rc = write_body(&c, c.argv[0], &body);
	if (!rc) {
		rc = keys_open(&k, &c);
		rc = rc ? rc : send_create(&k, &body, &out);
		rc = rc ? rc : show_created(&k, buf_view(&out));
		rc = keys_close(&k, rc);
	}
	if (out.at)
		wipe(out.at, out.len);
	buf_release(&out);
	buf_release(&body);
	return rc;
}

/* ------------------------------------------------ list, show */

int key_list_run(int argc, char **argv)
{
	struct buf out;
	struct keys k;
	struct cli c;
	int rc = cli_begin(&c, "key list", argc, argv, 0, 0);

	if (rc)
		return rc;
	buf_init(&out, BODY_MAX);
	rc = keys_open(&k, &c);
	rc = rc ? rc : all_keys(&k, !cli_switch(&c, "--enabled"), &out);
	rc = rc ? rc : table_list(&c, buf_view(&out), columns);
	buf_release(&out);
	return keys_close(&k, rc);
}

static int get_key(struct keys *k, const char *hash, struct buf *out)
{
	struct err err = { 0 };

	if (k->local.accounts)
		return local_status(wire_key(k->local.accounts, hash, clock_wall_ms(), out, &err), &err);
	return remote_call(&k->remote, "GET", path_of(k, hash), (struct mg_str){ 0 }, out);
}

int key_show_run(int argc, char **argv)
{
	char hash[SHA256_HEX + 1];
	struct buf out;
	struct keys k;
	struct cli c;
	int rc = cli_begin(&c, "key show", argc, argv, 1, 1);

	if (rc)
		return rc;
	buf_init(&out, BODY_MAX);
	rc = keys_open(&k, &c);
	rc = rc ? rc : find_key(&k, c.argv[0], hash);
	rc = rc ? rc : get_key(&k, hash, &out);
	rc = rc ? rc : table_one(&c, buf_view(&out), facts);
	buf_release(&out);
	return keys_close(&k, rc);
}

/* ------------------------------------------------ update, disable, delete */

static int send_update(struct keys *k, const char *hash, struct buf *body, struct buf *out)
{
	struct err err = { 0 };
	struct mg_view view;
	int rc;

	if (!k->local.accounts)
		return remote_call(&k->remote, "PATCH", path_of(k, hash), buf_view(body), out);
	rc = parse_body(k, body, &view);
	return rc ? rc : local_status(wire_key_update(k->local.accounts, hash, view, out, &err), &err);
}

static int update(struct cli *c, struct buf *body)
{
	char hash[SHA256_HEX + 1];
	struct buf out;
	struct keys k;
	int rc = keys_open(&k, c);

	buf_init(&out, BODY_MAX);
	rc = rc ? rc : find_key(&k, c->argv[0], hash);
	rc = rc ? rc : send_update(&k, hash, body, &out);
	rc = rc ? rc : table_one(c, buf_view(&out), facts);
	buf_release(&out);
	return keys_close(&k, rc);
}

int key_update_run(int argc, char **argv)
{
	struct buf body;
	struct cli c;
	int rc = cli_begin(&c, "key update", argc, argv, 1, 1);

	if (rc)
		return rc;
	if (cli_switch(&c, "--enable") && cli_switch(&c, "--disable"))
		return cli_say(EXIT_USAGE, "key update: --enable or --disable, not both");
	if (cli_switch(&c, "--include-byok") && cli_switch(&c, "--exclude-byok"))
		return cli_say(EXIT_USAGE, "key update: --include-byok or --exclude-byok, not both");
	buf_init(&body, BODY_MAX);
	rc = write_body(&c, cli_option(&c, "--name"), &body);
	if (!rc && body.len == 2)
		rc = cli_say(EXIT_USAGE, "key update: nothing to change\nhint: 'moongate help key update' lists what can be");
	rc = rc ? rc : update(&c, &body);
	buf_release(&body);
	return rc;
}

int key_disable_run(int argc, char **argv)
{
	struct buf body;
	struct cli c;
	int rc = cli_begin(&c, "key disable", argc, argv, 1, 1);

	if (rc)
		return rc;
	buf_init(&body, 64);
	buf_text(&body, "{\"disabled\":true}");
	rc = update(&c, &body);
	buf_release(&body);
	return rc;
}

int key_delete_run(int argc, char **argv)
{
	char hash[SHA256_HEX + 1];
	struct err err = { 0 };
	struct buf out;
	struct keys k;
	struct cli c;
	int rc = cli_begin(&c, "key delete", argc, argv, 1, 1);

	if (rc)
		return rc;
	buf_init(&out, BODY_MAX);
	rc = keys_open(&k, &c);
	rc = rc ? rc : find_key(&k, c.argv[0], hash);
	if (!rc && !cli_confirm(&c, "delete key '%.80s' (%.12s)?", c.argv[0], hash))
		rc = isatty(STDIN_FILENO) ? EXIT_FAILED : EXIT_USAGE;
	if (!rc && k.local.accounts)
		rc = local_status(wire_key_delete(k.local.accounts, hash, &out, &err), &err);
	else if (!rc)
		rc = remote_call(&k.remote, "DELETE", path_of(&k, hash), (struct mg_str){ 0 }, &out);
	if (!rc && c.output == OUTPUT_TABLE)
		cli_note("deleted key %.12s\n", hash);
	else if (!rc)
		printf("%.*s\n", (int)out.len, out.at);
	buf_release(&out);
	return keys_close(&k, rc);
}
