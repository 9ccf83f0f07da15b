/* Versions on disk: kept whole or not at all, found by a few digits, gone back to with the guards of who follows; and when the circuit opens. */
#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <sys/wait.h>
#include "author/versions.h"
#include "base/log.h"
#include "policy/world.h"
#include "tap.h"

static char data[64];

static void put(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f)
		abort();
	fputs(text, f);
	fclose(f);
}

/* A bundle with this guard, or none, which is unlike every other one. */
static struct bundle *made(const char *guard, unsigned number)
{
	struct bundle_text own[4];
	char text[3][400], name[2][64];
	struct err err = { 0 };
	struct bundle *b = NULL;
	size_t n = 1;

	snprintf(text[0], sizeof(text[0]), "-- %u\nreturn { base = \"openrouter\", policies = { guard = { %s%s%s } } }", number, guard ? "{ use = \"" : "", guard ? guard : "", guard ? "\" }" : "");
	own[0] = (struct bundle_text){ "bundle.lua", word_of(text[0]) };
	if (guard) {
		snprintf(name[0], sizeof(name[0]), "%s.lua", guard);
		snprintf(name[1], sizeof(name[1]), "%s_test.lua", guard);
		snprintf(text[1], sizeof(text[1]), "local say = use_lib \"words\"\nreturn policy { name = \"%s\", api = 1,\n"
			"admit = function(req) if req.model == \"x/%s\" then return deny { status = 403, code = say.no, message = \"no\" } end return true end }", guard, guard);
		snprintf(text[2], sizeof(text[2]), "use(\"%s\") test(\"it loads\", function(t) end)", guard);
		own[1] = (struct bundle_text){ name[0], word_of(text[1]) };
		own[2] = (struct bundle_text){ name[1], word_of(text[2]) };
		own[3] = (struct bundle_text){ "words.lua", MG_STR("return library { no = \"no\" }") };
		n = 4;
	}
	if (bundle_make(own, n, "policies", &b, &err) || bundle_try(b, &err)) {
		printf("# %s\n", err.msg);
		abort();
	}
	return b;
}

static struct bundle *live(struct versions *v, struct bundle *b)
{
	struct cause c = { "publish", "a test", "tester", false };
	struct bundle *kept = NULL;
	struct err err = { 0 };

	if (versions_keep(v, b, &kept, &err) || versions_live(v, kept, &c, &err))
		printf("# %s\n", err.msg);
	bundle_unref(b);
	return kept;
}

static size_t folders(void)
{
	char path[128];
	struct dirent *e;
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/policies", data);
	d = opendir(path);
	while (d && (e = readdir(d)))
		n += strlen(e->d_name) == VERSION_HEX;
	if (d)
		closedir(d);
	return n;
}

static void kept_whole(struct versions *v)
{
	struct versions_state now;
	struct bundle *one = live(v, made("first", 1)), *two, *again = NULL;
	char hash[VERSION_HEX + 1], first[VERSION_HEX + 1], path[256];
	struct err err = { 0 };

	snprintf(first, sizeof(first), "%s", bundle_hash(one));
	versions_now(v, &now);
	ok(!strcmp(now.live, first) && !strcmp(now.how, "publish") && now.since_ms > 0, "what is live is known");
	ok(!versions_before(v, 0, hash), "there is none before the first");
	two = live(v, made("first", 2));
	ok(versions_before(v, 600000, hash) && !strcmp(hash, first), "then there is");
	usleep(20000);
	ok(!versions_before(v, 10, hash), "but not within ten milliseconds");
	ok(versions_find(v, "", hash, &err) == MG_EDENIED && versions_find(v, "zzzzzz", hash, &err) == MG_EDENIED, "no version by no digits, or wrong ones");
	memcpy(hash, first, 8);
	hash[8] = '\0';
	ok(!versions_find(v, hash, path, &err) && !strcmp(path, first), "found by eight digits");
	versions_failed(v, first, "it failed");
	ok(!versions_before(v, 0, hash), "one that failed is no way back");
	ok(versions_vetted(v, first), "it was tested all the same");
	ok(!versions_read(v, first, &again, &err) && !strcmp(bundle_hash(again), first), "read back, it is what it was");
	bundle_unref(again);
	snprintf(path, sizeof(path), "%s/policies/%s", data, first);
	put(path, "first.lua", "-- nothing\n");
	ok(versions_read(v, first, &again, &err) == MG_EPROTO && strstr(err.msg, "somebody changed it"), "changed by hand, it is not run");
	bundle_unref(one);
	bundle_unref(two);
	for (unsigned i = 10; i < 40; i++)
		bundle_unref(live(v, made(NULL, i)));
	ok(folders() == VERSIONS_KEPT, "twenty are kept");
}

/* Opened anew, it is readable, and what it says is live is there. */
static bool sound(void)
{
	struct versions_state now;
	struct versions *v;
	struct bundle *b;
	struct err err = { 0 };
	bool good;

	if (versions_open(data, &v, &err)) {
		printf("# %s\n", err.msg);
		return false;
	}
	versions_now(v, &now);
	good = !versions_read(v, now.live, &b, &err);
	if (good)
		bundle_unref(b);
	else
		printf("# %s\n", err.msg);
	versions_close(v);
	return good;
}

static void killed(void)
{
	unsigned bad = 0;

	fflush(stdout);
	for (unsigned round = 0; round < 40; round++) {
		pid_t pid = fork();

		if (!pid) {
			struct versions *v;

			if (versions_open(data, &v, NULL))
				_exit(1);
			for (unsigned i = 0;; i++)
				bundle_unref(live(v, made(i % 3 ? NULL : "first", round * 1000 + i)));
		}
		usleep(1000 + round * 700);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		bad += !sound();
	}
	ok(!bad, "killed forty times while it writes: the old one or the new one is live, and whole");
}

