#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/check.h"
#include "tap.h"

extern char **environ;

static char dir[] = "/tmp/moongate-check-XXXXXX", said[16384];

static bool run(char *const argv[])
{
	pid_t pid;
	int status;

	return !posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) && waitpid(pid, &status, 0) == pid && !status;
}

static void on_line(void *arg, const char *line)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%s\n", line);
}

/* The template's plugin, with lines of its source changed by sed. */
static int check(const char *sed)
{
	char source[128], so[128];

	snprintf(source, sizeof(source), "%s/bad.c", dir);
	snprintf(so, sizeof(so), "%s/bad.so", dir);
	said[0] = '\0';
	if (!run((char *[]){ "cp", "sdk/template/acme.c", source, NULL }) ||
	    !run((char *[]){ "sed", "-i", (char *)sed, source, NULL }) ||
	    !run((char *[]){ "cc", "-w", "-shared", "-fPIC", "-fvisibility=hidden", "-Isdk", "-o", so, source, NULL }))
		return -1;
	return plugin_check(so, on_line, NULL);
}

static const struct { const char *name, *sed; int bad; const char *says; } cases[] = {
	{ "the template itself", "", 0, "1..12" },
	{ "a plugin that keeps memory of its own", "/struct mg_view ask/s/^/*(volatile char *)malloc(64) = 1;/;1i #include <stdlib.h>",
		2, "take memory from host->alloc" },
	{ "one that crashes where the answer is short", "s/[.]frame = frame,/& .finish = finish,/;"
		"/^static const struct mg_operation chat/i static int finish(struct mg_call *c) { return *(volatile int *)8; }", 6, "it crashes" },
	{ "one that does not look whether it got memory", "s/if (!body ||/if (/", 2, "it crashes" },
	{ "one that keeps a global between frames", "/^static int frame/i static int calls;\n"
		"/struct mg_str say = c->host/s/^/if (++calls % 3 == 0) return c->host->fail(c, MG_EINVAL, \"x\");/", 2, "other events" },
	{ "one that exports more", "s/^static int failure/__attribute__((visibility(\"default\"))) int failure/", 1, "exports 'failure' too" },
};

static void test_new(void)
{
	char to[128], file[160], so[160];
	struct err err = { MG_OK, "" };

	snprintf(to, sizeof(to), "%s/moon-base", dir);
	snprintf(file, sizeof(file), "%s/moon-base.c", to);
	snprintf(so, sizeof(so), "%s/moon-base.so", to);
	ok(plugin_new("moon-base", "sdk/template", to, &err) == MG_OK, "a copy of the template");
	ok(!access(file, R_OK) && run((char *[]){ "cc", "-shared", "-fPIC", "-fvisibility=hidden", "-Isdk", "-o", so, file, NULL }),
		"whose files have the new name, and compile");
	said[0] = '\0';
	ok(plugin_check(so, on_line, NULL) == 0 && strstr(said, "# moon-base 0.1.0"), "and pass the check");
	ok(plugin_new("moon-base", "sdk/template", to, &err) == MG_EINVAL && strstr(err.msg, "cannot make"), "nothing is written over");
	ok(plugin_new("../x", "sdk/template", to, &err) == MG_EINVAL && strstr(err.msg, "[a-z0-9-]"), "a name is no path");
	ok(plugin_new("x", "sdk/none", to, &err) == MG_EINVAL && strstr(err.msg, "template"), "no template");
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int bad = check(cases[i].sed);

#ifdef SANITIZED	/* which has a malloc of its own, that counts nothing */
		if (strstr(cases[i].says, "host->alloc")) {
			printf("ok %d - # SKIP %s\n", ++tap_n, cases[i].name);
			continue;
		}
#endif
		ok(bad == cases[i].bad && strstr(said, cases[i].says), cases[i].name);
		if (bad != cases[i].bad || !strstr(said, cases[i].says))
			for (char *line = said, *end; *line; line = end + 1) {
				end = strchr(line, '\n');
				printf("#   %d: %.*s\n", bad, (int)(end - line), line);
			}
	}
	test_new();
	run((char *[]){ "rm", "-rf", dir, NULL });
	return tap_done();
}
