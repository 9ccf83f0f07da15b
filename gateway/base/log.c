#include "base/log_line.h"
#include "base/clock.h"
#include "base/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QUIET_MS = 10000, QUIET_SLOTS = 128 };

#define X(id, name, about) { name, about },
static const struct { const char *name, *about; } events[] = { LOG_EVENTS(X) };
#undef X
static const char *const levels[] = { "error", "warn", "info", "debug" };

enum log_level log_max = LOG_INFO;

static struct {
	pthread_mutex_t lock;
	int fd, own;		/* own: a description of ours, to be closed; or -1 */
	bool json, socket, torn;	/* torn: the last line went out in part */
	char path[4096];	/* of a file of ours; else empty */
	char lines[1 + LINE_MAX_BYTES];	/* a line feed, which ends a line that was torn; then what waits to be written */
	size_t len;		/* of what waits */
	atomic_bool waits;
	_Atomic uint64_t dropped;
	struct { uint64_t hash, since_ms, repeated; } quiet[QUIET_SLOTS];
} sink = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = 2, .own = -1, .json = true, .lines = "\n" };

static ssize_t put(const char *at, size_t len)
{
	ssize_t n;

	do
		n = sink.socket ? send(sink.fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL) : write(sink.fd, at, len);
	while (n < 0 && errno == EINTR);
	return n;
}

/* What waits, behind a line feed if the last line was torn. */
static void write_out(void)
{
	const char *first = sink.lines + 1, *end = first + sink.len, *from = sink.torn ? sink.lines : first, *left;
	ssize_t n = sink.len ? put(from, (size_t)(end - from)) : 0;

	left = from + (n > 0 ? n : 0);
	if (n > 0)
		sink.torn = left[-1] != '\n';
	for (left = left > first ? left : first; (left = memchr(left, '\n', (size_t)(end - left))); left++)
		atomic_fetch_add(&sink.dropped, 1);
	sink.len = 0;
	atomic_store_explicit(&sink.waits, false, memory_order_relaxed);
}

/* A pipe or terminal is opened once more: O_NONBLOCK on the one that we were
 * given would also hold for everybody else who has it.  A file never blocks. */
