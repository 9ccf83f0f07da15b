/* seal_test.c - the installation's key: made, read back, and one that was made elsewhere. */
#include "base/seal.h"
#include "tap.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/moongate-seal.XXXXXX", path[64];

/* The example of RFC 8410, section 10.3, and the public key that it gives for it. */
static const char known[] = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
static const char known_public[] = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
static void put(const char *pem)
{
	FILE *f = fopen(path, "w");

	fputs(pem, f);
	fclose(f);
	chmod(path, 0600);
}

static bool is_known(struct seal *s)
{
	unsigned char public[SEAL_PUBLIC];
	struct err err = { 0 };
	struct buf pem;
	bool same;

	buf_init(&pem, 4096);
	same = !seal_open(dir, s, &err) && !seal_public(s, public, &err);
	if (same)
		seal_public_pem(public, &pem);
	else
		printf("# %s\n", err.msg);
	same = same && pem.len == sizeof(known_public) - 1 && !memcmp(pem.at, known_public, pem.len);
	buf_release(&pem);
	return same;
}

/* As another program reads it. */
static bool read_elsewhere(const struct seal *s)
{
	unsigned char secret[SEAL_SECRET];
	size_t len = sizeof(secret);
	FILE *f = fopen(path, "r");
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	bool same = key && EVP_PKEY_get_raw_private_key(key, secret, &len) && !memcmp(secret, s->secret, sizeof(secret));

	EVP_PKEY_free(key);
	fclose(f);
	return same;
}

static void signs(const struct seal *s)
{
	char text[SEAL_SIGNATURE_TEXT + 1], hash[65], again[65];
	unsigned char public[SEAL_PUBLIC];
	struct err err = { 0 };

	ok(!seal_sign(s, MG_STR("said"), text, &err) && !seal_public(s, public, &err), "it signs");
	ok(seal_verify(public, MG_STR("said"), (struct mg_str){ text, strlen(text) }), "what it signed is by it");
	ok(!seal_verify(public, MG_STR("sand"), (struct mg_str){ text, strlen(text) }), "another text is not");
	seal_hash(s, MG_STR("said"), hash);
	seal_hash(s, MG_STR("said"), again);
	ok(!strcmp(hash, again) && strlen(hash) == 64, "a hash is the same each time");
}

int main(void)
{
	struct seal s, t;
	struct err err = { 0 };
	struct stat st;
	char hash[65], noted[sizeof(known) + 16];

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/receipt.key", dir);
	ok(!seal_open(dir, &s, &err) && !stat(path, &st) && (st.st_mode & 0777) == 0600, "a key is made");
	ok(read_elsewhere(&s), "in the form that others read");
	ok(!seal_open(dir, &t, &err) && !memcmp(&s, &t, sizeof(s)), "and stays");
	signs(&s);
	put(known);
	ok(is_known(&t), "a key as openssl genpkey writes it");
	seal_hash(&t, MG_STR("said"), hash);
	ok(!strcmp(hash, "ac5a06e31f3c4398f143258f584d8351358f1875205d1143c9288ecacdac0e98"), "its hash is what it was in earlier versions");
	snprintf(noted, sizeof(noted), "A word on it\n%s", known);
	put(noted);
	ok(is_known(&t), "and one with words before it");
	put("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVh!\n-----END PRIVATE KEY-----\n");
	ok(seal_open(dir, &t, &err) && strstr(err.msg, "no Ed25519 key"), "a spoilt one is refused");
	put("nothing\n");
	ok(seal_open(dir, &t, &err) && strstr(err.msg, "no Ed25519 key"), "and one that is none");
	unlink(path);
	rmdir(dir);
	return tap_done();
}
