#include "catalog/token.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "catalog/grant.h"

enum { ANSWER_MAX = 64 * 1024, CONNECT_MS = 5000, TOTAL_MS = 20000, MARGIN_S = 60, LIFE_MAX_S = 86400, POOL_BYTES = 256 * 1024 };

struct token_waiter {
	struct scope *scope;
	struct loop *loop;
	void (*ready)(void *owner, const char *why);
	void *owner;
	char why[160];
	bool told;		/* on its way to the loop */
	bool given_up;		/* meanwhile: the loop's thread alone reads and writes it */
	struct token_waiter *next, *prev;
};

/* What one scope has; under the credential's lock. */
struct scope {
	struct token *token;
	char *name, *header;		/* header: NULL: none */
	uint64_t until_ms;
	bool busy;			/* an exchange runs */
	struct token_waiter *first, *last;
	struct scope *next;
};

struct token {
	_Atomic unsigned refs;
	pthread_mutex_t lock;
	char *text;
	json_t *credential;
	struct scope *scopes;
};

struct fetch {
	struct scope *scope;
	struct pool *pool;
	struct grant grant;
	struct exchange *x;
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
static void credential_free(json_t *c)
{
	const char *name;
	json_t *v;

	json_object_foreach(c, name, v)
		if (json_is_string(v))
			wipe((void *)(uintptr_t)json_string_value(v), json_string_length(v));
	json_decref(c);
}

struct token *token_new(const char *credential, struct err *err)
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
	t->credential = json_loads(credential, JSON_REJECT_DUPLICATES, NULL);
	if (!t->text)
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
		forget(&s->header);
		free(s->name);
		free(s);
	}
	forget(&t->text);
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
	return s->header && clock_ms() < s->until_ms;
}

struct mg_str token_header(struct token *t, const char *scope, struct pool *p)
{
	struct mg_str out = { NULL, 0 };
	struct scope *s;

	pthread_mutex_lock(&t->lock);
	s = scope_of(t, scope);
	if (s && fresh(s))
		out = pool_dup(p, (struct mg_str){ s->header, strlen(s->header) });
	pthread_mutex_unlock(&t->lock);
	return out;
}

