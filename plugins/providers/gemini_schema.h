/*
 * gemini_schema.h - a JSON Schema as the OpenAPI subset that older models
 * take: types in capitals, nullable, references put in their place.
 */
#ifndef GEMINI_SCHEMA_H
#define GEMINI_SCHEMA_H

#include "gemini_parts.h"

enum { SCHEMA_DEEP = 32, SCHEMA_NODES = 4096 };

struct schema { struct mg_view root; unsigned nodes; };

static int put_schema_node(struct mg_call *c, struct mg_writer *w, const char *name, struct mg_view s, struct schema *all, unsigned deep);

/* "#/$defs/Name" or "#/definitions/Name". */
static struct mg_view referred(struct mg_call *c, const struct schema *all, struct mg_str ref)
{
	const struct mg_host *h = c->host;
	const char *in = begins(ref, "#/$defs/") ? "$defs" : begins(ref, "#/definitions/") ? "definitions" : NULL;
	size_t skip = in ? strlen(in) + 3 : 0;
	char *name;

	if (!in || !(name = h->alloc(c, ref.len - skip + 1)))
		return (struct mg_view){ NULL, 0 };
	memcpy(name, ref.at + skip, ref.len - skip);
	return h->get(h->get(all->root, in), name);
}

static bool null_type(struct mg_call *c, struct mg_view s)
{
	return mg_is(c->host->text(c, c->host->get(s, "type")), "null");
}

/* One type, and whether null may stand for it: "string", ["string", "null"]. */
static struct mg_str type_of_schema(struct mg_call *c, struct mg_view s, bool *nullable)
{
	static const struct { const char *word; struct mg_str upper; } types[] = {
		{ "string", { "STRING", 6 } }, { "number", { "NUMBER", 6 } }, { "integer", { "INTEGER", 7 } }, { "boolean", { "BOOLEAN", 7 } },
		{ "array", { "ARRAY", 5 } }, { "object", { "OBJECT", 6 } },
	};
	const struct mg_host *h = c->host;
	struct mg_view v = h->get(s, "type");
	struct mg_str word = h->text(c, v);

	for (v = h->at(v, 0); h->kind(h->get(s, "type")) == MG_ARRAY && h->kind(v); v = h->next(v)) {
		*nullable = *nullable || mg_is(h->text(c, v), "null");
		if (!word.at && !mg_is(h->text(c, v), "null"))
			word = h->text(c, v);
	}
	if (!word.at && h->get(s, "properties").doc)
		word = MG_STR("object");
	if (!word.at && (h->get(s, "enum").doc || h->get(s, "const").doc))
		word = MG_STR("string");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (mg_is(word, types[i].word))
			return types[i].upper;
	return (struct mg_str){ NULL, 0 };
}

static int put_list(struct mg_call *c, struct mg_writer *w, const char *name, struct mg_view list, struct schema *all, unsigned deep)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	h->open(w, name, '[');
	for (struct mg_view v = h->at(list, 0); h->kind(v) && !rc; v = h->next(v))
		if (!null_type(c, v))
			rc = put_schema_node(c, w, NULL, v, all, deep);
	h->close(w);
	return rc;
}

static int put_properties(struct mg_call *c, struct mg_writer *w, struct mg_view list, struct schema *all, unsigned deep)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	h->open(w, "properties", '{');
	for (struct mg_view v = h->at(list, 0); h->kind(v) && !rc; v = h->next(v)) {
		char *name = h->alloc(c, h->name(v).len + 1);

		if (!name)
			return h->fail(c, MG_ENOMEM, "no memory for a schema");
		memcpy(name, h->name(v).at, h->name(v).len);
		rc = put_schema_node(c, w, name, v, all, deep);
	}
	h->close(w);
	return rc;
}

/* Enumerations are of strings there; limits of sizes are strings. */
static void put_limits(struct mg_call *c, struct mg_writer *w, struct mg_view s)
{
	static const char *const same[] = { "description", "title", "format", "minimum", "maximum", "pattern", "default", "required", "propertyOrdering" };
	static const char *const sizes[] = { "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties" };
	const struct mg_host *h = c->host;
	struct mg_view words = h->get(s, "enum"), one = h->get(s, "const");

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		h->put_raw(w, same[i], h->raw(h->get(s, same[i])));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		h->put(w, sizes[i], h->text(c, h->get(s, sizes[i])));
	if (!words.doc && !one.doc)
		return;
	h->open(w, "enum", '[');
	for (struct mg_view v = words.doc ? h->at(words, 0) : one; h->kind(v); v = words.doc ? h->next(v) : (struct mg_view){ NULL, 0 })
		h->put(w, NULL, h->text(c, v));
	h->close(w);
}

static int put_members(struct mg_call *c, struct mg_writer *w, struct mg_view s, struct schema *all, unsigned deep)
{
	const struct mg_host *h = c->host;
	struct mg_view any = h->get(s, "anyOf").doc ? h->get(s, "anyOf") : h->get(s, "oneOf"), v = h->at(any, 0);
	bool nullable = h->kind(h->get(s, "nullable")) == MG_TRUE;
	int rc = MG_OK;

	for (; h->kind(v); v = h->next(v))
		nullable = nullable || null_type(c, v);
	h->put(w, "type", type_of_schema(c, s, &nullable));
	if (nullable)
		h->put_raw(w, "nullable", MG_STR("true"));
	put_limits(c, w, s);
	if (any.doc)
		rc = put_list(c, w, "anyOf", any, all, deep);
	if (!rc && h->kind(h->get(s, "items")) == MG_OBJECT)
		rc = put_schema_node(c, w, "items", h->get(s, "items"), all, deep);
	if (!rc && h->kind(h->at(h->get(s, "properties"), 0)))
		rc = put_properties(c, w, h->get(s, "properties"), all, deep);
	return rc;
}

static int put_schema_node(struct mg_call *c, struct mg_writer *w, const char *name, struct mg_view s, struct schema *all, unsigned deep)
{
	const struct mg_host *h = c->host;
	int rc;

	for (unsigned i = 0; i < SCHEMA_DEEP && h->get(s, "$ref").doc; i++)
		s = referred(c, all, h->text(c, h->get(s, "$ref")));
	if (deep >= SCHEMA_DEEP || all->nodes++ >= SCHEMA_NODES)
		return h->fail(c, MG_EINVAL, "schema: it refers to itself, or is too deep for this upstream's model");
	if (!s.doc)
		return h->fail(c, MG_EINVAL, "schema: $ref: only #/$defs/NAME and #/definitions/NAME are known to this upstream's model");
	h->open(w, name, '{');
	rc = put_members(c, w, s, all, deep + 1);
	h->close(w);
	return rc;
}

static int put_schema(struct mg_call *c, struct mg_writer *w, const char *name, struct mg_view s)
{
	struct schema all = { s, 0 };

	return put_schema_node(c, w, name, s, &all, 0);
}

#endif
