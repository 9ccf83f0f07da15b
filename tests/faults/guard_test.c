/*
 * guard_test.c - bytes that must not get through (R1-R11), from raw sockets.
 *
 * Each payload is followed by a request for /canary on the same connection:
 * whatever the payload does, the canary must not be served behind a refusal.
 * The server runs on a thread of its own, as a worker does.
 */
#include "net/server.h"
#include "base/buf.h"
#include "base/clock.h"
#include "tap.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANARY "GET /canary HTTP/1.1\r\nHost: a\r\n\r\n"

static atomic_uint canaries, served, ended;
static struct loop *loop;
static struct server *server;
static unsigned short port, tls_port;
static char unix_path[64];

static void on_head(struct http_request *r)
{
	if (mg_is(r->path, "/small"))
		r->body_max = 1000;
}

static void on_body(struct http_request *r)
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

static void on_gone(struct http_request *r)
{
	http_stream_end(r);
}

static void on_ended(struct http_request *r)
{
	(void)r;
	atomic_fetch_add(&ended, 1);
}

static void *worker(void *arg)
{
	(void)arg;
	loop_run(loop);
	return NULL;
}

static int dial(unsigned short to)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(to), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)))
		printf("# connect failed\n");
	return fd;
}

/* Reads until the peer closes, or for ms after the last byte; true: it closed. */
static bool drink(int fd, struct buf *b, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char piece[16384];
	ssize_t n = 1;

	while (poll(&p, 1, ms) > 0 && (n = recv(fd, piece, sizeof(piece), 0)) > 0)
		buf_put(b, piece, (size_t)n);
	buf_put(b, "", 1);
	return n <= 0;
}

static void say(int fd, const char *at, size_t len)
{
	(void)!send(fd, at, len, MSG_NOSIGNAL);
}

#define SAY(fd, literal) say((fd), (literal), sizeof(literal) - 1)

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

struct row { const char *text; size_t len; const char *claim; const char *status; };
#define ROW(s, st, c) { s, sizeof(s) - 1, c, st }
#define H "Host: a\r\n"

