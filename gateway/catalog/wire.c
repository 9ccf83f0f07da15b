/* Models, endpoints and providers in the shapes of the public API (C1 to C7). */
#include <math.h>
#include "base/json.h"
#include "base/money.h"
#include "catalog/live.h"
#include "catalog/wire.h"

static void put_json(struct mg_writer *w, const char *name, json_t *v)
{
	char *text = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	if (text)
		json_put_raw(w, name, (struct mg_str){ text, strlen(text) });
	else
		json_put_null(w, name);
	free(text);
}

static void put_limit(struct mg_writer *w, const char *name, uint64_t n)
{
	if (n)
		json_put_int(w, name, (int64_t)n);
	else
		json_put_null(w, name);
}

/* ---- prices */

static const struct { const char *name; enum rate rate; int parent; } prices[] = {
	{ "prompt", RATE_PROMPT, -1 }, { "completion", RATE_COMPLETION, -1 }, { "request", RATE_REQUEST, -1 }, { "image", RATE_IMAGE, -1 },
	{ "web_search", RATE_SEARCH, -1 }, { "internal_reasoning", RATE_REASONING, RATE_COMPLETION },
	{ "input_cache_read", RATE_CACHE_READ, RATE_PROMPT }, { "input_cache_write", RATE_CACHE_WRITE, RATE_PROMPT },
	{ "input_cache_write_1h", RATE_CACHE_WRITE_1H, RATE_CACHE_WRITE }, { "image_token", RATE_IMAGE_TOKENS, RATE_PROMPT },
	{ "audio", RATE_AUDIO_IN, RATE_PROMPT }, { "audio_output", RATE_AUDIO_OUT, RATE_COMPLETION },
	{ "input_audio_cache", RATE_AUDIO_CACHE, RATE_CACHE_READ },
};

static void put_rate(struct mg_writer *w, const char *name, int64_t pusd)
{
	struct buf text;

	buf_init(&text, 64);
	money_text(&text, pusd, 12);
	json_put(w, name, buf_view(&text));
	buf_release(&text);
}

static int clock_number(int minute)
{
	return minute / 60 * 100 + minute % 60;
}

/* Its parent is given, too, and says the same. */
static bool follows(const struct rate_override *o, size_t k)
{
	int parent = prices[k].parent;

	return parent >= 0 && o->given & (1u << parent) && o->rates.pusd[prices[k].rate] == o->rates.pusd[parent];
}

static void put_overrides(struct mg_writer *w, const struct endpoint *e)
{
	if (!e->n_overrides)
		return;
	json_open(w, "overrides", '[');
	for (size_t i = 0; i < e->n_overrides; i++) {
		const struct rate_override *o = &e->overrides[i];

		json_open(w, NULL, '{');
		if (o->min_prompt_tokens)	/* theirs is "strictly more than" */
			json_put_int(w, "min_prompt_tokens", (int64_t)o->min_prompt_tokens - 1);
		if (o->utc_start >= 0) {
			json_put_int(w, "utc_start", clock_number(o->utc_start));
			json_put_int(w, "utc_end", clock_number(o->utc_end));
		}
		for (size_t k = 0; k < sizeof(prices) / sizeof(prices[0]); k++)
			if (o->given & (1u << prices[k].rate) && !follows(o, k))
				put_rate(w, prices[k].name, o->rates.pusd[prices[k].rate]);
		json_close(w);
	}
	json_close(w);
}

/* What only inherits is left out; "-1" where no price is known. */
static void put_pricing(struct mg_writer *w, const struct endpoint *e)
{
	json_open(w, "pricing", '{');
	for (size_t k = 0; k < sizeof(prices) / sizeof(prices[0]); k++) {
		int64_t rate = e->rates.pusd[prices[k].rate];

		if (!e->priced && k < 2)
			json_put_text(w, prices[k].name, "-1");
		else if (prices[k].parent < 0 || rate != e->rates.pusd[prices[k].parent])
			put_rate(w, prices[k].name, rate);
	}
	json_put_int(w, "discount", 0);
	put_overrides(w, e);
	json_close(w);
}

/* ---- models */

static void put_modalities(struct mg_writer *w, const struct model *m, const char *name, const char *side, struct buf *joined)
{
	json_t *list = json_object_get(json_object_get(m->row, "modalities"), side), *v;
	size_t i;

	json_open(w, name, '[');
	json_array_foreach(list, i, v) {
		json_put_text(w, NULL, json_string_value(v));
		buf_print(joined, "%s%s", i ? "+" : "", json_string_value(v));
	}
	if (!json_array_size(list)) {
		json_put_text(w, NULL, "text");
		buf_text(joined, "text");
	}
	json_close(w);
}

