#include "store/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/record.h"

/* ---- files */

static int open_segment(const struct journal *j, unsigned n, struct segment *seg, struct err *err)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/journal-%u-%u", j->store->dir, j->worker, n);
	seg->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (seg->fd < 0)
		return fail(err, MG_EINVAL, "cannot open the journal '%.120s': %s", path, strerror(errno));
	/* Room that is ours: a disk that fills up stops new requests, not settlements. */
	if (fallocate(seg->fd, FALLOC_FL_KEEP_SIZE, 0, 2 * SEGMENT) && (errno == ENOSPC || errno == EDQUOT))
		return fail(err, MG_ENOMEM, "no room for the journal '%.120s': %s", path, strerror(errno));
	return MG_OK;
}

static int sync_dir(const char *dir, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), bad;

	if (fd < 0)
		return fail(err, MG_EINVAL, "cannot open '%.150s': %s", dir, strerror(errno));
	bad = fsync(fd);
	close(fd);
	return bad ? fail(err, MG_EPROTO, "cannot sync '%.150s': %s", dir, strerror(errno)) : MG_OK;
}

struct journal *store_journal(struct store *s, unsigned worker, struct err *err)
{
	struct journal *j;
	int rc = MG_OK;

	if (worker >= JOURNALS || atomic_load(&s->journals[worker])) {
		fail(err, MG_EINVAL, "no journal for worker %u: up to %d workers, one journal each", worker, JOURNALS);
		return NULL;
	}
	j = calloc(1, sizeof(*j));
	if (!j) {
		fail(err, MG_ENOMEM, "no memory for a journal");
		return NULL;
	}
	j->store = s;
	j->worker = worker;
	j->segments[0].fd = j->segments[1].fd = -1;
	j->last_note = &j->notes;
	pthread_mutex_init(&j->lock, NULL);
	buf_init(&j->line, RECORD_MAX);
	buf_init(&j->unwritten, UNWRITTEN_LAST);
	for (unsigned n = 0; n < 2 && !rc; n++)
		rc = open_segment(j, n, &j->segments[n], err);
	if (!rc && s->power)
		rc = sync_dir(s->dir, err);
	if (rc) {
		journal_free(j, true);
		return NULL;
	}
	atomic_store(&j->segments[0].turn, ACTIVE);
	atomic_store(&s->journals[worker], j);
	for (int n = atomic_load(&s->n_journals); n <= (int)worker && !atomic_compare_exchange_weak(&s->n_journals, &n, (int)worker + 1); )
		;
	return j;
}

void journal_free(struct journal *j, bool cut)
{
	char path[4200];

	for (unsigned n = 0; n < 2; n++) {
		if (j->segments[n].fd < 0)
			continue;
		snprintf(path, sizeof(path), "%s/journal-%u-%u", j->store->dir, j->worker, n);
		close(j->segments[n].fd);
		if (cut)
			unlink(path);
	}
	notes_free(j->notes);
	buf_release(&j->line);
	buf_release(&j->unwritten);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

/* The worker appends behind it, and cuts nothing. */
void journal_wipe(struct journal *j)
{
	for (unsigned n = 0; n < 2; n++) {
		size_t carried = atomic_load(&j->segments[n].carried), wiped = j->segments[n].wiped;

		if (carried > wiped && !fallocate(j->segments[n].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)wiped, (off_t)(carried - wiped)))
			j->segments[n].wiped = carried;
	}
}

/* ---- appending */

static struct segment *segment_for(struct journal *j, size_t len)
{
	struct segment *seg = &j->segments[j->active], *other = &j->segments[!j->active];

	if (atomic_load_explicit(&seg->written, memory_order_relaxed) + len <= SEGMENT ||
	    atomic_load_explicit(&other->turn, memory_order_acquire) != FREE)
		return seg;
	atomic_store_explicit(&other->turn, ACTIVE, memory_order_release);
	atomic_store_explicit(&seg->turn, CLOSED, memory_order_release);
	j->active = !j->active;
	return other;
}

