/*
 * cli.c - finds the command, reads the common options, says what is wrong.
 */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include "cli/cli.h"

/* ------------------------------------------------ words that were mistyped */

static size_t least(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edits between two short words. */
static size_t distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b), row[64];

	if (la > 60 || lb > 60)
		return 99;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t above = row[j];

			row[j] = least(above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
			corner = above;
		}
	}
	return row[lb];
}

static const char *nearest(const char *word)
{
	const char *best = NULL;
	size_t least_edits = 3;
	char first[64];

	for (const struct command *c = commands; c->name; c++) {
		snprintf(first, sizeof(first), "%.*s", (int)strcspn(c->name, " "), c->name);
		if (distance(word, first) < least_edits) {
			least_edits = distance(word, first);
			best = c->name;
		}
	}
	return best;
}

/* ------------------------------------------------ options */

static void drop(int *argc, char **argv, int at, int n)
{
	for (int i = at; i + n <= *argc; i++)
		argv[i] = argv[i + n];
	*argc -= n;
}

const char *option_take(int *argc, char **argv, const char *name)
{
	size_t len = strlen(name);

	for (int i = 0; i < *argc && strcmp(argv[i], "--"); i++) {
		const char *value;

		if (!strncmp(argv[i], name, len) && argv[i][len] == '=') {
			value = argv[i] + len + 1;
			drop(argc, argv, i, 1);
			return value;
		}
		if (!strcmp(argv[i], name) && i + 1 < *argc) {
			value = argv[i + 1];
			drop(argc, argv, i, 2);
			return value;
		}
	}
	return NULL;
}

bool switch_take(int *argc, char **argv, const char *name)
{
	for (int i = 0; i < *argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], name)) {
			drop(argc, argv, i, 1);
			return true;
		}
	return false;
}

int options_end(const struct command *c, int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--"); i++) {
		const char *near = NULL;

		if (argv[i][0] != '-' || !argv[i][1])
			continue;
		for (const struct option_row *o = c->options; o && o->name; o++)
			if (distance(argv[i], o->name) < 3)
				near = o->name;
		fprintf(stderr, "moongate: %s: unknown option '%s'\n", c->name, argv[i]);
		if (near)
			fprintf(stderr, "hint: did you mean '%s'?\n", near);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

int cli_fail(int status, const struct err *err)
{
	fprintf(stderr, "moongate: %s\n", err->msg);
	return status;
}

int cli_say(int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (status)
		fputs("moongate: ", stderr);
	vfprintf(status ? stderr : stdout, fmt, args);
	fputc('\n', status ? stderr : stdout);
	va_end(args);
	return status;
}

/* ------------------------------------------------ dispatch */

/* The command with the most words that match; *used says how many. */
static const struct command *find(int argc, char **argv, int *used)
{
	const struct command *best = NULL;

	*used = 0;
	for (const struct command *c = commands; c->name; c++) {
		const char *at = c->name;
		int n = 0;

		while (*at && n < argc) {
			size_t len = strcspn(at, " ");

			if (strlen(argv[n]) != len || strncmp(argv[n], at, len))
				break;
			at += len + (at[len] == ' ');
			n++;
		}
		if (!*at && n > *used) {
			best = c;
			*used = n;
		}
	}
	return best;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help"))
			return true;
	return false;
}

int cli_main(int argc, char **argv)
{
	const struct command *c;
	const char *near;
	int used;

	argc--;
	argv++;
	if (!argc) {
		help_overview(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[0], "-h") || !strcmp(argv[0], "--help")) {
		help_overview(stdout);
		return EXIT_OK;
	}
	if (!strcmp(argv[0], "--version"))
		argv[0] = (char[]){ "version" };
	c = find(argc, argv, &used);
	if (c && wants_help(argc - used, argv + used)) {
		help_command(c, stdout);
		return EXIT_OK;
	}
	if (c)
		return c->run(argc - used, argv + used);
	if (help_group(argv[0], wants_help(argc, argv) ? stdout : stderr))	/* "key": its commands */
		return wants_help(argc, argv) ? EXIT_OK : EXIT_USAGE;
	near = nearest(argv[0]);
	fprintf(stderr, "moongate: unknown command '%s'\n", argv[0]);
	if (near)
		fprintf(stderr, "hint: did you mean '%s'?\n", near);
	return EXIT_USAGE;
}
