/* The gemini dialect: contents, tools and signatures out; candidates in. */
#include <glob.h>

#include "recorded.h"
#include "gemini_back.h"

#define ASK(messages, members) "{\"model\":\"a/b\",\"messages\":[" messages "]" members "}"
#define SENT(contents, members) "{\"contents\":[" contents "]" members "}"
#define ROW(model, quirks) "{\"model\":\"" model "\",\"max_output\":8000,\"quirks\":{" quirks "}}"
#define OLD ROW("gemini-2.5-flash", "")
#define NEW ROW("gemini-3.5-flash", "")
#define CONFIG(members) ",\"generationConfig\":{" members "}"
#define HI "{\"role\":\"user\",\"content\":\"Hi\"}"
#define USER(parts) "{\"role\":\"user\",\"parts\":[" parts "]}"
#define MODEL(parts) "{\"role\":\"model\",\"parts\":[" parts "]}"
#define TEXT(text) "{\"text\":\"" text "\"}"
#define SAID USER(TEXT("Hi"))
#define PARTS(parts) "{\"role\":\"user\",\"content\":[" parts "]}"
#define CALL(id, name, args) "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"arguments\":\"" args "\"}}"
#define CALLS(calls, more) "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" calls "]" more "}"
#define RESULT(id, text) "{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"" text "\"}"
#define USE(id, name, args, more) "{\"functionCall\":{\"id\":\"" id "\",\"name\":\"" name "\",\"args\":" args "}" more "}"
#define DONE(id, name, response) "{\"functionResponse\":{\"id\":\"" id "\",\"name\":\"" name "\",\"response\":" response "}}"
#define SIGNED(data) ",\"thoughtSignature\":\"" data "\""
#define DETAILS(items) ",\"reasoning_details\":[" items "]"
#define SIGNATURE(data, id) "{\"type\":\"reasoning.encrypted\",\"data\":\"" data "\",\"id\":" id ",\"format\":\"google-gemini-v1\"}"
#define TOOLS ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\",\"properties\":{}}}}]"
#define TOOLS_SENT ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"description\":\"d\",\"parametersJsonSchema\":{\"type\":\"object\",\"properties\":{}}}]}]"
#define FUNCTION(schema) ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":" schema "}}]"
#define FUNCTION_SENT(schema) ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"" schema "}]}]"

