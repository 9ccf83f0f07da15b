/* policy.h - what the policy commands share. */
#ifndef CLI_POLICY_H
#define CLI_POLICY_H

#include "cli/local.h"

/* moongate.d.lua, anew, and .luarc.json, where there is none; an exit status. */
int policy_types_write(const char *dir);

#endif