static const struct row rows[] = {
	ROW("POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400", "R1 length and coding"),
	ROW("POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400", "R1 two lengths"),
	ROW("POST / HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\nabc", "400", "R1 a list of lengths"),
	ROW("POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc", "400", "R1 a signed length"),
	ROW("POST / HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\nabc", "400", "R1 a hexadecimal length"),
	ROW("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\nabc", "400", "R1 an empty length"),
	ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400", "R1 two codings"),
	ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400", "R1 a list of codings"),
	ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "400", "R1 an unknown coding"),
	ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", "400", "R1 identity"),
	ROW("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400", "R1 a coding with HTTP/1.0"),
	ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n", "400", "R1 a vertical tab before the coding"),
	ROW("POST / HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\n", "400", "R2 a space before the colon"),
	ROW("POST / HTTP/1.1\r\n" H "Trans\x01" "fer: x\r\n\r\n", "400", "R2 a control byte in a name"),
	ROW("GET / HTTP/1.1\r\n" H ": x\r\n\r\n", "400", "R2 an empty name"),
	ROW("GET / HTTP/1.1\r\n" H "a(b): x\r\n\r\n", "400", "R2 a bracket in a name"),
	ROW("GET / HTTP/1.1\r\n" H "nocolon\r\n\r\n", "400", "R2 a line without a colon"),
	ROW("GET / HTTP/1.1\nHost: a\r\n\r\n", "400", "R3 a bare LF behind the first line"),
	ROW("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "400", "R3 a bare LF behind a header"),
	ROW("GET / HTTP/1.1\r\nHost: a\r\nX: b\n\r\n", "400", "R3 a bare LF behind the last header"),
	ROW("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\n", "400", "R3 a bare LF at the end"),
	ROW("GET / HTTP/1.1\nHost: a\n\n", "400", "R3 bare LF everywhere"),
	ROW("GET / HTTP/1.1\r\n" H "Authoriz: Bearer K\r\n ation\r\n\r\n", "400", "R3 a folded line"),
	ROW("GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n", "400", "R3 a line folded with a tab"),
	ROW("GET / HTTP/1.1\r\n X: a\r\n" H "\r\n", "400", "R3 a blank before the first header"),
	ROW("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n", "400", "R3 a NUL in a value"),
	ROW("GET / HTTP/1.1\r\n" H "X\0Y: a\r\n\r\n", "400", "R3 a NUL in a name"),
	ROW("GET /\0x HTTP/1.1\r\n" H "\r\n", "400", "R3 a NUL in the target"),
	ROW("GET / HTTP/1.1\r\n" H "X: a\rY: b\r\n\r\n", "400", "R4 a bare CR in a value"),
	ROW("GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", "400", "R4 DEL in a value"),
	ROW("GET / HTTP/1.1\r\n" H "X: a\x1b[0m\r\n\r\n", "400", "R4 an escape in a value"),
	ROW("GET / HTTP/1.1\r\n\r\n", "400", "R5 no Host"),
	ROW("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400", "R5 two Hosts"),
	ROW("GET / HTTP/1.1\r\nHost:\r\n\r\n", "400", "R5 an empty Host"),
	ROW("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400", "R5 a blank in Host"),
	ROW("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400", "R5 a user in Host"),
	ROW("GET / HTTP/1.9\r\n" H "\r\n", "505", "R5 HTTP/1.9"),
	ROW("GET / HTTP/2.0\r\n" H "\r\n", "505", "R5 HTTP/2.0"),
	ROW("GET / http/1.1\r\n" H "\r\n", "400", "R5 http in small letters"),
	ROW("CONNECT a:1 HTTP/1.1\r\n" H "\r\n", "405", "R5 CONNECT"),
	ROW("TRACE / HTTP/1.1\r\n" H "\r\n", "405", "R5 TRACE"),
	ROW("BREW / HTTP/1.1\r\n" H "\r\n", "501", "R5 an unknown method"),
	ROW("get / HTTP/1.1\r\n" H "\r\n", "501", "R5 a method in small letters"),
	ROW("G(T / HTTP/1.1\r\n" H "\r\n", "400", "R5 a method that is no token"),
	ROW("GET http://a/ HTTP/1.1\r\n" H "\r\n", "400", "R5 the absolute form"),
	ROW("GET * HTTP/1.1\r\n" H "\r\n", "400", "R5 an asterisk with GET"),
	ROW("GET /a%00b HTTP/1.1\r\n" H "\r\n", "400", "R6 %00"),
	ROW("GET /a%2fb HTTP/1.1\r\n" H "\r\n", "400", "R6 %2f"),
	ROW("GET /a%2Fb HTTP/1.1\r\n" H "\r\n", "400", "R6 %2F"),
	ROW("GET /a%5cb HTTP/1.1\r\n" H "\r\n", "400", "R6 %5c"),
	ROW("GET /%2e%2e/b HTTP/1.1\r\n" H "\r\n", "400", "R6 %2e"),
	ROW("GET /a//b HTTP/1.1\r\n" H "\r\n", "400", "R6 //"),
	ROW("GET /a/../b HTTP/1.1\r\n" H "\r\n", "400", "R6 .."),
	ROW("GET /a;b HTTP/1.1\r\n" H "\r\n", "400", "R6 ;"),
	ROW("GET /a\\b HTTP/1.1\r\n" H "\r\n", "400", "R6 a backslash"),
	ROW("GET /a\xc3\xa4 HTTP/1.1\r\n" H "\r\n", "400", "R6 a byte above 0x7e"),
	ROW("GET /a%zz HTTP/1.1\r\n" H "\r\n", "400", "R6 a bad escape"),
	ROW("GET /a% HTTP/1.1\r\n" H "\r\n", "400", "R6 half an escape"),
	ROW("GET /a b HTTP/1.1\r\n" H "\r\n", "", "R6 a blank in the target"),
	ROW("GET /a#b HTTP/1.1\r\n" H "\r\n", "400", "R6 a fragment"),
	ROW("GET /a?x=%00 HTTP/1.1\r\n" H "\r\n", "400", "R6 %00 in the query"),
	ROW("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551615\r\n\r\n", "400", "R7 the length that MHD takes for unknown"),
	ROW("POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999999\r\n\r\n", "413", "R7 a length past 64 bits"),
	ROW("POST / HTTP/1.1\r\n" H "Content-Length: 99999999\r\n\r\n", "413", "R7 a length above the limit"),
	ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", "413", "R7 a chunk past 64 bits"),
	ROW("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400", "R7 a chunk size that is no number"),
	ROW("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Encoding: gzip\r\n\r\nx", "415", "R16 a coded body"),
	ROW("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nExpect: tea\r\n\r\nx", "417", "an unknown expectation"),
	ROW("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "", "TLS bytes on a plain listener"),
};

static void refusals(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned before = atomic_load(&canaries);
		struct buf b;
		int fd = dial(port);
		bool closed, right;

		buf_init(&b, 1 << 20);
		say(fd, rows[i].text, rows[i].len);
		say(fd, CANARY, sizeof(CANARY) - 1);
		closed = drink(fd, &b, 1000);
		close(fd);
		right = !*rows[i].status || (b.len > 12 && !strncmp(b.at, "HTTP/1.", 7) && !strncmp(b.at + 9, rows[i].status, 3));
		ok(closed && right && atomic_load(&canaries) == before, rows[i].claim);
		if (!closed || !right)
			printf("# closed %d: %.300s\n", closed, b.len ? b.at : "(nothing)");
		buf_release(&b);
	}
}

