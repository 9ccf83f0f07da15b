/* policy test --mutate: which changes are made, which are noticed, which let more through; and the shipped bundles survive it. */
#include <dirent.h>
#include "author/author.h"
#include "author/lex.h"
#include "policy/world.h"
#include "tap.h"

struct said { char text[64 << 10]; size_t len; };

static void keep(void *arg, const char *line)
{
	struct said *s = arg;

	s->len += (size_t)snprintf(s->text + s->len, sizeof(s->text) - s->len, "%s\n", line);
}

static int run(struct world *w, const char *policy, const char *tests, struct said *out)
{
	static const char bundle[] = "return { policies = { default = { { use = \"p\" } } } }\n";
	int bad;

	world_init(w);
	world_file(w, "bundle.lua", bundle);
	world_file(w, "p.lua", policy);
	if (tests)
		world_file(w, "p_test.lua", tests);
	out->len = 0;
	*out->text = '\0';
	bad = policy_mutate(w->dir, "policies", NULL, keep, out, &w->err);
	if (bad < 0)
		printf("# %s\n", w->err.msg);
	world_release(w);
	return bad;
}

/* A policy, its tests; how many changes are a failure; what is said, and what is not. */
static const struct { const char *name, *policy, *tests; int bad; const char *says, *silent; } cases[] = {
	{ "a test at the border notices it",
	  "return policy { name = \"p\", api = 1, filter = function(req, ep) return ep.context_length < 100 end }\n",
	  "local P = use(\"p\")\ntest(\"x\", function(t) t.eq(P.filter(t.req {}, t.ep { context_length = 99 }), true)\n"
	  "  t.eq(P.filter(t.req {}, t.ep { context_length = 100 }), false) end)\n",
	  0, "ok 1 - p.lua: 5 changes, 5 noticed, 0 not", "is not noticed" },
	{ "< to <= keeps more, and no test is at the border",
	  "return policy { name = \"p\", api = 1, filter = function(req, ep)\n  return ep.context_length < 100 end }\n",
	  "local P = use(\"p\")\ntest(\"x\", function(t) t.eq(P.filter(t.req {}, t.ep { context_length = 99 }), true)\n"
	  "  t.eq(P.filter(t.req {}, t.ep { context_length = 1000 }), false) end)\n",
	  2, "p.lua:2: '<' to '<=' is not noticed, and keeps more: ep.context_length=100", NULL },
	{ "what keeps less is a warning",
	  "return policy { name = \"p\", api = 1, filter = function(req, ep)\n  return ep.context_length <= 100 end }\n",
	  "local P = use(\"p\")\ntest(\"x\", function(t) t.eq(P.filter(t.req {}, t.ep { context_length = 99 }), true)\n"
	  "  t.eq(P.filter(t.req {}, t.ep { context_length = 101 }), false) end)\n",
	  0, "p.lua:2: '<=' to '<' is not noticed\n", "keeps more" },
	{ "return false made return true",
	  "return policy { name = \"p\", api = 1, filter = function(req, ep)\n  if req.labels.place == \"eu\" and ep.region ~= \"eu\" then\n    return false, \"region\" end\n"
	  "  return true end }\n",
	  "local P = use(\"p\")\ntest(\"x\", function(t) t.eq(P.filter(t.req {}, t.ep {}), true) end)\n",
	  2, "p.lua:3: 'false' to 'true' is not noticed, and keeps more: req.labels={place=eu}", NULL },
	{ "and made or, not dropped",
	  "return policy { name = \"p\", api = 1, filter = function(req, ep)\n  return not ep.data.retains and not ep.data.trains end }\n",
	  "local P = use(\"p\")\ntest(\"x\", function(t) t.eq(P.filter(t.req {}, t.ep {}), true)\n"
	  "  t.eq(P.filter(t.req {}, t.ep { data = { retains = true, trains = true } }), false) end)\n",
	  1, "'and' to 'or' is not noticed, and keeps more: ep.data.", "'not' to" },
	{ "what stores more",
	  "return policy { name = \"p\", api = 1, retain = function(req)\n  return { store = \"metadata\", ttl_s = 60, cache = false } end }\n",
	  "local P = use(\"p\")\ntest(\"x\", function(t) t.eq(P.retain(t.req {}).store, \"metadata\") end)\n",
	  2, "'60' to '61' is not noticed, and stores more: ttl_s = 61, not 60: the plain fixture", "'60' to '59' is not noticed, and" },
	{ "a ranking's are warnings",
	  "return policy { name = \"p\", api = 1, rank = function(req, eps)\n  return rank.by(eps, function(e) return e.usd.prompt + 1 end) end }\n",
	  "local P = use(\"p\")\ntest(\"x\", function(t) t.eq(#P.rank(t.req {}, { t.ep {} }), 1) end)\n",
	  0, "p.lua:2: '+' to '-' is not noticed\n", "keeps more" },
	{ "strings and comments stay as they are",
	  "-- true < 1 and not 2\n--[[ false ]]\nreturn policy { name = \"p\", api = 1, doc = \"1 and true\", filter = function() local s = [==[ not ]] 5 ]==]\n"
	  "  return #s > 2, 'or \\' false' end }\n",
	  "local P = use(\"p\")\ntest(\"x\", function(t) t.eq(P.filter(t.req {}, t.ep {}), true) end)\n",
	  0, "ok 1 - p.lua: 5 changes", NULL },
	{ "under the parameters of the tests, too",
	  "return policy { name = \"p\", api = 1, params = { avoid = { type = \"string[]\", default = {} } }, filter = function(req, ep, my)\n"
	  "  if glob.any(my.avoid, ep.provider) and ep.tier == \"default\" then return false, \"avoided\" end\n  return true end }\n",
	  "local P = use(\"p\", { avoid = { \"slow\" } })\ntest(\"x\", function(t) t.eq(P.filter(t.req {}, t.ep { provider = \"slow\", tier = \"flex\" }), true) end)\n",
	  1, "'false' to 'true' is not noticed, and keeps more: ep.provider=slow", NULL },
	{ "a limit lets more through",
	  "return policy { name = \"p\", api = 1, limits = {\n  { reason = \"context\", of = { \"feat.prompt_tokens\" }, most = function(ep) return ep.context_length - 5 end } },\n"
	  "  filter = function() return true end }\n",
	  "local P = use(\"p\")\ntest(\"x\", function(t) t.eq(P.filter(t.req {}, t.ep {}), true) end)\n",
	  2, "'-' to '+' is not noticed, and keeps more: ", NULL },
	{ "a change that never ends is noticed",
	  "return policy { name = \"p\", api = 1, filter = function() local i = 0\n  while i < 100 do i = i + 1 end\n  return i == 100 end }\n",
	  "local P = use(\"p\")\ntest(\"x\", function(t) t.eq(P.filter(t.req {}, t.ep {}), true) end)\n",
	  0, "p.lua:1: '0' to '1' is not noticed", "'+' to '-' is not" },
	{ "no tests at all", "return policy { name = \"p\", api = 1, filter = function() return true end }\n", NULL, 1, "not ok 1 - p.lua: no test runs it", NULL },
	{ "tests that fail by themselves", "return policy { name = \"p\", api = 1, filter = function() return true end }\n",
	  "local P = use(\"p\")\ntest(\"x\", function(t) t.eq(1, 2) end)\n", 1, "the tests of p_test.lua fail without a change", NULL },
};

