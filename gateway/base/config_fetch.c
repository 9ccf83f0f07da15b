/* Values that are not written in the configuration: the environment and files (R79). */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/config_part.h"
#include "base/crypto.h"

enum { FETCH_BYTES = 64 << 10, LOOSEST = 0640 };

static char *refuse(struct fetch_failure *no, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static char *refuse(struct fetch_failure *no, const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(no->why, sizeof(no->why), fmt, ap);
	va_end(ap);
	snprintf(no->hint, sizeof(no->hint), "%s", hint);
	return NULL;
}

char *fetch_env(const char *name, const char *fallback, struct fetch_failure *no)
{
	const char *v = getenv(name);
	char hint[120];

	if ((!v || !*v) && !fallback) {
		snprintf(hint, sizeof(hint), "export it, or use file \"/run/credentials/...\"");
		return refuse(no, hint, "environment variable %s is %s", name, v ? "empty" : "not set");
	}
	return strdup(v && *v ? v : fallback);
}

/* All of an open regular file, with a NUL behind it. */
static char *drain(int fd, const char *path, size_t max, size_t *len, struct fetch_failure *no)
{
	char *text = malloc(max + 2);
	size_t n = 0;
	ssize_t got = 1;

	while (text && n <= max && (got = read(fd, text + n, max + 1 - n)) > 0)
		n += (size_t)got;
	if (!text || got < 0 || n > max) {
		int why = errno;

		free(text);
		return n > max ? refuse(no, "a smaller one", "'%s' has more than %zu bytes", path, max)
			: refuse(no, "check the disk and the path", "cannot read '%s': %s", path, strerror(why));
	}
	text[n] = 0;
	*len = n;
	return text;
}

static int open_regular(const char *path, mode_t *mode, struct fetch_failure *no)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0) {
		refuse(no, "check the path and its permissions", "cannot open '%s': %s", path, strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		refuse(no, "name a file", "'%s' is no regular file", path);
		return -1;
	}
	*mode = st.st_mode & 07777;
	return fd;
}

char *read_whole(const char *path, size_t max, size_t *len, struct fetch_failure *no)
{
	mode_t mode;
	int fd = open_regular(path, &mode, no);
	char *text = fd < 0 ? NULL : drain(fd, path, max, len, no);

	if (fd >= 0)
		close(fd);
	return text;
}

/* A bare name is a credential of systemd's; anything else is a path. */
static bool locate(const char *name, const char *dir, char *path, size_t size, struct fetch_failure *no)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");

	if (!strchr(name, '/')) {
		if (!credentials || !*credentials) {
			refuse(no, "write a path, or start with systemd's LoadCredential=",
				"'%s' is a bare name and CREDENTIALS_DIRECTORY is not set", name);
			return false;
		}
		snprintf(path, size, "%s/%s", credentials, name);
	} else if (*name == '/' || !*dir) {
		snprintf(path, size, "%s", name);
	} else {
		snprintf(path, size, "%s/%s", dir, name);
	}
	return true;
}

char *fetch_file(const char *name, const char *dir, struct fetch_failure *no)
{
	char path[1024], hint[120], *text = NULL;
	size_t len = 0;
	mode_t mode;
	int fd;

	if (!locate(name, dir, path, sizeof(path), no))
		return NULL;
	fd = open_regular(path, &mode, no);
	if (fd < 0)
		return NULL;
	if (mode & ~(mode_t)LOOSEST) {
		snprintf(hint, sizeof(hint), "chmod 0640 it (Kubernetes: defaultMode: 0400)");
		refuse(no, hint, "'%s' has mode %04o, looser than %04o", path, (unsigned)mode, (unsigned)LOOSEST);
	} else {
		text = drain(fd, path, FETCH_BYTES, &len, no);
	}
	close(fd);
	if (text && len && text[len - 1] == '\n')
		text[--len] = 0;
	if (text && len && text[len - 1] == '\r')
		text[--len] = 0;
	if (text && (!len || strlen(text) != len)) {
		wipe(text, len);
		free(text);
		return refuse(no, "write the secret into it", "'%s' is empty or holds a NUL byte", path);
	}
	return text;
}
