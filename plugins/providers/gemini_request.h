/*
 * gemini_request.h - the request half of gemini.c: contents that alternate,
 * tools, and the configuration of the generation.
 */
#ifndef GEMINI_REQUEST_H
#define GEMINI_REQUEST_H

#include <stdio.h>

#include "gemini_parts.h"
#include "gemini_schema.h"

enum { RESULTS_MAX = 256, STOPS_MAX = 5 };

/* -------------------------------------------------------------- contents */

struct result { struct mg_view message; struct mg_str id; bool sent; };

static void open_turn(struct mg_call *c, struct mg_writer *w, const char *role)
{
	c->host->open(w, NULL, '{');
	c->host->put(w, "role", (struct mg_str){ role, strlen(role) });
	c->host->open(w, "parts", '[');
}

static void close_turn(struct mg_call *c, struct mg_writer *w)
{
	c->host->close(w);
	c->host->close(w);
}

/* A thought that was signed goes back whole; the others are not asked for again. */
static int put_signed_thoughts(struct mg_call *c, struct mg_writer *w, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct mg_view from = h->at(h->get(m, "reasoning_details"), 0);

	for (struct mg_view v = from; h->kind(v); v = h->next(v)) {
		struct mg_str text;

		if (!is_signature(c, v))
			continue;
		if (mg_is(h->text(c, h->get(v, "id")), "thought")) {
			text = joined_until(c, from, v);
			if (!text.at)
				return h->fail(c, MG_ENOMEM, "no memory for the request");
			h->open(w, NULL, '{');
			h->put(w, "text", text);
			h->put_raw(w, "thought", MG_STR("true"));
			h->put(w, "thoughtSignature", h->text(c, h->get(v, "data")));
			h->close(w);
		}
		from = h->next(v);
	}
	return MG_OK;
}

/* Images of an earlier answer, each with its signature, "image:N". */
static int put_made_images(struct mg_call *c, struct mg_writer *w, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct mg_view images = h->get(m, "images"), at = h->at(h->get(m, "reasoning_details"), 0), v = h->at(images, 0);
	char id[24];
	int rc = MG_OK;

	for (unsigned i = 0; h->kind(images) == MG_ARRAY && h->kind(v) && !rc; v = h->next(v), i++) {
		snprintf(id, sizeof(id), "image:%u", i);
		rc = put_media(c, w, h->get(h->get(v, "image_url"), "url"), "image_url.url", MG_STR("image/png"),
			signature_of(c, (struct mg_str){ id, strlen(id) }, &at));
	}
	return rc;
}

static int put_assistant(struct mg_call *c, struct mg_writer *w, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct mg_view call = h->at(h->get(m, "tool_calls"), 0), at = h->at(h->get(m, "reasoning_details"), 0);
	bool first = true;
	int rc;

	rc = put_signed_thoughts(c, w, m);
	put_signed_text(c, w, m);
	if (!rc)
		rc = put_made_images(c, w, m);
	if (!rc)
		rc = put_content(c, w, h->get(m, "content"), false, true);
	for (; h->kind(call) && !rc; call = h->next(call), first = false)
		rc = put_call(c, w, call, signature_of(c, h->text(c, h->get(call, "id")), &at), first);
	return rc;
}

/* The results among messages [m, +n), in the order of the calls of the turn before. */
static int put_results(struct mg_call *c, struct mg_writer *w, struct mg_view m, size_t n, struct mg_view calls, size_t n_calls)
{
	const struct mg_host *h = c->host;
	struct result *r = h->alloc(c, sizeof(*r) * RESULTS_MAX);
	size_t n_results = 0;
	int rc = MG_OK;

	if (!r)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	for (; n; n--, m = h->next(m)) {
		if (!role_is(c, m, "tool"))
			continue;
		if (n_results == RESULTS_MAX)
			return h->fail(c, MG_EINVAL, "messages: more than %d results in one turn", RESULTS_MAX);
		r[n_results++] = (struct result){ m, h->text(c, h->get(m, "tool_call_id")), false };
	}
	for (; n_calls && n_results; n_calls--, calls = h->next(calls))
		for (struct mg_view v = h->at(h->get(calls, "tool_calls"), 0); h->kind(v); v = h->next(v)) {
			struct mg_str id = h->text(c, h->get(v, "id"));

			for (size_t i = 0; i < n_results && !rc; i++)
				if (!r[i].sent && same_text(r[i].id, id)) {
					r[i].sent = true;
					rc = put_result(c, w, r[i].message, h->text(c, h->get(h->get(v, "function"), "name")));
				}
		}
	for (size_t i = 0; i < n_results && !rc; i++)
		if (!r[i].sent && empty_text(c, h->get(r[i].message, "name")))
			rc = h->fail(c, MG_EINVAL, "messages[].tool_call_id: no call of the turn before has it, and the message has no name");
		else if (!r[i].sent)
			rc = put_result(c, w, r[i].message, h->text(c, h->get(r[i].message, "name")));
	return rc;
}

