/* chat_answer.c - the chat completions surface: an event to the shape that was asked for. */
#include "api/chat_parts.h"

static void on_begin(struct relay *r)
{
	chat_stream_begin(r);
}

static void on_event(struct relay *r, const struct mg_event *e)
{
	if (r->stream)
		chat_stream_event(r, e);
	else
		chat_gather(r, e);
}

static void on_pass(struct relay *r, struct mg_view frame)
{
	struct chat *c = r->state;

	if (r->stream)
		chat_stream_pass(r, frame);
	else
		c->whole = frame;
}

static void on_reset(struct relay *r)
{
	struct chat *c = r->state;
	struct buf *all[CHAT_BUFFERS];

	chat_buffers(c, all);
	for (size_t i = 0; i < CHAT_BUFFERS; i++)
		buf_reset(all[i]);
	for (struct tool *t = c->tools; t; t = t->next)
		buf_release(&t->arguments);
	for (struct detail *d = c->details; d; d = d->next)
		buf_release(&d->text);
	c->tools = NULL;
	c->tools_end = &c->tools;
	c->details = c->open = NULL;
	c->details_end = &c->details;
	c->text = false;
	c->whole = (struct mg_view){ 0 };
	c->pass = (struct pass){ 0 };
}

/* Not all that upstreams are sent is one JSON value; what is not is shown as text. */
static void put_echo(struct mg_writer *w, struct relay *r, struct mg_str body)
{
	struct mg_view parsed;

	if (json_parse(r->pool, body, &parsed, NULL) == MG_OK)
		json_put_raw(w, "echo_upstream_body", body);
	else
		json_put(w, "echo_upstream_body", body);
}

/* One extra chunk before the answer: what the upstream was sent (E21). */
static void on_debug(struct relay *r, struct mg_str body)
{
	struct mg_writer w;

	if (!r->stream || (!r->opened && !r->endpoint))
		return;
	chat_stream_begin(r);
	chat_chunk_begin(&w, r);
	json_open(&w, "choices", '[');
	json_close(&w);
	json_open(&w, "debug", '{');
	put_echo(&w, r, body);
	json_close(&w);
	chat_chunk_end(&w, r);
}

static void on_finish(struct relay *r, const struct closing *cl)
{
	if (!r->stream) {
		chat_whole_answer(r, cl);
		return;
	}
	chat_finish_chunk(r, cl, NULL);
	chat_usage_chunk(r, cl);
	chat_stream_end(r);
}

static void on_broken(struct relay *r, const struct closing *cl, const struct refusal *why)
{
	chat_finish_chunk(r, cl, why);
	chat_usage_chunk(r, cl);
	chat_stream_end(r);
}

static void on_refused(struct relay *r, const struct refusal *why)
{
	struct closing cl = { .finish = MG_FAILED, .usage = &r->usage, .bill = &r->w->bill };

	if (!r->opened) {
		api_refuse(r->http, why, r);
		return;
	}
	/* The 200 is out (an early comment, a debug chunk): the error goes in band. */
	on_broken(r, &cl, why);
}

const struct surface chat_surface = {
	.api = "chat", .op = MG_CHAT, .api_type = "completions",
	.begin = on_begin, .event = on_event, .weigh = chat_weigh, .pass = on_pass,
	.comment = chat_stream_comment, .reset = on_reset, .debug = on_debug,
	.finish = on_finish, .broken = on_broken, .refused = on_refused,
};
