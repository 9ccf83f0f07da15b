/* Decisions made again from their records: nothing that a policy can read is missing, and the same comes out. */
#include "base/log.h"
#include "policy/shop.h"
#include "policy/world.h"
#include "replay/replay.h"
#include "tap.h"

static const char goods[] = "return { providers = {"
	"p = { dialect = 'openai', base_url = 'https://p.example' }, q = { dialect = 'openai', base_url = 'https://q.example' },"
	"r = { dialect = 'openai', base_url = 'https://r.example' } },"
	"models = {"
	"['a/large'] = { canonical = 'a/large-1', endpoints = {"
	"  { provider = 'p', price = { input = 1, output = 2 } },"
	"  { provider = 'q', price = { input = 2, output = 1 } }, { provider = 'r', price = { input = 0.5, output = 1 } } } },"
	"['a/small'] = { endpoints = { { provider = 'q', price = { input = 0.1, output = 0.1 } }, { provider = 'r', price = { input = 0.2, output = 0.1 } } } },"
	"['a/own'] = { endpoints = { { provider = 'p', price = { input = 1, output = 1 }, private_to = { 'ws_1', 'ws_2' } } } },"
	"['any/*'] = { endpoints = { { provider = 'p', model = '*', price = { input = 1, output = 1 } } } },"
	"big = { alias_of = 'a/large' } } }";

/* ---- what there is to read */

/* Values that are nothing's usual ones. */
static void fill(const struct field *f, char *at, unsigned n)
{
	static const struct mg_str list[] = { { "one", 3 }, { "t\"wo", 4 } };
	struct number *four = (struct number *)at;

	switch (f->kind) {
	case K_STR: *(struct mg_str *)at = n % 2 ? (struct mg_str){ "odd \"text\"", 10 } : (struct mg_str){ "even", 4 }; break;
	case K_U64: case K_I64: *(int64_t *)at = 1000 + n; break;
	case K_BOOL: case K_DENY: *(bool *)at = !*(bool *)at; break;
	case K_WORDS: case K_SET: case K_PAIRS: *(struct words *)at = (struct words){ list, 2 }; break;
	case K_CUTS: case K_PRICES: four[n % 4] = (struct number){ true, 0.1 + n }; four[(n + 1) % 4] = (struct number){ true, 1e-9 }; break;
	default: break;
	}
}

static void *member_of(struct facts *facts, unsigned base, const struct field *f)
{
	return (char *)(uintptr_t)base_of(facts, base) + f->at;
}

static unsigned lost_members(const struct facts *a, const struct facts *b)
{
	char x[400], y[400];
	unsigned lost = 0;

	for (unsigned base = 0; base < BASES; base++)
		for (const struct field *f = parts[base].fields; f->name; f++) {
			int n = field_image(f, base_of(a, base), x, sizeof(x)), m = field_image(f, base_of(b, base), y, sizeof(y));

			if (f->kind == K_LATER || (n >= 0 && n == m && !memcmp(x, y, (size_t)n)))
				continue;
			printf("# %s.%s\n", parts[base].name, f->name);
			lost++;
		}
	return lost;
}

static void test_request(void)
{
	struct world w;
	struct decision *d;
	struct recorded r;
	struct mg_store_decision row = { .size = sizeof(row), .generation_id = "even", .key_hash = "even" };
	unsigned n = 0;

	world_init(&w);
	if (!world_open(&w, NULL))
		abort();
	for (int odd = 0; odd < 2; odd++) {
		d = world_ask(&w);
		for (unsigned base = 0; base < BASES; base++)
			for (const struct field *f = parts[base].fields; f->name; f++, n++)
				if (odd)
					fill(f, member_of(&d->facts, base, f), n);
		d->facts.id = d->facts.key.id = word_of("even");
		row.at_ms = d->facts.now_ms;
		row.json = decision_record(w.state, d, world_tell, &w);
		ok(row.json && !recorded_read(w.pool, &row, &r, &w.err), odd ? "a record of everything is read back" : "so is one of next to nothing");
		ok(!lost_members(&d->facts, &r.facts), "each member of req, prefs, key and feat");
	}
	world_release(&w);
}

