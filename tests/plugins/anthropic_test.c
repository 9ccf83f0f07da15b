/* The anthropic dialect: turns, blocks and thinking out; events in. */
#include "recorded.h"

#define ASK(messages, members) "{\"model\":\"a/b\",\"messages\":[" messages "]" members "}"
#define SENT(messages, members) "{\"model\":\"m-1\",\"max_tokens\":8000,\"messages\":[" messages "]" members "}"
#define ROW(quirks) "{\"model\":\"m-1\",\"max_output\":8000,\"quirks\":{" quirks "}}"
#define HI "{\"role\":\"user\",\"content\":\"Hi\"}"
#define PIECE(text, index) "{\"type\":\"reasoning.text\",\"text\":\"" text "\",\"format\":\"anthropic-claude-v1\",\"index\":" #index "}"
#define BLOCK(text) "{\"type\":\"text\",\"text\":\"" text "\"}"
#define USER(blocks) "{\"role\":\"user\",\"content\":[" blocks "]}"
#define CLAUDE(blocks) "{\"role\":\"assistant\",\"content\":[" blocks "]}"
#define SAID USER(BLOCK("Hi"))
#define CALL "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"a.1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\":12345678901234567890}\"}}]}"
#define USE "{\"type\":\"tool_use\",\"id\":\"a_1\",\"name\":\"f\",\"input\":{\"n\":12345678901234567890}}"
#define RESULT "{\"role\":\"tool\",\"tool_call_id\":\"a.1\",\"content\":\"ok\"}"
#define DONE "{\"type\":\"tool_result\",\"tool_use_id\":\"a_1\",\"content\":\"ok\"}"
#define TOOLS ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"
#define TOOLS_SENT ",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}]"
#define SCHEMA ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{\"type\":\"object\"}}}"
#define ADAPTIVE "\"thinking\":\"adaptive\",\"efforts\":[\"low\",\"medium\",\"high\"]"

#define INVOKE "\"path\":\"/model/{model}/invoke\",\"stream_path\":\"/model/{model}/invoke-with-response-stream\",\"version_in_body\":\"bedrock-2023-05-31\"," \
	"\"stream_in_body\":false,\"auth\":\"sigv4\",\"urls\":false"

#define VERTEX "\"auth\":\"google\",\"version_in_body\":\"vertex-2023-10-16\",\"path\":\"/models/{model}:rawPredict\",\"stream_path\":\"/models/{model}:streamRawPredict\",\"urls\":false"
#define AT_VERTEX(messages, members) "{\"anthropic_version\":\"vertex-2023-10-16\",\"max_tokens\":8000,\"messages\":[" messages "]" members "}"

