/*
 * cli.c - finds the command, reads the common options, says what is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "cli/cli.h"

static bool json_errors;	/* --json: what goes wrong is told as JSON, too */
static bool quiet;		/* -q: data and errors alone */

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

/* The command whose first words are most like these; of "key lst" both count. */
static const char *nearest(int argc, char **argv)
{
	char said[64], name[64];
	const char *best = NULL;
	size_t least_edits = 3;

	for (const struct command *c = commands; c->name; c++) {
		bool two = strchr(c->name, ' ') && argc > 1 && !strncmp(c->name, argv[0], strlen(argv[0])) && c->name[strlen(argv[0])] == ' ';

		snprintf(said, sizeof(said), two ? "%s %s" : "%s", argv[0], argc > 1 ? argv[1] : "");
		snprintf(name, sizeof(name), "%.*s", two ? 60 : (int)strcspn(c->name, " "), c->name);
		if (distance(said, name) < least_edits) {
			least_edits = distance(said, name);
			best = c->name;
		}
	}
	return best;
}

/* ------------------------------------------------ options */

/* The nearest of the command's options, if it is near. */
static const char *nearest_option(const struct command *c, const char *word, size_t len)
{
	const char *best = NULL;
	size_t least_edits = 3;
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)len, word);
	for (const struct option_row *o = c->options; len > 3 && o && o->name; o++)
		if (distance(name, o->name) < least_edits) {
			least_edits = distance(name, o->name);
			best = o->name;
		}
	return best;
}

static int unknown_option(const struct command *c, const char *word)
{
	size_t len = strcspn(word, "=");
	const char *near = nearest_option(c, word, len);

	if (near)
		return cli_say(EXIT_USAGE, "%s: unknown option '%.*s'\nhint: did you mean '%s'?", c->name, (int)len, word, near);
	return cli_say(EXIT_USAGE, "%s: unknown option '%.*s'\nhint: 'moongate help %s' lists them", c->name, (int)len, word, c->name);
}

static int take_one(struct cli *c, int argc, char **argv, int *i)
{
	const char *word = argv[*i], *eq = strchr(word, '=');
	size_t len = strcspn(word, "="), n = 0;

	if (!strcmp(word, "-q") || !strcmp(word, "--quiet")) {
		quiet = true;
		return EXIT_OK;
	}
	for (const struct option_row *o = c->command->options; o && o->name && n < OPTIONS_MAX; o++, n++) {
		if (strlen(o->name) != len || strncmp(o->name, word, len))
			continue;
		if (!o->arg && eq)
			return cli_say(EXIT_USAGE, "%s: %s takes no value", c->command->name, o->name);
		if (o->arg && !eq && *i + 1 >= argc)
			return cli_say(EXIT_USAGE, "%s: %s needs a value: %s %s", c->command->name, o->name, o->name, o->arg);
		c->values[n] = !o->arg ? "" : eq ? eq + 1 : argv[++*i];
		return EXIT_OK;
	}
	return unknown_option(c->command, word);
}

static int read_output(struct cli *c)
{
	static const char *const names[] = { "table", "json", "jsonl", "csv" };
	const char *said = cli_switch(c, "--json") ? "json" : cli_option(c, "--output"), *when = cli_option(c, "--color");

	if (when && strcmp(when, "auto") && strcmp(when, "always") && strcmp(when, "never"))
		return cli_say(EXIT_USAGE, "%s: --color: must be auto, always or never", c->command->name);
	if (!said)
		return EXIT_OK;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(said, names[i])) {
			c->output = (enum output)i;
			json_errors = i == OUTPUT_JSON || i == OUTPUT_JSONL;
			return EXIT_OK;
		}
	return cli_say(EXIT_USAGE, "%s: --output: must be table, json, jsonl or csv", c->command->name);
}

static const struct command *command_named(const char *name)
{
	const struct command *c = commands;

	while (c->name && strcmp(c->name, name))
		c++;
	return c;
}

