/* What is asked of token servers: RFC 7515's signature, and each kind of credential. */
#include "base/crypto.h"
#include "catalog/grant.h"
#include "catalog/token.h"
#include "tap.h"

/* The key of RFC 7515, A.2, as PEM. */
static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
	"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCh+BYK4uPJtGXO\n"
	"jS1lYmM2K5J9vinh8CR3/BYlzJChNuOL2TSXxbbqY913EeZ8dCn5VrD7io8ImtxL\n"
	"aYk8wTM/U+3QGbh3hCUv7JFP5IV3aVlL6kKA0ywPVb9ilE8TA5a8bpvfbr3SvaNn\n"
	"juygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed1LnPmt7Ex1sFhSwsD174pcF1A5L5\n"
	"ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAqH2QbgtPr8jkiGUkf\n"
	"toaHLFcW9Qr4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WTOTY8BwNNb2BvniHg\n"
	"VFbK5emhAgMBAAECggEAEq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyW\n"
	"PEAeP88vLNO97IjlA7/GQ5sLKMgvfTeXZx9SE+7YwVol2NXOoAJe46sui395IW/G\n"
	"O+pWJ1O0BkTGoVEn2bKVRUCgu+GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzj\n"
	"kn439X0M/V51gfpRLI9JYanrC4D4qAdGcopV/0ZHHzQlBjudU2QvXt4ehNYTCBr6\n"
	"XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl/x/jTj3ccPDVZFD9pIuhLhBOneufuBiB\n"
	"4cS98l2SR/RQyGWSeWjnczT0QU91p1DhOVRuOopznQKBgQDgHMQQ60imZV1URk0K\n"
	"pLttoLhyt3SmqdEf/kgHePDdtzEafpAu+cS191R2JiuoF2yzWXnwFDcqGigp5BNr\n"
	"0AHQfD8/Lk8l1Mk09jxxCfui5nYooNyac8YFjm3vItzVCVDnEd3BbVWG8qf6deqE\n"
	"lMGAg+C2V0L4oNXnP7LZcPAZRwKBgQC5A8R+CZW2MvRTLLHzwZkUXV866cff7tx6\n"
	"kqa0finGG0KgeqlaZPxgCZnFp7AeAcCMtiynVlJ7vMVgePsLq6XtON4tB5kP9jAP\n"
	"rq3rbAOal78eUH5OcED6eNuCV8ixEu1eWcPNCS/l1OW1EnXUEoEHKl54Xrrz2uNw\n"
	"kgMTP1FZ1wKBgAcCn1dwJKufzBWQxWQp1vsM5fggqPN1qGb5y0MAk3g7/Ls5bkUp\n"
	"5u9SN0Ai3Ya6hNnvWJMb7sXQX6U/zyO2M/hTip7tUeh7CXgwo59dkpN75gJLVds2\n"
	"9+DAncu3KXU4f2Fa+7bLNrur53k8KwPOq2bbuTG69QtV7Jr5MR0AHWKNAoGBAIf/\n"
	"evpitUf+4JYbLpvNXWcY052Mpz22aR84mY3nh3F2LF2mjMJDpTg7FmuyPcVw6EcG\n"
	"yoAe9fa65iNqCq+jdw6PVNGo2hxfjSiZ8IIzHdsPXI89//pMjZcQK9r+CCoRjaZj\n"
	"OYiIDktVWZzmevJuv6WywUqd57LE3Zar3dLSIkx1AoGAIYd7DHOhrWvxkwPQsRM2\n"
	"tOgrjbcrfvtQJipd+DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd/QJQ3\n"
	"ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp/gh6A56\n"
	"03k2+ZQwVK0JKSHuLFkuQ3U=\n"
	"-----END PRIVATE KEY-----\n";
static const char input[] = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
static const char signature[] = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjb"
	"KBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7"
	"noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

static void signs(void)
{
	unsigned char out[512];
	char text[1024];
	size_t len = sizeof(out);
	struct err err = { MG_OK, "" };

	ok(sign_rs256(key, input, strlen(input), out, &len, &err) == MG_OK, "signs");
	base64url(out, len, text);
	ok(!strcmp(text, signature), "the signature of RFC 7515, A.2");
	ok(base64url("f", 1, text) == 2 && !strcmp(text, "Zg"), "one byte, no padding");
	ok(base64url("\xfb\xef\xff\xfe", 4, text) == 6 && !strcmp(text, "--___g"), "the URL alphabet");
	len = 8;
	ok(sign_rs256(key, "x", 1, out, &len, &err) != MG_OK, "no room");
	len = sizeof(out);
	ok(sign_rs256("", "x", 1, out, &len, &err) == MG_EINVAL && strstr(err.msg, "PEM"), "no key");
}

