/* Scripts, and what comes of them.  The story: h(status), d(bytes), e(how). */
#include <string.h>
#include "net/loopback.h"
#include "tap.h"

enum { D = EXCHANGE_DONE, C = EXCHANGE_CONNECT, T = EXCHANGE_TIMEOUT, CUT = EXCHANGE_CUT, B = EXCHANGE_BROKEN };

static const struct { const char *name, *script, *body; bool stream, pause; int status, how; unsigned min_ms, idle_ms, pieces; } cases[] = {
	{ "lines as they are, in one piece", "{\"event\":1}\n{\"event\":2}\n", "{\"event\":1}\n{\"event\":2}\n", true, false, 200, D, 0, 0, 1 },
	{ "a delay parts them", "{\"event\":1}\n{\"after_ms\":20,\"event\":2}\n", "{\"event\":1}\n{\"after_ms\":20,\"event\":2}\n", true, false, 200, D, 20, 0, 2 },
	{ "not a stream: once, at the end", "{\"event\":1}\n{\"after_ms\":20,\"event\":2}\n", "{\"event\":1}\n{\"after_ms\":20,\"event\":2}\n", false, false, 200, D, 20, 0, 1 },
	{ "a paused piece comes again", "{\"event\":1}\n", "{\"event\":1}\n", true, true, 200, D, 0, 0, 2 },
	{ "a status and its body", "{\"status\":429,\"headers\":{\"Retry-After\":\"2\"},\"body\":{\"a\":1}}\n", "{\"a\":1}", true, false, 429, D, 0, 0, 1 },
	{ "raw text", "{\"raw\":\"x\\ny\"}\n", "x\ny", true, false, 200, D, 0, 0, 1 },
	{ "a cut", "{\"event\":1}\n{\"cut\":true}\n", "{\"event\":1}\n", true, false, 200, CUT, 0, 0, 1 },
	{ "no connection", "{\"refuse\":true}\n", "", true, false, 0, C, 0, 0, 0 },
	{ "a hang ends by the limit", "{\"event\":1}\n{\"hang\":true}\n", "{\"event\":1}\n", true, false, 200, T, 30, 30, 1 },
	{ "no script at all", "", "", true, false, 200, D, 0, 0, 0 },
	{ "nonsense", "{\"what\":1}\n", "", true, false, 0, B, 0, 0, 0 },
};

static struct seen { struct loop *loop; struct loopback *lb; int status, how, ends; unsigned pieces; bool pause, header; char body[256]; size_t len; struct timer again; } seen;

static void again(struct timer *t)
{
	loopback_resume(loop_owner(t, struct seen, again)->lb);
}

static void head(void *owner, int status)
{
	struct seen *s = owner;

	s->status = status;
	s->header = mg_is(loopback_header(s->lb, "retry-after"), "2");
}

static bool data(void *owner, const char *at, size_t len)
{
	struct seen *s = owner;

	s->pieces++;
	if (s->pause) {
		s->pause = false;
		s->again.fire = again;
		loop_timer_set(s->loop, &s->again, 5);
		return false;
	}
	if (s->len + len < sizeof(s->body))
		memcpy(s->body + s->len, at, len);
	s->len += len;
	return true;
}

static void end(void *owner, const struct exchange_result *result)
{
	struct seen *s = owner;

	s->header = s->header && mg_is(loopback_header(s->lb, "retry-after"), "2");	/* a failure is read at the end */
	s->how = (int)result->how;
	s->ends++;
	loop_stop(s->loop);
}

static bool data_cancel(void *owner, const char *at, size_t len)
{
	struct seen *s = owner;

	s->pieces++;
	loopback_cancel(s->lb);
	loop_stop(s->loop);
	return true;
}

int main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct loop *loop = loop_new(NULL);
		uint64_t from_ms = loop_now_ms(loop);

		seen = (struct seen){ .loop = loop, .how = -1, .pause = cases[i].pause };
		seen.lb = loopback_start(loop, (struct mg_str){ cases[i].script, strlen(cases[i].script) }, cases[i].stream, head, data, end, &seen);
		if (cases[i].idle_ms)
			loopback_limits(seen.lb, 0, cases[i].idle_ms, 0);
		loop_run(loop);
		ok(seen.how == cases[i].how && seen.ends == 1 && seen.status == cases[i].status && seen.pieces == cases[i].pieces
			&& loop_now_ms(loop) - from_ms >= cases[i].min_ms && (seen.status != 429 || seen.header)
			&& seen.len == strlen(cases[i].body) && !memcmp(seen.body, cases[i].body, seen.len), cases[i].name);
		loop_free(loop);
	}
	seen = (struct seen){ .loop = loop_new(NULL) };
	seen.lb = loopback_start(seen.loop, MG_STR("{\"event\":1}\n{\"event\":2}\n"), true, head, data_cancel, end, &seen);
	loop_run(seen.loop);
	ok(!seen.ends && seen.pieces == 1, "a cancel from within data: no more comes");
	loop_free(seen.loop);
	return tap_done();
}
