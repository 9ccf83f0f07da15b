/* events.c - what libcurl calls while an exchange runs. */
#include "net/client_parts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

static void heard(struct exchange *x)
{
	x->last_ms = loop_now_ms(x->multi->client->loop);
}

/* The empty line ends the head; those of 1xx answers and the trailers do not count. */
size_t transfer_header(char *at, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;
	long status = 0;

	if (x->cancelled)
		return 0;
	heard(x);
	if (x->headed || (len && at[0] != '\r' && at[0] != '\n'))
		return len;
	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)
		return len;
	x->headed = true;
	x->phase = PHASE_BODY;
	x->status = (int)status;
	exchange_arm(x);
	if (x->joined && exchange_sent(x) >= x->body_len) {	/* it is not sent again: libcurl is past that */
		free(x->joined);
		x->joined = NULL;
	}
	if (x->on.head)
		x->on.head(x->owner, x, x->status);
	return x->cancelled ? 0 : len;
}

size_t transfer_data(char *at, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t len = size * n;

	if (x->cancelled)
		return 0;
	heard(x);
	if (x->max_bytes && len > x->max_bytes - x->bytes) {
		x->too_large = true;
		return 0;
	}
	if (x->on.data && !x->on.data(x->owner, x, at, len)) {
		if (x->cancelled)
			return 0;
		x->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	x->bytes += len;
	return x->cancelled ? 0 : len;
}

size_t transfer_read(char *at, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;
	size_t room = size * n, done = 0;

	if (x->cancelled)
		return CURL_READFUNC_ABORT;
	heard(x);
	while (room && x->piece < x->pieces) {
		struct mg_str p = x->body[x->piece];
		size_t part = p.len - x->piece_at;

		part = part < room ? part : room;
		if (part)
			memcpy(at + done, p.at + x->piece_at, part);
		done += part;
		room -= part;
		x->piece_at += part;
		if (x->piece_at == p.len) {
			x->piece++;
			x->piece_at = 0;
		}
	}
	return done;
}

/* For the repeat of what was never sent, see exchange_out_on_kept(). */
int transfer_seek(void *arg, curl_off_t offset, int origin)
{
	struct exchange *x = arg;

	if (origin != SEEK_SET || offset)
		return CURL_SEEKFUNC_CANTSEEK;
	x->piece = x->piece_at = 0;
	return CURL_SEEKFUNC_OK;
}

/* libcurl sends a request again, up to five times, when a kept connection ends before
 * the first byte of the answer.  What went out may have been seen, and cost something:
 * whoever holds the money decides whether to try again (R32).  Where nothing went out
 * yet, or the upstream refused the stream or HTTP/2 on a fresh connection, it may. */
bool exchange_out_on_kept(const struct exchange *x)
{
	long sent = 0;

	if (x->phase == PHASE_CONNECT || !x->kept)
		return false;
	curl_easy_getinfo(x->easy, CURLINFO_REQUEST_SIZE, &sent);
	return sent > 0;
}

static void time_connection(struct exchange *x)
{
	curl_off_t tcp = 0, tls = 0;

	curl_easy_getinfo(x->easy, CURLINFO_CONNECT_TIME_T, &tcp);
	curl_easy_getinfo(x->easy, CURLINFO_APPCONNECT_TIME_T, &tls);
	x->connect_us = tcp > 0 ? (uint64_t)tcp : 1;
	x->tls_us = tls > tcp ? (uint64_t)(tls - tcp) : 0;
}

int transfer_connected(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct exchange *x = arg;

	(void)ip, (void)local_ip, (void)port, (void)local_port;
	x->stale = exchange_out_on_kept(x);
	if (x->cancelled || x->stale)
		return CURL_PREREQFUNC_ABORT;
	if (x->phase == PHASE_CONNECT) {
		long fresh = 0;

		curl_easy_getinfo(x->easy, CURLINFO_NUM_CONNECTS, &fresh);
		x->kept = !fresh;
		x->phase = PHASE_HEADERS;
		if (fresh)
			time_connection(x);
		x->connected_ms = loop_now_ms(x->multi->client->loop);
		exchange_arm(x);
	} else {
		x->kind = 0;	/* libcurl counts such repeats until a reset, and gives up at the fifth */
	}
	return CURL_PREREQFUNC_OK;
}

static bool public_v4(uint32_t a)
{
	static const struct { uint32_t net; unsigned bits; } denied[] = {
		{ 0x00000000, 8 },	/* this network */
		{ 0x0a000000, 8 },	/* private */
		{ 0x64400000, 10 },	/* carrier-grade NAT */
		{ 0x7f000000, 8 },	/* loopback */
		{ 0xa9fe0000, 16 },	/* link-local, and the clouds' metadata */
		{ 0xac100000, 12 },	/* private */
		{ 0xc0000000, 24 },	/* IETF */
		{ 0xc0000200, 24 },	/* documentation */
		{ 0xc0a80000, 16 },	/* private */
		{ 0xc6120000, 15 },	/* benchmarks */
		{ 0xc6336400, 24 },	/* documentation */
		{ 0xcb007100, 24 },	/* documentation */
		{ 0xe0000000, 3 },	/* multicast, reserved, broadcast */
	};

	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		if ((a ^ denied[i].net) >> (32 - denied[i].bits) == 0)
			return false;
	return true;
}

/* Global unicast alone (2000::/3), and no address that leads back into IPv4. */
static bool public_v6(const unsigned char *b)
{
	if ((b[0] & 0xe0) != 0x20)
		return false;
	if (b[0] == 0x20 && b[1] == 0x02)	/* 6to4 */
		return false;
	if (b[0] == 0x20 && b[1] == 0x01 && (b[2] & 0xfe) == 0)	/* Teredo and other IETF uses: 2001::/23 */
		return false;
	return !(b[0] == 0x20 && b[1] == 0x01 && b[2] == 0x0d && b[3] == 0xb8);
}

static bool public_address(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET)
		return public_v4(ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr));
	if (a->sa_family == AF_INET6)
		return public_v6(((const struct sockaddr_in6 *)(const void *)a)->sin6_addr.s6_addr);
	return false;
}

/* The resolved address is what counts, each one of each attempt (R37). */
curl_socket_t transfer_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct exchange *x = arg;

	(void)purpose;
	if (!public_address(&a->addr)) {
		x->refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
}
