/*
 * faulty.c - a provider plugin that does what none may: the word in the endpoint's
 * "model" says which fault it has.  For faulty.test.js, which builds it.
 */
#include "moongate.h"

#include <stdlib.h>
#include <unistd.h>

static const struct mg_str hole = { NULL, 5 }, latin = { "caf\xe9", 4 };

static bool has(struct mg_call *c, const char *fault)
{
	return mg_is(c->host->text(c, c->host->get(c->host->endpoint(c), "model")), fault);
}

static int request(struct mg_call *c, struct mg_http *out)
{
	const struct mg_host *h = c->host;
	struct mg_str *body = h->alloc(c, sizeof(*body));

	if (!body)
		return MG_ENOMEM;
	*body = MG_STR("{}");
	*out = (struct mg_http){ sizeof(*out), MG_STR("POST"), MG_STR("/faulty"), body, 1 };
	if (has(c, "request-code"))
		return 7;
	if (has(c, "request-mute"))
		return MG_EDENIED;
	if (has(c, "request-words"))
		return h->fail(c, MG_EINVAL, "caf\xe9 \x1b[31m %0900d", 7);
	if (has(c, "request-nothing"))
		*out = (struct mg_http){ .size = sizeof(*out) };
	if (has(c, "request-hole"))
		*body = hole;
	if (has(c, "request-elsewhere"))
		out->path = MG_STR("https://elsewhere.example/faulty");
	if (has(c, "request-split"))
		out->path = MG_STR("/faulty HTTP/1.1\r\nX-Planted: yes\r\n");
	if (has(c, "request-header"))
		return h->header(c, "X-Planted", MG_STR("a\r\nb: c"));
	if (has(c, "request-host"))
		return h->header(c, "Host", MG_STR("elsewhere.example"));
	if (has(c, "request-early"))
		return h->emit(c, MG_EVENT(MG_EV_TEXT, .data = MG_STR("too early")));
	if (has(c, "request-crash"))
		abort();
	if (has(c, "request-block"))
		for (;;)
			pause();
	return h->auth(c, MG_BEARER, NULL);
}

static int text(struct mg_call *c, const char *word)
{
	return c->host->emit(c, MG_EVENT(MG_EV_TEXT, .data = { word, strlen(word) }));
}

static int end(struct mg_call *c)
{
	struct mg_usage u = { .size = sizeof(u), .requests = 1, .input = 3, .output = 2, .cost_nusd = -1 };
	int rc = c->host->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &u));

	return rc ? rc : c->host->emit(c, MG_EVENT(MG_EV_FINISH, .finish = MG_STOP));
}

static int flood(struct mg_call *c)
{
	static char part[65536];
	int rc = MG_OK;

	memset(part, 'x', sizeof(part));
	for (int i = 0; !rc && i < 4096; i++)
		rc = c->host->emit(c, MG_EVENT(MG_EV_TEXT, .data = { part, sizeof(part) }));
	return rc ? rc : end(c);
}

/* The codes of emit() are not looked at: that, too, is a fault. */
static int many(struct mg_call *c, enum mg_event_kind kind, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		c->host->emit(c, MG_EVENT(kind, .index = i, .id = MG_STR("t"), .name = MG_STR("f"), .extra = { "{}", 2 }));
	return end(c);
}

static int greedy(struct mg_call *c)
{
	while (c->host->alloc(c, 1 << 20))
		;
	return text(c, "all is taken");
}

static int endless(struct mg_call *c)
{
	struct mg_http next = { sizeof(next), MG_STR("GET"), MG_STR("/faulty"), NULL, 0 };

	return c->host->follow(c, &next, 0);
}

