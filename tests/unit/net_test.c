/* net_test.c - what a server says, its client gets: answers, bodies, streams, aborts, the end (R17-R20). */
#include "pair.h"

#include <linux/tcp.h>
#include <stdlib.h>

static void plain_answers(void)
{
	get("/x");
	ok(run.how == EXCHANGE_DONE && run.status == 200 && !strcmp(run.text, "hello"), "GET is answered");
	ok(!strcmp(run.type, "text/event-stream") && !*run.injected, "headers arrive; one with a line break is left out");
	ok(!strcmp(run.after, "a\ttab"), "... and those behind it are not");
	until_ended(1);
	ok(seen.heads == 1 && seen.bodies == 1 && seen.ended == 1 && !seen.gone, "head, body, ended come once");
	get("/404");
	ok(run.how == EXCHANGE_DONE && run.status == 404, "a 404 is an answer like others");
	get("/query?a=1&name=J%C3%BCrg+x%2F&b");
	ok(!strcmp(run.text, "J\xc3\xbcrg x/"), "a query parameter is decoded");
	struct exchange_conf c = conf("HEAD", "/x");

	fetch(&c);
	ok(run.how == EXCHANGE_DONE && run.status == 200 && !run.bytes, "HEAD has no body");
	c = conf("HEAD", "/flood");
	fetch(&c);
	ok(run.how == EXCHANGE_DONE && run.status == 200 && !run.bytes, "HEAD of a stream has no body");
	until_ended(1);
	ok(seen.ended == 1, "... and ends");
	c = conf("OPTIONS", "/x");
	fetch(&c);
	ok(run.how == EXCHANGE_DONE && run.bytes == 5, "OPTIONS is answered");
	c = conf("DELETE", "/x");
	fetch(&c);
	ok(run.how == EXCHANGE_DONE && run.status == 200, "DELETE is answered");
	struct mg_str headers[] = { MG_STR("X-One: 1"), MG_STR("X-Test: two words "), MG_STR("Content-Type: application/json") };

	c = conf("GET", "/header");
	c.headers = headers;
	c.n_headers = 3;
	fetch(&c);
	ok(!strcmp(run.text, "two words"), "a request header is found, whatever its case");
}

static long resident_kb(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long all = 0, here = 0;

	if (f && fscanf(f, "%ld %ld", &all, &here) != 2)
		here = 0;
	if (f)
		fclose(f);
	return here * (sysconf(_SC_PAGESIZE) / 1024);
}

