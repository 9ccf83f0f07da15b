/* chat_parts.c - what a chunk and a whole answer write alike. */
#include "api/chat_parts.h"

enum { OUT_KEPT = 64 * 1024 };	/* bytes */

struct buf *const *chat_buffers(struct chat *c, struct buf *at[CHAT_BUFFERS])
{
	struct buf *all[] = { &c->head, &c->content, &c->reasoning, &c->refusal, &c->images, &c->annotations,
		&c->logprobs, &c->audio, &c->transcript };

	memcpy(at, all, sizeof(all));
	return at;
}

static void chat_release(void *arg)
{
	struct chat *c = arg;
	struct buf *all[CHAT_BUFFERS];

	chat_buffers(c, all);
	for (size_t i = 0; i < CHAT_BUFFERS; i++)
		buf_release(all[i]);
	for (struct tool *t = c->tools; t; t = t->next)
		buf_release(&t->arguments);
	for (struct detail *d = c->details; d; d = d->next)
		buf_release(&d->text);
}

/* What a picture needed is not kept. */
struct buf *chat_out(struct relay *r)
{
	struct buf *b = &r->w->out;

	if (!b->max || b->size > OUT_KEPT) {
		buf_release(b);
		buf_init(b, CHAT_ANSWER_MAX);
	}
	buf_reset(b);
	return b;
}

int chat_answer_init(struct relay *r, bool exclude_reasoning)
{
	struct chat *c = pool_alloc(r->pool, sizeof(*c));
	struct buf *all[CHAT_BUFFERS];

	if (!c)
		return MG_ENOMEM;
	chat_buffers(c, all);
	for (size_t i = 0; i < CHAT_BUFFERS; i++)
		buf_init(all[i], CHAT_ANSWER_MAX);
	c->tools_end = &c->tools;
	c->details_end = &c->details;
	c->exclude_reasoning = exclude_reasoning;
	r->state = c;
	return pool_defer(r->pool, chat_release, c);
}

void chat_identity(struct mg_writer *w, const struct relay *r, const char *object)
{
	const struct endpoint *e = r->endpoint;

	json_put_text(w, "id", r->id);
	json_put_text(w, "object", object);
	json_put_int(w, "created", r->created_ms / 1000);
	if (e)
		json_put_text(w, "model", e->model->slug);
	else
		json_put(w, "model", r->d.facts.model);
	json_put_text(w, "provider", e ? e->provider->name : "");
}

static bool is_media_type(struct mg_str s)
{
	static const bool good[256] = { ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['/'] = true, ['.'] = true, ['+'] = true, ['-'] = true };
	size_t n = 0;

	while (n < s.len && good[(unsigned char)s.at[n]])
		n++;
	return n && n == s.len && n < 64 && memchr(s.at, '/', n);
}

/* The image itself as a data URL, or where extra says that it lies. */
void chat_image(struct relay *r, struct buf *out, const struct mg_event *e)
{
	struct mg_view extra = { 0 };

	buf_text(out, "{\"type\":\"image_url\",\"image_url\":{\"url\":");
	if (!e->data.len && e->extra.at && json_parse(r->pool, e->extra, &extra, NULL) == MG_OK && json_get(extra, "url").doc) {
		buf_str(out, json_raw(json_get(extra, "url")));
	} else {
		buf_text(out, "\"data:");
		buf_str(out, is_media_type(e->name) ? e->name : MG_STR("application/octet-stream"));
		buf_text(out, ";base64,");
		buf_base64(out, e->data);
		buf_text(out, "\"");
	}
	buf_print(out, "},\"index\":%u}", e->index);
}

/* Absent where extra is. */
static struct mg_view read_extra(struct relay *r, struct mg_str extra)
{
	struct mg_view v = { 0 };

	if (!extra.at || json_parse(r->pool, extra, &v, NULL) != MG_OK)
		return (struct mg_view){ 0 };
	return v;
}

struct mg_str chat_transcript(struct relay *r, struct mg_str extra)
{
	return json_text(r->pool, json_get(read_extra(r, extra), "transcript"));
}

void chat_audio(struct relay *r, struct buf *out, struct mg_str bytes, struct mg_str transcript, struct mg_str extra)
{
	struct mg_view v = read_extra(r, extra), id = json_get(v, "id"), end = json_get(v, "expires_at");
	struct mg_writer w;
	struct buf data;

	buf_init(&data, CHAT_ANSWER_MAX);
	buf_text(&data, "\"");
	buf_base64(&data, bytes);
	buf_text(&data, "\"");
	json_writer_init(&w, out);
	json_open(&w, NULL, '{');
	if (json_kind(id) == MG_STRING)
		json_put_raw(&w, "id", json_raw(id));
	if (bytes.len)
		json_put_raw(&w, "data", buf_view(&data));
	if (transcript.at)
		json_put(&w, "transcript", transcript);
	if (json_kind(end) == MG_NUMBER)
		json_put_raw(&w, "expires_at", json_raw(end));
	json_close(&w);
	out->failed |= data.failed;
	buf_release(&data);
}

void chat_logprobs(struct relay *r, struct buf *list, struct mg_str extra)
{
	struct mg_view v = json_get(read_extra(r, extra), "content");

	for (struct mg_view item = json_kind(v) == MG_ARRAY ? json_at(v, 0) : (struct mg_view){ 0 }; item.doc; item = json_next(item)) {
		struct json_edit edits[2];
		size_t n = 0;

		if (json_kind(item) != MG_OBJECT)
			continue;
		if (json_kind(json_get(item, "bytes")) == MG_ABSENT)
			edits[n++] = (struct json_edit){ "bytes", MG_STR("null") };
		if (json_kind(json_get(item, "top_logprobs")) != MG_ARRAY)
			edits[n++] = (struct json_edit){ "top_logprobs", MG_STR("[]") };
		chat_list_add(list);
		json_splice(item, edits, n, list);
	}
}

/* extra of a REASONING event may bring: type, signature, data, id, summary. */
bool chat_extra_has(struct relay *r, struct mg_str extra, const char *member)
{
	struct mg_view v = { 0 };

	return extra.at && json_parse(r->pool, extra, &v, NULL) == MG_OK && json_kind(json_get(v, member)) != MG_ABSENT;
}

void chat_detail(struct relay *r, struct buf *out, struct mg_str text, struct mg_str extra, struct mg_str format, uint32_t index)
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

void chat_list_add(struct buf *list)
{
	if (list->len)
		buf_text(list, ",");
}
