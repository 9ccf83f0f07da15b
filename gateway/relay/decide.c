/*
 * decide.c - from a request to an order of endpoints: the hooks in turn.  Where
 * a policy wants to know something, the service that the configuration names is
 * asked, and its answer goes back into the decision.
 *
 *	relay_decide() -> ask() -> [exchange] -> policy_answer() -> step -> relay_decide() ...
 */
#include "base/clock.h"
#include "relay/relay.h"

enum { ANSWER_MAX = 16 << 10, HEADERS_MAX = 24 };

struct asking { struct relay *r; struct exchange *x; struct mg_str body; struct buf answer; int status; };

static const char *word(const json_t *call, const char *name)
{
	const char *text = json_string_value(json_object_get(call, name));

	return text ? text : "";
}

static void put_encoded(struct buf *b, struct mg_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c)))
			buf_put(b, s.at + i, 1);
		else
			buf_print(b, "%%%02X", c);
	}
}

/* A text stands for itself there, anything else as its JSON. */
static const char *url_of(struct relay *r, const struct question *q)
{
	const char *url = word(q->call, "url"), *member = word(q->call, "query");
	struct mg_view arg = { 0 };
	struct mg_str value = q->arg, out;
	struct buf b;

	if (!*member)
		return url;
	if (json_parse(r->pool, q->arg, &arg, NULL) == MG_OK && json_kind(arg) == MG_STRING)
		value = json_text(r->pool, arg);
	buf_init(&b, 16 << 10);
	buf_print(&b, "%s%s%s=", url, strchr(url, '?') ? "&" : "?", member);
	put_encoded(&b, value);
	out = b.failed ? (struct mg_str){ 0 } : pool_dup(r->pool, buf_view(&b));
	buf_release(&b);
	return out.at;
}

static size_t headers_of(struct relay *r, const struct question *q, struct mg_str out[static HEADERS_MAX])
{
	const char *name;
	json_t *value;
	size_t n = 0;

	out[n++] = MG_STR("User-Agent: moongate/" VERSION);
	out[n++] = MG_STR("Accept: application/json");
	if (!*word(q->call, "query"))
		out[n++] = MG_STR("Content-Type: application/json");
	json_object_foreach(json_object_get(q->call, "headers"), name, value)
		if (n < HEADERS_MAX)
			out[n++] = pool_print(r->pool, "%s: %s", name, json_string_value(value));
	return n;
}

/* ------------------------------------------------ the exchange */

static void over(struct relay *r, struct mg_str text, const char *error)
{
	policy_answer(&r->d, text, error);
	loop_timer_set(r->w->loop, &r->step, 0);
}

static void on_head(void *owner, struct exchange *x, int status)
{
	(void)x;
	((struct asking *)owner)->status = status;
}

static bool on_data(void *owner, struct exchange *x, const char *at, size_t len)
{
	(void)x;
	buf_put(&((struct asking *)owner)->answer, at, len);
	return true;
}

static void on_end(void *owner, struct exchange *x, const struct exchange_result *how)
{
	struct asking *a = owner;
	struct mg_str text = buf_view(&a->answer), none = { 0 };

	(void)x;
	a->x = NULL;
	if (how->how == EXCHANGE_TIMEOUT)
		over(a->r, none, "timeout");
	else if (how->how == EXCHANGE_TOO_LARGE || a->answer.failed)
		over(a->r, none, "too_large");
	else if (how->how != EXCHANGE_DONE)
		over(a->r, none, "unreachable");
	else if (a->status < 200 || a->status > 299)
		over(a->r, none, "status");
	else
		over(a->r, text, NULL);
}

static const struct exchange_events events = { .head = on_head, .data = on_data, .end = on_end };

static struct asking *asking_new(struct relay *r)
{
	struct asking *a = pool_alloc(r->pool, sizeof(*a));

	if (!a)
		return NULL;
	a->r = r;
	buf_init(&a->answer, ANSWER_MAX);
	return pool_defer(r->pool, (void (*)(void *))buf_release, &a->answer) == MG_OK ? a : NULL;
}

static void ask(struct relay *r)
{
	const struct question *q = policy_question(&r->d);
	const char *method = word(q->call, "method"), *query = word(q->call, "query"), *ca = json_string_value(json_object_get(q->call, "ca"));
	struct mg_str headers[HEADERS_MAX];
	struct asking *a = r->asking = asking_new(r);
	const char *url = url_of(r, q);
	struct err err = { 0 };

	if (!a || !url) {
		over(r, (struct mg_str){ 0 }, "unreachable");
		return;
	}
	a->body = q->arg;
	a->x = exchange_start(r->w->client, &(struct exchange_conf){ .method = *method ? method : *query ? "GET" : "POST", .url = url,
		.headers = headers, .n_headers = headers_of(r, q, headers), .body = *query ? NULL : &a->body, .pieces = !*query,
		.connect_ms = q->ms, .headers_ms = q->ms, .idle_ms = q->ms, .total_ms = q->ms, .max_bytes = ANSWER_MAX,
		.plain_http = !strncmp(url, "http://", 7), .ca_file = ca }, &events, a, &err);
	if (!a->x)
		over(r, (struct mg_str){ 0 }, "unreachable");
}

void lookup_stop(struct relay *r)
{
	if (!r->asking)
		return;
	if (r->asking->x)
		exchange_cancel(r->asking->x);
	r->asking = NULL;
	if (r->policy)
		policy_abandon(r->policy->state, &r->d);
}

/* ------------------------------------------------ the hooks */

/* No: or a policy waits for an answer, and is called again then. */
static bool not_yet(struct relay *r, const struct denial *no)
{
	if (r->d.waits)
		ask(r);
	else
		refuse_denied(r, no);
	return false;
}

/* What the request calls for must be one that an operator lets requests name. */
static bool may_name(struct relay *r)
{
	const struct mg_str name = r->d.facts.policy;
	struct denial no = { .status = 400, .code = "policy_not_allowed" };

	if (!name.len || policy_may_be_named(r->policy->state, name))
		return true;
	snprintf(no.message, sizeof(no.message), "policy: '%.*s' is none that a request may name", (int)(name.len < 64 ? name.len : 64), name.at);
	refuse_denied(r, &no);
	return false;
}

bool relay_decide(struct relay *r)
{
	struct policy_state *s = r->policy->state;
	struct denial no = { 0 };

	if (!r->admitted && !r->d.waits && !may_name(r))
		return false;
	if (!r->admitted) {
		if (!policy_admit(s, &r->d, &no))
			return not_yet(r, &no);
		r->admitted = true;
	}
	if (!policy_resolve(s, &r->d, &no) || !policy_route(s, &r->d, r->snap->catalog, &no))
		return not_yet(r, &no);
	policy_plan(s, &r->d);
	return true;
}
