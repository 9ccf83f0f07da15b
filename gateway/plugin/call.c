#include "plugin/call.h"

#include <strings.h>

#include "plugin/host.h"

enum { STATE_MAX = 1 << 20, PIECES_MAX = 4096, WORDS_MAX = 2000 };

static const char *const error_names[] = {
	[MG_E_UPSTREAM] = "upstream", [MG_E_CONNECT] = "connect", [MG_E_TIMEOUT] = "timeout",
	[MG_E_RATE_LIMITED] = "rate_limited", [MG_E_OVERLOADED] = "overloaded", [MG_E_SERVER] = "server",
	[MG_E_AUTH] = "auth", [MG_E_QUOTA] = "quota", [MG_E_BAD_REQUEST] = "bad_request",
	[MG_E_CONTEXT_LENGTH] = "context_length", [MG_E_MODERATION] = "moderation",
	[MG_E_NOT_FOUND] = "not_found", [MG_E_CANCELLED] = "cancelled",
};

static bool error_known(enum mg_error kind)
{
	return (unsigned)kind < sizeof(error_names) / sizeof(error_names[0]);
}

const char *error_kind_name(enum mg_error kind)
{
	return error_names[error_known(kind) ? kind : MG_E_UPSTREAM];
}

const struct mg_operation *plugin_operation(const struct mg_plugin *p, enum mg_op op)
{
	if (!p->provider)
		return NULL;
	for (const struct mg_operation *const *o = p->provider->ops; *o; o++)
		if ((*o)->op == op)
			return *o;
	return NULL;
}

int call_init(struct call *c, struct pool *pool, const struct mg_plugin *plugin, enum mg_op op, bool streamed,
	struct mg_view request, struct mg_view endpoint, const char *secret)
{
	*c = (struct call){
		.mg = { .host = &call_host, .quirks = json_get(endpoint, "quirks") }, .pool = pool, .plugin = plugin,
		.op = plugin_operation(plugin, op), .request = request, .endpoint = endpoint,
		.secret = secret, .streamed = streamed, .no_writer = { .bad = true },
	};
	if (!c->op)
		return fail(&c->err, MG_EINVAL, "plugin '%s' has no such operation", plugin->name);
	if (c->op->state_size > STATE_MAX)
		return fail(&c->err, MG_EINVAL, "plugin '%s' wants %zu bytes of state", plugin->name, c->op->state_size);
	if (c->op->state_size)
		c->mg.state = pool_alloc(pool, c->op->state_size);
	if (c->op->state_size && !c->mg.state)
		return fail(&c->err, MG_ENOMEM, "no memory for the attempt");
	return MG_OK;
}

static void enter(struct call *c, unsigned inside)
{
	c->err = (struct err){ MG_OK, "" };
	c->inside = inside;
	c->said = 0;
	c->refused = MG_OK;
}

/* What a callback returned, made sane: a known code, and words with it. */
static int outcome(struct call *c, int rc)
{
	if (rc == MG_OK && !c->refused)
		return MG_OK;
	if (rc == MG_OK)
		rc = c->refused;
	if (rc > 0 || rc < MG_EDENIED)
		return fail(&c->err, MG_EPROTO, "plugin '%s' returned %d, which means nothing", c->plugin->name, rc);
	if (!c->err.rc || !c->err.msg[0])
		return fail(&c->err, rc, "plugin '%s' refused and did not say why", c->plugin->name);
	return rc;
}

/* --------------------------------------------------------- the request */

static bool method_known(struct mg_str m)
{
	return mg_is(m, "POST") || mg_is(m, "GET") || mg_is(m, "PUT") || mg_is(m, "PATCH") || mg_is(m, "DELETE");
}

static bool path_sane(struct mg_str p)
{
	bool url = p.len > 8 && (!memcmp(p.at, "https://", 8) || !memcmp(p.at, "http://", 7));

	if (!p.at || !p.len || p.len > 8192 || (*p.at != '/' && !url))
		return false;
	for (size_t i = 0; i < p.len; i++)
		if ((unsigned char)p.at[i] <= ' ' || (unsigned char)p.at[i] >= 0x7f)
			return false;
	return true;
}

