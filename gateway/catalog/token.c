#include "catalog/token.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "catalog/aws.h"
#include "catalog/grant.h"

enum {
	ANSWER_MAX = 64 * 1024, POOL_BYTES = 512 * 1024,
	CONNECT_MS = 5000, TOTAL_MS = 20000, NEAR_CONNECT_MS = 1000, NEAR_TOTAL_MS = 5000,
	MARGIN_S = 60,			/* before its end a token is used no more */
	AHEAD_S = 300,			/* before that, another one is got while it is still used */
	AGAIN_MS = 10000,		/* after that failed */
};

struct token_waiter {
	struct scope *scope;
	struct loop *loop;
	void (*ready)(void *owner, const char *why);
	void *owner;
	char why[TOKEN_WHY];
	bool told;		/* on its way to the loop */
	bool given_up;		/* meanwhile: the loop's thread alone reads and writes it */
	struct token_waiter *next, *prev;
};

/* What one scope has; under the credential's lock. */
struct scope {
	struct token *token;
	char *name, *value;		/* value: NULL: none */
	uint64_t until_ms, ahead_ms;	/* used until then; another one is got from then on */
	bool busy;			/* an exchange runs */
	char why[TOKEN_WHY];		/* the last one failed; "" */
	struct token_waiter *first, *last;
	struct scope *next;
};

struct token {
	_Atomic unsigned refs;
	pthread_mutex_t lock;
	char *text, *owner;
	json_t *credential;
	struct scope *scopes;
};

struct fetch {
	struct scope *scope;
	struct client *client;
	struct pool *pool;
	struct grant grant;
	struct buf answer;
	int status;
};

/* ---------------------------------------------------------- the credential */

