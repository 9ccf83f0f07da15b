#include "base/json.h"
#include "base/log.h"
#include "tap.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int fds[2];
static char got[1 << 20];
static size_t got_len;

/* All that is in the pipe now. */
static const char *drain(void)
{
	ssize_t n;

	for (got_len = 0; (n = read(fds[0], got + got_len, sizeof(got) - 1 - got_len)) > 0; )
		got_len += (size_t)n;
	got[got_len] = '\0';
	return got;
}

static const struct { const char *text, *out; } redacted[] = {
	{ "key sk-or-v1-0123456789abcdef failed", "key *** failed" }, { "Authorization: Bearer abcdef123456", "Authorization: ***" },
	{ "sent bearer abc.def-123456, then", "sent bearer ***, then" }, { "https://x/v1?key=AIzaSy0123&alt=sse", "https://x/v1?key=***&alt=sse" },
	{ "AIzaSyA1234567890abcdefgh", "***" }, { "AKIAIOSFODNN7EXAMPLE used", "*** used" }, { "ABSKQmVkcm9ja0FQSUtleS0x and", "*** and" }, { "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "***" },
	{ "{\"api_key\": \"abc\"}", "{\"api_key\": \"***\"}" }, { "x-api-key: topsecret", "x-api-key: ***" }, { "password=hunter2 user=me", "password=*** user=me" },
	{ "api_key: environment variable GROQ_API_KEY is not set", "api_key: environment variable GROQ_API_KEY is not set" },
	{ "task-skipped, risk-free, sk-ip", "task-skipped, risk-free, sk-ip" }, { "model gpt-4o", "model gpt-4o" }, { "token=a", "token=*" }, { "", "" },
	{ "bearer token is missing", "bearer token is missing" }, { "sk-aaaaaaaaaaaa sk-bbbbbbbbbbbb", "*** ***" },
	{ "sk_01234567", "***" }, { "rk-01234567", "***" }, { "pk-01234567", "***" }, { "gsk_01234567", "***" }, { "xai-01234567", "***" },
	{ "pplx-01234567", "***" }, { "hf_01234567", "***" }, { "ghp_0123456789abcdef", "***" }, { "ASIA0123456789ab", "***" },
	{ "ya29.01234567", "***" }, { "Basic dXNlcjpwYXNz", "Basic ***" }, { "BASIC dXNlcjpwYXNz", "BASIC ***" }, { "(sk-01234567)", "(***)" },
	{ "asks-01234567 eyeball http://x:80/y", "asks-01234567 eyeball http://x:80/y" },
};

static void redaction(void)
{
	for (size_t i = 0; i < sizeof(redacted) / sizeof(redacted[0]); i++) {
		char text[200];

		snprintf(text, sizeof(text), "%s", redacted[i].text);
		log_redact(text);
		ok(!strcmp(text, redacted[i].out), redacted[i].out);
		if (strcmp(text, redacted[i].out))
			printf("# %s\n", text);
	}
}

static bool is_json_lines(int expected)
{
	struct pool *p = pool_new(8 << 20);
	char *line = got, *end;
	struct mg_view v;
	int n = 0;
	bool good = true;

	for (; (end = strchr(line, '\n')); line = end + 1, n++)
		good = good && end - line < 8192 && !json_parse(p, (struct mg_str){ line, (size_t)(end - line) }, &v, NULL) && json_get(v, "ts").doc;
	pool_free(p);
	return good && !*line && n == expected;
}

static void lines(void)
{
	char huge[20000], nasty[5000];
	int calls = 0;

	log_at(LOG_INFO, EV_READY, NULL, LOG_S("url", "http://127.0.0.1:8080"), LOG_N("workers", 4));
	drain();
	ok(is_json_lines(1) && strstr(got, "\"level\":\"info\",\"event\":\"ready\",\"msg\":\"requests are answered\",\"url\":\"http://127.0.0.1:8080\",\"workers\":4}\n"),
		"a fact is a line of JSON");
	log_at(LOG_INFO, EV_AUDIT, "req-1\n{}", LOG_S("a", "x\"\\\n\r\x1b[2J\x7f\xc2\x9b\xff\xc3\xa9"));
	drain();
	ok(is_json_lines(1) && strstr(got, "x\\\"\\\\\\n\\u000d\\u001b[2J\\u007f\\u009b\xef\xbf\xbd\xc3\xa9") && !strchr(got, 0x1b), "no value forges a line or reaches the terminal");
	memset(huge, 'a', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	memset(nasty, 1, sizeof(nasty) - 1);
	nasty[sizeof(nasty) - 1] = '\0';
	log_at(LOG_INFO, EV_AUDIT, NULL, LOG_S("a", huge), LOG_S("b", huge), LOG_S("c", huge), LOG_N("d", 1));
	log_at(LOG_INFO, EV_AUDIT, NULL, LOG_S("a", nasty), LOG_S("b", nasty), LOG_N("d", 1));
	for (size_t i = 3000; i < 4200; i += 7) {
		nasty[i] = '\0';
		log_at(LOG_INFO, EV_AUDIT, nasty, LOG_S("a", huge + i), LOG_S("b", nasty), LOG_S("c", "x"));
		nasty[i] = 1;
		if (i % 5 == 0)
			drain();
	}
	log_at(LOG_INFO, EV_AUDIT, NULL, LOG_S("k", "Bearer 0123456789abcdef"));
	drain();
	ok(strstr(got, "Bearer ***") != NULL, "a secret is redacted at the sink");
	ok(!strncmp(got, "{\"ts\":\"20", 9) && strspn(got + 7, "0123456789-T:.Z") == 27 && got[26] == '.' && got[33] == 'Z' && got[34] == '"',
		"with the time in UTC, to the microsecond");
	log_at(LOG_DEBUG, EV_AUDIT, NULL, LOG_N("x", ++calls));
	ok(!calls && !*drain(), "fields of a quiet level are not evaluated");
	log_at(LOG_INFO, EV_AUDIT, NULL, LOG_S("a", huge), LOG_S("b", huge), LOG_S("c", nasty));
	drain();
	ok(is_json_lines(1) && got_len > 8000, "a huge one is cut to 8 KiB and still JSON");
}

static const char *contents(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
	return got;
}

/* As whoever turns logs does it: move it away, then ask for the path again. */
static void file(void)
{
	char dir[128], path[160], moved[160];
	struct err err = { 0 };

	snprintf(dir, sizeof(dir), "%.60s/moongate-log-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(dir))
		exit(99);
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(moved, sizeof(moved), "%s/log.1", dir);
	ok(!log_reopen(&err), "without a file there is nothing to open again");
	ok(!log_open_file(path, true, LOG_INFO, &err), "a file");
	log_at(LOG_INFO, EV_READY, NULL, LOG_N("n", 1));
	ok(strstr(contents(path), "\"n\":1}\n"), "has the lines");
	rename(path, moved);
	log_gather(true);
	log_at(LOG_INFO, EV_READY, NULL, LOG_N("n", 2));
	ok(!strstr(contents(moved), "\"n\":2}") && !log_reopen(&err), "moved away, it is opened again, while a line waits");
	log_gather(false);
	log_at(LOG_INFO, EV_READY, NULL, LOG_N("n", 3));
	ok(strstr(contents(moved), "\"n\":2}\n") && !strstr(got, "\"n\":3}") && strstr(contents(path), "\"n\":3}\n"), "each line is in one of them, the file that was open when it was logged");
	unlink(path);
	mkdir(path, 0700);
	ok(log_reopen(&err) == MG_EINVAL && strstr(err.msg, "logging.file: cannot open"), "a path that cannot be opened is told");
	log_at(LOG_INFO, EV_READY, NULL, LOG_N("n", 4));
	ok(!log_dropped() && log_open_file(path, true, LOG_INFO, &err) == MG_EINVAL, "the file that was open goes on");
	rmdir(path);
	unlink(moved);
	rmdir(dir);
}

static void quiet(void)
{
	for (int i = 0; i < 5; i++)
		log_at(LOG_WARN, EV_UPSTREAM_FAILED, i & 1 ? "r1" : "r2", LOG_S("endpoint", "a"), LOG_N("status", 500));
	log_at(LOG_WARN, EV_UPSTREAM_FAILED, NULL, LOG_S("endpoint", "b"), LOG_N("status", 500));
	drain();
	ok(is_json_lines(2), "the same warning is written once, another at once");
	for (int i = 0; i < 3; i++)
		log_at(LOG_INFO, EV_GENERATION, NULL, LOG_N("status", 200));
	drain();
	ok(is_json_lines(3), "what is no warning is always written");
}

static void *shout(void *arg)
{
	for (int i = 0; i < 50; i++)
		log_at(LOG_INFO, EV_GENERATION, NULL, LOG_S("who", arg), LOG_N("i", i));
	return NULL;
}

static void threads(void)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, shout, "thread");
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	drain();
	ok(is_json_lines(200), "lines of four threads do not mix");
}

static int lines_got(void)
{
	int n = 0;

	for (const char *at = got; (at = strchr(at, '\n')); at++)
		n++;
	return n;
}

static void gathered(void)
{
	int n = 0;

	log_gather(true);
	for (int i = 0; i < 3; i++)
		log_at(LOG_INFO, EV_GENERATION, NULL, LOG_N("i", i));
	ok(!*drain(), "what is gathered waits");
	log_flush();
	drain();
	ok(is_json_lines(3) && strstr(got, "\"i\":0}") < strstr(got, "\"i\":1}") && strstr(got, "\"i\":1}") < strstr(got, "\"i\":2}"), "then it is all there, in order");
	log_flush();
	ok(!*drain(), "once");
	log_at(LOG_INFO, EV_GENERATION, NULL, LOG_N("i", 3));
	log_at(LOG_ERROR, EV_INTERNAL, NULL, LOG_N("i", 4));
	drain();
	ok(is_json_lines(2) && strstr(got, "\"i\":3}") < strstr(got, "\"i\":4}"), "an error waits for nothing, and takes along what came before it");
	log_at(LOG_INFO, EV_GENERATION, NULL, LOG_N("i", 5));
	shout("another");
	log_gather(false);
	log_gather(true);
	drain();
	ok(is_json_lines(51), "what waits goes out when nothing is gathered any more");
	for (; n < 100 && !*drain(); n++)
		log_at(LOG_INFO, EV_GENERATION, NULL, LOG_S("text", "................................................................"));
	ok(n > 10 && n < 100 && got_len <= 4096 && lines_got() == n - 1, "no more waits than a pipe takes at once");
	log_gather(false);
	drain();
}

static void *one_line(void *arg)
{
	log_at(LOG_INFO, EV_GENERATION, NULL, LOG_S("who", arg));
	return NULL;
}

/* The one that gathers is not asked: its lines go out all the same. */
static void gathered_beside(void)
{
	pthread_t t;

	log_gather(true);
	log_at(LOG_INFO, EV_GENERATION, NULL, LOG_S("who", "first"));
	pthread_create(&t, NULL, one_line, "second");
	pthread_join(t, NULL);
	drain();
	ok(is_json_lines(2) && strstr(got, "first") < strstr(got, "second"), "a thread that does not gather writes at once, behind what waits");
	log_gather(false);
}

static void full_pipe(void)
{
	uint64_t before = log_dropped();
	int n = 0, lost;

	log_gather(true);
	for (; n < 100000 && log_dropped() == before; n++)
		log_at(LOG_INFO, EV_GENERATION, NULL, LOG_S("text", "................................................................"));
	log_gather(false);
	lost = (int)(log_dropped() - before);
	drain();
	ok(lost > 1 && lines_got() == n - lost, "of lines that were gathered each one that is dropped is counted");
	before = log_dropped();
	n = 0;

	for (; n < 100000 && log_dropped() == before; n++)
		log_at(LOG_INFO, EV_GENERATION, NULL, LOG_S("text", "................................................................"));
	ok(n > 100 && n < 100000, "a full pipe drops and counts, and never blocks");
	drain();
	log_at(LOG_INFO, EV_READY, NULL, LOG_N("after", 1));
	drain();
	ok(strstr(got, "\"after\":1}\n") && (got[0] == '{' || !strncmp(got, "\n{", 2)), "what follows stands on a line of its own");
	close(fds[0]);
	before = log_dropped();
	log_at(LOG_INFO, EV_READY, NULL, LOG_N("after", 2));
	ok(log_dropped() == before + 1, "a dead pipe is counted too");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	if (pipe(fds) || fcntl(fds[0], F_SETFL, O_NONBLOCK))
		return 1;
	redaction();
	file();
	log_open(fds[1], true, LOG_INFO);
	ok(!(fcntl(fds[1], F_GETFL) & O_NONBLOCK), "the descriptor of others stays as it was");
	lines();
	quiet();
	threads();
	gathered();
	gathered_beside();
	log_open(fds[1], false, LOG_INFO);
	log_at(LOG_INFO, EV_READY, NULL, LOG_S("url", "http://x"), LOG_S("why", "a b=\"c\"\n"), LOG_S("none", ""), LOG_N("n", -1));
	drain();
	ok(!strncmp(got, "ts=20", 5) && strstr(got, "Z level=info event=ready msg=\"requests are answered\" url=http://x why=\"a b=\\\"c\\\"\\n\" none=\"\" n=-1\n"),
		"key=value for a terminal");
	log_open(fds[1], true, LOG_INFO);
	full_pipe();
	return tap_done();
}
