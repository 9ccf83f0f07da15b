/* patience_test.c - what a client may take its time for, and how many may come (R8, R9, R19), from raw sockets. */
#define RAW_HEAD_MS 400
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
	while (clock_ms() - from < 20000) {	/* who takes so long has no limit */
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
	closed = drink(fd, &b, NULL, 0);
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
	ok(ms >= 350 && ms < 15000, "R8 a silent connection");
	ms = patience_of_server("GET / HTTP/1.1\r\nX: ", "a");
	ok(ms >= 350 && ms < 15000, "R8 a head, byte by byte");
	ms = patience_of_server("POST / HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n", "a");
	ok(ms >= 350 && ms < 15000, "R8 a body, byte by byte");
	ms = patience_of_server("GET / HTTP/1.1\r\n" H "\r\n", "");
	ok(ms >= 550 && ms < 15000, "R8 an idle connection behind an answer");
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
	while (atomic_load(&ended) == before && clock_ms() - from < 20000)
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
	drink(fd, &b, "HTTP/1.1 200", 1);
	ok(!strncmp(b.at, "HTTP/1.1 200", 12), "a unix socket");
	close(fd);
	buf_release(&b);
}

/* On one connection: what is answered begins like this. */
static bool answered(int fd, const char *want)
{
	struct buf b;
	bool is;

	buf_init(&b, 1 << 16);
	say(fd, CANARY, sizeof(CANARY) - 1);
	drink(fd, &b, "HTTP/1.1 ", 1);
	is = !strncmp(b.at, want, strlen(want));
	buf_release(&b);
	return is;
}

/* How many of 24 are refused, which is for the first of them to be there still as the last one comes. */
static unsigned flood(void)
{
	int fd[24];
	unsigned refused = 0;

	for (int i = 0; i < 24; i++)
		fd[i] = dial(port);
	for (int i = 0; i < 24; i++)
		refused += answered(fd[i], "HTTP/1.1 503");
	for (int i = 0; i < 24; i++)
		close(fd[i]);
	printf("# %u of 24 were refused\n", refused);
	return refused;
}

/* Those that have left are known to have sooner or later. */
static bool others_again(void)
{
	bool fine = false;

	for (int i = 0; i < 1000 && !fine; i++) {
		int fd = dial(port);

		fine = answered(fd, "HTTP/1.1 200");
		close(fd);
		usleep(10000);
	}
	return fine;
}

static void floods(void)
{
	unsigned refused = 0;
	bool again = true;

	/* 400 ms are what the silent ones have: a machine that stands still for so long has fewer at once. */
	for (int i = 0; i < 5 && refused != 4 && again; i++) {
		refused = flood();
		again = others_again();
	}
	ok(refused == 4, "R9 past the limit per address: 503 and the end");
	ok(again, "... and others again, when those have left");
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
