/*
 * load.c - the clients of the bench.  Every answer is checked: what is fast and wrong counts as wrong.
 *
 *	load closed PORT N CONNS		N requests, the next as soon as the last is answered
 *	load open PORT RATE MS CONNS		at a rate; late starts count as latency
 *	load stream PORT N CHUNKS INTERVAL	N streams of CHUNKS events; order, completeness, delay
 *	load first PORT N			one stream after the other: time to the first token
 *	load hold PORT N			opens N streams, says so, holds them until it is ended
 *	load abort PORT UPSTREAM N		opens N streams, leaves; until the upstream has seen the last go
 *	load big PORT N BYTES			one request with a large body after the other
 *
 * BENCH_KEY is sent as the bearer token, BENCH_MODEL is asked for at BENCH_PATH, and
 * BENCH_HEADERS are sent besides (lines that end with CR LF).  Prints name=value words; times in microseconds.
 */
#include <arpa/inet.h>
#include <errno.h>
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
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 8192, EVENTS = 256, OPEN_PER_MS = 4, PATIENCE_S = 60 };
enum state { IDLE, HEAD, LENGTH, SIZE, DATA, DATA_END, TRAILER };

struct conn {
	int fd;
	enum state state;
	int status;
	uint64_t begun, left;		/* ns; bytes of the body or chunk */
	size_t sent, len;
	unsigned next;			/* event number that comes now */
	bool done, bad;
	char text[TEXT + 1];		/* the head, the line, the answer */
};

struct samples { uint32_t *at; size_t n, cap; };

static int poller, port;
static char *request;
static size_t request_len;
static bool streams;
static unsigned chunks;
static unsigned long finished, wrong, begun_first;
static struct samples latency, delay;
static void (*on_done)(struct conn *c);

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "failed");
	exit(1);
}

/* ---- samples */

static void sample(struct samples *s, uint64_t ns)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 4096;
		s->at = realloc(s->at, s->cap * sizeof(*s->at));
		if (!s->at)
			die("memory");
	}
	s->at[s->n++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int less(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *s)
{
	if (!s->n)
		return;
	qsort(s->at, s->n, sizeof(*s->at), less);
	printf("%sp50=%.1f %sp90=%.1f %sp99=%.1f %smax=%.1f ", name, s->at[s->n / 2] / 1e3, name, s->at[s->n * 9 / 10] / 1e3,
		name, s->at[s->n * 99 / 100] / 1e3, name, s->at[s->n - 1] / 1e3);
}

/* ---- connections */

static int dial(int to)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)to), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)))
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static struct conn *conn_open(void)
{
	struct conn *c = malloc(sizeof(*c));
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

	if (!c)
		die("memory");
	memset(c, 0, offsetof(struct conn, text));
	c->fd = dial(port);
	epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
	return c;
}

static void conn_send(struct conn *c)
{
	while (c->sent < request_len) {
		ssize_t n = send(c->fd, request + c->sent, request_len - c->sent, MSG_NOSIGNAL);

		if (n < 0)
			die("send");
		c->sent += (size_t)n;
	}
}

static void conn_begin(struct conn *c, uint64_t at)
{
	c->begun = at;
	c->state = HEAD;
	c->len = c->sent = c->next = 0;
	c->done = c->bad = false;
	conn_send(c);
}

/* ---- what an answer must be */

static bool answer_right(struct conn *c)
{
	c->text[c->len] = '\0';
	if (c->status != 200)
		return false;
	return streams ? c->done && c->next == chunks && !c->bad
		: c->len > 100 && c->text[c->len - 1] == '}' && strstr(c->text, "The moon has no capital. It has seas");
}

static void finish(struct conn *c)
{
	static bool told;

	c->state = IDLE;
	finished++;
	if (!answer_right(c)) {
		wrong++;
		if (!told)
			fprintf(stderr, "load: wrong answer: status %d, %u of %u events%s: %.200s\n", c->status, c->next, chunks,
				c->done ? ", [DONE]" : "", c->text);
		told = true;
	} else if (!streams) {
		sample(&latency, now_ns() - c->begun);
	}
	on_done(c);
}

