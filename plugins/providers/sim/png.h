/*
 * sim/png.h - the size and the main colour of a PNG; a small PNG by hand.
 */
#ifndef SIM_PNG_H
#define SIM_PNG_H

#include "text.h"

enum { PIXELS_MAX = 4 << 20, CODES = 288, BITS = 15 };	/* larger images keep their colour to themselves */

struct png { uint32_t width, height; const char *colour; };

static uint32_t big(const char *at)
{
	const unsigned char *b = (const unsigned char *)at;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* ------------------------------------------------ inflate (RFC 1951) */

struct bits { const unsigned char *at; size_t len, pos; uint32_t held; unsigned n; bool bad; };
struct code { uint16_t count[BITS + 1], symbol[CODES]; };

static unsigned take(struct bits *b, unsigned n)
{
	while (b->n < n) {
		b->bad |= b->pos >= b->len;
		b->held |= (uint32_t)(b->bad ? 0 : b->at[b->pos++]) << b->n;
		b->n += 8;
	}
	unsigned v = b->held & ((1u << n) - 1);

	b->held >>= n;
	b->n -= n;
	return v;
}

static void code_make(struct code *c, const unsigned char *lengths, unsigned n)
{
	uint16_t from[BITS + 1] = { 0 };

	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < n; i++)
		c->count[lengths[i]]++;
	c->count[0] = 0;
	for (unsigned i = 1; i < BITS; i++)
		from[i + 1] = (uint16_t)(from[i] + c->count[i]);
	for (unsigned i = 0; i < n; i++)
		if (lengths[i])
			c->symbol[from[lengths[i]]++] = (uint16_t)i;
}

static unsigned symbol(struct bits *b, const struct code *c)
{
	int at = 0, first = 0, index = 0;

	for (unsigned len = 1; len <= BITS && !b->bad; len++) {
		at |= (int)take(b, 1);
		if (at - c->count[len] < first)
			return c->symbol[index + at - first];
		index += c->count[len];
		first = (first + c->count[len]) << 1;
		at <<= 1;
	}
	b->bad = true;
	return 256;
}

static void codes_read(struct bits *b, struct code *lit, struct code *dist)
{
	static const unsigned char order[] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 };
	unsigned char lengths[CODES + 32] = { 0 };
	unsigned n_lit = take(b, 5) + 257, n_dist = take(b, 5) + 1, n_len = take(b, 4) + 4, i;
	struct code how;

	for (i = 0; i < n_len; i++)
		lengths[order[i]] = (unsigned char)take(b, 3);
	code_make(&how, lengths, 19);
	memset(lengths, 0, sizeof(lengths));
	for (i = 0; i < n_lit + n_dist && !b->bad;) {
		unsigned s = symbol(b, &how), times = 1, value = s;

		if (s == 16) {
			b->bad |= !i;
			value = i ? lengths[i - 1] : 0;
			times = 3 + take(b, 2);
		} else if (s > 16) {
			value = 0;
			times = s == 17 ? 3 + take(b, 3) : 11 + take(b, 7);
		}
		for (; times-- && i < sizeof(lengths); i++)
			lengths[i] = (unsigned char)value;
	}
	if (n_lit > CODES || n_dist > 32)
		b->bad = true;
	else if (!b->bad) {
		code_make(lit, lengths, n_lit);
		code_make(dist, lengths + n_lit, n_dist);
	}
}

static void codes_fixed(struct code *lit, struct code *dist)
{
	unsigned char lengths[CODES];

	for (unsigned i = 0; i < CODES; i++)
		lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
	code_make(lit, lengths, CODES);
	memset(lengths, 5, 30);
	code_make(dist, lengths, 30);
}

static void block(struct bits *b, const struct code *lit, const struct code *dist, unsigned char *out, size_t size, size_t *n)
{
	static const uint16_t base[] = { 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258 };
	static const uint16_t far[] = { 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577 };

	for (;;) {
		unsigned s = symbol(b, lit), len, d;
		size_t back;

		if (b->bad || s == 256 || *n >= size)
			return;
		if (s < 256) {
			out[(*n)++] = (unsigned char)s;
			continue;
		}
		if ((s -= 257) >= COUNT(base)) {
			b->bad = true;
			return;
		}
		len = base[s] + (s < 8 || s == 28 ? 0 : take(b, (s - 4) / 4));
		if ((d = symbol(b, dist)) >= COUNT(far)) {
			b->bad = true;
			return;
		}
		back = far[d] + (d < 4 ? 0 : take(b, (d - 2) / 2));
		if (back > *n) {
			b->bad = true;
			return;
		}
		for (; len-- && *n < size; ++*n)
			out[*n] = out[*n - back];
	}
}

