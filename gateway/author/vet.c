/*
 * What a bundle must show before it goes live: `check` finds nothing, and every
 * test passes.  The first thing that is wrong is told, with its file and line.
 * What is shipped was tested with this release, alone and below other files.
 */
#include "author/tools.h"

struct finding { char text[200]; size_t n; bool testing; };

/* Of a failed test the line behind it says where. */
static void on_line(void *arg, const char *line)
{
	struct finding *f = arg;
	bool told = f->testing ? line[0] == '#' : true;

	if (!told)
		return;
	if (!f->n++)
		snprintf(f->text, sizeof(f->text), "%s", f->testing ? line + 2 : line);
}

static int found(const struct finding *f, const char *what, struct err *err)
{
	if (f->n == 1)
		return fail(err, MG_EINVAL, "%s", f->text);
	return fail(err, MG_EINVAL, "%s\nhint: %zu more %s", f->text, f->n - 1, what);
}

int bundle_vet(struct bundle *b, struct err *err)
{
	struct finding checked = { .n = 0 }, tested = { .testing = true };
	int rc;

	if (b->shipped)
		return 0;
	if (bundle_check(b, on_line, &checked))
		return found(&checked, "by 'moongate policy check'", err);
	rc = bundle_test(b, NULL, on_line, &tested, err);
	return rc > 0 ? found(&tested, "by 'moongate policy test'", err) : rc;
}
