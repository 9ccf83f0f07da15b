/*
 * relay.c - the way of one request; relay.h has the picture.
 */
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "relay/inline.h"

static void relay_next(struct relay *r);

/* ------------------------------------------------ attempts */

static void attempt_refused(struct relay *r, const struct candidate *c, const struct err *err)
{
	struct refusal why;
	struct mg_failure f = { .size = sizeof(f), .kind = err->rc == MG_EINVAL ? MG_E_BAD_REQUEST : MG_E_UPSTREAM,
		.retryable = err->rc != MG_EINVAL, .message = { err->msg, strlen(err->msg) } };

	if (r->d.unshaped == c->endpoint)
		refusal_of_policy(r, "shape", &why);
	else
		refusal_of_failure(r, c->endpoint, &f, 0, &why);
	relay_remember(r, &why);
	r->last_kind = f.kind;
	log_at(LOG_WARN, EV_UPSTREAM_FAILED, r->name, LOG_S("endpoint", c->endpoint->id), LOG_S("why", err->msg));
}

/* false: what the request points to cannot be had for this endpoint. */
static bool inlined(struct relay *r, struct candidate *c, bool *waits)
{
	struct err err = { 0 };
	int rc = inline_for(r, c->endpoint, &err);

	*waits = rc == INLINE_WAITS;
	if (rc == MG_OK)
		return true;
	live_unallow(c->endpoint->live);
	if (*waits) {
		r->next--;
		return false;
	}
	c->dropped = "fetch";
	attempt_refused(r, c, &err);
	return false;
}

/* true: an attempt runs, or the request is ended. */
static bool try_candidate(struct relay *r, struct candidate *c)
{
	struct err err = { 0 };
	struct scope *which = NULL;
	struct amount a;

	if (hold_estimate(r, c->endpoint, &a) != MG_OK) {
		c->dropped = "no_price";		/* never free by mistake (R49) */
		live_unallow(c->endpoint->live);
		relay_remember(r, &(struct refusal){ .status = 503, .error_type = "server", .message = "No price is configured for this model" });
		return false;
	}
	if (!hold_pays_prompt(r, c->endpoint)) {
		c->dropped = "max_charge";
		live_unallow(c->endpoint->live);
		relay_remember(r, &(struct refusal){ .status = 402, .error_type = "payment_required",
			.message = "The prompt alone costs more than this request may" });
		return false;
	}
	if (!hold_for(r, a, &which)) {
		c->dropped = "budget";
		live_unallow(c->endpoint->live);
		if (r->next < r->d.n_order || r->n_tried)
			return false;
		refuse_money(r, which);
		return true;
	}
	if (tried_intent(r, c->endpoint, &err) != MG_OK) {
		refuse_store(r, &err);
		return true;
	}
	if (r->n_tried)
		metric_add(M_FALLBACKS, 1, METRIC_LABELS(c->endpoint->model->label, r->tried[r->n_tried - 1].endpoint->provider->slug,
			c->endpoint->provider->slug, error_kind_name(r->last_kind)));
	if (tried_launch(r, c, &err)) {
		if (r->d.plan.hedge_extra)
			race_arm(r);
		return true;
	}
	attempt_refused(r, c, &err);
	if (r->last_kind == MG_E_BAD_REQUEST) {		/* the request's own fault: elsewhere it would fail, too (R32) */
		refuse_upstreams(r);
		return true;
	}
	return false;
}

uint64_t relay_deadline_ms(const struct relay *r, const struct provider *p)
{
	uint64_t wish = r->d.plan.deadline_ms;

	return wish && wish < p->total_ms ? wish : p->total_ms;
}

/* Is enough of it left to ask anybody? */
bool relay_has_time(const struct relay *r)
{
	enum { LEAST_MS = 10 };

	return !r->d.plan.deadline_ms || (clock_us() - r->began_us) / 1000 + LEAST_MS < r->d.plan.deadline_ms;
}

static void relay_next(struct relay *r)
{
	bool waits = false;

	while (!r->ended && r->n_tried < choice_most(r) && relay_has_time(r)) {
		struct candidate *c = choice_next(r);

		if (!c)
			break;
		if (!inlined(r, c, &waits)) {
			if (waits)
				return;		/* for r->step */
			continue;
		}
		if (try_candidate(r, c))
			return;
	}
	if (!r->ended && !r->last && !relay_has_time(r))
		relay_remember(r, &(struct refusal){ .status = 504, .error_type = "timeout", .message = "No time is left for this request" });
	if (!r->ended)
		refuse_upstreams(r);
}

