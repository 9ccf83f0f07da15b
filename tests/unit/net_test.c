/*
 * net_test.c - a server and a client on one loop, talking over loopback.
 *
 * The server answers by path; each case starts one exchange and turns the loop
 * until its end came, or the guard timer says that it never will.
 */
#include "net/client.h"
#include "net/server.h"
#include "base/buf.h"
#include "base/clock.h"
#include "tap.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
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

static char letter(size_t i)
{
	return (char)('a' + i % 23);
}

static bool lettered(struct mg_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] != letter(i))
			return false;
	return true;
}

static void flood(struct http_request *r)
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

static void on_drip(struct timer *t)
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
	{ NULL, { NULL, 0 } },
};

static void on_head(struct http_request *r)
{
	seen.heads++;
	if (mg_is(r->path, "/small"))
		r->body_max = 1000;
	if (mg_is(r->path, "/early"))
		http_reply(r, 401, NULL, MG_STR("no"));
}

static void on_body(struct http_request *r)
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
	} else if (mg_is(r->path, "/never")) {
		seen.held = r;
	} else if (mg_is(r->path, "/query")) {
		http_reply(r, 200, NULL, http_query(r, "name"));
	} else if (mg_is(r->path, "/header")) {
		http_reply(r, 200, NULL, http_header(r, "x-TEST"));
	} else {
		http_reply(r, mg_is(r->path, "/404") ? 404 : 200, sse, MG_STR("hello"));
	}
}

static void on_drained(struct http_request *r)
{
	seen.drained++;
	flood(r);
}

static void on_gone(struct http_request *r)
{
	seen.gone++;
	loop_timer_clear(loop, &drip);
	seen.held = NULL;
	if (mg_is(r->path, "/never"))
		http_reply(r, 499, NULL, MG_STR(""));
	else
		http_stream_end(r);
}

static void on_ended(struct http_request *r)
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
	char text[128], type[64], injected[8], why[120];
	struct timer again, cancel;
	size_t cancel_at;
} run;

static void on_x_head(void *owner, struct exchange *x, int status)
{
	struct mg_str type = exchange_header(x, "content-TYPE"), bad = exchange_header(x, "x-injected");

	(void)owner;
	run.heads++;
	run.status = status;
	if (type.at)
		snprintf(run.type, sizeof(run.type), "%.*s", (int)type.len, type.at);
	if (bad.at)
		snprintf(run.injected, sizeof(run.injected), "yes");
}

static void on_again(struct timer *t)
{
	(void)t;
	exchange_resume(run.x);
}

static bool on_x_data(void *owner, struct exchange *x, const char *at, size_t len)
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

static void on_x_end(void *owner, struct exchange *x, const struct exchange_result *r)
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

