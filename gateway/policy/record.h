/*
 * record.h - how a decision's record is put down: what its writers share.
 *
 * A hundred small pieces to a record, and one record for each generation: nothing is
 * built first, and nothing is said that goes without saying.
 */
#ifndef POLICY_RECORD_H
#define POLICY_RECORD_H

#include "base/json.h"
#include "base/utf8.h"
#include "policy/fields.h"

#define LIT(b, text) put(b, text, sizeof(text) - 1)

/* Where there is room already, no call. */
static inline void put(struct buf *b, const char *at, size_t len)
{
	if (b->failed || len > b->size - b->len) {
		buf_put(b, at, len);
		return;
	}
	memcpy(b->at + b->len, at, len);
	b->len += len;
}

static inline void put_quoted(struct buf *b, struct mg_str s)
{
	if (s.len && utf8_plain((const unsigned char *)s.at, s.len) < s.len) {
		json_quote(b, s);
		return;
	}
	LIT(b, "\"");
	if (s.len)
		put(b, s.at, s.len);
	LIT(b, "\"");
}

static inline void put_word(struct buf *b, const char *word)
{
	put_quoted(b, (struct mg_str){ word, word ? strlen(word) : 0 });
}

/* A comma, a name and its colon; name is `"name":` already. */
static inline void put_name(struct buf *b, const char *name)
{
	LIT(b, ",");
	buf_text(b, name);
}

void put_int(struct buf *b, int64_t n);
/* As short as it can be, and exact. */
void put_decimal(struct buf *b, double x);
/* The member's comma at `first` becomes the bracket; without a member nothing stays behind `start`. */
void close_at(struct buf *b, size_t start, size_t first, char bracket);

enum { KEEP_USUAL_S = 30 * 86400 };	/* with metadata, in every sink: what is kept of most */

/* ---- seen.c: endpoints as policies saw them */
enum { ENDPOINT_DIGITS = 16 };	/* of the hash of what does not change of one */
/* What does not change, as JSON text, and the hash of it. */
void endpoint_text(struct buf *b, const struct endpoint *e);
void endpoint_hash(struct mg_str text, char out[static ENDPOINT_DIGITS + 1]);
enum { LIVE_NUMBERS = 17 };	/* of live_facts: those of the rings */
void live_numbers(const double at[LIVE_NUMBERS], struct live_facts *l);
/* The candidates of one routing: `[...]`. */
void put_candidates(struct policy_state *s, struct buf *b, const struct candidate *list, size_t n, endpoint_teller *tell, void *arg);

#endif
