/*
 * usage.c - the usage object of an answer (B1.5 of the wire's specification):
 * disjoint buckets inside, totals with details outside, money as decimals.
 */
#include "api/api.h"

void money_member(struct mg_writer *w, const char *name, int64_t nusd)
{
	char room[64];
	struct buf text = buf_on(room, sizeof(room));

	money_text(&text, nusd, 9);
	json_put_raw(w, name, buf_view(&text));
}

static void prompt_details(struct mg_writer *w, const struct mg_usage *u)
{
	json_open(w, "prompt_tokens_details", '{');
	json_put_int(w, "cached_tokens", (int64_t)(u->cached + u->audio_cached));
	json_put_int(w, "cache_write_tokens", (int64_t)(u->cache_write + u->cache_write_1h));
	json_put_int(w, "audio_tokens", (int64_t)(u->audio_in + u->audio_cached));
	json_put_int(w, "video_tokens", 0);
	json_close(w);
}

static void completion_details(struct mg_writer *w, const struct mg_usage *u)
{
	json_open(w, "completion_tokens_details", '{');
	json_put_int(w, "reasoning_tokens", (int64_t)u->reasoning);
	json_put_int(w, "audio_tokens", (int64_t)u->audio_out);
	json_put_int(w, "image_tokens", 0);
	json_close(w);
}

void usage_member(struct mg_writer *w, const char *name, const struct mg_usage *u, const struct bill *bill)
{
	uint64_t prompt = u->input + u->cached + u->cache_write + u->cache_write_1h + u->image_tokens + u->audio_in + u->audio_cached;
	uint64_t completion = u->output + u->reasoning + u->audio_out;

	json_open(w, name, '{');
	json_put_int(w, "prompt_tokens", (int64_t)prompt);
	json_put_int(w, "completion_tokens", (int64_t)completion);
	json_put_int(w, "total_tokens", (int64_t)(prompt + completion));
	money_member(w, "cost", bill->charge_nusd);
	json_put_bool(w, "is_byok", bill->is_byok);
	prompt_details(w, u);
	json_open(w, "cost_details", '{');
	if (bill->is_byok)
		money_member(w, "upstream_inference_cost", bill->own_nusd);
	else
		json_put_null(w, "upstream_inference_cost");
	money_member(w, "upstream_inference_prompt_cost", bill->prompt_nusd);
	money_member(w, "upstream_inference_completions_cost", bill->completion_nusd);
	json_close(w);
	completion_details(w, u);
	if (u->searches) {
		json_open(w, "server_tool_use_details", '{');
		json_put_int(w, "web_search_requests", (int64_t)u->searches);
		json_close(w);
	}
	json_close(w);
}

const char *finish_name(enum mg_finish f)
{
	static const char *const names[] = { [MG_NONE] = NULL, [MG_STOP] = "stop", [MG_LENGTH] = "length",
		[MG_TOOL_CALLS] = "tool_calls", [MG_CONTENT_FILTER] = "content_filter", [MG_FAILED] = "error" };

	return (size_t)f < sizeof(names) / sizeof(names[0]) ? names[f] : NULL;
}
