/*
 * rig.h - a plugin's test without a server: the rig plays host.
 *
 *	static const struct rig_case cases[] = {
 *		{ "deltas, then tokens", .answer = "{\"say\":\"Hi\"}\n{\"end\":\"done\",\"read\":3,\"wrote\":2}\n",
 *		  .events = "text(Hi) usage(input=3 output=2) finish(stop, done)" },
 *	};
 *	int main(void)
 *	{
 *		return rig_run(mg_plugin_entry(), MG_CHAT, cases, sizeof(cases) / sizeof(cases[0]));
 *	}
 *
 * Each case is one TAP line.  Its answer is cut in two at every byte and fed in
 * single bytes, and the events must be the same each time; the client goes away at
 * every byte and at every event; memory runs out early and late.
 *
 * Events as text, with one blank between two:
 *
 *	start(id, model)			finish(stop, native word)
 *	text(..)  refusal(..)			error(kind, message, code C, retry after N ms, final)
 *	reasoning(.., format, extra)		usage(input=3 cached=1 output=2 cost_nusd=140)
 *	tool_begin(index, id, name)		tool_args(index, ..)  tool_end(index)
 *	image(type, N bytes, extra)		audio(type, N bytes, extra)
 *	annotation(extra)  logprobs(extra)	segment(.., extra)
 *	vector(index, extra)			score(index, extra)  verdict(index, extra)
 *	job(id, state)  model(id, extra)	limit(name, extra, reset N ms)
 *	refused(why)				follow(POST /path, after N ms)
 *
 * What is absent at the end is left out, and so are counts of 0 and a single
 * request; `final` stands for a failure that is not retryable.  Choice 1 reads
 * text[1](..).  Deltas of one kind that follow each other are joined.  A
 * newline is written \n, other control characters \xNN.  refused: request()
 * gave a negative code.  follow: the plugin asked for one more exchange.
 */
#ifndef MOONGATE_RIG_H
#define MOONGATE_RIG_H

#include "moongate.h"

struct rig_case {
	const char *name;
	int status;			/* 0: 200 */
	bool streamed;			/* the client asked for a stream: "stream": true is added to the request */
	const char *request;		/* the canonical request; NULL: a small one of this operation */
	const char *endpoint;		/* the catalogue's row; NULL: {"model":"m-1"} */
	const char *answer;		/* NULL: none, only the request is looked at */
	size_t answer_len;		/* 0: up to the NUL */
	const char *headers;		/* of the answer, "name: value" in lines; its content-type may change the framing */
	const char *path, *body, *sends;	/* of the request, NULL: any; JSON bodies are compared by value;
					 * sends: header lines that must be there, the secret is sk-rig */
	const char *events;		/* NULL: not compared with anything, but the same at every cut */
};

/* Where to cut the answer: in two, or into single bytes, or not. */
#define RIG_BYTES ((size_t)-2)
#define RIG_WHOLE ((size_t)-1)

/* The entry that MG_PLUGIN() writes, for a test linked with its plugin. */
const struct mg_plugin *mg_plugin_entry(void);

/* Prints TAP; 0 when all of it is well, for main() to return.  The plan is printed at exit. */
int rig_run(const struct mg_plugin *p, enum mg_op op, const struct rig_case *cases, size_t n);
/* One claim of the test's own, numbered with the others; why is shown when it fails. */
bool rig_claim(bool holds, const char *name, const char *why);

/* For tests that read their cases elsewhere.  Both to be freed with free(). */
char *rig_events(const struct mg_plugin *p, enum mg_op op, const struct rig_case *c, size_t cut);
char *rig_request(const struct mg_plugin *p, enum mg_op op, const struct rig_case *c);	/* "POST /path\nname: value\n\nbody" */
/* Everything that rig_run() does with an answer, against the events of the whole one:
 * NULL, or what differed.  An answer above 4 KiB is cut at every byte for its frames, and
 * at some hundred places for its events; above 64 KiB not every byte. */
char *rig_cuts(const struct mg_plugin *p, enum mg_op op, const struct rig_case *c);
/* Equal as JSON: members in any order, numbers as they are written. */
bool rig_same(struct mg_str a, struct mg_str b);

#endif
