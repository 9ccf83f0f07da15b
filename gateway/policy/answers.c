/*
 * What hooks give back, taken from the stack field by field.  A field that is
 * not what it should be makes the whole answer nonsense: half of a policy's
 * wish is nobody's wish.
 */
#include <math.h>
#include "policy/state.h"

/* An answer is read outside of any call, where an error would be the end of the
 * process: so no metamethod runs, whatever objects of ours are in it. */
int answer_field(lua_State *L, int i, const char *name)
{
	int type;

	if (lua_istable(L, i))		/* of the policy's making, without a metatable */
		return lua_getfield(L, i, name);
	bare_push(L, i);
	lua_pushstring(L, name);
	type = lua_rawget(L, -2);
	lua_remove(L, -2);
	return type;
}

static int read_number(lua_State *L, int i, const char *name, uint64_t max, uint64_t *out)
{
	int type = answer_field(L, i, name), rc = 0;
	lua_Integer n = lua_tointeger(L, -1);

	if (type != LUA_TNIL) {
		if (!lua_isinteger(L, -1) || n < 0)
			rc = -1;
		else
			*out = (uint64_t)n < max ? (uint64_t)n : max;
	}
	lua_pop(L, 1);
	return rc;
}

static int read_text(lua_State *L, int i, const char *name, struct pool *p, struct mg_str *out)
{
	int type = answer_field(L, i, name), rc = 0;
	size_t len;
	const char *text;

	if (type != LUA_TNIL) {
		text = type == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
		if (!text || !(*out = pool_dup(p, (struct mg_str){ text, len })).at)
			rc = -1;
	}
	lua_pop(L, 1);
	return rc;
}

static int read_bool(lua_State *L, int i, const char *name, bool *out)
{
	int type = answer_field(L, i, name);

	if (type != LUA_TNIL)
		*out = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return type == LUA_TNIL || type == LUA_TBOOLEAN ? 0 : -1;
}

int words_read(lua_State *L, int i, struct pool *p, struct words *out)
{
	int top = lua_gettop(L);
	struct mg_str *at;
	lua_Integer n;

	if (!table_at(L, i))
		return -1;
	bare_push(L, i);
	n = (lua_Integer)lua_rawlen(L, -1);
	if (n > 1024 || !(at = pool_alloc(p, sizeof(*at) * ((size_t)n + 1))))
		n = -1;
	for (lua_Integer k = 1; k <= n; k++) {
		size_t len;
		const char *text = lua_rawgeti(L, top + 1, k) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;

		if (text)
			at[k - 1] = pool_dup(p, (struct mg_str){ text, len });
		lua_pop(L, 1);
		if (!text || !at[k - 1].at)
			n = -1;
	}
	lua_settop(L, top);
	if (n < 0)
		return -1;
	*out = (struct words){ at, (size_t)n };
	return 0;
}

static int read_words(lua_State *L, int i, const char *name, struct pool *p, struct words *out, bool *given)
{
	int rc = 0;

	*given = answer_field(L, i, name) != LUA_TNIL;
	if (*given)
		rc = words_read(L, lua_gettop(L), p, out);
	lua_pop(L, 1);
	return rc;
}

static bool among(const struct words *w, struct mg_str s)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->at[i].len == s.len && !memcmp(w->at[i].at, s.at, s.len))
			return true;
	return false;
}

/* Both lists hold: what is in both; none in both allows nobody, not everybody. */
static int narrow(struct words *only, const struct words *more, struct pool *p)
{
	static const struct mg_str nobody[1] = { { "(none)", 6 } };
	struct mg_str *at = pool_alloc(p, sizeof(*at) * (more->n + 1));
	size_t n = 0;

	if (!at)
		return -1;
	for (size_t i = 0; i < more->n; i++)
		if (!only->n || among(only, more->at[i]))
			at[n++] = more->at[i];
	*only = n ? (struct words){ at, n } : (struct words){ nobody, 1 };
	return 0;
}

static int widen(struct words *all, const struct words *more, struct pool *p)
{
	struct mg_str *at = pool_alloc(p, sizeof(*at) * (all->n + more->n + 1));
	size_t n = all->n;

	if (!at)
		return -1;
	if (n)
		memcpy(at, all->at, n * sizeof(*at));
	for (size_t i = 0; i < more->n; i++)
		if (!among(all, more->at[i]))
			at[n++] = more->at[i];
	*all = (struct words){ at, n };
	return 0;
}

