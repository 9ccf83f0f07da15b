/*
 * gemini_embed.h - vectors, in batches that the service takes, one exchange
 * after another; and the list of models.
 */
#ifndef GEMINI_EMBED_H
#define GEMINI_EMBED_H

#include "gemini_parts.h"

struct vectors { size_t done, sent; struct mg_usage usage; };	/* inputs answered, inputs of the exchange that runs */

static bool predicts(struct mg_call *c)
{
	return mg_quirk_is(c, "embeddings", "predict");
}

static bool single(struct mg_call *c)
{
	return mg_quirk_is(c, "embeddings", "single");
}

static size_t batch_of(struct mg_call *c)
{
	uint64_t n = 100;

	c->host->count(mg_quirk(c, "embeddings_batch"), &n);
	return single(c) || !n ? 1 : (size_t)n;
}

static struct mg_str task_of(struct mg_call *c)
{
	static const struct { const char *word, *task; } tasks[] = {
		{ "search_query", "RETRIEVAL_QUERY" }, { "query", "RETRIEVAL_QUERY" }, { "search_document", "RETRIEVAL_DOCUMENT" },
		{ "document", "RETRIEVAL_DOCUMENT" }, { "classification", "CLASSIFICATION" }, { "clustering", "CLUSTERING" },
		{ "similarity", "SEMANTIC_SIMILARITY" },
	};
	struct mg_str type = c->host->text(c, mg_asked(c, "input_type"));

	for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++)
		if (mg_is(type, tasks[i].word))
			return (struct mg_str){ tasks[i].task, strlen(tasks[i].task) };
	return type;		/* the service's own word */
}

/* A string, or {"content": parts}. */
static int put_input(struct mg_call *c, struct mg_writer *w, struct mg_view v)
{
	const struct mg_host *h = c->host;
	int rc;

	h->open(w, "content", '{');
	h->open(w, "parts", '[');
	rc = put_content(c, w, h->kind(v) == MG_OBJECT ? h->get(v, "content") : v, true, true);
	h->close(w);
	h->close(w);
	return rc;
}

static int put_one(struct mg_call *c, struct mg_writer *w, struct mg_view v)
{
	const struct mg_host *h = c->host;
	struct mg_str model = h->text(c, h->get(h->endpoint(c), "model"));
	char name[200];
	int rc;

	snprintf(name, sizeof(name), "models/%.*s", (int)(model.len < 190 ? model.len : 190), model.at ? model.at : "");
	h->open(w, NULL, '{');
	if (predicts(c)) {
		h->put(w, "content", h->text(c, v));
		h->put(w, "task_type", task_of(c));
		h->close(w);
		return MG_OK;
	}
	if (!single(c))
		h->put(w, "model", (struct mg_str){ name, strlen(name) });
	rc = put_input(c, w, v);
	h->put(w, "taskType", task_of(c));
	h->put_raw(w, "outputDimensionality", h->raw(mg_asked(c, "dimensions")));
	h->close(w);
	return rc;
}

static int check_input(struct mg_call *c, struct mg_view v)
{
	const struct mg_host *h = c->host;
	bool parts = h->kind(v) == MG_OBJECT && !predicts(c);

	if (h->kind(v) != MG_STRING && !parts)
		return h->fail(c, MG_EINVAL, "input: this upstream takes text%s, not token ids", predicts(c) ? "" : " and parts");
	return MG_OK;
}

/* The next inputs as one request. */
static int embed_some(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct vectors *s = c->state;
	struct mg_view input = mg_asked(c, "input"), v = h->kind(input) == MG_ARRAY ? h->at(input, s->done) : input;
	struct mg_writer *w = h->writer(c);
	struct mg_str *body = h->alloc(c, sizeof(*body));
	size_t most = batch_of(c);
	int rc = MG_OK;

	if (!single(c)) {
		h->open(w, NULL, '{');
		h->open(w, predicts(c) ? "instances" : "requests", '[');
	}
	for (s->sent = 0; h->kind(v) && s->sent < most && !rc; s->sent++, v = h->kind(input) == MG_ARRAY ? h->next(v) : (struct mg_view){ NULL, 0 }) {
		rc = check_input(c, v);
		if (!rc)
			rc = put_one(c, w, v);
	}
	if (!single(c)) {
		h->close(w);
		if (predicts(c) && h->kind(mg_asked(c, "dimensions")) == MG_NUMBER) {
			h->open(w, "parameters", '{');
			h->put_raw(w, "outputDimensionality", h->raw(mg_asked(c, "dimensions")));
			h->close(w);
		}
		h->close(w);
	}
	if (rc)
		return rc;
	if (!s->sent)
		return h->fail(c, MG_EINVAL, "input: empty; give a text or several");
	if (!body || !(*body = h->written(w)).at)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), mg_path(c, "embeddings_path",
		predicts(c) ? MG_STR("/models/{model}:predict") : single(c) ? MG_STR("/models/{model}:embedContent") : MG_STR("/models/{model}:batchEmbedContents")), body, 1 };
	return out->path.at ? MG_OK : h->fail(c, MG_ENOMEM, "no memory for the request");
}