/* A record has their values by place: a new one is added at the end. */
static void test_places(void)
{
	static const char *const first[] = { "prompt_tokens", "max_tokens", "messages", "turns", "images", "audio_s", "files", "tools", "json_schema",
		"code_blocks", "user_chars", "reasoning" };
	bool same = true;

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]) && same; i++)
		same = feat_fields[i].name && !strcmp(feat_fields[i].name, first[i]);
	ok(same, "the members of feat are where they were");
}

static unsigned lost_live(const struct live_facts *a, const struct live_facts *b)
{
	unsigned lost = 0;

	for (const struct field *f = live_fields; f->name; f++) {
		size_t size = f->kind == K_MAKE ? sizeof(struct live_pcts) : f->kind == K_INT ? sizeof(int) : 8;

		if (memcmp((const char *)a + f->at, (const char *)b + f->at, size)) {
			printf("# live.%s\n", f->name);
			lost++;
		}
	}
	return lost;
}

static void test_live(void)
{
	struct world w;
	struct decision *d;
	struct recorded r;
	struct denial no;
	struct mg_store_decision row = { sizeof(row), "gen-1", 0, NULL, "key_1", 0 };
	const struct live_facts odd = { .outage_ago_ms = 31, .cooldown_ms = 7, .error_rate = 0.012345, .rate_429 = 0.3, .cache_hit = 1.0 / 3, .inflight = 3,
		.samples = 41, .ttft_ms = { 420, 61.5, 9.51, 0.1 }, .latency_ms = { 1, 2, 3, 1e7 / 3 }, .tput_tps = { 12.5, 1e-7, 1e12, 4 }, .uptime_30m = 0.999, .breaker = 2 };
	unsigned lost = 0;

	world_init(&w);
	world_endpoint(&w, 0, "p", 1, 2);
	world_endpoint(&w, 0, "q", 2, 2);
	if (!world_open(&w, NULL))
		abort();
	d = world_ask(&w);
	ok(world_route(&w, &no), "a decision");
	d->candidates[1].live = odd;
	for (int round = 0; round < 3; round++) {	/* the second has the numbers' text already, the third others */
		d->candidates[1].live.inflight += (uint64_t)round;
		d->candidates[1].live.samples += (uint64_t)(round == 2);
		row.json = decision_record(w.state, d, world_tell, &w);
		if (!row.json || recorded_read(w.pool, &row, &r, &w.err))
			abort();
		for (size_t i = 0; i < 2; i++)
			lost += lost_live(&d->candidates[i].live, &r.routings[0].at[i].live);
	}
	ok(!lost, "each member of live, bit by bit");
	world_release(&w);
}

/* Both as Lua sees them, to the last member of a member. */
static bool equal(lua_State *L, int a, int b)
{
	int top = lua_gettop(L);
	bool same = lua_type(L, a) == lua_type(L, b);

	luaL_checkstack(L, 10, NULL);
	if (!same || (lua_type(L, a) != LUA_TUSERDATA && lua_type(L, a) != LUA_TTABLE))
		return same && lua_rawequal(L, a, b);
	bare_push(L, a);
	bare_push(L, b);
	for (int from = top + 1; same && from <= top + 2; from++) {
		lua_pushnil(L);
		while (same && lua_next(L, from)) {
			lua_pushvalue(L, -2);
			lua_rawget(L, from == top + 1 ? top + 2 : top + 1);
			same = equal(L, lua_gettop(L) - 1, lua_gettop(L));
			lua_pop(L, 2);
		}
	}
	lua_settop(L, top);
	return same;
}

static const struct endpoint *shelved(struct world *w, const struct endpoint *e, struct shelf **shelf)
{
	char hash[ENDPOINT_DIGITS + 1];
	struct mg_str one = { hash, ENDPOINT_DIGITS };
	struct buf text;

	buf_init(&text, 1 << 20);
	endpoint_text(&text, e);
	endpoint_hash(buf_view(&text), hash);
	buf_put(&text, "", 1);
	world_tell(w, &(struct mg_store_endpoint){ sizeof(struct mg_store_endpoint), hash, text.at });
	buf_release(&text);
	if (shelf_open(&world_store, w, &one, 1, shelf, &w->err))
		printf("# %s\n", w->err.msg);
	return *shelf ? shelf_find(*shelf, one) : NULL;
}

