/*
 * buf.h - bytes that grow, up to a ceiling given when the buffer is made.
 *
 * Errors stick: a buffer that could not grow keeps what it had, sets `failed`
 * and takes nothing more, so a writer checks once, at the end.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "moongate.h"

struct buf { char *at; size_t len, size, max; bool failed; };

void buf_init(struct buf *b, size_t max_bytes);
void buf_release(struct buf *b);		/* may be used again after another init */
void buf_reset(struct buf *b);			/* empty, not failed, memory kept */
void buf_put(struct buf *b, const void *at, size_t len);
void buf_str(struct buf *b, struct mg_str s);	/* absent: nothing */
void buf_text(struct buf *b, const char *text);
void buf_print(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_cut(struct buf *b, size_t n);		/* drops n bytes from the front */
static inline struct mg_str buf_view(const struct buf *b)
{
	return (struct mg_str){ b->at ? b->at : "", b->len };
}

#endif
