/* policy_explain.c - moongate policy explain: a decision, as it was made, and made again. */
#include "cli/remote.h"
#include "cli/table.h"
#include "policy/policy.h"

enum { BODY_MAX = 16 << 20 };

static void print_line(void *arg, const char *line)
{
	puts(line);
}

/* The configured bundle, or the shipped one; one that is broken now does not hide how it was. */
static struct bundle *bundle_here(const struct local *l)
{
	const char *dir = json_string_value(json_object_get(json_object_get(l->conf.tree, "policy"), "bundle"));
	struct bundle *b;
	struct err err = { 0 };

	policy_shared_init();
	if (bundle_open(dir, l->places.policies, &b, &err) == MG_OK)
		return b;
	cli_fail(EXIT_OK, &err);
	return NULL;
}

static int read_here(struct local *l, const struct cli *c, struct buf *out)
{
	struct err err = { 0 };
	struct bundle *b;
	int rc = local_store(l, c), found;

	if (rc)
		return rc;
	b = bundle_here(l);
	buf_text(out, "{\"data\":");
	found = decision_find(l->ops, l->store, c->argv[0], b, out, &err);
	buf_text(out, "}");
	bundle_unref(b);
	if (!found)
		return cli_say(EXIT_NOT_FOUND, "no decision of '%.80s' is kept\nhint: 'moongate log tail' shows the generations", c->argv[0]);
	return found < 0 ? cli_fail(EXIT_FAILED, &err) : EXIT_OK;
}

static int print_decision(const struct cli *c, struct mg_str body)
{
	json_error_t why;
	json_t *all;

	if (c->output != OUTPUT_TABLE)
		return printf("%.*s\n", (int)body.len, body.at) < 0 ? EXIT_FAILED : EXIT_OK;
	all = json_loadb(body.at, body.len, 0, &why);
	if (!all)
		return cli_say(EXIT_FAILED, "the kept decision cannot be read: %s", why.text);
	decision_text(json_object_get(all, "data"), print_line, NULL);
	json_decref(all);
	return EXIT_OK;
}

int policy_explain_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct buf out;
	struct cli c;
	int rc = cli_begin(&c, "policy explain", argc, argv, 1, 1);

	if (rc)
		return rc;
	buf_init(&out, BODY_MAX);
	rc = remote_named(&c) ? remote_one(&c, &l, MANAGEMENT_KEY, "/api/admin/decision?id=", &out) : read_here(&l, &c, &out);
	rc = rc ? rc : print_decision(&c, buf_view(&out));
	buf_release(&out);
	local_close(&l);
	return rc;
}
