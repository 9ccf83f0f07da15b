/*
 * sim/script.h - the answer as lines for the gateway's loopback, with the pace
 * and the faults of the endpoint's options.
 */
#ifndef SIM_SCRIPT_H
#define SIM_SCRIPT_H

#include "ask.h"

struct script {
	struct mg_call *c;
	struct text out;
	uint64_t ttft_ms, chunk_ms, per_s, owed;	/* owed: tokens times 1000 that were not waited for yet */
	bool begun;
	size_t first_end;		/* behind the first line of content: where a stream is cut */
};

static struct script script_new(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	struct mg_view o = h->get(h->endpoint(c), "options");
	struct script s = { .c = c, .out = { .c = c } };

	h->count(h->get(o, "ttft_ms"), &s.ttft_ms);
	h->count(h->get(o, "chunk_ms"), &s.chunk_ms);
	h->count(h->get(o, "tokens_per_s"), &s.per_s);
	if (s.per_s > 1000000)
		s.per_s = 1000000;
	return s;
}

/* Opens a line; n: the tokens that it is worth. */
static void line(struct script *s, const char *kind, uint64_t n)
{
	uint64_t ms = s->begun ? (n ? s->chunk_ms : 0) : s->ttft_ms;

	if (s->per_s && s->begun) {
		s->owed += n * 1000;
		ms += s->owed / s->per_s;
		s->owed %= s->per_s;
	}
	s->begun = true;
	if (ms)
		print(&s->out, "{\"after_ms\":%llu,\"event\":{\"kind\":\"%s\"", (unsigned long long)ms, kind);
	else
		print(&s->out, "{\"event\":{\"kind\":\"%s\"", kind);
}

static void with(struct script *s, const char *name, struct mg_str text)
{
	print(&s->out, ",\"%s\":", name);
	quote(&s->out, text);
}

static void with_json(struct script *s, const char *name, struct mg_str json)
{
	print(&s->out, ",\"%s\":", name);
	put(&s->out, json);
}

static void with_count(struct script *s, const char *name, uint64_t n)
{
	print(&s->out, ",\"%s\":%llu", name, (unsigned long long)n);
}

static void line_end(struct script *s)
{
	say(&s->out, "}}\n");
}

static void start_line(struct script *s, uint64_t seed)
{
	char id[24];

	snprintf(id, sizeof(id), "sim-%016llx", (unsigned long long)seed);
	line(s, "start", 0);
	with(s, "id", TEXT(id));
	with(s, "name", s->c->host->text(s->c, s->c->host->get(s->c->host->endpoint(s->c), "model")));
	line_end(s);
}

/* text in pieces of a word, or of `size` bytes where size is not 0. */
static struct mg_str piece(struct mg_str *text, size_t size)
{
	size_t to = size;

	if (!size)	/* blanks, then the word behind them */
		for (to = 0; to < text->len && space(text->at[to]); to++)
			;
	while (!size && to < text->len && !space(text->at[to]) && to < 64)
		to++;
	while (to < text->len && (text->at[to] & 0xc0) == 0x80)
		to++;
	struct mg_str p = part(*text, 0, to);

	*text = part(*text, p.len, text->len);
	return p;
}

/* ------------------------------------------------ faults */

static struct mg_str option_text(struct mg_call *c, struct mg_view fault, const char *name)
{
	return c->host->text(c, c->host->get(fault, name));
}

/* Is this request one of those?  The request decides, so that a rerun is the same run. */
static bool struck(struct mg_call *c, struct mg_view fault, uint64_t seed)
{
	struct mg_str share = option_text(c, fault, "share");
	uint64_t every = 0, at = (seed ^ seed >> 32) % 1000000;
	char digits[24] = { 0 };

	if (!fault.doc)
		return false;
	if (c->host->count(c->host->get(fault, "every"), &every) && every)
		return at % every == 0;
	if (!share.at || share.len >= sizeof(digits))
		return true;
	memcpy(digits, share.at, share.len);
	return (double)at < strtod(digits, NULL) * 1e6;
}

static void refuse_line(struct script *s, int status, const char *message, uint64_t retry_after_s)
{
	const char *type = status == 429 ? "rate_limit_error" : status == 529 ? "overloaded_error"
		: status >= 500 ? "server_error" : "invalid_request_error";

	s->out.len = 0;
	if (s->ttft_ms)
		print(&s->out, "{\"after_ms\":%llu,", (unsigned long long)s->ttft_ms);
	else
		say(&s->out, "{");
	print(&s->out, "\"status\":%d,\"headers\":{\"content-type\":\"application/json\"", status);
	if (retry_after_s)
		print(&s->out, ",\"retry-after\":\"%llu\"", (unsigned long long)retry_after_s);
	print(&s->out, "},\"body\":{\"error\":{\"code\":%d,\"type\":\"%s\",\"message\":", status, type);
	quote(&s->out, TEXT(message));
	say(&s->out, "}}}\n");
}

/* Turns the finished script into the broken one that the options ask for. */
static int strike(struct script *s, uint64_t seed)
{
	static const struct { const char *kind, *line; bool late; } known[] = {
		{ "malformed", "{\"raw\":\"{\\\"kind\\\": oops\\n\"}\n", false }, { "malformed_after", "{\"raw\":\"{\\\"kind\\\": oops\\n\"}\n", true },
		{ "cut_before", "{\"cut\":true}\n", false }, { "cut_after", "{\"cut\":true}\n", true },
		{ "hang", "{\"hang\":true}\n", false }, { "hang_after", "{\"hang\":true}\n", true },
		{ "refuse", "{\"refuse\":true}\n", false }, { "empty", "", false }, { "short", "", true } };
	const struct mg_host *h = s->c->host;
	struct mg_view fault = h->get(h->get(h->endpoint(s->c), "options"), "fault");
	struct mg_str kind = option_text(s->c, fault, "kind");
	uint64_t status = 0, wait_s = 0;

	if (!struck(s->c, fault, seed))
		return MG_OK;
	h->count(h->get(fault, "retry_after_s"), &wait_s);
	if (!h->count(h->get(fault, "status"), &status) && kind.len == 3 && digit(kind.at[0]))
		status = (uint64_t)((kind.at[0] - '0') * 100 + (kind.at[1] - '0') * 10 + (kind.at[2] - '0'));
	if (status) {
		if (status < 400 || status > 599)
			return h->fail(s->c, MG_EINVAL, "options.fault: a status is from 400 to 599");
		refuse_line(s, (int)status, status == 429 ? "too many requests (simulated)" : "a simulated failure", wait_s);
		return MG_OK;
	}
	for (size_t i = 0; i < COUNT(known); i++)
		if (mg_is(kind, known[i].kind)) {
			s->out.len = known[i].late ? s->first_end : 0;
			say(&s->out, known[i].line);
			return MG_OK;
		}
	return h->fail(s->c, MG_EINVAL, "options.fault.kind: 429, 500, 529, malformed, cut_before, cut_after, hang, refuse, empty");
}

static int script_send(struct script *s, struct mg_http *out)
{
	struct mg_str *body = s->c->host->alloc(s->c, sizeof(*body));
	const struct sim *st = s->c->state;

	if (!body || st->starved)
		return s->c->host->fail(s->c, MG_ENOMEM, "no memory for the answer");
	*body = whole(&s->out);
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), MG_STR("/sim"), body, 1 };
	return MG_OK;
}

#endif
