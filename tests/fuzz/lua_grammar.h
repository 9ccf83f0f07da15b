/*
 * lua_grammar.h - policies by chance: a seed, a program.  They parse, most of
 * the time, and mean no good: bounds at the edge of integers, helpers fed with
 * what they do not expect, loops without end, closures that keep, error objects,
 * an environment that is played with.
 */
#ifndef TESTS_FUZZ_LUA_GRAMMAR_H
#define TESTS_FUZZ_LUA_GRAMMAR_H

#include "base/buf.h"

struct grammar { uint64_t seed; struct buf *out; int depth, labels; bool in_loop; };

static inline uint64_t chance(struct grammar *g)
{
	g->seed ^= g->seed << 13;
	g->seed ^= g->seed >> 7;
	g->seed ^= g->seed << 17;
	return g->seed >> 11;
}

static inline unsigned below(struct grammar *g, unsigned n) { return (unsigned)(chance(g) % n); }
#define PICK(g, list) ((list)[below(g, sizeof(list) / sizeof((list)[0]))])

static inline void put(struct grammar *g, const char *text) { buf_text(g->out, text); }

static inline void block(struct grammar *g, int n);
static inline void expression(struct grammar *g);

static inline void variable(struct grammar *g)
{
	static const char *const names[] = { "a", "b", "c", "d", "a", "b", "up", "shared", "req", "x", "y", "my", "ep", "eps", "bill" };

	put(g, PICK(g, names));
}

static inline void literal(struct grammar *g)
{
	static const char *const values[] = { "nil", "true", "false", "0", "1", "-1", "2", "3", "7", "100", "255", "-0.0", "0.5", "1e308", "1/0", "0/0", "1e15", "2^53",
		"math.maxinteger", "-math.maxinteger", "(-math.maxinteger - 1)", "math.huge", "0x7fffffff", "1 << 62", "1 << 63", "65535", "65536", "1e7", "200", "201",
		"\"\"", "\"a\"", "\"*\"", "\"a*b*c\"", "\"%d%s\"", "\"%5.3f\"", "\"%99s\"", "\"%-99.99s\"", "\"%p\"", "\"%q\"", "\"%c\"", "\"%i %u %x\"", "\"%\"", "\"__index\"", "\"__gc\"",
		"\"\\0\\255\"", "\"look\" .. \"up\"", "\"1e1\"", "\"0x10\"", "\" 7 \"", "(\"x\"):rep(300)", "(\"ab\"):rep(20000)", "{}", "{ 1, 2, 3 }", "{ n = 1, [1.5] = 2, [true] = 3 }",
		"{ { { {} } } }", "{ 3, 1, 2, \"x\", nil, 5 }", "function() end", "function(...) return ... end", "req", "req.prefs", "req.models", "my", "_ENV", "string", "table", "math.floor", "note",
		"ep", "ep", "eps", "bill", "usage", "o", "err", "(ep and ep.live)", "(ep and ep.usd)", "(ep and ep.live.ttft_ms)", "(eps and eps[1])", "req.key", "req.feat" };

	put(g, PICK(g, values));
}

/* Every name that a policy has, and some that it has not. */
static inline void callee(struct grammar *g)
{
	static const char *const names[] = { "assert", "error", "ipairs", "pairs", "select", "tonumber", "tostring", "type", "deny", "note", "rand", "policy", "library", "use_lib",
		"math.abs", "math.ceil", "math.floor", "math.log", "math.max", "math.min", "math.sqrt", "math.tointeger", "math.type",
		"table.concat", "table.insert", "table.remove", "table.sort", "table.unpack", "string.byte", "string.ends", "string.format", "string.has", "string.len", "string.lower",
		"string.rep", "string.split", "string.starts", "string.sub", "string.upper", "rank.by", "rank.split", "rank.join", "rank.first", "rank.last", "rank.pick", "rank.groups",
		"money.line", "money.flat", "money.sum", "money.bps", "money.usd", "money.fmt", "set.of", "set.any", "set.list", "glob.match", "glob.any", "slug.match", "slug.any",
		"lookup", "lookup", "lookup", "hash.u32", "hash.bps", "time.utc", "time.local_", "act.next", "act.retry", "act.model", "act.stop", "limit.take", "counter.get", "counter.add",
		"budget.left_nusd", "budget.used_bps", "budget.spent_nusd", "sticky.get", "log.info", "up", "shared", "a", "b", "self", "pcall", "load", "setmetatable", "getmetatable", "next", "rawset",
		"coroutine.wrap", "string.gsub", "string.dump", "table.move", "os.time", "collectgarbage", "req.key.id", "math.random" };

	put(g, PICK(g, names));
}

