/*
 * gemini_back.h - a recorded request of the dialect as the canonical call
 * that means it, and both as one form, so that they can be compared.
 *
 * What the comparison passes over, since it means nothing to the service or
 * cannot be said by a client: snake_case for camelCase, an empty
 * generationConfig, systemInstruction's role, ids of calls and results where the
 * recording has none, types as numbers, VALIDATED for AUTO,
 * toolConfig.includeServerSideToolInvocations, how an unsigned text is cut into
 * parts and turns of one side into contents, empty unsigned texts, texts behind
 * calls, includeThoughts where it is false, the word that stands for a
 * signature, one candidate, and toolConfig without functions.
 */
#ifndef GEMINI_BACK_H
#define GEMINI_BACK_H

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void rename_member(json_t *o, const char *from, const char *to)
{
	json_t *v = json_object_get(o, from);

	if (v) {
		json_object_set(o, to, v);
		json_object_del(o, from);
	}
}

/* Types as the older form of schemas writes them: a number, capitals. */
static void plain_types(json_t *schema)
{
	static const char *const types[] = { "", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT" };
	json_t *type = json_object_get(schema, "type"), *v;
	const char *name;
	size_t i;

	if (json_is_integer(type) && json_integer_value(type) < 7)
		json_object_set_new(schema, "type", json_string(types[json_integer_value(type)]));
	json_object_foreach(schema, name, v)
		plain_types(v);
	json_array_foreach(schema, i, v)
		plain_types(v);
}

static void one_form_of_part(json_t *part, bool ids)
{
	static const char *const calls[] = { "functionCall", "functionResponse" };

	rename_member(part, "function_call", "functionCall");
	rename_member(part, "function_response", "functionResponse");
	rename_member(part, "inline_data", "inlineData");
	rename_member(json_object_get(part, "inlineData"), "mime_type", "mimeType");
	rename_member(part, "file_data", "fileData");
	rename_member(part, "thought_signature", "thoughtSignature");
	if (json_object_get(part, "thoughtSignature") && strstr("skip_thought_signature_validator c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=",
		json_string_value(json_object_get(part, "thoughtSignature"))))
		json_object_del(part, "thoughtSignature");
	for (size_t i = 0; i < 2 && !ids; i++)
		json_object_del(json_object_get(part, calls[i]), "id");
}

static void one_form_of_tool(json_t *tool)
{
	json_t *fn;
	size_t i;

	rename_member(tool, "google_search", "googleSearch");
	rename_member(tool, "function_declarations", "functionDeclarations");
	json_array_foreach(json_object_get(tool, "functionDeclarations"), i, fn) {
		rename_member(fn, "parameters_json_schema", "parametersJsonSchema");
		plain_types(json_object_get(fn, "parameters"));
	}
}

/* Runs of one side are one content. */
static void join_turns(json_t *contents)
{
	for (size_t i = 0; i < json_array_size(contents); i++) {
		json_t *one = json_array_get(contents, i), *before = i ? json_array_get(contents, i - 1) : NULL;
		const char *role = json_string_value(json_object_get(one, "role"));

		if (!role || strcmp(role, "model"))
			json_object_set_new(one, "role", json_string("user"));
		if (before && json_equal(json_object_get(before, "role"), json_object_get(one, "role"))) {
			json_array_extend(json_object_get(before, "parts"), json_object_get(one, "parts"));
			json_array_remove(contents, i--);
		}
	}
}

static bool plain_text(json_t *part)
{
	return json_object_size(part) == 1 && json_is_string(json_object_get(part, "text"));
}

/* A model's texts first, those without a signature joined; of a user's, results first. */
static void join_texts(json_t *content)
{
	json_t *parts = json_object_get(content, "parts"), *out = json_array(), *part, *last;
	bool model = !strcmp(json_string_value(json_object_get(content, "role")), "model");
	size_t i;

	for (int first = 1; first >= 0; first--)
		json_array_foreach(parts, i, part) {
			last = json_array_get(out, json_array_size(out) - 1);
			if ((json_object_get(part, model ? "text" : "functionResponse") != NULL) != first)
				continue;
			if (plain_text(part) && !json_string_length(json_object_get(part, "text")))
				continue;
			if (model && plain_text(part) && last && plain_text(last)) {
				json_t *both = json_sprintf("%s%s", json_string_value(json_object_get(last, "text")), json_string_value(json_object_get(part, "text")));

				json_object_set_new(last, "text", both);
				continue;
			}
			json_array_append(out, part);
		}
	json_object_set_new(content, "parts", out);
}

static void one_form_of_config(json_t *body)
{
	json_t *config = json_object_get(body, "generationConfig"), *thinking = json_object_get(config, "thinkingConfig");
	json_t *level;
	char word[16] = "";

	rename_member(thinking, "include_thoughts", "includeThoughts");
	rename_member(thinking, "thinking_level", "thinkingLevel");
	rename_member(thinking, "thinking_budget", "thinkingBudget");
	if (json_is_false(json_object_get(thinking, "includeThoughts")))
		json_object_del(thinking, "includeThoughts");
	level = json_object_get(thinking, "thinkingLevel");
	for (size_t i = 0; i < json_string_length(level) && i + 1 < sizeof(word); i++)
		word[i] = (char)toupper((unsigned char)json_string_value(level)[i]);
	if (level)
		json_object_set_new(thinking, "thinkingLevel", json_string(word));
	if (json_integer_value(json_object_get(config, "candidateCount")) == 1)
		json_object_del(config, "candidateCount");
	if (config && !json_object_size(config))
		json_object_del(body, "generationConfig");
}

static bool has_functions(json_t *body)
{
	json_t *tool;
	size_t i;

	json_array_foreach(json_object_get(body, "tools"), i, tool)
		if (json_array_size(json_object_get(tool, "functionDeclarations")))
			return true;
	return false;
}

static void one_form(json_t *body, bool ids)
{
	json_t *config, *content, *part;
	size_t i, k;

	rename_member(body, "generation_config", "generationConfig");
	rename_member(body, "system_instruction", "systemInstruction");
	rename_member(body, "tool_config", "toolConfig");
	rename_member(body, "safety_settings", "safetySettings");
	if (json_is_string(json_object_get(body, "systemInstruction")))
		json_object_set_new(body, "systemInstruction", json_pack("{s:[{s:O}]}", "parts", "text", json_object_get(body, "systemInstruction")));
	json_object_del(json_object_get(body, "systemInstruction"), "role");
	json_array_foreach(json_object_get(body, "tools"), i, part)
		one_form_of_tool(part);
	join_turns(json_object_get(body, "contents"));
	json_array_foreach(json_object_get(body, "contents"), i, content) {
		json_array_foreach(json_object_get(content, "parts"), k, part)
			one_form_of_part(part, ids);
		join_texts(content);
	}
	config = json_object_get(json_object_get(body, "toolConfig"), "functionCallingConfig");
	if (config && json_object_get(config, "mode") && !strcmp(json_string_value(json_object_get(config, "mode")), "VALIDATED"))
		json_object_set_new(config, "mode", json_string("AUTO"));
	json_object_del(json_object_get(body, "toolConfig"), "includeServerSideToolInvocations");
	if (!json_object_size(json_object_get(body, "toolConfig")) || !has_functions(body))
		json_object_del(body, "toolConfig");
	one_form_of_config(body);
}

/* The first member of o that is not among the words; NULL: all are. */
static const char *unknown_member(json_t *o, const char *words)
{
	const char *name;
	json_t *v;

	json_object_foreach(o, name, v) {
		const char *at = strstr(words, name);

		if (!at || (at > words && at[-1] != ' ') || (at[strlen(name)] && at[strlen(name)] != ' '))
			return name;
	}
	return NULL;
}

static const char *beyond_parts(json_t *contents)
{
	const char *no = NULL;
	json_t *content, *part;
	size_t i, k;

	json_array_foreach(contents, i, content)
		json_array_foreach(json_object_get(content, "parts"), k, part) {
			no = no ? no : unknown_member(part, "text inlineData fileData functionCall functionResponse thoughtSignature");
			no = no ? no : unknown_member(json_object_get(part, "functionResponse"), "id name response");
			no = no ? no : unknown_member(json_object_get(part, "inlineData"), "mimeType data");
		}
	return no;
}

static const char *beyond_tools(json_t *body)
{
	json_t *tool, *fn, *config = json_object_get(json_object_get(body, "toolConfig"), "functionCallingConfig");
	const char *no = json_array_size(json_object_get(config, "allowedFunctionNames")) > 1 ? "allowedFunctionNames" : NULL;
	size_t i, k;

	json_array_foreach(json_object_get(body, "tools"), i, tool) {
		no = no ? no : unknown_member(tool, "functionDeclarations googleSearch codeExecution urlContext");
		json_array_foreach(json_object_get(tool, "functionDeclarations"), k, fn)
			no = no ? no : unknown_member(fn, "name description parameters parametersJsonSchema");
	}
	return no;
}

/* What the request has in it that canonical_of() finds no words for; NULL: nothing. */
static const char *beyond_clients(json_t *body)
{
	json_t *config = json_object_get(body, "generationConfig"), *type = json_object_get(config, "responseMimeType");
	const char *no = unknown_member(body, "contents systemInstruction tools toolConfig generationConfig safetySettings cachedContent labels");

	no = no ? no : unknown_member(config, "temperature topP topK seed maxOutputTokens stopSequences frequencyPenalty presencePenalty responseLogprobs "
		"logprobs responseMimeType responseSchema responseJsonSchema responseModalities thinkingConfig");
	if (!no && type && strcmp(json_string_value(type), "application/json"))
		no = "responseMimeType";
	if (!no && json_integer_value(json_object_get(json_object_get(config, "thinkingConfig"), "thinkingBudget")) < 0)
		no = "thinkingBudget";
	no = no ? no : beyond_parts(json_object_get(body, "contents"));
	return no ? no : beyond_tools(body);
}

/* ------------------------------------------------- back to the canonical */

static json_t *texts_of(json_t *parts)
{
	char *all = calloc(1, 1 << 20);
	json_t *part, *out;
	size_t i, len = 0;

	json_array_foreach(parts, i, part)
		len += (size_t)snprintf(all + len, (1 << 20) - len, "%s", json_string_value(json_object_get(part, "text")) ?
			json_string_value(json_object_get(part, "text")) : "");
	out = json_string(all);
	free(all);
	return out;
}

static json_t *media_back(const char *type, json_t *url)
{
	if (!strncmp(type, "image/", 6))
		return json_pack("{s:s, s:{s:o}}", "type", "image_url", "image_url", "url", url);
	if (!strncmp(type, "audio/", 6))
		return json_pack("{s:s, s:{s:o, s:s}}", "type", "input_audio", "input_audio", "data", url, "format", "url");
	if (!strncmp(type, "video/", 6))
		return json_pack("{s:s, s:{s:o}}", "type", "video_url", "video_url", "url", url);
	return json_pack("{s:s, s:{s:o}}", "type", "file", "file", "file_data", url);
}

static json_t *part_back(json_t *part)
{
	json_t *data = json_object_get(part, "inlineData"), *file = json_object_get(part, "fileData"), *out;
	const char *type = json_string_value(json_object_get(data ? data : file, "mimeType"));
	const char *octets = json_string_value(json_object_get(data, "data"));
	size_t len;
	char *url;

	if (json_object_get(part, "text"))
		return json_pack("{s:s, s:O}", "type", "text", "text", json_object_get(part, "text"));
	if (file)
		return media_back(type ? type : "", json_incref(json_object_get(file, "fileUri")));
	len = strlen(type) + strlen(octets) + 16;
	url = malloc(len);
	snprintf(url, len, "data:%s;base64,%s", type, octets);
	out = media_back(type, json_string(url));
	free(url);
	return out;
}

static const char *call_id(json_t *call, char *made, size_t size, size_t n)
{
	const char *id = json_string_value(json_object_get(call, "id"));

	snprintf(made, size, "call_%zu", n);
	return id ? id : made;
}

static json_t *detail(json_t *signature, const char *id)
{
	return json_pack("{s:s, s:O, s:s*, s:s}", "type", "reasoning.encrypted", "data", signature, "id", id, "format", "google-gemini-v1");
}

static json_t *model_back(json_t *parts, size_t *calls)
{
	json_t *message = json_pack("{s:s, s:o, s:[], s:[]}", "role", "assistant", "content", texts_of(parts), "tool_calls", "reasoning_details");
	json_t *part, *call;
	char made[32];
	size_t i, at = 0;

	json_array_foreach(parts, i, part) {
		json_t *signature = json_object_get(part, "thoughtSignature"), *text = json_object_get(part, "text");
		char range[64];
		const char *id = range;

		snprintf(range, sizeof(range), "text:%zu:%zu", at, at + json_string_length(text));
		at += json_string_length(text);
		call = json_object_get(part, "functionCall");
		if (call) {
			char *args = json_object_get(call, "args") ? json_dumps(json_object_get(call, "args"), JSON_COMPACT) : strdup("{}");

			id = call_id(call, made, sizeof(made), (*calls)++);
			json_array_append_new(json_object_get(message, "tool_calls"), json_pack("{s:s, s:s, s:{s:O, s:s}}", "id", id, "type", "function",
				"function", "name", json_object_get(call, "name"), "arguments", args));
			free(args);
		}
		if (signature)
			json_array_append_new(json_object_get(message, "reasoning_details"), detail(signature, id));
	}
	return message;
}

static void user_back(json_t *messages, json_t *parts, size_t *results)
{
	json_t *content = json_array(), *part;
	char made[32];
	size_t i;

	json_array_foreach(parts, i, part) {
		json_t *r = json_object_get(part, "functionResponse");
		char *text;

		if (!r) {
			json_array_append_new(content, part_back(part));
			continue;
		}
		text = json_dumps(json_object_get(r, "response"), JSON_COMPACT);
		json_array_append_new(messages, json_pack("{s:s, s:s, s:s}", "role", "tool", "tool_call_id",
			call_id(r, made, sizeof(made), (*results)++), "content", text));
		free(text);
	}
	if (json_array_size(content))
		json_array_append_new(messages, json_pack("{s:s, s:O}", "role", "user", "content", content));
	json_decref(content);
}

static void lower(json_t *schema)
{
	const char *type = json_string_value(json_object_get(schema, "type")), *name;
	char word[32] = "";
	json_t *v;
	size_t i;

	for (i = 0; type && type[i] && i + 1 < sizeof(word); i++)
		word[i] = (char)tolower((unsigned char)type[i]);
	if (type)
		json_object_set_new(schema, "type", json_string(word));
	json_object_foreach(schema, name, v)
		lower(v);
	json_array_foreach(schema, i, v)
		lower(v);
}

static void tools_back(json_t *body, json_t *out, bool *openapi)
{
	static const char *const own[][2] = { { "googleSearch", "google_search" }, { "codeExecution", "code_execution" }, { "urlContext", "url_context" } };
	json_t *tools = json_array(), *tool, *fn, *schema;
	size_t i, k;

	json_array_foreach(json_object_get(body, "tools"), i, tool) {
		for (k = 0; k < 3; k++)
			if (json_object_get(tool, own[k][0]))
				json_array_append_new(tools, json_pack("{s:s, s:O}", "type", own[k][1], own[k][1], json_object_get(tool, own[k][0])));
		json_array_foreach(json_object_get(tool, "functionDeclarations"), k, fn) {
			schema = json_deep_copy(json_object_get(fn, "parametersJsonSchema"));
			if (json_object_get(fn, "parameters")) {
				schema = json_deep_copy(json_object_get(fn, "parameters"));
				lower(schema);
				*openapi = true;
			}
			json_array_append_new(tools, json_pack("{s:s, s:{s:O, s:O*, s:o*}}", "type", "function", "function",
				"name", json_object_get(fn, "name"), "description", json_object_get(fn, "description"), "parameters", schema));
		}
	}
	if (json_array_size(tools))
		json_object_set(out, "tools", tools);
	json_decref(tools);
}

static void choice_back(json_t *body, json_t *out)
{
	json_t *config = json_object_get(json_object_get(body, "toolConfig"), "functionCallingConfig");
	json_t *names = json_object_get(config, "allowedFunctionNames");
	const char *mode = json_string_value(json_object_get(config, "mode"));

	if (json_array_size(names))
		json_object_set_new(out, "tool_choice", json_pack("{s:s, s:{s:O}}", "type", "function", "function", "name", json_array_get(names, 0)));
	else if (mode)
		json_object_set_new(out, "tool_choice", json_string(!strcmp(mode, "ANY") ? "required" : !strcmp(mode, "NONE") ? "none" : "auto"));
}

static void config_back(json_t *body, json_t *out, bool *openapi)
{
	static const char *const names[][2] = { { "temperature", "temperature" }, { "topP", "top_p" }, { "topK", "top_k" }, { "seed", "seed" },
		{ "maxOutputTokens", "max_tokens" }, { "stopSequences", "stop" }, { "frequencyPenalty", "frequency_penalty" },
		{ "presencePenalty", "presence_penalty" }, { "responseLogprobs", "logprobs" }, { "logprobs", "top_logprobs" } };
	json_t *config = json_object_get(body, "generationConfig"), *schema = json_object_get(config, "responseJsonSchema");
	json_t *thinking = json_object_get(config, "thinkingConfig"), *v;
	const char *level = json_string_value(json_object_get(thinking, "thinkingLevel"));
	char word[16] = "";
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (json_object_get(config, names[i][0]))
			json_object_set(out, names[i][1], json_object_get(config, names[i][0]));
	if (schema)
		json_object_set_new(out, "response_format", json_pack("{s:s, s:{s:s, s:O}}", "type", "json_schema", "json_schema", "name", "x", "schema", schema));
	else if (json_object_get(config, "responseSchema")) {
		schema = json_deep_copy(json_object_get(config, "responseSchema"));
		lower(schema);
		*openapi = true;
		json_object_set_new(out, "response_format", json_pack("{s:s, s:{s:s, s:o}}", "type", "json_schema", "json_schema", "name", "x", "schema", schema));
	} else if (json_object_get(config, "responseMimeType"))
		json_object_set_new(out, "response_format", json_pack("{s:s}", "type", "json_object"));
	if (json_object_get(config, "responseModalities"))
		json_object_set_new(out, "modalities", json_array());
	json_array_foreach(json_object_get(config, "responseModalities"), i, v)
		json_array_append_new(json_object_get(out, "modalities"), json_string(!strcmp(json_string_value(v), "TEXT") ? "text" :
			!strcmp(json_string_value(v), "IMAGE") ? "image" : "audio"));
	for (i = 0; level && level[i] && i + 1 < sizeof(word); i++)
		word[i] = (char)tolower((unsigned char)level[i]);
	if (level)
		json_object_set_new(out, "reasoning", json_pack("{s:s}", "effort", word));
	else if (json_object_get(thinking, "thinkingBudget"))
		json_object_set_new(out, "reasoning", json_pack("{s:O}", "max_tokens", json_object_get(thinking, "thinkingBudget")));
	else if (thinking)
		json_object_set_new(out, "include_reasoning", json_true());
	if (json_is_integer(json_object_get(thinking, "thinkingBudget")) && !json_integer_value(json_object_get(thinking, "thinkingBudget")))
		json_object_set_new(out, "reasoning", json_pack("{s:s}", "effort", "none"));
	if (thinking && !json_object_get(thinking, "includeThoughts"))
		json_object_set_new(json_object_get(out, "reasoning"), "exclude", json_true());
}

/* openapi: its schemas are of the older form. */
static json_t *canonical_of(json_t *body, bool *openapi)
{
	json_t *messages = json_array(), *instruction = json_object_get(body, "systemInstruction"), *content, *out;
	size_t i, calls = 0, results = 0;

	if (instruction)
		json_array_append_new(messages, json_pack("{s:s, s:o}", "role", "system", "content", texts_of(json_object_get(instruction, "parts"))));
	json_array_foreach(json_object_get(body, "contents"), i, content) {
		const char *role = json_string_value(json_object_get(content, "role"));

		if (role && !strcmp(role, "model"))
			json_array_append_new(messages, model_back(json_object_get(content, "parts"), &calls));
		else
			user_back(messages, json_object_get(content, "parts"), &results);
	}
	out = json_pack("{s:s, s:o, s:O*, s:O*, s:O*}", "model", "a/b", "messages", messages, "safetySettings", json_object_get(body, "safetySettings"),
		"cachedContent", json_object_get(body, "cachedContent"), "labels", json_object_get(body, "labels"));
	tools_back(body, out, openapi);
	choice_back(body, out);
	config_back(body, out, openapi);
	return out;
}

static bool has_ids(json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT);
	bool has = text && strstr(text, "\"id\":");

	free(text);
	return has;
}

#endif
