#include "base/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"

enum { PEM_MAX = 4096 };

/* ---- the file */

/* Appears whole or not at all, also for another process that makes one at the same time: the first one's stays. */
static int put_file(const char *path, struct mg_str pem, struct err *err)
{
	char fresh[4300];
	int fd, rc = MG_OK;

	snprintf(fresh, sizeof(fresh), "%s.%ld", path, (long)getpid());
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(err, MG_EINVAL, "cannot make '%.150s': %s", fresh, strerror(errno));
	if (write(fd, pem.at, pem.len) != (ssize_t)pem.len || fsync(fd))
		rc = fail(err, MG_EINVAL, "cannot write '%.150s': %s", fresh, strerror(errno));
	close(fd);
	if (!rc && link(fresh, path) && errno != EEXIST)
		rc = fail(err, MG_EINVAL, "cannot make '%.150s': %s", path, strerror(errno));
	unlink(fresh);
	return rc;
}

/* An Ed25519 key's PKCS #8 form (RFC 8410) is these bytes and the secret; PEM is that in base64, here one line. */
static const unsigned char plain[] = { 0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20 };
static const char begin[] = "-----BEGIN PRIVATE KEY-----\n", end[] = "\n-----END PRIVATE KEY-----\n";
enum { BEGIN = sizeof(begin) - 1, END = sizeof(end) - 1, DER = sizeof(plain) + SEAL_SECRET, LINE = DER / 3 * 4, PLAIN = BEGIN + LINE + END };

static int make(const char *path, struct err *err)
{
	unsigned char der[DER];
	char pem[PLAIN + 1];
	int rc;

	memcpy(der, plain, sizeof(plain));
	random_bytes(der + sizeof(plain), SEAL_SECRET);
	memcpy(pem, begin, BEGIN);
	EVP_EncodeBlock((unsigned char *)pem + BEGIN, der, DER);
	memcpy(pem + BEGIN + LINE, end, END);
	rc = put_file(path, (struct mg_str){ pem, PLAIN }, err);
	wipe(der, sizeof(der));
	wipe(pem, sizeof(pem));
	return rc;
}

/* 0: there is none. */
static int read_file(const char *path, char pem[PEM_MAX], struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : fail(err, MG_EINVAL, "cannot open '%.150s': %s", path, strerror(errno));
	n = fstat(fd, &st) ? -1 : read(fd, pem, PEM_MAX - 1);
	close(fd);
	if (n <= 0)
		return fail(err, MG_EINVAL, "cannot read '%.150s'", path);
	pem[n] = '\0';
	if (st.st_mode & 077)
		return fail(err, MG_EINVAL, "'%.150s' may be read by others; hint: chmod 600", path);
	return 1;
}

/* As make() and `openssl genpkey` write it: libcrypto's decoders for all there is are 1.6 MB that stay. */
static bool take_plain(const char *pem, struct seal *out)
{
	unsigned char der[DER];
	bool is = !strncmp(pem, begin, BEGIN) && strlen(pem) == PLAIN && !strcmp(pem + BEGIN + LINE, end) &&
		EVP_DecodeBlock(der, (const unsigned char *)pem + BEGIN, LINE) == DER && !memcmp(der, plain, sizeof(plain));

	if (is)
		memcpy(out->secret, der + sizeof(plain), SEAL_SECRET);
	wipe(der, sizeof(der));
	return is;
}

static int take(const char *path, const char *pem, struct seal *out, struct err *err)
{
	BIO *text = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = text ? PEM_read_bio_PrivateKey(text, NULL, NULL, (void *)(uintptr_t)"") : NULL;
	size_t len = sizeof(out->secret);
	int rc = MG_OK;

	if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519 || !EVP_PKEY_get_raw_private_key(key, out->secret, &len))
		rc = fail(err, MG_EINVAL, "'%.150s' is no Ed25519 key in PEM", path);
	ERR_clear_error();
	EVP_PKEY_free(key);
	BIO_free(text);
	return rc;
}

