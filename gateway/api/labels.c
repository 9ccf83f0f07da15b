/*
 * labels.c - words about a request and its key that policies read: of a key what whoever
 * manages keys has written on it, of a request what the configuration names.
 *
 * A filter may depend on one.  So a value that cannot be taken whole is an error, and not a label less.
 */
#include "api/chat.h"

enum { VALUE_MAX = 256 };

struct words labels_read(struct pool *pool, const char *lines)
{
	struct mg_str name, value, *at;
	size_t n = 0;

	for (const char *rest = lines; label_next(&rest, &name, &value); )
		n += 2;
	at = n ? pool_alloc(pool, sizeof(*at) * n) : NULL;
	n = 0;
	while (at && label_next(&lines, &name, &value)) {
		at[n++] = pool_dup(pool, name);
		at[n++] = pool_dup(pool, value);
	}
	return (struct words){ at, n };
}

void key_labels(struct pool *pool, const char *lines, struct facts *f)
{
	f->key.labels = labels_read(pool, lines);
	f->key.plan = (struct mg_str)MG_STR("");
	for (size_t i = 0; i < f->key.labels.n; i += 2)
		if (mg_is(f->key.labels.at[i], "plan"))
			f->key.plan = f->key.labels.at[i + 1];
}

void facts_of_key(struct pool *pool, const struct key_facts *key, struct accounts *accounts, struct facts *f)
{
	f->key.id = (struct mg_str){ key->hash, strlen(key->hash) };
	f->key.org = (struct mg_str){ key->org, strlen(key->org) };
	f->key.workspace = (struct mg_str){ key->workspace, strlen(key->workspace) };
	f->key.credits_bought_nusd = accounts_bought(accounts);
	key_labels(pool, key->labels, f);
}

static int metadata_text(struct pool *pool, struct mg_view request, const char *member, struct mg_str *out, struct err *err)
{
	struct mg_view v = json_get(json_get(request, "metadata"), member);

	switch (json_kind(v)) {
	case MG_ABSENT: case MG_NULL:
		return MG_OK;
	case MG_STRING:
		*out = json_text(pool, v);
		return out->at ? MG_OK : fail(err, MG_ENOMEM, "no memory for a label");
	case MG_TRUE: case MG_FALSE: case MG_NUMBER:
		*out = json_raw(v);
		return MG_OK;
	default:
		return fail(err, MG_EINVAL, "metadata.%s: must be a string, since policies read it", member);
	}
}

static int one_label(struct pool *pool, const char *source, const struct headers *h, struct mg_view request, struct mg_str *out, struct err *err)
{
	const char *member = label_member(source);
	int rc = MG_OK;

	if (member)
		rc = metadata_text(pool, request, member, out, err);
	else if (h)
		*out = h->get(h->of, source);
	if (!rc && out->len > VALUE_MAX)
		rc = fail(err, MG_EINVAL, "%s: is longer than %d bytes, and policies read it", source, VALUE_MAX);
	return rc;
}

static struct mg_str of_http(const void *of, const char *name)
{
	return http_header(of, name);
}

struct headers headers_of(const struct http_request *h)
{
	return (struct headers){ of_http, h };
}

void request_words(const struct headers *h, struct mg_view request, struct facts *f)
{
	struct mg_str policy = h->get(h->of, "x-moongate-policy"), class = h->get(h->of, "x-moongate-data-class");

	if (policy.at && !f->policy.len)
		f->policy = policy;
	if (class.at)
		f->data_class = class;
	if (json_kind(json_get(request, "session_id")) != MG_STRING) {
		struct mg_str session = h->get(h->of, "x-session-id");

		if (session.at)
			f->session = session;
	}
}

int request_labels(struct pool *pool, const json_t *conf, const struct headers *h, struct mg_view request, struct facts *f, struct err *err)
{
	json_t *labels = json_object_get(json_object_get(conf, "policy"), "labels"), *source;
	struct mg_str *at;
	const char *name;
	size_t n = 0;

	if (!json_object_size(labels))
		return MG_OK;
	at = pool_alloc(pool, sizeof(*at) * 2 * json_object_size(labels));
	if (!at)
		return fail(err, MG_ENOMEM, "no memory for labels");
	json_object_foreach(labels, name, source) {
		struct mg_str value = { NULL, 0 };
		int rc = one_label(pool, json_string_value(source), h, request, &value, err);

		if (rc)
			return rc;
		if (!value.at)
			continue;
		at[n++] = pool_dup(pool, (struct mg_str){ name, strlen(name) });
		at[n++] = value;
	}
	f->labels = (struct words){ at, n };
	return MG_OK;
}