static int put_user(struct mg_call *c, struct mg_writer *w, struct mg_view m, size_t n, struct mg_view calls, size_t n_calls)
{
	int rc = put_results(c, w, m, n, calls, n_calls);

	for (; n && !rc; n--, m = c->host->next(m))
		if (!role_is(c, m, "tool") && !is_system(c, m))
			rc = put_content(c, w, c->host->get(m, "content"), true, true);
	return rc;
}

/* Would the message give a part? */
static bool says_something(struct mg_call *c, struct mg_view m)
{
	const struct mg_host *h = c->host;
	struct mg_view content = h->get(m, "content");

	if (role_is(c, m, "tool") || h->kind(h->at(h->get(m, "tool_calls"), 0)) || h->kind(h->at(h->get(m, "images"), 0)))
		return true;
	for (struct mg_view v = h->at(h->get(m, "reasoning_details"), 0); role_is(c, m, "assistant") && h->kind(v); v = h->next(v))
		if (is_signature(c, v))
			return true;
	if (h->kind(content) != MG_ARRAY)
		return !empty_text(c, content);
	for (struct mg_view v = h->at(content, 0); h->kind(v); v = h->next(v))
		if (!is_text(c, v) || text_of_part(c, v).len)
			return true;
	return false;
}

/* Runs of one side become one content; what systems say is elsewhere. */
static int put_turns(struct mg_call *c, struct mg_writer *w, bool *any)
{
	const struct mg_host *h = c->host;
	struct mg_view m = h->at(mg_asked(c, "messages"), 0), before = { NULL, 0 };
	size_t n_before = 0;
	int rc = MG_OK;

	while (h->kind(m) && !rc) {
		bool assistant = role_is(c, m, "assistant"), says = false;
		struct mg_view end = m, v = m;
		size_t n = 0;

		for (; h->kind(end) && (is_system(c, end) || role_is(c, end, "assistant") == assistant); end = h->next(end), n++)
			says = says || (!is_system(c, end) && says_something(c, end));
		if (says && assistant && !*any) {	/* the user has the first word */
			open_turn(c, w, "user");
			put_text(c, w, MG_STR("."), unsigned_);
			close_turn(c, w);
		}
		if (says) {
			open_turn(c, w, assistant ? "model" : "user");
			if (!assistant)
				rc = put_user(c, w, m, n, before, n_before);
			for (size_t i = 0; i < n && assistant && !rc; i++, v = h->next(v))
				if (!is_system(c, v))
					rc = put_assistant(c, w, v);
			close_turn(c, w);
			*any = true;
		}
		before = assistant ? m : (struct mg_view){ NULL, 0 };
		n_before = assistant ? n : 0;
		m = end;
	}
	return rc;
}

static int put_systems(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	for (struct mg_view m = h->at(mg_asked(c, "messages"), 0); h->kind(m) && !rc; m = h->next(m))
		if (is_system(c, m))
			rc = put_content(c, w, h->get(m, "content"), true, true);
	return rc;
}

/* Where systems alone speak, what they say is the user's: contents must not be empty. */
static int put_contents(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	bool any = false, systems = false;
	int rc;

	h->open(w, "contents", '[');
	rc = put_turns(c, w, &any);
	if (!rc && !any) {
		open_turn(c, w, "user");
		rc = put_systems(c, w);
		close_turn(c, w);
	}
	h->close(w);
	for (struct mg_view m = h->at(mg_asked(c, "messages"), 0); h->kind(m) && !systems; m = h->next(m))
		systems = is_system(c, m) && says_something(c, m);
	if (rc || !any || !systems)
		return rc;
	h->open(w, "systemInstruction", '{');
	h->open(w, "parts", '[');
	rc = put_systems(c, w);
	h->close(w);
	h->close(w);
	return rc;
}

/* ----------------------------------------------------------------- tools */

