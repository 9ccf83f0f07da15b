/*
 * What policies share over requests and workers: windowed counters, plain
 * counters, and who answered a conversation last.  Sharded by key, bounded:
 * a shard that is full forgets what is oldest.
 */
#include <pthread.h>
#include <stdatomic.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "policy/columns.h"

enum { SHARDS = 16, ROWS = 4096, KEY_BYTES = 160 };
enum { WINDOW_MAX_S = 366 * 86400 };

struct row {
	size_t len;			/* of key, which may be any bytes */
	char key[KEY_BYTES], value[VALUE_BYTES];
	uint64_t hash, used;
	int64_t n, since_ms, until_ms;	/* until: it may be forgotten; 0: when room is needed */
};
struct shard { pthread_mutex_t lock; struct row **slots; size_t n; uint64_t ticks; };
struct shared { struct shard shards[SHARDS]; };

struct shared *shared_new(void)
{
	struct shared *sh = calloc(1, sizeof(*sh));

	for (size_t i = 0; sh && i < SHARDS; i++)
		pthread_mutex_init(&sh->shards[i].lock, NULL);
	return sh;
}

void shared_free(struct shared *sh)
{
	for (size_t i = 0; sh && i < SHARDS; i++) {
		struct shard *s = &sh->shards[i];

		for (size_t k = 0; s->slots && k < ROWS; k++)
			free(s->slots[k]);
		free(s->slots);
		pthread_mutex_destroy(&s->lock);
	}
	free(sh);
}

static bool copy_shard(struct shard *to, struct shard *from)
{
	bool whole = true;

	pthread_mutex_lock(&from->lock);
	if (from->slots)
		whole = (to->slots = calloc(ROWS, sizeof(*to->slots))) != NULL;
	for (size_t i = 0; whole && from->slots && i < ROWS; i++)
		if (from->slots[i]) {
			to->slots[i] = malloc(sizeof(*to->slots[i]));
			if (to->slots[i])
				*to->slots[i] = *from->slots[i];
			whole = to->slots[i] != NULL;
		}
	to->ticks = from->ticks;
	pthread_mutex_unlock(&from->lock);
	return whole;
}

struct shared *shared_copy(struct shared *from)
{
	struct shared *to = from ? shared_new() : NULL;

	for (size_t i = 0; to && i < SHARDS; i++)
		if (!copy_shard(&to->shards[i], &from->shards[i])) {
			shared_free(to);
			return NULL;
		}
	return to;
}

static struct shared *process;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_process(void) { process = shared_new(); }

void policy_shared_init(void) { pthread_once(&once, make_process); }

struct shared *shared_process(void)
{
	policy_shared_init();
	return process;
}

/* kind, name and key in one; what is too long is cut, and told apart by its hash. */
struct name { size_t len; char text[KEY_BYTES]; uint64_t hash; };

static size_t add_text(struct name *out, size_t at, const char *text, size_t len)
{
	size_t room = sizeof(out->text) - at;

	if (len > room)
		len = room;
	memcpy(out->text + at, text, len);
	return at + len;
}

static void name_make(struct name *out, const char *kind, struct mg_str name, const char *key, size_t len)
{
	size_t at = add_text(out, 0, kind, strlen(kind));

	at = add_text(out, at, "\n", 1);
	if (name.len)
		at = add_text(out, at, name.at, name.len);
	at = add_text(out, at, "\n", 1);
	out->hash = hash64(key, len, hash64(name.at ? name.at : "", name.len, hash64(kind, strlen(kind), 7)));
	out->len = add_text(out, at, key, len);
}

static struct mg_str words_of(const char *text) { return (struct mg_str){ text, strlen(text) }; }

static bool is_row(const struct row *r, const struct name *n)
{
	return r && r->hash == n->hash && r->len == n->len && !memcmp(r->key, n->text, n->len);
}

/* Where the row is or could be: eight places from its own on; the oldest one gives way. */
static struct row **row_place(struct shard *s, const struct name *n, bool make)
{
	struct row **oldest = NULL;

	if (!s->slots && (!make || !(s->slots = calloc(ROWS, sizeof(*s->slots)))))
		return NULL;
	for (size_t i = 0; i < 8; i++) {
		struct row **at = &s->slots[(n->hash + i) % ROWS];

		if (is_row(*at, n))
			return at;
		if (!oldest || (*oldest && (!*at || (*at)->used < (*oldest)->used)))
			oldest = at;
	}
	return make ? oldest : NULL;
}

