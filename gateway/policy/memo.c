/*
 * What is known of an endpoint before a hook is asked.  `when` says once in a
 * catalogue whether an endpoint concerns a hook at all; `memo` names the members
 * of the request that a filter's verdict depends on, and a verdict is kept for
 * their values.  Neither can lie: what is kept came from a run that read nothing
 * else, and a run that did read more is done again each time.
 */
#include "base/crypto.h"
#include "policy/fields.h"

enum { SLOTS_MAX = 64, SLOTS_MIN = 4, WAYS = 4, MEMO_BYTES = 1 << 20, KEY_BYTES = 240, PARTS_MAX = 64, REASONS_MAX = 200, WHEN_FUEL = 2000,
	UNKNOWN = 0, KEEPS = 1, REASON = 2 };

struct part { const struct field *field; unsigned char base; };	/* base: of which of the four tables */
struct slot { uint64_t hash, used; size_t len; char key[KEY_BYTES]; unsigned char *verdicts; };
struct memo {
	struct part parts[PARTS_MAX]; size_t n;
	struct slot slots[SLOTS_MAX]; size_t n_slots;	/* 0: none for this catalogue yet */
	struct slot *now; uint64_t stamp, ticks;	/* of the decision at hand; NULL: its values are too long */
	int view;		/* registry: req, as a filter sees it that runs for the memo */
};
enum base { OF_REQ, OF_PREFS, OF_KEY, OF_FEAT, BASES };
static const struct { const char *name; const struct field *fields; } bases[BASES] = {
	{ "", req_fields }, { "prefs", prefs_fields }, { "key", key_fields }, { "feat", feat_fields } };

static const void *base_of(const struct facts *f, unsigned base)
{
	return base == OF_PREFS ? (const void *)&f->prefs : base == OF_FEAT ? (const void *)&f->feat : f;
}

/* ---- what a policy declares */

static int add_part(struct memo *m, unsigned base, const struct field *f)
{
	if (f->kind == K_LATER)
		return 0;
	if (m->n == PARTS_MAX)
		return -1;
	m->parts[m->n++] = (struct part){ f, (unsigned char)base };
	return 0;
}

/* "variant", "prefs" or "prefs.zdr" */
static int add_name(struct memo *m, const char *name)
{
	const char *dot = strchr(name, '.');
	size_t len = dot ? (size_t)(dot - name) : strlen(name);
	const struct field *f;

	for (unsigned base = OF_PREFS; base < BASES; base++) {
		if (strncmp(bases[base].name, name, len) || bases[base].name[len])
			continue;
		if (dot)
			return (f = field_named(bases[base].fields, dot + 1)) ? add_part(m, base, f) : -1;
		for (f = bases[base].fields; f->name; f++)
			if (add_part(m, base, f))
				return -1;
		return 0;
	}
	f = dot ? NULL : field_named(req_fields, name);
	return f ? add_part(m, OF_REQ, f) : -1;
}

static bool declared(const struct memo *m, unsigned base, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->parts[i].base == base && !strcmp(m->parts[i].field->name, name))
			return true;
	return false;
}

/* ---- the request as such a filter sees it: whatever else it reads is noted, and given */

static int view_push(lua_State *L, struct memo *m, unsigned base);

/* Upvalues: the memo, which table. */
static int view_index(lua_State *L)
{
	struct policy_state *s = state_of(L);
	struct memo *m = lua_touserdata(L, lua_upvalueindex(1));
	unsigned base = (unsigned)lua_tointeger(L, lua_upvalueindex(2));
	const struct mirror *all[BASES] = { &s->req, &s->prefs, &s->key, &s->feat };
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

	for (unsigned part = OF_PREFS; base == OF_REQ && part < BASES; part++)
		if (!strcmp(name, bases[part].name))
			return view_push(L, m, part);
	s->impure |= !declared(m, base, name);
	lua_rawgeti(L, LUA_REGISTRYINDEX, all[base]->eye);
	lua_pushvalue(L, 2);
	lua_gettable(L, -2);
	return 1;
}