static void too_long(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

static void turn_for(uint64_t ms)
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
static void look(struct timer *t)
{
	if (seen.ended == wanted)
		loop_stop(loop);
	else
		loop_timer_set(loop, t, 1);
}

static void until_ended(unsigned n)
{
	wanted = n;
	loop_timer_set(loop, &looker, 0);
	turn_for(5000);
	loop_timer_clear(loop, &looker);
}

static struct exchange_conf conf(const char *method, const char *path)
{
	static char url[256];

	snprintf(url, sizeof(url), "%s%s", base, path);
	return (struct exchange_conf){ .method = method, .url = url, .plain_http = true, .connect_ms = 2000 };
}

static void start(const struct exchange_conf *c)
{
	struct err err = { 0, "" };

	run.fine = true;
	run.stop_at_end = true;
	run.x = exchange_start(client, c, &events, &run, &err);
	if (!run.x)
		printf("# exchange_start: %s\n", err.msg);
}

static void fetch(const struct exchange_conf *c)
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

static void get(const char *path)
{
	struct exchange_conf c = conf("GET", path);

	fetch(&c);
}

static void plain_answers(void)
{
	get("/x");
	ok(run.how == EXCHANGE_DONE && run.status == 200 && !strcmp(run.text, "hello"), "GET is answered");
	ok(!strcmp(run.type, "text/event-stream") && !*run.injected, "headers arrive; one with a line break is left out");
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

static void limits(void)
{
	struct exchange_conf c = conf("GET", "/never");

	c.headers_ms = 60;
	fetch(&c);
	ok(run.how == EXCHANGE_TIMEOUT && run.phase == PHASE_HEADERS, "no head in time");
	c = conf("GET", "/never");
	c.total_ms = 60;
	fetch(&c);
	ok(run.how == EXCHANGE_TIMEOUT, "too long in all");
	drip_more = true;
	c = conf("GET", "/drip");
	c.total_ms = 100;
	fetch(&c);
	ok(run.how == EXCHANGE_TIMEOUT && run.phase == PHASE_BODY && run.bytes > 0, "a stream longer than allowed");
	drip_more = false;
	c = conf("GET", "/hang");
	c.idle_ms = 60;
	fetch(&c);
	ok(run.how == EXCHANGE_TIMEOUT && run.phase == PHASE_BODY && run.bytes == 4, "an answer that stops");
	c = conf("GET", "/drip");
	c.idle_ms = 60;
	run.pause_every = 3;
	run.pause_ms = 150;
	fetch(&c);
	ok(run.how == EXCHANGE_DONE && run.bytes == 45, "a pause of ours does not count as idle");
	c = conf("GET", "/big");
	c.max_bytes = 1000000;
	fetch(&c);
	ok(run.how == EXCHANGE_TOO_LARGE && run.bytes <= 1000000, "an answer larger than allowed");
	c = conf("GET", "/flood");
	c.max_bytes = 1000000;
	fetch(&c);
	ok(run.how == EXCHANGE_TOO_LARGE && run.bytes <= 1000000, "... also a chunked one");
}

static void refusals(void)
{
	struct err err = { 0, "" };
	struct mg_str bad = MG_STR("X: a\r\nY: b");
	struct exchange_conf c = conf("GET", "/x");

	c.plain_http = false;
	ok(!exchange_start(client, &c, &events, &run, &err) && err.rc == MG_EDENIED, "http only where it is allowed");
	c = conf("GET", "/x");
	c.url = "file:///etc/passwd";
	ok(!exchange_start(client, &c, &events, &run, &err) && err.rc == MG_EINVAL, "no file URLs");
	c.url = "https://user:secret@localhost/";
	ok(!exchange_start(client, &c, &events, &run, &err) && !strstr(err.msg, "secret"), "no credentials in URLs");
	c = conf("GET", "/x");
	c.headers = &bad;
	c.n_headers = 1;
	ok(!exchange_start(client, &c, &events, &run, &err), "no line breaks in headers");
	c = conf("GET", "/x");
	c.foreign = true;
	fetch(&c);
	ok(run.how == EXCHANGE_REFUSED && !seen.heads, "a foreign URL reaches no loopback address (R37)");
	c = conf("GET", "/x");
	c.url = "http://127.0.0.1:1/";
	fetch(&c);
	ok(run.how == EXCHANGE_CONNECT && run.phase == PHASE_CONNECT, "a refused connection");
	ok(*run.why && !strstr(run.why, "127.0.0.1"), "... in words without the address");
}

/* A raw upstream: one answer, then the end. */
static struct raw { struct watch listen, conn; const char *text; bool silent; } raw;

static void raw_read(struct watch *w, uint32_t e)
{
	char buf[4096];

	(void)e;
	if (recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT) > 0 && raw.silent)
		return;
	if (raw.text)
		send(w->fd, raw.text, strlen(raw.text), MSG_NOSIGNAL);
	loop_unwatch(loop, w);
	close(w->fd);
	w->fd = -1;
}

static void raw_accept(struct watch *w, uint32_t e)
{
	(void)e;
	raw.conn = (struct watch){ .fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK), .ready = raw_read };
	loop_watch(loop, &raw.conn, EPOLLIN);
}

static void upstreams(void)
{
	static const struct { const char *text, *claim; int how, phase; } rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "a body shorter than declared is cut", EXCHANGE_CUT, PHASE_BODY },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "chunks without an end are cut", EXCHANGE_CUT, PHASE_BODY },
		{ "HTTP/1.1 200 OK\r\nConte", "a head that breaks off is cut", EXCHANGE_CUT, PHASE_HEADERS },
		{ NULL, "an empty answer is cut", EXCHANGE_CUT, PHASE_HEADERS },
		{ "220 smtp ready\r\n", "no HTTP is broken", EXCHANGE_BROKEN, PHASE_HEADERS },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "a broken chunk is a cut", EXCHANGE_CUT, PHASE_BODY },
		{ "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "a redirect is an answer, not followed", EXCHANGE_DONE, PHASE_BODY },
		{ "HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "a 1xx is passed over", EXCHANGE_DONE, PHASE_BODY },
		{ "HTTP/1.1 200 OK\r\n\r\nto the end", "a body up to the close is an answer", EXCHANGE_DONE, PHASE_BODY },
	};
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	struct exchange_conf c = conf("GET", "/");
	char url[64];

	raw.listen = (struct watch){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .ready = raw_accept };
	bind(raw.listen.fd, (struct sockaddr *)&a, sizeof(a));
	listen(raw.listen.fd, 8);
	getsockname(raw.listen.fd, (struct sockaddr *)&a, &len);
	loop_watch(loop, &raw.listen, EPOLLIN);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(a.sin_port));
	c.url = url;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		raw.text = rows[i].text;
		fetch(&c);
		ok(run.how == rows[i].how && run.phase == rows[i].phase, rows[i].claim);
		if (run.how != rows[i].how || run.phase != rows[i].phase)
			printf("# how %d phase %d: %s\n", run.how, run.phase, run.why);
	}
	raw.silent = true;
	raw.text = NULL;
	c.headers_ms = 50;
	fetch(&c);
	ok(run.how == EXCHANGE_TIMEOUT && run.phase == PHASE_HEADERS, "a silent upstream runs into headers_ms");
	loop_unwatch(loop, &raw.conn);
	close(raw.conn.fd);
	raw.silent = false;
	c.headers_ms = 0;
	loop_unwatch(loop, &raw.listen);
	close(raw.listen.fd);
}

