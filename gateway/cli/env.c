/* env.c - moongate env [CLIENT]: what a client needs to talk to this gateway. */
#include "base/crypto.h"
#include "cli/remote.h"

enum { OUT_MAX = 65536 };

/* What a client is told; w: as JSON, else for a shell or a file. */
struct told { const char *url, *key; struct mg_writer *w; };
struct client { const char *name, *about; void (*tell)(const struct told *t); };

/* In single quotes, for a shell. */
static void export(const struct told *t, const char *name, const char *base, const char *tail)
{
	char text[1024];

	if (t->w) {
		snprintf(text, sizeof(text), "%s%s", base, tail);
		json_put_text(t->w, name, text);
		wipe(text, sizeof(text));
		return;
	}
	printf("export %s='", name);
	for (const char *p = base; *p; p++)
		fputs(*p == '\'' ? "'\\''" : (char[2]){ *p, 0 }, stdout);
	printf("%s'\n", tail);
}

/* A block of a configuration of the client's own. */
static void block(const struct told *t, const char *name, const char *text)
{
	if (t->w)
		json_put_text(t->w, name, text);
	else
		fputs(text, stdout);
}

static void openai(const struct told *t)
{
	export(t, "OPENAI_BASE_URL", t->url, "/api/v1");
	export(t, "OPENAI_API_KEY", t->key, "");
}

static void openrouter(const struct told *t)
{
	export(t, "OPENROUTER_BASE_URL", t->url, "/api/v1");
	export(t, "OPENROUTER_API_KEY", t->key, "");
}

static void anthropic(const struct told *t)
{
	export(t, "ANTHROPIC_BASE_URL", t->url, "/api");
	export(t, "ANTHROPIC_API_KEY", t->key, "");
}

static void claude_code(const struct told *t)
{
	export(t, "ANTHROPIC_BASE_URL", t->url, "/api");
	export(t, "ANTHROPIC_AUTH_TOKEN", t->key, "");
	export(t, "ANTHROPIC_API_KEY", "", "");	/* empty on purpose: else it wins over the token */
}

static void codex(const struct told *t)
{
	char text[1024];

	snprintf(text, sizeof(text), "# ~/.codex/config.toml; and in the shell: export MOONGATE_KEY=...\nmodel_provider = \"moongate\"\n\n"
		"[model_providers.moongate]\nname = \"Moongate\"\nbase_url = \"%s/api/v1\"\nenv_key = \"MOONGATE_KEY\"\nwire_api = \"responses\"\n", t->url);
	block(t, "config.toml", text);
}

static void aider(const struct told *t)
{
	export(t, "OPENAI_API_BASE", t->url, "/api/v1");
	export(t, "OPENAI_API_KEY", t->key, "");
	if (!t->w)
		printf("# aider --model openai/MODEL, where MODEL is one of 'moongate model list'\n");
}

static void zed(const struct told *t)
{
	char text[1024];

	snprintf(text, sizeof(text), "// Zed's settings.json; it asks for the key once\n{\n  \"language_models\": {\n    \"openai_compatible\": {\n      \"Moongate\": {\n"
		"        \"api_url\": \"%s/api/v1\",\n        \"available_models\": [\n"
		"          { \"name\": \"sim/echo\", \"display_name\": \"Sim: Echo\", \"max_tokens\": 131072 }\n        ]\n      }\n    }\n  }\n}\n", t->url);
	block(t, "settings.json", text);
}

static void moongate(const struct told *t)
{
	export(t, "MOONGATE_URL", t->url, "");
	export(t, "MOONGATE_KEY", t->key, "");
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

static int list(const struct cli *c)
{
	struct mg_writer w;
	struct buf out;

	if (c->output == OUTPUT_TABLE) {
		for (const struct client *k = clients; k->name; k++)
			printf("%-12s %s\n", k->name, k->about);
		cli_note("then: eval \"$(moongate env openai)\"\n");
		return EXIT_OK;
	}
	buf_init(&out, OUT_MAX);
	json_writer_init(&w, &out);
	json_open(&w, NULL, '{');
	json_open(&w, "data", '[');
	for (const struct client *k = clients; k->name; k++) {
		json_open(&w, NULL, '{');
		json_put_text(&w, "name", k->name);
		json_put_text(&w, "about", k->about);
		json_close(&w);
	}
	json_close(&w);
	json_close(&w);
	printf("%.*s\n", (int)out.len, out.at);
	buf_release(&out);
	return EXIT_OK;
}

static void tell(const struct cli *c, const struct client *k, const char *url, const char *key)
{
	struct mg_writer w;
	struct buf out;

	buf_init(&out, OUT_MAX);
	json_writer_init(&w, &out);
	json_open(&w, NULL, '{');
	json_open(&w, "data", '{');
	k->tell(&(struct told){ url, key, c->output == OUTPUT_TABLE ? NULL : &w });
	json_close(&w);
	json_close(&w);
	if (c->output != OUTPUT_TABLE)
		printf("%.*s\n", (int)out.len, out.at);
	wipe(out.at, out.len);
	buf_release(&out);
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
	if (!c.argc)
		return list(&c);
	rc = remote_open(&r, &c, &l, NO_KEY);
	if (!rc) {
		remote_key(&c, &l, ANY_KEY, key);
		if (!key[0])
			cli_note("hint: no key is known here: set MOONGATE_KEY, or make one with 'moongate key create NAME'\n");
		tell(&c, k, r.url, key[0] ? key : "YOUR_KEY");
		wipe(key, sizeof(key));
	}
	remote_close(&r);
	local_close(&l);
	return rc;
}