static int embed_request(struct mg_call *c, struct mg_http *out)
{
	int rc = embed_some(c, out);

	return rc ? rc : mg_authorize(c, "x-goog-api-key");
}

/* {"embeddings":[{values}]}, {"embedding":{values}}, {"predictions":[{"embeddings":{values,statistics}}]} */
static int embed_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct vectors *s = c->state;
	struct mg_view list = h->get(f->json, predicts(c) ? "predictions" : "embeddings"), v = h->get(f->json, "embedding");
	struct mg_http next = { .size = sizeof(next) };
	uint64_t tokens;
	size_t n = 0;
	int rc = MG_OK;

	for (v = v.doc ? v : h->at(list, 0); h->kind(v) && !rc; v = list.doc ? h->next(v) : (struct mg_view){ NULL, 0 }, n++) {
		struct mg_view vector = predicts(c) ? h->get(v, "embeddings") : v;

		if (h->kind(h->get(vector, "values")) != MG_ARRAY)
			return h->fail(c, MG_EPROTO, "a vector without values");
		tokens = 0;
		h->count(h->get(h->get(vector, "statistics"), "token_count"), &tokens);
		s->usage.input += tokens;
		rc = h->emit(c, MG_EVENT(MG_EV_VECTOR, .index = (uint32_t)(s->done + n), .extra = h->raw(h->get(vector, "values"))));
	}
	if (rc)
		return rc;
	if (n != s->sent)
		return h->fail(c, MG_EPROTO, "%zu vectors for %zu inputs", n, s->sent);
	tokens = 0;
	h->count(h->get(h->get(f->json, "usageMetadata"), "promptTokenCount"), &tokens);
	s->usage.size = sizeof(s->usage);
	s->usage.cost_nusd = -1;
	s->usage.requests++;
	s->usage.input += tokens;
	rc = h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &s->usage));
	s->done += n;
	if (rc || h->kind(mg_asked(c, "input")) != MG_ARRAY || !h->kind(h->at(mg_asked(c, "input"), s->done)))
		return rc;
	rc = embed_some(c, &next);
	return rc ? rc : h->follow(c, &next, 0);
}

static struct mg_str models_path(struct mg_call *c)
{
	return mg_path(c, "models_path", MG_STR("/models?pageSize=1000"));
}

static int models_request(struct mg_call *c, struct mg_http *out)
{
	*out = (struct mg_http){ .size = sizeof(*out), .method = MG_STR("GET"), .path = models_path(c) };
	return mg_authorize(c, "x-goog-api-key");
}

/* "models/gemini-.." is gemini-.. */
static int models_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view list = h->get(f->json, "models").doc ? h->get(f->json, "models") : h->get(f->json, "publisherModels");
	int rc = MG_OK;

	if (h->kind(list) != MG_ARRAY && h->kind(f->json) != MG_OBJECT)
		return h->fail(c, MG_EPROTO, "an answer without models[]");
	for (struct mg_view v = h->at(list, 0); h->kind(v) && !rc; v = h->next(v)) {
		struct mg_str id = h->text(c, h->get(v, "name"));

		for (size_t i = id.len; i > 0; i--)
			if (id.at[i - 1] == '/') {
				id = (struct mg_str){ id.at + i, id.len - i };
				break;
			}
		rc = h->emit(c, MG_EVENT(MG_EV_MODEL, .id = id, .extra = h->raw(v)));
	}
	return rc ? rc : mg_next_page(c, models_path(c), "pageToken", h->text(c, h->get(f->json, "nextPageToken")));
}

#endif
