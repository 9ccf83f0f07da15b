/* Where AWS's credentials come from: the row, the environment, the files of AWS's own tools, a container's or an instance's service. */
#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/config_part.h"
#include "base/crypto.h"
#include "catalog/aws.h"

enum { FILE_MAX = 1 << 20, LINE_MAX_BYTES = 8192, PROFILES_MAX = 8, URL_MAX = 1024 };

struct search {
	const json_t *aws;		/* the row's */
	json_t *chain, *credentials, *config;	/* the two files: profile -> {name: value} */
	char credentials_file[512], config_file[512];
	struct err *err;
};

static const char *env(const char *name)
{
	const char *s = getenv(name);

	return s && *s ? s : NULL;
}

static bool env_is(const char *name, const char *word)
{
	return env(name) && !strcasecmp(env(name), word);
}

static const char *row(const struct search *s, const char *member)
{
	return grant_text(s->aws, member, NULL);
}

/* ------------------------------------------------------------- the links */

static int add(struct search *s, json_t *link)
{
	return !link || json_array_append_new(s->chain, link) ? fail(s->err, MG_ENOMEM, "no memory for AWS's credentials") : MG_OK;
}

/* A pair is one text with colons between. */
static int add_keys(struct search *s, const char *id, const char *key, const char *token)
{
	char *pair;
	int rc;

	if (strchr(id, ':') || strchr(key, ':'))
		return fail(s->err, MG_EINVAL, "an AWS key has no ':' in it");
	if (asprintf(&pair, "%s:%s%s%s", id, key, token ? ":" : "", token ? token : "") < 0)
		return fail(s->err, MG_ENOMEM, "no memory for AWS's credentials");
	rc = add(s, json_pack("{s:s, s:s}", "from", "keys", "pair", pair));
	wipe(pair, strlen(pair));
	free(pair);
	return rc;
}

static int add_web_identity(struct search *s, const char *file, const char *role, const char *name, long long duration)
{
	if (!role)
		return fail(s->err, MG_EINVAL, "a web identity needs the role that it is for: role_arn");
	return add(s, json_pack("{s:s, s:s, s:s, s:s*, s:I}", "from", "web_identity", "file", file, "role_arn", role, "session_name", name,
		"duration", (json_int_t)duration));
}

static int add_role(struct search *s, const char *role, const char *name, const char *external, long long duration)
{
	return add(s, json_pack("{s:s, s:s, s:s*, s:s*, s:I}", "from", "role", "role_arn", role, "session_name", name, "external_id", external,
		"duration", (json_int_t)duration));
}

/* Loopback and link-local: where a machine's own services are; no other http:// is asked for secrets. */
static bool is_near(const char *url)
{
	static const char *const six[] = { "[::1]", "[fe80:", "[fd00:ec2::" };
	const char *host = url + 7;
	size_t len;

	if (strncmp(url, "http://", 7) != 0 || strchr(url, '@'))
		return false;
	for (size_t i = 0; i < sizeof(six) / sizeof(six[0]); i++)
		if (!strncmp(host, six[i], strlen(six[i])))
			return true;
	len = strcspn(host, ":/");
	if (len == 9 && !memcmp(host, "localhost", 9))
		return true;
	return strspn(host, "0123456789.") == len && (!strncmp(host, "127.", 4) || !strncmp(host, "169.254.", 8));
}

static int checked(struct search *s, const char *what, const char *url)
{
	if (strlen(url) < URL_MAX && !strpbrk(url, " \t\r\n\"\\") && (is_near(url) || !strncmp(url, "https://", 8)))
		return MG_OK;
	return fail(s->err, MG_EINVAL, "%s is neither https:// nor an http:// address of this machine's (loopback, link-local)", what);
}

