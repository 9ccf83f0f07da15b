/* Other people's catalogues: names, decimals, rows, and what a second reading changes. */
#include <unistd.h>
#include "catalog/import.h"
#include "catalog/shelf.h"
#include "tap.h"

static struct pool *pool;

static struct mg_str str(const char *s)
{
	return (struct mg_str){ s, strlen(s) };
}

static void decimals(void)
{
	static const struct { const char *from; int places; const char *to; } rows[] = {
		{ "2.5e-06", 6, "2.5" }, { "0.0000025", 6, "2.5" }, { "0", 6, "0" }, { "0.00", 0, "0" }, { "15", 0, "15" }, { "3e-7", 6, "0.3" },
		{ "1.10", 0, "1.1" }, { "0.075", 0, "0.075" }, { "1E+2", 0, "100" }, { "0.000000123456789", 6, "0.123456789" }, { "00012.50", 1, "125" },
		{ "7.5e-08", 6, "0.075" }, { "0.8999999999999999", 0, "0.9" }, { "5.000000000000001e-07", 6, "0.5" },
		{ "0.99999999999999999", 0, "1" }, { "0.00000000049", 0, "0" }, { "0.0000000005", 0, "0.000000001" }, { "0.99999999951", 0, "1" }, { "9.9999999999999995e-07", 6, "1" }, { "-1", 6, NULL }, { "", 0, NULL }, { "1.2.3", 0, NULL }, { "1e999", 0, NULL }, { "free", 0, NULL },
		{ "1e", 0, NULL }, { "1e-x", 0, NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mg_str got = decimal_shift(pool, str(rows[i].from), rows[i].places, 9);
		char claim[120];

		snprintf(claim, sizeof(claim), "%s by 10^%d is %s", rows[i].from, rows[i].places, rows[i].to ? rows[i].to : "none");
		ok(rows[i].to ? mg_is(got, rows[i].to) : !got.at, claim);
	}
}

static void names(void)
{
	static const char *const known[] = { "anthropic/claude-sonnet-4.5", "anthropic/claude-3.5-haiku", "openai/gpt-oss-120b", "z-ai/glm-5.1",
		"meta-llama/llama-3.3-70b-instruct", "openai/gpt-4o", "openai/gpt-4o-2024-08-06", "moonshotai/kimi-k2.6", "google/gemma-3-27b-it" };
	static const struct { const char *name, *fallback, *slug, *region; } rows[] = {
		{ "claude-sonnet-4-5", "anthropic", "anthropic/claude-sonnet-4.5", "" },
		{ "claude-sonnet-4-5-20250929", "anthropic", "anthropic/claude-sonnet-4.5", "" },
		{ "claude-sonnet-4-5@20250929", "google-vertex", "anthropic/claude-sonnet-4.5", "" },
		{ "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon-bedrock", "anthropic/claude-sonnet-4.5", "us" },
		{ "anthropic.claude-3-5-haiku-20241022-v1:0", "amazon-bedrock", "anthropic/claude-3.5-haiku", "" },
		{ "accounts/fireworks/models/glm-5p1", "fireworks", "z-ai/glm-5.1", "" },
		{ "zai-org/GLM-5.1-FP8", "nebius", "z-ai/glm-5.1", "" },
		{ "@cf/openai/gpt-oss-120b", "cloudflare", "openai/gpt-oss-120b", "" },
		{ "llama-3.3-70b-versatile", "groq", "meta-llama/llama-3.3-70b-instruct", "" },
		{ "gpt-4o-2024-08-06", "openai", "openai/gpt-4o-2024-08-06", "" },
		{ "gpt-4o-2024-11-20", "openai", "openai/gpt-4o", "" },
		{ "hf:moonshotai/Kimi-K2.6", "synthetic", "moonshotai/kimi-k2.6", "" },
		{ "somebody/gpt-4o", "acme", "somebody/gpt-4o", "" },
		{ "Our Own_Model", "acme", "acme/our-own-model", "" },
		{ "gemma-3-27b", "acme", "google/gemma-3-27b-it", "" },
	};
	struct slugs *s = slugs_new();

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		slugs_add(s, str(known[i]));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mg_str region, got = slug_of(s, pool, str(rows[i].name), rows[i].fallback, &region);
		char claim[200];

		snprintf(claim, sizeof(claim), "%s at %s is %s%s%s", rows[i].name, rows[i].fallback, rows[i].slug, *rows[i].region ? " in " : "", rows[i].region);
		ok(mg_is(got, rows[i].slug) && mg_is(region, rows[i].region), claim);
		if (!mg_is(got, rows[i].slug))
			printf("# %s\n", got.at ? got.at : "(absent)");
	}
	slugs_free(s);
}

