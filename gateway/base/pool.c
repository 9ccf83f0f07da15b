#include "base/pool.h"

#include <pthread.h>
#include <stdarg.h>

#ifdef SANITIZED	/* one malloc an object, so that ASan sees every overrun */
enum { CHUNK = 0, ALIGN = 1 };
#else
enum { CHUNK = 3072, ALIGN = _Alignof(max_align_t) };
#endif
enum { CHUNK_MAX = 64 * 1024, CHUNKS_EACH = 8, STEP = 512, STEPS = 16, SPARES = 64 };

struct chunk { struct chunk *next; size_t used, size; bool zeroed; max_align_t mem[]; };
struct defer { struct defer *next; void (*fn)(void *arg); void *arg; };
struct pool { struct chunk *chunks; struct defer *defers; size_t left, chunk, taken; };

/* Chunks that this thread gave back, those of a number of steps each in a list: too large for
 * malloc's quick lists, and every request takes a few.  They go when the thread ends. */
static _Thread_local struct spare { struct chunk *first; unsigned n; } spares[STEPS];
static _Thread_local bool keeps;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_end;

static void thread_ends(void *arg)
{
	for (struct spare *s = arg; s < spares + STEPS; s++) {
		while (s->first) {
			struct chunk *c = s->first;

			s->first = c->next;
			free(c);
		}
		s->n = 0;
	}
	keeps = false;
}

static void key_make(void)
{
	if (pthread_key_create(&at_end, thread_ends))
		abort();	/* nobody else takes them; there are a thousand */
}

static bool may_keep(void)
{
	if (!keeps) {
		pthread_once(&once, key_make);
		keeps = !pthread_setspecific(at_end, spares);
	}
	return keeps;
}

static struct spare *spare_for(size_t size)
{
	return size && size % STEP == 0 && size <= STEP * STEPS ? &spares[size / STEP - 1] : NULL;
}

static struct chunk *chunk_new(size_t size, bool zeroed)
{
	struct spare *s = zeroed ? NULL : spare_for(size);
	struct chunk *c = s ? s->first : NULL;

	if (c) {
		s->first = c->next;
		s->n--;
	} else {
		c = zeroed ? calloc(1, sizeof(*c) + size) : malloc(sizeof(*c) + size);
	}
	if (c)
		*c = (struct chunk){ .size = size, .zeroed = zeroed };
	return c;
}

static void chunk_free(struct chunk *c)
{
	struct spare *s = CHUNK ? spare_for(c->size) : NULL;

	if (!s || s->n == SPARES || !may_keep()) {
		free(c);
		return;
	}
	c->next = s->first;
	s->first = c;
	s->n++;
}

/* The pool lies at the begin of its first chunk. */
struct pool *pool_new_for(size_t budget, size_t first)
{
	struct chunk *c = chunk_new(CHUNK ? (first + STEP - 1) / STEP * STEP : sizeof(struct pool), false);
	struct pool *p;

	if (!c)
		return NULL;
	c->used = (sizeof(*p) + ALIGN - 1) / ALIGN * ALIGN;
	p = (struct pool *)c->mem;
	*p = (struct pool){ .chunks = c, .left = budget, .chunk = CHUNK, .taken = CHUNK ? c->size : 0 };
	return p;
}

struct pool *pool_new(size_t budget)
{
	return pool_new_for(budget, CHUNK);
}

/* Puts a chunk with at least need bytes in front.  What is as large as a chunk
 * goes behind it, so that the rest of the one in use is not lost; that is zeroed at once,
 * which costs nothing for pages fresh from the kernel.  Of the others most is never asked for. */
static struct chunk *grow(struct pool *p, size_t need)
{
	struct chunk *front = p->chunks, *c;
	size_t size = need > p->chunk ? need : p->chunk;

	if (size > SIZE_MAX - sizeof(*c))
		return NULL;
	c = chunk_new(size, need >= p->chunk);
	if (!c)
		return NULL;
	if (front && need >= p->chunk) {
		c->next = front->next;
		front->next = c;
		return c;
	}
	c->next = front;
	p->chunks = c;
	/* Slowly: a request takes 10 KB, and thousands of them wait for their upstreams. */
	p->taken += size;
	if (p->chunk < CHUNK_MAX && p->taken >= CHUNKS_EACH * p->chunk)
		p->chunk *= 2;
	return c;
}

/* *zeroed: it is so already. */
static inline void *take(struct pool *p, size_t len, bool *zeroed)
{
	struct chunk *c = p->chunks;
	size_t need = (len + ALIGN - 1) / ALIGN * ALIGN;

	if (!need)
		need = ALIGN;
	if (need < len || need > p->left)
		return NULL;
	if (!c || c->size - c->used < need) {
		c = grow(p, need);
		if (!c)
			return NULL;
	}
	p->left -= need;
	c->used += need;
	*zeroed = c->zeroed;
	return (char *)c->mem + c->used - need;
}

void *pool_alloc(struct pool *p, size_t len)
{
	bool zeroed = true;
	void *at = take(p, len, &zeroed);

	return zeroed ? at : memset(at, 0, len);
}

/* Room for text, with its NUL behind it. */
static char *take_text(struct pool *p, size_t len)
{
	bool zeroed;
	char *at = len < SIZE_MAX ? take(p, len + 1, &zeroed) : NULL;

	if (at)
		at[len] = '\0';
	return at;
}

size_t pool_left(const struct pool *p)
{
	return p->left;
}

struct mg_str pool_dup(struct pool *p, struct mg_str s)
{
	char *copy = s.at ? take_text(p, s.len) : NULL;

	if (!copy)
		return (struct mg_str){ NULL, 0 };
	memcpy(copy, s.at, s.len);
	return (struct mg_str){ copy, s.len };
}

struct mg_str pool_join(struct pool *p, const struct mg_str *parts, size_t n)
{
	size_t len = 0, i;
	char *text, *to;

	for (i = 0; i < n; i++)
		if (__builtin_add_overflow(len, parts[i].len, &len))
			return (struct mg_str){ NULL, 0 };
	text = to = take_text(p, len);
	for (i = 0; text && i < n; i++)
		if (parts[i].len)
			to = (char *)memcpy(to, parts[i].at, parts[i].len) + parts[i].len;
	return (struct mg_str){ text, text ? len : 0 };
}

struct mg_str pool_print(struct pool *p, const char *fmt, ...)
{
	char small[256], *text = NULL;	/* formatting twice costs more than a copy */
	va_list ap, again;
	int len;

	va_start(ap, fmt);
	va_copy(again, ap);
	len = vsnprintf(small, sizeof(small), fmt, ap);
	if (len >= 0)
		text = take_text(p, (size_t)len);
	if (text && (size_t)len < sizeof(small))
		memcpy(text, small, (size_t)len);
	else if (text)
		vsnprintf(text, (size_t)len + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return (struct mg_str){ text, text ? (size_t)len : 0 };
}

int pool_defer(struct pool *p, void (*fn)(void *arg), void *arg)
{
	struct defer *d = pool_alloc(p, sizeof(*d));

	if (!d) {
		fn(arg);
		return MG_ENOMEM;
	}
	*d = (struct defer){ p->defers, fn, arg };
	p->defers = d;
	return MG_OK;
}

void pool_free(struct pool *p)
{
	struct chunk *c, *next;

	if (!p)
		return;
	while (p->defers) {	/* fn may defer more: take it off first */
		struct defer *d = p->defers;

		p->defers = d->next;
		d->fn(d->arg);
	}
	for (c = p->chunks; c; c = next) {
		next = c->next;		/* p itself goes with one of them */
		chunk_free(c);
	}
}
