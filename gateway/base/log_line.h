/*
 * log_line.h - how a line is written: for log.c alone.
 *
 * A line that is full takes no more fields, so that it always ends well.
 */
#ifndef BASE_LOG_LINE_H
#define BASE_LOG_LINE_H

#include "base/log.h"

enum { LINE_MAX_BYTES = 8192 };

struct line { size_t len; bool json, cut; char at[LINE_MAX_BYTES]; };

void line_begin(struct line *l, bool json);	/* with ts */
void line_fields(struct line *l, const struct log_field *f);	/* up to one without a key; each whole or not at all */
void line_end(struct line *l);

/* log_redact.c: the first byte of what log_redact() would change; len when it leaves the text alone;
 * then plain says whether all of it is printable ASCII, without quotes and backslashes. */
size_t log_secret_at(const char *text, size_t len, bool *plain);

#endif
