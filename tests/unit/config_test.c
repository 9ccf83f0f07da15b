/* Configuration: what is read, what is refused, and in which words. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/config.h"
#include "tap.h"

static char dir[64] = "/tmp/config_test.XXXXXX";

static const char *put(const char *name, const char *text, mode_t mode)
{
	static char path[4][256];
	static int turn;
	char *p = path[turn++ % 4];
	FILE *f;

	snprintf(p, 256, "%s/%s", dir, name);
	f = fopen(p, "w");
	fputs(text, f);
	fclose(f);
	chmod(p, mode);
	return p;
}

/* ---- refusals: each names file, line and member, and gives a hint */

static const struct { const char *claim, *text, *wants[3]; bool json; } bad[] = {
	{ "a missing variable names the member and its line", "return {\n providers = {\n  groq = { dialect = 'openai',\n   api_key = env 'NOT_SET_HERE' } } }",
	  { "x.lua:4: providers.groq.api_key: environment variable NOT_SET_HERE is not set", "hint: export it" }, false },
	{ "an unknown member gets a suggestion", "return {\n limits = {\n  bdy = '1MiB' } }", { "x.lua:3: limits.bdy: is no known member", "did you mean 'body'?" }, false },
	{ "an unknown member at the top", "return { provider = {} }", { "x.lua:1: provider: is no known member", "did you mean 'providers'?" }, false },
	{ "a literal secret is refused", "return { providers = { a = { dialect = 'openai', api_key = 'sk-123' } } }", { "providers.a.api_key: a secret is written", "hint: use env" }, false },
	{ "a duration needs a unit", "return { limits = { idle = 90 } }", { "limits.idle: is no duration", "\"30s\"" }, false },
	{ "a size has its own units", "return { limits = { body = '32 MB' } }", { "limits.body: '32 MB' is no size" }, false },
	{ "what would be asked for in vain is refused", "return { logging = { content = true } }", { "logging.content: prompts and answers are kept nowhere" }, false },
	{ "another time than that of what is kept, too", "return { logging = { retention = '7d' } }", { "logging.retention: 604800000 ms is out of range" }, false },
	{ "a range is told", "return { workers = 65 }", { "workers: 65 is out of range, 0 to 64" }, false },
	{ "a word is one of a few", "return { logging = { level = 'loud' } }", { "logging.level: 'loud' is unknown here", "one of error warn info debug" }, false },
	{ "what becomes of a cancelled stream, too", "return { providers = { a = { dialect = 'openai', base_url = 'https://x', on_cancel = 'drain' } } }",
	  { "providers.a.on_cancel: 'drain' is unknown here", "one of abort finish" }, false },
	{ "a negative price", "return { models = { ['a/b'] = { endpoints = { { provider = 'p', price = { input = -1 } } } } } }",
	  { "models[\"a/b\"].endpoints[1].price.input: '-1' is negative" }, false },
	{ "a price of more digits than money has", "return { models = { ['a/b'] = { endpoints = { { provider = 'p', price = { input = '0.0000001' } } } } } }",
	  { "endpoints[1].price.input:" }, false },
	{ "a required member", "return { models = { ['a/b'] = { endpoints = {\n { model = 'x' } } } } }", { "x.lua:2: models[\"a/b\"].endpoints[1].provider: is required" }, false },
	{ "wrong type", "return { dev = 'yes' }", { "dev: true or false is expected, not a string" }, false },
	{ "a table instead of a list", "return { cors = { origins = { a = 'b' } } }", { "cors.origins: a list is expected" }, false },
	{ "names and items mixed", "return { listen = { '127.0.0.1:1', x = 1 } }", { "listen: mixes list items and named members" }, false },
	{ "an address that is none", "return { listen = { '127.0.0.1' } }", { "listen[1]: '127.0.0.1' is no address" }, false },
	{ "TLS needs its key", "return { listen = { { at = '127.0.0.1:1', tls = { cert = 'c' } } } }", { "listen[1].tls.key: is required" }, false },
	{ "a member given twice", "return {\n dev = true,\n dev = false }", { "x.lua:3: dev: given twice, first on line 2" }, false },
	{ "a syntax error keeps Lua's line", "return {\n listen = \n}", { "x.lua:3:" }, false },
	{ "no table", "local a = 1", { "returns nil instead of a table" }, false },
	{ "an endless loop ends", "while true do end", { "instructions" }, false },
	{ "memory has a limit", "local s = 'x' while true do s = s .. s end", { "not enough memory" }, false },
	{ "no I/O", "io.open('/etc/passwd')", { "nil value (global 'io')" }, false },
	{ "no os", "os.exit(1)", { "nil value (global 'os')" }, false },
	{ "no loading", "load('x')()", { "nil value (global 'load')" }, false },
	{ "no catching of limits", "pcall(print)", { "nil value (global 'pcall')" }, false },
	{ "no bytecode", "\033Lua", { "attempt to load a binary chunk" }, false },
	{ "a function is no value", "return { data_dir = function() end }", { "data_dir: a function that is no valid value" }, false },
	{ "a table that holds itself", "local t = {} t.models = t return t", { "nested deeper than" }, false },
	{ "secret needs a plugin", "return { management_key = secret 'vault://a' }", { "management_key: no plugin reads 'vault://a'" }, false },
	{ "a missing secret in a text", "return { data_dir = '/x/' .. env 'NOT_SET_HERE' }", { "NOT_SET_HERE is not set" }, false },
	{ "a missing file", "return { management_key = file './nowhere' }", { "x.lua:1: management_key: cannot open" }, false },
	{ "a bare name without systemd", "return { management_key = file 'cred' }", { "management_key: 'cred' is a bare name" }, false },
	{ "a file for all to read", "return { management_key = file './loose' }", { "mode 0644, looser than 0640", "hint: chmod 0640" }, false },
	{ "an empty secret", "return { management_key = file './empty' }", { "is empty" }, false },
	{ "include that is not there", "return include 'nowhere.lua'", { "cannot open" }, false },
	{ "include in a circle", "return include 'x.lua'", { "include: nested deeper than 8" }, false },
	{ "JSON: duplicate member", "{\"dev\": true,\n \"dev\": false}", { "x.json:2: duplicate object key" }, true },
	{ "JSON: unknown member with its line", "{\"dev\": true,\n \"limits\": {\n  \"idel\": \"9s\"}}", { "x.json:3: limits.idel: is no known member", "did you mean 'idle'?" }, true },
	{ "JSON: a literal secret", "{\"management_key\": \"abc\"}", { "x.json:1: management_key: a secret is written" }, true },
	{ "JSON: a missing variable", "{\"management_key\": {\"$env\": \"NOT_SET_HERE\"}}", { "x.json:1: management_key: environment variable NOT_SET_HERE" }, true },
};

