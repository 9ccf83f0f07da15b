/* The ollama dialect: one string of content, objects for arguments, lines of JSON. */
#include "recorded.h"

#define ASK(messages, members) "{\"model\":\"a/b\",\"messages\":[" messages "]" members "}"
#define SENT(messages, options, members) "{\"model\":\"m-1\",\"messages\":[" messages "],\"options\":{" options "}" members ",\"stream\":false}"
#define HI "{\"role\":\"user\",\"content\":\"Hi\"}"
#define TOOLS ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}]"

static const struct rig_case requests[] = {
	{ "a message; stream is always said", .request = ASK(HI, ""), .path = "/api/chat", .body = SENT(HI, "", "") },
	{ "a context that is known is asked for", .request = ASK(HI, ",\"max_tokens\":9"), .endpoint = "{\"model\":\"m-1\",\"context_length\":32768,\"options\":{\"ollama\":{\"num_gpu\":1,\"keep_alive\":\"5m\"}}}",
	  .body = SENT(HI, "\"num_predict\":9,\"num_ctx\":32768,\"num_gpu\":1", ",\"keep_alive\":\"5m\"") },
	{ "texts are joined, images stand beside", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAEC\"}}]}", ""),
	  .body = SENT("{\"role\":\"user\",\"content\":\"a\\nb\",\"images\":[\"AAEC\"]}", "", "") },
	{ "audio is refused", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{}}]}", ""),
	  .events = "refused(messages[].content[].type: this upstream takes no input_audio)" },
	{ "arguments are an object, a result names its call", .request = ASK(HI ",{\"role\":\"assistant\",\"content\":null,\"reasoning\":\"hm\",\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\":12345678901234567890}\"}}]},"
		"{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"42\"}", TOOLS),
	  .body = SENT(HI ",{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":{\"n\":12345678901234567890}}}]},"
		"{\"role\":\"tool\",\"content\":\"42\",\"tool_name\":\"f\",\"tool_call_id\":\"c1\"}", "", TOOLS) },
	{ "a thought in the pieces that came", .request = ASK("{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"h\"},{\"type\":\"reasoning.text\",\"text\":\"m\"}]}", ""),
	  .body = SENT("{\"role\":\"assistant\",\"content\":\"x\",\"thinking\":\"hm\"}", "", "") },
	{ "arguments that are no object", .request = ASK("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"[1]\"}}]}", ""),
	  .events = "refused(messages[].tool_calls[].function.arguments: not the text of a JSON object)" },
	{ "no tool may be called: none is offered", .request = ASK(HI, TOOLS ",\"tool_choice\":\"none\""), .body = SENT(HI, "", "") },
	{ "sampling is among the options", .request = ASK(HI, ",\"temperature\":0.30,\"top_p\":0.5,\"top_k\":3,\"min_p\":0.1,\"seed\":7,\"repetition_penalty\":1.1,\"stop\":\"x\",\"logit_bias\":{}"),
	  .body = SENT(HI, "\"temperature\":0.30,\"top_k\":3,\"top_p\":0.5,\"min_p\":0.1,\"seed\":7,\"repeat_penalty\":1.1,\"stop\":[\"x\"]", "") },
	{ "a schema is the format", .request = ASK(HI, ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{\"type\":\"object\"}}}"),
	  .body = SENT(HI, "", ",\"format\":{\"type\":\"object\"}") },
	{ "JSON without one", .request = ASK(HI, ",\"response_format\":{\"type\":\"json_object\"}"), .body = SENT(HI, "", ",\"format\":\"json\"") },
	{ "thinking is on or off", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"high\"}"), .body = SENT(HI, "", ",\"think\":true") },
	{ "or a word, where the model knows words", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"xhigh\"}"), .endpoint = "{\"model\":\"m-1\",\"quirks\":{\"think\":\"effort\"}}", .body = SENT(HI, "", ",\"think\":\"high\"") },
	{ "off", .request = ASK(HI, ",\"reasoning\":{\"enabled\":false}"), .endpoint = "{\"model\":\"m-1\",\"quirks\":{\"think\":\"effort\"}}", .body = SENT(HI, "", ",\"think\":false") },
};

#define LINE(message, rest) "{\"model\":\"m\",\"message\":{\"role\":\"assistant\"" message "}" rest "}\n"
#define DONE(reason) ",\"done\":true,\"done_reason\":\"" reason "\",\"prompt_eval_count\":17,\"eval_count\":5"

