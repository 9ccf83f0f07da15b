/* Connections to upstreams that are kept: used again, found dead, closed when nobody uses them (R25, R32). */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/client.h"
#include "tap.h"

enum { CONNS = 256, PATIENCE_MS = 60000, LARGE = 300000 };

static struct loop *loop;
static struct client *client;
static char url[64];

/* An upstream that counts, and does on the nth request of a connection what it is told. */
static struct up {
	struct watch door;
	struct conn { struct watch w; size_t seen, want; unsigned n; } conns[CONNS];
	unsigned accepted, open, asked;
	unsigned end_at;	/* the nth request of a connection is not answered: it is closed; 0: never */
	bool reset;		/* ... by a reset */
	bool shut_idle;		/* each connection is closed behind its answer */
} up;

static void hang_up(struct conn *c)
{
	struct linger now = { 1, 0 };

	if (up.reset)
		setsockopt(c->w.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	loop_unwatch(loop, &c->w);
	close(c->w.fd);
	up.open--;
}

static void asked(struct conn *c)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

	up.asked++;
	c->n++;
	c->seen = c->want = 0;
	if (up.end_at && c->n == up.end_at) {
		hang_up(c);
		return;
	}
	if (send(c->w.fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) < 0 || up.shut_idle)
		hang_up(c);
}

/* Requests come one at a time: the length of each is known from its head. */
static void readable(struct watch *w, uint32_t events)
{
	static char buf[65536];
	struct conn *c = loop_owner(w, struct conn, w);
	ssize_t n = recv(w->fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	char *end, *len;

	(void)events;
	if (n <= 0) {
		hang_up(c);
		return;
	}
	buf[n] = 0;
	if (!c->want && (end = strstr(buf, "\r\n\r\n")) != NULL) {
		len = strstr(buf, "Content-Length: ");
		c->want = (size_t)(end + 4 - buf) + (len ? strtoul(len + 16, NULL, 10) : 0);
	}
	c->seen += (size_t)n;
	if (c->want && c->seen >= c->want)
		asked(c);
}

static void door_ready(struct watch *w, uint32_t events)
{
	struct conn *c = &up.conns[up.accepted % CONNS];

	(void)events;
	*c = (struct conn){ .w = { .fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), .ready = readable } };
	loop_watch(loop, &c->w, EPOLLIN);
	up.accepted++;
	up.open++;
}

static bool upstream_open(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, CONNS) || getsockname(fd, (struct sockaddr *)&a, &len))
		return false;
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", ntohs(a.sin_port));
	up.door = (struct watch){ .fd = fd, .ready = door_ready };
	return !loop_watch(loop, &up.door, EPOLLIN);
}

/* ---- one exchange, and waiting for a condition with a deadline */

static struct { int how, ends, done; bool stale; char why[120]; } got;
static uint64_t connect_ms = 3000;
static bool (*met)(void);
static uint64_t deadline;
static struct timer tick;

static void on_tick(struct timer *t)
{
	if (met() || clock_ms() > deadline)
		loop_stop(loop);
	else
		loop_timer_set(loop, t, 2);
}

static bool until(bool (*condition)(void))
{
	met = condition;
	deadline = clock_ms() + PATIENCE_MS;
	tick.fire = on_tick;
	loop_timer_set(loop, &tick, 0);
	loop_run(loop);
	loop_timer_clear(loop, &tick);
	return condition();
}

static void on_end(void *owner, struct exchange *x, const struct exchange_result *r)
{
	(void)owner, (void)x;
	got.how = r->how;
	got.stale = r->stale;
	snprintf(got.why, sizeof(got.why), "%s", r->why);
	got.ends++;
	got.done += r->how == EXCHANGE_DONE;
}

static bool all_ended(void)
{
	return got.ends > 0;
}

static struct exchange *start(const char *method, const struct mg_str *body, size_t pieces)
{
	static const struct exchange_events events = { .end = on_end };
	struct exchange_conf c = { .method = method, .url = url, .body = body, .pieces = pieces, .connect_ms = connect_ms,
		.headers_ms = 5000, .plain_http = true };
	struct err err = { 0 };
	struct exchange *x = exchange_start(client, &c, &events, NULL, &err);

	if (!x)
		printf("# %s\n", err.msg);
	return x;
}

