/*
 * settle.c - the end of a generation: what it cost, who pays, and the one
 * record of it, in the journal before the client sees the last chunk.
 */
#include "base/clock.h"
#include "base/log.h"
#include "relay/relay.h"

enum { RECORD_MAX = 256 * 1024, RECORD_USUAL = 1024,	/* bytes */
	LATE_MS = 1000,
	COUNT_MOST = 1000 };				/* pictures, searches, requests of one generation */

/* ------------------------------------------------ what was used */

static bool clamp(uint64_t *const *counts, size_t n, uint64_t most)
{
	bool cut = false;

	for (size_t i = 0; i < n; i++)
		if (*counts[i] > most) {
			*counts[i] = most;
			cut = true;
		}
	return cut;
}

/* What an upstream reports is believed within reason (R46): never more than ten
 * times what was held room for, and of what no room is held for a number that nobody reaches.
 * True: it is not believed, and somebody has to look. */
static bool clamp_usage(struct relay *r)
{
	struct mg_usage most, *u = &r->usage;
	uint64_t *const tokens[] = { &u->input, &u->cached, &u->cache_write, &u->cache_write_1h, &u->image_tokens, &u->audio_in,
		&u->audio_cached, &u->output, &u->reasoning, &u->audio_out, &u->characters, &u->seconds };
	uint64_t *const counts[] = { &u->images_out, &u->searches, &u->requests };

	relay_estimate(r, r->endpoint, &most);
	return clamp(tokens, sizeof(tokens) / sizeof(tokens[0]), 10 * (most.input + most.output) + 1000000) |
		clamp(counts, sizeof(counts) / sizeof(counts[0]), COUNT_MOST);
}

static uint64_t tokens_delivered(const struct relay *r)
{
	return (r->output_bytes + OUTPUT_BYTES_A_TOKEN - 1) / OUTPUT_BYTES_A_TOKEN;
}

/* The last word on usage never came, but perhaps a first one: some upstreams tell the prompt's at once. */
static bool cut_short(const struct relay *r)
{
	return r->full || r->finish == MG_NONE || r->finish == MG_FAILED;
}

static bool more_delivered(struct relay *r)
{
	uint64_t told = r->usage.output + r->usage.reasoning + r->usage.audio_out, n = tokens_delivered(r);

	if (n > told)
		r->usage.output += n - told;
	return n > told;
}

/* Nobody reported: the prompt as estimated, the output as delivered; nothing
 * delivered, nothing billed (R44). */
static enum usage_source usage_of(struct relay *r)
{
	r->usage_doubted = false;
	if (r->usage_reported && r->endpoint) {
		r->usage_doubted = clamp_usage(r);
		return cut_short(r) && more_delivered(r) ? USAGE_COUNTED : USAGE_REPORTED;
	}
	r->usage = (struct mg_usage){ .size = sizeof(r->usage), .cost_nusd = -1 };
	if (!r->endpoint || !r->first_us)
		return USAGE_NONE;
	r->usage.input = r->d.facts.feat.prompt_tokens;
	r->usage.output = tokens_delivered(r);
	r->usage.requests = 1;
	return USAGE_COUNTED;
}

/* The bill; a guess is never above what was held. */
static void bill_of(struct relay *r, enum usage_source source)
{
	bill_clear(&r->w->bill);
	if (source == USAGE_NONE)
		return;
	if (policy_price(r->policy->state, &r->d, r->endpoint, &r->usage, false, &r->w->bill) != MG_OK)
		r->w->bill.needs_rating = true;
	if (source == USAGE_REPORTED)
		return;
	if (r->w->bill.charge_nusd > r->hold.held.charge)
		r->w->bill.charge_nusd = r->hold.held.charge;
	if (r->w->bill.own_nusd > r->hold.held.all - r->w->bill.charge_nusd)
		r->w->bill.own_nusd = r->hold.held.all - r->w->bill.charge_nusd;
}

