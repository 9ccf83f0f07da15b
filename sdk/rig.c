#include "rig.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "net/frame.h"
#include "plugin/call.h"

enum { ROOM = 256 << 20, FRAME_MAX = 1 << 20, ANSWER_MAX = 64 << 20, EVERY = 4096, EVERY_FRAME = 65536, SOME = 256 };

/* ------------------------------------------------------ events as text */

struct trace {
	struct buf text, delta;
	struct mg_event last;		/* what delta belongs to; size 0: nothing waits */
	char format[128];		/* last.name, kept */
	size_t events, stop_at;		/* the client goes away at this event; 0: never */
};

static const char *const kinds[] = {
	[MG_EV_START] = "start", [MG_EV_TEXT] = "text", [MG_EV_REFUSAL] = "refusal", [MG_EV_REASONING] = "reasoning",
	[MG_EV_TOOL_BEGIN] = "tool_begin", [MG_EV_TOOL_ARGS] = "tool_args", [MG_EV_TOOL_END] = "tool_end",
	[MG_EV_IMAGE] = "image", [MG_EV_AUDIO] = "audio", [MG_EV_ANNOTATION] = "annotation",
	[MG_EV_LOGPROBS] = "logprobs", [MG_EV_VECTOR] = "vector", [MG_EV_SCORE] = "score",
	[MG_EV_VERDICT] = "verdict", [MG_EV_SEGMENT] = "segment", [MG_EV_JOB] = "job", [MG_EV_MODEL] = "model",
	[MG_EV_LIMIT] = "limit", [MG_EV_USAGE] = "usage", [MG_EV_FINISH] = "finish", [MG_EV_ERROR] = "error",
};
static const char *const finishes[] = {
	[MG_NONE] = "none", [MG_STOP] = "stop", [MG_LENGTH] = "length", [MG_TOOL_CALLS] = "tool_calls",
	[MG_CONTENT_FILTER] = "content_filter", [MG_FAILED] = "failed",
};

static void put_shown(struct buf *b, struct mg_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.at[i];

		if (ch == '\n')
			buf_text(b, "\\n");
		else if (ch < ' ' || ch == 0x7f)
			buf_print(b, "\\x%02x", ch);
		else
			buf_put(b, &s.at[i], 1);
	}
}

static void open_event(struct trace *t, const char *kind, uint32_t choice)
{
	if (t->text.len)
		buf_text(&t->text, " ");
	buf_text(&t->text, kind);
	if (choice)
		buf_print(&t->text, "[%u]", choice);
	buf_text(&t->text, "(");
}

/* Arguments with ", " between them, without the absent ones at the end. */
static void put_args(struct buf *b, const struct mg_str *args, size_t n)
{
	while (n && !args[n - 1].len)
		n--;
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_text(b, ", ");
		put_shown(b, args[i]);
	}
	buf_text(b, ")");
}

static struct mg_str text_of(const char *s)
{
	return (struct mg_str){ s, strlen(s) };
}

static void put_usage(struct buf *b, const struct mg_usage *u)
{
	const struct { const char *name; uint64_t n; } counts[] = {
		{ "input", u->input }, { "cached", u->cached }, { "cache_write", u->cache_write },
		{ "cache_write_1h", u->cache_write_1h }, { "image_tokens", u->image_tokens }, { "audio_in", u->audio_in },
		{ "audio_cached", u->audio_cached }, { "output", u->output }, { "reasoning", u->reasoning },
		{ "audio_out", u->audio_out }, { "images_out", u->images_out }, { "searches", u->searches },
		{ "requests", u->requests > 1 ? u->requests : 0 }, { "characters", u->characters },
		{ "seconds", u->seconds }, { "cost_nusd", u->cost_nusd > 0 ? (uint64_t)u->cost_nusd : 0 },
	};
	const char *between = "";

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (!counts[i].n)
			continue;
		buf_print(b, "%s%s=%llu", between, counts[i].name, (unsigned long long)counts[i].n);
		between = " ";
	}
	buf_text(b, ")");
}

