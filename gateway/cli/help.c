/*
 * help.c - usage and the manual page, both from the one table.
 */
#include <stdio.h>
#include "cli/cli.h"

void help_overview(FILE *out)
{
	fputs("usage: moongate COMMAND [options]\n\n", out);
	for (const struct command *c = commands; c->name; c++)
		fprintf(out, "  %-22s %s\n", c->name, c->about);
	fputs("\n'moongate help COMMAND' says more, 'moongate man' all. The configuration is what\n"
		"--config or MOONGATE_CONFIG names, else the first of ./config.lua,\n"
		"~/.config/moongate/config.lua and /etc/moongate/config.lua, else a built-in one.\n"
		"Start with: moongate init && moongate serve --first-key\n", out);
}

static void usage_line(const struct command *c, FILE *out)
{
	fprintf(out, "usage: moongate %s%s%s\n", c->name, c->args[0] ? " " : "", c->args);
}

void help_command(const struct command *c, FILE *out)
{
	usage_line(c, out);
	fprintf(out, "\n%s\n", c->about);
	if (c->options && c->options->name)
		fputs("\noptions:\n", out);
	for (const struct option_row *o = c->options; o && o->name; o++) {
		char flag[64];

		snprintf(flag, sizeof(flag), "%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
		fprintf(out, "  %-24s %s\n", flag, o->about);
	}
	fprintf(out, "%s  %-24s %s\n", c->options && c->options->name ? "" : "\noptions:\n", "-q, --quiet", "nothing on stderr but errors");
	if (c->examples && *c->examples)
		fputs("\nexamples:\n", out);
	for (const char *const *e = c->examples; e && *e; e++)
		fprintf(out, "  %s\n", *e);
}

bool help_group(const char *word, FILE *out)
{
	size_t len = strlen(word);
	bool any = false;

	for (const struct command *c = commands; c->name; c++)
		if (!strncmp(c->name, word, len) && c->name[len] == ' ') {
			if (!any)
				fprintf(out, "usage: moongate %s COMMAND\n\n", word);
			fprintf(out, "  %-22s %s\n", c->name, c->about);
			any = true;
		}
	return any;
}

static const struct command *named(int argc, char **argv)
{
	char name[128] = "";
	size_t len = 0;

	for (int i = 0; i < argc && len < sizeof(name); i++)
		len += (size_t)snprintf(name + len, sizeof(name) - len, "%s%s", i ? " " : "", argv[i]);
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

int help_run(int argc, char **argv)
{
	const struct command *c;

	if (!argc) {
		help_overview(stdout);
		return EXIT_OK;
	}
	c = named(argc, argv);
	if (c)
		help_command(c, stdout);
	else if (!help_group(argv[0], stdout))
		return cli_say(EXIT_USAGE, "unknown command '%s'", argv[0]);
	return EXIT_OK;
}

int version_run(int argc, char **argv)
{
	struct cli c;
	int rc = cli_begin(&c, "version", argc, argv, 0, 0);

	if (rc)
		return rc;
	if (c.output != OUTPUT_TABLE)
		return cli_say(EXIT_OK, "{\"name\":\"moongate\",\"version\":\"%s\",\"commit\":\"%s\",\"plugin_abi\":{\"major\":%d,\"minor\":%d},\"policy_api\":1}",
			VERSION, COMMIT, MG_ABI_MAJOR, MG_ABI_MINOR);
	printf("moongate %s (%s), plugin ABI %d.%d, policy API 1\n", VERSION, COMMIT, MG_ABI_MAJOR, MG_ABI_MINOR);
	return EXIT_OK;
}

/* ------------------------------------------------ moongate man */

static void roff(const char *text)
{
	if (*text == '.' || *text == '\'')	/* no request */
		fputs("\\&", stdout);
	for (; *text; text++) {
		if (*text == '-' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
}

struct fact { const char *name, *about; };

static const struct fact files[] = {
	{ "config.lua", "The configuration: what --config or MOONGATE_CONFIG names, else the first of ./config.lua, ~/.config/moongate/config.lua, "
		"/etc/moongate/config.lua; without any, a built-in one with the provider sim and those whose keys are in the environment." },
	{ "/etc/moongate/conf.d/", "Files laid over /etc/moongate/config.lua, in the order of their names; MOONGATE_CONF_D names another folder." },
	{ "DATA_DIR/moongate.db", "The store; journal-* beside it are part of it. 'moongate backup' copies both." },
	{ "DATA_DIR/receipt.key", "By which receipts are signed; keep a copy with the backups." },
	{ "DATA_DIR/first.key", "The key of 'serve --first-key'." },
	{ "DATA_DIR/running", "While a gateway runs: its address, and a management key that is good as long as it runs; commands of its user read them." },
	{ NULL, NULL } };
static const struct fact environment[] = {
	{ "MOONGATE_CONFIG", "The configuration file." },
	{ "MOONGATE_LISTEN, MOONGATE_LOGGING__LEVEL, ...", "Any member of the configuration, over what the file says; __ stands between two names." },
	{ "MOONGATE_URL", "The gateway that commands ask, such as one on another machine." },
	{ "MOONGATE_KEY, MOONGATE_KEY_FILE", "The API key of commands that call models." },
	{ "MOONGATE_MANAGEMENT_KEY", "The key of commands that manage; on the gateway's own machine, as its user, none is needed." },
	{ "NO_COLOR, CLICOLOR_FORCE", "No colour, or always." },
	{ NULL, NULL } };
static const struct fact statuses[] = {
	{ "0", "All went well." }, { "1", "It failed." }, { "2", "The command line is wrong." }, { "3", "The configuration is wrong." },
	{ "4", "The gateway cannot be reached." }, { "5", "The key is missing, or not enough." }, { "6", "There is no such thing." },
	{ "7", "It is there already, or in use." }, { "8", "A check or test found problems." }, { "75", "Not now: try again." },
	{ "130", "Interrupted." }, { NULL, NULL } };

static void section(const char *title, const struct fact *facts)
{
	printf(".SH %s\n", title);
	for (; facts->name; facts++) {
		fputs(".TP\n.B ", stdout);
		roff(facts->name);
		putchar('\n');
		roff(facts->about);
		putchar('\n');
	}
}

int man_run(int argc, char **argv)
{
	struct cli called;
	int rc = cli_begin(&called, "man", argc, argv, 0, 0);

	if (rc)
		return rc;
	printf(".TH MOONGATE 1 \"\" \"moongate %s\" \"User Commands\"\n.SH NAME\nmoongate \\- an LLM gateway that a company runs itself\n"
		".SH SYNOPSIS\n.B moongate\n.I COMMAND\n[options]\n.SH COMMANDS\n", VERSION);
	for (const struct command *c = commands; c->name; c++) {
		fputs(".TP\n.B ", stdout);
		roff(c->name);
		fputs(" ", stdout);
		roff(c->args);
		fputs("\n", stdout);
		roff(c->about);
		fputs("\n", stdout);
		for (const struct option_row *o = c->options; o && o->name; o++) {
			fputs(".br\n.B ", stdout);
			roff(o->name);
			fputs(" ", stdout);
			roff(o->arg ? o->arg : "");
			fputs("\n", stdout);
			roff(o->about);
			fputs("\n", stdout);
		}
		for (const char *const *e = c->examples; e && *e; e++) {
			fputs(".br\n", stdout);
			fputs(e == c->examples ? "Such as:\n.br\n" : "", stdout);
			roff(*e);
			fputs("\n", stdout);
		}
	}
	section("FILES", files);
	section("ENVIRONMENT", environment);
	section("EXIT STATUS", statuses);
	return EXIT_OK;
}
