/* The bedrock dialect: Converse out, blocks and the event stream in.
 *
 * Two requests are the same when they differ in no more than: an empty system and an empty
 * inferenceConfig, which mean none; and how the text of a schema is spaced. */
#include "recorded.h"

#define CLAUDE_ID "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
#define ASK(messages, members) "{\"model\":\"a/b\",\"messages\":[" messages "]" members "}"
#define SENT(messages, members) "{\"messages\":[" messages "]" members "}"
#define ROW(quirks) "{\"model\":\"" CLAUDE_ID "\",\"max_output\":8000,\"quirks\":{" quirks "}}"
#define NOVA(quirks) "{\"model\":\"us.amazon.nova-2-lite-v1:0\",\"quirks\":{" quirks "}}"
#define LLAMA "{\"model\":\"meta.llama3-3-70b-instruct-v1:0\"}"
#define HI "{\"role\":\"user\",\"content\":\"Hi\"}"
#define TEXT(s) "{\"text\":\"" s "\"}"
#define USER(blocks) "{\"role\":\"user\",\"content\":[" blocks "]}"
#define MODEL(blocks) "{\"role\":\"assistant\",\"content\":[" blocks "]}"
#define SAID USER(TEXT("Hi"))
#define CALL "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"a.1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\":12345678901234567890}\"}}," \
	"{\"id\":\"a-2\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}"
#define USE "{\"toolUse\":{\"toolUseId\":\"a_1\",\"name\":\"f\",\"input\":{\"n\":12345678901234567890}}},{\"toolUse\":{\"toolUseId\":\"a-2\",\"name\":\"f\",\"input\":{}}}"
#define RESULT "{\"role\":\"tool\",\"tool_call_id\":\"a.1\",\"content\":\"ok\"},{\"role\":\"tool\",\"tool_call_id\":\"a-2\",\"content\":\"\",\"is_error\":true}"
#define RESULTS "{\"toolResult\":{\"toolUseId\":\"a_1\",\"content\":[{\"text\":\"ok\"}],\"status\":\"success\"}},{\"toolResult\":{\"toolUseId\":\"a-2\",\"content\":[{\"text\":\".\"}],\"status\":\"error\"}}"
#define TOOLS ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"
#define SPEC "{\"toolSpec\":{\"name\":\"f\",\"inputSchema\":{\"json\":{\"type\":\"object\",\"properties\":{}}}}}"
#define TOOLS_SENT(choice) ",\"toolConfig\":{\"tools\":[" SPEC "]" choice "}"
#define EXTRA(members) ",\"additionalModelRequestFields\":{" members "}"
#define SCHEMA ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{\"type\":\"object\"}}}"
#define MARK ",\"cache_control\":{\"type\":\"ephemeral\"}"
#define POINT "{\"cachePoint\":{\"type\":\"default\"}}"
#define PIECE(text, index) "{\"type\":\"reasoning.text\",\"text\":\"" text "\",\"format\":\"anthropic-claude-v1\",\"index\":" #index "}"

