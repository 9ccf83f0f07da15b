/* policy_idle.c - policies that lie in a bundle's folder, and that its bundle.lua does not name. */
#include "cli/policy.h"

struct idle { struct mg_str lists; };	/* bundle.lua */

static bool has(struct mg_str text, const char *word)
{
	return text.len && memmem(text.at, text.len, word, strlen(word));
}

static bool find_lists(void *arg, const char *name, struct mg_str text)
{
	struct idle *i = arg;

	if (!strcmp(name, "bundle.lua"))
		i->lists = text;
	return true;
}

static bool look(void *arg, const char *name, struct mg_str text)
{
	const struct idle *i = arg;
	size_t len = strlen(name);
	char twice[80], once[80];

	if (len < 5 || len > 60 || strcmp(name + len - 4, ".lua") || !strcmp(name, "bundle.lua") || (len > 9 && !strcmp(name + len - 9, "_test.lua")))
		return true;
	snprintf(twice, sizeof(twice), "\"%.*s\"", (int)len - 4, name);
	snprintf(once, sizeof(once), "'%.*s'", (int)len - 4, name);
	if (has(text, "return policy") && !has(i->lists, twice) && !has(i->lists, once))
		cli_note("note: %s runs nowhere: bundle.lua does not name it, such as policies = { guard = { { use = %s } } }\n", name, twice);
	return true;
}

void policy_note_idle(const struct bundle *b)
{
	struct idle i = { .lists = { 0 } };

	bundle_each(b, find_lists, &i);
	bundle_each(b, look, &i);
}
