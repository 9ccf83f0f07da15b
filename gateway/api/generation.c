/*
 * generation.c - GET /generation?id=gen-...[&receipt=true]: the record of one generation, for
 * the key that made it and for management keys.
 */
#include "api/api.h"
#include "author/versions.h"
#include "replay/recall.h"

enum { RECORD_MAX = 1024 * 1024 };	/* bytes */

struct lookup {
	struct job job;
	struct api_call *c;
	const char *id;
	bool found, receipt;
	struct bundle *bundle;		/* live; of a decision, which is made again with the one that made it; NULL: a generation is asked for */
	struct buf out;
	struct err err;
	int rc, told;			/* told: it is there, and could not be written or signed */
};

static bool on_generation(void *arg, const void *row)
{
	const struct mg_store_generation *g = row;
	struct lookup *l = arg;
	const struct key_facts *key = &l->c->key;

	if (!key->management && strcmp(g->key_hash, key->hash))
		return true;		/* somebody else's is as good as none (R80) */
	l->told = generation_answer(g, l->receipt ? &l->c->w->gw->seal : NULL, &l->out, &l->err);
	l->found = true;
	return false;
}

static struct bundle *at_hand(void *arg, const char *digits)
{
	const struct lookup *l = arg;

	return versions_bundle(l->c->w->gw->versions, l->bundle, digits);
}

static int read_decision(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	struct lookup *l = arg;
	int rc;

	buf_print(&l->out, "{\"data\":");
	rc = decision_find(ops, handle, l->id, &(struct bundles){ at_hand, l }, &l->out, err);
	buf_text(&l->out, "}");
	l->found = rc == 1;
	return rc < 0 ? rc : MG_OK;
}

static int read_rows(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	struct lookup *l = arg;
	char why[256] = "";
	int rc = ops->each(handle, MG_ROW_GENERATION, l->id, 0, 16, on_generation, l, why);

	if (l->told)
		*err = l->err;		/* the waiter's takes its place */
	return rc ? fail(err, rc, "%s", why) : l->told;
}

static void lookup_work(struct job *job)
{
	struct lookup *l = loop_owner(job, struct lookup, job);

	l->rc = store_run(l->c->w->gw->store, l->bundle ? read_decision : read_rows, l, &l->err);
}

static void lookup_done(struct job *job)
{
	struct lookup *l = loop_owner(job, struct lookup, job);

	if (l->rc != MG_OK) {
		api_store_failed(l->c->http, &l->err);
	} else if (!l->found) {
		api_error(l->c->http, 404, "not_found", "Generation %s not found", l->id);
	} else {
		api_json(l->c->http, 200, buf_view(&l->out));
	}
	buf_release(&l->out);
	bundle_unref(l->bundle);
}

struct bundle *bundle_now(struct worker *w)
{
	struct snapshot *snap = snapshot_pin(w->gw->snapshots, w->n);
	struct bundle *b = bundle_ref(snap->bundle);

	snapshot_unpin(w->gw->snapshots, w->n, snap);
	return b;
}

static void lookup(struct api_call *c, bool decision)
{
	struct mg_str id = http_query(c->http, "id"), receipt = http_query(c->http, "receipt");
	struct lookup *l = pool_alloc(c->http->pool, sizeof(*l));

	if (!l) {
		api_error(c->http, 503, "server", "No memory for the request");
		return;
	}
	if (!id.at || id.len > 64 || strncmp(id.at, "gen-", 4)) {
		api_error(c->http, 400, "invalid_request", "id: must be a generation's id, such as gen-1764031697-vqvW0uz7ouT4gsp3FYqp");
		return;
	}
	*l = (struct lookup){ .job = { lookup_work, lookup_done, c->w->loop, NULL }, .c = c, .id = id.at, .bundle = decision ? bundle_now(c->w) : NULL,
		.receipt = mg_is(receipt, "true") || mg_is(receipt, "1") };
	buf_init(&l->out, RECORD_MAX);
	background_run(&l->job);
}

void generation_get(struct api_call *c)
{
	lookup(c, false);
}

/* Whoever has a receipt may ask by which key it can be checked. */
void generation_key(struct api_call *c)
{
	struct mg_writer *w = json_writer(c->http->pool);
	unsigned char public[SEAL_PUBLIC];
	char id[SEAL_ID + 1];
	struct buf pem;

	if (!w || seal_public(&c->w->gw->seal, public, &(struct err){ 0 })) {
		api_error(c->http, 503, "server", "No memory for the request");
		return;
	}
	buf_init(&pem, 4096);
	seal_public_pem(public, &pem);
	seal_id(public, id);
	json_open(w, NULL, '{');
	json_open(w, "data", '{');
	json_put_text(w, "alg", "Ed25519");
	json_put_text(w, "key_id", id);
	json_put(w, "public_key", buf_view(&pem));
	json_close(w);
	json_close(w);
	buf_release(&pem);
	api_json(c->http, 200, json_written(w));
}

/* What policy explain shows: which candidates there were, and what became of each. */
void decision_get(struct api_call *c)
{
	lookup(c, true);
}
