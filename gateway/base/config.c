/* Finding, reading, merging, overriding, checking; and showing without secrets. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/config_part.h"

extern char **environ;

/* ---- where it lies */

static bool readable(const char *path)
{
	return access(path, R_OK) == 0;
}

/* MG_OK and "" in out: nowhere. */
static int find(const char *path, char out[512], struct err *err)
{
	const char *named = path ? path : getenv("MOONGATE_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (named && *named) {
		if (strlen(named) >= 512)
			return fail(err, MG_EINVAL, "the path of the configuration is too long");
		snprintf(out, 512, "%s", named);
		return MG_OK;
	}
	snprintf(out, 512, "config.lua");
	if (readable(out))
		return MG_OK;
	if (xdg && *xdg)
		snprintf(out, 512, "%s/moongate/config.lua", xdg);
	else
		snprintf(out, 512, "%s/.config/moongate/config.lua", home && *home ? home : "/root");
	if (readable(out))
		return MG_OK;
	snprintf(out, 512, "/etc/moongate/config.lua");
	if (!readable(out))
		*out = 0;
	return MG_OK;
}

static json_t *read_one(struct reading *r, const char *path)
{
	struct fetch_failure no = { "", "" };
	const char *dot = strrchr(path, '.');
	size_t len = 0;
	char *text = read_whole(path, CONFIG_BYTES, &len, &no);
	json_t *tree;

	if (!text) {
		fail(r->err, MG_EINVAL, "%s\nhint: %s", no.why, no.hint);
		return NULL;
	}
	tree = dot && !strcmp(dot, ".json") ? config_read_json(r, path, text, len) : config_read_lua(r, path, text, len);
	free(text);
	if (tree && !json_is_object(tree)) {
		fail(r->err, MG_EINVAL, "%s: is no table of members", path);
		json_decref(tree);
		return NULL;
	}
	return tree;
}

/* ---- drop-ins */

/* Maps merge, lists and values replace. */
static void merge(json_t *into, json_t *from)
{
	const char *name;
	json_t *item, *mine;

	json_object_foreach(from, name, item) {
		mine = json_object_get(into, name);
		if (json_is_object(mine) && json_is_object(item) && json_object_size(item))
			merge(mine, item);
		else if (!json_is_object(mine) || !json_is_object(item))
			json_object_set(into, name, item);
	}
}

static int is_config(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return *d->d_name != '.' && dot && (!strcmp(dot, ".lua") || !strcmp(dot, ".json"));
}

static int drop_ins(struct reading *r, const char *main_path, json_t *tree)
{
	const char *dir = getenv("MOONGATE_CONF_D");
	struct dirent **found = NULL;
	char path[1024];
	int n, rc = MG_OK;

	if (!dir || !*dir)
		dir = !strcmp(main_path, "/etc/moongate/config.lua") ? "/etc/moongate/conf.d" : NULL;
	n = dir ? scandir(dir, &found, is_config, alphasort) : 0;
	for (int i = 0; i < n; i++) {
		json_t *more = NULL;

		snprintf(path, sizeof(path), "%s/%s", dir, found[i]->d_name);
		if (!rc)
			more = read_one(r, path);
		if (!rc && !more)
			rc = MG_EINVAL;
		if (more)
			merge(tree, more);
		json_decref(more);
		free(found[i]);
	}
	free(found);
	return rc;
}

/* ---- MOONGATE_LOGGING__LEVEL=debug */

static json_t *from_text(struct reading *r, const struct member *m, const char *text)
{
	json_t *v = NULL;

	if (m->kind == M_LISTEN || m->kind == M_LIST) {
		v = *text == '[' ? json_loads(text, 0, NULL) : json_array();
		for (const char *end; *text && *text != '['; text = *end ? end + 1 : end) {
			end = text + strcspn(text, ",");
			json_array_append_new(v, json_stringn(text, (size_t)(end - text)));
		}
		return v;
	}
	if (m->kind != M_STRING && m->kind != M_SECRET && m->kind != M_WORD && m->kind != M_PATH && m->kind != M_PRICE)
		v = json_loads(text, JSON_DECODE_ANY, NULL);
	json_object_set_new(r->fetched, text, json_true());
	return v ? v : json_string(text);
}

static const char *member_name(const void *arg, size_t i)
{
	return ((const struct member *)arg)[i].name;
}

/* name: "logging__level".  Variables of others (MOONGATE_PORT of a container host) are not ours: the
 * first part must be a member. */
