#include <inttypes.h>

#include "base/json_doc.h"
#include "base/utf8.h"

struct level {
	uint32_t node, last;	/* the open container; its newest child */
	uint32_t count;		/* of children so far */
	uint32_t seen;		/* the bit of each name so far: a clear bit means a new name */
	char close;		/* '}' or ']'; 0: the text itself */
};

struct scan {
	const unsigned char *begin, *at, *end;
	struct pool *pool;
	struct json_doc *doc;
	struct err *err;
	struct level *top;	/* the innermost */
	uint32_t max_values;
	struct level levels[1 + JSON_DEPTH];	/* the text itself is the first */
};

static int refuse(struct scan *s, const unsigned char *where, const char *what)
{
	const unsigned char *line = s->begin, *nl;
	size_t lines = 1;

	while ((nl = memchr(line, '\n', (size_t)(where - line)))) {
		line = nl + 1;
		lines++;
	}
	return fail(s->err, MG_EINVAL, "line %zu, byte %zu: %s", lines, (size_t)(where - line) + 1, what);
}

static int no_memory(struct scan *s)
{
	return fail(s->err, MG_ENOMEM, "no memory left for the values of the JSON text");
}

/* A name is the sender's: shortened, and without what could fake a line. */
static int refuse_duplicate(struct scan *s, const struct node *n)
{
	const char *name = node_name(s->doc, n);
	size_t len = n->name_len < 48 ? n->name_len : 48, i;
	char what[96], shown[52];

	while (len < n->name_len && len && ((unsigned char)name[len] & 0xc0) == 0x80)
		len--;	/* not inside a character */
	for (i = 0; i < len; i++)
		shown[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?' : name[i];
	shown[i] = '\0';
	snprintf(what, sizeof(what), "duplicate member '%s'%s", shown, len < n->name_len ? "..." : "");
	return refuse(s, s->begin + node_begin(s->doc, n), what);
}

/* Twice the room, in the pool; the old part stays there unused until its end. */
static void *grown(struct pool *p, const void *old, uint32_t *max, uint32_t least, size_t size)
{
	uint32_t more = *max * 2 > least ? *max * 2 : least;
	void *new = pool_alloc(p, more * size);

	if (!new)
		return NULL;
	if (*max)
		memcpy(new, old, *max * size);
	*max = more;
	return new;
}

__attribute__((noinline))
static void skip_blanks(struct scan *s)
{
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
		s->at++;
}

/* Between machines there is hardly any. */
static inline void skip_space(struct scan *s)
{
	if (s->at < s->end && *s->at <= ' ')
		skip_blanks(s);
}

static int hex4(const unsigned char *at, const unsigned char *end)
{
	int n = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		unsigned char c = at[i], low = c | 0x20;

		if (c >= '0' && c <= '9')
			n = n << 4 | (c - '0');
		else if (low >= 'a' && low <= 'f')
			n = n << 4 | (low - 'a' + 10);
		else
			return -1;
	}
	return n;
}

static int scan_unicode(struct scan *s, bool name)
{
	int c = hex4(s->at + 2, s->end), low;

	if (c < 0)
		return refuse(s, s->at, "\\u without four hexadecimal digits");
	if (!c && name)
		return refuse(s, s->at, "\\u0000 in the name of a member");
	if (c >= 0xdc00 && c <= 0xdfff)
		return refuse(s, s->at, "half of a surrogate pair");
	if (c >= 0xd800 && c <= 0xdbff) {
		low = s->end - s->at >= 12 && s->at[6] == '\\' && s->at[7] == 'u' ? hex4(s->at + 8, s->end) : -1;
		if (low < 0xdc00 || low > 0xdfff)
			return refuse(s, s->at, "half of a surrogate pair");
		s->at += 6;
	}
	s->at += 6;
	return MG_OK;
}

static int scan_escape(struct scan *s, bool name)
{
	if (s->end - s->at < 2)
		return refuse(s, s->end, "the text ends inside a string");
	switch (s->at[1]) {
	case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
		s->at += 2;
		return MG_OK;
	case 'u':
		return scan_unicode(s, name);
	default:
		return refuse(s, s->at, "unknown escape in a string");
	}
}

/* From behind the opening quote to behind the closing one. */
static int scan_string(struct scan *s, bool name, bool *escaped)
{
	size_t n;
	int rc;

	*escaped = false;
	for (;;) {
		s->at += utf8_plain(s->at, (size_t)(s->end - s->at));
		if (s->at == s->end)
			return refuse(s, s->end, "the text ends inside a string");
		if (*s->at == '"') {
			s->at++;
			return MG_OK;
		}
		if (*s->at == '\\') {
			*escaped = true;
			rc = scan_escape(s, name);
			if (rc)
				return rc;
			continue;
		}
		if (*s->at < 0x20)
			return refuse(s, s->at, "a control character in a string must be escaped");
		n = utf8_run(s->at, (size_t)(s->end - s->at));
		s->at += n;
		if (!n)
			return refuse(s, s->at, "a string is not UTF-8");
	}
}