static int write_at(struct store *s, int fd, struct mg_str bytes, size_t at, struct err *err)
{
	ssize_t n;

	do
		n = pwrite(fd, bytes.at, bytes.len, (off_t)at);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)bytes.len) {
		if (!s->power || !fdatasync(fd))
			return MG_OK;
		atomic_store(&s->broken, true);		/* nobody knows what the disk has (R99) */
		return fail(err, MG_ENOMEM, "cannot sync the journal: %s", strerror(errno));
	}
	fail(err, MG_ENOMEM, "cannot write the journal: %s", n < 0 ? strerror(errno) : "no room");
	n = ftruncate(fd, (off_t)at);	/* the torn end; if it stays, the next write covers it */
	return MG_ENOMEM;
}

static int append(struct journal *j, struct mg_str bytes, size_t rows, size_t limit, struct err *err)
{
	struct segment *seg = segment_for(j, bytes.len);
	size_t at = atomic_load_explicit(&seg->written, memory_order_relaxed);
	int rc;

	if (at + bytes.len > limit)
		return fail(err, MG_ENOMEM, "the journal is full: the store does not take its entries");
	rc = write_at(j->store, seg->fd, bytes, at, err);
	if (rc)
		return rc;
	atomic_fetch_add(&j->store->pending, rows);
	atomic_store_explicit(&seg->written, at + bytes.len, memory_order_release);
	store_rows_pushed(j->store);
	return MG_OK;
}

/* As many whole entries as are one piece, or one that is larger. */
static struct mg_str piece(struct mg_str all, size_t *rows)
{
	struct mg_str some = { all.at, 0 };
	enum mg_store_row kind;
	union record_row row;

	for (*rows = 0; some.len < all.len && some.len < PIECE; ++*rows) {
		int64_t size = record_read(all.at + some.len, all.len - some.len, &kind, &row);

		if (size <= 0)
			return all;	/* never: we wrote it */
		some.len += (size_t)size;
	}
	return some;
}

/* Piece by piece: what a full disk still takes is done with, and little is tried in vain. */
int journal_flush(struct journal *j, struct err *err)
{
	struct mg_str left = buf_view(&j->unwritten);
	int rc = MG_OK;

	if (!left.len)
		return MG_OK;
	while (!rc && left.len) {
		size_t rows;
		struct mg_str some = piece(left, &rows);

		rc = append(j, some, rows, SEGMENT_LAST, err);
		if (rc)
			break;
		j->unwritten_rows -= rows;
		left = (struct mg_str){ left.at + some.len, left.len - some.len };
	}
	buf_cut(&j->unwritten, j->unwritten.len - left.len);
	if (!left.len) {
		buf_release(&j->unwritten);
		buf_init(&j->unwritten, UNWRITTEN_LAST);
	}
	return rc;
}

static int whole(struct journal *j, struct err *err)
{
	return j->line.failed ? fail(err, MG_ENOMEM, "an entry of more than %d bytes does not go into the journal", RECORD_MAX) : MG_OK;
}

int journal_intent(struct journal *j, const struct mg_store_intent *i, struct err *err)
{
	int rc = MG_OK;

	if (atomic_load(&j->store->broken))
		return fail(err, MG_ENOMEM, "the store is broken: restart after a look at the disk and its log");
	buf_reset(&j->line);
	record_intent(&j->line, i);
	rc = whole(j, err);
	rc = rc ? rc : journal_flush(j, err);	/* settlements go first */
	return rc ? rc : append(j, buf_view(&j->line), 1, SEGMENT_FULL, err);
}

/* The row as far as it may be kept. */
static struct mg_store_generation permitted(const struct mg_store_generation *g, struct permit record, struct permit decision)
{
	struct mg_store_generation row = *g;

	row.until_ms = INT64_MAX;
	if (!permits(record, SINK_RECORD, KEEP_METADATA))
		row.labels = NULL;
	else if (row.labels && *row.labels)
		row.until_ms = record.until_ms;
	if (!permits(decision, SINK_DECISION, KEEP_METADATA))
		row.decision = NULL;
	else if (row.decision && *row.decision && decision.until_ms < row.until_ms)
		row.until_ms = decision.until_ms;
	return row;
}

/* What was charged, without what there is to say about it. */
static void bare(struct journal *j, struct mg_store_generation *row)
{
	row->labels = row->decision = NULL;
	buf_reset(&j->line);
	record_settle(&j->line, row);
}

