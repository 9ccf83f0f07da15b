#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

enum { BLOCK = 64 };

static inline bool tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

size_t utf8_char(const unsigned char *at, size_t len)
{
	unsigned char c = len ? at[0] : 0xff;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || len < 2 || !tail(at[1]))	/* c0, c1: longer than needed */
		return 0;
	if (c < 0xe0)
		return 2;
	if (len < 3 || !tail(at[2]))
		return 0;
	if (c < 0xf0) {
		if ((c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f))
			return 0;	/* longer than needed; a surrogate */
		return 3;
	}
	if (c > 0xf4 || len < 4 || !tail(at[3]))
		return 0;
	if ((c == 0xf0 && at[1] < 0x90) || (c == 0xf4 && at[1] > 0x8f))
		return 0;
	return 4;
}

static inline bool special(unsigned char c)
{
	return ((signed char)c < 0x20) | (c == '"') | (c == '\\');	/* signed: 0x80 and above too */
}

/* The same of 16 bytes in one: what the compiler makes of a loop over single bytes takes half as long again. */
typedef signed char bytes16 __attribute__((vector_size(16)));

static inline bool plain_block(const unsigned char *at)
{
	bytes16 part, printing = ~(bytes16){ 0 }, any = { 0 };
	uint64_t words[2];

#pragma GCC unroll 4
	for (size_t i = 0; i < BLOCK; i += sizeof(part)) {
		memcpy(&part, at + i, sizeof(part));
		printing &= part > 0x1f;
		any |= (part == '"') | (part == '\\');
	}
	any |= ~printing;
	memcpy(words, &any, sizeof(words));
	return !(words[0] | words[1]);
}

/* Most strings never come here, and should not pay for it. */
__attribute__((noinline))
static size_t plain_blocks(const unsigned char *at, size_t len)
{
	size_t i = 0;

	while (len - i >= BLOCK && plain_block(at + i))
		i += BLOCK;
	return i;
}

/* Up to 16 bytes, as names and words are: two words, in which some of them may stand twice. */
static inline bool short_plain(const unsigned char *at, size_t len)
{
	unsigned char word[8] = "        ";

	if (len >= 8)
		return !(utf8_special(at) | utf8_special(at + len - 8));
	if (len >= 4) {
		memcpy(word, at, 4);
		memcpy(word + 4, at + len - 4, 4);
	} else if (len) {
		word[0] = at[0];
		word[1] = at[len / 2];
		word[2] = at[len - 1];
	}
	return !utf8_special(word);
}

size_t utf8_plain(const unsigned char *at, size_t len)
{
	size_t i = 0;

	if (len <= 16 && short_plain(at, len))
		return len;
	while (len - i >= 8) {
		uint64_t bits = utf8_special(at + i);

		if (bits)
			return i + (size_t)__builtin_ctzll(bits) / 8;
		i += 8;
		if (i == 32)	/* most strings are short; this one is not */
			i += plain_blocks(at + i, len - i);
	}
	if (i && !utf8_special(at + len - 8))	/* with some of those before a second time */
		return len;
	while (i < len && !special(at[i]))
		i++;
	return i;
}

/* Of eight bytes: is one below 0x20, or 0x7f?  A tab is said to be, too. */
static inline bool controls(const char *at)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t w;

	memcpy(&w, at, 8);
	return ((w - 0x20 * ones) | ((w ^ 0x7f * ones) - ones)) & ~w & 0x80 * ones;
}

bool utf8_line(const char *at, size_t len)
{
	for (; len >= 8 && !controls(at); len -= 8)
		at += 8;
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)at[i] < 0x20 && at[i] != '\t') || at[i] == 0x7f)
			return false;
	return true;
}

size_t utf8_run(const unsigned char *at, size_t len)
{
	size_t i = 0, n;

	while (i < len && at[i] >= 0x80) {
		/* Most of the world's letters beyond ASCII: three bytes, no special case. */
		while (len - i >= 3 && at[i] > 0xe0 && at[i] < 0xed && tail(at[i + 1]) && tail(at[i + 2]))
			i += 3;
		if (i == len || at[i] < 0x80)
			break;
		n = utf8_char(at + i, len - i);
		if (!n)
			break;
		i += n;
	}
	return i;
}

size_t utf8_put(char out[static 4], unsigned c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}
