/*
 * explain.c - POST /api/admin/decision[?key=hash]: what would become of a chat request, decided with
 * what this gateway knows of its endpoints now, and with the headers that this request has.  A state of its own is made for it, not on a worker.
 */
#include "api/chat.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "replay/recall.h"

enum { POOL_BYTES = 128 << 20, ANSWER_BYTES = 16 << 20 };

/* As much of a store as a decision needs. */
struct told { struct pool *pool; struct endpoint_row { struct mg_store_endpoint row; struct endpoint_row *next; } *first; };

static bool tell(void *arg, const struct mg_store_endpoint *row)
{
	struct told *t = arg;
	struct endpoint_row *one = pool_alloc(t->pool, sizeof(*one));

	if (!one)
		return false;
	*one = (struct endpoint_row){ { sizeof(one->row), pool_dup(t->pool, (struct mg_str){ row->hash, strlen(row->hash) }).at,
		pool_dup(t->pool, (struct mg_str){ row->json, strlen(row->json) }).at }, t->first };
	t->first = one->row.hash && one->row.json ? one : t->first;
	return t->first == one;
}

static int each(void *handle, enum mg_store_row kind, const char *where, int64_t since_ms, size_t limit,
	bool (*fn)(void *arg, const void *row), void *arg, char why[256])
{
	const struct told *t = handle;

	for (const struct endpoint_row *r = t->first; r && kind == MG_ROW_ENDPOINT; r = r->next)
		if ((!where || !strcmp(where, r->row.hash)) && !fn(arg, &r->row))
			break;
	return MG_OK;
}

static void decide(struct policy_state *s, struct decision *d, const struct catalog *c)
{
	struct denial no = { 0 };

	policy_retain(s, d);
	if (policy_admit(s, d, &no) && policy_resolve(s, d, &no) && policy_route(s, d, c, &no))
		policy_plan(s, d);
}

static void made_by(struct decision *d, const struct key_facts *key, struct accounts *accounts)
{
	facts_of_key(d->pool, key, accounts, &d->facts);
	d->purse = key->scope;
	d->tenant = key->tenant;
	d->balance = accounts_balance(accounts);
	d->own_purse = key->tenant ? key->tenant : accounts_apart(accounts);
}

int chat_explain(struct pool *pool, struct policy_state *s, const struct supposed *of, struct mg_view request, struct buf *out, struct err *err)
{
	static const struct mg_store ops = { .size = sizeof(ops), .each = each };
	struct told told = { pool, NULL };
	struct mg_store_decision row = { .size = sizeof(row), .generation_id = "request", .at_ms = clock_wall_ms(), .key_hash = of->key ? of->key->hash : "" };
	struct decision d;
	int rc;

	decision_init(&d, pool);
	rc = chat_facts(pool, of->catalog, request, &d.facts, err);
	rc = rc ? rc : request_labels(pool, of->conf, &of->h, request, &d.facts, err);
	if (rc)
		return rc;
	d.facts.id = (struct mg_str)MG_STR("request");
	d.facts.key.id = (struct mg_str)MG_STR("");
	d.facts.now_ms = row.at_ms;
	d.facts.seed = random_number() >> 12;
	d.facts.key.user = json_text(pool, json_get(request, "user"));
	request_words(&of->h, request, &d.facts);
	if (of->key)
		made_by(&d, of->key, of->accounts);
	decide(s, &d, of->catalog);
	row.json = decision_record(s, &d, tell, &told);
	return row.json ? decision_recall(&ops, &told, &row, NULL, out, err) : fail(err, MG_ENOMEM, "no memory for a decision");
}

/* ---- of a running gateway */

struct trial {
	struct job job;
	struct api_call *c;
	struct snapshot *snap;		/* pinned by the worker until it is done */
	struct mg_view request;
	struct key_facts key; bool by_key;
	struct buf out;
	struct err err;
	int rc;
};

static void trial_work(struct job *job)
{
	struct trial *t = loop_owner(job, struct trial, job);
	struct policy_state *s = policy_state_apart(t->snap->bundle, &t->err);
	struct pool *pool = pool_new(POOL_BYTES);

	t->rc = !s ? t->err.rc : pool ? MG_OK : fail(&t->err, MG_ENOMEM, "No memory for the request");
	buf_text(&t->out, "{\"data\":");
	if (!t->rc)
		t->rc = chat_explain(pool, s, &(struct supposed){ t->snap->catalog, t->snap->conf.tree, headers_of(t->c->http), t->by_key ? &t->key : NULL, t->c->w->gw->accounts },
			t->request, &t->out, &t->err);
	buf_text(&t->out, "}");
	policy_state_free(s);
	pool_free(pool);
}

static void answer(struct http_request *h, const struct trial *t)
{
	if (t->rc == MG_EINVAL)
		api_error(h, 400, "invalid_request", "%s", t->err.msg);
	else if (t->rc == MG_EDENIED)
		api_error(h, 404, "not_found", "%s", t->err.msg);
	else if (t->rc)
		api_error(h, 503, "server", "%s", t->err.msg);
	else
		api_json(h, 200, buf_view(&t->out));
}

static void trial_done(struct job *job)
{
	struct trial *t = loop_owner(job, struct trial, job);
	struct worker *w = t->c->w;

	snapshot_unpin(w->gw->snapshots, w->n, t->snap);
	answer(t->c->http, t);
	buf_release(&t->out);
}

static int read_trial(struct trial *t)
{
	struct http_request *h = t->c->http;
	struct mg_str key = http_query(h, "key");
	int rc = json_parse(h->pool, h->body, &t->request, &t->err);

	rc = rc ? rc : chat_check(t->request, &t->err);
	if (rc || !key.at)
		return rc;
	t->by_key = true;
	if (accounts_get(t->c->w->gw->accounts, key.at, &t->key))
		return fail(&t->err, MG_EDENIED, "key: there is no such key; it is named by its hash, as GET /api/v1/keys tells it");
	return MG_OK;
}

void decision_ask(struct api_call *c)
{
	struct trial *t = pool_alloc(c->http->pool, sizeof(*t));

	if (!t) {
		api_error(c->http, 503, "server", "No memory for the request");
		return;
	}
	*t = (struct trial){ .job = { trial_work, trial_done, c->w->loop, NULL }, .c = c };
	t->rc = read_trial(t);
	if (t->rc) {
		answer(c->http, t);
		return;
	}
	buf_init(&t->out, ANSWER_BYTES);
	t->snap = snapshot_pin(c->w->gw->snapshots, c->w->n);
	background_run(&t->job);
}
