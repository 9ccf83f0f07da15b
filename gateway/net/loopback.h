/*
 * loopback.h - an exchange that never leaves the process.
 *
 * A provider whose base URL is "sim:" has no upstream.  Its plugin writes the
 * script of the answer as the request body, and this transport plays it with the
 * timing that it states, behind the same events as an exchange of net/client.h.
 *
 * The script is NDJSON, in the order of its lines.  A line may begin with
 * "after_ms": how long after the line before it comes.  The member behind says
 * what it is, and must stand there:
 *
 *	{"after_ms":20,"event":{...}}	body: the line as it is, line feed and all
 *	{"raw":"text"}			body: the text, which may be anything
 *	{"status":429,"headers":{"retry-after":"2"},"body":{...}}
 *					the status line, and a body; without it: 200
 *	{"cut":true}			the connection breaks here
 *	{"refuse":true}			no connection at all
 *	{"hang":true}			nothing more, until a limit or a cancel
 *
 * Events come from the loop, never from within loopback_start(): head, data
 * (false: pause; the same bytes come again after loopback_resume()), and end
 * once, last, unless loopback_cancel() came first.  The loopback is free when
 * either returns.  Lines that are due together come in one piece.
 */
#ifndef NET_LOOPBACK_H
#define NET_LOOPBACK_H

#include "net/client.h"

#define LOOPBACK_URL "sim:"

struct loopback;

/* body is borrowed until the end.  Not a stream: the whole delay comes before the
 * head, as from an upstream that answers in one go.  NULL: no memory. */
struct loopback *loopback_start(struct loop *loop, struct mg_str body, bool stream,
	void (*head)(void *owner, int status),
	bool (*data)(void *owner, const char *at, size_t len),
	void (*end)(void *owner, const struct exchange_result *result), void *owner);
/* As of struct exchange_conf, counted from now; 0: none. */
void loopback_limits(struct loopback *lb, uint64_t headers_ms, uint64_t idle_ms, uint64_t total_ms);
void loopback_cancel(struct loopback *lb);
void loopback_resume(struct loopback *lb);
/* A header of the answer, while the loopback lives; absent. */
struct mg_str loopback_header(struct loopback *lb, const char *name);

#endif
