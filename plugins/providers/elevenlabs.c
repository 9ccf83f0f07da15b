/*
 * elevenlabs - speech and transcription of ElevenLabs.
 *
 *	output_format	what is asked for where the client names none: "mp3_44100_128"
 *
 * A voice is part of the address; how it speaks is in voice_settings, which the
 * client may give under that name.  Speech is billed by characters, and the
 * answer says how many; a transcription by the length of the sound, which the
 * last word tells.
 */
#include "moongate_chat.h"
#include "moongate_form.h"

/* ---------------------------------------------------------------- speech */

static struct mg_str format_of(struct mg_call *c)
{
	static const struct { const char *asked, *theirs; } formats[] = { { "mp3", "mp3_44100_128" }, { "pcm", "pcm_24000" },
		{ "wav", "wav_44100" }, { "opus", "opus_48000_128" }, { "ulaw", "ulaw_8000" } };
	struct mg_str asked = c->host->text(c, mg_asked(c, "response_format")), usual = c->host->text(c, mg_quirk(c, "output_format"));

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (mg_is(asked, formats[i].asked))
			return (struct mg_str){ formats[i].theirs, strlen(formats[i].theirs) };
	return asked.at ? asked : usual.at ? usual : MG_STR("mp3_44100_128");
}

static bool safe(struct mg_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", s.at[i]) || !s.at[i])
			return false;
	return s.len > 0 && s.len < 100;
}

static void put_settings(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view own = mg_asked(c, "voice_settings"), speed = mg_asked(c, "speed");

	if (own.doc) {
		h->put_raw(w, "voice_settings", h->raw(own));
	} else if (h->kind(speed) == MG_NUMBER) {
		h->open(w, "voice_settings", '{');
		h->put_raw(w, "speed", h->raw(speed));
		h->close(w);
	}
}

static int speech_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);
	struct mg_str voice = h->text(c, mg_asked(c, "voice")), format = format_of(c), *body = h->alloc(c, sizeof(*body));
	char *path = h->alloc(c, 320);

	if (!body || !path)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	if (!safe(voice))
		return h->fail(c, MG_EINVAL, "voice: must be the id of a voice: letters and digits");
	if (!safe(format))
		return h->fail(c, MG_EINVAL, "response_format: mp3, pcm, wav, opus, ulaw, or a name like mp3_44100_128");
	h->open(w, NULL, '{');
	h->put_raw(w, "text", h->raw(mg_asked(c, "input")));
	h->put(w, "model_id", h->text(c, h->get(h->endpoint(c), "model")));
	h->put_raw(w, "language_code", h->raw(mg_asked(c, "language")));
	h->put_raw(w, "seed", h->raw(mg_asked(c, "seed")));
	put_settings(c, w);
	h->close(w);
	*body = h->written(w);
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), { path, (size_t)snprintf(path, 320, "/v1/text-to-speech/%.*s/stream?output_format=%.*s",
		(int)voice.len, voice.at, (int)format.len, format.at) }, body, 1 };
	return body->at ? mg_authorize(c, "xi-api-key") : h->fail(c, MG_ENOMEM, "no memory for the request");
}

static int speech_frame(struct mg_call *c, const struct mg_frame *f)
{
	struct mg_str type = mg_media_type(c->host->answer(c, "content-type"), (struct mg_str)MG_STR("audio/mpeg"));

	return f->data.len ? c->host->emit(c, MG_EVENT(MG_EV_AUDIO, .data = f->data, .name = type)) : MG_OK;
}

static int speech_finish(struct mg_call *c)
{
	struct mg_str text = c->host->text(c, mg_asked(c, "input")), said = c->host->answer(c, "character-cost");
	struct mg_usage m = { .size = sizeof(m), .requests = 1, .cost_nusd = -1 };

	for (size_t i = 0; i < said.len && said.at[i] >= '0' && said.at[i] <= '9' && m.characters < UINT32_MAX; i++)
		m.characters = m.characters * 10 + (uint64_t)(said.at[i] - '0');
	if (!said.len)
		m.characters = mg_characters(text);
	return c->host->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m));
}

/* --------------------------------------------------------- transcription */

static int transcription_request(struct mg_call *c, struct mg_http *out)
{
	static const char *const same[] = { "diarize", "num_speakers", "timestamps_granularity", "tag_audio_events", "temperature", NULL };
	const struct mg_host *h = c->host;
	struct mg_view audio = mg_asked(c, "input_audio");
	struct mg_str bytes = h->blob(c, h->get(audio, "data"));
	struct mg_form *f = mg_form(c);
	int rc;

	if (!bytes.len)
		return h->fail(c, MG_EINVAL, "input_audio.data: must be base64 of a sound");
	mg_form_text(c, f, "model_id", h->text(c, h->get(h->endpoint(c), "model")));
	mg_form_text(c, f, "language_code", h->text(c, mg_asked(c, "language")));
	for (size_t i = 0; same[i]; i++)
		if (h->kind(mg_asked(c, same[i])) > MG_NULL)
			mg_form_text(c, f, same[i], h->kind(mg_asked(c, same[i])) == MG_STRING ? h->text(c, mg_asked(c, same[i])) : h->raw(mg_asked(c, same[i])));
	mg_form_file(c, f, "file", mg_form_sound(c, h->text(c, h->get(audio, "format"))), bytes);
	rc = mg_form_end(c, f, MG_STR("/v1/speech-to-text"), out);
	return rc ? rc : mg_authorize(c, "xi-api-key");
}

