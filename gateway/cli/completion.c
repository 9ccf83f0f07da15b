/*
 * completion.c - what could stand next on a command line, from the one table.
 *
 * A shell's script is a few lines: it hands over the words up to the cursor,
 * "completion words -- key show la", and takes what is printed, one a line, a tab
 * before what it is.  Where nothing is, files are what is meant.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/cli.h"

extern char **environ;

struct line { char **words; int n; const char *typed; };	/* before the one that is typed; that one */

static void offer(const struct line *l, const char *word, size_t len, const char *about)
{
	size_t typed = strlen(l->typed);

	if (len && len >= typed && !strncmp(word, l->typed, typed))
		printf("%.*s%s%s\n", (int)len, word, about ? "\t" : "", about ? about : "");
}

static void offer_each(const struct line *l, const char *words, const char *separators)
{
	for (size_t len; *words; words += len + (words[len] != '\0')) {
		len = strcspn(words, separators);
		offer(l, words, len, NULL);
	}
}

/* ------------------------------------------------ words that only a gateway or its configuration knows */

/* The first cell of each line that a command prints, the first `skip` lines aside; where it
 * fails there are none.  The options that say which gateway is meant go along. */
static void offer_cells(const struct line *l, const char *const *command, int skip)
{
	static const char *const along[] = { "--config", "--url", "--key-file" };
	char *argv[16] = { (char *)"moongate" }, text[512];
	int argc = 1, ends[2];
	posix_spawn_file_actions_t files;
	pid_t pid = -1;
	FILE *in;

	while (*command)
		argv[argc++] = (char *)*command++;
	for (int i = 0; i + 1 < l->n; i++)
		for (size_t k = 0; k < sizeof(along) / sizeof(along[0]) && argc < 14; k++)
			if (!strcmp(l->words[i], along[k])) {
				argv[argc++] = l->words[i];
				argv[argc++] = l->words[i + 1];
			}
	if (pipe2(ends, O_CLOEXEC))
		return;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (posix_spawn(&pid, "/proc/self/exe", &files, NULL, argv, environ))
		pid = -1;
	posix_spawn_file_actions_destroy(&files);
	close(ends[1]);
	in = fdopen(ends[0], "r");
	while (in && fgets(text, sizeof(text), in))
		if (skip-- <= 0)
			offer(l, text, strcspn(text, ", \n"), NULL);
	if (in)
		fclose(in);
	else
		close(ends[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* What an argument or the value of an option may be, by the word that stands for it in the help. */
static void offer_value(const struct line *l, const char *kind, size_t len)
{
	static const struct { const char *kind, *words; } fixed[] = { { "FORMAT", "table json jsonl csv" },
		{ "WINDOW", "daily weekly monthly none" }, { "PARTS", "model key provider day" }, { "SOURCE", "models.dev litellm openrouter" },
		{ "bash|zsh|fish", "bash zsh fish" }, { "WHEN", "auto always never" } };
	static const struct { const char *kind; const char *command[6]; int head; } asked[] = {
		{ "KEY", { "key", "list", "--output", "csv", NULL }, 1 }, { "MODEL", { "model", "list", "--output", "csv", NULL }, 1 },
		{ "PROVIDER", { "provider", "list", "--output", "csv", NULL }, 1 }, { "CLIENT", { "env", NULL }, 0 } };

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (strlen(fixed[i].kind) == len && !strncmp(fixed[i].kind, kind, len))
			offer_each(l, fixed[i].words, " ");
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		if (strlen(asked[i].kind) == len && !strncmp(asked[i].kind, kind, len))
			offer_cells(l, asked[i].command, asked[i].head);
}

/* ------------------------------------------------ where on the line */

static const struct option_row *option_of(const struct command *c, const char *word)
{
	for (const struct option_row *o = c->options; o && o->name; o++)
		if (!strcmp(o->name, word))
			return o;
	return NULL;
}

static void offer_options(const struct line *l, const struct command *c)
{
	for (const struct option_row *o = c->options; o && o->name; o++)
		offer(l, o->name, strlen(o->name), o->about);
	offer(l, "--quiet", 7, "nothing on stderr but errors");
	offer(l, "--help", 6, "usage, options and examples");
}

/* The n-th of "MODEL", "[MODEL] [PROMPT]". */
static void offer_argument(const struct line *l, const struct command *c, int n)
{
	const char *at = c->args;

	while (n-- && *at) {
		at += strcspn(at, " ");
		at += *at == ' ';
	}
	at += *at == '[';
	offer_value(l, at, strcspn(at, " ]"));
}

static void offer_commands(const struct line *l)
{
	char before[64] = "", last[64] = "";
	size_t len = 0;

	for (int i = 0; i < l->n && len < sizeof(before); i++)
		len += (size_t)snprintf(before + len, sizeof(before) - len, "%s ", l->words[i]);
	for (const struct command *c = commands; c->name; c++) {
		const char *rest = c->name + len;
		size_t n;

		if (len >= strlen(c->name) || strncmp(c->name, before, len))
			continue;
		n = strcspn(rest, " ");
		if (strlen(last) == n && !strncmp(last, rest, n))
			continue;		/* key create, key list: "key" once */
		snprintf(last, sizeof(last), "%.*s", (int)n, rest);
		offer(l, rest, n, rest[n] ? NULL : c->about);
	}
}

static void complete(struct line *l)
{
	const struct command *c = NULL;
	const char *last = l->n ? l->words[l->n - 1] : "";
	int used = 0, arguments = 0;

	if (l->n && !strcmp(l->words[0], "help")) {
		l->words++;
		l->n--;
		offer_commands(l);
		return;
	}
	c = command_find(l->n, l->words, &used);
	if (!c) {
		offer_commands(l);
		return;
	}
	if (!strcmp(last, "=") && l->n > 1)	/* bash cuts --output=json there */
		last = l->words[l->n - 2];
	if (last[0] == '-' && option_of(c, last) && option_of(c, last)->arg) {
		offer_value(l, option_of(c, last)->arg, strlen(option_of(c, last)->arg));
		return;
	}
	for (int i = used; i < l->n; i++) {
		const struct option_row *o = option_of(c, l->words[i]);

		i += o && o->arg;
		arguments += l->words[i][0] != '-' && !o;
	}
	if (l->typed[0] == '-')
		offer_options(l, c);
	else
		offer_argument(l, c, arguments);
}

/* ------------------------------------------------ the scripts */

static const char bash[] =
	"_moongate() {\n"
	"  local IFS=$'\\n'\n"
	"  COMPREPLY=($(\"$1\" completion words -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null | cut -f1))\n"
	"}\n"
	"complete -o default -F _moongate moongate\n";

static const char zsh[] =
	"#compdef moongate\n"
	"_moongate() {\n"
	"  local -a names shown\n"
	"  local line\n"
	"  for line in ${(f)\"$(${words[1]} completion words -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"}; do\n"
	"    names+=(\"${line%%$'\\t'*}\")\n"
	"    shown+=(\"${line/$'\\t'/  }\")\n"
	"  done\n"
	"  if (( $#names )); then compadd -l -d shown -a names; else _files; fi\n"
	"}\n"
	"if [[ $funcstack[1] == _moongate ]]; then _moongate \"$@\"; else compdef _moongate moongate; fi\n";

static const char fish[] =
	"function __moongate_words\n"
	"  set -l words (commandline -opc)\n"
	"  $words[1] completion words -- $words[2..-1] (commandline -ct) 2>/dev/null\n"
	"end\n"
	"complete -c moongate -f -n '__moongate_words | string length -q' -a '(__moongate_words)'\n";

int completion_run(int argc, char **argv)
{
	static const struct { const char *shell, *script; } shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
	struct line l = { .words = argv + 2, .n = argc - 3 };

	if (argc > 2 && !strcmp(argv[0], "words") && !strcmp(argv[1], "--")) {
		l.typed = argv[argc - 1];
		complete(&l);
		return EXIT_OK;
	}
	for (size_t i = 0; argc == 1 && i < sizeof(shells) / sizeof(shells[0]); i++)
		if (!strcmp(argv[0], shells[i].shell)) {
			fputs(shells[i].script, stdout);
			return EXIT_OK;
		}
	return cli_say(EXIT_USAGE, "completion: name a shell: bash, zsh or fish");
}
