/*
 * generation_kept.c - the record as the store keeps it.
 *
 * One is written for each request, while the client waits, and few are ever read.  So it has
 * what is not in the store's row anyway, nothing that is null, and nothing that goes without
 * saying (usual_of()); what is null where something else would go without saying is false.
 * Numbers stand without names, in the order of numbers[], which only grows at its end.
 * There are two texts: what is kept for good, and labels, which retention may forbid or end:
 *
 *	{"upstream_id":"chatcmpl-1","provider_name":"OpenAI",...,"flags":["streamed"],"numbers":[28,42,...],
 *	 "rate":["openai/gpt@openai",1000,...],		of one whose price is to be run again: where, and the usage
 *	 "attempts":[["@openai",0,0,200,420],...]}
 *	{"session_id":"s-1","user_agent":"OpenAI/JS 5.1.0",...}
 *
 * Of an attempt: its endpoint's id (from the @ on, when the model before it is the row's), the model if
 * it is not the row's, the provider if it is not that of the record, status, latency, whether it is_byok,
 * of a race "hedge", "lost" or "hedge lost" (else 0); then, for the receipt, when it was sent (ms behind the row's
 * time; null: it was not), how many bytes, how it ended (0: well), what was known of the provider's data policy, and
 * the region if there is one:
 *	["@openai",0,0,429,80,false,0,3,512,"rate_limited","kr30:us","eu"]	known, retains for 30 days in the US
 */
#include "base/digits.h"
#include "base/json.h"
#include "ledger/generation.h"

enum { NUMBERS = 19, COUNTS = 15 };

/* ---- what there is to keep, by name */

enum { KEPT = 11, TEXTS = KEPT + 8 };	/* those up to KEPT for good, the others are labels */

#define TEXT(member)	{ "\"" #member "\":", sizeof(#member) + 2, offsetof(struct generation, member) }
static const struct { const char *name; size_t len, at; } texts[TEXTS] = {
	TEXT(upstream_id), TEXT(api_type), TEXT(provider_name), TEXT(router), TEXT(service_tier), TEXT(workspace_id), TEXT(data_region),
	TEXT(finish_reason), TEXT(bundle), TEXT(web_search_engine), TEXT(response_cache_source_id),
	TEXT(native_finish_reason), TEXT(request_id), TEXT(session_id), TEXT(preset_id), TEXT(http_referer), TEXT(user_agent),
	TEXT(external_user), TEXT(asked_hash),
};
#undef TEXT

#define NUMBER(member)	offsetof(struct generation, member)
static const size_t numbers[NUMBERS] = {
	NUMBER(tokens_prompt), NUMBER(tokens_completion), NUMBER(native_prompt), NUMBER(native_completion), NUMBER(native_reasoning),
	NUMBER(native_cached), NUMBER(native_images), NUMBER(media_prompt), NUMBER(audio_prompt), NUMBER(media_completion),
	NUMBER(search_results), NUMBER(fetches), NUMBER(latency), NUMBER(generation_time), NUMBER(moderation_latency), NUMBER(app_id),
	NUMBER(usage_nusd), NUMBER(upstream_nusd), NUMBER(cache_discount_nusd),
};
#undef NUMBER

static const char *text_of(const struct generation *g, int i)
{
	const char *text;

	memcpy(&text, (const char *)g + texts[i].at, sizeof(text));
	return text;
}

static void set_text(struct generation *g, int i, const char *text)
{
	memcpy((char *)g + texts[i].at, &text, sizeof(text));
}

static int64_t number_of(const struct generation *g, int i)
{
	int64_t n;

	memcpy(&n, (const char *)g + numbers[i], sizeof(n));
	return n;
}

static void set_number(struct generation *g, int i, int64_t n)
{
	memcpy((char *)g + numbers[i], &n, sizeof(n));
}

/* What most have there.  NULL: nothing. */
static const char *usual_of(const struct generation *g, int i)
{
	switch (texts[i].at) {
	case offsetof(struct generation, request_id): return g->id ? g->id : "";
	case offsetof(struct generation, native_finish_reason): return g->finish_reason;
	case offsetof(struct generation, api_type): return "completions";
	case offsetof(struct generation, service_tier): return "default";
	}
	return NULL;
}

