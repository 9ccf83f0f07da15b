/*
 * A bundle's files: read once, never changed, known by the hash of them all.
 * A base's files lie under the bundle's own where names meet, so that what
 * runs is self-contained.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <unistd.h>
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

/* Takes f's text, whatever becomes of it. */
static int add_source(struct bundle *b, const char *name, struct source f, struct err *err)
{
	struct source *more = realloc(b->files, (b->n_files + 1) * sizeof(*more));

	if (more)
		b->files = more;
	f.name = strdup(name);
	if (!more || !f.name) {
		free(f.name);
		free(f.text);
		return fail(err, MG_ENOMEM, "%s: no memory", name);
	}
	b->files[b->n_files++] = f;
	return 0;
}

static int add_file(struct bundle *b, const char *dir, const char *name, bool own, struct err *err)
{
	/* Both bundle.lua count: the base's fills in what the other does not say. */
	const char *as = !own && !strcmp(name, "bundle.lua") && has_file(b, name) ? "base/bundle.lua" : name;
	struct source f = { .own = own };
	char path[1024];
	int rc;

	if (has_file(b, as))
		return 0;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	rc = read_text(path, &f, err);
	return rc ? rc : add_source(b, as, f, err);
}

static bool is_lua(const char *name)
{
	size_t n = strlen(name);

	if (n > 6 && !strcmp(name + n - 6, ".d.lua"))
		return false;	/* `moongate policy types` writes it, for editors */
	/* what editors read, moongate.d.lua, is none */
	return *name != '.' && n > 4 && n < NAME_BYTES && !strcmp(name + n - 4, ".lua") && (n < 6 || strcmp(name + n - 6, ".d.lua"));
}