static const struct rig_case requests[] = {
	{ "the path names the model, the key is a header", .request = ASK(HI, ""), .endpoint = OLD, .path = "/models/gemini-2.5-flash:generateContent",
	  .body = SENT(SAID, CONFIG("")), .sends = "x-goog-api-key: sk-rig" },
	{ "a stream is asked for as events", .streamed = true, .request = ASK(HI, ""), .endpoint = OLD, .path = "/models/gemini-2.5-flash:streamGenerateContent?alt=sse" },
	{ "systems apart, wherever they are", .request = ASK("{\"role\":\"system\",\"content\":\"s\"}," HI ",{\"role\":\"developer\",\"content\":\"d\"}," HI, ""), .endpoint = OLD,
	  .body = SENT(USER(TEXT("Hi") "," TEXT("Hi")), ",\"systemInstruction\":{\"parts\":[" TEXT("s") "," TEXT("d") "]}" CONFIG("")) },
	{ "systems alone are the user's", .request = ASK("{\"role\":\"system\",\"content\":\"s\"}", ""), .endpoint = OLD, .body = SENT(USER(TEXT("s")), CONFIG("")) },
	{ "an assistant first", .request = ASK("{\"role\":\"assistant\",\"content\":\"a\"}," HI, ""), .endpoint = OLD,
	  .body = SENT(USER(TEXT(".")) "," MODEL(TEXT("a")) "," SAID, CONFIG("")) },
	{ "results in the order of the calls, with their names, in one content with what the user adds",
	  .request = ASK(HI "," CALLS(CALL("a", "f", "{\\\"n\\\":12345678901234567890}") "," CALL("b", "g", ""), "") ","
		RESULT("b", "two") "," RESULT("a", "{\\\"x\\\":1.0}") "," HI, TOOLS), .endpoint = OLD,
	  .body = SENT(SAID "," MODEL(USE("a", "f", "{\"n\":12345678901234567890}", "") "," USE("b", "g", "{}", "")) ","
		USER(DONE("a", "f", "{\"x\":1.0}") "," DONE("b", "g", "{\"result\":\"two\"}") "," TEXT("Hi")), TOOLS_SENT CONFIG("")) },
	{ "the same id in two turns is each turn's own", .request = ASK(HI "," CALLS(CALL("a", "f", "{}"), "") "," RESULT("a", "1") "," CALLS(CALL("a", "g", "{}"), "") "," RESULT("a", "2"), ""),
	  .endpoint = OLD, .body = SENT(SAID "," MODEL(USE("a", "f", "{}", "")) "," USER(DONE("a", "f", "{\"result\":\"1\"}")) "," MODEL(USE("a", "g", "{}", "")) "," USER(DONE("a", "g", "{\"result\":\"2\"}")), CONFIG("")) },
	{ "a failed result", .request = ASK(HI "," CALLS(CALL("a", "f", "{}"), "") ",{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"no\",\"is_error\":true}", ""), .endpoint = ROW("gemini-2.5-pro", "\"call_ids\":\"drop\""),
	  .body = SENT(SAID "," MODEL("{\"functionCall\":{\"name\":\"f\",\"args\":{}}}") "," USER("{\"functionResponse\":{\"name\":\"f\",\"response\":{\"error\":\"no\"}}}"), CONFIG("")) },
	{ "a result without its call", .request = ASK(HI "," RESULT("z", "x"), ""),
	  .events = "refused(messages[].tool_call_id: no call of the turn before has it, and the message has no name)" },
	{ "arguments that are no object", .request = ASK(CALLS(CALL("a", "f", "[1]"), ""), ""),
	  .events = "refused(messages[].tool_calls[].function.arguments: not the text of a JSON object)" },
	{ "signatures go back to their calls", .request = ASK(HI "," CALLS(CALL("a", "f", "{}") "," CALL("b", "g", "{}"), DETAILS("{\"type\":\"reasoning.text\",\"text\":\"hm\"}," SIGNATURE("S1", "\"a\"")
		",{\"type\":\"reasoning.encrypted\",\"data\":\"o\",\"id\":\"b\",\"format\":\"openai-responses-v1\"}")) "," RESULT("a", "1") "," RESULT("b", "2"), ""), .endpoint = NEW,
	  .body = SENT(SAID "," MODEL(USE("a", "f", "{}", SIGNED("S1")) "," USE("b", "g", "{}", "")) "," USER(DONE("a", "f", "{\"result\":\"1\"}") "," DONE("b", "g", "{\"result\":\"2\"}")), CONFIG("")) },
	{ "or from where clients of the OpenAI mode keep them", .request = ASK(HI ",{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"},\"extra_content\":{\"google\":{\"thought_signature\":\"S\"}}}]}," RESULT("a", "1"), ""),
	  .endpoint = NEW, .body = SENT(SAID "," MODEL(USE("a", "f", "{}", SIGNED("S"))) "," USER(DONE("a", "f", "{\"result\":\"1\"}")), CONFIG("")) },
	{ "a call of another model's gets the word that is taken for one", .request = ASK(HI "," CALLS(CALL("a", "f", "{}") "," CALL("b", "f", "{}"), "") "," RESULT("a", "1") "," RESULT("b", "2"), ""), .endpoint = NEW,
	  .body = SENT(SAID "," MODEL(USE("a", "f", "{}", SIGNED("skip_thought_signature_validator")) "," USE("b", "f", "{}", "")) "," USER(DONE("a", "f", "{\"result\":\"1\"}") "," DONE("b", "f", "{\"result\":\"2\"}")), CONFIG("")) },
	{ "the text that was signed, in its parts", .request = ASK(HI ",{\"role\":\"assistant\",\"content\":\"abcde\"" DETAILS(SIGNATURE("S0", "\"text:0:0\"") "," SIGNATURE("S1", "null") "," SIGNATURE("S2", "\"text:5:5\"")) "}," HI, ""), .endpoint = NEW,
	  .body = SENT(SAID "," MODEL("{\"text\":\"\"" SIGNED("S0") "},{\"text\":\"abcde\"" SIGNED("S1") "},{\"text\":\"\"" SIGNED("S2") "}") "," SAID, CONFIG("")) },
	{ "parts of it", .request = ASK(HI ",{\"role\":\"assistant\",\"content\":\"abcde\"" DETAILS(SIGNATURE("S1", "\"text:1:3\"")) "}," HI, ""), .endpoint = NEW,
	  .body = SENT(SAID "," MODEL(TEXT("a") ",{\"text\":\"bc\"" SIGNED("S1") "}," TEXT("de")) "," SAID, CONFIG("")) },
	{ "a text that the client changed", .request = ASK(HI ",{\"role\":\"assistant\",\"content\":\"ab\"" DETAILS(SIGNATURE("S1", "\"text:1:9\"")) "}," HI, ""), .endpoint = NEW,
	  .body = SENT(SAID "," MODEL("{\"text\":\"ab\"" SIGNED("S1") "}") "," SAID, CONFIG("")) },
	{ "a thought and an image that were signed", .request = ASK(HI ",{\"role\":\"assistant\",\"content\":null,\"images\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAEC\"}}]"
		DETAILS("{\"type\":\"reasoning.text\",\"text\":\"h\"},{\"type\":\"reasoning.text\",\"text\":\"m\"}," SIGNATURE("S1", "\"thought\"") "," SIGNATURE("S2", "\"image:0\"")) "}," HI, ""), .endpoint = NEW,
	  .body = SENT(SAID "," MODEL("{\"text\":\"hm\",\"thought\":true" SIGNED("S1") "},{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AAEC\"}" SIGNED("S2") "}") "," SAID, CONFIG("")) },
	{ "images, documents, sound, films", .request = ASK(PARTS("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/jpg;base64,AAEC\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i.png?x=1\"}},"
		"{\"type\":\"file\",\"file\":{\"file_data\":\"data:application/pdf;base64,AAEC\"}},{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAEC\",\"format\":\"mp3\"}},"
		"{\"type\":\"video_url\",\"video_url\":{\"url\":\"https://www.youtube.com/watch?v=1\"}}"), ""), .endpoint = OLD,
	  .body = SENT(USER("{\"inlineData\":{\"mimeType\":\"image/jpeg\",\"data\":\"AAEC\"}},{\"fileData\":{\"fileUri\":\"https://h/i.png?x=1\",\"mimeType\":\"image/png\"}},"
		"{\"inlineData\":{\"mimeType\":\"application/pdf\",\"data\":\"AAEC\"}},{\"inlineData\":{\"mimeType\":\"audio/mp3\",\"data\":\"AAEC\"}},"
		"{\"fileData\":{\"fileUri\":\"https://www.youtube.com/watch?v=1\",\"mimeType\":\"video/mp4\"}}"), CONFIG("")) },
	{ "addresses where none are fetched", .request = ASK(PARTS("{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i.png\"}}"), ""), .endpoint = ROW("gemini-2.0-flash", "\"urls\":[\"https://youtu.be/\"]"),
	  .events = "refused(messages[].content[].image_url.url: this upstream fetches no URL; give a data: URL)" },
	{ "an image in a result: inside from 3 on", .request = ASK(HI "," CALLS(CALL("a", "f", "{}"), DETAILS(SIGNATURE("S", "\"a\""))) ",{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":[{\"type\":\"text\",\"text\":\"t\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAEC\"}}]}", ""), .endpoint = NEW,
	  .body = SENT(SAID "," MODEL(USE("a", "f", "{}", SIGNED("S"))) "," USER("{\"functionResponse\":{\"id\":\"a\",\"name\":\"f\",\"response\":{\"result\":\"t\"},\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AAEC\"}}]}}"), CONFIG("")) },
	{ "and behind it before", .request = ASK(HI "," CALLS(CALL("a", "f", "{}"), "") ",{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":[{\"type\":\"text\",\"text\":\"t\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAEC\"}}]}", ""), .endpoint = OLD,
	  .body = SENT(SAID "," MODEL(USE("a", "f", "{}", "")) "," USER(DONE("a", "f", "{\"result\":\"t\"}") ",{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AAEC\"}}"), CONFIG("")) },
	{ "a named tool", .request = ASK(HI, TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"), .endpoint = OLD,
	  .body = SENT(SAID, TOOLS_SENT ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]}}" CONFIG("")) },
	{ "no tool", .request = ASK(HI, TOOLS ",\"tool_choice\":\"none\""), .endpoint = OLD, .body = SENT(SAID, TOOLS_SENT ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"NONE\"}}" CONFIG("")) },
	{ "the service's own tool", .request = ASK(HI, ",\"tools\":[{\"type\":\"google_search\"}]"), .endpoint = OLD, .body = SENT(SAID, ",\"tools\":[{\"googleSearch\":{}}]" CONFIG("")) },
	{ "an unknown tool", .request = ASK(HI, ",\"tools\":[{\"type\":\"x\"}]"), .events = "refused(tools[].type: not one that this upstream knows; use \"function\" or \"google_search\")" },
	{ "a schema of older models", .request = ASK(HI, FUNCTION("{\"type\":\"object\",\"additionalProperties\":false,\"$defs\":{\"P\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":[\"integer\",\"null\"],\"minimum\":1}}}},"
		"\"properties\":{\"p\":{\"$ref\":\"#/$defs/P\"},\"k\":{\"const\":\"v\"},\"o\":{\"oneOf\":[{\"type\":\"string\",\"maxLength\":5},{\"type\":\"null\"}]},\"l\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}}},\"required\":[\"p\"]}")), .endpoint = ROW("gemini-2.0-flash", "\"schema\":\"openapi\""),
	  .body = SENT(SAID, FUNCTION_SENT(",\"parameters\":{\"type\":\"OBJECT\",\"required\":[\"p\"],\"properties\":{\"p\":{\"type\":\"OBJECT\",\"properties\":{\"x\":{\"type\":\"INTEGER\",\"nullable\":true,\"minimum\":1}}},"
		"\"k\":{\"type\":\"STRING\",\"enum\":[\"v\"]},\"o\":{\"nullable\":true,\"anyOf\":[{\"type\":\"STRING\",\"maxLength\":\"5\"}]},\"l\":{\"type\":\"ARRAY\",\"items\":{\"type\":\"NUMBER\"}}}}") CONFIG("")) },
	{ "an object of nothing is left out there", .request = ASK(HI, FUNCTION("{\"type\":\"object\",\"properties\":{}}")), .endpoint = ROW("gemini-2.0-flash", "\"schema\":\"openapi\""), .body = SENT(SAID, FUNCTION_SENT("") CONFIG("")) },
	{ "a schema that refers to itself", .request = ASK(HI, FUNCTION("{\"type\":\"object\",\"$defs\":{\"T\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/T\"}}},\"properties\":{\"t\":{\"$ref\":\"#/$defs/T\"}}}")), .endpoint = ROW("gemini-2.0-flash", "\"schema\":\"openapi\""),
	  .events = "refused(schema: it refers to itself, or is too deep for this upstream's model)" },
	{ "a form that is asked for", .request = ASK(HI, ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{\"type\":\"object\"}}}"), .endpoint = OLD,
	  .body = SENT(SAID, CONFIG("\"responseMimeType\":\"application/json\",\"responseJsonSchema\":{\"type\":\"object\"}")) },
	{ "what shapes the generation", .request = ASK(HI, ",\"temperature\":0.30,\"top_p\":1e-1,\"top_k\":0,\"seed\":7,\"max_tokens\":90,\"stop\":\"x\",\"frequency_penalty\":1,\"presence_penalty\":2,\"logprobs\":true,\"top_logprobs\":3,\"min_p\":0.1,\"user\":\"u\""), .endpoint = OLD,
	  .body = SENT(SAID, CONFIG("\"temperature\":0.30,\"topP\":1e-1,\"seed\":7,\"frequencyPenalty\":1,\"presencePenalty\":2,\"maxOutputTokens\":90,\"responseLogprobs\":true,\"logprobs\":3,\"stopSequences\":[\"x\"]")) },
	{ "six words to stop at", .request = ASK(HI, ",\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"]"), .events = "refused(stop: this upstream takes 5 at most)" },
	{ "effort as a budget", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"high\"},\"max_tokens\":10000"), .endpoint = OLD,
	  .body = SENT(SAID, CONFIG("\"maxOutputTokens\":10000,\"thinkingConfig\":{\"includeThoughts\":true,\"thinkingBudget\":8000}")) },
	{ "a budget within bounds, unseen", .request = ASK(HI, ",\"reasoning\":{\"max_tokens\":99999,\"exclude\":true}"), .endpoint = OLD,
	  .body = SENT(SAID, CONFIG("\"thinkingConfig\":{\"includeThoughts\":false,\"thinkingBudget\":24576}")) },
	{ "off", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"none\"}"), .endpoint = OLD, .body = SENT(SAID, CONFIG("\"thinkingConfig\":{\"thinkingBudget\":0}")) },
	{ "as far off as it goes", .request = ASK(HI, ",\"reasoning\":{\"enabled\":false}"), .endpoint = ROW("gemini-2.5-pro", ""), .body = SENT(SAID, CONFIG("\"thinkingConfig\":{\"thinkingBudget\":128}")) },
	{ "effort as a level", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"xhigh\"}"), .endpoint = NEW, .body = SENT(SAID, CONFIG("\"thinkingConfig\":{\"includeThoughts\":true,\"thinkingLevel\":\"HIGH\"}")) },
	{ "the least level of the model", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"minimal\"}"), .endpoint = ROW("gemini-3.1-pro", ""), .body = SENT(SAID, CONFIG("\"thinkingConfig\":{\"includeThoughts\":true,\"thinkingLevel\":\"LOW\"}")) },
	{ "levels of the row", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"none\"}"), .endpoint = ROW("x", "\"thinking\":\"level\",\"efforts\":[\"low\",\"high\"]"), .body = SENT(SAID, CONFIG("\"thinkingConfig\":{\"thinkingLevel\":\"LOW\"}")) },
	{ "a budget where levels are known: never both", .request = ASK(HI, ",\"reasoning\":{\"max_tokens\":500}"), .endpoint = NEW, .body = SENT(SAID, CONFIG("\"thinkingConfig\":{\"includeThoughts\":true,\"thinkingBudget\":500}")) },
	{ "thoughts as they come, to be seen", .request = ASK(HI, ",\"include_reasoning\":true"), .endpoint = NEW, .body = SENT(SAID, CONFIG("\"thinkingConfig\":{\"includeThoughts\":true}")) },
	{ "no thoughts in models that have none", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"high\"}"), .endpoint = ROW("gemini-2.0-flash", ""), .body = SENT(SAID, CONFIG("")) },
	{ "images out", .request = ASK(HI, ",\"modalities\":[\"image\",\"text\"],\"image_config\":{\"aspect_ratio\":\"16:9\",\"image_size\":\"2K\"}"), .endpoint = NEW,
	  .body = SENT(SAID, CONFIG("\"responseModalities\":[\"IMAGE\",\"TEXT\"],\"imageConfig\":{\"aspectRatio\":\"16:9\",\"imageSize\":\"2K\"}")) },
	{ "sound out", .request = ASK(HI, ",\"modalities\":[\"audio\"],\"audio\":{\"voice\":\"Kore\",\"format\":\"pcm16\"}"), .endpoint = NEW,
	  .body = SENT(SAID, CONFIG("\"responseModalities\":[\"AUDIO\"],\"speechConfig\":{\"voiceConfig\":{\"prebuiltVoiceConfig\":{\"voiceName\":\"Kore\"}}}")) },
	{ "a format that it does not make", .request = ASK(HI, ",\"modalities\":[\"audio\"],\"audio\":{\"voice\":\"Kore\",\"format\":\"mp3\"}"), .events = "refused(audio.format: this upstream makes pcm16 and wav)" },
	{ "safety is the row's, tiers are words", .request = ASK(HI, ",\"service_tier\":\"flex\""), .endpoint = "{\"model\":\"gemini-2.5-flash\",\"options\":{\"safetySettings\":[{\"category\":\"HARM_CATEGORY_HARASSMENT\",\"threshold\":\"BLOCK_NONE\"}]}}",
	  .body = SENT(SAID, CONFIG("") ",\"safetySettings\":[{\"category\":\"HARM_CATEGORY_HARASSMENT\",\"threshold\":\"BLOCK_NONE\"}],\"serviceTier\":\"flex\"") },
	{ "a user as a label, if it can be one", .request = ASK(HI, ",\"user\":\"u_1\""), .endpoint = ROW("gemini-2.5-flash", "\"user_label\":\"user\""), .body = SENT(SAID, CONFIG("") ",\"labels\":{\"user\":\"u_1\"}") },
	{ "and if not, not", .request = ASK(HI, ",\"user\":\"U 1\""), .endpoint = ROW("gemini-2.5-flash", "\"user_label\":\"user\""), .body = SENT(SAID, CONFIG("")) },
	{ "Vertex hears of tiers in a header", .request = ASK(HI, ",\"service_tier\":\"priority\""), .endpoint = ROW("gemini-2.5-flash", "\"tier\":\"header\",\"auth\":\"bearer\""), .body = SENT(SAID, CONFIG("")),
	  .sends = "X-Vertex-AI-LLM-Shared-Request-Type: priority\nAuthorization: Bearer sk-rig" },
};