/* ------------------------------------------------ the three sources */

struct taken { struct buf lines; unsigned skipped; char why[400]; };

static void on_row(void *arg, const struct import_row *row)
{
	struct taken *t = arg;

	buf_print(&t->lines, "%s ", row->provider);
	import_row_write(&t->lines, row, "test", "2026-01-02");
	buf_text(&t->lines, "\n");
}

static void on_skip(void *arg, const char *provider, struct mg_str model, const char *why)
{
	struct taken *t = arg;
	size_t len = strlen(t->why);

	t->skipped++;
	snprintf(t->why + len, sizeof(t->why) - len, "%s %.*s: %s\n", provider, (int)model.len, model.at ? model.at : "", why);
}

static struct taken take(enum import_source from, const char *text, int want)
{
	json_t *providers = json_loads("{\"groq\":{\"models_dev\":\"groq\",\"litellm\":\"groq\"},\"openai\":{\"models_dev\":\"openai\",\"litellm\":\"openai\"}}", 0, NULL);
	struct slugs *slugs = slugs_new();
	struct taken t = { .skipped = 0 };
	struct import_sink sink = { on_row, on_skip, &t };
	struct err err = { 0 };

	buf_init(&t.lines, 1 << 20);
	ok(import_read(from, pool, str(text), providers, slugs, &sink, &err) == want, want ? err.msg : "the source is read");
	buf_put(&t.lines, "", 1);
	slugs_free(slugs);
	json_decref(providers);
	return t;
}

static void has(const struct taken *t, const char *part, const char *claim)
{
	ok(strstr(t->lines.at, part) != NULL, claim);
	if (!strstr(t->lines.at, part))
		printf("# %.1500s\n", t->lines.at);
}

