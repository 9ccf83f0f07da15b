/*
 * json.h - JSON on the path of a request: one validating pass, views into the
 * raw bytes, a writer, a splice.  Off that path jansson does the work.
 *
 * A parsed text is a flat array of nodes (kind, offset, length, next) in a
 * pool; the bytes themselves are borrowed and must stay as long as the views.
 * Numbers keep their text.  Refused, with the byte position: duplicate members,
 * depth above 64, more than 200 000 values, bad UTF-8, lone surrogates, a BOM,
 * trailing bytes, NaN, numbers beyond a double's exponent, \u0000 in a member's name.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/pool.h"

enum { JSON_DEPTH = 64, JSON_VALUES = 200000, JSON_VALUES_LARGE = 2000000 };

/* MG_EINVAL: not acceptable JSON, "line 1, byte 17: duplicate member 'model'"; MG_ENOMEM. */
int json_parse(struct pool *p, struct mg_str text, struct mg_view *out, struct err *err);
/* With another limit than JSON_VALUES: for an operator's files, not for what comes over a network. */
int json_parse_large(struct pool *p, struct mg_str text, uint32_t max_values, struct mg_view *out, struct err *err);

/* Views: absent in, absent out. */
enum mg_kind json_kind(struct mg_view v);
/* A bit of 32 for a name: an object keeps those of its members, so that most names it
 * does not have cost no comparison.  Known to the compiler where the name is. */
static inline uint32_t json_name_bit(const char *name, size_t len)
{
	return UINT32_C(1) << ((len ? (unsigned char)name[0] * 7u + (unsigned char)name[len - 1] * 3u + (unsigned)len : 0) & 31);
}
struct mg_view json_find(struct mg_view v, const char *member, size_t len, uint32_t bit);
static inline struct mg_view json_get(struct mg_view v, const char *member)
{
	size_t len;

	if (!v.doc)
		return v;
	len = strlen(member);
	return json_find(v, member, len, json_name_bit(member, len));
}
struct mg_view json_at(struct mg_view v, size_t i);	/* i-th item or member, O(i) */
struct mg_view json_next(struct mg_view v);		/* next sibling */
size_t json_len(struct mg_view v);			/* items or members; 0 for others */
struct mg_str json_name(struct mg_view v);		/* of a member, unescaped at the parse */
struct mg_str json_raw(struct mg_view v);		/* the bytes as they came */
struct mg_str json_text(struct pool *p, struct mg_view v);	/* a string unescaped, a number as written; else absent */
bool json_is(struct mg_view v, const char *word);	/* a string equal to word */
bool json_count(struct mg_view v, uint64_t *n);		/* a whole number from 0 on, below 2^63; else false and *n stays */

/* A member's name.  Of one that stands in the source the compiler knows the length, and whoever
 * wrote it there that nothing in it needs an escape; others are looked at. */
struct json_key { const char *at; uint32_t len; bool plain; };
static inline struct json_key json_key(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return (struct json_key){ name, (uint32_t)len, __builtin_constant_p(len) };
}

/* The writer.  Names are NULL at the top and inside arrays.  Errors (no room,
 * brackets that do not match, a name too many or missing) stick; json_written() tells.
 * A writer of a pool may be told of bytes that outlive it (`lasting`): what is large
 * and stands in them is not copied, but a piece of its own. */
enum { JSON_PIECE = 64 * 1024, JSON_PIECES = 64 };
struct json_piece { struct mg_str text; size_t at; };	/* stands before the at-th byte of out */
struct mg_writer { struct buf *out; struct buf own; size_t start;
	uint64_t objects, filled;	/* a bit for each open bracket, the innermost lowest: is it an object? is there something in it? */
	unsigned depth; bool bad, done;
	struct pool *pool; struct mg_str lasting; struct json_piece *pieces; size_t n_pieces; struct buf joined; };
void json_writer_init(struct mg_writer *w, struct buf *out);	/* appends to out, which the caller owns */
struct mg_writer *json_writer(struct pool *p);			/* in the pool; NULL: no memory */
void json_open_as(struct mg_writer *w, struct json_key key, char bracket);
void json_put_as(struct mg_writer *w, struct json_key key, struct mg_str text);
void json_put_raw_as(struct mg_writer *w, struct json_key key, struct mg_str json);
void json_put_int_as(struct mg_writer *w, struct json_key key, int64_t n);
void json_close(struct mg_writer *w);
static inline void json_open(struct mg_writer *w, const char *name, char bracket)	/* '{' or '[' */
{
	json_open_as(w, json_key(name), bracket);
}
static inline void json_put(struct mg_writer *w, const char *name, struct mg_str text)	/* escaped; absent: nothing */
{
	json_put_as(w, json_key(name), text);
}
static inline void json_put_raw(struct mg_writer *w, const char *name, struct mg_str json)	/* absent: nothing */
{
	json_put_raw_as(w, json_key(name), json);
}
static inline void json_put_int(struct mg_writer *w, const char *name, int64_t n)
{
	json_put_int_as(w, json_key(name), n);
}
static inline void json_put_bool(struct mg_writer *w, const char *name, bool b)
{
	json_put_raw_as(w, json_key(name), b ? MG_STR("true") : MG_STR("false"));
}
static inline void json_put_null(struct mg_writer *w, const char *name)
{
	json_put_raw_as(w, json_key(name), MG_STR("null"));
}
static inline void json_put_text(struct mg_writer *w, const char *name, const char *text)	/* NULL: writes null */
{
	if (text)
		json_put(w, name, (struct mg_str){ text, strlen(text) });
	else
		json_put_null(w, name);
}
struct mg_str json_written(struct mg_writer *w);	/* the whole text; absent when it failed or is not closed */
/* The same in pieces, which are not joined; NULL when it failed.  Nothing is written behind it. */
const struct mg_str *json_pieces(struct mg_writer *w, size_t *n);
/* Appends text as a JSON string with quotes; bad UTF-8 becomes U+FFFD. */
void json_quote(struct buf *out, struct mg_str text);

/* Copies an object with some members (64 at most) replaced (value present), removed (value
 * absent) or, where they are not there yet and a value is given, added at the
 * end; every other byte as it came.  Of two edits of one name the first counts;
 * what is no object fails the buffer. */
struct json_edit { const char *name; struct mg_str value; };
void json_splice(struct mg_view object, const struct json_edit *edits, size_t n, struct buf *out);

#endif
