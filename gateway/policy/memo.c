/*
 * memo: the members of the request that an answer depends on.  For their values
 * a filter's verdicts are kept, and that admit, resolve or plan had nothing to
 * say.  It cannot lie: what is kept came from a run that read nothing else of
 * the request, and nothing that changes; a run that did is done again each time.
 */
#include "base/crypto.h"
#include "policy/fields.h"

enum { SLOTS_MAX = 64, SLOTS_MIN = 4, WAYS = 4, MEMO_BYTES = 1 << 20, KEY_BYTES = 240, PARTS_MAX = 64, REASONS_MAX = 200 };

struct slot { uint64_t hash, used; size_t len; char key[KEY_BYTES]; unsigned char *verdicts; };
struct memo {
	struct part parts[PARTS_MAX]; size_t n;
	bool prefs;			/* the whole of them, besides */
	struct slot slots[SLOTS_MAX]; size_t n_slots;	/* 0: none for this catalogue yet */
	struct slot *now; uint64_t stamp, ticks;	/* of the decision at hand; NULL: its values are too long */
	int views[4];		/* registry: req and its parts, as a hook sees them that runs for the memo */
	bool each;		/* a verdict for each endpoint */
};

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
	struct part p;

	if (!part_named(name, &p))
		return add_part(m, p.base, p.field);
	if (!strcmp(name, parts[OF_PREFS].name)) {
		m->prefs = true;
		return 0;
	}
	for (unsigned base = OF_PREFS; base < BASES; base++) {
		if (strcmp(parts[base].name, name))
			continue;
		for (const struct field *f = parts[base].fields; f->name; f++)
			if (add_part(m, base, f))
				return -1;
		return 0;
	}
	return -1;
}

static bool declared(const struct memo *m, unsigned base, const char *name)
{
	if (m->prefs && base == OF_PREFS && field_named(prefs_fields, name))
		return true;
	for (size_t i = 0; i < m->n; i++)
		if (m->parts[i].base == base && !strcmp(m->parts[i].field->name, name))
			return true;
	return false;
}

/* ---- the request as such a filter sees it: whatever else it reads is noted, and given */

/* Upvalues: the memo, which table. */
static int view_index(lua_State *L)
{
	struct policy_state *s = state_of(L);
	struct memo *m = lua_touserdata(L, lua_upvalueindex(1));
	unsigned base = (unsigned)lua_tointeger(L, lua_upvalueindex(2));
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
	const struct field *f = field_named(parts[base].fields, name);

	if (!declared(m, base, name) && (!f || f->kind != K_LATER)) {
		s->impure = true;
		s->read_of = base == OF_REQ ? "req" : parts[base].name;
		s->read = f ? f->name : "(unknown)";
	}
	if (!f && lua_type(L, 2) == LUA_TSTRING)
		return field_missing(L, parts[base].called, parts[base].fields, name);
	if (!f || !s->d)
		return 0;
	if (f->kind != K_LATER) {	/* straight from the request: its own table is for what runs each time */
		field_push(L, f, base_of(&s->d->facts, base));
		return 1;
	}
	for (unsigned part = OF_PREFS; part < BASES; part++)
		if (!strcmp(name, parts[part].name))
			lua_rawgeti(L, LUA_REGISTRYINDEX, m->views[part]);
	return 1;
}

void view_make(lua_State *L, lua_CFunction index, void *arg, unsigned base, struct mirror *of)
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

/* ---- opening and forgetting */

/* The names on top: one, or a list. */
static int names_take(struct policy_state *s, struct entry *e, struct memo *m, const char *hook)
{
	lua_State *L = s->L;
	const char *bad = NULL;
	int at = lua_gettop(L);

	if (lua_type(L, at) == LUA_TSTRING && add_name(m, lua_tostring(L, at)))
		bad = lua_tostring(L, at);
	for (lua_Integer i = 1; !bad && lua_istable(L, at) && lua_geti(L, at, i) != LUA_TNIL; i++)
		if (lua_type(L, -1) != LUA_TSTRING || add_name(m, lua_tostring(L, -1)))
			bad = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "(not a name)";
	if (!bad && (m->n || m->prefs))
		return 0;
	return refuse(s, "%s.lua: memo.%s: '%s' is no member of req such as \"variant\", \"prefs\" or \"key.org\"", e->name, hook, bad ? bad : "");
}

static int memo_make(struct policy_state *s, struct entry *e, enum hook h)
{
	struct mirror *all[BASES] = { &s->req, &s->prefs, &s->key, &s->feat };
	struct memo *m = e->memo[h] = calloc(1, sizeof(*m));

	if (!m)
		return refuse(s, "no memory");
	m->each = h == HOOK_FILTER;
	if (h == HOOK_PLAN && e->args[h] > 1)
		return refuse(s, "%s.lua: memo.plan: a plan that looks at the endpoints cannot be remembered", e->name);
	if (names_take(s, e, m, hook_names[h]))
		return -1;
	for (unsigned base = 0; base < BASES; base++) {
		view_make(s->L, view_index, m, base, all[base]);
		m->views[base] = luaL_ref(s->L, LUA_REGISTRYINDEX);
	}
	return 0;
}