static const struct rig_case requests[] = {
	{ "the path, escaped; an API key is a bearer", .request = ASK(HI, ",\"max_tokens\":9"), .endpoint = ROW(""),
	  .path = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse", .body = SENT(SAID, ",\"inferenceConfig\":{\"maxTokens\":9}"), .sends = "Authorization: Bearer sk-rig" },
	{ "an ARN; a stream", .request = ASK(HI, ",\"stream\":true"), .endpoint = "{\"model\":\"arn:aws:bedrock:us-east-1:1:p/x\"}",
	  .path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ap%2Fx/converse-stream", .body = SENT(SAID, ""), .sends = "Accept: application/vnd.amazon.eventstream" },
	{ "system apart, with its cache points; later ones are the user's",
	  .request = ASK("{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"s\",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}}]},"
		"{\"role\":\"developer\",\"content\":\"d\"}," HI ",{\"role\":\"system\",\"content\":\"late\"}", ""), .endpoint = ROW(""),
	  .body = SENT(USER(TEXT("Hi") "," TEXT("late")), ",\"system\":[{\"text\":\"s\"},{\"cachePoint\":{\"type\":\"default\",\"ttl\":\"1h\"}},{\"text\":\"d\"}]") },
	{ "a model without a cache gets no cache points", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Hi\"" MARK "}]}", ""), .endpoint = LLAMA, .body = SENT(SAID, "") },
	{ "turns alternate, results come first and together, ids are made to fit, numbers stay",
	  .request = ASK(HI "," CALL "," RESULT "," HI, TOOLS), .endpoint = ROW(""),
	  .body = SENT(SAID "," MODEL(USE) "," USER(RESULTS "," TEXT("Hi")), TOOLS_SENT("")) },
	{ "a history of calls brings its tools", .request = ASK(HI "," CALL "," RESULT, ""), .endpoint = ROW(""),
	  .body = SENT(SAID "," MODEL(USE) "," USER(RESULTS), TOOLS_SENT("")) },
	{ "no tool, no tools", .request = ASK(HI, TOOLS ",\"tool_choice\":\"none\""), .endpoint = ROW(""), .body = SENT(SAID, "") },
	{ "an assistant first, empty text, a prefill", .request = ASK("{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"\"},{\"role\":\"assistant\",\"content\":\"b \\n\"}", ""),
	  .endpoint = ROW(""), .body = SENT(USER(TEXT(".")) "," MODEL(TEXT("a")) "," MODEL(TEXT("b")), "") },
	{ "arguments that are no object", .request = ASK("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"[1]\"}}]}", ""), .endpoint = ROW(""),
	  .events = "refused(messages[].tool_calls[].function.arguments: not the text of a JSON object)" },
	{ "images, documents, video, sound", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/jpg;base64,AAEC\"}" MARK "},"
		"{\"type\":\"file\",\"file\":{\"filename\":\"secret.pdf\",\"file_data\":\"data:application/pdf;base64,AAE\"}},{\"type\":\"file\",\"file\":{\"file_data\":\"data:text/plain,Hi\"}},"
		"{\"type\":\"video_url\",\"video_url\":{\"url\":\"s3://b/v.mp4\"}},{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAEC\",\"format\":\"wav\"}}]}", ""), .endpoint = ROW(""),
	  .body = SENT(USER("{\"image\":{\"format\":\"jpeg\",\"source\":{\"bytes\":\"AAEC\"}}}," POINT ",{\"document\":{\"format\":\"pdf\",\"name\":\"Document 1\",\"source\":{\"bytes\":\"AAE=\"}}},"
		"{\"document\":{\"format\":\"txt\",\"name\":\"Document 2\",\"source\":{\"bytes\":\"SGk=\"}}},{\"video\":{\"format\":\"mp4\",\"source\":{\"s3Location\":{\"uri\":\"s3://b/v.mp4\"}}}},"
		"{\"audio\":{\"format\":\"wav\",\"source\":{\"bytes\":\"AAEC\"}}}," TEXT(".")), "") },
	{ "an address is refused", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i.png\"}}]}", ""), .endpoint = ROW(""),
	  .events = "refused(messages[].content[].image_url.url: this upstream takes no URL; give a data: URL)" },
	{ "so is a type that is not known", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/bmp;base64,AAEC\"}}]}", ""), .endpoint = ROW(""),
	  .events = "refused(messages[].content[].image_url.url: its type is not one that this upstream takes)" },
	{ "a named tool", .request = ASK(HI, TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"), .endpoint = ROW(""),
	  .body = SENT(SAID, TOOLS_SENT(",\"toolChoice\":{\"tool\":{\"name\":\"f\"}}")) },
	{ "some tool must be called", .request = ASK(HI, TOOLS ",\"tool_choice\":\"required\""), .endpoint = NOVA(""), .body = SENT(SAID, TOOLS_SENT(",\"toolChoice\":{\"any\":{}}")) },
	{ "a model that cannot be forced", .request = ASK(HI, TOOLS ",\"tool_choice\":\"required\""), .endpoint = LLAMA, .body = SENT(SAID, TOOLS_SENT("")) },
	{ "one at a time", .request = ASK(HI, TOOLS ",\"parallel_tool_calls\":false"), .endpoint = ROW(""),
	  .body = SENT(SAID, TOOLS_SENT("") EXTRA("\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}")) },
	{ "an unknown tool", .request = ASK(HI, ",\"tools\":[{\"type\":\"openrouter:x\"}]"), .endpoint = ROW(""),
	  .events = "refused(tools[].type: not one that this upstream knows; use \"function\")" },
	{ "Claude: effort becomes a budget, sampling goes", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"medium\"},\"temperature\":0.3,\"top_k\":4,\"max_tokens\":8000"), .endpoint = ROW(""),
	  .body = SENT(SAID, ",\"inferenceConfig\":{\"maxTokens\":8000}" EXTRA("\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":4000}")) },
	{ "Claude, adaptive, with a beta", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"max\"}"), .endpoint = ROW("\"thinking\":\"adaptive\",\"efforts\":[\"low\",\"high\"],\"beta\":[\"b-1\"]"),
	  .body = SENT(SAID, EXTRA("\"thinking\":{\"type\":\"adaptive\",\"display\":\"summarized\"},\"output_config\":{\"effort\":\"high\"},\"anthropic_beta\":[\"b-1\"]")) },
	{ "Nova 2", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"high\"},\"top_k\":4"), .endpoint = NOVA("\"thinking\":\"nova\",\"efforts\":[\"low\",\"medium\",\"high\"]"),
	  .body = SENT(SAID, EXTRA("\"inferenceConfig\":{\"topK\":4},\"reasoningConfig\":{\"type\":\"enabled\",\"maxReasoningEffort\":\"high\"}")) },
	{ "OpenAI's open models", .request = ASK(HI, ",\"reasoning_effort\":\"low\""), .endpoint = "{\"model\":\"openai.gpt-oss-120b-1:0\"}",
	  .body = SENT(SAID, EXTRA("\"reasoning_effort\":\"low\"")) },
	{ "the pieces of a stream go back as the block that they were, and only ours",
	  .request = ASK(HI ",{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_details\":[" PIECE("a\\n", 0) "," PIECE("b", 0) ","
		"{\"type\":\"reasoning.text\",\"text\":\"\",\"signature\":\"s\",\"format\":\"anthropic-claude-v1\",\"index\":0},{\"type\":\"reasoning.encrypted\",\"data\":\"d\",\"format\":\"anthropic-claude-v1\",\"index\":1},"
		PIECE("unsigned", 2) ",{\"type\":\"reasoning.encrypted\",\"data\":\"o\",\"format\":\"openai-responses-v1\",\"index\":3}]}," HI, ""), .endpoint = ROW(""),
	  .body = SENT(SAID "," MODEL("{\"reasoningContent\":{\"reasoningText\":{\"text\":\"a\\nb\",\"signature\":\"s\"}}},{\"reasoningContent\":{\"redactedContent\":\"ZA==\"}}," TEXT("x")) "," SAID, "") },
	{ "a tool loop whose thoughts are lost goes on without", .request = ASK(HI "," CALL "," RESULT, TOOLS ",\"reasoning\":{\"effort\":\"high\"}"), .endpoint = ROW(""),
	  .body = SENT(SAID "," MODEL(USE) "," USER(RESULTS), TOOLS_SENT("")) },
	{ "a schema", .request = ASK(HI, SCHEMA), .endpoint = ROW(""),
	  .body = SENT(SAID, ",\"outputConfig\":{\"textFormat\":{\"type\":\"json_schema\",\"structure\":{\"jsonSchema\":{\"schema\":\"{\\\"type\\\":\\\"object\\\"}\",\"name\":\"x\"}}}}") },
	{ "JSON without one", .request = ASK(HI, ",\"response_format\":{\"type\":\"json_object\"}"), .endpoint = ROW(""),
	  .body = SENT(SAID, ",\"system\":[{\"text\":\"Answer with one JSON object and nothing else: no prose, no code fence.\"}]") },
	{ "sampling is cut to size; a user, labels, a tier", .request = ASK(HI, ",\"temperature\":1.7,\"top_p\":0.90,\"top_k\":5,\"stop\":\"x\",\"user\":\"u\",\"metadata\":{\"team\":\"blue\",\"bad\":\"a\\nb\"},\"service_tier\":\"flex\""),
	  .endpoint = ROW("\"sampling\":\"one\""), .body = SENT(SAID, ",\"inferenceConfig\":{\"temperature\":1,\"stopSequences\":[\"x\"]}" EXTRA("\"top_k\":5")
		",\"serviceTier\":{\"type\":\"flex\"},\"requestMetadata\":{\"team\":\"blue\",\"user\":\"u\"}") },
	{ "what is said twice is sent once", .request = ASK(HI, ",\"top_k\":5" EXTRA("\"top_k\":6,\"x\":1")), .endpoint = ROW(""), .body = SENT(SAID, EXTRA("\"top_k\":5,\"x\":1")) },
	{ "guardrails and fields of the row, and the client's before them", .request = ASK(HI, EXTRA("\"a\":1")),
	  .endpoint = "{\"model\":\"meta.x\",\"options\":{\"guardrailConfig\":{\"guardrailIdentifier\":\"g\",\"guardrailVersion\":\"1\"},\"additionalModelRequestFields\":{\"a\":2,\"b\":3}}}",
	  .body = SENT(SAID, EXTRA("\"a\":1,\"b\":3") ",\"guardrailConfig\":{\"guardrailIdentifier\":\"g\",\"guardrailVersion\":\"1\"}") },
};

