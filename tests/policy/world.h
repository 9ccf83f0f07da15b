/* world.h - a bundle from text and a handful of endpoints, by hand. */
#ifndef TESTS_POLICY_WORLD_H
#define TESTS_POLICY_WORLD_H

#include <sys/stat.h>
#include <unistd.h>
#include "policy/state.h"
#include "replay/recall.h"

struct world {
	char dir[64];
	struct bundle *bundle;
	struct policy_state *state;
	struct provider providers[32];
	struct model models[2];
	struct endpoint endpoints[32];
	char names[32][64];
	size_t n;
	struct pool *pool;
	struct decision d;
	struct err err;
	struct { char hash[20], *json; } told[512]; size_t n_told;	/* endpoints, as a store has them */
	uint64_t samples;	/* of every candidate; 0: 100 */
	double ttft;		/* its p50, ms */
	int64_t outage_ago_ms;	/* of every second one; 0: none */
	const char *session;	/* of each request; NULL: none */
};

static inline struct mg_str word_of(const char *text) { return (struct mg_str){ text, strlen(text) }; }

/* As much of a store as there is to a decision. */
static inline bool world_tell(void *arg, const struct mg_store_endpoint *row)
{
	struct world *w = arg;

	for (size_t i = 0; i < w->n_told; i++)
		if (!strcmp(w->told[i].hash, row->hash))
			return true;
	snprintf(w->told[w->n_told].hash, sizeof(w->told[0].hash), "%s", row->hash);
	w->told[w->n_told++].json = strdup(row->json);
	return true;
}

static inline int world_each(void *handle, enum mg_store_row kind, const char *where, int64_t since_ms, size_t limit,
	bool (*fn)(void *arg, const void *row), void *arg, char why[256])
{
	struct world *w = handle;

	for (size_t i = 0; kind == MG_ROW_ENDPOINT && i < w->n_told; i++)
		if (!where || !strcmp(where, w->told[i].hash))
			fn(arg, &(struct mg_store_endpoint){ sizeof(struct mg_store_endpoint), w->told[i].hash, w->told[i].json });
	return MG_OK;
}

static const struct mg_store world_store = { .size = sizeof(world_store), .each = world_each };

/* The record of d, as the store keeps it, told in full. */
static inline json_t *world_recall(struct world *w, const struct decision *d)
{
	const char *kept = decision_record(w->state, d, world_tell, w);
	struct mg_store_decision row = { sizeof(row), "gen-1", d->facts.now_ms, kept ? kept : "", "key_1", 0 };
	struct buf out;
	json_t *all;

	buf_init(&out, 1 << 20);
	if (decision_recall(&world_store, w, &row, NULL, &out, &w->err))
		printf("# %s\n", w->err.msg);
	all = json_loadb(out.at ? out.at : "", out.len, JSON_REJECT_DUPLICATES, NULL);
	buf_release(&out);
	return all;
}

static inline void world_file(struct world *w, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	f = fopen(path, "w");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static inline void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	snprintf(w->dir, sizeof(w->dir), "/tmp/policy-XXXXXX");
	if (!mkdtemp(w->dir))
		abort();
	w->models[0] = (struct model){ .slug = (char *)"acme/large", .canonical = (char *)"acme/large", .name = (char *)"Large" };
	w->models[1] = (struct model){ .slug = (char *)"acme/small", .canonical = (char *)"acme/small", .name = (char *)"Small" };
}

/* 1 USD per million prompt tokens is 1.0. */
static inline struct endpoint *world_endpoint(struct world *w, int model, const char *provider, double prompt, double completion)
{
	struct endpoint *e = &w->endpoints[w->n];
	struct provider *p = &w->providers[w->n];

	p->slug = p->name = (char *)provider;
	p->data = (struct data_policy){ .known = true, .zdr = true };
	snprintf(w->names[w->n], sizeof(w->names[0]), "%.20s@%.40s", w->models[model].slug, provider);
	*e = (struct endpoint){ .id = w->names[w->n], .model = &w->models[model], .provider = p, .tag = (char *)provider, .tier = (char *)"default",
		.region = (char *)"", .quantization = (char *)"bf16", .context_length = 128000, .max_output = 16000, .distillable = true,
		.priced = true, .index = w->n };
	e->rates.pusd[RATE_PROMPT] = (int64_t)(prompt * 1e6);
	e->rates.pusd[RATE_COMPLETION] = (int64_t)(completion * 1e6);
	e->rates.pusd[RATE_CACHE_READ] = (int64_t)(prompt * 1e5);
	w->n++;
	return e;
}

/* bundle NULL: the shipped one. */
static inline bool world_open(struct world *w, const char *bundle)
{
	if (bundle)
		world_file(w, "bundle.lua", bundle);
	if (bundle_open(bundle ? w->dir : NULL, "policies", &w->bundle, &w->err))
		return false;
	w->state = policy_state_new(w->bundle, &w->err);
	return w->state != NULL;
}

/* A new request for acme/large. */
static inline struct decision *world_ask(struct world *w)
{
	static const struct mg_str models[] = { { "acme/large", 10 } };
	struct decision *d = &w->d;

	pool_free(w->pool);
	w->pool = pool_new(4 << 20);
	decision_init(d, w->pool);
	d->facts.id = MG_STR("gen-1");
	d->facts.api = MG_STR("chat");
	d->facts.model = MG_STR("acme/large");
	d->facts.models = (struct words){ models, 1 };
	d->facts.key.id = MG_STR("key_1");
	d->facts.key.org = MG_STR("org_1");
	d->facts.now_ms = 1767787200000;
	d->facts.seed = 1;
	d->facts.feat.prompt_tokens = 1000;
	d->facts.feat.max_tokens = 500;
	if (w->session)
		d->facts.session = word_of(w->session);
	return d;
}

static inline bool world_route(struct world *w, struct denial *no)
{
	struct decision *d = &w->d;

	d->n = w->n;
	d->candidates = pool_alloc(w->pool, sizeof(*d->candidates) * (w->n + 1));
	d->order = pool_alloc(w->pool, sizeof(*d->order) * (w->n + 1));
	for (size_t i = 0; i < w->n; i++) {
		d->candidates[i].endpoint = &w->endpoints[i];
		d->candidates[i].live = (struct live_facts){ .outage_ago_ms = INT64_MAX, .uptime_30m = 1, .samples = w->samples ? w->samples : 100,
			.ttft_ms = { .p50 = w->ttft } };
		if (i % 2 && w->outage_ago_ms)
			d->candidates[i].live.outage_ago_ms = w->outage_ago_ms;
	}
	return route_listed(w->state, d, no);
}

static inline void world_release(struct world *w)
{
	char command[128];
	static const char *const files[] = { "bundle.lua", "p.lua", "q.lua", "p_test.lua", "lib.lua" };

	policy_state_free(w->state);
	bundle_unref(w->bundle);
	pool_free(w->pool);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(command, sizeof(command), "%s/%s", w->dir, files[i]);
		unlink(command);
	}
	rmdir(w->dir);
	for (size_t i = 0; i < w->n_told; i++)
		free(w->told[i].json);
	w->n_told = 0;
}

#endif
