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
/* On the caller's memory: it does not grow, and there is nothing to release. */
static inline struct buf buf_on(char *at, size_t size)
{
	return (struct buf){ .at = at, .size = size, .max = size };
}
void buf_release(struct buf *b);		/* may be used again after another init */
void buf_reset(struct buf *b);			/* empty, not failed, memory kept */
void buf_lend(struct buf *b);			/* empty; the kernel may take most of the memory until it is written again */
/* Room for len bytes behind what is there, or NULL and a failed buffer; what was written
 * there is taken by adding its length to len. */
char *buf_more(struct buf *b, size_t len);
void buf_print(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_number(struct buf *b, uint64_t n);	/* decimal */
void buf_base64(struct buf *b, struct mg_str bytes);	/* with its padding */
void buf_cut(struct buf *b, size_t n);		/* drops n bytes from the front */
static inline char *buf_room(struct buf *b, size_t len)
{
	return !b->failed && len < b->size - b->len ? b->at + b->len : buf_more(b, len);
}
static inline void buf_put(struct buf *b, const void *at, size_t len)
{
	char *to = len ? buf_room(b, len) : NULL;

	if (!to)
		return;
	memcpy(to, at, len);
	b->len += len;
}
static inline void buf_str(struct buf *b, struct mg_str s)	/* absent: nothing */
{
	if (s.at)
		buf_put(b, s.at, s.len);
}
static inline void buf_text(struct buf *b, const char *text)
{
	buf_put(b, text, strlen(text));
}
static inline struct mg_str buf_view(const struct buf *b)
{
	return (struct mg_str){ b->at ? b->at : "", b->len };
}

#endif
