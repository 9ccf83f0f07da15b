/*
 * recorded.h - a dialect against what real providers answered: each recorded
 * answer gives the same events however it is cut, and the ones that are
 * expected.  The recordings are not part of the project: without them, SKIP.
 *
 *	$MOONGATE_FIXTURES, or ../shared/fixtures
 */
#ifndef RECORDED_H
#define RECORDED_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "rig.h"

struct recorded {
	const char *file;	/* below the folder, without .json */
	const char *quirks;	/* JSON; NULL: none */
	const char *events;	/* what must be among them, separated by | */
	bool request;		/* its request is canonical, too, and goes out as it came in, streams' usage aside */
};

static json_t *recorded_file(const char *file)
{
	const char *dir = getenv("MOONGATE_FIXTURES");
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s.json", dir ? dir : "../shared/fixtures", file);
	return json_load_file(path, 0, NULL);
}

/* The octets of the answer, to be freed. */
static char *recorded_answer(json_t *response)
{
	json_t *chunk, *chunks = json_object_get(response, "chunks");
	size_t i, len = 0;
	char *all;

	if (!chunks && json_object_get(response, "body"))
		return json_dumps(json_object_get(response, "body"), JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
	if (!chunks)
		return json_string_value(json_object_get(response, "body_text")) ?
			strdup(json_string_value(json_object_get(response, "body_text"))) : NULL;
	json_array_foreach(chunks, i, chunk)
		len += json_string_length(chunk);
	all = calloc(1, len + 1);
	len = 0;
	json_array_foreach(chunks, i, chunk) {
		memcpy(all + len, json_string_value(chunk), json_string_length(chunk));
		len += json_string_length(chunk);
	}
	return all;
}

/* The first of wanted that is not among the events, to be freed; NULL: all are. */
static char *recorded_missing(const char *events, const char *wanted)
{
	while (wanted && *wanted) {
		const char *bar = strchr(wanted, '|');
		size_t len = bar ? (size_t)(bar - wanted) : strlen(wanted);

		if (!memmem(events, strlen(events), wanted, len))
			return strndup(wanted, len);
		wanted = bar ? bar + 1 : NULL;
	}
	return NULL;
}

static void recorded_events(enum mg_op op, const struct recorded *r, struct rig_case *c)
{
	char *cuts = rig_cuts(mg_plugin_entry(), op, c);
	char *events = rig_events(mg_plugin_entry(), op, c, RIG_WHOLE);
	char *missing = events ? recorded_missing(events, r->events) : NULL;
	char name[256];

	snprintf(name, sizeof(name), "recorded %s: the same events at every cut", r->file);
	rig_claim(!cuts, name, cuts);
	snprintf(name, sizeof(name), "recorded %s: the events expected", r->file);
	rig_claim(events && !missing, name, missing);
	free(cuts);
	free(events);
	free(missing);
}

static void recorded_request(enum mg_op op, const struct recorded *r, struct rig_case *c, json_t *body)
{
	char name[256], *sent, *text, *was;

	c->request = text = json_dumps(body, JSON_COMPACT | JSON_PRESERVE_ORDER);
	sent = rig_request(mg_plugin_entry(), op, c);
	if (json_is_true(json_object_get(body, "stream")))
		json_object_set_new(body, "stream_options", json_pack("{s:b}", "include_usage", 1));
	was = json_dumps(body, JSON_COMPACT | JSON_PRESERVE_ORDER);
	snprintf(name, sizeof(name), "recorded %s: the request goes out as it came in", r->file);
	rig_claim(sent && strstr(sent, "\n\n") &&
		rig_same((struct mg_str){ strstr(sent, "\n\n") + 2, strlen(strstr(sent, "\n\n") + 2) }, (struct mg_str){ was, strlen(was) }),
		name, sent);
	free(sent);
	free(text);
	free(was);
	c->request = NULL;
}

static void recorded_run(enum mg_op op, const struct recorded *r)
{
	json_t *file = recorded_file(r->file), *response = json_object_get(file, "response");
	json_t *body = json_object_get(json_object_get(file, "request"), "body");
	const char *model = json_string_value(json_object_get(body, "model"));
	char *answer = recorded_answer(response), endpoint[2048];
	struct rig_case c = { .name = r->file, .answer = answer, .endpoint = endpoint };

	if (!file || !answer) {
		char name[256];

		snprintf(name, sizeof(name), "recorded %s # SKIP not here", r->file);
		rig_claim(true, name, NULL);
		json_decref(file);
		free(answer);
		return;
	}
	snprintf(endpoint, sizeof(endpoint), "{\"model\":\"%s\",\"max_output\":4096,\"quirks\":%s}", model ? model : "m-1", r->quirks ? r->quirks : "{}");
	c.status = (int)json_integer_value(json_object_get(response, "status"));
	c.streamed = json_object_get(response, "chunks") != NULL;
	recorded_events(op, r, &c);
	c.streamed = false;
	if (r->request)
		recorded_request(op, r, &c, body);
	json_decref(file);
	free(answer);
}

#endif