static void view_make(lua_State *L, lua_CFunction index, void *arg, unsigned base, struct mirror *of)
{
	lua_newtable(L);
	proxy_push(L, SIGHT_VIEW)->mirror = of;
	lua_getmetatable(L, -1);
	lua_pushlightuserdata(L, arg);
	lua_pushinteger(L, base);
	lua_pushcclosure(L, index, 2);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}

static int view_push(lua_State *L, struct memo *m, unsigned base)
{
	struct policy_state *s = state_of(L);
	struct mirror *all[BASES] = { &s->req, &s->prefs, &s->key, &s->feat };

	view_make(L, view_index, m, base, all[base]);
	return 1;
}

/* `live` of the endpoint at hand: upvalue 1 is the sight itself. */
static int live_index(lua_State *L)
{
	struct policy_state *s = state_of(L);

	s->impure = true;
	lua_getfield(L, LUA_REGISTRYINDEX, "live of");
	lua_pushvalue(L, 2);
	lua_gettable(L, -2);
	return 1;
}

void live_hide(struct policy_state *s, const struct cached *c)
{
	lua_State *L = s->L;

	lua_rawgeti(L, LUA_REGISTRYINDEX, c->eye);
	luaL_getmetafield(L, -1, "__index");
	lua_getfield(L, -1, "live");
	lua_setfield(L, LUA_REGISTRYINDEX, "live of");
	if (s->live_view == LUA_NOREF) {
		view_make(L, live_index, NULL, 0, NULL);
		s->live_view = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->live_view);
	lua_setfield(L, -2, "live");
	lua_pop(L, 2);
}

void live_unhide(struct policy_state *s, const struct cached *c)
{
	lua_State *L = s->L;

	lua_rawgeti(L, LUA_REGISTRYINDEX, c->eye);
	luaL_getmetafield(L, -1, "__index");
	lua_getfield(L, LUA_REGISTRYINDEX, "live of");
	lua_setfield(L, -2, "live");
	lua_pop(L, 2);
	lua_pushboolean(L, 0);	/* a view that was kept shows nothing any more */
	lua_setfield(L, LUA_REGISTRYINDEX, "live of");
}

/* ---- opening and forgetting */

int memo_open(struct policy_state *s, struct entry *e, int decl)
{
	lua_State *L = s->L;
	const char *bad = NULL;
	struct memo *m;
	int at;

	if (lua_getfield(L, decl, "memo") == LUA_TNIL) {
		lua_settop(L, decl);
		return 0;
	}
	if (!lua_istable(L, -1) || lua_getfield(L, -1, "filter") == LUA_TNIL)
		return refuse(s, "%s.lua: memo must be { filter = { names of members of req } }", e->name);
	m = e->memo = calloc(1, sizeof(*m));
	if (!m)
		return refuse(s, "no memory");
	m->view = LUA_NOREF;
	at = lua_gettop(L);
	if (lua_type(L, at) == LUA_TSTRING && add_name(m, lua_tostring(L, at)))
		bad = lua_tostring(L, at);
	for (lua_Integer i = 1; !bad && lua_istable(L, at) && lua_geti(L, at, i) != LUA_TNIL; i++) {
		if (lua_type(L, -1) != LUA_TSTRING || add_name(m, lua_tostring(L, -1)))
			bad = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "(not a name)";
	}
	if (bad || !m->n)
		return refuse(s, "%s.lua: memo.filter: '%s' is no member of req such as \"variant\", \"prefs\" or \"key.org\"", e->name, bad ? bad : "");
	view_push(L, m, OF_REQ);
	m->view = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_settop(L, decl);
	return 0;
}

static void slots_free(struct memo *m)
{
	for (size_t i = 0; i < m->n_slots; i++)
		free(m->slots[i].verdicts);
	memset(m->slots, 0, sizeof(m->slots));
	m->n_slots = 0;
	m->now = NULL;
	m->stamp = 0;
}

void memo_free(struct memo *m)
{
	if (m)
		slots_free(m);
	free(m);
}

void memo_forget(struct policy_state *s)
{
	for (size_t i = 0; i < s->n_entries; i++)
		if (s->entries[i].memo)
			slots_free(s->entries[i].memo);
	for (size_t i = 0; i < s->n_reasons; i++) {
		free(s->reasons[i].code);
		free(s->reasons[i].by);
	}
	s->n_reasons = 0;
}

