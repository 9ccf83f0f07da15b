/*
 * shelf.c - endpoints, built again from what was kept of them: a catalogue of nothing but
 * these, in which each has its number, so that states remember what they know of it.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include "replay/recorded.h"

struct shelved { uint64_t hash; json_t *row; struct model model; struct provider provider; };
struct shelf {
	struct catalog catalog;
	struct shelved *kept; size_t n, size;
	uint32_t *index; size_t n_index;	/* by hash -> its number + 1 */
	struct err *err;		/* while it is filled */
	int rc;
};

/* The first 64 bits are all that there are. */
static uint64_t digits(struct mg_str hash)
{
	uint64_t h = 0;

	for (size_t i = 0; i < hash.len; i++) {
		unsigned c = (unsigned char)hash.at[i];

		h = h << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10) % 16;
	}
	return h;
}

static char *text(const json_t *row, const char *name)
{
	const char *at = json_string_value(json_object_get(row, name));

	return (char *)(uintptr_t)(at ? at : "");
}

static uint64_t count(const json_t *row, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(row, name));

	return n > 0 ? (uint64_t)n : 0;
}

static bool flag(const json_t *row, const char *name)
{
	return json_is_true(json_object_get(row, name));
}

static uint32_t take_rates(const json_t *row, struct rates *out)
{
	uint32_t given = 0;

	for (int i = 0; i < RATE_COUNT; i++) {
		const json_t *n = json_object_get(row, rate_names[i]);

		if (!json_is_integer(n))
			continue;
		out->pusd[i] = json_integer_value(n);
		given |= 1u << i;
	}
	return given;
}

static void take_overrides(const json_t *list, struct endpoint *e)
{
	size_t i;
	json_t *row;

	e->overrides = json_array_size(list) ? calloc(json_array_size(list), sizeof(*e->overrides)) : NULL;
	json_array_foreach(list, i, row) {
		if (!e->overrides)
			return;
		e->overrides[i] = (struct rate_override){ .min_prompt_tokens = count(row, "min_prompt_tokens"),
			.utc_start = (int)json_integer_value(json_object_get(row, "utc_start")),
			.utc_end = (int)json_integer_value(json_object_get(row, "utc_end")) };
		e->overrides[i].given = take_rates(json_object_get(row, "rates"), &e->overrides[i].rates);
		e->n_overrides = i + 1;
	}
}

static void take_data(const json_t *row, struct data_policy *p)
{
	*p = (struct data_policy){ flag(row, "known"), flag(row, "trains"), flag(row, "retains"), flag(row, "zdr"),
		(int)json_integer_value(json_object_get(row, "retention_days")), "" };
	snprintf(p->region, sizeof(p->region), "%s", text(row, "region"));
}

static void build(struct shelved *k, struct endpoint *e, size_t index)
{
	const json_t *own = json_object_get(k->row, "own");
	json_t *row = k->row;

	k->model = (struct model){ .slug = text(row, "model") };
	k->model.canonical = k->model.name = k->model.slug;
	k->provider = (struct provider){ .slug = text(row, "provider") };
	k->provider.name = k->provider.slug;
	take_data(json_object_get(row, "data"), &k->provider.data);
	k->provider.own = (struct own_key){ (unsigned)count(own, "seq"), flag(own, "fallback"), flag(own, "always") };
	*e = (struct endpoint){ .id = text(row, "id"), .model = &k->model, .provider = &k->provider, .tag = text(row, "tag"),
		.tier = text(row, "tier"), .region = text(row, "region"), .quantization = text(row, "quantization"),
		.context_length = count(row, "context_length"), .max_output = count(row, "max_output"),
		.params = json_object_get(row, "params"), .private_to = json_object_get(row, "private_to"),
		.free = flag(row, "free"), .private = flag(row, "private"), .distillable = flag(row, "distillable"),
		.priced = flag(row, "priced"), .index = index };
	take_rates(json_object_get(row, "rates"), &e->rates);
	take_overrides(json_object_get(row, "overrides"), e);
}