static void ask(const char *method, const struct mg_str *body, size_t pieces)
{
	memset(&got, 0, sizeof(got));
	start(method, body, pieces);
	until(all_ended);
}

static void begin(void)
{
	for (unsigned i = 0; i < CONNS; i++)
		if (up.conns[i].w.on)
			hang_up(&up.conns[i]);
	up.accepted = up.asked = up.end_at = 0;
	up.reset = up.shut_idle = false;
}

/* ---- tests */

static void used_again(void)
{
	struct mg_str body = MG_STR("{}");

	begin();
	for (int i = 0; i < 5; i++)
		ask("POST", &body, 1);
	ok(got.how == EXCHANGE_DONE && up.asked == 5 && up.accepted == 1, "one connection for one after the other");
}

static void never_twice(void)
{
	static char large[LARGE];
	struct mg_str small = MG_STR("{\"a\":1}"), two[] = { { large, LARGE - 10 }, { large, 10 } };
	const struct { const char *method; struct mg_str *body; size_t pieces; bool reset; const char *claim; } rows[] = {
		{ "POST", &small, 1, false, "a kept connection that is closed instead of an answer: stale, not sent again" },
		{ "POST", &small, 1, true, "... or reset" },
		{ "POST", two, 2, false, "... with a large body of pieces" },
		{ "POST", two, 2, true, "... or reset" },
		{ "GET", NULL, 0, false, "... a GET" },
	};

	memset(large, 'x', sizeof(large));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin();
		up.end_at = 2;
		up.reset = rows[i].reset;
		ask("GET", NULL, 0);
		ok(got.how == EXCHANGE_DONE && !got.stale, "the first is answered");
		ask(rows[i].method, rows[i].body, rows[i].pieces);
		ok(got.how == EXCHANGE_CUT && got.stale && up.asked == 2, rows[i].claim);
		if (!got.stale)
			printf("# how %d, stale %d, asked %u: %s\n", got.how, got.stale, up.asked, got.why);
		up.end_at = 0;
		ask(rows[i].method, rows[i].body, rows[i].pieces);
		ok(got.how == EXCHANGE_DONE && up.asked == 3, "and once more, when its owner wants it");
	}
	begin();
	up.end_at = 1;
	ask("POST", &small, 1);
	ok(got.how == EXCHANGE_CUT && !got.stale && up.asked == 1, "on a new connection it is a cut like any other");
}

/* While the door is crowded a new connection to it comes to nothing. */
static struct { int fds[4]; struct exchange *x; uint64_t since_ms, least; } crowd;

static void crowd_door(void)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	loop_unwatch(loop, &up.door);
	listen(up.door.fd, 0);
	getsockname(up.door.fd, (struct sockaddr *)&a, &len);
	for (int i = 0; i < 4; i++) {
		crowd.fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(crowd.fds[i], (struct sockaddr *)&a, len);
	}
}

static void crowd_leave(void)
{
	int fd;

	for (int i = 0; i < 4; i++)
		close(crowd.fds[i]);
	while ((fd = accept(up.door.fd, NULL, NULL)) >= 0)
		close(fd);
	listen(up.door.fd, CONNS);
	loop_watch(loop, &up.door, EPOLLIN);
}

static bool looked_for_long(void)
{
	uint64_t sent;

	if (up.asked < 2 || got.ends)
		return got.ends > 0;
	sent = exchange_sent(crowd.x);
	crowd.least = sent < crowd.least ? sent : crowd.least;
	if (!crowd.since_ms)
		crowd.since_ms = clock_ms();
	return clock_ms() - crowd.since_ms > 100;
}

/* libcurl connects anew before it asks whether it may: what has left has left all the same. */
static void stays_sent(void)
{
	struct mg_str body = MG_STR("{\"a\":1}");

	begin();
	up.end_at = 2;
	ask("GET", NULL, 0);
	crowd_door();
	memset(&got, 0, sizeof(got));
	crowd.x = start("POST", &body, 1);
	crowd.least = UINT64_MAX;
	until(looked_for_long);
	ok(!got.ends && crowd.least == body.len, "what was sent on a connection that ended is not forgotten while another is made");
	if (crowd.least != body.len)
		printf("# ended %d, sent %ju\n", got.ends, (uintmax_t)crowd.least);
	exchange_cancel(crowd.x);
	crowd_leave();
}

