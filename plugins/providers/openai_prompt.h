/*
 * openai_prompt.h - models that continue a text and know no messages, quirk
 * prompt: POST /completions {"prompt"}, choices[].text back.
 *
 * The one user message is the prompt as it stands.  How several would be put
 * together is a template that nobody gave, so they are refused; so is what the
 * older form cannot say.
 */
#ifndef OPENAI_PROMPT_H
#define OPENAI_PROMPT_H

#include "openai_request.h"

static bool by_prompt(struct mg_call *c)
{
	return c->host->kind(mg_quirk(c, "prompt")) == MG_TRUE;
}

static int prompt_refuses(struct mg_call *c)
{
	const struct mg_host *h = c->host;
	struct mg_str format = h->text(c, h->get(mg_asked(c, "response_format"), "type"));

	if (h->kind(mg_quirk(c, "pass_through")) == MG_TRUE)	/* a client would be given frames of another kind */
		return h->fail(c, MG_EINVAL, "quirks.prompt: goes with pass_through = false");
	if (h->kind(h->at(mg_asked(c, "tools"), 0)))
		return h->fail(c, MG_EINVAL, "tools: this model continues a text, and calls nothing");
	if (format.at && !mg_is(format, "text"))
		return h->fail(c, MG_EINVAL, "response_format: this model continues a text, in no form");
	if (h->kind(mg_asked(c, "logprobs")) == MG_TRUE)
		return h->fail(c, MG_EINVAL, "logprobs: this model has them in an older form alone");
	return MG_OK;
}

static int put_prompt(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view messages = mg_asked(c, "messages"), m = h->at(messages, 0), content = h->get(m, "content"), part = h->at(content, 0);
	int rc = prompt_refuses(c);

	if (rc)
		return rc;
	if (h->kind(content) == MG_ARRAY && !h->kind(h->next(part)) && mg_is(h->text(c, h->get(part, "type")), "text"))
		content = h->get(part, "text");
	if (h->kind(m) != MG_OBJECT || h->kind(h->next(m)) || !mg_is(h->text(c, h->get(m, "role")), "user") || h->kind(content) != MG_STRING)
		return h->fail(c, MG_EINVAL, "messages: this model continues a text: one user message of text");
	h->put_raw(w, "prompt", h->raw(content));
	return MG_OK;
}

static void put_prompt_limit(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view a = mg_asked(c, "max_completion_tokens"), b = mg_asked(c, "max_tokens");

	h->put_raw(w, "max_tokens", h->raw(h->kind(a) == MG_NUMBER ? a : h->kind(b) == MG_NUMBER ? b : (struct mg_view){ NULL, 0 }));
}

#endif