/* The service's own, as OpenRouter's names or ours. */
static const struct { const char *type, *name; } own_tools[] = {
	{ "google_search", "googleSearch" }, { "code_execution", "codeExecution" }, { "url_context", "urlContext" },
	{ "google_maps", "googleMaps" }, { "openrouter:web_search", "googleSearch" },
};

static int put_own_tool(struct mg_call *c, struct mg_writer *w, struct mg_view tool)
{
	const struct mg_host *h = c->host;
	struct mg_str type = h->text(c, h->get(tool, "type"));

	for (size_t i = 0; i < sizeof(own_tools) / sizeof(own_tools[0]); i++)
		if (mg_is(type, own_tools[i].type)) {
			struct mg_view given = h->get(tool, own_tools[i].type);

			h->open(w, NULL, '{');
			h->put_raw(w, own_tools[i].name, h->kind(given) == MG_OBJECT ? h->raw(given) : MG_STR("{}"));
			h->close(w);
			return MG_OK;
		}
	return h->fail(c, MG_EINVAL, "tools[].type: not one that this upstream knows; use \"function\" or \"google_search\"");
}

static int put_function(struct mg_call *c, struct mg_writer *w, struct mg_view fn)
{
	const struct mg_host *h = c->host;
	struct mg_view schema = h->get(fn, "parameters");
	int rc = MG_OK;

	h->open(w, NULL, '{');
	h->put_raw(w, "name", h->raw(h->get(fn, "name")));
	h->put(w, "description", h->text(c, h->get(fn, "description")));
	if (!mg_quirk_is(c, "schema", "openapi"))
		h->put_raw(w, "parametersJsonSchema", h->kind(h->get(schema, "type")) ? h->raw(schema) : (struct mg_str){ NULL, 0 });
	else if (h->kind(h->at(h->get(schema, "properties"), 0)))	/* an object of nothing is refused */
		rc = put_schema(c, w, "parameters", schema);
	h->close(w);
	return rc;
}

static void put_tool_choice(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view choice = mg_asked(c, "tool_choice"), name = h->get(h->get(choice, "function"), "name");
	struct mg_str word = h->text(c, choice);

	if (h->kind(choice) <= MG_NULL)
		return;
	h->open(w, "toolConfig", '{');
	h->open(w, "functionCallingConfig", '{');
	h->put(w, "mode", name.doc || mg_is(word, "required") ? MG_STR("ANY") : mg_is(word, "none") ? MG_STR("NONE") : MG_STR("AUTO"));
	if (name.doc) {
		h->open(w, "allowedFunctionNames", '[');
		h->put_raw(w, NULL, h->raw(name));
		h->close(w);
	}
	h->close(w);
	h->close(w);
}

static int put_tools(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view first = h->at(mg_asked(c, "tools"), 0), v;
	bool functions = false;
	int rc = MG_OK;

	if (!h->kind(first))
		return MG_OK;
	h->open(w, "tools", '[');
	for (v = first; h->kind(v) && !rc; v = h->next(v)) {
		if (mg_is(h->text(c, h->get(v, "type")), "function"))
			functions = true;
		else
			rc = put_own_tool(c, w, v);
	}
	if (functions && !rc) {
		h->open(w, NULL, '{');
		h->open(w, "functionDeclarations", '[');
		for (v = first; h->kind(v) && !rc; v = h->next(v))
			if (mg_is(h->text(c, h->get(v, "type")), "function"))
				rc = put_function(c, w, h->get(v, "function"));
		h->close(w);
		h->close(w);
	}
	h->close(w);
	if (functions && !rc)
		put_tool_choice(c, w);
	return rc;
}

/* -------------------------------------------------------------- thinking */

static uint64_t bound(struct mg_call *c, const char *quirk, uint64_t usual)
{
	c->host->count(mg_quirk(c, quirk), &usual);
	return usual;
}

/* The ratio of what may be written, within the model's bounds. */
static uint64_t budget_of(struct mg_call *c, const struct mg_reasoning *t, const struct family *f)
{
	uint64_t least = bound(c, "budget_min", f->pro ? 128 : 0), most = bound(c, "budget_max", f->pro || f->level ? 32768 : 24576);
	uint64_t limit = mg_max_tokens(c), room = limit, b = t->tokens;

	if (t->off)
		return least;
	if (!room && !c->host->count(c->host->get(c->host->endpoint(c), "max_output"), &room))
		room = 65536;
	if (!b)
		b = room / 100 * mg_efforts[mg_reasoning_rank(t, room)].percent;
	b = b > most ? most : b;
	if (limit && b >= limit)
		b = limit - 1;
	return b < least ? least : b;
}

