/* local.c - configuration, plugins, catalogue and store, beside a running gateway. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/local.h"
#include "cli/running.h"
#include "ledger/generation.h"
#include "policy/policy.h"

enum { SUMS_MAX = 256 };

int local_config(struct local *l, const struct cli *c)
{
	struct err err = { 0 };

	if (l->conf.tree)
		return EXIT_OK;
	if (config_look(&l->conf, cli_option(c, "--config"), &err) != MG_OK)
		return cli_fail(EXIT_CONFIG, &err);
	places_find(&l->places, &l->conf);
	snprintf(l->data_dir, sizeof(l->data_dir), "%s", json_string_value(json_object_get(l->conf.tree, "data_dir")));
	snprintf(l->db, sizeof(l->db), "%s/moongate.db", l->data_dir);
	return EXIT_OK;
}

const char *policies_folder(const struct config *conf)
{
	return json_string_value(json_object_get(json_object_get(conf->tree, "policy"), "bundle"));
}

int local_policies(const struct local *l, struct bundle **out, struct err *err)
{
	policy_shared_init();
	return bundle_open(policies_folder(&l->conf), l->places.policies, out, err);
}

int local_bundle(struct local *l, const struct cli *c, const char **dir)
{
	int rc;

	*dir = c->argc ? c->argv[0] : NULL;
	if (*dir) {
		places_find(&l->places, NULL);
		return EXIT_OK;
	}
	rc = local_config(l, c);
	if (!rc)
		*dir = policies_folder(&l->conf);
	return rc;
}

int plugins_load(struct registry *r, const char *dir, const json_t *tree, struct err *err)
{
	const char *at[SUMS_MAX];
	json_t *sums = json_object_get(json_object_get(tree, "plugins"), "sha256");
	size_t n = json_array_size(sums);

	if (n > SUMS_MAX)
		return fail(err, MG_EINVAL, "plugins.sha256: more than %d", SUMS_MAX);
	for (size_t i = 0; i < n; i++) {
		at[i] = json_string_value(json_array_get(sums, i));
		if (!at[i] || strlen(at[i]) != SHA256_HEX || strspn(at[i], "0123456789abcdef") != SHA256_HEX)
			return fail(err, MG_EINVAL, "plugins.sha256: must be %d of 0-9 and a-f each, as 'moongate plugin info FILE' prints it", SHA256_HEX);
	}
	return registry_load(r, dir, &(struct sums){ at, n }, err);
}

int local_plugins(struct local *l, const struct cli *c)
{
	struct err err = { 0 };
	int rc = local_config(l, c);

	if (rc || l->plugins)
		return rc;
	l->plugins = registry_new();
	if (!l->plugins)
		return cli_say(EXIT_FAILED, "no memory for the plugins");
	return plugins_load(l->plugins, l->places.plugins, l->conf.tree, &err) == MG_OK ? EXIT_OK : cli_fail(EXIT_CONFIG, &err);
}

int local_catalog(struct local *l, const struct cli *c)
{
	struct err err = { 0 };
	int rc = local_plugins(l, c);

	if (!rc && *l->conf.missing)	/* its credentials are read */
		return cli_say(EXIT_CONFIG, "%s", l->conf.missing);
	if (rc)
		return rc;
	l->catalog = catalog_new(&l->conf, l->plugins, NULL, &err);
	return l->catalog ? EXIT_OK : cli_fail(EXIT_CONFIG, &err);
}

static int store_plugin(struct local *l, const struct cli *c, const struct mg_plugin **plugin)
{
	int rc = local_plugins(l, c);

	if (rc)
		return rc;
	*plugin = registry_find(l->plugins, "sqlite");
	if (!*plugin || !(*plugin)->store)
		return cli_say(EXIT_CONFIG, "no store plugin 'sqlite' in %s", l->places.plugins);
	l->ops = (*plugin)->store;
	return EXIT_OK;
}

