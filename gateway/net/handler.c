/*
 * handler.c - libmicrohttpd's callbacks, and a request's way through them.
 *
 * MHD calls handle_request() for the head, for pieces of the body, behind it,
 * and again after each resume.  A response queued at the head closes the
 * connection, so for a request without a body it waits for the second call.
 */
#include "net/server_parts.h"

#include "base/clock.h"

enum { POOL_SPARE = 4 * 1024 * 1024, POOL_FIRST = 6656, BODY_COPIES = 4 };	/* first: a streamed chat takes 6.1 KB */
#define TOO_LARGE "the request's body is larger than this route takes"

static struct conn *conn_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* What nobody will read is not kept for as long as the owner works on. */
static void left_note(struct req *q)
{
	struct server *s = q->pub.server;

	buf_release(&q->out);
	buf_init(&q->out, SIZE_MAX);
	q->out_at = 0;
	q->left.on = true;
	q->left.next = s->left;
	if (s->left)
		s->left->left.prev = q;
	s->left = q;
}

static void left_forget(struct req *q)
{
	if (!q->left.on)
		return;
	if (q->left.prev)
		q->left.prev->left.next = q->left.next;
	else
		q->pub.server->left = q->left.next;
	if (q->left.next)
		q->left.next->left.prev = q->left.prev;
}

static void req_free(struct req *q)
{
	q->pub.server->n_reqs--;
	idle_forget(q);
	left_forget(q);
	if (q->response)
		MHD_destroy_response(q->response);
	body_release(q);
	buf_release(&q->out);
	pool_free(q->pub.pool);
	free(q);
}

static struct req *req_new(struct conn *c, const char *target)
{
	struct req *q = calloc(1, sizeof(*q));
	struct server *s = c->server;

	if (!q)
		return NULL;
	s->n_reqs++;
	q->pub.server = s;
	q->pub.pool_budget = s->limits.body_bytes * BODY_COPIES + POOL_SPARE;
	q->pub.pool = pool_new_for(q->pub.pool_budget, POOL_FIRST);
	if (q->pub.pool)
		q->pub.target = pool_dup(q->pub.pool, (struct mg_str){ target, strlen(target) });
	if (!q->pub.target.at) {
		req_free(q);
		return NULL;
	}
	q->pub.admin = c->admin;
	q->pub.began_us = clock_us();
	memcpy(q->pub.client, c->client, sizeof(q->pub.client));
	buf_init(&q->out, SIZE_MAX);
	q->conn = c;
	return q;
}

void *handle_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
	struct conn *c = conn_of(mhd);

	(void)cls;
	c->req = req_new(c, target);
	conn_phase(c, CONN_HEAD);
	return c->req;
}

void req_ended(struct req *q)
{
	struct server *s = q->pub.server;

	if (q->listed)
		return;
	q->listed = true;
	*s->ended_last = q;
	s->ended_last = &q->next_ended;
}

void reqs_tell(struct server *s)
{
	while (s->ended) {
		struct req *q = s->ended;

		s->ended = q->next_ended;
		if (!s->ended)
			s->ended_last = &s->ended;
		s->on.ended(&q->pub);
		req_free(q);
	}
}

static enum MHD_Result deliver(struct req *q)
{
	enum MHD_Result rc;

	if (!q->response)
		return MHD_NO;
	if (q->pub.server->draining)
		MHD_add_response_header(q->response, "Connection", "close");
	conn_phase(q->conn, CONN_ANSWER);
	if (q->out.len)
		conn_cork(q->conn);
	rc = MHD_queue_response(q->conn->mhd, (unsigned)q->status, q->response);
	MHD_destroy_response(q->response);
	q->response = NULL;
	q->queued = true;
	return rc;
}

static void split_target(struct http_request *r)
{
	const char *mark = memchr(r->target.at, '?', r->target.len);

	r->path = r->target;
	if (!mark)
		return;
	r->path.len = (size_t)(mark - r->target.at);
	r->query = (struct mg_str){ mark + 1, r->target.len - r->path.len - 1 };
}

static bool has_body(const struct req *q)
{
	return q->shape.chunked || q->shape.len;
}

static enum MHD_Result refuse(struct req *q, int status, const char *why)
{
	req_refuse(q, status, why);
	return deliver(q);
}

static enum MHD_Result on_head(struct req *q, const char *method, const char *version)
{
	struct guard_head head = { method, version, q->pub.target, q->pub.server->limits.header_bytes,
		q->pub.server->limits.slugs };
	const char *why = "";
	int status = guard_check(q->conn->mhd, &head, &q->shape, &why);

