/*
 * Names that a file reads and nobody gives, found without running it: the
 * file is compiled, and the compiler's own output read back.  There a global is
 * an instruction on the upvalue that is the environment, whatever locals are
 * called, so nothing needs to be parsed twice.
 *
 * The format is that of Lua 5.4; what is not understood is passed over, since a
 * name that is missing is an error when it is read, too.
 */
#include "base/buf.h"
#include "base/config.h"
#include "policy/state.h"

enum { OP_GETTABUP = 11, OP_GETFIELD = 14, OP_SETTABUP = 15, K_SHORT = 0x04, K_LONG = 0x14, K_INTEGER = 0x03, K_FLOAT = 0x13, CONSTANTS_MAX = 256,
	UPVALUES_MAX = 255, NEST_MAX = 200 };

struct reader { const unsigned char *at, *end; bool bad; };
struct scan { struct policy_state *s; const char *file; int names; void (*say)(void *arg, const char *line); void *arg; int found; };
struct function { const unsigned char *code; size_t n_code; struct mg_str constants[CONSTANTS_MAX]; bool env[UPVALUES_MAX];
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
		if (i < UPVALUES_MAX)
			f->env[i] = outer ? !local && at < UPVALUES_MAX && outer->env[at] : i == 0;
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

static const char *candidate(const void *arg, size_t i)
{
	lua_State *L = (lua_State *)arg;	/* the list of names is on top */
	const char *name = lua_rawgeti(L, -1, (lua_Integer)i + 1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;

	lua_pop(L, 1);
	return name;
}

/* The table on top has no such name: which one may be meant? */
static void tell(struct scan *c, int line, const char *what, const char *name)
{
	lua_State *L = c->s->L;
	const char *like;
	char said[300];
	lua_Integer n = 0;

	lua_newtable(L);
	lua_pushnil(L);
	while (lua_next(L, -3)) {
		lua_pop(L, 1);
		lua_pushvalue(L, -1);
		lua_rawseti(L, -3, ++n);
	}
	like = config_nearest(name, candidate, L);
	snprintf(said, sizeof(said), "%.70s:%d: %s '%.60s'%s%.60s%s", c->file, line, what, name, like ? "; did you mean '" : "", like ? like : "", like ? "'?" : "");
	lua_pop(L, 1);
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
	if (!r->bad)
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

int names_scan(struct policy_state *s, const struct source *source, void (*say)(void *arg, const char *line), void *arg)
{
	static const unsigned char head[] = "\x1bLua\x54\0\x19\x93\r\n\x1a\n\4\10\10";
	struct scan c = { .s = s, .file = source->name, .say = say, .arg = arg };
	lua_State *L = s->L;
	int top = lua_gettop(L);
	struct reader r;
	struct buf b;

	buf_init(&b, 16 << 20);
	lua_rawgeti(L, LUA_REGISTRYINDEX, s->env);
	luaL_getmetafield(L, -1, "__index");
	c.names = lua_gettop(L);
	if (!sandbox_load(s, source->text, source->len, source->name, s->env) && !lua_dump(L, write_to, &b, 0) && !b.failed) {
		r = (struct reader){ (const unsigned char *)b.at, (const unsigned char *)b.at + b.len, false };
		if (b.len > sizeof(head) && !memcmp(b.at, head, sizeof(head) - 1)) {
			take(&r, sizeof(head) - 1 + 16 + 1);	/* and a whole number, a fraction, how many upvalues */
			function(&c, &r, NULL, 0);
		}
	}
	lua_settop(L, top);
	buf_release(&b);
	return c.found;
}
