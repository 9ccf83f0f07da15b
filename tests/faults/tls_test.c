/* tls_test.c - a listener with a certificate: handshakes that never come, requests, refusals. */
#define RAW_HEAD_MS 3000
#include "raw.h"

#include <gnutls/gnutls.h>
#include <sys/resource.h>
#include <sys/wait.h>

static unsigned short tls_port;

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
	{
		struct buf b;

		buf_init(&b, 1 << 16);
		ok(drink(fd, &b, NULL, 0), "... and falls under the deadline");
		buf_release(&b);
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

static void tls_request(void)
{
	char url[64], out[128], body[128], *text;
	const char *argv[] = { "curl", "-sk", "--max-time", "60", "-d", body, url, url, NULL };

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

static char *pem(const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", dir, name);
	return slurp(path);
}

static void listen_tls(struct listener *l, struct err *err)
{
	char cert[128], key[128], out[128], *certs, *keys;
	const char *argv[] = { "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
		"-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-days", "2", NULL };

	snprintf(out, sizeof(out), "%s/out", dir);
	pem("key", key);
	pem("cert", cert);
	if (run(argv, NULL, out))
		return;
	certs = pem("cert", cert);
	keys = pem("key", key);
	unlink(out);
	unlink(cert);
	unlink(key);
	*l = (struct listener){ .at = "127.0.0.1:0", .cert = certs, .key = keys };
	if (listener_open(l, err) || server_listen(server, l, err)) {
		printf("# TLS: %s\n", err->msg);
		return;
	}
	tls_port = port_of(l);
	l->key = certs;
	ok(server_listen(server, l, err) && strstr(err->msg, "PEM"), "a certificate without its key is refused in words");
}

/* Sends text over TLS and reads to the end; false: no connection. */
static bool ask_tls(const char *text, size_t len, struct buf *b)
{
	gnutls_certificate_credentials_t any;
	gnutls_session_t s;
	char piece[4096];
	ssize_t n = -1;
	int fd = dial(tls_port), rc;

	gnutls_certificate_allocate_credentials(&any);
	gnutls_init(&s, GNUTLS_CLIENT);
	gnutls_set_default_priority(s);
	gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, any);
	gnutls_transport_set_int(s, fd);
	gnutls_handshake_set_timeout(s, 30000);
	do
		rc = gnutls_handshake(s);
	while (rc < 0 && !gnutls_error_is_fatal(rc));
	if (!rc) {
		gnutls_record_send(s, text, len);
		gnutls_record_set_timeout(s, 30000);
		while ((n = gnutls_record_recv(s, piece, sizeof(piece))) > 0)
			buf_put(b, piece, (size_t)n);
	}
	buf_put(b, "", 1);
	printf("# %s\n", rc ? gnutls_strerror(rc) : n ? gnutls_strerror((int)n) : "closed");
	gnutls_deinit(s);
	gnutls_certificate_free_credentials(any);
	close(fd);
	return !rc && !n;
}

static void tls_refusals(void)
{
	static const char head[] = "POST /small HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n800\r\n";
	static char text[sizeof(head) + 2048];
	unsigned before = atomic_load(&canaries);
	struct buf b;

	if (!tls_port)
		return;
	memcpy(text, head, sizeof(head) - 1);
	buf_init(&b, 1 << 16);
	ok(ask_tls(text, sizeof(text) - 1, &b) && !strncmp(b.at, "HTTP/1.1 413", 12) && strstr(b.at, "X-Request-Id: req-") &&
		strstr(b.at, "\r\n\r\n{\"error\":{\"code\":413,"), "a chunked body that is too large is answered under TLS, too (R7)");
	buf_reset(&b);
	ok(ask_tls("GET / HTTP/2.0\r\n\r\n" CANARY, sizeof("GET / HTTP/2.0\r\n\r\n" CANARY) - 1, &b) &&
		!strncmp(b.at, "HTTP/1.1 505", 12) && strstr(b.at, "{\"error\":{\"code\":505,") && atomic_load(&canaries) == before,
		"what libmicrohttpd refuses is the envelope under TLS, too");
	buf_release(&b);
}

int main(void)
{
	struct listener tls = { .fd = -1 };
	struct err err = { 0, "" };

	if (!raw_start(&err))
		return 1;
	listen_tls(&tls, &err);
	raw_run();
	silent_tls();
	tls_request();
	tls_refusals();
	return raw_stop();
}
