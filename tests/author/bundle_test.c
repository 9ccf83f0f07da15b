/* The shipped bundles: each is fine by `policy check`, and each of its own tests passes. */
#include "author/author.h"
#include "tap.h"

static void show(void *arg, const char *line)
{
	int *said = arg;

	if (!strncmp(line, "1..", 3))
		return;
	if (!strncmp(line, "ok", 2)) {
		++*said;
		return;
	}
	printf("# %s\n", line);
}

static void bundle(const char *dir, const char *name)
{
	char claim[120];
	struct err err = { 0, "" };
	int said = 0, bad;

	bad = policy_check(dir, "policies", show, &said, &err);
	snprintf(claim, sizeof(claim), "%s: policy check finds nothing", name);
	if (bad < 0)
		printf("# %s\n", err.msg);
	ok(bad == 0, claim);
	said = 0;
	bad = policy_test(dir, "policies", NULL, show, &said, &err);
	snprintf(claim, sizeof(claim), "%s: its %d tests pass in three states", name, said);
	if (bad < 0)
		printf("# %s\n", err.msg);
	ok(bad == 0 && said > 0, claim);
}

int main(void)
{
	bundle(NULL, "openrouter");
	bundle("policies/examples", "examples");
	return tap_done();
}
