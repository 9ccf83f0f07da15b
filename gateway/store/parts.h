/*
 * parts.h - what store.c, carry.c and journal.c share; nobody else reads it.
 *
 * A journal is two segments, files that take turns.  Its worker appends to the
 * active one and publishes `written`; the store thread reads up to there and,
 * once the group is committed, moves `carried`.  Past SEGMENT bytes the worker
 * closes the one and goes on in the other, if that is free; the store thread
 * cuts a closed segment when all of it is carried.  So neither waits for the
 * other, and what is cut is never what was just appended.
 */
#ifndef STORE_PARTS_H
#define STORE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/buf.h"
#include "store/store.h"

/* A group is what comes within GATHER_MS, or GROUP_ROWS.  A commit writes ten pages and syncs whatever is in it, so a
 * longer gathering costs less: of the store thread's time a request took 100 us with 10 ms and 55 with 25 at 300 requests
 * a second, 38 and 19 at 2,000; 9 and 6 at 11,000, where 256 rows were a group before; 50 ms saved a quarter more at most.
 * No request waits for it, and kill -9 loses nothing, the journal has it all: only a power cut takes with it what was
 * gathered, which is what "power" is for. */
enum { GROUP_ROWS = 1024, GATHER_MS = 25, JOURNALS = 256,
	SEGMENT = 1 << 20,		/* where the segments change turns */
	SEGMENT_FULL = 32 << 20,	/* intents are refused past this ... */
	SEGMENT_LAST = 40 << 20,	/* ... and settlements past this */
	NOTES_MAX = 4 << 20,
	UNWRITTEN_MAX = 8 << 20,	/* of settlements that wait for room: past this they wait without labels and decision ... */
	UNWRITTEN_LAST = 32 << 20,	/* ... up to this */
	PIECE = 64 << 10 };		/* of them, that are written at once */

enum turn { FREE, ACTIVE, CLOSED };
struct segment {
	int fd;
	_Atomic(int) turn;
	_Atomic(size_t) written;	/* whole records up to here; only the worker moves it on */
	_Atomic(size_t) carried;	/* committed; only the store thread moves it on */
	size_t reading;			/* the store thread's: in this group */
	size_t wiped;			/* the store thread's: zeros up to here, carried long ago */
};

struct note { struct note *next; size_t bytes; struct mg_store_decision row; };

struct journal {
	struct store *store;
	unsigned worker;
	struct segment segments[2];
	unsigned active;		/* the worker's */
	struct buf line, unwritten;	/* the worker's */
	size_t unwritten_rows;
	pthread_mutex_t lock;		/* of the notes */
	struct note *notes, **last_note;
	size_t note_bytes;
	struct note *carrying;		/* the store thread's: in this group */
};

struct job {
	struct job *next;
	int (*fn)(const struct mg_store *ops, void *handle, void *arg, struct err *err);
	void (*done)(void *arg, int rc, const struct err *err);
	void *arg;
};

/* AWAKE: it will look again before it sleeps.  GATHERING: for GATHER_MS, or until a group is full. */
enum sleep { AWAKE, ASLEEP, GATHERING };

struct store {
	const struct mg_store *ops;
	struct mg_store reading;	/* the same without put: for a broken store */
	void *handle;
	char dir[4096];
	bool power;
	pthread_t thread;
	int wake;			/* eventfd */
	_Atomic(int) sleep;
	_Atomic(size_t) pending;	/* rows published and not committed */
	atomic_bool healthy, broken;
	void (*_Atomic committed)(uint64_t us);
	_Atomic(struct journal *) journals[JOURNALS];
	_Atomic(int) n_journals;	/* behind the last of them */
	pthread_mutex_t lock;		/* of the jobs */
	struct job *jobs, **last_job;
	size_t n_jobs;
	bool stop;
	uint64_t retry_at, retry_ms;	/* the store thread's */
	uint64_t sweep_at; bool swept;	/* the store thread's; swept: something was removed, and its copies are still there */
	_Atomic(uint64_t) expired;
	struct buf bytes;		/* the store thread's: what it reads from a segment */
};

/* store.c: from any thread, after rows were counted as pending and then published. */
void store_rows_pushed(struct store *s);

/* carry.c, on the store thread.  One group; MG_OK also when nothing was there. */
int carry_group(struct store *s, size_t *rows, struct err *err);
/* The files that an earlier process left, before the thread runs. */
int carry_left(struct store *s, size_t *rows, struct err *err);
/* After a failed group: what waits in the files must survive a power cut too (R58). */
int carry_sync(struct store *s);

/* sweep.c, on the store thread: removes what is kept no longer, a little at a time. */
void sweep(struct store *s);

/* journal.c */
void journal_free(struct journal *j, bool cut);
void journal_wipe(struct journal *j);		/* on the store thread: of what is carried nothing can be read any more */
struct note *journal_take_notes(struct journal *j);
void journal_give_back(struct journal *j, struct note *notes);
void notes_free(struct note *n);

#endif
