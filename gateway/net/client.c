/*
 * client.c - exchanges on their multis.
 *
 * libcurl refuses to add or remove a handle inside one of its callbacks, so
 * what is asked for there waits in the multi's list for later until it is out of
 * them (settle()).  A resume waits always: libcurl would deliver bytes from
 * within it, and its caller does not expect that.
 */
#include "net/client_parts.h"

#include <pthread.h>

#include "base/clock.h"

enum { FILL = 16, SPARES = 64 };	/* exchanges on a multi before the next one is used; easy handles kept */

struct sock { struct sock *prev, *next; struct multi *multi; struct watch watch; };

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void global_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void unlink_exchange(struct exchange *x)
{
	if (x->prev)
		x->prev->next = x->next;
	else
		x->multi->client->all = x->next;
	if (x->next)
		x->next->prev = x->prev;
}

/* A handle that kept its buffers is cheaper than a new one, and one that kept the options of its kind
 * than one that was reset; nothing of one exchange reaches the next (R26). */
static void easy_back(struct multi *m, CURL *easy, unsigned kind)
{
	if (m->n_spare == SPARES) {
		curl_easy_cleanup(easy);
		return;
	}
	if (kind)
		exchange_unset(easy);
	else
		curl_easy_reset(easy);
	m->spare[m->n_spare++] = (struct spare){ easy, kind };
}

static CURL *easy_take(struct multi *m, unsigned *kind)
{
	if (!m->n_spare)
		return curl_easy_init();
	m->n_spare--;
	*kind = m->spare[m->n_spare].kind;
	return m->spare[m->n_spare].easy;
}

static void exchange_free(struct exchange *x)
{
	struct multi *m = x->multi;

	loop_timer_clear(m->client->loop, &x->timer);
	if (x->added)
		exchange_give_up(x);
	lookup_leave(x);
	if (x->easy)
		easy_back(m, x->easy, x->done ? x->kind : 0);
	if (x->place)
		place_drop(x->place, x->own_place);
	if (x->headers)
		explicit_bzero(x->headers, strlen(x->headers));	/* it held a credential */
	free(x->headers);
	free(x->joined);
	free(x->error);
	unlink_exchange(x);
	m->running--;
	sweep_note(m);
	free(x);
}

static void later(struct exchange *x)
{
	struct multi *m = x->multi;

	if (!x->listed) {
		x->listed = true;
		x->next_later = m->later;
		m->later = x;
	}
	loop_timer_set(m->client->loop, &m->client->work, 0);
}

void exchange_again(struct exchange *x)
{
	x->start = true;
	later(x);
}

static void unlist(struct exchange *x)
{
	struct exchange **at = &x->multi->later;

	while (x->listed && *at && *at != x)
		at = &(*at)->next_later;
	if (x->listed && *at)
		*at = x->next_later;
	x->listed = false;
}

/* The last event.  x is free when this returns. */
void exchange_over(struct exchange *x, int how, const char *why)
{
	struct exchange_result r = { .how = how, .phase = x->phase, .stale = x->stale, .connect_us = x->connect_us, .tls_us = x->tls_us,
		.total_us = clock_us() - x->began_us };

	if (how != EXCHANGE_DONE)
		snprintf(r.why, sizeof(r.why), "%s", why);
	unlist(x);
	x->ended = true;
	x->on.end(x->owner, x, &r);
	exchange_free(x);
}

static int result_of(const struct exchange *x, CURLcode code)
{
	if (x->too_large)
		return EXCHANGE_TOO_LARGE;
	if (x->refused)
		return EXCHANGE_REFUSED;
	if (x->stale)
		return EXCHANGE_CUT;
	switch (code) {
	case CURLE_OK:
		return x->headed ? EXCHANGE_DONE : EXCHANGE_CUT;	/* a head that breaks off is fine with libcurl */
	case CURLE_OPERATION_TIMEDOUT:
		return EXCHANGE_TIMEOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_INTERFACE_FAILED:
		return EXCHANGE_CONNECT;
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_SEND_FAIL_REWIND:
	case CURLE_GOT_NOTHING:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return x->phase == PHASE_CONNECT ? EXCHANGE_CONNECT : EXCHANGE_CUT;
	default:
		return x->phase == PHASE_CONNECT ? EXCHANGE_CONNECT : EXCHANGE_BROKEN;
	}
}

/* libcurl's longer words name hosts and addresses; only those on TLS are worth it. */
static const char *words(const struct exchange *x, CURLcode code)
{
	bool tls = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR;

	if (x->too_large)
		return "the answer is larger than allowed";
	if (x->refused)
		return "the address is not a public one";
	if (x->stale)
		return "the connection ended before the answer began";
	if (!code && !x->headed)
		return "the answer's head breaks off";
	return tls && x->error && *x->error ? x->error : curl_easy_strerror(code);
}

static void add(struct exchange *x)
{
	struct multi *m = x->multi;

	x->start = false;
	m->busy++;
	x->added = curl_multi_add_handle(m->curl, x->easy) == CURLM_OK;
	m->busy--;
	if (!x->added)
		exchange_over(x, EXCHANGE_BROKEN, "libcurl took no more transfers");
}