/* In memory, until the file takes it. */
static void put_aside(struct journal *j, struct mg_store_generation *row, struct err *err)
{
	if (j->unwritten.len + j->line.len > UNWRITTEN_MAX)
		bare(j, row);
	buf_str(&j->unwritten, buf_view(&j->line));
	if (!j->unwritten.failed && !j->line.failed) {
		j->unwritten_rows++;
		return;
	}
	j->unwritten.failed = false;	/* it has what it had */
	fail(err, MG_ENOMEM, "a settlement is lost: there is no room for it in the journal, and none in memory");
}

int journal_settle(struct journal *j, const struct mg_store_generation *g, struct permit record, struct permit decision, struct err *err)
{
	struct mg_store_generation row = permitted(g, record, decision);
	int rc;

	buf_reset(&j->line);
	record_settle(&j->line, &row);
	if (j->line.failed)
		bare(j, &row);
	rc = whole(j, err);
	if (rc)
		return rc;
	rc = journal_flush(j, err);
	rc = rc ? rc : append(j, buf_view(&j->line), 1, SEGMENT_LAST, err);
	if (rc)
		put_aside(j, &row, err);
	return rc;
}

int journal_endpoint(struct journal *j, const struct mg_store_endpoint *e, struct err *err)
{
	int rc;

	buf_reset(&j->line);
	record_endpoint(&j->line, e);
	rc = whole(j, err);
	return rc ? rc : append(j, buf_view(&j->line), 1, SEGMENT_FULL, err);
}

size_t journal_bytes(const struct journal *j)
{
	size_t sum = 0;

	for (int n = 0; n < 2; n++) {
		size_t carried = atomic_load(&j->segments[n].carried), written = atomic_load(&j->segments[n].written);

		sum += written > carried ? written - carried : 0;	/* a cut may come in between */
	}
	return sum;
}

/* ---- notes: by way of memory, dropped when the store is behind */

static char *keep(char **at, const char *text)
{
	size_t len = strlen(text) + 1;
	char *copy = memcpy(*at, text, len);

	*at += len;
	return copy;
}

void journal_note(struct journal *j, const struct mg_store_decision *d, struct permit decision)
{
	const char *key = d->key_hash ? d->key_hash : "";
	size_t bytes = sizeof(struct note) + strlen(d->generation_id) + strlen(d->json) + strlen(key) + 3;
	struct note *n = permits(decision, SINK_DECISION, KEEP_METADATA) ? malloc(bytes) : NULL;
	char *at = (char *)(n + 1);
	bool room;

	if (!n)
		return;
	*n = (struct note){ .bytes = bytes, .row = { sizeof(n->row), keep(&at, d->generation_id), d->at_ms, keep(&at, d->json), keep(&at, key),
		decision.until_ms } };
	pthread_mutex_lock(&j->lock);
	room = j->note_bytes + bytes <= NOTES_MAX;
	if (room) {
		atomic_fetch_add(&j->store->pending, 1);
		j->note_bytes += bytes;
		*j->last_note = n;
		j->last_note = &n->next;
	}
	pthread_mutex_unlock(&j->lock);
	if (room)
		store_rows_pushed(j->store);
	else
		free(n);
}

struct note *journal_take_notes(struct journal *j)
{
	struct note *n;

	pthread_mutex_lock(&j->lock);
	n = j->notes;
	j->notes = NULL;
	j->last_note = &j->notes;
	j->note_bytes = 0;
	pthread_mutex_unlock(&j->lock);
	return n;
}

/* The group was rolled back: they go to the front again. */
void journal_give_back(struct journal *j, struct note *notes)
{
	struct note **end = &notes;
	size_t bytes = 0;

	for (; *end; end = &(*end)->next)
		bytes += (*end)->bytes;
	if (!notes)
		return;
	pthread_mutex_lock(&j->lock);
	*end = j->notes;
	if (!j->notes)
		j->last_note = end;
	j->notes = notes;
	j->note_bytes += bytes;
	pthread_mutex_unlock(&j->lock);
}

void notes_free(struct note *n)
{
	while (n) {
		struct note *next = n->next;

		free(n);
		n = next;
	}
}
