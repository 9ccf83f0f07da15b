#include "author/versions.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "policy/state.h"

enum { PATH_BYTES = 1024 };
#define BUILD VERSION "-" COMMIT

struct versions { char dir[512]; pthread_mutex_t lock; json_t *state; };

/* ------------------------------------------------ files */

static int sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

/* mkdir -p */
static int make_dirs(const char *path)
{
	char part[PATH_BYTES];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(part, 0700);	/* what fails here fails below, too */
		*slash = '/';
	}
	return mkdir(path, 0700) && errno != EEXIST ? -1 : 0;
}

static int put_file(const char *path, const char *text, size_t len, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool good = fd >= 0;

	for (size_t at = 0; good && at < len;) {
		ssize_t n = write(fd, text + at, len - at);

		good = n > 0;
		at += good ? (size_t)n : 0;
	}
	good = good && !fsync(fd);
	if (fd >= 0)
		good = !close(fd) && good;
	return good ? 0 : fail(err, MG_EINVAL, "cannot write %s: %s", path, strerror(errno));
}

/* A version's folder, or what is left of one. */
static void remove_tree(const char *path)
{
	char below[PATH_BYTES];
	struct dirent *e;
	DIR *d = opendir(path);

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    snprintf(below, sizeof(below), "%s/%s", path, e->d_name) >= (int)sizeof(below))
			continue;
		if (unlink(below) && (errno == EISDIR || errno == EPERM))
			remove_tree(below);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static int put_source(const char *dir, const struct source *f, struct err *err)
{
	char path[PATH_BYTES], place[300], *slash;

	bundle_place(f, place, sizeof(place));
	if (snprintf(path, sizeof(path), "%s/%s", dir, place) >= (int)sizeof(path))
		return fail(err, MG_EINVAL, "%s: the path is too long", place);
	slash = strrchr(path, '/');
	*slash = '\0';
	if (make_dirs(path))
		return fail(err, MG_EINVAL, "cannot make %s: %s", path, strerror(errno));
	*slash = '/';
	return put_file(path, f->text, f->len, err);
}

/* Under another name first: what has its own name is whole. */
static int put_version(struct versions *v, const struct bundle *b, const char *path, struct err *err)
{
	char next[PATH_BYTES];
	int rc = 0;

	snprintf(next, sizeof(next), "%s/.%s", v->dir, bundle_hash(b));
	remove_tree(next);
	if (mkdir(next, 0700))
		return fail(err, MG_EINVAL, "cannot make %s: %s", next, strerror(errno));
	for (size_t i = 0; !rc && i < b->n_files; i++)
		rc = put_source(next, &b->files[i], err);
	if (!rc && (sync_dir(next) || rename(next, path) || sync_dir(v->dir)))
		rc = fail(err, MG_EINVAL, "cannot keep %s: %s", path, strerror(errno));
	if (rc)
		remove_tree(next);
	return rc;
}

static int put_state(struct versions *v, const json_t *state, struct err *err)
{
	char path[PATH_BYTES], next[PATH_BYTES];
	char *text = json_dumps(state, JSON_INDENT(1));
	int rc = text ? 0 : fail(err, MG_ENOMEM, "no memory");

	snprintf(path, sizeof(path), "%s/state.json", v->dir);
	snprintf(next, sizeof(next), "%s/.state.json", v->dir);
	if (!rc)
		rc = put_file(next, text, strlen(text), err);
	if (!rc && (rename(next, path) || sync_dir(v->dir)))
		rc = fail(err, MG_EINVAL, "cannot write %s: %s", path, strerror(errno));
	free(text);
	return rc;
}

