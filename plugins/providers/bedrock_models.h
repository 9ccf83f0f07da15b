/*
 * bedrock_models.h - what the account may call: the foundation models, then the
 * inference profiles, by pages.  They are the control plane's, beside the runtime:
 *
 *	https://bedrock.REGION.amazonaws.com	where base_url is https://bedrock-runtime.REGION...
 *	base_url itself				elsewhere
 */
#ifndef BEDROCK_MODELS_H
#define BEDROCK_MODELS_H

#include "moongate_chat.h"

#define PROFILES "/inference-profiles?maxResults=1000&type=SYSTEM_DEFINED"

static struct mg_str control(struct mg_call *c, const char *path)
{
	static const char runtime[] = "-runtime";
	const struct mg_host *h = c->host;
	struct mg_str base = h->text(c, h->get(h->endpoint(c), "base_url")), none = { path, strlen(path) };
	const char *mark = base.len ? memmem(base.at, base.len, "://bedrock-runtime", 18) : NULL;
	size_t head = mark ? (size_t)(mark - base.at) + 10 : 0, tail = head + sizeof(runtime) - 1, len = strlen(path);
	char *out = mark ? h->alloc(c, base.len + len) : NULL;

	if (!out)
		return none;
	memcpy(out, base.at, head);
	memcpy(out + head, base.at + tail, base.len - tail);
	memcpy(out + head + base.len - tail, path, len);
	return (struct mg_str){ out, head + base.len - tail + len };
}

static int models_request(struct mg_call *c, struct mg_http *out)
{
	*out = (struct mg_http){ .size = sizeof(*out), .method = MG_STR("GET"), .path = control(c, "/foundation-models") };
	return c->host->auth(c, MG_SIGV4, "bedrock");
}

static int models_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view profiles = h->get(f->json, "inferenceProfileSummaries");
	struct mg_http next = { .size = sizeof(next), .method = MG_STR("GET") };
	int rc;

	if (h->kind(profiles) == MG_ARRAY) {
		rc = mg_models(c, profiles, "inferenceProfileId", "inferenceProfileSummaries");
		return rc ? rc : mg_next_page(c, control(c, PROFILES), "nextToken", h->text(c, h->get(f->json, "nextToken")));
	}
	rc = mg_models(c, h->get(f->json, "modelSummaries"), "modelId", "modelSummaries");
	next.path = control(c, PROFILES);
	return rc ? rc : h->follow(c, &next, 0);
}

#endif
