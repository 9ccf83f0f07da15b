/*
 * backup.c - moongate backup FILE, restore FILE.
 *
 * A backup is one file, taken while others write.  A restore takes the store's
 * lock, so no gateway runs meanwhile; audits the file before and its copy after;
 * and keeps what was there under another name.  Journals stay: what they hold
 * happened after the backup, and the next start carries it over.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli/local.h"
#include "cli/table.h"

int backup_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	char why[256] = "";
	char note[700];
	struct stat st;
	struct cli c;
	int rc = cli_begin(&c, "backup", argc, argv, 1, 1);

	rc = rc ? rc : local_store(&l, &c);
	if (!rc && access(c.argv[0], F_OK) == 0)
		rc = cli_say(EXIT_CONFLICT, "'%s' is there already\nhint: give another name, such as one with the date", c.argv[0]);
	if (!rc && l.ops->backup(l.store, c.argv[0], why))
		rc = cli_say(EXIT_FAILED, "%s", why);
	if (!rc) {
		snprintf(note, sizeof(note), "wrote %.600s, %lld bytes", c.argv[0], stat(c.argv[0], &st) ? 0 : (long long)st.st_size);
		rc = table_done(&c, note, DONE("file", c.argv[0]));
	}
	local_close(&l);
	return rc;
}

/* ------------------------------------------------ restore */

static void on_finding(void *arg, const char *text)
{
	fprintf(stderr, "%s: %s\n", (const char *)arg, text);
}

static int audit_file(struct local *l, const char *path)
{
	char why[256] = "";
	void *handle = NULL;
	int found;

	if (l->ops->open(path, true, &handle, why))
		return cli_say(EXIT_FAILED, "%s", why);
	found = l->ops->audit(handle, on_finding, (void *)path, why);
	l->ops->close(handle);
	if (found < 0)
		return cli_say(EXIT_FAILED, "'%s': %s", path, why);
	return found ? cli_say(EXIT_PROBLEMS, "'%s': the audit has %d findings; nothing was restored", path, found) : EXIT_OK;
}

/* The store's own lock ("<path>.lock"): a damaged store, which is why one restores, cannot be opened to get it. */
static int lock_store(const struct local *l, int *fd)
{
	char name[600];

	snprintf(name, sizeof(name), "%s.lock", l->db);
	*fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return cli_say(EXIT_FAILED, "cannot open '%s': %s", name, strerror(errno));
	if (flock(*fd, LOCK_EX | LOCK_NB))
		return cli_say(EXIT_CONFLICT, "a gateway runs on %s\nhint: stop it first", l->data_dir);
	return EXIT_OK;
}

static int copy_file(struct local *l, const char *from, const char *to)
{
	char why[256] = "";
	void *handle = NULL;
	int rc;

	if (l->ops->open(from, true, &handle, why))
		return cli_say(EXIT_FAILED, "%s", why);
	rc = l->ops->backup(handle, to, why);
	l->ops->close(handle);
	return rc ? cli_say(EXIT_FAILED, "%s", why) : EXIT_OK;
}

static int move(const char *from, const char *to, bool must)
{
	if (rename(from, to) && (must || errno != ENOENT))
		return cli_say(EXIT_FAILED, "cannot rename '%s' to '%s': %s", from, to, strerror(errno));
	return EXIT_OK;
}

/* The old store, with what sqlite keeps beside it, goes aside; the copy takes its place. */
static int swap(const struct local *l, const char *copy, const char *aside)
{
	static const char *const tails[] = { "-wal", "-shm", "" };
	char from[700], to[700];
	int rc = EXIT_OK, dir;

	for (size_t i = 0; !rc && i < sizeof(tails) / sizeof(tails[0]); i++) {
		snprintf(from, sizeof(from), "%s%s", l->db, tails[i]);
		snprintf(to, sizeof(to), "%s%s", aside, tails[i]);
		rc = move(from, to, false);
	}
	rc = rc ? rc : move(copy, l->db, true);
	dir = open(l->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fsync(dir))
		rc = rc ? rc : cli_say(EXIT_FAILED, "cannot sync '%s': %s", l->data_dir, strerror(errno));
	if (dir >= 0)
		close(dir);
	return rc;
}

static int restore(struct local *l, const struct cli *c)
{
	char copy[600], aside[600], day[32], note[1300];
	bool there;
	int rc;

	clock_rfc3339(clock_wall_ms(), day);
	snprintf(copy, sizeof(copy), "%s.restoring", l->db);
	snprintf(aside, sizeof(aside), "%s.before-%s", l->db, day);
	there = access(l->db, F_OK) == 0;
	rc = audit_file(l, c->argv[0]);
	if (!rc && there && !cli_confirm(c, "replace %s by %s?", l->db, c->argv[0]))
		rc = isatty(STDIN_FILENO) ? EXIT_FAILED : EXIT_USAGE;
	if (rc)
		return rc;
	unlink(copy);	/* of a restore that was interrupted; we hold the lock */
	rc = copy_file(l, c->argv[0], copy);
	rc = rc ? rc : audit_file(l, copy);
	rc = rc ? rc : swap(l, copy, aside);
	if (rc) {
		unlink(copy);
		return rc;
	}
	snprintf(note, sizeof(note), "restored %s%s%s", l->db, there ? "; what was there is " : "", there ? aside : "");
	return table_done(c, note, DONE("file", l->db, "kept", there ? aside : NULL));
}

int restore_run(int argc, char **argv)
{
	struct local l = { .ops = NULL };
	const struct mg_plugin *plugin;
	struct cli c;
	int lock = -1, rc = cli_begin(&c, "restore", argc, argv, 1, 1);

	rc = rc ? rc : local_plugins(&l, &c);
	if (!rc) {
		plugin = registry_find(l.plugins, "sqlite");
		l.ops = plugin ? plugin->store : NULL;
		rc = l.ops ? EXIT_OK : cli_say(EXIT_CONFIG, "no store plugin 'sqlite' in %s", l.places.plugins);
	}
	if (!rc && access(c.argv[0], R_OK))
		rc = cli_say(EXIT_NOT_FOUND, "cannot read '%s': %s", c.argv[0], strerror(errno));
	if (!rc && mkdir(l.data_dir, 0700) && errno != EEXIST)
		rc = cli_say(EXIT_FAILED, "cannot make '%s': %s", l.data_dir, strerror(errno));
	rc = rc ? rc : lock_store(&l, &lock);
	rc = rc ? rc : restore(&l, &c);
	if (lock >= 0)
		close(lock);
	local_close(&l);
	return rc;
}