static void put_failure(struct buf *b, const struct mg_failure *f)
{
	buf_text(b, error_kind_name(f->kind));
	if (f->message.len) {
		buf_text(b, ", ");
		put_shown(b, f->message);
	}
	if (f->code.len) {
		buf_text(b, ", code ");
		put_shown(b, f->code);
	}
	if (f->retry_after_ms)
		buf_print(b, ", retry after %u ms", f->retry_after_ms);
	buf_text(b, f->retryable ? ")" : ", final)");
}

static bool is_delta(enum mg_event_kind k)
{
	return k == MG_EV_TEXT || k == MG_EV_REFUSAL || k == MG_EV_REASONING || k == MG_EV_TOOL_ARGS || k == MG_EV_AUDIO;
}

static void put_event(struct trace *t, const struct mg_event *e)
{
	char number[16], much[48];
	struct mg_str index = { number, (size_t)snprintf(number, sizeof(number), "%u", e->index) }, amount = { much, 0 };

	open_event(t, kinds[e->kind], e->choice);
	switch (e->kind) {
	case MG_EV_START:
	case MG_EV_JOB:
		put_args(&t->text, (struct mg_str[]){ e->id, e->name }, 2);
		break;
	case MG_EV_MODEL:
		put_args(&t->text, (struct mg_str[]){ e->id, e->extra }, 2);
		break;
	case MG_EV_TOOL_BEGIN:
		put_args(&t->text, (struct mg_str[]){ index, e->id, e->name }, 3);
		break;
	case MG_EV_TOOL_ARGS:
	case MG_EV_TOOL_END:
		put_args(&t->text, (struct mg_str[]){ index, e->data }, e->kind == MG_EV_TOOL_ARGS ? 2 : 1);
		break;
	case MG_EV_TEXT:
	case MG_EV_REFUSAL:
		put_args(&t->text, &e->data, 1);
		break;
	case MG_EV_REASONING:
		put_args(&t->text, (struct mg_str[]){ e->data, e->name, e->extra }, 3);
		break;
	case MG_EV_SEGMENT:
		put_args(&t->text, (struct mg_str[]){ e->data, e->extra }, 2);
		break;
	case MG_EV_IMAGE:
	case MG_EV_AUDIO:
		amount.len = (size_t)snprintf(much, sizeof(much), "%zu bytes", e->data.len);
		put_args(&t->text, (struct mg_str[]){ e->name, amount, e->extra }, 3);
		break;
	case MG_EV_ANNOTATION:
	case MG_EV_LOGPROBS:
		put_args(&t->text, &e->extra, 1);
		break;
	case MG_EV_VECTOR:
	case MG_EV_SCORE:
	case MG_EV_VERDICT:
		put_args(&t->text, (struct mg_str[]){ index, e->extra }, 2);
		break;
	case MG_EV_LIMIT:
		if (e->reset_ms)
			amount.len = (size_t)snprintf(much, sizeof(much), "reset %llu ms", (unsigned long long)e->reset_ms);
		put_args(&t->text, (struct mg_str[]){ e->name, e->extra, amount }, 3);
		break;
	case MG_EV_USAGE:
		put_usage(&t->text, e->usage);
		break;
	case MG_EV_FINISH:
		put_args(&t->text, (struct mg_str[]){
			text_of((unsigned)e->finish <= MG_FAILED ? finishes[e->finish] : "?"), e->name }, 2);
		break;
	case MG_EV_ERROR:
		put_failure(&t->text, e->failure);
		break;
	}
}

static void flush(struct trace *t)
{
	if (!t->last.size)
		return;
	t->last.data = buf_view(&t->delta);
	put_event(t, &t->last);
	t->last.size = 0;
	buf_reset(&t->delta);
}

static bool continues(const struct trace *t, const struct mg_event *e)
{
	return t->last.size && t->last.kind == e->kind && t->last.choice == e->choice && t->last.index == e->index &&
		t->last.name.len == e->name.len && !strncmp(t->format, e->name.at ? e->name.at : "", e->name.len);
}

