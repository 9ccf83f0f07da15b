/*
 * refusal.c - every refusal is the JSON envelope, whoever refuses.
 *
 * What libmicrohttpd cannot parse it answers itself, in HTML, before anybody is
 * asked, and of what is wrong with some headers the 0.9.75 sends its head twice.  It
 * queues that answer through the function that we queue ours with, and finds the one
 * below in its place, for a program's symbols come before its libraries'.
 */
#include "net/server_parts.h"

#include <dlfcn.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <time.h>
#include "base/crypto.h"

typedef enum MHD_Result queue_fn(struct MHD_Connection *, unsigned int, struct MHD_Response *);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static queue_fn *queue;

static void find_queue(void)
{
	void *at = dlsym(RTLD_NEXT, "MHD_queue_response");

	memcpy(&queue, &at, sizeof(queue));
	if (!queue)
		abort();	/* no answer could ever be given */
}

const char *refusal_words(unsigned status)
{
	switch (status) {
	case 408: return "the request did not come in time";
	case 413: return "the request's body is larger than this gateway takes";
	case 414: return "the request's target is longer than this gateway takes";
	case 431: return "the request's head is larger than this gateway takes";
	case 505: return "only HTTP/1.1 and HTTP/1.0 are served here";
	}
	return status < 500 ? "not a well-formed HTTP request" : "the request could not be read";
}

static const char *kind(unsigned status)
{
	switch (status) {
	case 408: return "timeout";
	case 413: return "payload_too_large";
	case 501:
	case 505: return "invalid_request";
	}
	return status < 500 ? "invalid_request" : "server";
}

size_t refusal_body(char out[static REFUSAL_BODY], unsigned status, const char *why)
{
	int n = snprintf(out, REFUSAL_BODY, "{\"error\":{\"code\":%u,\"message\":\"%s\",\"metadata\":{\"error_type\":\"%s\"}},\"user_id\":null}\n",
		status, why, kind(status));

	return (size_t)n < REFUSAL_BODY ? (size_t)n : 0;
}

void refusal_id(char out[static REFUSAL_ID])
{
	char id[40];

	id_generation(id);
	snprintf(out, REFUSAL_ID, "req-%s", id + 4);
}

size_t refusal_text(char out[static REFUSAL_TEXT], const char *more, unsigned status, const char *why)
{
	char body[REFUSAL_BODY], id[REFUSAL_ID], date[64];
	size_t len = refusal_body(body, status, why);
	int n;
	time_t now = time(NULL);
	struct tm tm;

	refusal_id(id);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	n = snprintf(out, REFUSAL_TEXT, "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: application/json\r\nX-Request-Id: %s\r\n%s"
		"Connection: close\r\nContent-Length: %zu\r\n\r\n%s", status, MHD_get_reason_phrase_for(status), date, id, more, len, body);
	return (size_t)n < REFUSAL_TEXT ? (size_t)n : 0;
}

/* One record, which fits the socket's buffer: nothing of an answer is in it yet. */
static void send_tls(const struct conn *c, const char *text, size_t len)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	if (!info || !info->tls_session)
		return;
	(void)!gnutls_record_send(info->tls_session, text, len);
	gnutls_bye(info->tls_session, GNUTLS_SHUT_WR);
}

void refusal_send(const struct conn *c, unsigned status, const char *why)
{
	char text[REFUSAL_TEXT];
	size_t len = refusal_text(text, "", status, why);

	if (c->shard->tls)
		send_tls(c, text, len);
	else
		(void)!send(conn_fd(c), text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(conn_fd(c), SHUT_WR);
}

/* To MHD it is an answer that cannot be queued: it closes the connection. */
__attribute__((visibility("default")))
enum MHD_Result MHD_queue_response(struct MHD_Connection *mhd, unsigned int status, struct MHD_Response *response)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct conn *c = info ? info->socket_context : NULL;

	pthread_once(&once, find_queue);
	if (!c || (c->req && c->req->response == response))
		return queue(mhd, status, response);
	if (!c->req || (!c->req->queued && !c->req->swallow))
		refusal_send(c, status, refusal_words(status));
	conn_condemn(c);
	return MHD_NO;
}
