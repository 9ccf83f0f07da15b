/*
 * bedrock_rerank.h - documents by their relevance, by InvokeModel: Cohere's
 * models and Amazon's, which speak alike.
 */
#ifndef BEDROCK_RERANK_H
#define BEDROCK_RERANK_H

#include "moongate_chat.h"

enum { A_SEARCH = 100 };		/* documents that are paid as one */

static int rerank_body(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_str *body = h->alloc(c, sizeof(*body)), model = h->text(c, h->get(h->endpoint(c), "model"));
	struct mg_writer *w = h->writer(c);
	bool cohere = mg_quirk_is(c, "family", "cohere") || (model.at && memmem(model.at, model.len, "cohere.", 7));

	h->open(w, NULL, '{');
	if (cohere)
		h->put_int(w, "api_version", 2);
	h->put_raw(w, "query", h->raw(mg_asked(c, "query")));
	h->open(w, "documents", '[');
	for (struct mg_view v = h->at(mg_asked(c, "documents"), 0); h->kind(v); v = h->next(v)) {
		struct mg_view text = h->kind(v) == MG_OBJECT ? h->get(v, "text") : v;

		if (h->kind(text) != MG_STRING)
			return h->fail(c, MG_EINVAL, "documents[]: this upstream takes texts");
		h->put_raw(w, NULL, h->raw(text));
	}
	h->close(w);
	h->put_raw(w, "top_n", h->raw(mg_asked(c, "top_n")));
	h->close(w);
	if (!body || !(*body = h->written(w)).at)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), mg_path(c, "", MG_STR("/model/{model}/invoke")), body, 1 };
	return MG_OK;
}

static int rerank_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view list = h->get(f->json, "results");
	struct mg_usage u = { .size = sizeof(u), .requests = 1, .cost_nusd = -1 };
	uint64_t documents = 0;
	int rc;

	if (h->kind(list) != MG_ARRAY)
		return h->fail(c, MG_EPROTO, "an answer without results[]");
	rc = h->emit(c, MG_EVENT(MG_EV_START, .id = h->answer(c, "x-amzn-requestid"), .name = h->text(c, h->get(h->endpoint(c), "model"))));
	for (struct mg_view v = h->at(list, 0); h->kind(v) && !rc; v = h->next(v)) {
		struct mg_view score = h->get(v, h->get(v, "relevance_score").doc ? "relevance_score" : "relevanceScore");
		uint64_t i = 0;

		if (!h->count(h->get(v, "index"), &i) || h->kind(score) != MG_NUMBER)
			return h->fail(c, MG_EPROTO, "results[]: without an index or a score");
		rc = h->emit(c, MG_EVENT(MG_EV_SCORE, .index = (uint32_t)i, .extra = h->raw(score)));
	}
	for (struct mg_view v = h->at(mg_asked(c, "documents"), 0); h->kind(v); v = h->next(v))
		documents++;
	u.searches = (documents + A_SEARCH - 1) / A_SEARCH;
	return rc ? rc : h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &u));
}

#endif
