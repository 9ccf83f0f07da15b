#include "plugin/check.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/frame.h"
#include "plugin/call.h"
#include "plugin/registry.h"
#include "plugin/symbols.h"

enum { ROOM = 64 << 20, FRAME_MAX = 1 << 20, OVERSIZE = 3 << 20, TRIAL_S = 60, ROUNDS = 20 };

struct tap { void (*say)(void *arg, const char *line); void *arg; int n, bad; };

static void put(struct tap *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct tap *t, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	t->say(t->arg, line);
}

static bool claim(struct tap *t, bool holds, const char *name, const char *why)
{
	put(t, "%sok %d - %s", holds ? "" : "not ", ++t->n, name);
	if (!holds)
		put(t, "# %s", why);
	t->bad += !holds;
	return holds;
}

/* ------------------------------------------------------ canned answers */

/* No dialect in particular: what every plugin must survive.  An answer in the
 * words of its own dialect is for the plugin's test to bring. */
static const struct { int status; const char *answer; } canned[] = {
	{ 200, "" }, { 200, "{}" }, { 200, "[]\n" }, { 200, "null" }, { 200, "not json at all\n\n" },
	{ 200, "data: {}\n\ndata: [DONE]\n\n" }, { 200, "event: error\r\ndata: {\"error\":{\"message\":\"x\"}}\r\n\r\n" },
	{ 200, "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"H\\u00e9\"}}]}\n" },
	{ 200, "\xef\xbb\xbf" "data: {\"id\":\"a\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
		"\"content\":\"H\xc3\xa9llo \xf0\x9f\x8c\x99\"},\"finish_reason\":null}]}\n\n: comment\n\n"
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"function\":{\"name\":\"f\","
		"\"arguments\":\"{\\\"a\\\":1}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n"
		"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n" },
	{ 200, "{\"choices\":7,\"usage\":\"x\",\"data\":{\"a\":null},\"content\":[[[]]],\"error\":[],\"type\":1}" },
	{ 200, "data: {\"choices\":[{\"index\":4294967296,\"delta\":{\"content\":1e400}}]}\n\n" },
	{ 400, "{\"error\":{\"message\":\"max_tokens: too large\",\"type\":\"invalid_request_error\",\"code\":null}}" },
	{ 401, "" }, { 404, "{}" }, { 429, "{\"error\":\"resting\"}" }, { 500, "[1,2" }, { 503, "<html>\xff</html>" },
	{ 529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}" },
};

static const char *const requests[] = {
	[MG_CHAT] = "{\"model\":\"m-1\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":90,\"stream\":true}",
	[MG_EMBEDDINGS] = "{\"model\":\"m-1\",\"input\":[\"Hi\",\"Ho\"]}",
	[MG_RERANK] = "{\"model\":\"m-1\",\"query\":\"Hi\",\"documents\":[\"Hi\",\"Ho\"]}",
	[MG_IMAGE] = "{\"model\":\"m-1\",\"prompt\":\"a moon\"}",
	[MG_SPEECH] = "{\"model\":\"m-1\",\"input\":\"Hi\",\"voice\":\"v\"}",
	[MG_TRANSCRIPTION] = "{\"model\":\"m-1\",\"input_audio\":{\"data\":\"UklGRg==\",\"format\":\"wav\"}}",
	[MG_MODERATION] = "{\"model\":\"m-1\",\"input\":\"Hi\"}",
	[MG_VIDEO] = "{\"model\":\"m-1\",\"prompt\":\"a moon\"}",
	[MG_MODELS] = "{}",
};
static const char *const op_names[] = { "chat", "embeddings", "rerank", "image", "speech", "transcription",
	"moderation", "video", "models" };

/* ------------------------------------------------------------- one run */

struct subject { const struct mg_plugin *plugin; enum mg_op op; bool streamed; };

/* What an exchange came to: deltas of one kind count as one, however they were cut. */
struct sum { uint64_t hash; int kind; uint32_t index, choice; };

struct run { struct call call; struct sum sum; enum mg_framing framing; };

static void hash_bytes(struct sum *s, const void *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		s->hash = (s->hash ^ ((const unsigned char *)at)[i]) * 0x100000001b3u;
}

static int on_event(void *arg, const struct mg_event *e)
{
	struct sum *s = &((struct run *)arg)->sum;
	int mark[3] = { (int)e->kind, (int)e->index, (int)e->choice };

	if (s->kind != mark[0] || s->index != e->index || s->choice != e->choice)
		hash_bytes(s, mark, sizeof(mark));
	*s = (struct sum){ s->hash, mark[0], e->index, e->choice };
	hash_bytes(s, e->data.at, e->data.len);
	hash_bytes(s, e->extra.at, e->extra.len);
	return MG_OK;
}

