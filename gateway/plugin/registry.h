/*
 * registry.h - the plugins that are loaded, by dialect.
 *
 * What is loaded stays mapped, with its descriptor open, for the life of the
 * process (R67, R69).  A reload may add newer copies: a look-up finds the
 * newest, requests keep the pointer they began with.
 */
#ifndef PLUGIN_REGISTRY_H
#define PLUGIN_REGISTRY_H

#include "base/crypto.h"

struct plugin { const struct mg_plugin *self; char path[512], sum[SHA256_HEX + 1]; int fd; };

/* Which files may be loaded, by the SHA-256 of what is in them, in small hex; none: any. */
struct sums { const char *const *at; size_t n; };

/* Checks (owner, mode, parents, symlinks, sum), loads, checks the ABI; err says what to do.  sums: NULL: any file. */
int plugin_open(struct plugin *p, const char *path, const struct sums *sums, struct err *err);
/* MG_EDENIED: it is none of these. */
int plugin_trusted(const struct plugin *p, const struct sums *sums, struct err *err);

struct registry;
struct registry *registry_new(void);
/* Every *.so of dir and of its sub-folders providers/ and stores/; a file that was
 * loaded before, unchanged, is passed over.  The first refusal stops it. */
int registry_load(struct registry *r, const char *dir, const struct sums *sums, struct err *err);
const struct mg_plugin *registry_find(const struct registry *r, const char *name);
size_t registry_count(const struct registry *r);
const struct plugin *registry_at(const struct registry *r, size_t i);
void registry_free(struct registry *r);		/* the table only */

#endif
