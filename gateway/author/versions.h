/*
 * versions.h - the bundles that were live, as they were: DATA_DIR/policies.
 *
 * Each version is a folder named by its hash, written once and never changed.
 * What runs is read from there, so that nobody runs one half of an edit, and
 * what ran yesterday runs again.  state.json beside them says which one is
 * live, since when, from where and who said so, and what the configured folder
 * held when it was last taken.  A gateway is the only writer while it runs, and
 * of its threads one at a time; any thread may ask what is live.
 */
#ifndef AUTHOR_VERSIONS_H
#define AUTHOR_VERSIONS_H

#include "author/smoke.h"

enum { VERSION_HEX = 64, VERSIONS_KEPT = 20 };

struct versions;
int versions_open(const char *data_dir, struct versions **out, struct err *err);	/* makes the folder */
void versions_close(struct versions *v);

/* Writes b's folder, unless it is there, and opens what it then holds. */
int versions_keep(struct versions *v, struct bundle *b, struct bundle **kept, struct err *err);
void versions_drop(struct versions *v, const struct bundle *b);	/* kept, but it never was live */
/* MG_EPROTO: the folder is gone, or not what it was.  Opened. */
int versions_read(struct versions *v, const char *version, struct bundle **out, struct err *err);
/* From the beginning of a hash, six digits or more; MG_EDENIED: none begins so, or two do. */
int versions_find(struct versions *v, const char *begins, char out[static VERSION_HEX + 1], struct err *err);

/* For decision_find(): live, if it is that one, else the version; NULL: there is none.  A reference. */
struct bundle *versions_bundle(struct versions *v, struct bundle *live, const char *digits);

/* Who made what live, and how: "start", "reload", "publish", "rollback", "circuit". */
struct cause { const char *how, *from, *by; bool untested; };
/* It is live from now on; on disk when this returns.  Of the others the last VERSIONS_KEPT stay. */
int versions_live(struct versions *v, const struct bundle *b, const struct cause *c, struct err *err);
void versions_refused(struct versions *v, const struct cause *c, const char *why);	/* the last failed attempt */
void versions_failed(struct versions *v, const char *version, const char *why);	/* live, it failed: nobody goes back to it unasked */
int versions_source(struct versions *v, const char *version, struct err *err);	/* what the configured folder holds */

struct versions_state { char live[VERSION_HEX + 1], source[VERSION_HEX + 1], how[16], from[256], failure[400] /* since then: the last one */;
	int64_t since_ms; /* Unix */ };	/* "": there is none */
void versions_now(struct versions *v, struct versions_state *out);
bool versions_vetted(struct versions *v, const char *version);	/* by this very build */
/* The one that was live before this one and did not fail; within_ms: at most so long ago, 0: whenever. */
bool versions_before(struct versions *v, int64_t within_ms, char out[static VERSION_HEX + 1]);
/* ---- what may go live.  guards: the bundle whose guards must stay; NULL: none must. */
/* Tries, checks and tests b, has it make the recent decisions again, and keeps it.  MG_EINVAL: it does not pass; MG_EPROTO: it lacks guards. */
int versions_take(struct versions *v, struct bundle *b, const struct bundle *guards, const struct recent *recent, struct bundle **kept, struct err *err);
/* One that is kept; with the guards that it lacks it is another one. */
int versions_take_older(struct versions *v, const char *version, const struct bundle *guards, struct bundle **kept, struct err *err);
/* What is live may be what the configured folder holds now: then nobody need take it from there again. */
void versions_follow(struct versions *v, const char *folder, const char *base_dir);

/* "data":[{"version":..,"live":..,"since":..}, ..], "last_failure":{..} or null: members, newest first. */
void versions_print(struct versions *v, struct buf *out);

#endif
