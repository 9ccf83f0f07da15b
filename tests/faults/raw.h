/*
 * raw.h - a server on a thread of its own, as a worker has it, and raw sockets to it.
 *
 * Requests for /canary are counted: whatever stands before one on its connection,
 * the canary must not be served behind a refusal.
 */
#ifndef TESTS_FAULTS_RAW_H
#define TESTS_FAULTS_RAW_H

#include "net/server.h"
#include "base/buf.h"
#include "base/clock.h"
#include "tap.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define CANARY "GET /canary HTTP/1.1\r\nHost: a\r\n\r\n"
#define H "Host: a\r\n"

/* How long a head may take, a body twice as long: so long that nobody meets it who is not made to. */
#ifndef RAW_HEAD_MS
enum { RAW_HEAD_MS = 30000 };
#endif

static atomic_uint canaries, served, ended;
static struct loop *loop;
static struct server *server;
static unsigned short port;
static char dir[] = "/tmp/raw_test.XXXXXX", unix_path[64];
static pthread_t thread;

static inline void on_head(struct http_request *r)
{
	if (mg_is(r->path, "/small"))
		r->body_max = 1000;
}

static inline void on_body(struct http_request *r)
{
	atomic_fetch_add(&served, 1);
	if (mg_is(r->path, "/canary"))
		atomic_fetch_add(&canaries, 1);
	if (mg_is(r->path, "/stream")) {
		http_stream(r, 200, NULL);
		http_stream_write(r, "one", 3);
		http_stream_write(r, "two", 3);
		http_stream_end(r);
		return;
	}
	if (mg_is(r->path, "/endless")) {
		static char block[STREAM_HIGH * 2];

		http_stream(r, 200, NULL);
		http_stream_write(r, block, sizeof(block));
		return;
	}
	http_reply(r, 200, NULL, r->query.at ? r->query : r->body);
}

static inline void on_gone(struct http_request *r)
{
	http_stream_end(r);
}

static inline void on_ended(struct http_request *r)
{
	(void)r;
	atomic_fetch_add(&ended, 1);
}

static inline void *worker(void *arg)
{
	(void)arg;
	loop_run(loop);
	return NULL;
}

static inline int dial(unsigned short to)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(to), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)))
		printf("# connect failed\n");
	return fd;
}


static inline void say(int fd, const char *at, size_t len)
{
	(void)!send(fd, at, len, MSG_NOSIGNAL);
}

#define SAY(fd, literal) say((fd), (literal), sizeof(literal) - 1)

static inline unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* Reads until the peer closes, or has said `what` so many times; true: it closed.  Who
 * does neither for half a minute hangs. */
static inline bool drink(int fd, struct buf *b, const char *what, unsigned times)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char piece[16384];
	ssize_t n = 1;

	for (buf_put(b, "", 1); !what || count(b->at, what) < times; buf_put(b, "", 1)) {
		if (poll(&p, 1, 30000) <= 0 || (n = recv(fd, piece, sizeof(piece), 0)) <= 0)
			break;
		b->len--;
		buf_put(b, piece, (size_t)n);
	}
	return n <= 0;
}

static inline unsigned short port_of(const struct listener *l)
{
	char name[128];

	listener_name(l, name);
	return (unsigned short)strtoul(strrchr(name, ':') + 1, NULL, 10);
}

/* Plain HTTP at port, and at unix_path; more listeners may follow, and then raw_run(). */
static inline bool raw_start(struct err *err)
{
	static const struct server_limits lim = { .header_bytes = 6144, .body_bytes = 32 << 20, .head_ms = RAW_HEAD_MS, .body_ms = RAW_HEAD_MS * 2,
		.keepalive_ms = RAW_HEAD_MS * 3 / 2, .stall_ms = 500, .connections = 200, .connections_per_ip = 20, .daemons = 2 };
	static const struct server_events on = { .head = on_head, .body = on_body, .gone = on_gone, .ended = on_ended };
	struct listener plain = { .at = "127.0.0.1:0" }, local;
	char name[128];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mkdtemp(dir))
		return false;
	snprintf(unix_path, sizeof(unix_path), "%s/s", dir);
	snprintf(name, sizeof(name), "unix:%s", unix_path);
	local = (struct listener){ .at = name };
	loop = loop_new(err);
	server = server_new(loop, &lim, &on, NULL, err);
	if (!server || listener_open(&plain, err) || server_listen(server, &plain, err) ||
	    listener_open(&local, err) || server_listen(server, &local, err)) {
		printf("Bail out! %s\n", err->msg);
		return false;
	}
	port = port_of(&plain);
	return true;
}

static inline void raw_run(void)
{
	pthread_create(&thread, NULL, worker, NULL);
}

static inline void stop(void *arg)
{
	(void)arg;
	server_stop_accept(server);
	server_cut(server);
	loop_stop(loop);
}

static inline int raw_stop(void)
{
	loop_post(loop, stop, NULL);
	pthread_join(thread, NULL);
	server_free(server);
	loop_free(loop);
	unlink(unix_path);
	rmdir(dir);
	return tap_done();
}

#endif