static int on_event(void *arg, const struct mg_event *e)
{
	struct trace *t = arg;

	if (++t->events == t->stop_at)
		return MG_EDENIED;
	if (!is_delta(e->kind) || e->extra.at || e->name.len >= sizeof(t->format)) {
		flush(t);
		put_event(t, e);
		return MG_OK;
	}
	if (!continues(t, e)) {
		flush(t);
		t->last = *e;
		snprintf(t->format, sizeof(t->format), "%.*s", (int)e->name.len, e->name.at ? e->name.at : "");
		t->last.name = (struct mg_str){ t->format, e->name.len };
		t->last.id = (struct mg_str){ NULL, 0 };
	}
	buf_str(&t->delta, e->data);
	return MG_OK;
}

/* -------------------------------------------------------- one exchange */

/* What all runs of a case share. */
struct setup {
	const struct mg_plugin *plugin;
	enum mg_op op;
	const struct rig_case *c;
	struct pool *pool;
	struct mg_view request, endpoint;
	struct mg_str answer;
	char why[240];
};

struct run {
	const struct setup *s;
	struct pool *pool;
	struct call call;
	struct trace trace;
	struct mg_http http;
	int rc;
};

static const char *const requests[] = {
	[MG_CHAT] = "{\"model\":\"m-1\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":90}",
	[MG_EMBEDDINGS] = "{\"model\":\"m-1\",\"input\":[\"Hi\",\"Ho\"]}",
	[MG_RERANK] = "{\"model\":\"m-1\",\"query\":\"Hi\",\"documents\":[\"Hi\",\"Ho\"]}",
	[MG_IMAGE] = "{\"model\":\"m-1\",\"prompt\":\"a moon\"}",
	[MG_SPEECH] = "{\"model\":\"m-1\",\"input\":\"Hi\",\"voice\":\"v\"}",
	[MG_TRANSCRIPTION] = "{\"model\":\"m-1\",\"input_audio\":{\"data\":\"UklGRg==\",\"format\":\"wav\"}}",
	[MG_MODERATION] = "{\"model\":\"m-1\",\"input\":\"Hi\"}",
	[MG_VIDEO] = "{\"model\":\"m-1\",\"prompt\":\"a moon\"}",
	[MG_MODELS] = "{}",
};

static int read_json(struct setup *s, const char *what, struct mg_str text, struct mg_view *out)
{
	struct err err;

	if (json_parse(s->pool, text, out, &err) == MG_OK)
		return MG_OK;
	snprintf(s->why, sizeof(s->why), "the case's %s: %.200s", what, err.msg);
	return MG_EINVAL;
}

static int setup_init(struct setup *s, const struct mg_plugin *p, enum mg_op op, const struct rig_case *c)
{
	const struct json_edit stream = { "stream", MG_STR("true") };
	struct mg_str text = text_of(c->request ? c->request : requests[op]);
	struct buf b;
	int rc;

	*s = (struct setup){ .plugin = p, .op = op, .c = c, .pool = pool_new(ROOM) };
	s->answer = (struct mg_str){ c->answer, c->answer_len || !c->answer ? c->answer_len : strlen(c->answer) };
	rc = read_json(s, "request", text, &s->request);
	if (!rc && c->streamed && !json_kind(json_get(s->request, "stream"))) {
		buf_init(&b, ANSWER_MAX);
		json_splice(s->request, &stream, 1, &b);
		rc = read_json(s, "request", pool_dup(s->pool, buf_view(&b)), &s->request);
		buf_release(&b);
	}
	if (!rc)
		rc = read_json(s, "endpoint", text_of(c->endpoint ? c->endpoint : "{\"model\":\"m-1\"}"), &s->endpoint);
	return rc;
}

static struct mg_str header_of(const struct rig_case *c, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = c->headers, *end; at && *at; at = *end ? end + 1 : NULL) {
		end = strchrnul(at, '\n');
		if ((size_t)(end - at) > len && at[len] == ':' && !strncasecmp(at, name, len)) {
			at += len + 1;
			at += strspn(at, " ");
			return (struct mg_str){ at, (size_t)(end - at) };
		}
	}
	return (struct mg_str){ NULL, 0 };
}

static struct mg_str on_answer(void *trace, const char *header)
{
	struct run *r = (struct run *)((char *)trace - offsetof(struct run, trace));