/* An attempt that failed after it had cost something: that is our own loss, whoever wins (R47). */
struct loss relay_lose(struct relay *r, const struct endpoint *e, bool prompt)
{
	struct loss loss = { 0 };
	struct bill bill;
	int64_t sum;

	r->endpoint = e;
	loss.source = usage_of(r);
	if (loss.source == USAGE_NONE && prompt) {
		r->usage.input = r->d.facts.feat.prompt_tokens;
		r->usage.requests = 1;
		loss.source = USAGE_ESTIMATED;
	}
	if (loss.source != USAGE_NONE && policy_price(r->policy->state, &r->d, e, &r->usage, false, &bill) == MG_OK &&
			bill.cost_nusd > 0 && !__builtin_add_overflow(r->loss_nusd, bill.cost_nusd, &sum)) {
		loss.nusd = bill.cost_nusd;
		r->loss_nusd = sum < MONEY_MOST ? sum : MONEY_MOST;
	}
	r->endpoint = NULL;
	r->usage_reported = false;
	return loss;
}

/* ------------------------------------------------ the record */

static struct permit permit(const struct relay *r, enum sink s)
{
	return keep_permit(&r->d.keep, s, r->created_ms);
}

static const char *words(struct relay *r, struct mg_str s)
{
	struct mg_str copy = s.at && s.len ? pool_dup(r->pool, s) : (struct mg_str){ 0 };

	return copy.at;
}

static struct attempt_record attempt_of(const struct tried *t)
{
	const struct endpoint *e = t->endpoint;

	return (struct attempt_record){ .provider_name = e->provider->name, .endpoint_id = e->id, .model_permaslug = e->model->canonical,
		.status = t->status, .latency = (int64_t)t->ms, .is_byok = e->provider->own.seq > 0, .hedge = t->hedge, .lost = t->lost, .data = &e->provider->data,
		.region = e->region, .outcome = t->ok ? "" : error_kind_name(t->kind),
		.sent_ms = t->sent ? t->sent_ms : UNKNOWN, .bytes = (int64_t)t->bytes };
}

static struct attempt_record *attempts_of(struct relay *r)
{
	struct attempt_record *all = pool_alloc(r->pool, (r->n_tried + 1) * sizeof(*all));

	for (unsigned i = 0; all && i < r->n_tried; i++)
		all[i] = attempt_of(&r->tried[i]);
	return all;
}

/* The first digits of its hash: as many as a decision has. */
static const char *bundle_of(struct relay *r)
{
	enum { DIGITS = 16 };

	return r->policy ? pool_dup(r->pool, (struct mg_str){ bundle_hash(r->policy->bundle), DIGITS }).at : NULL;
}

/* Of what the client sent, byte for byte; where that much may be kept. */
static const char *asked_hash(struct relay *r, struct permit record)
{
	char *hash = permits(record, SINK_RECORD, KEEP_HASHED) ? pool_alloc(r->pool, SHA256_HEX + 1) : NULL;

	if (hash)
		seal_hash(&r->w->gw->seal, r->http->body, hash);
	return hash;
}

static const char *finish_word(const struct relay *r)
{
	return r->finish == MG_STOP ? "stop" : r->finish == MG_LENGTH ? "length" : r->finish == MG_TOOL_CALLS ? "tool_calls"
		: r->finish == MG_CONTENT_FILTER ? "content_filter" : r->finish == MG_FAILED ? "error" : NULL;
}

/* Kept with the bill, for with it a bill is compared: so it must be an id, not a text that is called one. */
static bool is_id(struct mg_str s)
{
	static const bool good[256] = { ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
		['-'] = true, ['_'] = true, ['.'] = true, [':'] = true };
	size_t n = 0;

	while (n < s.len && good[(unsigned char)s.at[n]])
		n++;
	return n == s.len && n <= 80;
}

