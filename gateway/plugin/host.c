#include "plugin/host.h"

#include <stdarg.h>
#include <strings.h>
#include <time.h>

#include "base/utf8.h"

enum { HEADER_MAX = 16 * 1024 };

static const struct mg_str absent;

static struct call *of(struct mg_call *c)
{
	return (struct call *)c;	/* its first member */
}

static void *on_alloc(struct mg_call *c, size_t len)
{
	return pool_alloc(of(c)->pool, len);
}

__attribute__((format(printf, 3, 4)))
static int on_fail(struct mg_call *c, int rc, const char *fmt, ...)
{
	struct err *err = &of(c)->err;
	va_list ap;

	err->rc = rc;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return rc;
}

static struct mg_view on_request(struct mg_call *c)
{
	return of(c)->request;
}

static struct mg_view on_endpoint(struct mg_call *c)
{
	return of(c)->endpoint;
}

static struct mg_view on_parse(struct mg_call *c, struct mg_str json)
{
	struct mg_view v = { NULL, 0 };

	if (!json.at || json_parse(of(c)->pool, json, &v, NULL))
		return (struct mg_view){ NULL, 0 };
	return v;
}

static struct mg_str on_text(struct mg_call *c, struct mg_view v)
{
	return json_text(of(c)->pool, v);
}

static struct mg_writer *on_writer(struct mg_call *c)
{
	struct mg_writer *w = json_writer(of(c)->pool);

	if (!w)
		return &of(c)->no_writer;
	if (of(c)->inside == IN_REQUEST)
		w->lasting = json_raw(of(c)->request);	/* stays for the whole attempt */
	return w;
}

/* ---------------------------------------------------------------- blob */

static int base64_digit(char ch)
{
	if (ch >= 'A' && ch <= 'Z')
		return ch - 'A';
	if (ch >= 'a' && ch <= 'z')
		return ch - 'a' + 26;
	if (ch >= '0' && ch <= '9')
		return ch - '0' + 52;
	if (ch == '+' || ch == '-')	/* the URL alphabet too */
		return 62;
	return ch == '/' || ch == '_' ? 63 : -1;
}

static struct mg_str base64(struct pool *p, struct mg_str s)
{
	char *out = pool_alloc(p, s.len / 4 * 3 + 4);
	unsigned bits = 0, waiting = 0;
	size_t n = 0;

	while (s.len && s.at[s.len - 1] == '=')
		s.len--;
	for (size_t i = 0; out && i < s.len; i++) {
		int d = base64_digit(s.at[i]);

		if (s.at[i] == '\r' || s.at[i] == '\n')
			continue;
		if (d < 0)
			return absent;
		bits = bits << 6 | (unsigned)d;
		waiting += 6;
		if (waiting >= 8) {
			waiting -= 8;
			out[n++] = (char)(bits >> waiting);
		}
	}
	if (!out || waiting == 6)	/* one digit is no byte */
		return absent;
	return (struct mg_str){ out, n };
}

