/* replicate_request.h - the request half of replicate.c: what a client asks for as a model's inputs. */
#ifndef REPLICATE_REQUEST_H
#define REPLICATE_REQUEST_H

#include <stdio.h>
#include <stdlib.h>
#include "moongate_chat.h"

enum { WAIT_S = 60 };

static const struct { const char *key, *usual; } names[] = {
	{ "prompt", "prompt" }, { "system", "system_prompt" }, { "max_tokens", "max_tokens" }, { "temperature", "temperature" },
	{ "top_p", "top_p" }, { "top_k", "top_k" }, { "seed", "seed" }, { "stop", "stop_sequences" }, { "image", "image" },
	{ "n", "num_outputs" }, { "presence_penalty", "presence_penalty" }, { "frequency_penalty", "frequency_penalty" },
};

/* The model's name of an input; NULL: it has none. */
static const char *input_name(struct mg_call *c, const char *key)
{
	struct mg_view v = c->host->get(mg_quirk(c, "inputs"), key);

	if (c->host->kind(v) == MG_FALSE)
		return NULL;
	if (!mg_no_text(c, v))
		return mg_terminated(c, c->host->text(c, v));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i].key, key))
			return names[i].usual;
	return NULL;
}

static void put_input(struct mg_call *c, struct mg_writer *w, const char *key, struct mg_view v)
{
	const char *name = input_name(c, key);

	if (name && c->host->kind(v) > MG_NULL)
		c->host->put_raw(w, name, c->host->raw(v));
}

static void put_always(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;

	for (struct mg_view v = h->at(mg_quirk(c, "input"), 0); h->kind(v); v = h->next(v))
		h->put_raw(w, mg_terminated(c, h->name(v)), h->raw(v));
}

/* ------------------------------------------------ turns as one prompt */

static const struct template {
	const char *name, *begin, *rules[2], *user[2], *assistant[2], *end;	/* before and behind the words */
} templates[] = {
	{ "plain", "", { "", "\n\n" }, { "User: ", "\n\n" }, { "Assistant: ", "\n\n" }, "Assistant:" },
	{ "llama3", "<|begin_of_text|>", { "<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>" },
	  { "<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>" }, { "<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>" },
	  "<|start_header_id|>assistant<|end_header_id|>\n\n" },
	{ "chatml", "", { "<|im_start|>system\n", "<|im_end|>\n" }, { "<|im_start|>user\n", "<|im_end|>\n" },
	  { "<|im_start|>assistant\n", "<|im_end|>\n" }, "<|im_start|>assistant\n" },
};

struct text { char *at; size_t len; };

static void add(struct text *t, struct mg_str s)
{
	if (t->at && s.len)
		memcpy(t->at + t->len, s.at, s.len);
	t->len += s.len;
}

static void add_word(struct text *t, const char *s)
{
	add(t, (struct mg_str){ s, strlen(s) });
}

static struct mg_str words_of(struct mg_call *c, struct mg_view message)
{
	struct mg_view content = c->host->get(message, "content");

	return c->host->kind(content) == MG_ARRAY ? mg_joined(c, content, "text", "\n") : c->host->text(c, content);
}

/* Once to see how long it is, once to write it. */
static void add_turns(struct mg_call *c, struct text *t, const struct template *m, bool ruled)
{
	const struct mg_host *h = c->host;

	add_word(t, m->begin);
	for (struct mg_view v = h->at(mg_asked(c, "messages"), 0); h->kind(v); v = h->next(v)) {
		const char *const *around = mg_is_system(c, v) ? m->rules : mg_role_is(c, v, "assistant") ? m->assistant : m->user;

		if (mg_is_system(c, v) && !ruled)
			continue;
		add_word(t, around[0]);
		add(t, words_of(c, v));
		add_word(t, around[1]);
	}
	add_word(t, m->end);
}

static struct mg_str prompt_of(struct mg_call *c, const struct template *m, bool ruled)
{
	struct text t = { NULL, 0 };

	add_turns(c, &t, m, ruled);
	t = (struct text){ c->host->alloc(c, t.len + 1), 0 };
	add_turns(c, &t, m, ruled);
	return (struct mg_str){ t.at, t.at ? t.len : 0 };
}

