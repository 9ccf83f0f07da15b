/*
 * upstream.c - an upstream that costs next to nothing: what is measured is in front of it.
 *
 *	upstream		prints "port N", serves until it is ended
 *
 * One thread, one epoll.  A request whose body says "chunks=N interval=MS delay=MS" is
 * answered by a stream of N events, each with its number and the time it left; any other
 * by a JSON answer of about 610 bytes.  A stream asked for at .../messages is one of
 * Anthropic's, any other one of chat completions.  GET /closed tells how many streams
 * their reader left before the end, and when the last of them did.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 1 << 17, HEAD = 4096, BATCH = 32, EVENTS = 256 };

struct conn {
	int fd;
	size_t len, body_left;		/* of what is kept; of what has still to come */
	bool in_body, streaming, messages;	/* messages: in Anthropic's dialect */
	unsigned chunks, sent, interval;
	char *out;
	size_t out_at, out_len, out_cap;
	struct conn *next, **prev;	/* in its slot of the wheel */
	char in[HEAD + 1];
};

static struct conn *wheel[SLOTS];
static uint64_t tick;			/* ms already done */
static unsigned waiting;
static int poller;
static unsigned long closed_early;
static uint64_t closed_at;
static char plain[2048];
static int plain_len;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the wheel: one slot a millisecond */

static void timer_stop(struct conn *c)
{
	if (!c->prev)
		return;
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->prev = NULL;
	waiting--;
}

static void timer_set(struct conn *c, unsigned ms)
{
	struct conn **slot;

	if (!waiting)
		tick = now_ns() / 1000000;	/* nobody turned it meanwhile */
	slot = &wheel[(tick + (ms ? ms < SLOTS ? ms : SLOTS - 1 : 1)) % SLOTS];
	c->next = *slot;
	c->prev = slot;
	if (c->next)
		c->next->prev = &c->next;
	*slot = c;
	waiting++;
}

/* ---- connections */

static void conn_close(struct conn *c)
{
	if (c->streaming) {
		closed_early++;
		closed_at = now_ns();
	}
	timer_stop(c);
	close(c->fd);
	free(c->out);
	free(c);
}

static void interest(struct conn *c, uint32_t events)
{
	struct epoll_event e = { .events = events | EPOLLRDHUP, .data.ptr = c };

	epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

static void out_add(struct conn *c, const char *text, size_t len)
{
	if (c->out_len + len > c->out_cap) {
		c->out_cap = (c->out_len + len) * 2;
		c->out = realloc(c->out, c->out_cap);
		if (!c->out)
			abort();
	}
	memcpy(c->out + c->out_len, text, len);
	c->out_len += len;
}

/* True when all has gone. */
static bool flush(struct conn *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);

		if (n < 0) {
			interest(c, EPOLLIN | EPOLLOUT);
			return false;
		}
		c->out_at += (size_t)n;
	}
	c->out_at = c->out_len = 0;
	return true;
}

/* ---- answers */

static void event_add(struct conn *c, const char *text, int len)
{
	char size[16];
	int n = snprintf(size, sizeof(size), "%x\r\n", (unsigned)len + 2);

	out_add(c, size, (size_t)n);
	out_add(c, text, (size_t)len);
	out_add(c, "\n\n\r\n", 4);
}

#define EVENT(c, text) event_add(c, text, sizeof(text) - 1)
#define CHUNK "data: {\"id\":\"chatcmpl-BenchAnswer0123456789\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"up-model\"," \
	"\"system_fingerprint\":\"fp_0123456789\",\"choices\":"
#define MESSAGES_EVENT(type) "event: " type "\ndata: {\"type\":\"" type "\""

static void messages_begin(struct conn *c)
{
	EVENT(c, MESSAGES_EVENT("message_start") ",\"message\":{\"id\":\"msg_BenchAnswer0123456789\",\"type\":\"message\",\"role\":\"assistant\","
		"\"model\":\"up-model\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":20,\"output_tokens\":1}}}");
	EVENT(c, MESSAGES_EVENT("content_block_start") ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}");
}

static void chunk_add(struct conn *c)
{
	unsigned long long now = now_ns();
	char text[512];
	int n;

	if (c->messages && !c->sent)
		messages_begin(c);
	n = c->messages
		? snprintf(text, sizeof(text), MESSAGES_EVENT("content_block_delta") ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"%u %llu \"}}",
			c->sent, now)
		: snprintf(text, sizeof(text), CHUNK "[{\"index\":0,\"delta\":{\"content\":\"%u %llu \"},\"finish_reason\":null}]}", c->sent, now);
	c->sent++;
	event_add(c, text, n);
}

static void stream_end(struct conn *c)
{
	if (c->messages) {
		EVENT(c, MESSAGES_EVENT("content_block_stop") ",\"index\":0}");
		EVENT(c, MESSAGES_EVENT("message_delta") ",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":60}}");
		EVENT(c, MESSAGES_EVENT("message_stop") "}");
	} else {
		EVENT(c, CHUNK "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}");
		EVENT(c, CHUNK "[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":60,\"total_tokens\":80}}");
		EVENT(c, "data: [DONE]");
	}
	out_add(c, "0\r\n\r\n", 5);
	c->streaming = false;
}

