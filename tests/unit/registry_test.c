#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/registry.h"
#include "tap.h"

extern char **environ;

static char dir[] = "/tmp/moongate-registry-XXXXXX";

/* What each planted plugin has instead of the usual. */
static const char source[] =
	"#include \"moongate.h\"\n"
	"#ifndef SIZE\n#define SIZE sizeof(struct mg_plugin)\n#endif\n"
	"#ifndef OP_SIZE\n#define OP_SIZE sizeof(struct mg_operation)\n#endif\n"
	"#ifndef MAJOR\n#define MAJOR MG_ABI_MAJOR\n#endif\n"
	"#ifndef MINOR\n#define MINOR MG_ABI_MINOR\n#endif\n"
	"#ifndef NAME\n#define NAME \"planted\"\n#endif\n"
	"#ifndef MAGIC\n#define MAGIC MG_MAGIC\n#endif\n"
	"#ifndef ENTRY\n#define ENTRY mg_plugin_entry\n#endif\n"
	"#ifndef VERSION\n#define VERSION \"1.0.0\"\n#endif\n"
	"#ifndef MORE\n#define MORE\n#endif\n"
	"#ifndef SELF\n#define SELF &self\n#endif\n"
	"static int request(struct mg_call *c, struct mg_http *out) { return MG_OK; }\n"
	"static int frame(struct mg_call *c, const struct mg_frame *f) { return MG_OK; }\n"
	"static const struct mg_operation op = { .size = OP_SIZE, .op = MG_CHAT, .plain = MG_JSON,\n"
	"	.stream = MG_SSE, .request = request, .frame = frame, MORE };\n"
	"static const struct mg_operation *const ops[] = { OPS };\n"
	"static const struct mg_provider provider = { .size = sizeof(provider), .ops = ops };\n"
	"static const struct mg_plugin self = { MAGIC, MAJOR, MINOR, SIZE, NAME, VERSION, \"planted\", &provider, NULL };\n"
	"__attribute__((visibility(\"default\"))) const struct mg_plugin *ENTRY(void);\n"
	"const struct mg_plugin *ENTRY(void) { return SELF; }\n"
	"#ifdef CRASH\n__attribute__((constructor)) static void crash(void) { __builtin_trap(); }\n#endif\n"
	"#ifdef LEAVE\n#include <stdlib.h>\n__attribute__((constructor)) static void leave(void) { exit(3); }\n#endif\n";

static bool run(char *const argv[])
{
	pid_t pid;
	int status;

	return !posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) && waitpid(pid, &status, 0) == pid && !status;
}

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static int n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

static bool build(const char *name, const char *define)
{
	char c[256], so[256], d1[128], *more = "-DNOTHING";
	const char *ops = strstr(define, "-DOPS=") ? "-DNO_OPS" : "-DOPS=&op, NULL";
	FILE *f;

	snprintf(c, sizeof(c), "%s", in_dir("planted.c"));
	snprintf(so, sizeof(so), "%s", in_dir(name));
	snprintf(d1, sizeof(d1), "%s", *define ? define : more);
	f = fopen(c, "w");
	if (!f)
		return false;
	fputs(source, f);
	fclose(f);
	return run((char *[]){ "cc", "-shared", "-fPIC", "-fvisibility=hidden", "-Isdk", "-w", d1, (char *)ops, "-o", so, c, NULL });
}

static const struct { const char *name, *define, *refusal; } planted[] = {
	{ "a plugin as it should be",			"", NULL },
	{ "one that never heard of pass-through",	"-DOP_SIZE=offsetof(struct mg_operation,surface)", NULL },
	{ "a newer minor",				"-DMINOR=MG_ABI_MINOR+1", "upgrade the gateway" },
	{ "an older minor",				"-DMINOR=0", NULL },
	{ "a newer major",				"-DMAJOR=3", "wants ABI 3.0, this gateway has 2.0" },
	{ "an older major",				"-DMAJOR=1", "wants ABI 1.0, this gateway has 2.0: build the plugin again" },
	{ "another magic number",			"-DMAGIC=1", "its magic number is another" },
	{ "a plugin struct that was cut short",		"-DSIZE=40", "struct mg_plugin is cut short (40 bytes)" },
	{ "an operation that was cut short",		"-DOP_SIZE=24", "operation 0 is cut short" },
	{ "no entry",					"-DENTRY=other_entry", "does not export mg_plugin_entry" },
	{ "an entry that gives nothing",		"-DSELF=NULL", "gave NULL" },
	{ "a name with capitals",			"-DNAME=\"Planted\"", "not of [a-z0-9-]" },
	{ "a version that is none",			"-DVERSION=\"new\"", "not like 1.2.3" },
	{ "no operation",				"-DOPS=NULL", "offers no operation" },
	{ "an operation twice",				"-DOPS=&op, &op, NULL", "is there twice" },
	{ "a framing from the future",			"-DMORE=.stream=99", "has a framing" },
	{ "16 MiB of state",				"-DMORE=.state_size=1<<24", "more than 1 MiB of state" },
	{ "pass-through without a meter",		"-DMORE=.surface=\"chat\"", "has no meter()" },
	{ "a constructor that crashes",			"-DCRASH", "crashed while it was loaded" },
	{ "a constructor that ends the process",	"-DLEAVE", "ended the process while it was loaded" },
};