/* Streams are written as lines, "event {payload}", and framed before they are used. */
#define EV(event, payload) event " " payload "\n"
#define DELTA(n, d) EV("contentBlockDelta", "{\"contentBlockIndex\":" n ",\"delta\":" d ",\"p\":\"abc\"}")
#define TOOL(n, id, name) EV("contentBlockStart", "{\"contentBlockIndex\":" n ",\"start\":{\"toolUse\":{\"toolUseId\":\"" id "\",\"name\":\"" name "\"}}}")
#define STOP(n) EV("contentBlockStop", "{\"contentBlockIndex\":" n "}")
#define BEGIN EV("messageStart", "{\"role\":\"assistant\"}")
#define END(word) EV("messageStop", "{\"stopReason\":\"" word "\"}") EV("metadata", "{\"usage\":{\"inputTokens\":9,\"outputTokens\":7,\"totalTokens\":16},\"metrics\":{}}")
#define STARTED "start(, " CLAUDE_ID ") "
#define USED "usage(input=9 output=7) "
#define WHOLE(content, word, usage) "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[" content "]}},\"stopReason\":\"" word "\",\"usage\":{" usage "}}"
#define TOKENS "\"inputTokens\":9,\"outputTokens\":7,\"totalTokens\":16"
#define STREAM .streamed = true, .endpoint = ROW("")

static const char thinking[] = STARTED "reasoning(hm., anthropic-claude-v1) reasoning(, anthropic-claude-v1, {\"type\":\"reasoning.text\",\"signature\":\"sig\"}) "
	"reasoning(, anthropic-claude-v1, {\"type\":\"reasoning.encrypted\",\"data\":\"d\"}) text(Hé) tool_begin(0, t, f) tool_args(0, {\"n\":1.0}) tool_end(0) "
	"tool_begin(1, u, g) tool_args(1, {}) tool_end(1) " USED "finish(tool_calls, tool_use)";