static const struct rig_case answers[] = {
	{ "lines", .streamed = true, .answer = LINE(",\"content\":\"\",\"thinking\":\"hm\"", ",\"done\":false") LINE(",\"content\":\"Hi \"", ",\"done\":false") LINE(",\"content\":\"é\"", ",\"done\":false")
		LINE(",\"content\":\"\"", DONE("stop")), .events = "start(, m) reasoning(hm) text(Hi é) usage(input=17 output=5) finish(stop, stop)" },
	{ "the same in one piece", .answer = LINE(",\"content\":\"Hi é\",\"thinking\":\"hm\"", DONE("stop")), .events = "start(, m) reasoning(hm) text(Hi é) usage(input=17 output=5) finish(stop, stop)" },
	{ "a length", .answer = LINE(",\"content\":\"H\"", DONE("length")), .events = "start(, m) text(H) usage(input=17 output=5) finish(length, length)" },
	{ "calls, with and without ids", .streamed = true, .answer = LINE(",\"content\":\"\",\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":{\"n\":1}}},{\"function\":{\"name\":\"g\",\"arguments\":{}}}]", ",\"done\":false") LINE(",\"content\":\"\"", DONE("stop")),
	  .events = "start(, m) tool_begin(0, a, f) tool_args(0, {\"n\":1}) tool_end(0) tool_begin(1, call_1, g) tool_args(1, {}) tool_end(1) usage(input=17 output=5) finish(tool_calls, stop)" },
	{ "ids that are made are not those of earlier turns", .request = ASK("{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"call_0\",\"function\":{\"name\":\"f\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_0\",\"content\":\"4\"}", TOOLS),
	  .answer = LINE(",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]", DONE("stop")), .events = "start(, m) tool_begin(0, call_1, f) tool_args(0, {}) tool_end(0) usage(input=17 output=5) finish(tool_calls, stop)" },
	{ "a prompt that was cached whole", .answer = LINE(",\"content\":\"H\"", ",\"done\":true,\"eval_count\":1"), .events = "start(, m) text(H) usage(output=1) finish(stop, stop)" },
	{ "an error in the stream", .streamed = true, .answer = LINE(",\"content\":\"H\"", ",\"done\":false") "{\"error\":\"an error was encountered\"}\n", .events = "start(, m) text(H) error(server, an error was encountered)" },
	{ "no such model", .status = 404, .answer = "{\"error\":\"model 'x' not found\"}", .events = "error(not_found, model 'x' not found)" },
	{ "its line is full", .status = 503, .answer = "{\"error\":\"server busy, please try again.  maximum pending requests exceeded\"}", .events = "error(overloaded, server busy, please try again.  maximum pending requests exceeded)" },
	{ "a bad request", .status = 400, .answer = "{\"error\":\"does not support tools\"}", .events = "error(bad_request, does not support tools, final)" },
};

static const struct rig_case embeds[] = {
	{ "vectors", .request = "{\"model\":\"a/b\",\"input\":[\"x\",\"y\"],\"dimensions\":2}", .path = "/api/embed", .body = "{\"model\":\"m-1\",\"input\":[\"x\",\"y\"],\"dimensions\":2}",
	  .answer = "{\"model\":\"m\",\"embeddings\":[[0.1,2],[3,4]],\"prompt_eval_count\":4}", .events = "start(, m) vector(0, [0.1,2]) vector(1, [3,4]) usage(input=4)" },
	{ "no token ids", .request = "{\"model\":\"a/b\",\"input\":[1]}", .events = "refused(input: this upstream takes text alone)" },
};

static const struct rig_case lists[] = {
	{ "models", .path = "/api/tags", .answer = "{\"models\":[{\"name\":\"llama3:8b\"}]}", .events = "model(llama3:8b, {\"name\":\"llama3:8b\"})" },
};

static const struct recorded recordings[] = {
	{ "ollama/chat-with-tool-call", NULL, "reasoning(Thinking Process|tool_begin(0, call_gsiiy8py, get_current_weather)|tool_args(0, {\"city\":\"Paris\"})|usage(input=292 output=143)|finish(tool_calls, stop)",
	  .asks = "{\"model\":\"x\",\"messages\":\"@/messages\",\"tools\":\"@/tools\",\"temperature\":0,\"seed\":42}" },
	{ "ollama/ollama-streaming-chat-legacy", NULL, "text(Why did the|usage(input=17 output=50)|finish(stop, stop)", .asks = "{\"model\":\"x\",\"messages\":\"@/messages\"}" },
};

static void level(json_t *body)
{
	if (json_is_null(json_object_get(body, "keep_alive")))
		json_object_del(body, "keep_alive");
	if (json_is_string(json_object_get(body, "format")) && !json_string_length(json_object_get(body, "format")))
		json_object_del(body, "format");
}

#define RUN(op, cases) rig_run(mg_plugin_entry(), op, cases, sizeof(cases) / sizeof((cases)[0]))

int main(void)
{
	int bad = 0;

	recorded_level = level;
	for (size_t i = 0; i < sizeof(recordings) / sizeof(recordings[0]); i++)
		recorded_run(MG_CHAT, &recordings[i]);
	bad |= RUN(MG_CHAT, requests);
	bad |= RUN(MG_CHAT, answers);
	bad |= RUN(MG_EMBEDDINGS, embeds);
	return bad | RUN(MG_MODELS, lists);
}
