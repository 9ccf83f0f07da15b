/*
 * Endpoints as policies saw them.  What does not change of one in a catalogue is told to
 * the store once, and decisions name it by its hash; what changes is in each record, and
 * its text is made again only when it is another one.
 *
 *	["0c3c6d5cbf5e423d",1,[2,40,420,600,900,2000,...],{"dropped":"zdr","by":"p.lua:3"}]
 *
 * A candidate: the hash, its rank, then, unless nothing is known of it, the numbers of
 * live_numbers() up to the last that is not the usual one, and an object of the rest.
 */
#include "base/crypto.h"
#include "policy/record.h"

/* ---- what does not change */

static void put_strings(struct mg_writer *w, const char *name, const json_t *list)
{
	size_t i;
	json_t *item;

	if (!list)
		return;
	json_open(w, name, '[');
	json_array_foreach(list, i, item)
		if (json_is_string(item))
			json_put_text(w, NULL, json_string_value(item));
	json_close(w);
}

static void put_rates(struct mg_writer *w, const char *name, const struct rates *r, uint32_t given)
{
	json_open(w, name, '{');
	for (int i = 0; i < RATE_COUNT; i++)
		if (given & 1u << i)
			json_put_int(w, rate_names[i], r->pusd[i]);
	json_close(w);
}

static void put_overrides(struct mg_writer *w, const struct endpoint *e)
{
	if (!e->n_overrides)
		return;
	json_open(w, "overrides", '[');
	for (size_t i = 0; i < e->n_overrides; i++) {
		const struct rate_override *o = &e->overrides[i];

		json_open(w, NULL, '{');
		json_put_int(w, "min_prompt_tokens", (int64_t)o->min_prompt_tokens);
		json_put_int(w, "utc_start", o->utc_start);
		json_put_int(w, "utc_end", o->utc_end);
		put_rates(w, "rates", &o->rates, o->given);
		json_close(w);
	}
	json_close(w);
}

static void put_data(struct mg_writer *w, const struct data_policy *p)
{
	json_open(w, "data", '{');
	json_put_bool(w, "known", p->known);
	json_put_bool(w, "trains", p->trains);
	json_put_bool(w, "retains", p->retains);
	json_put_bool(w, "zdr", p->zdr);
	json_put_int(w, "retention_days", p->retention_days);
	json_put_text(w, "region", p->region);
	json_close(w);
}

void endpoint_text(struct buf *b, const struct endpoint *e)
{
	struct mg_writer w;

	json_writer_init(&w, b);
	json_open(&w, NULL, '{');
	json_put_text(&w, "id", e->id);
	json_put_text(&w, "model", e->model->slug);
	json_put_text(&w, "provider", e->provider->slug);
	json_put_text(&w, "tag", e->tag);
	json_put_text(&w, "tier", e->tier ? e->tier : "");
	json_put_text(&w, "region", e->region ? e->region : "");
	json_put_text(&w, "quantization", e->quantization ? e->quantization : "");
	json_put_int(&w, "context_length", (int64_t)e->context_length);
	json_put_int(&w, "max_output", (int64_t)e->max_output);
	put_strings(&w, "params", e->params);
	put_strings(&w, "private_to", e->private_to);
	json_put_bool(&w, "free", e->free);
	json_put_bool(&w, "private", e->private);
	json_put_bool(&w, "distillable", e->distillable);
	json_put_bool(&w, "priced", e->priced);
	put_data(&w, &e->provider->data);
	if (e->provider->own.seq || e->provider->own.fallback || e->provider->own.always) {
		json_open(&w, "own", '{');
		json_put_int(&w, "seq", e->provider->own.seq);
		json_put_bool(&w, "fallback", e->provider->own.fallback);
		json_put_bool(&w, "always", e->provider->own.always);
		json_close(&w);
	}
	put_rates(&w, "rates", &e->rates, (1u << RATE_COUNT) - 1);
	put_overrides(&w, e);
	json_close(&w);
	if (!json_written(&w).at)
		b->failed = true;
}

void endpoint_hash(struct mg_str text, char out[static ENDPOINT_DIGITS + 1])
{
	char whole[SHA256_HEX + 1];

	sha256_hex(text.at, text.len, whole);
	memcpy(out, whole, ENDPOINT_DIGITS);
	out[ENDPOINT_DIGITS] = '\0';
}

/* Of those that are made for a request: whether the same was told lately. */
static bool told_lately(struct policy_state *s, const char *hash)
{
	uint64_t h = hash64(hash, ENDPOINT_DIGITS, 3), *at = &s->told[h % TOLD_MAX];
	bool yes = *at == h;

	*at = h;
	return yes;
}

static void untell(struct policy_state *s, const char *hash)
{
	s->told[hash64(hash, ENDPOINT_DIGITS, 3) % TOLD_MAX] = 0;
}

/* One that is not known, or was not told yet: its text is made. */
static void tell_it(struct policy_state *s, struct cached *c, const struct endpoint *e, char hash[static ENDPOINT_DIGITS + 1],
	endpoint_teller *tell, void *arg)
{
	struct buf text;
	bool lasting = c && !c->owner, kept;

	buf_init(&text, 1 << 20);
	endpoint_text(&text, e);
	endpoint_hash(buf_view(&text), hash);
	buf_put(&text, "", 1);
	if (tell && (lasting || !told_lately(s, hash))) {
		kept = !text.failed && tell(arg, &(struct mg_store_endpoint){ sizeof(struct mg_store_endpoint), hash, text.at });
		if (lasting)
			c->told = kept;
		else if (!kept)
			untell(s, hash);
	}
	buf_release(&text);
}

