/*
 * Generated policies, each in two states at once: neither ends the process nor
 * runs on, both say the same for the same fuel, and what a policy can name is
 * the same afterwards.  The same seeds each time; $FUZZ_SECONDS: more of them,
 * $FUZZ_SEED: that one alone, printed.
 */
#include <stdlib.h>
#include <time.h>
#include "author/tools.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "fuzz/lua_grammar.h"
#include "policy/world.h"
#include "tap.h"

enum { PROGRAMS = 400, ROUNDS = 3, PROGRAM_BYTES = 200000, TOLD = 4000 };
#ifdef SANITIZED
enum { MOST_MS = 20000 };
#else
enum { MOST_MS = 1500 };
#endif

static struct { uint64_t programs, refused, hooks, errors, differ, starved, lookups, slowest_ms, changed, grown; } all;

static uint64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- what a policy can name: names, kinds and who each is */

static uint64_t print_of(lua_State *L, int depth)
{
	uint64_t sum = 0;

	lua_pushnil(L);
	while (lua_next(L, -2)) {
		const void *at = lua_topointer(L, -1);
		uint64_t one = lua_type(L, -2) == LUA_TSTRING ? hash64(lua_tostring(L, -2), lua_rawlen(L, -2), 5) : 3;

		one = hash64((const char *)&at, sizeof(at), one + (uint64_t)lua_type(L, -1));
		if (lua_type(L, -1) == LUA_TUSERDATA && depth < 3 && luaL_getmetafield(L, -1, "__index") == LUA_TTABLE) {
			one += 31 * print_of(L, depth + 1);
			lua_pop(L, 1);
		}
		sum += one;	/* in whatever order */
		lua_pop(L, 1);
	}
	return sum;
}

static uint64_t environment_of(struct policy_state *s)
{
	lua_State *L = s->L;
	uint64_t sum;

	lua_rawgeti(L, LUA_REGISTRYINDEX, s->env);
	luaL_getmetafield(L, -1, "__index");
	sum = print_of(L, 0);
	lua_pop(L, 2);
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	sum += 7 * print_of(L, 0);
	lua_pop(L, 2);
	for (int type = LUA_TNIL; type < LUA_NUMTYPES; type++) {	/* of functions, numbers ... there are none */
		if (type == LUA_TNIL)
			lua_pushnil(L);
		else if (type == LUA_TBOOLEAN)
			lua_pushboolean(L, 1);
		else if (type == LUA_TNUMBER)
			lua_pushinteger(L, 1);
		else if (type == LUA_TFUNCTION)
			lua_rawgeti(L, LUA_REGISTRYINDEX, s->entries[0].my), lua_pop(L, 1), lua_pushcfunction(L, lua_error);
		else
			continue;
		if (lua_getmetatable(L, -1)) {
			sum += 1000003;
			lua_pop(L, 1);
		}
		lua_pop(L, 1);
	}
	return sum;
}

/* ---- one program */

/* Everything that the hooks said, as text. */
static void say(struct buf *b, const struct decision *d, bool admitted, const struct shape *shape, const struct action *a, const struct bill *bill)
{
	buf_print(b, "%d %d %u fuel %ld:", admitted, (int)d->keep.store, d->errors, d->fuel);
	for (size_t i = 0; i < d->n_order; i++)
		buf_print(b, " %s", d->order[i]->endpoint->tag);
	for (size_t i = 0; i < d->n; i++)
		buf_print(b, " %s", d->candidates[i].dropped ? d->candidates[i].dropped : "-");
	buf_print(b, " plan %u %llu shape %zu act %d bill %zu %lld %d\n", d->plan.attempts, (unsigned long long)d->plan.deadline_ms, shape->n, (int)a->what, bill->n,
		(long long)bill->charge_nusd, bill->needs_rating);
	for (const struct note *n = d->notes; n; n = n->next)
		if (strncmp(n->text, "slow: ", 6))
			buf_print(b, " %s %s\n", n->hook, n->text);
}

static json_t *conf;

static void answer(struct policy_state *s, struct decision *d, uint64_t round)
{
	static const char *const texts[] = { "7", "{\"a\": [1, 2.5, \"x\"], \"models\": [\"acme/large\"]}", "[" };

	all.lookups++;
	policy_answer(d, word_of(texts[round % 3]), NULL);
}

static bool live(struct world *w, struct policy_state *s, uint64_t round, struct buf *said)
{
	struct mg_usage u = { .size = sizeof(u), .input = 1000, .output = 10 };
	struct policy_state *before = w->state;
	struct decision *d = world_ask(w);
	uint64_t began = cpu_ms(), took;
	struct denial no;
	struct shape shape;
	struct action a;
	struct bill bill;
	bool admitted;

	w->state = s;
	d->facts.seed = round;
	d->facts.session = MG_STR("s");
	d->conf = conf;
	while (!(admitted = policy_admit(s, d, &no)) && d->waits)
		answer(s, d, round);
	policy_retain(s, d);
	while (!policy_resolve(s, d, &no) && d->waits)
		answer(s, d, round);
	world_route(w, &no);
	policy_plan(s, d);
	policy_shape(s, d, &w->endpoints[0], &shape);
	policy_on_error(s, d, &(struct attempt_error){ .kind = MG_E_SERVER, .endpoint = &w->endpoints[0] }, d->order, d->n_order, &a);
	if (policy_price(s, d, &w->endpoints[0], &u, false, &bill))
		bill_clear(&bill);
	policy_observe(s, d, &(struct outcome){ .status = 200, .usage = &u, .bill = &bill });
	took = cpu_ms() - began;
	if (took > all.slowest_ms)
		all.slowest_ms = took;
	all.errors += d->errors;
	say(said, d, admitted, &shape, &a, &bill);
	w->state = before;
	return lua_gettop(s->L) == 0 && took < MOST_MS;
}

