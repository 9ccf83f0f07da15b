#include "plugin/abi.h"

#include "moongate_store.h"

enum { STATE_MAX = 1 << 20, OPS_MAX = 32 };

/* What version 1.0 of a struct had; a smaller one was cut short. */
#define FIRST(type, last)	(offsetof(type, last) + sizeof(((type *)0)->last))

static bool is_name(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	return n && n < 64 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

/* 1.2.3, with or without -rc.1 or +build behind it. */
static bool is_semver(const char *s)
{
	for (int part = 0; s && part < 3; part++) {
		size_t digits = strspn(s, "0123456789");

		if (!digits || digits > 9 || (part < 2 && s[digits] != '.'))
			return false;
		s += digits + (part < 2);
	}
	return s && (!*s || ((*s == '-' || *s == '+') && s[1])) && strlen(s) < 64;
}

static bool is_line(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < ' ')
			return false;
	return n && n < 200;
}

static int operation_check(const struct mg_operation *o, const char *path, struct err *err)
{
	const char *wrong = NULL;

	if (o->size < FIRST(struct mg_operation, finish))
		wrong = "is cut short";
	else if (!o->request || !o->frame)
		wrong = "lacks request() or frame()";
	else if ((unsigned)o->op > MG_MODELS)
		wrong = "is of no kind that this gateway knows";
	else if ((unsigned)o->plain > MG_EVENTSTREAM || (unsigned)o->stream > MG_EVENTSTREAM)
		wrong = "has a framing that this gateway does not know";
	else if (o->state_size > STATE_MAX)
		wrong = "wants more than 1 MiB of state";
	else if (MG_HAS(o, surface) && o->surface && !(MG_HAS(o, meter) && o->meter))
		wrong = "passes through (surface) and has no meter()";
	return wrong ? fail(err, MG_EINVAL, "'%s': operation %d %s", path, (int)o->op, wrong) : MG_OK;
}

static int provider_check(const struct mg_provider *p, const char *path, struct err *err)
{
	unsigned seen = 0;
	size_t n = 0;

	if (p->size < FIRST(struct mg_provider, failure))
		return fail(err, MG_EINVAL, "'%s': struct mg_provider is cut short", path);
	if (!p->ops || !p->ops[0])
		return fail(err, MG_EINVAL, "'%s' offers no operation", path);
	for (; p->ops[n]; n++) {
		int rc = n < OPS_MAX ? operation_check(p->ops[n], path, err) :
			fail(err, MG_EINVAL, "'%s': its operations have no end (is the NULL missing?)", path);

		if (rc)
			return rc;
		if (seen & 1u << p->ops[n]->op)
			return fail(err, MG_EINVAL, "'%s': operation %d is there twice", path, (int)p->ops[n]->op);
		seen |= 1u << p->ops[n]->op;
	}
	return MG_OK;
}

static int store_check(const struct mg_store *s, const char *path, struct err *err)
{
	if (s->size < FIRST(struct mg_store, sums_each))
		return fail(err, MG_EINVAL, "'%s': struct mg_store is cut short", path);
	if (!s->open || !s->close || !s->begin || !s->commit || !s->rollback || !s->put || !s->each || !s->sums ||
	    !s->audit || !s->backup || !s->sums_each)
		return fail(err, MG_EINVAL, "'%s': a store has all functions of struct mg_store", path);
	return MG_OK;
}

int abi_check(const struct mg_plugin *self, const char *path, struct err *err)
{
	if (!self || self->magic != MG_MAGIC)
		return fail(err, MG_EINVAL, "'%s' is no plugin of this gateway: %s", path,
			self ? "its magic number is another" : MG_ENTRY "() gave NULL");
	if (self->major != MG_ABI_MAJOR || self->minor > MG_ABI_MINOR)
		return fail(err, MG_EINVAL, "'%s' wants ABI %u.%u, this gateway has %u.%u: %s", path,
			self->major, self->minor, MG_ABI_MAJOR, MG_ABI_MINOR, self->major < MG_ABI_MAJOR ?
			"build the plugin again" : "upgrade the gateway, or build against its moongate.h");
	if (self->size < FIRST(struct mg_plugin, store))
		return fail(err, MG_EINVAL, "'%s': struct mg_plugin is cut short (%zu bytes)", path, self->size);
	if (!is_name(self->name))
		return fail(err, MG_EINVAL, "'%s': its name is not of [a-z0-9-]", path);
	if (!is_semver(self->version))
		return fail(err, MG_EINVAL, "'%s': its version is not like 1.2.3", path);
	if (!is_line(self->about))
		return fail(err, MG_EINVAL, "'%s': about is one line of text", path);
	if (!self->provider == !self->store)
		return fail(err, MG_EINVAL, "'%s' is a provider or a store: one of the two", path);
	return self->provider ? provider_check(self->provider, path, err) : store_check(self->store, path, err);
}
