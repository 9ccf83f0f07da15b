#include "base/json_doc.h"
#include "base/utf8.h"

#include <pthread.h>
#include <sys/random.h>

static const struct mg_view absent;

static inline const struct node *node_of(struct mg_view v)
{
	return v.doc ? &((const struct json_doc *)v.doc)->nodes[v.node] : NULL;
}

static uint64_t seed;

static void seed_draw(void)
{
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
		seed = (uint64_t)(uintptr_t)&seed;
}

static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Seeded, so that nobody can prepare an object whose names all collide. */
uint32_t json_hash(const char *name, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint64_t h, word;

	pthread_once(&once, seed_draw);
	for (h = seed ^ len; len >= 8; len -= 8, name += 8) {
		memcpy(&word, name, 8);
		h = fold(h ^ word, seed | 0xbf58476d1ce4e5b9u);
	}
	word = 0;
	if (len)
		memcpy(&word, name, len);
	h = fold(h ^ word, seed | 0x94d049bb133111ebu);
	return (uint32_t)(h ^ h >> 32);
}

enum mg_kind json_kind(struct mg_view v)
{
	const struct node *n = node_of(v);

	return n ? (enum mg_kind)n->kind : MG_ABSENT;
}

enum { SHORT = 16 };

/* Two names of one length up to SHORT: as two words, in which some bytes may stand twice. */
static inline bool same_short(const char *a, const char *b, size_t len)
{
	uint64_t x[2], y[2];
	uint32_t p[2], q[2];

	if (len >= 8) {
		memcpy(x, a, 8), memcpy(x + 1, a + len - 8, 8);
		memcpy(y, b, 8), memcpy(y + 1, b + len - 8, 8);
		return x[0] == y[0] && x[1] == y[1];
	}
	if (len >= 4) {
		memcpy(p, a, 4), memcpy(p + 1, a + len - 4, 4);
		memcpy(q, b, 4), memcpy(q + 1, b + len - 4, 4);
		return p[0] == q[0] && p[1] == q[1];
	}
	return !len || (a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1]);
}

static bool same_long(const char *a, const char *b, size_t len)
{
	return !memcmp(a, b, len);
}

__attribute__((noinline))
static struct mg_view get_from_table(const struct json_doc *d, const struct node *n, const char *name, size_t len)
{
	const uint32_t *slots = d->slots + n->table + 1;
	uint32_t mask = slots[-1], at = json_hash(name, len) & mask;

	for (; slots[at]; at = (at + 1) & mask) {
		const struct node *m = &d->nodes[slots[at]];

		if (m->name_len == len && same_long(node_name(d, m), name, len))
			return (struct mg_view){ d, slots[at] };
	}
	return absent;
}

__attribute__((always_inline))
static inline struct mg_view get_from_list(const struct json_doc *d, uint32_t first, const char *name, size_t len,
	bool (*same)(const char *a, const char *b, size_t len))
{
	const struct node *nodes = d->nodes;

	for (uint32_t i = first; i; i = nodes[i].next)
		if (nodes[i].name_len == len && same(node_name(d, &nodes[i]), name, len))
			return (struct mg_view){ d, i };
	return absent;
}

__attribute__((noinline))
static struct mg_view get_short(const struct json_doc *d, uint32_t first, const char *name, size_t len)
{
	return get_from_list(d, first, name, len, same_short);
}

__attribute__((noinline))
static struct mg_view get_long(const struct json_doc *d, uint32_t first, const char *name, size_t len)
{
	return get_from_list(d, first, name, len, same_long);
}

/* Most names are not there: the searches stand apart, so that this needs no stack. */
struct mg_view json_find(struct mg_view v, const char *member, size_t len, uint32_t bit)
{
	const struct json_doc *d = v.doc;
	const struct node *n = node_of(v);

	if (!n || n->kind != MG_OBJECT)
		return (struct mg_view){ NULL, 0 };
	if (n->count > JSON_LINEAR)
		return get_from_table(d, n, member, len);
	if (!(n->table & bit))	/* an empty one has none */
		return (struct mg_view){ NULL, 0 };
	return len <= SHORT ? get_short(d, v.node + 1, member, len) : get_long(d, v.node + 1, member, len);
}