static void begin_beat(struct relay *r);

static void decide(struct relay *r)
{
	if (!relay_decide(r))
		return;		/* it is refused; or r->step comes again */
	begin_beat(r);
	relay_next(r);
}

static void on_step(struct timer *t)
{
	struct relay *r = loop_owner(t, struct relay, step);

	if (r->ended)
		return;
	if (r->d.waits)
		decide(r);
	else if (r->now)
		race_step(r);
	else
		relay_next(r);
}

/* ------------------------------------------------ the answer */

static uint64_t event_bytes(const struct mg_event *e)
{
	switch (e->kind) {
	case MG_EV_TEXT:
	case MG_EV_REFUSAL:
	case MG_EV_REASONING:
	case MG_EV_TOOL_ARGS:
		return e->data.len;
	case MG_EV_TOOL_BEGIN:
		return e->name.len;
	default:
		return 0;
	}
}

/* A stream that is silent shows that it lives (R18): before the first output only
 * where that is configured, since it fixes the status (R24). */
static void on_beat(struct timer *t)
{
	struct relay *r = loop_owner(t, struct relay, beat);
	uint64_t now_ms = loop_now_ms(r->w->loop), silent_ms = now_ms - r->wrote_ms;

	if (r->ended)
		return;
	if (!r->opened || silent_ms >= r->alive_ms) {
		r->surface->comment(r);
		r->wrote_ms = now_ms;
		silent_ms = 0;
	}
	loop_timer_set(r->w->loop, t, r->alive_ms - silent_ms);
}

static void begin_beat(struct relay *r)
{
	json_t *limits = json_object_get(r->snap->conf.tree, "limits");
	uint64_t early_ms;

	if (!r->stream || !r->surface->comment)
		return;
	r->beat.fire = on_beat;
	early_ms = (uint64_t)json_integer_value(json_object_get(limits, "early_comments"));
	r->alive_ms = (uint64_t)json_integer_value(json_object_get(limits, "keep_alive"));
	r->wrote_ms = loop_now_ms(r->w->loop);
	if (early_ms)
		loop_timer_set(r->w->loop, &r->beat, early_ms);
}

static void first_output(struct relay *r)
{
	if (r->race)
		race_won(r);
	r->first_us = clock_us();
	if (r->stream && r->d.plan.max_charge_nusd)
		r->output_max = hold_output_max(r);
}

/* Output: nothing else may answer from here on (R20, R24). */
static void commit(struct relay *r, uint64_t bytes)
{
	if (!r->first_us)
		first_output(r);
	r->output_bytes += bytes;
	r->full = r->output_bytes > r->output_max;
	r->wrote_ms = loop_now_ms(r->w->loop);
	if (!r->committed && r->stream) {
		r->committed = true;
		r->surface->begin(r);
		if (r->alive_ms)
			loop_timer_set(r->w->loop, &r->beat, r->alive_ms);
	}
}

/* Of several that run this one speaks. */
static void heard(struct relay *r, struct attempt *a)
{
	if (r->now != a)
		race_turn(r, a);
}

void relay_event(struct relay *r, struct attempt *a, const struct mg_event *e)
{
	if (r->ended)
		return;
	heard(r, a);
	switch (e->kind) {
	case MG_EV_START:
		r->upstream_id = pool_dup(r->pool, e->id);
		return;
	case MG_EV_USAGE:
		r->usage = *e->usage;
		r->usage_reported = true;
		return;
	case MG_EV_FINISH:
		r->finish = e->finish;
		r->native = pool_dup(r->pool, e->name);
		return;
	default:
		break;
	}
	commit(r, event_bytes(e));
	if (!r->unattended)
		r->surface->event(r, e);
}

void relay_pass(struct relay *r, struct attempt *a, struct mg_view frame)
{
	uint64_t bytes = r->surface->weigh(frame);

	if (r->ended || !bytes)
		return;
	heard(r, a);
	if (!r->upstream_id.at)
		r->upstream_id = pool_dup(r->pool, json_text(r->pool, json_get(frame, "id")));
	commit(r, bytes);
	if (!r->unattended)
		r->surface->pass(r, frame);
}

static struct closing closing_of(struct relay *r)
{
	return (struct closing){ .finish = r->finish, .native = r->native, .usage = &r->usage, .bill = &r->w->bill };
}

/* An answer with no output, no finish reason and no usage is none (R30). */
static bool empty(const struct relay *r)
{
	return !r->first_us && r->finish == MG_NONE;
}

