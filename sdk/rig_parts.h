/*
 * rig_parts.h - what the parts of the rig share: a run of one exchange, and its
 * events as text.  Not installed: it knows the gateway's own call.
 */
#ifndef RIG_PARTS_H
#define RIG_PARTS_H

#include "net/frame.h"
#include "plugin/call.h"
#include "rig.h"

enum { ROOM = 256 << 20, ANSWER_MAX = 64 << 20 };

struct trace {
	struct buf text, delta;
	struct mg_event last;		/* what delta belongs to; size 0: nothing waits */
	char format[128];		/* last.name, kept */
	size_t events, stop_at;		/* the client goes away at this event; 0: never */
};

/* What all runs of a case share. */
struct setup {
	const struct mg_plugin *plugin;
	enum mg_op op;
	const struct rig_case *c;
	struct pool *pool;
	struct mg_view request, endpoint;
	struct mg_str answer;
	char why[240];
};

struct run {
	const struct setup *s;
	struct pool *pool;
	struct call call;
	struct trace trace;
	struct mg_http http;
	int rc;
};

static inline struct mg_str text_of(const char *s)
{
	return (struct mg_str){ s, strlen(s) };
}

/* rig_trace.c */
void rig_trace_open(struct trace *t, const char *kind, uint32_t choice);
void rig_trace_args(struct buf *b, const struct mg_str *args, size_t n);	/* with ", ", up to the last that is there, and ')' */
int rig_trace_event(void *arg, const struct mg_event *e);		/* deltas of one kind become one */
void rig_trace_flush(struct trace *t);

/* rig_run.c */
int rig_setup(struct setup *s, const struct mg_plugin *p, enum mg_op op, const struct rig_case *c);
enum mg_framing rig_framing(const struct setup *s, const struct mg_operation *op);
int rig_run_begin(struct run *r, const struct setup *s, size_t budget);	/* the request; on MG_OK the run takes an answer */
/* until: the client goes away, or the line breaks, after so many bytes; SIZE_MAX: neither. */
void rig_run_answer(struct run *r, size_t cut, size_t until);
void rig_run_end(struct run *r);
int rig_feed(struct framer *f, struct mg_str s, size_t cut, struct err *err);
char *rig_setup_events(const struct setup *s, size_t cut);
char *rig_setup_request(const struct setup *s);

/* rig_cuts.c, rig_same.c: NULL or why not, which the caller frees */
char *rig_setup_cuts(const struct setup *s);
char *rig_request_differs(const struct setup *s);
char *rig_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