static void row(size_t i, struct said *out)
{
	struct world w;
	int bad = run(&w, cases[i].policy, cases[i].tests, out);
	bool fine = bad == cases[i].bad && strstr(out->text, cases[i].says) && (!cases[i].silent || !strstr(out->text, cases[i].silent));

	ok(fine, cases[i].name);
	if (!fine)
		printf("# %d\n%s", bad, out->text);
}

static char *read_all(const char *path)
{
	static char text[64 << 10];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	return text;
}

/* The shipped filter with the shipped tests but one. */
static void weakened(struct said *out)
{
	char dir[] = "/tmp/mutate-XXXXXX", path[80], *text, *cut, *end;
	struct err err = { 0, "" };
	FILE *f;

	if (!mkdtemp(dir))
		abort();
	for (int i = 0; i < 3; i++) {
		static const char *const files[] = { "data_classes.lua", "data_classes_test.lua", "bundle.lua" };
		char from[80];

		snprintf(from, sizeof(from), "policies/examples/%s", files[i]);
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		text = i < 2 ? read_all(from) : (char *)"return { policies = { guard = { { use = \"data_classes\" } } } }\n";
		cut = i == 1 ? strstr(text, "test(\"contradicting or missing") : NULL;
		end = cut ? strstr(cut, "\nend)\n") : NULL;
		if (end)
			memmove(cut, end + 6, strlen(end + 6) + 1);
		f = fopen(path, "w");
		fputs(text, f);
		fclose(f);
	}
	out->len = 0;
	ok(policy_mutate(dir, "policies", NULL, keep, out, &err) > 0 && strstr(out->text, "'or' to 'and' is not noticed, and keeps more: ") &&
		strstr(out->text, "\nnot ok 1 - data_classes.lua: "), "a shipped test file without one of its tests is caught");
	for (int i = 0; i < 3; i++) {
		static const char *const files[] = { "data_classes.lua", "data_classes_test.lua", "bundle.lua" };

		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void repeats(struct said *out)
{
	struct said *first = calloc(1, sizeof(*first));
	struct world w;

	run(&w, cases[4].policy, cases[4].tests, first);
	run(&w, cases[4].policy, cases[4].tests, out);
	ok(first->len > 100 && !strcmp(first->text, out->text), "the same is said again, word for word");
	free(first);
}

static void survives(const char *dir, const char *file, struct said *out)
{
	struct err err = { 0, "" };
	char claim[400];
	int bad;

	out->len = 0;
	*out->text = '\0';
	bad = policy_mutate(dir, "policies", file, keep, out, &err);
	snprintf(claim, sizeof(claim), "%s/%s: no change that lets more through or stores more goes unnoticed", dir, file);
	ok(bad == 0 && strstr(out->text, file), claim);
	if (bad)
		printf("# %s\n%s", err.msg, out->text);
}

static int wanted(const struct dirent *e)
{
	return strstr(e->d_name, ".lua") && !strstr(e->d_name, "_test.lua") && strcmp(e->d_name, "bundle.lua");
}

/* Every shipped file that may forbid, or says what is kept. */
static void shipped(const char *dir, struct said *out)
{
	struct dirent **files = NULL;
	int n = scandir(dir, &files, wanted, alphasort);
	char path[400];

	for (int i = 0; i < n; i++) {
		const char *text;

		snprintf(path, sizeof(path), "%s/%s", dir, files[i]->d_name);
		text = read_all(path);
		if (strstr(text, "  filter = ") || strstr(text, "  retain = ") || strstr(text, "  limits = "))
			survives(dir, files[i]->d_name, out);
		free(files[i]);
	}
	free(files);
}

static void tokens(void)
{
	static const char text[] = "a<=b --[==[ x ]] y ]==] .5e-3 0xA.8p+1 'q\\'q' [[l]]..\"e\"//~=::";
	static const char *const want[] = { "a", "<=", "b", ".5e-3", "0xA.8p+1", "'q\\'q'", "[[l]]", "..", "\"e\"", "//", "~=", "::" };
	struct lexer l;
	bool same = true;

	lex_begin(&l, text, strlen(text));
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct lexeme t = lex_next(&l);

		same &= t.len == strlen(want[i]) && !memcmp(t.at, want[i], t.len);
		if (!same)
			printf("# %zu: %.*s\n", i, (int)t.len, t.at);
	}
	ok(same && lex_next(&l).kind == LEX_END, "a text in tokens");
}

int main(void)
{
	static struct said out;

	tokens();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		row(i, &out);
	repeats(&out);
	weakened(&out);
	shipped("policies/openrouter", &out);
	shipped("policies/examples", &out);
	return tap_done();
}