static int add_container(struct search *s)
{
	const char *relative = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), *full = env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	char url[URL_MAX];
	int rc;

	if (!relative && !full)
		return fail(s->err, MG_EINVAL, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set");
	snprintf(url, sizeof(url), "%s%s%s", relative ? "http://169.254.170.2" : "", relative && *relative != '/' ? "/" : "", relative ? relative : full);
	rc = checked(s, relative ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" : "AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
	return rc ? rc : add(s, json_pack("{s:s, s:s, s:s*, s:s*}", "from", "container", "url", url,
		"token_file", env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), "token", env("AWS_CONTAINER_AUTHORIZATION_TOKEN")));
}

static int add_instance(struct search *s, bool last)
{
	const char *url = row(s, "metadata_url");
	int rc;

	if (!url)
		url = env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	if (!url)
		url = env_is("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6") ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
	rc = checked(s, "the address of the instance's metadata", url);
	if (rc)
		return rc;
	return add(s, json_pack("{s:s, s:s#, s:b}", "from", "instance", "url", url, (int)(strlen(url) - (url[strlen(url) - 1] == '/')), "last", last));
}

static int add_environment(struct search *s)
{
	if (!env("AWS_ACCESS_KEY_ID") || !env("AWS_SECRET_ACCESS_KEY"))
		return fail(s->err, MG_EINVAL, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set");
	return add_keys(s, env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"), env("AWS_SESSION_TOKEN"));
}

/* ------------------------------------------------------------- the files */

static void locate(char *out, size_t size, const char *variable, const char *name)
{
	const char *home = env("HOME");

	snprintf(out, size, "%s", env(variable) ? env(variable) : "");
	if (!*out && home)
		snprintf(out, size, "%s/.aws/%s", home, name);
}

static char *trimmed(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	for (n = strlen(s); n && isspace((unsigned char)s[n - 1]); n--)
		s[n - 1] = '\0';
	return s;
}

/* "[profile x]" of the config file is x; sections of other kinds have a name that no profile has. */
static json_t *section(json_t *all, char *name, bool config)
{
	json_t *out;

	name = trimmed(name);
	if (config && !strncmp(name, "profile ", 8))
		name = trimmed(name + 8);
	else if (config && strcmp(name, "default") != 0)
		return NULL;
	out = json_object_get(all, name);
	if (!out && json_object_set_new(all, name, json_object()) == 0)
		out = json_object_get(all, name);
	return out;
}

/* What is indented belongs to the setting above it, and is none of ours. */
static void ini_line(char *text, json_t *all, json_t **now, bool config)
{
	char *end, *value;

	if (*text == '[') {
		end = strchr(text, ']');
		if (end)
			*end = '\0';
		*now = end ? section(all, text + 1, config) : NULL;
		return;
	}
	value = strchr(text, '=');
	if (!*now || !value || isspace((unsigned char)*text) || *text == '#' || *text == ';')
		return;
	*value++ = '\0';
	end = strstr(value, " #");
	if (end)
		*end = '\0';
	text = trimmed(text);
	value = trimmed(value);
	if (*value)
		json_object_set_new(*now, text, json_string(value));
}

/* Absent is empty. */
static int ini(struct search *s, const char *path, bool config, json_t **out)
{
	struct fetch_failure no = { .why = "" };
	json_t *now = NULL;
	size_t len = 0;
	char *text;

	*out = json_object();
	if (!*path || access(path, F_OK))
		return MG_OK;
	text = read_whole(path, FILE_MAX, &len, &no);
	if (!text)
		return fail(s->err, MG_EINVAL, "%s", no.why);
	for (char *at = text, *end; at; at = end) {
		end = strchr(at, '\n');
		if (end)
			*end++ = '\0';
		at[strcspn(at, "\r")] = '\0';
		ini_line(at, *out, &now, config);
	}
	wipe(text, len);
	free(text);
	return MG_OK;
}

/* ------------------------------------------------------------ a profile */

/* The credentials' file wins over the configuration's. */
static json_t *merged(const struct search *s, const char *name)
{
	json_t *a = json_object_get(s->credentials, name), *b = json_object_get(s->config, name), *out;

	if (!a && !b)
		return NULL;
	out = b ? json_copy(b) : json_object();
	json_object_update(out, a);
	return out;
}

static int from_profile(struct search *s, const char *name, unsigned depth);

/* With what a profile's role is assumed. */
static int role_source(struct search *s, const json_t *p, const char *name, unsigned depth)
{
	const char *file = grant_text(p, "web_identity_token_file", NULL), *profile = grant_text(p, "source_profile", NULL),
		*source = grant_text(p, "credential_source", NULL);

	if (file || !source || profile) {
		if (!profile)
			return fail(s->err, MG_EINVAL, "profile '%.60s' has a role_arn, but no source_profile, credential_source or web_identity_token_file", name);
		return from_profile(s, profile, depth + 1);
	}
	if (!strcmp(source, "Environment"))
		return add_environment(s);
	if (!strcmp(source, "EcsContainer"))
		return add_container(s);
	if (!strcmp(source, "Ec2InstanceMetadata"))
		return add_instance(s, false);
	return fail(s->err, MG_EINVAL, "profile '%.60s': credential_source is Environment, EcsContainer or Ec2InstanceMetadata", name);
}

static int profile_keys(struct search *s, const json_t *p, const char *name)
{
	const char *id = grant_text(p, "aws_access_key_id", NULL), *key = grant_text(p, "aws_secret_access_key", NULL);

	if (id && key)
		return add_keys(s, id, key, grant_text(p, "aws_session_token", NULL));
	if (grant_text(p, "credential_process", NULL))
		return fail(s->err, MG_EINVAL, "profile '%.60s' has a credential_process; the gateway runs no programs: write its keys, or let it have a role", name);
	if (grant_text(p, "sso_session", NULL) || grant_text(p, "sso_start_url", NULL))
		return fail(s->err, MG_EINVAL, "profile '%.60s' signs a person in (SSO); a server has a role: container, instance or web identity", name);
	return fail(s->err, MG_EINVAL, "profile '%.60s' has neither keys nor a role", name);
}

static int from_profile(struct search *s, const char *name, unsigned depth)
{
	json_t *p = merged(s, name);
	const char *role = grant_text(p, "role_arn", NULL), *file = grant_text(p, "web_identity_token_file", NULL), *session = grant_text(p, "role_session_name", NULL);
	long long duration = strtoll(grant_text(p, "duration_seconds", "0"), NULL, 10);
	bool itself = depth && grant_text(p, "aws_access_key_id", NULL);	/* of "source_profile" its keys count */
	int rc;

	if (!p)
		return fail(s->err, MG_EINVAL, "profile '%.60s' is neither in %.160s nor in %.160s", name, s->credentials_file, s->config_file);
	if (depth >= PROFILES_MAX)
		rc = fail(s->err, MG_EINVAL, "profile '%.60s': more than %d profiles, one behind the other", name, PROFILES_MAX);
	else if (!role || itself)
		rc = profile_keys(s, p, name);
	else if (grant_text(p, "mfa_serial", NULL))
		rc = fail(s->err, MG_EINVAL, "profile '%.60s' asks a person for a code (mfa_serial); a server has none", name);
	else if (file && !grant_text(p, "source_profile", NULL))
		rc = add_web_identity(s, file, role, session, duration);
	else {
		rc = role_source(s, p, name, depth);
		if (!rc)
			rc = add_role(s, role, session, grant_text(p, "external_id", NULL), duration);
	}
	json_decref(p);
	return rc;
}

static int files(struct search *s)
{
	int rc;

	locate(s->credentials_file, sizeof(s->credentials_file), "AWS_SHARED_CREDENTIALS_FILE", "credentials");
	locate(s->config_file, sizeof(s->config_file), "AWS_CONFIG_FILE", "config");
	rc = ini(s, s->credentials_file, false, &s->credentials);
	return rc ? rc : ini(s, s->config_file, true, &s->config);
}

static const char *profile_of(const struct search *s)
{
	const char *name = row(s, "profile") ? row(s, "profile") : env("AWS_PROFILE");

	return name ? name : "default";
}

/* A profile that nobody named, and that is not there or has only a region in it, is no source. */
static bool has_profile(const struct search *s)
{
	static const char *const all[] = { "aws_access_key_id", "role_arn", "credential_process", "sso_session", "sso_start_url" };
	json_t *p = merged(s, profile_of(s));
	bool has = row(s, "profile") || env("AWS_PROFILE");

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		has = has || grant_text(p, all[i], NULL);
	json_decref(p);
	return has;
}

/* -------------------------------------------------------------- the search */

static int environment_web_identity(struct search *s)
{
	if (!env("AWS_WEB_IDENTITY_TOKEN_FILE"))
		return fail(s->err, MG_EINVAL, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
	return add_web_identity(s, env("AWS_WEB_IDENTITY_TOKEN_FILE"), env("AWS_ROLE_ARN"), env("AWS_ROLE_SESSION_NAME"), 0);
}

static int named(struct search *s, const char *source)
{
	if (!strcmp(source, "environment"))
		return add_environment(s);
	if (!strcmp(source, "web_identity"))
		return environment_web_identity(s);
	if (!strcmp(source, "profile"))
		return from_profile(s, profile_of(s), 0);
	return !strcmp(source, "container") ? add_container(s) : add_instance(s, false);
}

/* The first that has something. */
static int first(struct search *s)
{
	const char *id = row(s, "access_key_id"), *key = row(s, "secret_access_key");

	if (id || key)
		return id && key ? add_keys(s, id, key, row(s, "session_token"))
			: fail(s->err, MG_EINVAL, "access_key_id and secret_access_key go together");
	if (row(s, "web_identity_token_file"))
		return MG_OK;		/* role() below */
	if (row(s, "source"))
		return named(s, row(s, "source"));
	if (row(s, "profile"))
		return from_profile(s, row(s, "profile"), 0);
	if (env("AWS_ACCESS_KEY_ID") && env("AWS_SECRET_ACCESS_KEY"))
		return add_environment(s);
	if (env("AWS_WEB_IDENTITY_TOKEN_FILE") && env("AWS_ROLE_ARN"))
		return environment_web_identity(s);
	if (has_profile(s))
		return from_profile(s, profile_of(s), 0);
	if (env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || env("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
		return add_container(s);
	if (!env_is("AWS_EC2_METADATA_DISABLED", "true") || row(s, "metadata_url"))
		return add_instance(s, true);
	return fail(s->err, MG_EINVAL, "no AWS credentials: none in the environment, no profile, no container's, and the instance's are switched off");
}

/* The row's own role: what is found assumes it. */
static int role(struct search *s)
{
	const char *arn = row(s, "role_arn"), *file = row(s, "web_identity_token_file"), *name = row(s, "session_name");
	long long duration = json_integer_value(json_object_get(s->aws, "duration")) / 1000;

	if (file)
		return add_web_identity(s, file, arn, name, duration);
	return arn ? add_role(s, arn, name, row(s, "external_id"), duration) : MG_OK;
}

static json_t *credential(struct search *s, const char *region)
{
	const char *sts = row(s, "sts_url");
	char usual[160];

	if (!sts)
		sts = env("AWS_ENDPOINT_URL_STS") ? env("AWS_ENDPOINT_URL_STS") : env("AWS_ENDPOINT_URL");
	if (!sts) {
		snprintf(usual, sizeof(usual), "https://sts.%s.amazonaws.com%s/", region, strncmp(region, "cn-", 3) ? "" : ".cn");
		sts = usual;
	}
	if (checked(s, "the address of STS", sts))
		return NULL;
	return json_pack("{s:s, s:s, s:s, s:O}", "type", "aws", "region", region, "sts", sts, "chain", s->chain);
}

json_t *aws_find(const json_t *aws, const char *region, struct err *err)
{
	struct search s = { .aws = aws, .chain = json_array(), .err = err };
	json_t *out = NULL;
	int rc = files(&s);

	if (!rc)
		rc = first(&s);
	if (!rc)
		rc = role(&s);
	if (!rc)
		out = credential(&s, region);
	json_decref(s.chain);
	json_decref(s.credentials);
	json_decref(s.config);
	return out;
}
