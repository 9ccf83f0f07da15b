/*
 * chat_stream.c - canonical events into chunks (sections B1.6 and A5 of the
 * wire's specification).
 *
 * A chunk is the answer's constant head, one delta, and a constant tail: the
 * head is written once, so that a token costs a copy and an escape.
 */
#include "api/chat_parts.h"

#define CONTENT ",\"content\":"
static const char tail[] = "},\"finish_reason\":null,\"native_finish_reason\":null,\"logprobs\":null}]}\n\n";

/* The data of an event is one line: JSON that somebody else wrote on several, a client or an upstream, is put on one.
 * Inside of strings there are no such bytes. */
static void one_line(char *at, size_t len)
{
	const char *end = at + len;

	for (char *p = at; (p = memchr(p, '\n', (size_t)(end - p))); p++)
		*p = ' ';
	for (char *p = at; (p = memchr(p, '\r', (size_t)(end - p))); p++)
		*p = ' ';
}

/* b: one event, with the empty line behind it. */
static void send(struct relay *r, struct buf *b)
{
	if (!b->failed && b->len > 2)
		one_line(b->at, b->len - 2);
	if (!b->failed && http_stream_write(r->http, b->at, b->len) > STREAM_HIGH && r->now)
		attempt_pause(r->now);
	buf_reset(b);
}

/* The 200.  After it a failure goes in band (R24); before an endpoint is chosen nobody is named. */
static void stream_open(struct relay *r)
{
	struct http_header headers[] = {
		{ "Content-Type", MG_STR("text/event-stream") },
		{ "Cache-Control", MG_STR("no-cache") },
		{ NULL, { 0 } },
	};

	if (r->opened)
		return;
	api_stream(r->http, 200, headers);
	r->opened = true;
}

