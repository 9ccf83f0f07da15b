/* certificate.c - a listener's certificate and key, looked at before they are used (R87). */
#include "net/server.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static int check(const struct listener *l, X509 *cert, EVP_PKEY *key, struct err *err)
{
	if (!cert)
		return fail(err, MG_EINVAL, "listen '%s': tls.cert is no certificate in PEM", l->at);
	if (!key)
		return fail(err, MG_EINVAL, "listen '%s': tls.key is no private key in PEM; hint: it must have no passphrase", l->at);
	if (X509_check_private_key(cert, key) != 1)
		return fail(err, MG_EINVAL, "listen '%s': tls.cert and tls.key do not belong together", l->at);
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		return fail(err, MG_EINVAL, "listen '%s': tls.cert has expired", l->at);
	return MG_OK;
}

int listener_certificate(const struct listener *l, struct err *err)
{
	char none[] = "";	/* a passphrase, else OpenSSL asks the terminal */
	BIO *c = BIO_new_mem_buf(l->cert, -1), *k = BIO_new_mem_buf(l->key, -1);
	X509 *cert = c ? PEM_read_bio_X509(c, NULL, NULL, none) : NULL;
	EVP_PKEY *key = k ? PEM_read_bio_PrivateKey(k, NULL, NULL, none) : NULL;
	int rc = check(l, cert, key, err);

	EVP_PKEY_free(key);
	X509_free(cert);
	BIO_free(k);
	BIO_free(c);
	ERR_clear_error();
	return rc;
}