static const struct rig_case streams[] = {
	{ "thinking, its signature, text, calls in parallel, one without arguments", STREAM, .answer = BEGIN DELTA("0", "{\"reasoningContent\":{\"text\":\"h\"}}")
		DELTA("0", "{\"reasoningContent\":{\"text\":\"m.\"}}") DELTA("0", "{\"reasoningContent\":{\"signature\":\"sig\"}}") STOP("0")
		DELTA("1", "{\"reasoningContent\":{\"redactedContent\":\"ZA==\"}}") STOP("1") DELTA("2", "{\"text\":\"H\"}") DELTA("2", "{\"text\":\"é\"}") STOP("2")
		TOOL("3", "t", "f") DELTA("3", "{\"toolUse\":{\"input\":\"\"}}") DELTA("3", "{\"toolUse\":{\"input\":\"{\\\"n\\\"\"}}") DELTA("3", "{\"toolUse\":{\"input\":\":1.0}\"}}") STOP("3")
		TOOL("4", "u", "g") STOP("4") END("tool_use"), .events = thinking },
	{ "the service's own tools are not the client's", STREAM, .answer = BEGIN
		EV("contentBlockStart", "{\"contentBlockIndex\":0,\"start\":{\"toolUse\":{\"toolUseId\":\"t\",\"name\":\"code\",\"type\":\"server_tool_use\"}}}") DELTA("0", "{\"toolUse\":{\"input\":\"{}\"}}") STOP("0")
		EV("contentBlockStart", "{\"contentBlockIndex\":1,\"start\":{\"toolResult\":{\"toolUseId\":\"t\"}}}") DELTA("1", "{\"toolResult\":[{\"text\":\"4\"}]}") STOP("1") DELTA("2", "{\"text\":\"x\"}") STOP("2") END("tool_use"),
	  .events = STARTED "text(x) " USED "finish(stop, tool_use)" },
	{ "a forced tool gives the JSON", .streamed = true, .request = ASK(HI, SCHEMA), .endpoint = ROW("\"structured\":\"tool\""),
	  .body = SENT(SAID, ",\"toolConfig\":{\"tools\":[{\"toolSpec\":{\"name\":\"json\",\"description\":\"Give the final answer, as its input.\",\"inputSchema\":{\"json\":{\"type\":\"object\"}}}}],\"toolChoice\":{\"tool\":{\"name\":\"json\"}}}"),
	  .answer = BEGIN TOOL("0", "t", "json") DELTA("0", "{\"toolUse\":{\"input\":\"{\\\"a\\\":1}\"}}") STOP("0") END("tool_use"), .events = STARTED "text({\"a\":1}) " USED "finish(stop, tool_use)" },
	{ "a guardrail", STREAM, .answer = BEGIN DELTA("0", "{\"text\":\"no\"}") STOP("0") END("guardrail_intervened"), .events = STARTED "text(no) " USED "finish(content_filter, guardrail_intervened)" },
	{ "a picture", STREAM, .answer = BEGIN EV("contentBlockStart", "{\"contentBlockIndex\":0,\"start\":{\"image\":{\"format\":\"png\"}}}") DELTA("0", "{\"image\":{\"source\":{\"bytes\":\"AAEC\"}}}") STOP("0") END("end_turn"),
	  .events = STARTED "image(image/png, 3 bytes) " USED "finish(stop, end_turn)" },
	{ "a source on the web", STREAM, .answer = BEGIN DELTA("0", "{\"text\":\"x\"}") DELTA("0", "{\"citation\":{\"title\":\"t\",\"sourceContent\":[{\"text\":\"c\"}],\"location\":{\"web\":{\"url\":\"u\"}}}}") STOP("0") END("end_turn"),
	  .events = STARTED "text(x) annotation({\"type\":\"url_citation\",\"url_citation\":{\"url\":\"u\",\"title\":\"t\",\"content\":\"c\"}}) " USED "finish(stop, end_turn)" },
	{ "what the model botched", STREAM, .answer = BEGIN END("malformed_tool_use"), .events = STARTED USED "error(upstream, the model's answer was malformed, code malformed_tool_use)" },
	{ "no metadata", STREAM, .answer = BEGIN DELTA("0", "{\"text\":\"x\"}") EV("messageStop", "{\"stopReason\":\"max_tokens\"}"), .events = STARTED "text(x) finish(length, max_tokens)" },
	{ "an event that came later", STREAM, .answer = BEGIN EV("somethingNew", "{\"a\":1}") DELTA("0", "{\"text\":\"x\"}") END("end_turn"), .events = STARTED "text(x) " USED "finish(stop, end_turn)" },
	{ "InvokeModel's pieces", .streamed = true, .request = ASK(HI, ""), .endpoint = NOVA("\"invoke\":\"nova\""), .path = "/model/us.amazon.nova-2-lite-v1%3A0/invoke-with-response-stream",
	  .body = "{\"schemaVersion\":\"messages-v1\",\"messages\":[" SAID "]}",
	  .answer = EV("chunk", "{\"bytes\":\"eyJtZXNzYWdlU3RvcCI6eyJzdG9wUmVhc29uIjoiZW5kX3R1cm4ifX0=\"}"), .events = "finish(stop, end_turn)" },
};

