/*
 * commands.c - the table of commands.  What is here is in the help, in the
 * manual and in every shell's completion.
 */
#include "cli/cli.h"

#define OPTIONS(...) ((const struct option_row[]){ __VA_ARGS__, { NULL, NULL, NULL } })
#define EXAMPLES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define CONFIG { "--config", "F", "the configuration file" }

const struct command commands[] = {
	{ "serve", "", "run the gateway in the foreground",
	  OPTIONS(CONFIG, { "--listen", "ADDRESS", "instead of the configured listeners" },
		{ "--drain", "SECONDS", "how long a stop waits for running streams (30)" },
		{ "--first-key", NULL, "where there is no key yet, make one and print a request to try" },
		{ "--check", NULL, "check the configuration and exit" }),
	  EXAMPLES("moongate serve", "moongate serve --config /etc/moongate/config.lua", "moongate serve --listen 127.0.0.1:0"),
	  serve_run },
	{ "completion", "bash|zsh|fish", "print a completion script", NULL,
	  EXAMPLES("moongate completion bash > /etc/bash_completion.d/moongate"), completion_run },
	{ "man", "", "print the manual page", NULL, EXAMPLES("moongate man | man -l -"), man_run },
	{ "version", "", "print the version, the plugin ABI and the policy API", NULL, EXAMPLES("moongate version"), version_run },
	{ "help", "[COMMAND]", "say how a command is used", NULL, EXAMPLES("moongate help serve"), help_run },
	{ NULL, NULL, NULL, NULL, NULL, NULL },
};