static int on_frame(void *arg, struct mg_str event, struct mg_str data)
{
	struct run *r = arg;

	return call_frame(&r->call, r->framing, event, data);
}

static int feed(struct framer *f, struct mg_str s, size_t cut)
{
	int rc = framer_feed(f, s.at, cut < s.len ? cut : s.len, NULL);

	if (cut == SIZE_MAX || rc)
		return rc;
	for (size_t i = cut; !rc && i < s.len; i += cut ? s.len : 1)	/* 0: single bytes */
		rc = framer_feed(f, s.at + i, cut ? s.len - i : 1, NULL);
	return rc;
}

/* until < SIZE_MAX: the client goes away after so many bytes. */
static struct sum exchange(const struct subject *s, size_t budget, int status, struct mg_str answer, size_t cut,
	size_t until)
{
	struct pool *fixed = pool_new(ROOM), *pool = pool_new(budget);
	struct run r = { .sum = { .hash = 0xcbf29ce484222325u, .kind = -1 } };
	struct mg_view request, endpoint;
	struct mg_str ask = { requests[s->op], strlen(requests[s->op]) };
	struct mg_failure failure;
	struct mg_http http;
	struct framer f;
	int rc = MG_ENOMEM;

	if (fixed && pool && !json_parse(fixed, ask, &request, NULL) &&
	    !json_parse(fixed, MG_STR("{\"model\":\"m-1\"}"), &endpoint, NULL))
		rc = call_init(&r.call, pool, s->plugin, s->op, s->streamed, request, endpoint, "sk-check");
	r.call.emit = on_event;
	r.call.arg = &r;
	if (!rc)
		rc = call_request(&r.call, &http);
	r.call.status = status;
	if (!rc && status != 200) {
		call_failure(&r.call, MG_JSON, answer, &failure);
		hash_bytes(&r.sum, &failure.kind, sizeof(failure.kind));
	} else if (!rc) {
		r.framing = s->streamed ? r.call.op->stream : r.call.op->plain;
		framer_init(&f, r.framing, r.framing == MG_JSON ? ROOM : FRAME_MAX, on_frame, &r);
		answer.len = until < answer.len ? until : answer.len;
		rc = feed(&f, answer, cut);
		if (!rc && until == SIZE_MAX && !(rc = framer_end(&f, NULL)))
			rc = call_finish(&r.call);
		framer_release(&f);
	}
	if (r.framing != MG_RAW)
		hash_bytes(&r.sum, &rc, sizeof(rc));
	pool_free(pool);
	pool_free(fixed);
	return r.sum;
}

/* ------------------------------------------------------------ the runs */

static bool cuts(const struct subject *s, char why[240])
{
	for (size_t i = 0; i < sizeof(canned) / sizeof(canned[0]); i++) {
		struct mg_str answer = { canned[i].answer, strlen(canned[i].answer) };
		struct sum whole = exchange(s, ROOM, canned[i].status, answer, SIZE_MAX, SIZE_MAX);

		for (size_t cut = 0; cut < answer.len; cut++)
			if (exchange(s, ROOM, canned[i].status, answer, cut, SIZE_MAX).hash != whole.hash) {
				snprintf(why, 240, "canned answer %zu gives other events when it is cut at byte %zu", i, cut);
				return false;
			}
	}
	return true;
}

static bool cancels(const struct subject *s, char why[240])
{
	for (size_t i = 0; i < sizeof(canned) / sizeof(canned[0]); i++)
		for (size_t until = 0; canned[i].status == 200 && until < strlen(canned[i].answer); until++)
			exchange(s, ROOM, 200, (struct mg_str){ canned[i].answer, strlen(canned[i].answer) }, SIZE_MAX, until);
	return true;
}

static bool starves(const struct subject *s, char why[240])
{
	for (size_t i = 0; i < sizeof(canned) / sizeof(canned[0]); i++)
		for (size_t budget = 0; budget < 1 << 18; budget += budget ? budget / 2 : 16)
			exchange(s, budget, canned[i].status, (struct mg_str){ canned[i].answer, strlen(canned[i].answer) },
				SIZE_MAX, SIZE_MAX);
	return true;
}

static bool oversize(const struct subject *s, char why[240])
{
	static const char *const shapes[] = { "x", "data: {\"x\":\"x", "[[[[" };
	char *big = malloc(OVERSIZE);

	for (size_t i = 0; big && i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		memset(big, i == 2 ? '[' : 'x', OVERSIZE);
		memcpy(big, shapes[i], strlen(shapes[i]));
		exchange(s, ROOM, 200, (struct mg_str){ big, OVERSIZE }, SIZE_MAX, SIZE_MAX);
		exchange(s, ROOM, 500, (struct mg_str){ big, OVERSIZE }, SIZE_MAX, SIZE_MAX);
	}
	free(big);
	return true;
}