	return header_of(r->s->c, header);
}

static enum mg_framing framing_of(const struct setup *s, const struct mg_operation *op)
{
	struct mg_str type = header_of(s->c, "content-type");
	static const struct { const char *type; enum mg_framing framing; } known[] = {
		{ "text/event-stream", MG_SSE }, { "application/json", MG_JSON }, { "application/x-ndjson", MG_NDJSON },
		{ "application/vnd.amazon.eventstream", MG_EVENTSTREAM },
	};

	if (!s->c->streamed)
		return op->plain;
	for (size_t i = 0; type.at && i < sizeof(known) / sizeof(known[0]); i++)
		if (type.len >= strlen(known[i].type) && !strncasecmp(type.at, known[i].type, strlen(known[i].type)))
			return known[i].framing == MG_JSON ? op->plain : known[i].framing;
	return op->stream;
}

/* The request; on MG_OK the run takes an answer. */
static int run_begin(struct run *r, const struct setup *s, size_t budget)
{
	*r = (struct run){ .s = s, .pool = pool_new(budget) };
	buf_init(&r->trace.text, ANSWER_MAX);
	buf_init(&r->trace.delta, ANSWER_MAX);
	r->rc = call_init(&r->call, r->pool, s->plugin, s->op, s->c->streamed, s->request, s->endpoint, "sk-rig");
	r->call.emit = on_event;
	r->call.answer = on_answer;
	r->call.arg = &r->trace;
	if (!r->rc)
		r->rc = call_request(&r->call, &r->http);
	if (r->rc) {
		open_event(&r->trace, "refused", 0);
		put_args(&r->trace.text, (struct mg_str[]){ text_of(r->call.err.msg) }, 1);
	}
	r->call.status = s->c->status ? s->c->status : 200;
	return r->rc;
}

/* A frame of its own memory: who keeps a pointer into it is found out. */
static int on_frame(void *arg, struct mg_str event, struct mg_str data)
{
	struct run *r = arg;
	char *copy = malloc(data.len + 1);
	int rc = MG_ENOMEM;

	if (copy) {
		memcpy(copy, data.at, data.len + 1);
		rc = call_frame(&r->call, framing_of(r->s, r->call.op), event, (struct mg_str){ copy, data.len });
	}
	free(copy);
	return rc;
}

static void put_broken(struct run *r, const char *why)
{
	struct mg_failure f = { .size = sizeof(f), .kind = MG_E_UPSTREAM, .retryable = true, .message = text_of(why) };

	if (!r->call.failed)
		on_event(&r->trace, MG_EVENT(MG_EV_ERROR, .failure = &f));
}

static int feed(struct framer *f, struct mg_str s, size_t cut, struct err *err)
{
	int rc = MG_OK;

	if (cut == RIG_WHOLE)
		return framer_feed(f, s.at, s.len, err);
	if (cut != RIG_BYTES) {
		cut = cut < s.len ? cut : s.len;
		rc = framer_feed(f, s.at, cut, err);
		return rc ? rc : framer_feed(f, s.at + cut, s.len - cut, err);
	}
	for (size_t i = 0; !rc && i < s.len; i++)
		rc = framer_feed(f, s.at + i, 1, err);
	return rc;
}

static void run_failure(struct run *r)
{
	struct mg_failure f;

	call_failure(&r->call, MG_JSON, r->s->answer, &f);
	on_event(&r->trace, MG_EVENT(MG_EV_ERROR, .failure = &f));
}

/* until: the client goes away, or the line breaks, after so many bytes; SIZE_MAX: neither. */
static void run_answer(struct run *r, size_t cut, size_t until)
{
	struct mg_str bytes = r->s->answer;
	struct err err = { MG_OK, "" };
	struct framer f;

	if (r->call.status < 200 || r->call.status > 299) {
		run_failure(r);
		return;
	}
	bytes.len = until < bytes.len ? until : bytes.len;
	framer_init(&f, framing_of(r->s, r->call.op),
		framing_of(r->s, r->call.op) == MG_JSON ? ANSWER_MAX : FRAME_MAX, on_frame, r);
	r->rc = feed(&f, bytes, cut, &err);
	if (!r->rc && until == SIZE_MAX)
		r->rc = framer_end(&f, &err);
	if (!r->rc && until == SIZE_MAX)
		r->rc = call_finish(&r->call);
	if (r->rc && until == SIZE_MAX && !r->trace.stop_at)
		put_broken(r, err.rc ? err.msg : r->call.err.msg);
	framer_release(&f);
}