static void labels_of(struct relay *r, struct generation *g)
{
	struct permit record = permit(r, SINK_RECORD);

	g->upstream_id = is_id(r->upstream_id) ? words(r, r->upstream_id) : NULL;
	g->native_finish_reason = permits(record, SINK_RECORD, KEEP_METADATA) ? words(r, r->native) : NULL;
	g->request_id = confided_words(record, r->client.request_id, r->pool);
	if (!g->request_id)
		g->request_id = r->id;
	g->session_id = confided_words(record, r->client.session, r->pool);
	g->http_referer = confided_words(record, r->client.referer, r->pool);
	g->user_agent = confided_words(record, r->client.agent, r->pool);
	g->external_user = confided_words(record, r->client.user, r->pool);
	g->asked_hash = asked_hash(r, record);
}

static void record_of(struct relay *r, enum usage_source source, struct generation *g)
{
	const struct mg_usage *u = &r->usage;

	generation_init(g);
	g->id = r->id;
	labels_of(r, g);
	g->api_type = r->surface->api_type;
	g->created_ms = r->created_ms;
	g->model = r->endpoint ? r->endpoint->model->slug : r->d.facts.models.n ? words(r, r->d.facts.models.at[0]) : NULL;
	g->provider_name = r->endpoint ? r->endpoint->provider->name : NULL;
	g->service_tier = r->endpoint ? r->endpoint->tier : NULL;
	g->workspace_id = r->key->workspace;
	g->streamed = r->stream;
	g->cancelled = r->cancelled;
	g->finish_reason = finish_word(r);
	g->usage_source = source;
	g->native_prompt = (int64_t)(u->input + u->cached + u->cache_write + u->cache_write_1h + u->image_tokens + u->audio_in
		+ u->audio_cached);
	g->native_completion = (int64_t)(u->output + u->reasoning + u->audio_out);
	g->native_reasoning = (int64_t)u->reasoning;
	g->native_cached = (int64_t)(u->cached + u->audio_cached);
	g->native_images = (int64_t)u->images_out;
	g->tokens_prompt = g->native_prompt;
	g->tokens_completion = g->native_completion;
	g->media_prompt = (int64_t)r->d.facts.feat.images;
	g->audio_prompt = r->d.facts.feat.audio_s ? 1 : 0;
	g->media_completion = (int64_t)u->images_out;
	g->search_results = (int64_t)u->searches;
	g->usage_nusd = r->w->bill.charge_nusd;
	g->is_byok = r->w->bill.is_byok;
	g->needs_rating = r->w->bill.needs_rating;
	g->needs_reconcile = r->usage_doubted;
	if (g->needs_rating && r->endpoint) {
		g->to_rate = &r->usage;
		g->rate_endpoint = r->endpoint->id;
	}
	g->upstream_nusd = r->w->bill.own_nusd;
	g->router = r->d.strategy ? words(r, r->d.facts.model) : NULL;
	g->latency = r->first_us ? (int64_t)((r->first_us - r->began_us) / 1000) : UNKNOWN;
	g->generation_time = (int64_t)((r->settled_us - r->began_us) / 1000);
	g->attempts = attempts_of(r);
	g->n_attempts = g->attempts ? r->n_tried : 0;
	g->bundle = bundle_of(r);
	g->keep = r->d.keep;
}

/* The order as the policies made it, whatever was skipped on the way. */
static void ranked_again(struct decision *d)
{
	for (size_t i = 1; i < d->n_order; i++)
		for (size_t k = i; k && d->order[k]->rank < d->order[k - 1]->rank; k--) {
			struct candidate *c = d->order[k];

			d->order[k] = d->order[k - 1];
			d->order[k - 1] = c;
		}
}

/* What the record names of endpoints must be there before it. */
static bool tell_endpoint(void *arg, const struct mg_store_endpoint *row)
{
	struct relay *r = arg;
	struct err err = { 0 };

	if (journal_endpoint(r->w->journal, row, &err) == MG_OK)
		return true;
	log_at(LOG_ERROR, EV_STORE_ERROR, r->name, LOG_S("why", err.msg));
	return false;
}

