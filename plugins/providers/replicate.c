/*
 * replicate - models of all kinds behind one form: input goes in, a prediction comes out.
 *
 *	inputs		what a model calls its inputs, over the usual names: {"max_tokens": "max_new_tokens"}; false: it has none.
 *			Chat: prompt, system, which is system_prompt, max_tokens, temperature, top_p, top_k, seed, stop
 *			(stop_sequences), image, images (a list, where one is not enough).  Images: prompt, n (num_outputs),
 *			size (width and height), image, and every other member of the request by its own name
 *	input		inputs that are always given: {"prompt_template": "{prompt}"}
 *	template	how several turns become one prompt: "plain" (User: ..), "llama3", "chatml", with the system's
 *			words in it
 *	wait		seconds that the first answer may take before we ask again; 60, 0: it does not wait
 *	hosts		where streams come from, ".replicate.com": any name below it.  Elsewhere we ask again and again
 *
 * A model "owner/name" runs as its newest version, "owner/name:version" as that one.  What a
 * prediction has put out so far comes with each answer, so a stream loses nothing without urls.stream.
 */
#include "replicate_request.h"

enum { POLL_MS = 250, POLL_MOST_MS = 2000 };

struct job { bool started, ended, told; size_t said; uint32_t polls; uint64_t images; struct mg_str id; };

/* ------------------------------------------------ once more */

/* May a stream be read there?  The gateway checks the same list. */
static bool may_read(struct mg_call *c, struct mg_str url)
{
	const struct mg_host *h = c->host;
	struct mg_view hosts = mg_quirk(c, "hosts");
	bool secure = url.len > 8 && !memcmp(url.at, "https://", 8);
	const char *at = url.at + (secure ? 8 : 7), *end;

	if (!secure && (url.len < 8 || memcmp(url.at, "http://", 7) != 0))
		return false;
	for (end = at; end < url.at + url.len && !strchr("/?#@", *end);)
		end++;
	if (end == url.at + url.len || *end != '/')
		return false;
	for (struct mg_view v = h->at(hosts, 0); h->kind(hosts) == MG_ARRAY && h->kind(v); v = h->next(v)) {
		struct mg_str s = h->text(c, v);
		size_t len = (size_t)(end - at);

		if (s.len && (s.at[0] == '.' ? len > s.len : len == s.len) && !memcmp(end - s.len, s.at, s.len))
			return true;
	}
	return false;
}

static int ask_again(struct mg_call *c, uint32_t after_ms)
{
	struct job *j = c->state;
	char *path = c->host->alloc(c, 256);

	if (!path)
		return c->host->fail(c, MG_ENOMEM, "no memory to ask again");
	return c->host->follow(c, &(struct mg_http){ .size = sizeof(struct mg_http), .method = MG_STR("GET"),
		.path = { path, (size_t)snprintf(path, 256, "/predictions/%.*s", (int)j->id.len, j->id.at) } }, after_ms);
}

static int wait_more(struct mg_call *c, struct mg_view p)
{
	const struct mg_host *h = c->host;
	struct job *j = c->state;
	struct mg_str url = h->text(c, h->get(h->get(p, "urls"), "stream"));
	uint32_t after_ms = POLL_MS << (j->polls < 3 ? j->polls : 3);

	if (h->kind(mg_asked(c, "stream")) == MG_TRUE && url.at && !j->said && may_read(c, url))
		return h->follow(c, &(struct mg_http){ .size = sizeof(struct mg_http), .method = MG_STR("GET"), .path = url }, 0);
	j->polls++;
	return ask_again(c, after_ms < POLL_MOST_MS ? after_ms : POLL_MOST_MS);
}

/* ------------------------------------------------ what comes out */

static int broke(struct mg_call *c, struct mg_str why)
{
	struct mg_failure f = { .size = sizeof(f), .kind = MG_E_SERVER, .retryable = true, .message = why.at ? why : MG_STR("the prediction failed") };

	if (why.at && (memmem(why.at, why.len, "NSFW", 4) || memmem(why.at, why.len, "flagged", 7))) {
		f.kind = MG_E_MODERATION;
		f.retryable = false;
	}
	((struct job *)c->state)->ended = true;
	return c->host->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &f));
}

/* What was not said yet: items of a list, or the rest of a text. */
static int say_more(struct mg_call *c, struct mg_view out)
{
	const struct mg_host *h = c->host;
	struct job *j = c->state;
	struct mg_str s;
	size_t i = 0;
	int rc = MG_OK;

	if (h->kind(out) == MG_STRING) {
		s = h->text(c, out);
		s = (struct mg_str){ s.at + (j->said < s.len ? j->said : s.len), j->said < s.len ? s.len - j->said : 0 };
		j->said += s.len;
		return s.len ? h->emit(c, MG_EVENT(MG_EV_TEXT, .data = s)) : MG_OK;
	}
	for (struct mg_view v = h->at(out, 0); h->kind(out) == MG_ARRAY && h->kind(v) && !rc; v = h->next(v), i++) {
		s = h->text(c, v);
		if (i < j->said)
			continue;
		j->said++;
		if (s.len)
			rc = h->emit(c, MG_EVENT(MG_EV_TEXT, .data = s));
	}
	return rc;
}

static int show(struct mg_call *c, struct mg_view v)
{
	const struct mg_host *h = c->host;
	struct job *j = c->state;
	struct mg_str url = h->text(c, v), type, data;
	struct mg_writer *w = h->writer(c);

	if (!url.len)
		return MG_OK;
	if (mg_data_url(url, &type, &data))
		return h->emit(c, MG_EVENT(MG_EV_IMAGE, .index = (uint32_t)j->images++, .name = type, .data = h->blob(c, v)));
	h->open(w, NULL, '{');
	h->put(w, "url", url);
	h->close(w);
	return h->emit(c, MG_EVENT(MG_EV_IMAGE, .index = (uint32_t)j->images++, .extra = h->written(w)));
}

