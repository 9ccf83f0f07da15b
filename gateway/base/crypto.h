/*
 * crypto.h - hashes, random bytes and the names that are made of them.
 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/err.h"

enum { SHA256_HEX = 64 };

void sha256(const void *at, size_t len, unsigned char out[static 32]);
void sha256_hex(const void *at, size_t len, char out[static SHA256_HEX + 1]);
void sha256_pieces(const struct mg_str *pieces, size_t n, unsigned char out[static 32]);	/* as of one text */
void hmac_sha256(const void *key, size_t key_len, const void *at, size_t len, unsigned char out[static 32]);	/* out may be the key */
/* RSASSA-PKCS1-v1_5 with SHA-256; the key as PEM.  MG_EINVAL: no such key; MG_ENOMEM: out is too small. */
int sign_rs256(const char *pem, const void *at, size_t len, unsigned char *out, size_t *out_len, struct err *err);
/* The URL alphabet, no padding, a NUL behind it: out has room for len / 3 * 4 + 5. */
size_t base64url(const void *at, size_t len, char *out);
void random_bytes(void *out, size_t len);		/* aborts when the system has none */
/* Of less cost, for what is no secret. */
uint64_t random_number(void);
void random_name(char *out, size_t len);		/* len of [A-Za-z0-9] and a NUL */
bool same_bytes(const void *a, const void *b, size_t len);	/* in constant time */
void wipe(void *at, size_t len);
uint64_t hash64(const void *at, size_t len, uint64_t seed);	/* for tables and draws, not for secrets */

/* "gen-<unix seconds>-<20 alphanumerics>"; sorts by a counter within a second (R53). */
void id_generation(char out[static 40]);

#endif