/* To the first output of this attempt, not of those before it. */
static uint64_t first_output_us(const struct relay *r, const struct attempt *a)
{
	uint64_t began_us = attempt_began_us(a);

	return r->first_us > began_us ? r->first_us - began_us : 0;
}

static void conclude(struct relay *r, const char *outcome)
{
	relay_settle(r, r->unattended ? 499 : 200, r->unattended ? "cancelled" : outcome);
	r->ended = true;
}

void relay_attempt_done(struct relay *r, struct attempt *a)
{
	const struct endpoint *e = attempt_endpoint(a);
	uint64_t first_us = first_output_us(r, a), all_us = attempt_us(a);
	struct closing c;

	heard(r, a);
	if (empty(r)) {
		relay_attempt_failed(r, a, &(struct mg_failure){ .size = sizeof(struct mg_failure), .kind = MG_E_UPSTREAM,
			.retryable = true, .message = MG_STR("the answer was empty") }, "first_token");
		return;
	}
	if (r->race)
		race_won(r);
	r->now = NULL;
	r->endpoint = e;
	tried_add(r, a, &(struct tried){ .endpoint = e, .status = 200, .ok = true, .hedge = race_is_hedge(r, a), .ms = all_us / 1000 });
	metric_add(M_ATTEMPTS, 1, METRIC_LABELS(e->provider->slug, "ok", ""));
	conclude(r, "ok");
	live_end(e->live, &(struct live_outcome){ .ok = true, .counts = true, .slow = r->stream && first_us > e->provider->slow_ms * 1000,
		.ttft_us = first_us, .total_us = all_us, .output_tokens = r->usage.output + r->usage.reasoning,
		.input_tokens = r->usage.input + r->usage.cached, .cached_tokens = r->usage.cached }, loop_now_ms(r->w->loop));
	if (r->unattended) {
		gone_answered(r);
		return;
	}
	c = closing_of(r);
	if (r->stream && !r->committed) {
		r->committed = true;
		r->surface->begin(r);
	}
	r->surface->finish(r, &c);
}

/* max_charge_nusd of the plan is reached: the end is that of max_tokens, and what was
 * delivered is charged.  A whole answer has cost what it costs: it is not cut. */
void relay_attempt_filled(struct relay *r, struct attempt *a)
{
	r->finish = MG_LENGTH;
	r->native = (struct mg_str)MG_STR("max_charge");
	relay_attempt_done(r, a);
}

/* After the first byte: one error event, and the end (R20). */
static void relay_break(struct relay *r)
{
	struct closing c;

	r->finish = MG_FAILED;
	conclude(r, r->last_kind == MG_E_TIMEOUT ? "timeout" : "upstream_error");
	if (r->unattended) {
		gone_answered(r);
		return;
	}
	c = closing_of(r);
	r->surface->broken(r, &c, r->last);
}

static void skip(struct relay *r, const struct action *act, const struct endpoint *e)
{
	for (size_t i = r->next; act->skip && i < r->d.n_order; i++) {
		const struct endpoint *other = r->d.order[i]->endpoint;

		if (act->skip == SKIP_MODEL ? other->model == e->model : other->provider == e->provider)
			r->d.order[i]->dropped = "skipped";
	}
}

/* Another model: expand, filter and rank again; what was tried stays tried. */
static bool reroute(struct relay *r, struct mg_str model)
{
	struct denial no = { 0 };

	r->next = 0;
	if (!policy_reroute(r->policy->state, &r->d, r->snap->catalog, model, &no))
		return false;
	choice_tried_last(r);
	return true;
}

static void follow_action(struct relay *r, const struct action *act, const struct endpoint *e)
{
	uint64_t wait_ms = 0;

	switch (act->what) {
	case ACT_STOP:
		refuse_upstreams(r);
		return;
	case ACT_RETRY:
		if (choice_again(r, e))
			wait_ms = act->after_ms;
		break;
	case ACT_MODEL:
		if (!reroute(r, act->model)) {
			refuse_upstreams(r);
			return;
		}
		break;
	case ACT_NEXT:
		skip(r, act, e);
	}
	loop_timer_set(r->w->loop, &r->step, wait_ms);
}

static bool others(const struct relay *r)
{
	for (size_t i = r->next; i < r->d.n_order; i++)
		if (!r->d.order[i]->dropped)
			return true;
	return false;
}

/* true: that is the end, since output had been sent. */
static bool give_up(struct relay *r, struct attempt *a, const struct mg_failure *f)
{
	const struct endpoint *e = attempt_endpoint(a);
	struct refusal why;

	tried_failed(r, a, f);
	refusal_of_failure(r, e, f, attempt_status(a), &why);
	relay_remember(r, &why);
	r->last_kind = f->kind;
	r->now = NULL;
	if (r->committed)
		relay_break(r);
	else
		relay_lose(r, e, false);
	return r->committed;
}

