#include "plugin/call.h"
#include "tap.h"

static int (*now)(struct mg_call *c);	/* what the callback under test does */
static struct mg_event last;
static struct mg_usage last_usage;
static struct mg_failure last_failure;
static size_t emitted;

static int request(struct mg_call *c, struct mg_http *out)
{
	struct mg_str *body = c->host->alloc(c, sizeof(*body));

	*body = MG_STR("{}");
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), MG_STR("/v1"), body, 1 };
	return now ? now(c) : MG_OK;
}

static int frame(struct mg_call *c, const struct mg_frame *f)
{
	return now ? now(c) : MG_OK;
}

static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	if (!body->json.doc)
		return MG_EPROTO;
	out->message = c->host->text(c, c->host->get(body->json, "why"));
	return MG_OK;
}

static const struct mg_operation chat = { .size = offsetof(struct mg_operation, surface), .op = MG_CHAT,
	.plain = MG_JSON, .stream = MG_SSE, .request = request, .frame = frame };
static const struct mg_operation *const ops[] = { &chat, NULL };
static const struct mg_provider provider = { .size = sizeof(provider), .ops = ops, .failure = failure };
static const struct mg_plugin plugin = { MG_MAGIC, MG_ABI_MAJOR, 0, sizeof(plugin), "t", "1.0.0", "t", &provider, NULL };

static struct call c;
static struct pool *pool;

static int on_emit(void *arg, const struct mg_event *e)
{
	emitted++;
	last = *e;
	if (e->usage)
		last_usage = *e->usage;
	if (e->failure)
		last_failure = *e->failure;
	return MG_OK;
}

static const char *waits, *waits_ms;	/* the answer's retry-after, retry-after-ms */

static struct mg_str on_answer(void *arg, const char *header)
{
	const char *said = !strcmp(header, "retry-after") ? waits : !strcmp(header, "retry-after-ms") ? waits_ms : NULL;

	return said ? (struct mg_str){ said, strlen(said) } : (struct mg_str){ NULL, 0 };
}

static void begin(int (*fn)(struct mg_call *), const char *secret)
{
	struct mg_view v = { NULL, 0 };

	pool_free(pool);
	pool = pool_new(1 << 20);
	call_init(&c, pool, &plugin, MG_CHAT, true, v, v, secret);
	c.emit = on_emit;
	c.answer = on_answer;
	now = fn;
	emitted = 0;
}

/* ------------------------------------------------------------- headers */

static const char *header_name, *header_value;
static enum mg_auth how;
static const char *auth_arg;

static int set_header(struct mg_call *call)
{
	return call->host->header(call, header_name, (struct mg_str){ header_value, strlen(header_value) });
}

static int set_auth(struct mg_call *call)
{
	return call->host->auth(call, how, auth_arg);
}

static int set_many(struct mg_call *call)
{
	int rc = MG_OK;

	for (int i = 0; !rc && i < 100; i++)
		rc = call->host->header(call, "x", MG_STR("y"));
	return rc;
}

static void test_headers(void)
{
	static const struct { const char *name, *value; bool fine; } rows[] = {
		{ "anthropic-version", "2023-06-01", true }, { "x-empty", "", true }, { "x-tab", "a\tb", true },
		{ "x-a", "b\r\nHost: evil", false }, { "x-a", "b\nc", false }, { "x-a", "\x7f", false },
		{ "Host", "a", false }, { "content-length", "2", false }, { "Transfer-Encoding", "chunked", false },
		{ "connection", "close", false }, { "TE", "trailers", false }, { "upgrade", "h2c", false },
		{ "", "a", false }, { "a b", "c", false }, { "a:", "c", false }, { "a\r\nb", "c", false },
	};
	struct mg_http out;
	size_t good = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(set_header, NULL);
		header_name = rows[i].name;
		header_value = rows[i].value;
		good += (call_request(&c, &out) == MG_OK) == rows[i].fine && !strpbrk(c.err.msg, "\r\n");
	}
	ok(good == sizeof(rows) / sizeof(rows[0]), "a header is a name and a line, and none of the connection's");
	begin(set_many, NULL);
	ok(call_request(&c, &out) == MG_EPROTO && c.n_headers == CALL_HEADERS, "headers have an end");
	begin(NULL, NULL);
	ok(call_request(&c, &out) == MG_OK && c.n_headers == 1 && mg_is(c.headers[0], "Content-Type: application/json"),
		"a body has a type");
	header_name = "content-type";
	header_value = "text/plain";
	begin(set_header, NULL);
	ok(call_request(&c, &out) == MG_OK && c.n_headers == 1, "one of its own, where the plugin says so");
	ok(c.mg.host->header(&c.mg, "x", MG_STR("y")) == MG_EPROTO, "no header after the request");
}