#define CHUNK(parts, more) "data: {\"candidates\":[{\"content\":{\"parts\":[" parts "],\"role\":\"model\"}" more ",\"index\":0}],\"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\n"
#define LAST(parts, more) "data: {\"candidates\":[{\"content\":{\"parts\":[" parts "]},\"finishReason\":\"STOP\"" more "}],\"usageMetadata\":{\"promptTokenCount\":20,\"candidatesTokenCount\":5,\"totalTokenCount\":25}," \
	"\"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\n"
#define BEGUN "start(r, m) "
#define ENDED "usage(input=20 output=5) finish(stop, STOP)"
#define ENC(data, id) "reasoning(, google-gemini-v1, {\"type\":\"reasoning.encrypted\",\"data\":\"" data "\"" id "})"

static const struct rig_case answers[] = {
	{ "thoughts, text, usage", .streamed = true, .answer = CHUNK("{\"text\":\"hm\",\"thought\":true}", "") CHUNK("{\"text\":\"H\"}", "") LAST("{\"text\":\"é\"}", ""),
	  .events = BEGUN "reasoning(hm, google-gemini-v1) text(Hé) " ENDED },
	{ "a signature on the text, one behind it", .streamed = true, .answer = CHUNK("{\"text\":\"ab\"" SIGNED("S1") "}", "") CHUNK("{\"text\":\"cd\"}", "") LAST("{\"text\":\"\"" SIGNED("S2") "}", ""),
	  .events = BEGUN "text(ab) " ENC("S1", "") " text(cd) " ENC("S2", ",\"id\":\"text:4:4\"") " " ENDED },
	{ "calls in two chunks", .streamed = true, .answer = CHUNK("{\"functionCall\":{\"id\":\"x\",\"name\":\"f\",\"args\":{ \"a\" : [1, 12345678901234567890], \"b\":\"c \\\" d\" }}" SIGNED("S") "}", "") LAST("{\"functionCall\":{\"name\":\"g\"}},{\"text\":\"\"}", ""),
	  .events = BEGUN ENC("S", ",\"id\":\"x\"") " tool_begin(0, x, f) tool_args(0, {\"a\":[1,12345678901234567890],\"b\":\"c \\\" d\"}) tool_end(0) "
		"tool_begin(1, call_r_1, g) tool_args(1, {}) tool_end(1) usage(input=20 output=5) finish(tool_calls, STOP)" },
	{ "an image, and a draft of one", .streamed = true, .answer = CHUNK("{\"thought\":true,\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AAEC\"}}", "") LAST("{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AAEC\"}" SIGNED("S") "}", ""),
	  .events = BEGUN ENC("S", ",\"id\":\"image:0\"") " image(image/png, 3 bytes) usage(input=20 output=5 images_out=1) finish(stop, STOP)" },
	{ "sound", .streamed = true, .answer = LAST("{\"inlineData\":{\"mimeType\":\"audio/L16;codec=pcm;rate=24000\",\"data\":\"AAEC\"}}", ""), .events = BEGUN "audio(audio/L16;codec=pcm;rate=24000, 3 bytes) " ENDED },
	{ "sound as a file: one head, whatever the pieces", .streamed = true, .request = ASK(HI, ",\"modalities\":[\"audio\"],\"audio\":{\"voice\":\"Kore\",\"format\":\"wav\"}"),
	  .answer = CHUNK("{\"inlineData\":{\"mimeType\":\"audio/L16;codec=pcm;rate=24000\",\"data\":\"AAEC\"}}", "") LAST("{\"inlineData\":{\"mimeType\":\"audio/L16;codec=pcm;rate=24000\",\"data\":\"AAEC\"}}", ""), .events = BEGUN "audio(audio/wav, 50 bytes) " ENDED },
	{ "what it ran itself", .streamed = true, .answer = CHUNK("{\"executableCode\":{\"language\":\"PYTHON\",\"code\":\"1+1\"}}", "") LAST("{\"codeExecutionResult\":{\"outcome\":\"OUTCOME_OK\",\"output\":\"2\"}}", ""),
	  .events = BEGUN "text(\\n```python\\n1+1\\n```\\n\\n```\\n2\\n```\\n) " ENDED },
	{ "sources", .streamed = true, .answer = LAST("{\"text\":\"abc\"}", ",\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"u\",\"title\":\"t\"}}],\"groundingSupports\":[{\"segment\":{\"endIndex\":3,\"text\":\"abc\"},\"groundingChunkIndices\":[0,7]}],\"webSearchQueries\":[\"q\",\"p\",\"\"]}"),
	  .endpoint = NEW, .events = BEGUN "text(abc) annotation({\"type\":\"url_citation\",\"url_citation\":{\"url\":\"u\",\"title\":\"t\",\"content\":\"abc\",\"start_index\":0,\"end_index\":3}}) usage(input=20 output=5 searches=2) finish(stop, STOP)" },
	{ "sources that are repeated", .streamed = true, .endpoint = OLD, .answer = CHUNK("{\"text\":\"a\"}", ",\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"u\"}}]}") LAST("", ",\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"u\"}},{\"web\":{\"uri\":\"v\"}}]}"),
	  .events = BEGUN "text(a) annotation({\"type\":\"url_citation\",\"url_citation\":{\"url\":\"u\",\"title\":\"\"}}) annotation({\"type\":\"url_citation\",\"url_citation\":{\"url\":\"v\",\"title\":\"\"}}) " ENDED },
	{ "sources nobody leans on, places in bytes", .streamed = true, .endpoint = OLD, .answer = LAST("{\"text\":\"é\"}", ",\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"u\"}}],\"webSearchQueries\":[\"q\",\"p\"]},\"citationMetadata\":{\"citationSources\":[{\"startIndex\":0,\"endIndex\":2,\"uri\":\"v\"}]}"),
	  .events = BEGUN "text(é) annotation({\"type\":\"url_citation\",\"url_citation\":{\"url\":\"u\",\"title\":\"\"}}) annotation({\"type\":\"url_citation\",\"url_citation\":{\"url\":\"v\",\"title\":\"\"}}) usage(input=20 output=5 searches=1) finish(stop, STOP)" },
	{ "probabilities", .answer = "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\",\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"a\",\"logProbability\":-0.5}],\"topCandidates\":[{\"candidates\":[{\"token\":\"b\",\"logProbability\":-1.5}]}]}}]}",
	  .events = "start() text(a) logprobs({\"content\":[{\"token\":\"a\",\"logprob\":-0.5,\"top_logprobs\":[{\"token\":\"b\",\"logprob\":-1.5}]}]}) finish(stop, STOP)" },
	{ "each token in one bucket", .answer = "{\"candidates\":[{\"content\":{},\"finishReason\":\"MAX_TOKENS\"}],\"usageMetadata\":{\"promptTokenCount\":100,\"toolUsePromptTokenCount\":10,\"cachedContentTokenCount\":40,\"candidatesTokenCount\":30,"
		"\"thoughtsTokenCount\":7,\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":50},{\"modality\":\"AUDIO\",\"tokenCount\":20},{\"modality\":\"IMAGE\",\"tokenCount\":30}],"
		"\"cacheTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCount\":5},{\"modality\":\"IMAGE\",\"tokenCount\":10}],\"candidatesTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCount\":12}]}}",
	  .events = "start() usage(input=35 cached=35 image_tokens=20 audio_in=15 audio_cached=5 output=18 reasoning=7 audio_out=12) finish(length, MAX_TOKENS)" },
	{ "blocked on the way in", .answer = "{\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"},\"usageMetadata\":{\"promptTokenCount\":9},\"modelVersion\":\"m\"}", .events = "start(, m) usage(input=9) finish(content_filter, PROHIBITED_CONTENT)" },
	{ "blocked on the way out", .answer = "{\"candidates\":[{\"finishReason\":\"SAFETY\"}]}", .events = "start() finish(content_filter, SAFETY)" },
	{ "a call it could not write", .answer = "{\"candidates\":[{\"content\":{},\"finishReason\":\"MALFORMED_FUNCTION_CALL\"}]}", .events = "start() error(upstream, the upstream gave up on its answer, code MALFORMED_FUNCTION_CALL)" },
	{ "STOP in each chunk", .streamed = true, .answer = LAST("{\"text\":\"a\"}", "") LAST("{\"functionCall\":{\"name\":\"f\"}}", ""),
	  .events = BEGUN "text(a) usage(input=20 output=5) tool_begin(0, call_r_0, f) tool_args(0, {}) tool_end(0) usage(input=20 output=5) finish(tool_calls, STOP)" },
	{ "a stream that is one array", .streamed = true, .headers = "content-type: application/json", .answer = "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n,\n{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"b\"}]},\"finishReason\":\"STOP\"}]}]",
	  .events = "start() text(ab) finish(stop, STOP)" },
	{ "cut short", .streamed = true, .answer = CHUNK("{\"text\":\"a\"}", ""), .events = BEGUN "text(a) error(upstream, the answer ended without a finish reason)" },
	{ "an error in the stream", .streamed = true, .answer = CHUNK("{\"text\":\"a\"}", "") "data: {\"error\":{\"code\":503,\"message\":\"overloaded\",\"status\":\"UNAVAILABLE\"}}\r\n\r\n",
	  .events = BEGUN "text(a) error(overloaded, overloaded, code UNAVAILABLE)" },
	{ "the rate", .status = 429, .answer = "{\"error\":{\"code\":429,\"message\":\"slow\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"37.5s\"}]}}",
	  .events = "error(rate_limited, slow, code RESOURCE_EXHAUSTED, retry after 37500 ms)" },
	{ "the day's quota", .status = 429, .answer = "{\"error\":{\"code\":429,\"message\":\"slow\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"violations\":[{\"quotaId\":\"GenerateRequestsPerDayPerProjectPerModel-FreeTier\"}]},{\"retryDelay\":\"37s\"}]}}",
	  .events = "error(quota, slow, code RESOURCE_EXHAUSTED)" },
	{ "a key that is none, with status 400", .status = 400, .answer = "{\"error\":{\"code\":400,\"message\":\"no\",\"status\":\"INVALID_ARGUMENT\",\"details\":[{\"reason\":\"API_KEY_INVALID\"}]}}",
	  .events = "error(auth, no, code INVALID_ARGUMENT)" },
	{ "too long", .status = 400, .answer = "{\"error\":{\"code\":400,\"message\":\"The input token count (2) exceeds the maximum number of tokens allowed (1).\",\"status\":\"INVALID_ARGUMENT\"}}",
	  .events = "error(context_length, The input token count (2) exceeds the maximum number of tokens allowed (1)., code INVALID_ARGUMENT)" },
	{ "wrong", .status = 400, .answer = "{\"error\":{\"code\":400,\"message\":\"bad\",\"status\":\"INVALID_ARGUMENT\"}}", .events = "error(bad_request, bad, code INVALID_ARGUMENT, final)" },
	{ "in an array", .status = 403, .answer = "[{\"error\":{\"code\":403,\"message\":\"no\",\"status\":\"PERMISSION_DENIED\"}}]", .events = "error(auth, no, code PERMISSION_DENIED)" },
	{ "a page", .status = 502, .answer = "<html>", .events = "error(server)" },
	{ "a page for a wrong request", .status = 400, .answer = "<html>", .events = "error(bad_request, final)" },
};

