/* The replicate dialect: inputs by each model's names, predictions asked for again, streams of output. */
#include "recorded.h"

#define ASK(messages, members) "{\"model\":\"a/b\",\"messages\":[" messages "]" members "}"
#define SENT(input) "{\"input\":{" input "}}"
#define U(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define A(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"
#define S(text) "{\"role\":\"system\",\"content\":\"" text "\"}"
#define ROW(quirks) "{\"model\":\"meta/llama-3\",\"quirks\":{" quirks "}}"
#define PICTURE "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i.png\"}}"

static const struct rig_case requests[] = {
	{ "one turn is the prompt as it is", .request = ASK(U("Hi"), ""), .endpoint = ROW(""), .path = "/models/meta/llama-3/predictions", .body = SENT("\"prompt\":\"Hi\""),
	  .sends = "Prefer: wait=60\nAuthorization: Bearer sk-rig" },
	{ "a version runs as that one", .request = ASK(U("Hi"), ""), .endpoint = "{\"model\":\"meta/llama-3:5a6809ca\"}", .path = "/predictions", .body = "{\"version\":\"5a6809ca\",\"input\":{\"prompt\":\"Hi\"}}" },
	{ "a stream does not wait", .streamed = true, .request = ASK(U("Hi"), ""), .endpoint = ROW(""), .body = "{\"stream\":true,\"input\":{\"prompt\":\"Hi\"}}" },
	{ "the system has an input of its own", .request = ASK(S("be brief") "," U("Hi"), ""), .endpoint = ROW(""), .body = SENT("\"prompt\":\"Hi\",\"system_prompt\":\"be brief\"") },
	{ "or stands in the prompt", .request = ASK(S("be brief") "," U("Hi"), ""), .endpoint = ROW("\"inputs\":{\"system\":false}"), .body = SENT("\"prompt\":\"be brief\\n\\nUser: Hi\\n\\nAssistant:\"") },
	{ "turns become one prompt", .request = ASK(U("Hi") "," A("Yes?") "," U("So"), ""), .endpoint = ROW(""), .body = SENT("\"prompt\":\"User: Hi\\n\\nAssistant: Yes?\\n\\nUser: So\\n\\nAssistant:\"") },
	{ "by the model's template", .request = ASK(S("s") "," U("Hi"), ""), .endpoint = ROW("\"template\":\"chatml\",\"input\":{\"prompt_template\":\"{prompt}\"}"),
	  .body = SENT("\"prompt_template\":\"{prompt}\",\"prompt\":\"<|im_start|>system\\ns<|im_end|>\\n<|im_start|>user\\nHi<|im_end|>\\n<|im_start|>assistant\\n\"") },
	{ "inputs have the model's names, numbers as written", .request = ASK(U("Hi"), ",\"max_completion_tokens\":7,\"temperature\":0.30,\"top_p\":0.5,\"top_k\":3,\"seed\":null,\"stop\":[\"a\",\"b\"],\"min_p\":1"),
	  .endpoint = ROW("\"inputs\":{\"max_tokens\":\"max_new_tokens\",\"top_k\":false}"), .body = SENT("\"prompt\":\"Hi\",\"max_new_tokens\":7,\"temperature\":0.30,\"top_p\":0.5,\"stop_sequences\":\"a,b\"") },
	{ "an image is an input", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"what\"}," PICTURE "]}", ""), .endpoint = ROW(""), .body = SENT("\"prompt\":\"what\",\"image\":\"https://h/i.png\"") },
	{ "two are one too many", .request = ASK("{\"role\":\"user\",\"content\":[" PICTURE "," PICTURE "]}", ""), .endpoint = ROW(""), .events = "refused(messages[].content[].image_url: this upstream takes one image)" },
	{ "but for a list", .request = ASK("{\"role\":\"user\",\"content\":[" PICTURE "," PICTURE "]}", ""), .endpoint = ROW("\"inputs\":{\"images\":\"image_input\"}"), .body = SENT("\"prompt\":\"\",\"image_input\":[\"https://h/i.png\",\"https://h/i.png\"]") },
	{ "none is taken", .request = ASK("{\"role\":\"user\",\"content\":[" PICTURE "]}", ""), .endpoint = ROW("\"inputs\":{\"image\":false}"), .events = "refused(messages[].content[].type: this upstream takes no image_url)" },
	{ "no tools", .request = ASK(U("Hi"), ",\"tools\":[{\"type\":\"function\"}]"), .endpoint = ROW(""), .events = "refused(tools: this upstream knows none)" },
	{ "no calls of them", .request = ASK("{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"4\"}", ""), .endpoint = ROW(""), .events = "refused(messages[]: this upstream knows no tools)" },
	{ "no form of an answer", .request = ASK(U("Hi"), ",\"response_format\":{\"type\":\"json_object\"}"), .endpoint = ROW(""), .events = "refused(response_format: this upstream knows text alone)" },
	{ "nobody said anything", .request = ASK(S("s"), ""), .endpoint = ROW(""), .events = "refused(messages: needs one of a user)" },
	{ "a name that leads elsewhere", .request = ASK(U("Hi"), ""), .endpoint = "{\"model\":\"../account\"}", .events = "refused(the endpoint's model must be like owner/name, or owner/name:version)" },
};