static int show_all(struct mg_call *c, struct mg_view out)
{
	const struct mg_host *h = c->host;
	int rc = MG_OK;

	if (h->kind(out) == MG_STRING)
		return show(c, out);
	for (struct mg_view v = h->at(out, 0); h->kind(out) == MG_ARRAY && h->kind(v) && !rc; v = h->next(v))
		rc = show(c, v);
	return rc;
}

static int conclude(struct mg_call *c, struct mg_view p, bool image)
{
	const struct mg_host *h = c->host;
	struct job *j = c->state;
	struct mg_usage m = { .size = sizeof(m), .requests = 1, .images_out = j->images, .cost_nusd = -1 };
	bool counted = h->count(h->get(h->get(p, "metrics"), "input_token_count"), &m.input);
	int rc = MG_OK;

	counted |= h->count(h->get(h->get(p, "metrics"), "output_token_count"), &m.output);
	if (counted || image)
		rc = h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &m));
	j->ended = true;
	return rc || image ? rc : h->emit(c, MG_EVENT(MG_EV_FINISH, .finish = MG_STOP, .name = MG_STR("succeeded")));
}

static int prediction(struct mg_call *c, struct mg_view p, bool image)
{
	const struct mg_host *h = c->host;
	struct job *j = c->state;
	struct mg_str status = h->text(c, h->get(p, "status")), id = h->text(c, h->get(p, "id"));
	bool done = mg_is(status, "succeeded");
	int rc = MG_OK;

	if (!plain_name(id, "-") || !status.at)
		return h->fail(c, MG_EPROTO, "an answer that is no prediction");
	if (!j->started) {
		j->started = true;
		j->id = (struct mg_str){ mg_terminated(c, id), id.len };
		rc = h->emit(c, MG_EVENT(MG_EV_START, .id = id, .name = h->text(c, h->get(p, "model"))));
	}
	if (mg_is(status, "failed") || mg_is(status, "canceled") || mg_is(status, "aborted"))
		return rc ? rc : broke(c, h->text(c, h->get(p, "error")));
	if (!rc && !j->told && !image && (done || h->kind(mg_asked(c, "stream")) == MG_TRUE))
		rc = say_more(c, h->get(p, "output"));
	if (!rc && image && done)
		rc = show_all(c, h->get(p, "output"));
	return rc ? rc : done ? conclude(c, p, image) : wait_more(c, p);
}

/* A stream's events; what was counted stands in the prediction, which is asked for behind them. */
static int piece(struct mg_call *c, const struct mg_frame *f)
{
	struct job *j = c->state;
	struct mg_str why = c->host->text(c, c->host->get(f->json, "reason"));

	if (mg_is(f->event, "output")) {
		j->told = true;
		return f->data.len ? c->host->emit(c, MG_EVENT(MG_EV_TEXT, .data = f->data)) : MG_OK;
	}
	if (mg_is(f->event, "error"))
		return broke(c, c->host->text(c, c->host->get(f->json, "detail")).at ? c->host->text(c, c->host->get(f->json, "detail")) : f->data);
	if (!mg_is(f->event, "done"))
		return MG_OK;
	if (why.at)
		return broke(c, why);
	j->told = true;
	return j->id.len ? ask_again(c, 0) : conclude(c, (struct mg_view){ NULL, 0 }, false);
}

static int chat_frame(struct mg_call *c, const struct mg_frame *f)
{
	if (((struct job *)c->state)->ended)
		return MG_OK;
	return f->framing == MG_SSE ? piece(c, f) : prediction(c, f->json, false);
}

static int image_frame(struct mg_call *c, const struct mg_frame *f)
{
	return prediction(c, f->json, true);
}

static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	static const struct { int status; enum mg_error kind; bool retryable; } rows[] = {
		{ 400, MG_E_BAD_REQUEST, false }, { 401, MG_E_AUTH, true }, { 402, MG_E_QUOTA, true }, { 403, MG_E_AUTH, true },
		{ 404, MG_E_NOT_FOUND, true }, { 422, MG_E_BAD_REQUEST, false }, { 429, MG_E_RATE_LIMITED, true }, { 503, MG_E_OVERLOADED, true } };
	const struct mg_host *h = c->host;
	uint64_t seconds = 0;

	out->message = h->text(c, h->get(body->json, "detail"));
	out->code = h->text(c, h->get(body->json, "title"));
	out->kind = h->status(c) >= 500 ? MG_E_SERVER : MG_E_UPSTREAM;
	out->retryable = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == h->status(c)) {
			out->kind = rows[i].kind;
			out->retryable = rows[i].retryable;
		}
	if (h->count(h->get(body->json, "retry_after"), &seconds) && seconds < 86400)
		out->retry_after_ms = (uint32_t)(1000 * seconds);
	return MG_OK;
}

static const struct mg_operation chat = { .size = sizeof(chat), .state_size = sizeof(struct job), .op = MG_CHAT, .plain = MG_JSON,
	.stream = MG_SSE, .request = chat_request, .frame = chat_frame };
static const struct mg_operation image = { .size = sizeof(image), .state_size = sizeof(struct job), .op = MG_IMAGE, .plain = MG_JSON,
	.stream = MG_JSON, .request = image_request, .frame = image_frame };
static const struct mg_operation *const ops[] = { &chat, &image, NULL };
static const struct mg_provider replicate = { .size = sizeof(replicate), .ops = ops, .failure = failure };

MG_PLUGIN(.name = "replicate", .version = "1.0.0", .about = "Replicate: chat and images as predictions", .provider = &replicate)