void token_drop(struct token *t, const char *scope, struct mg_str header)
{
	struct scope *s;

	pthread_mutex_lock(&t->lock);
	s = scope_of(t, scope);
	if (s && s->header && strlen(s->header) == header.len && !memcmp(s->header, header.at, header.len))
		forget(&s->header);	/* and not a newer one */
	pthread_mutex_unlock(&t->lock);
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

static void fetch_over(struct fetch *f, char *header, uint64_t life_s, const char *why)
{
	struct scope *s = f->scope;
	struct token *t = s->token;

	pthread_mutex_lock(&t->lock);
	s->busy = false;
	if (header) {
		forget(&s->header);
		s->header = header;
		s->until_ms = clock_ms() + (life_s > 2 * MARGIN_S ? 1000 * (life_s - MARGIN_S) : 500 * life_s);
	}
	tell(s, why);
	pthread_mutex_unlock(&t->lock);
	if (f->answer.at)
		wipe(f->answer.at, f->answer.len);
	buf_release(&f->answer);
	if (f->grant.body.at)
		wipe((void *)(uintptr_t)f->grant.body.at, f->grant.body.len);
	pool_free(f->pool);
	free(f);
	token_unref(t);
}

/* Seconds as a number, or in quotes as Entra's older servers write it. */
static uint64_t life_of(const json_t *answer)
{
	json_t *v = json_object_get(answer, "expires_in");
	long long n = json_is_string(v) ? strtoll(json_string_value(v), NULL, 10) : json_integer_value(v);

	return n <= 0 ? LIFE_MAX_S / 24 : n > LIFE_MAX_S ? LIFE_MAX_S : (uint64_t)n;
}

static bool is_token(const char *s)
{
	for (size_t i = 0; s[i]; i++)
		if (s[i] <= ' ' || s[i] >= 0x7f || i > 16384)
			return false;
	return *s != '\0';
}

/* The server's word for it, if it is one: descriptions may quote what was sent. */
static void refused(const struct fetch *f, const json_t *answer, char *why, size_t size)
{
	const char *word = json_string_value(json_object_get(answer, "error"));

	if (!word)
		word = json_string_value(json_object_get(json_object_get(answer, "error"), "status"));
	if (!word || !*word || strlen(word) > 60 || word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")])
		word = f->status / 100 == 2 ? "an answer without a token" : "no word why";
	snprintf(why, size, "no access token: the token server answered %d, %s", f->status, word);
}

static void fetch_answered(struct fetch *f)
{
	json_t *answer = json_loadb(f->answer.at ? f->answer.at : "", f->answer.len, 0, NULL);
	const char *token = json_string_value(json_object_get(answer, "access_token"));
	uint64_t life_s = life_of(answer);
	char why[160] = "", *header = NULL;

	if (f->status / 100 != 2 || !token || !is_token(token))
		refused(f, answer, why, sizeof(why));
	else if (asprintf(&header, "Authorization: Bearer %s", token) < 0) {
		header = NULL;
		snprintf(why, sizeof(why), "no access token: no memory");
	}
	if (token)
		wipe((void *)(uintptr_t)token, strlen(token));
	json_decref(answer);
	fetch_over(f, header, life_s, why[0] ? why : NULL);
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

static void on_end(void *owner, struct exchange *x, const struct exchange_result *how)
{
	struct fetch *f = owner;
	char why[160];

	if (how->how == EXCHANGE_DONE) {
		fetch_answered(f);
		return;
	}
	snprintf(why, sizeof(why), "no access token: the token server cannot be reached: %.80s", how->why);
	fetch_over(f, NULL, 0, why);
}

static const struct exchange_events fetch_events = { on_head, on_data, on_end };

static int fetch_start(struct fetch *f, struct client *client, struct err *err)
{
	struct grant *g = &f->grant;
	int rc = f->pool ? grant_make(f->pool, f->scope->token->credential, f->scope->name, time(NULL), g, err)
		: fail(err, MG_ENOMEM, "no memory");

	if (rc)
		return rc;
	struct exchange_conf conf = {
		.method = g->method, .url = g->url, .headers = g->headers, .n_headers = g->n_headers,
		.body = g->body.at ? &g->body : NULL, .pieces = g->body.at != NULL,
		.connect_ms = CONNECT_MS, .total_ms = TOTAL_MS, .max_bytes = ANSWER_MAX, .plain_http = !strncmp(g->url, "http://", 7),
	};
	f->x = exchange_start(client, &conf, &fetch_events, f, err);
	return f->x ? MG_OK : MG_EINVAL;
}

static void fetch(struct scope *s, struct client *client)
{
	struct fetch *f = calloc(1, sizeof(*f));
	struct err err = { MG_OK, "" };
	char why[160];

	if (!f) {
		pthread_mutex_lock(&s->token->lock);
		s->busy = false;
		tell(s, "no access token: no memory");
		pthread_mutex_unlock(&s->token->lock);
		return;
	}
	f->scope = s;
	f->pool = pool_new(POOL_BYTES);
	buf_init(&f->answer, ANSWER_MAX);
	token_ref(s->token);
	if (fetch_start(f, client, &err) == MG_OK)
		return;
	snprintf(why, sizeof(why), "no access token: %.120s", err.msg);
	fetch_over(f, NULL, 0, why);
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

int token_now(struct token *t, const char *scope, struct pool *p, struct mg_str *header, struct err *err)
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
	*header = err->rc ? (struct mg_str){ NULL, 0 } : token_header(t, scope, p);
	client_free(client);
	if (pause.loop)
		loop_free(pause.loop);
	if (!err->rc && !header->at)
		return fail(err, MG_EDENIED, "no access token: it was over before it was used");
	return err->rc;
}