/* Memory of the plugin's own, from malloc, would outlive its call. */
static bool leaks_nothing(const struct subject *s, char why[240])
{
	size_t before = 0;

	for (int round = 0; round <= ROUNDS; round++) {
		for (size_t i = 0; i < sizeof(canned) / sizeof(canned[0]); i++)
			exchange(s, ROOM, canned[i].status, (struct mg_str){ canned[i].answer, strlen(canned[i].answer) },
				SIZE_MAX, SIZE_MAX);
		if (round == 1)
			before = mallinfo2().uordblks;
	}
	if (mallinfo2().uordblks < before + ROUNDS)
		return true;
	snprintf(why, 240, "%zu bytes are not given back: take memory from host->alloc",
		mallinfo2().uordblks - before);
	return false;
}

static const struct { const char *name; bool (*holds)(const struct subject *s, char why[240]); } trials[] = {
	{ "the same events wherever the answer is cut", cuts },
	{ "a client that goes away at every byte", cancels },
	{ "answers that are too large, too deep", oversize },
	{ "no memory left, early and late", starves },
	{ "nothing is left behind", leaks_nothing },
};

/* In a child: what crashes there is a claim that failed, not the end of the check. */
static bool trial(const struct subject *s, size_t i, char why[240])
{
	int status = 0, ends[2];
	ssize_t n;
	pid_t child;

	fflush(stdout);	/* what waits there is not the child's to write, too */
	if (pipe(ends) < 0 || (child = fork()) < 0) {
		snprintf(why, 240, "no child process: %s", strerror(errno));
		return false;
	}
	if (!child) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		for (int sig = 1; sig < 32; sig++)
			signal(sig, SIG_DFL);
		alarm(TRIAL_S);
		if (trials[i].holds(s, why))
			_exit(0);
		_exit(write(ends[1], why, strlen(why)) < 0 ? 2 : 1);
	}
	close(ends[1]);
	n = read(ends[0], why, 239);
	why[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		snprintf(why, 240, "%s: %s", WTERMSIG(status) == SIGALRM ? "it does not end" : "it crashes",
			strsignal(WTERMSIG(status)));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void check_operation(struct tap *t, const struct subject *s)
{
	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		char why[240] = "", name[160];
		bool good;

		snprintf(name, sizeof(name), "%s, %s: %s", op_names[s->op], s->streamed ? "streamed" : "plain", trials[i].name);
		good = trial(s, i, why);
		claim(t, good, name, why[0] ? why : "it ended the process");
	}
}

struct names { char other[128]; bool entry; };

static void on_symbol(void *arg, const char *name)
{
	struct names *n = arg;

	if (!strcmp(name, MG_ENTRY))
		n->entry = true;
	else if (strcmp(name, "_init") && strcmp(name, "_fini") && strncmp(name, "__odr_asan", 10) && !n->other[0])
		snprintf(n->other, sizeof(n->other), "%s", name);
}

static void check_symbols(struct tap *t, int fd)
{
	struct names n = { .entry = false };
	struct err err = { MG_OK, "" };
	char why[240];

	if (symbols_each(fd, on_symbol, &n, &err))
		snprintf(why, sizeof(why), "%s", err.msg);
	else if (!n.entry)
		snprintf(why, sizeof(why), "it does not export %s itself", MG_ENTRY);
	else
		snprintf(why, sizeof(why), "it exports '%s' too: build with -fvisibility=hidden", n.other);
	claim(t, n.entry && !n.other[0], "exports " MG_ENTRY " and nothing else", why);
}

int plugin_check(const char *path, void (*say)(void *arg, const char *line), void *arg)
{
	struct tap t = { say, arg, 0, 0 };
	struct err err = { MG_OK, "" };
	struct plugin p;

	int rc = plugin_open(&p, path, NULL, &err);

	if (claim(&t, rc == MG_OK, "loads: file, owner, ABI, tables", err.msg)) {
		check_symbols(&t, p.fd);
		put(&t, "# %s %s, ABI %u.%u: %s", p.self->name, p.self->version, p.self->major, p.self->minor, p.self->about);
		for (size_t i = 0; p.self->provider && p.self->provider->ops[i]; i++)
			for (int streamed = 0; streamed < 2; streamed++)
				check_operation(&t, &(struct subject){ p.self, p.self->provider->ops[i]->op, streamed });
	}
	put(&t, "1..%d", t.n);
	return t.bad;
}