static int lists_tighten(lua_State *L, int i, struct decision *d)
{
	struct prefs *p = &d->facts.prefs;
	struct words w;
	bool given;

	if (read_words(L, i, "only", d->pool, &w, &given) || (given && w.n && narrow(&p->only, &w, d->pool)))
		return -1;
	if (read_words(L, i, "ignore", d->pool, &w, &given) || (given && widen(&p->ignore, &w, d->pool)))
		return -1;
	if (read_words(L, i, "guards", d->pool, &w, &given) || (given && widen(&p->guards, &w, d->pool)))
		return -1;
	if (read_words(L, i, "order", d->pool, &p->order, &given))
		return -1;
	return read_words(L, i, "quantizations", d->pool, &p->quantizations, &given);
}

static int read_cut(lua_State *L, int i, const char *name, struct number *out, bool tighten)
{
	int type = answer_field(L, i, name);
	double x = lua_tonumber(L, -1);

	lua_pop(L, 1);
	if (type == LUA_TNIL)
		return 0;
	if (type != LUA_TNUMBER || !isfinite(x) || x < 0)
		return -1;
	if (!tighten || !out->set || x < out->n)
		*out = (struct number){ true, x };
	return 0;
}

static int cuts_read(lua_State *L, int i, const char *name, struct number out[4])
{
	static const char *const names[4] = { "p50", "p75", "p90", "p99" };
	int rc = 0, type = answer_field(L, i, name);

	if (type != LUA_TNIL && !table_at(L, -1))
		rc = -1;
	for (int k = 0; type != LUA_TNIL && !rc && k < 4; k++)
		rc = read_cut(L, lua_gettop(L), names[k], &out[k], false);
	lua_pop(L, 1);
	return rc;
}

static int price_tighten(lua_State *L, int i, struct prefs *p)
{
	int rc = 0, type = answer_field(L, i, "max_price"), at = lua_gettop(L);

	if (type != LUA_TNIL)
		rc = !table_at(L, at) || read_cut(L, at, "prompt", &p->max_prompt, true) ||
			read_cut(L, at, "completion", &p->max_completion, true) ||
			read_cut(L, at, "request", &p->max_request, true) || read_cut(L, at, "image", &p->max_image, true) ? -1 : 0;
	lua_pop(L, 1);
	return rc;
}

/* Protections only tighten; the rest is replaced. */
int prefs_tighten(lua_State *L, int i, struct decision *d)
{
	struct prefs *p = &d->facts.prefs;
	struct mg_str collection = { NULL, 0 };
	bool zdr = false;

	if (!table_at(L, i) || lists_tighten(L, i, d) || price_tighten(L, i, p))
		return -1;
	if (read_bool(L, i, "zdr", &zdr) || read_text(L, i, "data_collection", d->pool, &collection) ||
	    read_bool(L, i, "allow_fallbacks", &p->allow_fallbacks) ||
	    read_bool(L, i, "require_parameters", &p->require_parameters) || read_bool(L, i, "distillable", &p->distillable))
		return -1;
	p->zdr |= zdr;
	p->deny_data_collection |= mg_is(collection, "deny");
	if (cuts_read(L, i, "max_latency_s", p->latency_s) || cuts_read(L, i, "min_throughput_tps", p->throughput_tps))
		return -1;
	return read_text(L, i, "sort_by", d->pool, &p->sort_by) || read_text(L, i, "partition", d->pool, &p->partition) ||
		read_text(L, i, "service_tier", d->pool, &p->service_tier) ? -1 : 0;
}

static int read_hedge(lua_State *L, int i, struct plan *p)
{
	uint64_t extra = 1;

	if (!table_at(L, i) || read_number(L, i, "after_ms", 600000, &p->hedge_after_ms) || read_number(L, i, "max_extra", 2, &extra))
		return -1;
	p->hedge_extra = (unsigned)extra;
	return 0;
}

/* Without a key: the request's session. */
static int read_sticky(lua_State *L, int i, struct decision *d)
{
	uint64_t ttl = d->plan.sticky_ttl_s;
	struct mg_str key = d->facts.session;

	if (!table_at(L, i) || read_text(L, i, "key", d->pool, &key) || read_number(L, i, "ttl_s", 30 * 86400, &ttl))
		return -1;
	d->plan.sticky_key = key;
	d->plan.sticky_ttl_s = ttl;
	return 0;
}

