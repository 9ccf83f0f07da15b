#include "catalog/grant.h"

#include <ctype.h>

#include "base/config_part.h"
#include "base/crypto.h"
#include "catalog/aws.h"

#define JWT_BEARER "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
#define CLIENT_ASSERTION "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"

enum { SIGNATURE_MAX = 1024, LIFE_S = 3600, SKEW_S = 10, ASSERTION_MAX = 16384, TOKEN_MAX = 16384 };

const char *grant_text(const json_t *o, const char *member, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(o, member));

	return s && *s ? s : otherwise;
}

/* ------------------------------------------------------- the credential */

json_t *grant_of_row(const json_t *row, const char **member)
{
	static const char *const more[] = { "subject", "scope", "metadata_url" };
	const json_t *google = json_object_get(row, "google"), *entra = json_object_get(row, "entra");
	const char *text = grant_text(google, "credentials", NULL), *type;
	json_t *out;

	*member = google ? "google" : "entra";
	if (google) {
		out = text ? json_loads(text, 0, NULL) : json_pack("{s:s}", "type", "gce_metadata");
		for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
			if (out && grant_text(google, more[i], NULL))
				json_object_set(out, more[i], json_object_get(google, more[i]));
		return out ? out : json_object();	/* of no type: grant_check() says so */
	}
	if (!entra)
		return NULL;
	type = grant_text(entra, "client_secret", NULL) ? "entra_secret" : grant_text(entra, "federated_token_file", NULL) ? "entra_federated" : "entra_managed";
	out = json_copy((json_t *)entra);
	json_object_set_new(out, "type", json_string(type));
	return out;
}

static const struct { const char *type, *needs[4]; } types[] = {
	{ "service_account", { "client_email", "private_key" } },
	{ "authorized_user", { "client_id", "client_secret", "refresh_token" } },
	{ "gce_metadata", { NULL } },
	{ "entra_secret", { "tenant_id", "client_id", "client_secret" } },
	{ "entra_federated", { "tenant_id", "client_id", "federated_token_file" } },
	{ "entra_managed", { NULL } },
};

static bool is_address(const char *url)
{
	return !url || !strncmp(url, "https://", 8) || !strncmp(url, "http://", 7);
}

int grant_check(const json_t *c, struct err *err)
{
	static const char *const addresses[] = { "token_uri", "authority", "metadata_url" };
	const char *type = grant_text(c, "type", "");
	unsigned char out[SIGNATURE_MAX];
	size_t len = sizeof(out), i = 0;

	if (!strcmp(type, "aws"))
		return aws_check(c, err);
	for (size_t k = 0; k < sizeof(addresses) / sizeof(addresses[0]); k++)
		if (!is_address(grant_text(c, addresses[k], NULL)))
			return fail(err, MG_EINVAL, "%s is no address", addresses[k]);
	while (i < sizeof(types) / sizeof(types[0]) && strcmp(types[i].type, type) != 0)
		i++;
	if (i == sizeof(types) / sizeof(types[0]))
		return fail(err, MG_EINVAL, "a credential of an unknown type; a service account's or a user's key file is one");
	for (size_t k = 0; k < 4 && types[i].needs[k]; k++)
		if (!grant_text(c, types[i].needs[k], NULL))
			return fail(err, MG_EINVAL, "%s has no %s", type, types[i].needs[k]);
	if (!strcmp(type, "service_account"))	/* a key that cannot sign is found now, and not at the first request */
		return sign_rs256(grant_text(c, "private_key", ""), "x", 1, out, &len, err);
	return MG_OK;
}

/* --------------------------------------------------------- the requests */

struct mg_str grant_escaped(struct pool *p, const char *s)
{
	char *out = pool_alloc(p, 3 * strlen(s) + 1);
	size_t n = 0;

	for (; out && *s; s++)
		if (isalnum((unsigned char)*s) || strchr("-_.~", *s))
			out[n++] = *s;
		else
			n += (size_t)snprintf(out + n, 4, "%%%02X", (unsigned char)*s);
	return (struct mg_str){ out, n };
}

static struct mg_str encoded(struct pool *p, const void *at, size_t len)
{
	char *out = pool_alloc(p, len / 3 * 4 + 5);

	return (struct mg_str){ out, out ? base64url(at, len, out) : 0 };
}

static struct mg_str encoded_json(struct pool *p, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);
	struct mg_str out = { NULL, 0 };

	if (text)
		out = encoded(p, text, strlen(text));
	free(text);
	json_decref(o);
	return out;
}

