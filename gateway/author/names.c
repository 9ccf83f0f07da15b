/*
 * Names that a file reads and nobody gives, found without running it: the
 * file is compiled, and the compiler's own output read back.  There a global is
 * an instruction on the upvalue that is the environment, whatever locals are
 * called, so nothing needs to be parsed twice.
 *
 * The format is that of Lua 5.4; what is not understood is passed over, since a
 * name that is missing is an error when it is read, too.
 */
#include "author/tools.h"
#include "base/buf.h"

enum { OP_SETUPVAL = 10, OP_GETTABUP = 11, OP_GETFIELD = 14, OP_SETTABUP = 15, K_SHORT = 0x04, K_LONG = 0x14, K_INTEGER = 0x03, K_FLOAT = 0x13, CONSTANTS_MAX = 256,
	UPVALUES_MAX = 255, NEST_MAX = 200 };

struct reader { const unsigned char *at, *end; bool bad; };
struct scan { struct policy_state *s; const char *file; int names; void (*say)(void *arg, const char *line); void *arg; int found;
	const char *hook; int fn, at; };		/* of one function alone, on the stack at fn, that the hook calls */
/* outer: which upvalue of the outermost function each upvalue is, counted from 1; 0: a local inside. */
struct function { const unsigned char *code; size_t n_code; struct mg_str constants[CONSTANTS_MAX]; bool env[UPVALUES_MAX]; unsigned char outer[UPVALUES_MAX];
	const signed char *lines; size_t n_lines; int first; struct reader abs; size_t n_abs; };

static const unsigned char *take(struct reader *r, size_t n)
{
	const unsigned char *at = r->at;

	if (r->bad || n > (size_t)(r->end - r->at)) {
		r->bad = true;
		return NULL;
	}
	r->at += n;
	return at;
}

static unsigned byte(struct reader *r)
{
	const unsigned char *at = take(r, 1);

	return at ? *at : 0;
}

/* Seven bits a byte, the last one marked. */
static size_t size(struct reader *r)
{
	size_t n = 0;
	unsigned b;

	do {
		b = byte(r);
		n = n << 7 | (b & 0x7f);
	} while (!r->bad && !(b & 0x80) && n < SIZE_MAX >> 8);
	return n;
}

static struct mg_str text(struct reader *r)
{
	size_t n = size(r);
	const unsigned char *at = n > 1 ? take(r, n - 1) : NULL;

	return (struct mg_str){ (const char *)at, at ? n - 1 : 0 };
}

/* ---- a function */

static void constants(struct reader *r, struct function *f)
{
	size_t n = size(r);

	for (size_t i = 0; i < n && !r->bad; i++) {
		unsigned kind = byte(r);

		if (kind == K_SHORT || kind == K_LONG) {
			struct mg_str t = text(r);

			if (i < CONSTANTS_MAX)
				f->constants[i] = t;
		} else if (kind == K_INTEGER || kind == K_FLOAT) {
			take(r, 8);
		}
	}
}

static void upvalues(struct reader *r, struct function *f, const struct function *outer)
{
	size_t n = size(r);

	for (size_t i = 0; i < n && !r->bad; i++) {
		unsigned local = byte(r), at = byte(r);

		byte(r);
		if (i >= UPVALUES_MAX)
			continue;
		f->env[i] = outer ? !local && at < UPVALUES_MAX && outer->env[at] : i == 0;
		f->outer[i] = outer ? !local && at < UPVALUES_MAX ? outer->outer[at] : 0 : (unsigned char)(i + 1);
	}
}

static void lines(struct reader *r, struct function *f)
{
	size_t n;

	f->n_lines = size(r);
	f->lines = (const signed char *)take(r, f->n_lines);
	f->n_abs = size(r);
	f->abs = *r;
	for (size_t i = 0; i < f->n_abs && !r->bad; i++) {
		size(r);
		size(r);
	}
	n = size(r);
	for (size_t i = 0; i < n && !r->bad; i++) {	/* names of locals */
		text(r);
		size(r);
		size(r);
	}
	n = size(r);
	for (size_t i = 0; i < n && !r->bad; i++)	/* names of upvalues */
		text(r);
}

