#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "plugin/check.h"

enum { FILE_MAX = 1 << 20 };

static const char model[] = "acme";	/* what the template is called */

/* text with the model's name replaced. */
static void renamed(struct buf *out, const char *text, size_t len, const char *name)
{
	const char *end = text + len, *hit;

	while ((hit = memmem(text, (size_t)(end - text), model, strlen(model)))) {
		buf_put(out, text, (size_t)(hit - text));
		buf_text(out, name);
		text = hit + strlen(model);
	}
	buf_put(out, text, (size_t)(end - text));
}

static int read_whole(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char part[8192];
	ssize_t n = -1;

	while (fd >= 0 && (n = read(fd, part, sizeof(part))) > 0)
		buf_put(out, part, (size_t)n);
	if (fd >= 0)
		close(fd);
	if (n < 0 || out->failed)
		return fail(err, MG_EINVAL, "cannot read '%s': %s", path, n < 0 ? strerror(errno) : "too large");
	return MG_OK;
}

static int write_whole(const char *path, struct mg_str text, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	bool good = fd >= 0;

	while (good && text.len) {
		ssize_t n = write(fd, text.at, text.len);

		good = n > 0;
		if (good)
			text = (struct mg_str){ text.at + n, text.len - (size_t)n };
	}
	if (fd >= 0)
		good = close(fd) == 0 && good;
	return good ? MG_OK : fail(err, MG_EINVAL, "cannot write '%s': %s", path, strerror(errno));
}

static int copy_file(const char *from, const char *file, const char *dir, const char *name, struct err *err)
{
	struct buf text, out;
	char path[1024];
	int rc;

	buf_init(&text, FILE_MAX);
	buf_init(&out, FILE_MAX * 4);
	snprintf(path, sizeof(path), "%s/%s", from, file);
	rc = read_whole(path, &text, err);
	if (!rc) {
		renamed(&out, file, strlen(file), name);
		snprintf(path, sizeof(path), "%s/%.*s", dir, (int)out.len, out.at);
		buf_reset(&out);
		renamed(&out, text.at ? text.at : "", text.len, name);
		rc = out.failed ? fail(err, MG_ENOMEM, "no memory for '%s'", path) : write_whole(path, buf_view(&out), err);
	}
	buf_release(&text);
	buf_release(&out);
	return rc;
}

static bool is_name(const char *s)
{
	size_t n = strlen(s);

	return n && n < 64 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && s[0] != '-';
}

int plugin_new(const char *name, const char *from, const char *dir, struct err *err)
{
	struct dirent *d;
	int rc = MG_OK;
	DIR *all;

	if (!is_name(name))
		return fail(err, MG_EINVAL, "a plugin's name is of [a-z0-9-], up to 63 of them");
	all = opendir(from);
	if (!all)
		return fail(err, MG_EINVAL, "cannot read the template '%s': %s", from, strerror(errno));
	if (mkdir(dir, 0755) < 0)
		rc = fail(err, MG_EINVAL, "cannot make '%s': %s", dir, strerror(errno));
	while (!rc && (d = readdir(all)))
		if (d->d_name[0] != '.')
			rc = copy_file(from, d->d_name, dir, name, err);
	closedir(all);
	return rc;
}