#define P(status, rest) "{\"id\":\"p1\",\"model\":\"meta/llama-3\",\"status\":\"" status "\"" rest "}"
#define URLS(host) ",\"urls\":{\"get\":\"https://api.replicate.com/v1/predictions/p1\",\"stream\":\"https://" host "/v1/files/x\"}"

static const struct rig_case answers[] = {
	{ "done at once", .status = 201, .answer = P("succeeded", ",\"output\":[\"Hi\",\" \",\"é\"],\"metrics\":{\"input_token_count\":4,\"output_token_count\":3,\"predict_time\":0.5}"),
	  .events = "start(p1, meta/llama-3) text(Hi é) usage(input=4 output=3) finish(stop, succeeded)" },
	{ "one text, nothing counted", .status = 201, .answer = P("succeeded", ",\"output\":\"Hi\",\"metrics\":{\"predict_time\":1}"), .events = "start(p1, meta/llama-3) text(Hi) finish(stop, succeeded)" },
	{ "not yet: asked again", .status = 201, .answer = P("processing", ",\"output\":[\"H\"]"), .events = "start(p1, meta/llama-3) follow(GET /predictions/p1, after 250 ms)" },
	{ "what there is of a stream is said", .status = 201, .streamed = true, .headers = "content-type: application/json", .answer = P("processing", ",\"output\":[\"H\"]" URLS("stream.replicate.com")), .events = "start(p1, meta/llama-3) text(H) follow(GET /predictions/p1, after 250 ms)" },
	{ "a stream is read where the row names its host", .status = 201, .streamed = true, .headers = "content-type: application/json", .endpoint = ROW("\"hosts\":[\".replicate.com\"]"), .answer = P("starting", URLS("stream.replicate.com")),
	  .events = "start(p1, meta/llama-3) follow(GET https://stream.replicate.com/v1/files/x, after 0 ms)" },
	{ "and nowhere else", .status = 201, .streamed = true, .headers = "content-type: application/json", .endpoint = ROW("\"hosts\":[\".replicate.com\"]"), .answer = P("starting", URLS("stream.replicate.com.example")),
	  .events = "start(p1, meta/llama-3) follow(GET /predictions/p1, after 250 ms)" },
	{ "nor by a user's name", .status = 201, .streamed = true, .headers = "content-type: application/json", .endpoint = ROW("\"hosts\":[\".replicate.com\"]"), .answer = P("starting", URLS("evil.example@x.replicate.com")),
	  .events = "start(p1, meta/llama-3) follow(GET /predictions/p1, after 250 ms)" },
	{ "a stream's lines and blanks", .streamed = true, .answer = "event: output\ndata: a\ndata:\ndata:  b\n\nevent: logs\ndata: x\n\nevent: done\ndata: {}\n\n", .events = "text(a\\n\\n b) finish(stop, succeeded)" },
	{ "a stream that breaks", .streamed = true, .answer = "event: output\ndata: a\n\nevent: error\ndata: {\"detail\":\"out of memory\"}\n\n", .events = "text(a) error(server, out of memory)" },
	{ "a stream that was given up", .streamed = true, .answer = "event: output\ndata: a\n\nevent: done\ndata: {\"reason\":\"canceled\"}\n\n", .events = "text(a) error(server, canceled)" },
	{ "it failed", .status = 201, .answer = P("failed", ",\"error\":\"CUDA out of memory\",\"output\":null"), .events = "start(p1, meta/llama-3) error(server, CUDA out of memory)" },
	{ "it was moderated", .status = 201, .answer = P("failed", ",\"error\":\"NSFW content detected. Try running it again.\""), .events = "start(p1, meta/llama-3) error(moderation, NSFW content detected. Try running it again., final)" },
	{ "it was given up", .status = 201, .answer = P("aborted", ",\"error\":null"), .events = "start(p1, meta/llama-3) error(server, the prediction failed)" },
	{ "too many", .status = 429, .answer = "{\"title\":\"Too many requests\",\"detail\":\"Request was throttled.\",\"status\":429,\"retry_after\":7}", .events = "error(rate_limited, Request was throttled., code Too many requests, retry after 7000 ms)" },
	{ "no money", .status = 402, .answer = "{\"title\":\"Insufficient credit\",\"detail\":\"You have insufficient credit\",\"status\":402}", .events = "error(quota, You have insufficient credit, code Insufficient credit)" },
	{ "a wrong input", .status = 422, .answer = "{\"title\":\"Input validation failed\",\"detail\":\"- input.prompt: is required\\n\",\"status\":422}", .events = "error(bad_request, - input.prompt: is required\\n, code Input validation failed, final)" },
	{ "no answer", .status = 201, .answer = "[]", .events = "error(upstream, an answer that is no prediction)" },
};