static void put_architecture(struct mg_writer *w, const struct model *m)
{
	struct buf joined;

	buf_init(&joined, 1024);
	json_open(w, "architecture", '{');
	put_modalities(w, m, "input_modalities", "input", &joined);
	buf_text(&joined, "->");
	put_modalities(w, m, "output_modalities", "output", &joined);
	json_put(w, "modality", buf_view(&joined));
	json_put_text(w, "tokenizer", model_tokenizer(m));
	json_put_text(w, "instruct_type", json_string_value(json_object_get(m->row, "instruct_type")));
	json_close(w);
	buf_release(&joined);
}

/* The names that clients know (F5); an endpoint may take more. */
static const char *const parameters[] = { "temperature", "top_p", "top_k", "min_p", "top_a", "frequency_penalty", "presence_penalty",
	"repetition_penalty", "max_tokens", "max_completion_tokens", "logit_bias", "logprobs", "top_logprobs", "prediction", "seed",
	"response_format", "structured_outputs", "stop", "tools", "tool_choice", "parallel_tool_calls", "include_reasoning", "reasoning",
	"reasoning_effort", "web_search_options", "verbosity" };

static bool takes(const struct endpoint *e, const char *parameter)
{
	json_t *v;
	size_t i;

	json_array_foreach(e->params, i, v)
		if (!strcmp(json_string_value(v), parameter))
			return true;
	return !e->params;	/* not known: all are passed on */
}

static void put_params(struct mg_writer *w, struct wire_face f)
{
	json_open(w, "supported_parameters", '[');
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		for (size_t k = 0; k < f.m->n_endpoints; k++) {
			const struct endpoint *e = f.m->endpoints[k];

			if (e->private || e->free != f.free || !takes(e, parameters[i]))
				continue;
			json_put_text(w, NULL, parameters[i]);
			break;
		}
	json_close(w);
}

static void put_details(struct mg_writer *w, const struct model *m)
{
	static const char *const nullable[] = { "default_parameters", "supported_voices", "expiration_date", "knowledge_cutoff", "hugging_face_id" };
	static const char *const optional[] = { "reasoning", "benchmarks" };
	struct buf path;

	for (size_t i = 0; i < sizeof(nullable) / sizeof(nullable[0]); i++)
		put_json(w, nullable[i], json_object_get(m->row, nullable[i]));
	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		if (json_object_get(m->row, optional[i]))
			put_json(w, optional[i], json_object_get(m->row, optional[i]));
	buf_init(&path, 1024);
	buf_print(&path, "/api/v1/models/%s/endpoints", m->slug);
	json_open(w, "links", '{');
	json_put(w, "details", buf_view(&path));
	json_close(w);
	buf_release(&path);
}

static void put_name(struct mg_writer *w, const char *member, const char *name, const char *more)
{
	struct buf text;

	buf_init(&text, 4096);
	buf_print(&text, "%s%s", name, more);
	json_put(w, member, buf_view(&text));
	buf_release(&text);
}

static void put_members(struct mg_writer *w, struct wire_face f)
{
	static const struct endpoint unpriced;
	const struct model *m = f.m;
	const struct endpoint *e = model_front(m, f.free);

	put_name(w, "id", m->slug, f.free ? ":free" : "");
	json_put_text(w, "canonical_slug", m->canonical);
	put_name(w, "name", m->name, f.free ? " (free)" : "");
	json_put_int(w, "created", m->created);
	json_put_text(w, "description", m->description);
	put_limit(w, "context_length", m->context_length);
	put_architecture(w, m);
	put_pricing(w, m->router ? &unpriced : e);
	json_open(w, "top_provider", '{');
	put_limit(w, "context_length", m->router ? 0 : e->context_length);
	put_limit(w, "max_completion_tokens", m->router ? 0 : e->max_output);
	json_put_bool(w, "is_moderated", json_is_true(json_object_get(m->row, "moderated")));
	json_close(w);
	json_put_null(w, "per_request_limits");
	put_params(w, f);
	put_details(w, m);
}

static void put_model(struct mg_writer *w, const char *name, struct wire_face f)
{
	json_open(w, name, '{');
	put_members(w, f);
	json_close(w);
}

