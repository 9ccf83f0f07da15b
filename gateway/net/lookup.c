/*
 * lookup.c - a name is looked up once, however many want it (R35).
 *
 * libcurl starts a thread for each transfer whose name it has not in its cache: a burst to a cold
 * name was as many threads as requests.  So the first one looks; the others are taken off their
 * multi, and go on when it has an address, or is over.  A name that cannot be found is not looked up
 * again for a moment (R31): libcurl remembers only what it found.
 */
#include "net/client_parts.h"

#include "base/crypto.h"

enum { NAMES = 64, MISSING_MS = 2000 };

struct name {
	char *host;			/* of places; NULL: the slot is free */
	struct exchange *looks, *waiting;
	uint64_t missing_ms;		/* until then it is taken not to be there */
};

int names_new(struct client *c)
{
	c->names = calloc(NAMES, sizeof(*c->names));
	return c->names ? MG_OK : MG_ENOMEM;
}

void names_free(struct client *c)
{
	for (size_t i = 0; c->names && i < NAMES; i++)
		free(c->names[i].host);
	free(c->names);
}

/* NULL: there is no place for it now; then each looks for itself. */
static struct name *name_of(struct exchange *x)
{
	const char *host = x->place->host;
	struct name *n = host ? &x->multi->client->names[hash64(host, strlen(host), 0) % NAMES] : NULL;
	char *copy;

	if (!n || (n->host && !strcmp(n->host, host)))
		return n;
	copy = n->looks || n->waiting ? NULL : strdup(host);
	if (!copy)
		return NULL;
	free(n->host);
	*n = (struct name){ .host = copy };
	return n;
}

static void wait_for(struct name *n, struct exchange *x)
{
	x->name = n;
	x->next_waiting = n->waiting;
	n->waiting = x;
}

/* They start again, each on its own. */
static void over(struct name *n)
{
	struct exchange *x = n->waiting;

	n->looks = NULL;
	n->waiting = NULL;
	for (struct exchange *next; x; x = next) {
		next = x->next_waiting;
		x->name = NULL;
		exchange_again(x);
	}
}

/* An address is there, and in libcurl's cache for all. */
static curl_socket_t found(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct exchange *x = arg;

	(void)purpose;
	if (x->name && x->name->looks == x) {
		over(x->name);
		x->name = NULL;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
}

int transfer_lookup(void *state, void *reserved, void *arg)
{
	struct exchange *x = arg;
	struct name *n = x && !x->foreign && !x->cancelled ? name_of(x) : NULL;

	(void)state, (void)reserved;
	if (!n || n->looks == x)
		return 0;
	x->waits = n->looks != NULL;
	if (x->waits || loop_now_ms(x->multi->client->loop) < n->missing_ms)
		return 1;
	n->looks = x;
	n->missing_ms = 0;
	x->name = n;
	x->kind = 0;		/* this handle alone tells when it is found */
	curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETFUNCTION, found);
	curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETDATA, x);
	return 0;
}

bool lookup_waits(struct exchange *x)
{
	struct name *n = x->waits ? name_of(x) : NULL;

	if (!x->waits)
		return false;
	x->waits = false;
	if (n && n->looks)
		wait_for(n, x);
	else
		exchange_again(x);
	return true;
}

void lookup_missing(struct exchange *x)
{
	if (x->name && x->name->looks == x)
		x->name->missing_ms = loop_now_ms(x->multi->client->loop) + MISSING_MS;
}

void lookup_leave(struct exchange *x)
{
	struct name *n = x->name;

	if (!n)
		return;
	x->name = NULL;
	if (n->looks == x) {
		over(n);
		return;
	}
	for (struct exchange **at = &n->waiting; *at; at = &(*at)->next_waiting)
		if (*at == x) {
			*at = x->next_waiting;
			return;
		}
}
