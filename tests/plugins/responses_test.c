/* The responses dialect: input items out, output items and their events in.
 *
 * Two requests are the same when they differ in no more than: store false, which a gateway says
 * always; instructions of no words; stream false; content as a text, which is one input_text. */
#include "recorded.h"

#define ASK(messages, members) "{\"model\":\"a/b\",\"messages\":[" messages "]" members "}"
#define KEPT ",\"store\":false,\"include\":[\"reasoning.encrypted_content\"]"
#define SENT(input, members) "{\"model\":\"m-1\",\"input\":[" input "]" KEPT members "}"
#define ROW(quirks) "{\"model\":\"m-1\",\"quirks\":{" quirks "}}"
#define HI "{\"role\":\"user\",\"content\":\"Hi\"}"
#define IN(text) "{\"type\":\"input_text\",\"text\":\"" text "\"}"
#define USER(parts) "{\"role\":\"user\",\"content\":[" parts "]}"
#define SAID USER(IN("Hi"))
#define OUT(text) "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"" text "\",\"annotations\":[]}]}"
#define CALL(id, args) "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"" args "\"}}"
#define CALLED(id, args) "{\"type\":\"function_call\",\"call_id\":\"" id "\",\"name\":\"f\",\"arguments\":\"" args "\"}"
#define SUMMARY(text, id, index) "{\"type\":\"reasoning.summary\",\"summary\":\"" text "\",\"id\":\"" id "\",\"format\":\"openai-responses-v1\",\"index\":" index "}"
#define SECRET(data, id, index) "{\"type\":\"reasoning.encrypted\",\"data\":\"" data "\",\"id\":\"" id "\",\"format\":\"openai-responses-v1\",\"index\":" index "}"
#define THOUGHT(id, summary, data) "{\"type\":\"reasoning\",\"id\":\"" id "\",\"summary\":[" summary "],\"encrypted_content\":\"" data "\"}"
#define TOOL "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"cache_control\":{\"type\":\"ephemeral\"}}}"
#define TOOL_SENT "{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{}},\"strict\":false}"