/* ---- the list.  Rows without data sort last; equal ones keep the catalogue's order. */

struct order { struct mg_str by; uint64_t mono_ms; };

static double key(const struct model *m, bool free, const struct order *o)
{
	static const struct { const char *by; enum model_index index; } measured[] = { { "intelligence-high-to-low", INDEX_INTELLIGENCE },
		{ "coding-high-to-low", INDEX_CODING }, { "agentic-high-to-low", INDEX_AGENTIC }, { "design-arena-elo-high-to-low", INDEX_ARENA } };
	struct live_facts f;
	double best = INFINITY;

	for (size_t i = 0; i < sizeof(measured) / sizeof(measured[0]); i++)
		if (mg_is(o->by, measured[i].by))
			return model_index(m, measured[i].index, &best) ? -best : INFINITY;

	if (mg_is(o->by, "newest"))
		return m->created ? -(double)m->created : INFINITY;
	if (mg_is(o->by, "context-high-to-low"))
		return -(double)m->context_length;
	if (mg_is(o->by, "pricing-low-to-high") || mg_is(o->by, "pricing-high-to-low")) {
		const struct endpoint *e = model_front(m, free);
		double usd = (double)e->rates.pusd[RATE_PROMPT] + (double)e->rates.pusd[RATE_COMPLETION];

		return !e->priced || m->router ? INFINITY : mg_is(o->by, "pricing-low-to-high") ? usd : -usd;
	}
	for (size_t i = 0; i < m->n_endpoints; i++) {
		live_read(m->endpoints[i]->live, o->mono_ms, &f);
		if (mg_is(o->by, "latency-low-to-high") && f.ttft_ms.p50 > 0 && f.ttft_ms.p50 < best)
			best = f.ttft_ms.p50;
		if (mg_is(o->by, "throughput-high-to-low") && f.tput_tps.p50 > 0 && -f.tput_tps.p50 < best)
			best = -f.tput_tps.p50;
	}
	return best;
}

static int compare(const void *pa, const void *pb)
{
	const struct wire_row *a = pa, *b = pb;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->face.m->router != b->face.m->router)
		return a->face.m->router - b->face.m->router;
	if (a->face.m != b->face.m)
		return a->face.m < b->face.m ? -1 : 1;	/* models lie in one array */
	return a->face.free - b->face.free;
}

static size_t select_models(struct wire_row *rows, const struct catalog *c, const struct model_query *q, int64_t now_ms, uint64_t mono_ms)
{
	struct order o = { q->sort, mono_ms };
	size_t n = 0;

	for (size_t i = 0; i < c->n_models; i++)
		for (int free = 0; free < 2; free++)
			if (model_matches(&c->models[i], free, q, now_ms))
				rows[n++] = (struct wire_row){ { &c->models[i], free }, q->sort.len ? key(&c->models[i], free, &o) : 0 };
	for (size_t i = 0; q->routers && i < q->routers->n; i++)
		if (model_matches(&q->routers->at[i], false, q, now_ms))
			rows[n++] = (struct wire_row){ { &q->routers->at[i], false }, q->sort.len ? key(&q->routers->at[i], false, &o) : 0 };
	qsort(rows, n, sizeof(*rows), compare);
	return n;
}

static uint64_t page_size(const struct model_query *q)
{
	enum { PAGE = 500 };

	return q->limit ? q->limit : q->paged ? PAGE : 0;
}

static void put_links(struct mg_writer *w, const struct model_query *q, size_t total)
{
	uint64_t limit = page_size(q);
	struct buf next;

	buf_init(&next, 8192);
	json_open(w, "links", '{');
	if (limit && q->offset + limit < total) {
		buf_print(&next, "/api/v1/models?offset=%llu&limit=%llu", (unsigned long long)(q->offset + limit), (unsigned long long)limit);
		if (q->rest)
			buf_str(&next, buf_view(q->rest));
		json_put(w, "next", buf_view(&next));
	} else {
		json_put_null(w, "next");
	}
	json_close(w);
	buf_release(&next);
}

struct wire_row *wire_rows(const struct catalog *c, const struct model_query *q, int64_t now_ms, uint64_t mono_ms, size_t *n)
{
	struct wire_row *rows = calloc(c->n_models + ROUTERS_SHOWN, 2 * sizeof(*rows));

	*n = rows ? select_models(rows, c, q, now_ms, mono_ms) : 0;
	return rows;
}

