/*
 * pair.h - a server and a client on one loop, talking over loopback.
 *
 * The server answers by path; each case starts one exchange and turns the loop
 * until its end came, or the guard timer says that it never will.
 */
#ifndef TESTS_UNIT_PAIR_H
#define TESTS_UNIT_PAIR_H

#include "net/client.h"
#include "net/server.h"
#include "base/buf.h"
#include "base/clock.h"
#include "tap.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BIG = 20 * 1024 * 1024, PATIENCE_MS = 20000 };

static struct loop *loop;
static struct server *server;
static struct client *client;
static char base[160];

/* What the server remembers of its requests. */
static struct { unsigned heads, bodies, gone, ended, drained; size_t body_len; bool body_fine; struct http_request *held; } seen;
static bool drip_more;		/* of /flood */
static size_t flood_left;

static inline char letter(size_t i)
{
	return (char)('a' + i % 23);
}

static inline bool lettered(struct mg_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] != letter(i))
			return false;
	return true;
}

static inline void flood(struct http_request *r)
{
	static char block[16384];
	size_t full = 0;

	while (flood_left && full <= STREAM_HIGH) {
		size_t n = flood_left < sizeof(block) ? flood_left : sizeof(block);

		for (size_t i = 0; i < n; i++)
			block[i] = letter(BIG - flood_left + i);
		full = http_stream_write(r, block, n);
		flood_left -= n;
	}
	if (!flood_left)
		http_stream_end(r);
}

static struct timer drip;
static unsigned drops;

static inline void on_drip(struct timer *t)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "data: %u\n\n", drops);

	if (!seen.held)
		return;
	http_stream_write(seen.held, text, (size_t)n);
	if (++drops < 5 || drip_more)
		loop_timer_set(loop, t, 5);
	else
		http_stream_end(seen.held);
}

static const struct http_header sse[] = {
	{ "Content-Type", MG_STR("text/event-stream") },
	{ "X-Bad", MG_STR("one\r\nX-Injected: two") },
	{ "X-Empty", MG_STR("") },
	{ "X-After", MG_STR("a\ttab") },
	{ NULL, { NULL, 0 } },
};

/* As an upstream's first event comes: behind the request, all in one turn. */
static inline void on_begin(struct timer *t)
{
	struct http_request *r = seen.held;

	(void)t;
	http_stream(r, 200, sse);
	http_stream_write(r, "all", 3);
	if (mg_is(r->path, "/said"))
		http_stream_end(r);
}

static inline void on_head(struct http_request *r)
{
	seen.heads++;
	if (mg_is(r->path, "/small"))
		r->body_max = 1000;
	if (mg_is(r->path, "/early"))
		http_reply(r, 401, NULL, MG_STR("no"));
}

static inline void on_body(struct http_request *r)
{
	static char *big;

	seen.bodies++;
	seen.body_len = r->body.len;
	seen.body_fine = lettered(r->body);
	if (mg_is(r->path, "/big")) {
		big = malloc(BIG);
		for (size_t i = 0; i < BIG; i++)
			big[i] = letter(i);
		http_reply(r, 200, NULL, (struct mg_str){ big, BIG });
		free(big);
	} else if (mg_is(r->path, "/flood")) {
		flood_left = BIG;
		http_stream(r, 200, sse);
		flood(r);
	} else if (mg_is(r->path, "/drip")) {
		drops = 0;
		seen.held = r;
		http_stream(r, 200, sse);
		drip.fire = on_drip;
		loop_timer_set(loop, &drip, 1);
	} else if (mg_is(r->path, "/abort")) {
		http_stream(r, 200, sse);
		http_stream_write(r, "half", 4);
		http_stream_abort(r);
	} else if (mg_is(r->path, "/hang")) {
		http_stream(r, 200, sse);
		http_stream_write(r, "half", 4);
	} else if (mg_is(r->path, "/begun") || mg_is(r->path, "/said")) {
		seen.held = r;
		drip.fire = on_begin;
		loop_timer_set(loop, &drip, 1);
	} else if (mg_is(r->path, "/never")) {
		seen.held = r;
	} else if (mg_is(r->path, "/query")) {
		http_reply(r, 200, NULL, http_query(r, "name"));
	} else if (mg_is(r->path, "/host")) {
		http_reply(r, 200, NULL, http_header(r, "Host"));
	} else if (mg_is(r->path, "/header")) {
		http_reply(r, 200, NULL, http_header(r, "x-TEST"));
	} else {
		http_reply(r, mg_is(r->path, "/404") ? 404 : 200, sse, MG_STR("hello"));
	}
}

static inline void on_drained(struct http_request *r)
{
	seen.drained++;
	flood(r);
}

static inline void on_gone(struct http_request *r)
{
	seen.gone++;
	loop_timer_clear(loop, &drip);
	seen.held = NULL;
	if (mg_is(r->path, "/never"))
		http_reply(r, 499, NULL, MG_STR(""));
	else
		http_stream_end(r);
}

static inline void on_ended(struct http_request *r)
{
	seen.ended++;
	if (seen.held == r)
		seen.held = NULL;
}

