/*
 * openai_media.h - openai.c's other operations: rerank (as Jina, Together, vLLM and Voyage
 * have it), images, speech, transcription, moderation.
 *
 *	rerank_path, images_path, speech_path, transcriptions_path, moderations_path	"/rerank", "/images/generations",
 *			"/audio/speech", "/audio/transcriptions", "/moderations"
 *	top_n		what rerank calls the most results: "top_n"
 */
#ifndef OPENAI_MEDIA_H
#define OPENAI_MEDIA_H

#include "moongate_form.h"
#include "openai_request.h"

static int usage(struct mg_call *c, struct mg_view u);

static struct mg_str model_of(struct mg_call *c)
{
	return c->host->text(c, c->host->get(c->host->endpoint(c), "model"));
}

/* The client's members as they came, but for the gateway's own and those named. */
static void put_others(struct mg_call *c, struct mg_writer *w, const char *const *but)
{
	const struct mg_host *h = c->host;

	for (struct mg_view m = h->at(h->request(c), 0); h->kind(m); m = h->next(m))
		if (!one_of(h->name(m), but) && !mg_is(h->name(m), "model") && passes(c, h->name(m)) && taken(c, terminated(c, h->name(m))))
			h->put_raw(w, terminated(c, h->name(m)), h->raw(m));
}

static int put_body(struct mg_call *c, const char *const *but, const char *quirk, struct mg_str path, struct mg_http *out)
{
	struct mg_writer *w = c->host->writer(c);

	c->host->open(w, NULL, '{');
	c->host->put(w, "model", model_of(c));
	put_others(c, w, but);
	put_set(c, w, "set");
	c->host->close(w);
	return mg_post(c, w, mg_path(c, quirk, path), out);
}

/* ---------------------------------------------------------------- rerank */

static int rerank_request(struct mg_call *c, struct mg_http *out)
{
	static const char *const own_words[] = { "documents", "top_n", NULL };
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);
	struct mg_str top = h->text(c, mg_quirk(c, "top_n"));

	h->open(w, NULL, '{');
	h->put(w, "model", model_of(c));
	put_others(c, w, own_words);
	h->open(w, "documents", '[');
	for (struct mg_view v = h->at(mg_asked(c, "documents"), 0); h->kind(v); v = h->next(v))
		h->put_raw(w, NULL, h->get(v, "text").doc && !h->get(v, "image").doc ? h->raw(h->get(v, "text")) : h->raw(v));
	h->close(w);
	h->put_raw(w, top.at ? terminated(c, top) : "top_n", h->raw(mg_asked(c, "top_n")));
	put_set(c, w, "set");
	h->close(w);
	return mg_post(c, w, mg_path(c, "rerank_path", MG_STR("/rerank")), out);
}

/* results[] or data[], or the list itself. */
static int rerank_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view list = h->get(f->json, "results");
	uint64_t index = 0;
	int rc;

	if (!list.doc)
		list = h->kind(f->json) == MG_ARRAY ? f->json : h->get(f->json, "data");
	if (h->kind(list) != MG_ARRAY)
		return h->fail(c, MG_EPROTO, "an answer without results[]");
	rc = h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(f->json, "id")), .name = h->text(c, h->get(f->json, "model"))));
	for (struct mg_view v = h->at(list, 0); h->kind(v) && !rc; v = h->next(v)) {
		struct mg_view score = h->get(v, "relevance_score");

		h->count(h->get(v, "index"), &index);
		rc = h->emit(c, MG_EVENT(MG_EV_SCORE, .index = (uint32_t)index, .extra = h->raw(score.doc ? score : h->get(v, "score"))));
	}
	return rc ? rc : usage(c, h->get(f->json, "usage"));
}

/* ---------------------------------------------------------------- images */

static int image_request(struct mg_call *c, struct mg_http *out)
{
	static const char *const none[] = { NULL };

	return put_body(c, none, "images_path", MG_STR("/images/generations"), out);
}

static struct mg_str image_type(struct mg_call *c, struct mg_view j)
{
	const struct mg_host *h = c->host;
	struct mg_str format = h->text(c, h->get(j, "output_format"));

	if (!format.at)
		format = h->text(c, mg_asked(c, "output_format"));
	return mg_is(format, "jpeg") ? MG_STR("image/jpeg") : mg_is(format, "webp") ? MG_STR("image/webp") : MG_STR("image/png");
}

static int picture(struct mg_call *c, struct mg_view v, uint32_t index, struct mg_str type)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);

	h->open(w, NULL, '{');
	h->put_raw(w, "url", h->raw(h->get(v, "url")));
	h->put_raw(w, "revised_prompt", h->raw(h->get(v, "revised_prompt")));
	h->close(w);
	return h->emit(c, MG_EVENT(MG_EV_IMAGE, .index = index, .data = h->blob(c, h->get(v, "b64_json")), .name = type, .extra = h->written(w)));
}

