/*
 * bedrock - AWS Bedrock: Converse and ConverseStream; InvokeModel for vectors, pictures and ranks.
 *
 *	POST /model/{id}/converse		200: {"output":{"message":{"content":[blocks]}},"stopReason","usage"}
 *	POST /model/{id}/converse-stream	200: event stream: messageStart, contentBlockStart, -Delta, -Stop,
 *						messageStop, metadata; an exception instead of any of them
 *	POST /model/{id}/invoke			Titan's and Cohere's vectors, Nova's and Stability's pictures,
 *						Cohere's and Amazon's ranks
 *	GET /foundation-models, /inference-profiles	of the control plane
 *	not 200					{"message"}, its type in x-amzn-errortype or "__type"
 *
 * A request is signed (SigV4) or carries an API key, as the credential is.  inputTokens leaves
 * out what the cache gave and took, unless totalTokens says otherwise.  Thoughts of Claude go out
 * as "anthropic-claude-v1" with signatures, and come back from reasoning_details, first in their
 * message.  Claude's own API by way of InvokeModel is the anthropic dialect with quirks.
 *
 * Quirks of a model:
 *
 *	family		"anthropic", "nova", "openai", "mistral", "cohere", "stability"; else its id tells
 *	thinking	Claude: "budget"; "adaptive"; "none".  Nova 2: "nova"
 *	thinking_default	true: thinks unless told not to
 *	efforts		words of the effort that it takes
 *	sampling	"any"; "one": temperature or top_p, not both; "none"
 *	structured	"native": outputConfig; "tool": a forced tool gives the JSON
 *	forces_tools	true: takes toolChoice any and tool; Claude, Nova and Mistral do
 *	cache		false: takes no cachePoint
 *	beta		list for anthropic_beta
 *	invoke		"nova": InvokeModel with Nova's body instead of Converse
 *
 * Options, as the service calls them: guardrailConfig, performanceConfig, promptVariables,
 * additionalModelRequestFields, additionalModelResponseFieldPaths.
 */
#include "bedrock_request.h"
#include "bedrock_answer.h"
#include "bedrock_embed.h"
#include "bedrock_errors.h"
#include "bedrock_image.h"
#include "bedrock_models.h"
#include "bedrock_rerank.h"

static int chat_body(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct plan p = { .documents = 0 };
	int rc;

	plan_request(c, &p);
	((struct answer *)c->state)->json_tool = p.json_tool;
	((struct answer *)c->state)->family = p.family;
	h->open(w, NULL, '{');
	if (mg_quirk_is(c, "invoke", "nova"))
		h->put(w, "schemaVersion", MG_STR("messages-v1"));
	rc = put_system(c, w, &p);
	if (!rc)
		rc = put_messages(c, w, &p);
	if (!rc)
		rc = put_tools(c, w, &p);
	if (rc)
		return rc;
	put_inference(c, w, &p);
	put_additional(c, w, &p);
	put_output(c, w, &p);
	put_others(c, w);
	h->close(w);
	return MG_OK;
}

static int chat_request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	bool streamed = h->kind(mg_asked(c, "stream")) == MG_TRUE, invoke = mg_quirk_is(c, "invoke", "nova");
	struct mg_str *body = h->alloc(c, sizeof(*body)), path;
	struct mg_writer *w = h->writer(c);
	int rc = chat_body(c, w);

	path = mg_path(c, "", !invoke ? streamed ? MG_STR("/model/{model}/converse-stream") : MG_STR("/model/{model}/converse") :
		streamed ? MG_STR("/model/{model}/invoke-with-response-stream") : MG_STR("/model/{model}/invoke"));
	if (!rc && streamed)
		rc = h->header(c, "Accept", MG_STR("application/vnd.amazon.eventstream"));
	if (rc)
		return rc;
	if (!body || !path.at || !(*body = h->written(w)).at)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), path, body, 1 };
	return h->auth(c, MG_SIGV4, "bedrock");
}

static int signed_as(struct mg_call *c, int rc)
{
	return rc ? rc : c->host->auth(c, MG_SIGV4, "bedrock");
}

static int embed_request(struct mg_call *c, struct mg_http *out)
{
	return signed_as(c, embed_body(c, mg_path(c, "", MG_STR("/model/{model}/invoke")), out));
}

static int image_request(struct mg_call *c, struct mg_http *out)
{
	return signed_as(c, image_body(c, out));
}

static int rerank_request(struct mg_call *c, struct mg_http *out)
{
	return signed_as(c, rerank_body(c, out));
}

/* ---------------------------------------------------------------- frames */

/* Whatever is no event of an answer, and has words, is why there is none. */
static int exception(struct mg_call *c, const struct mg_frame *f)
{
	struct mg_failure out = { .size = sizeof(out) };

	if (!aws_is_exception(c, f))
		return MG_OK;		/* what comes later */
	aws_failure(c, f, &out);
	((struct answer *)c->state)->ended = true;
	return c->host->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &out));
}

static int chat_frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view inner = f->json;
	struct mg_str event = f->event;
	int rc;

	if (f->framing == MG_JSON)
		return whole(c, f->json);
	if (mg_is(event, "chunk")) {		/* InvokeModel's: {"bytes":"base64 of {\"messageStart\":{..}}"} */
		inner = h->at(h->parse(c, h->blob(c, h->get(f->json, "bytes"))), 0);
		event = h->name(inner);
	}
	if (!inner.doc)
		return h->fail(c, MG_EPROTO, "a piece of the answer is not JSON");
	rc = event_of(c, event, inner);
	return rc == UNKNOWN ? exception(c, f) : rc;
}

static const struct mg_operation chat = {
	.size = sizeof(chat), .state_size = sizeof(struct answer), .flags = MG_OP_INLINE,
	.op = MG_CHAT, .plain = MG_JSON, .stream = MG_EVENTSTREAM,
	.request = chat_request, .frame = chat_frame, .finish = conclude,
};
static const struct mg_operation embeddings = {
	.size = sizeof(embeddings), .state_size = sizeof(struct embed),
	.op = MG_EMBEDDINGS, .plain = MG_JSON, .stream = MG_JSON,
	.request = embed_request, .frame = embed_frame,
};
static const struct mg_operation image = {
	.size = sizeof(image), .op = MG_IMAGE, .plain = MG_JSON, .stream = MG_JSON,
	.request = image_request, .frame = image_frame,
};
static const struct mg_operation rerank = {
	.size = sizeof(rerank), .op = MG_RERANK, .plain = MG_JSON, .stream = MG_JSON,
	.request = rerank_request, .frame = rerank_frame,
};
static const struct mg_operation models = {
	.size = sizeof(models), .op = MG_MODELS, .plain = MG_JSON, .stream = MG_JSON,
	.request = models_request, .frame = models_frame,
};
static const struct mg_operation *const ops[] = { &chat, &embeddings, &image, &rerank, &models, NULL };
static const struct mg_provider bedrock = { .size = sizeof(bedrock), .ops = ops, .failure = aws_failure };

MG_PLUGIN(.name = "bedrock", .version = "1.0.0", .about = "AWS Bedrock: Converse; vectors, pictures and ranks by InvokeModel", .provider = &bedrock)