static void test_planted(void)
{
	for (size_t i = 0; i < sizeof(planted) / sizeof(planted[0]); i++) {
		char file[32];
		struct plugin p;
		struct err err = { MG_OK, "" };
		int rc;

		snprintf(file, sizeof(file), "planted%zu.so", i);
		if (!build(file, planted[i].define)) {
			ok(false, "the compiler makes a plugin");
			continue;
		}
		rc = plugin_open(&p, in_dir(file), NULL, &err);
		ok(planted[i].refusal ? rc < 0 && strstr(err.msg, planted[i].refusal) : rc == MG_OK, planted[i].name);
		if (rc && !(planted[i].refusal && strstr(err.msg, planted[i].refusal)))
			printf("# %s\n", err.msg);
	}
}

static bool refused(const char *path, const char *why)
{
	struct plugin p;
	struct err err = { MG_OK, "" };
	bool as_wanted = plugin_open(&p, path, NULL, &err) < 0 && strstr(err.msg, why);

	if (!as_wanted)
		printf("# %s\n", err.msg);
	return as_wanted;
}

static void test_files(void)
{
	char dir_so[256];
	struct plugin p;

	build("good.so", "");
	snprintf(dir_so, sizeof(dir_so), "%s", in_dir("good.so"));
	chmod(dir_so, 0775);
	ok(refused(dir_so, "can be written by others: chmod go-w"), "a file that its group can write");
	chmod(dir_so, 0757);
	ok(refused(dir_so, "can be written by others"), "a file that everybody can write");
	chmod(dir_so, 0755);
	ok(symlink("good.so", in_dir("link.so")) == 0 && refused(in_dir("link.so"), "symbolic link"), "a symbolic link");
	ok(mkfifo(in_dir("pipe.so"), 0700) == 0 && refused(in_dir("pipe.so"), "is no file"), "a pipe, without waiting for it");
	ok(mkdir(in_dir("dir.so"), 0700) == 0 && refused(in_dir("dir.so"), "is no file"), "a folder");
	ok(refused(in_dir("none.so"), "No such file"), "a file that is not there");
	ok(refused("", "names no file") && refused("/", "names no file"), "no name at all");
	chmod(dir, 0770);
	ok(refused(dir_so, "can be written by others"), "a folder that its group can write");
	chmod(dir, 01777);
	ok(plugin_open(&p, dir_so, NULL, NULL) == MG_OK, "a folder for all that is sticky is fine");
	chmod(dir, 0700);
	if (geteuid() == 0) {
		ok(chown(dir_so, 12345, 0) == 0 && refused(dir_so, "belongs to user 12345"), "a file of somebody else");
		ok(chown(dir_so, 0, 0) == 0 && chown(dir, 12345, 0) == 0 && refused(dir_so, "belongs to user"),
			"a folder of somebody else");
		ok(chown(dir, 0, 0) == 0, "and back");
	} else {
		printf("ok %d - # SKIP owners need root\n", ++tap_n);
	}
	ok(plugin_open(&p, dir_so, NULL, NULL) == MG_OK, "the file itself was fine all the time");
}

static void make_sub(const char *name)
{
	mkdir(in_dir(name), 0755);
}