static int hex(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	ch |= 0x20;
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

static struct mg_str percent(struct pool *p, struct mg_str s)
{
	char *out = pool_alloc(p, s.len + 1);
	size_t n = 0;

	for (size_t i = 0; out && i < s.len; i++) {
		if (s.at[i] != '%') {
			out[n++] = s.at[i];
			continue;
		}
		if (s.len - i < 3 || hex(s.at[i + 1]) < 0 || hex(s.at[i + 2]) < 0)
			return absent;
		out[n++] = (char)(hex(s.at[i + 1]) << 4 | hex(s.at[i + 2]));
		i += 2;
	}
	return (struct mg_str){ out, n };
}

/* "data:[type][;parameter]...[;base64],bytes" */
static struct mg_str data_url(struct pool *p, struct mg_str s)
{
	const char *comma = memchr(s.at, ',', s.len);
	struct mg_str rest;

	if (!comma)
		return absent;
	rest = (struct mg_str){ comma + 1, s.len - (size_t)(comma + 1 - s.at) };
	if (comma - s.at >= 12 && !strncasecmp(comma - 7, ";base64", 7))
		return base64(p, rest);
	return percent(p, rest);
}

static struct mg_str on_blob(struct mg_call *c, struct mg_view v)
{
	struct mg_str s = json_kind(v) == MG_STRING ? json_text(of(c)->pool, v) : absent;

	if (!s.at || !s.len)
		return absent;
	if (s.len >= 5 && !strncasecmp(s.at, "data:", 5))
		return data_url(of(c)->pool, s);
	return base64(of(c)->pool, s);		/* an address has a colon, which is no digit */
}

/* ------------------------------------------------- headers, the secret */

static bool is_token(const char *name)
{
	static const bool allowed[256] = { ['!'] = true, ['#' ... '\''] = true, ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true,
		['^' ... '`'] = true, ['|'] = true, ['~'] = true, ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true };
	size_t n = 0;

	while (allowed[(unsigned char)name[n]])
		n++;
	return n && n < 128 && !name[n];
}

/* What belongs to the connection, or to the core. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = { "Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive",
		"Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "TE", "Trailer", "Upgrade", "Expect",
		"HTTP2-Settings" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (((name[0] ^ ours[i][0]) | 0x20) == 0x20 && !strcasecmp(name, ours[i]))
			return true;
	return false;
}

/* word: before the value, with a blank; "": none.  what: for the message, never the value; NULL: the header's name. */
static int add_header(struct call *c, const char *name, const char *word, struct mg_str value, const char *what)
{
	struct mg_str line;

	if (c->inside != IN_REQUEST)
		return fail(&c->err, MG_EPROTO, "headers are set in request(), before anything is sent");
	if (!is_token(name) || is_ours(name))
		return fail(&c->err, MG_EPROTO, "header '%.60s' is not for a plugin to set", is_token(name) ? name : "?");
	if (value.len > HEADER_MAX || !utf8_line(value.at, value.len))
		return fail(&c->err, MG_EINVAL, "%s%s%s has a control character in it, or is too long", what ? what : "the value of header '",
			what ? "" : name, what ? "" : "'");
	if (c->n_headers == CALL_HEADERS)
		return fail(&c->err, MG_EPROTO, "more than %d headers", CALL_HEADERS);
	line = pool_join(c->pool, (struct mg_str[]){ { name, strlen(name) }, MG_STR(": "), { word, strlen(word) }, { " ", *word != '\0' }, value }, 5);
	if (!line.at)
		return fail(&c->err, MG_ENOMEM, "no memory for a header");
	c->headers[c->n_headers++] = line;
	return MG_OK;
}

static int on_header(struct mg_call *mg, const char *name, struct mg_str value)
{
	return value.at ? add_header(of(mg), name, "", value, NULL) : MG_OK;
}

static int add_query(struct call *c, const char *name, struct mg_str secret)
{
	size_t n = strlen(name);
	char *out = pool_alloc(c->pool, n + 2 + 3 * secret.len);

	if (!is_token(name))
		return fail(&c->err, MG_EPROTO, "a parameter of the query has no name");
	if (!out)
		return fail(&c->err, MG_ENOMEM, "no memory for the query");
	memcpy(out, name, n);
	out[n++] = '=';
	for (size_t i = 0; i < secret.len; i++) {
		unsigned char ch = (unsigned char)secret.at[i];
		bool plain = (ch | 0x20) >= 'a' && (ch | 0x20) <= 'z';

		if (plain || (ch >= '0' && ch <= '9') || ch == '-' || ch == '_' || ch == '.' || ch == '~')
			out[n++] = (char)ch;
		else
			n += (size_t)snprintf(out + n, 4, "%%%02X", ch);
	}
	c->url_query = (struct mg_str){ out, n };
	return MG_OK;
}

/* No credential is none to add: a server on one's own machine has none. */
static int on_auth(struct mg_call *mg, enum mg_auth how, const char *arg)
{
	struct call *c = of(mg);
	struct mg_str secret = { c->secret, c->secret ? strlen(c->secret) : 0 };

	if (c->inside != IN_REQUEST)
		return fail(&c->err, MG_EPROTO, "auth is for request(), before anything is sent");
	if ((unsigned)how > MG_ENTRA || (how != MG_BEARER && !arg))
		return fail(&c->err, MG_EPROTO, "the plugin asks for an unknown kind of credential");
	if (!secret.at)
		return MG_OK;
	if (how == MG_SIGV4 && memchr(secret.at, ':', secret.len)) {	/* AWS's id and key, or who gives them: signed when it is sent */
		c->sign = pool_dup(c->pool, (struct mg_str){ arg, strlen(arg) }).at;
		c->scope = *secret.at == '{' ? "" : NULL;
		return c->sign ? MG_OK : fail(&c->err, MG_ENOMEM, "no memory for the credential");
	}
	if (*secret.at == '{') {	/* for a token server: never to be sent itself */
		if (how == MG_HEADER || how == MG_QUERY)
			return fail(&c->err, MG_EINVAL, "this dialect takes a key; aws, google and entra are for those that sign, or take tokens");
		c->scope = arg ? pool_dup(c->pool, (struct mg_str){ arg, strlen(arg) }).at : "";
		return c->scope ? MG_OK : fail(&c->err, MG_ENOMEM, "no memory for the credential");
	}
	if (how != MG_HEADER && how != MG_QUERY)	/* API keys of AWS, and tokens from elsewhere, are bearer tokens */
		return add_header(c, "Authorization", how == MG_BEARER && arg ? arg : "Bearer", secret, "the credential");
	if (how == MG_HEADER)
		return add_header(c, arg, "", secret, "the credential");
	return add_query(c, arg, secret);
}

/* ---------------------------------------------------------- the answer */

static int on_status(struct mg_call *c)
{
	return of(c)->status;
}

static struct mg_str on_answer(struct mg_call *mg, const char *header)
{
	struct call *c = of(mg);

	return c->answer ? c->answer(c->arg, header) : absent;
}

bool text_whole(struct mg_str s)
{
	const unsigned char *at = (const unsigned char *)s.at;

	for (size_t i = 0, n; i < s.len; i += n) {
		n = utf8_plain(at + i, s.len - i);
		if (!n)
			n = utf8_char(at + i, s.len - i);
		if (!n)
			return false;
	}
	return true;
}

static bool has_text(enum mg_event_kind k)
{
	return k == MG_EV_TEXT || k == MG_EV_REFUSAL || k == MG_EV_REASONING || k == MG_EV_TOOL_ARGS || k == MG_EV_SEGMENT;
}

static bool is_tool(enum mg_event_kind k)
{
	return k == MG_EV_TOOL_BEGIN || k == MG_EV_TOOL_ARGS || k == MG_EV_TOOL_END;
}

static bool is_json(struct mg_str s)
{
	struct pool *brief = pool_for_json(s.len);
	struct mg_view v;
	bool yes = brief && !json_parse(brief, s, &v, NULL);

	pool_free(brief);
	return yes;
}

static bool hollow(struct mg_str s)
{
	return !s.at && s.len;
}

static int event_check(struct call *c, const struct mg_event *e)
{
	if ((unsigned)e->kind > MG_EV_ERROR)
		return fail(&c->err, MG_EPROTO, "plugin '%s' emitted an event of unknown kind %d", c->plugin->name, e->kind);
	if (hollow(e->id) || hollow(e->name) || hollow(e->data) || hollow(e->extra))
		return fail(&c->err, MG_EPROTO, "plugin '%s' emitted an event with a hole", c->plugin->name);
	if (!text_whole(e->id) || !text_whole(e->name) || (has_text(e->kind) && !text_whole(e->data)))
		return fail(&c->err, MG_EPROTO, "the answer's text is not UTF-8");
	if (e->extra.at && !is_json(e->extra))
		return fail(&c->err, MG_EPROTO, "plugin '%s' emitted what is not JSON", c->plugin->name);
	if (e->kind == MG_EV_USAGE && !e->usage)
		return fail(&c->err, MG_EPROTO, "plugin '%s' emitted usage without usage", c->plugin->name);
	if (e->kind == MG_EV_ERROR && !e->failure)
		return fail(&c->err, MG_EPROTO, "plugin '%s' emitted an error without one", c->plugin->name);
	if (e->kind == MG_EV_FINISH && (e->finish == MG_NONE || (unsigned)e->finish > MG_FAILED))
		return fail(&c->err, MG_EPROTO, "plugin '%s' emitted an end that means nothing (%d)", c->plugin->name, (int)e->finish);
	if (is_tool(e->kind) && e->index >= CALL_TOOLS)
		return fail(&c->err, MG_EPROTO, "the answer calls more than %d tools", CALL_TOOLS);
	c->said += CALL_EVENT + e->data.len + e->extra.len;
	if (c->said > c->say_max)
		return fail(&c->err, MG_EPROTO, "plugin '%s' emitted more than %zu MiB at once", c->plugin->name, c->say_max >> 20);
	return MG_OK;
}

/* As much of *from as its author knew; the rest as it was. */
static void take(void *to, size_t to_size, const void *from, size_t from_size)
{
	memcpy(to, from, from_size < to_size ? from_size : to_size);
	*(size_t *)to = to_size;
}

/* *given as its author knew it, and in the attempt's hands. */
static int emit(struct call *c, const struct mg_event *given)
{
	struct mg_usage usage;
	struct mg_failure failure;
	struct mg_event e = { .size = sizeof(e) };
	int rc;

	if (!given || !MG_HAS(given, kind))
		return fail(&c->err, MG_EPROTO, "plugin '%s' emitted an event without a size", c->plugin->name);
	take(&e, sizeof(e), given, given->size);
	rc = event_check(c, &e);
	if (rc || c->failed)
		return rc;	/* behind an error nothing counts (R23) */
	if (e.usage) {
		usage = (struct mg_usage){ .cost_nusd = -1 };
		take(&usage, sizeof(usage), e.usage, e.usage->size);
		e.usage = &usage;
	}
	if (e.failure) {
		failure = (struct mg_failure){ .retryable = false };
		take(&failure, sizeof(failure), e.failure, e.failure->size);
		failure_words(c, &failure);
		e.failure = &failure;
	}
	c->failed = e.kind == MG_EV_ERROR;
	if (e.kind == MG_EV_FINISH || e.kind == MG_EV_ERROR)
		c->finished = true;
	rc = c->emit ? c->emit(c->arg, &e) : MG_OK;
	if (rc && !c->err.rc)
		return fail(&c->err, rc, "the answer is not wanted any more");
	return rc;
}

static int on_emit(struct mg_call *mg, const struct mg_event *given)
{
	struct call *c = of(mg);

	if (c->inside != IN_FRAME && c->inside != IN_METER && c->inside != IN_FINISH)
		return fail(&c->err, MG_EPROTO, "events are for frame(), meter() and finish()");
	if (!c->refused)	/* behind one that was refused there is none */
		c->refused = emit(c, given);
	return c->refused;
}

static int on_follow(struct mg_call *mg, const struct mg_http *next, uint32_t after_ms)
{
	struct call *c = of(mg);
	struct mg_http h = { .size = sizeof(h) };
	int rc;

	if (c->inside != IN_FRAME && c->inside != IN_FINISH)
		return fail(&c->err, MG_EPROTO, "another exchange may follow from frame() and finish() only");
	if (!next || !MG_HAS(next, path))
		return fail(&c->err, MG_EPROTO, "plugin '%s' gave no exchange to follow", c->plugin->name);
	take(&h, sizeof(h), next, next->size);
	rc = http_check(c, &h);
	if (rc)
		return rc;
	if (after_ms < CALL_HURRY_MS && ++c->hurried > CALL_HURRIED)
		return fail(&c->err, MG_EPROTO, "plugin '%s' asks again and again without a wait", c->plugin->name);
	h.method = pool_dup(c->pool, h.method);		/* an upstream's answer names the next address, */
	h.path = pool_dup(c->pool, h.path);		/* and its frame ends before that is asked */
	if (!h.method.at || !h.path.at)
		return fail(&c->err, MG_ENOMEM, "no memory for an exchange");
	c->follow = h;
	c->follow_ms = after_ms;
	c->follows = true;
	return MG_OK;
}

/* ------------------------------------------------------------- waiting */

static uint32_t cap_ms(uint64_t ms)
{
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* "12", "0.5": thousandths of it, of what is huge fewer; else false. */
static bool thousandths(struct mg_str s, uint64_t *out)
{
	static const uint64_t huge = UINT64_C(1000) * UINT32_MAX;
	uint64_t n = 0, unit = 1000;
	bool point = false;

	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '.' && !point && i) {
			point = true;
		} else if (s.at[i] < '0' || s.at[i] > '9') {
			return false;
		} else if (point) {
			unit /= 10;
			n += (uint64_t)(s.at[i] - '0') * unit;
		} else if (n < huge) {
			n = n * 10 + (uint64_t)(s.at[i] - '0') * 1000;
		}
	}
	*out = n;
	return s.len > 0;
}