static inline void function(struct grammar *g)
{
	static const char *const heads[] = { "function(x, y) ", "function(...) ", "function(x) ", "function() " };
	bool before = g->in_loop;

	g->in_loop = false;
	put(g, PICK(g, heads));
	block(g, 1 + (int)below(g, 3));
	put(g, " return ");
	expression(g);
	put(g, " end");
	g->in_loop = before;
}

static inline void arguments(struct grammar *g)
{
	unsigned n = below(g, 5);

	put(g, "(");
	for (unsigned i = 0; i < n; i++) {
		if (i)
			put(g, ", ");
		if (below(g, 6))
			expression(g);
		else
			function(g);
	}
	put(g, ")");
}

static inline void table(struct grammar *g)
{
	put(g, "{ ");
	for (unsigned i = below(g, 4); i; i--) {
		static const char *const keys[] = { "", "", "n = ", "max = ", "per_s = ", "skip = ", "[1] = ", "lines = ", "x = " };

		put(g, PICK(g, keys));
		expression(g);
		put(g, ", ");
	}
	put(g, "}");
}

static inline void expression(struct grammar *g)
{
	static const char *const binary[] = { " + ", " - ", " * ", " / ", " // ", " % ", " ^ ", " .. ", " == ", " ~= ", " < ", " <= ", " and ", " or ", " & ", " | ", " ~ ", " << ", " >> " };
	static const char *const unary[] = { "-", "not ", "#", "~" };

	if (++g->depth > 6) {
		if (below(g, 2))
			literal(g);
		else
			variable(g);
		g->depth--;
		return;
	}
	switch (below(g, 12)) {
	case 0: case 1: case 2:
		literal(g);
		break;
	case 3: case 4:
		variable(g);
		break;
	case 5:
		put(g, "(");
		expression(g);
		put(g, PICK(g, binary));
		expression(g);
		put(g, ")");
		break;
	case 6:
		put(g, "(");
		put(g, PICK(g, unary));
		expression(g);
		put(g, ")");
		break;
	case 7: case 8:
		if (!below(g, 8)) {
			put(g, "lookup(\"a\", ");
			expression(g);
			put(g, ", 7)");
			break;
		}
		callee(g);
		arguments(g);
		break;
	case 9: {
		static const char *const methods[] = { ":len()", ":upper()", ":rep(3)", ":sub(-5, 70000)", ":has(\"x\")", ":split(\",\")", ":format(1)", ":byte(1, 50)", ":starts(\"a\")", "[1]", ".x", ".prefs", ".n", "[\"len\"]" };

		put(g, "(");
		expression(g);
		put(g, ")");
		put(g, PICK(g, methods));
		break;
	}
	case 10:
		table(g);
		break;
	default:
		put(g, "(");
		function(g);
		put(g, ")");
		if (below(g, 2))
			arguments(g);
	}
	g->depth--;
}

static inline void statement(struct grammar *g)
{
	static const char *const places[] = { "a", "b", "c", "d", "up", "shared", "shared[#shared + 1]", "shared.x", "a[b]", "a.x", "req.x", "_ENV.z", "z", "my.x", "string.len", "a[1]", "c[d]" };
	static const char *const forms[] = { "while true do ", "while b do ", "for i = 1, 10 do ", "for i = 1, math.huge do ", "for i = math.maxinteger - 2, math.maxinteger do ", "for i = 1, 0, -1 do ",
		"for i = 3, 1, -1 do ", "for i = 1.5, 1e9, 0.1 do ", "for k, v in pairs(shared) do ", "for i, v in ipairs(a) do ", "for k, v in pairs(req) do ", "for k, v in a, b, c do ", "repeat " };
	bool before = g->in_loop;
	unsigned form;

	if (++g->depth > 7) {
		put(g, "a = b ");
		g->depth--;
		return;
	}
	switch (below(g, 14)) {
	case 0: case 1: case 2: case 3:
		put(g, PICK(g, places));
		put(g, " = ");
		expression(g);
		break;
	case 4: case 5:
		callee(g);
		arguments(g);
		break;
	case 6:
		put(g, "if ");
		expression(g);
		put(g, " then ");
		block(g, 2);
		put(g, below(g, 2) ? " else " : " elseif c then ");
		block(g, 1);
		put(g, " end");
		break;
	case 7: case 8:
		form = below(g, sizeof(forms) / sizeof(forms[0]));
		g->in_loop = true;
		put(g, forms[form]);
		block(g, 1 + (int)below(g, 3));
		put(g, below(g, 3) ? " if b then break end" : "");
		if (!strncmp(forms[form], "repeat", 6)) {
			put(g, " until ");
			expression(g);
		} else {
			put(g, " end");
		}
		g->in_loop = before;
		break;
	case 9:
		buf_print(g->out, "do local n%d = 0 ::l%d:: n%d = n%d + 1 ", g->labels, g->labels, g->labels, g->labels);
		buf_print(g->out, "if n%d < %s then goto l%d end end", g->labels, below(g, 3) ? "5" : "1e9", g->labels);
		g->labels++;
		break;
	case 10:
		put(g, "do local x <close> = ");
		put(g, below(g, 3) ? "nil" : below(g, 2) ? "false" : "{}");
		put(g, " local y <const> = 7 ");
		block(g, 1);
		put(g, " end");
		break;
	case 11:
		put(g, below(g, 2) ? "do local _ENV = { a = a, note = note } " : "do local _ENV <const> = { a = 1 } ");
		block(g, 1);
		put(g, " end");
		break;
	case 12:
		put(g, "do local function self(n) if n then return ");
		put(g, below(g, 2) ? "self(n)" : "1 + self(n)");
		put(g, " end end ");
		put(g, below(g, 2) ? "self(true) end" : "up = self end");
		break;
	default:
		put(g, "do local a, b, c, d = ");
		expression(g);
		put(g, ", ");
		expression(g);
		put(g, " ");
		block(g, 2);
		put(g, " end");
	}
	put(g, " ");
	g->depth--;
}