/* What the kernel may take when it needs it. */
static long lent_kb(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[128];
	long kb = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "LazyFree: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

/* A machine that stands still for that second shows nothing: then once more.  A sanitizer keeps what is freed. */
static bool room_ends(struct exchange_conf *c)
{
#ifdef SANITIZED
	(void)c;
	return resident_kb() > 0;
#else
	bool ended = false;

	for (int n = 0; n < 5 && !ended; n++) {
		long kept;

		fetch(c);
		kept = resident_kb();
		for (int wait = 0; wait < 10 && !ended; wait++) {
			turn_for(1200);
			ended = kept - resident_kb() > BIG / 1024 / 2;
		}
	}
	return ended;
#endif
}

static void bodies(void)
{
	char *big = malloc(BIG);
	struct exchange_conf c = conf("POST", "/x");

	for (size_t i = 0; i < BIG; i++)
		big[i] = letter(i);
	struct mg_str one = { big, BIG }, pieces[] = { { big, 100 }, { big + 100, 0 }, { big + 100, BIG - 100 } },
		few[] = { { big, 7 }, { big + 7, 100 } };

	c.body = &one;
	c.pieces = 1;
	fetch(&c);
	ok(run.how == EXCHANGE_DONE && seen.body_len == BIG && seen.body_fine, "20 MB go up in one piece");
	c.body = pieces;
	c.pieces = 3;
	fetch(&c);
	ok(run.how == EXCHANGE_DONE && seen.body_len == BIG && seen.body_fine, "20 MB go up in pieces");
	ok(lent_kb() > BIG / 1024 / 2, "its room is lent to the kernel when it is answered");
	fetch(&c);
	ok(run.how == EXCHANGE_DONE && seen.body_len == BIG && seen.body_fine, "and takes the next body as it is");
	ok(room_ends(&c), "and after a while without one it is given back");
	c.body = few;
	c.pieces = 2;
	fetch(&c);
	ok(run.how == EXCHANGE_DONE && seen.body_len == 107 && seen.body_fine, "small pieces are joined");
	c = conf("PUT", "/x");
	c.body = few;
	c.pieces = 2;
	fetch(&c);
	ok(run.how == EXCHANGE_DONE && seen.body_len == 107, "PUT has a body");
	get("/big");
	ok(run.how == EXCHANGE_DONE && run.bytes == BIG && run.fine, "20 MB come down");
	c = conf("POST", "/small");
	c.body = &one;
	c.pieces = 1;
	fetch(&c);
	ok(run.status == 413, "a body larger than its route takes: 413");
	ok(!seen.bodies, "... before it is read");
	c = conf("POST", "/early");
	c.body = &one;
	c.pieces = 1;
	fetch(&c);
	ok(run.status == 401 && !strcmp(run.text, "no"), "an answer at the head reaches a client that is uploading (R11)");
	free(big);
}

static void streams(void)
{
	get("/drip");
	ok(run.how == EXCHANGE_DONE && !strncmp(run.text, "data: 0\n\ndata: 1\n\n", 18) && run.bytes == 45, "a stream arrives whole");
	get("/flood");
	ok(run.how == EXCHANGE_DONE && run.bytes == BIG && run.fine && seen.drained, "20 MB stream behind the high-water mark");
	run.pause_every = 50;
	get("/flood");
	ok(run.how == EXCHANGE_DONE && run.bytes == BIG && run.fine && run.pauses, "... and with a client that pauses");
	get("/abort");
	ok(run.how == EXCHANGE_CUT && run.phase == PHASE_BODY && run.bytes == 4, "an aborted stream is seen as cut");
	until_ended(1);
	ok(seen.ended == 1 && !seen.gone, "... and ended, not gone");
}

static void stop_now(struct timer *t)
{
	(void)t;
	exchange_cancel(run.x);
	run.x = NULL;
	until_ended(1);
	loop_stop(loop);
}

static void aborts(void)
{
	struct exchange_conf c;

	drip_more = true;
	run.cancel_at = 20;
	memset(&seen, 0, sizeof(seen));
	run = (struct run){ .cancel_at = 20, .how = -1 };
	c = conf("GET", "/drip");
	start(&c);
	until_ended(1);
	ok(!run.ends, "a cancelled exchange has no end event");
	ok(seen.gone == 1 && seen.ended == 1, "the server's side learns that the client left (R18)");
	drip_more = false;
	memset(&seen, 0, sizeof(seen));
	run = (struct run){ .how = -1 };
	run.cancel.fire = stop_now;
	c = conf("GET", "/never");
	start(&c);
	loop_timer_set(loop, &run.cancel, 30);
	turn_for(PATIENCE_MS);
	ok(seen.gone == 1 && seen.ended == 1 && !run.ends, "... also while the answer is awaited");
}

/* Requests one after the other must not wait for a delayed acknowledgement: those who do, do each
 * time.  What the machine holds up are a few, of one kind or the other. */
static void no_stalls(void)
{
	unsigned late[2] = { 0, 0 };
	uint64_t worst = 0;
	bool all = true;

	for (int i = 0; i < 50; i++) {
		uint64_t from = clock_us(), took;

		get(i % 2 ? "/x" : "/404");
		took = clock_us() - from;
		all &= run.how == EXCHANGE_DONE && run.bytes == 5;
		late[i % 2] += i > 1 && took >= 35000;
		if (i > 1 && took > worst)
			worst = took;
	}
	printf("# the slowest of 48 took %lu us\n", (unsigned long)worst);
	ok(all && late[0] < 12 && late[1] < 12, "no request waits 40 ms for an acknowledgement");
}

static int raw_connection(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)strtoul(strrchr(base, ':') + 1, NULL, 10)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
		printf("# connect: %m\n");
	return fd;
}

