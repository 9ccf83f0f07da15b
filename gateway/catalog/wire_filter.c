/* Which models a query of GET /models means. */
#include <ctype.h>
#include <stdlib.h>
#include "base/money.h"
#include "catalog/wire.h"

void model_query_init(struct model_query *q, struct buf *rest)
{
	*q = (struct model_query){ .min_price = -1, .max_price = -1, .min_output_price = -1, .max_output_price = -1,
		.min_age_days = -1, .max_age_days = -1, .distillable = -1, .rest = rest };
}

static bool whole(struct mg_str s, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9' || n > max)
			return false;
		n = n * 10 + (uint64_t)(s.at[i] - '0');
	}
	*out = n;
	return s.len && n <= max;
}

static int number(struct mg_str name, struct mg_str v, uint64_t min, uint64_t max, uint64_t *out, struct err *err)
{
	uint64_t n;

	if (!whole(v, max, &n) || n < min)
		return fail(err, MG_EINVAL, "%.*s: a whole number from %llu to %llu is expected", (int)name.len, name.at,
			(unsigned long long)min, (unsigned long long)max);
	*out = n;
	return MG_OK;
}

static int days(struct mg_str name, struct mg_str v, int64_t *out, struct err *err)
{
	uint64_t n = 0;
	int rc = number(name, v, 0, 100000, &n, err);

	if (!rc)
		*out = (int64_t)n;
	return rc;
}

static int truth(struct mg_str name, struct mg_str v, int *out, struct err *err)
{
	if (!mg_is(v, "true") && !mg_is(v, "false"))
		return fail(err, MG_EINVAL, "%.*s: true or false is expected", (int)name.len, name.at);
	*out = mg_is(v, "true");
	return MG_OK;
}

static int usd(struct mg_str name, struct mg_str v, int64_t *out, struct err *err)
{
	if (money_parse(v, 6, out, NULL))
		return fail(err, MG_EINVAL, "%.*s: USD per million tokens are expected, such as 0.15", (int)name.len, name.at);
	return MG_OK;
}

static const struct { const char *name; double most; } indexes[INDEX_COUNT] = { { "intelligence_index", 1e9 }, { "coding_index", 1e9 },
	{ "agentic_index", 1e9 }, { "tool_success_rate", 1 }, { "design_arena_elo", 1e9 } };

/* min_coding_index=40; false: it is another parameter. */
static bool ranged(struct model_query *q, struct mg_str name, struct mg_str v, int *rc, struct err *err)
{
	bool low = name.len > 4 && !memcmp(name.at, "min_", 4);
	struct mg_str word = name.len > 4 ? (struct mg_str){ name.at + 4, name.len - 4 } : name;
	char text[32], *end;
	double n;

	for (size_t i = 0; (low || (name.len > 4 && !memcmp(name.at, "max_", 4))) && i < INDEX_COUNT; i++) {
		if (!mg_is(word, indexes[i].name))
			continue;
		snprintf(text, sizeof(text), "%.*s", (int)(v.len < sizeof(text) ? v.len : sizeof(text) - 1), v.at);
		n = strtod(text, &end);
		if (!v.len || *end || !(n >= 0 && n <= indexes[i].most)) {
			*rc = fail(err, MG_EINVAL, "%.*s: a number from 0 to %.0f is expected", (int)name.len, name.at, indexes[i].most);
			return true;
		}
		if (!q->index[i].set)
			q->index[i].max = indexes[i].most;
		q->index[i].set = true;
		*(low ? &q->index[i].min : &q->index[i].max) = n;
		return true;
	}
	return false;
}

