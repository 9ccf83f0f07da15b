/*
 * model.c - moongate model list, show: what the configuration offers, or what
 * a gateway at --url does.  Both come in the words of /models.
 */
#include "base/clock.h"
#include "catalog/wire.h"
#include "cli/remote.h"
#include "cli/table.h"

enum { BODY_MAX = 256 << 20 };

static const struct column models[] = {
	{ "id", "MODEL", CELL_TEXT }, { "name", "NAME", CELL_TEXT }, { "context_length", "CONTEXT", CELL_NUMBER },
	{ "pricing.prompt", "IN $/M", CELL_TOKEN_PRICE }, { "pricing.completion", "OUT $/M", CELL_TOKEN_PRICE },
	{ "architecture.modality", "MODALITY", CELL_TEXT }, { NULL, NULL, CELL_TEXT } };
static const struct column endpoints[] = {
	{ "tag", "ENDPOINT", CELL_TEXT }, { "provider_name", "PROVIDER", CELL_TEXT }, { "context_length", "CONTEXT", CELL_NUMBER },
	{ "max_completion_tokens", "MAX OUT", CELL_NUMBER }, { "quantization", "QUANT", CELL_TEXT },
	{ "pricing.prompt", "IN $/M", CELL_TOKEN_PRICE }, { "pricing.completion", "OUT $/M", CELL_TOKEN_PRICE },
	{ "pricing.input_cache_read", "CACHED $/M", CELL_TOKEN_PRICE }, { NULL, NULL, CELL_TEXT } };

static int fetch(const struct cli *c, struct local *l, const char *path, struct buf *out)
{
	struct remote r = { .easy = NULL };
	int rc = remote_open(&r, c, l, NO_KEY);

	rc = rc ? rc : remote_call(&r, "GET", path, (struct mg_str){ 0 }, out);
	remote_close(&r);
	return rc;
}

/* Of a gateway that is named, or knows more than this shell; else what the configuration says. */
static int ask(const struct cli *c, struct local *l, const char *path, int (*here)(const struct cli *c, struct local *l, struct buf *out), struct buf *out)
{
	int rc = remote_named(c) ? EXIT_OK : local_config(l, c);

	return rc ? rc : remote_knows(c, l) ? fetch(c, l, path, out) : here(c, l, out);
}

static int list_here(const struct cli *c, struct local *l, struct buf *out)
{
	struct model_query q;
	struct buf rest;
	struct err err = { 0 };
	int rc = local_catalog(l, c);

	if (rc)
		return rc;
	buf_init(&rest, 4096);
	model_query_init(&q, &rest);
	if (c->argc && model_query_set(&q, (struct mg_str)MG_STR("q"), (struct mg_str){ c->argv[0], strlen(c->argv[0]) }, &err) != MG_OK)
		rc = cli_fail(EXIT_USAGE, &err);
	if (!rc)
		wire_models(out, l->catalog, &q, clock_wall_ms(), clock_ms());
	buf_release(&rest);
	return rc;
}

int model_list_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	struct buf out, path;
	struct cli c;
	int rc = cli_begin(&c, "model list", argc, argv, 0, 1);

	if (rc)
		return rc;
	buf_init(&out, BODY_MAX);
	buf_init(&path, 4096);
	buf_text(&path, c.argc ? "/api/v1/models?q=" : "/api/v1/models");
	if (c.argc)
		remote_escape(&path, c.argv[0]);
	buf_put(&path, "", 1);
	rc = ask(&c, &l, path.at, list_here, &out);
	rc = rc ? rc : table_list(&c, buf_view(&out), models);
	buf_release(&path);
	buf_release(&out);
	local_close(&l);
	return rc;
}

static int show_here(const struct cli *c, struct local *l, struct buf *out)
{
	int rc = local_catalog(l, c);

	if (!rc && !wire_endpoints(out, l->catalog, NULL, (struct mg_str){ c->argv[0], strlen(c->argv[0]) }, false, clock_ms()))
		return cli_say(EXIT_NOT_FOUND, "no model '%.100s'\nhint: 'moongate model list' shows them", c->argv[0]);
	return rc;
}

/* The model's endpoints as a list of their own. */
static int print_endpoints(const struct cli *c, struct mg_str body)
{
	struct pool *p = pool_new(BODY_MAX);
	struct mg_view all = { 0 };
	struct buf list;
	int rc;

	if (c->output == OUTPUT_JSON || !p || json_parse(p, body, &all, NULL) != MG_OK) {
		pool_free(p);
		return table_list(c, body, endpoints);
	}
	if (c->output == OUTPUT_TABLE) {
		struct mg_str name = json_text(p, json_get(json_get(all, "data"), "name"));

		printf("%s  %.*s\n\n", c->argv[0], (int)name.len, name.at ? name.at : "");
	}
	buf_init(&list, BODY_MAX);
	buf_text(&list, "{\"data\":");
	buf_str(&list, json_raw(json_get(json_get(all, "data"), "endpoints")));
	buf_text(&list, "}");
	rc = table_list(c, buf_view(&list), endpoints);
	buf_release(&list);
	pool_free(p);
	return rc;
}

int model_show_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	char path[600];
	struct buf out;
	struct cli c;
	int rc = cli_begin(&c, "model show", argc, argv, 1, 1);

	if (rc)
		return rc;
	if (strlen(c.argv[0]) > 500 || strpbrk(c.argv[0], " ?#%\r\n") || !strchr(c.argv[0], '/'))
		return cli_say(EXIT_NOT_FOUND, "no model '%.100s'\nhint: 'moongate model list WORD' finds those with a word in their name", c.argv[0]);
	snprintf(path, sizeof(path), "/api/v1/models/%s/endpoints", c.argv[0]);
	buf_init(&out, BODY_MAX);
	rc = ask(&c, &l, path, show_here, &out);
	rc = rc ? rc : print_endpoints(&c, buf_view(&out));
	buf_release(&out);
	local_close(&l);
	return rc;
}