static unsigned packets(int fd, const char *path)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	char ask[128];
	int n = snprintf(ask, sizeof(ask), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);

	if (send(fd, ask, (size_t)n, 0) == n)
		turn_for(30);
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return info.tcpi_data_segs_in;
}

/* With bytes in them.  Behind its first stream on a connection: in that libmicrohttpd sets options
 * between the head and the rest, and that sends the head. */
static unsigned packets_for(const char *path)
{
	int fd = raw_connection();
	unsigned first = packets(fd, "/said"), both = packets(fd, path);

	close(fd);
	turn_for(5);
	return both - first;
}

static void few_packets(void)
{
	ok(packets_for("/x") == 1, "an answer is one packet");
	ok(packets_for("/begun") == 1, "the head of a stream goes with its first event");
	ok(packets_for("/said") == 1, "and the end with the last one");
}

/* Streams that have said something and wait: what their connections do not need goes back. */
static void idle_streams(void)
{
	enum { N = 100 };
	static const char ask[] = "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n", last[] = "GET /begun HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd[N];
	char text[1024];
	long before;
	ssize_t n;

	turn_for(300);	/* a look at the streams before them would find these, too */
	for (int i = 0; i < N; i++) {
		fd[i] = raw_connection();
		(void)!send(fd[i], i < N - 1 ? ask : last, i < N - 1 ? sizeof(ask) - 1 : sizeof(last) - 1, 0);
	}
	turn_for(100);
	before = resident_kb();
	turn_for(500);
	printf("# %ld KB, then %ld KB\n", before, resident_kb());
	ok(before - resident_kb() >= N * 3, "streams that wait give back pages");
	http_stream_write(seen.held, "more", 4);
	http_stream_end(seen.held);
	turn_for(20);
	n = recv(fd[N - 1], text, sizeof(text) - 1, MSG_DONTWAIT);
	text[n > 0 ? n : 0] = '\0';
	ok(strstr(text, "\r\n\r\n3\r\nall\r\n4\r\nmore\r\n0\r\n\r\n"), "and go on as if nothing was");
	for (int i = 0; i < N; i++)
		close(fd[i]);
	turn_for(20);
}

/* Descriptors are given from the lowest on. */
static void waiting(void)
{
	static const struct server_limits lim = { .header_bytes = 6144, .connections = 1000, .daemons = 64 };
	static const struct server_events on = { .body = on_body };
	struct listener l = { .at = "127.0.0.1:0" };
	struct err err = { 0 };
	int before = dup(0), after;
	struct server *many = server_new(loop, &lim, &on, NULL, &err);
	bool listens = many && !listener_open(&l, &err) && !server_listen(many, &l, &err);

	after = dup(0);
	close(before);
	close(after);
	ok(listens && after - before < 16, "a daemon without connections has no descriptor");
	server_free(many);
}

static void drain(void)
{
	struct exchange_conf c = conf("GET", "/never");

	memset(&seen, 0, sizeof(seen));
	run = (struct run){ .how = -1 };
	start(&c);
	run.stop_at_end = false;
	for (int i = 0; i < 200 && !seen.held; i++)
		turn_for(1);
	server_stop_accept(server);
	ok(!server_idle(server) && seen.held, "not idle while a request is open");
	server_cut(server);
	for (int i = 0; i < 200 && !(server_idle(server) && run.ends); i++)
		turn_for(5);
	ok(server_idle(server) && seen.gone == 1 && seen.ended == 1, "cut: told gone and ended, then idle (R91)");
	ok(run.ends == 1 && run.how != EXCHANGE_DONE, "the client sees no answer");
}

int main(void)
{
	struct err err = { 0, "" };

	if (!pair_start())
		return 1;
	ok(!server_self_check(&err), "libmicrohttpd is one that is guarded");
	if (*err.msg)
		printf("# %s\n", err.msg);
	plain_answers();
	bodies();
	streams();
	aborts();
	no_stalls();
	few_packets();
	idle_streams();
	waiting();
	drain();
	return pair_stop();
}