void wire_models(struct buf *out, const struct catalog *c, const struct model_query *q, int64_t now_ms, uint64_t mono_ms)
{
	size_t n, from, to, limit = (size_t)page_size(q);
	struct wire_row *rows = wire_rows(c, q, now_ms, mono_ms, &n);
	struct mg_writer w;

	from = q->offset < n ? (size_t)q->offset : n;
	to = limit && limit < n - from ? from + limit : n;
	json_writer_init(&w, out);
	json_open(&w, NULL, '{');
	json_open(&w, "data", '[');
	for (size_t i = from; i < to; i++)
		put_model(&w, NULL, rows[i].face);
	json_close(&w);
	json_put_int(&w, "total_count", (int64_t)n);
	put_links(&w, q, n);
	json_close(&w);
	free(rows);
}

void wire_count(struct buf *out, const struct catalog *c, const struct model_query *q, int64_t now_ms)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_models; i++)
		n += (size_t)model_matches(&c->models[i], false, q, now_ms) + model_matches(&c->models[i], true, q, now_ms);
	for (size_t i = 0; q->routers && i < q->routers->n; i++)
		n += model_matches(&q->routers->at[i], false, q, now_ms);
	buf_print(out, "{\"data\":{\"count\":%zu}}", n);
}

/* What it says where there is such a thing, else the other; no model: nobody is to see it. */
static struct wire_face named(const struct catalog *c, const struct routers *r, struct mg_str slug)
{
	const char *colon = slug.len ? memchr(slug.at, ':', slug.len) : NULL;
	struct mg_str variant = colon ? (struct mg_str){ colon, (size_t)(slug.at + slug.len - colon) } : (struct mg_str){ 0 };
	const struct model *m = catalog_model(c, slug);
	bool free = false;

	if (!m && colon) {
		m = catalog_model(c, (struct mg_str){ slug.at, (size_t)(colon - slug.at) });
		free = mg_is(variant, ":free");
	}
	for (size_t i = 0; !m && r && i < r->n; i++)
		if (mg_is(slug, r->at[i].slug))
			m = &r->at[i];
	if (m && !m->router && !model_front(m, free))
		free = !free;
	return (struct wire_face){ m && model_front(m, free) ? m : NULL, free };
}

bool wire_model(struct buf *out, const struct catalog *c, const struct routers *r, struct mg_str slug)
{
	struct wire_face f = named(c, r, slug);
	struct mg_writer w;

	if (!f.m)
		return false;
	json_writer_init(&w, out);
	json_open(&w, NULL, '{');
	put_model(&w, "data", f);
	json_close(&w);
	return true;
}

bool wire_model_openai(struct buf *out, const struct catalog *c, const struct routers *r, struct mg_str slug)
{
	struct wire_face f = named(c, r, slug);
	struct mg_writer w;

	if (!f.m)
		return false;
	json_writer_init(&w, out);
	json_open(&w, NULL, '{');
	put_members(&w, f);
	json_put_text(&w, "object", "model");
	json_put(&w, "owned_by", (struct mg_str){ f.m->slug, strcspn(f.m->slug, "/") });
	json_close(&w);
	return true;
}

/* ---- endpoints */

static void put_number(struct mg_writer *w, const char *name, double n)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%.4g", n);

	json_put_raw(w, name, (struct mg_str){ text, (size_t)len });
}

static void put_pcts(struct mg_writer *w, const char *name, struct live_pcts p, bool show)
{
	if (!show || p.p50 <= 0) {
		json_put_null(w, name);
		return;
	}
	json_open(w, name, '{');
	put_number(w, "p50", p.p50);
	put_number(w, "p75", p.p75);
	put_number(w, "p90", p.p90);
	put_number(w, "p99", p.p99);
	json_close(w);
}

/* Per cent; null: nobody asked it. */
static void put_uptime(struct mg_writer *w, const char *name, double part, uint64_t samples)
{
	if (samples)
		put_number(w, name, 100 * part);
	else
		json_put_null(w, name);
}

static void put_health(struct mg_writer *w, const struct endpoint *e, bool live, uint64_t mono_ms)
{
	struct live_pcts ttft_ms, tput_tps;
	struct live_facts f;

	live_read(e->live, mono_ms, &f);
	live_last_30m(e->live, mono_ms, &ttft_ms, &tput_tps);
	json_put_int(w, "status", f.breaker == 2 ? -2 : f.breaker == 1 ? -1 : 0);
	put_uptime(w, "uptime_last_5m", 1 - f.error_rate, f.samples);
	put_uptime(w, "uptime_last_30m", f.uptime_30m, f.samples_30m);
	put_uptime(w, "uptime_last_1d", f.uptime_1d, f.samples_1d);
	put_pcts(w, "latency_last_30m", ttft_ms, live);
	put_pcts(w, "throughput_last_30m", tput_tps, live);
}

