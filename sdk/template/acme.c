/*
 * acme - turns in, one JSON object a line out.
 *
 *	POST /v1/acme	{"model":"m-1","max":90,"turns":[{"who":"user","say":"Hi"}]}
 *	200		{"say":"Hel"} {"say":"lo"} {"end":"full","read":3,"wrote":2}
 *	not 200		{"why":"resting","wait_ms":200}
 *
 * The "end" line closes every answer: one that has no MG_EV_FINISH was cut short.
 * State of your own between two lines is c->state, .state_size bytes of it.  Change this file into your dialect; what
 * may be called is in moongate.h, and each call says there what it gives back.
 */
#include "moongate.h"

static int turns(struct mg_call *c, struct mg_writer *w, struct mg_view turn)
{
	const struct mg_host *h = c->host;

	for (; h->kind(turn); turn = h->next(turn)) {
		struct mg_view say = h->get(turn, "content");

		if (h->kind(say) != MG_STRING)
			return h->fail(c, MG_EINVAL, "messages[].content: acme takes text only");
		h->open(w, NULL, '{');
		h->put(w, "who", h->text(c, h->get(turn, "role")));
		h->put_raw(w, "say", h->raw(say));	/* escapes and all, byte for byte */
		h->close(w);
	}
	return MG_OK;
}

static int request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_view ask = h->request(c);
	struct mg_str *body = h->alloc(c, sizeof(*body));
	struct mg_writer *w = h->writer(c);
	int rc;

	h->open(w, NULL, '{');
	h->put(w, "model", h->text(c, h->get(h->endpoint(c), "model")));
	h->put_raw(w, "max", h->raw(h->get(ask, "max_tokens")));	/* absent: not written */
	h->open(w, "turns", '[');
	rc = turns(c, w, h->at(h->get(ask, "messages"), 0));
	if (rc)
		return rc;
	h->close(w);
	h->close(w);
	if (!body || !(*body = h->written(w)).at)
		return h->fail(c, MG_ENOMEM, "no memory for the request");
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), MG_STR("/v1/acme"), body, 1 };
	return h->auth(c, MG_BEARER, NULL);
}

static int end(struct mg_call *c, struct mg_view line)
{
	const struct mg_host *h = c->host;
	struct mg_str word = h->text(c, h->get(line, "end"));
	struct mg_usage u = { .size = sizeof(u), .requests = 1, .cost_nusd = -1 };
	int rc;

	h->count(h->get(line, "read"), &u.input);
	h->count(h->get(line, "wrote"), &u.output);
	rc = h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &u));
	return rc ? rc : h->emit(c, MG_EVENT(MG_EV_FINISH, .name = word,
		.finish = mg_is(word, "full") ? MG_LENGTH : MG_STOP));
}

static int frame(struct mg_call *c, const struct mg_frame *f)
{
	struct mg_str say = c->host->text(c, c->host->get(f->json, "say"));

	if (say.at)
		return c->host->emit(c, MG_EVENT(MG_EV_TEXT, .data = say));
	if (!c->host->kind(c->host->get(f->json, "end")))
		return c->host->fail(c, MG_EPROTO, "a line with neither 'say' nor 'end'");
	return end(c, f->json);
}

/* What a policy is told: the kind, whether another try is worth it, and when.
 * What is not filled in here, the gateway takes from the status. */
static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	const struct mg_host *h = c->host;
	uint64_t wait_ms = 0;

	h->count(h->get(body->json, "wait_ms"), &wait_ms);
	out->retry_after_ms = wait_ms < UINT32_MAX ? (uint32_t)wait_ms : UINT32_MAX;
	out->message = h->text(c, h->get(body->json, "why"));
	return MG_OK;
}

static const struct mg_operation chat = {
	.size = sizeof(chat), .op = MG_CHAT, .plain = MG_NDJSON, .stream = MG_NDJSON,
	.request = request, .frame = frame,
};
static const struct mg_operation *const ops[] = { &chat, NULL };
static const struct mg_provider provider = { .size = sizeof(provider), .ops = ops, .failure = failure };

MG_PLUGIN(.name = "acme", .version = "0.1.0", .about = "turns in, lines out", .provider = &provider)