/* One line of a stream: "...content":"NUMBER SENT-AT ..." */
static void line(struct conn *c)
{
	const char *content;
	char *end;
	uint64_t now;

	c->text[c->len] = '\0';
	if (!strncmp(c->text, "data: [DONE]", 12))
		c->done = true;
	content = strstr(c->text, "\"content\":\"");
	if (!content || content[11] == '"')
		return;
	now = now_ns();
	if (strtoul(content + 11, &end, 10) != c->next)
		c->bad = true;
	sample(&delay, now - strtoull(end, NULL, 10));
	if (!c->next++) {
		sample(&latency, now - c->begun);
		begun_first++;
	}
}

static void body(struct conn *c, const char *at, size_t n)
{
	const char *nl;

	if (!streams) {
		n = n < TEXT - c->len ? n : TEXT - c->len;
		memcpy(c->text + c->len, at, n);
		c->len += n;
		return;
	}
	while (n) {
		size_t part = (nl = memchr(at, '\n', n)) ? (size_t)(nl - at) : n, keep = part < TEXT - c->len ? part : TEXT - c->len;

		memcpy(c->text + c->len, at, keep);
		c->len += keep;
		if (nl) {
			line(c);
			c->len = 0;
			part++;
		}
		at += part;
		n -= part;
	}
}

static void head(struct conn *c)
{
	const char *length;

	c->text[c->len] = '\0';
	c->status = (int)strtol(c->text + 9, NULL, 10);
	length = strcasestr(c->text, "\r\ncontent-length:");
	c->left = length ? strtoul(length + strlen("\r\ncontent-length:"), NULL, 10) : 0;
	c->state = length ? LENGTH : SIZE;
	c->len = 0;
	if (length && !c->left)
		finish(c);
}

/* One byte of what frames the body. */
static void framing(struct conn *c, char b)
{
	switch (c->state) {
	case HEAD:
		if (c->len < TEXT)
			c->text[c->len++] = b;
		if (b == '\n' && c->len >= 4 && !memcmp(c->text + c->len - 4, "\r\n\r\n", 4))
			head(c);
		break;
	case SIZE:
		if (b == '\n')
			c->state = c->left ? DATA : TRAILER;
		else if (b != '\r')
			c->left = c->left * 16 + (uint64_t)(b <= '9' ? b - '0' : (b | 32) - 'a' + 10);
		break;
	case DATA_END:
		if (b == '\n')
			c->state = SIZE;
		break;
	case TRAILER:	/* no trailers here: one empty line */
		if (b == '\n')
			finish(c);
		break;
	default:
		break;
	}
}

static void feed(struct conn *c, const char *at, size_t n)
{
	while (n) {
		size_t part = 1;

		if (c->state == LENGTH || c->state == DATA) {
			part = n < c->left ? n : c->left;
			body(c, at, part);
			c->left -= part;
			if (!c->left && c->state == LENGTH)
				finish(c);
			else if (!c->left)
				c->state = DATA_END;
		} else if (c->state == IDLE) {
			c->bad = true;	/* bytes behind the answer */
			wrong++;
			return;
		} else {
			framing(c, *at);
		}
		at += part;
		n -= part;
	}
}

static void conn_event(struct conn *c)
{
	static char in[1 << 18];
	ssize_t n = recv(c->fd, in, sizeof(in), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		feed(c, in, (size_t)n);
		return;
	}
	if (c->state != IDLE) {
		c->len = 0;
		c->done = false;
		c->status = 0;	/* the answer broke off */
		finish(c);
	}
	epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL);
}

/* Handles what comes within so many ms; false where nothing came. */
static bool turn(int ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(poller, events, EVENTS, ms);

	for (int i = 0; i < n; i++)
		if (events[i].data.ptr)
			conn_event(events[i].data.ptr);
	return n > 0;
}