static int override(struct reading *r, json_t *tree, char *name, const char *text, const char *variable)
{
	const struct member *m = &config_root;
	json_t *at = tree, *below, *v;
	struct place place = { .len = 0 };
	char hint[160];

	for (char *part = name, *end; part; part = end ? end + 2 : NULL) {
		const struct member *up = m;

		end = strstr(part, "__");
		if (end)
			*end = 0;
		m = up->kind == M_MAP ? up->sub : up->kind == M_OBJECT ? member_find(up, part) : NULL;
		if (!m && up == &config_root)
			return MG_OK;
		if (!m) {
			const char *like = up->kind == M_OBJECT ? config_nearest(part, member_name, up->sub) : NULL;

			snprintf(hint, sizeof(hint), like ? "did you mean '%s'?" : "%s has no members by name", like ? like : "it");
			return fail(r->err, MG_EINVAL, "%s: '%s' is no known member\nhint: %s", variable, part, hint);
		}
		place_down(&place, part);
		if (!end) {
			v = from_text(r, m, text);
			json_object_set_new(r->variables, place.text, json_string(variable));
			if (!v || json_object_set_new(at, part, v))
				return fail(r->err, MG_EINVAL, "%s: no value for this member", variable);
			return MG_OK;
		}
		below = json_object_get(at, part);
		if (!json_is_object(below)) {
			below = json_object();
			json_object_set_new(at, part, below);
		}
		at = below;
	}
	return MG_OK;
}

static int overrides(struct reading *r, json_t *tree)
{
	char name[200], variable[220];
	int rc = MG_OK;

	for (char **e = environ; !rc && *e; e++) {
		const char *eq = strchr(*e, '=');
		size_t n;

		if (strncmp(*e, "MOONGATE_", 9) != 0 || !eq || (n = (size_t)(eq - *e) - 9) >= sizeof(name) || !eq[1])
			continue;
		for (size_t i = 0; i < n; i++)
			name[i] = (*e)[9 + i] >= 'A' && (*e)[9 + i] <= 'Z' ? (char)((*e)[9 + i] + 32) : (*e)[9 + i];
		name[n] = 0;
		snprintf(variable, sizeof(variable), "%.*s", (int)n + 9, *e);
		rc = override(r, tree, name, eq + 1, variable);
	}
	return rc;
}

/* ---- defaults that depend on the machine */

static void own_dir(char out[512])
{
	ssize_t n = readlink("/proc/self/exe", out, 511);
	char *slash;

	out[n > 0 ? n : 0] = 0;
	slash = strrchr(out, '/');
	if (slash)
		*slash = 0;
}

static bool exists(char *out, size_t size, const char *dir, const char *below)
{
	snprintf(out, size, "%s/%s", dir, below);
	return access(out, F_OK) == 0;
}

static void machine_defaults(json_t *tree)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	json_t *plugins = json_object_get(tree, "plugins");
	char dir[512], path[1100];

	if (!json_object_get(tree, "data_dir")) {
		if (state && *state)
			snprintf(path, sizeof(path), "%s/moongate", state);
		else
			snprintf(path, sizeof(path), "%s/.local/state/moongate", home && *home ? home : "/root");
		json_object_set_new(tree, "data_dir", json_string(path));
	}
	own_dir(dir);
	if (!json_object_get(plugins, "dir")) {
		if (!exists(path, sizeof(path), dir, "plugins") && !exists(path, sizeof(path), dir, "../lib/moongate/plugins"))
			snprintf(path, sizeof(path), "%s/plugins", dir);
		json_object_set_new(plugins, "dir", json_string(path));
	}
}

bool config_catalog(const json_t *tree, const char *file, char *out, size_t size)
{
	static const char *const places[] = { "../share/moongate/catalog", "../sdk/catalog", "../../sdk/catalog", "../../../sdk/catalog",
		"../../../../sdk/catalog" };
	const char *data = json_string_value(json_object_get(tree, "data_dir"));
	char dir[512], below[600];

	snprintf(below, sizeof(below), "catalog/%s", file);
	if (data && exists(out, size, data, below))
		return true;
	own_dir(dir);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(below, sizeof(below), "%s/%s", places[i], file);
		if (exists(out, size, dir, below))
			return true;
	}
	return false;
}

json_t *config_known(const json_t *tree)
{
	char path[1200];

	return config_catalog(tree, "providers.json", path, sizeof(path)) ? json_load_file(path, 0, NULL) : NULL;
}