static int request_little(struct mg_call *call, struct mg_http *out)
{
	*out = (struct mg_http){ sizeof(*out), MG_STR("GET"), MG_STR("/v1"), NULL, 0 };
	return set_auth(call);
}

/* With every budget, so that each of its allocations is the one that fails. */
static bool scarce(void)
{
	static const struct mg_operation little = { .size = offsetof(struct mg_operation, surface), .op = MG_CHAT, .plain = MG_JSON, .stream = MG_SSE,
		.request = request_little, .frame = frame };
	static const struct mg_operation *const all[] = { &little, NULL };
	static const struct mg_provider p = { .size = sizeof(p), .ops = all, .failure = failure };
	static const struct mg_plugin lean = { MG_MAGIC, MG_ABI_MAJOR, 0, sizeof(lean), "t", "1.0.0", "t", &p, NULL };
	struct mg_view v = { NULL, 0 };
	struct mg_http out;
	int rc = MG_ENOMEM;
	bool fine = true;

	for (size_t budget = 0; budget < 256; budget++) {
		struct pool *tight = pool_new(budget);

		call_init(&c, tight, &lean, MG_CHAT, true, v, v, "s3");
		rc = call_request(&c, &out);
		fine &= rc == MG_ENOMEM || rc == MG_OK;
		pool_free(tight);
	}
	return fine && rc == MG_OK;
}

static void test_auth(void)
{
	struct mg_http out;

	how = MG_BEARER;
	auth_arg = "Token";
	ok(scarce(), "a word of its own before the token, and no memory at any point");
	auth_arg = NULL;

	how = MG_BEARER;
	begin(set_auth, "s3");
	ok(!call_request(&c, &out) && mg_is(c.headers[0], "Authorization: Bearer s3"), "a bearer token");
	how = MG_HEADER;
	auth_arg = "x-api-key";
	begin(set_auth, "s3");
	ok(!call_request(&c, &out) && mg_is(c.headers[0], "x-api-key: s3"), "a key in a header");
	how = MG_QUERY;
	auth_arg = "key";
	begin(set_auth, "s&3 ~");
	ok(!call_request(&c, &out) && mg_is(c.url_query, "key=s%263%20~"), "a key in the query, escaped");
	begin(set_auth, NULL);
	ok(!call_request(&c, &out) && !c.url_query.at && c.n_headers == 1, "no credential adds none");
	how = MG_BEARER;
	begin(set_auth, "CANARY\r\n");
	ok(call_request(&c, &out) == MG_EINVAL && !strstr(c.err.msg, "CANARY"), "a credential with a line end is refused and not shown");
	how = MG_SIGV4;
	auth_arg = "bedrock";
	begin(set_auth, "id:key");
	ok(!call_request(&c, &out) && c.n_headers == 1 && c.sign && !strcmp(c.sign, "bedrock"), "an AWS pair signs when it is sent");
	begin(set_auth, "s3");
	ok(!call_request(&c, &out) && !c.sign && mg_is(c.headers[0], "Authorization: Bearer s3"), "AWS's API keys are bearer tokens");
}

/* -------------------------------------------------------------- events */

static struct mg_event event;

static int emit(struct mg_call *call)
{
	return call->host->emit(call, &event);
}

static int play(struct mg_event e)
{
	event = e;
	return call_frame(&c, MG_SSE, (struct mg_str){ NULL, 0 }, MG_STR("{}"));
}

#define PLAY(k, ...)	(begin(emit, NULL), play(*MG_EVENT(k, __VA_ARGS__)))

static int odd_code(struct mg_call *call)
{
	return 7;
}

static int no_words(struct mg_call *call)
{
	return MG_EDENIED;
}

static int deaf(struct mg_call *call)
{
	call->host->emit(call, MG_EVENT(MG_EV_TEXT, .data = MG_STR("h\xc3")));
	return MG_OK;
}

static int loud(struct mg_call *call)
{
	while (call->host->emit(call, MG_EVENT(MG_EV_ANNOTATION, .extra = MG_STR("{}"))) == MG_OK)
		;
	return MG_OK;
}

