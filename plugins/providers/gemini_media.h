/*
 * gemini_media.h - pictures and speech for their own sake: Imagen by its task
 * (:predict), the others by generateContent with nothing but that coming out.
 */
#ifndef GEMINI_MEDIA_H
#define GEMINI_MEDIA_H

#include "gemini_answer.h"

struct media { struct answer answer; struct mg_http http; struct mg_usage sum; uint64_t made; };

static int post_media(struct mg_call *c, struct mg_writer *w, struct mg_str path, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	size_t n;
	const struct mg_str *body = h->pieces(w, &n);

	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), path, body, n };
	if (!body || !path.at)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	return mg_authorize(c, "x-goog-api-key");
}

/* What the details do not name is text's; all that came out is of the kind that was asked for. */
static void add_up(struct mg_call *c, struct mg_view u, bool sound)
{
	struct media *m = c->state;
	struct mg_usage one = { .size = sizeof(one) };

	m->sum.size = sizeof(m->sum);
	m->sum.cost_nusd = -1;
	m->sum.requests++;
	measured(c, u, &one);
	m->sum.input += one.input;
	m->sum.cached += one.cached;
	m->sum.image_tokens += one.image_tokens;
	m->sum.audio_in += one.audio_in;
	m->sum.reasoning += one.reasoning;
	m->sum.output += sound ? 0 : one.output;
	m->sum.audio_out += one.audio_out + (sound ? one.output : 0);
}

static int no_media(struct mg_call *c, struct mg_str why)
{
	struct mg_failure out = { .size = sizeof(out), .kind = MG_E_MODERATION, .code = why, .message = MG_STR("the upstream's filters gave nothing for this") };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (mg_is(why, words[i].word) && words[i].finish != MG_CONTENT_FILTER) {
			out.kind = MG_E_UPSTREAM;
			out.retryable = true;
			out.message = MG_STR("the upstream gave up on its answer");
		}
	return c->host->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &out));
}

/* ---------------------------------------------------------------- pictures */

/* "1K", "2K": by resolution, or by size, which may not be pixels here. */
static int put_shape(struct mg_call *c, struct mg_writer *w, const char *tier)
{
	const struct mg_host *h = c->host;
	struct mg_str ratio = h->text(c, mg_asked(c, "aspect_ratio")), size = h->text(c, mg_asked(c, "resolution"));
	struct mg_str other = h->text(c, mg_asked(c, "size"));

	if (mg_is(h->text(c, mg_asked(c, "background")), "transparent"))
		return h->fail(c, MG_EINVAL, "background: this upstream makes no transparent one");
	if (memchr(other.at ? other.at : "", 'x', other.len))
		return h->fail(c, MG_EINVAL, "size: this upstream takes 1K, 2K or 4K, and aspect_ratio");
	if (!mg_is(ratio, "auto"))
		h->put(w, "aspectRatio", ratio);
	h->put(w, tier, size.at ? size : mg_is(other, "auto") ? (struct mg_str){ NULL, 0 } : other);
	return MG_OK;
}

static bool is_imagen(struct mg_call *c)
{
	struct mg_str model = c->host->text(c, c->host->get(c->host->endpoint(c), "model"));

	return mg_quirk_is(c, "images", "predict") || (!mg_quirk(c, "images").doc && begins(model, "imagen"));
}

static int imagen_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_writer *w = h->writer(c);
	struct mg_str format = h->text(c, mg_asked(c, "output_format"));
	int rc;

	if (h->kind(h->at(mg_asked(c, "input_references"), 0)))
		return h->fail(c, MG_EINVAL, "input_references: this upstream takes a prompt alone");
	if (format.at && !mg_is(format, "png") && !mg_is(format, "jpeg"))
		return h->fail(c, MG_EINVAL, "output_format: this upstream makes png and jpeg");
	h->open(w, NULL, '{');
	h->open(w, "instances", '[');
	h->open(w, NULL, '{');
	h->put_raw(w, "prompt", h->raw(mg_asked(c, "prompt")));
	h->close(w);
	h->close(w);
	h->open(w, "parameters", '{');
	h->put_raw(w, "sampleCount", h->kind(mg_asked(c, "n")) == MG_NUMBER ? h->raw(mg_asked(c, "n")) : MG_STR("1"));	/* theirs is four */
	rc = put_shape(c, w, "sampleImageSize");
	if (rc)
		return rc;
	if (format.at) {
		h->open(w, "outputOptions", '{');
		h->put(w, "mimeType", mg_is(format, "png") ? MG_STR("image/png") : MG_STR("image/jpeg"));
		h->close(w);
	}
	for (struct mg_view v = h->at(h->get(h->get(h->endpoint(c), "options"), "parameters"), 0); h->kind(v); v = h->next(v))
		h->put_raw(w, mg_terminated(c, h->name(v)), h->raw(v));		/* personGeneration and the like */
	h->close(w);
	h->close(w);
	return post_media(c, w, mg_path(c, "images_path", MG_STR("/models/{model}:predict")), out);
}