static void envelope(void)
{
	struct buf b;
	int fd = dial(port);

	buf_init(&b, 1 << 16);
	SAY(fd, "GET /a//b HTTP/1.1\r\n" H "\r\n");
	drink(fd, &b, 1000);
	close(fd);
	ok(strstr(b.at, "\r\n\r\n{\"error\":{\"code\":400,\"message\":\"") && strstr(b.at, "Connection: close") &&
		strstr(b.at, "application/json"), "a refusal is the JSON envelope, and closes");
	buf_release(&b);
}

static void large_heads(void)
{
	static const struct { unsigned headers, bytes; const char *claim; bool fine; } cases[] = {
		{ 99, 20, "99 short headers are fine", true },
		{ 110, 10, "110 headers are too many", false },
		{ 1, 5500, "a header of 5.5 KB is fine", true },
		{ 1, 7000, "a head of 7 KB is too large", false },
		{ 1, 40000, "a head past the pool is refused, too", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b, in;
		int fd = dial(port);
		unsigned before = atomic_load(&canaries);

		buf_init(&b, 1 << 20);
		buf_init(&in, 1 << 20);
		buf_text(&b, "GET / HTTP/1.1\r\n" H);
		for (unsigned h = 0; h < cases[i].headers; h++) {
			buf_print(&b, "x-%u: ", h);
			for (unsigned k = 0; k < cases[i].bytes; k++)
				buf_put(&b, "v", 1);
			buf_text(&b, "\r\n");
		}
		buf_text(&b, "\r\n" CANARY);
		say(fd, b.at, b.len);
		drink(fd, &in, 300);
		close(fd);
		ok(cases[i].fine ? !strncmp(in.at, "HTTP/1.1 200", 12) && atomic_load(&canaries) == before + 1
			: strncmp(in.at, "HTTP/1.1 200", 12) && atomic_load(&canaries) == before, cases[i].claim);
		if (!cases[i].fine)
			printf("# %.20s\n", in.at);
		buf_release(&b);
		buf_release(&in);
	}
}

static void fine_ones(void)
{
	static const struct { const char *text, *want, *claim; } fine[] = {
		{ "GET / HTTP/1.1\r\n" H "\r\n", "200", "a plain GET" },
		{ "GET / HTTP/1.1\r\nhost:a\r\nX:   b  \r\nY:\r\nZ: \tc\r\n\r\n", "200", "blanks around values, empty values" },
		{ "GET / HTTP/1.0\r\n\r\n", "200", "HTTP/1.0 without Host" },
		{ "GET /a%20b/c.d?x=%2f..//;&y=%41 HTTP/1.1\r\n" H "\r\n", "200", "escapes in the path, anything in the query" },
		{ "GET / HTTP/1.1\r\nHost: [::1]:8080\r\nCookie: a=b; c=d\r\n\r\n", "200", "an IPv6 Host, cookies" },
		{ "OPTIONS * HTTP/1.1\r\n" H "\r\n", "200", "OPTIONS *" },
		{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", "a chunked body" },
		{ "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", "abc", "a declared body" },
		{ "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "200", "an empty body" },
		{ "\r\nGET / HTTP/1.1\r\n" H "\r\n", "200", "an empty line before the request" },
	};

	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		unsigned before = atomic_load(&canaries);
		struct buf b;
		int fd = dial(port);

		buf_init(&b, 1 << 20);
		say(fd, fine[i].text, strlen(fine[i].text));
		if (!strstr(fine[i].text, "HTTP/1.0"))
			say(fd, CANARY, sizeof(CANARY) - 1);
		else
			before--;
		drink(fd, &b, 150);
		close(fd);
		ok(!strncmp(b.at, "HTTP/1.", 7) && !strncmp(b.at + 9, "200", 3) && strstr(b.at, fine[i].want) &&
			atomic_load(&canaries) == before + 1, fine[i].claim);
		buf_release(&b);
	}
}

static void fragments(void)
{
	static const char text[] = "POST /stream HTTP/1.1\r\nHost: a\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" CANARY;
	unsigned before = atomic_load(&canaries);
	struct buf b;
	int fd = dial(port);

	buf_init(&b, 1 << 16);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		say(fd, text + i, 1);
		usleep(200);	/* so that the kernel does not join them */
	}
	drink(fd, &b, 200);
	close(fd);
	ok(!strncmp(b.at, "HTTP/1.1 200", 12) && strstr(b.at, "one") && atomic_load(&canaries) == before + 1,
		"a request byte by byte");
	buf_release(&b);
}

static void pipeline(void)
{
	struct buf b, in;
	int fd = dial(port);
	const char *at;
	bool order = true;

	buf_init(&b, 1 << 20);
	buf_init(&in, 1 << 20);
	for (int i = 0; i < 50; i++)
		buf_print(&b, "GET /?no=%02d. HTTP/1.1\r\n" H "\r\n", i);
	say(fd, b.at, b.len);
	drink(fd, &in, 300);
	close(fd);
	at = in.at;
	for (int i = 0; i < 50 && at; i++) {
		char want[16];

		snprintf(want, sizeof(want), "no=%02d.", i);
		at = strstr(at, want);
	}
	order = at != NULL;
	ok(order && count(in.at, "HTTP/1.1 200") == 50, "50 pipelined requests, 50 answers, in order (R10)");
	buf_reset(&b);
	buf_reset(&in);
	fd = dial(port);
	for (int i = 0; i < 2; i++)
		buf_text(&b, "POST /stream HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi");
	say(fd, b.at, b.len);
	drink(fd, &in, 300);
	close(fd);
	ok(count(in.at, "HTTP/1.1 200") == 2 && count(in.at, "\r\n0\r\n\r\n") == 2, "two pipelined streams, one after the other");
	buf_release(&b);
	buf_release(&in);
}

static void expectation(void)
{
	struct buf b;
	int fd = dial(port);

	buf_init(&b, 1 << 16);
	SAY(fd, "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
	drink(fd, &b, 100);
	ok(!strncmp(b.at, "HTTP/1.1 100", 12), "100-continue is answered");
	SAY(fd, "abc");
	buf_reset(&b);
	drink(fd, &b, 200);
	ok(!strncmp(b.at, "HTTP/1.1 200", 12), "... and then the body");
	close(fd);
	buf_reset(&b);
	fd = dial(port);
	SAY(fd, "POST /small HTTP/1.1\r\n" H "Content-Length: 3000\r\nExpect: 100-continue\r\n\r\n");
	drink(fd, &b, 300);
	ok(!strncmp(b.at, "HTTP/1.1 413", 12), "a refusal comes instead of 100 (R11)");
	close(fd);
	buf_release(&b);
}

static void chunked_too_large(void)
{
	static char zeros[2048];
	unsigned before = atomic_load(&canaries);
	struct buf b;
	int fd = dial(port);

	buf_init(&b, 1 << 16);
	SAY(fd, "POST /small HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n800\r\n");
	say(fd, zeros, sizeof(zeros));
	SAY(fd, "\r\n0\r\n\r\n" CANARY);
	ok(drink(fd, &b, 1000) && !strncmp(b.at, "HTTP/1.1 413", 12) && atomic_load(&canaries) == before,
		"a chunked body is counted: 413 and the end (R7)");
	close(fd);
	buf_release(&b);
}

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

static uint64_t cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
		(uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

static void silent_tls(void)
{
	int fd;
	uint64_t cpu, from;

	if (!tls_port) {
		printf("ok %d - TLS # SKIP no openssl\n", ++tap_n);
		return;
	}
	fd = dial(tls_port);
	cpu = cpu_ms();
	from = clock_ms();
	usleep(300000);
	cpu = cpu_ms() - cpu;
	from = clock_ms() - from;
	printf("# %lu ms of CPU in %lu ms\n", (unsigned long)cpu, (unsigned long)from);
	ok(cpu * 5 < from, "a silent TLS client costs no core");
	usleep(250000);
	{
		char c;

		ok(recv(fd, &c, 1, MSG_DONTWAIT) <= 0, "... and falls under the deadline");
	}
	close(fd);
}

/* Runs a program of the system; its output goes to path, its input is text. */
static int run(const char *const argv[], const char *text, const char *path)
{
	int in[2], status = -1;
	pid_t pid;

	if (pipe(in))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(in[0], 0);
		close(in[0]);
		close(in[1]);
		if (!freopen(path, "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(126);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(in[0]);
	if (text)
		(void)!write(in[1], text, strlen(text));
	close(in[1]);
	waitpid(pid, &status, 0);
	return status;
}

static char *slurp(const char *path)
{
	static char text[2][16384];
	static int which;
	FILE *f = fopen(path, "r");
	size_t n;

	which = !which;
	if (!f)
		return NULL;
	n = fread(text[which], 1, sizeof(text[0]) - 1, f);
	text[which][n] = 0;
	fclose(f);
	return n ? text[which] : NULL;
}

static void tls_request(const char *dir)
{
	char url[64], out[128], body[128], *text;
	const char *argv[] = { "curl", "-sk", "--max-time", "5", "-d", body, url, url, NULL };

	if (!tls_port)
		return;
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/", tls_port);
	snprintf(out, sizeof(out), "%s/out", dir);
	memset(body, 'x', 100);
	body[100] = 0;
	if (run(argv, NULL, out)) {
		printf("ok %d - TLS request # SKIP no curl\n", ++tap_n);
		return;
	}
	text = slurp(out);
	ok(text && strlen(text) == 200 && text[199] == 'x', "two requests over TLS on one connection");
	unlink(out);
}

static char *pem(const char *dir, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", dir, name);
	return slurp(path);
}

static void listen_tls(struct listener *l, const char *dir, struct err *err)
{
	char cert[128], key[128], out[128], name[128], *certs, *keys;
	const char *argv[] = { "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
		"-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-days", "2", NULL };

	snprintf(out, sizeof(out), "%s/out", dir);
	pem(dir, "key", key);
	pem(dir, "cert", cert);
	if (run(argv, NULL, out))
		return;
	certs = pem(dir, "cert", cert);
	keys = pem(dir, "key", key);
	unlink(out);
	unlink(cert);
	unlink(key);
	*l = (struct listener){ .at = "127.0.0.1:0", .cert = certs, .key = keys };
	if (listener_open(l, err) || server_listen(server, l, err)) {
		printf("# TLS: %s\n", err->msg);
		return;
	}
	listener_name(l, name);
	tls_port = (unsigned short)strtoul(strrchr(name, ':') + 1, NULL, 10);
	l->key = certs;
	ok(server_listen(server, l, err) && strstr(err->msg, "PEM"), "a certificate without its key is refused in words");
}

static void stop(void *arg)
{
	(void)arg;
	server_stop_accept(server);
	server_cut(server);
	loop_stop(loop);
}

int main(void)
{
	struct server_limits lim = { .header_bytes = 6144, .body_bytes = 32 << 20, .head_ms = 400, .body_ms = 800,
		.keepalive_ms = 600, .stall_ms = 500, .connections = 200, .connections_per_ip = 20, .daemons = 2 };
	struct server_events on = { .head = on_head, .body = on_body, .gone = on_gone, .ended = on_ended };
	struct listener plain = { .at = "127.0.0.1:0" }, tls = { .fd = -1 }, local;
	struct err err = { 0, "" };
	char name[128], dir[] = "/tmp/guard_test.XXXXXX";
	pthread_t thread;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mkdtemp(dir))
		return 1;
	snprintf(unix_path, sizeof(unix_path), "%s/s", dir);
	snprintf(name, sizeof(name), "unix:%s", unix_path);
	local = (struct listener){ .at = name };
	ok(!server_self_check(&err), "libmicrohttpd is one that is guarded");
	loop = loop_new(&err);
	server = server_new(loop, &lim, &on, NULL, &err);
	if (!server || listener_open(&plain, &err) || server_listen(server, &plain, &err) ||
	    listener_open(&local, &err) || server_listen(server, &local, &err)) {
		printf("Bail out! %s\n", err.msg);
		return 1;
	}
	listen_tls(&tls, dir, &err);
	listener_name(&plain, name);
	port = (unsigned short)strtoul(strrchr(name, ':') + 1, NULL, 10);
	pthread_create(&thread, NULL, worker, NULL);
	fine_ones();
	refusals();
	envelope();
	large_heads();
	fragments();
	pipeline();
	expectation();
	chunked_too_large();
	unix_socket();
	deadlines();
	stalled_reader();
	floods();
	silent_tls();
	tls_request(dir);
	loop_post(loop, stop, NULL);
	pthread_join(thread, NULL);
	server_free(server);
	loop_free(loop);
	unlink(unix_path);
	rmdir(dir);
	return tap_done();
}
