/* exchange_test.c - an exchange with an upstream: its limits, its refusals, upstreams that break, certificates (R25-R30). */
#include "pair.h"

#include <sys/wait.h>

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
	c.total_ms = 500;
	fetch(&c);
	ok(run.how == EXCHANGE_TIMEOUT && run.phase == PHASE_BODY && run.bytes > 0, "a stream longer than allowed");
	drip_more = false;
	c = conf("GET", "/hang");
	c.idle_ms = 500;
	fetch(&c);
	ok(run.how == EXCHANGE_TIMEOUT && run.phase == PHASE_BODY && run.bytes == 4, "an answer that stops");
	c = conf("GET", "/drip");
	c.idle_ms = 500;
	run.pause_every = 3;
	run.pause_ms = 1200;
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
	bad = (struct mg_str){ NULL, 0 };
	ok(!exchange_start(client, &c, &events, &run, &err) && err.rc == MG_ENOMEM, "a header that there was no memory for: it would end the head");
	c = conf(NULL, "/x");
	ok(!exchange_start(client, &c, &events, &run, &err) && err.rc == MG_ENOMEM, "... nor for the method");
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

/* Descriptors are given from the lowest on. */
static void waiting(void)
{
	struct err err = { 0 };
	int before = dup(0), after;
	struct client *many = client_new(loop, 1000, 1000, &err);

	after = dup(0);
	close(before);
	close(after);
	ok(many && after - before < 16, "a multi that is not used has no descriptors");
	client_free(many);
}

/* A handle keeps what is set alike for all exchanges of its kind; what was one exchange's own is gone (R26). */
static void one_after_the_other(void)
{
	struct mg_str secret = MG_STR("X-Test: of the first"), body = MG_STR("abcd");
	struct exchange_conf c = conf("POST", "/header");
	char url[200];

	c.headers = &secret;
	c.n_headers = 1;
	c.body = &body;
	c.pieces = 1;
	for (int i = 0; i < 3; i++)
		fetch(&c);
	ok(run.how == EXCHANGE_DONE && !strcmp(run.text, "of the first") && seen.body_len == 4 && seen.body_fine, "three alike, each with its header and body");
	c = conf("POST", "/header");
	fetch(&c);
	ok(run.how == EXCHANGE_DONE && run.status == 200 && !run.bytes && !seen.body_len, "the next has neither");
	c.foreign = true;
	fetch(&c);
	ok(run.how == EXCHANGE_REFUSED, "... and one to a foreign URL is checked");
	get("/header");
	ok(run.how == EXCHANGE_DONE && run.status == 200 && !run.bytes, "... a GET is one");
	c = conf("POST", "/host");
	fetch(&c);
	ok(!strcmp(run.text, base + strlen("http://")), "Host is the URL's, with its port");
	snprintf(url, sizeof(url), "http://LocalHost%s/host", strrchr(base, ':'));
	c.url = url;
	fetch(&c);
	ok(!strncmp(run.text, "LocalHost:", 10) && !strcmp(run.text + 10, strrchr(base, ':') + 1), "... a name's, too");
}

int main(void)
{
	if (!pair_start())
		return 1;
	limits();
	refusals();
	upstreams();
	tls();
	waiting();
	one_after_the_other();
	return pair_stop();
}
