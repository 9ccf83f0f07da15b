/*
 * sim - a provider that needs no upstream.
 *
 * It reads the canonical request, computes its answer, and writes it as a script
 * that the gateway's loopback plays (base URL "sim:"): one JSON object a line,
 *
 *	{"after_ms":20,"event":{"kind":"text","data":" word"}}
 *	{"status":429,"headers":{"retry-after":"2"},"body":{"error":{...}}}
 *	{"cut":true}  {"hang":true}  {"refuse":true}  {"raw":"not JSON"}
 *
 * The events come back as frames, like any upstream's.  The same request gets the
 * same answer.  The endpoint's options:
 *
 *	ttft_ms, chunk_ms, tokens_per_s		the pace
 *	answer, words				a fixed text; the length of what it says unasked
 *	fault = { kind = "cut_after", every = 3 }	or share = "0.1", retry_after_s = 2:
 *		a status ("429"), malformed, cut_before, cut_after, hang, hang_after,
 *		malformed_after, refuse, empty, short
 *
 * What is it good for: see sim/prose.h (what it can say), sim/tools.h (what it
 * calls), sim/schema.h (JSON), sim/reason.h, sim/png.h, sim/rank.h.
 */
#include "sim/prose.h"
#include "sim/rank.h"
#include "sim/reason.h"
#include "sim/tools.h"

enum { TOKENS_MAX = 200000, TOP_MAX = 20 };

/* ------------------------------------------------ JSON mode */

/* The keys that the message names: "with 'setup' and 'punchline' keys". */
static void keyed(const struct ask *a, struct text *out)
{
	struct draw d = { .a = a, .from = a->last };
	struct mg_str left = a->last, q, found = behind(a->last, "keys|fields|properties|key|field");
	size_t n = 0;

	say(out, "{");
	while (has(a->last, "key|keys|field|fields|properties") && (q = quoted(&left)).len && n < 32) {
		struct text text = { .c = a->c };

		say(out, n++ ? "," : "");
		quote(out, q);
		say(out, ":");
		if (has(spoken(&d, q), "age|count|number|year|price|total|amount|quantity|population")) {
			put_number(&d, (struct mg_view){ 0 }, q, true, out);
			continue;
		}
		put(&text, q);
		say(&text, " about ");
		put(&text, topic(a));
		quote(out, whole(&text));
	}
	for (found = trim(found, ": "); !n && found.len && n < 32;) {	/* keys: name, age */
		struct mg_str key = word(&found);

		if (!key.len || has(key, "and"))
			break;
		quote(out, key);
		say(out, ":");
		d.target = (struct mg_str){ 0 };
		put_string(&d, (struct mg_view){ 0 }, key, out);
		n++;
	}
	if (!n) {
		say(out, "\"answer\":");
		quote(out, answer(a));
	}
	say(out, "}");
}

/* The answer as JSON, where the format asks for it; else absent. */
static struct mg_str structured(const struct ask *a)
{
	struct mg_view format = member(a, a->body, "response_format");
	struct mg_view schema = member(a, member(a, format, "json_schema"), "schema");
	struct mg_str type = text_of(a, format, "type");
	struct text out = { .c = a->c }, from = { .c = a->c };
	struct draw d = { .a = a, .root = schema, .all = true };

	put(&from, a->last);
	for (size_t i = 0; i < a->n_results; i++) {
		say(&from, "\n");
		put(&from, a->results[i].text);
	}
	d.from = whole(&from);
	if (mg_is(type, "json_schema") && a->c->host->kind(schema) == MG_OBJECT)
		value(&d, schema, MG_STR(""), 0, &out);
	else if (mg_is(type, "json_object") || mg_is(type, "json_schema"))
		keyed(a, &out);
	return out.len ? whole(&out) : (struct mg_str){ 0 };
}

/* ------------------------------------------------ the parts of an answer */

static void logprob(struct script *s, struct mg_str token, unsigned n)
{
	say(&s->out, "{\"token\":");
	quote(&s->out, token);
	print(&s->out, ",\"logprob\":-0.%02u%u,\"bytes\":[", 1 + 9 * n, n % 10);
	for (size_t i = 0; i < token.len; i++)
		print(&s->out, "%s%u", i ? "," : "", (unsigned char)token.at[i]);
	say(&s->out, "]");
}

