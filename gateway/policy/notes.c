/*
 * note() and log.*: what a policy says of a decision, for its record and for the operator.
 */
#include "base/log.h"
#include "policy/state.h"

/* note(fmt, ...): a line of the decision's record. */
static int l_note(lua_State *L)
{
	struct policy_state *s = state_of(L);
	struct decision *d = s->d;
	struct note *note;
	struct mg_str text;

	s->impure = true;	/* it is to be in each decision's record */
	format_push(L, lua_tocfunction(L, lua_upvalueindex(1)));
	if (!d || !s->entry || s->hook == HOOK_NONE || s->again)
		return 0;
	text = (struct mg_str){ lua_tostring(L, -1), lua_rawlen(L, -1) };
	text = pool_dup(d->pool, (struct mg_str){ text.at, text.len < 256 ? text.len : 256 });
	note = pool_alloc(d->pool, sizeof(*note));
	if (!text.at || !note)
		return 0;
	*note = (struct note){ hook_names[s->hook], s->entry->name, text.at, NULL };
	*d->notes_end = note;
	d->notes_end = &note->next;
	return 0;
}

static int log_say(lua_State *L, enum log_level level)
{
	struct policy_state *s = state_of(L);
	char line[257];
	const char *text = line;

	snprintf(line, sizeof(line), "%s", luaL_checkstring(L, 1));
	for (char *at = line; *at; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
	s->impure = true;
	if (s->d && !permits(keep_permit(&s->d->keep, SINK_LOG, 0), SINK_LOG, KEEP_METADATA))
		text = "(what it says is not kept)";
	if (!s->testing && !s->replaying && s->entry && !s->again)
		log_at(level, EV_POLICY_LOG, NULL, LOG_S("policy", s->entry->name), LOG_S("text", text));
	return 0;
}

static int log_info(lua_State *L) { return log_say(L, LOG_INFO); }
static int log_warn(lua_State *L) { return log_say(L, LOG_WARN); }

void notes_open(lua_State *L, int names)
{
	static const luaL_Reg logs[] = { { "info", log_info }, { "warn", log_warn }, { NULL, NULL } };

	group_open(L, names, "log", logs);
	lua_getfield(L, names, "string");
	lua_getfield(L, -1, "format");
	lua_getupvalue(L, -1, 1);
	lua_pushcclosure(L, l_note, 1);
	lua_setfield(L, names, "note");
	lua_pop(L, 2);
}
