#include "plugin/registry.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

enum { LOADS_MAX = 256 };	/* nothing is ever unmapped */

/* current: a look-up finds it.  Not so: a newer copy of its file came, or the
 * load that brought it was refused as a whole. */
struct entry { struct plugin plugin; dev_t dev; ino_t ino; off_t size; struct timespec changed; bool current; };

struct registry { pthread_mutex_t lock; struct entry *at[LOADS_MAX]; size_t n; };

struct registry *registry_new(void)
{
	struct registry *r = calloc(1, sizeof(*r));

	if (r)
		pthread_mutex_init(&r->lock, NULL);
	return r;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		free(r->at[i]);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static struct entry *entry_of(struct registry *r, const struct stat *st)
{
	for (size_t i = r->n; i; i--)
		if (r->at[i - 1]->dev == st->st_dev && r->at[i - 1]->ino == st->st_ino)
			return r->at[i - 1];
	return NULL;
}

/* Two plugins of one name, from two files, would be chance. */
static int name_check(const struct registry *r, const struct entry *e, struct err *err)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->at[i] != e && r->at[i]->current && strcmp(r->at[i]->plugin.path, e->plugin.path) &&
		    !strcmp(r->at[i]->plugin.self->name, e->plugin.self->name))
			return fail(err, MG_EINVAL, "'%s' and '%s' are both called '%s': remove one", r->at[i]->plugin.path,
				e->plugin.path, e->plugin.self->name);
	return MG_OK;
}

static int entry_load(struct registry *r, const char *path, const struct stat *st, const struct sums *sums, struct entry **out, struct err *err)
{
	struct entry *e;
	int rc;

	if (r->n == LOADS_MAX)
		return fail(err, MG_EDENIED, "%d plugins were loaded since the start: restart to load more", LOADS_MAX);
	e = calloc(1, sizeof(*e));
	if (!e)
		return fail(err, MG_ENOMEM, "no memory for a plugin");
	rc = plugin_open(&e->plugin, path, sums, err);
	if (rc) {
		free(e);
		return rc;
	}
	e->dev = st->st_dev;
	e->ino = st->st_ino;
	e->size = st->st_size;
	e->changed = st->st_mtim;
	r->at[r->n++] = *out = e;
	return MG_OK;
}

static int load_file(struct registry *r, const char *path, const struct sums *sums, bool wanted[LOADS_MAX], struct err *err)
{
	struct entry *e;
	struct stat st;
	int rc;

	if (lstat(path, &st) < 0)
		return fail(err, MG_EINVAL, "cannot open '%s': %s", path, strerror(errno));
	e = entry_of(r, &st);
	if (e && (e->size != st.st_size || !same_time(e->changed, st.st_mtim)))
		return fail(err, MG_EINVAL, "'%s' was written over while it is in use: put a new file in its place "
			"(install, or cp and mv), then restart", path);
	rc = e ? plugin_trusted(&e->plugin, sums, err) : entry_load(r, path, &st, sums, &e, err);
	for (size_t i = 0; !rc && i < r->n; i++)
		if (r->at[i] == e)
			wanted[i] = true;
	return rc;
}

static int is_so(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 3 && !strcmp(d->d_name + n - 3, ".so");
}

/* part: "" for dir itself, which must be there, or a sub-folder. */
static int load_dir(struct registry *r, const char *dir, const char *part, const struct sums *sums, bool wanted[LOADS_MAX], struct err *err)
{
	char path[1024];
	struct dirent **names;
	int n, rc = MG_OK;

	if (snprintf(path, sizeof(path), "%s%s", dir, part) >= (int)sizeof(path) - 256)
		return fail(err, MG_EINVAL, "'%.100s...' is too long a path", dir);
	n = scandir(path, &names, is_so, alphasort);
	if (n < 0)
		return errno == ENOENT && *part ? MG_OK :
			fail(err, MG_EINVAL, "cannot read the plugins' folder '%s': %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		char file[1300];

		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		if (!rc)
			rc = load_file(r, file, sums, wanted, err);
		free(names[i]);
	}
	free(names);
	return rc;
}

/* All of them, or none: what was current stays so until the last file is fine. */
static int make_current(struct registry *r, const bool wanted[LOADS_MAX], struct err *err)
{
	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < i; k++)
			if (wanted[i] && wanted[k] && !strcmp(r->at[i]->plugin.self->name, r->at[k]->plugin.self->name))
				return fail(err, MG_EINVAL, "'%s' and '%s' are both called '%s': remove one",
					r->at[k]->plugin.path, r->at[i]->plugin.path, r->at[i]->plugin.self->name);
	for (size_t i = 0; i < r->n; i++) {
		int rc = wanted[i] ? name_check(r, r->at[i], err) : MG_OK;

		if (rc)
			return rc;
	}
	for (size_t i = 0; i < r->n; i++) {
		for (size_t k = 0; wanted[i] && k < r->n; k++)
			if (!strcmp(r->at[i]->plugin.path, r->at[k]->plugin.path))
				r->at[k]->current = false;
		r->at[i]->current |= wanted[i];
	}
	return MG_OK;
}

int registry_load(struct registry *r, const char *dir, const struct sums *sums, struct err *err)
{
	static const char *const parts[] = { "", "/providers", "/stores" };
	bool wanted[LOADS_MAX] = { false };
	int rc = MG_OK;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; !rc && i < sizeof(parts) / sizeof(parts[0]); i++)
		rc = load_dir(r, dir, parts[i], sums, wanted, err);
	if (!rc)
		rc = make_current(r, wanted, err);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

const struct mg_plugin *registry_find(const struct registry *r, const char *name)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&r->lock;	/* the table is, the lock is not const */
	const struct mg_plugin *found = NULL;

	pthread_mutex_lock(lock);
	for (size_t i = 0; !found && i < r->n; i++)
		if (r->at[i]->current && !strcmp(r->at[i]->plugin.self->name, name))
			found = r->at[i]->plugin.self;
	pthread_mutex_unlock(lock);
	return found;
}

/* NULL, and in *n how many there are, when i is past the end. */
static const struct plugin *nth(const struct registry *r, size_t i, size_t *n)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&r->lock;
	const struct plugin *found = NULL;

	*n = 0;
	pthread_mutex_lock(lock);
	for (size_t k = 0; !found && k < r->n; k++)
		if (r->at[k]->current && (*n)++ == i)
			found = &r->at[k]->plugin;
	pthread_mutex_unlock(lock);
	return found;
}

size_t registry_count(const struct registry *r)
{
	size_t n;

	nth(r, SIZE_MAX, &n);
	return n;
}

const struct plugin *registry_at(const struct registry *r, size_t i)
{
	size_t n;

	return nth(r, i, &n);
}
