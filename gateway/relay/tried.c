/*
 * tried.c - the books of a request's attempts: each has an intent in the journal
 * before it begins, counts for its endpoint's health while it runs, and leaves a
 * line of what became of it.
 */
#include "base/log.h"
#include "relay/relay.h"

/* Room for two, four, eight ...: a request without memory for more is not told of them. */
void tried_add(struct relay *r, const struct attempt *a, const struct tried *t)
{
	unsigned n = r->n_tried;

	if (n == ATTEMPTS_MAX)
		return;
	if (!n || (n > 1 && !(n & (n - 1)))) {
		struct tried *more = pool_alloc(r->pool, (n ? 2 * n : 2) * sizeof(*more));

		if (!more)
			return;
		if (n)
			memcpy(more, r->tried, n * sizeof(*more));
		r->tried = more;
	}
	r->tried[r->n_tried] = *t;
	attempt_told(a, &r->tried[r->n_tried++]);
}

const char *relay_attempt_id(const struct relay *r, unsigned n, char out[static ATTEMPT_ID])
{
	struct buf b = buf_on(out, ATTEMPT_ID);

	buf_text(&b, r->id);
	buf_put(&b, "-", 1);
	buf_number(&b, n);
	buf_put(&b, "", 1);
	return out;
}

int tried_intent(struct relay *r, const struct endpoint *e, struct err *err)
{
	char id[ATTEMPT_ID];
	int rc;

	/* a number of its own, also behind one that did not begin: the store has one intent by an id, and its hold */
	rc = journal_intent(r->w->journal, &(struct mg_store_intent){ .size = sizeof(struct mg_store_intent),
		.attempt_id = relay_attempt_id(r, ++r->n_intents, id), .generation_id = r->id, .key_hash = r->key->hash, .endpoint = e->id,
		.hold_nusd = r->hold.held.charge, .at_ms = r->created_ms }, err);
	loop_step(r->w->loop);
	return rc;
}

bool tried_launch(struct relay *r, struct candidate *c, struct err *err)
{
	r->endpoint = c->endpoint;
	live_begin(c->endpoint->live, loop_now_ms(r->w->loop));
	choice_count(r, c->endpoint);
	if (attempt_start(r, c, err))
		return true;
	live_end(c->endpoint->live, &(struct live_outcome){ .cancelled = true }, loop_now_ms(r->w->loop));
	r->endpoint = NULL;
	return false;
}

void tried_failed(struct relay *r, struct attempt *a, const struct mg_failure *f)
{
	const struct endpoint *e = attempt_endpoint(a);
	const char *kind = error_kind_name(f->kind);
	uint64_t us = attempt_us(a);

	live_end(e->live, &(struct live_outcome){ .kind = f->kind, .counts = attempt_sent(a) && !attempt_stale(a) && f->kind != MG_E_BAD_REQUEST && f->kind != MG_E_CONTEXT_LENGTH
		&& f->kind != MG_E_MODERATION, .retry_after_ms = f->retry_after_ms, .total_us = us }, loop_now_ms(r->w->loop));
	metric_add(M_ATTEMPTS, 1, METRIC_LABELS(e->provider->slug, "failed", kind));
	tried_add(r, a, &(struct tried){ .endpoint = e, .status = attempt_status(a), .kind = f->kind, .hedge = race_is_hedge(r, a),
		.code = pool_dup(r->pool, f->code), .ms = us / 1000 });
	log_at(LOG_WARN, EV_UPSTREAM_FAILED, r->name, LOG_S("endpoint", e->id), LOG_S("kind", kind),
		LOG_N("status", attempt_status(a)), LOG_N("ms", us / 1000));
}

void tried_cancelled(struct relay *r, struct attempt *a, const char *why)
{
	const struct endpoint *e = attempt_endpoint(a);
	uint64_t us = attempt_us(a);

	live_end(e->live, &(struct live_outcome){ .cancelled = true, .total_us = us }, loop_now_ms(r->w->loop));
	metric_add(M_ATTEMPTS, 1, METRIC_LABELS(e->provider->slug, "cancelled", why));
	tried_add(r, a, &(struct tried){ .endpoint = e, .status = attempt_status(a), .kind = MG_E_CANCELLED, .hedge = race_is_hedge(r, a),
		.lost = !strcmp(why, "lost"), .ms = us / 1000 });
}