/* {"input_tokens","output_tokens","input_tokens_details":{"text_tokens","image_tokens"}} */
static int image_usage(struct mg_call *c, struct mg_view u, uint64_t images)
{
	const struct mg_host *h = c->host;
	struct mg_usage m = { .size = sizeof(m), .requests = 1, .images_out = images, .cost_nusd = -1 };

	h->count(h->get(u, "input_tokens"), &m.input);
	h->count(h->get(u, "output_tokens"), &m.output);
	h->count(h->get(h->get(u, "input_tokens_details"), "image_tokens"), &m.image_tokens);
	m.image_tokens = m.image_tokens < m.input ? m.image_tokens : m.input;
	m.input -= m.image_tokens;
	return h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m));
}

/* One text with data[], or a stream's events; images that are not done yet are passed over. */
static int image_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view j = f->json, list = h->get(j, "data");
	struct mg_str type = h->text(c, h->get(j, "type"));
	uint32_t n = 0;
	int rc = MG_OK;

	if (h->kind(list) != MG_ARRAY && !type.at)
		return mg_is(f->data, "[DONE]") ? MG_OK : h->fail(c, MG_EPROTO, "an answer without data[]");
	if (mg_is(type, "image_generation.completed") || mg_is(type, "image_edit.completed"))
		rc = picture(c, j, n++, image_type(c, j));
	else if (type.at)
		return MG_OK;
	for (struct mg_view v = h->at(list, 0); h->kind(v) && !rc; v = h->next(v))
		rc = picture(c, v, n++, image_type(c, j));
	return rc ? rc : image_usage(c, h->get(j, "usage"), n);
}

/* ---------------------------------------------------------------- speech */

static int speech_request(struct mg_call *c, struct mg_http *out)
{
	static const char *const none[] = { NULL };

	return put_body(c, none, "speech_path", MG_STR("/audio/speech"), out);
}

static int speech_frame(struct mg_call *c, const struct mg_frame *f)
{
	struct mg_str type = mg_media_type(c->host->answer(c, "content-type"), (struct mg_str)MG_STR("audio/mpeg"));

	return f->data.len ? c->host->emit(c, MG_EVENT(MG_EV_AUDIO, .data = f->data, .name = type)) : MG_OK;
}

/* It is billed by characters of the input, which no answer counts. */
static int speech_finish(struct mg_call *c)
{
	struct mg_str text = c->host->text(c, mg_asked(c, "input"));
	struct mg_usage m = { .size = sizeof(m), .requests = 1, .cost_nusd = -1, .characters = mg_characters(text) };

	return c->host->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m));
}

/* --------------------------------------------------------- transcription */

/* A form: the sound itself, not its base64, and the members as fields. */
static int transcription_request(struct mg_call *c, struct mg_http *out)
{
	static const char *const fields[] = { "language", "prompt", "response_format", "temperature", "chunking_strategy", NULL };
	const struct mg_host *h = c->host;
	struct mg_form *f = mg_form(c);
	struct mg_view audio = mg_asked(c, "input_audio");
	struct mg_str bytes = h->blob(c, h->get(audio, "data"));
	int rc;

	if (!bytes.len)
		return h->fail(c, MG_EINVAL, "input_audio.data: must be base64 of a sound");
	mg_form_text(c, f, "model", model_of(c));
	for (size_t i = 0; fields[i]; i++)
		if (taken(c, fields[i]))
			mg_form_text(c, f, fields[i], h->text(c, mg_asked(c, fields[i])));
	for (struct mg_view v = h->at(mg_asked(c, "timestamp_granularities"), 0); h->kind(v); v = h->next(v))
		mg_form_text(c, f, "timestamp_granularities[]", h->text(c, v));
	if (h->kind(mg_asked(c, "stream")) == MG_TRUE)
		mg_form_text(c, f, "stream", MG_STR("true"));
	mg_form_file(c, f, "file", mg_form_sound(c, h->text(c, h->get(audio, "format"))), bytes);
	rc = mg_form_end(c, f, mg_path(c, "transcriptions_path", MG_STR("/audio/transcriptions")), out);
	return rc ? rc : mg_authorize(c, NULL);
}

static int transcription_usage(struct mg_call *c, struct mg_view j)
{
	const struct mg_host *h = c->host;
	struct mg_view u = h->get(j, "usage"), seconds = h->get(u, "seconds").doc ? h->get(u, "seconds") : h->get(j, "duration");
	struct mg_usage m = { .size = sizeof(m), .requests = 1, .cost_nusd = -1, .seconds = mg_seconds(h->text(c, seconds)) };

	h->count(h->get(u, "input_tokens"), &m.input);
	h->count(h->get(u, "output_tokens"), &m.output);
	h->count(h->get(h->get(u, "input_token_details"), "audio_tokens"), &m.audio_in);
	m.audio_in = m.audio_in < m.input ? m.audio_in : m.input;
	m.input -= m.audio_in;
	return h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m));
}

