/* A row of ours as a line of a catalogue file. */
#include "catalog/import.h"

static void put_words(struct mg_writer *w, const char *name, unsigned bits, const char *const *words)
{
	json_open(w, name, '[');
	for (unsigned i = 0; words[i]; i++)
		if (bits & (1u << i))
			json_put_text(w, NULL, words[i]);
	json_close(w);
}

static void put_rates(struct mg_writer *w, const struct mg_str price[RATE_COUNT])
{
	for (int k = 0; k < RATE_COUNT; k++)
		json_put(w, rate_name(k), price[k]);
}

/* What nobody prices is known, and refused until the configuration says what it costs. */
static bool priced(const struct import_row *row)
{
	for (int k = 0; k < RATE_COUNT; k++)
		if (row->price[k].at)
			return true;
	return false;
}

static void put_price(struct mg_writer *w, const struct import_row *row, const char *source, const char *since)
{
	if (!priced(row)) {
		json_put_text(w, "source", source);
		return;
	}
	json_open(w, "price", '[');
	json_open(w, NULL, '{');
	json_put_text(w, "since", since);
	json_put_text(w, "source", source);
	put_rates(w, row->price);
	if (row->n_tiers) {
		json_open(w, "overrides", '[');
		for (unsigned i = 0; i < row->n_tiers; i++) {
			json_open(w, NULL, '{');
			json_put_int(w, "min_prompt_tokens", (int64_t)row->tiers[i].min_prompt_tokens);
			put_rates(w, row->tiers[i].price);
			json_close(w);
		}
		json_close(w);
	}
	json_close(w);
	json_close(w);
}

void import_row_write(struct buf *out, const struct import_row *row, const char *source, const char *since)
{
	static const char *const modes[] = { "text", "image", "file", "audio", "video", "embeddings", "rerank", "speech", "transcription", NULL };
	static const char *const abilities[] = { "tools", "structured_outputs", "reasoning", "sampling", NULL };
	struct mg_writer w;

	json_writer_init(&w, out);
	json_open(&w, NULL, '{');
	json_put(&w, "id", row->slug);
	json_put(&w, "model", row->model);
	if (row->region.len)
		json_put(&w, "region", row->region);
	json_put(&w, "name", row->name);
	if (row->created)
		json_put_int(&w, "created", row->created);
	if (row->context_length)
		json_put_int(&w, "context_length", (int64_t)row->context_length);
	if (row->max_output)
		json_put_int(&w, "max_output", (int64_t)row->max_output);
	json_open(&w, "modalities", '{');
	put_words(&w, "input", row->in, modes);
	put_words(&w, "output", row->out, modes);
	json_close(&w);
	put_words(&w, "can", row->can, abilities);
	json_put_raw(&w, "efforts", row->efforts);
	json_put(&w, "knowledge_cutoff", row->cutoff);
	put_price(&w, row, source, since);
	json_close(&w);
}
