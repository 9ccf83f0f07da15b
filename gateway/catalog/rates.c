/* From USD as written to picodollars, with what is not said filled in. */
#include "base/money.h"
#include "catalog/build.h"
#include "catalog/import.h"

enum { PER_MILLION = 6, EACH = 12 };	/* scales to picodollars */

/* In the order of enum rate; a rate that is not said is as its parent, which stands before it. */
static const struct { const char *name; unsigned scale; int parent; } rows[RATE_COUNT] = {
	[RATE_PROMPT] = { "input", PER_MILLION, -1 },
	[RATE_COMPLETION] = { "output", PER_MILLION, -1 },
	[RATE_CACHE_READ] = { "cache_read", PER_MILLION, RATE_PROMPT },
	[RATE_CACHE_WRITE] = { "cache_write", PER_MILLION, RATE_PROMPT },
	[RATE_CACHE_WRITE_1H] = { "cache_write_1h", PER_MILLION, RATE_CACHE_WRITE },
	[RATE_REASONING] = { "reasoning", PER_MILLION, RATE_COMPLETION },
	[RATE_IMAGE_TOKENS] = { "image_tokens", PER_MILLION, RATE_PROMPT },
	[RATE_AUDIO_IN] = { "audio_in", PER_MILLION, RATE_PROMPT },
	[RATE_AUDIO_CACHE] = { "audio_cache", PER_MILLION, RATE_CACHE_READ },
	[RATE_AUDIO_OUT] = { "audio_out", PER_MILLION, RATE_COMPLETION },
	[RATE_IMAGE] = { "image", EACH, -1 },
	[RATE_SEARCH] = { "search", EACH, -1 },
	[RATE_REQUEST] = { "request", EACH, -1 },
	[RATE_CHARACTER] = { "character", PER_MILLION, -1 },
	[RATE_SECOND] = { "second", EACH, -1 },
};

const char *rate_name(int rate)
{
	return rows[rate].name;
}

/* Sets the rates that price names; their bits are in *given. */
static int named_rates(struct build *b, const json_t *price, const char *place, struct rates *out, uint32_t *given)
{
	for (int k = 0; k < RATE_COUNT; k++) {
		const char *s = text_of(price, rows[k].name);
		struct err why = { 0, "" };
		char at[560];

		if (!s)
			continue;
		snprintf(at, sizeof(at), "%s.%s", place, rows[k].name);
		if (money_parse((struct mg_str){ s, strlen(s) }, rows[k].scale, &out->pusd[k], &why))
			return config_blame(b->conf, b->err, at, rows[k].scale == EACH ? "USD each" : "USD per million tokens", "%s", why.msg);
		*given |= 1u << k;
	}
	return MG_OK;
}

static void inherit(struct rates *r, uint32_t given)
{
	for (int k = 0; k < RATE_COUNT; k++)
		if (!(given & (1u << k)) && rows[k].parent >= 0)
			r->pusd[k] = r->pusd[rows[k].parent];
}

/* "23:00", or minutes after midnight in digits alone. */
static int minute_of(const char *s)
{
	unsigned h, m;
	char end;

	if (!s || sscanf(s, "%2u:%2u%c", &h, &m, &end) != 2 || h > 24 || m > 59 || h * 60 + m > 1440)
		return -1;
	return (int)(h * 60 + m);
}

static int hours(struct build *b, const json_t *row, const char *place, struct rate_override *o)
{
	const char *from = text_of(row, "utc_start"), *to = text_of(row, "utc_end");

	o->utc_start = o->utc_end = -1;
	if (!from && !to)
		return MG_OK;
	o->utc_start = minute_of(from);
	o->utc_end = minute_of(to);
	if (o->utc_start < 0 || o->utc_end < 0)
		return config_blame(b->conf, b->err, place, "utc_start = \"23:00\", utc_end = \"05:00\"", "both ends of the hours are needed, as HH:MM");
	return MG_OK;
}

/* A rate that inherits in the base follows its parent in an override, too. */
static int override(struct build *b, const json_t *row, const char *place, const struct rates *base, uint32_t base_given,
	struct rate_override *o)
{
	int64_t n = int_of(row, "min_prompt_tokens", 0);
	int rc = hours(b, row, place, o);

	if (rc)
		return rc;
	o->min_prompt_tokens = n > 0 ? (uint64_t)n : 0;
	o->rates = *base;
	rc = named_rates(b, row, place, &o->rates, &o->given);
	if (rc)
		return rc;
	if (!o->given || (!o->min_prompt_tokens && o->utc_start < 0))
		return config_blame(b->conf, b->err, place, "{ min_prompt_tokens = 200001, input = 2.5 }", "needs a condition and a rate");
	for (int k = 0; k < RATE_COUNT; k++) {
		int parent = rows[k].parent;

		if (parent < 0 || ((o->given | base_given) & (1u << k)) || !(o->given & (1u << parent)))
			continue;
		o->rates.pusd[k] = o->rates.pusd[parent];
		o->given |= 1u << k;
	}
	return MG_OK;
}

int build_rates(struct build *b, struct endpoint *e, const json_t *price, const char *place)
{
	json_t *list = json_object_get(price, "overrides"), *row;
	uint32_t given = 0;
	char at[540];
	size_t i;
	int rc;

	if (!price)
		return MG_OK;
	rc = named_rates(b, price, place, &e->rates, &given);
	if (rc)
		return rc;
	if (!given)
		return config_blame(b->conf, b->err, place, "write price = { input = 0, output = 0 } where it costs nothing", "names no rate");
	inherit(&e->rates, given);
	e->priced = true;
	e->overrides = pool_alloc(b->c->pool, (json_array_size(list) + 1) * sizeof(*e->overrides));
	if (!e->overrides)
		return fail(b->err, MG_ENOMEM, "no memory for the catalogue");
	json_array_foreach(list, i, row) {
		snprintf(at, sizeof(at), "%s.overrides[%zu]", place, i + 1);
		rc = override(b, row, at, &e->rates, given, &e->overrides[e->n_overrides++]);
		if (rc)
			return rc;
	}
	return MG_OK;
}