int versions_open(const char *data_dir, struct versions **out, struct err *err)
{
	struct versions *v = calloc(1, sizeof(*v));
	char path[PATH_BYTES];
	json_error_t why;

	if (!v)
		return fail(err, MG_ENOMEM, "no memory");
	pthread_mutex_init(&v->lock, NULL);
	snprintf(v->dir, sizeof(v->dir), "%s/policies", data_dir);
	snprintf(path, sizeof(path), "%s/state.json", v->dir);
	if (make_dirs(v->dir)) {
		fail(err, MG_EINVAL, "cannot make %s: %s", v->dir, strerror(errno));
		versions_close(v);
		return MG_EINVAL;
	}
	v->state = access(path, F_OK) ? json_pack("{s:[]}", "versions") : json_load_file(path, 0, &why);
	if (!v->state || !json_is_array(json_object_get(v->state, "versions"))) {
		fail(err, MG_EPROTO, "%s: it cannot be read\nhint: move %s away to begin anew with the configured policies", path, v->dir);
		versions_close(v);
		return MG_EPROTO;
	}
	*out = v;
	return 0;
}

void versions_close(struct versions *v)
{
	if (!v)
		return;
	json_decref(v->state);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

/* ------------------------------------------------ what is kept */

static int read_version(struct versions *v, const char *version, struct bundle **out, struct err *err)
{
	char path[PATH_BYTES];
	struct err why = { 0 };
	struct bundle *b;

	snprintf(path, sizeof(path), "%s/%s", v->dir, version);
	if (bundle_read_kept(path, &b, &why))
		return fail(err, MG_EPROTO, "version %.12s is not there: %.150s", version, why.msg);
	if (strcmp(bundle_hash(b), version)) {
		bundle_unref(b);
		return fail(err, MG_EPROTO, "version %.12s in %s is not what it was: somebody changed it", version, v->dir);
	}
	*out = b;
	return 0;
}

int versions_read(struct versions *v, const char *version, struct bundle **out, struct err *err)
{
	int rc = read_version(v, version, out, err);

	if (!rc && (rc = bundle_try(*out, err)))
		bundle_unref(*out);
	return rc;
}

int versions_keep(struct versions *v, struct bundle *b, struct bundle **kept, struct err *err)
{
	char path[PATH_BYTES];
	struct bundle *there;
	int rc;

	snprintf(path, sizeof(path), "%s/%s", v->dir, bundle_hash(b));
	if (!read_version(v, bundle_hash(b), &there, NULL)) {
		bundle_unref(there);
	} else {
		remove_tree(path);
		rc = put_version(v, b, path, err);
		if (rc)
			return rc;
	}
	return versions_read(v, bundle_hash(b), kept, err);
}

/* ------------------------------------------------ state.json */

static const char *text_of(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? text : "";
}

static int64_t number_of(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static json_t *row_of(const json_t *state, const char *version)
{
	json_t *rows = json_object_get(state, "versions");

	for (size_t i = 0; i < json_array_size(rows); i++)
		if (!strcmp(text_of(json_array_get(rows, i), "version"), version))
			return json_array_get(rows, i);
	return NULL;
}

static bool is_live(const json_t *state, const json_t *row)
{
	return !strcmp(text_of(state, "live"), text_of(row, "version"));
}

void versions_drop(struct versions *v, const struct bundle *b)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/%s", v->dir, bundle_hash(b));
	if (!row_of(v->state, bundle_hash(b)))
		remove_tree(path);
}

/* A path may hold any bytes. */
static json_t *text_json(const char *text)
{
	json_t *t = json_string(text ? text : "");

	return t ? t : json_string("(not UTF-8)");
}

static json_t *guards_of(const struct bundle *b)
{
	json_t *out = json_array();

	for (size_t i = 0; out && i < b->n_guards; i++)
		json_array_append_new(out, json_string(b->guards[i].name));
	return out;
}

/* One thread at a time changes, and reads without the lock: a copy, which is put in
 * place when it is on the disk.  So those who look never wait for that. */
static int replace(struct versions *v, json_t *next, struct err *err)
{
	json_t *before = v->state;
	int rc = put_state(v, next, err);

	if (rc) {
		json_decref(next);
		return rc;
	}
	pthread_mutex_lock(&v->lock);
	v->state = next;
	pthread_mutex_unlock(&v->lock);
	json_decref(before);
	return 0;
}

static json_t *copy_of(const struct versions *v, struct err *err)
{
	json_t *copy = json_deep_copy(v->state);

	if (!copy)
		fail(err, MG_ENOMEM, "no memory");
	return copy;
}

/* The one that is live is the first. */
static void enter(json_t *state, const struct bundle *b, const struct cause *c)
{
	json_t *rows = json_object_get(state, "versions"), *row;
	int64_t now = clock_wall_ms();

	row = row_of(state, text_of(state, "live"));
	if (row)
		json_object_set_new(row, "until_ms", json_integer(now));
	for (size_t i = json_array_size(rows); i-- > 0;)
		if (!strcmp(text_of(json_array_get(rows, i), "version"), bundle_hash(b)))
			json_array_remove(rows, i);
	json_array_insert_new(rows, 0, json_pack("{s:s, s:I, s:s, s:o, s:o, s:s, s:o}", "version", bundle_hash(b), "since_ms", (json_int_t)now,
		"how", c->how, "from", text_json(c->from), "by", text_json(c->by), "build", c->untested ? "" : BUILD, "guards", guards_of(b)));
	json_object_set_new(state, "live", json_string(bundle_hash(b)));
}

int versions_live(struct versions *v, const struct bundle *b, const struct cause *c, struct err *err)
{
	json_t *next = copy_of(v, err), *gone = json_array(), *rows;
	int rc = next ? 0 : MG_ENOMEM;

	if (next) {
		enter(next, b, c);
		rows = json_object_get(next, "versions");
		for (size_t n = json_array_size(rows); n > VERSIONS_KEPT; n--) {
			json_array_append(gone, json_object_get(json_array_get(rows, n - 1), "version"));
			json_array_remove(rows, n - 1);
		}
		rc = replace(v, next, err);
	}
	for (size_t i = 0; !rc && i < json_array_size(gone); i++) {
		char path[PATH_BYTES];

		snprintf(path, sizeof(path), "%s/%s", v->dir, json_string_value(json_array_get(gone, i)));
		remove_tree(path);
	}
	json_decref(gone);
	return rc;
}

/* Of use, not of need: both are logged, too, so a full disk is no reason to fail. */
void versions_refused(struct versions *v, const struct cause *c, const char *why)
{
	json_t *next = copy_of(v, NULL);

	json_object_set_new(next, "last_failure", json_pack("{s:I, s:s, s:o, s:o, s:o}", "at_ms", (json_int_t)clock_wall_ms(),
		"how", c->how, "from", text_json(c->from), "by", text_json(c->by), "message", text_json(why)));
	if (next)
		replace(v, next, NULL);
}

void versions_failed(struct versions *v, const char *version, const char *why)
{
	json_t *next = copy_of(v, NULL);

	json_object_set_new(row_of(next, version), "failed", text_json(why));
	if (next)
		replace(v, next, NULL);
}

int versions_source(struct versions *v, const char *version, struct err *err)
{
	json_t *next;

	if (!strcmp(text_of(v->state, "source"), version))
		return 0;
	next = copy_of(v, err);
	if (!next)
		return MG_ENOMEM;
	json_object_set_new(next, "source", json_string(version));
	return replace(v, next, err);
}

void versions_now(struct versions *v, struct versions_state *out)
{
	json_t *row, *failure;

	pthread_mutex_lock(&v->lock);
	row = row_of(v->state, text_of(v->state, "live"));
	failure = json_object_get(v->state, "last_failure");
	out->since_ms = number_of(row, "since_ms");
	if (number_of(failure, "at_ms") < out->since_ms)
		failure = NULL;
	snprintf(out->live, sizeof(out->live), "%s", text_of(row, "version"));
	snprintf(out->source, sizeof(out->source), "%s", text_of(v->state, "source"));
	snprintf(out->how, sizeof(out->how), "%s", text_of(row, "how"));
	snprintf(out->from, sizeof(out->from), "%s", text_of(row, "from"));
	snprintf(out->failure, sizeof(out->failure), "%s", text_of(failure, "message"));
	pthread_mutex_unlock(&v->lock);
}

bool versions_vetted(struct versions *v, const char *version)
{
	bool vetted;

	pthread_mutex_lock(&v->lock);
	vetted = !strcmp(text_of(row_of(v->state, version), "build"), BUILD);
	pthread_mutex_unlock(&v->lock);
	return vetted;
}

bool versions_before(struct versions *v, int64_t within_ms, char out[static VERSION_HEX + 1])
{
	int64_t now = clock_wall_ms(), latest = -1;
	json_t *rows;

	pthread_mutex_lock(&v->lock);
	rows = json_object_get(v->state, "versions");
	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);
		int64_t until = number_of(row, "until_ms");

		if (is_live(v->state, row) || json_object_get(row, "failed") || until <= latest || (within_ms && now - until > within_ms))
			continue;
		latest = until;
		snprintf(out, VERSION_HEX + 1, "%s", text_of(row, "version"));
	}
	pthread_mutex_unlock(&v->lock);
	return latest >= 0;
}