	if (status)
		return refuse(q, status, why);
	q->old = !strcmp(version, "HTTP/1.0");
	q->pub.method = pool_dup(q->pub.pool, (struct mg_str){ method, strlen(method) });
	split_target(&q->pub);
	q->pub.body_max = q->pub.server->limits.body_bytes;
	conn_phase(q->conn, has_body(q) ? CONN_BODY : CONN_ANSWER);
	q->head_seen = true;
	q->pub.server->on.head(&q->pub);
	if (!has_body(q))
		return MHD_YES;
	if (q->replied)
		return deliver(q);
	if (q->shape.len > q->pub.body_max)
		return refuse(q, 413, TOO_LARGE);
	return MHD_YES;
}

/* MHD takes no response in the middle of a body, so this one goes around it;
 * what still comes is swallowed until the connection's deadline, and then it
 * is closed. */
static void too_large(struct req *q)
{
	q->replied = q->finished = q->swallow = true;
	q->status = 413;
	buf_release(&q->body);
	buf_init(&q->body, 0);
	refusal_send(q->conn, 413, TOO_LARGE);
}

static enum MHD_Result on_piece(struct req *q, const char *data, size_t *size)
{
	size_t len = *size;

	*size = 0;
	q->pub.body_seen += len;
	if (q->swallow)
		return MHD_YES;
	if (q->replied)
		return q->pub.body_seen > q->pub.body_max ? MHD_NO : MHD_YES;
	if (q->pub.body_seen > q->pub.body_max) {
		too_large(q);
		return MHD_YES;
	}
	body_put(q, data, len);
	return q->body.failed ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_whole(struct req *q)
{
	if (q->swallow)
		return MHD_NO;
	if (!q->body_seen && !q->replied) {
		q->body_seen = true;
		q->pub.body = buf_view(&q->body);
		conn_phase(q->conn, CONN_ANSWER);
		q->pub.server->on.body(&q->pub);
	}
	if (q->replied)
		return deliver(q);
	if (q->conn->left)
		return MHD_NO;
	conn_suspend(q->conn);
	return MHD_YES;
}

enum MHD_Result handle_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
	const char *version, const char *data, size_t *size, void **context)
{
	struct req *q = *context;
	struct conn *c = conn_of(mhd);
	enum MHD_Result rc = MHD_NO;

	(void)cls, (void)url;
	if (q && !q->head_seen)
		rc = on_head(q, method, version);
	else if (q)
		rc = *size ? on_piece(q, data, size) : on_whole(q);
	if (rc == MHD_NO)
		conn_condemn(c);
	return rc;
}

void handle_completed(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode how)
{
	struct req *q = *context;
	struct conn *c = conn_of(mhd);

	(void)cls;
	*context = NULL;
	c->answered = c->shard->runs;
	conn_phase(c, CONN_IDLE);
	c->req = NULL;
	if (!q)
		return;
	q->conn = NULL;
	if (!q->head_seen) {
		req_free(q);
		return;
	}
	if (how != MHD_REQUEST_TERMINATED_COMPLETED_OK || !q->queued)
		q->pub.gone = true;
	if (!q->finished && q->pub.gone) {
		bool asked = q->body_seen || q->replied;

		q->replied = q->finished = !asked;	/* before its body() nobody owes an answer */
		q->pub.server->on.gone(&q->pub);
		if (!asked)
			req_ended(q);
		else if (!q->finished)
			left_note(q);
	} else if (q->finished) {
		req_ended(q);
	}
}

/* Nothing is kept that is not needed: most streams wait most of the time. */
static void take(struct req *q, size_t n)
{
	enum { SHIFT = 64 * 1024 };

	q->out_at += n;
	q->pub.bytes_out += n;
	if (q->out_at == q->out.len) {
		q->out_at = 0;
		buf_release(&q->out);
		buf_init(&q->out, SIZE_MAX);
	} else if (q->out_at >= SHIFT) {
		buf_cut(&q->out, q->out_at);
		q->out_at = 0;
	}
}

ssize_t req_read(void *cls, uint64_t pos, char *at, size_t max)
{
	struct req *q = cls;
	size_t n = q->out.len - q->out_at;

	(void)pos;
	if (!q->conn || q->conn->left || (!n && q->aborted)) {
		if (q->conn)
			conn_condemn(q->conn);
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	if (!n && q->finished)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (!n) {
		conn_suspend(q->conn);	/* returning 0 alone would spin (R17) */
		idle_note(q, at, max);
		return 0;
	}
	n = n < max ? n : max;
	memcpy(at, q->out.at + q->out_at, n);
	take(q, n);
	if (q->high && q->out.len - q->out_at < STREAM_LOW) {
		q->high = false;
		if (!q->finished)
			q->pub.server->on.drained(&q->pub);
	}
	return (ssize_t)n;
}
