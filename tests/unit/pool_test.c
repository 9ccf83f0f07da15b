#include "base/pool.h"
#include "tap.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

static char story[16];

static void note(void *arg)
{
	size_t n = strlen(story);

	story[n] = *(char *)arg;
	story[n + 1] = '\0';
}

static struct pool *late;

static void defer_more(void *arg)
{
	note(arg);
	pool_defer(late, note, "z");
}

static void *pools_of_a_thread(void *arg)
{
	struct pool *all[32];

	for (size_t i = 0; i < 32; i++)
		pool_alloc(all[i] = pool_new(SIZE_MAX), 100);
	for (size_t i = 0; i < 32; i++)
		pool_free(all[i]);
	return arg;
}

static size_t in_use_after_a_thread(void)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, pools_of_a_thread, NULL))
		pthread_join(thread, NULL);
	return mallinfo2().uordblks;
}

int main(void)
{
	struct pool *p = pool_new(1000);
	struct mg_str s;
	char *a, *b;
	bool zero = true;
	size_t before;

	a = pool_alloc(p, 100);
	memset(a, 'x', 100);
	b = pool_alloc(p, 100);
	for (int i = 0; b && i < 100; i++)
		zero = zero && !b[i];
	ok(a && b && zero, "memory is zeroed");
	ok((uintptr_t)pool_alloc(p, 3) % _Alignof(max_align_t) == 0 && (uintptr_t)pool_alloc(p, 8) % _Alignof(max_align_t) == 0, "and aligned for anything");
	ok(!pool_alloc(p, 900), "not beyond the budget");
	ok(pool_alloc(p, 200) != NULL, "but up to it, after a refusal too");
	ok(!pool_alloc(p, SIZE_MAX) && !pool_alloc(p, SIZE_MAX - 8) && !pool_alloc(p, SIZE_MAX / 2), "absurd lengths are refused");
	pool_free(p);

	p = pool_new(SIZE_MAX);
	ok(!pool_alloc(p, SIZE_MAX) && !pool_alloc(p, SIZE_MAX - 16), "also without a budget");
	a = pool_alloc(p, 0);
	b = pool_alloc(p, 0);
	ok(a && b && a != b, "no bytes are still an object");
	s = pool_dup(p, (struct mg_str)MG_STR("prompt"));
	ok(mg_is(s, "prompt") && !s.at[s.len], "a copy has a NUL behind it");
	ok(!pool_dup(p, (struct mg_str){ NULL, 0 }).at && pool_dup(p, (struct mg_str)MG_STR("")).at, "absent stays absent, empty stays empty");
	s = pool_print(p, "%d-%s", 42, "x");
	ok(mg_is(s, "42-x") && !s.at[s.len], "printed text");
	a = pool_alloc(p, 20 << 20);
	ok(a && (a[0] = a[(20 << 20) - 1] = 1), "20 MB at once");
	zero = true;
	for (int i = 0; i < 5000; i++) {
		int *n = pool_alloc(p, sizeof(*n) * (size_t)(1 + i % 40));

		zero = zero && n && !*n && !n[i % 40];
		if (n)
			n[i % 40] = *n = -1;
	}
	ok(zero, "5000 small ones do not overlap");
	ok(!pool_defer(p, note, "a") && !pool_defer(p, note, "b") && !pool_defer(p, note, "c") && !*story, "deferred waits");
	pool_free(p);
	ok(!strcmp(story, "cba"), "the last deferred runs first");

	story[0] = '\0';
	p = pool_new(0);
	ok(pool_defer(p, note, "a") == MG_ENOMEM && !strcmp(story, "a"), "what cannot be remembered has run already");
	ok(!pool_print(p, "x").at && !pool_dup(p, (struct mg_str)MG_STR("x")).at && !pool_left(p), "no budget, no text");
	pool_free(p);

	p = pool_new(1000);
	s = pool_join(p, (struct mg_str[]){ MG_STR("a"), { NULL, 0 }, MG_STR("bc") }, 3);
	ok(s.len == 3 && !strcmp(s.at, "abc"), "texts are joined, what is absent is nothing");
	ok(pool_join(p, NULL, 0).at && !pool_join(p, (struct mg_str[]){ { "", SIZE_MAX }, MG_STR("a") }, 2).at, "nothing is a text, too much is none");
	pool_free(p);

	zero = true;
	for (int i = 0; i < 100; i++) {		/* more chunks than a thread keeps, and each of them used before */
		p = pool_new(SIZE_MAX);
		for (int k = 0; k < 50; k++) {
			pool_dup(p, (struct mg_str)MG_STR("the text of the request before"));
			a = pool_alloc(p, 1000);
			zero = zero && a && !memchr(a, 'x', 1000) && !a[0] && !a[999];
			memset(a, 'x', 1000);
		}
		pool_free(p);
	}
	ok(zero, "what a pool before wrote is not in the next one's objects");

	before = in_use_after_a_thread();
	ok(in_use_after_a_thread() < before + 4096, "what a thread keeps for its next pools goes with it");

	story[0] = '\0';
	late = pool_new(1000);
	pool_defer(late, defer_more, "y");
	pool_free(late);
	ok(!strcmp(story, "yz"), "what is deferred while the pool ends runs too");
	pool_free(NULL);
	return tap_done();
}
