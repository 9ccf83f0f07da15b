/* receipt.c - moongate log receipt, log key: who was sent a request, for those who must believe it. */
#include "cli/remote.h"
#include "ledger/receipt.h"

enum { BODY_MAX = 16 << 20 };

/* ------------------------------------------------ the key */

static int read_file(const char *path, struct buf *out)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char some[4096];
	size_t n;

	if (!f)
		return cli_say(EXIT_NOT_FOUND, "cannot open '%.150s'", path);
	while ((n = fread(some, 1, sizeof(some), f)) > 0)
		buf_put(out, some, n);
	if (f != stdin)
		fclose(f);
	return out->failed ? cli_say(EXIT_FAILED, "'%.150s' is too large", path) : EXIT_OK;
}

static int open_seal(struct local *l, const struct cli *c, struct seal *seal)
{
	struct err err = { 0 };
	int rc = local_config(l, c);

	if (!rc && seal_open(l->data_dir, seal, &err))
		rc = cli_fail(EXIT_FAILED, &err);
	return rc;
}

/* As the gateway tells it. */
static int ask_key(struct local *l, const struct cli *c, struct buf *pem)
{
	struct remote r = { .easy = NULL };
	struct pool *p = pool_new(1 << 20);
	struct mg_view all = { 0 };
	struct buf answer;
	int rc = remote_open(&r, c, l, NO_KEY);

	buf_init(&answer, 1 << 20);
	rc = rc ? rc : remote_call(&r, "GET", "/api/v1/generation/key", (struct mg_str){ 0 }, &answer);
	if (!rc && p && json_parse(p, buf_view(&answer), &all, NULL) == MG_OK)
		buf_str(pem, json_text(p, json_get(json_get(all, "data"), "public_key")));
	if (!rc && !pem->len)
		rc = cli_say(EXIT_FAILED, "the gateway told no public key");
	buf_release(&answer);
	remote_close(&r);
	pool_free(p);
	return rc;
}

static int public_pem(struct local *l, const struct cli *c, const char *file, struct buf *pem)
{
	unsigned char public[SEAL_PUBLIC];
	struct err err = { 0 };
	struct seal seal;
	int rc;

	if (file)
		return read_file(file, pem);
	if (remote_named(c))
		return ask_key(l, c, pem);
	rc = open_seal(l, c, &seal);
	if (rc)
		return rc;
	rc = seal_public(&seal, public, &err) ? cli_fail(EXIT_FAILED, &err) : EXIT_OK;
	if (!rc)
		seal_public_pem(public, pem);
	seal_close(&seal);
	return rc;
}

int log_key_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct buf pem;
	struct cli c;
	int rc = cli_begin(&c, "log key", argc, argv, 0, 0);

	if (rc)
		return rc;
	buf_init(&pem, 1 << 16);
	rc = public_pem(&l, &c, NULL, &pem);
	if (!rc)
		printf("%.*s", (int)pem.len, pem.at);
	buf_release(&pem);
	local_close(&l);
	return rc;
}

/* ------------------------------------------------ the receipt */

static int fetch(struct local *l, const struct cli *c, struct buf *out)
{
	struct seal seal;
	int rc;

	if (strncmp(c->argv[0], "gen-", 4) != 0)
		return read_file(c->argv[0], out);
	if (remote_named(c))
		return remote_one(c, l, ANY_KEY, "/api/v1/generation?receipt=true&id=", out);
	rc = open_seal(l, c, &seal);
	if (rc)
		return rc;
	rc = local_generation(l, c, &seal, out);
	seal_close(&seal);
	return rc;
}

static int verify(struct local *l, const struct cli *c, struct mg_str text, struct pool *p)
{
	unsigned char public[SEAL_PUBLIC];
	char id[SEAL_ID + 1];
	struct err err = { 0 };
	struct buf pem;
	int rc;

	buf_init(&pem, 1 << 16);
	rc = public_pem(l, c, cli_option(c, "--public-key"), &pem);
	if (!rc && seal_public_read(buf_view(&pem), public, &err))
		rc = cli_fail(EXIT_USAGE, &err);
	if (!rc && receipt_verify(text, public, p, &err))
		rc = cli_fail(err.rc == MG_EDENIED ? EXIT_PROBLEMS : EXIT_FAILED, &err);
	if (!rc) {
		seal_id(public, id);
		cli_note("good: signed by key %s\n", id);
	}
	buf_release(&pem);
	return rc;
}

/* Of the answer that it came in, or what it is. */
static struct mg_str receipt_in(struct pool *p, struct mg_str text)
{
	struct mg_view all = { 0 }, inner;

	if (json_parse(p, text, &all, NULL) != MG_OK)
		return text;
	inner = json_get(json_kind(json_get(all, "data")) == MG_OBJECT ? json_get(all, "data") : all, "receipt");
	return json_kind(inner) == MG_OBJECT ? json_raw(inner) : text;
}

int log_receipt_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct pool *p = pool_new(64 << 20);
	struct buf out;
	struct cli c;
	int rc = cli_begin(&c, "log receipt", argc, argv, 1, 1);

	buf_init(&out, BODY_MAX);
	if (!rc && !p)
		rc = cli_say(EXIT_FAILED, "no memory");
	rc = rc ? rc : fetch(&l, &c, &out);
	if (!rc && cli_switch(&c, "--verify"))
		rc = verify(&l, &c, buf_view(&out), p);
	if (!rc) {
		struct mg_str receipt = receipt_in(p, buf_view(&out));

		printf("%.*s\n", (int)receipt.len, receipt.at);
	}
	buf_release(&out);
	pool_free(p);
	local_close(&l);
	return rc;
}