static int add_dir(struct bundle *b, const char *dir, bool own, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int rc = 0;

	if (!d)
		return fail(err, MG_EINVAL, "policy bundle %s: %s", dir, strerror(errno));
	while (!rc && (e = readdir(d)))
		if (is_lua(e->d_name))
			rc = add_file(b, dir, e->d_name, own, err);
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

/* The base's files, then its name: from here on it is what it is. */
static int complete(struct bundle *b, bool own, const char *base, const char *base_dir, struct err *err)
{
	char path[1024];
	int rc = 0;

	b->shipped = own;
	if (*base) {
		snprintf(path, sizeof(path), "%s/%s", base_dir ? base_dir : "policies", base);
		rc = add_dir(b, path, own, err);
	}
	return rc ? rc : identify(b, err);
}

static struct bundle *bundle_new(struct err *err)
{
	struct bundle *b = calloc(1, sizeof(*b));

	if (b)
		b->refs = 1;
	else
		fail(err, MG_ENOMEM, "no memory");
	return b;
}

static int give(struct bundle *b, int rc, struct bundle **out)
{
	if (rc)
		bundle_unref(b);
	else
		*out = b;
	return rc;
}

int bundle_read(const char *dir, const char *base_dir, struct bundle **out, struct err *err)
{
	struct bundle *b = bundle_new(err);
	char base[NAME_BYTES] = "openrouter";
	int rc = 0;

	if (!b)
		return MG_ENOMEM;
	if (dir) {
		rc = add_dir(b, dir, true, err);
		if (!rc)
			rc = base_of(b, base, err);
	}
	if (!rc)
		rc = complete(b, !dir, base, base_dir, err);
	return give(b, rc, out);
}

static bool good_name(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	return n && !strcmp(name + n, ".lua") && n + 4 < NAME_BYTES;
}

int bundle_make(const struct bundle_text *own, size_t n, const char *base_dir, struct bundle **out, struct err *err)
{
	struct bundle *b = bundle_new(err);
	char base[NAME_BYTES] = "openrouter";
	int rc = 0;

	if (!b)
		return MG_ENOMEM;
	for (size_t i = 0; !rc && i < n; i++) {
		struct source f = { .own = true, .len = own[i].text.len };

		if (!good_name(own[i].name) || has_file(b, own[i].name))
			rc = fail(err, MG_EINVAL, "files: '%.80s' is no name of a policy's file\nhint: letters, digits, _ and -, then .lua; each once", own[i].name);
		else if (f.len > FILE_MAX)
			rc = fail(err, MG_EINVAL, "%s: larger than 256 KiB", own[i].name);
		else if (!(f.text = malloc(f.len + 1)))
			rc = fail(err, MG_ENOMEM, "no memory");
		if (rc)
			break;
		memcpy(f.text, own[i].text.at, f.len);
		f.text[f.len] = '\0';
		rc = add_source(b, own[i].name, f, err);
	}
	if (!rc && n)
		rc = base_of(b, base, err);
	if (!rc)
		rc = complete(b, !n, base, base_dir, err);
	return give(b, rc, out);
}

/* ------------------------------------------------ a kept version */

/* Guards that an older bundle was given lie in folders of folders, with all they use. */
static int add_tree(struct bundle *b, const char *root, const char *below, unsigned depth, struct err *err)
{
	char path[1024], name[256];
	struct dirent *e;
	int rc = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", root, below);
	d = opendir(path);
	if (!d)
		return errno == ENOENT ? 0 : fail(err, MG_EINVAL, "%s: %s", path, strerror(errno));
	while (!rc && (e = readdir(d))) {
		struct source f = { .own = false };

		if (snprintf(name, sizeof(name), "%s/%s", below, e->d_name) >= (int)sizeof(name) || *e->d_name == '.')
			continue;
		if (!is_lua(e->d_name)) {
			rc = depth < TREE_BYTES ? add_tree(b, root, name, depth + 1, err) : 0;
			continue;
		}
		snprintf(path, sizeof(path), "%s/%s", root, name);
		rc = read_text(path, &f, err);
		if (!rc)
			rc = add_source(b, name, f, err);
	}
	closedir(d);
	return rc;
}

int bundle_read_kept(const char *dir, struct bundle **out, struct err *err)
{
	struct bundle *b = bundle_new(err);
	char base[1024];
	int rc;

	if (!b)
		return MG_ENOMEM;
	snprintf(base, sizeof(base), "%s/base", dir);
	rc = add_dir(b, dir, true, err);
	if (!rc && access(base, F_OK) == 0)
		rc = add_dir(b, base, false, err);
	if (!rc)
		rc = add_tree(b, dir, "guards", 0, err);
	if (!rc)
		rc = identify(b, err);
	return give(b, rc, out);
}

void bundle_place(const struct source *f, char *out, size_t size)
{
	bool placed = f->own || !strncmp(f->name, "base/", 5) || !strncmp(f->name, "guards/", 7);

	snprintf(out, size, "%s%s", placed ? "" : "base/", f->name);
}

/* ------------------------------------------------ guards */

static bool has_guard(const struct bundle *b, const char *name)
{
	for (size_t i = 0; i < b->n_guards; i++)
		if (!strcmp(b->guards[i].name, name))
			return true;
	return false;
}

bool bundle_lacks_guards(const struct bundle *b, const struct bundle *of, char *names, size_t size)
{
	size_t len = 0, n = 0;

	for (size_t i = 0; i < of->n_guards; i++) {
		if (has_guard(b, of->guards[i].name))
			continue;
		if (size && len < size)
			len += (size_t)snprintf(names + len, size - len, "%s%s", n ? ", " : "", of->guards[i].name);
		n++;
	}
	return n > 0;
}

static int copy_source(struct bundle *b, const struct source *f, const char *before, bool own, struct err *err)
{
	struct source copy = { .len = f->len, .own = own, .text = malloc(f->len + 1) };
	char name[256];

	if (!copy.text)
		return fail(err, MG_ENOMEM, "no memory");
	memcpy(copy.text, f->text, f->len + 1);
	snprintf(name, sizeof(name), "%s%s", before, f->name);
	return add_source(b, name, copy, err);
}

static bool is_test(const char *name)
{
	size_t n = strlen(name);

	return n > 9 && !strcmp(name + n - 9, "_test.lua");
}

int bundle_with_guards(const struct bundle *b, const struct bundle *of, struct bundle **out, struct err *err)
{
	struct bundle *both = bundle_new(err);
	bool kept = of->n_guards > 0;	/* all of them lie in its guards/ already: that is enough */
	int rc = 0;

	if (!both)
		return MG_ENOMEM;
	for (size_t i = 0; i < of->n_guards; i++)
		kept &= of->guards[i].kept;
	for (size_t i = 0; !rc && i < b->n_files; i++)
		if (strncmp(b->files[i].name, "guards/", 7))
			rc = copy_source(both, &b->files[i], "", b->files[i].own, err);
	for (size_t i = 0; !rc && i < of->n_files; i++) {
		const struct source *f = &of->files[i];

		if (kept ? !strncmp(f->name, "guards/", 7) : !is_test(f->name))
			rc = copy_source(both, f, kept ? "" : "guards/", false, err);
	}
	if (!rc)
		rc = identify(both, err);
	return give(both, rc, out);
}

/* ------------------------------------------------ opening */

int bundle_try(struct bundle *b, struct err *err)
{
	struct policy_state *trial = b->guards ? NULL : policy_state_new(b, err);	/* compiles everything, runs each setup */
	int rc;

	if (b->guards)	/* it did so before */
		return 0;
	if (!trial)
		return MG_EINVAL;
	rc = routers_take(trial, b) ? fail(err, MG_EINVAL, "%s", trial->error) : 0;
	if (!rc && guards_take(trial, b))
		rc = fail(err, MG_ENOMEM, "no memory");
	policy_state_free(trial);
	return rc;
}

int bundle_open(const char *dir, const char *base_dir, struct bundle **out, struct err *err)
{
	struct bundle *b;
	int rc = bundle_read(dir, base_dir, &b, err);

	if (rc)
		return rc;
	rc = bundle_try(b, err);
	return give(b, rc, out);
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
	free(b->guards);
	json_decref(b->routers);
	free(b);
}

void bundle_each(const struct bundle *b, bool (*fn)(void *arg, const char *name, struct mg_str text), void *arg)
{
	for (size_t i = 0; i < b->n_files; i++)
		if (b->files[i].own && !fn(arg, b->files[i].name, (struct mg_str){ b->files[i].text, b->files[i].len }))
			return;
}

const char *bundle_hash(const struct bundle *b)
{
	return b->hash;
}

long bundle_max_stale_s(const struct bundle *b)
{
	return b->max_stale_s;
}
