/*
 * policy_run.c - moongate policy run: what a bundle does with a request that nobody
 * made.  The request is one of chat completions, the candidates are the configured
 * catalogue's; no upstream is asked, nothing is kept, and limits begin empty.
 */
#include <errno.h>
#include "api/chat.h"
#include "base/clock.h"
#include "cli/policy.h"
#include "cli/table.h"
#include "policy/policy.h"
#include "replay/recall.h"

enum { REQUEST_MAX = 32 << 20, POOL_MAX = 128 << 20 };
struct run { struct local local; const struct cli *c; struct pool *pool; struct bundle *bundle; struct policy_state *state; struct decision d; struct buf text;
	struct denial no; bool denied; };

/* ------------------------------------------------ the request */

static int read_file(struct run *r, const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
	char part[16384];
	size_t n;

	if (!f)
		return cli_say(EXIT_FAILED, "cannot read '%s': %s\nhint: --request FILE holds a request as it is sent to /api/v1/chat/completions", path, strerror(errno));
	buf_init(&r->text, REQUEST_MAX);
	while ((n = fread(part, 1, sizeof(part), f)))
		buf_put(&r->text, part, n);
	if (f != stdin)
		fclose(f);
	return r->text.failed ? cli_say(EXIT_FAILED, "'%s' is larger than 32 MiB", path) : EXIT_OK;
}

static struct mg_str word(const struct run *r, const char *option, const char *otherwise)
{
	const char *text = cli_option(r->c, option);

	text = text ? text : otherwise;
	return (struct mg_str){ text, strlen(text) };
}

static int ask(struct run *r)
{
	struct facts *f = &r->d.facts;
	char labels[LABELS_BYTES], of_key[LABELS_BYTES];
	struct err err = { 0 };
	struct mg_view request;
	long seed;
	int rc = cli_number(r->c, "--seed", 1, 0, INT32_MAX, &seed);

	rc = rc ? rc : cli_labels(r->c, "--labels", labels);
	rc = rc ? rc : cli_labels(r->c, "--key-labels", of_key);
	if (rc)
		return rc;
	if (json_parse(r->pool, buf_view(&r->text), &request, &err) || chat_check(request, &err) ||
	    chat_facts(r->pool, r->local.catalog, request, f, &err) || request_labels(r->pool, r->local.conf.tree, NULL, request, f, &err))
		return cli_say(EXIT_FAILED, "the request: %s", err.msg);
	f->id = (struct mg_str)MG_STR("run");
	f->now_ms = clock_wall_ms();
	f->seed = (uint64_t)seed;
	f->key.id = word(r, "--key", "run");
	f->key.org = word(r, "--org", "");
	f->key.workspace = word(r, "--workspace", "");
	f->key.user = json_text(r->pool, json_get(request, "user"));
	if (cli_option(r->c, "--labels"))
		f->labels = labels_read(r->pool, labels);
	key_labels(r->pool, of_key, f);
	f->data_class = word(r, "--data-class", "");
	return EXIT_OK;
}

/* ------------------------------------------------ the answer, as a record has it */

static json_t *text_of(struct mg_str s)
{
	return json_stringn(s.at ? s.at : "", s.at ? s.len : 0);
}

static json_t *candidates_of(const struct decision *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->n; i++) {
		const struct candidate *c = &d->candidates[i];
		const struct endpoint *e = c->endpoint;
		json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:i}", "endpoint", e->id, "model", e->model->slug, "provider", e->provider->slug, "tag", e->tag,
			"prompt_pusd", (json_int_t)e->rates.pusd[RATE_PROMPT], "completion_pusd", (json_int_t)e->rates.pusd[RATE_COMPLETION], "rank", (int)c->rank);

		if (c->dropped)
			json_object_set_new(o, "dropped", json_string(c->dropped));
		if (c->dropped && c->by)
			json_object_set_new(o, "by", json_string(c->by));
		json_array_append_new(list, o);
	}
	return list;
}

static void put_count(json_t *o, const char *name, uint64_t n)
{
	if (n)
		json_object_set_new(o, name, json_integer((json_int_t)n));
}

static json_t *plan_of(const struct plan *p)
{
	json_t *o = json_object();

	put_count(o, "deadline_ms", p->deadline_ms);
	put_count(o, "connect_timeout_ms", p->connect_ms);
	put_count(o, "ttft_timeout_ms", p->first_output_ms);
	put_count(o, "idle_timeout_ms", p->idle_ms);
	put_count(o, "max_attempts", p->attempts);
	put_count(o, "hedge_after_ms", p->hedge_after_ms);
	put_count(o, "max_charge_nusd", p->max_charge_nusd > 0 ? (uint64_t)p->max_charge_nusd : 0);
	if (p->sticky_key.len)
		json_object_set_new(o, "sticky_key", text_of(p->sticky_key));
	return o;
}

