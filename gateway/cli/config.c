/* config.c - moongate config check, show, schema. */
#include <stdio.h>
#include "cli/local.h"
#include "policy/policy.h"

static int print_json(json_t *tree)
{
	int rc = tree && json_dumpf(tree, stdout, JSON_ENCODE_ANY | JSON_INDENT(2) | JSON_REAL_PRECISION(15)) == 0 ? EXIT_OK : EXIT_FAILED;

	putchar('\n');
	json_decref(tree);
	return rc == EXIT_OK ? rc : cli_say(rc, "no memory for the configuration");
}

/* What serve would make of it, short of listening: members, plugins, models, policies. */
static int check(struct local *l, const struct cli *c)
{
	struct bundle *bundle = NULL;
	struct err err = { 0 };
	const char *place;
	json_t *why;
	int rc = local_catalog(l, c);

	if (rc)
		return rc;
	if (policy_conf_check(l->conf.tree, &err) != MG_OK || local_policies(l, &bundle, &err) != MG_OK)
		return cli_fail(EXIT_CONFIG, &err);
	bundle_unref(bundle);
	json_object_foreach(l->conf.unread, place, why)
		cli_note("%s: %s\n", place, json_string_value(why));
	if (c->output != OUTPUT_TABLE)
		return print_json(json_pack("{s:b, s:s, s:I, s:I, s:I}", "ok", 1, "path", l->conf.path,
			"providers", (json_int_t)l->catalog->n_providers, "models", (json_int_t)l->catalog->n_models,
			"endpoints", (json_int_t)l->catalog->n_endpoints));
	printf("%s is good: %zu providers, %zu models, %zu endpoints\n", l->conf.path[0] ? l->conf.path : "the built-in configuration",
		l->catalog->n_providers, l->catalog->n_models, l->catalog->n_endpoints);
	return EXIT_OK;
}

int config_check_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct cli c;
	int rc = cli_begin(&c, "config check", argc, argv, 0, 0);

	rc = rc ? rc : check(&l, &c);
	local_close(&l);
	return rc;
}

/* "limits.idle" of the tree. */
static json_t *member(json_t *tree, const char *path)
{
	char name[128];

	for (const char *end; *path && tree; path = *end ? end + 1 : end) {
		end = path + strcspn(path, ".");
		snprintf(name, sizeof(name), "%.*s", (int)(end - path), path);
		tree = json_is_array(tree) ? json_array_get(tree, strtoul(name, NULL, 10)) : json_object_get(tree, name);
	}
	return tree;
}

static int show(struct local *l, const struct cli *c)
{
	json_t *tree = config_show(&l->conf), *part;

	part = tree && c->argc ? member(tree, c->argv[0]) : tree;
	json_incref(part);
	json_decref(tree);
	if (!part)
		return cli_say(EXIT_NOT_FOUND, "the configuration has no '%.100s'\nhint: 'moongate config schema' lists what it may have", c->argv[0]);
	if (!json_is_string(part))
		return print_json(part);
	puts(json_string_value(part));
	json_decref(part);
	return EXIT_OK;
}

/* limits.idle	90000	config.lua:12 */
static void origin_line(void *arg, const char *place, const json_t *value, const char *origin)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

	(void)arg;
	printf("%-44s %-28s %s\n", place, text ? text : "", origin);
	free(text);
}

int config_show_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct cli c;
	int rc = cli_begin(&c, "config show", argc, argv, 0, 1);

	rc = rc ? rc : local_config(&l, &c);
	if (!rc && !cli_switch(&c, "--origin"))
		rc = show(&l, &c);
	else if (!rc && config_walk(&l.conf, c.argc ? c.argv[0] : NULL, origin_line, NULL) != MG_OK)
		rc = cli_say(EXIT_NOT_FOUND, "the configuration has no '%.100s'\nhint: 'moongate config schema' lists what it may have", c.argv[0]);
	local_close(&l);
	return rc;
}

int config_schema_run(int argc, char **argv)
{
	struct cli c;
	int rc = cli_begin(&c, "config schema", argc, argv, 0, 0);

	return rc ? rc : print_json(config_schema());
}