static const struct { const char *name, *credential, *scope, *why, *method, *url, *header, *body; } rows[] = {
	{ "no type", "{}", "s", "unknown type", NULL, NULL, NULL, NULL },
	{ "a type that is not offered", "{\"type\":\"external_account\"}", "s", "unknown type", NULL, NULL, NULL, NULL },
	{ "a member is missing", "{\"type\":\"authorized_user\",\"client_id\":\"a\",\"client_secret\":\"b\"}", "s", "authorized_user has no refresh_token", NULL, NULL, NULL, NULL },
	{ "an address that is none", "{\"type\":\"gce_metadata\",\"metadata_url\":\"file:///etc\"}", "s", "metadata_url is no address", NULL, NULL, NULL, NULL },
	{ "a key that is none", "{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"b\"}", "s", "no RSA key", NULL, NULL, NULL, NULL },
	{ "a user", "{\"type\":\"authorized_user\",\"client_id\":\"a b\",\"client_secret\":\"c\",\"refresh_token\":\"1//d\"}", "s", NULL,
	  "POST", "https://oauth2.googleapis.com/token", "Content-Type: application/x-www-form-urlencoded", "grant_type=refresh_token&client_id=a%20b&client_secret=c&refresh_token=1%2F%2Fd" },
	{ "the metadata server", "{\"type\":\"gce_metadata\"}", "", NULL, "GET",
	  "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform", "Metadata-Flavor: Google", NULL },
	{ "a scope of its own", "{\"type\":\"gce_metadata\",\"scope\":\"mine\"}", "s", NULL, "GET",
	  "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token?scopes=mine", "Metadata-Flavor: Google", NULL },
	{ "Entra, by a secret", "{\"type\":\"entra_secret\",\"tenant_id\":\"t/../x\",\"client_id\":\"c\",\"client_secret\":\"s+\"}", "", NULL, "POST",
	  "https://login.microsoftonline.com/t%2F..%2Fx/oauth2/v2.0/token", "Content-Type: application/x-www-form-urlencoded",
	  "grant_type=client_credentials&client_id=c&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default&client_secret=s%2B" },
	{ "Entra, the managed identity", "{\"type\":\"entra_managed\"}", "https://ai.azure.com/.default", NULL, "GET",
	  "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fai.azure.com", "Metadata: true", NULL },
};

static bool same(struct mg_str s, const char *text)
{
	return text ? mg_is(s, text) : !s.at;
}

static void grants(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *c = json_loads(rows[i].credential, 0, NULL);
		struct pool *p = pool_new(65536);
		struct err err = { MG_OK, "" };
		struct grant g;
		bool holds = grant_check(c, &err) != MG_OK;

		if (rows[i].why)
			holds = holds && strstr(err.msg, rows[i].why);
		else
			holds = !holds && grant_begin(p, c, rows[i].scope, 1000, &g, &err) == MG_OK && !strcmp(g.method, rows[i].method) &&
				!strcmp(g.url, rows[i].url) && g.n_headers == 1 && same(g.headers[0], rows[i].header) && same(g.body, rows[i].body);
		ok(holds, rows[i].name);
		pool_free(p);
		json_decref(c);
	}
}

static void credentials(void)
{
	static const char text[] = "{\"type\":\"gce_metadata\"}";
	struct err err = { MG_OK, "" };
	struct pool *p = pool_new(4096);
	struct token *t = token_new("x", text, &err), *same_one = token_ref(t);

	ok(t && token_is(t, text) && !token_is(t, "{}") && !token_is(NULL, text), "a credential is known again");
	ok(!token_value(t, "s", NULL, p).at, "and has no token at first");
	token_drop(t, "s", MG_STR("x"));
	token_unref(same_one);
	token_unref(t);
	ok(!token_new("x", "{", &err) && strstr(err.msg, "JSON"), "not JSON");
	pool_free(p);
}

int main(void)
{
	signs();
	grants();
	credentials();
	return tap_done();
}
