/*
 * What hooks give back, taken from the stack field by field.  A field that is
 * not what it should be makes the whole answer nonsense: half of a policy's
 * wish is nobody's wish.
 */
#include <math.h>
#include <stdarg.h>
#include "base/config.h"
#include "base/utf8.h"
#include "policy/fields.h"

/* ---- what is wrong with it */

/* The first finding counts. */
int answer_odd(lua_State *L, const char *fmt, ...)
{
	struct policy_state *s = state_of(L);
	va_list args;

	va_start(args, fmt);
	if (!*s->wrong)
		vsnprintf(s->wrong, sizeof(s->wrong), fmt, args);
	va_end(args);
	return -1;
}

void answer_begin(struct policy_state *s)
{
	*s->wrong = '\0';
}

const char *answer_wrong(struct policy_state *s, const char *otherwise)
{
	if (!*s->wrong)
		return otherwise;
	snprintf(s->error, sizeof(s->error), "%s", s->wrong);	/* a policy's own word: there it is logged where that may be */
	return s->error;
}

static const char *nth_word(const void *arg, size_t i)
{
	return ((const char *const *)arg)[i];
}

/* A wish that is not heard must not look granted. */
int answer_only(lua_State *L, int i, const char *what, const char *const *names)
{
	int top = lua_gettop(L);
	char odd[NAME_BYTES] = "";
	bool found = false;
	char hint[MEANT_BYTES];

	bare_push(L, i);
	lua_pushnil(L);
	while (lua_next(L, top + 1)) {
		const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "1";

		if (!is_one_of(name, names) && (!found || strcmp(name, odd) < 0)) {	/* of several the same one each time */
			snprintf(odd, sizeof(odd), "%s", name);
			found = true;
		}
		lua_pop(L, 1);
	}
	lua_settop(L, top);
	if (!found)
		return 0;
	return answer_odd(L, "%s has no member '%s'%s", what, odd, meant(config_nearest(odd, nth_word, names), hint));
}

/* ---- single members */

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
			rc = answer_odd(L, "%s must be a whole number from 0 on", name);
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
			rc = answer_odd(L, "%s must be a string", name);
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
	return type == LUA_TNIL || type == LUA_TBOOLEAN ? 0 : answer_odd(L, "%s must be true or false", name);
}

/* One of these words, of which the list of choices is made for whoever wrote another. */
static int read_word(lua_State *L, int i, const char *name, struct pool *p, const char *const *words, struct mg_str *out)
{
	struct mg_str said = { NULL, 0 };
	char list[100] = "";

	if (read_text(L, i, name, p, &said))
		return -1;
	if (said.at && !is_one_of(said.at, words)) {
		for (size_t n = 0; *words; words++)
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s\"%s\"", n ? ", " : "", *words);
		return answer_odd(L, "%s must be one of %s", name, list);
	}
	if (said.at)
		*out = said;
	return 0;
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

int words_named(lua_State *L, int i, const char *name, struct pool *p, struct words *out, bool *given)
{
	int rc = 0;

	*given = answer_field(L, i, name) != LUA_TNIL;
	if (*given && words_read(L, lua_gettop(L), p, out))
		rc = answer_odd(L, "%s must be a list of strings", name);
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

	if (words_named(L, i, "only", d->pool, &w, &given) || (given && w.n && narrow(&p->only, &w, d->pool)))
		return -1;
	if (words_named(L, i, "ignore", d->pool, &w, &given) || (given && widen(&p->ignore, &w, d->pool)))
		return -1;
	if (words_named(L, i, "guards", d->pool, &w, &given))
		return -1;
	if (given && w.n)	/* whoever relies on one must not believe that it runs */
		return answer_odd(L, "prefs.guards: this gateway has no content guardrails");
	if (words_named(L, i, "order", d->pool, &p->order, &given))
		return -1;
	return words_named(L, i, "quantizations", d->pool, &p->quantizations, &given);
}

static int read_cut(lua_State *L, int i, const char *of, const char *name, struct number *out, bool tighten)
{
	int type = answer_field(L, i, name);
	double x = lua_tonumber(L, -1);

	lua_pop(L, 1);
	if (type == LUA_TNIL)
		return 0;
	if (type != LUA_TNUMBER || !isfinite(x) || x < 0)
		return answer_odd(L, "%s.%s must be a number from 0 on", of, name);
	if (!tighten || !out->set || x < out->n)
		*out = (struct number){ true, x };
	return 0;
}