static const struct rig_case requests[] = {
	{ "the version, the key, the limit of the endpoint", .request = ASK(HI, ""), .endpoint = ROW(""), .path = "/v1/messages",
	  .body = SENT(SAID, ""), .sends = "anthropic-version: 2023-06-01\nx-api-key: sk-rig" },
	{ "system apart, with its cache marks; later ones are the user's",
	  .request = ASK("{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"s\",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}}]},"
		"{\"role\":\"developer\",\"content\":\"d\"}," HI ",{\"role\":\"system\",\"content\":\"late\"}", ""), .endpoint = ROW(""),
	  .body = SENT(USER(BLOCK("Hi") "," BLOCK("late")),
		",\"system\":[{\"type\":\"text\",\"text\":\"s\",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}},{\"type\":\"text\",\"text\":\"d\"}]") },
	{ "turns alternate, results come first, ids are made to fit, numbers stay",
	  .request = ASK(HI "," CALL "," RESULT "," HI, TOOLS), .endpoint = ROW(""),
	  .body = SENT(SAID "," CLAUDE(USE) "," USER(DONE "," BLOCK("Hi")), TOOLS_SENT) },
	{ "a history of calls brings its tools", .request = ASK(HI "," CALL "," RESULT, ""), .endpoint = ROW(""),
	  .body = SENT(SAID "," CLAUDE(USE) "," USER(DONE), TOOLS_SENT ",\"tool_choice\":{\"type\":\"none\"}") },
	{ "an assistant first, empty text, a prefill", .request = ASK("{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"\"},{\"role\":\"assistant\",\"content\":\"b \\n\"}", ""),
	  .endpoint = ROW(""), .body = SENT("{\"role\":\"user\",\"content\":\".\"}," CLAUDE(BLOCK("a")) "," CLAUDE(BLOCK("b")), "") },
	{ "arguments that are no object", .request = ASK("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"[1]\"}}]}", ""),
	  .events = "refused(messages[].tool_calls[].function.arguments: not the text of a JSON object)" },
	{ "images and documents", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/jpg;base64,AAEC\"}},"
		"{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i.png\"},\"cache_control\":{\"type\":\"ephemeral\"}},"
		"{\"type\":\"file\",\"file\":{\"filename\":\"n.pdf\",\"file_data\":\"data:application/pdf;base64,AAEC\"}},"
		"{\"type\":\"file\",\"file\":{\"file_data\":\"data:text/plain;base64,SGk=\"}},{\"type\":\"file\",\"file\":{\"file_data\":\"https://h/d.pdf\"}}]}", ""), .endpoint = ROW(""),
	  .body = SENT(USER("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/jpeg\",\"data\":\"AAEC\"}},"
		"{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://h/i.png\"},\"cache_control\":{\"type\":\"ephemeral\"}},"
		"{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/pdf\",\"data\":\"AAEC\"},\"title\":\"n.pdf\"},"
		"{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"Hi\"}},"
		"{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://h/d.pdf\"}}"), "") },
	{ "audio is refused", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{}}]}", ""),
	  .events = "refused(messages[].content[].type: this upstream takes no input_audio)" },
	{ "a named tool, one at a time", .request = ASK(HI, TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},\"parallel_tool_calls\":false"), .endpoint = ROW(""),
	  .body = SENT(SAID, TOOLS_SENT ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\",\"disable_parallel_tool_use\":true}") },
	{ "one at a time, no choice given", .request = ASK(HI, TOOLS ",\"parallel_tool_calls\":false"), .endpoint = ROW(""),
	  .body = SENT(SAID, TOOLS_SENT ",\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}") },
	{ "some tool must be called", .request = ASK(HI, TOOLS ",\"tool_choice\":\"required\""), .endpoint = ROW(""),
	  .body = SENT(SAID, TOOLS_SENT ",\"tool_choice\":{\"type\":\"any\"}") },
	{ "the service's own tools pass, others are refused", .request = ASK(HI, ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]"), .endpoint = ROW(""),
	  .body = SENT(SAID, ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]") },
	{ "an unknown tool", .request = ASK(HI, ",\"tools\":[{\"type\":\"openrouter:x\"}]"),
	  .events = "refused(tools[].type: not one that this upstream knows; use \"function\")" },
	{ "effort becomes a budget, sampling goes", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"medium\"},\"temperature\":0.3,\"max_tokens\":8000"), .endpoint = ROW(""),
	  .body = SENT(SAID, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":4000}") },
	{ "a budget is below max_tokens", .request = ASK(HI, ",\"reasoning\":{\"max_tokens\":9000}"), .endpoint = ROW(""),
	  .body = SENT(SAID, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":7999}") },
	{ "no room to think", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"high\"},\"max_tokens\":1000"), .endpoint = ROW(""),
	  .body = "{\"model\":\"m-1\",\"max_tokens\":1000,\"messages\":[" SAID "]}" },
	{ "adaptive, by effort", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"max\"}"), .endpoint = ROW(ADAPTIVE),
	  .body = SENT(SAID, ",\"thinking\":{\"type\":\"adaptive\",\"display\":\"summarized\"},\"output_config\":{\"effort\":\"high\"}") },
	{ "verbosity is an effort without thinking", .request = ASK(HI, ",\"verbosity\":\"low\""), .endpoint = ROW(ADAPTIVE),
	  .body = SENT(SAID, ",\"output_config\":{\"effort\":\"low\"}") },
	{ "off is said where it is on by itself", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"none\"}"), .endpoint = ROW("\"thinking_default\":true"),
	  .body = SENT(SAID, ",\"thinking\":{\"type\":\"disabled\"}") },
	{ "thoughts go back first, in order, and only ours",
	  .request = ASK(HI ",{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"t\",\"signature\":\"s\",\"format\":\"anthropic-claude-v1\",\"index\":0},"
		"{\"type\":\"reasoning.encrypted\",\"data\":\"d\",\"format\":\"anthropic-claude-v1\",\"index\":1},{\"type\":\"reasoning.encrypted\",\"data\":\"o\",\"format\":\"openai-responses-v1\"}]}," HI, ""), .endpoint = ROW(""),
	  .body = SENT(SAID "," CLAUDE("{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"s\"},{\"type\":\"redacted_thinking\",\"data\":\"d\"}," BLOCK("x")) "," SAID, "") },
	{ "the pieces of a stream go back as the block that they were",
	  .request = ASK(HI ",{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_details\":[" PIECE("a\\n", 0) "," PIECE("b", 0) ","
		"{\"type\":\"reasoning.text\",\"text\":\"\",\"signature\":\"s\",\"format\":\"anthropic-claude-v1\",\"index\":0}," PIECE("unsigned", 1) ","
		"{\"type\":\"reasoning.text\",\"signature\":\"r\",\"format\":\"anthropic-claude-v1\",\"index\":2}]}," HI, ""), .endpoint = ROW(""),
	  .body = SENT(SAID "," CLAUDE("{\"type\":\"thinking\",\"thinking\":\"a\\nb\",\"signature\":\"s\"},{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"r\"}," BLOCK("x")) "," SAID, "") },
	{ "a tool loop whose thoughts are lost goes on without", .request = ASK(HI "," CALL "," RESULT, TOOLS ",\"reasoning\":{\"effort\":\"high\"}"), .endpoint = ROW(""),
	  .body = SENT(SAID "," CLAUDE(USE) "," USER(DONE), TOOLS_SENT) },
	{ "a schema", .request = ASK(HI, SCHEMA), .endpoint = ROW(""), .body = SENT(SAID, ",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}}") },
	{ "JSON without one", .request = ASK(HI, ",\"response_format\":{\"type\":\"json_object\"}"), .endpoint = ROW(""),
	  .body = SENT(SAID, ",\"system\":[{\"type\":\"text\",\"text\":\"Answer with one JSON object and nothing else: no prose, no code fence.\"}]") },
	{ "sampling is cut to size", .request = ASK(HI, ",\"temperature\":1.7,\"top_p\":0.90,\"top_k\":5,\"stop\":\"x\",\"user\":\"u\",\"seed\":3,\"service_tier\":\"default\""), .endpoint = ROW("\"sampling\":\"one\""),
	  .body = SENT(SAID, ",\"temperature\":1,\"top_k\":5,\"stop_sequences\":[\"x\"],\"metadata\":{\"user_id\":\"u\"},\"service_tier\":\"standard_only\"") },
	{ "by way of Bedrock: the model in the path, the version and the betas in the body", .request = ASK(HI, ",\"stream\":true"),
	  .endpoint = "{\"model\":\"us.anthropic.claude-x:0\",\"max_output\":8000,\"quirks\":{" INVOKE ",\"beta\":[\"b-1\"]}}", .path = "/model/us.anthropic.claude-x%3A0/invoke-with-response-stream",
	  .body = "{\"anthropic_version\":\"bedrock-2023-05-31\",\"max_tokens\":8000,\"messages\":[" SAID "],\"anthropic_beta\":[\"b-1\"]}", .sends = "Accept: application/vnd.amazon.eventstream\nAuthorization: Bearer sk-rig" },
	{ "where no addresses are taken", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i.png\"}}]}", ""), .endpoint = ROW("\"urls\":false"),
	  .events = "refused(messages[].content[].image_url.url: this upstream takes no URL; give a data: URL)" },
	{ "Vertex: the model in the path, the version in the body", .request = ASK(HI, ""), .endpoint = "{\"model\":\"claude-sonnet-4-5@20250929\",\"max_output\":8000,\"quirks\":{\"beta\":\"b-1\"," VERTEX "}}",
	  .path = "/models/claude-sonnet-4-5%4020250929:rawPredict", .body = AT_VERTEX(SAID, ""), .sends = "anthropic-beta: b-1\nAuthorization: Bearer sk-rig" },
	{ "Vertex: a stream", .streamed = true, .request = ASK(HI, ""), .endpoint = ROW(VERTEX), .path = "/models/m-1:streamRawPredict", .body = AT_VERTEX(SAID, ",\"stream\":true") },
	{ "Vertex: no addresses", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i.png\"}}]}", ""), .endpoint = ROW(VERTEX),
	  .events = "refused(messages[].content[].image_url.url: this upstream takes no URL; give a data: URL)" },
	{ "a bearer and a beta", .request = ASK(HI, ""), .endpoint = ROW("\"auth\":\"bearer\",\"beta\":\"b-1\""), .body = SENT(SAID, ""),
	  .sends = "anthropic-beta: b-1\nAuthorization: Bearer sk-rig" },
};