static const struct rig_case requests[] = {
	{ "nothing is kept, thoughts come along", .request = ASK(HI, ",\"max_tokens\":20,\"stop\":\"x\",\"seed\":1,\"temperature\":0.5"), .path = "/responses",
	  .body = SENT(SAID, ",\"max_output_tokens\":20,\"temperature\":0.5"), .sends = "Authorization: Bearer sk-rig" },
	{ "a model that does not think is not asked to", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"high\"}"), .endpoint = ROW("\"reasoning_out\":\"none\""),
	  .body = "{\"model\":\"m-1\",\"input\":[" SAID "],\"store\":false}" },
	{ "instructions, and what the developer says later", .request = ASK("{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"d\",\"cache_control\":{}}]}," HI, ""),
	  .body = "{\"model\":\"m-1\",\"instructions\":\"s\",\"input\":[{\"role\":\"developer\",\"content\":[" IN("d") "]}," SAID "]" KEPT "}" },
	{ "images, files, sound", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i.png\",\"detail\":\"low\"}},{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":\"data:application/pdf;base64,AAEC\"}},"
		"{\"type\":\"file\",\"file\":{\"file_data\":\"https://h/d.pdf\"}},{\"type\":\"file\",\"file\":{\"file_id\":\"f-1\"}},{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAEC\",\"format\":\"wav\"}}]}", ""),
	  .body = SENT(USER("{\"type\":\"input_image\",\"image_url\":\"https://h/i.png\",\"detail\":\"low\"},{\"type\":\"input_file\",\"filename\":\"a.pdf\",\"file_data\":\"data:application/pdf;base64,AAEC\"},"
		"{\"type\":\"input_file\",\"file_url\":\"https://h/d.pdf\"},{\"type\":\"input_file\",\"file_id\":\"f-1\"},{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAEC\",\"format\":\"wav\"}}"), "") },
	{ "video is refused", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"video_url\",\"video_url\":{}}]}", ""), .events = "refused(messages[].content[].type: this upstream takes no video_url)" },
	{ "thoughts and calls take the turns that they took, pieces of a stream as one",
	  .request = ASK(HI ",{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_details\":[" SUMMARY("a\\n", "rs_1", "0") "," SUMMARY("b", "rs_1", "0") "," SECRET("e1", "rs_1", "0") "," SECRET("e2", "rs_2", "2") "," SECRET("e3", "rs_3", "4") "],"
		"\"tool_calls\":[" CALL("c1", "{\\\"n\\\":1.0}") "," CALL("c2", "") "]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"ok\"},{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":[{\"type\":\"text\",\"text\":\"ok\"}]}", ""),
	  .body = SENT(SAID "," THOUGHT("rs_1", "{\"type\":\"summary_text\",\"text\":\"a\\nb\"}", "e1") "," OUT("x") "," THOUGHT("rs_2", "", "e2") "," CALLED("c1", "{\\\"n\\\":1.0}") "," THOUGHT("rs_3", "", "e3") "," CALLED("c2", "{}")
		",{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"ok\"},{\"type\":\"function_call_output\",\"call_id\":\"c2\",\"output\":[" IN("ok") "]}", "") },
	{ "thoughts of others, and thoughts that could not be known again, stay here",
	  .request = ASK("{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"t\",\"signature\":\"s\",\"format\":\"anthropic-claude-v1\",\"index\":0}," SUMMARY("a", "rs_1", "1") "]}", ""),
	  .body = SENT(OUT("x"), "") },
	{ "tools are flat, and not strict unless the client says so", .request = ASK(HI, ",\"tools\":[" TOOL ",{\"type\":\"function\",\"function\":{\"name\":\"g\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"},\"strict\":true}},{\"type\":\"web_search\"}],"
		"\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},\"parallel_tool_calls\":false"),
	  .body = SENT(SAID, ",\"tools\":[" TOOL_SENT ",{\"type\":\"function\",\"name\":\"g\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"},\"strict\":true},{\"type\":\"web_search\"}],\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"},\"parallel_tool_calls\":false") },
	{ "some of the tools", .request = ASK(HI, ",\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}}"),
	  .body = SENT(SAID, ",\"tools\":[" TOOL_SENT "],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]}") },
	{ "a type inside a function stays there", .request = ASK(HI, ",\"tools\":[{\"type\":\"function\",\"function\":{\"type\":\"x\",\"name\":\"f\"}}],\"tool_choice\":{\"type\":\"function\",\"function\":{\"type\":\"x\",\"name\":\"f\"}}"),
	  .body = SENT(SAID, ",\"tools\":[" TOOL_SENT "],\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}") },
	{ "an unknown tool", .request = ASK(HI, ",\"tools\":[{\"type\":\"openrouter:x\"}]"), .events = "refused(tools[].type: not one that this upstream knows; use \"function\")" },
	{ "a schema, verbosity, probabilities", .request = ASK(HI, ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"strict\":true,\"schema\":{\"type\":\"object\"}}},\"verbosity\":\"low\",\"logprobs\":true,\"top_logprobs\":2"),
	  .body = "{\"model\":\"m-1\",\"input\":[" SAID "],\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"x\",\"strict\":true,\"schema\":{\"type\":\"object\"}},\"verbosity\":\"low\"},"
		"\"store\":false,\"include\":[\"reasoning.encrypted_content\",\"message.output_text.logprobs\"],\"top_logprobs\":2}" },
	{ "the nearest effort, and its summary", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"minimal\"}"), .endpoint = ROW("\"efforts\":[\"low\",\"high\"],\"summary\":\"detailed\""),
	  .body = SENT(SAID, ",\"reasoning\":{\"effort\":\"low\",\"summary\":\"detailed\"}") },
	{ "thoughts that nobody wants to see", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"low\",\"exclude\":true}"), .body = SENT(SAID, ",\"reasoning\":{\"effort\":\"low\"}") },
	{ "off, where it can be", .request = ASK(HI, ",\"reasoning\":{\"enabled\":false}"), .endpoint = ROW("\"efforts\":[\"none\",\"low\"]"), .body = SENT(SAID, ",\"reasoning\":{\"effort\":\"none\"}") },
	{ "off, where it cannot", .request = ASK(HI, ",\"reasoning\":{\"enabled\":false}"), .endpoint = ROW("\"efforts\":[\"low\"]"), .body = SENT(SAID, "") },
	{ "members of the row, once", .request = ASK(HI, ",\"max_tokens\":20"), .endpoint = ROW("\"set\":{\"store\":true,\"max_output_tokens\":9,\"user\":\"u\"}"),
	  .body = "{\"model\":\"m-1\",\"input\":[" SAID "],\"store\":true,\"include\":[\"reasoning.encrypted_content\"],\"max_output_tokens\":20,\"user\":\"u\"}" },
	{ "Azure: the key in its own header, the version in the path; members that must not be sent", .request = ASK(HI, ",\"temperature\":1,\"stream\":true"),
	  .endpoint = "{\"model\":\"my deployment\",\"options\":{\"api_version\":\"preview\"},\"quirks\":{\"auth\":\"api-key\",\"path\":\"/{model}/responses?api-version={api_version}\",\"drop\":[\"temperature\"],\"stream_set\":{\"stream_options\":{\"include_obfuscation\":false}}}}",
	  .path = "/my%20deployment/responses?api-version=preview", .sends = "api-key: sk-rig",
	  .body = "{\"model\":\"my deployment\",\"input\":[" SAID "]" KEPT ",\"stream\":true,\"stream_options\":{\"include_obfuscation\":false}}" },
};