static unsigned lost_of_endpoint(lua_State *L, const struct endpoint *e, const struct endpoint *again)
{
	unsigned lost = 0;
	int top = lua_gettop(L);

	for (const struct field *f = endpoint_fields; f->name; f++) {
		if (f->kind == K_LATER)
			continue;
		field_push(L, f, e);
		field_push(L, f, again);
		if (!equal(L, top + 1, top + 2)) {
			printf("# ep.%s of %s\n", f->name, e->id);
			lost++;
		}
		lua_settop(L, top);
	}
	return lost;
}

/* One after the other another member is an unusual one. */
static void odd_endpoint(struct endpoint *e, unsigned i, struct rate_override *o, json_t *names)
{
	e->provider->own = (struct own_key){ .seq = i % 3, .fallback = i % 2, .always = i % 4 < 2 };
	e->provider->data = (struct data_policy){ i % 2, i % 3 > 0, i % 4 > 1, i % 5 > 1, (int)i - 1, "eu" };
	e->tier = (char *)(i % 2 ? "flex" : "default");
	e->region = (char *)(i % 3 ? "eu \"west\"" : "");
	e->quantization = (char *)(i % 4 ? "fp8" : "");
	e->context_length = i * 1000;
	e->max_output = i % 3;
	e->free = i % 3 == 1;
	e->private = i % 4 == 1;
	e->distillable = i % 3 == 2;
	e->priced = i % 5 > 0;
	e->params = i % 2 ? names : NULL;
	e->private_to = i % 3 ? names : NULL;
	*o = (struct rate_override){ i % 2 ? 100000 : 0, i % 3 ? 60 : -1, i % 3 ? 1439 : -1, { { [RATE_PROMPT] = 7, [RATE_IMAGE] = 0 } }, 1u << RATE_PROMPT | 1u << RATE_IMAGE };
	e->overrides = o;
	e->n_overrides = i % 2;
	e->rates.pusd[RATE_IMAGE] = (int64_t)i << 40;
}

static void test_endpoints(void)
{
	json_t *names = json_pack("[ss]", "tools", "odd \"one\"");
	struct rate_override override;
	struct world w;
	unsigned lost = 0;

	world_init(&w);
	world_endpoint(&w, 0, "p", 1, 2);
	if (!world_open(&w, NULL))
		abort();
	for (unsigned i = 0; i < 60; i++) {
		struct shelf *shelf = NULL;
		const struct endpoint *again;

		odd_endpoint(&w.endpoints[0], i, &override, names);
		again = shelved(&w, &w.endpoints[0], &shelf);
		lost += again ? lost_of_endpoint(w.state->L, &w.endpoints[0], again) : 1;
		shelf_free(shelf);
	}
	ok(!lost, "each member of ep, as it was");
	json_decref(names);
	world_release(&w);
}

/* ---- the same again */

