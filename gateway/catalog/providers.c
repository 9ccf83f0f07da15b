/* Providers: a name, a place on the network, a dialect, a credential, facts about data. */
#include <ctype.h>
#include <unistd.h>
#include "catalog/aws.h"
#include "catalog/build.h"
#include "catalog/gate.h"
#include "catalog/grant.h"
#include "catalog/token.h"
#include "plugin/sigv4.h"

#define HOST_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

enum { NAMES_MAX = 16,	/* in one address */
	HEADERS_MAX = 20 };	/* of a row: a call has room for 32, and its dialect, its credential and a signature have some */

static int blame(struct build *b, const char *slug, const char *member, const char *hint, const char *why, const char *what)
{
	char at[300];

	snprintf(at, sizeof(at), "providers.%.200s.%s", slug, member);
	return config_blame(b->conf, b->err, at, hint, why, what);
}

static bool good_slug(const char *s)
{
	for (const char *p = s; *p; p++)
		if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) && *p != '-' && *p != '_' && *p != '.')
			return false;
	return *s && strlen(s) <= 64;
}

static const char *nth_dialect(const void *plugins, size_t i)
{
	size_t seen = 0;

	for (size_t k = 0; k < registry_count(plugins); k++) {
		const struct mg_plugin *p = registry_at(plugins, k)->self;

		if (p->provider && seen++ == i)
			return p->name;
	}
	return NULL;
}

static int dialect(struct build *b, struct provider *p, const char *name)
{
	const char *like;
	char hint[160] = "is its plugin in plugins.dir?";

	if (!name) {
		like = b->known ? config_nearest(p->slug, nth_name, b->known) : NULL;
		snprintf(hint, sizeof(hint), like ? "did you mean provider '%s', which is known? else write dialect = \"openai\""
			: "most servers speak dialect = \"openai\"", like);
		return blame(b, p->slug, "dialect", hint, "is required%s", "");
	}
	p->dialect = build_text(b, name);
	p->plugin = b->plugins ? registry_find(b->plugins, name) : NULL;
	if (!b->plugins || (p->plugin && p->plugin->provider))
		return MG_OK;
	like = config_nearest(name, nth_dialect, b->plugins);
	if (like)
		snprintf(hint, sizeof(hint), "did you mean '%s'?", like);
	return blame(b, p->slug, "dialect", hint, "no plugin speaks '%.60s'", name);
}

/* The project that a key file of Google's belongs to. */
static const char *project_of(struct build *b, const json_t *row)
{
	const char *text = text_of(json_object_get(row, "google"), "credentials"), *project;
	json_t *file;

	text = text ? text : text_of(row, "api_key");
	file = text && *text == '{' ? json_loads(text, 0, NULL) : NULL;
	project = build_text(b, text_of(file, "project_id"));
	json_decref(file);
	return project;
}

/* From the row, or from its options; there an object says it for each value of another
 * name: host = { by = "location", ["global"] = "a.example", ["else"] = "{location}.a.example" }. */
static const char *value_of(struct build *b, const json_t *row, const char *name, bool *more)
{
	const json_t *options = json_object_get(row, "options"), *cases = json_object_get(options, name);
	const char *by = text_of(cases, "by"), *value;

	*more = by != NULL;
	name = by ? by : name;
	value = text_of(row, name) ? text_of(row, name) : text_of(options, name);
	if (by)
		return value && text_of(cases, value) ? text_of(cases, value) : text_of(cases, "else");
	return value || strcmp(name, "project") != 0 ? value : project_of(b, row);
}

/* "https://x.{region}.example": each name from the row, or from its options. */
static const char *filled(struct build *b, const struct provider *p, const json_t *row, const char *url, unsigned left)
{
	static const char hint[] = "letters, digits, - _ and . of an address";
	const char *open = url ? strchr(url, '{') : NULL, *close = open ? strchr(open, '}') : NULL, *value;
	char name[64];
	bool more;

	if (!close)
		return url;
	snprintf(name, sizeof(name), "%.*s", (int)(close - open - 1), open + 1);
	value = value_of(b, row, name, &more);
	if (!value || !*value) {
		blame(b, p->slug, name, hint, "is required: base_url has {%s} in it", name);
		return NULL;
	}
	if (value[strspn(value, more ? HOST_LETTERS "{}" : HOST_LETTERS)] || !left) {
		blame(b, p->slug, name, hint, "'%.60s' does not fit into base_url", value);
		return NULL;
	}
	return filled(b, p, row, pool_print(b->c->pool, "%.*s%s%s", (int)(open - url), url, value, close + 1).at, left - 1);
}