static struct mg_str rules_of(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	struct text t = { NULL, 0 };

	for (int pass = 0; pass < 2; pass++) {
		t.len = 0;
		for (struct mg_view v = h->at(mg_asked(c, "messages"), 0); h->kind(v); v = h->next(v))
			if (mg_is_system(c, v)) {
				add_word(&t, t.len ? "\n\n" : "");
				add(&t, words_of(c, v));
			}
		if (!pass && (!t.len || !(t.at = h->alloc(c, t.len))))
			break;
	}
	return (struct mg_str){ t.at, t.at ? t.len : 0 };
}

/* ------------------------------------------------ chat's input */

static int put_pictures(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	const char *one = input_name(c, "image"), *many = input_name(c, "images");
	size_t n = 0;

	for (struct mg_view m = h->at(mg_asked(c, "messages"), 0); h->kind(m); m = h->next(m)) {
		struct mg_view content = h->get(m, "content");

		for (struct mg_view v = h->at(content, 0); h->kind(content) == MG_ARRAY && h->kind(v); v = h->next(v)) {
			struct mg_str type = h->text(c, h->get(v, "type"));

			if (mg_is(type, "text"))
				continue;
			if (!mg_is(type, "image_url") || (!one && !many))
				return h->fail(c, MG_EINVAL, "messages[].content[].type: this upstream takes no %.*s", (int)type.len, type.at ? type.at : "");
			if (n++ && !many)
				return h->fail(c, MG_EINVAL, "messages[].content[].image_url: this upstream takes one image");
			if (many && n == 1)
				h->open(w, many, '[');
			h->put_raw(w, many ? NULL : one, h->raw(h->get(h->get(v, "image_url"), "url")));
		}
	}
	if (many && n)
		h->close(w);
	return MG_OK;
}

static int put_prompt(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_str template = h->text(c, mg_quirk(c, "template")), rules = rules_of(c), prompt = { NULL, 0 };
	const char *name = input_name(c, "prompt"), *other = template.at ? NULL : input_name(c, "system");
	const struct template *m = &templates[0];
	size_t turns = 0;

	for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++)
		if (mg_is(template, templates[i].name))
			m = &templates[i];
	for (struct mg_view v = h->at(mg_asked(c, "messages"), 0); h->kind(v); v = h->next(v)) {
		if (mg_role_is(c, v, "tool") || h->kind(h->at(h->get(v, "tool_calls"), 0)))
			return h->fail(c, MG_EINVAL, "messages[]: this upstream knows no tools");
		if (mg_is_system(c, v))
			continue;
		turns++;
		prompt = words_of(c, v);
	}
	if (!turns || !name)
		return h->fail(c, MG_EINVAL, "messages: needs one of a user");
	if (turns > 1 || template.at || (rules.len && !other))
		prompt = prompt_of(c, m, !other);
	h->put(w, name, prompt.at ? prompt : MG_STR(""));
	if (other)
		h->put(w, other, rules);
	return MG_OK;
}

static struct mg_str joined(struct mg_call *c, struct mg_view list)
{
	struct text t = { NULL, 0 };

	for (int pass = 0; pass < 2; pass++) {
		t.len = 0;
		for (struct mg_view v = c->host->at(list, 0); c->host->kind(v); v = c->host->next(v)) {
			add_word(&t, t.len ? "," : "");
			add(&t, c->host->text(c, v));
		}
		if (!pass && (!t.len || !(t.at = c->host->alloc(c, t.len))))
			break;
	}
	return (struct mg_str){ t.at, t.at ? t.len : 0 };
}

static int put_chat(struct mg_call *c, struct mg_writer *w)
{
	static const char *const same[] = { "temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty" };
	const struct mg_host *h = c->host;
	const char *limit = input_name(c, "max_tokens"), *stop = input_name(c, "stop");
	struct mg_view stops = mg_asked(c, "stop");
	int rc = put_prompt(c, w);

	if (h->kind(h->at(mg_asked(c, "tools"), 0)))
		return h->fail(c, MG_EINVAL, "tools: this upstream knows none");
	if (rc || (rc = put_pictures(c, w)))
		return rc;
	if (limit && mg_max_tokens(c))
		h->put_int(w, limit, (int64_t)mg_max_tokens(c));
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		put_input(c, w, same[i], mg_asked(c, same[i]));
	if (stop && h->kind(stops) == MG_ARRAY)		/* one text there, commas between */
		h->put(w, stop, joined(c, stops));
	else if (stop)
		h->put(w, stop, h->text(c, stops));
	if (h->kind(h->get(mg_asked(c, "response_format"), "type")) && !mg_is(h->text(c, h->get(mg_asked(c, "response_format"), "type")), "text"))
		return h->fail(c, MG_EINVAL, "response_format: this upstream knows text alone");
	return MG_OK;
}