/* Everything that a policy can read, or say, somewhere in it. */
static const char busy[] =
	"return policy { name = 'p', api = 1, version = '1', counters = { seen = { window_s = 60 } },\n"
	"  admit = function(req)\n"
	"    local ok, wait = limit.take('all', req.key.id, { max = 30, per_s = 60 })\n"
	"    if not ok and req.feat.turns % 3 == 0 then return deny { status = 429, code = 'slow_down', message = 'wait', retry_after_s = wait } end\n"
	"    if rand(req, 'no') < 0.05 then return deny { status = 403, code = 'unlucky', message = 'no' } end\n"
	"    counter.add('seen', req.key.id, 1)\n"
	"    return true\n"
	"  end,\n"
	"  retain = function(req) return { store = req.feat.images > 0 and 'hashed' or 'metadata', ttl_s = 60 + req.feat.turns } end,\n"
	"  resolve = function(req)\n"
	"    local word = lookup('kind', { n = req.feat.turns }, 'none')\n"
	"    if req.feat.turns % 5 == 1 then return { models = { 'a/small', 'a/none', 'big' }, note = word } end\n"
	"    if req.feat.turns % 5 == 2 then return { prefs = { require_parameters = true, max_price = { prompt = 1.5, audio = req.feat.turns % 2 == 0 and 0.5 or nil } }, strategy = 'auto' } end\n"
	"    if req.feat.turns % 50 == 3 then return deny { status = 400, code = 'odd', message = 'odd' } end\n"
	"  end,\n"
	"  filter = function(req, ep)\n"
	"    if counter.get('seen', req.key.id) % 7 == 3 and ep.provider == 'q' then return false, 'seventh' end\n"
	"    if ep.live.ttft_ms.p90 > 900 then return false, 'slow' end\n"
	"    return true\n"
	"  end,\n"
	"  rank = function(req, eps)\n"
	"    local last = sticky.get(req.session)\n"
	"    local out = rank.by(eps, function(e) return e.id == last and -1 or e.live.inflight + rand(req, e.id) end)\n"
	"    if rand(req, 'cut') < 0.1 then return { out[1] } end\n"
	"    return out\n"
	"  end,\n"
	"  plan = function(req, eps) return { deadline_ms = 1000 * #eps, sticky = { key = req.session .. '!', ttl_s = 60 } } end,\n"
	"  on_error = function(req, err, rest)\n"
	"    if budget.spent_nusd('key', req.key.id) > 5 then return act.stop() end\n"
	"    if err.kind == 'context_length' and err.n == 1 then return act.model('a/small') end\n"
	"    if err.kind == 'rate_limited' and err.tries_here < 2 then return act.retry(err.retry_after_ms) end\n"
	"    if err.kind == 'server' then return act.next { skip = 'provider' } end\n"
	"    if #rest == 0 then return act.stop() end\n"
	"  end }\n";

static const char around[] = "return { base = 'openrouter', policies = { org = { org_1 = { { use = 'p' } } } } }";

static unsigned dice(uint64_t *seed, unsigned sides)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(*seed >> 33) % sides;
}

static void vary(struct decision *d, uint64_t *seed)
{
	static const struct mg_str models[] = { { "a/large", 7 }, { "big", 3 }, { "a/small", 7 }, { "a/large-1", 9 }, { "any/thing", 9 } },
		params[] = { { "tools", 5 } }, only[] = { { "p", 1 }, { "r", 1 } }, sessions[] = { { "s1", 2 }, { "s2", 2 }, { "", 0 } },
		sorts[] = { { "price", 5 }, { "latency", 7 }, { "", 0 }, { "", 0 } };
	struct facts *f = &d->facts;

	f->seed = dice(seed, 1 << 30);
	f->models = (struct words){ &models[dice(seed, 3)], 1 + dice(seed, 2) };
	if (!dice(seed, 8))
		f->models = (struct words){ &models[4], 1 };
	f->model = f->models.at[0];
	f->feat.turns = dice(seed, 200);
	f->feat.images = dice(seed, 3);
	f->feat.max_tokens = dice(seed, 6000);
	f->session = sessions[dice(seed, 3)];
	f->stream = dice(seed, 2);
	f->prefs.sort_by = sorts[dice(seed, 4)];
	f->prefs.allow_fallbacks = dice(seed, 6);
	if (!dice(seed, 4))
		f->prefs.only = (struct words){ only, 2 };
	if (!dice(seed, 4))
		f->params = (struct words){ params, 1 };
	if (!dice(seed, 6))
		f->prefs.deny_data_collection = true;
	if (!dice(seed, 6))
		f->prefs.max_prompt = (struct number){ true, 0.1 + dice(seed, 30) / 10.0 };
}