/* ---- guards */

static bool denies(struct bundle *b, const char *model)
{
	struct policy_state *s = policy_state_new(b, NULL);
	struct pool *pool = pool_new(1 << 20);
	struct decision d;
	struct denial no = { 0 };
	bool admitted;

	decision_init(&d, pool);
	d.facts.id = word_of("gen-1");
	d.facts.model = word_of(model);
	admitted = policy_admit(s, &d, &no);
	pool_free(pool);
	policy_state_free(s);
	return !admitted && !strcmp(no.code, "no");
}

static struct bundle *back(struct versions *v, const struct bundle *to, struct bundle *from)
{
	struct cause c = { "rollback", "", "tester", false };
	struct bundle *kept = NULL;
	struct err err = { 0 };

	if (versions_take_older(v, bundle_hash(to), from, &kept, &err) || versions_live(v, kept, &c, &err))
		printf("# %s\n", err.msg);
	return kept;
}

static void guards_stay(struct versions *v)
{
	struct bundle *plain = live(v, made(NULL, 100)), *first = live(v, made("first", 101)), *second = live(v, made("second", 102)), *at[4], *kept;
	struct bundle *third = live(v, made("third", 103));
	struct err err = { 0 };

	ok(versions_take(v, plain, second, NULL, &kept, &err) == MG_EPROTO && strstr(err.msg, "second"), "what lacks a guard is not taken");
	at[0] = back(v, first, second);
	ok(denies(at[0], "x/first") && denies(at[0], "x/second") && !denies(at[0], "x/other"), "gone back: its own guards and those of its successor");
	at[1] = back(v, plain, at[0]);
	ok(denies(at[1], "x/first") && denies(at[1], "x/second") && !denies(at[1], "x/other"), "from there once more: all of them");
	at[2] = back(v, third, at[1]);
	ok(denies(at[2], "x/first") && denies(at[2], "x/second") && denies(at[2], "x/third"), "and once more, to one with a third");
	at[3] = back(v, plain, at[2]);
	ok(denies(at[3], "x/first") && denies(at[3], "x/second") && denies(at[3], "x/third") && !denies(at[3], "x/other"), "none is ever lost");
	kept = back(v, plain, at[3]);
	ok(!strcmp(bundle_hash(kept), bundle_hash(at[3])), "the same twice is the same, and no larger");
	bundle_unref(kept);
	kept = back(v, first, NULL);
	ok(!strcmp(bundle_hash(kept), bundle_hash(first)), "unless guards may go");
	bundle_unref(kept);
	for (int i = 0; i < 4; i++)
		bundle_unref(at[i]);
	bundle_unref(plain);
	bundle_unref(first);
	bundle_unref(second);
	bundle_unref(third);
}

/* ---- the circuit */

/* n requests, of which every one whose number is a multiple of `each` makes `rank` fail; "" or why it opened. */
static const char *after(const char *code, unsigned n, unsigned each, size_t endpoints)
{
	static char why[200];
	struct world w;
	const char *tripped;
	struct denial no;

	world_init(&w);
	world_file(&w, "p.lua", code);
	for (size_t i = 0; i < endpoints; i++)
		world_endpoint(&w, 0, i ? "beta" : "alpha", 1, 1);
	if (!world_open(&w, "return { base = \"openrouter\", policies = { guard = { { use = \"p\" } } } }"))
		printf("# %s\n", w.err.msg);
	for (unsigned i = 1; i <= n; i++) {
		world_ask(&w);
		w.d.facts.feat.user_chars = i % each ? 0 : 99;
		world_route(&w, &no);
	}
	tripped = bundle_tripped(w.bundle);
	snprintf(why, sizeof(why), "%s", tripped ? tripped : "");
	world_release(&w);
	return why;
}

static void circuit(void)
{
	static const char ranks[] = "return policy { name = \"p\", api = 1,\n rank = function(req, eps) if req.feat.user_chars == 99 then error(\"secret \" .. req.model) end return eps end }";
	static const char filters[] = "return policy { name = \"p\", api = 1,\n filter = function(req, ep) if req.feat.user_chars == 99 then error(\"no\") end return true end }";
	static const char nonsense[] = "return policy { name = \"p\", api = 1,\n rank = function(req, eps) return req.feat.user_chars == 99 and 7 or eps end }";

	ok(!*after(ranks, 300, 1000, 2), "300 good requests");
	ok(!*after(ranks, 4, 1, 2), "four bad ones are few");
	ok(strstr(after(ranks, 300, 3, 2), "more than 1 %") && strstr(after(ranks, 300, 3, 2), "rank at p.lua:2"), "one in three: said with the line");
	ok(!strstr(after(ranks, 300, 3, 2), "secret"), "and without what was raised");
	ok(!*after(ranks, 1200, 300, 2), "one in 300 requests");
	ok(*after(nonsense, 300, 3, 2), "an answer that is none counts, too");
	ok(!*after(filters, 4, 1, 30), "four requests of thirty candidates each, all failed: it may be they that are strange");
	ok(*after(filters, 6, 1, 30), "six are enough");
}

static int gone(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

int main(void)
{
	struct versions *v;
	struct err err = { 0 };

	log_max = LOG_ERROR;
	policy_shared_init();
	snprintf(data, sizeof(data), "/tmp/versions-XXXXXX");
	if (!mkdtemp(data) || versions_open(data, &v, &err)) {
		printf("# %s\n", err.msg);
		return 1;
	}
	kept_whole(v);
	guards_stay(v);
	versions_close(v);
	killed();
	circuit();
	nftw(data, gone, 16, FTW_DEPTH | FTW_PHYS);
	return tap_done();
}
