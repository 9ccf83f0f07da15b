/*
 * utf8.h - the bytes of text: what is well-formed, and how far it is plain.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Length of the well-formed character at `at` (1 to 4); 0: there is none. */
size_t utf8_char(const unsigned char *at, size_t len);

/* How many bytes from `at` on are printable ASCII other than " and \, which
 * JSON, and whoever escapes, need not look at. */
size_t utf8_plain(const unsigned char *at, size_t len);

/* Of eight bytes, the high bit of each that is not plain; exact up to the first one, which is
 * all that is asked: a borrow only ever comes from such a byte. */
static inline uint64_t utf8_special(const unsigned char *at)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t w;

	memcpy(&w, at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	return (w | (w - 0x20 * ones) | ((w ^ '"' * ones) - ones) | ((w ^ '\\' * ones) - ones)) & 0x80 * ones;
}

/* Is it a part of one line: no control character in it but tabs? */
bool utf8_line(const char *at, size_t len);

/* How many bytes from `at` on are well-formed characters beyond ASCII. */
size_t utf8_run(const unsigned char *at, size_t len);

/* Writes code point c (no surrogate, at most 0x10ffff) and returns its length. */
size_t utf8_put(char out[static 4], unsigned c);

#endif