#define EV(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "   }\n\n"
#define BEGIN EV("message_start", ",\"message\":{\"id\":\"i\",\"model\":\"m\",\"usage\":{\"input_tokens\":9,\"cache_read_input_tokens\":4,\"cache_creation_input_tokens\":7," \
	"\"cache_creation\":{\"ephemeral_5m_input_tokens\":2,\"ephemeral_1h_input_tokens\":5},\"output_tokens\":1}}")
#define BEGUN "start(i, m) usage(input=9 cached=4 cache_write=2 cache_write_1h=5 output=1) "
#define START(n, block) EV("content_block_start", ",\"index\":" n ",\"content_block\":" block)
#define DELTA(n, delta) EV("content_block_delta", ",\"index\":" n ",\"delta\":" delta)
#define STOP(n) EV("content_block_stop", ",\"index\":" n)
#define FINISH(word) EV("message_delta", ",\"delta\":{\"stop_reason\":\"" word "\"},\"usage\":{\"output_tokens\":30,\"output_tokens_details\":{\"thinking_tokens\":20}}") EV("message_stop", "")
#define FINISHED "usage(input=9 cached=4 cache_write=2 cache_write_1h=5 output=10 reasoning=20) "

static const struct rig_case answers[] = {
	{ "thinking, its signature, text", .streamed = true, .answer = BEGIN EV("ping", "") START("0", "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
		DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}") DELTA("0", "{\"type\":\"signature_delta\",\"signature\":\"sig\"}") STOP("0")
		START("1", "{\"type\":\"redacted_thinking\",\"data\":\"d\"}") STOP("1")
		START("2", "{\"type\":\"text\",\"text\":\"\"}") DELTA("2", "{\"type\":\"text_delta\",\"text\":\"Hé\"}") STOP("2") FINISH("end_turn"),
	  .events = BEGUN "reasoning(hm, anthropic-claude-v1) reasoning(, anthropic-claude-v1, {\"type\":\"reasoning.text\",\"signature\":\"sig\"}) "
		"reasoning(, anthropic-claude-v1, {\"type\":\"reasoning.encrypted\",\"data\":\"d\"}) text(Hé) " FINISHED "finish(stop, end_turn)" },
	{ "calls are counted alone; one without arguments", .streamed = true, .answer = BEGIN START("0", "{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{}}")
		DELTA("0", "{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}") STOP("0") START("1", "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}")
		DELTA("1", "{\"type\":\"input_json_delta\",\"partial_json\":\"\"}") DELTA("1", "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":1}\"}") STOP("1")
		START("2", "{\"type\":\"tool_use\",\"id\":\"u\",\"name\":\"g\",\"input\":{}}") STOP("2") FINISH("tool_use"),
	  .events = BEGUN "tool_begin(0, t, f) tool_args(0, {\"a\":1}) tool_end(0) tool_begin(1, u, g) tool_args(1, {}) tool_end(1) " FINISHED "finish(tool_calls, tool_use)" },
	{ "a forced tool gives the JSON", .streamed = true, .request = ASK(HI, SCHEMA), .endpoint = ROW("\"structured\":\"tool\""),
	  .body = SENT(SAID, ",\"stream\":true,\"tools\":[{\"name\":\"json\",\"description\":\"Give the final answer, as its input.\",\"input_schema\":{\"type\":\"object\"}}],\"tool_choice\":{\"type\":\"tool\",\"name\":\"json\"}"),
	  .answer = BEGIN START("0", "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"json\",\"input\":{}}") DELTA("0", "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":1}\"}") STOP("0") FINISH("tool_use"),
	  .events = BEGUN "text({\"a\":1}) " FINISHED "finish(stop, tool_use)" },
	{ "a citation", .streamed = true, .answer = BEGIN START("0", "{\"type\":\"text\",\"text\":\"x\"}")
		DELTA("0", "{\"type\":\"citations_delta\",\"citation\":{\"type\":\"web_search_result_location\",\"url\":\"u\",\"title\":\"t\",\"cited_text\":\"c\"}}") STOP("0") FINISH("refusal"),
	  .events = BEGUN "text(x) annotation({\"type\":\"url_citation\",\"url_citation\":{\"url\":\"u\",\"title\":\"t\",\"content\":\"c\"}}) " FINISHED "finish(content_filter, refusal)" },
	{ "a whole answer", .answer = "{\"type\":\"message\",\"id\":\"i\",\"model\":\"m\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"},"
		"{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"n\":1.0}}],\"stop_reason\":\"model_context_window_exceeded\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2,\"server_tool_use\":{\"web_search_requests\":3}}}",
	  .events = "start(i, m) text(ab) tool_begin(0, t, f) tool_args(0, {\"n\":1.0}) tool_end(0) usage(input=1 output=2 searches=3) finish(length, model_context_window_exceeded)" },
	{ "an error in the stream", .streamed = true, .answer = BEGIN EV("error", ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}"),
	  .events = BEGUN "error(overloaded, Overloaded, code overloaded_error)" },
	{ "an answer cut short", .streamed = true, .answer = BEGIN START("0", "{\"type\":\"text\",\"text\":\"x\"}"),
	  .events = BEGUN "text(x) error(upstream, the answer ended without a stop reason)" },
	{ "Google's front end", .status = 403, .endpoint = ROW(VERTEX), .answer = "{\"error\":{\"code\":403,\"message\":\"no\",\"status\":\"PERMISSION_DENIED\"}}", .events = "error(auth, no, code PERMISSION_DENIED)" },
	{ "limits, by the server's clock", .headers = "date: Sat, 21 Nov 2026 19:59:50 GMT\nanthropic-ratelimit-requests-limit: 50\nanthropic-ratelimit-requests-remaining: 0\nanthropic-ratelimit-requests-reset: 2026-11-21T20:00:00Z\n"
		"anthropic-ratelimit-output-tokens-limit: 8000\nanthropic-ratelimit-output-tokens-remaining: 7000\nanthropic-ratelimit-output-tokens-reset: 2026-11-21T19:59:49Z",
	  .answer = "{\"type\":\"message\",\"id\":\"i\",\"model\":\"m\",\"content\":[],\"stop_reason\":\"end_turn\"}",
	  .events = "limit(requests, {\"remaining\":\"0\",\"limit\":\"50\"}, reset 10000 ms) limit(output-tokens, {\"remaining\":\"7000\",\"limit\":\"8000\"}) start(i, m) finish(stop, end_turn)" },
	{ "529", .status = 529, .answer = "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}", .events = "error(overloaded, Overloaded, code overloaded_error)" },
	{ "the rate", .status = 429, .headers = "retry-after: 7", .answer = "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow\"}}",
	  .events = "error(rate_limited, slow, code rate_limit_error, retry after 7000 ms)" },
	{ "a retry-after with a 200 means nothing", .headers = "retry-after: 7", .streamed = true, .answer = BEGIN EV("error", ",\"error\":{\"type\":\"api_error\",\"message\":\"x\"}"),
	  .events = BEGUN "error(server, x, code api_error)" },
	{ "the month's money", .status = 429, .answer = "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"no\",\"details\":{\"error_code\":\"enforced_spend_limit_reached\"}}}",
	  .events = "error(quota, no, code rate_limit_error)" },
	{ "the credit", .status = 400, .answer = "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Your credit balance is too low\"}}",
	  .events = "error(quota, Your credit balance is too low, code invalid_request_error)" },
	{ "too long", .status = 400, .answer = "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 2 tokens > 1 maximum\"}}",
	  .events = "error(context_length, prompt is too long: 2 tokens > 1 maximum, code invalid_request_error)" },
	{ "AWS's words", .status = 400, .headers = "x-amzn-errortype: ValidationException:http://x/", .answer = "{\"message\":\"m\"}", .events = "error(bad_request, m, code ValidationException, final)" },
	{ "too large, said by a proxy", .status = 413, .answer = "<html>", .events = "error(bad_request, final)" },
};