static void resume(struct exchange *x)
{
	struct multi *m = x->multi;

	x->resume = false;
	if (!x->paused)
		return;
	x->paused = false;
	x->last_ms = loop_now_ms(m->client->loop);
	exchange_arm(x);
	m->busy++;
	curl_easy_pause(x->easy, CURLPAUSE_CONT);
	m->busy--;
}

static void run_later(struct multi *m)
{
	while (m->later) {
		struct exchange *x = m->later;

		m->later = x->next_later;
		x->listed = false;
		if (x->cancelled)
			exchange_free(x);
		else if (x->start)
			add(x);
		else if (x->resume)
			resume(x);
	}
}

/* Another one looks up its name: it is begun again. */
static bool waits(struct exchange *x)
{
	struct multi *m = x->multi;

	if (!x->waits || x->cancelled)
		return false;
	m->busy++;
	curl_multi_remove_handle(m->curl, x->easy);
	m->busy--;
	x->added = false;
	return lookup_waits(x);
}

static void settle(struct multi *m)
{
	CURLMsg *msg;
	int left;

	if (m->busy)
		return;
	while ((msg = curl_multi_info_read(m->curl, &left))) {
		CURLcode code = msg->data.result;
		struct exchange *x = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&x);
		if (!x) {
			sweep_over(m);
			continue;
		}
		if (waits(x))
			continue;
		x->done = true;
		if (code)
			x->kind = 0;
		if (code == CURLE_COULDNT_RESOLVE_HOST)
			lookup_missing(x);
		if (x->cancelled) {
			unlist(x);
			exchange_free(x);
			continue;
		}
		exchange_over(x, result_of(x, code), words(x, code));
	}
	run_later(m);
}

static void action(struct multi *m, curl_socket_t fd, int what)
{
	int running;

	m->busy++;
	curl_multi_socket_action(m->curl, fd, what, &running);
	m->busy--;
	settle(m);
}

static void sock_ready(struct watch *w, uint32_t events)
{
	struct sock *s = loop_owner(w, struct sock, watch);
	int what = 0;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		what |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		what |= CURL_CSELECT_ERR;
	action(s->multi, w->fd, what);	/* s may be gone now */
}

