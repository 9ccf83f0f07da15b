/*
 * refusals_test.c - a refusal is the JSON envelope with a request id, whoever refuses.
 *
 * The guard refuses what libmicrohttpd lets through; the rest libmicrohttpd refuses
 * by itself, in HTML if it were left to it.
 */
#include "raw.h"

static const char *letters(size_t n)
{
	static char v[65536];

	memset(v, 'v', n);
	v[n] = 0;
	return v;
}

/* One answer, of that status, whose body is the envelope, whole. */
static bool is_envelope(const char *at, const char *status)
{
	const char *body = strstr(at, "\r\n\r\n"), *len = strstr(at, "Content-Length: ");
	char want[64];

	snprintf(want, sizeof(want), "{\"error\":{\"code\":%s,\"message\":\"", status);
	return !strncmp(at, "HTTP/1.", 7) && !strncmp(at + 9, status, 3) && count(at, "X-Request-Id: ") == 1 && body && len && len < body &&
		!strncmp(body + 4, want, strlen(want)) && strlen(body + 4) == strtoul(len + 16, NULL, 10) &&
		strstr(body, "\"metadata\":{\"error_type\":\"") && !!strstr(at, "\r\nAllow: ") == !strcmp(status, "405") &&
		strstr(at, "Content-Type: application/json\r\n") && strstr(at, "X-Request-Id: req-") &&
		strstr(at, "Connection: close\r\n") && !strstr(at, "<html>");
}

static void check(const char *text, size_t len, const char *status, const char *claim)
{
	unsigned before = atomic_load(&canaries);
	struct buf b;
	int fd = dial(port);
	bool closed;

	buf_init(&b, 1 << 20);
	say(fd, text, len);
	closed = drink(fd, &b, NULL, 0);
	close(fd);
	ok(closed && is_envelope(b.at, status) && atomic_load(&canaries) == before, claim);
	if (!closed || !is_envelope(b.at, status))
		printf("# closed %d: %.400s\n", closed, b.at);
	buf_release(&b);
}

static void parsed(void)
{
	static const struct { const char *text, *status, *claim; } rows[] = {
		{ "GET /a//b HTTP/1.1\r\n" H "\r\n", "400", "the guard's own" },
		{ "GET\r\n", "400", "a first line without a blank" },
		{ "GET\r\n" H "\r\n", "400", "a first line without a blank, and a head behind it" },
		{ " GET / HTTP/1.1\r\n" H "\r\n", "400", "a blank before the method" },
		{ "SSH-2.0-OpenSSH_9\r\n", "400", "another protocol" },
		{ "TRACE / HTTP/1.1\r\n" H "\r\n", "405", "a method that is never served" },
		{ "GET /\r\n\r\n", "400", "a request line without a version" },
		{ "GET / HTTP/x.y\r\n" H "\r\n", "400", "a version of letters" },
		{ "GET / http/1.1\r\n" H "\r\n", "400", "a version in small letters" },
		{ "GET / HTTP/1.9\r\n" H "\r\n", "505", "HTTP/1.9" },
		{ "GET / HTTP/0.9\r\n" H "\r\n", "505", "HTTP/0.9" },
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505", "HTTP/2 with prior knowledge" },
		{ "GET / HTTP/3.0\r\n" H "\r\n", "505", "HTTP/3.0" },
		{ "GET / HTTP/1.1\r\n\r\n", "400", "no Host" },
		{ "GET / HTTP/1.1\r\n" H "nocolon\r\n\r\n", "400", "a header without a colon" },
		{ "POST / HTTP/1.1\r\n" H "Content-Length: x\r\n\r\n", "400", "a length of letters" },
		{ "POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999999\r\n\r\n", "413", "a length past 64 bits" },
		{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400", "a chunk size of letters" },
		{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n", "400", "a chunk without its end" },
		{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", "413", "a chunk past 64 bits" },
		{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nnocolon\r\n\r\n", "400", "a trailer without a colon" },
		{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400", "a list of codings" },
		{ "POST / HTTP/1.1\r\n" H "Content-Length: 99999999\r\n\r\n", "413", "a declared body that is too large" },
	};
	char row[512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(row, sizeof(row), "%s" CANARY, rows[i].text);
		check(row, strlen(row), rows[i].status, rows[i].claim);
	}
}

/* Behind an answer, too, who speaks something else is told so; where the connection was to be closed, nobody is. */
static void kept(const char *first, const char *then, bool told, const char *claim)
{
	struct buf b, rest;
	int fd = dial(port);
	bool closed;

	buf_init(&b, 1 << 20);
	buf_init(&rest, 1 << 20);
	say(fd, first, strlen(first));
	drink(fd, &b, "still-here", 1);
	if (then)
		say(fd, then, strlen(then));
	closed = drink(fd, &rest, NULL, 0);
	close(fd);
	ok(closed && count(b.at, "still-here") == 1 && (told ? is_envelope(rest.at, "400") : !*rest.at), claim);
	if (!closed || (told && !is_envelope(rest.at, "400")))
		printf("# closed %d: %.400s\n", closed, rest.at);
	buf_release(&b);
	buf_release(&rest);
}

static void behind_an_answer(void)
{
	static const char one[] = "GET /?still-here HTTP/1.1\r\n" H;
	char kept_alive[128], closing[128];

	snprintf(kept_alive, sizeof(kept_alive), "%s\r\n", one);
	snprintf(closing, sizeof(closing), "%sConnection: close\r\n\r\n", one);
	kept(kept_alive, "GET\r\n", true, "a first line without a blank, behind an answer");
	kept(kept_alive, "SSH-2.0-OpenSSH_9\r\n", true, "another protocol, behind an answer");
	for (int i = 0; i < 20; i++)
		kept(closing, NULL, false, "a connection that was to be closed has one answer");
	kept("GET /?still-here HTTP/1.0\r\n\r\n", NULL, false, "and so has one of HTTP/1.0");
}

static void oversized(void)
{
	static const struct { const char *before, *after, *status, *claim; size_t n; } rows[] = {
		{ "GET / HTTP/1.1\r\n" H "X: ", "\r\n\r\n", "431", "a head above the limit", 7000 },
		{ "GET / HTTP/1.1\r\n" H "X: ", "\r\n\r\n", "431", "a head past the pool", 40000 },
		{ "GET /", " HTTP/1.1\r\n" H "\r\n", "414", "a target past the pool", 40000 },
		{ "POST /small HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n800\r\n", "\r\n0\r\n\r\n", "413",
			"a chunked body that is too large", 2048 },
	};
	struct buf b;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_init(&b, 1 << 20);
		buf_print(&b, "%s%s%s" CANARY, rows[i].before, letters(rows[i].n), rows[i].after);
		check(b.at, b.len, rows[i].status, rows[i].claim);
		buf_release(&b);
	}
}

static void too_many(void)
{
	int fd[20];

	for (int i = 0; i < 20; i++)
		fd[i] = dial(port);
	check(CANARY, sizeof(CANARY) - 1, "503", "a connection too many");
	for (int i = 0; i < 20; i++)
		close(fd[i]);
}

int main(void)
{
	struct err err = { 0, "" };

	if (!raw_start(&err))
		return 1;
	raw_run();
	parsed();
	behind_an_answer();
	oversized();
	too_many();
	return raw_stop();
}
