/*
 * deepgram - transcription and speech of Deepgram.
 *
 *	listen	parameters of /v1/listen, where the client gives none: {"smart_format": true}
 *
 * Parameters stand in the query; the body of a transcription is the sound itself.
 */
#include <stdio.h>
#include "moongate_chat.h"

enum { QUERY_MAX = 2048 };

struct query { char *at; size_t len; };

/* &name=value, percent-encoded. */
static void add(struct query *q, const char *name, struct mg_str value)
{
	static const char hex[] = "0123456789ABCDEF";

	if (!q->at || !value.len || q->len + strlen(name) + 3 * value.len + 3 > QUERY_MAX)
		return;
	q->at[q->len] = memchr(q->at, '?', q->len) ? '&' : '?';
	q->len += 1 + (size_t)snprintf(q->at + q->len + 1, QUERY_MAX - q->len - 1, "%s=", name);
	for (size_t i = 0; i < value.len; i++) {
		unsigned char ch = (unsigned char)value.at[i];

		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~", ch) && ch) {
			q->at[q->len++] = (char)ch;
		} else {
			q->at[q->len++] = '%';
			q->at[q->len++] = hex[ch >> 4];
			q->at[q->len++] = hex[ch & 15];
		}
	}
}

static struct query begin(struct mg_call *c, const char *path)
{
	struct query q = { c->host->alloc(c, QUERY_MAX), 0 };

	if (q.at)
		q.len = (size_t)snprintf(q.at, QUERY_MAX, "%s", path);
	add(&q, "model", c->host->text(c, c->host->get(c->host->endpoint(c), "model")));
	return q;
}

static struct mg_str word_of(struct mg_call *c, struct mg_view v)
{
	return c->host->kind(v) == MG_STRING ? c->host->text(c, v) : c->host->kind(v) > MG_NULL ? c->host->raw(v) : (struct mg_str){ NULL, 0 };
}

/* "Authorization: Token KEY": its own word for a bearer. */
static int send(struct mg_call *c, struct query q, struct mg_str *body, struct mg_str type, struct mg_http *out)
{
	int rc = q.at && body ? c->host->header(c, "Content-Type", type) : c->host->fail(c, MG_ENOMEM, "no memory for the request");

	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), { q.at, q.len }, body, 1 };
	return rc ? rc : c->host->auth(c, MG_BEARER, "Token");
}

/* --------------------------------------------------------- transcription */

static struct mg_str type_of(struct mg_call *c, struct mg_str format)
{
	char *type = format.len && format.len < 16 ? c->host->alloc(c, 32) : NULL;

	if (!type)
		return MG_STR("application/octet-stream");
	return (struct mg_str){ type, (size_t)snprintf(type, 32, "audio/%.*s", (int)format.len, format.at) };
}

static int listen_request(struct mg_call *c, struct mg_http *out)
{
	static const char *const same[] = { "language", "diarize", "punctuate", "smart_format", "utterances", "detect_language", "keyterm", NULL };
	const struct mg_host *h = c->host;
	struct mg_view audio = mg_asked(c, "input_audio"), own = mg_quirk(c, "listen");
	struct mg_str *body = h->alloc(c, sizeof(*body));
	struct query q = begin(c, "/v1/listen");

	if (body)
		*body = h->blob(c, h->get(audio, "data"));
	if (!body || !body->len)
		return h->fail(c, MG_EINVAL, "input_audio.data: must be base64 of a sound");
	for (size_t i = 0; same[i]; i++)
		add(&q, same[i], word_of(c, mg_asked(c, same[i])));
	for (struct mg_view v = h->at(own, 0); h->kind(v); v = h->next(v))
		if (!mg_asked(c, mg_terminated(c, h->name(v))).doc)
			add(&q, mg_terminated(c, h->name(v)), word_of(c, v));
	return send(c, q, body, type_of(c, h->text(c, h->get(audio, "format"))), out);
}

