/*
 * log_line.h - how a line is written: for log.c alone.
 *
 * A line that is full takes no more fields, so that it always ends well.
 */
#ifndef BASE_LOG_LINE_H
#define BASE_LOG_LINE_H

#include "base/log.h"

enum { LINE_MAX_BYTES = 8192 };

/* at[0] is a line feed: written only when the line before it was torn. */
struct line { size_t len; bool json, cut; char at[LINE_MAX_BYTES]; };

void line_begin(struct line *l, bool json);	/* with ts */
/* Names and words of our own, with nothing in them to escape: as they stand. */
void line_word(struct line *l, const char *key, const char *word);
void line_json(struct line *l, const char *key, const char *value);	/* the same, for a value of JSON */
void line_text(struct line *l, const char *key, const char *text);
void line_number(struct line *l, const char *key, int64_t n);
void line_end(struct line *l);

/* log_redact.c: the first byte of what log_redact() would change; len when it leaves the text alone;
 * then plain says whether all of it is printable ASCII, without quotes and backslashes. */
size_t log_secret_at(const char *text, size_t len, bool *plain);

#endif
