/* init.c - moongate init: a folder to start from.  What is there already stays. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/table.h"

static const char config_lua[] =
	"-- Moongate.  'moongate config check' reads it, 'moongate config schema' lists every member.\n"
	"return {\n"
	"  listen   = { \"127.0.0.1:8080\" },\n"
	"  data_dir = \"data\",\n"
	"\n"
	"  -- Manages keys over HTTP: /api/v1/keys.  Absent: commands on this machine, as the gateway's user, manage alone.\n"
	"  management_key = env(\"MOONGATE_MANAGEMENT_KEY\", \"\"),\n"
	"\n"
	"  providers = {\n"
	"    sim = { name = \"Simulated\", dialect = \"sim\", base_url = \"sim:\",   -- no key, no network: to try things\n"
	"      data = { known = true, trains = false, retains = false, retention_days = 0, zdr = true } },\n"
	"    -- Known providers need a key alone; their models come with them:\n"
	"    -- openai    = { api_key = env \"OPENAI_API_KEY\" },\n"
	"    -- anthropic = { api_key = env \"ANTHROPIC_API_KEY\" },\n"
	"    -- Servers of yours:\n"
	"    -- vllm = { dialect = \"openai\", base_url = \"http://10.0.0.5:8000/v1\", max_in_flight = 64 },\n"
	"  },\n"
	"\n"
	"  models = {\n"
	"    [\"sim/echo\"] = { name = \"Sim: Echo\", context_length = 131072, max_output = 16384, endpoints = {\n"
	"      { provider = \"sim\", model = \"echo\", price = { input = 0.10, output = 0.40 } },   -- USD per million tokens\n"
	"    } },\n"
	"  },\n"
	"\n"
	"  policy = { bundle = \"policies\" },\n"
	"}\n";
static const char env_example[] =
	"# Copy to .env, fill in, and start with: set -a; . ./.env; set +a; moongate serve\n"
	"# Reads and manages everything: keep it apart from the keys that call models.\n"
	"# One is made by: echo sk-management-$(openssl rand -hex 24)\n"
	"MOONGATE_MANAGEMENT_KEY=\n"
	"#OPENAI_API_KEY=\n"
	"#ANTHROPIC_API_KEY=\n"
	"#OPENROUTER_API_KEY=\n";
static const char bundle_lua[] =
	"-- The policies that decide.  base: the shipped ones; files beside this one are laid over them.\n"
	"-- 'moongate policy new NAME' begins one, 'moongate policy check' reads them all.\n"
	"return {\n"
	"  base = \"openrouter\",\n"
	"}\n";

static int make_dir(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		return cli_say(EXIT_FAILED, "cannot make '%s': %s", path, strerror(errno));
	return EXIT_OK;
}

static int write_one(struct made *made, const char *dir, const char *name, const char *text, mode_t mode)
{
	struct err err = { 0 };
	char path[4096];
	bool kept;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	kept = access(path, F_OK) == 0;
	if (!kept && file_write(path, text, mode, &err) != MG_OK)
		return cli_fail(EXIT_FAILED, &err);
	made_file(made, path, kept);
	return EXIT_OK;
}

int init_run(int argc, char **argv)
{
	char policies[4096];
	const char *dir;
	struct made made;
	struct cli c;
	int rc = cli_begin(&c, "init", argc, argv, 0, 1);

	if (rc)
		return rc;
	dir = c.argc ? c.argv[0] : ".";
	if (strlen(dir) > 3000)
		return cli_say(EXIT_USAGE, "init: the folder's name is too long");
	snprintf(policies, sizeof(policies), "%s/policies", dir);
	rc = make_dir(dir);
	rc = rc ? rc : make_dir(policies);
	made_begin(&made, &c);
	rc = rc ? rc : write_one(&made, dir, "config.lua", config_lua, 0644);
	rc = rc ? rc : write_one(&made, dir, ".env.example", env_example, 0644);
	rc = rc ? rc : write_one(&made, policies, "bundle.lua", bundle_lua, 0644);
	if (!rc && c.output == OUTPUT_TABLE)
		cli_note("next: %s%s%smoongate serve --first-key\n", c.argc ? "cd " : "", c.argc ? dir : "", c.argc ? " && " : "");
	return made_end(&made, dir, rc);
}
