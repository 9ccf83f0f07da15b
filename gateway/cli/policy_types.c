/* policy_types.c - moongate policy types: what an editor needs to know of the policy API. */
#include <errno.h>
#include <unistd.h>
#include "author/author.h"
#include "cli/policy.h"

/* Without Lua's own libraries: a policy has not all of them. */
static const char luarc[] =
	"{\n"
	"  \"runtime.version\": \"Lua 5.4\",\n"
	"  \"runtime.builtin\": { \"basic\": \"disable\", \"coroutine\": \"disable\", \"debug\": \"disable\", \"io\": \"disable\", \"math\": \"disable\",\n"
	"                       \"os\": \"disable\", \"package\": \"disable\", \"string\": \"disable\", \"table\": \"disable\", \"utf8\": \"disable\" },\n"
	"  \"workspace.library\": [ \"moongate.d.lua\" ],\n"
	"  \"diagnostics.severity\": { \"undefined-global\": \"Error\", \"lowercase-global\": \"Error\", \"undefined-field\": \"Error\" }\n"
	"}\n";

static void print_line(void *arg, const char *line)
{
	fprintf(arg, "%s\n", line);
}

int policy_types_write(const char *dir)
{
	char path[4200];
	struct err err = { 0 };
	FILE *f;

	snprintf(path, sizeof(path), "%.4000s/moongate.d.lua", dir);
	f = fopen(path, "w");
	if (!f)
		return cli_say(EXIT_FAILED, "cannot write '%s': %s", path, strerror(errno));
	policy_types(print_line, f);
	if (fclose(f))
		return cli_say(EXIT_FAILED, "cannot write '%s': %s", path, strerror(errno));
	snprintf(path, sizeof(path), "%.4000s/.luarc.json", dir);
	if (access(path, F_OK) == 0)
		return EXIT_OK;		/* the author's own */
	return file_write(path, luarc, 0644, &err) == MG_OK ? EXIT_OK : cli_fail(EXIT_FAILED, &err);
}

int policy_types_run(int argc, char **argv)
{
	struct cli c;
	int rc = cli_begin(&c, "policy types", argc, argv, 0, 1);

	if (rc)
		return rc;
	if (!c.argc) {
		policy_types(print_line, stdout);
		return EXIT_OK;
	}
	rc = policy_types_write(c.argv[0]);
	return rc ? rc : cli_say(EXIT_OK, "wrote  %s/moongate.d.lua\nhint: an editor with a Lua language server reads it, and .luarc.json beside it", c.argv[0]);
}
