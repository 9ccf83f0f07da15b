/*
 * What json_parse() takes must survive: walked, written again and parsed again
 * it is the same; spliced it is still JSON, with what was asked for.
 *
 * sources: base/json.c base/json_view.c base/json_write.c base/utf8.c base/buf.c base/digits.c base/pool.c base/err.c
 */
#include "base/json.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A member's name with a zero in it is refused, so that it is a C string. */
static const char *name_of(struct pool *p, struct mg_view v)
{
	return pool_dup(p, json_name(v)).at;
}

static void write_children(struct pool *p, struct mg_writer *w, struct mg_view parent)
{
	size_t n = 0;

	for (struct mg_view v = json_at(parent, 0); v.doc; v = json_next(v), n++) {
		const char *name = name_of(p, v);
		enum mg_kind kind = json_kind(v);

		assert(!!name == (json_kind(parent) == MG_OBJECT));
		assert(!name || json_get(parent, name).node == v.node);
		if (kind == MG_OBJECT || kind == MG_ARRAY) {
			json_open(w, name, kind == MG_OBJECT ? '{' : '[');
			write_children(p, w, v);
			json_close(w);
		} else if (kind == MG_STRING) {
			json_put(w, name, json_text(p, v));
		} else {
			json_put_raw(w, name, json_raw(v));
		}
	}
	assert(n == json_len(parent));
}

static void write_again(struct pool *p, struct mg_writer *w, struct mg_view v)
{
	enum mg_kind kind = json_kind(v);

	if (kind == MG_STRING) {
		json_put(w, NULL, json_text(p, v));
	} else if (kind == MG_OBJECT || kind == MG_ARRAY) {
		json_open(w, NULL, kind == MG_OBJECT ? '{' : '[');
		write_children(p, w, v);
		json_close(w);
	} else {
		json_put_raw(w, NULL, json_raw(v));
	}
}

static bool same(struct mg_str a, struct mg_str b)
{
	return !a.at == !b.at && a.len == b.len && (!a.len || !memcmp(a.at, b.at, a.len));
}

static void compare(struct pool *p, struct mg_view a, struct mg_view b)
{
	uint64_t n = 0, m = 0;

	assert(json_kind(a) == json_kind(b) && json_len(a) == json_len(b));
	assert(same(json_name(a), json_name(b)) && same(json_text(p, a), json_text(p, b)));
	assert(json_count(a, &n) == json_count(b, &m) && n == m);
	assert(json_is(a, "model") == json_is(b, "model"));
	for (a = json_at(a, 0), b = json_at(b, 0); a.doc; a = json_next(a), b = json_next(b))
		compare(p, a, b);
	assert(!b.doc);
}

static void splice(struct pool *p, struct mg_view v)
{
	struct mg_view first = json_at(v, 0), new, old;
	const char *name = first.doc ? name_of(p, first) : "b";
	const struct json_edit edits[] = {
		{ "model", MG_STR("\"x\"") }, { "last", MG_STR("[1]") }, { name, { NULL, 0 } },
	};
	struct buf b;
	size_t dropped = !strcmp(name, "model") || !strcmp(name, "last") ? 0 : first.doc != NULL;
	size_t added = !json_get(v, "model").doc + !json_get(v, "last").doc;

	buf_init(&b, 1 << 24);
	json_splice(v, edits, 3, &b);
	assert(!b.failed && !json_parse(p, buf_view(&b), &new, NULL));
	assert(json_len(new) == json_len(v) - dropped + added);
	assert(json_is(json_get(new, "model"), "x") && mg_is(json_raw(json_get(new, "last")), "[1]"));
	for (old = first; old.doc; old = json_next(old)) {
		const char *other = name_of(p, old);

		if (strcmp(other, "model") && strcmp(other, "last") && strcmp(other, name))
			assert(same(json_raw(old), json_raw(json_get(new, other))));
	}
	buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pool *p = pool_new(64 << 20);
	struct mg_str text = { (const char *)data, size };
	struct mg_view v, again;
	struct mg_writer *w;
	struct err err = { 0, "" };
	int rc;

	rc = json_parse(p, text, &v, &err);
	assert(rc ? err.rc == rc && *err.msg : !*err.msg);
	if (!rc) {
		w = json_writer(p);
		write_again(p, w, v);
		text = json_written(w);
		rc = json_parse(p, text, &again, &err);
		assert(!rc);
		compare(p, v, again);
		if (json_kind(v) == MG_OBJECT)
			splice(p, v);
	}
	pool_free(p);
	return 0;
}
