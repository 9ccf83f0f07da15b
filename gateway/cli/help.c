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
	fputs("\n'moongate help COMMAND' says more. Start with: moongate init && moongate serve\n", out);
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
	for (; *text; text++) {
		if (*text == '-' || *text == '\\')
			putchar('\\');
		putchar(*text);
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
	}
	return EXIT_OK;
}
