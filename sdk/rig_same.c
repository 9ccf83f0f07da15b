/* rig_same.c - is what was sent what the case says?  JSON is compared in meaning. */
#include "rig_parts.h"

#include <stdio.h>
#include <stdlib.h>

static bool same_view(struct mg_view a, struct mg_view b);

static bool same_members(struct mg_view a, struct mg_view b)
{
	char name[256];

	if (json_len(a) != json_len(b))
		return false;
	for (a = json_at(a, 0); json_kind(a); a = json_next(a)) {
		snprintf(name, sizeof(name), "%.*s", (int)json_name(a).len, json_name(a).at);
		if (!same_view(a, json_get(b, name)))
			return false;
	}
	return true;
}

static bool same_items(struct mg_view a, struct mg_view b)
{
	a = json_at(a, 0);
	b = json_at(b, 0);
	for (; json_kind(a) && json_kind(b); a = json_next(a), b = json_next(b))
		if (!same_view(a, b))
			return false;
	return !json_kind(a) && !json_kind(b);
}

static bool same_text(struct mg_view a, struct mg_view b)
{
	struct pool *p = pool_new(ROOM);
	struct mg_str x = json_text(p, a), y = json_text(p, b);
	bool same = x.at && y.at && x.len == y.len && !memcmp(x.at, y.at, x.len);

	pool_free(p);
	return same;
}

static bool same_view(struct mg_view a, struct mg_view b)
{
	if (json_kind(a) != json_kind(b))
		return false;
	switch (json_kind(a)) {
	case MG_OBJECT:
		return same_members(a, b);
	case MG_ARRAY:
		return same_items(a, b);
	case MG_STRING:
	case MG_NUMBER:
		return same_text(a, b);
	default:
		return true;
	}
}

bool rig_same(struct mg_str a, struct mg_str b)
{
	struct pool *p = pool_new(ROOM);
	struct mg_view x, y;
	bool same;

	if (json_parse(p, a, &x, NULL) || json_parse(p, b, &y, NULL))
		same = a.len == b.len && !memcmp(a.at, b.at, a.len);
	else
		same = same_view(x, y);
	pool_free(p);
	return same;
}

char *rig_request_differs(const struct setup *s)
{
	const struct rig_case *c = s->c;
	char *sent = rig_setup_request(s), *why = NULL;
	char *path = strchrnul(sent, ' '), *eol = strchrnul(sent, '\n'), *body = strstr(sent, "\n\n");

	if (c->path && (strncmp(path + (*path != 0), c->path, strlen(c->path)) || path + 1 + strlen(c->path) != eol))
		why = rig_say("sends: %s", sent);
	for (const char *at = c->sends, *end; !why && at && *at; at = *end ? end + 1 : end) {
		char line[512], *found;

		end = strchrnul(at, '\n');
		snprintf(line, sizeof(line), "\n%.*s\n", (int)(end - at), at);
		found = strcasestr(eol, line);
		if (!found || (body && found > body))
			why = rig_say("does not send%.*s", (int)strlen(line) - 1, line);
	}
	if (!why && c->body && (!body || !rig_same(text_of(c->body), text_of(body + 2))))
		why = rig_say("sends: %s", sent);
	free(sent);
	return why;
}
