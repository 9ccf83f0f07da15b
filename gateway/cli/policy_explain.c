/* policy_explain.c - moongate policy explain: a decision, as it was made, and made again. */
#include "author/versions.h"
#include "cli/explain_request.h"
#include "cli/remote.h"
#include "cli/table.h"
#include "replay/recall.h"

enum { BODY_MAX = 16 << 20 };

struct here { struct versions *versions; struct bundle *configured; };

static struct bundle *at_hand(void *arg, const char *digits)
{
	struct here *h = arg;

	return versions_bundle(h->versions, h->configured, digits);
}

/* What is configured, and what was live; where one is broken it is not at hand. */
static void here_open(struct here *h, const struct local *l)
{
	struct err err = { 0 };

	*h = (struct here){ NULL, NULL };
	if (local_policies(l, &h->configured, &err))
		h->configured = NULL;
	if (versions_open(l->data_dir, &h->versions, &err))
		h->versions = NULL;
}

static int read_here(struct local *l, const struct cli *c, struct buf *out)
{
	struct err err = { 0 };
	struct here here;
	int rc = local_store(l, c), found;

	if (rc)
		return rc;
	here_open(&here, l);
	buf_text(out, "{\"data\":");
	found = decision_find(l->ops, l->store, c->argv[0], &(struct bundles){ at_hand, &here }, out, &err);
	buf_text(out, "}");
	bundle_unref(here.configured);
	versions_close(here.versions);
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
	const char *file;
	int rc = cli_begin(&c, "policy explain", argc, argv, 0, 1);

	if (rc)
		return rc;
	file = cli_option(&c, "--request");
	if (!file == !c.argc)
		return cli_say(EXIT_USAGE, "policy explain: the ID of a generation, or --request FILE\nhint: 'moongate log tail' shows the generations");
	buf_init(&out, BODY_MAX);
	if (!file && cli_option(&c, "--headers"))
		rc = cli_say(EXIT_USAGE, "policy explain: --headers: a kept decision has its own; it goes with --request FILE");
	rc = rc ? rc : file ? explain_request(&l, &c, file, &out) : remote_named(&c) ? remote_one(&c, &l, MANAGEMENT_KEY, "/api/admin/decision?id=", &out) : read_here(&l, &c, &out);
	rc = rc ? rc : print_decision(&c, buf_view(&out));
	buf_release(&out);
	local_close(&l);
	return rc;
}