/* ---- writing */

static size_t number_text(char out[DIGITS_MAX], int64_t n)
{
	char *end = out + DIGITS_MAX, *at;
	size_t len;

	if (n >= 0 && n < 10) {		/* as most are */
		out[0] = (char)('0' + n);
		return 1;
	}
	if (n == UNKNOWN) {
		memcpy(out, "null", 4);
		return 4;
	}
	at = number_before(end, n);
	len = (size_t)(end - at);
	memmove(out, at, len);
	return len;
}

/* 0: it is the one that goes without saying. */
static void put_text(struct buf *out, const char *text, const char *usual)
{
	if (text && usual && !strcmp(text, usual))
		buf_put(out, "0", 1);
	else if (text)
		json_quote(out, (struct mg_str){ text, strlen(text) });
	else
		buf_put(out, "null", 4);
}

static void put_endpoint(struct buf *out, const char *id, const char *model)
{
	size_t len = model ? strlen(model) : 0;
	bool same = id && len && !strncmp(id, model, len) && id[len] == '@';

	put_text(out, same ? id + len : id, NULL);
}

static void put_numbers(struct buf *out, const struct generation *g)
{
	char text[NUMBERS * (DIGITS_MAX + 1)];
	size_t len = 0;

	for (int i = 0; i < NUMBERS; i++) {
		len += number_text(text + len, number_of(g, i));
		text[len++] = ',';
	}
	buf_text(out, "\"numbers\":[");
	buf_put(out, text, len - 1);
	buf_text(out, "],");
}

static void put_flags(struct buf *out, const struct generation *g)
{
	if (!g->streamed && !g->cancelled && !g->is_byok && !g->needs_rating && !g->needs_reconcile)
		return;
	buf_text(out, "\"flags\":[");
	buf_text(out, g->streamed ? "\"streamed\"," : "");
	buf_text(out, g->cancelled ? "\"cancelled\"," : "");
	buf_text(out, g->is_byok ? "\"is_byok\"," : "");
	buf_text(out, g->needs_rating ? "\"needs_rating\"," : "");
	buf_text(out, g->needs_reconcile ? "\"needs_reconcile\"," : "");
	out->len -= !out->failed;	/* the last comma */
	buf_text(out, "],");
}

/* In the order of the struct, which only grows at its end. */
static void counts_of(struct mg_usage *u, uint64_t *n[COUNTS])
{
	uint64_t *const all[COUNTS] = { &u->input, &u->cached, &u->cache_write, &u->cache_write_1h, &u->image_tokens, &u->audio_in, &u->audio_cached,
		&u->output, &u->reasoning, &u->audio_out, &u->images_out, &u->searches, &u->requests, &u->characters, &u->seconds };

	memcpy(n, all, sizeof(all));
}

static void put_to_rate(struct buf *out, const struct generation *g)
{
	struct mg_usage u;
	uint64_t *n[COUNTS];

	if (!g->needs_rating || !g->to_rate || !g->rate_endpoint)
		return;
	u = *g->to_rate;
	counts_of(&u, n);
	buf_text(out, "\"rate\":[");
	json_quote(out, (struct mg_str){ g->rate_endpoint, strlen(g->rate_endpoint) });
	for (int i = 0; i < COUNTS; i++)
		buf_print(out, ",%llu", (unsigned long long)*n[i]);
	buf_text(out, "],");
}

static void put_number(struct buf *out, int64_t n)
{
	char digits[DIGITS_MAX];

	buf_put(out, digits, number_text(digits, n));
}