/* What the core could stumble over is refused before it gets there (R70). */
static void test_misuse(void)
{
	struct mg_failure f = { .size = sizeof(f), .kind = (enum mg_error)99, .code = MG_STR("h\xc3"), .message = { NULL, 5 } };

	ok(PLAY(MG_EV_TEXT, .data = { NULL, 5 }) == MG_EPROTO && PLAY(MG_EV_START, .id = { NULL, 5 }) == MG_EPROTO &&
		PLAY(MG_EV_ANNOTATION, .extra = { NULL, 5 }) == MG_EPROTO && !emitted, "a length and no bytes");
	ok(PLAY(MG_EV_FINISH, .finish = (enum mg_finish)99) == MG_EPROTO && PLAY(MG_EV_FINISH, .finish = MG_NONE) == MG_EPROTO && !c.finished,
		"an end that is none");
	ok(PLAY(MG_EV_TOOL_BEGIN, .index = CALL_TOOLS - 1) == MG_OK && PLAY(MG_EV_TOOL_BEGIN, .index = CALL_TOOLS) == MG_EPROTO, "tool calls have a last one");
	ok(PLAY(MG_EV_ERROR, .failure = &f) == MG_OK && last_failure.kind == MG_E_UPSTREAM && !last_failure.code.at && !last_failure.message.at,
		"an error's kind is known, and its words are text");
	begin(deaf, NULL);
	ok(play(event) == MG_EPROTO && strstr(c.err.msg, "UTF-8"), "what was not taken is not forgotten, whatever the callback returns");
	begin(loud, NULL);
	ok(play(event) == MG_EPROTO && emitted == CALL_FRAME / (CALL_EVENT + 2), "events of one callback have an end");
	begin(loud, NULL);
	ok(call_frame(&c, MG_JSON, (struct mg_str){ NULL, 0 }, MG_STR("{}")) == MG_EPROTO && emitted == CALL_ANSWER / (CALL_EVENT + 2), "later for a whole answer");
}

static void test_events(void)
{
	struct mg_usage small = { .size = offsetof(struct mg_usage, cost_nusd), .input = 3 };
	struct mg_failure f = { .size = sizeof(f), .kind = MG_E_QUOTA };

	ok(PLAY(MG_EV_TEXT, .data = MG_STR("h\xc3\xa9")) == MG_OK && emitted == 1, "an event arrives");
	ok(PLAY(MG_EV_TEXT, .data = MG_STR("h\xc3")) == MG_EPROTO && !emitted, "a delta that is cut inside a character does not");
	ok(PLAY(MG_EV_AUDIO, .data = MG_STR("\xff")) == MG_OK, "sound is bytes");
	ok(PLAY(MG_EV_ANNOTATION, .extra = MG_STR("{")) == MG_EPROTO, "extra is JSON");
	ok(PLAY((enum mg_event_kind)999, .index = 0) == MG_EPROTO, "an unknown kind");
	ok(PLAY(MG_EV_USAGE, .index = 0) == MG_EPROTO && PLAY(MG_EV_ERROR, .index = 0) == MG_EPROTO, "usage and errors have one");
	ok(PLAY(MG_EV_USAGE, .usage = &small) == MG_OK && last_usage.input == 3 && last_usage.cost_nusd == -1 &&
		last_usage.size == sizeof(struct mg_usage), "an older, smaller usage is filled up");
	begin(emit, NULL);
	ok(play((struct mg_event){ .size = offsetof(struct mg_event, reset_ms), .kind = MG_EV_LIMIT, .reset_ms = 9 }) == MG_OK &&
		last.reset_ms == 0, "what an older event did not know is not read");
	ok(play((struct mg_event){ .size = 0, .kind = MG_EV_TEXT }) == MG_EPROTO, "an event has a size");
	begin(emit, NULL);
	ok(play(*MG_EVENT(MG_EV_ERROR, .failure = &f)) == MG_OK && last_failure.kind == MG_E_QUOTA, "an error in the stream");
	ok(play(*MG_EVENT(MG_EV_TEXT, .data = MG_STR("x"))) == MG_OK && emitted == 1, "ends it");
	ok(c.mg.host->emit(&c.mg, &event) == MG_EPROTO, "no event outside of a callback");
	begin(odd_code, NULL);
	ok(play(event) == MG_EPROTO && strstr(c.err.msg, "returned 7"), "a code that means nothing");
	begin(no_words, NULL);
	ok(play(event) == MG_EDENIED && strstr(c.err.msg, "did not say why"), "a refusal without words is given some");
	begin(NULL, NULL);
	ok(call_finish(&c) == MG_EPROTO && strstr(c.err.msg, "finish reason"), "a chat that ends without a finish reason");
	ok(call_meter(&c, MG_SSE, (struct mg_str){ NULL, 0 }, MG_STR("{}"), NULL, NULL) == MG_OK, "an operation from before pass-through");
}