/* Its handle has one exchange behind it: what that one sent is not this one's. */
static void nothing_yet(void)
{
	struct mg_str body = MG_STR("{\"a\":1}");
	struct exchange *x;

	begin();
	ask("POST", &body, 1);
	x = start("POST", &body, 1);
	ok(got.how == EXCHANGE_DONE && !exchange_sent(x), "of one that has only begun nothing is sent");
	exchange_cancel(x);
}

static void on_stall(struct timer *t)
{
	(void)t;
	usleep(200000);
}

static bool many_ended(void)
{
	return got.ends == 200;
}

/* Of so many the loop sees some at a time. */
static void nobody_looked(void)
{
	struct timer stall = { .fire = on_stall };

	begin();
	memset(&got, 0, sizeof(got));
	connect_ms = 50;
	for (int i = 0; i < 200; i++)
		start("GET", NULL, 0);
	connect_ms = 3000;
	loop_timer_set(loop, &stall, 0);
	until(many_ended);
	ok(got.done == 200, "while the loop stood still no deadline has passed: what came meanwhile is seen");
	if (got.done != 200)
		printf("# %d of %d, the last: %s\n", got.done, got.ends, got.why);
}

static bool none_open(void)
{
	return !up.open;
}

static void found_dead(void)
{
	struct mg_str body = MG_STR("{}");

	begin();
	up.shut_idle = true;
	ask("POST", &body, 1);
	until(none_open);
	up.shut_idle = false;
	ask("POST", &body, 1);
	ok(got.how == EXCHANGE_DONE && !got.stale && up.asked == 2 && up.accepted == 2, "one that has ended before is not used");
}

static bool burst_over(void)
{
	return got.ends == 40;
}

static unsigned descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += dup2(fd, fd) == fd;
	return n;
}

/* Those of connections alone. */
static unsigned sockets(void)
{
	struct sockaddr_in name;
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++) {
		socklen_t len = sizeof(name);

		n += !getsockname(fd, (struct sockaddr *)&name, &len) && name.sin_family == AF_INET;
	}
	return n;
}

static unsigned base_fds, base_sockets;

static bool descriptors_back(void)
{
	return none_open() && descriptors() <= base_fds;
}

static bool sockets_back(void)
{
	return none_open() && sockets() <= base_sockets;
}

/* A burst over several multis: then nothing asks them to clear up. */
static void swept(void)
{
	uint64_t from;

	begin();
	until(none_open);
	base_fds = descriptors();
	base_sockets = sockets();
	client_keep(client, 3);
	memset(&got, 0, sizeof(got));
	for (int i = 0; i < 40; i++)
		start("GET", NULL, 0);
	until(burst_over);
	ok(up.open >= 32, "a burst leaves connections");
	from = clock_ms();
	ok(until(descriptors_back), "that are closed after the time they are kept for");
	printf("# after %lu ms\n", (unsigned long)(clock_ms() - from));
	ask("GET", NULL, 0);
	ok(got.how == EXCHANGE_DONE && up.open == 1, "and a new one is made");
}

static void swept_dead(void)
{
	uint64_t from;

	begin();
	client_keep(client, 16);
	up.shut_idle = true;
	memset(&got, 0, sizeof(got));
	for (int i = 0; i < 40; i++)
		start("GET", NULL, 0);
	until(burst_over);
	from = clock_ms();
	ok(until(sockets_back) && clock_ms() - from < 16000, "those that ended are closed sooner");
	printf("# after %lu ms\n", (unsigned long)(clock_ms() - from));
}

int main(void)
{
	struct err err = { 0 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	loop = loop_new(&err);
	client = loop ? client_new(loop, 4, 100, &err) : NULL;
	if (!client || !upstream_open()) {
		printf("Bail out! %s\n", err.msg);
		return 1;
	}
	used_again();
	never_twice();
	stays_sent();
	nothing_yet();
	found_dead();
	swept();
	swept_dead();
	nobody_looked();
	begin();
	client_free(client);
	loop_unwatch(loop, &up.door);
	close(up.door.fd);
	loop_free(loop);
	return tap_done();
}