static const struct rig_case answers[] = {
	{ "the same, whole", .endpoint = ROW(""), .events = thinking, .answer = WHOLE("{\"reasoningContent\":{\"reasoningText\":{\"text\":\"hm.\",\"signature\":\"sig\"}}},{\"reasoningContent\":{\"redactedContent\":\"ZA==\"}},"
		"{\"text\":\"Hé\"},{\"toolUse\":{\"toolUseId\":\"t\",\"name\":\"f\",\"input\":{\"n\":1.0}}},{\"toolUse\":{\"toolUseId\":\"u\",\"name\":\"g\",\"input\":{}}}", "tool_use", TOKENS) },
	{ "the cache apart from the input, and for an hour", .endpoint = ROW(""), .answer = WHOLE("{\"text\":\"x\"}", "stop_sequence", "\"inputTokens\":2,\"outputTokens\":5,\"totalTokens\":1329,"
		"\"cacheReadInputTokens\":1300,\"cacheReadInputTokenCount\":1300,\"cacheWriteInputTokens\":22,\"cacheDetails\":[{\"ttl\":\"1h\",\"inputTokens\":20}]"),
	  .events = STARTED "text(x) usage(input=2 cached=1300 cache_write=2 cache_write_1h=20 output=5) finish(stop, stop_sequence)" },
	{ "the cache within the input", .endpoint = ROW(""), .answer = WHOLE("{\"text\":\"x\"}", "end_turn", "\"inputTokens\":20,\"outputTokens\":5,\"totalTokens\":25,\"cacheReadInputTokens\":15"),
	  .events = STARTED "text(x) usage(input=5 cached=15 output=5) finish(stop, end_turn)" },
	{ "words with their sources", .endpoint = ROW(""), .answer = WHOLE("{\"citationsContent\":{\"content\":[{\"text\":\"x\"}],\"citations\":[{\"location\":{\"web\":{\"url\":\"u\"}}},{\"location\":{\"documentPage\":{}}}]}}", "model_context_window_exceeded", TOKENS),
	  .events = STARTED "text(x) annotation({\"type\":\"url_citation\",\"url_citation\":{\"url\":\"u\"}}) " USED "finish(length, model_context_window_exceeded)" },
	{ "a type that is not known", .status = 400, .headers = "x-amzn-errortype: NewException", .answer = "{\"Message\":\"m\"}", .events = "error(bad_request, m, code NewException, final)" },
	{ "too long", .status = 400, .headers = "x-amzn-errortype: ValidationException", .answer = "{\"message\":\"Input is too long for requested model.\"}",
	  .events = "error(context_length, Input is too long for requested model., code ValidationException)" },
	{ "a model that wants a profile: another endpoint may do", .status = 400, .headers = "x-amzn-errortype: ValidationException", .answer = "{\"message\":\"Invocation with on-demand throughput isn't supported\"}",
	  .events = "error(not_found, Invocation with on-demand throughput isn't supported, code ValidationException)" },
	{ "the model's time", .status = 408, .headers = "x-amzn-errortype: ModelTimeoutException", .answer = "{\"message\":\"m\"}", .events = "error(timeout, m, code ModelTimeoutException)" },
	{ "a wrong signature, without what was signed", .status = 403, .headers = "x-amzn-errortype: InvalidSignatureException", .answer = "{\"message\":\"does not match.\\n\\nThe Canonical String was x-amz-security-token:SECRET\"}",
	  .events = "error(auth, does not match., code InvalidSignatureException)" },
	{ "a proxy's answer", .status = 503, .answer = "<html>", .events = "error(overloaded)" },
};

#define TITAN "{\"model\":\"amazon.titan-embed-text-v2:0\"}"
#define COHERE "{\"model\":\"cohere.embed-english-v3\"}"
static const struct rig_case vectors[] = {
	{ "Titan takes one text; the next one follows", .endpoint = TITAN, .request = "{\"input\":[\"a\",\"b\"],\"dimensions\":256}", .path = "/model/amazon.titan-embed-text-v2%3A0/invoke",
	  .body = "{\"inputText\":\"a\",\"dimensions\":256}", .answer = "{\"embedding\":[0.5,1e-3],\"inputTextTokenCount\":2}",
	  .events = "start(, amazon.titan-embed-text-v2:0) vector(0, [0.5,1e-3]) usage(input=2) follow(POST /model/amazon.titan-embed-text-v2%3A0/invoke, after 0 ms)" },
	{ "a single text", .endpoint = TITAN, .request = "{\"input\":\"a\"}", .body = "{\"inputText\":\"a\"}", .answer = "{\"embedding\":[1],\"inputTextTokenCount\":1}",
	  .events = "start(, amazon.titan-embed-text-v2:0) vector(0, [1]) usage(input=1)" },
	{ "Cohere takes many", .endpoint = COHERE, .request = "{\"input\":[\"a\",\"b\"],\"input_type\":\"query\"}", .body = "{\"texts\":[\"a\",\"b\"],\"input_type\":\"search_query\"}",
	  .headers = "x-amzn-bedrock-input-token-count: 7", .answer = "{\"embeddings\":{\"float\":[[1],[2]]},\"response_type\":\"embeddings_by_type\"}",
	  .events = "start(, cohere.embed-english-v3) vector(0, [1]) vector(1, [2]) usage(input=7)" },
	{ "a vector is missing", .endpoint = COHERE, .request = "{\"input\":[\"a\",\"b\"]}", .answer = "{\"embeddings\":[[1]]}",
	  .events = "start(, cohere.embed-english-v3) vector(0, [1]) error(upstream, 1 vectors for 2 texts)" },
	{ "token ids are refused", .endpoint = TITAN, .request = "{\"input\":[[1,2]]}", .events = "refused(input: this upstream takes a text or a list of texts)" },
};