/* What fits into out; less where the data are bad. */
static size_t inflate(struct bits *b, unsigned char *out, size_t size)
{
	size_t n = 0;
	bool last = false;

	while (!last && !b->bad && n < size) {
		struct code lit, dist;
		unsigned type;

		last = take(b, 1);
		type = take(b, 2);
		if (type == 0) {
			b->n = b->held = 0;
			size_t len = b->pos + 4 <= b->len ? b->at[b->pos] | (size_t)b->at[b->pos + 1] << 8 : 0;

			b->bad |= b->pos + 4 + len > b->len;
			for (b->pos += 4; !b->bad && len-- && n < size; n++)
				out[n] = b->at[b->pos++];
			continue;
		}
		if (type == 1)
			codes_fixed(&lit, &dist);
		else if (type == 2)
			codes_read(b, &lit, &dist);
		else
			b->bad = true;
		if (!b->bad)
			block(b, &lit, &dist, out, size, &n);
	}
	return n;
}

/* ------------------------------------------------ what is in it */

static const char *colour_name(unsigned r, unsigned g, unsigned b)
{
	static const struct { const char *name; int r, g, b; } known[] = {
		{ "black", 0, 0, 0 }, { "white", 255, 255, 255 }, { "red", 255, 0, 0 }, { "green", 0, 160, 0 }, { "green", 0, 255, 0 },
		{ "blue", 0, 0, 255 }, { "yellow", 255, 255, 0 }, { "orange", 255, 165, 0 }, { "purple", 128, 0, 128 }, { "pink", 255, 170, 190 },
		{ "grey", 128, 128, 128 }, { "brown", 139, 69, 19 }, { "cyan", 0, 255, 255 }, { "magenta", 255, 0, 255 } };
	size_t best = 0;
	long least = -1;

	for (size_t i = 0; i < COUNT(known); i++) {
		long dr = (long)r - known[i].r, dg = (long)g - known[i].g, db = (long)b - known[i].b, far = dr * dr + dg * dg + db * db;

		if (least < 0 || far < least) {
			least = far;
			best = i;
		}
	}
	return known[best].name;
}

static unsigned char unfilter(unsigned type, int left, int up, int corner)
{
	int p = left + up - corner, pl = abs(p - left), pu = abs(p - up), pc = abs(p - corner);

	switch (type) {
	case 1: return (unsigned char)left;
	case 2: return (unsigned char)up;
	case 3: return (unsigned char)((left + up) / 2);
	case 4: return (unsigned char)(pl <= pu && pl <= pc ? left : pu <= pc ? up : corner);
	default: return 0;
	}
}

/* The colour that most opaque pixels are near; white counts only when alone. */
static const char *main_colour(unsigned char *rows, const struct png *p, unsigned channels, const char *palette, size_t colours)
{
	const char *names[16] = { 0 };
	size_t votes[16] = { 0 }, row = (size_t)p->width * channels, best = SIZE_MAX, i;

	for (size_t y = 0; y < p->height; y++) {
		unsigned char *at = rows + y * (row + 1), *up = y ? at - row : NULL;
		unsigned type = *at++;

		for (size_t x = 0; x < row; x++)
			at[x] = (unsigned char)(at[x] + unfilter(type, x >= channels ? at[x - channels] : 0, up ? up[x] : 0, up && x >= channels ? up[x - channels] : 0));
		for (size_t x = 0; x < row; x += channels) {
			unsigned r = at[x], g = r, b = r;
			const char *name;

			if (palette && r < colours) {
				g = (unsigned char)palette[3 * r + 1];
				b = (unsigned char)palette[3 * r + 2];
				r = (unsigned char)palette[3 * r];
			} else if (channels >= 3) {
				g = at[x + 1];
				b = at[x + 2];
			}
			if ((channels == 4 || channels == 2) && at[x + channels - 1] < 128)
				continue;
			name = colour_name(r, g, b);
			for (i = 0; i < 15 && names[i] && names[i] != name; i++)
				;
			names[i] = name;
			votes[i]++;
		}
	}
	for (i = 0; i < 16 && names[i]; i++)
		if (best == SIZE_MAX || !strcmp(names[best], "white") || (votes[i] > votes[best] && strcmp(names[i], "white")))
			best = i;
	return best == SIZE_MAX ? NULL : names[best];
}