static int arrange(struct shelf *s, struct err *err)
{
	static _Atomic uint64_t versions = 1;
	size_t at;

	for (s->n_index = 16; s->n_index < s->n * 2; )
		s->n_index *= 2;
	s->index = calloc(s->n_index, sizeof(*s->index));
	s->catalog.endpoints = calloc(s->n + 1, sizeof(*s->catalog.endpoints));
	s->catalog.version = atomic_fetch_add(&versions, 1);
	if (!s->index || !s->catalog.endpoints)
		return fail(err, MG_ENOMEM, "no memory for endpoints");
	for (size_t i = 0; i < s->n; i++) {
		for (at = s->kept[i].hash % s->n_index; s->index[at]; )
			at = (at + 1) % s->n_index;
		s->index[at] = (uint32_t)i + 1;
		build(&s->kept[i], &s->catalog.endpoints[i], i);
	}
	s->catalog.n_endpoints = s->n;
	return MG_OK;
}

static bool on_row(void *arg, const void *row)
{
	const struct mg_store_endpoint *e = row;
	struct shelf *s = arg;
	json_error_t why;
	json_t *parsed = json_loads(e->json, JSON_REJECT_DUPLICATES, &why);

	if (!json_is_object(parsed)) {
		json_decref(parsed);
		s->rc = fail(s->err, MG_EINVAL, "endpoint %.16s: what was kept of it is damaged", e->hash);
		return false;
	}
	if (s->n == s->size) {
		size_t size = s->size * 2 + 64;
		struct shelved *more = realloc(s->kept, size * sizeof(*more));

		if (!more) {
			json_decref(parsed);
			s->rc = fail(s->err, MG_ENOMEM, "no memory for endpoints");
			return false;
		}
		s->kept = more;
		s->size = size;
	}
	s->kept[s->n++] = (struct shelved){ .hash = digits((struct mg_str){ e->hash, strlen(e->hash) }), .row = parsed };
	return true;
}

static bool has(const struct shelf *s, struct mg_str hash)
{
	uint64_t h = digits(hash);

	for (size_t i = 0; i < s->n; i++)
		if (s->kept[i].hash == h)
			return true;
	return false;
}

static int fill(struct shelf *s, const struct mg_store *ops, void *handle, const struct mg_str *hashes, size_t n, struct err *err)
{
	char why[256] = "", one[64];
	int rc = MG_OK;

	if (!n)
		rc = ops->each(handle, MG_ROW_ENDPOINT, NULL, 0, 0, on_row, s, why);
	for (size_t i = 0; i < n && !rc && !s->rc; i++) {
		if (has(s, hashes[i]))
			continue;
		snprintf(one, sizeof(one), "%.*s", (int)hashes[i].len, hashes[i].at);
		rc = ops->each(handle, MG_ROW_ENDPOINT, one, 0, 1, on_row, s, why);
	}
	return rc ? fail(err, rc, "%s", why) : s->rc;
}

int shelf_open(const struct mg_store *ops, void *handle, const struct mg_str *hashes, size_t n, struct shelf **out, struct err *err)
{
	struct shelf *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return fail(err, MG_ENOMEM, "no memory for endpoints");
	s->err = err;
	rc = fill(s, ops, handle, hashes, n, err);
	rc = rc ? rc : arrange(s, err);
	if (rc) {
		shelf_free(s);
		return rc;
	}
	*out = s;
	return MG_OK;
}

int shelf_of(const struct mg_store *ops, void *handle, struct pool *p, const struct recorded *r, struct shelf **out, struct err *err)
{
	static const struct mg_str none = { "none", 4 };
	struct mg_str *hashes;
	size_t n = 0, total = 0;

	for (size_t i = 0; i < r->n_routings; i++)
		total += r->routings[i].n;
	hashes = pool_alloc(p, (total + 1) * sizeof(*hashes));
	if (!hashes)
		return fail(err, MG_ENOMEM, "no memory for a decision");
	for (size_t i = 0; i < r->n_routings; i++)
		for (size_t k = 0; k < r->routings[i].n; k++)
			hashes[n++] = r->routings[i].at[k].hash;
	return shelf_open(ops, handle, n ? hashes : &none, n ? n : 1, out, err);
}

void shelf_free(struct shelf *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		json_decref(s->kept[i].row);
		if (s->catalog.endpoints)
			free(s->catalog.endpoints[i].overrides);
	}
	free(s->catalog.endpoints);
	free(s->kept);
	free(s->index);
	free(s);
}

const struct endpoint *shelf_find(const struct shelf *s, struct mg_str hash)
{
	uint64_t h = digits(hash);

	for (size_t at = h % s->n_index; s->index[at]; at = (at + 1) % s->n_index)
		if (s->kept[s->index[at] - 1].hash == h)
			return &s->catalog.endpoints[s->index[at] - 1];
	return NULL;
}

const struct catalog *shelf_catalog(const struct shelf *s)
{
	return &s->catalog;
}
