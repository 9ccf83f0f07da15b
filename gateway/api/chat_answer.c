/*
 * chat_answer.c - canonical events into chat completion chunks, or into one
 * chat completion (sections B1.5, B1.6 and A5 of the wire's specification).
 *
 * A chunk is the answer's constant head, one delta, and a constant tail: the
 * head is written once, so that a token costs a copy and an escape.
 */
#include "base/clock.h"
#include "api/chat.h"

enum { ANSWER_MAX = 96 * 1024 * 1024 };	/* bytes */

static const char tail[] = "},\"finish_reason\":null,\"native_finish_reason\":null,\"logprobs\":null}]}\n\n";

struct tool { struct mg_str id, name; struct buf arguments; uint32_t index; struct tool *next; };

/* One of reasoning_details; text grows while deltas of the same block come. */
struct detail { struct buf text; struct mg_str extra, format; uint32_t index; bool encrypted; struct detail *next; };

struct chat {
	struct buf out, head;		/* scratch; "data: {...,"choices":[{"index":0,"delta":{" */
	struct buf content, reasoning, refusal, images, annotations, logprobs, audio;
	struct tool *tools, **tools_end;
	struct detail *details, **details_end, *open;
	struct pass pass;
	struct mg_str whole;		/* an answer that passes through, in one piece */
	bool exclude_reasoning, text;
};

static struct buf *const *buffers_of(struct chat *c, struct buf *at[9])
{
	struct buf *all[] = { &c->out, &c->head, &c->content, &c->reasoning, &c->refusal, &c->images, &c->annotations,
		&c->logprobs, &c->audio };

	memcpy(at, all, sizeof(all));
	return at;
}

static void chat_release(void *arg)
{
	struct chat *c = arg;
	struct buf *all[9];

	buffers_of(c, all);
	for (size_t i = 0; i < 9; i++)
		buf_release(all[i]);
	for (struct tool *t = c->tools; t; t = t->next)
		buf_release(&t->arguments);
	for (struct detail *d = c->details; d; d = d->next)
		buf_release(&d->text);
}

int chat_answer_init(struct relay *r, bool exclude_reasoning)
{
	struct chat *c = pool_alloc(r->pool, sizeof(*c));
	struct buf *all[9];

	if (!c)
		return MG_ENOMEM;
	buffers_of(c, all);
	for (size_t i = 0; i < 9; i++)
		buf_init(all[i], ANSWER_MAX);
	c->tools_end = &c->tools;
	c->details_end = &c->details;
	c->exclude_reasoning = exclude_reasoning;
	r->state = c;
	return pool_defer(r->pool, chat_release, c);
}

/* ------------------------------------------------ parts of both shapes */

static void identity(struct mg_writer *w, const struct relay *r, const char *object)
{
	const struct endpoint *e = r->endpoint;

	json_put_text(w, "id", r->id);
	json_put_text(w, "object", object);
	json_put_int(w, "created", r->created_ms / 1000);
	json_put_text(w, "model", e ? e->model->slug : "");
	json_put_text(w, "provider", e ? e->provider->name : "");
}

/* data: the base64 of bytes, inside a data URL. */
static void data_url(struct buf *out, struct mg_str type, struct mg_str bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *at = (const unsigned char *)bytes.at;
	char four[4];

	buf_print(out, "\"data:%.*s;base64,", (int)type.len, type.at);
	for (size_t i = 0; i < bytes.len; i += 3) {
		unsigned long v = (unsigned long)at[i] << 16 | (i + 1 < bytes.len ? (unsigned long)at[i + 1] << 8 : 0)
			| (i + 2 < bytes.len ? at[i + 2] : 0);

		four[0] = digits[v >> 18 & 63];
		four[1] = digits[v >> 12 & 63];
		four[2] = i + 1 < bytes.len ? digits[v >> 6 & 63] : '=';
		four[3] = i + 2 < bytes.len ? digits[v & 63] : '=';
		buf_put(out, four, 4);
	}
	buf_text(out, "\"");
}