/* RFC 7523: header.claims.signature */
static int jwt(struct pool *p, const json_t *c, const char *scope, time_t now, struct mg_str *out, struct err *err)
{
	json_int_t begin = (json_int_t)now - SKEW_S;
	const char *audience = grant_text(c, "token_uri", "https://oauth2.googleapis.com/token");
	struct mg_str head = encoded_json(p, json_pack("{s:s, s:s, s:s*}", "alg", "RS256", "typ", "JWT", "kid", grant_text(c, "private_key_id", NULL)));
	struct mg_str claims = encoded_json(p, json_pack("{s:s, s:s, s:s, s:I, s:I, s:s*}", "iss", grant_text(c, "client_email", ""),
		"scope", scope, "aud", audience, "iat", begin, "exp", begin + LIFE_S, "sub", grant_text(c, "subject", NULL))), input, signature;
	unsigned char bytes[SIGNATURE_MAX];
	size_t len = sizeof(bytes);
	int rc;

	if (!head.at || !claims.at)
		return fail(err, MG_ENOMEM, "no memory for a token's request");
	input = pool_print(p, "%s.%s", head.at, claims.at);
	if (!input.at)
		return fail(err, MG_ENOMEM, "no memory for a token's request");
	rc = sign_rs256(grant_text(c, "private_key", ""), input.at, input.len, bytes, &len, err);
	if (rc)
		return rc;
	signature = encoded(p, bytes, len);
	*out = signature.at ? pool_print(p, "%s.%s", input.at, signature.at) : signature;
	return out->at ? MG_OK : fail(err, MG_ENOMEM, "no memory for a token's request");
}

static void post(struct grant *g, const char *url, struct mg_str body)
{
	g->method = "POST";
	g->url = url;
	g->headers[g->n_headers++] = MG_STR("Content-Type: application/x-www-form-urlencoded");
	g->body = body;
}

static int service_account(struct pool *p, const json_t *c, const char *scope, time_t now, struct grant *g, struct err *err)
{
	struct mg_str assertion;
	int rc = jwt(p, c, scope, now, &assertion, err);

	if (!rc)
		post(g, grant_text(c, "token_uri", "https://oauth2.googleapis.com/token"),
			pool_print(p, "grant_type=%s&assertion=%s", JWT_BEARER, assertion.at));
	return rc;
}

static int user(struct pool *p, const json_t *c, struct grant *g)
{
	struct mg_str id = grant_escaped(p, grant_text(c, "client_id", "")), secret = grant_escaped(p, grant_text(c, "client_secret", "")),
		refresh = grant_escaped(p, grant_text(c, "refresh_token", ""));

	if (id.at && secret.at && refresh.at)
		post(g, grant_text(c, "token_uri", "https://oauth2.googleapis.com/token"),
			pool_print(p, "grant_type=refresh_token&client_id=%s&client_secret=%s&refresh_token=%s", id.at, secret.at, refresh.at));
	return MG_OK;
}

static int metadata(struct pool *p, const json_t *c, const char *scope, struct grant *g)
{
	struct mg_str scopes = grant_escaped(p, scope);

	g->method = "GET";
	g->url = pool_print(p, "%s/computeMetadata/v1/instance/service-accounts/default/token?scopes=%s",
		grant_text(c, "metadata_url", "http://metadata.google.internal"), scopes.at ? scopes.at : "").at;
	g->headers[g->n_headers++] = MG_STR("Metadata-Flavor: Google");
	return MG_OK;
}

/* Kubernetes and others renew the file; it is small and in memory, so the loop may read it. */
int grant_file(struct pool *p, const char *path, struct mg_str *out, struct err *err)
{
	struct fetch_failure no = { .why = "" };
	size_t len;
	char *text = read_whole(path, ASSERTION_MAX, &len, &no);

	if (!text)
		return fail(err, MG_EINVAL, "%s", no.why);
	text[strcspn(text, " \r\n")] = '\0';
	*out = pool_dup(p, (struct mg_str){ text, strlen(text) });
	wipe(text, len);
	free(text);
	return out->at ? MG_OK : fail(err, MG_ENOMEM, "no memory for a token's request");
}

static int assertion_of(struct pool *p, const json_t *c, struct mg_str *out, struct err *err)
{
	int rc = grant_file(p, grant_text(c, "federated_token_file", ""), out, err);

	if (!rc)
		*out = grant_escaped(p, out->at);
	return rc;
}

static int entra(struct pool *p, const json_t *c, const char *scope, bool federated, struct grant *g, struct err *err)
{
	struct mg_str id = grant_escaped(p, grant_text(c, "client_id", "")), scopes = grant_escaped(p, scope), proof = grant_escaped(p, grant_text(c, "client_secret", "")),
		tenant = grant_escaped(p, grant_text(c, "tenant_id", ""));
	struct mg_str url = pool_print(p, "%s/%s/oauth2/v2.0/token", grant_text(c, "authority", "https://login.microsoftonline.com"), tenant.at ? tenant.at : "");
	int rc = federated ? assertion_of(p, c, &proof, err) : MG_OK;

	if (rc || !id.at || !scopes.at || !proof.at)
		return rc;
	post(g, url.at, pool_print(p, "grant_type=client_credentials&client_id=%s&scope=%s&%s=%s", id.at, scopes.at,
		federated ? "client_assertion_type=" CLIENT_ASSERTION "&client_assertion" : "client_secret", proof.at));
	return MG_OK;
}