/* The words of thinkingLevel: the row's, or what the models of the name are known to take. */
static struct mg_str level_of(struct mg_call *c, const struct mg_reasoning *t, const struct family *f)
{
	struct mg_view words = mg_quirk(c, "efforts");
	unsigned rank = t->off ? 1 : mg_reasoning_rank(t, mg_max_tokens(c));
	struct mg_str word;
	char *upper;

	if (!words.doc)
		words = c->host->parse(c, f->pro || f->minor >= 7 ? MG_STR("[\"low\",\"medium\",\"high\"]") :
			MG_STR("[\"minimal\",\"low\",\"medium\",\"high\"]"));
	word = mg_effort_near(c, words, rank ? rank : 1);
	upper = c->host->alloc(c, word.len + 1);
	for (size_t i = 0; upper && i < word.len; i++)
		upper[i] = (char)(word.at[i] >= 'a' && word.at[i] <= 'z' ? word.at[i] - 32 : word.at[i]);
	return (struct mg_str){ upper, upper ? word.len : 0 };
}

static void put_thinking(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_reasoning t = mg_reasoning(c);
	struct family f = family_of(c);
	bool shown = h->kind(mg_asked(c, "include_reasoning")) == MG_TRUE;	/* as it thinks by itself, but to be seen */

	if ((!t.asked && !t.off && !shown) || (!f.level && !f.budget))
		return;
	h->open(w, "thinkingConfig", '{');
	if (!t.off)
		h->put_raw(w, "includeThoughts", t.hidden ? MG_STR("false") : MG_STR("true"));
	if (f.level && !t.tokens && (t.asked || t.off))
		h->put(w, "thinkingLevel", level_of(c, &t, &f));
	else if (t.asked || t.off)
		h->put_int(w, "thinkingBudget", (int64_t)budget_of(c, &t, &f));
	h->close(w);
}

/* ------------------------------------------------------------- the rest */

static int put_stop(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view stop = mg_asked(c, "stop");

	if (h->kind(stop) == MG_ARRAY && h->kind(h->at(stop, STOPS_MAX)))
		return h->fail(c, MG_EINVAL, "stop: this upstream takes %d at most", STOPS_MAX);
	if (h->kind(stop) == MG_ARRAY)
		h->put_raw(w, "stopSequences", h->raw(stop));
	if (h->kind(stop) != MG_STRING)
		return MG_OK;
	h->open(w, "stopSequences", '[');
	h->put_raw(w, NULL, h->raw(stop));
	h->close(w);
	return MG_OK;
}

static int put_format(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view f = mg_asked(c, "response_format"), schema = h->get(h->get(f, "json_schema"), "schema");
	struct mg_str type = h->text(c, h->get(f, "type"));

	if (!f.doc || mg_is(type, "text") || !type.at)
		return MG_OK;
	if (!mg_is(type, "json_object") && !mg_is(type, "json_schema"))
		return h->fail(c, MG_EINVAL, "response_format.type: this upstream knows json_object and json_schema");
	h->put(w, "responseMimeType", MG_STR("application/json"));
	if (!mg_is(type, "json_schema") || !schema.doc)
		return MG_OK;
	if (mg_quirk_is(c, "schema", "openapi"))
		return put_schema(c, w, "responseSchema", schema);
	h->put_raw(w, "responseJsonSchema", h->raw(schema));
	return MG_OK;
}

