/* AWS Signature Version 4: the vendor's own vectors, and the rules about place and credential. */
#include "plugin/sigv4.h"
#include "plugin/registry.h"
#include "tap.h"

#define ID "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define BEDROCK "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-micro-v1%3A0/converse"
#define HI "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]}]}"
enum { T = 1440938160 };	/* 20150830T123600Z */

static const struct { const char *name, *secret, *service, *method, *url, *header[3], *body[3], *hash, *signature, *names; } vectors[] = {
	{ "GET", ID, "service", "GET", "https://example.amazonaws.com/", { NULL }, { NULL },
	  "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "host;x-amz-date" },
	{ "no path is /", ID, "service", "GET", "https://example.amazonaws.com", { NULL }, { NULL },
	  "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "host;x-amz-date" },
	{ "a port that goes without saying", ID, "service", "GET", "https://example.amazonaws.com:443/", { NULL }, { NULL },
	  "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "host;x-amz-date" },
	{ "a query is sorted", ID, "service", "GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1", { NULL }, { NULL },
	  "816cd5b414d056048ba4f7c5386d6e0533120fb1fcfa93762cf0fc39e2cf19e0", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500", "host;x-amz-date" },
	{ "a body, in pieces; a proxy's headers are not signed", ID, "service", "POST", "https://example.amazonaws.com/",
	  { "Content-Type:  application/x-www-form-urlencoded ", "content-length: 13", "x-amz-content-sha256: 9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e" }, { "Param1=", "", "value1" },
	  "b1edd1d03544c25390e32085d55b57acc9a3961bb59415ff86c45c3d89d16cfb", "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
	  "content-length;content-type;host;x-amz-content-sha256;x-amz-date" },
	{ "Bedrock: what is escaped is escaped again", ID, "bedrock", "POST", BEDROCK, { "Content-Type: application/json", "User-Agent: x", "Accept: y" }, { HI },
	  "5a698491c409a1a8515772fbe87dae8dd21e1554708fa860efcfa404518d050c", "730fbd8122e132d4951fb210c5d6d5fd6b3db5095cbfd31de83d900eece8b784", "content-type;host;x-amz-date" },
	{ "Bedrock with a session", ID ":SESSIONTOKENEXAMPLE", "bedrock", "POST", BEDROCK, { "Content-Type: application/json" }, { HI },
	  NULL, "f76536b7deb4f85cdd5d0604ddd111d71e3135a57a946bb145dae92ff1b7efc2", "content-type;host;x-amz-date;x-amz-security-token" },
};

static const struct { const char *host, *region; } hosts[] = {
	{ "bedrock-runtime.us-east-1.amazonaws.com", "us-east-1" }, { "bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1" },
	{ "bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1" }, { "bedrock-mantle.eu-west-1.api.aws", "eu-west-1" },
	{ "vpce-0-1.bedrock-runtime.eu-north-1.vpce.amazonaws.com", "eu-north-1" },
	{ "iam.amazonaws.com", "" }, { "127.0.0.1:8080", "" }, { "amazonaws.com", "" }, { "evil.us-east-1.amazonaws.com.example", "" },
};

static struct mg_str str(const char *s)
{
	return (struct mg_str){ s, s ? strlen(s) : 0 };
}

static void one(size_t i)
{
	struct sigv4_who who = { .region = MG_STR("us-east-1"), .service = str(vectors[i].service) };
	struct mg_str headers[3], body[3], out[SIGV4_ADDED];
	struct sigv4_what what = { str(vectors[i].method), str(vectors[i].url), headers, 0, body, 0 };
	struct pool *p = pool_new(1 << 20);
	char hash[65] = "", want[256];
	size_t n = 0;

	for (; what.n_headers < 3 && vectors[i].header[what.n_headers]; what.n_headers++)
		headers[what.n_headers] = str(vectors[i].header[what.n_headers]);
	for (; what.pieces < 3 && vectors[i].body[what.pieces]; what.pieces++)
		body[what.pieces] = str(vectors[i].body[what.pieces]);
	snprintf(want, sizeof(want), "SignedHeaders=%s, Signature=%s", vectors[i].names, vectors[i].signature);
	ok(sigv4_pair(str(vectors[i].secret), &who) && sigv4(p, &who, &what, T, out, &n, hash) == MG_OK &&
		strstr(out[n - 1].at, want), vectors[i].name);
	ok(!vectors[i].hash || !strcmp(hash, vectors[i].hash), "its canonical request has the hash of the reference");
	ok(!strcmp(out[0].at, "x-amz-date: 20150830T123600Z") && n == 2 + (who.token.len > 0), "the date goes with it, and the token");
	pool_free(p);
}

/* A call is signed each time it is sent, and carries one signature. */
static void call(void)
{
	struct pool *p = pool_new(1 << 20);
	struct call c = { .pool = p, .secret = ID, .sign = "bedrock" };
	struct mg_str body = MG_STR(HI);
	struct mg_http http = { sizeof(http), MG_STR("POST"), MG_STR("/"), &body, 1 };
	struct err err = { 0 };

	c.headers[c.n_headers++] = MG_STR("Content-Type: application/json");
	ok(sigv4_call(&c, MG_STR(BEDROCK), &http, (struct mg_str){ 0 }, (struct mg_str){ 0 }, T, &err) == MG_OK && c.n_headers == 3 &&
		strstr(c.headers[2].at, "/us-east-1/bedrock/aws4_request") && strstr(c.headers[2].at, vectors[5].signature), "the region is its host's");
	ok(sigv4_call(&c, MG_STR(BEDROCK), &http, MG_STR("eu-west-1"), MG_STR("us-west-2"), T + 1, &err) == MG_OK && c.n_headers == 3 &&
		!strcmp(c.headers[1].at, "x-amz-date: 20150830T123601Z") && strstr(c.headers[2].at, "/eu-west-1/"), "sent again, signed again; the region is what is said");
	ok(sigv4_call(&c, MG_STR("http://127.0.0.1:1/x"), &http, (struct mg_str){ 0 }, (struct mg_str){ 0 }, T, &err) == MG_EDENIED && strstr(err.msg, "region"), "no region is an error with a hint");
	ok(sigv4_call(&c, MG_STR("http://127.0.0.1:1/x"), &http, (struct mg_str){ 0 }, MG_STR("us-west-2"), T, &err) == MG_OK && strstr(c.headers[2].at, "/us-west-2/"), "the row's where the address is no name of AWS's own");
	c = (struct call){ .pool = p, .secret = "ABSKkey", .sign = "bedrock" };
	ok(sigv4_call(&c, MG_STR(BEDROCK), &http, (struct mg_str){ 0 }, (struct mg_str){ 0 }, T, &err) == MG_OK && !c.n_headers, "an API key signs nothing");
	pool_free(p);
}

int main(void)
{
	struct sigv4_who who;

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		one(i);
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct mg_str r = sigv4_region(str(hosts[i].host));

		ok(r.len == strlen(hosts[i].region) && !memcmp(r.at ? r.at : "", hosts[i].region, r.len), hosts[i].host);
	}
	ok(!sigv4_pair(MG_STR("key"), &who) && !sigv4_pair(MG_STR(":key"), &who) && !sigv4_pair(MG_STR("id:"), &who) &&
		!sigv4_pair((struct mg_str){ 0 }, &who), "half a pair is none");
	call();
	return tap_done();
}
