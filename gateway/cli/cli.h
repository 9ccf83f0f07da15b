/*
 * cli.h - the commands: one table that feeds dispatch, help, completion and
 * the manual; one file a command.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>
#include "base/config.h"
#include "base/err.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONFIG = 3, EXIT_UNREACHABLE = 4, EXIT_DENIED = 5,
	EXIT_NOT_FOUND = 6, EXIT_CONFLICT = 7, EXIT_PROBLEMS = 8, EXIT_RETRY = 75, EXIT_SKIPPED = 77 };

/* "--config F"; arg NULL: a switch. */
struct option_row { const char *name, *arg, *about; };
struct command {
	const char *name;		/* "key create" */
	const char *args;		/* "[DIR]" */
	const char *about;		/* one line */
	const struct option_row *options;	/* ended by a NULL name; common ones are added */
	const char *const *examples;	/* ended by NULL */
	int (*run)(int argc, char **argv);	/* what stands behind the name; returns an exit status */
};
extern const struct command commands[];	/* ended by a NULL name */

int cli_main(int argc, char **argv);

void help_overview(FILE *out);
void help_command(const struct command *c, FILE *out);
bool help_group(const char *word, FILE *out);	/* false: no command begins with that word */

int serve_run(int argc, char **argv);
int completion_run(int argc, char **argv);
int man_run(int argc, char **argv);
int version_run(int argc, char **argv);
int help_run(int argc, char **argv);

/* The value of "--name V" or "--name=V", taken out of argv; NULL: it is not there. */
const char *option_take(int *argc, char **argv, const char *name);
bool switch_take(int *argc, char **argv, const char *name);	/* "--name" */
/* What is left must be no option: says what is unknown, with a suggestion; returns EXIT_USAGE or EXIT_OK. */
int options_end(const struct command *c, int argc, char **argv);

/* "moongate: ..." with its hint line, on stderr; returns status. */
int cli_fail(int status, const struct err *err);
int cli_say(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Where things are: next to the binary (a build tree), or under its prefix. */
struct places { char plugins[512], policies[512], share[512], template[512]; };
void places_find(struct places *p, const struct config *conf);	/* conf may be NULL */

#endif
