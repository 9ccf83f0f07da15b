#include "plugin/sigv4.h"

#include <ctype.h>
#include <strings.h>

#include "base/buf.h"
#include "base/crypto.h"

enum { SIGNED_MAX = CALL_HEADERS + 2, QUERY_MAX = 64, TEXT_MAX = 64 << 10 };

struct pair { struct mg_str name, value; };

static struct mg_str str(const char *s)
{
	return (struct mg_str){ s, strlen(s) };
}

static int order(struct mg_str a, struct mg_str b)
{
	int d = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);

	return d ? d : (a.len > b.len) - (a.len < b.len);
}

static int by_name(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int d = order(x->name, y->name);

	return d ? d : order(x->value, y->value);
}

static void put_hex(struct buf *b, const unsigned char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf_print(b, "%02x", at[i]);
}

static bool unreserved(char ch)
{
	return isalnum((unsigned char)ch) || (ch && strchr("-_.~", ch));
}

/* ------------------------------------------------- the canonical request */

/* The path once more encoded: what is %3A on the wire is signed as %253A. */
static void put_path(struct buf *b, struct mg_str path)
{
	for (size_t i = 0; i < path.len; i++) {
		if (unreserved(path.at[i]) || path.at[i] == '/')
			buf_put(b, &path.at[i], 1);
		else
			buf_print(b, "%%%02X", (unsigned char)path.at[i]);
	}
	if (!path.len)
		buf_text(b, "/");
}

/* A query is on the wire as its rules want it, but for its order and the "=" of empty values. */
static void put_query(struct buf *b, struct mg_str query)
{
	struct pair all[QUERY_MAX];
	size_t n = 0;

	while (query.len && n < QUERY_MAX) {
		const char *end = memchr(query.at, '&', query.len), *eq;
		size_t len = end ? (size_t)(end - query.at) : query.len;

		eq = memchr(query.at, '=', len);
		all[n].name = (struct mg_str){ query.at, eq ? (size_t)(eq - query.at) : len };
		all[n].value = eq ? (struct mg_str){ eq + 1, len - all[n].name.len - 1 } : MG_STR("");
		n += len > 0;
		query = end ? (struct mg_str){ end + 1, query.len - len - 1 } : MG_STR("");
	}
	qsort(all, n, sizeof(*all), by_name);
	for (size_t i = 0; i < n; i++)
		buf_print(b, "%s%.*s=%.*s", i ? "&" : "", (int)all[i].name.len, all[i].name.at, (int)all[i].value.len, all[i].value.at);
}

static struct mg_str trimmed(struct mg_str s)
{
	while (s.len && (*s.at == ' ' || *s.at == '\t'))
		s = (struct mg_str){ s.at + 1, s.len - 1 };
	while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Proxies may change the other headers on the way. */
static bool is_signed(struct mg_str name)
{
	return (name.len == 12 && !strncasecmp(name.at, "content-type", 12)) ||
		(name.len == 14 && !strncasecmp(name.at, "content-length", 14)) ||
		(name.len > 5 && !strncasecmp(name.at, "x-amz", 5));
}

static size_t gather(struct pool *p, const struct mg_str *lines, size_t n, struct pair *all, size_t have)
{
	for (size_t i = 0; i < n && have < SIGNED_MAX; i++) {
		const char *colon = memchr(lines[i].at, ':', lines[i].len);
		struct mg_str name = { lines[i].at, colon ? (size_t)(colon - lines[i].at) : 0 };
		char *lower;

		if (!is_signed(name) || !(lower = (char *)pool_dup(p, name).at))
			continue;
		for (size_t k = 0; k < name.len; k++)
			lower[k] = (char)tolower((unsigned char)lower[k]);
		all[have].name = (struct mg_str){ lower, name.len };
		all[have++].value = trimmed((struct mg_str){ colon + 1, lines[i].len - name.len - 1 });
	}
	return have;
}

static void put_value(struct buf *b, struct mg_str value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.at[i] != ' ' || !i || value.at[i - 1] != ' ')
			buf_put(b, &value.at[i], 1);
}

