/*
 * sim/rank.h - embeddings and rerank by the words that texts share.
 */
#ifndef SIM_RANK_H
#define SIM_RANK_H

#include "script.h"

enum { DIMENSIONS = 256, DIMENSIONS_MAX = 8192, INPUTS = 2048 };

static double root(double v)	/* Newton's: no libm for one square root */
{
	double r = v > 1 ? v : 1;

	for (int i = 0; i < 60 && v > 0; i++)
		r = (r + v / r) / 2;
	return v > 0 ? r : 0;
}

static uint64_t word_hash(struct mg_str w)
{
	uint64_t h = 0xcbf29ce484222325u;

	if (w.len > 3 && (w.at[w.len - 1] | 0x20) == 's')
		w.len--;
	for (size_t i = 0; i < w.len; i++)
		h = (h ^ (unsigned char)(w.at[i] >= 'A' && w.at[i] <= 'Z' ? w.at[i] + 32 : w.at[i])) * 0x100000001b3u;
	return h ^ h >> 31;
}

/* Each word, and each of its beginnings of three letters a little, moves some dimensions. */
static void embed(struct mg_str text, double *v, size_t n)
{
	struct mg_str left = text, w;
	double all = 0;

	memset(v, 0, n * sizeof(*v));
	while ((w = word(&left)).len) {
		uint64_t h = word_hash(w), stem = word_hash(cut(w, 4)) * 31;

		for (int k = 0; k < 4; k++, h = h * 0x9e3779b97f4a7c15u + 1, stem = stem * 0x9e3779b97f4a7c15u + 1) {
			v[(h >> 20) % n] += (h >> 60) & 1 ? 1 : -1;
			v[(stem >> 20) % n] += (stem >> 60) & 1 ? 0.5 : -0.5;
		}
	}
	for (size_t i = 0; i < n; i++)
		all += v[i] * v[i];
	if (all <= 0) {
		v[hash(1, text) % n] = 1;
		all = 1;
	}
	all = root(all);
	for (size_t i = 0; i < n; i++)
		v[i] /= all;
}

/* One input: a text, token numbers, or {content: parts}. */
static struct mg_str input_text(const struct ask *a, struct mg_view v)
{
	const struct mg_host *h = a->c->host;

	return h->kind(v) == MG_STRING ? h->text(a->c, v) : h->kind(v) == MG_OBJECT ? content(a, v) : h->raw(v);
}

static int vector(struct script *s, const struct ask *a, struct mg_view v, uint32_t index, size_t n, uint64_t *used)
{
	struct mg_str text = input_text(a, v);
	double *at = a->c->host->alloc(a->c, n * sizeof(*at));

	if (!at)
		return a->c->host->fail(a->c, MG_ENOMEM, "no memory for the embedding");
	embed(text, at, n);
	*used += tokens(text.len);
	line(s, "vector", tokens(text.len));
	with_count(s, "index", index);
	say(&s->out, ",\"extra\":[");
	for (size_t i = 0; i < n; i++)
		print(&s->out, at[i] ? "%s%.7f" : "%s0", i ? "," : "", at[i]);
	say(&s->out, "]");
	line_end(s);
	return MG_OK;
}

static void usage_line(struct script *s, uint64_t input, uint64_t searches)
{
	line(s, "usage", 0);
	with_count(s, "input", input);
	with_count(s, "searches", searches);
	with_count(s, "requests", 1);
	line_end(s);
	line(s, "finish", 0);
	with(s, "finish", MG_STR("stop"));
	line_end(s);
}

static int embeddings_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct ask a = { .c = c, .body = h->request(c) };
	struct mg_view in = h->get(a.body, "input"), first = h->at(in, 0);
	struct script s = script_new(c);
	uint64_t n = DIMENSIONS, used = 0, i = 0;
	int rc = MG_OK;

	if (!in.doc)
		return h->fail(c, MG_EINVAL, "input: missing");
	h->count(h->get(a.body, "dimensions"), &n);
	if (!n || n > DIMENSIONS_MAX)
		return h->fail(c, MG_EINVAL, "dimensions: from 1 to %d", DIMENSIONS_MAX);
	a.seed = hash(7, h->raw(in));
	start_line(&s, a.seed);
	if (h->kind(in) != MG_ARRAY || h->kind(first) == MG_NUMBER)
		rc = vector(&s, &a, in, 0, n, &used);
	else
		for (; h->kind(first) && !rc && i < INPUTS; first = h->next(first), i++)
			rc = vector(&s, &a, first, (uint32_t)i, n, &used);
	if (rc)
		return rc;
	if (h->kind(first))
		return h->fail(c, MG_EINVAL, "input: at most %d", INPUTS);
	usage_line(&s, used, 0);
	rc = strike(&s, a.seed);
	return rc ? rc : script_send(&s, out);
}

/* How near the two are: 0 to 1. */
static double nearness(struct mg_str a, struct mg_str b)
{
	double va[DIMENSIONS], vb[DIMENSIONS], dot = 0;

	embed(a, va, DIMENSIONS);
	embed(b, vb, DIMENSIONS);
	for (size_t i = 0; i < DIMENSIONS; i++)
		dot += va[i] * vb[i];
	return dot < 0 ? 0 : dot > 1 ? 1 : dot;
}

static int rerank_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct ask a = { .c = c, .body = h->request(c) };
	struct mg_str query = text_of(&a, a.body, "query");
	struct mg_view v = h->at(h->get(a.body, "documents"), 0);
	struct script s = script_new(c);
	uint64_t used = tokens(query.len), i = 0;
	int rc;

	if (!query.at || !v.doc)
		return h->fail(c, MG_EINVAL, "query and documents: both are needed");
	a.seed = hash(hash(11, query), h->raw(h->get(a.body, "documents")));
	start_line(&s, a.seed);
	for (; h->kind(v) && i < INPUTS; v = h->next(v), i++) {
		struct mg_str text = h->kind(v) == MG_OBJECT ? text_of(&a, v, "text") : h->text(c, v);

		used += tokens(text.len);
		line(&s, "score", tokens(text.len));
		with_count(&s, "index", i);
		print(&s.out, ",\"extra\":{\"relevance_score\":%.6f}", text.at ? nearness(query, text) : 0);
		line_end(&s);
	}
	usage_line(&s, used, 1);
	rc = strike(&s, a.seed);
	return rc ? rc : script_send(&s, out);
}

static int models_request(struct mg_call *c, struct mg_http *out)
{
	struct script s = script_new(c);

	line(&s, "model", 0);
	with(&s, "id", MG_STR("sim"));
	with_json(&s, "extra", MG_STR("{\"id\":\"sim\",\"object\":\"model\",\"owned_by\":\"sim\"}"));
	line_end(&s);
	line(&s, "finish", 0);
	with(&s, "finish", MG_STR("stop"));
	line_end(&s);
	return script_send(&s, out);
}

#endif