static int categorised(struct mg_str v, struct err *err)
{
	static const char *const words[] = { "programming", "roleplay", "marketing", "marketing/seo", "technology", "science",
		"translation", "legal", "finance", "health", "trivia", "academia" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (mg_is(v, words[i]))
			return MG_OK;
	return fail(err, MG_EINVAL, "category: programming, roleplay, marketing, marketing/seo, technology, science, translation, "
		"legal, finance, health, trivia or academia is expected");
}

static int sorted(struct mg_str v, struct err *err)
{
	static const char *const words[] = { "most-popular", "top-weekly", "newest", "pricing-low-to-high", "pricing-high-to-low",
		"context-high-to-low", "throughput-high-to-low", "latency-low-to-high", "intelligence-high-to-low",
		"coding-high-to-low", "agentic-high-to-low", "design-arena-elo-high-to-low" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (mg_is(v, words[i]))
			return MG_OK;
	return fail(err, MG_EINVAL, "sort: an order such as newest or pricing-low-to-high is expected");
}

static void repeat(struct buf *b, struct mg_str name, struct mg_str v)
{
	if (!b)
		return;
	buf_print(b, "&%.*s=", (int)name.len, name.at);
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.at[i];

		if (isalnum(c) || strchr("-_.~,/", c ? c : 1))
			buf_put(b, &c, 1);
		else
			buf_print(b, "%%%02X", c);
	}
}

int model_query_set(struct model_query *q, struct mg_str name, struct mg_str v, struct err *err)
{
	struct { const char *name; struct mg_str *at; } texts[] = { { "output_modalities", &q->output_modalities },
		{ "input_modalities", &q->input_modalities }, { "supported_parameters", &q->supported_parameters }, { "sort", &q->sort },
		{ "q", &q->q }, { "arch", &q->arch }, { "model_authors", &q->authors }, { "providers", &q->providers },
		{ "region", &q->region }, { "category", &q->category } };
	struct { const char *name; int64_t *at; } prices[] = { { "min_price", &q->min_price }, { "max_price", &q->max_price },
		{ "min_output_price", &q->min_output_price }, { "max_output_price", &q->max_output_price } };
	int on = 0, rc = MG_OK;

	if (ranged(q, name, v, &rc, err) && rc)
		return rc;
	if (mg_is(name, "use_rss"))
		q->rss = !mg_is(v, "false") && !mg_is(v, "0");
	if (mg_is(name, "offset")) {
		q->paged = true;
		return number(name, v, 0, 1000000000, &q->offset, err);
	}
	if (mg_is(name, "limit"))
		return number(name, v, 1, 1000, &q->limit, err);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (mg_is(name, texts[i].name))
			*texts[i].at = v;
	for (size_t i = 0; !rc && i < sizeof(prices) / sizeof(prices[0]); i++)
		if (mg_is(name, prices[i].name))
			rc = usd(name, v, prices[i].at, err);
	if (mg_is(name, "sort"))
		rc = sorted(v, err);
	else if (mg_is(name, "category"))
		rc = categorised(v, err);
	else if (mg_is(name, "context"))
		rc = number(name, v, 0, 1000000000, &q->context, err);
	else if (mg_is(name, "min_age_days"))
		rc = days(name, v, &q->min_age_days, err);
	else if (mg_is(name, "max_age_days"))
		rc = days(name, v, &q->max_age_days, err);
	else if (mg_is(name, "distillable"))
		rc = truth(name, v, &q->distillable, err);
	else if (mg_is(name, "zdr") && !(rc = truth(name, v, &on, err)))
		q->zdr = on;
	if (!rc)
		repeat(q->rest, name, v);
	return rc;
}

/* ---- facts about a model */

static money_sum scalar(const struct endpoint *e)
{
	return (money_sum)e->rates.pusd[RATE_PROMPT] + e->rates.pusd[RATE_COMPLETION];
}

static bool before(const struct endpoint *a, const struct endpoint *b)
{
	bool base_a = !strcmp(a->tier, "default"), base_b = !strcmp(b->tier, "default");

	if (a->priced != b->priced)
		return a->priced;
	if (base_a != base_b)
		return base_a;
	return scalar(a) < scalar(b);
}

const struct endpoint *model_front(const struct model *m, bool free)
{
	const struct endpoint *best = NULL;

	for (size_t i = 0; i < m->n_endpoints && !m->wild; i++) {
		const struct endpoint *e = m->endpoints[i];

		if (!e->private && e->free == free && (!best || before(e, best)))
			best = e;
	}
	return best;
}

bool model_takes(const struct model *m, const char *side, struct mg_str word)
{
	json_t *list = json_object_get(json_object_get(m->row, "modalities"), side), *v;
	size_t i;

	if (!json_array_size(list))
		return mg_is(word, "text");
	json_array_foreach(list, i, v)
		if (mg_is(word, json_string_value(v)))
			return true;
	return false;
}

bool model_supports(const struct model *m, struct mg_str param)
{
	json_t *v;
	size_t i;

	for (size_t k = 0; k < m->n_endpoints; k++) {
		if (m->endpoints[k]->private)
			continue;
		if (!m->endpoints[k]->params)
			return true;	/* not known: all are passed on */
		json_array_foreach(m->endpoints[k]->params, i, v)
			if (mg_is(param, json_string_value(v)))
				return true;
	}
	return false;
}

const char *model_tokenizer(const struct model *m)
{
	static const struct { const char *slug, *name; } known[] = { { "anthropic/", "Claude" }, { "openai/", "GPT" }, { "google/gemini", "Gemini" },
		{ "google/gemma", "Gemma" }, { "x-ai/", "Grok" }, { "cohere/", "Cohere" }, { "amazon/nova", "Nova" }, { "qwen/qwen3", "Qwen3" },
		{ "qwen/", "Qwen" }, { "deepseek/", "DeepSeek" }, { "mistralai/", "Mistral" }, { "meta-llama/llama-2", "Llama2" },
		{ "meta-llama/llama-3", "Llama3" }, { "meta-llama/llama-4", "Llama4" } };
	const char *said = json_string_value(json_object_get(m->row, "tokenizer"));

	for (size_t i = 0; !said && i < sizeof(known) / sizeof(known[0]); i++)
		if (!strncmp(m->slug, known[i].slug, strlen(known[i].slug)))
			said = known[i].name;
	return said ? said : "Other";
}

bool model_index(const struct model *m, enum model_index which, double *out)
{
	json_t *all = json_object_get(m->row, "benchmarks"), *v, *one;
	double best = -1;
	size_t i;

	if (which < INDEX_TOOL_SUCCESS)
		all = json_object_get(all, "artificial_analysis");
	v = json_object_get(all, indexes[which].name);
	if (which == INDEX_ARENA)
		json_array_foreach(json_object_get(all, "design_arena"), i, one)
			if (json_number_value(json_object_get(one, "elo")) > best)
				best = json_number_value(v = json_object_get(one, "elo"));
	if (!json_is_number(v))
		return false;
	*out = json_number_value(v);
	return true;
}

/* ---- matching */

static bool measured(const struct model *m, const struct model_query *q)
{
	double n;

	for (int i = 0; i < INDEX_COUNT; i++)
		if (q->index[i].set && (!model_index(m, (enum model_index)i, &n) || n < q->index[i].min || n > q->index[i].max))
			return false;
	return true;
}

/* Of "marketing", "marketing/seo" is a part. */
static bool in_category(const struct model *m, struct mg_str word)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(m->row, "categories"), i, v) {
		const char *own = json_string_value(v);

		if (!strncmp(own, word.at, word.len) && (!own[word.len] || own[word.len] == '/'))
			return true;
	}
	return false;
}