/* srt, vtt and text come as they are, cut anywhere: one text at the end, as a character may be cut, too. */
struct transcript { char *at; size_t len, size; };

static int keep_raw(struct mg_call *c, struct mg_str piece)
{
	struct transcript *t = c->state;
	char *more;

	if (t->len + piece.len > t->size) {
		more = c->host->alloc(c, 2 * (t->len + piece.len));
		if (!more)
			return c->host->fail(c, MG_ENOMEM, "no memory for the transcript");
		if (t->len)
			memcpy(more, t->at, t->len);
		t->size = 2 * (t->len + piece.len);
		t->at = more;
	}
	if (piece.len)
		memcpy(t->at + t->len, piece.at, piece.len);
	t->len += piece.len;
	return MG_OK;
}

static int transcription_finish(struct mg_call *c)
{
	struct transcript *t = c->state;

	return t->len ? c->host->emit(c, MG_EVENT(MG_EV_TEXT, .data = { t->at, t->len })) : MG_OK;
}

/* The text; then its segments and words with their times; what is said of the whole stands in a segment without text. */
static int transcription_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view j = f->json;
	struct mg_str type = h->text(c, h->get(j, "type")), text = h->text(c, h->get(j, "text"));
	struct mg_writer *w;
	int rc = MG_OK;

	if (f->framing == MG_RAW || !j.doc)
		return mg_is(f->data, "[DONE]") ? MG_OK : keep_raw(c, f->data);
	if (mg_is(type, "transcript.text.delta"))
		return h->emit(c, MG_EVENT(MG_EV_TEXT, .data = h->text(c, h->get(j, "delta"))));
	if (mg_is(type, "transcript.text.done"))
		return transcription_usage(c, j);
	if (type.at || mg_is(f->data, "[DONE]"))
		return MG_OK;
	if (!text.at)
		return h->fail(c, MG_EPROTO, "an answer without text");
	rc = h->emit(c, MG_EVENT(MG_EV_TEXT, .data = text));
	for (struct mg_view v = h->at(h->get(j, "segments"), 0); h->kind(v) && !rc; v = h->next(v))
		rc = h->emit(c, MG_EVENT(MG_EV_SEGMENT, .data = h->text(c, h->get(v, "text")), .extra = h->raw(v)));
	if (!rc && (h->get(j, "language").doc || h->get(j, "words").doc || h->get(j, "duration").doc)) {
		w = h->writer(c);
		h->open(w, NULL, '{');
		h->put_raw(w, "language", h->raw(h->get(j, "language")));
		h->put_raw(w, "duration", h->raw(h->get(j, "duration")));
		h->put_raw(w, "words", h->raw(h->get(j, "words")));
		h->close(w);
		rc = h->emit(c, MG_EVENT(MG_EV_SEGMENT, .extra = h->written(w)));
	}
	return rc ? rc : transcription_usage(c, j);
}

/* ------------------------------------------------------------ moderation */

static int moderation_request(struct mg_call *c, struct mg_http *out)
{
	static const char *const none[] = { NULL };

	return put_body(c, none, "moderations_path", MG_STR("/moderations"), out);
}

static int moderation_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view list = h->get(f->json, "results");
	uint32_t i = 0;
	int rc = h->kind(list) == MG_ARRAY ? h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(f->json, "id")), .name = h->text(c, h->get(f->json, "model"))))
		: h->fail(c, MG_EPROTO, "an answer without results[]");

	for (struct mg_view v = h->at(list, 0); h->kind(v) && !rc; v = h->next(v))
		rc = h->emit(c, MG_EVENT(MG_EV_VERDICT, .index = i++, .extra = h->raw(v)));
	return rc ? rc : usage(c, h->get(f->json, "usage"));
}

#define MEDIA(name, kind, one, many, asks, reads, ends) static const struct mg_operation name = { .size = sizeof(name), .op = kind, \
	.state_size = sizeof(struct transcript), .plain = one, .stream = many, .request = asks, .frame = reads, .finish = ends }
MEDIA(rerank, MG_RERANK, MG_JSON, MG_JSON, rerank_request, rerank_frame, NULL);
MEDIA(images, MG_IMAGE, MG_JSON, MG_SSE, image_request, image_frame, NULL);
MEDIA(speech, MG_SPEECH, MG_RAW, MG_RAW, speech_request, speech_frame, speech_finish);
MEDIA(transcription, MG_TRANSCRIPTION, MG_JSON, MG_SSE, transcription_request, transcription_frame, transcription_finish);
MEDIA(moderation, MG_MODERATION, MG_JSON, MG_JSON, moderation_request, moderation_frame, NULL);

#endif