static int open_again(int fd)
{
	struct stat st;
	char path[32];

	if (fstat(fd, &st) || !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

/* own: to be closed with the next one; -1: fd is somebody else's. */
static void change(int fd, int own)
{
	struct stat st;

	write_out();
	if (sink.own >= 0)
		close(sink.own);
	sink.own = own;
	sink.fd = fd;
	sink.socket = !fstat(fd, &st) && S_ISSOCK(st.st_mode);
	sink.torn = false;
}

static void start(int fd, int own, const char *path, bool json, enum log_level max)
{
	pthread_mutex_lock(&sink.lock);
	change(fd, own);
	snprintf(sink.path, sizeof(sink.path), "%s", path);
	sink.json = json;
	memset(sink.quiet, 0, sizeof(sink.quiet));
	log_max = max;
	pthread_mutex_unlock(&sink.lock);
}

void log_open(int fd, bool json, enum log_level max)
{
	int own = open_again(fd);

	start(own >= 0 ? own : fd, own, "", json, max);
}

/* A pipe by name must not make the start wait for its reader. */
static int open_file(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

	if (fd < 0)
		fail(err, MG_EINVAL, "logging.file: cannot open '%.150s': %s", path, strerror(errno));
	return fd;
}

int log_open_file(const char *path, bool json, enum log_level max, struct err *err)
{
	int fd;

	if (strlen(path) >= sizeof(sink.path))
		return fail(err, MG_EINVAL, "logging.file: longer than %zu bytes", sizeof(sink.path) - 1);
	fd = open_file(path, err);
	if (fd < 0)
		return MG_EINVAL;
	start(fd, fd, path, json, max);
	return MG_OK;
}

int log_reopen(struct err *err)
{
	int fd, rc = MG_OK;

	pthread_mutex_lock(&sink.lock);
	if (sink.path[0]) {
		fd = open_file(sink.path, err);
		if (fd < 0)
			rc = MG_EINVAL;		/* the old one goes on: better there than nowhere */
		else
			change(fd, fd);
	}
	pthread_mutex_unlock(&sink.lock);
	return rc;
}

uint64_t log_dropped(void)
{
	return atomic_load(&sink.dropped);
}

static uint64_t hash_of(enum log_level lvl, enum log_event ev, const struct log_field *fields)
{
	uint64_t h = hash64(&(int[]){ (int)lvl, (int)ev }, 2 * sizeof(int), 0);

	for (; fields->key; fields++) {
		h = hash64(fields->key + 2, fields->key_len, h);
		h = fields->text ? hash64(fields->text, strlen(fields->text), h) :
			hash64(&fields->number, sizeof(fields->number), h);
	}
	return h ? h : 1;
}

/* One in ten seconds of what says the same.  A slot taken over by another
 * warning lets one more through: it never hides a new one. */
static bool is_quiet(enum log_level lvl, enum log_event ev, const struct log_field *fields, uint64_t *repeated)
{
	uint64_t hash, now_ms;
	bool quiet = false;
	size_t i;

	*repeated = 0;
	if (lvl > LOG_WARN || ev == EV_AUDIT || ev == EV_GENERATION)
		return false;
	hash = hash_of(lvl, ev, fields);
	now_ms = clock_ms();
	i = hash % QUIET_SLOTS;
	pthread_mutex_lock(&sink.lock);
	if (sink.quiet[i].hash == hash && now_ms - sink.quiet[i].since_ms < QUIET_MS) {
		sink.quiet[i].repeated++;
		quiet = true;
	} else {
		if (sink.quiet[i].hash == hash)
			*repeated = sink.quiet[i].repeated;
		sink.quiet[i].hash = hash;
		sink.quiet[i].since_ms = now_ms;
		sink.quiet[i].repeated = 0;
	}
	pthread_mutex_unlock(&sink.lock);
	return quiet;
}

/* As much waits as a pipe takes whole, so that lines of other processes come between ours, not into them. */
static void emit(const struct line *l, bool now)
{
	pthread_mutex_lock(&sink.lock);
	if (sink.len && sink.len + l->len > PIPE_BUF)
		write_out();
	memcpy(sink.lines + 1 + sink.len, l->at, l->len);
	sink.len += l->len;
	if (now)
		write_out();
	else
		atomic_store_explicit(&sink.waits, true, memory_order_relaxed);
	pthread_mutex_unlock(&sink.lock);
}

void log_flush(void)
{
	if (!atomic_load_explicit(&sink.waits, memory_order_relaxed))
		return;
	pthread_mutex_lock(&sink.lock);
	write_out();
	pthread_mutex_unlock(&sink.lock);
}

static _Thread_local bool gathers;

void log_gather(bool on)
{
	gathers = on;
	if (!on)
		log_flush();
}

void log_write(enum log_level lvl, enum log_event ev, const char *request_id, const struct log_field *fields)
{
	struct line l;	/* its 8 KiB need no zeros */
	uint64_t repeated;

	if (lvl > log_max || (unsigned)ev >= LOG_EVENT_COUNT || is_quiet(lvl, ev, fields, &repeated))
		return;
	line_begin(&l, sink.json);
	line_fields(&l, LOG_FIELDS(LOG_W("level", levels[lvl]), LOG_W("event", events[ev].name), LOG_W("msg", events[ev].about)));
	if (request_id && *request_id)
		line_fields(&l, LOG_FIELDS(LOG_S("request_id", request_id)));
	if (repeated)
		line_fields(&l, LOG_FIELDS(LOG_N("repeated", repeated)));
	line_fields(&l, fields);
	line_end(&l);
	emit(&l, !gathers || lvl <= LOG_WARN);
}