static void test_table(void)
{
	struct registry *r = registry_new();
	struct err err = { MG_OK, "" };
	const struct mg_plugin *first, *second;
	char base[256];

	make_sub("set");
	make_sub("set/providers");
	snprintf(base, sizeof(base), "%s", in_dir("set"));
	build("set/providers/one.so", "-DNAME=\"one\"");
	build("set/two.so", "-DNAME=\"two\"");
	ok(registry_load(r, base, NULL, &err) == MG_OK && registry_count(r) == 2, "every .so of a folder and of providers/");
	first = registry_find(r, "one");
	ok(first && registry_find(r, "two") && !registry_find(r, "three"), "is found by its name");
	ok(registry_load(r, base, NULL, &err) == MG_OK && registry_count(r) == 2 && registry_find(r, "one") == first,
		"what did not change is not loaded again");

	build("new.so", "-DNAME=\"one\"");
	rename(in_dir("new.so"), in_dir("set/providers/one.so"));
	ok(registry_load(r, base, NULL, &err) == MG_OK && registry_count(r) == 2, "a file that was replaced");
	second = registry_find(r, "one");
	ok(second && second != first, "is found instead of its older copy");
	ok(!strcmp(first->name, "one") && !first->provider->ops[0]->request(NULL, NULL), "which stays mapped");

	build("set/three.so", "-DNAME=\"three\"");
	build("set/zzz.so", "-DMAJOR=9");
	ok(registry_load(r, base, NULL, &err) == MG_EINVAL && strstr(err.msg, "wants ABI 9.0"), "one refusal stops the load");
	ok(registry_count(r) == 2 && !registry_find(r, "three"), "and nothing of it takes effect");
	unlink(in_dir("set/zzz.so"));
	ok(registry_load(r, base, NULL, &err) == MG_OK && registry_find(r, "three"), "until the bad file is gone");

	build("set/again.so", "-DNAME=\"two\"");
	ok(registry_load(r, base, NULL, &err) == MG_EINVAL && strstr(err.msg, "both called 'two'"), "two files of one name");
	unlink(in_dir("set/again.so"));
	ok(registry_load(r, in_dir("nowhere"), NULL, &err) == MG_EINVAL && strstr(err.msg, "plugins' folder"), "no such folder");
	ok(registry_at(r, 0) && !registry_at(r, 3) && fcntl(registry_at(r, 0)->fd, F_GETFD) >= 0,
		"each keeps its descriptor open");
	registry_free(r);
}

/* A list says what may be loaded: at the first load, and at each that finds it loaded (R67). */
static void test_sums(void)
{
	struct registry *r = registry_new();
	struct err err = { MG_OK, "" };
	char base[256], sum[SHA256_HEX + 1];
	const char *list[] = { "", sum };
	struct sums none = { list, 1 }, both = { list, 2 };
	struct plugin p;

	make_sub("sums");
	snprintf(base, sizeof(base), "%s", in_dir("sums"));
	build("sums/a.so", "-DCRASH");
	ok(registry_load(r, base, &none, &err) == MG_EDENIED && strstr(err.msg, "plugins.sha256"), "a file that is not listed is not even tried");
	build("sums/a.so", "");
	ok(plugin_open(&p, in_dir("sums/a.so"), NULL, &err) == MG_OK && strlen(p.sum) == SHA256_HEX, "its sum is told");
	memcpy(sum, p.sum, sizeof(sum));
	ok(registry_load(r, base, &both, &err) == MG_OK && registry_find(r, "planted"), "a file that is listed is loaded");
	ok(registry_load(r, base, &none, &err) == MG_EDENIED && strstr(err.msg, sum) && registry_find(r, "planted"),
		"one that is listed no more stops the load, and stays");
	ok(registry_load(r, base, &(struct sums){ NULL, 0 }, &err) == MG_OK, "no list: any");
	registry_free(r);
}

/* Nothing is unmapped, so that it cannot go on for ever (R69). */
static void test_many(void)
{
	enum { FILES = 257 };
	struct registry *r = registry_new();
	struct err err = { MG_OK, "" };
	char base[256];
	int loads = 0;

	make_sub("many");
	snprintf(base, sizeof(base), "%s", in_dir("many"));
	build("many/a.so", "");
	while (loads < FILES && registry_load(r, base, NULL, &err) == MG_OK) {
		char *const copy[] = { "cp", (char *)in_dir("many/a.so"), (char *)in_dir("next"), NULL };

		loads++;
		if (!run(copy) || rename(in_dir("next"), in_dir("many/a.so")))
			break;
	}
	ok(loads == FILES - 1 && strstr(err.msg, "restart to load more") && registry_find(r, "planted"), "after 256 loads none is added, and the last one stays");
	registry_free(r);
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	test_planted();
	test_files();
	test_table();
	test_sums();
	test_many();
	run((char *[]){ "rm", "-rf", dir, NULL });
	return tap_done();
}
