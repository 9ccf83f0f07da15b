/* chat_whole.c - canonical events gathered into one chat completion (B1.5). */
#include "api/chat_parts.h"

static void detail_add(struct relay *r, struct chat *c, const struct mg_event *e)
{
	bool encrypted = chat_extra_has(r, e->extra, "data");
	struct detail *d = c->open;

	if (!d || d->index != e->index || d->encrypted != encrypted || encrypted || d->extra.at) {
		d = pool_alloc(r->pool, sizeof(*d));
		if (!d)
			return;
		buf_init(&d->text, CHAT_ANSWER_MAX);
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
	buf_init(&t->arguments, CHAT_ANSWER_MAX);
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

static void gather_audio(struct relay *r, struct chat *c, const struct mg_event *e)
{
	struct mg_str said = chat_transcript(r, e->extra);

	buf_put(&c->audio, e->data.at, e->data.len);
	buf_put(&c->transcript, said.at, said.len);
	if (chat_extra_has(r, e->extra, "id"))
		c->audio_extra = pool_dup(r->pool, e->extra);
}

void chat_gather(struct relay *r, const struct mg_event *e)
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
		if (!chat_extra_has(r, e->extra, "data"))
			buf_put(&c->reasoning, e->data.at, e->data.len);
		detail_add(r, c, e);
		break;
	case MG_EV_TOOL_BEGIN:
	case MG_EV_TOOL_ARGS:
		gather_tool(r, c, e);
		break;
	case MG_EV_IMAGE:
		chat_list_add(&c->images);
		chat_image(r, &c->images, e);
		break;
	case MG_EV_AUDIO:
		gather_audio(r, c, e);
		break;
	case MG_EV_ANNOTATION:
		chat_list_add(&c->annotations);
		buf_str(&c->annotations, e->extra);
		break;
	case MG_EV_LOGPROBS:
		chat_logprobs(r, &c->logprobs, e->extra);
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
	buf_init(&items, CHAT_ANSWER_MAX);
	for (const struct detail *d = c->details; d; d = d->next) {
		chat_list_add(&items);
		chat_detail(r, &items, buf_view(&d->text), d->extra, d->format, d->index);
	}
	list_member(w, "reasoning_details", &items);
	buf_release(&items);
}

static void audio_member(struct mg_writer *w, struct relay *r, const struct chat *c)
{
	struct buf one;

	if (!c->audio.len && !c->transcript.len)
		return;
	buf_init(&one, CHAT_ANSWER_MAX);
	chat_audio(r, &one, buf_view(&c->audio), c->transcript.len ? buf_view(&c->transcript) : (struct mg_str){ 0 }, c->audio_extra);
	json_put_raw(w, "audio", buf_view(&one));
	buf_release(&one);
}

static void message_member(struct mg_writer *w, struct relay *r, const struct chat *c)
{
	json_open(w, "message", '{');
	json_put_text(w, "role", "assistant");
	put_or_null(w, "content", &c->content, c->text || (!c->tools && !c->refusal.len && !c->audio.len));
	put_or_null(w, "refusal", &c->refusal, c->refusal.len);
	put_or_null(w, "reasoning", &c->reasoning, c->reasoning.len);
	details_member(w, r, c);
	tools_member(w, c);
	list_member(w, "images", &c->images);
	list_member(w, "annotations", &c->annotations);
	audio_member(w, r, c);
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

	json_writer_init(&w, &r->w->out);
	json_open(&w, NULL, '{');
	chat_identity(&w, r, "chat.completion");
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

void chat_whole_answer(struct relay *r, const struct closing *cl)
{
	struct chat *c = r->state;
	struct http_header headers[] = {
		{ "Content-Type", MG_STR("application/json") },
		{ NULL, { 0 } },
	};

	chat_out(r);
	if (c->whole.doc)
		chat_pass_whole(r, &c->pass, c->whole, cl, &r->w->out);
	else
		write_answer(r, c, cl);
	if (r->w->out.failed)
		api_error(r->http, 502, "provider_unavailable", "The answer is larger than this gateway carries");
	else
		api_send(r->http, 200, headers, buf_view(&r->w->out));
}
