/* answer.c - what the owner of a request calls: headers, query, replies, streams. */
#include "net/server_parts.h"

#include "base/utf8.h"

enum { STREAM_BLOCK = 1024, UNUSED_BLOCK = 16 };	/* MHD uses its own buffer for chunks; this one is for HTTP/1.0 */

static struct req *req_of(struct http_request *r)
{
	return (struct req *)(void *)r;
}

/* A copy: MHD's own ends with the connection, which may be before the request. */
struct mg_str http_header(const struct http_request *r, const char *name)
{
	const struct req *q = (const struct req *)(const void *)r;
	const char *at = NULL;
	size_t len = strlen(name);

	if (!q->conn || !(q->shape.names & guard_name_bit(name, len)))
		return (struct mg_str){ NULL, 0 };
	if (MHD_lookup_connection_value_n(q->conn->mhd, MHD_HEADER_KIND, name, len, &at, &len) != MHD_YES || !at)
		return (struct mg_str){ NULL, 0 };
	while (len && (at[len - 1] == ' ' || at[len - 1] == '\t'))
		len--;
	return pool_dup(r->pool, (struct mg_str){ at, len });
}

static int digit(char b)
{
	if (b >= '0' && b <= '9')
		return b - '0';
	b = (char)(b | 0x20);
	return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

/* The guard has checked the escapes. */
static struct mg_str decoded(struct pool *p, const char *at, size_t len)
{
	char *out = pool_alloc(p, len + 1);
	size_t n = 0;

	if (!out)
		return (struct mg_str){ NULL, 0 };
	for (size_t i = 0; i < len; i++) {
		if (at[i] == '%' && i + 2 < len && digit(at[i + 1]) >= 0 && digit(at[i + 2]) >= 0) {
			out[n++] = (char)(digit(at[i + 1]) << 4 | digit(at[i + 2]));
			i += 2;
		} else {
			out[n++] = at[i] == '+' ? ' ' : at[i];
		}
	}
	return (struct mg_str){ out, n };
}

struct mg_str http_query(struct http_request *r, const char *name)
{
	size_t klen = strlen(name);
	const char *at = r->query.at, *end = at ? at + r->query.len : NULL;

	while (at && at < end) {
		const char *amp = memchr(at, '&', (size_t)(end - at)), *stop = amp ? amp : end;
		const char *eq = memchr(at, '=', (size_t)(stop - at)), *key_end = eq ? eq : stop;

		if ((size_t)(key_end - at) == klen && !memcmp(at, name, klen))
			return eq ? decoded(r->pool, eq + 1, (size_t)(stop - eq - 1)) : MG_STR("");
		at = amp ? amp + 1 : NULL;
	}
	return (struct mg_str){ NULL, 0 };
}

/* Values may come from outside; names are ours. */
static bool is_sound(const struct http_header *h)
{
	return h->value.len && utf8_line(h->value.at, h->value.len);
}

/* MHD has rules of its own for Connection. */
static bool add_connection(struct req *q, const struct http_header *h)
{
	struct mg_str copy;

	if (strcmp(h->name, "Connection"))
		return false;
	copy = pool_dup(q->pub.pool, h->value);
	if (copy.at)
		MHD_add_response_header(q->response, h->name, copy.at);
	return true;
}

static char *append(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	return at + len;
}

/* For each header MHD allocates three times, looks for line ends four times, and frees three times: for those of one
 * answer that was more than it does for all the rest of a request.  So all of them are its first one's value.
 * It refuses line ends in a value, so these are put into the copy that it has made; selfcheck.c asks whether that works. */
static void add_headers(struct req *q, const struct http_header *h)
{
	enum { MOST = 32 };
	const struct http_header *first = NULL;
	size_t len = 1, ends[MOST], n = 0;
	char *text, *at, *copy;

	for (const struct http_header *i = h; i && i->name; i++)
		len += strlen(i->name) + i->value.len + 4;
	text = at = pool_alloc(q->pub.pool, len);
	if (!text)
		return;
	for (; h && h->name && n < MOST; h++) {
		if (!is_sound(h) || add_connection(q, h))
			continue;
		if (first) {
			ends[n++] = (size_t)(at - text);
			at = append(at, "..", 2);
			at = append(at, h->name, strlen(h->name));
			at = append(at, ": ", 2);
		} else {
			first = h;
		}
		at = append(at, h->value.at, h->value.len);
	}
	*at = 0;
	if (!first || MHD_add_response_header(q->response, first->name, text) != MHD_YES)
		return;
	copy = (char *)(uintptr_t)MHD_get_response_header(q->response, first->name);
	for (size_t i = 0; copy && i < n; i++)
		memcpy(copy + ends[i], "\r\n", 2);
}

/* The answer is made; MHD gets it in the handler, now or after the resume. */
static void ready(struct req *q, int status)
{
	q->replied = true;
	q->status = q->pub.status = status;
	if (q->conn) {
		conn_resume(q->conn);
		loop_prompt(q->pub.server->loop);
	} else if (q->finished) {
		req_ended(q);
	}
}

void http_reply(struct http_request *r, int status, const struct http_header *headers, struct mg_str body)
{
	struct req *q = req_of(r);

	if (q->replied)
		return;
	if (q->conn)
		q->response = MHD_create_response_from_buffer(body.len, (void *)(body.len ? body.at : ""), MHD_RESPMEM_MUST_COPY);
	if (q->response)
		add_headers(q, headers);
	r->bytes_out = body.len;
	q->finished = true;
	ready(q, status);
}

void req_refuse(struct req *q, int status, const char *why)
{
	char id[REFUSAL_ID], body[REFUSAL_BODY];
	struct http_header headers[] = {
		{ "Content-Type", MG_STR("application/json") },
		{ "X-Request-Id", { id, 0 } },
		{ "Connection", MG_STR("close") },
		{ status == 405 ? "Allow" : NULL, MG_STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") },
		{ NULL, { NULL, 0 } },
	};

	refusal_id(id);
	headers[1].value.len = strlen(id);
	http_reply(&q->pub, status, headers, (struct mg_str){ body, refusal_body(body, (unsigned)status, why) });
}

void http_stream(struct http_request *r, int status, const struct http_header *headers)
{
	struct req *q = req_of(r);

	if (q->replied)
		return;
	q->stream = true;
	if (q->conn)
		q->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, q->old ? STREAM_BLOCK : UNUSED_BLOCK, req_read, q, NULL);
	if (q->response)
		add_headers(q, headers);
	ready(q, status);
}

/* Nobody will read it: the client is gone, or the answer has no body. */
static bool unread(const struct req *q)
{
	return !q->conn || q->aborted || mg_is(q->pub.method, "HEAD") || q->status == 204 || q->status == 304;
}

size_t http_stream_write(struct http_request *r, const void *at, size_t len)
{
	struct req *q = req_of(r);
	size_t pending;

	if (!q->stream || q->finished || unread(q))
		return 0;
	buf_put(&q->out, at, len);
	if (q->out.failed) {	/* no memory: a cut answer, not one with a hole */
		q->aborted = true;
		conn_resume(q->conn);
		return 0;
	}
	pending = q->out.len - q->out_at;
	if (pending > STREAM_HIGH)
		q->high = true;
	conn_resume(q->conn);
	return pending;
}

static void stream_over(struct http_request *r, bool aborted)
{
	struct req *q = req_of(r);

	if (q->finished)
		return;
	q->finished = true;
	q->aborted |= aborted;
	if (q->conn && q->out.len)
		conn_cork(q->conn);
	ready(q, q->status);
}

void http_stream_end(struct http_request *r)
{
	stream_over(r, false);
}

void http_stream_abort(struct http_request *r)
{
	stream_over(r, true);
}
