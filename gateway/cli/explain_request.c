#include <ctype.h>
#include <errno.h>
#include <strings.h>
#include "api/chat.h"
#include "base/utf8.h"
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

/* A request's headers from the command line, lines of name=value. */
static struct mg_str header_of(const void *of, const char *name)
{
	struct mg_str n, value;

	for (const char *lines = of; label_next(&lines, &n, &value); )
		if (n.len == strlen(name) && !strncasecmp(n.at, name, n.len))
			return value;
	return (struct mg_str){ NULL, 0 };
}

static bool one_header(struct mg_str name, struct mg_str value)
{
	static const char *const ours[] = { "Authorization", "x-api-key", "Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Expect" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)	/* the command says them itself */
		if (name.len == strlen(ours[i]) && !strncasecmp(name.at, ours[i], name.len))
			return false;
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char)name.at[i]) && name.at[i] != '-' && name.at[i] != '_')
			return false;
	return value.len && utf8_line(value.at, value.len);
}

static int check_headers(const char *lines)
{
	struct mg_str name, value;

	while (label_next(&lines, &name, &value))
		if (!one_header(name, value))
			return cli_say(EXIT_USAGE, "policy explain: --headers: '%.*s' is no header that a request is told by\n"
				"hint: such as x-moongate-policy=NAME,x-moongate-data-class=WORD", (int)(name.len < 60 ? name.len : 60), name.at);
	return EXIT_OK;
}

/* With what the configuration says; nothing is known of how endpoints do. */
static int decide_here(struct local *l, const struct cli *c, struct pool *pool, struct mg_view request, const char *headers, struct buf *out)
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
	if (!rc && chat_explain(pool, s, &(struct supposed){ l->catalog, l->conf.tree, { header_of, headers }, NULL, NULL }, request, out, &err))
		rc = cli_fail(EXIT_USAGE, &err);
	buf_text(out, "}");
	policy_state_free(s);
	bundle_unref(b);
	return rc;
}

static int decide_there(struct local *l, const struct cli *c, struct mg_str text, const char *headers, struct buf *out)
{
	const char *key = cli_option(c, "--key");
	struct remote r = { .easy = NULL };
	struct buf path;
	int rc = remote_open(&r, c, l, MANAGEMENT_KEY);

	r.more = headers;
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
	char headers[LABELS_BYTES];
	int rc = cli_labels(c, "--headers", headers);

	rc = rc ? rc : check_headers(headers);
	rc = rc || named ? rc : local_config(l, c);
	if (!rc && (!pool || read_file(file, pool, &text, &request, &err)))
		rc = cli_fail(EXIT_USAGE, &err);
	if (!rc)
		rc = named || remote_answers(c, l, MANAGEMENT_KEY) ? decide_there(l, c, text, headers, out) : decide_here(l, c, pool, request, headers, out);
	pool_free(pool);
	return rc;
}