static struct row *row_at(struct shard *s, const struct name *n, bool make)
{
	struct row **at = row_place(s, n, make);
	struct row *r;

	if (!at)
		return NULL;
	r = *at;
	if (is_row(r, n)) {
		r->used = ++s->ticks;
		return r;
	}
	if (!make || (!r && !(r = *at = malloc(sizeof(*r)))))
		return NULL;
	*r = (struct row){ .hash = n->hash, .len = n->len, .used = ++s->ticks };
	memcpy(r->key, n->text, n->len);
	return r;
}

static struct shard *shard_lock(struct shared *sh, const struct name *n)
{
	struct shard *s = &sh->shards[n->hash >> 40 & (SHARDS - 1)];

	pthread_mutex_lock(&s->lock);
	return s;
}

/* A session's name is remembered longer than its request: as a hash under a key of this process. */
static void sticky_name(struct name *n, struct mg_str owner, const char *key, size_t len)
{
	static _Atomic uint64_t seeds[2];
	uint64_t hashes[2];

	for (int i = 0; i < 2; i++) {
		uint64_t none = 0;

		if (!atomic_load(&seeds[i]))
			atomic_compare_exchange_strong(&seeds[i], &none, random_number() | 1);
		hashes[i] = hash64(key, len, seeds[i]);
	}
	name_make(n, "sticky", owner, (const char *)hashes, sizeof(hashes));
}

void sticky_put(struct shared *sh, struct mg_str owner, const char *key, size_t len, const char *value, uint64_t ttl_s)
{
	struct name n;
	struct shard *s;
	struct row *r;
	size_t size = strlen(value) + 1;

	if (size > VALUE_BYTES)
		return;
	sticky_name(&n, owner, key, len);
	s = shard_lock(sh, &n);
	r = row_at(s, &n, true);
	if (r) {
		memcpy(r->value, value, size);
		r->until_ms = (int64_t)clock_ms() + (int64_t)(ttl_s < STICKY_MAX_S ? ttl_s : STICKY_MAX_S) * 1000;
	}
	pthread_mutex_unlock(&s->lock);
}

bool sticky_find(struct shared *sh, struct mg_str owner, const char *key, size_t len, char out[static VALUE_BYTES])
{
	struct name n;
	struct shard *s;
	struct row *r;

	sticky_name(&n, owner, key, len);
	s = shard_lock(sh, &n);
	r = row_at(s, &n, false);
	if (r && r->until_ms > (int64_t)clock_ms())
		memcpy(out, r->value, VALUE_BYTES);
	else
		r = NULL;
	pthread_mutex_unlock(&s->lock);
	return r != NULL;
}

/* ---- for Lua */

static void need_write(lua_State *L, const char *what)
{
	struct policy_state *s = state_of(L);

	s->impure = true;
	if (s->hook == HOOK_ADMIT || s->hook == HOOK_OBSERVE)
		return;
	luaL_error(L, "%s is not allowed in hook '%s' (only admit and observe may write)", what, s->hook == HOOK_NONE ? "none" : hook_names[s->hook]);
}

/* What a policy in shadow counts is counted apart: nobody else sees it. */
static bool in_shadow(lua_State *L)
{
	struct policy_state *s = state_of(L);

	return s->entry && s->entry->shadow;
}

/* name, key, max, per_s, n -> ok, retry_after_s */
static int limit_now(lua_State *L)
{
	struct policy_state *st = state_of(L);
	size_t len;
	const char *what = luaL_checkstring(L, 1), *key = luaL_checklstring(L, 2, &len);
	lua_Integer max = lua_tointeger(L, 3), per_s = lua_tointeger(L, 4), take = lua_tointeger(L, 5), wait = 0;
	int64_t now = st->now_ms;
	struct name n;
	struct shard *s;
	struct row *r;
	bool ok = false;

	name_make(&n, in_shadow(L) ? "shadow limit" : "limit", words_of(what), key, len);
	s = shard_lock(st->shared, &n);
	r = row_at(s, &n, true);
	if (r) {
		if (!r->until_ms || now - r->since_ms >= per_s * 1000 || now < r->since_ms) {
			r->n = 0;
			r->since_ms = now;
			r->until_ms = now + per_s * 1000;
		}
		ok = r->n + take <= max;
		if (ok)
			r->n += take;
		else
			wait = (per_s * 1000 - (now - r->since_ms) + 999) / 1000;
	}
	pthread_mutex_unlock(&s->lock);
	lua_pushboolean(L, ok);
	lua_pushinteger(L, ok ? 0 : wait ? wait : 1);
	return 2;
}

