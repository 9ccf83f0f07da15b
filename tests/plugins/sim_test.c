/* What sim answers: the script that its request() writes goes back in as the
 * answer, as the gateway's loopback would bring it. */
#include <stdio.h>
#include <stdlib.h>
#include "rig.h"

#define ASK(text) "{\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]"
#define SAYS(text) ASK(text) "}"
#define WEATHER "{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"description\":\"Current weather of a city\"," \
	"\"parameters\":{\"type\":\"object\",\"properties\":{\"location\":{\"type\":\"string\"},\"unit\":{\"enum\":[\"celsius\",\"fahrenheit\"]}},\"required\":[\"location\"]}}}"
#define TIME "{\"type\":\"function\",\"function\":{\"name\":\"get_time\",\"description\":\"Local time\",\"parameters\":{\"type\":\"object\"," \
	"\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"]}}}"
#define MAGIC "{\"type\":\"function\",\"function\":{\"name\":\"magic_function\",\"parameters\":{\"type\":\"object\"," \
	"\"properties\":{\"input\":{\"type\":\"integer\"}},\"required\":[\"input\"]}}}"
#define SCHEMA(schema) ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"s\",\"schema\":" schema "}}}"
#define RED "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="

static const struct { const char *name, *request, *endpoint, *has, *lacks; } chats[] = {
	{ "says what it is told to", SAYS("Say hello"), NULL, "text(hello) usage", NULL },
	{ "and nothing else", SAYS("Reply with exactly: pong and nothing else."), NULL, "text(pong)", NULL },
	{ "a quotation", SAYS("Please respond with exactly \\\"Blue Moon\\\" only."), NULL, "text(Blue Moon)", NULL },
	{ "the word", SAYS("Just say the word OK."), NULL, "text(OK)", NULL },
	{ "several sentences after a colon", SAYS("Repeat: One. Two."), NULL, "text(One. Two.)", NULL },
	{ "in exactly three words", SAYS("Say hello in exactly 3 words."), NULL, "text(hello there friend)", NULL },
	{ "several times", SAYS("Say hi 3 times"), NULL, "text(hi hi hi)", NULL },
	{ "remembers a name", "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi, my name is Alice.\"},{\"role\":\"assistant\",\"content\":\"Hello!\"},"
	  "{\"role\":\"user\",\"content\":\"What is my name?\"}]}", NULL, "text(Your name is Alice.)", NULL },
	{ "remembers what somebody is", "{\"messages\":[{\"role\":\"user\",\"content\":\"I'm Bob\"},{\"role\":\"assistant\",\"content\":\"Hello!\"},"
	  "{\"role\":\"user\",\"content\":\"Who am I?\"}]}", NULL, "Your name is Bob", NULL },
	{ "remembers a colour", "{\"messages\":[{\"role\":\"user\",\"content\":\"My favorite color is teal.\"},{\"role\":\"assistant\",\"content\":\"ok\"},"
	  "{\"role\":\"user\",\"content\":\"What's my favorite color?\"}]}", NULL, "teal", NULL },
	{ "remembers a number", "{\"messages\":[{\"role\":\"user\",\"content\":\"Remember the number 42.\"},{\"role\":\"assistant\",\"content\":\"ok\"},"
	  "{\"role\":\"user\",\"content\":\"Which number did I ask you to remember?\"}]}", NULL, "42", NULL },
	{ "adds", SAYS("What is 2+2?"), NULL, "text(2+2 = 4)", NULL },
	{ "in words", SAYS("What is 15 times 4?"), NULL, "= 60)", NULL },
	{ "brackets and precedence", SAYS("Calculate (1 + 2) * 3 - 4 / 2"), NULL, "= 7)", NULL },
	{ "only the number", SAYS("What is 7 * 6? Answer with only the number."), NULL, "text(42)", NULL },
	{ "division by zero", SAYS("What is 1/0?"), NULL, "not defined", NULL },
	{ "counts", SAYS("Count to five"), NULL, "text(1, 2, 3, 4, 5)", NULL },
	{ "counts from", SAYS("Count from 1 to 10, please"), NULL, "text(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)", NULL },
	{ "counts down", SAYS("Count down from 3 to 1"), NULL, "text(3, 2, 1)", NULL },
	{ "a capital", SAYS("What is the capital of France?"), NULL, "Paris", NULL },
	{ "a list", SAYS("Name three colors"), NULL, "text(1. red\\n2. blue\\n3. green)", NULL },
	{ "stop sequences cut", ASK("Count to five") ",\"stop\":[\", 3\"]}", NULL, "text(1, 2) ", NULL },
	{ "the limit cuts", ASK("Count to 50") ",\"max_tokens\":2}", NULL, "text(1, 2, 3,) usage(input=6 output=2) finish(length, length)", NULL },
	{ "exactly as many words", SAYS("Write 5 words about the sea"), NULL, "finish(stop", NULL },
	{ "sees an image and its colour", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"What is this?\"},"
	  "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," RED "\"}}]}]}", NULL, "1 image: a PNG image of 1 x 1 pixels", NULL },
	{ "thinks when asked", ASK("Say hi") ",\"reasoning\":{\"effort\":\"low\"}}", NULL, "unknown, {\"signature\":\"sim-", NULL },
	{ "hides what it thinks, but counts it", ASK("Say hi") ",\"reasoning\":{\"effort\":\"low\",\"exclude\":true}}", NULL, "reasoning=", "reasoning(" },
	{ "does not think unasked", SAYS("Say hi"), NULL, "text(hi)", "reasoning" },
	{ "makes an image", ASK("A blue square") ",\"modalities\":[\"image\",\"text\"]}", NULL, "image(image/png, ", NULL },
	{ "log-probabilities", ASK("Say hi") ",\"logprobs\":true,\"top_logprobs\":2}", NULL, "logprobs({\"content\":[{\"token\":\"hi\"", NULL },
	{ "calls the tool that fits", ASK("What's the weather in San Francisco?") ",\"tools\":[" TIME "," WEATHER "]}", NULL,
	  "get_weather) tool_args(0, {\"location\":\"San Francisco\"}) tool_end(0) ", "get_time" },
	{ "with the unit that is named", ASK("Weather in Paris in fahrenheit?") ",\"tools\":[" WEATHER "]}", NULL, "{\"location\":\"Paris\",\"unit\":\"fahrenheit\"}", NULL },
	{ "once for each city", ASK("Weather in Paris and London, please") ",\"tools\":[" WEATHER "]}", NULL,
	  "tool_args(1, {\"location\":\"London\"}) tool_end(1)", "text(" },
	{ "only one where it must", ASK("Weather in Paris and London, please") ",\"parallel_tool_calls\":false,\"tools\":[" WEATHER "]}", NULL, "\"Paris\"", "tool_begin(1" },
	{ "two tools", ASK("Weather and time in Oslo?") ",\"tools\":[" WEATHER "," TIME "]}", NULL, "get_time) tool_args(1, {\"city\":\"Oslo\"})", NULL },
	{ "a number for a function", ASK("What is the value of magic_function(3)?") ",\"tools\":[" MAGIC "]}", NULL, "{\"input\":3}", NULL },
	{ "no tool without a reason", ASK("Say hi") ",\"tools\":[" WEATHER "]}", NULL, "text(hi)", "tool" },
	{ "a tool when it must", ASK("Say hi") ",\"tool_choice\":\"required\",\"tools\":[" WEATHER "]}", NULL, "get_weather", "text(" },
	{ "that tool", ASK("Say hi") ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"get_time\"}},\"tools\":[" WEATHER "," TIME "]}", NULL, "get_time", "get_weather" },
	{ "no tool when it must not", ASK("Weather in Paris?") ",\"tool_choice\":\"none\",\"tools\":[" WEATHER "]}", NULL, "text(", "tool" },
	{ "answers with the result", "{\"messages\":[{\"role\":\"user\",\"content\":\"Weather in Paris?\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":"
	  "[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"22 degrees\"}],"
	  "\"tools\":[" WEATHER "]}", NULL, "text(The result of get_weather is: 22 degrees) ", "tool" },
	{ "JSON for a schema, from the message", ASK("John Smith is 30 years old") SCHEMA("{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":{\"type\":\"integer\"}},"
	  "\"required\":[\"name\",\"age\"]}"), NULL, "text({\"name\":\"John Smith\",\"age\":30})", NULL },
	{ "references, enums, arrays, constants", ASK("Give me something blue") SCHEMA("{\"$defs\":{\"c\":{\"enum\":[\"red\",\"blue\"]}},\"type\":\"object\",\"properties\":{"
	  "\"k\":{\"const\":7},\"c\":{\"$ref\":\"#/$defs/c\"},\"l\":{\"type\":\"array\",\"items\":{\"type\":\"number\",\"minimum\":5},\"minItems\":2},"
	  "\"o\":{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"boolean\"}]}}}"), NULL, "text({\"k\":7,\"c\":\"blue\",\"l\":[5,5],\"o\":true})", NULL },
	{ "formats and patterns", ASK("Go") SCHEMA("{\"type\":\"object\",\"properties\":{\"d\":{\"type\":\"string\",\"format\":\"date\"},"
	  "\"p\":{\"type\":\"string\",\"pattern\":\"^[A-Z]{2}-\\\\d{3}$\"},\"n\":{\"type\":\"string\",\"minLength\":3,\"maxLength\":3}}}"), NULL,
	  "text({\"d\":\"2025-01-15\",\"p\":\"AA-111\",\"n\":\"nxx\"})", NULL },
	{ "a schema that holds itself ends", ASK("Go") SCHEMA("{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#/$defs/n\"}},"
	  "\"required\":[\"next\"]}}}"), NULL, "null}}", NULL },
	{ "JSON without a schema", ASK("Tell me a joke as JSON with 'setup' and 'punchline' keys.") ",\"response_format\":{\"type\":\"json_object\"}}", NULL,
	  "{\"setup\":\"", NULL },
	{ "a fixed answer", SAYS("Say hi"), "{\"model\":\"m\",\"options\":{\"answer\":\"No.\"}}", "text(No.)", NULL },
	{ "a broken line", SAYS("Say hi"), "{\"model\":\"m\",\"options\":{\"fault\":{\"kind\":\"empty\"}}}", "error(upstream, answer cut short", NULL },
	{ "cut after the first word", SAYS("Say hi you"), "{\"model\":\"m\",\"options\":{\"fault\":{\"kind\":\"short\"}}}", "text(hi) error(upstream, answer cut short", NULL },
};

static const struct { const char *name, *request, *endpoint, *has; } scripts[] = {
	{ "the pace is in the script", SAYS("Say hi you"), "{\"model\":\"m\",\"options\":{\"ttft_ms\":50,\"chunk_ms\":20}}", "{\"after_ms\":20,\"event\":{\"kind\":\"text\"" },
	{ "tokens a second", SAYS("Say hi you"), "{\"model\":\"m\",\"options\":{\"tokens_per_s\":100}}", "{\"after_ms\":10,\"event\":{\"kind\":\"text\"" },
	{ "a limit", SAYS("Say hi"), "{\"model\":\"m\",\"options\":{\"fault\":{\"kind\":\"429\",\"retry_after_s\":2}}}", "{\"status\":429,\"headers\":{\"content-type\":\"application/json\",\"retry-after\":\"2\"}" },
	{ "a cut", SAYS("Say hi"), "{\"model\":\"m\",\"options\":{\"fault\":{\"kind\":\"cut_after\"}}}", "{\"cut\":true}\n" },
	{ "a hang", SAYS("Say hi"), "{\"model\":\"m\",\"options\":{\"fault\":{\"kind\":\"hang\"}}}", "\n\n{\"hang\":true}\n" },
	{ "never is never", SAYS("Say hi"), "{\"model\":\"m\",\"options\":{\"fault\":{\"kind\":\"hang\",\"share\":\"0\"}}}", "\"text\"" },
	{ "a wrong signature", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\",\"reasoning_details\":"
	  "[{\"type\":\"reasoning.text\",\"text\":\"x\",\"signature\":\"sim-0\",\"format\":\"unknown\"}]},{\"role\":\"user\",\"content\":\"c\"}]}", NULL, "\"status\":400" },
	{ "another vendor's is not ours to judge", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\",\"reasoning_details\":"
	  "[{\"type\":\"reasoning.text\",\"text\":\"x\",\"signature\":\"y\",\"format\":\"anthropic-claude-v1\"}]},{\"role\":\"user\",\"content\":\"c\"}]}", NULL, "\"finish\"" },
};

static const struct { const char *name; enum mg_op op; const char *request, *has; } others[] = {
	{ "embeddings", MG_EMBEDDINGS, "{\"input\":[\"a cat\",\"dogs\"],\"dimensions\":4}", "vector(1, [" },
	{ "one input", MG_EMBEDDINGS, "{\"input\":\"a cat\",\"dimensions\":4}", "vector(0, [" },
	{ "rerank: the same words score 1", MG_RERANK, "{\"query\":\"blue moon\",\"documents\":[\"a car\",\"blue moon\"]}", "score(1, {\"relevance_score\":1.000000})" },
	{ "images", MG_IMAGE, "{\"prompt\":\"a red dot\",\"n\":2}", "image(image/png, " },
	{ "models", MG_MODELS, "{}", "model(sim, " },
};

/* The script for the request; free() it. */
static char *script_of(enum mg_op op, const char *request, const char *endpoint, char **all)
{
	struct rig_case c = { .request = request, .endpoint = endpoint };

	*all = rig_request(mg_plugin_entry(), op, &c);
	return *all && strstr(*all, "\n\n") ? strstr(*all, "\n\n") + 2 : NULL;
}

static void answers(const char *name, enum mg_op op, const char *request, const char *endpoint, const char *has, const char *lacks)
{
	char *all, *script = script_of(op, request, endpoint, &all);
	struct rig_case c = { .name = name, .request = request, .endpoint = endpoint, .answer = script };
	char *events = script ? rig_events(mg_plugin_entry(), op, &c, RIG_WHOLE) : NULL;
	char *differs = script ? rig_cuts(mg_plugin_entry(), op, &c) : NULL;

	rig_claim(events && strstr(events, has) && !(lacks && strstr(events, lacks)) && !differs, name, differs ? differs : events ? events : all);
	free(differs);
	free(events);
	free(all);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(chats) / sizeof(chats[0]); i++)
		answers(chats[i].name, MG_CHAT, chats[i].request, chats[i].endpoint, chats[i].has, chats[i].lacks);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		answers(others[i].name, others[i].op, others[i].request, NULL, others[i].has, NULL);
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		char *all, *script = script_of(MG_CHAT, scripts[i].request, scripts[i].endpoint, &all);

		rig_claim(script && strstr(script - 2, scripts[i].has), scripts[i].name, all);
		free(all);
	}
	return rig_run(mg_plugin_entry(), MG_CHAT, NULL, 0);
}
