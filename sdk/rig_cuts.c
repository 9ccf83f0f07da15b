/*
 * rig_cuts.c - what no case has to say: an answer cut anywhere gives the same
 * events, a client may go away, memory may end.
 */
#include "rig_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { EVERY = 4096, EVERY_FRAME = 65536, SOME = 256 };

char *rig_say(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return text ? text : strdup("no memory");
}

static char *differs(const struct setup *s, const char *want, size_t cut)
{
	char *got = rig_setup_events(s, cut), *why = NULL;

	if (got && strcmp(got, want)) {
		if (cut == RIG_BYTES)
			why = rig_say("in single bytes: %s", got);
		else
			why = rig_say("cut at byte %zu: %s", cut, got);
	}
	free(got);
	return why;
}

struct sum { uint64_t hash; size_t frames; };

static void sum_add(struct sum *s, struct mg_str bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		s->hash = (s->hash ^ (unsigned char)bytes.at[i]) * 0x100000001b3u;
	s->hash = (s->hash ^ 0x100) * 0x100000001b3u;
}

static int on_sum(void *arg, struct mg_str event, struct mg_str data)
{
	struct sum *s = arg;

	sum_add(s, event);
	sum_add(s, data);
	s->frames++;
	return MG_OK;
}

static struct sum frames_of(const struct setup *s, enum mg_framing framing, size_t cut)
{
	struct sum sum = { 0xcbf29ce484222325u, 0 };
	struct framer f;
	int rc;

	framer_init(&f, framing, ANSWER_MAX, on_sum, &sum);
	rc = rig_feed(&f, s->answer, cut, NULL);
	if (rc || framer_end(&f, NULL))
		sum.hash ^= 1;
	framer_release(&f);
	return sum;
}

static char *frames_differ(const struct setup *s, enum mg_framing framing)
{
	struct sum whole = frames_of(s, framing, RIG_WHOLE);
	size_t step = s->answer.len / EVERY_FRAME + 1;

	for (size_t at = 0; at < s->answer.len && framing != MG_RAW; at += step) {
		struct sum cut = frames_of(s, framing, at);

		if (cut.hash != whole.hash || cut.frames != whole.frames)
			return rig_say("cut at byte %zu: other frames", at);
	}
	return NULL;
}

static bool is_success(const struct setup *s)
{
	return !s->c->status || (s->c->status >= 200 && s->c->status < 300);
}

/* The client goes away at a byte: nothing to compare, the sanitizers watch. */
static void leave_early(const struct setup *s)
{
	size_t step = s->answer.len / SOME + 1;

	for (size_t at = 0; at < s->answer.len; at += step) {
		struct run r;

		if (rig_run_begin(&r, s, ROOM) == MG_OK)
			rig_run_answer(&r, RIG_WHOLE, at);
		rig_run_end(&r);
	}
}

/* The client goes away at an event: the callback must stop, with the code it was given. */
static char *stop_early(const struct setup *s)
{
	char *why = NULL;

	for (size_t n = 1; !why && n <= SOME; n++) {
		struct run r;
		size_t seen;

		if (rig_run_begin(&r, s, ROOM) == MG_OK) {
			r.trace.stop_at = n;
			rig_run_answer(&r, RIG_WHOLE, SIZE_MAX);
		}
		seen = r.trace.events;
		if (seen > n || (seen == n && r.rc != MG_EDENIED))
			why = rig_say("emit() refused event %zu and the plugin went on: return what it gives", n);
		rig_run_end(&r);
		if (seen < n)
			break;
	}
	return why;
}

/* Memory ends at some byte: an error, never a crash. */
static void starve(const struct setup *s)
{
	for (size_t budget = 16; budget <= 1 << 20; budget += budget / 2) {
		struct run r;

		if (rig_run_begin(&r, s, budget) == MG_OK && s->c->answer)
			rig_run_answer(&r, RIG_WHOLE, SIZE_MAX);
		rig_run_end(&r);
	}
}

char *rig_setup_cuts(const struct setup *s)
{
	const struct mg_operation *op = NULL;
	size_t step = s->answer.len <= EVERY ? 1 : s->answer.len / SOME + 1;
	char *want, *why = NULL;

	for (size_t i = 0; !op && s->plugin->provider->ops[i]; i++)
		if (s->plugin->provider->ops[i]->op == s->op)
			op = s->plugin->provider->ops[i];
	starve(s);
	if (!op || !s->c->answer || !is_success(s))
		return NULL;
	want = rig_setup_events(s, RIG_WHOLE);
	for (size_t at = 0; !why && at < s->answer.len; at += step)
		why = differs(s, want, at);
	if (!why)
		why = differs(s, want, RIG_BYTES);
	if (!why && step > 1)
		why = frames_differ(s, rig_framing(s, op));
	if (!why)
		why = stop_early(s);
	leave_early(s);
	free(want);
	return why;
}
