/* listener.c - listening sockets: opened here, accepted from here. */
#include "net/server_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, ACCEPTS = 32, REST_MS = 50 };	/* connections; accepts in one go */

union address { struct sockaddr any; struct sockaddr_in in; struct sockaddr_in6 in6; struct sockaddr_un un; };

/* A socket file that nobody answers on is left over from a crash. */
static int remove_stale(const char *path, const union address *a, struct err *err)
{
	struct stat st;
	int fd, rc;

	if (lstat(path, &st))
		return MG_OK;
	if (!S_ISSOCK(st.st_mode))
		return fail(err, MG_EINVAL, "listen: %s exists and is not a socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? -1 : connect(fd, &a->any, sizeof(a->un));
	if (fd >= 0)
		close(fd);
	if (!rc)
		return fail(err, MG_EINVAL, "listen: another process serves unix:%s", path);
	unlink(path);
	return MG_OK;
}

static int open_unix(struct listener *l, const char *path, struct err *err)
{
	union address a = { .un = { .sun_family = AF_UNIX } };
	int rc;

	if (!*path || strlen(path) >= sizeof(a.un.sun_path))
		return fail(err, MG_EINVAL, "listen: '%s': the path must have 1 to %zu bytes", l->at, sizeof(a.un.sun_path) - 1);
	memcpy(a.un.sun_path, path, strlen(path));
	rc = remove_stale(path, &a, err);
	if (rc)
		return rc;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd >= 0 && !bind(l->fd, &a.any, sizeof(a.un)) && !listen(l->fd, BACKLOG))
		return MG_OK;
	fail(err, MG_EDENIED, "listen: '%s': %s", l->at, strerror(errno));
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	return MG_EDENIED;
}

/* "127.0.0.1:8080", "[::1]:0", ":8080" */
static int split(const char *at, char host[static 64], const char **port, struct err *err)
{
	const char *colon = strrchr(at, ':');
	size_t len = colon ? (size_t)(colon - at) : 0;
	char *end;
	long n = colon && colon[1] ? strtol(colon + 1, &end, 10) : -1;

	if (n < 0 || n > 65535 || *end || colon[1] == '+' || colon[1] == ' ')
		return fail(err, MG_EINVAL, "listen: '%s' has no port from 0 to 65535; hint: \"127.0.0.1:8080\", \"[::1]:8080\" or \"unix:/path\"", at);
	*port = colon + 1;
	if (len >= 2 && at[0] == '[' && at[len - 1] == ']')
		at++, len -= 2;
	else if (memchr(at, ':', len))
		return fail(err, MG_EINVAL, "listen: '%s': an IPv6 address goes in brackets: \"[::1]:8080\"", at);
	if (len >= 64)
		return fail(err, MG_EINVAL, "listen: '%s' is no address", at);
	memcpy(host, at, len);
	host[len] = 0;
	return MG_OK;
}

static int bind_at(const struct addrinfo *a)
{
	int on = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->ai_family == AF_INET6)	/* "[::]" is IPv6 alone; list "0.0.0.0" beside it for both */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (!setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) &&
	    !bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, BACKLOG))
		return fd;
	on = errno;
	close(fd);
	errno = on;
	return -1;
}

int listener_open(struct listener *l, struct err *err)
{
	struct addrinfo want = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV }, *got;
	char host[64];
	const char *port = NULL;
	int rc;

	l->fd = -1;
	if (!strncmp(l->at, "unix:", 5))
		return open_unix(l, l->at + 5, err);
	rc = split(l->at, host, &port, err);
	if (rc)
		return rc;
	if (!strcmp(host, "localhost"))
		snprintf(host, sizeof(host), "127.0.0.1");
	if (getaddrinfo(*host ? host : NULL, port, &want, &got))
		return fail(err, MG_EINVAL, "listen: '%s' is no address; hint: numbers, not names", l->at);
	l->fd = bind_at(got);
	freeaddrinfo(got);
	if (l->fd < 0)
		return fail(err, MG_EDENIED, "listen: '%s': %s", l->at, strerror(errno));
	return MG_OK;
}

