#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "base/json.h"
#include "net/loopback.h"

enum {
	PIECE = 16384,			/* bytes of body at once: what curl gives, too */
	BUDGET = 1 << 20,		/* of the parsed status and raw lines, and more for long ones */
	AFTER_MAX = 24 * 3600 * 1000	/* a delay beyond this is a slip of the pen */
};

enum what { EVENT, RAW, STATUS, CUT, REFUSE, HANG, NONSENSE };
enum next { MORE, LATER, OVER };	/* after a step; OVER: the result is there */

struct line { enum what what; uint64_t after_ms; size_t len; };

struct loopback {
	struct loop *loop;
	struct mg_str script;
	size_t at;			/* where the next line begins */
	bool stream, paused, headed, waited;
	bool inside, gone;		/* a callback is running; it cancelled */
	struct timer play, limit;
	struct exchange_result result;
	uint64_t start_ms, seen_ms;	/* when it began; when something last came */
	uint64_t headers_ms, idle_ms, total_ms, limit_from_ms;
	struct pool *pool;		/* of the lines that are parsed */
	int status;
	struct mg_view headers;
	struct mg_str text;		/* a body that is not the script itself, still to give */
	void (*head)(void *owner, int status);
	bool (*data)(void *owner, const char *at, size_t len);
	void (*end)(void *owner, const struct exchange_result *result);
	void *owner;
};

static bool skip(struct mg_str s, size_t *at, const char *word)
{
	size_t len = strlen(word);

	if (s.len - *at < len || memcmp(s.at + *at, word, len))
		return false;
	*at += len;
	return true;
}

/* Only the beginning is read: the events are the plugin's affair, and many. */
static struct line line_at(const struct loopback *lb, size_t from)
{
	static const char *const names[] = { "\"event\":", "\"raw\":", "\"status\":", "\"cut\":", "\"refuse\":", "\"hang\":" };
	const char *start = lb->script.at + from;
	const char *feed = memchr(start, '\n', lb->script.len - from);
	struct mg_str s = { start, feed ? (size_t)(feed - start) + 1 : lb->script.len - from };
	struct line l = { .what = NONSENSE, .len = s.len };
	size_t at = 0;

	if (!skip(s, &at, "{"))
		return l;
	if (skip(s, &at, "\"after_ms\":")) {
		for (; at < s.len && s.at[at] >= '0' && s.at[at] <= '9' && l.after_ms <= AFTER_MAX; at++)
			l.after_ms = l.after_ms * 10 + (uint64_t)(s.at[at] - '0');
		if (l.after_ms > AFTER_MAX || !skip(s, &at, ","))
			return l;
	}
	for (enum what w = EVENT; w < NONSENSE; w++)
		if (skip(s, &at, names[w])) {
			l.what = w;
			break;
		}
	return l;
}

static void release(struct loopback *lb)
{
	loop_timer_clear(lb->loop, &lb->play);
	loop_timer_clear(lb->loop, &lb->limit);
	pool_free(lb->pool);
	free(lb);
}

static enum next over(struct loopback *lb, int how, const char *why)
{
	lb->result.how = how;
	lb->result.phase = how == EXCHANGE_CONNECT ? PHASE_CONNECT : lb->headed ? PHASE_BODY : PHASE_HEADERS;
	lb->result.total_us = (loop_now_ms(lb->loop) - lb->start_ms) * 1000;
	snprintf(lb->result.why, sizeof(lb->result.why), "%s", why);
	return OVER;
}

/* The owner, and the script with it, may be gone when end() returns: nothing of them is
 * looked at behind it.  Within it the headers are still asked for. */
static void finish(struct loopback *lb)
{
	loop_timer_clear(lb->loop, &lb->play);
	loop_timer_clear(lb->loop, &lb->limit);
	lb->end(lb->owner, &lb->result);
	release(lb);
}