static void logprobs(struct script *s, struct mg_str token, uint64_t top)
{
	line(s, "logprobs", 0);
	say(&s->out, ",\"extra\":{\"content\":[");
	logprob(s, token, 0);
	say(&s->out, ",\"top_logprobs\":[");
	for (unsigned i = 0; i < top && i < TOP_MAX; i++) {
		struct text other = { .c = s->c };

		put(&other, token);
		if (i)
			print(&other, "%u", i);
		say(&s->out, i ? "," : "");
		logprob(s, whole(&other), i % 10);
		say(&s->out, "}");
	}
	say(&s->out, "]}],\"refusal\":null}");
	line_end(s);
}

static void speak(struct script *s, const struct ask *a, struct mg_str text)
{
	bool odds = is_true(a, a->body, "logprobs");
	uint64_t top = 0;

	a->c->host->count(member(a, a->body, "top_logprobs"), &top);
	while (text.len) {
		struct mg_str p = piece(&text, 0);

		line(s, "text", tokens(p.len));
		with(s, "data", p);
		line_end(s);
		if (odds)
			logprobs(s, p, top);
		s->first_end = s->first_end ? s->first_end : s->out.len;
	}
}

static void call(struct script *s, const struct ask *a, const struct planned *p, uint32_t index)
{
	struct mg_str left = p->arguments;
	char id[32];

	snprintf(id, sizeof(id), "call_%016llx%02x", (unsigned long long)hash(a->seed, p->arguments), index);
	line(s, "tool_begin", tokens(p->name.len));
	with_count(s, "index", index);
	with(s, "id", TEXT(id));
	with(s, "name", p->name);
	line_end(s);
	while (left.len) {
		struct mg_str bit = piece(&left, 12);

		line(s, "tool_args", tokens(bit.len));
		with_count(s, "index", index);
		with(s, "data", bit);
		line_end(s);
		s->first_end = s->first_end ? s->first_end : s->out.len;
	}
	line(s, "tool_end", 0);
	with_count(s, "index", index);
	line_end(s);
}

static void base64(struct text *out, struct mg_str s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.len; i += 3) {
		unsigned v = (unsigned char)s.at[i] << 16;
		char four[4];

		v |= i + 1 < s.len ? (unsigned)(unsigned char)s.at[i + 1] << 8 : 0;
		v |= i + 2 < s.len ? (unsigned char)s.at[i + 2] : 0;
		for (int k = 0; k < 4; k++)
			four[k] = i + (size_t)k > s.len ? '=' : digits[v >> (18 - 6 * k) & 63];
		put(out, (struct mg_str){ four, 4 });
	}
}

/* A square of the colour that the message names, else red. */
static int paint(struct script *s, struct mg_str wish)
{
	static const struct { const char *names; unsigned char rgb[3]; } known[] = {
		{ "blue|sky|sea|ocean|water", { 0, 0, 255 } }, { "green|tree|forest|grass", { 0, 160, 0 } }, { "yellow|sun|banana", { 255, 255, 0 } },
		{ "black|night", { 0, 0, 0 } }, { "white|snow", { 255, 255, 255 } }, { "orange", { 255, 165, 0 } }, { "purple|violet", { 128, 0, 128 } },
		{ "red|heart|apple", { 255, 0, 0 } } };
	const unsigned char *rgb = known[COUNT(known) - 1].rgb;
	struct text data = { .c = s->c };
	struct mg_str png;

	for (size_t i = 0; i < COUNT(known); i++)
		if (has(wish, known[i].names)) {
			rgb = known[i].rgb;
			break;
		}
	png = png_make(s->c, 32, rgb);
	if (!png.at)
		return s->c->host->fail(s->c, MG_ENOMEM, "no memory for the image");
	base64(&data, png);
	line(s, "image", 64);
	with(s, "name", MG_STR("image/png"));
	with(s, "data", whole(&data));
	line_end(s);
	s->first_end = s->first_end ? s->first_end : s->out.len;
	return MG_OK;
}

/* ------------------------------------------------ the whole of it */

static bool asks_for(const struct ask *a, const char *modality)
{
	const struct mg_host *h = a->c->host;

	for (struct mg_view v = h->at(h->get(a->body, "modalities"), 0); h->kind(v); v = h->next(v))
		if (mg_is(h->text(a->c, v), modality))
			return true;
	return false;
}

/* Up to the first of the stop sequences. */
static struct mg_str stopped(const struct ask *a, struct mg_str text)
{
	const struct mg_host *h = a->c->host;
	struct mg_view v = h->get(a->body, "stop");

	for (v = h->kind(v) == MG_ARRAY ? h->at(v, 0) : v; h->kind(v); v = h->next(v)) {
		struct mg_str stop = h->text(a->c, v);
		const char *at = stop.len ? memmem(text.at, text.len, stop.at, stop.len) : NULL;

		if (at)
			text.len = (size_t)(at - text.at);
		if (h->kind(h->get(a->body, "stop")) != MG_ARRAY)
			break;
	}
	return text;
}