static void sources(void)
{
	struct taken t = take(IMPORT_MODELS_DEV, "{\"groq\":{\"npm\":\"@ai-sdk/groq\",\"models\":{"
		"\"m\":{\"id\":\"m\",\"name\":\"M\",\"release_date\":\"2026-03-05\",\"tool_call\":true,\"temperature\":false,\"reasoning\":true,"
		"\"reasoning_options\":[{\"type\":\"effort\",\"values\":[\"low\",\"high\"]}],\"limit\":{\"context\":1000,\"output\":100},"
		"\"modalities\":{\"input\":[\"text\",\"pdf\"],\"output\":[\"text\"]},"
		"\"cost\":{\"input\":0.10,\"output\":1e-1,\"cache_read\":0.025,\"tiers\":[{\"tier\":{\"size\":200000},\"input\":0.2}]}},"
		"\"old\":{\"id\":\"old\",\"status\":\"deprecated\",\"cost\":{\"input\":1}},"
		"\"x:thinking\":{\"id\":\"x:thinking\",\"cost\":{\"input\":1,\"output\":1}},"
		"\"other\":{\"id\":\"other\",\"provider\":{\"npm\":\"@ai-sdk/anthropic\"},\"cost\":{\"input\":1}}}},"
		"\"nobody\":{\"models\":{\"n\":{\"id\":\"n\",\"cost\":{\"input\":1}}}}}", MG_OK);

	has(&t, "\"max_output\":100,\"modalities\":{\"input\":[\"text\",\"file\"],\"output\":[\"text\"]},\"can\":[\"tools\",\"reasoning\"],\"efforts\":[\"low\",\"high\"]", "models.dev: what it takes, gives and can");
	has(&t, "\"price\":[{\"since\":\"2026-01-02\",\"source\":\"test\",\"input\":\"0.1\",\"output\":\"0.1\",\"cache_read\":\"0.025\",\"overrides\":[{\"min_prompt_tokens\":200001,\"input\":\"0.2\"}]}]", "models.dev: prices and tiers, exactly");
	has(&t, "\"created\":1772668800", "models.dev: the day as Unix seconds");
	ok(t.skipped == 4 && strstr(t.why, "groq old: deprecated") && strstr(t.why, "nobody n: a provider that is not known here")
		&& strstr(t.why, "x:thinking: a variant") && strstr(t.why, "another dialect"), "models.dev: what is passed over, and why");
	buf_release(&t.lines);

	t = take(IMPORT_LITELLM, "{\"sample_spec\":{\"litellm_provider\":\"groq\"},\"groq/llama\":{\"litellm_provider\":\"groq\",\"mode\":\"chat\","
		"\"input_cost_per_token\":5.9e-07,\"output_cost_per_token\":7.9e-07,\"max_input_tokens\":8192,\"max_output_tokens\":4096,\"supports_function_calling\":true},"
		"\"text-embedding-3-small\":{\"litellm_provider\":\"openai\",\"mode\":\"embedding\",\"input_cost_per_token\":2e-08},"
		"\"gpt-x\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"input_cost_per_token\":1.25e-06,\"output_cost_per_token\":1e-05,\"input_cost_per_token_above_200k_tokens\":2.5e-06},"
		"\"z\":{\"litellm_provider\":\"zz\",\"mode\":\"chat\"},\"free\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\"}}", MG_OK);
	has(&t, "groq {\"id\":\"meta-llama/llama\",\"model\":\"llama\"", "litellm: its provider's prefix goes");
	has(&t, "\"input\":\"0.59\",\"output\":\"0.79\"", "litellm: per token to per million");
	has(&t, "\"output\":[\"embeddings\"]},\"can\":[\"sampling\"],\"price\":[{\"since\":\"2026-01-02\",\"source\":\"test\",\"input\":\"0.02\"}]", "litellm: embeddings");
	has(&t, "\"overrides\":[{\"min_prompt_tokens\":200001,\"input\":\"2.5\"}]", "litellm: above 200k");
	ok(t.skipped == 2, "litellm: what is passed over");
	buf_release(&t.lines);

	t = take(IMPORT_OPENROUTER, "{\"data\":[{\"id\":\"a/b\",\"name\":\"A: B\",\"created\":7,\"context_length\":9,\"architecture\":{\"input_modalities\":[\"text\"],\"output_modalities\":[\"text\"]},"
		"\"pricing\":{\"prompt\":\"0.0000025\",\"completion\":\"0.00001\",\"request\":\"0.005\"},\"top_provider\":{\"max_completion_tokens\":4},\"supported_parameters\":[\"tools\",\"temperature\"]},"
		"{\"id\":\"a/b:free\",\"pricing\":{\"prompt\":\"0\"}},{\"id\":\"openrouter/auto\",\"pricing\":{\"prompt\":\"-1\"}}]}", MG_OK);
	has(&t, "openrouter {\"id\":\"a/b\",\"model\":\"a/b\",\"name\":\"A: B\",\"created\":7,\"context_length\":9,\"max_output\":4", "openrouter: names and limits");
	has(&t, "\"input\":\"2.5\",\"output\":\"10\",\"request\":\"0.005\"", "openrouter: per token to per million, a request as it is");
	ok(t.skipped == 2, "openrouter: variants, and prices that vary");
	buf_release(&t.lines);

	t = take(IMPORT_OPENROUTER, "{}", MG_EINVAL);
	buf_release(&t.lines);
	t = take(IMPORT_MODELS_DEV, "[]", MG_EINVAL);
	buf_release(&t.lines);
}

/* ------------------------------------------------ files */

static json_t *row(const char *text)
{
	return json_loads(text, 0, NULL);
}

static enum shelved put(json_t *rows, const char *text, json_t **before)
{
	json_t *r = row(text);
	enum shelved did = shelf_put(rows, r, before);

	json_decref(r);
	return did;
}

static const char *input_on(json_t *rows, const char *day)
{
	const char *s = json_string_value(json_object_get(shelf_price(json_array_get(rows, 0), day), "input"));

	return s ? s : "none";
}

#define PRICE(day, in) "\"price\":[{\"since\":\"" day "\",\"source\":\"s\",\"input\":\"" in "\"}]}"

