/* policy.h - what the policy commands share. */
#ifndef CLI_POLICY_H
#define CLI_POLICY_H

#include "cli/local.h"
#include "policy/policy.h"

/* moongate.d.lua, anew, and .luarc.json, where there is none; an exit status. */
int policy_types_write(const char *dir);

/* "live", the beginning of a version's hash, or a folder; an exit status. */
int policy_side(struct local *l, const struct cli *c, const char *name, struct bundle **out);

/* A note on stderr for each policy of the bundle's own folder that its bundle.lua does not name. */
void policy_note_idle(const struct bundle *b);

/* Prints the kept decision as a test of the bundle in dir; an exit status. */
int policy_from(struct local *l, const struct cli *c, const char *dir, const char *id);

#endif
