/* patience_test.c - what a client may take its time for, and how many may come (R8, R9, R19), from raw sockets. */
#include "raw.h"

#include <sys/un.h>

/* Sends piece every 20 ms; how long until the server ends it? */
static uint64_t patience_of_server(const char *first, const char *piece)
{
	uint64_t from = clock_ms();
	int fd = dial(port);
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLRDHUP };
	char junk[4096];

	say(fd, first, strlen(first));
	while (clock_ms() - from < 5000) {
		if (poll(&p, 1, 20) > 0 && recv(fd, junk, sizeof(junk), MSG_DONTWAIT) == 0)
			break;
		if (p.revents & (POLLHUP | POLLERR))
			break;
		say(fd, piece, strlen(piece));
	}
	close(fd);
	return clock_ms() - from;
}

/* What the server says before it ends it. */
static bool says(const char *first, const char *want)
{
	struct buf b;
	int fd = dial(port);
	bool closed, good;

	buf_init(&b, 1 << 16);
	say(fd, first, strlen(first));
	closed = drink(fd, &b, 2000);
	close(fd);
	good = closed && (*want ? !strncmp(b.at, want, strlen(want)) && count(b.at, "HTTP/1.1 ") == 1 : b.len == 1);
	if (!good)
		printf("# closed %d: %.300s\n", closed, b.at);
	buf_release(&b);
	return good;
}

static void too_late(void)
{
	ok(says("", ""), "R8 a silent connection is told nothing");
	ok(says("GET / HTTP/1.1\r\nX: ", "HTTP/1.1 408 "), "R8 a head that does not end: 408");
	ok(says("POST / HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nabc", "HTTP/1.1 408 "), "R8 a body that does not end: 408");
	ok(says("GET / HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 200 "), "R8 an idle connection behind an answer is told nothing more");
}

static void deadlines(void)
{
	uint64_t ms;

	ms = patience_of_server("", "");
	ok(ms >= 350 && ms < 1000, "R8 a silent connection");
	ms = patience_of_server("GET / HTTP/1.1\r\nX: ", "a");
	ok(ms >= 350 && ms < 1000, "R8 a head, byte by byte");
	ms = patience_of_server("POST / HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n", "a");
	ok(ms >= 350 && ms < 1200, "R8 a body, byte by byte");
	ms = patience_of_server("GET / HTTP/1.1\r\n" H "\r\n", "");
	ok(ms >= 550 && ms < 1300, "R8 an idle connection behind an answer");
	printf("# idle %lu ms\n", (unsigned long)ms);
}

static void stalled_reader(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), size = 4096;
	unsigned before = atomic_load(&ended);
	uint64_t from = clock_ms();

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	connect(fd, (struct sockaddr *)&a, sizeof(a));
	SAY(fd, "GET /endless HTTP/1.1\r\n" H "\r\n");
	while (atomic_load(&ended) == before && clock_ms() - from < 5000)
		usleep(10000);
	ok(atomic_load(&ended) == before + 1 && clock_ms() - from > 400, "R19 a reader that stands still is cut");
	printf("# after %lu ms\n", (unsigned long)(clock_ms() - from));
	close(fd);
}

static void unix_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct buf b;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path, unix_path, strlen(unix_path));
	buf_init(&b, 1 << 16);
	connect(fd, (struct sockaddr *)&a, sizeof(a));
	say(fd, CANARY, sizeof(CANARY) - 1);
	drink(fd, &b, 150);
	ok(!strncmp(b.at, "HTTP/1.1 200", 12), "a unix socket");
	close(fd);
	buf_release(&b);
}

static void floods(void)
{
	struct buf b;
	int fd[24], last;
	unsigned refused = 0;

	for (int i = 0; i < 24; i++)
		fd[i] = dial(port);
	for (int i = 0; i < 24; i++) {
		buf_init(&b, 1 << 16);
		say(fd[i], CANARY, sizeof(CANARY) - 1);
		drink(fd[i], &b, 30);
		refused += b.len > 12 && !strncmp(b.at, "HTTP/1.1 503", 12);
		buf_release(&b);
	}
	printf("# %u of 24 were refused\n", refused);
	ok(refused == 4, "R9 past the limit per address: 503 and the end");
	for (int i = 0; i < 24; i++)
		close(fd[i]);
	usleep(50000);
	buf_init(&b, 1 << 16);
	last = dial(port);
	say(last, CANARY, sizeof(CANARY) - 1);
	drink(last, &b, 100);
	close(last);
	ok(!strncmp(b.at, "HTTP/1.1 200", 12), "... and others again, when those have left");
	buf_release(&b);
}

int main(void)
{
	struct err err = { 0, "" };

	if (!raw_start(&err))
		return 1;
	raw_run();
	unix_socket();
	deadlines();
	too_late();
	stalled_reader();
	floods();
	return raw_stop();
}