int cli_begin(struct cli *c, const char *command, int argc, char **argv, int min, int max)
{
	bool words = false;

	*c = (struct cli){ .command = command_named(command), .argv = argv };
	for (int i = 0; i < argc; i++) {
		if (!words && !strcmp(argv[i], "--")) {
			words = true;
		} else if (words || argv[i][0] != '-' || !argv[i][1]) {
			argv[c->argc++] = argv[i];
		} else {
			int rc = take_one(c, argc, argv, &i);

			if (rc)
				return rc;
		}
	}
	if (read_output(c))
		return EXIT_USAGE;
	if (c->argc < min)
		return cli_say(EXIT_USAGE, "%s: an argument is missing\nhint: moongate %s %s", command, command, c->command->args);
	if (c->argc > max)
		return cli_say(EXIT_USAGE, "%s: unexpected argument '%s'\nhint: moongate %s %s", command, argv[max], command, c->command->args);
	return EXIT_OK;
}

const char *cli_option(const struct cli *c, const char *name)
{
	size_t n = 0;

	for (const struct option_row *o = c->command->options; o && o->name && n < OPTIONS_MAX; o++, n++)
		if (!strcmp(o->name, name))
			return c->values[n];
	return NULL;
}

bool cli_switch(const struct cli *c, const char *name)
{
	return cli_option(c, name) != NULL;
}

int cli_labels(const struct cli *c, const char *name, char out[static LABELS_BYTES])
{
	const char *text = cli_option(c, name);
	bool fits = (size_t)snprintf(out, LABELS_BYTES, "%s", text ? text : "") < LABELS_BYTES, good = true;

	for (char *at = out, *comma; *at; at = comma) {
		comma = at + strcspn(at, ",");
		good &= *at != '=' && memchr(at, '=', (size_t)(comma - at)) && !memchr(at, '\n', (size_t)(comma - at));
		if (*comma)
			*comma++ = '\n';
	}
	return fits && good ? EXIT_OK : cli_say(EXIT_USAGE, "%s: %s: must be such as team=blue,plan=gold, and at most %d bytes", c->command->name, name, LABELS_BYTES - 1);
}

int cli_number(const struct cli *c, const char *name, long def, long min, long max, long *out)
{
	const char *text = cli_option(c, name);
	char *end;

	*out = def;
	if (!text)
		return EXIT_OK;
	errno = 0;
	*out = strtol(text, &end, 10);
	if (end == text || *end || errno || *out < min || *out > max)
		return cli_say(EXIT_USAGE, "%s: %s: must be a whole number from %ld to %ld", c->command->name, name, min, max);
	return EXIT_OK;
}

int cli_duration(const struct cli *c, const char *name, const char *def, int64_t *ms)
{
	static const struct { const char *unit; int64_t ms; } units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
	const char *text = cli_option(c, name);
	char *end;
	long n;

	if (!text)
		text = def;
	errno = 0;
	n = strtol(text, &end, 10);
	for (size_t i = 0; end > text && !errno && n >= 0 && i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(end, units[i].unit) && n <= INT64_MAX / 2 / units[i].ms) {
			*ms = n * units[i].ms;
			return EXIT_OK;
		}
	return cli_say(EXIT_USAGE, "%s: %s: '%.40s' is no duration\nhint: write 250ms, 30s, 5m, 24h or 7d", c->command->name, name, text);
}

/* ------------------------------------------------ talking */

static void complain_json(int status, const char *text)
{
	static const struct { int status; const char *code; } codes[] = { { EXIT_USAGE, "usage" }, { EXIT_CONFIG, "config_invalid" },
		{ EXIT_UNREACHABLE, "unreachable" }, { EXIT_DENIED, "not_authorised" }, { EXIT_NOT_FOUND, "not_found" },
		{ EXIT_CONFLICT, "conflict" }, { EXIT_PROBLEMS, "problems_found" }, { EXIT_RETRY, "temporary" }, { EXIT_SKIPPED, "skipped" } };
	const char *hint = strstr(text, "\nhint: "), *code = "failed";
	json_t *error, *all;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].status == status)
			code = codes[i].code;
	error = json_pack("{s:s, s:s%, s:s?}", "code", code, "message", text, hint ? (size_t)(hint - text) : strlen(text),
		"hint", hint ? hint + 7 : NULL);
	all = json_pack("{s:o}", "error", error);
	if (all)
		json_dumpf(all, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(all);
}