int local_store(struct local *l, const struct cli *c)
{
	const struct mg_plugin *plugin;
	char why[256] = "";
	int rc = store_plugin(l, c, &plugin);

	if (rc)
		return rc;
	if (access(l->db, F_OK) && errno == EACCES)
		return cli_say(EXIT_DENIED, "cannot read %s: %s\nhint: data_dir is another user's: be that one (sudo -u)", l->db, strerror(errno));
	if (access(l->db, F_OK))
		return cli_say(EXIT_NOT_FOUND, "there is no store at %s: %s\nhint: the first 'moongate serve' or 'moongate key create' makes it",
			l->db, strerror(errno));
	rc = l->ops->open(l->db, true, &l->store, why);
	return rc ? cli_say(EXIT_FAILED, "%s", why) : EXIT_OK;
}

/* data_dir's parents, as mkdir -p; the store makes the last one. */
static void parents(const char *path)
{
	char dir[512];

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(dir, 0700);	/* what fails here fails again, with words, in store_open() */
		*slash = '/';
	}
}

int local_accounts(struct local *l, const struct cli *c, bool *running)
{
	const char *durable, *management;
	const struct mg_plugin *plugin;
	struct err err = { 0 };
	int rc = store_plugin(l, c, &plugin);
	json_t *tree = l->conf.tree;

	*running = false;
	if (rc)
		return rc;
	durable = json_string_value(json_object_get(json_object_get(tree, "ledger"), "durable"));
	management = json_string_value(json_object_get(tree, "management_key"));
	parents(l->data_dir);
	l->writing = store_open(plugin, l->data_dir, durable && !strcmp(durable, "power"), NULL, &err);
	if (!l->writing) {
		*running = err.rc == MG_EDENIED;
		return *running ? EXIT_OK : cli_fail(EXIT_FAILED, &err);
	}
	l->accounts = accounts_new(l->writing, management,
		json_is_true(json_object_get(json_object_get(tree, "credits"), "enabled")), &err);
	return l->accounts ? EXIT_OK : cli_fail(EXIT_FAILED, &err);
}

int local_status(int rc, const struct err *err)
{
	return rc == MG_OK ? EXIT_OK : cli_fail(rc == MG_EDENIED ? EXIT_NOT_FOUND : rc == MG_EINVAL ? EXIT_FAILED : EXIT_RETRY, err);
}

void local_close(struct local *l)
{
	if (l->accounts)
		accounts_free(l->accounts);
	store_close(l->writing);
	if (l->store)
		l->ops->close(l->store);
	if (l->catalog)
		catalog_free(l->catalog);
	if (l->plugins)
		registry_free(l->plugins);
	config_release(&l->conf);
	*l = (struct local){ .ops = NULL };
}

void local_url(const struct local *l, char *out, size_t size)
{
	json_t *first = json_array_get(json_object_get(l->conf.tree, "listen"), 0);
	const char *at = json_string_value(json_is_string(first) ? first : json_object_get(first, "at"));

	listening_url(at ? at : "127.0.0.1:8080", json_is_object(json_object_get(first, "tls")), out, size);
}

int local_rows(struct local *l, enum mg_store_row kind, const char *where, int64_t since_ms, bool (*fn)(void *arg, const void *row), void *arg)
{
	char why[256] = "";

	return l->ops->each(l->store, kind, where, since_ms, 0, fn, arg, why) ? cli_say(EXIT_FAILED, "%s", why) : EXIT_OK;
}

struct found { const struct seal *seal; struct buf *out; struct err err; int rc; };

static bool on_generation(void *arg, const void *row)
{
	const struct mg_store_generation *g = row;
	struct found *f = arg;

	f->rc = generation_answer(g, f->seal, f->out, &f->err);
	return false;
}

int local_generation(struct local *l, const struct cli *c, const struct seal *seal, struct buf *out)
{
	struct found f = { .seal = seal, .out = out };
	int rc = local_store(l, c);

	rc = rc ? rc : local_rows(l, MG_ROW_GENERATION, c->argv[0], 0, on_generation, &f);
	if (!rc && f.rc)
		return cli_fail(EXIT_FAILED, &f.err);
	if (!rc && !out->len)
		return cli_say(EXIT_NOT_FOUND, "no generation '%.80s'\nhint: 'moongate log tail' shows the last ones", c->argv[0]);
	return rc;
}