#define EV(type, rest) "event: response." type "\ndata: {\"type\":\"response." type "\",\"sequence_number\":7" rest "}\n\n"
#define AT(n, rest) ",\"output_index\":" n rest
#define BEGIN EV("created", ",\"response\":{\"id\":\"i\",\"model\":\"m\",\"status\":\"in_progress\",\"output\":[]}") EV("in_progress", ",\"response\":{\"id\":\"i\"}")
#define ADDED(n, item) EV("output_item.added", AT(n, ",\"item\":" item))
#define DONE(n, item) EV("output_item.done", AT(n, ",\"item\":" item))
#define DELTA(n, type, text) EV(type ".delta", AT(n, ",\"delta\":\"" text "\""))
#define COUNTS ",\"usage\":{\"input_tokens\":20,\"input_tokens_details\":{\"cached_tokens\":5,\"cache_write_tokens\":3},\"output_tokens\":9,\"output_tokens_details\":{\"reasoning_tokens\":4},\"total_tokens\":29}"
#define COUNTED "usage(input=12 cached=5 cache_write=3 output=5 reasoning=4) "
#define ALL(output, status, rest) "{\"id\":\"i\",\"model\":\"m\",\"status\":\"" status "\",\"error\":null,\"output\":[" output "]" COUNTS rest "}"
#define END(output) EV("completed", ",\"response\":" ALL(output, "completed", ""))
#define RS1 "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"hm\"},{\"type\":\"summary_text\",\"text\":\"so\"}],\"encrypted_content\":\"e1\"}"
#define MSG "{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hé\",\"annotations\":[{\"type\":\"url_citation\",\"url\":\"u\",\"title\":\"t\",\"start_index\":0,\"end_index\":2},{\"type\":\"file_citation\",\"file_id\":\"f\"}]}]}"
#define FC(n, args) "{\"type\":\"function_call\",\"id\":\"fc_" n "\",\"call_id\":\"c" n "\",\"name\":\"f\",\"arguments\":\"" args "\"}"
#define WS "{\"type\":\"web_search_call\",\"id\":\"ws_1\",\"action\":{\"type\":\"search\"}}"
#define R "openai-responses-v1"
#define CITED "annotation({\"type\":\"url_citation\",\"url_citation\":{\"url\":\"u\",\"title\":\"t\",\"start_index\":0,\"end_index\":2}}) "
#define SUM(text) "reasoning(" text ", " R ", {\"type\":\"reasoning.summary\",\"id\":\"rs_1\"}) "
#define ENC "reasoning(, " R ", {\"type\":\"reasoning.encrypted\",\"id\":\"rs_1\",\"data\":\"e1\"}) "
#define CALLS "tool_begin(0, c1, f) tool_args(0, {\"n\":1.0}) tool_end(0) tool_begin(1, c2, f) tool_args(1, {}) tool_end(1) "

