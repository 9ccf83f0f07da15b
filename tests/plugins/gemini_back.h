/*
 * gemini_back.h - a recorded request of the dialect as the canonical call
 * that means it, and both as one form, so that they can be compared.
 *
 * What the comparison passes over, since it means nothing to the service or
 * cannot be said by a client: snake_case for camelCase, an empty
 * generationConfig, systemInstruction's role, ids of calls and results where the
 * recording has none, types as numbers, VALIDATED for AUTO, and
 * toolConfig.includeServerSideToolInvocations.
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

static void one_form(json_t *body, bool ids)
{
	json_t *thinking, *config, *content, *part;
	size_t i, k;

	rename_member(body, "generation_config", "generationConfig");
	rename_member(body, "system_instruction", "systemInstruction");
	rename_member(body, "tool_config", "toolConfig");
	rename_member(body, "safety_settings", "safetySettings");
	json_object_del(json_object_get(body, "systemInstruction"), "role");
	json_array_foreach(json_object_get(body, "contents"), i, content)
		json_array_foreach(json_object_get(content, "parts"), k, part)
			one_form_of_part(part, ids);
	json_array_foreach(json_object_get(body, "tools"), i, part)
		one_form_of_tool(part);
	config = json_object_get(json_object_get(body, "toolConfig"), "functionCallingConfig");
	if (config && !strcmp(json_string_value(json_object_get(config, "mode")), "VALIDATED"))
		json_object_set_new(config, "mode", json_string("AUTO"));
	json_object_del(json_object_get(body, "toolConfig"), "includeServerSideToolInvocations");
	if (!json_object_size(json_object_get(body, "toolConfig")))
		json_object_del(body, "toolConfig");
	config = json_object_get(body, "generationConfig");
	thinking = json_object_get(config, "thinkingConfig");
	rename_member(thinking, "include_thoughts", "includeThoughts");
	rename_member(thinking, "thinking_level", "thinkingLevel");
	rename_member(thinking, "thinking_budget", "thinkingBudget");
	if (config && !json_object_size(config))
		json_object_del(body, "generationConfig");
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
	size_t i;

	json_array_foreach(parts, i, part) {
		json_t *signature = json_object_get(part, "thoughtSignature");
		const char *id = NULL;

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
	json_t *tools = json_array(), *tool, *fn, *schema;
	size_t i, k;

	json_array_foreach(json_object_get(body, "tools"), i, tool) {
		if (json_object_get(tool, "googleSearch"))
			json_array_append_new(tools, json_pack("{s:s}", "type", "google_search"));
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

static void config_back(json_t *body, json_t *out)
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
	else if (json_object_get(config, "responseMimeType"))
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
		json_object_set_new(out, "reasoning", json_pack("{s:b}", "enabled", 1));
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
	out = json_pack("{s:s, s:o}", "model", "a/b", "messages", messages);
	tools_back(body, out, openapi);
	choice_back(body, out);
	config_back(body, out);
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