static void put_sent(struct buf *out, const struct generation *g, const struct attempt_record *a)
{
	const struct data_policy *d = a->data;
	char room[64];
	struct buf policy = buf_on(room, sizeof(room));

	buf_put(out, ",", 1);
	put_number(out, a->sent_ms == UNKNOWN ? UNKNOWN : a->sent_ms - g->created_ms);
	buf_put(out, ",", 1);
	put_number(out, a->bytes);
	buf_put(out, ",", 1);
	put_text(out, a->outcome ? a->outcome : "", "");
	buf_put(out, ",", 1);
	buf_text(&policy, d->known ? "k" : "");
	buf_text(&policy, d->trains ? "t" : "");
	buf_text(&policy, d->retains ? "r" : "");
	buf_text(&policy, d->zdr ? "z" : "");
	if (d->retention_days >= 0)
		put_number(&policy, d->retention_days);
	if (d->region[0])
		buf_put(&policy, ":", 1);
	buf_text(&policy, d->region);
	json_quote(out, buf_view(&policy));
	if (a->region && *a->region) {
		buf_put(out, ",", 1);
		put_text(out, a->region, NULL);
	}
}

static void put_keep(struct buf *out, const struct keep *k)
{
	if (k->store == keep_usual.store && k->ttl_s == keep_usual.ttl_s && k->cache == keep_usual.cache && k->sinks == keep_usual.sinks)
		return;
	buf_text(out, "\"keep\":");
	keep_write(k, out);
	buf_put(out, ",", 1);
}

static void put_attempts(struct buf *out, const struct generation *g)
{
	if (!g->n_attempts)
		return;
	buf_text(out, "\"attempts\":");
	for (size_t i = 0; i < g->n_attempts; i++) {
		const struct attempt_record *a = &g->attempts[i];

		buf_text(out, i ? ",[" : "[[");
		put_endpoint(out, a->endpoint_id, g->model);
		buf_put(out, ",", 1);
		put_text(out, a->model_permaslug, g->model);
		buf_put(out, ",", 1);
		put_text(out, a->provider_name, g->provider_name);
		buf_put(out, ",", 1);
		put_number(out, a->status);
		buf_put(out, ",", 1);
		put_number(out, a->latency);
		if (a->is_byok || a->hedge || a->lost || a->data)
			buf_text(out, a->is_byok ? ",true" : ",false");
		if (a->hedge || a->lost || a->data)
			buf_text(out, a->hedge && a->lost ? ",\"hedge lost\"" : a->hedge ? ",\"hedge\"" : a->lost ? ",\"lost\"" : ",0");
		if (a->data)
			put_sent(out, g, a);
		buf_put(out, "]", 1);
	}
	buf_text(out, "],");
}

/* Those from the first on, each with a comma behind it. */
static void put_texts(struct buf *out, const struct generation *g, int first, int n)
{
	for (int i = first; i < n; i++) {
		const char *text = text_of(g, i), *usual = usual_of(g, i);

		if (usual ? text && !strcmp(text, usual) : !text || !*text)
			continue;
		buf_put(out, texts[i].name, texts[i].len);
		if (!text || !*text) {
			buf_put(out, "false,", 6);
			continue;
		}
		json_quote(out, (struct mg_str){ text, strlen(text) });
		buf_put(out, ",", 1);
	}
}

/* The last comma becomes the bracket. */
static void close_object(struct buf *out)
{
	if (!out->failed)
		out->at[out->len - 1] = '}';
}

int generation_write(const struct generation *g, struct buf *out, struct err *err)
{
	buf_put(out, "{", 1);
	put_texts(out, g, 0, KEPT);
	put_flags(out, g);
	put_numbers(out, g);
	put_to_rate(out, g);
	put_attempts(out, g);
	put_keep(out, &g->keep);
	if (g->usage_source != USAGE_REPORTED) {
		buf_text(out, "\"usage_source\":\"");
		buf_text(out, usage_source_name(g->usage_source));
		buf_text(out, "\",");
	}
	close_object(out);
	return out->failed ? fail(err, MG_ENOMEM, "no memory for a generation record") : MG_OK;
}

void generation_labels(const struct generation *g, struct permit record, struct buf *out)
{
	size_t start = out->len;

	if (!permits(record, SINK_RECORD, KEEP_METADATA))
		return;
	buf_put(out, "{", 1);
	put_texts(out, g, KEPT, TEXTS);
	if (out->len == start + 1)
		out->len = start;
	else
		close_object(out);
}

/* ---- reading */

