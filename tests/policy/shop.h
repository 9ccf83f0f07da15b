/* shop.h - a catalogue from the text of a configuration. */
#ifndef TESTS_POLICY_SHOP_H
#define TESTS_POLICY_SHOP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/config.h"
#include "catalog/catalog.h"

/* previous: the one that it follows; NULL: none.  NULL: why not is printed. */
static inline struct catalog *shop(const char *text, const struct catalog *previous)
{
	char path[] = "/tmp/shop-XXXXXX.lua";
	int fd = mkstemps(path, 4);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	struct err err = { 0, "" };
	struct config conf;
	struct catalog *c;

	if (!f)
		abort();
	fputs(text, f);
	fclose(f);
	c = config_load(&conf, path, &err) ? NULL : catalog_new(&conf, NULL, previous, &err);
	if (!c)
		printf("# %s\n", err.msg);
	config_release(&conf);
	unlink(path);
	return c;
}

#endif