struct mg_view json_at(struct mg_view v, size_t i)
{
	const struct json_doc *d = v.doc;
	const struct node *n = node_of(v);
	uint32_t at = v.node + 1;

	if (!n || i >= n->count)	/* only arrays and objects count children */
		return absent;
	while (i--)
		at = d->nodes[at].next;
	return (struct mg_view){ d, at };
}

struct mg_view json_next(struct mg_view v)
{
	const struct node *n = node_of(v);

	return n && n->next ? (struct mg_view){ v.doc, n->next } : absent;
}

size_t json_len(struct mg_view v)
{
	const struct node *n = node_of(v);

	return n ? n->count : 0;
}

struct mg_str json_name(struct mg_view v)
{
	const struct node *n = node_of(v);

	/* Only a member has one: the root and the items of an array have name_at 0. */
	if (!n || (!n->name_at && !(n->flags & NODE_ODD_NAME)))
		return (struct mg_str){ NULL, 0 };
	return (struct mg_str){ node_name(v.doc, n), n->name_len };
}

struct mg_str json_raw(struct mg_view v)
{
	const struct json_doc *d = v.doc;
	const struct node *n = node_of(v);

	return n ? (struct mg_str){ d->text + n->at, n->len } : (struct mg_str){ NULL, 0 };
}

static unsigned hex4(const char *at)
{
	unsigned n = 0;

	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)at[i];

		n = n << 4 | (c <= '9' ? c - 0u - '0' : (c | 0x20u) - 'a' + 10);
	}
	return n;
}

static size_t unescape_unicode(const char **at, char out[static 4])
{
	unsigned c = hex4(*at + 2);

	*at += 6;
	if (c >= 0xd800 && c <= 0xdbff) {	/* the other half was seen by the parser */
		c = 0x10000 + ((c - 0xd800) << 10) + (hex4(*at + 2) - 0xdc00);
		*at += 6;
	}
	return utf8_put(out, c);
}

size_t json_unescape(const char **at, char out[static 4])
{
	out[0] = **at;
	if (out[0] != '\\') {
		++*at;
		return 1;
	}
	switch ((*at)[1]) {
	case 'u': return unescape_unicode(at, out);
	case 'b': out[0] = '\b'; break;
	case 'f': out[0] = '\f'; break;
	case 'n': out[0] = '\n'; break;
	case 'r': out[0] = '\r'; break;
	case 't': out[0] = '\t'; break;
	default: out[0] = (*at)[1];
	}
	*at += 2;
	return 1;
}

/* Whole runs between the escapes are copied at once. */
__attribute__((noinline))
static struct mg_str unescaped(struct pool *p, const char *at, size_t len)
{
	const char *end = at + len, *esc;
	char *text = pool_alloc(p, len);	/* never longer than it was */
	size_t used = 0;

	if (!text)
		return (struct mg_str){ NULL, 0 };
	while (at < end) {
		char piece[4];
		size_t k;

		esc = memchr(at, '\\', (size_t)(end - at));
		k = (size_t)((esc ? esc : end) - at);
		memcpy(text + used, at, k);
		used += k;
		at += k;
		if (!esc)
			break;
		k = json_unescape(&at, piece);
		memcpy(text + used, piece, k);
		used += k;
	}
	return (struct mg_str){ text, used };
}

struct mg_str json_text(struct pool *p, struct mg_view v)
{
	const struct json_doc *d = v.doc;
	const struct node *n = node_of(v);

	if (!n || (n->kind != MG_STRING && n->kind != MG_NUMBER))
		return (struct mg_str){ NULL, 0 };
	if (n->kind == MG_NUMBER)
		return (struct mg_str){ d->text + n->at, n->len };
	if (!(n->flags & NODE_ESCAPED))
		return (struct mg_str){ d->text + n->at + 1, n->len - 2 };
	return unescaped(p, d->text + n->at + 1, n->len - 2);
}

__attribute__((noinline))
static bool is_escaped(const char *at, const char *end, const char *word, size_t left)
{
	while (at < end) {
		char piece[4];
		size_t k = json_unescape(&at, piece);

		if (k > left || memcmp(piece, word, k))
			return false;
		word += k;
		left -= k;
	}
	return !left;
}

