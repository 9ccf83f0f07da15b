/*
 * json_doc.h - the nodes behind a mg_view: shared by the parser, the views and
 * the splice, and by nobody else.
 */
#ifndef BASE_JSON_DOC_H
#define BASE_JSON_DOC_H

#include "base/json.h"

enum { NODE_ESCAPED = 1, NODE_ODD_NAME = 2 };	/* flags */
enum { JSON_LINEAR = 16 };	/* an object with more members has a table of their names */

/* In the order of the text: the first child stands right behind its parent. */
struct node {
	uint32_t at, len;		/* the raw bytes of the value */
	uint32_t next, count;		/* next sibling, 0: none; children */
	uint32_t name_at, name_len;	/* in the text; NODE_ODD_NAME: name_at is an index of odd[] */
	uint32_t table;			/* an object's: in slots[], above JSON_LINEAR members; else their bits */
	uint8_t kind, flags;
};

/* A name with escapes in it: unescaped, and where its quote stood. */
struct odd_name { const char *text; uint32_t at; };

struct json_doc {
	const char *text;
	struct node *nodes;
	struct odd_name *odd;
	uint32_t *slots;	/* tables of node numbers: [size - 1, slot, slot, ...] */
	uint32_t n_nodes, max_nodes, n_odd, max_odd, n_slots, max_slots;
};

static inline const char *node_name(const struct json_doc *d, const struct node *n)
{
	return n->flags & NODE_ODD_NAME ? d->odd[n->name_at].text : d->text + n->name_at;
}

/* Where the quote before the name stands. */
static inline uint32_t node_begin(const struct json_doc *d, const struct node *n)
{
	return n->flags & NODE_ODD_NAME ? d->odd[n->name_at].at : n->name_at - 1;
}

uint32_t json_hash(const char *name, size_t len);

/* Decodes what starts at the text's next byte into out, moves on and returns
 * the length; the text was validated. */
size_t json_unescape(const char **at, char out[static 4]);

#endif
