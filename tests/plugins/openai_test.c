/* The openai dialect: what each quirk does to a request, what the many speakers answer. */
#include "openai_media.h"
#include "recorded.h"

#define ASK(members) "{\"model\":\"a/b\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]" members "}"
#define SENT(members) "{\"model\":\"m-1\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]" members "}"
#define WITH(quirks) "{\"model\":\"m-1\",\"quirks\":{" quirks "}}"
#define TALK(messages) "{\"model\":\"a/b\",\"messages\":[" messages "]}"
#define TOLD(messages) "{\"model\":\"m-1\",\"messages\":[" messages "]}"
#define DONE "data: [DONE]\n\n"
#define CHUNK(choice) "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0," choice "}]}\n\n"

static const struct rig_case requests[] = {
	{ "the model is the endpoint's, the key a bearer", .request = ASK(""), .path = "/chat/completions",
	  .body = SENT(""), .sends = "Authorization: Bearer sk-rig" },
	{ "Azure: the deployment and the version in the path, the key in its own header", .request = ASK(""),
	  .endpoint = "{\"model\":\"m-1\",\"options\":{\"api_version\":\"2024-10-21\"},\"quirks\":{\"auth\":\"api-key\",\"path\":\"/deployments/{model}/chat/completions?api-version={api_version}\"}}",
	  .path = "/deployments/m-1/chat/completions?api-version=2024-10-21", .body = SENT(""), .sends = "api-key: sk-rig" },
	{ "members of the gateway stay here, unknown ones go, numbers as written",
	  .request = ASK(",\"models\":[\"x\"],\"route\":\"fallback\",\"provider\":{},\"plugins\":[],\"preset\":\"p\",\"transforms\":[],"
		"\"session_id\":\"s\",\"usage\":{\"include\":true},\"debug\":{},\"trace\":{},\"cache_control\":{\"type\":\"ephemeral\"},"
		"\"include_reasoning\":true,\"stop_server_tools_when\":[],\"max_tool_calls\":3,\"safe\":1.50e0,\"temperature\":0.10"),
	  .body = SENT(",\"safe\":1.50e0,\"temperature\":0.10") },
	{ "a model that continues a text", .request = ASK(",\"max_completion_tokens\":7,\"stop\":[\"x\"]"), .endpoint = WITH("\"prompt\":true,\"max_tokens\":\"max_completion_tokens\""), .path = "/completions",
	  .body = "{\"model\":\"m-1\",\"prompt\":\"Hi\",\"stop\":[\"x\"],\"max_tokens\":7}" },
	{ "its text as a part", .request = TALK("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\\u00e9\"}]}"), .endpoint = WITH("\"prompt\":true"), .body = "{\"model\":\"m-1\",\"prompt\":\"a\\u00e9\"}" },
	{ "its frames are not a client's", .request = ASK(""), .endpoint = WITH("\"prompt\":true,\"pass_through\":true"), .events = "refused(quirks.prompt: goes with pass_through = false)" },
	{ "two messages are none", .request = TALK("{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"x\"}"), .endpoint = WITH("\"prompt\":true"),
	  .events = "refused(messages: this model continues a text: one user message of text)" },
	{ "nor is a picture", .request = TALK("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i\"}}]}"), .endpoint = WITH("\"prompt\":true"),
	  .events = "refused(messages: this model continues a text: one user message of text)" },
	{ "a text calls nothing", .request = ASK(",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"), .endpoint = WITH("\"prompt\":true"), .events = "refused(tools: this model continues a text, and calls nothing)" },
	{ "and has no form", .request = ASK(",\"response_format\":{\"type\":\"json_object\"}"), .endpoint = WITH("\"prompt\":true"), .events = "refused(response_format: this model continues a text, in no form)" },
	{ "nor probabilities as they are now", .request = ASK(",\"logprobs\":true"), .endpoint = WITH("\"prompt\":true"), .events = "refused(logprobs: this model has them in an older form alone)" },
	{ "streams ask for usage", .streamed = true, .request = ASK(",\"stream_options\":{\"include_obfuscation\":false}"),
	  .body = SENT(",\"stream\":true,\"stream_options\":{\"include_obfuscation\":false,\"include_usage\":true}") },
	{ "stream_usage always: the member is not sent", .streamed = true, .request = ASK(""), .endpoint = WITH("\"stream_usage\":\"always\""),
	  .body = SENT(",\"stream\":true") },
	{ "the limit is max_tokens", .request = ASK(",\"max_completion_tokens\":7"), .body = SENT(",\"max_tokens\":7") },
	{ "or the other name", .request = ASK(",\"max_tokens\":7"), .endpoint = WITH("\"max_tokens\":\"max_completion_tokens\""),
	  .body = SENT(",\"max_completion_tokens\":7") },
	{ "reasoning is an effort", .request = ASK(",\"reasoning\":{\"effort\":\"xhigh\"}"), .endpoint = WITH("\"efforts\":[\"low\",\"high\"]"),
	  .body = SENT(",\"reasoning_effort\":\"high\"") },
	{ "reasoning off is said only where there is a word", .request = ASK(",\"reasoning\":{\"enabled\":false}"),
	  .endpoint = WITH("\"efforts\":[\"low\",\"high\"]"), .body = SENT("") },
	{ "a budget becomes an effort", .request = ASK(",\"max_tokens\":1000,\"reasoning\":{\"max_tokens\":200}"),
	  .body = SENT(",\"max_tokens\":1000,\"reasoning_effort\":\"low\"") },
	{ "thinking and effort", .request = ASK(",\"reasoning_effort\":\"medium\""),
	  .endpoint = WITH("\"reasoning_out\":[\"thinking\",\"reasoning_effort\"],\"efforts\":[\"low\",\"high\",\"max\"]"),
	  .body = SENT(",\"thinking\":{\"type\":\"enabled\"},\"reasoning_effort\":\"low\"") },
	{ "the template's switch", .request = ASK(",\"reasoning\":{\"effort\":\"none\"}"), .endpoint = WITH("\"reasoning_out\":\"chat_template_kwargs\""),
	  .body = SENT(",\"chat_template_kwargs\":{\"enable_thinking\":false}") },
	{ "OpenRouter keeps its own", .request = ASK(",\"reasoning\":{\"effort\":\"low\"},\"usage\":{\"x\":1},\"cache_control\":{\"type\":\"ephemeral\"},\"provider\":{}"),
	  .endpoint = WITH("\"reasoning_out\":\"reasoning\",\"keep\":[\"cache_control\"],\"set\":{\"usage\":{\"include\":true}}"),
	  .body = SENT(",\"reasoning\":{\"effort\":\"low\"},\"cache_control\":{\"type\":\"ephemeral\"},\"usage\":{\"include\":true}") },
	{ "drop, rename and only", .request = ASK(",\"seed\":1,\"top_k\":2,\"other\":3"),
	  .endpoint = WITH("\"rename\":{\"seed\":\"random_seed\"},\"only\":[\"random_seed\",\"top_k\"],\"drop\":[\"top_k\"]"), .body = SENT(",\"random_seed\":1") },
	{ "a schema as TGI has it", .request = ASK(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{\"type\":\"object\"}}}"), .endpoint = WITH("\"schema\":\"value\""),
	  .body = SENT(",\"response_format\":{\"type\":\"json\",\"value\":{\"type\":\"object\"}}") },
	{ "a stop is a list", .request = ASK(",\"stop\":\"x\""), .endpoint = WITH("\"stop\":\"array\""), .body = SENT(",\"stop\":[\"x\"]") },
	{ "tools lose their cache marks",
	  .request = ASK(",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"},\"cache_control\":{\"type\":\"ephemeral\"}}]"),
	  .body = SENT(",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]") },
	{ "a developer is the system", .request = TALK("{\"role\":\"developer\",\"content\":\"x\"}"), .body = TOLD("{\"role\":\"system\",\"content\":\"x\"}") },
	{ "unless the role is known", .request = TALK("{\"role\":\"developer\",\"content\":\"x\"}"), .endpoint = WITH("\"developer_role\":true"),
	  .body = TOLD("{\"role\":\"developer\",\"content\":\"x\"}") },
	{ "text alone is joined", .request = TALK("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}"),
	  .endpoint = WITH("\"content\":\"string\""), .body = TOLD("{\"role\":\"user\",\"content\":\"a\\nb\"}") },
	{ "an image where text alone is taken is refused",
	  .request = TALK("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i\"}}]}"),
	  .endpoint = WITH("\"content\":\"string\""), .events = "refused(messages[].content[].type: this upstream takes text only)" },
	{ "cache marks go, detail original is high", .request = TALK("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\",\"cache_control\":{}},"
		"{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\",\"detail\":\"original\"}}]}"),
	  .body = TOLD("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\",\"detail\":\"high\"}}]}") },
	{ "a file as document_url", .request = TALK("{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"filename\":\"n\",\"file_data\":\"https://h/d\"}}]}"),
	  .endpoint = WITH("\"file\":\"document_url\""),
	  .body = TOLD("{\"role\":\"user\",\"content\":[{\"type\":\"document_url\",\"document_url\":\"https://h/d\",\"document_name\":\"n\"}]}") },
	{ "a file's URL is refused where none is taken", .request = TALK("{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"file_data\":\"https://h/d\"}}]}"),
	  .events = "refused(messages[].content[].file.file_data: this upstream takes no URL; give a data: URL)" },
	{ "earlier reasoning is dropped", .request = TALK("{\"role\":\"assistant\",\"content\":\"x\",\"reasoning\":\"r\",\"reasoning_details\":[],\"annotations\":[]}"),
	  .body = TOLD("{\"role\":\"assistant\",\"content\":\"x\"}") },
	{ "or given back as text", .request = TALK("{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_details\":[{\"text\":\"a\"},{\"text\":\"b\"}]}"),
	  .endpoint = WITH("\"reasoning_history\":\"reasoning_content\""), .body = TOLD("{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\"ab\"}") },
	{ "or as chunks of the content", .request = TALK("{\"role\":\"assistant\",\"content\":\"x\",\"reasoning\":\"ab\"}"),
	  .endpoint = WITH("\"reasoning_history\":\"thinking\""), .body = TOLD("{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"ab\"}]},{\"type\":\"text\",\"text\":\"x\"}]}") },
	{ "something stands for a thought that is missed", .request = TALK("{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"a\"}]},{\"role\":\"assistant\",\"content\":\"x\"}"),
	  .endpoint = WITH("\"reasoning_history\":\"reasoning_content\",\"reasoning_missing\":\" \""), .body = TOLD("{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"a\"}],\"reasoning_content\":\" \"},{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\" \"}") },
	{ "only where there are calls", .request = TALK("{\"role\":\"assistant\",\"content\":\"x\"}"),
	  .endpoint = WITH("\"reasoning_history\":\"reasoning_content\",\"reasoning_missing\":\" \""), .body = TOLD("{\"role\":\"assistant\",\"content\":\"x\"}") },
	{ "but not to a model that does not think", .request = TALK("{\"role\":\"assistant\",\"content\":\"x\",\"reasoning\":\"ab\"}"),
	  .endpoint = "{\"model\":\"m-1\",\"params\":[\"tools\"],\"quirks\":{\"reasoning_history\":\"thinking\"}}", .body = TOLD("{\"role\":\"assistant\",\"content\":\"x\"}") },
	{ "what stands in answers alone does not go back", .request = TALK("{\"role\":\"assistant\",\"content\":\"x\",\"refusal\":null,\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{}}]},{\"role\":\"assistant\",\"content\":\"y\",\"tool_calls\":[]}"),
	  .body = TOLD("{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":[{\"id\":\"a\",\"function\":{}}]},{\"role\":\"assistant\",\"content\":\"y\"}") },
	{ "ids of calls fit, the same in call and result", .request = TALK("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"abcdefghi\"}]},{\"role\":\"tool\",\"tool_call_id\":\"abcdefghi\"}"),
	  .endpoint = WITH("\"tool_id_length\":9"), .body = TOLD("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"abcdefghi\"}]},{\"role\":\"tool\",\"tool_call_id\":\"abcdefghi\"}") },
	{ "no key, another path", .request = ASK(""), .endpoint = WITH("\"auth\":\"api-key\",\"path\":\"/x/chat\""), .path = "/x/chat", .sends = "api-key: sk-rig" },
};

static const struct rig_case answers[] = {
	{ "text, usage, finish", .streamed = true, .answer = CHUNK("\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null")
		CHUNK("\"delta\":{\"content\":\"Hé\"}") CHUNK("\"delta\":{},\"finish_reason\":\"stop\"")
		"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5,\"total_tokens\":14,\"prompt_tokens_details\":{\"cached_tokens\":4},"
		"\"completion_tokens_details\":{\"reasoning_tokens\":2}}}\n\n" DONE,
	  .events = "start(c1, m) text(Hé) usage(input=5 cached=4 output=3 reasoning=2) finish(stop, stop)" },
	{ "calls in pieces, mixed; stop behind them is tool_calls", .streamed = true,
	  .answer = CHUNK("\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}},{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\"}}]}")
		CHUNK("\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"\",\"function\":{\"name\":\"\",\"arguments\":\"{}\"}}]}")
		CHUNK("\"delta\":{},\"finish_reason\":\"stop\"") DONE,
	  .events = "start(c1, m) tool_begin(0, a, f) tool_begin(1, b, g) tool_args(0, {}) tool_end(0) tool_args(1, {}) tool_end(1) finish(tool_calls, stop)" },
	{ "calls without index or id", .streamed = true,
	  .answer = CHUNK("\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}}]},\"finish_reason\":\"tool_calls\""),
	  .events = "start(c1, m) tool_begin(0, call_c1_0, f) tool_args(0, {\"x\":1}) tool_end(0) finish(tool_calls, tool_calls)" },
	{ "all calls at index 0, told apart by id", .streamed = true,
	  .answer = CHUNK("\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}")
		CHUNK("\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\""),
	  .events = "start(c1, m) tool_begin(0, a, f) tool_args(0, {}) tool_begin(1, b, f) tool_args(1, {}) tool_end(0) tool_end(1) finish(tool_calls, tool_calls)" },
	{ "reasoning once, though said twice; a later null finish takes nothing back", .streamed = true,
	  .answer = CHUNK("\"delta\":{\"reasoning\":\"r\",\"reasoning_content\":\"r\"}") CHUNK("\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\",\"native_finish_reason\":\"end\"")
		CHUNK("\"delta\":{\"content\":\"\"},\"finish_reason\":null") DONE,
	  .events = "start(c1, m) reasoning(r, unknown) text(x) finish(stop, end)" },
	{ "details with a signature", .streamed = true,
	  .answer = CHUNK("\"delta\":{\"reasoning\":\"r\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"r\",\"signature\":\"s\",\"format\":\"f\",\"index\":0}]},\"finish_reason\":\"stop\""),
	  .events = "start(c1, m) reasoning(r, f, {\"type\":\"reasoning.text\",\"signature\":\"s\",\"index\":0}) finish(stop, stop)" },
	{ "think tags", .streamed = true, .endpoint = WITH("\"think_tags\":true"),
	  .answer = CHUNK("\"delta\":{\"content\":\"<th\"}") CHUNK("\"delta\":{\"content\":\"ink>a<b\"}") CHUNK("\"delta\":{\"content\":\"</thi\"}")
		CHUNK("\"delta\":{\"content\":\"nk>\\n\\nx<think>\"},\"finish_reason\":\"stop\""),
	  .events = "start(c1, m) reasoning(a<b, unknown) text(x<think>) finish(stop, stop)" },
	{ "no think tags", .streamed = true, .endpoint = WITH("\"think_tags\":true"),
	  .answer = CHUNK("\"delta\":{\"content\":\"<t\"},\"finish_reason\":\"stop\""), .events = "start(c1, m) text(<t) finish(stop, stop)" },
	{ "completion tokens without the reasoning", .answer = "{\"id\":\"c\",\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}],"
		"\"usage\":{\"prompt_tokens\":291,\"completion_tokens\":26,\"total_tokens\":513,\"completion_tokens_details\":{\"reasoning_tokens\":196},\"cost_in_usd_ticks\":1330500}}",
	  .events = "start(c) text(x) usage(input=291 output=26 reasoning=196 cost_nusd=133050) finish(stop, stop)" },
	{ "usage under x_groq, cost to the nanodollar", .streamed = true, .answer = CHUNK("\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"")
		"data: {\"choices\":[],\"x_groq\":{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"cost\":1.25e-05}}}\n\n" DONE,
	  .events = "start(c1, m) text(x) usage(input=1 output=2 cost_nusd=12500) finish(stop, stop)" },
	{ "an image comes as bytes", .answer = "{\"id\":\"c\",\"choices\":[{\"message\":{\"content\":null,\"images\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAEC\"}}]},\"finish_reason\":\"stop\"}]}",
	  .events = "start(c) image(image/png, 3 bytes) finish(stop, stop)" },
	{ "limits, when the answer begins", .headers = "x-ratelimit-limit-requests: 10\nx-ratelimit-remaining-requests: 9\nx-ratelimit-reset-requests: 1m2.5s",
	  .answer = "{\"id\":\"c\",\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}",
	  .events = "start(c) limit(requests, {\"remaining\":\"9\",\"limit\":\"10\"}, reset 62500 ms) text(x) finish(stop, stop)" },
	{ "limits as Mistral has them, in bare seconds", .headers = "ratelimitbysize-limit: 500000\nratelimitbysize-remaining: 0\nratelimitbysize-reset: 49",
	  .answer = "{\"id\":\"c\",\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}",
	  .events = "start(c) limit(tokens, {\"remaining\":\"0\",\"limit\":\"500000\"}, reset 49000 ms) text(x) finish(stop, stop)" },
	{ "a reset that is a time is no duration", .headers = "x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 1795291200",
	  .answer = "{\"id\":\"c\",\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}", .events = "start(c) limit(requests, {\"remaining\":\"0\"}) text(x) finish(stop, stop)" },
	{ "nor one whose last digit could be seconds", .headers = "x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 1795291207",
	  .answer = "{\"id\":\"c\",\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}", .events = "start(c) limit(requests, {\"remaining\":\"0\"}) text(x) finish(stop, stop)" },
	{ "an end without a finish reason", .streamed = true, .answer = CHUNK("\"delta\":{\"content\":\"x\"}"),
	  .events = "start(c1, m) text(x) error(upstream, the answer ended without a finish reason)" },
	{ "a finish reason that is an error", .streamed = true, .answer = CHUNK("\"delta\":{},\"finish_reason\":\"insufficient_system_resource\"") DONE,
	  .events = "start(c1, m) error(overloaded, the upstream gave up on its answer)" },
	{ "an error in the stream", .streamed = true, .answer = CHUNK("\"delta\":{\"content\":\"x\"}") "data: {\"error\":{\"code\":429,\"message\":\"slow\"}}\n\n" DONE,
	  .events = "start(c1, m) text(x) error(rate_limited, slow, code 429)" },
	{ "an error with status 200 (base_resp)", .answer = "{\"base_resp\":{\"status_code\":1008,\"status_msg\":\"no money\"}}",
	  .events = "error(quota, no money, code 1008)" },
	{ "429 for the rate", .status = 429, .headers = "retry-after: 2", .answer = "{\"error\":{\"message\":\"slow\",\"code\":\"rate_limit_exceeded\"}}",
	  .events = "error(rate_limited, slow, code rate_limit_exceeded, retry after 2000 ms)" },
	{ "429 for the money", .status = 429, .answer = "{\"error\":{\"message\":\"pay\",\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\"}}",
	  .events = "error(quota, pay, code insufficient_quota)" },
	{ "context length, by code", .status = 400, .answer = "{\"error\":{\"message\":\"long\",\"code\":\"context_length_exceeded\"}}",
	  .events = "error(context_length, long, code context_length_exceeded)" },
	{ "context length, by words, without a wrapper", .status = 400, .answer = "{\"object\":\"error\",\"message\":\"This model's maximum context length is 1\",\"type\":\"BadRequestError\",\"code\":400}",
	  .events = "error(context_length, This model's maximum context length is 1, code 400)" },
	{ "an error that is a string", .status = 403, .answer = "{\"code\":\"c\",\"error\":\"no\"}", .events = "error(auth, no, code c)" },
	{ "a detail that is a list", .status = 422, .answer = "{\"detail\":[{\"msg\":\"extra\",\"type\":\"t\"}]}", .events = "error(bad_request, extra, final)" },
	{ "Cloudflare's list of errors", .status = 429, .answer = "{\"success\":false,\"errors\":[{\"code\":3040,\"message\":\"Capacity temporarily exceeded\"}],\"result\":null}",
	  .events = "error(rate_limited, Capacity temporarily exceeded, code 3040)" },
	{ "TGI's type of an error", .status = 429, .answer = "{\"error\":\"Model is overloaded\",\"error_type\":\"overloaded\"}", .events = "error(overloaded, Model is overloaded, code overloaded)" },
	{ "one call as itself, its arguments an object", .streamed = true, .answer = CHUNK("\"delta\":{\"role\":\"assistant\",\"tool_calls\":{\"index\":0,\"id\":\"0\",\"function\":{\"name\":\"f\",\"arguments\":{\"n\":1}}}},\"finish_reason\":\"eos_token\"") DONE,
	  .events = "start(c1, m) tool_begin(0, 0, f) tool_args(0, {\"n\":1}) tool_end(0) finish(tool_calls, eos_token)" },
	{ "a page", .status = 502, .answer = "<html>", .events = "error(server)" },
};

static const struct rig_case embeddings[] = {
	{ "vectors and their usage", .request = "{\"model\":\"a/b\",\"input\":[\"x\"],\"input_type\":\"q\",\"dimensions\":2,\"provider\":{}}",
	  .path = "/embeddings", .body = "{\"model\":\"m-1\",\"input\":[\"x\"],\"dimensions\":2}",
	  .answer = "{\"data\":[{\"index\":0,\"embedding\":[0.1,-2e-3]},{\"index\":1,\"embedding\":\"AAAA\"}],\"model\":\"e\",\"usage\":{\"prompt_tokens\":3,\"total_tokens\":3}}",
	  .events = "start(, e) vector(0, [0.1,-2e-3]) vector(1, \"AAAA\") usage(input=3)" },
};

static const struct rig_case models[] = {
	{ "models", .path = "/models", .answer = "{\"data\":[{\"id\":\"a\"}]}", .events = "model(a, {\"id\":\"a\"})" },
	{ "models in a bare array", .answer = "[{\"id\":\"a\"}]", .events = "model(a, {\"id\":\"a\"})" },
};

static const struct recorded recordings[] = {
	{ "openai-chat/chat-audio-to-text", NULL, "audio_in=1 output=17|finish(stop, stop)", true },
	{ "openai-chat/chat-streaming-detailed-usage", "{\"max_tokens\":\"max_completion_tokens\",\"developer_role\":true}", "usage(input=12 reasoning=100)|finish(length, length)", true },
	{ "openai-completions/completion-streaming-usage", "{\"prompt\":true}", "start(cmpl-CKzHhit4D82m3cp2zRTC2fpTNlJCX, babbage:2023-07-21-v2)|text( + fib(n-3) + fib(n-4)|usage(input=31 output=25)|finish(length, length)", false,
	  "{\"messages\":[{\"role\":\"user\",\"content\":\"@/prompt\"}],\"max_tokens\":25,\"temperature\":0.4,\"top_p\":0.9,\"stream\":true}" },
	{ "openai-chat/document-as-binary-content-input-with-tool", NULL, "tool_begin(0, call_|get_upper_case)|tool_end(0)|finish(tool_calls, tool_calls)", true },
	{ "openai-chat/multimodal-tool-return-matrix-tool-return-content-url-image--1", NULL, "finish(stop, stop)", true },
	{ "openai-chat/openai-native-output", NULL, "tool_args(0, {})|usage(input=71 output=12)", true },
	{ "openai-chat/openai-web-search-tool-model-not-supported", NULL, "error(bad_request, |final)", true },
	{ "openai-chat/parsed-refused-completion-with-events-with-content-2", NULL, "refusal(|usage(input=65 output=13)", true },
	{ "groq/groq-native-output", NULL, "reasoning(|usage(input=178 output=94)", true },
	{ "groq/tool-use-failed-error", NULL, "error(upstream, |code tool_use_failed)", true },
	{ "groq/tool-use-failed-error-streaming-1", NULL, "usage(input=304 output=26 reasoning=23)|finish(tool_calls", true },
	{ "deepseek/deepseek-tool-call-stream", NULL, "reasoning(|usage(input=19 cached=320 output=44 reasoning=39)|finish(tool_calls", false },
	{ "deepseek/deepseek-deferred-capability-with-thinking", NULL, "reasoning(|text(|usage(input=51 cached=512 output=56 reasoning=60)", true },
	{ "mistral/mistral-incremental-tool-call-stream", NULL, "webSearchTool)|usage(input=43 cached=128 output=14)", false },
	{ "mistral/mistral-model-thinking-part-iter-stream", NULL, "reasoning(|text(|finish(stop, stop)", true },
	{ "mistral/synchronous-streaming-chat-completions-emits-expected-span-f", NULL, "usage(input=26 output=4)", true },
	{ "xai/xai-tool-call-stream", NULL, "usage(input=1 cached=290 output=26 reasoning=196 cost_nusd=133050)", false },
	{ "together/chat-stream", NULL, "usage(input=41 output=15) finish(stop, stop)", true },
	{ "perplexity/perplexity-text-stream", NULL, "annotation({\"type\":\"url_citation\"|finish(stop, stop)", false },
	{ "openrouter/openrouter-errors-raised", NULL, "error(rate_limited, |code 429)", true },
	{ "openrouter/openrouter-stream-error", "{\"max_tokens\":\"as_given\"}", "reasoning(|error(bad_request, |code 400", true },
	{ "openrouter/openrouter-streaming-reasoning", "{\"reasoning_out\":\"reasoning\"}", "\"signature\":\"E|finish(stop, ", true },
	{ "openrouter/openrouter-web-search-annotations-stream", NULL, "annotation({|cost_nusd=7650917", true },
	{ "openrouter/openrouter-cache-all-settings-real-api-2", "{\"keep\":[\"cache_control\",\"provider\"],\"max_tokens\":\"as_given\"}",
	  "usage(input=3 cached=2240 cache_write=329 output=100 cost_nusd=3414750)", true },
	{ "cerebras/openai-model-cerebras-provider-qwen-3-coder", NULL, "usage(input=304 output=25)", true },
	{ "zai/zai-thinking-stream", NULL, "reasoning(|text(4)|finish(stop, stop)", true },
	{ "azure-chat/azure-chat-basic", NULL, "reasoning=192", true },
	{ "azure-chat/chat-reasoning-2", NULL, "error(not_found, |code DeploymentNotFound)", true },
	{ "invented/openai-chat/429", NULL, "error(rate_limited, Rate limit reached|retry after 1250 ms" },
	{ "invented/openai-chat/429-quota", NULL, "error(quota, You exceeded your current quota" },
	{ "invented/openai-chat/500", NULL, "error(server, The server had an error" },
	{ "invented/openai-chat/503", NULL, "error(overloaded, The engine is currently overloaded" },
	{ "invented/openai-chat/stream-error", NULL, "text(Half)|error(server, The server had an error" },
	{ "invented/openai-chat/stream-cut-short", NULL, "text(Half)|error(upstream, " },
	{ "invented/minimax/200-rate-limit", NULL, "error(rate_limited, rate limit exceeded(RPM), code 1002)" },
	{ "invented/minimax/200-key", NULL, "error(auth, login fail: Please carry the API secret key, code 1004)" },
	{ "invented/minimax/200-balance", NULL, "error(quota, insufficient balance, code 1008)" },
	{ "invented/minimax/200-tokens", NULL, "error(rate_limited, token limit exceeded(TPM), code 1039)" },
	{ "invented/minimax/200-parameters", NULL, "error(bad_request, invalid params, code 2013, final)" },
	{ "invented/minimax/stream-rate-limit", NULL, "error(rate_limited, rate limit exceeded(RPM), code 1002)" },
	{ "invented/azure-chat/stream-filtered", NULL, "text(Hel) usage(input=3 output=1) finish(content_filter, content_filter)" },
	{ "invented/azure-chat/content-filter-400", NULL, "error(moderation, The response was filtered, code content_filter, final)" },
	{ "invented/azure-chat/apim-429", NULL, "error(rate_limited, Rate limit is exceeded. Try again in 6 seconds., retry after 6000 ms)" },
	{ "invented/azure-chat/apim-401", NULL, "error(auth, Unauthorized." },
	{ "huggingface/image-url-input", NULL, "finish(stop, stop)", true },
	{ "ollama-openai-chat/ollama-local-native-output-uses-json-schema", NULL, "reasoning(|usage(input=136 output=15)", true },
};

#define RUN(op, cases) rig_run(mg_plugin_entry(), op, cases, sizeof(cases) / sizeof((cases)[0]))

int main(void)
{
	static const struct recorded embedding = { "openai-embeddings/embeddings-dimensions", NULL, "vector(0, |usage(input=", true };
	static const struct recorded list = { "openrouter-models/prompt", NULL, "model(anthropic/claude-sonnet-4, " };
	static const struct recorded voyage = { "voyage-embeddings/voyage-embedding", NULL, "vector(1, |usage(input=12)" };
	static const struct recorded rank = { "voyage-rerank/voyageai-rerank-legacy", "{\"top_n\":\"top_k\",\"set\":{\"truncation\":true}}", "score(3, 0.7421875)|usage(input=57)",
		.asks = "{\"query\":\"@/query\",\"documents\":\"@/documents\",\"top_n\":3}" };
	static const struct recorded picture = { "openai-images/openai-image", NULL, "images_out=2" };
	static const struct recorded transcript = { "openai-transcription/audio-transcription-basic", NULL, "text(The sun rises|usage(seconds=7)" };
	int bad = 0;

	for (size_t i = 0; i < sizeof(recordings) / sizeof(recordings[0]); i++)
		recorded_run(MG_CHAT, &recordings[i]);
	recorded_run(MG_EMBEDDINGS, &embedding);
	recorded_run(MG_MODELS, &list);
	recorded_run(MG_EMBEDDINGS, &voyage);
	recorded_run(MG_RERANK, &rank);
	recorded_run(MG_IMAGE, &picture);
	recorded_run(MG_TRANSCRIPTION, &transcript);
	bad |= RUN(MG_EMBEDDINGS, typed);
	bad |= RUN(MG_RERANK, reranks);
	bad |= RUN(MG_IMAGE, pictures);
	bad |= RUN(MG_SPEECH, voices);
	bad |= RUN(MG_TRANSCRIPTION, transcripts);
	bad |= RUN(MG_MODERATION, verdicts);
	bad |= RUN(MG_EMBEDDINGS, embeddings);
	bad |= RUN(MG_MODELS, models);
	bad |= RUN(MG_CHAT, answers);
	bad |= RUN(MG_CHAT, requests);
	return bad;
}