bool json_is(struct mg_view v, const char *word)
{
	const struct json_doc *d = v.doc;
	const struct node *n = node_of(v);
	size_t len = strlen(word);
	const char *at;

	if (!n || n->kind != MG_STRING)
		return false;
	at = d->text + n->at + 1;
	if (n->flags & NODE_ESCAPED)
		return is_escaped(at, at + n->len - 2, word, len);
	return n->len - 2 == len && !memcmp(at, word, len);
}

bool json_count(struct mg_view v, uint64_t *n)
{
	struct mg_str s = json_raw(v);
	uint64_t sum = 0;

	if (json_kind(v) != MG_NUMBER || s.len > 19)	/* 2^63 has 19 digits */
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		sum = sum * 10 + (uint64_t)(s.at[i] - '0');
	}
	if (sum > INT64_MAX)
		return false;
	*n = sum;
	return true;
}

/* ------------------------------------------------------------- splice */

struct cut {
	struct buf *out;
	const struct json_doc *doc;
	uint32_t from;		/* the first byte that is not copied or dropped yet */
	bool kept;		/* a member stands in out: a comma belongs before the next */
};

static void copy_to(struct cut *c, uint32_t to)
{
	if (to > c->from)
		buf_put(c->out, c->doc->text + c->from, to - c->from);
	if (to > c->from)
		c->from = to;
}

/* Drops the member with the comma before it, or behind it when it is the first. */
static void drop(struct cut *c, const struct node *n, uint32_t before)
{
	if (c->kept) {
		copy_to(c, before);
		c->from = n->at + n->len;
	} else {
		copy_to(c, node_begin(c->doc, n));
		c->from = n->next ? node_begin(c->doc, &c->doc->nodes[n->next]) : n->at + n->len;
	}
}

static const struct json_edit *edit_of(const struct json_doc *d, const struct node *n,
	const struct json_edit *edits, size_t n_edits)
{
	const char *name = node_name(d, n);

	for (size_t i = 0; i < n_edits; i++) {
		if (n->name_len && *name != *edits[i].name)
			continue;	/* most end here */
		if (!strncmp(name, edits[i].name, n->name_len) && !edits[i].name[n->name_len])
			return &edits[i];
	}
	return NULL;
}

static bool named_before(const struct json_edit *edits, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!strcmp(edits[k].name, edits[i].name))
			return true;
	return false;
}

static void add_missing(struct cut *c, uint64_t used, const struct json_edit *edits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!edits[i].value.at || used >> i & 1 || named_before(edits, i))
			continue;
		if (c->kept)
			buf_put(c->out, ",", 1);
		json_quote(c->out, (struct mg_str){ edits[i].name, strlen(edits[i].name) });
		buf_put(c->out, ":", 1);
		buf_str(c->out, edits[i].value);
		c->kept = true;
	}
}

void json_splice(struct mg_view object, const struct json_edit *edits, size_t n_edits, struct buf *out)
{
	const struct json_doc *d = object.doc;
	const struct node *top = node_of(object);
	struct cut c = { out, d, top ? top->at : 0, false };
	uint32_t before, i;	/* before: end of the last member so far */
	uint64_t used = 0;	/* a bit for each edit whose member is there */

	if (!top || top->kind != MG_OBJECT || n_edits > 64) {
		out->failed = true;
		return;
	}
	before = top->at + 1;
	for (i = top->count ? object.node + 1 : 0; i; i = d->nodes[i].next) {
		const struct node *n = &d->nodes[i];
		const struct json_edit *e = edit_of(d, n, edits, n_edits);

		if (e)
			used |= UINT64_C(1) << (e - edits);
		if (e && !e->value.at) {
			drop(&c, n, before);
		} else {
			c.kept = true;
			if (e) {
				copy_to(&c, n->at);
				buf_str(out, e->value);
				c.from = n->at + n->len;
			}
		}
		before = n->at + n->len;
	}
	copy_to(&c, before);
	add_missing(&c, used, edits, n_edits);
	copy_to(&c, top->at + top->len);
}
