/* The cohere dialect: its words for roles, tools and thoughts out; events in. */
#include "recorded.h"

#define ASK(messages, members) "{\"model\":\"a/b\",\"messages\":[" messages "]" members "}"
#define SENT(messages, members) "{\"model\":\"m-1\",\"messages\":[" messages "]" members ",\"stream\":false}"
#define HI "{\"role\":\"user\",\"content\":\"Hi\"}"
#define TOOL(name) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}}"
#define CALLED "\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\":12345678901234567890}\"}}]"

static const struct rig_case requests[] = {
	{ "a message, the key", .request = ASK(HI, ""), .path = "/v2/chat", .body = SENT(HI, ""), .sends = "Authorization: Bearer sk-rig" },
	{ "who develops is the system; images stay", .request = ASK("{\"role\":\"developer\",\"content\":\"s\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\",\"cache_control\":{}},"
		"{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAEC\",\"detail\":\"low\"}}]}", ""),
	  .body = SENT("{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAEC\",\"detail\":\"low\"}}]}", "") },
	{ "audio is refused", .request = ASK("{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{}}]}", ""),
	  .events = "refused(messages[].content[].type: this upstream takes no input_audio)" },
	{ "text beside a call is its plan; numbers stay", .request = ASK(HI ",{\"role\":\"assistant\",\"content\":\"I look\"," CALLED "},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":[{\"type\":\"text\",\"text\":\"42\"}]}",
		",\"tools\":[" TOOL("f") "]"),
	  .body = SENT(HI ",{\"role\":\"assistant\",\"tool_plan\":\"I look\"," CALLED "},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"42\"}", ",\"tools\":[" TOOL("f") "]") },
	{ "a thought goes back before the text", .request = ASK(HI ",{\"role\":\"assistant\",\"content\":\"b\",\"reasoning\":\"a\"}," HI, ""),
	  .body = SENT(HI ",{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}," HI, "") },
	{ "a named tool is the only one", .request = ASK(HI, ",\"tools\":[" TOOL("f") "," TOOL("g") "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}"),
	  .body = SENT(HI, ",\"tools\":[" TOOL("g") "],\"tool_choice\":\"REQUIRED\"") },
	{ "none, and auto", .request = ASK(HI, ",\"tools\":[" TOOL("f") "],\"tool_choice\":\"none\""), .body = SENT(HI, ",\"tools\":[" TOOL("f") "],\"tool_choice\":\"NONE\"") },
	{ "an unknown tool", .request = ASK(HI, ",\"tools\":[{\"type\":\"openrouter:x\"}]"), .events = "refused(tools[].type: not one that this upstream knows; use \"function\")" },
	{ "its names for sampling, in its ranges", .request = ASK(HI, ",\"temperature\":1.7,\"top_p\":1,\"top_k\":5,\"stop\":\"x\",\"max_tokens\":9,\"seed\":3,\"safety_mode\":\"OFF\",\"logit_bias\":{}"),
	  .body = SENT(HI, ",\"max_tokens\":9,\"temperature\":1,\"p\":0.99,\"k\":5,\"seed\":3,\"safety_mode\":\"OFF\",\"stop_sequences\":[\"x\"]") },
	{ "digits in range stay as they stand", .request = ASK(HI, ",\"temperature\":0.30,\"top_p\":0.50"), .body = SENT(HI, ",\"temperature\":0.30,\"p\":0.50") },
	{ "a schema stands bare", .request = ASK(HI, ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{\"type\":\"object\"}}}"),
	  .body = SENT(HI, ",\"response_format\":{\"type\":\"json_object\",\"json_schema\":{\"type\":\"object\"}}") },
	{ "a budget of thought", .request = ASK(HI, ",\"reasoning\":{\"max_tokens\":500}"), .body = SENT(HI, ",\"thinking\":{\"type\":\"enabled\",\"token_budget\":500}") },
	{ "no thought", .request = ASK(HI, ",\"reasoning\":{\"effort\":\"none\"}"), .body = SENT(HI, ",\"thinking\":{\"type\":\"disabled\"}") },
};

#define EV(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define USAGE "\"usage\":{\"billed_units\":{\"input_tokens\":1,\"output_tokens\":1},\"tokens\":{\"input_tokens\":90,\"output_tokens\":7},\"cached_tokens\":80}"

static const struct rig_case answers[] = {
	{ "text", .answer = "{\"id\":\"i\",\"finish_reason\":\"COMPLETE\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\"},{\"type\":\"text\",\"text\":\"Hi\"}]}," USAGE "}",
	  .events = "start(i) reasoning(hm) text(Hi) usage(input=10 cached=80 output=7) finish(stop, COMPLETE)" },
	{ "the same as a stream", .streamed = true, .answer = EV("message-start", ",\"id\":\"i\",\"delta\":{\"message\":{\"content\":[]}}") EV("content-start", ",\"index\":0,\"delta\":{\"message\":{\"content\":{\"type\":\"thinking\",\"thinking\":\"\"}}}")
		EV("content-delta", ",\"index\":0,\"delta\":{\"message\":{\"content\":{\"thinking\":\"hm\"}}}") EV("content-end", ",\"index\":0") EV("content-delta", ",\"index\":1,\"delta\":{\"message\":{\"content\":{\"text\":\"Hi\"}}}")
		EV("message-end", ",\"delta\":{\"finish_reason\":\"COMPLETE\"," USAGE "}"),
	  .events = "start(i) reasoning(hm) text(Hi) usage(input=10 cached=80 output=7) finish(stop, COMPLETE)" },
	{ "calls, one without arguments", .streamed = true, .answer = EV("tool-plan-delta", ",\"delta\":{\"message\":{\"tool_plan\":\"I look\"}}")
		EV("tool-call-start", ",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}}}")
		EV("tool-call-delta", ",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"{\\\"n\\\":1}\"}}}}") EV("tool-call-end", ",\"index\":0")
		EV("tool-call-start", ",\"index\":1,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}}}") EV("tool-call-end", ",\"index\":1")
		EV("message-end", ",\"delta\":{\"finish_reason\":\"TOOL_CALL\"}") "data: [DONE]\n\n",
	  .events = "text(I look) tool_begin(0, a, f) tool_args(0, {\"n\":1}) tool_end(0) tool_begin(1, b, g) tool_args(1, {}) tool_end(1) finish(tool_calls, TOOL_CALL)" },
	{ "a plan behind thoughts is one more", .streamed = true, .answer = EV("content-start", ",\"index\":0,\"delta\":{\"message\":{\"content\":{\"type\":\"thinking\",\"thinking\":\"hm\"}}}") EV("tool-plan-delta", ",\"delta\":{\"message\":{\"tool_plan\":\", so\"}}")
		EV("message-end", ",\"delta\":{\"finish_reason\":\"COMPLETE\"}"), .events = "reasoning(hm, so) finish(stop, COMPLETE)" },
	{ "the same calls in one piece", .answer = "{\"finish_reason\":\"TOOL_CALL\",\"message\":{\"tool_plan\":\"I look\",\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\":1}\"}},{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]}}",
	  .events = "start() text(I look) tool_begin(0, a, f) tool_args(0, {\"n\":1}) tool_end(0) tool_begin(1, b, g) tool_args(1, {}) tool_end(1) finish(tool_calls, TOOL_CALL)" },
	{ "a source with an address is cited", .answer = "{\"finish_reason\":\"MAX_TOKENS\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"x\"}],\"citations\":[{\"start\":0,\"end\":1,\"text\":\"x\",\"sources\":[{\"type\":\"document\",\"document\":{\"url\":\"https://h\",\"title\":\"T\"}},{\"type\":\"tool\"}]}]}}",
	  .events = "start() text(x) annotation({\"type\":\"url_citation\",\"url_citation\":{\"url\":\"https://h\",\"title\":\"T\",\"content\":\"x\",\"start_index\":0,\"end_index\":1}}) finish(length, MAX_TOKENS)" },
	{ "an error at the end of a stream", .streamed = true, .answer = EV("content-delta", ",\"delta\":{\"message\":{\"content\":{\"text\":\"x\"}}}") EV("message-end", ",\"delta\":{\"finish_reason\":\"ERROR\",\"error\":\"it broke\"}"),
	  .events = "text(x) error(server, it broke, code ERROR)" },
	{ "toxic", .streamed = true, .answer = EV("message-end", ",\"delta\":{\"finish_reason\":\"ERROR_TOXIC\"}"), .events = "finish(content_filter, ERROR_TOXIC)" },
	{ "a trial key's month", .status = 429, .answer = "{\"message\":\"You are using a Trial key, which is limited to 1000 API calls / month.\"}",
	  .events = "error(quota, You are using a Trial key, which is limited to 1000 API calls / month.)" },
	{ "too many requests", .status = 429, .answer = "{\"message\":\"too many requests\"}", .headers = "retry-after: 2\n", .events = "error(rate_limited, too many requests, retry after 2000 ms)" },
	{ "a blocked input", .status = 498, .answer = "{\"message\":\"blocked\"}", .events = "error(moderation, blocked, final)" },
	{ "too long", .status = 400, .answer = "{\"message\":\"too many tokens: total number of tokens cannot exceed 4081\"}", .events = "error(context_length, too many tokens: total number of tokens cannot exceed 4081)" },
	{ "unprocessable", .status = 422, .answer = "{\"message\":\"bad\"}", .events = "error(bad_request, bad, final)" },
	{ "its own fault", .status = 500, .answer = "{\"message\":\"internal\"}", .events = "error(server, internal)" },
};

static const struct rig_case embeds[] = {
	{ "texts, and what they are for", .request = "{\"model\":\"a/b\",\"input\":[\"x\",\"y\"],\"input_type\":\"query\",\"dimensions\":2}", .path = "/v2/embed",
	  .body = "{\"model\":\"m-1\",\"texts\":[\"x\",\"y\"],\"input_type\":\"search_query\",\"embedding_types\":[\"float\"],\"output_dimension\":2}",
	  .answer = "{\"id\":\"i\",\"embeddings\":{\"float\":[[0.1,-2e-3],[1,2]]},\"meta\":{\"billed_units\":{\"input_tokens\":4}}}", .events = "start(i) vector(0, [0.1,-2e-3]) vector(1, [1,2]) usage(input=4)" },
	{ "one text is a list of one", .request = "{\"model\":\"a/b\",\"input\":\"x\"}", .body = "{\"model\":\"m-1\",\"texts\":[\"x\"],\"input_type\":\"search_document\",\"embedding_types\":[\"float\"]}" },
	{ "no token ids", .request = "{\"model\":\"a/b\",\"input\":[1,2]}", .events = "refused(input: this upstream takes text, no token ids)" },
};

static const struct rig_case ranks[] = {
	{ "documents become text", .request = "{\"model\":\"a/b\",\"query\":\"q\",\"documents\":[\"x\",{\"text\":\"y\"}],\"top_n\":1}", .path = "/v2/rerank",
	  .body = "{\"model\":\"m-1\",\"query\":\"q\",\"documents\":[\"x\",\"y\"],\"top_n\":1}",
	  .answer = "{\"id\":\"i\",\"results\":[{\"index\":1,\"relevance_score\":0.71},{\"index\":0,\"relevance_score\":0.5}],\"meta\":{\"billed_units\":{\"search_units\":1}}}",
	  .events = "start(i) score(1, 0.71) score(0, 0.5) usage(searches=1)" },
};

static const struct rig_case lists[] = {
	{ "models", .answer = "{\"models\":[{\"name\":\"command-a\",\"endpoints\":[\"chat\"]}]}", .events = "model(command-a, {\"name\":\"command-a\",\"endpoints\":[\"chat\"]})" },
	{ "models, by pages", .answer = "{\"models\":[{\"name\":\"c\"}],\"next_page_token\":\"t\"}", .events = "model(c, {\"name\":\"c\"}) follow(GET /v1/models?page_size=1000&page_token=t, after 0 ms)" },
};

static const struct recorded recordings[] = {
	{ "invented/cohere/429", NULL, "error(rate_limited, You are past the per minute request limit" },
	{ "invented/cohere/429-trial", NULL, "error(quota, You are using a Trial key" },
	{ "invented/cohere/500", NULL, "error(server, internal server error" },
	{ "invented/cohere/498", NULL, "error(moderation, invalid token, final)" },
	{ "cohere/cohere-reasoning-stream", NULL, "reasoning(The user|usage(input=34 cached=1360 output=54)|finish(stop, COMPLETE)" },
	{ "cohere/cohere-v2-chat-legacy-with-tool-calls-and-streaming", NULL, "text(I will search|tool_begin(0, |tool_begin(1, |usage(input=968 output=83)|finish(tool_calls, TOOL_CALL)",
	  .asks = "{\"model\":\"x\",\"messages\":\"@/messages\",\"tools\":\"@/tools\",\"stream\":true}" },
	{ "cohere/tool-choice-matrix-auto-cohere-1", NULL, "text(The weather in Paris is currently sunny and 22C.)|usage(input=93 cached=1440 output=36)|finish(stop, COMPLETE)",
	  .asks = "{\"model\":\"x\",\"messages\":\"@/messages\",\"tools\":\"@/tools\"}" },
};

#define RUN(op, cases) rig_run(mg_plugin_entry(), op, cases, sizeof(cases) / sizeof((cases)[0]))

static void level(json_t *body)
{
	const char *name;
	json_t *v;
	void *next;

	json_object_foreach_safe(body, next, name, v)		/* null is as good as absent */
		if (json_is_null(v) || !strcmp(name, "max_chunks_per_doc"))
			json_object_del(body, name);
}

int main(void)
{
	static const struct recorded embed = { "cohere-embed/cohere-test-query", NULL, "vector(0, |usage(input=4)",
		.asks = "{\"input\":\"@/texts\",\"input_type\":\"search_query\",\"truncate\":\"NONE\"}" };
	static const struct recorded rank = { "cohere-rerank/cohere-reranker-span-has-expected-attributes", NULL, "score(1, 0.714030|usage(searches=1)",
		.asks = "{\"query\":\"@/query\",\"documents\":\"@/documents\",\"top_n\":2}" };
	int bad = 0;

	recorded_level = level;
	for (size_t i = 0; i < sizeof(recordings) / sizeof(recordings[0]); i++)
		recorded_run(MG_CHAT, &recordings[i]);
	recorded_run(MG_EMBEDDINGS, &embed);
	recorded_run(MG_RERANK, &rank);
	bad |= RUN(MG_CHAT, requests);
	bad |= RUN(MG_CHAT, answers);
	bad |= RUN(MG_EMBEDDINGS, embeds);
	bad |= RUN(MG_RERANK, ranks);
	return bad | RUN(MG_MODELS, lists);
}
