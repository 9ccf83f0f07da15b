/*
 * places.c - where plugins, policies and data files are: beside the binary in a
 * build tree, or below the prefix it was installed under.
 */
#include <stdio.h>
#include <unistd.h>
#include "cli/cli.h"

static bool is_there(const char *path)
{
	return access(path, R_OK) == 0;
}

/* The folder of the running binary, without its last slash. */
static void own_folder(char out[400])
{
	ssize_t n = readlink("/proc/self/exe", out, 399);
	char *slash;

	out[n > 0 ? n : 0] = '\0';
	slash = strrchr(out, '/');
	if (slash)
		*slash = '\0';
}

void places_find(struct places *p, const struct config *conf)
{
	const char *dir = conf ? json_string_value(json_object_get(json_object_get(conf->tree, "plugins"), "dir")) : NULL;
	char here[400], tree[512];

	own_folder(here);
	snprintf(tree, sizeof(tree), "%s/../policies/openrouter", here);
	if (is_there(tree)) {		/* build/moongate of a source tree */
		snprintf(p->plugins, sizeof(p->plugins), "%s/plugins", here);
		snprintf(p->policies, sizeof(p->policies), "%s/../policies", here);
		snprintf(p->catalog, sizeof(p->catalog), "%s/../sdk/catalog", here);
		snprintf(p->template, sizeof(p->template), "%s/../sdk/template", here);
	} else {
		snprintf(p->plugins, sizeof(p->plugins), "%s/../lib/moongate/plugins", here);
		snprintf(p->catalog, sizeof(p->catalog), "%s/../share/moongate/catalog", here);
		snprintf(p->policies, sizeof(p->policies), "%s/../share/moongate/policies", here);
		snprintf(p->template, sizeof(p->template), "%s/../share/moongate/template", here);
	}
	if (dir && dir[0])
		snprintf(p->plugins, sizeof(p->plugins), "%s", dir);
}