/* names: "host;x-amz-date", to be used again in the signature's header. */
static void put_headers(struct buf *b, struct buf *names, struct pair *all, size_t n)
{
	qsort(all, n, sizeof(*all), by_name);
	for (size_t i = 0; i < n; i++) {
		buf_print(b, "%.*s:", (int)all[i].name.len, all[i].name.at);
		put_value(b, all[i].value);
		buf_text(b, "\n");
		buf_print(names, "%s%.*s", i ? ";" : "", (int)all[i].name.len, all[i].name.at);
	}
}

struct place { struct mg_str host, path, query; };

/* The port that goes without saying is not in the host's header. */
static struct mg_str without_port(struct mg_str host, struct mg_str url)
{
	const char *port = url.len > 5 && !memcmp(url.at, "https", 5) ? ":443" : ":80";
	size_t len = strlen(port);

	if (host.len > len && !memcmp(host.at + host.len - len, port, len))
		host.len -= len;
	return host;
}

static struct place place_of(struct mg_str url)
{
	const char *host = memmem(url.at, url.len, "://", 3), *end = url.at + url.len, *path, *mark;

	host = host ? host + 3 : url.at;
	path = memchr(host, '/', (size_t)(end - host));
	path = path ? path : end;
	mark = memchr(path, '?', (size_t)(end - path));
	return (struct place){ without_port((struct mg_str){ host, (size_t)(path - host) }, url), { path, (size_t)((mark ? mark : end) - path) },
		{ mark ? mark + 1 : end, mark ? (size_t)(end - mark) - 1 : 0 } };
}

/* ------------------------------------------------------- the signature */

static void signing_key(const struct sigv4_who *who, struct mg_str day, unsigned char out[static 32])
{
	char first[4 + 256];
	int n = snprintf(first, sizeof(first), "AWS4%.*s", (int)(who->key.len < 250 ? who->key.len : 250), who->key.at);

	hmac_sha256(first, (size_t)n, day.at, day.len, out);
	hmac_sha256(out, 32, who->region.at, who->region.len, out);
	hmac_sha256(out, 32, who->service.at, who->service.len, out);
	hmac_sha256(out, 32, "aws4_request", 12, out);
	wipe(first, sizeof(first));
}

static void put_canonical(struct pool *p, const struct sigv4_what *what, const struct mg_str *added, size_t n_added,
	struct buf *b, struct buf *names)
{
	struct place place = place_of(what->url);
	struct pair all[SIGNED_MAX];
	unsigned char sum[32];
	size_t n = 1;

	all[0] = (struct pair){ MG_STR("host"), place.host };
	n = gather(p, added, n_added, all, n);
	n = gather(p, what->headers, what->n_headers, all, n);
	buf_str(b, what->method);
	buf_text(b, "\n");
	put_path(b, place.path);
	buf_text(b, "\n");
	put_query(b, place.query);
	buf_text(b, "\n");
	put_headers(b, names, all, n);
	buf_text(b, "\n");
	buf_str(b, buf_view(names));
	buf_text(b, "\n");
	sha256_pieces(what->body, what->pieces, sum);
	put_hex(b, sum, sizeof(sum));
}

static struct mg_str authorization(struct pool *p, const struct sigv4_who *who, const char *date, const char *sum, struct mg_str names)
{
	unsigned char key[32];
	struct mg_str scope = pool_print(p, "%.8s/%.*s/%.*s/aws4_request", date, (int)who->region.len, who->region.at,
		(int)who->service.len, who->service.at);
	struct mg_str text = pool_print(p, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope.at ? scope.at : "", sum), line;
	struct buf hex;

	if (!scope.at || !text.at)
		return (struct mg_str){ NULL, 0 };
	signing_key(who, (struct mg_str){ date, 8 }, key);
	hmac_sha256(key, sizeof(key), text.at, text.len, key);
	buf_init(&hex, 65);
	put_hex(&hex, key, sizeof(key));
	line = pool_print(p, "Authorization: AWS4-HMAC-SHA256 Credential=%.*s/%s, SignedHeaders=%.*s, Signature=%.*s",
		(int)who->id.len, who->id.at, scope.at, (int)names.len, names.at, (int)hex.len, hex.at);
	buf_release(&hex);
	return line;
}