/* ---- slots: one for each combination of values */

static size_t key_make(const struct memo *m, const struct facts *f, char out[static KEY_BYTES])
{
	size_t len = 0;

	for (size_t i = 0; i < m->n; i++) {
		int n = len + 2 < KEY_BYTES ? field_image(m->parts[i].field, base_of(f, m->parts[i].base), out + len + 1, KEY_BYTES - len - 1) : -1;

		if (n < 0 || n > 255)
			return 0;
		out[len] = (char)n;
		len += (size_t)n + 1;
	}
	return len;
}

static struct slot *slot_find(struct policy_state *s, struct memo *m, const char *key, size_t len)
{
	uint64_t hash = hash64(key, len, 11);
	struct slot *oldest = NULL;

	if (!m->n_slots)
		m->n_slots = s->n_slot * SLOTS_MAX < MEMO_BYTES ? SLOTS_MAX : MEMO_BYTES / s->n_slot > SLOTS_MIN ? MEMO_BYTES / s->n_slot : SLOTS_MIN;
	for (size_t i = 0; i < WAYS; i++) {
		struct slot *slot = &m->slots[(hash + i) % m->n_slots];

		if (slot->hash == hash && slot->len == len && !memcmp(slot->key, key, len)) {
			slot->used = ++m->ticks;
			return slot;
		}
		if (!oldest || slot->used < oldest->used)
			oldest = slot;
	}
	if (!oldest->verdicts && !(oldest->verdicts = malloc(s->n_slot)))
		return NULL;
	memset(oldest->verdicts, UNKNOWN, s->n_slot);
	oldest->hash = hash;
	oldest->len = len;
	oldest->used = ++m->ticks;
	memcpy(oldest->key, key, len);
	return oldest;
}

static struct slot *slot_of(struct policy_state *s, struct decision *d, struct memo *m)
{
	char key[KEY_BYTES];
	size_t len;

	if (m->stamp == d->stamp)
		return m->now;
	len = key_make(m, &d->facts, key);
	m->now = len && s->n_slot ? slot_find(s, m, key, len) : NULL;
	m->stamp = d->stamp;
	return m->now;
}

/* The number of a reason; 0: there are too many. */
static unsigned char reason_number(struct policy_state *s, const struct verdict *v)
{
	struct why *r;
	size_t i = 0;

	while (i < s->n_reasons && (strcmp(s->reasons[i].code, v->why) || strcmp(s->reasons[i].by, v->by)))
		i++;
	if (i < s->n_reasons)
		return (unsigned char)(i + REASON);
	if (i == REASONS_MAX || (!s->reasons && !(s->reasons = calloc(REASONS_MAX, sizeof(*s->reasons)))))
		return UNKNOWN;
	r = &s->reasons[i];
	*r = (struct why){ strdup(v->why), strdup(v->by) };
	if (!r->code || !r->by) {
		free(r->code);
		free(r->by);
		return UNKNOWN;
	}
	s->n_reasons++;
	return (unsigned char)(i + REASON);
}

/* ---- when */

bool concerns(struct policy_state *s, struct decision *d, struct entry *e, enum hook h, const struct endpoint *endpoint)
{
	uint64_t bit = 1ull << (e - s->entries);
	struct cached *c;
	bool yes = true, failed;

	if (e->when[h] == LUA_NOREF || !(c = endpoint_cached(s, endpoint)))
		return true;
	if (c->asked[h] & bit)
		return c->concerned[h] & bit;
	s->impure = false;
	live_hide(s, c);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, e->when[h]);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, c->eye);
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, e->my);
	s->hook = h;
	failed = sandbox_call(s, 2, 1, WHEN_FUEL, 64 << 10);
	s->hook = HOOK_NONE;
	live_unhide(s, c);
	if (failed) {
		hook_failed(s, d, e, h, s->error);	/* so it does concern it */
		return true;
	}
	yes = lua_toboolean(s->L, -1);
	lua_pop(s->L, 1);
	if (s->impure) {
		hook_failed(s, d, e, h, "when may depend on what does not change alone: neither live nor shared state");
		return true;
	}
	c->asked[h] |= bit;
	if (yes)
		c->concerned[h] |= bit;
	return yes;
}

