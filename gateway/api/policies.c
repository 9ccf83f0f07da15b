/*
 * policies.c - which bundle is live, and another one in its place: for
 * management keys.  A bundle comes as its files' texts, so that nobody has to
 * reach a folder of the gateway's machine; what it is checked and tested with is
 * the gateway's own.
 */
#include "api/api.h"
#include "author/versions.h"
#include "base/log.h"

enum { FILES_MAX = 512, ANSWER_MAX = 1 << 20 };

struct change { struct job job; struct api_call *c; struct publication p; const char *action; struct bundle_text *texts; size_t n_texts; int rc; struct err err; };

/* ------------------------------------------------ what is live */

void policies_list(struct api_call *c)
{
	struct buf out;

	buf_init(&out, ANSWER_MAX);
	buf_text(&out, "{");
	versions_print(c->w->gw->versions, &out);
	buf_text(&out, "}");
	api_json(c->http, 200, buf_view(&out));
	buf_release(&out);
}

/* ------------------------------------------------ another one */

static void change_work(struct job *job)
{
	struct change *j = loop_owner(job, struct change, job);
	struct gateway *gw = j->c->w->gw;

	if (j->texts)
		j->rc = bundle_make(j->texts, j->n_texts, gw->base_policies, &j->p.bundle, &j->err);
	if (j->rc == MG_OK)
		j->rc = gw->publish(gw, &j->p, &j->err);
	bundle_unref(j->p.bundle);
}

static void answer(struct http_request *h, const struct change *j)
{
	char text[128];

	switch (j->rc) {
	case MG_OK:
		snprintf(text, sizeof(text), "{\"data\":{\"version\":\"%s\",\"live\":true}}", j->p.live);
		api_json(h, 200, (struct mg_str){ text, strlen(text) });
		break;
	case MG_EINVAL:
		api_error(h, 400, "invalid_request", "%s", j->err.msg);
		break;
	case MG_EDENIED:
		api_error(h, 404, "not_found", "%s", j->err.msg);
		break;
	case MG_EPROTO:
		api_error(h, 409, "conflict", "%s", j->err.msg);
		break;
	default:
		api_error(h, 503, "server", "%s", j->err.msg);
	}
}

static void change_done(struct job *job)
{
	struct change *j = loop_owner(job, struct change, job);

	if (j->rc == MG_OK)
		log_at(LOG_INFO, EV_AUDIT, NULL, LOG_S("action", j->action), LOG_S("target", j->p.live), LOG_S("actor", j->p.by),
			LOG_S("ip", j->c->http->client));
	answer(j->c->http, j);
}

static bool is_one_of(struct mg_str name, const char *const *names)
{
	for (; *names; names++)
		if (mg_is(name, *names))
			return true;
	return false;
}

static int text_member(struct pool *p, struct mg_view body, const char *name, char *out, size_t size, struct err *err)
{
	struct mg_view v = json_get(body, name);
	struct mg_str text = json_text(p, v);

	if (!json_kind(v))
		return 0;
	if (json_kind(v) != MG_STRING || text.len >= size)
		return fail(err, MG_EINVAL, "%s: must be a string of fewer than %zu bytes", name, size);
	snprintf(out, size, "%.*s", (int)text.len, text.at);
	return 0;
}

/* What both have: who says so, and whether guards may go. */
static int read_common(struct change *j, struct mg_view body, const char *const *known, struct err *err)
{
	struct pool *p = j->c->http->pool;
	struct mg_view drop = json_get(body, "drop_guards");
	char said[48] = "";
	int rc;

	if (json_kind(body) != MG_OBJECT)
		return fail(err, MG_EINVAL, "the body must be a JSON object");
	for (struct mg_view v = json_at(body, 0); json_kind(v); v = json_next(v))
		if (!is_one_of(json_name(v), known))
			return fail(err, MG_EINVAL, "unknown member '%.*s'", json_name(v).len > 60 ? 60 : (int)json_name(v).len, json_name(v).at);
	if (json_kind(drop) && json_kind(drop) != MG_TRUE && json_kind(drop) != MG_FALSE)
		return fail(err, MG_EINVAL, "drop_guards: must be true or false");
	j->p.drop_guards = json_kind(drop) == MG_TRUE;
	rc = text_member(p, body, "by", said, sizeof(said), err);
	snprintf(j->p.by, sizeof(j->p.by), "%s%s%s%s", said, said[0] ? " (" : "", j->c->key.label, said[0] ? ")" : "");
	return rc ? rc : text_member(p, body, "from", j->p.from, sizeof(j->p.from), err);
}

static int read_files(struct change *j, struct mg_view body, struct err *err)
{
	static const char *const known[] = { "files", "from", "by", "drop_guards", NULL };
	struct pool *p = j->c->http->pool;
	struct mg_view files = json_get(body, "files");
	size_t n = json_len(files), i = 0;
	struct bundle_text *texts;
	int rc = read_common(j, body, known, err);

	if (rc)
		return rc;
	if (json_kind(files) != MG_OBJECT || n > FILES_MAX)
		return fail(err, MG_EINVAL, "files: must be an object of texts by name, such as \"bundle.lua\"; %d at most", FILES_MAX);
	texts = pool_alloc(p, (n + 1) * sizeof(*texts));
	for (struct mg_view v = json_at(files, 0); texts && json_kind(v); v = json_next(v)) {
		struct mg_str name = pool_dup(p, json_name(v));

		if (json_kind(v) != MG_STRING)
			return fail(err, MG_EINVAL, "files.%.80s: must be a string", name.at ? name.at : "");
		texts[i++] = (struct bundle_text){ name.at, json_text(p, v) };
		if (!name.at || !texts[i - 1].text.at)
			return fail(err, MG_ENOMEM, "no memory for the bundle");
	}
	j->texts = texts;
	j->n_texts = n;
	return texts ? 0 : fail(err, MG_ENOMEM, "no memory for the bundle");
}

static int read_version(struct change *j, struct mg_view body, struct err *err)
{
	static const char *const known[] = { "version", "by", "drop_guards", NULL };
	int rc = read_common(j, body, known, err);

	if (!rc)
		rc = text_member(j->c->http->pool, body, "version", j->p.version, sizeof(j->p.version), err);
	snprintf(j->p.from, sizeof(j->p.from), "version %.12s", j->p.version[0] ? j->p.version : "before");
	return rc;
}

static void change(struct api_call *c, const char *action, int (*read)(struct change *j, struct mg_view body, struct err *err))
{
	struct change *j = pool_alloc(c->http->pool, sizeof(*j));
	struct mg_view body = { 0 };

	if (!j) {
		api_error(c->http, 503, "server", "No memory for the request");
		return;
	}
	*j = (struct change){ .job = { change_work, change_done, c->w->loop, NULL }, .c = c, .action = action };
	j->rc = json_parse(c->http->pool, c->http->body, &body, &j->err);
	if (j->rc == MG_OK)
		j->rc = read(j, body, &j->err);
	if (j->rc == MG_OK && background_change(&j->job))
		return;
	if (j->rc == MG_OK)
		j->rc = fail(&j->err, MG_ENOMEM, "The gateway is stopping");
	answer(c->http, j);
}

void policies_publish(struct api_call *c)
{
	change(c, "policy_publish", read_files);
}

void policies_rollback(struct api_call *c)
{
	change(c, "policy_rollback", read_version);
}
