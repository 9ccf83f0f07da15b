/*
 * options.c - the one function that sets up an easy handle (R25-R30).
 *
 * Nothing comes from the environment, nothing is followed, nothing is kept of
 * the exchange before.  What is set alike for all exchanges of a kind stays set on a
 * handle that goes from one of them to the next; what is an exchange's own is set for
 * each, and taken off the handle when it is given back.  Any other handle is reset.
 */
#include "net/client_parts.h"

#include "base/crypto.h"

enum {
	STREAM_BUFFER = 2 * 1024,	/* bytes, resident per open stream */
	PLAIN_BUFFER = 16 * 1024,
	JOIN_MAX = 64 * 1024,		/* bytes: smaller bodies become one piece */
	LARGE_BODY = 1024 * 1024,	/* bytes */
	LARGE_UPLOAD = 512 * 1024,	/* bytes that libcurl takes of one at once, until the exchange is over */
	DNS_SECONDS = 60,
};

enum { KIND = 1, KIND_PLAIN_ALLOWED = 2, KIND_PLAIN = 4, KIND_STREAM = 8 };	/* a kind is KIND and some of the others */

static bool has_break(struct mg_str s)
{
	return memchr(s.at, '\r', s.len) || memchr(s.at, '\n', s.len) || memchr(s.at, 0, s.len);
}

/* The line as libcurl would write it, byte by byte and twice, for each request.  Names in other letters, and
 * addresses of IPv6, are left to it: p->host stays NULL. */