/* Each instruction's distance from the one before it; now and then, where that is far, the line itself. */
static int line_of(const struct function *f, size_t pc)
{
	struct reader abs = f->abs;
	int line = f->first;

	for (size_t i = 0; i <= pc && i < f->n_lines; i++) {
		if (f->lines[i] != -128) {
			line += f->lines[i];
			continue;
		}
		size(&abs);
		line = (int)size(&abs);
	}
	return line;
}

/* ---- what it reads */

/* The table on top has no such name: which one may be meant? */
static void tell(struct scan *c, int line, const char *what, const char *name)
{
	lua_State *L = c->s->L;
	char said[300], hint[MEANT_BYTES];

	snprintf(said, sizeof(said), "%.70s:%d: %s '%.60s'%s", c->file, line, what, name, meant(keys_nearest(L, lua_gettop(L), name), hint));
	c->found++;
	c->say(c->arg, said);
}

static unsigned bits(uint32_t code, unsigned at, unsigned n) { return code >> at & ((1u << n) - 1); }

static void global(struct scan *c, const struct function *f, size_t pc, struct mg_str k, uint32_t code, uint32_t next)
{
	lua_State *L = c->s->L;
	int top = lua_gettop(L);
	struct mg_str member = f->constants[bits(next, 24, 8)];
	char name[80];

	snprintf(name, sizeof(name), "%.*s", (int)k.len, k.at);
	lua_pushvalue(L, c->names);
	lua_pushlstring(L, k.at, k.len);
	if (lua_rawget(L, -2) == LUA_TNIL) {
		lua_pop(L, 1);
		tell(c, line_of(f, pc), "unknown name", name);
	} else if (bits(next, 0, 7) == OP_GETFIELD && bits(next, 16, 8) == bits(code, 7, 8) && proxy_at(L, -1) && member.at) {
		luaL_getmetafield(L, -1, "__index");
		lua_pushlstring(L, member.at, member.len);
		if (lua_rawget(L, -2) == LUA_TNIL) {
			lua_pop(L, 1);
			snprintf(name, sizeof(name), "%.*s.%.*s", (int)(k.len < 30 ? k.len : 30), k.at, (int)(member.len < 40 ? member.len : 40), member.at);
			tell(c, line_of(f, pc + 1), "unknown name", name);
		}
	}
	lua_settop(L, top);
}

static void instructions(struct scan *c, const struct function *f)
{
	for (size_t pc = 0; pc < f->n_code; pc++) {
		uint32_t code, next = 0;
		struct mg_str k;

		memcpy(&code, f->code + 4 * pc, 4);
		if (pc + 1 < f->n_code)
			memcpy(&next, f->code + 4 * (pc + 1), 4);
		if (bits(code, 0, 7) == OP_GETTABUP && bits(code, 16, 8) < UPVALUES_MAX && f->env[bits(code, 16, 8)]) {
			k = f->constants[bits(code, 24, 8)];
			if (k.at)
				global(c, f, pc, k, code, next);
		} else if (bits(code, 0, 7) == OP_SETTABUP && bits(code, 7, 8) < UPVALUES_MAX && f->env[bits(code, 7, 8)]) {
			char said[300];

			k = f->constants[bits(code, 16, 8)];
			snprintf(said, sizeof(said), "%.70s:%d: global write '%.*s' (use 'local')", c->file, line_of(f, pc), (int)(k.len < 60 ? k.len : 60), k.at ? k.at : "");
			c->found++;
			c->say(c->arg, said);
		}
	}
}

/* ---- what a hook's function does that no hook may: it keeps something, or writes what is shared */