/* ---- without any file: the simulated provider, and whoever's key is in the environment */

static const char built_in[] = "{\"providers\": {\"sim\": {\"name\": \"Simulated\", \"dialect\": \"sim\", \"base_url\": \"sim:\","
	"\"data\": {\"known\": true, \"trains\": false, \"retains\": false, \"retention_days\": 0, \"zdr\": true}}}, \"models\": {"
	"\"sim/echo\": {\"name\": \"Sim: Echo\", \"description\": \"Says what it was told; needs no key and no network.\","
		"\"context_length\": 131072, \"max_output\": 16384, \"endpoints\": [{\"provider\": \"sim\", \"model\": \"echo\","
		"\"price\": {\"input\": \"0.10\", \"output\": \"0.40\", \"cache_read\": \"0.025\"}}]},"
	"\"sim/tools\": {\"name\": \"Sim: Tools\", \"description\": \"Calls the tools that it is offered.\","
		"\"context_length\": 131072, \"max_output\": 16384, \"endpoints\": [{\"provider\": \"sim\", \"model\": \"tools\","
		"\"price\": {\"input\": \"0.10\", \"output\": \"0.40\"}}]},"
	"\"sim/reasoning\": {\"name\": \"Sim: Reasoning\", \"description\": \"Thinks before it answers.\","
		"\"context_length\": 131072, \"max_output\": 16384, \"reasoning\": {\"mandatory\": false}, \"endpoints\": [{\"provider\": \"sim\","
		"\"model\": \"reasoning\", \"price\": {\"input\": \"0.10\", \"output\": \"0.40\", \"reasoning\": \"0.40\"}}]},"
	"\"sim/image\": {\"name\": \"Sim: Image\", \"description\": \"Answers with a picture.\", \"context_length\": 131072,"
		"\"modalities\": {\"input\": [\"text\"], \"output\": [\"text\", \"image\"]}, \"endpoints\": [{\"provider\": \"sim\", \"model\": \"image\","
		"\"price\": {\"input\": \"0.10\", \"output\": \"0.40\", \"image\": \"0.01\"}}]},"
	"\"sim/embed\": {\"name\": \"Sim: Embed\", \"description\": \"Vectors without meaning.\", \"context_length\": 8192,"
		"\"modalities\": {\"input\": [\"text\"], \"output\": [\"embeddings\"]}, \"endpoints\": [{\"provider\": \"sim\", \"model\": \"embed\","
		"\"price\": {\"input\": \"0.02\", \"output\": 0}}]}}}";

/* A variable that is set, and may now be seen in the tree without being a literal; NULL. */
static const char *fetched(struct reading *r, const char *name)
{
	const char *value = name ? getenv(name) : NULL;

	if (!value || !*value)
		return NULL;
	json_object_set_new(r->fetched, value, json_true());
	return value;
}

