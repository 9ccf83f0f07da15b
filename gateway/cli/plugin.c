/* plugin.c - moongate plugin new, check, list, info. */
#include <stdio.h>
#include "cli/local.h"
#include "cli/table.h"
#include "plugin/call.h"
#include "plugin/check.h"

enum { BODY_MAX = 4 << 20 };

static const struct column columns[] = {
	{ "name", "NAME", CELL_TEXT }, { "kind", "KIND", CELL_TEXT }, { "version", "VERSION", CELL_TEXT }, { "abi", "ABI", CELL_TEXT },
	{ "operations", "OPERATIONS", CELL_TEXT }, { "about", "ABOUT", CELL_TEXT }, { NULL, NULL, CELL_TEXT } };
static const struct column facts[] = {
	{ "name", "name", CELL_TEXT }, { "kind", "kind", CELL_TEXT }, { "version", "version", CELL_TEXT }, { "abi", "abi", CELL_TEXT },
	{ "operations", "operations", CELL_TEXT }, { "about", "about", CELL_TEXT }, { "path", "path", CELL_TEXT }, { "sha256", "sha256", CELL_TEXT }, { NULL, NULL, CELL_TEXT } };
static const char *const operations[] = { [MG_CHAT] = "chat", [MG_EMBEDDINGS] = "embeddings", [MG_RERANK] = "rerank", [MG_IMAGE] = "image",
	[MG_SPEECH] = "speech", [MG_TRANSCRIPTION] = "transcription", [MG_MODERATION] = "moderation", [MG_VIDEO] = "video", [MG_MODELS] = "models" };

int plugin_new_run(int argc, char **argv)
{
	struct places places;
	struct err err = { 0 };
	struct made made;
	const char *dir;
	struct cli c;
	int rc = cli_begin(&c, "plugin new", argc, argv, 1, 2);

	if (rc)
		return rc;
	dir = c.argc > 1 ? c.argv[1] : c.argv[0];
	places_find(&places, NULL);
	if (plugin_new(c.argv[0], places.template, dir, &err) != MG_OK)
		return cli_fail(EXIT_FAILED, &err);
	made_begin(&made, &c);
	made_file(&made, dir, false);
	if (c.output == OUTPUT_TABLE)
		cli_note("next: cd %s && make test && moongate plugin check %s.so\n", dir, c.argv[0]);
	return made_end(&made, dir, EXIT_OK);
}

int plugin_check_run(int argc, char **argv)
{
	struct report report;
	struct cli c;
	int rc = cli_begin(&c, "plugin check", argc, argv, 1, 1);

	if (rc)
		return rc;
	report_begin(&report, &c);
	return report_end(&report, plugin_check(c.argv[0], report_line, &report));
}

static void put_plugin(struct mg_writer *w, const char *member, const struct plugin *p)
{
	const struct mg_plugin *self = p->self;
	char abi[16];

	snprintf(abi, sizeof(abi), "%u.%u", self->major, self->minor);
	json_open(w, member, '{');
	json_put_text(w, "name", self->name);
	json_put_text(w, "kind", self->store ? "store" : "provider");
	json_put_text(w, "version", self->version);
	json_put_text(w, "abi", abi);
	json_open(w, "operations", '[');
	for (size_t i = 0; !self->store && i < sizeof(operations) / sizeof(operations[0]); i++)
		if (plugin_operation(self, (enum mg_op)i))
			json_put_text(w, NULL, operations[i]);
	json_close(w);
	json_put_text(w, "about", self->about);
	json_put_text(w, "path", p->path);
	json_put_text(w, "sha256", p->sum);
	json_close(w);
}

int plugin_list_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct mg_writer w;
	struct buf out;
	struct cli c;
	int rc = cli_begin(&c, "plugin list", argc, argv, 0, 0);

	rc = rc ? rc : local_plugins(&l, &c);
	if (!rc) {
		buf_init(&out, BODY_MAX);
		json_writer_init(&w, &out);
		json_open(&w, NULL, '{');
		json_open(&w, "data", '[');
		for (size_t i = 0; i < registry_count(l.plugins); i++)
			put_plugin(&w, NULL, registry_at(l.plugins, i));
		json_close(&w);
		json_close(&w);
		rc = table_list(&c, buf_view(&out), columns);
		buf_release(&out);
	}
	local_close(&l);
	return rc;
}

static int info(const struct cli *c, const struct plugin *p)
{
	struct mg_writer w;
	struct buf out;
	int rc;

	buf_init(&out, BODY_MAX);
	json_writer_init(&w, &out);
	json_open(&w, NULL, '{');
	put_plugin(&w, "data", p);
	json_close(&w);
	rc = table_one(c, buf_view(&out), facts);
	buf_release(&out);
	return rc;
}

/* A loaded plugin's name, or a file. */
int plugin_info_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct err err = { 0 };
	struct plugin own;
	struct cli c;
	int rc = cli_begin(&c, "plugin info", argc, argv, 1, 1);

	if (rc)
		return rc;
	if (strchr(c.argv[0], '/') || strstr(c.argv[0], ".so"))
		return plugin_open(&own, c.argv[0], NULL, &err) == MG_OK ? info(&c, &own) : cli_fail(EXIT_FAILED, &err);
	rc = local_plugins(&l, &c);
	if (!rc) {
		size_t i = 0;

		while (i < registry_count(l.plugins) && strcmp(registry_at(l.plugins, i)->self->name, c.argv[0]))
			i++;
		rc = i < registry_count(l.plugins) ? info(&c, registry_at(l.plugins, i)) :
			cli_say(EXIT_NOT_FOUND, "no plugin '%.80s' in %s\nhint: 'moongate plugin list' shows them", c.argv[0], l.places.plugins);
	}
	local_close(&l);
	return rc;
}
