#include "account/table.h"

#include <sched.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>

_Static_assert(WINDOWS <= 8, "a window has three bits of an entry");

enum { SLOTS_MIN = 8, BLOCK = 256 << 10 };

/* ---- hashes */

/* One more than the digit is worth; 0: none.  No branch: half of the digits of a hash are letters, and which ones nobody guesses. */
static const unsigned char digits[256] = { ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8,
	['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16 };

bool hash_bytes(const char *hex, unsigned char out[HASH_BYTES])
{
	for (int i = 0; i < HASH_BYTES; i++) {
		unsigned high = digits[(unsigned char)hex[2 * i]], low = high ? digits[(unsigned char)hex[2 * i + 1]] : 0;

		if (!low)
			return false;
		out[i] = (unsigned char)((high - 1) << 4 | (low - 1));
	}
	return !hex[2 * HASH_BYTES];
}

static void hash_hex(const unsigned char hash[HASH_BYTES], char out[SHA256_HEX + 1])
{
	for (int i = 0; i < HASH_BYTES; i++) {
		out[2 * i] = "0123456789abcdef"[hash[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
	}
	out[SHA256_HEX] = '\0';
}

/* The hash is a SHA-256: any of its bits are as good as a hash of it. */
static size_t first_slot(const unsigned char hash[HASH_BYTES])
{
	size_t n;

	memcpy(&n, hash + 8, sizeof(n));
	return n;
}

/* ---- entries */

enum { TEXTS = 7 };

static size_t entry_bytes(const char *const texts[TEXTS])
{
	size_t bytes = offsetof(struct entry, texts);

	for (int i = 0; i < TEXTS; i++)
		bytes += strlen(texts[i]) + 1;
	return bytes;
}

static void put_time(unsigned char at[TIME_BYTES], int64_t ms)
{
	const int64_t last = (INT64_C(1) << 8 * TIME_BYTES) - 1;

	ms = ms < 0 ? 0 : ms > last ? last : ms;
	for (int i = 0; i < TIME_BYTES; i++)
		at[i] = (unsigned char)(ms >> 8 * i);
}

int64_t entry_time(const unsigned char at[TIME_BYTES])
{
	int64_t ms = 0;

	for (int i = TIME_BYTES; i-- > 0; )
		ms = ms << 8 | at[i];
	return ms;
}

static bool entry_fill(struct entry *e, const struct key_facts *k, const char *const texts[TEXTS])
{
	char *at = e->texts;

	if (!hash_bytes(k->hash, e->hash))
		return false;
	atomic_init(&e->purse, NULL);
	put_time(e->created_ms, k->created_ms);
	put_time(e->updated_ms, k->updated_ms);
	put_time(e->expires_ms, k->expires_ms);
	e->limit_nusd = k->limit_nusd;
	e->management = k->management;
	e->disabled = k->disabled;
	e->deleted = k->deleted;
	e->include_byok = k->include_byok;
	e->reset = (unsigned char)k->reset & 7;
	e->loaded = false;
	for (int i = 0; i < TEXTS; i++)
		at = (char *)memcpy(at, texts[i], strlen(texts[i]) + 1) + strlen(texts[i]) + 1;
	return true;
}

struct entry *entry_new(const struct key_facts *k, struct purse *purse)
{
	const char *const texts[TEXTS] = { k->name, k->label, k->creator, k->workspace, k->external_user, k->org, k->labels };
	size_t bytes = entry_bytes(texts);
	struct entry *e = malloc(bytes);	/* with its texts more than sizeof(*e) */

	if (!e)
		return NULL;
	if (!entry_fill(e, k, texts)) {
		free(e);
		return NULL;
	}
	atomic_init(&e->purse, purse);
	return e;
}

/* Whoever comes first makes it; a loser of the race throws its own away. */
struct purse *entry_purse(struct entry *e)
{
	struct purse *p = atomic_load(&e->purse), *none = NULL;

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p || atomic_compare_exchange_strong(&e->purse, &none, p))
		return p;
	free(p);
	return none;
}

static struct scope *scope_of(const struct table *t, struct entry *e, const char *hash)
{
	struct purse *p = entry_purse(e);
	struct scope *s = p ? atomic_load(&p->scope) : NULL, *none = NULL;

	if (s || !p)
		return s;
	s = scope_new("key", hash);
	if (!s)
		return NULL;
	scope_limit(s, e->limit_nusd, e->reset);
	scope_limit_own(s, e->include_byok);
	scope_load(s, &p->at_start, &(struct spending){ 0 }, t->loaded_ms);
	if (atomic_compare_exchange_strong(&p->scope, &none, s))
		return s;
	scope_free(s);
	return none;
}

bool entry_own(struct table *t, struct entry *e, const struct spending *own)
{
	char hash[SHA256_HEX + 1];
	struct scope *s;

	hash_hex(e->hash, hash);
	s = scope_of(t, e, hash);
	if (s)
		scope_load(s, &atomic_load(&e->purse)->at_start, own, t->loaded_ms);
	return s;
}

/* A key stays in its workspace. */
static struct scope *tenant_of(struct table *t, struct entry *e, const char *workspace)
{
	struct purse *p = *workspace ? entry_purse(e) : NULL;
	struct scope *s = p ? atomic_load(&p->tenant) : NULL;

	if (s || !p)
		return s;
	s = tenants_find(&t->tenants, workspace);
	atomic_store(&p->tenant, s);
	return s;
}

const char *entry_workspace(const struct entry *e)
{
	const char *at = e->texts;

	for (int i = 0; i < 3; i++)	/* name, label, creator */
		at += strlen(at) + 1;
	return at;
}

bool entry_facts(struct table *t, struct entry *e, struct key_facts *out)
{
	const struct { char *to; size_t size; } texts[TEXTS] = { { out->name, sizeof(out->name) }, { out->label, sizeof(out->label) },
		{ out->creator, sizeof(out->creator) }, { out->workspace, sizeof(out->workspace) },
		{ out->external_user, sizeof(out->external_user) }, { out->org, sizeof(out->org) },
		{ out->labels, sizeof(out->labels) } };
	const char *at = e->texts;

	hash_hex(e->hash, out->hash);
	for (int i = 0; i < TEXTS; i++) {
		size_t len = strlen(at), n = len < texts[i].size ? len : texts[i].size - 1;

		memcpy(texts[i].to, at, n);
		texts[i].to[n] = '\0';
		at += len + 1;
	}
	out->management = e->management;
	out->disabled = e->disabled;
	out->deleted = e->deleted;
	out->include_byok = e->include_byok;
	out->created_ms = entry_time(e->created_ms);
	out->updated_ms = entry_time(e->updated_ms);
	out->expires_ms = entry_time(e->expires_ms);
	out->limit_nusd = e->limit_nusd;
	out->reset = (enum window)e->reset;
	out->scope = scope_of(t, e, out->hash);
	out->tenant = tenant_of(t, e, out->workspace);
	return out->scope;
}

static void entry_drop(struct entry *e)
{
	struct purse *p = atomic_load(&e->purse);

	if (p)
		scope_free(atomic_load(&p->scope));
	free(p);
	if (!e->loaded)
		free(e);
}

/* ---- slots */

static struct slots *slots_new(size_t size)
{
	struct slots *s = calloc(1, sizeof(*s) + size * sizeof(s->at[0]));

	if (s)
		s->size = size;
	return s;
}

static struct entry **slot(struct slots *s, const unsigned char hash[HASH_BYTES])
{
	size_t i = first_slot(hash) & (s->size - 1);

	while (s->at[i] && !same_bytes(s->at[i]->hash, hash, HASH_BYTES))
		i = (i + 1) & (s->size - 1);
	return &s->at[i];
}

static struct slots *slots_copy(struct slots *from, bool grow)
{
	struct slots *s = slots_new(grow ? from->size * 2 : from->size);

	for (size_t i = 0; s && i < from->size; i++)
		if (from->at[i]) {
			*slot(s, from->at[i]->hash) = from->at[i];
			s->used++;
		}
	return s;
}

static bool tight(const struct slots *s)
{
	return (s->used + 1) * 4 > s->size * 3;
}

/* ---- the table */

int table_init(struct table *t)
{
	*t = (struct table){ .loaded_ms = 0 };
	tenants_init(&t->tenants);
	for (int i = 0; i < SHARDS; i++) {
		struct slots *s = slots_new(SLOTS_MIN);

		if (!s) {
			table_release(t);
			return MG_ENOMEM;
		}
		atomic_store(&t->shards[i].slots, s);
	}
	return MG_OK;
}

void table_release(struct table *t)
{
	for (int n = 0; n < SHARDS; n++) {
		struct slots *s = atomic_load(&t->shards[n].slots);

		for (size_t i = 0; s && i < s->size; i++)
			if (s->at[i])
				entry_drop(s->at[i]);
		free(s);
	}
	tenants_release(&t->tenants);
	for (struct block *b = t->blocks, *next; b; b = next) {
		next = b->next;
		free(b);
	}
}

/* Room for one entry more, behind the last. */
static struct entry *room(struct table *t, size_t bytes)
{
	size_t align = alignof(struct entry);
	struct block *b;

	bytes = (bytes + align - 1) / align * align;
	if (!t->blocks || bytes > BLOCK - t->used) {
		b = malloc(sizeof(*b) + BLOCK);
		if (!b)
			return NULL;
		b->next = t->blocks;
		t->blocks = b;
		t->used = 0;
	}
	t->used += bytes;
	return (struct entry *)(void *)(t->blocks->at + t->used - bytes);
}

static int make_slots(struct shard *sh)
{
	struct slots *s = atomic_load(&sh->slots), *more;

	if (!tight(s))
		return MG_OK;
	more = slots_copy(s, true);
	if (!more)
		return MG_ENOMEM;
	free(s);
	atomic_store(&sh->slots, more);
	return MG_OK;
}

int table_load(struct table *t, const struct key_facts *k)
{
	const char *const texts[TEXTS] = { k->name, k->label, k->creator, k->workspace, k->external_user, k->org, k->labels };
	struct entry *e = room(t, entry_bytes(texts)), **at;
	struct shard *sh;

	if (!e)
		return MG_ENOMEM;
	if (!entry_fill(e, k, texts))
		return MG_EINVAL;
	e->loaded = true;
	sh = &t->shards[e->hash[0]];
	if (make_slots(sh))
		return MG_ENOMEM;
	at = slot(atomic_load(&sh->slots), e->hash);
	if (*at)
		return MG_OK;
	*at = e;
	atomic_load(&sh->slots)->used++;
	return MG_OK;
}

int table_change(struct table *t, struct entry *e)
{
	struct shard *sh = &t->shards[e->hash[0]];
	struct slots *old = atomic_load(&sh->slots), *s = slots_copy(old, tight(old));
	struct entry **at, *before;

	if (!s)
		return MG_ENOMEM;
	at = slot(s, e->hash);
	before = *at;
	*at = e;
	s->used += !before;
	atomic_store(&sh->slots, s);
	while (atomic_load(&sh->readers))	/* each may still be in the old one */
		sched_yield();
	free(old);
	if (before && !before->loaded)	/* the other stays in its block: each is replaced only once */
		free(before);
	return MG_OK;
}

bool table_find(struct table *t, const unsigned char hash[HASH_BYTES], struct key_facts *out)
{
	struct shard *sh = &t->shards[hash[0]];
	struct entry *e;
	bool found;

	atomic_fetch_add(&sh->readers, 1);
	e = *slot(atomic_load(&sh->slots), hash);
	found = e && entry_facts(t, e, out);
	atomic_fetch_sub(&sh->readers, 1);
	return found;
}

struct entry *table_entry(struct table *t, const unsigned char hash[HASH_BYTES])
{
	return *slot(atomic_load(&t->shards[hash[0]].slots), hash);
}

void table_each(struct table *t, void (*fn)(void *arg, struct entry *e), void *arg)
{
	for (int n = 0; n < SHARDS; n++) {
		struct slots *s = atomic_load(&t->shards[n].slots);

		for (size_t i = 0; i < s->size; i++)
			if (s->at[i])
				fn(arg, s->at[i]);
	}
}