#define EMBED(model, quirks) .endpoint = "{\"model\":\"" model "\",\"quirks\":{" quirks "}}"

static const struct rig_case embeddings[] = {
	{ "a batch", .request = "{\"model\":\"a/b\",\"input\":[\"x\",\"y\"],\"input_type\":\"search_query\",\"dimensions\":2}", EMBED("e-1", ""), .path = "/models/e-1:batchEmbedContents",
	  .body = "{\"requests\":[{\"model\":\"models/e-1\",\"content\":{\"parts\":[{\"text\":\"x\"}]},\"taskType\":\"RETRIEVAL_QUERY\",\"outputDimensionality\":2},{\"model\":\"models/e-1\",\"content\":{\"parts\":[{\"text\":\"y\"}]},\"taskType\":\"RETRIEVAL_QUERY\",\"outputDimensionality\":2}]}",
	  .answer = "{\"embeddings\":[{\"values\":[0.10,-2e-3]},{\"values\":[1]}],\"usageMetadata\":{\"promptTokenCount\":4}}", .events = "vector(0, [0.10,-2e-3]) vector(1, [1]) usage(input=4)" },
	{ "one alone", .request = "{\"model\":\"a/b\",\"input\":\"x\"}", EMBED("e-1", ""), .answer = "{\"embeddings\":[{\"values\":[1]}]}", .events = "vector(0, [1]) usage()" },
	{ "Vertex's predict", .request = "{\"model\":\"a/b\",\"input\":[\"x\"],\"dimensions\":2}", EMBED("e-1", "\"embeddings\":\"predict\""), .path = "/models/e-1:predict",
	  .body = "{\"instances\":[{\"content\":\"x\"}],\"parameters\":{\"outputDimensionality\":2}}",
	  .answer = "{\"predictions\":[{\"embeddings\":{\"values\":[1],\"statistics\":{\"token_count\":3,\"truncated\":false}}}]}", .events = "vector(0, [1]) usage(input=3)" },
	{ "one at a time", .request = "{\"model\":\"a/b\",\"input\":[\"x\",\"y\"]}", EMBED("e-1", "\"embeddings\":\"single\""), .path = "/models/e-1:embedContent", .body = "{\"content\":{\"parts\":[{\"text\":\"x\"}]}}",
	  .answer = "{\"embedding\":{\"values\":[1]}}", .events = "vector(0, [1]) usage() follow(POST /models/e-1:embedContent, after 0 ms)" },
	{ "token ids", .request = "{\"model\":\"a/b\",\"input\":[1,2]}", .events = "refused(input: this upstream takes text and parts, not token ids)" },
	{ "too few", .request = "{\"model\":\"a/b\",\"input\":[\"x\",\"y\"]}", .answer = "{\"embeddings\":[{\"values\":[1]}]}", .events = "vector(0, [1]) error(upstream, 1 vectors for 2 inputs)" },
};