int versions_find(struct versions *v, const char *begins, char out[static VERSION_HEX + 1], struct err *err)
{
	size_t len = strlen(begins), found = 0;
	json_t *rows;

	pthread_mutex_lock(&v->lock);
	rows = json_object_get(v->state, "versions");
	for (size_t i = 0; len >= 6 && i < json_array_size(rows); i++) {
		const char *version = text_of(json_array_get(rows, i), "version");

		if (strncmp(version, begins, len))
			continue;
		snprintf(out, VERSION_HEX + 1, "%s", version);
		found++;
	}
	pthread_mutex_unlock(&v->lock);
	if (found == 1)
		return 0;
	return fail(err, MG_EDENIED, found ? "'%.64s' begins more than one version" :
		"no version '%.64s' is kept\nhint: 'moongate policy list' shows them; six digits of one are enough", begins);
}

/* ------------------------------------------------ for people */

static void put_time(json_t *to, const char *name, const json_t *from, const char *ms)
{
	char text[32];

	if (!number_of(from, ms))
		return;
	clock_rfc3339(number_of(from, ms), text);
	json_object_set_new(to, name, json_string(text));
}

static void put_texts(json_t *to, const json_t *from, const char *const *names)
{
	for (; *names; names++)
		if (json_object_get(from, *names))
			json_object_set_new(to, *names, json_deep_copy(json_object_get(from, *names)));
}

