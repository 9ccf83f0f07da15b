/* rig_run.c - one exchange: a case's request through the plugin, its answer back. */
#include "rig_parts.h"

#include <stdlib.h>
#include <strings.h>

enum { FRAME_MAX = 1 << 20 };

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

int rig_setup(struct setup *s, const struct mg_plugin *p, enum mg_op op, const struct rig_case *c)
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

enum mg_framing rig_framing(const struct setup *s, const struct mg_operation *op)
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

int rig_run_begin(struct run *r, const struct setup *s, size_t budget)
{
	*r = (struct run){ .s = s, .pool = pool_new(budget) };
	buf_init(&r->trace.text, ANSWER_MAX);
	buf_init(&r->trace.delta, ANSWER_MAX);
	r->rc = call_init(&r->call, r->pool, s->plugin, s->op, s->c->streamed, s->request, s->endpoint, "sk-rig");
	r->call.emit = rig_trace_event;
	r->call.answer = on_answer;
	r->call.arg = &r->trace;
	if (!r->rc)
		r->rc = call_request(&r->call, &r->http);
	if (r->rc) {
		rig_trace_open(&r->trace, "refused", 0);
		rig_trace_args(&r->trace.text, (struct mg_str[]){ text_of(r->call.err.msg) }, 1);
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
		rc = call_frame(&r->call, rig_framing(r->s, r->call.op), event, (struct mg_str){ copy, data.len });
	}
	free(copy);
	return rc;
}

static void put_broken(struct run *r, const char *why)
{
	struct mg_failure f = { .size = sizeof(f), .kind = MG_E_UPSTREAM, .retryable = true, .message = text_of(why) };

	if (!r->call.failed)
		rig_trace_event(&r->trace, MG_EVENT(MG_EV_ERROR, .failure = &f));
}

int rig_feed(struct framer *f, struct mg_str s, size_t cut, struct err *err)
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
	rig_trace_event(&r->trace, MG_EVENT(MG_EV_ERROR, .failure = &f));
}

void rig_run_answer(struct run *r, size_t cut, size_t until)
{
	struct mg_str bytes = r->s->answer;
	struct err err = { MG_OK, "" };
	struct framer f;

	if (r->call.status < 200 || r->call.status > 299) {
		run_failure(r);
		return;
	}
	bytes.len = until < bytes.len ? until : bytes.len;
	framer_init(&f, rig_framing(r->s, r->call.op),
		rig_framing(r->s, r->call.op) == MG_JSON ? ANSWER_MAX : FRAME_MAX, on_frame, r);
	r->rc = rig_feed(&f, bytes, cut, &err);
	if (!r->rc && until == SIZE_MAX)
		r->rc = framer_end(&f, &err);
	if (!r->rc && until == SIZE_MAX)
		r->rc = call_finish(&r->call);
	if (r->rc && until == SIZE_MAX && !r->trace.stop_at)
		put_broken(r, err.rc ? err.msg : r->call.err.msg);
	framer_release(&f);
}

void rig_run_end(struct run *r)
{
	pool_free(r->pool);
	buf_release(&r->trace.text);
	buf_release(&r->trace.delta);
}

static char *run_text(struct run *r)
{
	struct trace *t = &r->trace;
	struct mg_http *h = &r->call.follow;

	rig_trace_flush(t);
	if (r->call.follows) {
		rig_trace_open(t, "follow", 0);
		buf_print(&t->text, "%.*s %.*s, after %u ms)", (int)h->method.len, h->method.at,
			(int)h->path.len, h->path.at, r->call.follow_ms);
	}
	return strndup(t->text.at ? t->text.at : "", t->text.len);
}

char *rig_setup_events(const struct setup *s, size_t cut)
{
	struct run r;
	char *text;

	if (rig_run_begin(&r, s, ROOM) == MG_OK && s->c->answer)
		rig_run_answer(&r, cut, SIZE_MAX);
	text = run_text(&r);
	rig_run_end(&r);
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

char *rig_setup_request(const struct setup *s)
{
	struct run r;
	struct buf b;
	char *text;

	buf_init(&b, ANSWER_MAX);
	if (rig_run_begin(&r, s, ROOM) == MG_OK)
		put_request(&b, &r);
	else
		buf_str(&b, buf_view(&r.trace.text));
	text = strndup(b.at ? b.at : "", b.len);
	buf_release(&b);
	rig_run_end(&r);
	return text;
}