static bool png_read(struct mg_call *c, struct mg_str s, struct png *p)
{
	static const unsigned char of[] = { 1, 0, 3, 1, 2, 0, 4 };
	unsigned channels;
	const char *palette = NULL;
	size_t colours = 0, size, n = 0;
	char *packed;
	unsigned char *rows;

	*p = (struct png){ 0 };
	if (s.len < 33 || memcmp(s.at, "\x89PNG\r\n\x1a\n", 8))
		return false;
	p->width = big(s.at + 16);
	p->height = big(s.at + 20);
	channels = (unsigned char)s.at[25] < sizeof(of) ? of[(unsigned char)s.at[25]] : 0;
	if (s.at[24] != 8 || s.at[28] || !channels || !p->width || !p->height || p->width > PIXELS_MAX / p->height)
		return true;
	size = ((size_t)p->width * channels + 1) * p->height;
	packed = c->host->alloc(c, s.len);
	rows = c->host->alloc(c, size);
	if (!packed || !rows)
		return true;
	for (size_t at = 8, len; at + 12 <= s.len; at += 12 + len) {
		len = big(s.at + at);
		if (len > s.len - at - 12)
			return true;
		if (!memcmp(s.at + at + 4, "PLTE", 4)) {
			palette = s.at + at + 8;
			colours = len / 3;
		} else if (!memcmp(s.at + at + 4, "IDAT", 4)) {
			memcpy(packed + n, s.at + at + 8, len);
			n += len;
		}
	}
	struct bits b = { .at = (unsigned char *)packed + 2, .len = n > 6 ? n - 6 : 0 };

	if (inflate(&b, rows, size) == size)
		p->colour = main_colour(rows, p, channels, s.at[25] == 3 ? palette : NULL, colours);
	return true;
}

/* ------------------------------------------------ a small one */

static uint32_t crc(const unsigned char *at, size_t len)
{
	uint32_t v = 0xffffffffu;

	while (len--) {
		v ^= *at++;
		for (int k = 0; k < 8; k++)
			v = v >> 1 ^ (v & 1 ? 0xedb88320u : 0);
	}
	return ~v;
}

static void put_big(struct text *t, uint32_t v)
{
	const char b[4] = { (char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v };

	put(t, (struct mg_str){ b, 4 });
}

static void chunk(struct text *t, const char *name, struct mg_str data)
{
	size_t from;

	put_big(t, (uint32_t)data.len);
	from = t->len;
	say(t, name);
	put(t, data);
	if (!t->failed)
		put_big(t, crc((unsigned char *)t->at + from, t->len - from));
}

/* side x side pixels of one colour, on a frame of a lighter one, stored not packed. */
static struct mg_str png_make(struct mg_call *c, uint32_t side, const unsigned char rgb[static 3])
{
	struct text out = { .c = c }, head = { .c = c }, rows = { .c = c }, data = { .c = c };
	uint32_t a = 1, b = 0;

	put_big(&head, side);
	put_big(&head, side);
	put(&head, (struct mg_str){ "\x08\x02\0\0\0", 5 });
	for (uint32_t y = 0; y < side; y++) {
		put(&rows, (struct mg_str){ "\0", 1 });
		for (uint32_t x = 0; x < side; x++) {
			bool edge = !x || !y || x == side - 1 || y == side - 1;
			char p[3];

			for (int k = 0; k < 3; k++)
				p[k] = (char)(edge ? 128 + rgb[k] / 2 : rgb[k]);
			put(&rows, (struct mg_str){ p, 3 });
		}
	}
	put(&data, (struct mg_str){ "\x78\x01\x01", 3 });	/* one stored block: below 64 KiB */
	const char len[4] = { (char)rows.len, (char)(rows.len >> 8), (char)~rows.len, (char)(~rows.len >> 8) };

	put(&data, (struct mg_str){ len, 4 });
	put(&data, whole(&rows));
	for (size_t i = 0; i < rows.len && !rows.failed; i++) {
		a = (a + (unsigned char)rows.at[i]) % 65521;
		b = (b + a) % 65521;
	}
	put_big(&data, b << 16 | a);
	put(&out, (struct mg_str){ "\x89PNG\r\n\x1a\n", 8 });
	chunk(&out, "IHDR", whole(&head));
	chunk(&out, "IDAT", whole(&data));
	chunk(&out, "IEND", MG_STR(""));
	return out.failed || rows.failed || data.failed ? (struct mg_str){ 0 } : whole(&out);
}

#endif