/* ---- requests */

static const char *environment(const char *name, const char *otherwise)
{
	const char *text = getenv(name);

	return text ? text : otherwise;
}

static void request_make(size_t size, const char *spec)
{
	const char *key = environment("BENCH_KEY", "none"), *headers = environment("BENCH_HEADERS", "");
	const char *path = environment("BENCH_PATH", "/api/v1/chat/completions");
	size_t room = size + strlen(key) + strlen(headers) + 1024;
	char *text = malloc(room), *all = malloc(room * 2);
	int n;

	if (!text || !all)
		die("memory");
	n = snprintf(text, 512, "{\"model\":\"%.64s\",%s\"max_tokens\":64,\"messages\":[{\"role\":\"system\",\"content\":\"You are brief.\"},"
		"{\"role\":\"user\",\"content\":\"%s", environment("BENCH_MODEL", "bench/one"), streams ? "\"stream\":true," : "", spec);
	memset(text + n, 'A', size);
	snprintf(text + n + size, 16, "\"}]}");
	request_len = (size_t)snprintf(all, room * 2, "POST %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\n%s"
		"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", path, key, headers, strlen(text), text);
	free(text);
	request = all;
}

static void plain_make(void)
{
	request_make(0, "What is the capital of the moon? Say it in one line.");
}

static void stream_make(unsigned n, unsigned interval, unsigned wait)
{
	char spec[128];

	streams = true;
	chunks = n;
	snprintf(spec, sizeof(spec), "chunks=%u interval=%u delay=%u", n, interval, wait);
	request_make(0, spec);
}

static void nothing_more(struct conn *c)
{
	(void)c;
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end)
		die("a number was expected");
	return n;
}

static int report(uint64_t since)
{
	double s = (double)(now_ns() - since) / 1e9;

	printf("finished=%lu wrong=%lu seconds=%.2f persec=%.0f ", finished, wrong, s, (double)finished / s);
	print_samples("", &latency);
	print_samples("chunk_", &delay);
	printf("\n");
	return wrong || !finished;
}

/* ---- modes */

static unsigned long to_begin;

static void next_one(struct conn *c)
{
	if (!to_begin || c->status == 0)
		return;
	to_begin--;
	conn_begin(c, now_ns());
}

static int closed(unsigned long n, unsigned long conns)
{
	uint64_t since = now_ns();

	on_done = next_one;
	to_begin = n;
	for (unsigned long i = 0; i < conns && to_begin; i++) {
		struct conn *c = conn_open();

		c->status = 200;
		next_one(c);
	}
	while (finished < n)
		if (!turn(PATIENCE_S * 1000))
			die("no answer");
	return report(since);
}

static struct conn *idle[1024];
static size_t n_idle;

static void rest(struct conn *c)
{
	if (c->status)
		idle[n_idle++] = c;
}

static void wake_at(int timer, uint64_t ns)
{
	struct itimerspec t = { .it_value = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) } };

	timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static int open_loop(unsigned long rate, unsigned long ms, unsigned long conns)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	unsigned long n = rate * ms / 1000, i = 0;
	uint64_t since, period = 1000000000u / rate;

	on_done = rest;
	epoll_ctl(poller, EPOLL_CTL_ADD, timer, &e);
	while (n_idle < conns && n_idle < sizeof(idle) / sizeof(idle[0]))
		idle[n_idle++] = conn_open();
	since = now_ns() + 1000000;
	while (finished < n) {
		uint64_t now = now_ns();

		for (; i < n && n_idle && now >= since + i * period; i++)
			conn_begin(idle[--n_idle], since + i * period);
		if (i < n && n_idle)
			wake_at(timer, since + i * period);
		if (!turn(PATIENCE_S * 1000))
			die("no answer");
	}
	return report(since);
}

