/* listeners.c - see listeners.h. */
#include "cli/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/config_part.h"
#include "base/crypto.h"
#include "base/log.h"

enum { CERT_BYTES = 256 * 1024 };

static bool is_unix(const char *at)
{
	return !strncmp(at, "unix:", 5);
}

/* Loopback and unix sockets may manage, as in the configuration (R82). */
static bool is_local(const char *at)
{
	return !strncmp(at, "127.", 4) || !strncmp(at, "[::1]", 5) || !strncmp(at, "localhost:", 10) || is_unix(at);
}

static void row_release(struct listener *l)
{
	char *key = (char *)l->key;

	if (key)
		wipe(key, strlen(key));
	free((char *)l->at);
	free((char *)l->cert);
	free(key);
}

void listeners_release(struct listeners *ls)
{
	for (size_t i = 0; i < ls->n; i++)
		row_release(&ls->row[i]);
	ls->n = 0;
}

static int read_tls(struct listener *l, const json_t *tls, struct err *err)
{
	struct fetch_failure no;
	size_t len;

	if (!tls)
		return MG_OK;
	l->cert = read_whole(json_string_value(json_object_get(tls, "cert")), CERT_BYTES, &len, &no);
	l->key = l->cert ? fetch_file(json_string_value(json_object_get(tls, "key")), "", &no) : NULL;
	if (!l->key)
		return fail(err, MG_EINVAL, "listen '%s': tls: %s\nhint: %s", l->at, no.why, no.hint);
	return listener_certificate(l, err);
}

static int add(struct listeners *ls, const char *at, bool admin, const json_t *tls, struct err *err)
{
	struct listener *l = &ls->row[ls->n];

	if (ls->n == LISTENERS_MAX)
		return fail(err, MG_EINVAL, "listen: at most %d listeners", LISTENERS_MAX);
	*l = (struct listener){ .fd = -1, .at = strdup(at), .admin = admin };
	if (!l->at)
		return fail(err, MG_ENOMEM, "no memory for a listener");
	ls->n++;
	return read_tls(l, tls, err);
}

int listeners_read(struct listeners *ls, json_t *list, const char *only, struct err *err)
{
	json_t *row;
	size_t i;
	int rc = MG_OK;

	*ls = (struct listeners){ .n = 0 };
	if (only)
		rc = add(ls, only, is_local(only), NULL, err);
	else
		json_array_foreach(list, i, row)
			if (!rc)
				rc = add(ls, json_string_value(json_object_get(row, "at")), json_is_true(json_object_get(row, "admin")),
					json_object_get(row, "tls"), err);
	if (rc)
		listeners_release(ls);
	return rc;
}

static void announce(const struct listener *l, const char *name)
{
	printf("listening on %s%s\n", is_unix(name) ? "" : l->cert ? "https://" : "http://", name);
}

static int open_one(struct listeners *ls, unsigned worker, size_t i, struct listener *own, struct err *err)
{
	*own = ls->row[i];
	if (worker && is_unix(own->at)) {	/* one socket, shared */
		own->fd = fcntl(ls->fd[0][i], F_DUPFD_CLOEXEC, 0);
		return own->fd < 0 ? fail(err, MG_EDENIED, "listen: '%s': %s", own->at, strerror(errno)) : MG_OK;
	}
	if (worker)
		own->at = ls->name[i];
	if (listener_open(own, err))
		return err->rc;
	if (worker)
		return MG_OK;
	listener_name(own, ls->name[i]);
	announce(own, ls->name[i]);
	return MG_OK;
}

int listeners_open(struct listeners *ls, unsigned worker, struct listener own[LISTENERS_MAX], struct err *err)
{
	for (size_t i = 0; i < ls->n; i++) {
		if (open_one(ls, worker, i, &own[i], err))
			return err->rc;
		ls->fd[worker][i] = own[i].fd;
	}
	fflush(stdout);
	return MG_OK;
}

struct renewal { struct worker *w; struct listener l; };

static void renewal_free(struct renewal *r)
{
	row_release(&r->l);
	free(r);
}

static void renew_here(void *arg)
{
	struct renewal *r = arg;
	struct err err = { 0 };

	if (server_listen(r->w->server, &r->l, &err))
		log_at(LOG_ERROR, EV_CONFIG_REFUSED, NULL, LOG_S("why", err.msg), LOG_S("listen", r->l.at));
	renewal_free(r);
}

static void renew(struct worker *w, const struct listener *l, int fd)
{
	struct renewal *r = calloc(1, sizeof(*r));

	if (!r)
		return;
	*r = (struct renewal){ w, { .at = strdup(l->at), .cert = l->cert ? strdup(l->cert) : NULL,
		.key = l->key ? strdup(l->key) : NULL, .admin = l->admin, .fd = fd } };
	if (!r->l.at || !r->l.cert != !l->cert || !r->l.key != !l->key || loop_post(w->loop, renew_here, r))
		renewal_free(r);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool listeners_renew(struct listeners *ls, struct listeners *next, struct gateway *gw)
{
	bool same = ls->n == next->n;

	for (size_t i = 0; same && i < ls->n; i++)
		same = !strcmp(ls->row[i].at, next->row[i].at);
	for (size_t i = 0; same && i < ls->n; i++) {
		struct listener *now = &ls->row[i], swap = *now;

		if (same_text(now->cert, next->row[i].cert) && same_text(now->key, next->row[i].key) && now->admin == next->row[i].admin)
			continue;
		*now = next->row[i];
		next->row[i] = swap;
		for (unsigned w = 0; w < gw->n_workers; w++)
			renew(&gw->workers[w], now, ls->fd[w][i]);
	}
	return same;
}

void listeners_unlink(const struct listeners *ls)
{
	for (size_t i = 0; i < ls->n; i++)
		if (is_unix(ls->row[i].at))
			unlink(ls->row[i].at + 5);
}
