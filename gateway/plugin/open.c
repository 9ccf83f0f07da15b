#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/abi.h"
#include "plugin/registry.h"

enum { TRIAL_S = 10 };

typedef const struct mg_plugin *entry_fn(void);

/* Who else may write to it?  A directory for all, such as /tmp, is fine when it
 * is sticky: nobody but its owner can replace what lies in it. */
static int trust(const struct stat *st, const char *path, struct err *err)
{
	bool sticky = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);

	if (st->st_uid != 0 && st->st_uid != geteuid())
		return fail(err, MG_EDENIED, "'%s' belongs to user %u: plugins and their folders belong to root or to "
			"the gateway's user", path, (unsigned)st->st_uid);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) && !sticky)
		return fail(err, MG_EDENIED, "'%s' can be written by others: chmod go-w %s", path, path);
	return MG_OK;
}

/* Every folder above path, which is absolute and without links. */
static int trust_parents(const char *path, struct err *err)
{
	char dir[PATH_MAX];
	struct stat st;
	int rc = MG_OK;

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *slash = strrchr(dir, '/'); !rc && slash; slash = strrchr(dir, '/')) {
		bool root = slash == dir;

		slash[root] = '\0';
		if (stat(dir, &st) < 0)
			return fail(err, MG_EDENIED, "cannot look at '%s': %s", dir, strerror(errno));
		rc = trust(&st, dir, err);
		if (root)
			break;
	}
	return rc;
}

/* The path with its folders resolved, and its last part as it is. */
static int resolve(const char *path, char out[PATH_MAX], struct err *err)
{
	char dir[PATH_MAX], full[PATH_MAX];
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	int n;

	if (!*name || strlen(path) >= sizeof(dir))
		return fail(err, MG_EINVAL, "'%.100s' names no file", path);
	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	if (!realpath(dir, full))
		return fail(err, MG_EINVAL, "cannot open '%s': %s", path, strerror(errno));
	n = snprintf(out, PATH_MAX, "%s/%s", strcmp(full, "/") ? full : "", name);
	return n < PATH_MAX ? MG_OK : fail(err, MG_EINVAL, "'%.100s...' is too long a path", path);
}

static int open_checked(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), rc;
	struct stat st;

	if (fd < 0)
		return fail(err, MG_EINVAL, "cannot open '%s': %s", path,
			errno == ELOOP ? "a symbolic link is not followed, name the file itself" : strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		rc = fail(err, MG_EINVAL, "'%s' is no file", path);
	else
		rc = trust(&st, path, err);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

static int sum_of(int fd, struct plugin *p, struct err *err)
{
	struct stat st;
	void *at;

	if (fstat(fd, &st) < 0 || st.st_size <= 0)
		return fail(err, MG_EINVAL, "'%s' is empty", p->path);
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return fail(err, MG_EINVAL, "cannot read '%s': %s", p->path, strerror(errno));
	sha256_hex(at, (size_t)st.st_size, p->sum);
	munmap(at, (size_t)st.st_size);
	return MG_OK;
}

int plugin_trusted(const struct plugin *p, const struct sums *sums, struct err *err)
{
	for (size_t i = 0; sums && i < sums->n; i++)
		if (!strcmp(sums->at[i], p->sum))
			return MG_OK;
	return !sums || !sums->n ? MG_OK : fail(err, MG_EDENIED, "'%.300s' is not one of plugins.sha256\n"
		"hint: if it is to be loaded, add \"%s\"", p->path, p->sum);
}

static entry_fn *load(int fd, const char *path, struct err *err)
{
	char seen[32];
	entry_fn *entry;
	void *so;

	/* Load what was checked.  The descriptor stays open for good: dlopen knows
	 * libraries by name and would take the next /proc/self/fd/N for this one. */
	snprintf(seen, sizeof(seen), "/proc/self/fd/%d", fd);
	so = dlopen(seen, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!so) {
		fail(err, MG_EINVAL, "'%s' cannot be loaded: %s", path, dlerror());
		return NULL;
	}
	*(void **)&entry = dlsym(so, MG_ENTRY);
	if (!entry)
		fail(err, MG_EINVAL, "'%s' is no plugin: it does not export " MG_ENTRY, path);
	return entry;
}

/* A constructor that crashes must not take the gateway along: a child goes
 * first.  What the child refuses in words, the parent will refuse again. */
static int trial(int fd, const char *path, struct err *err)
{
	int status = 0;
	pid_t child = fork();

	if (child < 0)
		return fail(err, MG_ENOMEM, "cannot try '%s' in a child process: %s", path, strerror(errno));
	if (!child) {
		entry_fn *entry;

		dup2(open("/dev/null", O_RDWR), STDOUT_FILENO);	/* exit() would flush what the parent printed */
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		for (int sig = 1; sig < 32; sig++)
			signal(sig, SIG_DFL);
		sigprocmask(SIG_SETMASK, &(sigset_t){ { 0 } }, NULL);
		alarm(TRIAL_S);
		entry = load(fd, path, NULL);
		if (entry && entry())
			abi_check(entry(), path, NULL);
		_exit(0);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return MG_OK;	/* somebody else reaps our children */
	if (WIFSIGNALED(status))
		return fail(err, MG_EINVAL, "'%s' %s while it was loaded (%s)", path,
			WTERMSIG(status) == SIGALRM ? "took longer than 10 s" : "crashed", strsignal(WTERMSIG(status)));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return fail(err, MG_EINVAL, "'%s' ended the process while it was loaded", path);
	return MG_OK;
}

int plugin_open(struct plugin *p, const char *path, const struct sums *sums, struct err *err)
{
	char full[PATH_MAX];
	entry_fn *entry;
	int fd, rc = resolve(path, full, err);

	if (!rc)
		rc = trust_parents(full, err);
	if (rc)
		return rc;
	if (strlen(full) >= sizeof(p->path))
		return fail(err, MG_EINVAL, "'%.100s...' is too long a path", full);
	fd = open_checked(full, err);
	if (fd < 0)
		return fd;
	*p = (struct plugin){ .fd = fd };
	memcpy(p->path, full, strlen(full) + 1);
	rc = sum_of(fd, p, err);
	rc = rc ? rc : plugin_trusted(p, sums, err);
	rc = rc ? rc : trial(fd, full, err);
	if (rc) {
		close(fd);
		return rc;
	}
	entry = load(fd, full, err);
	if (!entry)
		return MG_EINVAL;	/* fd stays: something may be mapped under its name */
	p->self = entry();
	return abi_check(p->self, full, err);
}
