/*
 * utf8.h - the bytes of text: what is well-formed, and how far it is plain.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

/* Length of the well-formed character at `at` (1 to 4); 0: there is none. */
size_t utf8_char(const unsigned char *at, size_t len);

/* How many bytes from `at` on are printable ASCII other than " and \, which
 * JSON, and whoever escapes, need not look at. */
size_t utf8_plain(const unsigned char *at, size_t len);

/* How many bytes from `at` on are well-formed characters beyond ASCII. */
size_t utf8_run(const unsigned char *at, size_t len);

/* Writes code point c (no surrogate, at most 0x10ffff) and returns its length. */
size_t utf8_put(char out[static 4], unsigned c);

#endif