static int host_of(struct place *p, struct err *err)
{
	static const char usual[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
	char *name = NULL, *port = NULL;
	size_t len;
	int rc = MG_OK;

	if (curl_url_get(p->url, CURLUPART_HOST, &name, 0))
		return fail(err, MG_ENOMEM, "no memory for a URL");
	curl_url_get(p->url, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT);
	len = strlen(name);
	if (len && !name[strspn(name, usual)] && name[len - 1] != '.' && asprintf(&p->host, "Host: %s%s%s", name, port ? ":" : "", port ? port : "") < 0) {
		p->host = NULL;
		rc = fail(err, MG_ENOMEM, "no memory for a URL");
	}
	curl_free(name);
	curl_free(port);
	return rc;
}

static int parse(struct place *p, const char *url, struct err *err)
{
	char *scheme = NULL;
	bool http, https;

	p->url = curl_url();
	p->text = strdup(url);
	if (!p->url || !p->text)
		return fail(err, MG_ENOMEM, "no memory for a URL");
	if (curl_url_set(p->url, CURLUPART_URL, url, CURLU_DISALLOW_USER) ||
	    curl_url_get(p->url, CURLUPART_SCHEME, &scheme, 0))
		return fail(err, MG_EINVAL, "the upstream's URL cannot be read; hint: https://host[:port]/path, without user or password");
	http = !strcmp(scheme, "http");
	https = !strcmp(scheme, "https");
	curl_free(scheme);
	p->plain = http;
	if (!http && !https)
		return fail(err, MG_EINVAL, "the upstream's URL must be https or http");
	return host_of(p, err);
}

static void place_release(struct place *p)
{
	curl_url_cleanup(p->url);
	free(p->text);
	free(p->host);
	*p = (struct place){ .url = NULL };
}

/* Parsing a URL costs as much as a tenth of the request (measured). */
struct place *place_for(struct client *c, const char *url, bool *own, struct err *err)
{
	struct place *p = &c->places[hash64(url, strlen(url), 0) % PLACES];

	*own = false;
	if (p->text && !strcmp(p->text, url)) {
		p->users++;
		return p;
	}
	if (p->users) {
		p = calloc(1, sizeof(*p));
		*own = true;
		if (!p) {
			fail(err, MG_ENOMEM, "no memory for a URL");
			return NULL;
		}
	} else {
		place_release(p);
	}
	if (parse(p, url, err)) {
		place_release(p);
		if (*own)
			free(p);
		return NULL;
	}
	p->users++;
	return p;
}

void place_drop(struct place *p, bool own)
{
	p->users--;
	if (!own)
		return;
	place_release(p);
	free(p);
}

void places_free(struct client *c)
{
	for (size_t i = 0; c->places && i < PLACES; i++)
		place_release(&c->places[i]);
	free(c->places);
}

/* One more in the list; one without a value takes away libcurl's own. */
static void node(struct exchange *x, char *text)
{
	x->list[x->nodes] = (struct curl_slist){ text, NULL };
	if (x->nodes)
		x->list[x->nodes - 1].next = &x->list[x->nodes];
	x->nodes++;
}

static char *put(char *at, const char *line, size_t len)
{
	memcpy(at, line, len);
	memcpy(at + len, "\r\n", 2);
	return at + len + 2;
}

/* libcurl writes a node of the list as it is, so one node may hold all headers: cheaper by 3 % than a node each. */
static int set_headers(struct exchange *x, const struct exchange_conf *conf, struct err *err)
{
	static char host[] = "Host:", expect[] = "Expect:", accept[] = "Accept:", type[] = "Content-Type:";
	size_t len = 1 + (x->place->host ? strlen(x->place->host) + 2 : 0);
	char *at;

	for (size_t i = 0; i < conf->n_headers; i++) {
		if (!conf->headers[i].len)	/* an empty line would end the head */
			return fail(err, MG_ENOMEM, "no memory for a request's headers");
		if (has_break(conf->headers[i]))
			return fail(err, MG_EINVAL, "a request header has a line break or a NUL");
		len += conf->headers[i].len + 2;
	}
	if (x->place->host)
		node(x, host);
	node(x, accept);
	node(x, type);
	node(x, expect);
	if (len == 1)
		return MG_OK;
	at = x->headers = malloc(len);
	if (!at)
		return fail(err, MG_ENOMEM, "no memory for a request's headers");
	if (x->place->host)
		at = put(at, x->place->host, strlen(x->place->host));
	for (size_t i = 0; i < conf->n_headers; i++)
		at = put(at, conf->headers[i].at, conf->headers[i].len);
	at[-2] = 0;	/* the last line's end is libcurl's */
	node(x, x->headers);
	return MG_OK;
}

static int join(struct exchange *x, struct err *err)
{
	size_t n = 0;

	x->joined = malloc(x->body_len + 1);
	if (!x->joined)
		return fail(err, MG_ENOMEM, "no memory for a request's body");
	for (size_t i = 0; i < x->pieces; i++) {
		if (x->body[i].len)
			memcpy(x->joined + n, x->body[i].at, x->body[i].len);
		n += x->body[i].len;
	}
	return MG_OK;
}

static int set_body(struct exchange *x, const struct exchange_conf *conf, struct err *err)
{
	const char *one = "";

	x->body = conf->body;
	x->pieces = conf->body ? conf->pieces : 0;
	for (size_t i = 0; i < x->pieces; i++)
		x->body_len += x->body[i].len;
	if (x->body_len >= LARGE_BODY) {	/* by 64 KB each, the loop's turns and the kernel's timers cost a tenth */
		curl_easy_setopt(x->easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)LARGE_UPLOAD);
		x->kind = 0;
	}
	if (x->pieces > 1 && x->body_len > JOIN_MAX) {
		curl_easy_setopt(x->easy, CURLOPT_READFUNCTION, transfer_read);
		curl_easy_setopt(x->easy, CURLOPT_READDATA, x);
		curl_easy_setopt(x->easy, CURLOPT_SEEKFUNCTION, transfer_seek);
		curl_easy_setopt(x->easy, CURLOPT_SEEKDATA, x);
		curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, NULL);
		curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->body_len);
		x->kind = 0;
		return MG_OK;
	}
	if (x->pieces > 1 && join(x, err))
		return MG_ENOMEM;
	if (x->joined)
		one = x->joined;
	else if (x->pieces && x->body[0].len)
		one = x->body[0].at;
	curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->body_len);
	curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, one);
	return MG_OK;
}

static int set_method(struct exchange *x, const struct exchange_conf *conf, struct err *err)
{
	bool body = conf->body && conf->pieces;

	if (!strcmp(conf->method, "HEAD")) {
		curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
		return MG_OK;
	}
	if (strcmp(conf->method, "POST") && !body) {
		curl_easy_setopt(x->easy, CURLOPT_HTTPGET, 1L);
		if (strcmp(conf->method, "GET"))
			curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, conf->method);
		return MG_OK;
	}
	curl_easy_setopt(x->easy, CURLOPT_POST, 1L);
	if (strcmp(conf->method, "POST"))
		curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, conf->method);
	return set_body(x, conf, err);
}