/* Calls fn for each word of a comma list until it says false. */
static bool each_word(struct mg_str list, bool (*fn)(const struct model *m, struct mg_str word), const struct model *m, bool all)
{
	bool any = false;

	while (list.len) {
		const char *comma = memchr(list.at, ',', list.len);
		size_t n = comma ? (size_t)(comma - list.at) : list.len;
		bool yes = !n || fn(m, (struct mg_str){ list.at, n });

		if (all && !yes)
			return false;
		any |= n && yes;
		list.at += comma ? n + 1 : n;
		list.len -= comma ? n + 1 : n;
	}
	return all || any;
}

static bool gives(const struct model *m, struct mg_str word)
{
	return mg_is(word, "all") || model_takes(m, "output", word);
}

static bool reads(const struct model *m, struct mg_str word)
{
	return model_takes(m, "input", word);
}

static bool by_author(const struct model *m, struct mg_str word)
{
	return !strncmp(m->slug, word.at, word.len) && m->slug[word.len] == '/';
}

static bool at_provider(const struct model *m, struct mg_str word)
{
	for (size_t i = 0; i < m->n_endpoints; i++)
		if (mg_is(word, m->endpoints[i]->provider->slug) || mg_is(word, m->endpoints[i]->provider->name))
			return true;
	return false;
}

static bool contains(const char *text, struct mg_str part)
{
	size_t n = strlen(text);

	for (size_t i = 0; i + part.len <= n; i++)
		if (!strncasecmp(text + i, part.at, part.len))
			return true;
	return false;
}

static bool some_endpoint(const struct model *m, bool free, const struct model_query *q)
{
	for (size_t i = 0; i < m->n_endpoints; i++) {
		const struct endpoint *e = m->endpoints[i];

		if (e->free != free || e->private)
			continue;
		if (q->zdr && !e->provider->data.zdr)
			continue;
		if (q->region.len && !mg_is(q->region, e->region) && !mg_is(q->region, e->provider->data.region))
			continue;
		if (q->distillable < 0 || e->distillable == (q->distillable == 1))
			return true;
	}
	return false;
}

static bool within(int64_t n, int64_t min, int64_t max)
{
	return (min < 0 || n >= min) && (max < 0 || n <= max);
}

bool model_matches(const struct model *m, bool free, const struct model_query *q, int64_t now_ms)
{
	const struct endpoint *e = model_front(m, free);
	int64_t age = m->created ? (now_ms / 1000 - m->created) / 86400 : 0;

	return e
		&& each_word(q->output_modalities.len ? q->output_modalities : MG_STR("text"), gives, m, false)
		&& (!q->input_modalities.len || each_word(q->input_modalities, reads, m, true))
		&& (!q->supported_parameters.len || each_word(q->supported_parameters, model_supports, m, true))
		&& (!q->authors.len || each_word(q->authors, by_author, m, false))
		&& (!q->providers.len || each_word(q->providers, at_provider, m, false))
		&& (!q->q.len || contains(m->slug, q->q) || contains(m->name, q->q))
		&& (!q->arch.len || contains(m->slug, q->arch) || contains(m->name, q->arch) || contains(model_tokenizer(m), q->arch))
		&& (!q->category.len || in_category(m, q->category))
		&& m->context_length >= q->context && measured(m, q)
		&& within(e->rates.pusd[RATE_PROMPT], q->min_price, q->max_price)
		&& within(e->rates.pusd[RATE_COMPLETION], q->min_output_price, q->max_output_price)
		&& within(age, q->min_age_days, q->max_age_days) && some_endpoint(m, free, q);
}