static const struct rig_case answers[] = {
	{ "thoughts, text, sources, calls", .streamed = true, .answer = BEGIN ADDED("0", "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[]}")
		EV("reasoning_summary_text.delta", AT("0", ",\"summary_index\":0,\"delta\":\"hm\"")) EV("reasoning_summary_text.done", AT("0", ",\"text\":\"hm\"")) EV("reasoning_summary_text.delta", AT("0", ",\"summary_index\":1,\"delta\":\"so\"")) DONE("0", RS1)
		ADDED("1", "{\"type\":\"message\",\"id\":\"msg_1\",\"content\":[]}") DELTA("1", "output_text", "H") DELTA("1", "output_text", "é")
		EV("output_text.annotation.added", AT("1", ",\"annotation\":{\"type\":\"url_citation\",\"url\":\"u\",\"title\":\"t\",\"start_index\":0,\"end_index\":2}")) EV("output_text.done", AT("1", ",\"text\":\"Hé\"")) DONE("1", MSG)
		ADDED("2", FC("1", "")) DELTA("2", "function_call_arguments", "{\\\"n\\\"") DELTA("2", "function_call_arguments", ":1.0}") EV("function_call_arguments.done", AT("2", ",\"arguments\":\"{\\\"n\\\":1.0}\"")) DONE("2", FC("1", "{\\\"n\\\":1.0}"))
		ADDED("3", FC("2", "")) DONE("3", FC("2", "")) END(RS1 "," MSG "," FC("1", "{\\\"n\\\":1.0}") "," FC("2", "")),
	  .events = "start(i, m) " SUM("hm") SUM("\\n\\n") SUM("so") ENC "text(Hé) " CITED CALLS COUNTED "finish(tool_calls, completed)" },
	{ "the same, whole", .answer = ALL(RS1 "," MSG "," FC("1", "{\\\"n\\\":1.0}") "," FC("2", ""), "completed", ""),
	  .events = "start(i, m) " SUM("hm\\n\\nso") ENC "text(Hé) " CITED CALLS COUNTED "finish(tool_calls, completed)" },
	{ "a server that sends whole items only", .streamed = true, .answer = BEGIN DONE("0", MSG) DONE("1", FC("1", "{\\\"n\\\":1.0}")) END(MSG "," FC("1", "{\\\"n\\\":1.0}")),
	  .events = "start(i, m) text(Hé) " CITED "tool_begin(0, c1, f) tool_args(0, {\"n\":1.0}) tool_end(0) " COUNTED "finish(tool_calls, completed)" },
	{ "a server that sends the arguments at their end, and another the rest at the last", .streamed = true, .answer = BEGIN ADDED("0", FC("1", "")) EV("function_call_arguments.done", AT("0", ",\"arguments\":\"{\\\"n\\\":1.0}\""))
		ADDED("1", FC("2", "")) DELTA("1", "function_call_arguments", "{") END(FC("1", "{\\\"n\\\":1.0}") "," FC("2", "{}")),
	  .events = "start(i, m) tool_begin(0, c1, f) tool_args(0, {\"n\":1.0}) tool_begin(1, c2, f) tool_args(1, {) tool_end(0) tool_args(1, }) tool_end(1) " COUNTED "finish(tool_calls, completed)" },
	{ "a server whose last event has no items", .streamed = true, .answer = BEGIN ADDED("0", FC("1", "")) DELTA("0", "function_call_arguments", "{}") ADDED("1", FC("2", "")) END(""),
	  .events = "start(i, m) tool_begin(0, c1, f) tool_args(0, {}) tool_begin(1, c2, f) tool_end(0) tool_args(1, {}) tool_end(1) " COUNTED "finish(tool_calls, completed)" },
	{ "deltas of an item that was never announced", .streamed = true, .answer = BEGIN DELTA("0", "output_text", "H") DELTA("1", "function_call_arguments", "lost") END(MSG "," FC("1", "{}")),
	  .events = "start(i, m) text(Hé) " CITED "tool_begin(0, c1, f) tool_args(0, {}) tool_end(0) " COUNTED "finish(tool_calls, completed)" },
	{ "an open model's raw thoughts; a refusal", .streamed = true, .answer = BEGIN ADDED("0", "{\"type\":\"reasoning\",\"id\":\"rs_1\"}") DELTA("0", "reasoning_text", "hm") DONE("0", "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],\"content\":[{\"type\":\"reasoning_text\",\"text\":\"hm\"}]}")
		ADDED("1", "{\"type\":\"message\"}") DELTA("1", "refusal", "no") END("{\"type\":\"reasoning\",\"id\":\"rs_1\"},{\"type\":\"message\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]}"),
	  .events = "start(i, m) reasoning(hm, " R ", {\"type\":\"reasoning.text\",\"id\":\"rs_1\"}) refusal(no) " COUNTED "finish(stop, completed)" },
	{ "the service's own search is no call, and counts", .answer = ALL(WS "," WS "," MSG, "completed", ""),
	  .events = "start(i, m) text(Hé) " CITED "usage(input=12 cached=5 cache_write=3 output=5 reasoning=4 searches=2) finish(stop, completed)" },
	{ "whose thoughts they are", .endpoint = "{\"model\":\"m-1\",\"provider\":\"azure\"}", .answer = ALL("{\"type\":\"reasoning\",\"id\":\"r\",\"encrypted_content\":\"e\"}", "completed", ""),
	  .events = "start(i, m) reasoning(, azure-openai-responses-v1, {\"type\":\"reasoning.encrypted\",\"id\":\"r\",\"data\":\"e\"}) " COUNTED "finish(stop, completed)" },
	{ "a picture that does not say its format", .answer = ALL("{\"type\":\"image_generation_call\",\"result\":\"AAEC\"}", "completed", ""), .events = "start(i, m) image(image/png, 3 bytes) " COUNTED "finish(stop, completed)" },
	{ "a picture", .answer = ALL("{\"type\":\"image_generation_call\",\"result\":\"AAEC\",\"output_format\":\"webp\"}", "completed", ""), .events = "start(i, m) image(image/webp, 3 bytes) " COUNTED "finish(stop, completed)" },
	{ "probabilities", .streamed = true, .answer = BEGIN ADDED("0", "{\"type\":\"message\"}") EV("output_text.delta", AT("0", ",\"delta\":\"x\",\"logprobs\":[{\"token\":\"x\",\"logprob\":-1}]")) END(""),
	  .events = "start(i, m) text(x) logprobs({\"content\":[{\"token\":\"x\",\"logprob\":-1}]}) " COUNTED "finish(stop, completed)" },
	{ "too long an answer", .answer = ALL("", "incomplete", ",\"incomplete_details\":{\"reason\":\"max_output_tokens\"}"), .events = "start(i, m) " COUNTED "finish(length, max_output_tokens)" },
	{ "a filtered one, streamed", .streamed = true, .answer = BEGIN EV("incomplete", ",\"response\":" ALL("", "incomplete", ",\"incomplete_details\":{\"reason\":\"content_filter\"}")),
	  .events = "start(i, m) " COUNTED "finish(content_filter, content_filter)" },
	{ "a failed one with status 200", .answer = "{\"id\":\"i\",\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"},\"output\":[]}", .events = "error(rate_limited, slow, code rate_limit_exceeded)" },
	{ "one that was put off", .answer = "{\"id\":\"i\",\"status\":\"queued\",\"error\":null,\"output\":[]}", .events = "error(upstream, an answer without output[], or not finished)" },
	{ "an error without a type", .streamed = true, .answer = BEGIN "data: {\"error\":{\"message\":\"x\",\"code\":\"insufficient_quota\"}}\n\n", .events = "start(i, m) error(quota, x, code insufficient_quota)" },
	{ "xAI says what it cost", .answer = "{\"id\":\"i\",\"model\":\"m\",\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":2,\"cost_in_usd_ticks\":158500}}", .events = "start(i, m) usage(input=1 output=2 cost_nusd=15850) finish(stop, completed)" },
	{ "the rate", .headers = "x-ratelimit-remaining-requests: 9\nx-ratelimit-limit-requests: 10\nx-ratelimit-reset-requests: 1.5s", .answer = ALL("", "completed", ""),
	  .events = "start(i, m) limit(requests, {\"remaining\":\"9\",\"limit\":\"10\"}, reset 1500 ms) " COUNTED "finish(stop, completed)" },
	{ "too long a question", .status = 400, .answer = "{\"error\":{\"message\":\"Your input exceeds the context window of this model.\",\"type\":\"invalid_request_error\",\"code\":\"context_length_exceeded\"}}",
	  .events = "error(context_length, Your input exceeds the context window of this model., code context_length_exceeded)" },
};