/* Scheme and host; a path may follow, a user or a query may not. */
static int base_url(struct build *b, struct provider *p, const json_t *row)
{
	static const char hint[] = "https://host/path, or http:// for a server of yours";
	const char *url = text_of(row, "base_url"), *host, *end;

	if (!url && !strcmp(p->dialect, "sim"))
		url = "sim:";
	if (!url)
		return blame(b, p->slug, "base_url", hint, "is required%s", "");
	url = filled(b, p, row, url, NAMES_MAX);
	if (!url)
		return MG_EINVAL;
	if (!strncmp(url, "sim:", 4) && !strcmp(p->dialect, "sim")) {
		p->base_url = build_text(b, url);
		p->host = build_text(b, "");
		return MG_OK;
	}
	p->plain_http = !strncmp(url, "http://", 7);
	if (!p->plain_http && strncmp(url, "https://", 8) != 0)
		return blame(b, p->slug, "base_url", hint, "'%.80s' is neither https:// nor http://", url);
	host = url + (p->plain_http ? 7 : 8);
	end = host + strcspn(host, "/");
	if (end == host || strpbrk(host, "?#@ \t\r\n\"\\"))
		return blame(b, p->slug, "base_url", "credentials belong into api_key, parameters into options", "%s", "needs a host, and no user, query or fragment");
	p->base_url = build_text(b, url);
	p->host = build_text(b, host);
	if (!p->base_url || !p->host)
		return fail(b->err, MG_ENOMEM, "no memory for the catalogue");
	p->host[end - host] = 0;
	for (size_t n = strlen(p->base_url); n && p->base_url[n - 1] == '/'; n--)
		p->base_url[n - 1] = 0;
	return MG_OK;
}

static void data_policy(struct provider *p, const json_t *data)
{
	p->data = (struct data_policy){ .known = json_is_true(json_object_get(data, "known")),
		.trains = json_is_true(json_object_get(data, "trains")), .retains = json_is_true(json_object_get(data, "retains")),
		.retention_days = (int)int_of(data, "retention_days", -1) };
	p->data.zdr = json_is_true(json_object_get(data, "zdr")) && !p->data.retains;	/* contradictions read as the worse */
	snprintf(p->data.region, sizeof(p->data.region), "%s", text_of(data, "region") ? text_of(data, "region") : "");
}

static void times(struct build *b, struct provider *p, const json_t *row)
{
	const json_t *own = json_object_get(row, "timeouts"), *limits = json_object_get(b->conf->tree, "limits");

	p->connect_ms = (uint64_t)int_of(own, "connect", int_of(limits, "connect", 3000));
	p->first_output_ms = (uint64_t)int_of(own, "first_output", int_of(limits, "first_output", 120000));
	p->slow_ms = (uint64_t)int_of(own, "slow", (int64_t)p->first_output_ms / 2);
	p->idle_ms = (uint64_t)int_of(own, "idle", int_of(limits, "idle", 90000));
	p->total_ms = (uint64_t)int_of(own, "total", int_of(limits, "request", 600000));
}

/* HTTP's own characters; what the gateway sets itself is not for a file to change. */
static int headers(struct build *b, struct provider *p, json_t *list)
{
	static const char *const ours[] = { "host", "content-length", "transfer-encoding", "connection", "authorization", "x-api-key" };
	json_t *value;
	const char *name;
	char most[8];

	if (json_object_size(list) > HEADERS_MAX) {
		snprintf(most, sizeof(most), "%d", HEADERS_MAX);
		return blame(b, p->slug, "headers", "leave some out", "has more than %s, which is what a request has room for", most);
	}
	json_object_foreach(list, name, value) {
		const char *v = json_string_value(value);

		for (const char *c = name; *c; c++)
			if (!isalnum((unsigned char)*c) && !strchr("!#$%&'*+-.^_`|~", *c))
				return blame(b, p->slug, "headers", NULL, "'%.60s' is no name of a header", name);
		for (; *v; v++)
			if ((unsigned char)*v < ' ' || *v == 127)
				return blame(b, p->slug, "headers", NULL, "the value of '%.60s' has a control character", name);
		for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
			if (!strcasecmp(name, ours[i]))
				return blame(b, p->slug, "headers", "credentials belong into api_key", "'%s' is set by the gateway", name);
	}
	return MG_OK;
}

