/* What clients sent in the last hour, decided by a bundle that is to go live: which of them are taken, and what is found. */
#include <ftw.h>
#include "author/smoke.h"
#include "author/versions.h"
#include "base/clock.h"
#include "base/log.h"
#include "policy/world.h"
#include "tap.h"

enum { MINUTE_MS = 60000 };
static const char plain[] = "return { policies = { default = { { use = 'p' } } } }";
#define POLICY(body) "return policy { name = 'p', api = 1,\n" body " }"
#define RANK "rank = function(req, eps) return rank.by(eps, 'usd.prompt') end"

static const char live_text[] = POLICY(RANK);
static struct world live;
static char record[8 << 10];

/* ---- a store: so many decisions, each so long after the one before */

struct shop { struct world *w; size_t n; int64_t first_ms, apart_ms; const char *json; bool broken; size_t read; };

static int shop_each(void *handle, enum mg_store_row kind, const char *where, int64_t since_ms, size_t limit,
	bool (*fn)(void *arg, const void *row), void *arg, char why[256])
{
	struct shop *s = handle;
	size_t told = 0;
	char id[40];

	if (s->broken) {
		snprintf(why, 256, "the disk is gone");
		return MG_ENOMEM;
	}
	if (kind != MG_ROW_GENERATION)
		return world_each(s->w, kind, where, since_ms, limit, fn, arg, why);
	for (size_t i = 0; i < s->n && (!limit || told < limit); i++) {
		struct mg_store_generation g = { .size = sizeof(g), .generation_id = id, .key_hash = "key_1", .at_ms = s->first_ms + (int64_t)i * s->apart_ms,
			.decision = s->json, .json = "{}" };

		snprintf(id, sizeof(id), "gen-%zu", i);
		if (g.at_ms < since_ms)
			continue;
		told++;
		s->read++;
		if (!fn(arg, &g))
			break;
	}
	return MG_OK;
}

static const struct mg_store shop_store = { .size = sizeof(shop_store), .each = shop_each };

static struct shop shop(size_t n, int64_t ago_ms, int64_t apart_ms)
{
	return (struct shop){ .w = &live, .n = n, .first_ms = clock_wall_ms() - ago_ms, .apart_ms = apart_ms, .json = record };
}

static struct recent *read_recent(struct shop *s)
{
	struct recent *r;
	struct err err = { 0 };

	if (recent_read(&shop_store, s, NULL, &r, &err))
		printf("# %s\n", err.msg);
	return r;
}

static size_t counted(struct shop s)
{
	struct recent *r = read_recent(&s);
	size_t n = recent_count(r);

	recent_free(r);
	return n;
}

static void test_which(void)
{
	struct shop s = shop(1000000, 60 * MINUTE_MS, 3);	/* all of the hour, at 333 a second */
	struct recent *r;
	struct err err = { 0 };

	ok(counted(shop(0, 0, 0)) == 0, "none is kept: none is read");
	ok(counted(shop(7, 30 * MINUTE_MS, 1000)) == 7, "few: all of them");
	ok(counted(shop(150, 30 * MINUTE_MS, 10)) == 150, "also where they came within a minute");
	ok(counted(shop(1000, 61 * MINUTE_MS, 1)) == 0, "what is older than an hour is not made again");
	r = read_recent(&s);
	ok(recent_count(r) == SMOKE_DECISIONS && s.read < 1000, "many: two hundred, and few more are read");
	recent_free(r);
	s = shop(10, 30 * MINUTE_MS, 1000);
	s.json = NULL;
	ok(counted(s) == 0, "what has no decision is passed over");
	s.json = "{\"model\":\"x\"";
	ok(counted(s) == 0, "and what cannot be read");
	s.broken = true;
	ok(recent_read(&shop_store, &s, NULL, &r, &err) == MG_ENOMEM && !r && strstr(err.msg, "the disk is gone"), "a store that fails says so");
}

/* ---- what is found */

/* "" or why the bundle is refused. */
static const char *smoked(const char *policy, const char *json, uint64_t most_ms)
{
	static char why[400];
	struct shop s = shop(3, MINUTE_MS, 1000);
	struct recent *r;
	struct world w;
	struct err err = { 0 };

	s.json = json;
	r = read_recent(&s);
	world_init(&w);
	world_file(&w, "p.lua", policy);
	world_file(&w, "lib.lua", "return library { odd = function(req)\n local x\n return x.y end }");
	if (!world_open(&w, plain))
		printf("# %s\n", w.err.msg);
	snprintf(why, sizeof(why), "%s", bundle_smoke(w.bundle, r, most_ms, &err) ? err.msg : "");
	recent_free(r);
	world_release(&w);
	return why;
}

