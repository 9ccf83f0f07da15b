#include "store/parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/record.h"

enum { READ_BYTES = 256 << 10 };

/* ---- one row */

/* A row that the store will never take must not hold up the rest; it is kept aside. */
static int refuse(struct store *s, struct mg_str record, const char *why, struct err *err)
{
	char path[4200];
	int fd;
	ssize_t n;

	log_at(LOG_ERROR, EV_STORE_ERROR, NULL, LOG_S("error", why), LOG_S("kept_in", "refused.journal"));
	snprintf(path, sizeof(path), "%s/refused.journal", s->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(err, MG_ENOMEM, "cannot open '%.150s': %s", path, strerror(errno));
	n = write(fd, record.at, record.len);
	if (n == (ssize_t)record.len && !fdatasync(fd)) {
		close(fd);
		return MG_OK;
	}
	close(fd);
	return fail(err, MG_ENOMEM, "cannot write '%.150s'", path);
}

static int put(struct store *s, enum mg_store_row kind, const void *row, struct mg_str record, struct err *err)
{
	char why[256] = "";
	int rc = s->ops->put(s->handle, kind, row, why);

	if (!rc)
		return MG_OK;
	if (rc == MG_EINVAL)
		return record.at ? refuse(s, record, why, err) : MG_OK;
	return fail(err, rc, "%s", why);
}

static int begin(struct store *s, struct err *err)
{
	char why[256] = "";
	int rc = s->ops->begin(s->handle, why);

	return rc ? fail(err, rc, "%s", why) : MG_OK;
}

static int commit(struct store *s, struct err *err)
{
	char why[256] = "";
	uint64_t t = clock_us();
	int rc = s->ops->commit(s->handle, why);

	t = clock_us() - t;
	if (s->committed)
		s->committed(t);
	return rc ? fail(err, rc, "%s", why) : MG_OK;
}

/* ---- a segment */

static ssize_t fill(struct store *s, int fd, size_t at, size_t want)
{
	ssize_t n;

	buf_reset(&s->bytes);
	if (s->bytes.size < want) {
		static const char zeros[4096];

		while (s->bytes.len < want && !s->bytes.failed)
			buf_put(&s->bytes, zeros, sizeof(zeros));
		buf_reset(&s->bytes);
	}
	if (s->bytes.size < want) {
		errno = ENOMEM;
		return -1;
	}
	do
		n = pread(fd, s->bytes.at, want, (off_t)at);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Rows of fd from *at up to end, until the group has its rows.  Reports what is
 * torn and steps over it. */
static int carry_file(struct store *s, int fd, size_t *at, size_t end, size_t *rows, size_t *torn, struct err *err)
{
	size_t want = READ_BYTES;

	while (*at < end && *rows < GROUP_ROWS) {
		ssize_t n = fill(s, fd, *at, end - *at < want ? end - *at : want);
		size_t seen = 0;

		if (n <= 0)
			return fail(err, MG_EPROTO, "cannot read the journal: %s", n ? strerror(errno) : "it ends too early");
		while (*rows < GROUP_ROWS) {
			struct mg_str record = { s->bytes.at + seen, 0 };
			enum mg_store_row kind;
			union record_row row;
			int64_t size = record_read(record.at, (size_t)n - seen, &kind, &row);
			int rc;

			if (size > 0) {
				record.len = (size_t)size;
				rc = put(s, kind, &row, record, err);
				if (rc)
					return rc;
				seen += record.len;
				++*rows;
			} else if (!size && *at + (size_t)n < end) {
				break;		/* the rest of it is in the file */
			} else if ((size_t)n > seen) {
				size_t skip = record_resync(record.at, (size_t)n - seen);

				*torn += skip;
				seen += skip;
			} else {
				break;
			}
		}
		*at += seen;
		want = seen ? READ_BYTES : RECORD_MAX + RECORD_HEADER;
	}
	return MG_OK;
}

static int carry_segment(struct store *s, struct segment *seg, size_t *rows, struct err *err)
{
	size_t torn = 0, end = atomic_load_explicit(&seg->written, memory_order_acquire);
	int rc;

	seg->reading = seg->carried;
	rc = carry_file(s, seg->fd, &seg->reading, end, rows, &torn, err);
	/* nothing tears while its worker lives: whatever did this, money is not safe here (R100).  A start takes what is whole. */
	return torn ? fail(err, MG_EPROTO, "the journal was changed behind our back: %zu bytes of it are no entries", torn) : rc;
}

/* What is carried is cut, once the worker writes elsewhere. */
static void cut(struct segment *seg)
{
	bool closed = atomic_load_explicit(&seg->turn, memory_order_acquire) == CLOSED;

	seg->carried = seg->reading;
	if (!closed || seg->carried < atomic_load_explicit(&seg->written, memory_order_relaxed) || ftruncate(seg->fd, 0))
		return;
	/* the cut gave the room back: take it again */
	if (fallocate(seg->fd, FALLOC_FL_KEEP_SIZE, 0, 2 * SEGMENT) && (errno == ENOSPC || errno == EDQUOT))
		log_at(LOG_WARN, EV_STORE_ERROR, NULL, LOG_S("error", "the disk is full"));
	seg->reading = seg->wiped = 0;
	atomic_store(&seg->carried, 0);
	atomic_store_explicit(&seg->written, 0, memory_order_relaxed);
	atomic_store_explicit(&seg->turn, FREE, memory_order_release);
}

/* ---- a group */

static int put_notes(struct store *s, struct note *n, size_t *rows, struct err *err)
{
	int rc = MG_OK;

	for (; n && !rc; n = n->next, ++*rows)
		rc = put(s, MG_ROW_DECISION, &n->row, (struct mg_str){ NULL, 0 }, err);
	return rc;
}

static int carry_journals(struct store *s, int n, size_t *rows, struct err *err)
{
	int rc = MG_OK;

	for (int i = 0; i < n && !rc; i++) {
		struct journal *j = atomic_load(&s->journals[i]);

		for (int k = 0; j && k < 2 && !rc; k++)
			rc = carry_segment(s, &j->segments[k], rows, err);
		if (!j || rc)
			continue;
		j->carrying = journal_take_notes(j);
		rc = put_notes(s, j->carrying, rows, err);
	}
	return rc;
}

static void journals_carried(struct store *s, int n, bool done)
{
	for (int i = 0; i < n; i++) {
		struct journal *j = atomic_load(&s->journals[i]);

		if (!j)
			continue;
		for (int k = 0; k < 2 && done; k++)
			cut(&j->segments[k]);
		if (done)
			notes_free(j->carrying);
		else
			journal_give_back(j, j->carrying);
		j->carrying = NULL;
	}
}

int carry_group(struct store *s, size_t *rows, struct err *err)
{
	int n = atomic_load(&s->n_journals), rc = begin(s, err);

	*rows = 0;
	if (rc)
		return rc;
	rc = carry_journals(s, n, rows, err);
	if (!rc && *rows)
		rc = commit(s, err);
	if (rc || !*rows)
		s->ops->rollback(s->handle);
	journals_carried(s, n, !rc);
	return rc;
}

int carry_sync(struct store *s)
{
	int bad = 0;

	for (int i = 0; i < JOURNALS; i++) {
		struct journal *j = atomic_load(&s->journals[i]);

		for (int n = 0; j && n < 2; n++)
			bad |= fdatasync(j->segments[n].fd);
	}
	return bad;
}

/* ---- what an earlier process left */

/* How much of its front journal_wipe() has wiped. */
static size_t wiped(int fd, size_t size)
{
	char some[4096];
	size_t at = 0;

	while (at < size) {
		ssize_t n = pread(fd, some, sizeof(some), (off_t)at);
		ssize_t zeros = 0;

		while (zeros < n && !some[zeros])
			zeros++;
		at += (size_t)zeros;
		if (n <= 0 || zeros < n)
			break;
	}
	return at;
}

static int carry_whole(struct store *s, int fd, size_t size, size_t *rows, size_t *torn, struct err *err)
{
	size_t at = wiped(fd, size);
	int rc = MG_OK;

	while (at < size && !rc) {
		size_t group = 0;

		rc = begin(s, err);
		if (rc)
			return rc;
		rc = carry_file(s, fd, &at, size, &group, torn, err);
		rc = rc ? rc : commit(s, err);
		if (rc)
			s->ops->rollback(s->handle);
		*rows += group;
	}
	return rc;
}

static int carry_one(struct store *s, const char *name, size_t *rows, size_t *torn, struct err *err)
{
	char path[4400];
	struct stat st;
	int fd, rc;

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st)) {
		rc = fail(err, MG_EINVAL, "cannot open the journal '%.120s': %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	rc = carry_whole(s, fd, (size_t)st.st_size, rows, torn, err);
	close(fd);
	if (!rc && unlink(path))
		rc = fail(err, MG_EINVAL, "cannot remove the journal '%.120s': %s", path, strerror(errno));
	return rc;
}

int carry_left(struct store *s, size_t *rows, struct err *err)
{
	DIR *d = opendir(s->dir);
	struct dirent *e;
	size_t torn = 0;
	int rc = MG_OK;

	if (!d)
		return fail(err, MG_EINVAL, "cannot read '%.150s': %s", s->dir, strerror(errno));
	/* In any order: an intent that comes after its generation is none. */
	while (!rc && (e = readdir(d)))
		if (!strncmp(e->d_name, "journal-", 8))
			rc = carry_one(s, e->d_name, rows, &torn, err);
	closedir(d);
	if (*rows || torn)
		log_at(torn ? LOG_WARN : LOG_INFO, EV_LEDGER_RECOVERED, NULL, LOG_N("entries", *rows), LOG_N("torn_bytes", torn));
	return rc;
}