static int complain(int status, const char *text)
{
	fflush(stdout);
	if (json_errors)
		complain_json(status, text);
	else
		fprintf(stderr, "moongate: %s\n", text);
	return status;
}

int cli_fail(int status, const struct err *err)
{
	return complain(status, err->msg);
}

int cli_say(int status, const char *fmt, ...)
{
	char text[2048];
	va_list args;

	va_start(args, fmt);
	if (!status) {
		vprintf(fmt, args);
		putchar('\n');
	} else {
		vsnprintf(text, sizeof(text), fmt, args);
		complain(status, text);
	}
	va_end(args);
	return status;
}

void cli_note(const char *fmt, ...)
{
	va_list args;

	if (quiet)
		return;
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
}

bool cli_confirm(const struct cli *c, const char *fmt, ...)
{
	char answer[16] = "", question[512];
	va_list args;

	if (cli_switch(c, "--yes"))
		return true;
	va_start(args, fmt);
	vsnprintf(question, sizeof(question), fmt, args);
	va_end(args);
	if (!isatty(STDIN_FILENO)) {
		cli_say(EXIT_USAGE, "%s: %s\nhint: --yes confirms it", c->command->name, question);
		return false;
	}
	fprintf(stderr, "%s [y/N] ", question);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

bool cli_colour(const struct cli *c, FILE *out)
{
	const char *no = getenv("NO_COLOR"), *force = getenv("CLICOLOR_FORCE"), *term = getenv("TERM"), *when = cli_option(c, "--color");

	if (when && !strcmp(when, "always"))
		return true;
	if ((no && *no) || cli_switch(c, "--no-color") || (when && !strcmp(when, "never")))
		return false;
	if (force && *force && strcmp(force, "0"))
		return true;
	return isatty(fileno(out)) && term && strcmp(term, "dumb");
}

int file_write(const char *path, const char *text, mode_t mode, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	size_t len = strlen(text);
	bool good = fd >= 0;

	while (good && len) {
		ssize_t n = write(fd, text, len);

		good = n > 0;
		if (good) {
			text += n;
			len -= (size_t)n;
		}
	}
	if (fd >= 0)
		good = close(fd) == 0 && good;
	return good ? MG_OK : fail(err, MG_EINVAL, "cannot write '%s': %s", path, strerror(errno));
}

/* ------------------------------------------------ dispatch */

const struct command *command_find(int argc, char **argv, int *used)
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

static int unknown_command(int argc, char **argv)
{
	bool group = false;
	const char *near = nearest(argc, argv);
	size_t len = near ? strcspn(near, " ") : 0;

	for (const struct command *c = commands; argc > 1 && c->name; c++)
		group = group || (!strncmp(c->name, argv[0], strlen(argv[0])) && c->name[strlen(argv[0])] == ' ');
	if (near && !group)	/* "kye list": the first word is what is wrong */
		return cli_say(EXIT_USAGE, "unknown command '%.60s'\nhint: did you mean '%.*s'?", argv[0], (int)len, near);
	if (near && near[len] && strlen(argv[0]) == len)
		return cli_say(EXIT_USAGE, "unknown command '%.60s %.60s'\nhint: did you mean '%s'?", argv[0], argv[1], near);
	return cli_say(EXIT_USAGE, "unknown command '%.60s%s%.60s'\nhint: 'moongate help%s%.60s' lists them", argv[0], group ? " " : "",
		group ? argv[1] : "", group ? " " : "", group ? argv[0] : "");
}

int cli_main(int argc, char **argv)
{
	const struct command *c;
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
		return version_run(argc - 1, argv + 1);
	c = command_find(argc, argv, &used);
	if (c && wants_help(argc - used, argv + used)) {
		help_command(c, stdout);
		return EXIT_OK;
	}
	if (c)
		return c->run(argc - used, argv + used);
	if (wants_help(argc, argv) && help_group(argv[0], stdout))
		return EXIT_OK;
	if ((argc == 1 || argv[1][0] == '-') && help_group(argv[0], stderr))	/* "key": its commands */
		return EXIT_USAGE;
	return unknown_command(argc, argv);
}