static const struct recorded recordings[] = {
	{ "openrouter-responses/reasoning-1-stream", NULL, "reasoning(|finish(stop, completed)",
	  .asks = "{\"stream\":true,\"max_tokens\":128,\"reasoning\":{\"effort\":\"minimal\"},\"messages\":[\"@/input/0\"]}" },
	{ "openai-responses/openai-image-generation-tool-1-stream", NULL, "start(resp_0df93c0bb83a72f20068c979db26ac819e8b5a444fad3f0d7f, gpt-5-2025-08-07)|finish(stop, completed)" },
	{ "openai-responses/openai-include-raw-annotations-streaming", NULL, "text(The tallest mountain in Alberta is **Mount Columbia**|annotation({\"type\":\"url_citation\",\"url_citation\":{\"url\":\"https://www.britannica.com/place/Mount-Columbia?utm_source=openai\"|searches=2|finish(stop, completed)",
	  .asks = "{\"model\":\"gpt-5.2\",\"stream\":true,\"messages\":[{\"role\":\"system\",\"content\":\"@/instructions\"},{\"role\":\"user\",\"content\":\"@/input/0/content\"}],\"tools\":[\"@/tools/0\"],\"tool_choice\":\"auto\"}" },
	{ "openai-responses/openai-responses-document-as-binary-content-input", "{\"reasoning_out\":\"none\"}", "text(The document contains the text \"Dummy PDF file.\") usage(input=51 output=11) finish(stop, completed)",
	  .asks = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"@/input/0/content/0/text\"},{\"type\":\"file\",\"file\":{\"filename\":\"filename.pdf\",\"file_data\":\"@/input/0/content/1/file_data\"}}]}]}" },
	{ "openai-responses/openai-responses-thinking-with-modified-history-1", NULL, "error(bad_request, Item 'rs_68c42de022c881948db7ed1cc2529f2e0202c9ad459e0d23' of type 'reasoning'|final)",
	  .asks = "{\"messages\":[{\"role\":\"user\",\"content\":\"@/input/0/content\"},{\"role\":\"assistant\",\"content\":\"@/input/2/content\",\"reasoning_details\":[{\"type\":\"reasoning.summary\",\"summary\":\"@/input/1/summary/0/text\",\"id\":\"@/input/1/id\",\"format\":\"openai-responses-v1\",\"index\":0},"
		"{\"type\":\"reasoning.encrypted\",\"data\":\"@/input/1/encrypted_content\",\"id\":\"@/input/1/id\",\"format\":\"openai-responses-v1\",\"index\":0}]},{\"role\":\"user\",\"content\":\"@/input/3/content\"}],\"reasoning\":{\"effort\":\"low\",\"summary\":\"detailed\"}}" },
	{ "openai-responses/web-search-agent-run-in-workflow", NULL, "{\"type\":\"reasoning.encrypted\",\"id\":\"rs_0cc772278fa4f4140068efa9bf0dcc819ca630d7697c77a632\"|annotation(|usage(input=9394 cached=3200 output=62 reasoning=1088 searches=2) finish(stop, completed)",
	  .asks = "{\"messages\":[{\"role\":\"user\",\"content\":\"@/input/0/content\"}],\"tools\":[\"@/tools/0\"],\"tool_choice\":\"auto\"}" },
	{ "azure-responses/openai-file-search-tool-1-stream", "{\"format\":\"azure-openai-responses-v1\"}", "text(According to the document, an embedding model|finish(stop, completed)" },
	{ "xai-responses/xai-web-search-tool-1", "{\"format\":\"xai-responses-v1\"}", "text(xAI is an American|annotation({\"type\":\"url_citation\",\"url_citation\":{\"url\":\"https://x.ai/company\"}})|usage(input=994 cached=947 output=203 reasoning=380 searches=1) finish(stop, completed)" },
#define INVENTED(name, said) { "invented/" name, NULL, said }
	INVENTED("openai-responses/stream-failed", "text(Hel) error(server, it broke, code server_error)"),
	INVENTED("openai-responses/stream-rate-limited", "error(rate_limited, slow down, code rate_limit_exceeded)"),
	INVENTED("openai-responses/stream-error", "error(server, it broke, code server_error)"),
	INVENTED("openai-responses/stream-cut-short", "text(Hel) error(upstream, the answer ended without its last event)"),
	INVENTED("openai-responses/rate-limit-429", "error(rate_limited, Rate limit reached, code rate_limit_exceeded, retry after 2000 ms)"),
	INVENTED("openai-responses/quota-429", "error(quota, You exceeded your current quota, code insufficient_quota)"),
	INVENTED("openai-responses/server-500", "error(server, The server had an error, code server_error)"),
	INVENTED("azure-responses/content-filter-400", "error(moderation, The response was filtered, code content_filter, final)"),
	INVENTED("azure-chat/apim-429", "error(rate_limited, Rate limit is exceeded. Try again in 6 seconds., retry after 6000 ms)"),
	INVENTED("azure-chat/apim-401", "error(auth, Unauthorized."),
};

