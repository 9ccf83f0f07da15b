#include "policy/metadata.h"

/* Another model than the first one that was asked for answered. */
static bool fell_back(const struct decision *d, const struct endpoint *e)
{
	return e && d->facts.models.n && !mg_is(d->facts.models.at[0], e->model->slug);
}

static const char *strategy_of(const struct decision *d, const struct metadata *m)
{
	if (d->strategy)
		return d->strategy;
	if (fell_back(d, m->selected))
		return "fallback";
	if (d->alias && d->facts.model.len && d->facts.model.at[0] == '~')
		return "latest";
	return d->alias ? "alias" : "direct";
}

static void summary(struct mg_writer *w, const struct decision *d, const struct metadata *m)
{
	char text[160];

	if (m->selected)
		snprintf(text, sizeof(text), "available=%zu, selected=%s", d->n_order, m->selected->provider->name);
	else
		snprintf(text, sizeof(text), "available=%zu", d->n_order);
	json_put_text(w, "summary", text);
}

static void endpoints(struct mg_writer *w, const struct decision *d, const struct metadata *m)
{
	json_open(w, "endpoints", '{');
	json_put_int(w, "total", (int64_t)d->n);
	json_open(w, "available", '[');
	for (size_t i = 0; i < d->n_order; i++) {
		const struct endpoint *e = d->order[i]->endpoint;

		json_open(w, NULL, '{');
		json_put_text(w, "provider", e->provider->name);
		json_put_text(w, "model", e->model->slug);
		json_put_bool(w, "selected", e == m->selected);
		json_close(w);
	}
	json_close(w);
	json_close(w);
}

void metadata_write(struct mg_writer *w, const char *name, const struct decision *d, const struct metadata *m)
{
	json_open(w, name, '{');
	json_put(w, "requested", d->facts.model);
	json_put_text(w, "strategy", strategy_of(d, m));
	json_put_text(w, "region", m->region);
	summary(w, d, m);
	/* The winner is the last one: nothing is tried after it. */
	json_put_int(w, "attempt", m->selected ? (int64_t)m->n_attempts : 0);
	json_put_bool(w, "is_byok", m->is_byok);
	endpoints(w, d, m);
	json_open(w, "attempts", '[');
	for (size_t i = 0; i < m->n_attempts; i++) {
		json_open(w, NULL, '{');
		json_put_text(w, "provider", m->attempts[i].provider);
		json_put_text(w, "model", m->attempts[i].model);
		json_put_int(w, "status", m->attempts[i].status);
		json_close(w);
	}
	json_close(w);
	if (m->generation_ms >= 0)
		json_put_int(w, "generation_time", m->generation_ms);
	json_close(w);
}