static void limit_set(struct loopback *lb)
{
	uint64_t now_ms = loop_now_ms(lb->loop), due_ms = UINT64_MAX, at_ms;

	if (lb->total_ms)
		due_ms = lb->limit_from_ms + lb->total_ms;
	if (lb->headers_ms && !lb->headed && (at_ms = lb->limit_from_ms + lb->headers_ms) < due_ms)
		due_ms = at_ms;
	if (lb->idle_ms && lb->headed && !lb->paused && (at_ms = lb->seen_ms + lb->idle_ms) < due_ms)
		due_ms = at_ms;
	if (due_ms == UINT64_MAX)
		loop_timer_clear(lb->loop, &lb->limit);
	else
		loop_timer_set(lb->loop, &lb->limit, due_ms > now_ms ? due_ms - now_ms : 0);
}

static bool passed(uint64_t now_ms, uint64_t from_ms, uint64_t limit_ms)
{
	return limit_ms && now_ms >= from_ms + limit_ms;
}

static void limit_fire(struct timer *t)
{
	struct loopback *lb = loop_owner(t, struct loopback, limit);
	uint64_t now_ms = loop_now_ms(lb->loop);
	const char *why = NULL;

	if (passed(now_ms, lb->limit_from_ms, lb->total_ms))
		why = "the answer took too long in all";
	else if (!lb->headed && passed(now_ms, lb->limit_from_ms, lb->headers_ms))
		why = "no answer began in time";
	else if (lb->headed && !lb->paused && passed(now_ms, lb->seen_ms, lb->idle_ms))
		why = "the answer stood still";
	if (!why) {
		limit_set(lb);	/* bytes came since it was set */
		return;
	}
	over(lb, EXCHANGE_TIMEOUT, why);
	finish(lb);
}

static void give_head(struct loopback *lb, int status)
{
	if (lb->headed)
		return;
	lb->headed = true;
	lb->status = status;
	lb->seen_ms = loop_now_ms(lb->loop);
	if (lb->idle_ms)
		limit_set(lb);
	lb->inside = true;
	lb->head(lb->owner, status);
	lb->inside = false;
}

/* False: the owner wants no more, until it resumes or ever. */
static bool give(struct loopback *lb, const char *at, size_t len)
{
	bool more;

	if (lb->gone || !len)
		return !lb->gone;
	lb->seen_ms = loop_now_ms(lb->loop);
	lb->inside = true;
	more = lb->data(lb->owner, at, len);
	lb->inside = false;
	lb->paused = !more;
	return more && !lb->gone;
}

static int parsed(struct loopback *lb, struct line l, struct mg_view *out)
{
	struct err err;

	if (!lb->pool && !(lb->pool = pool_new(BUDGET + 8 * lb->script.len)))
		return MG_ENOMEM;
	return json_parse(lb->pool, (struct mg_str){ lb->script.at + lb->at, l.len }, out, &err);
}

/* A status line or a raw one: what it holds waits in lb->text. */
static int unfold(struct loopback *lb, struct line l)
{
	struct mg_view v;
	uint64_t status = 200;
	int rc = parsed(lb, l, &v);

	if (rc)
		return rc;
	lb->at += l.len;
	if (l.what == RAW) {
		lb->text = json_text(lb->pool, json_get(v, "raw"));
		return lb->text.at ? MG_OK : MG_EINVAL;
	}
	if (!json_count(json_get(v, "status"), &status) || status < 200 || status > 599)
		return MG_EINVAL;
	lb->headers = json_get(v, "headers");
	lb->text = json_raw(json_get(v, "body"));
	give_head(lb, (int)status);
	return MG_OK;
}

/* The events that are due together, as one piece of the script. */
static bool give_events(struct loopback *lb, struct line l)
{
	size_t len = l.len;

	give_head(lb, 200);
	while (lb->at + len < lb->script.len && len < PIECE) {
		l = line_at(lb, lb->at + len);
		if (l.what != EVENT || (l.after_ms && lb->stream))
			break;
		len += l.len;
	}
	if (!give(lb, lb->script.at + lb->at, len))
		return false;
	lb->at += len;
	lb->waited = !lb->stream;
	return true;
}

static bool give_text(struct loopback *lb)
{
	give_head(lb, 200);
	if (!give(lb, lb->text.at, lb->text.len))
		return false;
	lb->text = (struct mg_str){ 0 };
	return true;
}

/* How long before the line.  Not a stream waits for everything at once, and
 * for ever where the script hangs. */