/* "Sat, 21 Nov 2026 14:03:11 GMT" */
static uint32_t until(struct mg_str s)
{
	struct tm tm = { .tm_mday = 1 };
	time_t now = time(NULL), then;
	const char *end;
	char text[64];

	if (s.len >= sizeof(text))
		return 0;
	snprintf(text, sizeof(text), "%.*s", (int)s.len, s.at);
	end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	then = end ? timegm(&tm) : 0;
	return then > now ? cap_ms((uint64_t)(then - now) * 1000) : 0;
}

uint32_t retry_after(struct call *c)
{
	struct mg_str ms = on_answer(&c->mg, "retry-after-ms"), s = on_answer(&c->mg, "retry-after");
	uint64_t n;

	if (ms.at && thousandths(ms, &n))
		return cap_ms(n / 1000);
	if (!s.at)
		return 0;
	return thousandths(s, &n) ? cap_ms(n) : until(s);
}

const struct mg_host call_host = {
	.size = sizeof(call_host),
	.alloc = on_alloc, .fail = on_fail, .request = on_request, .endpoint = on_endpoint, .parse = on_parse,
	.kind = json_kind, .get = json_get, .at = json_at, .next = json_next, .name = json_name, .text = on_text,
	.raw = json_raw, .count = json_count, .blob = on_blob,
	.writer = on_writer, .open = json_open, .close = json_close, .put = json_put, .put_raw = json_put_raw,
	.put_int = json_put_int, .written = json_written,
	.header = on_header, .auth = on_auth, .status = on_status, .answer = on_answer,
	.emit = on_emit, .follow = on_follow, .pieces = json_pieces,
};
