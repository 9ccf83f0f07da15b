/* The exchanges that give AWS's temporary credentials. */
#include <string.h>

#include "base/crypto.h"
#include "catalog/aws.h"
#include "plugin/sigv4.h"

#define FORM MG_STR("Content-Type: application/x-www-form-urlencoded")
#define ROLES "/latest/meta-data/iam/security-credentials/"

enum { LIFE_UNSAID_S = 900, ROLE_MAX = 256 };

static const json_t *link_at(const json_t *c, size_t i)
{
	return json_array_get(json_object_get(c, "chain"), i);
}

static bool is(const json_t *link, const char *from)
{
	return !strcmp(grant_text(link, "from", ""), from);
}

static int no_memory(struct err *err)
{
	return fail(err, MG_ENOMEM, "no memory for AWS's credentials");
}

int aws_check(const json_t *c, struct err *err)
{
	if (!link_at(c, 0) || !grant_text(c, "region", NULL) || !grant_text(c, "sts", NULL))
		return fail(err, MG_EINVAL, "aws has no source of credentials, or no region");
	return MG_OK;
}

const char *aws_pair(const json_t *c)
{
	const json_t *first = link_at(c, 0);

	return first && !link_at(c, 1) && is(first, "keys") ? grant_text(first, "pair", NULL) : NULL;
}

void aws_about(const json_t *c, char *out, size_t size)
{
	const json_t *link;
	size_t n = 0;

	*out = '\0';
	for (size_t i = 0; (link = link_at(c, i)) && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i ? " + " : "", grant_text(link, "from", ""));
}

/* ---------------------------------------------------------- what is asked */

static void get(struct grant *g, const char *url)
{
	g->method = "GET";
	g->url = url;
}

static void add(struct grant *g, struct mg_str header)
{
	g->headers[g->n_headers++] = header;
}

static struct mg_str form(struct pool *p, const json_t *link, const char *action)
{
	struct mg_str role = grant_escaped(p, grant_text(link, "role_arn", "")), name = grant_escaped(p, grant_text(link, "session_name", "moongate")), none = { 0 };
	long long duration = json_integer_value(json_object_get(link, "duration"));

	return role.at && name.at ? pool_print(p, "Action=%s&Version=2011-06-15&RoleArn=%s&RoleSessionName=%s&DurationSeconds=%lld",
		action, role.at, name.at, duration ? duration : 3600) : none;
}

static void post(struct grant *g, const json_t *c, struct mg_str body)
{
	g->asked = "STS";
	g->near = false;
	g->method = "POST";
	g->url = grant_text(c, "sts", "");
	g->body = body;
	add(g, FORM);
}

static int ask_web_identity(struct pool *p, const json_t *c, const json_t *link, struct grant *g, struct err *err)
{
	struct mg_str all = form(p, link, "AssumeRoleWithWebIdentity"), token;
	int rc = grant_file(p, grant_text(link, "file", ""), &token, err);

	if (rc)
		return rc;
	token = grant_escaped(p, token.at);
	post(g, c, all.at && token.at ? pool_print(p, "%s&WebIdentityToken=%s", all.at, token.at) : token);
	return g->body.at ? MG_OK : no_memory(err);
}

/* Signed with what came before it. */
static int ask_role(struct pool *p, const json_t *c, const json_t *link, time_t now, struct grant *g, struct err *err)
{
	const char *region = grant_text(c, "region", ""), *id = grant_text(link, "external_id", NULL);
	struct mg_str all = form(p, link, "AssumeRole"), external = grant_escaped(p, id ? id : ""), added[SIGV4_ADDED];
	struct sigv4_who who = { .region = { region, strlen(region) }, .service = MG_STR("sts") };
	struct sigv4_what what;
	size_t n;

	post(g, c, all.at && external.at ? pool_print(p, "%s%s%s", all.at, id ? "&ExternalId=" : "", external.at) : external);
	if (!g->body.at)
		return no_memory(err);
	if (!sigv4_pair(g->given, &who))
		return fail(err, MG_EINVAL, "a role needs credentials to be assumed with");
	what = (struct sigv4_what){ MG_STR("POST"), { g->url, strlen(g->url) }, g->headers, g->n_headers, &g->body, 1 };
	if (sigv4(p, &who, &what, now, added, &n, NULL))
		return no_memory(err);
	for (size_t i = 0; i < n; i++)
		add(g, added[i]);
	return MG_OK;
}