static void refusals(void)
{
	put("loose", "abc\n", 0644);
	put("empty", "\n", 0600);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *path = put(bad[i].json ? "x.json" : "x.lua", bad[i].text, 0600);
		struct config c;
		struct err err = { 0, "" };
		bool good = config_load(&c, path, &err) != MG_OK && !c.tree;

		for (int k = 0; k < 3 && bad[i].wants[k]; k++)
			good = good && strstr(err.msg, bad[i].wants[k]);
		ok(good, bad[i].claim);
		if (!good)
			printf("# %s\n", err.msg);
		config_release(&c);
	}
}

/* ---- what is read */

static json_t *at(json_t *v, const char *path)
{
	char part[64];

	for (size_t n; *path && v; path += n + (path[n] == ' ')) {
		n = strcspn(path, " ");
		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		v = json_is_array(v) ? json_array_get(v, (size_t)strtoul(part, NULL, 10)) : json_object_get(v, part);
	}
	return v;
}

static bool says(json_t *v, const char *path, const char *json)
{
	json_t *want = json_loads(json, JSON_DECODE_ANY, NULL), *got = at(v, path);
	bool same = got && json_equal(want, got);

	if (!same) {
		char *text = got ? json_dumps(got, JSON_ENCODE_ANY) : NULL;

		printf("# %s: %s, not %s\n", path, text ? text : "absent", json);
		free(text);
	}
	json_decref(want);
	return same;
}

