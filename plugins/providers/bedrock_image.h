/*
 * bedrock_image.h - pictures by InvokeModel: Amazon's models by their task,
 * Stability's by their prompt.
 */
#ifndef BEDROCK_IMAGE_H
#define BEDROCK_IMAGE_H

#include <stdio.h>

#include "moongate_chat.h"

enum { SIDE_MAX = 4096, STEP = 16 };

static bool is_stability(struct mg_call *c)
{
	struct mg_str model = c->host->text(c, c->host->get(c->host->endpoint(c), "model"));

	return mg_quirk_is(c, "family", "stability") || (model.at && memmem(model.at, model.len, "stability.", 10));
}

/* "1024x768", "16:9": two numbers around a mark; false: it is none. */
static bool two_numbers(struct mg_str s, char mark, uint64_t *a, uint64_t *b)
{
	uint64_t n[2] = { 0, 0 };
	size_t at = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == mark && !at && i)
			at = 1;
		else if (s.at[i] >= '0' && s.at[i] <= '9' && n[at] < 100000)
			n[at] = n[at] * 10 + (uint64_t)(s.at[i] - '0');
		else
			return false;
	}
	*a = n[0];
	*b = n[1];
	return at && n[0] && n[1];
}

/* Sides of what was asked for: the pixels, or the largest that have the ratio and no more than the area. */
static void put_sides(struct mg_call *c, struct mg_writer *w)
{
	static const struct { const char *word; uint64_t side; } tiers[] = { { "512", 512 }, { "1K", 1024 }, { "2K", 2048 }, { "4K", 2048 } };
	const struct mg_host *h = c->host;
	struct mg_str size = h->text(c, mg_asked(c, "size")), tier = h->text(c, mg_asked(c, "resolution"));
	struct mg_str ratio = h->text(c, mg_asked(c, "aspect_ratio"));
	uint64_t width, height, across = 1, down = 1, side = 1024;

	if (!two_numbers(size, 'x', &width, &height)) {
		bool shaped = two_numbers(ratio, ':', &across, &down), sized = false;

		for (size_t i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++)
			if (mg_is(tier, tiers[i].word) || mg_is(size, tiers[i].word)) {
				side = tiers[i].side;
				sized = true;
			}
		if (!shaped && !sized)
			return;		/* as the model likes */
		width = height = side;
		for (uint64_t x = STEP; shaped && x <= SIDE_MAX; x += STEP)
			if (x * (x * down / across / STEP * STEP) <= side * side) {
				width = x;
				height = x * down / across / STEP * STEP;
			}
	}
	h->put_int(w, "width", (int64_t)width);
	h->put_int(w, "height", (int64_t)height);
}

static void put_task(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_str quality = h->text(c, mg_asked(c, "quality"));

	h->put(w, "taskType", MG_STR("TEXT_IMAGE"));
	h->open(w, "textToImageParams", '{');
	h->put_raw(w, "text", h->raw(mg_asked(c, "prompt")));
	h->close(w);
	h->open(w, "imageGenerationConfig", '{');
	h->put_raw(w, "numberOfImages", h->raw(mg_asked(c, "n")));
	put_sides(c, w);
	h->put_raw(w, "seed", h->raw(mg_asked(c, "seed")));
	if (quality.at && !mg_is(quality, "auto"))
		h->put(w, "quality", mg_is(quality, "high") ? MG_STR("premium") : MG_STR("standard"));
	h->close(w);
}

static int image_body(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_str *body = h->alloc(c, sizeof(*body)), format = h->text(c, mg_asked(c, "output_format"));
	struct mg_writer *w = h->writer(c);

	if (h->kind(h->at(mg_asked(c, "input_references"), 0)))
		return h->fail(c, MG_EINVAL, "input_references: this upstream takes a prompt alone");
	h->open(w, NULL, '{');
	if (is_stability(c)) {
		h->put_raw(w, "prompt", h->raw(mg_asked(c, "prompt")));
		h->put(w, "mode", MG_STR("text-to-image"));
		h->put_raw(w, "aspect_ratio", h->raw(mg_asked(c, "aspect_ratio")));
		h->put_raw(w, "seed", h->raw(mg_asked(c, "seed")));
		if (mg_is(format, "png") || mg_is(format, "jpeg"))
			h->put(w, "output_format", format);
	} else {
		put_task(c, w);
	}
	h->close(w);
	if (!body || !(*body = h->written(w)).at)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), mg_path(c, "", MG_STR("/model/{model}/invoke")), body, 1 };
	return MG_OK;
}

/* Filters of the service: it says why in words, and gives fewer pictures, or none. */
static int filtered(struct mg_call *c, struct mg_str why)
{
	struct mg_failure out = { .size = sizeof(out), .kind = MG_E_MODERATION, .message = why };

	return c->host->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &out));
}

static int image_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_usage u = { .size = sizeof(u), .requests = 1, .cost_nusd = -1 };
	struct mg_str why = h->text(c, h->get(f->json, "error"));
	int rc;

	if (!why.len)
		why = h->text(c, h->at(h->get(f->json, "finish_reasons"), 0));
	if (!h->kind(h->at(h->get(f->json, "images"), 0)))
		return why.len ? filtered(c, why) : h->fail(c, MG_EPROTO, "an answer without images[]");
	rc = h->emit(c, MG_EVENT(MG_EV_START, .id = h->answer(c, "x-amzn-requestid"), .name = h->text(c, h->get(h->endpoint(c), "model"))));
	for (struct mg_view v = h->at(h->get(f->json, "images"), 0); h->kind(v) && !rc; v = h->next(v)) {
		struct mg_str bytes = h->blob(c, v);
		bool jpeg = bytes.len > 2 && !memcmp(bytes.at, "\xff\xd8", 2);

		if (!bytes.len)
			return h->fail(c, MG_EPROTO, "images[]: not base64");
		rc = h->emit(c, MG_EVENT(MG_EV_IMAGE, .index = (uint32_t)u.images_out++, .name = jpeg ? MG_STR("image/jpeg") : MG_STR("image/png"), .data = bytes));
	}
	return rc ? rc : h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &u));
}

#endif
