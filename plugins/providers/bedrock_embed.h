/*
 * bedrock_embed.h - vectors, by InvokeModel in the model's own words: Cohere
 * takes 96 texts at once, Titan one: what is left is asked for in another exchange.
 */
#ifndef BEDROCK_EMBED_H
#define BEDROCK_EMBED_H

#include "moongate_chat.h"

enum { AT_ONCE = 96 };

struct embed {
	bool started, cohere;
	uint32_t from, n, all;		/* inputs of this exchange; of all */
	uint64_t tokens;
	struct mg_str path, body;
};

static struct mg_view input_at(struct mg_call *c, uint32_t i)
{
	struct mg_view input = mg_asked(c, "input");

	return c->host->kind(input) == MG_ARRAY ? c->host->at(input, i) : input;
}

static void put_cohere(struct mg_call *c, struct mg_writer *w, const struct embed *e)
{
	const struct mg_host *h = c->host;
	struct mg_str type = h->text(c, mg_asked(c, "input_type"));
	struct mg_view v = input_at(c, e->from);

	h->open(w, "texts", '[');
	for (uint32_t i = 0; i < e->n; i++, v = h->next(v))
		h->put_raw(w, NULL, h->raw(v));
	h->close(w);
	h->put(w, "input_type", mg_is(type, "query") ? MG_STR("search_query") : !type.len || mg_is(type, "document") ? MG_STR("search_document") : type);
	h->put_raw(w, "output_dimension", h->raw(mg_asked(c, "dimensions")));
	h->put_raw(w, "truncate", h->raw(mg_asked(c, "truncate")));
}

/* The next inputs; e->n is how many. */
static int embed_next(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct embed *e = c->state;
	struct mg_writer *w = h->writer(c);

	e->n = e->cohere ? e->all - e->from : 1;
	e->n = e->n < AT_ONCE ? e->n : AT_ONCE;
	h->open(w, NULL, '{');
	if (e->cohere) {
		put_cohere(c, w, e);
	} else {
		h->put_raw(w, "inputText", h->raw(input_at(c, e->from)));
		h->put_raw(w, "dimensions", h->raw(mg_asked(c, "dimensions")));
		h->put_raw(w, "normalize", h->raw(mg_asked(c, "normalize")));
	}
	h->close(w);
	e->body = h->written(w);
	if (!e->body.at || !e->path.at)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), e->path, &e->body, 1 };
	return MG_OK;
}

static int embed_body(struct mg_call *c, struct mg_str path, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct embed *e = c->state;
	struct mg_view input = mg_asked(c, "input");
	struct mg_str model = h->text(c, h->get(h->endpoint(c), "model"));

	for (struct mg_view v = input_at(c, 0); h->kind(v); v = h->next(v), e->all++) {
		if (h->kind(v) != MG_STRING)
			return h->fail(c, MG_EINVAL, "input: this upstream takes a text or a list of texts");
		if (h->kind(input) != MG_ARRAY) {
			e->all = 1;
			break;
		}
	}
	if (!e->all)
		return h->fail(c, MG_EINVAL, "input: missing, or empty");
	e->path = path;
	e->cohere = mg_quirk_is(c, "family", "cohere") || (model.at && memmem(model.at, model.len, "cohere.", 7));
	return embed_next(c, out);
}

static int vector(struct mg_call *c, uint32_t index, struct mg_view v)
{
	return c->host->emit(c, MG_EVENT(MG_EV_VECTOR, .index = index, .extra = c->host->raw(v)));
}

static int embed_vectors(struct mg_call *c, struct mg_view j, uint32_t *n)
{
	const struct mg_host *h = c->host;
	const struct embed *e = c->state;
	struct mg_view list = h->get(j, "embeddings"), one = h->get(j, "embedding");
	int rc = MG_OK;

	if (h->kind(list) == MG_OBJECT)		/* by type */
		list = h->get(list, "float").doc ? h->get(list, "float") : h->at(list, 0);
	for (struct mg_view v = h->at(list, 0); h->kind(list) == MG_ARRAY && h->kind(v) && !rc; v = h->next(v))
		rc = vector(c, e->from + (*n)++, v);
	if (h->kind(one) == MG_ARRAY && !*n && !rc)
		rc = vector(c, e->from + (*n)++, one);
	return rc;
}

static uint64_t header_count(struct mg_call *c, const char *name)
{
	uint64_t n = 0;

	c->host->count(c->host->parse(c, c->host->answer(c, name)), &n);
	return n;
}

static int embed_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct embed *e = c->state;
	struct mg_usage u = { .size = sizeof(u), .requests = 1, .cost_nusd = -1 };
	struct mg_http next;
	uint64_t tokens = 0;
	uint32_t n = 0;
	int rc = MG_OK;

	if (!e->started)
		rc = h->emit(c, MG_EVENT(MG_EV_START, .id = h->answer(c, "x-amzn-requestid"), .name = h->text(c, h->get(h->endpoint(c), "model"))));
	e->started = true;
	if (!rc)
		rc = embed_vectors(c, f->json, &n);
	if (rc)
		return rc;
	if (n != e->n)
		return h->fail(c, MG_EPROTO, "%u vectors for %u texts", n, e->n);
	if (!h->count(h->get(f->json, "inputTextTokenCount"), &tokens))
		tokens = header_count(c, "x-amzn-bedrock-input-token-count");
	e->tokens += tokens < INT64_MAX - e->tokens ? tokens : 0;
	e->from += n;
	u.input = e->tokens;
	rc = h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &u));
	if (rc || e->from >= e->all)
		return rc;
	rc = embed_next(c, &next);
	return rc ? rc : h->follow(c, &next, 0);
}

#endif