#define DRAW(members) .request = "{\"model\":\"a/b\",\"prompt\":\"a dot\"" members "}"
#define DRAWN(config) "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a dot\"}]}],\"generationConfig\":{\"responseModalities\":[\"IMAGE\"],\"imageConfig\":{" config "}}}"
#define PICTURE "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AAEC\"}}"
#define GAVE(parts, more) "{\"candidates\":[{\"content\":{\"parts\":[" parts "]}" more "}],\"usageMetadata\":{\"promptTokenCount\":5,\"candidatesTokenCount\":1290,\"candidatesTokensDetails\":[{\"modality\":\"IMAGE\",\"tokenCount\":1290}]},\"modelVersion\":\"m\",\"responseId\":\"r\"}"

static const struct rig_case pictures[] = {
	{ "Imagen by its task", DRAW(",\"n\":2,\"aspect_ratio\":\"16:9\",\"size\":\"2K\",\"output_format\":\"jpeg\""), .endpoint = "{\"model\":\"imagen-4.0-generate-001\",\"options\":{\"parameters\":{\"personGeneration\":\"dont_allow\"}}}",
	  .path = "/models/imagen-4.0-generate-001:predict", .sends = "x-goog-api-key: sk-rig",
	  .body = "{\"instances\":[{\"prompt\":\"a dot\"}],\"parameters\":{\"sampleCount\":2,\"aspectRatio\":\"16:9\",\"sampleImageSize\":\"2K\",\"outputOptions\":{\"mimeType\":\"image/jpeg\"},\"personGeneration\":\"dont_allow\"}}",
	  .answer = "{\"predictions\":[{\"bytesBase64Encoded\":\"AAEC\",\"mimeType\":\"image/jpeg\"},{\"raiFilteredReason\":\"no\"}]}", .events = "start(, imagen-4.0-generate-001) image(image/jpeg, 3 bytes) usage(images_out=1)" },
	{ "one picture, unless more are asked for", DRAW(""), EMBED("x", "\"images\":\"predict\",\"images_path\":\"/p/{model}:predict\""), .path = "/p/x:predict", .body = "{\"instances\":[{\"prompt\":\"a dot\"}],\"parameters\":{\"sampleCount\":1}}",
	  .answer = "{\"predictions\":[{\"raiFilteredReason\":\"58061214\"}]}", .events = "start(, x) error(moderation, the upstream's filters gave nothing for this, code 58061214, final)" },
	{ "nothing at all", DRAW(""), EMBED("imagen-x", ""), .answer = "{}", .events = "start(, imagen-x) error(moderation, the upstream's filters gave nothing for this, final)" },
	{ "no base64", DRAW(""), EMBED("imagen-x", ""), .answer = "{\"predictions\":[{\"mimeType\":\"image/png\"}]}", .events = "start(, imagen-x) error(upstream, predictions[]: no picture in base64)" },
	{ "Imagen takes no picture", DRAW(",\"input_references\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i.png\"}}]"), EMBED("imagen-x", ""), .events = "refused(input_references: this upstream takes a prompt alone)" },
	{ "the others by generateContent; two by two exchanges, their counts together", DRAW(",\"n\":2,\"aspect_ratio\":\"1:1\",\"resolution\":\"1K\""), EMBED("gemini-2.5-flash-image", ""), .path = "/models/gemini-2.5-flash-image:generateContent",
	  .body = DRAWN("\"aspectRatio\":\"1:1\",\"imageSize\":\"1K\""), .answer = GAVE("{\"text\":\"hm\",\"thought\":true},{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AA==\"},\"thought\":true}," PICTURE, ",\"finishReason\":\"STOP\""),
	  .events = "start(r, m) image(image/png, 3 bytes) usage(input=5 output=1290 images_out=1) follow(POST /models/gemini-2.5-flash-image:generateContent, after 0 ms)" },
	{ "a picture to go by, settings of the row", DRAW(",\"input_references\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAEC\"}}]"), .endpoint = "{\"model\":\"g\",\"options\":{\"safetySettings\":[]}}",
	  .body = "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AAEC\"}},{\"text\":\"a dot\"}]}],\"generationConfig\":{\"responseModalities\":[\"IMAGE\"],\"imageConfig\":{}},\"safetySettings\":[]}" },
	{ "filtered", DRAW(""), EMBED("g", ""), .answer = GAVE("", ",\"finishReason\":\"IMAGE_SAFETY\""), .events = "start(r, m) error(moderation, the upstream's filters gave nothing for this, code IMAGE_SAFETY, final)" },
	{ "a prompt that is filtered", DRAW(""), EMBED("g", ""), .answer = "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}", .events = "start() error(moderation, the upstream's filters gave nothing for this, code SAFETY, final)" },
	{ "no picture", DRAW(""), EMBED("g", ""), .answer = GAVE("{\"text\":\"no\"}", ",\"finishReason\":\"NO_IMAGE\""), .events = "start(r, m) error(upstream, the upstream gave up on its answer, code NO_IMAGE)" },
	{ "pixels", DRAW(",\"size\":\"1024x768\""), EMBED("g", ""), .events = "refused(size: this upstream takes 1K, 2K or 4K, and aspect_ratio)" },
	{ "transparent", DRAW(",\"background\":\"transparent\""), EMBED("imagen-x", ""), .events = "refused(background: this upstream makes no transparent one)" },
	{ "a format that it does not make", DRAW(",\"output_format\":\"webp\""), EMBED("g", ""), .events = "refused(output_format: this upstream makes png)" },
};

