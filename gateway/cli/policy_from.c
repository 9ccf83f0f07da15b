/* policy_from.c - moongate policy test --from ID: a kept decision as a test file. */
#include "author/author.h"
#include "cli/policy.h"

int policy_from(struct local *l, const struct cli *c, const char *dir, const char *id)
{
	struct bundle *b = NULL;
	struct err err = { 0 };
	struct buf out;
	int rc = local_store(l, c), found;

	if (rc)
		return rc;
	if (bundle_open(dir, l->places.policies, &b, &err))
		return cli_fail(EXIT_FAILED, &err);
	buf_init(&out, 16 << 20);
	found = decision_as_test(l->ops, l->store, id, b, &out, &err);
	if (found > 0)
		printf("%.*s", (int)out.len, out.at);
	else if (!found)
		rc = cli_say(EXIT_NOT_FOUND, "no decision of '%.80s' is kept\nhint: 'moongate log tail' shows the generations", id);
	else
		rc = cli_say(EXIT_FAILED, "%s: %s", id, err.msg);
	buf_release(&out);
	bundle_unref(b);
	return rc;
}