/* Numbers in a row, by their names in a table. */
struct row { const char *name, *such; const char *const *names; size_t at; bool tighten; };

static int read_row(lua_State *L, int i, const struct row *f, struct prefs *p)
{
	struct number *out = (struct number *)(void *)((char *)p + f->at);
	int rc = 0, type = answer_field(L, i, f->name), at = lua_gettop(L);

	if (type != LUA_TNIL)
		rc = table_at(L, at) ? answer_only(L, at, f->name, f->names) : answer_odd(L, "%s must be a table, such as { %s }", f->name, f->such);
	for (int k = 0; type != LUA_TNIL && !rc && f->names[k]; k++)
		rc = read_cut(L, at, f->name, f->names[k], &out[k], f->tighten);
	lua_pop(L, 1);
	return rc;
}

static int cuts_tighten(lua_State *L, int i, struct prefs *p)
{
	static const struct row rows[] = { { "max_price", "prompt = 1.0", price_names, offsetof(struct prefs, max_prompt), true },
		{ "max_latency_s", "p90 = 1.5", pct_names, offsetof(struct prefs, latency_s), false },
		{ "min_throughput_tps", "p90 = 1.5", pct_names, offsetof(struct prefs, throughput_tps), false } };
	int rc = 0;

	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]) && !rc; k++)
		rc = read_row(L, i, &rows[k], p);
	return rc;
}

enum { PREFS_MAX = 32 };

/* Protections only tighten; the rest is replaced. */
int prefs_tighten(lua_State *L, int i, struct decision *d)
{
	static const char *const collections[] = { "allow", "deny", NULL }, *const sorts[] = { "", "price", "throughput", "latency", "exacto", NULL },
		*const partitions[] = { "model", "none", NULL }, *const tiers[] = { "", "default", "priority", "flex", NULL };
	const char *names[PREFS_MAX + 1];
	struct prefs *p = &d->facts.prefs;
	struct mg_str collection = { NULL, 0 };
	bool zdr = false;

	if (!table_at(L, i))
		return answer_odd(L, "prefs must be a table");
	fields_names(prefs_fields, names, PREFS_MAX);
	if (answer_only(L, i, "prefs", names) || lists_tighten(L, i, d) || cuts_tighten(L, i, p))
		return -1;
	if (read_bool(L, i, "zdr", &zdr) || read_word(L, i, "data_collection", d->pool, collections, &collection) ||
	    read_bool(L, i, "allow_fallbacks", &p->allow_fallbacks) ||
	    read_bool(L, i, "require_parameters", &p->require_parameters) || read_bool(L, i, "distillable", &p->distillable))
		return -1;
	p->zdr |= zdr;
	p->deny_data_collection |= mg_is(collection, "deny");
	return read_word(L, i, "sort_by", d->pool, sorts, &p->sort_by) || read_word(L, i, "partition", d->pool, partitions, &p->partition) ||
		read_word(L, i, "service_tier", d->pool, tiers, &p->service_tier) ? -1 : 0;
}

static int read_hedge(lua_State *L, int i, struct plan *p)
{
	static const char *const names[] = { "after_ms", "max_extra", NULL };
	uint64_t extra = 1;

	if (!table_at(L, i))
		return answer_odd(L, "plan.hedge must be a table, such as { after_ms = 900 }");
	if (answer_only(L, i, "plan.hedge", names) || read_number(L, i, "after_ms", 600000, &p->hedge_after_ms) || read_number(L, i, "max_extra", 2, &extra))
		return -1;
	p->hedge_extra = (unsigned)extra;
	return 0;
}

