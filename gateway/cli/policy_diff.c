/* policy_diff.c - moongate policy diff: two bundles, each a folder or a version that was published. */
#include <sys/stat.h>
#include "author/author.h"
#include "author/versions.h"
#include "cli/policy.h"
#include "cli/table.h"

int policy_side(struct local *l, const struct cli *c, const char *name, struct bundle **out)
{
	struct versions *v = NULL;
	struct versions_state now;
	struct err err = { 0 };
	char version[VERSION_HEX + 1];
	struct stat st;
	int rc;

	if (!stat(name, &st) && S_ISDIR(st.st_mode)) {
		if (!l->places.policies[0])
			places_find(&l->places, NULL);
		return bundle_open(name, l->places.policies, out, &err) ? cli_fail(EXIT_FAILED, &err) : EXIT_OK;
	}
	rc = local_config(l, c);
	if (rc)
		return rc;
	if (versions_open(l->data_dir, &v, &err))
		return cli_fail(EXIT_FAILED, &err);
	versions_now(v, &now);
	snprintf(version, sizeof(version), "%s", now.live);
	rc = strcmp(name, "live") ? versions_find(v, name, version, &err) : *now.live ? 0 : fail(&err, MG_EDENIED, "no version is live");
	rc = rc ? rc : versions_read(v, version, out, &err);
	versions_close(v);
	return rc ? cli_say(EXIT_NOT_FOUND, "%s: '%.200s' is no folder, and %s\nhint: 'moongate policy list' shows the versions; 'live' is the one that runs", c->command->name, name, err.msg)
		: EXIT_OK;
}

int policy_diff_run(int argc, char **argv)
{
	struct bundle *a = NULL, *b = NULL;
	struct local l = { .ops = NULL };
	struct err err = { 0 };
	struct report report;
	struct cli c;
	int n, rc = cli_begin(&c, "policy diff", argc, argv, 2, 2);

	policy_shared_init();
	rc = rc ? rc : policy_side(&l, &c, c.argv[0], &a);
	rc = rc ? rc : policy_side(&l, &c, c.argv[1], &b);
	if (!rc) {
		report_begin(&report, &c);
		n = bundle_diff(a, b, report_line, &report, &err);
		report_end(&report, n > 0 ? n : 0);
		if (n < 0)
			rc = cli_fail(EXIT_FAILED, &err);
		else if (c.output == OUTPUT_TABLE)
			cli_note("%d difference%s\n", n, n == 1 ? "" : "s");
	}
	bundle_unref(a);
	bundle_unref(b);
	local_close(&l);
	return rc;
}
