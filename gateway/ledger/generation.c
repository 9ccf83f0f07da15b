#include "ledger/generation.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/money.h"
#include "ledger/receipt.h"

const char *usage_source_name(enum usage_source u)
{
	static const char *const names[] = { "none", "reported", "counted", "estimated" };

	return names[u];
}

void generation_init(struct generation *g)
{
	*g = (struct generation){ .tokens_prompt = UNKNOWN, .tokens_completion = UNKNOWN, .native_prompt = UNKNOWN,
		.native_completion = UNKNOWN, .native_reasoning = UNKNOWN, .native_cached = UNKNOWN, .native_images = UNKNOWN,
		.media_prompt = UNKNOWN, .audio_prompt = UNKNOWN, .media_completion = UNKNOWN, .search_results = UNKNOWN,
		.fetches = UNKNOWN, .upstream_nusd = UNKNOWN, .cache_discount_nusd = UNKNOWN, .latency = UNKNOWN,
		.generation_time = UNKNOWN, .moderation_latency = UNKNOWN, .app_id = UNKNOWN, .keep = keep_usual };
}

static void put_number(struct mg_writer *w, const char *name, int64_t n)
{
	if (n == UNKNOWN)
		json_put_null(w, name);
	else
		json_put_int(w, name, n);
}

static void put_usd(struct mg_writer *w, const char *name, int64_t nusd)
{
	struct buf text;

	if (nusd == UNKNOWN) {
		json_put_null(w, name);
		return;
	}
	buf_init(&text, 64);
	money_text(&text, nusd, 9);
	json_put_raw(w, name, buf_view(&text));
	buf_release(&text);
}

static void put_time(struct mg_writer *w, const char *name, int64_t wall_ms)
{
	char text[32];

	clock_rfc3339(wall_ms, text);
	json_put_text(w, name, text);
}

static void put_identity(struct mg_writer *w, const struct generation *g)
{
	json_put_text(w, "id", g->id);
	json_put_text(w, "upstream_id", g->upstream_id);
	json_put_text(w, "request_id", g->request_id);
	json_put_text(w, "session_id", g->session_id);
	json_put_text(w, "api_type", g->api_type);
	put_time(w, "created_at", g->created_ms);
	json_put_text(w, "model", g->model ? g->model : "");
	json_put_text(w, "provider_name", g->provider_name);
	json_put_text(w, "router", g->router);
	json_put_text(w, "preset_id", g->preset_id);
	json_put_text(w, "service_tier", g->service_tier);
	json_put_bool(w, "is_byok", g->is_byok);
	if (g->needs_rating)
		json_put_bool(w, "needs_rating", true);
	if (g->needs_reconcile)
		json_put_bool(w, "needs_reconcile", true);
	if (g->rated_ms)
		put_time(w, "rated_at", g->rated_ms);
	json_put_text(w, "workspace_id", g->workspace_id && *g->workspace_id ? g->workspace_id : NULL);
	json_put_text(w, "data_region", g->data_region ? g->data_region : "global");
	json_put_bool(w, "streamed", g->streamed);
	json_put_bool(w, "cancelled", g->cancelled);
	json_put_text(w, "finish_reason", g->finish_reason);
	json_put_text(w, "native_finish_reason", g->native_finish_reason);
}

static void put_counts(struct mg_writer *w, const struct generation *g)
{
	const struct { const char *name; int64_t n; } counts[] = {
		{ "tokens_prompt", g->tokens_prompt }, { "tokens_completion", g->tokens_completion },
		{ "native_tokens_prompt", g->native_prompt }, { "native_tokens_completion", g->native_completion },
		{ "native_tokens_reasoning", g->native_reasoning }, { "native_tokens_cached", g->native_cached },
		{ "native_tokens_completion_images", g->native_images }, { "num_media_prompt", g->media_prompt },
		{ "num_input_audio_prompt", g->audio_prompt }, { "num_media_completion", g->media_completion },
		{ "num_search_results", g->search_results }, { "num_fetches", g->fetches },
		{ "latency", g->latency }, { "generation_time", g->generation_time },
		{ "moderation_latency", g->moderation_latency }, { "app_id", g->app_id },
	};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		put_number(w, counts[i].name, counts[i].n);
	json_put_text(w, "web_search_engine", g->web_search_engine);
	put_usd(w, "total_cost", g->usage_nusd);
	put_usd(w, "usage", g->usage_nusd);
	put_usd(w, "upstream_inference_cost", g->upstream_nusd);
	put_usd(w, "cache_discount", g->cache_discount_nusd);
}

static void put_attempts(struct mg_writer *w, const struct generation *g)
{
	if (!g->n_attempts) {
		json_put_null(w, "provider_responses");
		return;
	}
	json_open(w, "provider_responses", '[');
	for (size_t i = 0; i < g->n_attempts; i++) {
		const struct attempt_record *a = &g->attempts[i];

		json_open(w, NULL, '{');
		if (a->id)
			json_put_text(w, "id", a->id);
		if (a->endpoint_id)
			json_put_text(w, "endpoint_id", a->endpoint_id);
		if (a->model_permaslug)
			json_put_text(w, "model_permaslug", a->model_permaslug);
		if (a->provider_name)
			json_put_text(w, "provider_name", a->provider_name);
		if (a->status)
			json_put_int(w, "status", a->status);
		else
			json_put_null(w, "status");	/* no answer came at all */
		if (a->latency != UNKNOWN)
			json_put_int(w, "latency", a->latency);
		json_put_bool(w, "is_byok", a->is_byok);
		if (a->hedge)
			json_put_bool(w, "hedge", true);
		if (a->lost)
			json_put_bool(w, "lost", true);
		json_close(w);
	}
	json_close(w);
}

static void put_client(struct mg_writer *w, const struct generation *g)
{
	json_put_text(w, "response_cache_source_id", g->response_cache_source_id);
	json_put_text(w, "origin", g->origin ? g->origin : "");
	json_put_text(w, "http_referer", g->http_referer);
	json_put_text(w, "user_agent", g->user_agent);
	json_put_text(w, "external_user", g->external_user);
}

int generation_answer(const struct mg_store_generation *row, const struct seal *seal, struct buf *out, struct err *err)
{
	struct pool *p = pool_new(1 << 20);
	struct generation g;
	struct mg_writer w;
	int rc = p ? generation_read(row, p, &g, err) : fail(err, MG_ENOMEM, "no memory for a generation record");

	if (!rc) {
		json_writer_init(&w, out);
		json_open(&w, NULL, '{');
		json_open(&w, "data", '{');
		put_identity(&w, &g);
		put_counts(&w, &g);
		put_attempts(&w, &g);
		put_client(&w, &g);
		if (seal)
			rc = receipt_put(&w, "receipt", &g, row->key_hash, seal, p, err);
		json_close(&w);
		json_close(&w);
		if (!rc && !json_written(&w).at)
			rc = fail(err, MG_ENOMEM, "no memory for a generation record");
	}
	pool_free(p);
	return rc;
}