/* What is wrong here is the plugin's doing, never the client's: MG_EPROTO. */
int http_check(struct call *c, const struct mg_http *h)
{
	if (!method_known(h->method))
		return fail(&c->err, MG_EPROTO, "plugin '%s' gave no method of HTTP", c->plugin->name);
	if (!path_sane(h->path))
		return fail(&c->err, MG_EPROTO, "plugin '%s' gave a path that is none", c->plugin->name);
	if (h->pieces > PIECES_MAX || (h->pieces && !h->body))
		return fail(&c->err, MG_EPROTO, "plugin '%s' gave a body that is none", c->plugin->name);
	for (size_t i = 0; i < h->pieces; i++)
		if (!h->body[i].at && h->body[i].len)
			return fail(&c->err, MG_EPROTO, "plugin '%s' gave a body with a hole", c->plugin->name);
	return MG_OK;
}

bool call_has_header(const struct call *c, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < c->n_headers; i++)
		if (c->headers[i].len > len && c->headers[i].at[len] == ':' &&
		    !strncasecmp(c->headers[i].at, name, len))
			return true;
	return false;
}

int call_request(struct call *c, struct mg_http *out)
{
	int rc;

	*out = (struct mg_http){ .size = sizeof(*out) };
	enter(c, IN_REQUEST);
	rc = outcome(c, c->op->request(&c->mg, out));
	if (!rc)
		rc = http_check(c, out);
	if (!rc && out->pieces && !call_has_header(c, "Content-Type"))
		rc = call_host.header(&c->mg, "Content-Type", MG_STR("application/json"));
	c->inside = 0;
	return rc;
}

/* ---------------------------------------------------------- the answer */

/* Text that cannot be JSON costs no parse; what does not parse is absent. */
static struct mg_view parse(struct pool *p, enum mg_framing framing, struct mg_str data)
{
	struct mg_view v = { NULL, 0 };
	size_t i = 0;

	while (i < data.len && (data.at[i] == ' ' || data.at[i] == '\n' || data.at[i] == '\r' || data.at[i] == '\t'))
		i++;
	if (framing == MG_RAW || i == data.len || !p || !strchr("{[\"-0123456789tfn", data.at[i]))
		return v;
	return json_parse(p, data, &v, NULL) ? (struct mg_view){ NULL, 0 } : v;
}

/* The parser takes 32 bytes a value, and doubles as it grows. */
struct pool *pool_for_json(size_t len)
{
	return pool_new(8192 + 256 * (len < JSON_VALUES ? len : JSON_VALUES) + 2 * len);
}

/* A frame's tree lives as long as its callback, so that a long stream does not
 * eat the attempt's memory; that of a whole answer as long as the attempt. */
static int answer(struct call *c, unsigned inside, int (*fn)(struct mg_call *, const struct mg_frame *),
	enum mg_framing framing, struct mg_str event, struct mg_str data, void (*pass)(void *arg, struct mg_view frame), void *arg)
{
	struct pool *brief = framing == MG_RAW ? NULL : pool_for_json(data.len);
	struct mg_frame f = { sizeof(f), framing, event, data, parse(brief, framing, data) };
	int rc;

	if (framing == MG_JSON && brief && pool_defer(c->pool, (void (*)(void *))pool_free, brief) != MG_OK)
		return fail(&c->err, MG_ENOMEM, "no memory for the answer");
	enter(c, inside);
	c->say_max = framing == MG_JSON || framing == MG_RAW ? CALL_ANSWER : CALL_FRAME;
	rc = outcome(c, fn(&c->mg, &f));
	c->inside = 0;
	if (!rc && pass && f.json.doc)
		pass(arg, f.json);
	if (framing != MG_JSON)
		pool_free(brief);
	return rc;
}