/* The resource is the scope without its last part, "/.default". */
static int managed(struct pool *p, const json_t *c, const char *scope, struct grant *g)
{
	const char *end = strstr(scope, "/.default"), *client = grant_text(c, "client_id", NULL);
	struct mg_str resource = pool_dup(p, (struct mg_str){ scope, end ? (size_t)(end - scope) : strlen(scope) }), id = grant_escaped(p, client ? client : "");

	resource = grant_escaped(p, resource.at ? resource.at : "");
	g->method = "GET";
	g->url = pool_print(p, "%s/metadata/identity/oauth2/token?api-version=2018-02-01&resource=%s%s%s",
		grant_text(c, "authority", "http://169.254.169.254"), resource.at ? resource.at : "", client ? "&client_id=" : "", id.at ? id.at : "").at;
	g->headers[g->n_headers++] = MG_STR("Metadata: true");
	return MG_OK;
}

int grant_begin(struct pool *p, const json_t *c, const char *scope, time_t now, struct grant *out, struct err *err)
{
	const char *type = grant_text(c, "type", "");
	int rc;

	*out = (struct grant){ .asked = "the token server" };
	if (!strcmp(type, "aws"))
		return aws_begin(p, c, now, out, err);
	if (!*scope)
		scope = strncmp(type, "entra", 5) ? "https://www.googleapis.com/auth/cloud-platform" : "https://cognitiveservices.azure.com/.default";
	scope = grant_text(c, "scope", scope);
	if (!strcmp(type, "service_account"))
		rc = service_account(p, c, scope, now, out, err);
	else if (!strcmp(type, "authorized_user"))
		rc = user(p, c, out);
	else if (!strcmp(type, "gce_metadata"))
		rc = metadata(p, c, scope, out);
	else if (!strcmp(type, "entra_managed"))
		rc = managed(p, c, scope, out);
	else
		rc = entra(p, c, scope, !strcmp(type, "entra_federated"), out, err);
	if (!rc && (!out->method || !out->url || (!strcmp(out->method, "POST") && !out->body.at)))
		rc = fail(err, MG_ENOMEM, "no memory for a token's request");
	return rc;
}

/* ---------------------------------------------------------- the answers */

/* Seconds as a number, or in quotes as Entra's older servers write it. */
static uint64_t life_of(const json_t *answer)
{
	json_t *v = json_object_get(answer, "expires_in");
	long long n = json_is_string(v) ? strtoll(json_string_value(v), NULL, 10) : json_integer_value(v);

	return n <= 0 ? GRANT_LIFE_MAX_S / 24 : n > GRANT_LIFE_MAX_S ? GRANT_LIFE_MAX_S : (uint64_t)n;
}

bool grant_printable(const char *s)
{
	for (size_t i = 0; s[i]; i++)
		if (s[i] <= ' ' || s[i] >= 0x7f || i > TOKEN_MAX)
			return false;
	return *s != '\0';
}

int grant_refused(const struct grant *g, int status, const char *word, struct err *err)
{
	if (!word || !*word || strlen(word) > 60 || word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")])
		word = status / 100 == 2 ? "an answer without a token" : "no word why";
	return fail(err, MG_EDENIED, "%s answered %d, %s", g->asked, status, word);
}

/* All of Google's and Entra's servers answer alike. */
static int oauth_answered(struct pool *p, int status, struct mg_str text, struct grant *g, struct err *err)
{
	json_t *answer = json_loadb(text.at ? text.at : "", text.len, 0, NULL), *error = json_object_get(answer, "error");
	const char *token = json_string_value(json_object_get(answer, "access_token"));
	int rc = MG_OK;

	if (status / 100 != 2 || !token || !grant_printable(token)) {
		rc = grant_refused(g, status, json_is_object(error) ? grant_text(error, "status", "") : json_string_value(error), err);
	} else {
		g->value = pool_dup(p, (struct mg_str){ token, strlen(token) });
		g->life_s = life_of(answer);
		rc = g->value.at ? MG_OK : fail(err, MG_ENOMEM, "no memory");
	}
	if (token)
		wipe((void *)(uintptr_t)token, strlen(token));
	json_decref(answer);
	return rc;
}

int grant_answered(struct pool *p, const json_t *c, time_t now, int status, struct mg_str answer, struct grant *g, struct err *err)
{
	if (!strcmp(grant_text(c, "type", ""), "aws"))
		return aws_answered(p, c, now, status, answer, g, err);
	return oauth_answered(p, status, answer, g, err);
}
