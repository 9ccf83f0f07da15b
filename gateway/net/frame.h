/*
 * frame.h - cuts the bytes of an upstream's answer into frames.
 *
 * Any split of the bytes gives the same frames.  SSE: LF, CR, CRLF, comments,
 * multi-line data, a BOM; [DONE] is a frame like any other.  NDJSON: one frame
 * a non-empty line.  JSON: one frame, the whole body, at framer_end().
 * EVENTSTREAM: application/vnd.amazon.eventstream with both CRCs checked; event
 * is :event-type or :exception-type.  RAW: each piece as it comes.
 * A frame (with a NUL behind its data) is valid until on_frame returns.
 */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include "base/buf.h"
#include "base/err.h"

struct framer {
	enum mg_framing framing;
	int (*on_frame)(void *arg, struct mg_str event, struct mg_str data);	/* not MG_OK: stops the feed with it */
	void *arg;
	size_t max;		/* bytes of one frame; of a whole body, where that is one (JSON) */
	struct buf line, event, data;
	unsigned state;
};

void framer_init(struct framer *f, enum mg_framing framing, size_t max_frame_bytes,
	int (*on_frame)(void *arg, struct mg_str event, struct mg_str data), void *arg);
/* MG_EPROTO: a frame too large, a wrong CRC; MG_ENOMEM; or what on_frame returned. */
int framer_feed(struct framer *f, const char *at, size_t len, struct err *err);
/* The clean end of the body.  MG_EPROTO: it ends inside a frame. */
int framer_end(struct framer *f, struct err *err);
void framer_release(struct framer *f);

#endif