/* What attempts would have come to, and what the relay does with the answers. */
static void attempts(struct world *w, struct decision *d, const struct catalog *c, uint64_t *seed)
{
	static const enum mg_error kinds[] = { MG_E_RATE_LIMITED, MG_E_SERVER, MG_E_TIMEOUT, MG_E_CONTEXT_LENGTH, MG_E_AUTH };
	size_t next = 1;
	struct denial no;

	for (unsigned n = 1; n < 4 && !dice(seed, 2) && next <= d->n_order; n++) {
		const struct endpoint *at = d->order[next - 1]->endpoint;
		struct attempt_error e = { .endpoint = at, .kind = kinds[dice(seed, 5)], .status = 500, .retryable = true, .n = n,
			.tries_here = 1 + dice(seed, 2), .phase = dice(seed, 2) ? "headers" : "first_token", .retry_after_ms = dice(seed, 900), .elapsed_ms = dice(seed, 9000) };
		struct action act;

		if (next + 1 < d->n_order && !dice(seed, 4)) {	/* a breaker held the next one back */
			struct candidate *held = d->order[next];

			d->order[next] = d->order[next + 1];
			d->order[next + 1] = held;
		}
		policy_on_error(w->state, d, &e, d->order + next, d->n_order - next, &act);
		if (act.what == ACT_STOP)
			return;
		for (size_t i = next; act.skip == SKIP_PROVIDER && i < d->n_order; i++)
			if (d->order[i]->endpoint->provider == at->provider)
				d->order[i]->dropped = "skipped";
		if (act.what == ACT_NEXT)
			next++;
		if (act.what != ACT_MODEL)
			continue;
		if (!policy_reroute(w->state, d, c, act.model, &no))
			return;
		next = 1;
	}
}

static void in_order(struct decision *d)
{
	for (size_t i = 1; i < d->n_order; i++)
		for (size_t k = i; k && d->order[k]->rank < d->order[k - 1]->rank; k--) {
			struct candidate *c = d->order[k];

			d->order[k] = d->order[k - 1];
			d->order[k - 1] = c;
		}
}

static void live_around(struct catalog *c, uint64_t *seed, uint64_t now)
{
	for (size_t i = 0; i < c->n_endpoints; i++) {
		bool good = dice(seed, 6);

		live_begin(c->endpoints[i].live, now);
		if (dice(seed, 3))
			live_end(c->endpoints[i].live, &(struct live_outcome){ .ok = good, .counts = true, .kind = MG_E_SERVER, .retry_after_ms = good ? 0 : 300,
				.ttft_us = 1000 * dice(seed, 1200), .total_us = 2000000 + dice(seed, 9000000), .output_tokens = dice(seed, 500) }, now);
	}
}

struct count { unsigned made, same, refused, failures, models; };
struct again { struct shelf *shelf; struct replay *replay; size_t told; };
enum { DECISIONS = 10000 };

static void again_end(struct again *a)
{
	replay_free(a->replay);
	shelf_free(a->shelf);
	*a = (struct again){ .told = 0 };
}

/* Read and decided again: the same?  The replay is another one when there is a new endpoint. */
static bool same_again(struct world *w, struct again *a, const struct mg_store_decision *row)
{
	if (a->told != w->n_told) {
		again_end(a);
		if (shelf_open(&world_store, w, NULL, 0, &a->shelf, &w->err) || !(a->replay = replay_new(w->bundle, a->shelf, NULL, &w->err)))
			abort();
		a->told = w->n_told;
	}
	if (replay_decide(a->replay, row, &w->err)) {
		printf("# %s\n", w->err.msg);
		return false;
	}
	if (replay_same(a->replay))
		return true;
	printf("# %s\n# %s\n", row->json, decision_record(replay_state(a->replay), replay_decision(a->replay), NULL, NULL));
	return false;
}

static void one(struct world *w, struct catalog *c, uint64_t *seed, struct again *a, struct count *n)
{
	struct mg_store_decision row = { .size = sizeof(row), .generation_id = "gen-1", .key_hash = "key_1" };
	struct decision *d = world_ask(w);
	struct denial no;
	const char *kept;

	vary(d, seed);
	policy_retain(w->state, d);
	if (policy_admit(w->state, d, &no) && policy_resolve(w->state, d, &no) && policy_route(w->state, d, c, &no)) {
		policy_plan(w->state, d);
		attempts(w, d, c, seed);
	}
	if (!d->n && !d->n_routings && !d->refused.hook)
		return;		/* no model of that name: nothing was decided */
	in_order(d);
	kept = decision_record(w->state, d, world_tell, w);
	row.json = kept ? pool_dup(w->pool, word_of(kept)).at : "";
	row.at_ms = d->facts.now_ms;
	n->made++;
	n->refused += d->refused.hook != NULL;
	n->failures += d->failures != NULL;
	n->models += d->n_routings > 0;
	n->same += same_again(w, a, &row);
	if (d->n_order && d->plan.sticky_key.len)
		policy_observe(w->state, d, &(struct outcome){ .status = 200, .kind = "ok", .endpoint = d->order[0]->endpoint });
}