/* A signature names the region: its options, the address if it is one of AWS's own, or the row. */
static int region_of(struct build *b, const struct provider *p, const json_t *row, char *out, size_t size)
{
	const char *said = text_of(json_object_get(row, "options"), "region"), *tag = text_of(row, "region");
	struct mg_str region = sigv4_region((struct mg_str){ p->host, strlen(p->host) });

	said = said || region.len ? said : tag;
	if (said || region.len) {
		snprintf(out, size, "%.*s", said ? (int)strlen(said) : (int)region.len, said ? said : region.at);
		return MG_OK;
	}
	return blame(b, p->slug, "region", "region = \"us-east-1\"", "is required: '%.80s' is no address of AWS's own", p->host);
}

/* AWS's own order finds it; keys that do not end are "id:key[:session token]", the others a credential for token.h. */
static int aws(struct build *b, struct provider *p, const json_t *row)
{
	struct err why = { MG_OK, "" };
	char region[64];
	const char *pair;
	json_t *found;
	int rc = region_of(b, p, row, region, sizeof(region));

	if (rc)
		return rc;
	found = aws_find(json_object_get(row, "aws"), region, &why);
	if (!found)
		return blame(b, p->slug, "aws", "give keys, or a role or profile that has them", "%s", why.msg);
	pair = aws_pair(found);
	p->secret = pair ? strdup(pair) : json_dumps(found, JSON_COMPACT);
	json_decref(found);
	return p->secret ? MG_OK : fail(b->err, MG_ENOMEM, "no memory for the catalogue");
}

/* A credential that is a JSON text is for a token server; what it gave stays over reloads. */
static int tokens(struct build *b, struct provider *p, const json_t *row, const char *member)
{
	const struct provider *was = b->previous ? catalog_provider(b->previous, (struct mg_str){ p->slug, strlen(p->slug) }) : NULL;
	struct err why = { MG_OK, "" };

	if (!p->secret || *p->secret != '{')
		return MG_OK;
	p->token = was && token_is(was->token, p->secret) ? token_ref(was->token) : token_new(p->slug, p->secret, &why);
	if (p->token)
		return MG_OK;
	return blame(b, p->slug, member, "google: the key file of a service account; entra: tenant_id, client_id and client_secret", "%s", why.msg);
}

/* The one text that a provider's credential is. */
static int credential(struct build *b, struct provider *p, const json_t *row)
{
	const char *plain = text_of(row, "api_key"), *member = "api_key";
	json_t *made;

	if (plain && *plain) {
		p->secret = strdup(plain);
	} else if (json_object_get(row, "aws")) {
		int rc = aws(b, p, row);

		if (rc)
			return rc;
		member = "aws";
	} else {
		made = grant_of_row(row, &member);
		p->secret = made ? json_dumps(made, JSON_COMPACT) : NULL;
		json_decref(made);
	}
	return tokens(b, p, row, member);
}

/* Who is inside stays inside over reloads. */
static struct gate *way_in(struct build *b, const char *slug)
{
	struct provider *was = b->previous ? catalog_provider(b->previous, (struct mg_str){ slug, strlen(slug) }) : NULL;

	return was ? gate_ref(was->gate) : gate_new();
}

/* libcurl reads the file later, on a worker: a wrong path must not wait for that. */
static int trusted(struct build *b, struct provider *p, const char *path)
{
	if (!path)
		return MG_OK;
	p->ca = build_text(b, path);
	return access(path, R_OK) ? blame(b, p->slug, "ca", "check the path and its permissions", "'%.200s' cannot be read", path) : MG_OK;
}

/* The configuration's words are checked as it is read, those of a catalogue's file here. */
static int on_cancel(struct build *b, struct provider *p, const json_t *said)
{
	const char *word = !said ? "abort" : json_is_string(said) ? json_string_value(said) : "no text";

	p->finish_cancelled = !strcmp(word, "finish");
	if (p->finish_cancelled || !strcmp(word, "abort"))
		return MG_OK;
	return blame(b, p->slug, "on_cancel", "one of abort finish", "'%.60s' is unknown here", word);
}