static void test_found(void)
{
	static const struct { const char *what, *policy, *place, *hook; } rows[] = {
		{ "admit", POLICY("admit = function(req)\n error('no') end"), "p.lua:3: admit fails", "fails for" },
		{ "retain", POLICY("retain = function(req)\n\n error('no') end"), "p.lua:4: retain fails", "fails for" },
		{ "resolve", POLICY("resolve = function(req) error('no') end"), "p.lua:2: resolve fails", "fails for" },
		{ "filter", POLICY("filter = function(req, ep) local x\n return x.y end"), "p.lua:3: filter fails", "fails for" },
		{ "rank", POLICY("rank = function(req, eps) error('no') end"), "p.lua:2: rank fails", "fails for" },
		{ "nonsense", POLICY("\nrank = function(req, eps) return 7 end"), "p.lua:3: rank fails", "fails for" },
		{ "plan", POLICY("plan = function(req, eps) error('no') end"), "p.lua:2: plan fails", "fails for" },
		{ "shape", POLICY("shape = function(req, ep) error('no') end"), "p.lua:2: shape fails", "fails for" },
		{ "price", POLICY("price = function(req, ep, usage, bill) error('no') end"), "p.lua:2: price fails", "fails for" },
		{ "observe", POLICY("observe = function(req, out) error('no') end"), "p.lua:2: observe fails", "fails for" },
		{ "a loop", POLICY("rank = function(req, eps) while true do end end"), "p.lua:2: rank fails (it loops", "too much" },
		{ "a library", "local lib = use_lib 'lib'\nreturn policy { name = 'p', api = 1, rank = function(req, eps) return lib.odd(req) end }", "lib.lua:3: rank fails", "fails for" },
	};
	const char *why;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		why = smoked(rows[i].policy, record, 60000);
		ok(!strncmp(why, rows[i].place, strlen(rows[i].place)) && strstr(why, rows[i].hook) && strstr(why, "\nhint: 'moongate policy test --from gen-0'"), rows[i].what);
		if (strncmp(why, rows[i].place, strlen(rows[i].place)))
			printf("# %s\n", why);
	}
	why = smoked(POLICY("rank = function(req, eps) error('secret ' .. req.model) end"), record, 60000);
	ok(*why && !strstr(why, "secret") && !strstr(why, "acme"), "never what was raised");
	why = smoked(POLICY("rank = function(req, eps) error('a secret.lua:77: b', 0) end"), record, 60000);
	ok(!strncmp(why, "p.lua:2: rank", 13) && !strstr(why, "secret"), "also where that looks like a place");
}

static void test_fine(void)
{
	static const char raises[] = POLICY("rank = function(req, eps) error('no') end");
	char then[sizeof(record)];

	ok(!*smoked(live_text, record, 60000), "the same bundle");
	ok(!*smoked(POLICY("rank = function(req, eps) return rank.by(eps, 'usd.prompt', 'desc') end"), record, 60000), "another that decides otherwise");
	ok(!*smoked(POLICY("admit = function(req) return deny { status = 403, code = 'no', message = 'no' } end"), record, 60000), "one that refuses all");
	ok(!*smoked(POLICY("filter = function(req, ep) return false, 'never' end"), record, 60000), "one that leaves nobody");
	ok(!*smoked(raises, record, 0), "there is no time: what was not made says nothing");
	ok(!*smoked(raises, "{\"model\":\"acme/large\",\"candidates\":[[\"00000000000000ff\",1]],\"bundle\":\"0\"}", 60000), "an endpoint that is not kept: neither does that");
	snprintf(then, sizeof(then), "%.*s,\"errors\":1}", (int)strlen(record) - 1, record);
	ok(!*smoked(raises, then, 60000), "a hook failed then, too: that was no reason to keep what is live");
}

static int removed(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static void test_taken(void)
{
	char dir[] = "/tmp/smoke-XXXXXX";
	struct shop s = shop(3, MINUTE_MS, 1000);
	struct recent *r = read_recent(&s);
	struct versions *v = NULL;
	struct bundle *b = NULL, *kept = NULL;
	struct err err = { 0 };
	const struct bundle_text own[] = {
		{ "bundle.lua", word_of("return { base = 'openrouter', policies = { guard = { { use = 'p' } } } }") },
		{ "p.lua", word_of(POLICY("filter = function(req, ep)\n if req.feat.prompt_tokens == 1000 + 234 then return nil + 1 end return true end")) },
		{ "p_test.lua", word_of("local P = use('p') test('all may', function(t) t.ok(P.filter(t.req {}, t.ep {})) end)") } };

	if (!mkdtemp(dir) || versions_open(dir, &v, &err) || bundle_make(own, 3, "policies", &b, &err))
		printf("# %s\n", err.msg);
	ok(versions_take(v, b, NULL, r, &kept, &err) == MG_EINVAL && !strncmp(err.msg, "p.lua:3: filter fails", 21), "what passes check and its tests, and fails for what clients send, is not taken");
	ok(!versions_take(v, b, NULL, NULL, &kept, &err) && kept, "where no decision is kept it is");
	bundle_unref(kept);
	bundle_unref(b);
	versions_close(v);
	recent_free(r);
	nftw(dir, removed, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	struct denial no;

	policy_shared_init();
	world_init(&live);
	world_file(&live, "p.lua", live_text);
	world_endpoint(&live, 0, "alpha", 1, 1);
	world_endpoint(&live, 0, "beta", 2, 2);
	if (!world_open(&live, plain))
		printf("# %s\n", live.err.msg);
	world_ask(&live);
	live.d.facts.feat.prompt_tokens = 1234;
	world_route(&live, &no);
	snprintf(record, sizeof(record), "%s", decision_record(live.state, &live.d, world_tell, &live));
	test_which();
	test_found();
	test_fine();
	test_taken();
	world_release(&live);
	return tap_done();
}