int sigv4(struct pool *p, const struct sigv4_who *who, const struct sigv4_what *what, time_t now,
	struct mg_str out[static SIGV4_ADDED], size_t *n, char *hash)
{
	char date[17], sum[SHA256_HEX + 1];
	struct buf canonical, names;
	struct tm tm;
	int rc = MG_ENOMEM;

	buf_init(&canonical, TEXT_MAX);
	buf_init(&names, TEXT_MAX);
	strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	*n = 0;
	out[(*n)++] = pool_print(p, "x-amz-date: %s", date);
	if (who->token.len)
		out[(*n)++] = pool_print(p, "x-amz-security-token: %.*s", (int)who->token.len, who->token.at);
	if (!out[0].at || !out[*n - 1].at)
		goto end;
	put_canonical(p, what, out, *n, &canonical, &names);
	if (canonical.failed || names.failed)
		goto end;
	sha256_hex(canonical.at, canonical.len, sum);
	if (hash)
		memcpy(hash, sum, sizeof(sum));
	out[*n] = authorization(p, who, date, sum, buf_view(&names));
	if (out[(*n)++].at)
		rc = MG_OK;
end:
	buf_release(&canonical);
	buf_release(&names);
	return rc;
}

/* --------------------------------------------------- who, where, a call */

static struct mg_str part(struct mg_str *rest)
{
	const char *colon = memchr(rest->at, ':', rest->len);
	struct mg_str s = { rest->at, colon ? (size_t)(colon - rest->at) : rest->len };

	*rest = colon ? (struct mg_str){ colon + 1, rest->len - s.len - 1 } : (struct mg_str){ rest->at + rest->len, 0 };
	return s;
}

bool sigv4_pair(struct mg_str secret, struct sigv4_who *who)
{
	struct mg_str rest = secret;

	if (!secret.at || !memchr(secret.at, ':', secret.len))
		return false;
	who->id = part(&rest);
	who->key = part(&rest);
	who->token = rest;
	return who->id.len && who->key.len;
}

/* The part before AWS's own names: a region is "eu-west-1", "us-gov-east-1". */
struct mg_str sigv4_region(struct mg_str host)
{
	static const char *const tails[] = { ".vpce.amazonaws.com", ".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn" };

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		size_t tail = strlen(tails[i]), at;

		if (host.len <= tail || strncasecmp(host.at + host.len - tail, tails[i], tail) != 0)
			continue;
		for (at = host.len - tail; at && host.at[at - 1] != '.'; at--)
			;
		if (at && memchr(host.at + at, '-', host.len - tail - at))
			return (struct mg_str){ host.at + at, host.len - tail - at };
	}
	return (struct mg_str){ NULL, 0 };
}

int sigv4_call(struct call *c, struct mg_str url, const struct mg_http *http, struct mg_str region, struct mg_str tag, time_t now, struct err *err)
{
	struct mg_str added[SIGV4_ADDED];
	struct sigv4_who who = { .service = str(c->sign ? c->sign : "") };
	struct sigv4_what what;
	size_t n;
	int rc;

	if (!c->sign || !c->secret || !sigv4_pair(str(c->secret), &who))
		return MG_OK;
	who.region = region.len ? region : sigv4_region(place_of(url).host);
	who.region = who.region.len ? who.region : tag;
	if (!who.region.len)
		return fail(err, MG_EDENIED, "AWS's region is not known: say region = \"us-east-1\" or the like for the provider");
	if (c->n_signed) {
		c->n_headers -= c->n_signed;
		c->n_signed = 0;
	}
	if (c->n_headers + SIGV4_ADDED > CALL_HEADERS)
		return fail(err, MG_EDENIED, "no room for the headers of a signature");
	what = (struct sigv4_what){ http->method, url, c->headers, c->n_headers, http->body, http->pieces };
	rc = sigv4(c->pool, &who, &what, now, added, &n, NULL);
	if (rc)
		return fail(err, rc, "no memory for a signature");
	for (size_t i = 0; i < n; i++)
		c->headers[c->n_headers++] = added[i];
	c->n_signed = n;
	return MG_OK;
}
