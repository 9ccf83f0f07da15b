/*
 * commands.c - the table of commands.  What is here is in the help, in the
 * manual and in every shell's completion.
 */
#include "cli/cli.h"

#define OPTIONS(...) ((const struct option_row[]){ __VA_ARGS__, { NULL, NULL, NULL } })
#define EXAMPLES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define CONFIG { "--config", "F", "the configuration file" }
#define OUTPUT { "--output", "FORMAT", "table, json, jsonl or csv" }, { "--json", NULL, "the same as --output json" }, \
	{ "--no-color", NULL, "no colour; so does NO_COLOR" }
#define REMOTE { "--url", "URL", "the gateway; else MOONGATE_URL, the config" }, \
	{ "--key-file", "F", "the key; else MOONGATE_KEY_FILE, MOONGATE_KEY" }, \
	{ "--timeout", "TIME", "for an answer (30s)" }
#define LIMITS { "--limit", "USD", "what it may spend, or none" }, \
	{ "--reset", "WINDOW", "daily, weekly, monthly or none" }
#define YES { "--yes", NULL, "do not ask" }

const struct command commands[] = {
	{ "serve", "", "run the gateway in the foreground",
	  OPTIONS(CONFIG, { "--listen", "ADDRESS", "instead of the configured listeners" },
		{ "--drain", "SECONDS", "how long a stop waits for running streams (30)" },
		{ "--first-key", NULL, "make a key if there is none; print a request to try" },
		{ "--check", NULL, "check the configuration and exit" }),
	  EXAMPLES("moongate serve", "moongate serve --config /etc/moongate/config.lua", "moongate serve --listen 127.0.0.1:0"),
	  serve_run },
	{ "init", "[DIR]", "write config.lua, .env.example and policies/bundle.lua", NULL,
	  EXAMPLES("moongate init", "moongate init gateway"), init_run },
	{ "config check", "", "read all of the configuration, plugins and policies", OPTIONS(CONFIG, OUTPUT),
	  EXAMPLES("moongate config check", "moongate config check --config new.lua"), config_check_run },
	{ "config show", "[MEMBER]", "print the configuration with its defaults, as JSON", OPTIONS(CONFIG),
	  EXAMPLES("moongate config show", "moongate config show limits.idle"), config_show_run },
	{ "config schema", "", "print the JSON Schema of the configuration", NULL,
	  EXAMPLES("moongate config schema > config.schema.json"), config_schema_run },
	{ "key create", "NAME", "make an API key; it alone goes to stdout",
	  OPTIONS(LIMITS, { "--expires", "TIME", "2027-12-31T23:59:59Z" }, { "--external-user", "ID", "whose it is" },
		{ "--management", NULL, "manages keys, calls no models" }, CONFIG, REMOTE, OUTPUT),
	  EXAMPLES("moongate key create laptop", "moongate key create ci --limit 25 --reset monthly",
		"export MOONGATE_KEY=$(moongate key create me)"), key_create_run },
	{ "key list", "", "list the API keys", OPTIONS({ "--enabled", NULL, "without the disabled ones" }, CONFIG, REMOTE, OUTPUT),
	  EXAMPLES("moongate key list", "moongate key list --output csv"), key_list_run },
	{ "key show", "KEY", "show a key, by name, hash or the hash's beginning", OPTIONS(CONFIG, REMOTE, OUTPUT),
	  EXAMPLES("moongate key show laptop", "moongate key show 3f2a9c --json"), key_show_run },
	{ "key update", "KEY", "change a key's name, limit or state",
	  OPTIONS({ "--name", "NAME", "its new name" }, LIMITS, { "--enable", NULL, "let it work again" }, { "--disable", NULL, "refuse it" },
		CONFIG, REMOTE, OUTPUT),
	  EXAMPLES("moongate key update ci --limit 50", "moongate key update ci --limit none", "moongate key update ci --enable"),
	  key_update_run },
	{ "key disable", "KEY", "refuse a key until it is enabled again", OPTIONS(CONFIG, REMOTE, OUTPUT),
	  EXAMPLES("moongate key disable laptop"), key_disable_run },
	{ "key delete", "KEY", "delete a key; what it spent stays in the ledger", OPTIONS(YES, CONFIG, REMOTE, OUTPUT),
	  EXAMPLES("moongate key delete laptop --yes"), key_delete_run },
	{ "model list", "[WORD]", "list the models, or those with a word in their name", OPTIONS(CONFIG, REMOTE, OUTPUT),
	  EXAMPLES("moongate model list", "moongate model list claude --json"), model_list_run },
	{ "model show", "MODEL", "show a model's endpoints and prices", OPTIONS(CONFIG, REMOTE, OUTPUT),
	  EXAMPLES("moongate model show sim/echo"), model_show_run },
	{ "provider list", "", "list the providers", OPTIONS({ "--known", NULL, "also those that need only a key" }, CONFIG, OUTPUT),
	  EXAMPLES("moongate provider list", "moongate provider list --known"), provider_list_run },
	{ "provider test", "PROVIDER", "connect to a provider and ask it for a few tokens",
	  OPTIONS({ "--model", "MODEL", "ask this one" }, CONFIG, REMOTE),
	  EXAMPLES("moongate provider test openai", "moongate provider test vllm --model meta/llama-4"), provider_test_run },
	{ "policy new", "NAME [DIR]", "begin a policy and its test", OPTIONS(CONFIG), EXAMPLES("moongate policy new eu_only"), policy_new_run },
	{ "policy check", "[DIR]", "look for mistakes in policies", OPTIONS(CONFIG, OUTPUT),
	  EXAMPLES("moongate policy check", "moongate policy check policies"), policy_check_run },
	{ "policy test", "[DIR]", "run the tests of policies", OPTIONS({ "--only", "WORD", "files with this in their name" }, CONFIG, OUTPUT),
	  EXAMPLES("moongate policy test", "moongate policy test policies --only eu_only"), policy_test_run },
	{ "policy explain", "ID", "say why a generation went where it went", OPTIONS(CONFIG, REMOTE, OUTPUT),
	  EXAMPLES("moongate policy explain gen-1764031697-vqvW0uz7ouT4gsp3FYqp"), policy_explain_run },
	{ "policy types", "", "print the types of the policy API for editors", NULL,
	  EXAMPLES("moongate policy types > policies/moongate.d.lua"), policy_types_run },
	{ "plugin new", "NAME [DIR]", "begin a provider plugin from the template", NULL, EXAMPLES("moongate plugin new acme"), plugin_new_run },
	{ "plugin check", "FILE", "try a plugin: ABI, cuts, cancellation, memory", OPTIONS(OUTPUT),
	  EXAMPLES("moongate plugin check ./acme.so"), plugin_check_run },
	{ "plugin list", "", "list the plugins that are loaded", OPTIONS(CONFIG, OUTPUT), EXAMPLES("moongate plugin list"), plugin_list_run },
	{ "plugin info", "NAME", "show a plugin, by name or file", OPTIONS(CONFIG, OUTPUT),
	  EXAMPLES("moongate plugin info openai", "moongate plugin info ./acme.so"), plugin_info_run },
	{ "log tail", "", "show the last generations", OPTIONS({ "-n", "N", "how many (20)" }, { "--key", "HASH", "of one key" }, CONFIG, OUTPUT),
	  EXAMPLES("moongate log tail", "moongate log tail -n 100 --output jsonl"), log_tail_run },
	{ "log show", "ID", "show one generation", OPTIONS(CONFIG, REMOTE, OUTPUT),
	  EXAMPLES("moongate log show gen-1764031697-vqvW0uz7ouT4gsp3FYqp"), log_show_run },
	{ "usage", "", "sum up tokens and money",
	  OPTIONS({ "--by", "PARTS", "model, key, provider, day; with commas" }, { "--since", "TIME", "so long ago (24h)" }, CONFIG, OUTPUT),
	  EXAMPLES("moongate usage", "moongate usage --by key,model --since 7d", "moongate usage --by day --since 30d --output csv"), usage_run },
	{ "chat", "[MODEL] [PROMPT]", "ask a model; stdin joins the prompt",
	  OPTIONS({ "--system", "TEXT", "a system message" }, { "--max-tokens", "N", "at most so many" },
		{ "--reasoning", NULL, "show what it thinks, on stderr" }, { "--cost", NULL, "tokens and cost, on stderr" }, CONFIG, REMOTE, OUTPUT),
	  EXAMPLES("moongate chat", "moongate chat sim/echo \"Say hello to the moon\"", "moongate chat sim/echo \"Sum this up\" < notes.txt"), chat_run },
	{ "env", "[CLIENT]", "print what a client needs to use the gateway", OPTIONS(CONFIG, REMOTE),
	  EXAMPLES("eval \"$(moongate env openai)\"", "moongate env codex >> ~/.codex/config.toml"), env_run },
	{ "status", "", "say how the gateway is", OPTIONS(CONFIG, REMOTE, OUTPUT), EXAMPLES("moongate status", "moongate status --json"), status_run },
	{ "reload", "", "take the changed configuration; running requests go on", OPTIONS(CONFIG, REMOTE), EXAMPLES("moongate reload"), reload_run },
	{ "audit", "", "check the ledger", OPTIONS(CONFIG, OUTPUT), EXAMPLES("moongate audit"), audit_run },
	{ "backup", "FILE", "copy the store, also while the gateway runs", OPTIONS(CONFIG),
	  EXAMPLES("moongate backup moongate-$(date +%F).db"), backup_run },
	{ "restore", "FILE", "put a backup in the store's place", OPTIONS(YES, CONFIG), EXAMPLES("moongate restore moongate-2026-11-21.db"), restore_run },
	{ "completion", "bash|zsh|fish", "print a completion script", NULL,
	  EXAMPLES("moongate completion bash > /etc/bash_completion.d/moongate"), completion_run },
	{ "man", "", "print the manual page", NULL, EXAMPLES("moongate man | man -l -"), man_run },
	{ "version", "", "print the version, the plugin ABI and the policy API", NULL, EXAMPLES("moongate version"), version_run },
	{ "help", "[COMMAND]", "say how a command is used", NULL, EXAMPLES("moongate help serve"), help_run },
	{ NULL, NULL, NULL, NULL, NULL, NULL },
};
