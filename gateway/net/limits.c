/*
 * limits.c - connections of this process, in all and per address (R9).
 *
 * Counted before libmicrohttpd sees them: its own limits are per daemon, and
 * there are dozens.  An IPv6 client is its /64.  A lock, since the workers
 * share the counts; it is taken twice in a connection's life.
 */
#include "net/server_parts.h"

#include <netinet/in.h>
#include <pthread.h>

enum { BUCKETS = 4096 };

struct address { struct address *next; uint64_t who; unsigned n; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct address *table[BUCKETS];
static unsigned total;

static uint64_t address_of(const struct sockaddr *addr)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)addr;
	uint32_t four;
	uint64_t who = 0;

	if (addr->sa_family == AF_INET) {
		four = ((const struct sockaddr_in *)(const void *)addr)->sin_addr.s_addr;
		return (uint64_t)four << 16 | 4;
	}
	if (addr->sa_family != AF_INET6)
		return 0;
	if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
		memcpy(&four, six->sin6_addr.s6_addr + 12, 4);
		return (uint64_t)four << 16 | 4;
	}
	memcpy(&who, six->sin6_addr.s6_addr, 8);
	return who | 1;
}

static struct address **find(uint64_t who)
{
	struct address **at = &table[(who * 0x9e3779b97f4a7c15u) >> 52];

	while (*at && (*at)->who != who)
		at = &(*at)->next;
	return at;
}

static bool enter_locked(uint64_t who, unsigned per_ip)
{
	struct address **at = find(who);

	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return false;
		(*at)->who = who;
	}
	if (per_ip && (*at)->n >= per_ip)
		return false;
	(*at)->n++;
	return true;
}

bool address_enter(const struct sockaddr *addr, unsigned per_ip, unsigned all, uint64_t *who, bool *counted)
{
	bool in;

	*who = address_of(addr);
	*counted = *who != 0;
	pthread_mutex_lock(&lock);
	in = (!all || total < all) && (!*counted || enter_locked(*who, per_ip));
	if (in)
		total++;
	pthread_mutex_unlock(&lock);
	return in;
}

void address_leave(uint64_t who, bool counted)
{
	struct address **at, *a;

	pthread_mutex_lock(&lock);
	total--;
	at = counted ? find(who) : NULL;
	a = at ? *at : NULL;
	if (a && !--a->n) {
		*at = a->next;
		free(a);
	}
	pthread_mutex_unlock(&lock);
}