/* What comes out: the client's words are lower case, the service's are not. */
static int put_modalities(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_view list = mg_asked(c, "modalities"), image = mg_asked(c, "image_config"), voice = h->get(mg_asked(c, "audio"), "voice");
	struct mg_str format = h->text(c, h->get(mg_asked(c, "audio"), "format"));
	bool audio = false;

	if (format.at && !mg_is(format, "pcm16") && !mg_is(format, "wav"))
		return h->fail(c, MG_EINVAL, "audio.format: this upstream makes pcm16 and wav");
	if (h->kind(list) == MG_ARRAY) {
		h->open(w, "responseModalities", '[');
		for (struct mg_view v = h->at(list, 0); h->kind(v); v = h->next(v)) {
			struct mg_str word = h->text(c, v);

			if (!mg_is(word, "text") && !mg_is(word, "image") && !mg_is(word, "audio"))
				return h->fail(c, MG_EINVAL, "modalities: this upstream makes text, image and audio");
			audio = audio || mg_is(word, "audio");
			h->put(w, NULL, mg_is(word, "text") ? MG_STR("TEXT") : mg_is(word, "image") ? MG_STR("IMAGE") : MG_STR("AUDIO"));
		}
		h->close(w);
	}
	if (h->kind(image) == MG_OBJECT) {
		h->open(w, "imageConfig", '{');
		h->put(w, "aspectRatio", h->text(c, h->get(image, "aspect_ratio")));
		h->put(w, "imageSize", h->text(c, h->get(image, "image_size")));
		h->close(w);
	}
	if (!audio || !voice.doc)
		return MG_OK;
	h->open(w, "speechConfig", '{');
	h->open(w, "voiceConfig", '{');
	h->open(w, "prebuiltVoiceConfig", '{');
	h->put(w, "voiceName", h->text(c, voice));
	h->close(w);
	h->close(w);
	h->close(w);
	return MG_OK;
}

static int put_generation(struct mg_call *c, struct mg_writer *w)
{
	static const struct { const char *ours, *theirs; } numbers[] = { { "temperature", "temperature" }, { "top_p", "topP" },
		{ "top_k", "topK" }, { "seed", "seed" }, { "frequency_penalty", "frequencyPenalty" }, { "presence_penalty", "presencePenalty" } };
	const struct mg_host *h = c->host;
	uint64_t limit = mg_max_tokens(c);
	int rc;

	h->open(w, "generationConfig", '{');
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct mg_view v = mg_asked(c, numbers[i].ours);

		if (h->kind(v) == MG_NUMBER && !(i == 2 && mg_is(h->text(c, v), "0")))	/* top_k 0: off */
			h->put_raw(w, numbers[i].theirs, h->raw(v));
	}
	if (limit)
		h->put_int(w, "maxOutputTokens", (int64_t)limit);
	if (h->kind(mg_asked(c, "logprobs")) == MG_TRUE) {
		h->put_raw(w, "responseLogprobs", MG_STR("true"));
		if (h->kind(mg_asked(c, "top_logprobs")) == MG_NUMBER)
			h->put_raw(w, "logprobs", h->raw(mg_asked(c, "top_logprobs")));
	}
	rc = put_stop(c, w);
	if (!rc)
		rc = put_format(c, w);
	if (!rc)
		rc = put_modalities(c, w);
	put_thinking(c, w);
	h->close(w);
	return rc;
}

/* Vertex counts by labels, whose values are small letters, digits, - and _; other users are not told. */
static void put_user_label(struct mg_call *c, struct mg_writer *w)
{
	const struct mg_host *h = c->host;
	struct mg_str user = h->text(c, mg_asked(c, "user")), name = h->text(c, mg_quirk(c, "user_label"));
	bool given = mg_asked(c, "labels").doc || h->get(h->get(h->endpoint(c), "options"), "labels").doc;

	for (size_t i = 0; i < user.len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", user.at[i]) || !user.at[i])
			return;
	if (!name.len || given || !user.len || user.len > 63)
		return;
	h->open(w, "labels", '{');
	h->put(w, mg_terminated(c, name), user);
	h->close(w);
}

/* Members of the service that a client or the row gives as they are; tiers. */
static int put_others(struct mg_call *c, struct mg_writer *w)
{
	static const char *const as_given[] = { "safetySettings", "cachedContent", "labels" };
	const struct mg_host *h = c->host;
	struct mg_str tier = h->text(c, mg_asked(c, "service_tier"));
	bool known = mg_is(tier, "flex") || mg_is(tier, "priority");

	for (size_t i = 0; i < sizeof(as_given) / sizeof(as_given[0]); i++) {
		struct mg_view own = mg_asked(c, as_given[i]), row = h->get(h->get(h->endpoint(c), "options"), as_given[i]);

		h->put_raw(w, as_given[i], h->raw(own.doc ? own : row));
	}
	put_user_label(c, w);
	if (mg_quirk_is(c, "tier", "header"))
		return known ? h->header(c, "X-Vertex-AI-LLM-Shared-Request-Type", tier) : MG_OK;
	if (known || mg_is(tier, "default"))
		h->put(w, "serviceTier", known ? tier : MG_STR("standard"));
	return MG_OK;
}

#endif