/* The value of a plan's member, at the top. */
static int plan_member(lua_State *L, const char *name, struct decision *d)
{
	static const struct { const char *name; size_t at; uint64_t max; } times[] = {
		{ "deadline_ms", offsetof(struct plan, deadline_ms), 3600000 }, { "connect_timeout_ms", offsetof(struct plan, connect_ms), 600000 },
		{ "ttft_timeout_ms", offsetof(struct plan, first_output_ms), 3600000 }, { "idle_timeout_ms", offsetof(struct plan, idle_ms), 3600000 } };
	struct plan *p = &d->plan;
	lua_Integer n = lua_tointeger(L, -1);
	uint64_t value;

	if (!strcmp(name, "sticky"))
		return read_sticky(L, lua_gettop(L), d);
	if (!strcmp(name, "hedge"))
		return read_hedge(L, lua_gettop(L), p);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (!strcmp(name, times[i].name)) {
			value = (uint64_t)n < times[i].max ? (uint64_t)n : times[i].max;
			memcpy((char *)p + times[i].at, &value, sizeof(value));
			return lua_isinteger(L, -1) && n >= 0 ? 0 : -1;
		}
	if (!strcmp(name, "max_attempts"))
		p->attempts = n < 6 ? (unsigned)n : 6;
	else if (!strcmp(name, "max_attempts_per_model"))
		p->attempts_per_model = n < 3 ? (unsigned)n : 3;
	else if (!strcmp(name, "max_charge_nusd"))
		p->max_charge_nusd = n;
	else
		return -1;
	return lua_isinteger(L, -1) && n >= 0 ? 0 : -1;
}

/* Later policies overwrite field by field; the hard limits stand. */
int plan_read(lua_State *L, int i, struct decision *d, char wrong[static NAME_BYTES])
{
	struct plan before = d->plan;
	int top = lua_gettop(L), rc = 0;

	*wrong = '\0';
	if (!table_at(L, i))
		return -1;
	bare_push(L, i);
	lua_pushnil(L);
	while (lua_next(L, top + 1)) {
		const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "1";

		if (plan_member(L, name, d) && (!rc || strcmp(name, wrong) < 0)) {	/* of several the same one each time */
			snprintf(wrong, NAME_BYTES, "%s", name);
			rc = -1;
		}
		lua_pop(L, 1);
	}
	lua_settop(L, top);
	if (rc)
		d->plan = before;
	return rc;
}

/* A name that is no sink's is a mistake, not a sink that is left out: its author means to allow one. */
static int sinks_take(const struct words *names, unsigned *sinks)
{
	unsigned out = 0;

	for (size_t i = 0; i < names->n; i++) {
		unsigned k = 0;

		while (k < SINKS && !mg_is(names->at[i], sink_names[k]))
			k++;
		if (k == SINKS)
			return -1;
		out |= 1u << k;
	}
	*sinks = out;
	return 0;
}

int keep_read(lua_State *L, int i, struct pool *p, struct keep *out)
{
	struct words names = { NULL, 0 };
	bool listed, found = false;
	const char *store;

	if (!table_at(L, i) || read_number(L, i, "ttl_s", INT64_MAX, &out->ttl_s) || read_bool(L, i, "cache", &out->cache) ||
	    read_words(L, i, "sinks", p, &names, &listed) || (listed && sinks_take(&names, &out->sinks)))
		return -1;
	answer_field(L, i, "store");
	store = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
	for (enum keep_level k = KEEP_NONE; k < KEEP_LEVELS; k++)
		if (!strcmp(store, keep_names[k])) {
			out->store = k;
			found = true;
		}
	lua_pop(L, 1);
	return found ? 0 : -1;
}

int denial_read(lua_State *L, int i, struct denial *out)
{
	uint64_t status = 0, after = 0, limit = 0;
	bool deny = false;

	if (!table_at(L, i) || read_bool(L, i, "deny", &deny) || !deny)
		return -1;
	if (read_number(L, i, "status", 599, &status) || status < 400 || read_number(L, i, "retry_after_s", 86400 * 31, &after)
	    || read_number(L, i, "limit", INT64_MAX / 2, &limit))
		return -1;
	answer_field(L, i, "code");
	answer_field(L, i, "message");
	out->status = (int)status;
	out->retry_after_s = (unsigned)after;
	out->limit = limit;
	snprintf(out->code, sizeof(out->code), "%s", lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "denied");
	snprintf(out->message, sizeof(out->message), "%s", lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "Denied by a policy");
	lua_pop(L, 2);
	return 0;
}

int action_read(lua_State *L, int i, struct pool *p, struct action *out)
{
	struct mg_str what = { NULL, 0 }, skip = { NULL, 0 };

	if (!table_at(L, i) || read_text(L, i, "action", p, &what) || read_text(L, i, "skip", p, &skip) ||
	    read_number(L, i, "delay_ms", 60000, &out->after_ms) || read_text(L, i, "model", p, &out->model))
		return -1;
	out->skip = mg_is(skip, "model") ? SKIP_MODEL : mg_is(skip, "provider") ? SKIP_PROVIDER : SKIP_NOTHING;
	if (skip.at && out->skip == SKIP_NOTHING)
		return -1;
	if (mg_is(what, "next"))
		out->what = ACT_NEXT;
	else if (mg_is(what, "retry"))
		out->what = ACT_RETRY;
	else if (mg_is(what, "model") && out->model.at)
		out->what = ACT_MODEL;
	else if (mg_is(what, "stop"))
		out->what = ACT_STOP;
	else
		return -1;
	return 0;
}