static const struct rig_case models[] = {
	{ "models", .path = "/models", .answer = "{\"data\":[{\"id\":\"a\"}]}", .events = "model(a, {\"id\":\"a\"})" },
};

static void level(json_t *body)
{
	const char *words = json_string_value(json_object_get(body, "instructions"));
	json_t *item, *content;
	size_t i;

	json_object_del(body, "store");
	if (json_is_false(json_object_get(body, "stream")))
		json_object_del(body, "stream");
	if (words && !*words)
		json_object_del(body, "instructions");
	json_array_foreach(json_object_get(body, "input"), i, item) {
		content = json_object_get(item, "content");
		if (!strcmp(json_string_value(json_object_get(item, "role")) ? json_string_value(json_object_get(item, "role")) : "", "assistant")) {
			json_object_del(item, "type");
			if (json_is_array(content))
				json_object_set(item, "content", json_object_get(json_array_get(content, 0), "text"));
		} else if (json_is_string(content)) {
			json_object_set_new(item, "content", json_pack("[{s:s,s:O}]", "type", "input_text", "text", content));
		}
	}
}

#define RUN(op, cases) rig_run(mg_plugin_entry(), op, cases, sizeof(cases) / sizeof((cases)[0]))

int main(void)
{
	int bad = 0;

	recorded_level = level;
	for (size_t i = 0; i < sizeof(recordings) / sizeof(recordings[0]); i++)
		recorded_run(MG_CHAT, &recordings[i]);
	bad |= RUN(MG_MODELS, models);
	bad |= RUN(MG_CHAT, answers);
	bad |= RUN(MG_CHAT, requests);
	return bad;
}
