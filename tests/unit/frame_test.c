#include "net/frame.h"
#include "tap.h"

/* Frames as text: event|data; with ~ for an absent event. */
static char seen[8192];
static size_t refuse_at;	/* on_frame refuses this one */
static size_t frames;

static int on_frame(void *arg, struct mg_str event, struct mg_str data)
{
	size_t n = strlen(seen);

	if (data.at[data.len] != '\0')
		return MG_EINVAL;
	if (++frames == refuse_at)
		return MG_EDENIED;
	snprintf(seen + n, sizeof(seen) - n, "%.*s|%.*s;", event.at ? (int)event.len : 1, event.at ? event.at : "~",
		(int)data.len, data.at);
	return MG_OK;
}

static int play(enum mg_framing framing, const char *at, size_t len, size_t cut, size_t max, struct err *err)
{
	struct framer f;
	int rc;

	seen[0] = '\0';
	frames = 0;
	framer_init(&f, framing, max, on_frame, NULL);
	rc = framer_feed(&f, at, cut < len ? cut : len, err);
	for (size_t i = cut; !rc && i < len; i += cut ? len : 1)	/* 0: single bytes */
		rc = framer_feed(&f, at + i, cut ? len - i : 1, err);
	if (!rc)
		rc = framer_end(&f, err);
	framer_release(&f);
	return rc;
}

#define BYTES(literal)	(literal), sizeof(literal) - 1

static const struct { const char *name; enum mg_framing framing; const char *at; size_t len; const char *frames, *error; }
cases[] = {
	{ "SSE: lines that end in LF", MG_SSE, BYTES("data: a\n\ndata: b\n\n"), "~|a;~|b;", NULL },
	{ "SSE: CRLF", MG_SSE, BYTES("event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n"), "x|a;~|b;", NULL },
	{ "SSE: CR", MG_SSE, BYTES("data: a\r\rdata: b\r\r"), "~|a;~|b;", NULL },
	{ "SSE: all three mixed", MG_SSE, BYTES("data: a\r\n\ndata: b\r\r\ndata: c\n\r"), "~|a;~|b;~|c;", NULL },
	{ "SSE: several data lines are one", MG_SSE, BYTES("data: a\ndata:b\ndata\ndata:  c\n\n"), "~|a\nb\n\n c;", NULL },
	{ "SSE: comments, ids and unknown fields", MG_SSE, BYTES(": OPENROUTER PROCESSING\n\nid: 1\nretry: 2\nfoo: 3\n:\ndata: a\n\n"),
		"~|a;", NULL },
	{ "SSE: a BOM", MG_SSE, BYTES("\xef\xbb\xbf" "data: a\n\n"), "~|a;", NULL },
	{ "SSE: a BOM later on is no BOM", MG_SSE, BYTES("data: a\n\n\xef\xbb\xbf" "data: b\n\n"), "~|a;", NULL },
	{ "SSE: the event's name ends with it", MG_SSE, BYTES("event: x\n\nevent: y\ndata: a\n\ndata: b\n\n"), "y|a;~|b;", NULL },
	{ "SSE: empty data is an event", MG_SSE, BYTES("data:\n\n"), "~|;", NULL },
	{ "SSE: [DONE] is a frame", MG_SSE, BYTES("data: {}\n\ndata: [DONE]\n\n"), "~|{};~|[DONE];", NULL },
	{ "SSE: [DONE] without its empty line", MG_SSE, BYTES("data: {}\n\ndata: [DONE]\n"), "~|{};~|[DONE];", NULL },
	{ "SSE: [DONE] without any line end", MG_SSE, BYTES("data: {}\n\ndata: [DONE]"), "~|{};~|[DONE];", NULL },
	{ "SSE: two objects in one event", MG_SSE, BYTES("data: {}{}\n\n"), "~|{}{};", NULL },
	{ "SSE: UTF-8 of four bytes", MG_SSE, BYTES("data: \xf0\x9f\x8c\x99\n\n"), "~|\xf0\x9f\x8c\x99;", NULL },
	{ "SSE: the end inside a line", MG_SSE, BYTES("data: {}\n\ndata: {\"a\":"), "~|{};", "ends inside a line" },
	{ "SSE: the end inside an event", MG_SSE, BYTES("event: x\n"), "", "ends inside an event" },
	{ "SSE: the end inside a comment", MG_SSE, BYTES("data: {}\n\n: pi"), "~|{};", NULL },
	{ "SSE: nothing", MG_SSE, BYTES(""), "", NULL },
	{ "SSE: an HTML page", MG_SSE, BYTES("<html>\n<body>\n</html>\n"), "", NULL },
	{ "NDJSON: a frame a line", MG_NDJSON, BYTES("{\"a\":1}\n{\"b\":2}\r\n\n  \n{}\n"), "~|{\"a\":1};~|{\"b\":2}\r;~|{};", NULL },
	{ "NDJSON: the last line without its end", MG_NDJSON, BYTES("{}\n{\"a\":1}"), "~|{};~|{\"a\":1};", NULL },
	{ "NDJSON: the end inside a line", MG_NDJSON, BYTES("{}\n{\"a\":"), "~|{};", "ends inside a line" },
	{ "JSON: one frame", MG_JSON, BYTES("{\n\"a\":\n1}"), "~|{\n\"a\":\n1};", NULL },
	{ "JSON: an empty body is a frame too", MG_JSON, BYTES(""), "~|;", NULL },
};

