/*
 * The imitators of OpenAI's chat completions, as the catalogue has them: what each is sent and what its
 * answers mean, by exchanges written for this (tests/fixtures/imitators) and not recorded.
 *
 *	{ "provider": a row of sdk/catalog/providers.json, "model": one of its models; none: m-1,
 *	  "exchanges": [ { "name",
 *		"asks": the canonical request, "sends": the body, or "refuses": the reason; an asks or a sends
 *			that names neither model nor messages means one message "Hi"
 *		"status", "headers", "stream": true, "answer": JSON, or the text as it comes, or its lines,
 *		"events": all of them, as sdk/rig.h writes them } ] }
 */
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "rig.h"

static json_t *providers;
static bool bad;

/* The provider's quirks with the model's own over them, as the catalogue lays them. */
static json_t *quirks_of(const char *provider, const char *model)
{
	json_t *all = json_deep_copy(json_object_get(json_object_get(providers, provider), "quirks")), *row, *over;
	char path[256], line[16384];
	FILE *rows;

	snprintf(path, sizeof(path), "sdk/catalog/models/%s.jsonl", provider);
	rows = model ? fopen(path, "r") : NULL;
	all = all ? all : json_object();
	while (rows && fgets(line, sizeof(line), rows)) {
		row = json_loads(line, 0, NULL);
		over = json_object_get(row, "quirks");
		if (json_string_value(json_object_get(row, "model")) && !strcmp(json_string_value(json_object_get(row, "model")), model))
			json_object_update(all, over ? over : json_null());
		json_decref(row);
	}
	if (rows)
		fclose(rows);
	return all;
}

/* A body with what it does not say; to be freed. */
static char *filled(json_t *body, const char *model, bool streamed)
{
	json_t *all = json_pack("{s:s, s:[{s:s, s:s}]}", "model", model, "messages", "role", "user", "content", "Hi");
	char *text;

	json_object_update(all, body);
	if (streamed && !json_object_get(all, "stream"))
		json_object_set_new(all, "stream", json_true());
	text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	return text;
}

static char *lines(json_t *v)
{
	size_t i, len = 0;
	json_t *line;
	char *all;

	if (json_is_string(v))
		return strdup(json_string_value(v));
	if (!json_is_array(v))
		return v ? json_dumps(v, JSON_COMPACT) : NULL;
	json_array_foreach(v, i, line)
		len += json_string_length(line) + 1;
	all = calloc(1, len + 1);
	len = 0;
	json_array_foreach(v, i, line) {
		memcpy(all + len, json_string_value(line), json_string_length(line));
		len += json_string_length(line);
		all[len++] = '\n';
	}
	return all;
}

static void claim(const char *provider, const char *name, const char *what, bool holds, const char *why)
{
	char text[320];

	snprintf(text, sizeof(text), "%s: %s%s", provider, name, what);
	bad |= !rig_claim(holds, text, why);
}

static void asked(const char *provider, const char *name, json_t *x, const char *model, struct rig_case *c)
{
	char *sent, *want = filled(json_object_get(x, "sends"), model, c->streamed), *asks = filled(json_object_get(x, "asks"), "a/b", c->streamed);
	const char *refuses = json_string_value(json_object_get(x, "refuses")), *body;

	c->request = asks;
	sent = rig_request(mg_plugin_entry(), MG_CHAT, c);
	body = sent ? strstr(sent, "\n\n") : NULL;
	body = body ? body + 2 : "";
	if (refuses)
		claim(provider, name, ": refused", sent && strstr(sent, refuses), sent);
	else
		claim(provider, name, ": what is sent", rig_same((struct mg_str){ body, strlen(body) }, (struct mg_str){ want, strlen(want) }), sent);
	c->request = NULL;
	free(sent);
	free(want);
	free(asks);
}

static void answered(const char *provider, const char *name, json_t *x, struct rig_case *c)
{
	const char *want = json_string_value(json_object_get(x, "events"));
	char *events = rig_events(mg_plugin_entry(), MG_CHAT, c, RIG_WHOLE), *cuts = rig_cuts(mg_plugin_entry(), MG_CHAT, c);

	claim(provider, name, ": what it means", events && want && !strcmp(events, want), events);
	claim(provider, name, ": the same at every cut", !cuts, cuts);
	free(events);
	free(cuts);
}

static void exchange(const char *provider, const char *model, json_t *x)
{
	const char *name = json_string_value(json_object_get(x, "name"));
	json_t *quirks = quirks_of(provider, model), *row;
	char *endpoint, *answer = lines(json_object_get(x, "answer")), *headers = lines(json_object_get(x, "headers"));
	struct rig_case c = { .name = name, .status = (int)json_integer_value(json_object_get(x, "status")),
		.streamed = json_is_true(json_object_get(x, "stream")), .answer = answer, .headers = headers };

	row = json_pack("{s:s, s:i, s:o}", "model", model ? model : "m-1", "max_output", 4096, "quirks", quirks);
	c.endpoint = endpoint = json_dumps(row, JSON_COMPACT);
	if (json_object_get(x, "asks"))
		asked(provider, name, x, model ? model : "m-1", &c);
	if (answer)
		answered(provider, name, x, &c);
	json_decref(row);
	free(endpoint);
	free(answer);
	free(headers);
}

int main(void)
{
	glob_t files = { 0 };

	providers = json_load_file("sdk/catalog/providers.json", 0, NULL);
	glob("tests/fixtures/imitators/*.json", 0, NULL, &files);
	claim("tests/fixtures/imitators", "ten of them", "", providers && files.gl_pathc >= 10, NULL);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		json_error_t why;
		json_t *file = json_load_file(files.gl_pathv[i], 0, &why), *x;
		const char *provider = json_string_value(json_object_get(file, "provider"));
		size_t k;

		if (!file || !json_object_get(providers, provider ? provider : ""))
			claim(files.gl_pathv[i], "is of a known provider", "", false, file ? provider : why.text);
		json_array_foreach(json_object_get(file, "exchanges"), k, x)
			exchange(provider, json_string_value(json_object_get(x, "model")), x);
		json_decref(file);
	}
	globfree(&files);
	json_decref(providers);
	return bad;
}
