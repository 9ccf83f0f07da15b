/*
 * config.h - the configuration: one Lua file (or the same tree in JSON), read
 * in an empty environment, checked against one table, given back as a tree.
 *
 * The tree is jansson's: objects, arrays, strings, integers, booleans, with
 * defaults filled in, durations as integers in ms, sizes in bytes, and prices
 * as decimal strings exactly as written (a Lua number is printed shortest, so
 * 0.15 stays "0.15").  A secret is a string; config_show() masks it.
 *
 * `listen` is always a list of {at, admin, tls?}; objects of settings (limits,
 * logging ...) are always there; relative paths start at the file's folder.
 * Members, kinds and defaults: config_schema.c, or `moongate config schema`.
 *
 * Errors read "config.lua:41: providers.groq.api_key: environment variable
 * GROQ_API_KEY is not set" with a second line "hint: ...".
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <jansson.h>
#include "base/err.h"

/* path: where it was found; "" for the built-in default.  origins: place -> "file:line", or the name of a
 * variable.  given: the tree as it was written, before defaults.  missing: of config_look(), the first
 * secret that is not here, as an error says it; "": all are.  unread: place -> why this build does not do
 * what is asked for there. */
struct config { json_t *tree; char path[512]; json_t *origins, *given, *unread; char missing[240]; };

/* path NULL: looked up ($MOONGATE_CONFIG, ./config.lua, XDG, /etc/moongate);
 * none found: the built-in default (sim on loopback).  config_release() it. */
int config_load(struct config *c, const char *path, struct err *err);
/* The same for who calls no provider, such as a command in a shell that has not the service's variables: a
 * secret that cannot be had is "", and the rest is as it is. */
int config_look(struct config *c, const char *path, struct err *err);
void config_release(struct config *c);

/* For who finds a fault in the tree later: "file:line: place: reason\nhint: ...", MG_EINVAL; hint may be NULL.
 * place: models["a/b"].endpoints[1].provider */
int config_blame(const struct config *c, struct err *err, const char *place, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* The candidate that is most like word, for "did you mean"; NULL when none is near. */
const char *config_nearest(const char *word, const char *(*candidate)(const void *arg, size_t i), const void *arg);

/* The tree with secrets as "••••3f2a".  A new reference. */
json_t *config_show(const struct config *c);
/* Each value of the tree, or of its member `from` ("limits", "limits.idle"; NULL: all), secrets masked, and who
 * said it: "config.lua:41", "MOONGATE_LOGGING__LEVEL", "default".  MG_EINVAL: there is no such member. */
int config_walk(const struct config *c, const char *from, void (*fn)(void *arg, const char *place, const json_t *value, const char *origin), void *arg);
/* The providers that are known without configuration (sdk/catalog/providers.json), by slug; NULL where
 * the file is not found.  A new reference. */
json_t *config_known(const json_t *tree);
/* A file of the catalogue ("models/groq.jsonl"): the operator's, below data_dir/catalog, before the shipped
 * one; false: there is neither. */
bool config_catalog(const json_t *tree, const char *file, char *out, size_t size);
/* JSON Schema 2020-12, generated from the same table.  A new reference. */
json_t *config_schema(void);

#endif