static void forget(char **secret)
{
	if (*secret)
		wipe(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

/* The values are copies of the secret, too. */
static void wipe_all(json_t *c)
{
	const char *name;
	json_t *v;
	size_t i;

	json_object_foreach(c, name, v)
		wipe_all(v);
	json_array_foreach(c, i, v)
		wipe_all(v);
	if (json_is_string(c))
		wipe((void *)(uintptr_t)json_string_value(c), json_string_length(c));
}

static void credential_free(json_t *c)
{
	wipe_all(c);
	json_decref(c);
}

struct token *token_new(const char *owner, const char *credential, struct err *err)
{
	struct token *t = calloc(1, sizeof(*t));
	int rc = MG_ENOMEM;

	if (!t) {
		fail(err, MG_ENOMEM, "no memory for a credential");
		return NULL;
	}
	atomic_init(&t->refs, 1);
	pthread_mutex_init(&t->lock, NULL);
	t->text = strdup(credential);
	t->owner = strdup(owner);
	t->credential = json_loads(credential, JSON_REJECT_DUPLICATES, NULL);
	if (!t->text || !t->owner)
		fail(err, MG_ENOMEM, "no memory for a credential");
	else if (!json_is_object(t->credential))
		fail(err, MG_EINVAL, "the credential is not a JSON object");
	else
		rc = grant_check(t->credential, err);
	if (!rc)
		return t;
	token_unref(t);
	return NULL;
}

struct token *token_ref(struct token *t)
{
	if (t)
		atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void token_unref(struct token *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	while (t->scopes) {
		struct scope *s = t->scopes;

		t->scopes = s->next;
		forget(&s->value);
		free(s->name);
		free(s);
	}
	forget(&t->text);
	free(t->owner);
	credential_free(t->credential);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

bool token_is(const struct token *t, const char *credential)
{
	return t && !strcmp(t->text, credential);
}

/* Made with its first use; lives as long as the credential. */
static struct scope *scope_of(struct token *t, const char *name)
{
	struct scope *s = t->scopes;

	while (s && strcmp(s->name, name) != 0)
		s = s->next;
	if (s || !(s = calloc(1, sizeof(*s))))
		return s;
	*s = (struct scope){ .token = t, .name = strdup(name), .next = t->scopes };
	if (!s->name) {
		free(s);
		return NULL;
	}
	t->scopes = s;
	return s;
}

static bool fresh(const struct scope *s)
{
	return s->value && clock_ms() < s->until_ms;
}

static void fetch(struct scope *s, struct client *client);

struct mg_str token_value(struct token *t, const char *scope, struct client *client, struct pool *p)
{
	struct mg_str out = { NULL, 0 };
	bool renew = false;
	struct scope *s;

	pthread_mutex_lock(&t->lock);
	s = scope_of(t, scope);
	if (s && fresh(s)) {
		out = pool_dup(p, (struct mg_str){ s->value, strlen(s->value) });
		renew = client && !s->busy && clock_ms() >= s->ahead_ms;
		s->busy = s->busy || renew;
	}
	pthread_mutex_unlock(&t->lock);
	if (renew)
		fetch(s, client);
	return out;
}

void token_drop(struct token *t, const char *scope, struct mg_str value)
{
	struct scope *s;

	pthread_mutex_lock(&t->lock);
	s = scope_of(t, scope);
	if (s && s->value && strlen(s->value) == value.len && !memcmp(s->value, value.at, value.len))
		forget(&s->value);	/* and not a newer one */
	pthread_mutex_unlock(&t->lock);
}

bool token_signs(const struct token *t)
{
	return !strcmp(grant_text(t->credential, "type", ""), "aws");
}

static const char *what(const struct token *t)
{
	return token_signs(t) ? "AWS credentials" : "access token";
}

void token_about(const struct token *t, char *out, size_t size)
{
	if (token_signs(t))
		aws_about(t->credential, out, size);
	else
		snprintf(out, size, "%s", grant_text(t->credential, "type", ""));
}

/* Of several scopes the one with trouble speaks, else the one that ends first. */
void token_state(struct token *t, struct token_state *out)
{
	uint64_t now = clock_ms();

	*out = (struct token_state){ .used = false };
	pthread_mutex_lock(&t->lock);
	for (const struct scope *s = t->scopes; s; s = s->next) {
		int64_t left = fresh(s) ? (int64_t)((s->until_ms - now) / 1000) + 1 : 0;

		if (!out->used || left < out->left_s)
			out->left_s = left;
		if (s->why[0])
			memcpy(out->why, s->why, sizeof(out->why));
		out->used = true;
	}
	pthread_mutex_unlock(&t->lock);
}

int token_use(const struct token *t, struct call *c, struct mg_str value, struct err *err)
{
	if (token_signs(t) != (c->sign != NULL))
		return fail(err, MG_EINVAL, c->sign ? "requests are signed here: google and entra are for dialects that take tokens"
			: "requests are not signed here, as aws wants it: quirks = { auth = \"sigv4\" }, where the dialect knows it");
	c->token = value;
	if (c->sign) {
		c->secret = value.at;
		return MG_OK;
	}
	if (!c->token_at && c->n_headers == CALL_HEADERS)
		return fail(err, MG_EINVAL, "more than %d headers", CALL_HEADERS);
	c->token_at = c->token_at ? c->token_at : ++c->n_headers;
	c->headers[c->token_at - 1] = pool_join(c->pool, (struct mg_str[]){ MG_STR("Authorization: Bearer "), value }, 2);
	return c->headers[c->token_at - 1].at ? MG_OK : fail(err, MG_ENOMEM, "no memory for an access token");
}

/* ------------------------------------------------------------- the waiters */

static void unlink_waiter(struct token_waiter *w)
{
	struct scope *s = w->scope;

	if (w->prev)
		w->prev->next = w->next;
	else
		s->first = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		s->last = w->prev;
}

static void waiter_free(struct token_waiter *w)
{
	token_unref(w->scope->token);
	free(w);
}

static void called(void *arg)
{
	struct token_waiter *w = arg;

	if (!w->given_up)
		w->ready(w->owner, w->why[0] ? w->why : NULL);
	waiter_free(w);
}

/* Under the lock.  A loop that takes no more posts ends soon, and its requests with it. */
static void tell(struct scope *s, const char *why)
{
	for (struct token_waiter *w = s->first, *next; w; w = next) {
		next = w->next;
		snprintf(w->why, sizeof(w->why), "%s", why ? why : "");
		unlink_waiter(w);
		w->told = loop_post(w->loop, called, w) == MG_OK;
		if (!w->told) {		/* no memory: it waits until its time is over */
			w->next = w->prev = NULL;
			w->told = false;
		}
	}
	s->first = s->last = NULL;
}

void token_give_up(struct token_waiter *w)
{
	struct token *t = w->scope->token;
	bool told;

	pthread_mutex_lock(&t->lock);
	told = w->told;
	if (!told && (w->prev || w->next || w->scope->first == w))
		unlink_waiter(w);
	pthread_mutex_unlock(&t->lock);
	if (told)
		w->given_up = true;	/* called() comes to this same thread */
	else
		waiter_free(w);
}

/* ------------------------------------------------------------ the exchange */

static void keep(struct scope *s, const char *value, uint64_t life_s)
{
	uint64_t use_ms = life_s > 2 * MARGIN_S ? 1000 * (life_s - MARGIN_S) : 500 * life_s;
	uint64_t ahead_ms = use_ms / 4 < 1000 * AHEAD_S ? use_ms / 4 : 1000 * AHEAD_S;

	forget(&s->value);
	s->value = strdup(value);
	s->until_ms = clock_ms() + use_ms;
	s->ahead_ms = s->until_ms - ahead_ms;
	s->why[0] = '\0';
}

/* why NULL: the grant's value is there.  What was there before is used until its end. */
static void fetch_over(struct fetch *f, const char *why)
{
	struct scope *s = f->scope;
	struct token *t = s->token;
	char no[TOKEN_WHY] = "";

	if (why)
		snprintf(no, sizeof(no), "no %s: %s", what(t), why);
	pthread_mutex_lock(&t->lock);
	s->busy = false;
	if (why) {
		memcpy(s->why, no, sizeof(s->why));
		s->ahead_ms = clock_ms() + AGAIN_MS;
	} else {
		keep(s, f->grant.value.at, f->grant.life_s);
	}
	tell(s, why ? no : NULL);
	pthread_mutex_unlock(&t->lock);
	if (why)
		log_at(LOG_WARN, EV_CREDENTIAL_FAILED, NULL, LOG_S("provider", t->owner), LOG_S("why", no));
	if (f->grant.value.at)
		wipe((void *)(uintptr_t)f->grant.value.at, f->grant.value.len);
	pool_free(f->pool);
	buf_release(&f->answer);
	free(f);
	token_unref(t);
}

static void on_head(void *owner, struct exchange *x, int status)
{
	((struct fetch *)owner)->status = status;
}

static bool on_data(void *owner, struct exchange *x, const char *at, size_t len)
{
	buf_put(&((struct fetch *)owner)->answer, at, len);
	return true;
}

static int fetch_next(struct fetch *f, struct err *err);

static void on_end(void *owner, struct exchange *x, const struct exchange_result *how)
{
	struct fetch *f = owner;
	struct err err = { MG_OK, "" };
	int rc;

	if (f->grant.body.at)
		wipe((void *)(uintptr_t)f->grant.body.at, f->grant.body.len);
	if (how->how == EXCHANGE_DONE)
		rc = grant_answered(f->pool, f->scope->token->credential, time(NULL), f->status, buf_view(&f->answer), &f->grant, &err);
	else
		rc = fail(&err, MG_EDENIED, "%s cannot be reached: %.80s", f->grant.asked, how->why);
	if (f->answer.at)
		wipe(f->answer.at, f->answer.len);
	buf_reset(&f->answer);
	if (!rc && !f->grant.value.at)
		rc = fetch_next(f, &err);
	if (rc || f->grant.value.at)
		fetch_over(f, rc ? err.msg : NULL);
}

static const struct exchange_events fetch_events = { on_head, on_data, on_end };

static int fetch_next(struct fetch *f, struct err *err)
{
	struct grant *g = &f->grant;
	struct exchange_conf conf = {
		.method = g->method, .url = g->url, .headers = g->headers, .n_headers = g->n_headers,
		.body = g->body.at ? &g->body : NULL, .pieces = g->body.at != NULL, .connect_ms = g->near ? NEAR_CONNECT_MS : CONNECT_MS,
		.total_ms = g->near ? NEAR_TOTAL_MS : TOTAL_MS, .max_bytes = ANSWER_MAX, .plain_http = !strncmp(g->url, "http://", 7),
	};

	return exchange_start(f->client, &conf, &fetch_events, f, err) ? MG_OK : MG_EINVAL;
}

static int fetch_begin(struct fetch *f, struct err *err)
{
	int rc = f->pool ? grant_begin(f->pool, f->scope->token->credential, f->scope->name, time(NULL), &f->grant, err)
		: fail(err, MG_ENOMEM, "no memory");

	return rc || f->grant.value.at ? rc : fetch_next(f, err);
}

static void fetch(struct scope *s, struct client *client)
{
	struct fetch *f = calloc(1, sizeof(*f));
	struct err err = { MG_OK, "" };
	int rc;

	if (!f) {
		pthread_mutex_lock(&s->token->lock);
		s->busy = false;
		tell(s, "no memory for a credential");
		pthread_mutex_unlock(&s->token->lock);
		return;
	}
	*f = (struct fetch){ .scope = s, .client = client, .pool = pool_new(POOL_BYTES) };
	buf_init(&f->answer, ANSWER_MAX);
	token_ref(s->token);
	rc = fetch_begin(f, &err);
	if (rc || f->grant.value.at)
		fetch_over(f, rc ? err.msg : NULL);
}

struct token_waiter *token_wait(struct token *t, const char *scope, struct loop *loop, struct client *client,
	void (*ready)(void *owner, const char *why), void *owner)
{
	struct token_waiter *w = calloc(1, sizeof(*w));
	struct scope *s;
	bool mine;

	if (!w)
		return NULL;
	pthread_mutex_lock(&t->lock);
	s = scope_of(t, scope);
	if (!s) {
		pthread_mutex_unlock(&t->lock);
		free(w);
		return NULL;
	}
	*w = (struct token_waiter){ .scope = s, .loop = loop, .ready = ready, .owner = owner, .prev = s->last };
	token_ref(t);
	if (s->last)
		s->last->next = w;
	else
		s->first = w;
	s->last = w;
	if (fresh(s))			/* another worker got it meanwhile */
		tell(s, NULL);
	mine = !fresh(s) && !s->busy;
	s->busy = s->busy || mine;
	pthread_mutex_unlock(&t->lock);
	if (mine)
		fetch(s, client);
	return w;
}

/* ----------------------------------------------------------- for commands */

struct pause { struct loop *loop; struct err *err; };

static void on_ready(void *owner, const char *why)
{
	struct pause *pause = owner;

	if (why)
		fail(pause->err, MG_EDENIED, "%s", why);
	loop_stop(pause->loop);
}

int token_now(struct token *t, const char *scope, struct pool *p, struct mg_str *value, struct err *err)
{
	struct pause pause = { loop_new(err), err };
	struct client *client = pause.loop ? client_new(pause.loop, 1, 1, err) : NULL;

	err->rc = MG_OK;
	if (!client)
		err->rc = MG_ENOMEM;
	else if (!token_wait(t, scope, pause.loop, client, on_ready, &pause))
		fail(err, MG_ENOMEM, "no memory for an access token");
	else
		loop_run(pause.loop);
	*value = err->rc ? (struct mg_str){ NULL, 0 } : token_value(t, scope, NULL, p);
	client_free(client);
	if (pause.loop)
		loop_free(pause.loop);
	if (!err->rc && !value->at)
		return fail(err, MG_EDENIED, "no %s: it was over before it was used", what(t));
	return err->rc;
}
