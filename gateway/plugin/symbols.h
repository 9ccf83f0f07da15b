/*
 * symbols.h - what a shared object exports.
 */
#ifndef PLUGIN_SYMBOLS_H
#define PLUGIN_SYMBOLS_H

#include "base/err.h"

/* Calls fn with each name that is defined and visible.  MG_EINVAL: no ELF file of this machine's kind. */
int symbols_each(int fd, void (*fn)(void *arg, const char *name), void *arg, struct err *err);

#endif
