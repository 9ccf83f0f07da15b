/*
 * seal.h - this installation's own key: it signs receipts, and hashes what is kept as a hash only.
 *
 * An Ed25519 key in data_dir/receipt.key, PEM, mode 0600, made when it is first needed;
 * `openssl pkey -in receipt.key -pubout` gives the public one, too.
 */
#ifndef BASE_SEAL_H
#define BASE_SEAL_H

#include "base/buf.h"
#include "base/err.h"

enum { SEAL_SECRET = 32, SEAL_PUBLIC = 32, SEAL_SIGNATURE = 64, SEAL_SIGNATURE_TEXT = 86, SEAL_ID = 16 };	/* bytes; letters; hex digits */

struct seal { unsigned char secret[SEAL_SECRET]; };	/* the rest is worked out at its use: few ask, and libcrypto's part for it is 1.6 MB */

/* MG_EINVAL: it cannot be read, made, or others may read it. */
int seal_open(const char *data_dir, struct seal *out, struct err *err);
void seal_close(struct seal *s);		/* wipes */
int seal_public(const struct seal *s, unsigned char out[static SEAL_PUBLIC], struct err *err);	/* MG_ENOMEM */
/* base64url and a NUL.  MG_ENOMEM. */
int seal_sign(const struct seal *s, struct mg_str text, char out[static SEAL_SIGNATURE_TEXT + 1], struct err *err);
bool seal_verify(const unsigned char public[static SEAL_PUBLIC], struct mg_str text, struct mg_str signature);
/* 64 hex digits and a NUL: the same only for who has the key. */
void seal_hash(const struct seal *s, struct mg_str text, char out[static 65]);

/* -----BEGIN PUBLIC KEY----- ... */
void seal_public_pem(const unsigned char public[static SEAL_PUBLIC], struct buf *out);
int seal_public_read(struct mg_str pem, unsigned char public[static SEAL_PUBLIC], struct err *err);
/* The first digits of the public key's SHA-256. */
void seal_id(const unsigned char public[static SEAL_PUBLIC], char out[static SEAL_ID + 1]);

#endif