static const struct rig_case images[] = {
	{ "by the model's names", .request = "{\"model\":\"a/b\",\"prompt\":\"a cat\",\"n\":2,\"size\":\"1024x768\",\"seed\":7,\"aspect_ratio\":\"3:2\",\"user\":\"u\"}", .endpoint = ROW(""),
	  .path = "/models/meta/llama-3/predictions", .body = SENT("\"prompt\":\"a cat\",\"num_outputs\":2,\"seed\":7,\"aspect_ratio\":\"3:2\",\"width\":1024,\"height\":768") },
	{ "what it does not know", .request = "{\"model\":\"a/b\",\"prompt\":\"a cat\",\"n\":2,\"size\":\"1x1\"}", .endpoint = ROW("\"inputs\":{\"n\":false,\"size\":false}"), .body = SENT("\"prompt\":\"a cat\"") },
	{ "a size that is none", .request = "{\"model\":\"a/b\",\"prompt\":\"a cat\",\"size\":\"big\"}", .endpoint = ROW(""), .events = "refused(size: must be like \"1024x1024\")" },
	{ "addresses", .status = 201, .answer = P("succeeded", ",\"output\":[\"https://replicate.delivery/x/out-0.webp\",\"https://replicate.delivery/x/out-1.webp\"]"),
	  .events = "start(p1, meta/llama-3) image(, 0 bytes, {\"url\":\"https://replicate.delivery/x/out-0.webp\"}) image(, 0 bytes, {\"url\":\"https://replicate.delivery/x/out-1.webp\"}) usage(images_out=2)" },
	{ "bytes", .status = 201, .answer = P("succeeded", ",\"output\":\"data:image/png;base64,AAEC\""), .events = "start(p1, meta/llama-3) image(image/png, 3 bytes) usage(images_out=1)" },
	{ "not yet", .status = 201, .answer = P("starting", ",\"output\":null"), .events = "start(p1, meta/llama-3) follow(GET /predictions/p1, after 250 ms)" },
};

static const struct recorded recordings[] = {
	{ "replicate/replicate-llama-stream-legacy-1", NULL, "text(Sure, here's a joke about OpenTelemetry:\\n\\nWhy did|finish(stop, succeeded)" },
	{ "invented/replicate/failed", NULL, "start(q9, black-forest-labs/flux-schnell)|error(server, Prediction failed for an unknown reason. It might" },
	{ "invented/replicate/429", NULL, "error(rate_limited, Request was throttled. Expected available in 3 seconds.|retry after 3000 ms" },
};

#define RUN(op, cases) rig_run(mg_plugin_entry(), op, cases, sizeof(cases) / sizeof((cases)[0]))

int main(void)
{
	static const struct recorded picture = { "replicate/replicate-image-generation-with-events-with-content-3", NULL,
		"start(vdcbnszbj37qhlzgoergjj5dsa, stability-ai/stable-diffusion)|follow(GET /predictions/vdcbnszbj37qhlzgoergjj5dsa, after 250 ms)" };
	int bad = 0;

	for (size_t i = 0; i < sizeof(recordings) / sizeof(recordings[0]); i++)
		recorded_run(MG_CHAT, &recordings[i]);
	recorded_run(MG_IMAGE, &picture);
	bad |= RUN(MG_CHAT, requests);
	bad |= RUN(MG_CHAT, answers);
	return bad | RUN(MG_IMAGE, images);
}
