/*
 * selfcheck.c - does this libmicrohttpd still behave as the guard expects?
 *
 * A bare line feed and a folded header must be refused, a proper request must
 * not, and be answered with each header on a line: asked of a server of our own
 * over a socket pair, without a listener.
 */
#include "net/server_parts.h"

#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS = 16 };

static void say_fine(struct http_request *r)
{
	static const struct http_header headers[] = { { "X-One", MG_STR("1") }, { "X-Two", MG_STR("2") }, { "X-Three", MG_STR("3") }, { NULL, { NULL, 0 } } };

	http_reply(r, 200, headers, MG_STR("fine"));
}

/* The status that text is answered with; 0: none, or not with the headers that were said. */
static int ask(struct server *s, struct group *g, const char *text)
{
	struct door d = { .server = s, .group = g, .local = true };
	struct sockaddr from = { .sa_family = AF_UNIX };
	char got[512];
	ssize_t n = -1;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
		return 0;
	(void)!send(pair[1], text, strlen(text), MSG_NOSIGNAL);
	conn_open(&d, pair[0], &from, sizeof(from));
	for (int i = 0; i < ROUNDS && n < 0; i++) {
		shard_mark(&g->shards[0]);
		shards_run(&s->turn);
		n = recv(pair[1], got, sizeof(got) - 1, 0);
	}
	close(pair[1]);
	got[n < 0 ? 0 : n] = 0;
	if (n <= 12 || strncmp(got, "HTTP/1.1 ", 9))
		return 0;
	n = strtol(got + 9, NULL, 10);
	return n == 200 && !strstr(got, "\r\nX-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\n") ? 0 : (int)n;
}

static int check(struct server *s, struct err *err)
{
	static const struct { const char *text, *what; int status; } rows[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n", "a proper request", 200 },
		{ "GET / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n", "a bare line feed", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", "a folded header", 400 },
	};
	struct group *g = group_for(s, NULL, NULL, err);

	if (!g)
		return MG_ENOMEM;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int status = ask(s, g, rows[i].text);

		if (status != rows[i].status)
			return fail(err, MG_EDENIED, "libmicrohttpd %s answers %s with %d instead of %d; "
				"hint: this version is not known to be safe here", MHD_get_version(), rows[i].what, status, rows[i].status);
	}
	return MG_OK;
}

int server_self_check(struct err *err)
{
	struct server_limits limits = { .header_bytes = 6144, .body_bytes = 1024, .head_ms = 10000, .body_ms = 10000,
		.keepalive_ms = 10000, .stall_ms = 10000, .daemons = 1 };
	struct server_events on = { .body = say_fine };
	struct loop *l = loop_new(err);
	struct server *s = l ? server_new(l, &limits, &on, NULL, err) : NULL;
	int rc = s ? check(s, err) : MG_EDENIED;

	server_free(s);
	loop_free(l);
	return rc;
}