static void image_object(struct buf *out, const struct mg_event *e)
{
	buf_text(out, "{\"type\":\"image_url\",\"image_url\":{\"url\":");
	data_url(out, e->name, e->data);
	buf_text(out, "},\"index\":");
	buf_print(out, "%u}", e->index);
}

/* extra of a REASONING event may bring: type, signature, data, id, summary. */
static bool extra_has(struct relay *r, struct mg_str extra, const char *member)
{
	struct mg_view v = { 0 };

	return extra.at && json_parse(r->pool, extra, &v, NULL) == MG_OK && json_kind(json_get(v, member)) != MG_ABSENT;
}

static void detail_object(struct relay *r, struct buf *out, struct mg_str text, struct mg_str extra, struct mg_str format, uint32_t index)
{
	static const char *const carried[] = { "signature", "data", "id" };
	struct mg_view v = { 0 };
	struct mg_writer w;
	struct mg_str type;

	if (extra.at && json_parse(r->pool, extra, &v, NULL) != MG_OK)
		v = (struct mg_view){ 0 };
	type = json_text(r->pool, json_get(v, "type"));
	if (!type.at)
		type = json_kind(json_get(v, "data")) == MG_STRING ? (struct mg_str)MG_STR("reasoning.encrypted")
			: (struct mg_str)MG_STR("reasoning.text");
	json_writer_init(&w, out);
	json_open(&w, NULL, '{');
	json_put(&w, "type", type);
	if (mg_is(type, "reasoning.summary"))
		json_put(&w, "summary", text);
	else if (!mg_is(type, "reasoning.encrypted"))
		json_put(&w, "text", text.at ? text : (struct mg_str)MG_STR(""));
	for (size_t i = 0; i < sizeof(carried) / sizeof(carried[0]); i++)
		json_put_raw(&w, carried[i], json_raw(json_get(v, carried[i])));
	if (json_kind(json_get(v, "id")) == MG_ABSENT)
		json_put_null(&w, "id");
	json_put(&w, "format", format.at && format.len ? format : (struct mg_str)MG_STR("unknown"));
	json_put_int(&w, "index", index);
	json_close(&w);
}

/* ------------------------------------------------ streamed */

static void send(struct relay *r, struct buf *b)
{
	if (!b->failed && http_stream_write(r->http, b->at, b->len) > STREAM_HIGH && r->now)
		attempt_pause(r->now);
	buf_reset(b);
}