static uint64_t wait_ms(const struct loopback *lb, struct line l)
{
	uint64_t ms = 0;

	if (lb->stream)
		return l.after_ms;
	for (size_t at = lb->at; at < lb->script.len; at += l.len) {
		l = line_at(lb, at);
		if (l.what == HANG)
			return UINT64_MAX;
		ms += l.after_ms;
	}
	return ms;
}

/* False: this line is not due yet, and play() will be called when it is. */
static bool due(struct loopback *lb, struct line l)
{
	uint64_t ms = lb->waited ? 0 : wait_ms(lb, l);

	lb->waited = true;
	if (ms && ms != UINT64_MAX)
		loop_timer_set(lb->loop, &lb->play, ms);
	return !ms;
}

static enum next step(struct loopback *lb)
{
	struct line l;

	if (lb->text.at)
		return give_text(lb) ? MORE : LATER;
	if (lb->at >= lb->script.len) {
		give_head(lb, 200);
		return over(lb, EXCHANGE_DONE, "");
	}
	l = line_at(lb, lb->at);
	if (!due(lb, l))
		return LATER;
	switch (l.what) {
	case EVENT:
		return give_events(lb, l) ? MORE : LATER;
	case RAW: case STATUS:
		lb->waited = !lb->stream;
		return unfold(lb, l) ? over(lb, EXCHANGE_BROKEN, "a line of the script cannot be read") : MORE;
	case CUT:
		give_head(lb, 200);
		return over(lb, EXCHANGE_CUT, "the script cuts the answer here");
	case REFUSE:
		return over(lb, EXCHANGE_CONNECT, "the script refuses the connection");
	case HANG:
		return LATER;
	case NONSENSE:
		break;
	}
	return over(lb, EXCHANGE_BROKEN, "a line of the script is none of event, raw, status, cut, refuse, hang");
}

static void play(struct timer *t)
{
	struct loopback *lb = loop_owner(t, struct loopback, play);
	enum next next = MORE;

	while (!lb->paused && !lb->gone && next == MORE)
		next = step(lb);
	if (lb->gone)
		release(lb);
	else if (next == OVER)
		finish(lb);
}

struct loopback *loopback_start(struct loop *loop, struct mg_str body, bool stream,
	void (*head)(void *owner, int status),
	bool (*data)(void *owner, const char *at, size_t len),
	void (*end)(void *owner, const struct exchange_result *result), void *owner)
{
	struct loopback *lb = calloc(1, sizeof(*lb));

	if (!lb)
		return NULL;
	lb->loop = loop;
	lb->script = body;
	lb->stream = stream;
	lb->start_ms = lb->seen_ms = loop_now_ms(loop);
	lb->head = head;
	lb->data = data;
	lb->end = end;
	lb->owner = owner;
	lb->play.fire = play;
	lb->limit.fire = limit_fire;
	loop_timer_set(loop, &lb->play, 0);
	return lb;
}

void loopback_limits(struct loopback *lb, uint64_t headers_ms, uint64_t idle_ms, uint64_t total_ms)
{
	lb->headers_ms = headers_ms;
	lb->idle_ms = idle_ms;
	lb->total_ms = total_ms;
	lb->limit_from_ms = loop_now_ms(lb->loop);
	limit_set(lb);
}

void loopback_cancel(struct loopback *lb)
{
	if (lb->inside)
		lb->gone = true;	/* play() frees it, on the way out */
	else
		release(lb);
}

void loopback_resume(struct loopback *lb)
{
	if (!lb->paused)
		return;
	lb->paused = false;
	lb->seen_ms = loop_now_ms(lb->loop);
	limit_set(lb);
	loop_timer_set(lb->loop, &lb->play, 0);
}

struct mg_str loopback_header(struct loopback *lb, const char *name)
{
	static const struct mg_str lines = MG_STR("application/x-ndjson"), json = MG_STR("application/json");
	struct mg_view v = json_at(lb->headers, 0);

	for (; json_kind(v); v = json_next(v)) {
		struct mg_str had = json_name(v);

		if (had.at && had.len == strlen(name) && !strncasecmp(had.at, name, had.len))
			return json_text(lb->pool, v);
	}
	if (!strcasecmp(name, "content-type"))
		return lb->status == 200 ? lines : json;
	return (struct mg_str){ 0 };
}