static int ask_container(struct pool *p, const json_t *link, struct grant *g, struct err *err)
{
	const char *file = grant_text(link, "token_file", NULL), *said = grant_text(link, "token", "");
	struct mg_str token = { said, strlen(said) };
	int rc = file ? grant_file(p, file, &token, err) : MG_OK;

	if (rc)
		return rc;
	g->asked = "the container's credentials";
	g->near = true;
	get(g, grant_text(link, "url", ""));
	if (!token.len)
		return MG_OK;
	if (!grant_printable(token.at))
		return fail(err, MG_EINVAL, "the token for the container's credentials is none");
	add(g, pool_print(p, "Authorization: %s", token.at));
	return g->headers[g->n_headers - 1].at ? MG_OK : no_memory(err);
}

/* IMDSv2: a session, the role's name, its credentials.  given: the session, from the second step on "session\nrole". */
static int ask_instance(struct pool *p, const json_t *link, struct grant *g, struct err *err)
{
	static const struct mg_str ttl = MG_STR("X-aws-ec2-metadata-token-ttl-seconds: 21600");
	const char *role = g->given.at ? strchr(g->given.at, '\n') : NULL, *url = grant_text(link, "url", "");
	struct mg_str at = pool_print(p, "%s%s%s", url, g->step ? ROLES : "/latest/api/token", role ? role + 1 : "");

	g->asked = json_is_true(json_object_get(link, "last")) ? "the instance's metadata (no other source has AWS's credentials)" : "the instance's metadata";
	g->near = true;
	get(g, at.at);
	if (!g->step)
		g->method = "PUT";
	add(g, !g->step ? ttl : pool_print(p, "X-aws-ec2-metadata-token: %.*s", role ? (int)(role - g->given.at) : (int)g->given.len, g->given.at));
	return at.at && g->headers[0].at ? MG_OK : no_memory(err);
}

/* What the link asks next, or the end of the chain. */
static int ask(struct pool *p, const json_t *c, time_t now, struct grant *g, struct err *err)
{
	const json_t *link = link_at(c, g->link);

	g->n_headers = 0;
	g->body = (struct mg_str){ 0 };
	if (link && is(link, "keys")) {
		const char *pair = grant_text(link, "pair", "");

		g->given = (struct mg_str){ pair, strlen(pair) };
		link = link_at(c, ++g->link);
	}
	if (!link) {
		g->value = g->given;
		return MG_OK;
	}
	if (is(link, "web_identity"))
		return ask_web_identity(p, c, link, g, err);
	if (is(link, "role"))
		return ask_role(p, c, link, now, g, err);
	if (is(link, "container"))
		return ask_container(p, link, g, err);
	return ask_instance(p, link, g, err);
}

int aws_begin(struct pool *p, const json_t *c, time_t now, struct grant *g, struct err *err)
{
	g->life_s = GRANT_LIFE_MAX_S;
	return ask(p, c, now, g, err);
}

/* ---------------------------------------------------------- what it gave */

/* The first element of the name, which has no others inside; absent. */
static struct mg_str element(struct pool *p, struct mg_str xml, const char *name)
{
	struct mg_str open = pool_print(p, "<%s>", name), none = { 0 };
	const char *at = open.at && xml.len ? memmem(xml.at, xml.len, open.at, open.len) : NULL, *end;

	if (!at)
		return none;
	at += open.len;
	end = memchr(at, '<', (size_t)(xml.at + xml.len - at));
	return end ? pool_dup(p, (struct mg_str){ at, (size_t)(end - at) }) : none;
}