static const char whole[] = "return {\n"
	"  listen   = { '127.0.0.1:8080', 'unix:/run/moongate/api.sock', { at = '10.0.0.1:443', tls = { cert = 'c.pem', key = '/k.pem' } } },\n"
	"  data_dir = '/var/lib/moongate',\n  ui = { enabled = true }, x_note = { 1, 2 },\n"
	"  providers = {\n    openai = { dialect = 'openai', api_key = env 'OPENAI_API_KEY' },\n"
	"    vllm_a = { dialect = 'openai', base_url = 'http://10.0.0.5:8000/v1', api_key = file './vllm', max_in_flight = 64 },\n  },\n"
	"  models = { ['meta/llama-4'] = { endpoints = { { provider = 'vllm_a', model = 'llama-4', price = { input = 0.15, output = 15, cache_read = 1e-6, request = '0.0010' } } } } },\n"
	"  policy  = { bundle = 'policies' },\n"
	"  limits  = { body = '32MiB', header = '6KiB', request = '10m', idle = '90s', connect = '1.5s' },\n"
	"  logging = { level = 'info', format = 'json', content = false, retention = '30d' },\n"
	"  telemetry = { otlp = { endpoint = env('OTEL_EXPORTER_OTLP_ENDPOINT', ''), sample = 1.0 } },\n}\n";

static void reads(void)
{
	struct { const char *path, *json; } rows[] = {
		{ "listen 0 at", "\"127.0.0.1:8080\"" }, { "listen 0 admin", "true" }, { "listen 1 admin", "true" }, { "listen 2 admin", "false" },
		{ "listen 2 tls key", "\"/k.pem\"" }, { "data_dir", "\"/var/lib/moongate\"" }, { "providers vllm_a max_in_flight", "64" },
		{ "providers vllm_a api_key", "\"sk-vllm-secret-value-1\"" }, { "providers openai api_key", "\"sk-abcdefghijkl3f2a\"" },
		{ "models meta/llama-4 endpoints 0 price input", "\"0.15\"" }, { "models meta/llama-4 endpoints 0 price output", "\"15\"" },
		{ "models meta/llama-4 endpoints 0 price cache_read", "\"1e-06\"" }, { "models meta/llama-4 endpoints 0 price request", "\"0.0010\"" },
		{ "limits body", "33554432" }, { "limits connect", "1500" }, { "limits request", "600000" },
		{ "limits attempts", "6" }, { "ledger durable", "\"process\"" },
		{ "credits enabled", "false" }, { "workers", "0" }, { "cors origins", "[]" },
	};
	struct config c;
	struct err err = { 0, "" };
	json_t *shown;
	char *text;

	put("vllm", "sk-vllm-secret-value-1\n", 0640);
	setenv("OPENAI_API_KEY", "sk-abcdefghijkl3f2a", 1);
	ok(config_load(&c, put("x.lua", whole, 0644), &err) == MG_OK, "the example of the documentation loads");
	if (*err.msg)
		printf("# %s\n", err.msg);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ok(says(c.tree, rows[i].path, rows[i].json), rows[i].path);
	ok(!at(c.tree, "x_note"), "x_ is passed over");
	text = json_dumps(c.unread, 0);
	ok(!strcmp(text, "{\"ui.enabled\": \"this build has no console\"}"), "what is asked for and not done is told");
	free(text);
	shown = config_show(&c);
	text = json_dumps(shown, 0);
	ok(says(shown, "providers openai api_key", "\"\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2""3f2a\""), "a secret is shown by its tail");
	ok(!strstr(text, "abcdefgh") && !strstr(text, "vllm-secret"), "no secret is shown whole");
	free(text);
	json_decref(shown);
	config_release(&c);
	unsetenv("OPENAI_API_KEY");
}