/* What explain replays; NULL: nothing was decided, or it is not kept. */
static const char *decision_of(struct relay *r)
{
	if (!r->policy || (!r->d.n && !r->d.n_routings && !r->d.refused.hook) || !permits(permit(r, SINK_DECISION), SINK_DECISION, KEEP_METADATA))
		return NULL;
	ranked_again(&r->d);
	return decision_record(r->policy->state, &r->d, tell_endpoint, r);
}

/* Settlements that found no room: also while nobody asks for anything (R58). */
static void on_late(struct timer *t)
{
	struct worker *w = loop_owner(t, struct worker, late);
	struct err err = { 0 };

	if (journal_flush(w->journal, &err) != MG_OK)
		loop_timer_set(w->loop, t, LATE_MS);
}

static void record_late(struct relay *r, const struct err *err)
{
	log_at(LOG_ERROR, EV_STORE_ERROR, r->name, LOG_S("why", err->msg));
	r->w->late.fire = on_late;
	loop_timer_set(r->w->loop, &r->w->late, LATE_MS);
}

static void write_record(struct relay *r, enum usage_source source, bool delivered)
{
	struct permit record = permit(r, SINK_RECORD);
	struct generation g;
	struct err err = { 0 };
	struct buf json;
	char id[ATTEMPT_ID];
	size_t labels;

	record_of(r, source, &g);
	buf_init(&json, RECORD_MAX);
	buf_room(&json, RECORD_USUAL);
	if (generation_write(&g, &json, &err) != MG_OK)
		log_at(LOG_ERROR, EV_INTERNAL, r->name, LOG_S("why", err.msg));
	buf_put(&json, "", 1);
	labels = json.len;
	generation_labels(&g, record, &json);
	buf_put(&json, "", 1);
	if (journal_settle(r->w->journal, &(struct mg_store_generation){ .size = sizeof(struct mg_store_generation),
			.attempt_id = relay_attempt_id(r, r->n_intents, id), .generation_id = r->id, .key_hash = r->key->hash, .model = g.model ? g.model : "",
			.provider = r->endpoint ? r->endpoint->provider->slug : "", .charge_nusd = r->w->bill.charge_nusd,
			.cost_nusd = r->w->bill.cost_nusd, .loss_nusd = r->loss_nusd, .at_ms = r->created_ms, .delivered = delivered,
			.json = json.failed ? "{}" : json.at, .labels = json.failed ? NULL : json.at + labels, .decision = decision_of(r),
			.needs_rating = g.needs_rating, .own_nusd = r->w->bill.own_nusd },
			record, permit(r, SINK_DECISION), &err) != MG_OK)
		record_late(r, &err);
	loop_step(r->w->loop);
	buf_release(&json);
}

/* Of a request that was refused before there was a generation. */
static void write_decision(struct relay *r)
{
	const char *text = decision_of(r);

	if (text)
		journal_note(r->w->journal, &(struct mg_store_decision){ .size = sizeof(struct mg_store_decision),
			.generation_id = r->id, .at_ms = r->created_ms, .json = text, .key_hash = r->key->hash }, permit(r, SINK_DECISION));
}

/* ------------------------------------------------ counters and the access line */

/* Whose the generation is: the winner's, or of one that failed the last who was asked; NULL: nobody was. */
static const struct endpoint *answerable(const struct relay *r)
{
	return r->endpoint ? r->endpoint : r->n_tried ? r->tried[r->n_tried - 1].endpoint : NULL;
}

static const char *error_word(const struct relay *r)
{
	if (!strcmp(r->outcome, "ok"))
		return "";
	return r->last ? error_kind_name(r->last_kind) : r->refused ? r->refused : "";
}