void listener_name(const struct listener *l, char out[static 128])
{
	union address a;
	socklen_t len = sizeof(a);
	char host[64] = "";

	if (l->fd < 0 || getsockname(l->fd, &a.any, &len))
		snprintf(out, 128, "%s", l->at ? l->at : "");
	else if (a.any.sa_family == AF_UNIX)
		snprintf(out, 128, "unix:%.108s", len > sizeof(sa_family_t) ? a.un.sun_path : "");
	else if (a.any.sa_family == AF_INET)
		snprintf(out, 128, "%s:%u", inet_ntop(AF_INET, &a.in.sin_addr, host, sizeof(host)), ntohs(a.in.sin_port));
	else
		snprintf(out, 128, "[%s]:%u", inet_ntop(AF_INET6, &a.in6.sin6_addr, host, sizeof(host)), ntohs(a.in6.sin6_port));
}

static bool out_of_descriptors(int e)
{
	return e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM;
}

/* How many were taken; fewer than max: the backlog is empty, or we may not. */
static int accept_some(struct door *d, int max)
{
	for (int i = 0; i < max; i++) {
		union address a = { .any = { .sa_family = AF_UNSPEC } };
		socklen_t len = sizeof(a);
		int fd = accept4(d->watch.fd, &a.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (fd < 0 && out_of_descriptors(errno)) {
			loop_unwatch(d->server->loop, &d->watch);
			loop_timer_set(d->server->loop, &d->rest, REST_MS);
		}
		if (fd < 0)
			return i;
		conn_open(d, fd, &a.any, len);
	}
	return max;
}

static void door_ready(struct watch *w, uint32_t events)
{
	(void)events;
	accept_some(loop_owner(w, struct door, watch), ACCEPTS);
}

static int door_watch(struct door *d)
{
	/* Of the workers that share an inherited socket one is woken, not all. */
	return loop_watch(d->server->loop, &d->watch, EPOLLIN | EPOLLEXCLUSIVE);
}

static void door_rested(struct timer *t)
{
	struct door *d = loop_owner(t, struct door, rest);

	if (door_watch(d))
		loop_timer_set(d->server->loop, t, REST_MS);
}

static void prepare(struct door *d)
{
	union address a;
	socklen_t len = sizeof(a);
	int on = 1, size = SEND_BUFFER, fd = d->watch.fd;

	d->local = !getsockname(fd, &a.any, &len) && a.any.sa_family == AF_UNIX;
	if (d->local)
		return;
	/* Accepted sockets inherit both: two system calls less each. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static struct door *door_at(struct server *s, int fd)
{
	for (struct door *d = s->doors; d; d = d->next)
		if (d->watch.fd == fd)
			return d;
	return NULL;
}

int door_open(struct server *s, const struct listener *l, struct group *g, struct err *err)
{
	struct door *d = door_at(s, l->fd);
	struct group *old;

	if (d) {	/* the same socket again: a new certificate */
		old = d->group;
		d->group = g;
		d->admin = l->admin;
		if (old != g)
			group_retire(s, old);
		return MG_OK;
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		return fail(err, MG_ENOMEM, "no memory for a listener");
	d->server = s;
	d->group = g;
	d->admin = l->admin;
	d->watch = (struct watch){ .fd = l->fd, .ready = door_ready };
	d->rest.fire = door_rested;
	prepare(d);
	if (door_watch(d)) {
		free(d);
		return fail(err, MG_EDENIED, "listen: cannot watch '%s': %s", l->at ? l->at : "", strerror(errno));
	}
	d->next = s->doors;
	s->doors = d;
	return MG_OK;
}

/* Whoever is in the backlog has been promised an answer; then the socket is closed,
 * so that the next one is refused at once.  One that was inherited, or that workers
 * share, lives on elsewhere (R91, R92). */
void doors_close(struct server *s)
{
	while (s->doors) {
		struct door *d = s->doors;

		while (accept_some(d, ACCEPTS) == ACCEPTS)
			;
		s->doors = d->next;
		loop_timer_clear(s->loop, &d->rest);
		loop_unwatch(s->loop, &d->watch);
		close(d->watch.fd);
		free(d);
	}
}
