#include "ledger/recovery.h"

#include <stdlib.h>

#include "ledger/generation.h"

enum { BATCH = 256 };

struct left { char *attempt_id, *generation_id, *key_hash, *endpoint; int64_t hold_nusd, at_ms; };
struct batch { struct left at[BATCH]; size_t n; bool failed; };

static bool on_intent(void *arg, const void *row)
{
	struct batch *b = arg;
	const struct mg_store_intent *i = row;
	struct left *l = &b->at[b->n++];

	*l = (struct left){ strdup(i->attempt_id), strdup(i->generation_id), strdup(i->key_hash), strdup(i->endpoint), i->hold_nusd, i->at_ms };
	b->failed |= !l->attempt_id || !l->generation_id || !l->key_hash || !l->endpoint;
	return !b->failed && b->n < BATCH;
}

/* l: the last of n attempts, which are in front of it.  Any of them may have had the request; hold_nusd: all that was held. */
static int settle(const struct mg_store *ops, void *handle, const struct left *l, size_t n, int64_t hold_nusd, struct err *err)
{
	struct attempt_record *tried = calloc(n, sizeof(*tried));
	struct generation g;
	struct mg_store_generation row = { .size = sizeof(row), .attempt_id = l->attempt_id, .generation_id = l->generation_id,
		.key_hash = l->key_hash, .model = "", .provider = l->endpoint, .loss_nusd = hold_nusd, .at_ms = l->at_ms };
	struct buf json;
	char why[256] = "";
	int rc;

	if (!tried)
		return fail(err, MG_ENOMEM, "no memory for a generation record");
	for (size_t i = 0; i < n; i++)
		tried[i] = (struct attempt_record){ .endpoint_id = l[i + 1 - n].endpoint, .latency = UNKNOWN };
	generation_init(&g);
	g.keep = keep_nothing;		/* as nobody knows what was decided */
	g.attempts = tried;
	g.n_attempts = n;
	g.id = l->generation_id;
	g.created_ms = l->at_ms;
	g.provider_name = l->endpoint;
	g.cancelled = true;
	g.usage_source = USAGE_ESTIMATED;
	buf_init(&json, 1 << 16);
	rc = generation_write(&g, &json, err);
	if (!rc) {
		buf_put(&json, "", 1);
		row.json = json.at;
		rc = json.failed ? fail(err, MG_ENOMEM, "no memory for a generation record") : ops->put(handle, MG_ROW_GENERATION, &row, why);
		if (rc && why[0])
			fail(err, rc, "%s", why);
	}
	buf_release(&json);
	free(tried);
	return rc;
}

static void forget(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->at[i].attempt_id);
		free(b->at[i].generation_id);
		free(b->at[i].key_hash);
		free(b->at[i].endpoint);
	}
	free(b);
}

static bool same(const struct left *a, const struct left *b)
{
	return !strcmp(a->generation_id, b->generation_id);
}

/* A generation's attempts come one behind the other.  With its row all of them are resolved: so of a full batch the
 * last one, whose attempts may go on behind it, waits for the next. */
static int settle_batch(const struct mg_store *ops, void *handle, const struct batch *b, struct recovered *out, struct err *err)
{
	for (size_t first = 0, end; first < b->n; first = end) {
		int64_t hold_nusd = 0;
		int rc;

		for (end = first; end < b->n && same(&b->at[first], &b->at[end]); end++)
			if (b->at[end].hold_nusd > hold_nusd)
				hold_nusd = b->at[end].hold_nusd;	/* it is one hold, which only grew */
		if (end == BATCH && first)
			break;
		rc = settle(ops, handle, &b->at[end - 1], end - first, hold_nusd, err);
		if (rc)
			return rc;
		out->loss_nusd += hold_nusd;
		out->generations++;
	}
	return MG_OK;
}

int ledger_recover_some(const struct mg_store *ops, void *handle, struct recovered *out, struct err *err)
{
	struct batch *b = calloc(1, sizeof(*b));
	char why[256] = "";
	int rc;

	if (!b)
		return fail(err, MG_ENOMEM, "no memory for the open holds");
	rc = ops->each(handle, MG_ROW_INTENT, NULL, 0, BATCH, on_intent, b, why);
	if (rc)
		rc = fail(err, rc, "%s", why);
	else if (b->failed)
		rc = fail(err, MG_ENOMEM, "no memory for the open holds");
	else
		rc = settle_batch(ops, handle, b, out, err);
	forget(b);
	return rc;
}

static int recover(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	return ledger_recover_some(ops, handle, arg, err);
}

int ledger_recover(struct store *store, struct recovered *out, struct err *err)
{
	size_t before;
	int rc;

	*out = (struct recovered){ 0, 0 };
	do {
		before = out->generations;
		rc = store_run(store, recover, out, err);
	} while (!rc && out->generations > before);
	return rc;
}