static void put_endpoint(struct policy_state *s, struct buf *b, struct cached *c, const struct endpoint *e, endpoint_teller *tell, void *arg)
{
	char own[ENDPOINT_DIGITS + 1], *hash = c ? c->hash : own;

	if (!c || !*hash || (tell && !c->told && !c->owner))
		tell_it(s, c, e, hash, tell, arg);
	LIT(b, "\"");
	put(b, hash, ENDPOINT_DIGITS);
	LIT(b, "\"");
}

/* ---- what changes */

/* Up to the last that is not 0; of the last of all, uptime, 1 is the usual one. */
static void put_numbers(struct buf *b, const struct live_facts *l)
{
	const double all[LIVE_NUMBERS] = { (double)l->samples, l->ttft_ms.p50, l->ttft_ms.p75, l->ttft_ms.p90, l->ttft_ms.p99,
		l->latency_ms.p50, l->latency_ms.p75, l->latency_ms.p90, l->latency_ms.p99,
		l->tput_tps.p50, l->tput_tps.p75, l->tput_tps.p90, l->tput_tps.p99,
		l->error_rate, l->rate_429, l->cache_hit, 1 - l->uptime_30m };
	int n = LIVE_NUMBERS;

	while (n && all[n - 1] == 0)
		n--;
	for (int i = 0; i < n; i++) {
		LIT(b, ",");
		put_decimal(b, i == LIVE_NUMBERS - 1 ? l->uptime_30m : all[i]);
	}
}

static bool same_numbers(const struct live_facts *a, const struct live_facts *b)
{
	_Static_assert(offsetof(struct live_facts, inflight) == offsetof(struct live_facts, error_rate) + 3 * sizeof(double) &&
		offsetof(struct live_facts, uptime_1d) == offsetof(struct live_facts, samples) + sizeof(uint64_t) + 13 * sizeof(double), "two pieces");
	return !memcmp(&a->error_rate, &b->error_rate, 3 * sizeof(double)) &&
		!memcmp(&a->samples, &b->samples, offsetof(struct live_facts, uptime_1d) - offsetof(struct live_facts, samples));
}

/* What changes, behind the rank: ",[...]", or nothing; c remembers it, may be NULL. */
static void put_live(struct buf *b, const struct live_facts *l, struct cached *c)
{
	size_t start = b->len, numbers;

	LIT(b, ",[");
	put_int(b, (int64_t)l->inflight);
	numbers = b->len;
	if (c && c->numbers.at && same_numbers(l, &c->numbers_of)) {
		put(b, c->numbers.at, c->numbers.len);
	} else {
		put_numbers(b, l);
		if (c && !b->failed) {
			if (!c->numbers.at)
				buf_init(&c->numbers, 1024);
			buf_reset(&c->numbers);
			buf_put(&c->numbers, b->at + numbers, b->len - numbers);
			c->numbers_of = *l;
		}
	}
	if (b->len == numbers && !l->inflight)
		b->len = start;
	else
		LIT(b, "]");
}

static void put_rest(struct buf *b, const struct candidate *c)
{
	const struct live_facts *l = &c->live;
	size_t start = b->len;

	LIT(b, ",");
	if (c->dropped) {
		put_name(b, "\"dropped\":");
		put_word(b, c->dropped);
	}
	if (c->by) {
		put_name(b, "\"by\":");
		put_word(b, c->by);
	}
	if (l->outage_ago_ms != INT64_MAX) {
		put_name(b, "\"outage_ago_ms\":");
		put_int(b, l->outage_ago_ms);
	}
	if (l->cooldown_ms) {
		put_name(b, "\"cooldown_ms\":");
		put_int(b, l->cooldown_ms);
	}
	if (l->breaker) {
		put_name(b, "\"breaker\":");
		put_int(b, l->breaker);
	}
	close_at(b, start, start + 1, '{');
}

void put_candidates(struct policy_state *s, struct buf *b, const struct candidate *list, size_t n, endpoint_teller *tell, void *arg)
{
	LIT(b, "[");
	for (size_t i = 0; i < n; i++) {
		struct cached *c = endpoint_cached(s, list[i].endpoint);

		put(b, ",[" + !i, 2 - !i);
		put_endpoint(s, b, c, list[i].endpoint, tell, arg);
		LIT(b, ",");
		put_int(b, list[i].rank);
		put_live(b, &list[i].live, c);
		put_rest(b, &list[i]);
		LIT(b, "]");
	}
	LIT(b, "]");
}

/* ---- and back */

void live_numbers(const double at[LIVE_NUMBERS], struct live_facts *l)
{
	l->samples = at[0] > 0 ? (uint64_t)at[0] : 0;
	l->ttft_ms = (struct live_pcts){ at[1], at[2], at[3], at[4] };
	l->latency_ms = (struct live_pcts){ at[5], at[6], at[7], at[8] };
	l->tput_tps = (struct live_pcts){ at[9], at[10], at[11], at[12] };
	l->error_rate = at[13];
	l->rate_429 = at[14];
	l->cache_hit = at[15];
	l->uptime_30m = at[16];
}