static void stream_begin(struct relay *r)
{
	struct http_header headers[] = {
		{ "Content-Type", MG_STR("text/event-stream") },
		{ "Cache-Control", MG_STR("no-cache") },
		{ "X-Generation-Id", { r->id, strlen(r->id) } },
		{ "X-Moongate-Provider", { r->endpoint->provider->slug, strlen(r->endpoint->provider->slug) } },
		{ NULL, { 0 } },
	};
	struct chat *c = r->state;
	struct mg_writer w;

	if (!r->opened)
		api_stream(r->http, 200, headers);
	r->opened = true;
	buf_reset(&c->head);
	buf_text(&c->head, "data: ");
	json_writer_init(&w, &c->head);
	json_open(&w, NULL, '{');
	identity(&w, r, "chat.completion.chunk");
	buf_text(&c->head, ",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"");
}

static void chunk_open(struct chat *c)
{
	buf_reset(&c->out);
	buf_put(&c->out, c->head.at, c->head.len);
}

static void chunk_close(struct relay *r, struct chat *c)
{
	buf_put(&c->out, tail, sizeof(tail) - 1);
	send(r, &c->out);
}

static void put_delta(struct chat *c, const char *name, struct mg_str text)
{
	buf_print(&c->out, ",\"%s\":", name);
	json_quote(&c->out, text);
}

static void stream_reasoning(struct relay *r, struct chat *c, const struct mg_event *e)
{
	put_delta(c, "content", (struct mg_str)MG_STR(""));
	if (e->data.len && !extra_has(r, e->extra, "data"))
		put_delta(c, "reasoning", e->data);
	buf_text(&c->out, ",\"reasoning_details\":[");
	detail_object(r, &c->out, e->data, e->extra, e->name, e->index);
	buf_text(&c->out, "]");
}

static void stream_tool(struct chat *c, const struct mg_event *e)
{
	put_delta(c, "content", (struct mg_str)MG_STR(""));
	buf_print(&c->out, ",\"tool_calls\":[{\"index\":%u,", e->index);
	if (e->kind == MG_EV_TOOL_BEGIN) {
		buf_text(&c->out, "\"id\":");
		json_quote(&c->out, e->id);
		buf_text(&c->out, ",\"type\":\"function\",\"function\":{\"name\":");
		json_quote(&c->out, e->name);
		buf_text(&c->out, ",\"arguments\":\"\"}}]");
	} else {
		buf_text(&c->out, "\"function\":{\"arguments\":");
		json_quote(&c->out, e->data);
		buf_text(&c->out, "}}]");
	}
}

static void stream_audio(struct chat *c, const struct mg_event *e)
{
	size_t from;

	buf_text(&c->out, ",\"audio\":{\"data\":");
	from = c->out.len;
	data_url(&c->out, (struct mg_str)MG_STR(""), e->data);
	/* The wire wants bare base64: what stands before the comma goes. */
	memmove(c->out.at + from + 1, c->out.at + from + sizeof("\"data:;base64,") - 1,
		c->out.len - from - sizeof("\"data:;base64,") + 1);
	c->out.len -= sizeof("data:;base64,") - 1;
	buf_text(&c->out, "}");
}

static void stream_logprobs(struct relay *r, struct chat *c, struct mg_str extra)
{
	buf_text(&c->out, ",\"content\":\"\"},\"finish_reason\":null,\"native_finish_reason\":null,\"logprobs\":");
	buf_str(&c->out, extra);
	buf_text(&c->out, "}]}\n\n");
	send(r, &c->out);
}

static void stream_event(struct relay *r, const struct mg_event *e)
{
	struct chat *c = r->state;

	if (e->kind == MG_EV_TOOL_END || (e->kind == MG_EV_REASONING && c->exclude_reasoning))
		return;
	chunk_open(c);
	switch (e->kind) {
	case MG_EV_TEXT:
		put_delta(c, "content", e->data);
		break;
	case MG_EV_REFUSAL:
		put_delta(c, "refusal", e->data);
		break;
	case MG_EV_REASONING:
		stream_reasoning(r, c, e);
		break;
	case MG_EV_TOOL_BEGIN:
	case MG_EV_TOOL_ARGS:
		stream_tool(c, e);
		break;
	case MG_EV_IMAGE:
		put_delta(c, "content", (struct mg_str)MG_STR(""));
		buf_text(&c->out, ",\"images\":[");
		image_object(&c->out, e);
		buf_text(&c->out, "]");
		break;
	case MG_EV_AUDIO:
		stream_audio(c, e);
		break;
	case MG_EV_ANNOTATION:
		put_delta(c, "content", (struct mg_str)MG_STR(""));
		buf_text(&c->out, ",\"annotations\":[");
		buf_str(&c->out, e->extra);
		buf_text(&c->out, "]");
		break;
	case MG_EV_LOGPROBS:
		stream_logprobs(r, c, e->extra);
		return;
	default:
		return;
	}
	chunk_close(r, c);
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

static void chunk_begin(struct mg_writer *w, struct relay *r)
{
	struct chat *c = r->state;

	buf_reset(&c->out);
	buf_text(&c->out, "data: ");
	json_writer_init(w, &c->out);
	json_open(w, NULL, '{');
	identity(w, r, "chat.completion.chunk");
}

static void chunk_end(struct mg_writer *w, struct relay *r)
{
	struct chat *c = r->state;

	json_close(w);
	buf_text(&c->out, "\n\n");
	send(r, &c->out);
}

static void finish_chunk(struct relay *r, const struct closing *cl, const struct refusal *why)
{
	struct mg_writer w;

	chunk_begin(&w, r);
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
	chunk_end(&w, r);
}

static void usage_chunk(struct relay *r, const struct closing *cl)
{
	struct mg_writer w;

	chunk_begin(&w, r);
	json_open(&w, "choices", '[');
	json_close(&w);
	usage_member(&w, "usage", cl->usage, cl->bill);
	metadata_member(&w, r, true);
	chunk_end(&w, r);
}

static void stream_end(struct relay *r)
{
	static const char done[] = "data: [DONE]\n\n";

	http_stream_write(r->http, done, sizeof(done) - 1);
	http_stream_end(r->http);
}

/* ------------------------------------------------ in one piece */

static void detail_add(struct relay *r, struct chat *c, const struct mg_event *e)
{
	bool encrypted = extra_has(r, e->extra, "data");
	struct detail *d = c->open;

	if (!d || d->index != e->index || d->encrypted != encrypted || encrypted || d->extra.at) {
		d = pool_alloc(r->pool, sizeof(*d));
		if (!d)
			return;
		buf_init(&d->text, ANSWER_MAX);
		d->index = e->index;
		d->encrypted = encrypted;
		d->format = pool_dup(r->pool, e->name);
		*c->details_end = d;
		c->details_end = &d->next;
		c->open = d;
	}
	buf_put(&d->text, e->data.at, e->data.len);
	if (e->extra.at)
		d->extra = pool_dup(r->pool, e->extra);
}

static struct tool *tool_at(struct relay *r, struct chat *c, uint32_t index)
{
	struct tool *t = c->tools;

	while (t && t->index != index)
		t = t->next;
	if (t)
		return t;
	t = pool_alloc(r->pool, sizeof(*t));
	if (!t)
		return NULL;
	buf_init(&t->arguments, ANSWER_MAX);
	t->index = index;
	*c->tools_end = t;
	c->tools_end = &t->next;
	return t;
}

static void gather_tool(struct relay *r, struct chat *c, const struct mg_event *e)
{
	struct tool *t = tool_at(r, c, e->index);

	if (!t)
		return;
	if (e->kind == MG_EV_TOOL_BEGIN) {
		t->id = pool_dup(r->pool, e->id);
		t->name = pool_dup(r->pool, e->name);
	} else {
		buf_put(&t->arguments, e->data.at, e->data.len);
	}
}

static void list_add(struct buf *list)
{
	if (list->len)
		buf_text(list, ",");
}

/* The items of {"content":[...]} of each delta, in one list. */
static void gather_logprobs(struct relay *r, struct chat *c, struct mg_str extra)
{
	struct mg_view v = { 0 };

	if (json_parse(r->pool, extra, &v, NULL) != MG_OK)
		return;
	for (struct mg_view item = json_at(json_get(v, "content"), 0); item.doc; item = json_next(item)) {
		list_add(&c->logprobs);
		buf_str(&c->logprobs, json_raw(item));
	}
}

static void gather(struct relay *r, const struct mg_event *e)
{
	struct chat *c = r->state;

	switch (e->kind) {
	case MG_EV_TEXT:
		c->text = true;
		buf_put(&c->content, e->data.at, e->data.len);
		break;
	case MG_EV_REFUSAL:
		buf_put(&c->refusal, e->data.at, e->data.len);
		break;
	case MG_EV_REASONING:
		if (c->exclude_reasoning)
			break;
		if (!extra_has(r, e->extra, "data"))
			buf_put(&c->reasoning, e->data.at, e->data.len);
		detail_add(r, c, e);
		break;
	case MG_EV_TOOL_BEGIN:
	case MG_EV_TOOL_ARGS:
		gather_tool(r, c, e);
		break;
	case MG_EV_IMAGE:
		list_add(&c->images);
		image_object(&c->images, e);
		break;
	case MG_EV_AUDIO:
		buf_put(&c->audio, e->data.at, e->data.len);
		break;
	case MG_EV_ANNOTATION:
		list_add(&c->annotations);
		buf_str(&c->annotations, e->extra);
		break;
	case MG_EV_LOGPROBS:
		gather_logprobs(r, c, e->extra);
		break;
	default:
		break;
	}
}

static void put_or_null(struct mg_writer *w, const char *name, const struct buf *b, bool present)
{
	if (present)
		json_put(w, name, buf_view(b));
	else
		json_put_null(w, name);
}

static void tools_member(struct mg_writer *w, const struct chat *c)
{
	if (!c->tools)
		return;
	json_open(w, "tool_calls", '[');
	for (const struct tool *t = c->tools; t; t = t->next) {
		json_open(w, NULL, '{');
		json_put_int(w, "index", t->index);
		json_put(w, "id", t->id);
		json_put_text(w, "type", "function");
		json_open(w, "function", '{');
		json_put(w, "name", t->name);
		json_put(w, "arguments", buf_view(&t->arguments));
		json_close(w);
		json_close(w);
	}
	json_close(w);
}

static void list_member(struct mg_writer *w, const char *name, const struct buf *items)
{
	struct buf list;

	if (!items->len)
		return;
	buf_init(&list, items->len + 2);
	buf_text(&list, "[");
	buf_put(&list, items->at, items->len);
	buf_text(&list, "]");
	json_put_raw(w, name, buf_view(&list));
	buf_release(&list);
}

static void details_member(struct mg_writer *w, struct relay *r, const struct chat *c)
{
	struct buf items;

	if (!c->details)
		return;
	buf_init(&items, ANSWER_MAX);
	for (const struct detail *d = c->details; d; d = d->next) {
		list_add(&items);
		detail_object(r, &items, buf_view(&d->text), d->extra, d->format, d->index);
	}
	list_member(w, "reasoning_details", &items);
	buf_release(&items);
}

static void message_member(struct mg_writer *w, struct relay *r, const struct chat *c)
{
	json_open(w, "message", '{');
	json_put_text(w, "role", "assistant");
	put_or_null(w, "content", &c->content, c->text || (!c->tools && !c->refusal.len));
	put_or_null(w, "refusal", &c->refusal, c->refusal.len);
	put_or_null(w, "reasoning", &c->reasoning, c->reasoning.len);
	details_member(w, r, c);
	tools_member(w, c);
	list_member(w, "images", &c->images);
	list_member(w, "annotations", &c->annotations);
	json_close(w);
}

static void logprobs_member(struct mg_writer *w, const struct chat *c)
{
	if (!c->logprobs.len) {
		json_put_null(w, "logprobs");
		return;
	}
	json_open(w, "logprobs", '{');
	list_member(w, "content", &c->logprobs);
	json_put_null(w, "refusal");
	json_close(w);
}

static void write_answer(struct relay *r, struct chat *c, const struct closing *cl)
{
	struct mg_writer w;

	json_writer_init(&w, &c->out);
	json_open(&w, NULL, '{');
	identity(&w, r, "chat.completion");
	json_open(&w, "choices", '[');
	json_open(&w, NULL, '{');
	logprobs_member(&w, c);
	json_put_text(&w, "finish_reason", finish_name(cl->finish));
	if (cl->native.at)
		json_put(&w, "native_finish_reason", cl->native);
	else
		json_put_null(&w, "native_finish_reason");
	json_put_int(&w, "index", 0);
	message_member(&w, r, c);
	json_close(&w);
	json_close(&w);
	json_put_null(&w, "system_fingerprint");
	usage_member(&w, "usage", cl->usage, cl->bill);
	metadata_member(&w, r, true);
	json_close(&w);
}

static void whole_answer(struct relay *r, const struct closing *cl)
{
	struct chat *c = r->state;
	struct mg_view whole = { 0 };
	struct http_header headers[] = {
		{ "Content-Type", MG_STR("application/json") },
		{ "X-Generation-Id", { r->id, strlen(r->id) } },
		{ "X-Moongate-Provider", { r->endpoint->provider->slug, strlen(r->endpoint->provider->slug) } },
		{ NULL, { 0 } },
	};

	buf_reset(&c->out);
	if (c->whole.at && json_parse(r->pool, c->whole, &whole, NULL) == MG_OK)
		chat_pass_whole(r, &c->pass, whole, cl, &c->out);
	else
		write_answer(r, c, cl);
	if (c->out.failed)
		api_error(r->http, 502, "provider_unavailable", "The answer is larger than this gateway carries");
	else
		api_send(r->http, 200, headers, buf_view(&c->out));
}

/* ------------------------------------------------ the surface */

static void on_begin(struct relay *r)
{
	stream_begin(r);
}

static void on_event(struct relay *r, const struct mg_event *e)
{
	if (r->stream)
		stream_event(r, e);
	else
		gather(r, e);
}

static void on_pass(struct relay *r, struct mg_view frame)
{
	struct chat *c = r->state;

	if (!r->stream) {
		c->whole = pool_dup(r->pool, json_raw(frame));
		return;
	}
	if (!c->pass.id.at) {		/* who speaks came in a frame without output, which was not sent */
		chunk_open(c);
		put_delta(c, "content", (struct mg_str)MG_STR(""));
		chunk_close(r, c);
	}
	buf_reset(&c->out);
	buf_text(&c->out, "data: ");
	chat_pass_chunk(r, &c->pass, frame, &c->out);
	buf_text(&c->out, "\n\n");
	send(r, &c->out);
}

static void on_reset(struct relay *r)
{
	struct chat *c = r->state;
	struct buf *all[9];

	buffers_of(c, all);
	for (size_t i = 0; i < 9; i++)
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
	c->whole = (struct mg_str){ 0 };
	c->pass = (struct pass){ 0 };
}

/* One extra chunk before the answer: what the upstream was sent (E21). */
static void on_debug(struct relay *r, struct mg_str body)
{
	struct mg_writer w;

	if (!r->stream || (!r->opened && !r->endpoint))
		return;
	stream_begin(r);
	chunk_begin(&w, r);
	json_open(&w, "choices", '[');
	json_close(&w);
	json_open(&w, "debug", '{');
	json_put_raw(&w, "echo_upstream_body", body);
	json_close(&w);
	chunk_end(&w, r);
}

static void on_finish(struct relay *r, const struct closing *cl)
{
	if (!r->stream) {
		whole_answer(r, cl);
		return;
	}
	finish_chunk(r, cl, NULL);
	usage_chunk(r, cl);
	stream_end(r);
}

static void on_broken(struct relay *r, const struct closing *cl, const struct refusal *why)
{
	finish_chunk(r, cl, why);
	usage_chunk(r, cl);
	stream_end(r);
}

static void on_refused(struct relay *r, const struct refusal *why)
{
	struct closing cl = { .finish = MG_FAILED, .usage = &r->usage, .bill = &r->bill };

	if (!r->opened) {
		api_refuse(r->http, why, r);
		return;
	}
	/* The 200 is out (an early comment, a debug chunk): the error goes in band. */
	on_broken(r, &cl, why);
}

const struct surface chat_surface = {
	.api = "chat", .op = MG_CHAT, .api_type = "completions",
	.begin = on_begin, .event = on_event, .weigh = chat_weigh, .pass = on_pass, .reset = on_reset, .debug = on_debug,
	.finish = on_finish, .broken = on_broken, .refused = on_refused,
};