/* One exchange as the client sees it. */
static struct run {
	int status, how, phase;
	unsigned heads, ends, pauses, pause_every, pause_ms;
	size_t bytes;
	bool fine, stop_at_end;
	struct exchange *x;
	char text[128], type[64], injected[8], after[16], why[120];
	struct timer again, cancel;
	size_t cancel_at;
} run;

static inline void on_x_head(void *owner, struct exchange *x, int status)
{
	struct mg_str type = exchange_header(x, "content-TYPE"), bad = exchange_header(x, "x-injected"), after = exchange_header(x, "x-after");

	(void)owner;
	run.heads++;
	run.status = status;
	if (type.at)
		snprintf(run.type, sizeof(run.type), "%.*s", (int)type.len, type.at);
	if (after.at)
		snprintf(run.after, sizeof(run.after), "%.*s", (int)after.len, after.at);
	if (bad.at)
		snprintf(run.injected, sizeof(run.injected), "yes");
}

static inline void on_again(struct timer *t)
{
	(void)t;
	exchange_resume(run.x);
}

static inline bool on_x_data(void *owner, struct exchange *x, const char *at, size_t len)
{
	(void)owner;
	if (run.pause_every && !(++run.pauses % run.pause_every)) {
		run.again.fire = on_again;
		loop_timer_set(loop, &run.again, run.pause_ms ? run.pause_ms : 1);
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if (run.bytes + i < sizeof(run.text) - 1)
			run.text[run.bytes + i] = at[i];
		if (at[i] != letter(run.bytes + i))
			run.fine = false;
	}
	run.bytes += len;
	if (run.cancel_at && run.bytes >= run.cancel_at) {
		exchange_cancel(x);
		run.x = NULL;
	}
	return true;
}

static inline void on_x_end(void *owner, struct exchange *x, const struct exchange_result *r)
{
	(void)owner, (void)x;
	run.ends++;
	run.how = (int)r->how;
	run.phase = (int)r->phase;
	snprintf(run.why, sizeof(run.why), "%s", r->why);
	run.x = NULL;
	loop_timer_clear(loop, &run.again);
	if (run.stop_at_end)
		loop_stop(loop);
}

static const struct exchange_events events = { on_x_head, on_x_data, on_x_end };

static inline void too_long(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

static inline void turn_for(uint64_t ms)
{
	struct timer t = { .fire = too_long };

	loop_timer_set(loop, &t, ms);
	loop_run(loop);
	loop_timer_clear(loop, &t);
}

static void look(struct timer *t);
static struct timer looker = { .fire = look };
static unsigned wanted;

/* Turns until the server has told `ended` for everything it has seen. */
static inline void look(struct timer *t)
{
	if (seen.ended == wanted)
		loop_stop(loop);
	else
		loop_timer_set(loop, t, 1);
}

static inline void until_ended(unsigned n)
{
	wanted = n;
	loop_timer_set(loop, &looker, 0);
	turn_for(5000);
	loop_timer_clear(loop, &looker);
}

static inline struct exchange_conf conf(const char *method, const char *path)
{
	static char url[256];

	snprintf(url, sizeof(url), "%s%s", base, path);
	return (struct exchange_conf){ .method = method, .url = url, .plain_http = true, .connect_ms = 2000 };
}

static inline void start(const struct exchange_conf *c)
{
	struct err err = { 0, "" };

	run.fine = true;
	run.stop_at_end = true;
	run.x = exchange_start(client, c, &events, &run, &err);
	if (!run.x)
		printf("# exchange_start: %s\n", err.msg);
}

static inline void fetch(const struct exchange_conf *c)
{
	unsigned pause = run.pause_every, pause_ms = run.pause_ms;
	size_t cancel = run.cancel_at;

	run = (struct run){ .pause_every = pause, .pause_ms = pause_ms, .cancel_at = cancel, .how = -1 };
	memset(&seen, 0, sizeof(seen));
	start(c);
	if (run.x)
		turn_for(PATIENCE_MS);
	run.pause_every = run.pause_ms = 0;
	run.cancel_at = 0;
}

static inline void get(const char *path)
{
	struct exchange_conf c = conf("GET", path);

	fetch(&c);
}

/* False: with words on stdout. */
static inline bool pair_start(void)
{
	static const struct server_limits lim = { .header_bytes = 6144, .body_bytes = 32 << 20, .head_ms = 10000, .body_ms = 60000,
		.keepalive_ms = 60000, .stall_ms = 60000, .room_kept_ms = 1000, .connections = 1000, .daemons = 2 };
	static const struct server_events on = { on_head, on_body, on_drained, on_gone, on_ended };
	struct listener l = { .at = "127.0.0.1:0" };
	struct err err = { 0, "" };
	char name[128];

	setvbuf(stdout, NULL, _IOLBF, 0);
	loop = loop_new(&err);
	client = client_new(loop, 3, 100, &err);
	server = server_new(loop, &lim, &on, NULL, &err);
	if (!loop || !client || !server || listener_open(&l, &err) || server_listen(server, &l, &err)) {
		printf("Bail out! %s\n", err.msg);
		return false;
	}
	listener_name(&l, name);
	snprintf(base, sizeof(base), "http://%s", name);
	return true;
}

static inline int pair_stop(void)
{
	client_free(client);
	server_free(server);
	loop_free(loop);
	return tap_done();
}

#endif