static void count(struct relay *r, const char *outcome)
{
	const struct endpoint *e = answerable(r);
	const char *model = e ? e->model->label : "other";
	const char *provider = e ? e->provider->slug : "";
	const char *both[] = { model, provider, NULL };
	const struct { const char *kind; uint64_t n; } tokens[] = { { "input", r->usage.input }, { "output", r->usage.output },
		{ "cache_read", r->usage.cached }, { "cache_write", r->usage.cache_write + r->usage.cache_write_1h },
		{ "reasoning", r->usage.reasoning } };
	uint64_t us = r->settled_us - r->began_us;

	metric_add(M_GENERATIONS, 1, METRIC_LABELS(model, provider, outcome));
	if (r->w->bill.needs_rating)
		metric_add(M_NEEDS_RATING, 1, METRIC_PLAIN);
	if (r->usage_doubted) {
		metric_add(M_USAGE_DOUBTED, 1, METRIC_LABELS(provider));
		log_at(LOG_WARN, EV_USAGE_DOUBTED, r->name, LOG_W("generation_id", r->id), LOG_S("endpoint", e->id));
	}
	metric_observe_us(M_POLICY_DURATION, r->d.lua_us, METRIC_LABELS("all"));
	if (!r->endpoint)
		return;
	metric_observe_us(M_GENERATION_DURATION, us, METRIC_LABELS(model, provider, r->stream ? "true" : "false"));
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++)
		if (tokens[i].n)
			metric_add(M_TOKENS, (int64_t)tokens[i].n, METRIC_LABELS(model, provider, tokens[i].kind));
	if (r->w->bill.charge_nusd)
		metric_add(M_COST, r->w->bill.charge_nusd, both);
	if (!r->first_us)
		return;
	metric_observe_us(M_TTFT, r->first_us - r->began_us, both);
	if (r->usage.output > 1)
		metric_observe_us(M_TPOT, (r->settled_us - r->first_us) / r->usage.output, both);
}

/* "OpenAI/JS 5.1.0" is "OpenAI/JS": a program, not a person's machine. */
static const char *program(struct relay *r, struct permit log)
{
	struct mg_str agent = confided_to(log, r->client.agent);
	size_t len = 0;

	while (len < agent.len && len < 64 && agent.at[len] != ' ')
		len++;
	return words(r, (struct mg_str){ agent.at, len });
}

/* What the gateway itself took up to the first byte upstream; all of it where there was none. */
static uint64_t own_us(const struct relay *r)
{
	uint64_t us = r->translate_us + r->relay_us + r->d.lua_us;

	return r->sent_us ? us : r->settled_us - r->began_us;
}

static const char *trace_id(struct relay *r, struct permit log)
{
	struct mg_str parent = confided_to(log, r->client.traceparent);

	return parent.at ? words(r, (struct mg_str){ parent.at + 3, 32 }) : NULL;
}

static const char *app(struct relay *r, struct permit log)
{
	const char *title = confided_words(log, r->client.title, r->pool);

	return title ? title : confided_words(log, r->client.referer, r->pool);
}

/* [{"provider":"one","status":503,"reason":"overloaded","ms":12}, ...] */
static const char *attempts_json(const struct relay *r, struct buf *b)
{
	buf_text(b, "[");
	for (unsigned i = 0; i < r->n_tried; i++) {
		const struct tried *t = &r->tried[i];

		buf_text(b, i ? ",{\"provider\":\"" : "{\"provider\":\"");
		buf_text(b, t->endpoint->provider->slug);
		buf_text(b, "\",\"status\":");
		buf_number(b, (uint64_t)(t->status > 0 ? t->status : 0));
		if (!t->ok) {
			buf_text(b, ",\"reason\":\"");
			buf_text(b, t->lost ? "hedge_lost" : error_kind_name(t->kind));
			buf_text(b, "\"");
		}
		buf_text(b, ",\"ms\":");
		buf_number(b, t->ms);
		buf_text(b, "}");
	}
	buf_put(b, "]", 2);	/* and a NUL */
	return b->failed ? "[]" : b->at;
}