/* ---- shape */

static bool may_shape(const char *name)
{
	static const char *const names[] = { "max_tokens", "temperature", "reasoning", "verbosity", "service_tier", "store", "user",
		"metadata", "seed", "stop", "logit_bias", "parallel_tool_calls" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static json_t *to_json(lua_State *L, int i, int depth);

static json_t *list_json(lua_State *L, int i, lua_Integer n, int depth)
{
	json_t *list = json_array();

	for (lua_Integer k = 1; list && k <= n; k++) {
		json_t *item;

		lua_rawgeti(L, i, k);
		item = to_json(L, lua_gettop(L), depth + 1);
		lua_pop(L, 1);
		if (!item || json_array_append_new(list, item)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *object_json(lua_State *L, int i, int depth)
{
	json_t *object = json_object();

	lua_pushnil(L);
	while (object && lua_next(L, i)) {
		json_t *value = lua_type(L, -2) == LUA_TSTRING ? to_json(L, lua_gettop(L), depth + 1) : NULL;

		if (!value || json_object_set_new(object, lua_tostring(L, -2), value)) {
			lua_pop(L, 2);
			json_decref(object);
			return NULL;
		}
		lua_pop(L, 1);
	}
	return object;
}

static json_t *to_json(lua_State *L, int i, int depth)
{
	json_t *out = NULL;

	if (depth > 8 || !lua_checkstack(L, 8))
		return NULL;
	switch (lua_type(L, i)) {
	case LUA_TBOOLEAN: return json_boolean(lua_toboolean(L, i));
	case LUA_TSTRING: return json_stringn(lua_tostring(L, i), lua_rawlen(L, i));
	case LUA_TNUMBER: return lua_isinteger(L, i) ? json_integer(lua_tointeger(L, i)) : json_real(lua_tonumber(L, i));
	case LUA_TUSERDATA:
		bare_push(L, i);
		out = to_json(L, lua_gettop(L), depth);
		lua_pop(L, 1);
		return out;
	case LUA_TTABLE:
		return lua_rawlen(L, i) ? list_json(L, i, (lua_Integer)lua_rawlen(L, i), depth) : object_json(L, i, depth);
	default: return NULL;
	}
}

static struct mg_str json_of(lua_State *L, int i, struct pool *p)
{
	json_t *value = to_json(L, i, 0);
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;
	struct mg_str out = { NULL, 0 };

	if (text)
		out = pool_dup(p, (struct mg_str){ text, strlen(text) });
	free(text);
	json_decref(value);
	return out;
}

/* A later policy's word about a member takes the place of an earlier one's. */
static int edit(struct shape *out, struct pool *p, const char *name, struct mg_str value)
{
	size_t i = 0;

	if (!may_shape(name))
		return -1;
	while (i < out->n && !mg_is(out->edits[i].name, name))
		i++;
	if (i == sizeof(out->edits) / sizeof(out->edits[0]))
		return -1;
	out->edits[i].name = pool_dup(p, (struct mg_str){ name, strlen(name) });
	out->edits[i].value = value;
	if (i == out->n)
		out->n++;
	return out->edits[i].name.at ? 0 : -1;
}

static int sets_read(lua_State *L, int i, struct decision *d, struct shape *out)
{
	int rc = 0;

	lua_pushnil(L);
	while (!rc && lua_next(L, i)) {
		struct mg_str value = lua_type(L, -2) == LUA_TSTRING ? json_of(L, lua_gettop(L), d->pool) : (struct mg_str){ NULL, 0 };

		rc = value.at ? edit(out, d->pool, lua_tostring(L, -2), value) : -1;
		lua_pop(L, rc ? 2 : 1);
	}
	return rc;
}

static int by_name(const void *a, const void *b)
{
	const struct mg_str *x = &((const struct shape_edit *)a)->name, *y = &((const struct shape_edit *)b)->name;

	return strcmp(x->at ? x->at : "", y->at ? y->at : "");
}

int shape_read(lua_State *L, int i, struct decision *d, struct shape *out)
{
	int top = lua_gettop(L), rc = 0;
	struct words drops = { NULL, 0 };
	bool given;

	if (!lua_istable(L, i))
		return -1;
	if (answer_field(L, i, "set") != LUA_TNIL)
		rc = lua_istable(L, -1) ? sets_read(L, lua_gettop(L), d, out) : -1;
	if (!rc)
		rc = read_words(L, i, "drop", d->pool, &drops, &given);
	for (size_t k = 0; !rc && k < drops.n; k++)
		rc = edit(out, d->pool, drops.at[k].at, (struct mg_str){ NULL, 0 });
	qsort(out->edits, out->n, sizeof(out->edits[0]), by_name);	/* a table has no order of its own */
	lua_settop(L, top);
	return rc;
}