static int64_t number_at(struct mg_view v)
{
	struct mg_str raw = json_raw(v);
	bool below = raw.len && raw.at[0] == '-';
	uint64_t n = 0;

	if (json_kind(v) != MG_NUMBER)
		return UNKNOWN;
	for (size_t i = below; i < raw.len && raw.at[i] >= '0' && raw.at[i] <= '9'; i++)
		n = n * 10 + (uint64_t)(raw.at[i] - '0');
	return below ? -(int64_t)n : (int64_t)n;
}

static const char *text_at(struct pool *p, struct mg_view v)
{
	return json_kind(v) == MG_STRING ? pool_dup(p, json_text(p, v)).at : NULL;
}

static const char *text_or(struct pool *p, struct mg_view v, const char *usual)
{
	return json_kind(v) == MG_NUMBER ? usual : text_at(p, v);
}

static const char *endpoint_at(struct pool *p, struct mg_view v, const char *model)
{
	const char *id = text_at(p, v);

	return id && *id == '@' ? pool_print(p, "%s%s", model, id).at : id;
}

static void read_policy(const char *text, struct data_policy *d)
{
	size_t digits;

	*d = (struct data_policy){ .retention_days = -1 };
	for (; *text && strchr("ktrz", *text); text++) {
		d->known |= *text == 'k';
		d->trains |= *text == 't';
		d->retains |= *text == 'r';
		d->zdr |= *text == 'z';
	}
	digits = strspn(text, "0123456789");
	if (digits)
		d->retention_days = (int)strtol(text, NULL, 10);
	if (text[digits] == ':')
		snprintf(d->region, sizeof(d->region), "%s", text + digits + 1);
}

static void read_sent(struct pool *p, struct mg_view v, const struct generation *g, struct attempt_record *a)
{
	struct mg_view sent = json_at(v, 7), bytes = json_next(sent), outcome = json_next(bytes), policy = json_next(outcome);
	const char *text = text_at(p, policy);
	struct data_policy *d = text ? pool_alloc(p, sizeof(*d)) : NULL;

	a->sent_ms = a->bytes = UNKNOWN;
	if (!d)
		return;
	read_policy(text, d);
	a->data = d;
	a->sent_ms = number_at(sent);
	if (a->sent_ms != UNKNOWN)
		a->sent_ms += g->created_ms;
	a->bytes = number_at(bytes);
	a->outcome = text_or(p, outcome, "ok");
	a->region = text_at(p, json_next(policy));
}

static void read_attempts(struct pool *p, struct mg_view list, struct generation *g)
{
	size_t n = json_len(list), i = 0;
	struct attempt_record *all = pool_alloc(p, (n + 1) * sizeof(*all));
	struct mg_view v = json_at(list, 0);

	for (; all && i < n; i++, v = json_next(v)) {
		all[i] = (struct attempt_record){ .endpoint_id = endpoint_at(p, json_at(v, 0), g->model),
			.model_permaslug = text_or(p, json_at(v, 1), g->model), .provider_name = text_or(p, json_at(v, 2), g->provider_name), .status = (int)number_at(json_at(v, 3)), .latency = number_at(json_at(v, 4)),
			.is_byok = json_kind(json_at(v, 5)) == MG_TRUE,
			.hedge = json_is(json_at(v, 6), "hedge") || json_is(json_at(v, 6), "hedge lost"),
			.lost = json_is(json_at(v, 6), "lost") || json_is(json_at(v, 6), "hedge lost") };
		all[i].id = pool_print(p, "%s-%zu", g->id, i + 1).at;
		read_sent(p, v, g, &all[i]);
	}
	g->attempts = all;
	g->n_attempts = i;
}

static void read_to_rate(struct pool *p, struct mg_view list, struct generation *g)
{
	struct mg_usage *u = json_kind(list) == MG_ARRAY ? pool_alloc(p, sizeof(*u)) : NULL;
	struct mg_view v = json_at(list, 0);
	uint64_t *n[COUNTS];

	if (!u)
		return;
	*u = (struct mg_usage){ .size = sizeof(*u), .cost_nusd = -1 };
	counts_of(u, n);
	g->rate_endpoint = text_at(p, v);
	for (int i = 0; i < COUNTS && json_kind(v = json_next(v)) == MG_NUMBER; i++)
		*n[i] = (uint64_t)number_at(v);
	g->to_rate = u;
}

