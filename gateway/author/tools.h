/*
 * tools.h - what the sources of this floor share, and nobody else.
 */
#ifndef AUTHOR_TOOLS_H
#define AUTHOR_TOOLS_H

#include "author/author.h"
#include "policy/state.h"

/* ---- names.c */
/* Says "file:line: unknown name 'x'" for each that the file reads and no policy has; their number. */
int names_scan(struct policy_state *s, const struct source *source, void (*say)(void *arg, const char *line), void *arg);
/* The same of what the hooks of the declaration at index decl, and all they call, may not do: remember, or write. */
int hooks_scan(struct policy_state *s, int decl, void (*say)(void *arg, const char *line), void *arg);

/* ---- diff.c: appends the value at i as it is written in Lua; depth 0 */
void lua_text(lua_State *L, int i, struct buf *b, int depth);

/* ---- probes.c: a small world, and requests for it, made of what the bundle's files speak of */
struct probes;
enum { PROBES_MAX = 200 };
struct probes *probes_new(struct bundle *b);
void probes_free(struct probes *p);
unsigned probes_rounds(const struct probes *p);		/* so many, and each word was met */
void probes_begin(struct probes *p, struct policy_state *s);	/* s knows its endpoints as a catalogue, and shares nothing with others */
/* A request's whole life over n endpoints; the same for the same round.  d is in pool. */
void probes_live(struct probes *p, struct policy_state *s, struct decision *d, struct pool *pool, size_t n, unsigned round);

/* ---- testing.c: test files; prelude.c: what they name */
enum { TEST_FUEL = 200000000, TEST_TITLE = 160 };
struct test_result { char title[TEST_TITLE], what[400]; bool ok; };
struct test_run { struct test_result *at; size_t n, size; long fuel;	/* at: the caller's to free */
	bool failed;		/* the file itself did */
	bool strict; };		/* it ends at the first test that fails */
extern const char *const policy_prelude[], *const policy_prober[];	/* lines of Lua, then NULL */
void lines_load(lua_State *L, const char *const *lines, const char *name);	/* leaves the function; raises */
bool is_test_file(const struct source *f);	/* and one of the bundle's own */
struct policy_state *tests_open(struct bundle *b, struct err *err);
/* -1: s->error says why the file did not run to its end.  r may be used again. */
int tests_run(struct policy_state *s, const struct source *f, long fuel, struct test_run *r);

#endif