/* Most strings are short and plain; the others go on in scan_string(), in larger strides. */
static inline int scan_plain_string(struct scan *s, bool name, bool *escaped)
{
	for (int i = 0; i < 4 && s->end - s->at >= 8; i++) {
		uint64_t bits = utf8_special(s->at);

		if (!bits) {
			s->at += 8;
			continue;
		}
		s->at += __builtin_ctzll(bits) / 8;
		if (*s->at != '"')
			break;
		s->at++;
		*escaped = false;
		return MG_OK;
	}
	return scan_string(s, name, escaped);
}

static inline bool is_digit(const struct scan *s)
{
	return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

/* The digits of 2^1024 - 2^970, where doubles end, to more places than anybody writes. */
static bool beyond_double(const unsigned char *at, const unsigned char *end)
{
	static const char limit[] = "17976931348623158079372897140530341507993413271";
	size_t i = 0;

	for (; at < end && i < sizeof(limit) - 1; at++) {
		if (*at == '.')
			continue;
		if (*at != (unsigned char)limit[i])
			return *at > (unsigned char)limit[i];
		i++;
	}
	return i == sizeof(limit) - 1;
}

/* digits: first digit to behind the last one of the fraction; point: where the
 * integer part ends; exp: clipped far outside of what matters. */
static bool too_large(const unsigned char *digits, const unsigned char *point, const unsigned char *end, long exp)
{
	const unsigned char *lead = digits;
	long power;

	while (lead < end && (*lead == '0' || *lead == '.'))
		lead++;
	if (lead == end)
		return false;
	power = (lead < point ? point - lead - 1 : point - lead) + exp;	/* d.ddd x 10^power */
	return power > 308 || (power == 308 && beyond_double(lead, end));
}

static long scan_exponent(struct scan *s)
{
	bool minus = *s->at == '-';
	long exp = 0;

	if (*s->at == '-' || *s->at == '+')
		s->at++;
	for (; is_digit(s); s->at++)
		if (exp < 1L << 40)	/* more than a text has bytes */
			exp = exp * 10 + (*s->at - '0');
	return minus ? -exp : exp;
}

static int scan_number(struct scan *s)
{
	const unsigned char *start = s->at, *digits, *point, *end;
	long exp = 0;

	if (*s->at == '-')
		s->at++;
	digits = s->at;
	if (!is_digit(s))
		return refuse(s, s->at, "a digit is missing in a number");
	if (*s->at == '0')
		s->at++;
	else
		while (is_digit(s))
			s->at++;
	if (is_digit(s))
		return refuse(s, start, "a number starts with 0");
	point = s->at;
	if (s->at < s->end && *s->at == '.') {
		s->at++;
		if (!is_digit(s))
			return refuse(s, s->at, "a digit is missing in a number");
		while (is_digit(s))
			s->at++;
	}
	end = s->at;
	if (s->at < s->end && (*s->at | 0x20) == 'e') {
		s->at++;
		if (s->at < s->end)
			exp = scan_exponent(s);
		if (s->at[-1] < '0' || s->at[-1] > '9')
			return refuse(s, s->at, "a digit is missing in a number");
	}
	if (end - digits + exp > 308 && too_large(digits, point, end, exp))
		return refuse(s, start, "a number is too large");
	return MG_OK;
}

static int scan_word(struct scan *s, const char *word, size_t len)
{
	if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len))
		return refuse(s, s->at, "a value was expected");
	s->at += len;
	return MG_OK;
}

static int keep_odd_name(struct scan *s, struct node *n, uint32_t at, uint32_t len)
{
	struct json_doc *d = s->doc;
	const char *from = d->text + at, *end = from + len;
	char *text = pool_alloc(s->pool, len);	/* shorter when unescaped */
	size_t used = 0;

	if (d->n_odd == d->max_odd) {
		struct odd_name *odd = grown(s->pool, d->odd, &d->max_odd, 8, sizeof(*odd));

		if (!odd)
			return no_memory(s);
		d->odd = odd;
	}
	if (!text)
		return no_memory(s);
	while (from < end) {
		char piece[4];
		size_t k = json_unescape(&from, piece);

		memcpy(text + used, piece, k);
		used += k;
	}
	d->odd[d->n_odd] = (struct odd_name){ text, at - 1 };
	n->flags |= NODE_ODD_NAME;
	n->name_at = d->n_odd++;
	n->name_len = (uint32_t)used;
	return MG_OK;
}