void relay_log(struct relay *r)
{
	char room[64], more[4096];
	struct buf cost = buf_on(room, sizeof(room)), attempts = buf_on(more, sizeof(more));
	struct permit log = permit(r, SINK_LOG);
	const struct endpoint *e = answerable(r);

	money_text(&cost, r->charge_nusd, 9);
	buf_put(&cost, "", 1);
	log_at(LOG_INFO, EV_GENERATION, r->name, LOG_W("generation_id", r->id), LOG_S("trace_id", trace_id(r, log)),
		LOG_W("route", r->route), LOG_W("wire", r->surface->api), LOG_N("status", r->status), LOG_W("outcome", r->outcome),
		LOG_W("error_code", error_word(r)),
		LOG_S("model_requested", confided_words(log, (struct confided){ r->d.facts.model }, r->pool)),
		LOG_S("model", e ? e->model->slug : ""), LOG_W("provider", e ? e->provider->slug : ""), LOG_S("endpoint", e ? e->id : ""), LOG_W("key", r->key->hash[0] ? r->key->hash + SHA256_HEX - 8 : ""),
		LOG_S("workspace", r->key->workspace), LOG_S("app", app(r, log)),
		LOG_S("client", program(r, log)), LOG_S("session_id", confided_words(log, r->client.session, r->pool)), LOG_N("stream", r->stream),
		LOG_J("attempts", attempts_json(r, &attempts)), LOG_N("ttft_ms", r->first_us ? (r->first_us - r->began_us) / 1000 : 0),
		LOG_N("duration_ms", (clock_us() - r->began_us) / 1000), LOG_N("tokens_in", r->usage.input + r->usage.cached),
		LOG_N("tokens_out", r->usage.output), LOG_N("tokens_cached", r->usage.cached),
		LOG_N("tokens_reasoning", r->usage.reasoning), LOG_W("cost_usd", cost.at),
		LOG_W("finish_reason", finish_word(r)), LOG_W("policy", bundle_of(r)), LOG_N("policy_us", r->d.lua_us), LOG_N("overhead_us", r->overhead_us),
		LOG_N("bytes_in", r->http->body.len), LOG_N("bytes_out", r->http->bytes_out));
}

void relay_settle(struct relay *r, int status, const char *outcome)
{
	enum usage_source source;
	bool held = r->hold.open;

	if (r->settled)
		return;
	r->settled = true;
	source = usage_of(r);
	r->settled_us = clock_us();
	bill_of(r, source);
	if (hold_settle(&r->hold, bill_amount(&r->w->bill)) && !r->key->tenant && r->w->bill.own_nusd)
		scope_post(accounts_apart(r->w->gw->accounts), (struct amount){ 0, r->w->bill.own_nusd }, r->created_ms);
	if (held)			/* refused before any hold: nothing was asked of anybody, nothing is kept */
		write_record(r, source, status == 200 && source != USAGE_NONE);
	else
		write_decision(r);
	count(r, outcome);
	r->status = status;
	r->outcome = outcome;
	r->charge_nusd = r->w->bill.charge_nusd;
	r->overhead_us = own_us(r);
	if (r->policy)
		policy_observe(r->policy->state, &r->d, &(struct outcome){ .status = status, .kind = outcome, .endpoint = r->endpoint,
			.attempts = r->n_tried, .ttft_ms = r->first_us ? (r->first_us - r->began_us) / 1000 : 0,
			.latency_ms = (r->settled_us - r->began_us) / 1000, .usage = &r->usage, .bill = &r->w->bill, .hedged = race_hedged(r) });
	if (r->d.errors)
		metric_add(M_POLICY_ERRORS, r->d.errors, METRIC_LABELS("hook"));
}