static lua_Integer whole(lua_State *L, const char *member, lua_Integer def, bool optional)
{
	lua_Integer n = def;
	int is = 1, type = lua_getfield(L, 3, member);

	if (type != LUA_TNIL || !optional)
		n = lua_tointegerx(L, -1, &is);
	if (!is)
		return luaL_error(L, "limit.take: %s must be a whole number, in { max = 100, per_s = 60 }", member);
	lua_pop(L, 1);
	return n;
}

/* limit.take(name, key, {max, per_s, n}) */
static int limit_take(lua_State *L)
{
	lua_Integer max, per_s, take;

	need_write(L, "limit.take");
	luaL_checkstring(L, 1);
	luaL_checkstring(L, 2);
	luaL_argcheck(L, table_at(L, 3), 3, "{max, per_s, n} expected");
	max = whole(L, "max", 0, false);
	per_s = whole(L, "per_s", 0, false);
	take = whole(L, "n", 1, true);
	luaL_argcheck(L, per_s > 0 && per_s <= 366 * 86400 && take >= 0 && take <= INT32_MAX, 3, "per_s or n is out of range");
	lua_settop(L, 2);
	lua_pushinteger(L, max);
	lua_pushinteger(L, per_s);
	lua_pushinteger(L, take);
	return reading(L, "limit.take", 5, limit_now);
}

/* counters = { name = { window_s = n } } */
int counters_take(struct policy_state *s, struct entry *e, int decl)
{
	lua_State *L = s->L;
	int type = lua_getfield(L, decl, "counters");

	if (type != LUA_TNIL && type != LUA_TTABLE)
		return refuse(s, "%s.lua: counters must be a table, such as { spent = { window_s = 86400 } }", e->name);
	for (lua_pushnil(L); type == LUA_TTABLE && lua_next(L, decl + 1); lua_settop(L, decl + 2)) {
		struct counted *c = &e->counters[e->n_counters];

		if (lua_type(L, decl + 2) != LUA_TSTRING || lua_rawlen(L, decl + 2) >= sizeof(c->name) || !lua_istable(L, -1) || e->n_counters == COUNTERS_MAX)
			return refuse(s, "%s.lua: counters: up to %d, each a name and its table, such as spent = { window_s = 86400 }", e->name, COUNTERS_MAX);
		snprintf(c->name, sizeof(c->name), "%s", lua_tostring(L, decl + 2));
		for (lua_pushnil(L); lua_next(L, decl + 3); lua_settop(L, decl + 4)) {
			if (lua_type(L, decl + 4) != LUA_TSTRING || strcmp(lua_tostring(L, decl + 4), "window_s") || !lua_isinteger(L, -1) ||
			    lua_tointeger(L, -1) < 1 || lua_tointeger(L, -1) > WINDOW_MAX_S)
				return refuse(s, "%s.lua: counters.%s: has window_s alone, whole seconds from 1 to %d", e->name, c->name, WINDOW_MAX_S);
			c->window_ms = lua_tointeger(L, -1) * 1000;
		}
		e->n_counters++;
	}
	lua_settop(L, decl);
	return 0;
}

/* 0: it counts on. */
static int64_t window_of(const struct policy_state *s, const char *what)
{
	for (size_t i = 0; s->entry && i < s->entry->n_counters; i++)
		if (!strcmp(s->entry->counters[i].name, what))
			return s->entry->counters[i].window_ms;
	return 0;
}

static bool window_over(const struct policy_state *s, const char *what, const struct row *r)
{
	int64_t window_ms = window_of(s, what);

	return window_ms && (!r->until_ms || s->now_ms - r->since_ms >= window_ms || s->now_ms < r->since_ms);
}

static int64_t counter_read(const struct policy_state *st, const char *kind, const char *what, struct mg_str key, int64_t otherwise)
{
	struct name n;
	struct shard *s;
	struct row *r;
	int64_t value;

	name_make(&n, kind, words_of(what), key.at, key.len);
	s = shard_lock(st->shared, &n);
	r = row_at(s, &n, false);
	value = r ? window_over(st, what, r) ? 0 : r->n : otherwise;
	pthread_mutex_unlock(&s->lock);
	return value;
}

