/* Who said what: each member of the whole tree, and where its value came from. */
#include "base/config_part.h"

struct walk { const struct config *c; struct place at; void (*fn)(void *arg, const char *place, const json_t *value, const char *origin); void *arg; };

/* A variable of the environment; else the line of the innermost literal that holds it. */
static const char *origin_of(const struct config *c, const char *place)
{
	const char *origin = json_string_value(json_object_get(c->origins, place));
	char at[512];

	snprintf(at, sizeof(at), "%s", place);
	for (size_t n = strlen(at); n && !origin;) {
		while (n && at[n - 1] != '.' && at[n - 1] != '[')
			n--;
		n -= n > 0;
		at[n] = 0;
		origin = json_string_value(json_object_get(c->origins, at));
	}
	return origin ? origin : *c->path ? c->path : "built in";
}

/* A list that was written as one value is the only item of itself. */
static const json_t *given_item(const json_t *given, size_t i)
{
	return json_is_array(given) ? json_array_get(given, i) : i ? NULL : given;
}

static void walk(struct walk *w, const json_t *value, const json_t *given)
{
	const char *name;
	json_t *v;
	size_t i, len;

	if (json_is_object(value) && json_object_size(value)) {
		json_object_foreach((json_t *)(uintptr_t)value, name, v) {
			len = place_down(&w->at, name);
			walk(w, v, json_is_object(given) ? json_object_get(given, name) : strcmp(name, "at") ? NULL : given);
			place_up(&w->at, len);
		}
	} else if (json_is_array(value) && json_array_size(value)) {
		json_array_foreach(value, i, v) {
			len = place_item(&w->at, i);
			walk(w, v, given_item(given, i));
			place_up(&w->at, len);
		}
	} else {
		w->fn(w->arg, w->at.text, value, given ? origin_of(w->c, w->at.text) : "default");
	}
}

static json_t *below(json_t *tree, const char *path)
{
	char name[128];

	for (const char *end; path && *path && tree; path = *end ? end + 1 : end) {
		end = path + strcspn(path, ".");
		snprintf(name, sizeof(name), "%.*s", (int)(end - path), path);
		tree = json_object_get(tree, name);
	}
	return tree;
}

int config_walk(const struct config *c, const char *from, void (*fn)(void *arg, const char *place, const json_t *value, const char *origin), void *arg)
{
	struct walk w = { .c = c, .fn = fn, .arg = arg };
	json_t *tree = config_show(c), *part = below(tree, from);
	int rc = part ? MG_OK : MG_EINVAL;

	snprintf(w.at.text, sizeof(w.at.text), "%s", from ? from : "");
	w.at.len = strlen(w.at.text);
	if (part)
		walk(&w, part, below(c->given, from));
	json_decref(tree);
	return rc;
}