static bool plays(size_t i, size_t cut)
{
	struct err err = { MG_OK, "" };
	int rc = play(cases[i].framing, cases[i].at, cases[i].len, cut, 4096, &err);

	if (!strcmp(seen, cases[i].frames) && (cases[i].error ? rc == MG_EPROTO && strstr(err.msg, cases[i].error) : !rc))
		return true;
	printf("# cut at %zu: %s %s\n", cut, seen, err.msg);
	return false;
}

static void test_text(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool good = plays(i, SIZE_MAX);

		for (size_t cut = 0; good && cut < cases[i].len; cut++)
			good = plays(i, cut);
		ok(good, cases[i].name);
	}
}

/* ------------------------------------------- vectors of the event stream */

static const char stop[] = "0000007a00000051ca2c46650b3a6576656e742d7479706507000b6d65737361676553746f700d3a636f6e74656e742d"
	"747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070005"
	"6576656e747b2273746f70526561736f6e223a22656e645f7475726e227d5fbf09fc";
static const char slow[] = "0000008800000061de0175f40f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074696f"
	"6e0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009"
	"657863657074696f6e7b226d657373616765223a22736c6f7720646f776e227d832ee072";
static const char least[] = "000000100000000005c248eb7d98c8ff";

static size_t unhex(const char *hex, char *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		char two[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		out[i] = (char)strtoul(two, NULL, 16);
	}
	return n;
}

static void test_eventstream(void)
{
	const char *want = "messageStop|{\"stopReason\":\"end_turn\"};~|;throttlingException|{\"message\":\"slow down\"};";
	size_t n, wrong = 0, one;
	char m[1024];
	struct err err = { MG_OK, "" };
	bool same = true;

	one = n = unhex(stop, m);
	n += unhex(least, m + n);
	n += unhex(slow, m + n);
	for (size_t cut = 0; same && cut <= n; cut++)
		same = !play(MG_EVENTSTREAM, m, n, cut, 4096, &err) && !strcmp(seen, want);
	ok(same, "event stream: AWS's messages, cut at every byte");
	for (size_t i = 0; i < one; i++) {
		m[i] ^= 0x10;
		if (play(MG_EVENTSTREAM, m, one, SIZE_MAX, 4096, &err) == MG_EPROTO && !seen[0])
			wrong++;
		m[i] ^= 0x10;
	}
	ok(wrong == one, "event stream: a wrong bit in any byte is found");
	wrong = 0;
	for (size_t i = 1; i < one; i++)
		wrong += play(MG_EVENTSTREAM, m, i, SIZE_MAX, 4096, &err) == MG_EPROTO;
	ok(wrong == one - 1, "event stream: the end inside a message");
	ok(play(MG_EVENTSTREAM, m, one, SIZE_MAX, 100, &err) == MG_EPROTO && strstr(err.msg, "larger than 100 bytes"),
		"event stream: a message above the limit");
}

static void test_limits(void)
{
	static char big[5000];
	struct err err = { MG_OK, "" };
	struct framer f;

	memset(big, 'x', sizeof(big));
	memcpy(big, "data: ", 6);
	ok(play(MG_SSE, big, sizeof(big), SIZE_MAX, 4096, &err) == MG_EPROTO && strstr(err.msg, "larger than 4096"), "SSE: a line above the limit");
	ok(play(MG_SSE, big, sizeof(big), 0, 4096, &err) == MG_EPROTO && strstr(err.msg, "larger than 4096"), "the same in single bytes");
	for (size_t i = 0; i + 8 <= sizeof(big); i += 8)
		memcpy(big + i, "data: x\n", 8);
	ok(play(MG_SSE, big, sizeof(big), SIZE_MAX, 1000, &err) == MG_EPROTO, "SSE: an event of many lines above the limit");
	ok(play(MG_NDJSON, big, sizeof(big), SIZE_MAX, 6, &err) == MG_EPROTO, "NDJSON: a line above the limit");
	ok(play(MG_JSON, big, sizeof(big), 3000, 4096, &err) == MG_EPROTO, "JSON: a body above the limit");
	ok(play(MG_RAW, "abc", 3, 1, 4096, &err) == MG_OK && !strcmp(seen, "~|a;~|bc;"), "RAW: pieces as they come");

	seen[0] = '\0';
	frames = 0;
	refuse_at = 2;
	framer_init(&f, MG_SSE, 4096, on_frame, NULL);
	ok(framer_feed(&f, BYTES("data: a\n\ndata: b\n\ndata: c\n\n"), &err) == MG_EDENIED && !strcmp(seen, "~|a;"),
		"what on_frame refuses stops the feed");
	ok(framer_feed(&f, BYTES("data: d\n\n"), &err) == MG_EPROTO && !strcmp(seen, "~|a;"), "for good");
	ok(framer_end(&f, &err) == MG_EPROTO, "and the end is none");
	framer_release(&f);
	refuse_at = 0;

	framer_init(&f, MG_SSE, 4096, on_frame, NULL);
	seen[0] = '\0';
	framer_feed(&f, BYTES("data: a\0b\n\n"), &err);
	ok(!strncmp(seen, "~|a", 3), "SSE: a NUL is a byte like another");
	framer_release(&f);
}

int main(void)
{
	test_text();
	test_eventstream();
	test_limits();
	return tap_done();
}