/* As many a millisecond as a listener takes without a word. */
static void open_streams(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		conn_begin(conn_open(), now_ns());
		if (i % OPEN_PER_MS == OPEN_PER_MS - 1) {
			uint64_t until = now_ns() + 1000000;

			do
				turn(1);
			while (now_ns() < until);
		}
	}
}

static int stream(unsigned long n)
{
	uint64_t since = now_ns();

	on_done = nothing_more;
	open_streams(n);
	while (finished < n)
		if (!turn(PATIENCE_S * 1000))
			die("no event");
	return report(since);
}

static void all_begun(unsigned long n)
{
	on_done = nothing_more;
	open_streams(n);
	while (begun_first < n && !finished)
		if (!turn(PATIENCE_S * 1000))
			die("no event");
	if (finished)
		die("a stream ended early");
}

_Noreturn static void hold(unsigned long n)
{
	all_begun(n);
	printf("open=%lu\n", n);
	fflush(stdout);
	for (;;)
		turn(-1);
}

static bool ask_closed(int to, unsigned long *n, uint64_t *last)
{
	static const char ask[] = "GET /closed HTTP/1.1\r\n\r\n";
	char in[512] = "";
	const char *at;
	int fd = dial(to);
	bool right;

	right = send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) > 0 && recv(fd, in, sizeof(in) - 1, 0) > 0 && (at = strstr(in, "\"closed\":")) != NULL;
	close(fd);
	if (!right)
		return false;
	*n = strtoul(at + 9, NULL, 10);
	at = strstr(at, "last_ns\":");
	*last = at ? strtoull(at + 9, NULL, 10) : 0;
	return true;
}

static int abort_all(int upstream, unsigned long n)
{
	struct timespec pause = { 0, 2000000 };
	struct conn *all[256];
	unsigned long before, closed_now;
	uint64_t left, last = 0, end;

	on_done = nothing_more;
	if (n > 256 || !ask_closed(upstream, &before, &last))
		die("the upstream does not tell");
	for (unsigned long i = 0; i < n; i++)
		conn_begin(all[i] = conn_open(), now_ns());
	while (begun_first < n && !finished && turn(PATIENCE_S * 1000))
		;
	left = now_ns();
	end = left + 10000000000u;
	for (unsigned long i = 0; i < n; i++)
		close(all[i]->fd);
	do {
		nanosleep(&pause, NULL);
		if (!ask_closed(upstream, &closed_now, &last))
			die("the upstream does not tell");
	} while (closed_now < before + n && now_ns() < end);
	if (closed_now < before + n)
		die("not all were closed within 10 s");
	printf("last=%.1f\n", (double)(last - left) / 1e3);
	return 0;
}

static int run(int argc, char **argv)
{
	const char *mode = argv[1];
	unsigned long n[4] = { 0 };

	for (int i = 2; i < argc && i < 6; i++)
		n[i - 2] = number(argv[i]);
	port = (int)n[0];
	if (!strcmp(mode, "closed") && argc == 5)
		return plain_make(), closed(n[1], n[2]);
	if (!strcmp(mode, "open") && argc == 6)
		return plain_make(), open_loop(n[1] ? n[1] : 1, n[2], n[3]);
	if (!strcmp(mode, "big") && argc == 5)
		return request_make(n[2], ""), closed(n[1], 1);
	if (!strcmp(mode, "stream") && argc == 6)
		return stream_make((unsigned)n[2], (unsigned)n[3], 0), stream(n[1]);
	if (!strcmp(mode, "first") && argc == 4)
		return stream_make(3, 1, 0), closed(n[1], 1);
	if (!strcmp(mode, "hold") && argc == 4)
		stream_make(3, 60000, 0), hold(n[1]);
	if (!strcmp(mode, "abort") && argc == 5)
		return stream_make(100, 1000, 0), abort_all((int)n[1], n[2]);
	fprintf(stderr, "load: see the head of load.c\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	poller = epoll_create1(EPOLL_CLOEXEC);
	errno = 0;
	return argc > 1 ? run(argc, argv) : 2;
}