/* {"predictions":[{"bytesBase64Encoded","mimeType"} or {"raiFilteredReason"}]} */
static int imagen_frame(struct mg_call *c, struct mg_view j)
{
	const struct mg_host *h = c->host;
	struct mg_usage u = { .size = sizeof(u), .requests = 1, .cost_nusd = -1 };
	struct mg_str why = { NULL, 0 };
	int rc = h->emit(c, MG_EVENT(MG_EV_START, .name = h->text(c, h->get(h->endpoint(c), "model"))));

	for (struct mg_view v = h->at(h->get(j, "predictions"), 0); h->kind(v) && !rc; v = h->next(v)) {
		struct mg_str bytes = h->blob(c, h->get(v, "bytesBase64Encoded")), type = h->text(c, h->get(v, "mimeType"));

		if (h->get(v, "raiFilteredReason").doc) {
			why = h->text(c, h->get(v, "raiFilteredReason"));
			continue;
		}
		if (!bytes.len)
			return h->fail(c, MG_EPROTO, "predictions[]: no picture in base64");
		rc = h->emit(c, MG_EVENT(MG_EV_IMAGE, .index = (uint32_t)u.images_out++, .data = bytes, .name = type.at ? type : MG_STR("image/png")));
	}
	if (rc || !u.images_out)
		return rc ? rc : no_media(c, why);
	return h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &u));
}

/* -------------------------------------------------------- generateContent */

/* prompt and references as a user's parts; more: the rest of generationConfig is written by it. */
static int put_asking(struct mg_call *c, struct mg_writer *w, const char *member, struct mg_str modality)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	h->open(w, "contents", '[');
	h->open(w, NULL, '{');
	h->put(w, "role", MG_STR("user"));
	h->open(w, "parts", '[');
	for (struct mg_view v = h->at(mg_asked(c, "input_references"), 0); h->kind(v) && !rc; v = h->next(v))
		rc = put_part(c, w, v);
	h->open(w, NULL, '{');
	h->put_raw(w, "text", h->raw(mg_asked(c, member)));
	h->close(w);
	h->close(w);
	h->close(w);
	h->close(w);
	h->open(w, "generationConfig", '{');
	h->open(w, "responseModalities", '[');
	h->put(w, NULL, modality);
	h->close(w);
	return rc;
}

static void put_options(struct mg_call *c, struct mg_writer *w)
{
	static const char *const same[] = { "safetySettings", "labels" };
	const struct mg_host *h = c->host;

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		h->put_raw(w, same[i], h->raw(h->get(h->get(h->endpoint(c), "options"), same[i])));
}

static int image_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct media *m = c->state;
	struct mg_str format = h->text(c, mg_asked(c, "output_format"));
	struct mg_writer *w = h->writer(c);
	int rc;

	if (is_imagen(c))
		return imagen_request(c, out);
	if (format.at && !mg_is(format, "png"))
		return h->fail(c, MG_EINVAL, "output_format: this upstream makes png");
	h->open(w, NULL, '{');
	rc = put_asking(c, w, "prompt", MG_STR("IMAGE"));
	if (rc)
		return rc;
	h->open(w, "imageConfig", '{');
	rc = put_shape(c, w, "imageSize");
	if (rc)
		return rc;
	h->close(w);
	h->put_raw(w, "seed", h->raw(mg_asked(c, "seed")));
	h->close(w);
	put_options(c, w);
	h->close(w);
	rc = post_media(c, w, mg_path(c, "path", MG_STR("/models/{model}:generateContent")), out);
	m->http = *out;
	return rc;
}

/* One exchange gives one picture, as a rule; for more it is asked again. */
static int image_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct media *m = c->state;
	struct mg_view one = h->at(h->get(f->json, "candidates"), 0);
	struct mg_str why = h->text(c, h->get(one, "finishReason"));
	uint64_t want = 1, before = m->made;
	int rc = MG_OK;

	if (is_imagen(c))
		return imagen_frame(c, f->json);
	h->count(mg_asked(c, "n"), &want);
	if (!before)
		rc = h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(f->json, "responseId")), .name = h->text(c, h->get(f->json, "modelVersion"))));
	for (struct mg_view p = h->at(h->get(h->get(one, "content"), "parts"), 0); h->kind(p) && !rc; p = h->next(p)) {
		struct mg_view data = h->get(p, "inlineData");
		struct mg_str bytes = h->blob(c, h->get(data, "data"));

		if (!data.doc || h->kind(h->get(p, "thought")) == MG_TRUE)
			continue;
		if (!bytes.len)
			return h->fail(c, MG_EPROTO, "a picture that is not base64");
		rc = h->emit(c, MG_EVENT(MG_EV_IMAGE, .index = (uint32_t)m->made++, .data = bytes, .name = h->text(c, h->get(data, "mimeType"))));
	}
	if (rc)
		return rc;
	if (m->made == before)
		return no_media(c, why.at ? why : h->text(c, h->get(h->get(f->json, "promptFeedback"), "blockReason")));
	add_up(c, h->get(f->json, "usageMetadata"), false);
	m->sum.images_out = m->made;
	rc = h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m->sum));
	return rc || m->made >= want ? rc : h->follow(c, &m->http, 0);
}