static int counter_now(lua_State *L)
{
	struct policy_state *s = state_of(L);
	const char *what = luaL_checkstring(L, 1);
	struct mg_str key;
	int64_t value;

	key.at = luaL_checklstring(L, 2, &key.len);
	value = counter_read(s, "counter", what, key, 0);
	lua_pushinteger(L, in_shadow(L) ? counter_read(s, "shadow counter", what, key, value) : value);
	return 1;
}

static int counter_get(lua_State *L)
{
	luaL_checkstring(L, 1);
	luaL_checkstring(L, 2);
	return reading(L, "counter.get", 2, counter_now);
}

static int counter_add(lua_State *L)
{
	struct policy_state *st = state_of(L);
	const char *what = luaL_checkstring(L, 1);
	lua_Integer add = luaL_optinteger(L, 3, 1);
	bool apart = in_shadow(L);
	int64_t value = 0;
	struct mg_str key;
	struct name n;
	struct shard *s;
	struct row *r;

	key.at = luaL_checklstring(L, 2, &key.len);
	need_write(L, "counter.add");
	if (apart)	/* a copy, from the first change on */
		value = counter_read(st, "shadow counter", what, key, counter_read(st, "counter", what, key, 0));
	name_make(&n, apart ? "shadow counter" : "counter", words_of(what), key.at, key.len);
	s = shard_lock(st->shared, &n);
	r = row_at(s, &n, true);
	if (r && window_over(st, what, r)) {
		r->n = 0;
		r->since_ms = st->now_ms;
		r->until_ms = st->now_ms + window_of(st, what);
	}
	if (r && apart)
		r->n = value;
	if (r && __builtin_add_overflow(r->n, add, &r->n))
		r->n = add < 0 ? INT64_MIN : INT64_MAX;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* In a test: what t.state() holds.  Leaves group[key], or nil. */
void scratch_push(lua_State *L, const char *group, const char *key)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, state_of(L)->scratch);
	lua_getfield(L, -1, group);
	if (!lua_istable(L, -1)) {
		lua_pushnil(L);
		return;
	}
	lua_getfield(L, -1, key);
}

/* A conversation is one key's: two keys that send the same session share nothing. */
static int sticky_now(lua_State *L)
{
	struct policy_state *s = state_of(L);
	size_t len;
	const char *key = luaL_checklstring(L, 1, &len);
	char value[VALUE_BYTES];

	if (s->testing) {
		scratch_push(L, "sticky", key);
		return 1;
	}
	if (!s->d)
		return 0;
	if (!sticky_find(s->shared, s->d->facts.key.id, key, len, value))
		lua_pushnil(L);
	else
		lua_pushstring(L, value);
	return 1;
}

static int sticky_get(lua_State *L)
{
	luaL_checkstring(L, 1);
	return reading(L, "sticky.get", 1, sticky_now);
}

/* The item on top, which may be a test's own table. */
static bool has_id(lua_State *L, const char *id)
{
	const struct proxy *p = proxy_at(L, -1);

	if (p && p->kind == SIGHT_ENDPOINT)
		return !strcmp(p->endpoint->id, id);
	return table_at(L, -1) && lua_getfield(L, -1, "id") == LUA_TSTRING && !strcmp(lua_tostring(L, -1), id);
}

/* at(key, eps): where in a list the endpoint is that get(key) names; nil: it is not there. */
static int sticky_at(lua_State *L)
{
	lua_Integer n = list_length(L, 2), i = 1;
	const char *id;
	int top;

	luaL_checkstring(L, 1);
	lua_settop(L, 2);
	reading(L, "sticky.get", 1, sticky_now);
	id = lua_tostring(L, -1);
	top = lua_gettop(L);
	for (; id && i <= n; i++) {
		lua_geti(L, 2, i);
		if (has_id(L, id))
			break;
		lua_settop(L, top);
	}
	if (id && i <= n)
		lua_pushinteger(L, i);
	else
		lua_pushnil(L);
	return 1;
}

void shared_open(lua_State *L, int names)
{
	static const luaL_Reg limits[] = { { "take", limit_take }, { NULL, NULL } };
	static const luaL_Reg counters[] = { { "get", counter_get }, { "add", counter_add }, { NULL, NULL } };
	static const luaL_Reg stickies[] = { { "get", sticky_get }, { "at", sticky_at }, { NULL, NULL } };

	group_open(L, names, "limit", limits);
	group_open(L, names, "counter", counters);
	group_open(L, names, "sticky", stickies);
}
