#include "base/crypto.h"
#include "base/buf.h"

#include <pthread.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <limits.h>
#include <openssl/pem.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <errno.h>
#include <time.h>

static EVP_MD *fetched;
static void fetch(void)
{
	fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
}

/* Looked up once: a key's hash is asked for with every request, and EVP_sha256() looks it up each time. */
static const EVP_MD *sha256_md(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fetch);
	return fetched ? fetched : EVP_sha256();
}

void sha256(const void *at, size_t len, unsigned char out[static 32])
{
	if (!EVP_Digest(len ? at : "", len, out, NULL, sha256_md(), NULL))
		abort();	/* libcrypto without SHA-256: no answer would be right */
}

void sha256_hex(const void *at, size_t len, char out[static SHA256_HEX + 1])
{
	static const char digit[] = "0123456789abcdef";
	unsigned char sum[32];

	sha256(at, len, sum);
	for (size_t i = 0; i < sizeof(sum); i++) {
		out[2 * i] = digit[sum[i] >> 4];
		out[2 * i + 1] = digit[sum[i] & 15];
	}
	out[SHA256_HEX] = '\0';
}

void sha256_pieces(const struct mg_str *pieces, size_t n, unsigned char out[static 32])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		abort();
	for (size_t i = 0; i < n; i++)
		if (pieces[i].len && !EVP_DigestUpdate(ctx, pieces[i].at, pieces[i].len))
			abort();
	if (!EVP_DigestFinal_ex(ctx, out, NULL))
		abort();
	EVP_MD_CTX_free(ctx);
}

void hmac_sha256(const void *key, size_t key_len, const void *at, size_t len, unsigned char out[static 32])
{
	unsigned char sum[32];

	if (key_len > INT_MAX || !HMAC(EVP_sha256(), key, (int)key_len, at, len, sum, NULL))
		abort();
	memcpy(out, sum, sizeof(sum));
	wipe(sum, sizeof(sum));
}

int sign_rs256(const char *pem, const void *at, size_t len, unsigned char *out, size_t *out_len, struct err *err)
{
	BIO *text = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = text ? PEM_read_bio_PrivateKey(text, NULL, NULL, "") : NULL;	/* "": asks nobody for a passphrase */
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int rc = MG_OK;

	if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
		rc = fail(err, MG_EINVAL, "the private key is no RSA key in PEM");
	else if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 || EVP_DigestSign(ctx, out, out_len, at, len) != 1)
		rc = fail(err, MG_ENOMEM, "the private key does not sign");
	ERR_clear_error();
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	BIO_free(text);
	return rc;
}

size_t base64url(const void *at, size_t len, char *out)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *in = at;
	size_t n = 0;

	for (size_t i = 0; i < len; i += 3) {
		unsigned long v = (unsigned long)in[i] << 16 | (i + 1 < len ? (unsigned long)in[i + 1] << 8 : 0) | (i + 2 < len ? in[i + 2] : 0);
		size_t digits = len - i > 2 ? 4 : len - i + 1;

		for (size_t k = 0; k < digits; k++)
			out[n++] = digit[v >> (18 - 6 * k) & 63];
	}
	out[n] = '\0';
	return n;
}

void random_bytes(void *out, size_t len)
{
	unsigned char *at = out;

	while (len) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort();
		at += n;
		len -= (size_t)n;
	}
}

/* For what is no secret: asking the kernel for each would be two calls a request. */
static unsigned char chance(void)
{
	static _Thread_local struct { unsigned char at[512]; size_t left; } some;
	unsigned char drawn;

	if (!some.left) {
		random_bytes(some.at, sizeof(some.at));
		some.left = sizeof(some.at);
	}
	drawn = some.at[--some.left];
	some.at[some.left] = 0;
	return drawn;
}

uint64_t random_number(void)
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | chance();
	return n;
}

void random_name(char *out, size_t len)
{
	static const char letter[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	for (size_t n = 0; n < len; ) {
		unsigned char c = chance();

		if (c < 62 * 4)		/* the rest would favour the first letters */
			out[n++] = letter[c % 62];
	}
	out[len] = '\0';
}

bool same_bytes(const void *a, const void *b, size_t len)
{
	return !len || CRYPTO_memcmp(a, b, len) == 0;
}

void wipe(void *at, size_t len)
{
	if (len)
		OPENSSL_cleanse(at, len);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Eight bytes a round, folded through a 128-bit product. */
uint64_t hash64(const void *at, size_t len, uint64_t seed)
{
	const unsigned char *p = at;
	uint64_t h = seed ^ 0x9e3779b97f4a7c15u, word;
	size_t left = len;

	for (; left >= 8; left -= 8, p += 8) {
		memcpy(&word, p, 8);
		h = mix(h ^ word, 0xbf58476d1ce4e5b9u);
	}
	word = 0;
	if (left)
		memcpy(&word, p, left);
	h = mix(h ^ word, 0x94d049bb133111ebu);
	return mix(h ^ len, 0xd6e8feb86659fd93u);
}

/* 20 letters: six of a counter that starts at random, 14 of chance.  An id is
 * no secret, but it must not be guessed from its neighbour either. */
void id_generation(char out[static 40])
{
	static const char letter[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	static _Atomic uint64_t last;	/* second << 32 | number within it */
	uint64_t old = atomic_load(&last), new, n;
	char count[7], chance[15];
	struct buf b = buf_on(out, 40);

	do {	/* a wall clock that steps back goes on in the second it was in */
		uint64_t now = (uint64_t)time(NULL) << 32;

		new = now > old ? now : old + 1;
	} while (!atomic_compare_exchange_weak(&last, &old, new));
	n = new & UINT32_MAX;
	for (int i = 5; i >= 0; i--, n /= 62)
		count[i] = letter[n % 62];
	count[6] = '\0';
	random_name(chance, 14);
	buf_text(&b, "gen-");
	buf_number(&b, new >> 32);
	buf_put(&b, "-", 1);
	buf_put(&b, count, 6);
	buf_put(&b, chance, 15);	/* with its NUL */
}
