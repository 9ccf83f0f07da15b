/*
 * check.h - what `moongate plugin check` and `moongate plugin new` do.
 */
#ifndef PLUGIN_CHECK_H
#define PLUGIN_CHECK_H

#include "base/err.h"

/* Says one TAP line a claim, and lines with a hash behind those that fail: the
 * file, its ABI, its symbols; then each operation over canned answers, good and bad, in
 * a child process: cut at every byte, cancelled at every byte, oversize, out of memory.
 * Returns the number of claims that failed; the plan comes last. */
int plugin_check(const char *path, void (*say)(void *arg, const char *line), void *arg);

/* Copies the template folder `from` to dir, which must not be there yet, with acme
 * written name.  MG_EINVAL: the name, or a file, and why. */
int plugin_new(const char *name, const char *from, const char *dir, struct err *err);

#endif