static void effect(struct scan *c, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void effect(struct scan *c, int line, const char *fmt, ...)
{
	char what[200], said[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	snprintf(said, sizeof(said), "%.70s:%d: %s %s", c->file, line, c->hook, what);
	c->found++;
	c->say(c->arg, said);
}

/* What some hooks alone may call. */
static const struct right { const char *group, *name, *only; unsigned hooks; } rights[] = {
	{ "limit", "take", "only admit and observe may write", 1u << HOOK_ADMIT | 1u << HOOK_OBSERVE },
	{ "counter", "add", "only admit and observe may write", 1u << HOOK_ADMIT | 1u << HOOK_OBSERVE },
	{ NULL, "lookup", "only admit and resolve may wait", 1u << HOOK_ADMIT | 1u << HOOK_RESOLVE } };
enum { RIGHTS = sizeof(rights) / sizeof(rights[0]) };

static bool denied(const struct scan *c, const struct right *r) { return !(r->hooks >> c->at & 1); }

static void uses(struct scan *c, int line, const struct right *r)
{
	effect(c, line, "uses %s%s%s: %s", r->group ? r->group : "", r->group ? "." : "", r->name, r->only);
}

/* The function that the library has under that name, as limit.take, is on top; nil: it has none. */
static void push_library(struct scan *c, const char *group, const char *name)
{
	lua_State *L = c->s->L;

	lua_getfield(L, c->names, group ? group : name);
	if (!group)
		return;
	luaL_getmetafield(L, -1, "__index");
	lua_getfield(L, -1, name);
	lua_replace(L, -3);
	lua_pop(L, 1);
}

/* Is it that group: by its name in the environment, or a local that holds it? */
static bool is_group(struct scan *c, const struct function *f, unsigned upvalue, const char *group)
{
	lua_State *L = c->s->L;
	bool same;

	if (upvalue >= UPVALUES_MAX || !f->outer[upvalue] || !lua_getupvalue(L, c->fn, f->outer[upvalue]))
		return false;
	lua_getfield(L, c->names, group);
	same = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return same;
}

static bool is_environment(struct scan *c, const struct function *f, unsigned upvalue)
{
	const char *name = upvalue < UPVALUES_MAX && f->outer[upvalue] ? lua_getupvalue(c->s->L, c->fn, f->outer[upvalue]) : NULL;

	if (name)
		lua_pop(c->s->L, 1);
	return name && !strcmp(name, "_ENV");
}

static bool names_it(struct scan *c, const struct function *f, unsigned upvalue, const struct right *r, struct mg_str key, uint32_t next)
{
	struct mg_str member = f->constants[bits(next, 24, 8)];

	if (!r->group)
		return is_environment(c, f, upvalue) && mg_is(key, r->name);
	return (is_environment(c, f, upvalue) && mg_is(key, r->group) && bits(next, 0, 7) == OP_GETFIELD && mg_is(member, r->name)) ||
		(is_group(c, f, upvalue, r->group) && mg_is(key, r->name));
}

static void calls(struct scan *c, const struct function *f, size_t pc, uint32_t code, uint32_t next)
{
	for (size_t i = 0; i < RIGHTS; i++)
		if (denied(c, &rights[i]) && names_it(c, f, bits(code, 16, 8), &rights[i], f->constants[bits(code, 24, 8)], next))
			uses(c, line_of(f, pc), &rights[i]);
}

static void assigns(struct scan *c, const struct function *f, size_t pc, unsigned upvalue)
{
	const char *name = upvalue < UPVALUES_MAX && f->outer[upvalue] ? lua_getupvalue(c->s->L, c->fn, f->outer[upvalue]) : NULL;

	if (!name)
		return;
	lua_pop(c->s->L, 1);
	effect(c, line_of(f, pc), "assigns '%.60s', which is outside of it: a policy remembers nothing from one call to the next", name);
}

static void effects(struct scan *c, const struct function *f)
{
	for (size_t pc = 0; pc < f->n_code; pc++) {
		uint32_t code, next = 0;

		memcpy(&code, f->code + 4 * pc, 4);
		if (pc + 1 < f->n_code)
			memcpy(&next, f->code + 4 * (pc + 1), 4);
		if (bits(code, 0, 7) == OP_SETUPVAL)
			assigns(c, f, pc, bits(code, 16, 8));
		else if (bits(code, 0, 7) == OP_GETTABUP)
			calls(c, f, pc, code, next);
	}
}

static void function(struct scan *c, struct reader *r, const struct function *outer, int depth)
{
	struct function *f = calloc(1, sizeof(*f));
	size_t n;

	text(r);
	if (!f || depth > NEST_MAX)
		r->bad = true;
	if (r->bad) {
		free(f);
		return;
	}
	f->first = (int)size(r);
	size(r);
	take(r, 3);
	f->n_code = size(r);
	f->code = f->n_code < SIZE_MAX / 4 ? take(r, 4 * f->n_code) : NULL;
	constants(r, f);
	upvalues(r, f, outer);
	n = size(r);
	for (size_t i = 0; i < n && !r->bad; i++)
		function(c, r, f, depth + 1);
	lines(r, f);
	if (!r->bad && c->hook)
		effects(c, f);
	else if (!r->bad)
		instructions(c, f);
	free(f);
}

static int write_to(lua_State *L, const void *at, size_t len, void *arg)
{
	struct buf *b = arg;

	(void)L;
	buf_put(b, at, len);
	return b->failed;
}

/* The function on top, as the compiler left it. */
static void dumped(struct scan *c)
{
	static const unsigned char head[] = "\x1bLua\x54\0\x19\x93\r\n\x1a\n\4\10\10";
	struct reader r;
	struct buf b;

	buf_init(&b, 16 << 20);
	if (!lua_dump(c->s->L, write_to, &b, 0) && !b.failed && b.len > sizeof(head) && !memcmp(b.at, head, sizeof(head) - 1)) {
		r = (struct reader){ (const unsigned char *)b.at, (const unsigned char *)b.at + b.len, false };
		take(&r, sizeof(head) - 1 + 16 + 1);	/* and a whole number, a fraction, how many upvalues */
		function(c, &r, NULL, 0);
	}
	buf_release(&b);
}

/* Leaves the table of all names. */
static int push_names(struct policy_state *s)
{
	lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->env);
	luaL_getmetafield(s->L, -1, "__index");
	return lua_gettop(s->L);
}

int names_scan(struct policy_state *s, const struct source *source, void (*say)(void *arg, const char *line), void *arg)
{
	struct scan c = { .s = s, .file = source->name, .say = say, .arg = arg };
	int top = lua_gettop(s->L);

	c.names = push_names(s);
	if (!sandbox_load(s, source->text, source->len, source->name, s->env))
		dumped(&c);
	lua_settop(s->L, top);
	return c.found;
}

/* The function on top, and those that it holds; seen: a table of functions at that index; line: of who holds it. */
static void scan_function(struct scan *c, int seen, int line)
{
	lua_State *L = c->s->L;
	lua_Debug ar;
	int fn = lua_gettop(L);

	if (!lua_isfunction(L, fn) || !lua_checkstack(L, 20))
		return;
	for (size_t i = 0; i < RIGHTS; i++) {	/* as a local of the file that holds the library's own */
		push_library(c, rights[i].group, rights[i].name);
		if (denied(c, &rights[i]) && lua_rawequal(L, -1, fn))
			uses(c, line, &rights[i]);
		lua_settop(L, fn);
	}
	lua_pushvalue(L, fn);
	if (lua_iscfunction(L, fn) || lua_rawget(L, seen) != LUA_TNIL) {
		lua_settop(L, fn);
		return;
	}
	lua_settop(L, fn);
	lua_pushvalue(L, fn);
	lua_getinfo(L, ">S", &ar);
	c->file = ar.short_src;
	lua_pushvalue(L, fn);
	lua_pushboolean(L, 1);
	lua_rawset(L, seen);
	c->fn = fn;
	dumped(c);
	for (int i = 1; lua_getupvalue(L, fn, i); i++) {
		c->file = ar.short_src;
		scan_function(c, seen, ar.linedefined);
		lua_settop(L, fn);
	}
}

int hooks_scan(struct policy_state *s, int decl, void (*say)(void *arg, const char *line), void *arg)
{
	lua_State *L = s->L;
	int top = lua_gettop(L), found = 0;
	struct scan c = { .s = s, .say = say, .arg = arg };

	decl = lua_absindex(L, decl);
	c.names = push_names(s);
	for (int h = 0; h < HOOK_COUNT; h++) {
		lua_newtable(L);
		c.hook = hook_names[h];
		c.at = h;
		lua_getfield(L, decl, hook_names[h]);
		scan_function(&c, lua_gettop(L) - 1, 0);
		lua_settop(L, c.names);
	}
	found = c.found;
	lua_settop(L, top);
	return found;
}
