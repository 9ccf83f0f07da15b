/* env.c - moongate env [CLIENT]: what a client needs to talk to this gateway. */
#include "base/crypto.h"
#include "cli/remote.h"

struct client { const char *name, *about; void (*print)(const char *url, const char *key); };

/* In single quotes, for a shell. */
static void export(const char *name, const char *base, const char *tail)
{
	printf("export %s='", name);
	for (const char *p = base; *p; p++)
		fputs(*p == '\'' ? "'\\''" : (char[2]){ *p, 0 }, stdout);
	printf("%s'\n", tail);
}

static void openai(const char *url, const char *key)
{
	export("OPENAI_BASE_URL", url, "/api/v1");
	export("OPENAI_API_KEY", key, "");
}

static void openrouter(const char *url, const char *key)
{
	export("OPENROUTER_BASE_URL", url, "/api/v1");
	export("OPENROUTER_API_KEY", key, "");
}

static void anthropic(const char *url, const char *key)
{
	export("ANTHROPIC_BASE_URL", url, "/api");
	export("ANTHROPIC_API_KEY", key, "");
}

static void claude_code(const char *url, const char *key)
{
	export("ANTHROPIC_BASE_URL", url, "/api");
	export("ANTHROPIC_AUTH_TOKEN", key, "");
	export("ANTHROPIC_API_KEY", "", "");	/* empty on purpose: else it wins over the token */
}

static void codex(const char *url, const char *key)
{
	printf("# ~/.codex/config.toml; and in the shell: export MOONGATE_KEY=...\nmodel_provider = \"moongate\"\n\n"
		"[model_providers.moongate]\nname = \"Moongate\"\nbase_url = \"%s/api/v1\"\nenv_key = \"MOONGATE_KEY\"\nwire_api = \"responses\"\n", url);
}

static void aider(const char *url, const char *key)
{
	export("OPENAI_API_BASE", url, "/api/v1");
	export("OPENAI_API_KEY", key, "");
	printf("# aider --model openai/MODEL, where MODEL is one of 'moongate model list'\n");
}

static void zed(const char *url, const char *key)
{
	printf("// Zed's settings.json; it asks for the key once\n{\n  \"language_models\": {\n    \"openai_compatible\": {\n      \"Moongate\": {\n"
		"        \"api_url\": \"%s/api/v1\",\n        \"available_models\": [\n"
		"          { \"name\": \"sim/echo\", \"display_name\": \"Sim: Echo\", \"max_tokens\": 131072 }\n        ]\n      }\n    }\n  }\n}\n", url);
}

static void moongate(const char *url, const char *key)
{
	export("MOONGATE_URL", url, "");
	export("MOONGATE_KEY", key, "");
}

static const struct client clients[] = {
	{ "moongate", "these commands, on another machine", moongate },
	{ "openai", "OpenAI's SDKs and what reads their variables", openai },
	{ "openrouter", "OpenRouter's SDKs", openrouter },
	{ "anthropic", "Anthropic's SDKs", anthropic },
	{ "claude-code", "Claude Code", claude_code },
	{ "codex", "Codex, a block of config.toml", codex },
	{ "aider", "aider", aider },
	{ "zed", "Zed, a block of settings.json", zed },
	{ NULL, NULL, NULL } };

static int unknown(const char *name)
{
	char names[256] = "";
	size_t len = 0;

	for (const struct client *k = clients; k->name; k++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "", k->name);
	return cli_say(EXIT_USAGE, "env: unknown client '%.60s'\nhint: one of %s", name, names);
}

int env_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct remote r = { .easy = NULL };
	const struct client *k = clients;
	char key[256];
	struct cli c;
	int rc = cli_begin(&c, "env", argc, argv, 0, 1);

	if (rc)
		return rc;
	while (c.argc && k->name && strcmp(k->name, c.argv[0]))
		k++;
	if (!k->name)
		return unknown(c.argv[0]);
	if (!c.argc) {
		for (; k->name; k++)
			printf("%-12s %s\n", k->name, k->about);
		cli_note("then: eval \"$(moongate env openai)\"\n");
		return EXIT_OK;
	}
	rc = remote_open(&r, &c, &l, NO_KEY);
	if (!rc) {
		remote_key(&c, &l, ANY_KEY, key);
		if (!key[0])
			cli_note("hint: no key is known here: set MOONGATE_KEY, or make one with 'moongate key create NAME'\n");
		k->print(r.url, key[0] ? key : "YOUR_KEY");
		wipe(key, sizeof(key));
	}
	remote_close(&r);
	local_close(&l);
	return rc;
}