static bool same_name(const struct json_doc *d, const struct node *a, const struct node *b)
{
	return a->name_len == b->name_len && !memcmp(node_name(d, a), node_name(d, b), a->name_len);
}

/* The first names of an object are compared as they come; when there are many,
 * a table at the end of the object finds the rest. */
static int check_new(struct scan *s, struct level *l, const struct node *n)
{
	const struct json_doc *d = s->doc;
	uint32_t bit = json_name_bit(node_name(d, n), n->name_len);

	if (l->seen & bit)
		for (uint32_t i = l->node + 1; i && i != d->n_nodes; i = d->nodes[i].next)
			if (same_name(d, &d->nodes[i], n))
				return refuse_duplicate(s, n);
	l->seen |= bit;
	return MG_OK;
}

/* A name and its colon, into the node that the value will get. */
static int scan_name(struct scan *s, struct level *l, struct node *n)
{
	uint32_t at;
	bool escaped;
	int rc;

	if (s->at == s->end || *s->at != '"')
		return refuse(s, s->at, s->at == s->end ? "the text ends inside an object" :
			"the name of a member was expected, in double quotes");
	at = (uint32_t)(++s->at - s->begin);
	rc = scan_plain_string(s, true, &escaped);
	if (rc)
		return rc;
	n->name_at = at;
	n->name_len = (uint32_t)(s->at - s->begin) - at - 1;
	if (escaped)
		rc = keep_odd_name(s, n, at, n->name_len);
	if (!rc && l->count < JSON_LINEAR)
		rc = check_new(s, l, n);
	if (rc)
		return rc;
	if (s->at == s->end || *s->at != ':')
		skip_space(s);
	if (s->at == s->end || *s->at != ':')
		return refuse(s, s->at, "':' was expected behind the name of a member");
	s->at++;
	skip_space(s);
	return MG_OK;
}

/* As many as a usual text of this length has values: growing costs a copy. */
static uint32_t first_nodes(const struct scan *s)
{
	size_t n = (size_t)(s->end - s->begin) / 16 + 4;

	return n < 8 ? 8 : n < 64 ? (uint32_t)n : 64;
}

static int too_many(struct scan *s)
{
	char what[60];

	snprintf(what, sizeof(what), "more than %" PRIu32 " values", s->max_values);
	return refuse(s, s->at, what);
}

/* A node for the value that follows, not yet counted: its name comes first. */
static int new_node(struct scan *s, struct node **out)
{
	struct json_doc *d = s->doc;
	struct node *nodes;

	if (d->n_nodes == s->max_values)
		return too_many(s);
	if (d->n_nodes == d->max_nodes) {
		nodes = grown(s->pool, d->nodes, &d->max_nodes, first_nodes(s), sizeof(*nodes));
		if (!nodes)
			return no_memory(s);
		d->nodes = nodes;
	}
	*out = &d->nodes[d->n_nodes];
	return MG_OK;
}

static void link_node(struct scan *s, struct level *l)
{
	struct json_doc *d = s->doc;
	uint32_t self = d->n_nodes++;

	if (l->last)
		d->nodes[l->last].next = self;
	l->last = self;
	l->count++;
}

static int open_level(struct scan *s, struct node *n, enum mg_kind kind)
{
	if (s->top == s->levels + JSON_DEPTH)
		return refuse(s, s->at, "nested deeper than 64 levels");
	n->kind = (uint8_t)kind;
	*++s->top = (struct level){ .node = (uint32_t)(n - s->doc->nodes), .close = kind == MG_OBJECT ? '}' : ']' };
	s->at++;
	skip_space(s);
	return MG_OK;
}

static int scan_scalar(struct scan *s, struct node *n)
{
	bool escaped;
	int rc;

	switch (*s->at) {
	case '"':
		n->kind = MG_STRING;
		s->at++;
		rc = scan_plain_string(s, false, &escaped);
		if (escaped)
			n->flags |= NODE_ESCAPED;
		return rc;
	case 't':
		n->kind = MG_TRUE;
		return scan_word(s, "true", 4);
	case 'f':
		n->kind = MG_FALSE;
		return scan_word(s, "false", 5);
	case 'n':
		n->kind = MG_NULL;
		return scan_word(s, "null", 4);
	case '-': case '0': case '1': case '2': case '3': case '4':
	case '5': case '6': case '7': case '8': case '9':
		n->kind = MG_NUMBER;
		return scan_number(s);
	default:
		return refuse(s, s->at, "a value was expected");
	}
}