static void set_fences(struct exchange *x, const struct exchange_conf *conf)
{
	CURL *e = x->easy;

	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, conf->plain_http ? "http,https" : "https");
	curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_NOPROXY, "*");	/* else it looks into the environment for each transfer */
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);	/* a cancel must not wait for a resolver thread */
	if (!conf->foreign)
		return;
	/* The check is not called for a connection that is used again. */
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, transfer_open);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, x);
	curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
}

static void set_transport(struct exchange *x, const struct exchange_conf *conf)
{
	CURL *e = x->easy;

	curl_easy_setopt(e, CURLOPT_SHARE, x->multi->client->share);
	curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, (long)DNS_SECONDS);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)(conf->stream ? STREAM_BUFFER : PLAIN_BUFFER));
	/* libcurl copies the paths for each transfer, and those of proxies, too. */
	curl_easy_setopt(e, CURLOPT_PROXY_CAINFO, NULL);
	curl_easy_setopt(e, CURLOPT_PROXY_CAPATH, NULL);
	if (x->place->plain) {
		curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
		curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
		return;
	}
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(e, CURLOPT_PIPEWAIT, 1L);	/* else a burst opens a connection each */
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	if (conf->ca_file)
		curl_easy_setopt(e, CURLOPT_CAINFO, conf->ca_file);
}

static void set_callbacks(CURL *e)
{
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, transfer_header);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, transfer_data);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, transfer_connected);
	curl_easy_setopt(e, CURLOPT_RESOLVER_START_FUNCTION, transfer_lookup);
}

/* What no two exchanges have in common; exchange_unset() takes it off again. */
static void set_own(struct exchange *x, const struct exchange_conf *conf)
{
	CURL *e = x->easy;

	/* Our timers are finer; this one is behind them, for libcurl's default is 5 minutes. */
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, conf->connect_ms ? (long)conf->connect_ms + 1000 : 300000L);
	curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)x->multi->client->keep_s);
	curl_easy_setopt(e, CURLOPT_URL, x->place->text);	/* goes nowhere, but without it libcurl writes one from the next */
	curl_easy_setopt(e, CURLOPT_CURLU, x->place->url);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, x->list);
	curl_easy_setopt(e, CURLOPT_PRIVATE, x);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, x);
	curl_easy_setopt(e, CURLOPT_RESOLVER_START_DATA, x);
	if (x->place->plain)
		return;
	x->error = calloc(1, CURL_ERROR_SIZE);	/* without: libcurl's words on TLS are less exact */
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->error);
}

void exchange_unset(CURL *e)
{
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(e, CURLOPT_POSTFIELDS, NULL);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(e, CURLOPT_URL, NULL);
	curl_easy_setopt(e, CURLOPT_CURLU, NULL);
	curl_easy_setopt(e, CURLOPT_PRIVATE, NULL);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, NULL);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, NULL);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, NULL);
	curl_easy_setopt(e, CURLOPT_RESOLVER_START_DATA, NULL);
}

/* 0: what is set for this exchange is for no other. */
static unsigned kind_of(const struct exchange *x, const struct exchange_conf *conf)
{
	if (conf->foreign || conf->ca_file || strcmp(conf->method, "POST"))
		return 0;
	return KIND | (conf->plain_http ? KIND_PLAIN_ALLOWED : 0) | (x->place->plain ? KIND_PLAIN : 0) | (conf->stream ? KIND_STREAM : 0);
}

int exchange_setup(struct exchange *x, const struct exchange_conf *conf, struct err *err)
{
	unsigned before = x->kind, kind;
	int rc;

	x->kind = 0;	/* until all is set */
	if (!conf->method)
		return fail(err, MG_ENOMEM, "no memory for an upstream request");
	if (x->place->plain && !conf->plain_http)
		return fail(err, MG_EDENIED, "the upstream's URL is http; hint: use https, or allow plain http for this provider");
	rc = set_headers(x, conf, err);
	if (rc)
		return rc;
	kind = kind_of(x, conf);
	if (!kind || kind != before) {
		if (before)
			curl_easy_reset(x->easy);
		set_fences(x, conf);
		set_transport(x, conf);
		set_callbacks(x->easy);
	}
	x->kind = kind;
	set_own(x, conf);
	return set_method(x, conf, err);
}
