/*
 * recorded.h - a dialect against what real providers answered: each recorded
 * answer gives the same events however it is cut, and the ones that are
 * expected.  The recordings are not part of the project: without them, SKIP.
 *
 *	$MOONGATE_FIXTURES, or ../shared/fixtures
 *
 * A file "invented/..." is ours, in tests/fixtures: what nobody recorded yet.
 */
#ifndef RECORDED_H
#define RECORDED_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "rig.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"	/* rows end where nothing more is to say */

struct recorded {
	const char *file;	/* below the folder, without .json */
	const char *quirks;	/* JSON; NULL: none */
	const char *events;	/* what must be among them, separated by | */
	bool request;		/* its request is canonical, too, and goes out as it came in, streams' usage aside */
	const char *asks;	/* the canonical request that gives the recorded one; "@/input/0": what stands there in the recorded body */
	const char *model;	/* the endpoint's, where the body does not name it */
};

/* What two bodies of a dialect may differ in without another meaning: taken out of both. */
static void (*recorded_level)(json_t *body) __attribute__((unused));

static json_t *recorded_file(const char *file)
{
	const char *dir = getenv("MOONGATE_FIXTURES");
	char path[1024];

	if (!strncmp(file, "invented/", 9))
		snprintf(path, sizeof(path), "tests/fixtures/%s.json", file + 9);
	else
		snprintf(path, sizeof(path), "%s/%s.json", dir ? dir : "../shared/fixtures", file);
	return json_load_file(path, 0, NULL);
}

static size_t recorded_base64(const char *text, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, waiting = 0;
	size_t n = 0;

	for (const char *d; *text && (d = strchr(digits, *text)); text++) {
		bits = bits << 6 | (unsigned)(d - digits);
		waiting += 6;
		if (waiting < 8)
			continue;
		waiting -= 8;
		out[n++] = (char)(bits >> waiting);
	}
	return n;
}

/* Binary frames; their octets count, there may be a NUL among them. */
static char *recorded_binary(json_t *chunks, size_t *len)
{
	json_t *chunk;
	size_t i;
	char *all;

	*len = 0;
	json_array_foreach(chunks, i, chunk)
		*len += json_string_length(chunk);
	all = calloc(1, *len + 1);
	*len = 0;
	json_array_foreach(chunks, i, chunk)
		*len += recorded_base64(json_string_value(chunk), all + *len);
	return all;
}

/* The octets of the answer, to be freed. */
static char *recorded_answer(json_t *response, size_t *octets)
{
	json_t *chunk, *chunks = json_object_get(response, "chunks");
	size_t i, len = 0;
	char *all;

	*octets = 0;		/* up to the NUL */
	if (json_object_get(response, "chunks_base64"))
		return recorded_binary(json_object_get(response, "chunks_base64"), octets);
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
	if (missing)
		printf("# events: %s\n", events);
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

/* The canonical request, with what "@/path" points at in the recorded body. */
static json_t *recorded_filled(json_t *v, json_t *body)
{
	const char *text = json_string_value(v), *name;
	json_t *out, *item;
	size_t i;

	if (text && *text == '@') {
		char part[64];

		while (*++text) {
			size_t len = strcspn(text, "/");

			snprintf(part, sizeof(part), "%.*s", (int)len, text);
			if (len)
				body = json_is_array(body) ? json_array_get(body, strtoul(part, NULL, 10)) : json_object_get(body, part);
			text += len - !text[len];
		}
		return json_deep_copy(body);
	}
	if (!json_is_object(v) && !json_is_array(v))
		return json_deep_copy(v);
	out = json_is_object(v) ? json_object() : json_array();
	if (json_is_object(v))
		json_object_foreach(v, name, item)
			json_object_set_new(out, name, recorded_filled(item, body));
	json_array_foreach(v, i, item)
		json_array_append_new(out, recorded_filled(item, body));
	return out;
}

static char *recorded_leveled(json_t *body)
{
	char *text;

	if (recorded_level && body)
		recorded_level(body);
	text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	return text ? text : strdup("");
}

static void recorded_asks(enum mg_op op, const struct recorded *r, struct rig_case *c, json_t *request)
{
	json_t *body = json_object_get(request, "body"), *asks = json_loads(r->asks, 0, NULL), *filled = recorded_filled(asks, body);
	const char *path = json_string_value(json_object_get(request, "path"));
	char name[256], *text, *sent, *was, *is, *at;

	c->request = text = json_dumps(filled, JSON_COMPACT);
	sent = rig_request(mg_plugin_entry(), op, c);
	at = strstr(sent, "\n\n");
	is = recorded_leveled(at ? json_loads(at + 2, 0, NULL) : NULL);
	was = recorded_leveled(json_deep_copy(body));
	snprintf(name, sizeof(name), "recorded %s: what the call asks is what was sent", r->file);
	if (!rig_claim(rig_same((struct mg_str){ is, strlen(is) }, (struct mg_str){ was, strlen(was) }), name, sent))
		rig_claim(false, "what was sent", was);
	at = strchr(sent, ' ');
	snprintf(name, sizeof(name), "recorded %s: the path", r->file);
	rig_claim(path && at && (strstr(path, "/v1/") || !strncmp(at + 1, path, strlen(path))), name, sent);
	json_decref(asks);
	json_decref(filled);
	free(text);
	free(sent);
	free(is);
	free(was);
	c->request = NULL;
}

/* The answer's headers as lines, to be freed. */
static char *recorded_headers(json_t *response)
{
	const char *name;
	char *all = strdup("");
	json_t *value;

	json_object_foreach(json_object_get(response, "headers"), name, value) {
		char *more = NULL;

		if (asprintf(&more, "%s%s: %s\n", all, name, json_string_value(value)) < 0)
			break;
		free(all);
		all = more;
	}
	return all;
}

static void recorded_run(enum mg_op op, const struct recorded *r)
{
	json_t *file = recorded_file(r->file), *response = json_object_get(file, "response");
	json_t *body = json_object_get(json_object_get(file, "request"), "body");
	const char *model = json_string_value(json_object_get(body, "model"));
	size_t octets = 0;
	char *headers = NULL;
	char *answer = recorded_answer(response, &octets), endpoint[2048];
	struct rig_case c = { .name = r->file, .answer = answer, .answer_len = octets, .endpoint = endpoint };

	if (!file || !answer) {
		char name[256];

		snprintf(name, sizeof(name), "recorded %s # SKIP not here", r->file);
		rig_claim(true, name, NULL);
		json_decref(file);
		free(answer);
		return;
	}
	snprintf(endpoint, sizeof(endpoint), "{\"model\":\"%s\",\"max_output\":4096,\"quirks\":%s}", r->model ? r->model : model ? model : "m-1", r->quirks ? r->quirks : "{}");
	c.status = (int)json_integer_value(json_object_get(response, "status"));
	c.streamed = json_object_get(response, "chunks") || octets;
	c.headers = headers = octets || !strncmp(r->file, "invented/", 9) ? recorded_headers(response) : NULL;
	recorded_events(op, r, &c);
	c.streamed = c.streamed && r->asks;
	if (r->asks)
		recorded_asks(op, r, &c, json_object_get(file, "request"));
	c.streamed = false;
	if (r->request)
		recorded_request(op, r, &c, body);
	json_decref(file);
	free(headers);
	free(answer);
}

#endif
