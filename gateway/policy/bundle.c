/*
 * A bundle's files: read once, never changed, known by the hash of them all.
 * A base's files lie under the bundle's own where names meet, so that what
 * runs is self-contained.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include "base/crypto.h"
#include "policy/state.h"

static int read_text(const char *path, struct source *out, struct err *err)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		return fail(err, MG_EINVAL, "%s: %s", path, strerror(errno));
	out->text = malloc(FILE_MAX + 1);
	if (!out->text) {
		fclose(f);
		return fail(err, MG_ENOMEM, "%s: no memory", path);
	}
	n = fread(out->text, 1, FILE_MAX + 1, f);
	fclose(f);
	if (n > FILE_MAX)
		return fail(err, MG_EINVAL, "%s: larger than 256 KiB", path);
	out->text[n] = '\0';
	out->len = n;
	out->text = realloc(out->text, n + 1);
	return 0;
}

const struct source *bundle_file(const struct bundle *b, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < b->n_files; i++)
		if (!strncmp(b->files[i].name, name, len) && !strcmp(b->files[i].name + len, ".lua"))
			return &b->files[i];
	return NULL;
}

static bool has_file(const struct bundle *b, const char *name)
{
	for (size_t i = 0; i < b->n_files; i++)
		if (!strcmp(b->files[i].name, name))
			return true;
	return false;
}

static int add_file(struct bundle *b, const char *dir, const char *name, bool own, struct err *err)
{
	struct source f = { .own = own }, *more;
	char path[1024];
	int rc;

	/* Both bundle.lua count: the base's fills in what the other does not say. */
	f.name = strdup(!own && !strcmp(name, "bundle.lua") && has_file(b, name) ? "base/bundle.lua" : name);
	if (!f.name || has_file(b, f.name)) {
		free(f.name);
		return 0;
	}
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	rc = read_text(path, &f, err);
	more = rc ? NULL : realloc(b->files, (b->n_files + 1) * sizeof(*more));
	if (!more) {
		free(f.name);
		free(f.text);
		return rc ? rc : fail(err, MG_ENOMEM, "%s: no memory", path);
	}
	b->files = more;
	b->files[b->n_files++] = f;
	return 0;
}

static int add_dir(struct bundle *b, const char *dir, bool own, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int rc = 0;

	if (!d)
		return fail(err, MG_EINVAL, "policy bundle %s: %s", dir, strerror(errno));
	while (!rc && (e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (*e->d_name != '.' && n > 4 && n < NAME_BYTES && !strcmp(e->d_name + n - 4, ".lua"))
			rc = add_file(b, dir, e->d_name, own, err);
	}
	closedir(d);
	return rc;
}

/* `base` of bundle.lua, found by running it where it can name nothing. */
static int base_of(const struct bundle *b, char out[static NAME_BYTES], struct err *err)
{
	const struct source *f = bundle_file(b, "bundle");
	lua_State *L;
	int rc = 0;

	*out = '\0';
	if (!f)
		return fail(err, MG_EINVAL, "the policy bundle has no bundle.lua\nhint: a minimal one is: return { base = \"openrouter\" }");
	L = luaL_newstate();
	if (!L)
		return fail(err, MG_ENOMEM, "no memory");
	if (luaL_loadbufferx(L, f->text, f->len, "=bundle.lua", "t")) {
		rc = fail(err, MG_EINVAL, "%s", lua_tostring(L, -1));
	} else {
		lua_newtable(L);
		lua_setupvalue(L, -2, 1);
		if (lua_pcall(L, 0, 1, 0))
			rc = fail(err, MG_EINVAL, "%s", lua_tostring(L, -1));
		else if (!lua_istable(L, -1))
			rc = fail(err, MG_EINVAL, "bundle.lua: it must return a table");
		else if (lua_getfield(L, -1, "base") == LUA_TSTRING)
			snprintf(out, NAME_BYTES, "%s", lua_tostring(L, -1));
		else if (!lua_isnil(L, -1))
			rc = fail(err, MG_EINVAL, "bundle.lua: base must be a string, such as \"openrouter\"");
	}
	lua_close(L);
	for (const char *at = out; !rc && *at; at++)
		if (!isalnum((unsigned char)*at) && *at != '_' && *at != '-')
			rc = fail(err, MG_EINVAL, "bundle.lua: base: '%s' is not the name of a bundle", out);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct source *)a)->name, ((const struct source *)b)->name);
}

/* SHA-256 over the hashes of name and text of each file, in order of names. */
static int identify(struct bundle *b, struct err *err)
{
	size_t total = 0, len = 0;
	char *all;

	qsort(b->files, b->n_files, sizeof(*b->files), by_name);
	for (size_t i = 0; i < b->n_files; i++)
		total += strlen(b->files[i].name) + b->files[i].len + 2;
	if (total > BUNDLE_MAX)
		return fail(err, MG_EINVAL, "the policy bundle is larger than 2 MiB");
	all = malloc(total + 1);
	if (!all)
		return fail(err, MG_ENOMEM, "no memory");
	for (size_t i = 0; i < b->n_files; i++) {
		size_t n = strlen(b->files[i].name) + 1;

		memcpy(all + len, b->files[i].name, n);
		memcpy(all + len + n, b->files[i].text, b->files[i].len + 1);
		len += n + b->files[i].len + 1;
	}
	sha256_hex(all, len, b->hash);
	free(all);
	return 0;
}

int bundle_read(const char *dir, const char *base_dir, struct bundle **out, struct err *err)
{
	struct bundle *b = calloc(1, sizeof(*b));
	char path[1024], base[NAME_BYTES] = "openrouter";
	int rc = 0;

	if (!b)
		return fail(err, MG_ENOMEM, "no memory");
	b->refs = 1;
	if (dir) {
		rc = add_dir(b, dir, true, err);
		if (!rc)
			rc = base_of(b, base, err);
	}
	if (!rc && *base) {
		snprintf(path, sizeof(path), "%s/%s", base_dir ? base_dir : "policies", base);
		rc = add_dir(b, path, !dir, err);
	}
	if (!rc)
		rc = identify(b, err);
	if (rc) {
		bundle_unref(b);
		return rc;
	}
	*out = b;
	return 0;
}

int bundle_open(const char *dir, const char *base_dir, struct bundle **out, struct err *err)
{
	struct bundle *b;
	struct policy_state *trial;
	int rc = bundle_read(dir, base_dir, &b, err);

	if (rc)
		return rc;
	trial = policy_state_new(b, err);	/* compiles everything, runs each setup */
	if (!trial) {
		bundle_unref(b);
		return MG_EINVAL;
	}
	policy_state_free(trial);
	*out = b;
	return 0;
}

struct bundle *bundle_ref(struct bundle *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void bundle_unref(struct bundle *b)
{
	if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (size_t i = 0; i < b->n_files; i++) {
		free(b->files[i].name);
		free(b->files[i].text);
	}
	free(b->files);
	free(b);
}

const char *bundle_hash(const struct bundle *b)
{
	return b->hash;
}
