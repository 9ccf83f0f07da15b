/* rig.c - cases as claims of the Test Anything Protocol. */
#include "rig_parts.h"

#include <stdio.h>
#include <stdlib.h>

static int claims, broken;

static void plan(void)
{
	printf("1..%d\n", claims);
}

/* Each line of a diagnosis begins with a hash. */
static void diagnose(const char *text)
{
	printf("# ");
	for (; *text; text++) {
		putchar(*text);
		if (*text == '\n')
			printf("# ");
	}
	putchar('\n');
}

bool rig_claim(bool holds, const char *name, const char *why)
{
	if (!claims++)
		atexit(plan);
	broken += !holds;
	printf("%sok %d - %s\n", holds ? "" : "not ", claims, name);
	if (!holds && why)
		diagnose(why);
	fflush(stdout);
	return holds;
}

char *rig_events(const struct mg_plugin *p, enum mg_op op, const struct rig_case *c, size_t cut)
{
	struct setup s;
	char *text = rig_setup(&s, p, op, c) ? strdup(s.why) : rig_setup_events(&s, cut);

	pool_free(s.pool);
	return text;
}

char *rig_request(const struct mg_plugin *p, enum mg_op op, const struct rig_case *c)
{
	struct setup s;
	char *text = rig_setup(&s, p, op, c) ? strdup(s.why) : rig_setup_request(&s);

	pool_free(s.pool);
	return text;
}

char *rig_cuts(const struct mg_plugin *p, enum mg_op op, const struct rig_case *c)
{
	struct setup s;
	char *why = rig_setup(&s, p, op, c) ? strdup(s.why) : rig_setup_cuts(&s);

	pool_free(s.pool);
	return why;
}

static char *events_differ(const struct setup *s)
{
	char *got, *why = NULL;

	if (!s->c->events)
		return NULL;
	got = rig_setup_events(s, RIG_WHOLE);
	if (strcmp(got, s->c->events))
		why = rig_say("want: %s\ngot:  %s", s->c->events, got);
	free(got);
	return why;
}

static void run_case(const struct mg_plugin *p, enum mg_op op, const struct rig_case *c)
{
	struct setup s;
	char *why = rig_setup(&s, p, op, c) ? strdup(s.why) : NULL;

	if (!why)
		why = rig_request_differs(&s);
	if (!why)
		why = events_differ(&s);
	if (!why)
		why = rig_setup_cuts(&s);
	rig_claim(!why, c->name, why);
	free(why);
	pool_free(s.pool);
}

int rig_run(const struct mg_plugin *p, enum mg_op op, const struct rig_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		run_case(p, op, &cases[i]);
	return broken != 0;
}
