/* `policy check` finds names that nobody gives, with the line, and finds none where there are none. */
#include "author/tools.h"
#include "base/log.h"
#include "policy/world.h"
#include "tap.h"

static const struct { const char *code, *says; } rows[] = {
	{ "local a = 1\nreturn function(x) return a + x end", "" },
	{ "return policy { name = \"p\" }", "" },
	{ "local a\n\nreturn polcy {}", "p.lua:3: unknown name 'polcy'; did you mean 'policy'?\n" },
	{ "return policy {\n filter = function(req, ep)\n  if os.time() > 3 then return false end\n  return true\n end }", "p.lua:3: unknown name 'os'\n" },
	{ "local f = function()\n local math = { foo = 1 }\n return math.foo\nend return f", "" },
	{ "return function(a)\n  local _ENV = a\n  return anything, function() return whatever end\nend", "" },
	{ "return math.random(3)", "p.lua:1: unknown name 'math.random'\n" },
	{ "local t = {}\nt.x = rank.bye(t, 'y')\nreturn ('x'):find('y')", "p.lua:2: unknown name 'rank.bye'\n" },
	{ "local t = {}\nfunction t.f()\n  count = 1\nend\nreturn t", "p.lua:3: global write 'count' (use 'local')\n" },
	{ "return function() return function() return function()\n\n\n return qqqqqqqq\nend end end", "p.lua:4: unknown name 'qqqqqqqq'\n" },
	{ "return rank, slug.any, string.format, money.line, time.utc, act.next, limit.take, ipairs", "" },
	{ "goto e\n::e:: return pcall, xpcall", "p.lua:2: unknown name 'pcall'\np.lua:2: unknown name 'xpcall'\n" },
};

static void keep(void *arg, const char *line)
{
	char *text = arg;
	size_t len = strlen(text);

	snprintf(text + len, 600 - len, "%s\n", line);
}

int main(void)
{
	struct world w;
	char claim[200], many[9000] = "local t = {\n", got[600];
	size_t len = strlen(many);

	log_max = LOG_ERROR;
	world_init(&w);
	if (!world_open(&w, NULL)) {
		printf("# %s\n", w.err.msg);
		return 1;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct source f = { .name = (char *)"p.lua", .text = (char *)rows[i].code, .len = strlen(rows[i].code) };

		*got = '\0';
		names_scan(w.state, &f, keep, got);
		snprintf(claim, sizeof(claim), "%s", rows[i].code);
		for (char *at = claim; *at; at++)
			if (*at == '\n')
				*at = ' ';
		ok(!strcmp(got, rows[i].says), claim);
		if (strcmp(got, rows[i].says))
			printf("# got %s# not %s", got, rows[i].says);
	}
	/* Far down, where a line is not told by its distance. */
	for (int i = 0; i < 200; i++)
		len += (size_t)snprintf(many + len, sizeof(many) - len, "%s'v%d',%s\n", i % 50 ? "" : "\n\n\n", i, i % 90 ? "" : " far = nobody,");
	snprintf(many + len, sizeof(many) - len, "}\nreturn t, there");
	*got = '\0';
	names_scan(w.state, &(struct source){ .name = (char *)"p.lua", .text = many, .len = strlen(many) }, keep, got);
	ok(strstr(got, ":5: unknown name 'nobody'") && strstr(got, "p.lua:215: unknown name 'there'"), "a long file");
	for (size_t i = 0; i < w.bundle->n_files; i++) {
		*got = '\0';
		if (!strstr(w.bundle->files[i].name, "_test"))
			ok(!names_scan(w.state, &w.bundle->files[i], keep, got), w.bundle->files[i].name);
	}
	ok(lua_gettop(w.state->L) == 0, "nothing is left on the stack");
	world_release(&w);
	return tap_done();
}