/* The four ways of tool_choice come and go together: a row knows the parameter, not its values. */
static void put_tool_choice(struct mg_writer *w, const struct endpoint *e)
{
	static const char *const ways[] = { "auto", "none", "required", "function" };
	bool known = takes(e, "tool_choice");

	json_open(w, "supports_tool_choice", '{');
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		json_put_bool(w, ways[i], known);
	json_close(w);
}

static void put_endpoint(struct mg_writer *w, const struct endpoint *e, bool live, uint64_t mono_ms)
{
	struct buf name;

	buf_init(&name, 1024);
	buf_print(&name, "%s | %s", e->provider->name, e->model->canonical);
	json_open(w, NULL, '{');
	json_put(w, "name", buf_view(&name));
	json_put_text(w, "model_id", e->model->slug);
	json_put_text(w, "model_name", e->model->name);
	json_put_text(w, "provider_name", e->provider->name);
	json_put_text(w, "tag", e->tag);
	json_put_int(w, "context_length", (int64_t)(e->context_length ? e->context_length : e->model->context_length));
	put_limit(w, "max_completion_tokens", e->max_output);
	json_put_null(w, "max_prompt_tokens");
	json_put_text(w, "quantization", e->quantization);
	put_pricing(w, e);
	json_open(w, "supported_parameters", '[');
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		if (takes(e, parameters[i]))
			json_put_text(w, NULL, parameters[i]);
	json_close(w);
	json_put_bool(w, "supports_implicit_caching", e->rates.pusd[RATE_CACHE_READ] < e->rates.pusd[RATE_PROMPT]);
	json_put_bool(w, "supports_voice_cloning", false);
	put_tool_choice(w, e);
	put_health(w, e, live, mono_ms);
	json_close(w);
	buf_release(&name);
}

bool wire_endpoints(struct buf *out, const struct catalog *c, const struct routers *r, struct mg_str slug, bool live, uint64_t mono_ms)
{
	const struct model *m = named(c, r, slug).m;
	struct mg_writer w;

	if (!m)
		return false;
	json_writer_init(&w, out);
	json_open(&w, NULL, '{');
	json_open(&w, "data", '{');
	json_put_text(&w, "id", m->slug);
	json_put_text(&w, "name", m->name);
	json_put_int(&w, "created", m->created);
	json_put_text(&w, "description", m->description);
	put_architecture(&w, m);
	json_open(&w, "endpoints", '[');
	for (size_t i = 0; i < m->n_endpoints && !m->router; i++)
		if (!m->endpoints[i]->private)
			put_endpoint(&w, m->endpoints[i], live, mono_ms);
	json_close(&w);
	json_close(&w);
	json_close(&w);
	return true;
}

void wire_zdr(struct buf *out, const struct catalog *c, bool live, uint64_t mono_ms)
{
	struct mg_writer w;

	json_writer_init(&w, out);
	json_open(&w, NULL, '{');
	json_open(&w, "data", '[');
	for (size_t i = 0; i < c->n_endpoints; i++)
		if (c->endpoints[i].provider->data.known && c->endpoints[i].provider->data.zdr && !c->endpoints[i].private)
			put_endpoint(&w, &c->endpoints[i], live, mono_ms);
	json_close(&w);
	json_close(&w);
}

void wire_providers(struct buf *out, const struct catalog *c)
{
	struct mg_writer w;

	json_writer_init(&w, out);
	json_open(&w, NULL, '{');
	json_open(&w, "data", '[');
	for (size_t i = 0; i < c->n_providers; i++) {
		const struct provider *p = &c->providers[i];

		json_open(&w, NULL, '{');
		json_put_text(&w, "name", p->name);
		json_put_text(&w, "slug", p->slug);
		json_put_text(&w, "privacy_policy_url", p->privacy_url);
		json_put_text(&w, "terms_of_service_url", p->terms_url);
		json_put_text(&w, "status_page_url", p->status_url);
		json_put_text(&w, "headquarters", p->headquarters);
		json_put_null(&w, "datacenters");
		json_close(&w);
	}
	json_close(&w);
	json_close(&w);
}