static void overrides(void)
{
	struct config c;
	struct err err = { 0, "" };
	const char *path = put("x.lua", "return { logging = { level = 'warn' } }", 0600);

	setenv("MOONGATE_LISTEN", "127.0.0.1:0,unix:/run/x.sock", 1);
	setenv("MOONGATE_LOGGING__LEVEL", "debug", 1);
	setenv("MOONGATE_WORKERS", "3", 1);
	setenv("MOONGATE_MANAGEMENT_KEY", "from-the-environment", 1);
	setenv("MOONGATE_PORT_8080_TCP", "tcp://1.2.3.4", 1);
	ok(config_load(&c, path, &err) == MG_OK, "the environment overrides");
	ok(says(c.tree, "listen 1 at", "\"unix:/run/x.sock\"") && says(c.tree, "logging level", "\"debug\"") && says(c.tree, "workers", "3")
		&& says(c.tree, "management_key", "\"from-the-environment\""), "each member by its name");
	config_release(&c);
	setenv("MOONGATE_LOGGING__LEVLE", "debug", 1);
	ok(config_load(&c, path, &err) && strstr(err.msg, "MOONGATE_LOGGING__LEVLE") && strstr(err.msg, "'level'"), "a wrong name is refused with a suggestion");
	config_release(&c);
	unsetenv("MOONGATE_LISTEN");
	unsetenv("MOONGATE_LOGGING__LEVEL");
	unsetenv("MOONGATE_LOGGING__LEVLE");
	unsetenv("MOONGATE_WORKERS");
	unsetenv("MOONGATE_MANAGEMENT_KEY");
}

/* What each place that is wanted says, and who said it. */
static void origin(void *arg, const char *place, const json_t *value, const char *from)
{
	static const struct { const char *place, *value, *from; } rows[] = {
		{ "listen[1].at", "\"127.0.0.1:0\"", "y.lua:2" }, { "listen[1].admin", "true", "default" },
		{ "limits.idle", "20000", "y.lua:3" }, { "limits.connect", "3000", "default" }, { "logging.level", "\"debug\"", "MOONGATE_LOGGING__LEVEL" },
		{ "providers.up.api_key", "\"\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2""efgh\"", "y.lua:4" },
		{ "models[\"a/b\"].endpoints[1].price.input", "\"1\"", "y.lua:6" }, { "models[\"a/b\"].endpoints[1].free", "false", "default" } };
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	const char *file = strrchr(from, '/');

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(place, rows[i].place)) {
			ok(!strcmp(text, rows[i].value) && !strcmp(file ? file + 1 : from, rows[i].from), place);
			++*(unsigned *)arg;
		}
	free(text);
}

static void origins(void)
{
	struct config c;
	struct err err = { 0, "" };
	unsigned seen = 0;
	const char *path = put("y.lua", "return { dev = true,\n  listen = '127.0.0.1:0',\n  limits = { idle = '20s' }, logging = { level = 'warn' },\n"
		"  providers = { up = { dialect = 'openai', base_url = 'http://10.0.0.1', api_key = 'sk-1234567890abcdefgh' } },\n"
		"  models = { ['a/b'] = { endpoints = { { provider = 'up',\n    price = { input = 1 } } } } } }", 0600);

	setenv("MOONGATE_LOGGING__LEVEL", "debug", 1);
	ok(config_load(&c, path, &err) == MG_OK && config_walk(&c, NULL, origin, &seen) == MG_OK && seen == 8, "who said what: file and line, variable, default");
	seen = 0;
	ok(config_walk(&c, "limits", origin, &seen) == MG_OK && seen == 2 && config_walk(&c, "limits.idel", origin, &seen) == MG_EINVAL, "of a part; of none");
	config_release(&c);
	unsetenv("MOONGATE_LOGGING__LEVEL");
}

