#include <errno.h>
#include <stdlib.h>
#include "api/chat.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "cli/explain_request.h"
#include "policy/replay.h"

enum { FILE_BYTES = 64 << 20, POOL_BYTES = 128 << 20 };

/* As much of a store as a decision needs. */
struct told { struct pool *pool; struct endpoint_row { struct mg_store_endpoint row; struct endpoint_row *next; } *first; };

static bool tell(void *arg, const struct mg_store_endpoint *row)
{
	struct told *t = arg;
	struct endpoint_row *one = pool_alloc(t->pool, sizeof(*one));

	if (!one)
		return false;
	*one = (struct endpoint_row){ { sizeof(one->row), pool_dup(t->pool, (struct mg_str){ row->hash, strlen(row->hash) }).at,
		pool_dup(t->pool, (struct mg_str){ row->json, strlen(row->json) }).at }, t->first };
	t->first = one->row.hash && one->row.json ? one : t->first;
	return t->first == one;
}

static int each(void *handle, enum mg_store_row kind, const char *where, int64_t since_ms, size_t limit,
	bool (*fn)(void *arg, const void *row), void *arg, char why[256])
{
	const struct told *t = handle;

	for (const struct endpoint_row *r = t->first; r && kind == MG_ROW_ENDPOINT; r = r->next)
		if ((!where || !strcmp(where, r->row.hash)) && !fn(arg, &r->row))
			break;
	return MG_OK;
}

static int read_file(const char *file, struct pool *pool, struct mg_view *request, struct err *err)
{
	FILE *f = strcmp(file, "-") ? fopen(file, "r") : stdin;
	struct buf text;
	char part[4096];
	size_t n;
	int rc;

	if (!f)
		return fail(err, MG_EINVAL, "%s: %s", file, strerror(errno));
	buf_init(&text, FILE_BYTES);
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_put(&text, part, n);
	if (f != stdin)
		fclose(f);
	rc = text.failed ? fail(err, MG_EINVAL, "%s: longer than 64 MiB", file) : json_parse(pool, pool_dup(pool, buf_view(&text)), request, err);
	buf_release(&text);
	return rc ? rc : chat_check(*request, err);
}

static void decide(struct policy_state *s, struct decision *d, const struct catalog *c)
{
	struct denial no = { 0 };

	policy_retain(s, d);
	if (policy_admit(s, d, &no) && policy_resolve(s, d, &no) && policy_route(s, d, c, &no))
		policy_plan(s, d);
}

static int decided(struct local *l, struct bundle *b, struct pool *pool, struct mg_view request, struct buf *out, struct err *err)
{
	static const struct mg_store ops = { .size = sizeof(ops), .each = each };
	struct policy_state *s = policy_state_for_replay(b, err);
	struct told told = { pool, NULL };
	struct mg_store_decision row = { .size = sizeof(row), .generation_id = "request", .at_ms = clock_wall_ms(), .key_hash = "" };
	struct decision d;
	int rc = s ? MG_OK : err->rc;

	decision_init(&d, pool);
	rc = rc ? rc : chat_facts(pool, l->catalog, request, &d.facts, err);
	if (!rc) {
		d.facts.id = (struct mg_str)MG_STR("request");
		d.facts.key.id = (struct mg_str)MG_STR("");
		d.facts.now_ms = row.at_ms;
		d.facts.seed = random_number() >> 12;
		decide(s, &d, l->catalog);
		row.json = decision_record(s, &d, tell, &told);
		rc = row.json ? decision_recall(&ops, &told, &row, NULL, out, err) : fail(err, MG_ENOMEM, "no memory for a decision");
	}
	policy_state_free(s);
	return rc;
}

int explain_request(struct local *l, const struct cli *c, const char *file, struct buf *out)
{
	struct pool *pool = pool_new(POOL_BYTES);
	struct mg_view request;
	struct bundle *b = NULL;
	struct err err = { 0 };
	int rc = local_catalog(l, c);

	policy_shared_init();
	if (!rc && (!pool || read_file(file, pool, &request, &err)))
		rc = cli_fail(EXIT_USAGE, &err);
	if (!rc && bundle_open(json_string_value(json_object_get(json_object_get(l->conf.tree, "policy"), "bundle")), l->places.policies, &b, &err))
		rc = cli_fail(EXIT_CONFIG, &err);
	buf_text(out, "{\"data\":");
	if (!rc && decided(l, b, pool, request, out, &err))
		rc = cli_fail(EXIT_USAGE, &err);
	buf_text(out, "}");
	bundle_unref(b);
	pool_free(pool);
	return rc;
}