void chat_stream_begin(struct relay *r)
{
	struct chat *c = r->state;
	struct mg_writer w;

	stream_open(r);
	buf_reset(&c->head);
	buf_text(&c->head, "data: ");
	json_writer_init(&w, &c->head);
	json_open(&w, NULL, '{');
	chat_identity(&w, r, "chat.completion.chunk");
	buf_text(&c->head, ",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"");
}

/* A5: clients skip it; proxies between see that the stream lives. */
void chat_stream_comment(struct relay *r)
{
	static const char comment[] = ": OPENROUTER PROCESSING\n\n";

	stream_open(r);
	http_stream_write(r->http, comment, sizeof(comment) - 1);
}

static void chunk_open(struct relay *r, struct chat *c)
{
	chat_out(r);
	buf_put(&r->w->out, c->head.at, c->head.len);
}

static void chunk_close(struct relay *r)
{
	buf_put(&r->w->out, tail, sizeof(tail) - 1);
	send(r, &r->w->out);
}

/* member: with its quotes, the comma before and the colon behind. */
static inline void put_delta(struct relay *r, const char *member, struct mg_str text)
{
	buf_text(&r->w->out, member);
	json_quote(&r->w->out, text);
}

static void stream_reasoning(struct relay *r, const struct mg_event *e)
{
	put_delta(r, CONTENT, (struct mg_str)MG_STR(""));
	if (e->data.len && !chat_extra_has(r, e->extra, "data"))
		put_delta(r, ",\"reasoning\":", e->data);
	buf_text(&r->w->out, ",\"reasoning_details\":[");
	chat_detail(r, &r->w->out, e->data, e->extra, e->name, e->index);
	buf_text(&r->w->out, "]");
}

static void stream_tool(struct relay *r, const struct mg_event *e)
{
	put_delta(r, CONTENT, (struct mg_str)MG_STR(""));
	buf_text(&r->w->out, ",\"tool_calls\":[{\"index\":");
	buf_number(&r->w->out, e->index);
	buf_text(&r->w->out, ",");
	if (e->kind == MG_EV_TOOL_BEGIN) {
		buf_text(&r->w->out, "\"id\":");
		json_quote(&r->w->out, e->id);
		buf_text(&r->w->out, ",\"type\":\"function\",\"function\":{\"name\":");
		json_quote(&r->w->out, e->name);
		buf_text(&r->w->out, ",\"arguments\":\"\"}}]");
	} else {
		buf_text(&r->w->out, "\"function\":{\"arguments\":");
		json_quote(&r->w->out, e->data);
		buf_text(&r->w->out, "}}]");
	}
}

static void stream_audio(struct relay *r, const struct mg_event *e)
{
	buf_text(&r->w->out, ",\"audio\":");
	chat_audio(r, &r->w->out, e->data, chat_transcript(r, e->extra), e->extra);
}

static void stream_logprobs(struct relay *r, struct chat *c, struct mg_str extra)
{
	buf_reset(&c->logprobs);
	chat_logprobs(r, &c->logprobs, extra);
	if (!c->logprobs.len)
		return;
	buf_text(&r->w->out, ",\"content\":\"\"},\"finish_reason\":null,\"native_finish_reason\":null,\"logprobs\":{\"content\":[");
	buf_str(&r->w->out, buf_view(&c->logprobs));
	buf_text(&r->w->out, "],\"refusal\":null}}]}\n\n");
	send(r, &r->w->out);
}

void chat_stream_event(struct relay *r, const struct mg_event *e)
{
	struct chat *c = r->state;

	if (e->kind == MG_EV_TOOL_END || (e->kind == MG_EV_REASONING && c->exclude_reasoning))
		return;
	chunk_open(r, c);
	switch (e->kind) {
	case MG_EV_TEXT:
		put_delta(r, CONTENT, e->data);
		break;
	case MG_EV_REFUSAL:
		put_delta(r, ",\"refusal\":", e->data);
		break;
	case MG_EV_REASONING:
		stream_reasoning(r, e);
		break;
	case MG_EV_TOOL_BEGIN:
	case MG_EV_TOOL_ARGS:
		stream_tool(r, e);
		break;
	case MG_EV_IMAGE:
		put_delta(r, CONTENT, (struct mg_str)MG_STR(""));
		buf_text(&r->w->out, ",\"images\":[");
		chat_image(r, &r->w->out, e);
		buf_text(&r->w->out, "]");
		break;
	case MG_EV_AUDIO:
		stream_audio(r, e);
		break;
	case MG_EV_ANNOTATION:
		put_delta(r, CONTENT, (struct mg_str)MG_STR(""));
		buf_text(&r->w->out, ",\"annotations\":[");
		buf_str(&r->w->out, e->extra);
		buf_text(&r->w->out, "]");
		break;
	case MG_EV_LOGPROBS:
		stream_logprobs(r, c, e->extra);
		return;
	default:
		return;
	}
	chunk_close(r);
}

void chat_stream_pass(struct relay *r, struct mg_view frame)
{
	struct chat *c = r->state;

	if (!c->pass.id.at) {		/* who speaks came in a frame without output, which was not sent */
		chunk_open(r, c);
		put_delta(r, CONTENT, (struct mg_str)MG_STR(""));
		chunk_close(r);
		buf_release(&c->head);	/* the other chunks bring their own */
		buf_init(&c->head, CHAT_ANSWER_MAX);
	}
	chat_out(r);
	buf_text(&r->w->out, "data: ");
	chat_pass_chunk(r, &c->pass, frame, &r->w->out);
	buf_text(&r->w->out, "\n\n");
	send(r, &r->w->out);
}

static void put_finish(struct mg_writer *w, const struct closing *cl)
{
	json_put_text(w, "finish_reason", finish_name(cl->finish));
	if (cl->native.at)
		json_put(w, "native_finish_reason", cl->native);
	else
		json_put_null(w, "native_finish_reason");
	json_put_null(w, "logprobs");
}

void chat_chunk_begin(struct mg_writer *w, struct relay *r)
{
	chat_out(r);
	buf_text(&r->w->out, "data: ");
	json_writer_init(w, &r->w->out);
	json_open(w, NULL, '{');
	chat_identity(w, r, "chat.completion.chunk");
}

void chat_chunk_end(struct mg_writer *w, struct relay *r)
{
	json_close(w);
	buf_text(&r->w->out, "\n\n");
	send(r, &r->w->out);
}

void chat_finish_chunk(struct relay *r, const struct closing *cl, const struct refusal *why)
{
	struct mg_writer w;

	chat_chunk_begin(&w, r);
	if (why)
		error_object(&w, "error", why, r);
	json_open(&w, "choices", '[');
	json_open(&w, NULL, '{');
	json_put_int(&w, "index", 0);
	json_open(&w, "delta", '{');
	json_put_text(&w, "role", "assistant");
	json_put_text(&w, "content", "");
	json_close(&w);
	put_finish(&w, cl);
	json_close(&w);
	json_close(&w);
	chat_chunk_end(&w, r);
}

void chat_usage_chunk(struct relay *r, const struct closing *cl)
{
	struct mg_writer w;

	chat_chunk_begin(&w, r);
	json_open(&w, "choices", '[');
	json_close(&w);
	usage_member(&w, "usage", cl->usage, cl->bill);
	metadata_member(&w, r, true);
	chat_chunk_end(&w, r);
}

void chat_stream_end(struct relay *r)
{
	static const char done[] = "data: [DONE]\n\n";

	http_stream_write(r->http, done, sizeof(done) - 1);
	http_stream_end(r->http);
}