int call_frame(struct call *c, enum mg_framing framing, struct mg_str event, struct mg_str data)
{
	return answer(c, IN_FRAME, c->op->frame, framing, event, data, NULL, NULL);
}

int call_meter(struct call *c, enum mg_framing framing, struct mg_str event, struct mg_str data,
	void (*pass)(void *arg, struct mg_view frame), void *arg)
{
	if (!MG_HAS(c->op, meter) || !c->op->meter)
		return MG_OK;
	return answer(c, IN_METER, c->op->meter, framing, event, data, pass, arg);
}

int call_finish(struct call *c)
{
	int rc = MG_OK;

	enter(c, IN_FINISH);
	c->say_max = CALL_ANSWER;
	if (c->op->finish)
		rc = outcome(c, c->op->finish(&c->mg));
	c->inside = 0;
	if (!rc && c->op->op == MG_CHAT && !c->finished && !c->follows)
		return fail(&c->err, MG_EPROTO, "the answer ended without a finish reason");
	return rc;
}

/* ------------------------------------------------------------ failures */

/* What a status means when the dialect has no better word. */
static void by_status(int status, struct mg_failure *out)
{
	static const struct { int status; enum mg_error kind; bool retryable; } known[] = {
		{ 400, MG_E_BAD_REQUEST, false }, { 401, MG_E_AUTH, true }, { 402, MG_E_QUOTA, true },
		{ 403, MG_E_AUTH, true }, { 404, MG_E_NOT_FOUND, true }, { 408, MG_E_TIMEOUT, true },
		{ 413, MG_E_BAD_REQUEST, false }, { 422, MG_E_BAD_REQUEST, false }, { 424, MG_E_SERVER, true },
		{ 429, MG_E_RATE_LIMITED, true }, { 498, MG_E_OVERLOADED, true }, { 503, MG_E_OVERLOADED, true },
		{ 504, MG_E_TIMEOUT, true }, { 524, MG_E_TIMEOUT, true }, { 529, MG_E_OVERLOADED, true },
	};

	*out = (struct mg_failure){ .size = sizeof(*out), .kind = MG_E_UPSTREAM, .retryable = true };
	if (status >= 400)
		out->retryable = status >= 500;
	if (status >= 500)
		out->kind = MG_E_SERVER;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].status == status) {
			out->kind = known[i].kind;
			out->retryable = known[i].retryable;
		}
}

/* Text, not too much of it, and ours to keep. */
static struct mg_str words(struct call *c, struct mg_str s)
{
	if (!s.at || !text_whole(s))
		return (struct mg_str){ NULL, 0 };
	if (s.len > WORDS_MAX)
		for (s.len = WORDS_MAX; s.len && ((unsigned char)s.at[s.len] & 0xc0) == 0x80;)
			s.len--;
	return pool_dup(c->pool, s);
}

void failure_words(struct call *c, struct mg_failure *f)
{
	if (!error_known(f->kind))
		f->kind = MG_E_UPSTREAM;
	f->code = words(c, f->code);
	f->message = words(c, f->message);
}

void call_failure(struct call *c, enum mg_framing framing, struct mg_str body, struct mg_failure *out)
{
	const struct mg_provider *p = c->plugin->provider;
	struct mg_frame f = { sizeof(f), framing, { NULL, 0 }, body, parse(c->pool, framing, body) };
	struct mg_failure fallback;
	int rc = MG_EPROTO;

	by_status(c->status, &fallback);
	*out = fallback;
	enter(c, IN_FAILURE);
	if (MG_HAS(p, failure) && p->failure)
		rc = p->failure(&c->mg, &f, out);
	c->inside = 0;
	if (rc || !error_known(out->kind))
		*out = fallback;
	out->size = sizeof(*out);
	failure_words(c, out);
	if (!out->retry_after_ms && c->status >= 400)
		out->retry_after_ms = retry_after(c);
}