/* ---- verdicts */

static const char *dup(struct decision *d, const char *text)
{
	const char *copy = pool_dup(d->pool, (struct mg_str){ text, strlen(text) }).at;

	return copy ? copy : "";
}

static int ask(struct policy_state *s, struct decision *d, struct entry *e, const struct candidate *c, bool remember)
{
	hook_push(s, e, HOOK_FILTER);
	if (remember)
		lua_rawgeti(s->L, LUA_REGISTRYINDEX, e->memo->view);
	endpoint_push(s, c->endpoint, &c->live);
	if (!remember) {
		req_push(s, d);
		lua_insert(s->L, -2);
	}
	return hook_call(s, d, e, HOOK_FILTER, 2, 2);
}

/* The filter said no: it is asked again, to see at which line.  Only its first answer counts. */
static const char *line_of(struct policy_state *s, struct decision *d, struct entry *e, const struct candidate *c)
{
	bool impure = s->impure;
	char text[NAME_BYTES + 24];

	s->line = 0;
	s->tracing = true;
	if (!ask(s, d, e, c, false))
		lua_pop(s->L, 2);
	s->tracing = false;
	s->impure = impure;
	if (!s->line)
		return dup(d, e->at[HOOK_FILTER]);
	snprintf(text, sizeof(text), "%s:%d", s->file, s->line);
	return dup(d, text);
}

static struct verdict run(struct policy_state *s, struct decision *d, struct entry *e, const struct candidate *c, bool remember)
{
	lua_State *L = s->L;
	struct verdict v = { "policy_error", dup(d, e->at[HOOK_FILTER]) };

	if (ask(s, d, e, c, remember)) {
		s->impure = true;
		return v;
	}
	if (!lua_isboolean(L, -2)) {	/* a forgotten `return true` must be loud */
		hook_failed(s, d, e, HOOK_FILTER, "filter must return true or false, not something else");
		s->impure = true;
	} else if (lua_toboolean(L, -2)) {
		v = (struct verdict){ NULL, NULL };
	} else {
		v.why = dup(d, lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "filtered");
		v.by = line_of(s, d, e, c);
	}
	lua_pop(L, 2);
	return v;
}

struct verdict verdict_of(struct policy_state *s, struct decision *d, struct entry *e, const struct candidate *c)
{
	struct slot *slot = e->memo && s->remembers ? slot_of(s, d, e->memo) : NULL;
	struct cached *known = slot || e->when[HOOK_FILTER] != LUA_NOREF ? endpoint_cached(s, c->endpoint) : NULL;
	unsigned char *kept = slot && known ? &slot->verdicts[c->endpoint->index] : NULL;
	struct verdict v;

	if (kept && *kept == KEEPS)
		return (struct verdict){ NULL, NULL };
	if (kept && *kept >= REASON)
		return (struct verdict){ dup(d, s->reasons[*kept - REASON].code), dup(d, s->reasons[*kept - REASON].by) };
	if (!known && (slot || e->when[HOOK_FILTER] != LUA_NOREF)) {
		endpoint_push(s, c->endpoint, &c->live);	/* it is from here on */
		lua_pop(s->L, 1);
		known = endpoint_cached(s, c->endpoint);
		kept = slot && known ? &slot->verdicts[c->endpoint->index] : NULL;
	}
	if (!concerns(s, d, e, HOOK_FILTER, c->endpoint))
		return (struct verdict){ NULL, NULL };
	s->impure = false;
	if (!kept)
		return run(s, d, e, c, false);
	req_push(s, d);		/* so that the view shows this one */
	lua_pop(s->L, 1);
	endpoint_push(s, c->endpoint, &c->live);
	lua_pop(s->L, 1);
	live_hide(s, known);
	v = run(s, d, e, c, true);
	live_unhide(s, known);
	if (!s->impure)
		*kept = v.why ? reason_number(s, &v) : KEEPS;
	return v;
}
