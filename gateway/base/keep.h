/*
 * keep.h - what may be kept of a request: the one gate before every place that outlives it.
 *
 * The policies' retain hook decides once, before anything is written.  A sink is a place
 * that keeps.  Whoever writes into one takes a permit, and keep_permit() alone makes them;
 * without it there is the billing row: ids, token counts and money, as this gateway made
 * and counted them, and nothing that a client said.
 *
 *	none		the billing row alone
 *	metadata	who asked, and how: user, session, application, labels, the decision
 *	hashed		also what was asked, as a hash under this installation's key
 *	full		also what was asked and answered
 *
 * A sink has its own most: none takes content today, so that `full` keeps what `hashed` does.
 */
#ifndef BASE_KEEP_H
#define BASE_KEEP_H

#include "base/json.h"

enum keep_level { KEEP_NONE, KEEP_METADATA, KEEP_HASHED, KEEP_FULL, KEEP_LEVELS };
/* The log's lines; generations; decisions; what is not there yet has its place, so that a policy may say no today. */
enum sink { SINK_LOG, SINK_RECORD, SINK_DECISION, SINK_TRACE, SINK_CACHE, SINK_BATCH, SINK_FILE, SINKS };
enum { ALL_SINKS = (1 << SINKS) - 1 };
extern const char *const keep_names[KEEP_LEVELS], *const sink_names[SINKS];

struct keep { enum keep_level store; uint64_t ttl_s; bool cache; unsigned sinks; /* bit n: into sink n */ };

/* Where no policy says otherwise: metadata, 30 days, into all sinks.  And the billing row alone. */
extern const struct keep keep_usual, keep_nothing;
/* ["metadata",2592000], and behind that, where it is not what is usual: cache, and the sinks' names. */
void keep_write(const struct keep *k, struct buf *out);
bool keep_parse(struct mg_view kept, struct keep *out);		/* false: that is none */

/* Each field the less of the two. */
void keep_tighten(struct keep *k, const struct keep *other);

/* Zeroed, it permits nothing.  until_ms: Unix; what was written goes then; INT64_MAX: it stays. */
struct permit { enum sink sink; enum keep_level level; int64_t until_ms; };
struct permit keep_permit(const struct keep *k, enum sink s, int64_t at_ms);
static inline bool permits(struct permit p, enum sink s, enum keep_level what)
{
	return what != KEEP_NONE && p.sink == s && p.level >= what;
}

/* What a client said of itself.  A sink that may have it gets it from these two (else absent, and NULL); who takes
 * .in_confidence takes it where the client sent it: into facts for policies, its own answer, its upstream. */
struct confided { struct mg_str in_confidence; };
struct mg_str confided_to(struct permit p, struct confided t);
const char *confided_words(struct permit p, struct confided t, struct pool *pool);	/* a copy; NULL: also where it said nothing */

#endif