static void drop_ins(void)
{
	struct config c;
	struct err err = { 0, "" };
	char conf_d[128];

	snprintf(conf_d, sizeof(conf_d), "%s/conf.d", dir);
	mkdir(conf_d, 0700);
	setenv("MOONGATE_CONF_D", conf_d, 1);
	put("conf.d/10-a.lua", "return { limits = { idle = '5s' }, cors = { origins = { 'https://a' } } }", 0600);
	put("conf.d/20-b.json", "{\"limits\": {\"connect\": \"2s\"}, \"cors\": {\"origins\": [\"https://b\"]}}", 0600);
	put("conf.d/notes.txt", "not read", 0600);
	ok(config_load(&c, put("x.lua", "return { limits = { body = '1MiB' } }", 0600), &err) == MG_OK, "drop-ins load");
	ok(says(c.tree, "limits idle", "5000") && says(c.tree, "limits connect", "2000") && says(c.tree, "limits body", "1048576"), "tables merge");
	ok(says(c.tree, "cors origins", "[\"https://b\"]"), "lists replace, the last name wins");
	config_release(&c);
	put("conf.d/30-c.lua", "return {\n\n limits = { idel = 1 } }", 0600);
	ok(config_load(&c, put("x.lua", "return { limits = { body = '1MiB' } }", 0600), &err) && strstr(err.msg, "30-c.lua:3: limits.idel"), "an error names the drop-in");
	config_release(&c);
	unsetenv("MOONGATE_CONF_D");
}

static void includes(void)
{
	struct config c;
	struct err err = { 0, "" };

	put("part.lua", "return {\n a = { dialect = 'openai', base_url = 'https://a', nmae = 'x' } }", 0600);
	put("limits.json", "{\"idle\": \"7s\"}", 0600);
	ok(config_load(&c, put("x.lua", "return { providers = include 'part.lua' }", 0600), &err)
		&& strstr(err.msg, "part.lua:2: providers.a.nmae"), "an error names the included file");
	config_release(&c);
	ok(config_load(&c, put("x.lua", "return { limits = include 'limits.json', dev = true, management_key = 'lit' }", 0600), &err) == MG_OK
		&& says(c.tree, "limits idle", "7000") && says(c.tree, "management_key", "\"lit\""), "JSON is included; dev allows literals");
	config_release(&c);
}

static void defaults(void)
{
	struct config c;
	struct err err = { 0, "" };

	unsetenv("MOONGATE_CONFIG");
	unsetenv("XDG_CONFIG_HOME");
	setenv("HOME", dir, 1);
	if (chdir(dir) || access("/etc/moongate/config.lua", F_OK) == 0)
		return;
	unlink("config.lua");
	setenv("XDG_STATE_HOME", "/state", 1);
	ok(config_load(&c, NULL, &err) == MG_OK && !*c.path, "without any file there is a default");
	ok(says(c.tree, "listen 0 at", "\"127.0.0.1:8080\"") && says(c.tree, "data_dir", "\"/state/moongate\"")
		&& says(c.tree, "providers sim dialect", "\"sim\"") && at(c.tree, "models sim/echo"), "it listens on loopback and simulates");
	config_release(&c);
	put("config.lua", "return { workers = 7 }", 0600);
	ok(config_load(&c, NULL, &err) == MG_OK && says(c.tree, "workers", "7") && !strcmp(c.path, "config.lua"), "./config.lua is found");
	config_release(&c);
}