/* ---------------------------------------------------------------- speech */

static int speech_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_str format = h->text(c, mg_asked(c, "response_format")), voice = h->text(c, mg_asked(c, "voice"));
	struct mg_writer *w = h->writer(c);
	int rc;

	if (format.at && !mg_is(format, "pcm") && !mg_is(format, "wav"))
		return h->fail(c, MG_EINVAL, "response_format: this upstream makes pcm and wav");
	if (mg_asked(c, "instructions").doc)
		return h->fail(c, MG_EINVAL, "instructions: this upstream takes them in the input");
	h->open(w, NULL, '{');
	rc = put_asking(c, w, "input", MG_STR("AUDIO"));
	if (rc)
		return rc;
	h->open(w, "speechConfig", '{');
	if (voice.at) {
		h->open(w, "voiceConfig", '{');
		h->open(w, "prebuiltVoiceConfig", '{');
		h->put(w, "voiceName", voice);
		h->close(w);
		h->close(w);
	}
	h->put_raw(w, "languageCode", h->raw(mg_asked(c, "language")));
	h->close(w);
	h->close(w);
	put_options(c, w);
	h->close(w);
	return post_media(c, w, mg_path(c, "path", MG_STR("/models/{model}:generateContent")), out);
}

/* All the samples, for a file's head says how many they are. */
static int speech_file(struct mg_call *c, struct mg_view parts, struct mg_str type)
{
	const struct mg_host *h = c->host;
	struct mg_str all = { NULL, 0 }, one;
	size_t room = 0;
	char *out;

	for (struct mg_view p = h->at(parts, 0); h->kind(p); p = h->next(p))
		room += h->text(c, h->get(h->get(p, "inlineData"), "data")).len;
	all.at = out = h->alloc(c, room + 1);
	for (struct mg_view p = h->at(parts, 0); out && h->kind(p); p = h->next(p)) {
		one = h->blob(c, h->get(h->get(p, "inlineData"), "data"));
		if (one.len && all.len + one.len <= room)
			memcpy(out + all.len, one.at, one.len);
		all.len += one.len;
	}
	all = out ? wav(c, type, all) : all;
	return all.at ? h->emit(c, MG_EVENT(MG_EV_AUDIO, .data = all, .name = MG_STR("audio/wav"))) : h->fail(c, MG_ENOMEM, "no memory for sound");
}

static int speech_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct media *m = c->state;
	struct mg_view one = h->at(h->get(f->json, "candidates"), 0);
	struct mg_str why = h->text(c, h->get(one, "finishReason"));
	bool file = mg_is(h->text(c, mg_asked(c, "response_format")), "wav");
	int rc = h->emit(c, MG_EVENT(MG_EV_START, .id = h->text(c, h->get(f->json, "responseId")), .name = h->text(c, h->get(f->json, "modelVersion"))));

	for (struct mg_view p = h->at(h->get(h->get(one, "content"), "parts"), 0); h->kind(p) && !rc; p = h->next(p)) {
		struct mg_view data = h->get(p, "inlineData");
		struct mg_str type = h->text(c, h->get(data, "mimeType")), bytes = h->blob(c, h->get(data, "data"));

		if (!data.doc)
			continue;
		if (!bytes.len)
			return h->fail(c, MG_EPROTO, "a sound that is not base64");
		m->made++;
		if (file && begins(type, "audio/L16")) {
			rc = speech_file(c, h->get(h->get(one, "content"), "parts"), type);
			break;
		}
		rc = h->emit(c, MG_EVENT(MG_EV_AUDIO, .data = bytes, .name = type));
	}
	if (rc || !m->made)
		return rc ? rc : no_media(c, why.at ? why : h->text(c, h->get(h->get(f->json, "promptFeedback"), "blockReason")));
	add_up(c, h->get(f->json, "usageMetadata"), true);
	m->sum.characters = mg_characters(h->text(c, mg_asked(c, "input")));
	return h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m->sum));
}

#endif