/* ---------------------------------------------------------------- blob */

static const char *blob_json;
static struct mg_str blob;

static int read_blob(struct mg_call *call)
{
	blob = call->host->blob(call, call->host->parse(call, (struct mg_str){ blob_json, strlen(blob_json) }));
	return MG_OK;
}

static void test_blob(void)
{
	static const struct { const char *json, *bytes; } rows[] = {
		{ "\"aGVsbG8=\"", "hello" }, { "\"aGVsbG8\"", "hello" }, { "\"data:text/plain;base64,aGk=\"", "hi" },
		{ "\"data:,a%20b\"", "a b" }, { "\"-_-_\"", "\xfb\xff\xbf" }, { "\"a\"", NULL }, { "\"a*b=\"", NULL },
		{ "\"https://example.com/a.png\"", NULL }, { "\"data:text/plain;base64\"", NULL }, { "7", NULL },
		{ "\"data:,%4\"", NULL }, { "\"\"", NULL },
	};
	size_t good = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(read_blob, NULL);
		blob_json = rows[i].json;
		play(event);
		good += rows[i].bytes ? mg_is(blob, rows[i].bytes) : !blob.at;
	}
	ok(good == sizeof(rows) / sizeof(rows[0]), "bytes behind base64 and data: URLs, and nothing behind the rest");
}

static void test_failures(void)
{
	static const struct { int status; enum mg_error kind; bool retryable; } rows[] = {
		{ 400, MG_E_BAD_REQUEST, false }, { 401, MG_E_AUTH, true }, { 402, MG_E_QUOTA, true }, { 404, MG_E_NOT_FOUND, true },
		{ 408, MG_E_TIMEOUT, true }, { 418, MG_E_UPSTREAM, false }, { 429, MG_E_RATE_LIMITED, true }, { 500, MG_E_SERVER, true },
		{ 503, MG_E_OVERLOADED, true }, { 504, MG_E_TIMEOUT, true }, { 529, MG_E_OVERLOADED, true }, { 302, MG_E_UPSTREAM, true },
	};
	struct mg_failure f;
	size_t good = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(NULL, NULL);
		c.status = rows[i].status;
		call_failure(&c, MG_JSON, MG_STR("<html>"), &f);
		good += f.kind == rows[i].kind && f.retryable == rows[i].retryable && !f.message.at;
	}
	ok(good == sizeof(rows) / sizeof(rows[0]), "a status means what the table says when the plugin has no word");
	begin(NULL, NULL);
	c.status = 429;
	waits = "1.5";
	call_failure(&c, MG_JSON, MG_STR("{\"why\":\"resting\"}"), &f);
	ok(f.kind == MG_E_RATE_LIMITED && mg_is(f.message, "resting") && f.retry_after_ms == 1500, "the upstream's words, and its wait");
	waits = "Fri, 01 Jan 2100 00:00:00 GMT";
	call_failure(&c, MG_JSON, MG_STR("{}"), &f);
	ok(f.retry_after_ms == UINT32_MAX, "a date, too far away for 32 bits");
	waits = "soon";
	call_failure(&c, MG_JSON, MG_STR("{}"), &f);
	ok(f.retry_after_ms == 0, "a wait that is no number");
	waits = "99999999999999999999";
	call_failure(&c, MG_JSON, MG_STR("{}"), &f);
	ok(f.retry_after_ms == UINT32_MAX, "a number of seconds, too large for 32 bits");
	waits_ms = "86400000";
	call_failure(&c, MG_JSON, MG_STR("{}"), &f);
	ok(f.retry_after_ms == 86400000, "a day in milliseconds, which are more exact");
	waits = waits_ms = NULL;
}

int main(void)
{
	test_headers();
	test_auth();
	test_events();
	test_misuse();
	test_blob();
	test_failures();
	pool_free(pool);
	return tap_done();
}