/* Without a key: the request's session. */
static int read_sticky(lua_State *L, int i, struct decision *d)
{
	static const char *const names[] = { "key", "ttl_s", NULL };
	uint64_t ttl = d->plan.sticky_ttl_s;
	struct mg_str key = d->facts.session;

	if (!table_at(L, i))
		return answer_odd(L, "plan.sticky must be a table, such as { key = req.session, ttl_s = 600 }");
	if (answer_only(L, i, "plan.sticky", names) || read_text(L, i, "key", d->pool, &key) || read_number(L, i, "ttl_s", STICKY_MAX_S, &ttl))
		return -1;
	d->plan.sticky_key = key;
	d->plan.sticky_ttl_s = ttl;
	return 0;
}

/* Negative ones are told, and the plan is given up. */
static int plan_number(lua_State *L, const char *name, uint64_t max, uint64_t *out)
{
	lua_Integer n = lua_tointeger(L, -1);

	if (!lua_isinteger(L, -1) || n < 0)
		return answer_odd(L, "plan.%s must be a whole number from 0 on", name);
	*out = (uint64_t)n < max ? (uint64_t)n : max;
	return 0;
}

/* The value of a plan's member, at the top. */
static int plan_member(lua_State *L, const char *name, struct decision *d)
{
	static const struct { const char *name; size_t at; uint64_t max; } times[] = {
		{ "deadline_ms", offsetof(struct plan, deadline_ms), 3600000 }, { "connect_timeout_ms", offsetof(struct plan, connect_ms), 600000 },
		{ "ttft_timeout_ms", offsetof(struct plan, first_output_ms), 3600000 }, { "idle_timeout_ms", offsetof(struct plan, idle_ms), 3600000 } };
	struct plan *p = &d->plan;
	uint64_t value = 0;

	if (!strcmp(name, "sticky"))
		return read_sticky(L, lua_gettop(L), d);
	if (!strcmp(name, "hedge"))
		return read_hedge(L, lua_gettop(L), p);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (!strcmp(name, times[i].name)) {
			if (plan_number(L, name, times[i].max, &value))
				return -1;
			memcpy((char *)p + times[i].at, &value, sizeof(value));
			return 0;
		}
	if (plan_number(L, name, INT64_MAX, &value))
		return -1;
	if (!strcmp(name, "max_attempts"))
		p->attempts = value < 6 ? (unsigned)value : 6;
	else if (!strcmp(name, "max_attempts_per_model"))
		p->attempts_per_model = value < 3 ? (unsigned)value : 3;
	else if (!strcmp(name, "max_charge_nusd"))
		p->max_charge_nusd = (int64_t)value;
	else
		return -1;
	return 0;
}

/* Something in the plan is odd: in an order that is always the same, what? */
static int plan_odd(lua_State *L, int i, struct decision *d)
{
	static const char *const members[] = { "connect_timeout_ms", "deadline_ms", "hedge", "idle_timeout_ms", "max_attempts", "max_attempts_per_model",
		"max_charge_nusd", "sticky", "ttft_timeout_ms", NULL };

	answer_begin(state_of(L));
	if (answer_only(L, i, "plan", members))
		return -1;
	for (size_t k = 0; members[k]; k++) {
		if (answer_field(L, i, members[k]) != LUA_TNIL)
			plan_member(L, members[k], d);
		lua_pop(L, 1);
	}
	return -1;
}

/* Later policies overwrite field by field; the hard limits stand. */
int plan_read(lua_State *L, int i, struct decision *d)
{
	struct plan before = d->plan;
	int top = lua_gettop(L), rc = 0;

	answer_begin(state_of(L));
	if (!table_at(L, i))
		return -1;
	bare_push(L, i);
	lua_pushnil(L);
	while (lua_next(L, top + 1)) {
		if (lua_type(L, -2) != LUA_TSTRING || plan_member(L, lua_tostring(L, -2), d))
			rc = -1;
		lua_pop(L, 1);
	}
	lua_settop(L, top);
	if (rc)
		rc = plan_odd(L, i, d);
	if (rc)
		d->plan = before;
	return rc;
}

/* A name that is no sink's is a mistake, not a sink that is left out: its author means to allow one. */
static int sinks_take(lua_State *L, const struct words *names, unsigned *sinks)
{
	unsigned out = 0;

	for (size_t i = 0; i < names->n; i++) {
		unsigned k = 0;

		while (k < SINKS && !mg_is(names->at[i], sink_names[k]))
			k++;
		if (k == SINKS)
			return answer_odd(L, "sinks has no '%.40s'", names->at[i].at);
		out |= 1u << k;
	}
	*sinks = out;
	return 0;
}

