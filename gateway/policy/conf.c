/*
 * What the configuration says of policies, beyond its table of members: calls for lookup(), and
 * where a request's labels come from.
 */
#include "policy/policy.h"

/* "" where it is not there. */
static const char *text_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static bool is_header(const char *name)
{
	return !name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")];
}

/* ---- lookups */

static int check_header(const char *call, const char *name, const char *value, struct err *err)
{
	if (!is_header(name))
		return fail(err, MG_EINVAL, "policy.lookups.%s.headers: '%.40s' is no name of a header", call, name);
	if (!*name || strpbrk(value, "\r\n"))
		return fail(err, MG_EINVAL, "policy.lookups.%s.headers.%s: a value is one line", call, name);
	return MG_OK;
}

static int check_call(const char *name, const json_t *call, struct err *err)
{
	const char *url = text_at(call, "url"), *query = text_at(call, "query"), *host = strstr(url, "://"), *header;
	const json_t *value;
	int rc = MG_OK;

	if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
		return fail(err, MG_EINVAL, "policy.lookups.%s.url: '%.80s' is neither https:// nor http://", name, url);
	host += 3;
	if (!host[strcspn(host, "/?")] || memchr(host, '@', strcspn(host, "/?")) || strpbrk(url, "# \t\r\n\"\\"))
		return fail(err, MG_EINVAL, "policy.lookups.%s.url: it needs a host and a path, no user and no fragment\nhint: credentials belong into headers", name);
	if (strpbrk(query, "&=#?% "))
		return fail(err, MG_EINVAL, "policy.lookups.%s.query: the name of one member, without & = # ? %%", name);
	json_object_foreach((json_t *)(uintptr_t)json_object_get(call, "headers"), header, value)
		if (!rc)
			rc = check_header(name, header, json_string_value(value), err);
	return rc;
}

/* ---- labels */

const char *label_member(const char *source)
{
	static const char metadata[] = "metadata.";

	return strncmp(source, metadata, sizeof(metadata) - 1) ? NULL : source + sizeof(metadata) - 1;
}

/* "x-team" or "metadata.team"; names are those of members, so that policies write req.labels.team. */
static int check_label(const char *name, const char *source, struct err *err)
{
	const char *member = label_member(source);

	if (!*name || name[strcspn(name, " \t\r\n\"")])
		return fail(err, MG_EINVAL, "policy.labels: '%.40s' is no name", name);
	if (!member && !is_header(source))
		return fail(err, MG_EINVAL, "policy.labels.%s: '%.60s' is neither a header, such as x-team, nor a member of metadata, such as metadata.team", name, source);
	if (!*(member ? member : source))
		return fail(err, MG_EINVAL, "policy.labels.%s: it says where: a header, such as x-team, or a member of metadata, such as metadata.team", name);
	return MG_OK;
}

int policy_conf_check(const json_t *conf, struct err *err)
{
	json_t *policy = json_object_get(conf, "policy"), *item;
	const char *name;
	int rc = MG_OK;

	json_object_foreach(json_object_get(policy, "lookups"), name, item)
		if (!rc)
			rc = check_call(name, item, err);
	json_object_foreach(json_object_get(policy, "labels"), name, item)
		if (!rc)
			rc = check_label(name, json_string_value(item), err);
	return rc;
}
