/*
 * guard_test.c - bytes that must not get through (R1-R7, R10, R11), and some that must, from raw sockets.
 *
 * Each payload is followed by a request for /canary on the same connection.
 */
#include "raw.h"

struct row { const char *text; size_t len; const char *claim; const char *status; };
#define ROW(s, st, c) { s, sizeof(s) - 1, c, st }

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
	ROW("GET / HTTP/1.1\r\n" H "X: aaaaaaaaaa\x7f" "aaaaa\r\n\r\n", "400", "R4 DEL inside a longer value"),
	ROW("GET / HTTP/1.1\r\n" H "X: aaaaaaa\x1f" "aaaaaaaaaaaa\r\n\r\n", "400", "R4 a control byte inside a longer value"),
	ROW("GET / HTTP/1.1\r\n" H "X: aaa\taaaaaaaaaaaaaaaaa\x01" "aaa\r\n\r\n", "400", "R4 a control byte behind a tab"),
	ROW("GET / HTTP/1.1\r\n\r\n", "400", "R5 no Host"),
	ROW("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400", "R5 two Hosts"),
	ROW("GET / HTTP/1.1\r\nHost:\r\n\r\n", "400", "R5 an empty Host"),
	ROW("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-a\r\nauthorization: Bearer sk-b\r\n\r\n", "400", "R77 two Authorizations"),
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
		closed = drink(fd, &b, NULL, 0);
		close(fd);
		right = !*rows[i].status || (b.len > 12 && !strncmp(b.at, "HTTP/1.", 7) && !strncmp(b.at + 9, rows[i].status, 3));
		ok(closed && right && atomic_load(&canaries) == before, rows[i].claim);
		if (!closed || !right)
			printf("# closed %d: %.300s\n", closed, b.len ? b.at : "(nothing)");
		buf_release(&b);
	}
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
		drink(fd, &in, "HTTP/1.1 200", 2);
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
		drink(fd, &b, "HTTP/1.1 200", 2);
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
	drink(fd, &b, "HTTP/1.1 200", 2);
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
	drink(fd, &in, "no=49.", 1);
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
	drink(fd, &in, "\r\n0\r\n\r\n", 2);
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
	drink(fd, &b, "HTTP/1.1 100", 1);
	ok(!strncmp(b.at, "HTTP/1.1 100", 12), "100-continue is answered");
	SAY(fd, "abc");
	buf_reset(&b);
	drink(fd, &b, "HTTP/1.1 200", 1);
	ok(!strncmp(b.at, "HTTP/1.1 200", 12), "... and then the body");
	close(fd);
	buf_reset(&b);
	fd = dial(port);
	SAY(fd, "POST /small HTTP/1.1\r\n" H "Content-Length: 3000\r\nExpect: 100-continue\r\n\r\n");
	drink(fd, &b, "HTTP/1.1 413", 1);
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
	ok(drink(fd, &b, NULL, 0) && !strncmp(b.at, "HTTP/1.1 413", 12) && atomic_load(&canaries) == before,
		"a chunked body is counted: 413 and the end (R7)");
	close(fd);
	buf_release(&b);
}

int main(void)
{
	struct err err = { 0, "" };

	if (!raw_start(&err))
		return 1;
	ok(!server_self_check(&err), "libmicrohttpd is one that is guarded");
	raw_run();
	fine_ones();
	refusals();
	large_heads();
	fragments();
	pipeline();
	expectation();
	chunked_too_large();
	return raw_stop();
}
