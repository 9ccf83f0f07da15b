/*
 * help.c - usage, manual pages and shell completion, all from the one table.
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

/* ------------------------------------------------ moongate completion SHELL */

static void first_words(const char *separator)
{
	const char *last = "";

	for (const struct command *c = commands; c->name; c++) {
		size_t len = strcspn(c->name, " ");

		if (strlen(last) >= len && !strncmp(last, c->name, len) && (last[len] == ' ' || !last[len]))
			continue;
		printf("%.*s%s", (int)len, c->name, separator);
		last = c->name;
	}
}

static void second_words(const char *format)
{
	for (const struct command *c = commands; c->name; c++) {
		size_t len = strcspn(c->name, " ");

		if (c->name[len])
			printf(format, (int)len, c->name, c->name + len + 1, c->about);
	}
}

static void bash(void)
{
	fputs("_moongate() {\n  local cur=${COMP_WORDS[COMP_CWORD]}\n  if [ \"$COMP_CWORD\" = 1 ]; then\n"
		"    COMPREPLY=($(compgen -W \"", stdout);
	first_words(" ");
	fputs("\" -- \"$cur\")); return\n  fi\n  [ \"$COMP_CWORD\" = 2 ] || return 0\n  local words=\n  case ${COMP_WORDS[1]} in\n", stdout);
	second_words("  %.*s) words=\"$words %s\";;& # %s\n");
	fputs("  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _moongate moongate\n", stdout);
}

static void zsh(void)
{
	fputs("#compdef moongate\nlocal -a first second\nfirst=(", stdout);
	first_words(" ");
	fputs(")\nif (( CURRENT == 2 )); then compadd -a first; return; fi\nsecond=()\ncase $words[2] in\n", stdout);
	second_words("  (%.*s) second+=(%s) ;| # %s\n");
	fputs("esac\n(( CURRENT == 3 )) && compadd -a second\n", stdout);
}

static void fish(void)
{
	fputs("complete -c moongate -n __fish_use_subcommand -f -a '", stdout);
	first_words(" ");
	fputs("'\n", stdout);
	second_words("complete -c moongate -n '__fish_seen_subcommand_from %.*s' -f -a '%s' -d '%s'\n");
}

int completion_run(int argc, char **argv)
{
	static const struct { const char *shell; void (*print)(void); } shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };

	for (size_t i = 0; argc == 1 && i < sizeof(shells) / sizeof(shells[0]); i++)
		if (!strcmp(argv[0], shells[i].shell)) {
			shells[i].print();
			return EXIT_OK;
		}
	return cli_say(EXIT_USAGE, "completion: name a shell: bash, zsh or fish");
}