static void silent(void *arg, const char *line)
{
	(void)line;
	(*(unsigned *)arg)++;
}

static bool check(struct world *w, struct policy_state *states[2], uint64_t seed)
{
	uint64_t was[2];
	size_t registry[2], top = 0;
	bool good = true, same = true;

	for (int k = 0; k < 2; k++) {
		was[k] = environment_of(states[k]);
		registry[k] = lua_rawlen(states[k]->L, LUA_REGISTRYINDEX);
		states[k]->shared = shared_new();	/* their own */
	}
	for (uint64_t round = 0; round < ROUNDS; round++) {
		struct buf said[2];

		for (int k = 0; k < 2; k++) {
			buf_init(&said[k], 1 << 20);
			good &= live(w, states[k], round, &said[k]);
		}
		/* How much memory a call finds depends on what ran before: of that alone nothing is promised. */
		if (memmem(said[0].at, said[0].len, "memory", 6) || memmem(said[1].at, said[1].len, "memory", 6))
			all.starved++;
		else
			same &= said[0].len == said[1].len && !memcmp(said[0].at, said[1].at, said[0].len);
		if (!same || !good)
			printf("# seed %llu, round %llu:\n# %.*s\n# %.*s\n", (unsigned long long)seed, (unsigned long long)round, (int)(said[0].len < TOLD ? said[0].len : TOLD), said[0].at,
				(int)(said[1].len < TOLD ? said[1].len : TOLD), said[1].at);
		for (int k = 0; k < 2; k++)
			buf_release(&said[k]);
		if (!same || !good)
			break;
	}
	for (int k = 0; k < 2; k++) {
		top = lua_rawlen(states[k]->L, LUA_REGISTRYINDEX);
		all.changed += !states[k]->life && environment_of(states[k]) != was[k];
		all.grown += !states[k]->life && top > registry[k] + 64;	/* endpoints and coroutines, once */
		good &= policy_state_heap(states[k]) < (18 << 20);
		shared_free(states[k]->shared);
	}
	all.differ += !same;
	return good && same;
}

static bool one(uint64_t seed, bool show)
{
	struct policy_state *states[2] = { NULL, NULL };
	struct world w;
	struct buf text;
	unsigned said = 0;
	bool good = true;

	buf_init(&text, PROGRAM_BYTES);
	program(seed, &text);
	buf_put(&text, "", 1);
	if (show)
		printf("%s\n", text.failed ? "(too long)" : text.at);
	world_init(&w);
	world_endpoint(&w, 0, "a", 1, 1);
	world_endpoint(&w, 0, "b", 2, 2);
	world_endpoint(&w, 0, "c", 3, 3);
	world_file(&w, "p.lua", text.failed ? "" : text.at);
	all.programs++;
	if (!world_open(&w, "return { policies = { default = { { use = \"p\" } } } }")) {
		all.refused++;
		if (show)
			printf("# %s\n", w.err.msg);
	} else {
		states[0] = w.state;
		states[1] = policy_state_new(w.bundle, &w.err);
		good = states[1] && check(&w, states, seed);
		names_scan(states[0], bundle_file(w.bundle, "p"), silent, &said);
	}
	policy_state_free(states[1]);
	world_release(&w);
	buf_release(&text);
	return good;
}

int main(void)
{
	const char *only = getenv("FUZZ_SEED"), *seconds = getenv("FUZZ_SECONDS");
	uint64_t end_ms = clock_ms() + (seconds ? strtoull(seconds, NULL, 10) * 1000 : 0);
	bool good = true;

	log_max = LOG_ERROR;
	conf = json_loads("{\"policy\": {\"lookups\": {\"a\": {\"url\": \"http://x/\", \"timeout\": 250}}}}", 0, NULL);
	if (only)
		return !one(strtoull(only, NULL, 10), true);
	for (uint64_t seed = 1; (seed <= PROGRAMS || clock_ms() < end_ms) && all.differ < 5; seed++)
		good &= one(seed, false);
	printf("# %llu programs, %llu of them refused, %llu hooks failed, %llu lookups, %llu without memory, the longest request %llu ms\n",
		(unsigned long long)all.programs, (unsigned long long)all.refused, (unsigned long long)all.errors, (unsigned long long)all.lookups, (unsigned long long)all.starved,
		 (unsigned long long)all.slowest_ms);
	ok(good, "no program ends the process, runs on, or leaves anything on the stack");
	ok(!all.differ, "two states say the same, for the same fuel");
	ok(!all.changed, "what a policy can name is the same afterwards");
	ok(!all.grown, "nothing stays behind in the registry");
	ok(all.refused < all.programs / 2 && all.lookups && all.errors > all.programs, "most programs run, and most do harm to themselves");
	json_decref(conf);
	return tap_done();
}
