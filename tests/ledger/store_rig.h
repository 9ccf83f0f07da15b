/* store_rig.h - a folder of its own and the real store plugin, for a test. */
#ifndef TESTS_STORE_RIG_H
#define TESTS_STORE_RIG_H

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/keep.h"
#include "moongate_store.h"

#define RIG_KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char rig_dir[128];
static char rig_why[256];		/* what the store last said */
static const struct mg_store *rig_ops;	/* after rig_start() */

/* All of it, for ever. */
static inline struct permit rig_permit(enum sink s)
{
	return keep_permit(&(struct keep){ .store = KEEP_FULL, .ttl_s = UINT64_MAX, .cache = true, .sinks = ALL_SINKS }, s, 0);
}

static inline void rig_empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[512];

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			unlink(path);
	}
	if (d)
		closedir(d);
}

static inline void rig_clean(void)
{
	rig_empty(rig_dir);
	rmdir(rig_dir);
}

/* The plugin lies beside the test in the build tree. */
static inline const struct mg_plugin *rig_plugin(void)
{
	const struct mg_plugin *(*entry)(void) = NULL;
	char self[PATH_MAX] = "", path[PATH_MAX + 64];
	void *so;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		exit(99);
	for (int up = 0; up < 3; up++)
		*strrchr(self, '/') = '\0';
	snprintf(path, sizeof(path), "%s/plugins/stores/sqlite.so", self);
	so = dlopen(path, RTLD_NOW);
	if (so)
		*(void **)&entry = dlsym(so, MG_ENTRY);
	if (!entry) {
		printf("Bail out! %s: make builds it\n", dlerror());
		rig_clean();
		exit(99);
	}
	return entry();
}

/* In a fresh folder in $TMPDIR. */
static inline const struct mg_plugin *rig_start(void)
{
	const struct mg_plugin *plugin;
	const char *tmp = getenv("TMPDIR");

	snprintf(rig_dir, sizeof(rig_dir), "%.60s/moongate-store-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(rig_dir))
		exit(99);
	plugin = rig_plugin();
	rig_ops = plugin->store;
	return plugin;
}

static inline char *rig_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", rig_dir, name);
	return path;
}

static inline void *rig_open(const char *name, bool read_only)
{
	void *handle = NULL;

	return rig_ops->open(rig_path(name), read_only, &handle, rig_why) ? NULL : handle;
}

/* In a transaction of its own. */
static inline int rig_put(void *handle, enum mg_store_row kind, const void *row)
{
	int rc = rig_ops->begin(handle, rig_why);

	rc = rc ? rc : rig_ops->put(handle, kind, row, rig_why);
	if (!rc)
		return rig_ops->commit(handle, rig_why);
	rig_ops->rollback(handle);
	return rc;
}

static inline struct mg_store_generation rig_generation(const char *gen, const char *attempt, int64_t charge)
{
	return (struct mg_store_generation){ .size = sizeof(struct mg_store_generation), .attempt_id = attempt, .generation_id = gen,
		.key_hash = RIG_KEY, .model = "m", .provider = "acme", .charge_nusd = charge, .cost_nusd = charge / 2, .loss_nusd = 1,
		.at_ms = 1000, .delivered = true, .json = "{\"data\":{\"id\":\"x\"}}" };
}

static inline bool rig_find(void *arg, const void *row)
{
	++*(size_t *)arg;
	return true;
}

/* How many rows of a kind; where as in each(). */
static inline size_t rig_count(const struct mg_store *ops, void *handle, enum mg_store_row kind, const char *where)
{
	char why[256];
	size_t n = 0;

	return ops->each(handle, kind, where, 0, 0, rig_find, &n, why) ? 999999 : n;
}

static inline void rig_finding(void *arg, const char *text)
{
	printf("# audit: %s\n", text);
}

/* How many findings; 999: it cannot be opened. */
static inline size_t rig_audited(const struct mg_store *ops, const char *name)
{
	char why[256] = "";
	void *h = NULL;
	size_t n;

	if (ops->open(rig_path(name), true, &h, why))
		return 999;
	n = (size_t)ops->audit(h, rig_finding, NULL, why);
	ops->close(h);
	return n;
}

#endif
