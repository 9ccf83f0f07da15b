/* running.c - see running.h. */
#include "cli/running.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/crypto.h"

void listening_url(const char *at, bool tls, char *out, size_t size)
{
	const char *port = strrchr(at, ':');
	bool all = !strncmp(at, "0.0.0.0:", 8) || !strncmp(at, "[::]:", 5) || port == at;

	if (!strncmp(at, "unix:", 5))
		snprintf(out, size, "%s", at);
	else
		snprintf(out, size, "%s%s%s", tls ? "https://" : "http://", all && port ? "127.0.0.1" : "", all && port ? port : at);
}

/* A socket file or plain HTTP rather than TLS: its certificate is for other names than loopback's. */
static size_t nearest(const struct listeners *ls)
{
	for (size_t i = 0; i < ls->n; i++)
		if (!ls->row[i].cert && ls->row[i].admin)
			return i;
	return 0;
}

static void path_of(const char *data_dir, const char *more, char out[620])
{
	snprintf(out, 620, "%.590s/running%s", data_dir, more);
}

int running_write(const char *data_dir, const struct listeners *ls, const char *key, struct err *err)
{
	char path[620], fresh[620], url[300];
	size_t i = nearest(ls);
	int fd;
	bool good;

	path_of(data_dir, "", path);
	path_of(data_dir, ".new", fresh);
	listening_url(ls->name[i], ls->row[i].cert, url, sizeof(url));
	unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	good = fd >= 0 && dprintf(fd, "%s\n%s\n", url, key) > 0;
	if (fd >= 0)
		good = close(fd) == 0 && good;
	if (!good || rename(fresh, path))
		return fail(err, MG_EINVAL, "cannot write '%s': %s", path, strerror(errno));
	return MG_OK;
}

void running_remove(const char *data_dir)
{
	char path[620];

	path_of(data_dir, "", path);
	unlink(path);
}

static bool line(FILE *f, char *out, int size)
{
	bool some = fgets(out, size, f) != NULL;

	out[some ? strcspn(out, "\n") : 0] = '\0';
	return out[0] != '\0';
}

bool running_read(const char *data_dir, struct running *out)
{
	char path[620];
	FILE *f;
	bool good;

	path_of(data_dir, "", path);
	f = *data_dir ? fopen(path, "re") : NULL;
	if (!f)
		return false;
	good = line(f, out->url, sizeof(out->url)) && line(f, out->key, sizeof(out->key));
	fclose(f);
	if (!good)
		wipe(out, sizeof(*out));
	return good;
}