/* What the environment has for a provider: a new row; NULL: nothing that would do. */
static json_t *row_of_environment(struct reading *r, const json_t *known)
{
	const char *base = json_string_value(json_object_get(known, "base_url")), *dialect = json_string_value(json_object_get(known, "dialect"));
	const char *key = fetched(r, json_string_value(json_object_get(known, "env"))), *region, *id, *secret;

	if (!base || (!strchr(base, '{') && !key))
		return NULL;
	if (!strchr(base, '{'))
		return json_pack("{s:s}", "api_key", key);
	region = fetched(r, "AWS_REGION");
	region = region ? region : fetched(r, "AWS_DEFAULT_REGION");
	if (!dialect || strcmp(dialect, "bedrock") != 0 || !region)
		return NULL;		/* an address with names in it that nobody says */
	if (key)
		return json_pack("{s:s, s:s}", "region", region, "api_key", key);
	id = fetched(r, "AWS_ACCESS_KEY_ID");
	secret = fetched(r, "AWS_SECRET_ACCESS_KEY");
	if (id && secret)
		return json_pack("{s:s, s:{s:s, s:s, s:s*}}", "region", region, "aws", "access_key_id", id,
			"secret_access_key", secret, "session_token", fetched(r, "AWS_SESSION_TOKEN"));
	return fetched(r, "AWS_WEB_IDENTITY_TOKEN_FILE") || fetched(r, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || fetched(r, "AWS_CONTAINER_CREDENTIALS_FULL_URI")
		? json_pack("{s:s, s:{}}", "region", region, "aws") : NULL;
}

static json_t *default_tree(struct reading *r)
{
	json_t *tree = json_loads(built_in, 0, NULL), *providers = json_object_get(tree, "providers"), *known, *p;
	json_t *plain = json_pack("{s:{}}", "plugins");
	const char *slug;

	machine_defaults(plain);
	known = config_known(plain);
	json_decref(plain);
	json_object_foreach(known, slug, p) {
		json_t *row = row_of_environment(r, p);

		if (row)
			json_object_set_new(providers, slug, row);
	}
	json_decref(known);
	return tree;
}

/* ---- all of it */

static int load(struct reading *r, struct config *c, const char *path)
{
	json_t *raw;
	char *slash;
	int rc = find(path, c->path, r->err);

	if (rc)
		return rc;
	snprintf(r->dir, sizeof(r->dir), "%s", c->path);
	slash = strrchr(r->dir, '/');
	if (slash)
		slash[slash == r->dir] = 0;
	else
		*r->dir = 0;
	raw = *c->path ? read_one(r, c->path) : default_tree(r);
	if (!raw)
		return MG_EINVAL;
	rc = drop_ins(r, c->path, raw);
	if (!rc)
		rc = overrides(r, raw);
	if (!rc && !(c->tree = config_check(r, raw)))
		rc = MG_EINVAL;
	c->given = raw;
	if (!rc)
		machine_defaults(c->tree);
	return rc;
}

json_t *config_absent(struct reading *r, const char *place, const char *from, const char *why, const char *hint)
{
	if (from)
		fail(r->err, MG_EINVAL, "%s: %s: %s\nhint: %s", from, place, why, hint);
	else
		config_fail(r, place, hint, "%s", why);
	if (!r->looking)
		return NULL;
	json_object_set_new(r->absent, place, json_string(r->err->msg));
	*r->err = (struct err){ 0, "" };
	return json_null();
}

static int read_all(struct config *c, const char *path, bool looking, struct err *err)
{
	struct err own = { 0, "" };
	struct reading *r = calloc(1, sizeof(*r));
	int rc;

	*c = (struct config){ .tree = NULL };
	if (!r)
		return fail(err, MG_ENOMEM, "no memory for the configuration");
	r->err = err ? err : &own;
	r->fetched = json_object();
	r->variables = json_object();
	r->absent = json_object();
	r->unread = c->unread = json_object();
	r->looking = looking;
	rc = load(r, c, path);
	memcpy(c->missing, r->missing, sizeof(c->missing));
	c->origins = config_origins(r);
	json_object_update(c->origins, r->variables);
	for (size_t i = 0; i < r->n; i++)
		json_decref(r->sources[i].lines);
	json_decref(r->fetched);
	json_decref(r->variables);
	json_decref(r->absent);
	free(r);
	if (rc)
		config_release(c);
	return rc;
}

int config_load(struct config *c, const char *path, struct err *err)
{
	return read_all(c, path, false, err);
}

int config_look(struct config *c, const char *path, struct err *err)
{
	return read_all(c, path, true, err);
}

void config_release(struct config *c)
{
	json_decref(c->tree);
	json_decref(c->origins);
	json_decref(c->given);
	json_decref(c->unread);
	c->tree = c->origins = c->given = c->unread = NULL;
}

/* ---- showing */

static json_t *mask(const char *secret)
{
	size_t n = strlen(secret);

	/* a short one would be half told by its tail */
	return json_sprintf("\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2%s", n >= 16 ? secret + n - 4 : "");
}

static json_t *show(const struct member *m, json_t *v)
{
	json_t *out, *item;
	const char *name;
	size_t i;

	if (m && m->kind == M_SECRET && json_is_string(v))
		return mask(json_string_value(v));
	if (json_is_object(v) && m && (m->kind == M_OBJECT || m->kind == M_MAP)) {
		out = json_object();
		json_object_foreach(v, name, item)
			json_object_set_new(out, name, show(m->kind == M_MAP ? m->sub : member_find(m, name), item));
		return out;
	}
	if (json_is_array(v) && m && m->kind == M_LIST) {
		out = json_array();
		json_array_foreach(v, i, item)
			json_array_append_new(out, show(m->sub, item));
		return out;
	}
	return json_deep_copy(v);
}

json_t *config_show(const struct config *c)
{
	return show(&config_root, c->tree);
}