int seal_open(const char *data_dir, struct seal *out, struct err *err)
{
	char path[4200], pem[PEM_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s/receipt.key", data_dir);
	rc = read_file(path, pem, err);
	if (!rc) {
		rc = make(path, err);
		rc = rc ? rc : read_file(path, pem, err);
	}
	if (rc == 1)
		rc = take_plain(pem, out) ? MG_OK : take(path, pem, out, err);
	wipe(pem, sizeof(pem));
	return rc;
}

void seal_close(struct seal *s)
{
	wipe(s, sizeof(*s));
}

/* ---- signing */

int seal_sign(const struct seal *s, struct mg_str text, char out[static SEAL_SIGNATURE_TEXT + 1], struct err *err)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, s->secret, sizeof(s->secret));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char sum[SEAL_SIGNATURE];
	size_t len = sizeof(sum);
	int rc = MG_OK;

	if (!key || !ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
	    EVP_DigestSign(ctx, sum, &len, (const unsigned char *)text.at, text.len) != 1)
		rc = fail(err, MG_ENOMEM, "the receipt cannot be signed");
	else
		base64url(sum, len, out);
	ERR_clear_error();
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return rc;
}

/* Strict: one text for one signature. */
static bool from_base64url(struct mg_str text, unsigned char out[SEAL_SIGNATURE])
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char again[SEAL_SIGNATURE_TEXT + 8];
	unsigned bits = 0, n = 0;
	size_t len = 0;

	if (text.len != SEAL_SIGNATURE_TEXT)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		const char *at = memchr(digit, text.at[i], 64);

		if (!at)
			return false;
		bits = bits << 6 | (unsigned)(at - digit);
		n += 6;
		if (n >= 8) {
			n -= 8;
			out[len++] = (unsigned char)(bits >> n);
		}
	}
	base64url(out, SEAL_SIGNATURE, again);
	return !memcmp(again, text.at, text.len);
}

bool seal_verify(const unsigned char public[static SEAL_PUBLIC], struct mg_str text, struct mg_str signature)
{
	unsigned char sum[SEAL_SIGNATURE + 8];
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public, SEAL_PUBLIC);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = from_base64url(signature, sum) && key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
		EVP_DigestVerify(ctx, sum, SEAL_SIGNATURE, (const unsigned char *)text.at, text.len) == 1;

	ERR_clear_error();
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return good;
}

void seal_hash(const struct seal *s, struct mg_str text, char out[static 65])
{
	static const char purpose[] = "moongate: hash of what was asked";
	unsigned char key[32], sum[32];

	hmac_sha256(s->secret, sizeof(s->secret), purpose, sizeof(purpose) - 1, key);
	hmac_sha256(key, sizeof(key), text.len ? text.at : "", text.len, sum);
	wipe(key, sizeof(key));
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

/* ---- the public key */

int seal_public(const struct seal *s, unsigned char out[static SEAL_PUBLIC], struct err *err)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, s->secret, sizeof(s->secret));
	size_t len = SEAL_PUBLIC;
	int rc = key && EVP_PKEY_get_raw_public_key(key, out, &len) ? MG_OK : fail(err, MG_ENOMEM, "the public key cannot be worked out");

	ERR_clear_error();
	EVP_PKEY_free(key);
	return rc;
}

void seal_id(const unsigned char public[static SEAL_PUBLIC], char out[static SEAL_ID + 1])
{
	char hex[SHA256_HEX + 1];

	sha256_hex(public, SEAL_PUBLIC, hex);
	memcpy(out, hex, SEAL_ID);
	out[SEAL_ID] = '\0';
}

void seal_public_pem(const unsigned char public[static SEAL_PUBLIC], struct buf *out)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public, SEAL_PUBLIC);
	BIO *pem = BIO_new(BIO_s_mem());
	char *at = NULL;
	long len;

	if (key && pem && PEM_write_bio_PUBKEY(pem, key) == 1 && (len = BIO_get_mem_data(pem, &at)) > 0)
		buf_put(out, at, (size_t)len);
	else
		out->failed = true;
	ERR_clear_error();
	BIO_free(pem);
	EVP_PKEY_free(key);
}

int seal_public_read(struct mg_str pem, unsigned char public[static SEAL_PUBLIC], struct err *err)
{
	BIO *text = pem.len && pem.len < PEM_MAX ? BIO_new_mem_buf(pem.at, (int)pem.len) : NULL;
	EVP_PKEY *key = text ? PEM_read_bio_PUBKEY(text, NULL, NULL, NULL) : NULL;
	size_t len = SEAL_PUBLIC;
	int rc = MG_OK;

	if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519 || !EVP_PKEY_get_raw_public_key(key, public, &len))
		rc = fail(err, MG_EINVAL, "no Ed25519 public key in PEM");
	ERR_clear_error();
	EVP_PKEY_free(key);
	BIO_free(text);
	return rc;
}