#define SPEAK(members) .request = "{\"model\":\"a/b\",\"input\":\"h\u00e9\"" members "}", .endpoint = "{\"model\":\"gemini-2.5-flash-preview-tts\"}"
#define SOUND "{\"inlineData\":{\"mimeType\":\"audio/L16;codec=pcm;rate=24000\",\"data\":\"AAEC\"}}"

static const struct rig_case voices[] = {
	{ "speech", SPEAK(",\"voice\":\"Kore\",\"language\":\"en-US\",\"response_format\":\"pcm\",\"speed\":1.1"), .path = "/models/gemini-2.5-flash-preview-tts:generateContent",
	  .body = "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"h\u00e9\"}]}],\"generationConfig\":{\"responseModalities\":[\"AUDIO\"],\"speechConfig\":{\"voiceConfig\":{\"prebuiltVoiceConfig\":{\"voiceName\":\"Kore\"}},\"languageCode\":\"en-US\"}}}",
	  .answer = "{\"candidates\":[{\"content\":{\"parts\":[" SOUND "]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":40,\"totalTokenCount\":43},\"modelVersion\":\"m\",\"responseId\":\"r\"}",
	  .events = "start(r, m) audio(audio/L16;codec=pcm;rate=24000, 3 bytes) usage(input=3 audio_out=40 characters=2)" },
	{ "as a file", SPEAK(",\"response_format\":\"wav\""), .answer = GAVE(SOUND "," SOUND, ""), .events = "start(r, m) audio(audio/wav, 50 bytes) usage(input=5 audio_out=1290 characters=2)" },
	{ "no sound", SPEAK(""), .answer = GAVE("", ",\"finishReason\":\"OTHER\""), .events = "start(r, m) error(upstream, the upstream gave up on its answer, code OTHER)" },
	{ "no base64", SPEAK(""), .answer = GAVE("{\"inlineData\":{\"mimeType\":\"audio/L16\",\"data\":\"?\"}}", ""), .events = "start(r, m) error(upstream, a sound that is not base64)" },
	{ "mp3", SPEAK(",\"response_format\":\"mp3\""), .events = "refused(response_format: this upstream makes pcm and wav)" },
	{ "instructions", SPEAK(",\"instructions\":\"whisper\""), .events = "refused(instructions: this upstream takes them in the input)" },
};