/* A shell has not all that the service has: what calls no provider does without. */
static void looking(void)
{
	static const char *const texts[] = { "return { data_dir = '/d', management_key = env 'NO_SUCH', providers = { a = { dialect = 'sim', base_url = 'sim:', api_key = file './none' } } }",
		"{\"data_dir\": \"/d\", \"management_key\": {\"$env\": \"NO_SUCH\"}}" };
	struct config c;
	struct err err = { 0, "" };

	for (int i = 0; i < 2; i++) {
		const char *path = put(i ? "x.json" : "x.lua", texts[i], 0600);

		ok(config_load(&c, path, &err) == MG_EINVAL && (strstr(err.msg, "NO_SUCH is not set") || strstr(err.msg, "none")), "a secret that is not here is an error");
		ok(config_look(&c, path, &err) == MG_OK && says(c.tree, "data_dir", "\"/d\"") && says(c.tree, "management_key", "\"\"")
			&& strstr(c.missing, "environment variable NO_SUCH is not set\nhint: "), "who only looks is told the rest, and what is missing");
		config_release(&c);
	}
	err = (struct err){ 0, "" };
	ok(config_look(&c, put("x.lua", "return { data_dir = env 'NO_SUCH' }", 0600), &err) == MG_EINVAL && strstr(err.msg, "x.lua:1: data_dir: environment variable NO_SUCH"), "what is no secret is missed by both");
	ok(config_look(&c, put("x.lua", "return { lisen = {} }", 0600), &err) == MG_EINVAL, "so is what is wrong");
}

static void schema(void)
{
	json_t *s = config_schema();

	ok(says(s, "properties limits properties body default", "\"32MiB\"") && says(s, "properties logging properties level enum 3", "\"debug\"")
		&& says(s, "properties models additionalProperties properties endpoints items required", "[\"provider\"]"), "the schema has defaults, words and requirements");
	json_decref(s);
}

/* Without a file: AWS's own variables make a provider, once they say the region. */
static void environment(void)
{
	struct config c;
	struct err err = { 0, "" };
	json_t *aws;

	setenv("AWS_ACCESS_KEY_ID", "k9", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s9", 1);
	unsetenv("AWS_REGION");
	unsetenv("AWS_DEFAULT_REGION");
	unsetenv("AWS_BEARER_TOKEN_BEDROCK");
	for (int region = 0; region < 2; region++) {
		if (config_load(&c, NULL, &err) != MG_OK || *c.path) {
			ok(true, "AWS's variables # SKIP there is a configuration here");
			config_release(&c);
			continue;
		}
		aws = json_object_get(json_object_get(c.tree, "providers"), "amazon-bedrock");
		if (!region)
			ok(!aws && !json_object_get(json_object_get(c.tree, "providers"), "azure"), "an address that lacks a name is no provider");
		else
			ok(says(aws, "aws access_key_id", "\"k9\"") && says(aws, "region", "\"eu-west-1\""), "AWS's variables are one");
		config_release(&c);
		setenv("AWS_REGION", "eu-west-1", 1);
	}
}

static void clean_up(void)
{
	static const char *const names[] = { "x.lua", "x.json", "loose", "empty", "vllm", "part.lua", "limits.json", "config.lua",
		"conf.d/10-a.lua", "conf.d/20-b.json", "conf.d/30-c.lua", "conf.d/notes.txt" };
	char path[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/conf.d", dir);
	rmdir(path);
	rmdir(dir);
}

/* Whoever runs this may have a gateway's variables, or a cloud's. */
static void clear_environment(void)
{
	static const char *const prefixes[] = { "MOONGATE_", "AWS_", "AZURE_", "OTEL_", "XDG_", "CREDENTIALS_DIRECTORY" };

	for (char **e = environ; *e;) {
		char name[256];
		bool ours = false;

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(*e, "="), *e);
		for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
			ours |= !strncmp(name, prefixes[i], strlen(prefixes[i]));
		if (ours && !unsetenv(name))
			e = environ;	/* the list has moved up */
		else
			e++;
	}
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	clear_environment();
	environment();
	refusals();
	reads();
	overrides();
	origins();
	drop_ins();
	includes();
	looking();
	schema();
	defaults();
	clean_up();
	return tap_done();
}
