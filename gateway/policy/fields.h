/*
 * fields.h - C structs as policies see them: one table describes each, shows
 * it and writes its part of moongate.d.lua.
 */
#ifndef POLICY_FIELDS_H
#define POLICY_FIELDS_H

#include "policy/state.h"

enum field_kind { K_STR, K_CSTR, K_U64, K_I64, K_INT, K_BOOL, K_NUMBER, K_WORDS, K_SET, K_PAIRS, K_DENY, K_CUTS, K_PRICES,
	K_KNOWN, K_USUAL, K_MAKE, K_LATER };
struct field {
	const char *name;
	enum field_kind kind;
	size_t at;
	const char *type, *about;	/* for editors */
	const char *otherwise;		/* of a text that is absent or empty */
	void (*make)(lua_State *L, const void *thing);
};
#define FIELD(n, k, where, t, words, ...) { .name = n, .kind = k, .at = where, .type = t, .about = words, __VA_ARGS__ }
#define AT(type, member) offsetof(struct type, member)
#define WORDS "string[]"
#define SET "table<string,boolean>"

extern const struct field req_fields[], prefs_fields[], key_fields[], feat_fields[], endpoint_fields[], live_fields[], usage_fields[];
extern const char *const pct_names[5], *const price_names[6];	/* then NULL */
size_t numbers_of(const struct field *f);	/* how many there are in a row of K_CUTS or K_PRICES */
/* A member of req by its name, "variant" or "feat.images": its field, and which struct of a request it is in. */
enum base { OF_REQ, OF_PREFS, OF_KEY, OF_FEAT, BASES };
extern const struct base_fields { const char *name, *called; const struct field *fields; } parts[BASES];	/* "prefs", "req.prefs" */
struct part { const struct field *field; unsigned char base; };
int part_named(const char *name, struct part *out);	/* -1: there is none, or it is a table of others */
const void *base_of(const struct facts *f, unsigned base);

void field_push(lua_State *L, const struct field *f, const void *thing);
/* Every field of thing into the raw table on top. */
void fields_set(lua_State *L, const struct field *f, const void *thing);
/* The value as bytes, equal for equal values only: their number, or -1 when there is no room. */
int field_image(const struct field *f, const void *thing, char *out, size_t size);
/* Is it as in a blank one, where nobody said anything?  at, blank: the members themselves. */
bool field_usual(const struct field *f, const void *at, const void *blank);
bool prefs_usual(const struct prefs *p);	/* nothing is asked for */
void fields_names(const struct field *f, const char **out, size_t max);	/* then NULL; without what follows from the others */
const struct field *field_named(const struct field *f, const char *name);	/* NULL: none */

#endif