static void run_end(struct run *r)
{
	pool_free(r->pool);
	buf_release(&r->trace.text);
	buf_release(&r->trace.delta);
}

static char *run_text(struct run *r)
{
	struct trace *t = &r->trace;
	struct mg_http *h = &r->call.follow;

	flush(t);
	if (r->call.follows) {
		open_event(t, "follow", 0);
		buf_print(&t->text, "%.*s %.*s, after %u ms)", (int)h->method.len, h->method.at,
			(int)h->path.len, h->path.at, r->call.follow_ms);
	}
	return strndup(t->text.at ? t->text.at : "", t->text.len);
}

static char *setup_events(const struct setup *s, size_t cut)
{
	struct run r;
	char *text;

	if (run_begin(&r, s, ROOM) == MG_OK && s->c->answer)
		run_answer(&r, cut, SIZE_MAX);
	text = run_text(&r);
	run_end(&r);
	return text;
}

static void put_request(struct buf *b, const struct run *r)
{
	const struct mg_http *h = &r->http;

	buf_print(b, "%.*s %.*s\n", (int)h->method.len, h->method.at, (int)h->path.len, h->path.at);
	if (r->call.url_query.at)
		buf_print(b, "?%.*s\n", (int)r->call.url_query.len, r->call.url_query.at);
	for (size_t i = 0; i < r->call.n_headers; i++)
		buf_print(b, "%.*s\n", (int)r->call.headers[i].len, r->call.headers[i].at);
	buf_text(b, "\n");
	for (size_t i = 0; i < h->pieces; i++)
		buf_str(b, h->body[i]);
}

static char *setup_request(const struct setup *s)
{
	struct run r;
	struct buf b;
	char *text;

	buf_init(&b, ANSWER_MAX);
	if (run_begin(&r, s, ROOM) == MG_OK)
		put_request(&b, &r);
	else
		buf_str(&b, buf_view(&r.trace.text));
	text = strndup(b.at ? b.at : "", b.len);
	buf_release(&b);
	run_end(&r);
	return text;
}

/* -------------------------------------------------------------- checks */

static char *say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *say(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return text ? text : strdup("no memory");
}

static char *differs(const struct setup *s, const char *want, size_t cut)
{
	char *got = setup_events(s, cut), *why = NULL;

	if (got && strcmp(got, want)) {
		if (cut == RIG_BYTES)
			why = say("in single bytes: %s", got);
		else
			why = say("cut at byte %zu: %s", cut, got);
	}
	free(got);
	return why;
}

struct sum { uint64_t hash; size_t frames; };

static void sum_add(struct sum *s, struct mg_str bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		s->hash = (s->hash ^ (unsigned char)bytes.at[i]) * 0x100000001b3u;
	s->hash = (s->hash ^ 0x100) * 0x100000001b3u;
}

static int on_sum(void *arg, struct mg_str event, struct mg_str data)
{
	struct sum *s = arg;

	sum_add(s, event);
	sum_add(s, data);
	s->frames++;
	return MG_OK;
}

static struct sum frames_of(const struct setup *s, enum mg_framing framing, size_t cut)
{
	struct sum sum = { 0xcbf29ce484222325u, 0 };
	struct framer f;
	int rc;

	framer_init(&f, framing, ANSWER_MAX, on_sum, &sum);
	rc = feed(&f, s->answer, cut, NULL);
	if (rc || framer_end(&f, NULL))
		sum.hash ^= 1;
	framer_release(&f);
	return sum;
}