static void close_line(struct script *s, const struct ask *a, uint64_t output, uint64_t reasoned, uint64_t images, const char *finish)
{
	line(s, "usage", 0);
	with_count(s, "input", a->input);
	with_count(s, "image_tokens", a->image_tokens);
	with_count(s, "output", output);
	with_count(s, "reasoning", reasoned);
	with_count(s, "images_out", images);
	with_count(s, "requests", 1);
	line_end(s);
	line(s, "finish", 0);
	with(s, "finish", TEXT(finish));
	with(s, "name", TEXT(finish));
	line_end(s);
}

static int compose(struct script *s, const struct ask *a)
{
	struct mg_reasoning want = mg_reasoning(a->c);
	uint64_t limit = mg_max_tokens(a->c), room = limit ? limit : TOKENS_MAX, output = 0;
	struct mg_str think = thoughts(a, &want, room / 2), text = { 0 }, all;
	bool image = asks_for(a, "image"), shortened = false;
	struct plan p = plan(a);
	int rc = MG_OK;

	if (p.unknown) {
		refuse_line(s, 400, "tool_choice names a tool that is not among the tools", 0);
		return MG_OK;
	}
	start_line(s, a->seed);
	if (think.len && !want.hidden)
		reason(s, think);
	room -= tokens(think.len) < room ? tokens(think.len) : room;
	if (!p.n && (!image || asks_for(a, "text"))) {
		text = structured(a);
		all = stopped(a, text.at ? text : image ? MG_STR("Here is the image.") : answer(a));
		text = cut(all, 4 * room);
		shortened = text.len < all.len;
		output = tokens(text.len);
		speak(s, a, text);
	}
	for (size_t i = 0; i < p.n; i++) {
		call(s, a, &p.calls[i], (uint32_t)i);
		output += tokens(p.calls[i].name.len) + tokens(p.calls[i].arguments.len);
	}
	if (image && !p.n)
		rc = paint(s, a->last);
	close_line(s, a, output, tokens(think.len), image && !p.n, p.n ? "tool_calls" : shortened ? "length" : "stop");
	return rc;
}

static int chat_request(struct mg_call *c, struct mg_http *out)
{
	struct script s = script_new(c);
	struct ask a;
	int rc = ask_read(&a, c);
	long wrong;

	if (rc)
		return rc;
	wrong = forged(&a);
	if (wrong >= 0) {
		char why[96];

		snprintf(why, sizeof(why), "messages[%ld].reasoning_details: the signature does not belong to this text", wrong);
		refuse_line(&s, 400, why, 0);
		return script_send(&s, out);
	}
	rc = compose(&s, &a);
	if (!rc)
		rc = strike(&s, a.seed);
	return rc ? rc : script_send(&s, out);
}

static int image_request(struct mg_call *c, struct mg_http *out)
{
	struct script s = script_new(c);
	struct ask a = { .c = c, .body = c->host->request(c) };
	uint64_t n = 1;
	int rc = MG_OK;

	a.last = text_of(&a, a.body, "prompt");
	if (!a.last.at)
		return c->host->fail(c, MG_EINVAL, "prompt: missing");
	c->host->count(member(&a, a.body, "n"), &n);
	a.seed = hash(13, a.last);
	a.input = tokens(a.last.len);
	start_line(&s, a.seed);
	for (uint64_t i = 0; i < n && i < 10 && !rc; i++)
		rc = paint(&s, a.last);
	close_line(&s, &a, 0, 0, n < 10 ? n : 10, "stop");
	if (!rc)
		rc = strike(&s, a.seed);
	return rc ? rc : script_send(&s, out);
}

/* ------------------------------------------------ back as events */

static const struct { const char *word; enum mg_event_kind kind; } kinds[] = {
	{ "text", MG_EV_TEXT }, { "reasoning", MG_EV_REASONING }, { "tool_args", MG_EV_TOOL_ARGS }, { "tool_begin", MG_EV_TOOL_BEGIN },
	{ "tool_end", MG_EV_TOOL_END }, { "logprobs", MG_EV_LOGPROBS }, { "image", MG_EV_IMAGE }, { "start", MG_EV_START },
	{ "usage", MG_EV_USAGE }, { "finish", MG_EV_FINISH }, { "vector", MG_EV_VECTOR }, { "score", MG_EV_SCORE }, { "model", MG_EV_MODEL } };

