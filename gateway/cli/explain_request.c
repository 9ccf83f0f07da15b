#include <errno.h>
#include "api/chat.h"
#include "cli/explain_request.h"
#include "cli/remote.h"

enum { FILE_BYTES = 64 << 20, POOL_BYTES = 128 << 20 };

/* text: in the pool. */
static int read_file(const char *file, struct pool *pool, struct mg_str *text, struct mg_view *request, struct err *err)
{
	FILE *f = strcmp(file, "-") ? fopen(file, "r") : stdin;
	struct buf all;
	char part[4096];
	size_t n;
	int rc;

	if (!f)
		return fail(err, MG_EINVAL, "%s: %s", file, strerror(errno));
	buf_init(&all, FILE_BYTES);
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_put(&all, part, n);
	if (f != stdin)
		fclose(f);
	*text = pool_dup(pool, buf_view(&all));
	rc = all.failed ? fail(err, MG_EINVAL, "%s: longer than 64 MiB", file) : json_parse(pool, *text, request, err);
	buf_release(&all);
	return rc ? rc : chat_check(*request, err);
}

/* With what the configuration says; nothing is known of how endpoints do. */
static int decide_here(struct local *l, const struct cli *c, struct pool *pool, struct mg_view request, struct buf *out)
{
	struct policy_state *s = NULL;
	struct bundle *b = NULL;
	struct err err = { 0 };
	int rc = local_catalog(l, c);

	if (rc)
		return rc;
	if (cli_option(c, "--key"))
		return cli_say(EXIT_USAGE, "policy explain: --key: keys are known to a running gateway, and none answers\nhint: --url or MOONGATE_URL says where");
	if (local_policies(l, &b, &err) || !(s = policy_state_apart(b, &err)))
		rc = cli_fail(EXIT_CONFIG, &err);
	if (!rc && c->output == OUTPUT_TABLE)
		fputs("no gateway is asked: decided without knowing how endpoints do\n", stderr);
	buf_text(out, "{\"data\":");
	if (!rc && chat_explain(pool, s, &(struct supposed){ l->catalog, l->conf.tree, NULL, NULL, NULL }, request, out, &err))
		rc = cli_fail(EXIT_USAGE, &err);
	buf_text(out, "}");
	policy_state_free(s);
	bundle_unref(b);
	return rc;
}

static int decide_there(struct local *l, const struct cli *c, struct mg_str text, struct buf *out)
{
	const char *key = cli_option(c, "--key");
	struct remote r = { .easy = NULL };
	struct buf path;
	int rc = remote_open(&r, c, l, MANAGEMENT_KEY);

	buf_init(&path, 4096);
	buf_text(&path, key ? "/api/admin/decision?key=" : "/api/admin/decision");
	remote_escape(&path, key ? key : "");
	buf_put(&path, "", 1);
	rc = rc ? rc : remote_call(&r, "POST", path.at, text, out);
	buf_release(&path);
	remote_close(&r);
	return rc;
}

int explain_request(struct local *l, const struct cli *c, const char *file, struct buf *out)
{
	struct pool *pool = pool_new(POOL_BYTES);
	struct mg_view request;
	struct mg_str text;
	struct err err = { 0 };
	bool named = remote_named(c);
	int rc = named ? EXIT_OK : local_config(l, c);

	if (!rc && (!pool || read_file(file, pool, &text, &request, &err)))
		rc = cli_fail(EXIT_USAGE, &err);
	if (!rc)
		rc = named || remote_answers(c, l, MANAGEMENT_KEY) ? decide_there(l, c, text, out) : decide_here(l, c, pool, request, out);
	pool_free(pool);
	return rc;
}
