/*
 * cli.h - the commands: one table that feeds dispatch, help, completion and
 * the manual; one file a command.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>
#include <sys/types.h>
#include "account/account.h"
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
	const struct option_row *options;	/* ended by a NULL name; every command knows -q and --help beside them */
	const char *const *examples;	/* ended by NULL */
	int (*run)(int argc, char **argv);	/* what stands behind the name; returns an exit status */
};
extern const struct command commands[];	/* ended by a NULL name */

int cli_main(int argc, char **argv);
/* The command with the most words that match, NULL where none does; *used says how many. */
const struct command *command_find(int argc, char **argv, int *used);

/* One command as it was called. */
enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL, OUTPUT_CSV };
enum { OPTIONS_MAX = 24 };
struct cli {
	const struct command *command;
	const char *values[OPTIONS_MAX];	/* by row of the command's options; a switch that is there: "" */
	enum output output;
	int argc;				/* what is no option */
	char **argv;
};
/* Reads every option that the table gives the command; what is left are between
 * min and max arguments.  Says what is wrong; returns EXIT_OK or EXIT_USAGE. */
int cli_begin(struct cli *c, const char *command, int argc, char **argv, int min, int max);
const char *cli_option(const struct cli *c, const char *name);	/* NULL: not given */
bool cli_switch(const struct cli *c, const char *name);
/* An option such as team=blue,plan=gold as lines of name=value, as a key's labels are kept; "" where it is not given. */
int cli_labels(const struct cli *c, const char *name, char out[static LABELS_BYTES]);
/* A whole number, or def where the option is not given; EXIT_USAGE, said, when it is none in [min, max]. */
int cli_number(const struct cli *c, const char *name, long def, long min, long max, long *out);
/* "250ms" ... "7d"; the same way. */
int cli_duration(const struct cli *c, const char *name, const char *def, int64_t *ms);
/* How it went, or what comes next: to stderr, unless -q is said. */
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* --yes, or a y at a terminal; else says what to do and is false. */
bool cli_confirm(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool cli_colour(const struct cli *c, FILE *out);
/* A new file with this text; MG_EINVAL where there is one already. */
int file_write(const char *path, const char *text, mode_t mode, struct err *err);

void help_overview(FILE *out);
void help_command(const struct command *c, FILE *out);
bool help_group(const char *word, FILE *out);	/* false: no command begins with that word */

int serve_run(int argc, char **argv);
int init_run(int argc, char **argv);
int config_check_run(int argc, char **argv);
int config_show_run(int argc, char **argv);
int config_schema_run(int argc, char **argv);
int key_create_run(int argc, char **argv);
int key_list_run(int argc, char **argv);
int key_show_run(int argc, char **argv);
int key_update_run(int argc, char **argv);
int key_disable_run(int argc, char **argv);
int key_delete_run(int argc, char **argv);
int credits_show_run(int argc, char **argv);
int credits_add_run(int argc, char **argv);
int model_list_run(int argc, char **argv);
int model_show_run(int argc, char **argv);
int model_import_run(int argc, char **argv);
int provider_list_run(int argc, char **argv);
int provider_test_run(int argc, char **argv);
int provider_discover_run(int argc, char **argv);
int policy_new_run(int argc, char **argv);
int policy_check_run(int argc, char **argv);
int policy_test_run(int argc, char **argv);
int policy_explain_run(int argc, char **argv);
int policy_backtest_run(int argc, char **argv);
int policy_run_run(int argc, char **argv);
int policy_diff_run(int argc, char **argv);
int policy_shadow_run(int argc, char **argv);
int policy_publish_run(int argc, char **argv);
int policy_rollback_run(int argc, char **argv);
int policy_list_run(int argc, char **argv);
int policy_types_run(int argc, char **argv);
int plugin_new_run(int argc, char **argv);
int plugin_check_run(int argc, char **argv);
int plugin_list_run(int argc, char **argv);
int plugin_info_run(int argc, char **argv);
int log_tail_run(int argc, char **argv);
int log_show_run(int argc, char **argv);
int log_receipt_run(int argc, char **argv);
int log_key_run(int argc, char **argv);
int usage_run(int argc, char **argv);
int chat_run(int argc, char **argv);
int env_run(int argc, char **argv);
int status_run(int argc, char **argv);
int reload_run(int argc, char **argv);
int audit_run(int argc, char **argv);
int rate_run(int argc, char **argv);
int backup_run(int argc, char **argv);
int restore_run(int argc, char **argv);
int completion_run(int argc, char **argv);
int man_run(int argc, char **argv);
int version_run(int argc, char **argv);
int help_run(int argc, char **argv);

/* "moongate: ..." with its hint line, on stderr; returns status. */
int cli_fail(int status, const struct err *err);
int cli_say(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Where things are: next to the binary (a build tree), or under its prefix. */
struct places { char plugins[512], policies[512], catalog[512], template[512]; };
void places_find(struct places *p, const struct config *conf);	/* conf may be NULL */

#endif