static int listen_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view meta = h->get(f->json, "metadata"), channel = h->at(h->get(h->get(f->json, "results"), "channels"), 0);
	struct mg_view best = h->at(h->get(channel, "alternatives"), 0);
	struct mg_usage m = { .size = sizeof(m), .requests = 1, .cost_nusd = -1, .seconds = mg_seconds(h->text(c, h->get(meta, "duration"))) };
	struct mg_writer *w = h->writer(c);
	int rc;

	if (!h->text(c, h->get(best, "transcript")).at)
		return h->fail(c, MG_EPROTO, "an answer without a transcript");
	rc = h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(meta, "request_id"))));
	if (!rc)
		rc = h->emit(c, MG_EVENT(MG_EV_TEXT, .data = h->text(c, h->get(best, "transcript"))));
	h->open(w, NULL, '{');
	h->put_raw(w, "language", h->raw(h->get(channel, "detected_language")));
	h->put_raw(w, "duration", h->raw(h->get(meta, "duration")));
	h->open(w, "words", '[');
	for (struct mg_view v = h->at(h->get(best, "words"), 0); h->kind(v); v = h->next(v)) {
		h->open(w, NULL, '{');
		h->put_raw(w, "word", h->raw(h->get(v, "punctuated_word").doc ? h->get(v, "punctuated_word") : h->get(v, "word")));
		h->put_raw(w, "start", h->raw(h->get(v, "start")));
		h->put_raw(w, "end", h->raw(h->get(v, "end")));
		h->put_raw(w, "speaker", h->raw(h->get(v, "speaker")));
		h->close(w);
	}
	h->close(w);
	h->close(w);
	if (!rc)
		rc = h->emit(c, MG_EVENT(MG_EV_SEGMENT, .extra = h->written(w)));
	return rc ? rc : h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m));
}

/* ---------------------------------------------------------------- speech */

static int speak_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_str format = h->text(c, mg_asked(c, "response_format")), *body = h->alloc(c, sizeof(*body));
	struct query q = begin(c, "/v1/speak");
	struct mg_writer *w = h->writer(c);

	if (mg_is(format, "pcm") || mg_is(format, "wav")) {
		add(&q, "encoding", MG_STR("linear16"));
		add(&q, "container", mg_is(format, "wav") ? MG_STR("wav") : MG_STR("none"));
	} else {
		add(&q, "encoding", format.at ? format : MG_STR("mp3"));
	}
	h->open(w, NULL, '{');
	h->put_raw(w, "text", h->raw(mg_asked(c, "input")));
	h->close(w);
	if (body)
		*body = h->written(w);
	return send(c, q, body && body->at ? body : NULL, MG_STR("application/json"), out);
}

static int speak_frame(struct mg_call *c, const struct mg_frame *f)
{
	struct mg_str type = mg_media_type(c->host->answer(c, "content-type"), (struct mg_str)MG_STR("audio/mpeg"));

	return f->data.len ? c->host->emit(c, MG_EVENT(MG_EV_AUDIO, .data = f->data, .name = type)) : MG_OK;
}

static int speak_finish(struct mg_call *c)
{
	struct mg_str text = c->host->text(c, mg_asked(c, "input"));
	struct mg_usage m = { .size = sizeof(m), .requests = 1, .cost_nusd = -1, .characters = mg_characters(text) };

	return c->host->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m));
}

/* {"err_code","err_msg"}, or {"category","message","details"} */
static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	const struct mg_host *h = c->host;
	int status = h->status(c);

	out->code = h->text(c, h->get(body->json, "err_code").doc ? h->get(body->json, "err_code") : h->get(body->json, "category"));
	out->message = h->text(c, h->get(body->json, "err_msg").doc ? h->get(body->json, "err_msg") : h->get(body->json, "message"));
	out->kind = status == 401 || status == 403 ? MG_E_AUTH : status == 402 ? MG_E_QUOTA : status == 404 ? MG_E_NOT_FOUND : status == 429 ? MG_E_RATE_LIMITED :
		status == 503 ? MG_E_OVERLOADED : status == 504 ? MG_E_TIMEOUT : status >= 500 ? MG_E_SERVER : MG_E_BAD_REQUEST;
	out->retryable = out->kind != MG_E_BAD_REQUEST;
	return MG_OK;
}

static const struct mg_operation transcription = { .size = sizeof(transcription), .op = MG_TRANSCRIPTION, .plain = MG_JSON, .stream = MG_JSON,
	.request = listen_request, .frame = listen_frame };
static const struct mg_operation speech = { .size = sizeof(speech), .op = MG_SPEECH, .plain = MG_RAW, .stream = MG_RAW,
	.request = speak_request, .frame = speak_frame, .finish = speak_finish };
static const struct mg_operation *const ops[] = { &transcription, &speech, NULL };
static const struct mg_provider deepgram = { .size = sizeof(deepgram), .ops = ops, .failure = failure };

MG_PLUGIN(.name = "deepgram", .version = "1.0.0", .about = "Deepgram: transcription and speech", .provider = &deepgram)