/* ------------------------------------------------ an image's input */

/* "1024x768" as two numbers. */
static int put_size(struct mg_call *c, struct mg_writer *w)
{
	struct mg_str s = c->host->text(c, mg_asked(c, "size"));
	char text[24] = "", *end = text;
	long width, height;

	if (!s.at || c->host->kind(c->host->get(mg_quirk(c, "inputs"), "size")) == MG_FALSE || mg_is(s, "auto"))
		return MG_OK;
	snprintf(text, sizeof(text), "%.*s", s.len < sizeof(text) ? (int)s.len : 0, s.at);
	width = strtol(text, &end, 10);
	height = *end == 'x' ? strtol(end + 1, &end, 10) : 0;
	if (width <= 0 || height <= 0 || width > 100000 || height > 100000 || *end)
		return c->host->fail(c, MG_EINVAL, "size: must be like \"1024x1024\"");
	c->host->put_int(w, "width", width);
	c->host->put_int(w, "height", height);
	return MG_OK;
}

static int put_image(struct mg_call *c, struct mg_writer *w)
{
	static const char *const ours[] = { "model", "stream", "user", "provider", "response_format", "size", "models", "usage", "metadata", "session_id", "trace", "policy" };
	const struct mg_host *h = c->host;

	for (struct mg_view v = h->at(h->request(c), 0); h->kind(v); v = h->next(v)) {
		const char *key = mg_terminated(c, h->name(v)), *name = input_name(c, key);
		bool known = name || h->kind(h->get(mg_quirk(c, "inputs"), key)) == MG_FALSE;
		size_t i = 0;

		while (i < sizeof(ours) / sizeof(ours[0]) && strcmp(key, ours[i]) != 0)
			i++;
		if (i == sizeof(ours) / sizeof(ours[0]) && h->kind(v) > MG_NULL && (name || !known))
			h->put_raw(w, name ? name : key, h->raw(v));
	}
	return put_size(c, w);
}

/* ------------------------------------------------ the request */

static bool plain_name(struct mg_str s, const char *also)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.at[i] | 0x20) >= 'a' && (s.at[i] | 0x20) <= 'z') && !(s.at[i] >= '0' && s.at[i] <= '9') && (!strchr(also, s.at[i]) || !s.at[i]))
			return false;
	return s.len > 0 && s.len < 200 && s.at[0] != '/' && !memmem(s.at, s.len, "..", 2);
}

static int begin(struct mg_call *c, struct mg_http *out, int (*put)(struct mg_call *, struct mg_writer *))
{
	const struct mg_host *h = c->host;
	struct mg_str model = h->text(c, h->get(h->endpoint(c), "model")), *body = h->alloc(c, sizeof(*body));
	const char *colon = model.at ? memchr(model.at, ':', model.len) : NULL;
	bool streamed = h->kind(mg_asked(c, "stream")) == MG_TRUE;
	struct mg_writer *w = h->writer(c);
	char *path = h->alloc(c, 256), wait[16];
	uint64_t seconds = streamed ? 0 : WAIT_S;
	int rc;

	if (!plain_name(model, "/-_.:"))
		return h->fail(c, MG_EINVAL, "the endpoint's model must be like owner/name, or owner/name:version");
	h->open(w, NULL, '{');
	if (colon)
		h->put(w, "version", (struct mg_str){ colon + 1, model.len - (size_t)(colon + 1 - model.at) });
	if (streamed)
		h->put_raw(w, "stream", MG_STR("true"));
	h->open(w, "input", '{');
	put_always(c, w);
	rc = put(c, w);
	if (rc)
		return rc;
	h->close(w);
	h->close(w);
	if (!body || !path || !(*body = h->written(w)).at)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	h->count(mg_quirk(c, "wait"), &seconds);
	if (seconds && !streamed)
		rc = h->header(c, "Prefer", (struct mg_str){ wait, (size_t)snprintf(wait, sizeof(wait), "wait=%u", seconds < 60 ? (unsigned)seconds : 60) });
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), { path, (size_t)(colon ? snprintf(path, 256, "/predictions")
		: snprintf(path, 256, "/models/%.*s/predictions", (int)model.len, model.at)) }, body, 1 };
	return rc ? rc : mg_authorize(c, NULL);
}

static int chat_request(struct mg_call *c, struct mg_http *out)
{
	return begin(c, out, put_chat);
}

static int image_request(struct mg_call *c, struct mg_http *out)
{
	return begin(c, out, put_image);
}

#endif