static void files(void)
{
	char dir[] = "/tmp/import_test.XXXXXX", path[80];
	json_t *rows = json_array(), *before = NULL, *again = NULL;
	struct err err = { 0 };
	FILE *f;

	ok(put(rows, "{\"id\":\"a/b\",\"model\":\"m\",\"params\":[\"seed\"]," PRICE("2026-01-01", "1"), &before) == SHELF_NEW && !before, "a row is new");
	ok(put(rows, "{\"id\":\"a/c\",\"model\":\"m\"," PRICE("2026-02-01", "1"), &before) == SHELF_SAME && json_array_size(rows) == 1, "the same price on another day changes nothing");
	json_decref(before);
	ok(put(rows, "{\"id\":\"a/b\",\"model\":\"m\"," PRICE("2026-03-01", "2"), &before) == SHELF_CHANGED && before
		&& !strcmp(json_string_value(json_object_get(before, "input")), "1"), "another price does, and the one before is told");
	json_decref(before);
	ok(put(rows, "{\"id\":\"a/b\",\"model\":\"m\",\"name\":\"M\"," PRICE("2026-03-01", "3"), &before) == SHELF_CHANGED, "a correction of the same day takes its place");
	json_decref(before);
	ok(!strcmp(input_on(rows, "2025-12-31"), "none") && !strcmp(input_on(rows, "2026-02-28"), "1") && !strcmp(input_on(rows, "2026-03-01"), "3"), "each day has its price");
	ok(json_object_get(json_array_get(rows, 0), "params") && !strcmp(json_string_value(json_object_get(json_array_get(rows, 0), "id")), "a/b"),
		"what a person wrote stays, the slug too");
	ok(put(rows, "{\"id\":\"a/b\",\"model\":\"m\",\"region\":\"eu\"," PRICE("2026-03-01", "4"), &before) == SHELF_NEW, "another region is another row");
	put(rows, "{\"id\":\"a/u\",\"model\":\"u\",\"source\":\"s, May\"}", &before);
	ok(put(rows, "{\"id\":\"a/u\",\"model\":\"u\",\"source\":\"s, June\"}", &before) == SHELF_SAME, "that another says the same changes nothing");
	ok(put(rows, "{\"id\":\"a/u\",\"model\":\"u\",\"name\":\"U\",\"source\":\"s, June\"}", &before) == SHELF_CHANGED
		&& !strcmp(json_string_value(json_object_get(json_array_get(rows, json_array_size(rows) - 1), "source")), "s, June"), "who changes a row is its source");
	json_array_remove(rows, json_array_size(rows) - 1);
	before = row("{\"id\":\"a/b\",\"model\":\"m-2026\"," PRICE("2026-05-01", "3"));
	ok(shelf_twin(rows, before), "another name for the same price is a twin");
	json_decref(before);
	before = row("{\"id\":\"a/b\",\"model\":\"m-fast\"," PRICE("2026-05-01", "6"));
	ok(!shelf_twin(rows, before), "at another price it is none");
	json_decref(before);

	ok(mkdtemp(dir) != NULL, "a folder");
	snprintf(path, sizeof(path), "%s/p.jsonl", dir);
	ok(shelf_read(path, &again, &err) == MG_OK && json_array_size(again) == 0, "a file that is not there has no rows");
	json_decref(again);
	ok(shelf_write(path, rows, &err) == MG_OK && shelf_read(path, &again, &err) == MG_OK && json_equal(rows, again), "written and read again");
	json_decref(again);
	f = fopen(path, "a");
	fputs("{\"id\":\"x\"}\n", f);
	fclose(f);
	ok(shelf_read(path, &again, &err) == MG_EINVAL && strstr(err.msg, "p.jsonl:3: a row needs 'id' and 'model'"), "a bad row is named by file and line");
	unlink(path);
	rmdir(dir);
	json_decref(rows);
}

/* Ten times today's models.dev; one more than it could ever have is refused. */
static void large(void)
{
	struct buf text;
	struct taken t;

	buf_init(&text, 256 << 20);
	buf_text(&text, "{\"groq\":{\"models\":{");
	for (int i = 0; i < 100000; i++)
		buf_print(&text, "%s\"m%d\":{\"id\":\"m%d\",\"status\":\"deprecated\",\"x\":[0,0,0,0,0,0,0,0,0,0]}", i ? "," : "", i, i);
	buf_put(&text, "}}}", 4);
	t = take(IMPORT_MODELS_DEV, text.at, MG_OK);
	ok(t.skipped == 100000, "1.4 million values are read");
	buf_release(&t.lines);
	buf_reset(&text);
	buf_text(&text, "[0");
	for (int i = 0; i < JSON_VALUES_LARGE; i++)
		buf_text(&text, ",0");
	buf_put(&text, "]", 2);
	t = take(IMPORT_MODELS_DEV, text.at, MG_EINVAL);
	buf_release(&t.lines);
	buf_release(&text);
}

int main(void)
{
	pool = pool_new(512 << 20);
	decimals();
	names();
	sources();
	files();
	large();
	pool_free(pool);
	return tap_done();
}
