/*
 * serving.h - a running gateway as `serve` has it: serve.c starts and stops it,
 * reload.c changes it.
 */
#ifndef CLI_SERVING_H
#define CLI_SERVING_H

#include "api/api.h"
#include "author/versions.h"
#include "cli/cli.h"
#include "cli/listeners.h"

/* What each worker was at when the main thread last looked. */
struct watchdog { struct { uint64_t turn, stuck_ms; } of[WORKERS_MAX]; uint64_t last_ms; };

struct serving {
	struct gateway gw;
	struct places places;
	struct listeners listeners;
	const char *config_path, *listen;
	uint64_t drain_ms, delay_ms;
	struct watchdog watchdog;
	bool wants_key;
	char first_key[80];
	/* Of the thread for changes, but for the two jobs and whether they are under way. */
	struct job reload, look;
	atomic_bool reloading, looking;
	int64_t changed_ms;		/* Unix: the last change of prices that was reloaded for */
	struct bundle *judged;		/* its circuit has opened, and what follows from that was done */
	bool fell_back;			/* what is configured did not load at the start */
	bool crowded;			/* it was told that many versions are in use */
};

/* Configuration, plugins and catalogue; the bundle is yet to come. */
struct snapshot *world_read(struct serving *s, const struct catalog *previous, struct err *err);
/* Opens the versions and gives the first snapshot its bundle: what is configured, or what was live last. */
int first_policies(struct serving *s, struct snapshot *snap, struct err *err);
/* A line for each member that asks for what this build does not do. */
void unread_log(const struct config *conf);
/* From the main thread; done soon, one after the other, not twice at once. */
void serving_reload(struct serving *s);
void serving_look(struct serving *s);	/* frees what is old, sees whether prices, policies or their folder need something */
/* Every second or so.  Aborts where a worker has been in one and the same turn for 10 s. */
void watchdog_look(struct watchdog *d, const struct gateway *gw);

#endif