int memo_open(struct policy_state *s, struct entry *e, int decl)
{
	static const char *const able[] = { "admit", "resolve", "filter", "plan", NULL };
	lua_State *L = s->L;
	int type = lua_getfield(L, decl, "memo");

	if (type != LUA_TNIL && type != LUA_TTABLE)
		return refuse(s, "%s.lua: memo must be a table such as { filter = { \"variant\", \"prefs\" } }", e->name);
	if (type == LUA_TTABLE)
		lua_pushnil(L);
	while (type == LUA_TTABLE && lua_next(L, decl + 1))  {
		const char *hook = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "(not a name)";
		int h = 0;

		if (!is_one_of(hook, able))
			return refuse(s, "%s.lua: memo.%s: it is for admit, resolve, filter and plan", e->name, hook);
		while (strcmp(hook_names[h], hook))
			h++;
		if (memo_make(s, e, (enum hook)h))
			return -1;
		lua_settop(L, decl + 2);
	}
	lua_settop(L, decl);
	return 0;
}

void memo_view(struct policy_state *s, const struct memo *m)
{
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, m->views[OF_REQ]);
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
		for (int h = 0; h < HOOK_COUNT; h++)
			if (s->entries[i].memo[h])
				slots_free(s->entries[i].memo[h]);
	for (size_t i = 0; i < s->n_reasons; i++) {
		free(s->reasons[i].code);
		free(s->reasons[i].by);
	}
	s->n_reasons = 0;
}

/* ---- slots: one for each combination of values */

/* Behind its length; false: there is no room. */
static bool add_image(const struct field *f, const void *thing, char out[static KEY_BYTES], size_t *len)
{
	int n = *len + 2 < KEY_BYTES ? field_image(f, thing, out + *len + 1, KEY_BYTES - *len - 1) : -1;

	if (n < 0 || n > 255)
		return false;
	out[*len] = (char)n;
	*len += (size_t)n + 1;
	return true;
}

/* 0: too long.  The prefs of who asks for nothing are a byte. */
static size_t key_make(const struct memo *m, const struct facts *f, char out[static KEY_BYTES])
{
	bool room = true, asks = m->prefs && !prefs_usual(&f->prefs);
	size_t len = 1;

	*out = asks;
	for (size_t i = 0; i < m->n && room; i++)
		room = add_image(m->parts[i].field, base_of(f, m->parts[i].base), out, &len);
	for (const struct field *p = prefs_fields; asks && p->name && room; p++)
		room = add_image(p, &f->prefs, out, &len);
	return room ? len : 0;
}

/* Where the values are kept; or, to keep them, the place of those that were not asked for longest. */
static struct slot *slot_find(struct policy_state *s, struct memo *m, const char *key, size_t len, bool make)
{
	uint64_t hash = hash64(key, len, 11);
	size_t row = m->each ? s->n_slot : 1;
	struct slot *oldest = NULL;

	if (!m->n_slots)
		m->n_slots = row * SLOTS_MAX <= MEMO_BYTES ? SLOTS_MAX : MEMO_BYTES / row > SLOTS_MIN ? MEMO_BYTES / row : SLOTS_MIN;
	for (size_t i = 0; i < WAYS; i++) {
		struct slot *slot = &m->slots[(hash + i) % m->n_slots];

		if (slot->hash == hash && slot->len == len && !memcmp(slot->key, key, len)) {
			slot->used = ++m->ticks;
			return slot;
		}
		if (!oldest || slot->used < oldest->used)
			oldest = slot;
	}
	if (!make || (!oldest->verdicts && !(oldest->verdicts = malloc(row))))
		return NULL;
	memset(oldest->verdicts, UNASKED, row);
	oldest->hash = hash;
	oldest->len = len;
	oldest->used = ++m->ticks;
	memcpy(oldest->key, key, len);
	return oldest;
}

static struct slot *slot_of(struct policy_state *s, struct decision *d, struct memo *m, bool make)
{
	char key[KEY_BYTES];
	size_t len;

	if (m->stamp == d->stamp && (m->now || !make))
		return m->now;
	len = key_make(m, &d->facts, key);
	m->now = len ? slot_find(s, m, key, len, make) : NULL;
	m->stamp = d->stamp;
	return m->now;
}

unsigned memo_look(struct policy_state *s, struct decision *d, struct memo *m, size_t at)
{
	struct slot *slot = s->remembers && at < (m->each ? s->n_slot : 1) ? slot_of(s, d, m, false) : NULL;

	return slot ? slot->verdicts[at] : UNASKED;
}

void memo_keep(struct policy_state *s, struct decision *d, struct memo *m, size_t at, unsigned verdict)
{
	struct slot *slot = !s->impure && s->remembers && at < (m->each ? s->n_slot : 1) ? slot_of(s, d, m, true) : NULL;

	if (slot)
		slot->verdicts[at] = (unsigned char)verdict;
}

void memo_false(struct policy_state *s, struct decision *d, const struct entry *e)
{
	char said[160];

	if (!s->costs || !s->read)
		return;
	snprintf(said, sizeof(said), "memo.filter does not name %s%s%s, which the filter reads", s->read_of, *s->read_of ? "." : "", s->read);
	hook_note(d, HOOK_FILTER, e, "error: %s", said);
}

unsigned reason_number(struct policy_state *s, const struct verdict *v)
{
	struct why *r;
	size_t i = 0;

	while (i < s->n_reasons && (strcmp(s->reasons[i].code, v->why) || strcmp(s->reasons[i].by, v->by)))
		i++;
	if (i < s->n_reasons)
		return (unsigned)i + REASON;
	if (i == REASONS_MAX || (!s->reasons && !(s->reasons = calloc(REASONS_MAX, sizeof(*s->reasons)))))
		return UNASKED;
	r = &s->reasons[i];
	*r = (struct why){ strdup(v->why), strdup(v->by) };
	if (!r->code || !r->by) {
		free(r->code);
		free(r->by);
		return UNASKED;
	}
	s->n_reasons++;
	return (unsigned)i + REASON;
}