#define CANVAS "{\"model\":\"amazon.nova-canvas-v1:0\"}"
#define TASK(config) "{\"taskType\":\"TEXT_IMAGE\",\"textToImageParams\":{\"text\":\"a moon\"},\"imageGenerationConfig\":{" config "}}"
static const struct rig_case pictures[] = {
	{ "two pictures of a size", .endpoint = CANVAS, .request = "{\"prompt\":\"a moon\",\"n\":2,\"size\":\"1280x720\",\"quality\":\"high\",\"seed\":7}", .path = "/model/amazon.nova-canvas-v1%3A0/invoke",
	  .body = TASK("\"numberOfImages\":2,\"width\":1280,\"height\":720,\"seed\":7,\"quality\":\"premium\""), .answer = "{\"images\":[\"AAEC\",\"/9j/AA==\"],\"error\":null}",
	  .events = "start(, amazon.nova-canvas-v1:0) image(image/png, 3 bytes) image(image/jpeg, 4 bytes) usage(images_out=2)" },
	{ "a ratio, on no more than the area", .endpoint = CANVAS, .request = "{\"prompt\":\"a moon\",\"aspect_ratio\":\"16:9\"}", .body = TASK("\"width\":1360,\"height\":752") },
	{ "a tier", .endpoint = CANVAS, .request = "{\"prompt\":\"a moon\",\"resolution\":\"2K\"}", .body = TASK("\"width\":2048,\"height\":2048") },
	{ "as the model likes", .endpoint = CANVAS, .request = "{\"prompt\":\"a moon\",\"aspect_ratio\":\"auto\"}", .body = TASK("") },
	{ "Stability's words", .endpoint = "{\"model\":\"stability.sd3-5-large-v1:0\"}", .request = "{\"prompt\":\"a moon\",\"aspect_ratio\":\"16:9\",\"output_format\":\"jpeg\"}",
	  .body = "{\"prompt\":\"a moon\",\"mode\":\"text-to-image\",\"aspect_ratio\":\"16:9\",\"output_format\":\"jpeg\"}", .answer = "{\"images\":[],\"finish_reasons\":[\"Filter reason: prompt\"]}",
	  .events = "error(moderation, Filter reason: prompt, final)" },
	{ "filtered", .endpoint = CANVAS, .answer = "{\"images\":[],\"error\":\"blocked by our content filters\"}", .events = "error(moderation, blocked by our content filters, final)" },
	{ "references are refused", .endpoint = CANVAS, .request = "{\"prompt\":\"x\",\"input_references\":[{}]}", .events = "refused(input_references: this upstream takes a prompt alone)" },
};
static const struct rig_case ranks[] = {
	{ "Cohere's ranks", .endpoint = "{\"model\":\"cohere.rerank-v3-5:0\"}", .request = "{\"query\":\"q\",\"documents\":[\"a\",{\"text\":\"b\"}],\"top_n\":1}", .path = "/model/cohere.rerank-v3-5%3A0/invoke",
	  .body = "{\"api_version\":2,\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_n\":1}", .answer = "{\"results\":[{\"index\":1,\"relevance_score\":0.90}]}",
	  .events = "start(, cohere.rerank-v3-5:0) score(1, 0.90) usage(searches=1)" },
	{ "Amazon's", .endpoint = "{\"model\":\"amazon.rerank-v1:0\"}", .request = "{\"query\":\"q\",\"documents\":[\"a\"]}", .body = "{\"query\":\"q\",\"documents\":[\"a\"]}", .answer = "{\"results\":[{\"index\":0}]}",
	  .events = "start(, amazon.rerank-v1:0) error(upstream, results[]: without an index or a score)" },
	{ "pictures are refused", .request = "{\"query\":\"q\",\"documents\":[{\"image\":\"x\"}]}", .events = "refused(documents[]: this upstream takes texts)" },
};

#define NOVA_ASKS "\"stream\":true,\"top_p\":0.5,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_capital\",\"description\":\"Get the capital of a country.\",\"parameters\":\"@/toolConfig/tools/0/toolSpec/inputSchema/json\"}}," \
	"{\"type\":\"function\",\"function\":{\"name\":\"get_temperature\",\"description\":\"Get the temperature in a city.\",\"parameters\":\"@/toolConfig/tools/1/toolSpec/inputSchema/json\"}}]"
#define NOVA_SAYS "{\"role\":\"system\",\"content\":\"You are a helpful chatbot.\"},{\"role\":\"user\",\"content\":\"@/messages/0/content/0/text\"}"