static void stream_go_on(struct conn *c)
{
	if (c->out_len) {	/* its reader is behind */
		timer_set(c, c->interval);
		return;
	}
	for (int i = 0; i < (c->interval ? 1 : BATCH) && c->sent < c->chunks; i++)
		chunk_add(c);
	if (c->sent == c->chunks)
		stream_end(c);
	else
		timer_set(c, c->interval);
	flush(c);
}

static void stream_begin(struct conn *c, const char *spec)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
	const char *at = spec + strlen("chunks="), *interval = strstr(at, "interval="), *delay = strstr(at, "delay=");

	c->chunks = (unsigned)strtoul(at, NULL, 10);
	c->interval = interval ? (unsigned)strtoul(interval + strlen("interval="), NULL, 10) : 0;
	c->sent = 0;
	c->streaming = true;
	out_add(c, head, sizeof(head) - 1);
	at = delay ? delay + strlen("delay=") : "0";
	if (strtoul(at, NULL, 10) == 0) {	/* the first event in the same packet as the head */
		chunk_add(c);
		if (c->sent == c->chunks)
			stream_end(c);
		else
			timer_set(c, c->interval);
	} else {
		timer_set(c, (unsigned)strtoul(at, NULL, 10));
	}
	flush(c);
}

static void tell_closed(struct conn *c)
{
	char body[128], head[128];
	int n = snprintf(body, sizeof(body), "{\"closed\":%lu,\"last_ns\":%llu}", closed_early, (unsigned long long)closed_at);
	int h = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n);

	out_add(c, head, (size_t)h);
	out_add(c, body, (size_t)n);
	flush(c);
}

static void answer(struct conn *c)
{
	const char *spec;

	c->in[c->len] = '\0';
	spec = strstr(c->in, "chunks=");
	c->messages = strstr(c->in, "/messages HTTP/") != NULL;
	if (spec)
		stream_begin(c, spec);
	else if (!strncmp(c->in, "GET /closed", 11))
		tell_closed(c);
	else if (send(c->fd, plain, (size_t)plain_len, MSG_NOSIGNAL) != plain_len)
		shutdown(c->fd, SHUT_RDWR);
	c->len = 0;
	c->in_body = false;
}

static void plain_make(void)
{
	static const char body[] = "{\"id\":\"chatcmpl-BenchAnswer0123456789\",\"object\":\"chat.completion\",\"created\":1760000000,"
		"\"model\":\"up-model\",\"system_fingerprint\":\"fp_0123456789\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
		"\"content\":\"The moon has no capital. It has seas without water, mountains without snow, and days that last two weeks; "
		"whoever lands there brings the capital along. Ask again when the first town is built.\",\"refusal\":null},"
		"\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":28,\"completion_tokens\":42,\"total_tokens\":70,"
		"\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}}}";

	plain_len = snprintf(plain, sizeof(plain), "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		sizeof(body) - 1, body);
}

/* ---- requests */

/* Once the head is there: how much body follows. */
static void head_read(struct conn *c)
{
	char *end, *length;

	c->in[c->len] = '\0';
	end = strstr(c->in, "\r\n\r\n");
	if (!end)
		return;
	length = strcasestr(c->in, "\r\ncontent-length:");
	c->body_left = length && length < end ? strtoul(length + strlen("\r\ncontent-length:"), NULL, 10) : 0;
	c->in_body = true;
	c->body_left -= c->len - (size_t)(end + 4 - c->in);
}

/* False: it is gone. */
static bool conn_read(struct conn *c)
{
	static char rest[1 << 18];

	for (;;) {
		size_t room = HEAD - c->len;
		char *to = room ? c->in + c->len : rest;
		ssize_t n = recv(c->fd, to, room ? room : sizeof(rest), 0);

		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		if (room)
			c->len += (size_t)n;
		else if (!c->in_body)
			return false;	/* a head that does not end */
		if (c->in_body)
			c->body_left -= (size_t)n;
		else
			head_read(c);
		if (c->in_body && !c->body_left)
			answer(c);
		if (room && (size_t)n < room)
			return true;
	}
}

static void conn_event(struct conn *c, uint32_t events)
{
	if (events & EPOLLOUT && flush(c))
		interest(c, EPOLLIN);
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) || (events & EPOLLIN && !conn_read(c)))
		conn_close(c);
}

static void accept_all(int listener)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = malloc(sizeof(*c));
		struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = c };

		if (!c)
			abort();
		memset(c, 0, offsetof(struct conn, in));
		c->fd = fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
	}
}

/* ---- the loop */

static void timers_run(void)
{
	uint64_t now = now_ns() / 1000000;

	while (waiting && tick < now) {
		struct conn *due = wheel[++tick % SLOTS];

		wheel[tick % SLOTS] = NULL;
		if (due)
			due->prev = &due;
		while (due) {
			struct conn *c = due;

			timer_stop(c);
			stream_go_on(c);
		}
	}
}

static int listen_any(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) || listen(fd, 4096) || getsockname(fd, (struct sockaddr *)&at, &size)) {
		perror("upstream");
		exit(1);
	}
	printf("port %d\n", ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

int main(void)
{
	struct epoll_event events[EVENTS], e = { .events = EPOLLIN };
	struct rlimit files;
	int listener = listen_any();

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	plain_make();
	poller = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);	/* its pointer is NULL */
	for (;;) {
		int n = epoll_wait(poller, events, EVENTS, waiting ? 1 : -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				conn_event(events[i].data.ptr, events[i].events);
			else
				accept_all(listener);
		}
		timers_run();
	}
}