static int frame(struct mg_call *c, const struct mg_frame *f)
{
	const struct mg_host *h = c->host;
	struct mg_usage most = { .size = sizeof(most), .input = UINT64_MAX, .cached = UINT64_MAX, .output = UINT64_MAX, .reasoning = UINT64_MAX,
		.images_out = UINT64_MAX, .searches = UINT64_MAX, .requests = UINT64_MAX, .characters = UINT64_MAX, .seconds = UINT64_MAX, .cost_nusd = INT64_MIN };
	struct mg_failure odd = { .size = sizeof(odd), .kind = (enum mg_error)99, .retryable = true, .retry_after_ms = UINT32_MAX, .code = latin, .message = latin };
	struct mg_event none = { .size = 4, .kind = MG_EV_TEXT };
	int rc = MG_OK;

	if (has(c, "late-code") || has(c, "late-latin") || has(c, "late-error"))
		rc = text(c, "so far");
	if (has(c, "frame-code") || has(c, "late-code"))
		return -77;
	if (has(c, "frame-latin") || has(c, "late-latin"))
		return h->emit(c, MG_EVENT(MG_EV_TEXT, .data = latin));
	if (has(c, "frame-hole"))
		return h->emit(c, MG_EVENT(MG_EV_TEXT, .data = hole));
	if (has(c, "frame-name"))
		return h->emit(c, MG_EVENT(MG_EV_START, .id = latin, .name = latin));
	if (has(c, "frame-extra"))
		return h->emit(c, MG_EVENT(MG_EV_ANNOTATION, .extra = MG_STR("}{")));
	if (has(c, "frame-kind"))
		return h->emit(c, MG_EVENT((enum mg_event_kind)999, .data = MG_STR("x")));
	if (has(c, "frame-size"))
		return h->emit(c, &none);
	if (has(c, "frame-usage"))
		return h->emit(c, MG_EVENT(MG_EV_USAGE, .index = 0));
	if (has(c, "frame-error") || has(c, "late-error"))
		return h->emit(c, MG_EVENT(MG_EV_ERROR, .failure = &odd));
	if (has(c, "frame-header"))
		return h->header(c, "X-Late", MG_STR("y"));
	if (has(c, "frame-flood"))
		return flood(c);
	if (has(c, "frame-tools"))
		return many(c, MG_EV_TOOL_BEGIN, 400000);
	if (has(c, "frame-notes"))
		return many(c, MG_EV_ANNOTATION, 400000);
	if (has(c, "frame-greedy"))
		return greedy(c);
	if (has(c, "frame-endless"))
		return endless(c);
	if (has(c, "frame-deaf")) {	/* an event is refused, and nobody looks */
		h->emit(c, MG_EVENT(MG_EV_TEXT, .data = latin));
		return end(c);
	}
	if (has(c, "frame-quiet"))
		return MG_OK;
	rc = rc ? rc : text(c, "x");
	if (rc || has(c, "finish-never"))
		return rc;
	if (has(c, "finish-odd") || has(c, "finish-none"))
		return h->emit(c, MG_EVENT(MG_EV_FINISH, .finish = has(c, "finish-odd") ? (enum mg_finish)99 : MG_NONE));
	if (has(c, "usage-most")) {
		rc = h->emit(c, MG_EVENT(MG_EV_USAGE, .usage = &most));
		return rc ? rc : h->emit(c, MG_EVENT(MG_EV_FINISH, .finish = MG_STOP));
	}
	rc = end(c);
	if (!rc && has(c, "finish-twice"))
		rc = text(c, "behind the end");
	return rc ? rc : has(c, "finish-twice") ? end(c) : MG_OK;
}

static int finish(struct mg_call *c)
{
	return has(c, "finish-code") ? 9 : MG_OK;
}

static int failure(struct mg_call *c, const struct mg_frame *body, struct mg_failure *out)
{
	static char words[1 << 20];

	if (has(c, "failure-code"))
		return 12;
	out->kind = has(c, "failure-kind") ? (enum mg_error)99 : MG_E_SERVER;
	out->retry_after_ms = UINT32_MAX;
	if (has(c, "failure-latin"))
		out->code = out->message = latin;
	if (has(c, "failure-hole"))
		out->code = out->message = hole;
	memset(words, 'w', sizeof(words));
	if (has(c, "failure-long"))
		out->message = (struct mg_str){ words, sizeof(words) };
	if (has(c, "failure-size"))
		out->size = 0;
	return MG_OK;
}

static const struct mg_operation chat = { .size = sizeof(chat), .op = MG_CHAT, .plain = MG_JSON, .stream = MG_SSE,
	.request = request, .frame = frame, .finish = finish };
static const struct mg_operation *const ops[] = { &chat, NULL };
static const struct mg_provider provider = { .size = sizeof(provider), .ops = ops, .failure = failure };

MG_PLUGIN(.name = "faulty", .version = "1.0.0", .about = "does what none may", .provider = &provider)