static const struct rig_case models[] = {
	{ "models", .path = "/models?pageSize=1000", .answer = "{\"models\":[{\"name\":\"models/gemini-x\",\"inputTokenLimit\":5}]}", .events = "model(gemini-x, {\"name\":\"models/gemini-x\",\"inputTokenLimit\":5})" },
	{ "models, by pages", .endpoint = ROW("x", "\"models_path\":\"/v1beta1/publishers/google/models\""), .answer = "{\"publisherModels\":[{\"name\":\"publishers/google/models/gemini-x\"}],\"nextPageToken\":\"p=2\"}",
	  .events = "model(gemini-x, {\"name\":\"publishers/google/models/gemini-x\"}) follow(GET /v1beta1/publishers/google/models?pageToken=p%3D2, after 0 ms)" },
};

/* ------------------------------------------------------------ recordings */

static const struct { const char *file, *events; } expected[] = {
	{ "gemini/google-model-document-url-input-1", "usage(input=1305 output=11) finish(stop, STOP)" },
	{ "gemini/google-model-web-search-tool-stream", "annotation({\"type\":\"url_citation\"|usage(input=119 output=241 reasoning=412 searches=1) finish(stop, STOP)" },
	{ "gemini/google-validated-accepts-what-auto-accepts-validated-1", "usage(input=265 cached=594 output=28) finish(stop, STOP)" },
	{ "gemini/model-name-suggestion-google", "error(not_found, |code NOT_FOUND)" },
	{ "gemini/native-output-with-builtin-tools-stream", "\"id\":\"text:|usage(input=87 reasoning=78 searches=1) finish(stop, STOP)" },
	{ "gemini/streaming-reasoning-with-multiple-tool-calls", "\"id\":\"dv8szvqe\"}) tool_begin(0, dv8szvqe, get_weather) tool_args(0, {\"location\":\"Boston\"})|tool_begin(1, j80tal12, get_weather)|usage(input=71 output=33 reasoning=93) finish(tool_calls, STOP)" },
	{ "vertex-gemini/function-call-choice", "tool_begin(0, call_|tool_args(1, {\"location\":\"San Francisco\"})|usage(input=74 output=16 reasoning=200) finish(tool_calls, 1)" },
	{ "vertex-gemini/google-vertex-tool-combination-omits-include-server-side-too-1", "annotation({|usage(input=125 output=250 reasoning=456 searches=1)" },
	{ "vertex-gemini/streaming-logcontent-gemini-2-5-flash-vertexaiapi-async-defa", "usage(input=8 output=257 reasoning=1257) finish(stop, STOP)" },
};

static const char *events_of(const char *file)
{
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		if (!strcmp(expected[i].file, file))
			return expected[i].events;
	return "";
}

/* The octets of the answer, to be freed. */
static char *answer_of(json_t *response)
{
	json_t *chunks = json_object_get(response, "chunks"), *chunk;
	size_t i, len = 1;
	char *all;

	if (!chunks)
		return json_dumps(json_object_get(response, "body"), JSON_COMPACT);
	json_array_foreach(chunks, i, chunk)
		len += json_string_length(chunk);
	all = calloc(1, len);
	json_array_foreach(chunks, i, chunk)
		memcpy(all + strlen(all), json_string_value(chunk), json_string_length(chunk));
	return all;
}

/* The model is in the path: .../models/M:verb */
static void model_of(json_t *request, char *out, size_t size)
{
	const char *path = json_string_value(json_object_get(request, "path")), *at = path ? strstr(path, "/models/") : NULL;

	at = at ? at + 8 : "gemini-2.5-flash";
	snprintf(out, size, "%.*s", (int)strcspn(at, ":?"), at);
}

/* Both in one form; the answer of the model to the request is not looked at. */
static void request_equals(const char *file, struct rig_case *c, json_t *request)
{
	json_t *body = json_deep_copy(json_object_get(request, "body")), *canonical, *sent;
	bool ids = has_ids(body), openapi = false;
	char model[128], endpoint[400], name[400], *ask, *text, *a, *b;
	const char *thinking, *beyond;

	model_of(request, model, sizeof(model));
	one_form(body, true);
	beyond = beyond_clients(body);
	if (beyond) {
		snprintf(name, sizeof(name), "recorded %s: its request # SKIP says what no client can: %s", file, beyond);
		rig_claim(true, name, NULL);
		json_decref(body);
		return;
	}
	canonical = canonical_of(body, &openapi);
	thinking = json_object_get(json_object_get(json_object_get(body, "generationConfig"), "thinkingConfig"), "thinkingBudget") ? ",\"thinking\":\"budget\"" : "";
	one_form(body, ids);
	ask = json_dumps(canonical, JSON_COMPACT);
	snprintf(endpoint, sizeof(endpoint), "{\"model\":\"%s\",\"quirks\":{\"schema\":\"%s\"%s}}", model, openapi ? "openapi" : "json", thinking);
	c->request = ask;
	c->endpoint = endpoint;
	text = rig_request(mg_plugin_entry(), MG_CHAT, c);
	sent = json_loads(text && strstr(text, "\n\n") ? strstr(text, "\n\n") + 2 : "", 0, NULL);
	one_form(sent, ids);
	a = json_dumps(sent, JSON_COMPACT | JSON_SORT_KEYS);
	b = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
	snprintf(name, sizeof(name), "recorded %s: the canonical call gives the same request", file);
	rig_claim(a && b && !strcmp(a, b), name, a ? a : text);
	if (a && b && strcmp(a, b))
		printf("# wanted %.3000s\n", b);
	free(a);
	free(b);
	free(ask);
	free(text);
	json_decref(sent);
	json_decref(canonical);
	json_decref(body);
	c->request = NULL;
}

