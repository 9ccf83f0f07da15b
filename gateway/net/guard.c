#include "net/guard.h"

#include <strings.h>

#include "base/utf8.h"

enum { HEADERS_MAX = 100, GAP_MAX = 64 };
#define WALKED "0.9.75"		/* the version whose buffer layout walk() relies on */

struct walk {
	uintptr_t end;		/* behind the last byte accounted for */
	bool broken;		/* names and values do not follow each other */
	unsigned hosts, lengths, codings, credentials, count;
	int status;
	const char *why;
	struct guard_body *body;
};

static bool walkable(void)
{
	return !strcmp(MHD_get_version(), WALKED);
}

int guard_library(struct err *err)
{
	if (walkable())
		return MG_OK;
#if MHD_VERSION >= 0x00097600
	if (strcmp(MHD_get_version(), "0.9.76") >= 0)
		return MG_OK;	/* MHD_OPTION_CLIENT_DISCIPLINE_LVL does it */
#endif
	return fail(err, MG_EDENIED, "libmicrohttpd %s: cannot tell a bare line feed in a request; "
		"hint: use " WALKED " or build against 0.9.76 or newer", MHD_get_version());
}

/* Of each byte: may it stand in a token (tchar of RFC 9110), in a path without a second look? */
enum { TOKEN = 1, PATH = 2 };
static const unsigned char kinds[256] = {
	['0' ... '9'] = TOKEN | PATH, ['A' ... 'Z'] = TOKEN | PATH, ['a' ... 'z'] = TOKEN | PATH, ['-'] = TOKEN | PATH, ['_'] = TOKEN | PATH,
	['!'] = TOKEN, ['#' ... '\''] = TOKEN, ['*'] = TOKEN, ['+'] = TOKEN, ['.'] = TOKEN, ['^'] = TOKEN, ['`'] = TOKEN, ['|'] = TOKEN,
	['~'] = TOKEN,
};

static bool token_byte(unsigned char b)
{
	return kinds[b] & TOKEN;
}

static bool is_token(const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!token_byte((unsigned char)at[i]))
			return false;
	return len > 0;
}

static bool host_value(const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char b = (unsigned char)at[i];

		if (!token_byte(b) && b != ':' && b != '[' && b != ']')
			return false;
	}
	return len > 0;
}

static void trim(const char **at, size_t *len)
{
	while (*len && (**at == ' ' || **at == '\t'))
		(*at)++, (*len)--;
	while (*len && ((*at)[*len - 1] == ' ' || (*at)[*len - 1] == '\t'))
		(*len)--;
}

static bool named(const char *key, size_t len, const char *name)
{
	return strlen(name) == len && !strncasecmp(key, name, len);
}