static const struct rig_case models[] = {
	{ "models", .path = "/v1/models?limit=1000", .answer = "{\"data\":[{\"id\":\"a\",\"max_tokens\":5}]}", .events = "model(a, {\"id\":\"a\",\"max_tokens\":5})" },
	{ "models, by pages", .answer = "{\"data\":[{\"id\":\"a\"}],\"has_more\":true,\"last_id\":\"a b\"}", .events = "model(a, {\"id\":\"a\"}) follow(GET /v1/models?limit=1000&after_id=a%20b, after 0 ms)" },
	{ "the last page", .answer = "{\"data\":[],\"has_more\":false,\"last_id\":\"a\"}", .events = "" },
};

static const struct recorded recordings[] = {
	{ "invented/anthropic/429", NULL, "error(rate_limited, This request would exceed your rate limit|retry after 17000 ms" },
	{ "invented/anthropic/429-spend-limit", NULL, "error(quota, You have reached your monthly spend limit." },
	{ "invented/anthropic/500", NULL, "error(server, Internal server error" },
	{ "invented/anthropic/529", NULL, "error(overloaded, Overloaded, code overloaded_error)" },
	{ "invented/anthropic/413-html", NULL, "error(bad_request, |final)" },
	{ "invented/anthropic/stream-overloaded", NULL, "text(Half an ans)|error(overloaded, Overloaded, code overloaded_error)" },
	{ "invented/anthropic/stream-overloaded-at-once", NULL, "error(overloaded, Overloaded, code overloaded_error)" },
	{ "invented/anthropic/stream-cut-short", NULL, "text(Half an ans)|error(upstream, " },
	{ "anthropic/anthropic-code-execution-files-cache-prefix-stable-automatic-2", NULL, "\"signature\":\"|usage(input=4 cached=14714 cache_write=379 output=271 reasoning=19) finish(stop, end_turn)",
	  .asks = "{\"stream\":false,\"max_tokens\":4096,\"cache_control\":\"@/cache_control\",\"container\":\"@/container\",\"messages\":[{\"role\":\"system\",\"content\":\"@/system\"},{\"role\":\"user\",\"content\":\"@/messages/0/content\"},{\"role\":\"assistant\",\"content\":\"@/messages/1/content\"},{\"role\":\"user\",\"content\":\"@/messages/2/content\"}],\"tools\":[\"@/tools/0\"]}" },
	{ "anthropic/anthropic-explicit-effort-xhigh-unsupported-model-errors", "{\"thinking\":\"adaptive\",\"efforts\":[\"low\",\"medium\",\"high\",\"xhigh\"]}", "error(bad_request, |final)",
	  .asks = "{\"stream\":false,\"max_tokens\":4096,\"verbosity\":\"xhigh\",\"messages\":[{\"role\":\"user\",\"content\":\"@/messages/0/content\"}]}" },
	{ "anthropic/anthropic-instrumentation-multiple-tool-calling-streaming", NULL, "text(|tool_begin(0, toolu_|tool_begin(1, toolu_|usage(input=721 output=113) finish(tool_calls, tool_use)",
	  .asks = "{\"stream\":true,\"max_tokens\":1024,\"messages\":[\"@/messages/0\"],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"@/tools/0/name\",\"description\":\"@/tools/0/description\",\"parameters\":\"@/tools/0/input_schema\"}},{\"type\":\"function\",\"function\":{\"name\":\"@/tools/1/name\",\"description\":\"@/tools/1/description\",\"parameters\":\"@/tools/1/input_schema\"}}]}" },
	{ "anthropic/anthropic-model-thinking-part-redacted-stream", NULL, "reasoning(, anthropic-claude-v1, {\"type\":\"reasoning.encrypted\",\"data\":\"|finish(stop, end_turn)",
	  .asks = "{\"stream\":true,\"max_tokens\":4096,\"reasoning\":{\"max_tokens\":1024},\"messages\":[{\"role\":\"user\",\"content\":\"@/messages/0/content\"}]}" },
	{ "anthropic/anthropic-refusal-stream", NULL, "usage(input=18 output=5) finish(content_filter, refusal)", false },
	{ "anthropic/anthropic-text-parts-ahead-of-built-in-tool-call-1-stream", NULL, "annotation({\"type\":\"url_citation\"|usage(input=12957 output=152 searches=1)",
	  .asks = "{\"stream\":true,\"max_tokens\":4096,\"messages\":[{\"role\":\"system\",\"content\":\"@/system\"},{\"role\":\"user\",\"content\":\"@/messages/0/content\"}],\"tool_choice\":\"auto\",\"tools\":[\"@/tools/0\"]}" },
	{ "anthropic/anthropic-web-fetch-tool", NULL, "reasoning(|\"signature\":\"|usage(input=7262 output=171) finish(stop, end_turn)",
	  .asks = "{\"stream\":false,\"max_tokens\":4096,\"reasoning\":{\"max_tokens\":3000},\"messages\":[{\"role\":\"user\",\"content\":\"@/messages/0/content\"}],\"tool_choice\":\"auto\",\"tools\":[\"@/tools/0\"]}" },
	{ "anthropic/fixed-version-tool-chain-with-thinking-display-regression-stream", NULL, "tool_args(0, {}) tool_end(0) usage(input=598 output=39 reasoning=53)",
	  .asks = "{\"stream\":true,\"max_tokens\":64000,\"temperature\":1.0,\"reasoning\":{\"max_tokens\":1024},\"messages\":[{\"role\":\"user\",\"content\":\"@/messages/0/content\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"@/tools/0/name\",\"description\":\"@/tools/0/description\",\"parameters\":\"@/tools/0/input_schema\"}}]}" },
	{ "anthropic/fixed-version-tool-chain-with-thinking-display-regression-1-stream", NULL, "usage(input=707 output=89) finish(stop, end_turn)",
	  .asks = "{\"stream\":true,\"max_tokens\":64000,\"temperature\":1.0,\"reasoning\":{\"max_tokens\":1024},\"messages\":[{\"role\":\"user\",\"content\":\"@/messages/0/content\"},{\"role\":\"assistant\",\"content\":null,\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"@/messages/1/content/0/thinking\",\"signature\":\"@/messages/1/content/0/signature\",\"format\":\"anthropic-claude-v1\",\"index\":0}],\"tool_calls\":[{\"id\":\"@/messages/1/content/1/id\",\"type\":\"function\",\"function\":{\"name\":\"fixed_version\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"@/messages/2/content/0/tool_use_id\",\"content\":\"0.32a0\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"@/tools/0/name\",\"description\":\"@/tools/0/description\",\"parameters\":\"@/tools/0/input_schema\"}}]}" },
	{ "bedrock-invoke/invokemodelwithstreamresponse-test-invoke", "{" INVOKE "}", "text(Of course! I'd be happy|tool_begin(0, toolu_bdrk_01CquHF9otnnrgxxx54tVxau, get_current_weather_info) tool_args(0, {\"city\": \"San Francisco\"}) tool_end(0) "
	  "tool_begin(1, toolu_bdrk_017gKMzG8LV5r3snEuhgaSvt, get_current_population_info)|usage(input=702 output=130) finish(tool_calls, tool_use)", .model = "anthropic.claude-3-5-sonnet-20240620-v1:0",
	  .asks = "{\"stream\":true,\"max_tokens\":200,\"messages\":[{\"role\":\"system\",\"content\":\"@/system\"},{\"role\":\"user\",\"content\":[\"@/messages/0/content/0\",{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,"
		"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==\"}}]},{\"role\":\"assistant\",\"content\":\"@/messages/1/content\"},{\"role\":\"user\",\"content\":\"@/messages/2/content/0/text\"},"
		"{\"role\":\"assistant\",\"content\":\"@/messages/3/content/0/text\",\"tool_calls\":[{\"id\":\"toolu_bdrk_01LzqVRttWAxkjdq19wmG2Cn\",\"type\":\"function\",\"function\":{\"name\":\"get_current_weather_info\",\"arguments\":\"{\\\"city\\\":\\\"Los Angeles\\\"}\"}},"
		"{\"id\":\"toolu_bdrk_01EDzXjPQZSVnEzttRY98wyT\",\"type\":\"function\",\"function\":{\"name\":\"get_current_population_info\",\"arguments\":\"{\\\"city\\\":\\\"Los Angeles\\\"}\"}}]},"
		"{\"role\":\"tool\",\"tool_call_id\":\"toolu_bdrk_01LzqVRttWAxkjdq19wmG2Cn\",\"content\":\"nice\"},{\"role\":\"tool\",\"tool_call_id\":\"toolu_bdrk_01EDzXjPQZSVnEzttRY98wyT\",\"content\":[{\"type\":\"text\",\"text\":\"large\"}]},"
		"{\"role\":\"user\",\"content\":\"@/messages/5/content\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_current_weather_info\",\"description\":\"@/tools/0/description\",\"parameters\":\"@/tools/0/input_schema\"}},"
		"{\"type\":\"function\",\"function\":{\"name\":\"get_current_population_info\",\"description\":\"@/tools/1/description\",\"parameters\":\"@/tools/1/input_schema\"}}]}" },
};

