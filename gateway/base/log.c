#include "base/log.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE = 8192, TEXT = 4096, QUIET_MS = 10000, QUIET_SLOTS = 128 };

#define X(id, name, about) { name, about },
static const struct { const char *name, *about; } events[] = { LOG_EVENTS(X) };
#undef X
static const char *const levels[] = { "error", "warn", "info", "debug" };

enum log_level log_max = LOG_INFO;

static struct {
	pthread_mutex_t lock;
	int fd, own;		/* own: a description of ours, to be closed; or -1 */
	bool json, socket, torn;	/* torn: the last line went out in part */
	_Atomic uint64_t dropped;
	struct { uint64_t hash, since_ms, repeated; } quiet[QUIET_SLOTS];
} sink = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = 2, .own = -1, .json = true };

struct line { size_t len; bool json, cut; char at[LINE]; };

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

void log_open(int fd, bool json, enum log_level max)
{
	struct stat st;

	pthread_mutex_lock(&sink.lock);
	if (sink.own >= 0)
		close(sink.own);
	sink.own = open_again(fd);
	sink.fd = sink.own >= 0 ? sink.own : fd;
	sink.socket = !fstat(fd, &st) && S_ISSOCK(st.st_mode);
	sink.json = json;
	sink.torn = false;
	memset(sink.quiet, 0, sizeof(sink.quiet));
	log_max = max;
	pthread_mutex_unlock(&sink.lock);
}

uint64_t log_dropped(void)
{
	return atomic_load(&sink.dropped);
}

/* The last bytes stay free for what closes the line. */
static bool add(struct line *l, const char *at, size_t n)
{
	if (l->cut || n > LINE - 8 - l->len) {
		l->cut = true;
		return false;
	}
	memcpy(l->at + l->len, at, n);
	l->len += n;
	return true;
}

static void add_text(struct line *l, const char *text)
{
	add(l, text, strlen(text));
}

/* Control bytes, C1 too, are written out: no forged line, no terminal escape.
 * Returns how many bytes of text were taken. */
static size_t add_char(struct line *l, const unsigned char *at, size_t left)
{
	size_t n = utf8_char(at, left);
	unsigned c = n == 2 ? (at[0] & 31u) << 6 | (at[1] & 63u) : at[0];
	char esc[8];
	int len;

	if (!n) {
		add(l, "\xef\xbf\xbd", 3);
		return 1;
	}
	if (n > 2 || (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') || c >= 0xa0) {
		add(l, (const char *)at, n);
		return n;
	}
	len = c == '"' || c == '\\' ? snprintf(esc, sizeof(esc), "\\%c", (int)c) :
		c == '\n' ? snprintf(esc, sizeof(esc), "\\n") : snprintf(esc, sizeof(esc), "\\u%04x", c);
	add(l, esc, (size_t)len);
	return n;
}

static void add_quoted(struct line *l, const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t room = LINE - 64 - l->len;	/* for this and what closes it */

	if (l->len > LINE - 128 || !add(l, "\"", 1))
		return;
	for (size_t i = 0, start = l->len; i < len; ) {
		if (l->len - start + 12 > room) {
			add_text(l, "...");
			break;
		}
		i += add_char(l, at + i, len - i);
	}
	add(l, "\"", 1);
}

static bool is_bare(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] == '"' || text[i] == '=' || text[i] == '\\' || text[i] == 0x7f)
			return false;
	return len;
}

static void add_value(struct line *l, const char *text)
{
	char copy[TEXT];
	size_t len = strnlen(text, TEXT - 1);

	memcpy(copy, text, len);
	while (len && text[len] && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;	/* cut between characters */
	copy[len] = '\0';
	log_redact(copy);
	len = strlen(copy);
	if (l->json || !is_bare(copy, len))
		add_quoted(l, copy, len);
	else
		add(l, copy, len);
}

static void add_key(struct line *l, const char *key)
{
	add_text(l, l->json ? "," : " ");
	if (l->json)
		add_quoted(l, key, strlen(key));
	else
		add_text(l, key);
	add_text(l, l->json ? ":" : "=");
}

/* A field is there whole or not at all. */
static void add_field(struct line *l, const struct log_field *f)
{
	size_t was = l->len;
	char number[24];

	if (l->cut || l->len > LINE - 512) {
		l->cut = true;
		return;
	}
	add_key(l, f->key);
	if (f->text) {
		add_value(l, f->text);
	} else {
		snprintf(number, sizeof(number), "%lld", (long long)f->number);
		add_text(l, number);
	}
	if (l->cut)
		l->len = was;
}

static uint64_t hash_of(enum log_level lvl, enum log_event ev, const struct log_field *fields)
{
	uint64_t h = hash64(&(int[]){ (int)lvl, (int)ev }, 2 * sizeof(int), 0);

	for (; fields->key; fields++) {
		h = hash64(fields->key, strlen(fields->key), h);
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

static ssize_t put(const char *at, size_t len)
{
	ssize_t n;

	do
		n = sink.socket ? send(sink.fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL) : write(sink.fd, at, len);
	while (n < 0 && errno == EINTR);
	return n;
}

/* l->at[0] is a line feed, written when the line before it was torn. */
static void emit(struct line *l)
{
	size_t skip;
	ssize_t n;

	pthread_mutex_lock(&sink.lock);
	skip = sink.torn ? 0 : 1;
	n = put(l->at + skip, l->len - skip);
	if (n < 0 || (size_t)n < l->len - skip)
		atomic_fetch_add(&sink.dropped, 1);
	if (n > 0)
		sink.torn = (size_t)n < l->len - skip;
	pthread_mutex_unlock(&sink.lock);
}

void log_write(enum log_level lvl, enum log_event ev, const char *request_id, const struct log_field *fields)
{
	struct line l;	/* its 8 KiB need no zeros */
	uint64_t repeated;
	char ts[32];

	if (lvl > log_max || (unsigned)ev >= LOG_EVENT_COUNT || is_quiet(lvl, ev, fields, &repeated))
		return;
	l.len = 0;
	l.json = sink.json;
	l.cut = false;
	clock_rfc3339(clock_wall_ms(), ts);
	add_text(&l, l.json ? "\n{\"ts\":" : "\nts=");
	add_value(&l, ts);
	add_field(&l, &(struct log_field)LOG_S("level", levels[lvl]));
	add_field(&l, &(struct log_field)LOG_S("event", events[ev].name));
	add_field(&l, &(struct log_field)LOG_S("msg", events[ev].about));
	if (request_id && *request_id)
		add_field(&l, &(struct log_field)LOG_S("request_id", request_id));
	if (repeated)
		add_field(&l, &(struct log_field)LOG_N("repeated", repeated));
	for (; fields->key; fields++)
		add_field(&l, fields);
	if (l.json)	/* add() left room for these two */
		l.at[l.len++] = '}';
	l.at[l.len++] = '\n';
	emit(&l);
}