/* One value, with its name in an object; of a container, its bracket. */
static int scan_value(struct scan *s)
{
	struct level *l = s->top;
	struct node *n = NULL;
	int rc = new_node(s, &n);

	if (!rc && l->close == '}')
		rc = scan_name(s, l, n);
	if (rc)
		return rc;
	if (s->at == s->end)
		return refuse(s, s->at, "the text ends where a value was expected");
	link_node(s, l);
	n->at = (uint32_t)(s->at - s->begin);
	if (*s->at == '{')
		return open_level(s, n, MG_OBJECT);
	if (*s->at == '[')
		return open_level(s, n, MG_ARRAY);
	rc = scan_scalar(s, n);
	n->len = (uint32_t)(s->at - s->begin) - n->at;
	return rc;
}

static int build_table(struct scan *s, struct node *object)
{
	struct json_doc *d = s->doc;
	uint32_t size = 64, base, mask, i;

	while (size < object->count * 2)
		size *= 2;
	while (d->max_slots - d->n_slots <= size) {
		uint32_t *slots = grown(s->pool, d->slots, &d->max_slots, size + 2, sizeof(*slots));

		if (!slots)
			return no_memory(s);
		d->slots = slots;
	}
	if (!d->n_slots)
		d->n_slots = 1;	/* 0 means no table */
	base = d->n_slots;
	d->n_slots += size + 1;
	mask = d->slots[base] = size - 1;
	for (i = (uint32_t)(object - d->nodes) + 1; i; i = d->nodes[i].next) {
		const struct node *n = &d->nodes[i];
		uint32_t at = json_hash(node_name(d, n), n->name_len) & mask;

		for (; d->slots[base + 1 + at]; at = (at + 1) & mask)
			if (same_name(d, &d->nodes[d->slots[base + 1 + at]], n))
				return refuse_duplicate(s, n);
		d->slots[base + 1 + at] = i;
	}
	object->table = base;
	return MG_OK;
}

static int close_level(struct scan *s)
{
	const struct level *l = s->top--;
	struct node *n = &s->doc->nodes[l->node];

	s->at++;
	n->len = (uint32_t)(s->at - s->begin) - n->at;
	n->count = l->count;
	if (l->close == '}' && l->count > JSON_LINEAR)
		return build_table(s, n);
	n->table = l->seen;
	return MG_OK;
}

/* Behind a value or an opening bracket: closes what ends here, up to where the
 * next value stands or the whole is done. */
static int scan_between(struct scan *s)
{
	while (s->top->close) {
		const struct level *l = s->top;
		bool object = l->close == '}';
		int rc;

		skip_space(s);
		if (s->at == s->end)
			return refuse(s, s->at, object ? "the text ends inside an object" : "the text ends inside an array");
		if (*s->at == l->close) {
			rc = close_level(s);
			if (rc)
				return rc;
			continue;
		}
		if (!l->count)
			return MG_OK;	/* just opened */
		if (*s->at != ',')
			return refuse(s, s->at, object ? "',' or '}' was expected" : "',' or ']' was expected");
		s->at++;
		skip_space(s);
		return MG_OK;
	}
	return MG_OK;
}

int json_parse_large(struct pool *p, struct mg_str text, uint32_t max_values, struct mg_view *out, struct err *err)
{
	struct scan s;	/* most of its levels are never needed */
	int rc;

	s.pool = p;
	s.err = err;
	s.levels[0] = (struct level){ .close = 0 };
	s.top = s.levels;
	s.max_values = max_values;
	s.begin = s.at = (const unsigned char *)(text.at ? text.at : "");
	s.end = s.begin + (text.at ? text.len : 0);
	if (text.len >= UINT32_MAX)
		return fail(err, MG_EINVAL, "JSON text longer than 4 GiB");
	if (text.len >= 3 && !memcmp(s.at, "\xef\xbb\xbf", 3))
		return refuse(&s, s.at, "a byte order mark stands before the text");
	s.doc = pool_alloc(p, sizeof(*s.doc));
	if (!s.doc)
		return no_memory(&s);
	s.doc->text = (const char *)s.begin;
	skip_space(&s);
	do {
		rc = scan_value(&s);
		if (!rc)
			rc = scan_between(&s);
		if (rc)
			return rc;
	} while (s.top->close);
	skip_space(&s);
	if (s.at != s.end)
		return refuse(&s, s.at, "more bytes follow the JSON text");
	*out = (struct mg_view){ s.doc, 0 };
	return MG_OK;
}

int json_parse(struct pool *p, struct mg_str text, struct mg_view *out, struct err *err)
{
	return json_parse_large(p, text, JSON_VALUES, out, err);
}