static void blocks(json_t *of, const char *member)
{
	json_t *text = json_object_get(of, member);

	if (json_is_string(text))
		json_object_set_new(of, member, json_pack("[{s:s,s:O}]", "type", "text", "text", text));
}

/* A text is one block of text, and messages of one role that follow each other are one message; beside
 * thinking temperature 1 is the only one, and the thoughts of models that think by budget are shown unless told not to. */
static void level(json_t *body)
{
	json_t *messages = json_object_get(body, "messages"), *m, *before = NULL, *thinking = json_object_get(body, "thinking");
	const char *type = json_string_value(json_object_get(thinking, "type")), *display = json_string_value(json_object_get(thinking, "display"));

	if (type && !strcmp(type, "enabled")) {
		if (display && !strcmp(display, "summarized"))
			json_object_del(thinking, "display");
		if (json_real_value(json_object_get(body, "temperature")) == 1)
			json_object_del(body, "temperature");
	}
	blocks(body, "system");
	for (size_t i = 0; i < json_array_size(messages); i++) {
		m = json_array_get(messages, i);
		blocks(m, "content");
		if (before && json_equal(json_object_get(before, "role"), json_object_get(m, "role"))) {
			json_array_extend(json_object_get(before, "content"), json_object_get(m, "content"));
			json_array_remove(messages, i--);
		} else {
			before = m;
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