static char *frames_differ(const struct setup *s, enum mg_framing framing)
{
	struct sum whole = frames_of(s, framing, RIG_WHOLE);
	size_t step = s->answer.len / EVERY_FRAME + 1;

	for (size_t at = 0; at < s->answer.len && framing != MG_RAW; at += step) {
		struct sum cut = frames_of(s, framing, at);

		if (cut.hash != whole.hash || cut.frames != whole.frames)
			return say("cut at byte %zu: other frames", at);
	}
	return NULL;
}

static bool is_success(const struct setup *s)
{
	return !s->c->status || (s->c->status >= 200 && s->c->status < 300);
}

/* The client goes away at a byte: nothing to compare, the sanitizers watch. */
static void leave_early(const struct setup *s)
{
	size_t step = s->answer.len / SOME + 1;

	for (size_t at = 0; at < s->answer.len; at += step) {
		struct run r;

		if (run_begin(&r, s, ROOM) == MG_OK)
			run_answer(&r, RIG_WHOLE, at);
		run_end(&r);
	}
}

/* The client goes away at an event: the callback must stop, with the code it was given. */
static char *stop_early(const struct setup *s)
{
	char *why = NULL;

	for (size_t n = 1; !why && n <= SOME; n++) {
		struct run r;
		size_t seen;

		if (run_begin(&r, s, ROOM) == MG_OK) {
			r.trace.stop_at = n;
			run_answer(&r, RIG_WHOLE, SIZE_MAX);
		}
		seen = r.trace.events;
		if (seen > n || (seen == n && r.rc != MG_EDENIED))
			why = say("emit() refused event %zu and the plugin went on: return what it gives", n);
		run_end(&r);
		if (seen < n)
			break;
	}
	return why;
}

/* Memory ends at some byte: an error, never a crash. */
static void starve(const struct setup *s)
{
	for (size_t budget = 16; budget <= 1 << 20; budget += budget / 2) {
		struct run r;

		if (run_begin(&r, s, budget) == MG_OK && s->c->answer)
			run_answer(&r, RIG_WHOLE, SIZE_MAX);
		run_end(&r);
	}
}

static char *setup_cuts(const struct setup *s)
{
	const struct mg_operation *op = NULL;
	size_t step = s->answer.len <= EVERY ? 1 : s->answer.len / SOME + 1;
	char *want, *why = NULL;

	for (size_t i = 0; !op && s->plugin->provider->ops[i]; i++)
		if (s->plugin->provider->ops[i]->op == s->op)
			op = s->plugin->provider->ops[i];
	starve(s);
	if (!op || !s->c->answer || !is_success(s))
		return NULL;
	want = setup_events(s, RIG_WHOLE);
	for (size_t at = 0; !why && at < s->answer.len; at += step)
		why = differs(s, want, at);
	if (!why)
		why = differs(s, want, RIG_BYTES);
	if (!why && step > 1)
		why = frames_differ(s, framing_of(s, op));
	if (!why)
		why = stop_early(s);
	leave_early(s);
	free(want);
	return why;
}

/* ---------------------------------------------------------- comparison */

static bool same_view(struct mg_view a, struct mg_view b);

static bool same_members(struct mg_view a, struct mg_view b)
{
	char name[256];

	if (json_len(a) != json_len(b))
		return false;
	for (a = json_at(a, 0); json_kind(a); a = json_next(a)) {
		snprintf(name, sizeof(name), "%.*s", (int)json_name(a).len, json_name(a).at);
		if (!same_view(a, json_get(b, name)))
			return false;
	}
	return true;
}

static bool same_items(struct mg_view a, struct mg_view b)
{
	a = json_at(a, 0);
	b = json_at(b, 0);
	for (; json_kind(a) && json_kind(b); a = json_next(a), b = json_next(b))
		if (!same_view(a, b))
			return false;
	return !json_kind(a) && !json_kind(b);
}

static bool same_text(struct mg_view a, struct mg_view b)
{
	struct pool *p = pool_new(ROOM);
	struct mg_str x = json_text(p, a), y = json_text(p, b);
	bool same = x.at && y.at && x.len == y.len && !memcmp(x.at, y.at, x.len);

	pool_free(p);
	return same;
}