int keep_read(lua_State *L, int i, struct pool *p, struct keep *out)
{
	static const char *const members[] = { "store", "ttl_s", "cache", "sinks", NULL };
	struct words names = { NULL, 0 };
	bool listed, found = false;
	const char *store;

	answer_begin(state_of(L));
	if (!table_at(L, i) || answer_only(L, i, "what retain returns", members) || read_number(L, i, "ttl_s", INT64_MAX, &out->ttl_s) || read_bool(L, i, "cache", &out->cache) ||
	    words_named(L, i, "sinks", p, &names, &listed) || (listed && sinks_take(L, &names, &out->sinks)))
		return -1;
	answer_field(L, i, "store");
	store = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
	for (enum keep_level k = KEEP_NONE; k < KEEP_LEVELS; k++)
		if (!strcmp(store, keep_names[k])) {
			out->store = k;
			found = true;
		}
	lua_pop(L, 1);
	return found ? 0 : answer_odd(L, "store must be \"none\", \"metadata\", \"hashed\" or \"full\"");
}

/* ---- denials */

/* Words for a client: of one line, well-formed, cut between characters. */
void words_plain(const char *text, size_t len, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0, w; i < len; i += w) {
		w = utf8_char((const unsigned char *)text + i, len - i);
		if (n + (w ? w : 1) >= size)
			break;
		if (w > 1)
			memcpy(out + n, text + i, w);
		else
			out[n] = !w ? '?' : (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i];
		w = w ? w : 1;
		n += w;
	}
	out[n] = '\0';
}

static void words_said(lua_State *L, int i, const char *name, const char *otherwise, char *out, size_t size)
{
	const char *text = otherwise;
	size_t len = strlen(otherwise);

	if (answer_field(L, i, name) == LUA_TSTRING)
		text = lua_tolstring(L, -1, &len);
	words_plain(text, len, out, size);
	lua_pop(L, 1);
}

/* What deny{} has checked; 0 where the table was made by hand and has something else there. */
static uint64_t count_said(lua_State *L, int i, const char *name, uint64_t max)
{
	int type = answer_field(L, i, name);
	lua_Integer n = lua_tointeger(L, -1);

	lua_pop(L, 1);
	return type != LUA_TNUMBER || n < 0 ? 0 : (uint64_t)n < max ? (uint64_t)n : max;
}

/* Of what deny{} gave: no mistake in its smaller members lets the request pass. */
int denial_read(lua_State *L, int i, struct denial *out)
{
	uint64_t status;
	bool deny;

	answer_begin(state_of(L));
	if (!table_at(L, i))
		return -1;
	answer_field(L, i, "deny");
	deny = lua_isboolean(L, -1) && lua_toboolean(L, -1);
	lua_pop(L, 1);
	status = count_said(L, i, "status", 600);
	if (!deny || status < 400 || status > 599)
		return -1;
	out->status = (int)status;
	out->retry_after_s = (unsigned)count_said(L, i, "retry_after_s", 86400 * 31);
	out->limit = count_said(L, i, "limit", INT64_MAX / 2);
	words_said(L, i, "code", "denied", out->code, sizeof(out->code));
	words_said(L, i, "message", "Denied by a policy", out->message, sizeof(out->message));
	return 0;
}

int action_read(lua_State *L, int i, struct pool *p, struct action *out)
{
	static const char *const members[] = { "action", "skip", "delay_ms", "model", NULL }, *const skips[] = { "model", "provider", NULL };
	struct mg_str what = { NULL, 0 }, skip = { NULL, 0 };

	answer_begin(state_of(L));
	if (!table_at(L, i) || answer_only(L, i, "an action", members) || read_text(L, i, "action", p, &what) || read_word(L, i, "skip", p, skips, &skip) ||
	    read_number(L, i, "delay_ms", 60000, &out->after_ms) || read_text(L, i, "model", p, &out->model))
		return -1;
	out->skip = mg_is(skip, "model") ? SKIP_MODEL : mg_is(skip, "provider") ? SKIP_PROVIDER : SKIP_NOTHING;
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
