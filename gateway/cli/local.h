/*
 * local.h - what a command reads without asking a gateway: the configuration,
 * the plugins, the catalogue, and the store, which others may be writing.
 *
 * Each opens what it needs of the earlier ones, says what is wrong, and
 * returns an exit status.
 */
#ifndef CLI_LOCAL_H
#define CLI_LOCAL_H

#include "account/account.h"
#include "base/seal.h"
#include "catalog/catalog.h"
#include "cli/cli.h"

struct bundle;

struct local {
	struct config conf;
	struct places places;
	struct registry *plugins;
	struct catalog *catalog;
	char data_dir[512], db[560];
	const struct mg_store *ops;	/* of the store's plugin */
	void *store;			/* open for reading */
	struct store *writing;		/* open for writing: no gateway runs */
	struct accounts *accounts;
};

int local_config(struct local *l, const struct cli *c);
/* Of policies, that is configured; NULL: the shipped ones alone. */
const char *policies_folder(const struct config *conf);
/* The folder that the command names first, or the configured one. */
int local_bundle(struct local *l, const struct cli *c, const char **dir);
/* The configured policies, opened; no status, but an mg_rc. */
int local_policies(const struct local *l, struct bundle **out, struct err *err);
/* What lies there, where plugins.sha256 of the configuration has it. */
int plugins_load(struct registry *r, const char *dir, const json_t *tree, struct err *err);
int local_plugins(struct local *l, const struct cli *c);
int local_catalog(struct local *l, const struct cli *c);
int local_store(struct local *l, const struct cli *c);
/* *running: a gateway has the store, so nothing was opened and nothing was said. */
int local_accounts(struct local *l, const struct cli *c, bool *running);
/* What a function of account/wire.h says of them, as a status; says why. */
int local_status(int rc, const struct err *err);
void local_close(struct local *l);

/* "http://127.0.0.1:8080": where the configuration listens first. */
void local_url(const struct local *l, char *out, size_t size);

/* Rows of the store, oldest first; EXIT_OK, or has said why. */
int local_rows(struct local *l, enum mg_store_row kind, const char *where, int64_t since_ms, bool (*fn)(void *arg, const void *row), void *arg);

/* The record that the command's first argument names, as GET /generation tells it; seal: with its receipt. */
int local_generation(struct local *l, const struct cli *c, const struct seal *seal, struct buf *out);

#endif