static json_t *record_of(const struct run *r)
{
	static const char *const stores[] = { "none", "metadata", "hashed", "full" };
	const struct decision *d = &r->d;
	json_t *models = json_array(), *order = json_array(), *notes = json_array(), *o;

	for (size_t i = 0; i < d->facts.models.n; i++)
		json_array_append_new(models, text_of(d->facts.models.at[i]));
	for (size_t i = 0; i < d->n_order; i++)
		json_array_append_new(order, json_string(d->order[i]->endpoint->id));
	for (const struct note *n = d->notes; n; n = n->next)
		json_array_append_new(notes, json_pack("{s:s, s:s, s:s}", "hook", n->hook, "by", n->by, "text", n->text));
	o = json_pack("{s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:s, s:I, s:b}, s:I, s:I, s:i}", "id", "run", "at_ms", (json_int_t)d->facts.now_ms,
		"bundle", bundle_hash(r->bundle), "model", text_of(d->facts.model), "models", models, "candidates", candidates_of(d), "order", order, "notes", notes,
		"plan", plan_of(&d->plan), "keep", "store", stores[d->keep.store], "ttl_s", (json_int_t)d->keep.ttl_s, "cache", d->keep.cache,
		"fuel", (json_int_t)d->fuel, "lua_us", (json_int_t)d->lua_us, "errors", (int)d->errors);
	if (!o)
		return NULL;
	json_object_set_new(o, "variant", text_of(d->facts.variant));
	json_object_set_new(o, "data_class", text_of(d->facts.data_class));
	json_object_set_new(o, "key", json_pack("{s:o, s:o, s:o}", "id", text_of(d->facts.key.id), "org", text_of(d->facts.key.org), "workspace", text_of(d->facts.key.workspace)));
	if (r->denied)
		json_object_set_new(o, "answer", json_pack("{s:i, s:s, s:s, s:s}", "status", r->no.status, "code", r->no.code, "message", r->no.message, "by", r->no.by));
	return o;
}

/* ------------------------------------------------ the run */

static void decide(struct run *r)
{
	struct mg_usage usage = { .size = sizeof(usage), .requests = 1, .input = r->d.facts.feat.prompt_tokens, .output = r->d.facts.feat.max_tokens };
	struct policy_state *s = r->state;
	struct decision *d = &r->d;
	struct bill bill;

	r->denied = true;
	if (!policy_admit(s, d, &r->no))
		return;
	policy_retain(s, d);
	if (!policy_resolve(s, d, &r->no) || !policy_route(s, d, r->local.catalog, &r->no))
		return;
	r->denied = false;
	policy_plan(s, d);
	if (!policy_price(s, d, d->order[0]->endpoint, &usage, true, &bill))
		decision_note(d, "price", "estimate", "%s: cost $%.6f, charge $%.6f", d->order[0]->endpoint->id, (double)bill.cost_nusd / 1e9, (double)bill.charge_nusd / 1e9);
}

static int print(struct run *r)
{
	json_t *o = record_of(r), *all;
	int rc = EXIT_OK;

	if (!o)
		return cli_say(EXIT_FAILED, "no memory for the answer");
	if (r->c->output != OUTPUT_TABLE) {
		all = json_pack("{s:O}", "data", o);
		rc = json_dumpf(all, stdout, JSON_COMPACT) || puts("") < 0 ? EXIT_FAILED : EXIT_OK;
		json_decref(all);
	} else {
		decision_text(o, print_line, NULL);
		if (r->denied)
			printf("answer     %d %s: %s%s%s\n", r->no.status, r->no.code, r->no.message, *r->no.by ? "  " : "", r->no.by);
	}
	json_decref(o);
	return rc;
}

static int run(struct run *r, const char *dir)
{
	struct err err = { 0 };
	int rc = ask(r);

	if (rc)
		return rc;
	if (bundle_open(dir, r->local.places.policies, &r->bundle, &err))
		return cli_fail(EXIT_PROBLEMS, &err);
	r->state = policy_state_new(r->bundle, &err);
	if (!r->state)
		return cli_fail(EXIT_FAILED, &err);
	decide(r);
	return print(r);
}

int policy_run_run(int argc, char **argv)
{
	struct run r = { .c = NULL };
	const char *dir, *file;
	struct cli c;
	int rc = cli_begin(&c, "policy run", argc, argv, 0, 1);

	if (rc)
		return rc;
	r.c = &c;
	file = cli_option(&c, "--request");
	if (!file)
		return cli_say(EXIT_USAGE, "policy run: --request FILE is missing\nhint: a request as it is sent to /api/v1/chat/completions; - is stdin");
	policy_shared_init();
	r.pool = pool_new(POOL_MAX);
	decision_init(&r.d, r.pool);
	rc = local_catalog(&r.local, &c);
	rc = rc ? rc : local_bundle(&r.local, &c, &dir);
	rc = rc ? rc : read_file(&r, file);
	rc = rc ? rc : run(&r, dir);
	policy_state_free(r.state);
	bundle_unref(r.bundle);
	buf_release(&r.text);
	pool_free(r.pool);
	local_close(&r.local);
	return rc;
}
