/*
 * hold.c - money before the wire: what an attempt may cost is held before its
 * first byte goes upstream (R40), and what a plan pays for is known in bytes of
 * output before the second one goes to the client.
 */
#include "relay/relay.h"

void relay_estimate(const struct relay *r, const struct endpoint *e, struct mg_usage *out)
{
	const struct features *f = &r->d.facts.feat;
	uint64_t most = e->max_output ? e->max_output : e->context_length > f->prompt_tokens ? e->context_length - f->prompt_tokens : 4096;
	bool writes = r->surface->op == MG_CHAT;

	*out = (struct mg_usage){ .size = sizeof(*out), .input = f->prompt_tokens, .requests = 1, .cost_nusd = -1 };
	if (writes)
		out->output = f->max_tokens && (f->max_tokens < most || !e->max_output) ? f->max_tokens : most;
}

static int price(struct relay *r, const struct endpoint *e, const struct mg_usage *u, struct amount *a)
{
	struct bill bill;

	if (policy_price(r->policy->state, &r->d, e, u, true, &bill) != MG_OK)
		return MG_EINVAL;
	*a = bill_amount(&bill);
	return MG_OK;
}

int hold_estimate(struct relay *r, const struct endpoint *e, struct amount *a)
{
	struct mg_usage u;

	relay_estimate(r, e, &u);
	return price(r, e, &u, a);
}

bool hold_for(struct relay *r, struct amount a, struct scope **which)
{
	struct scope *const all[] = { accounts_balance(r->w->gw->accounts), r->key->tenant };
	struct scope *scopes[3] = { r->key->scope };
	size_t n = 1;

	if (r->hold.open)
		return hold_raise(&r->hold, a, which) == MG_OK;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i])
			scopes[n++] = all[i];
	return hold_take(&r->hold, scopes, n, a, r->created_ms, which) == MG_OK;
}

bool hold_pays_prompt(struct relay *r, const struct endpoint *e)
{
	struct mg_usage u;
	struct amount a;

	if (!r->d.plan.max_charge_nusd)
		return true;
	relay_estimate(r, e, &u);
	u.output = 0;
	return price(r, e, &u, &a) == MG_OK && a.charge <= r->d.plan.max_charge_nusd;
}

/* Prices are the policies', so they are tried; more output is never cheaper. */
uint64_t hold_output_max(struct relay *r)
{
	struct mg_usage u;
	uint64_t few = 0, many;
	struct amount a;

	relay_estimate(r, r->endpoint, &u);
	many = u.output + 1;
	if (r->usage_reported)
		u = r->usage;		/* the prompt as the upstream counts it */
	while (few + 1 < many) {
		u.output = few + (many - few) / 2;
		if (price(r, r->endpoint, &u, &a) == MG_OK && a.charge <= r->d.plan.max_charge_nusd)
			few = u.output;
		else
			many = u.output;
	}
	relay_estimate(r, r->endpoint, &u);
	return few == u.output ? UINT64_MAX : few * OUTPUT_BYTES_A_TOKEN;
}
