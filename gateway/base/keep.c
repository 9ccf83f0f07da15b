#include "base/keep.h"

const char *const keep_names[KEEP_LEVELS] = { "none", "metadata", "hashed", "full" };
const char *const sink_names[SINKS] = { "log", "record", "decision", "trace", "cache", "batch", "file" };

/* The most that a sink ever takes, whatever a policy allows. */
static const enum keep_level most[SINKS] = { [SINK_LOG] = KEEP_METADATA, [SINK_RECORD] = KEEP_HASHED, [SINK_DECISION] = KEEP_METADATA,
	[SINK_TRACE] = KEEP_NONE, [SINK_CACHE] = KEEP_NONE, [SINK_BATCH] = KEEP_NONE, [SINK_FILE] = KEEP_NONE };

const struct keep keep_usual = { .store = KEEP_METADATA, .ttl_s = 30 * 86400, .sinks = ALL_SINKS }, keep_nothing = { .store = KEEP_NONE };

void keep_write(const struct keep *k, struct buf *out)
{
	const char *before = ",[";

	buf_text(out, "[\"");
	buf_text(out, keep_names[k->store]);
	buf_text(out, "\",");
	buf_number(out, k->ttl_s < INT64_MAX ? k->ttl_s : INT64_MAX);
	if (k->cache || k->sinks != ALL_SINKS)
		buf_text(out, k->cache ? ",true" : ",false");
	for (enum sink s = 0; s < SINKS && k->sinks != ALL_SINKS; s++)
		if (k->sinks >> s & 1) {
			buf_text(out, before);
			buf_text(out, "\"");
			buf_text(out, sink_names[s]);
			buf_text(out, "\"");
			before = ",";
		}
	if (k->sinks != ALL_SINKS)
		buf_text(out, k->sinks ? "]" : ",[]");
	buf_text(out, "]");
}

bool keep_parse(struct mg_view kept, struct keep *out)
{
	struct mg_view sinks = json_at(kept, 3);

	*out = (struct keep){ .store = KEEP_LEVELS, .sinks = json_kind(sinks) == MG_ARRAY ? 0 : ALL_SINKS, .cache = json_kind(json_at(kept, 2)) == MG_TRUE };
	for (enum keep_level l = KEEP_NONE; l < KEEP_LEVELS; l++)
		if (json_is(json_at(kept, 0), keep_names[l]))
			out->store = l;
	for (struct mg_view v = json_at(sinks, 0); json_kind(v) != MG_ABSENT; v = json_next(v))
		for (enum sink s = 0; s < SINKS; s++)
			if (json_is(v, sink_names[s]))
				out->sinks |= 1u << s;
	return json_count(json_at(kept, 1), &out->ttl_s) && out->store != KEEP_LEVELS;
}

void keep_tighten(struct keep *k, const struct keep *other)
{
	if (other->store < k->store)
		k->store = other->store;
	if (other->ttl_s < k->ttl_s)
		k->ttl_s = other->ttl_s;
	k->cache &= other->cache;
	k->sinks &= other->sinks;
}

static int64_t until(int64_t at_ms, uint64_t ttl_s)
{
	int64_t ms, sum;

	if (ttl_s > INT64_MAX / 1000 || __builtin_mul_overflow((int64_t)ttl_s, 1000, &ms) || __builtin_add_overflow(at_ms, ms, &sum))
		return INT64_MAX;
	return sum;
}

struct permit keep_permit(const struct keep *k, enum sink s, int64_t at_ms)
{
	struct permit p = { .sink = s };

	if (!k->ttl_s || !(k->sinks >> s & 1) || (s == SINK_CACHE && !k->cache))
		return p;
	p.level = k->store < most[s] ? k->store : most[s];
	p.until_ms = until(at_ms, k->ttl_s);
	return p;
}

struct mg_str confided_to(struct permit p, struct confided t)
{
	return permits(p, p.sink, KEEP_METADATA) ? t.in_confidence : (struct mg_str){ NULL, 0 };
}

const char *confided_words(struct permit p, struct confided t, struct pool *pool)
{
	struct mg_str words = confided_to(p, t);

	return words.at && words.len ? pool_dup(pool, words).at : NULL;
}