static inline void block(struct grammar *g, int n)
{
	while (n-- > 0)
		statement(g);
}

/* What the hook is to say, or nearly. */
static inline void answer_of(struct grammar *g, const char *hook)
{
	static const char *const all[] = { "true", "false, \"why\"", "nil", "7", "eps", "{ eps[1] }", "{ eps[2], eps[1] }", "{ eps[1], eps[1] }", "{ req }", "{ models = { \"acme/large\" } }", "{ prefs = { zdr = true } }",
		"{ store = \"none\", ttl_s = 1, cache = false }", "{ max_attempts = 2 }", "{ set = { seed = 1 } }", "{ drop = { \"user\" } }", "act.next()", "act.retry(5)", "bill", "deny { status = 429, code = \"c\", message = \"m\" }", "a", "shared", "req", "up", "_ENV", "my", "o",
		"{ prefs = up }", "{ models = up }", "{ set = { metadata = up } }", "{ sticky = up }", "{ hedge = shared }", "{ store = \"full\", sinks = up }", "{ lines = up }", "{ prefs = { only = shared, max_price = up } }",
		"{ set = shared, drop = up }", "{ action = up }", "{ deny = true, status = up, code = a, message = b }" };

	if (!strcmp(hook, "admit") && below(g, 2))
		put(g, "true");
	else if (!strcmp(hook, "filter") && below(g, 2))
		put(g, "ep.tag ~= \"c\", \"no\"");
	else if (!strcmp(hook, "rank") && below(g, 2))
		put(g, below(g, 3) ? "rank.by(eps, function(e) return e.usd.prompt end)" : "rank.by(eps, \"s\")");
	else if (!strcmp(hook, "price") && below(g, 2))
		put(g, "money.flat(bill, \"x\", 5, \"charge\")");
	else
		put(g, PICK(g, all));
}

static inline void program(uint64_t seed, struct buf *out)
{
	static const char *const hooks[][2] = { { "admit", "req" }, { "retain", "req" }, { "resolve", "req" }, { "filter", "req, ep" }, { "rank", "req, eps" }, { "plan", "req, eps" },
		{ "shape", "req, ep" }, { "on_error", "req, err, eps" }, { "price", "req, ep, usage, bill" }, { "observe", "req, o" } };
	static const char *const more[] = { "when = { price = function(ep, my) ", "scores = { s = function(ep, my) ", "limits = { { reason = \"l\", of = { \"feat.images\" }, most = function(ep, my) ", "setup = function(p) " };
	struct grammar g = { .seed = seed * 0x9e3779b97f4a7c15u + 1, .out = out };

	chance(&g);
	put(&g, "local up, shared = 0, {}\nlocal a, b, c, d, x, y, self, z, ep, eps, bill, usage, o, err, my\nlocal req = {}\n");
	put(&g, "return policy { name = \"p\", api = 1,\n");
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		if (below(&g, 4))
			continue;
		put(&g, more[i]);
		block(&g, 1);
		put(&g, " return ");
		expression(&g);
		put(&g, i < 2 ? " end },\n" : i == 2 ? " end } },\n" : " end,\n");
	}
	if (below(&g, 2))
		put(&g, "memo = { admit = \"variant\", resolve = { \"key\", \"prefs.zdr\" }, filter = { \"variant\", \"feat\" } },\n");
	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		if (!below(&g, 3))
			continue;
		buf_print(out, "%s = function(%s, my)\n local a, b, c, d = ", hooks[i][0], hooks[i][1]);
		expression(&g);
		put(&g, ", ");
		expression(&g);
		put(&g, "\n ");
		block(&g, 1 + (int)below(&g, 4));
		put(&g, "\n note(\"%s %s %s %s\", a, b, c, d)\n return ");
		answer_of(&g, hooks[i][0]);
		put(&g, "\nend,\n");
	}
	put(&g, "}\n");
}

#endif