/* A certificate for 127.0.0.1, made by openssl in dir; false: there is none. */
static bool make_cert(const char *cert, const char *key)
{
	const char *argv[] = { "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
		"-keyout", key, "-out", cert, "-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", NULL };
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout))
			_exit(126);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return !status;
}

static char *slurp(const char *path)
{
	char *text = calloc(1, 16384);
	FILE *f = fopen(path, "r");

	if (f && !fread(text, 1, 16383, f))
		*text = 0;
	if (f)
		fclose(f);
	return text;
}

static void upload_and_stream_tls(struct exchange_conf c, const char *origin)
{
	char *big = malloc(BIG), url[192];
	struct mg_str one = { big, BIG };

	for (size_t i = 0; i < BIG; i++)
		big[i] = letter(i);
	snprintf(url, sizeof(url), "%s/x", origin);
	c.url = url;
	c.method = "POST";
	c.body = &one;
	c.pieces = 1;
	fetch(&c);
	ok(run.how == EXCHANGE_DONE && seen.body_len == BIG && seen.body_fine, "20 MB go up under TLS");
	free(big);
	c.method = "GET";
	c.body = NULL;
	snprintf(url, sizeof(url), "%s/flood", origin);
	run.pause_every = 100;
	fetch(&c);
	ok(run.how == EXCHANGE_DONE && run.bytes == BIG && run.fine, "20 MB stream under TLS, with pauses");
	snprintf(url, sizeof(url), "%s/abort", origin);
	fetch(&c);
	ok(run.how == EXCHANGE_CUT && run.bytes == 4, "an aborted stream is cut under TLS");
}

static void tls(void)
{
	char dir[] = "/tmp/net_test.XXXXXX", cert[64], key[64], name[128], origin[160], url[192];
	struct listener l = { .at = "127.0.0.1:0" };
	struct exchange_conf c = conf("GET", "/");
	struct err err = { 0, "" };
	char *certs, *keys;

	if (!mkdtemp(dir))
		return;
	snprintf(cert, sizeof(cert), "%s/cert", dir);
	snprintf(key, sizeof(key), "%s/key", dir);
	if (!make_cert(cert, key)) {
		printf("ok %d - TLS # SKIP no openssl\n", ++tap_n);
		rmdir(dir);
		return;
	}
	l.cert = certs = slurp(cert);
	l.key = keys = slurp(key);
	ok(!listener_open(&l, &err) && !server_listen(server, &l, &err), "a TLS listener");
	listener_name(&l, name);
	snprintf(origin, sizeof(origin), "https://%s", name);
	snprintf(url, sizeof(url), "%s/x", origin);
	c.url = url;
	c.plain_http = false;
	c.connect_ms = 5000;
	fetch(&c);
	ok(run.how == EXCHANGE_CONNECT && *run.why, "an unknown issuer is refused");
	printf("# %s\n", run.why);
	c.ca_file = cert;
	fetch(&c);
	ok(run.how == EXCHANGE_DONE && run.status == 200 && !strcmp(run.text, "hello"), "a known one is not");
	upload_and_stream_tls(c, origin);
	unlink(cert);
	unlink(key);
	rmdir(dir);
	free(certs);
	free(keys);
}

/* Requests one after the other must not wait for a delayed acknowledgement. */
static void no_stalls(void)
{
	uint64_t worst = 0;
	bool all = true;

	for (int i = 0; i < 50; i++) {
		uint64_t from = clock_us(), took;

		get(i % 2 ? "/x" : "/404");
		took = clock_us() - from;
		all &= run.how == EXCHANGE_DONE && run.bytes == 5;
		if (i > 1 && took > worst)
			worst = took;
	}
	printf("# the slowest of 48 took %lu us\n", (unsigned long)worst);
	ok(all && worst < 35000, "no request waits 40 ms for an acknowledgement");
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
	struct server_limits lim = { .header_bytes = 6144, .body_bytes = 32 << 20, .head_ms = 10000, .body_ms = 60000,
		.keepalive_ms = 60000, .stall_ms = 60000, .connections = 1000, .daemons = 2 };
	struct server_events on = { on_head, on_body, on_drained, on_gone, on_ended };
	struct listener l = { .at = "127.0.0.1:0" };
	struct err err = { 0, "" };
	char name[128];

	setvbuf(stdout, NULL, _IOLBF, 0);
	loop = loop_new(&err);
	client = client_new(loop, 3, 100, &err);
	server = server_new(loop, &lim, &on, NULL, &err);
	if (!loop || !client || !server || listener_open(&l, &err) || server_listen(server, &l, &err)) {
		printf("Bail out! %s\n", err.msg);
		return 1;
	}
	listener_name(&l, name);
	snprintf(base, sizeof(base), "http://%s", name);
	ok(!server_self_check(&err), "libmicrohttpd is one that is guarded");
	if (*err.msg)
		printf("# %s\n", err.msg);
	plain_answers();
	bodies();
	streams();
	aborts();
	limits();
	refusals();
	upstreams();
	tls();
	no_stalls();
	drain();
	client_free(client);
	server_free(server);
	loop_free(loop);
	return tap_done();
}