static int transcription_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_usage m = { .size = sizeof(m), .requests = 1, .cost_nusd = -1 };
	struct mg_str text = h->text(c, h->get(f->json, "text"));
	struct mg_writer *w = h->writer(c);
	uint64_t end;
	int rc;

	if (!text.at)
		return h->fail(c, MG_EPROTO, "an answer without text");
	rc = h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(f->json, "transcription_id"))));
	if (!rc)
		rc = h->emit(c, MG_EVENT(MG_EV_TEXT, .data = text));
	h->open(w, NULL, '{');
	h->put_raw(w, "language", h->raw(h->get(f->json, "language_code")));
	h->open(w, "words", '[');
	for (struct mg_view v = h->at(h->get(f->json, "words"), 0); h->kind(v); v = h->next(v)) {
		end = mg_seconds(h->text(c, h->get(v, "end")));
		m.seconds = end > m.seconds ? end : m.seconds;
		if (!mg_is(h->text(c, h->get(v, "type")), "word"))
			continue;
		h->open(w, NULL, '{');
		h->put_raw(w, "word", h->raw(h->get(v, "text")));
		h->put_raw(w, "start", h->raw(h->get(v, "start")));
		h->put_raw(w, "end", h->raw(h->get(v, "end")));
		h->put_raw(w, "speaker", h->raw(h->get(v, "speaker_id")));
		h->close(w);
	}
	h->close(w);
	h->close(w);
	if (!rc)
		rc = h->emit(c, MG_EVENT(MG_EV_SEGMENT, .extra = h->written(w)));
	return rc ? rc : h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m));
}

/* ---------------------------------------------------------------- models */

static int models_request(struct mg_call *c, struct mg_http *out)
{
	*out = (struct mg_http){ .size = sizeof(*out), .method = MG_STR("GET"), .path = MG_STR("/v1/models") };
	return mg_authorize(c, "xi-api-key");
}

static int models_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	int rc = h->kind(f->json) == MG_ARRAY ? MG_OK : h->fail(c, MG_EPROTO, "an answer that is no list");

	for (struct mg_view v = h->at(f->json, 0); h->kind(v) && !rc; v = h->next(v))
		rc = h->emit(c, MG_EVENT(MG_EV_MODEL, .id = h->text(c, h->get(v, "model_id")), .extra = h->raw(v)));
	return rc;
}

/* {"detail":{"status","message"}} or {"detail":[{"msg"}]} */
static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	const struct mg_host *h = c->host;
	struct mg_view detail = h->get(body->json, "detail");
	int status = h->status(c);

	out->code = h->text(c, h->get(detail, "status"));
	out->message = h->kind(detail) == MG_ARRAY ? h->text(c, h->get(h->at(detail, 0), "msg")) : h->text(c, h->get(detail, "message"));
	if (!out->message.at)
		out->message = h->text(c, detail);
	out->kind = status == 401 || status == 403 ? MG_E_AUTH : status == 402 ? MG_E_QUOTA : status == 404 ? MG_E_NOT_FOUND : status == 429 ? MG_E_RATE_LIMITED :
		status == 503 ? MG_E_OVERLOADED : status >= 500 ? MG_E_SERVER : MG_E_BAD_REQUEST;
	if (mg_is(out->code, "quota_exceeded"))
		out->kind = MG_E_QUOTA;
	if (mg_is(out->code, "system_busy"))
		out->kind = MG_E_OVERLOADED;
	out->retryable = out->kind != MG_E_BAD_REQUEST;
	return MG_OK;
}

static const struct mg_operation speech = { .size = sizeof(speech), .op = MG_SPEECH, .plain = MG_RAW, .stream = MG_RAW,
	.request = speech_request, .frame = speech_frame, .finish = speech_finish };
static const struct mg_operation transcription = { .size = sizeof(transcription), .op = MG_TRANSCRIPTION, .plain = MG_JSON, .stream = MG_JSON,
	.request = transcription_request, .frame = transcription_frame };
static const struct mg_operation models = { .size = sizeof(models), .op = MG_MODELS, .plain = MG_JSON, .stream = MG_JSON,
	.request = models_request, .frame = models_frame };
static const struct mg_operation *const ops[] = { &speech, &transcription, &models, NULL };
static const struct mg_provider elevenlabs = { .size = sizeof(elevenlabs), .ops = ops, .failure = failure };

MG_PLUGIN(.name = "elevenlabs", .version = "1.0.0", .about = "ElevenLabs: speech and transcription", .provider = &elevenlabs)
