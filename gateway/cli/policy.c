/* policy.c - moongate policy new, check, test, types. */
#include <ctype.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "author/author.h"
#include "cli/policy.h"
#include "cli/remote.h"
#include "cli/table.h"

static int tool(const char *command, int argc, char **argv,
	int (*run)(const char *dir, const struct local *l, const struct cli *c, struct report *r, struct err *err))
{
	struct local l = { .ops = NULL };
	struct err err = { 0 };
	struct report report;
	const char *dir;
	struct cli c;
	int problems, rc = cli_begin(&c, command, argc, argv, 0, 1);

	rc = rc ? rc : local_bundle(&l, &c, &dir);
	if (!rc) {
		policy_shared_init();
		report_begin(&report, &c);
		problems = run(dir, &l, &c, &report, &err);
		rc = report_end(&report, problems > 0 ? problems : problems < 0);
		if (problems < 0)
			cli_fail(rc, &err);
		else if (c.output == OUTPUT_TABLE && command[7] == 'c')
			cli_note("%s: %d problem%s\n", dir ? dir : "the shipped policies", problems, problems == 1 ? "" : "s");
	}
	local_close(&l);
	return rc;
}

static int check(const char *dir, const struct local *l, const struct cli *c, struct report *r, struct err *err)
{
	int problems = policy_check(dir, l->places.policies, report_line, r, err);
	struct bundle *b = NULL;

	if (!problems && dir && bundle_read(dir, l->places.policies, &b, err) == MG_OK)
		policy_note_idle(b);
	bundle_unref(b);
	return problems;
}

static int test(const char *dir, const struct local *l, const struct cli *c, struct report *r, struct err *err)
{
	const char *only = cli_option(c, "-k") ? cli_option(c, "-k") : cli_option(c, "--only");

	int rc = (cli_switch(c, "--mutate") ? policy_mutate : policy_test)(dir, l->places.policies, only, report_line, r, err);

	if (rc >= 0 && cli_switch(c, "--fuel") && policy_fuel(dir, l->places.policies, only, report_line, r, err))
		return -1;
	return rc;
}

int policy_check_run(int argc, char **argv)
{
	return tool("policy check", argc, argv, check);
}

static int test_from(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	const char *dir;
	struct cli c;
	int rc = cli_begin(&c, "policy test", argc, argv, 0, 1);

	policy_shared_init();
	rc = rc ? rc : local_config(&l, &c);
	rc = rc ? rc : local_bundle(&l, &c, &dir);
	rc = rc ? rc : policy_from(&l, &c, dir, cli_option(&c, "--from"));
	local_close(&l);
	return rc;
}

int policy_test_run(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "--from", 6))
			return test_from(argc, argv);
	return tool("policy test", argc, argv, test);
}

/* ------------------------------------------------ new */

static const char bundle_lua[] = "return {\n  base = \"openrouter\",\n  policies = {\n    guard = { { use = \"%s\" } },\n  },\n}\n";
static const char policy_lua[] =
	"-- %s: says which endpoints a request may use.\n"
	"-- It restricts only: what another policy refuses stays refused.\n"
	"return policy {\n"
	"  name = \"%s\", api = 1, version = \"0.1.0\",\n"
	"  params = {\n"
	"    avoid = { type = \"string[]\", default = {}, doc = \"providers that are not used; * stands for anything\" },\n"
	"  },\n"
	"  filter = function(req, ep, my)\n"
	"    if glob.any(my.avoid, ep.provider) then return false, \"avoided\" end\n"
	"    return true\n"
	"  end,\n"
	"}\n";
static const char policy_test_lua[] =
	"local P = use(\"%s\", { avoid = { \"slow-*\" } })\n"
	"local function why(t, e) local ok, w = P.filter(t.req {}, t.ep(e)); return ok and \"keep\" or w end\n"
	"test(\"an avoided provider is dropped, others stay\", function(t)\n"
	"  t.eq(why(t, { provider = \"slow-one\" }), \"avoided\")\n"
	"  t.eq(why(t, { provider = \"fast\" }), \"keep\")\n"
	"end)\n";

static bool good_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return n && n < 48 && !name[n] && !isdigit((unsigned char)name[0]);
}

static int write_new(struct made *made, const char *dir, const char *file, const char *form, const char *name)
{
	char path[4200], text[4096];
	struct err err = { 0 };

	snprintf(path, sizeof(path), "%s/%s", dir, file);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"	/* the three texts above */
	snprintf(text, sizeof(text), form, name, name);
#pragma GCC diagnostic pop
	if (file_write(path, text, 0644, &err) != MG_OK)
		return cli_fail(EXIT_CONFLICT, &err);
	made_file(made, path, false);
	return EXIT_OK;
}

int policy_new_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	const char *dir, *name;
	char file[80], path[4200];
	struct made made;
	bool bundle;
	struct cli c;
	int rc = cli_begin(&c, "policy new", argc, argv, 1, 2);

	if (rc)
		return rc;
	name = c.argv[0];
	if (!good_name(name))
		return cli_say(EXIT_USAGE, "policy new: '%.60s' is no name\nhint: a-z, 0-9 and _, not a digit first", name);
	c.argc--;
	c.argv++;
	rc = local_bundle(&l, &c, &dir);
	if (!rc && !dir)
		dir = "policies";
	if (!rc && strlen(dir) > 4000)
		rc = cli_say(EXIT_USAGE, "policy new: the folder's name is too long");
	if (!rc && mkdir(dir, 0755) && errno != EEXIST)
		rc = cli_say(EXIT_FAILED, "cannot make '%s': %s", dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/bundle.lua", rc ? "" : dir);
	bundle = !rc && access(path, F_OK) == 0;
	made_begin(&made, &c);
	snprintf(file, sizeof(file), "%s.lua", name);
	rc = rc ? rc : write_new(&made, dir, file, policy_lua, name);
	snprintf(file, sizeof(file), "%s_test.lua", name);
	rc = rc ? rc : write_new(&made, dir, file, policy_test_lua, name);
	if (!rc && !bundle)
		rc = write_new(&made, dir, "bundle.lua", bundle_lua, name);
	else if (!rc && c.output == OUTPUT_TABLE)
		cli_note("next: name it in %s: policies = { guard = { { use = \"%s\" } } }\n", path, name);
	rc = rc ? rc : policy_types_write(dir);
	if (!rc && c.output == OUTPUT_TABLE)
		cli_note("then: moongate policy check %s && moongate policy test %s\n", dir, dir);
	rc = made_end(&made, rc ? "" : dir, rc);
	local_close(&l);
	return rc;
}
