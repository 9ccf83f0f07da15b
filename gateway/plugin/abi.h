/*
 * abi.h - is what a plugin's entry gave a plugin that this gateway can use?
 */
#ifndef PLUGIN_ABI_H
#define PLUGIN_ABI_H

#include "base/err.h"

/* MG_EINVAL: why it cannot; path is for the message. */
int abi_check(const struct mg_plugin *self, const char *path, struct err *err);

#endif