static void multi_due(struct timer *t)
{
	action(loop_owner(t, struct multi, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void client_work(struct timer *t)
{
	struct client *c = loop_owner(t, struct client, work);

	for (unsigned i = 0; i < c->n; i++)
		if (c->multis[i].later)
			settle(&c->multis[i]);
}

static void sock_free(struct sock *s)
{
	loop_unwatch(s->multi->client->loop, &s->watch);
	if (s->prev)
		s->prev->next = s->next;
	else
		s->multi->socks = s->next;
	if (s->next)
		s->next->prev = s->prev;
	free(s);
}

static struct sock *sock_new(struct multi *m, curl_socket_t fd)
{
	struct sock *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->multi = m;
	s->watch = (struct watch){ .fd = fd, .ready = sock_ready };
	s->next = m->socks;
	if (s->next)
		s->next->prev = s;
	m->socks = s;
	curl_multi_assign(m->curl, fd, s);
	return s;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct multi *m = arg;
	struct sock *s = known;
	uint32_t events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			sock_free(s);
		return 0;
	}
	if (!s && !(s = sock_new(m, fd)))
		return -1;
	if (what != CURL_POLL_OUT)
		events |= EPOLLIN;
	if (what != CURL_POLL_IN)
		events |= EPOLLOUT;
	return loop_watch(m->client->loop, &s->watch, events) ? -1 : 0;
}

static int on_timer(CURLM *curl, long ms, void *arg)
{
	struct multi *m = arg;

	(void)curl;
	if (ms < 0)
		loop_timer_clear(m->client->loop, &m->timer);
	else
		loop_timer_set(m->client->loop, &m->timer, (uint64_t)ms);
	return 0;
}

/* At its first use: most of them wait for a burst that never comes, and one is 8 KB and two descriptors. */
static bool multi_open(struct multi *m)
{
	m->curl = curl_multi_init();
	m->spare = calloc(SPARES, sizeof(*m->spare));
	if (!m->curl || !m->spare) {
		multi_close(m);
		return false;
	}
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	/* Counts those in use, too: too small, and each exchange closes an idle one. */
	curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, (long)m->client->cached);
	return true;
}

struct client *client_new(struct loop *loop, unsigned shards, unsigned max_connections, struct err *err)
{
	struct client *c;

	pthread_once(&once, global_init);
	shards = shards ? shards : 1;
	c = calloc(1, sizeof(*c) + shards * sizeof(c->multis[0]));
	if (!c) {
		fail(err, MG_ENOMEM, "no memory for the HTTP client");
		return NULL;
	}
	c->loop = loop;
	c->n = shards;
	c->cached = max_connections / shards * 2 + 128;
	for (unsigned i = 0; i < shards; i++) {
		c->multis[i].client = c;
		c->multis[i].timer.fire = multi_due;
	}
	c->work.fire = client_work;
	c->sweep.fire = sweep_due;
	c->keep_s = SWEEP_KEEP_S;
	c->places = calloc(PLACES, sizeof(*c->places));
	c->share = curl_share_init();
	if (!c->places || names_new(c) || !c->share || !multi_open(&c->multis[0])) {
		fail(err, MG_ENOMEM, "no memory for the HTTP client");
		client_free(c);
		return NULL;
	}
	/* One thread: no locks. */
	curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	return c;
}

void multi_close(struct multi *m)
{
	sweep_over(m);
	for (unsigned i = 0; i < m->n_spare; i++)
		curl_easy_cleanup(m->spare[i].easy);
	m->busy++;
	if (m->curl)
		curl_multi_cleanup(m->curl);
	m->busy--;
	while (m->socks)
		sock_free(m->socks);
	loop_timer_clear(m->client->loop, &m->timer);
	free(m->spare);
	m->curl = NULL;
	m->spare = NULL;
	m->n_spare = 0;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	while (c->all)
		exchange_free(c->all);
	for (unsigned i = 0; i < c->n; i++)
		multi_close(&c->multis[i]);
	loop_timer_clear(c->loop, &c->work);
	loop_timer_clear(c->loop, &c->sweep);
	if (c->share)
		curl_share_cleanup(c->share);
	places_free(c);
	names_free(c);
	free(c);
}

/* Few at a time share a multi while there are few, so that connections are
 * used again; the emptiest takes the next when there are many (performance 4). */
static struct multi *pick(struct client *c, bool stream)
{
	unsigned first = stream && c->n > 1 ? 1 : 0;
	struct multi *best = NULL;

	for (unsigned i = first; i < c->n; i++) {
		struct multi *m = &c->multis[i];

		if (!m->curl && !multi_open(m))
			continue;
		if (m->running < FILL)
			return m;
		if (!best || m->running < best->running)
			best = m;
	}
	return best;
}

static struct exchange *exchange_new(struct client *c, const struct exchange_conf *conf)
{
	struct exchange *x = calloc(1, sizeof(*x));
	struct multi *m = x ? pick(c, conf->stream) : NULL;

	if (!m) {
		free(x);
		return NULL;
	}
	x->multi = m;
	x->next = c->all;
	if (x->next)
		x->next->prev = x;
	c->all = x;
	m->running++;
	x->easy = easy_take(m, &x->kind);
	x->timer.fire = exchange_deadline;
	x->connect_ms = conf->connect_ms;
	x->headers_ms = conf->headers_ms;
	x->idle_ms = conf->idle_ms;
	x->total_ms = conf->total_ms;
	x->max_bytes = conf->max_bytes;
	x->foreign = conf->foreign;
	x->began_us = clock_us();
	x->began_ms = x->last_ms = loop_now_ms(c->loop);
	return x;
}

struct exchange *exchange_start(struct client *c, const struct exchange_conf *conf,
	const struct exchange_events *events, void *owner, struct err *err)
{
	struct exchange *x = exchange_new(c, conf);

	if (!x || !x->easy) {
		fail(err, MG_ENOMEM, "no memory for an upstream request");
		goto bad;
	}
	x->on = *events;
	x->owner = owner;
	x->place = place_for(c, conf->url, &x->own_place, err);
	if (!x->place || exchange_setup(x, conf, err))
		goto bad;
	exchange_arm(x);
	x->start = true;
	if (x->multi->busy) {
		later(x);
		return x;
	}
	x->start = false;
	x->added = curl_multi_add_handle(x->multi->curl, x->easy) == CURLM_OK;
	if (x->added)
		return x;
	fail(err, MG_ENOMEM, "libcurl took no more transfers");
bad:
	if (x)
		exchange_free(x);
	return NULL;
}

void exchange_cancel(struct exchange *x)
{
	if (x->cancelled || x->ended)
		return;
	x->cancelled = true;
	loop_timer_clear(x->multi->client->loop, &x->timer);
	if (x->multi->busy) {
		later(x);
		return;
	}
	unlist(x);
	exchange_free(x);
}

void exchange_resume(struct exchange *x)
{
	if (!x->paused || x->cancelled || x->ended)
		return;
	x->resume = true;
	later(x);
}

struct mg_str exchange_header(struct exchange *x, const char *name)
{
	struct curl_header *h;

	if (curl_easy_header(x->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return (struct mg_str){ NULL, 0 };
	return (struct mg_str){ h->value, strlen(h->value) };
}

/* Until it is connected libcurl may still tell of the exchange that the handle had before.
 * Where a kept connection has ended it forgets how much had left, to begin again: as much
 * as the whole, then.  It tells us only when it is connected anew. */
uint64_t exchange_sent(struct exchange *x)
{
	curl_off_t n = 0;

	if (x->phase == PHASE_CONNECT)
		return 0;
	if (x->stale)
		return x->body_len;
	curl_easy_getinfo(x->easy, CURLINFO_SIZE_UPLOAD_T, &n);
	if (n <= 0)
		return exchange_out_on_kept(x) ? x->body_len : 0;
	return (uint64_t)n;
}
