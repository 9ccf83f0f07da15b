/*
 * smoke.c - a request's hooks, once more, for decisions that were made lately.
 */
#include <stdlib.h>
#include "author/smoke.h"
#include "base/clock.h"
#include "replay/copy.h"
#include "replay/replay.h"

enum { PARTS = 20, LOOKED_MAX = 500, TEXTS_MAX = 16 << 20, HASHES_MAX = 2000, POOL_BYTES = 4 << 20 };

struct row { size_t copy; int64_t at_ms; };	/* where its copy is in texts */
struct recent {
	int64_t since_ms;
	struct row rows[SMOKE_DECISIONS]; size_t n;
	struct buf texts;
	char hashes[HASHES_MAX][ENDPOINT_DIGITS + 1]; size_t n_hashes;
	struct shelf *shelf;
	const struct catalog *now;
};

/* ---- out of the store: from each part of the hour some; then more, where the others had fewer */

struct span { struct recent *r; int64_t until_ms; size_t skip, most, looked; };	/* most: as many are still taken */

static bool on_generation(void *arg, const void *at)
{
	const struct mg_store_generation *g = at;
	struct span *p = arg;
	struct recent *r = p->r;

	if (g->at_ms >= p->until_ms || p->looked++ == LOOKED_MAX || !p->most)
		return false;
	if (!g->decision || !*g->decision)
		return true;
	if (p->skip) {
		p->skip--;
		return true;
	}
	r->rows[r->n] = (struct row){ r->texts.len, g->at_ms };
	copy_put(&r->texts, g->generation_id, g->key_hash, g->decision);
	r->n += !r->texts.failed;
	p->most--;
	return !r->texts.failed;
}

static int read_part(const struct mg_store *ops, void *handle, struct span *p, int part, struct err *err)
{
	const int64_t since_ms = p->r->since_ms + part * (SMOKE_SPAN_MS / PARTS);
	char why[256] = "";
	int rc;

	p->until_ms = since_ms + SMOKE_SPAN_MS / PARTS;
	rc = ops->each(handle, MG_ROW_GENERATION, NULL, since_ms, LOOKED_MAX + 1, on_generation, p, why);
	return rc ? fail(err, rc, "%s", why) : 0;
}

static int read_rows(const struct mg_store *ops, void *handle, struct recent *r, struct err *err)
{
	const size_t share = SMOKE_DECISIONS / PARTS;
	bool full[PARTS];
	int rc = 0;

	r->since_ms = clock_wall_ms() - SMOKE_SPAN_MS;
	for (int i = 0; i < PARTS && !rc; i++) {
		struct span p = { .r = r, .most = share };

		rc = read_part(ops, handle, &p, i, err);
		full[i] = !p.most;
	}
	for (int i = PARTS; i-- && !rc && r->n < SMOKE_DECISIONS; )
		if (full[i])
			rc = read_part(ops, handle, &(struct span){ .r = r, .skip = share, .most = SMOKE_DECISIONS - r->n }, i, err);
	return rc;
}

static struct mg_store_decision row_of(const struct recent *r, size_t i)
{
	return copy_row(r->texts.at + r->rows[i].copy, r->rows[i].at_ms);
}

/* ---- the endpoints that they name */

static void add_hash(struct recent *r, struct mg_str hash)
{
	for (size_t i = r->n_hashes; i--; )
		if (mg_is(hash, r->hashes[i]))
			return;
	if (r->n_hashes < HASHES_MAX && hash.len <= ENDPOINT_DIGITS)
		snprintf(r->hashes[r->n_hashes++], sizeof(r->hashes[0]), "%.*s", (int)hash.len, hash.at);
}

static void add_hashes(struct recent *r, const struct mg_store_decision *row)
{
	struct pool *pool = pool_new(POOL_BYTES);
	struct recorded record;

	if (pool && !recorded_read(pool, row, &record, NULL))
		for (size_t i = 0; i < record.n_routings; i++)
			for (size_t k = 0; k < record.routings[i].n; k++)
				add_hash(r, record.routings[i].at[k].hash);
	pool_free(pool);
}

static int read_endpoints(const struct mg_store *ops, void *handle, struct recent *r, struct err *err)
{
	struct mg_str *list;
	int rc;

	for (size_t i = 0; i < r->n; i++) {
		struct mg_store_decision row = row_of(r, i);

		add_hashes(r, &row);
	}
	if (!r->n_hashes)
		return 0;
	list = calloc(r->n_hashes, sizeof(*list));
	for (size_t i = 0; list && i < r->n_hashes; i++)
		list[i] = (struct mg_str){ r->hashes[i], strlen(r->hashes[i]) };
	rc = list ? shelf_open(ops, handle, list, r->n_hashes, &r->shelf, err) : fail(err, MG_ENOMEM, "no memory for endpoints");
	free(list);
	return rc;
}