static const struct recorded recordings[] = {
	{ "bedrock-converse/bedrock-cache-write-and-read-1", NULL, "text(21) usage(input=2 cached=1322 output=5) finish(stop, end_turn)", false, .model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
	  .asks = "{\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"@/system/0/text\"" MARK "}]},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"@/messages/0/content/0/text\"},"
		"{\"type\":\"file\",\"file\":{\"filename\":\"a.txt\",\"file_data\":\"data:text/plain;base64,WW91IGFyZSBhIGdyZWF0IG1hdGhlbWF0aWNpYW4=\"}},{\"type\":\"text\",\"text\":\"\\n\"" MARK "},{\"type\":\"text\",\"text\":\"What is 10 + 11?\"" MARK "}]}],"
		"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"catalog_lookup\",\"parameters\":\"@/toolConfig/tools/0/toolSpec/inputSchema/json\"}},{\"type\":\"function\",\"function\":{\"name\":\"diagnostics\",\"parameters\":\"@/toolConfig/tools/1/toolSpec/inputSchema/json\"}" MARK "}],"
		"\"tool_choice\":\"auto\"}" },
	{ "bedrock-converse/bedrock-model-iter-stream", NULL, "text(<thinking> To find|tool_begin(0, tooluse_lAG_zP8QRHmSYOwZzzaCqA, get_temperature) tool_args(0, {\"city\":\"Paris\"}) tool_end(0) usage(input=471 output=91) finish(tool_calls, tool_use)", false,
	  .model = "us.amazon.nova-micro-v1:0", .asks = "{\"messages\":[" NOVA_SAYS "]," NOVA_ASKS "}" },
	{ "bedrock-converse/bedrock-model-iter-stream-1", NULL, "text(The current temperature in Paris, the capital of France, is 30°C.) usage(input=577 output=18) finish(stop, end_turn)", false,
	  .model = "us.amazon.nova-micro-v1:0", .asks = "{\"messages\":[" NOVA_SAYS ",{\"role\":\"assistant\",\"content\":\"@/messages/1/content/0/text\",\"tool_calls\":[{\"id\":\"tooluse_lAG_zP8QRHmSYOwZzzaCqA\",\"type\":\"function\","
		"\"function\":{\"name\":\"get_temperature\",\"arguments\":\"{\\\"city\\\":\\\"Paris\\\"}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"tooluse_lAG_zP8QRHmSYOwZzzaCqA\",\"content\":\"30°C\"}]," NOVA_ASKS "}" },
	{ "bedrock-converse/bedrock-model-thinking-part-stream", NULL, "reasoning(The user has greeted me|\"signature\":\"|finish(stop, end_turn)", false, .model = "us.anthropic.claude-sonnet-4-20250514-v1:0",
	  .asks = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"reasoning\":{\"max_tokens\":1024},\"stream\":true}" },
	{ "bedrock-converse/bedrock-native-output-minimax", NULL, "reasoning(I need to answer|usage(input=40 output=302) finish(stop, end_turn)", false, .model = "minimax.minimax-m2",
	  .asks = "{\"messages\":[{\"role\":\"user\",\"content\":\"@/messages/0/content/0/text\"}],\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"CityInfo\",\"description\":\"Information about a city.\","
		"\"schema\":{\"type\":\"object\",\"required\":[\"city\",\"country\",\"population\"],\"additionalProperties\":false,\"properties\":{\"city\":{\"type\":\"string\"},\"country\":{\"type\":\"string\"},\"population\":{\"type\":\"integer\"}}}}}}" },
	{ "bedrock-converse/bedrock-streaming-error", NULL, "error(not_found, The provided model identifier is invalid.)", false, .model = "us.does-not-exist-model-v1:0",
	  .asks = "{\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"stream\":true}" },
	{ "bedrock-invoke/novainvokemodelwithresponsestream-test-nova-micro-streaming", "{\"invoke\":\"nova\"}", "text(The three primary colors are red, blue, and yellow.) usage(input=12 output=13) finish(stop, end_turn)", false,
	  .model = "amazon.nova-micro-v1:0", .asks = "{\"messages\":[{\"role\":\"user\",\"content\":\"@/messages/0/content/0/text\"}],\"max_tokens\":64,\"temperature\":0.1,\"stream\":true}" },
#define INVENTED(name, said) { "invented/bedrock-converse/" name, NULL, said, false, .model = CLAUDE_ID }
	INVENTED("stream-throttlingException", "text(Hel) error(rate_limited, slow down, code throttlingException)"),
	INVENTED("stream-internalServerException", "text(Hel) error(server, try again, code internalServerException)"),
	INVENTED("stream-modelStreamErrorException", "text(Hel) error(server, the model broke, code modelStreamErrorException)"),
	INVENTED("stream-serviceUnavailableException", "text(Hel) error(overloaded, not now, code serviceUnavailableException)"),
	INVENTED("stream-validationException", "text(Hel) error(bad_request, no, code validationException, final)"),
	INVENTED("stream-error", "text(Hel) error(upstream, it broke, code InternalFailure)"),
	INVENTED("stream-wrong-message-crc", "start(, " CLAUDE_ID ") error(upstream, event stream: a message's CRC is wrong)"),
	INVENTED("stream-wrong-prelude-crc", "start(, " CLAUDE_ID ") error(upstream, event stream: a prelude's CRC is wrong)"),
	INVENTED("stream-cut-short", "text(Hel) error(upstream, the answer ended without a stop reason)"),
	INVENTED("throttled-429", "error(rate_limited, Too many requests, please wait before trying again., code ThrottlingException)"),
	INVENTED("server-500", "error(server, The system encountered|code InternalServerException)"),
	INVENTED("expired-403", "error(auth, The security token included|code ExpiredTokenException)"),
};

