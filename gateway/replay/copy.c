#include <string.h>
#include "replay/copy.h"

void copy_put(struct buf *texts, const char *id, const char *key_hash, const char *json)
{
	const char *const all[] = { id, key_hash ? key_hash : "", json ? json : "" };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_put(texts, all[i], strlen(all[i]) + 1);
}

struct mg_store_decision copy_row(const char *copy, int64_t at_ms)
{
	const char *key = copy + strlen(copy) + 1, *json = key + strlen(key) + 1;

	return (struct mg_store_decision){ .size = sizeof(struct mg_store_decision), .generation_id = copy, .at_ms = at_ms, .json = json, .key_hash = key };
}

enum { RECORD_MAX = 4 << 20 };	/* bytes */

struct finding { struct buf *texts; int64_t at_ms; };

static bool on_row(void *arg, const void *at)
{
	const struct mg_store_decision *row = at;
	struct finding *f = arg;

	f->at_ms = row->at_ms;
	copy_put(f->texts, row->generation_id, row->key_hash, row->json);
	return false;
}

int copy_find(const struct mg_store *ops, void *handle, const char *id, struct buf *texts, struct mg_store_decision *out, struct err *err)
{
	struct finding f = { texts, 0 };
	char why[256] = "";
	int rc;

	buf_init(texts, RECORD_MAX);
	rc = ops->each(handle, MG_ROW_DECISION, id, 0, 1, on_row, &f, why);
	if (rc)
		return fail(err, rc, "%s", why);
	if (texts->failed)
		return fail(err, MG_ENOMEM, "no memory for a decision");
	if (!texts->len)
		return 0;
	*out = copy_row(texts->at, f.at_ms);
	return 1;
}