static bool same_view(struct mg_view a, struct mg_view b)
{
	if (json_kind(a) != json_kind(b))
		return false;
	switch (json_kind(a)) {
	case MG_OBJECT:
		return same_members(a, b);
	case MG_ARRAY:
		return same_items(a, b);
	case MG_STRING:
	case MG_NUMBER:
		return same_text(a, b);
	default:
		return true;
	}
}

bool rig_same(struct mg_str a, struct mg_str b)
{
	struct pool *p = pool_new(ROOM);
	struct mg_view x, y;
	bool same;

	if (json_parse(p, a, &x, NULL) || json_parse(p, b, &y, NULL))
		same = a.len == b.len && !memcmp(a.at, b.at, a.len);
	else
		same = same_view(x, y);
	pool_free(p);
	return same;
}

static char *request_differs(const struct setup *s)
{
	const struct rig_case *c = s->c;
	char *sent = setup_request(s), *why = NULL;
	char *path = strchrnul(sent, ' '), *eol = strchrnul(sent, '\n'), *body = strstr(sent, "\n\n");

	if (c->path && (strncmp(path + (*path != 0), c->path, strlen(c->path)) || path + 1 + strlen(c->path) != eol))
		why = say("sends: %s", sent);
	for (const char *at = c->sends, *end; !why && at && *at; at = *end ? end + 1 : end) {
		char line[512], *found;

		end = strchrnul(at, '\n');
		snprintf(line, sizeof(line), "\n%.*s\n", (int)(end - at), at);
		found = strcasestr(eol, line);
		if (!found || (body && found > body))
			why = say("does not send%.*s", (int)strlen(line) - 1, line);
	}
	if (!why && c->body && (!body || !rig_same(text_of(c->body), text_of(body + 2))))
		why = say("sends: %s", sent);
	free(sent);
	return why;
}

/* ----------------------------------------------------------------- TAP */

static int claims, broken;

static void plan(void)
{
	printf("1..%d\n", claims);
}

/* Each line of a diagnosis begins with a hash. */
static void diagnose(const char *text)
{
	printf("# ");
	for (; *text; text++) {
		putchar(*text);
		if (*text == '\n')
			printf("# ");
	}
	putchar('\n');
}

bool rig_claim(bool holds, const char *name, const char *why)
{
	if (!claims++)
		atexit(plan);
	broken += !holds;
	printf("%sok %d - %s\n", holds ? "" : "not ", claims, name);
	if (!holds && why)
		diagnose(why);
	fflush(stdout);
	return holds;
}

char *rig_events(const struct mg_plugin *p, enum mg_op op, const struct rig_case *c, size_t cut)
{
	struct setup s;
	char *text = setup_init(&s, p, op, c) ? strdup(s.why) : setup_events(&s, cut);

	pool_free(s.pool);
	return text;
}

char *rig_request(const struct mg_plugin *p, enum mg_op op, const struct rig_case *c)
{
	struct setup s;
	char *text = setup_init(&s, p, op, c) ? strdup(s.why) : setup_request(&s);

	pool_free(s.pool);
	return text;
}

char *rig_cuts(const struct mg_plugin *p, enum mg_op op, const struct rig_case *c)
{
	struct setup s;
	char *why = setup_init(&s, p, op, c) ? strdup(s.why) : setup_cuts(&s);

	pool_free(s.pool);
	return why;
}

static char *events_differ(const struct setup *s)
{
	char *got, *why = NULL;

	if (!s->c->events)
		return NULL;
	got = setup_events(s, RIG_WHOLE);
	if (strcmp(got, s->c->events))
		why = say("want: %s\ngot:  %s", s->c->events, got);
	free(got);
	return why;
}

static void run_case(const struct mg_plugin *p, enum mg_op op, const struct rig_case *c)
{
	struct setup s;
	char *why = setup_init(&s, p, op, c) ? strdup(s.why) : NULL;

	if (!why)
		why = request_differs(&s);
	if (!why)
		why = events_differ(&s);
	if (!why)
		why = setup_cuts(&s);
	rig_claim(!why, c->name, why);
	free(why);
	pool_free(s.pool);
}

int rig_run(const struct mg_plugin *p, enum mg_op op, const struct rig_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		run_case(p, op, &cases[i]);
	return broken != 0;
}