/* From XML, or from JSON, where the names are the same but for the token's. */
static struct mg_str said(struct pool *p, struct mg_str text, const json_t *json, const char *name)
{
	const char *s = json_string_value(json_object_get(json, json && !strcmp(name, "SessionToken") ? "Token" : name));
	struct mg_str none = { 0 };

	if (json)
		return s ? pool_dup(p, (struct mg_str){ s, strlen(s) }) : none;
	return element(p, text, name);
}

/* "2026-11-21T14:03:11Z", ".123" and the like before the Z. */
static bool seconds_until(const char *when, time_t now, uint64_t *out)
{
	struct tm tm = { .tm_mday = 1 };
	time_t then;

	if (!strptime(when, "%Y-%m-%dT%H:%M:%S", &tm))
		return false;
	then = timegm(&tm);
	*out = then > now ? (uint64_t)(then - now) : 0;
	return true;
}

static int take(struct pool *p, time_t now, int status, struct mg_str text, struct grant *g, struct err *err)
{
	json_t *json = text.len && *text.at == '{' ? json_loadb(text.at, text.len, 0, NULL) : NULL;
	struct mg_str id = said(p, text, json, "AccessKeyId"), key = said(p, text, json, "SecretAccessKey"), token = said(p, text, json, "SessionToken"),
		until = said(p, text, json, "Expiration"), code = said(p, text, json, json && json_object_get(json, "Code") ? "Code" : json ? "code" : "Code");
	uint64_t life_s = LIFE_UNSAID_S;
	int rc = MG_OK;

	if (status / 100 != 2 || !id.len || !key.len || strchr(id.at, ':') || strchr(key.at, ':') ||
	    !grant_printable(id.at) || !grant_printable(key.at) || (token.len && !grant_printable(token.at)))
		rc = grant_refused(g, status, code.at, err);
	else if (until.at && !seconds_until(until.at, now, &life_s))
		rc = fail(err, MG_EDENIED, "%s answered with credentials whose end is no time", g->asked);
	else if (!life_s)
		rc = fail(err, MG_EDENIED, "%s answered with credentials that are over", g->asked);
	else
		g->given = pool_print(p, "%s:%s%s%s", id.at, key.at, token.len ? ":" : "", token.len ? token.at : "");
	json_decref(json);
	if (rc || !g->given.at)
		return rc ? rc : no_memory(err);
	g->life_s = life_s < GRANT_LIFE_MAX_S ? life_s : GRANT_LIFE_MAX_S;	/* a role's end is its own, not that of who assumed it */
	return MG_OK;
}

/* One line of it, fit for a header or a path. */
static struct mg_str line(struct pool *p, struct mg_str text)
{
	struct mg_str s = pool_dup(p, (struct mg_str){ text.at, text.at ? strcspn(text.at, "\r\n") : 0 }), none = { 0 };

	return s.at && grant_printable(s.at) ? s : none;
}

/* Of the first two steps of an instance; true: there is another one. */
static int stepped(struct pool *p, int status, struct mg_str text, struct grant *g, struct err *err)
{
	struct mg_str s = status / 100 == 2 ? line(p, pool_dup(p, text)) : (struct mg_str){ 0 };

	if (g->step == 1 && status == 404)
		return fail(err, MG_EDENIED, "the instance has no role");
	if (!s.at)
		return grant_refused(g, status, NULL, err);
	if (g->step == 1)
		s = s.len < ROLE_MAX && !strpbrk(s.at, "/?#%") ? pool_print(p, "%s\n%s", g->given.at, s.at) : (struct mg_str){ 0 };
	g->given = s;
	g->step++;
	return s.at ? MG_OK : fail(err, MG_EDENIED, "the instance's role has no name");
}

int aws_answered(struct pool *p, const json_t *c, time_t now, int status, struct mg_str answer, struct grant *g, struct err *err)
{
	const json_t *link = link_at(c, g->link);
	int rc;

	if (is(link, "instance") && g->step < 2) {
		rc = stepped(p, status, answer, g, err);
	} else {
		rc = take(p, now, status, answer, g, err);
		g->link++;
		g->step = 0;
	}
	return rc ? rc : ask(p, c, now, g, err);
}