/* Digits alone, and fewer than could overflow: "+5", "5, 5" and 2^64 - 1 are all refused (R1, R7). */
static bool length_value(const char *at, size_t len, uint64_t *out)
{
	uint64_t n = 0;

	if (!len || len > 18)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (at[i] < '0' || at[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(at[i] - '0');
	}
	*out = n;
	return true;
}

static enum MHD_Result refuse(struct walk *w, int status, const char *why)
{
	w->status = status;
	w->why = why;
	return MHD_NO;
}

static enum MHD_Result framing_header(struct walk *w, const char *key, size_t klen, const char *at, size_t len)
{
	trim(&at, &len);
	if (named(key, klen, "Host")) {
		if (w->hosts++ || !host_value(at, len))
			return refuse(w, 400, "exactly one valid Host header is required");
	} else if (named(key, klen, "Content-Length")) {
		if (w->lengths++ || !length_value(at, len, &w->body->len))
			return refuse(w, 400, "Content-Length must be one number");
		w->body->declared = true;
	} else if (named(key, klen, "Transfer-Encoding")) {
		if (w->codings++ || !named(at, len, "chunked"))
			return refuse(w, 400, "Transfer-Encoding must be exactly 'chunked'");
		w->body->chunked = true;
	} else if (named(key, klen, "Content-Encoding")) {
		if (!named(at, len, "identity"))
			return refuse(w, 415, "Content-Encoding of requests is not supported: send the body as it is");
	} else if (named(key, klen, "Expect")) {
		if (!named(at, len, "100-continue"))
			return refuse(w, 417, "Expect: only 100-continue is supported");
	} else if (named(key, klen, "Authorization")) {	/* who stands in front may have read the other one (R77) */
		if (w->credentials++)
			return refuse(w, 400, "more than one Authorization header");
	}
	return MHD_YES;
}

/* In the walked version names and values point into one buffer, in order.  What
 * lies between them must be CR LF, the colon and blanks; a bare LF, a folded
 * line or a NUL shifts the distance (R3). */
static void step(struct walk *w, const char *key, size_t klen, const char *value, size_t vlen)
{
	uintptr_t k = (uintptr_t)key, v = (uintptr_t)value, gap = k + klen + 1;

	if (k != w->end + 2 || v < gap || v - gap > GAP_MAX)
		w->broken = true;
	for (const char *p = key + klen + 1; !w->broken && p < value; p++)
		if (*p != ' ' && *p != '\t')
			w->broken = true;
	w->end = v + vlen;
}

static enum MHD_Result one_header(void *arg, enum MHD_ValueKind kind, const char *key, size_t klen,
	const char *value, size_t vlen)
{
	struct walk *w = arg;

	(void)kind;
	if (!is_token(key, klen))
		return refuse(w, 400, "a header name has a byte that is not allowed");
	if (!value) {
		value = key + klen + 1;
		vlen = 0;
	}
	if (!utf8_line(value, vlen))
		return refuse(w, 400, "a header value has a control character");
	w->body->names |= guard_name_bit(key, klen);
	if (++w->count > HEADERS_MAX)
		return refuse(w, 431, "more than 100 headers");
	step(w, key, klen, value, vlen);
	return framing_header(w, key, klen, value, vlen);
}

static int hex(int b)
{
	if (b >= '0' && b <= '9')
		return b - '0';
	b |= 0x20;
	return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

/* The decoded byte of the escape at p ("%41"), or -1. */
static int escape(const char *p, const char *end)
{
	if (end - p < 3 || hex(p[1]) < 0 || hex(p[2]) < 0)
		return -1;
	return hex(p[1]) << 4 | hex(p[2]);
}

static bool below(struct mg_str target, const char *const *paths)
{
	for (; paths && *paths; paths++)
		if (target.len > strlen(*paths) && !memcmp(target.at, *paths, strlen(*paths)))
			return true;
	return false;
}

/* Whoever routes and whoever authorises must read the same path (R6). */
static bool clean_target(struct mg_str t, bool slashes)
{
	const char *end = t.at + t.len;
	bool query = false;

	for (const char *p = t.at; p < end; p++) {
		unsigned char b = (unsigned char)*p;
		int e;

		if (kinds[b] & PATH)
			continue;
		if (b <= 0x20 || b > 0x7e || b == '#' || b == '\\')
			return false;
		if (b == '?')
			query = true;
		if (b == '%') {
			e = escape(p, end);
			if (e <= 0 || (!query && ((e == '/' && !slashes) || e == '\\' || e == '.')))
				return false;
		}
		if (query)
			continue;
		if (b == ';' || (b == '/' && p + 1 < end && p[1] == '/') || (b == '.' && p + 1 < end && p[1] == '.'))
			return false;
	}
	return true;
}

static int check_line(const struct guard_head *h, const char **why)
{
	static const char *const served[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
	bool known = false;

	*why = "not an HTTP request";
	if (!is_token(h->method, strlen(h->method)))
		return 400;
	*why = "only HTTP/1.1 and HTTP/1.0 are served here";
	if (strcmp(h->version, "HTTP/1.1") && strcmp(h->version, "HTTP/1.0"))
		return strncmp(h->version, "HTTP/", 5) ? 400 : 505;
	for (size_t i = 0; i < sizeof(served) / sizeof(served[0]); i++)
		known |= !strcmp(h->method, served[i]);
	*why = "this method is not served";
	if (!known)
		return strcmp(h->method, "CONNECT") && strcmp(h->method, "TRACE") ? 501 : 405;
	*why = "the request target must be a plain path: no absolute form, no encoded slash, dot or NUL, no '//', '..' or ';'";
	if (mg_is(h->target, "*") && !strcmp(h->method, "OPTIONS"))
		return 0;
	return h->target.len && h->target.at[0] == '/' && clean_target(h->target, below(h->target, h->slugs)) ? 0 : 400;
}

static size_t header_size(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	return info ? info->header_size : 0;
}

/* A NUL would end the target early: one blank on each side of it, and no more. */
static bool whole_line(const struct guard_head *h)
{
	return (uintptr_t)h->method + strlen(h->method) + 1 + h->target.len + 1 == (uintptr_t)h->version;
}

static int check_whole(struct MHD_Connection *mhd, const struct guard_head *h, const struct walk *w, const char **why)
{
	size_t size = header_size(mhd);
	bool old = !strcmp(h->version, "HTTP/1.0");

	*why = "the request's head is larger than this gateway takes";
	if (size > h->max_bytes)
		return 431;
	*why = "the request's head is malformed: lines must end with CR LF and must not be folded";
	if (walkable() && (w->broken || w->end + 4 - (uintptr_t)h->method != size || !whole_line(h)))
		return 400;
	*why = "exactly one valid Host header is required";
	if (!w->hosts && !old)
		return 400;
	*why = "Content-Length and Transfer-Encoding exclude each other";
	if (w->lengths && w->codings)
		return 400;
	*why = "Transfer-Encoding needs HTTP/1.1";
	return w->codings && old ? 400 : 0;
}

int guard_check(struct MHD_Connection *mhd, const struct guard_head *head, struct guard_body *body, const char **why)
{
	struct walk w = { .body = body };
	int status = check_line(head, why);

	*body = (struct guard_body){ .len = 0 };
	if (status)
		return status;
	w.end = (uintptr_t)head->version + strlen(head->version);
	MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, one_header, &w);
	if (w.status) {
		*why = w.why;
		return w.status;
	}
	return check_whole(mhd, head, &w, why);
}