static void read_source(struct mg_view v, struct generation *g)
{
	if (json_kind(v) == MG_ABSENT)
		g->usage_source = USAGE_REPORTED;
	for (enum usage_source s = USAGE_NONE; s <= USAGE_ESTIMATED; s++)
		if (json_is(v, usage_source_name(s)))
			g->usage_source = s;
}

static void read_texts(struct pool *p, struct mg_view all, struct generation *g, int first, int n)
{
	for (int i = first; i < n; i++) {	/* finish_reason comes before the native one */
		size_t len = texts[i].len - 3;	/* without quotes and colon */
		struct mg_view v = json_find(all, texts[i].name + 1, len, json_name_bit(texts[i].name + 1, len));

		set_text(g, i, json_kind(v) == MG_ABSENT ? usual_of(g, i) : text_at(p, v));
	}
}

static int read_labels(const struct mg_store_generation *row, struct pool *p, struct generation *g, struct err *err)
{
	const char *labels = MG_HAS(row, labels) && row->labels ? row->labels : "";
	struct mg_view all = { NULL, 0 };
	int rc = *labels ? json_parse(p, (struct mg_str){ labels, strlen(labels) }, &all, err) : MG_OK;

	read_texts(p, all, g, KEPT, TEXTS);
	return rc;
}

int generation_counts(const struct mg_store_generation *row, struct generation *g, struct err *err)
{
	static const char name[] = "\"numbers\":[";
	const char *at = strstr(row->json, name);	/* in a text its quotes would be escaped */

	generation_init(g);
	if (!at)
		return fail(err, MG_EINVAL, "a kept generation record has no 'numbers'");
	at += sizeof(name) - 2;
	for (int i = 0; i < NUMBERS && *at != ']'; i++) {
		char *end;
		long long value = strtoll(at + 1, &end, 10);

		if (end > at + 1)
			set_number(g, i, value);
		at += 1 + strcspn(at + 1, ",]");
		if (!*at)
			return fail(err, MG_EINVAL, "a kept generation record is damaged");
	}
	return MG_OK;
}

int generation_read(const struct mg_store_generation *row, struct pool *p, struct generation *g, struct err *err)
{
	struct mg_view all, v;
	int rc = json_parse(p, (struct mg_str){ row->json, strlen(row->json) }, &all, err);

	generation_init(g);
	if (rc)
		return rc;
	v = json_get(all, "numbers");
	if (json_kind(v) != MG_ARRAY)
		return fail(err, MG_EINVAL, "a kept generation record has no 'numbers'");
	v = json_at(v, 0);
	for (int i = 0; i < NUMBERS && json_kind(v) != MG_ABSENT; i++, v = json_next(v))
		set_number(g, i, number_at(v));
	g->id = row->generation_id;
	g->model = row->model;
	read_texts(p, all, g, 0, KEPT);
	for (v = json_at(json_get(all, "flags"), 0); json_kind(v) != MG_ABSENT; v = json_next(v)) {
		g->streamed |= json_is(v, "streamed");
		g->cancelled |= json_is(v, "cancelled");
		g->is_byok |= json_is(v, "is_byok");
		g->needs_rating |= json_is(v, "needs_rating");
		g->needs_reconcile |= json_is(v, "needs_reconcile");
	}
	g->created_ms = row->at_ms;
	read_to_rate(p, json_get(all, "rate"), g);
	if (MG_HAS(row, rated_ms) && row->rated_ms) {
		g->needs_rating = false;
		g->rated_ms = row->rated_ms;
		g->usage_nusd = row->charge_nusd;
	}
	read_attempts(p, json_get(all, "attempts"), g);
	v = json_get(all, "keep");
	if (json_kind(v) != MG_ABSENT && !keep_parse(v, &g->keep))
		g->keep = keep_nothing;
	read_source(json_get(all, "usage_source"), g);
	rc = read_labels(row, p, g, err);
	g->origin = g->http_referer;
	return rc;
}