/* ------------------------------------------------------------- the stream */

static uint32_t crc(const unsigned char *at, size_t len)
{
	uint32_t sum = ~0u;

	for (size_t i = 0; i < len; i++) {
		sum ^= at[i];
		for (int k = 0; k < 8; k++)
			sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
	}
	return ~sum;
}

static void put32(unsigned char *at, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(n >> (24 - 8 * i));
}

/* "event {payload}" as a message; its length. */
static size_t message(unsigned char *out, const char *event, size_t event_len, const char *payload, size_t len)
{
	size_t head = 1 + 11 + 3 + event_len, total = 16 + head + len;

	put32(out, (uint32_t)total);
	put32(out + 4, (uint32_t)head);
	put32(out + 8, crc(out, 8));
	memcpy(out + 12, "\x0b:event-type\x07\x00", 14);
	out[26] = (unsigned char)event_len;
	memcpy(out + 27, event, event_len);
	memcpy(out + 12 + head, payload, len);
	put32(out + total - 4, crc(out, total - 4));
	return total;
}

static int streamed(const struct rig_case *cases, size_t n)
{
	int bad = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char bytes[8192];
		struct rig_case c = cases[i];

		c.answer = (const char *)bytes;
		c.headers = "content-type: application/vnd.amazon.eventstream";
		for (const char *line = cases[i].answer; *line; line = strchr(line, '\n') + 1) {
			size_t event = strcspn(line, " ");

			c.answer_len += message(bytes + c.answer_len, line, event, line + event + 1, strcspn(line, "\n") - event - 1);
		}
		bad |= rig_run(mg_plugin_entry(), MG_CHAT, &c, 1);
	}
	return bad;
}

static void level(json_t *body)
{
	static const char *const empty[] = { "system", "inferenceConfig" };
	json_t *s = json_object_get(json_object_get(json_object_get(json_object_get(body, "outputConfig"), "textFormat"), "structure"), "jsonSchema");

	for (size_t i = 0; i < 2; i++)
		if (json_array_size(json_object_get(body, empty[i])) + json_object_size(json_object_get(body, empty[i])) == 0)
			json_object_del(body, empty[i]);
	if (s)
		json_object_set_new(s, "schema", json_loads(json_string_value(json_object_get(s, "schema")), 0, NULL));
}

#define RUN(op, cases) rig_run(mg_plugin_entry(), op, cases, sizeof(cases) / sizeof((cases)[0]))

static const struct rig_case lists[] = {
	{ "the control plane beside the runtime; the profiles come next", .endpoint = "{\"model\":\"\",\"base_url\":\"https://bedrock-runtime.eu-west-1.amazonaws.com\"}",
	  .path = "https://bedrock.eu-west-1.amazonaws.com/foundation-models", .answer = "{\"modelSummaries\":[{\"modelId\":\"amazon.nova-pro-v1:0\",\"providerName\":\"Amazon\"}]}",
	  .events = "model(amazon.nova-pro-v1:0, {\"modelId\":\"amazon.nova-pro-v1:0\",\"providerName\":\"Amazon\"}) "
		"follow(GET https://bedrock.eu-west-1.amazonaws.com/inference-profiles?maxResults=1000&type=SYSTEM_DEFINED, after 0 ms)" },
	{ "FIPS, and a path", .endpoint = "{\"model\":\"\",\"base_url\":\"https://bedrock-runtime-fips.us-east-1.amazonaws.com/p\"}", .path = "https://bedrock-fips.us-east-1.amazonaws.com/p/foundation-models" },
	{ "elsewhere", .endpoint = "{\"model\":\"\",\"base_url\":\"http://127.0.0.1:1\"}", .path = "/foundation-models" },
	{ "profiles by pages", .answer = "{\"inferenceProfileSummaries\":[{\"inferenceProfileId\":\"eu.x\"}],\"nextToken\":\"a/b+c\"}",
	  .events = "model(eu.x, {\"inferenceProfileId\":\"eu.x\"}) follow(GET /inference-profiles?maxResults=1000&type=SYSTEM_DEFINED&nextToken=a%2Fb%2Bc, after 0 ms)" },
	{ "the last page", .answer = "{\"inferenceProfileSummaries\":[]}", .events = "" },
	{ "something else", .answer = "{\"x\":1}", .events = "error(upstream, an answer without modelSummaries[])" },
};

int main(void)
{
	int bad = streamed(streams, sizeof(streams) / sizeof(streams[0]));

	recorded_level = level;
	for (size_t i = 0; i < sizeof(recordings) / sizeof(recordings[0]); i++)
		recorded_run(MG_CHAT, &recordings[i]);
	bad |= RUN(MG_EMBEDDINGS, vectors);
	bad |= RUN(MG_IMAGE, pictures);
	bad |= RUN(MG_RERANK, ranks);
	bad |= RUN(MG_MODELS, lists);
	bad |= RUN(MG_CHAT, answers);
	bad |= RUN(MG_CHAT, requests);
	return bad;
}