/* The chunks as the one answer that they are pieces of; usage only where it counts. */
static json_t *merged(json_t *chunks, char **stream)
{
	json_t *whole = NULL, *parts = json_array(), *chunk, *j, *v, *candidate;
	size_t i, n = json_array_size(chunks), room = 1, len = 0;
	const char *name;

	json_array_foreach(chunks, i, chunk)
		room += 2 * json_string_length(chunk) + 64;
	*stream = calloc(1, room);
	json_array_foreach(chunks, i, chunk) {
		char *text;

		j = json_loads(json_string_value(chunk) + 6, JSON_DISABLE_EOF_CHECK, NULL);
		if (!j || strncmp(json_string_value(chunk), "data: ", 6)) {
			json_decref(j);
			continue;
		}
		if (i + 1 < n)
			json_object_del(j, "usageMetadata");
		text = json_dumps(j, JSON_COMPACT);
		len += (size_t)snprintf(*stream + len, room - len, "data: %s\r\n\r\n", text);
		free(text);
		candidate = json_array_get(json_object_get(j, "candidates"), 0);
		json_array_extend(parts, json_object_get(json_object_get(candidate, "content"), "parts"));
		if (!whole) {
			whole = j;
			continue;
		}
		json_object_foreach(j, name, v)
			if (strcmp(name, "candidates"))
				json_object_set(whole, name, v);
		json_object_update(json_array_get(json_object_get(whole, "candidates"), 0), candidate);
		json_decref(j);
	}
	candidate = json_array_get(json_object_get(whole, "candidates"), 0);
	if (candidate)
		json_object_set_new(candidate, "content", json_pack("{s:O}", "parts", parts));
	json_decref(parts);
	return whole;
}

static void stream_equals_whole(const char *file, struct rig_case *c, json_t *chunks)
{
	char *stream, *a, *b, *text, name[400];
	json_t *whole = merged(chunks, &stream);
	struct rig_case one = *c;

	if (!whole) {		/* no events, but an array */
		free(stream);
		return;
	}
	text = json_dumps(whole, JSON_COMPACT);
	one.answer = stream;
	one.streamed = true;
	a = rig_events(mg_plugin_entry(), MG_CHAT, &one, RIG_WHOLE);
	one.answer = text;
	one.streamed = false;
	b = rig_events(mg_plugin_entry(), MG_CHAT, &one, RIG_WHOLE);
	snprintf(name, sizeof(name), "recorded %s: the stream is the whole answer", file);
	rig_claim(a && b && !strcmp(a, b), name, a);
	free(a);
	free(b);
	free(text);
	free(stream);
	json_decref(whole);
}

static void run_file(const char *folder, const char *path)
{
	const char *base = strrchr(path, '/') + 1;
	json_t *file = json_load_file(path, 0, NULL), *request = json_object_get(file, "request"), *response = json_object_get(file, "response");
	char name[256], model[128], endpoint[256];
	struct recorded any = { .file = name };
	struct rig_case c = { .name = name };

	snprintf(name, sizeof(name), "%s/%.*s", folder, (int)strlen(base) - 5, base);
	any.events = events_of(name);
	model_of(request, model, sizeof(model));
	snprintf(endpoint, sizeof(endpoint), "{\"model\":\"%s\"}", model);
	c.answer = answer_of(response);
	c.endpoint = endpoint;
	c.status = (int)json_integer_value(json_object_get(response, "status"));
	c.streamed = json_object_get(response, "chunks") != NULL;
	if (c.answer)
		recorded_events(MG_CHAT, &any, &c);
	if (c.streamed)
		stream_equals_whole(name, &c, json_object_get(response, "chunks"));
	if (json_object_get(request, "body"))
		request_equals(name, &c, request);
	free((char *)c.answer);
	json_decref(file);
}

/* Every recording that is there; the ones that are known must give what is expected. */
static void run_folder(const char *folder)
{
	const char *dir = getenv("MOONGATE_FIXTURES");
	char pattern[1024];
	glob_t all = { 0 };

	snprintf(pattern, sizeof(pattern), "%s/%s/*.json", dir ? dir : "../shared/fixtures", folder);
	glob(pattern, 0, NULL, &all);
	for (size_t i = 0; i < all.gl_pathc; i++)
		run_file(folder, all.gl_pathv[i]);
	snprintf(pattern, sizeof(pattern), "recorded %s%s", folder, all.gl_pathc ? "" : " # SKIP not here");
	rig_claim(true, pattern, NULL);
	globfree(&all);
}

/* Exchanges that were invented for the project: they say what is expected of them. */
static void run_invented(void)
{
	glob_t all = { 0 };

	glob("tests/fixtures/gemini/*.json", 0, NULL, &all);
	rig_claim(all.gl_pathc > 5, "invented exchanges", "run at the top of the repository");
	for (size_t i = 0; i < all.gl_pathc; i++) {
		json_t *file = json_load_file(all.gl_pathv[i], 0, NULL), *response = json_object_get(file, "response");
		struct recorded r = { .file = strrchr(all.gl_pathv[i], '/') + 1, .events = json_string_value(json_object_get(file, "events")) };
		struct rig_case c = { .name = r.file, .answer = answer_of(response), .endpoint = NEW,
			.status = (int)json_integer_value(json_object_get(response, "status")), .streamed = json_object_get(response, "chunks") != NULL };

		rig_claim(json_is_true(json_object_get(file, "invented")) && r.events && c.answer, r.file, "its file");
		recorded_events(MG_CHAT, &r, &c);
		if (c.streamed && json_is_true(json_object_get(file, "whole")))
			stream_equals_whole(r.file, &c, json_object_get(response, "chunks"));
		free((char *)c.answer);
		json_decref(file);
	}
	globfree(&all);
}

/* Its inputs are not those of the rig's own request, which are two. */
static void run_embedding(void)
{
	json_t *file = recorded_file("gemini-embed/google-test-instrumentation"), *body = json_object_get(json_object_get(file, "request"), "body");
	struct rig_case c = { .name = "embedding", .endpoint = "{\"model\":\"gemini-embedding-2-preview\"}",
		.request = "{\"model\":\"a/b\",\"input\":[\"Hello, world!\"],\"input_type\":\"search_query\",\"dimensions\":768}" };
	struct recorded r = { .file = "gemini-embed/google-test-instrumentation", .events = "vector(0, [-0.0397181" };
	char *sent, *was;

	if (!file) {
		recorded_run(MG_EMBEDDINGS, &r);	/* says SKIP */
		return;
	}
	c.answer = answer_of(json_object_get(file, "response"));
	recorded_events(MG_EMBEDDINGS, &r, &c);
	sent = rig_request(mg_plugin_entry(), MG_EMBEDDINGS, &c);
	was = json_dumps(body, JSON_COMPACT);
	rig_claim(sent && strstr(sent, "\n\n") && rig_same((struct mg_str){ strstr(sent, "\n\n") + 2, strlen(strstr(sent, "\n\n") + 2) },
		(struct mg_str){ was, strlen(was) }), "recorded gemini-embed: the canonical call gives the same request", sent);
	free(sent);
	free(was);
	free((char *)c.answer);
	json_decref(file);
}

#define RUN(op, cases) rig_run(mg_plugin_entry(), op, cases, sizeof(cases) / sizeof((cases)[0]))

int main(void)
{
	int bad = 0;

	run_folder("gemini");
	run_folder("vertex-gemini");
	run_embedding();
	run_invented();
	bad |= RUN(MG_MODELS, models);
	bad |= RUN(MG_EMBEDDINGS, embeddings);
	bad |= RUN(MG_IMAGE, pictures);
	bad |= RUN(MG_SPEECH, voices);
	bad |= RUN(MG_CHAT, answers);
	bad |= RUN(MG_CHAT, requests);
	return bad;
}