/* What an attempt had said that nobody else will. */
static void forget(struct relay *r)
{
	r->surface->reset(r);		/* what an unstreamed answer had gathered */
	r->first_us = 0;
	r->finish = MG_NONE;
	r->native = r->upstream_id = (struct mg_str){ 0 };
	r->output_bytes = 0;
	r->endpoint = NULL;
}

void relay_attempt_failed(struct relay *r, struct attempt *a, const struct mg_failure *f, const char *phase)
{
	const struct endpoint *e = attempt_endpoint(a);
	struct attempt_error error = { .endpoint = e, .kind = f->kind, .status = attempt_status(a), .retryable = f->retryable,
		.phase = phase, .retry_after_ms = f->retry_after_ms, .elapsed_ms = (clock_us() - r->began_us) / 1000,
		.deadline_ms = relay_deadline_ms(r, e->provider) };
	struct action act = { .what = ACT_NEXT };

	if (r->ended)
		return;
	heard(r, a);
	if (give_up(r, a, f) || (r->race && race_goes_on(r, a, "failed")))
		return;
	forget(r);
	error.n = r->n_tried;
	error.tries_here = choice_tries(r, e);
	/* A kept connection that had ended says nothing of the endpoint: where there is no
	 * other it is asked once more, by an attempt of its own (R32). */
	if (attempt_stale(a) && error.tries_here == 1 && !others(r))
		act.what = ACT_RETRY;
	else
		policy_on_error(r->policy->state, &r->d, &error, r->d.order + r->next, r->d.n_order - r->next, &act);
	follow_action(r, &act, e);
}

/* ------------------------------------------------ from outside */

static void name_it(struct relay *r)
{
	const char *theirs = confided_words(keep_permit(&r->d.keep, SINK_LOG, r->created_ms), r->client.request_id, r->pool);

	r->name = theirs ? theirs : r->id;
}

void relay_start(struct relay *r)
{
	r->step.fire = on_step;
	r->output_max = UINT64_MAX;
	r->started_us = clock_us();
	r->w->running++;
	r->snap = snapshot_pin(r->w->gw->snapshots, r->w->n);
	r->policy = worker_pin_policy(r->w, r->snap);
	r->d.conf = r->snap->conf.tree;
	r->d.purse = r->key->scope;
	r->d.tenant = r->key->tenant;
	r->d.balance = accounts_balance(r->w->gw->accounts);
	r->d.own_purse = r->key->tenant ? r->key->tenant : accounts_apart(r->w->gw->accounts);
	policy_retain(r->policy->state, &r->d);		/* first: also a refusal is logged */
	name_it(r);
	if (atomic_load_explicit(&r->w->gw->policy_stale, memory_order_relaxed))
		refuse_denied(r, &(struct denial){ .status = 503, .code = "policy_stale", .message = "The routing policy is out of date" });
	else
		decide(r);
}

void relay_drained(struct relay *r)
{
	if (r->race)
		race_drained(r);
	if (r->now)
		attempt_resume(r->now);
}

void relay_cut(struct relay *r)
{
	struct mg_failure f = { .size = sizeof(f), .kind = MG_E_UPSTREAM, .message = MG_STR("the gateway is shutting down") };
	struct attempt *a;

	if (r->ended)
		return;
	if (r->race)
		race_narrow(r);
	a = r->now;
	if (!a) {
		inline_stop(r);
		lookup_stop(r);
		refuse_upstreams(r);
		return;
	}
	if (!give_up(r, a, &f)) {
		if (r->race)
			race_goes_on(r, a, "cancelled");
		forget(r);
		refuse_upstreams(r);
	}
	attempt_cancel(a);
}

void relay_release(struct relay *r)
{
	if (r->settled)
		relay_log(r);
	inline_stop(r);
	lookup_stop(r);
	loop_timer_clear(r->w->loop, &r->step);
	loop_timer_clear(r->w->loop, &r->beat);
	if (r->race)
		race_release(r);
	if (r->now)
		attempt_cancel(r->now);
	gone_release(r);
	if (r->policy)
		worker_unpin_policy(r->w, r->policy);
	if (r->snap)
		snapshot_unpin(r->w->gw->snapshots, r->w->n, r->snap);
	r->policy = NULL;
	r->snap = NULL;
	r->w->running--;
}