static void test_same(void)
{
	struct catalog *c = shop(goods, NULL);
	struct world w;
	struct count n = { 0 };
	struct again again = { .told = 0 };
	uint64_t seed = 11;

	world_init(&w);
	world_file(&w, "p.lua", busy);
	if (!c || !world_open(&w, around)) {
		printf("# %s\n", w.err.msg);
		abort();
	}
	for (int i = 0; i < DECISIONS && n.made - n.same < 3; i++) {
		if (i % 20 == 0)
			live_around(c, &seed, 1000000 + (uint64_t)i * 100);
		one(&w, c, &seed, &again, &n);
	}
	printf("# %u decisions: %u refused, %u with failures, %u with another model\n", n.made, n.refused, n.failures, n.models);
	ok(n.made > DECISIONS * 8 / 10 && n.same == n.made, "decided again, each is the same to the last byte");
	ok(n.refused > 100 && n.failures > 100 && n.models > 20, "and there was everything among them");
	again_end(&again);
	catalog_free(c);
	world_release(&w);
}

/* ---- and where it is not */

struct lines { char text[2000]; size_t n; };

static void gather(void *arg, const char *line)
{
	struct lines *l = arg;
	size_t len = strlen(l->text);

	snprintf(l->text + len, sizeof(l->text) - len, "%s\n", line);
	l->n++;
}

static void test_differences(void)
{
	static const char dear[] = "return policy { name = 'p', api = 1, version = '2', filter = function(req, ep) if ep.usd.prompt < 2 then return false, 'cheap' end return true end }\n";
	static const struct mg_str large[] = { { "a/large", 7 } };
	struct mg_store_decision row = { .size = sizeof(row), .generation_id = "gen-1", .key_hash = "key_1" };
	struct catalog *c = shop(goods, NULL);
	struct world w, other;
	struct shelf *shelf = NULL;
	struct lines l = { .n = 0 };
	struct replay *again;
	struct denial no;
	struct decision *d;

	world_init(&w);
	world_init(&other);
	world_file(&other, "p.lua", dear);
	if (!c || !world_open(&w, NULL) || !world_open(&other, around))
		abort();
	d = world_ask(&w);
	d->facts.model = large[0];
	d->facts.models = (struct words){ large, 1 };
	policy_retain(w.state, d);
	if (!policy_admit(w.state, d, &no) || !policy_resolve(w.state, d, &no) || !policy_route(w.state, d, c, &no))
		abort();
	row.json = decision_record(w.state, d, world_tell, &w);
	row.at_ms = d->facts.now_ms;
	if (shelf_open(&world_store, &w, NULL, 0, &shelf, &w.err))
		abort();
	again = replay_new(other.bundle, shelf, NULL, &w.err);
	ok(again && !replay_decide(again, &row, &w.err) && !replay_same(again), "another bundle decides otherwise");
	ok(replay_differences(again, gather, &l) >= 2 && strstr(l.text, "a/large@p: place") && strstr(l.text, "now dropped by p.lua:1: cheap"), "which is told, candidate by candidate");
	if (!strstr(l.text, "cheap"))
		printf("# %s\n", l.text);
	replay_free(again);
	shelf_free(shelf);
	shelf = NULL;
	w.told[0].json[1] = '!';	/* a damaged store */
	ok(shelf_open(&world_store, &w, NULL, 0, &shelf, &w.err) == MG_EINVAL && strstr(w.err.msg, "damaged"), "what is damaged is said");
	while (w.n_told)
		free(w.told[--w.n_told].json);
	if (shelf_open(&world_store, &w, NULL, 0, &shelf, &w.err))
		abort();
	again = replay_new(other.bundle, shelf, NULL, &w.err);
	ok(again && replay_decide(again, &row, &w.err) == MG_EINVAL && strstr(w.err.msg, "does not have endpoint"), "and an endpoint that is gone");
	replay_free(again);
	shelf_free(shelf);
	catalog_free(c);
	world_release(&w);
	world_release(&other);
}

int main(void)
{
	policy_shared_init();
	test_request();
	test_places();
	test_live();
	test_endpoints();
	test_same();
	test_differences();
	return tap_done();
}