/* Copies: what they show may be replaced as soon as the lock is let go. */
static json_t *told(const struct versions *v, const json_t *row)
{
	static const char *const names[] = { "version", "how", "from", "by", "guards", "failed", NULL };
	json_t *out = json_object();

	put_texts(out, row, names);
	json_object_set_new(out, "live", json_boolean(is_live(v->state, row)));
	put_time(out, "since", row, "since_ms");
	put_time(out, "until", row, "until_ms");
	return out;
}

static json_t *told_failure(const json_t *failure)
{
	static const char *const names[] = { "how", "from", "by", "message", NULL };
	json_t *out;

	if (!failure)
		return json_null();
	out = json_object();
	put_texts(out, failure, names);
	put_time(out, "at", failure, "at_ms");
	return out;
}

void versions_print(struct versions *v, struct buf *out)
{
	json_t *list = json_array(), *all, *rows;
	char *text;

	pthread_mutex_lock(&v->lock);
	rows = json_object_get(v->state, "versions");
	for (size_t i = 0; i < json_array_size(rows); i++)
		json_array_append_new(list, told(v, json_array_get(rows, i)));
	all = json_pack("{s:o, s:o}", "data", list, "last_failure", told_failure(json_object_get(v->state, "last_failure")));
	pthread_mutex_unlock(&v->lock);
	text = all ? json_dumps(all, JSON_COMPACT | JSON_EMBED) : NULL;
	buf_text(out, text ? text : "\"data\":[],\"last_failure\":null");
	free(text);
	json_decref(all);
}

struct bundle *versions_bundle(struct versions *v, struct bundle *live, const char *digits)
{
	char version[VERSION_HEX + 1];
	struct bundle *b;
	struct err err;

	if (live && *digits && !strncmp(bundle_hash(live), digits, strlen(digits)))
		return bundle_ref(live);
	if (!v || versions_find(v, digits, version, &err) || versions_read(v, version, &b, &err))
		return NULL;
	return b;
}
