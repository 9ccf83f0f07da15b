/* The same tree in JSON: {"$env": "NAME", "default": ""} and {"$file": "P"} stand for env and file. */
#include "base/config_part.h"
#include "base/crypto.h"

static json_t *resolve(struct reading *r, json_t *v, struct place *at, int depth);

static json_t *fetched(struct reading *r, json_t *v, struct place *at)
{
	const char *env = json_string_value(json_object_get(v, "$env"));
	const char *file = json_string_value(json_object_get(v, "$file"));
	struct fetch_failure no = { "", "" };
	char *text = NULL;
	json_t *out;

	if (env)
		text = fetch_env(env, json_string_value(json_object_get(v, "default")), &no);
	else if (file)
		text = fetch_file(file, r->dir, &no);
	else
		return config_fail(r, at->text, "{\"$env\": \"NAME\"} or {\"$file\": \"P\"}", "names no string"), NULL;
	out = text ? json_string(text) : config_absent(r, at->text, NULL, no.why, no.hint);
	if (!text)
		return out;
	if (!out)
		config_fail(r, at->text, NULL, "the value is not UTF-8");
	else
		json_object_set_new(r->fetched, text, json_true());
	wipe(text, strlen(text));
	free(text);
	return out;
}

static json_t *object(struct reading *r, json_t *v, struct place *at, int depth)
{
	json_t *out = json_object(), *item, *done;
	const char *name;
	size_t up;

	json_object_foreach(v, name, item) {
		up = place_down(at, name);
		done = resolve(r, item, at, depth + 1);
		if (!done || json_object_set_new(out, name, done)) {
			json_decref(out);
			return NULL;
		}
		place_up(at, up);
	}
	return out;
}

static json_t *array(struct reading *r, json_t *v, struct place *at, int depth)
{
	json_t *out = json_array(), *item, *done;
	size_t i, up;

	json_array_foreach(v, i, item) {
		up = place_item(at, i);
		done = resolve(r, item, at, depth + 1);
		if (!done || json_array_append_new(out, done)) {
			json_decref(out);
			return NULL;
		}
		place_up(at, up);
	}
	return out;
}

static json_t *resolve(struct reading *r, json_t *v, struct place *at, int depth)
{
	if (depth > CONFIG_DEPTH) {
		config_fail(r, at->text, NULL, "nested deeper than %d", CONFIG_DEPTH);
		return NULL;
	}
	if (json_is_object(v) && (json_object_get(v, "$env") || json_object_get(v, "$file")))
		return fetched(r, v, at);
	if (json_is_object(v))
		return object(r, v, at, depth);
	if (json_is_array(v))
		return array(r, v, at, depth);
	return json_incref(v);
}

json_t *config_read_json(struct reading *r, const char *path, const char *text, size_t len)
{
	struct place at = { "", 0 };
	json_error_t bad;
	json_t *raw = json_loadb(text, len, JSON_REJECT_DUPLICATES, &bad), *out;

	if (!raw) {
		fail(r->err, MG_EINVAL, "%s:%d: %s", path, bad.line, bad.text);
		return NULL;
	}
	if (source_scan(r, path, text, true)) {
		json_decref(raw);
		return NULL;
	}
	out = resolve(r, raw, &at, 0);
	json_decref(raw);
	return out;
}
