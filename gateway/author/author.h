/*
 * author.h - what the authors of policies ask of a bundle, before it goes live and while it runs.
 *
 * Messages, or TAP, go through say(), a line each.  What gives a number gives that of the
 * problems, or a negative mg_rc.
 */
#ifndef AUTHOR_AUTHOR_H
#define AUTHOR_AUTHOR_H

#include "policy/policy.h"

/* ---- a folder of policies; the same of one that is read */
int policy_check(const char *dir, const char *base_dir, void (*say)(void *arg, const char *line), void *arg, struct err *err);
int policy_test(const char *dir, const char *base_dir, const char *only, void (*say)(void *arg, const char *line), void *arg, struct err *err);
int bundle_check(struct bundle *b, void (*say)(void *arg, const char *line), void *arg);
int bundle_test(struct bundle *b, const char *only, void (*say)(void *arg, const char *line), void *arg, struct err *err);
/* What each hook takes: instructions and garbage, a line a hook. */
int policy_fuel(const char *dir, const char *base_dir, const char *only, void (*say)(void *arg, const char *line), void *arg, struct err *err);
/* Changes one token of a policy at a time and runs its tests: the number of changes that no test notices
 * and that let more candidates through, or store more; and of files that cannot be tried. */
int policy_mutate(const char *dir, const char *base_dir, const char *only, void (*say)(void *arg, const char *line), void *arg, struct err *err);
/* What b changes of a, a line each: files, policies, parameters, chains; how many, or a negative mg_rc.  Both were opened. */
int bundle_diff(struct bundle *a, struct bundle *b, void (*say)(void *arg, const char *line), void *arg, struct err *err);
/* moongate.d.lua, line by line: generated from the tables that build the objects. */
void policy_types(void (*say)(void *arg, const char *line), void *arg);
/* What a bundle must show before it goes live: check finds nothing, every test passes.  err: "x_test.lua:5: ...". */
int bundle_vet(struct bundle *b, struct err *err);
/* A kept decision, by its generation, as the text of a test of b; 1, 0: none is kept of it, or a negative mg_rc. */
int decision_as_test(const struct mg_store *ops, void *handle, const char *id, struct bundle *b, struct buf *out, struct err *err);

#endif