static int provider(struct build *b, struct provider *p, const char *slug, json_t *row)
{
	static const char *const seen[] = { "quirks", "options", "headers" };
	int rc;

	p->slug = build_text(b, slug);
	if (!good_slug(slug))
		return blame(b, slug, "name", "letters a-z, digits, - _ . and at most 64 of them", "'%.70s' is no slug", slug);
	rc = dialect(b, p, text_of(row, "dialect"));
	if (!rc)
		rc = base_url(b, p, row);
	if (!rc)
		rc = trusted(b, p, text_of(row, "ca"));
	if (!rc)
		rc = headers(b, p, json_object_get(row, "headers"));
	if (!rc)
		rc = on_cancel(b, p, json_object_get(row, "on_cancel"));
	if (rc)
		return rc;
	p->name = build_text(b, text_of(row, "name") ? text_of(row, "name") : slug);
	rc = credential(b, p, row);
	if (rc)
		return rc;
	p->max_in_flight = (unsigned)int_of(row, "max_in_flight", 0);
	p->gate = way_in(b, slug);
	if (!p->gate)
		return fail(b->err, MG_ENOMEM, "no memory for the catalogue");
	p->privacy_url = build_text(b, text_of(row, "privacy_url"));
	p->terms_url = build_text(b, text_of(row, "terms_url"));
	p->status_url = build_text(b, text_of(row, "status_url"));
	p->headquarters = build_text(b, text_of(row, "headquarters"));
	data_policy(p, json_object_get(row, "data"));
	times(b, p, row);
	p->row = json_object();
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		if (json_object_get(row, seen[i]))
			json_object_set(p->row, seen[i], json_object_get(row, seen[i]));
	return MG_OK;
}

/* ---- accounts that customers have there themselves */

/* The provider's row with this account instead of its own. */
static json_t *row_of_key(json_t *row, json_t *key)
{
	static const char *const accounts[] = { "api_key", "aws", "google", "entra" }, *const laid[] = { "api_key", "aws", "google", "entra",
		"base_url", "options", "data" };
	json_t *said = json_object(), *under = json_copy(row), *out;

	for (size_t i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++)
		json_object_del(under, accounts[i]);
	for (size_t i = 0; i < sizeof(laid) / sizeof(laid[0]); i++)
		if (json_object_get(key, laid[i]))
			json_object_set(said, laid[i], json_object_get(key, laid[i]));
	out = laid_over(under, said);
	build_data_facts(out, said);
	json_decref(under);
	json_decref(said);
	return out;
}

/* What its token server gave stays over reloads, wherever the account now is in the list. */
static void keep_token(struct build *b, struct provider *p)
{
	const struct provider *was = b->previous ? catalog_provider(b->previous, (struct mg_str){ p->slug, strlen(p->slug) }) : NULL;

	for (size_t i = 0; p->token && was && i < was->n_keyed; i++)
		if (was->keyed[i].token && token_is(was->keyed[i].token, p->secret)) {
			token_unref(p->token);
			p->token = token_ref(was->keyed[i].token);
			return;
		}
}

static int keyed(struct build *b, struct provider *base, json_t *row, json_t *key)
{
	struct provider *p = &base->keyed[base->n_keyed++];
	json_t *own = row_of_key(row, key);
	char member[40];
	int rc;

	snprintf(member, sizeof(member), "byok[%zu].api_key", base->n_keyed);
	rc = provider(b, p, base->slug, own);
	json_decref(own);
	p->own = (struct own_key){ (unsigned)base->n_keyed, json_is_true(json_object_get(key, "fallback")), json_is_true(json_object_get(key, "always")) };
	p->private_to = json_incref(json_object_get(key, "private_to"));
	p->only_models = json_incref(json_object_get(key, "models"));
	if (rc)
		return rc;
	if (!p->secret && !json_object_get(key, "google") && !json_object_get(key, "entra"))
		return blame(b, base->slug, member, "the customer's: env \"NAME\"", "is required%s", "");
	if (p->own.fallback && p->own.always)
		return blame(b, base->slug, "byok", "leave out fallback = true", "%s", "an account that shared capacity comes before cannot take its place always");
	keep_token(b, p);
	gate_unref(p->gate);
	p->gate = gate_ref(base->gate);		/* the server is the same */
	return MG_OK;
}

static int own_keys(struct build *b, struct provider *p, json_t *row)
{
	json_t *key, *list = json_object_get(row, "byok");
	size_t i;
	int rc = MG_OK;

	if (!json_array_size(list))
		return MG_OK;
	p->keyed = calloc(json_array_size(list), sizeof(*p->keyed));
	if (!p->keyed)
		return fail(b->err, MG_ENOMEM, "no memory for the catalogue");
	json_array_foreach(list, i, key) {
		rc = rc ? rc : keyed(b, p, row, key);
	}
	return rc;
}

int build_providers(struct build *b)
{
	struct catalog *c = b->c;
	const char *slug;
	json_t *row;
	int rc;

	c->providers = calloc(json_object_size(b->providers) + 1, sizeof(*c->providers));
	if (!c->providers)
		return fail(b->err, MG_ENOMEM, "no memory for the catalogue");
	json_object_foreach(b->providers, slug, row) {
		struct provider *p = &c->providers[c->n_providers++];

		rc = provider(b, p, slug, row);
		if (!rc)
			rc = own_keys(b, p, row);
		if (rc)
			return rc;
	}
	return MG_OK;
}