int recent_read(const struct mg_store *ops, void *handle, const struct catalog *now, struct recent **out, struct err *err)
{
	struct recent *r = calloc(1, sizeof(*r));
	int rc;

	*out = NULL;
	if (!r)
		return fail(err, MG_ENOMEM, "no memory for decisions");
	r->now = now;
	buf_init(&r->texts, TEXTS_MAX);
	rc = read_rows(ops, handle, r, err);
	rc = rc ? rc : read_endpoints(ops, handle, r, err);
	if (rc || !r->shelf)
		recent_free(r);
	else
		*out = r;
	return rc;
}

struct asking { const struct catalog *now; struct recent *out; };

static int on_store(const struct mg_store *ops, void *handle, void *arg, struct err *err)
{
	struct asking *a = arg;

	return recent_read(ops, handle, a->now, &a->out, err);
}

int recent_of(struct store *store, const struct catalog *now, struct recent **out, struct err *err)
{
	struct asking a = { now, NULL };
	int rc = store_run(store, on_store, &a, err);

	*out = a.out;
	return rc;
}

size_t recent_count(const struct recent *r)
{
	return r ? r->n : 0;
}

void recent_free(struct recent *r)
{
	if (!r)
		return;
	shelf_free(r->shelf);
	buf_release(&r->texts);
	free(r);
}

/* ---- made again */

/* Behind the plan, where a replay ends: what follows for who comes first. */
static void go_on(struct policy_state *s, struct decision *d)
{
	struct mg_usage usage = { .size = sizeof(usage), .input = d->facts.feat.prompt_tokens, .output = d->facts.feat.max_tokens, .requests = 1 };
	struct outcome o = { .status = d->refused.hook ? d->refused.status : 200, .kind = "ok", .attempts = 1, .usage = &usage };
	struct shape shape;
	struct bill bill = { .n = 0 };

	if (d->n_order && !d->refused.hook) {
		o.endpoint = d->order[0]->endpoint;
		o.bill = &bill;
		policy_shape(s, d, o.endpoint, &shape);
		policy_price(s, d, o.endpoint, &usage, true, &bill);
		policy_price(s, d, o.endpoint, &usage, false, &bill);
	}
	policy_observe(s, d, &o);
}

/* "p.lua:12", of a file of the bundle; else where the hook begins. */
static void place_of(const struct policy_state *s, const struct note *note, const char *text, char out[static 96])
{
	const char *end = strstr(text, ".lua:");
	size_t len = end ? (size_t)(end - text) : 0;
	char name[NAME_BYTES] = "";

	if (len < sizeof(name))
		snprintf(name, sizeof(name), "%.*s", (int)len, text);
	if (name[0] && bundle_file(s->bundle, name)) {
		snprintf(out, 96, "%s.lua:%.*s", name, (int)strspn(end + 5, "0123456789"), end + 5);
		return;
	}
	snprintf(out, 96, "%s.lua", note->by);
	for (size_t i = 0; i < s->n_entries; i++)
		for (int h = 0; h < HOOK_COUNT; h++)
			if (!strcmp(s->entries[i].name, note->by) && !strcmp(hook_names[h], note->hook) && s->entries[i].at[h][0])
				snprintf(out, 96, "%s", s->entries[i].at[h]);
}

/* The first that failed. */
static int failed(const struct policy_state *s, const struct decision *d, struct err *err)
{
	static const char mark[] = "error: ";
	char place[96];

	for (const struct note *n = d->notes; n; n = n->next) {
		const char *text = n->text + sizeof(mark) - 1;

		if (strncmp(n->text, mark, sizeof(mark) - 1))
			continue;
		place_of(s, n, text, place);
		return fail(err, MG_EINVAL, "%s: %s fails%s for a decision of the last hour, for which no hook failed then\n"
			"hint: 'moongate policy test --from %.*s' prints that decision as a test", place, n->hook,
			strstr(text, "fuel exhausted") ? " (it loops, or does too much)" : "", (int)d->facts.id.len, d->facts.id.at);
	}
	return 0;
}

/* What cannot be read, or be made for want of an endpoint, is no fault of the bundle. */
static int again(struct replay *replay, const struct mg_store_decision *row, struct err *err)
{
	struct policy_state *s = replay_state(replay);
	struct decision *d = replay_decision(replay);

	if (replay_decide(replay, row, NULL) || replay_recorded(replay)->errors)
		return 0;
	go_on(s, d);
	return d->errors ? failed(s, d, err) : 0;
}

int bundle_smoke(struct bundle *b, const struct recent *r, uint64_t most_ms, struct err *err)
{
	const uint64_t until = clock_ms() + most_ms;
	struct replay *replay = r ? replay_new(b, r->shelf, r->now, err) : NULL;
	int rc = 0;

	if (r && !replay)
		return err->rc;
	for (size_t i = 0; r && !rc && i < r->n && clock_ms() < until; i++) {
		struct mg_store_decision row = row_of(r, i);

		rc = again(replay, &row, err);
	}
	replay_free(replay);
	return rc;
}