static int emit_usage(struct mg_call *c, struct mg_view e)
{
	const struct mg_host *h = c->host;
	struct mg_usage u = { .size = sizeof(u), .cost_nusd = -1 };

	h->count(h->get(e, "input"), &u.input);
	h->count(h->get(e, "image_tokens"), &u.image_tokens);
	h->count(h->get(e, "output"), &u.output);
	h->count(h->get(e, "reasoning"), &u.reasoning);
	h->count(h->get(e, "images_out"), &u.images_out);
	h->count(h->get(e, "searches"), &u.searches);
	h->count(h->get(e, "requests"), &u.requests);
	return h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &u));
}

static int emit_finish(struct mg_call *c, struct mg_view e)
{
	struct sim *st = c->state;
	struct mg_str word = c->host->text(c, c->host->get(e, "finish"));

	st->ended = true;
	return c->host->emit(c, MG_EVENT(MG_EV_FINISH, .name = c->host->text(c, c->host->get(e, "name")),
		.finish = mg_is(word, "length") ? MG_LENGTH : mg_is(word, "tool_calls") ? MG_TOOL_CALLS : MG_STOP));
}

static int frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_view e = h->get(f->json, "event"), data = h->get(e, "data");
	struct mg_str word = h->text(c, h->get(e, "kind"));
	uint64_t index = 0;
	size_t i = 0;

	while (i < COUNT(kinds) && !mg_is(word, kinds[i].word))
		i++;
	if (i == COUNT(kinds))
		return h->fail(c, MG_EPROTO, "a line that is no event");
	if (kinds[i].kind == MG_EV_USAGE)
		return emit_usage(c, e);
	if (kinds[i].kind == MG_EV_FINISH)
		return emit_finish(c, e);
	h->count(h->get(e, "index"), &index);
	return h->emit(c, MG_EVENT(kinds[i].kind, .index = (uint32_t)index, .id = h->text(c, h->get(e, "id")),
		.name = h->text(c, h->get(e, "name")), .extra = h->raw(h->get(e, "extra")),
		.data = kinds[i].kind == MG_EV_IMAGE ? h->blob(c, data) : h->text(c, data)));
}

static int finish(struct mg_call *c)
{
	const struct sim *st = c->state;

	return st->ended ? MG_OK : c->host->fail(c, MG_EPROTO, "answer cut short");
}

static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	static const struct { int status; enum mg_error kind; bool retryable; } known[] = {
		{ 400, MG_E_BAD_REQUEST, false }, { 401, MG_E_AUTH, true }, { 402, MG_E_QUOTA, true }, { 403, MG_E_AUTH, true },
		{ 404, MG_E_NOT_FOUND, true }, { 408, MG_E_TIMEOUT, true }, { 413, MG_E_CONTEXT_LENGTH, true }, { 422, MG_E_BAD_REQUEST, false },
		{ 429, MG_E_RATE_LIMITED, true }, { 503, MG_E_OVERLOADED, true }, { 504, MG_E_TIMEOUT, true },
		{ 529, MG_E_OVERLOADED, true } };
	const struct mg_host *h = c->host;
	struct mg_view error = h->get(body->json, "error");
	struct mg_str wait = h->answer(c, "retry-after");
	int status = h->status(c);
	long s;

	out->kind = status >= 500 ? MG_E_SERVER : MG_E_UPSTREAM;
	out->retryable = status >= 500 || status < 300;
	out->code = h->text(c, h->get(error, "type"));
	out->message = h->text(c, h->get(error, "message"));
	if (wait.at && number_here(wait, &s) && s > 0)
		out->retry_after_ms = s < 3600 ? (uint32_t)s * 1000 : 3600000;
	for (size_t i = 0; i < COUNT(known); i++)
		if (known[i].status == status) {
			out->kind = known[i].kind;
			out->retryable = known[i].retryable;
		}
	return MG_OK;
}

#define OPERATION(which, how) { .size = sizeof(struct mg_operation), .state_size = sizeof(struct sim), .op = (which), \
	.plain = MG_NDJSON, .stream = MG_NDJSON, .request = (how), .frame = frame, .finish = finish }

static const struct mg_operation
	chat = OPERATION(MG_CHAT, chat_request), embeddings = OPERATION(MG_EMBEDDINGS, embeddings_request),
	rerank = OPERATION(MG_RERANK, rerank_request), image = OPERATION(MG_IMAGE, image_request),
	models = OPERATION(MG_MODELS, models_request);
static const struct mg_operation *const ops[] = { &chat, &embeddings, &rerank, &image, &models, NULL };
static const struct mg_provider sim = { .size = sizeof(sim), .ops = ops, .failure = failure };

MG_PLUGIN(.name = "sim", .version = "1.0.0", .about = "answers without an upstream, for tests and first steps", .provider = &sim)
